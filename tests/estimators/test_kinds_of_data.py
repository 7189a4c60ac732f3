"""Every method handles a dtype in a container the same way: as numbers or with an error."""

import copy
import warnings
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

try:
    import polars
except ImportError:  # one of the test dependencies that may be missing
    polars = None

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor, diagnose

N = 12
GRID = np.arange(2 * N).reshape(-1, 2) % 7
TABLE = GRID.astype(float)
LABELS = np.arange(N) % 2
VALUES = TABLE[:, 0]
WEIGHTS = 1.0 + np.arange(N) % 3
DAYS = np.datetime64("2026-01-01") + GRID
CASES = {DropoutMLPClassifier: LABELS, DropoutMLPRegressor: VALUES}
estimators = pytest.mark.parametrize("estimator", CASES)

NUMBERS = "numbers"  # the results are those of the same numbers in an array of float64
DATES, DURATIONS = "has dtype .*: dates are not numbers", "has dtype .*: durations are not numbers"
STRUCTURED, NO_STRINGS = "a structured array is not a matrix", "strings are not numbers"
BYTES_OR_STRINGS = "not compatible with arrays of bytes/strings"  # scikit-learn's message
COMPLEX = "Complex data not supported"


def objects(value):
    return np.array([[value, 1.0]] * N, dtype=object)


def frame(column, **dtype):
    """Return a table of the given column and a numeric one."""
    return pd.DataFrame({"odd": pd.Series(column, **dtype), "b": TABLE[:, 1]})


X_TABLE = {
    "bool": (lambda: GRID > 3, NUMBERS),
    **{f"{c}": (lambda c=c: GRID.astype(c), NUMBERS) for c in ["i1", "i8", "u1", "u8", "f2", "f8", ">f8", ">i4"]},
    "longdouble": (lambda: TABLE.astype(np.longdouble), NUMBERS),
    "complex": (lambda: TABLE.astype(complex), COMPLEX),
    "timedelta64": (lambda: GRID.astype("m8[D]"), DURATIONS),
    "datetime64": (lambda: DAYS, DATES),
    "datetime64[ns]": (lambda: DAYS.astype("M8[ns]"), DATES),
    "bytes": (lambda: TABLE.astype("S"), BYTES_OR_STRINGS),
    "strings": (lambda: TABLE.astype(str), BYTES_OR_STRINGS),
    "void": (lambda: np.zeros((N, 2), dtype="V4"), STRUCTURED),
    "structured": (lambda: np.zeros(N, dtype=[("a", float), ("b", float)]), STRUCTURED),
    "objects: float": (lambda: TABLE.astype(object), NUMBERS),
    "objects: bool": (lambda: (GRID > 3).astype(object), NUMBERS),
    "objects: str": (lambda: TABLE.astype(str).astype(object), NUMBERS),  # scikit-learn converts objects to floats
    "objects: Decimal": (lambda: np.vectorize(Decimal, otypes=[object])(GRID), NUMBERS),
    "objects: word": (lambda: objects("word"), "could not convert string to float"),
    "objects: None": (lambda: objects(None), "contains NaN"),
    "objects: datetime64": (lambda: objects(np.datetime64("2026-01-01")), DATES),
    "objects: timedelta64": (lambda: objects(np.timedelta64(1, "D")), DURATIONS),
    "objects: Timestamp": (lambda: objects(pd.Timestamp("2026-01-01", tz="UTC")), DATES),
    "objects: timedelta": (lambda: objects(timedelta(1)), DURATIONS),
    "list": (lambda: TABLE.tolist(), NUMBERS),
    "list of bool": (lambda: (GRID > 3).tolist(), NUMBERS),
    "list of strings": (lambda: TABLE.astype(str).tolist(), BYTES_OR_STRINGS),
    "list of datetime64": (lambda: [list(row) for row in DAYS], DATES),
    "list of datetime": (lambda: DAYS.astype("M8[s]").tolist(), DATES),
    "list of datetime64 and float": (lambda: objects(np.datetime64("2026-01-01")).tolist(), DATES),
    "frame": (lambda: pd.DataFrame(TABLE), NUMBERS),
    "frame: int and bool": (lambda: pd.DataFrame({"a": GRID[:, 0], "b": GRID[:, 1] > 3}), NUMBERS),
    "frame: Int64": (lambda: pd.DataFrame(GRID).astype("Int64"), NUMBERS),
    "frame: boolean": (lambda: pd.DataFrame(GRID > 3).astype("boolean"), NUMBERS),
    "frame: NA": (lambda: frame([pd.NA, *GRID[1:, 0]], dtype="Int64"), "contains NaN"),
    "frame: categories": (lambda: pd.DataFrame(GRID).astype("category"), NUMBERS),
    "frame: word categories": (lambda: frame(["a", "b"] * 6, dtype="category"), "could not convert string to float"),
    "frame: date categories": (lambda: frame(DAYS[:, 0].astype("M8[s]"), dtype="category"), DATES),
    "frame: string": (lambda: pd.DataFrame(TABLE.astype(str)).astype("string"), NUMBERS),
    "frame: word": (lambda: frame(["word"] * N), "could not convert string to float"),
    "frame: datetime64": (lambda: frame(DAYS[:, 0].astype("M8[s]")), DATES),
    "frame: with a zone": (lambda: frame(pd.date_range("2026-01-01", periods=N, tz="UTC")), DATES),
    "frame: timedelta64": (lambda: frame(GRID[:, 0].astype("m8[s]")), DURATIONS),
    "frame: complex": (lambda: frame(TABLE[:, 0].astype(complex)), COMPLEX),
    "frame: sparse": (lambda: pd.DataFrame(TABLE).astype(pd.SparseDtype("float64", 0)), NUMBERS),
    **{
        f"{kind} of {dtype}": (lambda kind=kind, dtype=dtype: getattr(sparse, kind)(TABLE.astype(dtype)), NUMBERS)
        for kind in ["csr_array", "csc_matrix", "coo_array", "dok_array", "lil_matrix", "bsr_array", "dia_array"]
        for dtype in ["bool", "i8", "f8"]
    },
    "csr of complex": (lambda: sparse.csr_array(TABLE.astype(complex)), COMPLEX),
    "csr of f2": (lambda: _sparse("f2"), NUMBERS),
    "csr of objects": (lambda: _sparse(object), NUMBERS),
    "csr of timedelta64": (lambda: _sparse("m8[D]"), DURATIONS),
    "csr of strings": (lambda: _sparse(str), NO_STRINGS),
}
if hasattr(np.dtypes, "StringDType"):  # NumPy 2
    X_TABLE["StringDType"] = (lambda: TABLE.astype(str).astype(np.dtypes.StringDType()), NO_STRINGS)
if polars:
    POLARS = {"a": GRID[:, 0], "b": GRID[:, 1]}
    X_TABLE |= {
        "polars": (lambda: polars.DataFrame(POLARS), NUMBERS),
        "polars: bool": (lambda: polars.DataFrame(GRID > 3, schema=["a", "b"]), NUMBERS),
        "polars: dates": (lambda: polars.DataFrame(POLARS).cast(polars.Date), DATES),
        # NumPy converts these two to numbers
        "polars: a column of dates": (lambda: polars.DataFrame(POLARS).cast({"a": polars.Datetime}), DATES),
        "polars: a column of durations": (lambda: polars.DataFrame(POLARS).cast({"a": polars.Duration}), DURATIONS),
    }


def _sparse(dtype):
    X = sparse.csr_array(TABLE)
    X.data = X.data.astype(dtype)
    return X


def model(estimator):
    return estimator(
        hidden_layer_sizes=3,
        batch_size=6,
        max_iter=2,
        dropout=0.2,
        dropout_schedule="constant",
        random_state=0,
        learning_rate_init=0.1,
    )


def methods(estimator, rows, y, fitted, sample_weight=None):
    """Return the results of all methods that take X, by name."""
    first = {"classes": np.unique(LABELS)} if estimator is DropoutMLPClassifier else {}
    plain = CASES[estimator]
    yield "fit", lambda: model(estimator).fit(rows, y).coefs_
    yield "partial_fit", lambda: model(estimator).partial_fit(rows, y, **first).coefs_
    yield "X_val", lambda: model(estimator).fit(TABLE, plain, X_val=rows, y_val=y).validation_scores_
    yield "log_predictive_density", lambda: fitted.log_predictive_density(rows, y, n_samples=2)
    yield "diagnose", lambda: diagnose(fitted, rows, y).activation_rms
    if estimator is DropoutMLPRegressor:
        yield "calibrate", lambda: copy.copy(fitted).calibrate(rows, y, n_samples=2).conformity_scores_
    if y is not plain:
        return
    yield "predict", lambda: fitted.predict(rows)
    yield "score", lambda: fitted.score(rows, y)
    if estimator is DropoutMLPClassifier:
        yield "predict_proba", lambda: fitted.predict_proba(rows)
        yield "predict_log_proba", lambda: fitted.predict_log_proba(rows)
        yield "predict_uncertainty", lambda: fitted.predict_uncertainty(rows, n_samples=2).proba
        yield "sample_proba", lambda: fitted.sample_proba(rows)
    else:
        yield "predict with std", lambda: np.array(fitted.predict(rows, return_std=True, n_samples=2))
        yield "sample_y", lambda: fitted.sample_y(rows)
        yield "predict_uncertainty", lambda: fitted.predict_uncertainty(rows, n_samples=2).std
        yield "predict_interval", lambda: fitted.calibrate(TABLE, plain).predict_interval(rows, n_samples=2)


def numbers_in(data):
    """Convert to float64: to an array, or to a CSR matrix if sparse, which sums in another order."""
    if sparse.issparse(data) or hasattr(data, "sparse"):
        return sparse.csr_array(TABLE if getattr(data, "dtype", float) == np.float16 else data, dtype=float)
    return np.asarray(data).astype(float)


def flat(result):
    return np.concatenate([np.ravel(part) for part in result]) if isinstance(result, list) else np.asarray(result)


@pytest.mark.parametrize("name", X_TABLE)
@estimators
def test_every_kind_of_X_is_handled_the_same_in_every_method(estimator, name):
    build, outcome = X_TABLE[name]
    X = build()
    fitted = model(estimator).fit(TABLE, CASES[estimator])
    expected = dict(methods(estimator, numbers_in(X), CASES[estimator], fitted)) if outcome == NUMBERS else {}
    for method, call in methods(estimator, X, CASES[estimator], fitted):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "X has feature names")
            if outcome == NUMBERS:
                np.testing.assert_allclose(flat(call()), flat(expected[method]()), rtol=1e-12, err_msg=method)
                continue
            with pytest.raises((ValueError, TypeError), match=outcome) as error:
                call()
        if method == "X_val":
            assert str(error.value).startswith("In the validation data X_val, y_val, sample_weight_val:")


def test_the_column_and_the_way_out_are_named():
    reg = model(DropoutMLPRegressor)
    with pytest.raises(ValueError, match=r"Column 'odd' of X has dtype datetime64.*\(X - start\) / one_day"):
        reg.fit(frame(DAYS[:, 0].astype("M8[s]")), VALUES)
    with pytest.raises(ValueError, match=r"y has dtype timedelta64\[D\]: .* y / np.timedelta64\(1, 'D'\)"):
        reg.fit(TABLE, GRID[:, 0].astype("m8[D]"))


WORDS = np.array(["no", "yes"])[LABELS]
DATE_LABELS = np.array(["2026-01-01", "2026-01-02"], dtype="M8[D]")[LABELS]
NOT_NUMERIC = "`y(_val)?` must be numeric"
UNKNOWN = "Unknown label type"
Y_TABLE = {  # outcome in the classifier and in the regressor
    **{f"{c}": (lambda c=c: LABELS.astype(c), NUMBERS, NUMBERS) for c in ["bool", "i8", "u1", "f2", "f4", "f8", ">i4"]},
    "complex": (lambda: LABELS.astype(complex), COMPLEX, COMPLEX),
    "timedelta64": (lambda: LABELS.astype("m8[D]"), NUMBERS, DURATIONS),
    "datetime64": (lambda: DATE_LABELS, NUMBERS, DATES),
    "bytes": (lambda: WORDS.astype("S"), "bytes", NOT_NUMERIC),
    "strings": (lambda: WORDS, NUMBERS, NOT_NUMERIC),
    "void": (lambda: np.zeros(N, "V4"), STRUCTURED, STRUCTURED),
    "structured": (lambda: np.zeros(N, [("a", float)]), STRUCTURED, STRUCTURED),
    "objects: int": (lambda: LABELS.astype(object), f"{UNKNOWN}: `y` has dtype object.*astype", NUMBERS),
    "objects: str": (lambda: WORDS.astype(object), NUMBERS, NOT_NUMERIC),
    "objects: datetime64": (lambda: DATE_LABELS.astype(object), UNKNOWN, DATES),
    "objects: timedelta64": (lambda: np.array([np.timedelta64(1, "D")] * N, object), UNKNOWN, DURATIONS),
    "list": (lambda: LABELS.tolist(), NUMBERS, NUMBERS),
    "list of datetime64": (lambda: list(DATE_LABELS), NUMBERS, DATES),
    "list of date": (lambda: DATE_LABELS.tolist(), UNKNOWN, DATES),
    "series": (lambda: pd.Series(LABELS), NUMBERS, NUMBERS),
    "series of Int64": (lambda: pd.Series(LABELS, dtype="Int64"), NUMBERS, NUMBERS),
    "series of categories": (lambda: pd.Series(WORDS, dtype="category"), NUMBERS, NOT_NUMERIC),
    "series of dates": (lambda: pd.Series(DATE_LABELS), NUMBERS, DATES),
    "series of string": (lambda: pd.Series(WORDS, dtype="string"), NUMBERS, NOT_NUMERIC),
    "sparse column": (lambda: sparse.csr_array(LABELS.reshape(-1, 1)), NUMBERS, NUMBERS),
}
if hasattr(np.dtypes, "StringDType"):
    Y_TABLE["StringDType"] = (lambda: WORDS.astype(np.dtypes.StringDType()), NO_STRINGS, NO_STRINGS)
if polars:
    Y_TABLE |= {
        "polars": (lambda: polars.Series(LABELS), NUMBERS, NUMBERS),
        "polars: dates": (lambda: polars.Series(DATE_LABELS).cast(polars.Date), NUMBERS, DATES),
        "polars: string": (lambda: polars.Series(WORDS), NUMBERS, NOT_NUMERIC),
    }


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize("name", Y_TABLE)
@estimators
def test_every_kind_of_y_is_handled_the_same_in_every_method(estimator, name):
    build, *outcomes = Y_TABLE[name]
    y, outcome = build(), outcomes[estimator is DropoutMLPRegressor]
    plain = model(estimator).fit(TABLE, CASES[estimator] if estimator is DropoutMLPRegressor else LABELS)
    if outcome == NUMBERS:
        fitted, expected = model(estimator).fit(TABLE, y), model(estimator).fit(TABLE, LABELS)
        np.testing.assert_array_equal(flat(fitted.coefs_), flat(expected.coefs_))
        again = fitted.log_predictive_density(TABLE, y), expected.log_predictive_density(TABLE, LABELS)
        np.testing.assert_array_equal(*again)
        validated = model(estimator).fit(TABLE, y, X_val=TABLE, y_val=y)
        expected = model(estimator).fit(TABLE, LABELS, X_val=TABLE, y_val=LABELS)
        assert validated.validation_loss_curve_ == expected.validation_loss_curve_
        fitted.partial_fit(TABLE, y)
        return
    for call in (
        lambda: model(estimator).fit(TABLE, y),
        lambda: model(estimator).partial_fit(
            TABLE, y, **({"classes": [0, 1]} if estimator is DropoutMLPClassifier else {})
        ),
    ):
        with pytest.raises((ValueError, TypeError), match=outcome):
            call()
    if outcome in {DATES, DURATIONS, STRUCTURED, COMPLEX, NOT_NUMERIC, NO_STRINGS}:
        with pytest.raises(ValueError, match=outcome):
            plain.log_predictive_density(TABLE, y)
        with pytest.raises(ValueError, match=f"In the validation data.*({outcome})"):
            model(estimator).fit(TABLE, CASES[estimator], X_val=TABLE, y_val=y)


W_TABLE = {
    **{
        f"{c}": (lambda c=c: WEIGHTS.astype(c), NUMBERS)
        for c in ["i8", "u1", "f2", "f4", "f8", ">f8", object, str, "S"]
    },
    "bool": (lambda: WEIGHTS > 1, NUMBERS),
    "complex": (lambda: WEIGHTS.astype(complex), COMPLEX),
    "timedelta64": (lambda: WEIGHTS.astype("m8[D]"), DURATIONS),
    "datetime64": (lambda: WEIGHTS.astype("M8[D]"), DATES),
    "structured": (lambda: np.ones(N, [("a", float)]), STRUCTURED),
    "objects: datetime64": (lambda: np.array([np.datetime64("2026-01-01")] * N, object), DATES),
    "series": (lambda: pd.Series(WEIGHTS), NUMBERS),
    "series of dates": (lambda: pd.Series(WEIGHTS.astype("M8[s]")), DATES),
}


@pytest.mark.parametrize("kind", W_TABLE)
@estimators
def test_every_kind_of_weights_is_handled_the_same_in_every_method(estimator, kind):
    build, outcome = W_TABLE[kind]
    weights, y = build(), CASES[estimator]
    first = {"classes": [0, 1]} if estimator is DropoutMLPClassifier else {}
    fitted = model(estimator).fit(TABLE, y)
    calls = {
        "sample_weight": [
            lambda w: model(estimator).fit(TABLE, y, sample_weight=w).coefs_,
            lambda w: model(estimator).partial_fit(TABLE, y, sample_weight=w, **first).coefs_,
            lambda w: diagnose(fitted, TABLE, y, sample_weight=w).gradient_norm,
        ],
        "sample_weight_val": [
            lambda w: model(estimator).fit(TABLE, y, X_val=TABLE, y_val=y, sample_weight_val=w).validation_loss_curve_
        ],
    }
    for name, call in [(name, call) for name, several in calls.items() for call in several]:
        if outcome == NUMBERS:
            np.testing.assert_array_equal(flat(call(weights)), flat(call(np.asarray(weights).astype(float))))
            continue
        with pytest.raises(ValueError, match=f"`{name}`.*{outcome}"):
            call(weights)


INDICATORS = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 1]] * 3)
ODD_INDICATORS = {
    "-1 and 1": (2 * INDICATORS - 1, r"contains -1.*\(y > 0\).astype\(int\)"),
    "-1.0 and 1.0": (2.0 * INDICATORS - 1, r"contains -1.0.*\(y > 0\).astype\(int\)"),
    "1 and 2": (INDICATORS + 1, r"contains 2.*\(y == 2\).astype\(int\)"),
    "1 and 2, unsigned": (np.uint8(INDICATORS + 1), r"contains 2.*\(y == 2\).astype\(int\)"),
    "0 and 2": (2 * INDICATORS, r"contains 2.*\(y > 0\).astype\(int\)"),
    "0 and -1": (-INDICATORS, r"contains -1.*\(y == -1\).astype\(int\)"),
    "words": (np.array(["no", "yes"])[INDICATORS], r"contains 'yes'.*\(y == 'yes'\).astype\(int\)"),
    "three classes": (INDICATORS * np.array([[1, 2, 1]]), "Multioutput classification is not supported"),
    "frame": (pd.DataFrame(2 * INDICATORS - 1), "contains -1"),
    "sparse": (sparse.csr_array(2 * INDICATORS), "contains 2"),
    "sparse, no zeros": (sparse.csc_matrix(2 * INDICATORS - 1), "contains -1"),
    "durations": (INDICATORS.astype("m8[D]"), "indicator matrix"),
}


@pytest.mark.parametrize("name", ODD_INDICATORS)
def test_labels_in_two_dimensions_are_zeros_and_ones(name):
    y, message = ODD_INDICATORS[name]
    clf = model(DropoutMLPClassifier)
    fitted = model(DropoutMLPClassifier).fit(TABLE, INDICATORS)
    for call in (
        lambda: clf.fit(TABLE, y),
        lambda: clf.partial_fit(TABLE, y, classes=[0, 1, 2]),
        lambda: fitted.partial_fit(TABLE, y),
        lambda: fitted.log_predictive_density(TABLE, y),
        lambda: clf.set_params(early_stopping=True, validation_fraction=0.3).fit(TABLE, y),
        lambda: fitted.set_params(warm_start=True).fit(TABLE, y),
    ):
        with pytest.raises(ValueError, match=f"`y` has 3 columns and {message}|{message}"):
            call()
    with pytest.raises(ValueError, match=r"In the validation data.* `y_val` has 3 columns .* an indicator matrix"):
        model(DropoutMLPClassifier).fit(TABLE, INDICATORS, X_val=TABLE, y_val=y)


@pytest.mark.parametrize(
    "build",
    [bool, float, np.float32, np.uint8, np.ndarray.tolist, pd.DataFrame, sparse.csr_array, sparse.dok_array],
    ids=lambda build: build.__name__,
)
def test_zeros_and_ones_in_any_container_are_the_same_indicators(build):
    y = INDICATORS.astype(build) if isinstance(build, type) and issubclass(build, bool | float | np.generic) else None
    y = build(INDICATORS) if y is None else y
    clf = model(DropoutMLPClassifier).fit(TABLE, y)
    np.testing.assert_array_equal(flat(clf.coefs_), flat(model(DropoutMLPClassifier).fit(TABLE, INDICATORS).coefs_))
    clf.log_predictive_density(TABLE, y)
    clf.partial_fit(TABLE, y)


@pytest.mark.parametrize("weight", [1j, 1 + 0j, np.complex64(1)])
def test_a_complex_number_as_weight_is_refused(weight):
    with pytest.raises(ValueError, match="`sample_weight` must be real"):
        DropoutMLPRegressor(max_iter=2).fit(np.eye(4), np.arange(4.0), sample_weight=weight)

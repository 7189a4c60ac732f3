"""Predictions for few rows skip only checks that would pass."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.validation import validate_data

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor, _base
from skdropout._fit.data import fast_path_array

rng = np.random.default_rng(0)
X, y = rng.integers(0, 9, size=(40, 3)).astype(float), np.arange(40) % 3
NAMES = ["a", "b", "c"]
PAIRS = {
    DropoutMLPClassifier: MLPClassifier(max_iter=2, random_state=0),
    DropoutMLPRegressor: MLPRegressor(max_iter=2, random_state=0),
}
Small = {Ours: Ours(dropout=0, max_iter=2, random_state=0) for Ours in PAIRS}


def frame(rows, **columns):
    return pd.DataFrame(rows, columns=NAMES).assign(**columns)


GOOD = {
    "float64": lambda x: x,
    "float32": lambda x: x.astype(np.float32),
    "float16": lambda x: x.astype(np.float16),
    "big-endian": lambda x: x.astype(">f8"),
    "int": lambda x: x.astype(int),
    "uint8": lambda x: x.astype(np.uint8),
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "list": np.ndarray.tolist,
    "list of ints": lambda x: x.astype(int).tolist(),
    "list of arrays": list,
    "csr_array": csr_array,
    "csr_matrix": csr_matrix,
    "csr of ints": lambda x: csr_array(x.astype(int)),
    "zeros": lambda x: csr_array(x.shape),
}
FRAMES = {
    "frame": frame,
    "float32 frame": lambda x: frame(x).astype(np.float32),
    "frame of several dtypes": lambda x: frame(x, b=x[:, 1].astype(int), c=x[:, 2].astype(np.float32)),
    "frame of ints": lambda x: frame(x.astype(int)),
}
SLOW = {  # input that scikit-learn validates
    "bool": lambda x: x > 4,
    "objects": lambda x: x.astype(object),
    "csc": csc_array,
    "coo": coo_array,
    "nullable": lambda x: frame(x).astype("Float64"),
    "frame with bools": lambda x: frame(x, b=x[:, 1] > 4),
    "sparse frame": lambda x: pd.DataFrame.sparse.from_spmatrix(csr_matrix(x), columns=NAMES),
    "many rows": lambda x: np.tile(x[:1], (5000, 1)),
}


def same(a, b):
    a, b = (x.toarray() if hasattr(x, "toarray") else x for x in (a, b))
    return a.dtype == b.dtype and a.flags.c_contiguous == b.flags.c_contiguous and np.array_equal(a, b)


@pytest.mark.parametrize("n_rows", [1, 7])
@pytest.mark.parametrize("kind", [*GOOD, *FRAMES])
def test_skipped_checks_would_have_returned_the_same(kind, n_rows):
    row = (GOOD | FRAMES)[kind](X[:n_rows])
    clf = Small[DropoutMLPClassifier].fit(frame(X) if kind in FRAMES else X, y)
    checked, skipped = validate_data(clf, row, reset=False, accept_sparse="csr"), fast_path_array(row)
    assert type(checked) is type(skipped)
    assert same(checked, skipped)


@pytest.mark.parametrize("kind", SLOW)
def test_other_inputs_are_left_to_scikit_learn(kind):
    assert fast_path_array(SLOW[kind](X[:1])) is None


@pytest.mark.parametrize("Ours", PAIRS)
@pytest.mark.parametrize("kind", [*GOOD, *FRAMES, *SLOW])
def test_predictions_are_those_of_scikit_learn(Ours, kind):
    convert = (GOOD | FRAMES | SLOW)[kind]
    named = isinstance(convert(X[:1]), pd.DataFrame)
    data = frame(X) if named else X
    ours, theirs = (model.fit(data, y) for model in (Small[Ours], PAIRS[Ours]))
    np.testing.assert_allclose(ours.predict(convert(X[:1])), theirs.predict(convert(X[:1])), rtol=1e-6)
    if Ours is DropoutMLPClassifier:
        P, Q = (model.predict_proba(convert(X[:1])) for model in (ours, theirs))
        np.testing.assert_allclose(P, Q, rtol=1e-6 if P.dtype == Q.dtype else 1e-2)


BAD = {
    "nan": lambda x: np.where(x == x[0, 0], np.nan, x),
    "inf": lambda x: np.where(x == x[0, 0], -np.inf, x),
    "float32 inf": lambda x: np.where(x == x[0, 0], np.inf, x).astype(np.float32),
    "nan in a list": lambda x: [[*x[0, :2], np.nan]],
    "nan in a frame": lambda x: frame(x, b=np.nan),
    "nan in a csr_array": lambda x: csr_array(np.where(x == x[0, 0], np.nan, x)),
    "too few columns": lambda x: x[:, :2],
    "too few columns in a frame": lambda x: frame(x)[["a", "b"]],
    "too few columns of a csr_array": lambda x: csr_array(x[:, :2]),
    "too many columns": lambda x: np.hstack([x, x]),
    "one dimension": lambda x: x[0],
    "one dimension in a list": lambda x: x[0].tolist(),
    "three dimensions": lambda x: x[np.newaxis],
    "no rows": lambda x: x[:0],
    "no rows in a list": lambda x: [],
    "no rows in a csr_array": lambda x: csr_array(x[:0]),
    "no rows in a frame": lambda x: frame(x[:0]),
    "strings": lambda x: np.array([["a", "b", "c"]]),
    "strings in a list": lambda x: [["a", "b", "c"]],
    "other names": lambda x: pd.DataFrame(x, columns=["a", "b", "d"]),
    "names in another order": lambda x: frame(x)[["c", "b", "a"]],
    "complex": lambda x: x.astype(complex),
    "ragged": lambda x: [[1.0, 2.0, 3.0], [1.0]],
    "a scalar": lambda x: 1.0,
    "None": lambda x: None,
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("Ours", PAIRS)
def test_the_errors_are_those_of_scikit_learn(Ours, kind):
    row = BAD[kind](X[:1])
    data = frame(X) if isinstance(row, pd.DataFrame) else X
    ours, theirs = (model.fit(data, y) for model in (Small[Ours], PAIRS[Ours]))
    errors = []
    for model in (ours, theirs):
        with pytest.raises((ValueError, TypeError)) as error:
            model.predict(row)
        errors.append((error.type, str(error.value).replace(type(model).__name__, "MLP")))
    assert errors[0] == errors[1]


@pytest.mark.parametrize(("fitted", "given"), [(X, frame(X[:1])), (frame(X), X[:1]), (frame(X), X[:1].tolist())])
def test_warnings_on_names_come_once(fitted, given):
    clf = Small[DropoutMLPClassifier].fit(fitted, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.predict(given)
    assert len(caught) == 1
    assert "feature names" in str(caught[0].message)


@pytest.mark.parametrize("row", [X[:1], frame(X[:1]), [[1, 2, 3]]])
def test_an_unfitted_estimator_raises_not_fitted_error(row):
    with pytest.raises(NotFittedError):
        DropoutMLPClassifier().predict(row)


@pytest.mark.parametrize("kind", ["float64", "list", "csr_array"])
def test_checks_of_plain_rows_are_skipped(kind, monkeypatch):
    clf = Small[DropoutMLPClassifier].fit(X, y)
    monkeypatch.setattr(_base, "validate_data", None)
    assert clf.predict(GOOD[kind](X[:1])).shape == clf.predict_proba(GOOD[kind](X[:1]))[:, 0].shape == (1,)


def test_the_given_row_is_not_written_to():
    row = X[:1].copy()
    row.flags.writeable = False
    for model in Small.values():
        model.fit(X, y).predict(row)
    np.testing.assert_array_equal(row, X[:1])

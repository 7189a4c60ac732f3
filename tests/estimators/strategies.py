"""Hypothesis strategies for all input of an estimator, valid and invalid.

Data are drawn as records that can be built repeatedly. A changed array can then be compared with the original,
scikit-learn's MLP gets the same input, and a failing case prints as a line to paste into ``@example``.
"""

import warnings
from decimal import Decimal
from functools import cache
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from scipy import sparse

try:
    import polars
except ImportError:  # one of the test dependencies that may be missing
    polars = None

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

HUGE = 10**400  # an int that no float can hold
BEYOND = [HUGE]


def _with(A, value):
    """Return a copy of A with `value` in one entry, if A has entries and its dtype can hold the value."""
    A = A.copy()
    if A.size and A.dtype.kind in "fcO":
        with np.errstate(over="ignore"):
            A.flat[A.size // 2] = value
    return A


def _ragged(A):
    return [row[: len(row) - i % 2] for i, row in enumerate(A.tolist())]


def _unsorted_csr(A):
    """Return a sparse array with each row's columns in reverse order and each entry as the sum of two."""
    X = sparse.csr_array(A)
    X.data, X.indices = np.repeat(X.data / 2, 2), np.repeat(X.indices, 2)
    X.indptr = 2 * X.indptr
    for i, j in pairwise(X.indptr):
        X.data[i:j], X.indices[i:j] = X.data[i:j][::-1].copy(), X.indices[i:j][::-1].copy()
    return sparse.csr_array((X.data, X.indices, X.indptr), X.shape)


def _explicit_zeros(A):
    X = sparse.csr_array(A)
    X.data[::2] = 0
    return X


def _long_indices(A):
    X = sparse.csr_array(A)
    return sparse.csr_array((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)), X.shape)


def _structured(A):
    return np.zeros(len(A), dtype=[("a", float), ("b", float)])


def _read_only(A):
    A = A.copy()
    A.flags.writeable = False
    return A


def _extension(dtype, missing=False):
    def build(A):
        frame = pd.DataFrame(np.asarray(A, dtype=float).round()) if A.dtype.kind in "biufO" else pd.DataFrame(A)
        frame = frame > 0 if dtype == "boolean" else frame
        frame = frame.astype("float64").astype(dtype) if dtype in {"Int64", "Float64"} else frame.astype(dtype)
        if missing and frame.size:
            frame.iloc[-1, 0] = pd.NA
        return frame

    return build


def _one_column(build):
    """Return a Series for y."""
    return lambda y: build(y.reshape(len(y), -1)).iloc[:, 0] if y.size else pd.Series(y.ravel())


def _datetimes(A):
    return np.full(A.shape, "2026-01-01", dtype="datetime64[D]")


SPOILS = {
    "": lambda A: A,
    "nan": lambda A: _with(A, np.nan),
    "inf": lambda A: _with(A, np.inf),
    "-inf": lambda A: _with(A, -np.inf),
    "1e308": lambda A: _with(A, 1e308),
    "1e38": lambda A: _with(A, 1e38),
    "1e-320": lambda A: _with(A, 1e-320),
    "None": lambda A: _with(A, None) if A.dtype == object else A,
    "all tiny": lambda A: (A * 1e-310).astype(A.dtype) if A.dtype.kind == "f" else A,
    "constant": lambda A: np.full_like(A, A.flat[0]) if A.size else A,
    "zeros": np.zeros_like,
}

CONTAINERS = {
    "array": lambda A: A,
    "list": lambda A: A.tolist(),
    "tuples": lambda A: tuple(tuple(row) if isinstance(row, list) else row for row in A.tolist()),
    "list of arrays": list,
    "fortran": np.asfortranarray,
    "reversed": lambda A: A[::-1],
    "strided": lambda A: np.repeat(A, 2, axis=0)[::2],
    "read-only": _read_only,
    "swapped": lambda A: A.astype(A.dtype.newbyteorder()),
    "object": lambda A: A.astype(object),
    "masked": lambda A: np.ma.array(A, mask=np.arange(A.size).reshape(A.shape) % 3 == 0),
    "memoryview": lambda A: memoryview(np.ascontiguousarray(A)) if A.dtype.kind in "iuf" else A,
    "strings": lambda A: A.astype(str),
    "bytes": lambda A: A.astype("S") if A.dtype.kind in "biuf" else A,
    "datetimes": _datetimes,
    "timedeltas": lambda A: _datetimes(A) - _datetimes(A),
    "3-D": lambda A: A[np.newaxis],
    "0-D": lambda A: A.ravel()[0] if A.size else np.array(1.0),
    "structured": _structured,
    "ragged": lambda A: _ragged(A) if A.ndim > 1 else [[v] if i % 2 else v for i, v in enumerate(A.tolist())],
    "generator": lambda A: (row for row in A),
    "dict": lambda A: dict(enumerate(A.tolist())),
    "set": lambda A: set(A.ravel().tolist()),
    "None": lambda A: None,
    "number": lambda A: 3,
    "word": lambda A: "word",
    "short": lambda A: A[:-1],
    "empty": lambda A: A[:0],
    "long": lambda A: np.concatenate([A, A]),
}
FRAMES = {
    "frame": pd.DataFrame,
    "named frame": lambda A: pd.DataFrame(A, columns=list("abcdefgh")[: A.shape[1]]),
    "mixed names": lambda A: pd.DataFrame(A, columns=["a", 1, 2, 3, 4][: A.shape[1]]),
    "same names": lambda A: pd.DataFrame(A, columns=["a"] * A.shape[1]),
    "datetime": lambda A: pd.DataFrame(_datetimes(A).astype("datetime64[ns]")),
    "index": lambda A: pd.DataFrame(A, index=np.arange(len(A))[::-1]),
}
EXTENSIONS = {
    "Int64": _extension("Int64"),
    "Int64 NA": _extension("Int64", missing=True),
    "Float64": _extension("Float64"),
    "Float64 NA": _extension("Float64", missing=True),
    "boolean": _extension("boolean"),
    "boolean NA": _extension("boolean", missing=True),
    "category": _extension("category"),
    "string": _extension("string"),
    "pandas sparse": _extension(pd.SparseDtype("float64", 0)),
    "arrow": _extension("double[pyarrow]"),
}
SPARSE = {
    "csr unsorted": _unsorted_csr,
    "csr zeros": _explicit_zeros,
    "csr int64": _long_indices,
    **{
        f"{name}_{kind}": getattr(sparse, f"{name}_{kind}")
        for name in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")
        for kind in ("array", "matrix")
    },
}
POLARS = {}
if polars:
    POLARS = {
        "polars": lambda A: polars.DataFrame(A, schema=[f"c{i}" for i in range(A.shape[1])]),
        "lazy polars": lambda A: polars.DataFrame(A, schema=[f"c{i}" for i in range(A.shape[1])]).lazy(),
        "polars null": lambda A: polars.DataFrame({"a": [None] * len(A), "b": [1.0] * len(A)}),
        "polars series": lambda A: polars.Series(A.ravel().tolist(), strict=False),
    }
X_CONTAINERS = {**CONTAINERS, **FRAMES, **EXTENSIONS, **SPARSE, **POLARS, "matrix": np.asmatrix, "1-D": np.ravel}
Y_CONTAINERS = {
    **CONTAINERS,
    "series": lambda y: pd.Series(y) if y.ndim == 1 else pd.DataFrame(y),
    "column": lambda y: y.reshape(-1, 1) if y.ndim == 1 else y,
    "row": lambda y: y.reshape(1, -1),
    "no columns": lambda y: np.zeros((len(y), 0)),
    "csr": lambda y: sparse.csr_array(np.atleast_2d(y)) if y.dtype.kind in "biuf" else y,
    "polars series": POLARS.get("polars series", np.ravel),
    **{f"{name} series": _one_column(build) for name, build in EXTENSIONS.items()},
}
DTYPES = [float, np.float32, np.float16, np.longdouble, np.int8, np.uint8, int, np.uint64, bool, complex, object]


class Data(NamedTuple):
    """X, y or weights of `shape`: drawn, cast to a dtype, corrupted, and put into a container."""

    kind: str
    shape: tuple
    dtype: object = float
    spoil: str = ""
    container: str = "array"

    def build(self):
        """Return a new object, or None if NumPy, pandas or polars refuse to create it."""
        rng = np.random.RandomState(0)
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                A = np.asarray(KINDS[self.kind](rng, self.shape))
                A = A if A.dtype.kind in "US" else A.astype(self.dtype)
                return (X_CONTAINERS | Y_CONTAINERS)[self.container](SPOILS[self.spoil](A))
        except Exception:  # each library raises its own errors
            return Unbuildable


class Unbuildable:
    """Data that cannot be created."""


def _words(rng, shape):
    return np.array(["no", "yes", "perhaps"])[np.arange(shape[0]) % 3]


def _mixed(rng, shape):
    y = np.array(["no", 1, "perhaps", 2.5], dtype=object)
    return y[np.arange(shape[0]) % 4]


KINDS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "counts": lambda rng, shape: rng.randint(0, 3, size=shape),
    "large counts": lambda rng, shape: np.full(shape, 2**64 - 1, dtype=np.uint64),
    "binary": lambda rng, shape: np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2,
    "three": lambda rng, shape: np.arange(np.prod(shape, dtype=int)).reshape(shape) % 3,
    "one": lambda rng, shape: np.ones(shape, dtype=int),
    "words": _words,
    "one word": lambda rng, shape: np.full(shape[0], "yes"),
    "mixed": _mixed,
    "weights": lambda rng, shape: np.arange(np.prod(shape, dtype=int)).reshape(shape) % 4 / 2,
    "negative": lambda rng, shape: -np.ones(shape),
}


@st.composite
def rarely(draw, usual, odd, one_in):
    """Draw from `odd` once in `one_in` draws."""
    return draw(odd if draw(st.integers(1, one_in)) == one_in else usual)


def data(*fields):
    """Data whose fields are drawn from lists."""
    return st.tuples(*map(st.sampled_from, fields)).map(lambda drawn: Data(*drawn))


@cache
def some_X(n, d):
    usual = ["array", "list", "frame", "csr_array", "csc_matrix", "fortran", *list(POLARS)[:1]]
    sound = data(["normal", "counts"], [(n, d)], [float, np.float32, int, np.uint8], [""], usual)
    kinds, shapes = ["normal", "counts", "large counts", "binary"], [(n, d)] * 4 + [(0, d), (1, d), (n, 0), (n, 1)]
    return rarely(sound, data(kinds, shapes, DTYPES, sorted(SPOILS), sorted(X_CONTAINERS)), 2)


@cache
def some_y(n, classifier):
    kinds, shapes = (["binary", "three", "words"], [(n,)]) if classifier else (["normal", "counts"], [(n,), (n, 2)])
    odd_shapes = [(n,), (n,), (n, 2), (n, 1), (n, 3), (n, 2, 2)]
    odd = data(sorted(KINDS), odd_shapes, DTYPES, sorted(SPOILS), sorted(Y_CONTAINERS))
    return rarely(data(kinds, shapes, [float, int]), odd, 3)


@cache
def some_weights(n):
    kinds, shapes = ["weights", "one", "negative", "normal", "words", "binary"], [(n,), (n,), (n, 1), (n, 2), (1,)]
    odd = data(kinds, shapes, DTYPES, sorted(SPOILS), sorted(Y_CONTAINERS))
    return rarely(st.sampled_from([None, None, Data("weights", (n,))]), odd, 4)


def _schedule(t):
    return 1 - t


def _bad_schedule(t):
    return "x"


ODD = [
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.0, 0.999999, 1.0, np.nan, np.inf, -np.inf, 1e308, 1e-320, HUGE, -HUGE),
    *("x", "", b"x", (), [], [None], {}, set(), {0.5}, {"a": 1}, 1j, object, Decimal("0.5"), range(2)),
    *(np.float64(0.5), np.float32(0.3), np.int64(2), np.bool_(True), np.str_("relu"), np.datetime64("2026-01-01")),
    *(np.array(0.5), np.array([0.5]), np.array([[0.5]]), np.array("x"), np.array(None), np.array([]), np.ma.masked),
    *(pd.NA, pd.NaT, pd.Series([0.5]), pd.Series(["x"]), [np.nan], [True], ["x"], [[0.5]], [0.1, [0.2]], "auto"),
    *((0.5, 0.5), (0.1, 0.2, 0.3), BEYOND, slice(None), _schedule, sparse.csr_array([[0.5]]), np.longdouble(0.5)),
]
GOOD = {
    "hidden_layer_sizes": [
        (),
        3,
        (3,),
        (4, 2),
        [3],
        np.array([4, 2]),
        np.int64(3),
        range(2, 4),
        (1,),
        pd.Series([4, 2]),
    ],
    "activation": ["tanh", "logistic", "identity", "selu", "gelu", ["tanh"], ("relu", "elu"), ["tanh", 3], [None]],
    "solver": ["lbfgs", "sgd", "adamw", "adam"],
    "alpha": [0, 1.0, 1e300, np.float64(0.1)],
    "batch_size": [1, 2, 7, 1000, "auto", np.int64(2)],
    "learning_rate": ["invscaling", "adaptive", "cosine", "onecycle"],
    "learning_rate_init": [1e-3, 0.1, np.float32(0.1), 1e-300],
    "power_t": [0, 0.5, 3],
    "max_iter": [1, 2, 3, np.int64(2), True],
    "random_state": [None, np.random.RandomState(0), 3, 2**32 - 1, 2**32, -1, np.random.default_rng(0), np.int64(3)],
    "tol": [0, 1, np.inf],
    "warm_start": [True],
    "early_stopping": [True, True, np.bool_(True)],
    "validation_fraction": [0, 0.1, 0.5, 0.999, 1e-9],
    "n_iter_no_change": [1, np.inf, HUGE],
    "max_fun": [1, 15, HUGE],
    "dropout": [0, 0.5, [0.1], (0.1, 0.2), np.array([0.5]), 0.999999, 1e-9, np.float64(0.5), pd.Series([0.5])],
    "input_dropout": [0, 0.5, 0.999999, np.float32(0.5)],
    "dropout_kind": ["gaussian", "alpha", "spatial", ["spatial"], ["alpha", "gaussian"], [3]],
    "group_size": [1, 2, 3, [2], (2, 1), np.array([3]), [2.0], [None], HUGE],
    "input_groups": [
        [0, 0],
        [0, 1, 0],
        ["a", "b"],
        [np.nan, np.nan],
        [None, 1],
        np.array([[0]]),
        ["a", 1, None],
        [[1], [2]],
    ],
    "dropout_schedule": ["constant", "annealed", "curriculum", "early", "late", "flat_cos", _schedule, _bad_schedule],
    "batch_norm": ["before_activation", "after_activation", "after_dropout", False, "x"],
    "max_norm": [None, 1.0, 1e-300, 1e300],
    "clip_norm": [None, 1.0, 1e-300, 1e300],
    "mask_sharing": ["batch", "sample"],
    "l1_ratio": [0, 0.5, 1],
    "warmup_fraction": [0, 0.5, 0.999],
    "scoring": [None, "loss", "accuracy", "r2", "neg_log_loss", "f1", len, "x", "neg_mean_squared_error"],
    "dtype": ["float32", "float64", np.float32, np.float64, np.dtype("float32"), float],
    "class_weight": [None, "balanced", {0: 1}, {0: 2, 1: 0.5}, {"no": 3}, {9: 1}, {0: "x"}, {0: None}, {0: HUGE}, {}],
    "label_smoothing": [0, 0.1, 0.999],
    "loss": ["poisson", "absolute_error", "huber", "quantile", "squared_error", "gaussian_nll"],
    "quantile": [0.1, 0.9],
    "noise_variance": [None, 0.1, [0.1], [0.1, 0.2], 1e-320, [0], ["x"], HUGE, [[0.1]], np.array(0.5)],
}
NOT = {"max_iter": (HUGE,), "hidden_layer_sizes": (HUGE, BEYOND), "dropout_schedule": (object,), "scoring": (object,)}


def values(name):
    """Return all values for a parameter except those that request endless work or fail in the user's own code."""
    return [*GOOD.get(name, []), *(v for v in ODD if not any(v is no for no in NOT.get(name, ())))]


@cache
def parameter(name):
    """Draw a value for a parameter, in most cases a valid one."""
    return rarely(st.sampled_from(GOOD.get(name, [True, False, 0.5])), st.sampled_from(values(name)), 6)


@cache
def some_of(names, most):
    return st.lists(st.sampled_from(names), max_size=most, unique=True)


@st.composite
def parameters(draw, estimator):
    names = draw(some_of(tuple(sorted({*estimator._parameter_constraints} - {"verbose"})), 6))
    return {name: draw(parameter(name)) for name in names}


SAMPLING = {
    "n_samples": [1, 2, 5, np.int64(3)],
    "random_state": [0, None, 7],
    "dropout": [None, 0, 0.5, [0.5], (0.1, 0.2), np.array([0.3])],
    "input_dropout": [None, 0, 0.3],
    "mask_sharing": ["sample", "batch"],
    "n_jobs": [None, 1, 2, -1, 0],
}
FEW = [v for v in ODD if not (isinstance(v, int) and abs(v) == HUGE)]  # passes or threads


@cache
def option(name):
    return rarely(st.sampled_from(SAMPLING[name]), st.sampled_from(FEW), 3)


@st.composite
def sampling(draw):
    """Draw keyword arguments of the sampling methods."""
    given = {name: draw(option(name)) for name in draw(some_of(tuple(SAMPLING), 2))}
    return {"n_samples": 5} | given


CALLS = {
    DropoutMLPClassifier: ["predict_proba", "predict_log_proba", "sample_proba", "predict_uncertainty"],
    DropoutMLPRegressor: ["predict_std", "sample_y", "predict_uncertainty", "predict_interval", "calibrate"],
}
BOTH = ["predict", "score", "log_predictive_density", "diagnose", "partial_fit", "fit", "fit", "set_params"]
SAMPLES = {"sample_proba", "predict_uncertainty", "predict_std", "sample_y", "log_predictive_density"}
SAMPLES |= {"predict_interval", "calibrate"}
CLASSES = rarely(st.sampled_from([[0, 1], [0, 1, 2], None, ["no", "perhaps", "yes"]]), st.sampled_from(ODD), 4)


class Call(NamedTuple):
    """Draw a method and its arguments."""

    method: str
    data: dict
    options: dict


@st.composite
def calls(draw, estimator, n, d):
    method = draw(st.sampled_from([*BOTH, *CALLS[estimator]]))
    if method == "set_params":
        return Call(method, {}, draw(parameters(estimator)))
    data, options = {"X": draw(some_X(n, d))}, {}
    y, weights = some_y(n, estimator is DropoutMLPClassifier), some_weights(n)
    if method in {"score", "log_predictive_density", "diagnose", "partial_fit", "fit", "calibrate"}:
        data["y"] = draw(y)
    if method in {"score", "diagnose", "partial_fit", "fit", "calibrate"}:
        data["sample_weight"] = draw(weights)
    if method == "partial_fit" and estimator is DropoutMLPClassifier:
        options["classes"] = draw(CLASSES)
    if method == "fit" and draw(st.integers(0, 3)) == 0:
        data |= {"X_val": draw(some_X(n, d)), "y_val": draw(y), "sample_weight_val": draw(weights)}
    return Call(method, data, draw(sampling()) if method in SAMPLES else options)


class Case(NamedTuple):
    """Draw an estimator, fitted or not, parameters to set after the fit, and calls."""

    estimator: type
    fitted: dict | None
    params: dict
    calls: list


PLAIN = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
SIZES = st.sampled_from([(12, 2), (12, 3), (8, 1), (3, 2), (2, 1), (1, 2)])
LABELS = {DropoutMLPClassifier: ["binary", "three", "words"], DropoutMLPRegressor: ["normal"]}


@st.composite
def cases(draw):
    estimator = draw(st.sampled_from(sorted(LABELS, key=str)))
    n, d = draw(SIZES)
    fitted = {"X": Data("normal", (n, d)), "y": Data(draw(st.sampled_from(LABELS[estimator])), (n,))}
    fitted = draw(st.sampled_from([fitted, fitted, None]))
    params = draw(parameters(estimator)) if draw(st.booleans()) else {}
    if draw(st.booleans()):
        params.setdefault("dropout", 0)  # to be compared with scikit-learn's
    return Case(estimator, fitted, params, [draw(calls(estimator, n, d)) for _ in range(draw(st.integers(1, 3)))])


def _plain(estimator):
    y = Data("binary", (12,), int) if estimator is DropoutMLPClassifier else Data("normal", (12,))
    return {"X": Data("normal", (12, 2)), "y": y}


def every_parameter():
    """Yield each value of each parameter, alone and with others."""
    others = {}, {"early_stopping": True, "batch_norm": "after_activation", "dropout": 0.3, "dropout_kind": "spatial"}
    for estimator, extra in product(LABELS, [*others, {"solver": "sgd"}, {"solver": "lbfgs", "dropout": 0}]):
        plain = _plain(estimator)
        calls = [Call("fit", plain, {}), Call("predict", {"X": plain["X"]}, {}), Call("partial_fit", plain, {})]
        for name in estimator._parameter_constraints.keys() - {"verbose"}:
            for value in values(name):
                yield Case(estimator, None, extra | {name: value}, calls)


def every_X():
    """Yield each container with each dtype and each corrupted value."""
    kinds = [("normal", spoil) for spoil in SPOILS] + [("large counts", "")]
    for estimator, container, dtype, kind in product(LABELS, X_CONTAINERS, DTYPES, kinds):
        plain, X = _plain(estimator), Data(kind[0], (12, 2), dtype, kind[1], container)
        calls = [Call("fit", plain | {"X": X}, {}), Call("predict", {"X": X}, {})]
        yield Case(estimator, plain, {"dropout": 0}, calls)


def every_y():
    kinds = [*product(["normal", "binary"], SPOILS), *((kind, "") for kind in KINDS)]
    for estimator, container, dtype, kind, shape in product(LABELS, Y_CONTAINERS, DTYPES, kinds, [(12,), (12, 2)]):
        plain = _plain(estimator)
        given = plain | {"y": Data(kind[0], shape, dtype, kind[1], container)}
        calls = [Call("score", given, {}), Call("log_predictive_density", given, {"n_samples": 2})]
        yield Case(
            estimator, plain, {"dropout": 0}, [*calls, Call("fit", given, {}), Call("predict", {"X": plain["X"]}, {})]
        )


def every_weight():
    kinds = [("weights", spoil) for spoil in SPOILS] + [(kind, "") for kind in ("one", "negative", "normal", "words")]
    for estimator, container, dtype, kind, shape in product(
        LABELS, Y_CONTAINERS, DTYPES, kinds, [(12,), (12, 2), (1,)]
    ):
        plain, weights = _plain(estimator), Data(kind[0], shape, dtype, kind[1], container)
        yield Case(estimator, plain, {"dropout": 0}, [Call("fit", plain | {"sample_weight": weights}, {})])

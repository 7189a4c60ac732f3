"""Rows of training data: their weights, those held out, the distinct ones, mini-batches of them."""

import warnings
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from math import ceil
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array
from sklearn.utils.validation import check_non_negative

from ._magnitudes import check_weights
from ._sklearn import check_sample_weight
from .engine.training import Batches

SMALL, SHORT = 10_000, 10  # largest size of X, and rows of a list, for which the time of the checks matters


class Rows(NamedTuple):
    """Rows that were validated: X, the labels or values y, the targets Y the loss wants, and weights or None."""

    X: np.ndarray
    y: np.ndarray
    Y: np.ndarray
    sample_weight: np.ndarray | None

    def take(self, index):
        return Rows(*(None if a is None else a[index] for a in self))

    def astype(self, dtype):
        """X, real-valued targets and weights in `dtype`."""
        Y = self.Y.astype(dtype, copy=False) if self.Y.dtype.kind == "f" else self.Y
        weights = None if self.sample_weight is None else self.sample_weight.astype(dtype, copy=False)
        return Rows(self.X.astype(dtype, copy=False), self.y, Y, weights)


class Picked:
    """Rows of a dense X by their index. A slice of it gathers them, so that a pass in blocks needs no copy of all."""

    def __init__(self, X, index):
        self.X, self.index, self.shape = X, index, (len(index), X.shape[1])

    def __getitem__(self, rows):
        return self.X[self.index[rows]]

    def astype(self, dtype, copy=True):
        return self[:].astype(dtype, copy=copy)


def positive_weights(sample_weight, X, dtype, name):
    """The weights of the rows of X, none of them negative and not all zero; None stays None."""
    if sample_weight is None:
        return None
    check_kinds(sample_weight, f"`{name}`", "mMV")
    if isinstance(sample_weight, complex | np.complexfloating):  # of a number scikit-learn keeps the real part
        raise ValueError(f"`{name}` must be real, got {sample_weight!r}.")
    try:
        sample_weight = check_sample_weight(sample_weight, X, dtype=np.float64)
    except (ValueError, TypeError) as error:  # what cannot be cast is not called by its name
        raise type(error)(str(error) if "sample_weight" in str(error) else f"`{name}`: {error}") from error
    except OverflowError as error:
        raise ValueError(f"A number in `{name}` is beyond the range of floats: {error}.") from error
    check_non_negative(sample_weight, f"`{name}`")
    check_weights(_some_positive(sample_weight, name), dtype, name)
    return sample_weight.astype(dtype, copy=False)


def _some_positive(sample_weight, name):
    if not sample_weight.any():
        raise ValueError(f"Every weight in {name} is zero: at least one row needs a positive weight.")
    return sample_weight


def split_off(rows, validation_fraction, stratify, random_state, known=None):
    """The rows to train on, as an index, the validation set, and its mask; a dense X is not copied.

    `known` is the mask of an earlier validation set. It is reused if both parts have the same sizes.
    """
    try:
        train, test = train_test_split(
            np.arange(rows.X.shape[0]),
            test_size=validation_fraction,
            stratify=rows.Y if stratify else None,
            random_state=random_state,
        )
    except ValueError as error:
        why = _no_split(rows, validation_fraction, stratify, error) or error
        raise ValueError(f"early_stopping with validation_fraction={validation_fraction!r}: {why}") from error
    mask = np.zeros(len(train) + len(test), dtype=bool)
    mask[test] = True
    if known is not None and known.shape == mask.shape and known.sum() == len(test) and not (known == mask).all():
        train, test, mask = np.flatnonzero(~known), np.flatnonzero(known), known
    if len(test) < 2:
        raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    if rows.sample_weight is not None:
        _some_positive(rows.sample_weight[train], "the part of sample_weight left to train on")
        _some_positive(rows.sample_weight[test], "the part of sample_weight held out for validation")
    X, *rest = rows
    held_out = X[test] if sparse.issparse(X) else Picked(X, test)
    return train, Rows(held_out, *(None if a is None else a[test] for a in rest)), mask


def _no_split(rows, validation_fraction, stratify, error):
    """Why the rows cannot be split, and what to change; scikit-learn's own message is about codes, not labels."""
    n_rows = rows.X.shape[0]
    n_out = ceil(validation_fraction * n_rows)
    n_in, otherwise = n_rows - n_out, "give X_val and y_val, or set early_stopping=False"
    labels, counts = np.unique(rows.y, return_counts=True) if stratify else (np.array([]), np.array([]))
    if n_out == 0 or n_in == 0:
        to_do = "add rows" if n_rows == 1 else f"{'increase' if n_out == 0 else 'decrease'} validation_fraction"
        return f"it holds out {n_out} of {n_rows} row(s): {to_do}, {otherwise}."
    if (counts < 2).any():
        rare = ", ".join(map(repr, labels[counts < 2].tolist()))
        theirs = f"{error}. " if np.array_equal(labels, [0, 1]) else ""  # the codes are the labels
        why = f"{theirs}The split is stratified and needs two rows of each class, but y has only one of {rare}"
        return f"{why}: add rows, {otherwise}."
    if n_out < len(labels):
        least = ceil(100 * len(labels) / n_rows) / 100
        why = f"it holds out {n_out} of {n_rows} rows, fewer than the {len(labels)} classes"
        return f"{why}: set validation_fraction to {least:g} or more, {otherwise}."
    if n_in < len(labels):
        why = f"it leaves {n_in} of {n_rows} rows to train on, fewer than the {len(labels)} classes"
        return f"{why}: decrease validation_fraction, {otherwise}."
    return ""


def mini_batches(rows, train, batch_size, dtype, shuffle, merge):
    """The mini-batches of the rows in the index `train`; with `merge`, a full batch is one of distinct rows."""
    n_rows = len(train)
    if batch_size == "auto":
        batch_size = min(200, n_rows)
    elif batch_size > n_rows:
        warnings.warn(f"batch_size={batch_size} is more than the {n_rows} rows to train on, and is clipped to them.")
        batch_size = n_rows
    if merge and n_rows <= batch_size:
        rows = merge_duplicates(rows.take(train), dtype)
        distinct = np.arange(rows.X.shape[0])
        return Batches(
            rows.X, rows.Y, rows.sample_weight, distinct, len(distinct), dtype, shuffle, n_original_rows=n_rows
        )
    return Batches(rows.X, rows.Y, rows.sample_weight, train, int(batch_size), dtype, shuffle)


def merge_duplicates(rows, dtype):
    """Distinct rows, their weights added up, in an order that depends on the rows alone.

    In full-batch training with noise, a row drawn twice must get the same mask twice if a weight of 2 is to
    equal 2 copies. Merging the copies is the whole of it: the mask is drawn once per distinct row, whatever
    the order or the multiplicity of the rows, and rows of weight 0 are not there. A sparse X must be canonical.
    """
    X, _, Y, sample_weight = rows
    weight = np.ones(X.shape[0], dtype) if sample_weight is None else sample_weight
    values = X if sparse.issparse(X) else X.astype(dtype) + 0.0  # -0 is 0
    Y = Y + 0.0 if Y.dtype.kind == "f" else Y
    keys = np.empty(X.shape[0], dtype=object)
    for i in range(X.shape[0]):
        if sparse.issparse(X):
            row = slice(X.indptr[i], X.indptr[i + 1])
            keys[i] = X.indices[row].tobytes() + X.data[row].tobytes() + Y[i].tobytes()
        else:
            keys[i] = values[i].tobytes() + Y[i].tobytes()
    present = np.flatnonzero(weight)
    _, first, inverse = np.unique(keys[present], return_index=True, return_inverse=True)
    merged = np.bincount(inverse, weights=weight[present]).astype(dtype)
    distinct = rows.take(present[first])
    unweighted = sample_weight is None and len(first) == X.shape[0]
    return distinct._replace(sample_weight=None if unweighted else merged)


def canonical(X):
    """A sparse X sorted, without duplicate entries or stored zeros: noise must not depend on how it is stored."""
    if sparse.issparse(X) and not (X.has_canonical_format and X.data.all()):
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
    return X


def numbers(X):
    """X as numbers: of a list that holds None, or ints beyond int64, scikit-learn leaves objects unchecked."""
    check_kinds(X, "X", "mMVTSU")  # again: a list has become an array
    if sparse.issparse(X) and X.dtype == np.float16:  # SciPy does not compute in it
        return X.astype(float)
    return check_array(X, input_name="X") if X.dtype == object else X


def plain(X):
    """X as an array or a CSR matrix, if it is small and contains only finite numbers; else None.

    A fast path: scikit-learn's validation returns the same, but takes five times as long as the prediction of a row.
    """
    kind = type(X)
    if kind is list and len(X) < SHORT:
        with suppress(ValueError, TypeError, OverflowError):
            X = np.asarray(X)
    elif kind.__name__ == "DataFrame" and kind.__module__.startswith("pandas") and X.size <= SMALL:
        X = X.to_numpy() if all(isinstance(dtype, np.dtype) for dtype in X.dtypes) else X
    values = X.data if sparse.issparse(X) and X.format == "csr" else X
    if type(values) is not np.ndarray or X.ndim != 2 or X.shape[0] == 0 or values.size > SMALL:
        return None
    floats = "fd" if values is not X else np.typecodes["Float"]  # SciPy does not support sparse float16
    return X if values.dtype.kind in "iu" or (values.dtype.char in floats and np.isfinite(values).all()) else None


# Reason and way out for each refused kind of dtype; NumPy would convert some of them to meaningless numbers
TIME, TEXT = "the numbers behind them depend on the unit", "strings are not numbers"
WAYS_OUT = {
    "M": f"dates are not numbers, and {TIME}: use the time since a date, for example ({{0}} - start) / one_day",
    "m": f"durations are not numbers, and {TIME}: choose one, for example {{0}} / np.timedelta64(1, 'D')",
    "V": "a structured array is not a matrix: use numpy.lib.recfunctions.structured_to_unstructured({0})",
    "S": f"{TEXT}: use {{0}}.astype(float), or an encoder such as OneHotEncoder",
    "U": f"{TEXT}: use {{0}}.astype(float), or an encoder such as OneHotEncoder",
    "T": f"{TEXT}: use {{0}}.astype(float), or {{0}}.astype(object) if they are labels",
}


def check_kinds(A, name, refused):
    """Raise an error if a dtype of an array or table is of a `refused` kind; dates and durations may be objects."""
    if isinstance(A, np.ndarray) and A.dtype.kind in "biuf":
        return
    for column, dtype in _dtypes(A):
        kind = _kind(dtype)
        if kind == "O" and isinstance(dtype, np.dtype):
            kind, dtype = next(((k, f"object with {t.__name__}") for k, t in _times(A) if k in refused), (kind, dtype))
        if kind in refused:
            where = name if column is None else f"Column {str(column)!r} of {name}"
            raise ValueError(f"{where} has dtype {dtype}: {WAYS_OUT[kind].format(name)}.")


def _dtypes(A):
    """Each dtype of an array or a table, with the name of its column, or None."""
    if hasattr(A, "shape") and hasattr(A, "columns") and hasattr(A, "dtypes"):  # pandas and polars, but not LazyFrame
        return zip(A.columns, A.dtypes, strict=True)
    return [(None, A.dtype)] if hasattr(A, "dtype") else []


def _kind(dtype):
    """NumPy's character for the kind of a dtype."""
    if getattr(dtype, "is_temporal", bool)():  # of polars
        return "m" if str(dtype).startswith("Duration") else "M"
    dtype = getattr(getattr(dtype, "categories", None), "dtype", dtype)  # pandas: the dtype of the categories
    return getattr(dtype, "kind", "O")


def _times(A):
    """The kind and the type of each date or duration type among the objects in A."""
    objects = A.data if sparse.issparse(A) else np.asarray(A, dtype=object)
    for t in set(map(type, objects.ravel() if isinstance(objects, np.ndarray) else ())):
        if issubclass(t, np.datetime64 | date):
            yield "M", t
        elif issubclass(t, np.timedelta64 | timedelta):
            yield "m", t


@contextmanager
def all_floats():
    """A context in which an int beyond the floats is an error that says so."""
    try:
        yield
    except OverflowError as error:
        raise ValueError(f"A number in the data is beyond the range of floats: {error}.") from error

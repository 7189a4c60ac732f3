"""Rows of data: input validation, sample weights, validation split, mini-batches and merging of duplicates."""

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

from .._sklearn import check_sample_weight
from ..engine.training import Batches
from .checks import check_weights

MAX_FAST_SIZE, MAX_FAST_ROWS = 10_000, 10  # maximum size of X, and number of rows of a list, for the fast path


class Rows(NamedTuple):
    """Validated rows: X, labels or values y, targets Y encoded for the loss, and sample weights or None."""

    X: np.ndarray
    y: np.ndarray
    Y: np.ndarray
    sample_weight: np.ndarray | None

    def take(self, index):
        """Return the rows at `index`."""
        return Rows(*(None if a is None else a[index] for a in self))

    def sample(self, max_rows):
        """Return at most `max_rows` rows with positive weights, drawn at random but always the same."""
        n_rows = self.X.shape[0]
        if n_rows <= max_rows:
            return self
        weights = self.sample_weight
        index = np.arange(n_rows) if weights is None else np.flatnonzero(weights)
        if len(index) > max_rows:
            index = np.sort(np.random.RandomState(0).choice(index, max_rows, replace=False))
        return self.take(index)

    def astype(self, dtype):
        """Convert X, real-valued targets and weights to `dtype`."""
        Y = self.Y.astype(dtype, copy=False) if self.Y.dtype.kind == "f" else self.Y
        weights = None if self.sample_weight is None else self.sample_weight.astype(dtype, copy=False)
        return Rows(self.X.astype(dtype, copy=False), self.y, Y, weights)


class IndexedRows:
    """View of rows of a dense X, selected by an index array. Slices are copied, so passes in blocks save memory."""

    def __init__(self, X, index):
        self.X, self.index, self.shape = X, index, (len(index), X.shape[1])

    def __getitem__(self, rows):
        return self.X[self.index[rows]]

    def astype(self, dtype, copy=True):
        return self[:].astype(dtype, copy=copy)


def validate_sample_weight(sample_weight, X, dtype, name):
    """Return the sample weights as an array, or None, after checking that they are non-negative and not all zero."""
    if sample_weight is None:
        return None
    check_dtype_kinds(sample_weight, f"`{name}`", "mMV")
    if isinstance(sample_weight, complex | np.complexfloating):  # scikit-learn would drop the imaginary part
        raise ValueError(f"`{name}` must be real, got {sample_weight!r}.")
    try:
        sample_weight = check_sample_weight(sample_weight, X, dtype=np.float64)
    except (ValueError, TypeError) as error:  # errors of failed casts do not name the argument
        raise type(error)(str(error) if "sample_weight" in str(error) else f"`{name}`: {error}") from error
    except OverflowError as error:
        raise ValueError(f"A number in `{name}` is beyond the range of floats: {error}.") from error
    check_non_negative(sample_weight, f"`{name}`")
    _check_any_positive(sample_weight, name)
    check_weights(sample_weight, dtype, name)
    return sample_weight.astype(dtype, copy=False)


def _check_any_positive(sample_weight, name):
    if not sample_weight.any():
        raise ValueError(f"Every weight in {name} is zero: at least one row needs a positive weight.")


def split_validation(rows, validation_fraction, stratify, random_state, known=None):
    """Return the indices of the training rows, the validation set, and its mask. A dense X is not copied.

    `known` is the mask of the previous validation set. It is used again if both parts have the same sizes.
    """
    try:
        train, test = train_test_split(
            np.arange(rows.X.shape[0]),
            test_size=validation_fraction,
            stratify=rows.Y if stratify else None,
            random_state=random_state,
        )
    except ValueError as error:
        reason = _explain_failed_split(rows, validation_fraction, stratify, error) or error
        raise ValueError(f"early_stopping with validation_fraction={validation_fraction!r}: {reason}") from error
    mask = np.zeros(len(train) + len(test), dtype=bool)
    mask[test] = True
    if known is not None and known.shape == mask.shape and known.sum() == len(test) and not (known == mask).all():
        mask = known
        train, test = np.flatnonzero(~mask), np.flatnonzero(mask)
    if len(test) < 2:
        raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    if rows.sample_weight is not None:
        _check_any_positive(rows.sample_weight[train], "the training part of sample_weight")
        _check_any_positive(rows.sample_weight[test], "the validation part of sample_weight")
    X, *rest = rows
    held_out = X[test] if sparse.issparse(X) else IndexedRows(X, test)
    return train, Rows(held_out, *(None if a is None else a[test] for a in rest)), mask


def _explain_failed_split(rows, validation_fraction, stratify, error):
    """Explain why the rows cannot be split and how to fix it. scikit-learn's message shows class codes, not labels."""
    n_rows = rows.X.shape[0]
    n_val = ceil(validation_fraction * n_rows)
    n_train = n_rows - n_val
    alternatives = "pass X_val and y_val, or set early_stopping=False"
    labels, counts = np.unique(rows.y, return_counts=True) if stratify else (np.array([]), np.array([]))
    if n_val == 0 or n_train == 0:
        change = "increase" if n_val == 0 else "decrease"
        fix = "add rows" if n_rows == 1 else f"{change} validation_fraction"
        return f"it holds out {n_val} of {n_rows} row(s): {fix}, {alternatives}."
    if (counts < 2).any():
        rare = ", ".join(map(repr, labels[counts < 2].tolist()))
        original = f"{error}. " if np.array_equal(labels, [0, 1]) else ""  # the labels are their own codes
        why = f"{original}The split is stratified and needs two rows of each class, but y has only one of {rare}"
        return f"{why}: add rows, {alternatives}."
    if n_val < len(labels):
        minimum = ceil(100 * len(labels) / n_rows) / 100
        why = f"it holds out {n_val} of {n_rows} rows, fewer than the {len(labels)} classes"
        return f"{why}: set validation_fraction to {minimum:g} or more, {alternatives}."
    if n_train < len(labels):
        why = f"it leaves {n_train} of {n_rows} rows for training, fewer than the {len(labels)} classes"
        return f"{why}: decrease validation_fraction, {alternatives}."
    return ""


def mini_batches(rows, train, batch_size, dtype, shuffle, merge):
    """Return the mini-batches of the rows `train`. With `merge`, duplicates in a full batch are merged."""
    n_rows = len(train)
    if batch_size == "auto":
        batch_size = min(200, n_rows)
    elif batch_size > n_rows:
        warnings.warn(f"batch_size={batch_size} is larger than the {n_rows} training rows and is clipped.")
        batch_size = n_rows
    if merge and n_rows <= batch_size:
        rows = merge_duplicates(rows.take(train), dtype)
        distinct = np.arange(rows.X.shape[0])
        return Batches(
            rows.X, rows.Y, rows.sample_weight, distinct, len(distinct), dtype, shuffle, n_original_rows=n_rows
        )
    return Batches(rows.X, rows.Y, rows.sample_weight, train, int(batch_size), dtype, shuffle)


def merge_duplicates(rows, dtype):
    """Merge duplicate rows and add up their weights.

    In full-batch training with noise, this makes a weight of 2 equivalent to two copies of a row: one mask is drawn
    per distinct row. The order of the result depends only on the distinct rows, and rows of weight 0 are dropped. A
    sparse X must be in canonical format.
    """
    X, _, Y, sample_weight = rows
    weight = np.ones(X.shape[0], dtype) if sample_weight is None else sample_weight
    values = X if sparse.issparse(X) else X.astype(dtype) + 0.0  # turns -0 into 0
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


def canonical_csr(X):
    """Sort a sparse X and remove duplicate entries and stored zeros, so that noise does not depend on its storage."""
    if sparse.issparse(X) and not (X.has_canonical_format and X.data.all()):
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
    return X


def as_numeric(X):
    """Convert an array of objects, which scikit-learn leaves unchecked, to floats."""
    check_dtype_kinds(X, "X", "mMVTSU")  # again, since a list was converted to an array
    if sparse.issparse(X) and X.dtype == np.float16:  # SciPy cannot compute in float16
        return X.astype(float)
    return check_array(X, input_name="X") if X.dtype == object else X


def fast_path_array(X):
    """Return X as an array or a CSR matrix if it is small and contains only finite numbers, else None.

    scikit-learn's validation has the same result, but takes five times as long as the prediction of a row.
    """
    kind = type(X)
    if kind is list and len(X) < MAX_FAST_ROWS:
        with suppress(ValueError, TypeError, OverflowError):
            X = np.asarray(X)
    elif kind.__name__ == "DataFrame" and kind.__module__.startswith("pandas") and X.size <= MAX_FAST_SIZE:
        X = X.to_numpy() if all(isinstance(dtype, np.dtype) for dtype in X.dtypes) else X
    values = X.data if sparse.issparse(X) and X.format == "csr" else X
    if type(values) is not np.ndarray or X.ndim != 2 or X.shape[0] == 0 or values.size > MAX_FAST_SIZE:
        return None
    if values.dtype.kind in "iu":
        return X
    floats = "fd" if values is not X else np.typecodes["Float"]  # SciPy cannot compute in float16
    return X if values.dtype.char in floats and np.isfinite(values).all() else None


# Reason and fix for each invalid kind of dtype. NumPy would convert some of them to meaningless numbers.
TIME_REASON, TEXT_REASON = "their integer values depend on the unit", "strings are not numbers"
DTYPE_FIXES = {
    "M": f"dates are not numbers, and {TIME_REASON}: use the time since a date, for example ({{0}} - start) / one_day",
    "m": f"durations are not numbers, and {TIME_REASON}: choose one, for example {{0}} / np.timedelta64(1, 'D')",
    "V": "a structured array is not a matrix: use numpy.lib.recfunctions.structured_to_unstructured({0})",
    "S": f"{TEXT_REASON}: use {{0}}.astype(float), or an encoder such as OneHotEncoder",
    "U": f"{TEXT_REASON}: use {{0}}.astype(float), or an encoder such as OneHotEncoder",
    "T": f"{TEXT_REASON}: use {{0}}.astype(float), or {{0}}.astype(object) if they are labels",
}


def check_dtype_kinds(A, name, refused):
    """Raise an error if a dtype of an array or table is of a `refused` kind, or if it contains such objects."""
    if isinstance(A, np.ndarray) and A.dtype.kind in "biuf":
        return
    for column, dtype in _column_dtypes(A):
        kind = _dtype_kind(dtype)
        if kind == "O" and isinstance(dtype, np.dtype):
            invalid = ((k, f"object with {t.__name__}") for k, t in _temporal_types(A) if k in refused)
            kind, dtype = next(invalid, (kind, dtype))
        if kind in refused:
            where = name if column is None else f"Column {str(column)!r} of {name}"
            raise ValueError(f"{where} has dtype {dtype}: {DTYPE_FIXES[kind].format(name)}.")


def _column_dtypes(A):
    """Return pairs of column name, or None, and dtype for an array or a table."""
    # pandas and polars, except for LazyFrame
    if hasattr(A, "shape") and hasattr(A, "columns") and hasattr(A, "dtypes"):
        return zip(A.columns, A.dtypes, strict=True)
    return [(None, A.dtype)] if hasattr(A, "dtype") else []


def _dtype_kind(dtype):
    """Return NumPy's character for the kind of a dtype."""
    if getattr(dtype, "is_temporal", bool)():  # polars
        return "m" if str(dtype).startswith("Duration") else "M"
    dtype = getattr(getattr(dtype, "categories", None), "dtype", dtype)  # pandas categorical
    return getattr(dtype, "kind", "O")


def _temporal_types(A):
    """Yield the kind and the type of each date or duration type among the objects in A."""
    objects = A.data if sparse.issparse(A) else np.asarray(A, dtype=object)
    items = objects.ravel() if isinstance(objects, np.ndarray) else ()
    for t in set(map(type, items)):
        if issubclass(t, np.datetime64 | date):
            yield "M", t
        elif issubclass(t, np.timedelta64 | timedelta):
            yield "m", t


@contextmanager
def explain_overflow():
    """Convert an OverflowError, raised for ints beyond the range of floats, to a ValueError that explains it."""
    try:
        yield
    except OverflowError as error:
        raise ValueError(f"A number in the data is beyond the range of floats: {error}.") from error

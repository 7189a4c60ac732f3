"""Rows of training data: their weights, those held out, the distinct ones, mini-batches of them."""

import warnings
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array
from sklearn.utils.validation import check_non_negative

from ._magnitudes import check_weights
from ._sklearn import check_sample_weight
from .engine.training import Batches


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


def positive_weights(sample_weight, X, dtype, name):
    """The weights of the rows of X, none of them negative and not all zero; None stays None."""
    if sample_weight is None:
        return None
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


def split_off(rows, validation_fraction, stratify, random_state):
    """The rows to train on, as an index, and the rows held out; a dense X is not copied."""
    try:
        train, test = train_test_split(
            np.arange(rows.X.shape[0]),
            test_size=validation_fraction,
            stratify=rows.Y if stratify else None,
            random_state=random_state,
        )
    except ValueError as error:
        raise ValueError(f"early_stopping with validation_fraction={validation_fraction!r}: {error}") from error
    if len(test) < 2:
        raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    if rows.sample_weight is not None:
        _some_positive(rows.sample_weight[train], "the part of sample_weight left to train on")
        _some_positive(rows.sample_weight[test], "the part of sample_weight held out for validation")
    X, *rest = rows
    held_out = X[test] if sparse.issparse(X) else Picked(X, test)
    return train, Rows(held_out, *(None if a is None else a[test] for a in rest))


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
        return Batches(rows.X, rows.Y, rows.sample_weight, distinct, len(distinct), dtype, shuffle, n_drawn=n_rows)
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
    if X.dtype.kind == "m":  # lapses of time, which it takes, too
        return X.astype(float)
    return check_array(X, input_name="X") if X.dtype == object else X


@contextmanager
def all_floats():
    """A context in which an int beyond the floats is an error that says so."""
    try:
        yield
    except OverflowError as error:
        raise ValueError(f"A number in the data is beyond the range of floats: {error}.") from error

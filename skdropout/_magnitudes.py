"""Magnitudes that a dtype cannot hold, and the columns, targets and weights they are found in."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import min_max_axis

BLOCK = 1 << 18  # elements of X looked at at a time: a scan needs no memory that grows with the rows
LARGE = 10  # inputs and targets that are scaled stay below it
DIGITS = 10  # values that a column must have room for in its dtype: one digit
ROUNDING = 1e-12  # columns that vary by less, relative to their size, are meant to be constant


def column_ranges(X: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest value of each column, as floats."""
    if issparse(X):
        low, high = min_max_axis(X, axis=0)
        return np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    rows = max(1, BLOCK // X.shape[1])
    blocks = [X[start : start + rows] for start in range(0, X.shape[0], rows)]
    low, high = (f([f(block, axis=0) for block in blocks], axis=0) for f in (np.min, np.max))
    return low.astype(float), high.astype(float)


def largest_column(X, names=None):
    """The column with the greatest magnitude, as errors call it, and that magnitude."""
    low, high = column_ranges(X)
    return _largest(np.maximum(-low, high), names)


def _largest(size, names):
    worst = int(size.argmax())
    return f"column {worst if names is None else repr(str(names[worst]))}", float(size[worst])


def ways_out(estimator, rows, diverges=True):
    """What to change where training diverges, or is too slow, as the rows and the parameters suggest."""
    X, _, Y, sample_weight = rows
    column, value = largest_column(X, getattr(estimator, "feature_names_in_", None))
    seen = f"; {column} reaches {value:.3g}" if value > LARGE else ""
    scale = f"scale the inputs (for example with StandardScaler{seen})"
    ways = [scale] if seen else []
    if Y.dtype.kind == "f" and (value := np.abs(Y).max()) > LARGE and estimator.out_activation_ == "identity":
        ways.append(f"scale y, which reaches {value:.3g} (with TransformedTargetRegressor)")
    least = 1.0 if sample_weight is None else sample_weight[sample_weight > 0].min()
    if estimator.alpha >= least:  # it is divided by the weights of a batch
        of_weights = "" if sample_weight is None else f", where sample_weight goes down to {least:.3g}"
        ways.append(f"lower alpha (now {estimator.alpha:g}{of_weights})")
    if not diverges:
        ways += [f"raise learning_rate_init (now {estimator.learning_rate_init:g})"] * (estimator.solver != "lbfgs")
        ways.append(f"raise max_iter (now {estimator.max_iter})")
    elif estimator.solver != "lbfgs":
        ways.append(f"lower learning_rate_init (now {estimator.learning_rate_init:g})")
        ways += ["set clip_norm=1"] if estimator.clip_norm is None else []
        ways += ["set dtype='float64'"] if estimator.coefs_[0].dtype == np.float32 else []
    *first, last = ways or [scale]
    return f"{', '.join(first)} or {last}" if first else last


def check_columns(X, dtype, names=None):
    """An error that names a column `dtype` cannot hold, and a warning that names one it holds badly."""
    if X.dtype != dtype and np.can_cast(X.dtype, dtype):  # small integers
        return
    limits, values = np.finfo(dtype), X.data if issparse(X) else X
    largest = max(-float(values.min()), float(values.max())) if values.size else 0.0
    head = X[: max(1, BLOCK // X.shape[1])]  # most tables need no look at all their columns
    if largest <= np.sqrt(limits.max) and (X.dtype == dtype or not _blurred(*column_ranges(head), dtype).any()):
        return
    low, high = column_ranges(X)
    size = np.maximum(-low, high)
    column, value = _largest(size, names)
    way_out = "scale the inputs (for example with StandardScaler) or set dtype='float64'."
    if value > limits.max:
        raise ValueError(f"X reaches {value:.3g} in {column}, which is too large for {limits.dtype}: {way_out}")
    if value > np.sqrt(limits.max):
        warnings.warn(f"X reaches {value:.3g} in {column}, and its squares overflow {limits.dtype}: {way_out}")
    if X.dtype == dtype:  # what is lost was lost before
        return
    if (blurred := _blurred(low, high, dtype)).any():
        column, value = _largest(np.where(blurred, size, 0), names)
        warnings.warn(
            f"X reaches {value:.10g} in {column}, and {limits.dtype} is too coarse to tell its values apart: {way_out}"
        )


def _blurred(low, high, dtype):
    """Which columns vary by more than rounding errors, and by a few units in the last place of `dtype` at most."""
    size = np.maximum(-low, high)
    return (high - low > ROUNDING * size) & (high - low < DIGITS * np.spacing(size.astype(dtype)))


def check_targets(Y, name):
    """Targets that were cast are finite."""
    if not np.isfinite(Y).all():
        raise ValueError(
            f"`{name}` has values too large for {Y.dtype}: scale it, for example by TransformedTargetRegressor(..., "
            "transformer=StandardScaler()), or set dtype='float64'."
        )


def check_weights(sample_weight, dtype, name):
    """The sum of weights is far enough from where `dtype` overflows and underflows for losses to be weighed by them."""
    limits, total = np.finfo(dtype), sample_weight.sum(dtype=float)
    least, most = limits.tiny / limits.eps, limits.max * limits.eps
    if not least <= total <= most:
        raise ValueError(
            f"The sum of {name} is {total:.3g}, and in {limits.dtype} it must lie between {least:.0e} and {most:.0e}: "
            "divide the weights by their mean."
        )

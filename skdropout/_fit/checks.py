"""Checks that a dtype can represent columns, targets and weights, and suggestions for training that fails."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import min_max_axis

from ..engine.activations import REAL_OUTPUTS

BLOCK_SIZE = 1 << 18  # elements of X per block, so that memory does not grow with the number of rows
MAX_SCALED = 10  # inputs or targets beyond this do not seem to be scaled
MIN_DISTINCT_VALUES = 10  # number of values that a dtype must represent within the range of a column
CONSTANT_RTOL = 1e-12  # columns that vary by less, relative to their magnitude, count as constant
MIN_TARGET_STD = 0.1  # targets with a smaller standard deviation are learned slowly; the initial output has about 1
# For loss='gaussian_nll'. RMSE divided by that of squared_error, four sets and two networks: geometric mean 0.93 and
# maximum 1.02 on standardized targets; 0.82 and 1.07 with mean 3, 1.31 and 2.68 with mean 10; 1.00 and 1.24 with
# standard deviation 3, 1.34 and 3.45 with 10.
MAX_TARGET_MEAN = MAX_TARGET_STD = 3.0


def column_ranges(X: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the minimum and the maximum of each column, as floats."""
    if issparse(X):
        low, high = min_max_axis(X, axis=0)
        return np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    rows = max(1, BLOCK_SIZE // X.shape[1])
    blocks = [X[start : start + rows] for start in range(0, X.shape[0], rows)]
    low = np.min([block.min(axis=0) for block in blocks], axis=0)
    high = np.max([block.max(axis=0) for block in blocks], axis=0)
    return low.astype(float), high.astype(float)


def largest_column(X, names=None):
    """Return the column with the largest magnitude, described for messages, and that magnitude."""
    low, high = column_ranges(X)
    return _largest(np.maximum(-low, high), names)


def _largest(magnitudes, names):
    i = int(magnitudes.argmax())
    return f"column {i if names is None else repr(str(names[i]))}", float(magnitudes[i])


def suggest_fixes(plan, rows, diverges=True):
    """Suggest changes if training diverges or is too slow, based on the data and the parameters."""
    settings = plan.settings
    X, _, Y, sample_weight = rows
    column, value = largest_column(X, plan.feature_names)
    unscaled = f"; {column} reaches {value:.3g}" if value > MAX_SCALED else ""
    scale_inputs = f"scale the inputs (for example with StandardScaler{unscaled})"
    fixes = [scale_inputs] if unscaled else []
    if Y.dtype.kind == "f" and plan.output in REAL_OUTPUTS:
        value = np.abs(Y).max()
        if value > MAX_SCALED:
            fixes.append(f"scale y, which reaches {value:.3g} (with TransformedTargetRegressor)")
    min_weight = 1.0 if sample_weight is None else sample_weight[sample_weight > 0].min()
    if settings.alpha >= min_weight:  # alpha is divided by the weight sum of a batch
        smallest = "" if sample_weight is None else f"; the smallest positive sample_weight is {min_weight:.3g}"
        fixes.append(f"lower alpha (now {settings.alpha:g}{smallest})")
    if not diverges:
        if settings.solver != "lbfgs":
            fixes.append(f"raise learning_rate_init (now {settings.learning_rate_init:g})")
        fixes.append(f"raise max_iter (now {settings.max_iter})")
    elif settings.solver != "lbfgs":
        fixes.append(f"lower learning_rate_init (now {settings.learning_rate_init:g})")
        if settings.clip_norm is None:
            fixes.append("set clip_norm=1")
        if plan.dtype == np.float32:
            fixes.append("set dtype='float64'")
    *first, last = fixes or [scale_inputs]
    return f"{', '.join(first)} or {last}" if first else last


def check_columns(X, dtype, names=None):
    """Raise an error for a column that overflows in `dtype`, or warn about one that loses too much precision."""
    if X.dtype != dtype and np.can_cast(X.dtype, dtype):  # such as small integers
        return
    limits = np.finfo(dtype)
    values = X.data if issparse(X) else X
    largest = max(-float(values.min()), float(values.max())) if values.size else 0.0
    head = X[: max(1, BLOCK_SIZE // X.shape[1])]  # usually sufficient, and saves a scan of all rows
    if largest <= np.sqrt(limits.max) and (X.dtype == dtype or not _unresolved(*column_ranges(head), dtype).any()):
        return
    low, high = column_ranges(X)
    magnitudes = np.maximum(-low, high)
    column, value = _largest(magnitudes, names)
    fix = "scale the inputs (for example with StandardScaler) or set dtype='float64'."
    if value > limits.max:
        raise ValueError(f"X reaches {value:.3g} in {column}, which is too large for {limits.dtype}: {fix}")
    if value > np.sqrt(limits.max):
        warnings.warn(f"X reaches {value:.3g} in {column}, and its squares overflow {limits.dtype}: {fix}")
    if X.dtype == dtype:  # no cast, no loss of precision
        return
    unresolved = _unresolved(low, high, dtype)
    if unresolved.any():
        column, value = _largest(np.where(unresolved, magnitudes, 0), names)
        warnings.warn(
            f"X reaches {value:.10g} in {column}, and {limits.dtype} is too coarse to tell its values apart: {fix}"
        )


def _unresolved(low, high, dtype):
    """Return a mask of the columns that vary, but only by a few units in the last place of `dtype`."""
    magnitudes = np.maximum(-low, high)
    spread = high - low
    resolution = np.spacing(magnitudes.astype(dtype))
    return (spread > CONSTANT_RTOL * magnitudes) & (spread < MIN_DISTINCT_VALUES * resolution)


def check_targets(Y, name):
    """Raise an error if targets overflowed in the cast to their dtype."""
    if not np.isfinite(Y).all():
        raise ValueError(
            f"`{name}` has values too large for {Y.dtype}: scale it, for example with TransformedTargetRegressor(..., "
            "transformer=StandardScaler()), or set dtype='float64'."
        )


def check_weights(sample_weight, dtype, name):
    """Raise an error if weighted losses could overflow or underflow in `dtype`, based on the sum of the weights."""
    limits, total = np.finfo(dtype), sample_weight.sum(dtype=float)
    minimum, maximum = limits.tiny / limits.eps, limits.max * limits.eps
    if not minimum <= total <= maximum:
        raise ValueError(
            f"The sum of {name} is {total:.3g}, but must be between {minimum:.0e} and {maximum:.0e} in {limits.dtype}: "
            "divide the weights by their mean."
        )


def check_standardized(Y, sample_weight, loss, complete=True):
    """Raise an error for targets that are far from mean 0 and standard deviation 1.

    Unless they are `complete`, which the first batch of a stream is not, their standard deviation may be small.
    """
    center = np.average(Y.astype(float), axis=0, weights=sample_weight)
    spread = np.sqrt(np.average(np.square(Y - center), axis=0, weights=sample_weight))
    for i, (mean, std) in enumerate(zip(center, spread, strict=True)):
        of_output = f" of output {i}" if len(center) > 1 else ""
        if complete and std <= CONSTANT_RTOL * abs(mean):
            raise ValueError(
                f"loss={loss!r} learns the variance of the targets, but all values of `y`{of_output} are {mean:.3g}: "
                "use another loss, such as loss='squared_error'."
            )
        if abs(mean) > MAX_TARGET_MEAN or std > MAX_TARGET_STD or (complete and std < MIN_TARGET_STD):
            raise ValueError(
                f"loss={loss!r} needs standardized targets, but the values of `y`{of_output} have mean {mean:.3g} and "
                f"standard deviation {std:.3g}: use TransformedTargetRegressor(..., transformer=StandardScaler())."
            )

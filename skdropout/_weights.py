"""Weights of a fitted network, including arrays that a user assigned or edited in place."""

from __future__ import annotations

from itertools import chain, pairwise

import numpy as np

from ._fitted import unfolded_state
from .engine.layers import fold, unfold
from .engine.params import Params

FLOAT_DTYPES = np.dtype(np.float32), np.dtype(np.float64)
FIX = "Assign arrays of the shapes that fit produced, or call fit with warm_start=False to start from scratch."
BATCH_NORM = ("batch_norm_scale_", "batch_norm_shift_", "batch_norm_mean_", "batch_norm_var_")


def checked_weights(estimator):
    """Return ``coefs_`` and ``intercepts_`` after checking them, cast to the float dtype of the first array."""
    coefs = _numeric_arrays(estimator, "coefs_", 2)
    intercepts = _numeric_arrays(estimator, "intercepts_", 1)
    coef_shapes = [W.shape for W in coefs]
    units = [*map(len, coefs[:1]), *map(len, intercepts)]
    if not coefs or coef_shapes != list(pairwise(units)):
        intercept_shapes = [b.shape for b in intercepts]
        raise ValueError(
            f"coefs_ of shapes {coef_shapes} and intercepts_ of shapes {intercept_shapes} do not match. {FIX}"
        )
    dtype = coefs[0].dtype if coefs[0].dtype in FLOAT_DTYPES else FLOAT_DTYPES[-1]
    return [W.astype(dtype, copy=False) for W in coefs], [b.astype(dtype, copy=False) for b in intercepts]


def _numeric_arrays(estimator, name, ndim):
    """Return the arrays of a list attribute, after checking each one."""
    arrays = []
    for i, array in enumerate(getattr(estimator, name)):
        try:
            array = np.asarray(array)
            valid = array.ndim == ndim and array.dtype.kind in "biuf"
        except ValueError:  # rows of different lengths
            valid = False
        if not valid:
            raise ValueError(f"{name}[{i}] must be an array of numbers with {ndim} dimension(s), got {array!r}. {FIX}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}[{i}] contains NaN or infinity. {FIX}")
        arrays.append(array)
    return arrays


def mean_weights(coefs, intercepts):
    """Return the weights of the means, given those of means and log variances."""
    (*coefs, W), (*intercepts, b) = coefs, intercepts
    n_outputs = len(b) // 2
    return [*coefs, np.ascontiguousarray(W[:, :n_outputs])], [*intercepts, b[:n_outputs]]


def unfold_weights(estimator, coefs, intercepts):
    """Return the parameters and the running moments before folding batch normalization into the weights.

    Scales, shifts and moments are those of the attributes. If the user changed these or the weights after training,
    the returned weights and biases fold to `coefs` and `intercepts`.

    Returns
    -------
    params : Params
    moments : list of (ndarray, ndarray, ndarray)
    assigned : {"nothing", "weights", "all"}
        Attributes that the user assigned. "all" includes scales or shifts: the moments may then match the weights.
    """
    batch_norm, vector, n_seen = unfolded_state(estimator)
    units = coefs[0].shape[0], *map(len, intercepts)
    dtype = coefs[0].dtype
    norms = [_numeric_arrays(estimator, name, 1) for name in BATCH_NORM]
    for name, arrays in zip(BATCH_NORM, norms, strict=True):
        shapes = [array.shape for array in arrays]
        if shapes != [(n,) for n in units[1:-1]]:
            raise ValueError(f"{name} has shapes {shapes}, not those of the hidden layers {units[1:-1]}. {FIX}")
    if any((variances < 0).any() for variances in norms[-1]):
        raise ValueError(f"batch_norm_var_ must not be negative. {FIX}")
    params = Params(units, dtype, normed=True)
    if params.vector.shape != vector.shape:
        raise ValueError(f"coefs_ and intercepts_ have layers of {units} units, unlike the trained network. {FIX}")
    params.vector[:] = vector
    assigned = "weights"
    for new, old in zip(chain(*norms[:2]), chain(params.scales, params.shifts), strict=True):
        if not np.array_equal(new, old):
            old[:] = new
            assigned = "all"
    moments = [
        (np.array(mean, dtype), np.array(variance, dtype), np.array(n, dtype=float))
        for mean, variance, n in zip(*norms[2:], n_seen, strict=True)
    ]
    folded = chain(*fold(params, moments, batch_norm))
    if all(map(np.array_equal, chain(coefs, intercepts), folded)):
        return params, moments, "nothing"
    invertible = unfold(coefs, intercepts, params, moments, batch_norm)
    return params, moments, assigned if invertible else "weights"

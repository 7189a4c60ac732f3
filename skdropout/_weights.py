"""The weights of a fitted network, including arrays that a user assigned or edited in place."""

from __future__ import annotations

from itertools import chain, pairwise

import numpy as np

from ._fitted import unfolded_state
from .engine.layers import fold, unfold
from .engine.params import Params

FLOATS = np.dtype(np.float32), np.dtype(np.float64)
FIX = "Assign arrays of the shapes that fit produced, or call fit with warm_start=False to start from scratch."
BATCH_NORM = ("batch_norm_scale_", "batch_norm_shift_", "batch_norm_mean_", "batch_norm_var_")


def weights_of(estimator):
    """``coefs_`` and ``intercepts_``, checked and cast to one float dtype, that of the first array."""
    coefs, intercepts = _numbers(estimator, "coefs_", 2), _numbers(estimator, "intercepts_", 1)
    shapes = [W.shape for W in coefs], [b.shape for b in intercepts]
    units = [*(n for n, _ in shapes[0][:1]), *(n for (n,) in shapes[1])]
    if not coefs or shapes[0] != list(pairwise(units)):
        raise ValueError(f"coefs_ of shapes {shapes[0]} and intercepts_ of shapes {shapes[1]} do not match. {FIX}")
    dtype = coefs[0].dtype if coefs[0].dtype in FLOATS else FLOATS[-1]
    return [W.astype(dtype, copy=False) for W in coefs], [b.astype(dtype, copy=False) for b in intercepts]


def _numbers(estimator, name, ndim):
    """The arrays of a list attribute, checked one by one."""
    arrays = []
    for i, array in enumerate(getattr(estimator, name)):
        try:
            array = np.asarray(array)
            wrong = array.ndim != ndim or array.dtype.kind not in "biuf"
        except ValueError:  # rows of different lengths
            wrong = True
        if wrong:
            raise ValueError(f"{name}[{i}] must be an array of numbers with {ndim} dimension(s), got {array!r}. {FIX}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}[{i}] contains NaN or infinity. {FIX}")
        arrays.append(array)
    return arrays


def unfolded(estimator, coefs, intercepts):
    """The parameters and the running moments before batch normalization is folded into the weights.

    Scales, shifts and moments are those of the attributes. If the user changed these or the weights after training,
    the returned weights and biases fold to `coefs` and `intercepts`.

    Returns
    -------
    params : Params
    moments : list of (ndarray, ndarray, ndarray)
    assigned : {"nothing", "weights", "all"}
        What the user assigned; "all" includes scales or shifts, so that the moments may match the weights.
    """
    batch_norm, vector, n_seen = unfolded_state(estimator)
    units, dtype = (coefs[0].shape[0], *map(len, intercepts)), coefs[0].dtype
    norms = [_numbers(estimator, name, 1) for name in BATCH_NORM]
    for name, arrays in zip(BATCH_NORM, norms, strict=True):
        if (shapes := [a.shape for a in arrays]) != [(n,) for n in units[1:-1]]:
            raise ValueError(f"{name} has shapes {shapes}, not those of the hidden layers {units[1:-1]}. {FIX}")
    if any((variances < 0).any() for variances in norms[-1]):
        raise ValueError(f"batch_norm_var_ must not be negative. {FIX}")
    params = Params(units, dtype, normed=True)
    if params.vector.shape != vector.shape:
        raise ValueError(f"coefs_ and intercepts_ have layers {units}, other than those trained. {FIX}")
    params.vector[:] = vector
    assigned = "weights"
    for new, old in zip(chain(*norms[:2]), chain(params.scales, params.shifts), strict=True):
        if not np.array_equal(new, old):
            old[:], assigned = new, "all"
    moments = [tuple(np.array(m, dtype) for m in ms) for ms in zip(*norms[2:], strict=True)]
    moments = [(*ms, np.array(n, dtype=float)) for ms, n in zip(moments, n_seen, strict=True)]
    folded = chain(*fold(params, moments, batch_norm))
    if all(map(np.array_equal, chain(coefs, intercepts), folded)):
        return params, moments, "nothing"
    invertible = unfold(coefs, intercepts, params, moments, batch_norm)
    return params, moments, assigned if invertible else "weights"

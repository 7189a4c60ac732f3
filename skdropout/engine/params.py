"""The parameters of a network as one flat vector."""

import math
from itertools import pairwise

import numpy as np


class Params:
    """Weights and biases of a network in one contiguous vector, all weights first.

    ``vector`` is the only storage. All other arrays are views into it: ``weights`` (the parameters that are penalized),
    ``coefs[l]`` of shape ``(units[l], units[l + 1])``, ``intercepts[l]`` of shape ``(units[l + 1],)`` and, with batch
    normalization, ``scales[l]`` and ``shifts[l]`` of shape ``(units[l + 1],)`` of each hidden layer. Pickles and copies
    contain only the vector, from which the views are rebuilt.

    Parameters
    ----------
    units : sequence of int
        Width of each layer, inputs first, outputs last.
    dtype : numpy dtype
    vector : ndarray of shape (size,), default=None
        Storage to use; None for a new vector of zeros, with ones for the scales.
    normed : bool, default=False
        Whether the hidden layers have scales and shifts.
    """

    def __init__(self, units, dtype, vector=None, normed=False):
        units = tuple(units)
        shapes = [*pairwise(units), *((n,) for n in units[1:])]
        if normed:
            shapes += [(n,) for n in units[1:-1] * 2]
        ends = np.cumsum([0, *map(math.prod, shapes)])
        storage = np.zeros(ends[-1], dtype=dtype) if vector is None else vector
        views = [storage[a:b].reshape(shape) for (a, b), shape in zip(pairwise(ends), shapes, strict=True)]
        n_layers, n_hidden = len(units) - 1, len(units) - 2
        self.units, self.dtype, self.vector, self.normed = units, np.dtype(dtype), storage, normed
        self.weights = storage[: ends[n_layers]]
        self.coefs, self.intercepts = views[:n_layers], views[n_layers : 2 * n_layers]
        norm_views = views[2 * n_layers :]
        self.scales, self.shifts = norm_views[:n_hidden], norm_views[n_hidden:]
        if vector is None:
            for scale in self.scales:
                scale[:] = 1

    @classmethod
    def pack(cls, coefs, intercepts, dtype):
        """Copy per-layer arrays into a new flat vector."""
        units = [coefs[0].shape[0], *(W.shape[1] for W in coefs)]
        arrays = [np.ravel(a) for a in (*coefs, *intercepts)]
        return cls(units, dtype, np.concatenate(arrays).astype(dtype, copy=False))

    def __reduce__(self):
        return Params, (self.units, self.dtype, self.vector, self.normed)

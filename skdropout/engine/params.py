"""The parameters of a network as one flat vector."""

from itertools import pairwise

import numpy as np


class Params:
    """Weights and biases of a network in one contiguous vector, all the weights first.

    Laws
    ----
    ``vector`` is the only storage. ``weights`` (what a penalty sees), ``coefs[l]`` of shape
    ``(units[l], units[l + 1])`` and ``intercepts[l]`` of shape ``(units[l + 1],)`` are views into it;
    pickling and deep-copying carry the vector alone and rebuild the views.

    Parameters
    ----------
    units : sequence of int
        Width of every layer, inputs first, outputs last.
    dtype : numpy dtype
    vector : ndarray of shape (size,), default=None
        Storage to use; zeros when None.
    """

    def __init__(self, units, dtype, vector=None):
        shapes = list(pairwise(units))
        n_weights = sum(n_in * n_out for n_in, n_out in shapes)
        if vector is None:
            vector = np.zeros(n_weights + sum(units[1:]), dtype=dtype)
        self.units, self.dtype, self.vector = tuple(units), np.dtype(dtype), vector
        self.weights = vector[:n_weights]
        self.coefs, self.intercepts = [], []
        start = 0
        for n_in, n_out in shapes:
            self.coefs.append(vector[start : start + n_in * n_out].reshape(n_in, n_out))
            start += n_in * n_out
        for _, n_out in shapes:
            self.intercepts.append(vector[start : start + n_out])
            start += n_out

    @classmethod
    def pack(cls, coefs, intercepts, dtype):
        """Copy per-layer arrays into a new flat vector."""
        units = [coefs[0].shape[0], *(W.shape[1] for W in coefs)]
        arrays = [np.ravel(a) for a in (*coefs, *intercepts)]
        return cls(units, dtype, np.concatenate(arrays).astype(dtype, copy=False))

    def astype(self, dtype):
        """The same parameters in `dtype`; itself when they are."""
        if self.dtype == dtype:
            return self
        return Params(self.units, dtype, self.vector.astype(dtype))

    def __reduce__(self):
        return Params, (self.units, self.dtype, self.vector)

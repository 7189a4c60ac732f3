"""One thinned network per mini-batch: units that the whole batch drops are not computed.

A kept set S of the n_units of a layer stands as an index of |S| + 1 units. The last is a blank: its output and its
gradient are 0, so that where a gradient is spread over all units again, the dropped ones have a place to read 0 from.
With half the units kept a matrix product between two such layers takes a quarter of the time.
"""

import numpy as np
from scipy.sparse import issparse

from .layers import Affine, Noise, view


class Kept:
    """The units kept for a batch: ``units``, the blank last, and the ``place`` of each unit of the layer among them."""

    def __init__(self, keep):
        self.units = np.append(np.flatnonzero(keep), 0)  # the blank may read any unit: what it reads is overwritten
        self.place = np.full(len(keep), len(self.units) - 1)
        self.place[self.units[:-1]] = np.arange(len(self.units) - 1)


class ThinNoise(Noise):
    """Dropout of 0 or 1 / (1 - rate) with one mask for the batch, between two thinned layers.

    ``kept`` is None at rate 0, where all units are there. A sparse input is not thinned but multiplied.
    """

    def __init__(self, spec, dtype, n_units, is_input):
        super().__init__(spec, dtype, shared=True)
        self.n_units, self.is_input = n_units, is_input

    def draw(self, X, rng):
        """Draw which units are kept for the batch X."""
        self.keep = self.dropout.of_units(self.n_units, rng) if self.rate > 0 else None
        thins = self.rate > 0 and not (self.is_input and issparse(X))
        self.kept = Kept(self.keep) if thins else None

    def forward(self, x, rng, sample_weight):
        if self.keep is None:
            return x
        if self.kept is None:
            values = x.data * self.keep[x.indices]
            values *= self.dropout.scale
            return type(x)((values, x.indices, x.indptr), shape=x.shape)
        out = self.dropout.room((len(x), len(self.kept.units)))
        if self.is_input:
            x = np.take(x, self.kept.units, axis=1, out=out, mode="clip")
        np.multiply(x, self.dropout.scale, out=out)
        out[:, -1] = 0
        return out

    def backward(self, d):
        if self.kept is not None:
            d *= self.dropout.scale
            d[:, -1] = 0
        return d


class ThinAffine(Affine):
    """y = x W + b on the units kept before and after it.

    Parameters
    ----------
    W, b, dW, db, batch_size, input_gradient : as of Affine
    before, after : ThinNoise or None
        The noise on x and that on the output.
    """

    def __init__(self, W, b, dW, db, batch_size, input_gradient, before, after):
        super().__init__(W, b, dW, db, batch_size, input_gradient)
        self.before, self.after = before, after
        n_in, n_out = W.shape
        self.rows, self.thin, self.thin_gradient = (np.empty((n_in + 1) * (n_out + 1), W.dtype) for _ in range(3))
        self.y, self.dx = (np.empty(batch_size * (n + 1), W.dtype) for n in (n_out, n_in))

    def forward(self, x, rng, sample_weight):
        before, after = (None if noise is None else noise.kept for noise in (self.before, self.after))
        self.x, self.kept = x, (before, after)
        self.w, b = self.W, self.b
        if before is not None:
            out = view(self.rows, (len(before.units), self.w.shape[1]))
            self.w = np.take(self.w, before.units, axis=0, out=out, mode="clip")
        if after is not None:
            out = view(self.thin, (len(self.w), len(after.units)))
            self.w, b = np.take(self.w, after.units, axis=1, out=out, mode="clip"), b[after.units]
        y = view(self.y, (x.shape[0], len(b)))
        if issparse(x):
            y[:] = x @ self.w
        else:
            np.dot(x, self.w, out=y)
        y += b
        return y

    def backward(self, d):
        before, after = self.kept
        whole = before is None and after is None
        n, thin = len(d), self.dW if whole else view(self.thin_gradient, self.w.shape)
        if issparse(self.x):
            thin[:] = self.x.T @ d
        else:
            np.dot(self.x.T, d, out=thin)
        db = np.dot(self.ones[:n], d)
        if after is not None:
            out = self.dW if before is None else view(self.rows, (len(thin), self.dW.shape[1]))
            thin, db = np.take(thin, after.place, axis=1, out=out, mode="clip"), db[after.place]
        if before is not None:
            np.take(thin, before.place, axis=0, out=self.dW, mode="clip")
        self.db[:] = db
        return np.dot(d, self.w.T, out=view(self.dx, (n, len(self.w)))) if self.input_gradient else None

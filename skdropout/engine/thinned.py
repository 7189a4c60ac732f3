"""One thinned network per mini-batch: units that the whole batch drops are not computed.

A kept set S of the n_units of a layer stands as an index of |S| + 1 units. The last is a blank: its output and its
gradient are 0, so that where a gradient is spread over all units again, the dropped ones have a place to read 0 from.
With half the units kept a matrix product between two such layers is a quarter of the work.
"""

import numpy as np
from scipy.sparse import issparse

from .buffers import Room
from .layers import Affine, Noise


class Kept:
    """The units kept for a batch: ``units``, the blank last, and the ``place`` of each unit of the layer among them."""

    def __init__(self, keep):
        self.units = np.append(np.flatnonzero(keep), 0)  # the blank may read any unit: what it reads is overwritten
        self.place = np.full(len(keep), len(self.units) - 1)
        self.place[self.units[:-1]] = np.arange(len(self.units) - 1)


class ThinNoise(Noise):
    """Dropout of 0 or 1 / (1 - rate) with one mask for the batch, between two thinned layers.

    ``kept`` is None at rate 0, where no unit is dropped. A sparse input is multiplied instead of thinned, and
    masks of numbers likewise multiply.
    """

    def __init__(self, spec, dtype, n_units, is_input):
        super().__init__(spec, dtype, shared=True)
        self.n_units, self.is_input = n_units, is_input

    def draw(self, X, rng):
        """Draw which units are kept for the batch X."""
        self.keep = self.dropout.of_units(self.n_units, rng) if self.rate > 0 else None
        thins = self.rate > 0 and self.keep.dtype == bool and not (self.is_input and issparse(X))
        self.kept = Kept(self.keep) if thins else None

    def forward(self, x, rng, sample_weight):
        if self.keep is None:
            return x
        if self.kept is None:
            return self.dropout.apply(x, self.keep)
        out = self.dropout.room((len(x), len(self.kept.units)))
        if self.is_input:
            x = np.take(x, self.kept.units, axis=1, out=out, mode="clip")
        np.multiply(x, self.dropout.scale, out=out)
        out[:, -1] = 0
        return out

    def backward(self, d):
        if self.keep is None:
            return d
        if self.kept is None:
            return self.dropout.backward(d)
        d *= self.dropout.scale
        d[:, -1] = 0
        return d


class ThinAffine(Affine):
    """y = x W + b on the units kept before and after it.

    A sparse x meets all of W, of which it touches few rows: to gather columns of the whole would cost more.

    Parameters
    ----------
    W, b, dW, db, batch_size, input_gradient : as of Affine
    before, after : ThinNoise or None
        The noise on x and that on the output.
    """

    def __init__(self, W, b, dW, db, batch_size, input_gradient, before, after):
        super().__init__(W, b, dW, db, batch_size, input_gradient=False)  # whose buffers serve a sparse x
        self.input_gradient, self.before, self.after = input_gradient, before, after
        self.rows, self.thin, self.thin_gradient, self.thin_y, self.thin_dx = (Room(W.dtype) for _ in range(5))

    def forward(self, x, rng, sample_weight):
        before, after = self.kept = [noise and noise.kept for noise in (self.before, self.after)]
        if issparse(x):
            y = super().forward(x, rng, sample_weight)
            return y if after is None else _take(y, after.units, 1, self.thin_y)
        self.x, self.w, b = x, self.W, self.b
        if before is not None:
            self.w = _take(self.w, before.units, 0, self.rows)
        if after is not None:
            self.w, b = _take(self.w, after.units, 1, self.thin), b[after.units]
        y = np.dot(x, self.w, out=self.thin_y((len(x), len(b))))
        y += b
        return y

    def backward(self, d):
        before, after = self.kept
        if issparse(self.x):
            return super().backward(d if after is None else d[:, after.place])
        n, dW, db = len(d), self.dW, self.db
        if before is None and after is None:
            np.dot(self.x.T, d, out=dW)
        else:
            thin = np.dot(self.x.T, d, out=self.thin_gradient(self.w.shape))
            if after is not None:
                out = dW if before is None else self.rows((len(thin), dW.shape[1]))
                thin = np.take(thin, after.place, axis=1, out=out, mode="clip")
            if before is not None:
                np.take(thin, before.place, axis=0, out=dW, mode="clip")
        db[:] = np.dot(self.ones[:n], d) if after is None else np.dot(self.ones[:n], d)[after.place]
        return np.dot(d, self.w.T, out=self.thin_dx((n, len(self.w)))) if self.input_gradient else None


def _take(a, index, axis, room):
    """Rows or columns of a matrix, in a buffer; "clip", as elsewhere, is the mode that needs no temporary."""
    shape = (len(index), a.shape[1]) if axis == 0 else (len(a), len(index))
    return np.take(a, index, axis=axis, out=room(shape), mode="clip")

"""Thinned networks: units that are dropped for a whole mini-batch are not computed.

The kept units of a layer are represented by an index array with one additional unit at the end, the padding unit, whose
output and gradient are 0. When a gradient is expanded to all units, the dropped units read the 0 of the padding unit.
With half of the units kept, a matrix product between two such layers is a quarter of the work.
"""

import numpy as np
from scipy.sparse import issparse

from .buffers import GrowingBuffer
from .layers import Affine, Noise
from .products import dot


class KeptUnits:
    """Units that are kept for a batch.

    Parameters
    ----------
    mask : ndarray of bool of shape (n_units,)

    Attributes
    ----------
    index : ndarray of shape (n_kept + 1,)
        Index of each kept unit among all units of the layer, and of the padding unit.
    inverse : ndarray of shape (n_units,)
        Position of each unit of the layer in ``index``; that of the padding unit for dropped units.
    """

    def __init__(self, mask):
        self.index = np.append(np.flatnonzero(mask), 0)  # the padding unit may read any unit: it is overwritten
        self.inverse = np.full(len(mask), len(self.index) - 1)
        self.inverse[self.index[:-1]] = np.arange(len(self.index) - 1)


class ThinNoise(Noise):
    """Noise of 0 or 1 / (1 - rate), shared by the rows of a batch, that thins the layers before and after it.

    ``unit_noise`` is the noise of the batch, None at rate 0. ``kept`` is None if no unit is skipped: at rate 0, and for
    noise that is multiplied instead, which is noise on a sparse input of the network and noise that is not boolean.
    """

    def __init__(self, spec, dtype, n_units, is_input):
        super().__init__(spec, dtype, shared=True)
        self.n_units, self.is_input = n_units, is_input

    def draw(self, X, rng):
        """Draw the noise for the batch X."""
        self.unit_noise = self.dropout.sample_units(self.n_units, rng) if self.rate > 0 else None
        thins = self.rate > 0 and self.unit_noise.dtype == bool and not (self.is_input and issparse(X))
        self.kept = KeptUnits(self.unit_noise) if thins else None

    def forward(self, x, rng, sample_weight):
        if self.unit_noise is None:
            return x
        if self.kept is None:
            return self.dropout.apply(x, self.unit_noise)
        out = self.dropout.buffer((len(x), len(self.kept.index)))
        if self.is_input:
            x = np.take(x, self.kept.index, axis=1, out=out, mode="clip")
        np.multiply(x, self.dropout.scale, out=out)
        out[:, -1] = 0
        return out

    def backward(self, d):
        if self.unit_noise is None:
            return d
        if self.kept is None:
            return self.dropout.backward(d)
        d *= self.dropout.scale
        d[:, -1] = 0
        return d


class ThinAffine(Affine):
    """y = x W + b for the kept units of x and y.

    A sparse x is multiplied by all of W, since it uses few rows of it: gathering columns of W would take longer.

    Parameters
    ----------
    W, b, dW, db, batch_size, input_gradient : as for Affine
    before, after : ThinNoise or None
        Noise on x, and noise on y.
    """

    def __init__(self, W, b, dW, db, batch_size, input_gradient, before, after):
        super().__init__(W, b, dW, db, batch_size, input_gradient=False)  # its buffers are used for sparse x
        self.input_gradient, self.before, self.after = input_gradient, before, after
        self.row_buffer, self.weight_buffer, self.gradient_buffer, self.y_buffer, self.dx_buffer = (
            GrowingBuffer(W.dtype) for _ in range(5)
        )

    def forward(self, x, rng, sample_weight):
        before, after = self.kept = [noise and noise.kept for noise in (self.before, self.after)]
        if issparse(x):
            y = super().forward(x, rng, sample_weight)
            return y if after is None else _take(y, after.index, 1, self.y_buffer)
        self.x, self.thin_W, b = x, self.W, self.b
        if before is not None:
            self.thin_W = _take(self.thin_W, before.index, 0, self.row_buffer)
        if after is not None:
            self.thin_W, b = _take(self.thin_W, after.index, 1, self.weight_buffer), b[after.index]
        y = dot(x, self.thin_W, out=self.y_buffer((len(x), len(b))))
        y += b
        return y

    def backward(self, d):
        before, after = self.kept
        if issparse(self.x):
            return super().backward(d if after is None else d[:, after.inverse])
        n, dW, db = len(d), self.dW, self.db
        if before is None and after is None:
            dot(self.x.T, d, out=dW)
        else:
            thin_dW = dot(self.x.T, d, out=self.gradient_buffer(self.thin_W.shape))
            if after is not None:
                out = dW if before is None else self.row_buffer((len(thin_dW), dW.shape[1]))
                thin_dW = np.take(thin_dW, after.inverse, axis=1, out=out, mode="clip")
            if before is not None:
                np.take(thin_dW, before.inverse, axis=0, out=dW, mode="clip")
        db[:] = np.dot(self.ones[:n], d) if after is None else np.dot(self.ones[:n], d)[after.inverse]
        return dot(d, self.thin_W.T, out=self.dx_buffer((n, len(self.thin_W)))) if self.input_gradient else None


def _take(a, index, axis, buffer):
    """Return rows or columns of a matrix, in a buffer. The mode "clip" needs no temporary array."""
    shape = (len(index), a.shape[1]) if axis == 0 else (len(a), len(index))
    return np.take(a, index, axis=axis, out=buffer(shape), mode="clip")

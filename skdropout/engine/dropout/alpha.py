"""Alpha dropout."""

from typing import final

import numpy as np

from .base import Dropout

SATURATION = -1.7580993408473766  # α' = -λα, the limit of SELU for z → -∞


@final
class Alpha(Dropout):
    """Dropout that preserves mean 0 and variance 1, for SELU networks:

        a · (x m + α' (1 - m)) + b,   m ~ Bernoulli(q),  q = 1 - p,
        a = (q (1 + p α'²))^(-1/2),  b = -a p α'.

    A dropped unit is set to α' = -1.7581, the value at which SELU saturates, instead of 0. Only a mean of 0 with a
    variance of 1 is preserved. The same as AlphaDropout of PyTorch and Keras.

    References
    ----------
    G. Klambauer et al. (2017). Self-Normalizing Neural Networks. NeurIPS 30.
    """

    takes_sparse = False  # dropped zeros become α', so the result would be dense

    def set_rate(self, rate):
        self.keep.set_rate(rate)
        p = self.keep.rate
        self.a = ((1 - p) * (1 + p * SATURATION**2)) ** -0.5
        self.b = -self.a * p * SATURATION

    def forward(self, x, rng, out=None):
        self.mask = self.keep.draw(x.shape[1] if self.shared else x.size, rng)
        if not self.shared:
            self.mask = self.mask.reshape(x.shape)
        out = np.subtract(x, SATURATION, out=self.buffer(x.shape) if out is None else out)
        out *= self.mask
        out += SATURATION
        out *= self.a
        out += self.b
        return out

    def backward(self, d):
        d *= self.mask
        d *= self.a
        return d

    def mean(self, x):
        p = self.keep.rate
        return self.a * ((1 - p) * x + p * SATURATION) + self.b

    def variance(self, x):
        p = self.keep.rate
        return self.a**2 * p * (1 - p) * (x - SATURATION) ** 2

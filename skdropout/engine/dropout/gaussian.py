"""Gaussian dropout."""

from math import sqrt
from typing import final

from .base import Multiplicative


@final
class Gaussian(Multiplicative):
    """Multiplicative Gaussian noise: x · ε, ε ~ N(1, σ²), σ² = rate / (1 - rate).

    Mean and variance are those of Bernoulli dropout, but no unit is exactly zero. The same as GaussianDropout of Keras.

    References
    ----------
    N. Srivastava et al. (2014), section 10. Dropout: A Simple Way to Prevent Neural Networks from Overfitting. JMLR 15.
    """

    def set_rate(self, rate):
        self.std = sqrt(rate / (1 - rate))

    def sample(self, x, rng):
        noise = rng.standard_normal(x.size, dtype=self.dtype.type)
        noise *= self.std
        noise += 1
        return noise

    def variance(self, x):
        return x**2 * self.std**2

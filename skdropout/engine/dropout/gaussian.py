"""Gaussian dropout."""

from math import sqrt
from typing import final

from .base import Multiplicative


@final
class Gaussian(Multiplicative):
    """Multiplicative Gaussian noise: x · ε, ε ~ N(1, σ²), σ² = rate / (1 - rate): the mean and variance of Bernoulli's.

    Keras' GaussianDropout. No unit is ever exactly zero.

    References
    ----------
    N. Srivastava et al. (2014), section 10. Dropout: A Simple Way to Prevent Neural Networks from Overfitting. JMLR 15.
    """

    def set_rate(self, rate):
        self.deviation = sqrt(rate / (1 - rate))

    def sample(self, x, rng):
        noise = rng.standard_normal(x.size, dtype=self.dtype.type)
        noise *= self.deviation
        noise += 1
        return noise

    def variance(self, x):
        return x**2 * self.deviation**2

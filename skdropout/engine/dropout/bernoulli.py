"""Standard dropout."""

from typing import final

from .base import Multiplicative


@final
class Bernoulli(Multiplicative):
    """Inverted dropout: x · m / q, m ~ Bernoulli(q), q = 1 - rate, for each unit of each row.

    References
    ----------
    N. Srivastava et al. (2014). Dropout: A Simple Way to Prevent Neural Networks from Overfitting. JMLR 15.
    """

    def set_rate(self, rate):
        self.keep.set_rate(rate)
        self.scale = 1 / (1 - self.keep.rate)

    def sample(self, x, rng):
        return self.keep.draw(x.size, rng)

    def variance(self, x):
        return x**2 * (self.scale - 1)

"""Standard dropout."""

from typing import final

import numpy as np

from ..rng import random_words
from .base import Multiplicative

WORDS = 1 << 16  # values of a 16-bit word


@final
class Bernoulli(Multiplicative):
    """Inverted dropout: x · m / q, m ~ Bernoulli(q), q = 1 - rate, for each unit of each row.

    A unit is dropped when its 16-bit word is below ``rate · 2¹⁶``. The rate is rounded to that grid and the
    scale taken from the rounded rate, so that the mean is exactly 1; a rate above 0 stays above 0.

    References
    ----------
    N. Srivastava et al. (2014). Dropout: A Simple Way to Prevent Neural Networks from Overfitting. JMLR 15.
    """

    def __init__(self, rate, dtype):
        super().__init__(rate, dtype)
        self.threshold = min(max(round(rate * WORDS), 1), WORDS - 1)
        self.scale = WORDS / (WORDS - self.threshold)
        self._mask = np.empty(0, bool)

    def sample(self, size, rng):
        """Which elements are kept, one byte each."""
        if self._mask.size < size:
            self._mask = np.empty(size, bool)
        words = random_words(size, rng)
        return np.greater_equal(words, np.uint16(self.threshold), out=self._mask[:size])

    def variance(self, x):
        return x**2 * (self.scale - 1)

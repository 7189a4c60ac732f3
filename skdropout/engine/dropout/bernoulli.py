"""Standard dropout."""

from typing import final

from .base import Masking


@final
class Bernoulli(Masking):
    """Inverted dropout: x · m / q, m ~ Bernoulli(q), q = 1 - rate, for each unit of each row.

    References
    ----------
    N. Srivastava et al. (2014). Dropout: A Simple Way to Prevent Neural Networks from Overfitting. JMLR 15.
    """

    def sample(self, x, rng):
        return self.keep.draw(x.size, rng)

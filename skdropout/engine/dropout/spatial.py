"""Spatial dropout."""

from typing import final

import numpy as np
from scipy.sparse import issparse

from .base import Multiplicative


@final
class Spatial(Multiplicative):
    """Inverted dropout of whole groups: x_j · m_g(j) / q, m ~ Bernoulli(q), one for each group g of each row.

    A group is what makes sense together only: the units of a feature map, a one-hot block, an image channel, a lag
    window. Neighbours that tell the same story make dropping one of them pointless. Without groups it is Bernoulli's.

    References
    ----------
    J. Tompson et al. (2015). Efficient Object Localization Using Convolutional Networks. CVPR.
    """

    def set_rate(self, rate):
        self.keep.set_rate(rate)
        self.scale = 1 / (1 - self.keep.rate)

    def sample(self, x, rng):
        n, n_in = x.shape
        groups = np.arange(n_in) if self.groups is None else self.groups
        n_groups = int(groups.max()) + 1
        kept = self.keep.draw(n * n_groups, rng).reshape(n, n_groups)
        if issparse(x):
            return kept[np.repeat(np.arange(n), np.diff(x.indptr)), groups[x.indices]]
        return kept[:, groups]

    def variance(self, x):
        return x**2 * (self.scale - 1)

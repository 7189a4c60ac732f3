"""Spatial dropout."""

from typing import final

import numpy as np
from scipy.sparse import issparse

from .base import Masking


@final
class Spatial(Masking):
    """Inverted dropout of whole groups: x_j · m_g(j) / q, m ~ Bernoulli(q), one for each group g of each row.

    Examples of groups are the units of a feature map, the columns of a one-hot encoding, an image channel and a window
    of lags. Dropping single units has little effect if their neighbors carry the same information. Without groups it is
    Bernoulli dropout.

    References
    ----------
    J. Tompson et al. (2015). Efficient Object Localization Using Convolutional Networks. CVPR.
    """

    uses_groups = True

    def __init__(self, rate, dtype, groups=None, shared=False):
        super().__init__(rate, dtype, groups, shared)
        self.n_groups = None if groups is None else int(groups.max()) + 1

    def sample(self, x, rng):
        if self.groups is None:
            return self.keep.draw(x.size, rng)
        kept = self.keep.draw(x.shape[0] * self.n_groups, rng).reshape(-1, self.n_groups)
        if issparse(x):
            return kept[np.repeat(np.arange(x.shape[0]), np.diff(x.indptr)), self.groups[x.indices]]
        return np.take(kept, self.groups, axis=1)

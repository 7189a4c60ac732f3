"""Penalty on the weights."""

import numpy as np

from .buffers import axpy


class Penalty:
    """P(w) = alpha (λ |w|₁ + (1 - λ)/2 ||w||²) / weight_sum, where w is the first `n_weights` parameters of a vector.

    Parameters
    ----------
    alpha : float
        Strength of the penalty.
    l1_ratio : float
        λ, the fraction of the penalty that is L1.
    n_weights : int
    """

    def __init__(self, alpha, l1_ratio, n_weights):
        alpha, l1_ratio = float(alpha), float(l1_ratio)  # a NumPy float32 would round the products
        self.l1, self.l2, self.n_weights = alpha * l1_ratio, alpha * (1 - l1_ratio), n_weights

    def add(self, params, gradient, weight_sum, part, scratch):
        """Add dP/dw to the slice `part` of the gradient, and return the value of P for this slice."""
        stop = min(part.stop, self.n_weights)
        if part.start >= stop:
            return 0.0
        w, g, scratch = params[part.start : stop], gradient[part.start : stop], scratch[: stop - part.start]
        value = 0.0
        if self.l2 > 0:
            axpy(self.l2 / weight_sum, w, g)
            value += 0.5 * self.l2 / weight_sum * float(np.dot(w, w))
        if self.l1 > 0:
            np.sign(w, out=scratch)
            value += self.l1 / weight_sum * float(np.dot(w, scratch))
            axpy(self.l1 / weight_sum, scratch, g)
        return value

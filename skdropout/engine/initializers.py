"""Initial weights."""

import numpy as np


def glorot_uniform(params, random_state, factor=6.0):
    """Fill `params` from U(-r, r), r = sqrt(factor / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Layer by layer, weights then biases, drawn in float64: scikit-learn's order, so that its numbers
    come out again. Its factor is 2 for logistic units and 6 for all others.
    """
    for W, b in zip(params.coefs, params.intercepts, strict=True):
        bound = np.sqrt(factor / sum(W.shape))
        W[:] = random_state.uniform(-bound, bound, W.shape)
        b[:] = random_state.uniform(-bound, bound, b.shape)


FACTORS = {"logistic": 2.0}

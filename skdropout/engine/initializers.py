"""Initial weights and biases."""

import numpy as np

from .activations import ACTIVATIONS
from .registry import Registry


def glorot_uniform(W, b, random_state, factor=6.0):
    """Draw weights and biases from U(-r, r), r = sqrt(factor / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    As in scikit-learn: drawn in float64, weights first, with factor 2 for logistic units and 6 for all others.
    """
    bound = np.sqrt(factor / sum(W.shape))
    W[:] = random_state.uniform(-bound, bound, W.shape)
    b[:] = random_state.uniform(-bound, bound, b.shape)


def glorot_uniform_logistic(W, b, random_state):
    glorot_uniform(W, b, random_state, factor=2.0)


def lecun_normal(W, b, random_state):
    """Draw weights from N(0, 1 / fan_in), which SELU needs to keep the variance (Klambauer et al., 2017); biases 0."""
    W[:] = random_state.normal(scale=np.sqrt(1 / len(W)), size=W.shape)
    b[:] = 0


def he_normal(W, b, random_state):
    """Draw weights from N(0, 2 / fan_in), for activations close to 0 below 0 (He et al., 2015); biases 0."""
    W[:] = random_state.normal(scale=np.sqrt(2 / len(W)), size=W.shape)
    b[:] = 0


INITIALIZERS = Registry(
    "initializer",
    "skdropout.engine.initializers.INITIALIZERS",
    {
        "glorot_uniform": glorot_uniform,
        "glorot_uniform_logistic": glorot_uniform_logistic,
        "lecun_normal": lecun_normal,
        "he_normal": he_normal,
    },
)


def initialize(params, activations, random_state):
    """Fill `params` layer by layer, each with the initializer of the activation that it leads to, given by name."""
    for W, b, name in zip(params.coefs, params.intercepts, activations, strict=True):
        INITIALIZERS[ACTIVATIONS[name].initializer](W, b, random_state)

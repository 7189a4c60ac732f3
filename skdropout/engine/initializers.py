"""Initial weights, by the activation they lead to."""

import numpy as np


def glorot_uniform(W, b, random_state, factor=6.0):
    """Weights and biases from U(-r, r), r = sqrt(factor / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Scikit-learn's: drawn in float64, weights then biases. Its factor is 2 for logistic units and 6 for others.
    """
    bound = np.sqrt(factor / sum(W.shape))
    W[:] = random_state.uniform(-bound, bound, W.shape)
    b[:] = random_state.uniform(-bound, bound, b.shape)


def glorot_uniform_logistic(W, b, random_state):
    glorot_uniform(W, b, random_state, factor=2.0)


def lecun_normal(W, b, random_state):
    """Weights from N(0, 1 / fan_in), biases 0: keeps the variance through SELU (Klambauer et al., 2017)."""
    W[:] = random_state.normal(scale=np.sqrt(1 / len(W)), size=W.shape)
    b[:] = 0


def he_normal(W, b, random_state):
    """Weights from N(0, 2 / fan_in), biases 0: for units that are silent, or nearly, below 0 (He et al., 2015)."""
    W[:] = random_state.normal(scale=np.sqrt(2 / len(W)), size=W.shape)
    b[:] = 0


INITIALIZERS = {  # other activations start as in scikit-learn
    "identity": glorot_uniform,
    "logistic": glorot_uniform_logistic,
    "tanh": glorot_uniform,
    "relu": glorot_uniform,  # He's would suit it better; scikit-learn's is what makes the weights the same
    "selu": lecun_normal,
    "elu": he_normal,
    "leaky_relu": he_normal,
    "gelu": he_normal,
    "silu": he_normal,
}


def initialize(params, activations, random_state):
    """Fill `params` layer by layer, each as its name in `activations` says."""
    for W, b, name in zip(params.coefs, params.intercepts, activations, strict=True):
        INITIALIZERS.get(name, glorot_uniform)(W, b, random_state)

"""Activation functions of the hidden layers and of the output. All work in place."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtr

from .registry import Registry


class Activation(NamedTuple):
    """Elementwise activation y = f(z) of a hidden layer.

    Both functions may be called from several threads at once.

    Attributes
    ----------
    forward : callable
        ``forward(z)`` overwrites z, (n, n_units), with f(z).
    derivative : callable or None
        ``derivative(y, out)`` computes f'(z) from y and writes it into `out`. None for the identity.
    binary_derivative : bool
        Whether the derivative is always 0 or 1. It is then stored in one byte per unit.
    from_input : bool
        Whether ``derivative`` gets z instead of y.
    initializer : str
        Name in ``INITIALIZERS`` of the distribution of the initial weights of the layer.
    """

    forward: Callable
    derivative: Callable | None
    binary_derivative: bool = False
    from_input: bool = False
    initializer: str = "glorot_uniform"


def identity(z):
    pass


def relu(z):
    np.maximum(z, 0, out=z)


def relu_derivative(y, out):
    np.greater(y, 0, out=out)


def tanh(z):
    np.tanh(z, out=z)


def tanh_derivative(y, out):  # 1 - y²
    np.multiply(y, y, out=out)
    np.subtract(1, out, out=out)


def logistic(z):
    expit(z, out=z)


def logistic_derivative(y, out):  # y (1 - y)
    np.subtract(1, y, out=out)
    out *= y


LAMBDA, ALPHA = 1.0507009873554805, 1.6732632423543772  # SELU keeps mean 0 and variance 1 (Klambauer et al., 2017)
LEAK = 0.01  # slope of leaky_relu below 0 (Maas et al., 2013)


def _exponential_linear(z, scale, saturation):
    """Compute scale · z above 0, and saturation · (e^z - 1) below."""
    below = np.minimum(z, 0)
    np.expm1(below, out=below)
    below *= saturation
    np.maximum(z, 0, out=z)
    z *= scale
    z += below


def _exponential_linear_derivative(y, out, scale, saturation):  # scale above 0, y + saturation below
    np.add(y, saturation, out=out)
    out[y > 0] = scale


def selu(z):
    _exponential_linear(z, LAMBDA, LAMBDA * ALPHA)


def selu_derivative(y, out):
    _exponential_linear_derivative(y, out, LAMBDA, LAMBDA * ALPHA)


def elu(z):
    _exponential_linear(z, 1.0, 1.0)


def elu_derivative(y, out):
    _exponential_linear_derivative(y, out, 1.0, 1.0)


def leaky_relu(z):
    np.maximum(z, LEAK * z, out=z)


def leaky_relu_derivative(y, out):
    np.greater(y, 0, out=out)
    out *= 1 - LEAK
    out += LEAK


def gelu(z):  # z Φ(z)
    z *= ndtr(z)


def gelu_derivative(z, out):  # Φ(z) + z φ(z)
    np.multiply(z, z, out=out)
    out *= -0.5
    np.exp(out, out=out)
    out *= z
    out *= 1 / math.sqrt(2 * math.pi)
    out += ndtr(z)


def silu(z):  # z σ(z)
    z *= expit(z)


def silu_derivative(z, out):  # σ(z) (1 + z (1 - σ(z)))
    sigma = expit(z)
    np.subtract(1, sigma, out=out)
    out *= z
    out += 1
    out *= sigma


def exp(z):
    np.exp(z, out=z)


def softmax(z):
    # max(axis=1) of 256 x 10 takes 14 µs, max(axis=0) of a transposed copy 2.5 µs; of 256 x 1000 it is 28 and 152 µs
    largest = np.ascontiguousarray(z.T).max(axis=0) if z.shape[1] < 64 else z.max(axis=1)
    z -= largest[:, np.newaxis]
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)


LOG_VARIANCE_LIMIT = math.log(1e6)  # of its magnitude; PyTorch's GaussianNLLLoss has the same smallest variance


def gaussian(z):
    """Clip the second half of the columns, the log variances. The first half are the means."""
    log_variance = z[:, z.shape[1] // 2 :]
    np.clip(log_variance, -LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT, out=log_variance)


ROWS = {
    "identity": Activation(identity, None),
    "logistic": Activation(logistic, logistic_derivative, initializer="glorot_uniform_logistic"),
    "tanh": Activation(tanh, tanh_derivative),
    "relu": Activation(relu, relu_derivative, binary_derivative=True),  # as in scikit-learn; he_normal suits it better
    "selu": Activation(selu, selu_derivative, initializer="lecun_normal"),
    "elu": Activation(elu, elu_derivative, initializer="he_normal"),
    "leaky_relu": Activation(leaky_relu, leaky_relu_derivative, initializer="he_normal"),
    "gelu": Activation(gelu, gelu_derivative, from_input=True, initializer="he_normal"),
    "silu": Activation(silu, silu_derivative, from_input=True, initializer="he_normal"),
}
ACTIVATIONS = Registry("activation", "skdropout.engine.activations.ACTIVATIONS", ROWS, Activation)

# Output activations need no derivative: each loss returns the gradient before its output activation (losses.py).
OUTPUTS = Registry(
    "output activation",
    "skdropout.engine.activations.OUTPUTS",
    {"identity": identity, "logistic": logistic, "softmax": softmax, "exp": exp, "gaussian": gaussian},
)
REAL_OUTPUTS = {"identity", "gaussian"}  # the predictions are any real numbers, on the scale of the targets


def columns_per_output(output):
    """Return the number of columns of the last layer for each output. The first of them are the predictions."""
    return 2 if output == "gaussian" else 1

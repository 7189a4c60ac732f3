"""Activation functions of the hidden layers and of the output, in place."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtr

from .registry import Registry


class Activation(NamedTuple):
    """A hidden activation y = f(z), element by element.

    ``forward(z)`` overwrites z, (n, n_units), with f(z); ``slope(y, out)`` writes f'(z), computed from y, into `out`;
    with ``of_input`` it gets z instead. A ``boolean`` slope is 0 or 1 everywhere and takes one byte per unit.
    ``slope`` is None for the identity. Both may be called from several threads at once.
    """

    forward: Callable
    slope: Callable | None
    boolean: bool = False
    of_input: bool = False


def identity(z):
    pass


def relu(z):
    np.maximum(z, 0, out=z)


def relu_slope(y, out):
    np.greater(y, 0, out=out)


def tanh(z):
    np.tanh(z, out=z)


def tanh_slope(y, out):  # 1 - y²
    np.multiply(y, y, out=out)
    np.subtract(1, out, out=out)


def logistic(z):
    expit(z, out=z)


def logistic_slope(y, out):  # y (1 - y)
    np.subtract(1, y, out=out)
    out *= y


LAMBDA, ALPHA = 1.0507009873554805, 1.6732632423543772  # SELU keeps mean 0 and variance 1 (Klambauer et al., 2017)
LEAK = 0.01  # slope of leaky_relu below 0 (Maas et al., 2013)


def _exponential_linear(z, scale, saturation):
    """scale · z above 0, saturation · (e^z - 1) below."""
    below = np.minimum(z, 0)
    np.expm1(below, out=below)
    below *= saturation
    np.maximum(z, 0, out=z)
    z *= scale
    z += below


def _exponential_linear_slope(y, out, scale, saturation):  # scale above 0, y + saturation below
    np.add(y, saturation, out=out)
    out[y > 0] = scale


def selu(z):
    _exponential_linear(z, LAMBDA, LAMBDA * ALPHA)


def selu_slope(y, out):
    _exponential_linear_slope(y, out, LAMBDA, LAMBDA * ALPHA)


def elu(z):
    _exponential_linear(z, 1.0, 1.0)


def elu_slope(y, out):
    _exponential_linear_slope(y, out, 1.0, 1.0)


def leaky_relu(z):
    np.maximum(z, LEAK * z, out=z)


def leaky_relu_slope(y, out):
    np.greater(y, 0, out=out)
    out *= 1 - LEAK
    out += LEAK


def gelu(z):  # z Φ(z)
    z *= ndtr(z)


def gelu_slope(z, out):  # Φ(z) + z φ(z)
    np.multiply(z, z, out=out)
    out *= -0.5
    np.exp(out, out=out)
    out *= z
    out *= 1 / math.sqrt(2 * math.pi)
    out += ndtr(z)


def silu(z):  # z σ(z)
    z *= expit(z)


def silu_slope(z, out):  # σ(z) (1 + z (1 - σ(z)))
    sigma = expit(z)
    np.subtract(1, sigma, out=out)
    out *= z
    out += 1
    out *= sigma


def exp(z):
    np.exp(z, out=z)


def softmax(z):
    # along short rows max takes 14 µs for 256 x 10, down the columns of a copy 2.5; for 256 x 1000 it is 28 and 152
    largest = np.ascontiguousarray(z.T).max(axis=0) if z.shape[1] < 64 else z.max(axis=1)
    z -= largest[:, np.newaxis]
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)


ROWS = {
    "identity": Activation(identity, None),
    "logistic": Activation(logistic, logistic_slope),
    "tanh": Activation(tanh, tanh_slope),
    "relu": Activation(relu, relu_slope, boolean=True),
    "selu": Activation(selu, selu_slope),
    "elu": Activation(elu, elu_slope),
    "leaky_relu": Activation(leaky_relu, leaky_relu_slope),
    "gelu": Activation(gelu, gelu_slope, of_input=True),
    "silu": Activation(silu, silu_slope, of_input=True),
}
ACTIVATIONS = Registry("activation", "skdropout.engine.activations.ACTIVATIONS", ROWS, Activation)

# The inverse link of a loss needs no slope: every loss is the canonical one of its output (losses.py).
OUTPUTS = Registry(
    "output activation",
    "skdropout.engine.activations.OUTPUTS",
    {"identity": identity, "logistic": logistic, "softmax": softmax, "exp": exp},
)

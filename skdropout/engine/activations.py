"""Activation functions of the hidden layers and of the output, in place."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit


class Activation(NamedTuple):
    """A hidden activation y = f(z) whose slope is a function of y.

    ``forward(z)`` overwrites z with f(z); ``slope(y, out)`` writes f'(z) into `out`. A ``boolean``
    slope is 0 or 1 everywhere and takes one byte a unit. ``slope`` is None for the identity.
    """

    forward: Callable
    slope: Callable | None
    boolean: bool = False


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


def exp(z):
    np.exp(z, out=z)


def softmax(z):
    z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)


ACTIVATIONS = {
    "identity": Activation(identity, None),
    "logistic": Activation(logistic, logistic_slope),
    "tanh": Activation(tanh, tanh_slope),
    "relu": Activation(relu, relu_slope, boolean=True),
}

# The inverse link of a loss needs no slope: every loss is the canonical one of its output (losses.py).
OUTPUTS = {"identity": identity, "logistic": logistic, "softmax": softmax, "exp": exp}

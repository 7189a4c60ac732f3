"""Layers for training: forward and backward on one screen."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse

from .activations import ACTIVATIONS
from .dropout import DROPOUTS


class LayerSpec(NamedTuple):
    """What a layer is: its width, its activation and the dropout on its input."""

    units: int
    activation: str
    dropout: str = "bernoulli"
    rate: float = 0.0


class Dense:
    """noise -> affine -> activation:  y = f((x · noise) W + b).

    Laws
    ----
    Forward writes only buffers of this layer; backward may overwrite the gradient it is handed.
    A short batch of n rows uses the first n rows of each buffer.

    Parameters
    ----------
    spec : LayerSpec
    W, b : ndarray of shape (n_in, n_out) and (n_out,)
        Weights and biases, views into the parameter vector.
    dW, db : ndarray of the same shapes
        Views into the gradient vector, overwritten by backward.
    batch_size : int
        Most rows of a batch.
    input_gradient : bool
        False for the first layer, whose input needs none.
    """

    def __init__(self, spec, W, b, dW, db, batch_size, input_gradient):
        self.W, self.b, self.dW, self.db = W, b, dW, db
        n_in, n_out = W.shape
        self.activation = ACTIVATIONS[spec.activation]
        self.dropout = DROPOUTS[spec.dropout](spec.rate, W.dtype) if spec.rate > 0 else None
        self.y = np.empty((batch_size, n_out), W.dtype)
        slope = self.activation.slope is not None
        self.slope = np.empty_like(self.y, dtype=bool if self.activation.boolean else None) if slope else None
        self.dx = np.empty((batch_size, n_in), W.dtype) if input_gradient else None
        self.ones = np.ones(batch_size, W.dtype)  # a product with ones sums columns in half the time of sum()

    def forward(self, x, rng):
        """The output for a batch x, (n, n_in) -> (n, n_out)."""
        if self.dropout is not None:
            if issparse(x):  # a zero stays zero: noise on the stored values is all there is
                noisy = self.dropout.forward(x.data, rng)
                x = type(x)((noisy, x.indices, x.indptr), shape=x.shape)
            else:
                x = self.dropout.forward(x, rng)
        self.x = x
        y = self.y[: x.shape[0]]
        if issparse(x):
            y[:] = x @ self.W
        else:
            np.dot(x, self.W, out=y)
        y += self.b
        self.activation.forward(y)
        return y

    def backward(self, d):
        """From dL/dy to dW, db and, where it is wanted, dL/dx of the last batch."""
        n = len(d)
        if self.slope is not None:
            self.activation.slope(self.y[:n], self.slope[:n])
            d *= self.slope[:n]
        if issparse(self.x):
            self.dW[:] = self.x.T @ d
        else:
            np.dot(self.x.T, d, out=self.dW)
        np.dot(self.ones[:n], d, out=self.db)
        if self.dx is None:
            return None
        dx = np.dot(d, self.W.T, out=self.dx[:n])
        return dx if self.dropout is None else self.dropout.backward(dx)

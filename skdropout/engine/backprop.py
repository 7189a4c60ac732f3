"""The training twin of a network: loss and gradient of a mini-batch."""

import numpy as np

from .activations import OUTPUTS
from .layers import Dense
from .losses import LOSSES
from .params import Params


class Backprop:
    """Loss and gradient of a batch; owns every buffer, lives for one fit.

    The objective of a batch, with w_i the sample weights, is

        (sum_i w_i l(Y_i, f(x_i)) + alpha/2 ||weights||²) / sum_i w_i.

    Parameters
    ----------
    params : Params
        Read at every call, never written.
    specs : sequence of LayerSpec
        One a layer, output last.
    loss : str
        A key of ``LOSSES``.
    alpha : float
        L2 penalty on the weights, not on the biases.
    batch_size : int
        Most rows of a batch.
    """

    def __init__(self, params, specs, loss, alpha, batch_size):
        self.params, self.alpha = params, float(alpha)
        self.loss = LOSSES[loss]
        self.inverse_link = OUTPUTS[self.loss.output]
        gradient = Params(params.units, params.dtype)
        self.gradient, self._weights_gradient = gradient.vector, gradient.weights
        self._penalty_gradient = np.empty_like(params.weights)
        self.layers = [
            Dense(spec, W, b, dW, db, batch_size, input_gradient=i > 0)
            for i, (spec, W, b, dW, db) in enumerate(
                zip(specs, params.coefs, params.intercepts, gradient.coefs, gradient.intercepts, strict=True)
            )
        ]

    def loss_and_grad(self, X, Y, sample_weight, rng):
        """The data term and the penalty of the objective; its gradient is left in ``gradient``.

        Parameters
        ----------
        X : ndarray or CSR of shape (n, n_features), of the parameters' dtype
        Y : targets of the n rows, as the loss wants them
        sample_weight : ndarray of shape (n,) with a positive sum, or None
        rng : Generator or None
            The mask stream; None when no layer has noise.
        """
        y = X
        for layer in self.layers:
            y = layer.forward(y, rng)
        self.inverse_link(y)
        data = self.loss.function(y, Y, sample_weight)
        d = y
        for layer in reversed(self.layers):
            d = layer.backward(d)
        return data, self._add_penalty(len(y) if sample_weight is None else float(sample_weight.sum()))

    def _add_penalty(self, weight_sum):
        if self.alpha == 0:
            return 0.0
        W, strength = self.params.weights, self.alpha / weight_sum
        self._weights_gradient += np.multiply(W, strength, out=self._penalty_gradient)
        return 0.5 * strength * float(np.dot(W, W))

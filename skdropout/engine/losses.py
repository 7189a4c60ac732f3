"""Losses with their canonical output, so that the gradient at the output layer is prediction minus target.

Each function takes the predictions ``P`` (n_samples, n_outputs), the targets ``Y`` and
``sample_weight`` (n_samples,) or None. It returns the loss, a Python float

    L(P) = sum_i w_i l(Y_i, P_i) / sum_i w_i,       l summed over the outputs,

and leaves dL/dz, z being the output before its activation, in ``P``.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import xlogy


class Loss(NamedTuple):
    """A loss and the output activation (inverse link) it is canonical for.

    ``averages`` marks the loss that scikit-learn reports as the mean over outputs, while its gradient
    is that of the sum. Loss curves follow scikit-learn; L-BFGS gets the sum, so value and gradient agree.
    """

    function: Callable
    output: str
    averages: bool = False

    def share(self, n_outputs):
        """What part of the loss is reported."""
        return 1 / n_outputs if self.averages else 1.0


def _weighted_mean(losses, sample_weight):
    """The mean over rows of the sum over outputs."""
    if sample_weight is None:
        return float(losses.sum()) / len(losses)
    return float((sample_weight @ losses).sum()) / float(sample_weight.sum())


def _residual_to_gradient(R, sample_weight):
    if sample_weight is None:
        R *= 1.0 / len(R)
    else:
        R *= (sample_weight / sample_weight.sum())[:, np.newaxis]


def _clip(P):
    """Probabilities away from 0 and 1 by the resolution of their dtype, for a finite logarithm."""
    eps = np.finfo(P.dtype).eps
    return np.clip(P, eps, 1 - eps)


def squared_error(P, Y, sample_weight):
    """Half the squared error, identity output."""
    P -= Y
    loss = 0.5 * _weighted_mean(P * P, sample_weight)
    _residual_to_gradient(P, sample_weight)
    return loss


def poisson(P, Y, sample_weight):
    """Half the Poisson deviance, exponential output."""
    loss = _weighted_mean(xlogy(Y, Y / P) - Y + P, sample_weight)
    P -= Y
    _residual_to_gradient(P, sample_weight)
    return loss


def log_loss(P, codes, sample_weight):
    """Cross-entropy, softmax output; the targets are class codes (n_samples,): never one-hot."""
    rows = np.arange(len(P))
    loss = -_weighted_mean(np.log(_clip(P[rows, codes])), sample_weight)
    P[rows, codes] -= 1
    _residual_to_gradient(P, sample_weight)
    return loss


def binary_log_loss(P, Y, sample_weight):
    """Cross-entropy of independent yes/no outputs, logistic output; the targets are boolean."""
    loss = -_weighted_mean(np.log(_clip(np.where(Y, P, 1 - P))), sample_weight)
    P -= Y
    _residual_to_gradient(P, sample_weight)
    return loss


LOSSES = {
    "squared_error": Loss(squared_error, "identity", averages=True),
    "poisson": Loss(poisson, "exp"),
    "log_loss": Loss(log_loss, "softmax"),
    "binary_log_loss": Loss(binary_log_loss, "logistic"),
}

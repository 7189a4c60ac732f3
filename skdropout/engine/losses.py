"""Losses, each with its output activation, so that the gradient before that activation is simple.

Each function takes the predictions ``P`` (n_samples, n_outputs), the targets ``Y`` and
``sample_weight`` (n_samples,) or None. It returns the loss, a Python float

    L(P) = sum_i w_i l(Y_i, P_i) / sum_i w_i,       l summed over the outputs,

and leaves dL/dz, z being the output before its activation, in ``P``.
"""

from collections.abc import Callable, Mapping
from functools import partial
from math import inf, isfinite
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

from .registry import Registry

# Smallest and largest probability of each dtype: looked up, for np.finfo takes longer than a small loss
LIMITS = {char: (float(np.finfo(char).eps), float(1 - np.finfo(char).eps)) for char in "fd"}


class Loss(NamedTuple):
    """A loss and the output activation (inverse link) it goes with.

    ``averages`` marks the loss that scikit-learn reports as the mean over outputs, while its gradient
    is that of the sum. Loss curves follow scikit-learn; L-BFGS gets the sum, so value and gradient agree.

    The estimators use the other fields: whether L-BFGS may minimize the loss (``smooth``), what early stopping monitors
    by default (``monitor``: "loss", or None for the estimator's own score), the smallest allowed target (``least``),
    the estimator parameter for each keyword argument of the function (``options``), whether the targets are classes
    (``classifies``), and the best prediction that is the same for every row (``constant(Y, sample_weight, n_outputs)``
    of shape (n_outputs,), or None if there is no formula).
    """

    function: Callable
    output: str
    averages: bool = False
    smooth: bool = True
    monitor: str | None = "loss"
    least: float = -inf
    options: Mapping[str, str] = MappingProxyType({})
    classifies: bool = False
    constant: Callable | None = None

    def bind(self, **options):
        """This loss with its options filled in."""
        constant = self.constant and partial(self.constant, **options)
        return self._replace(function=partial(self.function, **options), constant=constant)

    def of_constant(self, Y, sample_weight, n_outputs):
        """The loss of the best constant prediction; infinite if there is no formula."""
        if self.constant is None:
            return inf
        best = np.asarray(self.constant(Y, sample_weight, n_outputs), dtype=float)
        return self.function(np.tile(best, (len(Y), 1)), Y, sample_weight)

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
    low, high = LIMITS[P.dtype.char]
    return np.minimum(np.maximum(P, low), high)


def squared_error(P, Y, sample_weight):
    """Half the squared error, identity output."""
    P -= Y
    loss = 0.5 * _weighted_mean(P * P, sample_weight)
    _residual_to_gradient(P, sample_weight)
    return loss


def poisson(P, Y, sample_weight):
    """Half the Poisson deviance, exponential output."""
    loss = _weighted_mean(xlogy(Y, Y / P) - Y + P, sample_weight)
    if not isfinite(loss):  # P or Y / P is beyond the range of its dtype
        loss = _weighted_mean(_poisson_at_the_limits(P, Y), sample_weight)
    P -= Y
    _residual_to_gradient(P, sample_weight)
    return loss


def _poisson_at_the_limits(P, Y):
    """Half the Poisson deviance where P or Y / P is 0 or infinite: P where Y is 0, infinite where P alone is 0."""
    return xlogy(Y, Y) - xlogy(Y, np.minimum(P, np.finfo(P.dtype).max)) - Y + P


def _loss_of_residual(P, Y, sample_weight, value, slope):
    """A loss of R = P - Y, identity output: value(R) and, in place, slope(R)."""
    P -= Y
    loss = _weighted_mean(value(P), sample_weight)
    slope(P)
    _residual_to_gradient(P, sample_weight)
    return loss


def absolute_error(P, Y, sample_weight):
    """The absolute error, identity output: the median is what it predicts."""
    return _loss_of_residual(P, Y, sample_weight, np.abs, lambda R: np.sign(R, out=R))


def huber(P, Y, sample_weight, delta=1.35):
    """R²/2 for |R| <= delta, and delta (|R| - delta/2) beyond, identity output (Huber, 1964)."""
    return _loss_of_residual(
        P, Y, sample_weight, lambda R: _huber(R, delta), lambda R: np.clip(R, -delta, delta, out=R)
    )


def _huber(R, delta):
    size = np.abs(R)
    inner = np.minimum(size, delta)
    return inner * (size - 0.5 * inner)


def quantile(P, Y, sample_weight, level=0.5):
    """The pinball loss, identity output: max(level · (Y - P), (level - 1) · (Y - P)) (Koenker and Bassett, 1978)."""
    return _loss_of_residual(
        P, Y, sample_weight, lambda R: np.maximum(-level * R, (1 - level) * R), lambda R: _pinball_slope(R, level)
    )


def _pinball_slope(R, level):
    above = R > 0
    R[:] = np.where(above, 1 - level, np.where(R < 0, -level, 0))


def log_loss(P, codes, sample_weight, smoothing=0.0):
    """Cross-entropy, softmax output; the targets are class codes (n_samples,): never one-hot.

    With smoothing ε the target is 1 - ε + ε/K for the class and ε/K for the other K - 1 (Szegedy et al., 2016).
    """
    rows, n_classes = np.arange(len(P)), P.shape[1]
    loss = -(1 - smoothing) * _weighted_mean(np.log(_clip(P[rows, codes])), sample_weight)
    if smoothing > 0:
        loss -= smoothing / n_classes * _weighted_mean(np.log(_clip(P)), sample_weight)
        P -= smoothing / n_classes
    P[rows, codes] -= 1 - smoothing
    _residual_to_gradient(P, sample_weight)
    return loss


def binary_log_loss(P, Y, sample_weight, smoothing=0.0):
    """Cross-entropy of independent yes/no outputs, logistic output; the targets are boolean.

    With smoothing ε the target is 1 - ε/2 for yes and ε/2 for no.
    """
    loss = -(1 - smoothing / 2) * _weighted_mean(np.log(_clip(np.where(Y, P, 1 - P))), sample_weight)
    if smoothing > 0:
        loss -= smoothing / 2 * _weighted_mean(np.log(_clip(np.where(Y, 1 - P, P))), sample_weight)
        P -= smoothing / 2
        P -= (1 - smoothing) * Y
    else:
        P -= Y
    _residual_to_gradient(P, sample_weight)
    return loss


def mean(Y, sample_weight, n_outputs):
    return np.average(Y, axis=0, weights=sample_weight)


def weighted_quantile(Y, sample_weight, n_outputs, level=0.5):
    """The smallest target of each output that at least a fraction `level` of the weight does not exceed."""
    weights = np.ones(len(Y)) if sample_weight is None else sample_weight.astype(float)
    order = np.argsort(Y, axis=0)
    below = np.cumsum(weights[order], axis=0)
    first = (below >= level * below[-1]).argmax(axis=0)
    return Y[order[first, np.arange(Y.shape[1])], np.arange(Y.shape[1])]


def class_frequencies(codes, sample_weight, n_outputs, smoothing=0.0):
    frequencies = np.bincount(codes, weights=sample_weight, minlength=n_outputs).astype(float)
    return (1 - smoothing) * frequencies / frequencies.sum() + smoothing / n_outputs


def label_frequencies(Y, sample_weight, n_outputs, smoothing=0.0):
    return (1 - smoothing) * mean(Y, sample_weight, n_outputs) + smoothing / 2


ROWS = {
    "squared_error": Loss(squared_error, "identity", averages=True, monitor=None, constant=mean),
    "poisson": Loss(poisson, "exp", monitor=None, least=0.0, constant=mean),
    "absolute_error": Loss(absolute_error, "identity", smooth=False, constant=weighted_quantile),
    "huber": Loss(huber, "identity", constant=weighted_quantile),  # the median is close to the best
    "quantile": Loss(quantile, "identity", smooth=False, options={"level": "quantile"}, constant=weighted_quantile),
    "log_loss": Loss(log_loss, "softmax", monitor=None, classifies=True, constant=class_frequencies),
    "binary_log_loss": Loss(binary_log_loss, "logistic", monitor=None, classifies=True, constant=label_frequencies),
}
LOSSES = Registry("loss", "skdropout.engine.losses.LOSSES", ROWS, Loss)

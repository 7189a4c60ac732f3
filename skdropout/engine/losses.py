"""Losses, each with its output activation, which makes the gradient before that activation simple.

Each function takes the predictions ``P`` (n_samples, n_columns), the targets ``Y`` and
``sample_weight`` (n_samples,) or None. It returns the loss as a Python float,

    L(P) = sum_i w_i l(Y_i, P_i) / sum_i w_i,       l summed over the outputs,

and overwrites ``P`` with dL/dz, where z is the output before its activation. ``P`` has a column for each output, except
for ``gaussian_nll``, which has two.
"""

from collections.abc import Callable, Mapping
from functools import partial
from math import exp, inf, isfinite
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

from .activations import LOG_VARIANCE_LIMIT, columns_per_output
from .registry import Registry

# Smallest and largest probability of each dtype; np.finfo takes longer than the loss of a small batch
PROBABILITY_LIMITS = {char: (float(np.finfo(char).eps), float(1 - np.finfo(char).eps)) for char in "fd"}


class Loss(NamedTuple):
    """Loss and its properties.

    Attributes
    ----------
    function : callable
        ``function(P, Y, sample_weight, **options)``, as described at the top of this module.
    output : str
        Name in ``OUTPUTS`` of the output activation (inverse link).
    mean_over_outputs : bool
        Whether loss curves show the mean over the outputs instead of the sum, as scikit-learn does for the squared
        error. The gradient is that of the sum in any case, and L-BFGS minimizes the sum.
    smooth : bool
        Whether L-BFGS may minimize the loss.
    monitor : {"loss", None}
        What early stopping monitors by default: the loss, or the score of the estimator.
    min_target : float
        Smallest target that ``fit`` accepts.
    options : mapping
        Estimator parameter for each keyword argument of the function.
    for_classifier : bool
        Whether the targets are classes.
    best_constant : callable or None
        ``best_constant(Y, sample_weight, n_outputs, **options)`` returns the constant prediction with the smallest
        loss, with one value for each column of the output. None if there is no formula.
    """

    function: Callable
    output: str
    mean_over_outputs: bool = False
    smooth: bool = True
    monitor: str | None = "loss"
    min_target: float = -inf
    options: Mapping[str, str] = MappingProxyType({})
    for_classifier: bool = False
    best_constant: Callable | None = None

    def bind(self, **options):
        """Return a copy with the options filled in."""
        best_constant = self.best_constant and partial(self.best_constant, **options)
        return self._replace(function=partial(self.function, **options), best_constant=best_constant)

    def constant_loss(self, Y, sample_weight, n_outputs):
        """Return the loss of the best constant prediction, infinity without a formula for it."""
        if self.best_constant is None:
            return inf
        best = np.asarray(self.best_constant(Y, sample_weight, n_outputs), dtype=float)
        return self.function(np.tile(best, (len(Y), 1)), Y, sample_weight)

    def reporting_scale(self, n_columns):
        """Return the factor by which loss curves scale the loss."""
        return columns_per_output(self.output) / n_columns if self.mean_over_outputs else 1.0


def _weighted_mean(losses, sample_weight):
    """Return the weighted mean over the rows of the sum over the outputs."""
    if sample_weight is None:
        return float(losses.sum()) / len(losses)
    return float((sample_weight @ losses).sum()) / float(sample_weight.sum())


def _residual_to_gradient(R, sample_weight):
    if sample_weight is None:
        R *= 1.0 / len(R)
    else:
        R *= (sample_weight / sample_weight.sum())[:, np.newaxis]


def _clip(P):
    """Clip probabilities away from 0 and 1 by the resolution of their dtype, so that the logarithm is finite."""
    low, high = PROBABILITY_LIMITS[P.dtype.char]
    return np.minimum(np.maximum(P, low), high)


def squared_error(P, Y, sample_weight):
    """Half of the squared error, identity output."""
    P -= Y
    loss = 0.5 * _weighted_mean(P * P, sample_weight)
    _residual_to_gradient(P, sample_weight)
    return loss


def poisson(P, Y, sample_weight):
    """Half of the Poisson deviance, exponential output."""
    loss = _weighted_mean(xlogy(Y, Y / P) - Y + P, sample_weight)
    if not isfinite(loss):  # P or Y / P is beyond the range of its dtype
        loss = _weighted_mean(_poisson_at_the_limits(P, Y), sample_weight)
    P -= Y
    _residual_to_gradient(P, sample_weight)
    return loss


def _poisson_at_the_limits(P, Y):
    """Compute half of the Poisson deviance where P or Y / P is 0 or infinite: P for Y = 0, infinite for only P = 0."""
    return xlogy(Y, Y) - xlogy(Y, np.minimum(P, np.finfo(P.dtype).max)) - Y + P


def _residual_loss(P, Y, sample_weight, value, derivative):
    """Compute a loss of R = P - Y with identity output: value(R), and its derivative, which overwrites R."""
    P -= Y
    loss = _weighted_mean(value(P), sample_weight)
    derivative(P)
    _residual_to_gradient(P, sample_weight)
    return loss


def absolute_error(P, Y, sample_weight):
    """Absolute error, identity output; the network predicts the median."""
    return _residual_loss(P, Y, sample_weight, np.abs, lambda R: np.sign(R, out=R))


def huber(P, Y, sample_weight, delta=1.35):
    """R²/2 for |R| <= delta and delta (|R| - delta/2) for larger |R|, identity output (Huber, 1964)."""
    return _residual_loss(P, Y, sample_weight, lambda R: _huber(R, delta), lambda R: np.clip(R, -delta, delta, out=R))


def _huber(R, delta):
    size = np.abs(R)
    inner = np.minimum(size, delta)
    return inner * (size - 0.5 * inner)


def quantile(P, Y, sample_weight, level=0.5):
    """Pinball loss max(level · (Y - P), (level - 1) · (Y - P)), identity output (Koenker and Bassett, 1978)."""
    return _residual_loss(
        P, Y, sample_weight, lambda R: np.maximum(-level * R, (1 - level) * R), lambda R: _pinball_derivative(R, level)
    )


def _pinball_derivative(R, level):
    above = R > 0
    R[:] = np.where(above, 1 - level, np.where(R < 0, -level, 0))


def gaussian_nll(P, Y, sample_weight):
    """Gaussian negative log-likelihood (Nix and Weigend, 1994); ``P`` has the means, then the log variances log σ².

    The loss is log(σ²)/2 + R²/(2 σ²) with R the residual, as in PyTorch without the constant. The gradient is that of
    β-NLL with β = 1/2 (Seitzer et al., 2022): each term is weighted by (σ²)^β = σ, which counts as a constant. The
    gradient of the loss itself neglects the means where σ² is large.
    """
    residual, log_variance = P[:, : Y.shape[1]], P[:, Y.shape[1] :]
    std = np.exp(0.5 * log_variance)
    residual -= Y
    residual /= std
    squares = residual * residual
    loss = 0.5 * _weighted_mean(log_variance + squares, sample_weight)
    gradient = 0.5 * std * (1 - squares)  # with respect to the log variances
    at_limit = np.abs(log_variance) >= LOG_VARIANCE_LIMIT
    at_limit &= (log_variance > 0) != (gradient > 0)  # a step would move it further beyond the limit
    log_variance[:] = np.where(at_limit, 0, gradient)
    _residual_to_gradient(P, sample_weight)
    return loss


def log_loss(P, codes, sample_weight, smoothing=0.0):
    """Cross-entropy, softmax output; the targets are class codes of shape (n_samples,), not one-hot.

    With smoothing ε the target is 1 - ε + ε/K for the class and ε/K for the K - 1 others (Szegedy et al., 2016).
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
    """Cross-entropy of independent binary outputs, logistic output; the targets are boolean.

    With smoothing ε the target is 1 - ε/2 for True and ε/2 for False.
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


def mean_and_log_variance(Y, sample_weight, n_outputs):
    center = mean(Y.astype(float), sample_weight, n_outputs)
    variance = np.average(np.square(Y - center), axis=0, weights=sample_weight)
    low, high = exp(-LOG_VARIANCE_LIMIT), exp(LOG_VARIANCE_LIMIT)
    return np.concatenate([center, np.log(np.clip(variance, low, high))])


def weighted_quantile(Y, sample_weight, n_outputs, level=0.5):
    """Return, for each output, the smallest target that is >= the targets of a fraction `level` of the weight."""
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
    "squared_error": Loss(squared_error, "identity", mean_over_outputs=True, monitor=None, best_constant=mean),
    "poisson": Loss(poisson, "exp", monitor=None, min_target=0.0, best_constant=mean),
    "absolute_error": Loss(absolute_error, "identity", smooth=False, best_constant=weighted_quantile),
    "huber": Loss(huber, "identity", best_constant=weighted_quantile),  # approximately
    "quantile": Loss(
        quantile, "identity", smooth=False, options={"level": "quantile"}, best_constant=weighted_quantile
    ),
    "gaussian_nll": Loss(
        gaussian_nll, "gaussian", mean_over_outputs=True, smooth=False, best_constant=mean_and_log_variance
    ),
    "log_loss": Loss(log_loss, "softmax", monitor=None, for_classifier=True, best_constant=class_frequencies),
    "binary_log_loss": Loss(
        binary_log_loss, "logistic", monitor=None, for_classifier=True, best_constant=label_frequencies
    ),
}
LOSSES = Registry("loss", "skdropout.engine.losses.LOSSES", ROWS, Loss)

"""Diagnosis of a fitted network: dead units, norms of activations and gradients, step sizes, and advice."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator

from ._callbacks.tasks import Tasks
from ._fit.prepare import prepare
from ._fit.stochastic import Training
from ._scoring import NETWORKS, missing_network_error, unwrap
from ._threads import shared_threads
from ._typing import FloatArray, MatrixLike
from .engine.activations import REAL_OUTPUTS
from .engine.params import Params

CONSTANT_RTOL = 1e-3  # a unit is dead if its range over the rows is at most this, relative to the rms of its layer
MAX_DEAD_FRACTION = 0.5  # accurate networks on digits have up to a quarter of dead units in a layer
STEP_SIZES = 1e-5, 3e-2  # healthy range relative to the weights; the usual advice is about 1e-3 (Karpathy, CS231n)
SCALES = 0.1, 10.0  # acceptable range of the rms of the inputs and the standard deviation of the targets
NO_SCHEDULES = {
    "dropout_schedule": "constant",
    "early_stopping": False,
    "learning_rate": "constant",
    "n_iter_no_change": np.inf,
    "verbose": False,
    "warmup_fraction": 0.0,
}
MAX_GRADIENT_RATIO = 1e3  # between the gradient norms of the first and the last layer, either way


@dataclass(frozen=True)
class Diagnosis:
    """Result of :func:`diagnose`. Printing it shows a table and the advice.

    Parameters
    ----------
    dead_units : ndarray of shape (n_hidden,)
        Fraction, in [0, 1], of the units of each hidden layer whose output without noise is the same for every row, up
        to a thousandth of the root mean square of the layer. A dead ReLU outputs 0.

    activation_rms : ndarray of shape (n_hidden + 1,)
        Root mean square of the input and of the output of each hidden layer, without noise.

    gradient_norm : ndarray of shape (n_hidden + 1,)
        Norm of the gradient of the loss with respect to the weights of each layer, output layer last, averaged over
        the steps.

    update_ratio : ndarray of shape (n_hidden + 1,)
        Norm of the change of the weights of each layer divided by the norm of the weights, averaged over the steps.
        NaN for the solver 'lbfgs'.

    advice : list of str
        Problems found, each with a way to fix it.

    See Also
    --------
    diagnose : Diagnose a fitted network.
    """

    dead_units: FloatArray
    activation_rms: FloatArray
    gradient_norm: FloatArray
    update_ratio: FloatArray
    advice: list[str]

    def __str__(self) -> str:
        n_hidden = len(self.dead_units)
        names = ["input", *(f"hidden layer {i + 1}" for i in range(n_hidden)), "output"]
        columns = {
            "dead units": ["", *(f"{fraction:.1%}" for fraction in self.dead_units), ""],
            "activation, rms": [*(f"{rms:.3g}" for rms in self.activation_rms), ""],
            "gradient, norm": ["", *(f"{norm:.2e}" for norm in self.gradient_norm)],
            "step / weights": ["", *(f"{ratio:.2e}" for ratio in self.update_ratio)],
        }
        lines = [" " * 16 + "".join(f"{title:>17}" for title in columns)]
        lines += [
            f"{name:16}" + "".join(f"{cell:>17}" for cell in row)
            for name, *row in zip(names, *columns.values(), strict=True)
        ]
        return "\n".join([*lines, *(self.advice or ["Nothing stands out."])])


def diagnose(
    estimator: BaseEstimator, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> Diagnosis:
    """Diagnose a fitted network: dead units, norms of activations and gradients, and step sizes.

    A copy of the network is trained for one more epoch on the given rows, and each step is measured. Noise, batches and
    optimizer are those of the training; learning rate and dropout rates are the values of the parameters, without
    schedules. The estimator itself does not change.

    Parameters
    ----------
    estimator : estimator
        A fitted :class:`DropoutMLPClassifier` or :class:`DropoutMLPRegressor`, by itself or inside a
        :class:`~sklearn.pipeline.Pipeline`, a :class:`~sklearn.compose.TransformedTargetRegressor` or a search.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, preferably the training rows. At least 2 are needed.

    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.

    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights; None for equal weights.

    Returns
    -------
    diagnosis : Diagnosis
        Arrays with one value per layer, `dead_units`, `activation_rms`, `gradient_norm` and `update_ratio`, and
        `advice`, a list of sentences. Printing it shows a table followed by the advice.

    Raises
    ------
    TypeError
        If `estimator` contains no such network.

    ValueError
        If `X` has fewer than 2 rows.

    See Also
    --------
    ActivationSparsityDisplay : Plot a histogram of the activations of a hidden layer.
    TrainingCurveDisplay : Plot the loss and the validation score of each epoch.

    Notes
    -----
    The thresholds of the advice are rules of thumb: inputs and targets between 0.1 and 10, fewer than half of the units
    of a layer dead (a third is common with ReLU), steps of 1e-5 to 3e-2 of the weights, and gradients of the first and
    the last layer within a factor of 1000. Overfitting is not checked, since that needs a validation set. With batch
    normalization the scale of the weights into a hidden layer has no effect, and `update_ratio` is less informative.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skdropout import DropoutMLPClassifier, diagnose
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = DropoutMLPClassifier(
    ...     hidden_layer_sizes=(50, 50), early_stopping=True, scoring="loss", random_state=0
    ... ).fit(X, y)
    >>> print(diagnose(clf, X, y).advice[0])
    The inputs have a root mean square of 237: scale them, for example by StandardScaler.
    """
    network, X, y, *_ = unwrap(estimator, X, y)
    if not hasattr(network, "log_predictive_density"):
        raise missing_network_error(NETWORKS, estimator, network)
    X_valid, Y = network._validate_predict_xy(X, y)
    with np.errstate(all="ignore"), shared_threads():
        dead, rms = _measure_activations(network, X_valid)
        steps = _steps(network, X, y, sample_weight)
    gradient, update = np.mean(steps, axis=0)
    if network.solver == "lbfgs":
        update = np.full_like(update, np.nan)
    return Diagnosis(dead, rms, gradient, update, list(_advice(network, Y, dead, rms, gradient, update)))


def _measure_activations(network, X):
    """Return the fraction of dead units of each hidden layer, and the root mean square of the input of each layer."""
    if X.shape[0] < 2:
        raise ValueError("diagnose needs at least 2 rows of X, better hundreds, to detect dead units; got 1.")
    widths = np.array([W.shape[0] for W in network._network().coefs])
    minima, maxima = ([np.full(n, bound) for n in widths[1:]] for bound in (np.inf, -np.inf))
    squares = np.zeros(len(widths))
    for _, inputs in network._network().layer_inputs(X):
        for low, high, h in zip(minima, maxima, inputs[1:], strict=True):
            np.minimum(low, h.min(axis=0), out=low)
            np.maximum(high, h.max(axis=0), out=high)
        squares += [np.square(x.data if issparse(x) else x, dtype=float).sum() for x in inputs]
    rms = np.sqrt(squares / (X.shape[0] * widths))
    dead = [np.mean(high - low <= CONSTANT_RTOL * r) for low, high, r in zip(minima, maxima, rms[1:], strict=True)]
    return np.array(dead, dtype=float), rms


class MeasuredOptimizer:
    """Optimizer wrapper that records, for each step and layer, the gradient norm and the relative weight change."""

    def __init__(self, optimizer, params):
        self.optimizer, self.params, self.steps = optimizer, params, []

    def __getattr__(self, name):
        return getattr(self.optimizer, name)

    def step(self, params, gradient, *add_penalty):
        gradient_norms, weights, before = self._norms(gradient), self._norms(params), params.copy()
        penalty = self.optimizer.step(params, gradient, *add_penalty)
        self.steps.append((gradient_norms, self._norms(params - before) / weights))
        return penalty

    def _norms(self, vector):
        layers = Params(self.params.units, vector.dtype, vector, normed=self.params.normed).coefs
        return np.array([np.linalg.norm(W.astype(float)) for W in layers])


def _steps(network, X, y, sample_weight):
    """Train a copy of the network for one epoch and return the measured steps, of shape (n_steps, 2, n_layers)."""
    trained = network._shallow_copy().set_params(**NO_SCHEDULES, random_state=copy.deepcopy(network.random_state))
    if network.solver == "lbfgs":  # full-batch gradient at the solution; the steps themselves are not reported
        trained.set_params(solver="sgd", batch_size=len(y))
    if getattr(network, "class_weight", None) == "balanced":  # as computed on the training rows
        weights = zip(network.classes_, network.class_weight_, strict=True)
        trained.set_params(class_weight={label: weight for label, weight in weights if np.isfinite(weight)})
    plan = prepare(trained, X, y, sample_weight, incremental=True)
    training = Training(plan)
    training.optimizer.learning_rate = trained.learning_rate_init  # not the final rate of a schedule
    training.optimizer = measured = MeasuredOptimizer(training.optimizer, plan.model.params)
    training.run(Tasks())
    return measured.steps


def _advice(network, Y, dead, rms, gradient, update):
    """Yield a sentence for each problem found."""
    scaled = SCALES[0] <= rms[0] <= SCALES[1]
    if not scaled:
        yield f"The inputs have a root mean square of {rms[0]:.3g}: scale them, for example by StandardScaler."
    if network.out_activation_ in REAL_OUTPUTS:  # counts and labels have a natural scale
        yield from _target_advice(Y)
    rate = f"learning_rate_init (now {network.learning_rate_init:g})"
    others = " or ".join(f"'{name}'" for name in ("relu", "selu", "leaky_relu") if name not in network._activations)
    first, last = gradient[0], gradient[-1]
    vanishes, steps = 0 < first * MAX_GRADIENT_RATIO < last, update[update > 0]
    if (dead >= MAX_DEAD_FRACTION).any() and not vanishes:
        layers = ", ".join(f"{i + 1} ({dead[i]:.0%})" for i in np.flatnonzero(dead >= MAX_DEAD_FRACTION))
        fixes = ["" if scaled else "scale the inputs", "" if network.solver == "lbfgs" else f"lower {rate}"]
        fixes = ", ".join(filter(None, [*fixes, f"use activation={others}"]))
        yield f"Many units give the same output for every row, in hidden layer {layers}: {fixes}, and refit."
        if (dead == 1).any():  # the other measurements follow from the dead layer
            return
    if (steps > STEP_SIZES[1]).any():
        yield f"A step changes the weights of a layer by {steps.max():.1%}, which is too much: lower {rate}."
    if (steps < STEP_SIZES[0]).any():
        yield f"A step changes the weights of a layer by {steps.min():.0e}, which is too little: raise {rate}."
    if vanishes:
        yield (
            f"The gradient vanishes: its norm in the first layer is {first / last:.0e} times that in the last. Use "
            f"fewer layers, batch_norm='before_activation', or activation={others}."
        )
    if first > last * MAX_GRADIENT_RATIO:
        yield (
            f"The gradient explodes: its norm in the first layer is {first / last:.0e} times that in the last. Set "
            "clip_norm=1, or use fewer layers."
        )


def _target_advice(Y):
    center, spread = np.abs(Y.mean(axis=0, dtype=float)).max(), Y.std(axis=0, dtype=float).max()
    if not (center <= SCALES[1] and SCALES[0] <= spread <= SCALES[1]):
        yield (
            f"The targets have a mean of {center:.3g} and a standard deviation of {spread:.3g}: scale them, for "
            "example by TransformedTargetRegressor(..., transformer=StandardScaler())."
        )

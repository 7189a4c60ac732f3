"""Why does it not learn? Dead units, norms of activations and gradients, sizes of the steps, in words."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator

from ._scoring import OURS, no_network, unwrap
from ._training import Training
from ._typing import FloatArray, MatrixLike
from .engine.params import Params

SAME = 1e-3  # of the layer's root mean square: a unit that varies by less over the rows says nothing
DEAD = 0.5  # share of a layer that is worth a word; networks that read digits well have up to a quarter
STEPS = 1e-5, 3e-2  # sound sizes of a step, relative to the weights; about 1e-3 is the usual advice (Karpathy, CS231n)
SCALES = 0.1, 10.0  # root mean square of inputs, or deviation of targets, that are scaled well enough
UNSCHEDULED = {
    "dropout_schedule": "constant",
    "early_stopping": False,
    "learning_rate": "constant",
    "n_iter_no_change": np.inf,
    "verbose": False,
    "warmup_fraction": 0.0,
}
SLOPE = 1e3  # how many times the gradient of the first layer may differ from that of the last


@dataclass(frozen=True)
class Diagnosis:
    """What :func:`diagnose` found; ``print`` it.

    Parameters
    ----------
    dead_units : ndarray of shape (n_hidden,)
        Share, in [0, 1], of the units of each hidden layer that give the same output for every row: to a thousandth of
        the root mean square of the layer, without noise. A dead ReLU gives 0.

    activation_rms : ndarray of shape (n_hidden + 1,)
        Root mean square of the input and of the outputs of each hidden layer, without noise.

    gradient_norm : ndarray of shape (n_hidden + 1,)
        Mean over the steps of the norm of the gradient of the loss by the weights of each layer, output last.

    update_ratio : ndarray of shape (n_hidden + 1,)
        Mean over the steps of the norm of the change of the weights divided by that of the weights. NaN for the
        solver 'lbfgs'.

    advice : list of str
        What stands out, and what to do.

    See Also
    --------
    diagnose : Makes one.
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
            "dead units": ["", *(f"{share:.1%}" for share in self.dead_units), ""],
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
    """Look into a fitted network: dead units, norms of activations and gradients, sizes of the steps.

    A copy is trained for one more epoch on the rows given, with the noise, the batches and the optimizer of the
    training, its rates those of the parameters whatever their schedules, and each step is measured. The estimator is
    left as it is.

    Parameters
    ----------
    estimator : estimator
        A fitted :class:`DropoutMLPClassifier` or :class:`DropoutMLPRegressor`, by itself or inside of a
        :class:`~sklearn.pipeline.Pipeline`, a :class:`~sklearn.compose.TransformedTargetRegressor` or a search.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, best those of the training; at least 2.

    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets.

    sample_weight : array-like of shape (n_samples,), default=None
        Their weights.

    Returns
    -------
    diagnosis : Diagnosis
        Arrays by layer, `dead_units`, `activation_rms`, `gradient_norm` and `update_ratio`, and `advice`, a list of
        sentences. Printed it is a table with the advice below.

    Raises
    ------
    TypeError
        If there is no such network in `estimator`.

    See Also
    --------
    ActivationSparsityDisplay : Draws what hidden units do.
    TrainingCurveDisplay : Draws losses and scores by epoch.

    Notes
    -----
    The thresholds of the advice are rules of thumb: inputs and targets between 0.1 and 10, fewer than half of the units
    of a layer dead (a third is common with ReLU), steps of 1e-5 to 3e-2 of the weights, gradients of the first and the
    last layer within a factor of 1000. Overfitting is not among them: held-out rows show that. With batch normalisation
    the scale of the weights into a hidden layer does not matter, and the ratio of the step to them says less.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skdropout import DropoutMLPClassifier, diagnose
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = DropoutMLPClassifier((50, 50), early_stopping=True, random_state=0).fit(X, y)
    >>> print(diagnose(clf, X, y).advice[0])
    The inputs have a root mean square of 237: scale them, for example by StandardScaler.
    """
    network, X, y, _ = unwrap(estimator, X, y)
    if not hasattr(network, "log_predictive_density"):
        raise no_network(OURS, estimator, network)
    X_valid, Y = network._validate_predict_xy(X, y)
    with np.errstate(all="ignore"):
        dead, rms = _activations(network, X_valid)
        steps = _steps(network, X, y, sample_weight)
    gradient, update = np.mean(steps, axis=0)
    if network.solver == "lbfgs":
        update = np.full_like(update, np.nan)
    return Diagnosis(dead, rms, gradient, update, list(_advice(network, Y, dead, rms, gradient, update)))


def _activations(network, X):
    """Share of dead units of each hidden layer, and the root mean square of what goes into each layer."""
    if X.shape[0] < 2:
        raise ValueError("X has 1 row: it takes 2, and better hundreds, to see which units never change.")
    widths = np.array([W.shape[0] for W in network._network().coefs])
    least, most = ([np.full(n, bound) for n in widths[1:]] for bound in (np.inf, -np.inf))
    squares = np.zeros(len(widths))
    for _, inputs in network._network().layer_inputs(X):
        for low, high, h in zip(least, most, inputs[1:], strict=True):
            np.minimum(low, h.min(axis=0), out=low)
            np.maximum(high, h.max(axis=0), out=high)
        squares += [np.square(x.data if issparse(x) else x, dtype=float).sum() for x in inputs]
    rms = np.sqrt(squares / (X.shape[0] * widths))
    dead = [np.mean(high - low <= SAME * r) for low, high, r in zip(least, most, rms[1:], strict=True)]
    return np.array(dead, dtype=float), rms


class Watched:
    """An optimizer whose steps are measured, by layer: the gradient, and the change relative to the weights."""

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
    """What ``Watched`` measures in an epoch of a copy of the network, (n_steps, 2, n_layers)."""
    twin = network._twin().set_params(**UNSCHEDULED, random_state=copy.deepcopy(network.random_state))
    if network.solver == "lbfgs":  # the gradient of all rows where it has ended, before a step that it would not take
        twin.set_params(solver="sgd", batch_size=len(y))
    if getattr(network, "class_weight", None) == "balanced":  # of the training rows, and not of those given
        weights = zip(network.classes_, network.class_weight_, strict=True)
        twin.set_params(class_weight={label: weight for label, weight in weights if np.isfinite(weight)})
    model, rows, _, streams, start = twin._prepare(X, y, sample_weight, incremental=True)
    training = Training(twin, model, rows, None, streams, start)
    training.optimizer.learning_rate = twin.learning_rate_init  # not where a schedule has ended
    training.optimizer = watched = Watched(training.optimizer, model.params)
    training.run()
    return watched.steps


def _advice(network, Y, dead, rms, gradient, update):
    """Sentences about what stands out."""
    scaled = SCALES[0] <= rms[0] <= SCALES[1]
    if not scaled:
        yield f"The inputs have a root mean square of {rms[0]:.3g}: scale them, for example by StandardScaler."
    if network.out_activation_ == "identity":  # targets of no unit in particular: those of counts and labels have one
        yield from _of_targets(Y)
    rate = f"learning_rate_init (now {network.learning_rate_init:g})"
    others = " or ".join(f"'{name}'" for name in ("relu", "selu", "leaky_relu") if name not in network._activations)
    first, last = gradient[0], gradient[-1]
    vanishes, steps = 0 < first * SLOPE < last, update[update > 0]
    if (dead >= DEAD).any() and not vanishes:
        layers = ", ".join(f"{i + 1} ({dead[i]:.0%})" for i in np.flatnonzero(dead >= DEAD))
        ways = ["" if scaled else "scale the inputs", "" if network.solver == "lbfgs" else f"lower {rate}"]
        ways = ", ".join(filter(None, [*ways, f"take activation={others}"]))
        yield f"Many units give the same output for every row, in hidden layer {layers}: {ways}, and fit afresh."
        if (dead == 1).any():  # and what is measured of the rest follows from it
            return
    if (steps > STEPS[1]).any():
        yield f"A step changes the weights of a layer by {steps.max():.1%}, which is much: lower {rate}."
    if (steps < STEPS[0]).any():
        yield f"A step changes the weights of a layer by {steps.min():.0e}, next to nothing: raise {rate}."
    if vanishes:
        yield (
            f"The gradient of the first layer is {first / last:.0e} of that of the last, it vanishes on its way: take "
            f"fewer layers, batch_norm='before_activation', or activation={others}."
        )
    if first > last * SLOPE:
        yield (
            f"The gradient of the first layer is {first / last:.0e} times that of the last, it explodes on its way: "
            "set clip_norm=1, or take fewer layers."
        )


def _of_targets(Y):
    center, spread = np.abs(Y.mean(axis=0, dtype=float)).max(), Y.std(axis=0, dtype=float).max()
    if not (center <= SCALES[1] and SCALES[0] <= spread <= SCALES[1]):
        yield (
            f"The targets have a mean of {center:.3g} and a standard deviation of {spread:.3g}: scale them, for "
            "example by TransformedTargetRegressor(..., transformer=StandardScaler())."
        )

"""The check that a network learned something: its loss compared with that of a constant prediction."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .checks import suggest_fixes

WORSE_RATIO = 1.05  # times the loss of the best constant prediction, which a network that learned nothing may exceed
NARROW_TARGETS = 0.1  # standard deviation of targets that are learned slowly: the initial output has about 1


def constant_loss(plan, Y, sample_weight):
    """The loss of the best constant prediction, scaled as in the loss curves."""
    loss = plan.objective.constant_loss(Y, sample_weight, plan.n_outputs)
    return plan.objective.reporting_scale(plan.n_outputs) * loss


def all_equal(Y, sample_weight):
    """Whether all targets with a positive weight are equal."""
    Y = Y if sample_weight is None else Y[sample_weight > 0]
    return bool((Y[:1] == Y).all())


def warn_if_worse_than_constant(plan, history, rows, X, Y, sample_weight):
    """Warn if the network predicts training rows worse than a constant.

    X, Y and `sample_weight` are the training rows that are evaluated; `rows` are all of them.
    """
    constant = constant_loss(plan, Y, sample_weight)
    loss = plan.reported_loss(plan.network().predict(X), Y, sample_weight)
    if not loss > WORSE_RATIO * constant or all_equal(Y, sample_weight):
        return
    diverges = history.loss_ > (history.loss_curve_ or [np.inf])[0]
    fixes = suggest_fixes(plan, rows, diverges)
    if plan.output == "identity" and (spread := Y.std(axis=0, dtype=float).max()) < NARROW_TARGETS:
        fixes = f"scale y, whose standard deviation is {spread:.3g} (with TransformedTargetRegressor), {fixes}"
    warnings.warn(
        "The network predicts its training rows worse than a constant: its loss without dropout is "
        f"{loss:.3g}, and that of the best constant is {constant:.3g}. To learn, {fixes}.",
        ConvergenceWarning,
    )

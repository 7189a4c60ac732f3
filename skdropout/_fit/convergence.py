"""Check that a network has learned: its loss compared with that of a constant prediction."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..engine.activations import REAL_OUTPUTS
from .checks import MIN_TARGET_STD, suggest_fixes

MAX_EXCESS = 0.05  # of the loss of the best constant prediction; a network that learned nothing may be slightly worse


def constant_loss(plan, Y, sample_weight):
    """Return the loss of the best constant prediction, scaled as in loss curves."""
    loss = plan.objective.constant_loss(Y, sample_weight, plan.n_columns)
    return plan.objective.reporting_scale(plan.n_columns) * loss


def targets_are_equal(Y, sample_weight):
    """Return whether all targets with a positive weight are equal."""
    Y = Y if sample_weight is None else Y[sample_weight > 0]
    return bool((Y[:1] == Y).all())


def warn_if_worse_than_constant(plan, history, rows, X, Y, sample_weight):
    """Warn if the network predicts the training rows worse than a constant.

    X, Y and `sample_weight` are the training rows to evaluate; `rows` are all training rows.
    """
    constant = constant_loss(plan, Y, sample_weight)
    loss = plan.reported_loss(plan.network().predict(X), Y, sample_weight)
    if not loss - constant > MAX_EXCESS * abs(constant) or targets_are_equal(Y, sample_weight):
        return
    diverges = history.loss_ > (history.loss_curve_ or [np.inf])[0]
    fixes = suggest_fixes(plan, rows, diverges)
    if plan.output in REAL_OUTPUTS:
        std = Y.std(axis=0, dtype=float).max()
        if std < MIN_TARGET_STD:
            fixes = f"scale y, whose standard deviation is {std:.3g} (with TransformedTargetRegressor), {fixes}"
    warnings.warn(
        "The network predicts the training rows worse than a constant: its loss without dropout is "
        f"{loss:.3g}, compared with {constant:.3g} for the best constant. To fix this, {fixes}.",
        ConvergenceWarning,
    )

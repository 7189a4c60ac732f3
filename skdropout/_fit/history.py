"""History of a training run: curves, patience, and the lines that ``verbose`` prints."""

import copy
from statistics import fmean

import numpy as np

from .._fitted import attributes_with
from ..engine.losses import LOSSES


class History:
    """Record of a training run, updated after each epoch.

    The estimator publishes attributes such as ``loss_curve_``, ``n_iter_`` and ``dropout_`` under the same names, see
    ``_fitted``. Each ``fit`` restarts the patience.

    Parameters
    ----------
    plan : Plan
    noise_free : bool, default=False
        Whether ``update_patience`` gets noise-free losses.

    Attributes
    ----------
    best : float or tuple of float
        Values that the next epoch must improve on: the score with early stopping, otherwise the training losses.
    recent : list of tuple of float
        The most recent noise-free losses, each with the training loss of its epoch.
    interrupted : bool
        Whether Ctrl-C ended the training.
    """

    loss_curve_ = validation_scores_ = None  # L-BFGS has none

    def __init__(self, plan, noise_free=False):
        self.settings, self.previous = plan.settings, plan.previous
        self.scoring, self.monitors_loss = plan.scoring, plan.monitors_loss
        self.classifies = LOSSES[plan.loss].for_classifier
        self.interrupted = False
        self.n_iter_ = 0
        self.t_ = self.previous.get("t_", 0)
        self.loss_ = np.nan
        self.dropout_ = plan.rates
        if self.settings.solver != "lbfgs":
            self._continue_curves(plan.incremental, noise_free, has_validation=plan.held_out is not None)

    def _continue_curves(self, incremental, noise_free, has_validation):
        """Start the curves, or continue those of the previous training."""
        self.loss_curve_ = self._previous_value("loss_curve_", [])
        self.dropout_curve_ = self._previous_value("dropout_curve_", [])
        if self.loss_curve_:
            self.loss_ = self.loss_curve_[-1]
        self.best_loss_ = None if self.settings.early_stopping else self._previous_value("best_loss_", np.inf)
        self.best = (np.inf, np.inf) if noise_free else (self.best_loss_,)
        self.recent = []
        self._no_improvement_count = self._previous_value("_no_improvement_count", 0) if incremental else 0
        self.validation_scores_ = self.validation_loss_curve_ = self.best_validation_score_ = None
        if has_validation:
            self.validation_scores_ = self._previous_value("validation_scores_", [])
            self.validation_loss_curve_ = self._previous_value("validation_loss_curve_", [])

    def _previous_value(self, name, default):
        """Return a copy of the value from the training that this one continues, or the default."""
        value = self.previous.get(name)
        return default if value is None else copy.copy(value)

    def published(self):
        """Return the attributes that the estimator publishes, by name."""
        return {name: vars(self)[name] for name in attributes_with("history") if name in vars(self)}

    def restore(self, fitted, best, recent):
        """Restore the history from the fitted attributes and the state in a checkpoint."""
        vars(self).update({name: fitted[name] for name in attributes_with("history") if name in fitted})
        self.best, self.recent = best, recent

    def start_validation(self, score, loss):
        """Record the score of the initial weights, which the first epoch must improve on."""
        self.best_validation_score_ = score
        if self.settings.early_stopping:
            self.best = -loss if self.monitors_loss else score

    def add_epoch(self, loss):
        """Append the training loss of an epoch and its dropout rates to the curves."""
        self.loss_ = loss
        self.loss_curve_.append(loss)
        self.dropout_curve_.append(self.dropout_)

    def add_validation(self, score, loss):
        """Append the score and the loss of the validation set."""
        self.validation_scores_.append(score)
        self.validation_loss_curve_.append(loss)
        if not self.settings.early_stopping:  # otherwise set with the best weights
            self.best_validation_score_ = max(score, self.best_validation_score_)

    def update_patience(self, noise_free_loss=None, meaningful=True):
        """Compare the last epoch with the best one, and return whether early stopping keeps its weights.

        Parameters
        ----------
        noise_free_loss : float, default=None
            Loss of the convergence rows without dropout.
        meaningful : bool, default=True
            Whether that loss is below the loss of the best constant prediction. If not, the epoch does not count as
            stalled.
        """
        tol = self.settings.tol
        improved = False
        if self.settings.early_stopping:
            monitored = -self.validation_loss_curve_[-1] if self.monitors_loss else self.validation_scores_[-1]
            stalled = monitored < self.best + tol
            improved = monitored > self.best
            self.best = max(monitored, self.best)
            if improved:
                self.best_validation_score_ = self.validation_scores_[-1]
        else:  # the last weights are kept
            losses = (self.loss_,) if noise_free_loss is None else self._recent_means(noise_free_loss)
            stalled = meaningful and all(loss > best - tol for loss, best in zip(losses, self.best, strict=True))
            self.best = tuple(map(min, losses, self.best))
            self.best_loss_ = min(self.loss_, self.best_loss_)
        self._no_improvement_count = self._no_improvement_count + 1 if stalled else 0
        return improved

    def stopped_before_loss(self):
        """Return whether the validation loss was still decreasing when a `scoring` of the user ended training.

        It was if its minimum is in the last half of the patience, lower than before by more than ``tol``. Only
        classifiers are judged: accuracy on few rows changes in steps, and a ``tol`` for log losses has a known scale.
        """
        if self.scoring in (None, "loss") or not (self.settings.early_stopping and self.classifies):
            return False
        curve = self.validation_loss_curve_[-self.n_iter_ :]  # without earlier fits of a warm start
        n_recent = max(1, int(self.settings.n_iter_no_change) // 2)
        return min(curve[-n_recent:]) < min(curve[:-n_recent]) - self.settings.tol

    def _recent_means(self, noise_free_loss):
        """Return the noise-free loss and the training loss, averaged over the last `n_iter_no_change` epochs.

        Both must stall to end training. The weights vary from epoch to epoch, especially when the rows of a batch share
        one mask: a lucky epoch can set a minimum that later epochs do not reach. The noise-free loss is also misleading
        while the running moments of batch normalization lag behind the weights. Stopping by single noise-free losses
        cost 1.5 ± 0.9 points of accuracy on seven tables (``benchmarks.convergence``).
        """
        self.recent = [*self.recent, (noise_free_loss, self.loss_)][-self.settings.n_iter_no_change :]
        return tuple(map(fmean, zip(*self.recent, strict=True)))

    def epoch_line(self, rates, seconds):
        """Return the line that ``verbose`` prints after an epoch, with the current `rates` by name."""
        values = {"loss": self.loss_}
        if self.validation_scores_:
            values["validation loss"] = self.validation_loss_curve_[-1]
            if self.scoring != "loss":
                values["validation score"] = self.validation_scores_[-1]
        columns = [f"{name} {value:.5f}" for name, value in values.items()]
        columns += [f"{name} {rate:.3g}" for name, rate in rates.items()]
        max_iter = self.settings.max_iter
        return "  ".join([f"Iteration {self.n_iter_:{len(str(max_iter))}}/{max_iter}", *columns, f"{seconds:.2f} s"])

    def plateau_line(self, next_rate):
        """Return the line that ``verbose`` prints when the patience has run out."""
        monitored = "Training loss"
        if self.settings.early_stopping:
            monitored = "Validation loss" if self.monitors_loss else "Validation score"
        action = "Stopping." if next_rate is None else f"Setting learning rate to {next_rate:f}"
        patience = f"tol={self.settings.tol:f} for {self.settings.n_iter_no_change} epochs"
        return f"{monitored} did not improve more than {patience}. {action}"

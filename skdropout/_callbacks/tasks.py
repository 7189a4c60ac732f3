"""The epochs of a fit as tasks of ``sklearn.callback``."""

from __future__ import annotations

import copy
import warnings
from typing import Any

from .._codec import report_damage
from .._errstate import ignore_float_errors, user_errstate
from .._sklearn import CALLBACK_STATE


class Tasks:
    """Calls the callbacks at the beginning and the end of the fit and of each epoch, if the estimator has any.

    Parameters
    ----------
    estimator : BaseDropoutMLP
        The estimator being fitted.
    X, y, sample_weight :
        As the user passed them: a DataFrame stays a DataFrame.
    plan : Plan

    Attributes
    ----------
    stopped : bool
        Whether a callback has ended the training.
    """

    @user_errstate()
    def __init__(self, estimator=None, X=None, y=None, sample_weight=None, plan=None):
        self.estimator, self.plan, self.root, self.epoch, self.stopped = estimator, plan, None, None, False
        if not getattr(estimator, "_skl_callbacks", None):
            return
        self.n_epochs_left = 1 if plan.incremental else plan.settings.max_iter
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.arguments = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.root = estimator._init_callback_context(max_subtasks=self.n_epochs_left)
        if plan.resume_from is not None:
            self._skip_epochs(plan.resume_from)
        self.root.call_on_fit_task_begin(**self.arguments)

    def _skip_epochs(self, saved):
        """Restore the callbacks, and give the next epoch its number."""
        with report_damage(saved.path):
            for callback, state in zip(stateful_callbacks(self.estimator), saved.state["callbacks"], strict=True):
                callback._load_state(self.estimator, state)
        for _ in range(saved.fitted["n_iter_"] - 1):
            self.root.subcontext(task_name="epoch")
            self.n_epochs_left -= 1

    @user_errstate()
    def begin_epoch(self):
        if self.root is not None and self.n_epochs_left > 0:
            self.n_epochs_left -= 1
            self.epoch = self.root.subcontext(task_name="epoch").call_on_fit_task_begin(**self.arguments)

    def end_epoch(self, training):
        """End an epoch of a training; return True if a callback wants it to be the last."""
        if self.epoch is not None:
            epoch, self.epoch = self.epoch, None
            self.estimator._publish(self.plan.model, training.history)
            fitted = ignore_float_errors()(lambda: self.estimator._fitted_copy(self.plan, training))
            with user_errstate():
                self._notify_checkpoints(epoch, training.state)
                self.stopped = epoch.call_on_fit_task_end(**self.arguments, reconstruction_attributes=fitted)
        return self.stopped

    @user_errstate()
    def end_fit(self, final_state):
        """End the fit, and an epoch that was begun but not trained.

        ``final_state()`` returns what a checkpoint is to hold of the fit. With None it keeps the last whole epoch.
        """
        if self.epoch is not None:
            self.epoch.call_on_fit_task_end(**self.arguments)
        if self.root is not None:
            if final_state is not None:
                self._notify_checkpoints(self.root, final_state)
            self.root.call_on_fit_task_end(**self.arguments, reconstruction_attributes={})

    def _notify_checkpoints(self, context, state):
        """Let checkpoints take the state, before any callback changes what the training continues with."""
        plan = self.plan
        if plan.fingerprint is None:
            return

        def checkpoint_state():
            callbacks = [callback._state_dict(self.estimator) for callback in stateful_callbacks(self.estimator)]
            return {
                "fingerprint": plan.fingerprint,
                "initial_random_state": plan.initial_random_state,
                "callbacks": callbacks,
                **state(),
            }

        for callback in self.estimator._skl_callbacks:
            if hasattr(callback, "_take_state"):
                callback._take_state(self.estimator, context, checkpoint_state)


def stateful_callbacks(estimator):
    """The callbacks whose own state is part of the training."""
    return [callback for callback in getattr(estimator, "_skl_callbacks", ()) if hasattr(callback, "_load_state")]


def is_whole_fit(context):
    """Whether a task is the whole fit of the estimator, by itself or inside of a search or a pipeline."""
    return context.parent is None or context.source_task_name is not None


def without_callbacks(estimator):
    """A copy without references to the training."""
    estimator = copy.copy(estimator)
    for name in (CALLBACK_STATE | {"_optimizer"}) & set(vars(estimator)):
        delattr(estimator, name)
    return estimator


class Callback:
    """The hooks of a callback. Those that are not overridden do nothing."""

    def setup(self, estimator: Any, context: Any) -> None:
        """Set up a fit. scikit-learn calls it.

        Parameters
        ----------
        estimator : estimator
            The estimator being fitted.

        context : CallbackContext
            The task.
        """

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Begin an epoch or the whole fit. scikit-learn calls it.

        Parameters
        ----------
        estimator : estimator
            The estimator being fitted.

        context : CallbackContext
            The task.
        """

    def teardown(self, estimator: Any, context: Any) -> None:
        """Clean up after a fit, even if it failed. scikit-learn calls it.

        Parameters
        ----------
        estimator : estimator
            The estimator being fitted.

        context : CallbackContext
            The task.
        """


def warn_about_container(callback, estimator):
    """Warn that a callback is set on an estimator that contains the network."""
    warnings.warn(
        f"{type(callback).__name__} has no effect on {type(estimator).__name__}, which does not report its epochs: set "
        "it on the network inside, with set_callbacks of a DropoutMLPClassifier or DropoutMLPRegressor."
    )

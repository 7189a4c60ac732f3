"""Fit and epochs as tasks of ``sklearn.callback``."""

from __future__ import annotations

import copy
import warnings
from typing import Any

from .._codec import report_damage
from .._errstate import ignore_float_errors, user_errstate
from .._sklearn import CALLBACK_STATE


class Tasks:
    """Caller of the callbacks, if any, at the beginning and the end of the fit and of each epoch.

    Parameters
    ----------
    estimator : BaseDropoutMLP
        The estimator being fitted.
    X, y, sample_weight :
        As passed by the user: a DataFrame stays a DataFrame.
    plan : Plan

    Attributes
    ----------
    stopped : bool
        Whether a callback has stopped the training.
    """

    @user_errstate()
    def __init__(self, estimator=None, X=None, y=None, sample_weight=None, plan=None):
        self.estimator, self.plan = estimator, plan
        self.root = self.epoch = None  # the contexts of the fit and of the current epoch
        self.stopped = False
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
        """Restore the state of the callbacks, and advance to the next epoch."""
        with report_damage(saved.path):
            for callback, state in zip(stateful_callbacks(self.estimator), saved.state["callbacks"], strict=True):
                callback._load_state(self.estimator, state)
        for _ in range(saved.fitted["n_iter_"] - 1):
            self.root.subcontext(task_name="epoch")
            self.n_epochs_left -= 1

    @user_errstate()
    def begin_epoch(self):
        """Begin an epoch."""
        if self.root is not None and self.n_epochs_left > 0:
            self.n_epochs_left -= 1
            self.epoch = self.root.subcontext(task_name="epoch").call_on_fit_task_begin(**self.arguments)

    def end_epoch(self, training):
        """End an epoch of `training`, and return whether a callback stops the training."""
        if self.epoch is None:
            return self.stopped

        @ignore_float_errors()
        def fitted_attributes():
            return self.estimator._fitted_copy(self.plan, training)

        epoch, self.epoch = self.epoch, None
        self.estimator._publish(self.plan.model, training.history)
        with user_errstate():
            self._notify_checkpoints(epoch, training.state)
            self.stopped = epoch.call_on_fit_task_end(**self.arguments, reconstruction_attributes=fitted_attributes)
        return self.stopped

    @user_errstate()
    def end_fit(self, final_state):
        """End the fit, and an epoch that has begun but was not trained.

        ``final_state()`` returns the state for checkpoints. If None, they keep the state of the last complete epoch.
        """
        if self.epoch is not None:
            self.epoch.call_on_fit_task_end(**self.arguments)
        if self.root is not None:
            if final_state is not None:
                self._notify_checkpoints(self.root, final_state)
            self.root.call_on_fit_task_end(**self.arguments, reconstruction_attributes={})

    def _notify_checkpoints(self, context, state):
        """Let checkpoints capture the state before other callbacks can change it."""
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
            if hasattr(callback, "_capture_state"):
                callback._capture_state(self.estimator, context, checkpoint_state)


def stateful_callbacks(estimator):
    """Return the callbacks whose state is part of the training state."""
    return [callback for callback in getattr(estimator, "_skl_callbacks", ()) if hasattr(callback, "_load_state")]


def is_whole_fit(context):
    """Return whether a task is the whole fit of the estimator, by itself or inside a search or a pipeline."""
    return context.parent is None or context.source_task_name is not None


def without_callbacks(estimator):
    """Return a copy without callbacks and optimizer."""
    estimator = copy.copy(estimator)
    for name in (CALLBACK_STATE | {"_optimizer"}) & set(vars(estimator)):
        delattr(estimator, name)
    return estimator


class Callback:
    """Base class of callbacks, with hooks that do nothing."""

    def setup(self, estimator: Any, context: Any) -> None:
        """Set up the callback for a fit. Called by scikit-learn.

        Parameters
        ----------
        estimator : estimator
            The estimator being fitted.

        context : CallbackContext
            The task.
        """

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Begin an epoch or the whole fit. Called by scikit-learn.

        Parameters
        ----------
        estimator : estimator
            The estimator being fitted.

        context : CallbackContext
            The task.
        """

    def teardown(self, estimator: Any, context: Any) -> None:
        """Clean up after a fit, even if it failed. Called by scikit-learn.

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
        "it on the network inside, by set_callbacks of the DropoutMLPClassifier or DropoutMLPRegressor."
    )

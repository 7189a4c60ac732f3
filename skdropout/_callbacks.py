"""Callbacks of scikit-learn 1.9: how a fit calls them, and one that scikit-learn has not."""

from __future__ import annotations

import copy
import warnings
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.utils import check_scalar

from ._codec import SequenceOf, check, report_damage
from ._errstate import user_errstate
from ._rows import validate_sample_weight
from ._sklearn import CALLBACK_STATE
from ._typing import Float, Int, MatrixLike, Scoring
from ._validation import check_target_scale, check_validation_set, describe_absent_classes, score_of_known_classes


class Tasks:
    """The epochs of a fit as tasks of ``sklearn.callback``; nothing if the estimator has no callbacks.

    Parameters
    ----------
    estimator : BaseDropoutMLP
        The one being fitted.
    X, y, sample_weight :
        As the user gave them: a DataFrame stays a DataFrame.
    n_epochs : int
        How many there are at most.
    saved : (BaseDropoutMLP, dict, Path), default=(None, None, None)
        The estimator and the progress of the fit that this one resumes, in the last of its epochs, and their file.

    Attributes
    ----------
    progress : callable or None
        What a checkpoint is to write of the training; None if nothing.
    """

    @user_errstate()
    def __init__(self, estimator=None, X=None, y=None, sample_weight=None, n_epochs=0, saved=(None, None, None)):
        self.root = self.epoch = self.progress = None
        self.n_left, self.stopped = n_epochs, False
        if getattr(estimator, "_skl_callbacks", None):
            metadata = None if sample_weight is None else {"sample_weight": sample_weight}
            self.known = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
            self.root = estimator._init_callback_context(max_subtasks=n_epochs)
            before, progress, path = saved
            if before is not None:
                with report_damage(path):
                    for callback, state in zip(going_on(estimator), progress["callbacks"], strict=True):
                        callback._go_on(estimator, state)
                for _ in range(before.n_iter_ - 1):  # the numbers of the epochs go on
                    self.root.subcontext(task_name="epoch")
                    self.n_left -= 1
            self.root.call_on_fit_task_begin(**self.known)

    @user_errstate()
    def begin(self):
        if self.root is not None and self.n_left > 0:
            self.n_left -= 1
            self.epoch = self.root.subcontext(task_name="epoch").call_on_fit_task_begin(**self.known)

    @user_errstate()
    def end(self, as_if_stopped):
        """End the epoch; True if a callback wants it to be the last.

        ``as_if_stopped()`` returns the fitted attributes by name; it is called if a callback asks for the estimator.
        """
        if self.epoch is not None:
            epoch, self.epoch = self.epoch, None
            self._look(epoch)
            self.stopped = epoch.call_on_fit_task_end(**self.known, reconstruction_attributes=as_if_stopped)
        return self.stopped

    @user_errstate()
    def end_all(self):
        """End the fit, and an epoch that was begun and never came."""
        if self.epoch is not None:
            self.epoch.call_on_fit_task_end(**self.known)
        if self.root is not None:
            self._look(self.root)
            self.root.call_on_fit_task_end(**self.known, reconstruction_attributes={})

    def _look(self, context):
        """Show the progress to checkpoints, before any callback changes what it goes on with."""
        if self.progress is not None:
            for callback in self.known["estimator"]._skl_callbacks:
                if hasattr(callback, "_look"):
                    callback._look(self.known["estimator"], context, self.progress)


def going_on(estimator):
    """The callbacks whose own progress is part of the training."""
    return [callback for callback in getattr(estimator, "_skl_callbacks", ()) if hasattr(callback, "_go_on")]


def is_whole_fit(context):
    """Whether a task is the whole fit of the estimator, by itself or inside of a search or a pipeline."""
    return context.parent is None or context.source_task_name is not None


def without_callbacks(estimator):
    """A copy that holds on to nothing of the training."""
    estimator = copy.copy(estimator)
    for name in (CALLBACK_STATE | {"_optimizer"}) & set(vars(estimator)):
        delattr(estimator, name)
    return estimator


class Callback:
    """The hooks of a callback; those that are not overridden do nothing."""

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin a fit; scikit-learn calls it.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.

        context : CallbackContext
            The task.
        """

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Begin an epoch or the whole fit; scikit-learn calls it.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.

        context : CallbackContext
            The task.
        """

    def teardown(self, estimator: Any, context: Any) -> None:
        """End a fit, failed or not; scikit-learn calls it.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.

        context : CallbackContext
            The task.
        """


def say_where_to_set(callback, estimator):
    """For an estimator that never says how it would be if it stopped, as what fits others does not."""
    warnings.warn(
        f"{type(callback).__name__} does nothing for {type(estimator).__name__}, which tells it of no network: set it "
        "on the network inside, set_callbacks of a DropoutMLPClassifier or DropoutMLPRegressor."
    )


class EarlyStopping(Callback):
    """Callback that stops the training when a score on held-out rows has stopped improving.

    For ``set_callbacks`` of an estimator, with scikit-learn 1.9. After each epoch the network as it is then, without
    noise, is scored on `X_val`, `y_val`; after more than `n_iter_no_change` epochs in a row that did not improve on the
    best score by `tol` [1]_ the training ends, and the weights of the best epoch are put back.

    ``early_stopping=True`` does the same with rows split off the training data, or ``fit(..., X_val=, y_val=)``. The
    callback serves where ``fit`` is called by something else, or where another estimator is to be stopped.

    Parameters
    ----------
    X_val : {array-like, sparse matrix} of shape (n_val, n_features)
        Rows to score on. The network inside of a :class:`~sklearn.pipeline.Pipeline` sees transformed rows: give
        transformed ones.

    y_val : array-like of shape (n_val,) or (n_val, n_outputs)
        Their true targets, as the network gets them: encoded labels inside of a
        :class:`~sklearn.ensemble.VotingClassifier` or :class:`~sklearn.ensemble.StackingClassifier`, transformed ones
        inside of a :class:`~sklearn.compose.TransformedTargetRegressor`. Labels, features or outputs that the network
        does not know raise an error after the first epoch.

    scoring : str or callable, default=None
        A scorer, greater is better. None for the ``score`` of the estimator, except in a
        :class:`DropoutMLPClassifier` with dropout, where it is minus the log loss, as with ``early_stopping=True``.
        Classes without validation rows are handled as in the `scoring` parameter of the estimators.

    sample_weight : array-like of shape (n_val,), default=None
        Weights of the rows; the scorer must take them.

    n_iter_no_change : int, default=10
        Epochs to wait for an improvement, at least 1.

    tol : float, default=1e-4
        What counts as one, at least 0.

    Attributes
    ----------
    scores_ : list of float
        The score after each epoch.

    best_score_ : float
        The greatest.

    best_epoch_ : int
        The epoch it was reached in; the first is 1.

    best_estimator_ : estimator
        A copy of the estimator as it was then.

    See Also
    --------
    Checkpoint : Writes the estimator to disk.
    DropoutMLPClassifier : Has ``early_stopping`` and ``scoring``.

    Notes
    -----
    Set it before callbacks that are to see the best weights at the end, such as :class:`Checkpoint`.

    It goes by the epochs of one call: after a ``fit`` with ``warm_start=True`` the best of its own epochs come back,
    though the weights that it started from may have been better.

    ``TrainingCurveDisplay(clf.loss_curve_, validation_scores=stopping.scores_, best_epoch=stopping.best_epoch_)`` draws
    the scores, by ``plot(curve="score")``.

    An estimator is pickled with its callbacks, this one with `X_val`, `y_val` and the best estimator. To leave them
    out, ``set_callbacks()`` takes all callbacks off.

    One instance may serve all fits of a search, in threads or processes: each stops by its own scores. The attributes
    are of the fit that ended last in this process.

    Other estimators are stopped too, if callbacks can stop them (the solver 'lbfgs' of scikit-learn's
    LogisticRegression goes on); their weights are not put back: take `best_estimator_`.

    References
    ----------
    .. [1] L. Prechelt (1998). Early Stopping - But When? Neural Networks: Tricks of the Trade, Springer.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skdropout import DropoutMLPClassifier, EarlyStopping
    >>> X, y = load_digits(return_X_y=True)
    >>> X, X_val, y, y_val = train_test_split(X / 16, y, random_state=0)
    >>> stopping = EarlyStopping(X_val, y_val, scoring="neg_log_loss", n_iter_no_change=3)
    >>> clf = DropoutMLPClassifier(30, learning_rate_init=0.02, random_state=0)
    >>> clf = clf.set_callbacks(stopping).fit(X, y)
    >>> clf.n_iter_ - stopping.best_epoch_
    4
    """

    scores_: list[float]
    best_score_: float
    best_epoch_: int
    best_estimator_: BaseEstimator

    def __init__(
        self,
        X_val: MatrixLike,
        y_val: ArrayLike,
        *,
        scoring: Scoring = None,
        sample_weight: ArrayLike | None = None,
        n_iter_no_change: Int = 10,
        tol: Float = 1e-4,
    ) -> None:
        check_scalar(n_iter_no_change, "n_iter_no_change", Integral, min_val=1)
        check_scalar(tol, "tol", Real, min_val=0)
        self.X_val = X_val
        self.y_val = y_val
        self.scoring = scoring
        self.sample_weight = sample_weight
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self._runs: dict[int, Scores] = {}  # by estimator: clones that are fitted side by side share this instance

    def __getstate__(self):
        return {**vars(self), "_runs": {}}

    def _settings(self):
        """What the scores depend on."""
        return {name: value for name, value in vars(self).items() if not (name.endswith("_") or name.startswith("_"))}

    def _how_far(self, estimator):
        """How far the fit of an estimator has come."""
        run = self._runs[id(estimator)]
        return {**vars(run), "values": list(run.values), "scorer": None}

    def _go_on(self, estimator, progress):
        """Restore the progress of an interrupted fit."""
        run = self._runs[id(estimator)]
        kinds = {**vars(Scores(None)), "values": SequenceOf(Real), "best_estimator": BaseEstimator | None}
        check(progress, kinds, "the scores of EarlyStopping")
        vars(run).update(progress | {"scorer": run.scorer})

    def setup(self, estimator: Any, context: Any) -> None:
        by_loss = self.scoring is None and getattr(estimator, "_stops_by_loss", bool)()
        self._runs[id(estimator)] = Scores(mean_log_likelihood if by_loss else check_scoring(estimator, self.scoring))

    def on_fit_task_end(self, estimator: Any, context: Any, *, y: Any = None, fitted_estimator: Any = None) -> bool:
        """Score the network after an epoch; after the last, put the best weights back.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.

        context : CallbackContext
            The task.

        y : array-like, default=None
            The training targets.

        fitted_estimator : estimator, default=None
            What ``fit`` would return if it stopped here.

        Returns
        -------
        stop : bool
            Whether this epoch is to be the last.
        """
        run = self._runs[id(estimator)]
        if is_whole_fit(context):
            if not (run.values or hasattr(estimator, "_take_weights")):
                say_where_to_set(self, estimator)
            if run.best_estimator is not None and hasattr(estimator, "_take_weights"):
                for est in (estimator, fitted_estimator):  # and the copy that callbacks after this one are given
                    est._take_weights(run.best_estimator)
            return False
        if fitted_estimator is None:
            return False
        what = "X_val, y_val and scoring of EarlyStopping"
        if not run.values:
            try:
                check_validation_set(fitted_estimator, self.X_val, self.y_val)
            except (ValueError, TypeError) as error:
                raise ValueError(f"{what}: {error}") from error
            if y is not None:
                check_target_scale(fitted_estimator, y, self.y_val)
        try:
            sample_weight = validate_sample_weight(self.sample_weight, self.X_val, np.float64, "sample_weight")
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            score = score_of_known_classes(run.scorer, fitted_estimator, self.X_val, self.y_val, weights)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{what}: {error}") from error
        if not isfinite(score):
            hint = describe_absent_classes(fitted_estimator, self.y_val, self.sample_weight)
            raise ValueError(f"The score of EarlyStopping became {score}, with scoring={self.scoring!r}.{hint}")
        return run.add(score, fitted_estimator, self.tol) > self.n_iter_no_change

    def teardown(self, estimator: Any, context: Any) -> None:
        run = self._runs.pop(id(estimator), None)
        if run is not None and run.best_estimator is not None:
            self.scores_, self.best_score_ = run.values, run.best
            self.best_epoch_, self.best_estimator_ = run.best_epoch, run.best_estimator


def mean_log_likelihood(estimator, X, y, sample_weight=None):
    """Minus the log loss, without dropout."""
    log_likelihood = estimator.log_predictive_density(X, y, n_samples=1, dropout=0, input_dropout=0)
    return float(np.average(log_likelihood, weights=sample_weight))


class Scores:
    """The scores of a fit, and the best estimator so far."""

    def __init__(self, scorer):
        self.scorer, self.values = scorer, []
        self.best, self.best_epoch, self.best_estimator, self.n_stalled = -inf, 0, None, 0

    def add(self, score, estimator, tol):
        """Note the score of one more epoch; how many in a row were no improvement."""
        self.values.append(score)
        self.n_stalled = self.n_stalled + 1 if score < self.best + tol else 0
        if score > self.best:
            self.best, self.best_epoch, self.best_estimator = score, len(self.values), without_callbacks(estimator)
        return self.n_stalled

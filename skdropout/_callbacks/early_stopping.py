"""The callback that stops the training early."""

from __future__ import annotations

from math import inf, isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_regressor
from sklearn.metrics import check_scoring
from sklearn.utils import check_scalar

from .._codec import SequenceOf, check
from .._fit.data import validate_sample_weight
from .._typing import Float, Int, MatrixLike, Scoring
from .._validation import check_target_scale, check_validation_set, describe_absent_classes, score_of_known_classes
from .tasks import Callback, is_whole_fit, warn_about_container, without_callbacks


class EarlyStopping(Callback):
    """Callback that stops the training when a score on held-out rows has stopped improving.

    Use it with ``set_callbacks`` of an estimator and scikit-learn 1.9. After each epoch the current network, without
    dropout, is scored on `X_val` and `y_val`. After more than `n_iter_no_change` epochs in a row that did not improve
    the best score by `tol` [1]_ the training ends, and the weights of the best epoch are restored.

    ``early_stopping=True`` does the same with rows split off the training data, or with ``fit(..., X_val=, y_val=)``.
    Use the callback where another object calls ``fit``, or to stop other estimators of scikit-learn.

    Parameters
    ----------
    X_val : {array-like, sparse matrix} of shape (n_val, n_features)
        Validation data. A network inside a :class:`~sklearn.pipeline.Pipeline` is trained on transformed rows: pass
        transformed rows.

    y_val : array-like of shape (n_val,) or (n_val, n_outputs)
        Targets of `X_val`, as the network gets them: encoded labels inside a
        :class:`~sklearn.ensemble.VotingClassifier` or :class:`~sklearn.ensemble.StackingClassifier`, transformed
        targets inside a :class:`~sklearn.compose.TransformedTargetRegressor`. Labels, features or outputs that the
        network does not know raise an error after the first epoch.

    scoring : str or callable, default=None
        A scorer; greater is better. None for the ``score`` of the estimator, except in a
        :class:`DropoutMLPClassifier` with dropout, where it is minus the log loss, as with ``early_stopping=True``.
        Classes without validation rows are handled as in the `scoring` parameter of the estimators.

    sample_weight : array-like of shape (n_val,), default=None
        Weights of the validation rows. The scorer must accept them.

    n_iter_no_change : int, default=10
        Maximum number of epochs without improvement, at least 1.

    tol : float, default=1e-4
        Minimum improvement of the score, at least 0.

    Attributes
    ----------
    scores_ : list of float
        The score after each epoch.

    best_score_ : float
        The maximum of `scores_`.

    best_epoch_ : int
        The epoch with the best score; the first is 1.

    best_estimator_ : estimator
        A copy of the estimator after that epoch.

    See Also
    --------
    Checkpoint : Writes the training to disk.
    DropoutMLPClassifier : Has ``early_stopping`` and ``scoring``.

    Notes
    -----
    Pass it before callbacks that need the best weights at the end, such as :class:`Checkpoint`.

    It counts the epochs of one call: after a ``fit`` with ``warm_start=True`` the best of its own epochs is restored,
    even if the initial weights were better.

    ``TrainingCurveDisplay(clf.loss_curve_, validation_scores=stopping.scores_, best_epoch=stopping.best_epoch_)`` draws
    the scores, by ``plot(curve="score")``.

    An estimator is pickled with its callbacks, this one with `X_val`, `y_val` and the best estimator. To leave them
    out, call ``set_callbacks()``, which removes all callbacks.

    One instance may be used for all fits of a search, in threads or processes: each fit stops by its own scores. The
    attributes are those of the last fit that ended in this process.

    Other estimators are stopped too, if callbacks can stop them (the solver 'lbfgs' of scikit-learn's
    LogisticRegression ignores it). Their weights are not restored: use `best_estimator_`.

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
        self._runs: dict[int, Scores] = {}  # by id of the estimator: clones that are fitted in parallel share self

    def __getstate__(self):
        return {**vars(self), "_runs": {}}

    def _settings(self):
        """The settings that the scores depend on."""
        return {name: value for name, value in vars(self).items() if not (name.endswith("_") or name.startswith("_"))}

    def _state_dict(self, estimator):
        """The state of the fit of an estimator."""
        run = self._runs[id(estimator)]
        return {**vars(run), "values": list(run.values), "scorer": None}

    def _load_state(self, estimator, state):
        """Restore the state of an interrupted fit."""
        run = self._runs[id(estimator)]
        schema = {**vars(Scores(None)), "values": SequenceOf(Real), "best_estimator": BaseEstimator | None}
        check(state, schema, "the scores of EarlyStopping")
        vars(run).update(state | {"scorer": run.scorer})

    def setup(self, estimator: Any, context: Any) -> None:
        by_loss = self.scoring is None and getattr(estimator, "_monitors_loss", bool)()
        self._runs[id(estimator)] = Scores(mean_log_likelihood if by_loss else check_scoring(estimator, self.scoring))

    def on_fit_task_end(self, estimator: Any, context: Any, *, y: Any = None, fitted_estimator: Any = None) -> bool:
        """Score the network after an epoch; at the end of the fit, restore the best weights.

        Parameters
        ----------
        estimator : estimator
            The estimator being fitted.

        context : CallbackContext
            The task.

        y : array-like, default=None
            The training targets.

        fitted_estimator : estimator, default=None
            The estimator that ``fit`` would return if it stopped here.

        Returns
        -------
        stop : bool
            Whether to stop after this epoch.
        """
        run = self._runs[id(estimator)]
        if is_whole_fit(context):
            if not (run.values or hasattr(estimator, "_take_weights")):
                warn_about_container(self, estimator)
            if run.best_estimator is not None and hasattr(estimator, "_take_weights"):
                for est in (estimator, fitted_estimator):  # the next callbacks get the second one
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
            if y is not None and is_regressor(fitted_estimator):
                check_target_scale(y, self.y_val)
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
    """Return minus the log loss, without dropout."""
    log_likelihood = estimator.log_predictive_density(X, y, n_samples=1, dropout=0, input_dropout=0)
    return float(np.average(log_likelihood, weights=sample_weight))


class Scores:
    """The scores of a fit, and the best estimator so far."""

    def __init__(self, scorer):
        self.scorer, self.values = scorer, []
        self.best, self.best_epoch, self.best_estimator, self.n_stalled = -inf, 0, None, 0

    def add(self, score, estimator, tol):
        """Append the score of an epoch; return the number of epochs in a row without improvement."""
        self.values.append(score)
        self.n_stalled = self.n_stalled + 1 if score < self.best + tol else 0
        if score > self.best:
            self.best, self.best_epoch, self.best_estimator = score, len(self.values), without_callbacks(estimator)
        return self.n_stalled

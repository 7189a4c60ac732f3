"""Callback for early stopping."""

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
    """Callback that stops training when the score of a validation set stops improving.

    Pass it to ``set_callbacks`` of an estimator; requires scikit-learn 1.9. After each epoch the current network is
    scored on `X_val` and `y_val`, without dropout. After more than `n_iter_no_change` epochs in a row without an
    improvement by `tol` [1]_, training stops and the weights of the best epoch are restored.

    ``early_stopping=True`` does the same with a split of the training rows, or with ``fit(..., X_val=, y_val=)``. Use
    the callback where another object calls ``fit``, or to stop other estimators of scikit-learn.

    Parameters
    ----------
    X_val : {array-like, sparse matrix} of shape (n_val, n_features)
        Validation data. Pass transformed rows if the network is inside a :class:`~sklearn.pipeline.Pipeline`, since it
        is trained on transformed rows.

    y_val : array-like of shape (n_val,) or (n_val, n_outputs)
        Targets of `X_val`, as the network receives them: encoded labels inside a
        :class:`~sklearn.ensemble.VotingClassifier` or :class:`~sklearn.ensemble.StackingClassifier`, transformed
        targets inside a :class:`~sklearn.compose.TransformedTargetRegressor`. Unknown labels, features or outputs raise
        an error after the first epoch.

    scoring : str or callable, default=None
        Scorer; greater is better. None for the ``score`` of the estimator, except in a
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
        Score after each epoch.

    best_score_ : float
        Maximum of `scores_`.

    best_epoch_ : int
        Epoch with the best score; the first epoch is 1.

    best_estimator_ : estimator
        Copy of the estimator after that epoch.

    See Also
    --------
    Checkpoint : Save the training state to disk.
    DropoutMLPClassifier : Classifier with the parameters ``early_stopping`` and ``scoring``.

    Notes
    -----
    Pass it before callbacks that need the best weights at the end, such as :class:`Checkpoint`.

    The restored weights of a regressor have no conformity scores. For :meth:`DropoutMLPRegressor.predict_interval`,
    call its ``calibrate(X_val, y_val)`` after ``fit``.

    Only the epochs of one call count: a ``fit`` with ``warm_start=True`` restores the best of its own epochs, even if
    the initial weights were better.

    To plot the scores, call ``plot(curve="score")`` of ``TrainingCurveDisplay(clf.loss_curve_,
    validation_scores=stopping.scores_, best_epoch=stopping.best_epoch_)``.

    An estimator is pickled with its callbacks, this one with `X_val`, `y_val` and the best estimator. To exclude them,
    first call ``set_callbacks()``, which removes all callbacks.

    One instance can serve all fits of a search, in threads or processes: each fit is stopped by its own scores. The
    attributes are those of the last fit that ended in this process.

    Other estimators are stopped as well, if they support it (the solver 'lbfgs' of scikit-learn's LogisticRegression
    does not). Their weights are not restored: use `best_estimator_`.

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
    >>> clf = DropoutMLPClassifier(hidden_layer_sizes=30, learning_rate_init=0.02, random_state=0)
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
        self._runs: dict[int, Scores] = {}  # by id of the estimator, since parallel fits share self

    def __getstate__(self):
        return {**vars(self), "_runs": {}}

    def _settings(self):
        """Return the settings that the scores depend on."""
        return {name: value for name, value in vars(self).items() if not (name.endswith("_") or name.startswith("_"))}

    def _state_dict(self, estimator):
        """Return the state in the fit of an estimator."""
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
        """Score the network after each epoch, and restore the best weights at the end of the fit.

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
            Whether to stop training after this epoch.
        """
        run = self._runs[id(estimator)]
        if is_whole_fit(context):
            if not (run.values or hasattr(estimator, "_restore_weights")):
                warn_about_container(self, estimator)
            if run.best_estimator is not None and hasattr(estimator, "_restore_weights"):
                for est in (estimator, fitted_estimator):  # the next callbacks receive the latter
                    est._restore_weights(run.best_estimator)
            return False
        if fitted_estimator is None:
            return False
        source = "X_val, y_val and scoring of EarlyStopping"
        if not run.values:
            try:
                check_validation_set(fitted_estimator, self.X_val, self.y_val)
            except (ValueError, TypeError) as error:
                raise ValueError(f"{source}: {error}") from error
            if y is not None and is_regressor(fitted_estimator):
                check_target_scale(y, self.y_val)
        try:
            sample_weight = validate_sample_weight(self.sample_weight, self.X_val, np.float64, "sample_weight")
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            score = score_of_known_classes(run.scorer, fitted_estimator, self.X_val, self.y_val, weights)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{source}: {error}") from error
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
    """Scores of a fit, and its best estimator so far."""

    def __init__(self, scorer):
        self.scorer = scorer
        self.values = []
        self.best = -inf
        self.best_epoch = 0
        self.best_estimator = None
        self.n_stalled = 0

    def add(self, score, estimator, tol):
        """Append the score of an epoch, and return the number of epochs in a row without improvement."""
        self.values.append(score)
        self.n_stalled = self.n_stalled + 1 if score < self.best + tol else 0
        if score > self.best:
            self.best, self.best_epoch, self.best_estimator = score, len(self.values), without_callbacks(estimator)
        return self.n_stalled

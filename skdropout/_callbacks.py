"""Callbacks of scikit-learn 1.9: how a fit calls them, and two that scikit-learn has not."""

import copy
import os
import warnings
from math import inf, isfinite
from numbers import Integral, Real
from pathlib import Path
from uuid import uuid4

import joblib
from sklearn.metrics import check_scoring
from sklearn.utils import check_scalar

from ._sklearn import CALLBACK_STATE


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
    """

    def __init__(self, estimator=None, X=None, y=None, sample_weight=None, n_epochs=0):
        self.root = self.epoch = None
        self.n_left, self.stopped = n_epochs, False
        if getattr(estimator, "_skl_callbacks", None):
            metadata = None if sample_weight is None else {"sample_weight": sample_weight}
            self.known = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
            self.root = estimator._init_callback_context(max_subtasks=n_epochs)
            self.root.call_on_fit_task_begin(**self.known)

    def around(self, epochs):
        """The values of an iterator of epochs, the task of each begun before it."""
        while True:
            self.begin()
            yield next(epochs)

    def begin(self):
        if self.root is not None and self.n_left > 0:
            self.n_left -= 1
            self.epoch = self.root.subcontext(task_name="epoch").call_on_fit_task_begin(**self.known)

    def end(self, as_if_stopped):
        """End the epoch; True if a callback wants it to be the last.

        ``as_if_stopped()`` returns the fitted attributes by name; it is called if a callback asks for the estimator.
        """
        if self.epoch is not None:
            epoch, self.epoch = self.epoch, None
            self.stopped = epoch.call_on_fit_task_end(**self.known, reconstruction_attributes=as_if_stopped)
        return self.stopped

    def end_all(self):
        """End the fit, and an epoch that was begun and never came."""
        if self.epoch is not None:
            self.epoch.call_on_fit_task_end(**self.known)
        if self.root is not None:
            self.root.call_on_fit_task_end(**self.known, reconstruction_attributes={})


def _is_whole_fit(context):
    """Whether a task is the whole fit of the estimator, by itself or inside of a search or a pipeline."""
    return context.parent is None or context.source_task_name is not None


def _without_callbacks(estimator):
    """A copy that holds on to nothing of the training."""
    estimator = copy.copy(estimator)
    for name in CALLBACK_STATE & set(vars(estimator)):
        delattr(estimator, name)
    return estimator


class Callback:
    """The hooks of a callback; those that are not overridden do nothing."""

    def setup(self, estimator, context):
        """Begin a fit; scikit-learn calls it.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.

        context : CallbackContext
            The task.
        """

    def on_fit_task_begin(self, estimator, context):
        """Begin an epoch or the whole fit; scikit-learn calls it.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.

        context : CallbackContext
            The task.
        """

    def teardown(self, estimator, context):
        """End a fit, failed or not; scikit-learn calls it.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.

        context : CallbackContext
            The task.
        """


def _say_where_to_set(callback, estimator):
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
        Their true targets.

    scoring : str or callable, default=None
        A scorer, greater is better; None for the ``score`` of the estimator.

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

    def __init__(self, X_val, y_val, *, scoring=None, sample_weight=None, n_iter_no_change=10, tol=1e-4):
        check_scalar(n_iter_no_change, "n_iter_no_change", Integral, min_val=1)
        check_scalar(tol, "tol", Real, min_val=0)
        self.X_val = X_val
        self.y_val = y_val
        self.scoring = scoring
        self.sample_weight = sample_weight
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self._runs = {}  # by estimator: clones that are fitted side by side share this instance

    def __getstate__(self):
        return {**vars(self), "_runs": {}}

    def setup(self, estimator, context):
        self._runs[id(estimator)] = Scores(check_scoring(estimator, self.scoring))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Score the network after an epoch; after the last, put the best weights back.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.

        context : CallbackContext
            The task.

        fitted_estimator : estimator, default=None
            What ``fit`` would return if it stopped here.

        Returns
        -------
        stop : bool
            Whether this epoch is to be the last.
        """
        run = self._runs[id(estimator)]
        if _is_whole_fit(context):
            if not (run.values or hasattr(estimator, "_take_weights")):
                _say_where_to_set(self, estimator)
            if run.best_estimator is not None and hasattr(estimator, "_take_weights"):
                for est in (estimator, fitted_estimator):  # and the copy that callbacks after this one are given
                    est._take_weights(run.best_estimator)
            return False
        if fitted_estimator is None:
            return False
        weights = {} if self.sample_weight is None else {"sample_weight": self.sample_weight}
        score = float(run.scorer(fitted_estimator, self.X_val, self.y_val, **weights))
        if not isfinite(score):
            raise ValueError(f"The score of EarlyStopping became {score}, with scoring={self.scoring!r}.")
        return run.add(score, fitted_estimator, self.tol) > self.n_iter_no_change

    def teardown(self, estimator, context):
        run = self._runs.pop(id(estimator), None)
        if run is not None and run.values:
            self.scores_, self.best_score_ = run.values, run.best
            self.best_epoch_, self.best_estimator_ = run.values.index(run.best) + 1, run.best_estimator


class Scores:
    """The scores of a fit, and the best estimator so far."""

    def __init__(self, scorer):
        self.scorer, self.values = scorer, []
        self.best, self.best_estimator, self.n_stalled = -inf, None, 0

    def add(self, score, estimator, tol):
        """Note the score of one more epoch; how many in a row were no improvement."""
        self.values.append(score)
        self.n_stalled = self.n_stalled + 1 if score < self.best + tol else 0
        if score > self.best:
            self.best, self.best_estimator = score, _without_callbacks(estimator)
        return self.n_stalled


class Checkpoint(Callback):
    """Callback that writes the estimator to disk as it trains.

    For ``set_callbacks`` of an estimator, with scikit-learn 1.9. After every `every`-th epoch the estimator is written
    as if ``fit`` had stopped there, ready to predict; at the end of ``fit`` it is written once more, as it is returned.
    The file is replaced in one step, so that there is a whole one whenever the process is killed. Read it by
    ``joblib.load(path)``.

    Parameters
    ----------
    path : str or os.PathLike
        The file, such as "mlp.joblib", in a folder that exists. The fits of a search put the numbers of their tasks
        in: "mlp-0-7.joblib".

    every : int, default=1
        Epochs from one write to the next, at least 1.

    Raises
    ------
    FileNotFoundError
        At ``fit``, if the folder is not there.

    See Also
    --------
    EarlyStopping : Stops the training, and keeps the best estimator.

    Notes
    -----
    Callbacks are not written with the estimator, nor is the state of the optimizer: ``warm_start=True`` or
    ``partial_fit`` go on from the weights with fresh moments.

    With ``early_stopping=True`` the weights in the file are those of the epoch until ``fit`` ends; then they are the
    best. So it is with :class:`EarlyStopping`, if that is set before.

    Fits side by side of which scikit-learn keeps no tasks, such as those of ``cross_validate``, share the one file, and
    the last to write it wins.

    Loading runs code, as with any pickle: load only files of your own.

    Examples
    --------
    >>> import joblib
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from skdropout import Checkpoint, DropoutMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> with TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(Path(folder) / "mlp.joblib", every=50)
    ...     clf = DropoutMLPClassifier(20, early_stopping=True, random_state=0)
    ...     clf = clf.set_callbacks(checkpoint).fit(X, y)
    ...     saved = joblib.load(checkpoint.path)
    >>> bool((saved.predict_proba(X) == clf.predict_proba(X)).all())
    True
    """

    def __init__(self, path, *, every=1):
        check_scalar(every, "every", Integral, min_val=1)
        self.path = path
        self.every = every

    def setup(self, estimator, context):
        folder = Path(self.path).parent
        if not folder.is_dir():
            raise FileNotFoundError(
                f"path={str(self.path)!r} of Checkpoint: there is no folder {str(folder)!r}, make it."
            )

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Write the estimator, if it is time.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.

        context : CallbackContext
            The task.

        fitted_estimator : estimator, default=None
            What ``fit`` would return if it stopped here.
        """
        due = _is_whole_fit(context) or (context.task_id + 1) % self.every == 0
        if fitted_estimator is None and _is_whole_fit(context):
            _say_where_to_set(self, estimator)
        if fitted_estimator is not None and due:
            _write(_without_callbacks(fitted_estimator), _numbered(Path(self.path), context))


def _numbered(path, context):
    """`path` with the numbers of the tasks that the fit is part of, if it is part of any."""
    while not _is_whole_fit(context):
        context = context.parent
    numbers = []
    while context.parent is not None:
        if context.source_estimator_name != "Pipeline":  # whose step it is tells nothing
            numbers.insert(0, str(context.task_id))
        context = context.parent
    return path.with_stem("-".join([path.stem, *numbers]))


def _write(estimator, path):
    """Write to a file beside and put it in the place of `path`."""
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        with open(part, "wb") as file:
            joblib.dump(estimator, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)

"""Fits that can be killed: what a checkpoint is the checkpoint of, its file, and the callback that writes it."""

from __future__ import annotations

import glob
import hashlib
import os
import pickle
import time
import warnings
from contextlib import suppress
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_scalar, gen_batches

from ._callbacks import Callback, going_on, is_whole_fit, say_where_to_set, without_callbacks
from ._files import replacing
from ._typing import Int
from .engine.optimizers import OPTIMIZERS

MAGIC = b"skdropout checkpoint 1\n"  # the number is that of the format
HASHED = 10_000  # rows at a time: a copy of so many, if X is not contiguous
STALE = 60  # seconds: a file half written that nobody has added to for so long is of a process that was killed
ANOTHER = (
    "Delete it to start afresh, or give Checkpoint another path, or that of a folder that exists, in which each fit "
    "has a file of its own."
)


class Checkpoint(Callback):
    """Callback that writes the training to disk, so that a fit that was killed can be taken up again.

    For ``set_callbacks`` of an estimator, with scikit-learn 1.9. After every `every`-th epoch, or iteration of L-BFGS,
    the whole state of the training is written. The file is replaced in one step, so that there is a whole one whenever
    the process is killed, the disk is full or the power fails.

    ``fit`` with the same parameters and data goes on from the file it finds, and ends as it would have ended had
    nothing happened, to the last bit: weights, optimizer, random streams, schedules, early stopping and curves. Where
    the file is that of a fit that was done, it returns at once. A file of another fit is refused.

    Parameters
    ----------
    path : str or os.PathLike
        A file, such as "mlp.ckpt", in a folder that exists; or a folder that exists, in which each fit has a file of
        its own, for searches and cross-validation: those that were done are not done again.

    every : int, default=1
        Epochs from one write to the next, at least 1. A write takes some 10 ms: choose more where epochs are shorter.

    Raises
    ------
    FileNotFoundError
        At ``fit``, if the folder is not there.
    ValueError
        At ``fit``, if the file is damaged, or that of a fit with other parameters or data.
    OSError
        At ``fit``, if the file cannot be written. The one written before is still there.

    See Also
    --------
    EarlyStopping : Stops the training, and keeps the best estimator.

    Notes
    -----
    Parameters may differ in ``verbose`` alone. Functions given as parameters are compared by their names. With
    ``random_state=None`` the fit goes on with the random numbers that it began with, so that two such fits with one
    path, or equal ones in one folder, are one; a warning says so. "To the last bit" supposes the same machine, the same
    versions and as many BLAS threads. A fit that was done comes back without the warnings that it gave.

    Ctrl-C ends ``fit`` with what was learnt so far, but not the training in the file: ``fit`` once more goes on. To
    train for longer, let a network go on from where it ended, with a path of its own:
    ``Checkpoint.load(path).set_params(max_iter=50, warm_start=True)``.

    ``partial_fit`` writes after each call, and never reads: after a crash, ``Checkpoint.load(path)`` has all that the
    next call needs.

    A file is some five times as large as the weights: the estimator as if ``fit`` had stopped there, the weights in
    training, two moments of the optimizer, the best weights if training stops early; and 4 or 8 bytes a training row.
    With ``solver="lbfgs"`` it holds a gradient for each evaluation so far: choose `every` by that.

    A process that is killed while it writes leaves a file beside, with the suffix ``.part``; the next fit with that
    path deletes it, if it is a minute old.

    Loading runs code, as with any pickle, and ``fit`` loads the file it finds: keep it where nobody else can write. The
    checksum finds damage, not forgery. The callbacks are not in the file, except for
    how far :class:`EarlyStopping` has come.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from skdropout import Checkpoint, DropoutMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> with TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(Path(folder) / "mlp.ckpt", every=50)
    ...     clf = DropoutMLPClassifier(20, learning_rate_init=0.02, early_stopping=True, random_state=0)
    ...     clf = clf.set_callbacks(checkpoint).fit(X, y)  # killed, and run again, it would go on
    ...     saved = Checkpoint.load(checkpoint.path)
    >>> bool((saved.predict_proba(X) == clf.predict_proba(X)).all())
    True
    """

    def __init__(self, path: str | PathLike[str], *, every: Int = 1) -> None:
        check_scalar(path, "path", (str, PathLike))
        check_scalar(every, "every", Integral, min_val=1)
        self.path = path
        self.every = every
        self._progress: dict[int, Any] = {}  # by estimator: fits side by side share this instance

    def __getstate__(self):
        return {**vars(self), "_progress": {}}

    @staticmethod
    def load(path: str | PathLike[str]) -> Any:
        """Read the estimator from a checkpoint.

        Parameters
        ----------
        path : str or os.PathLike
            The file.

        Returns
        -------
        estimator : estimator
            As if ``fit`` had stopped there, ready to predict and for ``partial_fit``.

        Raises
        ------
        ValueError
            If the file is damaged, or no checkpoint.
        """
        estimator, progress = _read(Path(path), "")
        if "optimizer" in progress:
            estimator._optimizer = revived(estimator.solver, progress["optimizer"])
            vars(estimator).pop("_learning_rate", None)  # what a file without the optimizer goes by
        return estimator

    def _saved(self, estimator, marks):
        """The estimator and the progress in the file of a fit, or None if there is no file.

        Parameters
        ----------
        estimator : BaseDropoutMLP
            The one to be fitted.
        marks : dict
            What tells its fit from others, by name.
        """
        for name, value in {"class": type(estimator), **vars(without_callbacks(estimator))}.items():
            try:
                pickle.dumps(value)
            except Exception as error:
                raise ValueError(
                    f"Checkpoint cannot write {name}={value!r}: give it by a name that can be imported, such as that "
                    "of a function in a module."
                ) from error
        path = self._file(estimator, marks)
        for part in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
            with suppress(FileNotFoundError):  # another process may have been faster
                if time.time() - part.stat().st_mtime > STALE:
                    part.unlink()
        if not path.exists():
            return None
        saved, progress = _read(path, ANOTHER)
        if not progress["marks"]:
            raise ValueError(f"The checkpoint {str(path)!r} was written by partial_fit, not by fit. {ANOTHER}")
        differ = [name for name in marks | progress["marks"] if marks.get(name) != progress["marks"].get(name)]
        if differ:
            params = estimator.get_params(deep=False), saved.get_params(deep=False)
            here, there = ({name: values[name] for name in differ if name in values} for values in params)
            both = here.keys() & there.keys()  # they may be of two classes
            texts = [
                f"{name} ({there[name]!r} there, {here[name]!r} here)" if name in both else name for name in differ
            ]
            raise ValueError(
                f"{str(path)!r} is the checkpoint of another fit, which differs in {', '.join(texts)}. {ANOTHER}"
            )
        if progress.get("done") and estimator.random_state is None:
            warnings.warn(
                f"This fit was done before, and is taken from {str(path)!r}: one that is to differ needs a "
                "random_state other than None."
            )
        return saved, progress

    def _file(self, estimator, marks):
        path = Path(self.path)
        if path.is_dir() and not marks:
            raise ValueError(f"path={str(path)!r} of Checkpoint is a folder, and partial_fit needs a file in it.")
        return path / f"{type(estimator).__name__}-{joblib.hash(marks)}.ckpt" if path.is_dir() else path

    def setup(self, estimator: Any, context: Any) -> None:
        folder = Path(self.path)
        if not os.fspath(self.path).endswith(("/", os.sep)):
            folder = folder.parent
        if not folder.is_dir():
            raise FileNotFoundError(
                f"path={str(self.path)!r} of Checkpoint: there is no folder {str(folder)!r}, make it."
            )

    def _look(self, estimator, context, progress):
        """Take note of the progress of a training before the other callbacks do anything, if it is to be written."""
        whole = is_whole_fit(context)  # which ends with its only epoch, if it has no more: one write will do
        if whole or (context.parent.max_subtasks > 1 and estimator.n_iter_ % self.every == 0):
            self._progress[id(estimator)] = progress()

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:
        """Write the training, if it is time.

        Parameters
        ----------
        estimator : estimator
            The one being fitted.

        context : CallbackContext
            The task.

        fitted_estimator : estimator, default=None
            What ``fit`` would return if it stopped here.
        """
        if fitted_estimator is None and is_whole_fit(context):
            say_where_to_set(self, estimator)
        progress = self._progress.pop(id(estimator), None)
        # Ctrl-C may have come between the note of an epoch and its write: its arrays have moved on
        if progress is not None and ("done" in progress) == is_whole_fit(context):
            path = self._file(estimator, progress["marks"])
            _write(without_callbacks(fitted_estimator), progress, path)

    def teardown(self, estimator: Any, context: Any) -> None:
        self._progress.pop(id(estimator), None)


def revived(solver, state):
    """The optimizer whose ``vars`` were `state`."""
    optimizer = object.__new__(OPTIMIZERS[solver])
    vars(optimizer).update(state)
    return optimizer


def done(estimator, start, random_state):
    """What the checkpoint of a fit that is done holds beside the estimator."""
    progress = {**start.known(estimator), "done": True, "random_state": random_state.get_state()}
    optimizer = None if estimator.solver == "lbfgs" else getattr(estimator, "_optimizer", None)
    return progress | ({"optimizer": vars(optimizer)} if optimizer else {})


def be_done(estimator, saved, progress, random_state):
    """Be what the fit came to that wrote the checkpoint."""
    for name in saved._fitted() - {"_learning_rate", "feature_names_in_"}:
        setattr(estimator, name, getattr(saved, name))
    if "optimizer" in progress:
        estimator._optimizer = revived(estimator.solver, progress["optimizer"])
    random_state.set_state(progress["random_state"])


def marks(estimator, rows, held_out, start):
    """What tells a fit from others: hashes of its class, parameters, data, and of what it starts from, by name."""
    params = {"class": type(estimator), **estimator.get_params(deep=False)}
    found = {name: joblib.hash(_plain(value)) for name, value in params.items() if name != "verbose"}
    for suffix, part in (("", rows), ("_val", held_out)):
        if part is not None:
            found |= {f"X{suffix}": _hash_of_rows(part.X), f"y{suffix}": joblib.hash(np.ascontiguousarray(part.y))}
            found[f"sample_weight{suffix}"] = joblib.hash(part.sample_weight)
    for callback in going_on(estimator):
        settings = {name: _hashable(value) for name, value in callback._settings().items()}
        found.setdefault(f"the callback {type(callback).__name__}", []).append(joblib.hash(settings))
    if start:
        found["the network it goes on from"] = joblib.hash(start)
    return found


def _plain(value):
    """Equal for equal parameters: 1, 1.0 and np.float64(1); a list, a tuple and an array of the same."""
    if isinstance(value, np.random.RandomState):
        return value.get_state()
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Real):
        return float(value)
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return value


def _hashable(value):
    if issparse(value):  # what its object knows of it by and by is left out
        return _hash_of_rows(value.tocsr())
    return value if hasattr(value, "shape") else _plain(value)


def _hash_of_rows(X):
    blocks = (X[rows] for rows in gen_batches(X.shape[0], HASHED))
    if issparse(X):
        return joblib.hash([joblib.hash((X.shape, block.data, block.indices, block.indptr)) for block in blocks])
    return joblib.hash([joblib.hash(np.ascontiguousarray(block)) for block in blocks])


def _write(estimator, progress, path):
    """Write to a file beside and put it in the place of `path`, unless that is another fit's."""
    label = joblib.hash(progress["marks"]).encode()
    if path.exists():
        with open(path, "rb") as file:
            if file.read(len(MAGIC + label)) != MAGIC + label:
                raise ValueError(f"{str(path)!r} is the checkpoint of another fit. {ANOTHER}")
    with replacing(path) as file:
        file.write(MAGIC + label)
        pickle.dump((estimator, progress), file, protocol=5)
        file.seek(0)
        file.write(hashlib.file_digest(file, "sha256").digest())


def _read(path, way_out):
    """The estimator and the progress in a file, if it is whole."""
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(
            f"{str(path)!r} is no checkpoint of this release of skdropout: it begins with {data[:24]!r}, not with "
            f"{MAGIC!r}. {way_out}"
        )
    if hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise ValueError(f"The checkpoint {str(path)!r} is damaged: its checksum is wrong. {way_out}")
    return pickle.loads(data[len(MAGIC) + 32 :])

"""Callback that saves checkpoints, from which a fit can be resumed."""

from __future__ import annotations

import glob
import os
import pickle  # to test whether values can be pickled; nothing is loaded
import time
import warnings
from contextlib import suppress
from inspect import signature
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.utils import check_scalar

from .._codec import NotSerializable, encode, report_damage
from .._fit.plan import SavedFit
from .._typing import Int
from ..engine.optimizers import OPTIMIZERS
from .checkpoint_file import (
    HINT_OTHER_FIT,
    PUBLIC_CLASSES,
    check_registered,
    fitted_state,
    header_and_arrays,
    printable,
    read_checkpoint,
    restore_estimator,
    restore_optimizer,
    write_checkpoint,
)
from .tasks import Callback, is_whole_fit, warn_about_container, without_callbacks

STALE_SECONDS = 60  # an incomplete file unchanged for this long belongs to a process that was killed


class Checkpoint(Callback):
    """Callback that saves the training state to disk, so that an interrupted fit can be resumed.

    Pass it to ``set_callbacks`` of an estimator; requires scikit-learn 1.9. The complete training state is written
    after every `every` epochs, or iterations of L-BFGS. The file is replaced atomically: if the process is killed, the
    disk is full or the power fails, the last complete file remains.

    ``fit`` with the same parameters and data resumes from the file. Its result is bit for bit that of an uninterrupted
    fit: weights, optimizer, random streams, schedules, early stopping and curves. If the fit in the file has finished,
    ``fit`` returns immediately. The file of another fit raises an error.

    Parameters
    ----------
    path : str or os.PathLike
        A file in an existing folder, such as "mlp.ckpt"; or an existing folder, in which each fit has its own file, for
        searches and cross-validation: finished fits are not repeated.

    every : int, default=1
        Number of epochs between writes, at least 1. A write takes about 10 ms: increase `every` if epochs are shorter.

    Raises
    ------
    FileNotFoundError
        In ``fit``, if the folder does not exist.
    ValueError
        In ``fit``, if the file is damaged or belongs to a fit with other parameters or data.
    OSError
        In ``fit``, if the file cannot be written. The previous file is kept.

    See Also
    --------
    EarlyStopping : Stop training, and keep the best estimator.

    Notes
    -----
    Only ``verbose`` may differ between the fits. Parameters that are functions are compared by name. With
    ``random_state=None``, the fit resumes with its original random numbers. Two such fits with the same path, or two
    equal fits in the same folder, therefore count as one fit, and a warning says so. Bit-for-bit equality requires the
    same machine and versions, but not the same number of threads. The warnings of a finished fit are not repeated.

    Ctrl-C stops ``fit`` with the weights learned so far, but the file keeps the last complete epoch: call ``fit`` again
    to resume. To train longer, continue from the final weights with another path:
    ``Checkpoint.load(path).set_params(max_iter=50, warm_start=True)``.

    ``partial_fit`` writes after each call and never reads: after a crash, ``Checkpoint.load(path)`` returns an
    estimator that is ready for the next call.

    A file is about five times as large as the weights. It contains the estimator as if ``fit`` had stopped there, the
    current weights, two moments of the optimizer, the best weights with early stopping, and 4 or 8 bytes per training
    row. With ``solver="lbfgs"`` it also contains the gradient of each evaluation so far: choose `every` accordingly.

    A process that is killed while writing leaves a file with the suffix ``.part``. The next fit with the same path
    deletes it if it is at least a minute old.

    The file contains numbers and strings, and reading it runs no code: ``fit`` takes the class and the parameters from
    the estimator being fitted. Anyone who can write to the file can still replace the weights: the checksum detects
    damage, not tampering. Callbacks are not saved, except for the state of :class:`EarlyStopping`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from skdropout import Checkpoint, DropoutMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> with TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(Path(folder) / "mlp.ckpt", every=50)
    ...     clf = DropoutMLPClassifier(
    ...         hidden_layer_sizes=20, learning_rate_init=0.02, early_stopping=True, scoring="loss", random_state=0
    ...     )
    ...     clf = clf.set_callbacks(checkpoint).fit(X, y)  # if killed, the next run resumes
    ...     saved = Checkpoint.load(checkpoint.path)
    >>> print("largest difference:", abs(saved.predict_proba(X) - clf.predict_proba(X)).max())
    largest difference: 0.0
    """

    def __init__(self, path: str | PathLike[str], *, every: Int = 1) -> None:
        check_scalar(path, "path", (str, PathLike))
        check_scalar(every, "every", Integral, min_val=1)
        self.path = path
        self.every = every
        self._states: dict[int, Any] = {}  # by id of the estimator, since parallel fits share this instance

    def __getstate__(self):
        return {**vars(self), "_states": {}}

    def __setstate__(self, state):
        vars(self).update({"path": state["path"], "every": state["every"], "_states": {}})  # 0.1.0 has other names

    @staticmethod
    def load(path: str | PathLike[str], estimator: Any = None) -> Any:
        """Load the estimator from a checkpoint, without running code from the file.

        Parameters
        ----------
        path : str or os.PathLike
            Path of the file.

        estimator : DropoutMLPClassifier or DropoutMLPRegressor, default=None
            Estimator with the class and the parameters to use; it is cloned. Required for subclasses, and if a
            parameter is not plain data, such as a schedule or a scorer that is a function. None to use the class and
            the parameters in the file.

        Returns
        -------
        estimator : estimator
            The estimator as if ``fit`` had stopped there, ready for prediction and ``partial_fit``. The optimizer is
            restored if `estimator` has the `solver` of the file.

        Raises
        ------
        ValueError
            If the file is damaged or not a checkpoint, if it requires `estimator`, or if `estimator` does not match it.
        """
        classes = PUBLIC_CLASSES
        if estimator is not None and not isinstance(estimator, tuple(classes.values())):
            raise TypeError(f"estimator must be a {' or a '.join(classes)}, got {estimator!r}.")
        path = Path(path)
        content = read_checkpoint(path, "")
        params, state, training = content["params"], content["state"], content["training"]
        if estimator is None:
            not_saved = [f"{name}={text}" for name, text in content["texts"].items()]
            if content["class"] not in classes:
                not_saved.insert(0, f"the class {content['class']}")
            if not_saved:
                raise ValueError(
                    f"The checkpoint {str(path)!r} is of an estimator with {', '.join(not_saved)}, but the file "
                    "contains only numbers and strings. Pass an estimator with this class and these parameters: "
                    "Checkpoint.load(path, estimator)."
                )
            cls = classes[content["class"]]
            unknown = sorted(params.keys() - signature(cls).parameters.keys())
            if unknown:
                raise ValueError(
                    f"The checkpoint {str(path)!r} was written by skdropout {content['skdropout']} with parameters "
                    f"that this release does not have: {', '.join(map(printable, unknown))}. Install that release."
                )
            check_registered(params)
            with report_damage(path, ""):
                unfitted = cls(**params)
                unfitted._validate_params()
        else:
            unfitted = clone(estimator)
            unfitted._validate_params()
            if is_classifier(unfitted) != ("classes_" in state):
                raise ValueError(
                    f"The checkpoint {str(path)!r} is of the class {content['class']}: pass such an estimator, got "
                    f"{estimator!r}."
                )
        check_registered({"activation": state.get("_activations")})
        with report_damage(path, ""):
            loaded = restore_estimator(unfitted, state, content["skdropout"])
        if estimator is not None:
            loaded._check_matches(header_and_arrays(loaded)[0], path)
        with report_damage(path, ""):
            if "random_state" in training and isinstance(loaded.random_state, np.random.RandomState):
                loaded.random_state.set_state(training["random_state"])
            saved_class = OPTIMIZERS.get(params["solver"])
            same_class = saved_class is not None and OPTIMIZERS.get(loaded.solver) is saved_class
            if "optimizer" in training and same_class:
                loaded._optimizer = restore_optimizer(loaded, training["optimizer"])
                vars(loaded).pop("_learning_rate", None)  # the optimizer has it
        return loaded

    def _load_saved_fit(self, estimator, fingerprint):
        """Load the saved state of a fit; return None if there is no file.

        Parameters
        ----------
        estimator : BaseDropoutMLP
            The estimator to fit.
        fingerprint : dict
            The fingerprint of its fit.

        Returns
        -------
        saved : SavedFit or None
        """
        self._check_writable(estimator)
        path = self._file(estimator, fingerprint)
        self._delete_stale_parts(path)
        if not path.exists():
            return None
        content = read_checkpoint(path, HINT_OTHER_FIT)
        state = content["training"]
        self._check_same_fit(estimator, fingerprint, content, path)
        with report_damage(path, HINT_OTHER_FIT):
            fitted = restore_estimator(estimator, content["state"], content["skdropout"])
            if not 0 <= fitted.n_iter_ <= estimator.max_iter:
                raise ValueError(f"{fitted.n_iter_} epochs of {estimator.max_iter}")
            np.random.RandomState().set_state(state["initial_random_state"])
            for run in state["callbacks"]:
                if run["best_estimator"] is not None:
                    unfitted = without_callbacks(estimator)
                    run["best_estimator"] = restore_estimator(unfitted, run["best_estimator"], content["skdropout"])
        if state.get("done") and estimator.random_state is None:
            warnings.warn(
                f"This fit has finished before, and its result is loaded from {str(path)!r}: for a different result, "
                "use a random_state other than None."
            )
        return SavedFit({name: getattr(fitted, name) for name in fitted._fitted_names()}, state, path)

    def _check_writable(self, estimator):
        """Raise an error if the estimator cannot be saved."""
        for name, value in {"class": type(estimator), **vars(without_callbacks(estimator))}.items():
            try:
                pickle.dumps(value)
            except Exception as error:
                raise ValueError(
                    f"Checkpoint cannot save {name}={value!r}: use an object that can be imported by name, such as a "
                    "function in a module."
                ) from error
        for name, value in fitted_state(estimator).items():
            try:
                encode(value, name)
            except NotSerializable as error:
                raise ValueError(f"Checkpoint cannot save {error}.") from error

    def _delete_stale_parts(self, path):
        """Delete incomplete files of processes that were killed while writing."""
        for part in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
            with suppress(OSError):  # deleted by another process, or owned by another user
                if time.time() - part.stat().st_mtime > STALE_SECONDS:
                    part.unlink()

    def _check_same_fit(self, estimator, fingerprint, content, path):
        """Raise an error that lists the differences if the file is the checkpoint of another fit."""
        other = content["training"]["fingerprint"]
        if not other:
            raise ValueError(f"The checkpoint {str(path)!r} was written by partial_fit, not by fit. {HINT_OTHER_FIT}")
        different = [name for name in fingerprint | other if fingerprint.get(name) != other.get(name)]
        if different:
            here = estimator.get_params(deep=False)
            there = {name: repr(value) for name, value in content["params"].items()} | content["texts"]
            both = here.keys() & there.keys()  # other classes may have other parameters
            texts = [
                f"{name} ({there[name]} there, {here[name]!r} here)" if name in both else printable(name)
                for name in different
            ]
            raise ValueError(
                f"{str(path)!r} is the checkpoint of another fit, which differs in {', '.join(texts)}. {HINT_OTHER_FIT}"
            )

    def _file(self, estimator, fingerprint):
        """Return the path of the file of a fit."""
        path = Path(self.path)
        if not path.is_dir():
            return path
        if not fingerprint:
            raise ValueError(f"path={str(path)!r} of Checkpoint is a folder, but partial_fit needs a file in it.")
        return path / f"{type(estimator).__name__}-{joblib.hash(fingerprint)}.ckpt"

    def setup(self, estimator: Any, context: Any) -> None:
        folder = Path(self.path)
        if not os.fspath(self.path).endswith(("/", os.sep)):
            folder = folder.parent
        if not folder.is_dir():
            raise FileNotFoundError(
                f"path={str(self.path)!r} of Checkpoint: the folder {str(folder)!r} does not exist, create it first."
            )

    def _capture_state(self, estimator, context, state):
        """Keep the training state if it is due to be written."""
        is_last_write = is_whole_fit(context)  # a one-epoch fit ends with that epoch: write once
        if is_last_write or (context.parent.max_subtasks > 1 and estimator.n_iter_ % self.every == 0):
            self._states[id(estimator)] = state()

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:
        """Write the training state after every `every` epochs and at the end of the fit.

        Parameters
        ----------
        estimator : estimator
            The estimator being fitted.

        context : CallbackContext
            The task.

        fitted_estimator : estimator, default=None
            The estimator that ``fit`` would return if it stopped here.
        """
        if fitted_estimator is None and is_whole_fit(context):
            warn_about_container(self, estimator)
        state = self._states.pop(id(estimator), None)
        # after Ctrl-C there may be the state of an epoch whose arrays have changed since
        if state is not None and ("done" in state) == is_whole_fit(context):
            write_checkpoint(without_callbacks(fitted_estimator), state, self._file(estimator, state["fingerprint"]))

    def teardown(self, estimator: Any, context: Any) -> None:
        self._states.pop(id(estimator), None)

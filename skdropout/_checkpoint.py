"""Resumable fits: the fingerprint of a fit, the checkpoint file, and the callback that writes it.

A checkpoint file consists of ``MAGIC``, the hash of the fingerprint, a dict encoded by ``_codec``, and the SHA-256 of
all three. The dict has the name of the class, the parameters that are plain data, the ``repr`` of the others, the
fitted state, and the progress of the training. Reading the file runs no code.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import pickle  # to test what can be pickled; nothing is loaded
import time
import warnings
from contextlib import suppress
from inspect import signature
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_scalar, gen_batches

from ._callbacks import Callback, going_on, is_whole_fit, say_where_to_set, without_callbacks
from ._codec import NotSerializable, SequenceOf, check, check_stream_state, decode, encode, report_damage
from ._files import atomic_write
from ._persistence import _arrays, _fitted_state, _is_folded, _version
from ._spec import normalize_params
from ._typing import Int
from .engine.activations import ACTIVATIONS, OUTPUTS
from .engine.dropout import DROPOUTS
from .engine.losses import LOSSES
from .engine.optimizers import OPTIMIZERS, SGD, Adam
from .engine.rng import resume_stream
from .engine.schedules import DROPOUT_SCHEDULES, LEARNING_RATES

MAGIC = b"skdropout checkpoint 2\n"  # 2 is the version of the format
PICKLES = b"skdropout checkpoint 1\n"  # the previous format
HASHED = 10_000  # rows at a time: a copy of so many, if X is not contiguous
STALE = 60  # seconds: a file half written that nobody has added to for so long is of a process that was killed
ANOTHER = (
    "Delete it to start afresh, or give Checkpoint another path, or that of a folder that exists, in which each fit "
    "has a file of its own."
)
TABLES = {  # the parameters whose values are names that users may register
    "activation": ACTIVATIONS,
    "dropout_kind": DROPOUTS,
    "dropout_schedule": DROPOUT_SCHEDULES,
    "learning_rate": LEARNING_RATES,
    "loss": LOSSES,
    "solver": OPTIMIZERS,
}
STATE = {  # types of the fitted attributes that `_fitted_state` does not check
    "_in_stream": bool,
    "_input_exponents": np.ndarray | None,
    "_label_binarizer": LabelBinarizer,
    "_learning_rate": Real,
    "_mask_state": dict,
    "_no_improvement_count": Integral,
    "_random_state": np.random.RandomState,
    "_rate_settings": ("", "", 0.0),
    "_validation_mask": (0, np.ndarray),
    "best_loss_": Real | None,
    "best_validation_score_": Real | None,
    "class_weight_": np.ndarray,
    "dropout_curve_": SequenceOf(SequenceOf(Real, tuple)),
    "feature_names_in_": np.ndarray,
    "loss_": Real,
    "loss_curve_": SequenceOf(Real),
    "n_features_in_": Integral,
    "n_iter_": Integral,
    "n_layers_": Integral,
    "n_outputs_": Integral,
    "noise_variance_": Real | np.ndarray,
    "out_activation_": str,
    "t_": Integral,
    "validation_loss_curve_": list | None,
    "validation_scores_": list | None,
}


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

    The file contains numbers and strings, and reading it runs no code: ``fit`` takes the class and the parameters from
    the estimator being fitted. Whoever can write to the file can still replace the weights: the checksum detects
    damage, not tampering. The callbacks are not in the file, except for the progress of :class:`EarlyStopping`.

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
    def load(path: str | PathLike[str], estimator: Any = None) -> Any:
        """Read the estimator from a checkpoint. No code of the file is run.

        Parameters
        ----------
        path : str or os.PathLike
            The file.

        estimator : DropoutMLPClassifier or DropoutMLPRegressor, default=None
            Provides the class and the parameters; it is cloned. Needed for a subclass, and if a parameter is a function
            or another object that is not plain data, such as a schedule or a scorer. None for the class and the
            parameters in the file.

        Returns
        -------
        estimator : estimator
            As if ``fit`` had stopped there, ready for prediction and ``partial_fit``. The optimizer continues if the
            `solver` of `estimator` is that of the file.

        Raises
        ------
        ValueError
            If the file is damaged or not a checkpoint, if it needs `estimator`, or if `estimator` does not match it.
        """
        from . import DropoutMLPClassifier, DropoutMLPRegressor

        classes = {cls.__name__: cls for cls in (DropoutMLPClassifier, DropoutMLPRegressor)}
        if estimator is not None and not isinstance(estimator, tuple(classes.values())):
            raise TypeError(f"estimator must be a {' or a '.join(classes)}, got {estimator!r}.")
        path = Path(path)
        content = _read(path, "")
        params, state, progress = content["params"], content["state"], content["progress"]
        if estimator is None:
            lacking = [f"{name}={text}" for name, text in content["texts"].items()]
            if content["class"] not in classes:
                lacking.insert(0, f"the class {content['class']}")
            if lacking:
                raise ValueError(
                    f"The checkpoint {str(path)!r} is of an estimator with {', '.join(lacking)}, but the file holds "
                    "only numbers and strings. Pass an estimator with this class and these parameters: "
                    "Checkpoint.load(path, estimator)."
                )
            cls = classes[content["class"]]
            if unknown := sorted(params.keys() - signature(cls).parameters.keys()):
                raise ValueError(
                    f"The checkpoint {str(path)!r} was written by skdropout {content['skdropout']} with parameters "
                    f"that this release does not have: {', '.join(map(printable, unknown))}. Install that release."
                )
            check_registered(params)
            with report_damage(path, ""):
                bare = cls(**params)
                bare._validate_params()
        else:
            bare = clone(estimator)
            bare._validate_params()
            if is_classifier(bare) != ("classes_" in state):
                raise ValueError(
                    f"The checkpoint {str(path)!r} is of the class {content['class']}: pass such an estimator, not "
                    f"{estimator!r}."
                )
        check_registered({"activation": state.get("_activations")})
        with report_damage(path, ""):
            loaded = restored(bare, state, content["skdropout"])
        if estimator is not None:
            loaded._check_fits(_header_and_arrays(loaded)[0], path)
        with report_damage(path, ""):
            if "random_state" in progress and isinstance(loaded.random_state, np.random.RandomState):
                loaded.random_state.set_state(progress["random_state"])
            kind = OPTIMIZERS.get(params["solver"])
            if "optimizer" in progress and kind is not None and OPTIMIZERS.get(loaded.solver) is kind:
                loaded._optimizer = revived(loaded, progress["optimizer"])
                vars(loaded).pop("_learning_rate", None)  # only for files without the optimizer
                exponents = progress.get("input_exponents", vars(loaded).get("_input_exponents"))
                if exponents is not None:
                    check(exponents, np.empty(loaded.n_features_in_, np.intc), "input_exponents")
                loaded._input_exponents = exponents
        return loaded

    def _saved(self, estimator, marks):
        """The fitted estimator, the progress and the path of the file of a fit, or None if there is no file.

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
        for name, value in fitted_state(estimator).items():
            try:
                encode(value, name)
            except NotSerializable as error:
                raise ValueError(f"Checkpoint cannot write {error}.") from error
        path = self._file(estimator, marks)
        for part in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
            with suppress(OSError):  # another process may have been faster, or the file is another user's
                if time.time() - part.stat().st_mtime > STALE:
                    part.unlink()
        if not path.exists():
            return None
        content = _read(path, ANOTHER)
        progress = content["progress"]
        if not progress["marks"]:
            raise ValueError(f"The checkpoint {str(path)!r} was written by partial_fit, not by fit. {ANOTHER}")
        differ = [name for name in marks | progress["marks"] if marks.get(name) != progress["marks"].get(name)]
        if differ:
            here = estimator.get_params(deep=False)
            there = {name: repr(value) for name, value in content["params"].items()} | content["texts"]
            both = here.keys() & there.keys()  # they may be of two classes
            texts = [
                f"{name} ({there[name]} there, {here[name]!r} here)" if name in both else printable(name)
                for name in differ
            ]
            raise ValueError(
                f"{str(path)!r} is the checkpoint of another fit, which differs in {', '.join(texts)}. {ANOTHER}"
            )
        with report_damage(path, ANOTHER):
            saved = restored(estimator, content["state"], content["skdropout"])
            if not 0 <= saved.n_iter_ <= estimator.max_iter:
                raise ValueError(f"{saved.n_iter_} epochs of {estimator.max_iter}")
            np.random.RandomState().set_state(progress["drawn_from"])
            for run in progress["callbacks"]:
                if run["best_estimator"] is not None:
                    bare = without_callbacks(estimator)
                    run["best_estimator"] = restored(bare, run["best_estimator"], content["skdropout"])
        if progress.get("done") and estimator.random_state is None:
            warnings.warn(
                f"This fit was done before, and is taken from {str(path)!r}: one that is to differ needs a "
                "random_state other than None."
            )
        return saved, progress, path

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


def check_registered(params):
    """An error of its own where a file is whole, and a user registered a name of it that is gone."""
    for parameter, table in TABLES.items():
        value = params.get(parameter)
        for name in value if isinstance(value, list | tuple) else [value]:
            if isinstance(name, str) and (parameter, name) != ("solver", "lbfgs"):
                table[name]


def fitted_state(estimator):
    """The fitted attributes of an estimator by name, without the optimizer and what ``__setstate__`` computes."""
    computed = {"coefs_", "intercepts_"} if _is_folded(estimator) else set()
    return {name: getattr(estimator, name) for name in estimator._fitted() - {"_optimizer"} - computed}


def restored(estimator, state, version):
    """A copy of an estimator with the fitted attributes from a file, after checking them."""
    twin = estimator._twin()
    twin._forget()
    twin.__setstate__({**vars(twin), **state, "_skdropout_version": version})
    if odd := set(state) - twin._fitted() | set(state) & {"_optimizer"}:
        raise ValueError(f"no fitted attributes: {odd}")
    for name in STATE.keys() & state.keys():
        check(state[name], STATE[name], name)
    for name in ("validation_scores_", "validation_loss_curve_"):
        if state.get(name) is not None:
            check(state[name], SequenceOf(Real), name)
    checked = _fitted_state(*_header_and_arrays(twin))
    for name in ("n_features_in_", "n_layers_", "n_outputs_"):
        check_equal(state[name], checked[name], name)
    if twin.out_activation_ not in OUTPUTS:
        raise ValueError(f"out_activation_ is {twin.out_activation_!r}")
    if "_label_binarizer" in checked:
        ours, theirs = twin._label_binarizer, checked["_label_binarizer"]
        check_equal(ours.y_type_, theirs.y_type_, "y_type_")
        check_equal(ours.classes_.tolist(), theirs.classes_.tolist(), "classes_")
    if "_mask_state" in state:
        check_stream_state(twin._mask_state)
        resume_stream(twin._mask_state)
    return twin


def check_equal(value, expected, name):
    if value != expected:
        raise ValueError(f"{name} is {value!r}, but the other attributes say {expected!r}")


def _header_and_arrays(estimator):
    """What ``save_weights`` would write of an estimator."""
    arrays = _arrays(estimator)
    return json.loads(arrays.pop("header").item()), arrays


def revived(estimator, state):
    """The optimizer of an estimator, restored from `state`, its ``vars``."""
    cls = OPTIMIZERS[estimator.solver]
    if cls not in {SGD, Adam}:  # a user's own, whose state is as ``continue_from`` says
        optimizer = object.__new__(cls)
        continue_from(optimizer, state)
        return optimizer
    weights = [*estimator.coefs_, *estimator.intercepts_]
    size = estimator._unfolded[1].size if hasattr(estimator, "_unfolded") else sum(a.size for a in weights)
    settings = {name: state[name] for name in signature(cls).parameters.keys() - {"size", "dtype"}}
    optimizer = cls(size, weights[0].dtype, **settings)
    continue_from(optimizer, state)
    return optimizer


def continue_from(optimizer, state):
    """Let an optimizer continue from `state`, the ``vars`` of another one."""
    if type(optimizer) not in {SGD, Adam}:  # attributes of any kind, which may have come in during the training
        check(state, {**dict.fromkeys(state, object), "learning_rate": 0.0, "factor": 1.0}, "the optimizer")
        vars(optimizer).update(state)
        return
    check(state, {**dict.fromkeys(state, Real), **vars(optimizer)}, "the optimizer")
    if state.get("t", 0) < 0 or not all(0 <= state.get(name, 0) < 1 for name in ("beta_1", "beta_2")):
        raise ValueError(f"no state of an optimizer: {state!r:.100}")
    vars(optimizer).update(state)


def done(estimator, start, random_state):
    """What the checkpoint of a fit that is done holds beside the estimator."""
    progress = {**start.known(estimator), "done": True, "random_state": random_state.get_state()}
    optimizer = None if estimator.solver == "lbfgs" else getattr(estimator, "_optimizer", None)
    return progress | ({"optimizer": vars(optimizer)} if optimizer else {})


def be_done(estimator, saved, progress, path, random_state):
    """Be what the fit came to that wrote the checkpoint."""
    with report_damage(path, ANOTHER):
        for name in saved._fitted() - {"_learning_rate", "feature_names_in_"}:
            setattr(estimator, name, getattr(saved, name))
        if "optimizer" in progress:
            estimator._optimizer = revived(estimator, progress["optimizer"])
        random_state.set_state(progress["random_state"])


def marks(estimator, rows, held_out, start):
    """What tells a fit from others: hashes of its class, parameters, data, and of what it starts from, by name."""
    params = {"class": type(estimator), **normalize_params(estimator.get_params(deep=False))}
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
    parts = MAGIC + label, *encode(_content(estimator, progress))
    with atomic_write(path) as file:
        digest = hashlib.sha256()
        for part in parts:
            file.write(part)
            digest.update(part)
        file.write(digest.digest())


def _content(estimator, progress):
    """The content of a file, as plain data."""
    from . import DropoutMLPClassifier, DropoutMLPRegressor

    cls, params, texts = type(estimator), {}, {}
    for name, value in estimator.get_params(deep=False).items():
        try:
            encode(value)
            params[name] = value
        except NotSerializable:
            texts[name] = repr(value)
    runs = [
        {name: fitted_state(value) if isinstance(value, BaseEstimator) else value for name, value in run.items()}
        for run in progress["callbacks"]
    ]
    public = cls in {DropoutMLPClassifier, DropoutMLPRegressor}
    return {
        "skdropout": _version(),
        "class": cls.__name__ if public else f"{cls.__module__}.{cls.__qualname__}",
        "params": params,
        "texts": texts,
        "state": fitted_state(estimator),
        "progress": {**progress, "callbacks": runs},
    }


def _read(path, way_out):
    """The content of a file, if it is whole."""
    data = memoryview(path.read_bytes())
    start = bytes(data[: len(MAGIC)])
    if start == PICKLES:
        raise ValueError(
            f"{str(path)!r} is not a checkpoint of this release of skdropout, but of an older one: a pickle, which "
            f"could run code and is not read. {way_out or 'Load it with that release, and call save_weights there.'}"
        )
    if start != MAGIC:
        raise ValueError(
            f"{str(path)!r} is not a checkpoint of this release of skdropout: it begins with {bytes(data[:24])!r}, not "
            f"with {MAGIC!r}. {way_out}"
        )
    if hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise ValueError(f"The checkpoint {str(path)!r} is damaged: its checksum is wrong. {way_out}")
    with report_damage(path, way_out):
        content = decode(data[len(MAGIC) + 32 : -32])
        names = {"skdropout": str, "class": str, "params": dict, "texts": dict, "state": dict, "progress": dict}
        check(content, names, "the content")
        texts = content["texts"]
        check([*content["params"], *texts, *texts.values(), *content["state"]], SequenceOf(str), "the names")
        progress = content["progress"]
        check(list(progress["marks"]), SequenceOf(str), "the marks")
        check(progress["marks"], dict.fromkeys(progress["marks"], str | list), "the marks")
        check(progress["callbacks"], SequenceOf(dict), "the callbacks")
        for name in {"drawn_from", "random_state", "masks"} & progress.keys():
            if progress[name] is not None:
                check_stream_state(progress[name])
        check_equal(bytes(data[len(MAGIC) :][:32]), joblib.hash(progress["marks"]).encode(), "the hash of the marks")
    content |= {name: printable(content[name]) for name in ("skdropout", "class")}
    content["texts"] = {printable(name): printable(text) for name, text in texts.items()}
    return content


def printable(text):
    """Text from a file for a message, without escape sequences that would reach the terminal."""
    return text if text.isprintable() else ascii(text)

"""Writing, reading and validation of checkpoint files.

A file consists of ``MAGIC``, the hash of the fingerprint, a dict encoded by ``_codec``, and the SHA-256 of all three.
The dict contains the name of the class, the parameters that are plain data, the ``repr`` of the others, the fitted
attributes, and the training state. Reading the file runs no code.
"""

from __future__ import annotations

import hashlib
import json
from inspect import signature
from numbers import Real

import joblib
import numpy as np
from sklearn.base import BaseEstimator

from .._codec import NotSerializable, SequenceOf, check, check_stream_state, decode, encode, report_damage
from .._fit.stochastic import load_optimizer_state
from .._fitted import FITTED, unfolded_state
from .._persistence.atomic import atomic_write
from .._persistence.npz import state_from_arrays, state_to_arrays
from .._persistence.pickling import is_folded
from .._version import __version__
from ..engine.activations import ACTIVATIONS, OUTPUTS
from ..engine.dropout import DROPOUTS
from ..engine.losses import LOSSES
from ..engine.optimizers import OPTIMIZERS, SGD, Adam
from ..engine.rng import resume_stream
from ..engine.schedules import DROPOUT_SCHEDULES, LEARNING_RATES

MAGIC = b"skdropout checkpoint 2\n"  # 2 is the version of the format
PICKLE_MAGIC = b"skdropout checkpoint 1\n"  # the previous format
HINT_OTHER_FIT = (
    "Delete it to start from scratch, or pass Checkpoint another path, or an existing folder, in which each fit has "
    "its own file."
)
TABLES = {  # parameters whose values are names that users may register
    "activation": ACTIVATIONS,
    "dropout_kind": DROPOUTS,
    "dropout_schedule": DROPOUT_SCHEDULES,
    "learning_rate": LEARNING_RATES,
    "loss": LOSSES,
    "solver": OPTIMIZERS,
}
PUBLIC_CLASSES: dict[str, type] = {}  # estimators of this package by name, for files loaded without an estimator


def check_registered(params):
    """Raise an error if a parameter is a name that is no longer registered."""
    for parameter, table in TABLES.items():
        value = params.get(parameter)
        for name in value if isinstance(value, list | tuple) else [value]:
            if isinstance(name, str) and (parameter, name) != ("solver", "lbfgs"):
                table[name]


def fitted_state(estimator):
    """Return the fitted attributes by name, except the optimizer and attributes that ``__setstate__`` computes."""
    computed = {"coefs_", "intercepts_"} if is_folded(estimator) else set()
    return {name: getattr(estimator, name) for name in estimator._fitted_names() - {"_optimizer"} - computed}


def restore_estimator(estimator, state, version):
    """Return a copy of an estimator with the fitted attributes from a file, after checking them."""
    fitted = estimator._shallow_copy()
    fitted._reset()
    fitted.__setstate__({**vars(fitted), **state, "_skdropout_version": version})
    unknown = set(state) - fitted._fitted_names() | set(state) & {"_optimizer"}
    if unknown:
        raise ValueError(f"unknown attributes: {unknown}")
    for name in FITTED.keys() & state.keys():
        if FITTED[name].schema is not None:
            check(state[name], FITTED[name].schema, name)
    for name in ("validation_scores_", "validation_loss_curve_"):
        if state.get(name) is not None:
            check(state[name], SequenceOf(Real), name)
    checked = state_from_arrays(*header_and_arrays(fitted))
    for name in ("n_features_in_", "n_layers_", "n_outputs_"):
        check_equal(state[name], checked[name], name)
    if fitted.out_activation_ not in OUTPUTS:
        raise ValueError(f"out_activation_ is {fitted.out_activation_!r}")
    if "_label_binarizer" in checked:
        binarizer, expected = fitted._label_binarizer, checked["_label_binarizer"]
        check_equal(binarizer.y_type_, expected.y_type_, "y_type_")
        check_equal(binarizer.classes_.tolist(), expected.classes_.tolist(), "classes_")
    if state.get("_input_exponents") is not None:
        check(state["_input_exponents"], np.empty(fitted.n_features_in_, np.intc), "_input_exponents")
    if "_mask_state" in state:
        check_stream_state(fitted._mask_state)
        resume_stream(fitted._mask_state)
    return fitted


def check_equal(value, expected, name):
    """Raise an error if an attribute contradicts the others."""
    if value != expected:
        raise ValueError(f"{name} is {value!r}, but the other attributes imply {expected!r}")


def header_and_arrays(estimator):
    """Return the header and the arrays that ``save_weights`` would write."""
    arrays = state_to_arrays(estimator)
    return json.loads(arrays.pop("header").item()), arrays


def restore_optimizer(estimator, state):
    """Restore the optimizer of an estimator from `state`, its ``vars``."""
    cls = OPTIMIZERS[estimator.solver]
    if cls in {SGD, Adam}:
        weights = [*estimator.coefs_, *estimator.intercepts_]
        vector = unfolded_state(estimator).vector
        size = sum(a.size for a in weights) if vector is None else vector.size
        settings = {name: state[name] for name in signature(cls).parameters.keys() - {"size", "dtype"}}
        optimizer = cls(size, weights[0].dtype, **settings)
    else:  # a custom one
        optimizer = object.__new__(cls)
    load_optimizer_state(optimizer, state)
    return optimizer


def finished_state(estimator, random_state):
    """Return the state that a checkpoint contains after the fit has finished."""
    state = {"done": True, "random_state": random_state.get_state()}
    optimizer = vars(estimator).get("_optimizer")
    return state if optimizer is None else state | {"optimizer": vars(optimizer)}


def restore_finished(estimator, saved, random_state):
    """Restore the final state of the fit that wrote the checkpoint."""
    with report_damage(saved.path, HINT_OTHER_FIT):
        for name in saved.fitted.keys() - {"_learning_rate", "feature_names_in_"}:
            setattr(estimator, name, saved.fitted[name])
        if "optimizer" in saved.state:
            estimator._optimizer = restore_optimizer(estimator, saved.state["optimizer"])
        random_state.set_state(saved.state["random_state"])


def write_checkpoint(estimator, state, path):
    """Replace the file at `path`, unless it is the checkpoint of another fit."""
    header = MAGIC + joblib.hash(state["fingerprint"]).encode()
    if path.exists():
        with open(path, "rb") as file:
            if file.read(len(header)) != header:
                raise ValueError(f"{str(path)!r} is the checkpoint of another fit. {HINT_OTHER_FIT}")
    parts = header, *encode(_content(estimator, state))
    with atomic_write(path) as file:
        digest = hashlib.sha256()
        for part in parts:
            file.write(part)
            digest.update(part)
        file.write(digest.digest())


def _content(estimator, state):
    """Return the content of a file, as plain data."""
    cls, params, texts = type(estimator), {}, {}
    for name, value in estimator.get_params(deep=False).items():
        try:
            encode(value)
            params[name] = value
        except NotSerializable:
            texts[name] = repr(value)
    callback_states = [
        {name: fitted_state(value) if isinstance(value, BaseEstimator) else value for name, value in run.items()}
        for run in state["callbacks"]
    ]
    is_public = cls in PUBLIC_CLASSES.values()
    return {
        "skdropout": __version__,
        "class": cls.__name__ if is_public else f"{cls.__module__}.{cls.__qualname__}",
        "params": params,
        "texts": texts,
        "state": fitted_state(estimator),
        "training": {**state, "callbacks": callback_states},
    }


def read_checkpoint(path, hint):
    """Read a file and return its content, after checking it. Error messages end with `hint`."""
    data = memoryview(path.read_bytes())
    start = bytes(data[: len(MAGIC)])
    if start == PICKLE_MAGIC:
        raise ValueError(
            f"{str(path)!r} is not a checkpoint of this release of skdropout, but of an older one: a pickle, which "
            f"could run code and is not read. {hint or 'Load it with that release, and call save_weights there.'}"
        )
    if start != MAGIC:
        raise ValueError(
            f"{str(path)!r} is not a checkpoint of this release of skdropout: it begins with {bytes(data[:24])!r}, not "
            f"with {MAGIC!r}. {hint}"
        )
    if hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise ValueError(f"The checkpoint {str(path)!r} is damaged: its checksum is wrong. {hint}")
    with report_damage(path, hint):
        content = decode(data[len(MAGIC) + 32 : -32])
        schema = {"skdropout": str, "class": str, "params": dict, "texts": dict, "state": dict, "training": dict}
        check(content, schema, "the content")
        texts = content["texts"]
        check([*content["params"], *texts, *texts.values(), *content["state"]], SequenceOf(str), "the names")
        training = content["training"]
        fingerprint = training["fingerprint"]
        check(list(fingerprint), SequenceOf(str), "the fingerprint")
        check(fingerprint, dict.fromkeys(fingerprint, str | list), "the fingerprint")
        check(training["callbacks"], SequenceOf(dict), "the callbacks")
        for name in {"initial_random_state", "random_state", "masks"} & training.keys():
            if training[name] is not None:
                check_stream_state(training[name])
        check_equal(bytes(data[len(MAGIC) :][:32]), joblib.hash(fingerprint).encode(), "the hash of the fingerprint")
    content |= {name: printable(content[name]) for name in ("skdropout", "class")}
    content["texts"] = {printable(name): printable(text) for name, text in texts.items()}
    return content


def printable(text):
    """Escape text from a file, so that a message cannot send control sequences to the terminal."""
    return text if text.isprintable() else ascii(text)

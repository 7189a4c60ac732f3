"""Saving and loading of weights in ``.npz`` files, without pickle."""

from __future__ import annotations

import json
from contextlib import contextmanager
from itertools import chain, pairwise
from os import PathLike
from typing import Any, Self

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from .._fit.parameters import dropout_rates, hidden_sizes, names_per_layer
from .._fitted import FITTED, attributes_with, noise_settings, uncalibrated, unfolded_state
from .._version import __version__
from .._weights import BATCH_NORM, checked_weights, unfold_weights
from ..engine.activations import ACTIVATIONS, OUTPUTS, columns_per_output
from ..engine.losses import LOSSES
from .atomic import atomic_write
from .pickling import estimator_kind, folded_weights, is_folded, unfolded_params

FORMAT = 1  # version of the file format


class WeightsFileMixin:
    """Mixin with ``save_weights`` and ``load_weights``."""

    def save_weights(self, path: str | PathLike[str]) -> None:
        """Save the fitted weights to a ``.npz`` file, without pickle.

        Loading the file runs no code from it. It contains plain arrays named after the attributes, ``coefs_0``,
        ``intercepts_0``, ``coefs_1`` ..., ``classes_``, ``loss_curve_``, and ``header``, a JSON string with the
        activations and the version of skdropout. With `batch_norm` it contains the weights before folding, as
        ``unfolded_coefs_0`` ..., and the attributes ``batch_norm_scale_0`` ....

        Parameters
        ----------
        path : str or os.PathLike
            Path of the file, in an existing folder. No suffix is added. An existing file is replaced atomically.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.

        ValueError
            If class labels are not strings or numbers, or if assigned weights are not finite or do not match.

        See Also
        --------
        load_weights : Load the file.
        to_sklearn : Convert the network to scikit-learn's own estimator.

        Notes
        -----
        The file does not contain the parameters, the state of the random streams and the state of the optimizer: its
        moments, its step count and the current learning rate. ``partial_fit`` continues from the weights with a new
        optimizer. A pickle contains all of these, but the moments and the step count only after ``partial_fit``.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from sklearn.datasets import load_iris
        >>> from skdropout import DropoutMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = DropoutMLPClassifier(
        ...     hidden_layer_sizes=20, learning_rate_init=0.02, early_stopping=True, scoring="loss", random_state=0
        ... ).fit(X, y)
        >>> with TemporaryDirectory() as folder:
        ...     clf.save_weights(Path(folder) / "iris.npz")
        ...     loaded = DropoutMLPClassifier(hidden_layer_sizes=20).load_weights(Path(folder) / "iris.npz")
        >>> print("largest difference:", abs(loaded.predict_proba(X) - clf.predict_proba(X)).max())
        largest difference: 0.0
        """
        check_is_fitted(self)
        arrays = state_to_arrays(self)
        with atomic_write(path) as file:
            np.savez(file, **arrays)

    def load_weights(self, path: str | PathLike[str]) -> Self:
        """Load weights written by ``save_weights`` into this estimator, without running code from the file.

        The estimator is then fitted. It predicts and samples like the saved estimator, regardless of its own dropout
        rates. ``partial_fit``, and ``fit`` with ``warm_start=True``, continue from the weights.

        Parameters
        ----------
        path : str or os.PathLike
            Path of the file.

        Returns
        -------
        self : object
            Fitted estimator. It is unchanged if the call fails.

        Raises
        ------
        FileNotFoundError
            If there is no file.

        ValueError
            If the file is damaged, or of another type or a newer format, or if `hidden_layer_sizes`, `activation`,
            `batch_norm`, `dtype` or `loss` of this estimator do not match it. The message says how to set them.

        See Also
        --------
        save_weights : Write the file.

        Examples
        --------
        >>> from skdropout import DropoutMLPRegressor
        >>> DropoutMLPRegressor().load_weights("nowhere.npz")
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.npz'
        """
        estimator: Any = self  # a BaseDropoutMLP
        estimator._validate_params()
        header, arrays = _read(path)
        with _name_file_in_errors(path):
            names = [name for name in header["activation"] if isinstance(name, str)]
        for name in names:
            ACTIVATIONS[name]  # raises an error if the name is not registered
        with _name_file_in_errors(path):
            fitted = state_from_arrays(header, arrays)
        self._check_matches(header, path)
        loaded = estimator._shallow_copy()
        loaded._reset()
        self.__dict__ = vars(loaded) | fitted  # in one step, since other threads may be predicting
        return self

    def _check_matches(self, header, path):
        """Raise an error if a file does not match the parameters of this estimator."""
        kind = estimator_kind(self)
        name = type(self).__name__
        if header["estimator"] != kind:
            raise ValueError(
                f"path={str(path)!r} contains the weights of a {header['estimator']}, but {name} is a {kind}: load "
                "them with the other estimator."
            )
        required = {"hidden_layer_sizes": tuple(header["units"][1:-1]), "batch_norm": header["batch_norm"]}
        given = {"hidden_layer_sizes": hidden_sizes(self.hidden_layer_sizes), "batch_norm": self.batch_norm}
        if self.dtype is not None:
            required["dtype"] = header["dtype"]
            given["dtype"] = np.dtype(self.dtype).name
        if kind == "regressor" and LOSSES[self.loss].output != header["out_activation"]:
            output = header["out_activation"]
            losses = [name for name, row in LOSSES.items() if row.output == output and not row.for_classifier]
            if not losses:
                raise ValueError(
                    f"path={str(path)!r} was written with out_activation_={output!r}, but no loss with this output is "
                    f"registered in this process: register it in {LOSSES.path}."
                )
            required["loss"] = losses[0]
            given["loss"] = self.loss
        names = header["activation"]
        own_names = [self.activation] * len(names) if isinstance(self.activation, str) else list(self.activation)
        if names != own_names:
            required["activation"] = names[0] if len(set(names)) == 1 else names
            given["activation"] = self.activation
        different = [key for key in required if required[key] != given[key]]
        if different:
            found = ", ".join(f"{key}={given[key]!r}" for key in different)
            fix = ", ".join(f"{key}={required[key]!r}" for key in different)
            raise ValueError(
                f"path={str(path)!r} does not match this {name} with {found}: call set_params({fix}) first."
            )


def state_to_arrays(estimator):
    """Return the arrays that ``save_weights`` writes, by name."""
    state = vars(estimator)
    coefs, intercepts = checked_weights(estimator)
    dtype = coefs[0].dtype
    saved = {name: state[name] for name in attributes_with("npz") if name in state}
    noise = noise_settings(estimator)
    batch_norm, _, n_seen = unfolded_state(estimator)
    header = {
        "format": FORMAT,
        "skdropout": __version__,
        "estimator": estimator_kind(estimator),
        "units": [estimator.n_features_in_, *map(len, intercepts)],
        "dtype": dtype.name,
        "activation": estimator._activations,
        "out_activation": estimator.out_activation_,
        "batch_norm": batch_norm,
        "dropout_kind": noise.kinds,
        "trained_with": noise.rates,
        "dropout_schedule": noise.schedule,
        "none": [name for name, value in saved.items() if value is None],
    }
    layers = {"groups_": noise.groups}
    if not is_folded(estimator):
        layers |= {"coefs_": coefs, "intercepts_": intercepts}
    if batch_norm:
        unfold_weights(estimator, coefs, intercepts)  # raises an error if assigned arrays do not match
        params, *_ = unfolded_params(state)
        layers |= {"unfolded_coefs_": params.coefs, "unfolded_intercepts_": params.intercepts}
        layers |= {name: state[name] for name in BATCH_NORM}
        for name in layers.keys() - {"groups_"}:
            layers[name] = [np.asarray(array, dtype) for array in layers[name]]
        layers["batch_norm_seen_"] = n_seen
    arrays = {
        f"{name}{i}": array
        for name, layer_arrays in layers.items()
        for i, array in enumerate(layer_arrays)
        if array is not None
    }
    arrays |= {name: _plain_array(name, value) for name, value in saved.items() if value is not None}
    return {"header": np.array(json.dumps(header)), **arrays}


def _plain_array(name, values):
    """Convert values to an array that can be saved without pickle. Objects become strings or numbers."""
    values = np.asarray(values)
    if not values.dtype.hasobject:
        return values
    plain = np.array(values.tolist())
    if plain.dtype.hasobject or plain.tolist() != values.tolist():
        raise ValueError(
            f"{name} contains objects other than strings or numbers of one type, which .npz files cannot store without "
            f"pickle: {values}. Fit on labels that are str or int, or save with skops or joblib."
        )
    return plain


@contextmanager
def _name_file_in_errors(path):
    """Convert errors while reading a file to one that names the file."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"path={str(path)!r} was not written by save_weights, or is damaged ({type(error).__name__}: {error})."
        ) from error


def _read(path):
    """Read the header and the arrays of a file of ``save_weights``."""
    with open(path, "rb") as file, _name_file_in_errors(path):
        with np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
        header = json.loads(arrays.pop("header").item())
        version, format = str(header["skdropout"]), int(header["format"])
    if format > FORMAT:
        raise ValueError(
            f"path={str(path)!r} was written by skdropout {version} in a newer format than {__version__} reads: "
            f"install skdropout {version}."
        )
    return header, arrays


def state_from_arrays(header, arrays):
    """Return the fitted attributes from the header and the arrays of a file, after checking them."""
    units, dtype = tuple(map(int, header["units"])), np.dtype(header["dtype"])
    n_outputs, remainder = divmod(units[-1], columns_per_output(header["out_activation"]))
    if remainder:
        raise ValueError(f"an output layer of {units[-1]} units does not match {header['out_activation']!r}")
    coef_shapes = list(pairwise(units))
    intercept_shapes = [(n,) for n in units[1:]]
    hidden_shapes = intercept_shapes[:-1]

    def layers(name, shapes, dtype=dtype):
        found = [arrays[f"{name}{i}"] for i in range(len(shapes))]
        if [(a.shape, a.dtype) for a in found] != [(shape, dtype) for shape in shapes]:
            raise ValueError(f"{name}0 ... do not match the units and the dtype in the header")
        if not all(np.isfinite(a).all() for a in found):
            raise ValueError(f"{name}0 ... are not finite")
        return found

    state = _saved_attributes(header, arrays)
    state |= {"n_features_in_": units[0], "n_layers_": len(units), "n_outputs_": n_outputs}
    if header["estimator"] == "regressor":  # skdropout 0.1.0 saved no calibration
        state = uncalibrated(n_outputs) | state
        _check_conformity(state["conformity_scores_"], state["_conformity_weights"], n_outputs)
    activations = names_per_layer("activation", header["activation"], ACTIVATIONS, len(hidden_shapes))
    state |= {"_activations": activations, "out_activation_": header["out_activation"]}
    state |= _dropout_attributes(header, arrays, units, state["dropout_"])
    if header["batch_norm"]:
        state |= {name: layers(name, hidden_shapes) for name in BATCH_NORM}
        coefs = layers("unfolded_coefs_", coef_shapes)
        intercepts = layers("unfolded_intercepts_", intercept_shapes)
        parts = chain(coefs, intercepts, state["batch_norm_scale_"], state["batch_norm_shift_"])
        vector = np.concatenate([array.ravel() for array in parts])
        if any((variances < 0).any() for variances in state["batch_norm_var_"]):
            raise ValueError("batch_norm_var_0 ... must be at least 0")
        n_seen = layers("batch_norm_seen_", [()] * len(hidden_shapes), np.dtype(float))
        state["_unfolded"] = header["batch_norm"], vector, n_seen
    if "coefs_0" in arrays:
        state["coefs_"] = layers("coefs_", coef_shapes)
        state["intercepts_"] = layers("intercepts_", intercept_shapes)
    else:
        state["coefs_"], state["intercepts_"] = folded_weights(state)
    if header["estimator"] == "classifier":
        classes = state["classes_"]
        is_logistic = OUTPUTS[header["out_activation"]] is OUTPUTS["logistic"]
        n_classes = {1, 2} if is_logistic and n_outputs == 1 else {n_outputs}
        if classes.ndim != 1 or len(classes) not in n_classes or len(np.unique(classes)) != len(classes):
            raise ValueError(f"classes_ must contain {max(n_classes)} labels, got {classes}")
        labels = np.eye(n_outputs, dtype=int) if is_logistic and n_outputs > 1 else classes
        state["_label_binarizer"] = LabelBinarizer().fit(labels)
    return state


def _check_conformity(scores, weights, n_outputs):
    """Raise an error if the conformity scores of a file are not those of at least one row."""
    if scores is None:
        return
    n_rows = len(scores)
    shapes = [scores.shape, (n_rows,) if weights is None else weights.shape]
    valid = (scores >= 0).all() and (weights is None or (weights > 0).all())
    if not (n_rows and valid and shapes == [(n_rows,) if n_outputs == 1 else (n_rows, n_outputs), (n_rows,)]):
        raise ValueError("conformity_scores_ must be the non-negative scores of at least one row for each output")


def _dropout_attributes(header, arrays, units, rates):
    """Return the attributes that describe the dropout."""
    n_hidden = len(units) - 2
    kinds = tuple(map(str, header["dropout_kind"]))
    groups = tuple(arrays.get(f"groups_{i}") for i in range(n_hidden + 1))
    rates, nominal_rates = (dropout_rates(r[1:], r[0], n_hidden) for r in (rates, header["trained_with"]))
    if len(kinds) != n_hidden + 1:
        raise ValueError(f"dropout_kind must have {n_hidden + 1} names, got {kinds}")
    for n_units, group in zip(units, groups, strict=False):
        if group is not None and (group.shape != (n_units,) or not np.isin(group, np.arange(n_units)).all()):
            raise ValueError("groups_0 ... do not match the units in the header")
    return {"dropout_": rates, "_noise": (kinds, groups, nominal_rates, str(header["dropout_schedule"]))}


def _saved_attributes(header, arrays):
    """Return the attributes that are saved under their own names, with the types that ``fit`` sets."""
    state = {name: arrays.get(name) for name in attributes_with("npz") if name in arrays or name in header["none"]}
    for name, value in state.items():
        if name == "feature_names_in_":
            state[name] = value.astype(object)
        elif value is not None and (value.ndim == 0 or not FITTED[name].array):
            state[name] = value.tolist()
    if "dropout_curve_" in state:
        state["dropout_curve_"] = list(map(tuple, state["dropout_curve_"]))
    return state

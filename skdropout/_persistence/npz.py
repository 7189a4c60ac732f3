"""Weights in ``.npz`` files, without pickle."""

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
from .._fitted import FITTED, having, noise_settings, unfolded_state
from .._version import __version__
from .._weights import BATCH_NORM, unfolded, weights_of
from ..engine.activations import ACTIVATIONS, OUTPUTS
from ..engine.losses import LOSSES
from .atomic import atomic_write
from .pickling import folded_weights, is_folded, kind_of, unfolded_params

FORMAT = 1  # of the files of save_weights


class WeightsFileMixin:
    """``save_weights`` and ``load_weights``."""

    def save_weights(self, path: str | PathLike[str]) -> None:
        """Save the fitted weights to a ``.npz`` file, without pickle.

        Loading the file runs no code of its own. It contains plain arrays under the names of the attributes,
        ``coefs_0``, ``intercepts_0``, ``coefs_1`` ..., ``classes_``, ``loss_curve_``, and a JSON text, ``header``, with
        the activations and the version of skdropout. With `batch_norm` it contains the weights before folding, as
        ``unfolded_coefs_0`` ..., and the attributes ``batch_norm_scale_0`` ....

        Parameters
        ----------
        path : str or os.PathLike
            The file, in an existing folder. No suffix is added. An existing file is replaced atomically.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.

        ValueError
            If the class labels are objects other than strings and numbers, or if assigned weights are not finite or do
            not match.

        See Also
        --------
        load_weights : Loads the file.
        to_sklearn : Converts the network to scikit-learn's own estimator.

        Notes
        -----
        The file does not contain the parameters, the random streams, and the state of the optimizer: its moments, its
        step count, and the current learning rate. ``partial_fit`` continues from the weights with a new optimizer. A
        pickle keeps all of these, the moments and the step count only if the last call was ``partial_fit``.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from sklearn.datasets import load_iris
        >>> from skdropout import DropoutMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = DropoutMLPClassifier(20, learning_rate_init=0.02, early_stopping=True, random_state=0).fit(X, y)
        >>> with TemporaryDirectory() as folder:
        ...     clf.save_weights(Path(folder) / "iris.npz")
        ...     loaded = DropoutMLPClassifier(20).load_weights(Path(folder) / "iris.npz")
        >>> bool((loaded.predict_proba(X) == clf.predict_proba(X)).all())
        True
        """
        check_is_fitted(self)
        arrays = state_to_arrays(self)
        with atomic_write(path) as file:
            np.savez(file, **arrays)

    def load_weights(self, path: str | PathLike[str]) -> Self:
        """Load the weights from a file of ``save_weights`` into this estimator, which is then fitted. No code is run.

        It predicts and samples like the saved estimator, whatever its own rates. ``partial_fit``, and ``fit`` with
        ``warm_start=True``, continue from the weights.

        Parameters
        ----------
        path : str or os.PathLike
            The file.

        Returns
        -------
        self : object
            The fitted estimator. It is unchanged if the call fails.

        Raises
        ------
        FileNotFoundError
            If there is no file.

        ValueError
            If the file is damaged, is of another kind or of a newer format, or if `hidden_layer_sizes`, `activation`,
            `batch_norm`, `dtype` or the `loss` of this estimator do not match it: the error says how to set them.

        See Also
        --------
        save_weights : Writes the file.

        Examples
        --------
        >>> from skdropout import DropoutMLPRegressor
        >>> DropoutMLPRegressor().load_weights("nowhere.npz")
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.npz'
        """
        estimator: Any = self  # with all that BaseDropoutMLP has
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
        loaded._forget()
        self.__dict__ = vars(loaded) | fitted  # in one step: other threads may be predicting
        return self

    def _check_matches(self, header, path):
        """Raise an error if a file does not match the parameters of this estimator."""
        kind, name = kind_of(self), type(self).__name__
        if header["estimator"] != kind:
            raise ValueError(
                f"path={str(path)!r} holds the weights of a {header['estimator']}, and {name} is a {kind}: take "
                "the other estimator to load them."
            )
        needed = {"hidden_layer_sizes": tuple(header["units"][1:-1]), "batch_norm": header["batch_norm"]}
        given = {"hidden_layer_sizes": hidden_sizes(self.hidden_layer_sizes), "batch_norm": self.batch_norm}
        if self.dtype is not None:
            needed["dtype"], given["dtype"] = header["dtype"], np.dtype(self.dtype).name
        if kind == "regressor" and LOSSES[self.loss].output != header["out_activation"]:
            output, rows = header["out_activation"], LOSSES.items()
            losses = [name for name, row in rows if row.output == output and not row.for_classifier]
            if not losses:
                raise ValueError(
                    f"path={str(path)!r} was written with out_activation_={output!r}, which belongs to no loss that is "
                    f"registered in this process: register the loss in {LOSSES.path}."
                )
            needed["loss"], given["loss"] = losses[0], self.loss
        names = header["activation"]
        if names != ([self.activation] * len(names) if isinstance(self.activation, str) else list(self.activation)):
            needed["activation"], given["activation"] = names[0] if len(set(names)) == 1 else names, self.activation
        different = [key for key in needed if needed[key] != given[key]]
        if different:
            texts = (", ".join(f"{key}={values[key]!r}" for key in different) for values in (given, needed))
            found, fix = texts
            raise ValueError(
                f"path={str(path)!r} does not match this {name} with {found}: call set_params({fix}) first."
            )


def state_to_arrays(estimator):
    """The contents of a file of ``save_weights``, by name."""
    state = vars(estimator)
    coefs, intercepts = weights_of(estimator)
    dtype = coefs[0].dtype
    saved = {name: state[name] for name in having("npz") if name in state}
    noise, unfolded_ = noise_settings(estimator), unfolded_state(estimator)
    header = {
        "format": FORMAT,
        "skdropout": __version__,
        "estimator": kind_of(estimator),
        "units": [estimator.n_features_in_, *map(len, intercepts)],
        "dtype": dtype.name,
        "activation": estimator._activations,
        "out_activation": estimator.out_activation_,
        "batch_norm": unfolded_.batch_norm,
        "dropout_kind": noise.kinds,
        "trained_with": noise.rates,
        "dropout_schedule": noise.schedule,
        "none": [name for name, value in saved.items() if value is None],
    }
    layers = {"groups_": noise.groups}
    if not is_folded(estimator):
        layers |= {"coefs_": coefs, "intercepts_": intercepts}
    if header["batch_norm"]:
        unfolded(estimator, coefs, intercepts)  # raises an error if assigned arrays do not match
        params, *_ = unfolded_params(state)
        layers |= {"unfolded_coefs_": params.coefs, "unfolded_intercepts_": params.intercepts}
        layers |= {name: state[name] for name in BATCH_NORM}
        layers = {name: [a if a is None else np.asarray(a, dtype) for a in many] for name, many in layers.items()}
        layers |= {"groups_": noise.groups, "batch_norm_seen_": unfolded_.n_seen}
    arrays = {f"{name}{i}": a for name, many in layers.items() for i, a in enumerate(many) if a is not None}
    arrays |= {name: _plain_array(name, value) for name, value in saved.items() if value is not None}
    return {"header": np.array(json.dumps(header)), **arrays}


def _plain_array(name, values):
    """Convert values to an array that needs no pickle; objects become strings or numbers."""
    values = np.asarray(values)
    if not values.dtype.hasobject:
        return values
    plain = np.array(values.tolist())
    if plain.dtype.hasobject or plain.tolist() != values.tolist():
        raise ValueError(
            f"{name} holds objects other than strings or numbers of one type, and .npz has no place for them without "
            f"pickle: {values}. Fit on labels that are str or int, or save by skops or joblib."
        )
    return plain


@contextmanager
def _name_file_in_errors(path):
    """Replace errors while reading a file by one that names the file."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"path={str(path)!r} is not a file of save_weights, or it is damaged ({type(error).__name__}: {error})."
        ) from error


def _read(path):
    """Header and arrays of a file of ``save_weights``."""
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
    """The fitted attributes from the header and the arrays of a file, after checking them."""
    units, dtype = tuple(map(int, header["units"])), np.dtype(header["dtype"])
    matrices, biases, hidden = list(pairwise(units)), [(n,) for n in units[1:]], [(n,) for n in units[1:-1]]

    def layers(name, shapes, dtype=dtype):
        found = [arrays[f"{name}{i}"] for i in range(len(shapes))]
        if [(a.shape, a.dtype) for a in found] != [(shape, dtype) for shape in shapes]:
            raise ValueError(f"{name}0 ... are of other shapes or another dtype than units and dtype say")
        if not all(np.isfinite(a).all() for a in found):
            raise ValueError(f"{name}0 ... are not finite")
        return found

    state = _saved_attributes(header, arrays)
    state |= {"n_features_in_": units[0], "n_layers_": len(units), "n_outputs_": units[-1]}
    activations = names_per_layer("activation", header["activation"], ACTIVATIONS, len(hidden))
    state |= {"_activations": activations, "out_activation_": header["out_activation"]}
    state |= _noise(header, arrays, units, state["dropout_"])
    if header["batch_norm"]:
        parts = [layers("unfolded_coefs_", matrices), layers("unfolded_intercepts_", biases)]
        parts += [layers(f"batch_norm_{name}_", hidden) for name in ("scale", "shift")]
        vector = np.concatenate([a.ravel() for a in chain(*parts)])
        state["batch_norm_scale_"], state["batch_norm_shift_"] = parts[2:]
        state |= {name: layers(name, hidden) for name in ("batch_norm_mean_", "batch_norm_var_")}
        if any((variances < 0).any() for variances in state["batch_norm_var_"]):
            raise ValueError("batch_norm_var_0 ... must be at least 0")
        seen = layers("batch_norm_seen_", [()] * len(hidden), np.dtype(float))
        state["_unfolded"] = header["batch_norm"], vector, seen
    if "coefs_0" in arrays:
        state["coefs_"], state["intercepts_"] = layers("coefs_", matrices), layers("intercepts_", biases)
    else:
        state["coefs_"], state["intercepts_"] = folded_weights(state)
    if header["estimator"] == "classifier":
        logistic, classes = OUTPUTS[header["out_activation"]] is OUTPUTS["logistic"], state["classes_"]
        many = {1, 2} if logistic and units[-1] == 1 else {units[-1]}
        if classes.ndim != 1 or not len(classes) == len(np.unique(classes)) in many:
            raise ValueError(f"classes_ must hold {max(many)} labels, got {classes}")
        labels = np.eye(units[-1], dtype=int) if logistic and units[-1] > 1 else classes
        state["_label_binarizer"] = LabelBinarizer().fit(labels)
    return state


def _noise(header, arrays, units, rates):
    """The attributes that sampling needs."""
    kinds, n_hidden = tuple(map(str, header["dropout_kind"])), len(units) - 2
    groups = tuple(arrays.get(f"groups_{i}") for i in range(n_hidden + 1))
    rates, trained_with = (dropout_rates(r[1:], r[0], n_hidden) for r in (rates, header["trained_with"]))
    if len(kinds) != n_hidden + 1:
        raise ValueError(f"dropout_kind must have {n_hidden + 1} names, got {kinds}")
    for n, of_layer in zip(units, groups, strict=False):
        if of_layer is not None and (of_layer.shape != (n,) or not np.isin(of_layer, np.arange(n)).all()):
            raise ValueError("groups_0 ... are not groups of so many units")
    return {"dropout_": rates, "_noise": (kinds, groups, trained_with, str(header["dropout_schedule"]))}


def _saved_attributes(header, arrays):
    """The attributes that are saved under their own names, as ``fit`` leaves them."""
    state = {name: arrays.get(name) for name in having("npz") if name in arrays or name in header["none"]}
    for name, value in state.items():
        if name == "feature_names_in_":
            state[name] = value.astype(object)
        elif value is not None and (value.ndim == 0 or not FITTED[name].array):
            state[name] = value.tolist()
    if "dropout_curve_" in state:
        state["dropout_curve_"] = list(map(tuple, state["dropout_curve_"]))
    return state

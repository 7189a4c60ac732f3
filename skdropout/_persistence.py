"""What leaves the process: pickles that other releases read, weights without pickle, scikit-learn's own MLP."""

from __future__ import annotations

import copy
import json
import warnings
from contextlib import contextmanager
from inspect import signature
from itertools import chain, pairwise
from os import PathLike
from typing import Any, Self

import numpy as np
from sklearn.base import is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import check_is_fitted

from ._files import atomic_write
from ._spec import dropout_rates, hidden_sizes, learning_rate_settings, names_per_layer
from ._weights import BATCH_NORM, unfolded, weights_of
from .engine.activations import ACTIVATIONS, OUTPUTS
from .engine.layers import fold
from .engine.losses import LOSSES
from .engine.optimizers import OPTIMIZERS
from .engine.params import Params

FORMAT = 1  # of the files of save_weights

# state that the next partial_fit continues from; pickles keep it only if the last call was partial_fit
STREAM_STATE = {"_input_exponents", "_optimizer"}

# without these a fitted estimator cannot predict or sample
NEEDED = {"_activations", "_noise", "dropout_", "n_features_in_", "n_outputs_", "out_activation_"}

# fitted attributes that a file of save_weights holds under their own names, beside the weights
NOTED = (
    "best_loss_",
    "best_validation_score_",
    "class_weight_",
    "classes_",
    "dropout_",
    "dropout_curve_",
    "feature_names_in_",
    "loss_",
    "loss_curve_",
    "n_iter_",
    "noise_variance_",
    "t_",
    "validation_loss_curve_",
    "validation_scores_",
    "_no_improvement_count",
)

# what scikit-learn's MLPs know
THEIR_ACTIVATIONS = {"identity", "logistic", "relu", "tanh"}
THEIR_OUTPUTS = {"exp", "identity", "logistic", "softmax"}
THEIRS = {"learning_rate": {"adaptive", "constant", "invscaling"}, "solver": {"adam", "lbfgs", "sgd"}}
THEIR_ATTRIBUTES = {
    "_label_binarizer",
    "_no_improvement_count",
    "best_loss_",
    "best_validation_score_",
    "classes_",
    "coefs_",
    "feature_names_in_",
    "intercepts_",
    "loss_",
    "loss_curve_",
    "n_features_in_",
    "n_iter_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "t_",
    "validation_scores_",
}


class PersistenceMixin:
    """Pickles across releases, ``save_weights``, ``load_weights`` and ``to_sklearn``."""

    def to_sklearn(self) -> Any:
        """The fitted network as scikit-learn's own estimator, which predicts without skdropout.

        At prediction dropout is the identity and batch normalisation is part of ``coefs_`` and ``intercepts_``, so
        that the network is an :class:`~sklearn.neural_network.MLPClassifier` or
        :class:`~sklearn.neural_network.MLPRegressor`: for whatever reads these, such as skl2onnx.

        Returns
        -------
        mlp : MLPClassifier or MLPRegressor
            Fitted, with copies of the weights and of the fitted attributes that scikit-learn's have. Its predictions
            and probabilities are equal: bit for bit on X of the dtype of the weights and of at most 2¹⁹ / w rows, w
            being the width of the widest layer; to the last digits on more rows, which are predicted in blocks here.
            Training goes on in it without what it does not have (dropout, batch normalisation, other losses), and with
            a new optimizer.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.

        ValueError
            If scikit-learn cannot express the network: an activation other than its four, more than one of them, or
            a single class, to which it gives two columns of probabilities.

        See Also
        --------
        save_weights : The weights as plain arrays, whatever the activation.

        Notes
        -----
        Parameters that both have keep their values; a `solver`, `learning_rate` or `loss` that scikit-learn lacks
        becomes its default, which changes no prediction. scikit-learn's ``predict_log_proba`` is ``-inf`` where a
        probability rounds to 0, and float32 weights on float64 rows compute in float64 there: cast X to float32.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdropout import DropoutMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = DropoutMLPClassifier(20, learning_rate_init=0.02, early_stopping=True, random_state=0).fit(X, y)
        >>> mlp = clf.to_sklearn()
        >>> mlp
        MLPClassifier(early_stopping=True, hidden_layer_sizes=(20,),
                      learning_rate_init=0.02, random_state=0)
        >>> bool((mlp.predict_proba(X) == clf.predict_proba(X)).all())
        True
        """
        check_is_fitted(self)
        ours: Any = self  # with all that BaseDropoutMLP has
        theirs: Any = MLPClassifier() if is_classifier(self) else MLPRegressor()
        self._check_expressible(type(theirs).__name__)
        known = theirs.get_params(deep=False)
        params = {name: getattr(ours, name) for name in known if hasattr(ours, name)}  # those a subclass hides, too
        for name, values in THEIRS.items():
            if params[name] not in values:
                params[name] = known[name]
        coefs, intercepts = weights_of(self)
        params["hidden_layer_sizes"] = tuple(W.shape[1] for W in coefs[:-1])
        params["activation"] = next(iter(ours._activations), known["activation"])
        if "loss" in params:
            params["loss"] = "poisson" if ours.out_activation_ == "exp" else "squared_error"
        theirs.set_params(**copy.deepcopy(params))
        fitted = {name: value for name, value in vars(self).items() if name in THEIR_ATTRIBUTES}
        vars(theirs).update(copy.deepcopy(fitted | {"coefs_": coefs, "intercepts_": intercepts}))
        if theirs.early_stopping:  # as its own fit leaves them
            theirs._best_coefs, theirs._best_intercepts = theirs.coefs_, theirs.intercepts_
        return theirs

    def _check_expressible(self, theirs):
        """Refuse a network that scikit-learn has no way to write."""
        used = set(self._activations)
        if len(used) > 1 or not used <= THEIR_ACTIVATIONS:
            raise ValueError(
                f"scikit-learn's {theirs} has one activation for all hidden layers, of {sorted(THEIR_ACTIVATIONS)}, "
                f"and this network has {list(self._activations)}: fit it with one of these four, or export it by "
                "save_weights."
            )
        if self.out_activation_ not in THEIR_OUTPUTS:
            raise ValueError(
                f"scikit-learn's {theirs} has no output activation {self.out_activation_!r}, which goes with "
                f"loss={self.loss!r}: export the network by save_weights."
            )
        if len(getattr(self, "classes_", "ab")) == 1:
            raise ValueError(
                f"The network was fitted on a single class, {self.classes_[0]!r}, to which scikit-learn's {theirs} "
                "gives two columns of probabilities: fit it on two classes or more."
            )

    def save_weights(self, path: str | PathLike[str]) -> None:
        """Write the fitted weights to a ``.npz`` file, without pickle.

        Loading it runs no code of the file's. The file holds plain arrays under the names of the attributes,
        ``coefs_0``, ``intercepts_0``, ``coefs_1`` ..., ``classes_``, ``loss_curve_``, and a JSON text, ``header``, with
        the activations and the version of skdropout. With `batch_norm` it holds the weights that ``coefs_`` are folded
        from, as ``unfolded_coefs_0`` ..., and the attributes ``batch_norm_scale_0`` ... beside them.

        Parameters
        ----------
        path : str or os.PathLike
            The file, in a folder that exists; no suffix is added. An older file is replaced in one step.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.

        ValueError
            If the class labels are objects other than strings and numbers, or if weights that were assigned are not
            finite or do not fit together.

        See Also
        --------
        load_weights : Reads the file.
        to_sklearn : The network as scikit-learn's own estimator.

        Notes
        -----
        The file leaves out the parameters, the random streams, and the state of the optimizer: its moments, its step
        count, and the learning rate reached. ``partial_fit`` continues from the weights with a new optimizer. A pickle
        keeps all of these, the moments and the step count only if the last call was ``partial_fit``.

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
        ...     twin = DropoutMLPClassifier(20).load_weights(Path(folder) / "iris.npz")
        >>> bool((twin.predict_proba(X) == clf.predict_proba(X)).all())
        True
        """
        check_is_fitted(self)
        arrays = _arrays(self)
        with atomic_write(path) as file:
            np.savez(file, **arrays)

    def load_weights(self, path: str | PathLike[str]) -> Self:
        """Read the weights of a file of ``save_weights``: this estimator is then fitted. No code is run.

        It predicts and samples as the one that was saved, whatever its own rates, and ``partial_fit``, or ``fit`` with
        ``warm_start=True``, go on from the weights.

        Parameters
        ----------
        path : str or os.PathLike
            The file.

        Returns
        -------
        self : object
            The fitted estimator. If the call fails, as it was.

        Raises
        ------
        FileNotFoundError
            If there is no file.

        ValueError
            If the file is damaged, foreign or of a newer format, or if `hidden_layer_sizes`, `activation`,
            `batch_norm`, `dtype` or the Poisson `loss` of this estimator do not fit it: the error says how to set them.

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
        with _said_of(path):
            names = [name for name in header["activation"] if isinstance(name, str)]
        for name in names:
            ACTIVATIONS[name]  # raises an error if the name is not registered
        with _said_of(path):
            fitted = _fitted_state(header, arrays)
        self._check_fits(header, path)
        twin = estimator._twin()
        twin._forget()
        self.__dict__ = vars(twin) | fitted  # in one step: other threads may be predicting
        return self

    def _check_fits(self, header, path):
        """Refuse a file for other parameters than these."""
        kind, name = _kind(self), type(self).__name__
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
        odd = [key for key in needed if needed[key] != given[key]]
        if odd:
            found, way_out = (", ".join(f"{key}={values[key]!r}" for key in odd) for values in (given, needed))
            raise ValueError(
                f"path={str(path)!r} does not fit this {name} with {found}: call set_params({way_out}) first."
            )

    def __getstate__(self):
        # The moments of the optimizer are twice the size of the weights. They are kept only after partial_fit; after
        # fit the current learning rate is enough.
        state = dict(super().__getstate__())
        optimizer = state.get("_optimizer")
        if not state.get("_in_stream"):
            for name in STREAM_STATE & set(state):
                del state[name]
            if optimizer is not None:
                state["_learning_rate"] = optimizer.learning_rate
        elif optimizer is not None:  # as plain data: skops then has only one type to trust
            # the name of its class in the table: a user's class may have the same ``__name__`` as one of ours
            kind = next((name for name, row in OPTIMIZERS.items() if row is type(optimizer)), type(optimizer).__name__)
            state["_optimizer"] = {"class": kind, **vars(optimizer)}
        if _is_folded(self):  # weights once: __setstate__ folds them again
            del state["coefs_"], state["intercepts_"]
        state["_skdropout_version"] = _version()
        return state

    def __setstate__(self, state):
        state = dict(state)
        version, here, name = state.pop("_skdropout_version", None), _version(), type(self).__name__
        if version is not None and parse_version(version) > parse_version(here):
            warnings.warn(
                f"This {name} was written by skdropout {version}, and this is {here}: its predictions may differ. "
                f"Install skdropout {version}."
            )
        needed = NEEDED | ({"_label_binarizer", "classes_"} if is_classifier(self) else {"noise_variance_"})
        fitted = not {"coefs_", "_unfolded"}.isdisjoint(state)
        missing = sorted(needed - set(state)) if fitted and version != here else []
        if missing:
            raise ValueError(
                f"This {name} was fitted by skdropout {version or 'before 0.1.0'}, without {', '.join(missing)}, which "
                f"{here} needs: fit it again"
                + (", or carry its weights over, by save_weights there and load_weights here." if version else ".")
            )
        if fitted and "coefs_" not in state:
            state["coefs_"], state["intercepts_"] = _folded(state)
        if isinstance(optimizer := state.get("_optimizer"), dict):
            state["_optimizer"] = _revived(optimizer)
        for parameter in signature(type(self)).parameters.values():  # of which an older release had fewer
            if parameter.default is not parameter.empty:
                state.setdefault(parameter.name, parameter.default)
        if "_learning_rate" in state:  # 0.1.0 did not store the settings it belongs to
            state.setdefault("_rate_settings", learning_rate_settings(state))
        super().__setstate__(state)

    def __copy__(self):
        """A copy that shares the arrays but no random stream: training one does not change the other."""
        twin: Any = object.__new__(type(self))
        vars(twin).update(vars(self))
        if isinstance(twin.random_state, np.random.RandomState):
            twin.random_state = copy.deepcopy(twin.random_state)
        return twin

    def __deepcopy__(self, memo):
        twin = object.__new__(type(self))
        vars(twin).update(copy.deepcopy(vars(self), memo))
        return twin


def _version():
    from ._version import __version__

    return __version__


def _kind(estimator):
    return "classifier" if is_classifier(estimator) else "regressor"


def _revived(state):
    """Restore an optimizer from its name in OPTIMIZERS and its ``vars``."""
    if state["class"] not in OPTIMIZERS:
        warnings.warn(
            f"The optimizer {state['class']!r} of the file is not in OPTIMIZERS, so partial_fit will start with a new "
            "one: to continue exactly, register it before loading the file."
        )
        return None
    optimizer = object.__new__(OPTIMIZERS[state["class"]])
    vars(optimizer).update((name, value) for name, value in state.items() if name != "class")
    return optimizer


def _unfolded(state):
    """The parameters that ``coefs_`` are folded from, their moments, and the place of the normalisation."""
    batch_norm, vector, _ = state["_unfolded"]
    means, variances = state["batch_norm_mean_"], state["batch_norm_var_"]
    units = state["n_features_in_"], *map(len, means), state["n_outputs_"]
    params = Params(units, vector.dtype, vector, normed=True)
    params.scales, params.shifts = state["batch_norm_scale_"], state["batch_norm_shift_"]  # they may be assigned
    return params, zip(means, variances, strict=True), batch_norm


def _folded(state):
    """``coefs_`` and ``intercepts_``, batch normalisation folded into them."""
    return fold(*_unfolded(state))


def _is_folded(estimator):
    """Whether that is what ``coefs_`` and ``intercepts_`` are: a user may have put in others."""
    state = vars(estimator)
    if "_unfolded" not in state or "coefs_" not in state:
        return False
    arrays = chain(*(state[name] for name in ("coefs_", "intercepts_", *BATCH_NORM)))
    dtypes = {getattr(array, "dtype", None) for array in arrays}  # lists have none
    if dtypes != {state["_unfolded"][1].dtype}:
        return False
    try:
        return unfolded(estimator, *weights_of(estimator))[-1] == "nothing"
    except ValueError:  # raised again when they are used
        return False


def _arrays(estimator):
    """What a file of ``save_weights`` holds, by name."""
    state = vars(estimator)
    coefs, intercepts = weights_of(estimator)
    dtype = coefs[0].dtype
    noted = {name: state[name] for name in NOTED if name in state}
    kinds, groups, rates, schedule = estimator._noise
    header = {
        "format": FORMAT,
        "skdropout": _version(),
        "estimator": _kind(estimator),
        "units": [estimator.n_features_in_, *map(len, intercepts)],
        "dtype": dtype.name,
        "activation": estimator._activations,
        "out_activation": estimator.out_activation_,
        "batch_norm": state.get("_unfolded", [False])[0],
        "dropout_kind": kinds,
        "trained_with": rates,
        "dropout_schedule": schedule,
        "none": [name for name, value in noted.items() if value is None],
    }
    layers = {"groups_": groups}
    if not _is_folded(estimator):
        layers |= {"coefs_": coefs, "intercepts_": intercepts}
    if header["batch_norm"]:
        unfolded(estimator, coefs, intercepts)  # an error if assigned arrays do not match
        params, *_ = _unfolded(state)
        layers |= {"unfolded_coefs_": params.coefs, "unfolded_intercepts_": params.intercepts}
        layers |= {name: state[name] for name in BATCH_NORM}
        layers = {name: [a if a is None else np.asarray(a, dtype) for a in many] for name, many in layers.items()}
        layers |= {"groups_": groups, "batch_norm_seen_": state["_unfolded"][2]}
    arrays = {f"{name}{i}": a for name, many in layers.items() for i, a in enumerate(many) if a is not None}
    arrays |= {name: _plain(name, value) for name, value in noted.items() if value is not None}
    return {"header": np.array(json.dumps(header)), **arrays}


def _plain(name, values):
    """An array that needs no pickle; objects become the strings or numbers that they are."""
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
def _said_of(path):
    """Errors of reading a file as one that names it."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"path={str(path)!r} is not a file of save_weights, or it is damaged ({type(error).__name__}: {error})."
        ) from error


def _read(path):
    """Header and arrays of a file of ``save_weights``."""
    with open(path, "rb") as file, _said_of(path):
        with np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
        header = json.loads(arrays.pop("header").item())
        version, format = str(header["skdropout"]), int(header["format"])
    if format > FORMAT:
        raise ValueError(
            f"path={str(path)!r} was written by skdropout {version} in a newer format than {_version()} reads: install "
            f"skdropout {version}."
        )
    return header, arrays


def _fitted_state(header, arrays):
    """Fitted attributes from what a file holds."""
    units, dtype = tuple(map(int, header["units"])), np.dtype(header["dtype"])
    matrices, biases, hidden = list(pairwise(units)), [(n,) for n in units[1:]], [(n,) for n in units[1:-1]]

    def layers(name, shapes, dtype=dtype):
        found = [arrays[f"{name}{i}"] for i in range(len(shapes))]
        if [(a.shape, a.dtype) for a in found] != [(shape, dtype) for shape in shapes]:
            raise ValueError(f"{name}0 ... are of other shapes or another dtype than units and dtype say")
        if not all(np.isfinite(a).all() for a in found):
            raise ValueError(f"{name}0 ... are not finite")
        return found

    state = _noted(header, arrays)
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
        state["coefs_"], state["intercepts_"] = _folded(state)
    if header["estimator"] == "classifier":
        logistic, classes = OUTPUTS[header["out_activation"]] is OUTPUTS["logistic"], state["classes_"]
        many = {1, 2} if logistic and units[-1] == 1 else {units[-1]}
        if classes.ndim != 1 or not len(classes) == len(np.unique(classes)) in many:
            raise ValueError(f"classes_ must hold {max(many)} labels, got {classes}")
        labels = np.eye(units[-1], dtype=int) if logistic and units[-1] > 1 else classes
        state["_label_binarizer"] = LabelBinarizer().fit(labels)
    return state


def _noise(header, arrays, units, rates):
    """What sampling needs."""
    kinds, n_hidden = tuple(map(str, header["dropout_kind"])), len(units) - 2
    groups = tuple(arrays.get(f"groups_{i}") for i in range(n_hidden + 1))
    rates, trained_with = (dropout_rates(r[1:], r[0], n_hidden) for r in (rates, header["trained_with"]))
    if len(kinds) != n_hidden + 1:
        raise ValueError(f"dropout_kind must have {n_hidden + 1} names, got {kinds}")
    for n, of_layer in zip(units, groups, strict=False):
        if of_layer is not None and (of_layer.shape != (n,) or not np.isin(of_layer, np.arange(n)).all()):
            raise ValueError("groups_0 ... are not groups of so many units")
    return {"dropout_": rates, "_noise": (kinds, groups, trained_with, str(header["dropout_schedule"]))}


def _noted(header, arrays):
    """The attributes beside the weights, as ``fit`` leaves them."""
    noted = {name: arrays.get(name) for name in NOTED if name in arrays or name in header["none"]}
    for name, value in noted.items():
        if name == "feature_names_in_":
            noted[name] = value.astype(object)
        elif value is not None and (value.ndim == 0 or name not in {"class_weight_", "classes_", "noise_variance_"}):
            noted[name] = value.tolist()
    if "dropout_curve_" in noted:
        noted["dropout_curve_"] = list(map(tuple, noted["dropout_curve_"]))
    return noted

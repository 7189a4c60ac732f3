"""Pickles across releases, and copies."""

from __future__ import annotations

import copy
import warnings
from inspect import signature
from itertools import chain
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.fixes import parse_version

from .._fit.parameters import learning_rate_settings
from .._fitted import Unfolded, attributes_with, required_attributes, uncalibrated
from .._version import __version__
from .._weights import BATCH_NORM, checked_weights, unfold_weights
from ..engine.activations import columns_per_output
from ..engine.layers import fold
from ..engine.optimizers import OPTIMIZERS
from ..engine.params import Params


class PicklingMixin:
    """Mixin for pickles across releases, and for copies that share no random stream."""

    def __getstate__(self):
        # The moments of the optimizer are twice as large as the weights: keep them only after partial_fit. After fit
        # the current learning rate is sufficient.
        state = dict(super().__getstate__())
        optimizer = state.get("_optimizer")
        if not state.get("_in_stream"):
            for name in attributes_with("partial_fit_only"):
                state.pop(name, None)
            if optimizer is not None:
                state["_learning_rate"] = optimizer.learning_rate
        elif optimizer is not None:  # save plain data, so that skops needs to trust only one type
            # by the name in OPTIMIZERS: a custom class may have the ``__name__`` of a built-in one
            cls = type(optimizer)
            name = next((name for name, row in OPTIMIZERS.items() if row is cls), cls.__name__)
            state["_optimizer"] = {"class": name, **vars(optimizer)}
        if is_folded(self):  # __setstate__ folds them again
            del state["coefs_"], state["intercepts_"]
        state["_skdropout_version"] = __version__
        return state

    def __setstate__(self, state):
        state = dict(state)
        version = state.pop("_skdropout_version", None)
        name = type(self).__name__
        if version is not None and parse_version(version) > parse_version(__version__):
            warnings.warn(
                f"This {name} was saved by skdropout {version}, but {__version__} is installed: its predictions may "
                f"differ. Install skdropout {version}."
            )
        fitted = not {"coefs_", "_unfolded"}.isdisjoint(state)
        missing = []
        if fitted and version != __version__:
            missing = sorted(set(required_attributes(estimator_kind(self))) - set(state))
        if missing:
            raise ValueError(
                f"This {name} was fitted by skdropout {version or 'before 0.1.0'}, without {', '.join(missing)}, which "
                f"{__version__} needs: fit it again"
                + (", or transfer its weights, with save_weights there and load_weights here." if version else ".")
            )
        if fitted and "coefs_" not in state:
            state["coefs_"], state["intercepts_"] = folded_weights(state)
        if fitted and "noise_variance_" in state:  # a regressor of skdropout 0.1.0 has no calibration
            state = uncalibrated(state["n_outputs_"]) | state
        optimizer = state.get("_optimizer")
        if isinstance(optimizer, dict):
            state["_optimizer"] = _restore_optimizer(optimizer)
        for parameter in signature(type(self)).parameters.values():  # an older release may lack some
            if parameter.default is not parameter.empty:
                state.setdefault(parameter.name, parameter.default)
        if "_learning_rate" in state:  # not saved by skdropout 0.1.0
            state.setdefault("_rate_settings", learning_rate_settings(state))
        super().__setstate__(state)

    def __copy__(self):
        """Return a copy that shares the arrays but no random stream, so that training one does not change the other."""
        copied: Any = object.__new__(type(self))
        vars(copied).update(vars(self))
        if isinstance(copied.random_state, np.random.RandomState):
            copied.random_state = copy.deepcopy(copied.random_state)
        return copied

    def __deepcopy__(self, memo):
        copied = object.__new__(type(self))
        vars(copied).update(copy.deepcopy(vars(self), memo))
        return copied


def estimator_kind(estimator):
    """Return "classifier" or "regressor"."""
    return "classifier" if is_classifier(estimator) else "regressor"


def _restore_optimizer(state):
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


def unfolded_params(state):
    """Return the arguments of ``fold``: parameters, running moments and the value of `batch_norm`."""
    batch_norm, vector, _ = Unfolded(*state["_unfolded"])
    means, variances = state["batch_norm_mean_"], state["batch_norm_var_"]
    n_columns = state["n_outputs_"] * columns_per_output(state["out_activation_"])
    units = state["n_features_in_"], *map(len, means), n_columns
    params = Params(units, vector.dtype, vector, normed=True)
    params.scales, params.shifts = (
        state["batch_norm_scale_"],
        state["batch_norm_shift_"],
    )  # the user may have assigned them
    return params, zip(means, variances, strict=True), batch_norm


def folded_weights(state):
    """Return ``coefs_`` and ``intercepts_`` with batch normalization folded in."""
    return fold(*unfolded_params(state))


def is_folded(estimator):
    """Return whether ``coefs_`` and ``intercepts_`` are the folded weights, not others that the user assigned."""
    state = vars(estimator)
    if "_unfolded" not in state or "coefs_" not in state:
        return False
    arrays = chain(*(state[name] for name in ("coefs_", "intercepts_", *BATCH_NORM)))
    dtypes = {getattr(array, "dtype", None) for array in arrays}  # lists have none
    if dtypes != {Unfolded(*state["_unfolded"]).vector.dtype}:
        return False
    try:
        return unfold_weights(estimator, *checked_weights(estimator))[-1] == "nothing"
    except ValueError:  # raised again when they are used
        return False

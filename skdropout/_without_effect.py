"""Settings that have no effect: a table of them, and the warning.

The policy: the default of a parameter never warns, nor does a value that requests nothing (``group_size=[1, 1]``). Any
other value that cannot change the fit warns and names the parameter and the one that disables it. Parameters of
scikit-learn's MLPs do not warn where those do not, since a changed import must not add warnings. Settings that ``fit``
refuses because it would train a different network than requested (dropout, batch_norm, max_norm, clip_norm, l1_ratio
with ``solver="lbfgs"``) are errors, in ``_base.py``.

The candidates of a search do not warn: a grid often contains settings without effect, and each fold would repeat the
warning. The refit of the best candidate warns. In a stream only the first ``partial_fit`` warns.
"""

import warnings
from collections.abc import Callable
from inspect import signature
from operator import is_
from reprlib import repr as short
from typing import Any, NamedTuple

import numpy as np

from ._sklearn import is_search_candidate
from .engine.losses import LOSSES


class Row(NamedTuple):
    """A parameter that has no effect, because of other parameters, if ``useless(estimator, layers, validated)``."""

    parameter: str
    because_of: tuple[str, ...]
    useless: Callable[[Any, list[Any], bool], bool]  # layers: list of LayerSpec; validated: has a validation set
    way_out: str
    silent: tuple[Any, ...] = ()  # values that request nothing, besides the default


def no_rates(estimator, layers, validated):
    return not any(layer.rate > 0 for layer in layers)


def no_hidden_layers(estimator, layers, validated):
    return len(layers) == 1


RATES, SIZES = ("dropout", "input_dropout"), ("hidden_layer_sizes",)
TABLE = [
    Row("dropout", SIZES, no_hidden_layers, "add a hidden layer or use input_dropout", (0,)),
    Row("dropout_kind", RATES, no_rates, "set a rate above 0"),
    Row(
        "dropout_kind",
        ("dropout",),
        lambda estimator, layers, _: all(
            layer.dropout == "bernoulli" or layer.rate == 0 for layer in layers[estimator.input_groups is not None :]
        ),
        "set the rates of these layers above 0",
    ),
    Row("mask_sharing", RATES, no_rates, "set a rate above 0"),
    Row("dropout_schedule", RATES, no_rates, "set a rate above 0", ("constant",)),
    Row(
        "group_size",
        ("dropout_kind",),
        lambda estimator, layers, _: all(layer.groups is None for layer in layers[1:]),
        "set dropout_kind='spatial' for these layers",
        (1,),
    ),
    Row(
        "group_size",
        ("dropout",),
        lambda estimator, layers, _: all(layer.groups is None or layer.rate == 0 for layer in layers[1:]),
        "set the rates of these layers above 0",
        (1,),
    ),
    Row("input_groups", ("input_dropout",), lambda estimator, layers, _: layers[0].rate == 0, "set a rate above 0"),
    Row("batch_norm", SIZES, no_hidden_layers, "add a hidden layer"),
    Row("max_norm", SIZES, no_hidden_layers, "add a hidden layer"),
    Row("l1_ratio", ("alpha",), lambda estimator, *_: estimator.alpha == 0, "set alpha above 0"),
    Row("warmup_fraction", ("solver",), lambda estimator, *_: estimator.solver == "lbfgs", "use a stochastic solver"),
    Row(
        "learning_rate",
        ("solver",),
        lambda estimator, *_: estimator.solver == "lbfgs" and estimator.learning_rate in {"cosine", "onecycle"},
        "use a stochastic solver",
    ),
    Row(
        "quantile",
        ("loss",),
        lambda estimator, *_: "quantile" not in LOSSES[estimator.loss].options.values(),
        "set loss='quantile'",
    ),
    Row(
        "scoring",
        ("early_stopping",),
        lambda estimator, _, validated: not validated,
        "set early_stopping=True or give X_val and y_val to fit",
    ),
    Row(
        "dtype",
        ("warm_start",),
        lambda estimator, *_: np.dtype(estimator.dtype).name != estimator.coefs_[0].dtype.name,
        "set warm_start=False to start in another dtype",
    ),
]


SAMPLING = {"n_samples": 100, "random_state": 0, "dropout": None, "input_dropout": None, "mask_sharing": "sample"}


def warn_of_useless_settings(estimator, layers, validated):
    """Warn about each parameter that has no effect on the fit."""
    defaults, warned = signature(type(estimator).__init__).parameters, set()
    for row in TABLE:
        name = row.parameter
        if name in warned or name not in defaults:
            continue
        value, default = getattr(estimator, name), defaults[name].default
        if any(all_are(value, silent) for silent in (default, *row.silent)):
            continue
        if row.useless(estimator, layers, validated) and not is_search_candidate():
            warned.add(name)
            because = " and ".join(f"{other}={short(getattr(estimator, other))}" for other in row.because_of)
            warnings.warn(
                f"{name}={short(value)} has no effect with {because}: {row.way_out}, or leave {name} at {default!r}."
            )


def warn_without_std(*given):
    """Warn about each sampling option that ``predict(X)`` of a regressor does not use."""
    if all(map(is_, given, SAMPLING.values())):  # the common case, kept fast for single rows
        return
    for value, (name, default) in zip(given, SAMPLING.items(), strict=True):
        if value is not default and not all_are(value, default):
            warnings.warn(f"{name}={short(value)} has no effect without return_std=True.")


def all_are(value, other):
    """Whether a value, or every item of a sequence, equals `other`."""
    return bool(np.all(np.asarray(value, dtype=object) == other))

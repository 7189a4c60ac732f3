"""Warnings about parameters without effect.

Defaults and values that request nothing (``group_size=[1, 1]``) do not warn. Any other value that cannot change the fit
warns, and the message names the parameter and the one that disables it. Parameters of scikit-learn's MLPs warn only if
scikit-learn does, so that changing the import adds no warnings. Parameters for which ``fit`` would train a different
network than requested (dropout, batch_norm, max_norm, clip_norm, l1_ratio with ``solver="lbfgs"``) raise errors, see
``prepare.py``.

Candidates of a search do not warn: grids often contain parameters without effect, and each fold would repeat the
warning. The refit of the best candidate warns. With ``partial_fit``, only the first call warns.
"""

import warnings
from collections.abc import Callable
from operator import is_
from reprlib import repr as short_repr
from typing import Any, NamedTuple

import numpy as np

from .._sklearn import is_search_candidate
from ..engine.losses import LOSSES


class Rule(NamedTuple):
    """Condition under which other parameters disable a parameter."""

    parameter: str
    disabled_by: tuple[str, ...]
    has_no_effect: Callable[[Any], bool]  # a function of the Plan
    fix: str
    exempt: tuple[Any, ...] = ()  # values that request nothing, in addition to the default


def all_rates_zero(plan):
    return not any(plan.rates)


def no_hidden_layers(plan):
    return len(plan.model.specs) == 1


RATES, SIZES = ("dropout", "input_dropout"), ("hidden_layer_sizes",)
RULES = [
    Rule("dropout", SIZES, no_hidden_layers, "add a hidden layer or use input_dropout", (0,)),
    Rule("dropout_kind", RATES, all_rates_zero, "set a rate above 0"),
    Rule(
        "dropout_kind",
        ("dropout",),
        lambda plan: all(
            layer.dropout == "bernoulli" or layer.rate == 0
            for layer in plan.model.specs[plan.settings.input_groups is not None :]
        ),
        "set the rates of these layers above 0",
    ),
    Rule("mask_sharing", RATES, all_rates_zero, "set a rate above 0"),
    Rule("dropout_schedule", RATES, all_rates_zero, "set a rate above 0", ("constant",)),
    Rule(
        "group_size",
        ("dropout_kind",),
        lambda plan: all(layer.groups is None for layer in plan.model.specs[1:]),
        "set dropout_kind='spatial' for these layers",
        (1,),
    ),
    Rule(
        "group_size",
        ("dropout",),
        lambda plan: all(layer.groups is None or layer.rate == 0 for layer in plan.model.specs[1:]),
        "set the rates of these layers above 0",
        (1,),
    ),
    Rule("input_groups", ("input_dropout",), lambda plan: plan.model.specs[0].rate == 0, "set a rate above 0"),
    Rule("batch_norm", SIZES, no_hidden_layers, "add a hidden layer"),
    Rule("max_norm", SIZES, no_hidden_layers, "add a hidden layer"),
    Rule("l1_ratio", ("alpha",), lambda plan: plan.settings.alpha == 0, "set alpha above 0"),
    Rule("warmup_fraction", ("solver",), lambda plan: plan.settings.solver == "lbfgs", "use a stochastic solver"),
    Rule(
        "learning_rate",
        ("solver",),
        lambda plan: plan.settings.solver == "lbfgs" and plan.settings.learning_rate in {"cosine", "onecycle"},
        "use a stochastic solver",
    ),
    Rule(
        "quantile",
        ("loss",),
        lambda plan: "quantile" not in LOSSES[plan.settings.loss].options.values(),
        "set loss='quantile'",
    ),
    Rule(
        "scoring",
        ("early_stopping",),
        lambda plan: plan.held_out is None and not plan.settings.early_stopping,
        "set early_stopping=True or pass X_val and y_val to fit",
    ),
    Rule(
        "dtype",
        ("warm_start",),
        lambda plan: np.dtype(plan.settings.dtype).name != plan.dtype.name,
        "set warm_start=False to start in another dtype",
    ),
]


def warn_about_unused_parameters(plan, parameters):
    """Warn about each of the `parameters` of the signature that has no effect on the fit."""
    settings = plan.settings
    warned = set()
    for rule in RULES:
        name = rule.parameter
        if name in warned or name not in parameters:
            continue
        value = getattr(settings, name)
        default = parameters[name].default
        if any(all_equal(value, exempt) for exempt in (default, *rule.exempt)):
            continue
        if rule.has_no_effect(plan) and not is_search_candidate():
            warned.add(name)
            causes = " and ".join(f"{other}={short_repr(getattr(settings, other))}" for other in rule.disabled_by)
            warnings.warn(
                f"{name}={short_repr(value)} has no effect with {causes}: {rule.fix}, or leave {name} at {default!r}."
            )


def warn_about_unused_sampling(options):
    """Warn about each of the sampling options that ``predict(X)`` of a regressor ignores."""
    defaults = options._field_defaults
    if all(map(is_, options, defaults.values())):  # the common case, kept fast for single rows
        return
    for value, (name, default) in zip(options, defaults.items(), strict=True):
        if name != "n_jobs" and value is not default and not all_equal(value, default):
            warnings.warn(f"{name}={short_repr(value)} has no effect without return_std=True.")


def all_equal(value, other):
    """Return whether a value, or every item of a sequence, equals `other`."""
    return bool(np.all(np.asarray(value, dtype=object) == other))

"""What the parameters may be; from the user's architecture and dropout arguments to one plain record a layer."""

from collections.abc import Set
from contextlib import suppress
from numbers import Integral, Real

import numpy as np

from ._sklearn import Interval, InvalidParameterError, Options, StrOptions
from .engine.activations import ACTIVATIONS
from .engine.dropout import DROPOUTS
from .engine.layers import LayerSpec
from .engine.losses import LOSSES
from .engine.optimizers import OPTIMIZERS
from .engine.schedules import DROPOUT_SCHEDULES, LEARNING_RATES


class Names(Set):
    """A live view of the names in a table of the engine, to which users may add some.

    Parameters
    ----------
    table : dict
    keep : callable, default=None
        Function of a row that says whether to include its name; None for all.
    more : tuple of str, default=()
        Additional names that are not in the table.
    """

    def __init__(self, table, keep=None, more=()):
        self.table, self.keep, self.more = table, keep, more

    def __iter__(self):
        yield from (name for name, row in self.table.items() if self.keep is None or self.keep(row))
        yield from self.more

    def __contains__(self, name):
        return name in set(self)

    def __len__(self):
        return len(set(self))

    @classmethod
    def _from_iterable(cls, names):  # what set operations return
        return set(names)


# What each parameter may be by itself; fit checks it, and then how the arguments go together.
CONSTRAINTS: dict = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(Names(ACTIVATIONS)), list, tuple],
    "solver": [StrOptions(Names(OPTIMIZERS, more=("lbfgs",)))],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions(Names(LEARNING_RATES))],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "input_dropout": [Interval(Real, 0, 1, closed="left")],
    "dropout_kind": [StrOptions(Names(DROPOUTS)), list, tuple],
    "group_size": [Interval(Integral, 1, None, closed="left"), "array-like"],
    "input_groups": ["array-like", None],
    "dropout_schedule": [StrOptions(Names(DROPOUT_SCHEDULES)), callable],
    "batch_norm": [StrOptions({"before_activation", "after_activation", "after_dropout"}), Options(bool, {False})],
    "max_norm": [Interval(Real, 0, None, closed="neither"), None],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "mask_sharing": [StrOptions({"sample", "batch"})],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "warmup_fraction": [Interval(Real, 0, 1, closed="left")],
    "scoring": [str, callable, None],
    "dtype": [StrOptions({"float32", "float64"}), Options(type, {np.float32, np.float64}), None],
}
REGRESSION_LOSSES = StrOptions(Names(LOSSES, keep=lambda row: not row.for_classifier))


DROPPED = {"dropout", "input_dropout"}
PERCENT = {"l1_ratio", "label_smoothing", "quantile", "validation_fraction", "warmup_fraction", *DROPPED}


def as_constrained(params):
    """The parameters in the form that the constraints expect: a Python bool, and the name of a dtype."""
    params = dict(params)
    if isinstance(params.get("batch_norm"), np.bool_):  # a subclass may lack it
        params["batch_norm"] = bool(params["batch_norm"])
    if isinstance(params.get("dtype"), str | type | np.dtype):
        with suppress(TypeError, ValueError, SyntaxError):  # np.dtype raises these for invalid values
            name = np.dtype(params["dtype"]).name
            params["dtype"] = name if name in {"float32", "float64"} else params["dtype"]
    return params


def with_way_out(message, params):
    """scikit-learn's message about a parameter, with a suggestion of what the user probably meant."""
    loss = params.get("loss", "")
    with suppress(InvalidParameterError, ValueError):  # if loss does not hold layer sizes
        if not isinstance(loss, str) and hidden_sizes(loss):
            return f"{message} The first argument is loss, as in scikit-learn: write hidden_layer_sizes={loss!r}."
    name = next((name for name in PERCENT if message.startswith(f"The {name!r} ")), None)
    return message.removesuffix(".") + (suggestion(name, params.get(name)) or ".")


def suggestion(name, value):
    """What was probably meant by a number that is not a fraction; empty if there is no suggestion."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return ""
    if value == 1 and name in DROPPED:
        return ": a rate of 1 drops every unit."
    return f": did you mean {float(value) / 100:g}?" if 2 <= value < 100 else ""


def check_floats(estimator):
    """Raise an error for a real-valued parameter that no float can hold, such as 10**400."""
    for name, constraints in estimator._parameter_constraints.items():
        value = getattr(estimator, name)
        real = any(isinstance(constraint, Interval) and constraint.type is Real for constraint in constraints)
        if real and isinstance(value, Real):
            try:
                float(value)
            except OverflowError as error:
                raise InvalidParameterError(f"{name} is beyond the range of floats, give a smaller one.") from error


def hidden_sizes(hidden_layer_sizes):
    """The widths of the hidden layers as a tuple of int; an int is one layer."""
    sizes = np.asarray(hidden_layer_sizes, dtype=object)
    sizes = sizes.reshape(1) if sizes.ndim == 0 else sizes
    whole = all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes.flat)
    if sizes.ndim != 1 or not whole:
        raise InvalidParameterError(
            "hidden_layer_sizes must be an int or a 1-D sequence of ints, one per hidden layer, "
            f"got {hidden_layer_sizes!r}."
        )
    if any(size <= 0 for size in sizes):
        raise InvalidParameterError(f"hidden_layer_sizes must be > 0, got {sizes.tolist()}.")
    return tuple(int(size) for size in sizes)


def dropout_rates(dropout, input_dropout, n_hidden):
    """The rate on the input of every layer: ``(input_dropout, *dropout)``."""
    rates = np.asarray(dropout, dtype=object)
    if rates.ndim == 0:
        rates = np.full(n_hidden, _rate("dropout", dropout), dtype=object)
    elif rates.ndim > 1:
        raise InvalidParameterError(
            "dropout must be one rate, or a 1-D sequence with one rate per hidden layer, "
            f"got an array of shape {rates.shape}."
        )
    elif len(rates) != n_hidden:
        raise InvalidParameterError(
            f"dropout has {len(rates)} rate(s) but hidden_layer_sizes has {n_hidden} hidden layer(s): "
            f"give one rate per hidden layer, or a single float for all of them (got dropout={dropout!r})."
        )
    return (_rate("input_dropout", input_dropout), *(_rate("dropout", rate) for rate in rates))


def _rate(name, rate):
    """`rate` as a float, if it is the probability of dropping something."""
    if isinstance(rate, np.ndarray) and rate.ndim == 0:
        rate = rate.item()
    if isinstance(rate, bool) or not isinstance(rate, Real) or not 0 <= rate < 1:
        raise InvalidParameterError(
            f"A rate in {name} must be a float in the range [0.0, 1.0), the probability of dropping a unit, "
            f"got {rate!r}{suggestion(name, rate) or '.'}"
        )
    return float(rate)


def names_per_layer(parameter, value, allowed, n_hidden):
    """One name per hidden layer, from one name or from a sequence of them."""
    names = [value] * n_hidden if isinstance(value, str) else list(value)
    if len(names) != n_hidden:
        raise InvalidParameterError(
            f"{parameter} has {len(names)} name(s) but hidden_layer_sizes has {n_hidden} hidden layer(s): "
            f"give one name per hidden layer, or a single one for all of them (got {parameter}={value!r})."
        )
    for name in names:
        if not isinstance(name, str) or name not in allowed:
            raise InvalidParameterError(f"A name in {parameter} must be one of {sorted(allowed)}, got {name!r}.")
    return tuple(names)


def unit_groups(sizes, group_size, kinds):
    """The group of each unit of each hidden layer, runs of `group_size` units; None if the kind has no groups."""
    steps = np.asarray(group_size, dtype=object)
    steps = np.full(len(sizes), group_size, dtype=object) if steps.ndim == 0 else steps
    if steps.ndim != 1 or len(steps) != len(sizes):
        raise InvalidParameterError(
            f"group_size has {len(steps)} size(s) but hidden_layer_sizes has {len(sizes)} hidden layer(s): "
            f"give one size per hidden layer, or a single int for all of them (got group_size={group_size!r})."
        )
    steps = [step if DROPOUTS[kind].uses_groups else 1 for step, kind in zip(steps, kinds, strict=True)]
    for step, size in zip(steps, sizes, strict=True):
        if isinstance(step, bool) or not isinstance(step, Integral) or step < 1:
            raise InvalidParameterError(f"A size in group_size must be an int >= 1, got {step!r}.")
        if size % step:
            raise InvalidParameterError(
                f"group_size={step} does not divide a hidden layer of {size} units into whole groups."
            )
    return [None if step == 1 else np.arange(size) // int(step) for step, size in zip(steps, sizes, strict=True)]


def column_groups(input_groups, n_features):
    """The group of each input column, from one label a column; None stays None."""
    if input_groups is None:
        return None
    labels = np.asarray(input_groups, dtype=object)
    if labels.shape != (n_features,):
        raise InvalidParameterError(
            f"input_groups must have one label per feature: got shape {labels.shape}, X has {n_features} features."
        )
    try:
        codes = {label: code for code, label in enumerate(dict.fromkeys(labels.tolist()))}
    except TypeError as error:
        raise InvalidParameterError(f"A label in input_groups must be a str, an int or the like: {error}.") from error
    if any(isinstance(label, Real) and label != label for label in codes):
        raise InvalidParameterError("A label in input_groups is nan: give every column a group, if only of its own.")
    return np.array([codes[label] for label in labels.tolist()])


def layer_specs(sizes, n_outputs, activations, rates, kinds, groups):
    """One record per layer, output last; a layer's dropout acts on its input."""
    widths, activations = (*sizes, n_outputs), (*activations, "identity")
    return [LayerSpec(*record) for record in zip(widths, activations, kinds, rates, groups, strict=True)]


def rate_settings(params):
    """The settings for which a current learning rate is valid: with other settings it starts from its initial value."""
    return str(params["solver"]), str(params["learning_rate"]), float(params["learning_rate_init"])

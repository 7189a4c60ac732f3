"""Parameter constraints, and conversion of the architecture and dropout parameters to layer specifications."""

from collections.abc import Set
from contextlib import suppress
from numbers import Integral, Real

import numpy as np

from .._sklearn import Interval, InvalidParameterError, Options, StrOptions
from ..engine.activations import ACTIVATIONS
from ..engine.dropout import DROPOUTS
from ..engine.layers import LayerSpec
from ..engine.losses import LOSSES
from ..engine.optimizers import OPTIMIZERS
from ..engine.schedules import DROPOUT_SCHEDULES, LEARNING_RATES


class RegisteredNames(Set):
    """Live view of the names in a table of the engine, including names that users register.

    Parameters
    ----------
    table : dict
    condition : callable, default=None
        Predicate that selects entries of the table; None for all.
    extra : tuple of str, default=()
        Additional names that are not in the table.
    """

    def __init__(self, table, condition=None, extra=()):
        self.table, self.condition, self.extra = table, condition, extra

    def __iter__(self):
        yield from (name for name, entry in self.table.items() if self.condition is None or self.condition(entry))
        yield from self.extra

    def __contains__(self, name):
        return name in set(self)

    def __len__(self):
        return len(set(self))

    @classmethod
    def _from_iterable(cls, names):  # used by set operations
        return set(names)


# Constraints on individual parameters. fit checks these first, then combinations of parameters.
CONSTRAINTS: dict = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(RegisteredNames(ACTIVATIONS)), list, tuple],
    "solver": [StrOptions(RegisteredNames(OPTIMIZERS, extra=("lbfgs",)))],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions(RegisteredNames(LEARNING_RATES))],
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
    "dropout_kind": [StrOptions(RegisteredNames(DROPOUTS)), list, tuple],
    "group_size": [Interval(Integral, 1, None, closed="left"), "array-like"],
    "input_groups": ["array-like", None],
    "dropout_schedule": [StrOptions(RegisteredNames(DROPOUT_SCHEDULES)), callable],
    "batch_norm": [StrOptions({"before_activation", "after_activation", "after_dropout"}), Options(bool, {False})],
    "max_norm": [Interval(Real, 0, None, closed="neither"), None],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "mask_sharing": [StrOptions({"sample", "batch"})],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "warmup_fraction": [Interval(Real, 0, 1, closed="left")],
    "scoring": [str, callable, None],
    "dtype": [StrOptions({"float32", "float64"}), Options(type, {np.float32, np.float64}), None],
}
REGRESSION_LOSSES = StrOptions(RegisteredNames(LOSSES, condition=lambda loss: not loss.for_classifier))


RATE_PARAMETERS = {"dropout", "input_dropout"}
FRACTION_PARAMETERS = RATE_PARAMETERS | {
    "l1_ratio",
    "label_smoothing",
    "quantile",
    "validation_fraction",
    "warmup_fraction",
}


def normalize_params(params):
    """Return the parameters as the constraints expect them: `batch_norm` as a Python bool, `dtype` by name."""
    params = dict(params)
    if isinstance(params.get("batch_norm"), np.bool_):  # a subclass may lack it
        params["batch_norm"] = bool(params["batch_norm"])
    if isinstance(params.get("dtype"), str | type | np.dtype):
        with suppress(TypeError, ValueError, SyntaxError):  # raised by np.dtype for invalid values
            name = np.dtype(params["dtype"]).name
            params["dtype"] = name if name in {"float32", "float64"} else params["dtype"]
    return params


def add_suggestion(message, params):
    """Append a suggestion to scikit-learn's message about an invalid parameter."""
    loss = params.get("loss", "")
    with suppress(InvalidParameterError, ValueError):  # loss is not a valid hidden_layer_sizes
        if not isinstance(loss, str) and hidden_sizes(loss):
            return f"{message} The first argument is loss, as in scikit-learn: write hidden_layer_sizes={loss!r}."
    name = next((name for name in FRACTION_PARAMETERS if message.startswith(f"The {name!r} ")), None)
    return message.removesuffix(".") + (suggestion(name, params.get(name)) or ".")


def suggestion(name, value):
    """Return a hint for an invalid fraction or rate, or an empty string."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return ""
    if value == 1 and name in RATE_PARAMETERS:
        return ": a rate of 1 drops every unit."
    return f": did you mean {float(value) / 100:g}?" if 2 <= value < 100 else ""


def check_floats(settings, constraints):
    """Raise an error for a real-valued parameter beyond the range of floats, such as 10**400."""
    for name, allowed in constraints.items():
        value = getattr(settings, name)
        real = any(isinstance(constraint, Interval) and constraint.type is Real for constraint in allowed)
        if real and isinstance(value, Real):
            try:
                float(value)
            except OverflowError as error:
                raise InvalidParameterError(f"{name} is beyond the range of floats, use a smaller value.") from error


def hidden_sizes(hidden_layer_sizes):
    """Return the widths of the hidden layers as a tuple of int; an int is one layer."""
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
    """Return the dropout rate on the input of each layer: ``(input_dropout, *dropout)``."""
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
    """Return `rate` as a float, after checking that it is in [0, 1)."""
    if isinstance(rate, np.ndarray) and rate.ndim == 0:
        rate = rate.item()
    if isinstance(rate, bool) or not isinstance(rate, Real) or not 0 <= rate < 1:
        raise InvalidParameterError(
            f"A rate in {name} must be a float in the range [0.0, 1.0), the probability of dropping a unit, "
            f"got {rate!r}{suggestion(name, rate) or '.'}"
        )
    return float(rate)


def names_per_layer(parameter, value, allowed, n_hidden):
    """Return one name per hidden layer, from one name or a sequence of names."""
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
    """Return the group of each unit per hidden layer: `group_size` adjacent units, or None for no groups."""
    group_sizes = np.asarray(group_size, dtype=object)
    group_sizes = np.full(len(sizes), group_size, dtype=object) if group_sizes.ndim == 0 else group_sizes
    if group_sizes.ndim != 1 or len(group_sizes) != len(sizes):
        raise InvalidParameterError(
            f"group_size has {len(group_sizes)} size(s) but hidden_layer_sizes has {len(sizes)} hidden layer(s): "
            f"give one size per hidden layer, or a single int for all of them (got group_size={group_size!r})."
        )
    group_sizes = [n if DROPOUTS[kind].uses_groups else 1 for n, kind in zip(group_sizes, kinds, strict=True)]
    for n, size in zip(group_sizes, sizes, strict=True):
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
            raise InvalidParameterError(f"A size in group_size must be an int >= 1, got {n!r}.")
        if size % n:
            raise InvalidParameterError(
                f"group_size={n} does not divide a hidden layer of {size} units into whole groups."
            )
    return [None if n == 1 else np.arange(size) // int(n) for n, size in zip(group_sizes, sizes, strict=True)]


def column_groups(input_groups, n_features):
    """Return the group of each input column, from one label per column, or None."""
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
        raise InvalidParameterError(
            "A label in input_groups is nan: give every column a group, even one with no other column."
        )
    return np.array([codes[label] for label in labels.tolist()])


def layer_specs(sizes, n_columns, activations, rates, kinds, groups):
    """Return one ``LayerSpec`` per layer, the output layer last. The dropout of a layer acts on its input."""
    widths, activations = (*sizes, n_columns), (*activations, "identity")
    return [LayerSpec(*record) for record in zip(widths, activations, kinds, rates, groups, strict=True)]


def learning_rate_settings(params):
    """Return the settings that a current learning rate belongs to. If they change, it restarts at its initial value."""
    return str(params["solver"]), str(params["learning_rate"]), float(params["learning_rate_init"])

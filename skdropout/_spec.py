"""What the parameters may be; from the user's architecture and dropout arguments to one plain record a layer."""

from numbers import Integral, Real

import numpy as np
from sklearn.metrics import get_scorer_names

from ._sklearn import Interval, InvalidParameterError, Options, StrOptions
from .engine.activations import ACTIVATIONS
from .engine.layers import LayerSpec
from .engine.optimizers import OPTIMIZERS
from .engine.schedules import LEARNING_RATES

# What each parameter may be by itself; fit checks it, and then how the arguments go together.
CONSTRAINTS: dict = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "solver": [StrOptions({"lbfgs", *OPTIMIZERS})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions(set(LEARNING_RATES))],
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
    "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
    "dtype": [StrOptions({"float32", "float64"}), None],
}


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
            f"got {rate!r}."
        )
    return float(rate)


def layer_specs(sizes, n_outputs, activation, rates):
    """One record per layer, output last; a layer's dropout acts on its input."""
    hidden = [LayerSpec(size, activation, rate=rate) for size, rate in zip(sizes, rates, strict=False)]
    return [*hidden, LayerSpec(n_outputs, "identity", rate=rates[-1])]

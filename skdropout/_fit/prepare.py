"""Preparation of a fit: turns the estimator, its arguments and the data into a plan."""

import copy
import warnings
from functools import partial
from numbers import Integral
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier, is_regressor
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_random_state

from .._fitted import NO_BATCH_NORM, Unfolded
from .._sklearn import InvalidParameterError
from .._validation import check_target_scale
from .._weights import checked_weights, unfold_weights
from ..engine.activations import ACTIVATIONS, REAL_OUTPUTS, columns_per_output
from ..engine.dropout import DROPOUTS
from ..engine.dropout.base import is_multiplicative
from ..engine.initializers import initialize
from ..engine.losses import LOSSES
from ..engine.optimizers import OPTIMIZERS
from ..engine.params import Params
from ..engine.rng import mask_stream, resume_stream
from .checks import check_standardized
from .data import explain_overflow, split_validation
from .parameters import (
    check_floats,
    column_groups,
    dropout_rates,
    hidden_sizes,
    layer_specs,
    learning_rate_settings,
    names_per_layer,
    unit_groups,
)
from .plan import Model, Plan
from .scaling import column_exponents, target_scale


def prepare(estimator, X, y, sample_weight=None, validation=(None, None, None), *, incremental=False, classes=None):
    """Validate all arguments and return the plan of the training.

    This is the only function of ``_fit`` that accesses the estimator. It sets the attributes that describe the network,
    such as ``classes_`` and ``n_layers_``, and deletes the history of the previous training.

    Parameters
    ----------
    estimator : BaseDropoutMLP
    X, y, sample_weight : array-like
        The training rows.
    validation : (X_val, y_val, sample_weight_val)
    incremental : bool
        Whether this is a call of ``partial_fit``.
    classes : array-like or None
        All class labels, in the first ``partial_fit`` of a classifier.
    """
    if incremental:
        estimator._validate_params()  # fit_context skips it for a fitted estimator, but set_params may have been called
    # all classes, because a subclass that fixes a parameter may have removed its constraint
    names = {name for cls in type(estimator).__mro__ for name in vars(cls).get("_parameter_constraints", ())}
    settings = SimpleNamespace(**{name: getattr(estimator, name) for name in names if hasattr(estimator, name)})
    check_floats(settings, estimator._parameter_constraints)
    architecture = read_architecture(settings)
    check_combinations(settings, architecture, validation, incremental)
    fresh = not hasattr(estimator, "coefs_") or not (settings.warm_start or incremental)
    if fresh:
        estimator._reset()
    previous = {name: getattr(estimator, name) for name in estimator._fitted_names()}

    with explain_overflow():
        X, y = estimator._validate_xy(X, y, reset=fresh)
    weights = None if fresh else checked_weights(estimator)
    dtype = compute_dtype(settings.dtype, X) if fresh else weights[0][0].dtype
    estimator._check_columns(X, dtype)
    estimator._learn_targets(y, fresh, incremental, classes)
    rows = estimator._make_rows(X, y, sample_weight, dtype)
    output = LOSSES[estimator._loss_name()].output
    if output == "gaussian" and (fresh or not incremental):
        check_standardized(rows.Y, rows.sample_weight, settings.loss, complete=not incremental)
    held_out = None
    if validation[0] is not None:
        held_out = estimator._make_validation_rows(*validation, dtype)
        if held_out.Y.shape[1:] != rows.Y.shape[1:]:
            raise ValueError(f"`y_val` has {held_out.Y.shape[1]} output(s), but `y` has {rows.Y.shape[1]}.")
        if settings.solver != "lbfgs" and is_regressor(estimator):
            check_target_scale(rows.Y, held_out.Y)

    n_outputs = rows.Y.shape[1] if rows.Y.ndim == 2 else len(estimator.classes_)  # a 1-D Y contains class codes
    n_columns = columns_per_output(output)
    if not fresh and n_columns != (n_fitted := columns_per_output(previous["out_activation_"])):
        raise ValueError(
            f"loss={settings.loss!r} needs {n_columns} column(s) of weights for each output, but the fitted network "
            f"has {n_fitted}. Set warm_start=False and call fit to start from scratch."
        )
    specs = network_specs(settings, architecture, X, n_outputs * n_columns)
    fingerprint, saved = estimator._find_checkpoint(rows, held_out, previous, incremental)
    has_noise = any(architecture.rates)
    random_state, masks = random_streams(settings, previous, saved, fresh, incremental, has_noise)
    initial_random_state = None if fingerprint is None else random_state.get_state()
    unfold = partial(unfold_weights, estimator)
    model = initial_model(settings, specs, X.shape[1], dtype, random_state, previous, weights, unfold)
    estimator._describe_network(specs, settings.dropout_schedule, incremental)

    train = np.arange(X.shape[0])
    if settings.solver != "lbfgs":
        if settings.early_stopping and held_out is None:
            stratify = is_classifier(estimator) and n_outputs == 1
            known = validation_mask(previous)
            train, held_out, mask = split_validation(rows, settings.validation_fraction, stratify, random_state, known)
            estimator._validation_mask = len(mask), np.packbits(mask)
        continues = incremental and type(previous.get("_optimizer")) is OPTIMIZERS[settings.solver]
        exponents = previous.get("_input_exponents") if continues else None
        if has_noise and not continues:
            exponents = input_exponents(specs[0], rows, train, dtype, estimator.out_activation_)
        model = scale_inputs(model, exponents, fresh)
        estimator._input_exponents = exponents
        estimator._rate_settings = learning_rate_settings(vars(settings))
    return Plan(
        settings=settings,
        model=model,
        rows=rows,
        train=train,
        held_out=held_out,
        random_state=random_state,
        masks=masks,
        fresh=fresh,
        incremental=incremental,
        previous=previous,
        rates=architecture.rates,
        initial_rates=previous.get("dropout_", architecture.rates),
        loss=estimator._loss_name(),
        loss_options=estimator._loss_options(),
        scoring=estimator._monitored_score(),
        monitors_loss=estimator._monitors_loss(),
        feature_names=getattr(estimator, "feature_names_in_", None),
        fingerprint=fingerprint,
        initial_random_state=initial_random_state,
        resume_from=saved,
    )


class Architecture(NamedTuple):
    """The parameters of the hidden layers, one item per layer."""

    sizes: tuple[int, ...]
    rates: tuple[float, ...]  # of the dropout on the input of each layer, output layer last
    activations: tuple[str, ...]
    kinds: tuple[str, ...]  # of the dropout on the output of each hidden layer


def read_architecture(settings):
    """Convert the parameters of the layers to one item per layer."""
    sizes = hidden_sizes(settings.hidden_layer_sizes)
    rates = dropout_rates(settings.dropout, settings.input_dropout, len(sizes))
    activations = names_per_layer("activation", settings.activation, ACTIVATIONS, len(sizes))
    kinds = names_per_layer("dropout_kind", settings.dropout_kind, DROPOUTS, len(sizes))
    return Architecture(sizes, rates, activations, kinds)


def network_specs(settings, architecture, X, n_columns):
    """Return the specification of each layer, output layer last."""
    sizes, rates, activations, kinds = architecture
    columns = column_groups(settings.input_groups, X.shape[1])
    first = input_kind(settings, columns, rates[0], issparse(X))
    groups = columns, *unit_groups(sizes, settings.group_size, kinds)
    return layer_specs(sizes, n_columns, activations, rates, (first, *kinds), groups)


def check_combinations(settings, architecture, validation, incremental):
    """Raise an error for arguments that are valid individually but not in combination."""
    if settings.solver == "lbfgs":
        check_lbfgs(settings, architecture.rates, validation)
    if settings.solver == "adamw" and settings.l1_ratio > 0:
        raise ValueError(f"solver='adamw' already decays the weights: set l1_ratio=0, got {settings.l1_ratio!r}.")
    if isinstance(settings.scoring, str) and settings.scoring not in {"loss", *get_scorer_names()}:
        raise InvalidParameterError(
            "scoring must be 'loss', a name in sklearn.metrics.get_scorer_names(), a callable or None, "
            f"got {settings.scoring!r}."
        )
    if getattr(settings, "noise_variance", None) is not None and LOSSES[settings.loss].output == "gaussian":
        raise ValueError(
            f"loss={settings.loss!r} learns the noise variance of each row: set noise_variance=None, got "
            f"{settings.noise_variance!r}, or use another loss."
        )
    if settings.early_stopping and incremental:
        raise ValueError("partial_fit does not support early_stopping=True. Set early_stopping=False.")
    if any(part is not None for part in validation):
        for name, part in zip(("X_val", "y_val"), validation[:2], strict=True):
            if part is None:
                raise ValueError(f"Validation data need both X_val and y_val, but {name} is None.")
    layers = zip(architecture.rates[1:], architecture.kinds, architecture.activations, strict=True)
    unsuited = {name for rate, kind, name in layers if rate > 0 and kind == "alpha" and name != "selu"}
    if unsuited:
        warnings.warn(
            "dropout_kind='alpha' preserves the mean and variance of selu units, but here it follows "
            f"{sorted(unsuited)}: set activation='selu', or another dropout_kind."
        )


def check_lbfgs(settings, rates, validation):
    """Raise an error for parameters that L-BFGS does not support."""
    if any(rates):
        raise ValueError(
            "solver='lbfgs' cannot train with dropout: its line search needs a deterministic loss, and "
            f"dropout={settings.dropout!r}, input_dropout={settings.input_dropout!r} make it random. "
            "Set both to 0, or use solver='adam' or 'sgd'."
        )
    for name, default in {"batch_norm": False, "max_norm": None, "clip_norm": None, "l1_ratio": 0}.items():
        value = getattr(settings, name)
        if value != default:
            raise ValueError(
                f"solver='lbfgs' does not support {name}: set {name}={default!r}, got {value!r}, "
                "or use solver='adam' or 'sgd'."
            )
    loss = getattr(settings, "loss", None)
    if loss in LOSSES and not LOSSES[loss].smooth:
        raise ValueError(
            f"solver='lbfgs' needs a smooth loss and its exact gradient, not loss={loss!r}: use solver='adam' or 'sgd'."
        )
    if settings.early_stopping or validation[0] is not None:
        warnings.warn(
            "solver='lbfgs' does not use validation data: early_stopping and X_val have no effect on the training."
        )


def compute_dtype(dtype, X):
    """Return the dtype of new weights: `dtype` if given, else float32 if X has this dtype, else float64."""
    if dtype is not None:
        return np.dtype(dtype).newbyteorder("=")
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


def input_kind(settings, columns, rate, is_sparse):
    """Return the kind of dropout on the input."""
    kind = settings.dropout_kind if isinstance(settings.dropout_kind, str) else "bernoulli"
    if columns is not None and not DROPOUTS[kind].uses_groups:
        kind = "spatial"
    if not DROPOUTS[kind].takes_sparse and rate > 0 and is_sparse:
        raise ValueError(
            f"dropout_kind={kind!r} with input_dropout > 0 would make a sparse X dense: set input_dropout=0, pass "
            "one kind per hidden layer (the input then gets 'bernoulli'), or make X dense."
        )
    return kind


def random_streams(settings, previous, saved, fresh, incremental, noise):
    """Return the random state for weights and rows, and the mask stream or None.

    An integer seed restarts the random state in each ``fit``; ``partial_fit`` continues it. The mask stream continues
    whenever training continues from existing weights.
    """
    seed = settings.random_state
    if saved is not None and seed is None:  # as in the interrupted fit
        random_state = np.random.RandomState()
        random_state.set_state(saved.state["initial_random_state"])
    elif incremental and not fresh and isinstance(seed, Integral) and "_random_state" in previous:
        random_state = copy.deepcopy(previous["_random_state"])
    else:
        random_state = check_random_state(seed)
    if not noise:
        return random_state, None
    if "_mask_state" in previous:
        return random_state, resume_stream(previous["_mask_state"])
    return random_state, mask_stream(random_state)


def validation_mask(fitted):
    """Return the mask of the validation set of the last fit with early stopping, given its attributes, or None."""
    n_rows, bits = fitted.get("_validation_mask", (0, None))
    return np.unpackbits(bits, count=n_rows).astype(bool) if n_rows else None


def initial_model(settings, specs, n_features, dtype, random_state, previous, weights, unfold):
    """Return the model to train, with new weights if `weights` is None, else with a copy of `weights`.

    ``unfold(*weights)`` returns the parameters before folding in batch normalization.
    """
    units = n_features, *(spec.units for spec in specs)
    initial = Params(units, dtype, normed=bool(settings.batch_norm))
    moments = [(np.zeros(n, dtype), np.ones(n, dtype), np.zeros(())) for n in units[1:-1] if settings.batch_norm]
    if weights is None or (settings.early_stopping and isinstance(settings.random_state, Integral)):
        # existing weights: draw the same random numbers as the first fit, so that the split selects the same rows
        hidden_activations = [spec.activation for spec in specs[:-1]]
        output_activation = hidden_activations[-1] if hidden_activations else output_init_activation(settings)
        initialize(initial, [*hidden_activations, output_activation], random_state)
    if weights is None:
        return Model(initial, moments, specs, settings.batch_norm)
    batch_norm = Unfolded(*previous.get("_unfolded", NO_BATCH_NORM)).batch_norm
    if batch_norm != settings.batch_norm:
        raise ValueError(
            f"The fitted network has batch_norm={batch_norm!r}, but it is now {settings.batch_norm!r}. "
            "Set warm_start=False and call fit to start from scratch."
        )
    params = Params.pack(*weights, dtype)
    if params.units != units:
        raise ValueError(
            f"The fitted network has layers of {params.units} units, including inputs and outputs, but "
            f"hidden_layer_sizes and y now require {units}. Set warm_start=False and call fit to start from scratch."
        )
    if not batch_norm:
        return Model(params, moments, specs)
    params, moments, assigned = unfold(*weights)
    return Model(params, moments, specs, settings.batch_norm, assigned=assigned)


def output_init_activation(settings):
    """Return the activation that determines the initial weights of a network without hidden layers."""
    return settings.activation if isinstance(settings.activation, str) else "identity"


def input_exponents(first, rows, train, dtype, output):
    """Return exponents k by which to scale the columns, X_j / 2^k_j, or None; `first` is the first layer."""
    if first.rate > 0 and not is_multiplicative(DROPOUTS[first.dropout]):
        return None  # the noise does not commute with the scaling, and sampling would need it too
    scale = target_scale(rows.Y, rows.sample_weight, train) if output in REAL_OUTPUTS else 1.0
    return column_exponents(rows, train, scale, dtype)


def scale_inputs(model, exponents, fresh):
    """Return the model for scaled inputs. New weights stay: they are initialized for columns of moderate size."""
    if exponents is not None and not fresh:
        W = model.params.coefs[0]
        np.ldexp(W, exponents[:, np.newaxis], out=W)
    return model._replace(input_exponents=exponents)

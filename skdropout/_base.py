"""What the classifier and the regressor share: validation, fit, early stopping."""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import partial
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, is_regressor
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from ._callbacks import Tasks
from ._checkpoint import Checkpoint, be_done, done, marks
from ._errstate import ignore_float_errors
from ._lbfgs import minimize
from ._magnitudes import check_columns, check_targets, check_weights, largest_column, suggest_fixes
from ._persistence import PersistenceMixin
from ._rows import (
    Rows,
    as_numeric,
    canonical_csr,
    check_dtype_kinds,
    explain_overflow,
    fast_path_array,
    validate_sample_weight,
)
from ._sklearn import (
    CallbackSupportMixin,
    InvalidParameterError,
    fit_context,
    validate_parameter_constraints,
    with_callbacks,
)
from ._snapshot import from_snapshot
from ._spec import (
    CONSTRAINTS,
    add_suggestion,
    check_floats,
    column_groups,
    dropout_rates,
    hidden_sizes,
    layer_specs,
    names_per_layer,
    normalize_params,
    unit_groups,
)
from ._training import BOOKS, STOCHASTIC, Model, Start, Training
from ._typing import FloatArray, MatrixLike
from ._uncertainty import MonteCarloMixin
from ._validation import check_target_scale
from ._weights import FLOATS, unfolded, weights_of
from ._without_effect import warn_about_unused_parameters
from .engine.activations import ACTIVATIONS
from .engine.dropout import DROPOUTS
from .engine.initializers import initialize
from .engine.layers import fold
from .engine.losses import LOSSES
from .engine.network import Network
from .engine.params import Params
from .engine.rng import mask_stream, resume_stream

PRIVATE_STATE = {
    "_activations",
    "_input_exponents",
    "_in_stream",  # whether the last call was partial_fit
    "_label_binarizer",
    "_learning_rate",
    "_mask_state",
    "_no_improvement_count",
    "_noise",
    "_optimizer",
    "_random_state",
    "_rate_settings",
    "_unfolded",
    "_validation_mask",
}
WEIGHTS = {  # what predicts, of the fitted state
    "coefs_",
    "intercepts_",
    "batch_norm_scale_",
    "batch_norm_shift_",
    "batch_norm_mean_",
    "batch_norm_var_",
    "_unfolded",
    "dropout_",
    "noise_variance_",
}


class BaseDropoutMLP(MonteCarloMixin, PersistenceMixin, CallbackSupportMixin, BaseEstimator, ABC):
    """Base class of the multi-layer perceptrons with dropout.

    A subclass says what its targets are: ``_encode``, ``_decode``, ``_loss_name``, ``_default_score`` and more.
    """

    _doc_link_module = "skdropout"
    _doc_link_template = "https://skdropout.readthedocs.io/en/stable/api/{estimator_module}.{estimator_name}.html"

    _parameter_constraints: dict[str, list[Any]] = CONSTRAINTS

    # What fit leaves
    coefs_: list[FloatArray]
    intercepts_: list[FloatArray]
    dropout_: tuple[float, ...]
    dropout_curve_: list[tuple[float, ...]]
    batch_norm_scale_: list[FloatArray]
    batch_norm_shift_: list[FloatArray]
    batch_norm_mean_: list[FloatArray]
    batch_norm_var_: list[FloatArray]
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None
    n_iter_: int
    t_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    @abstractmethod
    def _learn_labels(self, y, fresh, incremental, classes):
        """Take note of the labels in y, or check them against those known."""

    @abstractmethod
    def _encode(self, y, name):
        """The targets of the loss from y, which errors call `name`."""

    @abstractmethod
    def _decode(self, P):
        """The output of the network as what ``predict`` returns."""

    @abstractmethod
    def _loss_name(self):
        """The engine's name of the loss."""

    @abstractmethod
    def _loss_options(self):
        """Its options."""

    @abstractmethod
    def _default_score(self, y, y_pred, sample_weight):
        """What early stopping watches unless ``scoring`` says otherwise."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Fit the network to data X and targets y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. Any numeric dtype: batches are cast one at a time.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target values: class labels in classification, real numbers in regression.

        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative sample weights; equal weights when None.

        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation data. With ``early_stopping=True`` it replaces the rows that ``validation_fraction``
            would set aside; without, validation score and loss are recorded and nothing is stopped.
            In a :class:`~sklearn.pipeline.Pipeline` ``step__X_val`` would reach this method untransformed: use
            ``set_config(enable_metadata_routing=True)``, ``set_fit_request(X_val=True, y_val=True)`` on this
            estimator, and ``Pipeline(..., transform_input=["X_val"])``.

        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Targets of `X_val`.

        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of `X_val`.

        Returns
        -------
        self : object
            The fitted estimator. Ctrl-C ends the training with a warning and keeps what was learnt so far.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, or if training diverges, which is seen at the batch it happens: the
            message names it and what to change. The estimator, and a `random_state` that is an instance, are then as
            they were.

        Warns
        -----
        UserWarning
            If a column of X, which is named, is so large that its squares overflow in float32, or that float32 cannot
            tell its values apart. If `y_val` of a regressor does not seem to be on the scale of `y`. If a parameter
            that scikit-learn's MLP does not have is set but has no effect because of another one, such as
            `group_size` without ``dropout_kind="spatial"``.
        """
        return self._attempt(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    def _attempt(self, *args, **kwargs):
        """Train a twin and become it in one assignment: a call that fails leaves this estimator as it was."""
        twin, stream = self._twin(), self.random_state
        state = stream.get_state() if isinstance(stream, np.random.RandomState) else None
        try:
            twin._train(*args, **kwargs)
        except BaseException:
            if state is not None:
                stream.set_state(state)
            raise
        self.__dict__ = vars(twin)
        return self

    def set_params(self, **params: Any) -> Self:
        """Set parameters: all of them, or with a name that is unknown, none.

        Parameters
        ----------
        **params : dict
            Values by name.

        Returns
        -------
        self : object
            The estimator. What was fitted stays until the next ``fit``.
        """
        twin = self._twin()
        super(BaseDropoutMLP, twin).set_params(**params)
        self.__dict__ = vars(twin)
        return self

    def _twin(self):
        """A copy that shares everything, the optimizer included."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    @with_callbacks
    @ignore_float_errors()  # an overflow of the loss raises our own error, with a way out
    def _train(self, X, y, sample_weight, validation=(None, None, None), incremental=False, classes=None):
        model, rows, held_out, streams, start = self._prepare(X, y, sample_weight, validation, incremental, classes)
        if start.fresh or not incremental:
            warn_about_unused_parameters(self, model.specs, validated=self.early_stopping or held_out is not None)
        tasks = Tasks(self, X, y, sample_weight, 1 if incremental else self.max_iter, start.saved)
        if start.progress and start.progress.get("done"):
            be_done(self, *start.saved, streams[0])
            tasks.progress = lambda: start.progress
            tasks.end_all()
            return
        if self.solver == "lbfgs":
            minimize(self, model, rows, streams, start, tasks)
        else:
            training = Training(self, model, rows, held_out, streams, start, tasks)
            held_out, model = training.held_out, training.model
            training.run()
            # set only now: copies that callbacks get during training must not share them
            self._optimizer, self._input_exponents = training.optimizer, model.input_exponents
        self._publish(model)
        trained = [model.params.vector, *self.coefs_, *self.intercepts_, *(m for ms in model.moments for m in ms)]
        if not all(np.isfinite(a).all() for a in trained):
            raise self._diverged("The last step overflowed", rows)
        self._settle(rows if held_out is None else held_out, streams)
        if tasks.progress is not None:
            tasks.progress = partial(done, self, start, streams[0])
        tasks.end_all()

    def _prepare(self, X, y, sample_weight, validation=(None, None, None), incremental=False, classes=None):
        """Check all that is given; the model to train, its rows, those held out, the streams, and the start."""
        if incremental:
            self._validate_params()  # fit_context leaves it out once fitted, but set_params may have come between
        check_floats(self)
        sizes = hidden_sizes(self.hidden_layer_sizes)
        rates = dropout_rates(self.dropout, self.input_dropout, len(sizes))
        activations = names_per_layer("activation", self.activation, ACTIVATIONS, len(sizes))
        kinds = names_per_layer("dropout_kind", self.dropout_kind, DROPOUTS, len(sizes))
        self._check_combinations(rates, kinds, activations, validation, incremental)
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        if fresh:
            self._forget()

        with explain_overflow():
            X, y = self._validate_xy(X, y, reset=fresh)
        dtype = self._compute_dtype(X, fresh)
        self._check_columns(X, dtype)
        self._learn_labels(y, fresh, incremental, classes)
        rows = self._rows(X, y, sample_weight, dtype)
        held_out = self._validation_rows(*validation, dtype) if validation[0] is not None else None

        if held_out is not None and held_out.Y.shape[1:] != rows.Y.shape[1:]:
            raise ValueError(f"`y_val` has {held_out.Y.shape[1]} output(s), but `y` has {rows.Y.shape[1]}.")
        if held_out is not None and self.solver != "lbfgs":
            check_target_scale(self, rows.Y, held_out.Y)
        n_outputs = rows.Y.shape[1] if rows.Y.ndim == 2 else len(self.classes_)  # a 1-D Y holds class codes
        noise = self._kinds_and_groups(X, sizes, kinds, rates)
        specs = layer_specs(sizes, n_outputs, activations, rates, *noise)
        signs, saved = self._look_for_checkpoint(rows, held_out, fresh, incremental)
        streams = self._streams(fresh, incremental, noise=any(rates), saved=saved)
        drawn_from = None if signs is None else streams[0].get_state()
        model = self._start_model(specs, X.shape[1], dtype, streams[0], fresh)
        start = Start(
            fresh, incremental, rates if fresh else getattr(self, "dropout_", rates), signs, drawn_from, saved
        )
        self.n_layers_, self.n_outputs_, self.dropout_ = len(specs) + 1, n_outputs, rates
        self.out_activation_ = LOSSES[self._loss_name()].output
        self._activations, self._noise = activations, (*noise, rates, repr(self.dropout_schedule))
        self.t_, self._in_stream = getattr(self, "t_", 0), incremental
        if self.solver == "lbfgs":
            for name in STOCHASTIC & set(vars(self)):
                delattr(self, name)
        self._publish(model)
        return model, rows, held_out, streams, start

    def _settle(self, rows, streams):
        """What is known once training has stopped: the noise of the observations, and where the streams are."""
        self._estimate_noise(rows)
        random_state, masks = streams
        if masks is not None:
            self._mask_state = masks.bit_generator.state
        if isinstance(self.random_state, Integral):
            self._random_state = random_state

    @ignore_float_errors()  # callbacks call it
    def _as_if_stopped(self, model, rows, streams):
        """Copies of all that ``fit`` would leave if it stopped here, by name."""
        self._publish(model)
        self._settle(rows, streams)
        return {name: copy.deepcopy(getattr(self, name)) for name in self._fitted()}

    def _take_weights(self, other):
        """Predict with the weights of a copy made during the training."""
        for name in WEIGHTS & set(vars(other)):
            setattr(self, name, getattr(other, name))

    def _publish(self, model):
        """Make the model, batch normalisation folded into the affine maps, what this estimator predicts with."""
        params = model.params
        if model.input_exponents is not None:
            params = copy.deepcopy(params)
            W = params.coefs[0]
            np.ldexp(W, -model.input_exponents[:, np.newaxis], out=W)
        self.coefs_, self.intercepts_ = params.coefs, params.intercepts
        if self.batch_norm:
            self.coefs_, self.intercepts_ = fold(params, model.moments, self.batch_norm)
            # copies, so that edits in place can be detected
            self.batch_norm_scale_, self.batch_norm_shift_ = copy.deepcopy((params.scales, params.shifts))
            self.batch_norm_mean_, self.batch_norm_var_, seen = ([m[i] for m in model.moments] for i in range(3))
            self._unfolded = self.batch_norm, params.vector, seen

    def _fitted(self):
        """The names of what ``fit`` has left."""
        names = set(vars(self)) - set(self.get_params(deep=False))
        return {name for name in names if name in PRIVATE_STATE or (name.endswith("_") and not name.startswith("_"))}

    def _forget(self):
        """Drop what earlier fits have left."""
        for name in self._fitted():
            delattr(self, name)

    # What goes in

    def _validate_params(self):
        """Check each parameter by itself."""
        params = self.get_params(deep=False)
        try:
            validate_parameter_constraints(self._parameter_constraints, normalize_params(params), type(self).__name__)
        except InvalidParameterError as error:
            raise InvalidParameterError(add_suggestion(str(error), params)) from None

    def _check_combinations(self, rates, kinds, activations, validation, incremental):
        """Refuse arguments that are each valid but not together."""
        if self.solver == "lbfgs":
            self._check_lbfgs(rates, validation)
        if self.solver == "adamw" and self.l1_ratio > 0:
            raise ValueError(f"solver='adamw' decays the weights by itself: set l1_ratio=0, got {self.l1_ratio!r}.")
        if isinstance(self.scoring, str) and self.scoring not in {"loss", *get_scorer_names()}:
            raise InvalidParameterError(
                "scoring must be 'loss', a name in sklearn.metrics.get_scorer_names(), a callable or None, "
                f"got {self.scoring!r}."
            )
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True. Set early_stopping=False.")
        for name, part in zip(("X_val", "y_val"), validation, strict=False):
            if part is None and any(other is not None for other in validation):
                raise ValueError(f"Validation data need both X_val and y_val, but {name} is None.")
        layers = zip(rates[1:], kinds, activations, strict=True)
        odd = {name for rate, kind, name in layers if rate > 0 and kind == "alpha" and name != "selu"}
        if odd:
            warnings.warn(
                "dropout_kind='alpha' keeps the mean and variance of selu units, and here it follows "
                f"{sorted(odd)}: set activation='selu', or another dropout_kind."
            )

    def _check_lbfgs(self, rates, validation):
        if any(rates):
            raise ValueError(
                "solver='lbfgs' cannot train with dropout: its line search needs the same loss at every call, and "
                f"dropout={self.dropout!r}, input_dropout={self.input_dropout!r} make it random. "
                "Set both to 0, or use solver='adam' or 'sgd'."
            )
        for name, off in {"batch_norm": False, "max_norm": None, "clip_norm": None, "l1_ratio": 0}.items():
            if getattr(self, name) != off:
                raise ValueError(
                    f"solver='lbfgs' works without {name}: set {name}={off!r}, got {getattr(self, name)!r}, "
                    "or use solver='adam' or 'sgd'."
                )
        loss = getattr(self, "loss", None)
        if loss in LOSSES and not LOSSES[loss].smooth:
            raise ValueError(f"solver='lbfgs' needs a smooth loss, not loss={loss!r}: use solver='adam' or 'sgd'.")
        if self.early_stopping or validation[0] is not None:
            warnings.warn("solver='lbfgs' uses no validation data: early_stopping and X_val have no effect.")

    def _kinds_and_groups(self, X, sizes, kinds, rates):
        """Kind and groups of the dropout on the input of every layer."""
        columns = column_groups(self.input_groups, X.shape[1])
        first = self.dropout_kind if isinstance(self.dropout_kind, str) else "bernoulli"
        if columns is not None and not DROPOUTS[first].uses_groups:
            first = "spatial"
        if not DROPOUTS[first].takes_sparse and rates[0] > 0 and issparse(X):
            raise ValueError(
                f"dropout_kind={first!r} with input_dropout > 0 would make a sparse X dense: set input_dropout=0, give "
                "one kind per hidden layer (the input then gets 'bernoulli'), or make X dense."
            )
        return (first, *kinds), (columns, *unit_groups(sizes, self.group_size, kinds))

    def _validate_xy(self, X, y, reset):
        """X and y as arrays, X in the dtype it came in."""
        refused_y = "mMVT" if is_regressor(self) else "VT"  # dates may be labels
        check_dtype_kinds(X, "X", "mMVT")
        check_dtype_kinds(y, "y", refused_y)
        X, y = validate_data(self, X, y, reset=reset, accept_sparse="csr", multi_output=True)
        y = y.toarray() if issparse(y) else y
        check_dtype_kinds(y, "y", refused_y)  # again: a list has become an array
        if is_regressor(self) and y.dtype == object:
            with suppress(TypeError, ValueError):  # _encode refuses what stays
                y = y.astype(float)
        return canonical_csr(as_numeric(X)), column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _compute_dtype(self, X, fresh):
        """What the first fit chose, or `dtype`, or X's own if it is a float scikit-learn computes in."""
        if not fresh:
            return weights_of(self)[0][0].dtype
        if self.dtype is not None:
            return np.dtype(self.dtype).newbyteorder("=")
        return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)

    def _rows(self, X, y, sample_weight, dtype, suffix=""):
        """The rows with their targets and weights, checked."""
        sample_weight = validate_sample_weight(sample_weight, X, dtype, f"sample_weight{suffix}")
        Y = self._encode(y, f"y{suffix}")
        if Y.dtype.kind == "f":
            Y = Y.astype(dtype, copy=False)
            check_targets(Y, f"y{suffix}")
        sample_weight = self._weigh_classes(y, sample_weight, dtype, learn=not suffix)
        if sample_weight is not None:
            check_weights(sample_weight, dtype, f"sample_weight{suffix}")
        return Rows(X, y, Y, sample_weight)

    def _check_columns(self, X, dtype):
        if dtype == np.float32:
            check_columns(X, dtype, getattr(self, "feature_names_in_", None))

    def _validation_rows(self, X_val, y_val, sample_weight_val, dtype):
        """The user's validation rows; scikit-learn's errors, which call them X and y, say so."""
        try:
            with explain_overflow():
                X_val, y_val = self._validate_xy(X_val, y_val, reset=False)
            self._check_columns(X_val, dtype)
            return self._rows(X_val, y_val, sample_weight_val, dtype, suffix="_val")
        except (ValueError, TypeError) as error:
            raise ValueError(f"In the validation data X_val, y_val, sample_weight_val: {error}") from error

    def _weigh_classes(self, y, sample_weight, dtype, learn):
        """The sample weights times those of the classes, learnt from these rows or known; a regressor has none."""
        return sample_weight

    def _estimate_noise(self, rows):
        """Learn from rows what the observations scatter by; a classifier says it in its probabilities."""

    def _look_for_checkpoint(self, rows, held_out, fresh, incremental):
        """What tells this fit from others, and what is saved of it; None and nothing without checkpoints."""
        checkpoints = [c for c in getattr(self, "_skl_callbacks", ()) if isinstance(c, Checkpoint)]
        if incremental or not checkpoints:
            return {} if checkpoints else None, (None, None, None)
        known = WEIGHTS | BOOKS | {"_mask_state", "_validation_mask"}
        start = {} if fresh else {name: vars(self).get(name) for name in known}
        found = marks(self, rows, held_out, start)
        return found, checkpoints[0]._saved(self, found) or (None, None, None)

    def _streams(self, fresh, incremental, noise, saved):
        """The random state for weights and rows, and the mask generator or None.

        An integer seed starts afresh at every ``fit`` and goes on at every ``partial_fit``. Masks go on
        whenever the weights do.
        """
        if saved[1] and self.random_state is None:  # not the global one: that of the fit that is taken up
            random_state = np.random.RandomState()
            random_state.set_state(saved[1]["drawn_from"])
        elif incremental and not fresh and isinstance(self.random_state, Integral) and hasattr(self, "_random_state"):
            random_state = copy.deepcopy(self._random_state)
        else:
            random_state = check_random_state(self.random_state)
        if not noise:
            return random_state, None
        if not fresh and hasattr(self, "_mask_state"):
            return random_state, resume_stream(self._mask_state)
        return random_state, mask_stream(random_state)

    def _known_split(self):
        """The mask of the rows that the last fit with early stopping split off, or None."""
        n_rows, bits = getattr(self, "_validation_mask", (0, None))
        return np.unpackbits(bits, count=n_rows).astype(bool) if n_rows else None

    def _start_model(self, specs, n_features, dtype, random_state, fresh):
        """New weights, or a copy of those to go on with."""
        units = (n_features, *(spec.units for spec in specs))
        initial = Params(units, dtype, normed=bool(self.batch_norm))
        moments = [(np.zeros(n, dtype), np.ones(n, dtype), np.zeros(())) for n in units[1:-1] if self.batch_norm]
        if fresh or (self.early_stopping and isinstance(self.random_state, Integral)):
            # if not fresh, for the draws alone: they precede the split, which then holds out the same rows again
            last = specs[-2].activation if len(specs) > 1 else self._lone_activation()
            initialize(initial, [*(spec.activation for spec in specs[:-1]), last], random_state)
        if fresh:
            return Model(initial, moments, specs)
        batch_norm = getattr(self, "_unfolded", [False])[0]
        if batch_norm != self.batch_norm:
            raise ValueError(
                f"The fitted network has batch_norm={batch_norm!r}, but it is now {self.batch_norm!r}. "
                "Set warm_start=False and call fit to start afresh."
            )
        weights = weights_of(self)
        known = Params.pack(*weights, dtype)
        if known.units != units:
            raise ValueError(
                f"The fitted network has layers of {known.units} units, inputs and outputs included, but "
                f"hidden_layer_sizes and y now ask for {units}. Set warm_start=False and call fit to start afresh."
            )
        if not batch_norm:
            return Model(known, moments, specs)
        known, moments, assigned = unfolded(self, *weights)
        return Model(known, moments, specs, assigned=assigned)

    def _lone_activation(self):
        """What the output weights of a network without hidden layers are drawn for."""
        return self.activation if isinstance(self.activation, str) else "identity"

    # Training

    def _diverged(self, what, rows):
        """The error of a training that has overflowed."""
        return ValueError(
            "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
            f"preprocessed. {what}: {suggest_fixes(self, rows)}."
        )

    def _watched(self):
        """What early stopping watches; None is the score of the estimator."""
        return self.scoring

    def _stops_by_loss(self):
        """Whether early stopping monitors the validation loss instead of the score."""
        return self._watched() == "loss"

    # What comes out

    def _output(self, X, finish=np.asarray, raw=False):
        """What ``finish`` makes of the output of the network, or with `raw` of that before its activation."""
        network = self._network()
        with np.errstate(all="ignore"):
            return (network.predict_raw if raw else network.predict)(X, lambda P: finish(self._finite(P, X)))

    def _finite(self, P, X):
        """P, the output for rows of X, unless it has overflowed."""
        if np.isfinite(P).all():
            return P
        column, value = largest_column(X, getattr(self, "feature_names_in_", None))
        raise ValueError(
            f"The output of the network overflowed in {P.dtype} for some rows of X, of which {column} reaches "
            f"{value:.3g}: predict from rows like those of the training, scaled alike."
        )

    def _network(self):
        coefs, intercepts = self.coefs_, self.intercepts_
        arrays = [isinstance(array, np.ndarray) for array in (*coefs, *intercepts)]
        if not all(arrays) or coefs[0].dtype not in FLOATS:  # lists or integers that a user assigned
            coefs, intercepts = weights_of(self)
        return Network(coefs, intercepts, self._activations, self.out_activation_)

    def _validate_predict(self, X):
        fitted = vars(self)
        if "coefs_" not in fitted:
            check_is_fitted(self)
        array = fast_path_array(X)
        if array is not None and array.shape[1] == self.n_features_in_:
            if hasattr(X, "columns") or "feature_names_in_" in fitted:  # only the names are left to check
                validate_data(self, X, reset=False, skip_check_array=True)
            return array
        check_dtype_kinds(X, "X", "mMVT")
        with explain_overflow():
            return as_numeric(validate_data(self, X, reset=False, accept_sparse="csr"))

    def _validate_predict_xy(self, X, y):
        """X and the targets of y."""
        check_is_fitted(self)
        with explain_overflow():
            X, y = self._validate_xy(X, y, reset=False)
            Y = self._encode(y, "y")
        if Y.ndim == 2 and Y.shape[1] != self.n_outputs_:
            raise ValueError(f"`y` has {Y.shape[1]} output(s), but the estimator was fitted with {self.n_outputs_}.")
        return X, Y

    @from_snapshot
    def predict(self, X: MatrixLike) -> NDArray[Any]:
        """Predict the targets of X. No noise, no random numbers: the whole network, unchanged.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or real values.
        """
        X = self._validate_predict(X)
        return self._output(X, self._decode)

    def _has_partial_fit(self):
        if self.solver == "lbfgs":  # for other invalid values ``partial_fit`` raises its own error
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

"""Base class of the estimators: atomic fits and prediction."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import partial
from inspect import signature
from itertools import chain
from math import isfinite
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, is_regressor
from sklearn.metrics import check_scoring
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from ._callbacks import Checkpoint
from ._callbacks.checkpoint_file import PUBLIC_CLASSES, finished_state, restore_finished
from ._callbacks.fingerprint import compute_fingerprint
from ._callbacks.tasks import Tasks
from ._errstate import ignore_float_errors, user_errstate
from ._fit.checks import check_columns, check_targets, check_weights, largest_column
from ._fit.data import (
    Rows,
    as_numeric,
    canonical_csr,
    check_dtype_kinds,
    explain_overflow,
    fast_path_array,
    validate_sample_weight,
)
from ._fit.lbfgs import LBFGS
from ._fit.parameters import CONSTRAINTS, add_suggestion, normalize_params
from ._fit.prepare import prepare
from ._fit.stochastic import Training
from ._fit.unused_parameters import warn_about_unused_parameters
from ._fitted import FITTED, NoiseSettings, attributes_with, is_fitted_attribute
from ._persistence import PicklingMixin, ToSklearnMixin, WeightsFileMixin
from ._sampling import MonteCarloMixin
from ._sklearn import (
    CallbackSupportMixin,
    InvalidParameterError,
    fit_context,
    validate_parameter_constraints,
    with_callbacks,
)
from ._snapshot import from_snapshot
from ._threads import prediction_threads, shared_threads
from ._typing import FloatArray, MatrixLike
from ._validation import describe_absent_classes, score_of_known_classes
from ._version import DOCUMENTATION
from ._weights import FLOAT_DTYPES, checked_weights, mean_weights
from .engine.activations import columns_per_output
from .engine.losses import LOSSES
from .engine.network import Network


class BaseDropoutMLP(
    MonteCarloMixin, PicklingMixin, WeightsFileMixin, ToSklearnMixin, CallbackSupportMixin, BaseEstimator, ABC
):
    """Base class of the multi-layer perceptrons with dropout.

    Subclasses handle their targets in ``_encode``, ``_decode``, ``_loss_name``, ``_default_score`` and other methods.
    """

    _doc_link_module = "skdropout"
    _doc_link_template = DOCUMENTATION + "api/{estimator_module}.{estimator_name}.html"

    _parameter_constraints: dict[str, list[Any]] = CONSTRAINTS

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

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("skdropout."):
            PUBLIC_CLASSES[cls.__name__] = cls

    @abstractmethod
    def _learn_targets(self, y, fresh, incremental, classes):
        """Learn the classes in y, or check y against the known classes."""

    @abstractmethod
    def _encode(self, y, name):
        """Convert y to the targets of the loss. Error messages refer to it as `name`."""

    @abstractmethod
    def _decode(self, P):
        """Convert the output of the network to predictions."""

    @abstractmethod
    def _loss_name(self):
        """Return the name of the loss in the engine."""

    @abstractmethod
    def _loss_options(self):
        """Return the options of the loss."""

    @abstractmethod
    def _default_score(self, y, y_pred, sample_weight):
        """Return the score of the validation set for ``scoring=None``."""

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
            Training data of any numeric dtype. Batches are cast one at a time.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target values: class labels in classification, real numbers in regression.

        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative sample weights; None for equal weights.

        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation data. With ``early_stopping=True``, they replace the `validation_fraction` of X. Otherwise the
            validation score and loss are recorded, but do not stop training.
            In a :class:`~sklearn.pipeline.Pipeline`, ``step__X_val`` would reach this method untransformed: use
            ``set_config(enable_metadata_routing=True)``, ``set_fit_request(X_val=True, y_val=True)`` on this
            estimator, and ``Pipeline(..., transform_input=["X_val"])``.

        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Target values of `X_val`.

        sample_weight_val : array-like of shape (n_val,), default=None
            Sample weights of `X_val`.

        Returns
        -------
        self : object
            Fitted estimator. Ctrl-C stops training with a warning and keeps the weights learned so far.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, or if training diverges. Divergence is detected in the batch where
            it happens: the message names the batch and what to change. The estimator is then unchanged, and so is a
            `random_state` that is an instance.

        Warns
        -----
        UserWarning
            If a column of X is so large that its squares overflow in float32, or float32 cannot represent the
            differences between its values. If `y_val` of a regressor does not seem to be on the scale of `y`. If a
            parameter that scikit-learn's MLP does not have is set but has no effect because of another one, such as
            `group_size` without ``dropout_kind="spatial"``.
        """
        return self._fit_atomically(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    def _fit_atomically(self, *args, **kwargs):
        """Train a copy that replaces this estimator on success, so that a failed call leaves it unchanged."""
        fitted = self._shallow_copy()
        stream = self.random_state if isinstance(self.random_state, np.random.RandomState) else None
        stream_state = None if stream is None else stream.get_state()
        try:
            fitted._train(*args, **kwargs)
        except BaseException:
            if stream is not None:
                stream.set_state(stream_state)
            raise
        self.__dict__ = vars(fitted)
        return self

    def set_params(self, **params: Any) -> Self:
        """Set the parameters of this estimator: all of them, or none if a name is unknown.

        Parameters
        ----------
        **params : dict
            Parameter values by name.

        Returns
        -------
        self : object
            This estimator. Fitted attributes do not change until the next ``fit``.
        """
        changed = self._shallow_copy()
        super(BaseDropoutMLP, changed).set_params(**params)
        self.__dict__ = vars(changed)
        return self

    def _shallow_copy(self):
        """Return a copy that shares all attributes, including the optimizer."""
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    @with_callbacks
    @ignore_float_errors()  # we raise our own error if the loss overflows
    @shared_threads()
    def _train(self, X, y, sample_weight, validation=(None, None, None), incremental=False, classes=None):
        """Prepare and run the training, and set the fitted attributes."""
        plan = prepare(self, X, y, sample_weight, validation, incremental=incremental, classes=classes)
        if plan.fresh or not incremental:
            warn_about_unused_parameters(plan, signature(type(self).__init__).parameters)
        saved = plan.resume_from
        if saved is not None and "done" in saved.state:
            tasks = Tasks(self, X, y, sample_weight, plan)
            restore_finished(self, saved, plan.random_state)
            tasks.end_fit(lambda: saved.state)
            return
        training = LBFGS(plan) if self.solver == "lbfgs" else Training(plan, partial(self._evaluate, plan))
        self._publish(plan.model, training.history)
        tasks = Tasks(self, X, y, sample_weight, plan)
        training.run(tasks)
        self._publish(plan.model, training.history)
        self._check_weights_finite(plan)
        if self.solver != "lbfgs":  # set last, so that copies made by callbacks do not share it
            self._optimizer = training.optimizer
        self._finalize(plan)
        if plan.held_out is not None:
            self._calibrate_after_fit(plan.held_out)
        interrupted = training.history.interrupted
        tasks.end_fit(None if interrupted else partial(finished_state, self, plan.random_state))

    def _check_weights_finite(self, plan):
        """Raise an error if the last step overflowed."""
        moments = chain.from_iterable(plan.model.moments)
        trained = plan.model.params.vector, *self.coefs_, *self.intercepts_, *moments
        if not all(np.isfinite(array).all() for array in trained):
            raise plan.divergence_error("The last step overflowed", plan.rows)

    def _finalize(self, plan):
        """Estimate the observation noise, and store the state of the random streams."""
        self._estimate_noise(plan.evaluation_rows)
        if plan.masks is not None:
            self._mask_state = plan.masks.bit_generator.state
        if isinstance(self.random_state, Integral):
            self._random_state = plan.random_state

    def _fitted_copy(self, plan, training):
        """Return copies of the fitted attributes by name, as if ``fit`` stopped here."""
        self._finalize(plan)
        fitted = {name: copy.deepcopy(getattr(self, name)) for name in self._fitted_names()}
        if hasattr(training, "optimizer"):
            fitted["_learning_rate"] = training.optimizer.learning_rate  # replaces the optimizer, as in pickles
        return fitted

    def _restore_weights(self, saved):
        """Set the weights to those of `saved`, a copy made during training."""
        for name in attributes_with("for_prediction"):
            if name in vars(saved):
                setattr(self, name, getattr(saved, name))

    def _publish(self, model, history):
        """Set the fitted attributes from the model and the history."""
        params = model.unscaled_params()
        self.coefs_, self.intercepts_ = model.fold(params)
        if model.batch_norm:
            # copies, so that edits in place can be detected
            self.batch_norm_scale_, self.batch_norm_shift_ = copy.deepcopy((params.scales, params.shifts))
            self.batch_norm_mean_ = [mean for mean, _, _ in model.moments]
            self.batch_norm_var_ = [variance for _, variance, _ in model.moments]
            self._unfolded = model.batch_norm, params.vector, [n_seen for _, _, n_seen in model.moments]
        vars(self).update(history.published())

    def _evaluate(self, plan, history):
        """Return the score and the loss of the validation set at the current weights, without dropout."""
        rows, scoring = plan.held_out, plan.scoring
        P = plan.network().predict(rows.X)
        y_pred = np.array(self._decode(P)) if scoring is None else None  # before the loss overwrites P
        loss = plan.reported_loss(P, rows.Y, rows.sample_weight)
        if scoring == "loss" or not isfinite(loss):  # a scorer would raise a less helpful error
            return -loss, loss
        if scoring is None:
            score = self._default_score(rows.y, y_pred, rows.sample_weight)
        else:
            score = self._score_with(scoring, plan, history)
        if history.n_iter_ > 0 and not isfinite(score):
            hint = describe_absent_classes(self, rows.y, rows.sample_weight)
            raise ValueError(
                f"The validation score became {score} in epoch {history.n_iter_}, with scoring={self.scoring!r}.{hint}"
            )
        return float(score), loss

    def _score_with(self, scoring, plan, history):
        """Score the validation set with the user's scorer. Sample weights are passed if it accepts them."""
        rows = plan.held_out
        scored = copy.copy(self)
        scored._publish(plan.model, history)
        vars(scored).pop("feature_names_in_", None)  # the rows are arrays: with names, predict would warn
        scored._estimate_noise(rows)  # for scorers of predictive distributions
        scorer = check_scoring(scored, scoring)
        accepted = signature(getattr(scorer, "_score_func", scorer)).parameters
        is_weighted = rows.sample_weight is not None and "sample_weight" in accepted
        weights = {"sample_weight": rows.sample_weight} if is_weighted else {}
        try:
            with user_errstate():
                return score_of_known_classes(scorer, scored, rows.X[:], rows.y, weights)
        except (ValueError, TypeError) as error:
            raise ValueError(f"scoring={scoring!r} failed on the validation set: {error}") from error

    def _fitted_names(self):
        """Return the names of the fitted attributes."""
        names = set(filter(is_fitted_attribute, vars(self)))
        if names <= FITTED.keys():  # saves the inspection of the signature
            return names
        return names - set(self.get_params(deep=False))

    def _reset(self):
        """Delete the fitted attributes."""
        for name in self._fitted_names():
            delattr(self, name)

    def _describe_network(self, specs, dropout_schedule, incremental):
        """Set the attributes that describe the network, and delete those that a fit by L-BFGS does not have."""
        for name in attributes_with("stochastic"):
            vars(self).pop(name, None)
        kinds, rates, groups = zip(*((spec.dropout, spec.rate, spec.groups) for spec in specs), strict=True)
        self.out_activation_ = LOSSES[self._loss_name()].output
        self.n_layers_, self.n_outputs_ = len(specs) + 1, specs[-1].units // columns_per_output(self.out_activation_)
        self._activations = tuple(spec.activation for spec in specs[:-1])
        self._noise = tuple(NoiseSettings(kinds, groups, rates, repr(dropout_schedule)))
        self._in_stream = incremental

    def _find_checkpoint(self, rows, held_out, previous, incremental):
        """Return the fingerprint of this fit and its saved state, both None without checkpoints."""
        callbacks = getattr(self, "_skl_callbacks", ())
        checkpoint = next((callback for callback in callbacks if isinstance(callback, Checkpoint)), None)
        if checkpoint is None:
            return None, None
        if incremental:  # checkpoints of partial_fit are never read
            return {}, None
        names = {*attributes_with("for_prediction"), *attributes_with("history"), *attributes_with("for_training")}
        known = {name: previous.get(name) for name in names} if previous else {}
        fingerprint = compute_fingerprint(self, rows, held_out, known)
        return fingerprint, checkpoint._load_saved_fit(self, fingerprint)

    # Validation of parameters and data

    def _validate_params(self):
        """Validate each parameter individually."""
        params = self.get_params(deep=False)
        try:
            validate_parameter_constraints(self._parameter_constraints, normalize_params(params), type(self).__name__)
        except InvalidParameterError as error:
            raise InvalidParameterError(add_suggestion(str(error), params)) from None

    def _validate_xy(self, X, y, reset):
        """Return X and y as arrays. X keeps its dtype."""
        refused_y = "mMVT" if is_regressor(self) else "VT"  # dates are valid labels
        check_dtype_kinds(X, "X", "mMVT")
        check_dtype_kinds(y, "y", refused_y)
        X, y = validate_data(self, X, y, reset=reset, accept_sparse="csr", multi_output=True)
        y = y.toarray() if issparse(y) else y
        check_dtype_kinds(y, "y", refused_y)  # again, since a list was converted to an array
        if is_regressor(self) and y.dtype == object:
            with suppress(TypeError, ValueError):  # _encode rejects y if it stays an array of objects
                y = y.astype(float)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return canonical_csr(as_numeric(X)), y

    def _make_rows(self, X, y, sample_weight, dtype, suffix=""):
        """Return validated rows, with encoded targets and sample weights."""
        sample_weight = validate_sample_weight(sample_weight, X, dtype, f"sample_weight{suffix}")
        Y = self._encode(y, f"y{suffix}")
        if Y.dtype.kind == "f":
            Y = Y.astype(dtype, copy=False)
            check_targets(Y, f"y{suffix}")
        sample_weight = self._apply_class_weight(y, sample_weight, dtype, learn=not suffix)
        if sample_weight is not None:
            check_weights(sample_weight, dtype, f"sample_weight{suffix}")
        return Rows(X, y, Y, sample_weight)

    def _check_columns(self, X, dtype):
        if dtype == np.float32:
            check_columns(X, dtype, getattr(self, "feature_names_in_", None))

    def _make_validation_rows(self, X_val, y_val, sample_weight_val, dtype):
        """Return the user's validation set. Errors of scikit-learn call it X and y, so they get a prefix."""
        try:
            with explain_overflow():
                X_val, y_val = self._validate_xy(X_val, y_val, reset=False)
            self._check_columns(X_val, dtype)
            return self._make_rows(X_val, y_val, sample_weight_val, dtype, suffix="_val")
        except (ValueError, TypeError) as error:
            raise ValueError(f"In the validation data X_val, y_val, sample_weight_val: {error}") from error

    def _apply_class_weight(self, y, sample_weight, dtype, learn):
        """Multiply sample weights by class weights, computed on these rows if `learn` is true (classifier only)."""
        return sample_weight

    def _estimate_noise(self, rows):
        """Estimate the observation-noise variance (regressor only)."""

    def _calibrate_after_fit(self, rows):
        """Calibrate the predictive distribution on the validation set (regressor only)."""

    def _monitored_score(self):
        """Return the `scoring` of the validation set; None for the default score of the estimator."""
        return self.scoring

    def _monitors_loss(self):
        """Return whether early stopping monitors the validation loss instead of the score."""
        return self._monitored_score() == "loss"

    # Prediction

    def _output(self, X, postprocess=np.asarray, raw=False):
        """Return ``postprocess`` of the output of the network, or with `raw` of the output before its activation."""
        network = self._network()
        predict = network.predict_raw if raw else network.predict
        with np.errstate(all="ignore"), prediction_threads(X.shape[0] * max(W.size for W in network.coefs)):
            return predict(X, lambda P: postprocess(self._check_output(P, X)))

    def _check_output(self, P, X):
        """Return P, the output for rows of X, after checking that it did not overflow."""
        if np.isfinite(P).all():
            return P
        column, value = largest_column(X, getattr(self, "feature_names_in_", None))
        raise ValueError(
            f"The output of the network overflowed in {P.dtype} for some rows of X, where {column} reaches "
            f"{value:.3g}: scale X like the training data."
        )

    def _network(self, all_columns=False):
        """Return the network for prediction, with weights that a user may have assigned.

        Its output has ``n_outputs_`` columns, or with `all_columns` also those of the log variances, if there are any.
        """
        coefs, intercepts = self.coefs_, self.intercepts_
        are_arrays = all(isinstance(array, np.ndarray) for array in (*coefs, *intercepts))
        if not are_arrays or coefs[0].dtype not in FLOAT_DTYPES:  # a user assigned lists or integers
            coefs, intercepts = checked_weights(self)
        if self.out_activation_ == "gaussian" and not all_columns:
            return Network(*mean_weights(coefs, intercepts), self._activations, "identity")
        return Network(coefs, intercepts, self._activations, self.out_activation_)

    def _validate_predict(self, X):
        """Return X as an array or a CSR matrix, after checking that the estimator is fitted."""
        fitted = vars(self)
        if "coefs_" not in fitted:
            check_is_fitted(self)
        array = fast_path_array(X)
        if array is not None and array.shape[1] == self.n_features_in_:
            if hasattr(X, "columns") or "feature_names_in_" in fitted:  # only names remain to be checked
                validate_data(self, X, reset=False, skip_check_array=True)
            return array
        check_dtype_kinds(X, "X", "mMVT")
        with explain_overflow():
            return as_numeric(validate_data(self, X, reset=False, accept_sparse="csr"))

    def _validate_predict_xy(self, X, y):
        """Return the validated X and the encoded targets."""
        check_is_fitted(self)
        with explain_overflow():
            X, y = self._validate_xy(X, y, reset=False)
            Y = self._encode(y, "y")
        if Y.ndim == 2 and Y.shape[1] != self.n_outputs_:
            raise ValueError(f"`y` has {Y.shape[1]} output(s), but the estimator was fitted with {self.n_outputs_}.")
        return X, Y

    @from_snapshot
    def predict(self, X: MatrixLike) -> NDArray[Any]:
        """Predict the targets of X, without dropout.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predicted class labels or values.
        """
        X = self._validate_predict(X)
        return self._output(X, self._decode)

    def _has_partial_fit(self):
        """Return True, or raise an AttributeError for `available_if`."""
        if self.solver == "lbfgs":  # for other invalid values ``partial_fit`` raises its own error
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

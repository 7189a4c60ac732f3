"""What the classifier and the regressor share: validation, fit, early stopping."""

import copy
import warnings
from abc import ABC, abstractmethod
from math import isfinite
from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from ._rows import Rows, mini_batches, positive_weights, split_off
from ._sklearn import check_optimize_result, fit_context
from ._spec import CONSTRAINTS, dropout_rates, hidden_sizes, layer_specs
from .engine.backprop import Backprop
from .engine.initializers import FACTORS, glorot_uniform
from .engine.losses import LOSSES
from .engine.network import Network
from .engine.optimizers import OPTIMIZERS
from .engine.params import Params
from .engine.rng import mask_stream, resume_stream
from .engine.schedules import LEARNING_RATES
from .engine.training import epochs, lbfgs

PRIVATE_STATE = {
    "_activations",
    "_label_binarizer",
    "_mask_state",
    "_no_improvement_count",
    "_optimizer",
    "_random_state",
}
INTERRUPTED = "Training interrupted by user."


class BaseDropoutMLP(BaseEstimator, ABC):
    """Base class of the multi-layer perceptrons with dropout.

    A subclass says what its targets are: ``_encode``, ``_decode``, ``_loss_name``, ``_default_score``.
    """

    _doc_link_module = "skdropout"
    _doc_link_template = "https://skdropout.readthedocs.io/en/stable/api/{estimator_module}.{estimator_name}.html"

    _parameter_constraints: dict = CONSTRAINTS

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
    def _default_score(self, y, y_pred, sample_weight):
        """What early stopping watches unless ``scoring`` says otherwise."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
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
            In a :class:`~sklearn.pipeline.Pipeline`, use ``transform_input=["X_val"]``.

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
            If a parameter or the data are invalid, or if training diverges. The estimator is then as it was.
        """
        return self._attempt(X, y, sample_weight, (X_val, y_val, sample_weight_val))

    def _attempt(self, *args, **kwargs):
        """Train a twin and become it in one assignment: a call that fails leaves this estimator as it was."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        with np.errstate(all="ignore"):  # a loss that overflows is raised as an error of ours, with a way out
            twin._train(*args, **kwargs)
        self.__dict__ = vars(twin)
        return self

    def _train(self, X, y, sample_weight, validation=(None, None, None), incremental=False, classes=None):
        sizes = hidden_sizes(self.hidden_layer_sizes)
        rates = dropout_rates(self.dropout, self.input_dropout, len(sizes))
        activations = names_per_layer("activation", self.activation, ACTIVATIONS, len(sizes))
        kinds = names_per_layer("dropout_kind", self.dropout_kind, DROPOUTS, len(sizes))
        self._check_combinations(rates, kinds, activations, validation, incremental)
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        if fresh:
            self._forget()

        X, y = self._validate_xy(X, y, reset=fresh)
        dtype = self._compute_dtype(X, fresh)
        self._learn_labels(y, fresh, incremental, classes)
        rows = self._rows(X, y, sample_weight, dtype)
        if validation[0] is not None:
            X_val, y_val = self._validate_xy(*validation[:2], reset=False)
            held_out = self._rows(X_val, y_val, validation[2], dtype, suffix="_val")
        else:
            held_out = None

        n_outputs = rows.Y.shape[1] if rows.Y.ndim == 2 else len(self.classes_)  # a 1-D Y holds class codes
        specs = layer_specs(sizes, n_outputs, activations, rates, *self._kinds_and_groups(X, sizes, kinds))
        units = (X.shape[1], *(spec.units for spec in specs))
        random_state, masks = self._streams(fresh, incremental, noise=any(rates))
        params, moments = self._start_params(units, dtype, random_state, activations, fresh)
        self.n_layers_, self.n_outputs_, self.dropout_ = len(units), n_outputs, rates
        self.out_activation_ = LOSSES[self._loss_name()].output
        self._activations = activations
        self.coefs_, self.intercepts_ = params.coefs, params.intercepts
        self.t_ = getattr(self, "t_", 0)
        if self.solver == "lbfgs":
            self._fit_lbfgs(params, specs, rows)
        else:
            self._fit_stochastic(
                params, moments, specs, rows, held_out, (random_state, masks), fresh, incremental
            )
        if not np.isfinite(params.vector).all():
            raise self._diverged("The last step overflowed")
        if masks is not None:
            self._mask_state = masks.bit_generator.state
        if isinstance(self.random_state, Integral):
            self._random_state = random_state

    def _forget(self):
        """Drop what earlier fits have left."""
        for name in list(vars(self)):
            if name in PRIVATE_STATE or (name.endswith("_") and not name.startswith("_")):
                delattr(self, name)

    # What goes in

    def _check_combinations(self, rates, validation, incremental):
        """Refuse arguments that are each valid but not together."""
        if self.solver == "lbfgs":
            if any(rates):
                raise ValueError(
                    "solver='lbfgs' cannot train with dropout: its line search needs the same loss at every call, and "
                    f"dropout={self.dropout!r}, input_dropout={self.input_dropout!r} make it random. "
                    "Set both to 0, or use solver='adam' or 'sgd'."
                )
            if self.early_stopping or validation[0] is not None:
                warnings.warn("solver='lbfgs' uses no validation data: early_stopping and X_val have no effect.")
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True. Set early_stopping=False.")
        for name, part in zip(("X_val", "y_val"), validation, strict=False):
            if part is None and any(other is not None for other in validation):
                raise ValueError(f"Validation data need both X_val and y_val, but {name} is None.")

    def _validate_xy(self, X, y, reset):
        """X and y as arrays, X in the dtype it came in."""
        regression = is_regressor(self)
        X, y = validate_data(self, X, y, reset=reset, accept_sparse="csr", multi_output=True, y_numeric=regression)
        y = y.toarray() if issparse(y) else y
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _compute_dtype(self, X, fresh):
        """What the first fit chose, or `dtype`, or X's own if it is a float scikit-learn computes in."""
        if not fresh:
            return self.coefs_[0].dtype
        return np.dtype(self.dtype or (np.float32 if X.dtype == np.float32 else np.float64))

    def _rows(self, X, y, sample_weight, dtype, suffix=""):
        """The rows with their targets and weights, checked."""
        sample_weight = positive_weights(sample_weight, X, dtype, f"sample_weight{suffix}")
        Y = self._encode(y, f"y{suffix}")
        Y = Y.astype(dtype, copy=False) if Y.dtype.kind == "f" else Y
        return Rows(X, y, Y, self._weigh_classes(y, sample_weight, dtype, learn=not suffix))

    def _weigh_classes(self, y, sample_weight, dtype, learn):
        """The sample weights times those of the classes, learnt from these rows or known; a regressor has none."""
        return sample_weight

    def _streams(self, fresh, incremental, noise):
        """The random state for weights and rows, and the mask generator or None.

        An integer seed starts afresh at every ``fit`` and goes on at every ``partial_fit``. Masks go on
        whenever the weights do.
        """
        if incremental and not fresh and isinstance(self.random_state, Integral) and hasattr(self, "_random_state"):
            random_state = copy.deepcopy(self._random_state)
        else:
            random_state = check_random_state(self.random_state)
        if not noise:
            return random_state, None
        if not fresh and hasattr(self, "_mask_state"):
            return random_state, resume_stream(self._mask_state)
        return random_state, mask_stream(random_state)

    def _start_params(self, units, dtype, random_state, fresh):
        """New weights, or a copy of those to go on with."""
        if fresh:
            params = Params(units, dtype)
            glorot_uniform(params, random_state, FACTORS.get(self.activation, 6.0))
            return params
        if self.early_stopping and isinstance(self.random_state, Integral):
            # the draws of the first fit come before its split: the same rows are held out again
            glorot_uniform(Params(units, dtype), random_state)
        params = Params.pack(self.coefs_, self.intercepts_, dtype)
        if params.units != units:
            raise ValueError(
                f"The fitted network has layers of {params.units} units, inputs and outputs included, but "
                f"hidden_layer_sizes and y now ask for {units}. Set warm_start=False and call fit to start afresh."
            )
        return params

    # Training

    def _fit_lbfgs(self, params, specs, rows):
        """Minimise the objective over all rows, in float64: a line search needs the digits."""
        rows = rows.astype(np.float64)
        exact = Params(params.units, np.float64, params.vector.astype(np.float64))
        backprop = Backprop(exact, specs, self._loss_name(), self.alpha, rows.X.shape[0])
        self.n_iter_, self.loss_ = 0, np.nan

        def after_iteration(intermediate_result):
            self.n_iter_ += 1
            self.loss_ = float(intermediate_result.fun)
            params.vector[:] = intermediate_result.x
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")

        limits = {"max_iter": self.max_iter, "max_fun": self.max_fun, "tol": self.tol}
        try:
            result = lbfgs(backprop, rows.X, rows.Y, rows.sample_weight, after_iteration=after_iteration, **limits)
        except KeyboardInterrupt:
            warnings.warn(INTERRUPTED)
            return
        self.n_iter_ = check_optimize_result("lbfgs", result, self.max_iter)
        self.loss_ = float(result.fun)
        params.vector[:] = result.x
        if not isfinite(self.loss_):
            raise self._diverged(f"The training loss became {self.loss_}")

    def _fit_stochastic(self, params, specs, rows, held_out, streams, fresh, incremental):
        """Epochs until the loss, or the score of held-out rows, has stopped improving."""
        random_state, masks = streams
        train = np.arange(rows.X.shape[0])
        if self.early_stopping and held_out is None:
            stratify = is_classifier(self) and self.n_outputs_ == 1
            train, held_out = split_off(rows, self.validation_fraction, stratify, random_state)
        batches = mini_batches(rows, train, self.batch_size, params.dtype, self.shuffle, merge=masks is not None)
        backprop = Backprop(params, specs, self._loss_name(), self.alpha, batches.batch_size)
        self._optimizer = self._start_optimizer(params, incremental)
        self._start_curves(held_out, fresh, incremental)
        policy = LEARNING_RATES[self.learning_rate if self.solver == "sgd" else "constant"]
        policy = policy(self.learning_rate_init, self.power_t)
        losses = epochs(backprop, self._optimizer, batches, random_state, masks)
        best, n_epochs = params.vector.copy(), 1 if incremental else self.max_iter
        try:
            for self.n_iter_, loss in zip(range(1, n_epochs + 1), losses, strict=False):
                self.t_ += len(batches.rows)
                if self._record(loss, held_out) and self.early_stopping:
                    best[:] = params.vector
                if not self._prepare_next_epoch(policy):
                    break
            else:
                if not incremental:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization "
                        "hasn't converged yet.",
                        ConvergenceWarning,
                    )
        except KeyboardInterrupt:
            warnings.warn(INTERRUPTED)
        if self.early_stopping and self.validation_scores_:
            params.vector[:] = best

    def _start_optimizer(self, params, incremental):
        """A new optimizer, or, to go on with, a copy of the last one."""
        optimizer = OPTIMIZERS[self.solver]
        if incremental and isinstance(last := getattr(self, "_optimizer", None), optimizer):
            return copy.deepcopy(last)
        if self.solver == "sgd":
            settings = self.momentum, self.nesterovs_momentum
        else:
            settings = self.beta_1, self.beta_2, self.epsilon
        return optimizer(params.vector.size, params.dtype, self.learning_rate_init, *settings)

    # Watching

    def _start_curves(self, held_out, fresh, incremental):
        """The curves to append to; patience starts afresh at every ``fit``."""

        def known(name, default):
            value = None if fresh else getattr(self, name, None)
            return default if value is None else copy.copy(value)

        self.n_iter_ = 0
        self.loss_curve_ = known("loss_curve_", [])
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else np.nan
        self.best_loss_ = None if self.early_stopping else known("best_loss_", np.inf)
        self._no_improvement_count = known("_no_improvement_count", 0) if incremental else 0
        self.validation_scores_ = self.validation_loss_curve_ = self.best_validation_score_ = None
        if held_out is not None:
            self.validation_scores_ = known("validation_scores_", [])
            self.validation_loss_curve_ = known("validation_loss_curve_", [])
            # the weights to go on from are the first to beat, on the rows held out this time
            self.best_validation_score_ = -np.inf if fresh else self._judge(held_out)[0]

    def _record(self, loss, held_out):
        """Note how the epoch went; True if no epoch before was as good."""
        epoch = f"in epoch {self.n_iter_}"
        if not isfinite(loss):
            raise self._diverged(f"The training loss became {loss} {epoch}")
        self.loss_ = loss
        self.loss_curve_.append(loss)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")
        if held_out is not None:
            best_score, score = self.best_validation_score_, self._record_score(held_out, epoch)
        if self.early_stopping:
            stalled, better = score < best_score + self.tol, score > best_score
        else:
            stalled, better = loss > self.best_loss_ - self.tol, loss < self.best_loss_
            self.best_loss_ = min(loss, self.best_loss_)
        self._no_improvement_count = self._no_improvement_count + 1 if stalled else 0
        return better

    def _record_score(self, held_out, epoch):
        score, loss = self._judge(held_out)
        if not isfinite(loss):
            raise self._diverged(f"The validation loss became {loss} {epoch}")
        if not isfinite(score):
            raise ValueError(f"The validation score became {score} {epoch}, with scoring={self.scoring!r}.")
        self.validation_scores_.append(score)
        self.validation_loss_curve_.append(loss)
        self.best_validation_score_ = max(score, self.best_validation_score_)
        if self.verbose:
            print(f"Validation score: {score:f}")
        return score

    def _judge(self, held_out):
        """Score and loss of the weights as they are, without noise, on rows held out."""
        loss = LOSSES[self._loss_name()]
        weights = held_out.sample_weight
        P = self._network().predict(held_out.X)
        if self.scoring is None:
            score = self._default_score(held_out.y, self._decode(P), weights)
        elif self.scoring != "loss":
            bare = copy.copy(self)  # the rows are plain arrays: names would make predict warn
            vars(bare).pop("feature_names_in_", None)
            weighted = {} if weights is None else {"sample_weight": weights}
            score = check_scoring(bare, self.scoring)(bare, held_out.X, held_out.y, **weighted)
        value = loss.function(P, held_out.Y, weights) * loss.share(self.n_outputs_)
        return float(-value if self.scoring == "loss" else score), value

    def _prepare_next_epoch(self, policy):
        """Set the learning rate of the next epoch; False if there is to be none."""
        optimizer = self._optimizer
        optimizer.learning_rate = policy.after_epoch(optimizer.learning_rate, self.t_)
        if self._no_improvement_count <= self.n_iter_no_change:
            return True
        rate = policy.on_plateau(optimizer.learning_rate)
        if self.verbose:
            what = "Validation score" if self.early_stopping else "Training loss"
            then = "Stopping." if rate is None else f"Setting learning rate to {rate:f}"
            print(f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} epochs. {then}")
        if rate is None:
            return False
        optimizer.learning_rate, self._no_improvement_count = rate, 0
        return True

    def _diverged(self, what):
        return ValueError(
            "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
            f"preprocessed. {what}: scale the inputs (for example with StandardScaler) or lower learning_rate_init "
            f"(now {self.learning_rate_init:g})."
        )

    # What comes out

    def _network(self):
        return Network(self.coefs_, self.intercepts_, self._activations, self.out_activation_)

    def _validate_predict(self, X):
        check_is_fitted(self)
        return validate_data(self, X, reset=False, accept_sparse="csr")

    def predict(self, X):
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
        return self._decode(self._network().predict(X))

    def _has_partial_fit(self):
        if self.solver not in OPTIMIZERS:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def __getstate__(self):
        # The moments of the optimizer are twice the weights. They serve partial_fit in this process; a copy
        # that goes on training starts them at zero.
        return {key: value for key, value in super().__getstate__().items() if key != "_optimizer"}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

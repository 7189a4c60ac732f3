"""A run of a stochastic solver: what it starts from, how each epoch is judged, when it ends."""

import copy
import warnings
from inspect import signature
from math import isfinite
from numbers import Real
from time import perf_counter
from typing import NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring

from ._callbacks import Tasks, going_on
from ._errstate import users_code
from ._magnitudes import ways_out
from ._rows import mini_batches, split_off
from .engine.backprop import Backprop
from .engine.optimizers import OPTIMIZERS
from .engine.params import Params
from .engine.schedules import DROPOUT_SCHEDULES, LEARNING_RATES, warm_up
from .engine.training import epochs

INTERRUPTED = "Training interrupted by user."
EXPLODED = 1e6  # times the loss of the first epoch: not yet beyond the floats, and no network any more
JUDGED = 1000  # training rows that convergence is judged on where there is noise, at most: a forward pass an epoch
BOOKS = {  # what a training keeps on the estimator, from epoch to epoch
    "_no_improvement_count",
    "best_loss_",
    "best_validation_score_",
    "dropout_",
    "dropout_curve_",
    "loss_",
    "loss_curve_",
    "n_iter_",
    "t_",
    "validation_loss_curve_",
    "validation_scores_",
}


def progress(estimator, rates, seconds):
    """What ``verbose`` prints of an epoch: one line."""
    figures = {"loss": estimator.loss_}
    if getattr(estimator, "validation_scores_", None):
        figures["validation loss"] = estimator.validation_loss_curve_[-1]
        if estimator._watched() != "loss":
            figures["validation score"] = estimator.validation_scores_[-1]
    columns = [f"{name} {figure:.5f}" for name, figure in figures.items()]
    columns += [f"{name} {rate:.3g}" for name, rate in rates.items()]
    width = len(str(estimator.max_iter))
    return "  ".join([f"Iteration {estimator.n_iter_:{width}}/{estimator.max_iter}", *columns, f"{seconds:.2f} s"])


class Model(NamedTuple):
    """What is trained: the parameters, the running moments of batch normalisation, and what the layers are."""

    params: Params
    moments: list
    specs: list


class Start(NamedTuple):
    """What a training starts from."""

    fresh: bool  # whether the weights are new
    incremental: bool  # whether this is one ``partial_fit``
    rates: tuple  # the dropout rates that the weights come from
    marks: dict | None = None  # what tells this fit from others, if there are checkpoints
    drawn_from: tuple | None = None  # the random state before the first draw, if there are checkpoints
    saved: tuple = (None, None)  # the estimator and the progress in the checkpoint that is gone on from

    @property
    def progress(self):
        return self.saved[1]

    def known(self, estimator):
        """What every checkpoint of this fit says."""
        callbacks = [callback._how_far(estimator) for callback in going_on(estimator)]
        return {"marks": self.marks, "drawn_from": self.drawn_from, "callbacks": callbacks}


class Training:
    """Epochs until the loss, or the score of rows held out, has stopped improving.

    It trains `model` in place and keeps the books on `estimator`: ``loss_curve_``, ``validation_scores_`` and the like.

    Parameters
    ----------
    estimator : BaseDropoutMLP
        The one being fitted.
    model : Model
    rows : Rows
        The training rows.
    held_out : Rows or None
        The user's validation rows.
    streams : (RandomState, Generator or None)
        For the rows, and for the masks if there is noise.
    start : Start
    tasks : Tasks, default=None
        What callbacks are told of each epoch.
    """

    def __init__(self, estimator, model, rows, held_out, streams, start, tasks=None):
        self.estimator, self.model, self.rows = estimator, model, rows
        self.start, self.fresh, self.incremental, self.rates = start, start.fresh, start.incremental, start.rates
        self.tasks = tasks or Tasks()
        self.random_state, self.masks = streams
        params, specs = model.params, model.specs
        train, self.held_out = np.arange(rows.X.shape[0]), held_out
        if estimator.early_stopping and held_out is None:
            stratify = is_classifier(estimator) and estimator.n_outputs_ == 1
            train, self.held_out = split_off(rows, estimator.validation_fraction, stratify, self.random_state)
        self.batches = mini_batches(
            rows,
            train,
            estimator.batch_size,
            params.dtype,
            estimator.shuffle,
            merge=self.masks is not None and not self.incremental,  # a call may be one batch of a longer pass
        )
        self.backprop = Backprop(
            params,
            specs,
            estimator._loss_name(),
            self.batches.batch_size,
            alpha=0.0 if estimator.solver == "adamw" else estimator.alpha,
            l1_ratio=estimator.l1_ratio,
            max_norm=estimator.max_norm,
            batch_norm=estimator.batch_norm or None,
            moments=model.moments,
            mask_sharing=estimator.mask_sharing,
            loss_options=estimator._loss_options(),
        )
        self.optimizer = estimator._optimizer = self._start_optimizer()
        listens = estimator.solver == "sgd" or estimator.learning_rate in {"cosine", "onecycle"}
        self.policy = LEARNING_RATES[estimator.learning_rate if listens else "constant"](
            estimator.learning_rate_init, estimator.power_t
        )
        schedule = estimator.dropout_schedule
        self.dropout_factor = users_code()(schedule) if callable(schedule) else DROPOUT_SCHEDULES[schedule]
        # Losses under different rates cannot be compared, so a schedule runs to its end
        self.to_the_end = self.policy.moves or (schedule != "constant" and bool(self.backprop.noises))
        self.scheduled = self.to_the_end or estimator.warmup_fraction > 0
        # The loss of an epoch with noise scatters by more than `tol`, and its least value is soon out of reach
        noisy = bool(self.backprop.noises) and not (estimator.early_stopping or self.to_the_end or self.incremental)
        patient = estimator.n_iter_no_change >= estimator.max_iter  # patience cannot run out
        self.judge_by = self._some_rows() if noisy and not patient else None
        if estimator.batch_norm and self.batches.batch_size == 1:
            warnings.warn("batch_norm learns nothing from batches of one row: give it larger batches.")
        self._start_curves()
        self.n_done = 0  # epochs, by the fit that this one takes up
        if estimator.early_stopping:
            self.best_weights = copy.deepcopy((params.vector, model.moments, self.rates))
        if start.progress:
            self._go_on()
        if start.marks is not None:
            self.tasks.progress = self.progress

    def run(self):
        estimator, params, moments = self.estimator, self.model.params, self.model.moments
        losses = epochs(
            self.backprop,
            self.optimizer,
            self.batches,
            self.random_state,
            self.masks,
            n_done=self.n_done,
            before_step=self._before_step if self.scheduled else None,
            clip_norm=None if estimator.clip_norm is None else float(estimator.clip_norm),
        )
        n_epochs = 1 if self.incremental else estimator.max_iter
        start = perf_counter()
        try:
            for epoch in range(max(self.n_done, 1), n_epochs + 1):
                self.tasks.begin()
                if epoch > self.n_done:  # or only the end of it, which its checkpoint was written in, comes once more
                    loss = next(losses)
                    estimator.n_iter_ = epoch
                    estimator.t_ += self.batches.n_rows
                    if self._record(loss) and estimator.early_stopping:
                        self.best_weights = copy.deepcopy((params.vector, moments, estimator.dropout_))
                    if estimator.verbose:
                        print(progress(estimator, self._rates_in_force(), perf_counter() - start))
                        start = perf_counter()
                stopped = self.tasks.end(self._as_if_stopped)
                if stopped or not self._prepare_next_epoch():
                    break
            else:
                if not (self.incremental or self.to_the_end):
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
                        "optimization hasn't converged yet.",
                        ConvergenceWarning,
                    )
        except KeyboardInterrupt:
            self.tasks.progress = None  # the checkpoint keeps the last whole epoch
            warnings.warn(INTERRUPTED)
        if estimator.early_stopping and estimator.validation_scores_:
            params.vector[:], moments[:], estimator.dropout_ = self.best_weights
        elif estimator.loss_curve_ and estimator.loss_ > EXPLODED * max(estimator.loss_curve_[0], 1.0):
            warnings.warn(
                f"The training loss rose from {estimator.loss_curve_[0]:.3g} to {estimator.loss_:.3g}, the training "
                f"diverges: {ways_out(estimator, self.rows)}.",
                ConvergenceWarning,
            )

    def progress(self):
        """All that the rest of the training depends on, the books on the estimator aside."""
        return {
            **self.start.known(self.estimator),
            "vector": self.model.params.vector,
            "moments": self.model.moments,
            "optimizer": vars(self.optimizer),
            "rows": self.batches.rows,
            "random_state": self.random_state.get_state(),
            "masks": self.masks and self.masks.bit_generator.state,
            "best": self.best,
            "best_weights": self.best_weights if self.estimator.early_stopping else None,
        }

    def _go_on(self):
        """Be where the training was that wrote a checkpoint."""
        estimator, (saved, progress) = self.estimator, self.start.saved
        for name in BOOKS & set(vars(saved)):
            setattr(estimator, name, getattr(saved, name))
        self.model.params.vector[:] = progress["vector"]
        for moments, known in zip(self.model.moments, progress["moments"], strict=True):
            for moment, value in zip(moments, known, strict=True):
                moment[...] = value
        vars(self.optimizer).update(progress["optimizer"])
        self.random_state.set_state(progress["random_state"])
        if self.masks is not None:
            self.masks.bit_generator.state = progress["masks"]
        self.batches.rows, self.best, self.best_weights = (progress[name] for name in ("rows", "best", "best_weights"))
        self.n_done = estimator.n_iter_

    def _start_optimizer(self):
        """A new optimizer, or, to go on with, a copy of the last one."""
        estimator, params = self.estimator, self.model.params
        optimizer = OPTIMIZERS[estimator.solver]
        decay = float(estimator.alpha) if estimator.solver == "adamw" else 0.0
        if self.incremental and isinstance(last := getattr(estimator, "_optimizer", None), optimizer):
            last = copy.deepcopy(last)
            last.factor, last.decay, last.n_decayed = 1.0, decay, params.weights.size
            return last
        if estimator.solver == "sgd":
            settings = estimator.momentum, estimator.nesterovs_momentum
        else:
            settings = estimator.beta_1, estimator.beta_2, estimator.epsilon, decay, params.weights.size
        rate = getattr(estimator, "_learning_rate", None) if self.incremental else None  # of one read from a file
        return optimizer(params.vector.size, params.dtype, rate or estimator.learning_rate_init, *settings)

    def _before_step(self, n_behind):
        """Set the learning rate and the dropout rates for the progress made: 0 at the first step, 1 at the last."""
        n_behind += self.epochs_before * self.batches.n_batches
        n_steps = self.estimator.max_iter * self.batches.n_batches
        t = min(1.0, n_behind / (n_steps - 1)) if n_steps > 1 else 0.0
        warm = warm_up((n_behind + 1) / n_steps, self.estimator.warmup_fraction)
        self.optimizer.factor = warm * self.policy.factor(t)
        if self.backprop.noises:
            rates, factor = [spec.rate for spec in self.model.specs], self.dropout_factor(t)
            if not isinstance(factor, Real) or not 0 <= factor * max(rates) < 1:
                raise ValueError(
                    f"dropout_schedule returned {factor!r} at progress {t:.3g}: it must be a factor that leaves every "
                    f"rate in [0, 1), and the rates are {rates}."
                )
            self.backprop.scale_rates(float(factor))
            self.estimator.dropout_ = tuple(rate * float(factor) for rate in rates)

    def _start_curves(self):
        """The curves to append to; patience starts afresh at every ``fit``."""
        estimator = self.estimator

        def known(name, default):
            value = None if self.fresh else getattr(estimator, name, None)
            return default if value is None else copy.copy(value)

        estimator.n_iter_ = 0
        estimator.loss_curve_, estimator.dropout_curve_ = known("loss_curve_", []), known("dropout_curve_", [])
        self.epochs_before = len(estimator.loss_curve_) if self.incremental else 0
        if self.epochs_before >= estimator.max_iter and self.policy.factor(1.0) < 1e-3:
            warnings.warn(
                f"learning_rate={estimator.learning_rate!r} ended after max_iter={estimator.max_iter} epochs, and "
                "partial_fit changes next to nothing now: set learning_rate='constant', or a larger max_iter."
            )
        estimator.loss_ = estimator.loss_curve_[-1] if estimator.loss_curve_ else np.nan
        estimator.best_loss_ = None if estimator.early_stopping else known("best_loss_", np.inf)
        self.best = estimator.best_loss_ if self.judge_by is None else np.inf
        estimator._no_improvement_count = known("_no_improvement_count", 0) if self.incremental else 0
        curves = known("validation_scores_", []), known("validation_loss_curve_", [])
        estimator.validation_scores_ = estimator.validation_loss_curve_ = estimator.best_validation_score_ = None
        if self.held_out is not None:
            estimator.validation_scores_, estimator.validation_loss_curve_ = curves
            # the weights to go on from are the first to beat, on the rows held out this time
            estimator.best_validation_score_ = -np.inf if self.fresh else self._judge()[0]

    def _record(self, loss):
        """Note how the epoch went; True if no epoch before was as good."""
        estimator = self.estimator
        if not isfinite(loss):
            raise estimator._diverged(self._what_overflowed(loss), self.rows)
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        estimator.dropout_curve_.append(estimator.dropout_)
        if self.held_out is not None:
            best_score, score = estimator.best_validation_score_, self._record_score()
        if estimator.early_stopping:
            stalled, better = score < best_score + estimator.tol, score > best_score
        else:
            judged = loss if self.judge_by is None else self._noise_free_loss()
            stalled, better = judged > self.best - estimator.tol, judged < self.best
            self.best, estimator.best_loss_ = min(judged, self.best), min(loss, estimator.best_loss_)
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if stalled else 0
        return better

    def _what_overflowed(self, loss):
        """A sentence for the step at which an epoch has broken off."""
        where = f"in epoch {self.estimator.n_iter_}, batch {self.batches.position + 1} of {self.batches.n_batches}"
        params = self.model.params
        for i, arrays in enumerate(zip(params.coefs, params.intercepts, strict=True)):
            if not all(isfinite(np.vdot(a, a)) for a in arrays):
                return f"The weights of layer {i + 1} of {len(params.coefs)} overflowed {where}"
        square = getattr(self.optimizer, "square", None)
        if square is not None and not np.isfinite(square).all():
            return f"The square of the gradient overflowed {where}"
        return f"The training loss became {loss} {where}"

    def _record_score(self):
        estimator = self.estimator
        score, loss = self._judge()
        epoch = f"in epoch {estimator.n_iter_}"
        if not isfinite(loss):
            raise estimator._diverged(f"The validation loss became {loss} {epoch}", self.held_out)
        if not isfinite(score):
            raise ValueError(f"The validation score became {score} {epoch}, with scoring={estimator.scoring!r}.")
        estimator.validation_scores_.append(score)
        estimator.validation_loss_curve_.append(loss)
        estimator.best_validation_score_ = max(score, estimator.best_validation_score_)
        return score

    def _rates_in_force(self):
        """The learning rate, and the largest dropout rate if a schedule moves it, for ``verbose``."""
        rates = {"learning rate": self.optimizer.learning_rate * self.optimizer.factor}
        full = max(spec.rate for spec in self.model.specs)
        if full and self.estimator.dropout_schedule != "constant":
            rates["dropout"] = max(self.estimator.dropout_)
        return rates

    def _as_if_stopped(self):
        rows = self.rows if self.held_out is None else self.held_out
        return self.estimator._as_if_stopped(self.model, rows, (self.random_state, self.masks))

    def _judge(self):
        """Score and loss of the weights as they are, without noise, on the rows held out."""
        estimator, rows = self.estimator, self.held_out
        estimator._publish(self.model)
        P = estimator._network().predict(rows.X)
        scoring = estimator._watched()
        y_pred = np.array(estimator._decode(P)) if scoring is None else None  # before the loss overwrites P
        loss = self._loss(P, rows.Y, rows.sample_weight)
        if scoring == "loss" or not isfinite(loss):  # scorers would refuse the predictions, and not say why
            return -loss, loss
        if scoring is None:
            score = estimator._default_score(rows.y, y_pred, rows.sample_weight)
        else:
            score = self._scorer_says(rows)
        return float(score), loss

    def _loss(self, P, Y, sample_weight):
        """The loss as it is reported, without penalty; it overwrites P."""
        objective = self.backprop.loss
        return objective.function(P, Y, sample_weight) * objective.share(self.estimator.n_outputs_)

    def _some_rows(self):
        """X, Y and weights of training rows, drawn at random if there are many, and the mean weight of a batch."""
        batches, weights = self.batches, self.batches.sample_weight
        rows, total = batches.rows, len(batches.rows)
        if weights is not None:
            rows, total = rows[weights[rows] > 0], float(weights[rows].sum())
        if len(rows) > JUDGED:
            rows = np.random.RandomState(0).choice(rows, JUDGED, replace=False)
        return batches.X[rows], batches.Y[rows], None if weights is None else weights[rows], total / batches.n_batches

    def _noise_free_loss(self):
        """The objective on the rows it is judged by, of the weights as they are."""
        estimator = self.estimator
        X, Y, sample_weight, batch_weight = self.judge_by
        estimator._publish(self.model)
        penalty = self.backprop.add_penalty(batch_weight)  # to a gradient that the next step overwrites
        return self._loss(estimator._network().predict(X), Y, sample_weight) + penalty

    def _scorer_says(self, rows):
        """The user's score of the rows held out; their weights are for the scorers that take them."""
        bare = copy.copy(self.estimator)  # the rows are plain arrays: names would make predict warn
        vars(bare).pop("feature_names_in_", None)
        bare._estimate_noise(rows)  # for scorers of distributions
        scorer = check_scoring(bare, bare.scoring)
        taken = signature(getattr(scorer, "_score_func", scorer)).parameters
        weighted = {"sample_weight": rows.sample_weight} if "sample_weight" in taken else {}
        try:
            with users_code():
                return float(scorer(bare, rows.X[:], rows.y, **(weighted if rows.sample_weight is not None else {})))
        except (ValueError, TypeError) as error:
            raise ValueError(f"scoring={bare.scoring!r} failed on the rows held out: {error}") from error

    def _prepare_next_epoch(self):
        """Set the learning rate of the next epoch; False if there is to be none."""
        estimator, optimizer = self.estimator, self.optimizer
        optimizer.learning_rate = self.policy.after_epoch(optimizer.learning_rate, estimator.t_)
        if self.to_the_end or estimator._no_improvement_count <= estimator.n_iter_no_change:
            return True
        rate = self.policy.on_plateau(optimizer.learning_rate)
        if estimator.verbose:
            what = "Validation score" if estimator.early_stopping else "Training loss"
            then = "Stopping." if rate is None else f"Setting learning rate to {rate:f}"
            patience = f"tol={estimator.tol:f} for {estimator.n_iter_no_change} epochs"
            print(f"{what} did not improve more than {patience}. {then}")
        if rate is None:
            return False
        optimizer.learning_rate, estimator._no_improvement_count = rate, 0
        return True

"""A run of a stochastic solver: what it starts from, how each epoch is judged, when it ends."""

import copy
import warnings
from inspect import signature
from itertools import islice
from math import isfinite
from numbers import Real
from operator import gt
from statistics import fmean
from time import perf_counter
from typing import NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring

from ._callbacks import Tasks, going_on
from ._checkpoint import continue_from
from ._codec import SequenceOf, check, report_damage
from ._errstate import user_errstate
from ._magnitudes import suggest_fixes
from ._rows import mini_batches, split_validation
from ._scaling import column_exponents, target_scale
from ._spec import learning_rate_settings
from ._validation import describe_absent_classes, score_of_known_classes
from .engine.backprop import Backprop
from .engine.dropout import DROPOUTS
from .engine.dropout.base import is_multiplicative
from .engine.losses import LOSSES
from .engine.optimizers import OPTIMIZERS, resume
from .engine.params import Params
from .engine.schedules import DROPOUT_SCHEDULES, LEARNING_RATES, warm_up
from .engine.training import epochs

INTERRUPTED = "Training interrupted by user."
EXPLODED = 1e6  # times the loss of the first epoch: not yet beyond the floats, and no network any more
WORSE = 1.05  # times the loss of the best constant prediction, which a network that learned nothing may slightly exceed
NARROW = 0.1  # standard deviation of targets that the network is slow to resolve: its output starts with about 1
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
# attributes that a fit by lbfgs does not have
STOCHASTIC = (BOOKS - {"dropout_", "loss_", "n_iter_", "t_"}) | {
    "_input_exponents",
    "_learning_rate",
    "_optimizer",
    "_rate_settings",
}
RECALIBRATED = 10  # maximum number of batches from which new running moments of batch normalization are computed


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


def constant_loss(objective, Y, sample_weight, n_outputs):
    """The loss of the best constant prediction, scaled as in the loss curves."""
    return objective.reporting_scale(n_outputs) * objective.constant_loss(Y, sample_weight, n_outputs)


def all_the_same(Y, sample_weight):
    """Whether all targets that have weight are equal."""
    Y = Y if sample_weight is None else Y[sample_weight > 0]
    return bool((Y[:1] == Y).all())


def worse_than_constant(estimator, model, rows, X, Y, sample_weight):
    """A warning, in a list, if the network predicts these training rows worse than a constant; else an empty list."""
    estimator._publish(model)
    objective = LOSSES[estimator._loss_name()].bind(**estimator._loss_options())
    constant = constant_loss(objective, Y, sample_weight, estimator.n_outputs_)
    loss = objective.reporting_scale(estimator.n_outputs_) * objective.function(
        estimator._network().predict(X), Y, sample_weight
    )
    if not loss > WORSE * constant or all_the_same(Y, sample_weight):
        return []
    diverges = estimator.loss_ > (getattr(estimator, "loss_curve_", None) or [np.inf])[0]
    ways = suggest_fixes(estimator, rows, diverges)
    if estimator.out_activation_ == "identity" and (spread := Y.std(axis=0, dtype=float).max()) < NARROW:
        ways = f"scale y, whose standard deviation is {spread:.3g} (with TransformedTargetRegressor), {ways}"
    sentence = (
        "The network predicts its training rows worse than a constant: its loss without dropout is "
        f"{loss:.3g}, and that of the best constant is {constant:.3g}. To learn, {ways}."
    )
    return [sentence]


class Model(NamedTuple):
    """What is trained: the parameters, the running moments of batch normalisation, and what the layers are.

    With ``input_exponents`` k, the parameters are those of a network whose input column j is X_j / 2^k_j.
    """

    params: Params
    moments: list
    specs: list
    input_exponents: np.ndarray | None = None
    assigned: str = "nothing"  # what a user has assigned; the running moments may not match such weights


class Start(NamedTuple):
    """What a training starts from."""

    fresh: bool  # whether the weights are new
    incremental: bool  # whether this is one ``partial_fit``
    rates: tuple  # the dropout rates that the weights come from
    marks: dict | None = None  # what tells this fit from others, if there are checkpoints
    drawn_from: tuple | None = None  # the random state before the first draw, if there are checkpoints
    saved: tuple = (None, None, None)  # the estimator, the progress and the path of the checkpoint to resume from

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
            known = None if self.fresh else estimator._known_split()
            train, self.held_out, mask = split_validation(
                rows, estimator.validation_fraction, stratify, self.random_state, known
            )
            estimator._validation_mask = len(mask), np.packbits(mask)
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
        policy = LEARNING_RATES[estimator.learning_rate]
        if policy.sgd_only and estimator.solver != "sgd":
            policy = LEARNING_RATES["constant"]
        self.policy = policy(estimator.learning_rate_init, estimator.power_t)
        self.optimizer, continues = self._start_optimizer()
        self._scale_inputs(train, is_new=not continues)
        schedule = estimator.dropout_schedule
        self.dropout_factor = user_errstate()(schedule) if callable(schedule) else DROPOUT_SCHEDULES[schedule]
        # Losses under different rates cannot be compared, so a schedule runs to its end
        self.to_the_end = self.policy.is_schedule or (schedule != "constant" and bool(self.backprop.noises))
        self.scheduled = self.to_the_end or estimator.warmup_fraction > 0
        # The loss of an epoch with noise scatters by more than `tol`, and its least value is soon out of reach
        noisy = bool(self.backprop.noises) and not (estimator.early_stopping or self.to_the_end or self.incremental)
        patient = estimator.n_iter_no_change >= estimator.max_iter  # patience cannot run out
        self.judge_by = self._some_rows() if noisy and not patient else None
        self.constant_loss = np.inf
        if self.judge_by:
            _, Y, sample_weight, _ = self.judge_by
            self.constant_loss = constant_loss(self.backprop.loss, Y, sample_weight, estimator.n_outputs_)
        self.is_meaningful = True  # whether the last noise-free loss is below that of the best constant prediction
        self.stops_by_loss = estimator._stops_by_loss()
        if estimator.batch_norm and self.batches.batch_size == 1:
            warnings.warn("batch_norm learns nothing from batches of one row: give it larger batches.")
        self._start_curves()
        if model.assigned != "nothing" and not start.progress:
            self._recalibrate()
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
        start, interrupted, what_went_wrong = perf_counter(), False, []
        try:
            for epoch in range(max(self.n_done, 1), n_epochs + 1):
                self.tasks.begin()
                if epoch > self.n_done:  # or only the end of it, which its checkpoint was written in, comes once more
                    loss = next(losses)
                    estimator.n_iter_ = epoch
                    estimator.t_ += self.batches.n_rows
                    if self._record(loss):
                        self.best_weights = copy.deepcopy((params.vector, moments, estimator.dropout_))
                    if estimator.verbose:
                        print(progress(estimator, self._rates_in_force(), perf_counter() - start))
                        start = perf_counter()
                stopped = self.tasks.end(self._as_if_stopped)
                if stopped or not self._prepare_next_epoch():
                    break
            else:
                if not (self.incremental or self.to_the_end):
                    what_went_wrong.append(
                        f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
                        "optimization hasn't converged yet."
                    )
        except KeyboardInterrupt:
            self.tasks.progress, interrupted = None, True  # the checkpoint keeps the last whole epoch
            warnings.warn(INTERRUPTED)
        if estimator.early_stopping and estimator.validation_scores_:
            params.vector[:], moments[:], estimator.dropout_ = self.best_weights
        elif estimator.loss_curve_ and estimator.loss_ > EXPLODED * max(estimator.loss_curve_[0], 1.0):
            warnings.warn(
                f"The training loss rose from {estimator.loss_curve_[0]:.3g} to {estimator.loss_:.3g}, the training "
                f"diverges: {suggest_fixes(estimator, self.rows)}.",
                ConvergenceWarning,
            )
            interrupted = True
        if not (self.incremental or interrupted or self.tasks.stopped):
            X, Y, sample_weight, _ = self.judge_by or self._some_rows()
            what_went_wrong += worse_than_constant(estimator, self.model, self.rows, X, Y, sample_weight)
        for sentence in what_went_wrong:
            warnings.warn(sentence, ConvergenceWarning)

    def progress(self):
        """All that the rest of the training depends on, the books on the estimator aside."""
        return {
            **self.start.known(self.estimator),
            "vector": self.model.params.vector,
            "moments": self.model.moments,
            "optimizer": vars(self.optimizer),
            "input_exponents": self.model.input_exponents,
            "rows": self.batches.rows,
            "random_state": self.random_state.get_state(),
            "masks": self.masks and self.masks.bit_generator.state,
            "best": self.best,
            "recent": self.recent,
            "best_weights": self.best_weights if self.estimator.early_stopping else None,
        }

    def _go_on(self):
        """Restore the state of the training that wrote a checkpoint."""
        saved, known, path = self.start.saved
        with report_damage(path):
            now = self.progress()
            progress = {name: known[name] for name in now.keys() - self.start.known(self.estimator).keys()}
            expected = now | {"recent": SequenceOf((0.0, 0.0)), "optimizer": dict}  # `continue_from` checks the second
            check(progress, {name: expected[name] for name in progress}, "the training")
            if not np.array_equal(np.sort(progress["rows"]), np.sort(now["rows"])):
                raise ValueError("the training rows are others")
            for name in BOOKS & set(vars(saved)):
                if (getattr(saved, name) is None) != (getattr(self.estimator, name) is None):
                    raise ValueError(f"{name} is {getattr(saved, name)!r}")
            self._restore(saved, progress)

    def _restore(self, saved, progress):
        estimator = self.estimator
        for name in BOOKS & set(vars(saved)):
            setattr(estimator, name, getattr(saved, name))
        self.model.params.vector[:] = progress["vector"]
        for moments, known in zip(self.model.moments, progress["moments"], strict=True):
            for moment, value in zip(moments, known, strict=True):
                moment[...] = value
        continue_from(self.optimizer, progress["optimizer"])
        self.random_state.set_state(progress["random_state"])
        if self.masks is not None:
            self.masks.bit_generator.state = progress["masks"]
        self.batches.rows, self.best, self.best_weights = (progress[name] for name in ("rows", "best", "best_weights"))
        self.recent = progress["recent"]
        self.n_done = estimator.n_iter_

    def _scale_inputs(self, train, is_new):
        """Scale large columns if there is noise; a stream keeps its first scaling."""
        estimator, model, rows = self.estimator, self.model, self.rows
        known = vars(estimator).pop("_input_exponents", None)
        exponents = None if is_new else known
        first = model.specs[0]
        commutes = first.rate == 0 or is_multiplicative(DROPOUTS[first.dropout])  # sampling needs no scaling
        if is_new and self.masks is not None and commutes:
            scale = 1.0
            if LOSSES[estimator._loss_name()].output == "identity":
                scale = target_scale(rows.Y, rows.sample_weight, train)
            exponents = column_exponents(rows, train, scale, model.params.dtype)
        if exponents is not None:
            W = model.params.coefs[0]
            if not self.fresh:  # new weights are drawn for columns of moderate size
                np.ldexp(W, exponents[:, np.newaxis], out=W)
            self.model = model._replace(input_exponents=exponents)
            self.batches.scale = np.ldexp(np.ones(len(exponents), W.dtype), -exponents)

    def _start_optimizer(self):
        """An optimizer with the current settings, and whether it continues with the state of the last one."""
        estimator, params = self.estimator, self.model.params
        known = vars(estimator)
        last, rate = known.pop("_optimizer", None), known.pop("_learning_rate", None)  # files may hold only the second
        then, now = known.get("_rate_settings"), learning_rate_settings(known)
        estimator._rate_settings = now
        kind = OPTIMIZERS[estimator.solver]
        settings = [getattr(estimator, name) for name in getattr(kind, "settings", ())]
        if estimator.solver == "adamw":
            settings += float(estimator.alpha), params.weights.size
        optimizer = kind(params.vector.size, params.dtype, estimator.learning_rate_init, *settings)
        if self.incremental:
            reached = rate if last is None else last.learning_rate
            resumed = reached is not None and then == now
            if resumed:
                optimizer.learning_rate = reached
            if estimator.t_ > 0 and (self.policy.uses_n_rows or not resumed):
                optimizer.learning_rate = self.policy.after_epoch(optimizer.learning_rate, estimator.t_)
            if type(last) is type(optimizer):
                resume(optimizer, last)
        return optimizer, self.incremental and type(last) is type(optimizer)

    def _recalibrate(self):
        """Compute the running moments for assigned weights from the first batches of this call.

        With the moments of other weights, the first steps would normalize the assigned weights away.
        """
        if self.scheduled:
            self._before_step(0)
        batches, streams = copy.copy(self.batches), copy.deepcopy((self.random_state, self.masks))
        self.backprop.recalibrate(
            islice(batches.epoch(streams[0]), RECALIBRATED), streams[1], keep_close=self.model.assigned == "all"
        )

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
        self.best, self.recent = (estimator.best_loss_,) if self.judge_by is None else (np.inf, np.inf), []
        estimator._no_improvement_count = known("_no_improvement_count", 0) if self.incremental else 0
        curves = known("validation_scores_", []), known("validation_loss_curve_", [])
        estimator.validation_scores_ = estimator.validation_loss_curve_ = estimator.best_validation_score_ = None
        if self.held_out is not None:
            estimator.validation_scores_, estimator.validation_loss_curve_ = curves
            # the score of the initial weights on the current validation set is the first to beat
            score, loss = (-np.inf, np.inf) if self.fresh else self._judge()
            estimator.best_validation_score_ = score
            if estimator.early_stopping:
                self.best = -loss if self.stops_by_loss else score

    def _record(self, loss):
        """Record an epoch; return whether early stopping keeps its weights, as the best so far."""
        estimator = self.estimator
        if not isfinite(loss):
            raise estimator._diverged(self._what_overflowed(loss), self.rows)
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        estimator.dropout_curve_.append(estimator.dropout_)
        score = None if self.held_out is None else self._record_score()
        if estimator.early_stopping:
            stalled, better = score < self.best + estimator.tol, score > self.best
            self.best = max(score, self.best)
            if better:
                estimator.best_validation_score_ = estimator.validation_scores_[-1]
        else:
            judged = (loss,) if self.judge_by is None else self._recent_losses(loss)
            stalled = self.is_meaningful and all(map(gt, judged, (best - estimator.tol for best in self.best)))
            better, self.best = False, tuple(map(min, judged, self.best))  # without early stopping the last are kept
            estimator.best_loss_ = min(loss, estimator.best_loss_)
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
        """Record score and loss of the validation set; return what early stopping monitors, greater is better."""
        estimator = self.estimator
        score, loss = self._judge()
        epoch = f"in epoch {estimator.n_iter_}"
        if not isfinite(loss):
            raise estimator._diverged(f"The validation loss became {loss} {epoch}", self.held_out)
        if not isfinite(score):
            hint = describe_absent_classes(estimator, self.held_out.y, self.held_out.sample_weight)
            raise ValueError(f"The validation score became {score} {epoch}, with scoring={estimator.scoring!r}.{hint}")
        estimator.validation_scores_.append(score)
        estimator.validation_loss_curve_.append(loss)
        if not estimator.early_stopping:  # with early stopping it is the score of the kept weights
            estimator.best_validation_score_ = max(score, estimator.best_validation_score_)
        return -loss if self.stops_by_loss else score

    def _rates_in_force(self):
        """The learning rate, and the largest dropout rate if a schedule moves it, for ``verbose``."""
        rates = {"learning rate": self.optimizer.learning_rate * self.optimizer.factor}
        full = max(spec.rate for spec in self.model.specs)
        if full and self.estimator.dropout_schedule != "constant":
            rates["dropout"] = max(self.estimator.dropout_)
        return rates

    def _as_if_stopped(self):
        rows = self.rows if self.held_out is None else self.held_out
        fitted = self.estimator._as_if_stopped(self.model, rows, (self.random_state, self.masks))
        fitted["_input_exponents"] = self.model.input_exponents
        return fitted | {"_learning_rate": self.optimizer.learning_rate}  # as in files without the optimizer

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
        return objective.function(P, Y, sample_weight) * objective.reporting_scale(self.estimator.n_outputs_)

    def _some_rows(self):
        """X, Y and weights of training rows, drawn at random if there are many, and the mean weight of a batch."""
        batches, weights = self.batches, self.batches.sample_weight
        rows, total = batches.rows, len(batches.rows)
        if weights is not None:
            rows, total = rows[weights[rows] > 0], float(weights[rows].sum())
        if len(rows) > JUDGED:
            rows = np.random.RandomState(0).choice(rows, JUDGED, replace=False)
        return batches.X[rows], batches.Y[rows], None if weights is None else weights[rows], total / batches.n_batches

    def _recent_losses(self, loss):
        """The noise-free loss and the loss of the epoch, each averaged over the last `n_iter_no_change` epochs.

        Both must stall to end training. The weights vary from epoch to epoch, above all when the rows of a batch share
        one mask: a lucky epoch sets a minimum that the next ones cannot reach. The noise-free loss is also misleading
        while the running moments of batch normalization lag behind the weights. Stopping by single noise-free losses
        cost 1.5 ± 0.9 points of accuracy on seven tables (``benchmarks.convergence``).
        """
        self.recent = [*self.recent, (self._noise_free_loss(), loss)][-self.estimator.n_iter_no_change :]
        return tuple(map(fmean, zip(*self.recent, strict=True)))

    def _noise_free_loss(self):
        """The objective on the rows it is judged by, of the weights as they are."""
        estimator = self.estimator
        X, Y, sample_weight, batch_weight = self.judge_by
        estimator._publish(self.model)
        penalty = self.backprop.add_penalty(batch_weight)  # to a gradient that the next step overwrites
        loss = self._loss(estimator._network().predict(X), Y, sample_weight)
        self.is_meaningful = not loss >= self.constant_loss
        return loss + penalty

    def _scorer_says(self, rows):
        """The user's score of the rows held out; their weights are for the scorers that take them."""
        bare = copy.copy(self.estimator)  # the rows are plain arrays: names would make predict warn
        vars(bare).pop("feature_names_in_", None)
        bare._estimate_noise(rows)  # for scorers of distributions
        scorer = check_scoring(bare, bare.scoring)
        taken = signature(getattr(scorer, "_score_func", scorer)).parameters
        weighted = {"sample_weight": rows.sample_weight} if "sample_weight" in taken else {}
        weighted = weighted if rows.sample_weight is not None else {}
        try:
            with user_errstate():
                return score_of_known_classes(scorer, bare, rows.X[:], rows.y, weighted)
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
            what = "Validation loss" if estimator.early_stopping and self.stops_by_loss else what
            then = "Stopping." if rate is None else f"Setting learning rate to {rate:f}"
            patience = f"tol={estimator.tol:f} for {estimator.n_iter_no_change} epochs"
            print(f"{what} did not improve more than {patience}. {then}")
        if rate is None:
            return False
        optimizer.learning_rate, estimator._no_improvement_count = rate, 0
        return True

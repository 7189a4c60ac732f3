"""Training by a stochastic optimizer: epochs, stopping, and the state for checkpoints."""

import copy
import warnings
from itertools import islice
from math import isfinite
from numbers import Real
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._codec import SequenceOf, check, report_damage
from .._errstate import user_errstate
from .._fitted import attributes_with
from ..engine.optimizers import OPTIMIZERS, SGD, Adam, resume
from ..engine.schedules import DROPOUT_SCHEDULES, LEARNING_RATES, warm_up
from ..engine.training import epochs
from .checks import suggest_fixes
from .convergence import constant_loss, warn_if_worse_than_constant
from .data import mini_batches
from .history import History

INTERRUPTED = "Training interrupted by user."
DIVERGED_RATIO = 1e6  # the training has diverged if the loss exceeds that of the first epoch by this factor
# Rows for the noise-free loss: a fifth of the training rows, between these numbers. They are predicted in each epoch;
# with all of 1000 rows of 784 columns this takes a quarter of the training time.
MIN_CONVERGENCE_ROWS, MAX_CONVERGENCE_ROWS = 200, 1000
RECALIBRATION_BATCHES = 10  # maximum number of batches from which new running moments are computed


class Training:
    """Training by a stochastic optimizer, until the training loss or the validation score stops improving.

    The model of the plan is trained in place.

    Parameters
    ----------
    plan : Plan
    evaluate : callable, default=None
        ``evaluate(history)`` returns the score and the loss of the validation set at the current weights. Required if
        there is a validation set.

    Attributes
    ----------
    history : History
    optimizer : object
        An instance of a class in ``OPTIMIZERS``.
    """

    def __init__(self, plan, evaluate=None):
        settings = plan.settings
        self.plan, self.settings, self.model = plan, settings, plan.model
        self.evaluate = evaluate
        self.random_state, self.masks = plan.random_state, plan.masks
        self.batches = self._mini_batches()
        self.backprop = plan.backprop(self.model.params, self.batches.batch_size)
        self.has_noise = bool(self.backprop.noises)
        self._set_schedules()
        self.optimizer = self._make_optimizer()
        self._choose_convergence_rows()
        self.history = History(plan, noise_free=self.convergence_rows is not None)
        if settings.batch_norm and self.batches.batch_size == 1:
            warnings.warn("batch_norm cannot learn from batches of one row: use a larger batch_size.")
        self.epochs_before = len(self.history.loss_curve_) if plan.incremental else 0
        if self.epochs_before >= settings.max_iter and self.policy.factor(1.0) < 1e-3:
            warnings.warn(
                f"learning_rate={settings.learning_rate!r} ended after max_iter={settings.max_iter} epochs, and "
                "partial_fit now changes almost nothing: set learning_rate='constant', or a larger max_iter."
            )
        if plan.held_out is not None:
            score, loss = (-np.inf, np.inf) if plan.fresh else evaluate(self.history)
            self.history.start_validation(score, loss)
        if self.model.assigned != "nothing" and plan.resume_from is None:
            self._recalibrate()
        self.n_done = 0  # number of epochs trained before the interruption
        self.best_weights = self._copy_weights(plan.initial_rates) if settings.early_stopping else None
        if plan.resume_from is not None:
            self._resume()

    def _mini_batches(self):
        """Return the mini-batches of the training rows, with scaled inputs."""
        plan, settings = self.plan, self.settings
        batches = mini_batches(
            plan.rows,
            plan.train,
            settings.batch_size,
            plan.dtype,
            settings.shuffle,
            merge=self.masks is not None and not plan.incremental,  # a partial_fit may be one batch of an epoch
        )
        if self.model.input_exponents is not None:
            ones = np.ones(len(self.model.input_exponents), plan.dtype)
            batches.scale = np.ldexp(ones, -self.model.input_exponents)
        return batches

    def _set_schedules(self):
        """Set the schedules of the learning rate and of the dropout rates."""
        settings = self.settings
        policy = LEARNING_RATES[settings.learning_rate]
        if policy.sgd_only and settings.solver != "sgd":
            policy = LEARNING_RATES["constant"]
        self.policy = policy(settings.learning_rate_init, settings.power_t)
        schedule = settings.dropout_schedule
        self.dropout_factor = user_errstate()(schedule) if callable(schedule) else DROPOUT_SCHEDULES[schedule]
        # losses at different rates are not comparable, so a schedule always runs to its end
        self.runs_full_schedule = self.policy.is_schedule or (schedule != "constant" and self.has_noise)
        self.uses_schedule = self.runs_full_schedule or settings.warmup_fraction > 0

    def _make_optimizer(self):
        """Return a new optimizer with the current settings; in ``partial_fit`` it continues the previous one."""
        plan, settings, previous = self.plan, self.settings, self.plan.previous
        optimizer_class = OPTIMIZERS[settings.solver]
        arguments = [getattr(settings, name) for name in getattr(optimizer_class, "settings", ())]
        if settings.solver == "adamw":
            arguments += float(settings.alpha), self.model.params.weights.size
        optimizer = optimizer_class(self.model.params.vector.size, plan.dtype, settings.learning_rate_init, *arguments)
        if plan.incremental:
            last, t = previous.get("_optimizer"), previous.get("t_", 0)
            learning_rate = previous.get("_learning_rate") if last is None else last.learning_rate
            keeps_rate = learning_rate is not None and previous.get("_rate_settings") == plan.rate_settings
            if keeps_rate:
                optimizer.learning_rate = learning_rate
            if t > 0 and (self.policy.uses_n_rows or not keeps_rate):
                optimizer.learning_rate = self.policy.after_epoch(optimizer.learning_rate, t)
            if type(last) is type(optimizer):
                resume(optimizer, last)
        return optimizer

    def _choose_convergence_rows(self):
        """Choose the training rows for the noise-free loss, if convergence depends on it.

        The training loss with dropout varies by more than `tol` between epochs, so that its minimum is soon out of
        reach.
        """
        settings = self.settings
        self.convergence_rows = None
        self.constant_loss = np.inf
        self.is_meaningful = True  # whether the last noise-free loss is below that of the best constant prediction
        stops_by_noisy_loss = self.has_noise and not (
            settings.early_stopping or self.runs_full_schedule or self.plan.incremental
        )
        if stops_by_noisy_loss and settings.n_iter_no_change < settings.max_iter:  # the patience can run out
            self.convergence_rows = self._sample_rows()
            _, Y, sample_weight, _ = self.convergence_rows
            self.constant_loss = constant_loss(self.plan, Y, sample_weight)

    def _sample_rows(self):
        """Return X, Y and weights of the training rows for the noise-free loss, and the mean weight of a batch."""
        batches, weights = self.batches, self.batches.sample_weight
        rows = batches.rows
        total = len(rows) if weights is None else float(weights[rows].sum())
        if weights is not None:
            rows = rows[weights[rows] > 0]
        n_rows = min(max(len(rows) // 5, MIN_CONVERGENCE_ROWS), MAX_CONVERGENCE_ROWS)
        if len(rows) > n_rows:
            rows = np.random.RandomState(0).choice(rows, n_rows, replace=False)
        sample_weight = None if weights is None else weights[rows]
        return batches.X[rows], batches.Y[rows], sample_weight, total / batches.n_batches

    def _recalibrate(self):
        """Compute the running moments for assigned weights from the first batches of this call.

        With running moments of other weights, the first steps would destroy the assigned weights.
        """
        if self.uses_schedule:
            self._before_step(0)
        batches = copy.copy(self.batches)
        random_state, masks = copy.deepcopy((self.random_state, self.masks))
        self.backprop.recalibrate(
            islice(batches.epoch(random_state), RECALIBRATION_BATCHES),
            masks,
            keep_close=self.model.assigned == "all",
        )

    # Training

    def run(self, tasks):
        """Train until convergence, the end of the schedule or `max_iter`.

        Parameters
        ----------
        tasks : Tasks
            Notified of each epoch; may stop the training.
        """
        plan, settings, history = self.plan, self.settings, self.history
        losses = epochs(
            self.backprop,
            self.optimizer,
            self.batches,
            self.random_state,
            self.masks,
            n_done=self.n_done,
            before_step=self._before_step if self.uses_schedule else None,
            clip_norm=None if settings.clip_norm is None else float(settings.clip_norm),
        )
        n_epochs = 1 if plan.incremental else settings.max_iter
        start, converged = perf_counter(), True
        try:
            for epoch in range(max(self.n_done, 1), n_epochs + 1):
                tasks.begin_epoch()
                if epoch > self.n_done:  # when resuming, epoch n_done is already trained: only its callbacks run
                    self._end_epoch(epoch, next(losses))
                    if settings.verbose:
                        print(history.epoch_line(self._current_rates(), perf_counter() - start))
                        start = perf_counter()
                stopped = tasks.end_epoch(self)
                if stopped or not self._prepare_next_epoch():
                    break
            else:
                converged = plan.incremental or self.runs_full_schedule
        except KeyboardInterrupt:
            history.interrupted = True
            warnings.warn(INTERRUPTED)
        diverged = self._finish()
        if not converged:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({settings.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
            )
        if not (plan.incremental or history.interrupted or diverged or tasks.stopped):
            X, Y, sample_weight, _ = self.convergence_rows or self._sample_rows()
            warn_if_worse_than_constant(plan, history, plan.rows, X, Y, sample_weight)

    def _end_epoch(self, epoch, loss):
        """Record an epoch and update the patience."""
        plan, history = self.plan, self.history
        history.n_iter_ = epoch
        history.t_ += self.batches.n_rows
        if not isfinite(loss):
            raise plan.divergence_error(self._describe_overflow(loss), plan.rows)
        history.add_epoch(loss)
        if plan.held_out is not None:
            score, validation_loss = self.evaluate(history)
            if not isfinite(validation_loss):
                raise plan.divergence_error(
                    f"The validation loss became {validation_loss} in epoch {epoch}", plan.held_out
                )
            history.add_validation(score, validation_loss)
        noise_free_loss = None if self.convergence_rows is None else self._noise_free_loss()
        if history.update_patience(noise_free_loss, self.is_meaningful):
            self.best_weights = self._copy_weights(history.dropout_)

    def _noise_free_loss(self):
        """Return the objective on the convergence rows, without dropout."""
        X, Y, sample_weight, batch_weight = self.convergence_rows
        penalty = self.backprop.add_penalty(batch_weight)  # the gradient is not used
        loss = self.plan.reported_loss(self.plan.network().predict(X), Y, sample_weight)
        self.is_meaningful = not loss >= self.constant_loss
        return loss + penalty

    def _copy_weights(self, rates):
        """Return a copy of the weights, the running moments and the dropout rates that they were trained with."""
        return copy.deepcopy((self.model.params.vector, self.model.moments, rates))

    def _describe_overflow(self, loss):
        """Describe the overflow that ended the epoch, for an error message."""
        where = f"in epoch {self.history.n_iter_}, batch {self.batches.position + 1} of {self.batches.n_batches}"
        params = self.model.params
        for i, arrays in enumerate(zip(params.coefs, params.intercepts, strict=True)):
            if not all(isfinite(np.vdot(a, a)) for a in arrays):
                return f"The weights of layer {i + 1} of {len(params.coefs)} overflowed {where}"
        square = getattr(self.optimizer, "square", None)
        if square is not None and not np.isfinite(square).all():
            return f"The square of the gradient overflowed {where}"
        return f"The training loss became {loss} {where}"

    def _before_step(self, n_steps_done):
        """Set the learning rate and the dropout rates by the progress t, 0 at the first step and 1 at the last."""
        n_steps_done += self.epochs_before * self.batches.n_batches
        n_steps = self.settings.max_iter * self.batches.n_batches
        t = min(1.0, n_steps_done / (n_steps - 1)) if n_steps > 1 else 0.0
        warm = warm_up((n_steps_done + 1) / n_steps, self.settings.warmup_fraction)
        self.optimizer.factor = warm * self.policy.factor(t)
        if self.has_noise:
            rates, factor = self.plan.rates, self.dropout_factor(t)
            if not isinstance(factor, Real) or not 0 <= factor * max(rates) < 1:
                raise ValueError(
                    f"dropout_schedule returned {factor!r} at progress {t:.3g}: it must be a factor that leaves every "
                    f"rate in [0, 1), and the rates are {list(rates)}."
                )
            self.backprop.scale_rates(float(factor))
            self.history.dropout_ = tuple(rate * float(factor) for rate in rates)

    def _current_rates(self):
        """Return the learning rate, and the largest dropout rate if a schedule changes it, for ``verbose``."""
        rates = {"learning rate": self.optimizer.learning_rate * self.optimizer.factor}
        if max(self.plan.rates) and self.settings.dropout_schedule != "constant":
            rates["dropout"] = max(self.history.dropout_)
        return rates

    def _prepare_next_epoch(self):
        """Set the learning rate of the next epoch; return False to stop training."""
        settings, history, optimizer = self.settings, self.history, self.optimizer
        optimizer.learning_rate = self.policy.after_epoch(optimizer.learning_rate, history.t_)
        if self.runs_full_schedule or history._no_improvement_count <= settings.n_iter_no_change:
            return True
        rate = self.policy.on_plateau(optimizer.learning_rate)
        if settings.verbose:
            print(history.plateau_line(rate))
        if rate is None:
            if history.stopped_before_loss():
                warnings.warn(
                    f"Early stopping with scoring={settings.scoring!r} ended training in epoch {history.n_iter_}, but "
                    "the validation loss was still decreasing: set scoring='loss', or increase n_iter_no_change.",
                    ConvergenceWarning,
                )
            return False
        optimizer.learning_rate, history._no_improvement_count = rate, 0
        return True

    def _finish(self):
        """Restore the best weights of early stopping, or warn and return True if the training loss has diverged."""
        history, model = self.history, self.model
        if self.settings.early_stopping and history.validation_scores_:
            model.params.vector[:], model.moments[:], history.dropout_ = self.best_weights
        elif history.loss_curve_ and history.loss_ > DIVERGED_RATIO * max(history.loss_curve_[0], 1.0):
            warnings.warn(
                f"The training loss rose from {history.loss_curve_[0]:.3g} to {history.loss_:.3g}: training "
                f"diverges. To fix this, {suggest_fixes(self.plan, self.plan.rows)}.",
                ConvergenceWarning,
            )
            return True
        return False

    # Checkpoints

    def state(self):
        """Return the state from which the training can be resumed, except for the attributes of the history."""
        return {
            "vector": self.model.params.vector,
            "moments": self.model.moments,
            "optimizer": vars(self.optimizer),
            "rows": self.batches.rows,
            "random_state": self.random_state.get_state(),
            "masks": self.masks and self.masks.bit_generator.state,
            "best": self.history.best,
            "recent": self.history.recent,
            "best_weights": self.best_weights,
        }

    def _resume(self):
        """Check the training state in a checkpoint, and restore it."""
        saved, history = self.plan.resume_from, self.history
        with report_damage(saved.path):
            current = self.state()
            state = {name: saved.state[name] for name in current}
            expected = current | {"recent": SequenceOf((0.0, 0.0)), "optimizer": dict}  # its state is checked below
            check(state, expected, "the training")
            if not np.array_equal(np.sort(state["rows"]), np.sort(current["rows"])):
                raise ValueError("the training rows differ")
            for name in attributes_with("history"):
                if name in saved.fitted and (saved.fitted[name] is None) != (getattr(history, name) is None):
                    raise ValueError(f"{name} is {saved.fitted[name]!r}")
            self.model.params.vector[:] = state["vector"]
            for moments, values in zip(self.model.moments, state["moments"], strict=True):
                for moment, value in zip(moments, values, strict=True):
                    moment[...] = value
            load_optimizer_state(self.optimizer, state["optimizer"])
            self.random_state.set_state(state["random_state"])
            if self.masks is not None:
                self.masks.bit_generator.state = state["masks"]
            self.batches.rows, self.best_weights = state["rows"], state["best_weights"]
            history.restore(saved.fitted, state["best"], state["recent"])
            self.n_done = history.n_iter_


def load_optimizer_state(optimizer, state):
    """Check `state`, the ``vars`` of an earlier optimizer, and load it into `optimizer`."""
    if type(optimizer) not in {SGD, Adam}:  # a custom one, with attributes of any type
        check(state, {**dict.fromkeys(state, object), "learning_rate": 0.0, "factor": 1.0}, "the optimizer")
        vars(optimizer).update(state)
        return
    check(state, {**dict.fromkeys(state, Real), **vars(optimizer)}, "the optimizer")
    if state.get("t", 0) < 0 or not all(0 <= state.get(name, 0) < 1 for name in ("beta_1", "beta_2")):
        raise ValueError(f"invalid state of an optimizer: {state!r:.100}")
    vars(optimizer).update(state)

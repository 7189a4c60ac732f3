"""Training by L-BFGS, on all rows at once."""

import warnings
from math import isfinite
from numbers import Integral
from time import perf_counter

import numpy as np

from .._codec import SequenceOf, check, report_damage
from .._sklearn import check_optimize_result
from ..engine.params import Params
from ..engine.training import lbfgs
from .convergence import warn_if_worse_than_constant
from .history import History
from .stochastic import INTERRUPTED


class LBFGS:
    """Training by L-BFGS, in float64 because the line search needs the precision.

    The state of SciPy's optimizer cannot be saved. Checkpoints therefore contain all evaluations, and a resumed run
    replays them.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan):
        self.plan, self.history = plan, History(plan)
        self.saved = {} if plan.resume_from is None else plan.resume_from.state
        if self.saved:
            vector = plan.model.params.vector.astype(np.float64)
            expected = {"n_iter": Integral, "evaluations": SequenceOf((0.0, vector)), "at": vector}
            with report_damage(plan.resume_from.path):
                check({name: self.saved[name] for name in expected}, expected, "the training")
        has_checkpoint = plan.fingerprint is not None  # evaluations are recorded only then
        self.evaluations = list(self.saved.get("evaluations", ())) if has_checkpoint else None
        self.iterate = None

    def state(self):
        """Return the state from which the training can be resumed."""
        return {"n_iter": self.history.n_iter_, "evaluations": self.evaluations, "at": self.iterate}

    def run(self, tasks):
        """Minimize the objective over all rows.

        Parameters
        ----------
        tasks : Tasks
            Notified of each iteration; may stop the training.
        """
        plan, settings, history = self.plan, self.plan.settings, self.history
        rows = plan.rows.astype(np.float64)
        self.tasks = tasks
        self.iteration_start = perf_counter()
        try:
            tasks.begin_epoch()
            params = plan.model.params
            float64_params = Params(params.units, np.float64, params.vector.astype(np.float64))
            result = lbfgs(
                plan.backprop(float64_params, rows.X.shape[0]),
                rows.X,
                rows.Y,
                rows.sample_weight,
                max_iter=settings.max_iter,
                max_fun=settings.max_fun,
                tol=settings.tol,
                after_iteration=self._after_iteration,
                evaluations=self.evaluations,
            )
        except KeyboardInterrupt:
            history.interrupted = True
            warnings.warn(INTERRUPTED)
            return
        if tasks.stopped:  # by a callback
            return
        if not isfinite(result.fun):
            raise plan.divergence_error(f"The training loss became {result.fun} in iteration {result.nit}", rows)
        if not np.isfinite(result.jac).all():
            raise plan.divergence_error(f"The gradient of the training loss overflowed in iteration {result.nit}", rows)
        history.n_iter_ = check_optimize_result("lbfgs", result, settings.max_iter)
        history.loss_ = float(result.fun)
        params.vector[:] = result.x
        warn_if_worse_than_constant(plan, history, rows, rows.X, rows.Y, rows.sample_weight)

    def _after_iteration(self, intermediate_result):
        """Record an iteration; SciPy's callback. Those that a checkpoint contains are only replayed."""
        history = self.history
        n_done = self.saved.get("n_iter", 0)
        self.iterate = intermediate_result.x
        history.n_iter_ += 1
        history.loss_ = float(intermediate_result.fun)
        self.plan.model.params.vector[:] = self.iterate
        if history.n_iter_ < n_done:
            return
        if history.n_iter_ == n_done and not np.array_equal(self.iterate, self.saved["at"]):
            raise ValueError(
                "The results of this machine differ numerically from those in the checkpoint: resume on the machine "
                "that wrote it, or delete the file to start from scratch."
            )
        if self.plan.settings.verbose:
            print(history.epoch_line({}, perf_counter() - self.iteration_start))
            self.iteration_start = perf_counter()
        if self.tasks.end_epoch(self):
            raise StopIteration
        self.tasks.begin_epoch()

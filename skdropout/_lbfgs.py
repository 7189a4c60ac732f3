"""A run of L-BFGS, over all rows at once."""

import warnings
from math import isfinite
from numbers import Integral
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ._codec import SequenceOf, check, report_damage
from ._sklearn import check_optimize_result
from ._training import INTERRUPTED, progress, worse_than_constant
from .engine.backprop import Backprop
from .engine.params import Params
from .engine.training import lbfgs


def minimize(estimator, model, rows, streams, start, tasks):
    """Minimise the objective over all rows, in float64: a line search needs the digits.

    Parameters are those of ``Training``.
    """
    saved = start.progress or {}
    if saved:
        vector = model.params.vector.astype(np.float64)
        expected = {"n_iter": Integral, "evaluations": SequenceOf((0.0, vector)), "at": vector}
        with report_damage(start.saved[2]):
            check({name: saved[name] for name in expected}, expected, "the training")
    evaluations = list(saved.get("evaluations", ())) if start.marks is not None else None
    rows = rows.astype(np.float64)
    estimator.n_iter_, estimator.loss_, began = 0, np.nan, perf_counter()
    at = None
    if start.marks is not None:
        tasks.progress = lambda: (
            start.known(estimator) | {"n_iter": estimator.n_iter_, "evaluations": evaluations, "at": at}
        )

    def after_iteration(intermediate_result):
        nonlocal at, began
        estimator.n_iter_ += 1
        estimator.loss_, at = float(intermediate_result.fun), intermediate_result.x
        model.params.vector[:] = at
        if estimator.n_iter_ < saved.get("n_iter", 0):
            return
        if estimator.n_iter_ == saved.get("n_iter") and not np.array_equal(at, saved["at"]):
            raise ValueError(
                "The results of this machine differ numerically from those in the checkpoint: resume on the machine "
                "that wrote it, or delete the file to start from scratch."
            )
        if estimator.verbose:
            print(progress(estimator, {}, perf_counter() - began))
            began = perf_counter()
        if tasks.end(lambda: estimator._as_if_stopped(model, rows, streams)):
            raise StopIteration
        tasks.begin()

    limits = {"max_iter": estimator.max_iter, "max_fun": estimator.max_fun, "tol": estimator.tol}
    hooks = {"after_iteration": after_iteration, "evaluations": evaluations}
    try:
        tasks.begin()
        backprop = _objective(estimator, model, rows.X.shape[0])
        result = lbfgs(backprop, rows.X, rows.Y, rows.sample_weight, **limits, **hooks)
    except KeyboardInterrupt:
        tasks.progress = None
        warnings.warn(INTERRUPTED)
        return
    if tasks.stopped:  # by a callback, at the last iterate
        return
    if not isfinite(result.fun):
        raise estimator._diverged(f"The training loss became {result.fun} in iteration {result.nit}", rows)
    if not np.isfinite(result.jac).all():
        raise estimator._diverged(f"The gradient of the training loss overflowed in iteration {result.nit}", rows)
    estimator.n_iter_ = check_optimize_result("lbfgs", result, estimator.max_iter)
    estimator.loss_ = float(result.fun)
    model.params.vector[:] = result.x
    for sentence in worse_than_constant(estimator, model, rows, rows.X, rows.Y, rows.sample_weight):
        warnings.warn(sentence, ConvergenceWarning)


def _objective(estimator, model, n_rows):
    """The backward pass over so many rows, for a copy of the parameters."""
    params = Params(model.params.units, np.float64, model.params.vector.astype(np.float64))
    return Backprop(
        params,
        model.specs,
        estimator._loss_name(),
        n_rows,
        alpha=estimator.alpha,
        loss_options=estimator._loss_options(),
    )

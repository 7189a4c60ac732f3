"""The training loops: epochs of mini-batches, and L-BFGS. They know nothing of the model, nor the model of them."""

from functools import partial
from itertools import count
from math import inf, isfinite, sqrt

import numpy as np
import scipy.optimize
from scipy.sparse import issparse


class Batches:
    """The mini-batches of an epoch, gathered and cast into buffers that are used again.

    X may be of any numeric dtype, memory-mapped or CSR: only one batch at a time is copied.

    Parameters
    ----------
    X : ndarray or CSR of shape (n, n_features)
    Y : ndarray of shape (n,) or (n, n_outputs)
    sample_weight : ndarray of shape (n,) or None
    rows : ndarray of int
        The rows of X to train on.
    batch_size : int
    dtype : numpy dtype
        Of the parameters.
    shuffle : bool
    n_drawn : int, default=None
        Draw the orders of so many rows and keep to the one given: for rows that stand for more rows than they are.

    Attributes
    ----------
    scale : ndarray of shape (n_features,) or None
        Factor for each column of X in a batch; None (the initial value) for 1.
    """

    def __init__(self, X, Y, sample_weight, rows, batch_size, dtype, shuffle, n_drawn=None):
        self.X, self.Y, self.sample_weight, self.scale = X, Y, sample_weight, None
        self.rows, self.batch_size, self.dtype, self.shuffle = rows, batch_size, dtype, shuffle
        self.n_rows, self.ordered = n_drawn or len(rows), n_drawn is not None
        self.n_batches, self.position = -(-len(rows) // batch_size), 0
        self._buffer = None if issparse(X) else np.empty((batch_size, X.shape[1]), dtype)

    def epoch(self, random_state):
        """Yield (X, Y, sample_weight) of each batch; one whose weights are all zero teaches nothing and is left out."""
        if self.shuffle:
            order = np.arange(self.n_rows)
            random_state.shuffle(order)
            if not self.ordered:
                self.rows = self.rows[order]  # shuffles the last order, not the first: scikit-learn's numbers
        for position in range(self.n_batches):
            self.position = position
            rows = self.rows[position * self.batch_size :][: self.batch_size]
            sample_weight = None if self.sample_weight is None else self.sample_weight[rows]
            if sample_weight is None or sample_weight.any():
                yield self._gather(rows), self.Y[rows], sample_weight

    def _gather(self, rows):
        if self._buffer is None:
            batch = self.X[rows].astype(self.dtype, copy=False)
            if self.scale is not None:
                batch.data *= self.scale[batch.indices]
            return batch
        batch = self._buffer[: len(rows)]
        if self.X.dtype == self.dtype:
            # mode="clip" writes straight into `out`; the default one goes through a temporary
            np.take(self.X, rows, axis=0, out=batch, mode="clip")
        else:
            batch[:] = self.X[rows]
        if self.scale is not None:
            batch *= self.scale
        return batch


def epochs(backprop, optimizer, batches, random_state, rng, *, n_done=0, before_step=None, clip_norm=None):
    """Train, yielding the mean loss of one epoch after another; the caller says when to stop.

    ``before_step(n)`` is told that n batches lie behind, those of `n_done` epochs included. `clip_norm` bounds the norm
    of the gradient. A loss that is not finite, or NaN for a step that overflows, is yielded at once:
    ``batches.position`` says at which batch.
    """
    share = backprop.loss.share(backprop.params.units[-1])
    for epoch in count(n_done):  # pragma: no branch (it has no end)
        total, n_rows = 0.0, 0
        for X, Y, sample_weight in batches.epoch(random_state):
            if before_step is not None:
                before_step(epoch * batches.n_batches + batches.position)
            data, weight_sum = backprop.data_loss_and_grad(X, Y, sample_weight, rng)
            penalty = _step(backprop, optimizer, weight_sum, clip_norm) if isfinite(data) else 0.0
            loss = data * share + penalty
            total += loss * X.shape[0]
            n_rows += X.shape[0]
            if not isfinite(loss):
                break
        yield total / n_rows


def _step(backprop, optimizer, weight_sum, clip_norm):
    """One step of the optimizer on the gradient of the objective; the penalty, NaN if the step has overflowed."""
    params, gradient = backprop.params.vector, backprop.gradient
    if clip_norm is None:
        penalise = partial(backprop.penalty.add, params, gradient, weight_sum)
        penalty = optimizer.step(params, gradient, penalise)
    else:  # its norm must be known before the first chunk is done
        penalty = backprop.add_penalty(weight_sum)
        clip(gradient, clip_norm)
        penalty += optimizer.step(params, gradient)
    backprop.constrain()
    return penalty


def clip(gradient, bound):
    """Scale the gradient down to the norm `bound` if it is longer (Pascanu et al., 2013)."""
    norm = sqrt(float(np.dot(gradient, gradient)))
    if norm == inf:  # its square overflows
        largest = float(np.abs(gradient).max())
        gradient /= largest
        norm = sqrt(float(np.dot(gradient, gradient)))
    if norm > bound:
        gradient *= bound / norm


def lbfgs(backprop, X, Y, sample_weight, *, max_iter, max_fun, tol, after_iteration, evaluations=None):
    """Minimise the objective over all rows; return SciPy's OptimizeResult.

    ``after_iteration(intermediate_result)`` sees each iterate. The parameters are left at the last point tried.
    `evaluations`, a list of the values and gradients of an earlier run, are given back instead of computed, and then
    the list grows: SciPy's optimizer cannot be stored, but fed the same numbers it comes to the same state.
    """
    known = iter(list(evaluations or ()))

    def objective(vector):
        backprop.params.vector[:] = vector
        if (evaluation := next(known, None)) is None:
            evaluation = sum(backprop.loss_and_grad(X, Y, sample_weight, None)), backprop.gradient.copy()
            if evaluations is not None:
                evaluations.append(evaluation)
        return evaluation

    return scipy.optimize.minimize(
        objective,
        backprop.params.vector.copy(),
        method="L-BFGS-B",
        jac=True,
        callback=after_iteration,
        options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol},
    )

"""Training loops: epochs of mini-batches, and L-BFGS."""

from functools import partial
from itertools import count
from math import inf, isfinite, sqrt

import numpy as np
import scipy.optimize
from scipy.sparse import issparse

from .threads import wait


class Batches:
    """Mini-batches, gathered and converted in a buffer that is reused.

    X may be of any numeric dtype, memory-mapped or CSR: only one batch is copied at a time.

    Parameters
    ----------
    X : ndarray or CSR of shape (n, n_features)
    Y : ndarray of shape (n,) or (n, n_outputs)
    sample_weight : ndarray of shape (n,) or None
    rows : ndarray of int
        Rows of X to train on.
    batch_size : int
    dtype : numpy dtype
        Of the parameters.
    shuffle : bool
    n_original_rows : int, default=None
        Number of rows before duplicates were merged. With shuffle, a permutation of this length is drawn each epoch and
        discarded, so that the random stream is that of the unmerged rows. None if rows were not merged.

    Attributes
    ----------
    scale : ndarray of shape (n_features,) or None
        Factor for each column of X in a batch; None (the initial value) for 1.
    position : int
        Number of the current batch of the epoch.
    """

    def __init__(self, X, Y, sample_weight, rows, batch_size, dtype, shuffle, n_original_rows=None):
        self.X, self.Y, self.sample_weight = X, Y, sample_weight
        self.rows, self.batch_size, self.dtype, self.shuffle = rows, batch_size, dtype, shuffle
        self.n_rows = n_original_rows or len(rows)
        self.fixed_order = n_original_rows is not None
        self.n_batches = -(-len(rows) // batch_size)
        self.position = 0
        self.scale = None
        self._buffer = None if issparse(X) else np.empty((batch_size, X.shape[1]), dtype)

    def epoch(self, random_state):
        """Yield (X, Y, sample_weight) of each batch of an epoch, except batches whose weights are all zero."""
        if self.shuffle:
            order = np.arange(self.n_rows)
            random_state.shuffle(order)
            if not self.fixed_order:
                self.rows = self.rows[order]  # as in scikit-learn, shuffle the previous order, not the initial one
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
            np.take(self.X, rows, axis=0, out=batch, mode="clip")  # the default mode needs a temporary array
        else:
            batch[:] = self.X[rows]
        if self.scale is not None:
            batch *= self.scale
        return batch


def epochs(backprop, optimizer, batches, random_state, rng, *, n_done=0, before_step=None, clip_norm=None):
    """Train indefinitely, and yield the mean loss of each epoch.

    ``before_step(n)`` is called before each step with the number n of batches so far, including the first `n_done`
    epochs. `clip_norm` is the maximum norm of the gradient. A loss that is not finite, or NaN for a step that
    overflows, is yielded immediately; ``batches.position`` is then the number of the batch.
    """
    reporting_scale = backprop.loss.reporting_scale(backprop.params.units[-1])
    for epoch in count(n_done):  # pragma: no branch (the loop has no end)
        total, n_rows = 0.0, 0
        for X, Y, sample_weight in batches.epoch(random_state):
            if before_step is not None:
                before_step(epoch * batches.n_batches + batches.position)
            data, weight_sum = backprop.data_loss_and_grad(X, Y, sample_weight, rng)
            penalty = _step(backprop, optimizer, weight_sum, clip_norm) if isfinite(data) else 0.0
            loss = data * reporting_scale + penalty
            total += loss * X.shape[0]
            n_rows += X.shape[0]
            if not isfinite(loss):
                break
        yield total / n_rows


def _step(backprop, optimizer, weight_sum, clip_norm):
    """Take one step of the optimizer, and return the penalty, or NaN if the step overflows."""
    params, gradient = backprop.params.vector, backprop.gradient
    if clip_norm is None:
        if not getattr(type(optimizer), "penalty_first", False):
            wait()  # for the whole gradient
        penalty = optimizer.step(params, gradient, partial(backprop.add_penalty_to, weight_sum))
    else:  # the norm must be known before the first chunk is updated
        penalty = backprop.add_penalty(weight_sum)
        clip_gradient(gradient, clip_norm)
        penalty += optimizer.step(params, gradient)
    backprop.constrain()
    return penalty


def clip_gradient(gradient, max_norm):
    """Rescale the gradient to the norm `max_norm` if its norm is larger (Pascanu et al., 2013)."""
    norm = sqrt(float(np.dot(gradient, gradient)))
    if norm == inf:  # the square overflows
        largest = float(np.abs(gradient).max())
        gradient /= largest
        norm = sqrt(float(np.dot(gradient, gradient)))
    if norm > max_norm:
        gradient *= max_norm / norm


def lbfgs(backprop, X, Y, sample_weight, *, max_iter, max_fun, tol, after_iteration, evaluations=None):
    """Minimize the objective over all rows, and return SciPy's OptimizeResult.

    ``after_iteration(intermediate_result)`` is called with each iterate. At the end, the parameters are the last point
    evaluated. `evaluations` is a list of the values and gradients of an earlier run, which are replayed first; new ones
    are appended. SciPy's optimizer state cannot be stored, but the same numbers lead to the same state.
    """
    recorded = iter(list(evaluations or ()))

    def objective(vector):
        backprop.params.vector[:] = vector
        evaluation = next(recorded, None)
        if evaluation is None:
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

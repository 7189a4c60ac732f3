"""Monte-Carlo dropout: noisy passes over all rows, in parallel, in memory that does not grow with their number."""

from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from sklearn.utils import check_random_state, check_scalar

from ._sklearn import InvalidParameterError, get_threadpool_controller
from ._spec import dropout_rates
from .engine.layers import at_rest
from .engine.network import Network
from .engine.params import Params
from .engine.sampling import Sampler


def noisy_passes(estimator, X, reduce, *, n_samples, random_state, dropout, input_dropout, mask_sharing, n_jobs):
    """Iterate over (rows, passes, reduce(outputs, rows)), blocks of rows in order, and the passes of each in order.

    `outputs` are those of some passes for some rows, (n_passes, n_rows, n_outputs). ``reduce`` runs in joblib's
    threads; the blocks, and so all numbers, are the same whatever `n_jobs`.
    """
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    if mask_sharing not in ("sample", "batch"):
        raise InvalidParameterError(f"mask_sharing must be 'sample' or 'batch', got {mask_sharing!r}.")
    rates = _rates(estimator, dropout, input_dropout)
    seed = check_random_state(random_state).randint(0, 2**32, size=4, dtype=np.uint32)
    sampler = _sampler(estimator, rates, shared=mask_sharing == "batch")

    def work(rows, passes):
        return rows, passes, reduce(sampler.sample(X, rows, passes, seed), rows)

    return _in_threads(work, sampler.blocks(X.shape[0], n_samples), n_jobs)


def _in_threads(work, blocks, n_jobs):
    """The results of ``work(*block)``, in order. BLAS has one thread, lest the two pools of threads get in each
    other's way, and whatever `n_jobs`, lest the last digits depend on it."""
    parallel = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")
    with get_threadpool_controller().limit(limits=1, user_api="blas"):
        yield from parallel(delayed(work)(*block) for block in blocks)


def _rates(estimator, dropout, input_dropout):
    """The rate on the input of each layer: what the user asks for, else what was in force at the end of training."""
    known = estimator.dropout_
    given = dropout is not None or input_dropout is not None
    if not (given or any(known)) and any(map(any, getattr(estimator, "dropout_curve_", []))):
        raise ValueError(
            "The dropout rates ended at 0, and so there is no noise to sample: "
            f"dropout_schedule={estimator.dropout_schedule!r} took them there. Give a rate for sampling, for example "
            f"dropout={max(map(max, estimator.dropout_curve_)):.2g} (or dropout=0 for no noise), or fit with "
            "dropout_schedule='constant'."
        )
    return dropout_rates(
        known[1:] if dropout is None else dropout, known[0] if input_dropout is None else input_dropout, len(known) - 1
    )


def _sampler(estimator, rates, shared):
    """What samples the network: the one that predicts, unless normalisation stands between activation and noise."""
    network, norms = estimator._network(), ()
    batch_norm, vector, _ = getattr(estimator, "_unfolded", (False, None, None))
    if batch_norm == "after_activation":  # folded, the noise would miss its shift
        units = network.coefs[0].shape[0], *(W.shape[1] for W in network.coefs)
        params = Params(units, vector.dtype, vector, normed=True)
        moments = zip(estimator.batch_norm_mean_, estimator.batch_norm_var_, strict=True)
        norms = list(at_rest(params.scales, params.shifts, moments))
        network = Network(params.coefs, params.intercepts, network.activations, network.output)
    kinds, groups = estimator._noise
    return Sampler(network, list(zip(kinds, rates, groups, strict=True)), norms, shared)


class RunningMoments:
    """Mean and variance over the passes, from blocks of them (Chan, Golub and LeVeque, 1983).

    Attributes
    ----------
    mean, variance : ndarray of shape (n_rows, n_outputs)
        Valid once all passes were added.
    """

    def __init__(self, n_rows, n_outputs):
        self.mean, self.variance = np.zeros((n_rows, n_outputs)), np.zeros((n_rows, n_outputs))

    @staticmethod
    def of_block(outputs, rows):
        mean = outputs.mean(axis=0, dtype=float)
        return mean, np.square(outputs - mean).mean(axis=0)

    def add(self, rows, passes, moments):
        mean, variance = moments
        share = (passes.stop - passes.start) / passes.stop
        step = mean - self.mean[rows]
        self.variance[rows] += share * (variance - self.variance[rows] + (1 - share) * step**2)
        self.mean[rows] += share * step


def log_mean_exp(blocks, n_rows, n_samples):
    """Logarithm of the mean over the passes of likelihoods, from blocks of the logarithm of their sum, (n_rows,)."""
    total = np.full(n_rows, -np.inf)
    for rows, _, log_sum in blocks:
        total[rows] = np.logaddexp(total[rows], log_sum)
    return total - np.log(n_samples)

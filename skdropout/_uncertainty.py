"""Monte-Carlo dropout: noisy passes over all rows, in parallel, in memory that does not grow with their number."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from functools import partial, reduce
from itertools import groupby, islice
from numbers import Integral
from threading import Lock
from weakref import WeakValueDictionary

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from scipy.special import logsumexp
from sklearn.utils import check_random_state, check_scalar

from ._rows import canonical
from ._sklearn import InvalidParameterError, get_threadpool_controller
from ._snapshot import from_snapshot
from ._spec import dropout_rates, names_per_layer
from ._typing import Float, FloatArray, Int, MaskSharing, MatrixLike, Rates, Seed
from ._weights import unfolded, weights_of
from .engine.dropout import DROPOUTS
from .engine.layers import inference_scale_shift
from .engine.network import Network
from .engine.sampling import Sampler

NEXT_TO_0 = 0.01  # times the nominal rates: a schedule that ends below this counts as ended at 0
CENTERED_BY = 100  # minimum number of passes whose mean is moved to the noise-free output after such a schedule


class MonteCarloMixin(ABC):
    """What classifier and regressor share: noisy passes and the density of targets under their mean."""

    @abstractmethod
    def _log_likelihood(self, outputs, Y):
        """log p(y | pass) of each row and pass, (n_passes, n_rows)."""

    @abstractmethod
    def _validate_predict_xy(self, X, y):
        """X and the targets of y, checked."""

    @abstractmethod
    def _recenter(self, outputs, shift):
        """The outputs of passes, (n_passes, n_rows, n_outputs), shifted by `shift`, (n_rows, n_outputs)."""

    _recenters_raw = False  # whether the output is shifted before its activation

    @from_snapshot
    def log_predictive_density(
        self,
        X: MatrixLike,
        y: ArrayLike,
        *,
        n_samples: Int = 100,
        random_state: Seed = 0,
        dropout: Rates | None = None,
        input_dropout: Float | None = None,
        mask_sharing: MaskSharing = "sample",
        n_jobs: Int | None = None,
    ) -> FloatArray:
        """Logarithm of the density, or probability, that the mean of noisy passes gives to y.

        Row by row,  log (1/T Σ_t p(y | f_t(x))),  f_t being the network with the t-th masks: in regression a mixture
        of normal distributions of variance ``noise_variance_``, in classification the mean of the probabilities.
        Several outputs or labels count together. After a schedule that ended at 0, and with no rates given, the
        passes use the rates that the schedule started from and are centered on the noise-free output, as in ``predict``
        and ``sample_y``, or ``sample_proba``. This takes twice the time.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            The rows to judge.

        y : array-like of shape (n_samples_X,) or (n_samples_X, n_outputs)
            Their true targets.

        n_samples : int, default=100
            Number of noisy passes T, at least 1. Few passes bias the result downwards.

        random_state : int, RandomState instance or None, default=0
            Seeds the masks.

        dropout : float or array-like of shape (n_hidden,), default=None
            Rate of the hidden layers while sampling, in [0, 1). None for the rates at the end of training, or, if a
            schedule ended at 0, the rates that it started from.

        input_dropout : float, default=None
            The same for the inputs.

        mask_sharing : {'sample', 'batch'}, default='sample'
            Whether each row has masks of its own in each pass, or all rows of X share them.

        n_jobs : int, default=None
            Threads of joblib; the numbers do not depend on it.

        Returns
        -------
        log_density : ndarray of shape (n_samples_X,)
            In nats, for y as it was given to ``fit``. A scorer of its mean is
            :func:`skdropout.log_predictive_density_scorer`.
        """
        X, Y = self._validate_predict_xy(X, y)
        log_density = np.empty(X.shape[0])

        def gather(blocks):
            for rows, log_sum in over_passes(blocks, np.logaddexp):
                log_density[rows] = log_sum - np.log(n_samples)

        noisy_passes(
            self,
            X,
            lambda outputs, rows: logsumexp(self._log_likelihood(outputs, Y[rows]), axis=0),
            gather,
            n_samples=n_samples,
            random_state=random_state,
            dropout=dropout,
            input_dropout=input_dropout,
            mask_sharing=mask_sharing,
            n_jobs=n_jobs,
        )
        return log_density

    def _sample(self, X, n_columns, finish=np.asarray, *, n_samples, **sampling):
        """The outputs of noisy passes, (n_rows, n_outputs, n_samples), or what ``finish`` makes of them."""
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        samples = np.empty((X.shape[0], n_columns, int(n_samples)), self._network().coefs[0].dtype)

        def gather(blocks):
            for rows, passes, outputs in blocks:
                samples[rows, :, passes] = outputs

        noisy_passes(
            self, X, lambda outputs, rows: finish(outputs.transpose(1, 2, 0)), gather, n_samples=n_samples, **sampling
        )
        return samples


def noisy_passes(
    estimator,
    X,
    reduce,
    gather,
    *,
    n_samples,
    random_state,
    dropout,
    input_dropout,
    mask_sharing,
    n_jobs,
    recenter=True,
):
    """Return ``gather`` of an iterator over (rows, passes, reduce(outputs, rows)).

    The blocks of rows come in order, and so do the passes of each block. `outputs` are those of some passes for some
    rows, (n_passes, n_rows, n_outputs). ``reduce`` runs in joblib's threads. The blocks do not depend on `n_jobs`, and
    so the results do not either. After a schedule that ended at 0, unless all rates are given, the passes are centered
    on the noise-free output if `recenter` is true.
    """
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    if not isinstance(mask_sharing, str) or mask_sharing not in {"sample", "batch"}:
        raise InvalidParameterError(f"mask_sharing must be 'sample' or 'batch', got {mask_sharing!r}.")
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or n_jobs == 0):
        raise InvalidParameterError(f"n_jobs must be None or an int other than 0, got {n_jobs!r}.")
    recenter = recenter and ended_at_0(estimator, dropout, input_dropout)
    rates, X = _rates(estimator, dropout, input_dropout), canonical(X)
    if issparse(X) and rates[0] > 0 and not DROPOUTS[kind := estimator._noise[0][0]].takes_sparse:
        raise ValueError(
            f"dropout_kind={kind!r} with input_dropout={rates[0]!r} would make a sparse X dense: sample with "
            "input_dropout=0, or make X dense."
        )
    seed = check_random_state(random_state).randint(0, 2**32, size=4, dtype=np.uint32)
    raw = recenter and estimator._recenters_raw
    sampler = _sampler(estimator, rates, mask_sharing == "batch", raw)
    sample = partial(_outputs, estimator, sampler, X, seed)
    shift = _to_noise_free(estimator, sampler, X, sample, raw, n_samples, n_jobs) if recenter else None

    def work(rows, passes):
        with np.errstate(all="ignore"):
            outputs = sample(rows, passes)
            if shift is not None:
                outputs = estimator._recenter(outputs, shift[rows])
            return rows, passes, reduce(outputs, rows)

    return _in_threads(work, sampler.blocks(X, n_samples), n_jobs, gather)


def _outputs(estimator, sampler, X, seed, rows, passes):
    return estimator._finite(sampler.sample(X, rows, passes, seed), X)


def _to_noise_free(estimator, sampler, X, sample, raw, n_samples, n_jobs):
    """The noise-free output minus the mean of passes, (n_rows, n_outputs)."""
    n_passes = max(n_samples, CENTERED_BY)
    shift = estimator._output(X, raw=raw).astype(float)

    def work(rows, passes):
        with np.errstate(all="ignore"):
            return rows, passes, sample(rows, passes).sum(axis=0, dtype=float)

    def gather(blocks):
        for rows, total in over_passes(blocks, np.add):
            shift[rows] -= total / n_passes

    _in_threads(work, sampler.blocks(X, n_passes), n_jobs, gather)
    return shift


class OneBlasThread:
    """A context in which BLAS has one thread, in the whole process: the first in sees to it, the last out undoes it."""

    def __init__(self):
        self.lock, self.n_inside = Lock(), 0

    def __enter__(self):
        with self.lock:
            if self.n_inside == 0:
                self.limit = get_threadpool_controller().limit(limits=1, user_api="blas")
            self.n_inside += 1

    def __exit__(self, *error):
        with self.lock:
            self.n_inside -= 1
            if self.n_inside == 0:
                self.limit.restore_original_limits()

    def start_afresh(self):
        """In a forked child, without the threads that were inside."""
        if self.n_inside > 0:
            self.limit.restore_original_limits()
        self.__init__()


ONE_BLAS_THREAD = OneBlasThread()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=ONE_BLAS_THREAD.start_afresh)


def _in_threads(work, blocks, n_jobs, gather):
    """Return ``gather`` of an iterator over the results of ``work(*block)``, in order.

    BLAS is limited to one thread to avoid oversubscription and so that the last digits do not depend on `n_jobs`. The
    limit is process-wide and ends when this call returns or fails. A generator must not hold it, since a traceback can
    keep a generator alive. joblib gets a few blocks at a time, so that its threads stop soon after a failure.
    """
    at_a_time, blocks = 4 * effective_n_jobs(n_jobs), iter(blocks)

    def results(parallel):
        while some := list(islice(blocks, at_a_time)):
            yield from parallel(delayed(work)(*block) for block in some)

    with ONE_BLAS_THREAD, np.errstate(all="ignore"), Parallel(n_jobs=n_jobs, require="sharedmem") as parallel:
        return gather(results(parallel))


def ended_at_0(estimator, dropout=None, input_dropout=None):
    """Whether a schedule ended near 0, compared with the nominal rates, and the user does not give all rates."""
    trained = estimator._noise[2]
    missing = [*(trained[:1] if input_dropout is None else ()), *(trained[1:] if dropout is None else ())]
    return any(missing) and max(estimator.dropout_) < NEXT_TO_0 * max(trained)


def _rates(estimator, dropout, input_dropout):
    """The rate on the input of each layer: the user's, else the rate at the end of training.

    If a schedule ended at 0, it is the rate that the schedule started from.
    """
    known = estimator._noise[2] if ended_at_0(estimator) else estimator.dropout_
    return dropout_rates(
        known[1:] if dropout is None else dropout, known[0] if input_dropout is None else input_dropout, len(known) - 1
    )


def _sampler(estimator, rates, shared, raw=False):
    """A sampler of the network that predicts, or of the unfolded one if normalization is between activation and noise.

    With `raw`, it samples the output before its activation.
    """
    network, norms = estimator._network(), ()
    if getattr(estimator, "_unfolded", [False])[0] == "after_activation":  # folded, the noise would miss the shift
        params, moments, _ = unfolded(estimator, *weights_of(estimator))
        norms = list(inference_scale_shift(params.scales, params.shifts, moments))
        network = Network(params.coefs, params.intercepts, network.activations, network.output)
    if raw:
        network.output = "identity"
    kinds, groups, *_ = estimator._noise
    names_per_layer("dropout_kind", kinds, DROPOUTS, len(kinds))  # one that a user registered may be gone
    return Sampler(network, list(zip(kinds, rates, groups, strict=True)), norms, shared)


def warn_of_one_std(W):
    """Warn that the standard deviation is the same for all rows, once for the weights W: once for each training."""
    if _TOLD.get(id(W)) is W:
        return
    _TOLD[id(W)] = W
    warnings.warn(
        "The network was trained without dropout: the standard deviation is the square root of noise_variance_, the "
        "same for every row. For one that depends on the row, fit with dropout above 0, such as dropout=0.1. To "
        "estimate noise_variance_ on a validation set, pass X_val and y_val to fit or set early_stopping=True. "
        "predict(..., dropout=0) does not warn.",
        stacklevel=4,
    )


_TOLD: WeakValueDictionary = WeakValueDictionary()  # by id; Python's own registry of warnings is reset at each fit


def over_passes(blocks, add):
    """Iterate over (rows, sum of all their passes by ``add``): what is kept of the passes is one block of rows."""
    for _, passes in groupby(blocks, key=lambda block: block[0].start):
        yield reduce(lambda a, b: (a[0], add(a[1], b[1])), ((rows, part) for rows, _, part in passes))


def pass_moments(outputs, rows):
    """Number of passes, mean and variance over them."""
    mean = outputs.mean(axis=0, dtype=float)
    return len(outputs), mean, np.square(outputs - mean).mean(axis=0)


def add_moments(a, b):
    """The moments of the passes of both (Chan, Golub and LeVeque, 1983)."""
    (n_a, mean, variance), (n_b, mean_b, variance_b) = a, b
    share, step = n_b / (n_a + n_b), mean_b - mean
    return n_a + n_b, mean + share * step, variance + share * (variance_b - variance + (1 - share) * step**2)

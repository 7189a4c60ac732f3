"""Monte Carlo dropout: parallel stochastic forward passes, whose memory use does not grow with their number."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from functools import partial, reduce
from itertools import groupby, islice
from numbers import Integral
from typing import NamedTuple
from weakref import WeakValueDictionary

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from scipy.special import logsumexp
from sklearn.utils import check_random_state, check_scalar

from ._fit.data import canonical_csr
from ._fit.parameters import dropout_rates, names_per_layer
from ._fitted import noise_settings, unfolded_state
from ._sklearn import InvalidParameterError
from ._snapshot import from_snapshot
from ._threads import ONE_BLAS_THREAD
from ._typing import Float, FloatArray, Int, MaskSharing, MatrixLike, Rates, Seed
from ._weights import checked_weights, unfold_weights
from .engine.dropout import DROPOUTS
from .engine.layers import inference_scale_shift
from .engine.network import Network
from .engine.sampling import Sampler

NEGLIGIBLE_RATE = 0.01  # a schedule that ends below this fraction of the nominal rates counts as ended at 0
MIN_CENTERING_PASSES = 100  # minimum number of passes to estimate the mean for centering


class SamplingOptions(NamedTuple):
    """Sampling parameters of the prediction methods, in the order of their signatures."""

    n_samples: Int = 100
    random_state: Seed = 0
    dropout: Rates | None = None
    input_dropout: Float | None = None
    mask_sharing: MaskSharing = "sample"
    n_jobs: Int | None = None


class MonteCarloMixin(ABC):
    """Mixin with the Monte Carlo methods of the classifier and the regressor."""

    @abstractmethod
    def _log_likelihood(self, outputs, Y):
        """Return log p(y | pass) of each pass and row, of shape (n_passes, n_rows)."""

    @abstractmethod
    def _validate_predict_xy(self, X, y):
        """Return the validated X and the encoded targets."""

    @abstractmethod
    def _recenter(self, outputs, shift):
        """Add `shift` of shape (n_rows, n_outputs) to outputs of shape (n_passes, n_rows, n_columns)."""

    def _pass_likelihood(self, X, options):
        """Return a function like ``_log_likelihood``, with the slice of the rows as third argument, and the options."""
        return (lambda outputs, Y, rows: self._log_likelihood(outputs, Y)), options

    _recenters_raw = False  # whether the shift is added before the output activation

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
        """Compute the log predictive density, or probability, of y by Monte Carlo dropout.

        For each row, this is log (1/T Σ_t p(y | f_t(x))), where f_t is the network in the t-th Monte Carlo pass. In
        regression, the predictive distribution is a mixture of normal distributions with variance ``noise_variance_``,
        or with ``loss='gaussian_nll'`` the variance that each pass predicts; in classification, it is the mean of the
        probabilities. Multiple outputs or labels have a joint density. If a schedule ended at 0 and no rates are given,
        the passes use the rates at the start of the schedule and are centered on the noise-free output, as in
        ``predict`` and ``sample_y``, or ``sample_proba``. This doubles the computation time.

        If ``variance_factor_`` of the regressor is not 1, the mixture is adjusted such that its mean and variance are
        those of ``predict(X, return_std=True)``, which needs the passes once more. A factor above 1 multiplies the
        variance of the passes around their mean and the noise variance. A factor below 1 first reduces the variance of
        the passes, then the noise variance, because the latter contains the errors of the network on held-out rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            Test data.

        y : array-like of shape (n_samples_X,) or (n_samples_X, n_outputs)
            True targets of `X`.

        n_samples : int, default=100
            Number of Monte Carlo passes T, at least 1. Few passes bias the result downwards.

        random_state : int, RandomState instance or None, default=0
            Determines the random masks.

        dropout : float or array-like of shape (n_hidden,), default=None
            Dropout rate of the hidden layers during sampling, in [0, 1). None for the rates at the end of training, or,
            if a schedule ended at 0, for the rates at its start. 0 for no noise.

        input_dropout : float, default=None
            Dropout rate of the inputs during sampling, with the same default.

        mask_sharing : {'sample', 'batch'}, default='sample'
            Whether each row has its own masks in each pass, or all rows of X share them.

        n_jobs : int, default=None
            Number of threads of joblib. The results do not depend on it.

        Returns
        -------
        log_density : ndarray of shape (n_samples_X,)
            Log density in nats, in the units of the y passed to ``fit``. Use
            :func:`skdropout.log_predictive_density_scorer` to score by its mean.
        """
        options = SamplingOptions(n_samples, random_state, dropout, input_dropout, mask_sharing, n_jobs)
        X, Y = self._validate_predict_xy(X, y)
        log_likelihood, options = self._pass_likelihood(X, options)
        log_density = np.empty(X.shape[0])

        def gather(blocks):
            for rows, total in reduce_over_passes(blocks, np.logaddexp):
                log_density[rows] = total - np.log(n_samples)

        def log_sum(outputs, rows):
            return logsumexp(log_likelihood(outputs, Y[rows], rows), axis=0)

        monte_carlo_passes(self, X, log_sum, gather, options)
        return log_density

    def _sample(self, X, n_columns, options, postprocess=np.asarray):
        """Return ``postprocess`` of the outputs of Monte Carlo passes, of shape (n_rows, n_columns, n_samples)."""
        check_scalar(options.n_samples, "n_samples", Integral, min_val=1)
        samples = np.empty((X.shape[0], n_columns, int(options.n_samples)), self._network().coefs[0].dtype)

        def gather(blocks):
            for rows, passes, outputs in blocks:
                samples[rows, :, passes] = outputs

        monte_carlo_passes(self, X, lambda outputs, rows: postprocess(outputs.transpose(1, 2, 0)), gather, options)
        return samples


def monte_carlo_passes(estimator, X, summarize, gather, options, recenter=True):
    """Run Monte Carlo passes, and return ``gather`` of an iterator over (rows, passes, summary).

    The blocks of rows are in order, and so are the passes of each block. A summary is ``summarize(outputs, rows)``,
    computed in joblib's threads from outputs of shape (n_passes, n_rows, n_outputs). The blocks, and thus the results,
    do not depend on `n_jobs`. If `recenter` is true and a schedule ended at 0, the passes are centered on the
    noise-free output, unless all rates are given.
    """
    n_samples, random_state, dropout, input_dropout, mask_sharing, n_jobs = options
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    if not isinstance(mask_sharing, str) or mask_sharing not in {"sample", "batch"}:
        raise InvalidParameterError(f"mask_sharing must be 'sample' or 'batch', got {mask_sharing!r}.")
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or n_jobs == 0):
        raise InvalidParameterError(f"n_jobs must be None or an int other than 0, got {n_jobs!r}.")
    recenter = recenter and ended_at_zero(estimator, dropout, input_dropout)
    rates = _sampling_rates(estimator, dropout, input_dropout)
    X = canonical_csr(X)
    input_kind = noise_settings(estimator).kinds[0]
    if issparse(X) and rates[0] > 0 and not DROPOUTS[input_kind].takes_sparse:
        raise ValueError(
            f"dropout_kind={input_kind!r} with input_dropout={rates[0]!r} would make a sparse X dense: sample with "
            "input_dropout=0, or make X dense."
        )
    seed = check_random_state(random_state).randint(0, 2**32, size=4, dtype=np.uint32)
    raw = recenter and estimator._recenters_raw
    sampler = _sampler(estimator, rates, mask_sharing == "batch", raw)
    sample = partial(_sample_outputs, estimator, sampler, X, seed)
    shift = _centering_shift(estimator, sampler, X, sample, raw, n_samples, n_jobs) if recenter else None

    def work(rows, passes):
        with np.errstate(all="ignore"):
            outputs = sample(rows, passes)
            if shift is not None:
                outputs = estimator._recenter(outputs, shift[rows])
            return rows, passes, summarize(outputs, rows)

    return _run_in_threads(work, sampler.blocks(X, n_samples), n_jobs, gather)


def _sample_outputs(estimator, sampler, X, seed, rows, passes):
    """Return the outputs of Monte Carlo passes, after checking that they did not overflow."""
    return estimator._check_output(sampler.sample(X, rows, passes, seed), X)


def _centering_shift(estimator, sampler, X, sample, raw, n_samples, n_jobs):
    """Return the noise-free output minus the mean of the passes, of shape (n_rows, n_outputs)."""
    n_passes = max(n_samples, MIN_CENTERING_PASSES)
    shift = estimator._output(X, raw=raw).astype(float)

    def work(rows, passes):
        with np.errstate(all="ignore"):
            return rows, passes, sample(rows, passes)[..., : shift.shape[1]].sum(axis=0, dtype=float)

    def gather(blocks):
        for rows, total in reduce_over_passes(blocks, np.add):
            shift[rows] -= total / n_passes

    _run_in_threads(work, sampler.blocks(X, n_passes), n_jobs, gather)
    return shift


def _run_in_threads(work, blocks, n_jobs, gather):
    """Return ``gather`` of an iterator over the results of ``work(*block)``, in order.

    BLAS is limited to one thread to avoid oversubscription and so that results do not depend on `n_jobs`. The limit is
    process-wide and ends when this call returns or fails. It is not set in a generator, because a traceback can keep a
    generator alive. joblib receives a few blocks at a time, so that its threads stop soon after a failure.
    """
    chunk_size = 4 * effective_n_jobs(n_jobs)
    blocks = iter(blocks)

    def results(parallel):
        while chunk := list(islice(blocks, chunk_size)):
            yield from parallel(delayed(work)(*block) for block in chunk)

    with ONE_BLAS_THREAD, np.errstate(all="ignore"), Parallel(n_jobs=n_jobs, require="sharedmem") as parallel:
        return gather(results(parallel))


def ended_at_zero(estimator, dropout=None, input_dropout=None):
    """Return whether a schedule ended near 0, relative to the nominal rates, and not all rates are given."""
    nominal = noise_settings(estimator).rates
    not_given = [*(nominal[:1] if input_dropout is None else ()), *(nominal[1:] if dropout is None else ())]
    return any(not_given) and max(estimator.dropout_) < NEGLIGIBLE_RATE * max(nominal)


def _sampling_rates(estimator, dropout, input_dropout):
    """Return the dropout rate on the input of each layer: the given rate, or the rate at the end of training.

    If a schedule ended at 0, the rate at its start is used instead.
    """
    trained = noise_settings(estimator).rates if ended_at_zero(estimator) else estimator.dropout_
    dropout = trained[1:] if dropout is None else dropout
    input_dropout = trained[0] if input_dropout is None else input_dropout
    return dropout_rates(dropout, input_dropout, len(trained) - 1)


def _sampler(estimator, rates, shared, raw=False):
    """Return a ``Sampler`` of the network, or with `raw` of its output before the output activation.

    Batch normalization between activation and dropout is not folded into the weights.
    """
    network, norms = estimator._network(all_columns=True), ()
    if (
        unfolded_state(estimator).batch_norm == "after_activation"
    ):  # after folding, the noise would not act on the shift
        params, moments, _ = unfold_weights(estimator, *checked_weights(estimator))
        norms = list(inference_scale_shift(params.scales, params.shifts, moments))
        network = Network(params.coefs, params.intercepts, network.activations, network.output)
    if raw:
        network.output = "identity"
    kinds, groups, *_ = noise_settings(estimator)
    names_per_layer("dropout_kind", kinds, DROPOUTS, len(kinds))  # raises an error if a kind is no longer registered
    return Sampler(network, list(zip(kinds, rates, groups, strict=True)), norms, shared)


def warn_about_constant_std(W):
    """Warn, once per fit, that the standard deviation is the same for all rows. The weights W identify the fit."""
    if _WARNED.get(id(W)) is W:
        return
    _WARNED[id(W)] = W
    warnings.warn(
        "The network was trained without dropout: the standard deviation is the square root of noise_variance_, the "
        "same for every row. For a row-dependent one, fit with dropout above 0, such as dropout=0.1. To "
        "estimate noise_variance_ on a validation set, pass X_val and y_val to fit or set early_stopping=True. "
        "predict(..., dropout=0) does not warn.",
        stacklevel=4,
    )


_WARNED: WeakValueDictionary = WeakValueDictionary()  # by id; Python's warning registry is reset at each fit


def reduce_over_passes(blocks, add):
    """Yield each block of rows with the sum of its passes by ``add``. Only one block is in memory."""

    def add_blocks(a, b):
        return a[0], add(a[1], b[1])

    for _, same_rows in groupby(blocks, key=lambda block: block[0].start):
        yield reduce(add_blocks, ((rows, summary) for rows, _, summary in same_rows))


def pass_moments(outputs, rows):
    """Return the number of passes, and the mean and the variance over the passes."""
    mean = outputs.mean(axis=0, dtype=float)
    return len(outputs), mean, np.square(outputs - mean).mean(axis=0)


def add_moments(a, b):
    """Combine the moments of two sets of passes (Chan, Golub and LeVeque, 1983)."""
    n_a, mean, variance = a
    n_b, mean_b, variance_b = b
    fraction = n_b / (n_a + n_b)
    step = mean_b - mean
    return n_a + n_b, mean + fraction * step, variance + fraction * (variance_b - variance + (1 - fraction) * step**2)

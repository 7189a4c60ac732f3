"""Calibration on held-out rows: a factor on the predictive variance, and split conformal intervals."""

from __future__ import annotations

from abc import abstractmethod
from math import ceil
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from ._fitted import uncalibrated
from ._sampling import MonteCarloMixin, SamplingOptions
from ._sklearn import InvalidParameterError
from ._snapshot import from_snapshot
from ._typing import Float, FloatArray, Int, MaskSharing, MatrixLike, Rates, Seed

# Maximum number of rows for the observation noise and the calibration in ``fit``: the standard error of a variance from
# 2000 normal residuals is 3 %
MAX_NOISE_ROWS = 2000
FLOAT = np.finfo(float)
RTOL = 1e-12  # tolerance for rounding in (n_rows + 1) * coverage


class ConformalMixin(MonteCarloMixin):
    """Mixin with the variance factor and the conformal intervals of the regressor."""

    variance_factor_: float | FloatArray
    conformity_scores_: FloatArray | None

    @abstractmethod
    def _predictive_moments(self, X, options):
        """Return the mean, the epistemic variance and the aleatoric variance, without the variance factor."""

    def calibrate(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        n_samples: Int = 100,
        random_state: Seed = 0,
        dropout: Rates | None = None,
        input_dropout: Float | None = None,
        mask_sharing: MaskSharing = "sample",
        n_jobs: Int | None = None,
    ) -> Self:
        """Calibrate the predictive variance and the intervals on rows that were not used in training.

        ``fit`` does the same on the validation set of ``early_stopping=True`` or of `X_val`. Call this method for a
        network that was trained without one, by ``partial_fit`` or in another process. Training discards the
        calibration. The weights do not change. With the mean µ and the total variance σ² of the m rows given::

            variance_factor_ = 1/m Σ_i (y_i - µ_i)² / σ²_i,    conformity_scores_ = |y_i - µ_i| / σ_i,

        where σ² is without the factor in the first equation and includes it in the second. ``noise_variance_`` is
        estimated first, also on these rows. If the parameter `noise_variance` is set, it is used instead, and the
        factor is 1. Sample weights make the first mean a weighted one.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            Rows that were not used in training. They determine the levels that ``predict_interval`` can reach: 90 %
            needs 9 rows, 95 % needs 19, 99 % needs 99.

        y : array-like of shape (n_samples_X,) or (n_samples_X, n_outputs)
            True targets of `X`.

        sample_weight : array-like of shape (n_samples_X,), default=None
            Non-negative sample weights; None for equal weights.

        n_samples : int, default=100
            Number of Monte Carlo passes, at least 1.

        random_state : int, RandomState instance or None, default=0
            Determines the random masks.

        dropout : float or array-like of shape (n_hidden,), default=None
            Dropout rate of the hidden layers during sampling, in [0, 1). None for the rates at the end of training, or,
            if a schedule ended at 0, for the rates at its start. 0 for no noise. Predict with the same rates.

        input_dropout : float, default=None
            Dropout rate of the inputs during sampling, with the same default.

        mask_sharing : {'sample', 'batch'}, default='sample'
            Whether each row has its own masks in each pass, or all rows of X share them.

        n_jobs : int, default=None
            Number of threads of joblib. The results do not depend on it.

        Returns
        -------
        self : object
            The calibrated estimator. It is unchanged if the call fails.

        Raises
        ------
        ValueError
            If the data are invalid, or if the estimator is not fitted.

        Examples
        --------
        >>> from sklearn.datasets import make_regression
        >>> from sklearn.model_selection import train_test_split
        >>> from skdropout import DropoutMLPRegressor
        >>> X, y = make_regression(n_features=4, noise=10, random_state=0)
        >>> X, X_cal, y, y_cal = train_test_split(X, y / y.std(), test_size=0.3, random_state=0)
        >>> reg = DropoutMLPRegressor(dropout=0.1, learning_rate_init=0.01, random_state=0).fit(X, y)
        >>> reg.calibrate(X_cal, y_cal).predict_interval(X_cal, coverage=0.8).shape
        (30, 2)
        """
        estimator: Any = self  # a DropoutMLPRegressor
        calibrated = estimator._shallow_copy()
        options = SamplingOptions(n_samples, random_state, dropout, input_dropout, mask_sharing, n_jobs)
        X, Y = calibrated._validate_predict_xy(X, y)
        calibrated._learn_targets(Y, fresh=False, incremental=False, classes=None)
        rows = calibrated._make_rows(X, Y, sample_weight, calibrated._network().coefs[0].dtype)
        with np.errstate(all="ignore"):
            calibrated._estimate_noise(rows)
            calibrated._calibrate(rows, options)
        self.__dict__ = vars(calibrated)  # in one step, since other threads may be predicting
        return self

    @from_snapshot
    def predict_interval(
        self,
        X: MatrixLike,
        coverage: Float = 0.9,
        *,
        n_samples: Int = 100,
        random_state: Seed = 0,
        dropout: Rates | None = None,
        input_dropout: Float | None = None,
        mask_sharing: MaskSharing = "sample",
        n_jobs: Int | None = None,
    ) -> FloatArray:
        """Predict intervals that contain a given fraction of the targets, by split conformal prediction.

        With the mean µ and the standard deviation σ of ``predict(X, return_std=True)`` and the ``conformity_scores_``
        s_i of m held-out rows [1]_, the interval is [2]_::

            µ ± q σ,    s_i = |y_i - µ_i| / σ_i,    q = the ⌈(m + 1) coverage⌉-th smallest s_i.

        If a new row and the held-out rows are exchangeable, for example drawn independently from the same distribution,
        the interval contains its target with a probability of at least `coverage`, whatever the network and the loss.
        The probability is that over all rows, not for given X. It is at most ``coverage + 1 / (m + 1)`` if no scores
        are equal, and for one set of held-out rows it varies with a standard deviation of about
        ``sqrt(coverage (1 - coverage) / m)``.

        The held-out rows are the validation set of ``fit``, at most 2000 of its rows, or the rows passed to
        ``calibrate``. Those of ``early_stopping=True`` also chose the epoch, so that the probability is approximate.
        With sample weights, q is the smallest score such that rows with at most this score have the fraction
        ``(1 + 1/m) coverage`` of the weights [3]_. Several outputs have one interval each, not a joint one. With
        ``loss='poisson'`` the intervals are clipped at 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            The input data.

        coverage : float, default=0.9
            Fraction of the targets inside the intervals, in (0, 1).

        n_samples : int, default=100
            Number of Monte Carlo passes, at least 1. The coverage holds for sampling parameters equal to those of the
            calibration, which are the defaults after ``fit``; other rates, or much fewer passes, change σ but not q.

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
        y_interval : ndarray of shape (n_samples_X, 2) or (n_samples_X, n_outputs, 2)
            Lower and upper ends, in the units of the y given to ``fit``. For the units outside of a
            :class:`~sklearn.compose.TransformedTargetRegressor`, and for pipelines, use
            :func:`skdropout.predict_interval`.

        Raises
        ------
        ValueError
            If there are no held-out rows, or too few of them: `coverage` needs ``coverage / (1 - coverage)`` rows.

        References
        ----------
        .. [1] H. Papadopoulos, K. Proedrou, V. Vovk and A. Gammerman (2002). Inductive Confidence Machines for
           Regression. ECML.
        .. [2] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani and L. Wasserman (2018). Distribution-Free Predictive
           Inference for Regression. Journal of the American Statistical Association 113.
        .. [3] R. J. Tibshirani, R. Foygel Barber, E. J. Candès and A. Ramdas (2019). Conformal Prediction Under
           Covariate Shift. NeurIPS.
        """
        estimator: Any = self  # a DropoutMLPRegressor
        X = estimator._validate_predict(X)
        options = SamplingOptions(n_samples, random_state, dropout, input_dropout, mask_sharing, n_jobs)
        quantile = self._conformal_quantile(coverage)
        mean, std, _, _ = self._calibrated_moments(X, options)
        with np.errstate(over="ignore"):
            interval = (mean[..., np.newaxis] + (std * quantile)[..., np.newaxis] * [-1, 1]).astype(mean.dtype)
        if estimator.out_activation_ == "exp":
            np.maximum(interval, 0, out=interval)
        return interval[:, 0] if interval.shape[1] == 1 else interval

    def _calibrate_after_fit(self, rows):
        """Calibrate on the validation set, or a random sample of it."""
        self._calibrate(rows.sample(MAX_NOISE_ROWS), SamplingOptions())

    def _calibrate(self, rows, options):
        """Set the variance factor and the conformity scores from held-out rows."""
        estimator: Any = self
        if rows.sample_weight is not None:
            rows = rows.take(np.flatnonzero(rows.sample_weight))
        X, _, Y, weights = rows
        X = X[:]
        mean, epistemic, aleatoric = self._predictive_moments(X, options)
        residuals = np.abs(Y - mean).astype(float)
        if estimator.noise_variance is None:
            ratios = residuals**2 / estimator._check_output(epistemic + aleatoric, X)
            factor = np.maximum(np.average(ratios, axis=0, weights=weights), FLOAT.tiny)  # for exact fits
            factor[np.isinf(factor) | (np.abs(factor - 1) < 1e-9)] = 1  # the squares overflowed; without dropout
            self.variance_factor_ = float(factor[0]) if len(factor) == 1 else factor
        std = np.sqrt(sum(self._scaled(epistemic, aleatoric)))
        scores = np.minimum(residuals / estimator._check_output(std, X), FLOAT.max)
        self.conformity_scores_ = scores[:, 0] if scores.shape[1] == 1 else scores
        self._conformity_weights = None if weights is None else np.asarray(weights, dtype=float)

    def _reset_calibration(self):
        """Discard a calibration of other weights."""
        vars(self).update(uncalibrated(vars(self)["n_outputs_"]))

    def _scaled(self, epistemic, aleatoric):
        """Return both variances times the variance factor; the second is above 0."""
        factor = self.variance_factor_
        return factor * epistemic, np.clip(factor * aleatoric, FLOAT.smallest_subnormal, FLOAT.max)

    def _calibrated_moments(self, X, options):
        """Return the mean, the standard deviation, the epistemic variance and the aleatoric variance of the rows X."""
        estimator: Any = self
        mean, *variances = self._predictive_moments(X, options)
        with np.errstate(all="ignore"):
            epistemic, aleatoric = self._scaled(*variances)
        return mean, estimator._check_output(np.sqrt(epistemic + aleatoric), X), epistemic, aleatoric

    def _pass_likelihood(self, X, options):
        """Return a function like ``_log_likelihood``, with the slice of the rows as third argument, and the options.

        The factor c of the total variance e + a of a row becomes factors g of e and k of a, with g e + k a = c (e + a).
        """
        estimator: Any = self
        if np.all(self.variance_factor_ == 1):
            return super()._pass_likelihood(X, options)
        if not isinstance(options.random_state, Integral):  # the same passes for the moments and for the density
            options = options._replace(random_state=check_random_state(options.random_state).randint(2**31 - 1))
        mean, e, a = self._predictive_moments(X, options)
        c = np.broadcast_to(self.variance_factor_, mean.shape)
        with np.errstate(all="ignore"):
            g = np.where(c < 1, np.maximum(c - (1 - c) * a / e, 0), c)  # with k = 1, or g = 0
            k = (c * (e + a) - g * e) / a

        def log_likelihood(outputs, Y, rows):
            n_outputs = Y.shape[1]
            adjusted = np.array(outputs, dtype=float)
            adjusted[..., :n_outputs] -= mean[rows]
            adjusted[..., :n_outputs] *= np.sqrt(g[rows])
            adjusted[..., :n_outputs] += mean[rows]
            return estimator._log_likelihood(adjusted, Y, k[rows])

        return log_likelihood, options

    def _conformal_quantile(self, coverage):
        """Return the quantile of the conformity scores of each output, of shape (n_outputs,)."""
        if not isinstance(coverage, Real) or not 0 < float(coverage) < 1:
            raise InvalidParameterError(f"coverage must be in (0, 1), such as 0.9 for 90 %, got {coverage!r}.")
        if self.conformity_scores_ is None:
            raise ValueError(
                "Intervals need held-out rows, but there are none: fit with early_stopping=True, pass X_val and y_val "
                "to fit, or call calibrate(X, y) with rows that were not used in training (again after partial_fit)."
            )
        n_rows = len(self.conformity_scores_)
        level = float(coverage) * (1 + 1 / n_rows) * (1 - RTOL)
        if level > 1:
            n_needed = ceil(float(coverage) / (1 - float(coverage)) * (1 - RTOL))
            raise ValueError(
                f"coverage={coverage!r} needs at least {n_needed} held-out rows, but there are {n_rows}: decrease "
                "coverage, set aside more rows (validation_fraction or X_val), or call calibrate(X, y) with more rows."
            )
        scores = self.conformity_scores_.reshape(n_rows, -1)
        weights = np.ones(n_rows) if self._conformity_weights is None else self._conformity_weights
        order = np.argsort(scores, axis=0)
        fractions = np.cumsum(weights[order], axis=0) / weights.sum()
        rank = np.minimum((fractions < level).sum(axis=0), n_rows - 1)  # rounding may leave the last one below 1
        return np.take_along_axis(scores, np.take_along_axis(order, rank[np.newaxis], axis=0), axis=0)[0]

"""The log predictive density as a score, through pipelines and transformed targets."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._typing import MatrixLike, Sampling


def unwrap(estimator, X=None, y=None, with_slope=False):
    """What is inside pipelines, searches and :class:`~sklearn.compose.TransformedTargetRegressor`, with its X and y.

    X and y may be left out.

    Returns
    -------
    inner, X, y, log_slope : log_slope, (n_samples,) or 0, is log |dt/dy| at y of the transformation t of the targets.
    """
    check_is_fitted(estimator)
    log_slope = 0.0
    while True:
        if isinstance(estimator, Pipeline):
            X = estimator[:-1].transform(X) if X is not None and len(estimator) > 1 else X
            estimator = estimator[-1]
        elif isinstance(estimator, TransformedTargetRegressor):
            if y is not None:
                y, transformer = np.asarray(y, dtype=float), estimator.transformer_
                columns = y.reshape(len(y), -1)
                T = transformer.transform(columns)
                if with_slope:
                    log_slope = log_slope + _log_slope(transformer, columns, T)
                y = T.ravel() if T.shape[1] == 1 else T
            estimator = estimator.regressor_
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator, X, y, log_slope


def _log_slope(transformer, y, T):
    """log |dt/dy| at y, (n, n_outputs), and T = t(y): by central differences of the inverse, exact if it is linear."""
    inverse = transformer.inverse_transform
    step = np.cbrt(np.finfo(float).eps) * np.maximum(1, np.abs(T))
    columns = []
    for j in range(T.shape[1]):
        h = np.zeros_like(T)
        h[:, j] = step[:, j]
        columns.append((inverse(T + h) - inverse(T - h)) / (2 * step[:, [j]]))
    log_slope = -np.linalg.slogdet(np.stack(columns, axis=2))[1]
    if not (np.isfinite(log_slope).all() and np.allclose(inverse(T), y, rtol=1e-3)):
        raise ValueError(
            f"{transformer!r} has no inverse at some of the targets, or is flat there: use a transformer that is "
            "strictly monotone, such as StandardScaler."
        )
    return log_slope


def log_predictive_density_scorer(
    estimator: BaseEstimator,
    X: MatrixLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> float:
    """Mean log predictive density of noisy passes: a ``scoring`` for `GridSearchCV`, greater is better.

    In nats per row, for y as given here, through pipelines and transformed targets. It rewards the right mean and the
    right width of the predictive distribution together.

    Parameters
    ----------
    estimator : estimator
        A fitted :class:`DropoutMLPRegressor` or :class:`DropoutMLPClassifier`, by itself or inside of a
        :class:`~sklearn.pipeline.Pipeline` or a :class:`~sklearn.compose.TransformedTargetRegressor`, whose
        transformation counts by its slope: the density is that of y as given here.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows to judge.

    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their true targets.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    **sampling : dict
        `n_samples`, `dropout` and what else :meth:`DropoutMLPRegressor.log_predictive_density` takes. To give some
        in a search: ``scoring=functools.partial(log_predictive_density_scorer, dropout=0)``. Without a rate, and
        after a schedule that ended at 0, the passes are at the rates of the training, around the noise-free output.

    Returns
    -------
    score : float
        Nats per row.

    Raises
    ------
    TypeError
        If there is no such network in `estimator`.

    See Also
    --------
    DropoutMLPRegressor.log_predictive_density : The same row by row.
    CoverageDisplay : Draws whether intervals are as wide as they claim.

    Examples
    --------
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdropout import DropoutMLPRegressor, log_predictive_density_scorer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = DropoutMLPRegressor(
    ...     hidden_layer_sizes=20, dropout=0.1, dropout_schedule="constant", early_stopping=True, random_state=0
    ... )
    >>> model = make_pipeline(StandardScaler(), TransformedTargetRegressor(reg, transformer=StandardScaler()))
    >>> scores = cross_val_score(model, X, y, cv=3, scoring=log_predictive_density_scorer)
    >>> bool((scores > -6).all())
    True
    """
    network, X, y, log_slope = unwrap(estimator, X, y, with_slope=True)
    if not hasattr(network, "log_predictive_density"):
        raise TypeError(
            f"There is no DropoutMLPClassifier or DropoutMLPRegressor in {estimator!r}: a predictive density needs "
            "one, by itself or at the end of a Pipeline, a TransformedTargetRegressor or a search."
        )
    weights = None if sample_weight is None else np.asarray(sample_weight)
    return float(np.average(network.log_predictive_density(X, y, **sampling) + log_slope, weights=weights))

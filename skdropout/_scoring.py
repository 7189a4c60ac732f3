"""The log predictive density as a score, through pipelines and transformed targets."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RANSACRegressor
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils.validation import check_is_fitted

from ._typing import MatrixLike, Sampling

OURS = "DropoutMLPClassifier or DropoutMLPRegressor"
# Meta-estimators that predict with one fitted estimator, which gets X and y unchanged (RFE selects columns of X)
HOLDERS = (
    FixedThresholdClassifier,
    FrozenEstimator,
    RANSACRegressor,
    RFE,
    SelfTrainingClassifier,
    TunedThresholdClassifierCV,
)


def unwrap(estimator, X=None, y=None, with_slope=False):
    """The estimator inside containers that hold a single fitted one, with its X and y.

    These are pipelines, scikit-learn's and imbalanced-learn's, searches,
    :class:`~sklearn.compose.TransformedTargetRegressor`, and the meta-estimators in `HOLDERS`, at any depth. X and y
    may be left out.

    Returns
    -------
    inner, X, y, log_slope : log_slope, (n_samples,) or 0, is log |dt/dy| at y of the transformation t of the targets.
    """
    check_is_fitted(estimator)
    log_slope = 0.0
    while True:
        if isinstance(estimator, Pipeline):
            for _, step in estimator.steps[:-1] if X is not None else ():
                if hasattr(step, "transform"):  # skips "passthrough", None, and samplers, which act in fit only
                    X = step.transform(X)
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, TransformedTargetRegressor):
            if y is not None:
                y, transformer = np.asarray(y, dtype=float), estimator.transformer_
                columns = y.reshape(len(y), -1)
                T = np.asarray(transformer.transform(columns))  # it may return DataFrames
                if with_slope:
                    log_slope = log_slope + _log_slope(transformer, columns, T)
                y = T.ravel() if T.shape[1] == 1 else T
            estimator = estimator.regressor_
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, HOLDERS):
            if isinstance(estimator, RFE) and X is not None:
                X = estimator.transform(X)
            estimator = getattr(estimator, "estimator_", estimator.estimator)
            if hasattr(X, "columns") and not hasattr(estimator, "feature_names_in_"):  # it was fitted on an array
                X = np.asarray(X)
        else:
            return estimator, X, y, log_slope


def no_network(wanted, estimator, inner):
    """The error for a search for `wanted` in `estimator` that ended at `inner`."""
    if hasattr(inner, "refit") and not inner.refit:
        way_out = f"with refit=False {type(inner).__name__} keeps no fitted estimator, set refit=True."
    elif one := holds_networks(inner):
        way_out = (
            f"{type(inner).__name__} does not predict with a single network. Pass one of its networks, such as "
            f".{one}, with X and y as that network gets them."
        )
    else:
        way_out = (
            "pass one by itself, at the end of a Pipeline, or in a TransformedTargetRegressor or a search with refit."
        )
    return TypeError(f"There is no {wanted} in {estimator!r}: {way_out}")


def holds_networks(ensemble):
    """The attribute path to a network in an ensemble or a calibrated classifier, or None."""
    for name, suffix in (("estimators_", ""), ("calibrated_classifiers_", ".estimator")):
        held = getattr(ensemble, name, None)
        for i, estimator in enumerate(held if isinstance(held, list) else ()):
            inner = getattr(estimator, "estimator", estimator) if suffix else estimator
            if hasattr(inner, "fit") and hasattr(unwrap(inner)[0], "coefs_"):
                return f"{name}[{i}]{suffix}"
    return None


def _log_slope(transformer, y, T):
    """log |dt/dy| at y, (n, n_outputs), and T = t(y): by central differences of the inverse, exact if it is linear."""

    def inverse(T):
        return np.asarray(transformer.inverse_transform(T))

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
        after a schedule that ended at 0, the passes use the rates that it started from, around the noise-free output.

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
        raise no_network(OURS, estimator, network)
    weights = None if sample_weight is None else np.asarray(sample_weight)
    return float(np.average(network.log_predictive_density(X, y, **sampling) + log_slope, weights=weights))

"""Log predictive density as a scorer, and access to the network inside pipelines and other containers."""

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

NETWORKS = "DropoutMLPClassifier or DropoutMLPRegressor"
# Meta-estimators that predict with a single fitted estimator and pass X and y on unchanged (RFE selects columns of X)
WRAPPERS = (
    FixedThresholdClassifier,
    FrozenEstimator,
    RANSACRegressor,
    RFE,
    SelfTrainingClassifier,
    TunedThresholdClassifierCV,
)


def unwrap(estimator, X=None, y=None, with_log_jacobian=False):
    """Return the innermost estimator of nested containers, with X and y as that estimator receives them.

    The containers are pipelines of scikit-learn and imbalanced-learn, searches,
    :class:`~sklearn.compose.TransformedTargetRegressor`, and the meta-estimators in `WRAPPERS`, at any depth. X and y
    are optional.

    Returns
    -------
    inner, X, y, log_jacobian : log_jacobian, of shape (n_samples,) or 0, is log |dt/dy| at y, where t is the
        transformation of the targets.
    """
    check_is_fitted(estimator)
    log_jacobian = 0.0
    while True:
        if isinstance(estimator, Pipeline):
            for _, step in estimator.steps[:-1] if X is not None else ():
                if hasattr(step, "transform"):  # skip "passthrough", None, and samplers, which act in fit only
                    X = step.transform(X)
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, TransformedTargetRegressor):
            if y is not None:
                y, transformer = np.asarray(y, dtype=float), estimator.transformer_
                columns = y.reshape(len(y), -1)
                T = np.asarray(transformer.transform(columns))  # may be a DataFrame
                if with_log_jacobian:
                    log_jacobian = log_jacobian + _log_jacobian(transformer, columns, T)
                y = T.ravel() if T.shape[1] == 1 else T
            estimator = estimator.regressor_
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, WRAPPERS):
            if isinstance(estimator, RFE) and X is not None:
                X = estimator.transform(X)
            estimator = getattr(estimator, "estimator_", estimator.estimator)
            if hasattr(X, "columns") and not hasattr(estimator, "feature_names_in_"):  # fitted on an array
                X = np.asarray(X)
        else:
            return estimator, X, y, log_jacobian


def missing_network_error(wanted, estimator, inner):
    """Return the TypeError to raise where `unwrap` finds `inner` in `estimator` instead of `wanted`."""
    if hasattr(inner, "refit") and not inner.refit:
        hint = f"with refit=False {type(inner).__name__} keeps no fitted estimator; set refit=True."
    elif path := first_network_path(inner):
        hint = (
            f"{type(inner).__name__} does not predict with a single network. Pass one of its networks, such as "
            f".{path}, with X and y as that network receives them."
        )
    else:
        hint = "pass one directly, or in a Pipeline, a TransformedTargetRegressor or a search with refit."
    return TypeError(f"There is no {wanted} in {estimator!r}: {hint}")


def first_network_path(ensemble):
    """Return the attribute path to the first network of an ensemble or a calibrated classifier, or None."""
    for name, suffix in (("estimators_", ""), ("calibrated_classifiers_", ".estimator")):
        members = getattr(ensemble, name, None)
        for i, estimator in enumerate(members if isinstance(members, list) else ()):
            inner = getattr(estimator, "estimator", estimator) if suffix else estimator
            if hasattr(inner, "fit") and hasattr(unwrap(inner)[0], "coefs_"):
                return f"{name}[{i}]{suffix}"
    return None


def _log_jacobian(transformer, y, T):
    """Return log |dt/dy| at y of shape (n, n_outputs), given T = t(y).

    Computed by central differences of the inverse, which are exact if it is linear.
    """

    def inverse(T):
        return np.asarray(transformer.inverse_transform(T))

    step = np.cbrt(np.finfo(float).eps) * np.maximum(1, np.abs(T))
    columns = []
    for j in range(T.shape[1]):
        h = np.zeros_like(T)
        h[:, j] = step[:, j]
        columns.append((inverse(T + h) - inverse(T - h)) / (2 * step[:, [j]]))
    log_jacobian = -np.linalg.slogdet(np.stack(columns, axis=2))[1]
    if not (np.isfinite(log_jacobian).all() and np.allclose(inverse(T), y, rtol=1e-3)):
        raise ValueError(
            f"{transformer!r} has no inverse at some of the targets or is constant there: use a strictly monotone "
            "transformer, such as StandardScaler."
        )
    return log_jacobian


def log_predictive_density_scorer(
    estimator: BaseEstimator,
    X: MatrixLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> float:
    """Compute the mean log predictive density of Monte Carlo passes, as ``scoring`` for `GridSearchCV`.

    The score is in nats per row, and greater is better. It rewards an accurate mean together with an accurate width of
    the predictive distribution.

    Parameters
    ----------
    estimator : estimator
        A fitted :class:`DropoutMLPRegressor` or :class:`DropoutMLPClassifier`, by itself or inside a
        :class:`~sklearn.pipeline.Pipeline` or a :class:`~sklearn.compose.TransformedTargetRegressor`. The score
        includes the log Jacobian of a target transformation, so that the density is that of y as given here.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to score.

    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True targets.

    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights; None for equal weights.

    **sampling : dict
        `n_samples`, `dropout` and the other sampling parameters of :meth:`DropoutMLPRegressor.log_predictive_density`.
        To set them in a search: ``scoring=functools.partial(log_predictive_density_scorer, dropout=0)``. Without a
        rate, and after a schedule that ended at 0, the passes use the initial rates of the schedule, centered on the
        noise-free output.

    Returns
    -------
    score : float
        Mean log predictive density, in nats per row.

    Raises
    ------
    TypeError
        If `estimator` contains no such network.

    ValueError
        If a target transformation is not invertible at some of the targets.

    See Also
    --------
    DropoutMLPRegressor.log_predictive_density : Log density of each row.
    CoverageDisplay : Plot the coverage of predictive intervals.

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
    network, X, y, log_jacobian = unwrap(estimator, X, y, with_log_jacobian=True)
    if not hasattr(network, "log_predictive_density"):
        raise missing_network_error(NETWORKS, estimator, network)
    weights = None if sample_weight is None else np.asarray(sample_weight)
    return float(np.average(network.log_predictive_density(X, y, **sampling) + log_jacobian, weights=weights))

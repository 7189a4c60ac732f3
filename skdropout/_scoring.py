"""Log predictive density and predictive intervals of pipelines and other containers, and access to their network."""

from __future__ import annotations

import warnings
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

from ._typing import Float, FloatArray, MatrixLike, Sampling

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
    inner, X, y, log_jacobian, transformers : log_jacobian, of shape (n_samples,) or 0, is log |dt/dy| at y, where t is
        the transformation of the targets; transformers is the list of its steps, outermost first.
    """
    check_is_fitted(estimator)
    log_jacobian, transformers = 0.0, []
    while True:
        if isinstance(estimator, Pipeline):
            for _, step in estimator.steps[:-1] if X is not None else ():
                if hasattr(step, "transform"):  # skip "passthrough", None, and samplers, which act in fit only
                    X = step.transform(X)
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, TransformedTargetRegressor):
            transformer = estimator.transformer_
            transformers.append(transformer)
            if y is not None:
                y = np.asarray(y, dtype=float)
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
            return estimator, X, y, log_jacobian, transformers


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
    >>> print(f"log predictive density: {scores.mean():.1f} nats")
    log predictive density: -5.5 nats
    """
    network, X, y, log_jacobian, _ = unwrap(estimator, X, y, with_log_jacobian=True)
    if not hasattr(network, "log_predictive_density"):
        raise missing_network_error(NETWORKS, estimator, network)
    weights = None if sample_weight is None else np.asarray(sample_weight)
    return float(np.average(network.log_predictive_density(X, y, **sampling) + log_jacobian, weights=weights))


def predict_interval(
    estimator: BaseEstimator, X: MatrixLike, coverage: Float = 0.9, **sampling: Unpack[Sampling]
) -> FloatArray:
    """Predict intervals that contain a given fraction of the targets, in the units of the targets.

    The function calls :meth:`DropoutMLPRegressor.predict_interval` of the network inside `estimator`, on X as the
    network receives it, and transforms both ends back if the targets were transformed. A transformation that is
    monotone in each output keeps the coverage. An end beyond the range of the transformation is infinite.

    Parameters
    ----------
    estimator : estimator
        A fitted :class:`DropoutMLPRegressor`, by itself or inside a :class:`~sklearn.pipeline.Pipeline`, a
        :class:`~sklearn.compose.TransformedTargetRegressor` or a search, at any depth. The network needs held-out rows:
        from ``early_stopping=True``, from `X_val`, or from :meth:`DropoutMLPRegressor.calibrate`.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The input data.

    coverage : float, default=0.9
        Fraction of the targets inside the intervals, in (0, 1).

    **sampling : dict
        `n_samples`, `dropout` and the other sampling parameters of :meth:`DropoutMLPRegressor.predict_interval`.

    Returns
    -------
    y_interval : ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
        Lower and upper ends.

    Raises
    ------
    TypeError
        If `estimator` contains no such network.

    ValueError
        If there are no or too few held-out rows, or if a target transformation is not monotone within an interval or
        mixes outputs.

    See Also
    --------
    DropoutMLPRegressor.predict_interval : Definition of the intervals, and what they guarantee.
    CoverageDisplay : Plot the coverage of predictive intervals.

    Examples
    --------
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdropout import DropoutMLPRegressor, predict_interval
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> reg = DropoutMLPRegressor(
    ...     hidden_layer_sizes=20, dropout=0.1, early_stopping=True, random_state=0
    ... )
    >>> model = make_pipeline(StandardScaler(), TransformedTargetRegressor(reg, transformer=StandardScaler()))
    >>> lower, upper = predict_interval(model.fit(X_train, y_train), X_test, coverage=0.8).T
    >>> inside = (lower <= y_test) & (y_test <= upper)
    >>> print(f"{inside.mean():.0%} of the test targets are in the 80% intervals")
    8...% of the test targets are in the 80% intervals
    """
    network, X, _, _, transformers = unwrap(estimator, X)
    if not hasattr(network, "predict_interval"):
        raise missing_network_error("DropoutMLPRegressor", estimator, network)
    interval = network.predict_interval(X, coverage, **sampling)
    for transformer in reversed(transformers):
        interval = _transform_back(transformer, interval)
    return interval


def _transform_back(transformer, interval):
    """Return intervals of the original targets, after checking that each output is a monotone function of its own."""
    lower, upper = np.moveaxis(interval.reshape(len(interval), -1, 2), 2, 0)

    def inverse(T):
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):  # of NaN, which is handled below
            return np.asarray(transformer.inverse_transform(T), dtype=float)

    points = np.array([inverse(lower + t * (upper - lower)) for t in (0, 0.25, 0.5, 0.75, 1)])
    separate = True
    for j in range(lower.shape[1]):
        mixed, expected = lower.copy(), points[0].copy()
        mixed[:, j], expected[:, j] = upper[:, j], points[-1][:, j]
        separate &= np.allclose(inverse(mixed), expected, equal_nan=True)
    # beyond the range of the transformer, such as PowerTransformer, the interval is unbounded
    is_known = ~np.isnan(points)
    with np.errstate(invalid="ignore"):
        direction = np.where(np.nansum(np.diff(points, axis=0), axis=0) < 0, -1, 1)
    is_before = ~np.logical_or.accumulate(is_known)
    points = np.where(is_known, points, direction * np.where(is_before, -np.inf, np.inf))
    has_no_direction = is_known.sum(axis=0) < 2
    points[0, has_no_direction], points[-1, has_no_direction] = -np.inf, np.inf
    is_monotone = (points[1:] >= points[:-1]).all(axis=0) | (points[1:] <= points[:-1]).all(axis=0)
    if not (separate and is_monotone.all()):
        raise ValueError(
            f"{transformer!r} does not transform intervals of the targets back to intervals: use a transformer whose "
            "inverse is monotone in each output, such as StandardScaler, or call predict_interval of the network."
        )
    ends = np.sort(points[[0, -1]], axis=0)
    return np.moveaxis(ends, 0, 2).reshape(interval.shape)

"""The log predictive density as a score, through pipelines and transformed targets."""

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def unwrap(estimator, X, y):
    """What is inside pipelines, searches and :class:`~sklearn.compose.TransformedTargetRegressor`, with its X and y.

    Returns
    -------
    inner, X, y, log_slope : log_slope, (n_samples,), is log |dt/dy| at y of the transformation t of the targets.
    """
    check_is_fitted(estimator)
    log_slope = np.zeros(len(y))
    while True:
        if isinstance(estimator, Pipeline):
            X = estimator[:-1].transform(X) if len(estimator) > 1 else X
            estimator = estimator[-1]
        elif isinstance(estimator, TransformedTargetRegressor):
            y, log_slope = _transform(estimator, np.asarray(y, dtype=float), log_slope)
            estimator = estimator.regressor_
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator, X, y, log_slope


def _transform(estimator, y, log_slope):
    """The targets the regressor inside sees; the slope is by central differences, exact for a linear scaling."""

    def transform(values):
        columns = values if values.ndim == 2 else values[:, np.newaxis]
        return estimator.transformer_.transform(columns).reshape(values.shape)

    step = np.cbrt(np.finfo(float).eps) * np.maximum(np.abs(y), y.std() or 1.0)
    slope = np.abs(transform(y + step) - transform(y - step)) / (2 * step)
    if not (np.isfinite(slope) & (slope > 0)).all():
        raise ValueError(
            f"{estimator.transformer_!r} is flat or undefined at some of the targets: use a transformer that is "
            "strictly monotone there, such as StandardScaler."
        )
    return transform(y), log_slope + np.log(slope).reshape(len(y), -1).sum(axis=1)


def log_predictive_density_scorer(estimator, X, y, sample_weight=None, **sampling):
    """Mean log predictive density of noisy passes: a ``scoring`` for `GridSearchCV`, greater is better.

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
        in a search: ``scoring=functools.partial(log_predictive_density_scorer, dropout=0)``.

    Returns
    -------
    score : float
        Nats per row.

    Raises
    ------
    TypeError
        If there is no such network in `estimator`.
    ValueError
        If the rates of dropout ended at 0 by a schedule and no rate is given.

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
    network, X, y, log_slope = unwrap(estimator, X, y)
    if not hasattr(network, "log_predictive_density"):
        raise TypeError(
            f"There is no DropoutMLPClassifier or DropoutMLPRegressor in {estimator!r}: a predictive density needs "
            "one, by itself or at the end of a Pipeline, a TransformedTargetRegressor or a search."
        )
    return float(np.average(network.log_predictive_density(X, y, **sampling) + log_slope, weights=sample_weight))

"""Display of cross-validated scores against the dropout rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted

from .._sklearn import InvalidParameterError, check_matplotlib_support, validate_score_name
from .._tuning import one_standard_error
from .._typing import FloatArray, Int, MatrixLike, Rate, Scoring
from ._common import add_legend_entry, legend_on_top, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import ErrorbarContainer
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

DEFAULT_RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


class DropoutRateDisplay:
    """Cross-validated score against the dropout rate, with the best rate and the one-standard-error choice marked.

    A point is the mean over the splits. Its error bar is one standard error, s / √n_splits, where s is the standard
    deviation over the splits. Scalar rates lie on a numeric axis and are joined by a line. Tuples with one rate per
    layer are drawn to the right of them, each with its own tick label. If the rates include 0, the dashed line and its
    band show the score without dropout and its standard error.

    The ring marks the choice of the one-standard-error rule [1]_: the smallest rate, averaged over the layers, whose
    mean score is at most one standard error of the best below the best.

    Create it with :meth:`from_search`, :meth:`from_cv_results` or :meth:`from_estimator`.

    Parameters
    ----------
    rates : list of n_rates floats or tuples of float
        Dropout rates, each a scalar for all hidden layers or a tuple with one rate per layer.

    test_scores : array-like of shape (n_rates, n_splits)
        Test scores of each split; greater is better. A rate with a NaN score is not drawn.

    param_name : str, default='dropout'
        Name of the parameter that was varied, for the x-axis label.

    score_name : str, default=None
        Name of the score, as in ``scoring``, for the y-axis label.

    estimator_name : str, default=None
        Name for the legend.

    Attributes
    ----------
    mean_scores : ndarray of shape (n_rates,)
        Mean score over the splits.

    standard_errors : ndarray of shape (n_rates,)
        Standard error of each mean score; NaN with one split.

    best_rate : float or tuple of float
        Rate with the best mean score.

    one_standard_error_rate : float, tuple of float or None
        Choice of the one-standard-error rule; None with one split.

    errorbar_ : matplotlib ErrorbarContainer or None
        Points of scalar rates; None if there are none.

    tuple_errorbar_ : matplotlib ErrorbarContainer or None
        Points of tuples; None if there are none.

    baseline_ : matplotlib Line2D or None
        Line at the score without dropout; None if 0 is not among the rates.

    band_ : matplotlib Patch or None
        Band of one standard error around the baseline; None without a baseline or with one split.

    best_ : matplotlib Line2D
        Marker of the best rate.

    choice_ : matplotlib Line2D or None
        Ring around the one-standard-error choice; None with one split, or if the chosen candidate does not set this
        rate.

    ax_ : matplotlib Axes
        Axes with the curve.

    figure_ : matplotlib Figure
        Figure with the curve.

    See Also
    --------
    TrainingCurveDisplay : The loss of each epoch.
    sklearn.model_selection.ValidationCurveDisplay : Scores against any numeric parameter.

    Notes
    -----
    The training rows of the splits overlap, so the standard error is only a rough guide. All rates are evaluated on the
    same splits, so differences between rates can be more reliable than the error bars suggest.

    References
    ----------
    .. [1] L. Breiman, J. H. Friedman, R. A. Olshen and C. J. Stone (1984). Classification and Regression Trees.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdropout import DropoutMLPClassifier, DropoutRateDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = DropoutMLPClassifier((20, 20), learning_rate_init=0.02, early_stopping=True, random_state=0)
    >>> disp = DropoutRateDisplay.from_estimator(
    ...     make_pipeline(StandardScaler(), clf), X, y, rates=[0.0, 0.2, (0.0, 0.2)], cv=3, scoring="neg_log_loss"
    ... )
    >>> disp.ax_.get_ylabel()
    'Negative log loss'
    """

    mean_scores: FloatArray
    standard_errors: FloatArray
    best_rate: Rate
    one_standard_error_rate: Rate | None
    errorbar_: ErrorbarContainer | None
    tuple_errorbar_: ErrorbarContainer | None
    baseline_: Line2D | None
    band_: Patch | None
    best_: Line2D
    choice_: Line2D | None
    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        rates: Sequence[Rate] | NDArray[Any],
        test_scores: ArrayLike,
        *,
        param_name: str = "dropout",
        score_name: Scoring = None,
        estimator_name: str | None = None,
    ) -> None:
        self.rates = rates
        self.test_scores = test_scores
        self.param_name = param_name
        self.score_name = score_name
        self.estimator_name = estimator_name
        scores = np.asarray(test_scores, dtype=float)
        n_splits = scores.shape[1]
        self.mean_scores = scores.mean(axis=1)
        if np.isnan(self.mean_scores).all():
            raise ValueError(
                "The score of every rate is NaN: run the search with error_score='raise' to see the error."
            )
        self.standard_errors = np.full(len(scores), np.nan)
        self.best_rate, self.one_standard_error_rate = rates[int(np.nanargmax(self.mean_scores))], None
        if n_splits == 1:
            return
        self.standard_errors = scores.std(axis=1, ddof=1) / np.sqrt(n_splits)
        results = {f"split{i}_test_score": column for i, column in enumerate(scores.T)}
        results |= {"mean_test_score": self.mean_scores, "params": [{"dropout": rate} for rate in rates]}
        self.one_standard_error_rate = rates[one_standard_error(results)]

    def plot(
        self, *, ax: Axes | None = None, name: str | None = None, negate_score: bool = False, **kwargs: Any
    ) -> Self:
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on, such as ``ax_`` of another display; None for a new figure.

        name : str, default=None
            Name for the legend; None for `estimator_name`.

        negate_score : bool, default=False
            Whether to draw the negated score, which is the loss if the score is a negated loss.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        display : DropoutRateDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `ax` already has tuples at the positions of these scalar rates.
        """
        tuples = [i for i, rate in enumerate(self.rates) if np.ndim(rate)]
        scalars = sorted({*range(len(self.rates))} - {*tuples}, key=lambda i: self.rates[i])
        ax = new_axes(self, ax, figsize=(6.4 + 0.25 * max(0, len(tuples) - 6), 4.8), layout="constrained")
        x = np.array([np.nan if np.ndim(rate) else rate for rate in self.rates])
        x[tuples] = _place_tuples([_label(self.rates[i]) for i in tuples], x[scalars], ax)
        y = -self.mean_scores if negate_score else self.mean_scores
        color = self._draw_points(x, y, scalars, tuples, self.estimator_name if name is None else name, kwargs)
        self._draw_marks(x, y, color)
        ylabel = validate_score_name(None, self.score_name, negate_score)
        xlabel = self.param_name.rpartition("__")[2]
        if any(text.get_text().startswith("(") for text in ax.get_xticklabels()):
            xlabel += ": one rate for all hidden layers, or (one for each)"
        ax.set(xlabel=xlabel, ylabel=ylabel)
        legend_on_top(ax, ncols=2)
        return self

    def _draw_points(self, x, y, scalars, tuples, name, kwargs):
        """Draw the points with their error bars, and return their color."""
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D

        style = {"marker": "o", "markersize": 5, "capsize": 3, "label": name, **normalize_kwargs(kwargs, Line2D)}
        self.errorbar_ = self.tuple_errorbar_ = None
        if scalars:
            self.errorbar_ = self.ax_.errorbar(x[scalars], y[scalars], self.standard_errors[scalars], **style)
            style |= {"color": self.errorbar_[0].get_color(), "label": None}
        if tuples:
            style |= {"linestyle": "none", "marker": "s"}
            self.tuple_errorbar_ = self.ax_.errorbar(x[tuples], y[tuples], self.standard_errors[tuples], **style)
        return (self.errorbar_ or self.tuple_errorbar_)[0].get_color()  # type: ignore[index]

    def _draw_marks(self, x, y, color):
        """Draw the baseline, the best rate and the one-standard-error choice."""
        ax, errors = self.ax_, self.standard_errors
        self.baseline_ = self.band_ = self.choice_ = None
        for i in [i for i, rate in enumerate(self.rates) if not np.any(rate) and np.isfinite(y[i])][:1]:
            param = self.param_name.rpartition("__")[2]
            label = f"{'no dropout' if param == 'dropout' else f'{param} 0'} ± s.e."
            add_legend_entry(ax, label, linestyle="--", linewidth=1)
            self.baseline_ = ax.axhline(y[i], color=color, linestyle="--", linewidth=1, zorder=1)
            if np.isfinite(errors[i]):
                self.band_ = ax.axhspan(y[i] - errors[i], y[i] + errors[i], color=color, alpha=0.1, linewidth=0)
        star: dict[str, Any] = {"marker": "*", "linestyle": "none"}
        ring: dict[str, Any] = {"marker": "o", "linestyle": "none", "fillstyle": "none", "markeredgewidth": 1.5}
        add_legend_entry(ax, "best", markersize=10, **star)
        i = list(self.rates).index(self.best_rate)
        (self.best_,) = ax.plot(x[i], y[i], color=color, markersize=17, markeredgecolor="white", zorder=3, **star)
        if self.one_standard_error_rate is not None:
            add_legend_entry(ax, "smallest rate within one s.e. of the best", markersize=10, **ring)
            i = list(self.rates).index(self.one_standard_error_rate)
            (self.choice_,) = ax.plot(x[i], y[i], color=color, markersize=16, zorder=3, **ring)

    @classmethod
    def from_search(
        cls,
        search: BaseEstimator,
        *,
        param_name: str | None = None,
        metric: str | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        negate_score: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Draw the results of a fitted search over rates.

        Parameters
        ----------
        search : estimator
            A fitted :class:`~sklearn.model_selection.GridSearchCV`,
            :class:`~sklearn.model_selection.RandomizedSearchCV` or halving search.

        param_name : str, default=None
            Parameter to draw, as in the grid; None for the one whose name ends in ``dropout``.

        metric : str, default=None
            Name of the score of a multi-metric search; None for the only score, or the one in ``refit``.

        name : str, default=None
            Name for the legend; None for the class name of the estimator.

        ax : matplotlib Axes, default=None
            Axes to draw on, such as ``ax_`` of another display; None for a new figure.

        negate_score : bool, default=False
            Whether to draw the negated score, which is the loss if the score is a negated loss.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        display : DropoutRateDisplay
            The drawn display. See :meth:`from_cv_results` for searches over several parameters and halving searches.

        Raises
        ------
        TypeError
            If `search` has no ``cv_results_``.

        ValueError
            If `metric` or `param_name` is not in the results.
        """
        check_is_fitted(search)
        if not hasattr(search, "cv_results_"):
            raise TypeError(f"{search!r} is not a search with cv_results_: use from_estimator to draw an estimator.")
        score_name = search.scoring
        if getattr(search, "multimetric_", False):
            metric = score_name = search.refit if metric is None and isinstance(search.refit, str) else metric
        return cls.from_cv_results(
            search.cv_results_,
            param_name=param_name,
            metric="score" if metric is None else metric,
            score_name=score_name,
            name=type(search.estimator).__name__ if name is None else name,
            ax=ax,
            negate_score=negate_score,
            **kwargs,
        )

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Mapping[str, Any],
        *,
        param_name: str | None = None,
        metric: str = "score",
        score_name: Scoring = None,
        name: str | None = None,
        ax: Axes | None = None,
        negate_score: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Draw the results of a search over rates.

        If other parameters vary too, each rate is drawn with the score of its best candidate. These scores are slightly
        optimistic, more so with more candidates per rate. If `input_dropout` is among the other parameters, the
        baseline without dropout refers to the hidden layers only. The ring marks the rate of the candidate that
        :func:`one_standard_error` chooses, which sums the rates of all dropout parameters. Candidates that do not set
        the rate are not drawn. A halving search is drawn once per iteration, since iterations differ in resources.

        Parameters
        ----------
        cv_results : dict
            ``cv_results_`` of a search.

        param_name : str, default=None
            Parameter to draw, as in the grid; None for the one whose name ends in ``dropout``.

        metric : str, default='score'
            Name of the score of a multi-metric search.

        score_name : str, default=None
            Name of the score, as in ``scoring``, for the y-axis label; None for `metric`.

        name : str, default=None
            Name for the legend.

        ax : matplotlib Axes, default=None
            Axes to draw on, such as ``ax_`` of another display; None for a new figure.

        negate_score : bool, default=False
            Whether to draw the negated score, which is the loss if the score is a negated loss.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        display : DropoutRateDisplay
            The drawn display; for a halving search that of the last iteration.

        Raises
        ------
        ValueError
            If `metric` or `param_name` is not in the results, or if several parameters are candidates for `param_name`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_cv_results")
        if f"mean_test_{metric}" not in cv_results:
            known = [key.removeprefix("mean_test_") for key in cv_results if key.startswith("mean_test_")]
            raise ValueError(f"metric={metric!r} is not a score of this search: choose one of {known}.")
        if param_name is None:
            param_name = _find_dropout_param(
                key.removeprefix("param_") for key in cv_results if key.startswith("param_")
            )
        elif f"param_{param_name}" not in cv_results:
            raise ValueError(
                f"param_name={param_name!r} was not varied in this search: {list(cv_results['params'][0])}."
            )
        if score_name is None or not (isinstance(score_name, str) or hasattr(score_name, "__name__")):
            score_name = None if metric == "score" else metric
        iterations = np.asarray(cv_results.get("iter", np.zeros(len(cv_results["params"]))))
        for iteration in np.unique(iterations):
            candidates = np.flatnonzero(iterations == iteration)
            label = name
            if "n_resources" in cv_results:
                n_resources = f"n_resources={cv_results['n_resources'][candidates[0]]}"
                label = n_resources if name is None else f"{name}, {n_resources}"
            rates, scores = _best_of_each_rate(cv_results, candidates, param_name, metric)
            disp = cls(rates, scores, param_name=param_name, score_name=score_name, estimator_name=label)
            if sum(key.startswith("param_") and key.endswith("dropout") for key in cv_results) > 1:
                disp.one_standard_error_rate = _chosen_rate(cv_results, candidates, param_name, metric)
            ax = disp.plot(ax=ax, negate_score=negate_score, **kwargs).ax_
        return disp

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: MatrixLike,
        y: ArrayLike,
        *,
        rates: Sequence[Rate] | NDArray[Any] = DEFAULT_RATES,
        param_name: str | None = None,
        cv: Any = None,
        scoring: Scoring = None,
        n_jobs: Int | None = None,
        fit_params: Mapping[str, Any] | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        negate_score: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Cross-validate an estimator at each rate with ``GridSearchCV``, and draw the scores.

        Parameters
        ----------
        estimator : estimator
            A :class:`DropoutMLPClassifier` or :class:`DropoutMLPRegressor`, by itself or inside a
            :class:`~sklearn.pipeline.Pipeline`, a :class:`~sklearn.compose.TransformedTargetRegressor` or a similar
            meta-estimator.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        rates : list of floats or tuples of float, default=(0.0, 0.1, ..., 0.6)
            Rates in [0, 1), each a scalar for all hidden layers or a tuple with one rate per layer.

        param_name : str, default=None
            Parameter to set, as in a grid; None for the parameter ``dropout``, also if it is nested.

        cv : int, cross-validation generator or iterable, default=None
            Splits, the same for every rate; None for 5 folds.

        scoring : str or callable, default=None
            Score; None for the ``score`` method of the estimator.

        n_jobs : int, default=None
            Number of parallel jobs of joblib; None for 1.

        fit_params : dict, default=None
            Parameters for ``fit`` of the search, such as ``groups`` or ``sample_weight``.

        name : str, default=None
            Name for the legend; None for the class name of `estimator`.

        ax : matplotlib Axes, default=None
            Axes to draw on, such as ``ax_`` of another display; None for a new figure.

        negate_score : bool, default=False
            Whether to draw the negated score, which is the loss if the score is a negated loss.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        display : DropoutRateDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If `scoring` is not a single score, or if `param_name` is None and no or several parameters match.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
            raise InvalidParameterError(
                f"scoring must be one score, got {scoring!r}: for several, fit a GridSearchCV and draw it with "
                "from_search(search, metric=...)."
            )
        if param_name is None:
            param_name = _find_dropout_param(estimator.get_params())
        grid = {param_name: list(rates)}
        search = GridSearchCV(estimator, grid, scoring=scoring, cv=cv, n_jobs=n_jobs, refit=False)
        search.fit(X, y, **(fit_params or {}))
        return cls.from_search(search, param_name=param_name, name=name, ax=ax, negate_score=negate_score, **kwargs)


def _find_dropout_param(names):
    """Return the name of the only dropout rate among `names`; ``dropout`` takes precedence over ``input_dropout``."""
    names = list(names)
    for last in ("dropout", "input_dropout"):
        found = [name for name in names if name.rpartition("__")[2] == last]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"There are several dropout rates: set param_name to one of {found}.")
    raise ValueError(f"No parameter ends in 'dropout' among {names}: set param_name.")


def _best_of_each_rate(cv_results, candidates, param_name, metric):
    """Return the sorted rates, scalars first, and the split scores of the best candidate of each rate."""
    values, means = cv_results[f"param_{param_name}"], np.asarray(cv_results[f"mean_test_{metric}"], dtype=float)
    n_splits = sum(f"split{i}_test_{metric}" in cv_results for i in range(len(cv_results)))
    scores = np.column_stack([cv_results[f"split{i}_test_{metric}"] for i in range(n_splits)])
    best: dict[Any, int] = {}
    for i in candidates[np.argsort(np.nan_to_num(-means[candidates], nan=np.inf), kind="stable")]:
        if values[i] is not np.ma.masked:
            best.setdefault(_as_rate(values[i]), i)
    if not best:
        raise ValueError(f"No candidate of this search has a value of {param_name}.")
    rates = sorted(best, key=lambda rate: (np.ndim(rate), np.mean(rate), rate))
    return rates, scores[[best[rate] for rate in rates]]


def _chosen_rate(cv_results, candidates, param_name, metric):
    """Return the rate of the candidate chosen by the one-standard-error rule, or None if it does not set this rate."""
    if "split1_test_" + metric not in cv_results:
        return None
    scores = {key: values[candidates] for key, values in cv_results.items() if key.endswith(f"_test_{metric}")}
    i = one_standard_error({**scores, "params": [cv_results["params"][i] for i in candidates]}, metric)
    value = cv_results[f"param_{param_name}"][candidates[i]]
    return None if value is np.ma.masked else _as_rate(value)


def _as_rate(value):
    return tuple(np.asarray(value, dtype=float).tolist()) if np.ndim(value) else float(value)


def _label(rates):
    return "(" + ", ".join(f"{rate:.3g}" for rate in rates) + ")"


def _place_tuples(labels, scalars, ax):
    """Return the x of each tuple: right of the scalar rates, or at its tick label if `ax` already has it."""
    ticks = {text.get_text(): x for x, text in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)}
    positions = {text: x for text, x in ticks.items() if text.startswith("(")}
    numbers = [x for text, x in ticks.items() if text not in positions]
    if not (labels or positions):
        return []
    if positions:
        first, end = min(positions.values()), max(positions.values())
        if max(scalars, default=0) >= first:
            raise ValueError(
                f"The tuples on ax start at {first:.3g}, left of the rate {max(scalars):g}: draw the display with the "
                "largest scalar rate first, or use separate axes."
            )
        step = first - max(numbers, default=0)
    else:
        from matplotlib.ticker import MaxNLocator

        left, end = min([*scalars, ax.dataLim.x0]), max([*scalars, ax.dataLim.x1, 0])  # ±inf on empty axes
        step, numbers = end / 8 or 0.1, []
        if left <= end:
            numbers = [x for x in MaxNLocator(8).tick_values(left, end) if left - 1e-9 <= x <= end + 1e-9]
            ax.axvline(end + step / 2, color="0.85", linewidth=1)
    new = [label for label in labels if label not in positions]
    positions |= {label: end + step * (i + 1) for i, label in enumerate(new)}
    ax.set_xticks([*numbers, *positions.values()], [*(f"{x:g}" for x in numbers), *positions])
    for text in ax.get_xticklabels():
        if text.get_text() in positions:
            text.set(rotation=45, horizontalalignment="right", rotation_mode="anchor")
    return [positions[label] for label in labels]

"""Which rate of dropout? Scores of a search against the rates, scalars and one per layer."""

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
from ._common import explain, legend_above, start

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import ErrorbarContainer
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


class DropoutRateDisplay:
    """Cross-validated score against the rate of dropout, with the best rate and the one-standard-error choice marked.

    A point is the mean over the splits, its error bar one standard error, s / √n_splits, s being the standard
    deviation over the splits. Single rates lie on a numeric axis, joined by a line, and tuples of one rate per layer
    to the right of it, each with its label. Where a rate of 0 is among them, the dashed line with its band is the
    score without dropout and its standard error.

    The ring is around the choice of the one-standard-error rule [1]_: the least rate, on average over the layers,
    whose mean score is no more than one standard error of the best below the best.

    Make one by :meth:`from_search`, :meth:`from_cv_results` or :meth:`from_estimator`.

    Parameters
    ----------
    rates : list of n_rates floats or tuples of float
        The rates, each for all hidden layers or a tuple with one for each.

    test_scores : array-like of shape (n_rates, n_splits)
        Scores on the test rows of each split; greater is better. A rate with a score of NaN is not drawn.

    param_name : str, default='dropout'
        What was varied, for the axis.

    score_name : str, default=None
        Name of the score, for the axis, as in ``scoring``.

    estimator_name : str, default=None
        Name for the legend.

    Attributes
    ----------
    mean_scores : ndarray of shape (n_rates,)
        Mean over the splits.

    standard_errors : ndarray of shape (n_rates,)
        Standard error of each mean; NaN with one split.

    best_rate : float or tuple of float
        The rate with the best mean.

    one_standard_error_rate : float, tuple of float or None
        The choice of the rule; None with one split.

    errorbar_ : matplotlib ErrorbarContainer or None
        The points of single rates; None if there are none.

    tuple_errorbar_ : matplotlib ErrorbarContainer or None
        The points of tuples; None if there are none.

    baseline_ : matplotlib Line2D or None
        The score without dropout; None if 0 is not among the rates.

    band_ : matplotlib Patch or None
        Its standard error to each side; None with one split too.

    best_ : matplotlib Line2D
        The mark of the best rate.

    choice_ : matplotlib Line2D or None
        The ring around the one-standard-error choice; None with one split, or if the choice leaves this rate alone.

    ax_ : matplotlib Axes
        Axes with the curve.

    figure_ : matplotlib Figure
        Figure with the curve.

    See Also
    --------
    TrainingCurveDisplay : The loss of each epoch.
    sklearn.model_selection.ValidationCurveDisplay : Scores against any number.

    Notes
    -----
    The training rows of the splits overlap, so that the standard error is a rough guide; and as all rates are judged
    on the same splits, differences between them may be surer than the bars suggest.

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
            raise ValueError("The score of every rate is NaN: search with error_score='raise' to see why.")
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
            Where to draw, such as ``ax_`` of another display; None for a new figure.

        name : str, default=None
            Name for the legend; None for `estimator_name`.

        negate_score : bool, default=False
            Whether to draw minus the score: the loss, of which less is better, where the score is minus a loss.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        display : DropoutRateDisplay
            Itself.

        Raises
        ------
        ValueError
            If `ax` has tuples where these single rates belong.
        """
        tuples = [i for i, rate in enumerate(self.rates) if np.ndim(rate)]
        singles = sorted({*range(len(self.rates))} - {*tuples}, key=lambda i: self.rates[i])
        ax = start(self, ax, figsize=(6.4 + 0.25 * max(0, len(tuples) - 6), 4.8), layout="constrained")
        x = np.array([np.nan if np.ndim(rate) else rate for rate in self.rates])
        x[tuples] = _place([_label(self.rates[i]) for i in tuples], x[singles], ax)
        y = -self.mean_scores if negate_score else self.mean_scores
        color = self._draw_points(x, y, singles, tuples, self.estimator_name if name is None else name, kwargs)
        self._draw_marks(x, y, color)
        ylabel = validate_score_name(None, self.score_name, negate_score)
        xlabel = self.param_name.rpartition("__")[2]
        if any(text.get_text().startswith("(") for text in ax.get_xticklabels()):
            xlabel += ": one rate for all hidden layers, or (one for each)"
        ax.set(xlabel=xlabel, ylabel=ylabel)
        legend_above(ax, ncols=2)
        return self

    def _draw_points(self, x, y, singles, tuples, name, kwargs):
        """The error bars; their colour."""
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D

        style = {"marker": "o", "markersize": 5, "capsize": 3, "label": name, **normalize_kwargs(kwargs, Line2D)}
        self.errorbar_ = self.tuple_errorbar_ = None
        if singles:
            self.errorbar_ = self.ax_.errorbar(x[singles], y[singles], self.standard_errors[singles], **style)
            style |= {"color": self.errorbar_[0].get_color(), "label": None}
        if tuples:
            style |= {"linestyle": "none", "marker": "s"}
            self.tuple_errorbar_ = self.ax_.errorbar(x[tuples], y[tuples], self.standard_errors[tuples], **style)
        return (self.errorbar_ or self.tuple_errorbar_)[0].get_color()  # type: ignore[index]

    def _draw_marks(self, x, y, color):
        """The baseline, the best rate and the one-standard-error choice."""
        ax, errors = self.ax_, self.standard_errors
        self.baseline_ = self.band_ = self.choice_ = None
        for i in [i for i, rate in enumerate(self.rates) if not np.any(rate) and np.isfinite(y[i])][:1]:
            last = self.param_name.rpartition("__")[2]
            explain(ax, f"{'no dropout' if last == 'dropout' else f'{last} 0'} ± s.e.", linestyle="--", linewidth=1)
            self.baseline_ = ax.axhline(y[i], color=color, linestyle="--", linewidth=1, zorder=1)
            if np.isfinite(errors[i]):
                self.band_ = ax.axhspan(y[i] - errors[i], y[i] + errors[i], color=color, alpha=0.1, linewidth=0)
        star: dict[str, Any] = {"marker": "*", "linestyle": "none"}
        ring: dict[str, Any] = {"marker": "o", "linestyle": "none", "fillstyle": "none", "markeredgewidth": 1.5}
        explain(ax, "best", markersize=10, **star)
        i = list(self.rates).index(self.best_rate)
        (self.best_,) = ax.plot(x[i], y[i], color=color, markersize=17, markeredgecolor="white", zorder=3, **star)
        if self.one_standard_error_rate is not None:
            explain(ax, "least rate within one s.e. of the best", markersize=10, **ring)
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
        """Draw what a search over rates has found.

        Parameters
        ----------
        search : estimator
            A fitted :class:`~sklearn.model_selection.GridSearchCV`,
            :class:`~sklearn.model_selection.RandomizedSearchCV` or halving search.

        param_name : str, default=None
            The parameter to draw, as in the grid; None for the one whose name ends in ``dropout``.

        metric : str, default=None
            Which score of several; None for the only one, or the one in ``refit``.

        name : str, default=None
            Name for the legend; None for the class of the estimator.

        ax : matplotlib Axes, default=None
            Where to draw, such as ``ax_`` of another display; None for a new figure.

        negate_score : bool, default=False
            Whether to draw minus the score: the loss, of which less is better, where the score is minus a loss.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        display : DropoutRateDisplay
            What was drawn; see :meth:`from_cv_results` for several parameters and for halving.
        """
        check_is_fitted(search)
        if not hasattr(search, "cv_results_"):
            raise TypeError(f"{search!r} is not a search with cv_results_: draw the estimator by from_estimator.")
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

        Where other parameters vary too, each rate is drawn at the best of its candidates: the scores are then a
        little optimistic, the more so the more candidates there are to a rate, and with `input_dropout` among the
        others the line without dropout is of the hidden layers alone. The ring is around the rate of the candidate
        that :func:`one_standard_error` chooses, which adds up the rates of all. Candidates that leave the rate at its
        default are left out. A halving search is drawn once for each of its iterations, which differ in resources.

        Parameters
        ----------
        cv_results : dict
            ``cv_results_`` of a search.

        param_name : str, default=None
            The parameter to draw, as in the grid; None for the one whose name ends in ``dropout``.

        metric : str, default='score'
            Which score of several.

        score_name : str, default=None
            Name of the score, for the axis, as in ``scoring``; None for `metric`.

        name : str, default=None
            Name for the legend.

        ax : matplotlib Axes, default=None
            Where to draw, such as ``ax_`` of another display; None for a new figure.

        negate_score : bool, default=False
            Whether to draw minus the score: the loss, of which less is better, where the score is minus a loss.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        display : DropoutRateDisplay
            What was drawn; of a halving search the last iteration.
        """
        check_matplotlib_support(f"{cls.__name__}.from_cv_results")
        if f"mean_test_{metric}" not in cv_results:
            known = [key.removeprefix("mean_test_") for key in cv_results if key.startswith("mean_test_")]
            raise ValueError(f"metric={metric!r} is not a score of this search: choose one of {known}.")
        if param_name is None:
            param_name = _only_dropout(key.removeprefix("param_") for key in cv_results if key.startswith("param_"))
        elif f"param_{param_name}" not in cv_results:
            raise ValueError(
                f"param_name={param_name!r} was not varied in this search: {list(cv_results['params'][0])}."
            )
        if score_name is None or not (isinstance(score_name, str) or hasattr(score_name, "__name__")):
            score_name = None if metric == "score" else metric
        iterations = np.asarray(cv_results.get("iter", np.zeros(len(cv_results["params"]))))
        for iteration in np.unique(iterations):
            among = np.flatnonzero(iterations == iteration)
            label = name
            if "n_resources" in cv_results:
                n_resources = f"n_resources={cv_results['n_resources'][among[0]]}"
                label = n_resources if name is None else f"{name}, {n_resources}"
            rates, scores = _best_of_each_rate(cv_results, among, param_name, metric)
            disp = cls(rates, scores, param_name=param_name, score_name=score_name, estimator_name=label)
            if sum(key.startswith("param_") and key.endswith("dropout") for key in cv_results) > 1:
                disp.one_standard_error_rate = _choice(cv_results, among, param_name, metric)
            ax = disp.plot(ax=ax, negate_score=negate_score, **kwargs).ax_
        return disp

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: MatrixLike,
        y: ArrayLike,
        *,
        rates: Sequence[Rate] | NDArray[Any] = RATES,
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
        """Cross-validate an estimator at each rate, by :class:`~sklearn.model_selection.GridSearchCV`, and draw.

        Parameters
        ----------
        estimator : estimator
            A :class:`DropoutMLPClassifier` or :class:`DropoutMLPRegressor`, by itself or inside of a
            :class:`~sklearn.pipeline.Pipeline`, a :class:`~sklearn.compose.TransformedTargetRegressor` or the like.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.

        rates : list of floats or tuples of float, default=(0.0, 0.1, ..., 0.6)
            Rates in [0, 1), each for all hidden layers or a tuple with one for each.

        param_name : str, default=None
            The parameter to set, as in a grid; None for the parameter ``dropout``, wherever it is.

        cv : int, cross-validation generator or iterable, default=None
            The splits, the same for every rate; None for 5 folds.

        scoring : str or callable, default=None
            The score; None for that of the estimator.

        n_jobs : int, default=None
            Jobs of joblib to run side by side.

        fit_params : dict, default=None
            For ``fit`` of the search, such as ``groups`` or ``sample_weight``.

        name : str, default=None
            Name for the legend; None for the class of `estimator`.

        ax : matplotlib Axes, default=None
            Where to draw, such as ``ax_`` of another display; None for a new figure.

        negate_score : bool, default=False
            Whether to draw minus the score: the loss, of which less is better, where the score is minus a loss.

        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        display : DropoutRateDisplay
            What was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
            raise InvalidParameterError(
                f"scoring must be one score, got {scoring!r}: for several, fit a GridSearchCV and draw it by "
                "from_search(search, metric=...)."
            )
        if param_name is None:
            param_name = _only_dropout(estimator.get_params())
        grid = {param_name: list(rates)}
        search = GridSearchCV(estimator, grid, scoring=scoring, cv=cv, n_jobs=n_jobs, refit=False)
        search.fit(X, y, **(fit_params or {}))
        return cls.from_search(search, param_name=param_name, name=name, ax=ax, negate_score=negate_score, **kwargs)


def _only_dropout(names):
    """The one of the names that is of a dropout rate; that of the hidden layers goes before that of the input."""
    names = list(names)
    for last in ("dropout", "input_dropout"):
        found = [name for name in names if name.rpartition("__")[2] == last]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"There are several rates of dropout: choose one of them, param_name in {found}.")
    raise ValueError(f"There is no parameter that ends in 'dropout' among {names}: give its name as param_name.")


def _best_of_each_rate(cv_results, among, param_name, metric):
    """Rates, single ones first and in order, and the scores by split of the best candidate of each."""
    values, means = cv_results[f"param_{param_name}"], np.asarray(cv_results[f"mean_test_{metric}"], dtype=float)
    n_splits = sum(f"split{i}_test_{metric}" in cv_results for i in range(len(cv_results)))
    scores = np.column_stack([cv_results[f"split{i}_test_{metric}"] for i in range(n_splits)])
    best: dict[Any, int] = {}
    for i in among[np.argsort(np.nan_to_num(-means[among], nan=np.inf), kind="stable")]:
        if values[i] is not np.ma.masked:
            best.setdefault(_rate(values[i]), i)
    if not best:
        raise ValueError(f"No candidate of this search has a value of {param_name}.")
    rates = sorted(best, key=lambda rate: (np.ndim(rate), np.mean(rate), rate))
    return rates, scores[[best[rate] for rate in rates]]


def _choice(cv_results, among, param_name, metric):
    """The rate of the candidate that the rule chooses where several rates vary, if it sets this one."""
    if "split1_test_" + metric not in cv_results:
        return None
    split = {key: values[among] for key, values in cv_results.items() if key.endswith(f"_test_{metric}")}
    i = one_standard_error({**split, "params": [cv_results["params"][i] for i in among]}, metric)
    value = cv_results[f"param_{param_name}"][among[i]]
    return None if value is np.ma.masked else _rate(value)


def _rate(value):
    return tuple(np.asarray(value, dtype=float).tolist()) if np.ndim(value) else float(value)


def _label(rates):
    return "(" + ", ".join(f"{rate:.3g}" for rate in rates) + ")"


def _place(labels, singles, ax):
    """Where tuples go on `ax`: to the right of the single rates, each at its label if that is there already."""
    ticks = {text.get_text(): x for x, text in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)}
    places = {text: x for text, x in ticks.items() if text.startswith("(")}
    numbers = [x for text, x in ticks.items() if text not in places]
    if not (labels or places):
        return []
    if places:
        fence, end = min(places.values()), max(places.values())
        if max(singles, default=0) >= fence:
            raise ValueError(
                f"The tuples on ax begin at {fence:.3g}, left of the rate {max(singles):g}: draw the display with the "
                "greatest single rate first, or on an axis of its own."
            )
        step = fence - max(numbers, default=0)
    else:
        from matplotlib.ticker import MaxNLocator

        left, end = min([*singles, ax.dataLim.x0]), max([*singles, ax.dataLim.x1, 0])  # ±inf where nothing is drawn
        step, numbers = end / 8 or 0.1, []
        if left <= end:
            numbers = [x for x in MaxNLocator(8).tick_values(left, end) if left - 1e-9 <= x <= end + 1e-9]
            ax.axvline(end + step / 2, color="0.85", linewidth=1)
    new = [label for label in labels if label not in places]
    places |= {label: end + step * (i + 1) for i, label in enumerate(new)}
    ax.set_xticks([*numbers, *places.values()], [*(f"{x:g}" for x in numbers), *places])
    for text in ax.get_xticklabels():
        if text.get_text() in places:
            text.set(rotation=45, horizontalalignment="right", rotation_mode="anchor")
    return [places[label] for label in labels]

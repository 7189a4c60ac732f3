"""Display of cross-validated scores against the dropout rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted

from .._sklearn import InvalidParameterError, check_matplotlib_support, validate_score_name
from .._tuning import one_standard_error
from .._typing import FloatArray, Int, MatrixLike, Rate, Scoring
from ._common import GRAY, add_legend_entry, legend_on_top, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colorbar import Colorbar
    from matplotlib.container import ErrorbarContainer
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

DEFAULT_RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
MAX_CATEGORIES, MAX_DECIMALS = 6, 3  # tuples that kind="auto" draws as categories
Kind: TypeAlias = Literal["auto", "categories", "mean", "plane"]


class DropoutRateDisplay:
    """Cross-validated score against the dropout rate, with the best rate and the one-standard-error choice marked.

    A point is the mean over the splits. Its error bar is one standard error, s / √n_splits, where s is the standard
    deviation over the splits. Scalar rates lie on a numeric axis and are joined by a line. Tuples with one rate per
    layer are squares: each with its own tick label to the right of the scalar rates, at their mean over the layers, or
    as points of a plane, see `kind` of :meth:`plot`. If the rates include 0, the dashed line and its band show the
    score without dropout and its standard error.

    With ``difference=True`` the points are paired differences: the score of each split minus that at rate 0 on the same
    split. What the splits add to the scores of all rates cancels, and so does its part of the error bars.

    The ring marks the choice of the one-standard-error rule [1]_: the smallest rate, averaged over the layers, whose
    mean score is within one standard error of the best mean score. The rule always uses the standard error of the best
    score, not that of a difference, so that the ring does not depend on `difference`.

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

    other_params : list of str, default=()
        Names of the other parameters that were varied, if each rate has the scores of its best candidate. The x-axis
        label lists them, and the legend those whose rates the one-standard-error rule adds.

    Attributes
    ----------
    mean_scores : ndarray of shape (n_rates,)
        Mean score over the splits.

    standard_errors : ndarray of shape (n_rates,)
        Standard error of each mean score; NaN with one split.

    differences : ndarray of shape (n_rates, n_splits) or None
        Test scores minus those at rate 0 on the same split; None if 0 is not among the rates, or its score is NaN.

    best_rate : float or tuple of float
        Rate with the best mean score.

    one_standard_error_rate : float, tuple of float or None
        Choice of the one-standard-error rule; None with one split.

    errorbar_ : matplotlib ErrorbarContainer or None
        Points of scalar rates; None if there are none, or in a plane.

    tuple_errorbar_ : matplotlib ErrorbarContainer or None
        Points of tuples; None if there are none, or in a plane.

    scatter_ : matplotlib PathCollection or None
        Points of a plane; None for other kinds.

    colorbar_ : matplotlib Colorbar or None
        Color bar of a plane; None for other kinds.

    baseline_ : matplotlib Line2D or None
        Line at the score without dropout; None if 0 is not among the rates, or in a plane.

    band_ : matplotlib Patch or None
        Band of one standard error around the baseline; None without a baseline, with one split, or for differences.

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
    The training rows of the splits overlap, so the standard error is only a rough guide.

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
    >>> clf = DropoutMLPClassifier(
    ...     hidden_layer_sizes=(20, 20),
    ...     learning_rate_init=0.02,
    ...     early_stopping=True,
    ...     scoring="loss",
    ...     random_state=0,
    ... )
    >>> disp = DropoutRateDisplay.from_estimator(
    ...     make_pipeline(StandardScaler(), clf), X, y, rates=[0.0, 0.2, (0.0, 0.2)], cv=3, scoring="neg_log_loss"
    ... )
    >>> disp.ax_.get_ylabel()
    'Negative log loss'

    The same scores as paired differences to rate 0:

    >>> disp.plot(difference=True).ax_.get_ylabel()
    'Negative log loss minus that at dropout 0'
    """

    mean_scores: FloatArray
    standard_errors: FloatArray
    differences: FloatArray | None
    best_rate: Rate
    one_standard_error_rate: Rate | None
    errorbar_: ErrorbarContainer | None
    tuple_errorbar_: ErrorbarContainer | None
    scatter_: PathCollection | None
    colorbar_: Colorbar | None
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
        other_params: Sequence[str] = (),
    ) -> None:
        self.rates = rates = [_as_rate(rate) for rate in rates]
        self.test_scores = test_scores
        self.param_name = param_name
        self.score_name = score_name
        self.estimator_name = estimator_name
        self.other_params = other_params
        scores = np.asarray(test_scores, dtype=float)
        self.mean_scores, self.standard_errors = _mean_and_error(scores)
        if np.isnan(self.mean_scores).all():
            raise ValueError(
                "The score of every rate is NaN: run the search with error_score='raise' to see the error."
            )
        zero = self._index_of_zero()
        self.differences = None if zero is None else scores - scores[zero]
        self.best_rate, self.one_standard_error_rate = rates[int(np.nanargmax(self.mean_scores))], None
        if scores.shape[1] == 1:
            return
        results = {f"split{i}_test_score": column for i, column in enumerate(scores.T)}
        results |= {"mean_test_score": self.mean_scores, "params": [{"dropout": rate} for rate in rates]}
        self.one_standard_error_rate = rates[one_standard_error(results)]

    def plot(
        self,
        *,
        ax: Axes | None = None,
        name: str | None = None,
        negate_score: bool = False,
        kind: Kind = "auto",
        difference: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on, such as ``ax_`` of another display; None for a new figure.

        name : str, default=None
            Name for the legend, which a plane does not show; None for `estimator_name`.

        negate_score : bool, default=False
            Whether to draw the negated score, which is the loss if the score is a negated loss.

        kind : {'auto', 'categories', 'mean', 'plane'}, default='auto'
            How to draw tuples of rates. 'categories' gives each its own tick label. 'mean' places them at the
            mean over the layers. 'plane' draws the rates of two hidden layers on two axes, with the score as color and
            without error bars. 'auto' is 'categories' for at most six tuples with at most three decimals each, and
            'mean' otherwise, as after a random search.

        difference : bool, default=False
            Whether to draw paired differences: the score of each split minus that at rate 0 on the same split. Their
            error bars are the standard errors of the mean difference.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.errorbar`, or :meth:`~matplotlib.axes.Axes.scatter` in a
            plane.

        Returns
        -------
        display : DropoutRateDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `kind` is invalid or does not suit the rates, if ``difference=True`` and there is no score at rate 0, or
            if `ax` already has tuples at the positions of these scalar rates.
        """
        kind = _choose_kind(kind, self.rates, ax)
        if difference:
            self._check_differences()
        tuples = [i for i, rate in enumerate(self.rates) if np.ndim(rate)]
        width = {"categories": 6.4 + 0.25 * max(0, len(tuples) - 6), "plane": 7.2}.get(kind, 6.4)
        ax = new_axes(self, ax, figsize=(width, 4.8), layout="constrained")
        y, errors = _mean_and_error(self.differences) if difference else (self.mean_scores, self.standard_errors)
        y = -y if negate_score else y
        score_label = validate_score_name(None, self.score_name, negate_score)
        param = self._short_names()[0]
        if difference:
            score_label += f" minus that at {param} 0"
        self.errorbar_ = self.tuple_errorbar_ = self.scatter_ = self.colorbar_ = self.baseline_ = self.band_ = None
        xlabel = param
        if kind == "plane":
            xy = np.array([np.broadcast_to(rate, 2) for rate in self.rates], dtype=float)
            self._draw_plane(xy, y, score_label, negate_score, difference, kwargs)
            color, xlabel, ylabel = "k", f"{param} of hidden layer 1", f"{param} of hidden layer 2"
        else:
            x = np.array([np.mean(rate) for rate in self.rates])
            numeric = [i for i in range(len(x)) if kind == "mean" or i not in tuples]
            labels = [_label(self.rates[i]) for i in tuples if i not in numeric]
            x[[i for i in tuples if i not in numeric]] = _place_tuples(labels, x[numeric], ax)
            name = self.estimator_name if name is None else name
            color = self._draw_points(x, y, errors, tuples, name, kwargs)
            self._draw_baseline(y, errors, difference, color)
            xy, ylabel = np.column_stack([x, y]), score_label
            if any(text.get_text().startswith("(") for text in ax.get_xticklabels()):
                xlabel += ": one rate for all hidden layers, or (one for each)"
            elif tuples:
                xlabel += ", mean over the hidden layers"
        self._draw_marks(xy, difference, color)
        ax.set(xlabel=xlabel + self._note_on_others(), ylabel=ylabel)
        legend_on_top(ax, ncols=2)
        return self

    def _check_differences(self):
        if self.differences is None:
            raise ValueError(
                f"difference=True compares with {self.param_name}=0, which is not among the rates {self.rates} or has "
                "a NaN score: add 0.0 to the rates. A random search draws no exact 0: search a list of drawn rates and "
                "0.0. A halving search may have eliminated it: pass the rows of its first iteration to from_cv_results."
            )

    def _index_of_zero(self):
        """Return the index of the first rate that is 0 in all layers and has a score, or None."""
        zeros = (i for i, rate in enumerate(self.rates) if not np.any(rate) and np.isfinite(self.mean_scores[i]))
        return next(zeros, None)

    def _short_names(self):
        """Return the names of the parameter and of the other ones, without the prefix that they have in common."""
        prefix, _, param = self.param_name.rpartition("__")
        return [param, *(other.removeprefix(f"{prefix}__") for other in self.other_params)]

    def _added_names(self):
        """Return the names of all dropout rates that were varied, which the one-standard-error rule adds."""
        param, *others = self._short_names()
        return [param, *(other for other in others if other.endswith("dropout"))]

    def _note_on_others(self):
        """Return a line for the x-axis label that says over which parameters each point is the best, if any."""
        others = self._short_names()[1:]
        names = ", ".join(others) if len(others) <= 3 else f"{len(others)} other parameters"
        return f"\neach point: best candidate over {names}" if others else ""

    def _draw_points(self, x, y, errors, tuples, name, kwargs):
        """Draw the points with their error bars, and return their color."""
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D

        style = {"marker": "o", "markersize": 5, "capsize": 3, "label": name, **normalize_kwargs(kwargs, Line2D)}
        scalars = sorted({*range(len(x))} - {*tuples}, key=lambda i: x[i])
        if scalars:
            self.errorbar_ = self.ax_.errorbar(x[scalars], y[scalars], errors[scalars], **style)
            style |= {"color": self.errorbar_[0].get_color(), "label": None}
        if tuples:
            style |= {"linestyle": "none", "marker": "s"}
            self.tuple_errorbar_ = self.ax_.errorbar(x[tuples], y[tuples], errors[tuples], **style)
        return (self.errorbar_ or self.tuple_errorbar_)[0].get_color()  # type: ignore[index]

    def _draw_plane(self, xy, y, score_label, negate_score, difference, kwargs):
        """Draw the rates of two layers, with the score as color: bright is better, or blue for differences."""
        from matplotlib.colors import CenteredNorm

        drawn = np.isfinite(y)
        style: dict[str, Any] = {"cmap": "viridis", "s": 80, "edgecolors": "k", "linewidths": 0.5}
        if difference:
            style |= {"cmap": "RdBu", "norm": CenteredNorm()}
        style["cmap"] += "_r" * negate_score
        add_legend_entry(self.ax_, "same rate for both layers", linestyle="--", linewidth=1)
        self.ax_.plot([0, xy.max()], [0, xy.max()], color=GRAY, linestyle="--", linewidth=1, zorder=0)
        style |= kwargs
        if not style.keys().isdisjoint({"vmin", "vmax"}):
            style.pop("norm", None)
        self.scatter_ = self.ax_.scatter(xy[drawn, 0], xy[drawn, 1], c=y[drawn], **style)
        self.colorbar_ = self.figure_.colorbar(self.scatter_, ax=self.ax_, label=score_label)

    def _draw_baseline(self, y, errors, difference, color):
        """Draw the line at rate 0 and, for scores, its band of one standard error."""
        ax, zero = self.ax_, self._index_of_zero()
        if zero is None:
            return
        label = f"{self._short_names()[0]} 0" + ("" if difference else " ± s.e.")
        add_legend_entry(ax, label, linestyle="--", linewidth=1)
        self.baseline_ = ax.axhline(y[zero], color=color, linestyle="--", linewidth=1, zorder=1)
        if np.isfinite(errors[zero]) and not difference:
            low, high = y[zero] - errors[zero], y[zero] + errors[zero]
            self.band_ = ax.axhspan(low, high, color=color, alpha=0.1, linewidth=0)

    def _draw_marks(self, xy, difference, color):
        """Draw the best rate and the one-standard-error choice."""
        ax, rates, names = self.ax_, list(self.rates), self._added_names()
        star: dict[str, Any] = {"marker": "*", "linestyle": "none"}
        ring: dict[str, Any] = {"marker": "o", "linestyle": "none", "fillstyle": "none", "markeredgewidth": 1.5}
        add_legend_entry(ax, "best", markersize=10, **star)
        best = xy[rates.index(self.best_rate)]
        size = 11 if self.scatter_ else 17  # in a plane, the color of the point remains visible
        (self.best_,) = ax.plot(*best, color=color, markersize=size, markeredgecolor="white", zorder=3, **star)
        self.choice_ = None
        if self.one_standard_error_rate is not None:
            label = "smallest " + "mean " * any(np.ndim(rate) for rate in rates)
            label += "rate" if len(names) == 1 else " + ".join(names)
            label += f"\nwithin one {'unpaired ' * difference}s.e. of the best"
            add_legend_entry(ax, label, markersize=10, **ring)
            choice = xy[rates.index(self.one_standard_error_rate)]
            (self.choice_,) = ax.plot(*choice, color=color, markersize=16, zorder=3, **ring)

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
        kind: Kind = "auto",
        difference: bool = False,
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
            Name for the legend; None for the class name of the network.

        ax : matplotlib Axes, default=None
            Axes to draw on, such as ``ax_`` of another display; None for a new figure.

        negate_score : bool, default=False
            Whether to draw the negated score, which is the loss if the score is a negated loss.

        kind : {'auto', 'categories', 'mean', 'plane'}, default='auto'
            How to draw tuples of rates. 'categories' gives each its own tick label. 'mean' places them at the
            mean over the layers. 'plane' draws the rates of two hidden layers on two axes, with the score as color and
            without error bars. 'auto' is 'categories' for at most six tuples with at most three decimals each, and
            'mean' otherwise, as after a random search.

        difference : bool, default=False
            Whether to draw paired differences: the score of each split minus that at rate 0 on the same split. Their
            error bars are the standard errors of the mean difference.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.errorbar`, or :meth:`~matplotlib.axes.Axes.scatter` in a
            plane.

        Returns
        -------
        display : DropoutRateDisplay
            The drawn display. See :meth:`from_cv_results` for searches over several parameters and halving searches.

        Raises
        ------
        TypeError
            If `search` has no ``cv_results_``.

        ValueError
            If `metric` or `param_name` is not in the results, or if :meth:`plot` raises it.
        """
        check_is_fitted(search)
        if not hasattr(search, "cv_results_"):
            raise TypeError(f"{search!r} is not a search with cv_results_: use from_estimator to draw an estimator.")
        score_name = search.scoring
        if getattr(search, "multimetric_", False):
            metric = score_name = search.refit if metric is None and isinstance(search.refit, str) else metric
        param_name = _find_param(search.cv_results_, param_name)
        return cls.from_cv_results(
            search.cv_results_,
            param_name=param_name,
            metric="score" if metric is None else metric,
            score_name=score_name,
            name=_network_name(search.estimator, param_name) if name is None else name,
            ax=ax,
            negate_score=negate_score,
            kind=kind,
            difference=difference,
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
        kind: Kind = "auto",
        difference: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Draw the results of a search over rates.

        If other parameters vary too, each rate is drawn with the score of its best candidate, which the x-axis label
        says. These scores are slightly optimistic, more so with more candidates per rate. If `input_dropout` is among
        the other parameters, the baseline is "dropout 0", which refers to the hidden layers only. The ring marks the
        rate of the candidate that :func:`one_standard_error` chooses, which adds the rates of all dropout parameters;
        the legend lists them. Candidates that do not set the rate are not drawn. A halving search is drawn once per
        iteration, since iterations differ in resources; a plane only for the last.

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

        kind : {'auto', 'categories', 'mean', 'plane'}, default='auto'
            How to draw tuples of rates. 'categories' gives each its own tick label. 'mean' places them at the
            mean over the layers. 'plane' draws the rates of two hidden layers on two axes, with the score as color and
            without error bars. 'auto' is 'categories' for at most six tuples with at most three decimals each, and
            'mean' otherwise, as after a random search.

        difference : bool, default=False
            Whether to draw paired differences: the score of each split minus that at rate 0 on the same split. Their
            error bars are the standard errors of the mean difference.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.errorbar`, or :meth:`~matplotlib.axes.Axes.scatter` in a
            plane.

        Returns
        -------
        display : DropoutRateDisplay
            The drawn display; for a halving search that of the last iteration.

        Raises
        ------
        ValueError
            If `metric` or `param_name` is not in the results, if several parameters are candidates for `param_name`, or
            if :meth:`plot` raises it.
        """
        check_matplotlib_support(f"{cls.__name__}.from_cv_results")
        if f"mean_test_{metric}" not in cv_results:
            known = [key.removeprefix("mean_test_") for key in cv_results if key.startswith("mean_test_")]
            raise ValueError(f"metric={metric!r} is not a score of this search: choose one of {known}.")
        param_name = _find_param(cv_results, param_name)
        if score_name is None or not (isinstance(score_name, str) or hasattr(score_name, "__name__")):
            score_name = None if metric == "score" else metric
        iterations = np.asarray(cv_results.get("iter", np.zeros(len(cv_results["params"]))))
        rounds = [np.flatnonzero(iterations == iteration) for iteration in np.unique(iterations)]
        drawn = [_best_of_each_rate(cv_results, candidates, param_name, metric) for candidates in rounds]
        first = len(rounds) - 1 if kind == "plane" else 0
        kind = _choose_kind(kind, [rate for rates, _ in drawn[first:] for rate in rates], ax)
        others = _other_params(cv_results, rounds[first], param_name)
        displays = []  # all are checked before the first is drawn
        for candidates, (rates, scores) in zip(rounds[first:], drawn[first:], strict=True):
            label = name
            if "n_resources" in cv_results:
                n_resources = f"n_resources={cv_results['n_resources'][candidates[0]]}"
                label = n_resources if name is None else f"{name}, {n_resources}"
            disp = cls(
                rates,
                scores,
                param_name=param_name,
                score_name=score_name,
                estimator_name=label,
                other_params=others,
            )
            disp.one_standard_error_rate = _chosen_rate(cv_results, candidates, param_name, metric)
            if difference:
                disp._check_differences()
            displays.append(disp)
        for disp in displays:
            ax = disp.plot(ax=ax, negate_score=negate_score, kind=kind, difference=difference, **kwargs).ax_
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
        kind: Kind = "auto",
        difference: bool = False,
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
            Name for the legend; None for the class name of the network.

        ax : matplotlib Axes, default=None
            Axes to draw on, such as ``ax_`` of another display; None for a new figure.

        negate_score : bool, default=False
            Whether to draw the negated score, which is the loss if the score is a negated loss.

        kind : {'auto', 'categories', 'mean', 'plane'}, default='auto'
            How to draw tuples of rates. 'categories' gives each its own tick label. 'mean' places them at the
            mean over the layers. 'plane' draws the rates of two hidden layers on two axes, with the score as color and
            without error bars. 'auto' is 'categories' for at most six tuples with at most three decimals each, and
            'mean' otherwise, as after a random search.

        difference : bool, default=False
            Whether to draw paired differences: the score of each split minus that at rate 0 on the same split. Their
            error bars are the standard errors of the mean difference.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.errorbar`, or :meth:`~matplotlib.axes.Axes.scatter` in a
            plane.

        Returns
        -------
        display : DropoutRateDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If `scoring` is not a single score, if `param_name` is None and no or several parameters match, or if
            :meth:`plot` raises it.
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
        return cls.from_search(
            search,
            param_name=param_name,
            name=name,
            ax=ax,
            negate_score=negate_score,
            kind=kind,
            difference=difference,
            **kwargs,
        )


def _mean_and_error(scores):
    """Return the mean of each row and its standard error, which is NaN with one column."""
    n_splits = scores.shape[1]
    errors = scores.std(axis=1, ddof=1) / np.sqrt(n_splits) if n_splits > 1 else np.full(len(scores), np.nan)
    return scores.mean(axis=1), errors


def _choose_kind(kind, rates, ax):
    """Return `kind` if it suits the rates; for 'auto', 'categories' if the labels of tuples are few and short."""
    tuples = [rate for rate in rates if np.ndim(rate)]
    if kind == "auto":
        has_labels = ax is not None and any(text.get_text().startswith("(") for text in ax.get_xticklabels())
        short = all(round(p, MAX_DECIMALS) == p for rate in tuples for p in rate)
        return "categories" if has_labels or (short and len(tuples) <= MAX_CATEGORIES) else "mean"
    if kind not in ("categories", "mean", "plane"):
        raise InvalidParameterError(f"kind must be 'auto', 'categories', 'mean' or 'plane', got {kind!r}.")
    if kind == "plane" and {len(rate) for rate in tuples} != {2}:
        raise InvalidParameterError(
            f"kind='plane' needs tuples of two rates, one per hidden layer, got {list(rates)}: use kind='mean'."
        )
    return kind


def _network_name(estimator, param_name):
    """Return the class name of the network that has the parameter inside `estimator`."""
    network = estimator.get_params().get(param_name.rpartition("__")[0])
    return type(network if hasattr(network, "fit") else estimator).__name__


def _find_param(cv_results, param_name):
    """Return `param_name` if it was varied; for None, the name of the only dropout rate that was varied."""
    if param_name is None:
        return _find_dropout_param(key.removeprefix("param_") for key in cv_results if key.startswith("param_"))
    if f"param_{param_name}" not in cv_results:
        raise ValueError(f"param_name={param_name!r} was not varied in this search: {list(cv_results['params'][0])}.")
    return param_name


def _other_params(cv_results, candidates, param_name):
    """Return the names of the other parameters that differ among the candidates that set the rate."""
    rates = cv_results[f"param_{param_name}"]
    params = [cv_results["params"][i] for i in candidates if rates[i] is not np.ma.masked]
    names = dict.fromkeys(name for candidate in params for name in candidate if name != param_name)
    return [name for name in names if len({str(candidate.get(name)) for candidate in params}) > 1]


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
    return "(" + ", ".join(f"{rate:.6g}" for rate in rates) + ")"


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

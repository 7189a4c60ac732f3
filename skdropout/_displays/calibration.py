"""Displays of calibration: of predicted probabilities, and of predictive intervals."""

from __future__ import annotations

from inspect import signature
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.utils import check_array, check_consistent_length, check_scalar
from sklearn.utils.validation import column_or_1d

from .._scoring import first_network_path, missing_network_error, unwrap
from .._sklearn import InvalidParameterError, check_matplotlib_support
from .._typing import Float, FloatArray, Int, MatrixLike, Rates, Seed
from ._common import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

DIAGONAL_LABEL = "Perfectly calibrated"


def _normal_quantile(level):
    """Return the half width of the central interval of the standard normal distribution."""
    return ndtri((1 + level) / 2)


def _unit_square(display, ax, ref_line, xlabel, ylabel):
    """Set up unit-square axes for `display`, with the diagonal if `ref_line`; return whether the diagonal is new."""
    ax = new_axes(display, ax)
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    is_new = ref_line and DIAGONAL_LABEL not in ax.get_legend_handles_labels()[1]
    if is_new:
        ax.plot([0, 1], [0, 1], "k:", label=DIAGONAL_LABEL)
    return is_new


def _plot_curve(display, x, y, label, kwargs):
    if label:
        kwargs = {"label": label, **kwargs}
    (display.line_,) = display.ax_.plot(x, y, **{"marker": "o", "markersize": 4, **kwargs})
    if display.ax_.get_legend_handles_labels()[1]:
        display.ax_.legend(loc="best")
    return display


def _check_no_rates(rates, reason):
    for name, rate in rates.items():
        if rate is not None:
            raise InvalidParameterError(f"{name}={rate!r} has no effect {reason}: omit it.")


class ReliabilityDisplay:
    """Reliability diagram: accuracy against confidence, for any number of classes.

    The confidence of a prediction is the probability of the predicted class, the largest of its row. Rows are binned
    by confidence. For a calibrated classifier, the accuracy in each bin B equals the mean confidence [1]_ [2]_. A
    classifier with points below the diagonal is overconfident. The label shows the expected calibration error over the
    n rows [2]_::

        ECE = Σ_B |B| / n · |accuracy(B) - confidence(B)|.

    Create it with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    accuracy : ndarray of shape (n_bins,)
        Fraction of correct predictions in each bin.

    confidence : ndarray of shape (n_bins,)
        Mean probability of the predicted class in each bin.

    counts : ndarray of shape (n_bins,)
        Number of rows in each bin.

    estimator_name : str, default=None
        Name for the legend.

    Attributes
    ----------
    calibration_error : float
        Expected calibration error.

    line_ : matplotlib Line2D
        The curve.

    ax_ : matplotlib Axes
        Axes with the curve.

    figure_ : matplotlib Figure
        Figure with the curve.

    See Also
    --------
    CoverageDisplay : Calibration of a regressor.
    sklearn.calibration.CalibrationDisplay : Calibration of the probability of the positive class, for two classes.
    DropoutMLPClassifier.predict_uncertainty : Mean probabilities of Monte Carlo passes.

    Notes
    -----
    On a finite sample, the expected calibration error is above 0 even for a calibrated classifier, and it grows with
    the number of bins. Compare it only for the same rows and number of bins.

    References
    ----------
    .. [1] A. Niculescu-Mizil and R. Caruana (2005). Predicting Good Probabilities With Supervised Learning. ICML.
    .. [2] C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger (2017). On Calibration of Modern Neural Networks. ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdropout import DropoutMLPClassifier, ReliabilityDisplay
    >>> X, y = load_wine(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)
    >>> clf = DropoutMLPClassifier(hidden_layer_sizes=20, dropout=0.3, max_iter=1000, random_state=0)
    >>> model = make_pipeline(StandardScaler(), clf).fit(X_train, y_train)
    >>> disp = ReliabilityDisplay.from_estimator(model, X_test, y_test, name="noise-free")
    >>> disp = ReliabilityDisplay.from_estimator(model, X_test, y_test, n_samples=50, ax=disp.ax_)
    >>> disp.ax_.get_xlabel()
    'Mean confidence'
    """

    calibration_error: float
    line_: Line2D
    ax_: Axes
    figure_: Figure

    def __init__(
        self, accuracy: FloatArray, confidence: FloatArray, counts: NDArray[Any], *, estimator_name: str | None = None
    ) -> None:
        self.accuracy = accuracy
        self.confidence = confidence
        self.counts = counts
        self.estimator_name = estimator_name
        self.calibration_error = float(np.average(np.abs(accuracy - confidence), weights=counts))

    def plot(self, *, ax: Axes | None = None, name: str | None = None, ref_line: bool = True, **kwargs: Any) -> Self:
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.

        name : str, default=None
            Name for the legend; None for `estimator_name`.

        ref_line : bool, default=True
            Whether to draw the diagonal if `ax` does not have it yet.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : ReliabilityDisplay
            The display itself.
        """
        _unit_square(self, ax, ref_line, "Mean confidence", "Accuracy")
        name = self.estimator_name if name is None else name
        error = f"ECE = {self.calibration_error:.3f}"
        return _plot_curve(self, self.confidence, self.accuracy, error if name is None else f"{name} ({error})", kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: MatrixLike,
        y: ArrayLike,
        *,
        n_samples: Int | None = None,
        random_state: Seed = 0,
        dropout: Rates | None = None,
        input_dropout: Float | None = None,
        n_bins: Int = 10,
        strategy: Literal["uniform", "quantile"] = "uniform",
        name: str | None = None,
        ax: Axes | None = None,
        ref_line: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Draw the diagram of a classifier, noise-free or averaged over Monte Carlo passes.

        Parameters
        ----------
        estimator : estimator
            A fitted classifier with ``predict_proba``. With `n_samples` it must be a :class:`DropoutMLPClassifier`,
            by itself, as the last step of a :class:`~sklearn.pipeline.Pipeline`, or in a search.

        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            Rows, preferably not the training rows.

        y : array-like of shape (n_samples_X,)
            True labels.

        n_samples : int, default=None
            Number of Monte Carlo passes to average, at least 1; None for ``predict_proba`` without noise.

        random_state : int, RandomState instance or None, default=0
            Seed of the dropout masks.

        dropout : float or array-like of shape (n_hidden,), default=None
            Dropout rate of the hidden layers while sampling, in [0, 1). None for the rates at the end of training or,
            if a schedule ended at 0, for its initial rates.

        input_dropout : float, default=None
            Dropout rate of the inputs while sampling, in [0, 1). None as for `dropout`.

        n_bins : int, default=10
            Number of bins, at least 1. Empty bins are not drawn.

        strategy : {'uniform', 'quantile'}, default='uniform'
            Bins of equal width, or with equal numbers of rows.

        name : str, default=None
            Name for the legend; None for the class name of `estimator` and the number of passes.

        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.

        ref_line : bool, default=True
            Whether to draw the diagonal if `ax` does not have it yet.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : ReliabilityDisplay
            The drawn display.

        Raises
        ------
        TypeError
            If `estimator` is not a classifier, or contains no :class:`DropoutMLPClassifier` and `n_samples` is given.

        ValueError
            If a rate is given without `n_samples`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if not is_classifier(estimator):
            raise TypeError(f"{estimator!r} is not a classifier: use CoverageDisplay for a regressor.")
        rates = {"dropout": dropout, "input_dropout": input_dropout}
        if n_samples is None:
            _check_no_rates(rates, "without n_samples, the number of Monte Carlo passes")
            P = estimator.predict_proba(X)
        else:
            network, X, y, *_ = unwrap(estimator, X, y)
            if not hasattr(network, "predict_uncertainty"):
                wanted = (
                    f"DropoutMLPClassifier, required by n_samples={n_samples!r} (n_samples=None works with any "
                    "predict_proba),"
                )
                raise missing_network_error(wanted, estimator, network)
            P = network.predict_uncertainty(X, n_samples=n_samples, random_state=random_state, **rates).proba
        if name is None:
            name = type(estimator).__name__ + (f", mean of {n_samples} passes" if n_samples else "")
        return cls.from_predictions(
            y,
            P,
            labels=estimator.classes_,
            n_bins=n_bins,
            strategy=strategy,
            name=name,
            ax=ax,
            ref_line=ref_line,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: ArrayLike,
        *,
        labels: ArrayLike | None = None,
        n_bins: Int = 10,
        strategy: Literal["uniform", "quantile"] = "uniform",
        name: str | None = None,
        ax: Axes | None = None,
        ref_line: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Draw the diagram of given probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels.

        y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
            Probability of each class, or, for two classes, of the second class.

        labels : array-like of shape (n_classes,), default=None
            Class of each column, such as ``classes_`` of the classifier; None for the sorted labels in `y_true`.

        n_bins : int, default=10
            Number of bins, at least 1. Empty bins are not drawn.

        strategy : {'uniform', 'quantile'}, default='uniform'
            Bins of equal width, or with equal numbers of rows.

        name : str, default=None
            Name for the legend.

        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.

        ref_line : bool, default=True
            Whether to draw the diagonal if `ax` does not have it yet.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : ReliabilityDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If `y_proba` has invalid probabilities, or does not match `labels`, or if `n_bins` or `strategy` is invalid.
        """
        check_scalar(n_bins, "n_bins", Integral, min_val=1)
        if strategy not in ("uniform", "quantile"):
            raise InvalidParameterError(f"strategy must be 'uniform' or 'quantile', got {strategy!r}.")
        confidence, correct = _confidence(y_true, y_proba, labels)
        # Bins as in sklearn.calibration.calibration_curve, which does not return their counts
        inner = np.linspace(0, 1, n_bins + 1)[1:-1]
        bins = np.searchsorted(inner if strategy == "uniform" else np.quantile(confidence, inner), confidence)
        counts = np.bincount(bins)
        nonempty = counts > 0
        counts = counts[nonempty]
        accuracy, confidence = (np.bincount(bins, weights=a)[nonempty] / counts for a in (correct, confidence))
        return cls(accuracy, confidence, counts, estimator_name=name).plot(ax=ax, ref_line=ref_line, **kwargs)


def _confidence(y_true, y_proba, labels):
    """Return the probability of the predicted class of each row, and whether the prediction is correct."""
    if np.ndim(y_true) == 2 and np.shape(y_true)[1] > 1:
        raise ValueError(
            f"y_true has shape {np.shape(y_true)}, but a reliability diagram needs one label per row: draw one for "
            "each column, ReliabilityDisplay.from_predictions(y_true[:, k], y_proba[:, k], ax=ax)."
        )
    y_true = column_or_1d(y_true)
    P = check_array(y_proba, ensure_2d=False, dtype=[np.float64, np.float32], input_name="y_proba")
    if P.ndim == 1:
        P = np.column_stack([1 - P, P])
    check_consistent_length(y_true, P)
    labels = np.unique(y_true) if labels is None else np.asarray(labels)
    if P.shape[1] != len(labels):
        raise ValueError(
            f"y_proba has columns for {P.shape[1]} classes, but there are {len(labels)} labels, {labels}: pass the "
            "class of each column as labels, such as labels=classifier.classes_."
        )
    unknown = np.setdiff1d(y_true, labels)
    if len(unknown):
        raise ValueError(f"y_true has labels {unknown}, which are not among the classes {labels}.")
    bad = (P < 0).any(axis=1) | (np.abs(P.sum(axis=1) - 1) > 1e-3)  # tolerates float32 and rounded numbers
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"y_proba must be probabilities, in [0, 1] and with rows that sum to 1, but row {row} is {P[row]}: pass "
            "the result of predict_proba, not of decision_function."
        )
    return P.max(axis=1), labels[P.argmax(axis=1)] == y_true


class CoverageDisplay:
    """Coverage of predictive intervals: the fraction of targets inside them against their nominal level.

    The central interval at level p of a normal predictive distribution is µ ± z σ with z = Φ⁻¹((1 + p) / 2). If µ and
    σ are calibrated, a fraction p of the targets is inside [1]_. With ``intervals='conformal'`` the quantile z is that
    of held-out rows, as in :meth:`DropoutMLPRegressor.predict_interval`. Below the diagonal the intervals are too
    narrow, above it they are too wide. The gray band shows two standard errors, √(p (1 - p) / n), to each side, for n
    independent targets: the sampling variation of the coverage of calibrated intervals.

    Create it with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    levels : ndarray of shape (n_levels,)
        Nominal levels.

    coverage : ndarray of shape (n_levels,)
        Fraction of the targets inside the intervals of each level.

    n_targets : int
        Number of targets, over all outputs.

    estimator_name : str, default=None
        Name for the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The curve.

    ax_ : matplotlib Axes
        Axes with the curve.

    figure_ : matplotlib Figure
        Figure with the curve.

    See Also
    --------
    ReliabilityDisplay : Calibration of a classifier.
    DropoutMLPRegressor.predict : Predictive standard deviation with ``return_std=True``.
    DropoutMLPRegressor.predict_interval : Conformal intervals.
    log_predictive_density_scorer : A single score that also rewards narrow intervals.

    Notes
    -----
    Calibrated intervals are not necessarily good: predicting the mean and standard deviation of all targets for every
    row gives calibrated intervals too, but wide ones.

    References
    ----------
    .. [1] V. Kuleshov, N. Fenner and S. Ermon (2018). Accurate Uncertainties for Deep Learning Using Calibrated
       Regression. ICML.

    Examples
    --------
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdropout import CoverageDisplay, DropoutMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> reg = DropoutMLPRegressor(
    ...     hidden_layer_sizes=20, dropout=0.1, dropout_schedule="constant", early_stopping=True, random_state=0
    ... )
    >>> model = make_pipeline(StandardScaler(), TransformedTargetRegressor(reg, transformer=StandardScaler()))
    >>> disp = CoverageDisplay.from_estimator(model.fit(X_train, y_train), X_test, y_test)
    >>> disp.ax_.get_xlabel()
    'Nominal level'
    """

    line_: Line2D
    ax_: Axes
    figure_: Figure

    def __init__(
        self, levels: FloatArray, coverage: FloatArray, n_targets: int, *, estimator_name: str | None = None
    ) -> None:
        self.levels = levels
        self.coverage = coverage
        self.n_targets = n_targets
        self.estimator_name = estimator_name

    def plot(self, *, ax: Axes | None = None, name: str | None = None, ref_line: bool = True, **kwargs: Any) -> Self:
        """Draw the coverage.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.

        name : str, default=None
            Name for the legend; None for `estimator_name`.

        ref_line : bool, default=True
            Whether to draw the diagonal and its band if `ax` does not have them yet.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : CoverageDisplay
            The display itself.
        """
        if _unit_square(self, ax, ref_line, "Nominal level", "Coverage"):
            p = np.linspace(0, 1, 201)
            error = 2 * np.sqrt(p * (1 - p) / self.n_targets)
            label = f"±2 standard errors, n = {self.n_targets}"
            self.ax_.fill_between(p, p - error, p + error, color="0.9", linewidth=0, label=label)
        return _plot_curve(self, self.levels, self.coverage, self.estimator_name if name is None else name, kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: MatrixLike,
        y: ArrayLike,
        *,
        levels: ArrayLike | None = None,
        intervals: Literal["normal", "conformal"] = "normal",
        n_samples: Int = 100,
        random_state: Seed = 0,
        dropout: Rates | None = None,
        input_dropout: Float | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        ref_line: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Draw the coverage of the intervals of a regressor.

        For a :class:`~sklearn.compose.TransformedTargetRegressor` the coverage is computed on the transformed targets.
        With a monotone transformation it is the same as on the original targets.

        Parameters
        ----------
        estimator : estimator
            A fitted :class:`DropoutMLPRegressor`, or another regressor with ``predict(X, return_std=True)``, by itself
            or inside a :class:`~sklearn.pipeline.Pipeline`, a :class:`~sklearn.compose.TransformedTargetRegressor`
            or a search.

        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            Rows, preferably not the training rows.

        y : array-like of shape (n_samples_X,) or (n_samples_X, n_outputs)
            True targets; multiple outputs are pooled.

        levels : array-like of shape (n_levels,), default=None
            Nominal levels in (0, 1); None for 0.05, 0.1, ..., 0.95.

        intervals : {'normal', 'conformal'}, default='normal'
            Intervals µ ± z σ from ``predict(X, return_std=True)``, or those of
            :meth:`DropoutMLPRegressor.predict_interval`, which need held-out rows: 19 for the default levels.

        n_samples : int, default=100
            Number of Monte Carlo passes of a :class:`DropoutMLPRegressor`, at least 1.

        random_state : int, RandomState instance or None, default=0
            Seed of the dropout masks.

        dropout : float or array-like of shape (n_hidden,), default=None
            Dropout rate of the hidden layers while sampling, in [0, 1). None for the rates at the end of training or,
            if a schedule ended at 0, for its initial rates.

        input_dropout : float, default=None
            Dropout rate of the inputs while sampling, in [0, 1). None as for `dropout`.

        name : str, default=None
            Name for the legend; None for the class name of `estimator`.

        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.

        ref_line : bool, default=True
            Whether to draw the diagonal and its band if `ax` does not have them yet.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : CoverageDisplay
            The drawn display.

        Raises
        ------
        TypeError
            If `estimator` is not a regressor, or contains none with ``predict(X, return_std=True)``.

        ValueError
            If a rate is given for a regressor without dropout, if `levels` or `intervals` are invalid, or if there are
            too few held-out rows for conformal intervals.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if not is_regressor(estimator):
            raise TypeError(f"{estimator!r} is not a regressor: use ReliabilityDisplay for a classifier.")
        if intervals not in ("normal", "conformal"):
            raise InvalidParameterError(f"intervals must be 'normal' or 'conformal', got {intervals!r}.")
        regressor, X, y, *_ = unwrap(estimator, X, y)
        options = signature(regressor.predict).parameters if hasattr(regressor, "predict") else {}
        if "return_std" not in options:
            if not options or first_network_path(regressor):
                raise missing_network_error("regressor with predict(X, return_std=True)", estimator, regressor)
            raise TypeError(
                f"{regressor!r} has no predict(X, return_std=True): use a regressor that has it, such as "
                "DropoutMLPRegressor, or pass means and standard deviations to CoverageDisplay.from_predictions."
            )
        sampling: dict[str, Any] = {"dropout": dropout, "input_dropout": input_dropout}
        if "dropout" in options:
            sampling |= {"n_samples": n_samples, "random_state": random_state}
        else:
            _check_no_rates(sampling, f"on {type(regressor).__name__}")
            sampling = {}
        if intervals == "conformal" and not hasattr(regressor, "_conformal_quantile"):
            raise missing_network_error("DropoutMLPRegressor, required by intervals='conformal',", estimator, regressor)
        mean, std = regressor.predict(X, return_std=True, **sampling)
        quantile = _normal_quantile if intervals == "normal" else regressor._conformal_quantile
        name = type(estimator).__name__ if name is None else name
        return cls._from_moments(y, mean, std, levels, quantile, name).plot(ax=ax, ref_line=ref_line, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_mean: ArrayLike,
        y_std: ArrayLike,
        *,
        levels: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        ref_line: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Draw the coverage of given intervals.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True targets; multiple outputs are pooled.

        y_mean : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Means of the predictive distributions.

        y_std : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Standard deviations of the predictive distributions, including the observation noise.

        levels : array-like of shape (n_levels,), default=None
            Nominal levels in (0, 1); None for 0.05, 0.1, ..., 0.95.

        name : str, default=None
            Name for the legend.

        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.

        ref_line : bool, default=True
            Whether to draw the diagonal and its band if `ax` does not have them yet.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : CoverageDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If the shapes differ, a standard deviation is negative, or `levels` are invalid.
        """
        return cls._from_moments(y_true, y_mean, y_std, levels, _normal_quantile, name).plot(
            ax=ax, ref_line=ref_line, **kwargs
        )

    @classmethod
    def _from_moments(cls, y_true, y_mean, y_std, levels, quantile, name):
        """Return the display of the intervals µ ± ``quantile(level)`` σ."""
        levels = np.linspace(0.05, 0.95, 19) if levels is None else np.sort(np.ravel(levels)).astype(float)
        if not (len(levels) and ((levels > 0) & (levels < 1)).all()):
            raise InvalidParameterError(f"levels must be in (0, 1), such as 0.95 for 95 %, got {levels}.")
        columns = {}
        for key, values in {"y_true": y_true, "y_mean": y_mean, "y_std": y_std}.items():
            values = check_array(values, ensure_2d=False, dtype=float, input_name=key)
            columns[key] = values.reshape(len(values), -1)  # (n,) and (n, 1) are the same single output
        if len({values.shape for values in columns.values()}) > 1:
            shapes = ", ".join(f"{key} {np.shape(values)}" for key, values in columns.items())
            raise ValueError(f"y_true, y_mean and y_std must have the same shape, but the shapes differ: {shapes}.")
        y_true, y_mean, y_std = columns.values()
        if (y_std < 0).any():
            raise ValueError(f"y_std must not be negative, got {y_std.min()}: pass standard deviations.")
        error = np.abs(y_true - y_mean)
        coverage = np.array([np.mean(error <= quantile(level) * y_std) for level in levels])
        return cls(levels, coverage, y_true.size, estimator_name=name)

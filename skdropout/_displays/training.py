"""Display of the training curve: loss and validation score of each epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator

from .._sklearn import InvalidParameterError, check_matplotlib_support
from .._typing import Curve
from ._common import add_legend_entry, find_mlp, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


class TrainingCurveDisplay:
    """Training and validation loss, or validation score, of each epoch, with the best epoch marked.

    A wide gap between the two curves, with a validation loss that rises while the training loss falls, indicates
    overfitting. The two losses are not measured in the same way. The training loss is the mean over the mini-batches of
    the epoch, *with dropout noise* and including the weight penalty. The validation loss is that of the network at the
    end of the epoch, without either. With dropout, the validation loss can therefore be the lower one [1]_.

    With `early_stopping`, the marked epoch is the one whose weights were kept. Otherwise it is the best epoch of the
    drawn validation curve. Without validation data no epoch is marked.

    Create it with :meth:`from_estimator`.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss of each epoch.

    validation_loss_curve : array-like of shape (n_validated,), default=None
        Validation loss of each epoch, or of the last `n_validated` epochs.

    validation_scores : array-like of shape (n_validated,), default=None
        Validation score of each epoch, or of the last `n_validated` epochs; greater is better.

    best_epoch : int, default=None
        Epoch whose weights were kept, counted from 1; None for the best epoch of the drawn validation curve.

    estimator_name : str, default=None
        Name for the legend.

    Attributes
    ----------
    training_line_ : matplotlib Line2D or None
        Curve of the training loss; None if scores are drawn.

    validation_line_ : matplotlib Line2D or None
        Curve of the validation loss or score; None without validation data.

    ax_ : matplotlib Axes
        Axes with the curves.

    figure_ : matplotlib Figure
        Figure with the curves.

    See Also
    --------
    DropoutRateDisplay : Score against the dropout rate.
    sklearn.model_selection.LearningCurveDisplay : Score against the number of training rows.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov (2014). Dropout: A Simple Way to
       Prevent Neural Networks from Overfitting. JMLR 15.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdropout import DropoutMLPClassifier, TrainingCurveDisplay
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X = StandardScaler().fit_transform(X)
    >>> clf = DropoutMLPClassifier(
    ...     hidden_layer_sizes=50, early_stopping=True, scoring="loss", random_state=0
    ... )
    >>> disp = TrainingCurveDisplay.from_estimator(clf.set_params(dropout=0).fit(X, y), name="no dropout")
    >>> disp = TrainingCurveDisplay.from_estimator(
    ...     clf.set_params(dropout=0.5).fit(X, y), name="dropout 0.5", ax=disp.ax_
    ... )
    >>> disp.ax_.get_xlabel()
    'Epoch'
    """

    training_line_: Line2D | None
    validation_line_: Line2D | None
    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        loss_curve: Curve,
        *,
        validation_loss_curve: Curve | None = None,
        validation_scores: Curve | None = None,
        best_epoch: int | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.validation_scores = validation_scores
        self.best_epoch = best_epoch
        self.estimator_name = estimator_name

    def plot(
        self,
        *,
        ax: Axes | None = None,
        name: str | None = None,
        curve: Literal["loss", "score"] = "loss",
        **kwargs: Any,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.

        name : str, default=None
            Name for the legend; None for `estimator_name`.

        curve : {'loss', 'score'}, default='loss'
            Training and validation loss, or the validation score.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.plot`, applied to every curve.

        Returns
        -------
        display : TrainingCurveDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `curve` is invalid, or is 'score' without validation scores.
        """
        if curve not in ("loss", "score"):
            raise InvalidParameterError(f"curve must be 'loss' or 'score', got {curve!r}.")
        if curve == "score" and self.validation_scores is None:
            raise ValueError(
                "curve='score' needs validation scores, but there are none: fit with early_stopping=True, or with a "
                "validation set, fit(X, y, X_val=..., y_val=...)."
            )
        ax = new_axes(self, ax)
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D

        style = normalize_kwargs(kwargs, Line2D)
        n_epochs = len(self.loss_curve)
        self.training_line_ = self.validation_line_ = None
        if curve == "loss":
            add_legend_entry(ax, "training", linestyle="--")
            (self.training_line_,) = ax.plot(range(1, n_epochs + 1), self.loss_curve, **{"linestyle": "--", **style})
            style = {"color": self.training_line_.get_color(), **style}
        validated = self.validation_scores if curve == "score" else self.validation_loss_curve
        if validated is not None:
            if curve == "loss":
                add_legend_entry(ax, "validation")
            epochs = np.arange(n_epochs - len(validated), n_epochs) + 1
            (self.validation_line_,) = ax.plot(epochs, validated, **style)
        self._mark_best_epoch(self.estimator_name if name is None else name, curve)
        ax.set(xlabel="Epoch", ylabel="Loss" if curve == "loss" else "Validation score")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(loc="best")
        return self

    def _mark_best_epoch(self, name, curve):
        """Mark the best epoch on the validation curve, or else the training curve, and label that curve."""
        line = self.training_line_ if self.validation_line_ is None else self.validation_line_
        assert line is not None  # plot draws at least one
        epochs, values = (np.asarray(a) for a in line.get_data())
        best = self.best_epoch
        # the validation curve is empty after an interrupt in the first epoch
        if best is None and self.validation_line_ is not None and len(values):
            best = int(epochs[np.argmax(values) if curve == "score" else np.argmin(values)])
        if best is not None:
            line.set(marker="o", markersize=8, markevery=[best - int(epochs[0])])
        parts = [part for part in (name, best and f"best epoch {best}") if part]
        if parts:
            line.set_label(", ".join(parts))

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        *,
        curve: Literal["loss", "score"] = "loss",
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the curves of a fitted network.

        Parameters
        ----------
        estimator : estimator
            A fitted :class:`DropoutMLPClassifier`, :class:`DropoutMLPRegressor` or multi-layer perceptron of
            scikit-learn, by itself or inside a :class:`~sklearn.pipeline.Pipeline`, a
            :class:`~sklearn.compose.TransformedTargetRegressor` or a search.

        curve : {'loss', 'score'}, default='loss'
            Training and validation loss, or the validation score. scikit-learn's networks do not record a validation
            loss; for them the best epoch is marked on the training loss.

        name : str, default=None
            Name for the legend; None for the class name of the network.

        ax : matplotlib Axes, default=None
            Axes to draw on, such as ``ax_`` of another display; None for a new figure.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.plot`, applied to every curve.

        Returns
        -------
        display : TrainingCurveDisplay
            The drawn display.

        Raises
        ------
        TypeError
            If `estimator` contains no multi-layer perceptron.

        ValueError
            If the network has no loss curve, or no validation scores with ``curve="score"``.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        mlp, _ = find_mlp(estimator)
        if not hasattr(mlp, "loss_curve_"):
            raise ValueError(
                f"{type(mlp).__name__} was fitted with solver={mlp.solver!r} and has no loss_curve_, which has one "
                "value per epoch: fit with solver='adam' or 'sgd'."
            )
        scores, best_epoch = getattr(mlp, "validation_scores_", None), None
        if mlp.early_stopping and scores:
            by_loss = hasattr(mlp, "_monitors_loss") and mlp._monitors_loss()
            monitored = np.negative(mlp.validation_loss_curve_) if by_loss else scores
            best_epoch = len(mlp.loss_curve_) - len(scores) + int(np.argmax(monitored)) + 1
        return cls(
            mlp.loss_curve_,
            validation_loss_curve=getattr(mlp, "validation_loss_curve_", None),
            validation_scores=scores,
            best_epoch=best_epoch,
            estimator_name=type(mlp).__name__ if name is None else name,
        ).plot(ax=ax, curve=curve, **kwargs)

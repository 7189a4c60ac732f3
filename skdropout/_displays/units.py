"""Displays of hidden units: first-layer weights as images, and histograms of activations."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar, resample
from sklearn.utils.validation import validate_data

from .._sklearn import InvalidParameterError, check_matplotlib_support
from .._threads import shared_threads
from .._typing import FloatArray, Int, MatrixLike, Seed
from ._common import build_network, find_mlp, legend_on_top, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.patches import StepPatch

MAX_BINS = 1000  # limit when reusing the bin width of another histogram with much smaller values


class FirstLayerWeightsDisplay:
    """Weights from the inputs into each first-layer unit as images with a shared color scale.

    Units trained with dropout tend to detect spots, strokes and edges on their own. Units trained without dropout tend
    to learn patterns that are useful only in combination [1]_.

    Create it with :meth:`from_estimator`.

    Parameters
    ----------
    images : ndarray of shape (n_units, height, width) or (n_units, height, width, 3)
        Weights into each unit as an image with one or three channels.

    units : ndarray of shape (n_units,), default=None
        Indices of the units; None for the first ones.

    estimator_name : str, default=None
        Name for the title of the axes.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        All images, in rows from the top left corner.

    colorbar_ : matplotlib Colorbar or None
        Color bar of the weights; None if it is not drawn.

    ax_ : matplotlib Axes
        Axes with the images.

    figure_ : matplotlib Figure
        Figure with the images.

    See Also
    --------
    ActivationSparsityDisplay : Histogram of the activations of a hidden layer.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov (2014). Dropout: A Simple Way to
       Prevent Neural Networks from Overfitting. JMLR 15, section 7.1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdropout import DropoutMLPClassifier, FirstLayerWeightsDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = DropoutMLPClassifier(
    ...     hidden_layer_sizes=50, learning_rate_init=0.02, early_stopping=True, scoring="loss", random_state=0
    ... )
    >>> disp = FirstLayerWeightsDisplay.from_estimator(clf.fit(X / 16, y), units=16)
    >>> disp.images.shape
    (16, 8, 8)
    """

    image_: AxesImage
    colorbar_: Colorbar | None
    ax_: Axes
    figure_: Figure

    def __init__(
        self, images: NDArray[Any], *, units: NDArray[Any] | None = None, estimator_name: str | None = None
    ) -> None:
        self.images = images
        self.units = units
        self.estimator_name = estimator_name

    def plot(self, *, ax: Axes | None = None, name: str | None = None, colorbar: bool = True, **kwargs: Any) -> Self:
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.

        name : str, default=None
            Title of the axes; None for `estimator_name`.

        colorbar : bool, default=True
            Whether to draw a color bar. Images with three channels have none; there, mid-gray is 0.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.imshow`, such as `cmap`, or `vmin` and `vmax` to share
            one color scale among several networks.

        Returns
        -------
        display : FirstLayerWeightsDisplay
            The display itself.
        """
        images = np.asarray(self.images)
        mosaic, corners = _mosaic(images)
        limit = np.abs(images).max()
        side = 8 if len(images) > 36 else 6.4
        figsize = (side, 0.85 * side * mosaic.shape[0] / mosaic.shape[1])
        ax = new_axes(self, ax, figsize=figsize, layout="constrained")
        from matplotlib.patches import Rectangle

        style = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "interpolation": "nearest", **kwargs}
        self.colorbar_ = None
        if mosaic.ndim == 3:
            limit = max(abs(style["vmin"]), abs(style["vmax"])) or 1.0
            mosaic = np.clip(0.5 + mosaic / (2 * limit), 0, 1)
        self.image_ = ax.imshow(mosaic, **style)
        if colorbar and mosaic.ndim == 2:
            self.colorbar_ = ax.figure.colorbar(self.image_, ax=ax, label="Weight", shrink=0.8)
        ax.set(xticks=[], yticks=[], title=self.estimator_name if name is None else name)
        ax.spines[:].set_visible(False)
        for top, left in corners:
            frame = Rectangle((left - 0.5, top - 0.5), *images.shape[2:0:-1], fill=False, edgecolor="0.6")
            ax.add_patch(frame).set_clip_on(False)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        *,
        image_shape: Sequence[Int] | None = None,
        units: Int | ArrayLike | None = 64,
        name: str | None = None,
        ax: Axes | None = None,
        colorbar: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Draw the first-layer weights of a fitted network.

        Parameters
        ----------
        estimator : estimator
            A fitted :class:`DropoutMLPClassifier`, :class:`DropoutMLPRegressor` or multi-layer perceptron of
            scikit-learn, by itself or inside a :class:`~sklearn.pipeline.Pipeline`, a
            :class:`~sklearn.compose.TransformedTargetRegressor` or a search. In a pipeline, its inputs are the outputs
            of the preceding steps.

        image_shape : tuple of int, default=None
            Shape of a row of X as an image, (height, width) or (height, width, 3); None for a square.

        units : int, array-like of int or None, default=64
            Number of units to draw, in decreasing order of the weight norm; or indices of units; None for all units in
            order.

        name : str, default=None
            Title of the axes; None for the class name of the network.

        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.

        colorbar : bool, default=True
            Whether to draw a color bar.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : FirstLayerWeightsDisplay
            The drawn display.

        Raises
        ------
        TypeError
            If `estimator` contains no multi-layer perceptron.

        ValueError
            If `image_shape` or `units` does not match the network.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        mlp, _ = find_mlp(estimator)
        W = mlp.coefs_[0]
        image_shape = _image_shape(image_shape, W.shape[0])
        if units is None:
            units = np.arange(W.shape[1])
        elif isinstance(units, Integral):
            check_scalar(units, "units", Integral, min_val=1)
            units = np.argsort(-np.linalg.norm(W, axis=0), kind="stable")[:units]
        else:
            units = np.asarray(units)
            if units.ndim != 1 or not units.size or units.min() < 0 or units.max() >= W.shape[1]:
                raise InvalidParameterError(
                    f"units must be between 0 and {W.shape[1] - 1}, indices of the first layer, got {units}."
                )
        images = W.T[units].reshape(-1, *image_shape)
        name = type(mlp).__name__ if name is None else name
        return cls(images, units=units, estimator_name=name).plot(ax=ax, colorbar=colorbar, **kwargs)


def _image_shape(shape, n_inputs):
    if shape is None:
        side = isqrt(n_inputs)
        if side**2 != n_inputs:
            raise ValueError(
                f"The network has {n_inputs} inputs, which do not form a square image: set "
                "image_shape=(height, width), or (height, width, 3) for three channels."
            )
        return side, side
    if len(shape) not in (2, 3) or tuple(shape[2:]) not in ((), (3,)) or np.prod(shape) != n_inputs:
        raise InvalidParameterError(
            f"image_shape must be (height, width) or (height, width, 3) with a product of {n_inputs}, the inputs of "
            f"the network, got {shape!r}."
        )
    return tuple(shape)


def _mosaic(images):
    """Return the images in a grid separated by NaN, and the row and column of their top left corners."""
    n, height, width, *channels = images.shape
    n_columns = isqrt(n - 1) + 1
    n_rows = -(-n // n_columns)
    mosaic = np.full((n_rows * (height + 1) - 1, n_columns * (width + 1) - 1, *channels), np.nan)
    corners = [(i // n_columns * (height + 1), i % n_columns * (width + 1)) for i in range(n)]
    for (top, left), image in zip(corners, images, strict=True):
        mosaic[top : top + height, left : left + width] = image
    return mosaic, corners


class ActivationSparsityDisplay:
    """Histogram of the activations of a hidden layer, to compare their sparsity with and without dropout.

    A unit that cannot rely on other units tends to respond strongly to few rows. With dropout, the activations of
    ``relu`` units are therefore sparser and their means are smaller [1]_. The activations are the outputs of the
    layer's activation function during prediction, without noise and before any batch normalization that follows it.

    Create it with :meth:`from_estimator`.

    Parameters
    ----------
    activations : ndarray of shape (n_rows, n_units)
        Output of each unit of the layer for each row.

    estimator_name : str, default=None
        Name for the legend.

    Attributes
    ----------
    mean_activations : ndarray of shape (n_units,)
        Mean activation of each unit over the rows.

    share_of_zeros : float
        Fraction of the activations that are exactly 0.

    histogram_ : matplotlib StepPatch
        The histogram.

    ax_ : matplotlib Axes
        Axes with the histogram.

    figure_ : matplotlib Figure
        Figure with the histogram.

    See Also
    --------
    FirstLayerWeightsDisplay : First-layer weights as images.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov (2014). Dropout: A Simple Way to
       Prevent Neural Networks from Overfitting. JMLR 15, section 7.2 and figure 8.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdropout import ActivationSparsityDisplay, DropoutMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = DropoutMLPClassifier(
    ...     hidden_layer_sizes=50, learning_rate_init=0.02, early_stopping=True, scoring="loss", random_state=0
    ... )
    >>> clf = clf.set_params(dropout=0).fit(X / 16, y)
    >>> disp = ActivationSparsityDisplay.from_estimator(clf, X / 16, name="no dropout")
    >>> clf = clf.set_params(dropout=0.5).fit(X / 16, y)
    >>> disp = ActivationSparsityDisplay.from_estimator(clf, X / 16, name="dropout 0.5", ax=disp.ax_)
    >>> disp.activations.shape
    (1000, 50)
    """

    mean_activations: FloatArray
    share_of_zeros: float
    histogram_: StepPatch
    ax_: Axes
    figure_: Figure

    def __init__(self, activations: NDArray[Any], *, estimator_name: str | None = None) -> None:
        self.activations = activations
        self.estimator_name = estimator_name
        self.mean_activations = np.mean(activations, axis=0)
        self.share_of_zeros = float(np.mean(np.equal(activations, 0)))

    def plot(
        self,
        *,
        ax: Axes | None = None,
        name: str | None = None,
        kind: Literal["activations", "means"] = "activations",
        bins: Int | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the histogram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure. Histograms on the same axes use the bin width of the first one, or a
            multiple of it if that would give more than 1000 bins.

        name : str, default=None
            Name for the legend; None for `estimator_name`.

        kind : {'activations', 'means'}, default='activations'
            Activations of all units and rows, or the mean activation of each unit over the rows.

        bins : int, default=None
            Number of bins, at least 1; None for 40, or 15 with ``kind="means"``.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.stairs`.

        Returns
        -------
        display : ActivationSparsityDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `kind` or `bins` is invalid.
        """
        if kind not in ("activations", "means"):
            raise InvalidParameterError(f"kind must be 'activations' or 'means', got {kind!r}.")
        if bins is None:
            bins = 40 if kind == "activations" else 15
        check_scalar(bins, "bins", Integral, min_val=1)
        values = np.ravel(self.activations) if kind == "activations" else self.mean_activations
        ax = new_axes(self, ax)
        edges = _bin_edges(values, bins, ax)
        fractions = np.histogram(values, edges)[0] / len(values)
        name = self.estimator_name if name is None else name
        label = f"{100 * self.share_of_zeros:.0f} % zeros, mean {np.mean(self.activations):z.2f}"
        label = label if name is None else f"{name}: {label}"
        self.histogram_ = ax.stairs(fractions, edges, **{"label": label, "linewidth": 1.5, **kwargs})
        if kind == "activations":
            ax.set(xlabel="Activation", ylabel="Fraction of activations")
        else:
            ax.set(xlabel="Mean activation of a unit", ylabel="Fraction of units")
        legend_on_top(ax, ncols=1)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: MatrixLike,
        *,
        layer: Int = 0,
        subsample: Int | None = 1000,
        random_state: Seed = 0,
        kind: Literal["activations", "means"] = "activations",
        bins: Int | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the activations of a hidden layer of a fitted network.

        Parameters
        ----------
        estimator : estimator
            A fitted :class:`DropoutMLPClassifier`, :class:`DropoutMLPRegressor` or multi-layer perceptron of
            scikit-learn, by itself or inside a :class:`~sklearn.pipeline.Pipeline`, a
            :class:`~sklearn.compose.TransformedTargetRegressor` or a search.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input rows.

        layer : int, default=0
            Index of the hidden layer, from 0; negative values count from the last layer, as in Python.

        subsample : int or None, default=1000
            Maximum number of rows of X, at least 1; if X has more, a random subset is used. None for all rows.

        random_state : int, RandomState instance or None, default=0
            Seed of the random subset.

        kind : {'activations', 'means'}, default='activations'
            Activations of all units and rows, or the mean activation of each unit over the rows.

        bins : int, default=None
            Number of bins, at least 1; None for 40, or 15 with ``kind="means"``.

        name : str, default=None
            Name for the legend; None for the class name of the network.

        ax : matplotlib Axes, default=None
            Axes to draw on, such as ``ax_`` of another display; None for a new figure.

        **kwargs : dict
            Keyword arguments for :meth:`matplotlib.axes.Axes.stairs`.

        Returns
        -------
        display : ActivationSparsityDisplay
            The drawn display.

        Raises
        ------
        TypeError
            If `estimator` contains no multi-layer perceptron.

        ValueError
            If `X` does not match the network, or if `layer`, `subsample`, `kind` or `bins` is invalid.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)  # type: ignore[arg-type]
        if subsample is not None and check_scalar(subsample, "subsample", Integral, min_val=1) < n_rows:
            X = resample(X, replace=False, n_samples=subsample, random_state=random_state)
        mlp, X = find_mlp(estimator, X)
        X = validate_data(mlp, X, reset=False, accept_sparse="csr")
        layer = _hidden_layer(layer, len(mlp.coefs_) - 1)
        with shared_threads():
            inputs = build_network(mlp).layer_inputs(X)  # the output of a hidden layer is the input of the next layer
            activations = np.concatenate([x[layer + 1].copy() for _, x in inputs])
        name = type(mlp).__name__ if name is None else name
        return cls(activations, estimator_name=name).plot(ax=ax, kind=kind, bins=bins, **kwargs)


def _hidden_layer(layer, n_hidden):
    """Check the index of a hidden layer, and return it as a non-negative number."""
    if not isinstance(layer, Integral) or not -n_hidden <= layer < n_hidden:
        raise InvalidParameterError(f"layer must be the index of one of the {n_hidden} hidden layers, got {layer!r}.")
    return layer % n_hidden


def _bin_edges(values, n_bins, ax):
    """Return the bin edges for the values, reusing the bin width of a histogram that `ax` already has."""
    from matplotlib.patches import StepPatch

    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    existing = [patch.get_data()[1] for patch in ax.patches if isinstance(patch, StepPatch)]
    width = (high - low) / n_bins or 1.0
    if existing:
        width = existing[0][1] - existing[0][0]
        width *= max(1, np.ceil((high - low) / width / MAX_BINS))
    return width * np.arange(np.floor(low / width), np.floor(high / width) + 2)

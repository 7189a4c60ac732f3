"""Helpers shared by the displays: axes, legends, and access to the network inside an estimator."""

from .._scoring import missing_network_error, unwrap
from .._sklearn import check_matplotlib_support
from ..engine.network import Network

GRAY = "0.4"  # color of legend entries that apply to all fits


def new_axes(display, ax, **subplots_kwargs):
    """Set ``ax_`` and ``figure_`` of `display` to `ax`, or to the axes of a new figure if None, and return the axes."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    ax = plt.subplots(**subplots_kwargs)[1] if ax is None else ax
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def add_legend_entry(ax, label, **style):
    """Add a legend entry for a style that all fits on `ax` share, unless `ax` already has one with this label."""
    if label not in ax.get_legend_handles_labels()[1]:
        ax.plot([], [], **{"color": GRAY, "label": label, **style})


def legend_on_top(ax, ncols):
    """Extend the y-axis of `ax` and draw the legend above the data, where loc="best" could cover points."""
    ax.figure.canvas.figure.draw_without_rendering()  # the layout determines the size of the axes
    size = ax.get_window_extent()
    for n in range(ncols, 0, -1):
        legend = ax.legend(loc="upper left", ncols=n, fontsize="small", framealpha=1, edgecolor="none")
        extent = legend.get_window_extent()
        if extent.width <= size.width:
            break
    height = min(0.5, (extent.height + 0.1 * ax.figure.dpi) / size.height)  # fraction of the axes
    ax.autoscale(axis="y")
    low, high = ax.get_ylim()
    ax.set_ylim(low, low + (high - low) / (1 - height))


def find_mlp(estimator, X=None):
    """Return the fitted MLP of skdropout or scikit-learn inside `estimator`, and X as the MLP receives it."""
    mlp, X, *_ = unwrap(estimator, X)
    if not hasattr(mlp, "coefs_"):
        raise missing_network_error("fitted multi-layer perceptron of skdropout or scikit-learn", estimator, mlp)
    return mlp, X


def build_network(mlp):
    """Return the engine's network with the weights and activations of a fitted MLP of skdropout or scikit-learn."""
    if hasattr(mlp, "_network"):
        return mlp._network()
    return Network(mlp.coefs_, mlp.intercepts_, [mlp.activation] * (len(mlp.coefs_) - 1), mlp.out_activation_)

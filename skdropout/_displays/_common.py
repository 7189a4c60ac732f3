"""What the displays share: axes, legend entries, and the network inside of an estimator."""

from .._scoring import no_network, unwrap
from .._sklearn import check_matplotlib_support
from ..engine.network import Network

GREY = "0.4"  # of legend entries that are about no one fit


def start(display, ax, **figure):
    """Give `display` its axes: `ax`, or those of a new figure."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    ax = plt.subplots(**figure)[1] if ax is None else ax
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def explain(ax, label, **style):
    """An entry of the legend for a style that all fits on `ax` share, unless it is there."""
    if label not in ax.get_legend_handles_labels()[1]:
        ax.plot([], [], **{"color": GREY, "label": label, **style})


def legend_above(ax, ncols):
    """A legend in a room of its own on top of `ax`: "best" covers data where there is much."""
    n_rows = -(-len(ax.get_legend_handles_labels()[1]) // ncols)
    share = min(0.5, (0.17 * n_rows + 0.15) / (ax.get_window_extent().height / ax.figure.dpi))  # inches
    ax.autoscale(axis="y")
    low, high = ax.get_ylim()
    ax.set_ylim(low, low + (high - low) / (1 - share))
    ax.legend(loc="upper left", ncols=ncols, fontsize="small", framealpha=1, edgecolor="none")


def find_mlp(estimator, X=None):
    """The fitted multi-layer perceptron inside of `estimator`, ours or scikit-learn's, and X as it reaches it."""
    mlp, X, _, _ = unwrap(estimator, X)
    if not hasattr(mlp, "coefs_"):
        raise no_network("fitted multi-layer perceptron, ours or scikit-learn's,", estimator, mlp)
    return mlp, X


def network_of(mlp):
    """The weights and activations of a fitted multi-layer perceptron, ours or scikit-learn's."""
    if hasattr(mlp, "_network"):
        return mlp._network()
    return Network(mlp.coefs_, mlp.intercepts_, [mlp.activation] * (len(mlp.coefs_) - 1), mlp.out_activation_)

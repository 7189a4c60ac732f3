"""
==============================================
Robustness to noisy inputs and to wrong labels
==============================================

Handwritten digits are classified under two kinds of noise: noise on the pixels at prediction, or wrong labels in
training. On clean digits dropout raises the error by about one point. It helps if the noise is strong: a standard
deviation of 0.4 or more on the pixels, or 20% or more wrong labels. Early stopping helps little against either kind.
Rates are fixed in advance and nothing is tuned. ``benchmarks/robustness.py`` covers more data sets and noise levels,
and ``plot_does_dropout_help.py`` covers missing pixels.
"""

# %%
# Three networks. The second stops when the loss on a validation set, a tenth of its rows, has not improved for ten
# epochs.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from scipy.stats import sem
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit

from skdropout import DropoutMLPClassifier

warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # intended
X, y = load_digits(return_X_y=True)
X = X / 16
nets = {
    "no dropout": {"dropout": 0.0},
    "early stopping": {"dropout": 0.0, "early_stopping": True, "scoring": "loss", "n_iter_no_change": 10},
    "dropout 0.5": {"dropout": 0.5},
}
pixel_noise = [0.0, 0.2, 0.4, 0.6]  # standard deviation; pixels are between 0 and 1
wrong_labels = [0.0, 0.1, 0.2, 0.3, 0.4]  # fraction

# %%
# On each of six splits every network gets the same noise: Gaussian noise on the pixels of the test rows, or training
# labels, including those of the validation set, changed to another class.


def errors(split, train, test, params):
    """Return the test errors in %, by noise of the pixels and by fraction of wrong labels."""
    warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # in this process too
    rng = np.random.RandomState(split)
    noise, order = rng.standard_normal((len(test), 64)), rng.permutation(len(train))
    others = (y[train] + rng.randint(1, 10, len(train))) % 10
    mlp = DropoutMLPClassifier(hidden_layer_sizes=(100, 100), batch_size=64, dtype="float32", random_state=0)
    mlp.set_params(max_iter=50, **{"n_iter_no_change": 50} | params)
    labels = [
        1 - mlp.fit(X[train], np.where(order < fraction * len(train), others, y[train])).score(X[test], y[test])
        for fraction in reversed(wrong_labels)  # so that the last network is trained on correct labels
    ]
    pixels = [1 - mlp.score(X[test] + sd * noise, y[test]) for sd in pixel_noise]
    return 100 * np.array(pixels), 100 * np.array(labels[::-1])


splits = list(StratifiedShuffleSplit(6, train_size=600, random_state=0).split(X, y))
found = Parallel(n_jobs=2)(
    delayed(errors)(i, *rows, params) for params in nets.values() for i, rows in enumerate(splits)
)

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
panels = {"standard deviation of the noise on pixels": pixel_noise, "fraction of wrong training labels": wrong_labels}
for panel, (ax, (title, levels)) in enumerate(zip(axes, panels.items(), strict=True)):
    print(f"\ntest error in %, {title}\n{'':16}" + "".join(f"{level:>13}" for level in levels))
    for i, (name, style) in enumerate(zip(nets, (("C1", "o-"), ("k", "s--"), ("C0", "D-")), strict=True)):
        runs = np.array([pair[panel] for pair in found[6 * i : 6 * i + 6]])
        print(f"{name:16}" + "".join(f"{m:7.1f} ± {e:.1f}" for m, e in zip(runs.mean(axis=0), sem(runs), strict=True)))
        ax.errorbar(levels, runs.mean(axis=0), sem(runs), color=style[0], fmt=style[1], capsize=3, label=name)
    ax.set(xlabel=title, xticks=levels, ylabel="test error, %", ylim=0)
axes[0].set_title("Noisy pixels at prediction")
axes[1].set_title("Wrong labels in training")
axes[0].legend()
plt.show()

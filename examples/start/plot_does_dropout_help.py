"""
=============================================
Does dropout help? Digits with missing pixels
=============================================

Dropout is compared with weight decay, label smoothing and early stopping. All networks are trained on complete images
of digits and tested on images with missing pixels, which are replaced by their mean. If at least half of the pixels are
missing, the network with dropout makes clearly fewer errors than the others. On complete images dropout does not help,
and label smoothing is best. ``benchmarks/evidence.py`` compares these methods, all tuned, on many data sets, and
``benchmarks/robustness.py`` covers more kinds of damage.
"""

# %%
# The same network with different regularization.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from skdropout import DropoutMLPClassifier

warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # intended
mlp = DropoutMLPClassifier(
    hidden_layer_sizes=(100, 100),
    dropout=0.0,
    batch_size=128,
    max_iter=40,
    n_iter_no_change=40,
    dtype="float32",
    random_state=0,
)
candidates = {
    "no regularization": {},
    "early stopping": {"early_stopping": True, "scoring": "loss", "n_iter_no_change": 15},
    "weight decay 1": {"solver": "adamw", "alpha": 1.0},
    "label smoothing 0.2": {"label_smoothing": 0.2},
    "dropout 0.5": {"dropout": 0.5},
}

# %%
# All are trained and tested on the same six random splits, with the same missing pixels.
fractions = [0.0, 0.25, 0.5, 0.75]


def errors(mlp, X, y):
    uniform, mean = np.random.RandomState(0).uniform(size=X.shape), X.mean(axis=0)
    return {str(f): 100 * np.mean(mlp.predict(np.where(uniform < f, mean, X)) != y) for f in fractions}


X, y = load_digits(return_X_y=True)
grid = [{name: [value] for name, value in params.items()} for params in candidates.values()]
splits = StratifiedShuffleSplit(6, test_size=0.2, random_state=2026)
search = GridSearchCV(mlp, grid, scoring=errors, refit=False, cv=splits, n_jobs=2).fit(X / 16, y)
table = np.array([[search.cv_results_[f"split{i}_test_{f}"] for f in fractions] for i in range(6)])  # [split, f, net]

# %%
# Random splits overlap. The corrected resampled t-test (Nadeau and Bengio, 2003) corrects for this: the variance of a
# mean difference is (1/n + n_test/n_train) times that of the differences.
print("test error in %, and p-value of the difference to dropout, by fraction of missing pixels")
print(f"{'':20}" + "".join(f"{fraction:>18.0%}" for fraction in fractions))
for i, name in enumerate(candidates):
    difference = table[:, :, i] - table[:, :, -1]
    deviation = np.sqrt((1 / 6 + 0.25) * difference.var(axis=0, ddof=1))
    t = difference.mean(axis=0) / np.maximum(deviation, 1e-9)
    p = 2 * stats.t.sf(np.abs(t), 5)
    print(f"{name:20}" + "".join(f"{m:9.1f} (p {q:.3f})" for m, q in zip(table[:, :, i].mean(axis=0), p, strict=True)))

# %%
# If the damage is known before training, it is better to train on damaged copies of the images, too. Dropout still
# lowers the error a little.
copies = {"damaged copies": {"dropout": 0.0}, "damaged copies, dropout 0.5": {"dropout": 0.5}}
for name, params in copies.items():
    found = []
    for train, test in splits.split(X, y):
        damaged = np.where(np.random.RandomState(1).uniform(size=X[train].shape) < 0.5, X[train].mean(axis=0), X[train])
        images, labels = np.vstack([X[train], damaged]) / 16, np.tile(y[train], 2)
        found.append(list(errors(clone(mlp).set_params(**params).fit(images, labels), X[test] / 16, y[test]).values()))
    print(f"{name:28}" + "".join(f"{mean:8.1f}" for mean in np.mean(found, axis=0)))

# %%
# The bars are standard errors over the splits.
fig, ax = plt.subplots(figsize=(8, 4.6), layout="constrained")
colors = "0.75", "0.6", "0.45", "0.3", "C0"
for i, (name, color) in enumerate(zip(candidates, colors, strict=True)):
    mean, error = table[:, :, i].mean(axis=0), stats.sem(table[:, :, i])
    ax.bar(np.arange(4) + 0.18 * (i - 2), mean, 0.18, yerr=error, color=color, capsize=2, label=name)
for x, y, height in zip(np.arange(4) + 0.28, mean, mean + error, strict=True):
    ax.text(x, height + 0.8, f"{y:.0f}%", color="C0", fontweight="bold")
ax.set(ylabel="test error, %", title="Test error on digits with pixels replaced by their mean")
ax.set_xticks(range(4), ["\n" * 6 + ("complete" if f == 0 else f"{f:.0%} replaced") for f in fractions])
ax.tick_params(axis="x", length=0)
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
uniform = np.random.RandomState(0).uniform(size=64)
for i, fraction in enumerate(fractions):  # an image below each group of bars
    image = ax.inset_axes((i - 0.3, -0.28, 0.6, 0.25), transform=ax.get_xaxis_transform())
    image.imshow(np.where(uniform < fraction, X.mean(axis=0), X[4]).reshape(8, 8), cmap="gray_r")
    image.set_axis_off()
plt.show()

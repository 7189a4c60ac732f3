"""
===========================================
Tune the dropout rate by cross-validation
===========================================

The dropout rate is a parameter like any other: ``GridSearchCV`` tunes it, as one rate for all hidden layers or as a
tuple with one rate per layer. Here a network learns handwritten digits from complete images, but is used on images with
missing pixels. Dropout and weight decay are tuned for such images on the same folds, with five candidates each, and
compared on images that the search has not seen. Pass a file name to save the figure: ``python plot_tune_dropout.py
tune_dropout.png``.
"""

# %%
# A third of the images is the test set.
import sys
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import binomtest, sem
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split

from skdropout import DropoutMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=1 / 3, stratify=y, random_state=2026)
mlp = DropoutMLPClassifier(hidden_layer_sizes=(128, 128), dropout=0.0, batch_size=64, max_iter=30, random_state=0)
mlp.set_params(learning_rate="cosine", learning_rate_init=0.005, dtype="float32")

# %%
# One rate for both hidden layers, or one for each, and input dropout; weight decay is that of AdamW.
candidates = {"no dropout": {}}
candidates |= {f"dropout {p}": {"dropout": p} for p in (0.2, 0.5, (0.2, 0.5), (0.5, 0.2))}
candidates |= {"dropout 0.5, input 0.2": {"dropout": 0.5, "input_dropout": 0.2}}
candidates |= {f"weight decay {a:g}": {"solver": "adamw", "alpha": a} for a in (0.1, 0.3, 1.0, 2.0, 3.0)}

# %%
# Half of the pixels of each validation image are missing, which means that they are set to their mean.
mean = X_train.mean(axis=0)


def damage(X):
    return np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.5, mean, X)


def accuracy(mlp, X, y):
    return {"complete": mlp.score(X, y), "damaged": mlp.score(damage(X), y)}


start = perf_counter()
grid = [{name: [value] for name, value in params.items()} for params in candidates.values()]
folds = StratifiedKFold(4, shuffle=True, random_state=0)
search = GridSearchCV(mlp, grid, scoring=accuracy, refit=False, cv=folds, n_jobs=-1).fit(X_train, y_train)
error = {
    images: 100 - 100 * np.column_stack([search.cv_results_[f"split{i}_test_{images}"] for i in range(4)])
    for images in ("damaged", "complete")
}

# %%
# The folds differ more than the networks do, so the differences to the network without dropout are paired.
difference = {images: error[images] - error[images][0] for images in error}
print(f"{'validation error, %':26}{'half missing':>13}{'difference':>15}{'complete':>13}{'difference':>15}")
for i, name in enumerate(candidates):
    cells = (
        f"{error[images][i].mean():13.1f}{difference[images][i].mean():+9.1f} ± {sem(difference[images][i]):3.1f}"
        for images in error
    )
    print(f"{name:26}" + "".join(cells))

# %%
# Select the best of each kind, and evaluate it on the test images. The exact McNemar test counts the images that only
# one of two networks classifies correctly.
order = [list(candidates)[i] for i in error["damaged"].mean(axis=1).argsort()]
best = {kind: next(name for name in order if name.startswith(kind)) for kind in ("dropout", "weight", "no dropout")}
fitted = {name: clone(mlp).set_params(**candidates[name]).fit(X_train, y_train) for name in best.values()}
for images, rows in {"half missing": damage(X_test), "complete": X_test}.items():
    print(f"\ntest error, %, {len(y_test)} images, {images}")
    wrong = {name: network.predict(rows) != y_test for name, network in fitted.items()}
    ours = wrong[best["dropout"]]
    for name, theirs in wrong.items():
        line = f"{name:26}{100 * theirs.mean():5.1f}"
        if name != best["dropout"]:
            p = binomtest((ours & ~theirs).sum(), (ours != theirs).sum()).pvalue
            change = 100 * (ours.astype(float) - theirs)
            line += f"   {best['dropout']} minus this: {change.mean():+.1f} ± {sem(change):.1f} (p = {p:.2g})"
        print(line)
print(f"{len(candidates)} candidates x 4 folds, and {len(fitted)} fits: {perf_counter() - start:.1f} s")

# %%
# The picture shows the paired differences. Fonts and lines are large enough for a width of 800 pixels.
plt.rcParams["font.size"] = 13
fig, ax = plt.subplots(figsize=(8, 5.2), layout="constrained")
for name, paired in list(zip(candidates, difference["damaged"], strict=True))[1:]:
    color = "C0" if name.startswith("dropout") else "C1"
    ax.errorbar(paired.mean(), name, xerr=sem(paired), fmt="o", color=color, capsize=5, markersize=9, linewidth=2.5)
ax.axvline(0, color="black", linewidth=1)
ax.invert_yaxis()
xlabel = "validation error minus that without dropout, points (← better)"
ax.set_xlabel(xlabel + "\nmean ± standard error of the differences in 4 folds")
title = "Digits with half of the pixels missing:\ndropout in hidden layers reduces the error, weight decay does not"
fig.suptitle(title, fontsize=14)
if sys.argv[1:]:
    fig.savefig(sys.argv[1], dpi=150)
    print(f"figure: {sys.argv[1]}")
plt.show()

"""
================================
A rate of its own for each layer
================================

``dropout`` is one rate for all hidden layers or a tuple with one rate per layer, and ``input_dropout`` is the rate of
the inputs. ``RandomizedSearchCV`` can sample all of them: ``DropoutRates`` is a distribution of tuples. Here a network
with a wide and a narrow layer learns from 300 digits, and three searches with eight candidates each tune one rate, one
rate per layer, and the rate of the inputs too. One rate is better than no dropout; rates per layer, with the same
number of candidates, are no better. Start with one rate, and tune rates per layer if the layers differ and time allows.
"""

# %%
# One of 128 units is less important than one of 16: layers as different as these may need different rates.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import sem, uniform
from sklearn.datasets import load_digits
from sklearn.model_selection import RandomizedSearchCV, StratifiedShuffleSplit

from skdropout import DropoutMLPClassifier, DropoutRates

warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # intended
X, y = load_digits(return_X_y=True)
X = X / 16
mlp = DropoutMLPClassifier(
    (128, 16),
    batch_size=50,
    learning_rate_init=0.003,
    max_iter=60,
    n_iter_no_change=60,
    dtype="float32",
    random_state=0,
)
spaces = {
    "no dropout": {"dropout": [0.0]},
    "one rate": {"dropout": uniform(0, 0.6)},
    "one per layer": {"dropout": DropoutRates(n_layers=2, high=0.6)},
    "input too": {"dropout": DropoutRates(n_layers=2, high=0.6), "input_dropout": uniform(0, 0.3)},
}

# %%
# A search uses 300 images with three folds. Its choice is evaluated on the remaining images. This is repeated four
# times with different images.
tried, losses = {name: [] for name in spaces}, {name: [] for name in spaces}
for i, (train, test) in enumerate(StratifiedShuffleSplit(4, train_size=300, random_state=0).split(X, y)):
    for name, space in spaces.items():
        n_iter = 1 if name == "no dropout" else 8
        search = RandomizedSearchCV(
            mlp, space, n_iter=n_iter, scoring="neg_log_loss", cv=3, n_jobs=2, random_state=i
        ).fit(X[train], y[train])
        losses[name].append(-search.score(X[test], y[test]))
        tried[name].append(search.cv_results_)

# %%
# Log loss on the remaining images, and its difference to one rate on the same images; ± is the standard error of the
# mean.
print(f"{'':14}{'log loss':>16}{'difference':>18}")
for name, loss in losses.items():
    difference = np.subtract(loss, losses["one rate"])
    print(f"{name:14}{np.mean(loss):8.3f} ± {sem(loss):.3f}", end="")
    print(f"{difference.mean():10.3f} ± {sem(difference):.3f}" if name != "one rate" else "")

# %%
# The candidates of the searches per layer, over all four repeats: blue is better than no dropout, red is worse. The
# worst candidates drop half of the narrow layer or more.
rates = np.concatenate([np.array(results["param_dropout"].tolist()) for results in tried["one per layer"]])
pairs = zip(tried["no dropout"], tried["one per layer"], strict=True)
gain = np.concatenate([without["mean_test_score"] - results["mean_test_score"] for without, results in pairs])
fig, ax = plt.subplots(figsize=(6.4, 5), layout="constrained")
ax.plot([0, 0.6], [0, 0.6], color="0.5", linestyle="--", label="the same rate for both", zorder=0)
points = ax.scatter(*rates.T, c=gain, s=90, cmap="RdBu_r", vmin=-0.06, vmax=0.06, edgecolor="k")
fig.colorbar(points, label="log loss in cross-validation, less that without dropout", extend="max")
ax.set(xlabel="rate of the wide layer (128 units)", ylabel="rate of the narrow layer (16 units)")
fig.legend(loc="outside upper center")
plt.show()

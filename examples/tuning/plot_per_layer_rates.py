"""
==========================
One dropout rate per layer
==========================

``dropout`` is one rate for all hidden layers or a tuple with one rate per layer, and ``input_dropout`` is the rate of
the inputs. ``RandomizedSearchCV`` can sample all of them: ``DropoutRates`` is a distribution of tuples. Here a network
with a wide and a narrow layer learns from 300 digits. Three searches with eight candidates each tune one rate, one rate
per layer, and rates per layer together with the input rate. One rate is better than no dropout; rates per layer, with
the same number of candidates, are no better than one rate. Start with one rate, and tune rates per layer if the layers
differ and time allows. ``DropoutRateDisplay`` plots the results.
"""

# %%
# One of 128 units is less important than one of 16: layers as different as these may need different rates.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import sem, uniform
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedShuffleSplit

from skdropout import DropoutMLPClassifier, DropoutRateDisplay, DropoutRates

warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # intended
X, y = load_digits(return_X_y=True)
X = X / 16
mlp = DropoutMLPClassifier(
    hidden_layer_sizes=(128, 16),
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
losses = {name: [] for name in spaces}
for i, (train, test) in enumerate(StratifiedShuffleSplit(4, train_size=300, random_state=0).split(X, y)):
    for name, space in spaces.items():
        n_iter = 1 if name == "no dropout" else 8
        search = RandomizedSearchCV(
            mlp, space, n_iter=n_iter, scoring="neg_log_loss", cv=3, n_jobs=2, random_state=i
        ).fit(X[train], y[train])
        losses[name].append(-search.score(X[test], y[test]))

# %%
# Log loss on the remaining images, and its difference to one rate on the same images; ± is the standard error of the
# mean.
print(f"{'':14}{'log loss':>16}{'difference':>18}")
for name, loss in losses.items():
    difference = np.subtract(loss, losses["one rate"])
    print(f"{name:14}{np.mean(loss):8.3f} ± {sem(loss):.3f}", end="")
    print(f"{difference.mean():10.3f} ± {sem(difference):.3f}" if name != "one rate" else "")

# %%
# The last search, which also tuned the rate of the inputs. A tuple is drawn at its mean. The one-standard-error rule
# adds the rate of the inputs to that mean, so its choice, the ring, need not be the leftmost point within the error.
DropoutRateDisplay.from_search(search, negate_score=True)

# %%
# Is a rate better than no dropout? The folds differ more than the rates do, so look at the paired differences: the log
# loss of each fold minus that without dropout on the same fold. This needs a candidate of rate 0, which a random search
# does not draw: search a list of drawn rates and 0. The plane shows the two rates; blue is better than no dropout, red
# is worse.
rates = DropoutRates(n_layers=2)
grid = {"dropout": [0.0, *(rates.rvs(random_state=seed) for seed in range(16))]}
search = GridSearchCV(mlp, grid, scoring="neg_log_loss", cv=4, n_jobs=2).fit(X[train], y[train])
fig, (left, right) = plt.subplots(ncols=2, figsize=(12, 4.8), layout="constrained")
DropoutRateDisplay.from_search(search, difference=True, negate_score=True, ax=left)
DropoutRateDisplay.from_search(search, difference=True, negate_score=True, kind="plane", ax=right)
plt.show()
# sphinx_gallery_thumbnail_number = 2

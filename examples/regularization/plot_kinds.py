"""
=====================================================
Dropout kinds: Bernoulli, Gaussian, spatial and alpha
=====================================================

``dropout_kind`` sets the kind of noise. ``"bernoulli"``, the default, sets a unit to 0. ``"gaussian"`` multiplies it by
noise with the same mean and variance. ``"spatial"`` drops groups of neighboring units, for channels and blocks.
``"alpha"`` is for SELU: it sets dropped units to the value at which SELU saturates, and preserves mean and variance.
The example first plots the noise, then compares errors on digits. With clean labels, none of the kinds helps this
network. With a fifth of the labels wrong, all of them do.
"""

# %%
# The noise of the classes used in training, on one row of 64 units, the standardized pixels of a digit, and on 100 000
# values of a unit with mean 0 and variance 1.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from scipy.stats import sem
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit

from skdropout import DropoutMLPClassifier
from skdropout.engine.dropout import DROPOUTS

X, y = load_digits(return_X_y=True)
row = ((X[:1] - X[0].mean()) / X[0].std()).astype(np.float32)
rng = np.random.default_rng(0)
normal = rng.standard_normal((100_000, 4), dtype=np.float32)
fig, axes = plt.subplots(2, 5, sharey="row", figsize=(9, 4.4), layout="constrained")
for (image, histogram), kind in zip(axes.T, ["no noise", *DROPOUTS], strict=True):
    x, z = row, normal
    if kind != "no noise":
        fours = (np.arange(64) // 4, np.arange(4)) if kind == "spatial" else (None, None)  # the groups
        x, z = (DROPOUTS[kind](0.3, np.float32, g).forward(a, rng) for a, g in zip((x, z), fours, strict=True))
    image.imshow(x.reshape(8, 8), cmap="RdBu_r", vmin=-3, vmax=3)
    image.set(title=kind, xticks=[], yticks=[])
    histogram.hist(z[:, 0], bins=np.linspace(-4, 4, 81), weights=np.full(len(z), 1 / len(z)), color="C0")
    histogram.set(title=f"std {z[:, 0].std():.2f}", yscale="log", ylim=(1e-4, 1), xlabel="value")
axes[0, 0].set_ylabel("one row of units\n(red > 0, blue < 0)")
axes[1, 0].set_ylabel("fraction of rows")
fig.suptitle("Dropout at rate 0.3: one row of 64 units, and one unit over many rows (spatial: groups of 4)")

# %%
# Seven networks learn 400 digits, with correct labels and with a fifth of them wrong, and are tested on the others with
# correct labels. Alpha dropout needs low rates: its effect at 0.1 is stronger than that of Bernoulli dropout.
nets = {
    "relu, no dropout": {"dropout": 0.0},
    "relu, bernoulli 0.3": {"dropout": 0.3},
    "relu, gaussian 0.3": {"dropout": 0.3, "dropout_kind": "gaussian"},
    "relu, spatial 0.3": {"dropout": 0.3, "dropout_kind": "spatial", "group_size": 4},
    "selu, no dropout": {"dropout": 0.0, "activation": "selu"},
    "selu, bernoulli 0.1": {"dropout": 0.1, "activation": "selu"},
    "selu, alpha 0.1": {"dropout": 0.1, "activation": "selu", "dropout_kind": "alpha"},
}


def error(train, test, labels, params):
    warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # intended
    mlp = DropoutMLPClassifier(hidden_layer_sizes=(64, 64), batch_size=32, n_iter_no_change=60, dtype="float32")
    mlp.set_params(max_iter=60, random_state=0, **params).fit(X[train] / 16, labels[train])
    return 100 * (1 - mlp.score(X[test] / 16, y[test]))  # the correct labels


splits = list(StratifiedShuffleSplit(6, train_size=400, random_state=0).split(X, y))
noisy = np.where(rng.permutation(len(y)) < 0.2 * len(y), (y + rng.integers(1, 10, len(y))) % 10, y)
runs = [delayed(error)(*rows, z, params) for z in (y, noisy) for params in nets.values() for rows in splits]
errors = np.reshape(Parallel(n_jobs=2)(runs), (2, len(nets), 6))

# %%
# ± is the standard error of the mean over six splits; the difference is to the same activation without dropout. With
# wrong labels Bernoulli and Gaussian dropout are equally good and best; dropping arbitrary groups of four hidden units
# gains slightly less. Alpha dropout gains most, from a worse baseline.
print(f"test error, %       {'clean labels':>15}{'difference':>16}{'noisy labels':>16}{'difference':>16}")
for i, name in enumerate(nets):
    cells = [v for e in errors for v in (e[i], e[i] - e[0 if "relu" in name else 4])]
    print(f"{name:20}" + "".join(f"{v.mean():9.1f} ± {sem(v):.2f}" if v.any() else f"{'':16}" for v in cells))
plt.show()

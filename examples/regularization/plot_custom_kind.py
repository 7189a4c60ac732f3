"""
=====================
A custom dropout kind
=====================

A custom dropout kind is a short class and one line in a table. The kind in this example is uniform noise around 1, with
the mean and variance of standard dropout. Once registered, it can be used as ``dropout_kind`` like the built-in kinds,
in ``clone``, searches and Monte Carlo passes, and with sparse rows. On these digits it performs as well as standard
dropout up to a rate of 0.5, and worse at 0.7.
"""

# %%
# The class
# ---------
# Multiplicative noise inherits from ``Multiplicative`` and implements three methods. ``sample`` returns independent
# noise with mean 1 for each element of x, drawn only from the given generator. ``variance`` declares the variance of
# the output. The contract and the other base classes are in ``skdropout/engine/dropout/base.py``.
import joblib
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import sem
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from skdropout import DropoutMLPClassifier
from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.dropout.base import Multiplicative


class Uniform(Multiplicative):
    """x · u,  u uniform on 1 ± w,  w² / 3 = p / (1 - p)."""

    def set_rate(self, rate):
        self.width = (3 * rate / (1 - rate)) ** 0.5

    def sample(self, x, rng):
        return 1 + self.width * (2 * rng.random(x.size, dtype=self.dtype.type) - 1)

    def variance(self, x):
        return x**2 * self.width**2 / 3


DROPOUTS["uniform"] = Uniform

# %%
# Check the declared variance. The noise of a row of ones is the noise itself.
ones, kinds = np.ones((1, 100_000)), ["bernoulli", "gaussian", "uniform"]
noise = [DROPOUTS[kind](0.2, np.float64).forward(ones, np.random.default_rng(0))[0] for kind in kinds]
declared = Uniform(0.2, np.float64).variance(1.0)
print(f"uniform noise: mean {noise[2].mean():.3f}, variance {noise[2].var():.3f}; declared: 1 and {declared:.3f}")

# %%
# In a search
# -----------
# Five random splits with 300 training images. joblib's processes start with the original table and would reject the new
# name; threads use the same table.
X, y = load_digits(return_X_y=True)
rates = [0.1, 0.3, 0.5, 0.7]
grid = {"dropout": rates, "dropout_kind": kinds}
mlp = DropoutMLPClassifier(hidden_layer_sizes=128, batch_size=32, learning_rate="cosine", max_iter=40)
mlp.set_params(learning_rate_init=0.003, dtype="float32", random_state=0)
splits = StratifiedShuffleSplit(5, train_size=300, random_state=0)
search = GridSearchCV(mlp, grid, scoring="neg_log_loss", cv=splits, n_jobs=2, refit=False)
with joblib.parallel_config(backend="threading"):
    search.fit(X / 16, y)
losses = -np.array([search.cv_results_[f"split{i}_test_score"] for i in range(5)]).reshape(5, len(rates), len(kinds))
print("log loss minus that of bernoulli on the same split, mean ± standard error over the splits, at rates", *rates)
for i in (1, 2):
    less = losses[:, :, i] - losses[:, :, 0]
    print(f"{kinds[i]:9}", *(f"{m:+9.3f} ± {e:.3f}" for m, e in zip(less.mean(axis=0), sem(less), strict=True)))

# %%
# The losses differ only at 0.7, where the noise is strong.
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
left.hist(noise, np.arange(-0.9, 3, 0.2), histtype="step", linewidth=2)
for i, (mean, error) in enumerate(zip(losses.mean(axis=0).T, sem(losses).T, strict=True)):
    right.errorbar(np.add(rates, 0.012 * (i - 1)), mean, error, marker="o", capsize=3, label=kinds[i])
left.set(xlabel="factor by which a unit is multiplied", ylabel="number of units", title="Noise at rate 0.2")
right.set(xlabel="dropout rate", ylabel="log loss", title="300 training digits, five splits")
right.legend()
plt.show()

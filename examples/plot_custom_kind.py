"""
===============================
Write your own kind of dropout
===============================

A kind of dropout is a class of a few lines and one line in a table. Here what enters a layer is multiplied by noise
that is uniform around 1, with the mean and the variance of standard dropout. Once registered it is a value of
``dropout_kind`` like the others: it is cloned, searched, sampled, and takes sparse rows. On these digits it does no
better than standard dropout, and no worse while the noise is small: it is the variance that counts then.
"""

# %%
# The class
# ---------
# Noise that multiplies inherits from ``Multiplicative`` and writes three methods. ``sample`` returns independent noise
# of mean 1, a number for each element of x, drawn from the generator that it is given and from nothing else.
# ``variance`` is what the class promises. (Noise of 0 or 1 / (1 - p) inherits from ``Masking`` and writes ``sample``
# alone; what does not multiply inherits from ``Dropout``. The laws are in ``skdropout/engine/dropout/base.py``.)
from math import sqrt

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from skdropout import DropoutMLPClassifier
from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.dropout.base import Multiplicative


class Uniform(Multiplicative):
    """x · u,  u uniform on 1 ± w,  w² / 3 = p / (1 - p)."""

    def set_rate(self, rate):
        self.width = sqrt(3 * rate / (1 - rate))

    def sample(self, x, rng):
        return 1 + self.width * (2 * rng.random(x.size, dtype=self.dtype.type) - 1)

    def variance(self, x):
        return x**2 * self.width**2 / 3


DROPOUTS["uniform"] = Uniform

# %%
# Is the promise kept? A row of many ones shows the noise itself.
kinds, ones, noise = ["bernoulli", "gaussian", "uniform"], np.ones((1, 200_000)), {}
for kind in kinds:
    dropout = DROPOUTS[kind](0.2, np.float64)
    noise[kind] = dropout.forward(ones, np.random.default_rng(0)).ravel()
    print(f"{kind:9} mean {noise[kind].mean():.3f}, variance {noise[kind].var():.3f} of {dropout.variance(1.0):.3f}")

# %%
# In a search
# -----------
# Five random splits with 300 of the digits to train on. Joblib's processes start with the table as it was, and would
# refuse the new name; threads share it.
X, y = load_digits(return_X_y=True)
rates = [0.1, 0.3, 0.5, 0.7]
mlp = DropoutMLPClassifier(128, batch_size=32, learning_rate="cosine", learning_rate_init=0.003, max_iter=40)
splits = StratifiedShuffleSplit(5, train_size=300, random_state=0)
search = GridSearchCV(
    mlp.set_params(dtype="float32", random_state=0),
    {"dropout": rates, "dropout_kind": kinds},
    scoring="neg_log_loss",
    cv=splits,
    n_jobs=2,
    refit=False,
)
with joblib.parallel_config(backend="threading"):
    search.fit(X / 16, y)
losses = -np.array([search.cv_results_[f"split{i}_test_score"] for i in range(5)]).reshape(5, len(rates), len(kinds))
mean, error = losses.mean(axis=0), losses.std(axis=0, ddof=1) / sqrt(5)
print("log loss, and its difference to that of bernoulli (paired), mean ± standard error over the splits")
for i, rate in enumerate(rates):
    for j, kind in enumerate(kinds):
        difference = losses[:, i, j] - losses[:, i, 0]
        print(f"{rate} {kind:9} {mean[i, j]:.3f}, {difference.mean():+.3f} ± {difference.std(ddof=1) / sqrt(5):.3f}")

# %%
# Standard dropout drops, the others scatter; the losses part only at 0.7, where the noise is strong.
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for i, kind in enumerate(kinds):
    left.hist(noise[kind], np.arange(-0.9, 3, 0.2), weights=ones[0] / ones.size, histtype="step", linewidth=2)
    right.errorbar(np.add(rates, 0.012 * (i - 1)), mean[:, i], error[:, i], marker="o", capsize=3, label=kind)
left.set(xlabel="what a unit is multiplied by", ylabel="share of the units", title="The noise at rate 0.2")
right.set(xlabel="dropout", ylabel="log loss", title="300 digits to train on, five splits")
right.legend()
plt.show()

"""
==================================================
Batch normalisation and dropout: mind the variance
==================================================

Batch normalisation learns the variance of its input in training. Dropout ahead of it is part of that variance, and is
gone at prediction: what comes out is then too small, a *variance shift* (Li, Chen, Hu and Yang, 2019). It is measured
here for the three places of ``batch_norm``, and so is the log loss on digits. A rate of 0.5 is too much for this
network even without batch normalisation; with it ``"after_dropout"``, where the variance falls to less than a quarter,
the log loss more than doubles on top of that. What to do: normalise before the activation, and keep the rates at 0.1 or
so, or drop units in the last hidden layer only, after which nothing is normalised.
"""

# %%
# How large is the variance at prediction, as a share of what was learnt? Before the activation, what is normalised has
# the variance ``batch_norm_scale_ ** 2`` in training; after it, ``batch_norm_var_`` is that of the activations.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from scipy.stats import sem
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedShuffleSplit

from skdropout import DropoutMLPClassifier

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)


def variance_share(mlp, X):
    """Median over the units of the last hidden layer, from the noise-free network."""
    for W, b in zip(mlp.coefs_[:-1], mlp.intercepts_[:-1], strict=True):  # batch norm is folded into them
        z = X @ W + b
        X = np.maximum(z, 0)
    before = mlp.batch_norm == "before_activation"
    learnt = mlp.batch_norm_scale_[-1] ** 2 if before else mlp.batch_norm_var_[-1]
    alive = learnt > 0.01 * np.median(learnt)
    return np.median((z if before else X).var(axis=0)[alive] / learnt[alive])


def run(train, test, batch_norm, dropout):
    warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # 60 epochs are meant
    mlp = DropoutMLPClassifier((64, 64, 64), batch_size=32, max_iter=60, n_iter_no_change=60, random_state=0)
    mlp.set_params(batch_norm=batch_norm, dropout=dropout).fit(X[train], y[train])
    share = variance_share(mlp, X[train]) if batch_norm else np.nan
    return share, log_loss(y[test], mlp.predict_proba(X[test]))


# %%
# Three hidden layers, 300 digits; the same five splits for all.
rates = [0.0, 0.1, 0.3, 0.5]
nets = {name: (name, rates) for name in ("before_activation", "after_activation", "after_dropout")}
nets["before_activation, last layer only"] = "before_activation", [(0.0, 0.0, rate) for rate in rates]
nets["no batch norm"] = False, rates
splits = list(StratifiedShuffleSplit(5, train_size=300, random_state=0).split(X, y))
runs = [delayed(run)(*rows, where, rate) for where, each in nets.values() for rate in each for rows in splits]
shares, losses = np.moveaxis(np.reshape(Parallel(n_jobs=2)(runs), (len(nets), 4, 5, 2)), 3, 0)

# %%
# ± is the standard error of the mean. (Without dropout the shares are a little above 1, since the variance over a batch
# of 32 is smaller than that over all rows.) Dropout in the last layer only shifts nothing, and gains nothing here; at
# 0.1 in all layers the log loss is least.
fig, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
styles = [("C0", "o-"), ("C1", "s-"), ("k", "^-"), ("C0", "o:"), ("0.5", "D--")]
titles = "variance at prediction / in training, last layer", "log loss on digits left over"
for ax, title, values in zip(axes, titles, (shares, losses), strict=True):
    print(f"\n{title}\n{'rate':35}" + "".join(f"{rate:14g}" for rate in rates))
    for name, value, (color, fmt) in zip(nets, values, styles, strict=True):
        mean, error = value.mean(axis=1), sem(value, axis=1)
        if np.isfinite(mean).all():
            ax.errorbar(rates, mean, error, color=color, fmt=fmt, capsize=3)
            print(f"{name:35}" + "".join(f"{m:6.3f} ± {e:.3f}" for m, e in zip(mean, error, strict=True)))
    ax.set(xlabel="dropout", title=title, ylim=0)
fig.legend(axes[1].lines[::3], nets, loc="outside lower center", ncols=3)
plt.show()

"""
====================================================
Batch normalization with dropout: the variance shift
====================================================

Batch normalization learns the variance of its input during training. Dropout before it increases that variance in
training but not at prediction, so the normalized output is too small at prediction: a *variance shift* (Li, Chen, Hu
and Yang, 2019). This example measures the shift for the three positions of ``batch_norm``, and the log loss on digits.
A rate of 0.5 is too high for this network even without batch normalization. With ``"after_dropout"`` the variance falls
to less than a quarter, and the log loss is more than twice that without batch normalization. To avoid this, normalize
before the activation and keep the rates near 0.1, or use dropout in the last hidden layer only, which is not followed
by a normalization.
"""

# %%
# The variance at prediction, as a fraction of the learned variance. Before the activation, the normalized values have
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


def variance_ratio(mlp, X):
    """Return the median over the units of the last hidden layer, without dropout."""
    for W, b in zip(mlp.coefs_[:-1], mlp.intercepts_[:-1], strict=True):  # batch norm is folded into them
        z = X @ W + b
        X = np.maximum(z, 0)
    before = mlp.batch_norm == "before_activation"
    learned = mlp.batch_norm_scale_[-1] ** 2 if before else mlp.batch_norm_var_[-1]
    alive = learned > 0.01 * np.median(learned)
    return np.median((z if before else X).var(axis=0)[alive] / learned[alive])


def run(train, test, batch_norm, dropout):
    warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # intended
    mlp = DropoutMLPClassifier(hidden_layer_sizes=(64, 64, 64), batch_size=32, n_iter_no_change=60, random_state=0)
    mlp.set_params(batch_norm=batch_norm, dropout=dropout, max_iter=60).fit(X[train], y[train])
    ratio = variance_ratio(mlp, X[train]) if batch_norm else np.nan
    return ratio, log_loss(y[test], mlp.predict_proba(X[test]))


# %%
# Three hidden layers, 300 digits, the same five splits for all networks.
rates = [0.0, 0.1, 0.3, 0.5]
nets = {name: (name, rates) for name in ("before_activation", "after_activation", "after_dropout")}
nets["before_activation, dropout in the last layer only"] = "before_activation", [(0.0, 0.0, rate) for rate in rates]
nets["no batch norm"] = False, rates
splits = list(StratifiedShuffleSplit(5, train_size=300, random_state=0).split(X, y))
runs = [delayed(run)(*rows, where, rate) for where, each in nets.values() for rate in each for rows in splits]
ratios, losses = np.moveaxis(np.reshape(Parallel(n_jobs=2)(runs), (len(nets), 4, 5, 2)), 3, 0)

# %%
# ± is the standard error of the mean. (Without dropout the fractions are slightly above 1, because the variance over a
# batch of 32 is smaller than that over all rows.) Dropout in the last layer only causes no shift, and no gain here; the
# log loss is lowest with a rate of 0.1 in all layers.
fig, axes = plt.subplots(1, 2, figsize=(8, 4.4), layout="constrained")
styles = [("C0", "o-"), ("C1", "s-"), ("k", "^-"), ("C0", "o:"), ("0.5", "D--")]
titles = "variance at prediction / in training", "log loss on test digits"
for ax, title, values in zip(axes, titles, (ratios, losses), strict=True):
    print(f"\n{title}\n{'dropout rate':50}" + "".join(f"{rate:14g}" for rate in rates))
    for name, value, (color, fmt) in zip(nets, values, styles, strict=True):
        mean, error = value.mean(axis=1), sem(value, axis=1)
        if np.isfinite(mean).all():
            ax.errorbar(rates, mean, error, color=color, fmt=fmt, capsize=3)
            print(f"{name:50}" + "".join(f"{m:6.3f} ± {e:.3f}" for m, e in zip(mean, error, strict=True)))
    ax.set(xlabel="dropout rate", title=title, ylim=0)
fig.legend(axes[1].lines[::3], nets, loc="outside lower center", ncols=2)
plt.show()

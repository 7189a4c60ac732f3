"""
===============================================
Regression with calibrated prediction intervals
===============================================

This example is a recipe for regression with prediction intervals. It uses two hidden layers of 50 units with dropout
0.05 and a cosine learning rate. A fifth of the training rows is set aside. These rows select the loss,
``"squared_error"`` or ``"gaussian_nll"`` (noise that depends on x), whether to drop inputs, and the rate of the Monte
Carlo passes. They also calibrate the network, so that the intervals of ``predict_interval`` have the requested
coverage. ``benchmarks/uci.py`` compares this recipe, refitted on all rows, with the published results of Gal and
Ghahramani on four data sets. Here it predicts the progression of diabetes.
"""

# %%
from copy import deepcopy

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm, sem
from sklearn.datasets import load_diabetes
from sklearn.model_selection import ShuffleSplit, train_test_split
from sklearn.preprocessing import StandardScaler

from skdropout import DropoutMLPRegressor

mlp = DropoutMLPRegressor(hidden_layer_sizes=(50, 50), dropout=0.05, dropout_schedule="constant", batch_size=64)
mlp.set_params(learning_rate="cosine", learning_rate_init=0.005, dtype="float32", random_state=0)
mlp.set_params(max_iter=200)  # 1000 if the target is less noisy than here

# %%
# The recipe. The log density of the held-out rows evaluates the mean and the standard deviation together.
# ``calibrate`` sets one factor on the variance and the conformity scores of the intervals.


def fit_recipe(X, y, losses=("squared_error", "gaussian_nll"), input_rates=(0.0, 0.05), rates=(0.01, 0.05, 0.1)):
    """Return the calibrated network and the rates of its Monte Carlo passes."""
    X_train, X_held, y_train, y_held = train_test_split(X, y, test_size=0.2, random_state=0)
    tried = []
    for loss in losses:
        for input_dropout in input_rates:
            mlp.set_params(loss=loss, input_dropout=input_dropout).fit(X_train, y_train)
            for rate in rates:
                sampling = {"dropout": rate, "input_dropout": rate if input_dropout else 0.0}
                mlp.calibrate(X_held, y_held, **sampling)
                density = mlp.log_predictive_density(X_held, y_held, **sampling).mean()
                tried.append((density, deepcopy(mlp), sampling))
    _, network, sampling = max(tried, key=lambda t: t[0])
    return network, sampling


# %%
# Compare with the same network without dropout, calibrated on the same rows.


def fit_plain(X, y):
    X_train, X_held, y_train, y_held = train_test_split(X, y, test_size=0.2, random_state=0)
    plain = DropoutMLPRegressor(**mlp.get_params() | {"loss": "squared_error", "dropout": 0.0, "input_dropout": 0.0})
    return plain.fit(X_train, y_train).calibrate(X_held, y_held), {"dropout": 0.0}


X, y = load_diabetes(return_X_y=True)
y = (y - y.mean()) / y.std()
levels = np.linspace(0.05, 0.95, 19)
scores, normal, conformal = {"no dropout": [], "recipe": []}, [], []
for train, test in ShuffleSplit(4, test_size=0.25, random_state=0).split(X):
    scaler = StandardScaler().fit(X[train])
    X_train, X_test = scaler.transform(X[train]), scaler.transform(X[test])
    for name, fit in {"no dropout": fit_plain, "recipe": fit_recipe}.items():
        network, sampling = fit(X_train, y[train])
        mean, std = network.predict(X_test, return_std=True, **sampling)
        density = network.log_predictive_density(X_test, y[test], **sampling)
        scores[name].append([np.sqrt(np.mean((mean - y[test]) ** 2)), density.mean()])
    # the last network is that of the recipe
    normal.append([np.mean(np.abs(mean - y[test]) < norm.ppf((1 + level) / 2) * std) for level in levels])
    ends = [network.predict_interval(X_test, level, **sampling).T for level in levels]
    conformal.append([np.mean((lower <= y[test]) & (y[test] <= upper)) for lower, upper in ends])
for name, values in scores.items():
    (rmse, density), error = np.mean(values, axis=0), sem(values)
    print(f"{name:12} RMSE {rmse:.3f} ± {error[0]:.3f}, log density {density:.3f} ± {error[1]:.3f}")

# %%
# Coverage of the intervals of the recipe, mean of the four splits. Both kinds of intervals are close to the diagonal.
fig, ax = plt.subplots(figsize=(5, 5), layout="constrained")
ax.plot([0, 1], [0, 1], "k:", label="perfectly calibrated")
ax.plot(levels, np.mean(normal, axis=0), "o-", markersize=4, label="mean ± z · std")
ax.plot(levels, np.mean(conformal, axis=0), "s-", markersize=4, label="predict_interval")
ax.set(xlabel="nominal level", ylabel="fraction of targets inside", aspect="equal")
ax.set_title("Diabetes: coverage of the intervals")
ax.legend()
plt.show()

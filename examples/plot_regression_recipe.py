"""
===============================================
A recipe for regression with honest error bars
===============================================

Two hidden layers of 50 units with dropout 0.05, a cosine learning rate, and the mean of Monte Carlo passes as the
prediction. Three settings are selected on a fifth of the training rows: whether to drop inputs, the rate of the passes,
and the observation noise. ``benchmarks/uci.py`` compares this recipe with the published results of Gal and Ghahramani
on four data sets; here it predicts the progression of diabetes.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm, sem
from sklearn.datasets import load_diabetes
from sklearn.model_selection import ShuffleSplit, train_test_split
from sklearn.preprocessing import StandardScaler

from skdropout import CoverageDisplay, DropoutMLPRegressor

mlp = DropoutMLPRegressor(hidden_layer_sizes=(50, 50), dropout=0.05, dropout_schedule="constant", batch_size=64)
mlp.set_params(learning_rate="cosine", learning_rate_init=0.005, dtype="float32", random_state=0)
mlp.set_params(max_iter=300)  # 1000 if the target is less noisy than here

# %%
# The recipe. The variance of the observation noise is the squared error on the held-out rows minus the variance of the
# passes, but at least half of the squared error, so that a few accurate rows do not make the intervals too narrow.


def fit_recipe(X, y, rates=(0.01, 0.02, 0.05, 0.1)):
    """The network fitted to all rows, and how to sample it."""
    X_train, X_held, y_train, y_held = train_test_split(X, y, test_size=0.2, random_state=0)
    tried = []
    for input_dropout in (0.0, 0.05):
        mlp.set_params(input_dropout=input_dropout, noise_variance=None).fit(X_train, y_train)
        for rate in rates:
            sampling = {"dropout": rate, "input_dropout": rate if input_dropout else 0.0}
            passes = mlp.sample_y(X_held, 200, **sampling)
            mean, spread = passes.mean(axis=1), passes.var(axis=1)
            error = np.mean((mean - y_held) ** 2)
            noise = max(error - spread.mean(), error / 2)
            density = norm.logpdf(y_held, mean, np.sqrt(spread + noise)).mean()
            tried.append((density, input_dropout, float(noise), sampling))
    _, input_dropout, noise, sampling = max(tried, key=lambda t: t[0])
    return mlp.set_params(input_dropout=input_dropout, noise_variance=noise).fit(X, y), sampling


# %%
# Compare with the same network without dropout, whose noise variance is its squared error on the held-out fifth.


def fit_plain(X, y):
    X_train, X_held, y_train, y_held = train_test_split(X, y, test_size=0.2, random_state=0)
    plain = DropoutMLPRegressor(**mlp.get_params() | {"dropout": 0.0, "input_dropout": 0.0, "noise_variance": None})
    noise = plain.fit(X_train, y_train, X_val=X_held, y_val=y_held).noise_variance_
    return plain.set_params(noise_variance=noise).fit(X, y), {"dropout": 0.0}


X, y = load_diabetes(return_X_y=True)
y = (y - y.mean()) / y.std()
scores, targets, means, stds = {"recipe": [], "no dropout": []}, [], [], []
for train, test in ShuffleSplit(4, test_size=0.25, random_state=0).split(X):
    scaler = StandardScaler().fit(X[train])
    X_train, X_test = scaler.transform(X[train]), scaler.transform(X[test])
    for name, fit in {"no dropout": fit_plain, "recipe": fit_recipe}.items():
        model, sampling = fit(X_train, y[train])
        mean, std = model.predict(X_test, return_std=True, n_samples=500, **sampling)
        density = model.log_predictive_density(X_test, y[test], n_samples=500, **sampling)
        scores[name].append([np.sqrt(np.mean((mean - y[test]) ** 2)), density.mean()])
    targets, means, stds = [*targets, y[test]], [*means, mean], [*stds, std]  # of the recipe
for name, values in scores.items():
    (rmse, density), error = np.mean(values, axis=0), sem(values)
    print(f"{name:12} RMSE {rmse:.3f} ± {error[0]:.3f}, log density {density:.3f} ± {error[1]:.3f}")

# %%
# Coverage of the intervals, over the rows of all four splits; some rows are in two of them.
CoverageDisplay.from_predictions(*map(np.concatenate, (targets, means, stds)), name="recipe, diabetes")
plt.title("Fraction of targets inside the predictive intervals")
plt.show()

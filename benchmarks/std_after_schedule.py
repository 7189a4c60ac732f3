"""Predictive distributions after a dropout schedule that ends at 0, on five regression sets.

    SKDROPOUT_DATA=... python -m benchmarks.std_after_schedule [--splits 10]

Networks with dropout=0.1 and otherwise default parameters, with one and with two hidden layers. X and y are
standardized on the training rows. The result is the mean log density of the test rows, in nats per row of the
standardized y; greater is better:

- noise: the noise-free prediction and ``noise_variance_`` alone, ``dropout=0``;
- default: ``predict(X, return_std=True)`` and ``log_predictive_density`` after the default schedule 'flat_cos', with
  the spread of passes at rate 0.1 around the noise-free prediction;
- raw: the same passes around their own mean, ``dropout=0.1``;
- normal: a normal distribution with the mean and standard deviation of "default", which is a mixture of one normal
  distribution per pass;
- constant: a network trained with ``dropout_schedule="constant"``, sampled at its training rate.

Each is computed with ``noise_variance_`` from the training rows, and from a tenth of them as a validation set
(``X_val``), with ``variance_factor_``. The next column is the RMSE of the mean of the passes divided by that of the
noise-free prediction. With one hidden layer the two are equal in expectation, because the output is linear in the
masks. The last table is a network that overfits, with (100, 100) units, 1000 epochs and a learning rate of 0.005: its
density with noise from the training rows and from a validation set. Differences are paired over the splits, ± standard
error. The splits overlap, so the standard errors are somewhat too small.
"""

import argparse
import warnings
from itertools import product

import numpy as np
from scipy.stats import norm
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit, train_test_split

from benchmarks.data import load_uci
from skdropout import DropoutMLPRegressor

SETS = "concrete", "energy", "wine", "yacht", "diabetes"
RATE = 0.1
NETWORKS = (100,), (100, 100)
OVERFIT = {"hidden_layer_sizes": (100, 100), "learning_rate_init": 0.005, "max_iter": 1000, "n_iter_no_change": np.inf}


def splits(name, n_splits):
    """Yield the standardized training and test rows of each split."""
    if name == "diabetes":
        X, y = load_diabetes(return_X_y=True)
        split_rows = ShuffleSplit(n_splits, test_size=0.1, random_state=0).split(X)
    else:
        X, y, trains, tests = load_uci(name)
        split_rows = list(zip(trains, tests, strict=True))[:n_splits]
    for train, test in split_rows:
        mean, std = y[train].mean(), y[train].std()
        X_mean, X_std = X[train].mean(axis=0), X[train].std(axis=0)
        yield (*(((X[rows] - X_mean) / X_std, (y[rows] - mean) / std) for rows in (train, test)),)


def fit(X, y, held_out, seed, **params):
    """Fit a regressor whose noise variance is estimated on the training rows, or on a held-out tenth of them."""
    model = DropoutMLPRegressor(**{"dropout": RATE, "random_state": seed, **params})
    if not held_out:
        return model.fit(X, y)
    X, X_val, y, y_val = train_test_split(X, y, test_size=0.1, random_state=seed)
    return model.fit(X, y, X_val=X_val, y_val=y_val)


def densities(train, test, sizes, held_out, seed):
    """Return the mean log density of each method, and the RMSE of the mean of passes divided by the noise-free RMSE."""
    X, y = test
    annealed = fit(*train, held_out, seed, hidden_layer_sizes=sizes)
    constant = fit(*train, held_out, seed, hidden_layer_sizes=sizes, dropout_schedule="constant")
    methods = {
        "noise": annealed.log_predictive_density(X, y, dropout=0),
        "default": annealed.log_predictive_density(X, y),
        "raw": annealed.log_predictive_density(X, y, dropout=RATE),
        "normal": norm.logpdf(y, *annealed.predict(X, return_std=True)),
        "constant": constant.log_predictive_density(X, y),
    }
    means = annealed.predict(X), annealed.predict(X, return_std=True, dropout=RATE)[0]
    noise_free, of_passes = (np.sqrt(np.mean((mean - y) ** 2)) for mean in means)
    return [*(density.mean() for density in methods.values()), of_passes / noise_free]


def overfit(train, test, seed):
    """Return the mean log density with noise from the training rows and from a validation set."""
    return [fit(*train, held_out, seed, **OVERFIT).log_predictive_density(*test).mean() for held_out in (False, True)]


def show(values):
    return f"{np.mean(values):+7.3f} ±{np.std(values, ddof=1) / np.sqrt(len(values)):6.3f}"


def main(n_splits):
    warnings.simplefilter("ignore", ConvergenceWarning)
    for sizes, held_out in product(NETWORKS, (False, True)):
        print(f"\nhidden layers {sizes}, noise from {'a validation set' if held_out else 'the training rows'}")
        columns = ["noise", "default", "default - noise", "default - constant", "default - raw", "default - normal"]
        columns.append("RMSE passes / free")
        print(" " * 10 + "".join(f"{column:>19}" for column in columns))
        for name in SETS:
            results = [densities(*split, sizes, held_out, seed) for seed, split in enumerate(splits(name, n_splits))]
            noise, default, raw, normal, constant, ratio = np.transpose(results)
            shown = (noise, default, *(default - other for other in (noise, constant, raw, normal)), ratio)
            print(f"{name:10}" + "".join(f"{show(values):>19}" for values in shown), flush=True)
    print("\noverfit networks: noise from the training rows, from a validation set, difference")
    for name in SETS:
        results = [overfit(*split, seed) for seed, split in enumerate(splits(name, n_splits))]
        on_train, held_out = np.transpose(results)
        print(
            f"{name:10}" + "".join(f"{show(values):>19}" for values in (on_train, held_out, held_out - on_train)),
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=10)
    main(parser.parse_args().splits)

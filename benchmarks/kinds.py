"""Dropout kinds compared on several data sets: test error or RMSE, and the paired difference to no dropout.

    python -m benchmarks.kinds [--jobs 2]

MNIST has 1 000 or 5 000 training rows (ten random subsets) and the 10 000 official test rows; networks are
784-256-256-10, trained with Adam, batches of 100 rows, and 100 or 40 epochs. The UCI sets have 20 official splits, with
inputs and target standardized on the training rows; networks are 100-100, trained with Adam, batches of 64 rows and 200
epochs. There is no early stopping. Every variant uses the same rows and seeds. Differences are paired; their standard
errors over subsets or splits are somewhat too small because these overlap. Red wine keeps its duplicate rows, so that
some test rows also appear in the training set, and dropout looks worse on it than it is.
"""

import argparse
import warnings

import numpy as np
from joblib import Parallel, delayed, parallel_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from benchmarks.data import load_mnist, load_uci
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor


def variants(rate):
    return {
        "none": {"dropout": 0.0},
        "bernoulli": {"dropout": rate},
        "bernoulli, flat_cos": {"dropout": rate, "dropout_schedule": "flat_cos"},
        "gaussian": {"dropout": rate, "dropout_kind": "gaussian"},
        "spatial, pairs": {"dropout": rate, "dropout_kind": "spatial", "group_size": 2},
        "bernoulli + batch norm": {"dropout": rate, "batch_norm": "before_activation"},
        "selu, none": {"dropout": 0.0, "activation": "selu"},
        "selu, alpha 0.1": {"dropout": 0.1, "activation": "selu", "dropout_kind": "alpha"},
    }


def mnist_error(n_rows, subset, params):
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = load_mnist()
    rows = np.random.RandomState(subset).choice(60_000, n_rows, replace=False)
    X_train, X_test = (X.astype(np.float32) / 255 for X in (data.X_train[rows], data.X_test))
    epochs = {1000: 100, 5000: 40, 60_000: 20}[n_rows]
    model = DropoutMLPClassifier(
        (256, 256), batch_size=100, max_iter=epochs, n_iter_no_change=np.inf, random_state=subset, **params
    )
    return 100 * (1 - model.fit(X_train, data.y_train[rows]).score(X_test, data.y_test))


def uci_rmse(name, split, params):
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = load_uci(name)
    train, test = data.train[split], data.test[split]
    scaler, mean, std = StandardScaler().fit(data.X[train]), data.y[train].mean(), data.y[train].std()
    model = DropoutMLPRegressor(
        hidden_layer_sizes=(100, 100),
        batch_size=64,
        max_iter=200,
        n_iter_no_change=np.inf,
        dtype="float32",
        random_state=split,
        **{"dropout_schedule": "constant"} | params,
    ).fit(scaler.transform(data.X[train]), (data.y[train] - mean) / std)
    prediction = model.predict(scaler.transform(data.X[test])) * std + mean
    return np.sqrt(np.mean((prediction - data.y[test]) ** 2))


def compare(title, measure, data, variants, repeats, jobs):
    """Print the mean of each variant and its paired difference to the first variant."""
    with parallel_config("loky", inner_max_num_threads=1):
        scores = Parallel(n_jobs=jobs)(
            delayed(measure)(data, i, params) for params in variants.values() for i in range(repeats)
        )
    scores = np.reshape(scores, (-1, repeats))
    first = next(iter(variants))
    print(f"\n{title}\n{'':24} {'mean':>8} {'s.e.':>7} {'difference to ' + first:>22}", flush=True)
    for name, score in zip(variants, scores, strict=True):
        difference = score - scores[0]
        error, spread = (a.std(ddof=1) / np.sqrt(repeats) for a in (score, difference))
        print(f"{name:24} {score.mean():8.3f} {error:7.3f} {difference.mean():+12.3f} ± {spread:.3f}", flush=True)


def main(jobs):
    for n in (1000, 5000):
        compare(f"MNIST {n}, error %, rate 0.5", mnist_error, n, variants(0.5), 10, jobs)
    for name in ("concrete", "energy", "wine", "yacht"):
        compare(f"{name}, RMSE, rate 0.1", uci_rmse, name, variants(0.1), 20, jobs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    main(**vars(parser.parse_args()))

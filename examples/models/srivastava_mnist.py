"""Srivastava et al.'s MNIST network: 784-1024-1024-1024-10, dropout 0.2 / 0.5, max-norm, SGD with momentum.

    python -m examples.models.srivastava_mnist [--seeds 3] [--epochs 40] [--jobs 2]

Published test errors (2014, table 2): 1.06 % with dropout and max-norm, 1.25 % with dropout alone, and 1.60 % for a
standard network (2 x 800 logistic units). They used up to a million updates; 40 epochs here are 18 760. Their weights
are scaled as in classic dropout, by a factor q relative to inverted dropout, so their max-norm of 2 is 1 to 1.6 here.
Official split, no augmentation, no early stopping: the result is that of the last epoch. The error is the mean over
seeds with its standard error.
"""

import argparse
import warnings
from time import perf_counter

import numpy as np
from joblib import Parallel, delayed, parallel_config
from sklearn.exceptions import ConvergenceWarning

from benchmarks.data import load_mnist
from skdropout import DropoutMLPClassifier

COMMON = {
    "hidden_layer_sizes": (1024, 1024, 1024),
    "solver": "sgd",
    "learning_rate": "cosine",
    "learning_rate_init": 0.05,
    "momentum": 0.95,
    "batch_size": 128,
    "alpha": 0.0,
    "n_iter_no_change": np.inf,
    "dtype": "float32",
}
NETWORKS = {
    "dropout + max-norm": {"dropout": 0.5, "input_dropout": 0.2, "max_norm": 1.5},
    "dropout": {"dropout": 0.5, "input_dropout": 0.2},
    "standard": {"dropout": 0.0},
}


def run(name, seed, epochs):
    warnings.simplefilter("ignore", ConvergenceWarning)  # intended
    data = load_mnist()
    X_train, X_test = (X.astype(np.float32) / 255 for X in (data.X_train, data.X_test))
    model = DropoutMLPClassifier(**COMMON, **NETWORKS[name], max_iter=epochs, random_state=seed)
    start = perf_counter()
    model.fit(X_train, data.y_train)
    seconds = perf_counter() - start
    error = 100 * (1 - model.score(X_test, data.y_test))
    print(f"{name}, seed {seed}: {error:.2f} % in {seconds:.0f} s", flush=True)
    return name, error, seconds


def main(seeds, epochs, jobs, networks):
    with parallel_config("loky", inner_max_num_threads=1):
        runs = Parallel(n_jobs=jobs)(delayed(run)(name, seed, epochs) for name in networks for seed in range(seeds))
    print(f"{seeds} seeds, {epochs} epochs of 469 updates, float32, {jobs} processes of one thread")
    for name in networks:
        errors, seconds = (np.array([row[i] for row in runs if row[0] == name]) for i in (1, 2))
        spread = errors.std(ddof=1) / np.sqrt(seeds) if seeds > 1 else np.nan
        print(
            f"{name:20} test error {errors.mean():.3f} ± {spread:.3f} %   {np.median(seconds) / epochs:.1f} s / epoch"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    main(**vars(parser.parse_args()))

"""Noise that depends on x, on five regression sets: loss="gaussian_nll" compared with "squared_error".

    SKDROPOUT_DATA=... python -m benchmarks.gaussian_nll [--first 3] [--splits 10]

Two layers of 50 units, dropout=0.05, 300 epochs of 64 rows a batch, a cosine learning rate; X and y are standardized on
the training rows. With early stopping, both monitor the validation loss on a tenth of the training rows, from which
"squared_error" also estimates its noise variance. The table shows RMSE, mean log density in nats per row, and the
coverage of intervals of nominal 50, 80 and 95 %, mean ± z std, of the test rows; differences and ratios are paired, ±
standard error. The splits overlap, so the standard errors are somewhat too small. The design was chosen on splits 0 to
2 (how to center variances after a schedule).
"""

import argparse

import numpy as np
from scipy.stats import norm

from benchmarks.std_after_schedule import SETS, splits
from skdropout import DropoutMLPRegressor

LOSSES = "squared_error", "gaussian_nll"
LEVELS = 0.5, 0.8, 0.95
NETWORK = {
    "hidden_layer_sizes": (50, 50),
    "dropout": 0.05,
    "batch_size": 64,
    "learning_rate": "cosine",
    "learning_rate_init": 0.005,
    "max_iter": 300,
    "dtype": "float32",
}


def evaluate(loss, early_stopping, train, test, seed):
    """Return RMSE, mean log density and coverages of the test rows."""
    scoring = "loss" if early_stopping else None
    model = DropoutMLPRegressor(loss, **NETWORK, early_stopping=early_stopping, scoring=scoring, random_state=seed)
    X, y = test
    mean, std = model.fit(*train).predict(X, return_std=True)
    coverages = [np.mean(np.abs(y - mean) < norm.ppf((1 + level) / 2) * std) for level in LEVELS]
    return [np.sqrt(np.mean((y - mean) ** 2)), model.log_predictive_density(X, y).mean(), *coverages]


def show(values):
    return f"{np.mean(values):+.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


def main(first, n_splits):
    columns = ["RMSE", "gaussian_nll", "ratio", "log density", "gaussian_nll", "difference", "coverage", "gaussian_nll"]
    print(f"{'':16}" + "".join(f"{column:>18}" for column in columns))
    for name in SETS:
        data = list(splits(name, first + n_splits))
        for early_stopping in (False, True):
            results = [
                [evaluate(loss, early_stopping, *data[split], split) for loss in LOSSES]
                for split in range(first, first + n_splits)
            ]
            squared, gaussian = np.transpose(results, (1, 2, 0))
            cells = [show(values) for values in (squared[0], gaussian[0], gaussian[0] / squared[0])]
            cells += [show(values) for values in (squared[1], gaussian[1], gaussian[1] - squared[1])]
            cells += [", ".join(f"{100 * c:.0f}" for c in found[2:].mean(axis=1)) for found in (squared, gaussian)]
            title = f"{name}{', stopped' if early_stopping else ''}"
            print(f"{title:18}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=3)
    parser.add_argument("--splits", type=int, default=10)
    arguments = parser.parse_args()
    main(arguments.first, arguments.splits)

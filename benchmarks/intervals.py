"""Coverage of predictive intervals, the log density with the variance factor, and the cost of held-out rows.

    SKDROPOUT_DATA=... python -m benchmarks.intervals [--splits 20] [--jobs 2] [--resume results/intervals.jsonl]

The network of the regression recipe, with two layers of 50 units, ``dropout=0.05``, the default schedule, a cosine
learning rate and 300 epochs, on standardized X and y. It is trained on

- all: all training rows;
- calibrate: four fifths of them, and calibrated by ``calibrate`` on the others;
- early stopping: nine tenths of them, with ``early_stopping=True`` on the others.

Columns: number of held-out rows; coverage of 50, 80 and 95 % by µ ± z σ with a factor of 1, by µ ± z σ, and by
``predict_interval``; RMSE of the noise-free prediction divided by that of "all"; ``variance_factor_``; log predictive
density of the test rows (nats, in units of the standardized y) with the factor, and minus that with a factor of 1.
Differences and ratios are paired over the splits, ± standard error. The splits overlap, so the standard errors are
somewhat too small.
"""

import argparse
import warnings

import numpy as np
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from benchmarks.jobs import RESULTS, run
from benchmarks.std_after_schedule import SETS, splits
from skdropout import DropoutMLPRegressor

LEVELS = 0.5, 0.8, 0.95
NETWORK = {
    "hidden_layer_sizes": (50, 50),
    "dropout": 0.05,
    "batch_size": 64,
    "learning_rate": "cosine",
    "learning_rate_init": 0.005,
    "max_iter": 300,
}


def evaluate(model, X, y):
    """Return the figures of one network on the test rows."""
    covered, density = [], []
    factor = model.variance_factor_
    for model.variance_factor_ in (1.0, factor):
        mean, std = model.predict(X, return_std=True)
        covered.append([np.mean(np.abs(y - mean) <= norm.ppf((1 + level) / 2) * std) for level in LEVELS])
        density.append(model.log_predictive_density(X, y).mean())
    scores = model.conformity_scores_
    if scores is not None:
        ends = [model.predict_interval(X, level).T for level in LEVELS]
        covered.append([np.mean((lower <= y) & (y <= upper)) for lower, upper in ends])
    return {
        "n_rows": 0 if scores is None else len(scores),
        "covered": np.array(covered).tolist(),
        "rmse": np.sqrt(np.mean((model.predict(X) - y) ** 2)),
        "factor": factor,
        "density": density,
    }


def compare(name, split, n_splits):
    warnings.simplefilter("ignore", ConvergenceWarning)
    (X, y), test = list(splits(name, n_splits))[split]
    model = DropoutMLPRegressor(**NETWORK, random_state=split)
    records = {"all": evaluate(model.fit(X, y), *test)}
    X_fit, X_cal, y_fit, y_cal = train_test_split(X, y, test_size=0.2, random_state=split)
    records["calibrate"] = evaluate(model.fit(X_fit, y_fit).calibrate(X_cal, y_cal), *test)
    records["early stopping"] = evaluate(model.set_params(early_stopping=True).fit(X, y), *test)
    return records


def show(values):
    return f"{np.mean(values):.3f} ±{np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


def main(n_splits, n_jobs, path):
    keys = [(name, split, n_splits) for split in range(n_splits) for name in SETS]
    records = run({key: (compare, *key) for key in keys}, path, n_jobs, "intervals")
    for name in SETS:
        of_set = [records[key] for key in keys if key[0] == name]
        for arm in of_set[0]:
            found = [record[arm] for record in of_set]
            percent = 100 * np.array([record["covered"] for record in found])
            errors = percent.std(axis=0, ddof=1).max() / np.sqrt(n_splits)
            coverage = "   ".join(" / ".join(f"{p:3.0f}" for p in row) for row in percent.mean(axis=0))
            with_factor = np.array([record["density"] for record in found])
            ratio = [record[arm]["rmse"] / record["all"]["rmse"] for record in of_set]
            figures = [ratio, [r["factor"] for r in found], with_factor[:, 1], with_factor[:, 1] - with_factor[:, 0]]
            print(f"{name:9} {arm:15} {found[0]['n_rows']:4} {coverage:54} ±{errors:.1f}  ", *map(show, figures))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--resume", default=RESULTS / "intervals.jsonl")
    args = parser.parse_args()
    main(args.splits, args.jobs, args.resume)

"""Default dropout settings compared with no dropout: all other parameters at their defaults, no tuning.

    python -m benchmarks.defaults [--repeats 10] [--jobs 2] [--resume FILE]

Data sets and splits are those of `benchmarks.evidence`, without the sets of 5 000 images, plus scikit-learn's linnerud.
Inputs are scaled, regression targets are standardized, and duplicate rows are dropped. Networks have one hidden layer
of 100 units and train with Adam, batches of 200 rows, at most 200 epochs, no early stopping, in float32.

The first column is the mean score over the repeats with dropout=0 (RMSE in standard deviations of y). The other columns
are the ratios of the means to it; below 1 is better than no dropout. The last row is the geometric mean of the ratios
over the data sets. Its standard error comes from the variation of its logarithm over the repeats, and is somewhat too
small because the repeats overlap.
"""

import argparse
import warnings

import numpy as np
from sklearn.datasets import load_linnerud
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline

from benchmarks import jobs
from benchmarks.evidence import SETS, bundled, tables
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor, log_predictive_density_scorer

DATA = {name: data for name, data in SETS.items() if not name.endswith("5000")}
DATA |= tables("regression", bundled(load_linnerud), 200, 32)
NO_DROPOUT = (0.0, "constant")
CHOICES = {
    "classification": [NO_DROPOUT, (0.1, "constant"), (0.2, "constant"), (0.5, "constant"), (0.2, "flat_cos")],
    "regression": [NO_DROPOUT]
    + [(rate, schedule) for schedule in ("constant", "flat_cos", "annealed") for rate in (0.05, 0.1)]
    + [(0.2, "flat_cos"), (0.1, "early")],
}
SCORES = {"classification": ("error", "log loss"), "regression": ("RMSE",)}


def measure(name, repeat, choice):
    """Return the test scores and the number of epochs."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # 200 epochs are the default
    data = DATA[name]
    X_train, X_test, y_train, y_test = data.split(repeat)
    params = {"dropout": choice[0], "dropout_schedule": choice[1], "dtype": "float32", "random_state": repeat}
    if data.kind == "regression":
        center, scale = y_train.mean(axis=0), y_train.std(axis=0)
        model = make_pipeline(data.scaler, DropoutMLPRegressor(**params)).fit(X_train, (y_train - center) / scale)
        scores = [np.sqrt(np.mean((model.predict(X_test) - (y_test - center) / scale) ** 2))]
    else:
        model = make_pipeline(data.scaler, DropoutMLPClassifier(**params)).fit(X_train, y_train)
        log_loss = -log_predictive_density_scorer(model, X_test, y_test, n_samples=1, dropout=0)
        scores = [1 - model.score(X_test, y_test), log_loss]
    return [float(score) for score in scores], model[-1].n_iter_


def main(repeats, n_jobs, resume):
    todo = {
        (name, choice, repeat): (measure, name, repeat, choice)
        for repeat in range(repeats)
        for name, data in DATA.items()
        for choice in CHOICES[data.kind]
    }
    done = jobs.run(todo, resume, n_jobs, "defaults")
    for kind, choices in CHOICES.items():
        names = [name for name, data in DATA.items() if data.kind == kind]
        for i, score in enumerate(SCORES[kind]):
            table = np.array(
                [[[done[n, c, r][0][i] for r in range(repeats)] for c in choices] for n in names]
            )  # sets, choices, repeats
            print(f"\n{kind}, {score}\n{'':22}{'none':>8}" + "".join(f"{c[0]:>8g} {c[1]:9}" for c in choices[1:]))
            means = table.mean(axis=2)
            for name, row in zip(names, means, strict=True):
                print(f"{name:22}{row[0]:8.4f}" + "".join(f"{mean / row[0]:8.3f}{'':10}" for mean in row[1:]))
            log_ratio = np.log(means[:, 1:] / means[:, :1])
            # error of the mean over repeats, linearized: d log(mean) = d mean / mean
            relative = table / means[..., np.newaxis]
            error = (relative[:, 1:] - relative[:, :1]).mean(axis=0).std(axis=1, ddof=1) / np.sqrt(repeats)
            figures = zip(np.exp(log_ratio.mean(axis=0)), error, strict=True)
            print(f"{'geometric mean':22}{'':8}" + "".join(f"{ratio:8.3f} ± {e:.3f}  " for ratio, e in figures))
        epochs = [np.mean([done[n, c, r][1] for n in names for r in range(repeats)]) for c in choices]
        print("mean epochs: " + ", ".join(f"{c[0]:g} {c[1]} {e:.0f}" for c, e in zip(choices, epochs, strict=True)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2, dest="n_jobs")
    parser.add_argument("--resume", default="results/defaults.jsonl", help="file of finished fits")
    main(**vars(parser.parse_args()))

"""Test error under noise, missing features and wrong labels, with and without dropout.

    python -m benchmarks.robustness [--jobs 2] [--plot FILE.png]

The data are digits (1 437 training rows, 64-100-100-10) and MNIST with 1 000 training rows (784-256-256-10), pixels
from 0 to 1. Networks, cosine schedule, epochs and splits are those of benchmarks.evidence, with ten repeats. Noise and
missing features affect the test rows only: Gaussian noise with the given standard deviation is added to every pixel, or
a random fraction of the pixels of each image is set to the mean over the training rows. Wrong labels affect training
only: a random fraction of the labels, including those of validation rows, is changed to another class. Rates are fixed
in advance and nothing is tuned; dropout trains without early stopping. All networks of a repeat use the same rows,
noise and labels. Results are means with standard errors over the repeats.
"""

import argparse
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks import jobs
from benchmarks.evidence_data import SETS
from skdropout import DropoutMLPClassifier

NETS = {
    "no dropout": {"dropout": 0.0},
    "no dropout, early stopping": {"dropout": 0.0, "early_stopping": True, "scoring": "loss", "n_iter_no_change": 15},
    "dropout 0.5": {"dropout": 0.5},
    "dropout 0.5, input 0.2": {"dropout": 0.5, "input_dropout": 0.2},
}
LEVELS = {
    "noise": ("standard deviation of Gaussian noise on the pixels", [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
    "missing": ("fraction of pixels set to their mean", [0, 0.1, 0.25, 0.5, 0.75]),
    "labels": ("fraction of wrong training labels", [0, 0.1, 0.2, 0.3, 0.4]),
}


def errors(name, repeat, net):
    """Return {kind of corruption: test errors in percent at its levels}."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # intended
    data = SETS[name]
    X, X_test, y, y_test = data.split(repeat)
    settings = data.net | {"n_iter_no_change": np.inf, "dtype": "float32", "random_state": repeat}

    def fitted(y):
        return DropoutMLPClassifier(**settings | NETS[net]).fit(X, y)

    def error(model, X):
        return 100 * float(1 - model.score(X, y_test))

    rng = np.random.RandomState(repeat)
    noise, uniform, order = rng.standard_normal(X_test.shape), rng.uniform(size=X_test.shape), rng.permutation(len(y))
    wrong = (y + rng.randint(1, 10, len(y))) % 10
    clean, mean = fitted(y), X.mean(axis=0)
    return {
        "noise": [error(clean, X_test + std * noise) for std in LEVELS["noise"][1]],
        "missing": [error(clean, np.where(uniform < p, mean, X_test)) for p in LEVELS["missing"][1]],
        "labels": [error(fitted(np.where(order < p * len(y), wrong, y)), X_test) for p in LEVELS["labels"][1]],
    }


def main(n_jobs, file, names=("digits", "MNIST 1000"), repeats=10):
    todo = {(name, i, net): (errors, name, i, net) for i in range(repeats) for name in names for net in NETS}
    records = jobs.run(todo, jobs.RESULTS / "robustness.jsonl", n_jobs, "robustness")

    def curve(name, net, kind):
        scores = np.array([records[name, i, net][kind] for i in range(repeats)])
        return scores.mean(axis=0), scores.std(axis=0, ddof=1) / np.sqrt(repeats)

    for name in names:
        for kind, (title, levels) in LEVELS.items():
            print(f"\n{name}, test error %: {title}\n{'':26}" + "".join(f"{level:>15}" for level in levels))
            for net in NETS:
                cells = (f"{mean:.2f} ± {se:.2f}" for mean, se in zip(*curve(name, net, kind), strict=True))
                print(f"{net:26}" + "".join(f"{cell:>15}" for cell in cells))
    if file:
        plot(curve, names, file)


def plot(curve, names, file):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(names), 3, figsize=(12, 6.5), sharex="col", layout="constrained")
    for row, name in zip(axes, names, strict=True):
        for ax, (kind, (title, levels)) in zip(row, LEVELS.items(), strict=True):
            for net, style in zip(NETS, ("C7o-", "C7s--", "C0o-", "C3o-"), strict=True):
                mean, se = curve(name, net, kind)
                ax.errorbar(levels, mean, se, fmt=style[2:], color=style[:2], capsize=3, label=net)
            ax.set_ylim(bottom=0)
            ax.grid(alpha=0.3)
            ax.set_xlabel(title if name == names[-1] else "")
        row[0].set_ylabel(f"{name}: test error, %")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle("Test error under corruption, mean and standard error of ten repeats")
    figure.savefig(file, dpi=130)
    print(f"\nSaved the curves to {file}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--plot", metavar="FILE.png")
    args = parser.parse_args()
    main(args.jobs, args.plot)

"""MNIST, official split: the speed of a small network, and the test error of Srivastava et al.'s large one.

    python -m benchmarks.mnist [speed] [--seeds 3] [--epochs 10]
    python -m benchmarks.mnist choose [--epochs 15] [--jobs 2]
    python -m benchmarks.mnist full [--seeds 3] [--epochs 40] [--jobs 2] [--plot FILE.png]

"speed": networks are 784-256-256-10, trained with SGD, batches of 256 rows and ten epochs, with and without dropout and
with scikit-learn. For each seed the three networks are trained in turn, in an order that rotates with the seed, so that
a slowdown of the machine affects all of them. Accuracy is the mean over seeds with its standard error. Time is in
seconds per epoch; its ratio to scikit-learn is the median of the ratios within each seed.

"choose": the candidates of "full", trained on the first 50 000 training rows and compared on the other 10 000. Dropout
and no dropout have the same number of candidates.

"full": networks are 784-1024-1024-1024-10, trained with Adam on all training rows. The error and the log loss are those
of the last epoch, mean over seeds with standard error. The curves show the test error after each epoch. Nothing is
selected on the test rows. Srivastava et al. (2014, table 2) report 1.25 % for this network and 1.06 % with max-norm,
after up to a million updates.
"""

import argparse
import warnings
from time import perf_counter, process_time

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_info

from benchmarks import jobs
from benchmarks.data import load_mnist
from skdropout import DropoutMLPClassifier

SETTINGS = {
    "hidden_layer_sizes": (256, 256),
    "solver": "sgd",
    "learning_rate_init": 0.5,
    "momentum": 0.0,
    "batch_size": 256,
    "n_iter_no_change": np.inf,
}
MODELS = {
    "scikit-learn, no dropout": lambda **kw: MLPClassifier(**SETTINGS, **kw),
    "skdropout, no dropout": lambda **kw: DropoutMLPClassifier(**SETTINGS, dropout=0.0, **kw),
    "skdropout, 0.2 / 0.5": lambda **kw: DropoutMLPClassifier(**SETTINGS, dropout=(0.2, 0.5), **kw),
}

LARGE = {
    "hidden_layer_sizes": (1024, 1024, 1024),
    "learning_rate": "cosine",
    "batch_size": 200,
    "alpha": 0.0,
    "dropout_schedule": "constant",
    "dtype": "float32",
}
RECIPE = {"input_dropout": 0.2, "label_smoothing": 0.03}
NETWORKS = {
    "dropout 0.2": RECIPE | {"dropout": 0.2},
    "dropout 0.2, shared masks": RECIPE | {"dropout": 0.2, "mask_sharing": "batch"},
    "dropout 0.5, shared masks": RECIPE | {"dropout": 0.5, "mask_sharing": "batch"},
    "no dropout, smoothing 0.03": {"dropout": 0.0, "label_smoothing": 0.03},
    "no dropout, smoothing 0.1": {"dropout": 0.0, "label_smoothing": 0.1},
    "no dropout, smoothing 0.03, decay 1": {"dropout": 0.0, "label_smoothing": 0.03, "solver": "adamw", "alpha": 1.0},
    "dropout 0.5": RECIPE | {"dropout": 0.5},
}
CURVES = ["dropout 0.5"]  # one seed, for its curve only
CANDIDATES = [name for name in NETWORKS if name not in CURVES]
CHOSEN = ["dropout 0.2", "no dropout, smoothing 0.03, decay 1"]  # by "choose"
SRIVASTAVA = 1.25, 1.06  # test error in % without and with max-norm
SRIVASTAVA_UPDATES = 1_000_000


def speed(seeds, epochs):
    """Print accuracy and time of the small networks."""
    data = load_mnist()
    X_train, X_test = (X.astype(np.float32) / 255 for X in (data.X_train, data.X_test))
    names = list(MODELS)
    accuracy, seconds = {name: [] for name in names}, {name: [] for name in names}
    for seed in range(seeds):
        for name in names[seed % 3 :] + names[: seed % 3]:
            model = MODELS[name](max_iter=epochs, random_state=seed)
            start = perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # intended
                model.fit(X_train, data.y_train)
            seconds[name].append((perf_counter() - start) / epochs)
            accuracy[name].append(model.score(X_test, data.y_test))
    threads = {pool["internal_api"]: pool["num_threads"] for pool in threadpool_info()}
    print(f"{seeds} seeds, {epochs} epochs, float32, threads {threads}")
    print(f"{'':26} {'test accuracy':>18} {'s / epoch':>10} {'scikit-learn / time':>20}")
    for name in names:
        s = np.array(seconds[name])
        ratio = np.median(np.array(seconds[names[0]]) / s)
        print(f"{name:26} {summary(accuracy[name], 4):>18} {np.median(s):10.3f} {ratio:20.2f}")


def measure(name, seed, epochs, rows):
    """Train a candidate on all rows ("test"), or on 50 000 ("validation"), and return its scores on the other rows."""
    data = load_mnist()
    X, y = data.X_train.astype(np.float32) / 255, data.y_train
    if rows == "test":
        X_eval, y_eval = data.X_test.astype(np.float32) / 255, data.y_test
    else:
        X, X_eval, y, y_eval = X[:50_000], X[50_000:], y[:50_000], y[50_000:]
    model = DropoutMLPClassifier(**LARGE | NETWORKS[name], max_iter=epochs, random_state=seed)
    start = process_time()
    model.fit(X, y, X_val=X_eval, y_val=y_eval)  # records the curve
    seconds = process_time() - start
    proba = model.predict_proba(X_eval).astype(float)
    return {
        "error": 100 * (1 - model.score(X_eval, y_eval)),
        "log loss": log_loss(y_eval, proba / proba.sum(axis=1, keepdims=True)),
        "curve": [100 * (1 - score) for score in model.validation_scores_],
        "updates": epochs * -(-len(X) // LARGE["batch_size"]),
        "CPU seconds": seconds,
    }


def summary(values, digits):
    """Format the mean, with its standard error if there are several values."""
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.{digits}f}"


def run(todo, epochs, rows, n_jobs):
    """Train the (network, seed) pairs, print the scores of each network, and return {network: records}."""
    fits = {
        (*pair, epochs, rows, *sorted((LARGE | NETWORKS[pair[0]]).items())): (measure, *pair, epochs, rows)
        for pair in todo
    }
    done = jobs.run(fits, jobs.RESULTS / "mnist.jsonl", n_jobs, "mnist")
    records = {}
    for (name, *_), record in done.items():
        records.setdefault(name, []).append(record)
    minutes = sum(record["CPU seconds"] for record in done.values()) / 60
    print(f"{epochs} epochs, float32, {minutes:.0f} minutes of CPU in all")
    print(f"{'':36} {'seeds':>5} {f'{rows} error %':>18} {'log loss':>18} {'updates':>8} {'CPU s / epoch':>14}")
    for name, rs in records.items():
        cells = summary([r["error"] for r in rs], 3), summary([r["log loss"] for r in rs], 4)
        seconds = np.mean([r["CPU seconds"] for r in rs]) / epochs
        print(f"{name:36} {len(rs):5} {cells[0]:>18} {cells[1]:>18} {rs[0]['updates']:8} {seconds:14.1f}")
    return records


def choose(epochs, n_jobs):
    """Print the scores of all candidates on the validation rows."""
    run([(name, 0) for name in CANDIDATES], epochs, "validation", n_jobs)


def full(seeds, epochs, n_jobs, file):
    """Print test scores of the chosen candidates, and the curves of test error."""
    todo = [(name, seed) for name in CHOSEN for seed in range(seeds)] + [(name, 0) for name in CURVES]
    records = run(todo, epochs, "test", n_jobs)
    fraction = records[CHOSEN[0]][0]["updates"] / SRIVASTAVA_UPDATES
    print(f"\nSrivastava et al.: {SRIVASTAVA[0]} %, with max-norm {SRIVASTAVA[1]} %")
    print(f"fraction of their updates: {fraction:.1%}")
    for index, scores in enumerate(("error", "log loss")):
        difference = np.subtract(*([r[scores] for r in records[name]] for name in CHOSEN))
        print(f"{' - '.join(CHOSEN)}: {scores} {summary(difference, 3 + index)}")
    curves = {name: np.mean([r["curve"] for r in rs], axis=0) for name, rs in records.items()}
    shown = sorted({1, *range(5, epochs + 1, 5), epochs})
    print(f"\n{'test error % after epoch':36}" + "".join(f"{epoch:6}" for epoch in shown))
    for name, curve in curves.items():
        print(f"{name:36}" + "".join(f"{curve[epoch - 1]:6.2f}" for epoch in shown))
    if file:
        plot(curves, file)


def plot(curves, file):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for name, curve in curves.items():
        ax.plot(np.arange(1, len(curve) + 1), curve, label=f"{name} ({curve[-1]:.2f} %)")
    for error, label in zip(SRIVASTAVA, ("dropout", "dropout + max-norm"), strict=True):
        ax.axhline(error, color="gray", linewidth=0.8, linestyle=":")
        ax.text(0, error, f"Srivastava et al., {label}: {error} %", va="bottom", fontsize=8)
    ax.set(xlabel="epoch", ylabel="test error, %", ylim=(0.9, 2.5), title="MNIST, 784-1024-1024-1024-10")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=9)
    figure.savefig(file, dpi=110)
    print(f"\nSaved the figure to {file}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="?", choices=("speed", "choose", "full"), default="speed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="10 for speed, 15 for choose, 40 for full")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--plot", metavar="FILE.png")
    args = parser.parse_args()
    if args.part == "speed":
        speed(args.seeds, args.epochs or 10)
    elif args.part == "choose":
        choose(args.epochs or 15, args.jobs)
    else:
        full(args.seeds, args.epochs or 40, args.jobs, args.plot)

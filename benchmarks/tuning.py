"""Grid search of 6 candidates x 5 folds with one and two processes: skdropout, scikit-learn and skorch.

    python -m benchmarks.tuning [--rounds 3] [--data digits mnist] [--dtype float32 float64] [--all-threads]

The search is GridSearchCV with its default refit: over six dropout rates for skdropout and skorch, and over six values
of `alpha` for scikit-learn's MLPClassifier, which has no dropout. Network, epochs, batches, folds and dtype are the
same, without early stopping. Each process has one BLAS thread; ``--all-threads`` adds one process with all threads, the
default of n_jobs=None. Contestants and n_jobs alternate within each round. Times and ratios are medians over the
rounds, with the minimum in brackets. Efficiency is T1 / (2 T2), for the 30 fits alone, and with the refit, which runs
in one process (at most 0.96). loky's workers are started beforehand; the time to start them is printed. "!" marks a
missed target of the project: at most 0.8 of scikit-learn's time, and an efficiency of the fits of at least 0.9.

MNIST comes from OpenML, or from the folder SKDROPOUT_DATA. Needs PyTorch and skorch: ``pip install -e '.[bench]'``.
"""

import argparse
import warnings
from importlib import import_module
from time import perf_counter, sleep

import numpy as np
from joblib import Parallel, cpu_count, delayed, parallel_config
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier

from benchmarks.contestants import Workload, mlp_settings, skorch_net, torch_dtype
from benchmarks.data import load_mnist
from benchmarks.rounds import interleave
from benchmarks.speed import limited
from skdropout import DropoutMLPClassifier

RATES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
ALPHAS = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
N_JOBS = 2
TARGETS = {"time": 0.8, "efficiency": 0.9}


def digits():
    X, y = load_digits(return_X_y=True)
    return Workload((64, 128, 128, 10), (0.2, 0.2), "adam", 200, len(y), epochs=50), X / 16, y


def mnist():
    images = load_mnist()
    X, y = images.X_train[:5000].reshape(5000, -1) / 255, images.y_train[:5000].astype(np.int64)
    return Workload((784, 128, 128, 10), (0.2, 0.2), "adam", 200, len(y), epochs=10), X, y


DATA = {"digits": digits, "mnist": mnist}


def contestants(workload, dtype):
    """Return {name: (estimator, grid)}."""
    settings = mlp_settings(workload) | {"n_iter_no_change": workload.epochs}
    at_rates = [workload._replace(rates=(rate,) * len(workload.rates)) for rate in RATES]
    return {
        "skdropout": (DropoutMLPClassifier(**settings), {"dropout": RATES}),
        "scikit-learn": (MLPClassifier(**settings), {"alpha": ALPHAS}),
        "skorch": (skorch_net(workload, torch_dtype(dtype)), {"module__workload": at_rates}),
    }


def timed_search(estimator, grid, X, y, n_jobs, n_threads):
    """Return a function that runs the search and returns the seconds of the search and of its refit."""

    def run():
        search = GridSearchCV(estimator, grid, cv=5, n_jobs=n_jobs)
        with warnings.catch_warnings(), limited(n_threads), parallel_config("loky", inner_max_num_threads=1):
            warnings.simplefilter("ignore")
            start = perf_counter()
            search.fit(X, y)
            seconds = perf_counter() - start
        run.best_score = search.best_score_
        return seconds, search.refit_time_

    return run


def start_workers():
    """Start loky's workers, import the packages in each, and print the time."""
    for modules in (["skdropout"], ["benchmarks.contestants"]):
        start = perf_counter()
        with parallel_config("loky", inner_max_num_threads=1):
            Parallel(N_JOBS, batch_size=1)(delayed(_import)(modules) for _ in range(4 * N_JOBS))
        print(f"{N_JOBS} workers, time to import {', '.join(modules)}: {perf_counter() - start:.1f} s")


def _import(modules):
    for module in modules:
        import_module(module)
    sleep(0.05)  # otherwise a single worker could run all tasks


def report(name, dtype, runs, seconds):
    """Print the table of one data set and dtype."""
    print(f"\n{name}, {dtype}; seconds, median of rounds (minimum); ratio to scikit-learn, median (minimum)")
    for (who, n_jobs, n_threads), times in seconds.items():
        total, sklearn_total = times[:, 0], seconds["scikit-learn", n_jobs, n_threads][:, 0]
        line = f"{who:14} n_jobs={n_jobs}, {n_threads} BLAS thread(s) {_summary(total)}  / scikit-learn"
        line += _summary(total / sklearn_total, maximum=TARGETS["time"] if who == "skdropout" else np.inf)
        if n_jobs > 1:
            serial = seconds[who, 1, 1]
            with_refit = serial[:, 0] / (n_jobs * total)
            fits = (serial[:, 0] - serial[:, 1]) / (n_jobs * (total - times[:, 1]))
            missed = "!" if who == "skdropout" and np.median(fits) < TARGETS["efficiency"] else " "
            line += f"  efficiency{np.median(fits):6.2f}{missed}, with refit{np.median(with_refit):6.2f}"
        else:
            line += f"  accuracy {runs[who, n_jobs, n_threads].best_score:.4f}"
        print(line, flush=True)


def _summary(values, maximum=np.inf):
    return f"{np.median(values):7.2f}{'!' if np.median(values) > maximum else ' '}({np.min(values):.2f})"


def main(rounds, data, dtype, all_threads):
    modes = [(1, 1), (N_JOBS, 1)] + [(1, cpu_count())] * all_threads
    start_workers()
    for name in data:
        workload, X, y = DATA[name]()
        for kind in map(np.dtype, dtype):
            rows = X.astype(kind)
            runs = {
                (who, *mode): timed_search(estimator, grid, rows, y, *mode)
                for mode in modes
                for who, (estimator, grid) in contestants(workload, rows).items()
            }
            report(f"{name}, {'-'.join(map(str, workload.units))}", kind, runs, interleave(runs, rounds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", nargs="*", default=list(DATA), choices=list(DATA))
    parser.add_argument("--dtype", nargs="*", default=["float32", "float64"])
    parser.add_argument("--all-threads", action="store_true", help="also run one process with all BLAS threads")
    main(**vars(parser.parse_args()))

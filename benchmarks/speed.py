"""Speed of skdropout compared with PyTorch, skorch, scikit-learn without dropout, and the bare matrix products.

    python -m benchmarks.speed [--rounds 7] [--only W1 W6] [--who PyTorch] [--dtype float32] [--plot speed.png]

Training time is in seconds per epoch: the time of a fit from new weights divided by its epochs, with arrays and tensors
in memory. PyTorch runs in eager mode with a fused optimizer and indexed batches, or an EmbeddingBag for sparse rows,
the fastest method found. Contestants alternate within each round and use the same data, batch size and penalty; ratios
are medians of the ratios within rounds. Everything runs with one thread per core and with one thread; skdropout uses
helper threads, the others those of their BLAS. The data are random, because the time does not depend on them. With
float32, "!" marks a training ratio that misses the target of the project. Other processes distort the times:
``benchmarks.contention`` measures that.

Needs PyTorch and skorch: ``pip install -e '.[bench]'``.
"""

import argparse
import subprocess
import sys
import tracemalloc
import warnings
from time import perf_counter

import numpy as np
import torch
from joblib import cpu_count
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks.contestants import CONTESTANTS, WORKLOADS, TorchMLP, Workload, make_data, skdropout_mlp
from benchmarks.rounds import interleave, median_ratio
from benchmarks.single_row import single_row
from skdropout import DropoutMLPClassifier

warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")


def limited(n_threads):
    """Limit NumPy, SciPy, OpenMP and PyTorch to `n_threads` threads. PyTorch keeps the limit after the context.

    The limit of BLAS is also the maximum number of threads of a fit of skdropout.
    """
    torch.set_num_threads(n_threads)
    return threadpool_limits(n_threads)


# Columns of the table of ratios: heading, numerator, denominator, and a function for the minimum and maximum target
RATIOS = [
    ("PyTorch / skdropout", "PyTorch", "skdropout", lambda name, w: (w.targets[0], None)),
    ("skorch / skdropout", "skorch", "skdropout", lambda name, w: (None, None)),
    ("sklearn / skdropout", "scikit-learn, no dropout", "skdropout", lambda name, w: (w.targets[1], None)),
    ("bare / skdropout", "bare products", "skdropout", lambda name, w: (w.targets[2], None)),
    (
        "dropout / none",
        "skdropout",
        "skdropout, no dropout",
        lambda name, w: (None, 1.1 if name[:2] in ("W1", "W3") else None),
    ),
    (
        "batch mask / none",
        "skdropout, mask per batch",
        "skdropout, no dropout",
        lambda name, w: (None, w.batch_mask_targets and w.batch_mask_targets[0]),
    ),
    (
        "PyTorch / batch mask",
        "PyTorch",
        "skdropout, mask per batch",
        lambda name, w: (w.batch_mask_targets and w.batch_mask_targets[1], None),
    ),
]


def training(only, who, rounds, dtype):
    """Print the tables of training times and ratios, and return the seconds of every cell."""
    results = {}
    contestants = {name: prepare for name, prepare in CONTESTANTS.items() if not who or name.startswith(tuple(who))}
    for n_threads in dict.fromkeys((cpu_count(), 1)):
        with limited(n_threads):
            pools = {pool["internal_api"]: pool["num_threads"] for pool in threadpool_info()}
            print(
                f"\nTraining, {dtype.__name__}, threads {pools}, PyTorch {torch.get_num_threads()}; seconds per epoch"
            )
            print(f"{'':36}" + "".join(f"{name:>27}" for name in contestants))
            for name, workload in WORKLOADS.items():
                if only and not name.startswith(tuple(only)):
                    continue
                data = make_data(workload, dtype)
                runs = {who: prepare(workload, *data) for who, prepare in contestants.items()}
                runs = {who: run for who, run in runs.items() if run is not None}
                for run in runs.values():
                    run()
                results[name, n_threads] = seconds = interleave(runs, rounds)
                cells = (f"{np.median(seconds[who]):27.4f}" if who in seconds else f"{'':27}" for who in contestants)
                print(f"{name:36}" + "".join(cells), flush=True)
    print(f"\n{'Ratios, median of rounds; threads':38}" + "".join(f"{heading:>22}" for heading, *_ in RATIOS))
    for (name, n_threads), seconds in results.items():
        columns = RATIOS if dtype == np.float32 else [(*column[:3], lambda name, w: (None, None)) for column in RATIOS]
        print(f"{name:36}{n_threads:2}" + "".join(_cell(name, seconds, *column) for column in columns))
    return results


def _cell(name, seconds, heading, numerator, denominator, target):
    if numerator not in seconds or denominator not in seconds:
        return f"{'':22}"
    value, (minimum, maximum) = median_ratio(seconds[numerator], seconds[denominator]), target(name, WORKLOADS[name])
    missed = (minimum and value < minimum) or (maximum and value > maximum)
    return f"{value:21.2f}{'!' if missed else ' '}"


def plot(results, path):
    """Plot the time of each contestant divided by that of skdropout, with one panel per number of threads."""
    import matplotlib.pyplot as plt

    counts = sorted({n_threads for _, n_threads in results}, reverse=True)
    others = [who for who in CONTESTANTS if who != "skdropout" and any(who in s for s in results.values())]
    fig, axes = plt.subplots(len(counts), 1, figsize=(12, 4 * len(counts)), layout="constrained", squeeze=False)
    for ax, n_threads in zip(axes[:, 0], counts, strict=True):
        cells = {name: s for (name, n), s in results.items() if n == n_threads}
        for j, other in enumerate(others):
            positions = [
                i + (j - len(others) / 2 + 0.5) / (len(others) + 1) for i, s in enumerate(cells.values()) if other in s
            ]
            heights = [median_ratio(s[other], s["skdropout"]) for s in cells.values() if other in s]
            ax.bar(positions, heights, width=1 / (len(others) + 1), label=other)
        ax.axhline(1, color="black", linewidth=1)
        ax.set(yscale="log", ylabel="time / skdropout", title=f"{n_threads} thread{'s' if n_threads > 1 else ''}")
        ax.set_yticks([0.1, 0.25, 0.5, 1, 2, 5, 10], ["0.1", "0.25", "0.5", "1", "2", "5", "10"])
        ax.set_xticks(range(len(cells)), [name.replace(" ", "\n") for name in cells], fontsize="small")
        ax.grid(axis="y", alpha=0.3)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), ncols=len(others), loc="outside lower center")
    fig.savefig(path, dpi=120)


def prediction(rounds, n_rows=1_000_000):
    """Print the speed and memory of predict_proba on a million rows, for the network of W7."""
    workload = next(w for name, w in WORKLOADS.items() if name.startswith("W7"))
    clf = DropoutMLPClassifier(workload.units[1:-1], max_iter=1, random_state=0)
    clf.fit(*make_data(workload._replace(n_rows=2000), np.float32))
    X = np.random.default_rng(0).standard_normal((n_rows, workload.units[0])).astype(np.float32)
    tensor, model = torch.from_numpy(X), TorchMLP(workload, torch.float32).eval()

    def by_torch(rows):
        with torch.inference_mode():
            return torch.cat([torch.softmax(model(x), dim=1) for x in tensor.split(rows)])

    def timed(function, *args):
        def run():
            start = perf_counter()
            function(*args)
            return perf_counter() - start

        return run

    runs = {
        "skdropout": timed(clf.predict_proba, X),
        "PyTorch, all rows": timed(by_torch, n_rows),
        "PyTorch, blocks of 1 000 rows": timed(by_torch, 1000),
    }
    for n_threads in dict.fromkeys((cpu_count(), 1)):
        with limited(n_threads):
            seconds = interleave(runs, rounds)
        print(f"\npredict_proba, {n_rows} rows, 54-512-256-7, threads {n_threads}")
        for name, s in seconds.items():
            relative = median_ratio(s, seconds["skdropout"])
            print(f"{name:32} {n_rows / np.median(s):12.0f} rows / s, time / skdropout {relative:.2f}")
    tracemalloc.start()
    result = clf.predict_proba(X)
    peak = (tracemalloc.get_traced_memory()[1] - result.nbytes) / 2**20
    tracemalloc.stop()
    print(f"peak memory in addition to the result: {peak:.1f} MB")


def memory():
    """Print the peak memory of a fit in addition to its data, and the memory of the parameters."""
    print("\nPeak memory of fit in addition to the data, and memory of the parameters, MB")
    for name, workload in WORKLOADS.items():
        data = make_data(workload._replace(n_rows=4 * workload.batch_size), np.float32)
        n_params = sum((a + 1) * b for a, b in zip(workload.units, workload.units[1:], strict=False))
        peaks = []
        for params in ({}, {"mask_sharing": "batch"}):
            run = skdropout_mlp(workload._replace(epochs=1), *data, **params)
            tracemalloc.start()
            run()
            peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
            tracemalloc.stop()
        print(f"{name:36} {peaks[0]:8.1f}, mask per batch {peaks[1]:8.1f}, parameters {4 * n_params / 2**20:8.1f}")


def import_time(rounds):
    """Print the seconds to start Python and import the package."""

    def importing(module):
        def run():
            start = perf_counter()
            subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
            return perf_counter() - start

        return run

    seconds = interleave({m: importing(m) for m in ("sklearn.neural_network", "skdropout")}, 2 * rounds)
    medians = {module: f"{np.median(s):.3f} s" for module, s in seconds.items()}
    print(f"\nImport: {medians}, ratio {median_ratio(seconds['skdropout'], seconds['sklearn.neural_network']):.3f}")


def scaling(rounds):
    """Print how the time per epoch (per step for the batch size) scales: the slope on log axes."""
    base = Workload((100, 256, 256, 10), (0.5, 0.5), "adam", 128, 12_800)

    def deep(depth):
        return base._replace(units=(100, *[256] * depth, 10), rates=(0.5,) * depth)

    def sparse_rows(non_zeros):  # SGD, because Adam's updates of all weights do not depend on the non-zeros
        return Workload((20_000, 100, 20), (0.5,), "sgd", 200, 10_000, non_zeros=non_zeros)

    axes = {
        "rows": {n: base._replace(n_rows=n) for n in (6400, 12_800, 25_600, 51_200)},
        "width": {n: base._replace(units=(100, n, n, 10)) for n in (128, 256, 512, 1024)},
        "depth": {n: deep(n) for n in (2, 4, 8, 16)},
        "batch size": {n: base._replace(batch_size=n) for n in (32, 64, 128, 256, 512)},
        "non-zeros of sparse rows": {n: sparse_rows(n) for n in (50, 100, 200, 400, 800)},
    }
    print("\nScaling of seconds per epoch: slope on log axes, default threads")
    for axis, points in axes.items():
        runs = {n: skdropout_mlp(workload, *make_data(workload, np.float32)) for n, workload in points.items()}
        medians = {n: np.median(s) for n, s in interleave(runs, rounds).items()}
        slope = np.polyfit(np.log(list(medians)), np.log(list(medians.values())), 1)[0]
        print(f"{axis:26} slope {slope:5.2f}   " + ", ".join(f"{n}: {s:.3f} s" for n, s in medians.items()), flush=True)


def grid_search():
    """Print the seconds of a cross-validated grid of rates, with one process and with one per core."""
    X, y = make_data(next(iter(WORKLOADS.values()))._replace(n_rows=5000), np.float32)
    rates = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    seconds = {}
    for n_jobs in (1, cpu_count()):
        clf = DropoutMLPClassifier((256, 256), max_iter=10, random_state=0)
        start = perf_counter()
        GridSearchCV(clf, {"dropout": rates}, cv=3, n_jobs=n_jobs, refit=False).fit(X, y)
        seconds[n_jobs] = perf_counter() - start
    print(f"\nGridSearchCV of {len(rates)} rates x 3 folds, 784-256-256-10, 5 000 rows, seconds by n_jobs: {seconds}")


def main(rounds, only, who, dtype, path, sections):
    if "training" in sections:
        results = training(only, who and ["skdropout", *who], rounds, np.dtype(dtype).type)
        plot(results, path)
    if "prediction" in sections:
        prediction(min(rounds, 3))
    if "single_row" in sections:
        with limited(1):
            single_row(3 * rounds)
    if "memory" in sections:
        memory()
    if "import" in sections:
        import_time(rounds)
    if "scaling" in sections:
        scaling(min(rounds, 3))
    if "grid_search" in sections:
        grid_search()


if __name__ == "__main__":
    all_sections = ["training", "prediction", "single_row", "memory", "import", "scaling", "grid_search"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="*", default=[], help="prefixes of workload names")
    parser.add_argument("--who", nargs="*", default=[], help="prefixes of contestant names")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--plot", dest="path", default="speed.png")
    parser.add_argument("--sections", nargs="*", default=all_sections, choices=all_sections)
    main(**vars(parser.parse_args()))

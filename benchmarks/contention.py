"""Time of a fit while other processes occupy cores: skdropout, scikit-learn without dropout, and PyTorch.

    python -m benchmarks.contention [--rounds 7] [--only W1 digits] [--busy 0 1 2]

Times are in seconds per epoch: the time of a fit from new weights divided by its epochs, float32. skdropout runs with
the default number of threads and with one thread, the others with their default number. Contestants alternate within
each round; ratios are medians of the ratios within rounds. A busy process computes in one thread without end. "!" marks
a ratio that misses the target of the project.

PyTorch is optional.
"""

import argparse
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from time import sleep

import numpy as np
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks.contestants import WORKLOADS, Workload, make_data, pytorch, scikit_learn, skdropout_mlp, torch
from benchmarks.rounds import interleave, median_ratio

DIGITS = Workload((64, 100, 10), (0.2,), "adam", 200, 1797, epochs=20)
CASES = {name: w for name, w in WORKLOADS.items() if name.startswith(("W1", "W2", "W6", "W7"))} | {
    "digits 64-100-10 Adam b200": DIGITS
}
DEFAULT, ONE_THREAD, SKLEARN, PYTORCH = "skdropout", "one thread", "scikit-learn", "PyTorch"
# Columns of ratios: heading, numerator, denominator, and by number of busy processes the targets by workload prefix
RATIOS = [
    (
        "default / one thread",
        DEFAULT,
        ONE_THREAD,
        {
            0: {"W1": 1.05, "W2": 1.05, "W6": 1.05, "W7": 1.05, "digits": 1.05},
            1: {"W1": 1.3, "W2": 1.15, "W6": 1.15, "digits": 1.15},
        },
    ),
    ("sklearn / skdropout", SKLEARN, DEFAULT, {1: {"W2": 3}}),
    ("PyTorch / skdropout", PYTORCH, DEFAULT, {}),
]


@contextmanager
def busy_processes(n):
    """Run `n` processes that compute without end, and kill them at the end of the context."""
    processes = []
    try:
        for _ in range(n):
            processes.append(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
        sleep(0.5)  # wait until they have started
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


@contextmanager
def torch_threads(n_threads):
    """Set the number of PyTorch's threads."""
    previous = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(previous)


def with_threads(run, blas=None, pytorch=None):
    """Return a function that runs `run` with the given numbers of threads. None does not change a number."""

    def limited_run():
        with threadpool_limits(blas), nullcontext() if pytorch is None else torch_threads(pytorch):
            return run()

    return limited_run


def data(workload):
    if workload is not DIGITS:
        return make_data(workload, np.float32)
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


def contestants(workload):
    """Return the runs by name, after one run of each."""
    X, y = data(workload)
    ours = skdropout_mlp(workload, X, y)
    runs = {
        DEFAULT: with_threads(ours),
        ONE_THREAD: with_threads(ours, blas=1),
        SKLEARN: with_threads(scikit_learn(workload, X, y)),
    }
    if torch is not None:
        runs[PYTORCH] = with_threads(pytorch(workload, X, y), pytorch=torch.get_num_threads())
    for run in runs.values():
        run()
    return runs


def cell(name, n_busy, seconds, numerator, denominator, targets):
    """Return the text of a ratio. The time of one thread is in the denominator of a maximum, ours of a minimum."""
    if numerator not in seconds:
        return f"{'':21} "
    value = median_ratio(seconds[numerator], seconds[denominator])
    target = next((t for prefix, t in targets.get(n_busy, {}).items() if name.startswith(prefix)), None)
    missed = target is not None and (value > target if numerator == DEFAULT else value < target)
    return f"{value:21.2f}{'!' if missed else ' '}"


def main(rounds, only, busy):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the busy processes are killed
    cases = {name: w for name, w in CASES.items() if not only or name.startswith(tuple(only))}
    runs = {name: contestants(workload) for name, workload in cases.items()}
    pools = {pool["internal_api"]: pool["num_threads"] for pool in threadpool_info()}
    print(f"Default threads {pools}" + ("" if torch is None else f", PyTorch {torch.get_num_threads()}"))
    columns = [DEFAULT, ONE_THREAD, SKLEARN, *([] if torch is None else [PYTORCH])]
    for n_busy in busy:
        load = ", ".join(f"{average:.2f}" for average in os.getloadavg())
        print(f"\n{n_busy} busy processes; load averages before: {load}; seconds per epoch; ratios, median of rounds")
        headings = "".join(f"{who:>13}" for who in columns) + "".join(f"{heading:>21} " for heading, *_ in RATIOS)
        print(f"{'':30}{headings}")
        for name in cases:
            with busy_processes(n_busy):
                seconds = interleave(runs[name], rounds)
            times = "".join(f"{np.median(seconds[who]):13.4f}" for who in columns)
            ratios = "".join(cell(name, n_busy, seconds, *column) for _, *column in RATIOS)
            print(f"{name:30}{times}{ratios}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="*", default=[], help="prefixes of workload names")
    parser.add_argument("--busy", nargs="*", type=int, default=[0, 1, 2], help="numbers of busy processes")
    main(**vars(parser.parse_args()))

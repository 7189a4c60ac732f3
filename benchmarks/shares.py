"""Profile of a training step: the fraction of time of each part of the engine, on workloads of the speed benchmark.

    python -m benchmarks.shares [W1 W4 W6] [--threads 1] [--no-dropout] [--mask-per-batch]

Each part is wrapped in a stopwatch, which excludes the time of nested parts, and counts the thread of the fit only.
"wait" is the time of shared products after the backward pass. "rest" is the Python code of the training loop, including
the stopwatches.
"""

import argparse
from collections import Counter
from threading import current_thread, main_thread
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.contestants import WORKLOADS, make_data, skdropout_mlp
from skdropout.engine import backprop, layers, optimizers, penalty, thinned, training


class Stopwatch:
    """Exclusive time of wrapped methods by label, in seconds."""

    def __init__(self):
        self.seconds, self.running = Counter(), []

    def wrap(self, owner, name, label):
        original = getattr(owner, name)

        def timed(*args, **kwargs):
            if current_thread() is not main_thread():  # a helper of the engine
                return original(*args, **kwargs)
            start, is_nested = perf_counter(), len(self.running) > 0
            self.running.append(0.0)
            try:
                return original(*args, **kwargs)
            finally:
                elapsed = perf_counter() - start
                self.seconds[label] += elapsed - self.running.pop()
                if is_nested:
                    self.running[-1] += elapsed

        setattr(owner, name, timed)


def main(names, threads, no_dropout, mask_per_batch):
    watch = Stopwatch()
    for kind in (layers.Noise, layers.Affine, layers.Activate, layers.BatchNorm, thinned.ThinNoise, thinned.ThinAffine):
        for direction in ("forward", "backward"):
            watch.wrap(kind, direction, f"{kind.__name__}.{direction}")
    for kind in {*optimizers.OPTIMIZERS.values()}:
        watch.wrap(kind, "step", "optimizer")
    watch.wrap(backprop, "wait", "wait")
    watch.wrap(penalty.Penalty, "add", "penalty")
    watch.wrap(training.Batches, "_gather", "gather")
    watch.wrap(thinned.ThinNoise, "draw", "ThinNoise.draw")
    watch.wrap(backprop.Backprop, "data_loss_and_grad", "loss and output")
    for name in names:
        key = next(key for key in WORKLOADS if key.startswith(name))
        workload = WORKLOADS[key]
        X, y = make_data(workload, np.float32)
        params = ({"dropout": 0.0} if no_dropout else {}) | ({"mask_sharing": "batch"} if mask_per_batch else {})
        with threadpool_limits(threads):
            run = skdropout_mlp(workload, X, y, **params)
            run()
            watch.seconds.clear()
            total = sum(run() for _ in range(3)) / 3 * workload.epochs
        steps = -(-workload.n_rows // workload.batch_size) * workload.epochs
        seconds = {label: s / 3 for label, s in watch.seconds.items()}
        seconds["rest"] = total - sum(seconds.values())
        print(f"\n{key}, {1e6 * total / steps:.0f} µs per step, threads {threads}, {params}")
        for label, s in sorted(seconds.items(), key=lambda item: -item[1]):
            print(f"  {label:20} {s / total:6.1%} {1e6 * s / steps:9.1f} µs")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["W1", "W4", "W6"])
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--no-dropout", action="store_true")
    parser.add_argument("--mask-per-batch", action="store_true", help="use mask_sharing='batch'")
    main(**vars(parser.parse_args()))

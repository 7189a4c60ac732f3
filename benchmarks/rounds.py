"""Interleaved rounds of runs, which all benchmarks of time use."""

from time import sleep

import numpy as np


def interleave(runs, rounds):
    """Return the seconds of each run in each round, in a new random order per round."""
    rng, seconds = np.random.default_rng(0), {name: [] for name in runs}
    for _ in range(rounds):
        for name in map(list(runs).__getitem__, rng.permutation(len(runs))):
            sleep(0.2)  # wait until the BLAS threads of the last run stop spinning
            seconds[name].append(runs[name]())
    return {name: np.array(s) for name, s in seconds.items()}


def median_ratio(numerator, denominator):
    return np.median(numerator / denominator)

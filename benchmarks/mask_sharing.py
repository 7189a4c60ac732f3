"""One mask per row compared with one mask per mini-batch: test error or RMSE, with the same rows, seeds and batches.

    python -m benchmarks.mask_sharing [--jobs 2]

MNIST: all 60 000 rows with 20 epochs and ten seeds, and 5 000 rows with 40 epochs and ten subsets; 784-256-256-10,
Adam, batches of 100 rows, rate 0.5. Four UCI sets with their 20 official splits: 100-100, Adam, batches of 64 rows, 200
epochs, rates 0.1 and 0.5.
"""

import argparse

from benchmarks.kinds import compare, mnist_error, uci_rmse


def variants(rate):
    return {
        "mask per row": {"dropout": rate},
        "mask per batch": {"dropout": rate, "mask_sharing": "batch"},
        "no dropout": {"dropout": 0.0},
    }


def main(jobs):
    for n in (5000, 60_000):
        compare(f"MNIST {n}, error %, rate 0.5", mnist_error, n, variants(0.5), 10, jobs)
    for name in ("concrete", "energy", "wine", "yacht"):
        for rate in (0.1, 0.5):
            compare(f"{name}, RMSE, rate {rate}", uci_rmse, name, variants(rate), 20, jobs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    main(**vars(parser.parse_args()))

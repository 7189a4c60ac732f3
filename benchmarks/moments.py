"""Mean and variance of every dropout kind: measured, in theory, and for the modules of PyTorch if it is installed.

    python -m benchmarks.moments [--draws 1000000]

Each kind is applied to ones and to N(0, 1) numbers. PyTorch has no Gaussian dropout; the comparison is the formula of
Keras' GaussianDropout(rate), which multiplies by N(1, rate / (1 - rate)). z is the difference from theory in standard
errors.
"""

import argparse

import numpy as np

from skdropout.engine.dropout import DROPOUTS

try:
    import torch
except ImportError:
    torch = None

GROUPS = np.arange(4) // 2


def torch_module(kind, rate):
    """Return PyTorch's dropout as a function of an (n, 4) array, or None if there is none."""
    if torch is None or kind == "gaussian":
        return None
    if kind == "spatial":  # two channels with two units each
        module = torch.nn.Dropout1d(rate)
        return lambda x: module(torch.from_numpy(x).reshape(-1, 2, 2)).reshape(-1, 4).numpy()
    module = {"bernoulli": torch.nn.Dropout, "alpha": torch.nn.AlphaDropout}[kind](rate)
    return lambda x: module(torch.from_numpy(x)).numpy()


def keras_gaussian(rate):
    rng = np.random.default_rng(2)
    return lambda x: x * rng.normal(1, np.sqrt(rate / (1 - rate)), x.shape)


def describe(y, mean, variance, copies):
    """Format mean and variance with their z; groups of `copies` numbers share their noise."""
    n, squared_deviations = y.size / copies, (y - mean) ** 2
    z_mean = (y.mean() - mean) / np.sqrt(max(variance, 1e-30) / n)
    z_variance = (squared_deviations.mean() - variance) / max(squared_deviations.std() / np.sqrt(n), 1e-6)
    return f"{y.mean():8.4f} ({z_mean:+4.1f})  {squared_deviations.mean():8.4f} ({z_variance:+4.1f})"


def main(draws):
    noise = np.random.Generator(np.random.SFC64(0))
    if torch is not None:
        torch.manual_seed(0)
    inputs = {"ones": np.ones((draws // 4, 4)), "N(0, 1)": np.random.default_rng(1).normal(size=(draws // 4, 4))}
    print(f"{draws} draws; mean (z) and variance (z); PyTorch {torch.__version__ if torch else 'is not installed'}")
    print(f"{'kind':10} {'rate':>5} {'input':>8} | {'theory':>18} | {'skdropout':>32} | PyTorch, or Keras' formula")
    for kind, rate, (name, x) in ((k, r, i) for k in DROPOUTS for r in (0.1, 0.5, 0.8) for i in inputs.items()):
        dropout = DROPOUTS[kind](rate, np.float64, GROUPS)
        means = dropout.mean(x)  # law of total variance over x and the noise
        mean, variance = means.mean(), dropout.variance(x).mean() + means.var()
        reference = keras_gaussian(rate) if kind == "gaussian" else torch_module(kind, rate)
        copies = 2 if kind == "spatial" else 1  # units of a group share their noise
        y = dropout.forward(x, noise)
        print(
            f"{kind:10} {rate:5} {name:>8} | {mean:8.4f}  {variance:8.4f} | {describe(y, mean, variance, copies)} | "
            + (describe(reference(x), mean, variance, copies) if reference else "")
        )
    if torch is not None:
        print("\nalpha at 0.5 on ones, its two values:")
        print("  skdropout", np.unique(DROPOUTS["alpha"](0.5, np.float64).forward(np.ones((99, 1)), noise)))
        print("  PyTorch  ", np.unique(torch.nn.AlphaDropout(0.5)(torch.ones(99, dtype=torch.float64)).numpy()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1_000_000)
    main(**vars(parser.parse_args()))

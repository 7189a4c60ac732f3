"""Machine-independent costs of a training step: allocated bytes, passes over arrays, and random words."""

import tracemalloc
from functools import partial

import numpy as np
import pytest

from skdropout.engine import activations, buffers, layers, optimizers, penalty, thinned
from skdropout.engine.backprop import Backprop
from skdropout.engine.buffers import CHUNK
from skdropout.engine.dropout import base
from skdropout.engine.initializers import initialize
from skdropout.engine.layers import LayerSpec
from skdropout.engine.optimizers import SGD, Adam
from skdropout.engine.params import Params
from skdropout.engine.penalty import Penalty

pytestmark = pytest.mark.slow

BATCH, WIDTH = 256, 400


class CountingArray(np.ndarray):
    """An array that counts the elements that elementwise functions write; matrix products are not passes."""

    written = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        def plain(a):
            return a.view(np.ndarray) if isinstance(a, CountingArray) else a

        if out:
            kwargs["out"] = tuple(map(plain, out))
        result = getattr(ufunc, method)(*map(plain, inputs), **kwargs)
        if ufunc.signature is None:
            CountingArray.written += result.size
        return out[0] if out else result


class CountingNumpy:
    """NumPy with an `empty` that returns counting arrays."""

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, *args):
        return np.empty(*args).view(CountingArray)


class CountingStream:
    """A random stream that counts its 64-bit draws."""

    def __init__(self):
        self.source, self.drawn = np.random.SFC64(0), 0
        self.bit_generator = self

    def random_raw(self, size):
        self.drawn += size
        return self.source.random_raw(size)


def make_backprop(rate, mask_sharing="sample", batch_norm=None):
    params = Params((WIDTH, WIDTH, WIDTH, 1), np.float32, normed=bool(batch_norm))
    initialize(params, ["relu"] * 3, np.random.RandomState(0))
    specs = [LayerSpec(WIDTH, "relu"), LayerSpec(WIDTH, "relu", rate=rate), LayerSpec(1, "identity", rate=rate)]
    moments = [(np.zeros(WIDTH), np.ones(WIDTH), np.zeros(())) for _ in range(2)]
    options = {"mask_sharing": mask_sharing, "batch_norm": batch_norm, "moments": moments}
    return Backprop(params, specs, "squared_error", BATCH, alpha=1e-4, **options)


ROWS = np.ones((BATCH, WIDTH), np.float32), np.ones((BATCH, 1), np.float32), None
UNITS = 2 * BATCH * WIDTH


def peak_memory(function):
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    ("options", "maximum"),
    [
        ({"rate": 0.0}, 0.25),
        ({"rate": 0.3}, 1.1),  # two bytes of random words per unit, one layer at a time
        ({"rate": 0.25}, 0.6),  # one byte
        ({"rate": 0.5}, 1.2),  # a new mask, one byte per unit, which both layers keep until the backward pass
        ({"rate": 0.5, "mask_sharing": "batch"}, 0.3),
        ({"rate": 0.5, "batch_norm": "after_dropout"}, 1.25),
    ],
    ids=str,
)
def test_bytes_allocated_per_step(options, maximum):
    backprop = make_backprop(**options)
    rng = np.random.Generator(np.random.SFC64(0))
    params, gradient = backprop.params.vector, backprop.gradient
    optimizer = Adam(params.size, np.float32, 1e-3, 0.9, 0.999, 1e-8)
    for _ in range(30):  # the buffers of thinned layers grow to the largest number of kept units
        backprop.data_loss_and_grad(*ROWS, rng)
    assert peak_memory(lambda: backprop.data_loss_and_grad(*ROWS, rng)) / UNITS < maximum
    optimizer.step(params, gradient)
    assert peak_memory(lambda: optimizer.step(params, gradient)) < CHUNK * 4 + 10_000
    assert peak_memory(lambda: backprop.add_penalty(1.0)) < CHUNK * 4 + 10_000


@pytest.mark.parametrize(
    ("options", "n_bits"),
    [
        ({"rate": 0.0}, 0),
        ({"rate": 0.3}, 16 * UNITS),  # per unit and row
        ({"rate": 0.25}, 8 * UNITS),
        ({"rate": 0.5}, UNITS),
        ({"rate": 0.3, "mask_sharing": "batch"}, 16 * 2 * WIDTH),  # per unit
        ({"rate": 0.5, "mask_sharing": "batch"}, 2 * 448),  # 400, rounded up to whole draws
    ],
    ids=str,
)
def test_random_bits_drawn_per_step(options, n_bits):
    backprop, rng = make_backprop(**options), CountingStream()
    backprop.data_loss_and_grad(*ROWS, rng)
    assert 64 * rng.drawn == n_bits


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({"rate": 0.0}, 4),  # bias, ReLU, its derivative, product with the derivative
        ({"rate": 0.3}, 8),  # and mask, product with the mask, scale, forward and backward
        ({"rate": 0.5}, 7),  # the mask is unpacked from bits, which is no ufunc
        ({"rate": 0.5, "mask_sharing": "batch"}, 4 * 0.5 + 2 * 0.5),  # half of the units; scale without a mask
    ],
    ids=str,
)
def test_passes_over_units_per_step(options, passes, monkeypatch):
    for module in (layers, thinned, buffers, base, activations):
        monkeypatch.setattr(module, "np", CountingNumpy())
    backprop, rng = make_backprop(**options), np.random.Generator(np.random.SFC64(0))
    CountingArray.written = 0
    backprop.data_loss_and_grad(*ROWS, rng)
    assert CountingArray.written / UNITS == pytest.approx(passes, rel=0.15 if "mask_sharing" in options else 0.01)


def count_blas_passes(monkeypatch):
    """Count the elements that ``axpy`` writes, in one pass."""

    def axpy(a, x, y):
        CountingArray.written += y.size
        buffers.axpy(a, x, y)

    for module in (optimizers, penalty):
        monkeypatch.setattr(module, "axpy", axpy)


@pytest.mark.parametrize(
    ("optimizer", "passes"),
    [
        (lambda n: SGD(n, float, 0.1, 0.0, True), 1),  # w
        (lambda n: SGD(n, float, 0.1, 0.9, False), 3),  # decay of v, v, w
        (lambda n: SGD(n, float, 0.1, 0.9, True), 4),  # and w by the gradient
        (lambda n: Adam(n, float, 0.1, 0.9, 0.999, 1e-8), 7),  # m, g², v, √v, + ε, m / √v, w; no decay of m and v
        (lambda n: Adam(n, float, 0.1, 0.0, 0.0, 1e-8), 9),  # and decay of m and v, whose scales are too small
    ],
    ids=["sgd", "momentum", "nesterov", "adam", "adam without memory"],
)
@pytest.mark.parametrize(
    ("l1_ratio", "penalty_passes"),
    [
        (None, 0),
        (0.0, 1),  # gradient
        (1.0, 2),  # sign, gradient
        (0.5, 3),  # both
    ],
)
def test_passes_over_parameters_per_step(optimizer, passes, l1_ratio, penalty_passes, monkeypatch):
    size = 2 * CHUNK + 1000
    monkeypatch.setattr(optimizers, "np", CountingNumpy())
    monkeypatch.setattr(buffers, "np", CountingNumpy())  # of the scratch buffer
    count_blas_passes(monkeypatch)
    optimizer = optimizer(size)
    for name, value in vars(optimizer).items():
        if isinstance(value, np.ndarray):
            setattr(optimizer, name, value.view(CountingArray))
    params, gradient = (np.ones(size).view(CountingArray) for _ in range(2))
    arguments = [] if l1_ratio is None else [partial(Penalty(0.1, l1_ratio, size).add, params, gradient, 1.0)]
    CountingArray.written = 0
    optimizer.step(params, gradient, *arguments)
    # the check for finite values writes one number per chunk
    assert round(CountingArray.written / size, 3) == passes + penalty_passes

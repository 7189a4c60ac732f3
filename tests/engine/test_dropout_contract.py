"""The contract of engine/dropout/base.py for all kinds in DROPOUTS. Thresholds are five sigma."""

import numpy as np
import pytest
from helpers import stream
from scipy import sparse

from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.dropout.alpha import SATURATION, Alpha
from skdropout.engine.dropout.base import KeepMask, Multiplicative
from skdropout.engine.dropout.bernoulli import Bernoulli
from skdropout.engine.dropout.gaussian import Gaussian
from skdropout.engine.dropout.spatial import Spatial

RATES = [1e-5, 0.05, 0.2, 0.5, 0.9, 0.99999]
DTYPES = [np.float32, np.float64]
cases = pytest.mark.parametrize("kind", DROPOUTS), pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)


def every_kind(test):
    """Parametrize a test over all kinds and dtypes."""
    for case in cases:
        test = case(test)
    return test


class Untouchable:
    """A generator that raises when used."""

    def __getattr__(self, name):
        raise AssertionError(f"used {name} of the wrong generator")


def within_five_sigma(sample, expected, variance):
    """Compare the column means of `sample` (draws, elements) with `expected`."""
    sigma = np.sqrt(np.asarray(variance, float) / len(sample))
    rounding = 1e-6 * np.abs(sample).max()  # for variances close to 0
    np.testing.assert_array_less(np.abs(sample.mean(0, dtype=float) - expected), 5 * sigma + rounding)


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.9])
@every_kind
def test_mean_and_variance(kind, dtype, rate):
    x = np.array([-2.0, -0.5, 0.0, 1.0, 3.0], dtype)
    dropout = DROPOUTS[kind](rate, dtype)
    n = 100_000
    y = dropout.forward(np.tile(x, (n, 1)), stream()).astype(float)
    mean, variance = dropout.mean(x.astype(float)), dropout.variance(x.astype(float))
    within_five_sigma(y, mean, variance)
    squares = (y - mean) ** 2
    within_five_sigma(squares, variance, squares.var(0))


@every_kind
def test_forward_does_not_modify_or_alias_input(kind, dtype):
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(dtype)
    kept = x.copy()
    y = DROPOUTS[kind](0.5, dtype).forward(x, stream())
    np.testing.assert_array_equal(x, kept)
    assert y.dtype == dtype
    assert y.shape == x.shape
    assert not np.shares_memory(x, y)


@pytest.mark.parametrize("rate", RATES)
@every_kind
def test_backward_is_vector_jacobian_product(kind, dtype, rate):
    rng = np.random.default_rng(0)
    dropout = DROPOUTS[kind](rate, np.float64)
    for n in (8, 5, 8):  # including a short batch
        x, d, h = rng.normal(size=(n, 3)), rng.normal(size=(n, 3)), 1e-6
        seed = int(rng.integers(1000))
        plus = dropout.forward(x + h * d, stream(seed)).copy()
        minus = dropout.forward(x - h * d, stream(seed)).copy()
        v = rng.normal(size=(n, 3))
        product = np.sum(v * (plus - minus)) / (2 * h)
        assert np.sum(dropout.backward(v.copy()) * d) == pytest.approx(product, rel=1e-6, abs=1e-6)


@every_kind
def test_noise_of_rows_columns_and_calls_is_independent(kind, dtype):
    n = 20_000
    dropout = DROPOUTS[kind](0.3, dtype)
    x, rng = np.ones((n, 4), dtype), stream()
    first = dropout.forward(x, rng).astype(float)
    second = dropout.forward(x, rng).astype(float)
    pairs = [(first[:, i], first[:, j]) for i in range(4) for j in range(i)]  # columns, which share a 64-bit draw
    pairs += [(first[:-1, 0], first[1:, 0]), (first[:, 0], second[:, 0])]  # rows and calls
    for a, b in pairs:
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(len(a))


@every_kind
def test_noise_comes_only_from_rng(kind, dtype):
    x = np.ones((50, 3), dtype)
    np.random.seed(0)
    first = DROPOUTS[kind](0.5, dtype).forward(x, stream(1)).copy()
    np.random.seed(1)
    dropout = DROPOUTS[kind](0.5, dtype)
    np.testing.assert_array_equal(dropout.forward(x, stream(1)), first)
    assert not np.array_equal(dropout.forward(x, stream(2)), first)
    with pytest.raises(AssertionError, match="wrong generator"):
        dropout.forward(x, Untouchable())


@every_kind
def test_short_batch_draws_only_for_its_elements(kind, dtype):
    dropout, fresh = DROPOUTS[kind](0.5, dtype), DROPOUTS[kind](0.5, dtype)
    x = np.random.default_rng(0).normal(size=(9, 5)).astype(dtype)
    dropout.forward(x, stream(0))
    np.testing.assert_array_equal(dropout.forward(x[:4], stream(3)), fresh.forward(x[:4], stream(3)))


@pytest.mark.parametrize("rate", RATES)
@every_kind
def test_extreme_rates_give_finite_output(kind, dtype, rate):
    y = DROPOUTS[kind](rate, dtype).forward(np.ones((100, 100), dtype), stream())
    assert np.isfinite(y).all()


@pytest.mark.parametrize("rate", RATES)
def test_bernoulli_is_zero_or_scaled(rate):
    dropout = Bernoulli(rate, np.float64)
    x = np.linspace(-3, 3, 100_000)[:, np.newaxis]
    y = dropout.forward(x, stream())
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] * dropout.scale, rtol=1e-15)
    rounded = 1 - 1 / dropout.scale
    assert rounded == pytest.approx(rate, abs=2**-16)
    assert 0 < rounded < 1
    assert abs(np.mean(~kept) - rounded) < 5 * np.sqrt(rounded * (1 - rounded) / x.size) + 1e-12


def test_bernoulli_mean_is_exact_for_rounded_rate():
    for rate in (0.1, 0.2, 0.3, 0.7):
        dropout = Bernoulli(rate, np.float64)
        assert (2**16 - dropout.keep.threshold) / 2**16 * dropout.scale == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize(
    ("rate", "dtype", "n_dropped"),
    [(0.25, np.uint8, 2**14), (0.3, np.uint16, 19661), (3 / 256, np.uint8, 768), (1 / 2**16, np.uint16, 1)],
)
def test_bernoulli_threshold_is_exact(rate, dtype, n_dropped):
    class Words:
        """A generator that returns each word of 8 or 16 bits equally often."""

        bit_generator = property(lambda self: self)

        def random_raw(self, size):
            return np.arange(2**16).astype(dtype).view(np.uint64)[:size]

    y = Bernoulli(rate, np.float64).forward(np.ones((2**16, 1)), Words())
    assert np.count_nonzero(y == 0) == n_dropped  # exactly this fraction of all words
    assert y.mean() == pytest.approx(1, rel=1e-12)


def test_bits_of_the_stream_are_the_mask_at_rate_half():
    raw = stream(0).bit_generator.random_raw(3)
    expected = [bool(byte >> (7 - bit) & 1) for byte in raw.tobytes() for bit in range(8)]
    np.testing.assert_array_equal(Bernoulli(0.5, float).sample(np.empty(150), stream(0)), expected[:150])


@pytest.mark.parametrize(("rate", "n_draws"), [(0.5, 11), (0.25, 88), (0.2, 175)])
def test_mask_takes_1_byte_and_1_8_or_16_random_bits_per_unit(rate, n_draws):
    class Counter:
        drawn = 0
        bit_generator = property(lambda self: self)

        def random_raw(self, size):
            self.drawn += size
            return np.zeros(size, np.uint64)

    rng, dropout = Counter(), Bernoulli(rate, np.float32)
    dropout.forward(np.ones((100, 7), np.float32), rng)
    assert rng.drawn == n_draws
    assert dropout.noise.dtype.itemsize == 1
    assert dropout.noise.shape == (100, 7)


def test_mean_check_detects_biased_mask():
    biased = Bernoulli(0.2, np.float64)
    biased.scale *= 1.01
    y = biased.forward(np.ones((100_000, 1)), stream())
    with pytest.raises(AssertionError):
        within_five_sigma(y, np.ones(1), biased.variance(np.ones(1)))


@every_kind
def test_rate_can_change_between_forward_calls(kind, dtype):
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(dtype)
    changed, fresh = DROPOUTS[kind](0.1, dtype), DROPOUTS[kind](0.6, dtype)
    changed.forward(x, stream())
    changed.set_rate(0.6)
    np.testing.assert_array_equal(changed.forward(x, stream(3)), fresh.forward(x, stream(3)))
    d = np.ones_like(x)
    np.testing.assert_array_equal(changed.backward(d.copy()), fresh.backward(d.copy()))


@pytest.mark.parametrize("kind", [name for name, kind in DROPOUTS.items() if issubclass(kind, Multiplicative)])
def test_sparse_input_gets_noise_on_stored_values(kind):
    x = sparse.random_array((2000, 6), density=0.4, format="csr", random_state=np.random.default_rng(0))
    kept = x.copy()
    dropout = DROPOUTS[kind](0.5, np.float64)
    y = dropout.forward(x, stream())
    np.testing.assert_array_equal(x.toarray(), kept.toarray())
    np.testing.assert_array_equal(y.indices, x.indices)
    ratio = (y.data / x.data)[:, np.newaxis]
    within_five_sigma(ratio, np.ones(1), dropout.variance(np.ones(1)))


# Single kinds


@pytest.mark.parametrize(("rate", "sigma"), [(0.1, 1 / 3), (0.2, 0.5), (0.25, 0.577350269189626), (0.5, 1), (0.8, 2)])
def test_gaussian_std_and_variance_match_bernoulli(rate, sigma):
    assert Gaussian(rate, np.float64).std == pytest.approx(sigma, rel=1e-15)
    x = np.array([-1.0, 0.5, 2.0])
    variances = [kind(rate, np.float64).variance(x) for kind in (Gaussian, Bernoulli)]
    np.testing.assert_allclose(*variances, rtol=2e-4)  # Bernoulli's rate is rounded to 2⁻¹⁶


# rate, a, b, output of a kept unit with input 1, output of a dropped unit
ALPHA_VALUES = [
    (0.05, 0.954844476005031, 0.083935572193810, 1.038780048198841, -1.594775871682393),
    (0.1, 0.921284516149712, 0.161970970057570, 1.083255486207282, -1.457738730518132),
    (0.2, 0.878903583443533, 0.309039962144094, 1.187943545587627, -1.236159848576378),
    (0.3, 0.860952616246356, 0.454092068137063, 1.315044684383419, -1.059548158986480),
    (0.5, 0.886404894665932, 0.779193930518032, 1.665598825183964, -0.779193930518032),
    (0.8, 1.199912156120735, 1.687651816600495, 2.887563972721231, -0.421912954150124),
]


@pytest.mark.parametrize(("rate", "a", "b", "kept", "dropped"), ALPHA_VALUES)
def test_alpha_constants(rate, a, b, kept, dropped, monkeypatch):
    rounding = {"abs": 4e-5 if rate != 0.5 else 1e-11}  # the rate is rounded to 2⁻¹⁶
    dropout = Alpha(rate, np.float64)
    assert (dropout.a, dropout.b) == (pytest.approx(a, **rounding), pytest.approx(b, **rounding))
    values = np.unique(dropout.forward(np.ones((1000, 1)), stream()).round(12))
    assert values == pytest.approx([dropped, kept], **rounding)


def test_alpha_saturation_is_selu_limit():
    from skdropout.engine.activations import selu

    z = np.array([-1e3])
    selu(z)
    assert z[0] == pytest.approx(SATURATION, rel=1e-15)


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.8])
def test_alpha_preserves_zero_mean_and_unit_variance(rate):
    dropout, x = Alpha(rate, np.float64), stream(1).standard_normal((1_000_000, 1))
    y = dropout.forward(x, stream(2))
    assert abs(y.mean()) < 5 / 1000
    assert abs(y.var() - 1) < 5 * np.sqrt(np.var((y - y.mean()) ** 2)) / 1000
    # exact: E mean(x) = 0 and E variance(x) + Var mean(x) = 1 for E x = 0 and E x² = 1
    p = dropout.keep.rate
    assert dropout.a * p * SATURATION + dropout.b == pytest.approx(0, abs=1e-15)
    assert dropout.a**2 * ((1 - p) ** 2 + p * (1 - p) * (1 + SATURATION**2)) == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize(
    ("mean", "variance", "expected"), [(0.5, 1, (0.3516, 1.2482)), (0, 4, (0, 2.8539)), (1, 0.25, (0.7031, 1.0947))]
)
def test_alpha_moments_with_other_input_moments(mean, variance, expected):
    """Mean and variance of the output at rate 0.2, for an input of two equally likely values."""
    dropout = Alpha(0.2, np.float64)
    x = mean + np.sqrt(variance) * np.array([-1, 1])
    got = dropout.mean(x).mean(), dropout.variance(x).mean() + dropout.mean(x).var()
    assert got == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_spatial_drops_whole_groups_independently(container):
    groups = np.array([2, 0, 0, 1, 2, 1])
    dropout = Spatial(0.4, np.float64, groups)
    y = dropout.forward(container(np.ones((20_000, 6))), stream())
    y = y.toarray() if sparse.issparse(y) else y
    for group in range(3):
        members = y[:, groups == group]
        np.testing.assert_array_equal(members[:, 0], members[:, 1])
    a, b, c = (y[:, np.flatnonzero(groups == g)[0]] for g in range(3))
    for u, v in ((a, b), (a, c), (b, c)):
        assert abs(np.corrcoef(u, v)[0, 1]) < 5 / np.sqrt(len(u))
    d = dropout.backward(np.ones((20_000, 6)) if not sparse.issparse(container(np.eye(2))) else np.ones(120_000))
    np.testing.assert_array_equal(d.reshape(y.shape), y)


def test_spatial_without_groups_is_bernoulli():
    x = np.random.default_rng(0).normal(size=(50, 7))
    a, b = (kind(0.3, np.float64).forward(x, stream(4)) for kind in (Spatial, Bernoulli))
    np.testing.assert_array_equal(a, b)


def test_one_hot_rows_are_dropped_equally_often_with_groups():
    """Each row of a one-hot group has one nonzero column, so dropping this column or the group is the same."""
    x = np.eye(3)[np.random.default_rng(0).integers(3, size=30_000)]
    dropped = [
        np.mean(kind.forward(x, stream(s)).sum(1) == 0)
        for s, kind in enumerate((Spatial(0.3, float, np.zeros(3, int)), Spatial(0.3, float)))
    ]
    assert abs(dropped[0] - dropped[1]) < 5 * np.sqrt(2 * 0.3 * 0.7 / 30_000)


def test_rate_is_never_rounded_to_0_or_1():
    mask = KeepMask()
    mask.set_rate(1e-9)
    assert 0 < mask.rate < 1e-4
    mask.set_rate(1 - 1e-9)
    assert 1 - 1e-4 < mask.rate < 1

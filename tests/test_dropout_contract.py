"""The contract of engine/dropout/base.py, put to every line of DROPOUTS. Thresholds are five sigma."""

import numpy as np
import pytest

from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.dropout.bernoulli import Bernoulli

RATES = [1e-5, 0.05, 0.2, 0.5, 0.9, 0.99999]
DTYPES = [np.float32, np.float64]
cases = pytest.mark.parametrize("kind", DROPOUTS), pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)


def every_kind(test):
    for case in cases:
        test = case(test)
    return test


def stream(seed=0):
    return np.random.Generator(np.random.SFC64(seed))


class Untouchable:
    """A generator that must not be used."""

    def __getattr__(self, name):
        raise AssertionError(f"drew {name} from the wrong generator")


def within_five_sigma(sample, expected, variance):
    """Compare the column means of `sample` (draws, elements) with `expected`."""
    sigma = np.sqrt(np.asarray(variance, float) / len(sample))
    rounding = 1e-5 * np.abs(sample).max()
    np.testing.assert_array_less(
        np.abs(sample.mean(0, dtype=float) - expected), 5 * sigma + rounding * (sigma == 0) + 1e-12
    )


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.9])
@every_kind
def test_mean_and_variance(kind, dtype, rate):
    x = np.array([-2.0, -0.5, 0.0, 1.0, 3.0], dtype)
    dropout = DROPOUTS[kind](rate, dtype)
    n = 100_000
    y = dropout.forward(np.tile(x, (n, 1)), stream()).astype(float)
    variance = dropout.variance(x.astype(float))
    within_five_sigma(y, x, variance)
    squares = (y - x) ** 2
    within_five_sigma(squares, variance, squares.var(0))


@every_kind
def test_the_input_is_not_modified_and_the_output_is_its_own(kind, dtype):
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(dtype)
    kept = x.copy()
    y = DROPOUTS[kind](0.5, dtype).forward(x, stream())
    np.testing.assert_array_equal(x, kept)
    assert y.dtype == dtype
    assert y.shape == x.shape
    assert not np.shares_memory(x, y)


@pytest.mark.parametrize("rate", RATES)
@every_kind
def test_backward_is_the_vector_jacobian_product_of_the_last_forward(kind, dtype, rate):
    rng = np.random.default_rng(0)
    dropout = DROPOUTS[kind](rate, np.float64)
    for n in (8, 5, 8):  # short batches included
        x, d, h = rng.normal(size=(n, 3)), rng.normal(size=(n, 3)), 1e-6
        seed = int(rng.integers(1000))
        plus = dropout.forward(x + h * d, stream(seed)).copy()
        minus = dropout.forward(x - h * d, stream(seed)).copy()
        v = rng.normal(size=(n, 3))
        product = np.sum(v * (plus - minus)) / (2 * h)
        assert np.sum(dropout.backward(v.copy()) * d) == pytest.approx(product, rel=1e-6, abs=1e-6)


@every_kind
def test_elements_rows_columns_and_calls_are_independent(kind, dtype):
    n = 20_000
    dropout = DROPOUTS[kind](0.3, dtype)
    x, rng = np.ones((n, 4), dtype), stream()
    first = dropout.forward(x, rng).astype(float)
    second = dropout.forward(x, rng).astype(float)
    pairs = [(first[:, i], first[:, j]) for i in range(4) for j in range(i)]  # columns: words of one 64-bit draw
    pairs += [(first[:-1, 0], first[1:, 0]), (first[:, 0], second[:, 0])]  # rows, calls
    for a, b in pairs:
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(len(a))


@every_kind
def test_all_randomness_is_that_of_rng(kind, dtype):
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
def test_a_short_batch_draws_only_for_its_own_elements(kind, dtype):
    dropout, fresh = DROPOUTS[kind](0.5, dtype), DROPOUTS[kind](0.5, dtype)
    x = np.random.default_rng(0).normal(size=(9, 5)).astype(dtype)
    dropout.forward(x, stream(0))
    np.testing.assert_array_equal(dropout.forward(x[:4], stream(3)), fresh.forward(x[:4], stream(3)))


@pytest.mark.parametrize("rate", RATES)
@every_kind
def test_extreme_rates_stay_finite(kind, dtype, rate):
    y = DROPOUTS[kind](rate, dtype).forward(np.ones((100, 100), dtype), stream())
    assert np.isfinite(y).all()


@pytest.mark.parametrize("rate", RATES)
def test_bernoulli_is_zero_or_scaled(rate):
    dropout = Bernoulli(rate, np.float64)
    x = np.linspace(-3, 3, 100_000)
    y = dropout.forward(x, stream())
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] * dropout.scale, rtol=1e-15)
    rounded = 1 - 1 / dropout.scale
    assert rounded == pytest.approx(rate, abs=2**-16)
    assert 0 < rounded < 1
    assert abs(np.mean(~kept) - rounded) < 5 * np.sqrt(rounded * (1 - rounded) / x.size) + 1e-12


def test_bernoulli_mean_is_exact_for_the_rounded_rate():
    for rate in (0.1, 0.2, 0.3, 0.7):
        dropout = Bernoulli(rate, np.float64)
        assert (2**16 - dropout.threshold) / 2**16 * dropout.scale == pytest.approx(1, rel=1e-15)


def test_bernoulli_threshold_is_sharp():
    class Words:
        """A generator whose 16-bit words count 0, 1, 2, ..., 65535."""

        bit_generator = property(lambda self: self)

        def random_raw(self, size):
            return np.arange(4 * size, dtype=np.uint16).view(np.uint64)

    y = Bernoulli(0.25, np.float64).forward(np.ones(2**16), Words())
    assert np.count_nonzero(y == 0) == 2**14  # exactly a quarter of all words drops
    assert y.mean() == pytest.approx(1, rel=1e-15)


def test_one_byte_a_unit_and_a_quarter_of_a_draw():
    class Counter:
        drawn = 0
        bit_generator = property(lambda self: self)

        def random_raw(self, size):
            self.drawn += size
            return np.zeros(size, np.uint64)

    rng, dropout = Counter(), Bernoulli(0.5, np.float32)
    dropout.forward(np.ones((100, 7), np.float32), rng)
    assert rng.drawn == 175
    assert dropout.noise.dtype.itemsize == 1
    assert dropout.noise.shape == (100, 7)


def test_the_contract_catches_a_biased_mask():
    biased = Bernoulli(0.2, np.float64)
    biased.scale *= 1.01
    y = biased.forward(np.ones((100_000, 1)), stream())
    with pytest.raises(AssertionError):
        within_five_sigma(y, np.ones(1), biased.variance(np.ones(1)))

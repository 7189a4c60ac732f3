"""Base classes of dropout kinds, and their contract."""

from abc import ABC, abstractmethod

import numpy as np
from scipy.sparse import issparse

from ..buffers import GrowingBuffer
from ..rng import random_bits, random_words

N_LEVELS = 1 << 16  # number of values of a 16-bit word


class Dropout(ABC):
    """Noise on the input of a layer during training and sampling.

    Notes
    -----
    * ``forward(x, rng)`` returns the noisy input in a buffer of this object. x is dense or CSR, of shape (n, n_in), and
      is not modified unless it is passed as ``out``, too.
    * ``backward(d)`` is the vector-Jacobian product of the last call of ``forward``; it may overwrite d. It is not
      called for noise on the input of the network, since nothing needs the gradient with respect to X.
    * All random numbers are drawn from `rng`. Each call of ``forward`` draws new ones, independently for each row and
      unit (or group of units); with `shared`, for each unit only.
    * ``mean(x)`` and ``variance(x)`` are the elementwise moments of ``forward(x)``. Only tests use them.
    * ``set_rate(rate)`` changes the rate. At rate 0 no method is called.

    Parameters
    ----------
    rate : float in (0, 1)
        Probability of dropping a unit.
    dtype : numpy dtype
        Dtype of x and of the result.
    groups : ndarray of int of shape (n_in,), default=None
        Group of each unit, from 0 to n_groups - 1, for kinds that drop whole groups.
    shared : bool, default=False
        Whether all rows of a batch have the same noise.
    """

    def __init__(self, rate, dtype, groups=None, shared=False):
        self.dtype, self.groups, self.shared, self.keep = np.dtype(dtype), groups, shared, KeepMask()
        self.buffer = GrowingBuffer(dtype)  # of the noisy input
        self.set_rate(rate)

    takes_sparse = True  # whether forward accepts a CSR x and returns one
    uses_groups = False  # whether the kind uses `groups`, which are set by group_size and input_groups

    @abstractmethod
    def set_rate(self, rate):
        """Set the rate, in (0, 1), of the following calls of ``forward``."""

    @abstractmethod
    def forward(self, x, rng, out=None):
        """Return the noisy input, in a buffer of this object or in `out`."""

    @abstractmethod
    def backward(self, d):
        """Return the gradient with respect to the input, given `d`, the gradient with respect to the last output."""

    @abstractmethod
    def mean(self, x):
        """Return the mean of ``forward(x)``."""

    @abstractmethod
    def variance(self, x):
        """Return the variance of ``forward(x)``."""


class Multiplicative(Dropout):
    """Multiplicative noise, x · noise · scale. Subclasses implement ``sample``, ``set_rate`` and ``variance``.

    ``sample(x, rng)`` returns independent noise for each element of x, or for each stored value of a sparse x, whose
    zeros stay zero. ``scale`` makes the mean of the product 1. Methods that a subclass overrides are called wherever
    the kind is used.
    """

    scale = 1.0

    @abstractmethod
    def sample(self, x, rng):
        """Return independent noise for each element of x, or for each stored value of a sparse x."""

    def draw(self, x, rng):
        """Return the noise for x: for each element, or for each unit if shared."""
        return self.sample_units(x.shape[1], rng) if self.shared else self.sample(x, rng)

    def forward(self, x, rng, out=None):
        return self.apply(x, self.draw(x, rng), out)

    def apply(self, x, noise, out=None):
        """Return x · noise · scale, where `noise` is the result of ``draw``."""
        values = x.data if issparse(x) else x
        if not self.shared:
            noise = noise.reshape(values.shape)
        elif issparse(x):
            noise = noise[x.indices]
        self.noise = noise
        out = np.multiply(values, noise, out=self.buffer(values.shape) if out is None else out)
        if self.scale != 1.0:
            out *= self.scale
        return type(x)((out, x.indices, x.indptr), shape=x.shape) if issparse(x) else out

    def sample_units(self, n_units, rng):
        """Return the noise of one row, of shape (n_units,)."""
        return self.sample(np.broadcast_to(self.dtype.type(0), (1, n_units)), rng).reshape(n_units)

    def backward(self, d):
        d *= self.noise
        if self.scale != 1.0:
            d *= self.scale
        return d

    def mean(self, x):
        return x


def is_multiplicative(kind):
    """Return whether the kind only multiplies x by noise, so that scaling x scales the noisy x."""
    return issubclass(kind, Multiplicative) and all(
        getattr(kind, name) is getattr(Multiplicative, name) for name in ("forward", "apply")
    )


class Masking(Multiplicative):
    """Noise of 0 or 1 / (1 - rate): x · m / q, m ~ Bernoulli(q), q = 1 - rate. Subclasses implement ``sample``.

    Boolean masks save time: a ReLU and the noise after it share one mask, and dropped units need not be computed.
    Kinds that override ``forward``, ``draw``, ``apply`` or ``backward``, or whose masks are not boolean, are computed
    without these shortcuts.
    """

    @classmethod
    def is_plain(cls):
        """Return whether the kind overrides none of these methods, so that layers may use shortcuts."""
        names = "forward", "draw", "apply", "backward"
        return all(getattr(cls, name) is getattr(Multiplicative, name) for name in names)

    def set_rate(self, rate):
        self.keep.set_rate(rate)
        self.scale = 1 / (1 - self.keep.rate)

    def variance(self, x):
        return x**2 * (self.scale - 1)


class KeepMask:
    """Random masks, one byte per unit. Units whose random 16-bit word is at least rate · 2¹⁶ are kept.

    The rate is rounded to a multiple of 2⁻¹⁶, but never to 0 or 1. Scale by the rounded ``rate``, so that the mean is
    exact. One random byte per unit is enough for a multiple of 2⁻⁸, and one bit for 1/2: 131 072 units take 99, 57 and
    15 µs with 16, 8 and 1 bits per unit.
    """

    def __init__(self):
        self._storage = np.empty(0, bool)

    def set_rate(self, rate):
        self.threshold = min(max(round(rate * N_LEVELS), 1), N_LEVELS - 1)
        self.rate = self.threshold / N_LEVELS

    def draw(self, size, rng):
        if self.threshold == N_LEVELS // 2:
            return random_bits(size, rng)
        if self._storage.size < size:
            self._storage = np.empty(size, bool)
        if self.threshold % 256 == 0:
            words, threshold = random_words(size, rng, np.uint8), np.uint8(self.threshold // 256)
        else:
            words, threshold = random_words(size, rng), np.uint16(self.threshold)
        return np.greater_equal(words, threshold, out=self._storage[:size])

"""The contract of a dropout kind."""

from abc import ABC, abstractmethod

import numpy as np
from scipy.sparse import issparse

from ..buffers import Room
from ..rng import random_words

WORDS = 1 << 16  # values of a 16-bit word


class Dropout(ABC):
    """Noise on the input of a layer, in training only.

    Notes
    -----
    * ``forward(x, rng)`` returns the noisy input in a buffer of its own; x, (n, n_in) dense or CSR, is not modified,
      unless it is handed over as ``out``.
    * ``backward(d)`` is the vector-Jacobian product of the last forward; it may overwrite d. It is not called for
      noise on the input of the network, since nothing needs the gradient with respect to X.
    * Every number is drawn from `rng`, afresh at each forward, independently for every row and unit
      (or group of units); with `shared` for every unit only: the rows of a batch have one mask.
    * ``mean(x)`` and ``variance(x)`` are those of ``forward(x)``, element by element: what the tests hold it to.
      Training and sampling do not call them.
    * ``set_rate(rate)`` changes the rate between two forwards; the rate is above 0, since at 0 no kind is asked.

    Parameters
    ----------
    rate : float in (0, 1)
        Probability of dropping a unit.
    dtype : numpy dtype
        Of x and of the result.
    groups : ndarray of int of shape (n_in,), default=None
        Group of each unit, 0 to n_groups - 1, for kinds that drop whole groups.
    shared : bool, default=False
        Whether the rows of a batch share their noise.
    """

    def __init__(self, rate, dtype, groups=None, shared=False):
        self.dtype, self.groups, self.shared, self.keep = np.dtype(dtype), groups, shared, KeepMask()
        self.room = Room(dtype)  # for the noisy input
        self.set_rate(rate)

    takes_sparse = True  # whether forward accepts a CSR x and returns one
    uses_groups = False  # whether it gets `groups`, from group_size and input_groups

    @abstractmethod
    def set_rate(self, rate):
        """Take another rate, in (0, 1), from the next forward on."""

    @abstractmethod
    def forward(self, x, rng, out=None):
        """The noisy input, in a buffer of this object or in `out`."""

    @abstractmethod
    def backward(self, d):
        """The gradient by the input from `d`, that by the noisy input of the last forward."""

    @abstractmethod
    def mean(self, x):
        """Mean of ``forward(x)``."""

    @abstractmethod
    def variance(self, x):
        """Variance of ``forward(x)``."""


class Multiplicative(Dropout):
    """Noise that multiplies: forward is x · noise · scale. A kind of it writes ``sample``, ``set_rate``, ``variance``.

    ``sample(x, rng)`` returns independent noise for each element of x, or for each stored value of a sparse x:
    a zero stays zero, so noise on the stored values is all there is. ``scale`` makes its mean 1. Methods that a
    kind overrides are called wherever the kind is used.
    """

    scale = 1.0

    @abstractmethod
    def sample(self, x, rng):
        """Independent noise for each element of x, or for each stored value of a sparse x."""

    def draw(self, x, rng):
        """The noise for x: for each element, or for each unit if it is shared."""
        return self.of_units(x.shape[1], rng) if self.shared else self.sample(x, rng)

    def forward(self, x, rng, out=None):
        return self.apply(x, self.draw(x, rng), out)

    def apply(self, x, noise, out=None):
        """x · noise · scale, the noise being that of the units if it is shared."""
        values = x.data if issparse(x) else x
        if not self.shared:
            noise = noise.reshape(values.shape)
        elif issparse(x):
            noise = noise[x.indices]
        self.noise = noise
        out = np.multiply(values, noise, out=self.room(values.shape) if out is None else out)
        if self.scale != 1.0:
            out *= self.scale
        return type(x)((out, x.indices, x.indptr), shape=x.shape) if issparse(x) else out

    def of_units(self, n_units, rng):
        """The noise of one row, (n_units,)."""
        return self.sample(np.broadcast_to(self.dtype.type(0), (1, n_units)), rng).reshape(n_units)

    def backward(self, d):
        d *= self.noise
        if self.scale != 1.0:
            d *= self.scale
        return d

    def mean(self, x):
        return x


def multiplies(kind):
    """Whether a kind is noise times x, so that the noisy c · x is c times the noisy x."""
    return issubclass(kind, Multiplicative) and all(
        getattr(kind, name) is getattr(Multiplicative, name) for name in ("forward", "apply")
    )


class Masking(Multiplicative):
    """Noise of 0 or 1 / (1 - rate): x · m / q, m ~ Bernoulli(q), q = 1 - rate. Subclasses implement ``sample``.

    Boolean masks save work: one mask serves a ReLU and the noise after it, and dropped units need not be computed.
    Kinds that override ``forward``, ``draw``, ``apply`` or ``backward``, or whose masks are numbers, are computed
    without these shortcuts.
    """

    @classmethod
    def is_plain(cls):
        """Whether all methods are those of `Multiplicative`, so that layers may use shortcuts."""
        names = "forward", "draw", "apply", "backward"
        return all(getattr(cls, name) is getattr(Multiplicative, name) for name in names)

    def set_rate(self, rate):
        self.keep.set_rate(rate)
        self.scale = 1 / (1 - self.keep.rate)

    def variance(self, x):
        return x**2 * (self.scale - 1)


class KeepMask:
    """Which of `size` units are kept, one byte each: those whose 16-bit word is at least rate · 2¹⁶.

    The rate is rounded to that grid, and never to 0 or 1; who scales takes ``rate`` from here, so that the
    mean is exact.
    """

    def __init__(self):
        self._flat = np.empty(0, bool)

    def set_rate(self, rate):
        self.threshold = min(max(round(rate * WORDS), 1), WORDS - 1)
        self.rate = self.threshold / WORDS

    def draw(self, size, rng):
        if self._flat.size < size:
            self._flat = np.empty(size, bool)
        return np.greater_equal(random_words(size, rng), np.uint16(self.threshold), out=self._flat[:size])

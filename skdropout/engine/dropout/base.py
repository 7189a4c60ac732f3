"""The contract of a dropout kind."""

from abc import ABC, abstractmethod

import numpy as np


class Dropout(ABC):
    """Noise on the input of a layer, in training only.

    Laws
    ----
    * ``forward(x, rng)`` returns the noisy input in a buffer of its own; x, of any shape, is not modified.
    * ``backward(d)`` is the vector-Jacobian product of the last forward; it may overwrite d.
    * Every number is drawn from `rng`, afresh at each forward, independently for every element.
    * ``E[forward(x)] = x``: prediction needs no correction.
    * ``variance(x)`` is the variance of ``forward(x)``, element by element: what the tests hold it to.

    Parameters
    ----------
    rate : float in (0, 1)
        Probability of dropping an element.
    dtype : numpy dtype
        Of x and of the result.
    """

    @abstractmethod
    def __init__(self, rate, dtype): ...

    @abstractmethod
    def forward(self, x, rng): ...

    @abstractmethod
    def backward(self, d): ...

    @abstractmethod
    def variance(self, x): ...


class Multiplicative(Dropout):
    """Noise that multiplies: forward is x · noise · scale. A kind of it writes ``sample`` and ``variance``.

    ``sample(size, rng)`` returns `size` independent draws; ``scale`` makes their mean 1.
    """

    scale = 1.0

    def __init__(self, rate, dtype):
        self.rate = rate
        self._out = np.empty(0, dtype)

    @abstractmethod
    def sample(self, size, rng): ...

    def forward(self, x, rng):
        if self._out.size < x.size:
            self._out = np.empty(x.size, self._out.dtype)
        self.noise = self.sample(x.size, rng).reshape(x.shape)
        out = np.multiply(x, self.noise, out=self._out[: x.size].reshape(x.shape))
        if self.scale != 1.0:
            out *= self.scale
        return out

    def backward(self, d):
        d *= self.noise
        if self.scale != 1.0:
            d *= self.scale
        return d

"""Memory that is used again at each step."""

import math

import numpy as np

# Elements of a flat vector worked on at a time, so that the ten passes of an update run in cache. Adam on 2.9 M
# parameters, float32, one thread: 7.4 ms in chunks of 16 k, 5.8 of 64 k. Threads that share the chunks gain a third by
# themselves and nothing in training, where OpenBLAS' own threads keep spinning for 0.1 s after a product.
CHUNK = 65_536


def in_chunks(update, size, dtype):
    """The sum of ``update(part, scratch)`` over slices of a vector; `scratch` has the length of the slice."""
    scratch = np.empty(min(size, CHUNK), dtype)
    parts = (slice(start, min(start + CHUNK, size)) for start in range(0, size, CHUNK))
    return sum(update(part, scratch[: part.stop - part.start]) for part in parts)


class Room:
    """A buffer for arrays of varying shape, the start of one that grows to the largest asked for."""

    def __init__(self, dtype):
        self._flat = np.empty(0, dtype)

    def __call__(self, shape):
        size = math.prod(shape)
        if self._flat.size < size:
            self._flat = np.empty(size, self._flat.dtype)
        return self._flat[:size].reshape(shape)

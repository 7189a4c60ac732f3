"""The two random streams of a fit.

Initial weights, the validation split and shuffles are drawn from scikit-learn's `RandomState`, in the same order as in
scikit-learn. Masks are drawn from a separate generator. Thus a rate of 0, which draws no masks, changes nothing else,
and fits with different rates have the same initial weights and batches.
"""

import copy

import numpy as np


def mask_stream(random_state):
    """Return a mask generator seeded from the current state of `random_state`, which does not change."""
    random_state = copy.deepcopy(random_state)
    return np.random.Generator(np.random.SFC64(random_state.randint(0, 2**32, size=8, dtype=np.uint32)))


def resume_stream(state):
    """Return the mask generator whose ``bit_generator.state`` was `state`."""
    rng = np.random.Generator(np.random.SFC64(0))
    rng.bit_generator.state = state
    return rng


def stream(seed, *key):
    """Return an independent mask generator for each `key` of integers, given `seed`, a sequence of integers."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))


def random_words(size, rng, dtype=np.uint16):
    """Return `size` independent uniform words of 8 or 16 bits, as many from each 64-bit draw as it contains.

    This takes 0.25 or 0.5 ns per word, compared with 2 ns per number for `rng.random`.
    """
    per_draw = 8 // np.dtype(dtype).itemsize
    return rng.bit_generator.random_raw(-(-size // per_draw)).view(dtype)[:size]


def random_bits(size, rng):
    """Return `size` independent booleans, each True with probability 1/2, 64 from each 64-bit draw."""
    return np.unpackbits(random_words(-(-size // 8), rng, np.uint8), count=size).view(bool)

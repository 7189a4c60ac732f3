"""Matrix products in blocks of columns or rows, which helper threads share.

The blocks depend only on the shape. A block is a product of one BLAS thread, so all bits are the same for any number
of threads, if BLAS is limited to one. Products in blocks take 1.02 times as
long in one thread for 784-1024³-10 with a batch of 128 rows, and 1.05 times for 784-256-256-10 with 256 rows.
"""

import numpy as np

from .threads import share, share_later

# Minimum number of multiplications of a product in blocks, which takes about 0.15 ms in float32, and of two blocks of
# a product of more than two blocks. Smaller blocks take longer in one thread: the products of 54-512-256-7 with 512
# rows take 1.09 times as long with pairs of 2^25, and 1.04 times with 2^26.
MIN_PRODUCT, MIN_PAIR, MAX_BLOCKS = 1 << 23, 1 << 26, 8
ALIGNMENT = 16  # the width of a block is a multiple of it


def dot(a, b, out=None):
    """Return the product of two matrices, in `out` if given."""
    blocks = _blocks(a, b)
    if blocks is None:
        return np.dot(a, b, out=out)
    if out is None:
        out = np.empty((a.shape[0], b.shape[1]), a.dtype)
    share(_product(a, b, out), blocks)
    return out


def dot_later(a, b, out):
    """Write the product of two matrices into `out` until ``threads.wait``. Return the job, or None if it is done."""
    blocks = _blocks(a, b)
    if blocks is None:
        np.dot(a, b, out=out)
        return None
    return share_later(_product(a, b, out), blocks)


def sparse_gradient(x, d, out):
    """Write the product of the transpose of a CSR matrix x and a dense d into `out`.

    Only the columns of x with stored values are computed. For 200 rows of 100 words out of 20 000, this takes 0.6 of
    the time.
    """
    is_used = np.zeros(x.shape[1], bool)
    is_used[x.indices] = True
    used = np.flatnonzero(is_used)
    position = np.empty(x.shape[1], x.indices.dtype)
    position[used] = np.arange(len(used))
    compressed = type(x)((x.data, position[x.indices], x.indptr), shape=(x.shape[0], len(used)))
    out[:] = 0
    out[used] = compressed.T @ d


def _blocks(a, b):
    """Return slices of the longer axis of the product, or None for a product in one piece."""
    n_rows, n_columns = a.shape[0], b.shape[1]
    work = n_rows * a.shape[1] * n_columns
    if work < MIN_PRODUCT:
        return None
    n, n_blocks = max(n_rows, n_columns), min(MAX_BLOCKS, 2 * max(1, work // MIN_PAIR))
    size = -(-n // (n_blocks * ALIGNMENT)) * ALIGNMENT
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _product(a, b, out):
    """Return the function that computes a block."""
    a, b = _for_blas(a), _for_blas(b)
    # matmul, because np.dot copies operands that are not contiguous: 4.3 ms instead of 1.0 for a half of 1024 x 1024
    if out.shape[1] > out.shape[0]:
        return lambda block: np.matmul(a, b[:, block], out=out[:, block])
    return lambda block: np.matmul(a[block], b, out=out[block])


def _for_blas(a):
    """Return a matrix that matmul passes to BLAS: a copy if no axis has adjacent elements."""
    return a if min(a.strides) == a.itemsize else np.ascontiguousarray(a)

"""Scaling of large input columns inside the network during training with dropout.

Dropout multiplies the activations by random factors. If activations are in the hundreds, this noise changes the logits
by tens, and training makes no progress. Therefore columns with a large root mean square are divided by a power of two
before the first layer. After training, the weights of the first layer are divided instead. Both are exact in floating
point, so ``coefs_`` is the only state, and prediction, exports and weights assigned by users do not depend on it.
"""

import numpy as np
from scipy.sparse import issparse

from .checks import BLOCK_SIZE, column_ranges

# Columns are scaled down to a root mean square of about 4 times the scale of the targets: standardized columns, pixels
# in [0, 1] and one-hot columns stay as they are. Mean log loss on nine raw tables at the defaults: 0.40 for a factor of
# 2, 0.40 for 4, 0.40 for 8, 0.43 for 16, 2.5 without; RMSE on seven raw tables: no worse than without up to 4.
MAX_RELATIVE_RMS = 4.0


def column_exponents(rows, index, target_scale, dtype):
    """Return exponents k such that the columns of X / 2^k are not large relative to the targets, or None if all are 0.

    Parameters
    ----------
    rows : Rows
    index : ndarray of int
        Indices of the training rows.
    target_scale : float
        Root mean square of the targets, in units of the output before its activation; 1 for logits.
    dtype : numpy dtype
        Data type of the weights.
    """
    bound = MAX_RELATIVE_RMS * max(1.0, target_scale)
    rms = column_rms(rows.X, rows.sample_weight, index)
    large = rms > bound * np.sqrt(2)
    if not large.any():
        return None
    exponents = np.zeros(len(rms), np.intc)
    exponents[large] = np.clip(np.rint(np.log2(rms[large] / bound)), 0, np.finfo(dtype).maxexp // 2)
    return exponents


def column_rms(X, sample_weight, index):
    """Return the root mean square of each column over the rows `index`, computed in blocks."""
    total, squares = 0.0, np.zeros(X.shape[1])
    n_rows = max(1, BLOCK_SIZE // max(1, X.nnz // X.shape[0] if issparse(X) else X.shape[1]))
    with np.errstate(over="ignore"):
        for start in range(0, len(index), n_rows):
            block = index[start : start + n_rows]
            weights = np.ones(len(block)) if sample_weight is None else sample_weight[block].astype(float)
            part = X[block]
            if issparse(part):
                terms = np.square(part.data, dtype=float) * np.repeat(weights, np.diff(part.indptr))
                squares += np.bincount(part.indices, terms, minlength=len(squares))
            else:
                squares += weights @ np.square(part, dtype=float)
            total += weights.sum()
    rms = np.sqrt(squares / total)
    if not np.isfinite(rms).all():  # squares overflow float64
        low, high = column_ranges(X)
        rms = np.where(np.isfinite(rms), rms, np.maximum(-low, high))
    return rms


def target_scale(Y, sample_weight, index):
    """Return the root mean square of real-valued targets over the rows `index`."""
    squares = np.square(Y[index], dtype=float).reshape(len(index), -1).mean(axis=1)
    return float(np.sqrt(np.average(squares, weights=None if sample_weight is None else sample_weight[index])))

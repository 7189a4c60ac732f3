"""Prediction with a trained network."""

import numpy as np
from scipy.sparse import issparse

from .activations import ACTIVATIONS, OUTPUTS
from .products import dot

# Maximum size of the widest layer for a block of rows, in units, so that memory does not grow with the number of rows.
# A million rows of 54-512-256-7 in blocks of 2^17 units 2.5 s, 2^18 2.1 s, 2^19 1.9 s, 2^20 1.9 s (float32, 2 threads).
BLOCK = 1 << 19


class Network:
    """Weights and activations of a trained network.

    Prediction draws no random numbers and modifies nothing but its result, so threads may share a network.

    Parameters
    ----------
    coefs, intercepts : list of ndarray
        One array of shape (n_in, n_out) and one of shape (n_out,) per layer.
    activations : sequence of str
        One name per hidden layer.
    output : str
        Name of the output activation.
    """

    def __init__(self, coefs, intercepts, activations, output):
        self.coefs, self.intercepts = list(coefs), list(intercepts)
        self.activations, self.output = tuple(activations), output

    def predict(self, X, postprocess=np.asarray):
        """Return the output of the network, of shape (n_samples, n_outputs).

        ``postprocess`` is applied to the output of each block of rows; it may return fewer columns.
        """
        return self._in_blocks(X, OUTPUTS[self.output], postprocess)

    def predict_raw(self, X, postprocess=np.asarray):
        """Return the output before its activation, processed as in ``predict``."""
        return self._in_blocks(X, OUTPUTS["identity"], postprocess)

    def layer_inputs(self, X):
        """Yield each block of rows, a slice, with the inputs of all layers: the rows and the hidden layers' outputs.

        The next block overwrites these outputs.
        """
        n_samples, dtype, rows = X.shape[0], self.coefs[0].dtype, self._rows_per_block(X)
        coefs = [W.astype(dtype, copy=False) for W in self.coefs[:-1]]  # a user may have assigned another dtype
        hidden = [np.empty((rows, W.shape[1]), dtype) for W in coefs]
        for start in range(0, n_samples, rows):
            block = slice(start, min(start + rows, n_samples))
            inputs = [X[block].astype(dtype, copy=False)]
            for W, b, name, out in zip(coefs, self.intercepts, self.activations, hidden, strict=False):
                y = _affine(inputs[-1], W, b, out[: block.stop - start])
                ACTIVATIONS[name].forward(y)
                inputs.append(y)
            yield block, inputs

    def _rows_per_block(self, X):
        widths = [W.shape[1] for W in self.coefs]
        return max(1, min(X.shape[0], BLOCK // max(1 if issparse(X) else X.shape[1], *widths)))

    def _one_block(self, X, output):
        """Return the output for rows that fit in one block. Without reusable buffers a single row is faster."""
        dtype = self.coefs[0].dtype
        x = X.astype(dtype, copy=False)
        activations = [*(ACTIVATIONS[name].forward for name in self.activations), output]
        for W, b, activation in zip(self.coefs, self.intercepts, activations, strict=True):
            x = _affine(x, W.astype(dtype, copy=False), b)
            activation(x)
        return x

    def _in_blocks(self, X, output, postprocess):
        n_samples, dtype = X.shape[0], self.coefs[0].dtype
        if self._rows_per_block(X) == n_samples:
            return postprocess(self._one_block(X, output))
        W, b = self.coefs[-1].astype(dtype, copy=False), self.intercepts[-1]
        result = None
        for block, inputs in self.layer_inputs(X):
            z = _affine(inputs[-1], W, b, np.empty((block.stop - block.start, W.shape[1]), dtype))
            output(z)
            z = postprocess(z)
            if result is None:
                result = np.empty((n_samples, *z.shape[1:]), z.dtype)
            result[block] = z
        return result


def _affine(x, W, b, out=None):
    """Return x W + b, in `out` if given."""
    if not issparse(x):
        out = dot(x, W, out=out)
    elif out is None:
        out = x @ W
    else:
        out[:] = x @ W
    out += b
    return out

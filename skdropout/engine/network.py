"""A trained network: prediction."""

import numpy as np
from scipy.sparse import issparse

from .activations import ACTIVATIONS, OUTPUTS

# Units of the widest layer a block of rows may fill: prediction needs no memory that grows with the rows. A million
# rows through 54-512-256-7 in blocks of 2^17 units 2.5 s, 2^18 2.1, 2^19 1.9, 2^20 1.9 (float32, two threads).
BLOCK = 1 << 19


class Network:
    """Weights and the names of the activations: all that prediction needs.

    It draws no random numbers and writes nothing but its result, so that many threads may share one.

    Parameters
    ----------
    coefs, intercepts : list of ndarray
        One (n_in, n_out) and one (n_out,) array a layer.
    activations : sequence of str
        One name a hidden layer.
    output : str
        Name of the output activation.
    """

    def __init__(self, coefs, intercepts, activations, output):
        self.coefs, self.intercepts = list(coefs), list(intercepts)
        self.activations, self.output = tuple(activations), output

    def predict(self, X, finish=np.asarray):
        """The output of the network, (n_samples, n_features) -> (n_samples, n_outputs).

        Or what ``finish`` makes of the output of a block of rows, if it makes something smaller.
        """
        return self._in_blocks(X, OUTPUTS[self.output], finish)

    def raw(self, X, finish=np.asarray):
        """The output before its activation, or what ``finish`` makes of it."""
        return self._in_blocks(X, OUTPUTS["identity"], finish)

    def layer_inputs(self, X):
        """Yield blocks of rows, as slices, with what goes into every layer: the rows, then each hidden layer's output.

        The next block overwrites the outputs: copy what is to be kept.
        """
        n_samples, dtype, rows = X.shape[0], self.coefs[0].dtype, self._rows_of_block(X)
        coefs = [W.astype(dtype, copy=False) for W in self.coefs[:-1]]  # a user may have put in another
        hidden = [np.empty((rows, W.shape[1]), dtype) for W in coefs]
        for start in range(0, n_samples, rows):
            block = slice(start, min(start + rows, n_samples))
            inputs = [X[block].astype(dtype, copy=False)]
            for W, b, name, out in zip(coefs, self.intercepts, self.activations, hidden, strict=False):
                y = _affine(inputs[-1], W, b, out[: block.stop - start])
                ACTIVATIONS[name].forward(y)
                inputs.append(y)
            yield block, inputs

    def _rows_of_block(self, X):
        widths = [W.shape[1] for W in self.coefs]
        return max(1, min(X.shape[0], BLOCK // max(1 if issparse(X) else X.shape[1], *widths)))

    def _one_block(self, X, output):
        """The output for rows that fit in one block, without reusable buffers: faster for a single row."""
        dtype = self.coefs[0].dtype
        x = X.astype(dtype, copy=False)
        activations = [*(ACTIVATIONS[name].forward for name in self.activations), output]
        for W, b, activation in zip(self.coefs, self.intercepts, activations, strict=True):
            x = _affine(x, W.astype(dtype, copy=False), b)
            activation(x)
        return x

    def _in_blocks(self, X, output, finish):
        n_samples, dtype = X.shape[0], self.coefs[0].dtype
        if self._rows_of_block(X) == n_samples:
            return finish(self._one_block(X, output))
        W, b = self.coefs[-1].astype(dtype, copy=False), self.intercepts[-1]
        result = None
        for block, inputs in self.layer_inputs(X):
            z = _affine(inputs[-1], W, b, np.empty((block.stop - block.start, W.shape[1]), dtype))
            output(z)
            z = finish(z)
            if result is None:
                result = np.empty((n_samples, *z.shape[1:]), z.dtype)
            result[block] = z
        return result


def _affine(x, W, b, out=None):
    """x W + b, in `out` if it is given."""
    if not issparse(x):
        out = np.dot(x, W, out=out)
    elif out is None:
        out = x @ W
    else:
        out[:] = x @ W
    out += b
    return out

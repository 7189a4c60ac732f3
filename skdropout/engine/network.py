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

    def predict(self, X):
        """The output of the network, (n_samples, n_features) -> (n_samples, n_outputs)."""
        return self._in_blocks(X, OUTPUTS[self.output])

    def raw(self, X):
        """The output before its activation."""
        return self._in_blocks(X, OUTPUTS["identity"])

    def _in_blocks(self, X, output):
        n_samples, dtype = X.shape[0], self.coefs[0].dtype
        coefs = [W.astype(dtype, copy=False) for W in self.coefs]  # a user may have put in another
        widths = [W.shape[1] for W in coefs]
        rows = max(1, min(n_samples, BLOCK // max(1 if issparse(X) else X.shape[1], *widths)))
        Z = np.empty((n_samples, widths[-1]), dtype)
        hidden = [np.empty((rows, width), dtype) for width in widths[:-1]]
        activations = [*(ACTIVATIONS[name].forward for name in self.activations), output]
        for start in range(0, n_samples, rows):
            z = Z[start : start + rows]
            x = X[start : start + rows].astype(dtype, copy=False)
            for W, b, f, y in zip(coefs, self.intercepts, activations, [*hidden, z], strict=True):
                y = y[: len(z)]
                if issparse(x):
                    y[:] = x @ W
                else:
                    np.dot(x, W, out=y)
                y += b
                f(y)
                x = y
        return Z

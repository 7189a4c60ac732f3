"""A trained network: prediction."""

import numpy as np
from scipy.sparse import issparse

from .activations import ACTIVATIONS, OUTPUTS

# Units of the widest layer a block of rows may fill: 2 MB in float64, so a block stays in cache
# and prediction needs no memory that grows with the rows.
BLOCK = 1 << 18


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
        Z = self.raw(X)
        OUTPUTS[self.output](Z)
        return Z

    def raw(self, X):
        """The output before its activation, in blocks of rows."""
        n_samples, dtype = X.shape[0], self.coefs[0].dtype
        Z = np.empty((n_samples, self.coefs[-1].shape[1]), dtype)
        widest = max(X.shape[1] if not issparse(X) else 1, *(W.shape[1] for W in self.coefs))
        rows = max(1, BLOCK // widest)
        for start in range(0, n_samples, rows):
            x = X[start : start + rows].astype(dtype, copy=False)
            for W, b, name in zip(self.coefs, self.intercepts, (*self.activations, "identity"), strict=True):
                x = x @ W
                x += b
                ACTIVATIONS[name].forward(x)
            Z[start : start + rows] = x
        return Z

"""Stochastic forward passes through a trained network: Monte Carlo dropout."""

import numpy as np
from scipy import sparse

from .activations import ACTIVATIONS, OUTPUTS
from .dropout import DROPOUTS
from .network import BLOCK
from .rng import stream

MIN_PASSES = 16  # minimum number of passes of a block; they share the layers before the first noise


class Sampler:
    """Forward passes with dropout active and batch normalization at its running moments.

    Sampling modifies nothing but its result, so threads may share a sampler.

    Parameters
    ----------
    network : Network
    noises : sequence of (str, float, ndarray or None)
        Kind, rate and groups of the dropout on the input of each layer.
    norms : sequence of (ndarray, ndarray)
        Scale and shift of each hidden layer, applied between its activation and the noise; empty if folded.
    shared : bool
        Whether the rows share the masks of a pass, so that each pass is a deterministic function of the rows.
    """

    def __init__(self, network, noises, norms=(), shared=False):
        self.dtype = network.coefs[0].dtype
        coefs = [W.astype(self.dtype, copy=False) for W in network.coefs]
        activations = [*(ACTIVATIONS[name].forward for name in network.activations), OUTPUTS[network.output]]
        norms = [*norms, None] if norms else [None] * len(coefs)  # the output layer has none
        self.layers = list(zip(coefs, network.intercepts, activations, norms, strict=True))
        self.noises, self.shared = list(noises), shared
        self.n_deterministic = next((i for i, (_, rate, _) in enumerate(self.noises) if rate > 0), len(coefs))
        self.max_width = max(W.shape[1] for W in coefs)

    def blocks(self, X, n_passes):
        """Yield slices of rows and of passes whose work is bounded, all passes of a block of rows in sequence."""
        n_rows, n_inputs = X.shape
        if sparse.issparse(X):
            n_inputs = max(1, X.nnz // n_rows)
        budget = max(1, BLOCK // max(self.max_width, n_inputs if self.n_deterministic == 0 else 1))
        noisy = self.n_deterministic < len(self.layers)
        min_passes = MIN_PASSES if noisy else n_passes  # without noise all passes of a row are one computation
        passes = min(n_passes, max(min_passes, budget // n_rows))
        rows = max(1, min(budget // passes, BLOCK // n_inputs))
        for i in range(0, n_rows, rows):
            for j in range(0, n_passes, passes):
                yield slice(i, min(i + rows, n_rows)), slice(j, min(j + passes, n_passes))

    def sample(self, X, rows, passes, seed):
        """Return the outputs of the given passes for the given rows of X, (n_passes, n_rows, n_outputs).

        They depend on `seed` and on both slices; with shared masks, only on `seed` and the passes.
        """
        n_passes = passes.stop - passes.start
        x = X[rows].astype(self.dtype, copy=False)
        for layer in self.layers[: self.n_deterministic]:
            x = _forward(x, *layer)
        noises = [
            DROPOUTS[kind](rate, self.dtype, groups, self.shared) if rate > 0 else None
            for kind, rate, groups in self.noises[self.n_deterministic :]
        ]
        if self.n_deterministic == len(self.layers):
            return np.broadcast_to(x, (n_passes, *x.shape))
        if self.shared:
            return np.stack([self._noisy_forward(x, noises, stream(seed, i)) for i in range(passes.start, passes.stop)])
        x = sparse.vstack([x] * n_passes, format="csr") if sparse.issparse(x) else np.tile(x, (n_passes, 1))
        y = self._noisy_forward(x, noises, stream(seed, rows.start, passes.start))
        return y.reshape(n_passes, -1, y.shape[1])

    def _noisy_forward(self, x, noises, rng):
        for noise, layer in zip(noises, self.layers[self.n_deterministic :], strict=True):
            x = _forward(x if noise is None else noise.forward(x, rng), *layer)
        return x


def _forward(x, W, b, activation, norm):
    y = x @ W
    y += b
    activation(y)
    if norm is not None:
        y *= norm[0]
        y += norm[1]
    return y

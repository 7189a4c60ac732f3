"""Noisy passes through a trained network: Monte-Carlo dropout."""

import numpy as np
from scipy import sparse

from .activations import ACTIVATIONS, OUTPUTS
from .dropout import DROPOUTS
from .network import BLOCK
from .rng import stream

PASSES = 16  # of a block of rows at a time, at least: the layers before the first noise are computed once for all


class Sampler:
    """Passes with the noise on, and batch normalisation at its running moments.

    It writes nothing but its results, so that many threads may share one.

    Parameters
    ----------
    network : Network
    noises : sequence of (str, float, ndarray or None)
        Kind, rate and groups of the dropout on the input of each layer.
    norms : sequence of (ndarray, ndarray)
        Scale and shift of each hidden layer, between its activation and the noise; empty if they are folded.
    shared : bool
        Whether the rows share the masks of a pass, which is then one function of the rows.
    """

    def __init__(self, network, noises, norms=(), shared=False):
        self.dtype = network.coefs[0].dtype
        coefs = [W.astype(self.dtype, copy=False) for W in network.coefs]
        activations = [*(ACTIVATIONS[name].forward for name in network.activations), OUTPUTS[network.output]]
        self.layers = list(zip(coefs, network.intercepts, activations, [*norms, *[None] * len(coefs)], strict=False))
        self.noises, self.shared = list(noises), shared
        self.n_quiet = next((i for i, (_, rate, _) in enumerate(self.noises) if rate > 0), len(coefs))
        self.widest = max(W.shape[1] for W in coefs)

    def blocks(self, X, n_passes):
        """Yield slices of rows and of passes, of bounded work: block by block of rows, pass after pass."""
        n_rows, n_inputs = X.shape
        if sparse.issparse(X):
            n_inputs = max(1, X.nnz // n_rows)
        budget = max(1, BLOCK // max(self.widest, n_inputs if self.n_quiet == 0 else 1))
        least = PASSES if self.n_quiet < len(self.layers) else n_passes  # without noise a row is computed once for all
        passes = min(n_passes, max(least, budget // n_rows))
        rows = max(1, min(budget // passes, BLOCK // n_inputs))
        for i in range(0, n_rows, rows):
            for j in range(0, n_passes, passes):
                yield slice(i, min(i + rows, n_rows)), slice(j, min(j + passes, n_passes))

    def sample(self, X, rows, passes, seed):
        """The outputs of some passes for some rows of X, (n_passes, n_rows, n_outputs).

        They depend on `seed` and on the slices: on the passes alone if masks are shared.
        """
        n_passes = passes.stop - passes.start
        x = X[rows].astype(self.dtype, copy=False)
        for layer in self.layers[: self.n_quiet]:
            x = _forward(x, *layer)
        noises = [
            DROPOUTS[kind](rate, self.dtype, groups, self.shared) if rate > 0 else None
            for kind, rate, groups in self.noises[self.n_quiet :]
        ]
        if self.n_quiet == len(self.layers):
            return np.broadcast_to(x, (n_passes, *x.shape))
        if self.shared:
            return np.stack([self._pass(x, noises, stream(seed, i)) for i in range(passes.start, passes.stop)])
        x = sparse.vstack([x] * n_passes, format="csr") if sparse.issparse(x) else np.tile(x, (n_passes, 1))
        y = self._pass(x, noises, stream(seed, rows.start, passes.start))
        return y.reshape(n_passes, -1, y.shape[1])

    def _pass(self, x, noises, rng):
        for noise, layer in zip(noises, self.layers[self.n_quiet :], strict=True):
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

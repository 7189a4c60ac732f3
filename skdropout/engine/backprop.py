"""Loss and gradient of a mini-batch."""

from functools import partial
from itertools import pairwise

import numpy as np

from .activations import ACTIVATIONS, OUTPUTS, relu
from .buffers import in_chunks
from .dropout import DROPOUTS
from .dropout.base import Masking
from .layers import Activate, Affine, BatchNorm, Noise
from .losses import LOSSES
from .params import Params
from .penalty import Penalty
from .thinned import ThinAffine, ThinNoise
from .threads import wait

# Minimum work (number of weights times rows of a batch), batch size and rate for which a thinned network is faster than
# a multiplied one. The gathers cost the same for any batch size. Time of a step thinned / with a mask per row, at rate
# 0.5: 64-64-64-10 1.4 with 32 rows and 0.84 with 256; 784-256-256-10 1.06 and 0.75. Thinned / multiplied by a shared
# mask, 784-256-256-10 with 256 rows: 1.14 at rate 0.05, 0.98 at 0.2, 0.64 at 0.5.
THIN_WORK, THIN_ROWS, THIN_RATE = 1 << 20, 64, 0.15


class Backprop:
    """Loss and gradient of a batch. It owns all buffers and is created for each fit.

    The objective of a batch, with w_i the sample weights and λ = l1_ratio, is

        (sum_i w_i l(Y_i, f(x_i)) + alpha (λ |weights|₁ + (1 - λ)/2 ||weights||²)) / sum_i w_i.

    Parameters
    ----------
    params : Params
        Read at every call; only ``constrain`` changes them.
    specs : sequence of LayerSpec
        One per layer, output last.
    loss : str
        A key of ``LOSSES``.
    batch_size : int
        Maximum number of rows of a batch.
    alpha : float, default=0.0
        Strength of the penalty on the weights; biases are not penalized.
    l1_ratio : float, default=0.0
        λ, the fraction of the penalty that is L1.
    max_norm : float, default=None
        Maximum norm of the incoming weights of each hidden unit, enforced by ``constrain``.
    batch_norm : {'before_activation', 'after_activation', 'after_dropout'}, default=None
        Where hidden layers are normalized.
    moments : list of (ndarray, ndarray, ndarray), default=()
        Running mean, running variance and number of batches seen of each hidden layer, updated in place.
    mask_sharing : {'sample', 'batch'}, default='sample'
        Whether each row has its own mask, or all rows of a batch share one.
    loss_options : dict, default=None
        Options of the loss.
    """

    def __init__(
        self,
        params,
        specs,
        loss,
        batch_size,
        *,
        alpha=0.0,
        l1_ratio=0.0,
        max_norm=None,
        batch_norm=None,
        moments=(),
        mask_sharing="sample",
        loss_options=None,
    ):
        self.params, self.max_norm = params, None if max_norm is None else float(max_norm)
        self.penalty = Penalty(alpha, l1_ratio, params.weights.size)
        self.loss = LOSSES[loss].bind(**(loss_options or {}))
        self.inverse_link = OUTPUTS[self.loss.output]
        gradient = Params(params.units, params.dtype, normed=params.normed)
        self.gradient = gradient.vector
        shared = mask_sharing == "batch"
        large = batch_size >= THIN_ROWS and batch_size * params.weights.size >= THIN_WORK
        noises = _noises(params, specs, shared, thin=shared and large and not batch_norm, batch_norm=batch_norm)
        self.layers = list(_layers(params, gradient, specs, noises, batch_norm, moments, batch_size))
        # nothing needs the gradient with respect to X: the noise on it, if any, has no backward pass
        self._backward_layers = [layer for layer in reversed(self.layers) if layer is not noises[0]]
        self.noises = [noise for noise in noises if noise is not None]
        self._thin_noises = [noise for noise in self.noises if isinstance(noise, ThinNoise)]
        ends = np.cumsum([0, *(W.size for W in params.coefs)]).tolist()
        affines = [layer for layer in self.layers if isinstance(layer, Affine)]
        self._weights = [(*ends, layer) for ends, layer in zip(pairwise(ends), affines, strict=True)]

    def loss_and_grad(self, X, Y, sample_weight, rng):
        """Return the data term and the penalty of the objective, and write the gradient into ``gradient``.

        The parameters are those of ``data_loss_and_grad``.
        """
        data, weight_sum = self.data_loss_and_grad(X, Y, sample_weight, rng)
        return data, self.add_penalty(weight_sum)

    def data_loss_and_grad(self, X, Y, sample_weight, rng):
        """Return the data term and the sum of the weights, and write the gradient of the data term into ``gradient``.

        Helper threads may still compute products of the gradient. A part is complete after ``add_penalty_to``, and the
        whole gradient after ``threads.wait``.

        Parameters
        ----------
        X : ndarray or CSR of shape (n, n_features), of the dtype of the parameters
        Y : ndarray
            Targets of the n rows, in the form that the loss expects.
        sample_weight : ndarray of shape (n,) with a positive sum, or None
        rng : Generator or None
            The mask stream; None when no layer has noise.
        """
        wait()  # for products of the last call, which read the buffers
        y = X
        for noise in self._thin_noises:  # before any forward pass: a layer must know which of its outputs are needed
            noise.draw(X, rng)
        for layer in self.layers:
            y = layer.forward(y, rng, sample_weight)
        self.inverse_link(y)
        data = self.loss.function(y, Y, sample_weight)
        d = y
        for layer in self._backward_layers:
            if not layer.keeps_output:
                wait()
            d = layer.backward(d)
        return data, float(len(y) if sample_weight is None else sample_weight.sum())

    def add_penalty(self, weight_sum):
        """Add the gradient of the penalty to ``gradient``, and return the penalty."""
        return in_chunks(partial(self.add_penalty_to, weight_sum), self.gradient.size, self.gradient.dtype)

    def add_penalty_to(self, weight_sum, part, scratch):
        """Complete the slice `part` of ``gradient``, add the gradient of the penalty, and return the penalty."""
        for start, stop, layer in self._weights:
            if layer.job is not None and start < part.stop and part.start < stop:
                wait(layer.job)
        return self.penalty.add(self.params.vector, self.gradient, weight_sum, part, scratch)

    def constrain(self):
        """Rescale the incoming weights of each hidden unit whose norm exceeds ``max_norm``."""
        if self.max_norm is not None:
            for W in self.params.coefs[:-1]:
                norms = np.sqrt(np.einsum("ij,ij->j", W, W))
                if (norms > self.max_norm).any():
                    norms[np.isinf(norms)] = np.nan  # overflow of the squares: dividing by inf would hide it
                    W *= self.max_norm / np.maximum(norms, self.max_norm)

    def recalibrate(self, batches, rng, keep_close):
        """Recompute the running moments from `batches`, after a user has assigned weights.

        Scales and shifts are adjusted so that predictions do not change. With `keep_close`, moments that are close to
        those of the batches stay the same.
        """
        norms = [layer for layer in self.layers if isinstance(layer, BatchNorm)]
        for norm in norms:
            norm.freeze()
        for X, _, sample_weight in batches:
            y = X
            for layer in self.layers:
                forward = layer.forward_frozen if layer in norms else layer.forward
                y = forward(y, rng, sample_weight)
        for norm in norms:
            norm.unfreeze(keep_close)

    def scale_rates(self, factor):
        """Set the dropout rates to `factor` times the rates of the specifications."""
        for noise in self.noises:
            noise.scale_rate(factor)


def _noises(params, specs, shared, thin, batch_norm):
    """Return the noise on the input of each layer, or None; with `thin`, noise with zeros thins the network."""
    noises = []
    for i, spec in enumerate(specs):
        kind = DROPOUTS[spec.dropout]
        is_mask = issubclass(kind, Masking) and kind.is_plain()
        if spec.rate == 0:
            noises.append(None)
        elif thin and is_mask and spec.rate >= THIN_RATE:
            noises.append(ThinNoise(spec, params.dtype, params.units[i], is_input=i == 0))
        else:
            follows_relu = i > 0 and ACTIVATIONS[specs[i - 1].activation].forward is relu
            after_relu = is_mask and follows_relu and batch_norm != "after_activation"
            noises.append(Noise(spec, params.dtype, shared, after_relu))
    return noises


def _layers(params, gradient, specs, noises, batch_norm, moments, batch_size):
    """Yield the layers of the network, first to last."""
    thin_noises = [noise if isinstance(noise, ThinNoise) else None for noise in noises]

    def norm(i):
        views = params.scales[i], params.shifts[i], gradient.scales[i], gradient.shifts[i]
        return BatchNorm(*views, moments[i], batch_size)

    def affine(i):
        views = params.coefs[i], params.intercepts[i], gradient.coefs[i], gradient.intercepts[i]
        before, after = thin_noises[i], None if i == len(specs) - 1 else thin_noises[i + 1]
        if before is None and after is None:
            return Affine(*views, batch_size, input_gradient=i > 0)
        return ThinAffine(*views, batch_size, i > 0, before, after)

    for i, spec in enumerate(specs):
        if noises[i] is not None:
            yield noises[i]
        if batch_norm == "after_dropout" and i > 0:
            yield norm(i - 1)
        yield affine(i)
        if i < len(specs) - 1:
            if batch_norm == "before_activation":
                yield norm(i)
            if spec.activation != "identity":
                yield Activate(spec.activation, params.dtype)
            if batch_norm == "after_activation":
                yield norm(i)

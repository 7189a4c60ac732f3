"""Layers for training: forward and backward passes."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse

from .activations import ACTIVATIONS
from .buffers import GrowingBuffer
from .dropout import DROPOUTS
from .dropout.alpha import Alpha
from .dropout.base import Multiplicative
from .products import dot, dot_later, sparse_gradient

MOMENTUM = 0.1  # weight of a new batch in the running moments, after the first ten batches; as in PyTorch
EPSILON = 1e-5  # added to the variance by batch normalization, as in PyTorch


class LayerSpec(NamedTuple):
    """Width and activation of a layer, and the dropout on its input."""

    units: int
    activation: str
    dropout: str = "bernoulli"
    rate: float = 0.0
    groups: np.ndarray | None = None


class Noise:
    """Dropout on the input of a layer. At rate 0 it does nothing and draws no random numbers.

    Parameters
    ----------
    spec : LayerSpec
    dtype : numpy dtype
    shared : bool
        Whether the rows of a batch share one mask.
    after_relu : bool, default=False
        Whether the noise is a mask that directly follows a ReLU. If the mask is boolean, its product overwrites the
        output of the ReLU. The derivative of the ReLU, 1 where its output is above 0, then includes the mask.
    """

    def __init__(self, spec, dtype, shared, after_relu=False):
        self.base_rate = self.rate = spec.rate
        self.dropout = DROPOUTS[spec.dropout](spec.rate, dtype, spec.groups, shared)
        self.after_relu, self.merged = after_relu, False
        self.keeps_output = type(self.dropout).backward in {Multiplicative.backward, Alpha.backward}

    def scale_rate(self, factor):
        """Set the rate to `factor` times the rate of the specification."""
        rate = self.base_rate * factor
        if rate not in (0, self.rate):
            self.dropout.set_rate(rate)
        self.rate = rate

    def forward(self, x, rng, sample_weight):
        if self.rate == 0:
            return x
        if not self.after_relu:
            return self.dropout.forward(x, rng)
        noise = self.dropout.draw(x, rng)
        self.merged = noise.dtype == bool
        return self.dropout.apply(x, noise, out=x if self.merged else None)

    def backward(self, d):
        if self.rate == 0:
            return d
        if self.merged:
            d *= self.dropout.scale
            return d
        return self.dropout.backward(d)


class Affine:
    """y = x W + b.

    Contract of a layer
    -------------------
    ``forward(x, rng, sample_weight)`` returns y. It writes only into the buffers of this layer; ``Activate``, and
    ``Noise`` after a ReLU, have none and overwrite the buffer of the previous layer. ``backward(d)`` takes dL/dy,
    returns dL/dx and computes the gradients of the parameters; it may overwrite d. A batch of n rows uses the first n
    rows of each buffer. The gradient of W may be computed after ``backward``, until ``threads.wait(job)``.
    ``keeps_output`` tells whether ``backward`` leaves y, which that product may read, unchanged.

    Parameters
    ----------
    W, b : ndarray of shape (n_in, n_out) and (n_out,)
        Weights and biases, views into the parameter vector.
    dW, db : ndarray of the same shapes
        Views into the gradient vector, overwritten by ``backward``.
    batch_size : int
        Maximum number of rows of a batch.
    input_gradient : bool
        Whether ``backward`` computes dL/dx; False for the first layer.
    """

    keeps_output = True
    job = None  # that computes the gradient of W

    def __init__(self, W, b, dW, db, batch_size, input_gradient):
        self.W, self.b, self.dW, self.db, self.input_gradient = W, b, dW, db, input_gradient
        n_in, n_out = W.shape
        self.y = np.empty((batch_size, n_out), W.dtype)
        self.dx = np.empty((batch_size, n_in), W.dtype) if input_gradient else None
        self.ones = np.ones(batch_size, W.dtype)  # a product with ones sums columns twice as fast as sum()

    def forward(self, x, rng, sample_weight):
        self.x = x
        y = self.y[: x.shape[0]]
        if issparse(x):
            y[:] = x @ self.W
        else:
            dot(x, self.W, out=y)
        y += self.b
        return y

    def backward(self, d):
        n = len(d)
        if issparse(self.x):
            sparse_gradient(self.x, d, out=self.dW)
        else:
            self.job = dot_later(self.x.T, d, out=self.dW)
        np.dot(self.ones[:n], d, out=self.db)
        return dot(d, self.W.T, out=self.dx[:n]) if self.input_gradient else None


class Activate:
    """y = f(z), in place: z is the buffer of a layer that does not read its output again."""

    keeps_output = True

    def __init__(self, name, dtype):
        self.activation = ACTIVATIONS[name]
        self.derivative_buffer = GrowingBuffer(bool if self.activation.binary_derivative else dtype)
        self.z_buffer = GrowingBuffer(dtype) if self.activation.from_input else None

    def forward(self, z, rng, sample_weight):
        self.saved = z  # y or a copy of z, for the backward pass
        if self.z_buffer is not None:
            self.saved = self.z_buffer(z.shape)
            self.saved[:] = z
        self.activation.forward(z)
        return z

    def backward(self, d):
        if self.activation.derivative is None:  # an identity registered under another name
            return d
        derivative = self.derivative_buffer(d.shape)
        self.activation.derivative(self.saved, derivative)
        d *= derivative
        return d


class BatchNorm:
    """y = γ x̂ + β,  x̂ = (x - µ) / √(v + ε), where µ and v are the mean and variance of each unit over the batch.

    Both are weighted, µ = sum_i w_i x_i / sum_i w_i and v likewise, so that weight k equals k rows. A batch with only
    one row of nonzero weight has no variance and is normalized by the running moments. ``forward`` updates these: they
    are the mean over the first batches, then an exponential moving average with `MOMENTUM`; a short batch counts less.

    Parameters
    ----------
    scale, shift, dscale, dshift : ndarray of shape (n_units,)
        γ and β, views into the parameter vector, and their gradients.
    moments : (ndarray, ndarray, ndarray), of shapes (n_units,), (n_units,) and ()
        Running mean, running variance and number of batches seen, updated in place.
    batch_size : int

    References
    ----------
    S. Ioffe and C. Szegedy (2015). Batch Normalization. ICML.
    """

    keeps_output = False

    def __init__(self, scale, shift, dscale, dshift, moments, batch_size):
        self.scale, self.shift, self.dscale, self.dshift, self.moments = scale, shift, dscale, dshift, moments
        self.centered, self.y = (np.empty((batch_size, len(scale)), scale.dtype) for _ in range(2))
        self.ones = np.ones(batch_size, scale.dtype)

    def forward(self, x, rng, sample_weight):
        n = len(x)
        centered, y = self.centered[:n], self.y[:n]
        weights = self.ones[:n] if sample_weight is None else sample_weight
        self.single_row = np.count_nonzero(weights) == 1
        self.row_weights = weights / weights.sum()
        if self.single_row:
            mean, variance, _ = self.moments
            np.subtract(x, mean, out=centered)
        else:
            mean = self.row_weights @ x
            np.subtract(x, mean, out=centered)
            np.multiply(centered, centered, out=y)
            variance = self.row_weights @ y
            self._update_moments(mean, variance, n / len(self.y))
        variance = variance + EPSILON
        self.inverse_std = np.sqrt(variance) / variance  # unlike 1 / √, NaN instead of 0 if the variance overflows
        np.multiply(centered, self.scale * self.inverse_std, out=y)
        y += self.shift
        return y

    def _update_moments(self, mean, variance, fraction):
        """Update the running moments by those of a batch that has a `fraction` of the maximum number of rows."""
        running_mean, running_variance, n_seen = self.moments
        n_seen += fraction
        step = fraction * max(MOMENTUM, 1 / float(n_seen))
        for running, new in ((running_mean, mean), (running_variance, variance)):
            running *= 1 - step
            running += step * new

    def backward(self, d):
        n = len(d)
        centered, product = self.centered[:n], self.y[:n]  # y is no longer needed
        np.multiply(d, centered, out=product)
        np.dot(self.ones[:n], d, out=self.dshift)
        np.dot(self.ones[:n], product, out=self.dscale)
        self.dscale *= self.inverse_std
        if not self.single_row:  # µ and v depend on x
            centered *= self.dscale * self.inverse_std
            centered += self.dshift
            centered *= self.row_weights[:, np.newaxis]
            d -= centered
        d *= self.scale * self.inverse_std
        return d

    def freeze(self):
        """Freeze  y = k x + c  at the running moments, and reset these."""
        self.frozen = next(inference_scale_shift([self.scale], [self.shift], [self.moments]))
        self.frozen_moments = self.moments
        self.moments = tuple(np.zeros_like(moment) for moment in self.moments)

    def forward_frozen(self, x, rng, sample_weight):
        """Return the frozen k x + c, and update the running moments as in training."""
        k, c = self.frozen
        self.forward(x, rng, sample_weight)
        y = np.multiply(x, k, out=self.y[: len(x)])
        y += c
        return y

    def unfreeze(self, keep_close):
        """Set scale and shift so that k and c stay the same at the new moments, if any batch had a variance.

        With `keep_close`, skip units whose mean has moved by at most half a standard deviation and whose variance has
        changed by at most a factor of 2.
        """
        (k, c), (mean, variance, n_seen) = self.frozen, self.moments
        self.moments = self.frozen_moments
        if n_seen == 0:
            return
        old_mean, old_variance, old_n_seen = self.frozen_moments
        old_std = np.sqrt(old_variance + EPSILON)
        std = np.sqrt(variance + EPSILON)
        close = (np.abs(mean - old_mean) <= old_std / 2) & (np.abs(np.log2(std / old_std)) <= 0.5)
        changed = ~close if keep_close else np.ones_like(close)
        old_mean[changed], old_variance[changed] = mean[changed], variance[changed]
        old_n_seen[...] = old_n_seen if keep_close else n_seen
        self.scale[changed] = (k * std)[changed]
        self.shift[changed] = (c + mean * k)[changed]


def fold(params, moments, batch_norm):
    """Return weights and biases that include batch normalization at its running moments.

    Before the activation, k = γ / √(v + ε) scales the incoming weights of a unit; after it, the outgoing weights.
    """
    coefs, intercepts = [W.copy() for W in params.coefs], [b.copy() for b in params.intercepts]
    for i, (k, c) in enumerate(inference_scale_shift(params.scales, params.shifts, moments)):
        if batch_norm == "before_activation":
            coefs[i] *= k
            intercepts[i] *= k
            intercepts[i] += c
        else:
            # not c @ W: BLAS results depend on the number of threads, and equal parameters must fold to equal bits
            intercepts[i + 1] += (c[:, np.newaxis] * coefs[i + 1]).sum(axis=0)
            coefs[i + 1] *= k[:, np.newaxis]
    return coefs, intercepts


def unfold(coefs, intercepts, params, moments, batch_norm):
    """Set the weights and biases of `params` to those that ``fold`` to the given ones.

    Scales, shifts and moments do not change, except where k is 0 or too small to divide by: there, scale and shift
    are set such that normalization by the running moments is the identity, and the function returns False.
    """
    invertible = True
    for W, b, new_W, new_b in zip(params.coefs, params.intercepts, coefs, intercepts, strict=True):
        W[:], b[:] = new_W, new_b
    for i, (k, c) in enumerate(inference_scale_shift(params.scales, params.shifts, moments)):
        if batch_norm == "before_activation":
            largest = np.maximum(np.abs(coefs[i]).max(axis=0), np.abs(intercepts[i] - c))
        else:
            largest = np.abs(coefs[i + 1]).max(axis=1)
        with np.errstate(all="ignore"):
            singular = ~np.isfinite(largest / k / k)  # the variance must be finite too
        mean, variance, *_ = moments[i]
        params.scales[i][singular] = np.sqrt(variance + EPSILON)[singular]
        params.shifts[i][singular] = mean[singular]
        k[singular], c[singular] = 1, 0
        invertible &= not singular.any()
        if batch_norm == "before_activation":
            params.coefs[i] /= k
            params.intercepts[i] -= c
            params.intercepts[i] /= k
        else:
            params.coefs[i + 1] /= k[:, np.newaxis]
            params.intercepts[i + 1] -= (c[:, np.newaxis] * params.coefs[i + 1]).sum(axis=0)
    return invertible


def inference_scale_shift(scales, shifts, moments):
    """Yield k and c of batch normalization at its running moments, y = k x + c, for each hidden layer."""
    for scale, shift, (mean, variance, *_) in zip(scales, shifts, moments, strict=True):
        k = scale / np.sqrt(variance + EPSILON)
        yield k, shift - mean * k

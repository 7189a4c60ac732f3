"""Layers for training: forward and backward on one screen."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse

from .activations import ACTIVATIONS
from .buffers import Room
from .dropout import DROPOUTS

MOMENTUM = 0.1  # weight of a new batch in the running moments, once there are ten of them; PyTorch's
EPSILON = 1e-5  # added to the variance by batch normalisation, as in PyTorch


class LayerSpec(NamedTuple):
    """What a layer is: its width, its activation and the dropout on its input."""

    units: int
    activation: str
    dropout: str = "bernoulli"
    rate: float = 0.0
    groups: np.ndarray | None = None


class Noise:
    """The dropout on the input of a layer. At rate 0 it does nothing and draws nothing.

    Parameters
    ----------
    spec : LayerSpec
    dtype : numpy dtype
    shared : bool
        Whether the rows of a batch share one mask.
    after_relu : bool, default=False
        Whether masking noise directly follows a ReLU. If the mask is boolean, the noise then overwrites the buffer of
        the ReLU. The slope of the ReLU, 1 where its output is above 0, then includes the mask: one mask for both.
    """

    def __init__(self, spec, dtype, shared, after_relu=False):
        self.base_rate = self.rate = spec.rate
        self.dropout = DROPOUTS[spec.dropout](spec.rate, dtype, spec.groups, shared)
        self.after_relu, self.merged = after_relu, False

    def scale_rate(self, factor):
        """Set the rate to a multiple of that in the specification."""
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

    Laws of a layer
    ---------------
    ``forward(x, rng, sample_weight)`` writes only buffers of this layer (``Activate``, and ``Noise`` after a ReLU, have
    none and write into that of the layer before); ``backward(d)``, from dL/dy to dL/dx and the gradients of the
    parameters, may overwrite d. A short batch of n rows uses the first n rows of each buffer.

    Parameters
    ----------
    W, b : ndarray of shape (n_in, n_out) and (n_out,)
        Weights and biases, views into the parameter vector.
    dW, db : ndarray of the same shapes
        Views into the gradient vector, overwritten by backward.
    batch_size : int
        Most rows of a batch.
    input_gradient : bool
        False for the first layer, whose input needs none.
    """

    def __init__(self, W, b, dW, db, batch_size, input_gradient):
        self.W, self.b, self.dW, self.db, self.input_gradient = W, b, dW, db, input_gradient
        n_in, n_out = W.shape
        self.y = np.empty((batch_size, n_out), W.dtype)
        self.dx = np.empty((batch_size, n_in), W.dtype) if input_gradient else None
        self.ones = np.ones(batch_size, W.dtype)  # a product with ones sums columns in half the time of sum()

    def forward(self, x, rng, sample_weight):
        self.x = x
        y = self.y[: x.shape[0]]
        if issparse(x):
            y[:] = x @ self.W
        else:
            np.dot(x, self.W, out=y)
        y += self.b
        return y

    def backward(self, d):
        n = len(d)
        if issparse(self.x):
            self.dW[:] = self.x.T @ d
        else:
            np.dot(self.x.T, d, out=self.dW)
        np.dot(self.ones[:n], d, out=self.db)
        return np.dot(d, self.W.T, out=self.dx[:n]) if self.input_gradient else None


class Activate:
    """y = f(z), in place: what it is handed is the buffer of a layer that does not read its output again."""

    def __init__(self, name, dtype):
        self.activation = ACTIVATIONS[name]
        self.slope = Room(bool if self.activation.boolean else dtype)
        self.z = Room(dtype) if self.activation.of_input else None

    def forward(self, z, rng, sample_weight):
        self.seen = z
        if self.z is not None:
            self.seen = self.z(z.shape)
            self.seen[:] = z
        self.activation.forward(z)
        return z

    def backward(self, d):
        if self.activation.slope is None:  # an identity registered by another name
            return d
        slope = self.slope(d.shape)
        self.activation.slope(self.seen, slope)
        d *= slope
        return d


class BatchNorm:
    """y = γ x̂ + β,  x̂ = (x - µ) / √(v + ε), µ and v being mean and variance of each unit over the batch.

    Rows count by their weights: µ = sum_i w_i x_i / sum_i w_i, and v alike, so that weight k is k rows. A batch of one
    row, weights of 0 left aside, has no variance: it is normalised by the running moments. Forward moves these
    towards those of the batch: to the mean over the first batches, then by `MOMENTUM`; a short batch moves them less.

    Parameters
    ----------
    scale, shift, dscale, dshift : ndarray of shape (n_units,)
        γ and β, views into the parameter vector, and their gradients.
    moments : (ndarray, ndarray, ndarray), of shapes (n_units,), (n_units,) and ()
        The running mean and variance and the batches they have seen, updated in place.
    batch_size : int

    References
    ----------
    S. Ioffe and C. Szegedy (2015). Batch Normalization. ICML.
    """

    def __init__(self, scale, shift, dscale, dshift, moments, batch_size):
        self.scale, self.shift, self.dscale, self.dshift, self.moments = scale, shift, dscale, dshift, moments
        self.centred, self.y = (np.empty((batch_size, len(scale)), scale.dtype) for _ in range(2))
        self.ones = np.ones(batch_size, scale.dtype)

    def forward(self, x, rng, sample_weight):
        n = len(x)
        centred, y = self.centred[:n], self.y[:n]
        weights = self.ones[:n] if sample_weight is None else sample_weight
        self.alone = np.count_nonzero(weights) == 1
        self.share = weights / weights.sum()
        if self.alone:
            mean, variance, _ = self.moments
            np.subtract(x, mean, out=centred)
        else:
            mean = self.share @ x
            np.subtract(x, mean, out=centred)
            np.multiply(centred, centred, out=y)
            variance = self.share @ y
            self._update_moments(mean, variance, n / len(self.y))
        variance = variance + EPSILON
        self.inverse = np.sqrt(variance) / variance  # not 1 / √: of a variance that overflows it is NaN, not 0
        np.multiply(centred, self.scale * self.inverse, out=y)
        y += self.shift
        return y

    def _update_moments(self, mean, variance, part):
        running_mean, running_variance, n_seen = self.moments
        n_seen += part
        step = part * max(MOMENTUM, 1 / float(n_seen))
        for running, now in ((running_mean, mean), (running_variance, variance)):
            running *= 1 - step
            running += step * now

    def backward(self, d):
        n = len(d)
        centred, product = self.centred[:n], self.y[:n]  # no one reads y any more
        np.multiply(d, centred, out=product)
        np.dot(self.ones[:n], d, out=self.dshift)
        np.dot(self.ones[:n], product, out=self.dscale)
        self.dscale *= self.inverse
        if not self.alone:  # µ and v depend on x
            centred *= self.dscale * self.inverse
            centred += self.dshift
            centred *= self.share[:, np.newaxis]
            d -= centred
        d *= self.scale * self.inverse
        return d

    def hold(self):
        """Fix  y = k x + c  at the running moments, and start new moments."""
        self.fixed, self.known = next(at_rest([self.scale], [self.shift], [self.moments])), self.moments
        self.moments = tuple(np.zeros_like(moment) for moment in self.moments)

    def forward_held(self, x, rng, sample_weight):
        """Return k x + c, and update the running moments as in training."""
        k, c = self.fixed
        self.forward(x, rng, sample_weight)
        y = np.multiply(x, k, out=self.y[: len(x)])
        y += c
        return y

    def release(self, keep_close):
        """Set scale and shift so that k and c stay the same at the new moments, if any batch had a variance.

        With `keep_close`, skip units whose mean has moved by at most half a standard deviation and whose variance has
        changed by at most a factor of 2.
        """
        (k, c), (mean, variance, n_seen), self.moments = self.fixed, self.moments, self.known
        if n_seen == 0:
            return
        known_mean, known_variance, known_n = self.known
        known_width = np.sqrt(known_variance + EPSILON)
        width = np.sqrt(variance + EPSILON)
        close = (np.abs(mean - known_mean) <= known_width / 2) & (np.abs(np.log2(width / known_width)) <= 0.5)
        far = ~close if keep_close else np.ones_like(close)
        known_mean[far], known_variance[far] = mean[far], variance[far]
        known_n[...] = known_n if keep_close else n_seen
        self.scale[far] = (k * width)[far]
        self.shift[far] = (c + mean * k)[far]


def fold(params, moments, batch_norm):
    """Weights and biases of the network whose batch normalisation, at its running moments, is part of the affine maps.

    Before the activation  k = γ / √(v + ε)  scales what leads to a unit, and after it what leads away from it.
    """
    coefs, intercepts = [W.copy() for W in params.coefs], [b.copy() for b in params.intercepts]
    for i, (k, c) in enumerate(at_rest(params.scales, params.shifts, moments)):
        if batch_norm == "before_activation":
            coefs[i] *= k
            intercepts[i] *= k
            intercepts[i] += c
        else:
            # not c @ W: BLAS results depend on its threads, and equal parameters must fold to equal bits here
            intercepts[i + 1] += (c[:, np.newaxis] * coefs[i + 1]).sum(axis=0)
            coefs[i + 1] *= k[:, np.newaxis]
    return coefs, intercepts


def unfold(coefs, intercepts, params, moments, batch_norm):
    """Set the weights and biases of `params` to those that fold to the given ones: the inverse of ``fold``.

    Scales, shifts and moments do not change. Where k is 0, or too small to divide by, scale and shift become those of
    the identity at the running moments, and the function returns False.
    """
    invertible = True
    for W, b, new_W, new_b in zip(params.coefs, params.intercepts, coefs, intercepts, strict=True):
        W[:], b[:] = new_W, new_b
    for i, (k, c) in enumerate(at_rest(params.scales, params.shifts, moments)):
        if batch_norm == "before_activation":
            largest = np.maximum(np.abs(coefs[i]).max(axis=0), np.abs(intercepts[i] - c))
        else:
            largest = np.abs(coefs[i + 1]).max(axis=1)
        with np.errstate(all="ignore"):
            lost = ~np.isfinite(largest / k / k)  # the variance must be finite too
        mean, variance, *_ = moments[i]
        params.scales[i][lost] = np.sqrt(variance + EPSILON)[lost]
        params.shifts[i][lost] = mean[lost]
        k[lost], c[lost] = 1, 0
        invertible &= not lost.any()
        if batch_norm == "before_activation":
            params.coefs[i] /= k
            params.intercepts[i] -= c
            params.intercepts[i] /= k
        else:
            params.coefs[i + 1] /= k[:, np.newaxis]
            params.intercepts[i + 1] -= (c[:, np.newaxis] * params.coefs[i + 1]).sum(axis=0)
    return invertible


def at_rest(scales, shifts, moments):
    """Batch normalisation of each hidden layer at its running moments: k and c of  y = k x + c."""
    for scale, shift, (mean, variance, *_) in zip(scales, shifts, moments, strict=True):
        k = scale / np.sqrt(variance + EPSILON)
        yield k, shift - mean * k

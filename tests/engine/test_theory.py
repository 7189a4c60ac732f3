"""Theoretical results of Srivastava et al. (2014, sections 9.1 and 10). Thresholds are five sigma."""

import itertools

import numpy as np
import pytest
from helpers import stream
from scipy.special import log_softmax

from skdropout.engine.activations import softmax
from skdropout.engine.backprop import Backprop
from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.dropout.base import Multiplicative
from skdropout.engine.dropout.bernoulli import Bernoulli
from skdropout.engine.layers import LayerSpec
from skdropout.engine.network import Network
from skdropout.engine.params import Params

N, D = 8, 3
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(N, D)), rng.normal(size=(N, 1))
W, B = rng.normal(size=(D, 1)), np.array([0.3])


UNBIASED = [name for name, kind in DROPOUTS.items() if issubclass(kind, Multiplicative)]


def linear_network(rate, kind="bernoulli", copies=1):
    params = Params.pack([W], [B], np.float64)
    return Backprop(params, [LayerSpec(1, "identity", kind, rate)], "squared_error", N * copies)


def forward(backprop, x, rng):
    for layer in backprop.layers:
        x = layer.forward(x, rng, None)
    return x


class Replay:
    """A mask stream that returns given masks: one bit per unit for a rate of 1/2, otherwise one byte."""

    def __init__(self, keep, rate):
        keep = np.ravel(keep)
        values = np.packbits(keep) if rate == 0.5 else np.where(keep, 255, 0).astype(np.uint8)
        self.values = np.concatenate([values, np.zeros(-len(values) % 8, np.uint8)])
        self.bit_generator = self

    def random_raw(self, size):
        assert 8 * size == len(self.values)
        return self.values.view(np.uint64)


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.75])
def test_input_dropout_of_linear_model_is_ridge(rate):
    """Averaged over all 2^D masks: E loss = ½ (|y - Xw - b|² + p/q sum_j (sum_i x_ij²) w_j²) / N."""
    backprop, q = linear_network(rate), 1 - rate
    loss = gradient = 0.0
    for keep in itertools.product((0, 1), repeat=D):
        probability = np.prod([q if k else rate for k in keep])
        value, _ = backprop.loss_and_grad(X, Y, None, Replay(np.tile(keep, (N, 1)), rate))
        loss += probability * value
        gradient = gradient + probability * backprop.gradient
    residual = X @ W + B - Y
    squares = (X**2).sum(0)[:, np.newaxis]
    assert loss == pytest.approx(0.5 * (np.sum(residual**2) + rate / q * np.sum(squares * W**2)) / N, rel=1e-12)
    expected = (X.T @ residual + rate / q * squares * W) / N
    np.testing.assert_allclose(gradient[:D], expected.ravel(), rtol=1e-12)


@pytest.mark.parametrize("kind", UNBIASED)
def test_expected_gradient_of_linear_model_is_ridge(kind):
    rate, copies = 0.3, 4000
    backprop = linear_network(rate, kind)
    gradients = np.empty((copies, D + 1))
    noise = stream(5)
    for sample in gradients:
        backprop.loss_and_grad(X, Y, None, noise)
        sample[:] = backprop.gradient
    residual = X @ W + B - Y
    variance_of_unit = DROPOUTS[kind](rate, np.float64).variance(np.ones(1))[0]
    expected = (X.T @ residual + variance_of_unit * (X**2).sum(0)[:, np.newaxis] * W).ravel() / N
    sigma = gradients.std(0, ddof=1) / np.sqrt(copies)
    assert (np.abs(gradients.mean(0) - [*expected, residual.mean()]) < 5 * sigma).all()


@pytest.mark.parametrize("kind", UNBIASED)
def test_mean_of_linear_stochastic_passes_is_prediction(kind):
    copies = 20_000
    backprop = linear_network(0.4, kind, copies)
    rows = np.tile(X, (copies, 1))
    passes = forward(backprop, rows, stream(5)).reshape(copies, N)
    prediction = Network([W], [B], (), "identity").predict(X).ravel()
    sigma = passes.std(0, ddof=1) / np.sqrt(copies)
    assert (np.abs(passes.mean(0) - prediction) < 5 * sigma).all()


def test_weight_scaling_is_geometric_mean_before_softmax():
    """The normalized geometric mean of all 32 subnetworks of 5 units with dropout 0.5 before the softmax."""
    h, V, c = rng.random((N, 5)), rng.normal(size=(5, 4)), rng.normal(size=4)
    backprop = Backprop(Params.pack([V], [c], float), [LayerSpec(4, "identity", rate=0.5)], "log_loss", N)
    logs = [
        log_softmax(forward(backprop, h, Replay(np.tile(keep, (N, 1)), 0.5)), axis=1)
        for keep in itertools.product((0, 1), repeat=5)
    ]
    mean = np.mean(logs, axis=0)
    softmax(mean)
    np.testing.assert_allclose(mean, Network([V], [c], (), "softmax").predict(h), rtol=1e-12)


def test_classic_dropout_is_rescaled_inverted_dropout():
    """SGD with Hinton's dropout (unscaled masks, weights times q at test time), weights W/q and learning rate / q²."""
    rate = q = 0.5
    inverted = Params.pack([W], [B], float)
    backprop = Backprop(inverted, [LayerSpec(1, "identity", rate=rate)], "squared_error", N)
    classic_W, classic_b, learning_rate, masks = W / q, B.copy(), 0.1, np.random.default_rng(3)
    for _ in range(20):
        keep = masks.random((N, D)) < q
        backprop.loss_and_grad(X, Y, None, Replay(keep, rate))
        inverted.vector -= learning_rate * backprop.gradient
        residual = (X * keep) @ classic_W + classic_b - Y
        classic_W -= learning_rate / q**2 * (X * keep).T @ residual / N
        classic_b = classic_b - learning_rate * residual.mean(0)
    # W_inverted = q W_classic; a step on W_classic of lr / q² is q · lr / q² · (q of the scale) = lr on W_inverted
    np.testing.assert_allclose(inverted.coefs[0], q * classic_W, rtol=1e-12)
    np.testing.assert_allclose(inverted.intercepts[0], classic_b, rtol=1e-12)


def test_bernoulli_known_values():
    """Kept units and scale for masks from given uniform numbers."""
    u = np.array([[0.05, 0.3, 0.71, 0.99], [0.2, 0.1, 0.5, 0.84]])
    h = np.array([[1, -2, 3, 4], [0.5, 0.6, -0.7, 0.8]])
    for rate, expected in {
        0.5: [[0, 0, 6, 8], [0, 0, -1.4, 1.6]],
        0.25: [[0, -8 / 3, 4, 16 / 3], [0, 0, -2.8 / 3, 3.2 / 3]],
    }.items():
        got = Bernoulli(rate, np.float64).forward(h, Replay(u >= rate, rate))
        np.testing.assert_allclose(got, expected, rtol=1e-15)

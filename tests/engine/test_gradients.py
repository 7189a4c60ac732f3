"""Gradients of networks by central differences with replayed noise, and of kernels by the complex step method."""

import itertools

import numpy as np
import pytest
from scipy import sparse
from scipy.special import erf

from skdropout.engine.activations import ACTIVATIONS, OUTPUTS, columns_per_output
from skdropout.engine.backprop import Backprop
from skdropout.engine.dropout import DROPOUTS, bernoulli
from skdropout.engine.initializers import initialize
from skdropout.engine.layers import LayerSpec
from skdropout.engine.losses import LOSSES
from skdropout.engine.params import Params

N_ROWS, N_FEATURES = 7, 5


def targets(loss, rng, n_outputs=3):
    if loss == "log_loss":
        return rng.integers(n_outputs, size=N_ROWS)
    if loss == "binary_log_loss":
        return rng.random((N_ROWS, n_outputs)) < 0.5
    if loss == "poisson":
        return rng.poisson(2.0, size=(N_ROWS, n_outputs)).astype(float)
    return rng.normal(size=(N_ROWS, n_outputs))


def directional_error(specs, loss, X, weighted, seed=0, **options):
    """Return the relative error of the gradient along a random direction, compared with a central difference."""
    rng = np.random.default_rng(seed)
    options = {"alpha": 0.3} | options
    params = Params([N_FEATURES, *(spec.units for spec in specs)], np.float64, normed="batch_norm" in options)
    initialize(params, ["tanh"] * len(specs), np.random.RandomState(seed))
    for scale, shift in zip(params.scales, params.shifts, strict=True):
        scale[:], shift[:] = rng.uniform(0.5, 2, scale.size), rng.normal(size=shift.size)
    if params.normed:
        moments = [(rng.normal(size=n), rng.uniform(0.5, 2, n), np.zeros(())) for n in params.units[1:-1]]
        options["moments"] = [tuple(m.copy() for m in pair) for pair in moments]
    Y = targets(loss, rng, specs[-1].units // columns_per_output(LOSSES[loss].output))[: X.shape[0]]
    weights = rng.uniform(0, 2, len(Y)) if weighted else None
    backprop = Backprop(params, specs, loss, N_ROWS + 3, **options)

    def value():
        return sum(backprop.loss_and_grad(X, Y, weights, np.random.Generator(np.random.SFC64(seed))))

    value()
    direction = rng.normal(size=params.vector.size)
    derivative, start, step = direction @ backprop.gradient, params.vector.copy(), 1e-6
    if loss == "gaussian_nll":
        backprop.loss = backprop.loss._replace(function=nll_with_constant_weights())
        value()
    params.vector[:] = start + step * direction
    above = value()
    params.vector[:] = start - step * direction
    return abs((above - value()) / (2 * step) - derivative) / abs(derivative)


def nll_with_constant_weights():
    """Return a Gaussian NLL with the weights σ of its first call: `gaussian_nll` returns its gradient there."""
    weights = []

    def function(P, Y, sample_weight):
        weights.append(np.exp(P[:, Y.shape[1] :] / 2))
        losses = _reference_loss("gaussian_nll", P, Y, weights[0])
        P[:] = 0
        return float(np.average(losses, weights=sample_weight))

    return function


def network(activation, kind, rate, n_outputs=3):
    return [
        LayerSpec(6, activation, kind, rate / 2),
        LayerSpec(4, activation, kind, rate),
        LayerSpec(n_outputs, "identity", kind, rate),
    ]


DENSE = np.random.default_rng(1).normal(size=(N_ROWS, N_FEATURES))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", DROPOUTS)
def test_network_gradient(loss, activation, kind):
    X_sparse = sparse.csr_array(DENSE * (DENSE > 0))
    for X, rate, weighted in itertools.product((DENSE, X_sparse), (0.0, 0.4), (False, True)):
        if kind == "alpha" and X is X_sparse:
            continue  # alpha dropout makes X dense; the estimators raise
        specs = network(activation, kind, rate, 3 * columns_per_output(LOSSES[loss].output))
        assert directional_error(specs, loss, X, weighted) < 1e-6


@pytest.mark.parametrize("position", ["before_activation", "after_activation", "after_dropout"])
@pytest.mark.parametrize("activation", ["tanh", "identity", "relu"])
@pytest.mark.parametrize("n_rows", [N_ROWS, 2, 1])
def test_batch_norm_gradient(position, activation, n_rows):
    for kind, rate, weighted in itertools.product(DROPOUTS, (0.0, 0.4), (False, True)):
        specs = network(activation, kind, rate)
        error = directional_error(specs, "squared_error", DENSE[:n_rows], weighted, batch_norm=position)
        assert error < 2e-6


@pytest.mark.parametrize("options", [{"l1_ratio": 1.0}, {"l1_ratio": 0.3}, {"alpha": 0.0}], ids=str)
def test_penalty_gradient(options):
    assert directional_error(network("tanh", "bernoulli", 0.4), "squared_error", DENSE, True, **options) < 1e-6


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        ("log_loss", {"smoothing": 0.2}),
        ("binary_log_loss", {"smoothing": 0.2}),
        ("quantile", {"level": 0.9}),
        ("huber", {"delta": 0.3}),
    ],
    ids=["log_loss", "binary_log_loss", "quantile", "huber"],
)
def test_loss_option_gradients(loss, options):
    for weighted in (False, True):
        specs = network("tanh", "bernoulli", 0.4)
        assert directional_error(specs, loss, DENSE, weighted, loss_options=options) < 1e-6


def test_check_detects_relative_error_of_1e_3(monkeypatch):
    specs = network("tanh", "bernoulli", 0.4)
    right = LOSSES["squared_error"].function

    def wrong(P, Y, sample_weight):
        loss = right(P, Y, sample_weight)
        P *= 1.001
        return loss

    monkeypatch.setitem(LOSSES, "squared_error", LOSSES["squared_error"]._replace(function=wrong))
    assert directional_error(specs, "squared_error", DENSE, weighted=False) > 1e-4


def test_check_detects_missing_mask_in_backward(monkeypatch):
    monkeypatch.setattr(bernoulli.Bernoulli, "backward", lambda self, d: d)
    assert directional_error(network("tanh", "bernoulli", 0.4), "squared_error", DENSE, weighted=False) > 1e-3


# References for the complex step method: the imaginary part of f(x + ih) is h f'(x), without cancellation.
H = 1e-30
COMPLEX_ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: z * (z.real > 0),
    "selu": lambda z: 1.0507009873554805 * np.where(z.real > 0, z, 1.6732632423543772 * (np.exp(z) - 1)),
    "elu": lambda z: np.where(z.real > 0, z, np.exp(z) - 1),
    "leaky_relu": lambda z: z * np.where(z.real > 0, 1, 0.01),
    "gelu": lambda z: z * (1 + erf(z / np.sqrt(2))) / 2,
    "silu": lambda z: z / (1 + np.exp(-z)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_kernels(name):
    activation, z = ACTIVATIONS[name], np.linspace(-6, 6, 100)
    reference = COMPLEX_ACTIVATIONS[name](z + 1j * H)
    y = z.copy()
    activation.forward(y)
    np.testing.assert_allclose(y, reference.real, rtol=1e-12, atol=1e-14)
    if activation.derivative is None:
        np.testing.assert_array_equal(reference.imag / H, 1)
    else:
        derivative = np.empty(z.shape, bool if activation.binary_derivative else float)
        activation.derivative(z if activation.from_input else y, derivative)
        np.testing.assert_allclose(derivative, reference.imag / H, rtol=1e-12, atol=1e-14)


def _reference_loss(name, Z, Y, term_weights=1.0):
    """Return the loss of each row from `Z`, the complex output before the output activation."""
    if name == "gaussian_nll":
        mean, log_variance = np.hsplit(Z, 2)
        return (term_weights * (log_variance + (mean - Y) ** 2 / np.exp(log_variance)) / 2).sum(1)
    R = Z - Y[:, np.newaxis] if Y.ndim < Z.ndim else Z - Y
    if name == "squared_error":
        return (R**2).sum(1) / 2
    if name == "absolute_error":
        return (R * np.sign(R.real)).sum(1)
    if name == "quantile":
        return (R * 0.5 * np.sign(R.real)).sum(1)
    if name == "huber":
        return np.where(np.abs(R.real) < 1.35, R**2 / 2, 1.35 * (R * np.sign(R.real) - 0.675)).sum(1)
    if name == "poisson":
        return (np.exp(Z) - Y * Z + np.where(Y > 0, Y * np.log(np.where(Y > 0, Y, 1)) - Y, 0)).sum(1)
    if name == "log_loss":
        return np.log(np.exp(Z).sum(1)) - Z[np.arange(len(Z)), Y]
    return (np.log(1 + np.exp(Z)) - Y * Z).sum(1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_loss_kernels(name, weighted):
    rng = np.random.default_rng(0)
    Z, Y = rng.normal(size=(N_ROWS, 3 * columns_per_output(LOSSES[name].output))), targets(name, rng)
    weights = rng.uniform(0, 2, N_ROWS) if weighted else None
    w = np.full(N_ROWS, 1 / N_ROWS) if weights is None else weights / weights.sum()
    P = Z.copy()
    OUTPUTS[LOSSES[name].output](P)
    loss = LOSSES[name].function(P, Y, weights)
    assert loss == pytest.approx(w @ _reference_loss(name, Z, Y), rel=1e-12)
    term_weights = np.exp(Z[:, 3:] / 2) if name == "gaussian_nll" else 1.0  # constants of the gradient
    for i, j in np.ndindex(Z.shape):
        step = np.zeros(Z.shape, complex)
        step[i, j] = 1j * H
        expected = (w @ _reference_loss(name, Z + step, Y, term_weights)).imag / H
        assert P[i, j] == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaussian_nll_at_the_variance_limits(dtype):
    """Beyond the limits, only a gradient that leads back remains."""
    P = np.zeros((6, 2), dtype)
    P[:, 1] = [-100, -100, 100, 100, -13.8, 13.8]
    Y = np.array([[0.0], [1.0], [0.0], [1e4], [0.0], [0.0]], dtype)
    OUTPUTS["gaussian"](P)
    limit = np.log(1e6)
    np.testing.assert_allclose(P[:, 1], [-limit, -limit, limit, limit, -13.8, 13.8], rtol=1e-6)
    squares = Y[:, 0].astype(float) ** 2 / np.exp(P[:, 1].astype(float))
    expected = (P[:, 1].astype(float) + squares) / 2
    assert LOSSES["gaussian_nll"].function(P, Y, None) == pytest.approx(expected.mean(), rel=1e-5)
    np.testing.assert_array_equal(np.sign(P[:, 1]), [0, -1, 1, 0, 1, 1])
    assert np.isfinite(P).all()


@pytest.mark.parametrize(
    ("z", "y", "expected"),
    [
        (-1000, 0, 0.0),  # P is 0
        (-95, 0, np.exp(-95.0)),  # subnormal in float32
        (-95, 2, 2 * (np.log(2) + 95) - 2),  # Y / P is infinite there
        (-1000, 2, np.inf),
        (1000, 0, np.inf),  # P is infinite
        (1000, 2, np.inf),
        (3, 0, np.exp(3.0)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@np.errstate(all="ignore")
def test_poisson_loss_at_float_range_limits(dtype, z, y, expected):
    P, Y = np.full((1, 2), z, dtype), np.full((1, 2), y, dtype)
    P[0, 1], Y[0, 1] = 0, 1  # its loss is 0
    OUTPUTS["exp"](P)
    exact = P - Y
    assert LOSSES["poisson"].function(P, Y, None) == pytest.approx(expected, rel=1e-5, abs=1e-44)
    np.testing.assert_array_equal(P, exact)

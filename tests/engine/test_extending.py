"""Custom dropout kinds, activations, initializers, losses, optimizers and schedules, registered by name."""

import pickle
import subprocess
import sys
from functools import partial
from math import pi

import joblib
import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from test_gradients import DENSE, directional_error, network

import skdropout.engine.backprop as backprop_module
from skdropout import Checkpoint, DropoutMLPClassifier, DropoutMLPRegressor, diagnose
from skdropout._sklearn import InvalidParameterError
from skdropout.engine.activations import ACTIVATIONS, OUTPUTS, Activation
from skdropout.engine.backprop import Backprop
from skdropout.engine.buffers import in_chunks
from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.dropout.base import Dropout, Masking
from skdropout.engine.initializers import INITIALIZERS, initialize
from skdropout.engine.layers import LayerSpec, Noise
from skdropout.engine.losses import LOSSES, Loss, _residual_to_gradient, _weighted_mean
from skdropout.engine.optimizers import OPTIMIZERS, no_penalty
from skdropout.engine.params import Params
from skdropout.engine.registry import Registry
from skdropout.engine.schedules import DROPOUT_SCHEDULES, LEARNING_RATES, Constant
from skdropout.engine.thinned import ThinNoise

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* has no effect with:UserWarning"),
]
rng = np.random.RandomState(0)
X = rng.normal(size=(90, 4))
y = X[:, 0] ** 2 + X[:, 1] + 0.1 * rng.normal(size=90)
LABELS = np.digitize(y, [0.5, 1.5])

TABLES = {
    "activation": ACTIVATIONS,
    "dropout_kind": DROPOUTS,
    "dropout_schedule": DROPOUT_SCHEDULES,
    "learning_rate": LEARNING_RATES,
    "loss": LOSSES,
    "solver": OPTIMIZERS,
}


def regressor(**params):
    defaults = {"hidden_layer_sizes": 6, "max_iter": 8, "batch_size": 30, "random_state": 0, "n_iter_no_change": 99}
    return DropoutMLPRegressor(**defaults | params)


# Dropout kinds


class Mask(Masking):
    """Bernoulli masks; tests override its methods."""

    def sample(self, x, rng):
        return self.keep.draw(x.size, rng)


def override(name, calls):
    """Return a subclass of `Mask` that overrides one method and records its calls."""
    inherited = getattr(Mask, name)

    def method(self, *args, **kwargs):
        calls.append(name)
        return inherited(self, *args, **kwargs)

    return type("Custom", (Mask,), {name: method})


METHODS = ["sample", "sample_units", "draw", "apply", "forward", "backward"]
PLACES = {
    "after relu": {},
    "after tanh": {"activation": "tanh"},
    "shared": {"mask_sharing": "batch"},
    "shared, with input noise": {"mask_sharing": "batch", "input_dropout": 0.3},
    "after batch norm": {"batch_norm": "after_activation"},
    "before batch norm": {"batch_norm": "after_dropout"},
    "two layers": {"hidden_layer_sizes": (6, 5), "dropout": (0.3, 0.4)},
    "two layers, shared": {"hidden_layer_sizes": (6, 5), "dropout": (0.3, 0.4), "mask_sharing": "batch"},
    "scheduled": {"dropout_schedule": "annealed", "mask_sharing": "batch"},
}


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("method", METHODS)
def test_overridden_method_is_always_called(method, place, container, monkeypatch):
    calls = []
    monkeypatch.setitem(DROPOUTS, "custom", override(method, calls))
    monkeypatch.setattr(backprop_module, "THIN_ROWS", 1)
    monkeypatch.setattr(backprop_module, "THIN_WORK", 1)
    params = {"dropout": 0.3, "dropout_schedule": "constant", "batch_size": 30} | PLACES[place]
    model = regressor(dropout_kind="custom", **params).fit(container(X), y)
    thins = params.get("mask_sharing") == "batch" and method in {"sample", "sample_units"}  # these may be thinned
    assert bool(calls) == (method != "sample_units" or params.get("mask_sharing") == "batch")
    expected = regressor(**params).fit(container(X), y)
    for W, V in zip(model.coefs_, expected.coefs_, strict=True):
        np.testing.assert_allclose(W, V, rtol=1e-6, atol=1e-9)
    calls.clear()
    sharing = params.get("mask_sharing", "sample")
    samples = model.sample_y(container(X), 2, dropout=0.3, mask_sharing=sharing)
    assert bool(calls) == (method != "backward" and (method != "sample_units" or sharing == "batch"))
    again = expected.sample_y(container(X), 2, dropout=0.3, mask_sharing=sharing)
    np.testing.assert_allclose(samples, again, rtol=1e-5, atol=1e-7)
    noises = Backprop(
        Params((4, 80, 1), np.float64),
        [LayerSpec(80, "relu"), LayerSpec(1, "identity", "custom", 0.5)],
        "squared_error",
        64,
        mask_sharing=sharing,
    ).noises
    assert [type(noise) for noise in noises] == [ThinNoise if thins else Noise]


class StraightThrough(Mask):
    """The backward pass ignores the mask (Bengio et al., 2013)."""

    def backward(self, d):
        return d


class NumericMask(Mask):
    """Masks with values 0, 1 and 2 and the mean of `Masking`."""

    def sample(self, x, rng):
        return np.where(self.keep.draw(x.size, rng), 1.0, 0.0) * rng.integers(0, 3, x.size)


def loss_and_gradient(kind, monkeypatch, activation, mask_sharing, seed=0):
    """Return the parameters, the Backprop and a loss function of a network with replayed noise."""
    monkeypatch.setitem(DROPOUTS, "custom", kind)
    params = Params((4, 7, 2), np.float64)
    initialize(params, [activation] * 2, np.random.RandomState(seed))
    specs = [LayerSpec(7, activation), LayerSpec(2, "identity", "custom", 0.4)]
    backprop = Backprop(params, specs, "squared_error", len(X), mask_sharing=mask_sharing)
    Y = np.column_stack([y, -y])
    return params, backprop, lambda: backprop.loss_and_grad(X, Y, None, np.random.Generator(np.random.SFC64(3)))[0]


@pytest.mark.parametrize("mask_sharing", ["sample", "batch"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gradient_with_numeric_masks(activation, mask_sharing, monkeypatch):
    monkeypatch.setattr(backprop_module, "THIN_ROWS", 1)
    monkeypatch.setattr(backprop_module, "THIN_WORK", 1)
    params, backprop, value = loss_and_gradient(NumericMask, monkeypatch, activation, mask_sharing)
    loss = value()
    monkeypatch.setattr(backprop_module, "THIN_WORK", 1e9)
    assert loss == pytest.approx(loss_and_gradient(NumericMask, monkeypatch, activation, mask_sharing)[2](), rel=1e-12)
    gradient, start, step = backprop.gradient.copy(), params.vector.copy(), 1e-6
    for i in range(0, len(start), 5):
        params.vector[:] = start
        params.vector[i] += step
        above = value()
        params.vector[i] -= 2 * step
        assert (above - value()) / (2 * step) == pytest.approx(gradient[i], rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("mask_sharing", ["sample", "batch"])
def test_straight_through_gradient_after_relu(mask_sharing, monkeypatch):
    """The backward pass to the first layer has no mask."""
    params, backprop, value = loss_and_gradient(StraightThrough, monkeypatch, "relu", mask_sharing)
    value()
    z = X @ params.coefs[0] + params.intercepts[0]
    noise = Mask(0.4, np.float64, shared=mask_sharing == "batch")
    h = noise.forward(np.maximum(z, 0), np.random.Generator(np.random.SFC64(3)))
    residual = (h @ params.coefs[1] + params.intercepts[1] - np.column_stack([y, -y])) / len(X)
    d = residual @ params.coefs[1].T * (z > 0)
    np.testing.assert_allclose(backprop.gradient[: 4 * 7].reshape(4, 7), X.T @ d, rtol=1e-10, atol=1e-14)


class Groups(Mask):
    """A kind that drops whole groups and does not support sparse rows."""

    uses_groups, takes_sparse = True, False

    def sample(self, x, rng):
        assert self.groups is not None
        kept = self.keep.draw(len(x) * (self.groups.max() + 1), rng).reshape(len(x), -1)
        return kept[:, self.groups]


def test_kind_class_attributes(monkeypatch):
    monkeypatch.setitem(DROPOUTS, "groups", Groups)
    params = {"dropout_kind": "groups", "group_size": 2, "dropout": 0.3, "dropout_schedule": "constant"}
    params |= {"input_dropout": 0.2, "input_groups": [0, 0, 1, 1]}
    model = regressor(**params).fit(X, y)
    spatial = regressor(**params).set_params(dropout_kind="spatial").fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], spatial.coefs_[0])
    np.testing.assert_array_equal(model.sample_y(X, 3), spatial.sample_y(X, 3))
    with pytest.raises(ValueError, match="dropout_kind='groups' with input_dropout > 0 would make a sparse X dense"):
        regressor(**params).fit(sparse.csr_array(X), y)
    with pytest.raises(ValueError, match=r"dropout_kind='groups' with input_dropout=0\.2 would make a sparse X dense"):
        model.sample_y(sparse.csr_array(X))


@pytest.mark.parametrize("method", ["forward", "apply"])
def test_kind_overriding_forward_or_apply_gets_unscaled_input(method, monkeypatch):
    """Otherwise the noise in training would differ from the noise in sampling."""
    seen, inherited = [], getattr(Mask, method)

    def fill_with_ones(self, x, *args, **kwargs):
        seen.append(np.abs(x).max())
        out = inherited(self, x, *args, **kwargs)
        out[out == 0] = 1.0
        return out

    monkeypatch.setitem(DROPOUTS, "custom", type("Custom", (Mask,), {method: fill_with_ones}))
    model = regressor(dropout_kind="custom", input_dropout=0.3, dropout=0.0).fit(1000 * X, y)
    assert max(seen) == np.abs(1000 * X).max()
    seen.clear()
    model.sample_y(1000 * X, 2)
    assert max(seen) == np.abs(1000 * X).max()


def test_is_plain():
    assert all(kind.is_plain() for kind in DROPOUTS.values() if issubclass(kind, Masking))
    assert not StraightThrough.is_plain()
    assert not hasattr(Dropout, "is_plain")


# Activations


def softplus(z):
    return np.logaddexp(0, z)


def mish(z):
    z *= np.tanh(softplus(z))


def mish_derivative(z, out):
    tanh = np.tanh(softplus(z))
    out[:] = tanh + z * expit(z) * (1 - tanh**2)


@pytest.fixture
def with_mish(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "mish", Activation(mish, mish_derivative, from_input=True))


@pytest.mark.usefixtures("with_mish")
@pytest.mark.parametrize(
    "params",
    [
        {"activation": "mish"},
        {"activation": ["mish", "relu"], "hidden_layer_sizes": (5, 5)},
        {"solver": "lbfgs", "dropout": 0.0},
        {"batch_norm": "before_activation", "dtype": "float32"},
        {"hidden_layer_sizes": (), "dropout": ()},
    ],
    ids=str,
)
@pytest.mark.parametrize("estimator", [DropoutMLPClassifier, DropoutMLPRegressor])
def test_registered_activation(estimator, params, tmp_path):
    target = LABELS if estimator is DropoutMLPClassifier else y
    model = estimator(**{"hidden_layer_sizes": 8, "activation": "mish", "max_iter": 5, "random_state": 0} | params)
    model.fit(X, target)
    again = pickle.loads(pickle.dumps(model))
    model.save_weights(tmp_path / "net.npz")
    loaded = clone(model).load_weights(tmp_path / "net.npz")
    for other in (again, loaded):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
    if model.solver != "lbfgs":
        assert np.isfinite(model.partial_fit(X, target).coefs_[0]).all()
    if model.hidden_layer_sizes:
        with pytest.raises(ValueError, match=r"one activation for all hidden layers, of .*\['mish'"):
            model.to_sklearn()


@pytest.mark.usefixtures("with_mish")
def test_registered_activation_in_threaded_search():
    grid = {"activation": ["mish", "relu", ["mish"]]}
    with joblib.parallel_config(backend="threading"):
        search = GridSearchCV(regressor(), grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] == scores[2] != scores[1]


@pytest.mark.usefixtures("with_mish")
@pytest.mark.parametrize("kind", [None, "bernoulli", "gaussian", "alpha"])
def test_registered_activation_gradient(kind):
    specs = network("mish", kind or "bernoulli", 0.4 if kind else 0.0)
    assert directional_error(specs, "log_loss", DENSE, weighted=True) < 1e-6
    assert directional_error(specs, "squared_error", DENSE, weighted=True, batch_norm="before_activation") < 2e-6


@pytest.mark.usefixtures("with_mish")
def test_registered_activation_initial_weights(monkeypatch):
    one_step = {"learning_rate_init": 1e-12, "max_iter": 1, "hidden_layer_sizes": 50}
    scale = np.abs(regressor(activation="mish", **one_step).fit(X, y).coefs_[0]).max()
    assert scale == pytest.approx(np.abs(regressor(activation="tanh", **one_step).fit(X, y).coefs_[0]).max())
    monkeypatch.setitem(ACTIVATIONS, "mish", ACTIVATIONS["mish"]._replace(initializer="he_normal"))
    weights = regressor(activation="mish", **one_step).fit(X, y).coefs_[0]
    np.testing.assert_allclose(weights, regressor(activation="silu", **one_step).fit(X, y).coefs_[0], rtol=1e-9)
    monkeypatch.setitem(ACTIVATIONS, "mish", ACTIVATIONS["mish"]._replace(initializer="zeros"))
    with pytest.raises(ValueError, match=r"The initializer 'zeros' is not registered .*'he_normal'"):
        regressor(activation="mish").fit(X, y)
    monkeypatch.setitem(INITIALIZERS, "zeros", lambda W, b, random_state: (W.fill(0), b.fill(0)))
    assert np.abs(regressor(activation="mish", **one_step).fit(X, y).coefs_[0]).max() < 1e-9


def test_existing_functions_under_other_names(monkeypatch):
    """Identity and ReLU under other names, and another function under a built-in name."""
    monkeypatch.setitem(ACTIVATIONS, "linear", ACTIVATIONS["identity"])
    monkeypatch.setitem(ACTIVATIONS, "rectifier", ACTIVATIONS["relu"])
    for name, original in {"linear": "identity", "rectifier": "relu"}.items():
        params = {"dropout": 0.3, "dropout_schedule": "constant"}
        weights = [regressor(activation=a, **params).fit(X, y).coefs_[0] for a in (name, original)]
        np.testing.assert_array_equal(*weights)
    monkeypatch.setitem(ACTIVATIONS, "relu", ACTIVATIONS["tanh"])  # not fused with the mask
    specs = [LayerSpec(3, "relu"), LayerSpec(1, "identity", rate=0.5)]
    (noise,) = Backprop(Params((4, 3, 1), np.float64), specs, "squared_error", 5).noises
    assert not noise.after_relu


def test_unregistered_activation_raises(with_mish, monkeypatch, tmp_path):
    model = regressor(activation="mish").fit(X, y)
    model.save_weights(tmp_path / "net.npz")
    monkeypatch.delitem(ACTIVATIONS, "mish")
    missing = r"The activation 'mish' is not registered in this process: add it to skdropout\.engine\.activations"
    model = pickle.loads(pickle.dumps(model))
    for call in (model.predict, partial(model.sample_y, dropout=0.1), partial(model.predict, return_std=True)):
        with pytest.raises(ValueError, match=missing):
            call(X)
    with pytest.raises(ValueError, match=missing):
        regressor(activation="relu").load_weights(tmp_path / "net.npz")
    for call in (clone(model).fit, model.partial_fit):
        with pytest.raises(InvalidParameterError, match=r"'activation' parameter .* among .*'relu'.*Got 'mish'"):
            call(X, y)


# Losses


def expectile(P, Y, sample_weight, level=0.5):
    P -= Y
    P *= np.where(P > 0, 2 * (1 - level), 2 * level)
    gradient = P.copy()
    loss = _weighted_mean(P * P / np.where(P > 0, 4 * (1 - level), 4 * level), sample_weight)
    P[:] = gradient
    _residual_to_gradient(P, sample_weight)
    return loss


@pytest.fixture
def with_expectile(monkeypatch):
    monkeypatch.setitem(LOSSES, "expectile", Loss(expectile, "identity", options={"level": "quantile"}))


@pytest.mark.usefixtures("with_expectile")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"solver": "lbfgs", "max_iter": 100},
        {"early_stopping": True},
        {"dropout": 0.1, "batch_norm": "before_activation"},
    ],
    ids=str,
)
def test_registered_loss(params, tmp_path):
    """At level 1/2, the expectile loss is the squared error. Its level is the parameter `quantile`."""
    model = regressor(loss="expectile", **params).fit(X, y)
    mean = regressor(**{"scoring": "loss"} | params).fit(X, y)
    np.testing.assert_allclose(model.predict(X), mean.predict(X), rtol=1e-5, atol=1e-7)
    high = clone(model).set_params(quantile=0.9).fit(X, y)
    assert high.predict(X).mean() > model.predict(X).mean()
    assert np.isfinite(high.log_predictive_density(X, y, dropout=0)).all()
    model.save_weights(tmp_path / "net.npz")
    np.testing.assert_array_equal(clone(model).load_weights(tmp_path / "net.npz").predict(X), model.predict(X))
    assert model.to_sklearn().loss == "squared_error"
    if model.solver != "lbfgs":
        model = clone(model).set_params(early_stopping=False)
        for _ in range(2):
            model.partial_fit(X, y)


@pytest.mark.usefixtures("with_expectile")
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_registered_loss_gradient(level):
    for weighted in (False, True):
        specs = network("tanh", "bernoulli", 0.4)
        assert directional_error(specs, "expectile", DENSE, weighted, loss_options={"level": level}) < 1e-6


@pytest.mark.usefixtures("with_expectile")
def test_registered_loss_in_search_and_early_stopping():
    grid = {"loss": ["squared_error", "expectile"], "quantile": [0.5, 0.9]}
    with joblib.parallel_config(backend="threading"):
        search = GridSearchCV(regressor(), grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"].round(9))) == 2  # the first three fits are equal
    model = regressor(loss="expectile", early_stopping=True).fit(X, y)
    np.testing.assert_array_equal(model.validation_scores_, -np.array(model.validation_loss_curve_))
    LOSSES["expectile"] = LOSSES["expectile"]._replace(monitor=None)  # the fixture restores it
    model = clone(model).fit(X, y)
    assert not np.allclose(model.validation_scores_, -np.array(model.validation_loss_curve_))  # R²


def gamma(P, Y, sample_weight):
    """Compute half of the gamma deviance of an exponential output."""
    loss = _weighted_mean(Y / P - 1 - np.log(Y / P), sample_weight)
    P[:] = 1 - Y / P
    _residual_to_gradient(P, sample_weight)
    return loss


def test_loss_fields(monkeypatch, tmp_path):
    monkeypatch.setitem(LOSSES, "gamma", Loss(gamma, "exp", min_target=0.01, smooth=False))
    positive = np.exp(y)
    model = regressor(loss="gamma").fit(X, positive)
    assert (model.predict(X) > 0).all()
    assert model.to_sklearn().loss == "poisson"  # the output is exponential, too
    np.testing.assert_allclose(model.to_sklearn().predict(X), model.predict(X))
    with pytest.raises(ValueError, match=r"`y` has values below 0\.01, but loss='gamma' needs y >= 0\.01"):
        clone(model).fit(X, y)
    with pytest.raises(ValueError, match="solver='lbfgs' needs a smooth loss and its exact gradient, not loss='gamma'"):
        clone(model).set_params(solver="lbfgs").fit(X, positive)
    with pytest.raises(InvalidParameterError, match=r"'loss' parameter .* Got 'log_loss'"):  # classifiers only
        regressor(loss="log_loss").fit(X, y)
    model.save_weights(tmp_path / "net.npz")
    with pytest.raises(ValueError, match=r"call set_params\(loss='poisson'\) first"):
        regressor().load_weights(tmp_path / "net.npz")


def test_custom_output_before_and_after_unregistering(monkeypatch, tmp_path):
    def softplus_in_place(z):
        np.logaddexp(0, z, out=z)

    def squared(P, Y, sample_weight):  # P = log(1 + e^z), dP/dz = 1 - e^-P
        derivative = -np.expm1(-P)
        P -= Y
        loss = 0.5 * _weighted_mean(P * P, sample_weight)
        P *= derivative
        _residual_to_gradient(P, sample_weight)
        return loss

    monkeypatch.setitem(OUTPUTS, "softplus", softplus_in_place)
    monkeypatch.setitem(LOSSES, "positive", Loss(squared, "softplus"))
    model = regressor(loss="positive", max_iter=40, learning_rate_init=0.01).fit(X, y**2)
    assert (model.predict(X) > 0).all()
    assert model.score(X, y**2) > 0.2
    assert model.sample_y(X, dropout=0.1).min() > 0
    with pytest.raises(ValueError, match="has no output activation 'softplus', which loss='positive' uses"):
        model.to_sklearn()
    model.save_weights(tmp_path / "net.npz")
    with pytest.raises(ValueError, match=r"call set_params\(loss='positive'\) first"):
        regressor().load_weights(tmp_path / "net.npz")
    monkeypatch.delitem(LOSSES, "positive")
    with pytest.raises(ValueError, match="with out_activation_='softplus', but no loss with this output is registered"):
        regressor().load_weights(tmp_path / "net.npz")
    with pytest.raises(InvalidParameterError, match=r"'loss' parameter .* Got 'positive'"):
        model.partial_fit(X, y**2)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(model)).predict(X), model.predict(X)
    )  # prediction does not need the loss
    monkeypatch.delitem(OUTPUTS, "softplus")
    with pytest.raises(ValueError, match="The output activation 'softplus' is not registered in this process"):
        model.predict(X)


# Optimizers


class RMSProp:
    """w <- w - η g / (√v + ε) with v the running mean of g² (Tieleman and Hinton, 2012)."""

    settings = "beta_2", "epsilon"

    def __init__(self, size, dtype, learning_rate, beta_2, epsilon):
        self.learning_rate, self.factor = float(learning_rate), 1.0
        self.beta_2, self.epsilon = float(beta_2), float(epsilon)
        self.square = np.zeros(size, dtype)

    def step(self, params, gradient, add_penalty=no_penalty):
        def update(part, scratch):
            penalty = add_penalty(part, scratch)
            w, g, v = params[part], gradient[part], self.square[part]
            v *= self.beta_2
            v += (1 - self.beta_2) * g * g
            w -= self.learning_rate * self.factor * g / (np.sqrt(v) + self.epsilon)
            return penalty

        return in_chunks(update, params.size, params.dtype)


class GradientDescent:
    """An optimizer without settings."""

    def __init__(self, size, dtype, learning_rate):
        self.learning_rate, self.factor = learning_rate, 1.0

    def step(self, params, gradient, add_penalty=no_penalty):
        whole = slice(0, params.size)
        penalty = add_penalty(whole, np.empty_like(params))
        params -= self.learning_rate * self.factor * gradient
        return penalty


@pytest.fixture
def with_optimizers(monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "rmsprop", RMSProp)
    monkeypatch.setitem(OPTIMIZERS, "plain", GradientDescent)


@pytest.mark.usefixtures("with_optimizers")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"learning_rate": "cosine", "warmup_fraction": 0.1},
        {"clip_norm": 0.1, "l1_ratio": 0.5, "alpha": 0.1, "max_norm": 1.0},
        {"early_stopping": True, "dtype": "float32"},
        {"dropout": 0.2, "batch_norm": "after_dropout"},
    ],
    ids=str,
)
def test_registered_optimizer(params):
    model = regressor(solver="rmsprop", learning_rate_init=0.01, max_iter=40, **params).fit(X, y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert diagnose(model, X, y).update_ratio.shape == (2,)
    plain = regressor(solver="plain", learning_rate_init=0.05, alpha=0.1, dropout_schedule="constant").fit(X, y)
    sgd = regressor(solver="sgd", momentum=0, learning_rate_init=0.05, alpha=0.1, dropout_schedule="constant")
    np.testing.assert_allclose(plain.coefs_[0], sgd.fit(X, y).coefs_[0], rtol=1e-10)


@pytest.mark.usefixtures("with_optimizers")
def test_registered_optimizer_gets_settings_and_continues():
    params = {"solver": "rmsprop", "shuffle": False, "dropout_schedule": "constant", "beta_2": 0.9}
    whole = regressor(max_iter=5, **params).fit(X, y)
    parts = regressor(max_iter=5, **params)
    for _ in range(5):
        parts.partial_fit(X, y)
    np.testing.assert_array_equal(whole.coefs_[0], parts.coefs_[0])
    assert not np.allclose(regressor(max_iter=5, **params | {"beta_2": 0.5}).fit(X, y).coefs_[0], whole.coefs_[0])
    with joblib.parallel_config(backend="threading"):
        grid = {"solver": ["rmsprop", "adam", "plain"]}
        search = GridSearchCV(regressor(), grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 3


@pytest.mark.usefixtures("with_optimizers", "with_mish", "with_expectile")
def test_fit_with_registered_names_resumes_from_checkpoint(tmp_path):
    pytest.importorskip("sklearn.callback")
    names = {"solver": "rmsprop", "activation": "mish", "loss": "expectile", "learning_rate": "constant"}
    params = names | {"dropout": 0.1, "dropout_kind": "bernoulli", "max_iter": 6}
    expected = regressor(**params).fit(X, y)

    class Stop:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context):
            if context.task_name == "epoch" and estimator.n_iter_ == 3:
                raise RuntimeError("killed")

    path = tmp_path / "net.ckpt"
    with pytest.raises(RuntimeError, match="killed"):
        regressor(**params).set_callbacks(Checkpoint(path), Stop()).fit(X, y)
    resumed = regressor(**params).set_callbacks(Checkpoint(path)).fit(X, y)
    np.testing.assert_array_equal(resumed.coefs_[0], expected.coefs_[0])
    np.testing.assert_array_equal(Checkpoint.load(path).predict(X), expected.predict(X))


@pytest.mark.usefixtures("with_optimizers")
@pytest.mark.parametrize("solver", ["adam", "adamw", "custom"])
def test_custom_optimizer_class_with_built_in_name(solver, monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "custom", type("Adam", (OPTIMIZERS["rmsprop"],), {}))
    model = regressor(solver=solver).partial_fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    assert type(loaded._optimizer) is type(model._optimizer)
    np.testing.assert_array_equal(loaded.partial_fit(X, y).coefs_[0], model.partial_fit(X, y).coefs_[0])


class LazyMomentum:
    """Momentum that creates its state in the first step."""

    settings = ("momentum",)

    def __init__(self, size, dtype, learning_rate, momentum):
        self.learning_rate, self.factor, self.decay, self.velocity = learning_rate, 1.0, momentum, None

    def step(self, params, gradient, add_penalty=no_penalty):
        penalty = in_chunks(add_penalty, params.size, params.dtype)
        self.velocity = gradient.copy() if self.velocity is None else self.decay * self.velocity + gradient
        self.norms = [*getattr(self, "norms", []), float(np.linalg.norm(self.velocity))]
        params -= self.learning_rate * self.factor * self.velocity
        return penalty


def test_checkpoint_contains_optimizer_state_created_late(tmp_path, monkeypatch):
    pytest.importorskip("sklearn.callback")
    monkeypatch.setitem(OPTIMIZERS, "lazy", LazyMomentum)

    class Stop:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context):
            if context.task_name == "epoch" and estimator.n_iter_ == 3:
                raise RuntimeError("killed")

    params, path = {"solver": "lazy", "max_iter": 6, "learning_rate_init": 0.01}, tmp_path / "net.ckpt"
    expected = regressor(**params).fit(X, y)
    with pytest.raises(RuntimeError, match="killed"):
        regressor(**params).set_callbacks(Checkpoint(path), Stop()).fit(X, y)
    for _ in "resumed", "finished":
        resumed = regressor(**params).set_callbacks(Checkpoint(path)).fit(X, y)
        np.testing.assert_array_equal(resumed.coefs_[0], expected.coefs_[0])
        assert len(resumed._optimizer.norms) == 18
    loaded = Checkpoint.load(path).partial_fit(X, y)
    np.testing.assert_array_equal(loaded.coefs_[0], expected.partial_fit(X, y).coefs_[0])


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ("solver", "sgd"),
        ("activation", "tanh"),
        ("loss", "huber"),
        ("dropout_kind", "gaussian"),
        ("learning_rate", "cosine"),
        ("dropout_schedule", "late"),
    ],
)
def test_checkpoint_with_unregistered_name_error(parameter, name, tmp_path, monkeypatch):
    pytest.importorskip("sklearn.callback")
    table = TABLES[parameter]
    monkeypatch.setitem(table, "custom", table[name])
    model = (
        regressor(**{"dropout": 0.2, parameter: "custom"}).set_callbacks(Checkpoint(tmp_path / "net.ckpt")).fit(X, y)
    )
    expected = model.predict(X)
    monkeypatch.delitem(table, "custom")
    with pytest.raises(
        ValueError, match=rf"^The {table.component} 'custom' is not registered in this process: add it to "
    ):
        Checkpoint.load(tmp_path / "net.ckpt")
    if parameter != "activation":
        loaded = Checkpoint.load(tmp_path / "net.ckpt", regressor(dropout=0.2))
        np.testing.assert_array_equal(loaded.predict(X), expected)


def test_unregistered_optimizer_raises(with_optimizers, monkeypatch):
    model = regressor(solver="rmsprop").fit(X, y)
    prediction = model.predict(X)
    monkeypatch.delitem(OPTIMIZERS, "rmsprop")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), prediction)
    with pytest.raises(InvalidParameterError, match=r"'solver' parameter .* among .*'lbfgs'.*Got 'rmsprop'"):
        model.partial_fit(X, y)
    assert model.to_sklearn().solver == "adam"


# Schedules


class Linear(Constant):
    """Linear decay from the initial rate to 0."""

    is_schedule = True

    def factor(self, t):
        return 1 - t


class Halving(Constant):
    """Halve the rate after each epoch."""

    def after_epoch(self, learning_rate, t):
        return learning_rate / 2


@pytest.fixture
def with_schedules(monkeypatch):
    monkeypatch.setitem(LEARNING_RATES, "linear", Linear)
    monkeypatch.setitem(LEARNING_RATES, "halving", Halving)
    monkeypatch.setitem(DROPOUT_SCHEDULES, "cosine", lambda t: (1 + np.cos(pi * t)) / 2)


@pytest.mark.usefixtures("with_schedules")
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw"])
def test_registered_learning_rates_with_every_solver(solver):
    params = {"solver": solver, "max_iter": 6, "learning_rate_init": 0.01}
    constant = regressor(**params).fit(X, y)
    for name in ("linear", "halving"):
        model = regressor(learning_rate=name, **params).fit(X, y)
        assert not np.allclose(model.coefs_[0], constant.coefs_[0])
    assert model._optimizer.learning_rate == 0.01 / 2**6
    assert regressor(learning_rate="linear", **params).fit(X, y).to_sklearn().learning_rate == "constant"
    for name in ("invscaling", "adaptive"):  # only used by sgd, as in scikit-learn
        model = regressor(learning_rate=name, **params).fit(X, y)
        if solver != "sgd":
            np.testing.assert_array_equal(model.coefs_[0], constant.coefs_[0])


@pytest.mark.usefixtures("with_schedules")
@pytest.mark.parametrize("name", ["linear", "halving"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_registered_learning_rates_in_partial_fit(solver, name):
    params = {"solver": solver, "learning_rate": name, "shuffle": False, "max_iter": 4, "learning_rate_init": 0.01}
    whole = regressor(**params).fit(X, y)
    parts = regressor(**params)
    for _ in range(4):
        parts.partial_fit(X, y)
    np.testing.assert_array_equal(whole.coefs_[0], parts.coefs_[0])


@pytest.mark.usefixtures("with_schedules")
def test_registered_dropout_schedule():
    params = {"dropout": 0.4, "max_iter": 6}
    model = regressor(dropout_schedule="cosine", **params).fit(X, y)
    called = regressor(dropout_schedule=DROPOUT_SCHEDULES["cosine"], **params).fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], called.coefs_[0])
    assert model.dropout_curve_ == called.dropout_curve_
    assert max(model.dropout_) < 1e-9
    np.testing.assert_array_equal(model.sample_y(X), called.sample_y(X))  # with the initial rates
    assert model.sample_y(X, 50).std(axis=1).min() > 0


# All tables


@pytest.mark.parametrize("parameter", TABLES)
def test_registered_names_are_accepted_immediately(parameter, monkeypatch):
    table = TABLES[parameter]
    estimator = regressor(**{parameter: "custom"}, max_iter=2)
    with pytest.raises(InvalidParameterError, match=rf"The '{parameter}' parameter .* Got 'custom'"):
        estimator.fit(X, y)
    name = {"dropout_kind": "gaussian", "loss": "huber", "solver": "adam"}.get(parameter, next(iter(table)))
    monkeypatch.setitem(table, "custom", table[name])
    estimator.fit(X, y)
    monkeypatch.delitem(table, "custom")
    with pytest.raises(InvalidParameterError, match=rf"The '{parameter}' parameter .* Got 'custom'"):
        clone(estimator).fit(X, y)


def test_missing_name_error_says_where_to_register():
    for table in [*TABLES.values(), INITIALIZERS, OUTPUTS]:
        assert isinstance(table, Registry)
        module, _, name = table.path.rpartition(".")
        assert getattr(sys.modules[module], name) is table
        assert table.get("nothing") is None
        with pytest.raises(
            ValueError, match=rf"The {table.component} 'nothing' is not registered .* {table.path}, as in"
        ):
            table["nothing"]


def test_table_rows_of_wrong_type_raise():
    with pytest.raises(TypeError, match=r"activations\.ACTIVATIONS\['mish'\] must be of type Activation, got <func"):
        ACTIVATIONS["mish"] = mish
    with pytest.raises(TypeError, match=r"losses\.LOSSES\['custom'\] must be of type Loss, got <function"):
        LOSSES["custom"] = expectile
    with pytest.raises(TypeError, match=r"optimizers\.OPTIMIZERS\['custom'\] must be of type Callable, got 'adam'"):
        OPTIMIZERS["custom"] = "adam"
    assert not {"mish", "custom"} & {*ACTIVATIONS, *LOSSES, *OPTIMIZERS}


MODULE = """
import numpy as np
from skdropout import DropoutMLPRegressor
from skdropout.engine.activations import ACTIVATIONS, Activation

def sine(z):
    np.sin(z, out=z)

def sine_derivative(z, out):
    np.cos(z, out=out)

ACTIVATIONS["sine"] = Activation(sine, sine_derivative, from_input=True)

class SineRegressor(DropoutMLPRegressor):
    pass
"""
PROGRAM = """
import pickle, sys
import numpy as np
X, expected, model = pickle.load(open(sys.argv[1], "rb"))
assert (model.predict(X) == expected).all()
"""


def test_loading_subclass_registers_names_of_its_module(tmp_path, monkeypatch):
    """Unpickling a subclass imports its module, as the user guide recommends."""
    (tmp_path / "custom_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(ACTIVATIONS, "sine", ACTIVATIONS["tanh"])  # removed after the test
    from custom_module import SineRegressor

    model = SineRegressor(hidden_layer_sizes=5, activation="sine", max_iter=3).fit(X, y)
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps((X, model.predict(X), model)))
    paths = [str(tmp_path), *filter(None, sys.path)]
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{PROGRAM}", path], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr

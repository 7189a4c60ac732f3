"""mask_sharing='batch': one mask for all rows of a batch, and thinned networks that do not compute dropped units."""

import tracemalloc

import numpy as np
import pytest
from covering import covering
from helpers import stream
from scipy import sparse
from sklearn.datasets import load_diabetes, load_iris
from sklearn.preprocessing import scale

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout.engine import backprop as backprop_module
from skdropout.engine.activations import ACTIVATIONS
from skdropout.engine.backprop import Backprop
from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.initializers import initialize
from skdropout.engine.layers import LayerSpec
from skdropout.engine.params import Params
from skdropout.engine.thinned import KeptUnits, ThinAffine, ThinNoise

N, UNITS = 9, (6, 8, 5, 3)
X = np.random.default_rng(0).normal(size=(N, UNITS[0]))
X_SPARSE = sparse.csr_array(X * (X > 0))
Y = np.random.default_rng(1).integers(3, size=N)
X_iris, y_iris = load_iris(return_X_y=True)
X_iris = scale(X_iris)
X_diabetes, y_diabetes = load_diabetes(return_X_y=True, scaled=True)


@pytest.fixture
def thin_always(monkeypatch):
    """Thin networks of any size and rate."""
    monkeypatch.setattr(backprop_module, "THIN_WORK", 0)
    monkeypatch.setattr(backprop_module, "THIN_ROWS", 0)
    monkeypatch.setattr(backprop_module, "THIN_RATE", 0)


def make_backprop(rates, activation="relu", kind="bernoulli", units=UNITS, **options):
    params = Params(units, np.float64)
    initialize(params, ["tanh"] * (len(units) - 1), np.random.RandomState(0))
    params.vector[params.weights.size :] = np.random.default_rng(2).normal(size=sum(units[1:]))
    groups = [np.arange(n) // 2 if kind == "spatial" else None for n in units]
    specs = [
        LayerSpec(n, activation, kind, rate, group) for n, rate, group in zip(units[1:], rates, groups, strict=False)
    ]
    return Backprop(params, specs, "log_loss", N + 2, alpha=0.1, mask_sharing="batch", **options)


RATES = [(0.3, 0.5, 0.4), (0.0, 0.5, 0.5), (0.4, 0.0, 0.0), (0.0, 0.0, 0.6)]


@pytest.mark.parametrize(
    ("activation", "rates", "kind", "as_sparse", "weighted"),
    covering(list(ACTIVATIONS), RATES, ("bernoulli", "spatial"), (False, True), (False, True)),
    ids=str,
)
def test_thinned_network_equals_masked_network(activation, rates, kind, as_sparse, weighted, monkeypatch):
    rows, weights = X_SPARSE if as_sparse else X, np.linspace(0, 2, N) if weighted else None
    masked = make_backprop(rates, activation, kind)
    monkeypatch.setattr(backprop_module, "THIN_WORK", 0)
    monkeypatch.setattr(backprop_module, "THIN_ROWS", 0)
    thinned = make_backprop(rates, activation, kind)
    assert not any(isinstance(layer, ThinAffine) for layer in masked.layers)
    assert any(isinstance(layer, ThinAffine) for layer in thinned.layers)
    for seed, n in enumerate((N, 4, N, N)):  # including a short batch
        batch = rows[:n], Y[:n], None if weights is None else weights[:n]
        a, b = (b.loss_and_grad(*batch, stream(seed)) for b in (masked, thinned))
        assert a == pytest.approx(b, rel=1e-13)
        np.testing.assert_allclose(thinned.gradient, masked.gradient, rtol=1e-11, atol=1e-15)


@pytest.mark.usefixtures("thin_always")
def test_thinned_network_gradient():
    backprop, rng = make_backprop((0.3, 0.5, 0.4), "tanh"), np.random.default_rng(3)
    for seed in range(5):
        backprop.loss_and_grad(X, Y, None, stream(seed))
        direction = rng.normal(size=backprop.params.vector.size)
        derivative, start, step = direction @ backprop.gradient, backprop.params.vector.copy(), 1e-6
        sides = []
        for sign in (1, -1):
            backprop.params.vector[:] = start + sign * step * direction
            sides.append(sum(backprop.loss_and_grad(X, Y, None, stream(seed))))
        backprop.params.vector[:] = start
        assert (sides[0] - sides[1]) / (2 * step) == pytest.approx(derivative, rel=1e-6)


@pytest.mark.parametrize("kept", [0, 1, 8])
def test_thinned_network_with_0_1_or_all_units_kept(kept, monkeypatch):
    monkeypatch.setattr(DROPOUTS["bernoulli"], "sample_units", lambda self, n_units, rng: np.arange(n_units) < kept)
    masked = make_backprop((0.0, 0.5, 0.0))
    for limit in ("THIN_WORK", "THIN_ROWS"):
        monkeypatch.setattr(backprop_module, limit, 0)
    thinned = make_backprop((0.0, 0.5, 0.0))
    assert len(thinned._thin_noises) == 1
    assert not masked._thin_noises
    losses = [b.loss_and_grad(X, Y, None, None) for b in (thinned, masked)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-13)
    np.testing.assert_allclose(thinned.gradient, masked.gradient, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize(
    ("rate", "batch_size", "width", "thins"),
    [(0.5, 64, 200, True), (0.5, 63, 200, False), (0.5, 64, 50, False), (0.1, 64, 200, False)],
)
def test_layers_are_thinned_only_where_faster(rate, batch_size, width, thins):
    params = Params((200, width, width, 1), np.float32)
    specs = [LayerSpec(width, "relu"), LayerSpec(width, "relu", rate=rate), LayerSpec(1, "identity", rate=rate)]
    backprop = Backprop(params, specs, "squared_error", batch_size, mask_sharing="batch")
    assert len(backprop._thin_noises) == (2 if thins else 0)
    assert len(backprop.noises) == 2


def test_wide_sparse_input_needs_no_dense_buffer():
    params = Params((20_000, 20, 1), np.float32)
    specs = [LayerSpec(20, "relu"), LayerSpec(1, "identity", rate=0.5)]
    rows = sparse.random_array((200, 20_000), density=1e-3, format="csr", dtype=np.float32, random_state=0)
    tracemalloc.start()
    backprop = Backprop(params, specs, "squared_error", 200, mask_sharing="batch")
    backprop.data_loss_and_grad(rows, np.zeros((200, 1), np.float32), None, stream())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert backprop._thin_noises
    assert peak < 2.5 * params.vector.nbytes  # gradient and SciPy's product; a dense batch needs ten times as much


def test_kept_units_are_bernoulli():
    spec, n, rate = LayerSpec(1, "identity", rate=0.3), 20_000, 0.3
    noise, rng, masks = ThinNoise(spec, np.float64, 4, is_input=False), stream(), np.zeros((n, 4))
    for mask in masks:
        noise.draw(X, rng)
        mask[noise.kept.index[:-1]] = 1
    sigma = np.sqrt(rate * (1 - rate) / n)
    np.testing.assert_array_less(np.abs(masks.mean(axis=0) - (1 - rate)), 5 * sigma + 2**-16)
    pairs = [(masks[:, i], masks[:, j]) for i in range(4) for j in range(i)] + [(masks[1:, 0], masks[:-1, 0])]
    for a, b in pairs:
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(n - 1)


def test_kept_unit_indices():
    kept = KeptUnits(np.array([True, False, True, True]))
    assert list(kept.index[:-1]) == [0, 2, 3]
    assert list(kept.inverse) == [0, 3, 1, 2]


@pytest.mark.parametrize("kind", DROPOUTS)
def test_shared_noise_is_equal_for_rows_and_new_per_call(kind):
    dropout, rng = DROPOUTS[kind](0.4, np.float64, shared=True), stream()
    first, second = (dropout.forward(np.ones((50, 30)), rng).copy() for _ in range(2))
    assert (first == first[0]).all()
    assert not np.array_equal(first, second)
    d = dropout.backward(np.ones((50, 30)))
    assert (d == d[0]).all()
    x, n = np.array([-2.0, 0.5, 1.0]), 5000
    y = np.array([dropout.forward(np.tile(x, (2, 1)), rng)[0].copy() for _ in range(n)])
    sigma = np.sqrt(dropout.variance(x) / n)
    np.testing.assert_array_less(np.abs(y.mean(axis=0) - dropout.mean(x)), 5 * sigma)


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian", "spatial"])
def test_shared_noise_is_equal_for_sparse_and_dense(kind):
    dropout = DROPOUTS[kind](0.5, np.float64, shared=True)
    dense = dropout.forward(X_SPARSE.toarray(), stream(4)).copy()
    np.testing.assert_allclose(dropout.forward(X_SPARSE, stream(4)).toarray(), dense)


# Estimators

MODELS = pytest.mark.parametrize(
    ("estimator", "data"),
    [(DropoutMLPClassifier, (X_iris, y_iris)), (DropoutMLPRegressor, (X_diabetes, y_diabetes))],
    ids=["classifier", "regressor"],
)


@pytest.mark.parametrize(
    "params",
    [
        {"dropout": (0.4, 0.3), "input_dropout": 0.2},
        {"dropout": (0.4, 0.0)},
        {"hidden_layer_sizes": (), "dropout": 0, "input_dropout": 0.3},
        {"dropout_kind": "spatial", "group_size": 5},
        {"dropout_schedule": "annealed"},
        {"activation": "gelu", "solver": "sgd", "momentum": 0.0},
        {"max_norm": 1.0, "clip_norm": 1.0, "l1_ratio": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@MODELS
def test_thinned_fit_equals_masked_fit(estimator, data, rows, params, request):
    settings = {"hidden_layer_sizes": (20, 10), "mask_sharing": "batch", "batch_size": 32, "random_state": 0}
    settings |= {"dropout": 0.2} | params
    X, y = rows(data[0] * (data[0] > 0)), data[1]
    masked = estimator(max_iter=3, **settings).fit(X, y).partial_fit(X, y)
    request.getfixturevalue("thin_always")
    thinned = estimator(max_iter=3, **settings).fit(X, y).partial_fit(X, y)
    for V, W in zip(thinned.coefs_, masked.coefs_, strict=True):
        np.testing.assert_allclose(V, W, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize(
    "params",
    [
        {"dropout_kind": ["gaussian", "bernoulli"]},
        {"batch_norm": "before_activation"},
        {"activation": "selu", "dropout_kind": "alpha", "dropout": 0.1},
    ],
    ids=str,
)
@MODELS
def test_shared_noise_training_is_reproducible(estimator, data, params):
    settings = {
        "hidden_layer_sizes": (20, 10),
        "batch_size": 32,
        "random_state": 0,
        "learning_rate_init": 0.01,
        "dropout": 0.2,
        "dropout_schedule": "constant",
    } | params
    a, b, other = (
        estimator(max_iter=25, mask_sharing=sharing, **settings).fit(*data) for sharing in ("batch", "batch", "sample")
    )
    for V, W in zip(a.coefs_, b.coefs_, strict=True):
        np.testing.assert_array_equal(V, W)
    assert a.loss_curve_[-1] < a.loss_curve_[0]
    assert not np.array_equal(a.coefs_[0], other.coefs_[0])


@MODELS
def test_large_fit_is_thinned_and_equals_masked_fit(estimator, data, monkeypatch):
    X, y = np.tile(data[0], (2, 1)), np.tile(data[1], 2)
    X[len(data[0]) :] += 0.1
    settings = {"hidden_layer_sizes": (120, 100), "dropout": 0.5, "mask_sharing": "batch", "batch_size": 100}
    thin_passes, forward = [], ThinAffine.forward
    monkeypatch.setattr(ThinAffine, "forward", lambda self, *args: thin_passes.append(1) or forward(self, *args))
    thinned = estimator(max_iter=3, random_state=0, **settings).fit(X, y)
    assert thin_passes
    monkeypatch.setattr(backprop_module, "THIN_ROWS", 101)
    thin_passes.clear()
    masked = estimator(max_iter=3, random_state=0, **settings).fit(X, y)
    assert not thin_passes
    for V, W in zip(thinned.coefs_, masked.coefs_, strict=True):
        np.testing.assert_allclose(V, W, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore:mask_sharing='batch' has no effect")
@MODELS
def test_mask_sharing_has_no_effect_without_dropout(estimator, data):
    a, b = (
        estimator(dropout=0, mask_sharing=sharing, max_iter=5, random_state=0).fit(*data)
        for sharing in ("batch", "sample")
    )
    for V, W in zip(a.coefs_, b.coefs_, strict=True):
        np.testing.assert_array_equal(V, W)


@MODELS
def test_invalid_mask_sharing_raises(estimator, data):
    with pytest.raises(ValueError, match=r"'mask_sharing' parameter.*must be a str among.*Got 'row'"):
        estimator(mask_sharing="row").fit(*data)

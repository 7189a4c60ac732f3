"""Parameters, optimizers, random streams, buffers, prediction and the training loop of the engine."""

import copy
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest
from helpers import by_pickle, stream
from scipy import sparse
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from skdropout.engine import network
from skdropout.engine.backprop import Backprop
from skdropout.engine.buffers import CHUNK, in_chunks
from skdropout.engine.initializers import initialize
from skdropout.engine.layers import LayerSpec
from skdropout.engine.network import Network
from skdropout.engine.optimizers import SGD, Adam
from skdropout.engine.params import Params
from skdropout.engine.penalty import Penalty
from skdropout.engine.rng import mask_stream, resume_stream
from skdropout.engine.schedules import LEARNING_RATES
from skdropout.engine.training import Batches, epochs

UNITS = (5, 7, 3)


def make_params(units=UNITS, dtype=np.float64):
    params = Params(units, dtype)
    initialize(params, ["relu"] * (len(params.units) - 1), np.random.RandomState(0))
    return params


def make_backprop(rates=(0.0, 0.0), batch_size=10, dtype=np.float64, alpha=0.1):
    params = make_params(dtype=dtype)
    specs = [LayerSpec(7, "relu", rate=rates[0]), LayerSpec(3, "identity", rate=rates[1])]
    return Backprop(params, specs, "log_loss", batch_size, alpha=alpha)


X = np.random.default_rng(0).normal(size=(10, 5))
LABELS = np.random.default_rng(1).integers(3, size=10)


# Parameters


@pytest.mark.parametrize("copy_of", [copy.deepcopy, by_pickle, copy.copy])
def test_params_copies_rebuild_views(copy_of):
    params = copy_of(make_params())
    for view in (*params.coefs, *params.intercepts, params.weights):
        assert np.shares_memory(view, params.vector)
    params.vector[:] = np.arange(params.vector.size)
    np.testing.assert_array_equal(np.concatenate([W.ravel() for W in params.coefs]), params.weights)
    np.testing.assert_array_equal(np.concatenate(params.intercepts), params.vector[params.weights.size :])


def test_params_pickle_contains_vector_once():
    params = make_params((300, 200, 10))
    assert len(pickle.dumps(params)) < params.vector.nbytes + 2000


def test_pack_copies_arrays_into_vector():
    params = make_params()
    packed = Params.pack(params.coefs, params.intercepts, np.float64)
    np.testing.assert_array_equal(packed.vector, params.vector)
    assert packed.units == params.units
    assert not np.shares_memory(packed.vector, params.vector)


# Optimizers and learning rates


@pytest.mark.parametrize("size", [1, 100, CHUNK, 2 * CHUNK + 17])
@pytest.mark.parametrize(
    ("make_optimizer", "make_reference"),
    [
        (lambda n: SGD(n, float, 0.1, 0.9, True), lambda w: SGDOptimizer([w], 0.1, "constant", 0.9, True)),
        (lambda n: SGD(n, float, 0.1, 0.9, False), lambda w: SGDOptimizer([w], 0.1, "constant", 0.9, False)),
        (lambda n: SGD(n, float, 0.1, 0.0, True), lambda w: SGDOptimizer([w], 0.1, "constant", 0.0, True)),
        (lambda n: Adam(n, float, 0.1, 0.9, 0.99, 1e-8), lambda w: AdamOptimizer([w], 0.1, 0.9, 0.99, 1e-8)),
    ],
    ids=["nesterov", "momentum", "sgd", "adam"],
)
def test_optimizer_steps_match_scikit_learn(make_optimizer, make_reference, size):
    rng = np.random.default_rng(0)
    a = rng.normal(size=size)
    b = a.copy()
    optimizer, reference = make_optimizer(size), make_reference(b)
    for _ in range(5):
        gradient = rng.normal(size=size)
        assert optimizer.step(a, gradient.copy(), lambda part, scratch: float(len(scratch))) == size
        reference.update_params([b], [gradient])
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("beta_1", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("beta_2", [0.0, 0.09, 0.99])
def test_adam_rescales_its_moments(beta_1, beta_2):
    """With 0.5, 0.9 and 0.99, the moments are rescaled every 4, 22 and 230 steps; below 0.1, in each step."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=20)
    b = a.copy()
    optimizer, reference = Adam(20, float, 0.1, beta_1, beta_2, 1e-8), AdamOptimizer([b], 0.1, beta_1, beta_2, 1e-8)
    for _ in range(500):
        gradient = rng.normal(size=20)
        optimizer.step(a, gradient.copy())
        reference.update_params([b], [gradient])
        assert 0.1 < optimizer.mean_scale <= 1
        assert 0.1 < optimizer.square_scale <= 1
    np.testing.assert_allclose(a, b, rtol=1e-10)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("n_weights", [5, CHUNK, CHUNK + 3, 2 * CHUNK + 17])
def test_penalty_in_chunks_equals_full_penalty(n_weights, l1_ratio):
    size, rng = 2 * CHUNK + 17, np.random.default_rng(0)
    w, gradient = rng.normal(size=size), rng.normal(size=size)
    penalty, before, weights = Penalty(0.3, l1_ratio, n_weights), gradient.copy(), w[:n_weights]
    value = in_chunks(lambda *chunk: penalty.add(w, gradient, 7.0, *chunk), size, float)
    assert value == pytest.approx(0.3 / 7 * (l1_ratio * np.abs(weights).sum() + (1 - l1_ratio) / 2 * weights @ weights))
    expected = 0.3 / 7 * (l1_ratio * np.sign(weights) + (1 - l1_ratio) * weights)
    np.testing.assert_allclose(gradient[:n_weights] - before[:n_weights], expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(gradient[n_weights:], before[n_weights:])


@pytest.mark.parametrize("n_decayed", [5, CHUNK, CHUNK + 3])
def test_weight_decay_across_chunk_boundaries(n_decayed):
    w, adamw = np.ones(2 * CHUNK), Adam(2 * CHUNK, float, 0.1, 0.9, 0.99, 1e-8, decay=0.3, n_decayed=n_decayed)
    adamw.step(w, np.zeros(w.size))
    np.testing.assert_allclose(w, np.where(np.arange(w.size) < n_decayed, 1 - 0.1 * 0.3, 1))


def test_large_clip_norm_has_no_effect():
    losses = []
    for clip_norm in (None, 1e9):
        backprop = make_backprop(batch_size=4)
        backprop.penalty.l1 = 0.05
        optimizer = Adam(backprop.params.vector.size, np.float64, 0.05, 0.9, 0.999, 1e-8)
        batches = Batches(X, LABELS, None, np.arange(10), 4, np.float64, shuffle=True)
        run = epochs(backprop, optimizer, batches, np.random.RandomState(0), None, clip_norm=clip_norm)
        losses.append([*islice(run, 5), *backprop.params.vector])
    np.testing.assert_allclose(*losses, rtol=1e-12)


def test_optimizers_keep_float32():
    for optimizer in (SGD(9, np.float32, 0.1, 0.9, True), Adam(9, np.float32, 0.1, 0.9, 0.99, 1e-8)):
        w = np.ones(9, np.float32)
        optimizer.step(w, np.ones(9, np.float32))
        assert {v.dtype for v in vars(optimizer).values() if isinstance(v, np.ndarray)} == {np.dtype(np.float32)}
        assert (w < 1).all()


def test_learning_rate_updates():
    constant, scaling, adaptive = (LEARNING_RATES[name](0.5, 0.5) for name in ("constant", "invscaling", "adaptive"))
    assert constant.after_epoch(0.5, 99) == 0.5
    assert constant.on_plateau(0.5) is None
    assert scaling.after_epoch(0.5, 99) == pytest.approx(0.05)
    assert scaling.on_plateau(0.5) is None
    assert adaptive.on_plateau(0.5) == pytest.approx(0.1)
    assert adaptive.on_plateau(1e-6) is None


# Random streams


def test_mask_stream_keeps_random_state_and_can_be_resumed():
    random_state = np.random.RandomState(3)
    rng = mask_stream(random_state)
    assert random_state.randint(1 << 30) == np.random.RandomState(3).randint(1 << 30)
    saved = rng.bit_generator.state
    first = rng.integers(1 << 60, size=3)
    np.testing.assert_array_equal(resume_stream(saved).integers(1 << 60, size=3), first)
    assert (mask_stream(random_state).integers(1 << 60, size=3) != first).all()


@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.3, 0.3)], ids=str)
def test_random_numbers_are_drawn_only_with_noise(rates):
    backprop, rng = make_backprop(rates), stream()
    before = rng.bit_generator.state
    backprop.loss_and_grad(X, LABELS, None, rng)
    unchanged = all(
        np.array_equal(a, b)
        for a, b in zip(*(s["state"]["state"] for s in (before, rng.bit_generator.state)), strict=True)
    )
    assert unchanged == (rates == (0.0, 0.0))


def test_no_generator_is_needed_without_noise():
    make_backprop().loss_and_grad(X, LABELS, None, None)


# Buffers


def test_step_does_not_modify_data_or_parameters():
    backprop = make_backprop((0.5, 0.5))
    data = [X.copy(), LABELS.copy(), np.arange(10.0)]
    for array in data:
        array.flags.writeable = False
    backprop.params.vector.flags.writeable = False
    backprop.loss_and_grad(*data, stream())


@pytest.mark.parametrize("as_sparse", [False, True])
def test_gradient_does_not_depend_on_buffer_size(as_sparse):
    rows = sparse.csr_array(X) if as_sparse else X
    large, small = make_backprop((0.3, 0.3)), make_backprop((0.3, 0.3), batch_size=4)
    large.loss_and_grad(rows, LABELS, None, stream(1))
    losses = [b.loss_and_grad(rows[:4], LABELS[:4], None, stream(2)) for b in (large, small)]
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(large.gradient, small.gradient)


def test_sparse_and_dense_gradients_are_equal():
    backprop = make_backprop((0.0, 0.4))  # noise of a sparse input would draw one number per stored value
    dense = backprop.loss_and_grad(X, LABELS, None, stream(1)), backprop.gradient.copy()
    loss = backprop.loss_and_grad(sparse.csr_array(X), LABELS, None, stream(1))
    assert loss == pytest.approx(dense[0], rel=1e-14)
    np.testing.assert_allclose(backprop.gradient, dense[1], rtol=1e-12, atol=1e-16)


def test_step_does_not_allocate_activations():
    """Activations of 256 x 400 float32 units take 400 kB. A step may only allocate random words."""
    params = Params((400, 400, 10), np.float32)
    initialize(params, ["relu"] * (len(params.units) - 1), np.random.RandomState(0))
    specs = [LayerSpec(400, "relu", rate=0.2), LayerSpec(10, "identity", rate=0.5)]
    backprop = Backprop(params, specs, "log_loss", 256, alpha=1e-4)
    rows = np.zeros((256, 400), np.float32), np.zeros(256, int), None, stream()
    backprop.data_loss_and_grad(*rows)
    tracemalloc.start()
    backprop.data_loss_and_grad(*rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 256 * 400 * 1.1 + 50_000


# Prediction


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize(
    ("dtype", "other"),
    [(np.float32, np.float64), (np.float64, np.float32)],
    ids=["float64 in float32", "float32 in float64"],
)
def test_mixed_weight_dtypes_predict_the_same(layer, dtype, other):
    params = make_params((5, 50, 3), dtype)
    coefs = list(params.coefs)
    coefs[layer] = coefs[layer].astype(other)
    net = Network(coefs, params.intercepts, ("relu",), "softmax")
    np.testing.assert_allclose(net.predict(X), make_network().predict(X), rtol=1e-5)
    assert net.predict(X).dtype == coefs[0].dtype


def make_network():
    params = make_params((5, 50, 3))
    return Network(params.coefs, params.intercepts, ("relu",), "softmax")


def test_predictions_do_not_depend_on_block_size(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(101, 5))
    whole = make_network().predict(rows)
    for block in (1, 50, 350, 5000):
        monkeypatch.setattr(network, "BLOCK", block)
        np.testing.assert_allclose(make_network().predict(rows), whole, rtol=1e-13)
        np.testing.assert_allclose(make_network().predict(sparse.csr_array(rows)), whole, rtol=1e-13)


def test_prediction_memory_is_bounded():
    net = Network(*(lambda p: (p.coefs, p.intercepts))(make_params((5, 500, 1))), ("tanh",), "identity")
    rows = np.zeros((200_000, 5))
    tracemalloc.start()
    net.predict(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000 * 8 + 20e6  # result and a few blocks; all rows at once would take 800 MB


def test_threads_can_share_network():
    net, rows = make_network(), np.random.default_rng(0).normal(size=(40, 257, 5))
    serial = [net.predict(batch) for batch in rows]
    with ThreadPoolExecutor(8) as pool:
        for expected, got in zip(serial, pool.map(net.predict, rows), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_network_pickles_and_caches_nothing():
    net = make_network()
    loaded = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(loaded.predict(X), net.predict(X))
    assert set(vars(net)) == {"coefs", "intercepts", "activations", "output"}


# Training loop


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, bool])
def test_batches_contain_each_row_once_per_epoch(dtype):
    rng = np.random.default_rng(0)
    rows = (rng.random((11, 3)) * 9).astype(dtype)
    Y, weights = np.arange(11), rng.random(11)
    for data in (rows, sparse.csr_array(rows), np.asfortranarray(rows)):
        batches = Batches(data, Y, weights, np.arange(2, 11), 4, np.float64, shuffle=True)
        random_state, seen = np.random.RandomState(0), []
        for _ in range(2):
            for x, y, w in batches.epoch(random_state):
                np.testing.assert_array_equal(x.toarray() if sparse.issparse(x) else x, rows[y].astype(float))
                np.testing.assert_array_equal(w, weights[y])
                assert x.dtype == np.float64
                seen.append(y)
        assert [len(y) for y in seen] == [4, 4, 1] * 2
        assert sorted(np.concatenate(seen[:3])) == list(range(2, 11))
        assert not np.array_equal(np.concatenate(seen[:3]), np.concatenate(seen[3:]))


def test_zero_weight_batch_is_skipped():
    weights = np.array([1.0, 1, 0, 0, 1])
    batches = Batches(X[:5], LABELS[:5], weights, np.arange(5), 2, np.float64, shuffle=False)
    assert [list(w) for _, _, w in batches.epoch(None)] == [[1, 1], [1]]


def test_epoch_stops_at_nonfinite_loss():
    backprop = make_backprop(batch_size=2)
    backprop.params.vector[0] = np.nan
    steps = []

    class Recorder:
        def step(self, *args):
            steps.append(1)

    batches = Batches(X, LABELS, None, np.arange(10), 2, np.float64, shuffle=False)
    assert np.isnan(next(epochs(backprop, Recorder(), batches, None, None)))
    assert not steps


def test_epochs_reduce_loss():
    backprop = make_backprop(batch_size=4)
    optimizer = Adam(backprop.params.vector.size, np.float64, 0.05, 0.9, 0.999, 1e-8)
    batches = Batches(X, LABELS, None, np.arange(10), 4, np.float64, shuffle=True)
    losses = list(islice(epochs(backprop, optimizer, batches, np.random.RandomState(0), None), 200))
    assert losses[-1] < 0.5 * losses[0]

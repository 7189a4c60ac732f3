"""Details of the engine. Each test kills mutants that survive the other tests (mutants.md)."""

import tracemalloc

import numpy as np
import pytest
from helpers import stream
from scipy import sparse, special

from skdropout.engine.activations import ACTIVATIONS, softmax
from skdropout.engine.backprop import Backprop
from skdropout.engine.buffers import CHUNK, GrowingBuffer, in_chunks
from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.dropout.base import N_LEVELS, KeepMask
from skdropout.engine.dropout.bernoulli import Bernoulli
from skdropout.engine.dropout.spatial import Spatial
from skdropout.engine.initializers import initialize
from skdropout.engine.layers import Activate, BatchNorm, LayerSpec, Noise, inference_scale_shift
from skdropout.engine.losses import LOSSES
from skdropout.engine.network import Network
from skdropout.engine.optimizers import SGD, Adam
from skdropout.engine.params import Params
from skdropout.engine.rng import mask_stream
from skdropout.engine.rng import stream as stream_of
from skdropout.engine.sampling import MIN_PASSES, Sampler
from skdropout.engine.schedules import DROPOUT_SCHEDULES, LEARNING_RATES, warm_up
from skdropout.engine.thinned import KeptUnits, ThinAffine, ThinNoise, _take
from skdropout.engine.training import Batches, clip_gradient, epochs, lbfgs

BATCH_NORMS = [None, "before_activation", "after_activation", "after_dropout"]


# Activations


KINKS = {"relu": 0, "leaky_relu": 0.01, "elu": 1, "selu": 1.0507009873554805 * 1.6732632423543772}


@pytest.mark.parametrize(("name", "derivative"), KINKS.items())
def test_derivative_at_kink_is_left_derivative(name, derivative):
    out = np.empty(1, bool if ACTIVATIONS[name].binary_derivative else float)
    ACTIVATIONS[name].derivative(np.zeros(1), out)
    assert out[0] == pytest.approx(derivative, rel=1e-15)  # as in PyTorch


@pytest.mark.parametrize("n_classes", [3, 63, 64, 65, 200])
def test_softmax_subtracts_row_maximum(n_classes):
    z = np.random.default_rng(0).normal(size=(5, n_classes)) + 1000.0 * np.arange(-2, 3)[:, np.newaxis]
    expected = special.softmax(z, axis=1)
    softmax(z)
    np.testing.assert_allclose(z, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_initialize_sets_all_parameters(name):
    params = Params((50, 60), np.float64, np.full(50 * 60 + 60, 99.0))
    initialize(params, [name], np.random.RandomState(0))
    assert np.abs(params.coefs[0]).max() < 1.5
    assert np.abs(params.intercepts[0]).max() < 1
    deviation = {"logistic": 2 / 3 / 110, "identity": 2 / 110, "selu": 1 / 50}
    deviation |= dict.fromkeys(["tanh", "relu"], 2 / 110) | dict.fromkeys(["elu", "leaky_relu", "gelu", "silu"], 2 / 50)
    assert params.coefs[0].var() == pytest.approx(deviation[name], rel=0.13)  # five sigma of 3000 normal numbers


# Losses


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_are_clipped_to_dtype_eps(dtype):
    eps = float(np.finfo(dtype).eps)
    for codes, expected in ((0, -np.log(eps)), (1, -np.log1p(-eps))):
        loss = LOSSES["log_loss"].function(np.array([[0, 1]], dtype), np.array([codes]), None)
        assert loss == pytest.approx(expected, rel=1e-3)
        loss = LOSSES["binary_log_loss"].function(np.array([[0.0]], dtype), np.array([[codes == 0]]), None)
        assert loss == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_that_are_averaged_over_outputs(name):
    assert LOSSES[name].reporting_scale(4) == {"squared_error": 0.25, "gaussian_nll": 0.5}.get(name, 1.0)
    assert LOSSES[name].bind().reporting_scale(4) == LOSSES[name].reporting_scale(4)


def test_loss_options_reach_function():
    P, Y = np.array([[1.0], [2.0]]), np.array([[2.0], [2.0]])
    assert LOSSES["quantile"].bind(level=0.9).function(P, Y, None) == pytest.approx(0.45)


def test_gaussian_nll_by_hand():
    """torch.nn.functional.gaussian_nll_loss([1.0, 3.0], [0.5, 2.0], var=[0.25, 4.0]) is 0.3125 on average."""
    P, Y = np.array([[1.0, 3.0, np.log(0.25), np.log(4)]]), np.array([[0.5, 2.0]])
    expected = (np.log(0.25) + 0.25 / 0.25) / 2 + (np.log(4) + 1 / 4) / 2
    assert LOSSES["gaussian_nll"].function(P, Y, None) == pytest.approx(expected)
    np.testing.assert_allclose(P, [[0.5 / 0.5, 1 / 2, 0, 2 * (1 - 1 / 4) / 2]], atol=1e-15)  # of β-NLL, β = 1/2


def test_the_variance_of_the_best_constant_is_limited():
    loss = LOSSES["gaussian_nll"]
    assert loss.constant_loss(np.full((5, 1), 2.0), None, 2) == pytest.approx(np.log(1e-6) / 2)
    assert loss.constant_loss(np.array([[1e4], [-1e4]]), None, 2) == pytest.approx((np.log(1e6) + 1e8 / 1e6) / 2)


@pytest.mark.parametrize("name", ["absolute_error", "huber", "quantile"])
def test_gradient_of_exact_prediction_is_0(name):
    P = np.array([[1.0], [3.0]])
    LOSSES[name].function(P, np.array([[1.0], [2.0]]), None)
    assert P[0, 0] == 0 < P[1, 0]


# Layers and buffers

SPECS = [
    LayerSpec(7, "relu", rate=0.1),
    LayerSpec(6, "identity", rate=0.2),
    LayerSpec(5, "relu", "gaussian", 0.0),
    LayerSpec(4, "silu", "gaussian", 0.3),
    LayerSpec(3, "relu", rate=0.4),  # the loss sets the output activation
]


def make_backprop(dtype, batch_norm=None, mask_sharing="sample", specs=SPECS, loss="squared_error", batch_size=9):
    params = Params((8, *(spec.units for spec in specs)), dtype, normed=batch_norm is not None)
    initialize(params, ["tanh"] * len(specs), np.random.RandomState(0))
    moments = [(np.zeros(n, dtype), np.ones(n, dtype), np.zeros((), dtype)) for n in params.units[1:-1]]
    return Backprop(
        params, specs, loss, batch_size, batch_norm=batch_norm, moments=moments, mask_sharing=mask_sharing, alpha=0.1
    )


LAYERS = {  # + marks noise that overwrites the output of the preceding ReLU
    None: "Noise Affine Activate Noise+ Affine Affine Activate Noise Affine Activate Noise Affine",
    "before_activation": """Noise Affine BatchNorm Activate Noise+ Affine BatchNorm Affine BatchNorm Activate Noise
        Affine BatchNorm Activate Noise Affine""",
    "after_activation": """Noise Affine Activate BatchNorm Noise Affine BatchNorm Affine Activate BatchNorm Noise
        Affine Activate BatchNorm Noise Affine""",
    "after_dropout": """Noise Affine Activate Noise+ BatchNorm Affine BatchNorm Affine Activate Noise BatchNorm
        Affine Activate Noise BatchNorm Affine""",
}


@pytest.mark.parametrize("batch_norm", BATCH_NORMS)
@pytest.mark.parametrize("mask_sharing", ["sample", "batch"])
def test_layer_order(batch_norm, mask_sharing):
    backprop = make_backprop(np.float64, batch_norm, mask_sharing)
    names = [type(layer).__name__ + "+" * getattr(layer, "after_relu", False) for layer in backprop.layers]
    assert names == LAYERS[batch_norm].split()
    assert {noise.dropout.shared for noise in backprop.noises} == {mask_sharing == "batch"}


def arrays_of(value, seen):
    """Yield the arrays of an engine object, including buffers."""
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from arrays_of(part, seen)
    elif type(value).__module__.startswith("skdropout."):
        yield from arrays_of(list(vars(value).values()), seen)


def record(method, results):
    """Wrap a method to append its results to a list."""

    def wrapper(*args):
        results.append(method(*args))
        return results[-1]

    return wrapper


@pytest.fixture
def thin_always(monkeypatch):
    """Thin networks of any size and rate."""
    for name in ("THIN_WORK", "THIN_ROWS", "THIN_RATE"):
        monkeypatch.setattr(f"skdropout.engine.backprop.{name}", 0)


@pytest.mark.parametrize("batch_norm", BATCH_NORMS)
@pytest.mark.parametrize("mask_sharing", ["sample", "batch"])
@pytest.mark.parametrize("kind", DROPOUTS)
@pytest.mark.usefixtures("thin_always")
def test_float32_step_stays_float32_and_reuses_buffers(kind, mask_sharing, batch_norm):
    groups = {"groups": np.arange(8) // 3} if kind == "spatial" else {}
    specs = [LayerSpec(8, "relu", kind, 0.5, **groups), LayerSpec(8, "gelu", kind, 0.5, **groups)]
    backprop = make_backprop(np.float32, batch_norm, mask_sharing, [*specs, LayerSpec(3, "identity", kind, 0.5)])
    X, Y, seen = np.ones((9, 8), np.float32), np.zeros((9, 3), np.float32), []
    for layer in backprop.layers:
        for name in ("forward", "backward"):
            setattr(layer, name, record(getattr(layer, name), seen))
    for _ in range(2):
        assert type(backprop.loss_and_grad(X, Y, None, stream())[1]) is float  # with the same masks
    arrays = [a for a in arrays_of([backprop.layers, backprop.gradient], {}) if a.dtype.kind == "f"]
    assert arrays
    assert {a.dtype for a in arrays} == {np.dtype(np.float32)}
    first, second = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    for a, b in zip(first, second, strict=True):
        assert (a is b is None) or np.shares_memory(a, b)


def test_first_layer_has_no_input_gradient_buffer():
    first, *others = [layer for layer in make_backprop(np.float64).layers if hasattr(layer, "dx")]
    assert first.dx is None
    assert all(layer.dx is not None for layer in others)


@pytest.mark.parametrize("name", [name for name, activation in ACTIVATIONS.items() if activation.derivative])
def test_derivative_dtype_and_argument(name):
    layer, z = Activate(name, np.float32), np.linspace(-2, 2, 9, dtype=np.float32)
    expected = z.copy()
    y = layer.forward(z, None, None)
    assert y is z
    ACTIVATIONS[name].derivative(expected if name in ("gelu", "silu") else y, derivative := np.empty(9, np.float32))
    np.testing.assert_array_equal(layer.backward(np.ones(9, np.float32)), derivative)
    assert layer.derivative_buffer((9,)).dtype == (bool if name == "relu" else np.float32)


def test_scale_rate_sets_rate_and_0_disables_noise():
    noise, x = Noise(LayerSpec(3, "tanh", rate=0.25), np.float64, shared=False), np.ones((4, 3))
    assert not noise.after_relu
    groups = np.array([0, 0, 1])
    assert Noise(LayerSpec(3, "tanh", "spatial", 0.5, groups), np.float64, shared=False).dropout.groups is groups
    assert not ThinNoise(LayerSpec(3, "tanh", rate=0.25), np.float64, 3, is_input=False).after_relu
    for factor, rate in ((1, 0.25), (2, 0.5), (0, 0.5), (0.5, 0.125), (0, 0.125), (1, 0.25)):
        noise.scale_rate(factor)
        assert noise.dropout.keep.rate == rate
        assert (noise.forward(x, stream() if factor else None, None) is x) == (factor == 0)


@pytest.mark.parametrize("batch_norm", BATCH_NORMS)
def test_weight_of_2_equals_2_rows(batch_norm):
    specs = [LayerSpec(7, "tanh"), LayerSpec(6, "relu"), LayerSpec(3, "identity")]
    rng = np.random.default_rng(0)
    X, Y, weights = rng.normal(size=(5, 8)), rng.normal(size=(5, 3)), np.array([1, 2, 1, 3, 2])
    weighted, repeated = (make_backprop(np.float64, batch_norm, specs=specs) for _ in range(2))
    rows = np.repeat(np.arange(5), weights)
    value = weighted.loss_and_grad(X, Y, weights.astype(float), None)
    np.testing.assert_allclose(value, repeated.loss_and_grad(X[rows], Y[rows], None, None), rtol=1e-12)
    np.testing.assert_allclose(weighted.gradient, repeated.gradient, rtol=1e-9, atol=1e-13)


def test_scratch_has_parameter_dtype():
    dtypes, backprop = set(), make_backprop(np.float32)

    def add_penalty(*args):
        dtypes.add(args[-1].dtype.char)
        return 0.0

    backprop.penalty.add = add_penalty
    backprop.add_penalty(1.0)
    for optimizer in (SGD(9, np.float32, 0.1, 0.9, True), Adam(9, np.float32, 0.1, 0.9, 0.99, 1e-8)):
        optimizer.step(np.ones(9, np.float32), np.ones(9, np.float32), add_penalty)
    assert dtypes == {"f"}


def test_no_penalty_by_default():
    params = Params((8, 3), np.float64, np.ones(27))
    backprop = Backprop(params, [LayerSpec(3, "identity")], "squared_error", 9)
    assert backprop.add_penalty(1.0) == 0.0
    assert not backprop.gradient.any()


@pytest.mark.parametrize("size", [1, CHUNK, CHUNK + 3])
def test_scratch_has_chunk_length_and_dtype(size):
    chunks = []
    in_chunks(
        lambda part, scratch: chunks.append((part.stop - part.start, len(scratch), scratch.dtype)) or 0, size, "f"
    )
    assert sum(n for n, _, _ in chunks) == size
    assert chunks[-1][0] == min(size, CHUNK)  # the first chunk comes last
    assert {(n, "f") for n, _, _ in chunks} == {(n, dtype.char) for _, n, dtype in chunks}


def test_buffer_grows_only_when_needed():
    buffer = GrowingBuffer(np.float32)
    large = buffer((3, 4))
    assert large.dtype == np.float32
    assert all(np.shares_memory(buffer(shape), large) for shape in ((3, 4), (2, 2), (12,)))
    assert not np.shares_memory(buffer((3, 5)), large)


def test_lists_of_wrong_length_raise():
    params = Params((3, 2, 1), np.float64)
    with pytest.raises(ValueError, match="shorter"):
        initialize(params, ["relu"], np.random.RandomState(0))
    with pytest.raises(ValueError, match="shorter"):
        list(inference_scale_shift([np.ones(2)], [np.zeros(2)], []))


# Masks


def test_keep_mask_threshold_dtype_and_buffer():
    keep = KeepMask()
    for rate, threshold in (
        (1e-9, 1),
        (1 / N_LEVELS, 1),
        (2 / N_LEVELS, 2),
        (0.5, N_LEVELS // 2),
        (1 - 1e-9, N_LEVELS - 1),
    ):
        keep.set_rate(rate)
        assert (keep.threshold, keep.rate) == (threshold, threshold / N_LEVELS)
    large = keep.draw(12, stream())
    assert large.dtype == bool
    assert np.shares_memory(keep.draw(12, stream()), large)
    assert np.shares_memory(keep.draw(5, stream()), large)


@pytest.mark.parametrize("kind", DROPOUTS)
def test_noise_dtype_and_output_buffer(kind):
    dropout = DROPOUTS[kind](0.3, np.float32)
    y = dropout.forward(np.ones((4, 3), np.float32), stream())
    again = dropout.forward(np.ones((4, 3), np.float32), stream())
    assert np.shares_memory(y, again)  # the buffer of the dropout object
    out = np.ones((4, 3), np.float32)
    assert np.shares_memory(dropout.forward(out, stream(), out=out), out)  # the given buffer
    np.testing.assert_array_equal(out, again)
    assert (dropout.mask if kind == "alpha" else dropout.noise).dtype in (np.float32, bool)


@pytest.mark.parametrize("rate", [0.25, 0.5])
@pytest.mark.parametrize("kind", ["bernoulli", "gaussian", "spatial"])
def test_forward_and_backward_use_same_noise(kind, rate):
    dropout = DROPOUTS[kind](rate, np.float64)
    y = dropout.forward(np.ones((4, 3)), stream()).copy()
    np.testing.assert_array_equal(dropout.backward(np.ones((4, 3))), y)


def test_grouped_noise_is_equal_for_sparse_and_dense():
    groups = np.array([0, 1, 1, 2, 0, 2])
    X = np.random.default_rng(0).normal(size=(40, 6)) * (np.random.default_rng(1).random((40, 6)) < 0.5)
    X[:, 5] = 0
    rows = sparse.csr_array(X)
    for shared in (False, True):
        for_dense, for_sparse = (Spatial(0.5, np.float64, groups, shared) for _ in range(2))
        assert for_dense.n_groups == 3
        y = for_sparse.forward(rows, stream())
        assert type(y) is type(rows)
        np.testing.assert_array_equal(y.toarray(), for_dense.forward(X, stream()))  # including the empty last column


# Parameters and optimizers


@pytest.mark.parametrize("normed", [False, True])
def test_params_dtype_and_initial_values(normed):
    params = Params((3, 2, 1), np.float32, normed=normed)
    assert params.vector.dtype == params.dtype == np.float32
    assert [len(scale) for scale in params.scales] == [len(shift) for shift in params.shifts] == [2] * normed
    assert all(
        (scale == 1).all() and not shift.any() for scale, shift in zip(params.scales, params.shifts, strict=True)
    )
    given = Params((3, 2, 1), np.float32, np.full(params.vector.size, 7, np.float32), normed)
    assert (given.vector == 7).all()


def test_optimizers_without_penalty_or_momentum():
    for optimizer in (SGD(3, np.float64, 0.1, 0.0, False), Adam(3, np.float64, 0.1, 0.9, 0.99, 1e-8)):
        assert optimizer.step(np.ones(3), np.ones(3)) == 0.0
        optimizer.factor, w = 0.5, np.ones(3)
        optimizer.step(w, np.ones(3))
        np.testing.assert_allclose(w, 1 - 0.05, rtol=1e-6)
    assert SGD(3, np.float64, 0.1, 0.0, False).velocity.size == 0


# Prediction


def test_row_block_size(monkeypatch):
    monkeypatch.setattr("skdropout.engine.network.BLOCK", 40)
    X, net = np.ones((9, 20), np.float32), Network([np.ones((20, 5), np.float32)], [np.zeros(5)], (), "identity")
    for rows, n in ((X, 2), (sparse.csr_array(X), 8), (X[:1], 1)):
        blocks = [block for block, _ in net.layer_inputs(rows)]
        assert [block.stop - block.start for block in blocks][:1] == [n]
        assert blocks[-1].stop == rows.shape[0]
    assert np.shares_memory(next(net.layer_inputs(X))[1][0], X)
    monkeypatch.setattr("skdropout.engine.network.BLOCK", 5)
    assert len(list(net.layer_inputs(X))) == 9
    assert net.predict(X).dtype == np.float32
    assert net.predict(X, lambda z: z.argmax(axis=1)).dtype == int


def test_prediction_does_not_copy_weights():
    net = Network([np.ones((1000, 1000))] * 2, [np.zeros(1000)] * 2, ("relu",), "identity")
    tracemalloc.start()
    net.predict(np.ones((1, 1000)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


# Stochastic forward passes


def make_sampler(rates, units=(20, 10, 8, 3), dtype=np.float32, **options):
    params = Params(units, dtype)
    initialize(params, ["relu"] * 3, np.random.RandomState(0))
    net = Network(params.coefs, params.intercepts, ("relu", "tanh"), "identity")
    return Sampler(net, [("bernoulli", rate, None) for rate in rates], **options)


@pytest.mark.parametrize(
    ("rates", "n_inputs", "n_rows", "n_passes", "rows", "passes"),
    [
        ((0.5, 0, 0), 20, 7, 100, 3, MIN_PASSES),  # 1000 // 20 inputs: 50 rows with one pass, 3 rows with 16 passes
        ((0.5, 0, 0), 20, 2, 100, 2, 25),
        ((0.5, 0, 0), 5, 2, 100, 2, 50),  # 1000 // 10 units
        ((0, 0.5, 0), 20, 2, 100, 2, 50),  # inputs are used only once
        ((0, 0.5, 0), 500, 10, 100, 2, MIN_PASSES),  # 1000 // 500 inputs
        ((0, 0.5, 0), 5, 2, 7, 2, 7),
        ((0, 0, 0), 5, 7, 50, 2, 50),  # without noise, each row is computed once
        ((0.5, 0, 0), 5000, 2, 3, 1, 3),
    ],
    ids=str,
)
def test_pass_block_size(rates, n_inputs, n_rows, n_passes, rows, passes, monkeypatch):
    monkeypatch.setattr("skdropout.engine.sampling.BLOCK", 1000)
    sampler = make_sampler(rates, (n_inputs, 10, 8, 3))
    X = np.ones((n_rows, n_inputs))
    wide = sparse.csr_array(
        np.hstack([X, np.zeros((n_rows, 3 * n_inputs))])
    )  # block size depends on stored values, not columns
    for data in (X, wide):
        blocks = list(sampler.blocks(data, n_passes))
        assert (blocks[0][0], blocks[0][1]) == (slice(0, rows), slice(0, passes))
        done = np.zeros((n_rows, n_passes), int)
        for block in blocks:
            done[block] += 1
        assert (done == 1).all()
    assert next(sampler.blocks(sparse.csr_array((2, 9)), 1)) == (slice(0, 2), slice(0, 1))


@pytest.mark.parametrize(
    ("rates", "n_deterministic"), [((0, 0, 0), 3), ((0, 0.5, 0), 1), ((0.5, 0, 0.5), 0), ((0, 0, 0.5), 2)], ids=str
)
@pytest.mark.parametrize("shared", [False, True])
def test_layers_before_first_noise_are_deterministic(rates, n_deterministic, shared):
    sampler, X = make_sampler(rates, shared=shared), np.ones((4, 20))
    assert sampler.n_deterministic == n_deterministic
    y = sampler.sample(X, slice(1, 4), slice(2, 7), [0])
    assert y.shape == (5, 3, 3)
    assert y.dtype == np.float32
    assert (np.ptp(y, axis=0) > 0).any() == (n_deterministic < 3)
    from_sparse = sampler.sample(sparse.csr_array(X), slice(1, 4), slice(2, 7), [0])  # all values of X are stored
    np.testing.assert_allclose(from_sparse, y, rtol=1e-5, atol=1e-6)


def test_sampler_copies_only_weights_of_other_dtype():
    params = Params((20, 10, 8, 3), np.float32)
    mixed = [params.coefs[0], params.coefs[1].astype(float), params.coefs[2]]
    sampler = Sampler(Network(mixed, params.intercepts, ("relu", "tanh"), "identity"), [("bernoulli", 0.5, None)] * 3)
    assert [layer[0].dtype for layer in sampler.layers] == [np.float32] * 3
    assert np.shares_memory(sampler.layers[0][0], params.vector)
    assert not sampler.shared


@pytest.mark.parametrize("shared", [False, True])
def test_passes_depend_on_seed_and_ignore_rate_0(shared, monkeypatch):
    rates = []

    def recorder(rate, *args):
        rates.append(rate)
        return Bernoulli(rate, *args)

    monkeypatch.setitem(DROPOUTS, "bernoulli", recorder)
    sampler = make_sampler((0.5, 0, 0.25), shared=shared)
    first, again, other = (sampler.sample(np.ones((2, 20)), slice(0, 2), slice(0, 3), [seed]) for seed in (0, 0, 1))
    assert rates == [0.5, 0.25] * 3
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    others = sampler.sample(np.ones((4, 20)), slice(2, 4), slice(0, 3), [0])
    assert (first == others).all() == shared  # equal rows in another block


def test_norms_are_applied_after_activation():
    norms = [
        (np.full(10, 2, np.float32), np.full(10, 1, np.float32)),
        (np.full(8, 3, np.float32), np.zeros(8, np.float32)),
    ]
    sampler, x = make_sampler((0, 0, 0), norms=norms), np.ones((2, 20), np.float32)
    (W0, *_), (W1, *_), (W2, *_) = sampler.layers
    b0, b1, b2 = (layer[1] for layer in sampler.layers)
    expected = 3 * np.tanh((2 * np.maximum(x @ W0 + b0, 0) + 1) @ W1 + b1) @ W2 + b2
    np.testing.assert_allclose(sampler.sample(x, slice(0, 2), slice(0, 1), [0])[0], expected, rtol=1e-5)


# Random streams


def test_random_numbers_of_fixed_seeds():
    rng = mask_stream(np.random.RandomState(0))
    assert rng.bit_generator.random_raw(2).tolist() == [10308669727985371300, 8937240358063486078]
    assert stream_of([1, 2], 3, 4).bit_generator.random_raw(2).tolist() == [10496676148266488318, 4184293323103803345]


# Schedules


def test_learning_rate_properties():
    assert {name for name, cls in LEARNING_RATES.items() if cls.is_schedule} == {"cosine", "onecycle"}
    assert {LEARNING_RATES[name](2).factor(0.5) for name in ("constant", "invscaling", "adaptive")} == {1.0}
    assert LEARNING_RATES["invscaling"](2).after_epoch(1.0, 3) == 1.0  # 2 / 4 ** 0.5


def test_schedules_at_selected_points():
    assert [DROPOUT_SCHEDULES["late"](t) for t in (0.166, 1 / 6, 1)] == [0, 1, 1]
    assert [DROPOUT_SCHEDULES["early"](t) for t in (0, 1 / 12, 1 / 6, 1)] == [1, 0.5, 0, 0]
    assert [warm_up(t, 0.2) for t in (0, 0.05, 0.2, 1)] == [0, 0.25, 1, 1]
    assert [warm_up(t, 0) for t in (0, 1)] == [1, 1]


# Thinned networks and batches


def test_thinned_layer_buffers_and_indices():
    W, b = np.ones((6, 4), np.float32), np.zeros(4, np.float32)
    layer = ThinAffine(W, b, W.copy(), b.copy(), 5, True, None, None)
    assert layer.dx is None
    assert layer.input_gradient
    assert KeptUnits(np.array([False, True, False, True])).inverse.tolist() == [2, 0, 2, 1]
    assert KeptUnits(np.array([True])).index.tolist() == [0, 0]  # the padding index is valid


def test_dense_batches_share_buffer():
    dense = np.ones((7, 3))
    kinds = [(dense.astype(dtype), True) for dtype in (float, np.float32, np.uint8)]
    for X, shared in (*kinds, (sparse.csr_array(dense), False)):
        batches = Batches(X, np.arange(7), None, np.arange(1, 7), 4, np.float32, shuffle=False)
        assert batches.n_batches == 2
        first, second = ((x, y, batches.position) for x, y, _ in batches.epoch(None))
        assert [first[1].tolist(), second[1].tolist()] == [[1, 2, 3, 4], [5, 6]]
        assert (first[2], second[2]) == (0, 1)
        assert first[0].dtype == second[0].dtype == np.float32
        assert (not sparse.issparse(X) and np.shares_memory(first[0], second[0])) == shared


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_gradient_only_reduces_norm(dtype):
    for gradient, expected in (
        ([3.0, 4.0], [0.6, 0.8]),
        ([0.3, 0.4], [0.3, 0.4]),
        ([0.0, 0.0], [0.0, 0.0]),
    ):
        gradient = np.array(gradient, dtype)
        clip_gradient(gradient, 1.0)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6)
    exact = np.array([3.0, 4.0], dtype)
    clip_gradient(exact, 5.0)
    assert exact.tolist() == [3.0, 4.0]


def test_sparse_input_is_not_thinned():
    X, rows = np.ones((4, 6)), sparse.csr_array(np.ones((4, 6)))
    for is_input in (False, True):
        noise = ThinNoise(LayerSpec(3, "tanh", rate=0.5), np.float64, 6, is_input)
        assert noise.dropout.shared
        for data in (X, rows):
            noise.draw(data, stream())
            assert (noise.kept is None) == (is_input and data is rows)
    np.testing.assert_array_equal(noise.forward(rows, None, None).toarray(), np.tile(2.0 * noise.unit_noise, (4, 1)))
    buffer = GrowingBuffer(np.float64)
    assert np.shares_memory(_take(X, np.array([1, 0]), 0, buffer), buffer((1,)))


def make_batches(batch_size=3, n_rows=8):
    rng = np.random.default_rng(0)
    X, Y, weights = rng.normal(size=(n_rows, 8)), rng.normal(size=(n_rows, 3)), np.array([1.0, 2, 1, 3, 2, 1, 1, 2])
    return Batches(X, Y, weights, np.arange(n_rows), batch_size, np.float64, shuffle=False)


def test_epoch_loss_is_mean_over_rows():
    backprop, batches = (
        make_backprop(np.float64, specs=[LayerSpec(4, "tanh"), LayerSpec(3, "identity")]),
        make_batches(),
    )
    expected = 0
    for X, Y, weights in batches.epoch(None):
        data, penalty = backprop.loss_and_grad(X, Y, weights, None)
        expected += (data / 3 + penalty) * len(X) / 8
    steps, optimizer = [], SGD(backprop.params.vector.size, np.float64, 0.0, 0.0, False)
    run = epochs(backprop, optimizer, batches, None, None, before_step=steps.append)
    assert [next(run), next(run)] == pytest.approx([expected] * 2, rel=1e-12)
    assert steps == [0, 1, 2, 3, 4, 5]


def test_clip_norm_limits_step_length():
    for clip_norm, expected in ((1e-3, 1e-3), (1e9, None), (None, None)):
        backprop = make_backprop(np.float64, specs=[LayerSpec(4, "tanh"), LayerSpec(3, "identity")])
        start, sgd = backprop.params.vector.copy(), SGD(backprop.params.vector.size, np.float64, 1.0, 0.0, False)
        next(epochs(backprop, sgd, make_batches(batch_size=8), None, None, clip_norm=clip_norm))
        length = np.linalg.norm(backprop.params.vector - start)
        assert length == pytest.approx(expected, rel=1e-6) if expected else length > 0.1


def test_lbfgs_treats_weights_as_repeated_rows():
    batches = make_batches()
    rows = np.repeat(np.arange(8), batches.sample_weight.astype(int))
    results = []
    for data in ((batches.X, batches.Y, batches.sample_weight), (batches.X[rows], batches.Y[rows], None)):
        specs = [LayerSpec(4, "tanh"), LayerSpec(3, "identity")]
        backprop = make_backprop(np.float64, specs=specs, batch_size=len(data[0]))
        results.append(lbfgs(backprop, *data, max_iter=3, max_fun=50, tol=1e-9, after_iteration=None))
        assert results[-1].nit == 3
    np.testing.assert_allclose(results[0].x, results[1].x, rtol=1e-6)


def test_batch_norm_unfreezes_without_any_variance():
    """Batches of one row have no variance: scale, shift and running moments stay."""
    scale, shift, moments = np.array([2.0, 3.0]), np.array([0.5, -0.5]), (np.ones(2), np.full(2, 4.0), np.array(7.0))
    norm = BatchNorm(scale, shift, np.empty(2), np.empty(2), moments, batch_size=3)
    before = [a.copy() for a in (scale, shift, *moments)]
    norm.freeze()
    norm.forward_frozen(np.ones((1, 2)), None, None)
    norm.unfreeze(keep_close=False)
    assert norm.moments is moments
    for a, expected in zip((scale, shift, *moments), before, strict=True):
        np.testing.assert_array_equal(a, expected)


def test_adam_resumes_before_its_first_step():
    new = Adam(3, np.float64, 0.1, 0.8, 0.99, 1e-8)
    new.resume(Adam(3, np.float64, 0.1, 0.9, 0.999, 1e-8))
    assert new.t == 0
    np.testing.assert_array_equal([new.mean, new.square], np.zeros((2, 3)))

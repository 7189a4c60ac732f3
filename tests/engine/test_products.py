"""Products in blocks equal np.dot to rounding, and their bits do not depend on the number of threads."""

from functools import partial

import numpy as np
import pytest
from scipy import sparse
from threadpoolctl import threadpool_limits

from skdropout.engine import products, threads
from skdropout.engine.backprop import Backprop
from skdropout.engine.buffers import in_chunks
from skdropout.engine.layers import LayerSpec
from skdropout.engine.params import Params
from skdropout.engine.products import ALIGNMENT, MAX_BLOCKS, MIN_PAIR, MIN_PRODUCT, dot, dot_later, sparse_gradient
from skdropout.engine.threads import Team, wait

SHAPES = {  # rows, inner, columns
    "below the threshold": (127, 256, 257),
    "at the threshold": (128, 256, 256),
    "odd": (131, 257, 263),
    "wide": (19, 301, 1501),
    "tall": (1501, 301, 19),
    "few rows": (3, 700, 4001),
    "short inner axis": (1201, 7, 1003),
    "two blocks": (411, 403, 407),
    "four blocks": (512, 512, 517),
    "many blocks": (1031, 512, 517),
}
LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "every other column": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "columns of a wider matrix": lambda a: np.hstack([a, a[:, :3]])[:, : a.shape[1]],
    "reversed rows": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "reversed columns": lambda a: np.ascontiguousarray(a[:, ::-1])[:, ::-1],
    "constant row": lambda a: np.broadcast_to(a[:1], a.shape),
}
OUTS = {
    "none": lambda shape, dtype: None,
    "C": np.empty,
    "columns": lambda shape, dtype: np.empty((shape[0], shape[1] + 5), dtype)[:, 2:-3],
    "F": lambda shape, dtype: np.empty(shape[::-1], dtype).T,
}


def operands(shape, dtype=np.float64):
    rng = np.random.default_rng(0)
    n_rows, inner, n_columns = shape
    return rng.standard_normal((n_rows, inner), dtype), rng.standard_normal((inner, n_columns), dtype)


def check_equal(product, a, b):
    scale = np.abs(a).max() * np.abs(b).max() * a.shape[1]
    assert product.shape == (len(a), b.shape[1])
    assert product.dtype == a.dtype
    np.testing.assert_allclose(product, a @ b, rtol=0, atol=4 * np.finfo(a.dtype).eps * scale)


@pytest.fixture
def small(monkeypatch):
    """Divide small products, too."""
    monkeypatch.setattr(products, "MIN_PRODUCT", 1 << 10)
    monkeypatch.setattr(products, "MIN_PAIR", 1 << 12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_same_bits_for_any_number_of_threads(shape, dtype):
    a, b = operands(SHAPES[shape], dtype)
    with threadpool_limits(1, "blas"):
        alone, later = dot(a, b), np.full((len(a), b.shape[1]), np.nan, dtype)
        check_equal(alone, a, b)
        for n in (1, 2, 3, 4, 8):
            with Team(lambda n=n: n):
                np.testing.assert_array_equal(dot(a, b), alone)
                later[:] = np.nan
                dot_later(a, b, out=later)
                wait()
                np.testing.assert_array_equal(later, alone)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("out", OUTS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(40, 31, 67), (67, 31, 40)], ids=str)
def test_layouts(small, shape, layout, out, n):
    for dtype in (np.float32, np.float64):
        a, b = map(LAYOUTS[layout], operands(shape, dtype))
        before = a.copy(), b.copy()
        result = OUTS[out]((shape[0], shape[2]), dtype)
        with Team(lambda: n):
            product = dot(a, b, out=result)
            check_equal(product, a, b)
            assert result is None or product is result
            if result is not None:
                expected = result.copy()
                result[:] = np.nan
                dot_later(a, b, out=result)
                wait()
                np.testing.assert_array_equal(result, expected)
            check_equal(dot(b.T, a.T), b.T, a.T)
        np.testing.assert_array_equal(a, before[0])
        np.testing.assert_array_equal(b, before[1])


def test_a_view_as_output_leaves_its_surroundings(small):
    a, b = operands((40, 31, 67))
    whole = np.full((44, 80), 7.0)
    with Team(lambda: 2):
        dot(a, b, out=whole[2:-2, 5:-8])
    whole[2:-2, 5:-8] = 7
    assert (whole == 7).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_mapped_operands(small, tmp_path, order):
    a, b = operands((40, 31, 67))
    maps = []
    for i, matrix in enumerate((a, b)):
        written = np.memmap(tmp_path / str(i), matrix.dtype, "w+", shape=matrix.shape, order=order)
        written[:] = matrix
        written.flush()
        maps.append(np.memmap(tmp_path / str(i), matrix.dtype, "r", shape=matrix.shape, order=order))
    a.flags.writeable = b.flags.writeable = False
    with Team(lambda: 2):
        for first, second in (maps, (a, b), (maps[0], b)):
            check_equal(np.asarray(dot(first, second)), a, b)


@pytest.mark.parametrize("shape", [*SHAPES.values(), (1, 1 << 23, 1), (16, 1 << 20, 17), (10_000, 100, 1000)], ids=str)
def test_blocks(shape):
    n_rows, inner, n_columns = shape
    work, longer = n_rows * inner * n_columns, max(n_rows, n_columns)
    a, b = np.broadcast_to(0.0, (n_rows, inner)), np.broadcast_to(0.0, (inner, n_columns))
    blocks = products._blocks(a, b)
    assert (blocks is None) == (work < MIN_PRODUCT)
    if blocks is None:
        return
    assert [i for block in blocks for i in range(block.start, block.stop)] == list(range(longer))
    widths = {block.stop - block.start for block in blocks[:-1]}
    assert len(widths) <= 1
    assert all(width % ALIGNMENT == 0 for width in widths)
    assert (longer > ALIGNMENT) + 1 <= len(blocks) <= min(MAX_BLOCKS, max(2, 2 * work // MIN_PAIR))
    for n in (1, 8):
        with Team(lambda n=n: n):
            assert products._blocks(a, b) == blocks


@pytest.mark.parametrize("transposed", [False, True])
def test_helpers_share_the_longer_axis(small, monkeypatch, transposed):
    shares = []
    monkeypatch.setattr(products, "share", lambda work, parts: shares.append(parts) or [work(part) for part in parts])
    a, b = operands((40, 64, 320))
    check_equal(*((dot(b.T, a.T), b.T, a.T) if transposed else (dot(a, b), a, b)))
    assert [(block.start, block.stop) for block in shares[0]] == [(i, min(i + 48, 320)) for i in range(0, 320, 48)]


def test_sparse_gradient():
    rng = np.random.default_rng(0)
    out = np.full((30, 4), np.nan)
    for _ in range(3):  # `out` contains an earlier gradient, of other columns
        x = sparse.csr_array(rng.normal(size=(9, 30)) * (rng.random((9, 30)) < 0.1))
        d = rng.normal(size=(9, 4))
        sparse_gradient(x, d, out)
        np.testing.assert_allclose(out, x.toarray().T @ d, rtol=1e-12)


def test_add_penalty_completes_the_gradient(small, monkeypatch):
    """Without helpers, products of the gradient are computed when the optimizer needs them."""

    def fail_to_start(helper):
        raise RuntimeError

    monkeypatch.setattr(threads.Helper, "start", fail_to_start)
    rng = np.random.default_rng(0)
    params = Params((40, 40, 40, 40), float)
    params.vector[:] = rng.normal(size=params.vector.size) / 6
    specs = [LayerSpec(40, "relu"), LayerSpec(40, "relu"), LayerSpec(40, "identity")]
    expected, backprop = (Backprop(params, specs, "squared_error", 32, alpha=0.1) for _ in range(2))
    with Team(lambda: 2) as team:
        for _ in range(3):
            batch = rng.normal(size=(32, 40)), rng.normal(size=(32, 40)), None, None
            backprop.gradient[:] = np.nan
            backprop.data_loss_and_grad(*batch)
            assert len(team.deferred) == 3  # and none of an earlier batch
            assert np.isnan(backprop.gradient[:4800]).all()
            parts = []
            add_penalty = partial(backprop.add_penalty_to, 32.0)
            in_chunks(
                lambda part, scratch, parts=parts, add=add_penalty: parts.append(part) or add(part, scratch), 4920, "d"
            )
            assert parts == [slice(0, 4920)]  # all layers are in one chunk
            team.n_threads = lambda: 1
            expected.loss_and_grad(*batch)
            team.n_threads = lambda: 2
            np.testing.assert_array_equal(backprop.gradient, expected.gradient)

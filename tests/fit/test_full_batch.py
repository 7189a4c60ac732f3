"""A row of weight k equals k copies: exactly in full-batch training, in expectation with mini-batches."""

import numpy as np
import pytest
from scipy import sparse

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout.engine.backprop import Backprop
from skdropout.engine.dropout.base import KeepMask
from skdropout.engine.initializers import initialize
from skdropout.engine.layers import LayerSpec
from skdropout.engine.params import Params

rng = np.random.RandomState(0)
X = rng.normal(size=(30, 6)) * (rng.random_sample((30, 6)) < 0.7)
TARGETS = {
    "binary": (DropoutMLPClassifier, rng.randint(2, size=30), {}),
    "multiclass": (DropoutMLPClassifier, np.array(["a", "b", "c"])[rng.randint(3, size=30)], {}),
    "multilabel": (DropoutMLPClassifier, rng.randint(2, size=(30, 3)), {}),
    "regression": (DropoutMLPRegressor, rng.normal(size=30), {}),
    "multioutput": (DropoutMLPRegressor, rng.normal(size=(30, 2)), {}),
    "poisson": (DropoutMLPRegressor, rng.poisson(2, size=30), {"loss": "poisson"}),
    "variances": (DropoutMLPRegressor, X[:, :2], {"loss": "gaussian_nll"}),
}
K = rng.randint(0, 4, size=30)  # includes zeros


def fit(task, X, y, sample_weight=None, **params):
    estimator, _, extra = TARGETS[task]
    defaults = {"dropout": 0.5, "input_dropout": 0.2, "dropout_schedule": "constant", "hidden_layer_sizes": (8, 5)}
    defaults |= {"max_iter": 15, "random_state": 0}
    return estimator(**defaults | extra | params).fit(X, y, sample_weight=sample_weight)


def assert_same(a, b):
    for v, w in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-12)
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-12)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("task", TARGETS)
def test_weight_k_equals_k_copies(task, solver, container):
    y = TARGETS[task][1]
    shuffled = rng.permutation(30)
    weighted = fit(task, container(X[shuffled]), y[shuffled], K[shuffled], solver=solver)
    copied = fit(task, container(X.repeat(K, axis=0)), y.repeat(K, axis=0), solver=solver)
    assert_same(weighted, copied)


@pytest.mark.parametrize("task", TARGETS)
def test_row_order_does_not_matter(task):
    y, order = TARGETS[task][1], rng.permutation(30)
    assert_same(fit(task, X, y), fit(task, X[order], y[order]))


@pytest.mark.parametrize("task", TARGETS)
def test_rows_of_weight_zero_are_removed_first(task):
    y, kept = TARGETS[task][1], K > 0
    outlier = np.where(kept[:, np.newaxis], X, 1e6)
    assert_same(fit(task, outlier, y, kept.astype(float)), fit(task, X[kept], y[kept]))


def test_sparse_storage_does_not_matter():
    y, order = TARGETS["multiclass"][1], rng.permutation(6)
    canonical = sparse.csr_array(X)
    with_zeros = canonical.copy()
    with_zeros.data[:3] = 0
    explicit = sparse.csr_array(with_zeros.toarray())
    doubled = sparse.csr_array(
        (np.repeat(canonical.data / 2, 2), np.repeat(canonical.indices, 2), 2 * canonical.indptr), canonical.shape
    )
    unsorted = sparse.csr_array(canonical[:, order][:, np.argsort(order)])
    expected = fit("multiclass", canonical, y)
    for stored in (doubled, unsorted):
        data = stored.data.copy()
        assert_same(fit("multiclass", stored, y), expected)
        np.testing.assert_array_equal(stored.data, data)
    assert_same(fit("multiclass", with_zeros, y), fit("multiclass", explicit, y))


def test_sign_of_zero_does_not_matter():
    Z, t = np.where(X == 0, 0.0, X), np.arange(30) % 3.0
    signed = np.where((Z == 0) & (rng.random_sample(Z.shape) < 0.5), -0.0, Z)
    flipped = np.where(t == 0, -0.0, t)
    assert_same(fit("regression", np.vstack([Z, signed]), np.r_[t, flipped]), fit("regression", Z, t, np.full(30, 2)))


@pytest.mark.parametrize("limit", [{"batch_size": "auto"}, {"batch_size": 60}])
def test_weights_equal_copies_for_any_batch_size_of_all_rows(limit):
    y = TARGETS["regression"][1]
    if limit["batch_size"] == 60:
        with pytest.warns(UserWarning, match="batch_size"):
            a, b = (
                fit("regression", X[K > 0].repeat(r, axis=0), y[K > 0].repeat(r), w, **limit)
                for r, w in ((1, K[K > 0]), (K[K > 0], None))
            )
    else:
        a, b = fit("regression", X, y, K, **limit), fit("regression", X.repeat(K, axis=0), y.repeat(K), **limit)
    assert_same(a, b)


def record_masks(monkeypatch, *args, **params):
    """Return the masks of the last hidden layer for each draw, with one row per training row."""
    masks, draw = [], KeepMask.draw

    def spy(self, size, rng):
        masks.append(draw(self, size, rng).copy())
        return masks[-1]

    monkeypatch.setattr(KeepMask, "draw", spy)
    fit("regression", *args, input_dropout=0.0, hidden_layer_sizes=40, **params)
    return [mask.reshape(-1, 40) for mask in masks]


def test_equal_rows_with_different_targets_are_not_merged(monkeypatch):
    masks = record_masks(monkeypatch, np.ones((20, 2)), np.arange(20.0) % 2, max_iter=1)
    assert [len(mask) for mask in masks] == [2]  # two distinct rows, ten copies each


def test_different_rows_and_epochs_get_different_masks(monkeypatch):
    first, second = record_masks(monkeypatch, X, TARGETS["regression"][1], max_iter=2)
    assert len(np.unique(first, axis=0)) == len(first) == 30
    assert not np.array_equal(first, second)


def test_merging_keeps_the_row_counts_and_the_random_stream():
    """The rate changes only the masks, even where rows are merged."""
    y = TARGETS["regression"][1]
    states = [np.random.RandomState(0) for _ in range(2)]
    models = [
        fit(
            "regression",
            X.repeat(3, axis=0),
            y.repeat(3),
            np.tile(K, 3),
            dropout=rate,
            input_dropout=0.0,
            random_state=state,
            early_stopping=True,
        )
        for rate, state in zip((0.0, 0.4), states, strict=True)
    ]
    assert models[0].t_ / models[0].n_iter_ == models[1].t_ / models[1].n_iter_ == 81
    same = min(model.n_iter_ for model in models)
    for state, model in zip(states, models, strict=True):
        for _ in range(15 - model.n_iter_):
            state.shuffle(np.arange(81))
    assert same > 0
    assert states[0].random_sample() == states[1].random_sample()


def test_mean_gradient_over_masks_equals_that_of_copies():
    """In a mini-batch, the expected gradient of a row of weight k is that of k copies with separate masks."""
    specs = [LayerSpec(5, "relu", rate=0.3), LayerSpec(1, "identity", rate=0.5)]
    params = Params((6, 5, 1), np.float64)
    initialize(params, ["relu", "relu"], np.random.RandomState(0))
    y, present = TARGETS["regression"][1][:, np.newaxis], K > 0
    means = []
    for rows, Y, weights in (
        (X[present], y[present], K[present].astype(float)),
        (X.repeat(K, 0), y.repeat(K, 0), None),
    ):
        backprop, noise = Backprop(params, specs, "squared_error", len(rows)), np.random.Generator(np.random.SFC64(1))
        gradients = np.empty((3000, params.vector.size))
        for gradient in gradients:
            backprop.loss_and_grad(rows, Y, weights, noise)
            gradient[:] = backprop.gradient
        means.append((gradients.mean(0), gradients.var(0, ddof=1) / len(gradients)))
    (a, a_variance), (b, b_variance) = means
    assert (np.abs(a - b) <= 5 * np.sqrt(a_variance + b_variance) + 1e-15).all()

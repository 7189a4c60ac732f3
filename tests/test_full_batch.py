"""A weight of k equals k copies: exactly in full-batch training, in expectation with mini-batches."""

import numpy as np
import pytest
from scipy import sparse

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.RandomState(0)
X = rng.normal(size=(30, 6)) * (rng.random_sample((30, 6)) < 0.7)
TARGETS = {
    "binary": (DropoutMLPClassifier, rng.randint(2, size=30), {}),
    "multiclass": (DropoutMLPClassifier, np.array(["a", "b", "c"])[rng.randint(3, size=30)], {}),
    "multilabel": (DropoutMLPClassifier, rng.randint(2, size=(30, 3)), {}),
    "regression": (DropoutMLPRegressor, rng.normal(size=30), {}),
    "multioutput": (DropoutMLPRegressor, rng.normal(size=(30, 2)), {}),
    "poisson": (DropoutMLPRegressor, rng.poisson(2, size=30), {"loss": "poisson"}),
}
K = rng.randint(0, 4, size=30)  # zeros among them


def fit(task, X, y, sample_weight=None, **params):
    estimator, _, extra = TARGETS[task]
    defaults = {"dropout": 0.5, "input_dropout": 0.2, "max_iter": 15, "random_state": 0, "hidden_layer_sizes": (8, 5)}
    return estimator(**defaults | extra | params).fit(X, y, sample_weight=sample_weight)


def assert_same(a, b):
    for v, w in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-12)
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-12)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("task", TARGETS)
def test_a_weight_of_k_equals_k_copies(task, solver, container):
    y = TARGETS[task][1]
    shuffled = rng.permutation(30)
    weighted = fit(task, container(X[shuffled]), y[shuffled], K[shuffled], solver=solver)
    copied = fit(task, container(X.repeat(K, axis=0)), y.repeat(K, axis=0), solver=solver)
    assert_same(weighted, copied)


@pytest.mark.parametrize("task", TARGETS)
def test_the_order_of_the_rows_does_not_matter(task):
    y, order = TARGETS[task][1], rng.permutation(30)
    assert_same(fit(task, X, y), fit(task, X[order], y[order]))


@pytest.mark.parametrize("task", TARGETS)
def test_rows_of_weight_zero_are_left_out_first(task):
    y, kept = TARGETS[task][1], K > 0
    outlier = np.where(kept[:, np.newaxis], X, 1e6)
    assert_same(fit(task, outlier, y, kept.astype(float)), fit(task, X[kept], y[kept]))


def test_rows_of_weight_zero_do_not_count_towards_a_full_batch():
    y, kept = TARGETS["regression"][1], K > 0
    a = fit("regression", X, y, kept.astype(float), batch_size=kept.sum())
    assert_same(a, fit("regression", X[kept], y[kept], batch_size=kept.sum()))


def test_sparse_and_dense_train_alike_whatever_is_stored():
    y = TARGETS["multiclass"][1]
    stored = sparse.csr_array(X)
    stored.data[:3] = 0  # explicit zeros
    dense = fit("multiclass", stored.toarray(), y, input_dropout=0.0)
    assert_same(fit("multiclass", stored, y, input_dropout=0.0), dense)


@pytest.mark.parametrize("limit", [{"batch_size": "auto"}, {"batch_size": 60}])
def test_the_guarantee_holds_whatever_the_batch_size_that_holds_all_rows(limit):
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


def test_equal_rows_with_different_targets_stay_apart():
    model = fit("regression", np.ones((20, 2)), np.arange(20.0) % 2, dropout=0.0, input_dropout=1e-5, max_iter=1)
    assert model.t_ == 2  # two distinct rows, ten copies each


def test_mini_batches_agree_in_expectation():
    """Mean prediction over seeds of weight 2 against two copies, five sigma of the difference."""
    y = TARGETS["regression"][1]
    params = {"batch_size": 10, "max_iter": 20, "solver": "sgd", "learning_rate_init": 0.01}
    runs = {}
    for name, data in {
        "weights": (X, y, np.full(30, 2.0)),
        "copies": (np.tile(X, (2, 1)), np.tile(y, 2), None),
    }.items():
        batch = {"weights": 10, "copies": 20}[name]
        runs[name] = np.array(
            [
                fit("regression", *data, **params | {"batch_size": batch, "random_state": seed}).predict(X)
                for seed in range(60)
            ]
        )
    a, b = runs["weights"], runs["copies"]
    sigma = np.sqrt(a.var(0, ddof=1) / len(a) + b.var(0, ddof=1) / len(b))
    assert (np.abs(a.mean(0) - b.mean(0)) < 5 * sigma).all()


def test_different_rows_get_different_masks():
    """If all rows shared one mask, a network that must fit noise would; drawn row by row the loss of rows varies."""
    from skdropout.engine.dropout.bernoulli import Bernoulli

    masks, sample = [], Bernoulli.sample

    def spy(self, size, rng):
        masks.append(sample(self, size, rng).copy())
        return masks[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bernoulli, "sample", spy)
        fit("regression", X, TARGETS["regression"][1], input_dropout=0.0, hidden_layer_sizes=40, max_iter=2)
    first, second = (mask.reshape(30, 40) for mask in masks)
    assert len(np.unique(first, axis=0)) == 30
    assert not np.array_equal(first, second)

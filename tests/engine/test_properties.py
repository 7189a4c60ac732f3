"""Property-based tests with small random architectures and data."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout.engine.activations import ACTIVATIONS
from skdropout.engine.backprop import Backprop
from skdropout.engine.initializers import initialize
from skdropout.engine.layers import LayerSpec
from skdropout.engine.network import Network
from skdropout.engine.params import Params

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* has no effect with"),  # parameters are combined at random
]
settings.register_profile("skdropout", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("skdropout")

rates = st.sampled_from([0.0, 0.1, 0.5, 0.9])
activations = st.sampled_from(sorted(ACTIVATIONS))


@st.composite
def problems(draw):
    hidden = tuple(draw(st.lists(st.integers(1, 6), max_size=3)))
    seed, n, d = draw(st.integers(0, 99)), draw(st.integers(2, 12)), draw(st.integers(1, 5))
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, d)).astype(draw(st.sampled_from([np.float32, np.float64])))
    task = draw(st.sampled_from(["labels", "multilabel", "values", "outputs"]))
    y = {
        "labels": np.array(["a", "b", "c"])[rng.randint(3, size=n)],
        "multilabel": rng.randint(2, size=(n, 3)),
        "values": rng.normal(size=n),
        "outputs": rng.normal(size=(n, 2)),
    }[task]
    estimator = DropoutMLPClassifier if task in {"labels", "multilabel"} else DropoutMLPRegressor
    return (
        estimator,
        X,
        y,
        {
            "hidden_layer_sizes": hidden,
            "activation": draw(activations),
            "dropout": [draw(rates) for _ in hidden],
            "input_dropout": draw(rates),
            "solver": draw(st.sampled_from(["adam", "adamw", "sgd"])),
            "dropout_kind": [draw(st.sampled_from(["bernoulli", "gaussian", "spatial"])) for _ in hidden],
            "batch_norm": draw(st.sampled_from([False, "before_activation", "after_activation", "after_dropout"])),
            "dropout_schedule": draw(st.sampled_from(["constant", "annealed", "curriculum"])),
            "max_norm": draw(st.sampled_from([None, 0.5])),
            "learning_rate": draw(st.sampled_from(["constant", "cosine", "onecycle"])),
            "early_stopping": False,
            "alpha": draw(st.sampled_from([0.0, 0.1])),
            "max_iter": draw(st.integers(1, 4)),
            "random_state": seed,
        },
    )


@given(problems())
def test_shapes_and_dtypes(problem):
    estimator, X, y, params = problem
    model = estimator(**params).fit(X, y)
    units = [X.shape[1], *params["hidden_layer_sizes"], model.n_outputs_]
    assert [W.shape for W in model.coefs_] == list(pairwise(units))
    assert [b.shape for b in model.intercepts_] == [(n,) for n in units[1:]]
    assert {a.dtype for a in model.coefs_ + model.intercepts_} == {X.dtype}
    assert model.predict(X).shape == y.shape
    assert model.n_layers_ == len(units)
    if estimator is DropoutMLPClassifier:
        P = model.predict_proba(X)
        assert P.shape == (len(X), len(model.classes_))
        assert P.dtype == X.dtype
        assert ((P >= 0) & (P <= 1)).all()
        if y.ndim == 1:
            np.testing.assert_allclose(P.sum(1), 1, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:batch_norm cannot learn")  # if only one row has a positive weight
@given(problems(), st.randoms(use_true_random=False))
def test_weight_of_2_equals_2_rows_in_any_order(problem, random):
    estimator, X, y, params = problem
    weights = np.array([random.choice([0, 1, 2]) for _ in X])
    weights[0] = 2  # not all zero
    order = random.sample(range(len(X)), len(X))
    weighted = estimator(**params).fit(X[order], y[order], sample_weight=weights[order])
    kept = np.unique(y[weights > 0]) if y.ndim == 1 and estimator is DropoutMLPClassifier else None
    if kept is not None and len(kept) < len(np.unique(y)):
        return  # only the weighted fit has the classes whose rows all have weight 0
    copied = estimator(**params).fit(X.repeat(weights, axis=0), y.repeat(weights, axis=0))
    if any(params["dropout"]) or params["input_dropout"]:
        for a, b in zip(weighted.coefs_, copied.coefs_, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
    elif not params["batch_norm"]:  # a single row has no variance, its copies have variance 0
        # rows are merged only with noise; without it, Adam can amplify rounding errors of the sums
        np.testing.assert_allclose(weighted.loss_curve_[0], copied.loss_curve_[0], rtol=1e-5)


@given(problems(), st.booleans(), st.sampled_from(["alpha", "gaussian"]), st.integers(2, 5))
def test_any_parameters_train_on_any_rows(problem, as_sparse, kind, batch_size):
    """Mini-batches, sparse rows, zero weights, other kinds of input noise, alpha dropout, and partial_fit after fit."""
    estimator, X, y, params = problem
    as_sparse = as_sparse and kind != "alpha"
    # batch normalization may diverge with batches of one or two rows
    batch_size = len(X) if params["batch_norm"] else min(batch_size, len(X))
    params |= {"dropout_kind": kind, "batch_size": batch_size, "learning_rate": "constant"}
    rows, weights = sparse.csr_array(X) if as_sparse else X, np.arange(len(X)) % 3.0
    weights[0] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # alpha after other activations
        model = estimator(**params).fit(rows, y, sample_weight=weights)
        model.partial_fit(rows, y)
    assert np.isfinite(model.loss_curve_).all()
    assert len(model.loss_curve_) == params["max_iter"] + 1
    assert model.predict(rows).shape == y.shape


@given(problems())
def test_single_and_sparse_rows_predict_the_same(problem):
    estimator, X, y, params = problem
    model = estimator(**params).fit(X, y)
    network = model._network()
    whole = network.predict(X)
    tolerance = {"rtol": 1e-4, "atol": 1e-6} if X.dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-14}
    np.testing.assert_allclose(np.vstack([network.predict(row[np.newaxis]) for row in X]), whole, **tolerance)
    np.testing.assert_allclose(network.predict(sparse.csr_array(X)), whole, **tolerance)


@given(st.integers(0, 99), st.integers(1, 8), activations, st.randoms(use_true_random=False))
def test_prediction_is_invariant_to_hidden_unit_order(seed, width, activation, random):
    params = Params((4, width, 3), np.float64)
    initialize(params, ["tanh"] * 2, np.random.RandomState(seed))
    order = random.sample(range(width), width)
    W, V = params.coefs
    b, c = params.intercepts
    X = np.random.RandomState(seed).normal(size=(9, 4))
    a = Network([W, V], [b, c], (activation,), "softmax").predict(X)
    permuted = Network([W[:, order], V[order]], [b[order], c], (activation,), "softmax").predict(X)
    np.testing.assert_allclose(permuted, a, rtol=1e-10)


@given(st.integers(0, 99), st.integers(1, 9), st.lists(st.integers(1, 5), min_size=1, max_size=3), rates)
def test_gradient_is_mean_over_rows(seed, n, hidden, rate):
    """The gradient of a batch is the mean of the gradients of its rows without noise, and finite with noise."""
    rng = np.random.RandomState(seed)
    X, Y = rng.normal(size=(n, 3)), rng.normal(size=(n, 2))
    params = Params((3, *hidden, 2), np.float64)
    initialize(params, ["tanh"] * (len(hidden) + 1), rng)
    specs = [LayerSpec(units, "tanh", rate=rate) for units in hidden] + [LayerSpec(2, "identity", rate=rate)]
    backprop = Backprop(params, specs, "squared_error", n)
    stream = np.random.Generator(np.random.SFC64(seed))
    backprop.loss_and_grad(X, Y, None, stream)
    whole = backprop.gradient.copy()
    assert np.isfinite(whole).all()
    if rate == 0:
        parts = []
        for i in range(n):
            backprop.loss_and_grad(X[i : i + 1], Y[i : i + 1], None, None)
            parts.append(backprop.gradient.copy())
        np.testing.assert_allclose(np.mean(parts, axis=0), whole, rtol=1e-9, atol=1e-13)

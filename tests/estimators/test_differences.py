"""Differences from scikit-learn's MLP: one test for each item in the Notes of the docstrings."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_regression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout.engine import network
from skdropout.engine.activations import ACTIVATIONS
from skdropout.engine.dropout.bernoulli import Bernoulli
from skdropout.engine.training import Batches

X, y = load_iris(return_X_y=True)
BINARY = y == 0


@pytest.fixture
def masks(monkeypatch):
    """Return all masks drawn."""
    drawn, sample = [], Bernoulli.sample

    def spy(self, x, rng):
        drawn.append(sample(self, x, rng).copy())
        return drawn[-1]

    monkeypatch.setattr(Bernoulli, "sample", spy)
    return drawn


@pytest.mark.parametrize("estimator", [DropoutMLPClassifier, DropoutMLPRegressor])
def test_partial_fit_with_an_integer_seed_continues_its_streams(estimator, masks, monkeypatch):
    orders, gather = [], Batches._gather

    def spy(self, rows):
        orders.append(rows.copy())
        return gather(self, rows)

    monkeypatch.setattr(Batches, "_gather", spy)
    model = estimator(random_state=0, dropout=0.5, batch_size=50)
    for _ in range(3):
        model.partial_fit(X, y, **({"classes": [0, 1, 2]} if estimator is DropoutMLPClassifier else {}))
    assert len(orders) == len(masks) == 9
    for seen in (orders, masks):
        assert len({a.tobytes() for a in seen}) == len(seen), "a permutation or a mask came twice"


def test_many_partial_fits_equal_one_fit():
    params = {"random_state": 3, "dropout": 0.4, "shuffle": False, "batch_size": 40, "hidden_layer_sizes": (9, 6)}
    whole = DropoutMLPClassifier(max_iter=7, **params).fit(X, y)
    parts = DropoutMLPClassifier(**params)
    for _ in range(7):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    for a, b in zip(whole.coefs_ + whole.intercepts_, parts.coefs_ + parts.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(whole.loss_curve_, parts.loss_curve_)


def test_masks_continue_in_a_warm_start_and_restart_in_a_fit(masks):
    clf = DropoutMLPClassifier(random_state=0, max_iter=2, warm_start=True, batch_size=150)
    for _ in range(2):
        clf.fit(X, y)
    assert len({mask.tobytes() for mask in masks}) == 4
    first = masks[0]
    masks.clear()
    clf.set_params(warm_start=False).fit(X, y)
    np.testing.assert_array_equal(masks[0], first)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_mini_batch_of_zero_weights_is_skipped(dropout):
    weights = np.where(np.arange(150) < 100, 1.0, 0.0)
    params = {"batch_size": 50, "shuffle": False, "max_iter": 5, "random_state": 0}
    with pytest.raises(ZeroDivisionError):
        MLPClassifier(**params).fit(X, y, sample_weight=weights)
    clf = DropoutMLPClassifier(dropout=dropout, **params).fit(X, y, sample_weight=weights)
    rest = DropoutMLPClassifier(dropout=dropout, **params)
    rest.partial_fit(X[:100], y[:100], classes=[0, 1, 2])
    for _ in range(4):
        rest.partial_fit(X[:100], y[:100])
    np.testing.assert_allclose(clf.loss_curve_, rest.loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(clf.coefs_[0], rest.coefs_[0], rtol=1e-12)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_divergence_error_says_when_and_what_to_do(early_stopping):
    reg = DropoutMLPRegressor(
        solver="sgd", activation="identity", learning_rate_init=1, early_stopping=early_stopping, random_state=0
    )
    step = r"in epoch \d+(, batch 1 of 1)?"
    with pytest.raises(ValueError, match=f"{step}: .*lower learning_rate_init " + r"\(now 1\)"):
        reg.fit(X, y)


def test_a_score_that_is_not_finite_is_an_error():
    def scorer(estimator, X, y):
        return np.nan

    with pytest.raises(ValueError, match="validation score became nan in epoch 1"):
        DropoutMLPClassifier(early_stopping=True, scoring=scorer).fit(X, y)


def test_warm_start_with_early_stopping_continues_training():
    params = {"early_stopping": True, "warm_start": True, "random_state": 0, "n_iter_no_change": 3, "max_iter": 500}
    theirs, ours = MLPClassifier(**params).fit(X, y), DropoutMLPClassifier(dropout=0, **params).fit(X, y)
    assert theirs.fit(X, y).n_iter_ == 1
    ours.fit(X, y)
    assert ours.n_iter_ >= 4


def test_warm_start_with_early_stopping_holds_out_the_same_rows_and_never_ends_worse():
    params = {"early_stopping": True, "warm_start": True, "random_state": 0, "validation_fraction": 0.3}
    clf = DropoutMLPClassifier(max_iter=60, n_iter_no_change=100, **params).fit(X, y)
    best, coefs = clf.best_validation_score_, [W.copy() for W in clf.coefs_]
    clf.set_params(learning_rate_init=10.0, max_iter=3).fit(X, y)  # ruins the weights
    assert clf.validation_scores_[-1] < best
    assert clf.best_validation_score_ == best
    for a, b in zip(coefs, clf.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("params", [{"early_stopping": True}, {}])
def test_lbfgs_warns_that_it_uses_no_validation_data(params):
    validation = {} if params else {"X_val": X, "y_val": y}
    with pytest.warns(UserWarning, match="early_stopping and X_val have no effect"):
        DropoutMLPClassifier(solver="lbfgs", dropout=0, **params).fit(X, y, **validation)


def test_lbfgs_minimizes_a_multi_output_loss_with_its_own_gradient():
    """The loss is the sum over outputs, so its minimum is the minimum for each output."""
    Xr, Yr = make_regression(60, 4, n_targets=3, random_state=0)
    Yr = Yr / 100
    params = {
        "solver": "lbfgs",
        "hidden_layer_sizes": (),
        "alpha": 0.5,
        "tol": 1e-10,
        "max_iter": 1000,
        "random_state": 0,
    }
    ours = DropoutMLPRegressor(dropout=0, **params).fit(Xr, Yr)
    for output in range(3):
        single = DropoutMLPRegressor(dropout=0, **params).fit(Xr, Yr[:, output])
        np.testing.assert_allclose(ours.coefs_[0][:, output], single.coefs_[0][:, 0], rtol=1e-4)
    assert ours.loss_ == pytest.approx(
        0.5 * np.sum((ours.predict(Xr) - Yr) ** 2) / 60 + 0.25 / 60 * np.sum(ours.coefs_[0] ** 2), rel=1e-9
    )


@pytest.mark.parametrize("estimator", [DropoutMLPClassifier, DropoutMLPRegressor])
def test_partial_fit_is_hidden_under_lbfgs(estimator):
    assert hasattr(MLPRegressor(solver="lbfgs"), "partial_fit")
    assert not hasattr(estimator(solver="lbfgs"), "partial_fit")
    assert hasattr(estimator(), "partial_fit")


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_pickle_is_about_the_size_of_the_weights(early_stopping):
    rng = np.random.RandomState(0)
    data = rng.normal(size=(100, 100)), rng.randint(2, size=100)
    params = {"hidden_layer_sizes": (200, 200), "max_iter": 3, "early_stopping": early_stopping, "random_state": 0}
    theirs, ours = MLPClassifier(**params).fit(*data), DropoutMLPClassifier(**params).fit(*data)
    size = sum(a.nbytes for a in ours.coefs_ + ours.intercepts_)
    assert len(pickle.dumps(theirs)) > 3 * size
    assert len(pickle.dumps(ours)) < size + 8000


@pytest.mark.parametrize("make_copy", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies_predict_the_same_and_continue_training(make_copy):
    clf = DropoutMLPClassifier(random_state=0, max_iter=5).fit(X, y)
    other = make_copy(clf)
    np.testing.assert_array_equal(other.predict_proba(X), clf.predict_proba(X))
    assert not any(np.shares_memory(a, b) for a, b in zip(clf.coefs_, other.coefs_, strict=True))
    other.partial_fit(X, y)
    assert len(other.loss_curve_) == 6
    assert len(clf.loss_curve_) == 5


def test_a_deep_copy_continues_like_the_original_and_a_pickle_with_its_learning_rate():
    params = {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "tol": 0.05, "dropout": 0.3}
    clf = DropoutMLPClassifier(random_state=0, max_iter=300, **params).fit(X, y)
    assert clf._optimizer.learning_rate < 0.01
    deep, stored = copy.deepcopy(clf), pickle.loads(pickle.dumps(clf))
    for model in (clf, deep, stored):
        model.partial_fit(X, y)
    np.testing.assert_array_equal(deep.coefs_[0], clf.coefs_[0])
    assert stored._optimizer.learning_rate == clf._optimizer.learning_rate


@pytest.mark.parametrize("target", [BINARY, y], ids=["binary", "multiclass"])
def test_log_probabilities_are_finite_where_probabilities_round_to_zero(target):
    clf = DropoutMLPClassifier(dropout=0, max_iter=300, random_state=0).fit(X, target)
    far = X * 1e4
    assert (clf.predict_proba(far) == 0).any()
    log_P = clf.predict_log_proba(far)
    assert np.isfinite(log_P).all()
    likely = clf.predict_proba(far) > 0
    np.testing.assert_allclose(np.exp(log_P[likely]), clf.predict_proba(far)[likely], rtol=1e-12)


def test_log_probabilities_of_a_multilabel_network_are_finite():
    Y = np.column_stack([BINARY, y == 1, y == 2])
    clf = DropoutMLPClassifier(dropout=0, max_iter=300, random_state=0).fit(X, Y)
    assert (clf.predict_proba(X * 1e5) == 0).any()
    assert np.isfinite(clf.predict_log_proba(X * 1e5)).all()


def test_poisson_refuses_negative_targets():
    reg = DropoutMLPRegressor(loss="poisson")
    with pytest.raises(ValueError, match="`y` has negative values, but loss='poisson' needs y >= 0"):
        reg.fit(X, y - 1)
    with pytest.raises(ValueError, match="`y_val` has negative values"):
        reg.fit(X, y, X_val=X, y_val=y - 1.0)


@pytest.mark.parametrize("strings", [np.array(["a", "b"])[y % 2], y.astype(str), y.astype("S1")])
def test_a_regressor_refuses_strings(strings):
    with pytest.raises(ValueError, match="`y` must be numeric, got dtype"):
        DropoutMLPRegressor().fit(X, strings)
    with pytest.raises(ValueError, match=r"could not convert|must be numeric"):
        DropoutMLPRegressor().fit(X, np.array(["a", "b"], dtype=object)[y % 2])


def test_prediction_runs_in_blocks(monkeypatch):
    sizes, relu = [], ACTIVATIONS["relu"]
    clf = DropoutMLPClassifier(max_iter=20, random_state=0).fit(X, y)
    whole = clf.predict_proba(X)
    spy = relu._replace(forward=lambda z: (sizes.append(len(z)), relu.forward(z)))
    monkeypatch.setitem(ACTIVATIONS, "relu", spy)
    monkeypatch.setattr(network, "BLOCK", 700)  # seven rows with 100 units
    np.testing.assert_allclose(clf.predict_proba(X), whole, rtol=1e-13)
    assert sizes == [7] * 21 + [3]


def test_one_class_has_one_column():
    clf = DropoutMLPClassifier(max_iter=3, random_state=0)
    clf.fit(X, np.full(150, "only"))
    np.testing.assert_array_equal(clf.predict_proba(X), np.ones((150, 1)))
    np.testing.assert_array_equal(clf.predict_log_proba(X), np.zeros((150, 1)))
    assert set(clf.predict(X)) == {"only"}


def test_changing_a_parameter_does_not_change_a_fitted_network():
    clf = DropoutMLPClassifier(max_iter=200, random_state=0).fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(activation="tanh", hidden_layer_sizes=3, dropout=0.9)
    np.testing.assert_array_equal(clf.predict_proba(X), before)


def test_warm_start_continues_the_validation_curves():
    clf = DropoutMLPClassifier(5, max_iter=4, n_iter_no_change=4, warm_start=True, random_state=0)
    for n in (4, 8):
        clf.fit(X, y, X_val=X, y_val=y)
        assert len(clf.loss_curve_) == len(clf.validation_scores_) == len(clf.validation_loss_curve_) == n

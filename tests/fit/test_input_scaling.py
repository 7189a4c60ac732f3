"""Training with dropout scales large input columns inside the network, by exact powers of two."""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_wine
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skdropout import Checkpoint, DropoutMLPClassifier, DropoutMLPRegressor
from skdropout._callbacks.tasks import Callback
from skdropout._fit.data import Rows
from skdropout._fit.scaling import column_exponents, column_rms, target_scale

X, y = load_wine(return_X_y=True)
EXPONENTS = np.array([2, 0, 0, 2, 5, 0, 0, 0, 0, 0, 0, 0, 8])  # root mean squares of 13, 2.6, ..., 101, ..., 811
MODERATE = np.ldexp(X, -EXPONENTS)
LABELS = np.column_stack([y > 0, X[:, 0] > 13]).astype(int)
TARGETS = np.column_stack([X[:, 1], X[:, 9]]) / 3

CASES = {
    "defaults": {},
    "gaussian, input": {"dropout_kind": "gaussian", "input_dropout": 0.2},
    "groups": {"dropout_kind": "spatial", "input_dropout": 0.2, "input_groups": np.arange(13) // 2},
    "float32, sgd": {"dtype": "float32", "solver": "sgd"},
    "shared masks, adamw": {"mask_sharing": "batch", "solver": "adamw"},
    "full batch": {"batch_size": 178},
    "max norm, clipped": {"max_norm": 1.0, "clip_norm": 0.1, "l1_ratio": 0.5, "alpha": 0.1},
    "batch norm": {"batch_norm": "before_activation"},
    "batch norm after": {"batch_norm": "after_activation"},
    "batch norm last, schedule": {"batch_norm": "after_dropout", "dropout_schedule": "curriculum"},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2},
}


def pair(params, X, scaled, y, **kwargs):
    """Return the networks fitted on raw columns and on the same columns scaled by hand."""
    defaults = {"hidden_layer_sizes": 12, "max_iter": 6, "random_state": 0, "batch_size": 50}
    return [DropoutMLPClassifier(**defaults | params).fit(data, y, **kwargs) for data in (X, scaled)]


def assert_same(raw, moderate, factor=EXPONENTS):
    np.testing.assert_array_equal(raw.coefs_[0], np.ldexp(moderate.coefs_[0], -factor[:, np.newaxis]))
    for a, b in zip(raw.coefs_[1:] + raw.intercepts_, moderate.coefs_[1:] + moderate.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert raw.loss_curve_ == moderate.loss_curve_


@pytest.mark.parametrize("name", CASES)
def test_training_on_raw_columns_equals_training_on_scaled_ones(name):
    raw, moderate = pair(CASES[name], X, MODERATE, y)
    assert_same(raw, moderate)
    np.testing.assert_array_equal(raw.predict_proba(X), moderate.predict_proba(MODERATE))
    noisy = [est.predict_uncertainty(data).proba for est, data in ((raw, X), (moderate, MODERATE))]
    np.testing.assert_array_equal(*noisy)
    if name != "early stopping":
        for _ in range(2):  # partial_fit continues
            raw.partial_fit(X, y)
            moderate.partial_fit(MODERATE, y)
        assert_same(raw, moderate)
    raw.set_params(warm_start=True).fit(X, y)
    moderate.set_params(warm_start=True).fit(MODERATE, y)
    assert_same(raw, moderate)


@pytest.mark.parametrize("convert", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array, np.float32, "memmap"])
def test_containers_do_not_change_the_scaling(convert, tmp_path):
    data = np.round(X)
    if convert == "memmap":
        np.save(tmp_path / "X.npy", data)
        given = np.load(tmp_path / "X.npy", mmap_mode="r")
    else:
        given = convert(data)
    params = {"hidden_layer_sizes": 12, "max_iter": 6, "random_state": 0, "batch_size": 50, "dtype": "float64"}
    clf = DropoutMLPClassifier(**params).fit(given, y)
    dense = DropoutMLPClassifier(**params).fit(data, y)
    np.testing.assert_allclose(clf.predict_proba(given), dense.predict_proba(data), rtol=1e-9)
    np.testing.assert_array_equal(clf._input_exponents, dense._input_exponents)
    assert clf._input_exponents.max() == 8


def test_scaling_with_multilabel_and_multioutput_targets():
    assert_same(*pair({}, X, MODERATE, LABELS))
    params = {"hidden_layer_sizes": 12, "max_iter": 6, "dropout": 0.3, "random_state": 0}
    raw = DropoutMLPRegressor(**params).fit(X, TARGETS)
    moderate = DropoutMLPRegressor(**params).fit(np.ldexp(X, -raw._input_exponents), TARGETS)
    assert_same(raw, moderate, raw._input_exponents)


def test_partial_fit_keeps_the_scaling_of_its_first_call():
    clf = DropoutMLPClassifier(12, random_state=0).partial_fit(X[:40], y[:40], classes=[0, 1, 2])
    first = clf._input_exponents.copy()
    clf.partial_fit(X * 100, y)
    np.testing.assert_array_equal(clf._input_exponents, first)


def test_training_continues_from_assigned_weights():
    """Training continues from the weights that a user assigned."""
    clf = DropoutMLPClassifier(12, random_state=0, max_iter=3).fit(X, y)
    coefs = [W.copy() for W in clf.coefs_]
    clf.coefs_ = [W / 2 for W in clf.coefs_]
    clf.set_params(learning_rate_init=1e-12, warm_start=True).fit(X, y)
    for W, before in zip(clf.coefs_, coefs, strict=True):
        np.testing.assert_allclose(W, before / 2, atol=1e-9)


@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy, lambda est: pickle.loads(pickle.dumps(est))])
@pytest.mark.parametrize("batch_norm", [False, "before_activation", "after_activation"])
def test_copies_keep_the_scaling(make_copy, batch_norm):
    clf = DropoutMLPClassifier(12, random_state=0, batch_norm=batch_norm, batch_size=50)
    clf.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X * 50, y)
    copied = make_copy(clf)
    for est in (clf, copied):
        est.partial_fit(X * 3, y)
    for a, b in zip(clf.coefs_ + clf.intercepts_, copied.coefs_ + copied.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(not hasattr(DropoutMLPClassifier, "_init_callback_context"), reason="needs scikit-learn 1.9")
def test_checkpoints_keep_the_scaling(tmp_path):
    clf = DropoutMLPClassifier(12, random_state=0, batch_size=50).set_callbacks(Checkpoint(tmp_path / "a"))
    clf.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X * 50, y)
    loaded = Checkpoint.load(tmp_path / "a")
    for est in (clf, loaded):
        est.partial_fit(X * 3, y)
    np.testing.assert_array_equal(clf.coefs_[0], loaded.coefs_[0])

    params = {"hidden_layer_sizes": 12, "random_state": 0, "batch_size": 50, "max_iter": 8}
    whole = DropoutMLPClassifier(**params).fit(X, y)
    interrupted = DropoutMLPClassifier(**params).set_callbacks(Checkpoint(tmp_path / "b"), Stop(4))
    with pytest.raises(InterruptedError):
        interrupted.fit(X, y)
    resumed = DropoutMLPClassifier(**params).set_callbacks(Checkpoint(tmp_path / "b")).fit(X, y)
    np.testing.assert_array_equal(resumed.coefs_[0], whole.coefs_[0])
    for est in (resumed.set_callbacks(), whole):
        est.partial_fit(X, y)
    np.testing.assert_array_equal(resumed.coefs_[0], whole.coefs_[0])


def test_integer_weights_equal_copies_of_raw_columns():
    weights = np.arange(len(y)) % 3
    params = {"hidden_layer_sizes": 12, "max_iter": 6, "random_state": 0, "batch_size": 10_000}
    with pytest.warns(UserWarning, match="is clipped"):
        weighted = DropoutMLPClassifier(**params).fit(X, y, sample_weight=weights)
    with pytest.warns(UserWarning, match="is clipped"):
        repeated = DropoutMLPClassifier(**params).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize(
    ("params", "data"),
    [
        ({"dropout": 0}, X),  # keeps the weights of scikit-learn
        ({"dropout": 0, "batch_norm": "before_activation"}, X),
        ({"solver": "lbfgs", "dropout": 0}, X),
        ({}, (X - X.mean(axis=0)) / X.std(axis=0)),
        ({}, (X - X.mean(axis=0)) / X.std(axis=0) * 5),
        ({}, X / X.max(axis=0)),
        (
            {"dropout_kind": "alpha", "activation": "selu", "input_dropout": 0.1},
            X,
        ),  # adds noise in units of X
    ],
)
def test_columns_are_not_scaled_where_scaling_is_not_needed(params, data):
    clf = DropoutMLPClassifier(12, max_iter=2, random_state=0, **params).fit(data, y)
    assert getattr(clf, "_input_exponents", None) is None


def test_new_fit_resets_the_scaling():
    clf = DropoutMLPClassifier(12, max_iter=2, random_state=0).fit(X, y).set_params(dropout=0).fit(X, y)
    mlp = MLPClassifier(12, max_iter=2, random_state=0).fit(X, y)
    np.testing.assert_allclose(clf.coefs_[0], mlp.coefs_[0], rtol=1e-12)


class Stop(Callback):
    """Raise InterruptedError after a number of epochs."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if estimator.n_iter_ == self.epochs:
            raise InterruptedError


def rows(X, weights=None):
    return Rows(X, None, None, weights)


def test_column_exponents():
    data = np.array([[5.0, 6.0, 100.0, 1e200, 0.0], [-5.0, -6.0, 100.0, 1e200, 0.0]])
    index = np.arange(2)
    found = column_exponents(rows(data), index, 1.0, np.float64)
    np.testing.assert_array_equal(found, [0, 1, 5, 512, 0])
    np.testing.assert_array_equal(column_exponents(rows(data), index, 1.0, np.float32), [0, 1, 5, 64, 0])
    np.testing.assert_array_equal(column_exponents(rows(data[:, :3]), index, 10.0, np.float64), [0, 0, 1])
    assert column_exponents(rows(data[:, :2]), index, 2.0, np.float64) is None


def test_column_rms_uses_weights_and_training_rows_only():
    rng = np.random.RandomState(0)
    data, weights, index = rng.normal(size=(500, 3)), rng.uniform(size=500), rng.permutation(500)[:300]
    expected = np.sqrt(np.average(data[index] ** 2, axis=0, weights=weights[index]))
    for given in (data, sparse.csr_array(data)):
        np.testing.assert_allclose(column_rms(given, weights, index), expected, rtol=1e-12)
    np.testing.assert_allclose(target_scale(data, None, index), np.sqrt(np.mean(data[index] ** 2)), rtol=1e-12)


def test_dropout_on_raw_columns_is_no_worse_than_scikit_learn():
    """Without scaling, wine ends after 30 epochs with an accuracy of 0.37 and a log loss of 14."""
    scores = []
    for seed in range(3):
        X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=seed)
        for cls in (DropoutMLPClassifier, MLPClassifier):
            clf = cls(random_state=seed).fit(X_train, y_train)
            scores.append((clf.score(X_test, y_test), log_loss(y_test, clf.predict_proba(X_test))))
    ours, theirs = np.mean(scores[::2], axis=0), np.mean(scores[1::2], axis=0)
    assert ours[0] > 0.93
    assert ours[0] > theirs[0]
    assert ours[1] < 0.2 < theirs[1]


def test_dropout_on_raw_columns_learns_a_regression():
    """Without scaling, targets of scale 1 from columns in the hundreds gave R² = -80 with a constant dropout rate."""
    target = (X[:, 0] - X[:, 0].mean()) / X[:, 0].std()
    X_train, X_test, y_train, y_test = train_test_split(X[:, 1:], target, random_state=0)
    params = {"dropout": 0.1, "dropout_schedule": "constant"}
    assert DropoutMLPRegressor(random_state=0, **params).fit(X_train, y_train).score(X_test, y_test) > 0.4
    assert MLPRegressor(random_state=0).fit(X_train, y_train).score(X_test, y_test) < 0

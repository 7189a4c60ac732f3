"""diagnose measures correctly, and its advice follows from the measurements."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from skdropout import ActivationSparsityDisplay, DropoutMLPClassifier, DropoutMLPRegressor, diagnose
from skdropout.engine import layers, network

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)


def fitted(**params):
    return DropoutMLPClassifier(**{"hidden_layer_sizes": (8, 6), "max_iter": 10, "random_state": 0, **params}).fit(X, y)


def test_dead_units_are_counted():
    clf = fitted()
    assert (diagnose(clf, X, y).dead_units < 1).all()
    clf.coefs_[1][:, :3], clf.intercepts_[1][:3] = 0, -1
    clf.coefs_[1][:, 3:], clf.intercepts_[1][3:] = 1, 0.1
    assert diagnose(clf, X, y).dead_units[1] == 0.5
    clf.intercepts_[1][:3] = 7  # active, but constant over the rows
    assert diagnose(clf, X, y).dead_units[1] == 0.5


def test_products_have_one_blas_thread(monkeypatch):
    clf, n_threads = fitted(), set()
    for module in (layers, network):

        def dot(a, b, out=None):
            n_threads.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
            return np.dot(a, b, out=out)

        monkeypatch.setattr(module, "dot", dot)
    with threadpool_limits(2, "blas"):
        for function in (diagnose, lambda clf, X, y: ActivationSparsityDisplay.from_estimator(clf, X)):
            function(clf, X, y)
            assert n_threads == {1}
            n_threads.clear()


@pytest.mark.parametrize("as_matrix", [np.asarray, sparse.csr_array])
def test_activations_are_those_of_prediction(as_matrix):
    clf = fitted(dtype="float32")
    hidden = np.maximum(X @ clf.coefs_[0] + clf.intercepts_[0], 0)
    deeper = np.maximum(hidden @ clf.coefs_[1] + clf.intercepts_[1], 0)
    expected = [np.sqrt(np.mean(h**2)) for h in (X, hidden, deeper)]
    np.testing.assert_allclose(diagnose(clf, as_matrix(X), y).activation_rms, expected, rtol=1e-5)


def test_all_blocks_of_rows_are_measured(monkeypatch):
    clf = fitted()
    whole = diagnose(clf, X, y)
    monkeypatch.setattr("skdropout.engine.network.BLOCK", 8 * 7)
    blocks = diagnose(clf, X, y)
    np.testing.assert_array_equal(whole.dead_units, blocks.dead_units)
    np.testing.assert_allclose(whole.activation_rms, blocks.activation_rms)
    for row in (0, -1):  # all ones except for one row, in the first or in the last block
        odd = np.ones((150, 4))
        odd[row] = -1
        clf.coefs_[0][:], clf.intercepts_[0][:] = 0.25, 0
        assert diagnose(clf, odd, y).dead_units[0] == 0


def test_a_step_is_the_gradient_times_the_learning_rate():
    clf = fitted(solver="sgd", dropout=0, momentum=0, alpha=0, learning_rate_init=0.01)
    diagnosis = diagnose(clf, X, y)
    norms = [np.linalg.norm(W) for W in clf.coefs_]
    np.testing.assert_allclose(diagnosis.update_ratio, 0.01 * diagnosis.gradient_norm / norms)
    after = pickle.loads(pickle.dumps(clf)).partial_fit(X, y)
    changes = [np.linalg.norm(a - b) for a, b in zip(after.coefs_, clf.coefs_, strict=True)]
    np.testing.assert_allclose(diagnosis.update_ratio, np.divide(changes, norms))


def test_steps_use_the_fitted_optimizer_and_the_noise():
    clf = fitted(batch_size=50, max_iter=3)
    ratios = diagnose(clf, X, y).update_ratio
    before = [W.copy() for W in clf.coefs_]
    pairs = zip(clf.partial_fit(X, y).coefs_, before, strict=True)
    whole = np.array([np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs])
    assert (whole <= 3 * ratios * 1.01).all(), "three steps move at most three times their mean"
    assert (whole > ratios).all(), "with momentum they point in similar directions"


def test_gradient_norm_is_the_mean_over_the_steps(monkeypatch):
    from skdropout import _diagnosis

    recorded = []
    step = _diagnosis.MeasuredOptimizer.step

    def recording_step(self, *args):
        penalty = step(self, *args)
        recorded.append(self.steps[-1])
        return penalty

    monkeypatch.setattr(_diagnosis.MeasuredOptimizer, "step", recording_step)
    diagnosis = diagnose(fitted(batch_size=30), X, y)
    assert len(recorded) == 5
    np.testing.assert_allclose(diagnosis.gradient_norm, np.mean([gradient for gradient, _ in recorded], axis=0))


def test_the_estimator_does_not_change():
    clf = fitted(batch_norm="before_activation", solver="sgd", learning_rate="adaptive")
    state, optimizer = pickle.dumps(clf), pickle.dumps(clf._optimizer)
    diagnose(clf, X, y)
    assert pickle.dumps(clf) == state
    assert pickle.dumps(clf._optimizer) == optimizer


def test_the_random_state_does_not_change():
    random_state = np.random.RandomState(0)
    clf = fitted(random_state=random_state)
    state = pickle.dumps(random_state)
    diagnose(clf, X, y)
    assert clf.random_state is random_state
    assert pickle.dumps(random_state) == state


@pytest.mark.parametrize("learning_rate", ["adaptive", "invscaling"])
def test_steps_use_the_learning_rate_named_in_the_advice(learning_rate):
    params = {"solver": "sgd", "dropout": 0, "momentum": 0, "learning_rate_init": 0.1, "batch_size": 50}
    clf = fitted(learning_rate=learning_rate, n_iter_no_change=1, tol=1.0, max_iter=50, **params)
    assert clf._optimizer.learning_rate < 0.01
    for model in (clf, pickle.loads(pickle.dumps(clf))):
        diagnosis = diagnose(model, X, y)
        norms = [np.linalg.norm(W) for W in clf.coefs_]
        np.testing.assert_allclose(diagnosis.update_ratio, 0.1 * diagnosis.gradient_norm / norms, rtol=0.05)
        assert diagnosis.advice == []


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True, "learning_rate": "cosine", "dropout_schedule": "annealed", "warmup_fraction": 0.2},
        {"class_weight": "balanced", "clip_norm": 1.0, "max_norm": 3.0},
        {"batch_norm": "after_activation", "mask_sharing": "batch", "solver": "adamw"},
        {"hidden_layer_sizes": (), "dropout": 0.0},
    ],
    ids=["schedules", "weights", "norm", "linear"],
)
def test_various_parameters(params):
    clf = fitted(**params)
    diagnosis = diagnose(clf, X, y, np.arange(150))
    assert (diagnosis.update_ratio > 1e-5).all(), (
        "uses the rates of the parameters, not the final rates of the schedules"
    )
    assert (diagnosis.gradient_norm > 0).all()
    assert len(diagnosis.gradient_norm) == len(clf.coefs_) == len(diagnosis.dead_units) + 1


def test_lbfgs_has_no_update_ratio():
    clf = fitted(solver="lbfgs", dropout=0, alpha=0, max_iter=5, batch_size=10)
    diagnosis = diagnose(clf, 100 * X, y)  # steps along this gradient, or along mini-batch gradients, would be large
    assert np.isnan(diagnosis.update_ratio).all()
    tiny_steps = diagnose(clf.set_params(solver="sgd", learning_rate_init=1e-30, batch_size=150), 100 * X, y)
    np.testing.assert_allclose(diagnosis.gradient_norm, tiny_steps.gradient_norm)
    clf.coefs_[0][:], clf.intercepts_[0][:] = 0, -1
    assert not any("learning_rate" in line for line in diagnose(clf.set_params(solver="lbfgs"), X, y).advice)


def test_unwraps_pipelines_searches_and_transformed_targets():
    X, y = load_diabetes(return_X_y=True)
    reg = DropoutMLPRegressor(hidden_layer_sizes=6, max_iter=10, random_state=0)
    target = TransformedTargetRegressor(reg, transformer=StandardScaler())
    model = make_pipeline(StandardScaler(), target)
    name = "transformedtargetregressor__regressor__dropout"
    search = GridSearchCV(model, {name: [0.0, 0.2]}, cv=2).fit(X, y)
    scaler, target = search.best_estimator_
    inner = diagnose(target.regressor_, scaler.transform(X), target.transformer_.transform(y[:, None]).ravel())
    np.testing.assert_array_equal(diagnose(search, X, y).gradient_norm, inner.gradient_norm)


def test_data_frames_and_multilabel_targets():
    frame = pd.DataFrame(X, columns=list("abcd"))
    clf = DropoutMLPClassifier(5, max_iter=10, n_iter_no_change=np.inf, early_stopping=True, random_state=0)
    labels = np.column_stack([y == 0, y > 0]).astype(int)
    clf.fit(frame, labels)
    with warnings.catch_warnings(action="error"):  # about missing feature names
        assert diagnose(clf, frame, labels).gradient_norm.shape == (2,)


def test_the_advice_names_the_problem():
    assert diagnose(fitted(max_iter=30, learning_rate_init=0.01), X, y).advice == []
    raw, labels = load_breast_cancer(return_X_y=True)
    clf = DropoutMLPClassifier(20, max_iter=2, random_state=0).fit(raw, labels)
    assert "root mean square of 2" in diagnose(clf, raw, labels).advice[0]
    assert "which is too little: raise learning_rate_init" in diagnose(fitted(learning_rate_init=1e-7), X, y).advice[0]
    assert any("which is too much: lower" in line for line in diagnose(fitted(learning_rate_init=0.5), X, y).advice)
    deep = fitted(hidden_layer_sizes=(10,) * 8, activation="logistic", dropout=0)
    assert any("gradient vanishes" in line for line in diagnose(deep, X, y).advice)
    clf = fitted()
    clf.coefs_[0][:], clf.intercepts_[0][:] = 0, -1
    assert any("in hidden layer 1 (100%)" in line for line in diagnose(clf, X, y).advice)
    clf = fitted(dropout=0, activation="identity")
    for W, b, factor in zip(clf.coefs_, clf.intercepts_, (1e-6, 1e2, 1e2), strict=True):
        W *= factor
        b[:] = 0
    assert any("gradient explodes" in line for line in diagnose(clf, X, y).advice)


def test_advice_on_unscaled_targets():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    reg = DropoutMLPRegressor(hidden_layer_sizes=10, max_iter=5, random_state=0)
    assert "mean of 152 and a standard deviation of 77: scale them" in diagnose(reg.fit(X, y), X, y).advice[0]
    assert diagnose(reg.fit(X, (y - 152) / 77), X, (y - 152) / 77).advice == []
    counts = DropoutMLPRegressor(loss="poisson", hidden_layer_sizes=10, max_iter=5, random_state=0)
    assert not any("targets" in line for line in diagnose(counts.fit(X, y), X, y).advice)


def test_the_advice_is_consistent():
    clf = fitted()
    clf.coefs_[0][:], clf.intercepts_[0][:] = 0, -1
    (only,) = diagnose(clf, X, y).advice  # no advice on steps and gradients, which follow from the dead layer
    assert "scale the inputs" not in only
    assert "activation='selu' or 'leaky_relu'" in only
    deep = fitted(hidden_layer_sizes=(10,) * 8, activation="logistic", dropout=0)
    (only,) = diagnose(deep, X, y).advice
    assert "vanishes" in only
    assert "activation='relu' or 'selu' or 'leaky_relu'" in only


def test_str_is_a_table_with_the_advice():
    diagnosis = diagnose(fitted(learning_rate_init=1e-7), X, y)
    lines = str(diagnosis).splitlines()
    assert [line.split("  ")[0] for line in lines[1:5]] == ["input", "hidden layer 1", "hidden layer 2", "output"]
    assert f"{diagnosis.gradient_norm[0]:.2e}" in lines[2]
    assert lines[5:] == diagnosis.advice
    assert str(diagnose(fitted(max_iter=30, learning_rate_init=0.01), X, y)).endswith("Nothing stands out.")


def test_errors_suggest_a_fix():
    with pytest.raises(TypeError, match=r"no DropoutMLPClassifier or DropoutMLPRegressor in .*pass one directly"):
        diagnose(MLPClassifier(3, max_iter=3).fit(X, y), X, y)
    with pytest.raises(ValueError, match="needs at least 2 rows of X, better hundreds, to detect dead units; got 1"):
        diagnose(fitted(), X[:1], y[:1])

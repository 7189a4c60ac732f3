"""Dropout kinds, layers, regularizers, schedules and losses, tested through the estimators."""

import pickle
import warnings

import numpy as np
import pytest
from covering import covering
from helpers import classifier
from scipy import sparse
from scipy.special import erf, expit, softmax
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout.engine.activations import ACTIVATIONS
from skdropout.engine.backprop import Backprop
from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.initializers import INITIALIZERS, initialize
from skdropout.engine.layers import BatchNorm, LayerSpec
from skdropout.engine.optimizers import OPTIMIZERS, Adam
from skdropout.engine.params import Params
from skdropout.engine.schedules import DROPOUT_SCHEDULES, LEARNING_RATES, warm_up
from skdropout.engine.training import clip_gradient

X_iris, y_iris = load_iris(return_X_y=True)
X_iris = scale(X_iris)
X_cancer, y_cancer = load_breast_cancer(return_X_y=True)
X_cancer = scale(X_cancer)
X_diabetes, y_diabetes = (scale(a) for a in load_diabetes(return_X_y=True))
POSITIONS = ["before_activation", "after_activation", "after_dropout"]
SELU = {"activation": "selu"}


# Dropout kinds


@pytest.mark.parametrize("kind", DROPOUTS)
def test_every_kind_learns(kind):
    extra = {"alpha": SELU, "spatial": {"group_size": 2}}.get(kind, {})
    clf = classifier(dropout_kind=kind, dropout=0.1, max_iter=200, learning_rate_init=0.02, **extra).fit(X_iris, y_iris)
    assert clf.score(X_iris, y_iris) > 0.9


def spy_on_noise(monkeypatch, estimator, X, y):
    """Return (kind, rate, groups) for each layer that has dropout on its input."""
    seen, init = [], Backprop.__init__

    def spy(self, *args, **kwargs):
        init(self, *args, **kwargs)
        seen.extend((type(n.dropout).__name__.lower(), n.rate, n.dropout.groups) for n in self.noises)

    with monkeypatch.context() as patch:
        patch.setattr(Backprop, "__init__", spy)
        estimator.fit(X, y)
    return seen


def test_kind_and_rate_per_layer(monkeypatch):
    clf = classifier(dropout_kind=("bernoulli", "gaussian"), dropout=(0.2, 0.5), input_dropout=0.1)
    kinds = [(kind, rate) for kind, rate, _ in spy_on_noise(monkeypatch, clf, X_iris, y_iris)]
    assert kinds == [("bernoulli", 0.1), ("bernoulli", 0.2), ("gaussian", 0.5)]
    one = spy_on_noise(monkeypatch, classifier(dropout_kind="gaussian", input_dropout=0.1), X_iris, y_iris)
    assert [kind for kind, _, _ in one] == ["gaussian"] * 3


def test_groups_of_units_and_columns(monkeypatch):
    clf = classifier(dropout_kind="spatial", group_size=(4, 2), input_dropout=0.1, input_groups=["a", "b", "a", "c"])
    groups = [list(group) for _, _, group in spy_on_noise(monkeypatch, clf, X_iris, y_iris)]
    assert groups == [[0, 1, 0, 2], [0] * 4 + [1] * 4 + [2] * 4, [0, 0, 1, 1, 2, 2, 3, 3]]
    mixed_labels = classifier(input_dropout=0.1, input_groups=["a", None, 1, 1]).fit(X_iris, y_iris)
    assert len(mixed_labels.coefs_) == 3
    # group_size must divide the width of spatial layers only
    classifier(hidden_layer_sizes=(8, 5), dropout_kind=("spatial", "bernoulli"), group_size=4).fit(X_iris, y_iris)
    # columns drop together for any kind of the hidden layers
    mixed = classifier(dropout_kind=("gaussian", "bernoulli"), input_dropout=0.1, input_groups=[0, 0, 1, 1])
    assert spy_on_noise(monkeypatch, mixed, X_iris, y_iris)[0][0] == "spatial"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dropout_kind": "spatial", "group_size": 5}, "group_size=5 does not divide a hidden layer of 12 units"),
        ({"group_size": (2, 2, 2)}, r"group_size has 3 size\(s\) but hidden_layer_sizes has 2"),
        ({"dropout_kind": "spatial", "group_size": (2, 0)}, "must be an int >= 1, got 0"),
        ({"dropout_kind": "spatial", "group_size": (2, 1.5)}, "must be an int >= 1, got 1.5"),
        ({"input_groups": [0, 1]}, r"one label per feature: got shape \(2,\), X has 4 features"),
        ({"dropout_kind": ("gaussian",)}, r"dropout_kind has 1 name\(s\) but hidden_layer_sizes has 2"),
        ({"dropout_kind": ("gaussian", "gauss")}, "A name in dropout_kind must be one of .*'gaussian'.*got 'gauss'"),
        ({"activation": ("relu", "tanh", "relu")}, r"activation has 3 name\(s\)"),
        ({"activation": ("relu", "mish")}, "A name in activation must be one of .* got 'mish'"),
        ({"dropout_kind": "drop"}, "'dropout_kind' parameter"),
        ({"batch_norm": True}, "'batch_norm' parameter"),
        ({"max_norm": 0}, "'max_norm' parameter"),
        ({"clip_norm": -1.0}, "'clip_norm' parameter"),
        ({"l1_ratio": 1.5}, "'l1_ratio' parameter"),
        ({"label_smoothing": 1.0}, "'label_smoothing' parameter"),
        ({"dropout_schedule": "linear"}, "'dropout_schedule' parameter"),
        ({"dropout_schedule": lambda t: 9.0}, "dropout_schedule returned 9.0 at progress 0"),
        ({"dropout_schedule": lambda t: np.nan}, "dropout_schedule returned nan at progress 0"),
        ({"dropout_schedule": lambda t: None}, "dropout_schedule returned None at progress 0"),
        ({"dropout_schedule": lambda t: -t}, "dropout_schedule returned -"),
        ({"solver": "adamw", "l1_ratio": 0.5}, "solver='adamw' already decays the weights: set l1_ratio=0"),
        ({"solver": "lbfgs", "dropout": 0, "batch_norm": "after_activation"}, "lbfgs' does not support batch_norm"),
        ({"solver": "lbfgs", "dropout": 0, "max_norm": 2.0}, "lbfgs' does not support max_norm: set max_norm=None"),
        ({"solver": "lbfgs", "dropout": 0, "clip_norm": 2.0}, "lbfgs' does not support clip_norm"),
        ({"solver": "lbfgs", "dropout": 0, "l1_ratio": 0.5}, "lbfgs' does not support l1_ratio"),
    ],
)
def test_errors_name_the_parameter_and_a_fix(params, message):
    clf = classifier(**params)
    with pytest.raises(ValueError, match=message):
        clf.fit(X_iris, y_iris)
    assert not hasattr(clf, "coefs_")


def test_alpha_warns_without_selu_and_rejects_sparse_inputs():
    with pytest.warns(UserWarning, match="dropout_kind='alpha' preserves the mean and variance of selu units"):
        classifier(dropout_kind="alpha").fit(X_iris, y_iris)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier(dropout_kind="alpha", **SELU).fit(X_iris, y_iris)
        classifier(dropout_kind=("alpha", "bernoulli"), activation=("selu", "relu")).fit(X_iris, y_iris)
    with pytest.raises(ValueError, match="would make a sparse X dense"):
        classifier(dropout_kind="alpha", input_dropout=0.1, **SELU).fit(sparse.csr_array(X_iris), y_iris)


def test_alpha_dropout_keeps_the_moments_of_deep_selu_networks():
    """DROPOUT.md section 5: N(0, 1) inputs, LeCun-normal layers of 512 SELU units with alpha dropout after each."""
    rng = np.random.RandomState(0)
    for rate in (0.05, 0.1, 0.2):
        params = Params((512,) * 9, np.float64)
        initialize(params, ["selu"] * 8, rng)
        specs = [LayerSpec(512, "selu", "alpha", rate) for _ in range(7)] + [LayerSpec(512, "identity", "alpha", rate)]
        backprop = Backprop(params, specs, "squared_error", 1000)
        x, noise = rng.normal(size=(1000, 512)), np.random.Generator(np.random.SFC64(1))
        for layer in backprop.layers[:-1]:
            x = layer.forward(x, noise, None)
        assert abs(x.mean()) < 0.02
        assert 0.95 < x.var() < 1.05


# Activations and initial weights


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_learns(activation):
    clf = classifier(
        activation=activation, dropout=0.1, max_iter=200, n_iter_no_change=50, learning_rate_init=0.02
    ).fit(X_iris, y_iris)
    assert clf.score(X_iris, y_iris) > 0.9


def test_activation_per_layer():
    clf = classifier(activation=("selu", "gelu"), max_iter=200, learning_rate_init=0.02).fit(X_iris, y_iris)
    assert clf.score(X_iris, y_iris) > 0.9
    z = X_iris @ clf.coefs_[0] + clf.intercepts_[0]
    h = np.where(z > 0, 1.0507009873554805 * z, 1.0507009873554805 * 1.6732632423543772 * np.expm1(z))
    z = h @ clf.coefs_[1] + clf.intercepts_[1]
    h = z * 0.5 * (1 + erf(z / np.sqrt(2)))
    P = softmax(h @ clf.coefs_[2] + clf.intercepts_[2], axis=1)
    np.testing.assert_allclose(clf.predict_proba(X_iris), P, rtol=1e-10)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_initial_weights_have_the_variance_of_their_scheme(name):
    n_in, n_out = 300, 200
    W, b = np.empty((n_in, n_out)), np.empty(n_out)
    INITIALIZERS[ACTIVATIONS[name].initializer](W, b, np.random.RandomState(0))
    expected = {"selu": 1 / n_in, "logistic": 2 / 3 / (n_in + n_out)} | dict.fromkeys(
        ("elu", "leaky_relu", "gelu", "silu"), 2 / n_in
    )
    variance = expected.get(name, 2 / (n_in + n_out))
    # the variance of a sample variance is at most (kurtosis - 1) σ⁴ / n, and 2 σ⁴ / n for a Gaussian
    assert abs(W.var() - variance) < 5 * variance * np.sqrt(2 / W.size)
    assert abs(W.mean()) < 5 * np.sqrt(variance / W.size)


# Batch normalization


def norm_layer(n_units, batch_size):
    views = [np.ones(n_units), np.zeros(n_units), np.empty(n_units), np.empty(n_units)]
    return BatchNorm(*views, (np.zeros(n_units), np.ones(n_units), np.zeros(())), batch_size)


def test_batch_norm_on_known_values():
    """DROPOUT.md section 5, computed with PyTorch, except the running variance: that of PyTorch is unbiased."""
    x = np.array([[1, 2], [3, -1], [2, 0.5], [0, 4]])
    norm = norm_layer(2, 4)
    norm.moments[2][()] = 50  # after many batches
    norm.scale[:], norm.shift[:] = [1.5, -0.5], [0.1, 0.2]
    y = norm.forward(x, None, None)
    expected = [[-0.5708177085, 0.0310659052], [2.1124531314, 0.8419495745], [0.7708177115, 0.4365077398]]
    np.testing.assert_allclose(y, [*expected, [-1.9124531285, -0.5095232076]], rtol=1e-8, atol=1e-8)
    dx = norm.backward(np.array([[1, 0], [0, 2], [-1, 1], [0.5, 0.5]]))
    expected = [[0.9391466723, 0.1832820808], [0.5366485332, -0.1018238829], [-1.2745555272, 0.0407290990]]
    np.testing.assert_allclose(dx, [*expected, [-0.2012396782, -0.1221872969]], rtol=1e-6)
    np.testing.assert_allclose(norm.dscale, [-1.5652413233, -2.3312905490], rtol=1e-8)
    np.testing.assert_allclose(norm.dshift, [0.5, 3.5])
    np.testing.assert_allclose(norm.moments[0], [0.15, 0.1375])
    np.testing.assert_allclose(norm.moments[1], 0.9 + 0.1 * x.var(0))


def test_batch_norm_with_weights_equals_batch_norm_with_copies():
    rng = np.random.default_rng(0)
    x, k = rng.normal(size=(6, 3)), np.array([1, 0, 2, 3, 1, 2])
    weighted, copied = norm_layer(3, 6), norm_layer(3, 9)
    y = weighted.forward(x, None, k.astype(float))
    np.testing.assert_allclose(y.repeat(k, axis=0), copied.forward(x.repeat(k, axis=0), None, None), rtol=1e-12)
    d = rng.normal(size=(6, 3))
    np.testing.assert_allclose(  # the incoming gradient of a row of weight k is k times that of a copy
        (weighted.backward(d * k[:, np.newaxis]))[k > 0] / k[k > 0, np.newaxis],
        copied.backward(d.repeat(k, axis=0))[np.cumsum(k)[k > 0] - 1],
        rtol=1e-9,
        atol=1e-12,
    )
    for a, b in zip(weighted.moments, copied.moments, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_batch_norm_of_one_row_uses_the_running_moments():
    norm = norm_layer(2, 5)
    norm.moments[0][:], norm.moments[1][:] = [1.0, 2.0], [4.0, 9.0]
    y = norm.forward(np.array([[3.0, 5.0]]), None, None)
    np.testing.assert_allclose(y, [[1.0, 1.0]], rtol=1e-5)
    np.testing.assert_allclose(norm.backward(np.ones((1, 2))), [[0.5, 1 / 3]], rtol=1e-5)
    np.testing.assert_array_equal(norm.moments[:2], [[1.0, 2.0], [4.0, 9.0]])
    # the same for a row whose batch otherwise has weight 0
    y = norm.forward(np.array([[9.0, 9.0], [3.0, 5.0]]), None, np.array([0.0, 2.0]))
    np.testing.assert_allclose(y[1], [1.0, 1.0], rtol=1e-5)
    np.testing.assert_array_equal(norm.moments[:2], [[1.0, 2.0], [4.0, 9.0]])
    clf = classifier(batch_norm="before_activation", batch_size=149).fit(X_iris, y_iris)  # the last batch is one row
    assert np.isfinite(clf.loss_curve_).all()


def test_running_moments_are_a_mean_of_ten_batches_and_then_move_slowly():
    rng, norm = np.random.default_rng(0), norm_layer(2, 8)
    batches = rng.normal(2, 3, size=(12, 8, 2))
    for k, batch in enumerate(batches, start=1):
        before = norm.moments[0].copy()
        norm.forward(batch, None, None)
        if k <= 10:
            np.testing.assert_allclose(norm.moments[0], batches[:k].mean((0, 1)), rtol=1e-12)
            np.testing.assert_allclose(norm.moments[1], batches[:k].var(1).mean(0), rtol=1e-12)
        else:
            np.testing.assert_allclose(norm.moments[0], 0.9 * before + 0.1 * batch.mean(0), rtol=1e-12)
    before = norm.moments[0].copy()
    norm.forward(batches[0, :2], None, None)  # a quarter of a batch moves them a quarter as far
    np.testing.assert_allclose(norm.moments[0], 0.975 * before + 0.025 * batches[0, :2].mean(0), rtol=1e-12)


def test_batch_norm_predicts_well_after_few_batches():
    params = {"batch_norm": "before_activation", "dropout": 0, "learning_rate_init": 0.02, "batch_size": 50}
    clf = classifier(max_iter=20, **params).fit(X_iris, y_iris)
    loss = -np.mean(np.log(clf.predict_proba(X_iris)[np.arange(150), y_iris]))
    assert loss < 1.3 * clf.loss_


def test_batch_norm_warns_about_batches_of_one_row():
    with pytest.warns(UserWarning, match="batch_norm cannot learn from batches of one row"):
        classifier(batch_norm="after_dropout", batch_size=1, max_iter=1).fit(X_iris[:20], y_iris[:20])


@pytest.mark.parametrize("bad", [1e200, 1e160])
def test_overflowing_row_is_an_error_and_keeps_the_running_moments(bad):
    clf = classifier(batch_norm="before_activation", max_iter=20).fit(X_iris, y_iris)
    before, moments = clf.predict_proba(X_iris), [m.copy() for m in clf.batch_norm_var_]
    rows = X_iris.copy()
    rows[0] = bad
    with pytest.raises(ValueError, match="scale the inputs"):
        clf.partial_fit(rows, y_iris)
    np.testing.assert_array_equal(clf.predict_proba(X_iris), before)
    for a, b in zip(moments, clf.batch_norm_var_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_failed_partial_fit_leaves_batch_norm_unchanged(monkeypatch):
    clf = classifier(batch_norm="after_activation", batch_size=50).fit(X_iris, y_iris)
    before = pickle.dumps(clf)
    step, calls = Backprop.data_loss_and_grad, []

    def fail_at_third_call(self, *batch):
        calls.append(1)
        return (np.nan, 0.0) if len(calls) == 3 else step(self, *batch)

    monkeypatch.setattr(Backprop, "data_loss_and_grad", fail_at_third_call)
    with pytest.raises(ValueError, match="became nan"):
        clf.partial_fit(X_iris, y_iris)
    assert pickle.dumps(clf) == before


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_batch_norm_learns_and_is_folded(position, dropout):
    clf = classifier(batch_norm=position, dropout=dropout, max_iter=100, batch_size=30, activation="tanh")
    clf.fit(X_iris, y_iris)
    assert clf.score(X_iris, y_iris) > 0.93
    # by hand, from the unfolded parameters and the running moments
    params = Params((4, 12, 8, 3), np.float64, clf._unfolded[1], normed=True)
    x = X_iris
    for i in range(3):
        x = x @ params.coefs[i] + params.intercepts[i]
        if i < 2:
            steps = [
                np.tanh,
                lambda v, i=i: (
                    (v - clf.batch_norm_mean_[i]) / np.sqrt(clf.batch_norm_var_[i] + 1e-5) * clf.batch_norm_scale_[i]
                    + clf.batch_norm_shift_[i]
                ),
            ]
            for step in reversed(steps) if position == "before_activation" else steps:
                x = step(x)
    np.testing.assert_allclose(clf.predict_proba(X_iris), softmax(x, axis=1), rtol=1e-8)


@pytest.mark.parametrize("position", POSITIONS)
def test_saved_weights_predict_in_plain_numpy(position, tmp_path):
    clf = classifier(batch_norm=position, max_iter=30).fit(X_iris, y_iris)
    arrays = {f"W{i}": W for i, W in enumerate(clf.coefs_)} | {f"b{i}": b for i, b in enumerate(clf.intercepts_)}
    np.savez(tmp_path / "weights.npz", **arrays)

    saved = np.load(tmp_path / "weights.npz")
    n_layers = len(saved.files) // 2

    def predict_proba(X):
        for i in range(n_layers):
            X = X @ saved[f"W{i}"] + saved[f"b{i}"]
            if i < n_layers - 1:
                X = np.maximum(X, 0)
        X = np.exp(X - X.max(axis=1, keepdims=True))
        return X / X.sum(axis=1, keepdims=True)

    np.testing.assert_allclose(clf.predict_proba(X_iris), predict_proba(X_iris), rtol=1e-10)


def test_batch_norm_continues_in_partial_fit_and_warm_start():
    params = {"batch_norm": "after_activation", "dropout": 0.3, "batch_size": 40, "shuffle": False}
    whole = classifier(**params, max_iter=6).fit(X_iris, y_iris)
    parts = classifier(**params)
    for _ in range(6):
        parts.partial_fit(X_iris, y_iris, classes=[0, 1, 2])
    for a, b in zip(whole.coefs_ + whole.batch_norm_mean_, parts.coefs_ + parts.batch_norm_mean_, strict=True):
        np.testing.assert_array_equal(a, b)
    moments = [m.copy() for m in parts.batch_norm_mean_]
    parts.set_params(warm_start=True, max_iter=2).fit(X_iris, y_iris)
    assert not np.array_equal(moments[0], parts.batch_norm_mean_[0])
    for change in ({"batch_norm": False}, {"batch_norm": "before_activation"}):
        with pytest.raises(ValueError, match="fitted network has batch_norm='after_activation', but it is now"):
            parts.set_params(**change).fit(X_iris, y_iris)


def test_early_stopping_restores_the_running_moments():
    clf = classifier(batch_norm="before_activation", early_stopping=True, max_iter=40, learning_rate_init=0.05)
    clf.fit(X_cancer, y_cancer, X_val=X_cancer[:200], y_val=y_cancer[:200])
    assert clf.best_validation_score_ == pytest.approx(clf.score(X_cancer[:200], y_cancer[:200]))


# Norms and penalties


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_max_norm_bounds_the_incoming_weights_of_hidden_units(solver):
    clf = classifier(max_norm=0.5, solver=solver, learning_rate_init=0.1, max_iter=30).fit(X_iris, y_iris)
    for W in clf.coefs_[:-1]:
        norms = np.linalg.norm(W, axis=0)
        assert (norms < 0.5 * (1 + 1e-12)).all()
        assert norms.max() == pytest.approx(0.5)
    assert np.linalg.norm(clf.coefs_[-1], axis=0).max() > 0.5


def test_max_norm_does_not_change_weights_within_the_bound():
    params = Params((2, 2, 1), np.float64)
    params.coefs[0][:] = [[3, 0.3], [4, 0.4]]
    backprop = Backprop(params, [LayerSpec(2, "relu"), LayerSpec(1, "identity")], "squared_error", 1, max_norm=3.0)
    backprop.constrain()
    np.testing.assert_allclose(params.coefs[0][:, 0], [1.8, 2.4])
    np.testing.assert_array_equal(params.coefs[0][:, 1], [0.3, 0.4])


def test_clipping_bounds_the_gradient_and_keeps_its_direction():
    gradient = np.array([3.0, 4.0])
    clip_gradient(gradient, 10.0)
    np.testing.assert_array_equal(gradient, [3, 4])
    clip_gradient(gradient, 1.0)
    np.testing.assert_allclose(gradient, [0.6, 0.8])
    params = {"solver": "sgd", "learning_rate_init": 1.0, "momentum": 0.0, "max_iter": 1, "batch_size": 442, "alpha": 0}
    for bound in (1e-3, None):
        start = DropoutMLPRegressor(
            hidden_layer_sizes=5, dropout=0, random_state=0, **params | {"learning_rate_init": 1e-300}
        )
        start.fit(X_diabetes, y_diabetes)
        moved = DropoutMLPRegressor(hidden_layer_sizes=5, dropout=0, random_state=0, clip_norm=bound, **params)
        moved.fit(X_diabetes, y_diabetes)
        pairs = zip(moved.coefs_ + moved.intercepts_, start.coefs_ + start.intercepts_, strict=True)
        length = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in pairs))
        assert (length == pytest.approx(1e-3)) == (bound is not None)


def test_l1_shrinks_weights_that_l2_keeps():
    rng = np.random.RandomState(0)
    X = np.hstack([X_diabetes, rng.normal(size=(442, 20))])
    fraction = {}
    for ratio in (0.0, 1.0):
        reg = DropoutMLPRegressor(
            hidden_layer_sizes=(), l1_ratio=ratio, alpha=60.0, max_iter=400, n_iter_no_change=400, random_state=0
        )
        W = reg.fit(X, y_diabetes).coefs_[0]
        fraction[ratio] = np.mean(np.abs(W) < 0.01)
    assert fraction[1.0] > 0.6 > 0.4 > fraction[0.0]


def test_adamw_decays_weights_but_not_biases():
    rng = np.random.default_rng(0)
    w, gradients = rng.normal(size=8), rng.normal(size=(5, 8))
    plain, decayed = w.copy(), w.copy()
    adam, adamw = Adam(8, float, 0.1, 0.9, 0.99, 1e-8), Adam(8, float, 0.1, 0.9, 0.99, 1e-8, decay=0.3, n_decayed=5)
    for gradient in gradients:
        before = plain.copy()
        adam.step(plain, gradient.copy())
        step = plain - before  # Adam's steps depend only on the gradients
        expected = decayed * np.where(np.arange(8) < 5, 1 - 0.1 * 0.3, 1) + step
        adamw.step(decayed, gradient.copy())
        np.testing.assert_allclose(decayed, expected, rtol=1e-12)
    small = classifier(solver="adamw", alpha=1.0, max_iter=50, learning_rate_init=0.01).fit(X_iris, y_iris)
    large = classifier(solver="adamw", alpha=0.0, max_iter=50, learning_rate_init=0.01).fit(X_iris, y_iris)
    assert np.linalg.norm(small.coefs_[0]) < 0.8 * np.linalg.norm(large.coefs_[0])
    losses = [
        classifier(solver="adamw", alpha=a, max_iter=1, learning_rate_init=1e-300).fit(X_iris, y_iris).loss_
        for a in (0, 9)
    ]
    assert losses[0] == losses[1]  # no penalty in addition to the decay
    halved = rng.normal(size=8)
    expected = halved * np.where(np.arange(8) < 5, 1 - 0.05 * 0.3, 1)
    adamw = Adam(8, float, 0.1, 0.9, 0.99, 1e-8, decay=0.3, n_decayed=5)
    adamw.factor = 0.5
    adamw.step(halved, np.zeros(8))
    np.testing.assert_allclose(halved, expected)
    without = classifier(solver="adam", alpha=0.0, max_iter=50, learning_rate_init=0.01).fit(X_iris, y_iris)
    np.testing.assert_array_equal(large.coefs_[0], without.coefs_[0])


@pytest.mark.parametrize("first", ["adam", "adamw"])
def test_solver_and_decay_can_change_between_partial_fits(first):
    second = {"adam": "adamw", "adamw": "adam"}[first]
    clf = classifier(solver=first, alpha=0.5).partial_fit(X_iris, y_iris, classes=[0, 1, 2])
    clf.set_params(solver=second, alpha=2.0).partial_fit(X_iris, y_iris)
    assert clf._optimizer.decay == {"adam": 0.0, "adamw": 2.0}[second]


def test_weights_do_not_include_scales_and_shifts():
    params = Params((3, 4, 2), np.float64, normed=True)
    assert params.weights.size == 3 * 4 + 4 * 2
    assert not any(np.shares_memory(params.weights, v) for v in params.scales + params.shifts)
    restored = pickle.loads(pickle.dumps(params))
    np.testing.assert_array_equal(restored.scales[0], np.ones(4))
    assert np.shares_memory(restored.scales[0], restored.vector)


def test_clipping_handles_a_gradient_whose_square_overflows():
    gradient = np.array([3e19, 4e19], np.float32)
    with np.errstate(over="ignore"):
        clip_gradient(gradient, 1.0)
    np.testing.assert_allclose(gradient, [0.6, 0.8], rtol=1e-6)


# Schedules


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("flat_cos", [1, 1, 1, 0.5, 0]),
        ("annealed", [1, 0.75, 0.5, 0.25, 0]),
        ("early", [1, 0, 0, 0, 0]),
        ("late", [0, 1, 1, 1, 1]),
        ("curriculum", [0, 1 - np.exp(-2.5), 1 - np.exp(-5), 1 - np.exp(-7.5), 1 - np.exp(-10)]),
    ],
)
def test_dropout_schedule_values(name, values):
    assert [DROPOUT_SCHEDULES[name](t) for t in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx(values, abs=1e-15)


def test_flat_cos_matches_the_published_values():
    got = [DROPOUT_SCHEDULES["flat_cos"](t) for t in (0.5, 0.625, 0.75, 0.875, 1)]
    assert got == pytest.approx([1, 0.853553, 0.5, 0.146447, 0], abs=1e-6)


def test_learning_rate_schedule_values():
    cosine, onecycle = (LEARNING_RATES[name](1.0) for name in ("cosine", "onecycle"))
    assert [cosine.factor(t) for t in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0], abs=1e-15)
    assert [onecycle.factor(t) for t in (0, 0.3, 1)] == pytest.approx([1 / 25, 1, 4e-6])
    assert onecycle.factor(0.15) == pytest.approx((1 + 1 / 25) / 2)
    assert [warm_up(t, 0.1) for t in (0, 0.05, 0.1, 0.5)] == pytest.approx([0, 0.5, 1, 1])
    assert warm_up(0, 0) == 1


@pytest.mark.parametrize("schedule", [*DROPOUT_SCHEDULES, lambda t: 1 - t**2])
def test_scheduled_dropout_rates_are_recorded(schedule):
    clf = classifier(dropout=(0.2, 0.5), input_dropout=0.1, dropout_schedule=schedule, max_iter=9, tol=0, batch_size=50)
    clf.fit(X_iris, y_iris)
    factor = schedule if callable(schedule) else DROPOUT_SCHEDULES[schedule]
    last = 9 - 1 / 3  # three batches: the last step is at progress 1
    expected = np.outer([factor((epoch + 2 / 3) / last) for epoch in range(9)], [0.1, 0.2, 0.5])
    np.testing.assert_allclose(clf.dropout_curve_, expected, atol=1e-12)
    assert clf.dropout_ == clf.dropout_curve_[-1]


def test_schedule_factor_zero_trains_without_noise():
    clf = classifier(dropout_schedule=lambda t: float(t < 0.5), max_iter=10, tol=0, n_iter_no_change=99).fit(
        X_iris, y_iris
    )
    losses = []
    for noise in ({"dropout": 0.0}, {"dropout": 0.5, "dropout_schedule": lambda t: 0.0}):
        noise_free = classifier(**noise, max_iter=3).fit(X_iris, y_iris)
        losses.append(noise_free.loss_curve_)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-12)
    assert clf.dropout_ == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("learning_rate", ["cosine", "onecycle"])
def test_learning_rate_schedules_work_with_every_stochastic_solver(solver, learning_rate, monkeypatch):
    rates, step = [], OPTIMIZERS[solver].step

    def record(self, *args):
        rates.append(self.learning_rate * self.factor)
        return step(self, *args)

    monkeypatch.setattr(OPTIMIZERS[solver], "step", record)
    clf = classifier(solver=solver, learning_rate=learning_rate, learning_rate_init=0.02, max_iter=60, dropout=0.1)
    clf.set_params(batch_size=50, n_iter_no_change=60).fit(X_iris, y_iris)
    factor = LEARNING_RATES[learning_rate](0.02).factor
    np.testing.assert_allclose(rates, [0.02 * factor(i / 179) for i in range(180)], rtol=1e-9, atol=1e-15)
    assert clf.score(X_iris, y_iris) > 0.85


def test_warm_up_increases_to_the_full_rate(monkeypatch):
    factors, step = [], Adam.step

    def record(self, *args):
        factors.append(self.factor)
        return step(self, *args)

    monkeypatch.setattr(Adam, "step", record)
    classifier(warmup_fraction=0.5, max_iter=4, batch_size=50).fit(X_iris, y_iris)
    np.testing.assert_allclose(factors, [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, *[1] * 7])


@pytest.mark.parametrize("change", [{"learning_rate": "constant"}, {"max_iter": 500}])
@pytest.mark.parametrize("learning_rate", ["cosine", "onecycle"])
def test_partial_fit_after_the_end_of_a_schedule_warns(learning_rate, change):
    clf = classifier(learning_rate=learning_rate, max_iter=10).fit(X_iris, y_iris)
    with pytest.warns(UserWarning, match="ended after max_iter=10 epochs"):
        clf.partial_fit(X_iris, y_iris)
    before = clf.coefs_[0].copy()
    clf.set_params(**change).partial_fit(X_iris, y_iris)
    assert np.abs(clf.coefs_[0] - before).max() > 1e-5


def test_schedules_run_to_their_end():
    """Training losses at different rates say nothing about convergence."""
    params = {"dropout": 0.5, "max_iter": 60, "n_iter_no_change": 2, "tol": 0.1}
    for schedule in ({"dropout_schedule": "late"}, {"dropout_schedule": "flat_cos"}, {"learning_rate": "cosine"}):
        assert classifier(**params, **schedule).fit(X_iris, y_iris).n_iter_ == 60
    assert classifier(**params).fit(X_iris, y_iris).n_iter_ < 60
    best = classifier(**params, dropout_schedule="flat_cos", early_stopping=True).fit(X_iris, y_iris)
    assert best.n_iter_ == 60
    assert best.best_validation_score_ == max(best.validation_scores_)


def test_schedules_count_skipped_batches():
    weights = np.where(np.arange(150) < 50, 1.0, 0.0)
    clf = classifier(dropout_schedule="annealed", batch_size=50, shuffle=False, max_iter=4)
    clf.fit(X_iris, y_iris, sample_weight=weights[::-1])
    assert clf.dropout_ == (0.0, 0.0, 0.0)


def test_schedules_continue_over_partial_fits():
    params = {"dropout_schedule": "annealed", "dropout": 0.5, "max_iter": 4, "batch_size": 150, "shuffle": False}
    whole = classifier(**params).fit(X_iris, y_iris)
    parts = classifier(**params)
    for _ in range(6):  # two calls more than max_iter stay at the end of the schedule
        parts.partial_fit(X_iris, y_iris, classes=[0, 1, 2])
    np.testing.assert_allclose(parts.dropout_curve_[:4], whole.dropout_curve_)
    assert parts.dropout_curve_[4:] == [(0.0, 0.0, 0.0)] * 2


# Losses


def test_early_stopping_monitors_the_quantile_loss():
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(2000, 1))
    y = rng.exponential(size=2000)
    params = {"loss": "quantile", "quantile": 0.9, "early_stopping": True, "dropout": 0, "max_iter": 300}
    reg = DropoutMLPRegressor(hidden_layer_sizes=10, random_state=0, learning_rate_init=0.01, **params).fit(X, y)
    np.testing.assert_allclose(reg.validation_scores_, -np.array(reg.validation_loss_curve_))
    assert abs(np.mean(y < reg.predict(X)) - 0.9) < 0.04


def test_label_smoothing_is_part_of_the_validation_loss():
    clf = classifier(label_smoothing=0.3, max_iter=3).fit(X_iris, y_iris, X_val=X_iris, y_val=y_iris)
    P = clf.predict_proba(X_iris)
    target = 0.7 * np.eye(3)[y_iris] + 0.1
    assert clf.validation_loss_curve_[-1] == pytest.approx(-np.mean(np.sum(target * np.log(P), axis=1)))


def linear_regressor(**params):
    defaults = {"hidden_layer_sizes": (), "max_iter": 500, "n_iter_no_change": 500, "learning_rate_init": 0.02}
    return DropoutMLPRegressor(**defaults | {"random_state": 0, "alpha": 0.0, "learning_rate": "cosine"} | params)


def test_losses_estimate_their_statistic():
    """With constant inputs the best prediction is a statistic of y."""
    y = np.random.RandomState(0).exponential(size=400)
    X = np.zeros((400, 1))
    got = {
        "squared_error": linear_regressor().fit(X, y),
        "absolute_error": linear_regressor(loss="absolute_error").fit(X, y),
        "quantile": linear_regressor(loss="quantile", quantile=0.8).fit(X, y),
    }
    expected = {"squared_error": y.mean(), "absolute_error": np.median(y), "quantile": np.quantile(y, 0.8)}
    for loss, model in got.items():
        assert model.predict(X[:1])[0] == pytest.approx(expected[loss], abs=0.02), loss


def test_huber_is_robust_to_outliers():
    X = np.linspace(-1, 1, 200)[:, np.newaxis]
    y = 2 * X.ravel()
    y[::20] += 50
    errors = {loss: abs(linear_regressor(loss=loss).fit(X, y).intercepts_[0][0]) for loss in ("squared_error", "huber")}
    assert errors["huber"] < 0.2 < 2 < errors["squared_error"]


def test_label_smoothing_lowers_the_confidence():
    sharp, smooth = (classifier(label_smoothing=e, dropout=0, max_iter=300).fit(X_iris, y_iris) for e in (0, 0.3))
    assert smooth.score(X_iris, y_iris) > 0.93
    assert smooth.predict_proba(X_iris).max(1).mean() < sharp.predict_proba(X_iris).max(1).mean() - 0.1
    Y = np.eye(3, dtype=int)[y_iris]
    assert classifier(label_smoothing=0.3, max_iter=300).fit(X_iris, Y).predict_proba(X_iris).max() < 0.98


@pytest.mark.parametrize("loss", ["absolute_error", "quantile", "gaussian_nll"])
def test_lbfgs_rejects_nonsmooth_losses(loss):
    with pytest.raises(ValueError, match=f"needs a smooth loss and its exact gradient, not loss='{loss}'"):
        DropoutMLPRegressor(loss=loss, solver="lbfgs", dropout=0).fit(X_diabetes, y_diabetes)
    assert (
        DropoutMLPRegressor("huber", solver="lbfgs", dropout=0)
        .fit(X_diabetes, y_diabetes)
        .score(X_diabetes, y_diabetes)
        > 0.5
    )


# Combinations


COMBINATIONS = covering(
    list(DROPOUTS),
    (False, *POSITIONS),
    ("adam", "adamw", "sgd"),
    ("relu", "selu", "gelu"),
    ("constant", "flat_cos"),
    ("float32", "float64"),
    (False, True),  # sparse
    (False, True),  # weighted
    (DropoutMLPClassifier, DropoutMLPRegressor),
)
LOSS = {DropoutMLPClassifier: {"label_smoothing": 0.05}, DropoutMLPRegressor: {"loss": "gaussian_nll", "dropout": 0.2}}


@pytest.mark.parametrize("kind", DROPOUTS)
def test_any_three_options_combine(kind):
    rng = np.random.RandomState(0)
    X = np.where(rng.random_sample(X_iris.shape) < 0.3, 0, X_iris)
    weights = rng.uniform(0.1, 2, 150)
    for row in COMBINATIONS:
        if row[0] != kind:
            continue
        _, batch_norm, solver, activation, schedule, dtype, as_sparse, weighted, estimator = row
        clf = estimator(
            hidden_layer_sizes=(12, 8),
            dropout_kind=kind,
            batch_norm=batch_norm,
            solver=solver,
            dropout_schedule=schedule,
            dtype=dtype,
            activation="selu" if kind == "alpha" else activation,
            group_size=2 if kind == "spatial" else 1,
            input_dropout=0.0 if kind == "alpha" and as_sparse else 0.1,
            max_norm=3.0,
            clip_norm=5.0,
            l1_ratio=0.0 if solver == "adamw" else 0.2,
            learning_rate="cosine",
            learning_rate_init=0.02,
            batch_size=40,
            max_iter=12,
            random_state=0,
            **LOSS[estimator],
        )
        y = y_iris if estimator is DropoutMLPClassifier else scale(y_iris)
        data = sparse.csr_array(X) if as_sparse else X
        clf.fit(data, y, sample_weight=weights if weighted else None)
        before = clf.coefs_[0].copy()
        clf.set_params(learning_rate="constant").partial_fit(data, y)
        assert not np.array_equal(clf.coefs_[0], before)
        assert clf.score(data, y) > (0.6 if estimator is DropoutMLPClassifier else 0.3), row
        moments = clf.batch_norm_mean_ + clf.batch_norm_var_ if batch_norm else []
        assert {a.dtype for a in clf.coefs_ + clf.intercepts_ + moments} == {np.dtype(dtype)}
        assert np.isfinite(clf.loss_curve_).all()
        assert clf.loss_curve_[-2] < clf.loss_curve_[0]


def test_binary_output_equals_plain_numpy():
    clf = DropoutMLPClassifier((7,), activation="silu", batch_norm="before_activation", max_iter=20, random_state=0)
    clf.fit(X_cancer, y_cancer)
    z = X_cancer @ clf.coefs_[0] + clf.intercepts_[0]
    p = expit((z * expit(z)) @ clf.coefs_[1] + clf.intercepts_[1]).ravel()
    np.testing.assert_allclose(clf.predict_proba(X_cancer)[:, 1], p, rtol=1e-10)

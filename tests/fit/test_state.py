"""Training continues from weights that a user assigns, and partial_fit continues exactly from copies and files."""

import copy
import pickle
import re
import subprocess
import sys
from itertools import chain, pairwise, product

import joblib
import numpy as np
import pytest
from helpers import by_cloudpickle, by_joblib, by_pickle, by_skops
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout.engine.layers import fold, unfold
from skdropout.engine.optimizers import SGD, Adam
from skdropout.engine.params import Params

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* has no effect with:UserWarning"),
]
CLASSIFIER, REGRESSOR = DropoutMLPClassifier, DropoutMLPRegressor

X, y = load_iris(return_X_y=True)
X = scale(X)
POSITIONS = ["before_activation", "after_activation", "after_dropout"]
NORMS = ["batch_norm_scale_", "batch_norm_shift_", "batch_norm_mean_", "batch_norm_var_"]
TINY_STEPS = {"solver": "sgd", "learning_rate_init": 1e-9, "random_state": 0, "max_iter": 20}
each_position = pytest.mark.parametrize("batch_norm", POSITIONS)


def weights(model):
    return [np.array(a) for a in (*model.coefs_, *model.intercepts_)]


def distance(a, b):
    a, b = (x if isinstance(x, list) else weights(x) for x in (a, b))
    return max(np.abs(u - v).max() for u, v in zip(a, b, strict=True))


# Assigned weights


def zeros(model, rng):
    model.coefs_ = [np.zeros_like(W) for W in model.coefs_]
    model.intercepts_ = [np.zeros_like(b) for b in model.intercepts_]


def random_weights(model, rng):
    model.coefs_ = [rng.normal(size=W.shape).astype(W.dtype) for W in model.coefs_]
    model.intercepts_ = [rng.normal(size=b.shape).astype(b.dtype) for b in model.intercepts_]


def pruned_in_place(model, rng):
    for W in model.coefs_:
        W *= np.abs(W) > np.median(np.abs(W))


def halved_in_place(model, rng):
    for W in model.coefs_:
        W *= 0.5


def one_layer(model, rng):
    model.coefs_[-1] = rng.normal(size=model.coefs_[-1].shape)


def lists(model, rng):
    model.coefs_ = [np.round(W).astype(int).tolist() for W in model.coefs_]
    model.intercepts_ = [np.ones(len(b), dtype=int) for b in model.intercepts_]


def lists_of_last_layer(model, rng):
    model.coefs_[-1] = np.round(model.coefs_[-1], 3).tolist()
    model.intercepts_[0] = np.round(model.intercepts_[0], 3).tolist()


def zero_scale(model, rng):  # cannot be divided by
    random_weights(model, rng)
    model.batch_norm_scale_[0][:2] = 0
    model.batch_norm_scale_[1] = np.full(6, 1e-200)


ASSIGNMENTS = [zeros, random_weights, pruned_in_place, halved_in_place, one_layer, lists, lists_of_last_layer]


@pytest.mark.parametrize("assign", [*ASSIGNMENTS, zero_scale])
@pytest.mark.parametrize("batch_norm", [False, *POSITIONS])
def test_partial_fit_continues_from_assigned_weights(assign, batch_norm):
    if assign is zero_scale and not batch_norm:
        return
    clf = CLASSIFIER((8, 6), batch_norm=batch_norm, dropout=0, **TINY_STEPS).fit(X, y)
    assign(clf, np.random.RandomState(1))
    given, proba = weights(clf), clf.predict_proba(X)
    for _ in range(5):
        clf.partial_fit(X, y)
    assert distance(clf, given) < 1e-4
    np.testing.assert_allclose(clf.predict_proba(X), proba, atol=1e-3)


@pytest.mark.parametrize("assign", [zeros, random_weights, halved_in_place])
@each_position
@pytest.mark.parametrize(
    "params",
    [
        {"dropout": 0.3, "batch_size": 150},
        {"solver": "adam", "dtype": "float32"},
        {"solver": "adamw", "learning_rate": "onecycle", "dropout_schedule": "late", "warmup_fraction": 0.1},
        {"early_stopping": True},
    ],
    ids=["dropout", "float32", "schedules", "early stopping"],
)
def test_warm_start_continues_from_assigned_weights(assign, batch_norm, params):
    clf = CLASSIFIER((8, 6), batch_norm=batch_norm, **{**TINY_STEPS, "dropout": 0, **params}).fit(X, y)
    assign(clf, np.random.RandomState(1))
    given = weights(clf)
    clf.set_params(warm_start=True, max_iter=1).fit(X, y)
    dtype = params.get("dtype", "float64")
    assert all(a.dtype == dtype for a in weights(clf))
    assert distance(clf, given) < 0.05 * max(1, max(np.abs(a).max() for a in given))
    if assign is zeros:
        assert distance(clf, given) < 1e-4


@each_position
def test_mini_batches_move_assigned_weights_no_more_than_trained_ones(batch_norm):
    params = {**TINY_STEPS, "batch_size": 50, "dropout": 0, "batch_norm": batch_norm}
    clf = CLASSIFIER(8, **params).fit(X, y)
    halved, before = copy.deepcopy(clf), weights(clf)
    halved_in_place(halved, None)
    given = weights(halved)
    for _ in range(10):
        clf.partial_fit(X, y)
        halved.partial_fit(X, y)
    assert 0 < distance(halved, given) < 2 * distance(clf, before) < 0.3


@each_position
def test_assigning_equal_weights_changes_nothing(batch_norm):
    clf = CLASSIFIER((8, 6), batch_norm=batch_norm, max_iter=5, random_state=0).fit(X, y)
    same = copy.deepcopy(clf)
    for name in ("coefs_", "intercepts_", *NORMS):
        setattr(same, name, [a.copy() for a in getattr(same, name)])
    assert distance(same.partial_fit(X, y), clf.partial_fit(X, y)) == 0


@each_position
def test_network_with_the_state_of_another_continues_like_it(batch_norm):
    params = {"batch_norm": batch_norm, "solver": "sgd", "momentum": 0.0, "max_iter": 30}
    source = CLASSIFIER((8, 6), random_state=1, **params).fit(X, y)
    target = CLASSIFIER((8, 6), random_state=0, **params).fit(X, y)
    for name in ("coefs_", "intercepts_", *NORMS):
        for mine, theirs in zip(getattr(target, name), getattr(source, name), strict=True):
            mine[:] = theirs
    samples = [m.sample_proba(X, 3, random_state=0) for m in (target, source)]
    np.testing.assert_allclose(*samples, atol=1e-12)
    target._random_state, target._mask_state = copy.deepcopy((source._random_state, source._mask_state))
    assert distance(target.partial_fit(X, y), source.partial_fit(X, y)) < 1e-12


@pytest.mark.parametrize("assign", [*ASSIGNMENTS, zero_scale])
@each_position
def test_sampling_uses_assigned_weights(assign, batch_norm):
    reg = REGRESSOR(hidden_layer_sizes=(8, 6), batch_norm=batch_norm, dropout=0.2, **TINY_STEPS).fit(X, X[:, 0])
    assign(reg, np.random.RandomState(1))
    predicted = reg.predict(X)
    np.testing.assert_allclose(reg.sample_y(X, 2, dropout=0).mean(axis=-1), predicted, atol=1e-6)
    mean, _ = reg.predict(X, return_std=True, dropout=1e-3, n_samples=50)
    np.testing.assert_allclose(mean, predicted, atol=0.3 * max(1, np.abs(predicted).max()))


@pytest.mark.parametrize("assign", [zeros, random_weights, lists, zero_scale])
@each_position
def test_files_and_copies_keep_assigned_weights(assign, batch_norm, tmp_path):
    clf = CLASSIFIER((8, 6), batch_norm=batch_norm, dropout=0, **TINY_STEPS).fit(X, y)
    assign(clf, np.random.RandomState(1))
    clf.save_weights(tmp_path / "w")
    copies = [
        copy.copy(clf),
        copy.deepcopy(clf),
        pickle.loads(pickle.dumps(clf)),
        CLASSIFIER((8, 6), batch_norm=batch_norm, dropout=0, **TINY_STEPS).load_weights(tmp_path / "w"),
    ]
    for copied in copies:
        np.testing.assert_array_equal(copied.predict_proba(X), clf.predict_proba(X))
        given = weights(copied)
        assert distance(copied.partial_fit(X, y), given) < 1e-4
    np.testing.assert_allclose(clf.to_sklearn().predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("batch_norm", [False, *POSITIONS])
def test_invalid_weights_are_rejected_and_nothing_changes(batch_norm, tmp_path):
    clf = CLASSIFIER((8, 6), batch_norm=batch_norm, **TINY_STEPS).fit(X, y)

    def assert_rejected(match, **attributes):
        model = copy.deepcopy(clf)
        vars(model).update(attributes)
        before = pickle.dumps(model)
        for call in (
            model.partial_fit,
            copy.deepcopy(model).set_params(warm_start=True).fit,
            lambda X, y: model.save_weights(tmp_path / "w"),
        ):
            with pytest.raises(ValueError, match=match):
                call(X, y)
        assert pickle.dumps(model) == before
        model.fit(X, y)

    W, *rest = clf.coefs_
    assert_rejected(
        r"coefs_ of shapes \[\(4, 7\), \(8, 6\), \(6, 3\)\] and intercepts_ .* do not match", coefs_=[W[:, :7], *rest]
    )
    assert_rejected(r"do not match\. Assign arrays of the shapes that fit produced", coefs_=clf.coefs_[:2])
    assert_rejected("do not match", coefs_=[])
    assert_rejected(
        r"intercepts_\[1\] must be an array of numbers with 1 dim", intercepts_=[clf.intercepts_[0], 3, W[0]]
    )
    assert_rejected(r"coefs_\[0\] contains NaN or infinity", coefs_=[np.where(W > 0, np.nan, W), *rest])
    assert_rejected(r"coefs_\[0\] must be an array of numbers with 2", coefs_=[W.astype(complex), *rest])
    assert_rejected(r"coefs_\[0\] must be an array of numbers with 2", coefs_=[[[1.0, 2.0], [3.0]], *rest])
    if batch_norm:
        assert_rejected(r"batch_norm_var_ must not be negative", batch_norm_var_=[-v for v in clf.batch_norm_var_])
        assert_rejected(
            r"batch_norm_mean_ has shapes \[\(8,\)\], not those of", batch_norm_mean_=clf.batch_norm_mean_[:1]
        )
        assert_rejected(
            r"batch_norm_scale_\[0\] contains NaN", batch_norm_scale_=[m * np.inf for m in clf.batch_norm_scale_]
        )


def test_error_for_weights_of_another_size_names_hidden_layer_sizes():
    clf = CLASSIFIER(8, **TINY_STEPS).fit(X, y)
    clf.coefs_, clf.intercepts_ = [np.ones((4, 5)), np.ones((5, 3))], [np.ones(5), np.ones(3)]
    with pytest.raises(
        ValueError, match=re.escape("layers of (4, 5, 3) units") + r".*hidden_layer_sizes and y now require"
    ):
        clf.partial_fit(X, y)
    clf.set_params(hidden_layer_sizes=5).partial_fit(X, y)
    np.testing.assert_allclose(clf.coefs_[0], 1, atol=1e-6)


@each_position
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unfold_is_the_inverse_of_fold(batch_norm, dtype):
    rng = np.random.RandomState(0)
    params = Params((3, 5, 4, 2), dtype, normed=True)
    params.vector[:] = rng.normal(size=params.vector.size)
    moments = [(rng.normal(size=n).astype(dtype), rng.uniform(0.1, 2, n).astype(dtype)) for n in (5, 4)]
    folded, known = fold(params, moments, batch_norm), params.vector.copy()
    params.vector[: sum(a * b for a, b in pairwise(params.units))] = 7
    assert unfold(*folded, params, moments, batch_norm)
    np.testing.assert_allclose(params.vector, known, rtol=1e-4 if dtype == np.float32 else 1e-12)
    params.scales[1][2] = 0
    assert not unfold(*folded, params, moments, batch_norm)
    for a, b in zip(chain(*fold(params, moments, batch_norm)), chain(*folded), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


# Streams


STREAMS = {
    "adam": {},
    "adamw": {"solver": "adamw", "alpha": 0.1, "dtype": "float32"},
    "momentum": {"solver": "sgd", "learning_rate": "invscaling"},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1.0},
    "no momentum": {"solver": "sgd", "momentum": 0, "nesterovs_momentum": False},
    "before": {"batch_norm": "before_activation"},
    "after": {"batch_norm": "after_activation", "learning_rate": "cosine", "dropout_schedule": "annealed"},
    "RandomState": {"random_state": np.random.RandomState(3)},
    "gaussian": {"dropout_kind": "gaussian", "input_dropout": 0.1},
}
COPIED_STREAMS = [
    *product(STREAMS, [copy.copy, copy.deepcopy, by_pickle, by_skops]),
    *product(["adam", "after"], [by_joblib, by_cloudpickle]),  # both use pickle
]
ROWS = [(X[i::3], y[i::3]) for i in range(3)]


def stream(n=3, cls=CLASSIFIER, **params):
    model = cls(**copy.deepcopy({"hidden_layer_sizes": (8, 6), "dropout": 0.2, "random_state": 0, **params}))
    for i in range(n):
        model.partial_fit(*ROWS[i % 3], **({"classes": [0, 1, 2]} if cls is CLASSIFIER else {}))
    return model


def fitted_state(model):
    """Return all fitted attributes as nested lists."""

    def plain(value):
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        if isinstance(value, np.random.RandomState):
            return plain(value.get_state())
        if isinstance(value, (SGD, Adam)):
            return {name: plain(part) for name, part in vars(value).items()}
        if isinstance(value, dict):
            return {name: plain(part) for name, part in value.items()}
        return (value.dtype.str, value.tolist()) if isinstance(value, np.ndarray) else value

    return {name: plain(getattr(model, name)) for name in model._fitted_names() - {"_label_binarizer"}}


@pytest.mark.parametrize(("name", "make_copy"), COPIED_STREAMS)
def test_copied_stream_continues_exactly(name, make_copy):
    model = stream(4, **STREAMS[name])
    copied = make_copy(model)
    assert fitted_state(copied) == fitted_state(model)
    before = fitted_state(model)
    for i in range(2):
        copied.partial_fit(*ROWS[i])
    assert fitted_state(model) == before, "training the copy does not change the original"
    for i in range(2):
        model.partial_fit(*ROWS[i])
    assert fitted_state(copied) == fitted_state(model)
    assert fitted_state(copied) != before


def test_stream_continues_exactly_in_another_process(tmp_path):
    model = stream(2, batch_norm="after_activation", solver="sgd")
    joblib.dump((model, *ROWS[2]), tmp_path / "in")
    code = (
        "import sys, joblib; model, X, y = joblib.load(sys.argv[1]); joblib.dump(model.partial_fit(X, y), sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "in", tmp_path / "out"], check=True)
    assert fitted_state(joblib.load(tmp_path / "out")) == fitted_state(model.partial_fit(*ROWS[2]))


def test_stream_of_the_regressor_and_one_after_fit_continue_exactly():
    model = stream(3, cls=REGRESSOR)
    copied = by_pickle(model)
    assert distance(copied.partial_fit(X, y), model.partial_fit(X, y)) == 0
    model = CLASSIFIER(8, max_iter=3, random_state=0).fit(X, y).partial_fit(X, y)
    copied = by_pickle(model)
    assert distance(copied.partial_fit(X, y), model.partial_fit(X, y)) == 0
    assert copied._optimizer.t == 5


def test_pickles_hold_the_moments_only_after_partial_fit():
    wide = np.tile(X, (1, 25))
    model = CLASSIFIER((200, 200), max_iter=2, random_state=0).fit(wide, y)
    size = sum(a.nbytes for a in model.coefs_ + model.intercepts_)
    assert len(pickle.dumps(model)) < size + 8_000
    assert not hasattr(by_pickle(model), "_optimizer")
    model.partial_fit(wide, y)
    assert 3 * size < len(pickle.dumps(model)) < 3 * size + 8_000
    model.set_params(warm_start=True).fit(wide, y)
    assert len(pickle.dumps(model)) < size + 8_000
    assert not hasattr(clone(model), "coefs_")


@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy])
def test_copies_after_fit_continue_like_the_original(make_copy):
    model = CLASSIFIER(8, max_iter=5, random_state=0).fit(X, y)
    copied = make_copy(model)
    assert fitted_state(copied) == fitted_state(model)
    assert distance(copied.partial_fit(X, y), model.partial_fit(X, y)) == 0
    assert copied._optimizer.t == 6


def test_pickle_after_fit_keeps_the_learning_rate_but_not_the_moments():
    model = CLASSIFIER(8, max_iter=5, random_state=0).fit(X, y)
    copied = by_pickle(model).partial_fit(X, y)
    assert (copied._optimizer.t, copied._optimizer.learning_rate) == (1, 0.001)
    again = by_pickle(copied)
    assert distance(again.partial_fit(X, y), copied.partial_fit(X, y)) == 0


def test_unknown_optimizer_in_a_file_warns(monkeypatch):
    model = stream(2)
    state = model.__getstate__()
    state["_optimizer"]["class"] = "Lion"
    restored = object.__new__(CLASSIFIER)
    with pytest.warns(UserWarning, match="The optimizer 'Lion' of the file is not in OPTIMIZERS"):
        restored.__setstate__(state)
    np.testing.assert_array_equal(restored.predict(X), model.predict(X))
    assert restored.partial_fit(*ROWS[0])._optimizer.t == 1


@pytest.mark.parametrize("params", STREAMS.values(), ids=list(STREAMS))
@pytest.mark.parametrize("batch_norm", [False, "after_dropout"])
@pytest.mark.filterwarnings("ignore:X reaches 1e")
def test_failed_partial_fit_leaves_the_stream_unchanged(params, batch_norm):
    model = stream(3, **{"batch_norm": batch_norm, **params})
    if batch_norm:
        model.coefs_[0][:] = 0
    copied, before = copy.deepcopy(model), fitted_state(model)
    for bad in ((X[:, :3], y), (X, np.full(150, 7)), (np.where(X > 2, np.nan, X), y)):
        with pytest.raises(ValueError, match=r"X has 3 features|not in `self.classes_`|contains NaN"):
            model.partial_fit(*bad)
    model.clip_norm = -1
    with pytest.raises(ValueError, match="clip_norm"):
        model.partial_fit(X, y)
    model.clip_norm = None
    with pytest.raises(ValueError, match=r"overflow|became"):
        model.partial_fit(np.full_like(X, 1e30 if model.dtype else 1e300), y)
    assert fitted_state(model) == before
    assert distance(model.partial_fit(*ROWS[0]), copied.partial_fit(*ROWS[0])) == 0


# Parameters that change between calls

each_copy = pytest.mark.parametrize(
    "make_copy", [lambda model: model, by_pickle, copy.copy], ids=["original", "pickle", "copy"]
)


def record_optimizers(model):
    """Return copies of the optimizer before each step of a partial_fit."""
    copies, cls = [], SGD if model.solver == "sgd" else Adam
    step = cls.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cls, "step", lambda self, *args: (copies.append(copy.deepcopy(self)), step(self, *args))[1])
        model.partial_fit(X, y)
    return copies


@each_copy
@pytest.mark.parametrize("first", ["fit", "partial_fit"])
@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive", "onecycle"])
def test_new_learning_rate_takes_effect_at_the_next_call(make_copy, first, solver, learning_rate):
    params = {"solver": solver, "learning_rate": learning_rate, "learning_rate_init": 0.1, "dropout": 0}
    model = CLASSIFIER(8, random_state=0, max_iter=20, **params).fit(X, y) if first == "fit" else stream(5, **params)
    model = make_copy(model)
    before = weights(model)
    model.set_params(learning_rate_init=1e-12, max_iter=500)
    assert distance(model.partial_fit(X, y), before) < 1e-9
    power = 0.5 if learning_rate == "invscaling" and solver == "sgd" else 0
    model = make_copy(model).set_params(learning_rate_init=0.2)
    seen = model.t_
    rates = [optimizer.learning_rate for optimizer in record_optimizers(model)]
    assert rates == [pytest.approx(0.2 / (seen + 1) ** power)]


@each_copy
def test_new_adam_settings_take_effect_at_the_next_call(make_copy):
    model = stream(3)
    known = model._optimizer
    m_hat = known.mean_scale * known.mean * (1 - known.beta_1) / (1 - known.beta_1**3)
    v_hat = known.square_scale * known.square * (1 - known.beta_2) / (1 - known.beta_2**3)
    new = {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}
    model = make_copy(model).set_params(**new)
    (at_start,) = record_optimizers(model)
    assert (at_start.beta_1, at_start.beta_2, at_start.epsilon, at_start.t) == (0.5, 0.9, 1e-3, 3)
    # the same estimates of the gradient and of its square
    np.testing.assert_allclose(at_start.mean_scale * at_start.mean * 0.5 / (1 - 0.5**3), m_hat, rtol=1e-12)
    np.testing.assert_allclose(at_start.square_scale * at_start.square * 0.1 / (1 - 0.9**3), v_hat, rtol=1e-12)


@each_copy
def test_new_momentum_takes_effect_at_the_next_call(make_copy):
    params = {"solver": "sgd", "dropout": 0, "shuffle": False, "alpha": 0}
    model = make_copy(stream(2, momentum=0, **params)).set_params(momentum=0.9, nesterovs_momentum=False)
    plain = copy.deepcopy(model).set_params(momentum=0)
    assert distance(model.partial_fit(X, y), plain.partial_fit(X, y)) == 0  # the velocity starts at 0
    moved = [a - b for a, b in zip(weights(plain), weights(stream(2, momentum=0, **params)), strict=True)]
    second = copy.deepcopy(model).set_params(momentum=0)
    model, before = make_copy(model), weights(model)
    pairs = zip(weights(model.partial_fit(X, y)), weights(second.partial_fit(X, y)), moved, strict=True)
    for with_momentum, without, step in pairs:
        np.testing.assert_allclose(with_momentum - without, 0.9 * step, atol=1e-12)
    assert distance(model, before) > 0
    model = make_copy(model).set_params(momentum=0).partial_fit(X, y)
    assert model._optimizer.velocity.size == 0
    assert not make_copy(model).set_params(nesterovs_momentum=True).partial_fit(X, y)._optimizer.momentum


@each_copy
def test_adaptive_rate_is_kept_while_its_settings_are_unchanged(make_copy):
    params = {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.1,
        "tol": 1.0,
        "n_iter_no_change": 1,
    }
    model = stream(9, **params)
    reached = model._optimizer.learning_rate
    assert 0 < reached < 0.01

    def rates(*changes):
        copied = copy.deepcopy(model).set_params(tol=0, n_iter_no_change=99)
        for change in changes:
            copied = make_copy(copied).set_params(**change).partial_fit(X, y)
            yield copied._optimizer.learning_rate

    assert list(rates({}, {"power_t": 2, "momentum": 0.1, "alpha": 1.0, "max_iter": 3})) == [reached, reached]
    assert list(rates({"learning_rate_init": 0.2}, {}, {"learning_rate_init": 0.1})) == [0.2, 0.2, 0.1]
    assert list(rates({"learning_rate": "constant"}, {"learning_rate": "adaptive"})) == [0.1, 0.1]
    assert list(rates({"solver": "adam"}, {"solver": "sgd"})) == [0.1, 0.1]


def test_files_of_0_1_0_restore_the_learning_rate():
    params = {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "tol": 0.05}
    model = CLASSIFIER(8, random_state=0, max_iter=300, **params).fit(X, y)
    state = {k: v for k, v in model.__getstate__().items() if k not in {"_rate_settings", "_in_stream"}}
    for init, expected in ((0.1, model._optimizer.learning_rate), (0.2, 0.2)):
        restored = object.__new__(CLASSIFIER)
        restored.__setstate__({**state, "_skdropout_version": "0.1.0"})
        restored.set_params(learning_rate_init=init, n_iter_no_change=99).partial_fit(X, y)
        assert restored._optimizer.learning_rate == expected < 0.3


@pytest.mark.parametrize("params", [{}, {"solver": "sgd"}, {"solver": "sgd", "learning_rate": "invscaling"}])
def test_partial_fit_after_fit_matches_scikit_learn(params):
    """With unchanged settings, a partial_fit after a fit gives the weights of scikit-learn."""
    params = {"hidden_layer_sizes": (8,), "max_iter": 10, "batch_size": 150, "shuffle": False, **params}
    ours, theirs = (cls(random_state=0, **params) for cls in (CLASSIFIER, MLPClassifier))
    ours.set_params(dropout=0)
    for model in (ours, theirs):
        model.fit(X, y)
        for _ in range(3):
            model.set_params(learning_rate_init=0.001, momentum=0.9, beta_1=0.9).partial_fit(X, y)
    for a, b in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


@each_copy
def test_moments_are_reset_between_sgd_and_adam(make_copy):
    model = make_copy(stream(3, dropout=0)).set_params(solver="sgd").partial_fit(*ROWS[0])
    assert type(model._optimizer) is SGD
    model = make_copy(model).set_params(solver="adam").partial_fit(*ROWS[1])
    assert model._optimizer.t == 1
    assert make_copy(model).set_params(solver="adamw").partial_fit(*ROWS[1])._optimizer.t == 2


# lbfgs before and after other solvers


@pytest.mark.parametrize("make_copy", [lambda model: model, by_pickle], ids=["original", "pickle"])
@pytest.mark.parametrize("cls", [CLASSIFIER, REGRESSOR])
@pytest.mark.parametrize("first", [{"early_stopping": True}, {"solver": "sgd", "learning_rate": "adaptive"}])
def test_lbfgs_warm_start_drops_the_state_of_the_previous_solver(make_copy, cls, first):
    params = {"hidden_layer_sizes": 8, "random_state": 0, "max_iter": 20}
    plain = cls(**params).set_params(solver="lbfgs", dropout=0).fit(X, y)
    model = cls(**params).set_params(dropout=0, warm_start=True, **first).fit(X, y)
    seen = model.t_
    model = make_copy(model).set_params(solver="lbfgs", early_stopping=False).fit(X, y)
    assert model._fitted_names() - {"_mask_state", "_validation_mask"} == plain._fitted_names()
    assert model.t_ == seen > 0
    model = make_copy(model).set_params(solver="adam", max_iter=2).fit(X, y)
    assert len(model.loss_curve_) == len(model.dropout_curve_) == model.n_iter_ == 2
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.validation_scores_ is model.best_validation_score_ is None
    model = make_copy(model).partial_fit(X, y)
    assert len(model.loss_curve_) == 3

"""Overflow is caught at its step and the error suggests a fix; failed calls change nothing; partial_fit continues."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from covering import covering
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout import _base as base
from skdropout._fit import prepare
from skdropout._fit.checks import column_ranges
from skdropout.engine import backprop
from skdropout.engine.backprop import Backprop
from skdropout.engine.layers import LayerSpec
from skdropout.engine.optimizers import SGD, Adam
from skdropout.engine.params import Params

rng = np.random.RandomState(0)
X = rng.normal(size=(96, 6))
LABELS, VALUES = np.arange(96) % 3, X[:, 0] + rng.normal(size=96)
CASES = {DropoutMLPClassifier: LABELS, DropoutMLPRegressor: VALUES}
estimators = pytest.mark.parametrize("estimator", CASES)
SMALL = {"hidden_layer_sizes": (7, 5), "batch_size": 16, "random_state": 0}


def with_column(value, column=2, dtype=float):
    return np.where(np.arange(6) == column, X * value, X).astype(dtype)


# Divergence


@pytest.mark.parametrize("clip_norm", [None, 1.0])
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_overflowing_gradient_is_caught_at_its_batch(poison, solver, clip_norm, monkeypatch):
    n_calls, original = 0, Backprop.data_loss_and_grad

    def poisoned(self, *batch):
        nonlocal n_calls
        result, n_calls = original(self, *batch), n_calls + 1
        if n_calls == 6 + 4:
            self.gradient[3] = poison  # the loss stays finite
        return result

    monkeypatch.setattr(Backprop, "data_loss_and_grad", poisoned)
    clf = DropoutMLPClassifier(**SMALL, solver=solver, clip_norm=clip_norm)
    with pytest.raises(
        ValueError, match=r"layer 1 of 3 overflowed in epoch 2, batch 4 of 6: lower learning_rate_init .now 0"
    ):
        clf.fit(X, LABELS)
    assert n_calls == 10


@pytest.mark.filterwarnings("ignore:X reaches:UserWarning")
@pytest.mark.parametrize(
    ("params", "value", "cause"),
    [
        ({"solver": "sgd"}, 1e12, "loss became|weights of layer"),
        ({"solver": "sgd", "activation": "silu"}, 1e25, "loss became|weights of layer"),
        ({"dropout": 0, "loss": "huber"}, 1e20, "square of the gradient"),  # all later steps would be 0
        ({"batch_norm": "before_activation"}, 1e22, "loss became nan"),  # the variance overflows
    ],
    ids=str,
)
def test_float32_overflow_names_the_column(params, value, cause):
    frame = pd.DataFrame(with_column(value), columns=["age", "height", "income", "x", "y", "z"])
    reg = DropoutMLPRegressor(**SMALL, dtype="float32").set_params(**params)
    with pytest.raises(ValueError, match=f"({cause}).* in epoch 1, batch") as error:
        reg.fit(frame, VALUES)
    assert f"column 'income' reaches {np.abs(frame['income']).max():.3g}" in str(error.value)
    assert "dtype='float64'" in str(error.value)


def test_overflowing_norms_do_not_zero_the_weights():
    params = Params((2, 3, 1), np.float32)
    params.vector[:] = 1e30
    with np.errstate(over="ignore"):
        Backprop(params, [LayerSpec(3, "relu"), LayerSpec(1, "identity")], "huber", 4, max_norm=1.0).constrain()
    assert np.isnan(params.coefs[0]).all()


@pytest.mark.parametrize(
    ("params", "fix"),
    [
        ({"alpha": 1e300}, r"lower alpha \(now 1e\+300\)"),
        ({"learning_rate_init": 1e300}, r"lower learning_rate_init \(now 1e\+300\)"),
        ({"solver": "sgd", "learning_rate_init": 1e3, "dropout": 0, "activation": "identity"}, "set clip_norm=1"),
    ],
    ids=["alpha", "learning rate", "clip"],
)
@estimators
def test_suggested_fix_matches_the_cause(estimator, params, fix):
    with pytest.raises(ValueError, match=rf"batch \d of \d: .*{fix}"):
        estimator(**SMALL, max_iter=100).set_params(**params).fit(X, CASES[estimator])


def test_divergence_names_large_targets_and_tiny_weights():
    reg = DropoutMLPRegressor(**SMALL, solver="sgd", dtype="float32")
    with pytest.raises(ValueError, match=r"scale y, which reaches \d\.\d+e\+20 \(with TransformedTargetRegressor\)"):
        reg.fit(X, VALUES * 1e20)
    weights = np.where(np.arange(96) < 48, 1e-320, 1.0)
    with pytest.raises(ValueError, match=r"lower alpha \(now 0.0001; the smallest positive sample_weight is 1e-320\)"):
        DropoutMLPClassifier(**SMALL, shuffle=False).fit(X, LABELS, weights)


@estimators
def test_divergence_after_the_best_epoch_is_an_error(estimator, monkeypatch):
    n_calls, original = 0, Backprop.data_loss_and_grad

    def poisoned(self, *batch):
        nonlocal n_calls
        loss, weight = original(self, *batch)
        n_calls += 1
        return (np.inf if n_calls == 17 else loss), weight

    monkeypatch.setattr(Backprop, "data_loss_and_grad", poisoned)
    model = estimator(**SMALL, early_stopping=True, max_iter=9)
    with pytest.raises(ValueError, match="The training loss became inf in epoch 3, batch 5 of 6"):
        model.fit(X, CASES[estimator])


@pytest.mark.filterwarnings("ignore:X reaches:UserWarning")
def test_overflowing_validation_loss_names_the_validation_column():
    with pytest.raises(ValueError, match=r"validation loss became inf in epoch 1: .*column 4 reaches \d\.\d+e\+200"):
        DropoutMLPRegressor(**SMALL, scoring="loss").fit(X, VALUES, X_val=with_column(1e200, column=4), y_val=VALUES)


def test_lbfgs_overflow_names_the_iteration(monkeypatch):
    params = {"solver": "lbfgs", "dropout": 0, "random_state": 0}
    with pytest.raises(ValueError, match=r"loss became (nan|inf) in iteration 0: .* column 2 reaches \d\.\d+e\+200"):
        DropoutMLPRegressor(**params).fit(with_column(1e200), VALUES)

    def no_gradient(self, *batch):
        self.gradient[:] = np.nan
        return 1.0, 0.0

    monkeypatch.setattr(Backprop, "loss_and_grad", no_gradient)
    with pytest.raises(ValueError, match="The gradient of the training loss overflowed in iteration 0"):
        DropoutMLPClassifier(**params).fit(X, LABELS)


@np.errstate(all="ignore")
@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_step_returns_nan_only_on_overflow(optimizer):
    def step(gradient):
        settings = (0.9, True) if optimizer is SGD else (0.9, 0.999, 1e-8)
        params = np.zeros(70_000, np.float32)  # two chunks
        return optimizer(params.size, params.dtype, 1.0, *settings).step(params, gradient.astype(np.float32))

    for index in (0, 69_999):
        for value in (np.nan, np.inf, -np.inf, 3e38):
            gradient = np.zeros(70_000)
            gradient[index] = value
            assert np.isnan(step(gradient))
    assert step(np.full(70_000, -1e15)) == 0.0


# Magnitudes


def as_container(kind, array):
    return {"dense": np.asarray, "csr": sparse.csr_array, "frame": pd.DataFrame, "fortran": np.asfortranarray}[kind](
        array
    )


@pytest.mark.parametrize("kind", ["dense", "csr", "frame", "fortran"])
@estimators
def test_column_too_large_for_float32_fails_before_anything_changes(estimator, kind):
    model = estimator(**SMALL, dtype="float32", max_iter=2).fit(as_container(kind, X), CASES[estimator])
    before, bad = joblib.hash(vars(model)), as_container(kind, with_column(-1e60, column=4))
    message = r"X reaches \d\.\d+e\+60 in column '?4'?, which is too large for float32: scale the inputs"
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=message):
            method(bad, CASES[estimator])
    with pytest.raises(ValueError, match=f"In the validation data.*{message}"):
        model.fit(as_container(kind, X), CASES[estimator], X_val=bad, y_val=CASES[estimator])
    for method in (model.predict, getattr(model, "predict_proba", model.predict)):
        with pytest.raises(ValueError, match=r"output of the network overflowed in float32.*column '?4'? reaches"):
            method(bad)
    assert joblib.hash(vars(model)) == before


@pytest.mark.parametrize("kind", ["dense", "csr"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squares_that_overflow_float32_warn(dtype, kind):
    clf = DropoutMLPClassifier(**SMALL, activation="tanh", dtype="float32", max_iter=2)
    with pytest.warns(UserWarning, match=r"X reaches \d.\d+e\+25 in column 2, and its squares overflow float32"):
        clf.fit(as_container(kind, with_column(1e25, dtype=dtype)), LABELS)
    assert np.isfinite(clf.coefs_[0]).all()


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_values_that_float32_cannot_distinguish_warn(dtype):
    seconds = (np.column_stack([1_700_000_000 + np.arange(96), np.arange(96)])).astype(dtype)
    clf = DropoutMLPClassifier(**SMALL, dtype="float32", activation="tanh", max_iter=1)
    with pytest.warns(UserWarning, match=r"X reaches 1700000095 in column 0, and float32 is too coarse"):
        clf.fit(seconds, LABELS)
    clf.fit(seconds - [1_700_000_000, 0], LABELS)
    clf.fit(np.full((96, 2), 1e9), LABELS)  # constant: nothing is lost
    clf.fit(np.full((96, 1), 1e9) * (1 + 1e-15 * np.arange(96)[:, None]), LABELS)  # constant up to rounding errors
    coarse = (1_700_000_000 + 128 * (np.arange(96) % 4)).reshape(-1, 1)
    clf.fit(coarse.astype(np.float32), LABELS)  # the precision was lost before fit
    clf.set_params(dtype=None).fit(seconds, LABELS)


def test_small_integers_are_not_scanned(monkeypatch):
    monkeypatch.setattr("skdropout._fit.checks._unresolved", None)
    DropoutMLPClassifier(**SMALL, dtype="float32", max_iter=1).fit(X.astype(np.int8), LABELS)


@pytest.mark.parametrize("kind", ["dense", "csr"])
def test_column_ranges_are_computed_in_blocks(kind, monkeypatch):
    monkeypatch.setattr("skdropout._fit.checks.BLOCK_SIZE", 40)  # six rows
    low, high = column_ranges(as_container(kind, X))
    np.testing.assert_array_equal(low, X.min(axis=0))
    np.testing.assert_array_equal(high, X.max(axis=0))


def test_targets_too_large_for_float32_are_an_error():
    reg = DropoutMLPRegressor(**SMALL, dtype="float32", max_iter=1)
    with pytest.raises(ValueError, match="`y` has values too large for float32: scale it"):
        reg.fit(X, VALUES * 1e100)
    with pytest.raises(ValueError, match=r"In the validation data.*`y_val` has values too large for float32"):
        reg.fit(X, VALUES, X_val=X, y_val=VALUES * 1e100)


@pytest.mark.parametrize(
    ("weight", "dtype"), [(1e300, None), (1e-300, None), (1e36, "float32"), (1e-40, "float32"), (1e300, "float32")]
)
@estimators
def test_weight_sums_that_overflow_or_underflow_are_an_error(estimator, weight, dtype):
    model = estimator(**SMALL, dtype=dtype, max_iter=2)
    with pytest.raises(ValueError, match=r"The sum of sample_weight is .*: divide the weights by their mean"):
        model.fit(X, CASES[estimator], np.full(96, weight))
    model.fit(X, CASES[estimator], np.full(96, weight) / weight)


def test_class_weights_count_in_the_weight_sum():
    clf = DropoutMLPClassifier(**SMALL, class_weight=dict.fromkeys(range(3), 1e200))
    with pytest.raises(ValueError, match=r"The sum of sample_weight is (inf|\d.\d+e\+\d+), but must be .* in float64"):
        clf.fit(X, LABELS, np.full(96, 1e100))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "sample_proba"])
def test_overflowing_output_is_an_error_without_warnings(method):
    clf = DropoutMLPClassifier(**SMALL, dtype="float32", max_iter=2).fit(X, LABELS)
    bad = X.copy()
    bad[50, 4] = 1.7e308
    with pytest.raises(ValueError, match=r"output of the network overflowed in float32 .* column 4 reaches 1.7e\+308"):
        getattr(clf, method)(bad)
    getattr(clf, method)(X)


def test_overflowing_output_of_a_regressor_is_an_error():
    reg = DropoutMLPRegressor(**SMALL, loss="poisson", max_iter=20, dropout=0.2, dropout_schedule="constant")
    reg.fit(X, np.abs(VALUES))
    far = X * 1e6
    for predict in (reg.predict, reg.sample_y, lambda X: reg.predict(X, return_std=True)):
        with pytest.raises(ValueError, match=r"output of the network overflowed in float64 .* column \d reaches"):
            predict(far)


def test_overflowing_spread_of_passes_is_an_error():
    reg = DropoutMLPRegressor(**SMALL, dropout=0.5, dropout_schedule="constant", max_iter=5).fit(X, VALUES)
    with pytest.raises(ValueError, match=r"output of the network overflowed"):
        reg.predict(X * 1e200, return_std=True)
    assert np.isfinite(reg.predict(X * 1e200)).all()


# Failed calls


def fails(*args, **kwargs):
    raise RuntimeError("on purpose")


def fails_late(t):
    return 1.0 if t < 0.5 else fails()


def diverges(self, *batch):
    self.n_calls = getattr(self, "n_calls", 0) + 1
    return (1.0 if self.n_calls < 5 else np.nan), 16.0


def interrupts(*args, **kwargs):
    raise KeyboardInterrupt


def runs_out_of_memory(*args, **kwargs):
    raise MemoryError


STAGES = {  # parameters, arguments, (owner, name, replacement), error
    "parameter": ({"alpha": -1}, {}, None, ValueError),
    "combination": ({"solver": "adamw", "l1_ratio": 0.5}, {}, None, ValueError),
    "architecture": ({"hidden_layer_sizes": "ab"}, {}, None, ValueError),
    "data": ({}, {"X": X * np.nan}, None, ValueError),
    "shape": ({}, {"X": X[:, :, np.newaxis]}, None, ValueError),
    "targets": ({}, {"y": np.array([None] * 96)}, None, (ValueError, TypeError)),
    "lengths": ({}, {"y": LABELS[:90]}, None, ValueError),
    "weights": ({}, {"sample_weight": -np.ones(96)}, None, ValueError),
    "validation set": ({}, {"X_val": X[:, :4], "y_val": LABELS}, None, ValueError),
    "divergence": ({}, {}, (Backprop, "data_loss_and_grad", diverges), ValueError),
    "scorer": ({"scoring": fails}, {"X_val": X, "y_val": LABELS}, None, RuntimeError),
    "schedule": ({"dropout_schedule": fails_late, "max_iter": 3}, {}, None, RuntimeError),
    "Ctrl-C before training": ({}, {}, (prepare, "initialize", interrupts), KeyboardInterrupt),
    "out of memory": ({}, {}, (Adam, "step", runs_out_of_memory), MemoryError),
    "finalization": ({}, {}, (base.BaseDropoutMLP, "_finalize", fails), RuntimeError),
}


@pytest.fixture(scope="module")
def fitted():
    """Return a model of each class, with different kinds of seed, that has all optional fitted attributes."""
    models = {}
    for estimator, seed in {DropoutMLPClassifier: 0, DropoutMLPRegressor: np.random.RandomState(5)}.items():
        model = estimator(**SMALL | {"random_state": seed}, max_iter=2, dropout=0.3, batch_norm="after_activation")
        model.fit(X, CASES[estimator], X_val=X, y_val=CASES[estimator])
        models[estimator] = model.partial_fit(X, CASES[estimator])
    return models


@pytest.mark.parametrize("stage", STAGES)
@estimators
def test_failed_call_changes_nothing(estimator, stage, fitted, monkeypatch):
    params, arguments, patch, error = STAGES[stage]
    y = CASES[estimator]
    for warm in (False, True):  # fit from scratch and continue
        model = copy.deepcopy(fitted[estimator]).set_params(**params, warm_start=warm)
        objects, before = dict(vars(model)), joblib.hash(vars(model))
        methods = [model.fit]
        if not {"X_val"} & set(arguments) and stage not in {"Ctrl-C before training"}:
            methods.append(model.partial_fit)
        if stage == "Ctrl-C before training" and warm:  # a warm start draws no weights
            continue
        with monkeypatch.context() as m:
            if patch is not None:
                m.setattr(*patch)
            for method in methods:
                with pytest.raises(error):
                    method(**{"X": X, "y": y} | arguments)
        assert joblib.hash(vars(model)) == before
        assert all(vars(model)[name] is value for name, value in objects.items())
        assert vars(model).keys() == objects.keys()


@estimators
def test_failed_first_fit_leaves_estimator_and_random_state_unchanged(estimator):
    stream = np.random.RandomState(3)
    model = estimator(**SMALL | {"random_state": stream}, scoring=fails)
    before = joblib.hash(vars(model))
    with pytest.raises(RuntimeError):
        model.fit(X, CASES[estimator], X_val=X, y_val=CASES[estimator])
    assert joblib.hash(vars(model)) == before
    assert stream.randint(2**31) == np.random.RandomState(3).randint(2**31)


@estimators
def test_failing_callback_changes_nothing(estimator):
    pytest.importorskip("sklearn.callback")

    class Failing:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context, **details):
            fails()

    model = estimator(**SMALL, max_iter=2).fit(X, CASES[estimator])
    model.set_callbacks(Failing())
    before = dict(vars(model))
    hashed = joblib.hash({name: value for name, value in before.items() if name != "_skl_callbacks"})
    for method in (model.fit, model.partial_fit):
        with pytest.raises(RuntimeError, match="on purpose"):
            method(X, CASES[estimator])
        assert vars(model).keys() == before.keys()
        after = {name: value for name, value in vars(model).items() if name != "_skl_callbacks"}
        assert joblib.hash(after) == hashed


@estimators
def test_set_params_sets_all_or_none(estimator):
    model = estimator(**SMALL, max_iter=2).fit(X, CASES[estimator])
    before = joblib.hash(vars(model))
    for unknown in ({"nonsense": 2}, {"dropout__rate": 0.1}, {"alpha__x": 1}):
        with pytest.raises((ValueError, AttributeError)):
            model.set_params(alpha=1.0, dropout=0.7, **unknown)
        assert joblib.hash(vars(model)) == before
    assert model.set_params() is model
    assert model.set_params(alpha=1.0, dropout=0.7) is model
    assert (model.alpha, model.dropout) == (1.0, 0.7)
    assert clone(model).get_params() == model.get_params()
    assert len(pickle.loads(pickle.dumps(model)).partial_fit(X, CASES[estimator]).loss_curve_) == 3


@pytest.mark.parametrize("kind", ["dense", "csr", "frame", "fortran"])
@estimators
def test_inputs_are_not_modified(estimator, kind):
    zeros = np.where(X > 0, X, 0)
    rows, y, weights = as_container(kind, zeros), CASES[estimator].copy(), rng.uniform(size=96)
    groups, classes = [0, 0, 1, 1, 2, 2], {0: 1.0, 1: 2.0, 2: 0.5}
    extra = {"class_weight": classes} if estimator is DropoutMLPClassifier else {"noise_variance": [0.1]}
    params = {"dropout": [0.2, 0.3], "input_dropout": 0.2, "input_groups": groups, "dropout_schedule": "constant"}
    model = estimator(**SMALL, max_iter=2, **params, **extra)

    def contents():
        arrays = (rows.data, rows.indices, rows.indptr) if kind == "csr" else np.asarray(rows)
        return joblib.hash((arrays, y, weights, model.get_params()))

    before = contents()
    if kind == "dense":
        for array in (rows, y, weights):
            array.setflags(write=False)
    model.fit(rows, y, weights, X_val=rows, y_val=y, sample_weight_val=weights)
    model.partial_fit(rows, y, weights).predict(rows)
    model.score(rows, y, weights)
    model.log_predictive_density(rows, y, n_samples=3)
    assert contents() == before


# Streams of partial_fit calls


def training_state(model):
    """Return the hash of all state that training continues from: weights, moments, optimizer, random streams."""
    names = ("coefs_", "intercepts_", "batch_norm_mean_", "batch_norm_var_", "_unfolded", "_mask_state", "t_")
    state = {name: getattr(model, name) for name in names if hasattr(model, name)}
    stream = getattr(model, "_random_state", model.random_state)
    names = ("mean", "square", "t", "velocity", "learning_rate")
    state |= {name: getattr(model._optimizer, name) for name in names if hasattr(model._optimizer, name)}
    return joblib.hash((state, None if stream is None else stream.get_state()))


def feed(model, rows, y, parts):
    first = {"classes": [0, 1, 2]} if isinstance(model, DropoutMLPClassifier) else {}
    for part in parts:
        model.partial_fit(rows[part], y[part], np.arange(1, 97)[part] / 50.0, **first)
    return model


COMBINATIONS = covering(
    list(CASES),
    ["bernoulli", "gaussian", "alpha", "spatial"],
    ["sgd", "adam", "adamw"],
    [False, "before_activation", "after_activation", "after_dropout"],
    ["sample", "batch"],
    ["float32", "float64"],
    ["dense", "csr"],
    [0, "instance", None],
    strength=2,
)


@pytest.mark.parametrize(
    ("estimator", "kind", "solver", "batch_norm", "sharing", "dtype", "store", "seed"), COMBINATIONS
)
def test_partial_fits_on_parts_equal_one_pass_over_all_rows(
    estimator, kind, solver, batch_norm, sharing, dtype, store, seed, monkeypatch
):
    monkeypatch.setattr(backprop, "THIN_WORK", 1)  # thin small networks, too
    monkeypatch.setattr(backprop, "THIN_ROWS", 1)
    index = np.r_[:50, 49, 51:96]  # a duplicate row, which batches keep
    rows, y = as_container(store, np.where(np.abs(X) > 0.3, X, 0)[index]), CASES[estimator][index]

    def new():
        np.random.seed(4)
        params = {"dropout_kind": kind, "solver": solver, "batch_norm": batch_norm, "mask_sharing": sharing}
        params |= {"activation": "selu" if kind == "alpha" else "relu", "dtype": dtype, "shuffle": False}
        random_state = np.random.RandomState(4) if seed == "instance" else seed
        params |= {"dropout": 0.4, "input_dropout": 0.0 if kind == "alpha" else 0.1, "dropout_schedule": "constant"}
        return estimator(hidden_layer_sizes=(8, 6), batch_size=16, random_state=random_state, **params)

    whole = feed(new(), rows, y, [slice(None)] * 2)
    ends = [slice(0, 16), slice(16, 64), slice(64, 96)]
    parts = feed(new(), rows, y, ends * 2)
    assert training_state(parts) == training_state(whole)
    assert (len(parts.loss_curve_), len(whole.loss_curve_)) == (6, 2)
    fitted = new().set_params(max_iter=2).fit(rows, y, np.arange(1, 97) / 50.0)
    assert training_state(fitted) == training_state(whole)


@estimators
def test_last_part_may_be_short(estimator):
    params = SMALL | {"shuffle": False, "dropout": 0.3, "dropout_schedule": "constant"}
    whole = feed(estimator(**params), X[:90], CASES[estimator][:90], [slice(0, 90)])
    with pytest.warns(UserWarning, match="batch_size=16 is larger than the 10 training rows"):
        parts = feed(estimator(**params), X[:90], CASES[estimator][:90], [slice(0, 80), slice(80, 90)])
    assert training_state(parts) == training_state(whole)


def test_divergence_without_overflow_warns():
    clf = DropoutMLPClassifier(
        8, solver="sgd", activation="identity", learning_rate_init=5, max_iter=15, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match=r"^The training loss rose from \S+ to \S+e\+\d+: training diverges"):
        clf.set_params(dropout_schedule="annealed").fit(X * 50, LABELS)
    assert np.isfinite(clf.loss_)

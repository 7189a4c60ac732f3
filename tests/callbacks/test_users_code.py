"""Schedules, scorers and callbacks run under the user's floating-point settings, and their exceptions propagate.

After an exception during sampling, the BLAS threads of the process are restored.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from covering import covering
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_info, threadpool_limits

import skdropout._sampling
import skdropout._threads
import skdropout.engine.sampling
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout.engine.activations import ACTIVATIONS, Activation
from skdropout.engine.dropout import DROPOUTS

rng = np.random.RandomState(0)
X = scale(rng.normal(size=(90, 5)))
VALUES = X[:, 0] + 0.1 * rng.normal(size=90)
LABELS = np.digitize(VALUES, [-0.5, 0.5])
CASES = {DropoutMLPClassifier: LABELS, DropoutMLPRegressor: VALUES}
estimators = pytest.mark.parametrize("estimator", CASES)


def small(estimator, **params):
    return estimator(**{"hidden_layer_sizes": 6, "max_iter": 3, "dropout": 0.2, "random_state": 0} | params)


# The user's exceptions and floating-point settings


def raising(error):
    def code(*args, **kwargs):
        raise error

    return code


def overflows(*args, **kwargs):
    return float(np.float64(1e300) * np.float64(1e300) > 0)


def underflows(*args, **kwargs):
    return float(1 + np.float64(1e-300) * np.float64(1e-300))


def in_schedule(estimator, code, **params):
    return small(estimator, dropout_schedule=code, **params).fit(X, CASES[estimator])


def in_partial_fit(estimator, code, **params):
    return small(estimator, dropout_schedule=code, **params).partial_fit(
        X, CASES[estimator], **({"classes": [0, 1, 2]} if estimator is DropoutMLPClassifier else {})
    )


def in_scorer(estimator, code, **params):
    return small(estimator, early_stopping=True, scoring=code, **params).fit(X, CASES[estimator])


def in_warm_start(estimator, code, **params):
    """Run `code` as the scorer of a warm start, which first scores its initial weights."""
    model = small(estimator, warm_start=True, **params).fit(X, CASES[estimator])
    return model.set_params(scoring=code).fit(X, CASES[estimator], X_val=X, y_val=CASES[estimator])


def in_callback(hook, solver="adam"):
    def call(estimator, code, **params):
        from skdropout._callbacks.tasks import Callback

        class Calls(Callback):
            def on_fit_task_end(self, estimator, context, fitted_estimator=None):
                if fitted_estimator is not None:
                    fitted_estimator.predict(X)

        setattr(Calls, hook, lambda self, *args, **kwargs: code() and None)
        rate = {"solver": "lbfgs", "dropout": 0} if solver == "lbfgs" else {}
        return small(estimator, **rate, **params).set_callbacks(Calls()).fit(X, CASES[estimator])

    return call


def in_early_stopping_callback(estimator, code, **params):
    from skdropout import EarlyStopping

    stopping = EarlyStopping(X, CASES[estimator], scoring=code)
    return small(estimator, **params).set_callbacks(stopping).fit(X, CASES[estimator])


PLACES = {"schedule": in_schedule, "partial_fit": in_partial_fit, "scorer": in_scorer, "warm start": in_warm_start}
try:
    import sklearn.callback  # noqa: F401
except ImportError:  # scikit-learn < 1.9
    pass
else:
    PLACES |= {
        "setup": in_callback("setup"),
        "begin": in_callback("on_fit_task_begin"),
        "end": in_callback("on_fit_task_end"),
        "teardown": in_callback("teardown"),
        "lbfgs": in_callback("on_fit_task_end", "lbfgs"),
        "EarlyStopping": in_early_stopping_callback,
    }
places = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)


@pytest.mark.parametrize("error", [OverflowError("math range error"), FloatingPointError("mine"), KeyError("mine")])
@places
@estimators
def test_user_exceptions_propagate_unchanged(estimator, place, error):
    with pytest.raises(type(error)) as caught:
        place(estimator, raising(error))
    assert caught.value is error
    assert str(caught.value) == str(error)


@places
@estimators
def test_user_code_runs_under_the_users_errstate(estimator, place):
    with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="overflow"):
        place(estimator, overflows)
    with np.errstate(under="raise"), pytest.raises(FloatingPointError, match="underflow"):
        place(estimator, underflows)
    seen = []
    with np.errstate(all="call", call=lambda *args: seen.append(args)):
        place(estimator, underflows)
    assert seen
    assert {kind for kind, _ in seen} == {"underflow"}


@places
@estimators
def test_ignored_floating_point_errors_stay_ignored(estimator, place):
    with np.errstate(all="ignore"):
        place(estimator, underflows)


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "lbfgs"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@estimators
def test_internal_computations_raise_no_floating_point_error(estimator, dtype, solver):
    """Inputs of 1e-25 underflow in float32 as soon as they are squared."""
    params = {"dropout": 0} if solver == "lbfgs" else {"early_stopping": True, "batch_norm": "before_activation"}
    tiny, y = (X * np.where(np.arange(5) == 1, 1e-25, 1)).astype(dtype), CASES[estimator]
    model = small(estimator, solver=solver, dtype=dtype, hidden_layer_sizes=(6, 4), **params)
    expected = clone(model).fit(tiny, y)
    with np.errstate(all="raise"):
        model.fit(tiny, y)
        answers = [model.predict(tiny), model.log_predictive_density(tiny, y, n_samples=20)]
        if estimator is DropoutMLPRegressor:
            answers += [*model.predict(tiny, return_std=True, dropout=0.1), model.sample_y(tiny, 3)]
        else:
            answers += [model.predict_proba(1e3 * tiny), model.predict_log_proba(1e3 * tiny), model.sample_proba(tiny)]
            answers += model.predict_uncertainty(1e3 * tiny).values()
        if solver != "lbfgs":
            clone(model).set_params(early_stopping=False).fit(tiny, y).partial_fit(tiny, y)
    assert all(np.isfinite(a).all() for a in answers[2:])
    assert_array_equal(model.coefs_[0], expected.coefs_[0])


def test_exceptions_of_custom_kinds_and_activations_propagate_unchanged(monkeypatch):
    class Kind(DROPOUTS["bernoulli"]):
        forward = apply = draw = raising(OverflowError("of the kind"))

    monkeypatch.setitem(DROPOUTS, "failing", Kind)
    with pytest.raises(OverflowError, match=r"^of the kind$"):
        small(DropoutMLPRegressor, dropout_kind="failing", activation="tanh").fit(X, VALUES)
    monkeypatch.setitem(ACTIVATIONS, "tanh", Activation(raising(OverflowError("of the activation")), None))
    with pytest.raises(OverflowError, match=r"^of the activation$"):
        small(DropoutMLPRegressor, activation="tanh").fit(X, VALUES)


def test_exceptions_of_a_class_weight_dict_propagate_unchanged():
    class Weights(dict):
        def __getitem__(self, label):
            raise OverflowError("of the weights")

    with pytest.raises(OverflowError, match=r"^of the weights$"):
        small(DropoutMLPClassifier, class_weight=Weights({0: 1.0, 1: 1.0, 2: 1.0})).fit(X, LABELS)
    with pytest.raises(ValueError, match="class_weight must be finite"):
        small(DropoutMLPClassifier, class_weight={0: 10**400, 1: 1, 2: 1}).fit(X, LABELS)


def test_sample_weight_beyond_the_range_of_floats_is_named():
    with pytest.raises(ValueError, match="`sample_weight` is beyond the range of floats"):
        small(DropoutMLPRegressor).fit(X, VALUES, [10**400] * 90)


def test_fit_within_a_fit_keeps_the_errstate_of_both():
    data = X, VALUES

    def scorer(estimator, X, y):
        with np.errstate(over="ignore"):
            small(DropoutMLPRegressor, early_stopping=True, scoring=overflows).fit(*data)
        return overflows()

    with np.errstate(over="raise"):
        with pytest.raises(FloatingPointError, match="overflow"):
            in_scorer(DropoutMLPRegressor, scorer)
        assert np.geterr()["over"] == "raise"


# Failures during sampling


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


SAMPLING_CALLS = {
    "return_std": lambda m: m.predict(X, return_std=True),
    "return_std in threads": lambda m: m.predict(X, return_std=True, n_jobs=2),
    "sample_y": lambda m: m.sample_y(X, 50),
    "log_predictive_density": lambda m: m.log_predictive_density(X, VALUES, n_jobs=2),
    "predict_uncertainty": lambda m: m.predict_uncertainty(X),
    "sample_proba": lambda m: m.sample_proba(X, 50, n_jobs=2),
}


def fit_for(name, schedule):
    estimator = DropoutMLPClassifier if "_" in name and name.split("_")[1] in {"uncertainty", "proba"} else None
    estimator = estimator or DropoutMLPRegressor
    return small(estimator, dropout_schedule=schedule).fit(X, CASES[estimator])


@pytest.mark.parametrize(
    ("name", "schedule", "where", "error"),
    covering(
        SAMPLING_CALLS,
        ["constant", "flat_cos"],
        ["in a block", "between two blocks"],
        [KeyboardInterrupt, ValueError, MemoryError],
        strength=2,
    ),
)
def test_blas_threads_are_restored_while_the_traceback_is_alive(monkeypatch, name, schedule, where, error):
    monkeypatch.setattr(skdropout.engine.sampling, "BLOCK", 6 * 200)
    model, n_calls = fit_for(name, schedule), 0

    def failing(function):
        def call(*args):
            nonlocal n_calls
            n_calls += 1
            if n_calls == 3:
                raise error("stop")
            return function(*args)

        return call

    if where == "in a block":
        monkeypatch.setattr(skdropout._sampling.Sampler, "sample", failing(skdropout._sampling.Sampler.sample))
    else:
        original = skdropout._sampling.islice
        monkeypatch.setattr(skdropout._sampling, "islice", failing(original))
    n_threads = threading.active_count()
    with threadpool_limits(2, "blas"):
        with pytest.raises(error) as caught:
            SAMPLING_CALLS[name](model)
        assert caught.tb is not None  # it keeps all frames alive
        assert n_calls >= 3
        assert blas_threads() == {2}
        assert skdropout._threads.ONE_BLAS_THREAD.n_active == 0
        SAMPLING_CALLS[name](model)
        assert blas_threads() == {2}
    assert threading.active_count() <= n_threads + 2


def test_blas_threads_are_restored_when_some_sampling_threads_fail(monkeypatch):
    monkeypatch.setattr(skdropout.engine.sampling, "BLOCK", 6 * 200)
    model = fit_for("return_std", "flat_cos")
    expected = model.predict(X, return_std=True)
    original = skdropout._sampling.pass_moments

    def failing(outputs, rows):
        if threading.current_thread().name.endswith("_1"):
            raise KeyboardInterrupt
        return original(outputs, rows)

    monkeypatch.setattr("skdropout._regressor.pass_moments", failing)

    def ask(_):
        try:
            return model.predict(X, return_std=True)
        except KeyboardInterrupt as error:
            return error

    with threadpool_limits(2, "blas"):
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(ask, range(20)))
        assert blas_threads() == {2}
    for answer in answers:
        assert isinstance(answer, KeyboardInterrupt) or (
            (answer[0] == expected[0]).all() and (answer[1] == expected[1]).all()
        )

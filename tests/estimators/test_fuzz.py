"""Random valid and invalid input: the outcome is a correct result or a helpful error message.

``pytest tests/estimators/test_fuzz.py`` tries a few hundred cases; with ``-m slow`` it tries thousands (set the number
with ``SKDROPOUT_FUZZ``). ``python tests/estimators/fuzz_atheris.py`` lets coverage guide them.
"""

import copy
import linecache
import os
import random
import re
import signal
import traceback
import warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import sklearn
from hypothesis import HealthCheck, example, given, settings
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from strategies import PLAIN, Call, Case, Data, Unbuildable, cases, every_parameter, every_weight, every_X, every_y

import skdropout
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor, diagnose
from skdropout._sklearn import InvalidParameterError

OURS, THEIRS = (str(Path(package.__file__).parent) for package in (skdropout, sklearn))
REFERENCES = {DropoutMLPClassifier: MLPClassifier, DropoutMLPRegressor: MLPRegressor}
ERRORS = {ValueError, TypeError, NotFittedError, InvalidParameterError, AttributeError}
# terms of a useful message
SUBJECT = re.compile(
    r"\b(X|y|samples?|sample_weight|weights?|features?|class|classes|labels?|targets?|outputs?|arrays?|dimensions?|"
    r"data|validation|fitted|parameters?|inputs?|partial_fit|noise|n_samples|n_jobs|seed)\b|"
    + "|".join(sorted({*DropoutMLPClassifier().get_params(), *DropoutMLPRegressor().get_params()})),
    re.IGNORECASE,
)
TALLY = Counter()  # number of calls by method and outcome
SECONDS = 20  # time limit per case; cases take milliseconds


class Hang(BaseException):
    """A BaseException, so that no handler catches it."""


@contextmanager
def time_limit(seconds):
    def stop(*_):
        raise Hang(f"no end after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def state(thing):
    """Return the whole state of an estimator, an optimizer or an array, comparable by ==."""
    if thing is np.ma.masked:
        return "masked"
    if np.ma.isMaskedArray(thing):
        return state(thing.data), state(np.asarray(thing.mask))
    if isinstance(thing, np.ndarray) and thing.dtype != object:
        return type(thing), thing.dtype.str, thing.shape, thing.strides, thing.tobytes()
    if isinstance(thing, np.ndarray):
        return type(thing), thing.shape, [state(item) for item in thing.flat]
    if isinstance(thing, dict):
        return {key: state(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return type(thing), [state(item) for item in thing]
    if issparse(thing):  # without the attributes that SciPy caches
        parts = ("data", "indices", "indptr", "coords", "rows", "offsets", "_dict")
        return type(thing), thing.shape, [state(getattr(thing, part, None)) for part in parts]
    if isinstance(thing, np.random.RandomState | np.random.Generator):
        return "the user's"  # drawing from it changes it
    if type(thing).__module__.startswith(("pandas", "polars")):
        with warnings.catch_warnings(action="ignore"):  # from pandas about float16
            return type(thing), repr(thing)
    if type(thing).__module__.startswith(("skdropout", "sklearn")) and hasattr(thing, "__dict__"):
        return type(thing), state(vars(thing))
    return repr(thing)


def perform(model, method, given, options):
    if method == "predict_std":
        return model.predict(**given, return_std=True, **options)
    if method == "diagnose":
        return diagnose(model, **given)
    return getattr(model, method)(**given, **options)


def attempt(model, call, given):
    """Return the result or error of a call, and its warnings."""
    with warnings.catch_warnings(record=True) as caught, time_limit(SECONDS):
        warnings.simplefilter("always")
        try:
            return perform(model, call.method, given, copy.deepcopy(call.options)), None, caught
        except Exception as error:
            return None, error, caught


def asked_of(case, call):
    """Return the error and the warnings of scikit-learn's MLP on the same data."""
    given = {name: data and data.build() for name, data in call.data.items() if not name.endswith("_val")}
    reference, outcomes = REFERENCES[case.estimator](**PLAIN), []
    if case.fitted:
        attempt(reference, Call("fit", {}, {}), {name: data.build() for name, data in case.fitted.items()})
    ways = [("predict", {"X": given.get("X")}, {}), ("fit", {"y": np.arange(12) % 2} | given, {})]
    if "y" in given:
        ways.append(("score", given, {}))
    if call.method == "partial_fit":
        ways.append(("partial_fit", given, call.options))
    for method, data, options in ways:
        _, error, caught = attempt(copy.deepcopy(reference), Call(method, {}, options), data)
        outcomes.append((type(error), bare(str(error).replace("MLP", "DropoutMLP")), {w.category for w in caught}))
    return outcomes


def bare(message):
    """Remove numbers, because shapes and bits may differ."""
    return re.sub(r"[\d.]+", "", message)


def is_useful(error, case, call):
    """Return whether the error is of a type that scikit-learn raises and names the input and the problem."""
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, tuple(ERRORS)) and any(frame.filename.startswith(f"{THEIRS}/metrics") for frame in frames):
        return True  # scikit-learn's score
    where = frames[-1]
    if type(error) in ERRORS and where.filename == f"{THEIRS}/utils/validation.py":
        return True  # messages of scikit-learn's own checks
    raised = linecache.getline(where.filename, where.lineno).strip().startswith("raise")
    meant = raised and where.filename.startswith((OURS, THEIRS)) and type(error) in ERRORS
    if meant and len(str(error)) >= 20 and SUBJECT.search(str(error)):
        return True
    return any((type(error), bare(str(error))) == outcome[:2] for outcome in asked_of(case, call))


def rows_of(X):
    return X.shape[0] if hasattr(X, "shape") else len(X)


def check_predict(model, given, options, y):
    n = rows_of(given["X"])
    if isinstance(model, DropoutMLPRegressor):
        assert y.shape == ((n,) if model.n_outputs_ == 1 else (n, model.n_outputs_))
        assert np.isfinite(y).all() or enormous(given["X"])
    elif model._is_multilabel():
        assert y.shape == (n, len(model.classes_))
        assert set(np.unique(y)) <= {0, 1}
    else:
        assert y.shape == (n,)
        assert y.dtype == model.classes_.dtype
        assert set(y.tolist()) <= set(model.classes_.tolist())


def enormous(data, limit=1e30):
    """Return whether numbers may overflow in float32 after a few layers or squares."""
    try:
        with np.errstate(all="ignore"):
            return np.abs(data.toarray() if issparse(data) else np.asarray(data, dtype=float)).max(initial=0) > limit
    except (TypeError, ValueError):  # labels
        return False


def check_proba(model, given, options, P):
    assert P.shape[:2] == (rows_of(given["X"]), len(model.classes_))
    if np.isnan(P).any() and enormous(given["X"]):
        return
    assert (P >= 0).all()
    assert (P <= 1).all()
    if not model._is_multilabel():
        np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-5)


def check_log_proba(model, given, options, log_P):
    assert (log_P <= 0).all() or enormous(given["X"])
    np.testing.assert_allclose(np.exp(log_P), model.predict_proba(given["X"]), rtol=1e-5, atol=1e-12)


def check_samples(model, given, options, samples):
    n_samples = options.get("n_samples", 1)
    assert samples.shape[0] == rows_of(given["X"])
    assert samples.shape[-1] == n_samples
    if isinstance(model, DropoutMLPClassifier):
        check_proba(model, given, options, samples)
    else:
        assert np.isfinite(samples).all() or enormous(given["X"])


def check_uncertainty(model, given, options, found):
    if isinstance(model, DropoutMLPRegressor):
        check_std(model, given, options, (found.mean, found.std))
        return
    check_proba(model, given, options, found.proba)
    if not enormous(given["X"]):
        assert all((value >= 0).all() for value in (found.predictive_entropy, found.expected_entropy))
        assert (found.mutual_information >= 0).all()


def check_std(model, given, options, found):
    mean, std = found
    check_predict(model, given, options, mean)
    assert std.shape == mean.shape
    assert (std > 0).all() or enormous(given["X"])


def check_interval(model, given, options, interval):
    assert interval.shape == (*model.predict(given["X"]).shape, 2)
    assert (interval[..., 0] <= interval[..., 1]).all() or enormous(given["X"])


def check_calibrate(model, given, options, result):
    assert result is model
    assert np.isfinite(model.conformity_scores_).all()
    assert (model.conformity_scores_ >= 0).all()
    assert (np.asarray(model.variance_factor_) > 0).all()
    assert np.isfinite(model.variance_factor_).all()
    assert model.predict_interval(given["X"], 0.01, **options).shape[-1] == 2


def check_density(model, given, options, density):
    assert density.shape == (rows_of(given["X"]),)
    assert not np.isnan(density).any() or enormous(given["X"])


def check_score(model, given, options, score):
    assert isinstance(score, float)
    assert np.isfinite(score) or rows_of(given["X"]) < 2 or enormous(given["X"]) or enormous(given["y"])


def check_diagnosis(model, given, options, found):
    assert ((found.dead_units >= 0) & (found.dead_units <= 1)).all()
    assert str(found)


def check_fit(model, given, options, result):
    assert result is model
    assert all(np.isfinite(a).all() for a in model.coefs_ + model.intercepts_)
    assert len(getattr(model, "loss_curve_", [0])) >= 1


CHECKS = {
    "predict": check_predict,
    "predict_proba": check_proba,
    "predict_log_proba": check_log_proba,
    "sample_proba": check_samples,
    "sample_y": check_samples,
    "predict_uncertainty": check_uncertainty,
    "predict_std": check_std,
    "predict_interval": check_interval,
    "calibrate": check_calibrate,
    "log_predictive_density": check_density,
    "score": check_score,
    "diagnose": check_diagnosis,
    "fit": check_fit,
    "partial_fit": check_fit,
    "set_params": lambda model, given, options, result: clone(model) and repr(model),
}


CHANGING = {"fit", "partial_fit", "set_params", "calibrate"}


def ends_well(case):
    found = list(findings(case))
    assert not found, f"{found} of {case}"  # a message, since atheris does not rewrite asserts


def findings(case):
    """Yield descriptions of the problems."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = case.estimator(**PLAIN)
        if case.fitted:
            model.fit(**{name: data.build() for name, data in case.fitted.items()})
    model.set_params(**copy.deepcopy(case.params))
    for call in case.calls:
        given = {name: data and data.build() for name, data in call.data.items()}
        if any(data is Unbuildable for data in given.values()):
            continue
        data, before = state(given), state(vars(model))
        result, error, caught = attempt(model, call, given)
        TALLY[call.method, "error" if error else "result"] += 1
        if state(given) != data:
            yield f"{call.method} changed what it was given"
        if state(vars(model)) != before and (error or call.method not in CHANGING):
            yield f"{call.method} changed the estimator"
        for w in caught:
            fine = issubclass(w.category, UserWarning | np.exceptions.ComplexWarning)
            if not fine and not any(w.category in o[2] for o in asked_of(case, call)):
                yield f"{call.method} warns: {w.category.__name__}: {w.message} ({w.filename}:{w.lineno})"
        if error and not is_useful(error, case, call):
            where = "".join(traceback.format_tb(error.__traceback__, limit=-2))
            yield f"{call.method} fails: {type(error).__name__}: {error}\n{where}"
        if not error:
            try:
                with warnings.catch_warnings(action="ignore"):  # those of the call are checked already
                    CHECKS[call.method](model, given, call.options, result)
            except AssertionError as wrong:
                where = traceback.extract_tb(wrong.__traceback__)[1].line
                yield f"{call.method} is wrong: {where} {wrong}"
            if call.method == "fit":
                yield from compare(model, call)


SHARED = {cls: set(reference().get_params()) - {"verbose"} for cls, reference in REFERENCES.items()}


def compare(model, call):
    """Compare with a second fit, and with scikit-learn's MLP if it supports the same settings."""
    params, defaults = model.get_params(), type(model)().get_params()
    if not isinstance(params["random_state"], int) or params["warm_start"]:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again, given = clone(model), {name: data and data.build() for name, data in call.data.items()}
        perform(again, "fit", given, {})
        if state(again.coefs_) != state(model.coefs_):
            yield "a second fit differs"
        extras = {
            k
            for k in params
            if k not in SHARED[type(model)] and k != "dropout" and state(params[k]) != state(defaults[k])
        }
        if extras or state(params["dropout"]) != state(0) or "X_val" in call.data:
            return
        reference = REFERENCES[type(model)](**{k: params[k] for k in SHARED[type(model)]})
        _, error, _ = attempt(reference, call, given)
    if isinstance(error, InvalidParameterError) or any(enormous(data, 1e6) for data in given.values()):
        return  # we have more activations, and huge numbers amplify rounding
    if error:
        yield f"scikit-learn refuses: {type(error).__name__}: {error}"
    else:
        for ours, theirs in zip(model.coefs_, reference.coefs_, strict=True):
            if not np.allclose(ours, theirs, rtol=1e-5 if ours.dtype == float else 1e-2, atol=1e-6):
                yield f"scikit-learn gives other weights: {ours} {theirs}"
                return


FUZZ = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


BASE = {"X": Data("normal", (12, 2)), "y": Data("normal", (12,))}


@settings(FUZZ, max_examples=300, derandomize=True)
@given(cases())
@example(
    Case(DropoutMLPRegressor, BASE, {}, [Call("predict", {"X": Data("normal", (12, 2), object, "None", "list")}, {})])
)
@example(
    Case(
        DropoutMLPRegressor, None, {}, [Call("fit", BASE | {"X_val": BASE["X"], "y_val": Data("counts", (12, 2))}, {})]
    )
)
@example(Case(DropoutMLPRegressor, BASE, {}, [Call("sample_y", {"X": BASE["X"]}, {"n_jobs": 0})]))
def test_any_case_ends_well(case):
    ends_well(case)


@pytest.mark.slow
@settings(FUZZ, max_examples=int(os.environ.get("SKDROPOUT_FUZZ", 3000)), derandomize=False)
@given(cases())
def test_thousands_of_cases_end_well(case):
    ends_well(case)


@pytest.mark.slow
@pytest.mark.parametrize("every", [every_parameter, every_X, every_y, every_weight])
def test_each_of_many_cases_ends_well(every):
    all_of_them = list(every())
    some = random.sample(all_of_them, min(len(all_of_them), int(os.environ.get("SKDROPOUT_FUZZ", 3000))))
    found = {str(case): wrong for case in some if (wrong := list(findings(case)))}
    assert found == {}

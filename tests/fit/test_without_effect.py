"""Each rule about settings without effect warns correctly, and no other setting warns."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout._fit.unused_parameters import RULES

rng = np.random.RandomState(0)
X = rng.normal(size=(40, 4))
LABELS = np.arange(40) % 2
CASES = {DropoutMLPClassifier: LABELS, DropoutMLPRegressor: X[:, 0] + LABELS}
BASE = {"hidden_layer_sizes": (4, 4), "max_iter": 3, "batch_size": 20, "random_state": 0, "learning_rate_init": 0.1}
BOTH = tuple(CASES)
OFF, ON = {"dropout": 0}, {"dropout": [0.2, 0.5], "dropout_schedule": "constant"}
NO_LAYERS = {"hidden_layer_sizes": (), "dropout": ()}
LBFGS = {"solver": "lbfgs", "dropout": 0}
VALIDATION = {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 30, "max_iter": 20}


def first_weight(estimator, X, y):
    return float(estimator.coefs_[0][0, 0])


# For each rule: estimators, values of the parameter, other parameters that disable it, and others that enable it
EXAMPLES = {
    ("dropout", ("hidden_layer_sizes",)): (BOTH, [0.5, np.float32(0.5)], NO_LAYERS, BASE),
    ("dropout_kind", ("dropout", "input_dropout")): (BOTH, ["gaussian", ["alpha", "gaussian"]], OFF, ON),
    ("dropout_kind", ("dropout",)): (
        BOTH,
        [["gaussian", "bernoulli"]],
        {"dropout": [0, 0.5], "dropout_schedule": "constant"},
        ON,
    ),
    ("mask_sharing", ("dropout", "input_dropout")): (BOTH, ["batch"], OFF, ON),
    ("dropout_schedule", ("dropout", "input_dropout")): (BOTH, ["annealed", lambda t: t / 2], OFF, ON),
    ("group_size", ("dropout_kind",)): (BOTH, [2, [2, 1], np.int64(2)], ON, ON | {"dropout_kind": "spatial"}),
    ("group_size", ("dropout",)): (
        BOTH,
        [[2, 1]],
        ON | {"dropout": [0, 0.5], "dropout_kind": "spatial"},
        ON | {"dropout_kind": "spatial"},
    ),
    ("input_groups", ("input_dropout",)): (BOTH, [[0, 0, 1, 1], np.array(list("aabb"))], ON, {"input_dropout": 0.5}),
    ("batch_norm", ("hidden_layer_sizes",)): (BOTH, ["before_activation", "after_dropout"], NO_LAYERS, OFF),
    ("max_norm", ("hidden_layer_sizes",)): (BOTH, [0.1], NO_LAYERS, OFF),
    ("l1_ratio", ("alpha",)): (BOTH, [0.5, 1], {"alpha": 0}, {"alpha": 0.1}),
    ("warmup_fraction", ("solver",)): (BOTH, [0.5], LBFGS, OFF),
    ("learning_rate", ("solver",)): (BOTH, ["cosine", "onecycle"], LBFGS, OFF),
    ("quantile", ("loss",)): ((DropoutMLPRegressor,), [0.9], {"loss": "absolute_error"}, {"loss": "quantile"}),
    ("scoring", ("early_stopping",)): (BOTH, [first_weight], {}, VALIDATION),
}


def fitted(estimator, params):
    """Return the fitted weights and our warnings during fit."""
    model = estimator(**BASE | params)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, CASES[estimator])
    texts = [str(w.message) for w in caught if "has no effect" in str(w.message)]
    return np.concatenate([*map(np.ravel, model.coefs_), *model.intercepts_]), texts


def cases():
    for (parameter, disabled_by), (estimators, values, without, others) in EXAMPLES.items():
        for estimator in estimators:
            for value in values:
                yield pytest.param(estimator, parameter, disabled_by, value, without, others)


def test_every_rule_has_an_example():
    rules = {(rule.parameter, rule.disabled_by) for rule in RULES}
    assert rules == {*EXAMPLES, ("dtype", ("warm_start",))}  # tested separately


@pytest.mark.parametrize(("estimator", "parameter", "disabled_by", "value", "without", "others"), [*cases()])
def test_settings_warn_only_where_they_have_no_effect(estimator, parameter, disabled_by, value, without, others):
    bare = {name: v for name, v in without.items() if name != parameter}
    default, texts = fitted(estimator, bare)
    assert texts == []
    weights, texts = fitted(estimator, bare | {parameter: value})
    np.testing.assert_array_equal(weights, default)  # the setting has no effect
    assert len(texts) == 1
    assert texts[0].startswith(f"{parameter}=")
    for name in disabled_by:
        assert f"{name}=" in texts[0].split(" has no effect with ")[1]
    assert f": {texts[0].split(': ', 1)[1]}".endswith(f"or leave {parameter} at {_default(estimator, parameter)!r}.")

    bare = {name: v for name, v in others.items() if name != parameter}
    default, texts = fitted(estimator, bare)
    assert texts == []
    weights, texts = fitted(estimator, bare | {parameter: value})
    assert texts == []
    assert not np.array_equal(weights, default)


def _default(estimator, parameter):
    return estimator().get_params()[parameter]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"dropout": 0, "dropout_schedule": "constant", "mask_sharing": "sample", "dropout_kind": ["bernoulli"] * 2},
        {"group_size": [1, 1], "input_groups": None, "batch_norm": np.False_, "max_norm": None, "l1_ratio": 0},
        {"hidden_layer_sizes": (), "dropout": 0},
        {"hidden_layer_sizes": (), "dropout": (), "input_dropout": 0.2, "dropout_kind": "gaussian"},
        LBFGS | {"warmup_fraction": 0, "learning_rate": "adaptive", "power_t": 0.3, "momentum": 0.1, "beta_1": 0.1},
        {"solver": "adam", "learning_rate": "invscaling", "momentum": 0.5, "nesterovs_momentum": False},
        {"solver": "sgd", "beta_1": 0.5, "epsilon": 0.1, "power_t": 0.1, "validation_fraction": 0.5},
        {"dropout": [0, 0.5], "dropout_kind": ["bernoulli", "gaussian"]},
        {"dropout": [0.1, 0.5], "dropout_kind": ["spatial", "gaussian"], "group_size": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("estimator", BOTH)
def test_defaults_and_scikit_learn_parameters_do_not_warn(estimator, params):
    assert fitted(estimator, params)[1] == []


@pytest.mark.parametrize("estimator", BOTH)
def test_settings_that_scikit_learn_ignores_silently_do_not_warn(estimator):
    theirs = {DropoutMLPClassifier: MLPClassifier, DropoutMLPRegressor: MLPRegressor}[estimator]
    odd = {"power_t": 0.1, "momentum": 0.1, "epsilon": 0.1, "max_fun": 3, "validation_fraction": 0.5, "beta_1": 0.3}
    for solver in ("adam", "sgd", "lbfgs"):
        params = {**BASE, **odd, "solver": solver, "learning_rate": "invscaling"}
        theirs(**params).fit(X, CASES[estimator])  # warnings are errors
        estimator(**params, dropout=0).fit(X, CASES[estimator])


def test_dtype_changed_before_a_warm_start_warns():
    clf = DropoutMLPClassifier(**BASE, dtype="float32").fit(X, LABELS)
    with pytest.warns(UserWarning, match=r"dtype='float64' has no effect with warm_start=True"):
        clf.set_params(dtype="float64", warm_start=True).fit(X, LABELS)
    assert clf.coefs_[0].dtype == np.float32
    clf.set_params(dtype=np.dtype(">f4")).fit(X, LABELS)
    assert clf.set_params(dtype="float64", warm_start=False).fit(X, LABELS).coefs_[0].dtype == np.float64


def test_partial_fit_warns_once():
    reg = DropoutMLPRegressor(quantile=0.9)
    with pytest.warns(UserWarning, match="quantile=0.9 has no effect with loss='squared_error'"):
        reg.partial_fit(X, X[:, 0])
    for _ in range(3):
        reg.partial_fit(X, X[:, 0])  # warnings are errors


@pytest.mark.parametrize(("pipeline", "n_jobs"), [(False, None), (True, None), (True, 2)])
def test_search_warns_only_in_its_refit(pipeline, n_jobs):
    clf = DropoutMLPClassifier(**BASE, mask_sharing="batch", dropout_schedule="annealed")
    model, prefix = (make_pipeline(StandardScaler(), clf), "dropoutmlpclassifier__") if pipeline else (clf, "")
    grid = {f"{prefix}dropout": [0, 0.2, 0.5]}
    search = GridSearchCV(model, grid, scoring=lambda est, X, y: 0.0, cv=3, n_jobs=n_jobs, error_score="raise")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(X, LABELS)  # the first candidate is the best one
    texts = [str(w.message).split(" has no effect")[0] for w in caught if "no effect" in str(w.message)]
    assert texts == ["mask_sharing='batch'", "dropout_schedule='annealed'"]
    randomized = RandomizedSearchCV(model, grid, n_iter=3, cv=2, refit=False, n_jobs=n_jobs, error_score="raise")
    randomized.fit(X, LABELS)  # warnings are errors


def test_cross_validation_of_one_estimator_warns():
    reg = DropoutMLPRegressor(**BASE, quantile=0.9)
    with pytest.warns(UserWarning, match="quantile=0.9 has no effect"):
        cross_val_score(reg, X, X[:, 0], cv=2)
    clone(reg).set_params(loss="quantile").fit(X, X[:, 0])


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.5},
        {"dropout": np.array([0.1, 0.2])},
        {"input_dropout": 0.1},
        {"n_samples": 5},
        {"mask_sharing": "batch"},
        {"random_state": 1},
    ],
    ids=str,
)
def test_sampling_options_without_return_std_warn(options):
    reg = DropoutMLPRegressor(**BASE, **ON).fit(X, X[:, 0])
    (name,) = options
    with pytest.warns(UserWarning, match=f"{name}=.* has no effect without return_std=True"):
        y = reg.predict(X, **options)
    np.testing.assert_array_equal(y, reg.predict(X))
    reg.predict(X, return_std=True, **options)

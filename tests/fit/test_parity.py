"""With dropout=0, weights, curves and predictions equal those of scikit-learn to rtol=1e-9."""

import itertools
import warnings

import numpy as np
import pytest
from covering import covering
from helpers import SKLEARN
from scipy import sparse
from sklearn.datasets import load_digits, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

RTOL = 1e-9
PAIRS = {"classifier": (MLPClassifier, DropoutMLPClassifier), "regressor": (MLPRegressor, DropoutMLPRegressor)}


def _tasks(n_samples=103):
    digits = load_digits()
    X = digits.data[:n_samples] / 16
    X_reg, y_reg = make_regression(n_samples, 6, noise=5.0, random_state=1)
    y_reg = y_reg / 100
    Y_reg = make_regression(n_samples, 6, n_targets=3, noise=5.0, random_state=2)[1] / 100
    return {
        "binary": ("classifier", X, digits.target[:n_samples] > 4, {}),
        "multiclass": ("classifier", X, digits.target[:n_samples], {}),
        "strings": ("classifier", X, np.array(["a", "bb", "c"])[digits.target[:n_samples] % 3], {}),
        "multilabel": ("classifier", *make_multilabel_classification(n_samples, 8, random_state=0), {}),
        "regression": ("regressor", X_reg, y_reg, {}),
        "multioutput": ("regressor", X_reg, Y_reg, {}),
        "poisson": ("regressor", X_reg, np.floor(np.exp(y_reg.clip(-2, 2))), {"loss": "poisson"}),
    }


TASKS = _tasks()
WEIGHTS = np.random.RandomState(3).choice([0.0, 0.5, 1.0, 3.0], size=103)


def fit_both(task, weights=None, sparse_format=None, epochs=10, **params):
    kind, X, y, extra = TASKS[task]
    X = X if sparse_format is None else sparse_format(X)
    fitted = []
    for estimator in PAIRS[kind]:
        ours = {} if estimator in (MLPClassifier, MLPRegressor) else {"dropout": 0.0}
        model = estimator(
            **{"max_iter": epochs, "random_state": 5, "hidden_layer_sizes": (13, 7)} | params | extra | ours
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", (ConvergenceWarning, UserWarning))
            fitted.append(model.fit(X, y, sample_weight=weights))
    return X, *fitted


def compare(X, theirs, ours):
    """Assert that two models agree, and return the largest relative difference of their weights."""
    for name in ("loss_", "loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_"):
        if hasattr(theirs, name):
            expected = getattr(theirs, name)
            if expected is None:
                assert getattr(ours, name) is None, name
            else:
                np.testing.assert_allclose(getattr(ours, name), expected, rtol=RTOL, err_msg=name)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    largest = 0.0
    for a, b in zip(theirs.coefs_ + theirs.intercepts_, ours.coefs_ + ours.intercepts_, strict=True):
        np.testing.assert_allclose(b, a, rtol=RTOL)
        largest = max(largest, np.max(np.abs(a - b) / np.abs(a), initial=0))
    if hasattr(theirs, "predict_proba"):
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=RTOL)
        with np.errstate(divide="ignore"):
            expected = theirs.predict_log_proba(X)
        finite = np.isfinite(expected)
        np.testing.assert_allclose(ours.predict_log_proba(X)[finite], expected[finite], rtol=RTOL, atol=1e-15)
    else:
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=RTOL)
    return largest


ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
SMOOTH = [task for task in TASKS if task != "multioutput"]  # scikit-learn's gradient there does not match its loss
GRIDS = {  # solver, activation, task, alpha, batch_size, weighted, early_stopping
    "stochastic": (("sgd", "adam"), ACTIVATIONS, TASKS, (0.0, 1e-2), ("auto", 32), (False, True), (False, True)),
    "lbfgs": (("lbfgs",), ACTIVATIONS, SMOOTH, (0.0, 1e-2), ("auto",), (False, True), (False,)),
}


def check_row(solver, activation, task, alpha, batch_size, weighted, early_stopping):
    if task == "strings" and early_stopping and SKLEARN < (1, 9):
        return  # an error in scikit-learn < 1.9
    params = {"alpha": alpha, "batch_size": batch_size, "early_stopping": early_stopping}
    weights = WEIGHTS if weighted else None
    compare(*fit_both(task, weights=weights, solver=solver, activation=activation, **params))


@pytest.mark.parametrize("row", [row for grid in GRIDS.values() for row in covering(*grid)], ids=str)
def test_any_three_options_match_scikit_learn(row):
    check_row(*row)


@pytest.mark.slow
@pytest.mark.parametrize("grid", GRIDS)
def test_whole_grid_matches_scikit_learn(grid):
    for row in itertools.product(*GRIDS[grid]):
        check_row(*row)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "params",
    [
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1, "epochs": 30},
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False},
        {"solver": "adam", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3, "batch_size": 10},
        {"shuffle": False, "batch_size": 25},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": 5},
        {"hidden_layer_sizes": [9, 8, 7]},
        {"tol": 0.05, "n_iter_no_change": 2, "epochs": 60},
        {"batch_size": 1000},
        {"sparse_format": sparse.csr_array, "batch_size": 25},
        {"sparse_format": sparse.csc_matrix},
    ],
    ids=str,
)
def test_other_parameters_match_scikit_learn(task, params):
    compare(*fit_both(task, **params))


@pytest.mark.parametrize("kind", PAIRS)
def test_random_state_advances_as_in_scikit_learn(kind):
    _, X, y, _ = TASKS["binary" if kind == "classifier" else "regression"]
    states = [np.random.RandomState(7), np.random.RandomState(7)]
    for (estimator, extra), state in zip(zip(PAIRS[kind], ({}, {"dropout": 0}), strict=True), states, strict=True):
        model = estimator(early_stopping=True, max_iter=3, random_state=state, **extra)
        with pytest.warns(ConvergenceWarning):
            model.fit(X, y)
    np.testing.assert_array_equal(states[0].random_sample(5), states[1].random_sample(5))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_warm_start_and_partial_fit_match_scikit_learn(solver):
    _, X, y, _ = TASKS["multiclass"]
    models = []
    for estimator, extra in zip(PAIRS["classifier"], ({}, {"dropout": 0}), strict=True):
        model = estimator(solver=solver, max_iter=4, warm_start=True, random_state=np.random.RandomState(0), **extra)
        for _ in range(2):
            with pytest.warns(ConvergenceWarning):
                model.fit(X, y)
        for rows in (slice(0, 40), slice(40, 100)):  # continues with the moments of the last fit
            model.set_params(warm_start=False).partial_fit(X[rows], y[rows])
        models.append(model)
    compare(X, *models)


def test_partial_fit_keeps_its_patience_and_learning_rate():
    _, X, y, _ = TASKS["multiclass"]
    params = {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2, "shuffle": False}
    models = [MLPClassifier(**params, random_state=0), DropoutMLPClassifier(**params, random_state=0, dropout=0)]
    for _ in range(30):
        for model in models:
            model.partial_fit(X, y, classes=np.arange(10))
    rates = [model._optimizer.learning_rate for model in models]
    assert rates[0] == pytest.approx(rates[1])
    assert rates[1] < 1e-4
    compare(X, *models)


def test_float32_matches_scikit_learn_to_its_precision():
    kind, X, y, _ = TASKS["multiclass"]
    theirs, ours = (
        estimator(max_iter=10, random_state=0, tol=0, **extra)
        for estimator, extra in zip(PAIRS[kind], ({}, {"dropout": 0}), strict=True)
    )
    for model in (theirs, ours):
        with pytest.warns(ConvergenceWarning):
            model.fit(X.astype(np.float32), y)
    assert all(W.dtype == np.float32 for W in ours.coefs_ + ours.intercepts_)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-3, atol=1e-5)


def test_covering_rows_contain_all_combinations_of_three_options():
    for grid in GRIDS.values():
        rows = covering(*grid)
        for columns in itertools.combinations(range(len(grid)), 3):
            covered = {tuple(row[i] for i in columns) for row in rows}
            assert covered == set(itertools.product(*(grid[i] for i in columns)))

"""Dropout rates in scikit-learn's searches, the joblib back ends, DropoutRates, and the one-standard-error rule."""

import os
import pickle
from functools import partial
from statistics import stdev

import numpy as np
import pytest
import sklearn
from joblib import Parallel, cpu_count, delayed, parallel_config
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    ParameterSampler,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version
from threadpoolctl import threadpool_info, threadpool_limits

from skdropout import DropoutMLPClassifier, DropoutRates, log_predictive_density_scorer, one_standard_error

X, y = load_iris(return_X_y=True)
CV = StratifiedKFold(3, shuffle=True, random_state=0)
RATES = [0.0, 0.4, (0.1, 0.6)]
before_1_8 = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"), reason="Pipeline does not route weights to score"
)


def network(**params):
    return DropoutMLPClassifier(
        **{"hidden_layer_sizes": (8, 8), "max_iter": 8, "learning_rate_init": 0.02, "random_state": 0} | params
    )


def pipeline(**params):
    return Pipeline([("scale", StandardScaler()), ("mlp", network(**params))])


def manual_scores(model, fit_weights=None, score_weights=None):
    """Return the score of each split, computed in a plain loop, with weights for the network."""
    name = "mlp__sample_weight" if isinstance(model, Pipeline) else "sample_weight"
    scores = []
    for train, test in CV.split(X, y):
        fit = {} if fit_weights is None else {name: fit_weights[train]}
        score = {} if score_weights is None else {"sample_weight": score_weights[test]}
        scores.append(clone(model).fit(X[train], y[train], **fit).score(X[test], y[test], **score))
    return scores


def split_scores(search, metric="score"):
    """Return the scores, of shape (n_candidates, n_splits)."""
    return np.column_stack([search.cv_results_[f"split{i}_test_{metric}"] for i in range(search.n_splits_)])


# Searches


def test_a_grid_of_scalars_and_tuples_in_a_pipeline():
    grid = {"mlp__dropout": [*RATES, np.float64(0.2), (np.float64(0.1), np.float32(0.5))], "mlp__input_dropout": [0.1]}
    search = GridSearchCV(pipeline(), grid, cv=CV).fit(X, y)
    expected = [manual_scores(pipeline(dropout=rate, input_dropout=0.1)) for rate in grid["mlp__dropout"]]
    np.testing.assert_array_equal(split_scores(search), expected)
    assert len(np.unique(split_scores(search))) > 3
    chosen = np.broadcast_to(search.best_params_["mlp__dropout"], 2)
    assert search.best_estimator_["mlp"].dropout_ == (0.1, *chosen)


def test_random_rates():
    space = {"mlp__dropout": DropoutRates(2, 0.1, 0.7)}
    search = RandomizedSearchCV(pipeline(), space, n_iter=3, cv=CV, random_state=1)
    params = clone(search).fit(X, y).cv_results_["params"]
    assert params == list(ParameterSampler(space, 3, random_state=1))
    expected = [manual_scores(pipeline().set_params(**candidate)) for candidate in params]
    np.testing.assert_array_equal(split_scores(search.fit(X, y)), expected)
    assert search.cv_results_["param_mlp__dropout"].tolist() == [p["mlp__dropout"] for p in params]


@pytest.mark.parametrize(
    ("search", "space"),
    [(HalvingGridSearchCV, RATES), (partial(HalvingRandomSearchCV, n_candidates=3), DropoutRates(2))],
    ids=["grid", "random"],
)
@pytest.mark.parametrize("resource", ["mlp__max_iter", "n_samples"])
def test_halving(search, space, resource):
    resources = {"min_resources": 4, "max_resources": 12} if resource != "n_samples" else {"min_resources": 45}
    search = search(pipeline(), {"mlp__dropout": space}, resource=resource, **resources, cv=CV, random_state=0)
    results = search.fit(X, y).cv_results_
    assert search.n_candidates_ == [3, 1]
    assert one_standard_error(results) == 3  # the only candidate of the last iteration
    assert sorted(set(results["n_resources"])) == ([4, 12] if resource != "n_samples" else [45, 135])
    if resource != "n_samples":
        assert search.best_estimator_["mlp"].n_iter_ == 12
        np.testing.assert_array_equal(
            split_scores(search), [manual_scores(pipeline().set_params(**params)) for params in results["params"]]
        )


def test_nested_cross_validation():
    search = GridSearchCV(pipeline(), {"mlp__dropout": [0.0, (0.1, 0.6)]}, cv=2, refit=one_standard_error)
    scores = cross_val_score(search, X, y, cv=CV)
    for score, (train, test) in zip(scores, CV.split(X, y), strict=True):
        inner = clone(search).fit(X[train], y[train])
        best = clone(pipeline(dropout=inner.best_params_["mlp__dropout"])).fit(X[train], y[train])
        assert score == best.score(X[test], y[test])


def test_several_metrics():
    search = GridSearchCV(
        pipeline(), {"mlp__dropout": RATES}, scoring=["accuracy", "neg_log_loss"], refit="neg_log_loss", cv=CV
    )
    by_name = clone(search).fit(X, y)
    assert by_name.best_score_ == split_scores(by_name, "neg_log_loss").mean(axis=1).max()
    for metric in search.scoring:
        rule = partial(one_standard_error, metric=metric)
        by_rule = clone(search).set_params(refit=rule).fit(X, y)
        assert by_rule.best_index_ == rule(by_name.cv_results_)
        expected = pipeline(dropout=by_rule.best_params_["mlp__dropout"]).fit(X, y)
        for a, b in zip(by_rule.best_estimator_["mlp"].coefs_, expected["mlp"].coefs_, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", [network, pytest.param(pipeline, marks=before_1_8)])
def test_weights_by_metadata_routing(kind):
    weights = np.random.RandomState(0).exponential(size=len(y)) * (1 + 9 * (y == 1))
    with config_context(enable_metadata_routing=True):
        mlp = network().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scale = StandardScaler().set_fit_request(sample_weight=False)
        model, name = (
            (mlp, "dropout") if kind is network else (Pipeline([("scale", scale), ("mlp", mlp)]), "mlp__dropout")
        )
        scores = cross_validate(model, X, y, cv=CV, params={"sample_weight": weights})["test_score"]
        search = GridSearchCV(model, {name: RATES}, cv=CV).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(scores, manual_scores(kind(), weights, weights))
    expected = [manual_scores(kind(dropout=rate), weights, weights) for rate in RATES]
    np.testing.assert_array_equal(split_scores(search), expected)
    for other in (manual_scores(kind()), manual_scores(kind(), weights), manual_scores(kind(), None, weights)):
        assert (scores != other).any()  # the weights reach both fit and score


# Back ends


def blas_threads(estimator, X, y):
    """Score with the accuracy, the number of BLAS threads and the process id where the fit runs."""
    threads = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {"threads": max(threads, default=1), "pid": os.getpid(), "accuracy": estimator.score(X, y)}


def search_and_fits(random_state, n_jobs=None, scoring=None):
    """Return a search with refit, and the networks fitted in the workers."""
    model = pipeline(random_state=random_state)
    refit = partial(one_standard_error, metric="accuracy") if scoring else True
    grid = {"mlp__dropout": RATES[1:]}
    search = GridSearchCV(model, grid, cv=CV, n_jobs=n_jobs, scoring=scoring, refit=refit).fit(X, y)
    return search, cross_validate(model, X, y, cv=CV, n_jobs=n_jobs, return_estimator=True)["estimator"]


def assert_same(one, other, metrics=("score", "score")):
    np.testing.assert_array_equal(split_scores(one[0], metrics[0]), split_scores(other[0], metrics[1]))
    for a, b in zip([one[0].best_estimator_, *one[1]], [other[0].best_estimator_, *other[1]], strict=True):
        for c, d in zip(a["mlp"].coefs_, b["mlp"].coefs_, strict=True):
            np.testing.assert_array_equal(c, d)


SEEDS = {"int": 0, "RandomState": np.random.RandomState(3)}


@pytest.mark.parametrize("seed", SEEDS)
def test_threads_do_not_change_results(seed):
    serial = search_and_fits(SEEDS[seed])
    with parallel_config("threading"):
        assert_same(serial, search_and_fits(SEEDS[seed], n_jobs=2))


def test_processes_do_not_change_results_and_share_the_cores(monkeypatch):
    """joblib limits the BLAS threads of each process to its part of the cores unless OPENBLAS_NUM_THREADS is set."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    n_threads = max(1, cpu_count() // 2)
    # wide enough that the last digits depend on the number of threads
    wide = np.random.RandomState(0).normal(size=(60, 784)) @ np.diag(np.linspace(0, 1, 784))
    with threadpool_limits(n_threads):
        fits = [search_and_fits(seed) for seed in SEEDS.values()]
        expected = network(hidden_layer_sizes=(256,)).fit(wide, np.arange(60) % 2).coefs_
    with parallel_config("loky"):
        for serial, seed in zip(fits, SEEDS.values(), strict=True):
            parallel = search_and_fits(seed, n_jobs=2, scoring=blas_threads)
            assert_same(serial, parallel, metrics=("score", "accuracy"))
            assert os.getpid() not in split_scores(parallel[0], "pid")
            assert (split_scores(parallel[0], "threads") <= n_threads).all()
        fitted = Parallel(2)(delayed(network(hidden_layer_sizes=(256,)).fit)(wide, np.arange(60) % 2) for _ in range(2))
    for a, b in zip(expected, fitted[0].coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_dask_does_not_change_results():
    distributed = pytest.importorskip("distributed")
    cluster = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    serial = search_and_fits(0)
    with distributed.LocalCluster(**cluster) as local, distributed.Client(local), parallel_config("dask"):
        assert_same(serial, search_and_fits(0, n_jobs=2))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_monte_carlo_passes_in_a_search(n_jobs):
    before = [pool["num_threads"] for pool in threadpool_info()]
    with parallel_config("threading"):
        search = GridSearchCV(
            pipeline(dropout_schedule="constant"),
            {"mlp__dropout": [0.1, 0.4]},
            scoring=log_predictive_density_scorer,
            cv=CV,
            n_jobs=n_jobs,
        ).fit(X, y)
    expected = []
    for train, test in CV.split(X, y):
        fitted = pipeline(dropout=0.4, dropout_schedule="constant").fit(X[train], y[train])
        expected.append(log_predictive_density_scorer(fitted, X[test], y[test]))
    np.testing.assert_array_equal(split_scores(search)[1], expected)
    assert [pool["num_threads"] for pool in threadpool_info()] == before  # the limit set by sampling is undone


# Distribution of rates


def test_rates_are_floats_between_the_bounds():
    draws = [DropoutRates(3, 0.2, 0.6).rvs(random_state=seed) for seed in range(300)]
    assert all(type(rates) is tuple and len(rates) == 3 for rates in draws)
    assert all(type(rate) is float and 0.2 <= rate < 0.6 for rates in draws for rate in rates)
    mean, sd = np.mean(draws, axis=0), 0.4 / np.sqrt(12)
    assert (np.abs(mean - 0.4) < 5 * sd / np.sqrt(300)).all()
    assert (np.abs(np.corrcoef(draws, rowvar=False) - np.eye(3)) < 5 / np.sqrt(300)).all()


def test_equal_seeds_draw_equal_rates():
    rates, random_state = DropoutRates(2), np.random.RandomState(0)
    assert rates.rvs(random_state=0) == rates.rvs(random_state=random_state) != rates.rvs(random_state=random_state)
    assert rates.rvs() != rates.rvs()  # from NumPy's global random state
    assert repr(rates) == "DropoutRates(n_layers=2, low=0.0, high=0.5)"
    assert pickle.loads(pickle.dumps(rates)) == rates == clone(rates, safe=False)


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((0,), ValueError, "n_layers == 0, must be >= 1"),
        ((2.0,), TypeError, "n_layers must be an instance of int"),
        (((8, 8),), TypeError, "n_layers must be an instance of int"),
        ((2, "0.1"), TypeError, "low must be an instance of float"),
        ((2, 0.0, None), TypeError, "high must be an instance of float"),
        ((2, -0.1), ValueError, r"0 <= low < high <= 1, got DropoutRates\(n_layers=2, low=-0.1, high=0.5\)"),
        ((2, 0.5, 0.5), ValueError, "low=0.5, high=0.5"),
        ((2, 0.0, 1.5), ValueError, "high=1.5"),
        ((2, np.nan), ValueError, "low=nan"),
    ],
)
def test_invalid_bounds(args, error, message):
    with pytest.raises(error, match=message):
        DropoutRates(*args)


# One-standard-error rule


def results(scores, metric="score", **params):
    """Return cv_results_ for these candidates; `scores` has shape (n_candidates, n_splits)."""
    scores = np.array(scores, dtype=float)
    columns = {f"split{i}_test_{metric}": column for i, column in enumerate(scores.T)}
    candidates = [dict(zip(params, values, strict=True)) for values in zip(*params.values(), strict=True)]
    return {"params": candidates, f"mean_test_{metric}": scores.mean(axis=1)} | columns


SPREAD = [0.80, 0.86, 0.92, 0.94]  # mean 0.88
ERROR = stdev(SPREAD) / 2


def around(mean):
    return [mean - 0.01, mean + 0.01, mean - 0.02, mean + 0.02]


def test_the_smallest_rate_within_one_standard_error():
    just_within, just_outside = around(0.88 - ERROR + 1e-6), around(0.88 - ERROR - 1e-6)
    rates = [0.1, 0.5, (0.2, 0.3), 0.4]
    assert one_standard_error(results([just_outside, SPREAD, just_within, around(0.87)], dropout=rates)) == 2
    assert one_standard_error(results([just_within, SPREAD, just_within, around(0.87)], dropout=rates)) == 0


def test_rates_of_input_and_layers_are_summed_and_ties_go_to_the_better_score():
    candidates = {"mlp__dropout": [0.3, (0.1, 0.3), np.array([0.2, 0.2])], "mlp__input_dropout": [0.2, 0.0, 0.0]}
    assert one_standard_error(results([SPREAD, around(0.86), around(0.87)], **candidates)) == 2
    assert one_standard_error(results([SPREAD, around(0.87), around(0.86)], **candidates)) == 1
    same = {"dropout": [0.2, (0.1, 0.2, 0.3), (0.3, 0.1, 0.2)], "alpha": [0, 1, 2]}
    assert one_standard_error(results([around(0.86), around(0.87), SPREAD], **same)) == 2
    assert type(one_standard_error(results([SPREAD, SPREAD], dropout=[(), 0.0]))) is int


def test_candidates_without_a_finite_score_are_ignored():
    failed = [np.nan, *SPREAD[1:]]
    assert one_standard_error(results([failed, around(0.86), SPREAD], dropout=[0.0, 0.1, 0.2])) == 1
    with pytest.raises(ValueError, match=r"finite mean_test_score, got \[nan\]"):
        one_standard_error(results([failed], dropout=[0.0]))


def test_only_the_last_halving_iteration_counts():
    table = results([around(0.89), SPREAD, around(0.87), SPREAD], dropout=[0.0, 0.4, 0.3, 0.4])
    assert one_standard_error(table) == 0
    assert one_standard_error(table | {"iter": np.array([0, 0, 1, 1])}) == 2


def test_invalid_search_results():
    with pytest.raises(ValueError, match=r"ends in 'dropout', only \['alpha', 'mlp__dropout_kind'\]"):
        one_standard_error(results([SPREAD], alpha=[0.1], mlp__dropout_kind=["alpha"]))
    with pytest.raises(ValueError, match=r"metric='score' is not among .* \['r2'\]: .*metric='r2'"):
        one_standard_error(results([SPREAD], metric="r2", dropout=[0.1]))
    with pytest.raises(ValueError, match="at least 2 splits, but cv has 1"):
        one_standard_error(results([SPREAD[:1]], dropout=[0.1]))

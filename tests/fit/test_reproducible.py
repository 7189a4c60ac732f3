"""Results with the same seed do not depend on the hash seed, the order of names or the number of threads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from digests import CLASSIFIERS, LABELS, X, all_digests, classifier, digest_classifier
from threadpoolctl import threadpool_limits

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor, _threads


def test_results_do_not_depend_on_the_hash_seed():
    """The hash seed changes the iteration order of sets of strings: classes, groups, parameters."""
    seeds = ["0", "1"]  # plus that of this process
    children = [
        subprocess.Popen(
            [sys.executable, Path(__file__).with_name("digests.py")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
        )
        for seed in seeds
    ]
    expected = all_digests()
    assert len(set(expected.values())) == len(expected)
    for child in children:
        assert json.loads(child.communicate(timeout=120)[0]) == expected
        assert child.returncode == 0


def reverse_keys(value):
    return {key: reverse_keys(value[key]) for key in reversed(value)} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_order_of_parameters_and_classes_does_not_matter(name):
    params, data, y = CLASSIFIERS[name]
    expected = digest_classifier(classifier(**params).fit(data, y), data)
    everything = classifier(**params).get_params()
    assert digest_classifier(DropoutMLPClassifier(**reverse_keys(everything)).fit(data, y), data) == expected
    one_by_one = DropoutMLPClassifier()
    for key, value in reverse_keys(everything).items():
        one_by_one.set_params(**{key: value})
    assert digest_classifier(one_by_one.fit(data, y), data) == expected


def test_fit_does_not_use_the_global_random_state():
    digests = []
    for seed in range(2):
        np.random.seed(seed)
        before = np.random.get_state()[1]
        digests.append(digest_classifier(classifier().fit(X, LABELS), X))
        np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("estimator", "params"),
    [
        (DropoutMLPClassifier, {"dropout": 0.2, "batch_norm": "before_activation"}),
        (DropoutMLPClassifier, {"dropout": 0.5, "hidden_layer_sizes": (128, 128)}),
        (DropoutMLPRegressor, {"dropout": 0.2, "early_stopping": True}),
    ],
    ids=["batch norm", "two layers", "regressor"],
)
def test_results_do_not_depend_on_the_number_of_threads(estimator, params, monkeypatch):
    monkeypatch.setattr(_threads, "cached_cpu_count", lambda: 4)
    wide = np.random.RandomState(0).normal(size=(400, 900))  # large enough to divide products
    y = wide[:, 0] > 0 if estimator is DropoutMLPClassifier else wide[:, 0]
    predictions = []
    for n_threads in (1, 2, 4):
        with threadpool_limits(n_threads, "blas"):
            model = estimator(**{"hidden_layer_sizes": (128,), "max_iter": 5, "random_state": 0} | params).fit(wide, y)
            predictions.append(getattr(model, "predict_proba", model.predict)(wide))
    np.testing.assert_array_equal(predictions[1:], predictions[:1] * 2)

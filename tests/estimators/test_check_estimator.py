"""scikit-learn's estimator checks, without expected failures; only a check of a method that we lack is skipped."""

import os

import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_estimator,
    check_param_validation,
)

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

# Every kind with and without batch normalization, every position of it, every solver with dropout, both ways to share
# masks, a rate and a kind per layer
TWO_LAYERS = {"hidden_layer_sizes": (50, 20), "dropout": (0.1, 0.3)}
SGD = {"solver": "sgd", "clip_norm": 1, "max_iter": 40}
CONFIGURATIONS = [
    {},
    {"dropout": 0},
    {**TWO_LAYERS, "dropout_kind": ("gaussian", "spatial"), "group_size": 2, "input_dropout": 0.1},
    {"dropout_kind": "alpha", "activation": "selu", "dropout": 0.1, **SGD},
    {**TWO_LAYERS, "dropout_kind": ("alpha", "bernoulli"), "activation": "selu", "batch_norm": "before_activation"},
    {"batch_norm": "after_activation", "dropout_kind": "gaussian"},
    {"batch_norm": "after_dropout", "dropout_kind": "spatial", "dropout_schedule": "flat_cos"},
    {"mask_sharing": "batch", "dropout": 0.5, "input_dropout": 0.1},
]
SKIPPED = {"check_classifiers_multilabel_output_format_decision_function"}  # there is no decision_function

estimators = pytest.mark.parametrize("estimator", [DropoutMLPClassifier, DropoutMLPRegressor])


@pytest.mark.parametrize("params", CONFIGURATIONS, ids=str)
@estimators
def test_check_estimator(estimator, params):
    if params:  # otherwise the defaults; the checks need no more epochs
        short = {"dropout": 0.2, "dropout_schedule": "constant", "learning_rate_init": 0.02, "max_iter": 12}
        params = short | params
    assert os.environ["SCIPY_ARRAY_API"] == "1"  # check_array_api_input is skipped silently without it
    results = check_estimator(estimator(**params), on_skip=None, on_fail="raise")
    assert len(results) >= 50
    assert {r["check_name"] for r in results if r["status"] != "passed"} <= SKIPPED


@estimators
def test_checks_outside_check_estimator(estimator):
    check_param_validation(estimator.__name__, estimator())
    check_dataframe_column_names_consistency(estimator.__name__, estimator())

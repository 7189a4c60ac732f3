"""scikit-learn's own checks, bare: no expected failure, and nothing skipped but what a method we lack would test."""

import os

import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_estimator,
    check_param_validation,
)

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

# Every kind with and without batch normalisation, every place of it, every noisy solver, both ways to share masks
CONFIGURATIONS = [
    {},
    {"dropout": 0},
    {"hidden_layer_sizes": (50, 20), "dropout": (0.2, 0.5)},
    {"dropout_kind": "gaussian", "input_dropout": 0.1},
    {"dropout_kind": "alpha", "activation": "selu", "dropout": 0.1},
    {"dropout_kind": "spatial", "group_size": 2, "solver": "sgd", "learning_rate_init": 0.001, "max_iter": 100},
    {"batch_norm": "before_activation"},
    {"batch_norm": "after_activation", "dropout_kind": "gaussian"},
    {"batch_norm": "before_activation", "dropout_kind": "alpha", "activation": "selu", "dropout": 0.1},
    {"batch_norm": "after_dropout", "dropout_kind": "spatial", "dropout_schedule": "flat_cos"},
    {"mask_sharing": "batch", "dropout": 0.5, "input_dropout": 0.1},
]
SKIPPED = {"check_classifiers_multilabel_output_format_decision_function"}  # there is no decision_function

estimators = pytest.mark.parametrize("estimator", [DropoutMLPClassifier, DropoutMLPRegressor])


@pytest.mark.parametrize("params", CONFIGURATIONS, ids=str)
@estimators
def test_check_estimator(estimator, params):
    if params:  # else the defaults as shipped; the checks ask for no more epochs
        short = {"dropout": 0.2, "dropout_schedule": "constant", "learning_rate_init": 0.01, "max_iter": 20}
        params = short | params
    assert os.environ["SCIPY_ARRAY_API"] == "1"  # without it check_array_api_input is skipped in silence
    results = check_estimator(estimator(**params), on_skip=None, on_fail="raise")
    assert len(results) >= 50
    assert {r["check_name"] for r in results if r["status"] != "passed"} <= SKIPPED


@estimators
def test_checks_outside_check_estimator(estimator):
    check_param_validation(estimator.__name__, estimator())
    check_dataframe_column_names_consistency(estimator.__name__, estimator())

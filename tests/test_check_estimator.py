"""scikit-learn's own checks, bare: no expected failure, and nothing skipped but what a method we lack would test."""

import os

import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_estimator,
    check_param_validation,
)

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

CONFIGURATIONS = [
    {},
    {"dropout": 0},
    {"dropout": 0.5},
    {"hidden_layer_sizes": (50, 20), "dropout": (0.2, 0.5)},
    {"solver": "sgd"},
    {"dropout_kind": "gaussian", "input_dropout": 0.1},
    {"dropout_kind": "alpha", "activation": "selu", "dropout": 0.1},
    {"dropout_kind": "spatial", "group_size": 2},
    {"batch_norm": "before_activation"},
    {"batch_norm": "after_activation", "dropout_kind": "gaussian"},
    {"batch_norm": "after_dropout"},
    {"batch_norm": "before_activation", "dropout_kind": "alpha", "activation": "selu", "dropout": 0.1},
    {"batch_norm": "before_activation", "dropout_kind": "spatial", "dropout_schedule": "flat_cos"},
    {"mask_sharing": "batch", "input_dropout": 0.1},
    {"mask_sharing": "batch", "dropout": 0.5},
]
SKIPPED = {"check_classifiers_multilabel_output_format_decision_function"}  # there is no decision_function

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.parametrize("params", CONFIGURATIONS, ids=str),
    pytest.mark.parametrize("estimator", [DropoutMLPClassifier, DropoutMLPRegressor]),
]


def test_check_estimator(estimator, params):
    if params:  # else the defaults as shipped
        epochs = 50 if estimator is DropoutMLPClassifier else 100  # the checks ask for no more
        params = {"dropout": 0.2, "dropout_schedule": "constant", "max_iter": epochs, **params}
    assert os.environ["SCIPY_ARRAY_API"] == "1"  # without it check_array_api_input is skipped in silence
    results = check_estimator(estimator(**params), on_skip=None, on_fail="raise")
    assert len(results) >= 50
    assert {r["check_name"] for r in results if r["status"] != "passed"} <= SKIPPED


def test_checks_outside_check_estimator(estimator, params):
    check_param_validation(estimator.__name__, estimator(**params))
    check_dataframe_column_names_consistency(estimator.__name__, estimator(**params))

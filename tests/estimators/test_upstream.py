"""scikit-learn's own tests of its MLP, from the installed copy, on our classes with dropout=0."""

import importlib.util
import inspect
from unittest import mock

import pytest
import sklearn.neural_network
import without_dropout

# scikit-learn's tests expect that its warnings are not errors
pytestmark = pytest.mark.filterwarnings("ignore")

EXCLUDED = {
    "test_gradient": "calls the private _loss_grad_lbfgs; ours is tests/engine/test_gradients.py",
    "test_mlp_diverging_loss": "wants a NaN validation score to pass unnoticed, which is on our list of things to mend",
}


def _load():
    """Import the test module again while sklearn.neural_network has our classes."""
    spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    module = importlib.util.module_from_spec(spec)
    ours = {"MLPClassifier": without_dropout.MLPClassifier, "MLPRegressor": without_dropout.MLPRegressor}
    with mock.patch.multiple(sklearn.neural_network, **ours):
        spec.loader.exec_module(module)
    return module


upstream = _load()
TESTS = {name: value for name, value in vars(upstream).items() if name.startswith("test_")}
globals().update({name: test for name, test in TESTS.items() if name not in EXCLUDED})


def test_the_upstream_tests_run_on_our_classes():
    assert upstream.MLPClassifier is without_dropout.MLPClassifier
    assert inspect.getfile(upstream) == inspect.getfile(
        importlib.import_module("sklearn.neural_network.tests.test_mlp")
    )
    assert set(EXCLUDED) <= set(TESTS), "an excluded test is gone upstream"
    assert len(TESTS) - len(EXCLUDED) >= 35

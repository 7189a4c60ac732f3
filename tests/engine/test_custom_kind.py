"""A custom dropout kind: training, sampling, searches, and errors without registration."""

import pickle
from math import sqrt

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.dropout.base import Multiplicative

rng = np.random.RandomState(0)
X = rng.normal(size=(60, 4))
y = X[:, 0] + 0.3 * rng.normal(size=60)


class Uniform(Multiplicative):
    """Multiply by u, uniform around 1, with the variance of Bernoulli dropout."""

    def set_rate(self, rate):
        self.width = sqrt(3 * rate / (1 - rate))

    def sample(self, x, rng):
        return 1 + self.width * (2 * rng.random(x.size, dtype=self.dtype.type) - 1)

    def variance(self, x):
        return x**2 * self.width**2 / 3


@pytest.fixture
def uniform(monkeypatch):
    monkeypatch.setitem(DROPOUTS, "uniform", Uniform)
    return DropoutMLPRegressor(
        hidden_layer_sizes=8,
        dropout=0.3,
        dropout_kind="uniform",
        dropout_schedule="constant",
        max_iter=10,
        random_state=0,
    )


def test_registered_kind_trains_and_samples(uniform):
    model = clone(uniform).fit(X, y)
    bernoulli = clone(uniform).set_params(dropout_kind="bernoulli").fit(X, y)
    assert not np.array_equal(model.coefs_[0], bernoulli.coefs_[0])
    model = pickle.loads(pickle.dumps(model))
    n_samples = 4000
    h = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    variance = 0.3 / 0.7 * h**2 @ model.coefs_[1].ravel() ** 2
    squares = (model.sample_y(X, n_samples) - model.predict(X)[:, np.newaxis]) ** 2
    assert (np.abs(squares.mean(axis=1) - variance) < 5 * squares.std(axis=1) / sqrt(n_samples) + 1e-12).all()


@pytest.mark.parametrize(
    "params",
    [
        {"dropout_kind": ["uniform", "bernoulli"], "hidden_layer_sizes": (8, 8)},
        {"input_dropout": 0.1, "hidden_layer_sizes": (), "dropout": ()},
        {"mask_sharing": "batch", "dtype": "float32"},
        {"batch_norm": "after_activation"},
    ],
    ids=str,
)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_registered_kind_with_other_parameters(uniform, params, container):
    model = uniform.set_params(**params).fit(container(X), y)
    mean, std = model.predict(container(X), return_std=True, n_samples=5)
    assert np.isfinite(mean).all()
    assert (std > 0).all()


def test_registered_kind_in_search(uniform):
    grid = {"dropout_kind": ["bernoulli", "uniform"], "dropout": [0.1, 0.3]}
    serial = GridSearchCV(uniform, grid, cv=2).fit(X, y)
    with joblib.parallel_config(backend="threading"):  # the kind is not registered in other processes
        threads = GridSearchCV(uniform, grid, cv=2, n_jobs=2).fit(X, y)
    scores = serial.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores, threads.cv_results_["mean_test_score"])
    assert len(set(scores)) == 4


@pytest.mark.parametrize("estimator", [DropoutMLPClassifier, DropoutMLPRegressor])
def test_unregistered_kind_raises(estimator, uniform, monkeypatch):
    fitted = estimator(dropout=0.2, dropout_kind="uniform", dropout_schedule="constant", max_iter=3)
    fitted.fit(X, y > 0)
    prediction = fitted.predict(X)
    monkeypatch.delitem(DROPOUTS, "uniform")
    np.testing.assert_array_equal(fitted.predict(X), prediction)  # prediction draws no noise
    with pytest.raises(ValueError, match=r"'dropout_kind' parameter.*among {'bernoulli'.*Got 'uniform'"):
        clone(fitted).fit(X, y > 0)
    with pytest.raises(ValueError, match=r"A name in dropout_kind must be one of \['alpha', .*got 'uniform'"):
        clone(fitted).set_params(dropout_kind=["uniform"]).fit(X, y > 0)
    with pytest.raises(ValueError, match=r"A name in dropout_kind must be one of \['alpha', .*got 'uniform'"):
        fitted.log_predictive_density(X, y > 0)

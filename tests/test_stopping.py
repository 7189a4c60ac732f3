"""When training under noise ends: convergence is judged without the noise."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout._training import Training

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
rng = np.random.RandomState(0)
X = rng.normal(size=(2500, 3))
y = np.sin(X[:, 0]) + X[:, 1] + 0.1 * rng.normal(size=2500)


@pytest.fixture
def judged(monkeypatch):
    """What convergence is judged by, epoch by epoch."""
    losses, noise_free_loss = [], Training._noise_free_loss

    def note(self):
        losses.append(noise_free_loss(self))
        return losses[-1]

    monkeypatch.setattr(Training, "_noise_free_loss", note)
    return losses


@pytest.mark.parametrize("extra", [{}, {"l1_ratio": 0.5}, {"batch_norm": "before_activation"}], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [900, 2500])
def test_the_objective_without_noise_on_at_most_1000_rows_is_judged(judged, n_rows, weighted, extra):
    params = dict(extra)
    objectives, weight = [], np.ones(n_rows)
    if weighted:
        weight = rng.uniform(0.5, 2, size=n_rows) * (np.arange(n_rows) % 2)
    rows = np.flatnonzero(weight)
    if len(rows) > 1000:
        rows = np.random.RandomState(0).choice(rows, 1000, replace=False)

    def note(estimator, X, y):
        loss = np.average((estimator.predict(X) - y) ** 2, weights=weight[rows]) / 2
        l1, W = params.get("l1_ratio", 0), estimator.coefs_
        if params.get("batch_norm"):  # the penalty is on the weights as they are trained
            W = [estimator._unfolded[1][: 3 * 20 + 20]]
        penalty = sum(l1 * np.abs(w).sum() + (1 - l1) / 2 * (w**2).sum() for w in W)
        objectives.append(loss + 0.1 * penalty / (weight.sum() / np.ceil(n_rows / 200)))
        return 0

    params |= {"dropout": 0.3, "dropout_schedule": "constant", "alpha": 0.1, "scoring": note}
    model = DropoutMLPRegressor(hidden_layer_sizes=(20,), max_iter=8, n_iter_no_change=7, **params)
    model.fit(X[:n_rows], y[:n_rows], weight if weighted else None, X_val=X[rows], y_val=y[rows])
    np.testing.assert_allclose(judged, objectives[-8:], rtol=1e-9)
    assert judged[-1] < model.loss_curve_[-1]  # with the noise on
    assert model.best_loss_ == min(model.loss_curve_)


def test_the_weights_judged_are_those_of_the_epoch(judged):
    """Batch normalisation is folded into copies of them."""
    params = {"batch_norm": "before_activation", "dropout": 0.3, "dropout_schedule": "constant", "alpha": 0.0}
    DropoutMLPRegressor(max_iter=4, n_iter_no_change=3, **params).fit(X[:100], y[:100])
    assert len(set(judged)) == 4


def test_partial_fit_after_fit_is_judged_by_its_own_losses():
    model = DropoutMLPRegressor(
        solver="sgd", learning_rate="adaptive", dropout=0.5, dropout_schedule="constant", max_iter=30, random_state=0
    ).fit(X[:200], y[:200])
    for _ in range(30):
        model.partial_fit(X[:200], y[:200])
    assert model.best_loss_ == min(model.loss_curve_)
    assert model._optimizer.learning_rate > 1e-4


def patience_on(losses, tol=1e-4, n_iter_no_change=10):
    """The epochs it takes to stop on a curve of losses."""
    best, n_stalled = np.inf, 0
    for epoch, loss in enumerate(losses, 1):
        n_stalled = n_stalled + 1 if loss > best - tol else 0
        best = min(best, loss)
        if n_stalled > n_iter_no_change:
            return epoch
    return len(losses)


def test_training_does_not_stop_because_of_the_noise():
    data, labels = load_iris(return_X_y=True)
    data = StandardScaler().fit_transform(data)
    params = {"max_iter": 700, "random_state": 0}
    noisy = DropoutMLPClassifier(dropout=0.5, dropout_schedule="constant", **params).fit(data, labels)
    quiet = DropoutMLPClassifier(dropout=0, **params).fit(data, labels)
    assert patience_on(noisy.loss_curve_) < 250
    assert noisy.n_iter_ > 400
    assert quiet.n_iter_ > 400
    assert quiet.n_iter_ == min(patience_on(quiet.loss_curve_), 700)  # as scikit-learn's


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True},
        {"n_iter_no_change": np.inf},
        {"n_iter_no_change": 3},  # there is no epoch left to stop before
        {"dropout": 0},
        {"dropout_schedule": "flat_cos"},
        {"learning_rate": "cosine"},
    ],
    ids=str,
)
def test_where_it_is_not_needed_it_costs_nothing(monkeypatch, params):
    defaults = {"max_iter": 3, "n_iter_no_change": 2, "dropout": 0.3, "dropout_schedule": "constant"}
    model = DropoutMLPRegressor(**defaults | params)

    def fail(self):
        raise AssertionError

    monkeypatch.setattr(Training, "_noise_free_loss", fail)
    model.fit(X[:100], y[:100])
    if "early_stopping" not in params and "learning_rate" not in params:
        model.partial_fit(X[:100], y[:100])
    with pytest.raises(AssertionError):
        DropoutMLPRegressor(**defaults).fit(X[:100], y[:100])

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


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n_rows", "step"), [(900, 1), (2500, 3)])
def test_the_loss_without_noise_on_at_most_1000_rows_is_judged(n_rows, step, weighted):
    objectives, weight = [], rng.uniform(0.5, 2, size=n_rows) if weighted else np.ones(n_rows)

    def note(estimator, X, y):
        loss = np.average((estimator.predict(X) - y) ** 2, weights=weight[::step]) / 2
        batch_weight = weight.sum() / np.ceil(n_rows / 200)
        objectives.append(loss + 0.1 / 2 * sum((W**2).sum() for W in estimator.coefs_) / batch_weight)
        return 0

    model = DropoutMLPRegressor(
        hidden_layer_sizes=(20,), dropout=0.3, dropout_schedule="constant", alpha=0.1, max_iter=8, scoring=note
    )
    rows = slice(n_rows)
    model.fit(X[rows], y[rows], weight if weighted else None, X_val=X[rows][::step], y_val=y[rows][::step])
    assert model.best_loss_ == pytest.approx(min(objectives[-8:]), rel=1e-9)
    assert model.best_loss_ < min(model.loss_curve_)  # these are with the noise on


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
        {"dropout": 0},
        {"dropout_schedule": "flat_cos"},
        {"learning_rate": "cosine"},
    ],
    ids=str,
)
def test_where_it_is_not_needed_it_costs_nothing(monkeypatch, params):
    model = DropoutMLPRegressor(max_iter=3, **{"dropout": 0.3, "dropout_schedule": "constant", **params})

    def fail(self):
        raise AssertionError

    monkeypatch.setattr(Training, "_noise_free_loss", fail)
    model.fit(X[:100], y[:100])
    if "early_stopping" not in params and "learning_rate" not in params:
        model.partial_fit(X[:100], y[:100])
    with pytest.raises(AssertionError):
        DropoutMLPRegressor(max_iter=3, dropout=0.3, dropout_schedule="constant").fit(X[:100], y[:100])

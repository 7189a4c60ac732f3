"""Stopping of noisy training: convergence is judged by noise-free losses."""

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout._fit.stochastic import Training
from skdropout.engine.losses import LOSSES

rng = np.random.RandomState(0)
X = rng.normal(size=(2500, 3))
y = np.sin(X[:, 0]) + X[:, 1] + 0.1 * rng.normal(size=2500)


@pytest.fixture
def noise_free_losses(monkeypatch):
    """Record the noise-free loss of each epoch, by which convergence is judged."""
    losses, noise_free_loss = [], Training._noise_free_loss

    def record(self):
        losses.append(noise_free_loss(self))
        return losses[-1]

    monkeypatch.setattr(Training, "_noise_free_loss", record)
    return losses


@pytest.mark.parametrize("extra", [{}, {"l1_ratio": 0.5}, {"batch_norm": "before_activation"}], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [150, 900, 2500, 12_000])
def test_convergence_uses_the_noise_free_objective_on_a_fifth_of_the_rows(noise_free_losses, n_rows, weighted, extra):
    params, X_, y_ = dict(extra), np.resize(X, (n_rows, 3)), np.resize(y, n_rows)
    objectives, weight = [], np.ones(n_rows)
    if weighted:
        weight = np.random.RandomState(0).uniform(0.5, 2, size=n_rows) * (np.arange(n_rows) % 2)
    rows = np.flatnonzero(weight)
    n_used = min(max(200, len(rows) // 5), 1000)
    if len(rows) > n_used:
        rows = np.random.RandomState(0).choice(rows, n_used, replace=False)

    def record(estimator, X, y):
        loss = np.average((estimator.predict(X) - y) ** 2, weights=weight[rows]) / 2
        l1, W = params.get("l1_ratio", 0), estimator.coefs_
        if params.get("batch_norm"):  # the penalty applies to the unfolded weights
            W = [estimator._unfolded[1][: 3 * 20 + 20]]
        penalty = sum(l1 * np.abs(w).sum() + (1 - l1) / 2 * (w**2).sum() for w in W)
        objectives.append(loss + 0.1 * penalty / (weight.sum() / np.ceil(n_rows / 200)))
        return 0

    params |= {"dropout": 0.3, "dropout_schedule": "constant", "alpha": 0.1, "scoring": record}
    model = DropoutMLPRegressor(hidden_layer_sizes=(20,), max_iter=8, n_iter_no_change=7, **params)
    model.fit(X_, y_, weight if weighted else None, X_val=X_[rows], y_val=y_[rows])
    np.testing.assert_allclose(noise_free_losses, objectives[-8:], rtol=1e-9)
    if n_rows == 150:  # all rows
        assert np.mean(noise_free_losses) < np.mean(model.loss_curve_)  # which includes the noise
    assert model.best_loss_ == min(model.loss_curve_)


def test_noise_free_losses_use_the_weights_of_their_epoch(noise_free_losses):
    """Batch normalization is folded into copies of the weights."""
    params = {"batch_norm": "before_activation", "dropout": 0.3, "dropout_schedule": "constant", "alpha": 0.0}
    DropoutMLPRegressor(max_iter=4, n_iter_no_change=3, **params).fit(X[:100], y[:100])
    assert len(set(noise_free_losses)) == 4


def test_partial_fit_after_fit_judges_convergence_by_its_own_losses():
    model = DropoutMLPRegressor(
        solver="sgd", learning_rate="adaptive", dropout=0.5, dropout_schedule="constant", max_iter=30, random_state=0
    ).fit(X[:200], y[:200])
    for _ in range(30):
        model.partial_fit(X[:200], y[:200])
    assert model.best_loss_ == min(model.loss_curve_)
    assert model._optimizer.learning_rate > 1e-4


def epochs_until_stalled(losses, tol=1e-4, n_iter_no_change=10):
    """Return the number of epochs until a loss curve has stopped improving."""
    best, n_stalled = np.inf, 0
    for epoch, loss in enumerate(losses, 1):
        n_stalled = n_stalled + 1 if loss > best - tol else 0
        best = min(best, loss)
        if n_stalled > n_iter_no_change:
            return epoch
    return len(losses)


def test_noise_does_not_stop_training():
    data, labels = load_iris(return_X_y=True)
    data = StandardScaler().fit_transform(data)
    params = {"max_iter": 700, "random_state": 0}
    noisy = DropoutMLPClassifier(dropout=0.5, dropout_schedule="constant", **params).fit(data, labels)
    noise_free = DropoutMLPClassifier(dropout=0, **params).fit(data, labels)
    assert epochs_until_stalled(noisy.loss_curve_) < 250
    assert noisy.n_iter_ > 400
    assert noise_free.n_iter_ > 400
    assert noise_free.n_iter_ == min(epochs_until_stalled(noise_free.loss_curve_), 700)  # as in scikit-learn


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True},
        {"n_iter_no_change": np.inf},
        {"n_iter_no_change": 3},  # too few epochs to stop early
        {"dropout": 0},
        {"dropout_schedule": "flat_cos"},
        {"learning_rate": "cosine"},
    ],
    ids=str,
)
def test_noise_free_loss_is_computed_only_where_it_is_needed(monkeypatch, params):
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


def fluctuating_data(n_rows=400):
    """Return data with noisy labels, which are hard to learn with one mask for all rows."""
    rng = np.random.RandomState(1)
    data = rng.normal(size=(n_rows, 10))
    return data, (data[:, 0] + data[:, 1] * data[:, 2] + rng.normal(size=n_rows) > 0).astype(int)


@pytest.mark.parametrize("batch_norm", [False, "before_activation", "after_activation"])
def test_shared_masks_do_not_stop_training_early(batch_norm):
    """A lucky mask sets a minimum that the next epochs cannot reach."""
    data, labels = fluctuating_data()
    params = {"mask_sharing": "batch", "dropout": 0.5, "batch_norm": batch_norm, "batch_size": 400, "max_iter": 150}
    losses = []
    for seed in range(4):
        clf = DropoutMLPClassifier(random_state=seed, **params).fit(data, labels)
        full = DropoutMLPClassifier(random_state=seed, n_iter_no_change=np.inf, **params).fit(data, labels)
        losses.append([-clf.log_predictive_density(data, labels, dropout=0, n_samples=1).mean()])
        losses[-1].append(-full.log_predictive_density(data, labels, dropout=0, n_samples=1).mean())
    ours, end = np.mean(losses, axis=0)
    assert ours < end + 0.02


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {}) for name in LOSSES]
    + [("log_loss", {"smoothing": 0.2}), ("binary_log_loss", {"smoothing": 0.2}), ("quantile", {"level": 0.8})],
)
def test_best_constant_minimizes_the_loss(name, options, weighted):
    rng = np.random.RandomState(0)
    Y = {"log_loss": rng.choice(3, 200, p=[0.6, 0.3, 0.1]), "binary_log_loss": rng.uniform(size=(200, 3)) < 0.3}
    Y = Y.get(name, rng.exponential(size=(200, 3)))
    weights = rng.uniform(0.1, 2, size=200) if weighted else None
    loss = LOSSES[name].bind(**options)
    best = loss.constant_loss(Y, weights, 3)
    constant = np.asarray(loss.best_constant(Y, weights, 3), dtype=float)
    for step in (1e-3, 0.05):
        for direction in rng.normal(size=(20, len(constant))):
            if name == "log_loss":
                direction -= direction.mean()  # probabilities sum to 1
            other = constant + step * direction
            if name != "gaussian_nll":  # log variances may be negative
                other = np.clip(other, 1e-3, None)
            found = loss.function(np.tile(other, (200, 1)), Y, weights)
            assert found > best - (0.02 * best if name == "huber" else 1e-9)


def test_loss_of_the_best_constant_is_infinite_if_unknown():
    assert LOSSES["squared_error"]._replace(best_constant=None).constant_loss(None, None, 1) == np.inf


def test_patience_starts_when_the_loss_is_below_that_of_a_constant():
    """With raw columns in the thousands, the loss stays above that of a constant for many epochs."""
    data, labels = load_wine(return_X_y=True)
    params = {"random_state": 0, "learning_rate_init": 1e-5, "tol": 1.0, "n_iter_no_change": 3, "max_iter": 40}
    clf = DropoutMLPClassifier(dropout_kind="alpha", activation="selu", input_dropout=0.1, **params)
    with pytest.warns(ConvergenceWarning, match="worse than a constant"):
        clf.fit(data, labels)
    assert clf.n_iter_ == 40
    assert clf.set_params(learning_rate_init=1e-3, max_iter=300, input_dropout=0).fit(data, labels).n_iter_ < 300


WORSE = "worse than a constant: its loss without dropout is .* To fix this, (.*) or raise max_iter"


@pytest.mark.parametrize(
    "params",
    [
        {"dropout": 0},
        {"dropout": 0, "solver": "lbfgs"},
        {"dropout": 0.3, "dropout_kind": "alpha", "activation": "selu", "input_dropout": 0.1},
        {"dropout": 0.2, "early_stopping": True, "learning_rate_init": 1e-5},
        {"dropout": 0.2, "batch_norm": "before_activation", "learning_rate_init": 1e-6, "class_weight": "balanced"},
    ],
    ids=str,
)
def test_fit_that_is_worse_than_a_constant_warns(params):
    data, labels = load_wine(return_X_y=True)
    clf = DropoutMLPClassifier(max_iter=1, random_state=0, **params)
    with pytest.warns(ConvergenceWarning, match=WORSE) as caught:
        clf.fit(data, labels)
    (message,) = [str(w.message) for w in caught if "constant" in str(w.message)]
    assert "scale the inputs (for example with StandardScaler; column 12 reaches 1.68e+03)" in message
    reg = DropoutMLPRegressor(max_iter=1, random_state=0, **{k: v for k, v in params.items() if k != "class_weight"})
    with pytest.warns(ConvergenceWarning, match=WORSE):
        reg.fit(data, np.where(labels, 1.0, -1.0))


@pytest.mark.parametrize("width", [0.01, 1e-4])
@pytest.mark.parametrize(
    "params",
    [{"dropout": 0}, {"dropout": 0.1}, {"dropout": 0.1, "early_stopping": True}, {"dropout": 0, "solver": "lbfgs"}],
    ids=str,
)
def test_fit_to_targets_of_a_narrow_range_warns(params, width):
    """The loss of the best constant is below `tol`, R² is far below 0, and scikit-learn is silent."""
    data, labels = load_iris(return_X_y=True)
    data = StandardScaler().fit_transform(data)
    target = 1 + width * data[:, 0]
    reg = DropoutMLPRegressor(random_state=0, max_iter=30 if "solver" not in params else 5, **params)
    with pytest.warns(ConvergenceWarning, match="To fix this, scale y, whose standard deviation is "):
        reg.fit(data[:, 1:], target)
    assert reg.score(data[:, 1:], target) < 0
    with pytest.warns(ConvergenceWarning, match="worse than a constant"):
        DropoutMLPRegressor(random_state=0, max_iter=1, dropout=0).fit(data, np.column_stack([target, labels * 0.0]))


@pytest.mark.filterwarnings("error:The network predicts the training rows worse than a constant")
@pytest.mark.parametrize("dropout", [0, 0.2])
def test_fit_that_learns_does_not_warn(dropout):
    data, labels = load_iris(return_X_y=True)
    data = StandardScaler().fit_transform(data)
    params = {"dropout": dropout, "learning_rate_init": 0.01, "max_iter": 500, "random_state": 0}
    DropoutMLPClassifier(**params).fit(data, labels)
    DropoutMLPClassifier(**params, alpha=1e4).fit(data, labels)  # close to a constant, but not worse
    DropoutMLPRegressor(**params).fit(data, labels)
    DropoutMLPClassifier(**params).fit(data, np.zeros(150))
    DropoutMLPRegressor(**params).fit(data, np.zeros(150))


@pytest.mark.parametrize("dropout", [0, 0.2])
def test_early_stopping_monitors_the_loss_only_with_dropout(dropout):
    data, labels = load_iris(return_X_y=True)
    data = StandardScaler().fit_transform(data)
    params = {"early_stopping": True, "random_state": 0, "dropout": dropout}
    by_default = DropoutMLPClassifier(**params).fit(data, labels)
    by_loss = DropoutMLPClassifier(**params, scoring="loss").fit(data, labels)
    by_accuracy = DropoutMLPClassifier(**params, scoring="accuracy").fit(data, labels)
    same = by_loss if dropout else by_accuracy
    np.testing.assert_array_equal(by_default.coefs_[0], same.coefs_[0])
    assert by_accuracy.n_iter_ < 40 < 100 < by_loss.n_iter_
    assert by_default.validation_scores_[:10] == by_accuracy.validation_scores_[:10]  # accuracies
    best = np.argmin(by_default.validation_loss_curve_) if dropout else np.argmax(by_default.validation_scores_)
    assert by_default.best_validation_score_ == by_default.validation_scores_[best]


def epochs_until_both_stall(noise_free, noisy, window, tol=1e-4, n_iter_no_change=10):
    """Return the number of epochs until both losses, averaged over a window, have stopped improving."""
    best, n_stalled = [np.inf, np.inf], 0
    for epoch in range(1, len(noisy) + 1):
        means = [np.mean(losses[max(0, epoch - window) : epoch]) for losses in (noise_free, noisy)]
        n_stalled = n_stalled + 1 if all(m > b - tol for m, b in zip(means, best, strict=True)) else 0
        best = [min(m, b) for m, b in zip(means, best, strict=True)]
        if n_stalled > n_iter_no_change:
            return epoch
    return len(noisy)


def test_training_ends_when_the_window_means_of_both_losses_stall(noise_free_losses):
    data, labels = fluctuating_data()
    params = {"mask_sharing": "batch", "dropout": 0.5, "batch_size": 400, "learning_rate_init": 0.02, "alpha": 0.0}
    clf = DropoutMLPClassifier(hidden_layer_sizes=5, max_iter=600, random_state=1, **params).fit(data, labels)
    assert clf.n_iter_ < 600
    assert epochs_until_both_stall(noise_free_losses, clf.loss_curve_, window=10) == clf.n_iter_
    assert epochs_until_both_stall(noise_free_losses, clf.loss_curve_, window=1) < clf.n_iter_


def test_training_continues_while_running_moments_lag(noise_free_losses):
    """With one full batch, the loss at the running moments of batch normalization rises while training learns."""
    data, labels = load_iris(return_X_y=True)
    clf = DropoutMLPClassifier(batch_norm="before_activation", batch_size=150, random_state=0).fit(data, labels)
    assert epochs_until_both_stall(noise_free_losses, noise_free_losses, window=10) < 40
    assert clf.n_iter_ > 100
    assert clf.score(data, labels) > 0.9


@pytest.mark.parametrize("scoring", ["accuracy", "roc_auc_ovr"])
def test_a_score_that_ends_training_while_the_loss_decreases_is_reported(scoring):
    X, y = load_wine(return_X_y=True)
    clf = DropoutMLPClassifier(early_stopping=True, scoring=scoring, random_state=0)
    with pytest.warns(
        ConvergenceWarning, match=rf"scoring='{scoring}' ended training in epoch \d+, but .* set scoring="
    ):
        clf.fit(StandardScaler().fit_transform(X), y)
    recent = clf.validation_loss_curve_[-(clf.n_iter_no_change // 2) :]
    assert min(recent) < min(clf.validation_loss_curve_[: -len(recent)]) - clf.tol


def test_the_loss_of_an_earlier_fit_does_not_hide_that_of_a_warm_start():
    X, y = load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    clf = DropoutMLPClassifier(early_stopping=True, scoring="accuracy", warm_start=True, random_state=0).fit(X, y)
    low = min(clf.validation_loss_curve_)
    with pytest.warns(ConvergenceWarning, match="still decreasing"):
        clf.fit(X, np.where(np.arange(len(y)) % 4, y, (y + 1) % 3))  # a quarter of the labels changes
    assert min(clf.validation_loss_curve_[-clf.n_iter_ :]) > low


@pytest.mark.filterwarnings("error:Early stopping with scoring")
def test_regressors_that_stop_by_a_score_are_silent():
    y_large = 1000 * StandardScaler().fit_transform(y[:300, np.newaxis]).ravel()
    reg = DropoutMLPRegressor(dropout=0.1, early_stopping=True, scoring="r2", dropout_schedule="constant")
    reg.set_params(learning_rate_init=0.01, max_iter=400, random_state=0).fit(X[:300], y_large)
    recent = reg.validation_loss_curve_[-5:]
    assert min(recent) < min(reg.validation_loss_curve_[:-5]) - reg.tol  # but R² improved by less than tol


@pytest.mark.filterwarnings("error:Early stopping with scoring")
@pytest.mark.parametrize("params", [{"dropout": 0.0}, {"scoring": "loss"}, {"scoring": "neg_log_loss"}], ids=str)
def test_stopping_as_scikit_learn_does_and_by_the_loss_is_silent(params):
    X, y = load_wine(return_X_y=True)
    clf = DropoutMLPClassifier(early_stopping=True, learning_rate_init=0.02, random_state=0, **params)
    clf.fit(StandardScaler().fit_transform(X), y)
    assert clf.n_iter_ < clf.max_iter


@pytest.mark.filterwarnings("error:Early stopping with scoring")
def test_stopping_by_a_score_after_the_minimum_of_the_loss_is_silent():
    X, y = load_wine(return_X_y=True)
    X, y = StandardScaler().fit_transform(X), np.where(np.arange(len(y)) % 3, y, 0)  # a third of the labels is wrong
    clf = DropoutMLPClassifier(
        early_stopping=True, scoring="accuracy", learning_rate_init=0.02, n_iter_no_change=40, random_state=0
    ).fit(X, y)
    assert clf.n_iter_ < clf.max_iter

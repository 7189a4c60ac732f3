"""Callbacks: the tasks and copies they receive, those of scikit-learn and ours, and verbose output."""

import copy
import pickle
import re
import warnings
from datetime import timedelta
from decimal import Decimal
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
from helpers import HAVE_CALLBACKS, needs_callbacks
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdropout import Checkpoint, DropoutMLPClassifier, DropoutMLPRegressor, EarlyStopping

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
Small = partial(DropoutMLPClassifier, 8, batch_size=50, max_iter=6, random_state=0)
SmallRegressor = partial(
    DropoutMLPRegressor, hidden_layer_sizes=8, dropout=0.2, dropout_schedule="constant", batch_size=50, max_iter=6
)


class Record:
    """Record every call; ask to stop after `stop_after` epochs."""

    def __init__(self, stop_after=None, wants_copies=True):
        self.stop_after, self.calls, self.fitted = stop_after, [], []
        if not wants_copies:
            self.on_fit_task_end = self._end

    def _record(self, hook, estimator, context, **given):
        self.calls.append((hook, context.task_name, id(estimator), given))

    def setup(self, estimator, context):
        self._record("setup", estimator, context)

    def teardown(self, estimator, context):
        self._record("teardown", estimator, context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self._record("begin", estimator, context, X=X, y=y, metadata=metadata)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self._record("end", estimator, context, X=X, y=y, metadata=metadata)
        if context.task_name == "epoch" and fitted_estimator is not None:
            self.fitted.append(fitted_estimator)
            return len(self.fitted) == self.stop_after

    def _end(self, estimator, context):
        self._record("end", estimator, context)

    @property
    def tasks(self):
        return [(hook, name) for hook, name, *_ in self.calls]


@needs_callbacks
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_every_epoch_is_a_task(solver):
    record = Record()
    clf = Small(solver=solver, dropout=0).set_callbacks(record).fit(X, y)
    epochs = [("begin", "epoch"), ("end", "epoch")] * clf.n_iter_
    assert record.tasks == [("setup", "fit"), ("begin", "fit"), *epochs, ("end", "fit"), ("teardown", "fit")]
    assert len({identity for _, _, identity, _ in record.calls}) == 1, "one object from setup to teardown"


@needs_callbacks
def test_partial_fit_is_one_epoch():
    record = Record()
    clf = Small().set_callbacks(record)
    for _ in range(2):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    assert record.tasks.count(("end", "epoch")) == record.tasks.count(("end", "fit")) == 2


@needs_callbacks
def test_lbfgs_that_converges_ends_every_task():
    record = Record()
    DropoutMLPClassifier(4, dropout=0, solver="lbfgs", random_state=0).set_callbacks(record).fit(X, y)
    assert record.tasks.count(("begin", "epoch")) == record.tasks.count(("end", "epoch"))


@needs_callbacks
def test_callbacks_receive_the_original_data():
    record, frame, weights = Record(), pd.DataFrame(X, columns=list("abcd")), np.ones(150)
    Small().set_callbacks(record).fit(frame, y, weights)
    given = [given for hook, *_, given in record.calls if hook in ("begin", "end")]
    assert all(g["X"] is frame and g["y"] is y and g["metadata"]["sample_weight"] is weights for g in given)


@needs_callbacks
@pytest.mark.parametrize(
    ("make", "params"),
    [
        (Small, {}),
        (Small, {"batch_norm": "after_activation", "solver": "sgd", "dropout_schedule": "annealed"}),
        (SmallRegressor, {"batch_norm": "before_activation", "random_state": 0}),
        (SmallRegressor, {"solver": "lbfgs", "dropout": 0, "random_state": 0}),
    ],
)
def test_copy_of_an_epoch_equals_a_fit_stopped_there(make, params):
    record = Record(stop_after=3)
    model = make(**params)
    stopped = clone(model).set_callbacks(record).fit(X, y)
    assert stopped.n_iter_ == 3
    whole = Record()
    clone(model).set_callbacks(whole).fit(X, y)
    for est in (record.fitted[-1], whole.fitted[2]):  # later epochs do not change the copy
        for name in stopped._fitted_names() - {"_optimizer", "_random_state"}:
            assert pickle.dumps(getattr(est, name)) == pickle.dumps(getattr(copy.deepcopy(stopped), name)), name
        np.testing.assert_array_equal(est.predict(X), stopped.predict(X))
    if isinstance(stopped, DropoutMLPClassifier):
        a, b = (est.predict_uncertainty(X, n_samples=3).proba for est in (record.fitted[-1], stopped))
        np.testing.assert_array_equal(a, b)


@needs_callbacks
def test_callbacks_do_not_change_the_results():
    plain = Small().fit(X, y)
    for record in (Record(), Record(wants_copies=False)):
        with_callbacks = Small().set_callbacks(record).fit(X, y)
        np.testing.assert_array_equal(plain.coefs_[0], with_callbacks.coefs_[0])
        assert plain.loss_curve_ == with_callbacks.loss_curve_


@needs_callbacks
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callback_returning_true_stops_the_fit_without_a_warning(solver):
    record = Record(stop_after=2)
    with warnings.catch_warnings(action="error"):
        clf = Small(solver=solver, dropout=0).set_callbacks(record).fit(X, y)
    assert clf.n_iter_ == record.tasks.count(("end", "epoch")) == 2
    np.testing.assert_array_equal(clf.predict_proba(X), record.fitted[1].predict_proba(X))


@needs_callbacks
def test_copy_estimates_its_noise_variance_on_the_validation_set():
    record = Record(stop_after=3)
    reg = SmallRegressor(random_state=0).set_callbacks(record).fit(X, y, X_val=X[:20], y_val=y[:20] + 3)
    assert record.fitted[-1].noise_variance_ == reg.noise_variance_ > 1


@needs_callbacks
def test_fit_stopped_by_a_callback_restores_the_best_weights():
    record = Record(stop_after=4)
    params = {"early_stopping": True, "learning_rate_init": 1.0, "solver": "sgd", "random_state": 1}
    clf = Small(**params).set_callbacks(record).fit(X, y)
    best = int(np.argmin(clf.validation_loss_curve_))
    assert best < 3, "otherwise the test shows nothing"
    np.testing.assert_array_equal(clf.coefs_[0], record.fitted[best].coefs_[0])


@needs_callbacks
def test_failed_fit_calls_teardown_and_leaves_the_estimator_unchanged():
    record = Record()
    clf = Small(solver="sgd").set_callbacks(record).fit(X, y)
    before = dict(vars(clf))
    with pytest.raises(ValueError, match="non-finite"):
        clf.set_params(learning_rate_init=1e30).fit(X, y)
    assert record.tasks[-1] == ("teardown", "fit")
    assert vars(clf) == {**before, "learning_rate_init": 1e30}
    n_calls = len(record.calls)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.fit(X, y[:-1])
    assert len(record.calls) == n_calls, "bad input is rejected before any callback is called"


@needs_callbacks
def test_callbacks_are_cloned_and_leave_no_attributes_behind():
    record = Record()
    clf = Small().set_callbacks(record)
    assert clone(clf)._skl_callbacks == [record]
    clf.fit(X, y)
    assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & set(vars(clf))
    assert "_skl_callbacks" not in vars(clf.set_callbacks())


@needs_callbacks
def test_scoring_monitor_has_one_row_per_epoch():
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="accuracy")
    frame = pd.DataFrame(X, columns=list("abcd"))  # scorers would warn about copies without column names
    clf = Small().set_callbacks(monitor).fit(frame, y)
    log = monitor.get_logs().data_as_pandas
    assert log.task_name.tolist() == ["fit"] + ["epoch"] * 6
    assert log.accuracy[0] == log.accuracy.iloc[-1] == clf.score(frame, y)
    shorter = Small(max_iter=3).fit(frame, y)
    assert log.accuracy[3] == shorter.score(frame, y)


@needs_callbacks
def test_scoring_monitor_in_a_search():
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="neg_log_loss")
    GridSearchCV(Small().set_callbacks(monitor), {"dropout": [0.1, 0.3]}, cv=2).fit(X, y)
    log = monitor.get_logs().data_as_pandas
    assert (log.task_name == "epoch").sum() == (2 * 2 + 1) * 6
    assert log.neg_log_loss.notna().all()


@needs_callbacks
@pytest.mark.parametrize("depth", [0, 2])
def test_progress_bar_shows_epochs_in_a_search(depth, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    model = make_pipeline(StandardScaler(), Small())  # both support callbacks
    search = GridSearchCV(model, {"dropoutmlpclassifier__dropout": [0.1, 0.3]}, cv=2)
    ended = []

    class Bar(ProgressBar):
        def on_fit_task_end(self, estimator, context):
            ended.append(context.task_name)
            super().on_fit_task_end(estimator, context)

    search.set_callbacks(Bar(max_propagation_depth=depth)).fit(X, y)
    shown = capsys.readouterr().out
    assert "GridSearchCV" in shown
    assert ("DropoutMLPClassifier" in shown) == (depth == 2)
    assert ended.count("epoch") == (5 * 6 if depth == 2 else 0)


@pytest.mark.skipif(HAVE_CALLBACKS, reason="for scikit-learn < 1.9")
def test_set_callbacks_needs_scikit_learn_1_9():
    with pytest.raises(NotImplementedError, match=r"need scikit-learn >= 1\.9"):
        Small().set_callbacks(Record())


# Early stopping


@needs_callbacks
@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_early_stopping_callback_matches_the_parameter(scoring):
    train, val = np.arange(150) % 3 > 0, np.arange(150) % 3 == 0
    params = {"learning_rate_init": 0.05, "max_iter": 100, "n_iter_no_change": 4, "batch_norm": "before_activation"}
    expected = Small(early_stopping=True, scoring=scoring, **params).fit(X[train], y[train], X_val=X[val], y_val=y[val])
    stopping = EarlyStopping(X[val], y[val], scoring=scoring, n_iter_no_change=4)
    clf = Small(**{**params, "n_iter_no_change": np.inf}).set_callbacks(stopping).fit(X[train], y[train])
    assert clf.n_iter_ == expected.n_iter_ < 100
    # With dropout, the loss decides
    scores = expected.validation_scores_ if scoring else np.negative(expected.validation_loss_curve_)
    np.testing.assert_allclose(stopping.scores_, scores, rtol=1e-9)
    assert stopping.best_score_ == max(stopping.scores_) == stopping.scores_[stopping.best_epoch_ - 1]
    assert expected.best_validation_score_ == expected.validation_scores_[stopping.best_epoch_ - 1]
    np.testing.assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))
    np.testing.assert_array_equal(stopping.best_estimator_.predict_proba(X), expected.predict_proba(X))
    assert not {"_skl_callbacks", "_callback_fit_ctx"} & set(vars(stopping.best_estimator_))
    assert stopping.best_epoch_ < clf.n_iter_


@needs_callbacks
def test_early_stopping_callback_restores_the_complete_best_model():
    params = {"batch_norm": "after_activation", "dropout_schedule": "annealed", "learning_rate_init": 0.3}
    stopping, record = EarlyStopping(X, y, n_iter_no_change=1), Record()
    reg = SmallRegressor(max_iter=30, random_state=0, **params).set_callbacks(record, stopping).fit(X, y)
    best, last = record.fitted[stopping.best_epoch_ - 1], record.fitted[-1]
    names = ["coefs_", "intercepts_", "dropout_", "noise_variance_", "_unfolded"]
    for name in [*names, *(f"batch_norm_{of}_" for of in ("scale", "shift", "mean", "var"))]:
        state = [pickle.dumps(getattr(copy.deepcopy(est), name)) for est in (reg, best, last)]
        assert state[0] == state[1] != state[2], name


@needs_callbacks
def test_ctrl_c_while_early_stopping_records_the_first_epoch(monkeypatch):
    def ctrl_c(estimator):
        raise KeyboardInterrupt

    monkeypatch.setattr("skdropout._callbacks.early_stopping.without_callbacks", ctrl_c)
    stopping = EarlyStopping(X, y)
    with pytest.warns(UserWarning, match="interrupted by user"):
        assert Small().set_callbacks(stopping).fit(X, y).n_iter_ == 1
    assert not hasattr(stopping, "best_epoch_")


@needs_callbacks
def test_early_stopping_callback_uses_sample_weight():
    weights = np.where(y == 0, 0.0, 1.0)
    stopping = EarlyStopping(X, y, scoring="accuracy", sample_weight=weights)
    clf = Small().set_callbacks(stopping).fit(X, y)
    assert stopping.best_score_ == clf.score(X, y, weights) != clf.score(X, y)


@needs_callbacks
@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (np.ones(150) * 1j, "`sample_weight`: Complex data not supported"),
        (np.ones(150, "m8[s]"), "`sample_weight` has dtype timedelta64"),
        ([timedelta(1)] * 150, "`sample_weight`: .*timedelta"),
        ([10**400] + [1] * 149, "A number in `sample_weight` is beyond the range of floats"),
        (np.full(150, np.nan), "sample_weight contains NaN"),
        (-np.ones(150), "Negative values in data passed to `sample_weight`"),
        (np.zeros(150), "Sample weights must contain at least one non-zero|Every weight in sample_weight is zero"),
        (np.ones(3), r"sample_weight.shape == \(3,\)"),
    ],
)
@pytest.mark.parametrize("scoring", [None, "accuracy"])
def test_early_stopping_callback_rejects_the_weights_that_fit_rejects(weights, match, scoring):
    with pytest.raises((ValueError, TypeError), match=match):
        Small().fit(X, y, sample_weight=weights)
    with pytest.raises(ValueError, match=f"^X_val, y_val and scoring of EarlyStopping: .*{match}"):
        Small().set_callbacks(EarlyStopping(X, y, scoring=scoring, sample_weight=weights)).fit(X, y)


@needs_callbacks
def test_early_stopping_callback_accepts_the_weights_that_fit_accepts():
    weights = np.arange(150) % 3 + 1.0
    scores = []
    for given in (weights, weights.astype(object), weights.astype(str), [Decimal(int(w)) for w in weights]):
        stopping = EarlyStopping(X, y, sample_weight=given)
        Small(max_iter=3).set_callbacks(stopping).fit(X, y, sample_weight=given)
        scores.append(stopping.scores_)
    assert scores[1:] == scores[:-1]


@needs_callbacks
@pytest.mark.parametrize("backend", ["sequential", "threading"])
def test_early_stopping_callback_separates_the_fits_of_a_search(backend):
    stopping = EarlyStopping(X, y, scoring="neg_log_loss", n_iter_no_change=1)
    model = Small(learning_rate_init=0.1, max_iter=50)
    grid = {"dropout": [0.0, 0.3, 0.6]}
    with joblib.parallel_config(backend=backend):
        search = GridSearchCV(clone(model).set_callbacks(stopping), grid, cv=2, n_jobs=2).fit(X, y)
    alone = EarlyStopping(X, y, scoring="neg_log_loss", n_iter_no_change=1)
    expected = GridSearchCV(clone(model).set_callbacks(alone), grid, cv=2).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
    assert search.best_estimator_.n_iter_ == expected.best_estimator_.n_iter_ < 50
    assert stopping._runs == {}


@needs_callbacks
def test_early_stopping_callback_keeps_the_best_of_another_estimator():
    from sklearn.linear_model import LogisticRegression

    stopping = EarlyStopping(X, y, scoring="neg_log_loss")
    LogisticRegression(max_iter=20).set_callbacks(stopping).fit(X, y)
    assert stopping.best_estimator_.predict_proba(X).shape == (150, 3)


@needs_callbacks
def test_early_stopping_callback_errors():
    with pytest.raises(ValueError, match="n_iter_no_change == 0"):
        EarlyStopping(X, y, n_iter_no_change=0)
    with pytest.raises(ValueError, match="'nonsense'"):
        Small().set_callbacks(EarlyStopping(X, y, scoring="nonsense")).fit(X, y)
    with pytest.raises(ValueError, match=r"^X_val, y_val and scoring of EarlyStopping: X has 2 features, but"):
        Small().set_callbacks(EarlyStopping(X[:, :2], y)).fit(X, y)
    with pytest.raises(ValueError, match=r"became nan, with scoring=<function"):
        Small().set_callbacks(EarlyStopping(X, y, scoring=lambda *_: np.nan)).fit(X, y)


# Checkpoint (more in test_checkpoint.py)


@needs_callbacks
def test_checkpoint_after_early_stopping_has_the_best_weights(tmp_path):
    path, stopping = tmp_path / "mlp.ckpt", EarlyStopping(X, y, n_iter_no_change=2)
    clf = Small(learning_rate_init=1.0, max_iter=50).set_callbacks(stopping, Checkpoint(path)).fit(X, y)
    assert stopping.best_epoch_ < clf.n_iter_
    np.testing.assert_array_equal(Checkpoint.load(path).predict_proba(X), clf.predict_proba(X))


@pytest.mark.slow
@needs_callbacks
def test_callbacks_in_parallel_processes(tmp_path):
    from sklearn.callback import ScoringMonitor

    monitor, stopping = ScoringMonitor(scoring="accuracy"), EarlyStopping(X, y, n_iter_no_change=1)
    model = Small(max_iter=40, learning_rate_init=0.1)
    model.set_callbacks(monitor, stopping, Checkpoint(tmp_path))
    with joblib.parallel_config(backend="loky"):
        search = GridSearchCV(model, {"dropout": [0.1, 0.3]}, cv=3, n_jobs=2).fit(X, y)
    rows = monitor.get_logs().data
    fits = {row["parent_task_id_path"] for row in rows if row["task_name"] == "epoch"}
    assert len(list(tmp_path.iterdir())) == len(fits) == 7
    assert sum(row["task_name"] == "epoch" for row in rows) < 7 * 40
    assert stopping.best_epoch_ <= search.best_estimator_.n_iter_ < 40


@needs_callbacks
@pytest.mark.parametrize("make", [lambda: EarlyStopping(X, y), lambda: Checkpoint("mlp.joblib")])
@pytest.mark.parametrize(
    "outer", [lambda mlp: make_pipeline(StandardScaler(), mlp), lambda mlp: GridSearchCV(mlp, {}, cv=2)]
)
def test_callbacks_set_on_a_meta_estimator_warn(make, outer):
    with pytest.warns(UserWarning, match=rf"^{type(make()).__name__} has no effect on \w+, .*on the network inside"):
        outer(Small()).set_callbacks(make()).fit(X, y)


# verbose


@pytest.mark.parametrize(
    ("model", "pattern"),
    [
        (Small(), r"loss \d\.\d{5}  learning rate 0\.001  \d+\.\d\d s"),
        (
            Small(early_stopping=True, dropout_schedule="annealed", n_iter_no_change=9),
            r"loss \S+  validation loss \S+  validation score [01]\.\d{5}  learning rate 0\.001  dropout \S+  \S+ s",
        ),
        (Small(early_stopping=True, scoring="loss"), r"loss .*  validation loss \S+  learning rate 0\.001  \S+ s"),
        (Small(solver="sgd", learning_rate="cosine"), r"loss \S+  learning rate \S+  \S+ s"),
        (Small(solver="lbfgs", dropout=0), r"loss \d\.\d{5}  \d+\.\d\d s"),
    ],
    ids=["plain", "validation", "loss", "cosine", "lbfgs"],
)
def test_verbose_prints_one_line_per_epoch(model, pattern, capsys):
    model = clone(model).set_params(verbose=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_
    for i, line in enumerate(lines):
        assert re.fullmatch(rf"Iteration {i + 1}/6  {pattern}", line), line


def test_verbose_prints_the_current_rates(capsys):
    model = Small(solver="sgd", learning_rate="cosine", learning_rate_init=0.1, dropout_schedule="annealed", verbose=1)
    curve = model.fit(X, y).dropout_curve_
    lines = capsys.readouterr().out.splitlines()
    shown = [re.search(r"learning rate (\S+)  dropout (\S+)", line).groups() for line in lines]
    assert [f"{max(rates):.3g}" for rates in curve] == [dropout for _, dropout in shown]
    assert float(shown[-1][0]) < 1e-3 < 0.09 < float(shown[0][0])


def test_verbose_aligns_the_epoch_numbers(capsys):
    images, digits = load_digits(return_X_y=True)
    DropoutMLPClassifier(4, max_iter=10, verbose=1, random_state=0).fit(images[:100] / 16, digits[:100])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Iteration  1/10  loss ")
    assert lines[9].startswith("Iteration 10/10  loss ")

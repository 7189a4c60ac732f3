"""Training without the estimator: from a plan to a history."""

import copy
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from helpers import classifier, regressor

from skdropout._callbacks.tasks import Tasks
from skdropout._fit.history import History
from skdropout._fit.lbfgs import LBFGS
from skdropout._fit.plan import SavedFit
from skdropout._fit.prepare import prepare
from skdropout._fit.stochastic import Training

rng = np.random.RandomState(0)
X = rng.normal(size=(60, 4))
y = X[:, 0] + X[:, 1] ** 2
LABELS = np.array(["a", "b"])[(y > 1).astype(int)]


class RecordingTasks(Tasks):
    """Record the epochs that a run reports; end it after `stop_after` epochs."""

    def __init__(self, stop_after=np.inf):
        super().__init__()
        self.n_begun, self.losses, self.stop_after = 0, [], stop_after

    def begin_epoch(self):
        self.n_begun += 1

    def end_epoch(self, training):
        self.losses.append(training.history.loss_)
        self.stopped = len(self.losses) >= self.stop_after
        return self.stopped


def raise_error(self, *args):
    raise AssertionError("the run used the estimator")


def plan_without_estimator(estimator, *args, **kwargs):
    """Prepare a fit, and make every later use of the estimator raise an error."""
    plan = prepare(estimator, *args, **kwargs)
    used = type("Used", (type(estimator),), {"__getattribute__": raise_error, "__setattr__": raise_error})
    object.__setattr__(estimator, "__class__", used)
    return plan


SETTINGS = {
    "dropout": {},
    "schedule": {"dropout_schedule": "annealed", "learning_rate": "onecycle", "warmup_fraction": 0.2},
    "batch norm, shared masks": {"batch_norm": "before_activation", "mask_sharing": "batch"},
    "sgd": {"solver": "sgd", "learning_rate": "adaptive", "clip_norm": 1.0, "max_norm": 1.0},
    "no dropout": {"dropout": 0},
    "lbfgs": {"solver": "lbfgs", "dropout": 0},
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("make", [classifier, regressor])
def test_run_needs_only_the_plan(make, name):
    targets = LABELS if make is classifier else y
    fitted = make(**SETTINGS[name]).fit(X, targets)
    plan = plan_without_estimator(make(**SETTINGS[name]), X, targets)
    training = LBFGS(plan) if name == "lbfgs" else Training(plan)
    training.run(Tasks())
    coefs, intercepts = plan.model.fold(plan.model.unscaled_params())
    for trained, expected in zip([*coefs, *intercepts], [*fitted.coefs_, *fitted.intercepts_], strict=True):
        np.testing.assert_array_equal(trained, expected)
    for attribute, value in training.history.published().items():
        assert value == getattr(fitted, attribute), attribute


def test_plan_is_frozen():
    plan = prepare(classifier(), X, LABELS)
    with pytest.raises(FrozenInstanceError):
        plan.held_out = plan.rows


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_tasks_are_notified_of_each_epoch_and_can_end_the_run(solver):
    def run(tasks):
        plan = prepare(classifier(solver=solver, dropout=0, max_iter=5), X, LABELS)
        training = LBFGS(plan) if solver == "lbfgs" else Training(plan)
        training.run(tasks)
        return training.history

    whole, stopped = RecordingTasks(), RecordingTasks(stop_after=3)
    run(whole)
    history = run(stopped)
    assert history.n_iter_ == stopped.n_begun == 3
    assert stopped.losses == whole.losses[:3]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("best_epoch", ["first", "last"])
def test_run_resumes_exactly_from_its_state(best_epoch):
    """A second run continues from a copy of the state in the middle of the first one."""
    saved = {}

    class SaveState(RecordingTasks):
        def end_epoch(self, training):
            if training.history.n_iter_ == 2:
                saved["state"] = copy.deepcopy(training.state())
                saved["fitted"] = copy.deepcopy(training.history.published())
            return super().end_epoch(training)

    params = {"batch_norm": "after_activation", "dropout_schedule": "annealed", "max_iter": 5, "batch_size": 10}

    def plan():
        return prepare(classifier(early_stopping=True, **params), X, LABELS)

    def evaluate(history):
        return 0.0, float(history.n_iter_ if best_epoch == "first" else -history.n_iter_)

    first = Training(plan(), evaluate)
    first.run(SaveState())
    resumed = plan()
    object.__setattr__(resumed, "resume_from", SavedFit(saved["fitted"], saved["state"], "nowhere"))
    second = Training(resumed, evaluate)
    second.run(RecordingTasks())
    np.testing.assert_array_equal(second.model.params.vector, first.model.params.vector)
    for moments, expected in zip(second.model.moments, first.model.moments, strict=True):
        for moment, value in zip(moments, expected, strict=True):
            np.testing.assert_array_equal(moment, value)
    assert second.history.published() == first.history.published()


# History


def history(**params):
    return History(prepare(classifier(**params), X, LABELS))


def test_history_starts_empty_and_continues_the_curves_of_a_warm_start():
    assert history().loss_curve_ == []
    clf = classifier(warm_start=True, max_iter=2, n_iter_no_change=2).fit(X, LABELS)
    curve = clf.loss_curve_
    continued = History(prepare(clf, X, LABELS))
    assert continued.loss_curve_ == curve
    assert continued.loss_curve_ is not curve
    assert continued._no_improvement_count == 0


def test_patience_counts_epochs_without_improvement():
    record = history(dropout=0, tol=0.1)
    for loss, count in [(1.0, 0), (0.95, 1), (0.92, 2), (0.7, 0), (0.8, 1)]:
        record.add_epoch(loss)
        assert not record.update_patience()  # the last weights are kept
        assert record._no_improvement_count == count
    assert record.best_loss_ == 0.7
    assert record.loss_curve_ == [1.0, 0.95, 0.92, 0.7, 0.8]


def test_early_stopping_improves_only_on_a_better_score():
    record = history(early_stopping=True, dropout=0, tol=0.1)
    record.start_validation(-np.inf, np.inf)
    for score, improved, count in [(0.5, True, 0), (0.55, True, 1), (0.4, False, 2), (0.9, True, 0)]:
        record.add_epoch(1.0)
        record.add_validation(score, 2.0)
        assert record.update_patience() is improved
        assert record._no_improvement_count == count
    assert record.best_validation_score_ == 0.9
    assert record.validation_scores_ == [0.5, 0.55, 0.4, 0.9]


def test_patience_with_dropout_needs_both_mean_losses_to_stall():
    record = History(prepare(classifier(n_iter_no_change=1, tol=0.0), X, LABELS), noise_free=True)
    for loss, noise_free_loss, count in [(1.0, 1.0, 0), (1.1, 0.9, 0), (0.9, 1.0, 0), (1.2, 1.2, 1)]:
        record.add_epoch(loss)
        record.update_patience(noise_free_loss)
        assert record._no_improvement_count == count
    record.add_epoch(2.0)
    record.update_patience(2.0, meaningful=False)  # worse than a constant: patience does not run
    assert record._no_improvement_count == 0


def test_verbose_line():
    record = history(max_iter=200, early_stopping=True, scoring="accuracy")
    record.start_validation(-np.inf, np.inf)
    record.n_iter_ = 7
    record.add_epoch(0.5)
    assert record.epoch_line({"learning rate": 0.001}, 1.234) == (
        "Iteration   7/200  loss 0.50000  learning rate 0.001  1.23 s"
    )
    record.add_validation(0.75, 0.25)
    assert "validation loss 0.25000  validation score 0.75000" in record.epoch_line({}, 0)


@pytest.mark.parametrize(
    ("params", "rate", "line"),
    [
        ({}, None, "Training loss did not improve more than tol=0.000100 for 10 epochs. Stopping."),
        ({"early_stopping": True, "scoring": "accuracy"}, 0.5, "Validation score did not improve"),
        ({"early_stopping": True, "scoring": "loss"}, 0.5, "Validation loss did not improve"),
    ],
)
def test_verbose_line_at_a_plateau(params, rate, line):
    printed = history(**params).plateau_line(rate)
    assert printed.startswith(line)
    assert printed.endswith("Stopping." if rate is None else "Setting learning rate to 0.500000")

"""Resuming interrupted fits, and checkpoint files that are rejected."""

import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers import needs_callbacks
from resumable import FITS, digits, fitted_state, images, make, patients, progression
from scipy import sparse
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skdropout import (
    Checkpoint,
    DropoutMLPClassifier,
    DropoutMLPRegressor,
    EarlyStopping,
    log_predictive_density_scorer,
)
from skdropout._callbacks.tasks import is_whole_fit

pytestmark = needs_callbacks


class PowerFailure(Exception):
    pass


class Other(DropoutMLPClassifier):
    pass


class FailAfter:
    """Fail at the end of the n-th epoch that it sees."""

    def __init__(self, n_epochs):
        self.n_left = n_epochs

    def setup(self, estimator, context):
        pass

    on_fit_task_begin = teardown = setup

    def on_fit_task_end(self, estimator, context):
        self.n_left -= not is_whole_fit(context)
        if not self.n_left:
            raise PowerFailure


def fit_with_failures(path, name, after, every=1, **replaced):
    """Fit, fail after each number of epochs in `after`, resume each time, and return the finished estimator."""
    for n_epochs in after:
        np.random.seed(7 if n_epochs == after[0] else 8)  # each process has its own global stream
        estimator, X, y, kwargs = make(name)
        estimator.set_params(**replaced).set_callbacks(Checkpoint(path, every=every), FailAfter(n_epochs))
        with pytest.raises(PowerFailure):
            estimator.fit(X, y, **kwargs)
        assert not estimator._fitted_names()
    estimator, X, y, kwargs = make(name)
    return estimator.set_params(**replaced).set_callbacks(Checkpoint(path, every=every)).fit(X, y, **kwargs)


@pytest.mark.parametrize("name", FITS)
def test_resumed_fit_equals_an_uninterrupted_one(tmp_path, name):
    np.random.seed(7)
    whole, X, y, kwargs = make(name)
    expected = fitted_state(whole.fit(X, y, **kwargs))
    resumed = fit_with_failures(tmp_path / "mlp.ckpt", name, after=[3, 4])
    if "None" in name:  # the global stream, which differs between processes
        expected.pop("random_state")
    state = fitted_state(resumed)
    assert {key: state[key] for key in expected} == expected
    with warnings.catch_warnings(action="error"):  # a finished fit is not repeated
        warnings.filterwarnings("ignore", "This fit has finished before")  # without a seed
        again, *_ = make(name)
        again.set_callbacks(Checkpoint(tmp_path / "mlp.ckpt"), FailAfter(1)).fit(X, y, **kwargs)
    state = fitted_state(again)
    assert {key: state[key] for key in expected} == expected
    loaded = fitted_state(Checkpoint.load(tmp_path / "mlp.ckpt"))
    assert {key: loaded[key] for key in expected} == expected


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("order", [1, -1])
def test_early_stopping_callback_is_resumed(tmp_path, order, every):
    def fit(*failures):
        stopping = EarlyStopping(images[:100], digits[:100], scoring="neg_log_loss", n_iter_no_change=2)
        callbacks = [stopping, Checkpoint(tmp_path / f"{order}.ckpt", every=every)][::order]
        mlp = DropoutMLPClassifier(12, max_iter=40, learning_rate_init=0.1, random_state=0)
        return mlp.set_callbacks(*callbacks, *failures).fit(images, digits), stopping

    expected, stopping = fit()
    n_epochs = expected.n_iter_
    assert stopping.best_epoch_ < n_epochs < 40
    for cut in {1, stopping.best_epoch_, n_epochs - 1, n_epochs}:
        (tmp_path / f"{order}.ckpt").unlink()
        with pytest.raises(PowerFailure):
            fit(FailAfter(cut))
        mlp, again = fit()
        assert fitted_state(mlp) == fitted_state(expected)
        assert again.scores_ == stopping.scores_
        assert fitted_state(again.best_estimator_) == fitted_state(stopping.best_estimator_)


@pytest.mark.parametrize("name", ["defaults", "lbfgs"])
def test_epoch_numbers_continue_after_resuming(tmp_path, name):
    class StopAfterFifth(FailAfter):
        def on_fit_task_end(self, estimator, context):
            return not is_whole_fit(context) and context.task_id == 4

    def fit(*callbacks):
        estimator, X, y, _ = make(name)
        return estimator.set_callbacks(*callbacks).fit(X, y)

    with pytest.raises(PowerFailure):
        fit(Checkpoint(tmp_path / "mlp.ckpt"), FailAfter(3))
    resumed = fit(Checkpoint(tmp_path / "mlp.ckpt"), StopAfterFifth(0))
    assert resumed.n_iter_ == 5
    assert fitted_state(resumed) == fitted_state(fit(StopAfterFifth(0)))


def test_warm_start_resumes_with_its_initial_weights(tmp_path):
    def first():
        return DropoutMLPClassifier(12, max_iter=5, warm_start=True, random_state=0).fit(images, digits)

    expected = fitted_state(first().fit(images, digits))
    with pytest.raises(PowerFailure):
        first().set_callbacks(Checkpoint(tmp_path), FailAfter(2)).fit(images, digits)
    assert fitted_state(first().set_callbacks(Checkpoint(tmp_path)).fit(images, digits)) == expected
    (path,) = tmp_path.iterdir()
    with pytest.raises(ValueError, match="another fit, which differs in the network that it continues"):
        DropoutMLPClassifier(12, max_iter=5, warm_start=True, random_state=0).set_callbacks(Checkpoint(path)).fit(
            images, digits
        )


def test_ctrl_c_keeps_the_last_complete_epoch(tmp_path):
    def fit(*callbacks):
        mlp = DropoutMLPClassifier(12, max_iter=8, random_state=0)
        return mlp.set_callbacks(Checkpoint(tmp_path / "mlp.ckpt"), *callbacks).fit(images, digits)

    class CtrlC(FailAfter):
        def on_fit_task_begin(self, estimator, context):
            self.n_left -= not is_whole_fit(context)
            if not self.n_left:
                raise KeyboardInterrupt

        def on_fit_task_end(self, estimator, context):
            pass

    with pytest.warns(UserWarning, match="interrupted by user"):
        assert fit(CtrlC(4)).n_iter_ == 3
    assert Checkpoint.load(tmp_path / "mlp.ckpt").n_iter_ == 3
    assert fitted_state(fit()) == fitted_state(DropoutMLPClassifier(12, max_iter=8, random_state=0).fit(images, digits))


def test_ctrl_c_between_the_end_of_an_epoch_and_the_write(tmp_path):
    class CtrlC(FailAfter):
        def on_fit_task_end(self, estimator, context):
            self.n_left -= not is_whole_fit(context)
            if not self.n_left:
                self.n_left = -1
                raise KeyboardInterrupt

    def fit(*callbacks):
        estimator = mlp(early_stopping=True, max_iter=8, n_iter_no_change=8, scoring="loss")
        return estimator.set_callbacks(*callbacks, Checkpoint(tmp_path / "mlp.ckpt")).fit(images, digits)

    with pytest.warns(UserWarning, match="interrupted by user"):
        fit(CtrlC(4))
    assert Checkpoint.load(tmp_path / "mlp.ckpt").n_iter_ == 3
    expected = fitted_state(fit())
    (tmp_path / "mlp.ckpt").unlink()
    assert fitted_state(fit()) == expected


def test_lbfgs_resumes_without_repeating_evaluations(tmp_path, monkeypatch):
    from skdropout.engine.backprop import Backprop

    n_calls, loss_and_grad = 0, Backprop.loss_and_grad

    def count(self, *args):
        nonlocal n_calls
        n_calls += 1
        return loss_and_grad(self, *args)

    monkeypatch.setattr(Backprop, "loss_and_grad", count)
    estimator, X, y, _ = make("lbfgs")
    estimator.fit(X, y)
    whole, n_calls = n_calls, 0
    fit_with_failures(tmp_path / "mlp.ckpt", "lbfgs", after=[10, 10])
    assert whole <= n_calls <= whole + 4  # interrupted line searches are repeated


def test_ctrl_c_while_lbfgs_is_resuming(tmp_path, monkeypatch):
    from skdropout._fit import lbfgs as module

    def four_iterations(*args, after_iteration, **kwargs):
        seen = []

        def after(intermediate_result):
            after_iteration(intermediate_result)
            seen.append(intermediate_result)
            if len(seen) == 4:
                raise KeyboardInterrupt

        return lbfgs(*args, after_iteration=after, **kwargs)

    def fit(*callbacks):
        estimator, X, y, _ = make("lbfgs")
        return estimator.set_callbacks(*callbacks).fit(X, y)

    with pytest.raises(PowerFailure):
        fit(Checkpoint(tmp_path), FailAfter(9))
    lbfgs = module.lbfgs
    monkeypatch.setattr(module, "lbfgs", four_iterations)
    with pytest.warns(UserWarning, match="interrupted by user"):
        interrupted = fit(Checkpoint(tmp_path))
    with pytest.warns(UserWarning, match="interrupted by user"):
        expected = fit()
    assert fitted_state(interrupted) == fitted_state(expected)


def test_lbfgs_rejects_a_checkpoint_of_numerically_different_results(tmp_path, monkeypatch):
    with pytest.raises(PowerFailure):
        make("lbfgs")[0].set_callbacks(Checkpoint(tmp_path / "a.ckpt"), FailAfter(5)).fit(patients, progression)
    from skdropout._fit import prepare

    def other_start(params, *args):
        _initialize(params, *args)
        params.vector *= 1 + 1e-15

    _initialize = prepare.initialize
    monkeypatch.setattr(prepare, "initialize", other_start)
    with pytest.raises(ValueError, match="results of this machine differ"):
        make("lbfgs")[0].set_callbacks(Checkpoint(tmp_path / "a.ckpt")).fit(patients, progression)


# Writing


def test_checkpoint_is_written_every_n_epochs_and_at_the_end(tmp_path):
    path, seen = tmp_path / "mlp.ckpt", {}

    class Inspect(FailAfter):
        def on_fit_task_end(self, estimator, context):
            if not is_whole_fit(context):
                seen[context.task_id + 1] = Checkpoint.load(path).n_iter_ if path.exists() else None

    clf = mlp().set_callbacks(Checkpoint(path, every=4), Inspect(0)).fit(images, digits)
    assert seen == {1: None, 2: None, 3: None, 4: 4, 5: 4, 6: 4}
    saved = Checkpoint.load(path)
    assert saved.n_iter_ == 6
    np.testing.assert_array_equal(saved.predict_proba(images), clf.predict_proba(images))
    assert not hasattr(saved, "_skl_callbacks")
    assert [file.name for file in tmp_path.iterdir()] == ["mlp.ckpt"]


def test_checkpoint_in_a_pipeline_is_written_to_its_path(tmp_path):
    checkpoint = Checkpoint(tmp_path / "mlp.ckpt")
    model = make_pipeline(MinMaxScaler(), make_pipeline(MinMaxScaler(), mlp().set_callbacks(checkpoint)))
    model.fit(images, digits)
    assert [file.name for file in tmp_path.iterdir()] == ["mlp.ckpt"]
    assert fitted_state(Checkpoint.load(checkpoint.path)) == fitted_state(model[-1][-1])


def test_failed_write_keeps_the_previous_checkpoint(path, monkeypatch):
    before, fsync = path.read_bytes(), os.fsync

    def full_disk(file):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    estimator = mlp().set_callbacks(Checkpoint(path))
    with pytest.raises(OSError, match="No space"):
        estimator.fit(images, digits)
    assert not estimator._fitted_names()
    assert [file.name for file in path.parent.iterdir()] == ["mlp.ckpt"]
    assert path.read_bytes() == before
    monkeypatch.setattr(os, "fsync", fsync)
    assert fitted_state(estimator.fit(images, digits)) == fitted_state(mlp().fit(images, digits))


def test_checkpoint_is_replaced_atomically(path, monkeypatch):
    before = path.read_bytes()

    def power_failure(part, destination):
        assert Path(part).stat().st_size > 1000  # already complete
        raise PowerFailure

    monkeypatch.setattr(os, "replace", power_failure)
    with pytest.raises(PowerFailure):
        mlp().set_callbacks(Checkpoint(path)).fit(images, digits)
    assert path.read_bytes() == before


def test_checkpoint_argument_errors(tmp_path):
    with pytest.raises(ValueError, match="every == 0"):
        Checkpoint("mlp.ckpt", every=0)
    with pytest.raises(TypeError, match="path must be an instance of"):
        Checkpoint(None)
    for path in (tmp_path / "nowhere" / "mlp.ckpt", f"{tmp_path}/nowhere/"):
        with pytest.raises(FileNotFoundError, match=r"the folder '.*nowhere' does not exist, create it first"):
            mlp().set_callbacks(Checkpoint(path)).fit(images, digits)


# Rejected files, and files that match


@pytest.fixture
def path(tmp_path):
    """Return the path of the checkpoint of an interrupted fit."""
    interrupt_fit(tmp_path / "mlp.ckpt")
    return tmp_path / "mlp.ckpt"


def mlp(**params):
    return DropoutMLPClassifier(**{"hidden_layer_sizes": 12, "max_iter": 6, "random_state": 0} | params)


def interrupt_fit(path):
    with pytest.raises(PowerFailure):
        mlp().set_callbacks(Checkpoint(path), FailAfter(3)).fit(images, digits)


@pytest.mark.parametrize(
    ("params", "fit_arguments", "text"),
    [
        ({"dropout": 0.5}, {}, r"differs in dropout \(0\.2 there, 0\.5 here\)"),
        (
            {"alpha": 0.1, "random_state": 1},
            {},
            r"differs in alpha \(0\.0001 there, 0\.1 here\), random_state \(0 there, 1 ",
        ),
        ({"dtype": np.float32}, {}, r"differs in dtype \(None there"),
        ({}, {"X": images + 0.01}, r"differs in X\. Delete it to start from scratch, or pass Checkpoint another path"),
        ({}, {"X": images[::-1]}, r"differs in X\. "),
        ({}, {"y": digits[::-1]}, r"differs in y\. "),
        ({}, {"sample_weight": np.ones(300)}, r"differs in sample_weight\. "),
        ({}, {"X_val": images, "y_val": digits}, r"differs in X_val, y_val, sample_weight_val\. "),
    ],
)
def test_checkpoint_of_another_fit_is_rejected(path, params, fit_arguments, text):
    before = path.read_bytes()
    estimator = mlp(**params).set_callbacks(Checkpoint(path))
    with pytest.raises(ValueError, match=rf"mlp\.ckpt' is the checkpoint of another fit, which {text}"):
        estimator.fit(**{"X": images, "y": digits} | fit_arguments)
    assert not estimator._fitted_names()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("params", "fit_arguments"),
    [
        ({"verbose": True, "hidden_layer_sizes": np.int64(12), "alpha": np.float64(1e-4)}, {}),
        ({"max_iter": np.int32(6), "dropout": np.array(0.2)}, {"X": np.asfortranarray(images)}),
        ({}, {"X": images.tolist(), "y": digits.tolist()}),
    ],
)
def test_equivalent_parameters_and_data_match(path, params, fit_arguments):
    before = mlp().fit(images, digits)
    after = mlp(**params).set_callbacks(Checkpoint(path), FailAfter(5))
    after.fit(**{"X": images, "y": digits} | fit_arguments)
    assert fitted_state(before) == fitted_state(after)  # FailAfter saw 4 epochs: the third again and three more


@pytest.mark.parametrize("dtype", [np.float32, np.dtype("float32"), "f4", np.dtype(">f4")])
def test_equivalent_dtypes_match(tmp_path, dtype):
    before = mlp(dtype="float32").set_callbacks(Checkpoint(tmp_path / "a.ckpt")).fit(images, digits)
    after = mlp(dtype=dtype).set_callbacks(Checkpoint(tmp_path / "a.ckpt"), FailAfter(1)).fit(images, digits)
    assert fitted_state(before) == fitted_state(after)


def test_class_weights_are_compared_by_value(tmp_path):
    def fit(class_weight):
        return mlp(class_weight=class_weight).set_callbacks(Checkpoint(tmp_path / "mlp.ckpt")).fit(images, digits)

    assert fitted_state(fit(dict.fromkeys(range(10), 1))) == fitted_state(fit(dict.fromkeys(np.arange(10), 1.0)))
    with pytest.raises(ValueError, match=r"differs in class_weight \(.* there, {0: 2, .* here\), sample_weight\. "):
        fit(dict.fromkeys(range(10), 2))


def test_early_stopping_settings_are_part_of_the_fingerprint(tmp_path):
    def fit(n_iter_no_change, X_val=images):
        callbacks = EarlyStopping(X_val, digits, n_iter_no_change=n_iter_no_change), Checkpoint(tmp_path / "a.ckpt")
        return mlp().set_callbacks(*callbacks).fit(images, digits)

    fit(3), fit(3, images.copy())
    for args in (4,), (3, images + 1):
        with pytest.raises(ValueError, match="differs in the callback EarlyStopping"):
            fit(*args)
    with pytest.raises(ValueError, match="differs in the callback EarlyStopping"):
        mlp().set_callbacks(Checkpoint(tmp_path / "a.ckpt")).fit(images, digits)


def test_fingerprint_covers_each_early_stopping_but_not_scipy_caches(tmp_path):
    rows = sparse.csr_array(images[:100])

    def fit(n_iter_no_change, *callbacks):
        first = EarlyStopping(rows, digits[:100], n_iter_no_change=n_iter_no_change)
        second = EarlyStopping(rows, digits[:100], scoring=log_predictive_density_scorer)
        return mlp().set_callbacks(first, second, Checkpoint(tmp_path / "a.ckpt"), *callbacks).fit(images, digits)

    with pytest.raises(PowerFailure):
        fit(3, FailAfter(2))  # by now SciPy has cached on `rows` that their format is canonical
    with pytest.raises(ValueError, match="differs in the callback EarlyStopping"):
        fit(2)
    fit(3)


def test_checkpoint_of_another_class_is_rejected(path):
    with pytest.raises(ValueError, match=r"which differs in class\. "):
        Other(12, max_iter=6, random_state=0).set_callbacks(Checkpoint(path)).fit(images, digits)
    with pytest.raises(ValueError, match=r"differs in class, dropout .*, loss, "):
        DropoutMLPRegressor(random_state=0).set_callbacks(Checkpoint(path)).fit(images, digits)


def test_column_names_come_from_the_current_data(tmp_path):
    pandas = pytest.importorskip("pandas")
    mlp().set_callbacks(Checkpoint(tmp_path)).fit(pandas.DataFrame(images).add_prefix("pixel "), digits)
    assert not hasattr(mlp().set_callbacks(Checkpoint(tmp_path)).fit(images, digits), "feature_names_in_")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda data: b"", "is not a checkpoint of this release of skdropout: it begins with b''"),
        (lambda data: data[:100], "is damaged: its checksum is wrong"),
        (lambda data: data[:-1], "is damaged"),
        (lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:], "is damaged"),
        (lambda data: data.replace(b"checkpoint 2", b"checkpoint 3", 1), "is not a checkpoint of this release"),
        (lambda data: b"PK" + data, "is not a checkpoint"),
    ],
)
def test_damaged_file_is_rejected(path, damage, text):
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"mlp\.ckpt' {text}.*Delete it to start from scratch"):
        mlp().set_callbacks(Checkpoint(path)).fit(images, digits)
    with pytest.raises(ValueError, match=rf"mlp\.ckpt' {text}"):
        Checkpoint.load(path)


def test_concurrent_fits_cannot_write_to_the_same_file(tmp_path):
    class Rival(FailAfter):
        def on_fit_task_end(self, estimator, context):
            if not is_whole_fit(context):
                interrupt_fit(tmp_path / "mlp.ckpt")

    with pytest.raises(ValueError, match=r"mlp\.ckpt' is the checkpoint of another fit\. Delete it"):
        mlp(alpha=1).set_callbacks(Rival(1), Checkpoint(tmp_path / "mlp.ckpt")).fit(images, digits)
    assert Checkpoint.load(tmp_path / "mlp.ckpt").alpha == 1e-4


def test_search_resumes_from_a_folder_without_repeating_fits(tmp_path):
    def search(*callbacks):
        model = make_pipeline(MinMaxScaler(), mlp().set_callbacks(Checkpoint(tmp_path), *callbacks))
        return GridSearchCV(model, {"dropoutmlpclassifier__dropout": [0.1, 0.3]}, cv=2, error_score="raise")

    with pytest.raises(PowerFailure):
        search(FailAfter(15)).fit(images, digits)
    assert len(list(tmp_path.iterdir())) == 3  # it fails in the third of five fits
    resumed = search().fit(images, digits)
    assert len(list(tmp_path.iterdir())) == 5
    expected = GridSearchCV(make_pipeline(MinMaxScaler(), mlp()), {"dropoutmlpclassifier__dropout": [0.1, 0.3]}, cv=2)
    expected.fit(images, digits)
    assert fitted_state(resumed.best_estimator_[-1]) == fitted_state(expected.best_estimator_[-1])
    np.testing.assert_array_equal(resumed.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
    search(FailAfter(1)).fit(images, digits)
    cross_validate(mlp().set_callbacks(Checkpoint(tmp_path)), images, digits, cv=3, error_score="raise")
    assert len(list(tmp_path.iterdir())) == 8


def test_copy_of_the_callback_holds_no_state_of_the_current_fit(tmp_path):
    class Copier(FailAfter):
        def on_fit_task_end(self, estimator, context):
            assert checkpoint._states
            copies.append(pickle.loads(pickle.dumps(checkpoint)))

    checkpoint, copies = Checkpoint(tmp_path / "mlp.ckpt"), []
    mlp(max_iter=2).set_callbacks(Copier(0), checkpoint).fit(images, digits)
    assert [vars(copy) for copy in copies] == [vars(Checkpoint(checkpoint.path))] * 3


def test_single_file_for_cross_validation_is_rejected(tmp_path):
    model = mlp().set_callbacks(Checkpoint(tmp_path / "mlp.ckpt"))
    with pytest.raises(
        ValueError,
        match=r"differs in X, y\. .* or an existing folder, in which each fit has its own file",
    ):
        cross_validate(model, images, digits, cv=2, error_score="raise")


def test_finished_fit_without_a_seed_warns(tmp_path):
    fits = [mlp(random_state=None).set_callbacks(Checkpoint(tmp_path)) for _ in range(2)]
    fits[0].fit(images, digits)
    with pytest.warns(UserWarning, match=r"has finished before, .* use a random_state other than None"):
        fits[1].fit(images, digits)
    assert fitted_state(fits[0])["coefs_"] == fitted_state(fits[1])["coefs_"]


def test_partial_files_of_killed_processes_are_deleted(path):
    parts = [path.with_name(f"{path.name}.{i}.part") for i in range(2)]
    others = [path.with_name("other.ckpt.0.part"), path.with_name("mlp.ckpt.keep")]
    for file in (*parts, *others):
        file.write_bytes(b"half of it")
        if file != parts[0]:  # recent: it may be in use
            os.utime(file, (0, 0))
    mlp().set_callbacks(Checkpoint(path)).fit(images, digits)
    assert [file.exists() for file in (*parts, *others)] == [True, False, True, True]


def test_partial_files_that_cannot_be_deleted_do_not_stop_a_fit(path):
    leftover = path.with_name(f"{path.name}.0.part")
    leftover.mkdir()
    os.utime(leftover, (0, 0))
    mlp().set_callbacks(Checkpoint(path)).fit(images, digits)
    assert leftover.exists()


def test_partial_fit_does_not_overwrite_the_checkpoint_of_a_fit(path):
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is the checkpoint of another fit"):
        mlp().set_callbacks(Checkpoint(path)).partial_fit(images, digits, classes=range(10))
    assert path.read_bytes() == before


def test_parameters_that_cannot_be_written_fail_before_training(tmp_path):
    estimator = mlp(dropout_schedule=lambda t: 1.0).set_callbacks(Checkpoint(tmp_path), FailAfter(1))
    with pytest.raises(
        ValueError, match=r"^Checkpoint cannot save dropout_schedule=<function .* can be imported by name"
    ):
        estimator.fit(images, digits)

    class Local(DropoutMLPClassifier):
        pass

    with pytest.raises(ValueError, match=r"^Checkpoint cannot save class=<class .*Local'>: use an object that can"):
        Local().set_callbacks(Checkpoint(tmp_path), FailAfter(1)).fit(images, digits)


# partial_fit


def test_partial_fit_writes_once_per_call(tmp_path, monkeypatch):
    from skdropout._callbacks import checkpoint

    paths, write = [], checkpoint.write_checkpoint
    monkeypatch.setattr(checkpoint, "write_checkpoint", lambda *args: paths.append(args[-1]) or write(*args))
    stream = mlp().set_callbacks(Checkpoint(tmp_path / "mlp.ckpt"))
    stream.partial_fit(images, digits, classes=range(10)).partial_fit(images, digits)
    assert paths == [tmp_path / "mlp.ckpt"] * 2


@pytest.mark.parametrize("params", [{}, {"solver": "sgd"}, {"batch_norm": "before_activation"}], ids=str)
def test_partial_fit_continues_exactly_from_a_file(tmp_path, params):
    path = tmp_path / "mlp.ckpt"
    stream = mlp(**params).set_callbacks(Checkpoint(path))
    for _ in range(3):
        stream.partial_fit(images, digits, classes=range(10))
    loaded = Checkpoint.load(path)
    for estimator in (stream, loaded):
        estimator.partial_fit(images, digits).partial_fit(images[:50], digits[:50])
    assert fitted_state(loaded) == fitted_state(stream)
    with pytest.raises(ValueError, match="written by partial_fit, not by fit"):
        mlp().set_callbacks(Checkpoint(path)).fit(images, digits)
    with pytest.raises(ValueError, match="is a folder, but partial_fit needs a file"):
        mlp().set_callbacks(Checkpoint(tmp_path)).partial_fit(images, digits, classes=range(10))


@needs_callbacks
def test_a_checkpoint_callback_pickled_by_an_older_release_works(tmp_path):
    path = tmp_path / "old.ckpt"
    checkpoint = Checkpoint.__new__(Checkpoint)
    checkpoint.__setstate__({"path": str(path), "every": 2, "_progress": {}})
    clf = DropoutMLPClassifier(4, max_iter=3, random_state=0).set_callbacks(checkpoint)
    clf.fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    assert checkpoint.every == 2
    assert Checkpoint.load(path).n_iter_ == 3

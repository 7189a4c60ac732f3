"""Fits that are cut off and taken up again, and files that are not of use."""

import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers import needs_callbacks
from resumable import FITS, digits, images, leavings, make, patients, progression
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
    """Fails at the end of the n-th epoch that it sees."""

    def __init__(self, n_epochs):
        self.n_left = n_epochs

    def setup(self, estimator, context):
        pass

    on_fit_task_begin = teardown = setup

    def on_fit_task_end(self, estimator, context):
        self.n_left -= not is_whole_fit(context)
        if not self.n_left:
            raise PowerFailure


def fit_to_the_end(path, name, after, every=1, **replaced):
    """Fit with failures after so many epochs in turn, each time anew; the estimator that came to the end."""
    for n_epochs in after:
        np.random.seed(7 if n_epochs == after[0] else 8)  # the global stream of another process is another one
        estimator, X, y, kwargs = make(name)
        estimator.set_params(**replaced).set_callbacks(Checkpoint(path, every=every), FailAfter(n_epochs))
        with pytest.raises(PowerFailure):
            estimator.fit(X, y, **kwargs)
        assert not estimator._fitted()
    estimator, X, y, kwargs = make(name)
    return estimator.set_params(**replaced).set_callbacks(Checkpoint(path, every=every)).fit(X, y, **kwargs)


@pytest.mark.parametrize("name", FITS)
def test_a_fit_that_was_cut_off_ends_as_one_that_was_not(tmp_path, name):
    np.random.seed(7)
    whole, X, y, kwargs = make(name)
    expected = leavings(whole.fit(X, y, **kwargs))
    taken_up = fit_to_the_end(tmp_path / "mlp.ckpt", name, after=[3, 4])
    if "None" in name:  # the global stream is that of the first process
        expected.pop("random_state")
    left = leavings(taken_up)
    assert {key: left[key] for key in expected} == expected
    with warnings.catch_warnings(action="error"):  # what was done is done
        warnings.filterwarnings("ignore", "This fit was done before")  # without a seed
        again, *_ = make(name)
        again.set_callbacks(Checkpoint(tmp_path / "mlp.ckpt"), FailAfter(1)).fit(X, y, **kwargs)
    left = leavings(again)
    assert {key: left[key] for key in expected} == expected
    loaded = leavings(Checkpoint.load(tmp_path / "mlp.ckpt"))
    assert {key: loaded[key] for key in expected} == expected


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("order", [1, -1])
def test_the_callback_early_stopping_is_taken_up_too(tmp_path, order, every):
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
        assert leavings(mlp) == leavings(expected)
        assert again.scores_ == stopping.scores_
        assert leavings(again.best_estimator_) == leavings(stopping.best_estimator_)


@pytest.mark.parametrize("name", ["defaults", "lbfgs"])
def test_the_numbers_of_the_epochs_go_on(tmp_path, name):
    class StopAtTheFifth(FailAfter):
        def on_fit_task_end(self, estimator, context):
            return not is_whole_fit(context) and context.task_id == 4

    def fit(*callbacks):
        estimator, X, y, _ = make(name)
        return estimator.set_callbacks(*callbacks).fit(X, y)

    with pytest.raises(PowerFailure):
        fit(Checkpoint(tmp_path / "mlp.ckpt"), FailAfter(3))
    taken_up = fit(Checkpoint(tmp_path / "mlp.ckpt"), StopAtTheFifth(0))
    assert taken_up.n_iter_ == 5
    assert leavings(taken_up) == leavings(fit(StopAtTheFifth(0)))


def test_warm_starts_are_taken_up_from_the_weights_they_started_from(tmp_path):
    def first():
        return DropoutMLPClassifier(12, max_iter=5, warm_start=True, random_state=0).fit(images, digits)

    expected = leavings(first().fit(images, digits))
    with pytest.raises(PowerFailure):
        first().set_callbacks(Checkpoint(tmp_path), FailAfter(2)).fit(images, digits)
    assert leavings(first().set_callbacks(Checkpoint(tmp_path)).fit(images, digits)) == expected
    (path,) = tmp_path.iterdir()
    with pytest.raises(ValueError, match="another fit, which differs in the network that it continues"):
        DropoutMLPClassifier(12, max_iter=5, warm_start=True, random_state=0).set_callbacks(Checkpoint(path)).fit(
            images, digits
        )


def test_ctrl_c_keeps_what_was_learnt_and_the_checkpoint_the_last_whole_epoch(tmp_path):
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
    assert leavings(fit()) == leavings(DropoutMLPClassifier(12, max_iter=8, random_state=0).fit(images, digits))


def test_ctrl_c_between_the_note_and_the_write(tmp_path):
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
    expected = leavings(fit())
    (tmp_path / "mlp.ckpt").unlink()
    assert leavings(fit()) == expected


def test_lbfgs_computes_nothing_twice(tmp_path, monkeypatch):
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
    fit_to_the_end(tmp_path / "mlp.ckpt", "lbfgs", after=[10, 10])
    assert whole <= n_calls <= whole + 4  # a line search may be cut off


def test_ctrl_c_while_lbfgs_comes_back_to_where_it_was(tmp_path, monkeypatch):
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
    assert leavings(interrupted) == leavings(expected)


def test_lbfgs_says_when_the_machine_counts_differently(tmp_path, monkeypatch):
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


# What is written, and when


def test_a_checkpoint_is_the_estimator_of_the_last_epoch_due(tmp_path):
    path, seen = tmp_path / "mlp.ckpt", {}

    class Look(FailAfter):
        def on_fit_task_end(self, estimator, context):
            if not is_whole_fit(context):
                seen[context.task_id + 1] = Checkpoint.load(path).n_iter_ if path.exists() else None

    clf = mlp().set_callbacks(Checkpoint(path, every=4), Look(0)).fit(images, digits)
    assert seen == {1: None, 2: None, 3: None, 4: 4, 5: 4, 6: 4}
    saved = Checkpoint.load(path)
    assert saved.n_iter_ == 6
    np.testing.assert_array_equal(saved.predict_proba(images), clf.predict_proba(images))
    assert not hasattr(saved, "_skl_callbacks")
    assert [file.name for file in tmp_path.iterdir()] == ["mlp.ckpt"]


def test_the_checkpoint_of_a_network_in_a_pipeline_is_where_it_is_said_to_be(tmp_path):
    checkpoint = Checkpoint(tmp_path / "mlp.ckpt")
    model = make_pipeline(MinMaxScaler(), make_pipeline(MinMaxScaler(), mlp().set_callbacks(checkpoint)))
    model.fit(images, digits)
    assert [file.name for file in tmp_path.iterdir()] == ["mlp.ckpt"]
    assert leavings(Checkpoint.load(checkpoint.path)) == leavings(model[-1][-1])


def test_a_write_that_fails_leaves_the_last_checkpoint(path, monkeypatch):
    before, fsync = path.read_bytes(), os.fsync

    def full_disk(file):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    estimator = mlp().set_callbacks(Checkpoint(path))
    with pytest.raises(OSError, match="No space"):
        estimator.fit(images, digits)
    assert not estimator._fitted()
    assert [file.name for file in path.parent.iterdir()] == ["mlp.ckpt"]
    assert path.read_bytes() == before
    monkeypatch.setattr(os, "fsync", fsync)
    assert leavings(estimator.fit(images, digits)) == leavings(mlp().fit(images, digits))


def test_a_file_comes_into_its_place_in_one_step(path, monkeypatch):
    before = path.read_bytes()

    def power_failure(part, place):
        assert Path(part).stat().st_size > 1000  # which is whole by then
        raise PowerFailure

    monkeypatch.setattr(os, "replace", power_failure)
    with pytest.raises(PowerFailure):
        mlp().set_callbacks(Checkpoint(path)).fit(images, digits)
    assert path.read_bytes() == before


def test_checkpoint_says_what_is_wrong_with_its_arguments(tmp_path):
    with pytest.raises(ValueError, match="every == 0"):
        Checkpoint("mlp.ckpt", every=0)
    with pytest.raises(TypeError, match="path must be an instance of"):
        Checkpoint(None)
    for path in (tmp_path / "nowhere" / "mlp.ckpt", f"{tmp_path}/nowhere/"):
        with pytest.raises(FileNotFoundError, match=r"there is no folder '.*nowhere', make it"):
            mlp().set_callbacks(Checkpoint(path)).fit(images, digits)


# What a file must be


@pytest.fixture
def path(tmp_path):
    """The checkpoint of a fit that is half done."""
    fit_half(tmp_path / "mlp.ckpt")
    return tmp_path / "mlp.ckpt"


def mlp(**params):
    return DropoutMLPClassifier(**{"hidden_layer_sizes": 12, "max_iter": 6, "random_state": 0} | params)


def fit_half(path):
    with pytest.raises(PowerFailure):
        mlp().set_callbacks(Checkpoint(path), FailAfter(3)).fit(images, digits)


@pytest.mark.parametrize(
    ("params", "fitted_to", "text"),
    [
        ({"dropout": 0.5}, {}, r"differs in dropout \(0\.2 there, 0\.5 here\)"),
        (
            {"alpha": 0.1, "random_state": 1},
            {},
            r"differs in alpha \(0\.0001 there, 0\.1 here\), random_state \(0 there, 1 ",
        ),
        ({"dtype": np.float32}, {}, r"differs in dtype \(None there"),
        ({}, {"X": images + 0.01}, r"differs in X\. Delete it to start from scratch, or give Checkpoint another path"),
        ({}, {"X": images[::-1]}, r"differs in X\. "),
        ({}, {"y": digits[::-1]}, r"differs in y\. "),
        ({}, {"sample_weight": np.ones(300)}, r"differs in sample_weight\. "),
        ({}, {"X_val": images, "y_val": digits}, r"differs in X_val, y_val, sample_weight_val\. "),
    ],
)
def test_the_checkpoint_of_another_fit_is_refused(path, params, fitted_to, text):
    before = path.read_bytes()
    estimator = mlp(**params).set_callbacks(Checkpoint(path))
    with pytest.raises(ValueError, match=rf"mlp\.ckpt' is the checkpoint of another fit, which {text}"):
        estimator.fit(**{"X": images, "y": digits} | fitted_to)
    assert not estimator._fitted()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("params", "fitted_to"),
    [
        ({"verbose": True, "hidden_layer_sizes": np.int64(12), "alpha": np.float64(1e-4)}, {}),
        ({"max_iter": np.int32(6), "dropout": np.array(0.2)}, {"X": np.asfortranarray(images)}),
        ({}, {"X": images.tolist(), "y": digits.tolist()}),
    ],
)
def test_what_means_the_same_is_the_same(path, params, fitted_to):
    before = mlp().fit(images, digits)
    after = mlp(**params).set_callbacks(Checkpoint(path), FailAfter(5)).fit(**{"X": images, "y": digits} | fitted_to)
    assert leavings(before) == leavings(after)  # FailAfter saw 4 epochs: the third again, and three more


@pytest.mark.parametrize("dtype", [np.float32, np.dtype("float32"), "f4", np.dtype(">f4")])
def test_names_of_one_dtype_are_the_same(tmp_path, dtype):
    before = mlp(dtype="float32").set_callbacks(Checkpoint(tmp_path / "a.ckpt")).fit(images, digits)
    after = mlp(dtype=dtype).set_callbacks(Checkpoint(tmp_path / "a.ckpt"), FailAfter(1)).fit(images, digits)
    assert leavings(before) == leavings(after)


def test_class_weights_are_compared_one_by_one(tmp_path):
    def fit(class_weight):
        return mlp(class_weight=class_weight).set_callbacks(Checkpoint(tmp_path / "mlp.ckpt")).fit(images, digits)

    assert leavings(fit(dict.fromkeys(range(10), 1))) == leavings(fit(dict.fromkeys(np.arange(10), 1.0)))
    with pytest.raises(ValueError, match=r"differs in class_weight \(.* there, {0: 2, .* here\), sample_weight\. "):
        fit(dict.fromkeys(range(10), 2))


def test_the_settings_of_early_stopping_are_part_of_the_fit(tmp_path):
    def fit(n_iter_no_change, X_val=images):
        callbacks = EarlyStopping(X_val, digits, n_iter_no_change=n_iter_no_change), Checkpoint(tmp_path / "a.ckpt")
        return mlp().set_callbacks(*callbacks).fit(images, digits)

    fit(3), fit(3, images.copy())
    for args in (4,), (3, images + 1):
        with pytest.raises(ValueError, match="differs in the callback EarlyStopping"):
            fit(*args)
    with pytest.raises(ValueError, match="differs in the callback EarlyStopping"):
        mlp().set_callbacks(Checkpoint(tmp_path / "a.ckpt")).fit(images, digits)


def test_each_callback_early_stopping_counts_and_not_what_its_sparse_rows_know_of_themselves(tmp_path):
    rows = sparse.csr_array(images[:100])

    def fit(n_iter_no_change, *callbacks):
        first = EarlyStopping(rows, digits[:100], n_iter_no_change=n_iter_no_change)
        second = EarlyStopping(rows, digits[:100], scoring=log_predictive_density_scorer)
        return mlp().set_callbacks(first, second, Checkpoint(tmp_path / "a.ckpt"), *callbacks).fit(images, digits)

    with pytest.raises(PowerFailure):
        fit(3, FailAfter(2))  # SciPy has noted on the rows by now that their format is canonical
    with pytest.raises(ValueError, match="differs in the callback EarlyStopping"):
        fit(2)
    fit(3)


def test_the_checkpoint_of_another_class_is_refused(path):
    with pytest.raises(ValueError, match=r"which differs in class\. "):
        Other(12, max_iter=6, random_state=0).set_callbacks(Checkpoint(path)).fit(images, digits)
    with pytest.raises(ValueError, match=r"differs in class, dropout .*, loss, "):
        DropoutMLPRegressor(random_state=0).set_callbacks(Checkpoint(path)).fit(images, digits)


def test_names_of_columns_are_those_given(tmp_path):
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
def test_a_damaged_file_is_refused(path, damage, text):
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"mlp\.ckpt' {text}.*Delete it to start from scratch"):
        mlp().set_callbacks(Checkpoint(path)).fit(images, digits)
    with pytest.raises(ValueError, match=rf"mlp\.ckpt' {text}"):
        Checkpoint.load(path)


def test_two_fits_do_not_write_to_one_file(tmp_path):
    class Rival(FailAfter):
        def on_fit_task_end(self, estimator, context):
            if not is_whole_fit(context):
                fit_half(tmp_path / "mlp.ckpt")

    with pytest.raises(ValueError, match=r"mlp\.ckpt' is the checkpoint of another fit\. Delete it"):
        mlp(alpha=1).set_callbacks(Rival(1), Checkpoint(tmp_path / "mlp.ckpt")).fit(images, digits)
    assert Checkpoint.load(tmp_path / "mlp.ckpt").alpha == 1e-4


def test_a_folder_has_a_file_for_each_fit_of_a_search_and_none_is_done_twice(tmp_path):
    def search(*callbacks):
        model = make_pipeline(MinMaxScaler(), mlp().set_callbacks(Checkpoint(tmp_path), *callbacks))
        return GridSearchCV(model, {"dropoutmlpclassifier__dropout": [0.1, 0.3]}, cv=2, error_score="raise")

    with pytest.raises(PowerFailure):
        search(FailAfter(15)).fit(images, digits)
    assert len(list(tmp_path.iterdir())) == 3  # in the third of five
    found = search().fit(images, digits)
    assert len(list(tmp_path.iterdir())) == 5
    bare = GridSearchCV(make_pipeline(MinMaxScaler(), mlp()), {"dropoutmlpclassifier__dropout": [0.1, 0.3]}, cv=2)
    bare.fit(images, digits)
    assert leavings(found.best_estimator_[-1]) == leavings(bare.best_estimator_[-1])
    np.testing.assert_array_equal(found.cv_results_["mean_test_score"], bare.cv_results_["mean_test_score"])
    search(FailAfter(1)).fit(images, digits)
    cross_validate(mlp().set_callbacks(Checkpoint(tmp_path)), images, digits, cv=3, error_score="raise")
    assert len(list(tmp_path.iterdir())) == 8


def test_a_copy_made_during_a_fit_knows_nothing_of_that_fit(tmp_path):
    class Copier(FailAfter):
        def on_fit_task_end(self, estimator, context):
            assert checkpoint._states
            copies.append(pickle.loads(pickle.dumps(checkpoint)))

    checkpoint, copies = Checkpoint(tmp_path / "mlp.ckpt"), []
    mlp(max_iter=2).set_callbacks(Copier(0), checkpoint).fit(images, digits)
    assert [vars(copy) for copy in copies] == [vars(Checkpoint(checkpoint.path))] * 3


def test_one_file_for_a_search_is_refused(tmp_path):
    model = mlp().set_callbacks(Checkpoint(tmp_path / "mlp.ckpt"))
    with pytest.raises(
        ValueError,
        match=r"differs in X, y\. .* or an existing folder, in which each fit has its own file",
    ):
        cross_validate(model, images, digits, cv=2, error_score="raise")


def test_a_done_fit_without_a_seed_is_said_to_be_done(tmp_path):
    fits = [mlp(random_state=None).set_callbacks(Checkpoint(tmp_path)) for _ in range(2)]
    fits[0].fit(images, digits)
    with pytest.warns(UserWarning, match=r"was done before, .* needs a random_state other than None"):
        fits[1].fit(images, digits)
    assert leavings(fits[0])["coefs_"] == leavings(fits[1])["coefs_"]


def test_what_killed_processes_left_half_written_is_deleted(path):
    parts = [path.with_name(f"{path.name}.{i}.part") for i in range(2)]
    others = [path.with_name("other.ckpt.0.part"), path.with_name("mlp.ckpt.keep")]
    for file in (*parts, *others):
        file.write_bytes(b"half of it")
        if file != parts[0]:  # which may be in use
            os.utime(file, (0, 0))
    mlp().set_callbacks(Checkpoint(path)).fit(images, digits)
    assert [file.exists() for file in (*parts, *others)] == [True, False, True, True]


def test_leftovers_that_cannot_be_deleted_do_not_end_a_fit(path):
    leftover = path.with_name(f"{path.name}.0.part")
    leftover.mkdir()
    os.utime(leftover, (0, 0))
    mlp().set_callbacks(Checkpoint(path)).fit(images, digits)
    assert leftover.exists()


def test_partial_fit_does_not_write_over_the_checkpoint_of_a_fit(path):
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is the checkpoint of another fit"):
        mlp().set_callbacks(Checkpoint(path)).partial_fit(images, digits, classes=range(10))
    assert path.read_bytes() == before


def test_what_cannot_be_written_is_said_before_training(tmp_path):
    estimator = mlp(dropout_schedule=lambda t: 1.0).set_callbacks(Checkpoint(tmp_path), FailAfter(1))
    with pytest.raises(ValueError, match=r"^Checkpoint cannot write dropout_schedule=<function .* by a name"):
        estimator.fit(images, digits)

    class Local(DropoutMLPClassifier):
        pass

    with pytest.raises(ValueError, match=r"^Checkpoint cannot write class=<class .*Local'>: give it by a name"):
        Local().set_callbacks(Checkpoint(tmp_path), FailAfter(1)).fit(images, digits)


# partial_fit


def test_partial_fit_writes_once_a_call(tmp_path, monkeypatch):
    from skdropout._callbacks import checkpoint

    paths, write = [], checkpoint.write
    monkeypatch.setattr(checkpoint, "write", lambda *args: paths.append(args[-1]) or write(*args))
    stream = mlp().set_callbacks(Checkpoint(tmp_path / "mlp.ckpt"))
    stream.partial_fit(images, digits, classes=range(10)).partial_fit(images, digits)
    assert paths == [tmp_path / "mlp.ckpt"] * 2


@pytest.mark.parametrize("params", [{}, {"solver": "sgd"}, {"batch_norm": "before_activation"}], ids=str)
def test_partial_fit_goes_on_from_a_file_exactly(tmp_path, params):
    path = tmp_path / "mlp.ckpt"
    stream = mlp(**params).set_callbacks(Checkpoint(path))
    for _ in range(3):
        stream.partial_fit(images, digits, classes=range(10))
    loaded = Checkpoint.load(path)
    for estimator in (stream, loaded):
        estimator.partial_fit(images, digits).partial_fit(images[:50], digits[:50])
    assert leavings(loaded) == leavings(stream)
    with pytest.raises(ValueError, match="written by partial_fit, not by fit"):
        mlp().set_callbacks(Checkpoint(path)).fit(images, digits)
    with pytest.raises(ValueError, match="is a folder, and partial_fit needs a file"):
        mlp().set_callbacks(Checkpoint(tmp_path)).partial_fit(images, digits, classes=range(10))

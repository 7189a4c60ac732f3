"""Estimators in files: pickles, skops, .npz, ONNX and scikit-learn's own; files of older releases."""

import copy
import json
import os
import pickle
import re
import runpy
import sys
import textwrap
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from helpers import by_cloudpickle, by_joblib, by_skops
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler

import skdropout
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

CLASSIFIER, REGRESSOR = DropoutMLPClassifier, DropoutMLPRegressor

rng = np.random.RandomState(0)
X = rng.normal(size=(60, 4))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
TARGETS = {
    "binary": CODES > 0,
    "classes": CODES,
    "words": np.array(["few", "many", "none"], dtype=object)[CODES],
    "labels": (X[:, :3] > 0).astype(int),
    "number": X[:, 0],
    "numbers": X[:, :2],
    "counts": rng.poisson(1.0, size=60),
    "single": np.ones(60),
}
SPATIAL = {"dropout_kind": "spatial", "group_size": 2, "input_groups": ["a", "a", "b", "b"], "input_dropout": 0.1}
CASES = {  # class, target, parameters
    "classes": (CLASSIFIER, "classes", {"dropout": (0.1, 0.3), "hidden_layer_sizes": (6, 4)}),
    "batch norm": (CLASSIFIER, "words", {"batch_norm": "before_activation", "dtype": "float32"}),
    "early stopping": (CLASSIFIER, "labels", {"early_stopping": True, "batch_norm": "after_activation"}),
    "binary": (CLASSIFIER, "binary", {"solver": "sgd", "learning_rate": "adaptive", "dropout_kind": "gaussian"}),
    "lbfgs": (CLASSIFIER, "classes", {"solver": "lbfgs", "dropout": 0}),
    "class weights": (
        CLASSIFIER,
        "binary",
        {"class_weight": {False: 1, True: 2}, "random_state": np.random.RandomState(3)},
    ),
    "single": (CLASSIFIER, "single", {"random_state": None}),
    "selu": (
        CLASSIFIER,
        "words",
        {"dropout_kind": ["alpha", "bernoulli"], "hidden_layer_sizes": (6, 4), "activation": ["selu", "tanh"]},
    ),
    "number": (REGRESSOR, "number", {"dropout": 0.2, "batch_norm": "after_dropout", "early_stopping": True}),
    "spatial": (REGRESSOR, "numbers", {"dropout": 0.2, "dropout_schedule": "constant", **SPATIAL}),
    "counts": (
        REGRESSOR,
        "counts",
        {"loss": "poisson", "solver": "adamw", "learning_rate": "cosine", "dtype": "float32"},
    ),
    "linear": (REGRESSOR, "number", {"hidden_layer_sizes": (), "loss": "huber", "noise_variance": 0.5}),
}
ARCHITECTURE = {"hidden_layer_sizes", "activation", "batch_norm", "loss"}


@cache
def fitted(case):
    cls, target, params = CASES[case]
    model = cls(**{"hidden_layer_sizes": 6, "max_iter": 3, "random_state": 0, **params})
    weights = np.arange(60) % 3 if case == "spatial" else None
    return model.fit(X, TARGETS[target], sample_weight=weights)


@cache
def grown():
    """By partial_fit alone."""
    return CLASSIFIER(6, random_state=0).partial_fit(X, TARGETS["words"], classes=["few", "many", "none", "other"])


MODELS = {**{case: (lambda case=case: fitted(case)) for case in CASES}, "partial_fit": grown}
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))


def targets_of(model):
    """Targets that the fitted model can be trained on, with all of its classes."""
    if hasattr(model, "classes_") and model.out_activation_ == "softmax":
        return np.resize(model.classes_, 60)
    return model.predict(X)


def same_weights(a, b):
    pairs = zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True)
    return all(np.array_equal(u, v) and u.dtype == v.dtype for u, v in pairs)


def assert_predict_the_same(a, b, rows=X):
    for method in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(a, method):
            ours, theirs = getattr(a, method)(rows), getattr(b, method)(rows)
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype


# Pickles, joblib, cloudpickle, skops


WAYS = {
    f"pickle {n}": lambda model, n=n: pickle.loads(pickle.dumps(model, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)
}
WAYS |= {"joblib": by_joblib, "cloudpickle": by_cloudpickle, "skops": by_skops}


@each_model
@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_a_file_predicts_samples_and_trains_on_as_any_other(model, way):
    twin, original = way(model()), copy.deepcopy(model())
    # a file keeps these after partial_fit alone
    gone = set() if original._in_stream else {"_input_exponents", "_optimizer"}
    assert set(vars(twin)) - {"_learning_rate"} == set(vars(original)) - gone
    assert same_weights(twin, original)
    assert_predict_the_same(twin, original)
    if original.solver == "lbfgs":
        return
    sample = "sample_proba" if hasattr(twin, "sample_proba") else "sample_y"
    np.testing.assert_array_equal(*(getattr(m, sample)(X, dropout=m.dropout) for m in (twin, original)))
    for m in (twin, original):
        for name in gone & set(vars(m)):
            delattr(m, name)
        np.random.seed(0)  # for random_state=None
        m.set_params(early_stopping=False, max_iter=9).partial_fit(X, targets_of(m))
    assert same_weights(twin, original)


@each_model
def test_skops_has_one_type_to_trust(model):
    skops_io = pytest.importorskip("skops.io")
    cls = type(model())
    assert skops_io.get_untrusted_types(data=skops_io.dumps(model())) == [f"{cls.__module__}.{cls.__name__}"]


def leaves(value):
    if isinstance(value, dict):
        yield from leaves(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    else:
        yield value


@each_model
def test_the_state_is_numbers_strings_and_arrays(model):
    for value in leaves(model().__getstate__()):
        assert type(value) in {int, float, bool, str, type(None), np.ndarray, LabelBinarizer, np.random.RandomState}
        if isinstance(value, np.ndarray):
            assert value.dtype.kind in "biufU" or all(type(label) is str for label in value)


def test_a_schedule_of_the_users_stays_out_of_the_fitted_state():
    model = REGRESSOR(hidden_layer_sizes=4, dropout=0.2, dropout_schedule=lambda t: 1 - t, max_iter=3, random_state=0)
    model.fit(X, X[:, 0]).set_params(dropout_schedule="constant")
    assert_predict_the_same(pickle.loads(pickle.dumps(model)), model)
    for fitted in (model, pickle.loads(pickle.dumps(model))):
        assert "<function" in fitted._noise[-1]
        mean, std = fitted.predict(X, return_std=True)
        np.testing.assert_array_equal(mean, model.predict(X))
        assert len(np.unique(std)) > 1  # the spread at rate 0.2


def test_deep_networks_need_no_deep_recursion():
    model = REGRESSOR(hidden_layer_sizes=[1] * 300, max_iter=1, random_state=0).fit(X, X[:, 0])
    limit, depth, frame = sys.getrecursionlimit(), 0, sys._getframe()
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    try:
        sys.setrecursionlimit(depth + 40)
        twin = pickle.loads(pickle.dumps(model))
    finally:
        sys.setrecursionlimit(limit)
    assert same_weights(model, twin)


def test_a_memory_mapped_estimator_predicts(tmp_path):
    for case in ("classes", "batch norm"):
        joblib.dump(fitted(case), tmp_path / "model.joblib")
        assert_predict_the_same(joblib.load(tmp_path / "model.joblib", mmap_mode="r"), fitted(case))


@pytest.mark.parametrize("batch_norm", [False, "before_activation", "after_activation"])
def test_files_are_about_the_size_of_the_weights(batch_norm, tmp_path):
    wide = np.tile(X, (1, 25))
    model = CLASSIFIER((200, 200), batch_norm=batch_norm, max_iter=2, random_state=0).fit(wide, CODES)
    size = sum(a.nbytes for a in model.coefs_ + model.intercepts_)
    joblib.dump(model, tmp_path / "joblib")
    model.save_weights(tmp_path / "npz")
    size += 400 * 8 * 6 if batch_norm else 0  # scales and shifts twice, means, variances
    assert len(pickle.dumps(model)) < size + 8_000
    assert (tmp_path / "joblib").stat().st_size < size + 10_000
    assert (tmp_path / "npz").stat().st_size < size + 12_000
    skops_io = pytest.importorskip("skops.io")
    assert len(skops_io.dumps(model)) < size + 64_000  # JSON for every number that is in no array


def test_weights_that_a_user_put_in_are_kept(tmp_path):
    model = copy.deepcopy(fitted("batch norm"))
    model.coefs_[0] = model.coefs_[0] / 2
    assert same_weights(pickle.loads(pickle.dumps(model)), model)
    model.save_weights(tmp_path / "npz")
    assert same_weights(architecture_of(model).load_weights(tmp_path / "npz"), model)


# Releases

FILES = Path(__file__).parents[1] / "files"
CORPUS = sorted(path for path in FILES.glob("*/*") if path.stem != "expected")


def load(path, architecture):
    if path.suffix == ".npz":
        return architecture().load_weights(path)
    if path.suffix == ".skops":
        skops_io = pytest.importorskip("skops.io")
        return skops_io.load(path, trusted=skops_io.get_untrusted_types(file=path))
    return joblib.load(path)  # pickles too


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_files_of_older_releases_predict_as_they_did(path):
    numpy_of_file = path.parent.name.partition("-numpy")[2]
    if path.suffix in {".pickle", ".joblib"} and numpy_of_file[0] > np.__version__[0]:
        pytest.skip(f"pickled by NumPy {numpy_of_file}, which NumPy {np.__version__} cannot read")
    models = {name: lambda cls=cls, params=params: cls(**params) for name, cls, params, *_ in known_models()}
    model = load(path, models[path.stem])
    with np.load(path.parent / "expected.npz") as expected:
        rows, output = expected[f"{path.stem}_X"], expected[f"{path.stem}_output"]
    predicted = model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)
    np.testing.assert_allclose(predicted, output, rtol=1e-6 if output.dtype == np.float64 else 1e-4)
    assert model.loss_ > 0


@cache
def known_models():
    return list(runpy.run_path(FILES / "make.py")["models"]())


def test_the_corpus_has_this_release():
    release = re.match(r"\d+\.\d+\.\d+", skdropout.__version__).group()
    assert any(path.parent.name.startswith(f"{release}-") for path in CORPUS)
    assert sum(path.stat().st_size for path in FILES.rglob("*")) < 200_000


def older(model, without=(), version="0.0.9"):
    """As it would come from the pickle of an older release."""
    state = {name: value for name, value in model.__getstate__().items() if name not in without}
    twin = object.__new__(type(model))
    twin.__setstate__({**state, "_skdropout_version": version} if version else state)
    return twin


def test_a_parameter_that_an_older_release_did_not_have_gets_its_default():
    twin = older(fitted("classes"), without={"warmup_fraction", "_skdropout_version"}, version=None)
    assert twin.warmup_fraction == 0.0
    assert_predict_the_same(twin, fitted("classes"))
    assert clone(twin).get_params().keys() == twin.get_params().keys()
    unfitted = older(CLASSIFIER(), without={"dropout_kind"})
    assert repr(unfitted) == repr(CLASSIFIER())


class Deep(DropoutMLPRegressor):
    def __init__(self, depth, *, max_iter=2):
        super().__init__(hidden_layer_sizes=(4,) * depth, max_iter=max_iter)
        self.depth = depth


def test_a_parameter_without_a_default_comes_from_the_file():
    model = Deep(3).fit(X, X[:, 0])
    twin = pickle.loads(pickle.dumps(model))
    assert (twin.depth, len(twin.coefs_)) == (3, 4)
    assert_predict_the_same(twin, model)
    assert not hasattr(older(model, without={"depth"}), "depth")


@pytest.mark.parametrize(
    ("case", "name", "version"),
    [("classes", "_noise", "0.0.9"), ("number", "noise_variance_", None), ("binary", "_label_binarizer", "0.0.9")],
)
def test_what_an_older_release_did_not_keep_is_named_at_loading(case, name, version):
    who = f"skdropout {version or 'before 0.1.0'}, without {name}, which {skdropout.__version__} needs: fit it again"
    with pytest.raises(ValueError, match=re.escape(who)):
        older(fitted(case), without={name, "_skdropout_version"}, version=version)


def test_a_file_of_a_newer_release_is_read_with_a_warning():
    with pytest.warns(UserWarning, match=r"written by skdropout 99\.1, and this is .*Install skdropout 99\.1"):
        twin = older(fitted("classes"), version="99.1")
    assert_predict_the_same(twin, fitted("classes"))
    assert "_skdropout_version" not in vars(twin)


# scikit-learn's own


def rows_of(model):
    return X.astype(model.coefs_[0].dtype)


EXPRESSIBLE = [case for case in CASES if case not in {"single", "selu"}]


@pytest.mark.parametrize("case", [*EXPRESSIBLE, "partial_fit"])
def test_scikit_learns_own_predicts_the_same_bits(case):
    model = MODELS[case]()
    mlp = model.to_sklearn()
    assert type(mlp) is (MLPClassifier if isinstance(model, CLASSIFIER) else MLPRegressor)
    for container in (np.asarray, sparse.csr_array):
        assert_predict_the_same(model, mlp, container(rows_of(model)))
    assert not any(np.shares_memory(a, b) for a, b in zip(model.coefs_, mlp.coefs_, strict=True))
    assert mlp.random_state is not model.random_state or isinstance(model.random_state, int)
    target = model.predict(X)
    assert mlp.score(rows_of(model), target) == model.score(rows_of(model), target)
    assert_predict_the_same(model, pickle.loads(pickle.dumps(mlp)), rows_of(model))


@pytest.mark.parametrize("activation", ["identity", "logistic", "relu", "tanh"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_its_four_activations_are_ours(activation, dtype):
    params = {"hidden_layer_sizes": (5, 5), "activation": [activation, activation], "dtype": dtype}
    model = CLASSIFIER(**params, max_iter=2, random_state=0).fit(X, CODES)
    assert_predict_the_same(model, model.to_sklearn(), rows_of(model))


@pytest.mark.parametrize("case", EXPRESSIBLE)
def test_it_has_what_its_own_fit_leaves_and_trains_on(case):
    pandas = pytest.importorskip("pandas")
    model = clone(fitted(case))
    frame, target = pandas.DataFrame(X, columns=list("abcd")), TARGETS[CASES[case][1]]
    mlp = model.fit(frame, target).to_sklearn()
    own = clone(mlp).fit(frame, target)
    assert set(vars(own)) - set(vars(mlp)) <= {
        *("_random_state", "_optimizer", "_coef_indptr", "_intercept_indptr"),  # which the next fit makes
        *("_best_coefs", "_best_intercepts"),  # which only early stopping reads
    }
    assert list(mlp.feature_names_in_) == list("abcd")
    shared = set(own.get_params()) & set(model.get_params()) - {"activation", "hidden_layer_sizes", "random_state"}
    odd = {name for name in shared if repr(mlp.get_params()[name]) != repr(model.get_params()[name])}
    assert odd == {"counts": {"solver", "learning_rate"}, "linear": {"loss"}}.get(case, set())
    before = copy.deepcopy(model.coefs_)
    if case != "lbfgs" and not mlp.early_stopping:
        mlp.partial_fit(frame, target)
    mlp.set_params(warm_start=True).fit(frame, target)
    assert not np.array_equal(mlp.coefs_[0], before[0])
    assert all(map(np.array_equal, model.coefs_, before))


def test_what_scikit_learn_cannot_express_is_refused():
    with pytest.raises(NotFittedError):
        CLASSIFIER().to_sklearn()
    with pytest.raises(
        ValueError, match=r"one activation for all hidden layers, of .* and this network has \['selu', 'tanh'\]"
    ):
        fitted("selu").to_sklearn()
    with pytest.raises(ValueError, match=r"this network has \['elu'\]: fit it with one of these four"):
        REGRESSOR(hidden_layer_sizes=3, activation="elu", max_iter=1).fit(X, X[:, 0]).to_sklearn()
    with pytest.raises(ValueError, match=r"fitted on a single class, .* two columns"):
        fitted("single").to_sklearn()


def run_onnx(model, rows):
    skl2onnx, runtime = pytest.importorskip("skl2onnx"), pytest.importorskip("onnxruntime")
    mlp = model[-1] if isinstance(model, Pipeline) else model
    options = {id(mlp): {"zipmap": False}} if isinstance(mlp, MLPClassifier) else None
    graph = skl2onnx.to_onnx(model, rows[:1], options=options)
    session = runtime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": rows})


@pytest.mark.parametrize("case", ["binary", "classes", "batch norm", "number", "linear"])
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_onnx_computes_the_same(case, in_pipeline):
    rows, target = (3 * X + 1).astype(np.float32), TARGETS[CASES[case][1]]
    model = make_pipeline(StandardScaler() if in_pipeline else "passthrough", clone(fitted(case))).fit(rows, target)
    mlp = model[-1].to_sklearn()
    output = run_onnx(Pipeline([*model.steps[:-1], ("mlp", mlp)]) if in_pipeline else mlp, rows)
    if isinstance(mlp, MLPClassifier):
        np.testing.assert_array_equal(output[0], model.predict(rows))
        np.testing.assert_allclose(output[1], model.predict_proba(rows), atol=1e-6)
    else:
        np.testing.assert_allclose(output[0].ravel(), model.predict(rows), rtol=1e-5, atol=1e-6)


def test_onnx_with_the_recipes_for_what_skl2onnx_cannot():
    rows = X.astype(np.float32)
    counts = clone(fitted("counts")).fit(rows, TARGETS["counts"])
    mlp = counts.to_sklearn()
    mlp.out_activation_ = "identity"
    np.testing.assert_allclose(np.exp(run_onnx(mlp, rows)[0].ravel()), counts.predict(rows), rtol=1e-5)
    numbers = clone(fitted("spatial")).fit(rows, TARGETS["numbers"])
    output = run_onnx(numbers.to_sklearn(), rows)[0].reshape(-1, 2)
    np.testing.assert_allclose(output, numbers.predict(rows), rtol=1e-5, atol=1e-6)


def test_the_blocks_of_code_in_the_user_guide_run(tmp_path, monkeypatch):
    for name in ("skops", "skl2onnx", "onnxruntime"):
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "doc" / "persistence.rst").read_text()
    blocks = re.findall(r"code-block:: python\n\n((?:   .*\n|\n)+)", page)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(textwrap.dedent(block), "persistence.rst", "exec"), {})


# Weights without pickle


def architecture_of(model):
    """An unfitted estimator with the architecture of `model` and all else at its default."""
    return type(model)(**{name: value for name, value in model.get_params().items() if name in ARCHITECTURE})


@pytest.fixture
def saved(tmp_path):
    fitted("batch norm").save_weights(tmp_path / "saved.npz")
    return tmp_path / "saved.npz"


@each_model
def test_weights_come_back_with_all_that_prediction_and_training_need(model, tmp_path):
    model = copy.deepcopy(model())
    model.save_weights(str(tmp_path / "weights"))
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]
    twin = architecture_of(model).load_weights(tmp_path / "weights")
    assert same_weights(model, twin)
    assert_predict_the_same(model, twin)
    behind = {
        "_input_exponents",
        "_validation_mask",
        "_optimizer",
        "_learning_rate",
        "_rate_settings",
        "_in_stream",
        "_random_state",
        "_mask_state",
    }
    assert set(vars(model)) - set(vars(twin)) == behind & set(vars(model))
    for name in model._fitted() - behind - {"_unfolded", "_label_binarizer"}:
        assert type(vars(model)[name]) is type(vars(twin)[name]), name
        assert pickle.dumps(leaves_of(model, name)) == pickle.dumps(leaves_of(twin, name)), name
    if model.solver == "lbfgs":
        return
    noisy = "sample_proba" if isinstance(model, CLASSIFIER) else "sample_y"
    np.testing.assert_array_equal(*(getattr(m, noisy)(X, 2, dropout=m.dropout_[1:]) for m in (model, twin)))
    plain = {"random_state": 0, "early_stopping": False, "solver": "sgd", "learning_rate": "constant"}
    going_on = [copy.deepcopy(model), twin]
    for m in going_on:  # with the same streams and a new optimizer both
        for name in behind & set(vars(m)):
            delattr(m, name)
        m.set_params(**{**model.get_params(), **plain}).partial_fit(X, targets_of(m))
    assert same_weights(*going_on)
    before = twin.coefs_[-1]
    twin.set_params(warm_start=True, learning_rate_init=1e-12, batch_norm=model.batch_norm).fit(X, targets_of(twin))
    np.testing.assert_allclose(twin.coefs_[-1], before, rtol=1 if model.batch_norm else 1e-3)


def leaves_of(model, name):
    return [np.asarray(value).tolist() for value in leaves(vars(model)[name])]


def test_the_file_is_plain_arrays_that_numpy_reads(saved, tmp_path):
    with np.load(saved, allow_pickle=False) as file:
        header = json.loads(file["header"].item())
        names = set(file)
        scale = file["batch_norm_scale_0"]
    assert header["activation"] == ["relu"]
    assert header["out_activation"] == "softmax"
    assert header["skdropout"] == skdropout.__version__
    assert {"unfolded_coefs_0", "unfolded_intercepts_1", "classes_"} < names
    assert "coefs_0" not in names
    np.testing.assert_array_equal(scale, fitted("batch norm").batch_norm_scale_[0])
    fitted("classes").save_weights(tmp_path / "plain")
    with np.load(tmp_path / "plain") as file:
        np.testing.assert_array_equal(file["coefs_2"], fitted("classes").coefs_[2])


@pytest.mark.parametrize(
    "labels",
    [[3, 5], [False, True], [0.0, 1.0], ["a", "β"], np.array(["a", "b"], object)],
    ids=str,
)
def test_labels_keep_their_type(labels, tmp_path):
    labels = np.asarray(labels)
    model = CLASSIFIER(3, max_iter=1).fit(X, labels[CODES % 2])
    model.save_weights(tmp_path / "w")
    twin = CLASSIFIER(3).load_weights(tmp_path / "w")
    assert_predict_the_same(model, twin)
    assert [type(label) for label in twin.classes_] == [type(label) for label in model.classes_]


def test_names_of_columns_come_back(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "δ"])
    model = CLASSIFIER(3, max_iter=1).fit(frame, CODES)
    model.save_weights(tmp_path / "w")
    twin = CLASSIFIER(3).load_weights(tmp_path / "w")
    assert_predict_the_same(model, twin, frame)
    assert twin.feature_names_in_.dtype == object
    with pytest.raises(ValueError, match="feature names should match"):
        twin.predict(frame.rename(columns={"a": "z"}))


@pytest.mark.parametrize("labels", [[Decimal(1), Decimal(2), Decimal(3)], ["a", "b", "c\0"]], ids=str)
def test_labels_that_need_pickle_are_refused(labels, tmp_path):
    model = copy.deepcopy(fitted("classes"))
    model.classes_ = np.array(labels, dtype=object)
    with pytest.raises(ValueError, match=r"classes_ holds objects other than strings or numbers.*Fit on labels"):
        model.save_weights(tmp_path / "w")
    assert not list(tmp_path.iterdir())


FITS = {"hidden_layer_sizes": (6,), "batch_norm": "before_activation"}


@pytest.mark.parametrize(
    ("given", "found", "way_out"),
    [
        ({"hidden_layer_sizes": (6, 6)}, "hidden_layer_sizes=(6, 6)", "hidden_layer_sizes=(6,)"),
        ({"activation": "tanh"}, "activation='tanh'", "activation='relu'"),
        ({"batch_norm": False}, "batch_norm=False", "batch_norm='before_activation'"),
        ({"dtype": "float64"}, "dtype='float64'", "dtype='float32'"),
        (
            {"hidden_layer_sizes": 5, "batch_norm": False},
            "sizes=(5,), batch_norm=False",
            "sizes=(6,), batch_norm='before_activation'",
        ),
    ],
)
def test_parameters_that_do_not_fit_the_file_are_named(given, found, way_out, saved):
    model = CLASSIFIER(**{**FITS, **given})
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=re.escape(found) + r": call set_params\(.*" + re.escape(way_out)):
        model.load_weights(saved)
    assert pickle.dumps(model) == before


def test_the_poisson_loss_and_the_kind_of_estimator_are_checked(saved, tmp_path):
    with pytest.raises(ValueError, match="holds the weights of a classifier, and DropoutMLPRegressor is a regressor"):
        REGRESSOR(**FITS).load_weights(saved)
    fitted("counts").save_weights(tmp_path / "w")
    with pytest.raises(ValueError, match=r"with loss='squared_error': call set_params\(loss='poisson'\)"):
        REGRESSOR(hidden_layer_sizes=6).load_weights(tmp_path / "w")
    fitted("number").save_weights(tmp_path / "w")
    other = REGRESSOR("huber", 6, batch_norm="after_dropout").load_weights(tmp_path / "w")  # all identity outputs
    assert_predict_the_same(fitted("number"), other)


def test_a_load_in_place_of_an_older_fit(saved):
    model = CLASSIFIER(**FITS, early_stopping=True, dtype="float32", max_iter=2, random_state=0).fit(X, CODES)
    model.load_weights(saved)
    assert_predict_the_same(model, fitted("batch norm"))
    assert model.best_validation_score_ is None
    assert not {"_mask_state", "_optimizer", "_random_state"} & set(vars(model))


def edited(path, **changes):
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].item())
    header |= changes.pop("header", {})
    np.savez(path, **{**arrays, "header": np.array(json.dumps(header)), **changes})


def as_npy(path):
    with open(path, "wb") as file:
        np.save(file, np.ones(3))


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("weights"),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "flipped": lambda path: path.write_bytes(path.read_bytes().replace(b"relu"[:1] + b"\0\0\0e", b"x\0\0\0e")),
    "pickle": lambda path: path.write_bytes(pickle.dumps(fitted("classes"))),
    "npy": as_npy,
    "foreign npz": lambda path: np.savez(path, X=X),
    "objects": lambda path: edited(path, classes_=np.array(["few", "many", "none"], dtype=object)),
    "shapes": lambda path: edited(path, unfolded_coefs_0=np.ones((6, 4), np.float32)),
    "dtypes": lambda path: edited(path, unfolded_coefs_0=np.ones((4, 6))),
    "lacking": lambda path: edited(path, header={"units": [4, 6, 6, 3]}),
    "output": lambda path: edited(path, header={"out_activation": "softplus"}),
    "activation": lambda path: edited(path, header={"activation": [["relu"]]}),
    "NaN": lambda path: edited(path, unfolded_coefs_0=np.full((4, 6), np.nan, np.float32)),
    "labels": lambda path: edited(path, classes_=np.array([1, 1, 2])),
    "groups": lambda path: edited(path, groups_0=np.full(4, 10**9)),
    "rates": lambda path: edited(path, dropout_=np.array([0.5, np.nan])),
    "kinds": lambda path: edited(path, header={"dropout_kind": ["bernoulli"]}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_damaged_and_foreign_files_are_refused(damage, saved):
    damage(saved)
    model = copy.deepcopy(fitted("batch norm"))
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=r"path='.*saved.npz' is not a file of save_weights, or it is damaged"):
        model.load_weights(saved)
    assert pickle.dumps(model) == before


class Narrow(REGRESSOR):
    """With parameters of its own."""

    def __init__(self, width=5):
        super().__init__(hidden_layer_sizes=width, max_iter=2, random_state=0)
        self.width = width


def test_a_subclass_with_parameters_of_its_own_to_sklearn():
    model = Narrow().fit(X, X[:, 0])
    mlp = model.to_sklearn()
    np.testing.assert_array_equal(mlp.predict(X), model.predict(X))
    assert (mlp.hidden_layer_sizes, mlp.max_iter) == ((5,), 2)


def test_negative_variances_are_refused(saved):
    edited(saved, batch_norm_var_0=np.full(6, -1, np.float32))
    with pytest.raises(ValueError, match=r"batch_norm_var_0 \.\.\. must be at least 0"):
        CLASSIFIER(**FITS).load_weights(saved)


class Bomb:
    """What an attacker would put into a pickle."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["classes_", "header", "unfolded_coefs_0"])
def test_loading_runs_no_code(name, saved):
    ran = saved.with_name("ran")
    with np.load(saved) as file:
        np.savez(saved, **{**file, name: np.array([Bomb(ran)], dtype=object)})
    with pytest.raises(ValueError, match="Object arrays cannot be loaded when allow_pickle=False"):
        CLASSIFIER(**FITS).load_weights(saved)
    assert not ran.exists()
    with np.load(saved, allow_pickle=True) as file:
        assert name in file
        file[name]
    assert ran.exists()  # so it would have gone off


def test_a_newer_format_says_what_to_install(saved):
    edited(saved, header={"format": 2, "skdropout": "9.9"})
    with pytest.raises(ValueError, match=r"written by skdropout 9\.9 in a newer format .*: install skdropout 9\.9"):
        CLASSIFIER(**FITS).load_weights(saved)


def test_unfitted_estimators_and_missing_folders(tmp_path):
    with pytest.raises(NotFittedError):
        CLASSIFIER().save_weights(tmp_path / "w")
    with pytest.raises(FileNotFoundError, match=r"the folder .* does not exist"):
        fitted("classes").save_weights(tmp_path / "nowhere" / "w")
    with pytest.raises(FileNotFoundError):
        CLASSIFIER().load_weights(tmp_path / "w")
    with pytest.raises(ValueError, match="'alpha' parameter"):
        CLASSIFIER(alpha=-1).load_weights(tmp_path / "w")


def test_a_write_that_fails_leaves_the_older_file(saved, monkeypatch):
    before = saved.read_bytes()

    def disk_full(file, **arrays):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", disk_full)
    with pytest.raises(OSError, match="No space"):
        fitted("classes").save_weights(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_where_folders_cannot_be_opened_the_file_alone_is_written_to_the_disk(tmp_path, monkeypatch):
    windows = SimpleNamespace(name="nt", fsync=os.fsync, replace=os.replace)  # without `open`
    monkeypatch.setattr("skdropout._persistence.atomic.os", windows)
    fitted("classes").save_weights(tmp_path / "w")
    assert_predict_the_same(CLASSIFIER(**CASES["classes"][2]).load_weights(tmp_path / "w"), fitted("classes"))
    assert [path.name for path in tmp_path.iterdir()] == ["w"]

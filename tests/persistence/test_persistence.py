"""Saving and loading: pickle, skops, .npz, conversion to scikit-learn and ONNX, and files of older releases."""

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
    "spatial": (
        REGRESSOR,
        "numbers",
        {"dropout": 0.2, "dropout_schedule": "constant", "early_stopping": True, **SPATIAL},
    ),
    "counts": (
        REGRESSOR,
        "counts",
        {"loss": "poisson", "solver": "adamw", "learning_rate": "cosine", "dtype": "float32"},
    ),
    "linear": (REGRESSOR, "number", {"hidden_layer_sizes": (), "loss": "huber", "noise_variance": 0.5}),
    "variance": (REGRESSOR, "number", {"loss": "gaussian_nll", "dropout": 0.2, "batch_norm": "before_activation"}),
    "variances": (REGRESSOR, "numbers", {"loss": "gaussian_nll", "dtype": "float32", "early_stopping": True}),
}
ARCHITECTURE = {"hidden_layer_sizes", "activation", "batch_norm", "loss"}


@cache
def fitted(case):
    cls, target, params = CASES[case]
    model = cls(**{"hidden_layer_sizes": 6, "max_iter": 3, "random_state": 0, **params})
    weights = np.arange(60) % 3 if case == "spatial" else None
    return model.fit(X, TARGETS[target], sample_weight=weights)


@cache
def partially_fitted():
    """Return a classifier trained by partial_fit only."""
    return CLASSIFIER(6, random_state=0).partial_fit(X, TARGETS["words"], classes=["few", "many", "none", "other"])


MODELS = {**{case: (lambda case=case: fitted(case)) for case in CASES}, "partial_fit": partially_fitted}
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))


def targets_of(model):
    """Return training targets for the fitted model, with all of its classes."""
    if hasattr(model, "classes_") and model.out_activation_ == "softmax":
        return np.resize(model.classes_, 60)
    return model.predict(X)


def same_weights(a, b):
    pairs = zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True)
    return all(np.array_equal(u, v) and u.dtype == v.dtype for u, v in pairs)


def assert_same_predictions(a, b, rows=X):
    for method in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(a, method):
            first, second = getattr(a, method)(rows), getattr(b, method)(rows)
            np.testing.assert_array_equal(first, second)
            assert first.dtype == second.dtype
    if getattr(a, "conformity_scores_", None) is not None and hasattr(b, "predict_interval"):
        np.testing.assert_array_equal(a.predict_interval(rows, 0.7), b.predict_interval(rows, 0.7))


# Pickles, joblib, cloudpickle, skops


ROUNDTRIPS = {
    f"pickle {n}": lambda model, n=n: pickle.loads(pickle.dumps(model, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)
}
ROUNDTRIPS |= {"joblib": by_joblib, "cloudpickle": by_cloudpickle, "skops": by_skops}


@each_model
@pytest.mark.parametrize("roundtrip", ROUNDTRIPS.values(), ids=list(ROUNDTRIPS))
def test_loaded_model_predicts_samples_and_continues_training(model, roundtrip):
    loaded, original = roundtrip(model()), copy.deepcopy(model())
    # kept in files only after partial_fit
    dropped = set() if original._in_stream else {"_input_exponents", "_optimizer"}
    assert set(vars(loaded)) - {"_learning_rate"} == set(vars(original)) - dropped
    assert same_weights(loaded, original)
    assert_same_predictions(loaded, original)
    if original.solver == "lbfgs":
        return
    sample = "sample_proba" if hasattr(loaded, "sample_proba") else "sample_y"
    np.testing.assert_array_equal(*(getattr(m, sample)(X, dropout=m.dropout) for m in (loaded, original)))
    for m in (loaded, original):
        for name in dropped & set(vars(m)):
            delattr(m, name)
        np.random.seed(0)  # for random_state=None
        m.set_params(early_stopping=False, max_iter=9).partial_fit(X, targets_of(m))
    assert same_weights(loaded, original)


@each_model
def test_skops_file_has_one_untrusted_type(model):
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
def test_state_contains_only_plain_values(model):
    for value in leaves(model().__getstate__()):
        assert type(value) in {int, float, bool, str, type(None), np.ndarray, LabelBinarizer, np.random.RandomState}
        if isinstance(value, np.ndarray):
            assert value.dtype.kind in "biufU" or all(type(label) is str for label in value)


def test_custom_schedule_is_not_in_fitted_state():
    model = REGRESSOR(hidden_layer_sizes=4, dropout=0.2, dropout_schedule=lambda t: 1 - t, max_iter=3, random_state=0)
    model.fit(X, X[:, 0]).set_params(dropout_schedule="constant")
    assert_same_predictions(pickle.loads(pickle.dumps(model)), model)
    for estimator in (model, pickle.loads(pickle.dumps(model))):
        assert "<function" in estimator._noise[-1]
        mean, std = estimator.predict(X, return_std=True)
        np.testing.assert_array_equal(mean, model.predict(X))
        assert len(np.unique(std)) > 1  # sampled at rate 0.2


def test_deep_network_pickles_without_deep_recursion():
    model = REGRESSOR(hidden_layer_sizes=[1] * 300, max_iter=1, random_state=0).fit(X, X[:, 0])
    limit, depth, frame = sys.getrecursionlimit(), 0, sys._getframe()
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    try:
        sys.setrecursionlimit(depth + 40)
        loaded = pickle.loads(pickle.dumps(model))
    finally:
        sys.setrecursionlimit(limit)
    assert same_weights(model, loaded)


def test_memory_mapped_estimator_predicts(tmp_path):
    for case in ("classes", "batch norm"):
        joblib.dump(fitted(case), tmp_path / "model.joblib")
        assert_same_predictions(joblib.load(tmp_path / "model.joblib", mmap_mode="r"), fitted(case))


@pytest.mark.parametrize("batch_norm", [False, "before_activation", "after_activation"])
def test_file_size_is_close_to_weight_size(batch_norm, tmp_path):
    wide = np.tile(X, (1, 25))
    model = CLASSIFIER((200, 200), batch_norm=batch_norm, max_iter=2, random_state=0).fit(wide, CODES)
    size = sum(a.nbytes for a in model.coefs_ + model.intercepts_)
    joblib.dump(model, tmp_path / "joblib")
    model.save_weights(tmp_path / "npz")
    size += 400 * 8 * 6 if batch_norm else 0  # two scales and shifts, means, variances
    assert len(pickle.dumps(model)) < size + 8_000
    assert (tmp_path / "joblib").stat().st_size < size + 10_000
    assert (tmp_path / "npz").stat().st_size < size + 12_000
    skops_io = pytest.importorskip("skops.io")
    assert len(skops_io.dumps(model)) < size + 64_000  # skops writes JSON for each number outside of arrays


def test_replaced_weights_are_saved(tmp_path):
    model = copy.deepcopy(fitted("batch norm"))
    model.coefs_[0] = model.coefs_[0] / 2
    assert same_weights(pickle.loads(pickle.dumps(model)), model)
    model.save_weights(tmp_path / "npz")
    assert same_weights(with_same_architecture(model).load_weights(tmp_path / "npz"), model)


# Files of other releases

FILES = Path(__file__).parents[1] / "files"
CORPUS = sorted(path for path in FILES.glob("[0-9]*/*") if path.stem != "expected")


def load(path, architecture):
    if path.suffix == ".npz":
        return architecture().load_weights(path)
    if path.suffix == ".skops":
        skops_io = pytest.importorskip("skops.io")
        return skops_io.load(path, trusted=skops_io.get_untrusted_types(file=path))
    return joblib.load(path)  # also reads pickles


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_files_of_older_releases_predict_the_same(path):
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
    if hasattr(model, "predict_interval") and path.parent.name.startswith("0.1.0"):  # saved without calibration
        uncalibrated = copy.deepcopy(model)
        uncalibrated.variance_factor_ = np.ones(model.n_outputs_)
        parts = [m.predict_uncertainty(rows) for m in (model, uncalibrated)]
        np.testing.assert_array_equal(*(part.std for part in parts))
        with pytest.raises(ValueError, match="held-out rows"):
            model.predict_interval(rows)
        model.calibrate(rows, np.abs(predicted)).predict_interval(rows)


@cache
def known_models():
    return list(runpy.run_path(FILES / "make.py")["models"]())


def test_corpus_contains_this_release():
    release = re.match(r"\d+\.\d+\.\d+", skdropout.__version__).group()
    assert any(path.parent.name.startswith(f"{release}-") for path in CORPUS)
    assert sum(path.stat().st_size for path in FILES.rglob("[0-9]*/*")) < 200_000


def from_older_release(model, without=(), version="0.0.9"):
    """Return the model as loaded from a pickle of an older release."""
    state = {name: value for name, value in model.__getstate__().items() if name not in without}
    loaded = object.__new__(type(model))
    loaded.__setstate__({**state, "_skdropout_version": version} if version else state)
    return loaded


def test_parameter_missing_in_older_file_gets_default():
    loaded = from_older_release(fitted("classes"), without={"warmup_fraction", "_skdropout_version"}, version=None)
    assert loaded.warmup_fraction == 0.0
    assert_same_predictions(loaded, fitted("classes"))
    assert clone(loaded).get_params().keys() == loaded.get_params().keys()
    unfitted = from_older_release(CLASSIFIER(), without={"dropout_kind"})
    assert repr(unfitted) == repr(CLASSIFIER())


class Deep(DropoutMLPRegressor):
    """A regressor with a parameter without a default."""

    def __init__(self, depth, *, max_iter=2):
        super().__init__(hidden_layer_sizes=(4,) * depth, max_iter=max_iter)
        self.depth = depth


def test_parameter_without_default_comes_from_file():
    model = Deep(3).fit(X, X[:, 0])
    loaded = pickle.loads(pickle.dumps(model))
    assert (loaded.depth, len(loaded.coefs_)) == (3, 4)
    assert_same_predictions(loaded, model)
    assert not hasattr(from_older_release(model, without={"depth"}), "depth")


@pytest.mark.parametrize(
    ("case", "name", "version"),
    [("classes", "_noise", "0.0.9"), ("number", "noise_variance_", None), ("binary", "_label_binarizer", "0.0.9")],
)
def test_attribute_missing_in_older_file_raises(case, name, version):
    who = f"skdropout {version or 'before 0.1.0'}, without {name}, which {skdropout.__version__} needs: fit it again"
    with pytest.raises(ValueError, match=re.escape(who)):
        from_older_release(fitted(case), without={name, "_skdropout_version"}, version=version)


def test_file_of_newer_release_loads_with_warning():
    with pytest.warns(UserWarning, match=r"saved by skdropout 99\.1, but .* is installed: .*Install skdropout 99\.1"):
        loaded = from_older_release(fitted("classes"), version="99.1")
    assert_same_predictions(loaded, fitted("classes"))
    assert "_skdropout_version" not in vars(loaded)


# Conversion to scikit-learn


def rows_for(model):
    return X.astype(model.coefs_[0].dtype)


EXPRESSIBLE = [case for case in CASES if case not in {"single", "selu"}]


@pytest.mark.parametrize("case", [*EXPRESSIBLE, "partial_fit"])
def test_to_sklearn_predicts_the_same_bits(case):
    model = MODELS[case]()
    mlp = model.to_sklearn()
    assert type(mlp) is (MLPClassifier if isinstance(model, CLASSIFIER) else MLPRegressor)
    for container in (np.asarray, sparse.csr_array):
        assert_same_predictions(model, mlp, container(rows_for(model)))
    assert not any(np.shares_memory(a, b) for a, b in zip(model.coefs_, mlp.coefs_, strict=True))
    assert mlp.random_state is not model.random_state or isinstance(model.random_state, int)
    target = model.predict(X)
    assert mlp.score(rows_for(model), target) == model.score(rows_for(model), target)
    assert_same_predictions(model, pickle.loads(pickle.dumps(mlp)), rows_for(model))


@pytest.mark.parametrize("activation", ["identity", "logistic", "relu", "tanh"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_to_sklearn_activations(activation, dtype):
    params = {"hidden_layer_sizes": (5, 5), "activation": [activation, activation], "dtype": dtype}
    model = CLASSIFIER(**params, max_iter=2, random_state=0).fit(X, CODES)
    assert_same_predictions(model, model.to_sklearn(), rows_for(model))


@pytest.mark.parametrize("case", EXPRESSIBLE)
def test_to_sklearn_sets_fitted_attributes_and_continues_training(case):
    pandas = pytest.importorskip("pandas")
    model = clone(fitted(case))
    frame, target = pandas.DataFrame(X, columns=list("abcd")), TARGETS[CASES[case][1]]
    mlp = model.fit(frame, target).to_sklearn()
    refitted = clone(mlp).fit(frame, target)
    assert set(vars(refitted)) - set(vars(mlp)) <= {
        *("_random_state", "_optimizer", "_coef_indptr", "_intercept_indptr"),  # set by the next fit
        *("_best_coefs", "_best_intercepts"),  # only used by early stopping
    }
    assert list(mlp.feature_names_in_) == list("abcd")
    shared = set(refitted.get_params()) & set(model.get_params()) - {"activation", "hidden_layer_sizes", "random_state"}
    changed = {name for name in shared if repr(mlp.get_params()[name]) != repr(model.get_params()[name])}
    expected = {"counts": {"solver", "learning_rate"}, "linear": {"loss"}, "variance": {"loss"}, "variances": {"loss"}}
    assert changed == expected.get(case, set())
    assert mlp.out_activation_ == refitted.out_activation_
    before = copy.deepcopy(model.coefs_)
    if case != "lbfgs" and not mlp.early_stopping:
        mlp.partial_fit(frame, target)
    mlp.set_params(warm_start=True).fit(frame, target)
    assert not np.array_equal(mlp.coefs_[0], before[0])
    assert all(map(np.array_equal, model.coefs_, before))


def test_to_sklearn_raises_if_not_expressible():
    with pytest.raises(NotFittedError):
        CLASSIFIER().to_sklearn()
    with pytest.raises(
        ValueError, match=r"one activation for all hidden layers, of .* but this network has \['selu', 'tanh'\]"
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
def test_onnx_predicts_the_same(case, in_pipeline):
    rows, target = (3 * X + 1).astype(np.float32), TARGETS[CASES[case][1]]
    model = make_pipeline(StandardScaler() if in_pipeline else "passthrough", clone(fitted(case))).fit(rows, target)
    mlp = model[-1].to_sklearn()
    output = run_onnx(Pipeline([*model.steps[:-1], ("mlp", mlp)]) if in_pipeline else mlp, rows)
    if isinstance(mlp, MLPClassifier):
        np.testing.assert_array_equal(output[0], model.predict(rows))
        np.testing.assert_allclose(output[1], model.predict_proba(rows), atol=1e-6)
    else:
        np.testing.assert_allclose(output[0].ravel(), model.predict(rows), rtol=1e-5, atol=1e-6)


def test_onnx_workarounds():
    rows = X.astype(np.float32)
    counts = clone(fitted("counts")).fit(rows, TARGETS["counts"])
    mlp = counts.to_sklearn()
    mlp.out_activation_ = "identity"
    np.testing.assert_allclose(np.exp(run_onnx(mlp, rows)[0].ravel()), counts.predict(rows), rtol=1e-5)
    numbers = clone(fitted("spatial")).fit(rows, TARGETS["numbers"])
    output = run_onnx(numbers.to_sklearn(), rows)[0].reshape(-1, 2)
    np.testing.assert_allclose(output, numbers.predict(rows), rtol=1e-5, atol=1e-6)


def test_user_guide_code_blocks_run(tmp_path, monkeypatch):
    for name in ("skops", "skl2onnx", "onnxruntime"):
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "doc" / "persistence.rst").read_text()
    blocks = re.findall(r"code-block:: python\n\n((?:   .*\n|\n)+)", page)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(textwrap.dedent(block), "persistence.rst", "exec"), {})


# Weights without pickle


def with_same_architecture(model):
    """Return an unfitted estimator with the architecture of `model` and default parameters otherwise."""
    return type(model)(**{name: value for name, value in model.get_params().items() if name in ARCHITECTURE})


@pytest.fixture
def saved(tmp_path):
    fitted("batch norm").save_weights(tmp_path / "saved.npz")
    return tmp_path / "saved.npz"


@each_model
def test_load_weights_restores_prediction_and_training(model, tmp_path):
    model = copy.deepcopy(model())
    model.save_weights(str(tmp_path / "weights"))
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]
    loaded = with_same_architecture(model).load_weights(tmp_path / "weights")
    assert same_weights(model, loaded)
    assert_same_predictions(model, loaded)
    not_saved = {
        "_input_exponents",
        "_validation_mask",
        "_optimizer",
        "_learning_rate",
        "_rate_settings",
        "_in_stream",
        "_random_state",
        "_mask_state",
    }
    assert set(vars(model)) - set(vars(loaded)) == not_saved & set(vars(model))
    for name in model._fitted_names() - not_saved - {"_unfolded", "_label_binarizer"}:
        assert type(vars(model)[name]) is type(vars(loaded)[name]), name
        assert pickle.dumps(attribute_leaves(model, name)) == pickle.dumps(attribute_leaves(loaded, name)), name
    if model.solver == "lbfgs":
        return
    sample = "sample_proba" if isinstance(model, CLASSIFIER) else "sample_y"
    np.testing.assert_array_equal(*(getattr(m, sample)(X, 2, dropout=m.dropout_[1:]) for m in (model, loaded)))
    plain = {"random_state": 0, "early_stopping": False, "solver": "sgd", "learning_rate": "constant"}
    models = [copy.deepcopy(model), loaded]
    for m in models:  # with the same streams and new optimizers
        for name in not_saved & set(vars(m)):
            delattr(m, name)
        m.set_params(**{**model.get_params(), **plain}).partial_fit(X, targets_of(m))
    assert same_weights(*models)
    before = loaded.coefs_[-1]
    loaded.set_params(warm_start=True, learning_rate_init=1e-12, batch_norm=model.batch_norm).fit(X, targets_of(loaded))
    np.testing.assert_allclose(loaded.coefs_[-1], before, rtol=1 if model.batch_norm else 1e-3)


def attribute_leaves(model, name):
    return [np.asarray(value).tolist() for value in leaves(vars(model)[name])]


def test_weight_file_contains_plain_arrays(saved, tmp_path):
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
def test_loaded_labels_keep_their_type(labels, tmp_path):
    labels = np.asarray(labels)
    model = CLASSIFIER(3, max_iter=1).fit(X, labels[CODES % 2])
    model.save_weights(tmp_path / "w")
    loaded = CLASSIFIER(3).load_weights(tmp_path / "w")
    assert_same_predictions(model, loaded)
    assert [type(label) for label in loaded.classes_] == [type(label) for label in model.classes_]


def test_feature_names_are_restored(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "δ"])
    model = CLASSIFIER(3, max_iter=1).fit(frame, CODES)
    model.save_weights(tmp_path / "w")
    loaded = CLASSIFIER(3).load_weights(tmp_path / "w")
    assert_same_predictions(model, loaded, frame)
    assert loaded.feature_names_in_.dtype == object
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(frame.rename(columns={"a": "z"}))


@pytest.mark.parametrize("labels", [[Decimal(1), Decimal(2), Decimal(3)], ["a", "b", "c\0"]], ids=str)
def test_labels_that_need_pickle_raise(labels, tmp_path):
    model = copy.deepcopy(fitted("classes"))
    model.classes_ = np.array(labels, dtype=object)
    with pytest.raises(ValueError, match=r"classes_ contains objects other than strings or numbers.*Fit on labels"):
        model.save_weights(tmp_path / "w")
    assert not list(tmp_path.iterdir())


FITS = {"hidden_layer_sizes": (6,), "batch_norm": "before_activation"}


@pytest.mark.parametrize(
    ("given", "found", "fix"),
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
def test_mismatched_parameters_are_named(given, found, fix, saved):
    model = CLASSIFIER(**{**FITS, **given})
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=re.escape(found) + r": call set_params\(.*" + re.escape(fix)):
        model.load_weights(saved)
    assert pickle.dumps(model) == before


def test_loss_and_estimator_type_are_checked(saved, tmp_path):
    with pytest.raises(
        ValueError, match="contains the weights of a classifier, but DropoutMLPRegressor is a regressor"
    ):
        REGRESSOR(**FITS).load_weights(saved)
    fitted("counts").save_weights(tmp_path / "w")
    with pytest.raises(ValueError, match=r"with loss='squared_error': call set_params\(loss='poisson'\)"):
        REGRESSOR(hidden_layer_sizes=6).load_weights(tmp_path / "w")
    fitted("number").save_weights(tmp_path / "w")
    other = REGRESSOR("huber", 6, batch_norm="after_dropout").load_weights(tmp_path / "w")  # both outputs are identity
    assert_same_predictions(fitted("number"), other)


def test_load_weights_replaces_older_fit(saved):
    model = CLASSIFIER(**FITS, early_stopping=True, dtype="float32", max_iter=2, random_state=0).fit(X, CODES)
    model.load_weights(saved)
    assert_same_predictions(model, fitted("batch norm"))
    assert model.best_validation_score_ is None
    assert not {"_mask_state", "_optimizer", "_random_state"} & set(vars(model))


def edit(path, **changes):
    """Change arrays and header fields of a file of weights."""
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].item())
    header |= changes.pop("header", {})
    np.savez(path, **{**arrays, "header": np.array(json.dumps(header)), **changes})


def write_npy(path):
    with open(path, "wb") as file:
        np.save(file, np.ones(3))


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("weights"),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "changed byte": lambda path: path.write_bytes(path.read_bytes().replace(b"r\0\0\0e", b"x\0\0\0e")),
    "pickle": lambda path: path.write_bytes(pickle.dumps(fitted("classes"))),
    "npy": write_npy,
    "foreign npz": lambda path: np.savez(path, X=X),
    "object array": lambda path: edit(path, classes_=np.array(["few", "many", "none"], dtype=object)),
    "shapes": lambda path: edit(path, unfolded_coefs_0=np.ones((6, 4), np.float32)),
    "dtypes": lambda path: edit(path, unfolded_coefs_0=np.ones((4, 6))),
    "missing layer": lambda path: edit(path, header={"units": [4, 6, 6, 3]}),
    "output activation": lambda path: edit(path, header={"out_activation": "softplus"}),
    "activation": lambda path: edit(path, header={"activation": [["relu"]]}),
    "NaN": lambda path: edit(path, unfolded_coefs_0=np.full((4, 6), np.nan, np.float32)),
    "duplicate labels": lambda path: edit(path, classes_=np.array([1, 1, 2])),
    "groups": lambda path: edit(path, groups_0=np.full(4, 10**9)),
    "rates": lambda path: edit(path, dropout_=np.array([0.5, np.nan])),
    "kinds": lambda path: edit(path, header={"dropout_kind": ["bernoulli"]}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_damaged_and_foreign_files_raise(damage, saved):
    damage(saved)
    model = copy.deepcopy(fitted("batch norm"))
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=r"path='.*saved.npz' was not written by save_weights, or is damaged"):
        model.load_weights(saved)
    assert pickle.dumps(model) == before


class Narrow(REGRESSOR):
    """A regressor with other parameters."""

    def __init__(self, width=5):
        super().__init__(hidden_layer_sizes=width, max_iter=2, random_state=0)
        self.width = width


def test_to_sklearn_of_subclass_with_other_parameters():
    model = Narrow().fit(X, X[:, 0])
    mlp = model.to_sklearn()
    np.testing.assert_array_equal(mlp.predict(X), model.predict(X))
    assert (mlp.hidden_layer_sizes, mlp.max_iter) == ((5,), 2)


@pytest.mark.parametrize(
    "damage",
    [
        {"conformity_scores_": np.ones(0)},
        {"conformity_scores_": np.ones(6)},
        {"conformity_scores_": np.ones((6, 3))},
        {"conformity_scores_": np.full((6, 2), np.nan)},
        {"conformity_scores_": np.full((6, 2), -1.0)},
        {"_conformity_weights": np.ones(7)},
        {"_conformity_weights": np.full((6, 1), 1.0)},
        {"conformity_scores_": np.ones((2, 2)), "_conformity_weights": np.array([1.0, 0.0])},
    ],
)
def test_damaged_conformity_scores_raise(damage, tmp_path):
    model = fitted("spatial")
    assert model.conformity_scores_.shape[1] == 2
    assert 3 < len(model._conformity_weights) < 7
    model.save_weights(tmp_path / "weights.npz")
    arrays = dict(np.load(tmp_path / "weights.npz"))
    np.savez(tmp_path / "damaged.npz", **arrays | damage)
    with pytest.raises(ValueError, match=r"damaged .*conformity_scores_ must be the non-negative scores"):
        with_same_architecture(model).load_weights(tmp_path / "damaged.npz")


def test_negative_variances_raise(saved):
    edit(saved, batch_norm_var_0=np.full(6, -1, np.float32))
    with pytest.raises(ValueError, match=r"batch_norm_var_0 \.\.\. must be at least 0"):
        CLASSIFIER(**FITS).load_weights(saved)


class Exploit:
    """An object whose pickle runs code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["classes_", "header", "unfolded_coefs_0"])
def test_loading_executes_no_code(name, saved):
    ran = saved.with_name("ran")
    with np.load(saved) as file:
        np.savez(saved, **{**file, name: np.array([Exploit(ran)], dtype=object)})
    with pytest.raises(ValueError, match="Object arrays cannot be loaded when allow_pickle=False"):
        CLASSIFIER(**FITS).load_weights(saved)
    assert not ran.exists()
    with np.load(saved, allow_pickle=True) as file:
        assert name in file
        file[name]
    assert ran.exists()  # the code runs with allow_pickle=True


def test_newer_format_error_says_what_to_install(saved):
    edit(saved, header={"format": 2, "skdropout": "9.9"})
    with pytest.raises(ValueError, match=r"written by skdropout 9\.9 in a newer format .*: install skdropout 9\.9"):
        CLASSIFIER(**FITS).load_weights(saved)


def test_unfitted_estimator_and_missing_folder_raise(tmp_path):
    with pytest.raises(NotFittedError):
        CLASSIFIER().save_weights(tmp_path / "w")
    with pytest.raises(FileNotFoundError, match=r"the folder .* does not exist"):
        fitted("classes").save_weights(tmp_path / "nowhere" / "w")
    with pytest.raises(FileNotFoundError):
        CLASSIFIER().load_weights(tmp_path / "w")
    with pytest.raises(ValueError, match="'alpha' parameter"):
        CLASSIFIER(alpha=-1).load_weights(tmp_path / "w")


def test_failed_write_keeps_existing_file(saved, monkeypatch):
    before = saved.read_bytes()

    def disk_full(file, **arrays):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", disk_full)
    with pytest.raises(OSError, match="No space"):
        fitted("classes").save_weights(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_save_weights_if_folder_cannot_be_opened(tmp_path, monkeypatch):
    windows = SimpleNamespace(name="nt", fsync=os.fsync, replace=os.replace)  # has no `open`
    monkeypatch.setattr("skdropout._persistence.atomic.os", windows)
    fitted("classes").save_weights(tmp_path / "w")
    assert_same_predictions(CLASSIFIER(**CASES["classes"][2]).load_weights(tmp_path / "w"), fitted("classes"))
    assert [path.name for path in tmp_path.iterdir()] == ["w"]

"""Networks converted to ONNX give the same results, also in pipelines, searches and ensembles."""

import sys

import numpy as np
import pytest
from covering import covering
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, PowerTransformer, StandardScaler

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor, register_onnx
from skdropout._onnx import OPERATORS
from skdropout.engine.activations import ACTIVATIONS, OUTPUTS, Activation
from skdropout.engine.losses import LOSSES

onnxruntime = pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")
pytestmark = [
    pytest.mark.filterwarnings("ignore:batch_norm=.* has no effect:UserWarning"),  # without hidden layers
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # from skl2onnx and onnx
]

rng = np.random.RandomState(0)
X = rng.normal(size=(120, 5))
SCORE = X[:, 0] + X[:, 1] ** 2 + 0.3 * rng.normal(size=120)
CODES = np.digitize(SCORE, [0.3, 1.5])
TARGETS = {
    "three": CODES,
    "int8": CODES.astype(np.int8),
    "large": CODES * 10**12,
    "two": CODES > 0,
    "words": np.array(["few", "many", "none"])[CODES],
    "two words": np.array(["no", "yes"], dtype=object)[(CODES > 0).astype(int)],
    "floats": CODES.astype(float),
    "single": np.full(120, 7),
    "single word": np.full(120, "all"),
    "multilabel": np.column_stack([SCORE > 0, SCORE > 1, X[:, 2] > 0]).astype(int),
    "two labels": np.column_stack([SCORE > 0, X[:, 2] > 0]).astype(int),
}
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}


@pytest.fixture(autouse=True, scope="module")
def _register():
    register_onnx()
    register_onnx()  # a second call has no effect


def run(model, X, **options):
    """Return the outputs of the converted model for X and their declared shapes."""
    onnx = skl2onnx.to_onnx(model, X[:1], **options)
    session = onnxruntime.InferenceSession(onnx.SerializeToString(), providers=["CPUExecutionProvider"])
    declared = [output.shape for output in session.get_outputs()]
    return session.run(None, {session.get_inputs()[0].name: X}), declared


def check_classifier(model, X, **kwargs):
    kwargs.setdefault("options", {"zipmap": False})
    (labels, proba), _ = run(model, X, **kwargs)
    expected = model.predict(X)
    if expected.dtype.kind in "OU":
        assert labels.tolist() == expected.tolist()
    else:
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(labels, expected)
    assert proba.dtype == X.dtype
    np.testing.assert_allclose(proba, model.predict_proba(X), rtol=0, atol=TOLERANCE[X.dtype.type])


def check_regressor(model, X, tolerance=None, **kwargs):
    ((y,), (declared,)) = run(model, X, **kwargs)
    expected = model.predict(X)
    assert y.dtype == X.dtype
    assert y.shape == (len(X), expected.size // len(X))  # one column per output
    assert declared[1] == y.shape[1]
    tolerance = tolerance or TOLERANCE[X.dtype.type] * np.abs(expected).max()
    np.testing.assert_allclose(y.reshape(expected.shape), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target", TARGETS)
def test_labels_and_probabilities(target, dtype):
    model = DropoutMLPClassifier(6, max_iter=5, random_state=0).fit(X.astype(dtype), TARGETS[target])
    check_classifier(model, X.astype(dtype))


# onnxruntime computes the error function of gelu with float32 precision
GELU_TOLERANCE = {("gelu", np.float64): 1e-6}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation, dtype):
    X_wide = (3 * X).astype(dtype)
    model = DropoutMLPRegressor("squared_error", (7, 6), activation, dropout=0.1, max_iter=5, random_state=0)
    check_regressor(model.fit(X_wide, SCORE), X_wide, GELU_TOLERANCE.get((activation, dtype)))


def test_all_activations_and_outputs_have_onnx_operators():
    outputs = {OUTPUTS[name] for name in OUTPUTS.keys() - {"gaussian"}}  # only the means are converted
    assert {row.forward for row in ACTIVATIONS.values()} | outputs == set(OPERATORS)


@pytest.mark.parametrize(
    ("hidden", "activation", "batch_norm", "trained_in", "run_in"),
    covering(
        [(), (6,), (6, 4), (6, 5, 4)],
        ["relu", "mixed"],
        [False, "before_activation", "after_activation", "after_dropout"],
        [np.float32, np.float64],
        [np.float32, np.float64],
    ),
)
@pytest.mark.parametrize("cls", [DropoutMLPClassifier, DropoutMLPRegressor])
def test_architectures(cls, hidden, activation, batch_norm, trained_in, run_in):
    if activation == "mixed":
        activation = ["tanh", "silu", "elu"][: len(hidden)]
    params = {"dropout": 0.2 if hidden else (), "batch_norm": batch_norm, "max_iter": 5, "random_state": 0}
    model = cls(hidden_layer_sizes=hidden, activation=activation, **params)
    model.fit(X.astype(trained_in), CODES)
    X_run = X.astype(run_in)
    if trained_in is not run_in:  # one side computes in float32, the other in float64
        tolerance = 1e-5
        if cls is DropoutMLPRegressor:
            check_regressor(model, X_run, tolerance)
        else:
            (_, proba), _ = run(model, X_run, options={"zipmap": False})
            np.testing.assert_allclose(proba, model.predict_proba(X_run), rtol=0, atol=tolerance)
    else:
        (check_regressor if cls is DropoutMLPRegressor else check_classifier)(model, X_run)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("loss", [name for name, row in LOSSES.items() if not row.for_classifier])
def test_losses_and_number_of_outputs(loss, n_outputs, dtype):
    y = np.round(np.abs(np.column_stack([SCORE, X[:, 2], X[:, 3]])))
    y = y[:, 0] if n_outputs == 1 else y
    model = DropoutMLPRegressor(loss, 6, max_iter=5, random_state=0).fit(X.astype(dtype), y)
    check_regressor(model, X.astype(dtype))


clf = DropoutMLPClassifier(6, max_iter=4, random_state=0)
pipe = make_pipeline(StandardScaler(), clf)
GRID, INNER = {"alpha": [1e-3]}, {"dropoutmlpclassifier__alpha": [1e-3]}
CONTAINERS = {
    "pipeline": pipe,
    "nested": make_pipeline(StandardScaler(), pipe),
    "grid": GridSearchCV(clf, GRID, cv=2),
    "grid of pipelines": GridSearchCV(pipe, INNER, cv=2),
    "grid in a pipeline": make_pipeline(StandardScaler(), GridSearchCV(clf, GRID, cv=2)),
    "random": RandomizedSearchCV(pipe, INNER, n_iter=1, cv=2),
    "random in a pipeline": make_pipeline(StandardScaler(), RandomizedSearchCV(clf, GRID, n_iter=1, cv=2)),
    "halving": HalvingGridSearchCV(pipe, INNER, cv=2),
    "random halving": HalvingRandomSearchCV(pipe, INNER, n_candidates=1, cv=2, random_state=0),
    "calibrated": CalibratedClassifierCV(pipe, cv=2),
    "bagging": BaggingClassifier(pipe, n_estimators=2, random_state=0),
    "stacking": make_pipeline(StandardScaler(), StackingClassifier([("mlp", clf)], cv=2)),
    "one-vs-rest": make_pipeline(StandardScaler(), OneVsRestClassifier(clf)),
}


@pytest.mark.parametrize("case", CONTAINERS)
def test_containers(case):
    rows = (5 + 3 * X).astype(np.float32)
    model = clone(CONTAINERS[case]).fit(rows, TARGETS["words"])
    for options in ({"zipmap": False}, {id(model): {"zipmap": False}}):
        check_classifier(model, rows, options=options)
    (labels, maps), _ = run(model, rows)  # by default, one dict per row
    assert labels.tolist() == model.predict(rows).tolist()
    proba = np.array([[row[label] for label in model.classes_] for row in maps])
    np.testing.assert_allclose(proba, model.predict_proba(rows), rtol=0, atol=1e-5)


def test_frozen_estimator():
    rows = X.astype(np.float32)
    check_classifier(FrozenEstimator(clone(clf).fit(rows, CODES)), rows)


def test_regressors_in_containers():
    rows = (5 + 3 * X).astype(np.float32)
    reg = DropoutMLPRegressor(hidden_layer_sizes=6, max_iter=4, random_state=0)
    for model in (
        make_pipeline(StandardScaler(), reg),
        GridSearchCV(make_pipeline(StandardScaler(), reg), {"dropoutmlpregressor__alpha": [0.1]}, cv=2),
        RandomizedSearchCV(make_pipeline(StandardScaler(), reg), {"memory": [None]}, n_iter=1, cv=2),
    ):
        check_regressor(model.fit(rows, SCORE), rows)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ["one", "two", "identity", "minmax", "exp", "expm1", "search", "random", "pipeline"])
def test_transformed_targets(case, dtype):
    rows, y = (5 + 3 * X).astype(dtype), 500 + 100 * SCORE
    reg = make_pipeline(StandardScaler(), DropoutMLPRegressor(hidden_layer_sizes=6, max_iter=4, random_state=0))
    if case == "two":
        y = np.column_stack([y, 3 - SCORE])
    functions = {"exp": {"func": np.log, "inverse_func": np.exp}, "expm1": {"func": np.log1p, "inverse_func": np.expm1}}
    transformer = {"identity": None, "minmax": MinMaxScaler()}.get(case, StandardScaler())
    model = TransformedTargetRegressor(reg, **functions.get(case, {"transformer": transformer}))
    if case == "search":
        model = GridSearchCV(model, {"regressor__dropoutmlpregressor__alpha": [0.1]}, cv=2)
    elif case == "random":
        model = TransformedTargetRegressor(
            RandomizedSearchCV(reg, {"memory": [None]}, n_iter=1, cv=2), transformer=StandardScaler()
        )
    elif case == "pipeline":
        model = make_pipeline(StandardScaler(), model)
    check_regressor(model.fit(rows, y), rows)


@pytest.mark.parametrize(
    "transformer",
    [PowerTransformer(), PCA(), FunctionTransformer(np.arcsinh, np.sinh)],
    ids=["power", "pca", "function"],
)
def test_nonlinear_target_transformers_raise(transformer):
    y = np.column_stack([SCORE, SCORE + X[:, 1]])
    reg = DropoutMLPRegressor(hidden_layer_sizes=6, max_iter=4, random_state=0)
    model = TransformedTargetRegressor(reg, transformer=transformer, check_inverse=False).fit(X, y)
    with pytest.raises(ValueError, match=r"does not scale and shift each target separately: convert regressor_"):
        run(model, X)


def test_conversion_options():
    rows = X.astype(np.float32)
    model = clone(clf).fit(rows, TARGETS["words"])
    outputs, _ = run(model, rows, options={"zipmap": "columns"})
    np.testing.assert_allclose(np.column_stack(outputs[1:]), model.predict_proba(rows), atol=1e-5)
    outputs, _ = run(model, rows, options={"zipmap": False, "output_class_labels": True})
    assert outputs[2].tolist() == ["few", "many", "none"]
    (codes, _), _ = run(model, rows, options={"zipmap": False, "nocl": True})
    np.testing.assert_array_equal(model.classes_[codes], model.predict(rows))
    for opset in (13, 17, 21):
        check_classifier(model, rows, target_opset=opset)


def test_integer_inputs():
    rows = np.round(3 * X).astype(np.int64)
    model = clone(clf).fit(rows.astype(float), CODES)
    (labels, proba), _ = run(model, rows, options={"zipmap": False})
    assert proba.dtype == np.float32
    np.testing.assert_array_equal(labels, model.predict(rows))
    np.testing.assert_allclose(proba, model.predict_proba(rows), atol=1e-5)


def test_custom_activations_raise(monkeypatch):
    rows = X.astype(np.float32)
    monkeypatch.setitem(ACTIVATIONS, "cube", Activation(cube, cube_derivative, from_input=True))
    model = DropoutMLPRegressor(hidden_layer_sizes=4, activation="cube", max_iter=2).fit(rows, SCORE)
    with pytest.raises(ValueError, match="Cannot convert the custom activation 'cube'"):
        run(model, rows)
    monkeypatch.setitem(ACTIVATIONS, "linear", ACTIVATIONS["identity"])  # another name for a supported function
    check_regressor(model.set_params(activation="linear").fit(rows, SCORE), rows)


def cube(z):
    np.power(z, 3, out=z)


def cube_derivative(z, out):
    np.multiply(3 * z, z, out=out)


def test_scikit_learn_estimators_still_convert():
    rows = X.astype(np.float32)
    check_classifier(LogisticRegression().fit(rows, CODES), rows)


def test_missing_skl2onnx_raises(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match="register_onnx needs skl2onnx; install it"):
        register_onnx()

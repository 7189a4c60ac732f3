"""Features of the estimators: input types, weights, scoring, validation data, streams, tuning."""

import inspect
import pickle
import signal
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers import SKLEARN
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, get_scorer, log_loss, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils import get_tags

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

X_iris, y_iris = load_iris(return_X_y=True)
X_cancer, y_cancer = load_breast_cancer(return_X_y=True)
X_cancer = scale(X_cancer)
X_diabetes, y_diabetes = (scale(a) for a in load_diabetes(return_X_y=True))
ESTIMATORS = {
    DropoutMLPClassifier: (MLPClassifier, X_iris, y_iris),
    DropoutMLPRegressor: (MLPRegressor, X_diabetes, y_diabetes),
}
estimators = pytest.mark.parametrize("estimator", ESTIMATORS)


# The signature


@estimators
def test_the_signature_extends_that_of_scikit_learn(estimator):
    theirs = inspect.signature(ESTIMATORS[estimator][0]).parameters
    ours = inspect.signature(estimator).parameters
    assert [p for p in ours if p in theirs] == list(theirs)
    for name, parameter in theirs.items():
        assert (ours[name].kind, ours[name].default) == (parameter.kind, parameter.default), name
    for name in set(ours) - set(theirs):
        assert ours[name].kind is inspect.Parameter.KEYWORD_ONLY
    methods = {m for m in dir(ESTIMATORS[estimator][0]) if not m.startswith("_")}
    assert methods <= set(dir(estimator))


@pytest.mark.skipif(SKLEARN < (1, 9), reason="the promise is about scikit-learn 1.9")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
@estimators
def test_fitted_attributes_include_those_of_scikit_learn(estimator, solver, early_stopping):
    params = {"solver": solver, "early_stopping": early_stopping, "max_iter": 3}
    reference, X, y = ESTIMATORS[estimator]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # lbfgs warns that it uses no validation set
        public = [
            {name for name in vars(model.fit(X, y)) if name.endswith("_")}
            for model in (reference(**params), estimator(dropout=0, **params))
        ]
    assert public[0] <= public[1]
    ours = {"dropout_", "dropout_curve_", "noise_variance_", "variance_factor_", "conformity_scores_"}
    assert public[1] - public[0] <= ours | {"validation_loss_curve_"}


@estimators
def test_init_does_nothing_and_clone_is_faithful(estimator):
    rates = [0.1, 0.3]
    model = estimator(hidden_layer_sizes=[7, 5], dropout=rates)
    assert model.dropout is rates
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        model.predict(X_iris)


@estimators
def test_a_new_fit_forgets_the_old(estimator):
    _, X, y = ESTIMATORS[estimator]
    model = estimator(early_stopping=True, max_iter=3, random_state=0).fit(pd.DataFrame(X).add_prefix("c"), y)
    model.set_params(solver="lbfgs", dropout=0, early_stopping=False).fit(X, y)
    reference = estimator(solver="lbfgs", dropout=0, max_iter=3, random_state=0).fit(X, y)
    assert set(vars(model)) == set(vars(reference))


# Rates


@pytest.mark.parametrize(
    ("dropout", "expected"),
    [
        (0.3, (0.1, 0.3, 0.3)),
        (np.float64(0.3), (0.1, 0.3, 0.3)),
        (np.float32(0.25), (0.1, 0.25, 0.25)),
        (np.array(0.3), (0.1, 0.3, 0.3)),
        (0, (0.1, 0.0, 0.0)),
        ((0.2, 0.5), (0.1, 0.2, 0.5)),
        ([0, 0.5], (0.1, 0.0, 0.5)),
        (np.array([0.2, 0.5]), (0.1, 0.2, 0.5)),
        (pd.Series([0.2, 0.5]), (0.1, 0.2, 0.5)),
    ],
    ids=repr,
)
@estimators
def test_one_rate_for_all_layers_or_one_per_layer(estimator, dropout, expected):
    _, X, y = ESTIMATORS[estimator]
    model = estimator(
        hidden_layer_sizes=(6, 5), dropout=dropout, input_dropout=0.1, dropout_schedule="constant", max_iter=2
    ).fit(X, y)
    assert model.dropout_ == pytest.approx(expected)
    assert all(type(rate) is float for rate in model.dropout_)


@pytest.mark.parametrize(
    "params", [{"hidden_layer_sizes": (), "dropout": 0.5}, {"hidden_layer_sizes": (), "dropout": ()}]
)
@pytest.mark.filterwarnings("ignore:dropout=0.5 has no effect")
@estimators
def test_without_hidden_layers_there_is_nothing_to_drop(estimator, params):
    _, X, y = ESTIMATORS[estimator]
    a, b = (
        estimator(**params, random_state=0, max_iter=5).fit(X, y),
        estimator(hidden_layer_sizes=(), dropout=0, random_state=0, max_iter=5).fit(X, y),
    )
    np.testing.assert_array_equal(a.coefs_[0], b.coefs_[0])


@estimators
def test_rates_share_initial_weights_split_and_batches(estimator):
    _, X, y = ESTIMATORS[estimator]
    X = X / np.abs(X).max(axis=0)  # larger columns are scaled with dropout only
    models = [
        estimator(
            dropout=rate, random_state=0, max_iter=1, early_stopping=True, learning_rate_init=1e-12, solver="sgd"
        ).fit(X, y)
        for rate in (0.0, 0.5)
    ]
    for a, b in zip(*(model.coefs_ for model in models), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
    assert models[0].validation_scores_ == pytest.approx(models[1].validation_scores_)
    states = [model._random_state.random_sample() for model in models]
    assert states[0] == states[1]


@estimators
def test_the_same_seed_gives_the_same_network_and_another_a_different_one(estimator):
    _, X, y = ESTIMATORS[estimator]
    a, b, c = (estimator(dropout=0.5, max_iter=3, random_state=seed).fit(X, y).coefs_[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)


@estimators
def test_random_state_may_be_none_or_an_instance(estimator):
    _, X, y = ESTIMATORS[estimator]
    state = np.random.RandomState(0)
    models = [estimator(max_iter=1, random_state=s).fit(X, y) for s in (None, None, state, state)]
    weights = [model.coefs_[0] for model in models]
    assert len({w.tobytes() for w in weights}) == 4


# The effect of dropout


def test_dropout_regularizes():
    """On 120 digits, a quarter of them mislabelled, dropout fits the training rows less and the true labels better."""
    X, y = load_digits(return_X_y=True)
    rng = np.random.RandomState(0)
    labels = np.where(rng.random_sample(len(y)) < 0.25, rng.randint(10, size=len(y)), y)
    params = {"hidden_layer_sizes": (128, 128), "max_iter": 60, "batch_size": 32, "learning_rate_init": 0.003}
    train, test = {}, {}
    for rate in (0.0, 0.5):
        models = [
            DropoutMLPClassifier(
                dropout=rate, input_dropout=0.4 * rate, dtype="float32", random_state=seed, **params
            ).fit(X[seed::15] / 16, labels[seed::15])
            for seed in range(8)
        ]
        train[rate] = np.mean([model.loss_ for model in models])
        test[rate] = np.array([log_loss(y, model.predict_proba(X / 16)) for model in models])
    assert train[0.5] > 10 * train[0.0]
    gain = test[0.0] - test[0.5]
    assert gain.mean() > 5 * gain.std(ddof=1) / np.sqrt(len(gain))


def test_prediction_draws_no_random_number(monkeypatch):
    clf = DropoutMLPClassifier(dropout=0.5, max_iter=5, random_state=0).fit(X_iris, y_iris)

    def never(*args, **kwargs):
        raise AssertionError("prediction drew a random number")

    for target in (
        "skdropout.engine.rng.random_words",
        "skdropout._fit.prepare.mask_stream",
        "skdropout._fit.prepare.check_random_state",
    ):
        monkeypatch.setattr(target, never)
    state = np.random.get_state()[1].copy()
    first = clf.predict_proba(X_iris)
    np.testing.assert_array_equal(first, clf.predict_proba(X_iris))
    np.testing.assert_array_equal(state, np.random.get_state()[1])
    one_by_one = np.vstack([clf.predict_proba(row[np.newaxis]) for row in X_iris])
    np.testing.assert_allclose(one_by_one, first, rtol=1e-12)


# Input types


@pytest.mark.parametrize(
    "container",
    [
        sparse.csr_matrix,
        sparse.csr_array,
        sparse.csc_matrix,
        sparse.csc_array,
        np.asfortranarray,
        np.ndarray.tolist,
        pd.DataFrame,
    ],
)
@estimators
def test_containers_of_X(estimator, container):
    _, X, y = ESTIMATORS[estimator]
    X = np.where(np.abs(X) < 0.5, 0, X)
    params = {"random_state": 0, "max_iter": 5, "batch_size": 50}
    expected = estimator(**params).fit(X, y).predict(X)
    model = estimator(**params).fit(container(X), y)
    got = model.predict(container(X))
    if estimator is DropoutMLPClassifier:
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-8)


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csc_array])
@estimators
def test_sparse_input_dropout_learns(estimator, container):
    _, X, y = ESTIMATORS[estimator]
    X = np.where(np.abs(X) < 0.5, 0, X)
    kept = container(X).copy()
    model = estimator(input_dropout=0.2, random_state=0, max_iter=100, batch_size=50).fit(kept, y)
    assert model.score(kept, y) > (0.9 if estimator is DropoutMLPClassifier else 0.4)
    np.testing.assert_array_equal(kept.toarray(), X)


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int8, np.int64, bool, np.float16, np.float32, np.float64, np.longdouble, object]
)
@estimators
def test_dtypes_of_X(estimator, dtype):
    _, X, y = ESTIMATORS[estimator]
    X = (np.abs(X) * 3).astype(dtype)
    model = estimator(max_iter=5, random_state=0).fit(X, y)
    expected = np.float32 if dtype is np.float32 else np.float64
    assert {a.dtype for a in model.coefs_ + model.intercepts_} == {np.dtype(expected)}
    reference = estimator(max_iter=5, random_state=0).fit(X.astype(expected), y)
    np.testing.assert_array_equal(model.coefs_[0], reference.coefs_[0])
    np.testing.assert_array_equal(model.predict(X), reference.predict(X.astype(expected)))


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@estimators
def test_the_dtype_to_compute_in(estimator, solver, dtype):
    _, X, y = ESTIMATORS[estimator]
    extra = {"dropout": 0} if solver == "lbfgs" else {"input_dropout": 0.1}
    model = estimator(solver=solver, dtype=dtype, max_iter=20, random_state=0, **extra)
    model.fit(X, y, sample_weight=np.ones(len(y)))
    assert {a.dtype for a in model.coefs_ + model.intercepts_} == {np.dtype(dtype)}
    assert model._network().predict(X).dtype == dtype
    if solver != "lbfgs":
        model.partial_fit(X.astype(np.float64), y)
        assert {a.dtype for a in model.coefs_} == {np.dtype(dtype)}
        assert all(a.dtype == dtype for a in vars(model._optimizer).values() if isinstance(a, np.ndarray))


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["x", "y", "z"]),
        np.array(["x", "y", "z"], dtype=object),
        np.array([-5, 3, 100]),
        np.array([0.0, 1.0, 2.0]),
    ],
    ids=["str", "object", "int", "float"],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_of_every_kind(labels, n_classes):
    y = labels[np.minimum(y_iris, n_classes - 1)]
    clf = DropoutMLPClassifier(
        max_iter=60, random_state=0, early_stopping=True, n_iter_no_change=50, learning_rate_init=0.01
    )
    clf.fit(X_iris, y, X_val=X_iris, y_val=y)
    np.testing.assert_array_equal(clf.classes_, labels[:n_classes])
    assert clf.score(X_iris, y) > 0.9
    assert clf.predict_proba(X_iris).shape == (150, n_classes)


def test_boolean_and_multilabel_targets():
    y = y_iris == 1
    clf = DropoutMLPClassifier(max_iter=20, random_state=0).fit(X_iris, y)
    assert clf.predict(X_iris).dtype == bool
    Y = np.eye(3, dtype=int)[y_iris]
    params = {"max_iter": 500, "dropout": 0.1, "random_state": 0, "n_iter_no_change": 50}
    dense = DropoutMLPClassifier(**params).fit(X_iris, Y)
    assert dense.predict(X_iris).shape == Y.shape
    assert dense.score(X_iris, Y) > 0.8
    as_sparse = DropoutMLPClassifier(**params).fit(X_iris, sparse.csr_array(Y))
    np.testing.assert_array_equal(as_sparse.coefs_[0], dense.coefs_[0])


def test_many_classes_need_no_dense_indicators():
    import tracemalloc

    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(100_000, 2)).astype(np.float32), rng.randint(100, size=100_000)
    clf = DropoutMLPClassifier((2,), max_iter=1, batch_size=5000, random_state=0)
    tracemalloc.start()
    clf.fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15e6  # one-hot in bytes would be 10 MB, in floats 40 MB or 80; X itself is 0.8


def test_multi_output_regression_and_column_targets():
    Y = np.column_stack([y_diabetes, -y_diabetes])
    reg = DropoutMLPRegressor(max_iter=50, random_state=0).fit(X_diabetes, Y)
    assert reg.predict(X_diabetes).shape == Y.shape
    with pytest.warns(sklearn.exceptions.DataConversionWarning):
        reg = DropoutMLPRegressor(max_iter=2).fit(X_diabetes, y_diabetes[:, np.newaxis])
    assert reg.predict(X_diabetes).ndim == 1


# Weights


@pytest.mark.parametrize("weight", ["balanced", {0: 4.0, 1: 1.0, 2: 0.5}, {1: 3.0}])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weight_is_a_sample_weight(weight, solver):
    from sklearn.utils.class_weight import compute_sample_weight

    X, y = X_iris[:120], y_iris[:120]
    extra = {"solver": solver, "dropout": 0.3 if solver == "adam" else 0, "random_state": 0, "max_iter": 10}
    own = np.random.RandomState(0).uniform(0.5, 2, 120)
    rows = compute_sample_weight(weight, y)
    a = DropoutMLPClassifier(class_weight=weight, **extra).fit(X, y)
    b = DropoutMLPClassifier(**extra).fit(X, y, sample_weight=rows)
    np.testing.assert_allclose(a.coefs_[0], b.coefs_[0], rtol=1e-9)
    if weight != "balanced":
        a = DropoutMLPClassifier(class_weight=weight, **extra).fit(X, y, sample_weight=own)
        b = DropoutMLPClassifier(**extra).fit(X, y, sample_weight=rows * own)
        np.testing.assert_allclose(a.coefs_[0], b.coefs_[0], rtol=1e-9)


def test_class_weight_moves_the_decision_and_reaches_partial_fit_and_validation_rows():
    X, y = X_cancer[:, :2], y_cancer
    recall = {}
    for weight in (None, {0: 20.0, 1: 1.0}):
        clf = DropoutMLPClassifier(class_weight=weight, max_iter=60, random_state=0).fit(X, y)
        recall[str(weight)] = np.mean(clf.predict(X)[y == 0] == 0)
    assert recall["{0: 20.0, 1: 1.0}"] > recall["None"]
    clf = DropoutMLPClassifier(class_weight={"a": 5.0, "c": 2.0}, random_state=0)
    clf.partial_fit(X[:20], np.where(y[:20] > 0, "a", "b"), classes=["a", "b", "c"])
    np.testing.assert_array_equal(clf.class_weight_, [5, 1, 2])
    clf = DropoutMLPClassifier(class_weight="balanced", max_iter=3, random_state=0)
    clf.fit(X, y, X_val=X[y == 1], y_val=y[y == 1])  # the validation set lacks a class
    assert len(clf.validation_scores_) == 3


def test_balanced_weights_with_a_class_of_weight_zero():
    weights = (y_iris != 2).astype(float)
    clf = DropoutMLPClassifier(class_weight="balanced", max_iter=5, random_state=0).fit(
        X_iris, y_iris, sample_weight=weights
    )
    assert np.isfinite(clf.loss_curve_).all()


# Early stopping and the score it monitors


def split(seed=0):
    order = np.random.RandomState(seed).permutation(len(y_cancer))
    return order[:400], order[400:]


@pytest.mark.parametrize(
    "scoring",
    [None, "loss", "roc_auc", "neg_log_loss", get_scorer("balanced_accuracy"), lambda e, X, y: -len(e.loss_curve_)],
)
def test_scoring_is_monitored_and_the_best_weights_are_restored(scoring):
    train, test = split()
    clf = DropoutMLPClassifier(early_stopping=True, scoring=scoring, max_iter=60, n_iter_no_change=5, random_state=0)
    clf.fit(X_cancer[train], y_cancer[train], X_val=X_cancer[test], y_val=y_cancer[test])
    assert len(clf.validation_scores_) == len(clf.validation_loss_curve_) == clf.n_iter_
    loss = log_loss(y_cancer[test], clf.predict_proba(X_cancer[test]))
    # the default is the loss: accuracy on few rows stops too early
    best = int(np.argmin(clf.validation_loss_curve_) if scoring is None else np.argmax(clf.validation_scores_))
    assert clf.best_validation_score_ == clf.validation_scores_[best]
    assert clf.validation_loss_curve_[best] == pytest.approx(loss, rel=1e-6)
    if callable(scoring) and not hasattr(scoring, "_score_func"):
        assert (clf.n_iter_, best) == (7, 0)  # worse at every epoch: restore the first weights
    elif scoring == "loss":
        assert clf.best_validation_score_ == pytest.approx(-loss)
    else:
        scorer = get_scorer(scoring or "accuracy") if not callable(scoring) else scoring
        assert clf.best_validation_score_ == pytest.approx(scorer(clf, X_cancer[test], y_cancer[test]))


def test_the_regressor_monitors_r2_or_the_given_score():
    for scoring in (None, "neg_mean_absolute_error", "loss"):
        reg = DropoutMLPRegressor(early_stopping=True, scoring=scoring, max_iter=30, random_state=0)
        reg.fit(X_diabetes[:300], y_diabetes[:300], X_val=X_diabetes[300:], y_val=y_diabetes[300:])
        prediction = reg.predict(X_diabetes[300:])
        expected = {
            None: r2_score(y_diabetes[300:], prediction),
            "neg_mean_absolute_error": -np.mean(np.abs(y_diabetes[300:] - prediction)),
            "loss": -0.5 * np.mean((y_diabetes[300:] - prediction) ** 2),
        }[scoring]
        assert reg.best_validation_score_ == pytest.approx(expected)


def test_a_scorer_that_takes_no_weights_gets_none():
    def scorer(estimator, X, y):
        return estimator.score(X, y)

    for scoring in (scorer, "neg_max_error"):
        estimator = DropoutMLPClassifier if callable(scoring) else DropoutMLPRegressor
        model = estimator(scoring=scoring, early_stopping=True, max_iter=3)
        model.fit(X_iris, y_iris, sample_weight=np.full(150, 2.0))
        assert len(model.validation_scores_) == 3


def test_an_error_of_the_scorer_names_it():
    with pytest.raises(ValueError, match="scoring='f1' failed on the validation set"):
        DropoutMLPClassifier(scoring="f1", early_stopping=True).fit(X_iris, y_iris)


def test_validation_weights_count():
    train, test = split()
    weights = np.random.RandomState(0).uniform(0, 5, len(test))
    clf = DropoutMLPClassifier(early_stopping=True, max_iter=10, random_state=0)
    clf.fit(X_cancer[train], y_cancer[train], X_val=X_cancer[test], y_val=y_cancer[test], sample_weight_val=weights)
    expected = accuracy_score(y_cancer[test], clf.predict(X_cancer[test]), sample_weight=weights)
    assert clf.best_validation_score_ == pytest.approx(expected)


def test_class_weights_count_in_validation():
    train, test = split()
    clf = DropoutMLPClassifier(class_weight={0: 5.0, 1: 1.0}, early_stopping=True, max_iter=10, random_state=0)
    clf.fit(X_cancer[train], y_cancer[train], X_val=X_cancer[test], y_val=y_cancer[test])
    weights = np.where(y_cancer[test] == 0, 5.0, 1.0)
    expected = accuracy_score(y_cancer[test], clf.predict(X_cancer[test]), sample_weight=weights)
    assert clf.best_validation_score_ == pytest.approx(expected)


def test_validation_weights_reach_a_scorer_that_takes_them():
    seen = []

    def scorer(estimator, X, y, sample_weight=None):
        seen.append(sample_weight)
        return 0.0

    weights = np.arange(1.0, 151)
    clf = DropoutMLPClassifier(scoring=scorer, max_iter=1)
    clf.fit(X_iris, y_iris, X_val=X_iris, y_val=y_iris, sample_weight_val=weights)
    np.testing.assert_array_equal(seen[0], weights)


@pytest.mark.parametrize("scoring", [None, "loss"])
def test_the_validation_loss_of_several_outputs_is_their_mean(scoring):
    Y = np.column_stack([y_diabetes, -2 * y_diabetes, y_diabetes**2])
    reg = DropoutMLPRegressor(max_iter=3, scoring=scoring, random_state=0)
    reg.fit(X_diabetes, Y, X_val=X_diabetes, y_val=Y)
    expected = 0.5 * np.mean((reg.predict(X_diabetes) - Y) ** 2)
    assert reg.validation_loss_curve_[-1] == pytest.approx(expected)
    if scoring == "loss":
        assert reg.validation_scores_[-1] == pytest.approx(-expected)


def test_validation_data_without_early_stopping_are_recorded_only():
    train, test = split()
    params = {"max_iter": 10, "random_state": 0}
    watched = DropoutMLPClassifier(**params).fit(
        X_cancer[train], y_cancer[train], X_val=X_cancer[test], y_val=y_cancer[test]
    )
    alone = DropoutMLPClassifier(**params).fit(X_cancer[train], y_cancer[train])
    np.testing.assert_array_equal(watched.coefs_[0], alone.coefs_[0])
    assert len(watched.validation_scores_) == 10
    assert alone.validation_scores_ is None


def test_a_scorer_gets_rows_without_a_warning_about_names():
    frame = pd.DataFrame(X_cancer, columns=[f"c{i}" for i in range(30)])
    clf = DropoutMLPClassifier(early_stopping=True, scoring="roc_auc", max_iter=3).fit(frame, y_cancer)
    assert list(clf.feature_names_in_) == list(frame.columns)
    clf.predict(frame)


# Streams of rows


@estimators
def test_partial_fit_learns(estimator):
    _, X, y = ESTIMATORS[estimator]
    model = estimator(dropout=0.1, random_state=0, batch_size=25, learning_rate_init=0.005)
    extra = {"classes": np.unique(y)} if estimator is DropoutMLPClassifier else {}
    for _ in range(15):
        for start in range(0, len(y), 50):
            rows = slice(start, start + 50)
            model.partial_fit(X[rows], y[rows], np.ones(len(y[rows])), **extra)
    assert model.n_iter_ == 1
    assert model.t_ == 15 * len(y)
    assert model.score(X, y) > (0.9 if estimator is DropoutMLPClassifier else 0.45)


def test_partial_fit_multilabel():
    Y = np.eye(3, dtype=int)[y_iris]
    clf = DropoutMLPClassifier(random_state=0, learning_rate_init=0.01)
    for _ in range(60):
        clf.partial_fit(X_iris, Y, classes=[0, 1, 2])
    assert clf.score(X_iris, Y) > 0.8


# Interrupts


@pytest.fixture
def _ctrl_c():
    """Make Ctrl-C raise KeyboardInterrupt even if the shell that runs the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_ctrl_c_keeps_the_trained_weights(early_stopping):
    def interrupt(estimator, X, y):
        if len(estimator.loss_curve_) == 4:
            signal.raise_signal(signal.SIGINT)
        return accuracy_score(y, estimator.predict(X))

    clf = DropoutMLPClassifier(early_stopping=early_stopping, scoring=interrupt, random_state=0)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        clf.fit(X_cancer, y_cancer, X_val=X_cancer, y_val=y_cancer)
    assert clf.n_iter_ == len(clf.loss_curve_) == 4
    assert clf.score(X_cancer, y_cancer) > 0.8


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_in_the_first_batch(monkeypatch):
    from skdropout.engine.backprop import Backprop

    def interrupt(*args):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Backprop, "data_loss_and_grad", interrupt)
    clf = DropoutMLPClassifier(random_state=0, early_stopping=True)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        clf.fit(X_cancer, y_cancer)
    assert clf.n_iter_ == 0
    assert clf.predict(X_cancer).shape == y_cancer.shape


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_in_lbfgs(monkeypatch):
    from skdropout.engine.backprop import Backprop

    calls, loss_and_grad = [], Backprop.loss_and_grad

    def interrupt(self, *args):
        calls.append(1)
        if len(calls) == 10:
            signal.raise_signal(signal.SIGINT)
        return loss_and_grad(self, *args)

    monkeypatch.setattr(Backprop, "loss_and_grad", interrupt)
    clf = DropoutMLPClassifier(solver="lbfgs", dropout=0, random_state=0)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        clf.fit(X_cancer, y_cancer)
    assert 0 < clf.n_iter_ < 10
    assert clf.score(X_cancer, y_cancer) > 0.9


# scikit-learn's tools


def test_grid_search_over_scalars_and_tuples():  # in parallel: test_tuning.py
    model = make_pipeline(StandardScaler(), DropoutMLPClassifier((12, 8), max_iter=5, random_state=0))
    grid = {"dropoutmlpclassifier__dropout": [0.0, 0.2, (0.1, 0.4)]}
    search = GridSearchCV(model, grid, cv=2).fit(X_iris, y_iris)
    expected = [
        cross_val_score(clone(model).set_params(dropoutmlpclassifier__dropout=rate), X_iris, y_iris, cv=2).mean()
        for rate in grid["dropoutmlpclassifier__dropout"]
    ]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected)


@pytest.mark.skipif(SKLEARN < (1, 8), reason="a Pipeline routes no weights to score")
def test_metadata_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        clf = DropoutMLPClassifier(max_iter=3, random_state=0).set_fit_request(
            sample_weight=True, X_val=True, y_val=True
        )
        clf.set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        weights = np.where(y_iris == 0, 0.5, 1.0)
        search = GridSearchCV(make_pipeline(scaler, clf), {"dropoutmlpclassifier__dropout": [0.0, 0.3]}, cv=2)
        search.fit(X_iris, y_iris, sample_weight=weights)
        requests = clf.get_metadata_routing().fit.requests
        assert {"sample_weight", "X_val", "y_val", "sample_weight_val"} <= set(requests)
        assert "classes" in clf.get_metadata_routing().partial_fit.requests


@pytest.mark.skipif(SKLEARN < (1, 8), reason="X_val in a Pipeline")
def test_validation_data_pass_through_a_pipeline():
    with sklearn.config_context(enable_metadata_routing=True):
        clf = DropoutMLPClassifier(early_stopping=True, max_iter=100, random_state=0).set_fit_request(
            X_val=True, y_val=True
        )
        model = make_pipeline(StandardScaler(), clf, transform_input=["X_val"])
        model.fit(X_cancer * 50 + 7, y_cancer, X_val=X_cancer * 50 + 7, y_val=y_cancer)
        assert max(model[-1].validation_scores_) == pytest.approx(model.score(X_cancer * 50 + 7, y_cancer))


def test_tags():
    clf, reg = get_tags(DropoutMLPClassifier()), get_tags(DropoutMLPRegressor())
    assert clf.input_tags.sparse
    assert reg.input_tags.sparse
    assert clf.classifier_tags.multi_label
    assert reg.target_tags.multi_output
    assert clf.estimator_type == "classifier"
    assert reg.estimator_type == "regressor"


@estimators
def test_html_representation_links_to_the_documentation(estimator):
    html = estimator(dropout=0.3)._repr_html_()
    assert estimator.__name__ in html
    assert f"https://skdropout.readthedocs.io/en/stable/api/skdropout.{estimator.__name__}.html" in html


def test_repr_is_short():
    assert repr(DropoutMLPClassifier(dropout=(0.1, 0.2))) == "DropoutMLPClassifier(dropout=(0.1, 0.2))"


def test_verbose_prints_why_training_ends(capsys):  # tests of its lines: test_callbacks.py
    clf = DropoutMLPClassifier(verbose=True, solver="sgd", learning_rate="adaptive", tol=1.0, n_iter_no_change=1)
    clf.fit(X_iris, y_iris)
    out = capsys.readouterr().out
    assert "Setting learning rate to" in out
    assert "Stopping." in out


def test_a_linear_network_is_logistic_regression():
    clf = DropoutMLPClassifier((), solver="lbfgs", dropout=0, alpha=1.0, tol=1e-8, max_iter=1000, random_state=0)
    clf.fit(X_cancer, y_cancer)
    expected = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(X_cancer, y_cancer)
    np.testing.assert_allclose(clf.coefs_[0].ravel(), expected.coef_.ravel(), atol=5e-3)


@estimators
def test_fit_does_not_change_its_inputs(estimator):
    _, X, y = ESTIMATORS[estimator]
    weights = np.ones(len(y))
    data = [X.copy(), y.copy(), weights.copy()]
    for array in data:
        array.flags.writeable = False
    estimator(max_iter=3, input_dropout=0.2).fit(*data)
    for before, after in zip((X, y, weights), data, strict=True):
        np.testing.assert_array_equal(before, after)


def test_convergence_warning_is_scikit_learns():
    messages = []
    for model in (MLPClassifier(max_iter=2), DropoutMLPClassifier(max_iter=2)):
        with pytest.warns(ConvergenceWarning) as record:
            model.fit(X_iris, y_iris)
        messages.append(str(record[0].message))
    assert messages[0] == messages[1]


# NumPy scalars, as searches and data frames pass them

SCALARS = {
    "hidden_layer_sizes": [np.int64(4), np.uint8(4), (np.int32(4),), np.array(4), np.array([4])],
    "activation": [np.str_("tanh"), [np.str_("tanh")]],
    "solver": [np.str_("sgd"), np.str_("adamw")],
    "alpha": [np.float32(0.1), np.float16(0.1), np.int64(1)],
    "batch_size": [np.int64(7), np.str_("auto")],
    "learning_rate": [np.str_("cosine")],
    "learning_rate_init": [np.float32(0.01)],
    "power_t": [np.float32(0.3)],
    "max_iter": [np.int64(2)],
    "shuffle": [np.False_],
    "random_state": [np.int64(3), np.uint32(3)],
    "tol": [np.float32(0.1)],
    "verbose": [np.False_],
    "warm_start": [np.True_],
    "momentum": [np.float32(0.3)],
    "nesterovs_momentum": [np.False_],
    "early_stopping": [np.True_],
    "validation_fraction": [np.float32(0.25)],
    "beta_1": [np.float32(0.3)],
    "beta_2": [np.float32(0.3)],
    "epsilon": [np.float32(1e-4)],
    "n_iter_no_change": [np.int64(3), np.float32(np.inf)],
    "max_fun": [np.int64(9)],
    "dropout": [np.float32(0.3), np.float16(0.3), np.array(0.3), [np.float32(0.3)], np.float32([0.3])],
    "input_dropout": [np.float32(0.3)],
    "dropout_kind": [np.str_("gaussian"), [np.str_("gaussian")]],
    "mask_sharing": [np.str_("batch")],
    "dropout_schedule": [np.str_("annealed")],
    "group_size": [np.int64(2), np.array(2), [np.int8(2)]],
    "input_groups": [np.array([0, 0, 1, 1]), np.array(list("aabb"))],
    "batch_norm": [np.False_, np.str_("after_activation")],
    "max_norm": [np.float32(0.3), np.int64(1)],
    "clip_norm": [np.float32(0.3)],
    "l1_ratio": [np.float32(0.3)],
    "warmup_fraction": [np.float32(0.3)],
    "scoring": [np.str_("loss")],
    "class_weight": [np.str_("balanced"), {np.int64(0): np.float32(2), np.int64(1): np.int64(1)}],
    "label_smoothing": [np.float32(0.1)],
    "loss": [np.str_("huber")],
    "quantile": [np.float32(0.3)],
    "noise_variance": [np.float32(0.3), np.array(0.3), np.float32([0.3])],
}
NEEDS = {
    "group_size": {"dropout_kind": "spatial"},
    "quantile": {"loss": "quantile"},
    "scoring": {"early_stopping": True},
    "power_t": {"learning_rate": "invscaling", "solver": "sgd"},
    "momentum": {"solver": "sgd"},
    "nesterovs_momentum": {"solver": "sgd"},
    "max_fun": {"solver": "lbfgs", "dropout": 0, "input_dropout": 0},
    "validation_fraction": {"early_stopping": True},
    "l1_ratio": {"alpha": 0.3},
}


def as_python(value):
    """Convert NumPy objects to Python objects."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return type(value)(map(as_python, value))
    return {as_python(k): as_python(v) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in SCALARS for value in SCALARS[name]], ids=repr)
@estimators
def test_every_parameter_takes_the_scalars_of_numpy(estimator, name, value, tmp_path):
    if name not in inspect.signature(estimator).parameters:
        pytest.skip(f"{estimator.__name__} has no {name}")
    X, y = X_diabetes[:40, :4], np.arange(40) % 2
    params = {"hidden_layer_sizes": 4, "dropout": [0.2], "input_dropout": 0.1, "max_iter": 3, "random_state": 0}
    params |= {"batch_size": 10, "learning_rate_init": 0.05} | NEEDS.get(name, {})
    model = estimator(**params | {name: value}).fit(X, y)
    reference = estimator(**params | {name: as_python(value)}).fit(X, y)
    for V, W in zip(model.coefs_, reference.coefs_, strict=True):
        np.testing.assert_array_equal(V, W)
    assert getattr(clone(model), name) is not None
    model.save_weights(tmp_path / "weights.npz")
    if name != "batch_size":
        np.testing.assert_array_equal(
            clone(reference).load_weights(tmp_path / "weights.npz").predict(X), model.predict(X)
        )
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    if hasattr(model, "partial_fit") and not model.early_stopping and not isinstance(value, str):
        np.testing.assert_array_equal(model.partial_fit(X, y).predict(X), reference.partial_fit(X, y).predict(X))


def test_the_table_of_scalars_has_every_parameter():
    names = {*inspect.signature(DropoutMLPClassifier).parameters, *inspect.signature(DropoutMLPRegressor).parameters}
    assert names == {*SCALARS, "dtype"}


@pytest.mark.parametrize(
    "dtype", ["f4", "single", ">f4", np.single, np.dtype("float32"), np.dtype(">f4"), np.str_("float32")], ids=repr
)
@estimators
def test_a_dtype_is_what_numpy_makes_float32_of(estimator, dtype, tmp_path):
    X, y = X_diabetes[:40], np.arange(40) % 2
    model, reference = (estimator(hidden_layer_sizes=4, max_iter=2, random_state=0) for _ in range(2))
    model.set_params(dtype=dtype).fit(X, y)
    reference.set_params(dtype="float32").fit(X, y)
    assert model.coefs_[0].dtype == np.float32
    assert model.coefs_[0].dtype.isnative
    np.testing.assert_array_equal(model.coefs_[0], reference.coefs_[0])
    assert clone(model).fit(X, y).dtype == dtype
    model.save_weights(tmp_path / "weights.npz")
    clone(model).load_weights(tmp_path / "weights.npz")
    model.partial_fit(X, y)


@pytest.mark.parametrize("dtype", ["d", "double", float, ">f8", np.dtype("f8"), X_iris.dtype], ids=repr)
@estimators
def test_a_dtype_is_what_numpy_makes_float64_of(estimator, dtype):
    X, y = X_diabetes[:40].astype(np.float32), np.arange(40) % 2
    assert estimator(hidden_layer_sizes=4, max_iter=2, dtype=dtype).fit(X, y).coefs_[0].dtype == np.dtype("f8")


def test_the_loss_of_a_classifier_is_an_attribute_as_in_scikit_learn():
    clf = DropoutMLPClassifier(max_iter=2)
    assert clf.loss == MLPClassifier().loss == "log_loss"
    assert "loss" not in clf.get_params()
    for reference in (clone(clf), pickle.loads(pickle.dumps(clf.fit(X_iris, y_iris))), clf):
        assert reference.loss == "log_loss"
    with pytest.raises(ValueError, match="Invalid parameter 'loss'"):
        clf.set_params(loss="hinge")


class FixedSolver(DropoutMLPClassifier):
    """A subclass that fixes parameters and removes their constraints, as scikit-learn's own subclasses do."""

    _parameter_constraints = {
        name: row
        for name, row in DropoutMLPClassifier._parameter_constraints.items()
        if name in {"hidden_layer_sizes", "max_iter", "random_state"}
    }

    def __init__(self, hidden_layer_sizes=(8,), max_iter=20, random_state=None):
        super().__init__(hidden_layer_sizes, solver="sgd", max_iter=max_iter, random_state=random_state)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_subclass_may_remove_the_constraints_of_parameters_that_it_fixes():
    fixed = FixedSolver(random_state=0).fit(X_iris, y_iris)
    clf = DropoutMLPClassifier((8,), solver="sgd", max_iter=20, random_state=0).fit(X_iris, y_iris)
    np.testing.assert_array_equal(fixed.predict_proba(X_iris), clf.predict_proba(X_iris))

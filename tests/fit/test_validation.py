"""Validation sets: absent classes, unknown labels, targets on another scale, and the split of a warm start."""

import copy
import pickle
import warnings
from contextlib import suppress
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers import needs_callbacks
from scipy.sparse import csr_array
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    d2_log_loss_score,
    f1_score,
    get_scorer_names,
    jaccard_score,
    log_loss,
    make_scorer,
    precision_score,
    recall_score,
    roc_auc_score,
    top_k_accuracy_score,
)
from sklearn.preprocessing import (
    FunctionTransformer,
    LabelEncoder,
    MinMaxScaler,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
    scale,
)
from sklearn.utils.fixes import parse_version

from skdropout import Checkpoint, DropoutMLPClassifier, DropoutMLPRegressor, EarlyStopping
from skdropout._fit.prepare import validation_mask

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 4))
CODES = np.digitize(X[:, 0] + 0.5 * rng.normal(size=120), [-0.6, 0.3, 1.0])
LABELS = np.array(["a", "b", "c", "rare"])[CODES]
VAL = np.flatnonzero(LABELS != "rare")[:40]
Small = partial(DropoutMLPClassifier, 8, max_iter=3, learning_rate_init=0.02, random_state=0)


# Absent classes


def one_vs_rest(score, classes, y, P, **weights):
    return np.mean([score(y == c, P[:, i], **weights) for i, c in enumerate(classes) if (y == c).any()])


def one_vs_one(classes, y, P, average=None, weight=None):
    weight = np.ones(len(y)) if weight is None else weight
    areas, sizes = [], []
    for a, b in combinations([i for i, c in enumerate(classes) if (y == c).any()], 2):
        rows = (y == classes[a]) | (y == classes[b])
        pair = [roc_auc_score(y[rows] == classes[i], P[rows, i], sample_weight=weight[rows]) for i in (a, b)]
        areas.append(np.mean(pair))
        sizes.append(weight[rows].sum())
    return np.average(areas, weights=sizes if average == "weighted" else None)


def brier(classes, y, P):
    return ((P - (y[:, None] == classes)) ** 2).sum(axis=1).mean()


def weighted_one_vs_rest(score, classes, y, P):
    present = [i for i, c in enumerate(classes) if (y == c).any()]
    counts = [(y == classes[i]).sum() for i in present]
    return np.average([score(y == classes[i], P[:, i]) for i in present], weights=counts)


EXPECTED = {  # from the classes, the labels, the probabilities and the predictions
    "neg_log_loss": lambda c, y, P, p: -log_loss(y, P, labels=c),
    "neg_brier_score": lambda c, y, P, p: -brier(c, y, P),
    "d2_log_loss_score": lambda c, y, P, p: d2_log_loss_score(y, P, labels=c),
    "roc_auc_ovr": lambda c, y, P, p: one_vs_rest(roc_auc_score, c, y, P),
    "roc_auc_ovr_weighted": lambda c, y, P, p: weighted_one_vs_rest(roc_auc_score, c, y, P),
    "roc_auc_ovo": lambda c, y, P, p: one_vs_one(c, y, P),
    "roc_auc_ovo_weighted": lambda c, y, P, p: one_vs_one(c, y, P, "weighted"),
    "average_precision": lambda c, y, P, p: one_vs_rest(average_precision_score, c, y, P),
    "top_k_accuracy": lambda c, y, P, p: top_k_accuracy_score(y, P, labels=c, k=2),
    "balanced_accuracy": lambda c, y, P, p: np.mean([(p[y == k] == k).mean() for k in np.unique(y)]),
    "f1_macro": lambda c, y, P, p: f1_score(y, p, labels=c, average="macro", zero_division=0),
    "f1_micro": lambda c, y, P, p: np.mean(y == p),
    "f1_weighted": lambda c, y, P, p: f1_score(y, p, labels=c, average="weighted", zero_division=0),
    "precision_macro": lambda c, y, P, p: precision_score(y, p, labels=c, average="macro", zero_division=0),
    "recall_macro": lambda c, y, P, p: recall_score(y, p, labels=c, average="macro", zero_division=0),
    "jaccard_macro": lambda c, y, P, p: jaccard_score(y, p, labels=c, average="macro", zero_division=0),
    "accuracy": lambda c, y, P, p: np.mean(y == p),
}
EXPECTED = {name: expected for name, expected in EXPECTED.items() if name in get_scorer_names()}  # some are new in 1.8
OLDER = parse_version(sklearn.__version__) < parse_version("1.8")


def fitted(scoring, y=LABELS, val=VAL, **params):
    clf = Small(scoring=scoring, **params).fit(X, y, X_val=X[val], y_val=y[val])
    return clf, clf.classes_, y[val], clf.predict_proba(X[val]), clf.predict(X[val])


@pytest.mark.parametrize(
    "y", [LABELS, CODES, CODES * 1.0, LABELS.astype(object)], ids=["str", "int", "float", "object"]
)
@pytest.mark.parametrize("scoring", EXPECTED)
def test_scores_with_absent_classes(scoring, y):
    if OLDER and scoring == "average_precision" and y.dtype.kind in "UO":
        pytest.skip("scikit-learn < 1.8 computes it for numbers only")
    for absent in (["rare"], ["a", "rare"]):
        val = np.flatnonzero(~np.isin(LABELS, absent))[:40]
        clf, *known = fitted(scoring, y, val)
        assert clf.validation_scores_[-1] == pytest.approx(EXPECTED[scoring](*known), rel=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")  # for splits with every class
def test_split_without_the_rare_class_does_not_fail():
    data, n_absent = np.random.default_rng(1).normal(size=(300, 3)), 0
    for seed in range(20):
        y = np.random.RandomState(seed).permutation([0] * 147 + [1] * 147 + [2] * 6)
        scoring = list(EXPECTED)[seed % len(EXPECTED)]
        clf = Small(scoring=scoring, early_stopping=True, max_iter=2).set_params(random_state=seed).fit(data, y)
        n_absent += 2 not in y[validation_mask(vars(clf))]
    assert n_absent > 5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_scores_with_all_classes_equal_those_of_scikit_learn():
    every = np.arange(60)
    for name in EXPECTED:
        clf, *_ = fitted(name, CODES, every)
        assert clf.validation_scores_[-1] == sklearn.metrics.get_scorer(name)(clf, X[every], CODES[every])


@pytest.mark.parametrize("val", [VAL, np.arange(60)], ids=["absent", "all"])
def test_one_vs_one_scores_use_weights(val):
    """scikit-learn rejects weights here, but class_weight produces some."""
    for params in ({"class_weight": "balanced"}, {"class_weight": {"a": 3.0, "b": 1.0, "c": 0.5, "rare": 1.0}}):
        clf, classes, y, P, _ = fitted("roc_auc_ovo_weighted", val=val, **params)
        weight = clf.class_weight_[np.searchsorted(classes, y)]
        assert clf.validation_scores_[-1] == pytest.approx(one_vs_one(classes, y, P, "weighted", weight), rel=1e-9)


def test_class_of_weight_zero_counts_as_absent():
    weight = np.where(LABELS == "rare", 0.0, rng.uniform(1, 2, size=120))[:60]
    y = LABELS[:60]
    clf = Small(scoring="roc_auc_ovr").fit(X, LABELS, X_val=X[:60], y_val=y, sample_weight_val=weight)
    P, rest = clf.predict_proba(X[:60]), y != "rare"
    expected = one_vs_rest(roc_auc_score, clf.classes_, y[rest], P[rest], sample_weight=weight[rest])
    assert clf.validation_scores_[-1] == pytest.approx(expected, rel=1e-9)


def test_scorers_from_make_scorer_know_the_classes():
    scorers = {
        "neg_log_loss": make_scorer(log_loss, greater_is_better=False, response_method="predict_proba"),
        "roc_auc_ovr": make_scorer(partial(roc_auc_score, multi_class="ovr"), response_method="predict_proba"),
        "average_precision": make_scorer(average_precision_score, response_method="predict_proba", average="macro"),
    }
    for name, scorer in scorers.items():
        clf, *known = fitted(scorer, CODES)
        assert clf.validation_scores_[-1] == pytest.approx(EXPECTED[name](*known), rel=1e-9)
    two = make_scorer(f1_score, average="macro", labels=["a", "b"], pos_label=None)  # labels of the user are kept
    clf, _, y, _, p = fitted(two)
    assert clf.validation_scores_[-1] == f1_score(y, p, labels=["a", "b"], average="macro")
    adjusted = make_scorer(balanced_accuracy_score, adjusted=True)
    clf, *known = fitted(adjusted)
    score = EXPECTED["balanced_accuracy"](*known)
    assert clf.validation_scores_[-1] == pytest.approx((score - 1 / 3) / (1 - 1 / 3))


def test_failing_user_scorer_names_the_absent_class():
    def score(estimator, X, y):
        return -log_loss(y, estimator.predict_proba(X))

    with pytest.raises(
        ValueError, match=r"scoring=<function .*no row of class 'rare': provide validation rows of every"
    ):
        fitted(score)
    with pytest.raises(ValueError, match=r"became nan in epoch 1, with.*no row of class 'rare'"):
        fitted(lambda estimator, X, y: np.nan)


UNDEFINED = {"roc_auc", "average_precision", "matthews_corrcoef", "d2_log_loss_score", "positive_likelihood_ratio"}


@pytest.mark.parametrize("scoring", sorted(UNDEFINED & set(get_scorer_names())))
@pytest.mark.parametrize("absent", [0, 1])
def test_undefined_binary_scores_name_the_absent_class(scoring, absent):
    y = (CODES > 1).astype(int)
    with pytest.raises(ValueError, match=f"undefined without rows of class {absent}: provide validation rows of every"):
        fitted(scoring, y, np.flatnonzero(y != absent))


@pytest.mark.parametrize("scoring", ["f1", "precision", "recall", "jaccard"])
def test_scores_of_the_positive_class_need_its_rows(scoring):
    y = (CODES > 1).astype(int)
    with pytest.raises(ValueError, match=f"{scoring}_score is undefined without rows of class 1"):
        fitted(scoring, y, np.flatnonzero(y == 0))
    clf, *_ = fitted(scoring, y, np.flatnonzero(y == 1))
    assert clf.validation_scores_[-1] > 0


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("labels", [[0, 1], [1, 2], ["no", "yes"]], ids=str)
def test_binary_scores_with_an_absent_class(labels, label):
    y = np.array(labels)[(CODES > 1).astype(int)]
    val = np.flatnonzero(y == labels[label])
    for scoring, expected in {
        "neg_log_loss": lambda P, p: np.log(P[:, label]).mean(),
        "neg_brier_score": lambda P, p: -((1 - P[:, label]) ** 2).mean(),
        "f1_macro": lambda P, p: f1_score(y[val], p, labels=labels, average="macro", zero_division=0),
        "balanced_accuracy": lambda P, p: (p == labels[label]).mean(),
    }.items():
        clf, _, _, P, p = fitted(scoring, y, val)
        assert clf.validation_scores_[-1] == pytest.approx(expected(P, p), rel=1e-9), scoring


@pytest.mark.parametrize("sparse", [False, True])
def test_multilabel_averages_skip_labels_with_a_single_value(sparse):
    Y = np.column_stack([CODES == 0, CODES > 1, CODES == 3]).astype(int)
    Y_val, X_val = Y[VAL], X[VAL]
    assert not Y_val[:, 2].any()
    for scoring, score in (("roc_auc", roc_auc_score), ("average_precision", average_precision_score)):
        clf = Small(scoring=scoring).fit(X, Y, X_val=X_val, y_val=csr_array(Y_val) if sparse else Y_val)
        P = clf.predict_proba(X_val)
        expected = np.mean([score(Y_val[:, i], P[:, i]) for i in (0, 1)])
        assert clf.validation_scores_[-1] == pytest.approx(expected, rel=1e-9)
    clf = Small(scoring="f1_macro").fit(X, Y, X_val=X_val, y_val=Y_val)
    assert clf.validation_scores_[-1] == f1_score(Y_val, clf.predict(X_val), average="macro", zero_division=0)
    with pytest.raises(ValueError, match="roc_auc_score is undefined for every label"):
        Small(scoring="roc_auc").fit(X, Y, X_val=X[LABELS == "rare"], y_val=Y[LABELS == "rare"])
    with pytest.raises(ValueError, match="All validation rows have the same value of label 2: provide"):
        Small(scoring=lambda *_: np.nan).fit(X, Y, X_val=X_val, y_val=Y_val)


def test_every_scorer_name_gives_a_score_or_a_clear_error():
    """Warnings are errors here."""
    for name in get_scorer_names():
        if "deviance" not in name and "log_error" not in name:  # of positive real values
            with suppress(ValueError):
                clf, *_ = fitted(name, CODES, np.flatnonzero(CODES < 2))
                assert np.isfinite(clf.validation_scores_).all()
                continue
            with pytest.raises(ValueError, match=r"inary|multi_class|multilabel"):
                fitted(name, CODES, np.flatnonzero(CODES < 2))


# EarlyStopping


@needs_callbacks
@pytest.mark.parametrize("scoring", EXPECTED)
def test_callback_scores_equal_those_of_early_stopping(scoring):
    own, *_ = fitted(scoring)
    stopping = EarlyStopping(X[VAL], LABELS[VAL].tolist(), scoring=scoring)
    Small().set_callbacks(stopping).fit(X, LABELS)
    assert stopping.scores_ == own.validation_scores_


@needs_callbacks
def test_callback_scores_other_estimators_on_their_classes():
    stopping = EarlyStopping(X[VAL], LABELS[VAL], scoring="neg_log_loss")
    LogisticRegression(max_iter=5).set_callbacks(stopping).fit(X, LABELS)
    P = stopping.best_estimator_.predict_proba(X[VAL])
    assert stopping.best_score_ == pytest.approx(-log_loss(LABELS[VAL], P, labels=np.unique(LABELS)))


iris = load_iris()
IRIS, SPECIES = scale(iris.data), iris.target_names[iris.target]


@needs_callbacks
@pytest.mark.parametrize("Meta", [VotingClassifier, StackingClassifier])
def test_callback_rejects_labels_that_a_meta_estimator_encodes(Meta):
    def meta(y_val):
        stopping = EarlyStopping(IRIS, y_val, scoring="accuracy")
        net = Small(max_iter=50).set_callbacks(stopping)
        return Meta([("net", net), ("linear", LogisticRegression())]), stopping

    for y_val in (SPECIES, pd.Series(SPECIES), SPECIES.tolist(), iris.target + 1, np.array([5])):
        with pytest.raises(
            ValueError, match=r"of EarlyStopping: y_val has labels .* VotingClassifier .*LabelEncoder\(\)"
        ):
            meta(y_val)[0].fit(IRIS, SPECIES)
    model, stopping = meta(LabelEncoder().fit(SPECIES).transform(SPECIES))
    assert model.fit(IRIS, SPECIES).score(IRIS, SPECIES) > 0.9
    assert stopping.best_score_ > 0.9


@needs_callbacks
def test_callback_rejects_data_that_does_not_match_the_estimator():
    Y = np.column_stack([CODES == 0, CODES > 1]).astype(int)
    cases = [
        (Small(), LABELS, X, CODES, "y_val has labels 0, 1, 2, 3, but this DropoutMLPClassifier was fitted on the"),
        (Small(), LABELS, X, Y, "fitted with one label per row"),
        (Small(), LABELS, X[:, :2], LABELS, "X has 2 features, but DropoutMLPClassifier is expecting 4"),
        (Small(), LABELS, X, LABELS[:-1], "inconsistent numbers of samples"),
        (Small(), Y, X, CODES % 2, "fitted with one column per label"),
        (Small(), Y, X, np.hstack([Y, Y]), "has 4 columns, but there are 2 classes"),
        (DropoutMLPRegressor(max_iter=2), X[:, 0], X, X[:, :2], "has 2 output"),
        (DropoutMLPRegressor(max_iter=2), X[:, 0], X, LABELS, "numeric"),
        (DropoutMLPRegressor(max_iter=2), X[:, 0], X, np.where(CODES > 0, 1, np.nan), "NaN"),
        (LogisticRegression(), LABELS, X, CODES, "y_val has labels 0, 1, 2, 3, but this LogisticRegression was fitted"),
    ]
    for model, y, X_val, y_val, message in cases:
        with pytest.raises(ValueError, match=f"^X_val, y_val and scoring of EarlyStopping: .*{message}"):
            model.set_callbacks(EarlyStopping(X_val, y_val)).fit(X, y)


# The split of a warm start


class Spy:
    """Scorer that records the rows it receives."""

    def __init__(self):
        self.seen = []

    def __call__(self, estimator, X, y):
        self.seen.append(frozenset(X[:, 0]))
        return 0.0


def warm_starting(estimator, seed, **params):
    spy = Spy()
    return estimator(max_iter=1, early_stopping=True, warm_start=True, scoring=spy, random_state=seed, **params), spy


TARGETS = {
    "multiclass": (DropoutMLPClassifier, LABELS),
    "binary": (DropoutMLPClassifier, CODES > 1),
    "multilabel": (DropoutMLPClassifier, np.column_stack([CODES == 0, CODES > 1]).astype(int)),
    "regression": (DropoutMLPRegressor, X[:, 0]),
}


@pytest.mark.parametrize("seed", [None, 0, "instance"])
@pytest.mark.parametrize("target", TARGETS)
def test_warm_start_keeps_its_validation_split(target, seed):
    estimator, y = TARGETS[target]
    model, spy = warm_starting(estimator, np.random.RandomState(0) if seed == "instance" else seed)
    for _ in range(4):
        model.fit(X, y)
    copies = [copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model]
    for other in copies:
        other.scoring = spy
        other.fit(X, y)
    model.set_params(random_state=123).fit(X, y)
    model.fit(csr_array(X).toarray(), y)
    assert len(set(spy.seen)) == 1
    assert len(spy.seen[0]) == 12


def test_other_data_and_fits_from_scratch_draw_a_new_split():
    for change in (
        lambda model: model.fit(X[:110], LABELS[:110]),
        lambda model: model.set_params(validation_fraction=0.3).fit(X, LABELS),
        lambda model: model.set_params(warm_start=False).fit(X, LABELS),
    ):
        model, spy = warm_starting(DropoutMLPClassifier, np.random.RandomState(0))
        change(model.fit(X, LABELS))
        assert spy.seen[0] != spy.seen[-1]
        kept = spy.seen[-1]
        model.set_params(warm_start=True).fit(X[: model._validation_mask[0]], LABELS[: model._validation_mask[0]])
        assert spy.seen[-1] == kept


def test_intermediate_fits_without_a_split_keep_the_split():
    model, spy = warm_starting(DropoutMLPRegressor, None)
    model.fit(X, X[:, 0])
    model.set_params(early_stopping=False, scoring=None).fit(X, X[:, 0])
    model.set_params(early_stopping=True, scoring=spy).fit(X, X[:, 0], X_val=X[:7], y_val=X[:7, 0])
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, np.full(120, np.nan))
    model.fit(X, X[:, 0])
    assert spy.seen[0] == spy.seen[-1]
    assert frozenset(X[:7, 0]) in spy.seen


def test_stored_split_takes_one_bit_per_row():
    n = 100_000
    reg = DropoutMLPRegressor(hidden_layer_sizes=2, max_iter=1, early_stopping=True).fit(np.zeros((n, 1)), np.zeros(n))
    assert len(pickle.dumps(reg._validation_mask)) < n / 8 + 1000
    assert validation_mask(vars(reg)).sum() == n / 10


def test_stored_split_equals_a_redrawn_one_with_an_integer_seed():
    params = {"max_iter": 2, "early_stopping": True, "warm_start": True, "random_state": 0, "shuffle": False}
    clf = DropoutMLPClassifier(8, dropout=0, **params).fit(X, LABELS)
    forgetful = copy.deepcopy(clf)
    del forgetful._validation_mask
    np.testing.assert_array_equal(clf.fit(X, LABELS).coefs_[0], forgetful.fit(X, LABELS).coefs_[0])


class Killed(BaseException):
    pass


class Kill:
    """Callback that raises Killed after the third epoch."""

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        if estimator.n_iter_ == 3:
            raise Killed


@needs_callbacks
def test_resumed_warm_start_keeps_its_validation_split(tmp_path):
    model = Small(max_iter=5, early_stopping=True, warm_start=True, random_state=None, scoring="loss").fit(X, LABELS)
    validation_rows, saved = validation_mask(vars(model)), pickle.dumps(model.set_params(random_state=0))
    killed, resumed, uninterrupted = (pickle.loads(saved) for _ in range(3))
    with pytest.raises(Killed):
        killed.set_callbacks(Checkpoint(tmp_path / "c"), Kill()).fit(X, LABELS)
    resumed.set_callbacks(Checkpoint(tmp_path / "c")).fit(X, LABELS)
    uninterrupted.fit(X, LABELS)
    assert len(resumed.loss_curve_) == 10
    np.testing.assert_array_equal(validation_mask(vars(resumed)), validation_rows)
    np.testing.assert_array_equal(resumed.coefs_[0], uninterrupted.coefs_[0])
    other = pickle.loads(saved).set_callbacks(Checkpoint(tmp_path / "c"))
    other._validation_mask = (120, np.packbits(~validation_rows))
    with pytest.raises(ValueError, match="another fit, which differs in the network that it continues"):
        other.fit(X, LABELS)


# The scale of y_val

diabetes = load_diabetes()
D, T = scale(diabetes.data), diabetes.target
TRAIN_ROWS, VAL_ROWS = np.arange(442) % 4 > 0, np.arange(442) % 4 == 0
SCALERS = [
    StandardScaler(),
    MinMaxScaler(),
    RobustScaler(),
    PowerTransformer(),
    FunctionTransformer(np.log, np.exp),
    FunctionTransformer(lambda y: y / 1000, lambda y: y * 1000),
]


@pytest.mark.parametrize("scaler", SCALERS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("by", ["fit", pytest.param("callback", marks=needs_callbacks)])
def test_untransformed_validation_targets_warn(scaler, by):
    def fit(y_val):
        reg, given = DropoutMLPRegressor(hidden_layer_sizes=8, max_iter=2, random_state=0), {}
        if by == "fit":
            given = {"X_val": D[VAL_ROWS], "y_val": y_val}
        else:
            reg.set_callbacks(EarlyStopping(D[VAL_ROWS], y_val))
        return TransformedTargetRegressor(reg, transformer=scaler).fit(D[TRAIN_ROWS], T[TRAIN_ROWS], **given)

    with pytest.warns(UserWarning, match="y_val does not seem to be on the scale of y: .*transform y_val in the same"):
        fit(T[VAL_ROWS])
    scaled = scaler.fit(T[TRAIN_ROWS, None]).transform(T[VAL_ROWS, None]).ravel()
    with warnings.catch_warnings(action="error"):
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        fit(scaled)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_scale_of_centered_targets_is_detected_by_their_spread(factor):
    y = scale(np.random.default_rng(0).normal(size=120))
    reg = DropoutMLPRegressor(hidden_layer_sizes=8, max_iter=1)
    with pytest.warns(UserWarning, match="not seem to be on the scale"):
        reg.fit(X, y, X_val=X[:40], y_val=y[:40] * factor)
    two = np.column_stack([y, y])
    with pytest.warns(UserWarning, match="not seem to be on the scale"):
        reg.fit(X, two, X_val=X[:40], y_val=two[:40] * [1, factor])


time = np.arange(400.0)
normal = np.random.default_rng(0)
PLAUSIBLE = {
    "random split of a heavy tail": (normal.lognormal(sigma=2, size=400), normal.lognormal(sigma=2, size=40)),
    "counts, mostly 0": (normal.poisson(0.05, 400), normal.poisson(0.05, 40)),
    "outliers": (normal.standard_cauchy(400), normal.standard_cauchy(40)),
    "end of a trend": (time[:360], time[360:]),
    "end of a parabola": (time[:320] ** 2, time[320:] ** 2),
    "constant": (time, np.full(40, 200.0)),
    "one row": (normal.normal(size=400), np.array([100.0])),
    "few rows": (normal.normal(size=400), normal.normal(size=5)),
    "constant y": (np.ones(400), normal.normal(size=40)),
    "few training rows": (normal.normal(size=10), 100 + normal.normal(size=40)),
    "another season": (np.sin(time / 60), 0.5 + 0.1 * np.sin(time / 60)),
}


@pytest.mark.parametrize("name", PLAUSIBLE)
@pytest.mark.parametrize("scaled", [False, True])
def test_plausible_validation_targets_do_not_warn(name, scaled):
    y, y_val = PLAUSIBLE[name]
    if scaled:
        scaler = StandardScaler().fit(y[:, None])
        y, y_val = scaler.transform(y[:, None]).ravel(), scaler.transform(y_val[:, None]).ravel()
    reg = DropoutMLPRegressor(hidden_layer_sizes=2, max_iter=1, random_state=0)
    reg.set_params(scoring="loss").fit(np.ones((len(y), 1)), y, X_val=np.ones((len(y_val), 1)), y_val=y_val)

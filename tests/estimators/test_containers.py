"""Functions that need a network find it, with its X and y, in meta-estimators of scikit-learn and imbalanced-learn."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, BaggingRegressor, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, RANSACRegressor
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, PowerTransformer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skdropout import (
    ActivationSparsityDisplay,
    CoverageDisplay,
    DropoutMLPClassifier,
    DropoutMLPRegressor,
    FirstLayerWeightsDisplay,
    ReliabilityDisplay,
    TrainingCurveDisplay,
    diagnose,
    log_predictive_density_scorer,
    predict_interval,
)
from skdropout._scoring import unwrap

rng = np.random.RandomState(0)
X = rng.normal(5, 3, size=(80, 4))
LABELS = np.where(X[:, 0] + rng.normal(size=80) > 7, "rare", "usual").astype(object)
VALUES = 100 + 10 * X[:, 0] + rng.normal(size=80)
FRAME = pd.DataFrame(X, columns=list("abcd"))

clf = DropoutMLPClassifier(5, dropout=0.2, max_iter=8, random_state=0)
reg = DropoutMLPRegressor(
    hidden_layer_sizes=5, dropout=0.2, dropout_schedule="constant", max_iter=8, n_iter_no_change=99, random_state=0
)
scaler = StandardScaler()
columns = ColumnTransformer([("first", StandardScaler(), ["a", "b"]), ("second", "passthrough", ["c"])])
squared = make_pipeline(FunctionTransformer(np.square), StandardScaler())
target = partial(TransformedTargetRegressor, transformer=StandardScaler())


def by_weights(mlp):
    return np.abs(mlp.coefs_[0]).sum(axis=1)


def search(estimator, cls=GridSearchCV, parameter="alpha"):
    names = [name for name in estimator.get_params() if name.split("__")[-1] == parameter]
    return cls(estimator, {names[0]: [1e-4, 1e-2]}, cv=2)


def several_of(network):
    """Return pipelines and searches around a network, nested in both orders."""
    return {
        "bare": network,
        "pipeline": make_pipeline(scaler, network),
        "one step": make_pipeline(network),
        "pipeline in pipeline": make_pipeline(squared, make_pipeline(scaler, network)),
        "passthrough": Pipeline([("a", "passthrough"), ("b", scaler), ("c", None), ("mlp", network)]),
        "function": make_pipeline(FunctionTransformer(np.arcsinh), network),
        "union": make_pipeline(FeatureUnion([("a", StandardScaler()), ("b", squared)]), network),
        "columns": make_pipeline(columns, network),
        "columns in pandas": make_pipeline(columns, StandardScaler(), network).set_output(transform="pandas"),
        "grid": search(make_pipeline(scaler, network)),
        "random": RandomizedSearchCV(make_pipeline(scaler, network), {"memory": [None]}, n_iter=1, cv=2),
        "halving": search(make_pipeline(scaler, network), HalvingGridSearchCV),
        "search in pipeline": make_pipeline(scaler, search(network)),
        "selected": make_pipeline(scaler, RFE(network, importance_getter=by_weights)),
    }


CLASSIFIERS = several_of(clf) | {
    "tuned threshold": make_pipeline(scaler, TunedThresholdClassifierCV(clf, cv=2)),
    "fixed threshold": FixedThresholdClassifier(make_pipeline(scaler, clf), threshold=0.3, pos_label="rare"),
}
REGRESSORS = several_of(reg) | {
    "target": make_pipeline(scaler, target(reg)),
    "target around": target(make_pipeline(scaler, reg)),
    "target around a search": target(search(make_pipeline(scaler, reg))),
    "search around a target": search(target(make_pipeline(scaler, reg))),
    "target in pandas": target(reg, transformer=StandardScaler().set_output(transform="pandas")),
    "target of a target": target(target(make_pipeline(scaler, reg), transformer=PowerTransformer())),
    "function of a target": target(make_pipeline(scaler, reg), transformer=None, func=np.log, inverse_func=np.exp),
    "inliers": RANSACRegressor(make_pipeline(scaler, reg), min_samples=40, residual_threshold=1e6, random_state=0),
}


def with_samplers(network):
    """Return pipelines of imbalanced-learn, whose samplers act in fit only."""
    imblearn = pytest.importorskip("imblearn")
    pipeline, sampler = imblearn.pipeline.make_pipeline, imblearn.under_sampling.RandomUnderSampler(random_state=0)
    if isinstance(network, DropoutMLPRegressor):  # samplers need classes: use one that keeps every second row
        sampler = imblearn.FunctionSampler(func=lambda X, y: (X[::2], y[::2]), validate=False)
    return {
        "first": pipeline(sampler, scaler, network),
        "middle": pipeline(scaler, sampler, FunctionTransformer(np.arcsinh), network),
        "last": pipeline(scaler, sampler, network),
        "only": pipeline(sampler, network),
        "in pandas": pipeline(StandardScaler(), sampler, network).set_output(transform="pandas"),
        "in pipeline": make_pipeline(squared, pipeline(scaler, sampler, network)),
        "search": search(pipeline(scaler, sampler, network)),
    }


SAMPLERS = ["first", "middle", "last", "only", "in pandas", "in pipeline", "search"]


def network_of(estimator):
    return unwrap(estimator)[0]


def look_at(estimator, frame, y):
    """Call all functions that unwrap meta-estimators; warnings are errors."""
    network, inner_X, inner_y, *_ = unwrap(estimator, frame, y)
    assert isinstance(network, DropoutMLPClassifier | DropoutMLPRegressor)
    density = log_predictive_density_scorer(estimator, frame, y, n_samples=3)
    assert np.isfinite(density)
    assert diagnose(estimator, frame, y).activation_rms[0] == pytest.approx(np.sqrt(np.mean(np.square(inner_X))))
    disp = ActivationSparsityDisplay.from_estimator(estimator, frame, subsample=None)
    hidden = np.maximum(np.asarray(inner_X) @ network.coefs_[0] + network.intercepts_[0], 0)
    np.testing.assert_allclose(disp.activations, hidden, rtol=1e-6, atol=1e-12)
    TrainingCurveDisplay.from_estimator(estimator)
    FirstLayerWeightsDisplay.from_estimator(estimator, image_shape=(1, network.n_features_in_))
    plt.close("all")
    return network, inner_X, inner_y


def check_classifier(model):
    model.fit(FRAME, LABELS)
    network, inner_X, inner_y = look_at(model, FRAME, LABELS)
    np.testing.assert_array_equal(inner_y, LABELS)
    np.testing.assert_array_equal(network.predict_proba(inner_X), model.predict_proba(FRAME))
    disp = ReliabilityDisplay.from_estimator(model, FRAME, LABELS, n_samples=4)
    assert disp.counts.sum() == len(LABELS)
    plt.close("all")


@pytest.mark.parametrize("case", CLASSIFIERS)
def test_classifiers(case):
    check_classifier(sklearn.clone(CLASSIFIERS[case]))


@pytest.mark.parametrize("case", SAMPLERS)
def test_classifiers_after_samplers(case):
    check_classifier(with_samplers(clf)[case])


def test_frozen():
    scaled = StandardScaler().fit_transform(X)
    check_classifier(make_pipeline(StandardScaler(), FrozenEstimator(sklearn.clone(clf).fit(scaled, LABELS))))
    check_regressor(make_pipeline(StandardScaler(), FrozenEstimator(sklearn.clone(reg).fit(scaled, VALUES))))


def check_regressor(model):
    model.fit(FRAME, VALUES)
    network, inner_X, inner_y = look_at(model, FRAME, VALUES)
    prediction = network.predict(inner_X)
    outer = model
    while not isinstance(outer, DropoutMLPRegressor):  # transform the prediction back
        if hasattr(outer, "transformer_"):
            break
        outer = outer.steps[-1][1] if hasattr(outer, "steps") else unwrap_once(outer)
    if outer is network:
        np.testing.assert_array_equal(prediction, model.predict(FRAME))
    else:
        np.testing.assert_allclose(unwrap(model, FRAME, model.predict(FRAME))[2], prediction, rtol=1e-6, atol=1e-9)
    disp = CoverageDisplay.from_estimator(model, FRAME, VALUES, n_samples=4)
    assert disp.coverage[-1] > disp.coverage[0]
    network.calibrate(inner_X, inner_y)
    lower, upper = predict_interval(model, FRAME, 0.8).T
    disp = CoverageDisplay.from_estimator(model, FRAME, VALUES, intervals="conformal", levels=0.8)
    covered = np.mean((lower <= VALUES) & (upper >= VALUES))
    assert disp.coverage == pytest.approx(covered, abs=1.5 / 80)  # rounding moves the row at the end of its interval
    assert covered == pytest.approx(0.8, abs=2.5 / 80)
    plt.close("all")


def unwrap_once(outer):
    return getattr(outer, "best_estimator_", None) or getattr(outer, "estimator_", outer.estimator)


@pytest.mark.parametrize("case", REGRESSORS)
def test_regressors(case):
    check_regressor(sklearn.clone(REGRESSORS[case]))


@pytest.mark.parametrize("case", SAMPLERS)
def test_regressors_after_samplers(case):
    check_regressor(with_samplers(reg)[case])


def test_the_density_is_that_of_the_untransformed_targets():
    """y = 10 t + 100: a density of t is 10 times that of y in every meta-estimator."""
    bare = make_pipeline(scaler, reg).fit(FRAME, (VALUES - 100) / 10)
    inside = target(make_pipeline(scaler, reg), func=None, transformer=FunctionTransformer(shift, back)).fit(
        FRAME, VALUES
    )
    expected = log_predictive_density_scorer(bare, FRAME, (VALUES - 100) / 10) - np.log(10)
    assert log_predictive_density_scorer(inside, FRAME, VALUES) == pytest.approx(expected, rel=1e-6)


def shift(y):
    return (y - 100) / 10


def back(t):
    return 10 * t + 100


def test_scores_of_a_pipeline_with_a_sampler_are_finite():
    model = with_samplers(clf)["last"]
    scores = cross_val_score(model, FRAME, LABELS, cv=3, scoring=log_predictive_density_scorer, error_score="raise")
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("case", ["pipeline", "columns in pandas", "grid", "fixed threshold"])
def test_with_metadata_routing(case):
    with sklearn.config_context(enable_metadata_routing=True):
        check_classifier(sklearn.clone(CLASSIFIERS[case]))


def test_with_pandas_everywhere():
    with sklearn.config_context(transform_output="pandas"):
        check_classifier(sklearn.clone(CLASSIFIERS["pipeline in pipeline"]))
        check_regressor(sklearn.clone(REGRESSORS["target"]))


def test_sparse_rows():
    model = make_pipeline(StandardScaler(with_mean=False), search(clf)).fit(sparse.csr_array(X), LABELS)
    assert np.isfinite(log_predictive_density_scorer(model, sparse.csr_array(X), LABELS))
    disp = ActivationSparsityDisplay.from_estimator(model, sparse.csr_array(X))
    assert disp.activations.shape == (80, 5)


ENSEMBLES = {
    "bagging": (
        BaggingClassifier(clf, n_estimators=2),
        r"BaggingClassifier .*\.estimators_\[0\], with X and y",
    ),
    "voting": (VotingClassifier([("a", clf), ("b", clf)]), r"VotingClassifier .*\.estimators_\[0\]"),
    "stacking": (StackingClassifier([("a", clf)], cv=2), r"StackingClassifier .*\.estimators_\[0\]"),
    "one against the rest": (OneVsRestClassifier(make_pipeline(scaler, clf)), r"OneVsRest.*\.estimators_\[0\]"),
    "calibrated": (
        CalibratedClassifierCV(clf, cv=2),
        r"CalibratedC.*\.calibrated_classifiers_\[0\]\.estimator",
    ),
    "calibrated, prefit": (
        CalibratedClassifierCV(FrozenEstimator(clf), cv=2, ensemble=False),
        r"CalibratedClassifierCV .*\.calibrated_classifiers_\[0\]\.estimator",
    ),
}


@pytest.mark.parametrize("case", ENSEMBLES)
def test_the_error_for_ensembles_says_which_network_to_pass(case):
    model, match = ENSEMBLES[case]
    if "prefit" in case:
        model.set_params(estimator=FrozenEstimator(clf.fit(FRAME, LABELS)))
    outer = make_pipeline(FunctionTransformer(), model).fit(FRAME, LABELS)
    for call in (log_predictive_density_scorer, diagnose, partial(ReliabilityDisplay.from_estimator, n_samples=3)):
        with pytest.raises(TypeError, match=rf"There is no DropoutMLPClassifier.* in Pipeline[\s\S]*: {match}"):
            call(outer, FRAME, LABELS)
    with pytest.raises(TypeError, match=rf"no fitted multi-layer perceptron.* in Pipeline[\s\S]*: {match}"):
        ActivationSparsityDisplay.from_estimator(outer, FRAME)
    name, *_ = match.partition(r"\.")[2].replace("\\", "").partition("[0]")
    inner = getattr(model, name)[0]
    inner = inner.estimator if "calibrated" in name else inner
    assert network_of(inner).coefs_[0].shape == (4, 5)  # the network that the message names


def test_regressors_with_several_networks():
    for model in (BaggingRegressor(reg, n_estimators=2), MultiOutputRegressor(reg)):
        y = VALUES if isinstance(model, BaggingRegressor) else np.column_stack([VALUES, VALUES])
        model.fit(FRAME, y)
        for call in (log_predictive_density_scorer, CoverageDisplay.from_estimator):
            with pytest.raises(TypeError, match=r"does not predict with a single network.*\.estimators_\[0\]"):
                call(model, FRAME, y)
    model = MultiOutputClassifier(clf).fit(FRAME, np.column_stack([LABELS, LABELS]))
    with pytest.raises(TypeError, match=r"MultiOutputClassifier .*\.estimators_\[0\]"):
        diagnose(model, FRAME, LABELS)


def test_containers_without_a_network():
    bagged = BaggingRegressor(LinearRegression(), n_estimators=2).fit(FRAME, VALUES)
    with pytest.raises(TypeError, match=r"no DropoutMLP.*pass one directly"):
        log_predictive_density_scorer(bagged, FRAME, VALUES)
    with pytest.raises(TypeError, match=r"BaggingRegressor.* has no predict\(X, return_std=True\)"):
        CoverageDisplay.from_estimator(bagged, FRAME, VALUES)
    no_refit = GridSearchCV(reg, {"alpha": [0.1]}, cv=2, refit=False).fit(FRAME, VALUES)
    for call in (log_predictive_density_scorer, diagnose, CoverageDisplay.from_estimator):
        with pytest.raises(TypeError, match="with refit=False GridSearchCV keeps no fitted estimator; set refit=True"):
            call(no_refit, FRAME, VALUES)


def test_self_training():
    some = LABELS.copy()
    some[::3] = -1  # not labelled
    model = SelfTrainingClassifier(clf).fit(FRAME, some)
    network, _, _ = look_at(model, FRAME, LABELS)  # without a warning about feature names
    assert network is model.estimator_

"""Calibration displays: known values, equivalent constructors, shared axes, and error messages."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers import classifier, legend_labels, regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.calibration import calibration_curve
from sklearn.compose import TransformedTargetRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdropout import CoverageDisplay, ReliabilityDisplay


def classification(n_classes=3):
    rng = np.random.RandomState(0)
    labels = np.array(["ant", "bee", "cat", "dog"])[:n_classes]
    return rng.normal(size=(90, 4)) * [1, 10, 1, 1] + 5, labels[rng.randint(n_classes, size=90)]


def regression(n_outputs=1):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(90, 4)) * [1, 10, 1, 1] + 5
    y = 100 + 30 * (X[:, :n_outputs] + rng.normal(size=(90, n_outputs)))
    return X, y if n_outputs > 1 else y.ravel()


# Reliability


def test_calibration_error_known_value():
    P = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3], [0.74, 0.26]]
    disp = ReliabilityDisplay.from_predictions([0, 1, 1, 0, 1], P, n_bins=4)  # bins (.5, .75] and (.75, 1]
    assert_array_equal(disp.counts, [3, 2])
    assert_allclose(disp.confidence, [0.68, 0.85])
    assert_allclose(disp.accuracy, [1 / 3, 1])
    assert disp.calibration_error == pytest.approx((3 * (0.68 - 1 / 3) + 2 * 0.15) / 5)  # 0.268
    assert "ECE = 0.268" in legend_labels(disp.ax_)
    assert_allclose(disp.line_.get_xydata(), np.column_stack([disp.confidence, disp.accuracy]))


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("n_bins", [1, 7, 10])
def test_bins_match_calibration_curve(strategy, n_bins):
    rng = np.random.RandomState(0)
    P, y = rng.dirichlet(np.ones(3), size=200), rng.randint(3, size=200)
    disp = ReliabilityDisplay.from_predictions(y, P, n_bins=n_bins, strategy=strategy)
    accuracy, confidence = calibration_curve(P.argmax(axis=1) == y, P.max(axis=1), n_bins=n_bins, strategy=strategy)
    assert_allclose(disp.accuracy, accuracy)
    assert_allclose(disp.confidence, confidence)
    assert disp.counts.sum() == 200


def test_reliability_of_calibrated_and_overconfident():
    rng = np.random.RandomState(0)
    P = rng.dirichlet(np.ones(4), size=20_000)
    y = (rng.uniform(size=(20_000, 1)) > P.cumsum(axis=1)).sum(axis=1)
    disp = ReliabilityDisplay.from_predictions(y, P)
    error = np.sqrt(disp.confidence * (1 - disp.confidence) / disp.counts)
    assert (np.abs(disp.accuracy - disp.confidence) < 5 * error).all()
    P_sharp = P**3 / (P**3).sum(axis=1, keepdims=True)
    overconfident = ReliabilityDisplay.from_predictions(
        y, P_sharp, strategy="quantile"
    )  # equal counts avoid noisy bins
    assert (overconfident.accuracy < overconfident.confidence).all()
    assert overconfident.calibration_error > 0.1 > 10 * disp.calibration_error


def test_one_column_is_probability_of_second_class():
    X, y = classification(2)
    p = LogisticRegression().fit(X, y).predict_proba(X)
    one, two = (ReliabilityDisplay.from_predictions(y, P) for P in (p[:, 1], p))
    assert_allclose(one.accuracy, two.accuracy)
    assert_allclose(one.confidence, two.confidence)


def test_labels_set_column_order():
    P = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    disp = ReliabilityDisplay.from_predictions(["b", "a"], P, labels=["b", "c", "a"])
    assert disp.accuracy == [1]


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("n_samples", [None, 7])
def test_reliability_from_estimator_equals_from_predictions(n_classes, n_samples):
    X, y = classification(n_classes)
    model = make_pipeline(StandardScaler(), classifier(dropout=0.5)).fit(X, y)
    disp = ReliabilityDisplay.from_estimator(model, X, y, n_samples=n_samples, random_state=3, n_bins=5)
    if n_samples is None:
        P, name = model.predict_proba(X), "Pipeline (ECE"
    else:
        P = model[-1].predict_uncertainty(model[0].transform(X), n_samples=7, random_state=3).proba
        name = "Pipeline, mean of 7 passes (ECE"
    other = ReliabilityDisplay.from_predictions(y, P, n_bins=5)
    assert_array_equal(disp.accuracy, other.accuracy)
    assert_array_equal(disp.confidence, other.confidence)
    assert legend_labels(disp.ax_)[1].startswith(name)


def test_sampling_rate_is_used():
    X, y = classification()
    model = classifier(dropout=0.2).fit(X, y)
    sampled, noise_free = (
        ReliabilityDisplay.from_estimator(model, X, y, n_samples=5, dropout=rate).confidence for rate in (None, 0)
    )
    assert_allclose(noise_free, ReliabilityDisplay.from_estimator(model, X, y).confidence, rtol=1e-6)
    assert sampled.shape != noise_free.shape or not np.allclose(sampled, noise_free)


def test_reliability_with_rows_of_only_some_classes():
    X, y = classification(4)
    model = LogisticRegression(max_iter=1000).fit(X, y)
    subset = y != "bee"
    assert ReliabilityDisplay.from_estimator(model, X[subset], y[subset]).counts.sum() == subset.sum()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (
            {"y_proba": [[0.5, 0.6], [0.5, 0.5]]},
            r"sum to 1, but row 0 is \[0.5 0.6\]: pass the result",
        ),
        ({"y_proba": [[0.5, 0.5], [1.5, -0.5]]}, "in \\[0, 1\\].*row 1"),
        ({"y_proba": [0.5, 1.5]}, "in \\[0, 1\\].*row 1"),
        ({"y_proba": [[0.5, np.nan], [0.5, 0.5]]}, "y_proba contains NaN"),
        ({"y_proba": [[0.5, 0.5]] * 3}, "inconsistent numbers of samples"),
        ({"y_proba": [[0.2, 0.3, 0.5]] * 2}, "3 classes, but there are 2 labels, .*labels=classifier.classes_"),
        ({"labels": [0, 7]}, r"y_true has labels \[1\]"),
        ({"y_true": [[0, 1], [1, 1]]}, "needs one label per row: draw one for each column"),
        ({"n_bins": 0}, "n_bins == 0, must be >= 1"),
        ({"strategy": "equal"}, "strategy must be 'uniform' or 'quantile', got 'equal'"),
    ],
)
def test_invalid_probabilities_raise(arguments, match):
    with pytest.raises(ValueError, match=match):
        ReliabilityDisplay.from_predictions(**{"y_true": [0, 1], "y_proba": [[0.5, 0.5], [0.3, 0.7]], **arguments})


def test_invalid_classifiers_raise():
    X, y = classification()
    with pytest.raises(TypeError, match="not a classifier: use CoverageDisplay for a regressor"):
        ReliabilityDisplay.from_estimator(LinearRegression(), X, y)
    logistic = LogisticRegression(max_iter=1000).fit(X, y)
    with pytest.raises(TypeError, match=r"no DropoutMLPClassifier, required by n_samples=5 .* in LogisticRegression"):
        ReliabilityDisplay.from_estimator(logistic, X, y, n_samples=5)
    with pytest.raises(ValueError, match=r"dropout=0\.3 has no effect without n_samples"):
        ReliabilityDisplay.from_estimator(logistic, X, y, dropout=0.3)


# Coverage


def test_coverage_known_values():
    y, mean, std = [0.0, 1.0, 2.0, -3.0], np.zeros(4), np.ones(4)
    disp = CoverageDisplay.from_predictions(y, mean, std, levels=[0.95, 0.5, 0.6827])  # z = 1.96, 0.67, 1.0000
    assert_array_equal(disp.levels, [0.5, 0.6827, 0.95])
    assert_array_equal(disp.coverage, [0.25, 0.5, 0.5])
    assert disp.n_targets == 4
    assert_allclose(disp.line_.get_xydata(), np.column_stack([disp.levels, disp.coverage]))


def test_coverage_of_calibrated_narrow_and_wide_intervals():
    rng = np.random.RandomState(0)
    mean, std = rng.normal(size=(2, 10_000)) * 10
    std = np.abs(std)
    y = mean + std * rng.normal(size=10_000)
    disp = CoverageDisplay.from_predictions(y, mean, std)
    p = disp.levels
    assert (np.abs(disp.coverage - p) < 5 * np.sqrt(p * (1 - p) / 10_000)).all()
    assert (CoverageDisplay.from_predictions(y, mean, std / 2).coverage < p - 0.02).all()
    assert (CoverageDisplay.from_predictions(y, mean, std * 2).coverage > p + 0.02).all()


def test_zero_std_covers_exact_predictions():
    assert_array_equal(CoverageDisplay.from_predictions([1, 2], [1, 3], [0, 0], levels=[0.5]).coverage, [0.5])


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_coverage_from_estimator_equals_from_predictions(n_outputs):
    X, y = regression(n_outputs)
    model = regressor().fit(X, y)
    disp = CoverageDisplay.from_estimator(model, X, y, n_samples=20, random_state=1, dropout=0.4)
    mean, std = model.predict(X, return_std=True, n_samples=20, random_state=1, dropout=0.4)
    assert_array_equal(disp.coverage, CoverageDisplay.from_predictions(y, mean, std).coverage)
    assert disp.n_targets == 90 * n_outputs
    assert legend_labels(disp.ax_)[-1] == "DropoutMLPRegressor"


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_coverage_of_conformal_intervals(n_outputs):
    X, y = regression(n_outputs)
    model = regressor(early_stopping=True, validation_fraction=0.3).fit(X, y)
    levels, options = [0.2, 0.5, 0.9], {"n_samples": 20, "random_state": 1}
    disp = CoverageDisplay.from_estimator(model, X, y, intervals="conformal", levels=levels, **options)
    for level, coverage in zip(levels, disp.coverage, strict=True):
        lower, upper = np.moveaxis(model.predict_interval(X, level, **options), -1, 0)
        assert coverage == np.mean((lower <= y) & (y <= upper))
    assert disp.n_targets == 90 * n_outputs
    normal = CoverageDisplay.from_estimator(model, X, y, levels=levels, **options)
    assert (disp.coverage != normal.coverage).any()
    with pytest.raises(ValueError, match=r"coverage=.*0\.99.* needs at least 99 held-out rows, but there are 27"):
        CoverageDisplay.from_estimator(model, X, y, intervals="conformal", levels=[0.5, 0.99])


@pytest.mark.filterwarnings("ignore:The network was trained without dropout")
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize(
    "wrap", [lambda model: model, lambda model: GridSearchCV(model, {}, cv=2)], ids=["pipeline", "search"]
)
def test_coverage_in_pipelines_and_transformed_targets(n_outputs, wrap):
    X, y = regression(n_outputs)
    inner = TransformedTargetRegressor(regressor(), transformer=StandardScaler())
    model = wrap(make_pipeline(StandardScaler(), inner)).fit(X, y)
    disp = CoverageDisplay.from_estimator(model, X, y, n_samples=20)
    pipeline = getattr(model, "best_estimator_", model)
    mean, std = pipeline[-1].regressor_.predict(pipeline[0].transform(X), return_std=True, n_samples=20)
    center, scale = y.mean(axis=0), y.std(axis=0)
    expected = CoverageDisplay.from_predictions(y, mean * scale + center, std * scale)
    assert_array_equal(disp.coverage, expected.coverage)
    assert 0.5 < disp.coverage[-1] <= 1


def test_coverage_of_gaussian_process():
    X, y = regression()
    process = GaussianProcessRegressor(1e3 * RBF(10) + WhiteKernel(900), optimizer=None, normalize_y=False)
    model = make_pipeline(
        StandardScaler(), TransformedTargetRegressor(process, func=np.negative, inverse_func=np.negative)
    )
    mean, std = process.fit(StandardScaler().fit_transform(X), y).predict(
        StandardScaler().fit_transform(X), return_std=True
    )
    expected = CoverageDisplay.from_predictions(y, mean, std).coverage
    assert_allclose(CoverageDisplay.from_estimator(model.fit(X, y), X, y).coverage, expected)
    with pytest.raises(ValueError, match=r"dropout=0\.1 has no effect on GaussianProcessRegressor"):
        CoverageDisplay.from_estimator(model, X, y, dropout=0.1)
    with pytest.raises(TypeError, match=r"no DropoutMLPRegressor, required by intervals='conformal', in Pipeline"):
        CoverageDisplay.from_estimator(model, X, y, intervals="conformal")
    with pytest.raises(ValueError, match="intervals must be 'normal' or 'conformal', got 'exact'"):
        CoverageDisplay.from_estimator(model, X, y, intervals="exact")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"levels": [0.5, 1.0]}, r"levels must be in \(0, 1\), .*got \[0.5 1. \]"),
        ({"levels": 95}, r"levels must be in \(0, 1\), such as 0.95"),
        ({"levels": []}, r"levels must be in \(0, 1\)"),
        ({"y_std": [1.0, -2.0]}, "y_std must not be negative, got -2.0"),
        ({"y_std": [1.0]}, r"shapes differ: y_true \(2, 1\), y_mean \(2, 1\), y_std \(1, 1\)"),
        ({"y_mean": [[1.0, 2.0], [1.0, 2.0]]}, r"shapes differ: y_true \(2, 1\), y_mean \(2, 2\)"),
        ({"y_true": [1.0, np.inf]}, "y_true contains infinity"),
    ],
)
def test_invalid_intervals_raise(arguments, match):
    with pytest.raises(ValueError, match=match):
        CoverageDisplay.from_predictions(**{"y_true": [0, 1], "y_mean": [0, 1], "y_std": [1, 1], **arguments})


def test_invalid_regressors_raise():
    X, y = regression()
    with pytest.raises(TypeError, match="not a regressor: use ReliabilityDisplay for a classifier"):
        CoverageDisplay.from_estimator(classifier(), X, y)
    with pytest.raises(TypeError, match=r"LinearRegression\(\) has no predict\(X, return_std=True\): use"):
        CoverageDisplay.from_estimator(LinearRegression().fit(X, y), X, y)


# Both displays


def make_display(cls, **kwargs):
    """Plot a small display from predictions."""
    if cls is ReliabilityDisplay:
        return cls.from_predictions([0, 1, 0], [0.2, 0.7, 0.6], **kwargs)
    return cls.from_predictions([0, 1, 0], [0, 0, 0], [1, 2, 3], **kwargs)


both_displays = pytest.mark.parametrize("cls", [ReliabilityDisplay, CoverageDisplay])


@both_displays
def test_several_displays_on_one_axis(cls):
    figure, ax = plt.subplots()
    first = make_display(cls, ax=ax, name="one", color="red")
    second = make_display(cls, ax=ax, name="two", linestyle="--")
    assert first.ax_ is second.ax_ is ax
    assert first.figure_ is figure
    assert first.line_.get_color() == "red"
    assert second.line_.get_linestyle() == "--"
    labels = legend_labels(ax)
    assert labels.count("Perfectly calibrated") == 1
    assert len(labels) == 3 + (cls is CoverageDisplay)  # and the band
    assert labels[-2].startswith("one")
    assert labels[-1].startswith("two")


@both_displays
def test_plot_twice(cls):
    disp = make_display(cls, name="one")
    before, line = disp.figure_, disp.line_
    assert disp.plot(name="two", ref_line=False) is disp
    assert disp.figure_ is not before
    assert_array_equal(disp.line_.get_xydata(), line.get_xydata())
    (label,) = legend_labels(disp.ax_)
    assert label.startswith("two")


@both_displays
def test_legend_without_name_and_reference_line(cls):
    disp = make_display(cls, ref_line=False)
    assert (disp.ax_.get_legend() is None) == (cls is CoverageDisplay)


@both_displays
def test_missing_matplotlib_raises(cls, monkeypatch):
    disp = make_display(cls)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ImportError, match=rf"{cls.__name__}\.plot requires matplotlib"):
        disp.plot()


def test_band_is_two_standard_errors_on_each_side():
    disp = CoverageDisplay.from_predictions(np.zeros(100), np.zeros(100), np.ones(100))
    vertices = disp.ax_.collections[0].get_paths()[0].vertices
    middle = vertices[np.isclose(vertices[:, 0], 0.5), 1]
    assert np.ptp(middle) == pytest.approx(4 * np.sqrt(0.25 / 100))

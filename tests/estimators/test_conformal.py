"""Calibration on held-out rows: the variance factor, conformity scores, intervals. Five sigma."""

import copy
from functools import partial

import numpy as np
import pytest
from helpers import needs_callbacks
from scipy import sparse
from scipy.integrate import trapezoid
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PowerTransformer, QuantileTransformer, StandardScaler

import skdropout._conformal
import skdropout._regressor
from skdropout import DropoutMLPRegressor, EarlyStopping, predict_interval
from skdropout._fit.data import Rows

rng = np.random.RandomState(0)
X = rng.normal(size=(100, 4))
y = X[:, 0] + np.sin(2 * X[:, 1]) + 0.3 * rng.normal(size=100)
Y2 = np.column_stack([y, 2 * (X[:, 2] - y)])
X_NEW, Y_NEW = X[60:], Y2[60:]
SMALL = {"hidden_layer_sizes": (12,), "dropout": 0.3, "max_iter": 15, "random_state": 0}
regressor = partial(DropoutMLPRegressor, **SMALL)
CALIBRATION = {"variance_factor_", "conformity_scores_", "_conformity_weights"}


def calibration(model):
    return {name: copy.copy(getattr(model, name)) for name in CALIBRATION}


def assert_same_calibration(a, b):
    for name, value in calibration(a).items():
        np.testing.assert_array_equal(value, getattr(b, name), err_msg=name)


def assert_uncalibrated(model):
    np.testing.assert_array_equal(model.variance_factor_, np.ones(model.n_outputs_))
    assert model.conformity_scores_ is None
    assert model._conformity_weights is None
    with pytest.raises(ValueError, match=r"held-out rows, but there are none.*early_stopping=True.*X_val.*calibrate"):
        model.predict_interval(X)


# Quantiles


def test_quantile_of_hand_made_scores():
    model = regressor().fit(X, y)
    model.conformity_scores_ = np.array([5.0, 1, 9, 3, 7, 2, 8, 4, 6])
    mean, std = model.predict(X, return_std=True)
    for coverage, q in [(0.9, 9), (0.89, 9), (0.8, 8), (0.75, 8), (0.5, 5), (0.51, 6), (0.1, 1), (0.01, 1)]:
        interval = model.predict_interval(X, coverage)
        np.testing.assert_allclose(interval, np.column_stack([mean - q * std, mean + q * std]))
    model.conformity_scores_ = np.array([1.0, 1, 2])  # ties
    np.testing.assert_array_equal([model._conformal_quantile(k / 4)[0] for k in (1, 2, 3)], [1, 1, 2])


def test_rank_is_exact_for_every_number_of_rows():
    """(m + 1) * (k / (m + 1)) is not always k in floating point."""
    model = regressor().fit(X, y)
    for m in (*range(1, 60), 99, 999):
        model.conformity_scores_ = np.arange(1.0, m + 1)
        for k in range(1, m + 1):
            assert model._conformal_quantile(k / (m + 1)) == k, (m, k)


@pytest.mark.parametrize(("coverage", "n_needed"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99), (0.91, 11)])
def test_too_few_rows_are_an_error_that_names_the_number_needed(coverage, n_needed):
    model = regressor().fit(X, y)
    model.conformity_scores_ = np.arange(float(n_needed))
    assert model._conformal_quantile(coverage) == n_needed - 1
    model.conformity_scores_ = np.arange(n_needed - 1.0)
    if n_needed > 1:
        match = rf"coverage={coverage} needs at least {n_needed} held-out rows, but there are {n_needed - 1}: decrease"
        with pytest.raises(ValueError, match=match):
            model.predict_interval(X, coverage)


@pytest.mark.parametrize("coverage", [0, 1, 1.5, -0.1, np.nan, "0.9", None, True, [0.5, 0.9], 90])
def test_invalid_coverage(coverage):
    model = regressor(early_stopping=True).fit(X, y)
    with pytest.raises(ValueError, match=r"coverage must be in \(0, 1\), such as 0\.9 for 90 %, got"):
        model.predict_interval(X, coverage)


def test_weighted_quantile():
    weight = np.where(np.arange(40) < 5, 0, rng.uniform(0.2, 3, size=40))
    model = regressor().fit(X[:60], Y2[:60]).calibrate(X_NEW, Y_NEW, weight)
    present = weight > 0
    assert model.conformity_scores_.shape == (35, 2)
    for coverage in (0.05, 0.3, 0.5, 0.9, 0.97):
        quantile = model._conformal_quantile(coverage)
        for scores, q in zip(model.conformity_scores_.T, quantile, strict=True):
            w = weight[present] / weight.sum()
            allowed = [s for s in scores if w[scores <= s].sum() >= coverage * 36 / 35]
            assert q == min(allowed)
    again = copy.deepcopy(model).calibrate(X_NEW[present], Y_NEW[present], 7 * weight[present])
    np.testing.assert_allclose(again.variance_factor_, model.variance_factor_)
    np.testing.assert_allclose(again._conformal_quantile(0.6), model._conformal_quantile(0.6), rtol=1e-6)
    equal, without = (copy.deepcopy(model).calibrate(X_NEW, Y_NEW, w) for w in (np.full(40, 0.7), None))
    for coverage in (0.1, 0.5, 0.9, 40 / 41):
        np.testing.assert_allclose(equal._conformal_quantile(coverage), without._conformal_quantile(coverage))


# What is calibrated


LOSSES = {
    "squared_error": {},
    "poisson": {},
    "absolute_error": {},
    "huber": {},
    "quantile": {"quantile": 0.8},
    "gaussian_nll": {},
}


@pytest.mark.parametrize("loss", LOSSES)
def test_coverage_of_exchangeable_rows(loss):
    """The expected coverage is ⌈(m + 1) 0.8⌉ / (m + 1), for noise that depends on x and is not normal."""

    def draw(n):
        rows = rng.uniform(-1, 1, size=(n, 2))
        mean = np.exp(rows[:, 0])
        return rows, rng.poisson(mean) if loss == "poisson" else mean + (1 + rows[:, 1]) * rng.exponential(size=n)

    model = DropoutMLPRegressor(loss, (8,), dropout=0.2, max_iter=20, random_state=0, **LOSSES[loss]).fit(*draw(200))
    coverage = []
    for _ in range(150):
        model.calibrate(*draw(14), n_samples=10)
        rows, targets = draw(50)
        lower, upper = model.predict_interval(rows, 0.8, n_samples=10).T
        coverage.append(np.mean((lower <= targets) & (targets <= upper)))
    error = np.std(coverage) / np.sqrt(150)
    if loss == "poisson":  # equal scores cover more
        assert np.mean(coverage) > 0.8 - 5 * error
        assert (lower >= 0).all()
        assert (lower == 0).any()
    else:
        assert abs(np.mean(coverage) - 0.8) < 5 * error


@pytest.mark.parametrize("schedule", ["flat_cos", "constant"])
@pytest.mark.parametrize("targets", [y, Y2], ids=["one output", "two outputs"])
def test_factor_and_scores_by_definition(targets, schedule):
    weight = rng.uniform(0.5, 2, size=40)
    model = regressor(dropout_schedule=schedule).fit(X[:60], targets[:60])
    plain = copy.deepcopy(model)
    model.calibrate(X_NEW, targets[60:], weight)
    plain.noise_variance_ = model.noise_variance_
    mean, std = plain.predict(X_NEW, return_std=True)
    errors = np.abs(targets[60:] - mean)
    factor = np.average((errors / std) ** 2, axis=0, weights=weight)
    np.testing.assert_allclose(model.variance_factor_, factor)
    assert (np.abs(factor - 1) > 0.01).any()
    np.testing.assert_allclose(model.conformity_scores_, errors / std / np.sqrt(factor))
    same_mean, scaled = model.predict(X_NEW, return_std=True)
    np.testing.assert_array_equal(same_mean, mean)
    np.testing.assert_allclose(scaled, std * np.sqrt(factor))
    parts, before = model.predict_uncertainty(X_NEW), plain.predict_uncertainty(X_NEW)
    for name in ("epistemic_variance", "aleatoric_variance"):
        np.testing.assert_allclose(parts[name], factor * before[name])
    np.testing.assert_allclose(parts.epistemic_variance + parts.aleatoric_variance, parts.std**2)
    np.testing.assert_array_equal(model.sample_y(X, 5), plain.sample_y(X, 5))
    interval = model.predict_interval(X_NEW, 0.8)
    assert interval.shape == (*targets[60:].shape, 2)
    inside = (interval[..., 0] <= targets[60:]) & (targets[60:] <= interval[..., 1])
    assert (np.average(inside, axis=0, weights=weight) >= 0.8).all()


FITS = {
    "dropout": {},
    "constant": {"dropout_schedule": "constant"},
    "no dropout": {"dropout": 0},
    "float32": {"dtype": "float32"},
    "given noise": {"noise_variance": 0.5},
    "batch norm": {"batch_norm": "after_activation", "mask_sharing": "batch", "dropout_kind": "gaussian"},
    "poisson": {"loss": "poisson"},
    "gaussian_nll": {"loss": "gaussian_nll"},
}


@pytest.mark.parametrize("as_X", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("params", FITS.values(), ids=FITS)
@pytest.mark.parametrize("targets", [np.abs(y), np.abs(Y2)], ids=["one output", "two outputs"])
def test_fit_with_a_validation_set_calibrates_like_calibrate(targets, params, as_X):
    weight = np.arange(40) % 3
    rows, new, targets, held = as_X(X[:60]), as_X(X_NEW), targets[:60], targets[60:]
    model = regressor(**params).fit(rows, targets)
    assert_uncalibrated(model)
    expected = regressor(**params).fit(rows, targets, X_val=new, y_val=held, sample_weight_val=weight)
    assert model.calibrate(new, held, weight) is model
    assert_same_calibration(model, expected)
    np.testing.assert_array_equal(model.noise_variance_, expected.noise_variance_)
    assert model.conformity_scores_.shape == (26, *targets.shape[1:])
    np.testing.assert_array_equal(model.predict_interval(new, 0.7), expected.predict_interval(new, 0.7))
    assert model.predict_interval(new, 0.7).dtype == params.get("dtype", float)
    is_1 = "noise_variance" in params or params.get("dropout") == 0
    assert (np.ravel(model.variance_factor_ == 1) == is_1).all()


def test_lbfgs_is_calibrated_on_the_validation_set():
    with pytest.warns(UserWarning, match="have no effect on the training"):
        model = regressor(solver="lbfgs", dropout=0).fit(X[:60], y[:60], X_val=X_NEW, y_val=y[60:])
    assert_same_calibration(model, regressor(solver="lbfgs", dropout=0).fit(X[:60], y[:60]).calibrate(X_NEW, y[60:]))


def test_early_stopping_calibrates_on_its_validation_set_with_the_best_weights():
    params = {"dropout": 0, "learning_rate_init": 0.1, "n_iter_no_change": 5, "max_iter": 90}
    model = regressor(early_stopping=True, validation_fraction=0.3, **params).fit(X, y)
    assert model.n_iter_ < 90
    n_rows, bits = model._validation_mask
    held_out = np.unpackbits(bits, count=n_rows).astype(bool)
    expected = copy.deepcopy(model).calibrate(X[held_out], y[held_out])
    assert len(model.conformity_scores_) == 30
    np.testing.assert_allclose(np.sort(expected.conformity_scores_), np.sort(model.conformity_scores_))
    assert model.variance_factor_ == 1  # since noise_variance_ is of the same rows


def test_fit_calibrates_on_a_bounded_number_of_rows_and_calibrate_on_all(monkeypatch):
    monkeypatch.setattr(skdropout._conformal, "MAX_NOISE_ROWS", 20)
    monkeypatch.setattr(skdropout._regressor, "MAX_NOISE_ROWS", 20)
    weight = np.arange(40) >= 5
    model = regressor().fit(X[:60], y[:60], X_val=X_NEW, y_val=y[60:], sample_weight_val=weight)
    rows = Rows(X_NEW, y[60:], Y_NEW[:, :1], weight).sample(20)
    assert_same_calibration(model, copy.deepcopy(model).calibrate(rows.X, rows.y, rows.sample_weight))
    assert len(model.calibrate(X_NEW, y[60:]).conformity_scores_) == 40


def test_calibration_changes_neither_weights_nor_random_streams():
    models = [regressor().fit(X, y).partial_fit(X, y) for _ in range(2)]
    models[0].calibrate(X_NEW, y[60:])
    for model in models:
        model.partial_fit(X, y)
    for a, b in zip(*(model.coefs_ for model in models), strict=True):
        np.testing.assert_array_equal(a, b)


# The density


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"dropout_schedule": "constant"},
        {"dropout": 0},
        {"dropout_schedule": "constant", "hidden_layer_sizes": (12, 8)},
        {"loss": "gaussian_nll"},
    ],
    ids=["flat_cos", "constant", "no dropout", "two layers", "gaussian_nll"],
)
@pytest.mark.parametrize("factor", [0.01, 0.5, 0.9, 1.0, 2.5])
def test_density_has_the_moments_of_predict(params, factor):
    model = regressor(**params).fit(X, y)
    model.variance_factor_ = factor
    options = {"n_samples": 100, "mask_sharing": "batch", "random_state": 3}
    grid = np.linspace(-30, 30, 20_001)
    density = np.exp(model.log_predictive_density(np.tile(X[:1], (20_001, 1)), grid, **options))
    assert trapezoid(density, grid) == pytest.approx(1, abs=1e-6)
    options["dropout"] = 0 if params.get("dropout") == 0 else None  # does not warn
    mean, std = model.predict(X[:1], return_std=True, **options)
    assert trapezoid(grid * density, grid) == pytest.approx(mean[0], abs=1e-6)
    assert trapezoid((grid - mean[0]) ** 2 * density, grid) == pytest.approx(std[0] ** 2, rel=1e-6)


def test_small_factors_reduce_the_spread_first_and_large_ones_stretch_both():
    """Mixtures by hand, of 100 passes: spread and noise variance times g and k."""
    model = regressor(dropout_schedule="constant").fit(X, y)
    passes, noise = model.sample_y(X, 100), model.noise_variance_
    mean, spread = passes.mean(axis=1), passes.var(axis=1)
    seen = set()
    for factor in (0.2, 0.9, 3.0):
        model.variance_factor_ = factor
        total = factor * (spread + noise)
        k = np.full(100, factor) if factor > 1 else np.minimum(1, total / noise)
        g = (total - k * noise) / spread
        seen |= {*np.sign(g[g < factor - 1e-9].round(9)), *np.sign(g[g > 1])}
        scaled = mean[:, np.newaxis] + np.sqrt(np.maximum(g, 0))[:, np.newaxis] * (passes - mean[:, np.newaxis])
        densities = norm.logpdf(y[:, np.newaxis], scaled, np.sqrt(k * noise)[:, np.newaxis])
        np.testing.assert_allclose(model.log_predictive_density(X, y), logsumexp(densities, axis=1) - np.log(100))
    assert seen == {0, 1}


def test_density_uses_the_same_passes_for_the_mean_with_any_random_state():
    model = regressor(dropout_schedule="constant").fit(X, y)
    model.variance_factor_ = 2.5
    seed = np.random.RandomState(3).randint(2**31 - 1)
    density = model.log_predictive_density(X, y, random_state=np.random.RandomState(3))
    np.testing.assert_array_equal(density, model.log_predictive_density(X, y, random_state=seed))


def test_joint_density_of_several_outputs():
    model = regressor(dropout=0).fit(X, Y2)
    model.variance_factor_ = np.array([0.3, 2.0])
    mean, std = model.predict(X_NEW, return_std=True, dropout=0)
    expected = norm.logpdf(Y_NEW, mean, std).sum(axis=1)
    np.testing.assert_allclose(model.log_predictive_density(X_NEW, Y_NEW), expected)


# When it is discarded


def test_training_discards_the_calibration_of_other_weights():
    calibrated = regressor(early_stopping=True, warm_start=True).fit(X, Y2)
    assert calibrated.conformity_scores_.shape == (10, 2)
    model = copy.deepcopy(calibrated).set_params(early_stopping=False)
    assert_same_calibration(model, calibrated)
    assert_uncalibrated(copy.deepcopy(model).partial_fit(X, Y2))
    assert_uncalibrated(copy.deepcopy(model).fit(X, Y2))
    again = copy.deepcopy(model).fit(X, Y2, X_val=X_NEW, y_val=Y_NEW)
    assert again.conformity_scores_.shape == (40, 2)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(X * np.nan, Y2)
    assert_same_calibration(model, calibrated)


class Log:
    """Scorer that records the calibration of what it scores."""

    def __init__(self):
        self.factors = []

    def __call__(self, estimator, X, y):
        assert_uncalibrated(estimator)
        self.factors.append(estimator.variance_factor_)
        return estimator.log_predictive_density(X, y, n_samples=2).mean()


def test_scorers_during_training_see_no_calibration():
    model, log = regressor(early_stopping=True, warm_start=True), Log()
    model.set_params(scoring=log).fit(X, y)
    model.fit(X, y)
    assert log.factors == [1.0] * 31  # also after the first fit
    assert model.variance_factor_ != 1


@needs_callbacks
def test_early_stopping_callback_discards_the_calibration_of_the_last_weights():
    log = Log()
    stopping = EarlyStopping(X_NEW, y[60:], n_iter_no_change=2, scoring=log)
    model = regressor(learning_rate_init=0.3).set_callbacks(stopping).fit(X, y, X_val=X_NEW, y_val=y[60:])
    assert stopping.best_epoch_ < len(log.factors)
    assert_uncalibrated(model)
    model.calibrate(X_NEW, y[60:]).predict_interval(X)


# Bad and extreme input


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        ((X_NEW, y[:5]), {}, "inconsistent"),
        ((X_NEW, Y_NEW), {}, r"2 output\(s\), but the estimator was fitted with 1"),
        ((X_NEW[:, 1:], y[60:]), {}, "3 features"),
        ((X_NEW, np.full(40, np.nan)), {}, "NaN"),
        ((X_NEW, y[60:], -np.ones(40)), {}, "[Nn]egative"),
        ((X_NEW, y[60:], np.zeros(40)), {}, "sample_weight"),
        ((X_NEW, y[60:]), {"n_samples": 0}, "n_samples == 0"),
        ((X_NEW, y[60:]), {"dropout": 1.0}, "dropout must be a float"),
        ((X_NEW * 1e307, y[60:]), {}, "overflowed"),
    ],
)
def test_failed_calibration_leaves_the_estimator_unchanged(arguments, options, match):
    model = regressor(early_stopping=True).fit(X, y)
    before = copy.deepcopy(vars(model))
    with pytest.raises(ValueError, match=match):
        model.calibrate(*arguments, **options)
    assert vars(model).keys() == before.keys()
    assert model.noise_variance_ == before["noise_variance_"]
    for name in CALIBRATION:
        np.testing.assert_array_equal(before[name], getattr(model, name))
    with pytest.raises(ValueError, match=r"noise_variance must be in \(0, inf\), got -1"):
        model.set_params(noise_variance=-1).calibrate(X_NEW, y[60:])


def test_unfitted():
    for call in (regressor().calibrate, regressor().predict_interval, partial(predict_interval, regressor())):
        with pytest.raises(NotFittedError):
            call(X, y) if "calibrate" in str(call) else call(X)


@pytest.mark.parametrize("dropout", [0, 0.3])
def test_exact_fits_and_huge_residuals_stay_finite(dropout):
    model = regressor(dropout=dropout).fit(X, y)
    for targets in (model.predict(X), np.full(100, 1e200), y * 1e-200):
        model.calibrate(X, targets)
        assert 0 < model.variance_factor_ < np.inf
        assert np.isfinite(model.conformity_scores_).all()
        _, std = model.predict(X, return_std=True, dropout=dropout)
        assert (std > 0).all()
        assert np.isfinite(std).all()
        interval = model.predict_interval(X, 0.9)
        assert not np.isnan(interval).any()
        slack = 1e-9 * np.abs(targets)
        assert np.mean((interval[:, 0] <= targets + slack) & (targets - slack <= interval[:, 1])) >= 0.9
        assert not np.isnan(model.log_predictive_density(X, targets)).any()


# Containers


def test_intervals_are_transformed_back():
    model = make_pipeline(StandardScaler(), TransformedTargetRegressor(regressor(), transformer=StandardScaler()))
    inner = model.fit(X, Y2)[-1].regressor_
    assert isinstance(inner, DropoutMLPRegressor)
    inner.calibrate(model[:-1].transform(X), model[-1].transformer_.transform(Y2))
    expected = inner.predict_interval(model[:-1].transform(X), 0.8, n_samples=20)
    expected = expected * Y2.std(axis=0)[:, np.newaxis] + Y2.mean(axis=0)[:, np.newaxis]
    np.testing.assert_allclose(predict_interval(model, X, 0.8, n_samples=20), expected)


@pytest.mark.parametrize(
    "transformer",
    [
        None,
        StandardScaler().set_output(transform="pandas"),
        FunctionTransformer(np.negative, np.negative),
        FunctionTransformer(np.log, np.exp),
        PowerTransformer(),
        QuantileTransformer(n_quantiles=20),
    ],
    ids=str,
)
def test_monotone_transformations_keep_the_coverage(transformer):
    positive = np.exp(y / 4)
    reg = regressor(early_stopping=True, validation_fraction=0.3, learning_rate_init=0.02)
    model = TransformedTargetRegressor(make_pipeline(StandardScaler(), reg), transformer=transformer).fit(X, positive)
    targets = np.clip(positive * rng.uniform(0.8, 1.2, size=100), positive.min(), positive.max())  # for quantiles
    rows, t = X + 0.1, np.ravel(model.transformer_.transform(targets[:, np.newaxis]))
    lower, upper = predict_interval(model.regressor_, rows).T
    covered = (lower <= t) & (t <= upper)
    lower, upper = predict_interval(model, rows).T
    assert (lower <= upper).all()
    np.testing.assert_array_equal((lower <= targets) & (targets <= upper), covered)
    search = GridSearchCV(model, {"transformer": [transformer]}, cv=2).fit(X, positive)
    np.testing.assert_array_equal(predict_interval(search, X), predict_interval(search.best_estimator_, X))


@pytest.mark.parametrize("sign", [-1, 1])
def test_ends_beyond_the_range_of_a_transformer_are_infinite(sign):
    """The inverse of exp is log, whose range ends at 0."""
    model = TransformedTargetRegressor(
        regressor(early_stopping=True), func=lambda t: sign * np.exp(t), inverse_func=lambda u: np.log(sign * u)
    ).fit(X, y)
    network = model.regressor_
    for array in (*network.coefs_, *network.intercepts_):
        array[:] = 0
    network.conformity_scores_ = np.ones(9)
    half_width = network.predict_interval(X[:1], 0.9)[0, 1]
    intercepts = network.intercepts_[-1]
    unbounded = -np.inf, np.inf
    for center, expected in [(0.5, (-np.inf, 1.5)), (2.0, (1, 3)), (-0.9, unbounded), (-2.0, unbounded)]:
        intercepts[:] = sign * center * half_width
        interval = predict_interval(model, X[:1], 0.9)[0]
        ends = [np.log(e * half_width) if 0 < e < np.inf else e for e in expected]
        np.testing.assert_allclose(interval, ends)


@pytest.mark.parametrize(
    ("transformer", "targets"),
    [(PCA(), Y2), (FunctionTransformer(np.sqrt, np.square), np.abs(y))],
    ids=["rotation", "square"],
)
def test_other_transformations_are_refused(transformer, targets):
    reg = regressor(early_stopping=True, validation_fraction=0.3)
    model = TransformedTargetRegressor(reg, transformer=transformer).fit(X, targets)
    with pytest.raises(ValueError, match=r"does not transform intervals of the targets back .*StandardScaler"):
        predict_interval(model, X)


def test_estimators_without_intervals_are_refused():
    with pytest.raises(TypeError, match=r"no DropoutMLPRegressor in .*LinearRegression"):
        predict_interval(make_pipeline(LinearRegression()).fit(X, y), X)


# The parts of the variance


@pytest.mark.parametrize("schedule", ["flat_cos", "constant"])
@pytest.mark.parametrize("targets", [y, Y2], ids=["one output", "two outputs"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parts_of_the_variance(targets, schedule, dtype):
    model = regressor(dropout_schedule=schedule, dtype=dtype).fit(X, targets)
    options = {"n_samples": 30, "random_state": 1, "mask_sharing": "batch"}
    found = model.predict_uncertainty(X, **options)
    assert sorted(found) == ["aleatoric_variance", "epistemic_variance", "mean", "std"]
    mean, std = model.predict(X, return_std=True, **options)
    np.testing.assert_array_equal(found.mean, mean)
    np.testing.assert_array_equal(found.std, std)
    assert found.mean.dtype == found.std.dtype == dtype
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    raw = model.sample_y(X, dropout=0.3, **options).var(axis=-1)
    np.testing.assert_allclose(found.epistemic_variance, raw, rtol=tolerance)
    np.testing.assert_array_equal(found.aleatoric_variance, np.broadcast_to(model.noise_variance_, targets.shape))
    np.testing.assert_allclose(found.epistemic_variance + found.aleatoric_variance, found.std**2, rtol=tolerance)
    found.aleatoric_variance[:] = 0  # writable
    without = model.predict_uncertainty(X, dropout=0)
    np.testing.assert_allclose(without.epistemic_variance, 0, atol=1e-12)


def test_parts_of_the_variance_without_dropout_do_not_warn():
    found = regressor(dropout=0).fit(X, y).predict_uncertainty(X)
    np.testing.assert_allclose(found.epistemic_variance, 0, atol=1e-20)
    assert found.mean.shape == (100,)


def test_exact_fits_and_extreme_residuals_are_finite():
    model = regressor(dropout=0).fit(X, y)
    for array in (*model.coefs_, *model.intercepts_):
        array[:] = 0
    model.calibrate(X, np.zeros(100))
    np.testing.assert_array_equal(model.conformity_scores_, 0)
    np.testing.assert_array_equal(model.predict_interval(X, 0.5), 0)
    assert np.isfinite(model.log_predictive_density(X, np.zeros(100))).all()
    model.set_params(noise_variance=1e-300).calibrate(X, np.where(np.arange(100) < 50, 1e200, y))
    assert model.conformity_scores_.max() == np.finfo(float).max

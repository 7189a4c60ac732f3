"""Noise that depends on x: loss="gaussian_nll" of the regressor. Five sigma."""

import copy
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers import by_pickle
from scipy.stats import norm
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdropout import CoverageDisplay, DropoutMLPRegressor, diagnose, log_predictive_density_scorer

rng = np.random.RandomState(0)
X = rng.normal(size=(200, 3))
STD = np.exp(0.5 * X[:, 0]) / 2
y = X[:, 1] + STD * rng.normal(size=200)
Y = np.column_stack([y, rng.normal(size=200)])


def regressor(loss="gaussian_nll", **params):
    return DropoutMLPRegressor(loss, **{"hidden_layer_sizes": (12,), "max_iter": 15, "random_state": 0} | params)


def linear_regressor(**params):
    """Return a linear model that converges to the minimum, in full-batch training without penalty."""
    params = {"alpha": 0.0, "learning_rate": "cosine", "learning_rate_init": 0.05, "max_iter": 400} | params
    return regressor(hidden_layer_sizes=(), dropout=0.0, n_iter_no_change=np.inf, **params)


@pytest.mark.parametrize("weighted", [False, True])
def test_linear_mean_and_log_variance_are_recovered(weighted):
    """The standard errors are those of the estimating equations, by the sandwich formula."""
    rng = np.random.RandomState(1)
    X = rng.uniform(-1, 1, size=(2000, 2))
    mean, log_variance = X @ [0.8, -0.5] + 0.3, X @ [1.0, 0.5] - 1.0
    std = np.exp(log_variance / 2)
    y = mean + std * rng.normal(size=2000)
    weights = rng.uniform(0, 2, size=2000) if weighted else np.ones(2000)
    model = linear_regressor(batch_size=2000).fit(X, y, sample_weight=weights if weighted else None)
    design = np.column_stack([X, np.ones(2000)])
    found = np.vstack([model.coefs_[0], model.intercepts_[0]])
    expected = np.column_stack([[0.8, -0.5, 0.3], [1.0, 0.5, -1.0]])
    # equations sum w x r/σ = 0 and sum w x σ (1 - r²/σ²)/2 = 0: slopes -1/σ and σ/2, variances 1 and σ²/2
    for j, (slope, variance) in enumerate([(1 / std, np.ones(2000)), (std / 2, std**2 / 2)]):
        bread = np.linalg.inv((design.T * weights * slope) @ design)
        covariance = bread @ ((design.T * weights**2 * variance) @ design) @ bread
        np.testing.assert_array_less(np.abs(found[:, j] - expected[:, j]), 5 * np.sqrt(np.diag(covariance)))
    uncertainty = model.predict_uncertainty(X)
    np.testing.assert_allclose(uncertainty.aleatoric_variance, np.exp(design @ found[:, 1]))
    np.testing.assert_allclose(uncertainty.std, np.exp(design @ found[:, 1] / 2))
    np.testing.assert_allclose(uncertainty.epistemic_variance, 0, atol=1e-25)
    np.testing.assert_allclose(uncertainty.mean, model.predict(X))
    assert model.noise_variance_ == pytest.approx(np.average(uncertainty.aleatoric_variance, weights=weights))
    losses = (np.log(uncertainty.aleatoric_variance) + (y - model.predict(X)) ** 2 / uncertainty.aleatoric_variance) / 2
    assert model.loss_ == pytest.approx(np.average(losses, weights=weights), rel=1e-6)


def column(model, j):
    """Return the regressor of output `j` of a regressor with two outputs."""
    single = copy.deepcopy(model)
    single.coefs_[-1], single.intercepts_[-1] = model.coefs_[-1][:, [j, j + 2]], model.intercepts_[-1][[j, j + 2]]
    single.n_outputs_ = 1
    for name in {"noise_variance_", "variance_factor_"} & set(vars(model)):
        setattr(single, name, float(getattr(model, name)[j]))
    return single


def test_outputs_are_independent():
    model = regressor(dropout=0.2).fit(X, Y)
    singles = [column(model, j) for j in range(2)]
    np.testing.assert_allclose(model.predict(X), np.column_stack([m.predict(X) for m in singles]))
    joint = model.log_predictive_density(X, Y, dropout=0)
    separate = sum(m.log_predictive_density(X, Y[:, j], dropout=0) for j, m in enumerate(singles))
    np.testing.assert_allclose(joint, separate)
    for both, *single in zip(
        model.predict_uncertainty(X).values(), *(m.predict_uncertainty(X).values() for m in singles), strict=True
    ):
        np.testing.assert_allclose(both, np.column_stack(single))
    assert model.coefs_[-1].shape == (12, 4)
    assert (model.n_outputs_, model.noise_variance_.shape) == (2, (2,))
    assert model.sample_y(X, 3).shape == (200, 2, 3)


def test_density_without_dropout_is_that_of_the_predicted_normal():
    model = regressor(dropout=0).fit(X, y)
    mean, std = model.predict(X, return_std=True)  # without the warning about a constant standard deviation
    assert np.ptp(std) > 0.1
    np.testing.assert_allclose(model.log_predictive_density(X, y), norm.logpdf(y, mean, std))


def test_variance_limits():
    model = linear_regressor(dtype="float32", max_iter=2).fit(X, y)
    model.coefs_[0][:, 1] = 100
    distant = 1e3 * X.astype("f")
    variances = model.predict_uncertainty(distant).aleatoric_variance
    np.testing.assert_allclose(np.unique(variances), [1e-6, 1e6], rtol=1e-5)
    assert np.isfinite(model.log_predictive_density(distant, y)).all()


REFUSED = {
    "mean": (
        y + 4,
        r"needs standardized targets, but the values of `y` have mean 3\.9\d* and standard deviation 1\.\d+",
    ),
    "large": (10 * y, r"standard deviation 1\d\.\d: use TransformedTargetRegressor\(\.\.\., transformer=Stand"),
    "second": (Y * [1, 5], r"values of `y` of output 1 have mean -?\d\.\d+ and standard deviation 4\.7"),
    "huge": (y * 1e30, "needs standardized targets"),
    "small": (y / 100, r"standard deviation 0\.0\d+"),
    "constant": (np.full(200, 2.5), r"learns the variance .* all values of `y` are 2\.5: use another loss"),
    "constant column": (Y * [1, 0], "all values of `y` of output 1 are 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_targets_that_are_not_standardized_are_refused(case):
    targets, message = REFUSED[case]
    model = regressor().fit(X, Y if targets.ndim == 2 else y)
    before = model.predict(X)
    with pytest.raises(ValueError, match=message):
        model.fit(X, targets)
    with pytest.raises(ValueError, match=message):
        model.set_params(warm_start=True).fit(X, targets)
    np.testing.assert_array_equal(model.predict(X), before)
    constant = "constant" in case
    if not constant:
        scaled = TransformedTargetRegressor(regressor(), transformer=StandardScaler()).fit(X, targets)
        assert np.isfinite(scaled.predict(X)).all()
    stream = regressor()
    if constant or case == "small":  # the first batch of a stream may have few or similar values
        stream.partial_fit(X, targets)
    else:
        with pytest.raises(ValueError, match=message):
            stream.partial_fit(X, targets)
        stream.partial_fit(X, Y if targets.ndim == 2 else y)
    with np.errstate(over="ignore"):
        if case != "huge":
            stream.partial_fit(X, targets)  # later batches are not checked


def test_only_rows_with_weight_must_be_standardized():
    targets, weights = np.where(np.arange(200) < 100, y, 1e3), np.repeat([1.0, 0.0], 100)
    regressor().fit(X, targets, sample_weight=weights)
    with pytest.raises(ValueError, match="needs standardized targets"):
        regressor().fit(X, targets)


def test_the_noise_variance_cannot_be_given():
    with pytest.raises(ValueError, match=r"learns the noise variance .* set noise_variance=None, got \[0\.5\]"):
        regressor(noise_variance=[0.5]).fit(X, y)


def test_early_stopping_monitors_the_loss():
    model = regressor(early_stopping=True).fit(X, Y)
    np.testing.assert_array_equal(model.validation_scores_, -np.array(model.validation_loss_curve_))
    held_out = regressor().fit(X[:150], Y[:150], X_val=X[150:], y_val=Y[150:])
    hidden = np.maximum(X[150:] @ held_out.coefs_[0] + held_out.intercepts_[0], 0)
    mean, log_variance = np.hsplit(hidden @ held_out.coefs_[1] + held_out.intercepts_[1], 2)
    nll = (log_variance + (Y[150:] - mean) ** 2 / np.exp(log_variance)).mean() / 2  # the mean over the outputs
    assert held_out.validation_loss_curve_[-1] == pytest.approx(nll)
    np.testing.assert_allclose(held_out.noise_variance_, np.exp(log_variance).mean(axis=0))


@pytest.mark.parametrize("batch_norm", [False, "after_activation"])
def test_a_fitted_network_does_not_depend_on_the_parameter(batch_norm, tmp_path):
    model = regressor(dropout=0.2, batch_norm=batch_norm).fit(X, y)
    expected = model.predict_uncertainty(X)
    other = by_pickle(model).set_params(loss="squared_error")
    for a, b in zip(expected.values(), by_pickle(other).predict_uncertainty(X).values(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.sample_y(X, 3), other.sample_y(X, 3))
    np.testing.assert_array_equal(other.to_sklearn().predict(X), model.predict(X))
    model.save_weights(tmp_path / "net.npz")
    with pytest.raises(ValueError, match=r"with loss='squared_error': call set_params\(loss='gaussian_nll'\) first"):
        clone(other).load_weights(tmp_path / "net.npz")
    with pytest.raises(
        ValueError, match=r"'squared_error' needs 1 column.* for each output.* network has 2\. Set warm_st"
    ):
        other.partial_fit(X, y)


@pytest.mark.parametrize("targets", [y, Y], ids=["one output", "as many columns"])
def test_a_network_of_another_loss_is_not_continued(targets):
    model = regressor("squared_error", warm_start=True).fit(X, targets)
    before = model.predict(X)
    with pytest.raises(ValueError, match=r"'gaussian_nll' needs 2 column\(s\) .* for each output.* network has 1\."):
        model.set_params(loss="gaussian_nll").fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)


def test_files_with_an_odd_number_of_columns_are_damaged(tmp_path):
    model = regressor().fit(X, y)
    model.save_weights(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as file:
        arrays = dict(file)
    arrays["header"] = np.array(arrays["header"].item().replace("[3, 12, 2]", "[3, 12, 3]"))
    np.savez(tmp_path / "damaged.npz", **arrays)
    with pytest.raises(ValueError, match="an output layer of 3 units does not match 'gaussian'"):
        model.load_weights(tmp_path / "damaged.npz")


def test_negative_losses_do_not_warn_about_a_constant():
    """The loss of the best constant is -0.7, and the inputs have no information."""
    rng = np.random.RandomState(2)
    with warnings.catch_warnings(action="error", category=ConvergenceWarning):
        model = linear_regressor().fit(rng.normal(size=(200, 1)) / 100, y * 0.3 / y.std())
    assert -0.71 < model.loss_ < -0.69


def test_displays_and_diagnosis():
    model = make_pipeline(
        StandardScaler(), TransformedTargetRegressor(regressor(dropout=0.2), transformer=StandardScaler())
    )
    model.fit(X, 10 + 5 * y)
    display = CoverageDisplay.from_estimator(model, X, 10 + 5 * y)
    plt.close(display.figure_)
    assert 0.1 < display.coverage[9] < 0.9
    assert np.isfinite(log_predictive_density_scorer(model, X, 10 + 5 * y))
    assert diagnose(model, X, 10 + 5 * y).gradient_norm.shape == (2,)


def test_large_columns_are_scaled_relative_to_the_targets():
    """As with other losses for real-valued targets."""
    wide, targets, params = 8 * X, 2.5 * y / y.std(), {"input_dropout": 0.1, "max_iter": 2}
    for loss in ("squared_error", "gaussian_nll"):
        assert regressor(loss, **params).fit(wide, targets)._input_exponents is None
        assert regressor(loss, **params).fit(wide, targets / 2.5)._input_exponents.tolist() == [1, 1, 1]

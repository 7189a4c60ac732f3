"""Monte-Carlo dropout: moments in closed form, schedules, masks, order, threads, memory, densities. Five sigma."""

import copy
import pickle
import tracemalloc
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from scipy.integrate import trapezoid
from scipy.special import logit, logsumexp
from scipy.stats import lognorm, norm
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import skdropout._regressor
import skdropout._sampling
import skdropout._threads
import skdropout.engine.sampling
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor, log_predictive_density_scorer
from skdropout._fit.data import Rows
from skdropout._sampling import SamplingOptions
from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.layers import EPSILON

pytestmark = pytest.mark.filterwarnings("ignore:dropout_kind='alpha' preserves")
rng = np.random.RandomState(0)
X = rng.normal(size=(60, 4))
y = X[:, 0] + np.sin(2 * X[:, 1]) + 0.3 * rng.normal(size=60)
Y2 = np.column_stack([y, X[:, 2] - y])
LABELS = np.digitize(y, [-0.5, 0.5])
MULTILABEL = (Y2 > 0).astype(int)
T = 4000
SMALL = {"hidden_layer_sizes": (12,), "dropout": 0.3, "dropout_schedule": "constant", "max_iter": 15, "random_state": 0}
classifier, regressor = partial(DropoutMLPClassifier, **SMALL), partial(DropoutMLPRegressor, **SMALL)
each_noise = pytest.mark.parametrize("loss", ["squared_error", "gaussian_nll"])


def assert_moments(samples, mean, variance):
    """Compare the mean and variance of the passes, the last axis, with the expected ones."""
    variance = np.broadcast_to(variance, mean.shape)
    error = np.sqrt(variance / samples.shape[-1])
    np.testing.assert_array_less(np.abs(samples.mean(-1) - mean), 5 * error + 1e-12)
    squares = (samples - mean[..., np.newaxis]) ** 2
    error = squares.std(-1) / np.sqrt(samples.shape[-1])
    np.testing.assert_array_less(np.abs(squares.mean(-1) - variance), 5 * error + 1e-12)


def noise_variances(model, X, n_samples, **rates):
    """Return the noise variance of each pass: ``noise_variance_``, or that of the last columns of the network."""
    if model.out_activation_ == "identity":
        return np.reshape(model.noise_variance_, (-1, 1))
    other, k = copy.copy(model), model.n_outputs_
    other.coefs_ = [*model.coefs_[:-1], model.coefs_[-1][:, k:]]
    other.intercepts_ = [*model.intercepts_[:-1], model.intercepts_[-1][k:]]
    other.out_activation_ = "identity"
    return np.exp(other.sample_y(X, n_samples, **rates))


def hidden(model, X):
    return np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)


@pytest.fixture
def small_blocks(monkeypatch):
    """Split rows and passes into many blocks instead of one."""
    monkeypatch.setattr(skdropout.engine.sampling, "BLOCK", 12 * 64)


# The samples


@pytest.mark.parametrize("dense", [True, False])
def test_noise_on_the_inputs_of_a_linear_model(dense):
    model = regressor(hidden_layer_sizes=(), dropout=(), input_dropout=0.25).fit(X, y)
    samples = model.sample_y(X if dense else sparse.csr_array(X), T)
    assert_moments(samples, model.predict(X), 0.25 / 0.75 * X**2 @ model.coefs_[0].ravel() ** 2)


@pytest.mark.parametrize("kind", DROPOUTS)
def test_every_kind_on_a_hidden_layer(kind):
    model = regressor(dropout_kind=kind).fit(X, y)
    noise, h, w = DROPOUTS[kind](0.3, float), hidden(model, X), model.coefs_[1].ravel()
    assert_moments(model.sample_y(X, T), noise.mean(h) @ w + model.intercepts_[1], noise.variance(h) @ w**2)


def test_units_of_a_group_are_dropped_together():
    model = regressor(dropout_kind="spatial", group_size=4).fit(X, y)
    groups = (hidden(model, X) * model.coefs_[1].ravel()).reshape(len(X), 3, 4).sum(2)
    assert_moments(model.sample_y(X, T), model.predict(X), 0.3 / 0.7 * (groups**2).sum(1))


def test_columns_of_a_group_are_dropped_together():
    model = regressor(hidden_layer_sizes=(), dropout=(), input_dropout=0.3, input_groups=list("abab")).fit(X, y)
    terms = X * model.coefs_[0].ravel()
    groups = np.column_stack([terms[:, ::2].sum(1), terms[:, 1::2].sum(1)])
    assert_moments(model.sample_y(X, T), model.predict(X), 0.3 / 0.7 * (groups**2).sum(1))


@pytest.mark.parametrize("place", ["before_activation", "after_activation", "after_dropout"])
def test_batch_norm_uses_its_running_statistics(place):
    """The variance depends on whether the noise acts before or after the scale and shift."""
    model = regressor(activation="identity", batch_norm=place).fit(X, y)
    before = pickle.dumps(model)
    samples = model.sample_y(X, T)
    assert pickle.dumps(model) == before
    # the same network from its raw parameters
    W, V = (
        W.reshape(shape) for W, shape in zip(np.split(model._unfolded[1][:60], [48]), [(4, 12), (12, 1)], strict=True)
    )
    b, c = model._unfolded[1][60:72], model._unfolded[1][72]
    k = model.batch_norm_scale_[0] / np.sqrt(model.batch_norm_var_[0] + EPSILON)
    shift = model.batch_norm_shift_[0] - model.batch_norm_mean_[0] * k
    z = X @ W + b
    noisy, v = (z, V.ravel() * k) if place == "after_dropout" else (z * k + shift, V.ravel())
    mean = (z * k + shift) @ V.ravel() + c
    np.testing.assert_allclose(model.predict(X), mean, atol=1e-10)
    assert_moments(samples, mean, 0.3 / 0.7 * noisy**2 @ v**2)


def test_every_layer_has_its_own_rate_and_noise():
    """A linear network has the same mean; the variance is that of two layers only if both are noisy."""
    model = regressor(hidden_layer_sizes=(6, 5), dropout=(0.4, 0.2), input_dropout=0.1, activation="identity").fit(X, y)
    (W1, W2, w), (b1, b2, b) = model.coefs_, model.intercepts_
    second = np.einsum("ni,nj->nij", X, X)
    mean = X
    for p, W, bias in ((0.1, W1, b1), (0.4, W2, b2), (0.2, w, b)):  # E[x xᵀ] through noise and affine map
        noisy = second * (1 + p / (1 - p) * np.eye(second.shape[1]))
        cross = (mean @ W)[:, :, None] * bias
        second = np.einsum("ia,nij,jb->nab", W, noisy, W) + cross + cross.transpose(0, 2, 1) + np.outer(bias, bias)
        mean = mean @ W + bias
    assert_moments(model.sample_y(X, 4 * T), model.predict(X), second[:, 0, 0] - mean[:, 0] ** 2)


@pytest.mark.parametrize("dropout", [0.1, (0.5,)])
def test_a_rate_for_sampling_replaces_that_of_training(dropout):
    model = regressor(input_dropout=0.2).fit(X, y)
    rate = np.ravel(dropout)[0]
    variance = rate / (1 - rate) * hidden(model, X) ** 2 @ model.coefs_[1].ravel() ** 2
    assert_moments(model.sample_y(X, T, dropout=dropout, input_dropout=0), model.predict(X), variance)
    assert model.dropout_ == (0.2, 0.3)


@pytest.mark.parametrize("input_dropout", [0, 0.3])
def test_sparse_rows_are_sampled_as_dense_ones(input_dropout):
    S = sparse.csr_array(sparse.random(60, 30, density=0.1, random_state=0))
    model = regressor(input_dropout=input_dropout).fit(S, y)
    if input_dropout:  # other draws, the same distribution
        model.set_params(activation="identity").fit(S, y)
        assert_moments(model.sample_y(S, T), model.predict(S), model.sample_y(S.toarray(), 10 * T, 1).var(1))
    else:
        np.testing.assert_allclose(model.sample_y(S, 5), model.sample_y(S.toarray(), 5), atol=1e-12)


@pytest.mark.parametrize("stored", ["zeros", "duplicates"])
def test_every_sparse_format_gives_the_same_results(stored):
    model = regressor(input_dropout=0.5).fit(X, y)
    if stored == "zeros":
        rows = sparse.csr_array((np.array([1.0, 0.0, 2.0]), (np.zeros(3, int), np.array([0, 1, 2]))), shape=(1, 4))
        plain = [[1.0, 0, 2, 0]]
    else:
        rows = sparse.csr_array((np.full(4, 0.5), np.zeros(4, int), np.array([0, 4])), shape=(1, 4))
        plain = [[2.0, 0, 0, 0]]
    np.testing.assert_allclose(model.sample_y(rows, 9), model.sample_y(sparse.csr_array(plain), 9), rtol=1e-12)


def test_alpha_noise_on_sparse_inputs_is_refused():
    model = regressor(dropout_kind="alpha").fit(sparse.csr_array(X), y)
    model.sample_y(sparse.csr_array(X), 2)
    with pytest.raises(ValueError, match=r"alpha.*input_dropout=0\.1 .*input_dropout=0, or make X dense"):
        model.sample_y(sparse.csr_array(X), 2, input_dropout=0.1)


def test_prediction_stays_noise_free():
    model = regressor().fit(X, y)
    np.testing.assert_array_equal(model.predict(X), (hidden(model, X) @ model.coefs_[1] + model.intercepts_[1]).ravel())


# Schedules


ENDS_AT_0 = {
    "flat_cos": "flat_cos",
    "annealed": "annealed",
    "early": "early",
    "to rounding": lambda t: np.cos(np.pi * t / 2),
    "next to 0": lambda t: max(1 - t, 1e-3),
}
after_schedule = pytest.mark.parametrize("schedule", ENDS_AT_0.values(), ids=ENDS_AT_0)


@each_noise
@pytest.mark.parametrize("targets", [y, Y2], ids=["one output", "two outputs"])
@pytest.mark.parametrize("mask_sharing", ["sample", "batch"])
@after_schedule
def test_after_a_schedule_the_spread_is_at_the_rates_of_training_and_the_mean_is_noise_free(
    schedule, mask_sharing, targets, loss
):
    """With two layers the mean of the passes differs."""
    model = regressor(loss, dropout_schedule=schedule, hidden_layer_sizes=(12, 8), input_dropout=0.1).fit(X, targets)
    options = {"n_samples": 150, "mask_sharing": mask_sharing}
    raw = model.sample_y(X, dropout=0.3, input_dropout=0.1, **options)
    variances = noise_variances(model, X, dropout=0.3, input_dropout=0.1, **options)
    mean, std = model.predict(X, return_std=True, **options)
    np.testing.assert_array_equal(mean, model.predict(X))
    assert np.abs(raw.mean(-1) - mean).max() > 0.01
    np.testing.assert_allclose(std, np.sqrt(raw.var(-1) + variances.mean(-1)))
    passes = model.sample_y(X, **options)
    np.testing.assert_allclose(passes, raw + (mean - raw.mean(-1))[..., None], atol=1e-12)
    stds = np.sqrt(np.broadcast_to(variances, passes.shape)).reshape(60, -1, 150)
    densities = norm.logpdf(targets.reshape(60, -1, 1), passes.reshape(60, -1, 150), stds).sum(1)
    expected = logsumexp(densities, axis=1) - np.log(150)
    np.testing.assert_allclose(model.log_predictive_density(X, targets, **options), expected)


@after_schedule
def test_after_a_schedule_the_default_rate_is_that_of_training(schedule):
    model = regressor(dropout_schedule=schedule, input_dropout=0.1).fit(X, y)
    for given in ({"input_dropout": 0}, {"input_dropout": 0.2}, {"dropout": 0}, {"dropout": 0.5}):
        both = {"dropout": 0.3, "input_dropout": 0.1} | given
        raw, noise_free = model.sample_y(X, 100, **both), model.predict(X)
        mean, std = model.predict(X, return_std=True, **given)
        np.testing.assert_array_equal(mean, noise_free)
        np.testing.assert_allclose(std, np.sqrt(raw.var(1) + model.noise_variance_))
        centered = raw + (noise_free - raw.mean(1))[:, None]
        np.testing.assert_allclose(model.sample_y(X, 100, **given), centered, atol=1e-12)
    model.set_params(input_dropout=0).fit(X, y)
    for a, b in zip(model.predict(X, return_std=True), model.predict(X, return_std=True, input_dropout=0), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("targets", [LABELS, LABELS == 1, MULTILABEL], ids=["multiclass", "binary", "multilabel"])
@after_schedule
def test_after_a_schedule_the_logits_are_centered_on_those_without_noise(schedule, targets):
    model = classifier(dropout_schedule=schedule, hidden_layer_sizes=(12, 8)).fit(X, targets)
    P, raw = model.sample_proba(X, 150), model.sample_proba(X, 150, dropout=0.3)
    to_logits = np.log if targets is LABELS else logit
    noise_free, logits, expected = map(to_logits, (model.predict_proba(X), P, raw))
    expected += (noise_free - expected.mean(-1))[..., None]
    if targets is LABELS:  # up to a constant
        logits, expected = (z - z.mean(1, keepdims=True) for z in (logits, expected))
    np.testing.assert_allclose(logits, expected, atol=1e-9)
    np.testing.assert_allclose(model.predict_uncertainty(X, n_samples=150).proba, P.mean(2))
    density = model.log_predictive_density(X, targets, n_samples=150)
    if targets.ndim == 1:
        np.testing.assert_allclose(density, np.log(P[np.arange(60), targets.astype(int)].mean(1)))
        np.testing.assert_allclose(P.sum(1), 1)
    assert ((P >= 0) & (P <= 1)).all()


@pytest.mark.parametrize("mask_sharing", ["sample", "batch"])
def test_few_passes_are_centered_by_the_mean_of_many(mask_sharing):
    model = regressor(dropout_schedule="annealed").fit(X, y)
    options = {"mask_sharing": mask_sharing}
    raw, many = (model.sample_y(X, n, dropout=0.3, **options) for n in (2, 100))
    expected = raw + (model.predict(X) - many.mean(1))[:, None]
    np.testing.assert_allclose(model.sample_y(X, 2, **options), expected, atol=1e-12)
    assert (model.sample_y(X, **options)[:, 0] != model.predict(X)).mean() > 0.5


def test_a_centered_pass_with_shared_masks_is_one_function(small_blocks):
    model = regressor(dropout_schedule="annealed").fit(X, y)
    functions = model.sample_y(X, 9, mask_sharing="batch")
    np.testing.assert_allclose(model.sample_y(X[7:9], 9, mask_sharing="batch"), functions[7:9], rtol=1e-10)


@pytest.mark.parametrize("schedule", ["flat_cos", "annealed"])
def test_rates_that_are_given_are_those_of_the_passes_and_of_their_mean(schedule):
    model = regressor(dropout_schedule=schedule, hidden_layer_sizes=(12, 8)).fit(X, y)
    for rates in ({"dropout": 0.3}, {"dropout": 0.1, "input_dropout": 0.2}):
        mean, std = model.predict(X, return_std=True, **rates)
        passes = model.sample_y(X, 100, **rates)
        np.testing.assert_allclose(mean, passes.mean(1))
        np.testing.assert_allclose(std, np.sqrt(passes.var(1) + model.noise_variance_))
    for rates in ({"dropout": 0}, {"dropout": 0, "input_dropout": 0}):
        mean, std = model.predict(X, return_std=True, **rates)
        np.testing.assert_allclose(mean, model.predict(X))
        np.testing.assert_allclose(std, np.sqrt(model.noise_variance_))


def test_passes_of_counts_are_not_negative_after_a_schedule():
    counts = np.random.RandomState(0).poisson(np.exp(y))
    model = regressor(loss="poisson", dropout=0.6, dropout_schedule="annealed", learning_rate_init=0.05)
    model.fit(X, counts)
    samples = model.sample_y(X, 500)
    assert (samples >= 0).all()
    assert (samples == 0).any()  # the shift alone makes some negative
    mean, std = model.predict(X, return_std=True, n_samples=500)
    np.testing.assert_array_equal(mean, model.predict(X))
    raw = model.sample_y(X, 500, dropout=0.6)
    np.testing.assert_allclose(std, np.sqrt(raw.var(1) + model.noise_variance_))


@each_noise
def test_after_a_schedule_in_float32_sparse_and_with_batch_norm(small_blocks, loss):
    S = sparse.random(60, 30, density=0.1, random_state=0, dtype="f").tocsr()
    for place in (False, "before_activation", "after_activation", "after_dropout"):
        model = regressor(loss, dropout_schedule="flat_cos", batch_norm=place, input_dropout=0.1).fit(S, y.astype("f"))
        mean, std = model.predict(S, return_std=True)
        passes = model.sample_y(S, 100)
        assert mean.dtype == std.dtype == passes.dtype == np.float32
        np.testing.assert_array_equal(mean, model.predict(S))
        np.testing.assert_allclose(passes.mean(1), mean, atol=1e-4)
        noise = model.predict_uncertainty(S).aleatoric_variance
        np.testing.assert_allclose(std, np.sqrt(passes.var(1) + noise), rtol=1e-4)
        assert (np.ptp(noise) > 0) == (loss == "gaussian_nll")
        assert std.std() > 0


@each_noise
def test_after_a_schedule_results_are_the_same_from_files_and_in_threads(small_blocks, tmp_path, loss):
    model = regressor(loss, dropout_schedule="flat_cos").fit(X, y)
    model.save_weights(tmp_path / "weights.npz")
    loaded = regressor(loss).load_weights(tmp_path / "weights.npz")
    for other in (pickle.loads(pickle.dumps(model)), loaded):
        for n_jobs in (1, 3):
            for a, b in zip(
                model.predict(X, return_std=True), other.predict(X, return_std=True, n_jobs=n_jobs), strict=True
            ):
                np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(model.sample_y(X, 3), other.sample_y(X, 3, n_jobs=n_jobs))
            density = other.log_predictive_density(X, y, n_jobs=n_jobs)
            np.testing.assert_array_equal(model.log_predictive_density(X, y), density)


def test_a_schedule_that_has_not_started_counts_as_ended_at_0():
    """'late' is 0 for a sixth of max_iter."""
    model = regressor(dropout_schedule="late").partial_fit(X, y)
    assert max(model.dropout_) == 0
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(X))
    np.testing.assert_allclose(std, np.sqrt(model.sample_y(X, 100, dropout=0.3).var(1) + model.noise_variance_))


def test_a_search_by_density_over_schedules_has_no_nan():
    grid = {"dropout_schedule": ["flat_cos", "constant", "annealed"], "dropout": [0.0, 0.2]}
    search = GridSearchCV(regressor(), grid, scoring=log_predictive_density_scorer, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_early_stopping_can_monitor_the_density_to_the_end_of_a_schedule():
    scoring = log_predictive_density_scorer
    for model, targets in ((regressor(), y), (classifier(), LABELS)):
        model.set_params(early_stopping=True, scoring=scoring, dropout_schedule="flat_cos").fit(X, targets)
        assert len(model.validation_scores_) == 15
        assert np.isfinite(model.validation_scores_).all()


# Without dropout


def test_one_standard_deviation_for_all_rows_warns_once_for_each_training():
    model = DropoutMLPRegressor(hidden_layer_sizes=3, max_iter=5, random_state=0).fit(X, y)
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"without dropout.*the same for every row.*dropout=0\.1.*X_val") as record:
            _, std = model.predict(X, return_std=True)
        assert len(record) == 1
        assert record[0].filename == __file__
        assert len(np.unique(std)) == 1
        model.predict(X, return_std=True)  # warnings are errors here
        model.fit(X, y)


def test_explicit_rates_of_0_do_not_warn():
    model = DropoutMLPRegressor(hidden_layer_sizes=3, max_iter=5, random_state=0).fit(X, y)
    model.predict(X, return_std=True, dropout=0)
    model.predict(X, return_std=True, dropout=0.1)
    model.predict(X, return_std=True, input_dropout=0.1)
    model.sample_y(X)
    log_predictive_density_scorer(model, X, y)


def test_continuing_without_dropout_is_not_a_schedule_that_ended_at_0():
    model = regressor(warm_start=True).fit(X, y).set_params(dropout=0).fit(X, y)
    np.testing.assert_allclose(model.sample_y(X, 2)[:, 1], model.predict(X))


def test_weights_that_warm_start_does_not_improve_keep_their_rates():
    model = regressor(dropout_schedule="annealed", early_stopping=True, warm_start=True).fit(X, y)
    kept, weights = model.dropout_, model.coefs_[0].copy()
    model.set_params(learning_rate_init=10.0, max_iter=3, tol=0).fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], weights)
    assert model.dropout_ == kept != (0, 0.3)


def test_the_rates_at_the_end_of_training_are_those_of_sampling():
    model = regressor(dropout_schedule=lambda t: 1 - t / 2).fit(X, y)
    assert model.dropout_ == (0, 0.15)
    np.testing.assert_array_equal(model.sample_y(X, 7), model.sample_y(X, 7, dropout=0.15))
    assert (model.sample_y(X, 7) != model.sample_y(X, 7, dropout=0.3)).any()


def test_the_best_weights_are_restored_with_their_rates():
    model = regressor(dropout_schedule="annealed", early_stopping=True, batch_size=10, learning_rate_init=0.1).fit(X, y)
    best = int(np.argmax(model.validation_scores_))
    assert best < len(model.validation_scores_) - 1
    assert model.dropout_ == model.dropout_curve_[best] != model.dropout_curve_[-1]
    model.predict(X, return_std=True)


def test_a_network_without_dropout_has_no_spread():
    model = regressor(dropout=0).fit(X, y)
    with pytest.warns(UserWarning, match="without dropout"):
        mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, model.predict(X))
    np.testing.assert_allclose(std, np.sqrt(model.noise_variance_))
    mutual_information = classifier(dropout=0).fit(X, LABELS).predict_uncertainty(X).mutual_information
    np.testing.assert_allclose(mutual_information, 0, atol=1e-12)


# Rows, passes, masks, threads, memory


@each_noise
@pytest.mark.parametrize("mask_sharing", ["sample", "batch"])
@pytest.mark.parametrize("input_dropout", [0, 0.1])
def test_the_statistics_are_those_of_the_passes(small_blocks, mask_sharing, input_dropout, loss):
    model = regressor(loss, input_dropout=input_dropout).fit(X, Y2)
    passes = model.sample_y(X, 150, mask_sharing=mask_sharing)
    assert passes.shape == (60, 2, 150)
    variances = noise_variances(model, X, 150, mask_sharing=mask_sharing)
    mean, std = model.predict(X, return_std=True, n_samples=150, mask_sharing=mask_sharing)
    np.testing.assert_allclose(mean, passes.mean(2))
    np.testing.assert_allclose(std, np.sqrt(passes.var(2) + variances.mean(-1)))
    densities = norm.logpdf(Y2[:, :, None], passes, np.sqrt(variances)).sum(1)
    expected = logsumexp(densities, axis=1) - np.log(150)
    np.testing.assert_allclose(model.log_predictive_density(X, Y2, n_samples=150, mask_sharing=mask_sharing), expected)


@pytest.mark.parametrize("mask_sharing", ["sample", "batch"])
def test_rows_come_back_in_order(small_blocks, mask_sharing):
    model = regressor().fit(X, y)
    many = np.tile(X, (8, 1))
    samples = model.sample_y(many, 3, dropout=2**-16, mask_sharing=mask_sharing)  # almost no noise
    assert np.median(np.abs(samples - model.predict(many)[:, None])) < 1e-3
    mean, _ = model.predict(many, return_std=True, dropout=2**-16, mask_sharing=mask_sharing)
    assert np.median(np.abs(mean - model.predict(many))) < 1e-3


@pytest.mark.parametrize("mask_sharing", ["sample", "batch"])
def test_results_do_not_depend_on_the_number_of_threads(small_blocks, mask_sharing):
    many, model = np.tile(X, (3, 1)), regressor().fit(X, y)
    options = {"n_samples": 40, "mask_sharing": mask_sharing}
    for call in (partial(model.predict, return_std=True), model.sample_y, classifier().fit(X, LABELS).sample_proba):
        np.testing.assert_array_equal(call(many, **options), call(many, **options, n_jobs=3))


def test_a_pass_with_shared_masks_is_one_function(small_blocks):
    model = regressor(input_dropout=0.1).fit(X, y)
    functions = model.sample_y(np.tile(X, (5, 1)), 9, mask_sharing="batch")
    for start in range(0, 300, 60):
        np.testing.assert_allclose(functions[start : start + 60], functions[:60], rtol=1e-12)
    np.testing.assert_allclose(model.sample_y(X[7:9], 9, mask_sharing="batch"), functions[7:9], rtol=1e-12)
    many = model.sample_y(X, 300, mask_sharing="batch", input_dropout=0.4, dropout=0.4)
    assert len(np.unique(many[0])) > 200  # passes differ between blocks
    points = model.sample_y(np.tile(X[:1], (60, 1)), 9)
    assert len(np.unique(points)) > 100  # of 2**(number of active units)


def test_a_seed_fixes_the_masks_and_none_does_not():
    model = regressor().fit(X, y)
    np.testing.assert_array_equal(model.sample_y(X, 3), model.sample_y(X, 3, random_state=0))
    np.testing.assert_array_equal(model.sample_y(X, 3, np.random.RandomState(5)), model.sample_y(X, 3, 5))
    assert (model.sample_y(X, 3) != model.sample_y(X, 3, random_state=1)).any()
    assert (model.sample_y(X, 3, None) != model.sample_y(X, 3, None)).any()


@each_noise
@pytest.mark.parametrize("n_samples", [50, 400])
def test_memory_grows_neither_with_the_rows_nor_with_the_passes(n_samples, loss):
    model, many = regressor(loss, input_dropout=0.1).fit(X, y), np.zeros((30_000, 4))
    tracemalloc.start()
    model.predict(many, return_std=True, n_samples=n_samples)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6  # the passes alone would take 12 and 96 MB, with their hidden units 144 and 1152


@pytest.mark.parametrize("input_dropout", [0, 0.1])
@pytest.mark.parametrize("dropout", [0, 0.3])
@pytest.mark.parametrize("wide", [False, "dense", "sparse"])
def test_blocks_are_bounded_and_cover_each_row_and_pass_once(monkeypatch, wide, dropout, input_dropout):
    monkeypatch.setattr(skdropout.engine.sampling, "BLOCK", 5000)
    rows = sparse.random(70, 900, density=0.01, random_state=0).tocsr() if wide else X
    rows = rows.toarray() if wide == "dense" else rows
    model = regressor(dropout=dropout, input_dropout=input_dropout).fit(rows, np.arange(rows.shape[0]))
    sampler = skdropout._sampling._sampler(model, (input_dropout, dropout), shared=False)
    seen = np.zeros((rows.shape[0], 333), int)
    for some_rows, passes in sampler.blocks(rows, 333):
        seen[some_rows, passes] += 1
        n_rows, n_passes = (s.stop - s.start for s in (some_rows, passes))
        width = 900 if wide == "dense" else 1
        assert n_rows == 1 or n_rows * width <= 5000
        assert n_rows == 1 or n_rows * n_passes * (12 if not input_dropout else max(12, width)) <= 5000
    assert (seen == 1).all()


@pytest.fixture
def numbers(monkeypatch):
    """Return the numbers of threads set in a BLAS library with 3 threads; one with an unknown number is left alone."""
    log = []
    libraries = [
        SimpleNamespace(user_api="blas", num_threads=3, set_num_threads=log.append),
        SimpleNamespace(user_api="blas", num_threads=None),
        SimpleNamespace(user_api="openmp", num_threads=2),
    ]
    controller = SimpleNamespace(lib_controllers=libraries)
    monkeypatch.setattr(skdropout._threads, "get_threadpool_controller", lambda: controller)
    return log


def test_simultaneous_calls_leave_the_blas_threads_unchanged(numbers):
    model = regressor().fit(X, y)
    numbers.clear()

    def gather_inside(blocks):
        next(blocks)
        model.predict(X, return_std=True)
        assert numbers == [1]

    options = SamplingOptions(n_samples=20, n_jobs=1)
    skdropout._sampling.monte_carlo_passes(model, X, lambda outputs, rows: None, gather_inside, options)
    assert numbers == [1, 3]


@pytest.mark.parametrize("n_active", [0, 1, 2])
def test_a_forked_child_has_the_threads_of_blas_that_its_parent_had(n_active, numbers):
    one_thread = skdropout._threads.OneBlasThread()
    for _ in range(n_active):
        one_thread.__enter__()
    one_thread.lock.acquire()  # by a thread that the child does not have
    one_thread.reset_after_fork()
    assert not one_thread.lock.locked()
    assert numbers == [1, 3] * (n_active > 0)
    with one_thread:
        pass
    assert numbers == [1, 3] * (1 + (n_active > 0))


# Observation noise


@pytest.mark.parametrize("as_X", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("n_zero", [0, 10, 55])
def test_noise_variance_uses_a_bounded_number_of_rows_with_weight(monkeypatch, n_zero, as_X):
    samples, original = [], Rows.sample
    monkeypatch.setattr(skdropout._regressor, "MAX_NOISE_ROWS", 20)
    monkeypatch.setattr(Rows, "sample", lambda self, n: samples.append(original(self, n)) or samples[-1])
    weight = (np.arange(60) >= n_zero) * rng.uniform(0.5, 2, size=60)
    for _ in range(2):
        model = regressor().fit(as_X(X), y, weight)
    first, second = samples
    assert len(np.unique(first.y)) == min(20, 60 - n_zero)
    assert set(first.y) <= set(y[n_zero:])
    np.testing.assert_array_equal(first.y, second.y)
    squares = (first.y - model.predict(first.X)) ** 2
    assert model.noise_variance_ == pytest.approx(np.average(squares, weights=first.sample_weight))


def test_noise_variance_is_that_of_the_residuals():
    model, weight = regressor(), rng.uniform(0.5, 2, size=60)
    model.fit(X, y, weight)
    assert model.noise_variance_ == pytest.approx(np.average((y - model.predict(X)) ** 2, weights=weight))
    model.fit(X[:40], Y2[:40], X_val=X[40:], y_val=Y2[40:], sample_weight_val=weight[40:])
    residuals = Y2[40:] - model.predict(X[40:])
    np.testing.assert_allclose(model.noise_variance_, np.average(residuals**2, axis=0, weights=weight[40:]))
    model.partial_fit(X[:10], Y2[:10])
    np.testing.assert_allclose(model.noise_variance_, ((Y2[:10] - model.predict(X[:10])) ** 2).mean(0))
    lbfgs = regressor(solver="lbfgs", dropout=0).fit(X, y)
    assert lbfgs.noise_variance_ == pytest.approx(((y - lbfgs.predict(X)) ** 2).mean())


def test_noise_variance_is_estimated_on_the_rows_early_stopping_holds_out():
    model = regressor(early_stopping=True, scoring="loss").fit(X, y)
    assert model.noise_variance_ == pytest.approx(-2 * model.best_validation_score_)


@pytest.mark.parametrize("targets", [y, Y2])
@pytest.mark.parametrize("given", [0.5, [0.5], [0.5, 2.0]])
def test_noise_variance_can_be_given(targets, given):
    n_outputs = targets.shape[1] if targets.ndim == 2 else 1
    model = regressor(noise_variance=given)
    if np.ndim(given) and len(given) != n_outputs:
        with pytest.raises(ValueError, match=rf"noise_variance .* {n_outputs} output.*{len(given)}"):
            model.fit(X, targets)
        return
    _, std = model.fit(X, targets).predict(X, return_std=True, dropout=0)
    expected = np.tile(np.broadcast_to(given, n_outputs), (60, 1))
    np.testing.assert_allclose(std.reshape(60, -1) ** 2, expected)


@pytest.mark.parametrize("given", [0, -1.0, np.nan, np.inf, [np.nan], ["a"], [[1.0]], "high"])
def test_a_bad_noise_variance_is_an_error_before_training(given):
    model = regressor().fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="noise_variance"):
        model.set_params(noise_variance=given, max_iter=10**9).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)


def test_residuals_of_0_leave_a_density():
    model = regressor().fit(X, y)
    model._estimate_noise(Rows(X, y, model.predict(X)[:, np.newaxis], None))
    assert model.noise_variance_ > 0
    assert np.isfinite(model.log_predictive_density(X, model.predict(X), dropout=0)).all()


def test_early_stopping_can_use_the_density():
    for model, targets in ((regressor(), y), (classifier(), LABELS)):
        model.set_params(early_stopping=True, scoring=log_predictive_density_scorer).fit(X, targets)
        assert np.isfinite(model.validation_scores_).all()


def test_float32_stays_float32():
    model = regressor().fit(X.astype("f"), y.astype("f"))
    arrays = [model.sample_y(X.astype("f"), 2), *model.predict(X.astype("f"), return_std=True)]
    arrays += [classifier().fit(X.astype("f"), LABELS).predict_uncertainty(X.astype("f")).proba]
    assert all(a.dtype == np.float32 for a in arrays)


# Densities and scores


def test_the_density_of_a_mixture():
    """Four passes, precision 2.5."""
    model = regressor(noise_variance=1 / 2.5).fit(X, y)
    outputs = np.array([1, 1.4, 0.8, 2]).reshape(4, 1, 1)
    likelihood = model._log_likelihood(outputs, np.array([[1.2]]))
    assert logsumexp(likelihood) - np.log(4) == pytest.approx(-0.693192368326, abs=1e-11)


@each_noise
def test_the_density_integrates_to_one(loss):
    model = regressor(loss).fit(X, y)
    grid = np.linspace(-15, 15, 3001)
    density = np.exp(model.log_predictive_density(np.tile(X[:1], (3001, 1)), grid, mask_sharing="batch"))
    assert trapezoid(density, grid) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("targets", [LABELS, LABELS == 1, MULTILABEL], ids=["multiclass", "binary", "multilabel"])
def test_the_density_of_labels_is_their_mean_probability(targets):
    model = classifier().fit(X, targets)
    P = model.sample_proba(X, 80)
    if targets.ndim == 2:
        expected = np.where(targets[:, :, None], P, 1 - P).prod(1).mean(1)
    else:
        expected = P[np.arange(60), targets.astype(int)].mean(1)
    np.testing.assert_allclose(model.log_predictive_density(X, targets, n_samples=80), np.log(expected))


def test_the_score_is_a_weighted_mean_through_pipelines_and_transformed_targets():
    weight, scaler = rng.uniform(size=60), StandardScaler()
    bare = regressor().fit(scaler.fit_transform(X), (y - y.mean()) / y.std())
    z = (y - y.mean()) / y.std()
    density = bare.log_predictive_density(scaler.transform(X), z) - np.log(y.std())
    wrapped = make_pipeline(StandardScaler(), TransformedTargetRegressor(regressor(), transformer=StandardScaler()))
    for model in (
        wrapped,
        TransformedTargetRegressor(make_pipeline(StandardScaler(), regressor()), transformer=scaler),
    ):
        model.fit(X, y)
        score = log_predictive_density_scorer(model, X, y, weight)
        assert score == pytest.approx(np.average(density, weights=weight), rel=1e-6)
    search = GridSearchCV(wrapped, {"transformedtargetregressor__regressor__dropout": [0.3]}, cv=2).fit(X, y)
    assert log_predictive_density_scorer(search, X, y) == pytest.approx(density.mean(), rel=1e-6)


def test_the_density_of_transformed_targets_includes_the_log_jacobian():
    positive = np.exp(y)
    model = TransformedTargetRegressor(regressor(noise_variance=0.3), func=np.log, inverse_func=np.exp).fit(X, positive)
    expected = lognorm.logpdf(positive, np.sqrt(0.3), scale=np.exp(model.regressor_.predict(X))).mean()
    assert log_predictive_density_scorer(model, X, positive, dropout=0) == pytest.approx(expected, rel=1e-6)


def test_the_log_jacobian_of_small_targets():
    skewed = np.exp(3 * y)  # from 1e-4 to 1e3
    model = TransformedTargetRegressor(regressor(noise_variance=0.3), func=np.log, inverse_func=np.exp).fit(X, skewed)
    expected = lognorm.logpdf(skewed, np.sqrt(0.3), scale=np.exp(model.regressor_.predict(X))).mean()
    assert log_predictive_density_scorer(model, X, skewed, dropout=0) == pytest.approx(expected, rel=1e-8)


def test_several_targets_transformed_together_and_twice():
    model = regressor(noise_variance=[0.3, 0.5])
    rotated = TransformedTargetRegressor(model, transformer=PCA(whiten=True))
    twice = TransformedTargetRegressor(rotated, transformer=StandardScaler()).fit(X, 10 * Y2)
    inner = twice.regressor_.regressor_
    linear = np.linalg.inv(np.cov(Y2.T / Y2.std(0)[:, None])) / np.outer(*[10 * Y2.std(0)] * 2)
    z = twice.regressor_.transformer_.transform(twice.transformer_.transform(10 * Y2))
    expected = inner.log_predictive_density(X, z).mean() + 0.5 * np.linalg.slogdet(linear)[1]
    assert log_predictive_density_scorer(twice, X, 10 * Y2) == pytest.approx(expected, rel=1e-8)


def test_sparse_labels_are_scored():
    model = classifier().fit(X, MULTILABEL)
    expected = model.log_predictive_density(X, MULTILABEL).mean()
    assert log_predictive_density_scorer(model, X, sparse.csr_matrix(MULTILABEL)) == pytest.approx(expected)


def test_a_label_of_probability_zero_has_a_finite_density():
    model = classifier(dropout=0).fit(X, LABELS == 1)
    model.intercepts_[-1] += 1e3
    assert np.isfinite(model.log_predictive_density(X, np.zeros(60, bool))).all()


def test_a_search_over_rates_and_noise_by_predictive_density():
    data, target = load_diabetes(return_X_y=True)
    target = (target - target.mean()) / target.std()
    grid = {"dropout": [0, 0.2], "noise_variance": [1e-3, 0.5]}
    search = GridSearchCV(regressor(), grid, scoring=log_predictive_density_scorer, cv=3).fit(data, target)
    assert search.best_params_["noise_variance"] == 0.5  # the other is overconfident
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    grid = {"dropout": [0.0, 0.1]}
    scoring = partial(log_predictive_density_scorer, n_samples=20)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), classifier()), {"dropoutmlpclassifier__dropout": [0.0, 0.1]}, scoring=scoring
    )
    assert -2 < search.fit(*load_iris(return_X_y=True)).best_score_ < 0


def test_estimators_without_a_predictive_density_are_refused():
    with pytest.raises(TypeError, match=r"no DropoutMLP.*LinearRegression"):
        log_predictive_density_scorer(Pipeline([("reg", LinearRegression())]).fit(X, y), X, y)
    flat = FunctionTransformer(np.sign, check_inverse=False)
    model = TransformedTargetRegressor(regressor(), transformer=flat, check_inverse=False).fit(X, y)
    with pytest.raises(ValueError, match="strictly monotone"):
        log_predictive_density_scorer(model, X, y)


# Entropies


@pytest.mark.parametrize("targets", [LABELS, LABELS == 1, MULTILABEL], ids=["multiclass", "binary", "multilabel"])
def test_entropies(small_blocks, targets):
    model = classifier(input_dropout=0.2).fit(X, targets)
    P = model.sample_proba(X, 150)
    assert P.shape == (60, len(model.classes_), 150)
    found = model.predict_uncertainty(X, n_samples=150)

    def entropy(P):
        if targets.ndim == 2:
            return -P * np.log(P) - (1 - P) * np.log(1 - P)
        return -(P * np.log(P)).sum(1)

    np.testing.assert_allclose(found.proba, P.mean(2))
    np.testing.assert_allclose(found.predictive_entropy, entropy(P.mean(2)))
    np.testing.assert_allclose(found.expected_entropy, entropy(P).mean(-1))
    np.testing.assert_allclose(
        found.mutual_information, found.predictive_entropy - found.expected_entropy, rtol=1e-9, atol=1e-12
    )
    assert (found.mutual_information > 0).all()
    np.testing.assert_allclose(P.sum(1) if targets.ndim == 1 else 1, 1, rtol=1e-12)


@pytest.mark.parametrize("targets", [LABELS == 1, MULTILABEL], ids=["binary", "multilabel"])
def test_entropies_of_certainty(small_blocks, targets):
    model = classifier().fit(X.astype("f"), targets)
    found = model.predict_uncertainty(1e5 * X.astype("f"), n_samples=99, dropout=0.01)
    assert (found.proba == 1).any()
    assert (found.predictive_entropy >= 0).all()
    assert (found.predictive_entropy == 0).any()


def test_one_class_has_no_uncertainty():
    model = classifier().fit(X, np.ones(60))
    np.testing.assert_array_equal(model.log_predictive_density(X, np.ones(60)), 0)
    found = model.predict_uncertainty(X)
    np.testing.assert_array_equal(found.proba, 1)
    for name in ("predictive_entropy", "expected_entropy", "mutual_information"):
        np.testing.assert_array_equal(found[name], 0)


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples == 0, must be >= 1"),
        ({"n_samples": 2.5}, "n_samples must be an instance of int"),
        ({"mask_sharing": "row"}, "mask_sharing must be 'sample' or 'batch', got 'row'"),
        ({"mask_sharing": ["batch", "sample"]}, "mask_sharing must be 'sample' or 'batch', got"),
        ({"dropout": 1.0}, r"dropout must be a float in the range \[0.0, 1.0\)"),
        ({"dropout": (0.1, 0.2)}, r"dropout has 2 rate\(s\) but .* 1 hidden layer"),
        ({"input_dropout": -0.1}, "input_dropout must be a float"),
        ({"random_state": "seed"}, "cannot be used to seed"),
    ],
)
def test_bad_arguments_of_sampling(options, message):
    calls = [
        regressor().fit(X, y).sample_y,
        partial(regressor().fit(X, y).predict, return_std=True),
        partial(regressor().fit(X, y).log_predictive_density, y=y),
        classifier().fit(X, LABELS).sample_proba,
        classifier().fit(X, LABELS).predict_uncertainty,
        partial(classifier().fit(X, LABELS).log_predictive_density, y=LABELS),
    ]
    for call in calls:
        with pytest.raises((ValueError, TypeError), match=message):
            call(X, **options)


def test_unfitted_and_mismatched():
    for call in (regressor().sample_y, classifier().predict_uncertainty, classifier().sample_proba):
        with pytest.raises(NotFittedError):
            call(X)
    with pytest.raises(NotFittedError):
        regressor().log_predictive_density(X, y)
    with pytest.raises(NotFittedError):
        log_predictive_density_scorer(regressor(), X, y)
    with pytest.raises(ValueError, match="inconsistent"):
        regressor().fit(X, y).log_predictive_density(X, y[:5])
    with pytest.raises(ValueError, match=r"classes not in `self.classes_`: \[7\]"):
        classifier().fit(X, LABELS).log_predictive_density(X, LABELS + 5 * (LABELS == 2))
    with pytest.raises(ValueError, match=r"2 output\(s\), but the estimator was fitted with 1"):
        regressor().fit(X, y).log_predictive_density(X, Y2)

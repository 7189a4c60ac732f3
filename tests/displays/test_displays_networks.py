"""Displays of training curves, dropout rates, weights and activations, also for models in containers."""

from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import classifier, legend_labels
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdropout import (
    ActivationSparsityDisplay,
    DropoutMLPClassifier,
    DropoutMLPRegressor,
    DropoutRateDisplay,
    FirstLayerWeightsDisplay,
    TrainingCurveDisplay,
)
from skdropout.engine import network as engine_network

rng = np.random.RandomState(0)
X = rng.normal(size=(120, 9)) * 3 + 1
y = (X[:, 0] + rng.normal(size=120) > 1).astype(int)
X_val, y_val = X[90:], y[90:]
X, y = X[:90], y[:90]


@cache
def fitted_container(container):
    """Return a fitted container and the network in it."""
    inner = {"hidden_layer_sizes": (8, 6), "max_iter": 6, "random_state": 0, "early_stopping": True}
    if container == "pipeline":
        model = make_pipeline(StandardScaler(), DropoutMLPClassifier(**inner)).fit(X, y)
        return model, model[-1]
    if container == "search":
        model = GridSearchCV(make_pipeline(StandardScaler(), DropoutMLPClassifier(**inner)), {}, cv=2).fit(X, y)
        return model, model.best_estimator_[-1]
    if container == "transformed target":
        regressor = TransformedTargetRegressor(DropoutMLPRegressor(**inner), transformer=StandardScaler())
        model = make_pipeline(StandardScaler(), regressor).fit(X, X[:, 0])
        return model, model[-1].regressor_
    model = {"scikit-learn": MLPClassifier, "scikit-learn's regressor": MLPRegressor}[container](**inner)
    return model.fit(X, y), model


in_any_container = pytest.mark.parametrize(
    "container", ["pipeline", "search", "transformed target", "scikit-learn", "scikit-learn's regressor"]
)


# Training curves


@in_any_container
def test_curves_are_found_in_any_container(container):
    model, mlp = fitted_container(container)
    disp = TrainingCurveDisplay.from_estimator(model)
    assert_array_equal(disp.training_line_.get_xdata(), np.arange(6) + 1)
    assert_array_equal(disp.training_line_.get_ydata(), mlp.loss_curve_)
    best = int(np.argmax(mlp.validation_scores_)) + 1
    if hasattr(mlp, "validation_loss_curve_"):  # with dropout, early stopping monitors the loss
        best = int(np.argmin(mlp.validation_loss_curve_)) + 1
    assert disp.best_epoch == best
    assert legend_labels(disp.ax_)[-1] == f"{type(mlp).__name__}, best epoch {best}"
    if hasattr(mlp, "validation_loss_curve_"):
        assert_array_equal(disp.validation_line_.get_ydata(), mlp.validation_loss_curve_)
        assert disp.validation_line_.get_color() == disp.training_line_.get_color()
    else:  # scikit-learn has no validation loss: the training loss has the marker
        assert disp.validation_line_ is None
    line = disp.validation_line_ or disp.training_line_
    assert line.get_markevery() == [best - 1]
    scores = TrainingCurveDisplay.from_estimator(model, curve="score")
    assert scores.training_line_ is None
    assert_array_equal(scores.validation_line_.get_ydata(), mlp.validation_scores_)


def test_best_epoch_is_that_of_kept_weights():
    settings = {"early_stopping": True, "learning_rate_init": 0.1}
    model = classifier(max_iter=30, **settings).fit(X, y)
    best = TrainingCurveDisplay.from_estimator(model).best_epoch
    assert 1 < best < model.n_iter_
    assert np.argmin(model.validation_loss_curve_) + 1 == best  # with dropout, the loss is monitored
    assert np.argmax(model.validation_scores_) + 1 != best
    for n_epochs in (best - 1, best):
        shorter = classifier(max_iter=n_epochs, **settings).fit(X, y)
        assert np.array_equal(shorter.coefs_[0], model.coefs_[0]) == (n_epochs == best)


def test_best_epoch_of_curve_without_early_stopping():
    model = classifier(max_iter=20, learning_rate_init=0.1).fit(X, y, X_val=X_val, y_val=y_val)
    best_loss, best_score = np.argmin(model.validation_loss_curve_), np.argmax(model.validation_scores_)
    assert best_loss != best_score
    disp = TrainingCurveDisplay.from_estimator(model, name="net")
    assert legend_labels(disp.ax_) == ["training", "validation", f"net, best epoch {best_loss + 1}"]
    assert disp.validation_line_.get_markevery() == [best_loss]
    disp.plot(curve="score")
    assert legend_labels(disp.ax_) == [f"net, best epoch {best_score + 1}"]


def test_no_best_epoch_without_validation():
    disp = TrainingCurveDisplay.from_estimator(classifier().fit(X, y))
    assert legend_labels(disp.ax_) == ["training", "DropoutMLPClassifier"]
    assert disp.training_line_.get_marker() == "None"
    with pytest.raises(ValueError, match="there are none: fit with early_stopping=True, or with a validation set"):
        disp.plot(curve="score")
    assert legend_labels(TrainingCurveDisplay([2.0, 1.0]).plot().ax_) == ["training"]
    interrupted = TrainingCurveDisplay([], validation_loss_curve=[], validation_scores=[])  # stopped in the first epoch
    for curve in ("loss", "score"):
        assert not any(
            label.startswith("best") for label in legend_labels(interrupted.plot(curve=curve, name="net").ax_)
        )


def test_epochs_of_validation_curve_that_starts_later():
    model = classifier(warm_start=True).fit(X, y).fit(X, y, X_val=X_val, y_val=y_val)
    disp = TrainingCurveDisplay.from_estimator(model)
    assert len(disp.training_line_.get_xdata()) == 10
    assert_array_equal(disp.validation_line_.get_xdata(), np.arange(6, 11))


def test_several_fits_on_one_axis():
    ax = None
    for rate in (0.0, 0.2, 0.5):
        model = classifier(dropout=rate).fit(X, y, X_val=X_val, y_val=y_val)
        disp = TrainingCurveDisplay.from_estimator(model, name=f"dropout {rate}", ax=ax)
        ax = disp.ax_
    labels = legend_labels(ax)
    assert labels[:2] == ["training", "validation"]
    assert [label.split(",")[0] for label in labels[2:]] == ["dropout 0.0", "dropout 0.2", "dropout 0.5"]
    colors = [line.get_color() for line in ax.lines if len(line.get_xdata())]
    assert colors[::2] == colors[1::2]
    assert len(set(colors)) == 3
    red = TrainingCurveDisplay.from_estimator(model, c="red", ax=ax)
    assert red.validation_line_.get_color() == red.training_line_.get_color() == "red"


def test_missing_curve_raises():
    for model in (classifier(solver="lbfgs", dropout=0), MLPClassifier(4, solver="lbfgs", max_iter=2)):
        with pytest.raises(ValueError, match=r"solver='lbfgs' and has no loss_curve_.*solver='adam' or 'sgd'"):
            TrainingCurveDisplay.from_estimator(model.fit(X, y))
    with pytest.raises(NotFittedError):
        TrainingCurveDisplay.from_estimator(classifier())
    with pytest.raises(ValueError, match="curve must be 'loss' or 'score', got 'accuracy'"):
        TrainingCurveDisplay([1.0]).plot(curve="accuracy")


# Weights


@in_any_container
def test_images_are_columns_of_first_weight_matrix(container):
    model, mlp = fitted_container(container)
    disp = FirstLayerWeightsDisplay.from_estimator(model, units=[2, 0, 5])
    shown = disp.image_.get_array()  # 2 x 2 images of 3 x 3 pixels, separated by one row and column
    assert shown.shape == (7, 7)
    W = mlp.coefs_[0]
    for (top, left), unit in zip([(0, 0), (0, 4), (4, 0)], [2, 0, 5], strict=True):
        assert_array_equal(shown[top : top + 3, left : left + 3], W[:, unit].reshape(3, 3))
    assert np.ma.getmaskarray(shown)[:3, 3].all()
    assert np.ma.getmaskarray(shown)[4:, 4:].all()
    limit = np.abs(W[:, [2, 0, 5]]).max()
    assert disp.image_.get_clim() == (-limit, limit)
    assert disp.ax_.get_title() == type(mlp).__name__
    assert not [*disp.ax_.get_xticks(), *disp.ax_.get_yticks()]


def test_units_are_sorted_by_weight_norm():
    model = classifier().fit(X, y)
    norms = np.linalg.norm(model.coefs_[0], axis=0)
    disp = FirstLayerWeightsDisplay.from_estimator(model, units=3, image_shape=(1, 9), colorbar=False)
    assert_array_equal(disp.units, np.argsort(-norms)[:3])
    assert disp.images.shape == (3, 1, 9)
    assert disp.colorbar_ is None
    assert_array_equal(FirstLayerWeightsDisplay.from_estimator(model, units=None).units, np.arange(12))


def test_image_with_three_channels():
    model = classifier().fit(X, y)
    ax = plt.subplots()[1]
    disp = FirstLayerWeightsDisplay.from_estimator(model, image_shape=(1, 3, 3), units=[4], name="net", ax=ax, vmax=9)
    assert disp.ax_ is ax
    shown = disp.image_.get_array()
    assert_allclose(shown, 0.5 + model.coefs_[0][:, 4].reshape(1, 3, 3) / 18)
    assert disp.colorbar_ is None


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"image_shape": (3, 4)}, r"image_shape must be .* product of 9, the inputs of the network, got \(3, 4\)"),
        ({"image_shape": (3, 1, 3, 1)}, "image_shape must be"),
        ({"units": 0}, "units == 0, must be >= 1"),
        ({"units": [12]}, r"units must be between 0 and 11, indices of the first layer, got \[12\]"),
    ],
)
def test_invalid_image_arguments_raise(arguments, match):
    with pytest.raises(ValueError, match=match):
        FirstLayerWeightsDisplay.from_estimator(classifier(max_iter=1).fit(X, y), **arguments)


def test_nonsquare_number_of_inputs_raises():
    with pytest.raises(ValueError, match=r"7 inputs, which do not form a square image: set image_shape="):
        FirstLayerWeightsDisplay.from_estimator(classifier(max_iter=1).fit(X[:, :7], y))


# Activations


@in_any_container
@pytest.mark.parametrize("layer", [0, -1])
def test_activations_match_loop_over_coefs(container, layer):
    model, mlp = fitted_container(container)
    disp = ActivationSparsityDisplay.from_estimator(model, X, layer=layer)
    x = X if container.startswith("scikit-learn") else StandardScaler().fit_transform(X)
    for W, b in zip(mlp.coefs_[: layer % 2 + 1], mlp.intercepts_, strict=False):
        x = np.maximum(x @ W + b, 0)
    assert_allclose(disp.activations, x)
    assert_allclose(disp.mean_activations, x.mean(axis=0))
    assert disp.share_of_zeros == pytest.approx(np.mean(x == 0))
    fractions, edges, _ = disp.histogram_.get_data()
    assert_allclose(fractions, np.histogram(x, edges)[0] / x.size)
    assert fractions.sum() == pytest.approx(1)
    assert legend_labels(disp.ax_) == [
        f"{type(mlp).__name__}: {100 * np.mean(x == 0):.0f} % zeros, mean {x.mean():.2f}"
    ]


def test_activations_do_not_depend_on_blocks_or_sparsity(monkeypatch):
    model = classifier(batch_norm="before_activation").fit(X, y)
    whole = ActivationSparsityDisplay.from_estimator(model, X).activations
    predicted = model.predict_proba(X)
    monkeypatch.setattr(engine_network, "BLOCK", 64)  # 7 rows
    assert_allclose(ActivationSparsityDisplay.from_estimator(model, X).activations, whole)
    assert_allclose(ActivationSparsityDisplay.from_estimator(model, sparse.csr_array(X)).activations, whole)
    assert_allclose(model.predict_proba(X), predicted)


@pytest.mark.parametrize("convert", [np.asarray, pd.DataFrame, sparse.csr_array, np.ndarray.tolist])
def test_subsample_draws_random_rows(convert):
    rows = convert(X)
    model = make_pipeline(StandardScaler(with_mean=False), classifier()).fit(rows, y)
    every = ActivationSparsityDisplay.from_estimator(model, rows, subsample=None).activations
    some = ActivationSparsityDisplay.from_estimator(model, rows, subsample=20).activations
    assert some.shape == (20, 12)
    found = (np.abs(some[:, None] - every).max(axis=2) < 1e-9).any(axis=1)
    assert found.all()
    other = ActivationSparsityDisplay.from_estimator(model, rows, subsample=20, random_state=1).activations
    assert not np.array_equal(some, other)


def test_histograms_on_one_axis_share_bins():
    first = ActivationSparsityDisplay(np.array([[0.0, 1.0, 2.0, 4.0]]), estimator_name="one").plot(bins=4)
    second = ActivationSparsityDisplay(np.array([[0.0, 0.0, -1.5, 7.0]])).plot(ax=first.ax_, name="two", color="red")
    fractions, edges, _ = second.histogram_.get_data()
    assert_allclose(edges, np.arange(-2, 9))
    assert_allclose(fractions, [0.25, 0, 0.5, 0, 0, 0, 0, 0, 0, 0.25])
    assert legend_labels(first.ax_) == ["one: 25 % zeros, mean 1.75", "two: 50 % zeros, mean 1.38"]
    third = ActivationSparsityDisplay(np.array([[0.0, 1e9]])).plot(ax=first.ax_)
    fractions, edges, _ = third.histogram_.get_data()
    assert len(edges) <= 1002
    assert fractions.sum() == 1
    assert ActivationSparsityDisplay(np.zeros((3, 2))).plot().histogram_.get_data().values.sum() == 1


def test_unit_means():
    disp = ActivationSparsityDisplay(np.array([[0.0, 1.0], [0.0, 3.0]])).plot(kind="means", bins=2)
    assert_allclose(disp.histogram_.get_data().values, [0.5, 0, 0.5])
    assert disp.ax_.get_ylabel() == "Fraction of units"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"layer": 2}, "layer must be the index of one of the 2 hidden layers, got 2"),
        ({"layer": -3}, "layer must be the index of one of"),
        ({"kind": "mean"}, "kind must be 'activations' or 'means', got 'mean'"),
        ({"bins": 0}, "bins == 0, must be >= 1"),
        ({"subsample": 0}, "subsample == 0, must be >= 1"),
        ({"X": X[:, 1:]}, "X has 8 features, but DropoutMLPClassifier is expecting 9"),
    ],
)
def test_invalid_activation_arguments_raise(arguments, match):
    model = classifier(max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match=match):
        ActivationSparsityDisplay.from_estimator(model, **{"X": X, **arguments})


# All displays


@pytest.mark.parametrize("cls", [TrainingCurveDisplay, FirstLayerWeightsDisplay, ActivationSparsityDisplay])
def test_estimators_without_mlp_raise(cls):
    data = [X] if cls is ActivationSparsityDisplay else []
    no_refit = GridSearchCV(LogisticRegression(), {}, cv=2, refit=False).fit(X, y)
    for model in (LogisticRegression().fit(X, y), no_refit):
        with pytest.raises(TypeError, match=r"no fitted multi-layer perceptron.* in .*\(.*refit"):
            cls.from_estimator(model, *data)


@pytest.mark.parametrize(
    "disp",
    [
        TrainingCurveDisplay([1.0]),
        DropoutRateDisplay([0.0], [[1.0, 2.0]]),
        FirstLayerWeightsDisplay(np.zeros((1, 2, 2))),
        ActivationSparsityDisplay(np.zeros((1, 2))),
    ],
    ids=lambda disp: type(disp).__name__,
)
def test_plot_returns_display_and_needs_matplotlib(disp, monkeypatch):
    assert disp.plot() is disp
    assert disp.figure_ is disp.ax_.figure
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ImportError, match=rf"{type(disp).__name__}\.plot requires matplotlib"):
        disp.plot()

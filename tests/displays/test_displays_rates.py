"""Display of scores against dropout rates."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import classifier, legend_labels
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import sem, uniform
from sklearn.compose import TransformedTargetRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor, DropoutRateDisplay, DropoutRates, one_standard_error

rng = np.random.RandomState(0)
X = rng.normal(size=(90, 9)) * 3 + 1
y = (X[:, 0] + rng.normal(size=90) > 1).astype(int)


def tick_positions(ax):
    return {text.get_text(): x for x, text in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)}


SCALARS, TUPLES = [0.4, 0.0, 0.2], [(0.4, 0.2), (0.0, 0.2)]


@pytest.fixture(scope="module")
def search():
    model = make_pipeline(StandardScaler(), classifier())
    grid = {"dropoutmlpclassifier__dropout": SCALARS + TUPLES}
    scoring = ["neg_log_loss", "accuracy"]
    return GridSearchCV(model, grid, cv=3, scoring=scoring, refit="neg_log_loss").fit(X, y)


def points(errorbar):
    """Return x, y and half of the length of the error bars."""
    line, _, (bars,) = errorbar.lines
    segments = np.array(bars.get_segments())
    return (*line.get_data(), np.ptp(segments[:, :, 1], axis=1) / 2)


@pytest.mark.parametrize("negate", [False, True])
def test_points_are_search_results(search, negate):
    disp = DropoutRateDisplay.from_search(search, negate_score=negate)
    assert disp.rates == [0.0, 0.2, 0.4, (0.0, 0.2), (0.4, 0.2)]
    results, sign = search.cv_results_, -1 if negate else 1
    mean = sign * results["mean_test_neg_log_loss"]
    error = results["std_test_neg_log_loss"] / np.sqrt(3 - 1)
    x, score, bar = points(disp.errorbar_)
    order = np.argsort(SCALARS)
    assert_array_equal(x, np.sort(SCALARS))
    assert_allclose(score, mean[:3][order])
    assert_allclose(bar, error[:3][order])
    x, score, bar = points(disp.tuple_errorbar_)
    positions = tick_positions(disp.ax_)
    assert_array_equal(x, [positions["(0, 0.2)"], positions["(0.4, 0.2)"]])
    assert 0.4 < x[0] < x[1]
    assert_allclose(score, mean[[4, 3]])
    assert_allclose(bar, error[[4, 3]])
    assert_allclose(disp.baseline_.get_ydata(), mean[1])
    band = disp.ax_.transData.inverted().transform(disp.band_.get_window_extent())
    assert_allclose(band[:, 1], [mean[1] - error[1], mean[1] + error[1]])
    assert_allclose(disp.best_.get_ydata(), sign * results["mean_test_neg_log_loss"].max())
    assert disp.best_rate == search.best_params_["dropoutmlpclassifier__dropout"]
    assert disp.ax_.get_ylabel() == ("Log loss" if negate else "Negative log loss")
    assert disp.ax_.get_xlabel().startswith("dropout: one rate for all")
    assert disp.ax_.get_xscale() == "linear"


def test_choice_is_smallest_rate_within_one_standard_error():
    scores = np.array([[0.5, 0.6], [0.7, 0.9], [0.8, 0.9], [0.75, 0.85]])
    disp = DropoutRateDisplay([0.0, 0.4, 0.6, (0.1, 0.3)], scores).plot()  # best mean 0.85, standard error 0.05
    assert_allclose(disp.standard_errors, [0.05, 0.1, 0.05, 0.05])
    assert disp.best_rate == 0.6
    assert disp.one_standard_error_rate == (0.1, 0.3)
    assert_allclose(disp.choice_.get_xydata(), [[tick_positions(disp.ax_)["(0.1, 0.3)"], 0.8]])
    assert legend_labels(disp.ax_) == ["dropout 0 ± s.e.", "best", "smallest mean rate\nwithin one s.e. of the best"]


def test_one_split_has_no_error_bars():
    disp = DropoutRateDisplay.from_estimator(classifier(), X, y, rates=[0, 0.3], cv=ShuffleSplit(1, random_state=0))
    assert np.isnan(disp.standard_errors).all()
    assert disp.one_standard_error_rate is disp.choice_ is disp.band_ is None
    assert disp.baseline_ is not None
    disp.figure_.canvas.draw()


def test_failed_rate_is_not_drawn():
    scores = [[np.nan, np.nan], [0.2, 0.4], [0.5, np.nan]]
    disp = DropoutRateDisplay([0.0, 0.2, 0.5], scores).plot()
    assert disp.best_rate == disp.one_standard_error_rate == 0.2
    assert disp.baseline_ is None
    with pytest.raises(ValueError, match="every rate is NaN: run the search with error_score='raise'"):
        DropoutRateDisplay([0.0], [[np.nan, 1.0]])


def test_from_estimator_equals_from_search(search):
    model = make_pipeline(StandardScaler(), classifier())
    arguments = {"rates": np.array([0.0, 0.2, 0.4]), "cv": 3, "scoring": "neg_log_loss"}
    disp = DropoutRateDisplay.from_estimator(model, X, y, **arguments)
    assert disp.param_name == "dropoutmlpclassifier__dropout"
    columns = [search.cv_results_[f"split{i}_test_neg_log_loss"][[1, 2, 0]] for i in range(3)]
    assert_array_equal(disp.test_scores, np.column_stack(columns))
    weight = np.where(y, 5.0, 1.0)
    fit_params = {"dropoutmlpclassifier__sample_weight": weight}
    weighted = DropoutRateDisplay.from_estimator(model, X, y, fit_params=fit_params, **arguments)
    assert not np.allclose(weighted.test_scores, disp.test_scores)


def test_rate_is_found_in_transformed_target():
    regressor = DropoutMLPRegressor(hidden_layer_sizes=(5,), max_iter=3, dropout_schedule="constant", random_state=0)
    model = make_pipeline(StandardScaler(), TransformedTargetRegressor(regressor, transformer=StandardScaler()))
    disp = DropoutRateDisplay.from_estimator(model, X, X[:, 0], rates=[(0.1,), (0.3,)], cv=2)
    assert disp.param_name == "transformedtargetregressor__regressor__dropout"
    assert disp.errorbar_ is None
    assert list(tick_positions(disp.ax_)) == ["(0.1)", "(0.3)"]
    assert disp.ax_.get_ylabel() == "Score"
    disp = DropoutRateDisplay.from_estimator(
        model, X, X[:, 0], rates=[0.0, 0.3], cv=2, param_name="transformedtargetregressor__regressor__input_dropout"
    )
    assert disp.ax_.get_xlabel() == "input_dropout"


def test_best_candidate_per_rate_is_drawn():
    params = [{"alpha": a, "dropout": rate} for a in (1, 2) for rate in (0.3, 0.0)] + [{"alpha": 3}]
    scores = np.array([[0.7, 0.8], [np.nan, 0.9], [0.8, 0.9], [0.2, 0.3], [0.9, 0.9]])
    results = {
        "params": params,
        "param_dropout": np.ma.array([0.3, 0.0, 0.3, 0.0, 0.0], mask=[False] * 4 + [True]),
        "mean_test_score": scores.mean(axis=1),
        "split0_test_score": scores[:, 0],
        "split1_test_score": scores[:, 1],
    }
    disp = DropoutRateDisplay.from_cv_results(results, score_name="accuracy")
    assert disp.rates == [0.0, 0.3]
    assert_allclose(disp.test_scores, [[0.2, 0.3], [0.8, 0.9]])  # the last candidate has no rate
    assert disp.ax_.get_ylabel() == "Accuracy"


def test_randomized_search():
    model = classifier(hidden_layer_sizes=(4,))
    search = RandomizedSearchCV(model, {"dropout": uniform(0, 0.5)}, n_iter=3, cv=2, random_state=0).fit(X, y)
    disp = DropoutRateDisplay.from_search(search)
    assert_array_equal(disp.errorbar_[0].get_xdata(), np.sort(search.cv_results_["param_dropout"].astype(float)))
    assert disp.baseline_ is None
    assert legend_labels(disp.ax_)[-1] == "DropoutMLPClassifier"


def test_halving_search_is_drawn_by_iteration():
    model = classifier(dropout=0)
    halving = HalvingGridSearchCV(
        model, {"input_dropout": [0.0, 0.2, 0.5, 0.8]}, factor=2, resource="max_iter", min_resources=2, max_resources=4,
        cv=2, random_state=0,
    ).fit(X, y)  # fmt: skip
    disp = DropoutRateDisplay.from_search(halving, name="net")
    results = pd.DataFrame(halving.cv_results_)
    assert legend_labels(disp.ax_)[-2:] == ["net, n_resources=2", "net, n_resources=4"]
    last = results[results.iter == 1].sort_values("param_input_dropout")
    assert disp.rates == last.param_input_dropout.tolist()
    assert_allclose(disp.mean_scores, last.mean_test_score)


def test_searches_share_positions_of_tuples():
    first = DropoutRateDisplay([0.0, 0.3, (0.2, 0.2)], rng.rand(3, 4), estimator_name="one").plot()
    before = tick_positions(first.ax_)
    second = DropoutRateDisplay([(0.1, 0.5), (0.2, 0.2), 0.1], rng.rand(3, 4)).plot(ax=first.ax_, name="two")
    after = tick_positions(first.ax_)
    assert {label: after[label] for label in before} == before
    assert after["(0.1, 0.5)"] > after["(0.2, 0.2)"] > 0.3
    assert_allclose(points(second.tuple_errorbar_)[0], [after["(0.1, 0.5)"], after["(0.2, 0.2)"]])
    labels = legend_labels(first.ax_)
    assert labels == ["dropout 0 ± s.e.", "best", "smallest mean rate\nwithin one s.e. of the best", "one", "two"]
    assert second.errorbar_[0].get_color() == second.choice_.get_color() != first.choice_.get_color()
    with pytest.raises(ValueError, match=r"left of the rate 0\.9: draw the display with the largest scalar rate first"):
        DropoutRateDisplay([0.9], [[1.0, 2.0]]).plot(ax=first.ax_)
    later = DropoutRateDisplay([0.0, 0.5], rng.rand(2, 4)).plot()
    DropoutRateDisplay([(0.2, 0.2)], rng.rand(1, 4)).plot(ax=later.ax_, color="red")
    assert tick_positions(later.ax_)["(0.2, 0.2)"] > 0.5
    assert tick_positions(later.ax_)["0"] == 0


def test_legend_covers_no_point():
    disp = DropoutRateDisplay([0.0, 0.3, (0.2, 0.2)], [[0, 2.0], [1, 2.0], [2, 2.0]], estimator_name="one").plot()
    disp.figure_.canvas.draw()
    bottom = disp.ax_.get_legend().get_window_extent().ymin
    assert disp.ax_.transData.transform((0, 2.0))[1] < bottom


def test_legend_fits_narrow_axes():
    fig, axes = plt.subplots(ncols=3, figsize=(9, 4), layout="constrained")
    disp = DropoutRateDisplay([0.0, 0.3], [[0, 2.0], [1, 2.0]], estimator_name="DropoutMLPClassifier").plot(ax=axes[1])
    fig.canvas.draw()
    legend, box = disp.ax_.get_legend().get_window_extent(), disp.ax_.get_window_extent()
    assert legend.width <= box.width
    assert disp.ax_.transData.transform((0, 2.0))[1] < legend.ymin


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"metric": "f1"}, ValueError, r"metric='f1' is not .* choose one of \['neg_log_loss', 'accuracy'\]"),
        ({"param_name": "alpha"}, ValueError, r"param_name='alpha' was not varied.*\['dropoutmlp"),
    ],
)
def test_invalid_searches_raise(search, arguments, error, match):
    with pytest.raises(error, match=match):
        DropoutRateDisplay.from_search(search, **arguments)


def test_invalid_rates_raise():
    with pytest.raises(TypeError, match="not a search with cv_results_: use from_estimator to draw an estimator"):
        DropoutRateDisplay.from_search(LogisticRegression().fit(X, y))
    with pytest.raises(ValueError, match=r"No parameter ends in 'dropout' among .*'C'.*set param_name"):
        DropoutRateDisplay.from_estimator(LogisticRegression(), X, y)
    two = make_pipeline(TransformedTargetRegressor(DropoutMLPRegressor()), DropoutMLPClassifier())
    with pytest.raises(ValueError, match=r"several dropout rates: set param_name to one of .*regressor__dropout"):
        DropoutRateDisplay.from_estimator(two, X, y)
    with pytest.raises(ValueError, match=r"scoring must be one score, .*from_search"):
        DropoutRateDisplay.from_estimator(classifier(), X, y, scoring=["accuracy", "f1"])


def make_results(scores, params):
    """Return ``cv_results_`` of candidates."""
    scores = np.asarray(scores, dtype=float)
    results = {f"split{i}_test_score": column for i, column in enumerate(scores.T)}
    results |= {"mean_test_score": scores.mean(axis=1), "params": params}
    for name in dict.fromkeys(name for candidate in params for name in candidate):
        results[f"param_{name}"] = np.ma.masked_all(len(params), dtype=object)
        for i, candidate in enumerate(params):
            if name in candidate:
                results[f"param_{name}"][i] = candidate[name]
    return results


def test_choice_when_several_rates_vary():
    params = [
        {"mlp__dropout": 0.0, "mlp__input_dropout": 0.4},
        {"mlp__dropout": (0.2, 0.2), "mlp__input_dropout": 0.0},
        {"mlp__dropout": 0.5, "mlp__input_dropout": 0.0},
    ]
    results = make_results([[0.9, 0.8], [0.89, 0.79], [0.91, 0.83]], params)
    assert one_standard_error(results) == 1
    disp = DropoutRateDisplay.from_cv_results(results)
    assert disp.one_standard_error_rate == (0.2, 0.2)
    assert DropoutRateDisplay.from_cv_results(results, param_name="mlp__input_dropout").one_standard_error_rate == 0.0
    # rate 0 is not without dropout, and the choice adds two rates
    added = "smallest mean dropout + input_dropout\nwithin one s.e. of the best"
    assert legend_labels(disp.ax_) == ["dropout 0 ± s.e.", "best", added]
    assert disp.ax_.get_xlabel().endswith("\neach point: best candidate over input_dropout")
    disp.plot(difference=True)
    assert legend_labels(disp.ax_) == ["dropout 0", "best", added.replace("one s.e.", "one unpaired s.e.")]
    assert disp.ax_.get_ylabel() == "Score minus that at dropout 0"
    disp = DropoutRateDisplay([0.0, 0.2], [[0.9, 0.8], [0.89, 0.79]], param_name="mlp__input_dropout").plot()
    assert "input_dropout 0 ± s.e." in legend_labels(disp.ax_)


def test_other_parameters_are_named_if_they_vary():
    def xlabel(**others):
        params = [{"m__dropout": 0.0} | {name: values[0] for name, values in others.items()}]
        params += [{"m__dropout": 0.2} | {name: values[-1] for name, values in others.items()}, {"m__alpha": 7}]
        return DropoutRateDisplay.from_cv_results(make_results([[1, 2], [2, 3], [0, 1]], params)).ax_.get_xlabel()

    assert xlabel() == xlabel(m__alpha=[1]) == "dropout"  # the last candidate does not set the rate
    assert xlabel(m__alpha=[1, 2], pca=[None, "x"]) == "dropout\neach point: best candidate over alpha, pca"
    assert (
        xlabel(a=[1, 2], b=[1, 2], c=[3, 4], d=[5, 6]) == "dropout\neach point: best candidate over 4 other parameters"
    )


def test_network_in_search_is_named(search):
    assert legend_labels(DropoutRateDisplay.from_search(search).ax_)[-1] == "DropoutMLPClassifier"
    nested = make_pipeline(StandardScaler(), TransformedTargetRegressor(DropoutMLPRegressor(max_iter=1)))
    disp = DropoutRateDisplay.from_estimator(nested, X, X[:, 0], rates=[0.0, 0.1], cv=2)
    assert legend_labels(disp.ax_)[-1] == "DropoutMLPRegressor"
    replaced = make_pipeline("passthrough")
    grid = {"passthrough": [classifier()], "passthrough__dropout": [0.0, 0.1]}
    disp = DropoutRateDisplay.from_search(GridSearchCV(replaced, grid, cv=2, scoring="accuracy").fit(X, y))
    assert legend_labels(disp.ax_)[-1] == "Pipeline"


# Tuples at their mean, and as points of a plane


def draws(n, n_layers=2):
    random = np.random.RandomState(1)
    return [DropoutRates(n_layers).rvs(random_state=random) for _ in range(n)]


def test_kind_auto_labels_few_short_tuples():
    short = [(round(a, 3), round(b, 3)) for a, b in draws(7)]
    for rates, kind in [(short[:6], "categories"), (short, "mean"), (draws(2), "mean"), ([0.0, 1 / 3], "mean")]:
        rates = [*rates, 0.5]
        disp = DropoutRateDisplay(rates, rng.rand(len(rates), 3)).plot()
        labels = [text.get_text() for text in disp.ax_.get_xticklabels() if text.get_text().startswith("(")]
        assert len(labels) == (len(rates) - 1 if kind == "categories" else 0)
    categories = DropoutRateDisplay(short[:2], rng.rand(2, 3)).plot()
    more = DropoutRateDisplay([(0.25, 1 / 3)], rng.rand(1, 3)).plot(ax=categories.ax_)  # as those on these axes
    assert len(tick_positions(more.ax_)) == 3


def test_kind_mean():
    rates = [0.4, 0.0, *draws(7, n_layers=3)]
    scores = rng.rand(9, 3)
    disp = DropoutRateDisplay(rates, scores).plot()
    x, score, bar = points(disp.tuple_errorbar_)
    assert_allclose(x, [sum(rate) / 3 for rate in rates[2:]])
    assert_allclose(score, scores[2:].mean(axis=1))
    assert_allclose(bar, sem(scores[2:], axis=1))
    assert_array_equal(disp.errorbar_[0].get_xdata(), [0.0, 0.4])
    assert disp.ax_.get_xlabel() == "dropout, mean over the hidden layers"
    for mark, rate in [(disp.best_, disp.best_rate), (disp.choice_, disp.one_standard_error_rate)]:
        assert_allclose(mark.get_xdata(), np.mean(rate))
        assert_allclose(mark.get_ydata(), scores[rates.index(rate)].mean())
    with pytest.raises(ValueError, match=r"The tuples on ax start at .* left of the rate"):
        disp.plot(ax=DropoutRateDisplay([(0.1, 0.2)], [[1.0, 2.0]]).plot(kind="categories").ax_)


@pytest.mark.parametrize("difference", [False, True])
@pytest.mark.parametrize("negate", [False, True])
def test_kind_plane(difference, negate):
    rates = [0.0, (0.1, 0.4), 0.3, (0.5, 0.2)]
    scores = np.array([[1.0, 3.0], [2.0, 3.0], [np.nan, 9.0], [4.0, 1.0]])
    disp = DropoutRateDisplay(rates, scores, score_name="accuracy").plot(
        kind="plane", difference=difference, negate_score=negate, s=9
    )
    assert_allclose(disp.scatter_.get_offsets(), [[0.0, 0.0], [0.1, 0.4], [0.5, 0.2]])  # not the NaN score
    assert_allclose(
        disp.scatter_.get_array(), np.array([2, 2.5, 2.5]) * (-1) ** negate - difference * 2 * (-1) ** negate
    )
    assert_array_equal(disp.scatter_.get_sizes(), [9])
    limits = disp.scatter_.get_clim()
    assert (limits[0] == -limits[1]) == difference
    assert disp.errorbar_ is disp.tuple_errorbar_ is disp.baseline_ is disp.band_ is None
    assert disp.colorbar_.ax.get_ylabel() == disp.ax_.get_figure().axes[1].get_ylabel()
    assert disp.colorbar_.ax.get_ylabel().endswith("minus that at dropout 0") == difference
    assert_allclose(disp.best_.get_xydata(), [[0.1, 0.4]])
    assert_allclose(disp.choice_.get_xydata(), [[0.0, 0.0]])  # 2.0 is within 0.5 of 2.5
    assert (disp.ax_.get_xlabel(), disp.ax_.get_ylabel()) == ("dropout of hidden layer 1", "dropout of hidden layer 2")
    assert legend_labels(disp.ax_)[:2] == ["same rate for both layers", "best"]
    assert disp.plot(kind="mean").scatter_ is disp.colorbar_ is None


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"kind": "median"}, "kind must be 'auto', 'categories', 'mean' or 'plane', got 'median'"),
        (
            {"kind": "plane"},
            r"kind='plane' needs tuples of two rates, one per hidden layer, got \[0\.1, \(0\.1, 0\.2, 0",
        ),
        ({"difference": True}, r"compares with m__dropout=0, which is not among the rates .*add 0\.0 to the rates"),
    ],
)
def test_invalid_arguments_of_plot_raise(arguments, match):
    n_figures = len(plt.get_fignums())
    params = [{"m__dropout": rate} for rate in (0.1, (0.1, 0.2, 0.3))]
    with pytest.raises(ValueError, match=match):
        DropoutRateDisplay.from_cv_results(make_results([[1, 2], [2, 3]], params), **arguments)
    with pytest.raises(ValueError, match="kind='plane' needs tuples"):
        DropoutRateDisplay([0.1], [[1, 2]]).plot(kind="plane")
    with pytest.raises(ValueError, match="difference=True compares with"):
        DropoutRateDisplay([0.0, 0.1], [[np.nan, 2], [2, 3]]).plot(difference=True)
    assert len(plt.get_fignums()) == n_figures


def test_random_search_over_rates_per_layer_and_inputs():
    model = make_pipeline(StandardScaler(), classifier(max_iter=2))
    space = {"dropoutmlpclassifier__dropout": DropoutRates(2), "dropoutmlpclassifier__input_dropout": uniform(0, 0.3)}
    search = RandomizedSearchCV(model, space, n_iter=4, cv=2, random_state=0).fit(X, y)
    results = pd.DataFrame(search.cv_results_)
    results["rate"] = [np.mean(rate) for rate in results["param_dropoutmlpclassifier__dropout"]]
    disp = DropoutRateDisplay.from_search(search)
    assert_allclose(disp.tuple_errorbar_[0].get_xdata(), np.sort(results["rate"]))
    assert_allclose(disp.tuple_errorbar_[0].get_ydata(), results.sort_values("rate")["mean_test_score"])
    chosen = results.iloc[one_standard_error(search.cv_results_)]
    assert_allclose(disp.choice_.get_xydata(), [[chosen["rate"], chosen["mean_test_score"]]])
    added = "smallest mean dropout + input_dropout\nwithin one s.e. of the best"
    assert legend_labels(disp.ax_) == ["best", added, "DropoutMLPClassifier"]
    plane = DropoutRateDisplay.from_search(search, kind="plane")
    assert_allclose(plane.choice_.get_xydata(), [chosen["param_dropoutmlpclassifier__dropout"]])
    assert plane.ax_.get_xlabel() == "dropout of hidden layer 1\neach point: best candidate over input_dropout"


def halving_results():
    """Return results of two iterations, the second with the candidates that are left."""
    rates = [0.0, (0.1, 0.2), (0.2, 0.1), *draws(5)]
    params = [{"dropout": rate, "alpha": i % 2, "max_iter": 4} for i, rate in enumerate(rates)]
    params += [candidate | {"max_iter": 8} for candidate in params[:3]]
    results = make_results(np.random.RandomState(0).rand(11, 3), params)
    return results | {"iter": np.repeat([0, 1], [8, 3]), "n_resources": np.repeat([4, 8], [8, 3])}


def test_kinds_of_halving_search():
    results = halving_results()
    disp = DropoutRateDisplay.from_cv_results(results)  # all iterations have the kind that suits the first
    assert_allclose(disp.tuple_errorbar_[0].get_xdata(), [0.15, 0.15])
    assert disp.ax_.get_xlabel() == "dropout, mean over the hidden layers\neach point: best candidate over alpha"
    assert legend_labels(disp.ax_)[-2:] == ["n_resources=4", "n_resources=8"]
    plane = DropoutRateDisplay.from_cv_results(results, kind="plane")
    assert len(plane.figure_.axes) == 2  # the axes and one color bar
    assert_allclose(plane.scatter_.get_offsets(), [[0.0, 0.0], [0.1, 0.2], [0.2, 0.1]])


# Paired differences


@pytest.mark.parametrize("negate", [False, True])
def test_differences_are_paired(search, negate):
    disp = DropoutRateDisplay.from_search(search, negate_score=negate, difference=True)
    results = search.cv_results_
    scores = np.column_stack([results[f"split{i}_test_neg_log_loss"] for i in range(3)])
    difference = scores - scores[1]  # SCALARS[1] is 0
    assert_allclose(disp.differences, difference[[1, 2, 0, 4, 3]])
    _, mean, bar = points(disp.errorbar_)
    sign = -1 if negate else 1
    assert_allclose(mean, sign * difference[[1, 2, 0]].mean(axis=1))
    assert_allclose(bar, sem(difference[[1, 2, 0]], axis=1), atol=1e-15)
    _, mean, bar = points(disp.tuple_errorbar_)
    assert_allclose(mean, sign * difference[[4, 3]].mean(axis=1))
    assert_allclose(bar, sem(difference[[4, 3]], axis=1))
    assert_array_equal(disp.baseline_.get_ydata(), [0, 0])
    assert disp.band_ is None
    assert_allclose(disp.standard_errors, sem(scores[[1, 2, 0, 4, 3]], axis=1))  # those of the scores
    assert disp.ax_.get_ylabel() == f"{'Log' if negate else 'Negative log'} loss minus that at dropout 0"
    labels = legend_labels(disp.ax_)
    assert labels[:3] == ["dropout 0", "best", "smallest mean rate\nwithin one unpaired s.e. of the best"]
    plain = DropoutRateDisplay.from_search(search, negate_score=negate)
    assert disp.one_standard_error_rate == plain.one_standard_error_rate
    assert disp.best_rate == plain.best_rate
    assert DropoutRateDisplay.from_search(search, metric="accuracy", difference=True).ax_.get_ylabel().startswith("Acc")


def test_difference_uses_best_candidate_of_each_rate():
    params = [{"dropout": rate, "alpha": alpha} for rate in ((0.0, 0.0), 0.5) for alpha in (1, 2)]
    results = make_results([[5, 2, 1], [1, 2, 3], [9, 9, np.nan], [4, 4, 4]], params)
    disp = DropoutRateDisplay.from_cv_results(results, difference=True)
    assert disp.rates == [0.5, (0.0, 0.0)]
    assert_allclose(disp.differences, [[-1, 2, 3], [0, 0, 0]])
    assert_allclose(points(disp.errorbar_), [[0.5], [4 / 3], [sem([-1, 2, 3])]])


def test_difference_of_failed_rate_and_of_one_split():
    disp = DropoutRateDisplay([0.0, 0.2, 0.5], [[1.0, 2.0], [np.nan, 3.0], [2.0, 4.0]]).plot(difference=True)
    assert_allclose(disp.errorbar_[0].get_ydata(), [0, np.nan, 1.5])
    disp = DropoutRateDisplay.from_estimator(
        classifier(), X, y, rates=[0, 0.3], cv=ShuffleSplit(1, random_state=0), difference=True
    )
    assert_allclose(disp.errorbar_[0].get_ydata(), disp.mean_scores - disp.mean_scores[0])
    assert disp.choice_ is None
    disp.figure_.canvas.draw()
    assert DropoutRateDisplay([0.1], [[1.0, 2.0]]).differences is None


def test_rate_without_values_raises_and_one_split_has_no_choice():
    results = {"split0_test_score": np.array([0.9, 0.8]), "mean_test_score": np.array([0.9, 0.8])}
    results |= {"param_dropout": np.ma.array([0.0, 0.5], mask=True), "param_input_dropout": np.array([0.0, 0.2])}
    results["params"] = [{"input_dropout": 0.0}, {"input_dropout": 0.2}]
    with pytest.raises(ValueError, match=r"No candidate of this search has a value of dropout\."):
        DropoutRateDisplay.from_cv_results(results, param_name="dropout")
    assert DropoutRateDisplay.from_cv_results(results, param_name="input_dropout").one_standard_error_rate is None


def test_a_halving_search_without_rate_0_in_its_last_iteration_draws_nothing_and_says_so():
    params = [{"dropout": rate} for rate in (0.0, 0.2, 0.4, 0.2)]
    results = make_results([[0.7, 0.8], [0.8, 0.9], [0.6, 0.7], [0.9, 0.9]], params)
    results |= {"iter": np.array([0, 0, 0, 1]), "n_resources": np.array([50, 50, 50, 100])}
    with pytest.raises(ValueError, match=r"dropout=0, which is not among the rates \[0.2\].* halving search may have"):
        DropoutRateDisplay.from_cv_results(results, difference=True)
    assert plt.get_fignums() == []
    first = {key: values[:3] for key, values in results.items()}
    assert_allclose(DropoutRateDisplay.from_cv_results(first, difference=True).differences[1], [0.1, 0.1])


def test_rates_may_be_an_array():
    rates = np.array([[0.0, 0.2], [0.3, 0.1]])
    disp = DropoutRateDisplay(rates, [[0.7, 0.8], [0.8, 0.9]]).plot(kind="plane")
    assert disp.rates == [(0.0, 0.2), (0.3, 0.1)]
    assert disp.best_rate == (0.3, 0.1)


def test_a_plane_takes_the_keyword_arguments_of_scatter():
    disp = DropoutRateDisplay([0.0, (0.0, 0.2), (0.3, 0.1)], [[0.7, 0.8], [0.8, 0.9], [0.6, 0.8]])
    disp.plot(kind="plane", difference=True, linewidths=2, vmin=-1, vmax=0.5)
    assert disp.scatter_.get_linewidths() == [2]
    assert disp.scatter_.get_clim() == (-1, 0.5)

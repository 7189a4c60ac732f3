"""Bad input raises a clear error that names the parameter or array and leaves a fitted estimator unchanged."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor, diagnose
from skdropout.engine.backprop import Backprop
from skdropout.engine.optimizers import Adam

rng = np.random.RandomState(0)
X = rng.normal(size=(40, 5))
LABELS = np.array(["no", "yes", "maybe"])[np.arange(40) % 3]
VALUES = rng.normal(size=40)
CASES = {DropoutMLPClassifier: LABELS, DropoutMLPRegressor: VALUES}
estimators = pytest.mark.parametrize("estimator", CASES)


def with_bad(array, value, index=3):
    bad = np.array(array, dtype=float)
    bad[index] = value
    return bad


def refuses(estimator, message, params=None, partial=False, y=None, rows=X, error=ValueError, **fit_params):
    """Check that `fit` raises the message on an unfitted and a fitted estimator, and leaves the latter unchanged."""
    y = CASES[estimator] if y is None else y
    model = estimator(**(params or {}), max_iter=3, random_state=0)
    with pytest.raises(error, match=message):
        model.fit(rows, y, **fit_params)
    assert not [name for name in vars(model) if name.endswith("_") and not name.startswith("__")]

    fitted = estimator(max_iter=3, random_state=0).fit(X, CASES[estimator])
    fitted.partial_fit(X, CASES[estimator])
    before, prediction = pickle.dumps(fitted), fitted.predict(X)
    moments = pickle.dumps(vars(fitted._optimizer))
    given = fitted.get_params()
    fitted.set_params(**(params or {}))
    methods = [fitted.fit] if not partial else [fitted.fit, fitted.partial_fit]
    for method in methods:
        with pytest.raises(error, match=message):
            method(rows, y, **fit_params)
    fitted.set_params(**given)
    assert pickle.dumps(fitted) == before
    assert pickle.dumps(vars(fitted._optimizer)) == moments
    np.testing.assert_array_equal(fitted.predict(X), prediction)


@pytest.mark.parametrize(
    "rate", [-0.1, 1.0, 1.5, np.nan, np.inf, True, "0.5", None, 1j, {0.5: 1}, np.array("x")], ids=repr
)
@estimators
def test_invalid_rates(estimator, rate):
    refuses(estimator, "dropout", {"dropout": rate})
    refuses(estimator, "input_dropout", {"input_dropout": rate})
    refuses(estimator, "dropout", {"dropout": [0.1, rate], "hidden_layer_sizes": (4, 3)})


@pytest.mark.parametrize("rates", [(), (0.1,), [0.1, 0.2, 0.3], np.array([0.1, 0.2, 0.3])], ids=repr)
@estimators
def test_error_for_a_sequence_of_wrong_length_gives_both_lengths(estimator, rates):
    message = rf"dropout has {len(rates)} rate\(s\) but hidden_layer_sizes has 2 hidden layer\(s\)"
    refuses(estimator, message, {"dropout": rates, "hidden_layer_sizes": (4, 3)})


@pytest.mark.parametrize("rates", [[[0.1, 0.2]], np.full((2, 2), 0.1), ((0.1,), (0.2,))], ids=repr)
@estimators
def test_two_dimensional_rates(estimator, rates):
    refuses(
        estimator,
        r"1-D sequence with one rate per hidden layer, got an array of shape",
        {"dropout": rates, "hidden_layer_sizes": (4, 3)},
    )


@estimators
def test_ragged_rates(estimator):
    refuses(
        estimator, "A rate in dropout must be a float", {"dropout": [0.1, [0.2, 0.3]], "hidden_layer_sizes": (4, 3)}
    )


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (0, "hidden_layer_sizes"),
        ((4, 0), "> 0"),
        ((4, -1), "> 0"),
        ((4.5,), "ints"),
        ("ab", "array-like or an int"),
        ([[3]], "1-D"),
        ((True,), "ints"),
    ],
)
@estimators
def test_hidden_layer_sizes(estimator, sizes, message):
    refuses(estimator, message, {"hidden_layer_sizes": sizes})


@pytest.mark.parametrize("rates", [{"dropout": 0.3}, {"dropout": 0, "input_dropout": 0.1}, {}], ids=str)
@estimators
def test_lbfgs_with_noise(estimator, rates):
    if not rates and estimator is DropoutMLPRegressor:  # its default is no noise
        assert estimator(solver="lbfgs").fit(X, CASES[estimator]).dropout_ == (0, 0)
        return
    with pytest.raises(
        ValueError, match=r"solver='lbfgs' cannot train with dropout.*Set both to 0, or use solver='adam'"
    ):
        estimator(solver="lbfgs", **rates).fit(X, CASES[estimator])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@estimators
def test_nan_and_infinity(estimator, value):
    refuses(estimator, "Input X contains", rows=with_bad(X, value), partial=True)
    refuses(estimator, "Input X contains", rows=sparse.csr_array(with_bad(X, value)), partial=True)
    refuses(estimator, "Input sample_weight contains", sample_weight=with_bad(np.ones(40), value), partial=True)
    refuses(estimator, "Input y contains|Input contains", y=with_bad(np.arange(40) % 2, value), partial=True)
    validation = {"X_val": with_bad(X, value), "y_val": CASES[estimator]}
    refuses(estimator, "In the validation data X_val, y_val, sample_weight_val: Input X contains", **validation)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-np.ones(40), "Negative values in data passed to `sample_weight`"),
        (with_bad(np.ones(40), -1e-3), "Negative values in data passed to `sample_weight`"),
        (np.zeros(40), "(?i)sample.weight.*zero"),
        (np.ones(39), "sample_weight"),
        (np.ones((40, 2)), "Sample weights must be 1D"),
        (["a"] * 40, "could not convert"),
    ],
    ids=["negative", "one negative", "zero", "short", "2-D", "strings"],
)
@estimators
def test_weights(estimator, weights, message):
    refuses(estimator, message, sample_weight=weights, partial=True)


def test_weights_of_the_validation_set():
    validation = {"X_val": X, "y_val": LABELS}
    refuses(DropoutMLPClassifier, "`sample_weight_val`", sample_weight_val=-np.ones(40), **validation)
    refuses(DropoutMLPClassifier, "zero", sample_weight_val=np.zeros(40), **validation)
    refuses(DropoutMLPClassifier, "sample_weight", sample_weight_val=np.ones(3), **validation)


@pytest.mark.parametrize("side", [0, 1])
def test_zero_weights_on_one_side_of_the_split(side):
    y = np.arange(40) % 2
    from sklearn.model_selection import train_test_split

    state = np.random.RandomState(0)
    clf = DropoutMLPClassifier(early_stopping=True, random_state=state, hidden_layer_sizes=(), max_iter=2)
    clone_state = np.random.RandomState(0)
    clone_state.uniform(size=6)  # the initial weights
    parts = train_test_split(np.arange(40), test_size=0.1, stratify=y, random_state=clone_state)
    weights = np.ones(40)
    weights[parts[side]] = 0
    with pytest.raises(ValueError, match=r"Every weight in the (training|validation) part of sample_weight"):
        clf.fit(X, y, sample_weight=weights)


@pytest.mark.parametrize(
    ("rows", "y", "message"),
    [
        (X[0], 0, "Expected 2D array"),
        (X, 3, "inconsistent numbers of samples|Found input variables"),
        (X[:0], 0, "0 sample"),
        (X[:, :0], 40, "0 feature"),
        (np.full((40, 5), "a"), 40, "not compatible with arrays of bytes/strings|could not convert"),
        (X + 1j, 40, "Complex data not supported"),
        (None, 40, "Expected 2D array|requires X|array"),
    ],
    ids=["1-D", "length", "no rows", "no columns", "strings", "complex", "None"],
)
@estimators
def test_X_of_wrong_shape_or_type(estimator, rows, y, message):
    refuses(estimator, message, rows=rows, y=CASES[estimator][:y], partial=True)


def test_targets_of_the_wrong_kind():
    refuses(DropoutMLPClassifier, "Unknown label type: continuous", y=VALUES, partial=True)
    refuses(
        DropoutMLPClassifier,
        "Unknown label type|Multioutput|one label per row",
        y=np.arange(80).reshape(40, 2) % 5,
        partial=True,
    )
    refuses(DropoutMLPClassifier, "unknown|Unknown|label", y=np.array([None] * 40), partial=True)
    refuses(DropoutMLPRegressor, "Found array with dim 3|bad input shape|dim", y=np.zeros((40, 1, 2)), partial=True)


@estimators
def test_changed_number_of_features(estimator):
    model = estimator(max_iter=3, random_state=0).fit(X, CASES[estimator])
    before = pickle.dumps(model)
    for call in (
        lambda: model.predict(X[:, :4]),
        lambda: model.partial_fit(X[:, :4], CASES[estimator]),
        lambda: clone(model).set_params(warm_start=True).fit(X, CASES[estimator]).fit(X[:, :4], CASES[estimator]),
    ):
        with pytest.raises(ValueError, match=r"X has 4 features, but .* is expecting 5 features"):
            call()
    assert pickle.dumps(model) == before


@estimators
def test_changed_feature_names(estimator):
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = estimator(max_iter=3, random_state=0).fit(frame, CASES[estimator])
    before = pickle.dumps(model)
    other = frame.rename(columns={"a": "z"})
    for call in (lambda: model.predict(other), lambda: model.partial_fit(other, CASES[estimator])):
        with pytest.raises(ValueError, match="feature names should match"):
            call()
    assert pickle.dumps(model) == before
    assert list(model.feature_names_in_) == list("abcde")


@estimators
def test_validation_data(estimator):
    y = CASES[estimator]
    refuses(estimator, "In the validation data X_val.*: X has 4 features", X_val=X[:, :4], y_val=y)
    refuses(estimator, "Found input variables with inconsistent", X_val=X, y_val=y[:5])
    refuses(estimator, "both X_val and y_val, but y_val is None", X_val=X)
    refuses(estimator, "both X_val and y_val, but X_val is None", y_val=y)
    refuses(estimator, "both X_val and y_val, but X_val is None", sample_weight_val=np.ones(40))


def test_unseen_labels_in_the_validation_data():
    unseen = np.where(LABELS == "no", "never", LABELS)
    refuses(DropoutMLPClassifier, r"`y_val` has classes not in `self.classes_`: \['never'\]", X_val=X, y_val=unseen)


def test_classes_of_partial_fit():
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        DropoutMLPClassifier().partial_fit(X, LABELS)
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`: \['yes'\]"):
        DropoutMLPClassifier().partial_fit(X, LABELS, classes=["no", "maybe"])
    clf = DropoutMLPClassifier(random_state=0).partial_fit(X, LABELS, classes=np.unique(LABELS))
    before = pickle.dumps(clf)
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`: \['new'\]"):
        clf.partial_fit(X, np.where(LABELS == "no", "new", LABELS))
    with pytest.raises(ValueError, match="is not the same as on last call"):
        clf.partial_fit(X, LABELS, classes=["no", "yes"])
    assert pickle.dumps(clf) == before
    clf.partial_fit(X[:2], LABELS[:2])  # a batch may lack classes


def test_class_weight():
    with pytest.raises(ValueError, match="'class_weight' parameter"):
        DropoutMLPClassifier(class_weight="even").fit(X, LABELS)
    with pytest.raises(ValueError, match="Negative values in data passed to `class_weight`"):
        DropoutMLPClassifier(class_weight={"no": -1}).fit(X, LABELS)
    with pytest.raises(ValueError, match="leaves no row with a positive weight"):
        DropoutMLPClassifier(class_weight={"no": 0, "yes": 0, "maybe": 0}).fit(X, LABELS)
    with pytest.raises(ValueError, match="class_weight='balanced' needs all rows, but partial_fit"):
        DropoutMLPClassifier(class_weight="balanced").partial_fit(X, LABELS, classes=np.unique(LABELS))
    with pytest.raises(ValueError, match="does not support multilabel"):
        DropoutMLPClassifier(class_weight="balanced").fit(X, np.eye(3, dtype=int)[np.arange(40) % 3])


@estimators
def test_changed_architecture_with_warm_start(estimator):
    model = estimator(max_iter=3, warm_start=True, random_state=0).fit(X, CASES[estimator])
    before = pickle.dumps(model)
    model.set_params(hidden_layer_sizes=7)
    with pytest.raises(ValueError, match=r"layers of \(5, 100, .\) units.*now require \(5, 7, .\)"):
        model.fit(X, CASES[estimator])
    assert pickle.dumps(model.set_params(hidden_layer_sizes=(100,))) == before


def test_changed_number_of_outputs():
    reg = DropoutMLPRegressor(random_state=0).partial_fit(X, VALUES)
    with pytest.raises(ValueError, match=r"units, including inputs and outputs, but"):
        reg.partial_fit(X, np.column_stack([VALUES, VALUES]))


@pytest.mark.parametrize(
    "params", [{"solver": "sgd", "learning_rate_init": 1e6}, {"learning_rate_init": 1e300}], ids=str
)
@estimators
def test_divergence_leaves_a_fitted_estimator_unchanged(estimator, params):
    y = VALUES * 100 if estimator is DropoutMLPRegressor else LABELS
    model = estimator(max_iter=3, random_state=0).fit(X, y)
    before = pickle.dumps(model)
    moments = pickle.dumps(vars(model._optimizer))
    model.set_params(**params, max_iter=50, activation="identity", alpha=10.0)
    with pytest.raises(ValueError, match="scale the inputs"):
        model.fit(X * 1e100, y)
    model.set_params(solver="adam", learning_rate_init=0.001, max_iter=3, activation="relu", alpha=0.0001)
    assert pickle.dumps(model) == before
    assert pickle.dumps(vars(model._optimizer)) == moments


@pytest.mark.parametrize(
    "params", [{"dtype": "float16"}, {"dtype": "int32"}, {"dtype": 32}, {"scoring": "acuracy"}, {"scoring": 3}], ids=str
)
@estimators
def test_dtype_and_scoring(estimator, params):
    (name,) = params
    refuses(estimator, f"('{name}' parameter of {estimator.__name__}|{name}) must be", params)


@estimators
def test_divergence_during_partial_fit_leaves_the_moments_unchanged(estimator, monkeypatch):
    model = estimator(max_iter=3, random_state=0, batch_size=20, dropout=0.3).fit(X, CASES[estimator])
    before, moments = pickle.dumps(model), pickle.dumps(vars(model._optimizer))
    losses = iter([(1.0, 20.0), (np.nan, 20.0)])  # the first of two batches updates the weights
    monkeypatch.setattr(Backprop, "data_loss_and_grad", lambda self, *batch: next(losses))
    with pytest.raises(ValueError, match="The training loss became nan in epoch 1"):
        model.partial_fit(X, CASES[estimator])
    assert pickle.dumps(model) == before
    assert pickle.dumps(vars(model._optimizer)) == moments


@estimators
def test_a_failed_warm_start_leaves_the_curves_unchanged(estimator):
    scores = iter([0.1, 0.2, 0.3, 0.4, np.nan])
    model = estimator(max_iter=2, scoring=lambda *rows: next(scores), warm_start=True, random_state=0)
    data = {"X": X, "y": CASES[estimator], "X_val": X, "y_val": CASES[estimator]}
    model.fit(**data)
    before = {name: list(getattr(model, name)) for name in ("loss_curve_", "validation_scores_", "dropout_curve_")}
    with pytest.raises(ValueError, match="validation score became nan in epoch 2"):
        model.fit(**data)
    assert {name: getattr(model, name) for name in before} == before


@estimators
def test_infinite_final_weights_raise_an_error(estimator, monkeypatch):
    def last_step(self, params, gradient, *rest):
        params[0] = np.inf
        return 0.0

    monkeypatch.setattr(Adam, "step", last_step)
    with pytest.raises(ValueError, match="The last step overflowed"):
        estimator(max_iter=1).fit(X, CASES[estimator])


def test_the_overflow_error_of_lbfgs_does_not_mention_the_learning_rate():
    with pytest.raises(ValueError, match="scale the inputs") as error:
        DropoutMLPRegressor(solver="lbfgs", dropout=0).fit(X * 1e200, VALUES)
    assert "learning_rate" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "bogus"}, "activation"),
        ({"alpha": -1}, "'alpha' parameter"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"batch_size": 2.5}, "'batch_size' parameter"),
        ({"learning_rate": "x"}, "'learning_rate' parameter"),
        ({"dropout": 2.0}, "dropout"),
    ],
    ids=str,
)
@estimators
def test_parameters_changed_between_partial_fits_are_checked(estimator, change, message):
    model = estimator(random_state=0).fit(X, CASES[estimator])
    before = pickle.dumps(model)
    given = {name: model.get_params()[name] for name in change}
    with pytest.raises(ValueError, match=message):
        model.set_params(**change).partial_fit(X, CASES[estimator])
    assert pickle.dumps(model.set_params(**given)) == before


def test_labels_of_another_type():
    indicators = np.eye(3, dtype=int)[np.arange(40) % 3]
    multiclass = DropoutMLPClassifier(max_iter=2).fit(X, LABELS)
    multilabel = DropoutMLPClassifier(max_iter=2).fit(X, indicators)
    for n in (40, 3, 1):
        with pytest.raises(ValueError, match=r"fitted with one label per row, but `y` has shape"):
            multiclass.partial_fit(X[:n], indicators[:n])
    with pytest.raises(ValueError, match=r"fitted with one column per label, but `y` has shape \(40,\)"):
        multilabel.partial_fit(X, np.arange(40) % 3)
    with pytest.raises(ValueError, match=r"validation data.*fitted with one label per row, but `y_val` has shape"):
        DropoutMLPClassifier(scoring="loss").fit(X, LABELS, X_val=X, y_val=indicators)
    with pytest.raises(ValueError, match="`y` has 3 columns, but there are 4 classes"):
        DropoutMLPClassifier().partial_fit(X, indicators, classes=[0, 1, 2, 3])


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_class_weights_must_be_finite(weight):
    with pytest.raises(ValueError, match="class_weight must be finite"):
        DropoutMLPClassifier(class_weight={"no": weight}).fit(X, LABELS)


@estimators
def test_early_stopping_in_partial_fit(estimator):
    extra = {"classes": np.unique(LABELS)} if estimator is DropoutMLPClassifier else {}
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        estimator(early_stopping=True).partial_fit(X, CASES[estimator], **extra)


@pytest.mark.parametrize("missing", [None, float("nan")])
@estimators
def test_missing_values_in_lists(estimator, missing):
    """scikit-learn checks for NaN before it converts None to NaN."""
    rows, y = X.tolist(), CASES[estimator].tolist()
    rows[3][1] = missing
    refuses(estimator, "Input X contains NaN", rows=rows, partial=True)
    model = estimator(max_iter=1, random_state=0).fit(X, y)
    for method in (model.predict, *([model.predict_proba] if estimator is DropoutMLPClassifier else [model.sample_y])):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            method(rows)
    rows[3][1] = 0.5
    np.testing.assert_array_equal(model.predict(np.array(rows, dtype=object)), model.predict(np.array(rows)))


@pytest.mark.parametrize("y", [[None, *VALUES[1:]], np.array([None, *VALUES[1:]]), [np.nan, *VALUES[1:]]], ids=type)
def test_missing_targets_of_a_regressor(y):
    refuses(DropoutMLPRegressor, "Input y contains NaN", y=y, partial=True)
    refuses(DropoutMLPRegressor, "Input y_val contains NaN|validation data.*Input y contains NaN", X_val=X, y_val=y)
    model = DropoutMLPRegressor(max_iter=1).fit(X, VALUES)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        model.log_predictive_density(X, y)


def test_validation_targets_with_another_number_of_outputs():
    refuses(DropoutMLPRegressor, r"`y_val` has 2 output\(s\), but `y` has 1", X_val=X, y_val=np.ones((40, 2)))


@pytest.mark.parametrize("name", ["alpha", "learning_rate_init", "epsilon", "tol"])
@estimators
def test_integers_too_large_for_floats(estimator, name):
    refuses(estimator, "beyond the range of floats", {name: 10**400, "early_stopping": True})
    huge = [[10**400, *row[1:]] for row in X.tolist()]
    refuses(estimator, "beyond the range of floats", rows=huge)
    with pytest.raises(ValueError, match="beyond the range of floats"):
        estimator(max_iter=1).fit(X, CASES[estimator]).predict(huge)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([0, 1, 2], r"one label per feature: got shape \(3,\), X has 5 features"),
        ([0, 1, [2], 3, 4], "A label in input_groups must be a str, an int or the like"),
        ([0, 1, np.nan, 3, 4], "A label in input_groups is nan"),
    ],
    ids=str,
)
@estimators
def test_input_groups(estimator, groups, message):
    refuses(estimator, message, {"input_groups": groups, "input_dropout": 0.2}, partial=True)


def test_weights_and_variances_that_are_not_numbers():
    refuses(DropoutMLPClassifier, "class_weight must map labels to numbers", {"class_weight": {"no": "x"}})
    for noise in ([0.1, [0.2]], [True], ["x"], [0.1, 0.2], [10**400]):
        refuses(DropoutMLPRegressor, "noise_variance must be|beyond the range", {"noise_variance": noise})


@pytest.mark.parametrize("n_jobs", [0, 1.5, "2", np.inf, [1]], ids=repr)
@estimators
def test_n_jobs_of_sampling(estimator, n_jobs):
    model = estimator(max_iter=1, dropout=0.1).fit(X, CASES[estimator])
    with pytest.raises(ValueError, match="n_jobs must be None or an int other than 0, got"):
        model.log_predictive_density(X, CASES[estimator], n_jobs=n_jobs)


@estimators
def test_sampling_with_huge_inputs_gives_no_warning(estimator):
    """Warnings are errors here; an overflow raises a ValueError."""
    model = estimator(max_iter=1, dropout=0.1, hidden_layer_sizes=(3,)).fit(X, CASES[estimator])
    model.log_predictive_density(X * 1e300, CASES[estimator])
    if estimator is DropoutMLPRegressor:
        with pytest.raises(ValueError, match=r"The output .* overflowed .* column \d reaches \S+e\+300: scale X"):
            model.predict(X * 1e300, return_std=True, dropout=0.5)
    else:
        with pytest.raises(ValueError, match="overflowed in epoch 1, batch 1 of 1: scale the inputs"):
            diagnose(model, X * 1e300, CASES[estimator])


@pytest.mark.parametrize(
    "y", [LABELS, LABELS.astype(object), pd.Series(LABELS), pd.Series(LABELS, dtype="category")], ids=type
)
def test_labels_for_a_regressor(y):
    refuses(
        DropoutMLPRegressor, r"`y` must be numeric, got dtype .*: encode labels, or use a classifier", y=y, partial=True
    )
    refuses(DropoutMLPRegressor, r"`y_val` must be numeric", X_val=X, y_val=y)


@pytest.mark.parametrize("fraction", [0, 0.999, 1e-9])
@estimators
def test_validation_fraction(estimator, fraction):
    refuses(estimator, "(?s)validation_fraction", {"early_stopping": True, "validation_fraction": fraction})


@estimators
def test_weights_given_as_strings(estimator):
    refuses(estimator, r"`sample_weight`: could not convert string to float", sample_weight=["no"] * len(X))


@estimators
def test_n_samples_may_be_true(estimator):
    """scikit-learn and skdropout accept True as an int (found by atheris)."""
    model = estimator(max_iter=1, dropout=0.1, dropout_schedule="constant").fit(X, CASES[estimator])
    sample = model.sample_y if estimator is DropoutMLPRegressor else model.sample_proba
    np.testing.assert_array_equal(sample(X, n_samples=True), sample(X, n_samples=1))


def test_an_invalid_loss_set_after_fit_is_refused_at_the_next_fit():
    """Found by atheris."""
    model = DropoutMLPRegressor(max_iter=1, dropout=0.1, random_state=0).fit(X, CASES[DropoutMLPRegressor])
    before = model.log_predictive_density(X, CASES[DropoutMLPRegressor], dropout=0.1)
    model.set_params(loss=pd.Series([0.5, 1.0]))
    np.testing.assert_array_equal(model.log_predictive_density(X, CASES[DropoutMLPRegressor], dropout=0.1), before)
    with pytest.raises(ValueError, match="'loss' parameter"):
        model.fit(X, CASES[DropoutMLPRegressor])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dropout": 50}, r"'dropout' parameter of .* Got 50 instead: did you mean 0\.5\?"),
        ({"dropout": np.int64(25)}, r"did you mean 0\.25\?"),
        ({"dropout": [20, 0.5], "hidden_layer_sizes": (4, 4)}, r"A rate in dropout .* got 20: did you mean 0\.2\?"),
        ({"input_dropout": 10.0}, r"'input_dropout' parameter .* did you mean 0\.1\?"),
        ({"dropout": 1.0}, "a rate of 1 drops every unit"),
        ({"dropout": (1, 0.5), "hidden_layer_sizes": (4, 4)}, "got 1: a rate of 1 drops every unit"),
        ({"dropout": 1.5}, r"Got 1\.5 instead\.$"),
        ({"dropout": 400}, r"Got 400 instead\.$"),
        ({"dropout": -5}, r"Got -5 instead\.$"),
        ({"validation_fraction": 20}, r"'validation_fraction' .* did you mean 0\.2\?"),
        ({"warmup_fraction": 5}, r"'warmup_fraction' .* did you mean 0\.05\?"),
        ({"l1_ratio": 50}, r"'l1_ratio' .* did you mean 0\.5\?"),
    ],
    ids=str,
)
@estimators
def test_rates_given_as_percentages(estimator, params, message):
    refuses(estimator, message, params, partial=True)


def test_rates_given_as_percentages_for_one_estimator_and_for_sampling():
    refuses(DropoutMLPRegressor, r"'quantile' .* did you mean 0\.9\?", {"quantile": 90, "loss": "quantile"})
    refuses(DropoutMLPClassifier, r"'label_smoothing' .* did you mean 0\.1\?", {"label_smoothing": 10})
    clf = DropoutMLPClassifier(max_iter=1).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"A rate in dropout .* got 50: did you mean 0\.5\?"):
        clf.predict_uncertainty(X, dropout=50)


@pytest.mark.parametrize("sizes", [(50,), 50, [50, 50], np.int64(50), np.array([8, 4])], ids=repr)
@pytest.mark.parametrize("more", [(), ("relu",), (20,)], ids=str)
def test_layer_sizes_passed_as_loss(sizes, more):
    message = f"The first argument is loss, as in scikit-learn: write hidden_layer_sizes={sizes!r}."
    with pytest.raises(ValueError, match=re.escape(message)):
        DropoutMLPRegressor(sizes, *more).fit(X, VALUES)


@pytest.mark.parametrize("loss", [None, 0, -5, (), 2.5, "mse", (2.5,)], ids=repr)
def test_other_values_passed_as_loss(loss):
    with pytest.raises(ValueError, match=r"The 'loss' parameter .* instead\.$"):
        DropoutMLPRegressor(loss).fit(X, VALUES)


@pytest.mark.parametrize(
    ("labels", "named"),
    [(["ok", "fraud"], "'fraud'"), ([3, 7], "7"), ([2.0, 5.0], "5.0"), ([False, True], "True"), ([0, 1], "1")],
    ids=str,
)
def test_error_names_the_class_with_too_few_rows_to_split(labels, named):
    y = np.array(labels)[(np.arange(40) == 7).astype(int)]
    message = f"needs two rows of each class, but y has only one of {named}: add rows, pass X_val and y_val, or set "
    refuses(DropoutMLPClassifier, message, {"early_stopping": True}, y=y)
    if labels[0]:
        with pytest.raises(ValueError, match="early_stopping") as error:
            DropoutMLPClassifier(early_stopping=True).fit(X, y)
        assert "['True']" not in str(error.value)
        assert "['False']" not in str(error.value)


@pytest.mark.parametrize(
    ("n_rows", "fraction", "message"),
    [
        (10, 0.1, "it holds out 1 of 10 rows, fewer than the 2 classes: set validation_fraction to 0.2 or more, pass"),
        (9, 0.1, "it holds out 1 of 9 rows, fewer than the 2 classes: set validation_fraction to 0.23 or more, pass"),
        (40, 0.96, "it leaves 1 of 40 rows for training, fewer than the 2 classes: decrease validation_fraction, pass"),
        (
            40,
            0.999,
            r"it holds out 40 of 40 row\(s\): decrease validation_fraction, pass X_val and y_val, or set early",
        ),
        (
            40,
            0,
            r"it holds out 0 of 40 row\(s\): increase validation_fraction, pass X_val and y_val, or set early_stop",
        ),
        (1, 0.1, r"it holds out 1 of 1 row\(s\): add rows, pass X_val and y_val, or set early_stopping=False"),
    ],
)
def test_the_error_for_a_split_of_too_few_rows_says_what_to_change(n_rows, fraction, message):
    clf = DropoutMLPClassifier(early_stopping=True, validation_fraction=fraction, max_iter=1)
    with pytest.raises(ValueError, match=f"early_stopping with validation_fraction={fraction}: {message}"):
        clf.fit(X[:n_rows], np.array(["no", "yes"])[np.arange(n_rows) % 2])
    if "or more" in message:
        least = float(re.search(r"to (\S+) or more", message)[1])
        clf.set_params(validation_fraction=least).fit(X[:n_rows], np.arange(n_rows) % 2)


@pytest.mark.parametrize(
    ("weights", "y", "unknown"),
    [
        ({"perhaps": 2}, LABELS, ["perhaps"]),
        ({"no": 1, "nope": 2}, LABELS, ["nope"]),
        ({"0": 1, "1": 2}, np.arange(40) % 3, ["0", "1"]),
        ({0: 1, 5: 2}, np.arange(40) % 3, [5]),
    ],
    ids=str,
)
def test_class_weights_for_unknown_labels(weights, y, unknown):
    message = re.escape(f"class_weight has labels that are not classes: {unknown}. The classes are")
    with pytest.raises(ValueError, match=message):
        DropoutMLPClassifier(class_weight=weights).fit(X, y)


@pytest.mark.parametrize("classes", [3, [["a", "b"]], [0.5, 1.5]], ids=str)
def test_classes_that_are_not_valid_labels(classes):
    with pytest.raises((ValueError, TypeError), match=r"`classes`: |classes"):
        DropoutMLPClassifier().partial_fit(X, np.arange(40) % 2, classes=classes)


@pytest.mark.parametrize("dtype", ["f2", "longdouble", "f4,f4", int, complex, np.dtype("i4"), object, b"f4", 1.0, {}])
@estimators
def test_unsupported_dtypes(estimator, dtype):
    refuses(estimator, "The 'dtype' parameter of", {"dtype": dtype})


@pytest.mark.parametrize("value", [True, np.True_, None, "False", 0, np.int64(0)], ids=repr)
@estimators
def test_batch_norm_is_a_position_or_false(estimator, value):
    refuses(estimator, "The 'batch_norm' parameter of", {"batch_norm": value})

"""Checks of validation sets, and scores that handle absent classes."""

import warnings
from functools import partial, wraps
from inspect import signature
from itertools import combinations

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier
from sklearn.metrics import average_precision_score, balanced_accuracy_score, recall_score, roc_auc_score

from ._sklearn import wrap_score_function

# scikit-learn's score functions that are constant, or 0 divided by 0, on rows of a single class
UNDEFINED_FOR_ONE_CLASS = {
    "average_precision_score",
    "cohen_kappa_score",
    "d2_brier_score",
    "d2_log_loss_score",
    "matthews_corrcoef",
    "negative_likelihood_ratio",
    "positive_likelihood_ratio",
    "roc_auc_score",
}
ABSENT_CLASS_FIX = (
    "provide validation rows of every class (X_val and y_val, or a larger validation_fraction), or use "
    "scoring='neg_log_loss'"
)
# Thresholds that detect a y_val on a different scale than y: shift in standard deviations of y, and ratios of spreads
MAX_SHIFT = 5
MAX_SPREAD_RATIO = 10
MAX_SPREAD_RATIO_IF_SCALED = 4
MIN_SPREAD_RATIO = 1 / 25
MIN_ROWS_FOR_MEDIAN = 5
MIN_ROWS_FOR_SPREAD = 20
MAX_LISTED = 10  # maximum number of labels in a message


def score_of_known_classes(scorer, estimator, X, y, weights):
    """Return the score of a validation set from which classes known to `estimator` may be absent.

    If no class is absent, this is the result of `scorer`. Otherwise, scorers made by ``make_scorer`` get the labels of
    all classes, or are restricted to the present classes. If another scorer fails, the error lists the absent classes.

    Parameters
    ----------
    scorer : callable
    estimator : estimator
        Fitted estimator.
    X, y : array-like
    weights : dict
        Contains `sample_weight` if there are weights and the scorer accepts them.
    """
    classes = _known_classes(estimator)
    if classes is None or len(classes) < 2:
        return float(scorer(estimator, X, y, **weights))

    def robust(function):
        @wraps(function)
        def score(y_true, y_pred, **options):
            return _score(function, classes, y_true, y_pred, options)

        return score

    robust_scorer = wrap_score_function(scorer, robust)
    try:
        return float(robust_scorer(estimator, X, y, **weights))
    except (ValueError, TypeError) as error:
        hint = describe_absent_classes(estimator, y, **weights) if robust_scorer is scorer else ""
        raise ValueError(f"{error}{hint}") from error


def describe_absent_classes(estimator, y, sample_weight=None):
    """Return a sentence for an error message that lists the classes without rows, or an empty string."""
    classes = _known_classes(estimator)
    if classes is None:
        return ""
    y = _as_array(y)
    weighted = _with_weight(sample_weight)
    if y.ndim == 2:
        absent = classes[_constant(y[weighted])]
        problem = f"All validation rows have the same value of label {_format_labels(absent)}"
    else:
        absent = np.setdiff1d(classes, y[weighted])
        problem = f"The validation rows contain no row of class {_format_labels(absent)}"
    return f" {problem}: {ABSENT_CLASS_FIX}." if len(absent) else ""


def _known_classes(estimator):
    classes = getattr(estimator, "classes_", None)
    return classes if is_classifier(estimator) and isinstance(classes, np.ndarray) else None


def _as_array(y):
    y = y.toarray() if issparse(y) else np.asarray(y)
    return y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y


def _with_weight(sample_weight):
    """Return an index of the rows with positive weight."""
    return slice(None) if sample_weight is None else np.asarray(sample_weight) > 0


def _constant(Y):
    """Return which columns are constant."""
    return np.ptp(Y.astype(float), axis=0) == 0


def _format_labels(labels):
    text = ", ".join(repr(label) for label in labels[:MAX_LISTED].tolist())
    return text if len(labels) <= MAX_LISTED else f"{text} and {len(labels) - MAX_LISTED} more"


def _score(function, classes, y_true, y_pred, options):
    """Evaluate a score function, adapted to absent classes."""
    while isinstance(function, partial) and not function.args:
        options = {**function.keywords, **options}
        function = function.func
    y = _as_array(y_true)
    sample_weight = options.get("sample_weight")
    weighted = _with_weight(sample_weight)
    defaults = signature(function).parameters
    average = options.get("average", defaults["average"].default if "average" in defaults else None)
    warns = _is_default("zero_division", "warn", options, defaults)
    no_warning = {"zero_division": 0.0} if warns else {}  # the same value, without a warning after each epoch
    if y.ndim == 2:
        options = options if (y[weighted] != 0).any(axis=0).all() else options | no_warning
        return _multilabel_score(function, y_true, y, y_pred, weighted, average, options)

    present = np.isin(classes, y[weighted])
    ovo = function is roc_auc_score and np.ndim(y_pred) == 2 and options.get("multi_class") == "ovo"
    if present.all() and not (ovo and sample_weight is not None):
        return function(y_true, y_pred, **options)
    from_sklearn = getattr(function, "__module__", "").startswith("sklearn.")
    if from_sklearn and function.__name__ in UNDEFINED_FOR_ONE_CLASS and present.sum() < 2:
        raise _undefined(function, classes[~present])
    if average == "binary" and len(classes) == 2:
        positive = options.get("pos_label", defaults["pos_label"].default)
        if positive in classes[~present].tolist():
            raise _undefined(function, classes[~present])
        return function(y_true, y_pred, **options)
    if function is balanced_accuracy_score:
        chance = 1 / present.sum() if options.pop("adjusted", False) else 0
        if chance == 1:
            raise _undefined(function, classes[~present])
        return (recall_score(y, y_pred, labels=classes[present], average="macro", **options) - chance) / (1 - chance)
    if ovo:
        return _one_vs_one(classes, present, y, y_pred, average, sample_weight)
    if np.ndim(y_pred) == 2 and (
        function is average_precision_score or (function is roc_auc_score and options.get("multi_class") == "ovr")
    ):
        options = {name: value for name, value in options.items() if name not in ("labels", "multi_class")}
        Y = y[:, None] == classes
        return _multilabel_score(function, Y, Y, y_pred, weighted, average, options)
    if _is_default("labels", None, options, defaults):
        options = options | no_warning | {"labels": classes}
        if len(classes) == 2 and _is_default("pos_label", None, options, defaults):
            options["pos_label"] = classes[1]
    return function(y_true, y_pred, **options)


def _is_default(name, value, options, defaults):
    """Return whether a parameter has the default `value` and is not set."""
    return name in defaults and defaults[name].default == value and name not in options


def _undefined(function, absent):
    return ValueError(
        f"{function.__name__} is undefined without rows of class {_format_labels(absent)}: {ABSENT_CLASS_FIX}."
    )


def _multilabel_score(function, y_true, Y, y_pred, weighted, average, options):
    """Return a score of binary columns. Averages skip columns for which the score is undefined."""
    defined = np.ones(Y.shape[1], dtype=bool)
    if average in ("macro", "weighted"):
        if function is roc_auc_score:
            defined = ~_constant(Y[weighted])
        elif function is average_precision_score:
            defined = (Y[weighted] != 0).any(axis=0)
    if defined.all():
        return function(y_true, y_pred, **options)
    if not defined.any():
        raise ValueError(f"{function.__name__} is undefined for every label: {ABSENT_CLASS_FIX}.")
    Y, y_pred = Y[:, defined], np.asarray(y_pred)[:, defined]
    if defined.sum() == 1:
        Y, y_pred = Y[:, 0], y_pred[:, 0]
    return function(Y, y_pred, **options)


def _one_vs_one(classes, present, y, P, average, sample_weight):
    """Return the mean area under the ROC curve over all pairs of present classes, with sample weights."""
    scores, pair_weights = [], []
    for a, b in combinations(np.flatnonzero(present), 2):
        rows = (y == classes[a]) | (y == classes[b])
        weight = None if sample_weight is None else np.asarray(sample_weight)[rows]
        areas = [roc_auc_score(y[rows] == classes[c], P[rows, c], sample_weight=weight) for c in (a, b)]
        scores.append(np.mean(areas))
        pair_weights.append(rows.sum() if weight is None else weight.sum())
    return float(np.average(scores, weights=pair_weights if average == "weighted" else None))


def check_validation_set(estimator, X_val, y_val):
    """Raise an error if labels, outputs or features differ from those seen by ``fit``."""
    classes, y = _known_classes(estimator), _as_array(y_val)
    if classes is not None and y.ndim == 1 and not getattr(estimator, "_is_multilabel", bool)():
        try:
            unseen = np.setdiff1d(y, classes)
        except TypeError:  # labels of mixed types have no order
            unseen = np.array([label for label in y.tolist() if label not in set(classes.tolist())], dtype=object)
        if len(unseen):
            raise ValueError(
                f"y_val has labels {_format_labels(unseen)}, but this {type(estimator).__name__} was fitted on the "
                f"classes {_format_labels(classes)}. Meta-estimators such as VotingClassifier and "
                "StackingClassifier encode the labels first: in that case, pass "
                "y_val=LabelEncoder().fit(y).transform(y_val)."
            )
    if hasattr(estimator, "_validate_predict_xy"):
        estimator._validate_predict_xy(X_val, y_val)


def check_target_scale(y, y_val):
    """Warn if the real-valued `y_val` is clearly not on the scale of `y`."""
    y, y_val = (np.asarray(_as_array(a), dtype=float).reshape(len(a), -1) for a in (y, y_val))
    for column, column_val in zip(y.T, y_val.T, strict=False):
        with np.errstate(all="ignore"):
            differs = _has_different_scale(column, column_val)
        if differs:
            warnings.warn(
                f"y_val does not seem to be on the scale of y: it has mean {column_val.mean():.3g} and standard "
                f"deviation {column_val.std():.3g}, and y has {column.mean():.3g} and {column.std():.3g}. "
                "TransformedTargetRegressor transforms y but not y_val: transform y_val in the same way first, or "
                "use early_stopping=True without X_val."
            )
            return


def _has_different_scale(y, y_val):
    """Return whether y_val is clearly too far from y, too wide or too narrow.

    The spread is measured with and without the tails, and both must agree. The threshold for a narrow y_val is strict,
    because it may be the end of a time series.
    """
    if len(y) < MIN_ROWS_FOR_SPREAD or len(y_val) < MIN_ROWS_FOR_MEDIAN or y.std() == 0:
        return False
    spread, spread_val = _robust_std(y), _robust_std(y_val)
    if abs(np.median(y_val) - np.median(y)) > MAX_SHIFT * max(spread, y.std()):
        return True
    ratio = y_val.std() / y.std()
    if len(y_val) < MIN_ROWS_FOR_SPREAD:
        return False
    if spread == 0 or spread_val == 0:
        return bool(ratio > MAX_SPREAD_RATIO)
    ratios = ratio, spread_val / spread
    max_ratio = MAX_SPREAD_RATIO_IF_SCALED if _is_scaled(y) else MAX_SPREAD_RATIO
    return bool(min(ratios) > max_ratio or max(ratios) < MIN_SPREAD_RATIO)


def _robust_std(y):
    """Estimate the standard deviation from quantiles, assuming a normal distribution."""
    return float(np.subtract(*np.quantile(y, [0.9, 0.1]))) / 2.56


def _is_scaled(y):
    """Return whether y is standardized, scaled to the range [0, 1], or has median 0 and interquartile range 1."""
    low, median, high = np.quantile(y, [0.25, 0.5, 0.75])
    statistics = [(y.mean(), y.std()), (y.min(), y.max()), (median, high - low)]
    return bool(np.isclose(statistics, (0, 1), rtol=0, atol=1e-4).all(axis=1).any())

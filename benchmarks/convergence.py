"""Effect of the default patience on ten small tables, compared with no patience and with scikit-learn.

    python -m benchmarks.convergence [--combinations 48] [--repeats 1] [--jobs 2] [--resume FILE]

Ten small tables with raw and with standardized inputs, and one hidden layer of 100 units with default parameters
(dropout=0.2 in classification, a constant rate of 0.1 in regression). Combinations of dropout kind, place of batch
normalization, mask sharing, batch size, class weights and inputs are drawn at random, the same for every table. Each is
fitted with the default patience and with n_iter_no_change=inf, and compared with scikit-learn's MLP with its defaults,
the same batch size and the same sample weights. Scores are computed on the test rows (a third): accuracy and log loss,
both weighted by class, or RMSE in standard deviations of y.

The output shows paired differences, mean over tables ± standard error, for each level of each setting, and the worst
combinations. "flagged" is the fraction of fits that end worse than a constant prediction and warn. The last tables are
the scores of each table with default parameters, five splits each.
"""

import argparse
import itertools
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

from benchmarks import jobs
from benchmarks.data import load_uci
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor


def target_thirds(name):
    data = load_uci(name)
    return data.X, np.digitize(data.y, np.quantile(data.y, [1 / 3, 2 / 3]))


def digits():
    X, y = load_digits(return_X_y=True)
    return X[:500], y[:500]


def red_wine():
    data = load_uci("wine")
    return data.X[:600], np.digitize(data.y[:600], [5.5])


TABLES = {
    "iris": load_iris,
    "wine": load_wine,
    "breast cancer": load_breast_cancer,
    "digits": digits,
    "red wine": red_wine,
    "concrete thirds": lambda: target_thirds("concrete"),
    "yacht thirds": lambda: target_thirds("yacht"),
    "concrete": lambda: load_uci("concrete")[:2],
    "energy": lambda: load_uci("energy")[:2],
    "diabetes": lambda: load_diabetes(return_X_y=True, scaled=False),
}
REGRESSION = {"concrete", "energy", "diabetes"}
SETTINGS = {
    "kind": ("bernoulli", "gaussian", "alpha", "spatial"),
    "batch_norm": (False, "before_activation", "after_activation", "after_dropout"),
    "mask_sharing": ("sample", "batch"),
    "batch_size": ("auto", 32, "all rows"),
    "class_weight": (None, "balanced", "100 for one class"),
    "inputs": ("raw", "standardized"),
}
PATIENCE = {"default": 10, "off": np.inf}
DEFAULTS = ("bernoulli", False, "sample", "auto", None)
SPLITS = 5


def combinations(number):
    """Draw combinations at random without replacement."""
    grid = list(itertools.product(*SETTINGS.values()))
    order = np.random.RandomState(0).permutation(len(grid))
    return [grid[i] for i in order[:number]]


def split(name, repeat, inputs):
    loader = TABLES[name]
    X, y = loader(return_X_y=True) if loader in {load_iris, load_wine, load_breast_cancer} else loader()
    stratify = None if name in REGRESSION else y
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=1 / 3, stratify=stratify, random_state=repeat)
    if inputs == "standardized":
        scaler = StandardScaler().fit(X_train)
        X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    return X_train, X_test, y_train, y_test


def class_weights(y, class_weight):
    labels = np.unique(y)
    if class_weight == "balanced":
        return dict(zip(labels.tolist(), compute_class_weight("balanced", classes=labels, y=y), strict=True))
    return {label: 100.0 if class_weight and label == labels[-1] else 1.0 for label in labels.tolist()}


def measure(name, repeat, combination, contestant):
    """Return the test scores, the number of epochs, and whether the fit warns that it is worse than a constant."""
    kind, batch_norm, mask_sharing, batch_size, class_weight, inputs = combination
    X_train, X_test, y_train, y_test = split(name, repeat, inputs)
    params = {"batch_size": len(y_train) if batch_size == "all rows" else batch_size, "random_state": repeat}
    if contestant != "scikit-learn":
        params |= {"dropout_kind": kind, "batch_norm": batch_norm, "mask_sharing": mask_sharing}
        params |= {"n_iter_no_change": PATIENCE[contestant]} | ({"group_size": 4} if kind == "spatial" else {})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if name in REGRESSION:
            center, scale = y_train.mean(), y_train.std()
            cls = MLPRegressor if contestant == "scikit-learn" else DropoutMLPRegressor
            params |= {} if contestant == "scikit-learn" else {"dropout": 0.1, "dropout_schedule": "constant"}
            model = cls(**params).fit(X_train, (y_train - center) / scale)
            scores = [np.sqrt(np.mean((model.predict(X_test) - (y_test - center) / scale) ** 2))]
        else:
            weight = class_weights(y_train, class_weight)
            rows = np.array([weight[label] for label in y_train.tolist()])
            if contestant == "scikit-learn":
                model = MLPClassifier(**params).fit(X_train, y_train, sample_weight=rows)
            else:
                model = DropoutMLPClassifier(**params, class_weight=weight).fit(X_train, y_train)
            test = np.array([weight[label] for label in y_test.tolist()])
            P = np.clip(model.predict_proba(X_test), 1e-15, 1)
            scores = [
                accuracy_score(y_test, model.predict(X_test), sample_weight=test),
                log_loss(y_test, P / P.sum(axis=1, keepdims=True), sample_weight=test),
            ]
    flagged = any(issubclass(w.category, ConvergenceWarning) and "constant" in str(w.message) for w in caught)
    return [float(score) for score in scores], model.n_iter_, flagged


def differences(done, names, chosen, repeats, a, b):
    """Return a - b averaged over repeats, of shape (n_tables, n_combinations, n_scores)."""
    return np.array(
        [
            [
                np.mean([np.subtract(done[n, r, c, a][0], done[n, r, c, b][0]) for r in range(repeats)], axis=0)
                for c in chosen
            ]
            for n in names
        ]
    )


def summary(values):
    """Format the mean ± standard error over tables."""
    return f"{values.mean():+.3f} ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}"


def print_defaults(done):
    """Print the scores of each table with default parameters."""
    for inputs in SETTINGS["inputs"]:
        print(f"\nDefault parameters, {inputs} inputs: scores and epochs, mean of {SPLITS} splits")
        for name in TABLES:
            row = f"{name:16}"
            for contestant in (*PATIENCE, "scikit-learn"):
                fits = [done[name, repeat, (*DEFAULTS, inputs), contestant] for repeat in range(SPLITS)]
                scores = np.mean([fit[0] for fit in fits], axis=0)
                figures = " / ".join(f"{score:.3f}" for score in scores)
                row += f"  {contestant}: {figures}, {np.mean([fit[1] for fit in fits]):3.0f}"
            print(row)


def main(n_combinations, repeats, n_jobs, resume):
    chosen = combinations(n_combinations)
    todo = {
        (name, repeat, c, contestant): (measure, name, repeat, c, contestant)
        for repeat in range(repeats)
        for name in TABLES
        for c in chosen
        if not (name in REGRESSION and c[4] is not None)
        for contestant in (*PATIENCE, "scikit-learn")
    }
    todo |= {
        (name, repeat, c, contestant): (measure, name, repeat, c, contestant)
        for repeat in range(SPLITS)
        for name in TABLES
        for c in ((*DEFAULTS, inputs) for inputs in SETTINGS["inputs"])
        for contestant in (*PATIENCE, "scikit-learn")
    }
    done = jobs.run(todo, resume, n_jobs, "convergence")
    for task, names in (
        ("classification", [n for n in TABLES if n not in REGRESSION]),
        ("regression", [n for n in TABLES if n in REGRESSION]),
    ):
        scores = ("accuracy", "log loss") if task == "classification" else ("RMSE",)
        tested = [c for c in chosen if task == "classification" or c[4] is None]
        for rival in ("off", "scikit-learn"):
            table = differences(done, names, tested, repeats, "default", rival)
            print(f"\n{task}, {len(names)} tables, {len(tested)} combinations: default patience - {rival}")
            print(f"{'':34}" + "".join(f"{score:>20}" for score in scores) + f"{'flagged':>12}{'epochs':>10}")
            for i, (setting, levels) in enumerate(SETTINGS.items()):
                for level in levels:
                    here = [j for j, c in enumerate(tested) if c[i] == level]
                    if not here:
                        continue
                    columns = [summary(table[:, here, k].mean(axis=1)) for k in range(len(scores))]
                    fits = [done[n, r, tested[j], "default"] for n in names for r in range(repeats) for j in here]
                    flagged, epochs = np.mean([fit[2] for fit in fits]), np.mean([fit[1] for fit in fits])
                    row = "".join(f"{column:>20}" for column in columns)
                    print(f"{setting:14}{level!s:20}{row}{flagged:12.1%}{epochs:10.0f}")
            sign = -1 if task == "classification" else 1
            means, errors = table[..., 0].mean(axis=0), table[..., 0].std(axis=0, ddof=1) / np.sqrt(len(names))
            worst = np.argsort(-sign * means)[:5]
            for j in worst:
                print(f"  {means[j]:+.3f} ± {errors[j]:.3f}  {tested[j]}")
            print(f"  combinations worse by more than two standard errors: {int((sign * means > 2 * errors).sum())}")
    print_defaults(done)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--combinations", type=int, default=48, dest="n_combinations")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, dest="n_jobs")
    parser.add_argument("--resume", default="results/convergence.jsonl", help="file of finished fits")
    main(**vars(parser.parse_args()))

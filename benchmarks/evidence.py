"""Nested cross-validation of dropout on 17 data sets, against other regularizers that are tuned as well.

    python -m benchmarks.evidence [--repeats 10] [--jobs 2] [--plot FILE.png]

Each data set has one network architecture and several arms. An arm is a set of candidates, and inner folds select the
best candidate of each arm: dropout (three rates), weight decay (three values of `alpha`) and label smoothing (three
values), each with and without early stopping, and early stopping alone (three patiences, two validation fractions).
"All rivals" selects among the candidates of all arms without dropout, with two or three times the budget. "Plain" is
the network without any of them. All arms use the same rows, folds, epochs and seeds, so differences are paired. The
grid of dropout has no rate 0, so that a harmful effect is visible.

A candidate is selected by the metric that is reported: in classification error (ties by log loss) or log loss, in
regression squared error. "Mean of passes" is the mean of 100 Monte Carlo passes through the network of the arm
"dropout"; after a schedule that ends at rate 0 there is no noise, and it equals the plain prediction. The density in
regression is Gaussian around the prediction, or around each pass. Its variance is estimated in the same way for every
arm: the squared error on the held-out rows of the inner folds, minus the variance of the passes. (On its training rows
an overfit network has almost no error.)

Rows that repeat the features of an earlier row are dropped first: 240 of red wine, 38 of concrete, 1 of iris, 54 of
Fashion-MNIST. Tables are split 80 / 20 at random in each repeat, with three inner folds. Such splits overlap, so the
standard error is that of the corrected resampled t-test (Nadeau and Bengio, 2003), with the variance (1/n +
n_test/n_train) s². Wilcoxon's test has no such correction, and its p-values are too small there. Images are drawn
without overlap, with different training rows and another thousand test rows in each repeat, so the variance is s²/n.
They have one inner split, 75 / 25. (From SKDROPOUT_DATA, Fashion-MNIST is a random split of the 70 000 images, not the
official one.)

"SciPy docs" replaces a text corpus. Its documents are the introductions of the docstrings of the public names of nine
subpackages of SciPy, as TF-IDF of their words without the names of the subpackages; the class is the subpackage. The
data depend on the version of SciPy.
"""

import argparse
import importlib
import inspect
import re
import warnings
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import jobs
from benchmarks.data import load_fashion_mnist, load_mnist, load_red_wine, load_uci
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

EARLY_STOPPING = {"early_stopping": True, "n_iter_no_change": 15}
CONSTANT, ANNEALED = ({"dropout_schedule": schedule} for schedule in ("constant", "flat_cos"))
RIVALS = {
    "weight decay": [{"alpha": alpha} | stop for alpha in (0.001, 0.03, 0.3) for stop in ({}, EARLY_STOPPING)],
    "label smoothing": [{"label_smoothing": e} | stop for e in (0.01, 0.03, 0.1) for stop in ({}, EARLY_STOPPING)],
    "early stopping": [
        EARLY_STOPPING | {"n_iter_no_change": patience, "validation_fraction": fraction}
        for patience in (5, 15, 40)
        for fraction in (0.1, 0.2)
    ],
}
RATES = {
    "classification": [{"dropout": p, "input_dropout": q} for p, q in ((0.2, 0), (0.5, 0), (0.5, 0.2))],
    "regression": [{"dropout": p} | CONSTANT for p in (0.05, 0.2)] + [{"dropout": 0.1} | ANNEALED],
}
PASSES = "mean of passes"
PAIRS = ("dropout", "weight decay"), (PASSES, "weight decay"), ("dropout", "all rivals"), (PASSES, "all rivals")


class DataSet(NamedTuple):
    kind: str
    split: Callable  # from the number of the repeat to X_train, X_test, y_train, y_test
    scaler: object
    net: dict
    folds: int
    overlap: float  # n_test / n_train if the splits of the repeats overlap, else 0


def arms(kind):
    """Return the candidates of each arm, as parameters of the network."""
    rivals = {name: RIVALS[name] for name in RIVALS if kind == "classification" or name != "label smoothing"}
    return {
        "plain": [{}],
        **rivals,
        "all rivals": [candidate for candidates in rivals.values() for candidate in candidates],
        "dropout": [rate | stop for rate in RATES[kind] for stop in ({}, EARLY_STOPPING)],
    }


def drop_duplicates(X, y):
    """Drop rows that repeat the features of an earlier row."""
    rows = np.sort(np.unique(X, axis=0, return_index=True)[1])
    return X[rows], y[rows]


def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def red_wine_classes():
    X, y = load_red_wine()
    return X, np.digitize(y, [4.5, 5.5, 6.5])


def scipy_docs():
    labels = "fft", "interpolate", "linalg", "ndimage", "optimize", "signal", "sparse", "special", "stats"
    openings = {}
    for label in labels:
        module = importlib.import_module(f"scipy.{label}")
        for name in module.__all__:
            opening = (inspect.getdoc(getattr(module, name)) or "").split("Parameters\n---")[0]
            opening = re.sub(r"^\S+\(.*\)$", "", opening, flags=re.M)  # drop the signatures of ufuncs
            words = " ".join(word for word in re.findall("[a-z]+", opening.lower()) if word not in labels)
            if len(words) > 30:
                openings.setdefault(words, label)
    return np.array(list(openings)), np.array(list(openings.values()))


@cache
def images(load):
    """Return the distinct flattened images, their labels, and the number of training images among them."""
    data = load()
    X, y = np.vstack([data.X_train, data.X_test]), np.hstack([data.y_train, data.y_test])
    rows = np.sort(np.unique(X.view(f"V{X.shape[1]}").ravel(), return_index=True)[1])
    return X[rows], y[rows], int((rows < len(data.X_train)).sum())


def image_split(load, n_rows, repeat):
    X, y, n_train = images(load)
    rng = np.random.RandomState(0)
    train = rng.permutation(n_train)[n_rows * repeat : n_rows * (repeat + 1)]
    test = np.array_split(n_train + rng.permutation(len(y) - n_train), 10)[repeat]
    return X[train] / 255, X[test] / 255, y[train], y[test]


def table_split(load, kind, repeat):
    X, y = drop_duplicates(*load())
    stratify = y if kind == "classification" else None
    return train_test_split(X, y, test_size=0.2, stratify=stratify, random_state=repeat)


def tables(kind, loads, epochs, batch_size, scaler=None):
    scaler = scaler or StandardScaler()
    net = {"hidden_layer_sizes": (100, 100), "batch_size": batch_size, "max_iter": epochs}
    return {name: DataSet(kind, partial(table_split, load, kind), scaler, net, 3, 0.25) for name, load in loads.items()}


def image_sets(name, load):
    for n_rows, batch_size, epochs in ((500, 50, 100), (1000, 50, 60), (5000, 100, 20)):
        net = {"hidden_layer_sizes": (128, 128), "batch_size": batch_size, "max_iter": epochs}
        split = partial(image_split, load, n_rows)
        yield f"{name} {n_rows}", DataSet("classification", split, "passthrough", net, 1, 0)


def bundled(*loads):
    return {load.__name__[5:].replace("_", " "): partial(load, return_X_y=True) for load in loads}


def uci(name):
    return load_uci(name)[:2]


SETS = {
    **dict(image_sets("MNIST", load_mnist)),
    **dict(image_sets("Fashion-MNIST", load_fashion_mnist)),
    **tables("classification", bundled(load_breast_cancer, load_wine, load_iris), 100, 32),
    **tables("classification", {"digits": digits}, 60, 64, scaler="passthrough"),
    **tables("classification", {"red wine, 4 classes": red_wine_classes}, 100, 64),
    **tables(
        "classification",
        {"SciPy docs": scipy_docs},
        epochs=20,
        batch_size=64,
        scaler=TfidfVectorizer(sublinear_tf=True, min_df=2, max_features=1000, dtype=np.float32),
    ),
    **tables("regression", bundled(load_diabetes) | {"yacht": partial(uci, "yacht")}, 200, 32),
    **tables("regression", {"concrete": partial(uci, "concrete"), "energy": partial(uci, "energy")}, 200, 64),
    **tables("regression", {"red wine, quality": load_red_wine}, 100, 64),
}


def noise_free(net):
    return {"dropout": 0, "input_dropout": 0, "n_samples": 1}


def last_rates(net):
    """Return the rates at the end of training, set explicitly because a schedule may have reduced them to 0."""
    return {"dropout": net.dropout_[1:], "input_dropout": net.dropout_[0]}


def unpack(model, X):
    return model[-1], model[:-1].transform(X)


def inner_classification(model, X, y):
    net, X = unpack(model, X)
    return {"error": 1 - net.score(X, y), "loss": -np.mean(net.log_predictive_density(X, y, **noise_free(net)))}


def inner_regression(model, X, y):
    net, X = unpack(model, X)
    error = np.mean((net.predict(X) - y) ** 2)
    if net.dropout == 0:
        return {"error": error, "noise": error}
    mean, std = net.predict(X, return_std=True, n_samples=20, **last_rates(net))
    return {"error": error, "noise": np.mean((mean - y) ** 2 - std**2) + net.noise_variance_}


def outer_classification(net, X, y, **sampling):
    proba = net.predict_uncertainty(X, **sampling).proba
    return np.mean(net.classes_[proba.argmax(axis=1)] != y), -np.mean(net.log_predictive_density(X, y, **sampling))


def outer_regression(net, X, y, **sampling):
    mean, _ = net.predict(X, return_std=True, **sampling)
    return np.sqrt(np.mean((mean - y) ** 2)), -np.mean(net.log_predictive_density(X, y, **sampling))


def measure(name, repeat):
    """Return {arm: (error or RMSE, log loss or -log density, selected candidate of each)} for one repeat."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # intended
    data = SETS[name]
    X_train, X_test, y_train, y_test = data.split(repeat)
    center, scale = 0, 1
    if classifies := data.kind == "classification":
        Net, Folds, inner, outer = DropoutMLPClassifier, StratifiedKFold, inner_classification, outer_classification
    else:
        Net, Folds, inner, outer = DropoutMLPRegressor, KFold, inner_regression, outer_regression
        center, scale = y_train.mean(), y_train.std()
        y_train, y_test = (y_train - center) / scale, (y_test - center) / scale
    net = Net(dropout=0.0, n_iter_no_change=np.inf, scoring="loss", dtype="float32", random_state=repeat)
    model = Pipeline([("scaler", data.scaler), ("net", net.set_params(**data.net))])
    if data.folds == 1:
        folds = ShuffleSplit(1, test_size=0.25, random_state=repeat)
    else:
        folds = Folds(data.folds, shuffle=True, random_state=repeat)

    grid = []  # without duplicates: "all rivals" contains the candidates of other arms
    for candidates in arms(data.kind).values():
        grid += [candidate for candidate in candidates if candidate not in grid]
    as_grid = [{f"net__{key}": [value] for key, value in candidate.items()} for candidate in grid]
    results = GridSearchCV(model, as_grid, scoring=inner, refit=False, cv=folds).fit(X_train, y_train).cv_results_
    error = results["mean_test_error"]

    @cache
    def fitted(i):
        return clone(model).set_params(**results["params"][i]).fit(X_train, y_train)

    def evaluate(best, sampling, noise=None):
        """Return the test error of the candidate selected by error, and the test loss of that selected by loss."""
        scores = []
        for i in best:
            net, X = unpack(fitted(i), X_test)
            if not classifies:
                net.noise_variance_ = float(noise[i])
            scores.append(outer(net, X, y_test, **sampling(net)))
        return [float(scale * scores[0][0]), float(scores[1][1] + np.log(scale)), *(repr(grid[i]) for i in best)]

    record = {}
    for arm, candidates in arms(data.kind).items():
        own = np.array([grid.index(candidate) for candidate in candidates])
        loss = results["mean_test_loss"] if classifies else error
        best = own[np.lexsort([loss[own], error[own]])[0]], own[loss[own].argmin()]
        record[arm] = evaluate(best, noise_free, error)
    noise = None if classifies else np.maximum(results["mean_test_noise"], error / 100)
    record[PASSES] = evaluate(best, last_rates, noise)  # the last arm is dropout
    return record


def paired(difference, overlap):
    """Return mean, half-width of its 95 % interval, standard error, p of the corrected t-test, p of Wilcoxon's."""
    n = len(difference)
    mean, error = difference.mean(), np.sqrt((1 / n + overlap) * difference.var(ddof=1))
    p = 2 * stats.t.sf(abs(mean) / error, n - 1) if error else float(mean == 0)
    wilcoxon = stats.wilcoxon(difference).pvalue if difference.any() else 1.0
    return mean, error * stats.t.ppf(0.975, n - 1), error, p, wilcoxon


def scores_of(records, name, metric):
    """Return {arm: scores of all repeats}."""
    repeats = [record for (other, _), record in records.items() if other == name]
    return {arm: np.array([record[arm][metric] for record in repeats]) for arm in repeats[0]}


METRICS = {  # for each metric: name, unit, factor, digits, and whether ratios of means are meaningful
    "classification": [("error", "%", 100, 2, True), ("log loss", "nats", 1, 4, True)],
    "regression": [("RMSE", "", 1, 3, True), ("-log density", "nats", 1, 3, False)],
}


def report(records):
    """Print the mean of each arm, and paired differences ± standard errors (p of the t-test, p of Wilcoxon's test)."""
    for kind, metrics in METRICS.items():
        names = [name for name in SETS if SETS[name].kind == kind]
        columns = [*arms(kind), PASSES]
        for metric, (title, unit, factor, digits, is_ratio) in enumerate(metrics):
            scores = {name: {a: factor * s for a, s in scores_of(records, name, metric).items()} for name in names}
            print_row(f"\n{title} {unit}\n{'':19}", columns, 15)
            for name in names:
                print_row(name, (f"{scores[name][arm].mean():.{digits}f}" for arm in columns), 15)
            print_row(f"\n{'differences':19}", (f"{arm} - {rival}" for arm, rival in PAIRS), 34)
            outcomes = {pair: [] for pair in PAIRS}
            for name in names:
                cells = []
                for arm, rival in PAIRS:
                    arm_scores, rival_scores = scores[name][arm], scores[name][rival]
                    mean, _, error, p, wilcoxon = paired(arm_scores - rival_scores, SETS[name].overlap)
                    cells.append(f"{mean:+.{digits}f} ± {error:.{digits}f} ({p:.3f}, {wilcoxon:.3f})")
                    outcomes[arm, rival].append((arm_scores.mean(), rival_scores.mean(), p < 0.05))
                print_row(name, cells, 34)
            for pair, rows in outcomes.items():
                means, rival_means, significant = np.transpose(rows)
                positive = (means > 0) & (rival_means > 0)  # no ratio for a data set without errors
                ratios = means[positive] / rival_means[positive]
                overall = np.exp(np.log(ratios).mean()) if is_ratio else (means - rival_means).mean()
                print(
                    f"{' - '.join(pair)}: {'geometric mean of the ratios' if is_ratio else 'mean'} {overall:.3f}; "
                    f"better on {(means < rival_means).sum()}, worse on {(means > rival_means).sum()} of {len(names)}, "
                    f"with p < 0.05 on {significant[means < rival_means].sum():.0f} and "
                    f"{significant[means > rival_means].sum():.0f}"
                )


def print_row(first, cells, width):
    print(f"{first:19}", *(f"{cell:>{width}}" for cell in cells), sep=" | ")


def plot(records, file):
    import matplotlib.pyplot as plt

    styles = {
        ("dropout", "weight decay"): ("dropout against tuned weight decay", "C0", "o", "C0"),
        (PASSES, "weight decay"): ("mean of 100 Monte Carlo passes against tuned weight decay", "C0", "D", "white"),
        ("dropout", "all rivals"): ("dropout against all rivals, selected on inner folds", "C1", "s", "C1"),
    }
    n_rows = [sum(data.kind == kind for data in SETS.values()) for kind in METRICS]
    figure, axes = plt.subplots(2, 2, figsize=(11, 9), height_ratios=n_rows, sharey="row", layout="constrained")
    for row, (kind, metrics) in zip(axes, METRICS.items(), strict=True):
        names = [name for name in SETS if SETS[name].kind == kind][::-1]
        for metric, (ax, (title, unit, factor, _, _)) in enumerate(zip(row, metrics, strict=True)):
            for offset, (pair, (label, color, marker, face)) in zip((0.25, 0, -0.25), styles.items(), strict=True):
                points = []
                for name in names:
                    scores = scores_of(records, name, metric)
                    arm_scores, rival_scores = (scores[arm] for arm in pair)
                    scale = 100 / rival_scores.mean() if title == "RMSE" else factor
                    points.append(paired(scale * (arm_scores - rival_scores), SETS[name].overlap)[:2])
                mean, half_width = np.transpose(points)
                position, style = np.arange(len(names)) + offset, {"color": color, "fmt": marker, "mfc": face, "ms": 5}
                ax.errorbar(mean, position, xerr=half_width, elinewidth=1, label=label, **style)
            ax.axvline(0, color="gray", linewidth=1)
            ax.set_yticks(range(len(names)), names)
            ax.set_ylim(-0.6, len(names) - 0.4)
            unit = {"%": "percentage points", "": "% of the rival's"}.get(unit, unit)
            ax.set_xlabel(f"difference in {title}, {unit}")
            ax.grid(axis="x", alpha=0.3)
            ax.set_title("← dropout better   |   dropout worse →", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9)
    figure.suptitle("Does dropout help? Paired differences with 95 % intervals (nested cross-validation)")
    figure.savefig(file, dpi=130)
    print(f"\nSaved the figure to {file}.")


def main(repeats, n_jobs, file):
    todo = {(name, repeat): (measure, name, repeat) for repeat in range(repeats) for name in SETS}
    records = jobs.run(todo, jobs.RESULTS / "evidence.jsonl", n_jobs, "evidence")
    print(f"{repeats} repeats")
    report(records)
    if file:
        plot(records, file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10, help="at most 10")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--plot", metavar="FILE.png")
    args = parser.parse_args()
    from benchmarks import evidence  # workers can unpickle cached functions of this module, but not of __main__

    evidence.main(args.repeats, args.jobs, args.plot)

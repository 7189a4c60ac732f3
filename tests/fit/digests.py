"""Digests of fitted weights and predictions, to compare between processes: ``python digests.py``."""

import hashlib
import json
import warnings

import numpy as np
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor, DropoutRates

rng = np.random.RandomState(0)
X = rng.normal(size=(90, 6))
Y = np.column_stack([X[:, 0] + X[:, 1] ** 2, X[:, 2] - X[:, 3]])
LABELS = np.array(["low", "middle", "high"])[np.digitize(Y[:, 0], [0, 1])]
TAGS = np.array(["beta", "alpha", "gamma"])[rng.randint(0, 3, size=90)].astype(object)

CLASSIFIERS = {
    "adam": ({}, X, LABELS),
    "sgd, Gaussian, onecycle": ({"solver": "sgd", "dropout_kind": "gaussian", "learning_rate": "onecycle"}, X, LABELS),
    "adamw, alpha, selu": ({"solver": "adamw", "dropout_kind": "alpha", "activation": "selu"}, X, LABELS),
    "groups": (
        {"dropout_kind": "spatial", "group_size": 4, "input_dropout": 0.2, "input_groups": list("abbcca")},
        X,
        LABELS,
    ),
    "lbfgs": ({"solver": "lbfgs", "dropout": 0}, X, LABELS),
    "class weights": ({"class_weight": {"low": 2.0, "middle": 0.5, "high": 1.0}}, X, LABELS),
    "balanced": ({"class_weight": "balanced", "label_smoothing": 0.1}, X, LABELS),
    "early stopping": ({"early_stopping": True, "scoring": "neg_log_loss", "max_norm": 1.0}, X, LABELS),
    "batch norm, shared masks": ({"batch_norm": "before_activation", "mask_sharing": "batch"}, X, LABELS),
    "multilabel": ({"input_dropout": 0.1, "l1_ratio": 0.5}, X, (Y > 0).astype(int)),
    "sparse": ({"input_dropout": 0.2}, sparse.csr_array(np.where(X > 0, X, 0)), LABELS),
    "full batch, float32": ({"batch_size": 90, "dtype": "float32"}, np.round(X), LABELS),
}


def classifier(**params):
    return DropoutMLPClassifier(
        **{"hidden_layer_sizes": (8, 8), "max_iter": 4, "batch_size": 20, "random_state": 0} | params
    )


def digest(*parts):
    sha = hashlib.sha256()
    for part in parts:
        part = np.asarray(part)
        sha.update(f"{part.dtype} {part.shape}".encode() + np.ascontiguousarray(part).tobytes())
    return sha.hexdigest()


def digest_classifier(clf, X):
    weights = *clf.coefs_, *clf.intercepts_, clf.loss_
    return digest(*weights, clf.predict(X), clf.predict_proba(X), *clf.predict_uncertainty(X, n_samples=20).values())


def digest_regressor(reg, X):
    return digest(*reg.coefs_, *reg.intercepts_, reg.loss_, *reg.predict(X, return_std=True, n_samples=20))


def all_digests():
    digests = {
        name: digest_classifier(classifier(**params).fit(data, y), data)
        for name, (params, data, y) in CLASSIFIERS.items()
    }
    reg = DropoutMLPRegressor(
        hidden_layer_sizes=8, dropout=0.2, dropout_schedule="curriculum", max_iter=4, random_state=0
    )
    digests["regressor"] = digest_regressor(reg.fit(X, Y), X)
    digests["regressor, partial_fit"] = digest_regressor(reg.partial_fit(X, Y).partial_fit(X, Y), X)

    columns = ColumnTransformer([("tag", OneHotEncoder(), [6]), ("rest", StandardScaler(), list(range(6)))])
    pipe = make_pipeline(columns, classifier())
    space = {"dropoutmlpclassifier__dropout": DropoutRates(2), "dropoutmlpclassifier__alpha": [1e-4, 1e-2]}
    search = RandomizedSearchCV(pipe, space, n_iter=2, cv=2, random_state=0)
    table = np.column_stack([X.astype(object), TAGS])
    fitted = search.fit(table, LABELS)
    digests["search"] = digest(fitted.cv_results_["mean_test_score"], fitted.predict_proba(table))
    return digests


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(json.dumps(all_digests()))

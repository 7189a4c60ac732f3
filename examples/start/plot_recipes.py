"""
==================================================================
Recipes: dropout for noisy labels, missing inputs, tables and text
==================================================================

This example shows parameters to start with for four kinds of data. Each recipe is compared with the same network
without dropout on the same splits. Dropout reduces the error if training labels are wrong or inputs are missing at
prediction. On a small table and on text it changes little.
"""

# %%
# :doc:`/choosing` has recipes and measurements for more kinds of data. Each recipe changes a few parameters of this
# network.
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import sem
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.preprocessing import StandardScaler
from sklearn.utils.discovery import all_estimators

from skdropout import DropoutMLPClassifier

plain = {"hidden_layer_sizes": (100, 100), "dropout": 0.0, "batch_size": 32, "max_iter": 60, "random_state": 0}
plain |= {"learning_rate": "cosine", "n_iter_no_change": np.inf, "dtype": "float32"}
recipes = {
    "wrong labels": {"dropout": (0.2, 0.5)},
    "missing inputs": {"dropout": 0.5},
    "small table": {"dropout": 0.2, "early_stopping": True, "scoring": "loss"},
    "text": {"dropout": 0.2},
}

# %%
# The first two data sets are digits. The table describes tumors. The texts are docstrings of scikit-learn, of
# classifiers, regressors, transformers and clusterers.
X, y = load_digits(return_X_y=True)
tumors = load_breast_cancer()
kinds = "classifier", "regressor", "transformer", "cluster"
documents = {
    estimator.__doc__.split("Parameters\n")[0]: kind for kind in kinds for _, estimator in all_estimators(kind)
}
data = {
    "wrong labels": (X / 16, y),
    "missing inputs": (X / 16, y),
    "small table": (StandardScaler().fit_transform(tumors.data), tumors.target),
    "text": (TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(documents), np.array([*documents.values()])),
}


# %%
# Half of the rows are the test set. Two fifths of the training labels are changed, or half of the test pixels are set
# to their mean.
def scores(name, params, seed):
    """Return the error in percent and the log loss on the test rows of a random split."""
    X, y = data[name]
    train, test = next(StratifiedShuffleSplit(1, test_size=0.5, random_state=seed).split(X, y))
    labels, rows, rng = y[train], X[test], np.random.RandomState(seed)
    if name == "wrong labels":
        is_wrong = rng.uniform(size=len(labels)) < 0.4
        labels = np.where(is_wrong, (labels + rng.randint(1, 10, len(labels))) % 10, labels)
    if name == "missing inputs":
        rows = np.where(rng.uniform(size=rows.shape) < 0.5, rows.mean(axis=0), rows)
    network = DropoutMLPClassifier(**plain | params).fit(X[train], labels)
    return 100 - 100 * network.score(rows, y[test]), log_loss(y[test], network.predict_proba(rows))


metrics = "error", "log loss"
changes = {}
print("error in %, and log loss: without dropout, with the recipe, difference")
print(f"{'':16}" + "".join(f"{metric:>10}{'recipe':>9}{'difference':>17}" for metric in metrics))
for name, recipe in recipes.items():
    without, with_recipe = (np.array([scores(name, params, seed) for seed in range(6)]) for params in ({}, recipe))
    difference = with_recipe - without
    changes[name] = 100 * difference / without.mean(axis=0)
    columns = zip(without.mean(axis=0), with_recipe.mean(axis=0), difference.mean(axis=0), sem(difference), strict=True)
    print(f"{name:16}" + "".join(f"{a:10.3f}{b:9.3f}{d:+9.3f} ± {e:.3f}" for a, b, d, e in columns))

# %%
# The changes in percent, with standard errors over the splits. Wrong labels make the predicted probabilities less
# certain: the log loss on correct test labels rises, although the error falls.
fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for i, metric in enumerate(metrics):
    mean, error = (f(np.array([change[:, i] for change in changes.values()]), axis=1) for f in (np.mean, sem))
    ax.errorbar(mean, np.arange(len(changes)) + 0.2 * i - 0.1, xerr=error, fmt="os"[i], capsize=3, label=metric)
ax.axvline(0, color="gray", linewidth=1)
ax.set_yticks(range(len(changes)), changes)
ax.invert_yaxis()
ax.set(xlabel="change in %, left of the line is better", title="Recipes with dropout, compared with no dropout")
ax.legend()
plt.show()

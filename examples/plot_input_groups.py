"""
===================================================
Drop the columns of a variable together
===================================================

Encoders turn one variable into many columns: a one-hot block, a basis of splines. Dropout on the input drops single
columns, and what is left of the variable gives it away. With ``input_groups``, one label per column, its columns are
dropped together, so that the network learns to do without the variable. For a raw one-hot block this changes nothing,
since all but one of its columns are zero anyway; for splines, embeddings, lag windows and channels it does. It pays
where whole variables will be missing, here in the diagnosis of breast cancer, and gains nothing where none is.
"""

# %%
# The labels
# ----------
# A ``ColumnTransformer`` names what it makes of column ``mean area``: ``mean area_sp_0``, ``mean area_sp_1``, and so
# on. The label of a column is the variable whose name it begins with. The encoder is fitted once for its names; within
# a search it is fitted again on each fold, and must then make the same columns: give ``OneHotEncoder`` its
# ``categories``. The labels are a parameter like any other, cloned and searched.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import KBinsDiscretizer, SplineTransformer

from skdropout import DropoutMLPClassifier
from skdropout.engine.dropout import DROPOUTS

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
errors = [c for c in X.columns if c.endswith("error")]
encoder = make_column_transformer(
    (KBinsDiscretizer(4, encode="onehot-dense", strategy="uniform"), errors),  # as if known in four classes only
    (SplineTransformer(n_knots=4), [c for c in X.columns if c not in errors]),
    verbose_feature_names_out=False,
)
columns = encoder.fit(X).get_feature_names_out()
labels = [max((c for c in X.columns if name.startswith(f"{c}_")), key=len) for name in columns]
groups = np.array([X.columns.get_loc(label) for label in labels])
print(f"{len(columns)} columns of {len(set(labels))} variables, for example {columns[0]!r} and {columns[-1]!r}")

# %%
# What does it change? At rate 0.3 a row may keep all, a part, or nothing of what a variable has in it.
encoded, rng, kept = encoder.transform(X), np.random.default_rng(0), {}
single = DROPOUTS["bernoulli"](0.3, float).forward(encoded, rng) != 0
whole = DROPOUTS["spatial"](0.3, float, groups).forward(encoded, rng) != 0
for block, numbers in {"splines": [0, 1, 2], "one-hot": [10, 11, 12]}.items():
    for way, mask in {"whole variables": whole, "single columns": single}.items():
        part = np.array(
            [mask[:, groups == g].sum(axis=1) / (encoded[:, groups == g] != 0).sum(axis=1) for g in numbers]
        )
        kept[f"{block}, {way}"] = [np.mean(part == 0), np.mean((part > 0) & (part < 1)), np.mean(part == 1)]
kept = pd.DataFrame(kept, index=["nothing", "a part", "all"]).T
print(kept.round(2))

# %%
# Does it pay?
# ------------
# Trained on whole rows, tested with a share of the variables missing: all columns of their blocks are zero, which is
# what ``OneHotEncoder(handle_unknown="ignore")`` makes of a category it does not know.
shares = [0.0, 0.25, 0.5, 0.75]


def losses(model, X, y):
    missing = np.random.RandomState(0).uniform(size=X.shape)[:, groups]
    encoded, mlp = model[0].transform(X), model[-1]
    return {str(s): log_loss(y, mlp.predict_proba(np.where(missing < s, 0, encoded))) for s in shares}


mlp = DropoutMLPClassifier(64, dropout=0.0, batch_size=32, learning_rate="cosine", learning_rate_init=0.005)
model = Pipeline([("encode", encoder), ("mlp", mlp.set_params(max_iter=40, dtype="float32", random_state=0))])
grid = [{"mlp__input_dropout": [0.0]}, {"mlp__input_dropout": [0.5], "mlp__input_groups": [None, labels]}]
splits = StratifiedShuffleSplit(6, test_size=0.5, random_state=0)
search = GridSearchCV(model, grid, scoring=losses, refit=False, cv=splits, n_jobs=2).fit(X, y)
table = np.array([[search.cv_results_[f"split{i}_test_{s}"] for s in shares] for i in range(6)])  # splits, shares, nets

names = ["no input dropout", "0.5, single columns", "0.5, whole variables"]
mean, error = table.mean(axis=0), table.std(axis=0, ddof=1) / np.sqrt(6)
cells = [[f"{m:.3f} ± {e:.3f}" for m, e in zip(*pair, strict=True)] for pair in zip(mean, error, strict=True)]
print(pd.DataFrame(cells, index=pd.Index(shares, name="missing"), columns=names))
gain = (table[:, :, 1] - table[:, :, 2])[:, 2]
print(
    f"gain of whole over single where half is missing, paired: {gain.mean():.3f} ± {gain.std(ddof=1) / np.sqrt(6):.3f}"
)

# %%
# Where nothing is missing both ways do a little harm. The more is missing, the better it is to have dropped it whole.
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
kept.plot.barh(stacked=True, ax=left, color=["white", "C7", "C0"], edgecolor="black", width=0.8, legend=False)
left.set(xlabel="share of cases", title="What dropout of 0.3 leaves of a variable")
fig.legend(loc="outside lower left", ncols=3)
for i, name in enumerate(names):
    right.errorbar(shares, mean[:, i], error[:, i], marker="o", capsize=3, label=name)
right.set(xlabel="share of the variables missing at prediction", ylabel="log loss", title="Breast cancer, six splits")
right.legend()
plt.show()

"""
===================================================================
Input dropout for encoded variables: drop all columns of a variable
===================================================================

Encoders turn one variable into many columns, such as a one-hot block or a spline basis. Input dropout drops single
columns, and the remaining columns still reveal the variable. With ``input_groups``, one label per column, all columns
of a variable are dropped together, so that the network learns to predict without that variable. This makes no
difference for a raw one-hot block, since all but one of its columns are zero anyway. It does make a difference for
splines, embeddings, lag windows and channels. It helps only if whole variables can be missing, here in the diagnosis of
breast cancer.
"""

# %%
# A ``ColumnTransformer`` names the columns encoded from ``mean area``: ``mean area_sp_0``, ``mean area_sp_1``, and so
# on. The label of a column is the variable whose name it starts with. In a search the encoder is refitted on each fold
# and must produce the same columns: set the ``categories`` of ``OneHotEncoder``.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import sem
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
others = X.columns.drop(errors)
encoder = make_column_transformer(
    (KBinsDiscretizer(4, encode="onehot-dense", strategy="uniform"), errors),  # as if only known in four classes
    (SplineTransformer(n_knots=4), others),
    verbose_feature_names_out=False,
)
columns = encoder.fit(X).get_feature_names_out()
labels = [max((c for c in X.columns if name.startswith(f"{c}_")), key=len) for name in columns]
groups = X.columns.get_indexer(labels)
print(f"{len(columns)} columns of {len(set(labels))} variables, for example {columns[0]!r} and {columns[-1]!r}")

# %%
# How often does dropout at rate 0.3 keep part of a variable, from which the network can infer it?
encoded = encoder.transform(X)
for way, together in {"single columns": np.arange(len(columns)), "whole variables": groups}.items():
    kept = DROPOUTS["spatial"](0.3, float, together).forward(encoded, np.random.default_rng(0)) != 0
    fraction = pd.DataFrame(kept.T).groupby(labels).sum() / pd.DataFrame(encoded.T != 0).groupby(labels).sum()
    partly = ((fraction > 0) & (fraction < 1)).mean(axis=1)
    print(f"{way}: {partly[others].mean():.0%} of splines, {partly[errors].mean():.0%} of one-hot blocks partly kept")

# %%
# Train on complete rows, and test with a fraction of the variables missing: all columns of their blocks are zero, as
# ``OneHotEncoder(handle_unknown="ignore")`` encodes an unknown category.
fractions = pd.Index([0.0, 0.25, 0.5, 0.75], name="fraction of variables missing")


def losses(model, X, y):
    missing = np.random.RandomState(0).uniform(size=X.shape)[:, groups]
    encoded, mlp = model[0].transform(X), model[-1]
    return {str(s): log_loss(y, mlp.predict_proba(np.where(missing < s, 0, encoded))) for s in fractions}


mlp = DropoutMLPClassifier(hidden_layer_sizes=64, dropout=0.0, batch_size=32, dtype="float32", random_state=0)
mlp.set_params(learning_rate="cosine", learning_rate_init=0.005, max_iter=40)
model = Pipeline([("encode", encoder), ("mlp", mlp)])
grid = [{"mlp__input_dropout": [0.0]}, {"mlp__input_dropout": [0.5], "mlp__input_groups": [None, labels]}]
splits = StratifiedShuffleSplit(6, test_size=0.5, random_state=0)
search = GridSearchCV(model, grid, scoring=losses, refit=False, cv=splits, n_jobs=2).fit(X, y)
table = np.array([[search.cv_results_[f"split{i}_test_{f}"] for f in fractions] for i in range(6)])  # [split, f, net]
names = ["no input dropout", "single columns", "whole variables"]
mean, error = (pd.DataFrame(of(table, axis=0), fractions, names) for of in (np.mean, sem))
print(mean.map("{:.3f} ± ".format) + error.map("{:.3f}".format))
gain = table[:, 2, 1] - table[:, 2, 2]
print(f"paired gain of whole variables over single columns, half missing: {gain.mean():.3f} ± {sem(gain):.3f}")

# %%
# If nothing is missing, both are slightly worse than no input dropout. If half of the variables or more are missing,
# dropping whole variables is best.
ax = mean.plot(yerr=error, marker="o", capsize=3, figsize=(7, 4.2), ylabel="log loss")
ax.set_title("Breast cancer: input dropout of 0.5")
plt.show()

"""
=====================================================
Dropout compared with weight decay and early stopping
=====================================================

This example compares three ways to reduce overfitting: dropout, weight decay (``alpha``, an L2 penalty), and early
stopping at the lowest validation loss. Each is used alone and in combination on two small data sets. On 300 digits
there is little to gain. Dropout and weight decay are within two standard errors of no regularization, and early
stopping is worse, because it trains on 10% fewer rows. On breast cancer each of the three helps, weight decay most, and
all three together are no better than weight decay alone. Try each of them, and tune the one that helps.
"""

# %%
# The strengths were selected from a few values on other random splits of the same data. Use a search for your data.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import sem
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skdropout import DropoutMLPClassifier

warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # intended
mlp = DropoutMLPClassifier(hidden_layer_sizes=(64, 64), batch_size=32, scoring="loss", dtype="float32", random_state=0)
mlp.set_params(max_iter=100, n_iter_no_change=100)
problems = {  # data, scaler, dropout, weight decay
    "300 digits": (load_digits, MinMaxScaler(), 0.2, 0.1),
    "300 rows of breast cancer": (load_breast_cancer, StandardScaler(), 0.5, 1.0),
}

# %%
# All eight combinations on the same eight splits. With ``early_stopping`` a tenth of the training rows is the
# validation set, and the weights of the epoch with the lowest validation loss are restored.
names = ["no regularization", "early stopping", "dropout", "dropout + stopping"]  # in the order of a grid
names += ["weight decay", "decay + stopping", "decay + dropout", "all three"]
losses = {}
for problem, (load, scaler, dropout, alpha) in problems.items():
    model = Pipeline([("scale", scaler), ("mlp", mlp)])
    grid = {"mlp__alpha": [0.0, alpha], "mlp__dropout": [0.0, dropout], "mlp__early_stopping": [False, True]}
    splits = StratifiedShuffleSplit(8, train_size=300, random_state=0)
    search = GridSearchCV(model, grid, scoring="neg_log_loss", refit=False, cv=splits, n_jobs=2)
    results = search.fit(*load(return_X_y=True)).cv_results_
    losses[problem] = -np.array([results[f"split{i}_test_score"] for i in range(8)])  # splits, combinations

# %%
# Log loss on the test rows, and its difference to no regularization on the same splits; ± is the standard error of the
# mean.
for problem, loss in losses.items():
    print(f"{problem:26}{'log loss':>16}{'difference':>18}")
    for i, name in enumerate(names):
        difference = loss[:, i] - loss[:, 0]
        print(f"  {name:24}{loss[:, i].mean():8.3f} ± {sem(loss[:, i]):.3f}", end="")
        print(f"{difference.mean():10.3f} ± {sem(difference):.3f}" if i else "")

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 4), sharey=True, layout="constrained")
for ax, (problem, loss) in zip(axes, losses.items(), strict=True):
    difference = loss[:, 1:] - loss[:, :1]
    color = ["C0" if "dropout" in name or name == "all three" else "0.4" for name in names[1:]]
    ax.barh(names[1:], difference.mean(axis=0), xerr=sem(difference), color=color, capsize=3)
    ax.axvline(0, color="k", linewidth=1)
    ax.set(title=problem, xlabel="change of the log loss")
    ax.locator_params(axis="x", nbins=4)
axes[0].invert_yaxis()
fig.suptitle("Compared with no regularization: left of the line is better, blue has dropout", fontsize="medium")
plt.show()

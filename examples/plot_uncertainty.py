"""
=================================================
Error bars by Monte-Carlo dropout, and their test
=================================================

A network trained with dropout can predict with the noise left on: its passes agree where there was data to learn from,
and disagree where there was none. How far to trust that is a question of its own; rows held out answer it.
"""

# %%
# A curve with a gap in the data. Each thin line is one pass, one thinned network; in the gap, where few units decide,
# some stray far. Their spread is the doubt about the function, to which ``predict(X, return_std=True)`` adds the noise
# of the observations. It grows in the gap and away from the data; far outside the error grows faster: the spread is a
# sign of trouble there, not a bound.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdropout import CoverageDisplay, DropoutMLPClassifier, DropoutMLPRegressor, ReliabilityDisplay

warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # the epochs are meant
rng = np.random.RandomState(0)
x = np.concatenate([rng.uniform(-3, 0, 80), rng.uniform(1.8, 3.4, 60)])
y = np.sin(1.5 * x) + rng.normal(scale=0.1, size=len(x))
training = {"learning_rate": "cosine", "learning_rate_init": 0.005, "batch_size": 40, "max_iter": 500}
reg = DropoutMLPRegressor(
    "squared_error", (100, 100), "silu", dropout=0.1, dropout_schedule="constant", random_state=0, **training
).fit(x[:, np.newaxis], y)

grid = np.linspace(-4.5, 5, 381)
passes = {"n_samples": 300, "mask_sharing": "batch"}  # each pass one function, so that the bands are smooth
mean, total = reg.predict(grid[:, np.newaxis], return_std=True, **passes)
functions = reg.sample_y(grid[:, np.newaxis], **passes)
spread = functions.std(axis=1)
seen, gap = ((grid > -3) & (grid < 0)) | ((grid > 1.8) & (grid < 3.4)), (grid > 0.4) & (grid < 1.4)
for name, where in {"among the data": seen, "in the gap": gap, "outside": (grid < -3.5) | (grid > 3.9)}.items():
    print(f"spread of the passes {name}: {spread[where].mean():.2f}")

fig, ax = plt.subplots(figsize=(7, 5), layout="constrained")
ax.fill_between(grid, mean - 2 * total, mean + 2 * total, color="C0", alpha=0.15, label="±2σ, passes and noise of y")
ax.fill_between(grid, mean - 2 * spread, mean + 2 * spread, color="C0", alpha=0.35, label="±2σ, passes")
ax.plot(grid, functions[:, :60], color="C1", linewidth=0.6, alpha=0.5, label=["60 of the passes"] + [None] * 59)
ax.plot(grid, mean, color="C0", linewidth=2, label="mean of the passes")
ax.plot(grid, np.sin(1.5 * grid), "k--", linewidth=1, label="truth")
ax.plot(x, y, "k.", markersize=4, label="data")
ax.set(xlabel="x", ylabel="y", title="The passes disagree where there is no data")
fig.legend(loc="outside lower center", ncols=3)
plt.show()

# %%
# Intervals: how many targets held out are inside? The spread of the passes alone says nothing of the noise of the
# targets, and its intervals are too narrow by far.
X, y = load_diabetes(return_X_y=True)
y = (y - 150) / 75  # of about unit size
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0)
reg = DropoutMLPRegressor(
    hidden_layer_sizes=50, dropout=0.2, dropout_schedule="constant", early_stopping=True, random_state=0
)
model = make_pipeline(StandardScaler(), reg).fit(X_train, y_train)
disp = CoverageDisplay.from_estimator(model, X_test, y_test, name="passes and noise of y")
print(f"diabetes: {disp.coverage[-1]:.0%} of the targets are in their 95 % intervals")
mean, total = model.predict(X_test, return_std=True)
spread = np.sqrt(total**2 - reg.noise_variance_)
CoverageDisplay.from_predictions(y_test, mean, spread, name="passes alone", ax=disp.ax_)
disp.ax_.set_title("Diabetes: predictive intervals")
plt.show()

# %%
# Probabilities: digits from 60 images. Without noise the network is too sure of itself; the mean of the passes is less
# so. (It depends on the rate: at 0.5 the mean is not sure enough.)
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, train_size=60, stratify=y, random_state=0)
clf = DropoutMLPClassifier(
    (128, 128), dropout=0.3, batch_size=20, max_iter=200, n_iter_no_change=200, random_state=0
).fit(X_train, y_train)
fig, ax = plt.subplots()
for n_samples, name in {None: "noise-free", 100: "mean of 100 passes"}.items():
    disp = ReliabilityDisplay.from_estimator(clf, X_test, y_test, n_samples=n_samples, n_bins=5, name=name, ax=ax)
    print(f"digits, expected calibration error, {name}: {disp.calibration_error:.3f}")
ax.set_title("Digits from 60 images: probabilities")
plt.show()

# %%
# Where the passes disagree, the mutual information of label and weights is large: at errors, and on images that are
# no digits at all, here with their pixels shuffled.
uncertainty = clf.predict_uncertainty(X_test)
information = uncertainty.mutual_information
wrong = uncertainty.proba.argmax(axis=1) != y_test
shuffled = clf.predict_uncertainty(X_test[:, rng.permutation(64)]).mutual_information
for name, values in {"right": information[~wrong], "wrong": information[wrong], "no digits": shuffled}.items():
    print(f"digits, mutual information, {name}: {values.mean():.2f} nats")
print(f"digits, errors found by mutual information: area under the ROC curve {roc_auc_score(wrong, information):.2f}")

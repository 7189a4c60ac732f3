"""
=====================================================
Monte Carlo dropout: where is a prediction uncertain?
=====================================================

A network trained with dropout can also predict with dropout (Gal and Ghahramani, 2016). Each Monte Carlo pass uses a
different thinned network. The passes agree near the training data and disagree elsewhere. In regression their spread is
part of the standard deviation; in classification it gives the mutual information of label and weights. The spread is a
warning sign, not a bound on the error: outside the range of the data, the true curve below is far outside the band.
Check the calibration on held-out data (``plot_calibration.py``).
"""

# %%
# A curve with a gap in the data
# ------------------------------
# Each thin line is one pass. In the gap, where the output depends on few units, some passes deviate strongly.
# ``predict(X, return_std=True)`` adds the observation noise to their spread.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

rng = np.random.RandomState(0)
x = np.concatenate([rng.uniform(-3, 0, 80), rng.uniform(1.8, 3.4, 60)])
y = np.sin(1.5 * x) + rng.normal(scale=0.1, size=len(x))
training = {"learning_rate": "cosine", "learning_rate_init": 0.005, "batch_size": 40, "max_iter": 500}
reg = DropoutMLPRegressor(
    hidden_layer_sizes=(100, 100),
    activation="silu",
    dropout=0.1,
    dropout_schedule="constant",
    random_state=0,
    **training,
).fit(x[:, np.newaxis], y)

grid = np.linspace(-4.5, 5, 381)
passes = {"n_samples": 300, "mask_sharing": "batch"}  # one mask for all rows of a pass, so that the bands are smooth
mean, total = reg.predict(grid[:, np.newaxis], return_std=True, **passes)
functions = reg.sample_y(grid[:, np.newaxis], **passes)
spread = functions.std(axis=1)
seen, gap = ((grid > -3) & (grid < 0)) | ((grid > 1.8) & (grid < 3.4)), (grid > 0.4) & (grid < 1.4)
for name, where in {"among the data": seen, "in the gap": gap, "outside": (grid < -3.5) | (grid > 3.9)}.items():
    print(f"spread of the passes {name}: {spread[where].mean():.2f}")

fig, ax = plt.subplots(figsize=(7, 5), layout="constrained")
ax.fill_between(grid, mean - 2 * total, mean + 2 * total, color="C0", alpha=0.15, label="±2σ, passes and noise")
ax.fill_between(grid, mean - 2 * spread, mean + 2 * spread, color="C0", alpha=0.35, label="±2σ, passes only")
ax.plot(grid, functions[:, :60], color="C1", linewidth=0.6, alpha=0.5, label=["60 of the passes"] + [None] * 59)
ax.plot(grid, mean, color="C0", linewidth=2, label="mean of the passes")
ax.plot(grid, np.sin(1.5 * grid), "k--", linewidth=1, label="true function")
ax.plot(x, y, "k.", markersize=4, label="data")
ax.set(xlabel="x", ylabel="y", title="Monte Carlo passes disagree in the gap of the data")
fig.legend(loc="outside lower center", ncols=3)
plt.show()

# %%
# Misclassified digits and shuffled images
# ----------------------------------------
# The network is trained on 60 images. The passes disagree on misclassified images, and even more on images with
# shuffled pixels, which are not digits.
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, train_size=60, stratify=y, random_state=0)
clf = DropoutMLPClassifier(
    hidden_layer_sizes=(128, 128), dropout=0.3, batch_size=20, learning_rate="cosine", max_iter=200, random_state=0
).fit(X_train, y_train)
uncertainty = clf.predict_uncertainty(X_test)
wrong = uncertainty.proba.argmax(axis=1) != y_test
groups = {
    "classified correctly": uncertainty.mutual_information[~wrong],
    "misclassified": uncertainty.mutual_information[wrong],
    "shuffled pixels": clf.predict_uncertainty(X_test[:, rng.permutation(64)]).mutual_information,
}
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, values in groups.items():
    error = values.std(ddof=1) / np.sqrt(len(values))
    print(f"{name:20} {len(values):4} images, mutual information {values.mean():.2f} ± {error:.2f} nats")
    ax.hist(values, np.arange(0, 0.7, 0.04), density=True, histtype="step", linewidth=2, label=name)
ax.set(xlabel="mutual information of label and weights, nats", ylabel="density")
ax.set_title("The passes disagree on misclassified and on shuffled images")
ax.legend()
plt.show()

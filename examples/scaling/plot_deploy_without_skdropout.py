"""
=====================================================
Deploy without skdropout: NumPy or scikit-learn alone
=====================================================

A trained network can predict without skdropout. At prediction, dropout is inactive, and batch normalization is folded
into the weights. A fitted network is therefore a list of matrices, a list of vectors and the name of an activation.
With scikit-learn, ``to_sklearn()`` converts it to an ``MLPClassifier``. Without scikit-learn, one ``.npz`` file and ten
lines of NumPy give the same predictions up to rounding, in a process that starts in a fraction of the time.
"""

# %%
# A pipeline with a scaler, batch normalization and dropout.
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdropout import DropoutMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X.astype(np.float32), y, stratify=y, random_state=0)
mlp = DropoutMLPClassifier(hidden_layer_sizes=(128, 64), dropout=(0.1, 0.3), batch_norm="before_activation")
mlp.set_params(learning_rate="cosine", max_iter=40, random_state=0)
model = make_pipeline(StandardScaler(), mlp).fit(X_train, y_train)
print(f"test accuracy {model.score(X_test, y_test):.3f}, weights of {mlp.coefs_[0].dtype}")

# %%
# Save the weights, which include batch normalization, the two vectors of the scaler, and the classes.
folder, scaler = Path(tempfile.mkdtemp()), model[0]
layers = {f"W{i}": W for i, W in enumerate(mlp.coefs_)} | {f"b{i}": b for i, b in enumerate(mlp.intercepts_)}
np.savez(folder / "network.npz", mean=scaler.mean_, scale=scaler.scale_, classes=mlp.classes_, **layers)
np.save(folder / "X.npy", X_test)

# %%
# This program needs NumPy alone. Its first lines block the other packages, so that their import would fail.
program = """
import sys
sys.modules.update(dict.fromkeys(["skdropout", "sklearn", "scipy", "joblib"]))  # importing one is an ImportError

import numpy as np

net = np.load("network.npz")
x = ((np.load("X.npy") - net["mean"]) / net["scale"]).astype(np.float32)
n_layers = sum(name.startswith("W") for name in net)
for i in range(n_layers):
    x = x @ net[f"W{i}"] + net[f"b{i}"]
    if i < n_layers - 1:
        x = np.maximum(x, 0)  # relu
x = np.exp(x - x.max(axis=1, keepdims=True))  # softmax
np.save("proba.npy", x / x.sum(axis=1, keepdims=True))
np.save("labels.npy", net["classes"][x.argmax(axis=1)])
"""
for name, code in {"NumPy, start and predictions": program, "import of skdropout only": "import skdropout"}.items():
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    print(f"{name}: {perf_counter() - start:.2f} s")

# %%
# Compare the probabilities of the other process with those of the pipeline. The unit is the last binary digit of
# float32.
proba = model.predict_proba(X_test)
error = np.abs(np.load(folder / "proba.npy") - proba)
units = error / proba / np.finfo(np.float32).eps
print(f"largest difference of {proba.size} probabilities: {error.max():.1e}")
print(f"median difference: {np.median(units):.1f} units")
print(f"labels that differ: {np.sum(np.load(folder / 'labels.npy') != model.predict(X_test))} of {len(X_test)}")

fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
ax.hist(units.ravel(), np.arange(0, 20, 0.5))
ax.set(xlabel="difference, in units of the last binary digit of float32", ylabel="number of probabilities")
ax.set_title("NumPy and skdropout agree up to rounding")
plt.show()

"""
================================
Change the import, keep the code
================================

``DropoutMLPClassifier`` is scikit-learn's ``MLPClassifier`` with dropout: the same parameters at the same positions,
the same attributes and methods, in the same pipelines. With ``dropout=0`` it is scikit-learn's network, weight for
weight. With a rate above 0 hidden units are dropped at random in training, and only there: prediction uses the whole
network. Here both learn to classify tumors as benign or malignant from half of the breast cancer data, and overfit.
"""

# %%
# Existing code: a scaler, and scikit-learn's network.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import sem
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedShuffleSplit, cross_validate, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdropout import DropoutMLPClassifier, TrainingCurveDisplay

warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # intended
X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=0.5, stratify=y, random_state=0)
training = {"batch_size": 32, "max_iter": 100, "n_iter_no_change": 100, "random_state": 0}
theirs = make_pipeline(StandardScaler(), MLPClassifier((64, 64), **training)).fit(X_train, y_train)

# %%
# With the import changed and ``dropout=0``, the probabilities are the same up to rounding.
ours = make_pipeline(StandardScaler(), DropoutMLPClassifier((64, 64), dropout=0.0, **training)).fit(X_train, y_train)
difference = np.abs(ours.predict_proba(X_test) - theirs.predict_proba(X_test)).max()
print(f"greatest difference between the probabilities of {len(X_test)} tumours: {difference:.0e}")

# %%
# Now drop half of the hidden units, on eight random splits; ± is the standard error of the mean. The accuracy is the
# same with and without dropout; the log loss, which measures the probabilities, is lower with dropout.
splits = StratifiedShuffleSplit(8, train_size=0.5, random_state=0)
metrics = {"accuracy": "accuracy", "log loss": "neg_log_loss"}
without, half = (
    cross_validate(ours.set_params(dropoutmlpclassifier__dropout=rate), X, y, scoring=metrics, cv=splits, n_jobs=2)
    for rate in (0.0, 0.5)
)
print(f"{'':10}{'dropout 0':>18}{'dropout 0.5':>18}{'difference':>18}")
for name in metrics:
    a, b = np.abs(without[f"test_{name}"]), np.abs(half[f"test_{name}"])  # scorers negate losses
    print(f"{name:10}" + "".join(f"{v.mean():9.3f} ± {sem(v):.3f}" for v in (a, b, b - a)))

# %%
# The loss curves show why: without dropout the training loss falls to zero while the validation loss rises again after
# about twenty epochs. The validation set is passed to ``fit``, scaled like the training rows.
scaler = StandardScaler().fit(X_train)
fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
for rate, color in ((0.0, "C1"), (0.5, "C0")):
    mlp = DropoutMLPClassifier((64, 64), dropout=rate, **training)
    mlp.fit(scaler.transform(X_train), y_train, X_val=scaler.transform(X_test), y_val=y_test)
    TrainingCurveDisplay.from_estimator(mlp, name=f"dropout {rate:g}", ax=ax, color=color)
ax.set(ylabel="log loss", ylim=(0, 0.3), title="Breast cancer: losses by epoch")
plt.show()

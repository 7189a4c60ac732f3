"""
==================================================
Quick start: dropout for an existing MLPClassifier
==================================================

Change the import and keep the code: ``DropoutMLPClassifier`` is scikit-learn's ``MLPClassifier`` with dropout. It has
the same parameters, attributes and methods, and works in the same pipelines. With ``dropout=0`` the weights are
scikit-learn's. With a rate above 0, hidden units are dropped at random during training; prediction uses the whole
network. The example classifies tumors with networks that overfit half of the breast cancer data. Dropout lowers the log
loss; the accuracy stays the same.
"""

# %%
# The existing code: a scaler and scikit-learn's network.
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
training = {"hidden_layer_sizes": (64, 64), "batch_size": 32, "random_state": 0}
training |= {"max_iter": 100, "n_iter_no_change": 100}
theirs = make_pipeline(StandardScaler(), MLPClassifier(**training)).fit(X_train, y_train)

# %%
# With the import changed and ``dropout=0``, the probabilities are the same up to rounding.
ours = make_pipeline(StandardScaler(), DropoutMLPClassifier(dropout=0.0, **training)).fit(X_train, y_train)
difference = np.abs(ours.predict_proba(X_test) - theirs.predict_proba(X_test)).max()
print(f"largest difference between the probabilities of {len(X_test)} tumors: {difference:.0e}")

# %%
# Drop half of the hidden units, on eight random splits; ± is the standard error of the mean. The accuracy is the same
# with and without dropout. The log loss, which measures the probabilities, is lower with dropout.
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
# The loss curves show why. Without dropout the training loss falls to zero, and the validation loss rises again after
# about twenty epochs. The validation set is passed to ``fit``, scaled like the training rows.
scaler = StandardScaler().fit(X_train)
fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
for rate, color in ((0.0, "C1"), (0.5, "C0")):
    mlp = DropoutMLPClassifier(dropout=rate, **training)
    mlp.fit(scaler.transform(X_train), y_train, X_val=scaler.transform(X_test), y_val=y_test)
    TrainingCurveDisplay.from_estimator(mlp, name=f"dropout {rate:g}", ax=ax, color=color)
ax.set(ylabel="log loss", ylim=(0, 0.3), title="Breast cancer: dropout reduces overfitting")
plt.show()

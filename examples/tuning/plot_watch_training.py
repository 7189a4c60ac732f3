"""
=================================================
Monitor training with callbacks and diagnostics
=================================================

Three tools show what happens during training. ``verbose=1`` prints one line per epoch. Callbacks, which need
scikit-learn 1.9, can compute scores, stop training or save a checkpoint after each epoch. ``diagnose`` describes the
problems of a network that does not learn.
"""

# %%
# One line per epoch: training loss, with noise; validation loss and score, without noise; learning rate; dropout rate
# if it has a schedule; seconds.
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skdropout import Checkpoint, DropoutMLPClassifier, EarlyStopping, diagnose

warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")
X, y = load_breast_cancer(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
scaler = StandardScaler().fit(X_train)
mlp = DropoutMLPClassifier(hidden_layer_sizes=(50, 50), dropout=0.5, dropout_schedule="annealed", random_state=0)
mlp.set_params(max_iter=5, verbose=1).fit(
    scaler.transform(X_train), y_train, X_val=scaler.transform(X_val), y_val=y_val
)

# %%
# Callbacks are set on the estimator. scikit-learn's ``ScoringMonitor`` scores the training rows after each epoch.
# ``EarlyStopping`` scores a validation set, stops training and restores the best weights. ``Checkpoint`` writes a file
# from which an interrupted ``fit`` resumes, and which can be loaded at any time. scikit-learn's ``ProgressBar`` is set
# on the outermost estimator, such as a search, and shows every epoch inside.
monitor = ScoringMonitor(scoring="neg_log_loss")
stopping = EarlyStopping(scaler.transform(X_val), y_val, scoring="neg_log_loss", n_iter_no_change=20)
mlp.set_params(max_iter=500, verbose=False, dropout_schedule="constant", batch_size=32)
with TemporaryDirectory() as folder:
    checkpoint = Checkpoint(Path(folder) / "mlp.ckpt", every=10)
    mlp.set_callbacks(monitor, stopping, checkpoint).fit(scaler.transform(X_train), y_train)
    saved = Checkpoint.load(checkpoint.path)
print(f"stopped after {mlp.n_iter_} epochs, best after {stopping.best_epoch_}")
difference = np.abs(saved.predict_proba(scaler.transform(X_val)) - mlp.predict_proba(scaler.transform(X_val))).max()
print(f"largest difference between the probabilities of the file and of the network: {difference}")

# %%
# The table of the monitor has one row per epoch. Both curves show the network without dropout noise.
log = monitor.get_logs().data
train = [-row["neg_log_loss"] for row in log if row["task_name"] == "epoch"]
fig, ax = plt.subplots(layout="constrained")
epochs = np.arange(1, mlp.n_iter_ + 1)
ax.plot(epochs, train, label="training set (ScoringMonitor)")
ax.plot(epochs, -np.array(stopping.scores_), label="validation set (EarlyStopping)")
ax.axvline(stopping.best_epoch_, color="k", linestyle=":", label=f"best epoch, {stopping.best_epoch_}")
ax.set(xlabel="epoch", ylabel="log loss", ylim=0, title="Breast cancer, scaled inputs, rate 0.5")
ax.legend()

# %%
# Without the scaler the validation loss is higher. ``diagnose`` trains a copy for one epoch and measures each step.
mlp.set_callbacks().set_params(max_iter=50).fit(X_train, y_train)
print(f"validation log loss {log_loss(y_val, mlp.predict_proba(X_val)):.2f}")
print(diagnose(mlp, X_train, y_train))

# %%
# With the scaler.
mlp.fit(scaler.transform(X_train), y_train)
print(f"validation log loss {log_loss(y_val, mlp.predict_proba(scaler.transform(X_val))):.2f}")
print(diagnose(mlp, scaler.transform(X_train), y_train))
plt.show()

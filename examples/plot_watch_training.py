"""
==================================
Watch a training, and look inside
==================================

What happens in there? One line an epoch by ``verbose=1``; the callbacks of scikit-learn 1.9, which every epoch is
reported to, to score, to stop and to save; and ``diagnose``, which says in words what is wrong with a network that
does not learn.
"""

# %%
# A line an epoch: loss of the training, with its noise; loss and score of the rows held out, without; learning rate;
# the dropout rate where a schedule moves it; seconds.
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
mlp = DropoutMLPClassifier((50, 50), dropout=0.5, dropout_schedule="annealed", random_state=0)
mlp.set_params(max_iter=5, verbose=1).fit(
    scaler.transform(X_train), y_train, X_val=scaler.transform(X_val), y_val=y_val
)

# %%
# Callbacks are set on the estimator. ``ScoringMonitor``, scikit-learn's, scores the training rows after each epoch;
# ``EarlyStopping`` scores rows of ours, ends the training and puts the best weights back; ``Checkpoint`` writes a file
# that ``fit`` would go on from, had it been killed, and that can be loaded at any time. ``ProgressBar``, scikit-learn's
# too, would be set on the outermost estimator, a search for example, and show every epoch inside.
monitor = ScoringMonitor(scoring="neg_log_loss")
stopping = EarlyStopping(scaler.transform(X_val), y_val, scoring="neg_log_loss", n_iter_no_change=20)
mlp.set_params(max_iter=500, verbose=False, dropout_schedule="constant", batch_size=32)
with TemporaryDirectory() as folder:
    checkpoint = Checkpoint(Path(folder) / "mlp.ckpt", every=10)
    mlp.set_callbacks(monitor, stopping, checkpoint).fit(scaler.transform(X_train), y_train)
    saved = Checkpoint.load(checkpoint.path)
print(f"stopped after {mlp.n_iter_} epochs, best after {stopping.best_epoch_}")
same = (saved.predict_proba(scaler.transform(X_val)) == mlp.predict_proba(scaler.transform(X_val))).all()
print(f"the file predicts the same: {same}")

# %%
# The monitor's table has one row an epoch. Both curves are of the network without noise.
log = monitor.get_logs().data
train = [-row["neg_log_loss"] for row in log if row["task_name"] == "epoch"]
fig, ax = plt.subplots(layout="constrained")
epochs = np.arange(1, mlp.n_iter_ + 1)
ax.plot(epochs, train, label="training rows (ScoringMonitor)")
ax.plot(epochs, -np.array(stopping.scores_), label="held-out rows (EarlyStopping)")
ax.axvline(stopping.best_epoch_, color="k", linestyle=":", label=f"best epoch, {stopping.best_epoch_}")
ax.set(xlabel="epoch", ylabel="log loss", ylim=0, title="Breast cancer, scaled inputs, rate 0.5")
ax.legend()

# %%
# The same without the scaler learns worse. ``diagnose`` trains a copy for one more epoch and measures every step.
mlp.set_callbacks().set_params(max_iter=50).fit(X_train, y_train)
print(f"log loss of the held-out rows {log_loss(y_val, mlp.predict_proba(X_val)):.2f}")
print(diagnose(mlp, X_train, y_train))

# %%
# With the scaler.
mlp.fit(scaler.transform(X_train), y_train)
print(f"log loss of the held-out rows {log_loss(y_val, mlp.predict_proba(scaler.transform(X_val))):.2f}")
print(diagnose(mlp, scaler.transform(X_train), y_train))
plt.show()

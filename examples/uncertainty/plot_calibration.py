"""
=====================================================
Calibration of predictive intervals and probabilities
=====================================================

Predicted standard deviations and probabilities can be checked on held-out data. ``CoverageDisplay`` shows the fraction
of targets inside the predictive intervals, and ``ReliabilityDisplay`` shows how often predictions of a given confidence
are correct. A calibrated model lies on the diagonal. ``predict_interval`` computes the width of its intervals from
held-out rows. Their coverage is therefore right for any network, up to sampling variation, which is large with few
rows.

Two mistakes are common:

* The spread of Monte Carlo passes without the observation noise is not a predictive interval.
* The mean of the passes is not always better calibrated than the noise-free prediction. It depends on the rate and on
  the training.
"""

# %%
# Intervals
# ---------
# The fraction of held-out targets inside three kinds of intervals. The coverage of µ ± z σ, with z from the normal
# distribution, is close to the diagonal. The z of ``predict_interval`` are quantiles of only 27 residuals of the
# validation set, and at low levels its intervals are too wide here. The spread of the passes does not include the
# observation noise, and is far too narrow.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdropout import CoverageDisplay, DropoutMLPClassifier, DropoutMLPRegressor, ReliabilityDisplay

warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # intended
X, y = load_diabetes(return_X_y=True)
y = (y - 150) / 75  # about unit scale
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0)
reg = DropoutMLPRegressor(
    hidden_layer_sizes=50, dropout=0.2, dropout_schedule="constant", early_stopping=True, random_state=0
)
model = make_pipeline(StandardScaler(), reg).fit(X_train, y_train)
fig, ax = plt.subplots(figsize=(6, 6), layout="constrained")
disp = CoverageDisplay.from_estimator(model, X_test, y_test, name="passes and observation noise", ax=ax)
print(f"diabetes: {disp.coverage[-1]:.0%} of the targets are inside their 95 % intervals,")
conformal = CoverageDisplay.from_estimator(model, X_test, y_test, intervals="conformal", name="predict_interval", ax=ax)
print(f"{conformal.coverage[-1]:.0%} inside those of predict_interval,")
parts = reg.predict_uncertainty(model[:-1].transform(X_test))
spread = np.sqrt(parts.epistemic_variance)
alone = CoverageDisplay.from_predictions(y_test, parts.mean, spread, name="passes only", ax=ax)
print(f"and {alone.coverage[-1]:.0%} inside those of the passes only")
ax.set_title("Diabetes: coverage of predictive intervals")
plt.show()

# %%
# Probabilities
# -------------
# A network trained on 60 digits. After long training at a constant learning rate it is overconfident, and the mean of
# the passes is less so. With ``learning_rate="cosine"`` the result is the opposite (calibration error 0.01 without
# noise, 0.07 with it): the noise-free network is then well calibrated, and the mean of the passes is underconfident.
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, train_size=60, stratify=y, random_state=0)
clf = DropoutMLPClassifier(
    hidden_layer_sizes=(128, 128), dropout=0.3, batch_size=20, max_iter=200, n_iter_no_change=np.inf, random_state=0
).fit(X_train, y_train)
fig, ax = plt.subplots(figsize=(6, 6), layout="constrained")
for n_samples, name in {None: "noise-free", 100: "mean of 100 passes"}.items():
    disp = ReliabilityDisplay.from_estimator(clf, X_test, y_test, n_samples=n_samples, n_bins=5, name=name, ax=ax)
    print(f"digits, expected calibration error, {name}: {disp.calibration_error:.3f}")
ax.set_title("Digits: calibration of probabilities")
plt.show()

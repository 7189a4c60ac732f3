"""
==============================================
Are the error bars right? Calibration
==============================================

Standard deviations and probabilities are claims, and rows held out test them. ``CoverageDisplay`` draws how many
targets lie inside the predictive intervals, ``ReliabilityDisplay`` how often predictions of a given confidence are
right; a calibrated model is on the diagonal. Two things are easily got wrong: the spread of the passes of Monte-Carlo
dropout without the noise of the observations is no predictive interval, and the mean of the passes need not be better
calibrated than the noise-free prediction: it depends on the rate and on how the network was trained.
"""

# %%
# Intervals
# ---------
# How many targets held out are inside? The spread of the passes says nothing of the noise of the targets, and its
# intervals are too narrow by far.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdropout import CoverageDisplay, DropoutMLPClassifier, DropoutMLPRegressor, ReliabilityDisplay

warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # the epochs are meant
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
alone = CoverageDisplay.from_predictions(y_test, mean, spread, name="passes alone", ax=disp.ax_)
print(f"and {alone.coverage[-1]:.0%} in those of the passes alone")
disp.ax_.set_title("Diabetes: predictive intervals")
plt.show()

# %%
# Probabilities
# -------------
# Digits from 60 images. Trained for long at a constant learning rate the network is too sure of itself, and the mean of
# the passes less so. With ``learning_rate="cosine"`` it is the other way round (0.01 without noise, 0.07 with it): the
# noise-free network is not too sure then, and the mean of the passes not sure enough.
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, train_size=60, stratify=y, random_state=0)
clf = DropoutMLPClassifier(
    (128, 128), dropout=0.3, batch_size=20, max_iter=200, n_iter_no_change=np.inf, random_state=0
).fit(X_train, y_train)
fig, ax = plt.subplots()
for n_samples, name in {None: "noise-free", 100: "mean of 100 passes"}.items():
    disp = ReliabilityDisplay.from_estimator(clf, X_test, y_test, n_samples=n_samples, n_bins=5, name=name, ax=ax)
    print(f"digits, expected calibration error, {name}: {disp.calibration_error:.3f}")
ax.set_title("Digits from 60 images: probabilities")
plt.show()

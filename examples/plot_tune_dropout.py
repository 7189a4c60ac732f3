"""
===========================================
Tune the dropout rate by cross-validation
===========================================

The dropout rate is a parameter like any other: tune it with ``GridSearchCV``, as one rate for all hidden layers or as a
tuple with one rate per layer. Here a two-layer network learns scikit-learn's handwritten digits from 400 images, few
enough to overfit. Pass a file name to save the figure: ``python plot_tune_dropout.py tune_dropout.png``.
"""

# %%
# A pipeline with a scaler, 400 images for tuning, and the others for testing.
import sys
import warnings
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skdropout import DropoutMLPClassifier, DropoutRateDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=400, stratify=y, random_state=0)
mlp = DropoutMLPClassifier(
    (128, 128), batch_size=32, max_iter=100, n_iter_no_change=100, dtype="float32", random_state=0
)
model = Pipeline([("scale", MinMaxScaler()), ("mlp", mlp)])
warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # intended

# %%
# Scalars and tuples in one grid, scored by log loss, which is more sensitive to overfitting than accuracy.
rates = [0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8]
per_layer = [(0.2, 0.5), (0.5, 0.2), (0.5, 0.0)]
search = GridSearchCV(
    model,
    {"mlp__dropout": rates + per_layer},
    scoring=["neg_log_loss", "accuracy"],
    refit="neg_log_loss",
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
    n_jobs=-1,
)
start = perf_counter()
search.fit(X_train, y_train)
seconds = perf_counter() - start

results = search.cv_results_
print(f"{'dropout':>12}  {'log loss':>8}  {'s.e.':>6}  {'accuracy':>8}  {'s.e.':>6}  {'fit, s':>6}")
for i, rate in enumerate(results["param_mlp__dropout"]):
    row = [-results["mean_test_neg_log_loss"][i], results["std_test_neg_log_loss"][i] / np.sqrt(5 - 1)]
    row += [results["mean_test_accuracy"][i], results["std_test_accuracy"][i] / np.sqrt(5 - 1)]
    row += [results["mean_fit_time"][i]]
    print(f"{rate!s:>12}  {row[0]:8.4f}  {row[1]:6.4f}  {row[2]:8.4f}  {row[3]:6.4f}  {row[4]:6.2f}")
print(f"{len(results['params'])} rates x 5 folds: {seconds:.1f} s")

# %%
# Evaluate on the test images. On clean digits like these, dropout improves the probabilities (log loss) rather than the
# decisions (accuracy, where the difference is within the noise of about a thousand images).
for name, fitted in {
    f"best rate, dropout={search.best_params_['mlp__dropout']}": search.best_estimator_,
    "no dropout": model.set_params(mlp__dropout=0.0).fit(X_train, y_train),
}.items():
    log_loss = -np.mean(np.log(fitted.predict_proba(X_test)[np.arange(len(y_test)), y_test]))
    print(f"test set, {name}: accuracy {fitted.score(X_test, y_test):.4f}, log loss {log_loss:.4f}")

# %%
# The scores with standard errors over the folds; tuples are on the right.
disp = DropoutRateDisplay.from_search(search, negate_score=True, name="128-128 units")
disp.ax_.set_title("Dropout rate on 400 digits")
if sys.argv[1:]:
    disp.figure_.savefig(sys.argv[1], dpi=150)
plt.show()

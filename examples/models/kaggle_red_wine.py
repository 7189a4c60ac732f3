"""Kaggle Learn, "Dropout and Batch Normalization": the quality of red wine, three layers of 1024 units.

Dropout 0.3 after each layer and batch normalisation after that, Adam, mean absolute error, batches of 256, 100 epochs,
on 70 % of the rows, tested on the others. The lesson leaves the inputs as they are and says that normalisation rescues
dropout. It does, because the inputs are not scaled: 0.57 against 1.58. Scaled, dropout alone reaches 0.50 and the
lesson's network 0.53. But 240 of the 1599 rows are copies of others, so that test rows have twins in training. Without
the copies the lesson's network reaches 0.60 on scaled inputs, no dropout 0.66 and dropout alone 0.69. (One split and
the last epoch of one seed: differences of some hundredths mean nothing.)
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.data import load_red_wine
from skdropout import DropoutMLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # a hundred epochs are meant
X, y = load_red_wine()
_, distinct = np.unique(np.column_stack([X, y]), axis=0, return_index=True)

for name, rows in {"all rows": np.arange(len(y)), "distinct rows": np.sort(distinct)}.items():
    X_train, X_test, y_train, y_test = train_test_split(X[rows], y[rows], train_size=0.7, random_state=0)
    for scaled in (False, True):
        scaler = StandardScaler(with_mean=scaled, with_std=scaled).fit(X_train)
        for network in (
            {"dropout": 0.3, "batch_norm": "after_dropout"},  # the lesson's
            {"dropout": 0.3},
            {"dropout": 0.0},
        ):
            mlp = DropoutMLPRegressor(
                "absolute_error",
                (1024, 1024, 1024),
                batch_size=256,
                max_iter=100,
                n_iter_no_change=np.inf,
                dropout_schedule="constant",
                dtype="float32",
                random_state=0,
                **network,
            ).fit(scaler.transform(X_train), y_train)
            error = mean_absolute_error(y_test, mlp.predict(scaler.transform(X_test)))
            inputs = "standardised" if scaled else "raw"
            print(f"{name}, {inputs} inputs, {network}: mean absolute error {error:.3f}", flush=True)

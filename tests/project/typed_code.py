"""Code as users write it, for ``mypy``: it reports only the deliberate mistakes, each marked with ``type: ignore``.

This module is never run.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.sparse import csr_array

import skdropout
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

FloatArray = NDArray[np.floating[Any]]


def classifier(X: NDArray[np.float32], y: list[str]) -> None:
    clf = DropoutMLPClassifier((64, 64), "relu", dropout=(0.2, 0.5), batch_norm="after_activation", random_state=0)
    assert_type(clf.fit(X, y), DropoutMLPClassifier)
    assert_type(clf.partial_fit(csr_array(X), y, classes=np.unique(y)), DropoutMLPClassifier)
    assert_type(clf.predict(X.tolist()), NDArray[Any])
    assert_type(clf.predict_proba(X), FloatArray)
    assert_type(clf.predict_log_proba(X), FloatArray)
    assert_type(clf.sample_proba(X, 20, n_jobs=2), FloatArray)
    assert_type(clf.log_predictive_density(X, y, dropout=0.5), FloatArray)
    assert_type(clf.coefs_, list[FloatArray])
    assert_type(clf.validation_scores_, list[float] | None)
    assert_type(clf.dropout_, tuple[float, ...])


def regressor(X: NDArray[np.float64], y: NDArray[np.float64], return_std: bool) -> None:
    reg = DropoutMLPRegressor(loss="huber", noise_variance=[0.1, 0.2]).fit(X, y, X_val=X, y_val=y)
    assert_type(reg.predict(X), FloatArray)
    assert_type(reg.predict(X, return_std=True, n_samples=50), tuple[FloatArray, FloatArray])
    assert_type(reg.predict(X, return_std), FloatArray | tuple[FloatArray, FloatArray])
    assert_type(reg.sample_y(X), FloatArray)
    assert_type(reg.noise_variance_, float | FloatArray)
    assert_type(reg.calibrate(csr_array(X), y.tolist(), n_samples=50), DropoutMLPRegressor)
    assert_type(reg.predict_interval(X, 0.9, n_jobs=2), FloatArray)
    assert_type(reg.conformity_scores_, FloatArray | None)


def numbers_of_numpy() -> None:
    for width, rate in zip(np.arange(1, 9), np.linspace(0, 0.5, 8), strict=True):
        DropoutMLPClassifier(width, dropout=rate, alpha=np.float32(1e-3), max_iter=np.int64(9), random_state=width)
    DropoutMLPClassifier(np.array([8, 8]), dropout=np.array([0.1, 0.2]), n_iter_no_change=np.inf, dtype=np.float32)


def one_each() -> None:
    DropoutMLPClassifier([8, 8], ["relu", "tanh"], dropout_kind=("gaussian", "one of my own"), group_size=[1, 2])
    DropoutMLPClassifier(dropout_schedule=lambda t: 1 - t, class_weight={0: 1, 1: 2.5}, input_groups=["a", "a", "b"])


def others(X: NDArray[np.float64], y: NDArray[np.float64], ax: Axes) -> None:
    reg = DropoutMLPRegressor()
    disp = skdropout.DropoutRateDisplay.from_estimator(reg, X, y, rates=[0.0, 0.2, (0.0, 0.2)], cv=3, ax=ax)
    assert_type(disp.plot(name="again", color="C1").ax_, Axes)
    assert_type(skdropout.TrainingCurveDisplay(reg.loss_curve_).plot(curve="loss"), skdropout.TrainingCurveDisplay)
    assert_type(skdropout.DropoutRates(2, high=0.4).rvs(random_state=0), tuple[float, ...])
    assert_type(skdropout.one_standard_error({"mean_test_score": [0.0]}), int)
    assert_type(skdropout.log_predictive_density_scorer(reg, X, y, n_samples=50), float)
    assert_type(skdropout.predict_interval(reg, X, coverage=0.8, n_samples=50), FloatArray)
    skdropout.CoverageDisplay.from_estimator(reg, X, y, intervals="conformal")
    assert_type(skdropout.diagnose(reg, X, y).advice, list[str])
    skdropout.Checkpoint(Path("mlp.joblib"), every=5)
    assert_type(skdropout.EarlyStopping(X, y, scoring="r2").scores_, list[float])


def mistakes(X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    DropoutMLPClassifier("64")  # type: ignore[arg-type]
    DropoutMLPClassifier((64.5, 64.5))  # type: ignore[arg-type]
    DropoutMLPClassifier(activation="rellu")  # type: ignore[arg-type]
    DropoutMLPClassifier(dropout="0.2")  # type: ignore[arg-type]
    DropoutMLPClassifier(batch_norm=True)  # type: ignore[arg-type]
    DropoutMLPClassifier(dropout_schedule="linear")  # type: ignore[arg-type]
    DropoutMLPClassifier((64,), "relu", "adam")  # type: ignore[call-arg]
    DropoutMLPClassifier(drop_out=0.2)  # type: ignore[call-arg]
    DropoutMLPRegressor(loss="log_loss")  # type: ignore[arg-type]
    reg = DropoutMLPRegressor()
    reg.fit(X)  # type: ignore[call-arg]
    reg.predict(X, return_std=True, n_sample=50)  # type: ignore[call-overload]
    reg.predict(X, return_std=True).mean()  # type: ignore[attr-defined]
    reg.sample_y(X, mask_sharing="row")  # type: ignore[arg-type]
    reg.predict_interval(X, "0.9")  # type: ignore[arg-type]
    skdropout.CoverageDisplay.from_estimator(reg, X, y, intervals="exact")  # type: ignore[arg-type]
    skdropout.DropoutRates("2")  # type: ignore[arg-type]
    skdropout.TrainingCurveDisplay.from_estimator(reg, curve="accuracy")  # type: ignore[arg-type]
    skdropout.EarlyStopping(X)  # type: ignore[call-arg]
    skdropout.Checkpoint(7)  # type: ignore[arg-type]

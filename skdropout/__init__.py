"""Dropout for scikit-learn's multi-layer perceptrons: change the import, keep the code."""

from ._callbacks import Checkpoint, EarlyStopping
from ._classifier import DropoutMLPClassifier
from ._diagnosis import diagnose
from ._display import CoverageDisplay, ReliabilityDisplay
from ._regressor import DropoutMLPRegressor
from ._scoring import log_predictive_density_scorer
from ._tuning import DropoutRates, one_standard_error

__version__ = "0.1.0"
__all__ = [
    "Checkpoint",
    "CoverageDisplay",
    "DropoutMLPClassifier",
    "DropoutMLPRegressor",
    "DropoutRates",
    "EarlyStopping",
    "ReliabilityDisplay",
    "diagnose",
    "log_predictive_density_scorer",
    "one_standard_error",
]

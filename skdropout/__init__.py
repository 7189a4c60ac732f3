"""Dropout for scikit-learn's multi-layer perceptrons: change the import, keep the code."""

from ._callbacks import Checkpoint, EarlyStopping
from ._classifier import DropoutMLPClassifier
from ._diagnosis import diagnose
from ._displays.calibration import CoverageDisplay, ReliabilityDisplay
from ._displays.rates import DropoutRateDisplay
from ._displays.training import TrainingCurveDisplay
from ._displays.units import ActivationSparsityDisplay, FirstLayerWeightsDisplay
from ._onnx import register_onnx
from ._regressor import DropoutMLPRegressor
from ._scoring import log_predictive_density_scorer, predict_interval
from ._show_versions import show_versions
from ._tuning import DropoutRates, one_standard_error
from ._typing import set_public_module
from ._version import __version__ as __version__

__all__ = [
    "ActivationSparsityDisplay",
    "Checkpoint",
    "CoverageDisplay",
    "DropoutMLPClassifier",
    "DropoutMLPRegressor",
    "DropoutRateDisplay",
    "DropoutRates",
    "EarlyStopping",
    "FirstLayerWeightsDisplay",
    "ReliabilityDisplay",
    "TrainingCurveDisplay",
    "diagnose",
    "log_predictive_density_scorer",
    "one_standard_error",
    "predict_interval",
    "register_onnx",
    "show_versions",
]

set_public_module((globals()[name] for name in __all__), __name__)

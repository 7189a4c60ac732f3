"""Support for the callbacks of scikit-learn 1.9, and the callbacks of this package."""

from .checkpoint import Checkpoint
from .early_stopping import EarlyStopping

__all__ = ["Checkpoint", "EarlyStopping"]

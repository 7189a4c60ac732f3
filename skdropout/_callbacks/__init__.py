"""The callbacks of scikit-learn 1.9: how a fit calls them, and two callbacks of this package."""

from .checkpoint import Checkpoint
from .early_stopping import EarlyStopping

__all__ = ["Checkpoint", "EarlyStopping"]

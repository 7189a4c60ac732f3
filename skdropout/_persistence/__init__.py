"""Pickles across releases, weights files without pickle, and conversion to scikit-learn's MLPs."""

from .npz import WeightsFileMixin
from .pickling import PicklingMixin
from .to_sklearn import ToSklearnMixin

__all__ = ["PicklingMixin", "ToSklearnMixin", "WeightsFileMixin"]

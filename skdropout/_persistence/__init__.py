"""Pickles that other releases can read, weights without pickle, and conversion to scikit-learn's own MLPs."""

from .npz import WeightsFileMixin
from .pickling import PicklingMixin
from .to_sklearn import ToSklearnMixin

__all__ = ["PicklingMixin", "ToSklearnMixin", "WeightsFileMixin"]

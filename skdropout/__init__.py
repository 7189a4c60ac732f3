"""Dropout for scikit-learn's multi-layer perceptrons: change the import, keep the code."""

__version__ = "0.1.0"

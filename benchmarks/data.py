"""Data sets of the benchmarks, from the folder SKDROPOUT_DATA if it is set, otherwise from OpenML."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import fetch_openml


class Images(NamedTuple):
    """60 000 training images and 10 000 test images, with pixels from 0 to 255."""

    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def load_mnist():
    """Load MNIST with its official split."""
    return _images("mnist", "mnist_784")


def load_fashion_mnist():
    """Load Fashion-MNIST: the official split from OpenML, or a random split of the same sizes from SKDROPOUT_DATA."""
    return _images("fashion_mnist", "Fashion-MNIST")


def _images(name, openml_name):
    if folder := os.environ.get("SKDROPOUT_DATA"):
        with np.load(Path(folder) / f"{name}.npz") as archive:
            return Images(*(archive[field] for field in Images._fields))
    X, y = fetch_openml(openml_name, version=1, as_frame=False, return_X_y=True)
    X, y = X.astype(np.uint8), y.astype(np.uint8)
    return Images(X[:60_000], y[:60_000], X[60_000:], y[60_000:])


def load_red_wine():
    """Load X and y of the red wines, including the duplicate rows of the file."""
    if os.environ.get("SKDROPOUT_DATA"):
        wine = load_uci("wine")
        return wine.X, wine.y
    X, y = fetch_openml(data_id=44972, as_frame=False, return_X_y=True)
    return X.astype(float), y.astype(float)


class Splits(NamedTuple):
    """A regression data set and its 20 official splits (Hernandez-Lobato and Adams, 2015), one row per split."""

    X: np.ndarray
    y: np.ndarray
    train: np.ndarray
    test: np.ndarray


def load_uci(name):
    """Load 'concrete', 'energy', 'wine' or 'yacht' from SKDROPOUT_DATA. The splits are not available for download."""
    if not (folder := os.environ.get("SKDROPOUT_DATA")):
        raise SystemExit(
            "Set SKDROPOUT_DATA to the folder with the uci_*.npz files: their splits cannot be downloaded."
        )
    with np.load(Path(folder) / f"uci_{name}.npz") as archive:
        return Splits(*(archive[field] for field in Splits._fields))

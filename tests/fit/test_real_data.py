"""Accuracy on real data (takes minutes): `SKDROPOUT_DATA=folder pytest -m slow`."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from skdropout import DropoutMLPClassifier

sys.path.insert(0, str(Path(__file__).parents[2]))  # for the loaders in benchmarks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("SKDROPOUT_DATA" not in os.environ, reason="needs the folder SKDROPOUT_DATA"),
]


def load_images(name):
    from benchmarks import data

    loaded = getattr(data, name)()
    return (
        loaded.X_train.astype(np.float32) / 255,
        loaded.y_train,
        loaded.X_test.astype(np.float32) / 255,
        loaded.y_test,
    )


def error_rates(X_train, y_train, X_test, y_test, seeds, **params):
    defaults = {"batch_size": 128, "n_iter_no_change": np.inf}
    return np.array(
        [
            100
            * (
                1
                - DropoutMLPClassifier(**defaults | params, random_state=s).fit(X_train, y_train).score(X_test, y_test)
            )
            for s in range(seeds)
        ]
    )


def test_tutorial_network_on_mnist_matches_pytorch():
    """DROPOUT.md 2.3: 784-64-64-10, Adam, 20 epochs, PyTorch: 2.20 % errors at 0.1 and 3.72 % at 0.5 (two seeds)."""
    data = load_images("load_mnist")
    low, high = (error_rates(*data, 2, hidden_layer_sizes=(64, 64), dropout=p, max_iter=20) for p in (0.1, 0.5))
    assert 1.9 < low.mean() < 2.6
    assert 3.2 < high.mean() < 4.2


def test_dropout_helps_on_a_thousand_digits():
    """DROPOUT.md 2.3: 512-512, 2000 updates, 1000 rows: none 9.28 %, hidden 0.5 and input 0.2: 7.73 %."""
    X_train, y_train, X_test, y_test = load_images("load_mnist")
    rows = np.random.RandomState(0).choice(60_000, 1000, replace=False)
    data = X_train[rows], y_train[rows], X_test, y_test
    params = {"hidden_layer_sizes": (512, 512), "max_iter": 250}
    none, both = (error_rates(*data, 3, dropout=p, input_dropout=0.4 * p, **params) for p in (0.0, 0.5))
    assert (none - both).mean() > 0.8


def test_book_network_on_fashion_mnist_matches_pytorch():
    """DROPOUT.md 2.4: dropout 0.2 and 0.5, SGD 0.5, ten epochs, PyTorch: test accuracy 0.864 to 0.872."""
    sgd = {"solver": "sgd", "learning_rate_init": 0.5, "momentum": 0.0, "alpha": 0.0, "max_iter": 10, "batch_size": 256}
    error = error_rates(*load_images("load_fashion_mnist"), 2, hidden_layer_sizes=(256, 256), dropout=(0.2, 0.5), **sgd)
    assert 11 < error.mean() < 15

"""Helpers for several test files."""

import io
import pickle

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.utils.fixes import parse_version

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

SKLEARN = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
HAVE_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9.dev0")
needs_callbacks = pytest.mark.skipif(not HAVE_CALLBACKS, reason="sklearn.callback is new in 1.9")


def stream(seed=0):
    """Return a random generator of the type that draws dropout noise."""
    return np.random.Generator(np.random.SFC64(seed))


def classifier(**params):
    """Return a small classifier that trains for a few epochs."""
    return DropoutMLPClassifier(**{"hidden_layer_sizes": (12, 8), "max_iter": 5, "random_state": 0} | params)


def regressor(**params):
    """Return a small regressor that trains for a few epochs with constant dropout."""
    params = {"hidden_layer_sizes": (12, 8), "dropout": 0.2, "dropout_schedule": "constant"} | params
    return DropoutMLPRegressor(**{"max_iter": 5, "random_state": 0} | params)


def by_pickle(model):
    """Return a copy of the model via pickle."""
    return pickle.loads(pickle.dumps(model))


def by_joblib(model):
    """Return a copy of the model via a compressed joblib file."""
    file = io.BytesIO()
    joblib.dump(model, file, compress=3)
    file.seek(0)
    return joblib.load(file)


def by_cloudpickle(model):
    """Return a copy of the model via cloudpickle."""
    return pickle.loads(pytest.importorskip("cloudpickle").dumps(model))


def by_skops(model):
    """Return a copy of the model via skops."""
    skops_io = pytest.importorskip("skops.io")
    data = skops_io.dumps(model)
    return skops_io.loads(data, trusted=skops_io.get_untrusted_types(data=data))


def legend_labels(ax):
    """Return the labels of the legend."""
    return [text.get_text() for text in ax.get_legend().get_texts()]

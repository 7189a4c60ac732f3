"""Data sets, splits and networks of `benchmarks.evidence`.

Rows that repeat the features of an earlier row are dropped: 240 of red wine, 38 of concrete, 1 of iris, 54 of
Fashion-MNIST. "SciPy docs" replaces a text corpus. Its documents are the introductions of the docstrings of the public
names of nine subpackages of SciPy, as TF-IDF of their words without the names of the subpackages; the class is the
subpackage. The data depend on the version of SciPy.
"""

import importlib
import inspect
import re
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks.data import load_fashion_mnist, load_mnist, load_red_wine, load_uci

IMAGES = {500: (80, 50), 1000: (80, 50), 5000: (40, 100), 60_000: (20, 100)}  # training rows: epochs, batch_size
MAX_REPEATS, MAX_TEST_IMAGES = 10, 2000


class DataSet(NamedTuple):
    kind: str
    split: Callable  # from the number of the repeat to X_train, X_test, y_train, y_test
    scaler: object
    net: dict
    overlap: float = 0.25  # n_test / n_train if the splits of the repeats overlap, else 0
    repeats: int = MAX_REPEATS
    noise: tuple = (0.1, 0.2, 0.4)  # standard deviations of the arm "input noise", in units of the scaled inputs
    is_image: bool = False


def drop_duplicates(X, y):
    """Drop rows that repeat the features of an earlier row."""
    rows = np.sort(np.unique(X, axis=0, return_index=True)[1])
    return X[rows], y[rows]


def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def red_wine_classes():
    X, y = load_red_wine()
    return X, np.digitize(y, [4.5, 5.5, 6.5])


def scipy_docs():
    labels = "fft", "interpolate", "linalg", "ndimage", "optimize", "signal", "sparse", "special", "stats"
    openings = {}
    for label in labels:
        module = importlib.import_module(f"scipy.{label}")
        for name in module.__all__:
            opening = (inspect.getdoc(getattr(module, name)) or "").split("Parameters\n---")[0]
            opening = re.sub(r"^\S+\(.*\)$", "", opening, flags=re.M)  # drop the signatures of ufuncs
            words = " ".join(word for word in re.findall("[a-z]+", opening.lower()) if word not in labels)
            if len(words) > 30:
                openings.setdefault(words, label)
    return np.array(list(openings)), np.array(list(openings.values()))


@cache
def images(load):
    """Return the distinct flattened images, their labels, and the number of training images among them."""
    data = load()
    X, y = np.vstack([data.X_train, data.X_test]), np.hstack([data.y_train, data.y_test])
    rows = np.sort(np.unique(X.view(f"V{X.shape[1]}").ravel(), return_index=True)[1])
    return X[rows], y[rows], int((rows < len(data.X_train)).sum())


def image_split(load, n_rows, wrong, repeat, fresh=False):
    """Draw disjoint training and test rows from the training images; with all of them, test on the test images.

    With `fresh`, both are rows that no repeat with `n_rows` training rows has without it.
    """
    X, y, n_train = images(load)
    order = np.random.RandomState(2026).permutation(n_train)
    if fresh:
        train, test = np.split(
            np.array_split(order[n_rows * MAX_REPEATS :], MAX_REPEATS)[repeat][MAX_TEST_IMAGES:], [n_rows]
        )
    elif n_rows < n_train // MAX_REPEATS:
        train = order[n_rows * repeat : n_rows * (repeat + 1)]
        test = np.array_split(order[n_rows * MAX_REPEATS :], MAX_REPEATS)[repeat][:MAX_TEST_IMAGES]
    else:
        train, test = order, np.arange(n_train, len(y))
    y_train, rng = y[train], np.random.RandomState(repeat)
    rows = rng.permutation(len(train))[: round(wrong * len(train))]
    y_train[rows] = (y_train[rows] + rng.randint(1, 10, len(rows))) % 10
    return np.float32(X[train]) / 255, np.float32(X[test]) / 255, y_train, y[test]


def table_split(load, kind, repeat):
    X, y = drop_duplicates(*load())
    stratify = y if kind == "classification" else None
    return train_test_split(X, y, test_size=0.2, stratify=stratify, random_state=repeat)


def tables(kind, loads, epochs, batch_size, scaler=None, **fields):
    scaler = scaler or StandardScaler()
    net = {
        "hidden_layer_sizes": (100, 100),
        "batch_size": batch_size,
        "max_iter": epochs,
        "learning_rate": "cosine",
    }
    return {
        name: DataSet(kind, partial(table_split, load, kind), scaler, net, **fields) for name, load in loads.items()
    }


def image_sets(n_rows, wrong=0.0):
    epochs, batch_size = IMAGES[n_rows]
    net = {
        "hidden_layer_sizes": (256, 256),
        "batch_size": batch_size,
        "max_iter": epochs,
        "learning_rate": "cosine",
    }
    fields = {"overlap": 0, "repeats": 2 if n_rows == 60_000 else MAX_REPEATS, "is_image": True}
    for name, load in {"MNIST": load_mnist, "Fashion-MNIST": load_fashion_mnist}.items():
        split = partial(image_split, load, n_rows, wrong)
        title = f"{name} {n_rows}" + (f", {100 * wrong:g} % wrong" if wrong else "")
        yield title, DataSet("classification", split, FunctionTransformer(), net, **fields)


def bundled(*loads):
    return {load.__name__[5:].replace("_", " "): partial(load, return_X_y=True) for load in loads}


def uci(name):
    return load_uci(name)[:2]


SETS = {  # in the order of the run
    **dict(image_sets(1000)),
    **tables("classification", bundled(load_breast_cancer, load_wine, load_iris), 150, 32),
    **tables("classification", {"digits": digits}, 60, 64, FunctionTransformer()),
    **tables("classification", {"red wine, 4 classes": red_wine_classes}, 100, 64),
    **tables(
        "classification",
        {"SciPy docs": scipy_docs},
        epochs=40,
        batch_size=64,
        scaler=TfidfVectorizer(sublinear_tf=True, min_df=2, max_features=1000, dtype=np.float32),
        noise=(0.01, 0.02, 0.04),  # rows of 1000 columns have norm 1
    ),
    **tables("regression", bundled(load_diabetes) | {"yacht": partial(uci, "yacht")}, 200, 32),
    **tables("regression", {"concrete": partial(uci, "concrete"), "energy": partial(uci, "energy")}, 200, 64),
    **tables("regression", {"red wine, quality": load_red_wine}, 100, 64),
    **dict(image_sets(1000, wrong=0.4)),
    **dict(image_sets(5000)),
    **dict(image_sets(500)),
    **dict(image_sets(1000, wrong=0.2)),
    **dict(image_sets(60_000)),
}

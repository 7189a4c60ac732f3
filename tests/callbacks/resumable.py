"""Fits to interrupt and resume, and digests of their fitted state for bitwise comparison."""

import copy
import hashlib
import pickle
import warnings

import numpy as np
from scipy import sparse
from sklearn.datasets import load_diabetes, load_digits

from skdropout import Checkpoint, DropoutMLPClassifier, DropoutMLPRegressor

images, digits = load_digits(return_X_y=True)
images, digits = images[:300] / 16, digits[:300]
patients, progression = load_diabetes(return_X_y=True)
patients, progression = patients[:200] * 20, progression[:200] / 100
digit_names = np.array([f"digit {d}" for d in digits])
bright_pixels = np.column_stack([images[:, 20] > 0.5, images[:, 30] > 0.5]).astype(int)

COMMON = {"hidden_layer_sizes": (12, 9), "max_iter": 8, "n_iter_no_change": 20, "random_state": 3}
NOISY = COMMON | {"dropout": 0.3, "dropout_schedule": "constant"}
# (class, parameters, X, y, fit arguments): all dropout kinds, solvers and batch_norm positions, several schedules
FITS = {
    "defaults": (DropoutMLPClassifier, {"max_iter": 8, "random_state": 0}, images, digit_names, {}),
    "bernoulli, sgd": (DropoutMLPClassifier, NOISY | {"solver": "sgd", "input_dropout": 0.1}, images, digits, {}),
    "gaussian, adamw, clipped": (
        DropoutMLPClassifier,
        NOISY | {"dropout_kind": "gaussian", "solver": "adamw", "clip_norm": 0.5, "learning_rate": "onecycle"},
        images,
        digits,
        {"sample_weight": np.linspace(0.1, 2, 300)},
    ),
    "alpha, selu, float32": (
        DropoutMLPRegressor,
        NOISY | {"dropout_kind": "alpha", "activation": "selu", "dtype": "float32", "batch_size": 32},
        patients,
        progression,
        {},
    ),
    "spatial, curriculum": (
        DropoutMLPClassifier,
        NOISY | {"dropout_kind": "spatial", "group_size": 3, "dropout_schedule": "curriculum", "batch_size": 64},
        images,
        digits,
        {},
    ),
    "column groups, warm-up": (
        DropoutMLPClassifier,
        NOISY | {"input_dropout": 0.2, "input_groups": np.arange(64) // 8, "warmup_fraction": 0.4, "max_norm": 1.5},
        images,
        digits,
        {},
    ),
    "shared masks, thinned": (
        DropoutMLPClassifier,
        NOISY | {"hidden_layer_sizes": (256, 128), "mask_sharing": "batch", "dropout": 0.5, "batch_size": 100},
        images,
        digits,
        {},
    ),
    "batch norm before, early stopping": (
        DropoutMLPClassifier,
        NOISY | {"batch_norm": "before_activation", "early_stopping": True, "n_iter_no_change": 4, "max_iter": 30},
        images,
        digits,
        {},
    ),
    "batch norm after, full batch": (
        DropoutMLPRegressor,
        NOISY | {"batch_norm": "after_activation", "batch_size": 200, "solver": "sgd", "learning_rate": "adaptive"},
        patients,
        progression,
        {},
    ),
    "batch norm last, validation set": (
        DropoutMLPRegressor,
        NOISY | {"batch_norm": "after_dropout", "learning_rate": "cosine", "l1_ratio": 0.5},
        patients,
        progression,
        {"X_val": patients[:50], "y_val": progression[:50]},
    ),
    "early stopping on the loss": (
        DropoutMLPRegressor,
        NOISY | {"early_stopping": True, "scoring": "loss", "learning_rate_init": 0.02, "max_iter": 30, "tol": 0.01},
        patients,
        np.column_stack([progression, -progression]),
        {},
    ),
    "variances": (
        DropoutMLPRegressor,
        NOISY | {"loss": "gaussian_nll", "batch_norm": "before_activation", "early_stopping": True},
        patients,
        np.column_stack([progression, -progression]) - 1,
        {},
    ),
    "noise-free convergence check": (
        DropoutMLPClassifier,
        NOISY | {"n_iter_no_change": 4, "tol": 0.05, "max_iter": 40, "batch_size": 50},
        images,
        digits,
        {},
    ),
    "sparse, two labels": (
        DropoutMLPClassifier,
        NOISY | {"input_dropout": 0.1, "solver": "sgd", "learning_rate": "invscaling"},
        sparse.csr_array(images),
        bright_pixels,
        {},
    ),
    "no dropout, random_state=None": (
        DropoutMLPClassifier,
        COMMON | {"dropout": 0, "random_state": None, "early_stopping": True, "scoring": "loss"},
        images,
        digits,
        {},
    ),
    "a RandomState": (DropoutMLPClassifier, NOISY | {"random_state": np.random.RandomState(5)}, images, digits, {}),
    "lbfgs": (DropoutMLPRegressor, COMMON | {"solver": "lbfgs", "max_iter": 30}, patients, progression, {}),
    "lbfgs, float32": (
        DropoutMLPClassifier,
        COMMON | {"solver": "lbfgs", "dropout": 0, "dtype": "float32", "max_iter": 30},
        images,
        digit_names,
        {},
    ),
}


def make(name):
    """Return a new estimator, as in a new process, and its data."""
    cls, params, X, y, kwargs = FITS[name]
    return cls(**copy.deepcopy(params)), X, y, kwargs


def fit_and_send(name, path, sender, limit):
    """Fit in a separate process with a checkpoint; send the fitted state, or the errno of an OSError."""
    import resource  # not on Windows

    warnings.simplefilter("ignore")
    np.random.seed(8 if path is not None and path.exists() else 7)  # each process has its own global stream
    estimator, X, y, kwargs = make(name)
    if path is not None:
        estimator.set_callbacks(Checkpoint(path))
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    sender.send("started")
    try:
        sender.send(fitted_state(estimator.fit(X, y, **kwargs)))
    except OSError as error:
        sender.send(error.errno)


def fitted_state(estimator):
    """Return digests of the fitted attributes by name, including the optimizer and the random streams."""
    state = {name: getattr(estimator, name) for name in estimator._fitted_names()}
    state["optimizer"] = vars(state.pop("_optimizer")) if "_optimizer" in state else None
    state["random_state"] = estimator.random_state
    return {name: digest(value) for name, value in state.items()}


def digest(value):
    return hashlib.sha256(pickle.dumps(_plain(value))).hexdigest()[:12]


def _plain(value):
    """Convert to plain values without object identity, so that equal values have equal pickles."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, _plain(value.tolist()) if value.dtype == object else value.tobytes()
    if isinstance(value, np.random.RandomState):
        return _plain(value.get_state())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return [(key, _plain(item)) for key, item in sorted(value.items())]
    if hasattr(value, "__dict__"):
        return type(value).__name__, _plain(vars(value))
    return repr(value)

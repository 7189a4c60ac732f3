"""The fingerprint of a fit, by which a checkpoint recognizes it."""

from numbers import Real

import joblib
import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from .._fit.parameters import normalize_params
from .tasks import stateful_callbacks

HASH_BLOCK_ROWS = 10_000  # number of rows hashed at a time: if X is not contiguous, each block is copied


def fingerprint(estimator, rows, held_out, previous):
    """Hashes of all that a fit depends on, by name: class, parameters, data, callbacks and the network it continues."""
    params = {"class": type(estimator), **normalize_params(estimator.get_params(deep=False))}
    hashes = {name: joblib.hash(_plain(value)) for name, value in params.items() if name != "verbose"}
    for suffix, part in (("", rows), ("_val", held_out)):
        if part is not None:
            hashes |= {f"X{suffix}": _hash_rows(part.X), f"y{suffix}": joblib.hash(np.ascontiguousarray(part.y))}
            hashes[f"sample_weight{suffix}"] = joblib.hash(part.sample_weight)
    for callback in stateful_callbacks(estimator):
        settings = {name: _hashable(value) for name, value in callback._settings().items()}
        hashes.setdefault(f"the callback {type(callback).__name__}", []).append(joblib.hash(settings))
    if previous:
        hashes["the network that it continues"] = joblib.hash(previous)
    return hashes


def _plain(value):
    """Convert equal parameters to the same value: 1, 1.0 and np.float64(1); a list, a tuple and an array."""
    if isinstance(value, np.random.RandomState):
        return value.get_state()
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Real):
        return float(value)
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return value


def _hashable(value):
    if issparse(value):  # ignore attributes that SciPy caches on the object
        return _hash_rows(value.tocsr())
    return value if hasattr(value, "shape") else _plain(value)


def _hash_rows(X):
    blocks = (X[rows] for rows in gen_batches(X.shape[0], HASH_BLOCK_ROWS))
    if issparse(X):
        return joblib.hash([joblib.hash((X.shape, block.data, block.indices, block.indptr)) for block in blocks])
    return joblib.hash([joblib.hash(np.ascontiguousarray(block)) for block in blocks])

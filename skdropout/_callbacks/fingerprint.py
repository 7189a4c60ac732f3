"""Fingerprint of a fit, which identifies it in checkpoints."""

from numbers import Real

import joblib
import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from .._fit.parameters import normalize_params
from .tasks import stateful_callbacks

HASH_BLOCK_ROWS = 10_000  # number of rows hashed at a time; a block is copied if X is not contiguous


def compute_fingerprint(estimator, rows, held_out, previous):
    """Return hashes, by name, of the class, parameters, data, callbacks and initial network that a fit depends on."""
    params = {"class": type(estimator), **normalize_params(estimator.get_params(deep=False))}
    hashes = {name: joblib.hash(_normalized(value)) for name, value in params.items() if name != "verbose"}
    for suffix, part in (("", rows), ("_val", held_out)):
        if part is not None:
            hashes[f"X{suffix}"] = _hash_rows(part.X)
            hashes[f"y{suffix}"] = joblib.hash(np.ascontiguousarray(part.y))
            hashes[f"sample_weight{suffix}"] = joblib.hash(part.sample_weight)
    for callback in stateful_callbacks(estimator):
        settings = {name: _hashable(value) for name, value in callback._settings().items()}
        hashes.setdefault(f"the callback {type(callback).__name__}", []).append(joblib.hash(settings))
    if previous:
        hashes["the network that it continues"] = joblib.hash(previous)
    return hashes


def _normalized(value):
    """Convert equal parameters to the same value, such as 1, 1.0 and np.float64(1), or a list, a tuple and an array."""
    if isinstance(value, np.random.RandomState):
        return value.get_state()
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_normalized(item) for item in value]
    if isinstance(value, dict):
        return {_normalized(key): _normalized(item) for key, item in value.items()}
    if isinstance(value, Real):
        return float(value)
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return value


def _hashable(value):
    """Convert a setting of a callback to a value that ``joblib.hash`` maps to the same hash if it is equal."""
    if issparse(value):  # ignore attributes that SciPy caches on the object
        return _hash_rows(value.tocsr())
    return value if hasattr(value, "shape") else _normalized(value)


def _hash_rows(X):
    """Hash X block by block, so that memory does not grow with the number of rows."""
    blocks = (X[rows] for rows in gen_batches(X.shape[0], HASH_BLOCK_ROWS))
    if issparse(X):
        return joblib.hash([joblib.hash((X.shape, block.data, block.indices, block.indptr)) for block in blocks])
    return joblib.hash([joblib.hash(np.ascontiguousarray(block)) for block in blocks])

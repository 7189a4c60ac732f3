"""Floating-point errors: ignored in our code, which checks its results, but not in user code."""

from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

_USER_ERRSTATE: ContextVar[dict[str, Any]] = ContextVar("errstate of the user")


@contextmanager
def ignore_float_errors():
    """Ignore floating-point errors. Wrap calls of user code in ``user_errstate``."""
    token = _USER_ERRSTATE.set({**np.geterr(), "call": np.geterrcall()})
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        _USER_ERRSTATE.reset(token)


@contextmanager
def user_errstate():
    """Restore the user's error settings inside ``ignore_float_errors``, for schedules, scorers and callbacks."""
    with np.errstate(**_USER_ERRSTATE.get({})):
        yield

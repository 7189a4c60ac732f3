"""Floating-point errors: our code ignores them and checks the results; the user's code keeps its own settings."""

from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

_USERS: ContextVar[dict[str, Any]] = ContextVar("errstate of the user")


@contextmanager
def own_code():
    """Ignore floating-point errors in our code, which may call the user's code: see ``users_code``."""
    token = _USERS.set({**np.geterr(), "call": np.geterrcall()})
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        _USERS.reset(token)


@contextmanager
def users_code():
    """Restore the user's settings inside ``own_code``, for schedules, scorers and callbacks."""
    with np.errstate(**_USERS.get({})):
        yield

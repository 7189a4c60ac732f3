"""Floating-point errors: our numerics ignore them and check what comes out; the user's code keeps its own settings."""

from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

_USERS: ContextVar[dict[str, Any]] = ContextVar("errstate of the user")


@contextmanager
def own_code():
    """A context for numerics of ours that call code of the user: see ``users_code``."""
    token = _USERS.set({**np.geterr(), "call": np.geterrcall()})
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        _USERS.reset(token)


@contextmanager
def users_code():
    """A context inside of ``own_code`` for what the user wrote: schedules, scorers, callbacks."""
    with np.errstate(**_USERS.get({})):
        yield

"""Decorator for methods that a concurrent ``fit`` must not affect."""

from __future__ import annotations

from functools import wraps
from typing import Any, cast

from ._typing import Method


def from_snapshot(method: Method) -> Method:
    """Run a method on a snapshot of the estimator, so that a concurrent ``fit`` cannot change it halfway."""

    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return method(self._shallow_copy(), *args, **kwargs)

    return cast("Method", call)

"""A call that sees one state of its estimator."""

from __future__ import annotations

from functools import wraps
from typing import Any, cast

from ._typing import Method


def from_snapshot(method: Method) -> Method:
    """Let a method work on the estimator as it is at the call, lest another thread's ``fit`` come in between."""

    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return method(self._twin(), *args, **kwargs)

    return cast("Method", call)

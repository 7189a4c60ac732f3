"""A call that sees one state of its estimator."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., Any])


def from_snapshot(method: Method) -> Method:
    """Let a method work on the estimator as it is at the call, lest another thread's ``fit`` come in between."""

    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return method(self._twin(), *args, **kwargs)

    return cast("Method", call)

"""A call that sees one state of its estimator."""

from functools import wraps


def from_snapshot(method):
    """Let a method work on the estimator as it is at the call, lest another thread's ``fit`` come in between."""

    @wraps(method)
    def call(self, *args, **kwargs):
        return method(self._twin(), *args, **kwargs)

    return call

"""Threads of a fit or a prediction: BLAS is limited to one, and helper threads of the engine share large products."""

import os
from contextlib import contextmanager, nullcontext
from functools import cache
from threading import Lock

from joblib import cpu_count

from ._sklearn import get_threadpool_controller
from .engine import threads

# OpenBLAS computes products with at most this number of weights times rows in one thread
ONE_THREAD_WORK = 8192

cached_cpu_count = cache(cpu_count)  # number of cores that this process may use; counting takes 0.1 ms


class OneBlasThread:
    """Context manager that limits BLAS to one thread, process-wide and reference-counted.

    BLAS threads wait for each other by spinning: while another process occupies a core, a product waits for a time
    slice, and a fit takes two to five times as long as with one thread.

    Attributes
    ----------
    n_active : int
        Number of contexts that are active.
    n_blas_threads : int
        Number of BLAS threads that the user allows, by ``threadpool_limits``, the environment or joblib.
    """

    def __init__(self):
        self.lock = Lock()
        self.n_active = 0
        self.n_blas_threads = 1

    def __enter__(self):
        with self.lock:
            if self.n_active == 0:
                blas = [
                    library for library in get_threadpool_controller().lib_controllers if library.user_api == "blas"
                ]
                self.original = [(library, library.num_threads) for library in blas if library.num_threads is not None]
                self.n_blas_threads = min((n for _, n in self.original), default=1)
                for library, _ in self.original:
                    _set_num_threads(library, 1)
            self.n_active += 1

    def __exit__(self, *error):
        with self.lock:
            if self.n_active == 0:  # a context that was active before a fork
                return
            self.n_active -= 1
            if self.n_active == 0:
                self._restore()

    def _restore(self):
        for library, n in self.original:
            _set_num_threads(library, n)

    def reset_after_fork(self):
        """Reset the count in a forked child process, which has none of the other threads."""
        if self.n_active > 0:
            self._restore()
        self.lock, self.n_active = Lock(), 0

    def n_threads(self):
        """Return the number of threads for each of the active contexts."""
        return max(1, min(self.n_blas_threads, cached_cpu_count()) // max(1, self.n_active))


def _set_num_threads(library, n):
    """Set the number of threads of a BLAS library, from any thread.

    threadpoolctl 3.8 ignores calls of other threads than the first one that sets a limit, until that thread has ended.
    """
    clear = getattr(library, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)
    library.set_num_threads(n)
    if clear is not None:
        clear(force=True)


ONE_BLAS_THREAD = OneBlasThread()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=ONE_BLAS_THREAD.reset_after_fork)


@contextmanager
def shared_threads():
    """Limit BLAS to one thread, and let large products use the threads that the user allows BLAS.

    The limit is process-wide and ends with the context.
    """
    if threads.current_team() is not None:  # called by a scorer or callback during a fit
        yield
        return
    with ONE_BLAS_THREAD, threads.Team(ONE_BLAS_THREAD.n_threads):
        yield


def prediction_threads(work):
    """Return the context for a prediction whose largest product has `work` weights times rows.

    Setting the limit takes 20 µs, which matters for single rows.
    """
    return shared_threads() if work > ONE_THREAD_WORK else nullcontext()

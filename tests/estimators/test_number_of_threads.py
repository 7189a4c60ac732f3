"""Fits and predictions give the same bits with any number of threads, and restore the number of BLAS threads."""

import _thread
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from math import sqrt
from time import perf_counter, sleep

import joblib
import numpy as np
import pytest
from helpers import classifier, regressor
from scipy import sparse
from sklearn.base import clone, is_classifier
from threadpoolctl import threadpool_info, threadpool_limits

from skdropout import _threads
from skdropout._fit import prepare
from skdropout._threads import ONE_BLAS_THREAD
from skdropout.engine import backprop, buffers, network, products, threads
from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.dropout.base import Multiplicative
from skdropout.engine.optimizers import OPTIMIZERS

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # of fork
TIMEOUT = 30  # seconds, of a test that fails

rng = np.random.RandomState(0)
X = rng.normal(size=(150, 24)).astype(np.float32)
Y = np.column_stack([X[:, 0] + X[:, 1] ** 2, X[:, 2] - X[:, 3]])
LABELS = np.digitize(Y[:, 0], [0, 1])
SPARSE = sparse.csr_array(np.where(rng.random_sample(X.shape) < 0.6, 0, X))


class Uniform(Multiplicative):
    """Noise whose backward pass overwrites its output, which the gradient of the weights of the next layer reads."""

    def set_rate(self, rate):
        self.width = sqrt(3 * rate / (1 - rate))

    def sample(self, x, rng):
        return 1 + self.width * (2 * rng.random(x.size, dtype=self.dtype.type) - 1)

    def forward(self, x, rng, out=None):
        self.y = super().forward(x, rng, out)
        return self.y

    def backward(self, d):
        return np.multiply(d, self.noise, out=self.y)

    def variance(self, x):
        return x**2 * self.width**2 / 3


class UnitStep:
    """Optimizer that reads the whole gradient before it adds the penalty."""

    def __init__(self, size, dtype, learning_rate):
        self.learning_rate, self.factor = float(learning_rate), 1.0

    def step(self, params, gradient, add_penalty):
        norm = float(np.linalg.norm(gradient))
        penalty = buffers.in_chunks(add_penalty, params.size, params.dtype)
        params -= self.learning_rate * self.factor / norm * gradient
        return penalty


def divide_small_work(set_attribute=setattr):
    """Let helpers share small products and updates, on a machine with eight cores."""
    set_attribute(products, "MIN_PRODUCT", 1 << 10)
    set_attribute(products, "MIN_PAIR", 1 << 14)
    set_attribute(buffers, "CHUNK", 256)
    set_attribute(_threads, "ONE_THREAD_WORK", 100)
    set_attribute(_threads, "cached_cpu_count", lambda: 8)


@pytest.fixture(autouse=True)
def small_work(monkeypatch):
    divide_small_work(monkeypatch.setattr)
    monkeypatch.setattr(network, "BLOCK", 64 * 40)
    monkeypatch.setattr(backprop, "THIN_WORK", 1)
    monkeypatch.setattr(backprop, "THIN_ROWS", 1)
    monkeypatch.setitem(DROPOUTS, "uniform", Uniform)
    monkeypatch.setitem(OPTIMIZERS, "unit_step", UnitStep)


@pytest.fixture(autouse=True)
def all_ends():
    """Check that no helper and no limit survives a test."""
    yield
    wait_until(lambda: n_helpers() == 0)
    assert ONE_BLAS_THREAD.n_active == 0
    assert threads.current_team() is None


@pytest.fixture(autouse=True)
def started(monkeypatch):
    """Return a list to which each helper that starts is added."""
    helpers, start = [], threads.Helper.start
    monkeypatch.setattr(threads.Helper, "start", lambda self: (helpers.append(self), start(self)))
    return helpers


def wait_until(condition):
    end = perf_counter() + TIMEOUT
    while not condition():
        assert perf_counter() < end
        sleep(1e-3)


def n_helpers():
    return sum(thread.name == "skdropout helper" for thread in threading.enumerate())


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def hooked(hook, **params):
    """Return an estimator that calls ``hook()`` before each epoch."""
    params = {"dropout": 0.5, "hidden_layer_sizes": (40, 32), "batch_size": 50, "max_iter": 3} | params
    return classifier(dropout_schedule=lambda t: (hook(), 1.0)[1], **params)


# Equal bits


CASES = {
    "adam": {},
    "sgd": {"solver": "sgd", "max_norm": 1.0, "clip_norm": 1.0},
    "momentum without Nesterov": {"solver": "sgd", "nesterovs_momentum": False, "l1_ratio": 0.5, "alpha": 0.1},
    "adamw": {"solver": "adamw", "alpha": 0.1},
    "lbfgs": {"solver": "lbfgs", "dropout": 0},
    "unit step": {"solver": "unit_step"},
    "float64": {"dtype": "float64", "activation": "tanh"},
    "early stopping": {"early_stopping": True},
    "input dropout": {"input_dropout": 0.1},
    "gaussian": {"dropout_kind": "gaussian", "activation": "elu"},
    "alpha": {"dropout_kind": "alpha", "activation": "selu"},
    "spatial": {"dropout_kind": "spatial", "group_size": 4},
    "uniform": {"dropout_kind": "uniform"},
    "uniform, identity": {"dropout_kind": "uniform", "activation": "identity"},
    "one mask per batch": {"mask_sharing": "batch", "dropout": 0.5},
    "one mask per batch, gaussian": {"mask_sharing": "batch", "dropout_kind": "gaussian"},
    "one mask per batch, uniform": {"mask_sharing": "batch", "dropout_kind": "uniform"},
    "norm before activation": {"batch_norm": "before_activation"},
    "norm after activation": {"batch_norm": "after_activation"},
    "norm after dropout": {"batch_norm": "after_dropout"},
    "norm without dropout": {"batch_norm": "after_activation", "dropout": 0},
}
ROWS = {"sparse": SPARSE, "columns first": np.asfortranarray(X)}
OTHER_ROWS = "adam", "lbfgs", "input dropout", "one mask per batch", "norm after dropout"


def arrays(model, rows, y):
    """Train and predict; return all results."""
    results = []
    for incremental in (False, True):
        if incremental and (model.solver == "lbfgs" or model.early_stopping):
            break
        (model.partial_fit if incremental else model.fit)(rows, y)
        results += [*model.coefs_, *model.intercepts_, *getattr(model, "batch_norm_var_", []), model.loss_]
    if is_classifier(model):
        results += [model.predict_proba(rows), model.sample_proba(rows, 3, random_state=0)]
    else:
        results += [model.predict(rows), model.sample_y(rows, 3, random_state=0)]
    return results


@pytest.mark.filterwarnings("ignore:The network was trained without dropout")
@pytest.mark.parametrize(
    ("case", "rows", "make"),
    [(case, "dense", classifier) for case in CASES]
    + [(case, "dense", regressor) for case in ("sgd", "lbfgs", "uniform")]
    + [(case, rows, classifier) for case in OTHER_ROWS for rows in ROWS],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_same_bits_for_any_number_of_threads(case, rows, make, started, monkeypatch):
    params = {"hidden_layer_sizes": (40, 32), "batch_size": 64, "max_iter": 2, "dropout": 0.3} | CASES[case]
    model, expected = make(**params), None
    for n in (1, 2, 4, "late"):
        started.clear()
        with monkeypatch.context() as patch, threadpool_limits(2 if n == "late" else n, "blas"):
            if n == "late":  # the caller does deferred work as late as possible
                patch.setattr(threads.Helper, "start", fail_to_start)
            results = arrays(clone(model), ROWS.get(rows, X), LABELS if make is classifier else Y)
        assert all(map(np.all, map(np.isfinite, results)))
        expected = expected or results
        assert (len(started) > 0) == (n in {2, 4})
        for array, other in zip(results, expected, strict=True):
            np.testing.assert_array_equal(array, other, str(n))


def fail_to_start(helper):
    raise RuntimeError("can't start new thread")


def test_prediction_of_large_blocks_uses_helpers(started):
    model = classifier(hidden_layer_sizes=(40,)).fit(X, LABELS)
    with threadpool_limits(1, "blas"):
        expected = model.predict_proba(X)
        started.clear()
    with threadpool_limits(4, "blas"):
        np.testing.assert_array_equal(model.predict_proba(X), expected)
        assert len(started) > 0
        assert blas_threads() == {4}


# The number of BLAS threads


class Failure(Exception):
    pass


def fail():
    raise Failure


def interrupt(*args, **kwargs):
    signal.raise_signal(signal.SIGINT)


def interrupt_in_helper(patch):
    """Let the first helper that computes a block interrupt the main thread."""
    product = products._product

    def interrupting(a, b, out):
        work = product(a, b, out)

        def compute(block):
            if threading.current_thread() is not threading.main_thread() and not interrupted:
                interrupted.append(block)
                _thread.interrupt_main()
            else:
                sleep(1e-4)
            work(block)

        return compute

    interrupted = []
    patch.setattr(products, "_product", interrupting)


def interrupt_before_training(patch):
    patch.setattr(prepare, "initialize", interrupt)


ENDS = {  # hook, patch, context of the fit, number of epochs
    "success": (None, None, nullcontext(), 3),
    "error": (fail, None, pytest.raises(Failure), None),
    "Ctrl-C in a callback": (interrupt, None, pytest.warns(match="interrupted by user"), 0),
    "Ctrl-C before training": (None, interrupt_before_training, pytest.raises(KeyboardInterrupt), None),
    "Ctrl-C in a product": (None, interrupt_in_helper, pytest.warns(match="interrupted by user"), 0),
}


@pytest.mark.parametrize("end", ENDS)
def test_blas_threads_are_limited_during_a_fit_and_restored_after_it(end, monkeypatch):
    hook, patch, context, n_epochs = ENDS[end]
    seen = []

    def look():
        seen.append((blas_threads(), ONE_BLAS_THREAD.n_active, ONE_BLAS_THREAD.n_threads()))
        if hook is not None:
            hook()

    model = hooked(look)
    if patch is not None:
        patch(monkeypatch)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with threadpool_limits(3, "blas"):
            with context:
                model.fit(X, LABELS)
            assert blas_threads() == {3}
    finally:
        signal.signal(signal.SIGINT, handler)
    assert all(now == ({1}, 1, 3) for now in seen)
    assert (len(seen) > 0) == (patch is not interrupt_before_training)
    assert getattr(model, "n_iter_", None) == n_epochs


def test_blas_threads_with_concurrent_fits_and_sampling():
    model, seen = classifier(dropout=0.5).fit(X, LABELS), []
    barrier = threading.Barrier(3)

    def start():
        barrier.wait(TIMEOUT)
        seen.append(blas_threads())

    def work(i):
        hooks = iter([start])
        hook = lambda: next(hooks, (None, fail, None)[i] or (lambda: seen.append(blas_threads())))()  # noqa: E731
        if i == 2:
            barrier.wait(TIMEOUT)
            for _ in range(5):
                model.sample_proba(X, 5)
        elif i == 1:
            with pytest.raises(Failure):
                hooked(hook).fit(X, LABELS)
        else:
            hooked(hook).fit(X, LABELS)

    with threadpool_limits(3, "blas"), ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, range(3))) == [None] * 3
        assert blas_threads() == {3}
    assert set(map(tuple, seen)) == {(1,)}


@pytest.mark.parametrize("first_to_enter", [0, 1])
@pytest.mark.parametrize("first_to_exit", [0, 1])
def test_contexts_of_two_threads_end_in_any_order(first_to_enter, first_to_exit):
    """threadpoolctl 3.8 ignores limits that are set in any but the first thread, as long as that thread is alive."""
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second, threadpool_limits(3, "blas"):
        pools = [first, second]
        for i in (first_to_enter, 1 - first_to_enter):
            pools[i].submit(ONE_BLAS_THREAD.__enter__).result(TIMEOUT)
            assert blas_threads() == {1}
        pools[first_to_exit].submit(ONE_BLAS_THREAD.__exit__).result(TIMEOUT)
        assert blas_threads() == {1}
        pools[1 - first_to_exit].submit(ONE_BLAS_THREAD.__exit__).result(TIMEOUT)
        assert blas_threads() == {3}
        with threadpool_limits(2, "blas"):  # the user can set limits, too
            assert blas_threads() == {2}


def test_concurrent_fits_share_the_threads_of_the_user(started):
    barrier, seen = threading.Barrier(2), []

    def look():  # both fits have started, and none has ended
        barrier.wait(TIMEOUT)
        seen.append(ONE_BLAS_THREAD.n_threads())
        barrier.wait(TIMEOUT)

    with threadpool_limits(4, "blas"), ThreadPoolExecutor(2) as pool:
        models = list(pool.map(lambda _: hooked(look).fit(X, LABELS), range(2)))
    assert set(seen) == {2}
    np.testing.assert_array_equal(models[0].coefs_[0], models[1].coefs_[0])
    assert len({helper.team for helper in started}) == 2
    n_after = len(started) - 2
    assert n_after <= 2  # the fit that ends last may use more


@pytest.mark.parametrize("n_blas", [1, 2, 3, 12])
def test_helpers_never_exceed_the_limit_of_the_user(n_blas, started):
    most = []
    with threadpool_limits(n_blas, "blas"):
        hooked(lambda: most.append(n_helpers())).fit(X, LABELS).predict(X)
    assert max(most) == min(n_blas - 1, 4)  # the largest product has four blocks
    assert (n_blas == 1) == (not started)


def helpers_in_worker():
    """Return the number of BLAS threads and the maximum number of helpers during a fit in this process."""
    divide_small_work()
    most = []
    model = hooked(lambda: most.append(n_helpers()))
    before = blas_threads()
    model.fit(X, LABELS)
    return before, max(most)


@pytest.mark.slow
def test_the_inner_limit_of_joblib():
    n = min(2, os.cpu_count())  # OpenBLAS starts with at most this number of threads
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=n):
        answers = joblib.Parallel()(joblib.delayed(helpers_in_worker)() for _ in range(2))
    assert answers == [({n}, n - 1)] * 2


def test_nested_calls_use_the_threads_of_the_fit():
    """Scorers and callbacks predict and fit during a fit."""
    inner, seen = classifier(hidden_layer_sizes=(40,)).fit(X, LABELS), []

    def use():
        team = threads.current_team()
        inner.predict(X)
        clone(inner).fit(X, LABELS)
        assert threads.current_team() is team
        assert blas_threads() == {1}
        seen.append(ONE_BLAS_THREAD.n_active)

    with threadpool_limits(3, "blas"):
        model = hooked(use).fit(X, LABELS)
        expected = hooked(lambda: None).fit(X, LABELS)
    assert set(seen) == {1}
    np.testing.assert_array_equal(model.coefs_[0], expected.coefs_[0])


# Forks


needs_fork = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")


def in_fork(check):
    """Return whether ``check()`` succeeds in a forked child."""
    child = multiprocessing.get_context("fork").Process(target=check)
    child.start()
    child.join(TIMEOUT)
    if child.exitcode is None:
        child.kill()
    return child.exitcode == 0


def check_child(expected):
    """Check in a child that BLAS is not limited, and that a fit gives the expected weights and restores the limit."""
    assert threads.current_team() is None
    assert ONE_BLAS_THREAD.n_active == 0
    assert blas_threads() == {3}
    np.testing.assert_array_equal(hooked(lambda: None).fit(X, LABELS).coefs_[0], expected)
    assert blas_threads() == {3}


@needs_fork
def test_fork_in_a_callback():
    expected, succeeded = hooked(lambda: None).fit(X, LABELS).coefs_[0], []

    def fork():
        if not succeeded:
            succeeded.append(in_fork(lambda: check_child(expected)))

    with threadpool_limits(3, "blas"):
        np.testing.assert_array_equal(hooked(fork).fit(X, LABELS).coefs_[0], expected)
        assert blas_threads() == {3}
    assert succeeded == [True]


@needs_fork
def test_fork_while_another_thread_fits():
    expected = hooked(lambda: None).fit(X, LABELS).coefs_[0]
    in_fit, forked = threading.Event(), threading.Event()
    with threadpool_limits(3, "blas"), ThreadPoolExecutor(1) as pool:
        future = pool.submit(hooked(lambda: (in_fit.set(), forked.wait(TIMEOUT))).fit, X, LABELS)
        in_fit.wait(TIMEOUT)
        try:
            assert in_fork(lambda: check_child(expected))
        finally:
            forked.set()
        np.testing.assert_array_equal(future.result().coefs_[0], expected)
        assert blas_threads() == {3}


@needs_fork
def test_a_child_that_continues_the_fit():
    """The rest of the fit has no helpers; later fits limit BLAS."""
    expected, pids = hooked(lambda: None).fit(X, LABELS), []

    def fork():
        if not pids:
            pids.append(os.fork())

    with threadpool_limits(3, "blas"):
        model = None
        try:
            model = hooked(fork).fit(X, LABELS)
            np.testing.assert_allclose(model.coefs_[0], expected.coefs_[0], rtol=1e-4, atol=1e-6)
            if pids == [0]:
                check_child(expected.coefs_[0])
                os._exit(0)
        finally:
            if pids == [0]:
                os._exit(1)
        status = []

        def ended():
            pid, code = os.waitpid(pids[0], os.WNOHANG)
            status.append(code)
            return pid != 0

        try:
            wait_until(ended)
        except AssertionError:
            os.kill(pids[0], signal.SIGKILL)
            os.waitpid(pids[0], 0)
            raise
        assert status[-1] == 0

"""Fits and predictions free their memory when they end, even in an error, without the garbage collector."""

import gc
import tracemalloc
import warnings
import weakref
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from helpers import HAVE_CALLBACKS, classifier, regressor

import skdropout._base
import skdropout._fit.plan
import skdropout._sampling
from skdropout import EarlyStopping

rng = np.random.RandomState(0)
X = rng.normal(size=(40, 5))
y = X[:, 0]
LABELS = np.array(["no", "yes"])[(y > 0).astype(int)]


def assert_fails(call):
    try:
        call()
    except ValueError:
        return
    raise AssertionError("no ValueError was raised")


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    NETWORK, NOISY = classifier().fit(X, LABELS), regressor().fit(X, y)
CALLS = {
    "classifier": lambda: classifier(batch_norm="before_activation").fit(X, LABELS),
    "early stopping": lambda: classifier(early_stopping=True).fit(X, LABELS),
    "regressor": lambda: regressor(mask_sharing="batch").fit(X, y),
    "partial_fit": lambda: classifier().partial_fit(X, LABELS, classes=["no", "yes"]).partial_fit(X, LABELS),
    "lbfgs": lambda: classifier(solver="lbfgs", dropout=0).fit(X, LABELS),
    "bad rows": lambda: assert_fails(lambda: regressor().fit(X * np.nan, y)),
    "bad partial_fit": lambda: assert_fails(lambda: NOISY.partial_fit(X[:, 1:], y)),
    "divergence": lambda: assert_fails(lambda: regressor(learning_rate_init=1e300).fit(X, y)),
    "lbfgs, divergence": lambda: assert_fails(lambda: regressor(solver="lbfgs", dropout=0).fit(X, 1e300 * y)),
    "predict_uncertainty": lambda: NETWORK.predict_uncertainty(X, n_samples=3),
    "calibrate": lambda: regressor(early_stopping=True).fit(X, y).calibrate(X, y).predict_interval(X),
    "return_std": lambda: NOISY.predict(X, return_std=True, n_samples=3),
    "bad sampling": lambda: assert_fails(lambda: NETWORK.sample_proba(X, dropout=2)),
}
if HAVE_CALLBACKS:  # scikit-learn 1.9 caches the last 128 hooks that it called, with their callbacks
    STOPPING = EarlyStopping(X, LABELS)
    CALLS["callbacks"] = lambda: classifier().set_callbacks(STOPPING).fit(X, LABELS)


@contextmanager
def without_collector():
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("name", CALLS)
def test_buffers_are_freed_at_the_end_of_the_call(monkeypatch, name):
    made = []

    def tracked(cls):
        class Tracked(cls):
            def __init__(self, *args, **kwargs):
                made.append(weakref.ref(self))
                super().__init__(*args, **kwargs)

        return Tracked

    for module, cls in (
        (skdropout._fit.plan, "Backprop"),
        (skdropout._base, "Training"),
        (skdropout._base, "LBFGS"),
        (skdropout._sampling, "Sampler"),
    ):
        monkeypatch.setattr(module, cls, tracked(getattr(module, cls)))
    with without_collector():
        CALLS[name]()
        if name.startswith("lbfgs"):  # SciPy 1.12 keeps its objective in a reference cycle
            gc.collect()
        assert not any(ref() for ref in made)
    assert bool(made) != name.startswith("bad")  # rejected before any allocation


def test_object_count_does_not_grow():
    def all_calls():
        for call in CALLS.values():
            call()
        gc.collect()
        return len(gc.get_objects())

    all_calls()
    counts = [all_calls() for _ in range(4)]
    assert counts[-1] - counts[0] < 3  # a leak of one object per round adds 3


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="RssAnon is in Linux's /proc")
def test_a_thousand_fits_do_not_leak():
    from test_memory import AnonymousMemory

    def rounds(n):
        for _ in range(n):
            for call in CALLS.values():
                call()
        gc.collect()
        return len(gc.get_objects())

    rounds(5)  # at least nine fits per round
    tracemalloc.start()
    objects, before = rounds(5), tracemalloc.take_snapshot()
    with AnonymousMemory() as memory:
        later = rounds(100)
    grown = [s for s in tracemalloc.take_snapshot().compare_to(before, "filename") if "skdropout" in str(s.traceback)]
    tracemalloc.stop()
    assert later - objects < 50  # one per round would be 100; the test tools add some
    assert sum(s.size_diff for s in grown) < 20_000
    print(f"RssAnon grew by {memory.added / 2**20:.1f} MB at its peak, objects by {later - objects}")
    assert memory.added < 20 * 2**20  # one leaked buffer per fit would be more

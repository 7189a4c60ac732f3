"""What a fit or a prediction allocates is given back when it ends, however it ends, without the garbage collector."""

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


def fails(call):
    try:
        call()
    except ValueError:
        return
    raise AssertionError("it was to fail")


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    NETWORK, NOISY = classifier().fit(X, LABELS), regressor().fit(X, y)
CALLS = {
    "classifier": lambda: classifier(batch_norm="before_activation").fit(X, LABELS),
    "early stopping": lambda: classifier(early_stopping=True).fit(X, LABELS),
    "regressor": lambda: regressor(mask_sharing="batch").fit(X, y),
    "partial_fit": lambda: classifier().partial_fit(X, LABELS, classes=["no", "yes"]).partial_fit(X, LABELS),
    "lbfgs": lambda: classifier(solver="lbfgs", dropout=0).fit(X, LABELS),
    "bad rows": lambda: fails(lambda: regressor().fit(X * np.nan, y)),
    "bad partial_fit": lambda: fails(lambda: NOISY.partial_fit(X[:, 1:], y)),
    "divergence": lambda: fails(lambda: regressor(learning_rate_init=1e300).fit(X, y)),
    "lbfgs, divergence": lambda: fails(lambda: regressor(solver="lbfgs", dropout=0).fit(X, 1e300 * y)),
    "predict_uncertainty": lambda: NETWORK.predict_uncertainty(X, n_samples=3),
    "return_std": lambda: NOISY.predict(X, return_std=True, n_samples=3),
    "bad sampling": lambda: fails(lambda: NETWORK.sample_proba(X, dropout=2)),
}
if HAVE_CALLBACKS:  # scikit-learn 1.9 keeps the last 128 hooks it has called in a cache, with the callbacks they are of
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
def test_the_buffers_end_with_the_call(monkeypatch, name):
    made = []

    def watched(cls):
        class Watched(cls):
            def __init__(self, *args, **kwargs):
                made.append(weakref.ref(self))
                super().__init__(*args, **kwargs)

        return Watched

    for module, cls in (
        (skdropout._fit.plan, "Backprop"),
        (skdropout._base, "Training"),
        (skdropout._base, "LBFGS"),
        (skdropout._sampling, "Sampler"),
    ):
        monkeypatch.setattr(module, cls, watched(getattr(module, cls)))
    with without_collector():
        CALLS[name]()
        if name.startswith("lbfgs"):  # SciPy 1.12 keeps the function that it minimised in a cycle
            gc.collect()
        assert not any(ref() for ref in made)
    assert bool(made) != name.startswith("bad")  # which are refused before


def test_objects_do_not_add_up():
    def all_calls():
        for call in CALLS.values():
            call()
        gc.collect()
        return len(gc.get_objects())

    all_calls()
    counts = [all_calls() for _ in range(4)]
    assert counts[-1] - counts[0] < 3  # one a round


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="RssAnon is in Linux's /proc")
def test_a_thousand_fits_leak_nothing():
    from test_memory import AnonymousMemory

    def rounds(n):
        for _ in range(n):
            for call in CALLS.values():
                call()
        gc.collect()
        return len(gc.get_objects())

    rounds(5)  # nine fits and more in each
    tracemalloc.start()
    objects, before = rounds(5), tracemalloc.take_snapshot()
    with AnonymousMemory() as memory:
        later = rounds(100)
    grown = [s for s in tracemalloc.take_snapshot().compare_to(before, "filename") if "skdropout" in str(s.traceback)]
    tracemalloc.stop()
    assert later - objects < 50  # one a round would be 100; the tools of this test have some
    assert sum(s.size_diff for s in grown) < 20_000
    print(f"RssAnon grew by {memory.added / 2**20:.1f} MB at its peak, objects by {later - objects}")
    assert memory.added < 20 * 2**20  # a buffer of each would be more

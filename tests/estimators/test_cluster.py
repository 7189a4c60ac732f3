"""A search on Dask that loses a worker, as in the guide (doc/scaling.rst).

`pytest -m slow -s tests/estimators/test_cluster.py` prints a log.
"""

import os
import signal
import time

import joblib
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from threadpoolctl import threadpool_limits

from skdropout import DropoutMLPClassifier

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

X, y = load_digits(return_X_y=True)
X = X / 16
N_FITS = 20


class Killer(distributed.SchedulerPlugin):
    """Kill a worker process after a number of fits; record which fits are lost and which worker repeats them."""

    def __init__(self, nannies, after):
        self.nannies, self.after, self.start = nannies, after, time.perf_counter()
        self.n_done, self.killed, self.lost, self.recomputed = 0, None, set(), {}

    def transition(self, key, start, finish, *args, worker=None, stimulus_id, **kwargs):
        if "_fit_and_score" not in key or stimulus_id.startswith("client-releases-keys"):  # which no longer needs it
            return
        if (start, finish) == ("processing", "memory"):
            self.n_done += 1
            if key in self.lost:
                self.recomputed[key] = worker
                self.log(f"a lost fit was done again by {worker}")
            if self.n_done == self.after:
                self.kill(next(nanny for nanny in self.nannies if nanny.worker_address != worker))
        elif self.killed and (start, finish) == ("processing", "released"):
            self.lost.add(key)
            self.log("a fit was lost")
        elif self.killed and (start, finish) == ("memory", "released"):  # the client may have it already
            self.log("a result was lost")

    def kill(self, nanny):
        self.killed = nanny.worker_address
        os.kill(nanny.pid, signal.SIGKILL)
        self.log(f"{self.n_done} of {N_FITS} fits done; kill -9 of {self.killed}, process {nanny.pid}")

    def log(self, what):
        print(f"{time.perf_counter() - self.start:6.2f} s  {what}", flush=True)


def search(cv):
    # cosine: training runs to its end, 40 epochs, without a ConvergenceWarning
    clf = DropoutMLPClassifier((64, 64), learning_rate="cosine", max_iter=40, random_state=0)
    return GridSearchCV(clf, {"dropout": [0.0, 0.1, (0.1, 0.3), 0.3, 0.5]}, scoring="neg_log_loss", cv=cv)


@pytest.fixture(scope="module")
def serial():
    with threadpool_limits(1, "blas"):  # as in Dask's workers: the last digits of a product depend on it
        return search(StratifiedKFold(N_FITS // 5)).fit(X, y)


@pytest.mark.parametrize("after", [3, 10])
def test_a_search_survives_the_loss_of_a_worker(serial, after):
    folds = [(train.tolist(), test.tolist()) for train, test in StratifiedKFold(N_FITS // 5).split(X, y)]
    local = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}  # None would take port 8787
    with (
        threadpool_limits(1, "blas"),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **local) as cluster,
        distributed.Client(cluster) as client,
    ):
        killer = Killer(cluster.workers.values(), after)
        cluster.scheduler.add_plugin(killer)
        client.amm.stop()
        with joblib.parallel_config(backend="dask", scatter=[X, y]):
            found = search(folds).fit(X, y)
        killer.log(f"search done, {killer.n_done} fits in all, best {found.best_params_}")

    assert killer.lost
    assert killer.lost == set(killer.recomputed)
    assert killer.killed not in killer.recomputed.values()
    assert killer.n_done >= N_FITS
    assert found.best_params_ == serial.best_params_
    splits = [name for name in serial.cv_results_ if name.startswith("split")]
    assert len(splits) == N_FITS // 5
    for name in splits:
        assert_array_equal(found.cv_results_[name], serial.cv_results_[name])
    for a, b in zip(found.best_estimator_.coefs_, serial.best_estimator_.coefs_, strict=True):
        assert_array_equal(a, b)

"""
=========================================
A fault-tolerant search on a Dask cluster
=========================================

joblib sends the fits of a search to Dask workers. By default a search fails if it loses a worker; three lines of code
make it fault-tolerant. To show this, the example kills a worker during the search. The scores are bit-identical to
those of the serial search. The example needs Dask: ``pip install 'dask[distributed]'``.
"""

# %%
# A search over the dropout rate, first in this process.
import os
import subprocess
import sys
import threading
from time import perf_counter, sleep

import joblib
import matplotlib.pyplot as plt
import numpy as np
from dask.distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skdropout import DropoutMLPClassifier

X, y = load_digits(return_X_y=True)
X, cv, rates = X / 16, StratifiedKFold(4), [0.0, 0.1, 0.2, 0.35, 0.5]
clf = DropoutMLPClassifier(hidden_layer_sizes=(64, 64), learning_rate="cosine", max_iter=30, random_state=0)
serial = GridSearchCV(clf, {"dropout": rates}, cv=cv, scoring="neg_log_loss").fit(X, y)

# %%
# A scheduler and two workers, started as on separate machines. There, use the address of the scheduler and the command
# ``dask worker ADDRESS --nthreads 1``. Each worker has one thread, including BLAS.
cluster = LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0")
command = [sys.executable, "-m", "dask", "worker", cluster.scheduler_address, "--nthreads=1", "--no-nanny"]
one_thread = os.environ | {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
workers = [subprocess.Popen([*command, "--no-dashboard"], env=one_thread, stderr=subprocess.DEVNULL) for _ in range(2)]
client = Client(cluster)
client.wait_for_workers(2)


def kill_one(after):
    """Kill a worker some seconds after the first fits were sent."""
    while not any(client.processing().values()):
        sleep(0.01)
    sleep(after)
    workers[0].kill()
    print(f"worker killed {perf_counter() - start:.1f} s after the start of the search")


# %%
# The fault-tolerant search. Data that are scattered to the workers cannot be recomputed. Therefore X and y are copied
# to *every* worker, and the folds are lists, which are sent with each task instead of being scattered to one worker.
client.amm.stop()  # the memory manager would delete copies
folds = [(train.tolist(), test.tolist()) for train, test in cv.split(X, y)]
start = perf_counter()
killer = threading.Thread(target=kill_one, args=(1.5,))
killer.start()
with joblib.parallel_config(backend="dask", scatter=[X, y]):
    search = GridSearchCV(clf, {"dropout": rates}, cv=folds, scoring="neg_log_loss").fit(X, y)
killer.join()
print(f"search finished after {perf_counter() - start:.1f} s, workers left: {len(client.scheduler_info()['workers'])}")
client.close()
cluster.close()
for worker in workers:
    worker.kill()
    worker.wait()

# %%
# The lost fits were recomputed, and every score of every split is bit-identical to the serial search.
scores = [[s.cv_results_[f"split{i}_test_score"] for i in range(4)] for s in (serial, search)]
print(f"scores that differ: {np.not_equal(*scores).sum()} of {np.size(scores[0])}; best: {search.best_params_}")
fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for name, style, split_scores in zip(("one process", "two workers, one killed"), ("o-", "x--"), scores, strict=True):
    ax.plot(rates, -np.mean(split_scores, axis=0), style, markersize=10, label=name)
ax.set(xlabel="dropout rate", ylabel="log loss, mean of four folds", title="The same scores, with a worker killed")
ax.legend()
plt.show()

"""Training and prediction do not copy memory-mapped rows into anonymous memory."""

import sys
from pathlib import Path

import numpy as np
import pytest

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

sys.path.append(str(Path(__file__).parents[2]))
from benchmarks.rss import AnonymousMemory

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="RssAnon is in Linux's /proc"),
]

N_ROWS, N_FEATURES = 100_000, 100
# Bytes per row. A float32 copy of X takes 400, 40 MB in total: more than malloc reuses from freed memory. Labels,
# codes, permutations and validation probabilities take less.
BOUND = 150

y = np.arange(N_ROWS) % 100


@pytest.fixture(scope="module", params=[np.float32, np.uint8], ids=["float32", "uint8"])
def X(request, tmp_path_factory):
    """Yield rows in a memory-mapped file."""
    path = tmp_path_factory.mktemp("rows") / "X"
    pattern = np.random.RandomState(0).randint(0, 2, size=(1000, N_FEATURES)).astype(request.param)
    with open(path, "wb") as file:
        for _ in range(N_ROWS // len(pattern)):
            pattern.tofile(file)
    yield np.memmap(path, request.param, "r", shape=(N_ROWS, N_FEATURES))
    path.unlink()


def network(cls=DropoutMLPClassifier, **params):
    return cls(hidden_layer_sizes=8, batch_size=1000, max_iter=1, random_state=0, **params)


FITS = {
    "classifier": lambda X: network().fit(X, y % 2),
    "100 classes": lambda X: network().fit(X, y),
    "early stopping": lambda X: network(early_stopping=True, validation_fraction=0.5).fit(X, y % 2),
    "X_val": lambda X: network().fit(X[:5000], y[:5000] % 2, X_val=X, y_val=y % 2),
    "regressor": lambda X: network(DropoutMLPRegressor).fit(X, y),
    "regressor, X_val": lambda X: network(DropoutMLPRegressor).fit(X[:5000], y[:5000], X_val=X, y_val=y),
    "partial_fit": lambda X: network().partial_fit(X, y % 2, classes=range(2)),
}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_training_does_not_copy_memory_mapped_rows(X, fit):
    with AnonymousMemory() as memory:
        fit(X)
    assert memory.added < BOUND * N_ROWS


def test_prediction_does_not_copy_memory_mapped_rows(X):
    clf = network().fit(X[:5000], y[:5000] % 2)
    with AnonymousMemory() as memory:
        clf.predict_proba(X)
        clf.predict_log_proba(X)
        clf.predict_uncertainty(X, n_samples=2)
    assert memory.added < BOUND * N_ROWS


def test_score_does_not_allocate_the_probabilities_of_all_rows(X):
    clf = network().fit(X[:5000], y[:5000])  # 100 classes: probabilities as large as X
    with AnonymousMemory() as memory:
        clf.score(X, y)
    assert memory.added < BOUND * N_ROWS


def test_predict_log_proba_allocates_only_its_result(X):
    clf = network().fit(X[:5000], y[:5000])
    with AnonymousMemory() as memory:
        result = clf.predict_log_proba(X)
    assert memory.added < 1.5 * result.nbytes


@pytest.mark.parametrize("X", [np.float32], ids=["float32"], indirect=True)
def test_partial_fit_over_a_parquet_file_needs_little_memory(X, tmp_path):
    """Run the documented loop; with pre_buffer=True, pyarrow's default, rows already read stay in memory."""
    pytest.importorskip("pandas")  # imported first, like pyarrow: modules take memory, too
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    names = [f"x{i}" for i in range(N_FEATURES)]
    schema = pa.schema([*((name, pa.float32()) for name in names), ("label", pa.int64())])
    with parquet.ParquetWriter(tmp_path / "rows.parquet", schema, use_dictionary=False, compression="none") as writer:
        for start in range(0, N_ROWS, 5000):
            rows = slice(start, start + 5000)
            writer.write_table(pa.table([*map(pa.array, X[rows].T), pa.array(y[rows])], schema=schema))

    clf = network()
    with AnonymousMemory() as memory, parquet.ParquetFile(tmp_path / "rows.parquet", pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=1000):
            rows = batch.to_pandas()
            clf.partial_fit(rows.drop(columns="label"), rows["label"], classes=range(100))
    assert clf.t_ == N_ROWS
    assert memory.added < 300 * N_ROWS  # measured: 16 MB, or 51 MB if rows already read stay in memory

"""Memory that training and prediction need in addition to data on disk.

    python -m benchmarks.memory [--rows 1000000] [--only fit ...]

The data are memory-mapped files and a Parquet file in a temporary folder, which is deleted at the end. Each case runs
in a separate process, which first trains a small network. The result is the peak of its anonymous memory, minus the
anonymous memory after this small fit. Anonymous memory is RssAnon of /proc/self/status. It does not include pages of
mapped files, which the system can reclaim. It includes the return value and everything with one entry per row: the
labels or targets of the loss and, in fit, the permutations of the rows, with 8 bytes each.

Needs Linux and pyarrow: ``pip install -e '.[bench]'``.
"""

import argparse
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow.parquet import ParquetFile, ParquetWriter
from scipy import sparse

from benchmarks.rss import AnonymousMemory
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

N_FEATURES, CHUNK_ROWS = 100, 50_000
NON_ZEROS = 5  # per sparse row


def write(folder, n_rows):
    """Write n_rows rows of normal float32, of uint8 and of sparse float32, and the first with labels as Parquet."""
    rng, names = np.random.default_rng(0), [f"x{i}" for i in range(N_FEATURES)]
    schema = pa.schema([(name, pa.float32()) for name in names] + [("label", pa.int64())])
    real, small = (folder / name for name in ("float32", "uint8"))
    np.tile(np.arange(0, N_FEATURES, N_FEATURES // NON_ZEROS, dtype=np.int32), n_rows).tofile(folder / "indices")
    (NON_ZEROS * np.arange(n_rows + 1, dtype=np.int32)).tofile(folder / "indptr")
    with open(real, "wb") as f, open(small, "wb") as u, ParquetWriter(folder / "parquet", schema) as parquet:
        for start in range(0, n_rows, CHUNK_ROWS):
            X = rng.standard_normal((min(CHUNK_ROWS, n_rows - start), N_FEATURES), np.float32)
            X.tofile(f)
            rng.integers(0, 256, X.shape, np.uint8).tofile(u)
            columns = [*X.T, rng.integers(0, 10, len(X))]
            parquet.write_table(pa.table([pa.array(c) for c in columns], schema=schema), row_group_size=10_000)


class Data:
    """Data of the cases: X in several formats, labels, targets, the first fifth of the rows, and fitted networks."""

    def __init__(self, folder, n_rows):
        self.parquet = folder / "parquet"
        self.X = np.memmap(folder / "float32", np.float32, "r", shape=(n_rows, N_FEATURES))
        self.pixels = np.memmap(folder / "uint8", np.uint8, "r", shape=(n_rows, N_FEATURES))
        stored = np.memmap(folder / "float32", np.float32, "r", shape=NON_ZEROS * n_rows)
        self.sparse = sparse.csr_array(
            (stored, *(np.memmap(folder / name, np.int32, "r") for name in ("indices", "indptr"))),
            shape=(n_rows, N_FEATURES),
        )
        self.y, self.target = np.arange(n_rows) % 10, np.sin(np.arange(n_rows), dtype=np.float32)
        self.first_fifth = slice(n_rows // 5)
        self.wide = self.classifier(hidden_layer_sizes=256).fit(self.X[:2000], self.y[:2000])
        self.noisy = self.regressor(dropout=0.2, dropout_schedule="constant").fit(self.X[:2000], self.target[:2000])

    def classifier(self, **params):
        return DropoutMLPClassifier(**{"hidden_layer_sizes": 32, "batch_size": 1000, "max_iter": 2} | params)

    def regressor(self, **params):
        return DropoutMLPRegressor(hidden_layer_sizes=32, batch_size=1000, max_iter=2, **params)


def many_classes(data, **params):
    n_rows = data.first_fifth.stop
    data.classifier(**params).fit(data.X[:n_rows], np.arange(n_rows) % 100)


def validation_rows(data):
    X, y, rest = data.X, data.y, data.first_fifth.stop
    data.classifier().fit(X[:rest], y[:rest], X_val=X[rest:], y_val=y[rest:])


def memmap_chunks(data):
    clf = data.classifier()
    for start in range(0, len(data.y), CHUNK_ROWS):
        clf.partial_fit(data.X[start:][:CHUNK_ROWS], data.y[start:][:CHUNK_ROWS], classes=range(10))


def parquet_batches(data):
    clf = data.classifier()
    with ParquetFile(data.parquet, pre_buffer=False) as file:  # pre-buffering keeps the data in memory
        for batch in file.iter_batches(batch_size=10_000):
            rows: pd.DataFrame = batch.to_pandas()
            clf.partial_fit(rows.drop(columns="label"), rows["label"], classes=range(10))


CASES = {
    "fit": lambda d: d.classifier().fit(d.X, d.y),
    "fit, early_stopping=True": lambda d: d.classifier(early_stopping=True).fit(d.X, d.y),
    "fit, four fifths as X_val": validation_rows,
    "fit, uint8": lambda d: d.classifier().fit(d.pixels, d.y),
    "fit, uint8, early_stopping=True": lambda d: d.classifier(early_stopping=True).fit(d.pixels, d.y),
    "fit, 100 classes, a fifth of the rows": many_classes,
    "fit, the same, early_stopping=True": partial(many_classes, early_stopping=True),
    "regressor, fit": lambda d: d.regressor().fit(d.X, d.target),
    "regressor, fit, early_stopping=True": lambda d: d.regressor(early_stopping=True).fit(d.X, d.target),
    "fit, sparse": lambda d: d.classifier().fit(d.sparse, d.y),
    "fit, sparse, early_stopping=True": lambda d: d.classifier(early_stopping=True).fit(d.sparse, d.y),
    "predict_proba, 256 units": lambda d: d.wide.predict_proba(d.X),
    "predict_proba, 256 units, sparse": lambda d: d.wide.predict_proba(d.sparse),
    "score, 256 units": lambda d: d.wide.score(d.X, d.y),
    "predict_uncertainty, 256 units, 5 passes": lambda d: d.wide.predict_uncertainty(d.X, n_samples=5),
    "predict_uncertainty, 256 units, 50 passes, a fifth": lambda d: d.wide.predict_uncertainty(
        d.X[d.first_fifth], n_samples=50
    ),
    "sample_proba, 256 units, 5 passes": lambda d: d.wide.sample_proba(d.X, 5),
    "log_predictive_density, 256 units, 5 passes": lambda d: d.wide.log_predictive_density(d.X, d.y, n_samples=5),
    "regressor, sample_y, 5 passes": lambda d: d.noisy.sample_y(d.X, 5),
    "regressor, predict, return_std=True": lambda d: d.noisy.predict(d.X, return_std=True, n_samples=5),
    "partial_fit, chunks of 50 000 rows from a memory map": memmap_chunks,
    "partial_fit, batches of 10 000 rows from Parquet": parquet_batches,
}


def measure(name, folder, n_rows):
    """Return the additional memory of the case, in bytes."""
    warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")
    data = Data(folder, n_rows)
    with AnonymousMemory() as memory:
        CASES[name](data)
    return memory.added


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), args.rows)
        mb = args.rows * N_FEATURES / 2**20
        print(
            f"{args.rows:,} x {N_FEATURES}: float32 {4 * mb:.0f} MB, uint8 {mb:.0f} MB. Additional anonymous memory:\n"
        )
        print("| | MB | bytes per row of X |\n|---|---|---|")
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
            job = partial(measure, folder=Path(folder), n_rows=args.rows)
            for name, added in zip(args.only, pool.map(job, args.only), strict=True):
                print(f"| {name} | {added / 2**20:.0f} | {added / args.rows:.0f} |", flush=True)


if __name__ == "__main__":
    main()

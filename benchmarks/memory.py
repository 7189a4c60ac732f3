"""Memory: what training and prediction add to data that lie on disk.

    python -m benchmarks.memory [--rows 1000000] [--only fit ...]

The data are memory-mapped files and a Parquet file in a temporary folder, which is deleted. Each line is a process of
its own, which trains a small network first: the peak of its anonymous memory above what it had then. That is RssAnon of
/proc/self/status, what a process has allocated; the pages of mapped files, which the system takes back as it likes, are
not in it. What is returned is, and so is what belongs to every row: a label or target of the loss, and in fit the
permutations of the rows, 8 bytes each.

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

N_FEATURES, CHUNK, STORED = 100, 50_000, 5  # of a sparse row so many values


def write(folder, n_rows):
    """The files: n_rows rows of normal float32, of uint8, of sparse float32, and the first as Parquet with a label."""
    rng, names = np.random.default_rng(0), [f"x{i}" for i in range(N_FEATURES)]
    schema = pa.schema([(name, pa.float32()) for name in names] + [("label", pa.int64())])
    real, small = (folder / name for name in ("float32", "uint8"))
    np.tile(np.arange(0, N_FEATURES, N_FEATURES // STORED, dtype=np.int32), n_rows).tofile(folder / "indices")
    (STORED * np.arange(n_rows + 1, dtype=np.int32)).tofile(folder / "indptr")
    with open(real, "wb") as f, open(small, "wb") as u, ParquetWriter(folder / "parquet", schema) as parquet:
        for start in range(0, n_rows, CHUNK):
            X = rng.standard_normal((min(CHUNK, n_rows - start), N_FEATURES), np.float32)
            X.tofile(f)
            rng.integers(0, 256, X.shape, np.uint8).tofile(u)
            columns = [*X.T, rng.integers(0, 10, len(X))]
            parquet.write_table(pa.table([pa.array(c) for c in columns], schema=schema), row_group_size=10_000)


class Data:
    """What the cases work on: X, its first fifth, labels, and networks that know how to predict."""

    def __init__(self, folder, n_rows):
        self.parquet = folder / "parquet"
        self.X = np.memmap(folder / "float32", np.float32, "r", shape=(n_rows, N_FEATURES))
        self.pixels = np.memmap(folder / "uint8", np.uint8, "r", shape=(n_rows, N_FEATURES))
        stored = np.memmap(folder / "float32", np.float32, "r", shape=STORED * n_rows)
        self.sparse = sparse.csr_array(
            (stored, *(np.memmap(folder / name, np.int32, "r") for name in ("indices", "indptr"))),
            shape=(n_rows, N_FEATURES),
        )
        self.y, self.target = np.arange(n_rows) % 10, np.sin(np.arange(n_rows), dtype=np.float32)
        self.few = slice(n_rows // 5)
        self.wide = self.classifier(hidden_layer_sizes=256).fit(self.X[:2000], self.y[:2000])
        self.noisy = self.regressor(dropout=0.2, dropout_schedule="constant").fit(self.X[:2000], self.target[:2000])

    def classifier(self, **params):
        return DropoutMLPClassifier(**{"hidden_layer_sizes": 32, "batch_size": 1000, "max_iter": 2} | params)

    def regressor(self, **params):
        return DropoutMLPRegressor(hidden_layer_sizes=32, batch_size=1000, max_iter=2, **params)


def many_classes(data, **params):
    n_rows = data.few.stop
    data.classifier(**params).fit(data.X[:n_rows], np.arange(n_rows) % 100)


def validation_rows(data):
    X, y, rest = data.X, data.y, data.few.stop
    data.classifier().fit(X[:rest], y[:rest], X_val=X[rest:], y_val=y[rest:])


def chunks_of_the_map(data):
    clf = data.classifier()
    for start in range(0, len(data.y), CHUNK):
        clf.partial_fit(data.X[start:][:CHUNK], data.y[start:][:CHUNK], classes=range(10))


def batches_of_parquet(data):
    clf = data.classifier()
    with ParquetFile(data.parquet, pre_buffer=False) as file:  # it would keep what it has read
        for batch in file.iter_batches(batch_size=10_000):
            rows: pd.DataFrame = batch.to_pandas()
            clf.partial_fit(rows.drop(columns="label"), rows["label"], classes=range(10))


CASES = {
    "fit": lambda d: d.classifier().fit(d.X, d.y),
    "fit, early_stopping=True": lambda d: d.classifier(early_stopping=True).fit(d.X, d.y),
    "fit, X_val of four fifths": validation_rows,
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
        d.X[d.few], n_samples=50
    ),
    "sample_proba, 256 units, 5 passes": lambda d: d.wide.sample_proba(d.X, 5),
    "log_predictive_density, 256 units, 5 passes": lambda d: d.wide.log_predictive_density(d.X, d.y, n_samples=5),
    "regressor, sample_y, 5 passes": lambda d: d.noisy.sample_y(d.X, 5),
    "regressor, predict, return_std=True": lambda d: d.noisy.predict(d.X, return_std=True, n_samples=5),
    "partial_fit, 50 000 rows of the map at a time": chunks_of_the_map,
    "partial_fit, 10 000 rows of Parquet at a time": batches_of_parquet,
}


def measure(name, folder, n_rows):
    """Bytes that the case adds."""
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
        print(f"{args.rows:,} x {N_FEATURES}: float32 {4 * mb:.0f} MB, uint8 {mb:.0f} MB. Anonymous memory added:\n")
        print("| | MB | bytes a row of X |\n|---|---|---|")
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
            job = partial(measure, folder=Path(folder), n_rows=args.rows)
            for name, added in zip(args.only, pool.map(job, args.only), strict=True):
                print(f"| {name} | {added / 2**20:.0f} | {added / args.rows:.0f} |", flush=True)


if __name__ == "__main__":
    main()

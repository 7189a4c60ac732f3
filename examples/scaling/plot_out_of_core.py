"""
=============================================
Out-of-core training: data larger than memory
=============================================

This example trains on rows that stay on disk. Pass a memory-mapped file to ``fit``, or a stream of batches, here from a
Parquet file, to ``partial_fit``. Each mini-batch is read and cast when it is used. The example needs pandas and
pyarrow: ``pip install pandas pyarrow``.
"""

# %%
# Two files of 40 000 rows: each training image thirty times, with different noise. The values are scaled before they
# are written: a ``StandardScaler`` in a pipeline would copy all rows (its ``partial_fit`` would not).
import tempfile
import tracemalloc
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdropout import DropoutMLPClassifier

warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # intended
images, labels = load_digits(return_X_y=True)
train, X_test, y_train, y_test = train_test_split(images / 16, labels, stratify=labels, random_state=0)
n_copies, rng = 30, np.random.RandomState(0)
folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # on Windows the map stays open until the end
mapped, table = Path(folder.name) / "digits.float32", Path(folder.name) / "digits.parquet"
schema = pa.schema([*((f"pixel{i}", pa.float32()) for i in range(64)), ("label", pa.int64())])

with open(mapped, "wb") as file, pq.ParquetWriter(table, schema) as parquet:
    for _ in range(n_copies):
        rows = (train + rng.normal(scale=0.3, size=train.shape)).astype(np.float32)
        rows.tofile(file)
        parquet.write_table(pa.table([*map(pa.array, rows.T), pa.array(y_train)], schema=schema))
size = mapped.stat().st_size / 2**20
print(f"{mapped.name}: {size:.1f} MB")

# %%
# Pass a memory-mapped file to ``fit``, which allocates memory for the labels and two permutations of the rows. The
# measured peak is that of allocations by Python and NumPy; it does not include mapped pages.
n_epochs, settings = 6, {"hidden_layer_sizes": 64, "dropout": 0.1, "dtype": "float32", "random_state": 0}
X, y = np.memmap(mapped, np.float32, "r").reshape(-1, 64), np.tile(y_train, n_copies)
clf = DropoutMLPClassifier(max_iter=n_epochs, **settings)
tracemalloc.start()
clf.fit(X, y, X_val=X_test, y_val=y_test)
results = {"fit on a memory map": (clf.validation_scores_, tracemalloc.get_traced_memory()[1] / 2**20)}
tracemalloc.stop()

# %%
# Pass batches of a Parquet file to ``partial_fit``: one pass over the file is one epoch. Each call shuffles only its
# own rows: a sorted file must be shuffled first. The first call needs all classes. Without ``pre_buffer=False`` pyarrow
# keeps the data that it has read. pyarrow's own buffers are printed separately.
stream, scores = DropoutMLPClassifier(**settings), []
tracemalloc.start()
for _ in range(n_epochs):
    with pq.ParquetFile(table, pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=1_000):
            rows = batch.to_pandas()
            stream.partial_fit(rows.drop(columns="label").to_numpy(), rows["label"], classes=range(10))
    scores.append(stream.score(X_test, y_test))
results["partial_fit on Parquet"] = scores, tracemalloc.get_traced_memory()[1] / 2**20
tracemalloc.stop()
print(f"buffers of pyarrow, writing and reading: {pa.default_memory_pool().max_memory() / 2**20:.1f} MB")

# %%
# Both reach about the same accuracy, and neither keeps the rows in memory.
fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for name, (scores, peak) in results.items():
    print(f"{name}: test accuracy {scores[-1]:.3f}, {peak:.1f} MB added")
    ax.plot(range(1, n_epochs + 1), scores, "o-", label=f"{name}, {peak:.0f} MB of memory")
ax.set(xlabel="epoch", ylabel="test accuracy", title=f"{len(X):,} digits on disk, {size:.0f} MB in float32")
ax.legend()
folder.cleanup()
plt.show()

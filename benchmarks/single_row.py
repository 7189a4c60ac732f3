"""Time to predict a single row: skdropout compared with scikit-learn's MLP, with one BLAS thread.

    python -m benchmarks.single_row [--rounds 25]

The two alternate within each round. The columns are the minimum times, the median of the ratios within rounds, and the
ratio of the minima. Most of the time is spent on validating X. "!" marks a median ratio above 1, the target of the
project.
"""

import argparse
import warnings
from functools import partial
from itertools import product
from time import perf_counter

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

CALLS = 100  # per round
SIZES = [(10, (100,)), (100, (256, 256)), (784, (512, 512))]  # features and hidden layers
INPUTS = {
    "float64": np.asarray,
    "float32": partial(np.asarray, dtype=np.float32),
    "DataFrame": lambda X: pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])]),
    "sparse": csr_array,
    "list": np.ndarray.tolist,
}
PAIRS = [
    (DropoutMLPClassifier, MLPClassifier, ("predict", "predict_proba")),
    (DropoutMLPRegressor, MLPRegressor, ("predict",)),
]


def seconds(method, row):
    start = perf_counter()
    for _ in range(CALLS):
        method(row)
    return (perf_counter() - start) / CALLS


def single_row(rounds):
    print("\nPrediction of one row: skdropout and scikit-learn in µs; ratio, median of rounds; ratio of minima")
    rng = np.random.default_rng(0)
    for (n_features, hidden), (name, convert) in product(SIZES, INPUTS.items()):
        X = rng.standard_normal((100, n_features))
        row = convert(X[:1])
        for Dropout, Sklearn, methods in PAIRS:
            y = X[:, 0] if Dropout is DropoutMLPRegressor else rng.integers(0, 3, 100)
            models = [M(hidden_layer_sizes=hidden, max_iter=1, random_state=0) for M in (Dropout, Sklearn)]
            with warnings.catch_warnings(action="ignore"):
                models = [model.fit(convert(X), y) for model in models]
            for method in methods:
                runs = [getattr(model, method) for model in models]
                for run in runs:
                    seconds(run, row)
                times = np.empty((rounds, 2))
                for i in range(rounds):
                    for j in rng.permutation(2):
                        times[i, j] = seconds(runs[j], row)
                median, minimum = np.median(times[:, 0] / times[:, 1]), np.divide(*times.min(axis=0))
                dropout_time, sklearn_time = times.min(axis=0) * 1e6
                mark = " !" if median > 1 else ""
                label = f"{n_features}-{'-'.join(map(str, hidden))} {name:10}{Dropout.__name__[10:]:11}{method:14}"
                line = f"{label:48}{dropout_time:8.0f}{sklearn_time:8.0f}{median:8.2f}{minimum:8.2f}{mark}"
                print(line, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    with threadpool_limits(1):
        single_row(parser.parse_args().rounds)

"""MNIST, official split: dropout 0.2 / 0.5 compared with no dropout and with scikit-learn.

    python -m benchmarks.mnist [--seeds 3] [--epochs 10]

Networks are 784-256-256-10, trained with SGD, batches of 256 rows and ten epochs. For each seed the three networks are
trained in turn, in an order that rotates with the seed, so that a slowdown of the machine affects all of them. Accuracy
is the mean over seeds with its standard error. Time is in seconds per epoch; its ratio to scikit-learn is the median of
the ratios within each seed.
"""

import argparse
import warnings
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_info

from benchmarks.data import load_mnist
from skdropout import DropoutMLPClassifier

SETTINGS = {
    "hidden_layer_sizes": (256, 256),
    "solver": "sgd",
    "learning_rate_init": 0.5,
    "momentum": 0.0,
    "batch_size": 256,
    "n_iter_no_change": np.inf,
}
MODELS = {
    "scikit-learn, no dropout": lambda **kw: MLPClassifier(**SETTINGS, **kw),
    "skdropout, no dropout": lambda **kw: DropoutMLPClassifier(**SETTINGS, dropout=0.0, **kw),
    "skdropout, 0.2 / 0.5": lambda **kw: DropoutMLPClassifier(**SETTINGS, dropout=(0.2, 0.5), **kw),
}


def main(seeds, epochs):
    warnings.simplefilter("ignore", ConvergenceWarning)  # intended
    data = load_mnist()
    X_train, X_test = (X.astype(np.float32) / 255 for X in (data.X_train, data.X_test))
    names = list(MODELS)
    accuracy, seconds = {name: [] for name in names}, {name: [] for name in names}
    for seed in range(seeds):
        for name in names[seed % 3 :] + names[: seed % 3]:
            model = MODELS[name](max_iter=epochs, random_state=seed)
            start = perf_counter()
            model.fit(X_train, data.y_train)
            seconds[name].append((perf_counter() - start) / epochs)
            accuracy[name].append(model.score(X_test, data.y_test))
    threads = {pool["internal_api"]: pool["num_threads"] for pool in threadpool_info()}
    print(f"{seeds} seeds, {epochs} epochs, float32, threads {threads}")
    print(f"{'':26} {'test accuracy':>18} {'s / epoch':>10} {'scikit-learn / time':>20}")
    for name in names:
        a, s = np.array(accuracy[name]), np.array(seconds[name])
        ratio = np.median(np.array(seconds[names[0]]) / s)
        print(f"{name:26} {a.mean():9.4f} ± {a.std(ddof=1) / seeds**0.5:.4f} {np.median(s):10.3f} {ratio:20.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    main(**vars(parser.parse_args()))

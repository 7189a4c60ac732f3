"""Workloads and contestants of the speed benchmark.

A contestant prepares its arrays or tensors in memory and returns a function without arguments. That function trains
from new weights and returns the seconds per epoch.
"""

import warnings
from itertools import pairwise
from time import perf_counter
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

try:
    import torch
    from torch import nn
except ImportError:  # only the contestants of PyTorch and skorch need it
    torch = None

ALPHA = 1e-4  # L2 penalty of all contestants, scikit-learn's default


class Workload(NamedTuple):
    """A network, its training settings and the number of rows. A network with one output is a regression."""

    units: tuple
    rates: tuple
    solver: str
    batch_size: int
    n_rows: int
    epochs: int = 1
    batch_norm: bool = False
    momentum: float = 0.0
    non_zeros: int | None = None  # per row; None for dense rows
    # minimum of PyTorch, scikit-learn without dropout and bare products, in this order, divided by skdropout
    targets: tuple = (0.0, 0.0, 0.0)
    # maximum of mask_sharing="batch" divided by no dropout, minimum of PyTorch divided by mask_sharing="batch"
    batch_mask_targets: tuple | None = None

    @property
    def regression(self):
        return self.units[-1] == 1


# The data sets that these networks come from have more rows. The numbers here give rounds of about a second.
WORKLOADS = {
    "W1 784-256-256-10 SGD b256": Workload(
        (784, 256, 256, 10), (0.2, 0.5), "sgd", 256, 29_952, epochs=2, targets=(2, 1.5, 0.75)
    ),
    "W2 784-64-64-10 Adam b32": Workload(
        (784, 64, 64, 10), (0.5, 0.5), "adam", 32, 14_976, epochs=2, targets=(2, 1.5, 0)
    ),
    "W2 784-64-64-10 Adam b256": Workload(
        (784, 64, 64, 10), (0.5, 0.5), "adam", 256, 29_952, epochs=3, targets=(2, 1.5, 0)
    ),
    "W3 784-1024³-10 momentum b128": Workload(
        (784, 1024, 1024, 1024, 10),
        (0.5, 0.5, 0.5),
        "sgd",
        128,
        6400,
        momentum=0.9,
        batch_mask_targets=(0.6, 2.5),
        targets=(1.6, 1.5, 0.9),
    ),
    "W4 784-1024³-10 Adam b128": Workload(
        (784, 1024, 1024, 1024, 10),
        (0.5, 0.5, 0.5),
        "adam",
        128,
        6400,
        2,
        batch_mask_targets=(0.75, 0),
        targets=(1.4, 1.5, 0.75),
    ),
    "W5 11-1024³-1 batch norm Adam b256": Workload(
        (11, 1024, 1024, 1024, 1), (0.3, 0.3, 0.3), "adam", 256, 6400, 2, batch_norm=True, targets=(1.4, 0, 0.75)
    ),
    "W6 8-50-1 Adam b128": Workload((8, 50, 1), (0.05,), "adam", 128, 19_968, epochs=10, targets=(2, 1.5, 0)),
    "W7 54-512-256-7 Adam b512": Workload(
        (54, 512, 256, 7),
        (0.5, 0.5),
        "adam",
        512,
        29_696,
        epochs=2,
        batch_mask_targets=(0.5, 0),
        targets=(2, 1.5, 0.75),
    ),
    "W8 sparse 20000-100-20 Adam b200": Workload(
        (20_000, 100, 20), (0.5,), "adam", 200, 5000, epochs=2, non_zeros=100, targets=(2, 1, 0)
    ),
}


def make_data(workload, dtype):
    """Return standard normal X, or word counts from Zipf's law, and y from a linear teacher.

    The time does not depend on the values.
    """
    rng = np.random.default_rng(0)
    n, (n_in, *_, n_out) = workload.n_rows, workload.units
    if workload.non_zeros is None:
        X = rng.standard_normal((n, n_in)).astype(dtype)
    else:
        zipf = 1 / np.arange(10, n_in + 10)  # without the ten most frequent words, as if stop words were removed
        words = rng.choice(n_in, size=(n, workload.non_zeros), p=zipf / zipf.sum())
        rows = np.repeat(np.arange(n), workload.non_zeros)
        X = sparse.csr_array((np.ones(rows.size, dtype), (rows, words.ravel())), shape=(n, n_in))
        X.sum_duplicates()
    teacher = rng.standard_normal((n_in, n_out)).astype(dtype)
    Z = X @ teacher
    return X, Z.ravel() if workload.regression else Z.argmax(axis=1)


def _time_fit(estimator, workload, X, y):
    def run():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            start = perf_counter()
            estimator.fit(X, y)
            return (perf_counter() - start) / workload.epochs

    return run


def mlp_settings(workload):
    """Return the parameters common to the networks of skdropout and scikit-learn."""
    return {
        "hidden_layer_sizes": workload.units[1:-1],
        "solver": workload.solver,
        "learning_rate_init": 1e-3,
        "momentum": workload.momentum,
        "alpha": ALPHA,
        "batch_size": workload.batch_size,
        "max_iter": workload.epochs,
        "random_state": 0,
    }


def skdropout_mlp(workload, X, y, **params):
    cls = DropoutMLPRegressor if workload.regression else DropoutMLPClassifier
    settings = mlp_settings(workload) | {"dropout": workload.rates, "dropout_schedule": "constant"} | params
    settings["batch_norm"] = "after_dropout" if workload.batch_norm else False
    return _time_fit(cls(**settings), workload, X, y)


def scikit_learn(workload, X, y):
    """Train scikit-learn's network, which has neither dropout nor batch normalization."""
    cls = MLPRegressor if workload.regression else MLPClassifier
    return _time_fit(cls(**mlp_settings(workload)), workload, X, y)


class TorchMLP(object if torch is None else nn.Module):
    """Network of a workload. Sparse rows are passed as (words, starts, counts) to an EmbeddingBag."""

    def __init__(self, workload, dtype):
        super().__init__()
        layers = []
        for i, (n_in, n_out) in enumerate(pairwise(workload.units)):
            if i == 0 and workload.non_zeros is not None:
                self.bag = nn.EmbeddingBag(n_in, n_out, mode="sum")
            else:
                layers.append(nn.Linear(n_in, n_out))
            if i < len(workload.rates):
                layers += [nn.ReLU(), nn.Dropout(workload.rates[i])]
                layers += [nn.BatchNorm1d(n_out)] if workload.batch_norm else []
        self.layers = nn.Sequential(*layers)
        self.to(dtype)

    def forward(self, X):
        if isinstance(X, tuple):
            words, starts, counts = X
            X = self.bag(words, starts, per_sample_weights=counts)
        return self.layers(X)


def _torch_optimizer(workload):
    options = {"lr": 1e-3, "fused": True, "weight_decay": ALPHA / workload.batch_size}
    if workload.solver == "adam":
        return torch.optim.Adam, options
    return torch.optim.SGD, options | {"momentum": workload.momentum, "nesterov": workload.momentum > 0}


def torch_dtype(X):
    return torch.float32 if X.dtype == np.float32 else torch.float64


def pytorch(workload, X, y):
    """Train in eager mode with a fused optimizer; a batch is one index_select, or an EmbeddingBag for sparse rows."""
    target = torch.from_numpy(y.astype(X.dtype)[:, None] if workload.regression else y.astype(np.int64))
    dense = None if workload.non_zeros else torch.from_numpy(X)
    criterion = nn.MSELoss() if workload.regression else nn.CrossEntropyLoss()
    optimizer_class, options = _torch_optimizer(workload)

    def batch(rows):
        if dense is not None:
            return dense.index_select(0, rows)
        x = X[rows.numpy()]
        return tuple(map(torch.from_numpy, (x.indices, x.indptr[:-1], x.data)))

    def run():
        start = perf_counter()
        model = TorchMLP(workload, torch_dtype(X))
        optimizer = optimizer_class(model.parameters(), **options)
        for _ in range(workload.epochs):
            order, total = torch.randperm(workload.n_rows), 0.0
            for rows in order.split(workload.batch_size):
                optimizer.zero_grad(set_to_none=True)
                loss = criterion(model(batch(rows)), target.index_select(0, rows))
                loss.backward()
                optimizer.step()
                total += loss.item() * len(rows)  # the epoch loss, which all contestants report
        return (perf_counter() - start) / workload.epochs

    return run


def skorch_net(workload, dtype):
    """Return a skorch network as in its documentation: a module in NeuralNetClassifier, with a DataLoader."""
    from skorch import NeuralNetClassifier, NeuralNetRegressor
    from skorch.callbacks import EpochTimer

    optimizer_class, options = _torch_optimizer(workload)
    cls = NeuralNetRegressor if workload.regression else NeuralNetClassifier
    return cls(
        TorchMLP,
        module__workload=workload,
        module__dtype=dtype,
        criterion=nn.MSELoss if workload.regression else nn.CrossEntropyLoss,
        optimizer=optimizer_class,
        max_epochs=workload.epochs,
        batch_size=workload.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[("timer", EpochTimer())],
        callbacks__print_log=None,
        verbose=0,
        **{f"optimizer__{name}": value for name, value in options.items()},
    )


def skorch(workload, X, y):
    if workload.non_zeros:
        return None
    net = skorch_net(workload, torch_dtype(X))
    target = y.astype(X.dtype)[:, None] if workload.regression else y.astype(np.int64)

    def run():
        start = perf_counter()
        net.fit(X, target)
        return (perf_counter() - start) / workload.epochs

    return run


def bare_products(workload, X, y):
    """Compute only the matrix products of training, on dummy arrays: forward, weight gradients, input gradients."""
    n, rng = workload.batch_size, np.random.default_rng(0)
    units = workload.units
    activations = [rng.standard_normal((n, width)).astype(X.dtype) for width in units]
    if workload.non_zeros:
        activations[0] = X[:n]
    weights = [rng.standard_normal(shape).astype(X.dtype) for shape in pairwise(units)]
    outs = [np.empty_like(a) if i else None for i, a in enumerate(activations)]
    gradients = [np.empty_like(W) for W in weights]

    def product(a, b, out):
        if sparse.issparse(a):
            a @ b
        else:
            np.dot(a, b, out=out)

    def run():
        start = perf_counter()
        for _ in range(workload.epochs * workload.n_rows // n):  # n divides the number of rows
            for i, W in enumerate(weights):
                product(activations[i], W, outs[i + 1])
            for i in reversed(range(len(weights))):
                product(activations[i].T, activations[i + 1], gradients[i])
                if i > 0:
                    product(activations[i + 1], weights[i].T, outs[i])
        return (perf_counter() - start) / workload.epochs

    return run


CONTESTANTS = {
    "skdropout": skdropout_mlp,
    "skdropout, no dropout": lambda *args: skdropout_mlp(*args, dropout=0.0),
    "skdropout, mask per batch": lambda *args: skdropout_mlp(*args, mask_sharing="batch"),
    "PyTorch": pytorch,
    "skorch": skorch,
    "scikit-learn, no dropout": scikit_learn,
    "bare products": bare_products,
}

"""Write what this release writes: ``python tests/files/make.py``, at every release, with the oldest and newest NumPy.

tests/persistence/test_persistence.py loads all of it with every later release and compares the predictions.
"""

import pickle
import warnings
from pathlib import Path
from zipfile import ZIP_DEFLATED

import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning

import skdropout
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor

FOLDER = Path(__file__).parent / f"{skdropout.__version__}-numpy{np.__version__}"


def models():
    """Networks of all sorts: name, class, parameters that ``load_weights`` needs, further ones, and data."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(40, 3))
    codes = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
    words = np.array(["few", "many", "none"], dtype=object)[codes]
    groups = {"dropout_kind": "spatial", "group_size": 2, "input_groups": [0, 0, 1], "input_dropout": 0.1}
    normed = {"hidden_layer_sizes": (6, 4), "batch_norm": "after_activation", "activation": ("relu", "tanh")}
    yield "binary", DropoutMLPClassifier, {"hidden_layer_sizes": 4}, groups, X, codes > 0
    yield "words", DropoutMLPClassifier, {**normed, "dtype": "float32"}, {"dropout": (0.1, 0.5)}, X, words
    yield "labels", DropoutMLPClassifier, {"hidden_layer_sizes": (4,)}, {"early_stopping": True}, X, X[:, :2] > 0
    constant = {"dropout": 0.2, "dropout_schedule": "constant"}
    yield "regressor", DropoutMLPRegressor, {"hidden_layer_sizes": (5,), "activation": "selu"}, constant, X, X[:, 0]
    counts = {"loss": "poisson", "hidden_layer_sizes": ()}
    variances = {"loss": "gaussian_nll", "hidden_layer_sizes": (5, 4), "batch_norm": "after_dropout"}
    yield "variances", DropoutMLPRegressor, variances, {"dropout": 0.2}, X, X[:, :2]
    yield "counts", DropoutMLPRegressor, counts, {"solver": "lbfgs"}, X, rng.poisson(1, size=(40, 2))


def main():
    import skops.io

    FOLDER.mkdir(exist_ok=True)
    warnings.simplefilter("ignore", ConvergenceWarning)
    expected = {}
    for name, cls, architecture, params, X, y in models():
        model = cls(**architecture, **params, max_iter=3, random_state=0).fit(X, y)
        (FOLDER / f"{name}.pickle").write_bytes(pickle.dumps(model, protocol=4))
        joblib.dump(model, FOLDER / f"{name}.joblib", compress=3)
        if np.__version__ >= "2":  # these are the same for any NumPy
            skops.io.dump(model, FOLDER / f"{name}.skops", compression=ZIP_DEFLATED)
            model.save_weights(FOLDER / f"{name}.npz")
        X = X[:9]
        output = model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)
        expected |= {f"{name}_X": X, f"{name}_output": output}
    np.savez_compressed(FOLDER / "expected.npz", **expected)


if __name__ == "__main__":
    main()

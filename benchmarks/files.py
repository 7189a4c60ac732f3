"""File sizes of pickle, joblib, skops, .npz and ONNX compared with the size of the weights, and scikit-learn's pickle.

    python -m benchmarks.files

Networks are fitted with random_state=0 for five epochs. The files then contain two random streams, about 5 kB.
"""

import io
import pickle
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED

import joblib
import numpy as np
import skl2onnx
import skops.io
from sklearn.exceptions import ConvergenceWarning

from skdropout import DropoutMLPClassifier

NETWORKS = {
    "784-256-256-10, float32": (784, (256, 256), 10, {"dtype": "float32"}),
    "the same, batch_norm": (784, (256, 256), 10, {"dtype": "float32", "batch_norm": "before_activation"}),
    "20-32-2, float64": (20, (32,), 2, {}),
}


def sizes(model):
    """Return the size of each file format, in bytes."""
    mlp = model.to_sklearn()
    row = np.zeros((1, model.n_features_in_), np.float32)
    onnx = skl2onnx.to_onnx(mlp, row, options={id(mlp): {"zipmap": False}})
    by_joblib = io.BytesIO()
    joblib.dump(model, by_joblib)
    with TemporaryDirectory() as folder:
        model.save_weights(Path(folder) / "npz")
        npz = (Path(folder) / "npz").stat().st_size
    return {
        "weights": sum(a.nbytes for a in model.coefs_ + model.intercepts_),
        "pickle": len(pickle.dumps(model)),
        "joblib": len(by_joblib.getvalue()),
        "skops": len(skops.io.dumps(model)),
        "skops, deflated": len(skops.io.dumps(model, compression=ZIP_DEFLATED)),
        ".npz": npz,
        "to_sklearn, pickle": len(pickle.dumps(mlp)),
        "ONNX": len(onnx.SerializeToString()),
        "MLPClassifier, pickle": len(pickle.dumps(fit_mlp_classifier(model))),
    }


def fit_mlp_classifier(model):
    """Fit scikit-learn's network of the same shape."""
    X = np.random.RandomState(0).normal(size=(200, model.n_features_in_)).astype(model.coefs_[0].dtype)
    return model.to_sklearn().fit(X, np.resize(model.classes_, 200))


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.RandomState(0)
    for i, (name, (n_features, hidden, n_classes, params)) in enumerate(NETWORKS.items()):
        model = DropoutMLPClassifier(hidden, max_iter=5, random_state=0, **params)
        row = sizes(model.fit(rng.normal(size=(200, n_features)), np.resize(np.arange(n_classes), 200)))
        if i == 0:
            print(f"{'bytes':24}", *(f"{file_format:>22}" for file_format in row))
        print(f"{name:24}", *(f"{size:22,}" for size in row.values()))


if __name__ == "__main__":
    main()

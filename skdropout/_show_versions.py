"""What the report of a fault should say of the installation."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from ._sklearn import get_threadpool_controller

# what is needed, and then what a fit, a search, a plot or a file may also go through
PACKAGES = [
    *("scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl"),
    *(
        "pandas",
        "polars",
        "pyarrow",
        "matplotlib",
        "rich",
        "dask",
        "distributed",
        "optuna",
        "skops",
        "skl2onnx",
        "onnxruntime",
        "cloudpickle",
    ),
]


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def show_versions() -> None:
    """Print what a report of a fault should say: system, versions, and the libraries that compute.

    Versions are read from the packages' metadata; nothing is imported for it.

    See Also
    --------
    sklearn.show_versions : The same for scikit-learn.

    Examples
    --------
    >>> from skdropout import show_versions
    >>> show_versions()
    System
            python: 3...
    ...
    Packages
         skdropout: ...
      scikit-learn: ...
    """
    from . import __version__  # not there yet when the package imports this module

    python = {"python": sys.version.replace("\n", " "), "executable": sys.executable, "machine": platform.platform()}
    blocks = {"System": python, "Packages": {"skdropout": __version__} | {name: _version(name) for name in PACKAGES}}
    for number, library in enumerate(get_threadpool_controller().info()):  # BLAS and OpenMP
        blocks[f"Thread pool {number}"] = library
    for title, rows in blocks.items():
        print(title, *(f"{name:>16}: {value}" for name, value in rows.items()), sep="\n", end="\n\n")

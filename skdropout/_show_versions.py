"""System and version information for bug reports."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from ._sklearn import get_threadpool_controller
from ._version import __version__

PACKAGES = [
    *("scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl"),  # required
    *(  # optional: used by fits, searches, plots or files
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


def _installed_version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def show_versions() -> None:
    """Print system and version information for bug reports.

    The output lists the system, the versions of the packages, and the thread pools of BLAS and OpenMP. Versions are
    read from package metadata; no package is imported.

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
    system = {"python": sys.version.replace("\n", " "), "executable": sys.executable, "machine": platform.platform()}
    packages = {"skdropout": __version__} | {name: _installed_version(name) for name in PACKAGES}
    sections = {"System": system, "Packages": packages}
    for number, pool in enumerate(get_threadpool_controller().info()):  # BLAS and OpenMP
        sections[f"Thread pool {number}"] = pool
    for title, rows in sections.items():
        print(title, *(f"{name:>16}: {value}" for name, value in rows.items()), sep="\n", end="\n\n")

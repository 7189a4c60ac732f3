import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # before SciPy is imported: check_estimator skips a check without it
if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core already
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

collect_ignore = ["estimators/fuzz_atheris.py"]  # a program, which needs atheris


@pytest.fixture
def global_random_seed():
    """The fixture of scikit-learn's own tests (estimators/test_upstream.py)."""
    return 42

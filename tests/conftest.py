import os
import sys
from pathlib import Path

# Before NumPy, SciPy and Matplotlib are imported
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("SCIPY_ARRAY_API", "1")  # check_estimator skips a check without it
if "PYTEST_XDIST_WORKER" in os.environ:  # one process per core: more threads than cores wait for each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

collect_ignore = ["estimators/fuzz_atheris.py", "files/make.py"]  # programs


class ClosedFigures:
    """Close the figures of each test and doctest."""

    @pytest.hookimpl
    def pytest_runtest_teardown(self):
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


def pytest_configure(config):
    config.pluginmanager.register(ClosedFigures())


def pytest_collection_modifyitems(items):
    """Ignore ConvergenceWarning in tests, where fits are short.

    It remains an error in doctests. In pyproject.toml the filter would import scikit-learn before the lines above.
    """
    ignore = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(ignore, append=False)  # the filters of a test's own marks come later and win


@pytest.hookimpl(optionalhook=True)  # pytest-xdist may be missing
def pytest_xdist_make_scheduler(config, log):
    """Let idle workers take tests from busy ones, so that no core waits at the end, also on a busy machine."""
    if config.getvalue("dist") != "load":  # the user chose another one
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture
def global_random_seed():
    """Provide a fixture of scikit-learn's own tests (estimators/test_upstream.py)."""
    return 42

#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.10.14"]
# ///
"""Sessions of CI.

`nox` runs lint and tests, `nox -l` lists all sessions, and `nox -s tests -P 3.14 -- -k dask` runs one of them.
"""

import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"
NIGHTLY = "https://pypi.anaconda.org/scientific-python-nightly-wheels/simple"
PYPI = "https://pypi.org/simple"


@nox.session
def lint(session):
    """Run every hook of .pre-commit-config.yaml."""
    session.install("pre-commit")
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure")


@nox.session
def tests(session):
    """Run the fast suite and the doctests on the newest dependencies."""
    session.install("-e", ".[test]")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session(python="3.11", default=False)
def oldest(session):
    """Run the fast suite on the oldest dependencies."""
    session.install("-r", ".ci/oldest.txt")
    session.install("--no-deps", ".")
    session.run("pytest", "-n", "auto", "tests", *session.posargs)


@nox.session(default=False)
def nightly(session):
    """Run the fast suite on nightly builds of the dependencies."""
    session.install("-e", ".[test]")
    packages = ["numpy", "scipy", "scikit-learn", "pandas", "matplotlib"]
    session.install("--pre", "--upgrade", "--index-url", NIGHTLY, "--extra-index-url", PYPI, *packages)
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session(default=False)
def docs(session):
    """Build the documentation and run every example; warnings are errors. Then test the site in a browser."""
    session.install(".[doc]", "pytest", "playwright")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "doc", "doc/_build/html")
    session.run("pytest", "-m", "slow", "tests/project/test_site.py", env={"SKDROPOUT_SITE": "doc/_build/html"})


@nox.session(default=False)
def review(session):
    """Check the repository with sp-repo-review."""
    session.install("sp-repo-review[cli]==2026.8.14")
    session.run("repo-review", ".", "--show", "errskip")


@nox.session(default=False)
def dist(session):
    """Check that dist/ builds reproducibly, and run the fast suite of the sdist on the installed package."""
    shutil.rmtree("dist", ignore_errors=True)
    session.install("build", "twine")
    session.run(".ci/reproduce", "python", "dist", external=True)
    session.run("twine", "check", "--strict", *map(str, Path("dist").iterdir()))
    (sdist,) = Path("dist").resolve().glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        shutil.unpack_archive(sdist, folder, filter="data")
        session.install(f"skdropout[test] @ {sdist.as_uri()}")
        with session.chdir(next(Path(folder).iterdir()) / "tests"):
            session.run("pytest", "-n", "auto", "-p", "no:cacheprovider", ".", *session.posargs)


if __name__ == "__main__":
    nox.main()

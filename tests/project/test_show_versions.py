"""show_versions lists the installed versions for bug reports."""

import re
import tomllib
from pathlib import Path

import joblib
import numpy as np
import scipy
import sklearn

import skdropout
from skdropout import _show_versions


def printed_rows(capsys):
    skdropout.show_versions()
    return dict(re.findall(r"^ +(\S+): (.*)$", capsys.readouterr().out, re.MULTILINE))


def test_versions_match_the_imported_packages(capsys):
    rows = printed_rows(capsys)
    imported = {"scikit-learn": sklearn, "numpy": np, "scipy": scipy, "joblib": joblib, "skdropout": skdropout}
    assert {name: rows[name] for name in imported} == {name: module.__version__ for name, module in imported.items()}
    assert {"python", "executable", "machine", "num_threads"} <= set(rows)


def test_missing_package_is_reported(capsys, monkeypatch):
    monkeypatch.setattr(_show_versions, "PACKAGES", ["no-such-package"])
    assert printed_rows(capsys)["no-such-package"] == "not installed"


def test_every_dependency_is_listed():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert {re.match(r"[\w-]+", line).group() for line in project["dependencies"]} <= set(_show_versions.PACKAGES)

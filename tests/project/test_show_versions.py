"""A report of a fault names what was running."""

import re
import tomllib
from pathlib import Path

import joblib
import numpy as np
import scipy
import sklearn

import skdropout
from skdropout import _show_versions


def shown(capsys):
    skdropout.show_versions()
    return dict(re.findall(r"^ +(\S+): (.*)$", capsys.readouterr().out, re.MULTILINE))


def test_the_versions_are_those_that_run(capsys):
    rows = shown(capsys)
    running = {"scikit-learn": sklearn, "numpy": np, "scipy": scipy, "joblib": joblib, "skdropout": skdropout}
    assert {name: rows[name] for name in running} == {name: module.__version__ for name, module in running.items()}
    assert {"python", "executable", "machine", "num_threads"} <= set(rows)


def test_a_package_that_is_not_there_is_said(capsys, monkeypatch):
    monkeypatch.setattr(_show_versions, "PACKAGES", ["no-such-package"])
    assert shown(capsys)["no-such-package"] == "not installed"


def test_every_dependency_is_shown():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert {re.match(r"[\w-]+", line).group() for line in project["dependencies"]} <= set(_show_versions.PACKAGES)

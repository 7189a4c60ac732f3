"""Docstrings agree with each other and with the signatures, versions with the changelog."""

import inspect
import re
import runpy
import tomllib
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import validate
from sklearn.base import BaseEstimator

import skdropout
from skdropout._version import DOCUMENTATION

ROOT = Path(__file__).parents[2]
PUBLIC = [getattr(skdropout, name) for name in skdropout.__all__]
CLASSES = [public for public in PUBLIC if inspect.isclass(public)]
ESTIMATORS = [cls for cls in CLASSES if issubclass(cls, BaseEstimator)]
DOC = ROOT / "doc"


def parameters(doc):
    """Return the descriptions by name; an entry may have several names."""
    return {name.lstrip("*"): (p.type, p.desc) for p in doc["Parameters"] for name in re.split(r",\s*", p.name)}


def attributes(doc):
    return {name: (p.type, p.desc) for p in doc["Attributes"] for name in re.split(r",\s*", p.name)}


@pytest.mark.parametrize("public", PUBLIC)
def test_every_parameter_is_documented_in_order(public):
    doc = ClassDoc(public) if public in CLASSES else FunctionDoc(public)
    assert list(parameters(doc)) == list(inspect.signature(public).parameters)


def test_both_estimators_document_shared_parameters_equally():
    classifier, regressor = (ClassDoc(cls) for cls in (skdropout.DropoutMLPClassifier, skdropout.DropoutMLPRegressor))
    for table in (parameters, attributes):
        a, b = table(classifier), table(regressor)
        for name in set(a) & set(b) - {"scoring", "dropout", "dropout_schedule"}:  # accuracy, R²; defaults
            assert a[name] == b[name], name
    for section in ("Notes", "References"):
        a, b = ("\n".join(doc[section]).splitlines() for doc in (classifier, regressor))
        assert len(set(a) & set(b)) > 0.7 * len(a)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_fitted_attribute_is_documented(cls):
    import pandas as pd

    X = pd.DataFrame(np.random.RandomState(0).normal(size=(30, 3)), columns=list("abc"))
    extra = {"class_weight": "balanced"} if "Classifier" in cls.__name__ else {}
    model = cls(max_iter=2, batch_norm="before_activation", **extra).fit(X, np.arange(30) % 2)
    fitted = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}
    assert fitted == set(attributes(ClassDoc(cls)))


@pytest.mark.parametrize("cls", CLASSES)
def test_public_methods_document_their_parameters(cls):
    for name, method in inspect.getmembers(cls, inspect.isroutine):  # classmethods too
        if not name.startswith("_") and method.__module__.startswith("skdropout"):
            expected = [p for p in inspect.signature(method).parameters if p != "self"]
            assert list(parameters(FunctionDoc(method))) == expected, name


# Checks of numpydoc that scikit-learn skips too
LEFT_OUT = {
    "GL01",  # the summary is on the line of the quotes: older versions of numpydoc want it on the next
    "RT02",  # a single returned value may have a name
}
LEFT_OUT_FOR_METHODS = {"ES01", "EX01", "SA01"}  # extended summary, examples, see also: the class has them


def documented():
    """Yield the dotted name of every public object, and whether it is a method."""
    for public in PUBLIC:
        name = f"{public.__module__}.{public.__name__}"
        yield name, False
        for method, function in inspect.getmembers(public, inspect.isroutine):
            ours = not method.startswith("_") and function.__module__.startswith("skdropout")
            if ours and function.__doc__ is not None:  # None is inherited
                yield f"{name}.{method}", True


@pytest.mark.parametrize(("name", "is_method"), [*documented()])
def test_numpydoc_finds_no_errors(name, is_method):
    left_out = LEFT_OUT | (LEFT_OUT_FOR_METHODS if is_method else set())
    assert [error for error in validate(name)["errors"] if error[0] not in left_out] == []


def test_every_attribute_of_a_display_is_documented():
    for disp in (
        skdropout.ReliabilityDisplay.from_predictions([0, 1], [0.2, 0.7]),
        skdropout.CoverageDisplay.from_predictions([0, 1], [0, 1], [1, 1]),
        skdropout.TrainingCurveDisplay([2, 1]).plot(),
        skdropout.DropoutRateDisplay([0, 0.5], [[1, 2], [2, 3]]).plot(),
        skdropout.FirstLayerWeightsDisplay(np.ones((1, 2, 2))).plot(),
        skdropout.ActivationSparsityDisplay(np.ones((1, 2))).plot(),
    ):
        doc = ClassDoc(type(disp))
        assert set(vars(disp)) == {*parameters(doc), *attributes(doc)}


def test_the_version_is_in_the_changelog_and_the_citation():
    assert f"## {skdropout.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {skdropout.__version__}" in (ROOT / "CITATION.cff").read_text()


def test_the_code_in_the_readme_runs(capsys):
    quick_start, search, intervals = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names = {}
    exec(quick_start, names)
    accuracy, written = re.fullmatch(r"test accuracy: (0\.\d+)\n", capsys.readouterr().out), quick_start.split(": ")[-1]
    assert float(accuracy.group(1)) == pytest.approx(float(written), abs=0.01)
    names |= {name: names[name][::6] for name in ("X_train", "y_train")}  # faster, as is a short training
    names["clf"].max_iter = 10
    exec(search, names)
    exec(intervals, {})
    assert re.fullmatch(r"\d\d% of new targets in 80% intervals\n", capsys.readouterr().out)


def test_the_readme_is_one_page():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 140
    assert len(readme.split()) <= 1000
    prose = re.sub(r"```.*?```", "", readme, flags=re.DOTALL).splitlines()
    assert [line for line in prose if len(line) > 100] == []


def test_links_of_the_readme_exist():
    readme = (ROOT / "README.md").read_text()
    pages = re.findall(rf"{skdropout._version.DOCUMENTATION}(\w+)\.html", readme)
    assert len(pages) > 10
    assert all(list(DOC.glob(f"{page}.*")) for page in pages)
    files = re.findall(r"\]\((?!http)([^)]+)\)", readme)
    assert len(files) >= 7  # three pictures
    assert all((ROOT / file).is_file() for file in files)
    assert set(re.findall(r"\]\[(\w+)\]", readme)) == set(re.findall(r"^\[(\w+)\]: ", readme, re.MULTILINE))


def test_every_public_name_has_a_page():
    public = (DOC / "api.rst").read_text().split(".. currentmodule:: ")[1]  # of skdropout; the engine's come after
    assert public.startswith("skdropout\n")
    assert sorted(re.findall(r"^   (\w+)$", public, re.MULTILINE)) == sorted(skdropout.__all__)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_link_of_the_html_representation_is_that_of_the_page(cls):
    folder = re.search(r":toctree: (\w+)/", (DOC / "api.rst").read_text()).group(1)
    assert cls()._get_doc_link() == f"{DOCUMENTATION}{folder}/skdropout.{cls.__name__}.html"


def test_all_links_to_the_site_have_the_same_address():
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert urls["Documentation"] == DOCUMENTATION
    for path in chain(ROOT.glob("*.*"), DOC.glob("*.*"), (ROOT / "skdropout").rglob("*.py")):
        if path.suffix in {".py", ".md", ".toml", ".cff", ".rst"}:
            for url in re.findall(r"https?://skdropout\.[^\s)>\"'`]+", path.read_text()):
                assert url.startswith(DOCUMENTATION), path


def test_every_example_has_a_place_in_the_gallery():
    order = runpy.run_path(DOC / "gallery_order.py")["ORDER"]
    assert sorted(order) == sorted(path.name for path in (ROOT / "examples").glob("*/plot_*.py"))


def test_no_file_mentions_the_workplace():
    folders = [(ROOT / name).rglob("*.py") for name in ("skdropout", "benchmarks", "examples")]
    for path in chain(ROOT.glob("*.*"), ROOT.glob(".*.yaml"), DOC.glob("*.*"), *folders):
        if path.suffix in {".py", ".md", ".toml", ".cff", ".rst", ".yaml"}:
            assert "../shared" not in path.read_text(), path

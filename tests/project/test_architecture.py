"""The arrows of import, and every kind of dropout on the table."""

import ast
import re
import sys
from pathlib import Path

import pytest

import skdropout.engine
from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.dropout.base import Dropout

ROOT = Path(skdropout.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
THIRD_PARTY = {"numpy", "scipy", "sklearn", "joblib", "matplotlib", "skl2onnx"}


def imports(path):
    """Absolute names of the modules a file imports, relative ones resolved; names from private modules included."""
    package = ("skdropout", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            yield ".".join(filter(None, (base, node.module)))


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_the_dependencies_are_imported(path):
    roots = {module.split(".")[0] for module in imports(path)}
    assert roots <= THIRD_PARTY | {"skdropout"} | set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", sorted((ROOT / "engine").rglob("*.py")), ids=name)
def test_the_engine_knows_nothing_of_scikit_learn_or_the_estimators(path):
    for module in imports(path):
        assert module.split(".")[0] not in {"sklearn", "joblib", "matplotlib", "skl2onnx"}
        assert not module.startswith("skdropout") or module.startswith("skdropout.engine")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_optional_packages_are_imported_inside_functions_only(path):
    for node in ast.parse(path.read_text()).body:
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not any(module.startswith(("matplotlib", "skl2onnx")) for module in modules)


@pytest.mark.parametrize("path", [p for p in FILES if p.name != "_sklearn.py"], ids=name)
def test_private_names_of_scikit_learn_have_one_door(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
            assert not any(part.startswith("_") for part in node.module.split("."))
            assert not any(alias.name.startswith("_") for alias in node.names)


# who may import whom, inside the package
ARROWS = {
    "_sklearn.py": set(),
    "_typing.py": set(),
    "_version.py": set(),
    "_snapshot.py": set(),
    "_spec.py": {"_sklearn", "engine"},
    "_magnitudes.py": set(),
    "_rows.py": {"_magnitudes", "_sklearn", "engine"},
    "_validation.py": {"_sklearn"},
    "_codec.py": set(),
    "_errstate.py": set(),
    "_callbacks.py": {"_codec", "_errstate", "_rows", "_sklearn", "_validation"},
    "_checkpoint.py": {"_callbacks", "_codec", "_files", "_persistence", "_spec", "engine"},
    "_scaling.py": {"_magnitudes"},
    "_training.py": {
        "_callbacks",
        "_checkpoint",
        "_codec",
        "_errstate",
        "_magnitudes",
        "_rows",
        "_scaling",
        "_spec",
        "_validation",
        "engine",
    },
    "_lbfgs.py": {"_codec", "_sklearn", "_training", "engine"},
    "_uncertainty.py": {"_rows", "_sklearn", "_snapshot", "_spec", "_weights", "engine"},
    "_weights.py": {"engine"},
    "_files.py": set(),
    "_persistence.py": {"_files", "_spec", "_version", "_weights", "engine"},
    "_base.py": {
        "_callbacks",
        "_checkpoint",
        "_errstate",
        "_lbfgs",
        "_persistence",
        "_magnitudes",
        "_sklearn",
        "_snapshot",
        "_spec",
        "_rows",
        "_training",
        "_uncertainty",
        "_validation",
        "_without_effect",
        "_weights",
        "engine",
    },
    "_without_effect.py": {"_sklearn", "engine"},
    "_classifier.py": {"_base", "_sklearn", "_snapshot", "_uncertainty", "engine"},
    "_regressor.py": {"_base", "_sklearn", "_snapshot", "_spec", "_uncertainty", "_without_effect", "engine"},
    "_onnx.py": {"_classifier", "_regressor", "_sklearn", "engine"},
    "_scoring.py": set(),
    "_show_versions.py": {"_sklearn", "_version"},
    "_diagnosis.py": {"_scoring", "_training", "engine"},
    "_tuning.py": set(),
    "_displays/__init__.py": set(),
    "_displays/_common.py": {"_scoring", "_sklearn", "engine"},
    "_displays/calibration.py": {"_displays", "_scoring", "_sklearn"},
    "_displays/rates.py": {"_displays", "_sklearn", "_tuning"},
    "_displays/training.py": {"_displays", "_sklearn"},
    "_displays/units.py": {"_displays", "_sklearn"},
    "__init__.py": {
        "_callbacks",
        "_checkpoint",
        "_classifier",
        "_diagnosis",
        "_displays",
        "_onnx",
        "_regressor",
        "_scoring",
        "_show_versions",
        "_tuning",
        "_version",
    },
}
ENGINE_ARROWS = {
    "activations.py": {"registry"},
    "initializers.py": {"activations", "registry"},
    "losses.py": {"registry"},
    "schedules.py": {"registry"},
    "network.py": {"activations"},
    "layers.py": {"activations", "buffers", "dropout"},
    "backprop.py": {"activations", "buffers", "dropout", "layers", "losses", "params", "penalty", "thinned"},
    "optimizers.py": {"buffers", "registry"},
    "thinned.py": {"buffers", "layers"},
    "sampling.py": {"activations", "dropout", "network", "rng"},
}


def targets(path, root):
    prefix = f"{root}."
    return {module.removeprefix(prefix).split(".")[0] for module in imports(path) if module.startswith(prefix)}


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.py"), *ROOT.glob("_displays/*.py")]), ids=name)
def test_arrows_of_the_package(path):
    assert targets(path, "skdropout") <= ARROWS[path.relative_to(ROOT).as_posix()] | {"_typing"}


@pytest.mark.parametrize("path", sorted((ROOT / "engine").glob("*.py")), ids=name)
def test_arrows_of_the_engine(path):
    assert targets(path, "skdropout.engine") <= ENGINE_ARROWS.get(path.name, set())


def test_the_engine_lists_the_names_that_the_estimators_use():
    used = set()
    for path in FILES:
        if ROOT / "engine" not in path.parents:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("engine."):
                    used |= {f"{node.module.removeprefix('engine.')}.{alias.name}" for alias in node.names}
    assert set(re.findall(r"``(\w+(?:\.\w+)+)``", skdropout.engine.__doc__)) == used


KINDS = [p for p in sorted((ROOT / "engine" / "dropout").glob("*.py")) if p.stem not in {"__init__", "base"}]


@pytest.mark.parametrize("path", KINDS, ids=name)
def test_a_kind_is_one_file_one_final_class_one_line(path):
    registered = [kind for kind in DROPOUTS.values() if kind.__module__ == f"skdropout.engine.dropout.{path.stem}"]
    classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    assert len(registered) == len(classes) == 1
    assert registered[0].__final__
    assert issubclass(registered[0], Dropout)
    assert targets(path, "skdropout.engine") <= {"dropout", "rng"}
    assert targets(path, "skdropout.engine.dropout") <= {"base"}


def test_every_kind_has_its_file():
    assert len(KINDS) == len(DROPOUTS)

"""Imports between modules, and the registration of every dropout kind."""

import ast
import re
import sys
from itertools import chain
from pathlib import Path

import pytest

import skdropout.engine
from skdropout.engine.dropout import DROPOUTS
from skdropout.engine.dropout.base import Dropout

ROOT = Path(skdropout.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
THIRD_PARTY = {"numpy", "scipy", "sklearn", "joblib", "matplotlib", "skl2onnx"}


def imports(path):
    """Return the absolute names of the modules that a file imports, including names from private modules."""
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
def test_the_engine_imports_neither_scikit_learn_nor_the_estimators(path):
    for module in imports(path):
        assert module.split(".")[0] not in {"sklearn", "joblib", "matplotlib", "skl2onnx"}
        assert not module.startswith("skdropout") or module.startswith("skdropout.engine")


def run_on_import(nodes):
    """Yield the nodes that run when the module is imported."""
    for node in nodes:
        for_type_checkers = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not isinstance(node, ast.FunctionDef) and not for_type_checkers:
            yield node
            yield from run_on_import(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_optional_packages_are_imported_inside_functions_only(path):
    for node in run_on_import(ast.parse(path.read_text()).body):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not any(module.startswith(("matplotlib", "onnx", "skl2onnx")) for module in modules)


@pytest.mark.parametrize("path", [p for p in FILES if p.name != "_sklearn.py"], ids=name)
def test_private_names_of_scikit_learn_are_imported_in_one_module(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
            assert not any(part.startswith("_") for part in node.module.split("."))
            assert not any(alias.name.startswith("_") for alias in node.names)


# Modules and packages in layers: each imports only from the layers above it in this list.
LAYERS = [
    {"_typing", "_version", "_errstate", "_codec", "engine"},
    {"_sklearn", "_fitted", "_snapshot"},
    {"_threads", "_weights", "_validation"},
    {"_fit"},
    {"_persistence"},
    {"_sampling"},
    {"_callbacks", "_conformal"},
    {"_base"},
    {"_classifier", "_regressor", "_checkpoint"},
    {"_scoring", "_tuning", "_show_versions", "_onnx"},
    {"_diagnosis", "_displays"},
]
# the same inside of the packages
INNER_LAYERS = {
    "_fit": [
        {"checks", "parameters"},
        {"data", "scaling", "unused_parameters"},
        {"plan"},
        {"convergence", "history", "prepare"},
        {"stochastic"},
        {"lbfgs"},
    ],
    "_persistence": [{"atomic", "pickling"}, {"npz", "to_sklearn"}],
    "_callbacks": [{"tasks"}, {"checkpoint_file", "early_stopping", "fingerprint"}, {"checkpoint"}],
    "_displays": [{"_common"}, {"calibration", "rates", "training", "units"}],
}
ENGINE_ARROWS = {
    "activations.py": {"registry"},
    "initializers.py": {"activations", "registry"},
    "losses.py": {"activations", "registry"},
    "schedules.py": {"registry"},
    "products.py": {"threads"},
    "training.py": {"threads"},
    "penalty.py": {"buffers"},
    "network.py": {"activations", "products"},
    "layers.py": {"activations", "buffers", "dropout", "products"},
    "backprop.py": {"activations", "buffers", "dropout", "layers", "losses", "params", "penalty", "thinned", "threads"},
    "optimizers.py": {"buffers", "registry"},
    "thinned.py": {"buffers", "layers", "products"},
    "sampling.py": {"activations", "dropout", "network", "rng"},
}


def targets(path, root):
    """The direct children of a package that a file imports."""
    prefix = f"{root}."
    return {module.removeprefix(prefix).split(".")[0] for module in imports(path) if module.startswith(prefix)}


def layer_of(module, layers):
    (number,) = [i for i, layer in enumerate(layers) if module in layer]
    return number


PRIVATE = [path for path in FILES if path.relative_to(ROOT).parts[0] not in {"engine", "__init__.py"}]


@pytest.mark.parametrize("path", PRIVATE, ids=name)
def test_modules_import_only_from_lower_layers(path):
    first, *rest = path.relative_to(ROOT).with_suffix("").parts
    layer = layer_of(first, LAYERS)
    assert all(layer_of(target, LAYERS) < layer for target in targets(path, "skdropout") - {first})
    if rest and rest != ["__init__"]:
        layers = INNER_LAYERS[first]
        layer = layer_of(rest[0], layers)
        assert all(layer_of(target, layers) < layer for target in targets(path, f"skdropout.{first}"))


def test_each_module_is_in_one_layer():
    modules = {path.relative_to(ROOT).with_suffix("").parts[0] for path in FILES} - {"__init__"}
    assert sorted(modules) == sorted(chain(*LAYERS))


def arguments(path):
    """Yield the name of each function of a file, nested ones included, with the names of its arguments."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            args = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            yield getattr(node, "name", "lambda"), {arg.arg for arg in args}


def test_only_the_preparation_of_a_fit_takes_an_estimator():
    takers = {
        (path.name, function)
        for path in (ROOT / "_fit").glob("*.py")
        for function, names in arguments(path)
        if "estimator" in names
    }
    assert takers == {("prepare.py", "prepare")}
    readers = {
        path.name
        for path in (ROOT / "_fit").glob("*.py")
        if any(isinstance(node, ast.Name) and node.id == "estimator" for node in ast.walk(ast.parse(path.read_text())))
    }
    assert readers == {"prepare.py"}


def test_public_objects_name_the_public_module():
    assert {getattr(skdropout, public).__module__ for public in skdropout.__all__} == {"skdropout"}


@pytest.mark.parametrize("path", sorted((ROOT / "engine").glob("*.py")), ids=name)
def test_imports_inside_the_engine(path):
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
def test_a_dropout_kind_is_one_file_one_final_class_one_line(path):
    registered = [kind for kind in DROPOUTS.values() if kind.__module__ == f"skdropout.engine.dropout.{path.stem}"]
    classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    assert len(registered) == len(classes) == 1
    assert registered[0].__final__
    assert issubclass(registered[0], Dropout)
    assert targets(path, "skdropout.engine") <= {"dropout", "rng"}
    assert targets(path, "skdropout.engine.dropout") <= {"base"}


def test_every_kind_has_its_file():
    assert len(KINDS) == len(DROPOUTS)

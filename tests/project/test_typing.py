"""Public signatures are annotated, values have the declared types, and mypy finds users' mistakes."""

import inspect
import subprocess
import sys
import typing
from pathlib import Path
from types import NoneType, UnionType

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colorbar import Colorbar
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, StepPatch
from numpydoc.docscrape import ClassDoc
from sklearn.exceptions import ConvergenceWarning

import skdropout
from skdropout import DropoutMLPClassifier, DropoutMLPRegressor
from skdropout._diagnosis import Diagnosis
from skdropout._sklearn import StrOptions

ROOT = Path(__file__).parents[2]
CLASSES = [Diagnosis, *(obj for obj in vars(skdropout).values() if inspect.isclass(obj))]
ESTIMATORS = [DropoutMLPClassifier, DropoutMLPRegressor]
# imported by the package for type checkers only
MATPLOTLIB_TYPES = (Axes, AxesImage, Colorbar, ErrorbarContainer, Figure, Line2D, Patch, PathCollection, StepPatch)
MATPLOTLIB = {c.__name__: c for c in MATPLOTLIB_TYPES}


def hints(obj):
    return typing.get_type_hints(obj, localns=MATPLOTLIB | vars(skdropout._typing))


def public_callables():
    for name in skdropout.__all__:
        obj = getattr(skdropout, name)
        if not inspect.isclass(obj):
            yield pytest.param(obj, id=name)
    for cls in CLASSES:
        for name, method in inspect.getmembers(cls, lambda m: inspect.isroutine(m) or isinstance(m, property)):
            method = getattr(method, "fget", method)
            ours = not name.startswith("_") and method.__module__.startswith("skdropout")
            if ours or name == "__init__":
                yield pytest.param(method, id=f"{cls.__name__}.{name}")


@pytest.mark.parametrize("function", [*public_callables()])
def test_every_public_signature_has_types(function):
    signature = inspect.signature(function)
    assert set(hints(function)) == {*signature.parameters, "return"} - {"self"}
    assert "numpy." not in str(signature)  # help() prints the names of the type aliases, not their definitions


def strings(hint):
    """Return the strings that a type allows."""
    if typing.get_origin(hint) is typing.Literal:
        return {value for value in typing.get_args(hint) if isinstance(value, str)}
    return set().union(*map(strings, typing.get_args(hint)))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_types_of_parameters_allow_what_fit_allows(cls):
    types = hints(cls.__init__)
    for name, constraints in cls._parameter_constraints.items():
        options = [set(c.options) for c in constraints if isinstance(c, StrOptions)]
        assert strings(types[name]) == set().union(*options), name
        none = None in constraints or "random_state" in constraints
        assert (NoneType in typing.get_args(types[name])) == none, name
        assert (callable in constraints) == ("Callable" in str(types[name])), name


def matches(value, hint):
    """Return whether a value has a type, for the annotations of fitted attributes."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hasattr(origin, "__value__"):  # an alias, as NDArray is since NumPy 2.5
        return matches(value, origin.__value__[args])
    if origin in {typing.Union, UnionType}:
        return any(matches(value, arg) for arg in args)
    if origin in {list, tuple}:
        return isinstance(value, origin) and all(matches(item, args[0]) for item in value)
    if origin is np.ndarray:
        (scalar,) = typing.get_args(args[1])
        scalar = object if scalar is typing.Any else typing.get_origin(scalar) or scalar
        return isinstance(value, np.ndarray) and issubclass(value.dtype.type, scalar)
    return isinstance(value, hint)


def test_the_type_matcher_rejects_wrong_values():
    assert matches([np.ones(2)], list[np.typing.NDArray[np.floating[typing.Any]]])
    assert matches(None, float | None)
    for value, hint in [(1, float), ("a", float | None), ([1.0], tuple[float, ...]), ((1.0, "a"), tuple[float, ...])]:
        assert not matches(value, hint)
    assert not matches(np.arange(2), np.typing.NDArray[np.floating[typing.Any]])


@pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning")
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_fitted_attributes_have_the_declared_types(cls):
    import pandas as pd

    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=list("abc"))
    y = np.arange(30) % 2
    several = np.column_stack([y, 1 - y, y])
    special = {"class_weight": "balanced"} if cls is DropoutMLPClassifier else {"noise_variance": 0.5}
    types = {name: hint for name, hint in hints(cls).items() if name.endswith("_")}
    assert not [name for name in types if hasattr(cls(), name)]  # before fit
    seen = set()
    for params, Y in [
        ({"solver": "lbfgs", "dropout": 0}, y),
        ({"solver": "sgd", "early_stopping": True, "dtype": "float32"}, several),
        ({"batch_norm": "after_activation", **special}, y),
    ]:
        model = cls(max_iter=2, random_state=0, **params).fit(X, Y)
        fitted = {name: value for name, value in vars(model).items() if name.endswith("_") and name[0] != "_"}
        for name, value in fitted.items():
            assert matches(value, types[name]), (name, value)
        seen |= set(fitted)
    assert seen == set(types)


def test_attributes_of_displays_have_the_declared_types():
    for disp in (
        skdropout.ReliabilityDisplay.from_predictions([0, 1], [0.2, 0.7]),
        skdropout.CoverageDisplay.from_predictions([0, 1], [0, 1], [1, 1]),
        skdropout.TrainingCurveDisplay([2, 1], validation_scores=[0.1, 0.2]).plot(curve="score"),
        skdropout.DropoutRateDisplay([0, (0.5, 0.1)], [[1, 2], [2, 3]]).plot(),
        skdropout.FirstLayerWeightsDisplay(np.ones((1, 2, 2))).plot(),
        skdropout.ActivationSparsityDisplay(np.ones((1, 2))).plot(),
    ):
        types = hints(type(disp))
        assert set(types) == {p.name for p in ClassDoc(type(disp))["Attributes"]}
        for name, hint in types.items():
            if name not in {"best_rate", "one_standard_error_rate"}:  # as the user gave them
                assert matches(getattr(disp, name), hint), name


@pytest.mark.slow
def test_mypy_accepts_the_package_and_finds_users_mistakes():
    """Run mypy as configured in pyproject.toml, on the package and on typed_code.py with its deliberate mistakes."""
    pytest.importorskip("mypy")
    run = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr

"""Type aliases for the signatures of the package."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from inspect import get_annotations
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import sparray, spmatrix

Method = TypeVar("Method", bound=Callable[..., Any])  # a decorated method keeps its type

Int: TypeAlias = int | np.integer[Any]
Float: TypeAlias = float | Int | np.floating[Any]
FloatArray: TypeAlias = NDArray[np.floating[Any]]
MatrixLike: TypeAlias = ArrayLike | spmatrix | sparray
Seed: TypeAlias = Int | RandomState | None
Rates: TypeAlias = Float | Sequence[Float] | NDArray[Any]  # a scalar for all hidden layers, or one rate per layer
Sizes: TypeAlias = Int | Sequence[Int] | NDArray[Any]
Rate: TypeAlias = float | Sequence[float]  # one point of a plot
Curve: TypeAlias = Sequence[float] | NDArray[Any]  # one value per epoch
Scoring: TypeAlias = str | Callable[..., Any] | None

# Built-in names of each parameter; a test keeps them equal to the tables of the engine
ActivationName: TypeAlias = Literal["identity", "logistic", "tanh", "relu", "selu", "elu", "leaky_relu", "gelu", "silu"]
SolverName: TypeAlias = Literal["lbfgs", "sgd", "adam", "adamw"]
LearningRateName: TypeAlias = Literal["constant", "invscaling", "adaptive", "cosine", "onecycle"]
KindName: TypeAlias = Literal["bernoulli", "gaussian", "alpha", "spatial"] | str  # users may register more
ScheduleName: TypeAlias = Literal["constant", "flat_cos", "annealed", "early", "late", "curriculum"]
LossName: TypeAlias = Literal["squared_error", "poisson", "absolute_error", "huber", "quantile", "gaussian_nll"]
BatchNormPlace: TypeAlias = Literal["before_activation", "after_activation", "after_dropout"]
MaskSharing: TypeAlias = Literal["sample", "batch"]
DType: TypeAlias = Literal["float32", "float64"] | type[np.floating[Any] | float] | np.dtype[Any]


class Sampling(TypedDict, total=False):
    """Sampling parameters of the Monte Carlo methods, as keyword arguments."""

    n_samples: Int
    random_state: Seed
    dropout: Rates | None
    input_dropout: Float | None
    mask_sharing: MaskSharing
    n_jobs: Int | None


def set_public_module(objects, module):
    """Set ``__module__`` of public objects, so that pickles name the public module and the private ones may move."""
    for obj in objects:
        if isinstance(obj, type):
            with suppress(NameError):  # displays are annotated with types of matplotlib, which is not imported
                obj.__annotations__ = get_annotations(obj, eval_str=True)
        obj.__module__ = module

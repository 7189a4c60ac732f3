"""The only module that imports private names of scikit-learn, so that an upgrade breaks in one place."""

import copy
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import sklearn
from sklearn.base import _fit_context
from sklearn.model_selection._search_successive_halving import HalvingGridSearchCV, HalvingRandomSearchCV
from sklearn.model_selection._validation import _fit_and_score
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._plotting import _validate_score_name as validate_score_name
from sklearn.utils.metaestimators import available_if as _available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call as check_partial_fit_first_call
from sklearn.utils.optimize import _check_optimize_result as check_optimize_result
from sklearn.utils.parallel import _get_threadpool_controller as get_threadpool_controller
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

from ._typing import Method

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        def set_callbacks(self, *callbacks: Any) -> NoReturn:
            """Raise NotImplementedError: callbacks need scikit-learn 1.9.

            Parameters
            ----------
            *callbacks : callback instances
                Not supported by this version.
            """
            raise NotImplementedError(f"Callbacks need scikit-learn >= 1.9, but {sklearn.__version__} is installed.")

    def with_callbacks(method):
        return method


if TYPE_CHECKING:  # scikit-learn is untyped: declare that its decorators keep the type of the method

    def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]: ...

    def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]: ...

else:
    available_if, fit_context = _available_if, _fit_context

# Attributes that scikit-learn sets on an estimator for its callbacks
CALLBACK_STATE = {"_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks", "_skl_callbacks_to_teardown"}


def wrap_score_function(scorer: Any, wrapper: Callable[[Any], Any]) -> Any:
    """Return a copy of a ``make_scorer`` scorer with its score function wrapped; return other scorers unchanged."""
    if not hasattr(scorer, "_score_func"):
        return scorer
    scorer = copy.copy(scorer)
    scorer._score_func = wrapper(scorer._score_func)
    return scorer


def is_search_candidate() -> bool:
    """Return whether the caller runs inside the fit of a candidate of a scikit-learn search."""
    frame = sys._getframe()
    while frame := frame.f_back:
        if frame.f_code is _fit_and_score.__code__ and frame.f_locals.get("parameters"):
            return True
    return False


__all__ = [
    "CALLBACK_STATE",
    "CallbackSupportMixin",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "available_if",
    "check_matplotlib_support",
    "check_optimize_result",
    "check_partial_fit_first_call",
    "check_sample_weight",
    "fit_context",
    "get_threadpool_controller",
    "is_search_candidate",
    "validate_parameter_constraints",
    "validate_score_name",
    "with_callbacks",
    "wrap_score_function",
]

"""The one door to scikit-learn's private names, so that an upgrade breaks in one place."""

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
            """Not available: callbacks need scikit-learn 1.9.

            Parameters
            ----------
            *callbacks : callback instances
                Refused.
            """
            raise NotImplementedError(f"Callbacks need scikit-learn >= 1.9, and this is {sklearn.__version__}.")

    def with_callbacks(method):
        return method


if TYPE_CHECKING:  # scikit-learn has no types: its decorators leave those of the method

    def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]: ...

    def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]: ...

else:
    available_if, fit_context = _available_if, _fit_context

# what scikit-learn notes on an estimator for the sake of its callbacks
CALLBACK_STATE = {"_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks", "_skl_callbacks_to_teardown"}


def with_score_function(scorer: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of a ``make_scorer`` scorer whose score function is wrapped by ``change``; other scorers unchanged."""
    if not hasattr(scorer, "_score_func"):
        return scorer
    scorer = copy.copy(scorer)
    scorer._score_func = change(scorer._score_func)
    return scorer


def is_candidate() -> bool:
    """Whether a search is fitting the calling estimator as one of its candidates."""
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
    "is_candidate",
    "validate_parameter_constraints",
    "validate_score_name",
    "with_callbacks",
    "with_score_function",
]

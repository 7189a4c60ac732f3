"""Hyperparameter search with scikit-learn: a distribution of dropout rates, and the one-standard-error rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state, check_scalar

from ._typing import Float, Int, Seed


@dataclass(frozen=True)
class DropoutRates:
    """Distribution of dropout rates, one per hidden layer, for ``RandomizedSearchCV``.

    The rates are independent and uniform in [low, high).

    Parameters
    ----------
    n_layers : int
        Number of hidden layers, at least 1. To search over several depths, pass a list of dicts, one for each depth:
        ``[{"hidden_layer_sizes": [(64,)], "dropout": DropoutRates(1)}, ...]``.

    low : float, default=0.0
        Lower bound of the rates, inclusive, in [0, high).

    high : float, default=0.5
        Upper bound of the rates, exclusive, in (low, 1].

    Raises
    ------
    TypeError, ValueError
        If a parameter has the wrong type or is out of range.

    See Also
    --------
    one_standard_error : Rule for ``refit`` that chooses among the candidates.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import RandomizedSearchCV
    >>> from skdropout import DropoutMLPClassifier, DropoutRates
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = DropoutMLPClassifier(
    ...     hidden_layer_sizes=(16, 16), learning_rate_init=0.02, early_stopping=True, scoring="loss", random_state=0
    ... )
    >>> distributions = {"dropout": DropoutRates(n_layers=2, high=0.4)}
    >>> search = RandomizedSearchCV(mlp, distributions, n_iter=3, cv=3, random_state=0).fit(X, y)
    >>> [tuple(round(rate, 2) for rate in params["dropout"]) for params in search.cv_results_["params"]]
    [(0.22, 0.29), (0.24, 0.22), (0.17, 0.26)]
    """

    n_layers: Int
    low: Float = 0.0
    high: Float = 0.5

    def __post_init__(self) -> None:
        check_scalar(self.n_layers, "n_layers", Integral, min_val=1)
        check_scalar(self.low, "low", Real)
        check_scalar(self.high, "high", Real)
        if not 0 <= self.low < self.high <= 1:
            raise ValueError(f"Rates are drawn from [low, high), which needs 0 <= low < high <= 1, got {self!r}.")

    def rvs(self, *, random_state: Seed = None) -> tuple[float, ...]:
        """Draw one rate per hidden layer.

        Parameters
        ----------
        random_state : int, RandomState instance or None, default=None
            Source of the random numbers. Pass an int for reproducible rates.

        Returns
        -------
        rates : tuple of float
            One rate per hidden layer, a value for the parameter `dropout`.
        """
        return tuple(check_random_state(random_state).uniform(self.low, self.high, size=self.n_layers).tolist())


def one_standard_error(cv_results: Mapping[str, Any], metric: str = "score") -> int:
    """Return the candidate with the smallest dropout rate within one standard error of the best, for ``refit``.

    Given scores s of K splits, their mean :math:`m_c` for candidate c, and the best candidate b, the rule chooses the
    candidate with the smallest rate among those with

    .. math:: m_c \\ge m_b - \\mathrm{sd}(s_b) / \\sqrt{K}

    where sd has the divisor K - 1. The rate of a candidate is the mean over layers, summed over all parameters whose
    name ends in "dropout" (``mlp__dropout``, ``mlp__input_dropout``). A parameter that the candidate does not set
    counts as 0. Ties are broken by the best score. Candidates with a non-finite score are ignored.

    Parameters
    ----------
    cv_results : dict
        The ``cv_results_`` of a search. For successive halving, only candidates of the last iteration are considered,
        because the others were scored with fewer resources.

    metric : str, default="score"
        Name of the score to use. For multi-metric searches, set it with
        ``refit=functools.partial(one_standard_error, metric="accuracy")``.

    Returns
    -------
    index : int
        Index of the chosen candidate, the ``best_index_`` of the search.

    Raises
    ------
    ValueError
        If no candidate sets a dropout rate, if `metric` is missing, if there is only one split, or if no score is
        finite.

    See Also
    --------
    DropoutRates : Distribution of dropout rates for ``RandomizedSearchCV``.

    Notes
    -----
    Searches with a callable `refit` have no ``best_score_``. Use ``cv_results_["mean_test_score"][best_index_]``.
    ``HalvingGridSearchCV`` and ``HalvingRandomSearchCV`` do not call `refit` (scikit-learn 1.9): apply the rule to
    their results, ``params = search.cv_results_["params"][one_standard_error(search.cv_results_)]``.

    References
    ----------
    .. [1] Breiman, Friedman, Olshen, Stone: Classification and Regression Trees, 1984, section 3.4.3.
    .. [2] Hastie, Tibshirani, Friedman: The Elements of Statistical Learning, second edition, 2009, section 7.10.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.preprocessing import scale
    >>> from skdropout import DropoutMLPClassifier, one_standard_error
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = DropoutMLPClassifier(
    ...     (16, 16), learning_rate_init=0.02, early_stopping=True, scoring="loss", random_state=0
    ... )
    >>> grid = {"dropout": [0.0, 0.2, (0.2, 0.5)]}
    >>> search = GridSearchCV(mlp, grid, refit=one_standard_error, cv=3).fit(scale(X), y)
    >>> search.best_params_
    {'dropout': 0.0}
    """
    available = [name.removeprefix("mean_test_") for name in cv_results if name.startswith("mean_test_")]
    if metric not in available:
        raise ValueError(
            f"metric={metric!r} is not among the scores of this search, {available}: use, for example, "
            f"refit=functools.partial(one_standard_error, metric={available[0]!r})."
        )
    rates = [[value for name, value in params.items() if name.endswith("dropout")] for params in cv_results["params"]]
    if not any(rates):
        raise ValueError(
            "one_standard_error chooses the smallest dropout rate, but this search tunes no parameter whose name "
            f"ends in 'dropout', only {sorted({name for params in cv_results['params'] for name in params})}."
        )
    mean = np.asarray(cv_results[f"mean_test_{metric}"])
    n_splits = sum(name.startswith("split") and name.endswith(f"_test_{metric}") for name in cv_results)
    if n_splits < 2:
        raise ValueError(f"A standard error needs at least 2 splits, but cv has {n_splits}.")
    eligible = np.isfinite(mean)
    if "iter" in cv_results:
        eligible &= cv_results["iter"] == np.max(cv_results["iter"])
    if not eligible.any():
        raise ValueError(f"No candidate has a finite mean_test_{metric}, got {mean.tolist()}.")
    best = np.argmax(np.where(eligible, mean, -np.inf))
    error = np.std([cv_results[f"split{i}_test_{metric}"][best] for i in range(n_splits)], ddof=1) / np.sqrt(n_splits)
    within_error = np.flatnonzero(eligible & (mean >= mean[best] - error))
    return int(min(within_error, key=lambda i: (_total_rate(rates[i]), -mean[i])))


def _total_rate(rates):
    """Return the sum of the rates, each averaged over layers, rounded because its last digits depend on the order."""
    return round(sum(float(np.mean(rate)) for rate in rates if np.size(rate)), 12)

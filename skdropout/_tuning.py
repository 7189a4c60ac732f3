"""For scikit-learn's searches: rates to draw, and the rule of one standard error."""

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
    """Rates of dropout drawn at random, one per hidden layer: a distribution for ``RandomizedSearchCV``.

    The rates are independent and uniform in [low, high).

    Parameters
    ----------
    n_layers : int
        The number of hidden layers, at least 1. For networks of several depths give a list of dicts, one for each
        depth: ``[{"hidden_layer_sizes": [(64,)], "dropout": DropoutRates(1)}, ...]``.

    low : float, default=0.0
        The smallest rate, in [0, high).

    high : float, default=0.5
        No rate is as large as this, in (low, 1].

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as above.

    See Also
    --------
    one_standard_error : A rule by which the search chooses among the candidates.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import RandomizedSearchCV
    >>> from skdropout import DropoutMLPClassifier, DropoutRates
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = DropoutMLPClassifier((16, 16), learning_rate_init=0.02, early_stopping=True, random_state=0)
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
            raise ValueError(f"Rates are drawn from [low, high) with 0 <= low < high <= 1, got {self!r}.")

    def rvs(self, *, random_state: Seed = None) -> tuple[float, ...]:
        """Draw one rate per hidden layer.

        Parameters
        ----------
        random_state : int, RandomState instance or None, default=None
            Where the random numbers come from; equal seeds give equal rates.

        Returns
        -------
        rates : tuple of float
            A value of the parameter `dropout`.
        """
        return tuple(check_random_state(random_state).uniform(self.low, self.high, size=self.n_layers).tolist())


def one_standard_error(cv_results: Mapping[str, Any], metric: str = "score") -> int:
    """The candidate with the smallest dropout rate within one standard error of the best: a rule for ``refit``.

    With scores s of K splits, mean :math:`m_c` for candidate c and best candidate b, it is the one of least rate among

    .. math:: m_c \\ge m_b - \\mathrm{sd}(s_b) / \\sqrt{K}

    where sd has the divisor K - 1. The rate of a candidate is the mean over layers, added over all parameters whose
    name ends in "dropout" (``mlp__dropout``, ``mlp__input_dropout``); one that it does not set counts as 0. Among
    candidates of the same rate the best score decides. Candidates whose score is not finite are left out.

    Parameters
    ----------
    cv_results : dict
        The ``cv_results_`` of a search. Of a successive halving only the candidates of the last iteration count: the
        others were scored with fewer resources.

    metric : str, default="score"
        The score to go by. In a search with several, bind it:
        ``refit=functools.partial(one_standard_error, metric="accuracy")``.

    Returns
    -------
    index : int
        Of the candidate, ``best_index_`` of the search.

    Raises
    ------
    ValueError
        If no candidate sets a dropout rate, if there is no such metric or only one split, or if no score is finite.

    See Also
    --------
    DropoutRates : Rates to draw in ``RandomizedSearchCV``.

    Notes
    -----
    Searches with a callable `refit` have no ``best_score_``; it is ``cv_results_["mean_test_score"][best_index_]``.
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
            f"metric={metric!r} is not among the scores of this search, which are {available}: use for example "
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
    scored = np.isfinite(mean)
    if "iter" in cv_results:
        scored &= cv_results["iter"] == np.max(cv_results["iter"])
    if not scored.any():
        raise ValueError(f"No candidate has a finite mean_test_{metric}: {mean.tolist()}.")
    best = np.argmax(np.where(scored, mean, -np.inf))
    error = np.std([cv_results[f"split{i}_test_{metric}"][best] for i in range(n_splits)], ddof=1) / np.sqrt(n_splits)
    near = np.flatnonzero(scored & (mean >= mean[best] - error))
    return int(min(near, key=lambda i: (_total(rates[i]), -mean[i])))


def _total(rates):
    """The sum of rates, each the mean over layers if it has several, without the last digits, which depend on order."""
    return round(sum(float(np.mean(rate)) for rate in rates if np.size(rate)), 12)

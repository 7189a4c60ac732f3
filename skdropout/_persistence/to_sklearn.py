"""Conversion to scikit-learn's own MLPs."""

from __future__ import annotations

import copy
from typing import Any

from sklearn.base import is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.validation import check_is_fitted

from .._fitted import attributes_with
from .._weights import checked_weights, mean_weights

# Values that scikit-learn's MLPs support
SKLEARN_ACTIVATIONS = {"identity", "logistic", "relu", "tanh"}
SKLEARN_OUTPUTS = {"exp", "identity", "logistic", "softmax", "gaussian"}  # of the last, scikit-learn gets the means
SKLEARN_CHOICES = {"learning_rate": {"adaptive", "constant", "invscaling"}, "solver": {"adam", "lbfgs", "sgd"}}


class ToSklearnMixin:
    """Mixin with ``to_sklearn``."""

    def to_sklearn(self) -> Any:
        """Convert the fitted network to scikit-learn's own estimator, which predicts without skdropout.

        In prediction dropout is the identity, and batch normalization is folded into ``coefs_`` and ``intercepts_``.
        The network is therefore equivalent to an :class:`~sklearn.neural_network.MLPClassifier` or
        :class:`~sklearn.neural_network.MLPRegressor`, which other tools can read, such as skl2onnx.

        Returns
        -------
        mlp : MLPClassifier or MLPRegressor
            Fitted estimator with copies of the weights and of the fitted attributes that scikit-learn's MLPs have.
            Predictions and probabilities are bit for bit equal if X has the dtype of the weights and at most 2¹⁹ / w
            rows, where w is the width of the widest layer. More rows are predicted in blocks here and are equal up to
            rounding. Further training uses a new optimizer, without dropout, batch normalization or other losses.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.

        ValueError
            If scikit-learn cannot represent the network: an activation other than its four, different activations, or
            a single class, for which it returns two columns of probabilities.

        See Also
        --------
        save_weights : Save the weights as plain arrays, for any activation.

        Notes
        -----
        Parameters that both estimators have keep their values. A `solver`, `learning_rate` or `loss` that scikit-learn
        does not have is replaced by its default, which does not change predictions. scikit-learn's
        ``predict_log_proba`` is ``-inf`` where a probability rounds to 0. With float32 weights and float64 rows it
        computes in float64: cast X to float32.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdropout import DropoutMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = DropoutMLPClassifier(
        ...     hidden_layer_sizes=20, learning_rate_init=0.02, early_stopping=True, scoring="loss", random_state=0
        ... ).fit(X, y)
        >>> mlp = clf.to_sklearn()
        >>> mlp
        MLPClassifier(early_stopping=True, hidden_layer_sizes=(20,),
                      learning_rate_init=0.02, random_state=0)
        >>> print("largest difference:", abs(mlp.predict_proba(X) - clf.predict_proba(X)).max())
        largest difference: 0.0
        """
        check_is_fitted(self)
        estimator: Any = self  # a BaseDropoutMLP
        mlp: Any = MLPClassifier() if is_classifier(self) else MLPRegressor()
        self._check_convertible(type(mlp).__name__)
        defaults = mlp.get_params(deep=False)
        # by attribute, since the signature of a subclass may hide parameters
        params = {name: getattr(estimator, name) for name in defaults if hasattr(estimator, name)}
        for name, values in SKLEARN_CHOICES.items():
            if params[name] not in values:
                params[name] = defaults[name]
        coefs, intercepts = checked_weights(self)
        params["hidden_layer_sizes"] = tuple(W.shape[1] for W in coefs[:-1])
        params["activation"] = next(iter(estimator._activations), defaults["activation"])
        if "loss" in params:
            params["loss"] = "poisson" if estimator.out_activation_ == "exp" else "squared_error"
        mlp.set_params(**copy.deepcopy(params))
        fitted = {name: value for name, value in vars(self).items() if name in attributes_with("sklearn")}
        if estimator.out_activation_ == "gaussian":
            coefs, intercepts = mean_weights(coefs, intercepts)
            fitted["out_activation_"] = "identity"
        vars(mlp).update(copy.deepcopy(fitted | {"coefs_": coefs, "intercepts_": intercepts}))
        if mlp.early_stopping:  # as set by its own fit
            mlp._best_coefs, mlp._best_intercepts = mlp.coefs_, mlp.intercepts_
        return mlp

    def _check_convertible(self, target):
        """Raise an error if scikit-learn's class `target` cannot represent the network."""
        used = set(self._activations)
        if len(used) > 1 or not used <= SKLEARN_ACTIVATIONS:
            raise ValueError(
                f"scikit-learn's {target} has one activation for all hidden layers, of {sorted(SKLEARN_ACTIVATIONS)}, "
                f"but this network has {list(self._activations)}: fit it with one of these four, or export it with "
                "save_weights."
            )
        if self.out_activation_ not in SKLEARN_OUTPUTS:
            raise ValueError(
                f"scikit-learn's {target} has no output activation {self.out_activation_!r}, which loss={self.loss!r} "
                "uses: export the network with save_weights."
            )
        if is_classifier(self) and len(self.classes_) == 1:
            raise ValueError(
                f"The network was fitted on a single class, {self.classes_[0]!r}, for which scikit-learn's {target} "
                "returns two columns of probabilities: fit it on at least two classes."
            )

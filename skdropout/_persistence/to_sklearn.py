"""Conversion to scikit-learn's own estimators."""

from __future__ import annotations

import copy
from typing import Any

from sklearn.base import is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.validation import check_is_fitted

from .._fitted import having
from .._weights import weights_of

# what scikit-learn's MLPs support
SKLEARN_ACTIVATIONS = {"identity", "logistic", "relu", "tanh"}
SKLEARN_OUTPUTS = {"exp", "identity", "logistic", "softmax"}
SKLEARN_CHOICES = {"learning_rate": {"adaptive", "constant", "invscaling"}, "solver": {"adam", "lbfgs", "sgd"}}


class ToSklearnMixin:
    """``to_sklearn``."""

    def to_sklearn(self) -> Any:
        """Convert the fitted network to scikit-learn's own estimator, which predicts without skdropout.

        At prediction dropout is the identity and batch normalization is folded into ``coefs_`` and ``intercepts_``, so
        that the network is an :class:`~sklearn.neural_network.MLPClassifier` or
        :class:`~sklearn.neural_network.MLPRegressor`: for any tool that reads these, such as skl2onnx.

        Returns
        -------
        mlp : MLPClassifier or MLPRegressor
            Fitted, with copies of the weights and of the fitted attributes that scikit-learn's MLPs have. Predictions
            and probabilities are equal: bit for bit on X of the dtype of the weights and of at most 2¹⁹ / w rows, w
            being the width of the widest layer; up to rounding on more rows, which are predicted in blocks here.
            Further training does not include dropout, batch normalization and other losses, and uses a new optimizer.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.

        ValueError
            If scikit-learn cannot represent the network: an activation other than its four, more than one activation,
            or a single class, for which it returns two columns of probabilities.

        See Also
        --------
        save_weights : Saves the weights as plain arrays, for any activation.

        Notes
        -----
        Parameters that both estimators have keep their values. A `solver`, `learning_rate` or `loss` that scikit-learn
        lacks becomes its default, which changes no prediction. scikit-learn's ``predict_log_proba`` is ``-inf`` where a
        probability rounds to 0, and float32 weights on float64 rows compute in float64 there: cast X to float32.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdropout import DropoutMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = DropoutMLPClassifier(20, learning_rate_init=0.02, early_stopping=True, random_state=0).fit(X, y)
        >>> mlp = clf.to_sklearn()
        >>> mlp
        MLPClassifier(early_stopping=True, hidden_layer_sizes=(20,),
                      learning_rate_init=0.02, random_state=0)
        >>> bool((mlp.predict_proba(X) == clf.predict_proba(X)).all())
        True
        """
        check_is_fitted(self)
        ours: Any = self  # with all that BaseDropoutMLP has
        theirs: Any = MLPClassifier() if is_classifier(self) else MLPRegressor()
        self._check_convertible(type(theirs).__name__)
        known = theirs.get_params(deep=False)
        params = {name: getattr(ours, name) for name in known if hasattr(ours, name)}  # those a subclass hides, too
        for name, values in SKLEARN_CHOICES.items():
            if params[name] not in values:
                params[name] = known[name]
        coefs, intercepts = weights_of(self)
        params["hidden_layer_sizes"] = tuple(W.shape[1] for W in coefs[:-1])
        params["activation"] = next(iter(ours._activations), known["activation"])
        if "loss" in params:
            params["loss"] = "poisson" if ours.out_activation_ == "exp" else "squared_error"
        theirs.set_params(**copy.deepcopy(params))
        fitted = {name: value for name, value in vars(self).items() if name in having("sklearn")}
        vars(theirs).update(copy.deepcopy(fitted | {"coefs_": coefs, "intercepts_": intercepts}))
        if theirs.early_stopping:  # as its own fit leaves them
            theirs._best_coefs, theirs._best_intercepts = theirs.coefs_, theirs.intercepts_
        return theirs

    def _check_convertible(self, theirs):
        """Raise an error for a network that scikit-learn cannot represent."""
        used = set(self._activations)
        if len(used) > 1 or not used <= SKLEARN_ACTIVATIONS:
            raise ValueError(
                f"scikit-learn's {theirs} has one activation for all hidden layers, of {sorted(SKLEARN_ACTIVATIONS)}, "
                f"and this network has {list(self._activations)}: fit it with one of these four, or export it by "
                "save_weights."
            )
        if self.out_activation_ not in SKLEARN_OUTPUTS:
            raise ValueError(
                f"scikit-learn's {theirs} has no output activation {self.out_activation_!r}, which goes with "
                f"loss={self.loss!r}: export the network by save_weights."
            )
        if is_classifier(self) and len(self.classes_) == 1:
            raise ValueError(
                f"The network was fitted on a single class, {self.classes_[0]!r}, to which scikit-learn's {theirs} "
                "gives two columns of probabilities: fit it on two classes or more."
            )

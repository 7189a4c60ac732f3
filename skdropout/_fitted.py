"""The table of fitted attributes: one row per attribute, with all that the package needs to know about it.

To add a fitted attribute, add its row, set it during ``fit`` (in ``History`` if it is recorded from epoch to epoch) and
document it in the docstrings. Pickles, copies, checkpoints, ``.npz`` files and ``to_sklearn`` follow the table.
"""

from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from ._codec import SequenceOf


class Attribute(NamedTuple):
    """The facts about a fitted attribute.

    ``schema`` is what ``_codec.check`` expects of its value in a checkpoint file; None if it is checked elsewhere.
    """

    name: str
    schema: Any = None
    predicts: bool = False  # prediction and sampling depend on it
    history: bool = False  # recorded from epoch to epoch; an attribute of ``History``
    stochastic: bool = False  # a fit by L-BFGS does not have it
    continues: bool = False  # training that continues from the weights depends on it
    stream: bool = False  # only the next ``partial_fit`` needs it, so pickles made after ``fit`` leave it out
    required: str = ""  # who cannot predict without it: "both", "classifier" or "regressor"
    npz: bool = False  # saved by ``save_weights`` under its own name
    sklearn: bool = False  # scikit-learn's MLPs have it too
    array: bool = False  # stays an array when read from ``.npz``, where other values become lists or numbers


FITTED = {
    row.name: row
    for row in [
        Attribute("coefs_", predicts=True, sklearn=True),
        Attribute("intercepts_", predicts=True, sklearn=True),
        Attribute("batch_norm_scale_", predicts=True),
        Attribute("batch_norm_shift_", predicts=True),
        Attribute("batch_norm_mean_", predicts=True),
        Attribute("batch_norm_var_", predicts=True),
        Attribute("_unfolded", predicts=True),
        Attribute("dropout_", predicts=True, history=True, required="both", npz=True),
        Attribute("noise_variance_", Real | np.ndarray, predicts=True, required="regressor", npz=True, array=True),
        Attribute("_activations", required="both"),
        Attribute("_noise", required="both"),
        Attribute("out_activation_", str, required="both", sklearn=True),
        Attribute("n_features_in_", Integral, required="both", sklearn=True),
        Attribute("feature_names_in_", np.ndarray, npz=True, sklearn=True, array=True),
        Attribute("n_layers_", Integral, sklearn=True),
        Attribute("n_outputs_", Integral, required="both", sklearn=True),
        Attribute("classes_", required="classifier", npz=True, sklearn=True, array=True),
        Attribute("class_weight_", np.ndarray, npz=True, array=True),
        Attribute("_label_binarizer", LabelBinarizer, required="classifier", sklearn=True),
        Attribute("n_iter_", Integral, history=True, npz=True, sklearn=True),
        Attribute("t_", Integral, history=True, npz=True, sklearn=True),
        Attribute("loss_", Real, history=True, npz=True, sklearn=True),
        Attribute("loss_curve_", SequenceOf(Real), history=True, stochastic=True, npz=True, sklearn=True),
        Attribute("best_loss_", Real | None, history=True, stochastic=True, npz=True, sklearn=True),
        Attribute("dropout_curve_", SequenceOf(SequenceOf(Real, tuple)), history=True, stochastic=True, npz=True),
        Attribute("validation_scores_", list | None, history=True, stochastic=True, npz=True, sklearn=True),
        Attribute("validation_loss_curve_", list | None, history=True, stochastic=True, npz=True),
        Attribute("best_validation_score_", Real | None, history=True, stochastic=True, npz=True, sklearn=True),
        Attribute("_no_improvement_count", Integral, history=True, stochastic=True, npz=True, sklearn=True),
        Attribute("_optimizer", stochastic=True, stream=True),
        Attribute("_learning_rate", Real, stochastic=True),  # in files without the optimizer
        Attribute("_rate_settings", ("", "", 0.0), stochastic=True),  # the settings that the learning rate belongs to
        Attribute("_input_exponents", np.ndarray | None, stochastic=True, stream=True),
        Attribute("_in_stream", bool),  # whether the last call was ``partial_fit``
        Attribute("_validation_mask", (0, np.ndarray), continues=True),
        Attribute("_random_state", np.random.RandomState),
        Attribute("_mask_state", dict, continues=True),
    ]
}


def having(fact, value=True):
    """The names of the attributes for which a fact, a field of ``Attribute``, is true or equals `value`."""
    return [name for name, row in FITTED.items() if getattr(row, fact) == value]


def required(kind):
    """The names of the attributes without which an estimator of a kind, "classifier" or "regressor", cannot predict."""
    return [*having("required", "both"), *having("required", kind)]


def is_fitted_attribute(name):
    """Whether a name is that of a fitted attribute, by the table or by scikit-learn's convention."""
    return name in FITTED or (name.endswith("_") and not name.startswith("_"))


class NoiseSettings(NamedTuple):
    """The dropout of the last ``fit``; the attribute ``_noise`` is the plain tuple."""

    kinds: tuple  # kind of the dropout on the input of each layer
    groups: tuple  # groups of units that are dropped together, or None, for each layer
    rates: tuple  # rates before the schedule
    schedule: str


class Unfolded(NamedTuple):
    """The parameters before batch normalization is folded in; the attribute ``_unfolded`` is the plain tuple."""

    batch_norm: str | bool  # its place in a layer
    vector: np.ndarray | None
    n_seen: list  # batches seen by the running moments of each hidden layer


NOT_FOLDED = Unfolded(False, None, [])  # without batch normalization


def noise_settings(estimator):
    """The dropout of the last ``fit``."""
    return NoiseSettings(*estimator._noise)


def unfolded_state(estimator):
    """The parameters before folding."""
    return Unfolded(*getattr(estimator, "_unfolded", NOT_FOLDED))

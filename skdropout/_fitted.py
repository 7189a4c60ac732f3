"""Table of fitted attributes: one row per attribute, with its properties.

To add a fitted attribute, add its row, set it during ``fit`` (in ``History`` if it changes in each epoch) and document
it in the docstrings. Pickles, copies, checkpoints, ``.npz`` files and ``to_sklearn`` follow the table.
"""

from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from ._codec import SequenceOf


class Attribute(NamedTuple):
    """Properties of a fitted attribute.

    ``schema`` is the argument `expected` of ``_codec.check`` for its value in a checkpoint file; None if the value is
    checked elsewhere.
    """

    name: str
    schema: Any = None
    for_prediction: bool = False  # prediction and sampling depend on it
    history: bool = False  # updated in each epoch; an attribute of ``History``
    stochastic: bool = False  # not set by L-BFGS
    for_training: bool = False  # further training depends on it
    partial_fit_only: bool = False  # left out of pickles made after ``fit``
    required: str = ""  # needed to predict, by "both", "classifier" or "regressor"
    npz: bool = False  # saved by ``save_weights`` under its own name
    sklearn: bool = False  # scikit-learn's MLPs have it too
    array: bool = False  # read from ``.npz`` as an array, not as a list or number


FITTED = {
    row.name: row
    for row in [
        Attribute("coefs_", for_prediction=True, sklearn=True),
        Attribute("intercepts_", for_prediction=True, sklearn=True),
        Attribute("batch_norm_scale_", for_prediction=True),
        Attribute("batch_norm_shift_", for_prediction=True),
        Attribute("batch_norm_mean_", for_prediction=True),
        Attribute("batch_norm_var_", for_prediction=True),
        Attribute("_unfolded", for_prediction=True),
        Attribute("dropout_", for_prediction=True, history=True, required="both", npz=True),
        Attribute(
            "noise_variance_", Real | np.ndarray, for_prediction=True, required="regressor", npz=True, array=True
        ),
        Attribute("variance_factor_", Real | np.ndarray, for_prediction=True, npz=True, array=True),
        Attribute("conformity_scores_", np.ndarray | None, for_prediction=True, npz=True, array=True),
        Attribute("_conformity_weights", np.ndarray | None, for_prediction=True, npz=True, array=True),
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
        Attribute("_optimizer", stochastic=True, partial_fit_only=True),
        Attribute("_learning_rate", Real, stochastic=True),  # in files without the optimizer
        Attribute("_rate_settings", ("", "", 0.0), stochastic=True),  # the settings that the learning rate belongs to
        Attribute("_input_exponents", np.ndarray | None, stochastic=True, partial_fit_only=True),
        Attribute("_in_stream", bool),  # whether the last call was ``partial_fit``
        Attribute("_validation_mask", (0, np.ndarray), for_training=True),
        Attribute("_random_state", np.random.RandomState),
        Attribute("_mask_state", dict, for_training=True),
    ]
}


def attributes_with(field, value=True):
    """Return the names of the attributes whose `field` is true or equals `value`."""
    return [name for name, row in FITTED.items() if getattr(row, field) == value]


def required_attributes(kind):
    """Return the names of the attributes that a "classifier" or "regressor" needs to predict."""
    return [*attributes_with("required", "both"), *attributes_with("required", kind)]


def uncalibrated(n_outputs):
    """Return the attributes of a regressor without calibration, which are the defaults for files of older releases."""
    factor = 1.0 if n_outputs == 1 else np.ones(n_outputs)
    return {"variance_factor_": factor, "conformity_scores_": None, "_conformity_weights": None}


def is_fitted_attribute(name):
    """Return whether `name` is a fitted attribute, by the table or by scikit-learn's convention."""
    return name in FITTED or (name.endswith("_") and not name.startswith("_"))


class NoiseSettings(NamedTuple):
    """Dropout settings of the last ``fit``. The attribute ``_noise`` is a plain tuple of these."""

    kinds: tuple  # kind of dropout on the input of each layer
    groups: tuple  # for each layer, groups of units that are dropped together, or None
    rates: tuple  # rates before the schedule
    schedule: str


class Unfolded(NamedTuple):
    """Parameters before folding in batch normalization. The attribute ``_unfolded`` is a plain tuple of these."""

    batch_norm: str | bool  # the parameter `batch_norm`
    vector: np.ndarray | None
    n_seen: list  # number of batches seen by the running moments of each hidden layer


NO_BATCH_NORM = Unfolded(False, None, [])


def noise_settings(estimator):
    """Return the dropout settings of the last ``fit``."""
    return NoiseSettings(*estimator._noise)


def unfolded_state(estimator):
    """Return the parameters before folding in batch normalization."""
    return Unfolded(*getattr(estimator, "_unfolded", NO_BATCH_NORM))

"""Plan of a training run, and the model to train."""

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ..engine.backprop import Backprop
from ..engine.layers import LayerSpec, fold
from ..engine.losses import LOSSES
from ..engine.network import Network
from ..engine.params import Params
from .checks import suggest_fixes
from .data import Rows
from .parameters import learning_rate_settings


class Model(NamedTuple):
    """Model to train: parameters, running moments of batch normalization, and layers.

    With ``input_exponents`` k, the parameters are those of a network with input columns X_j / 2^k_j.
    """

    params: Params
    moments: list[Any]
    specs: list[LayerSpec]
    batch_norm: str | bool = False
    input_exponents: np.ndarray | None = None
    assigned: str = "nothing"  # by the user, see ``unfold_weights``: the running moments may not match such weights

    def unscaled_params(self):
        """Return the parameters for unscaled inputs, as a copy if there are exponents."""
        if self.input_exponents is None:
            return self.params
        params = copy.deepcopy(self.params)
        params.coefs[0][:] = self._unscale(params.coefs[0])
        return params

    def _unscale(self, W):
        """Return the first weights for unscaled inputs. Scaling by powers of two commutes with ``fold``."""
        return W if self.input_exponents is None else np.ldexp(W, -self.input_exponents[:, np.newaxis])

    def fold(self, params):
        """Return weights and biases with batch normalization folded in. Without it they are views of `params`."""
        if self.batch_norm:
            return fold(params, self.moments, self.batch_norm)
        return params.coefs, params.intercepts

    def network(self, output):
        """Return the network for prediction, with the output activation `output`."""
        activations = [spec.activation for spec in self.specs[:-1]]
        (first, *coefs), intercepts = self.fold(self.params)
        return Network([self._unscale(first), *coefs], intercepts, activations, output)


class SavedFit(NamedTuple):
    """Fit that was loaded from a checkpoint file."""

    fitted: dict[str, Any]  # fitted attributes by name
    state: dict[str, Any]  # state of the training, or of the finished fit
    path: Path


@dataclass(frozen=True)
class Plan:
    """Inputs of a training run, returned by ``prepare``.

    Parameters
    ----------
    settings : SimpleNamespace
        The parameters of the estimator by name.
    model : Model
        The initial model, which is trained in place.
    rows : Rows
        All training rows.
    train : ndarray of int
        Indices of the rows to train on. The others are in the validation set.
    held_out : Rows or None
        The validation set.
    random_state : RandomState
        Stream for the initial weights, the validation split and shuffling.
    masks : Generator or None
        Stream for dropout masks; None without dropout.
    fresh : bool
        Whether training starts from new weights.
    incremental : bool
        Whether this is a call of ``partial_fit``.
    previous : dict
        The fitted attributes of the training that this one continues.
    rates : tuple of float
        Dropout rate on the input of each layer, before the schedule.
    initial_rates : tuple of float
        Dropout rates that the initial weights were trained with.
    loss, loss_options : str and dict
        Name and options of the loss.
    scoring : str, callable or None
        Score of the validation set: "loss", a scorer, or None for the default score of the estimator.
    monitors_loss : bool
        Whether early stopping monitors the validation loss instead of the score.
    feature_names : ndarray or None
        Names of the columns of X.
    fingerprint : dict or None
        Hashes that identify the fit, see ``compute_fingerprint``; None without checkpoints.
    initial_random_state : tuple or None
        State of `random_state` before the first draw; None without checkpoints.
    resume_from : SavedFit or None
        The interrupted or finished fit in the checkpoint file, if any.
    """

    settings: SimpleNamespace
    model: Model
    rows: Rows
    train: np.ndarray
    held_out: Rows | None
    random_state: np.random.RandomState
    masks: np.random.Generator | None
    fresh: bool
    incremental: bool
    previous: dict[str, Any]
    rates: tuple[float, ...]
    initial_rates: tuple[float, ...]
    loss: str
    loss_options: dict[str, Any]
    scoring: Any
    monitors_loss: bool
    feature_names: np.ndarray | None
    fingerprint: dict[str, Any] | None
    initial_random_state: tuple[Any, ...] | None
    resume_from: SavedFit | None

    @property
    def dtype(self):
        return self.model.params.dtype

    @property
    def n_columns(self):
        """Number of columns of the output."""
        return self.model.specs[-1].units

    @property
    def output(self):
        """Name of the output activation."""
        return LOSSES[self.loss].output

    @cached_property
    def objective(self):
        """Entry of the loss in ``LOSSES``, with its options filled in."""
        return LOSSES[self.loss].bind(**self.loss_options)

    @property
    def rate_settings(self):
        """Settings that the current learning rate belongs to."""
        return learning_rate_settings(vars(self.settings))

    @property
    def evaluation_rows(self):
        """Validation set, or the training rows if there is none."""
        return self.rows if self.held_out is None else self.held_out

    def network(self):
        """Return the network for prediction with the current weights."""
        return self.model.network(self.output)

    def reported_loss(self, P, Y, sample_weight):
        """Return the loss of the predictions P as in loss curves, without penalty. P is overwritten."""
        return self.objective.function(P, Y, sample_weight) * self.objective.reporting_scale(self.n_columns)

    def backprop(self, params, batch_size):
        """Return a ``Backprop`` for batches of at most `batch_size` rows, for `params` of the model or a copy."""
        settings = self.settings
        return Backprop(
            params,
            self.model.specs,
            self.loss,
            batch_size,
            alpha=0.0 if settings.solver == "adamw" else settings.alpha,
            l1_ratio=settings.l1_ratio,
            max_norm=settings.max_norm,
            batch_norm=settings.batch_norm or None,
            moments=self.model.moments,
            mask_sharing=settings.mask_sharing,
            loss_options=self.loss_options,
        )

    def divergence_error(self, reason, rows):
        """Return the error for a training that has overflowed."""
        return ValueError(
            "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
            f"preprocessed. {reason}: {suggest_fixes(self, rows)}."
        )

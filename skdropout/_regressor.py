"""Multi-layer perceptron regressor with dropout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Literal, Self, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Bunch, assert_all_finite

from ._base import BaseDropoutMLP
from ._conformal import MAX_NOISE_ROWS, ConformalMixin
from ._fit.parameters import REGRESSION_LOSSES
from ._fit.unused_parameters import warn_about_unused_sampling
from ._fitted import noise_settings
from ._sampling import (
    SamplingOptions,
    add_moments,
    ended_at_zero,
    monte_carlo_passes,
    pass_moments,
    reduce_over_passes,
    warn_about_constant_std,
)
from ._sklearn import Interval, InvalidParameterError, available_if, fit_context
from ._snapshot import from_snapshot
from ._typing import (
    ActivationName,
    BatchNormPlace,
    DType,
    Float,
    FloatArray,
    Int,
    KindName,
    LearningRateName,
    LossName,
    MaskSharing,
    MatrixLike,
    Rates,
    Sampling,
    ScheduleName,
    Scoring,
    Seed,
    Sizes,
    SolverName,
)
from .engine.losses import LOSSES


class DropoutMLPRegressor(ConformalMixin, RegressorMixin, BaseDropoutMLP):
    """Multi-layer perceptron regressor with dropout.

    This model minimizes the loss of a network whose units are dropped at random in training::

        L = (sum_i w_i l(y_i, f(x_i; m_i)) + alpha/2 ||W||²) / sum_i w_i,
        m_i ~ Bernoulli(1 - dropout).

    Seven parameters control dropout [1]_: `dropout` and `input_dropout` are the rates of the hidden layers and of the
    input, `dropout_kind` is the type of noise, `dropout_schedule` varies the rates during training, `mask_sharing`
    decides whether the rows of a mini-batch share a mask, and `group_size` and `input_groups` define units and columns
    that are dropped together. See the user guide on :doc:`dropout </dropout>`, the :doc:`choice of rates </choosing>`,
    :doc:`training </training>` and :doc:`uncertainty </uncertainty>` for measurements and references.

    Parameters
    ----------
    loss : {'squared_error', 'poisson', 'absolute_error', 'huber', 'quantile', 'gaussian_nll'}, \
            default='squared_error'
        Loss function: half the squared error, for the mean; half the Poisson deviance with an exponential output, for
        counts (y >= 0); the absolute error, for the median; the Huber loss, quadratic up to 1.35 and linear beyond, for
        targets with outliers (standardize y first); or the pinball loss, for the `quantile`. 'gaussian_nll' is for
        noise that depends on x: the network predicts a mean and the logarithm of a noise variance σ²(x), which is
        clipped to [1e-6, 1e6], and minimizes the Gaussian negative log-likelihood
        ``(log σ²(x) + (y - f(x))² / σ²(x)) / 2`` by the gradient of β-NLL with β = 1/2 [3]_. It needs a standardized y.
        If the network overfits, σ²(x) is too small: use `early_stopping`.
    hidden_layer_sizes : int or array-like of shape (n_hidden,), default=(100,)
        Number of units in each hidden layer; ``()`` for no hidden layer, which is a linear model.
    activation : {'identity', 'logistic', 'tanh', 'relu', 'selu', 'elu', 'leaky_relu', 'gelu', 'silu'} or \
            list of them, default='relu'
        Activation function, one for all hidden layers or one per layer. 'selu' is for deep networks without
        normalization on standardized inputs; 'elu' and 'leaky_relu' avoid dead units; 'gelu' and 'silu' are smooth, and
        often better in deep networks, but slower.
    solver : {'lbfgs', 'sgd', 'adam', 'adamw'}, default='adam'
        Optimizer. 'sgd', 'adam' and 'adamw' use mini-batches. 'lbfgs' uses all rows at once, works well on small data,
        computes in float64, and requires all dropout rates to be 0.
    alpha : float, default=0.0001
        Strength of the L2 regularization, in [0, inf), divided by the weight sum of the batch. With 'adamw', decoupled
        weight decay: each step shrinks the weights by the learning rate times `alpha`, and 0.01 is a usual value.
    batch_size : int or 'auto', default='auto'
        Number of rows in a mini-batch; 'auto' is ``min(200, n_samples)``.
    learning_rate : {'constant', 'invscaling', 'adaptive', 'cosine', 'onecycle'}, default='constant'
        Learning rate schedule. Only for 'sgd': 'invscaling', ``learning_rate_init / (t_ + 1) ** power_t``, and
        'adaptive', divided by 5 each time training stops improving. 'cosine' decreases to 0 over `max_iter` epochs;
        'onecycle' increases from 1/25 to the full rate and decreases again. Both run to their end regardless of `tol`.
    learning_rate_init : float, default=0.001
        Initial learning rate of the stochastic solvers, in (0, inf); the maximum with 'onecycle'.
    power_t : float, default=0.5
        Exponent of 'invscaling', in [0, inf).
    max_iter : int, default=200
        Maximum number of epochs of the stochastic solvers, or of iterations of 'lbfgs'.
    shuffle : bool, default=True
        Whether to shuffle the rows in each epoch.
    random_state : int, RandomState instance or None, default=None
        Determines random number generation for the initial weights, the validation split, the order of the rows and the
        dropout masks. The masks have a separate stream: the rates change neither the initial weights nor the batches.
    tol : float, default=1e-4
        Minimum improvement of the loss or validation score. Smaller improvements do not reset `n_iter_no_change`.
    verbose : bool, default=False
        Whether to print losses, validation score, learning rate, varying dropout rates and seconds after each epoch.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the previous ``fit``. The validation set stays the same as long as
        the number of rows and `validation_fraction` do.
    momentum : float, default=0.9
        Momentum of 'sgd', in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether 'sgd' uses Nesterov's momentum.
    early_stopping : bool, default=False
        Whether to stop when the validation score (see `scoring`) has not improved by `tol` for `n_iter_no_change`
        epochs, and to restore the best weights. If False, training stops when the training loss stalls. With dropout
        this loss is noisy, and the noise-free loss of at most 1000 training rows must stall, too.
    validation_fraction : float, default=0.1
        Fraction of the training rows, in [0, 1), to set aside as validation set for early stopping if `X_val` is not
        passed to ``fit``. The split is stratified only in classification with two classes, as in scikit-learn.
    beta_1, beta_2 : float, default=0.9 and 0.999
        Exponential decay rates of the moment estimates of 'adam' and 'adamw', in [0, 1).
    epsilon : float, default=1e-8
        Value for numerical stability in the denominator of 'adam' and 'adamw', in (0, inf).
    n_iter_no_change : int or inf, default=10
        Maximum number of epochs without an improvement by `tol`; inf to always train for `max_iter` epochs.
    max_fun : int, default=15000
        Maximum number of loss evaluations by 'lbfgs'.
    dropout : float or array-like of shape (n_hidden,), default=0.0
        Probability in [0, 1) that a hidden unit is **dropped** in training, after its activation: one rate for all
        hidden layers or one per layer. Use 0.05 to 0.2 if targets are noisy and the network overfits; dropout is
        harmful if they are a smooth function of few features. At 0 the weights are those of scikit-learn's MLP.
    input_dropout : float, default=0.0
        Probability in [0, 1) that an input is dropped. Use 0.1 to 0.2 for many redundant features (pixels, bags of
        words); it is harmful with few informative features, especially in regression.
    dropout_kind : {'bernoulli', 'gaussian', 'alpha', 'spatial'} or list of them, default='bernoulli'
        Type of noise: one kind for all layers, or one per hidden layer (the input then gets 'bernoulli'). Names
        registered in ``skdropout.engine.dropout.DROPOUTS`` are also valid.

        - 'bernoulli', ``x m / (1 - p)``: standard dropout.
        - 'gaussian', ``x ε`` with ε ~ N(1, p / (1 - p)): the same mean and variance without zeros.
        - 'alpha', dropped units are set to -1.758 and all are rescaled: for 'selu' layers, at rates of 0.05 to 0.1.
        - 'spatial', one mask per group of units: for units or columns that are redundant within their group.
    mask_sharing : {'sample', 'batch'}, default='sample'
        Whether each row of a mini-batch has its own mask, or all rows share one. With 'batch' the dropped units are not
        computed, which makes wide layers faster, but the gradients are noisier. Use it for wide layers on large data.
    dropout_schedule : str or callable, default='flat_cos'
        Factor of all dropout rates as a function of the training progress t, from 0 to 1: a name or a callable. Unless
        it is 'constant' or all rates are 0, all `max_iter` epochs run; `early_stopping` restores the best weights.

        - 'constant', 1.
        - 'flat_cos', 1 up to t = 1/2, then half a cosine to 0: for noisy as well as smooth targets.
          ``predict(X, return_std=True)`` then samples at the rates in `dropout`, around the noise-free prediction.
        - 'annealed', ``1 - t``.
        - 'early', ``max(0, 1 - 6 t)``: against underfitting.
        - 'late', 0 up to t = 1/6, then 1: against late overfitting.
        - 'curriculum', ``1 - exp(-10 t)``.
    group_size : int or array-like of shape (n_hidden,), default=1
        Number of adjacent hidden units that are dropped together; must divide the number of units. Only for 'spatial'.
    input_groups : array-like of shape (n_features,), default=None
        Label of each column of X. Columns with the same label (the pixels of a channel, a window of lags) are dropped
        together; the dropout kind of the input is then 'spatial'. Requires `input_dropout`.
    batch_norm : {'before_activation', 'after_activation', 'after_dropout'} or False, default=False
        Whether and where to normalize hidden layers over the batch. It helps deep networks, but rarely on tabular data.
        Combine it with small dropout rates, or with dropout in the last hidden layer only.
    max_norm : float, default=None
        Upper bound, in (0, inf), of the norm of the weights into each hidden unit. Use 1.5 to 4 with high dropout rates
        and large learning rates of 'sgd'; with 'adam' it has little effect.
    clip_norm : float, default=None
        Upper bound, in (0, inf), of the norm of the whole gradient, to prevent divergence.
    l1_ratio : float, default=0.0
        Fraction of `alpha`, in [0, 1], for an L1 penalty. Its subgradient shrinks weights, but not exactly to 0.
    warmup_fraction : float, default=0.0
        Fraction of training, in [0, 1), in which the learning rate increases from 0; for large rates and batches.
    quantile : float, default=0.5
        Level, in (0, 1), of the quantile that ``loss='quantile'`` estimates.
    noise_variance : float or array-like of shape (n_outputs,), default=None
        Variance of the observation noise, in (0, inf) and in squared units of y: ``predict(X, return_std=True)`` adds
        it to the variance of the Monte Carlo passes (1 / τ of [2]_). None to estimate it, see ``noise_variance_``. Tune
        it by the log predictive density. Must be None with ``loss='gaussian_nll'``.
    scoring : str or callable, default=None
        Score of the validation set, which early stopping monitors: a scorer name, a callable
        ``scorer(estimator, X, y)``, 'loss' for minus the loss, or None for R² (minus the loss if `loss` is
        'absolute_error', 'huber', 'quantile' or 'gaussian_nll'). Sample weights are passed to scorers that accept
        ``sample_weight``.
    dtype : {'float32', 'float64', numpy.float32, numpy.float64}, default=None
        Floating-point type, or anything that ``numpy.dtype`` converts to one of these. None follows X, as in
        scikit-learn. float32 is about twice as fast. Training that continues keeps the dtype of its weights.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases of each layer.
    dropout_ : tuple of float
        Dropout rate of the input of each layer, ``(input_dropout, *dropout)``, in the last epoch, or, with early
        stopping, in the epoch with the best weights.
    dropout_curve_ : list of tuple of float
        Dropout rates at the end of each epoch. Not with 'lbfgs'.
    batch_norm_scale_, batch_norm_shift_, batch_norm_mean_, batch_norm_var_ : list of ndarray of shape (n_units,)
        Scale, shift, running mean and running variance of each hidden layer, already folded into ``coefs_`` and
        ``intercepts_``. Only with `batch_norm`.
    noise_variance_ : float or ndarray of shape (n_outputs,)
        `noise_variance`, or its estimate: the mean squared residual of the noise-free prediction on the validation set,
        or, without one, on the training rows of the last call; of at most 2000 rows, drawn at random. An overfitted
        network makes the training residuals too small. With ``loss='gaussian_nll'``, the mean of the noise-free σ²(x)
        over these rows, which predictions do not use.
    variance_factor_ : float or ndarray of shape (n_outputs,)
        Factor on the total variance: the mean of (y - µ)² / σ² on at most 2000 rows of the validation set, or on the
        rows passed to ``calibrate``. 1 without such rows, if `noise_variance` is set, and during training.
    conformity_scores_ : ndarray of shape (n_rows,) or (n_rows, n_outputs), or None
        Absolute residuals of these rows divided by σ, whose quantiles are the half widths of ``predict_interval``; None
        without such rows. Further training, also by ``partial_fit``, discards the scores of the previous weights.
    loss_ : float
        Training loss of the last epoch, with dropout and penalty.
    loss_curve_ : list of float
        Training loss of each epoch. Not with 'lbfgs'.
    best_loss_ : float or None
        Minimum of `loss_curve_`; None with early stopping.
    validation_scores_, validation_loss_curve_ : list of float or None
        Validation score and loss of each epoch, without dropout or penalty; None without a validation set.
    best_validation_score_ : float or None
        Maximum of `validation_scores_`; with early stopping, the score of the epoch with the best weights.
    n_iter_ : int
        Number of epochs, or of iterations of 'lbfgs', in the last call.
    t_ : int
        Number of training rows seen by the stochastic solver, including copies and rows of weight 0.
    n_layers_, n_outputs_, n_features_in_ : int
        Number of layers including the input, number of outputs, and number of features seen during ``fit``.
    out_activation_ : str
        Name of the output activation function.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during ``fit``, if X has feature names that are all strings.

    See Also
    --------
    DropoutMLPClassifier : Multi-layer perceptron classifier with dropout.
    sklearn.neural_network.MLPRegressor : Multi-layer perceptron regressor without dropout.

    Notes
    -----
    In training, standard dropout replaces the input x of a layer by ``x * m / (1 - p)``, which has mean x, with a new
    ``m ~ Bernoulli(1 - p)`` for each unit, row and step. Prediction uses the whole network unchanged.

    With dropout, columns of X whose root mean square is large compared with the targets are divided by powers of two
    inside the network, and their weights in ``coefs_`` by the same powers. Both are exact. In full-batch training a
    sample weight of k equals k copies of the row, also with dropout.

    With ``loss='gaussian_nll'``, the last arrays of ``coefs_`` and ``intercepts_`` have `n_outputs_` columns for the
    means, and then as many for the log variances.

    Custom activations, dropout kinds, optimizers, schedules and regression losses can be registered by name, see
    :doc:`/extending`. The differences from scikit-learn's MLPs are listed in :doc:`/differences`.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov (2014). Dropout: A Simple Way to
       Prevent Neural Networks from Overfitting. Journal of Machine Learning Research 15.
    .. [2] Y. Gal and Z. Ghahramani (2016). Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep
       Learning. ICML.
    .. [3] M. Seitzer, A. Tavakoli, D. Antic and G. Martius (2022). On the Pitfalls of Heteroscedastic Uncertainty
       Estimation with Probabilistic Neural Networks. ICLR.

    Examples
    --------
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdropout import DropoutMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> reg = DropoutMLPRegressor(
    ...     hidden_layer_sizes=50, dropout=0.1, early_stopping=True, random_state=0
    ... )
    >>> model = make_pipeline(StandardScaler(), TransformedTargetRegressor(reg, transformer=StandardScaler()))
    >>> model = model.fit(X_train, y_train)
    >>> print(f"R²: {model.score(X_train, y_train):.1f} in training, {model.score(X_test, y_test):.1f} on test rows")
    R²: 0.6 in training, 0.3 on test rows
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **BaseDropoutMLP._parameter_constraints,
        "loss": [REGRESSION_LOSSES],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "noise_variance": [Interval(Real, 0, None, closed="neither"), "array-like", None],
    }

    noise_variance_: float | FloatArray

    def __init__(
        self,
        loss: LossName = "squared_error",
        hidden_layer_sizes: Sizes = (100,),
        activation: ActivationName | Sequence[ActivationName] = "relu",
        *,
        solver: SolverName = "adam",
        alpha: Float = 0.0001,
        batch_size: Int | Literal["auto"] = "auto",
        learning_rate: LearningRateName = "constant",
        learning_rate_init: Float = 0.001,
        power_t: Float = 0.5,
        max_iter: Int = 200,
        shuffle: bool = True,
        random_state: Seed = None,
        tol: Float = 1e-4,
        verbose: bool | Int = False,
        warm_start: bool = False,
        momentum: Float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: Float = 0.1,
        beta_1: Float = 0.9,
        beta_2: Float = 0.999,
        epsilon: Float = 1e-8,
        n_iter_no_change: Float = 10,
        max_fun: Int = 15000,
        dropout: Rates = 0.0,
        input_dropout: Float = 0.0,
        dropout_kind: KindName | Sequence[KindName] = "bernoulli",
        mask_sharing: MaskSharing = "sample",
        dropout_schedule: ScheduleName | Callable[[float], float] = "flat_cos",
        group_size: Sizes = 1,
        input_groups: ArrayLike | None = None,
        batch_norm: BatchNormPlace | Literal[False] = False,
        max_norm: Float | None = None,
        clip_norm: Float | None = None,
        l1_ratio: Float = 0.0,
        warmup_fraction: Float = 0.0,
        quantile: Float = 0.5,
        noise_variance: ArrayLike | None = None,
        scoring: Scoring = None,
        dtype: DType | None = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.dropout_kind = dropout_kind
        self.mask_sharing = mask_sharing
        self.dropout_schedule = dropout_schedule
        self.group_size = group_size
        self.input_groups = input_groups
        self.batch_norm = batch_norm
        self.max_norm = max_norm
        self.clip_norm = clip_norm
        self.l1_ratio = l1_ratio
        self.warmup_fraction = warmup_fraction
        self.quantile = quantile
        self.noise_variance = noise_variance
        self.scoring = scoring
        self.dtype = dtype

    @available_if(BaseDropoutMLP._has_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on the given rows, starting from the current state.

        Masks, permutations, and the moments of the optimizer and of batch normalization continue from the previous
        call. Schedules count a call as one of `max_iter` epochs, and ``loss_curve_`` gets one entry. Parameters changed
        by ``set_params`` and weights assigned to ``coefs_`` and ``intercepts_`` are used from the next call on.

        With dropout, large columns of X are divided by powers of two, which the rows of the first call determine: start
        a stream with typical rows. See :doc:`/scaling` for streams, and :doc:`/persistence` for the state that copies
        and files contain.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target values.

        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative sample weights; None for equal weights.

        Returns
        -------
        self : object
            The trained estimator.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid, or if training diverges. The estimator is then unchanged.

        Warns
        -----
        UserWarning
            If a 'cosine' or 'onecycle' learning rate has ended, after `max_iter` calls.
        """
        return self._fit_atomically(X, y, sample_weight, incremental=True)

    @overload
    def predict(
        self, X: MatrixLike, return_std: Literal[False] = False, **sampling: Unpack[Sampling]
    ) -> FloatArray: ...
    @overload
    def predict(
        self, X: MatrixLike, return_std: Literal[True], **sampling: Unpack[Sampling]
    ) -> tuple[FloatArray, FloatArray]: ...
    @overload
    def predict(
        self, X: MatrixLike, return_std: bool, **sampling: Unpack[Sampling]
    ) -> FloatArray | tuple[FloatArray, FloatArray]: ...
    @from_snapshot
    def predict(
        self,
        X: MatrixLike,
        return_std: bool = False,
        *,
        n_samples: Int = 100,
        random_state: Seed = 0,
        dropout: Rates | None = None,
        input_dropout: Float | None = None,
        mask_sharing: MaskSharing = "sample",
        n_jobs: Int | None = None,
    ) -> FloatArray | tuple[FloatArray, FloatArray]:
        """Predict the targets of X, optionally with standard deviations from Monte Carlo dropout.

        With ``return_std=True``, T Monte Carlo passes f_t with mean f̄ give the total standard deviation σ::

            σ² = variance_factor_ (noise_variance_ + 1/T Σ_t (f_t(x) - f̄(x))²).

        With ``loss='gaussian_nll'``, the mean of the noise variances of the passes replaces ``noise_variance_``.
        The mean µ depends on the rates at the end of training:

        - Above 0, as with ``dropout_schedule='constant'``, or if all rates are given: µ is f̄.
        - At 0 (or below 1 % of `dropout`), as with the default schedule 'flat_cos': the passes use the rates at the
          start of the schedule, and µ is the noise-free prediction, ``predict(X)``.
        - Without dropout, all passes are equal, and σ² is the noise variance, the same for all rows if it is
          ``noise_variance_``.

        Intervals µ ± z σ with z from the normal distribution cover approximately what they say. Use
        ``predict_interval`` for intervals whose coverage is guaranteed.

        The parameters after `return_std` apply only if it is True. See :doc:`/uncertainty`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            The input data.

        return_std : bool, default=False
            Whether to also return the standard deviation.

        n_samples : int, default=100
            Number of Monte Carlo passes T, at least 1. Memory use does not depend on it.

        random_state : int, RandomState instance or None, default=0
            Determines the random masks.

        dropout : float or array-like of shape (n_hidden,), default=None
            Dropout rate of the hidden layers during sampling, in [0, 1). None for the rates at the end of training, or,
            if a schedule ended at 0, for the rates at its start. 0 for no noise.

        input_dropout : float, default=None
            Dropout rate of the inputs during sampling, with the same default.

        mask_sharing : {'sample', 'batch'}, default='sample'
            Whether each row has its own masks in each pass, or all rows of X share them. With 'batch' each pass is one
            function of X.

        n_jobs : int, default=None
            Number of threads of joblib. The results do not depend on it.

        Returns
        -------
        y_mean : ndarray of shape (n_samples_X,) or (n_samples_X, n_outputs)
            Noise-free prediction, or µ with ``return_std=True``.

        y_std : ndarray of shape (n_samples_X,) or (n_samples_X, n_outputs)
            Standard deviation σ, in the units of the y given to ``fit``. Only with ``return_std=True``.

        Warns
        -----
        UserWarning
            If ``return_std=True`` but the network was trained without dropout and no rate is given, once per fit. If a
            sampling parameter is given without ``return_std=True``.
        """
        options = SamplingOptions(n_samples, random_state, dropout, input_dropout, mask_sharing, n_jobs)
        if not return_std:
            warn_about_unused_sampling(options)
            return super().predict(X)
        X = self._validate_predict(X)
        mean, std, _, aleatoric = self._calibrated_moments(X, options)
        without_noise = dropout is None and input_dropout is None and not any(noise_settings(self).rates)
        if without_noise and aleatoric.ndim == 1:
            warn_about_constant_std(self.coefs_[0])
        return self._decode(mean), self._decode(std.astype(mean.dtype))

    @from_snapshot
    def predict_uncertainty(
        self,
        X: MatrixLike,
        *,
        n_samples: Int = 100,
        random_state: Seed = 0,
        dropout: Rates | None = None,
        input_dropout: Float | None = None,
        mask_sharing: MaskSharing = "sample",
        n_jobs: Int | None = None,
    ) -> Bunch:
        """Predict the mean, and split the variance into epistemic and aleatoric parts by Monte Carlo dropout.

        With f_t the mean and s_t² the noise variance of pass t of T, f̄ the mean of the passes [1]_, and the factor c,
        ``variance_factor_``::

            σ² = c 1/T Σ_t (f_t(x) - f̄(x))² + c 1/T Σ_t s_t²(x).

        The first term, the epistemic variance, is large where the passes disagree, and more training data would reduce
        it. The second term, the aleatoric variance, is the variance of the observation noise: c times
        ``noise_variance_``, the same for all rows, or with ``loss='gaussian_nll'`` c times the mean of the variances
        that the passes predict.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            The input data.

        n_samples : int, default=100
            Number of Monte Carlo passes T, at least 1. Memory use does not depend on it.

        random_state : int, RandomState instance or None, default=0
            Determines the random masks.

        dropout : float or array-like of shape (n_hidden,), default=None
            Dropout rate of the hidden layers during sampling, in [0, 1). None for the rates at the end of training, or,
            if a schedule ended at 0, for the rates at its start. 0 for no noise.

        input_dropout : float, default=None
            Dropout rate of the inputs during sampling, with the same default.

        mask_sharing : {'sample', 'batch'}, default='sample'
            Whether each row has its own masks in each pass, or all rows of X share them. With 'batch' each pass is one
            function of X.

        n_jobs : int, default=None
            Number of threads of joblib. The results do not depend on it.

        Returns
        -------
        uncertainty : :class:`~sklearn.utils.Bunch`
            Dictionary-like object with `mean` and `std`, as returned by ``predict(X, return_std=True)``, and
            `epistemic_variance` and `aleatoric_variance`, in squared units of y, whose sum is the square of `std`. All
            have shape (n_samples_X,) or (n_samples_X, n_outputs).

        References
        ----------
        .. [1] A. Kendall and Y. Gal (2017). What Uncertainties Do We Need in Bayesian Deep Learning for Computer
           Vision? NeurIPS.
        """
        X = self._validate_predict(X)
        options = SamplingOptions(n_samples, random_state, dropout, input_dropout, mask_sharing, n_jobs)
        mean, std, epistemic, aleatoric = self._calibrated_moments(X, options)
        aleatoric = np.array(np.broadcast_to(aleatoric, mean.shape))
        return Bunch(
            mean=self._decode(mean),
            std=self._decode(std.astype(mean.dtype)),
            epistemic_variance=self._decode(epistemic),
            aleatoric_variance=self._decode(aleatoric),
        )

    def _predictive_moments(self, X, options):
        """Return the mean, the epistemic variance and the aleatoric variance of the rows X, without variance factor.

        The first two have shape (n_rows, n_outputs). So has the aleatoric variance if it depends on the rows, else
        (n_outputs,).
        """
        shape, k = (X.shape[0], self.n_outputs_), self.n_outputs_
        mean, epistemic = np.empty(shape, self._network().coefs[0].dtype), np.empty(shape)
        depends_on_x = self.out_activation_ == "gaussian"
        aleatoric = np.empty(shape) if depends_on_x else np.atleast_1d(self.noise_variance_)

        def summarize(outputs, rows):
            return pass_moments(np.concatenate(self._split(outputs), axis=2) if depends_on_x else outputs, rows)

        def gather(blocks):
            for rows, (_, block_mean, variance) in reduce_over_passes(blocks, add_moments):
                mean[rows], epistemic[rows] = block_mean[:, :k], variance[:, :k]
                if depends_on_x:
                    aleatoric[rows] = block_mean[:, k:]

        # no recentering, since the mean of the passes is replaced below
        monte_carlo_passes(self, X, summarize, gather, options, recenter=False)
        if ended_at_zero(self, options.dropout, options.input_dropout):
            mean = self._output(X)
        return mean, epistemic, aleatoric

    def _split(self, outputs):
        """Return the means and the noise variances of the columns of `outputs`."""
        k = self.n_outputs_
        if self.out_activation_ == "gaussian":
            return outputs[..., :k], np.exp(outputs[..., k:], dtype=float)
        return outputs, np.atleast_1d(self.noise_variance_)

    @from_snapshot
    def sample_y(
        self,
        X: MatrixLike,
        n_samples: Int = 1,
        random_state: Seed = 0,
        *,
        dropout: Rates | None = None,
        input_dropout: Float | None = None,
        mask_sharing: MaskSharing = "sample",
        n_jobs: Int | None = None,
    ) -> FloatArray:
        """Sample predictions f_t(x) with dropout, without observation noise (Monte Carlo dropout).

        Their mean is that of ``predict(X, return_std=True)``. Their variance is that of the network: the
        `epistemic_variance` of ``predict_uncertainty`` divided by ``variance_factor_``. If a schedule ended at 0 and no
        rates are given, the passes use the rates at the start of the schedule and are centered on the noise-free
        prediction f(x): ``f_t(x) - f̄(x) + f(x)``, where f̄ is the mean of at least 100 passes. With ``loss='poisson'``
        the centered passes are clipped at 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            The input data.

        n_samples : int, default=1
            Number of Monte Carlo passes, at least 1.

        random_state : int, RandomState instance or None, default=0
            Determines the random masks.

        dropout : float or array-like of shape (n_hidden,), default=None
            Dropout rate of the hidden layers during sampling, in [0, 1). None for the rates at the end of training, or,
            if a schedule ended at 0, for the rates at its start. 0 for no noise.

        input_dropout : float, default=None
            Dropout rate of the inputs during sampling, with the same default.

        mask_sharing : {'sample', 'batch'}, default='sample'
            Whether each row has its own masks in each pass, or all rows of X share them. With 'batch' each pass is one
            function, the same for any X.

        n_jobs : int, default=None
            Number of threads of joblib. The results do not depend on it.

        Returns
        -------
        y_samples : ndarray of shape (n_samples_X, n_samples) or (n_samples_X, n_outputs, n_samples)
            Pass t is ``y_samples[..., t]``. For mean and variance only, ``predict(X, return_std=True)`` needs less
            memory.
        """
        X = self._validate_predict(X)
        options = SamplingOptions(n_samples, random_state, dropout, input_dropout, mask_sharing, n_jobs)
        samples = self._sample(X, self.n_outputs_, options, lambda outputs: outputs[:, : self.n_outputs_])
        return samples[:, 0] if self.n_outputs_ == 1 else samples

    def _recenter(self, outputs, shift):
        outputs = outputs.copy()
        outputs[..., : self.n_outputs_] += shift
        return np.maximum(outputs, 0) if self.out_activation_ == "exp" else outputs

    def _log_likelihood(self, outputs, Y, scale=1.0):
        """Return log p(y | pass) with the noise variance times `scale`, of shape (n_rows, n_outputs) or a number."""
        mean, variance = self._split(outputs)
        variance = np.maximum(variance * scale, np.finfo(float).smallest_subnormal)
        return -((mean - Y) ** 2 / variance + np.log(2 * np.pi * variance)).sum(axis=2) / 2

    def _estimate_noise(self, rows):
        if self.noise_variance is None:
            rows = rows.sample(MAX_NOISE_ROWS)
            if self.out_activation_ == "gaussian":
                variances = self._split(self._network(all_columns=True).predict(rows.X))[1]
            else:
                variances = np.square(rows.Y - self._network().predict(rows.X), dtype=float)
            mean = np.average(variances, axis=0, weights=rows.sample_weight)
            limits = np.finfo(float)  # clip exact fits and overflow
            noise = np.clip(mean, limits.tiny, limits.max)
        else:
            noise = np.full(self.n_outputs_, self.noise_variance, dtype=float)
        self.noise_variance_ = float(noise[0]) if self.n_outputs_ == 1 else noise
        self._reset_calibration()

    def _learn_targets(self, y, fresh, incremental, classes):
        """Validate `noise_variance`. A regressor has no classes."""
        if self.noise_variance is None:
            return
        noise = np.asarray(self.noise_variance, dtype=object)
        n_outputs = y.shape[1] if y.ndim == 2 else 1
        if noise.ndim and noise.shape != (n_outputs,):
            raise InvalidParameterError(
                f"noise_variance must be one number, or one for each of the {n_outputs} output(s) of y, "
                f"got shape {noise.shape}."
            )
        if not all(np.asarray(value).dtype.kind in "iuf" and 0 < value < np.inf for value in noise.flat):
            raise InvalidParameterError(f"noise_variance must be in (0, inf), got {self.noise_variance!r}.")

    def _encode(self, y, name):
        if y.dtype.kind not in "biuf":
            raise ValueError(f"`{name}` must be numeric, got dtype {y.dtype}: encode labels, or use a classifier.")
        assert_all_finite(y, input_name=name)  # scikit-learn's check ran before None was converted to NaN
        loss: Any = self.loss
        if isinstance(loss, str) and loss in LOSSES:  # set_params accepts any value
            minimum = LOSSES[loss].min_target
            if (y < minimum).any():
                values = "negative values" if minimum == 0 else f"values below {minimum:g}"
                raise ValueError(f"`{name}` has {values}, but loss={loss!r} needs {name} >= {minimum:g}.")
        return y.reshape(len(y), -1).astype(float, copy=False)

    def _decode(self, P):
        P = P[:, : self.n_outputs_]  # without log variances
        return P.ravel() if P.shape[1] == 1 else P

    def _loss_name(self):
        return self.loss

    def _loss_options(self):
        return {keyword: float(getattr(self, name)) for keyword, name in LOSSES[self.loss].options.items()}

    def _monitored_score(self):
        """Return `scoring`, or for None that of the loss: R² scores the mean, so quantile losses monitor the loss."""
        return LOSSES[self.loss].monitor if self.scoring is None else self.scoring

    def _default_score(self, y, y_pred, sample_weight):
        return r2_score(y, y_pred, sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

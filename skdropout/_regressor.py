"""The regressor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Literal, Self, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import assert_all_finite

from ._base import BaseDropoutMLP
from ._sklearn import Interval, InvalidParameterError, available_if, fit_context
from ._snapshot import from_snapshot
from ._spec import REGRESSION_LOSSES
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
from ._uncertainty import add_moments, ended_at_0, noisy_passes, over_passes, pass_moments, warn_of_one_std
from ._without_effect import warn_without_std
from .engine.losses import LOSSES


class DropoutMLPRegressor(RegressorMixin, BaseDropoutMLP):
    """Multi-layer perceptron regressor with dropout.

    Minimises the loss of a network whose units are dropped at random while it trains::

        L = (sum_i w_i l(y_i, f(x_i; m_i)) + alpha/2 ||W||²) / sum_i w_i,
        m_i ~ Bernoulli(1 - dropout).

    Parameters
    ----------
    loss : {'squared_error', 'poisson', 'absolute_error', 'huber', 'quantile'}, default='squared_error'
        Half the squared error, for the mean; half the Poisson deviance with an exponential output, for counts,
        y >= 0; the absolute error, for the median; Huber's, quadratic up to 1.35 and linear beyond, for outliers
        (standardise y first) [18]_; the pinball loss, for the `quantile` [19]_.

    hidden_layer_sizes : int or array-like of shape (n_hidden,), default=(100,)
        Units of each hidden layer; ``()`` for none, which is a linear model.

    activation : {'identity', 'logistic', 'tanh', 'relu', 'selu', 'elu', 'leaky_relu', 'gelu', 'silu'} or \
            list of them, default='relu'
        Activation of the hidden layers, one for all or one each. Beside scikit-learn's first four: 'selu', which keeps
        mean 0 and variance 1 from layer to layer on standardised inputs, for deep networks without normalisation [3]_,
        and starts from LeCun-normal weights; 'elu', ``exp(z) - 1`` below 0, when units must not fall silent for good;
        'leaky_relu', slope 0.01 below 0, the cheap way to the same; 'gelu', ``z Φ(z)``, and 'silu',
        ``z / (1 + exp(-z))``, smooth ones, often better in deep networks [8]_ and slower. These four start from
        He-normal weights, scikit-learn's from Glorot-uniform ones.

    solver : {'lbfgs', 'sgd', 'adam', 'adamw'}, default='adam'
        Optimizer. 'sgd', 'adam' and 'adamw' work on mini-batches; 'lbfgs' works on all rows at once, is good on
        small data, computes in float64, and needs every rate at 0.

    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights, in [0, inf); divided by the weight sum of the batch. With 'adamw' it
        is the decoupled weight decay instead [9]_, whose effect Adam's step sizes do not change: each step shrinks the
        weights by the learning rate times `alpha`, and 0.01 is a usual value.

    batch_size : int or 'auto', default='auto'
        Rows of a mini-batch; 'auto' is ``min(200, n_samples)``.

    learning_rate : {'constant', 'invscaling', 'adaptive', 'cosine', 'onecycle'}, default='constant'
        Learning rate of 'sgd': constant; ``learning_rate_init / (t_ + 1) ** power_t``; or constant until
        training has stopped improving, and a fifth of it at each such time. For every stochastic solver:
        'cosine', from `learning_rate_init` to 0 over `max_iter` epochs, for a last bit of accuracy [10]_, and
        'onecycle', from a 25th of it up and down again, with which fewer epochs and larger rates do [11]_. These two
        run to their end, whatever `tol` says; ``partial_fit`` counts its calls as epochs and warns once they are over.

    learning_rate_init : float, default=0.001
        Initial step size of the stochastic solvers, in (0, inf); the highest one of 'onecycle'.

    power_t : float, default=0.5
        Exponent of 'invscaling', in [0, inf).

    max_iter : int, default=200
        Most epochs of the stochastic solvers or iterations of 'lbfgs'.

    shuffle : bool, default=True
        Whether to draw a new order of the rows at each epoch.

    random_state : int, RandomState instance or None, default=None
        Seeds the initial weights, the validation split, the order of the rows and the masks. The masks
        have a stream of their own: the rate changes neither the initial weights nor the batches.

    tol : float, default=1e-4
        Least improvement of the loss, or of the validation score, that counts as one.

    verbose : bool, default=False
        Whether to print a line an epoch: training loss, loss and score of the rows held out, learning rate, the
        largest dropout rate if a schedule moves it, and seconds.

    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the last ``fit``; patience starts from scratch. Early stopping
        holds out the same rows again if the number of rows and `validation_fraction` are the same.

    momentum : float, default=0.9
        Momentum of 'sgd', in [0, 1].

    nesterovs_momentum : bool, default=True
        Whether the momentum of 'sgd' is Nesterov's.

    early_stopping : bool, default=False
        Whether to stop when `scoring`, on rows held out, has not improved by `tol` for `n_iter_no_change`
        epochs, and to keep the best weights. If False, the training loss is watched; with dropout, whose noise
        would end the training too early, also the noise-free loss of at most 1000 training rows, drawn at random, and
        both must stall in the mean over the last `n_iter_no_change` epochs.

    validation_fraction : float, default=0.1
        Fraction of the training rows to hold out for early stopping, in [0, 1), unless ``fit`` gets `X_val`. The rows
        are drawn at random, and stratified only in classification with two classes, as in scikit-learn.

    beta_1, beta_2 : float, default=0.9 and 0.999
        Decay of the moments of 'adam' and 'adamw', in [0, 1).

    epsilon : float, default=1e-8
        Added to the denominator of 'adam' and 'adamw', in (0, inf).

    n_iter_no_change : int or inf, default=10
        Epochs without improvement before training stops.

    max_fun : int, default=15000
        Most evaluations of the loss by 'lbfgs'.

    dropout : float or array-like of shape (n_hidden,), default=0.0
        Probability in [0, 1) that a hidden unit is **dropped** in training, after its activation: one rate
        for all hidden layers or one per layer; too high a rate underfits. At 0 the weights are those of scikit-learn's
        MLP. 0.05 to 0.2 helps where targets are noisy and the network is trained until it overfits, and harms where
        they are a smooth function of few features. The default is by measurement: with all other parameters at
        theirs, RMSE at rate 0.1 over RMSE at 0 was 0.96 to 0.99 on diabetes, linnerud and red wine and 1.01 to 1.05
        on concrete, energy and yacht, in the geometric mean 1.003 ± 0.003, and 1.001 ± 0.002 at 0.05
        (``benchmarks/defaults.py``, ten splits).

    input_dropout : float, default=0.0
        The same for the inputs. 0.1 to 0.2 suits many redundant features (pixels, bags of words); with
        few informative features, above all in regression, it does harm.

    dropout_kind : {'bernoulli', 'gaussian', 'alpha', 'spatial'} or list of them, default='bernoulli'
        What dropping does, in all layers, or one kind per hidden layer (the input then gets 'bernoulli').
        Names that were added to ``skdropout.engine.dropout.DROPOUTS`` are kinds too.

        - 'bernoulli', ``x m / (1 - p)``: the standard [2]_.
        - 'gaussian', ``x ε`` with ε ~ N(1, p / (1 - p)): the same mean and variance without zeros; as good, now
          and then better [2]_.
        - 'alpha', dropped units go to -1.758 and all are rescaled: keeps the moments of 'selu' layers, for which it
          is made, with rates of 0.05 to 0.1 [3]_. Good on noisy labels, harmful in regression.
        - 'spatial', one mask for each group of units: for units or columns that are redundant within their group [4]_.

    mask_sharing : {'sample', 'batch'}, default='sample'
        Whether every row of a mini-batch has a mask of its own, or its rows share one. With 'batch' the units dropped
        are not computed at all [17]_: at rate 0.5, layers of 256 to 1024 units on batches of 128 to 512 rows train in
        0.5 to 0.9 of the time they take without dropout ('bernoulli' and 'spatial' at rates from 0.15, on batches of
        64 rows and more, without `batch_norm`; elsewhere it saves next to nothing). The mask is as random, the noise
        of a step larger, since the rows no longer average over it. For large data: on 60 000 digits the errors are
        those of 'sample' (-0.00 ± 0.04 points); on 5 000 two thirds of what dropout gains are lost (+0.27 ± 0.05
        points), and in regression on tables of a few hundred or a thousand rows it mostly does harm.

    dropout_schedule : str or callable, default='flat_cos'
        Factor of all rates over the progress t of the training, 0 to 1 at epoch `max_iter`. A callable maps t to the
        factor; ``partial_fit`` counts its calls as epochs. Training runs to the end of the schedule, since losses at
        different rates tell nothing of convergence; with `early_stopping` the best weights still come back.

        - 'constant', 1.
        - 'flat_cos', 1 up to t = 1/2, then half a cosine to 0: keeps the gain on noisy targets and spares smooth ones
          [12]_. In regression better than 'constant' at the same rate, in the comparison above by 1 % of the RMSE.
          ``predict(X, return_std=True)`` then uses the spread of passes at `dropout` around the noise-free prediction.
        - 'annealed', ``1 - t``, the simplest of its sort [13]_.
        - 'early', ``max(0, 1 - 6 t)``: against underfitting [5]_.
        - 'late', 0 up to t = 1/6, then 1 [5]_.
        - 'curriculum', ``1 - exp(-10 t)`` [6]_.

    group_size : int or array-like of shape (n_hidden,), default=1
        Adjacent units of a hidden layer that are dropped together; divides the layer's width. Only for 'spatial'.

    input_groups : array-like of shape (n_features,), default=None
        A label for each column of X: columns with the same label are dropped together, a one-hot block, the pixels
        of a channel, a lag window; the kind of the input is then 'spatial'. Only with `input_dropout`. For raw 0/1
        one-hot blocks this is no different from single columns.

    batch_norm : {'before_activation', 'after_activation', 'after_dropout'} or False, default=False
        Whether and where each hidden layer is normalised over the batch [14]_. Trains deep networks faster; on tables
        it rarely helps. Dropout before a normalisation shifts its variance between training, where dropout adds to it,
        and prediction [7]_: 'after_dropout', and dropout in any layer but the last, need small rates. A batch of one
        row is normalised by the running moments, to which it adds nothing.

    max_norm : float, default=None
        Bound in (0, inf) of the norm of the weights into each hidden unit. 1.5 to 4 goes with high rates and
        large learning rates of 'sgd' [2]_; with 'adam' it does little. `batch_norm` is folded into ``coefs_`` after
        the bound, and may exceed it there.

    clip_norm : float, default=None
        Bound in (0, inf) of the norm of the whole gradient, against steps that blow up [15]_.

    l1_ratio : float, default=0.0
        Share in [0, 1] of `alpha` that is an L1 penalty, for many weights near 0: by its subgradient, so that they come
        near 0 and not to it.

    warmup_fraction : float, default=0.0
        Share in [0, 1) of the training over which the learning rate climbs from 0, for large learning rates and
        batches [16]_.

    quantile : float, default=0.5
        Level in (0, 1) of the quantile that ``loss='quantile'`` estimates.

    noise_variance : float or array-like of shape (n_outputs,), default=None
        Variance of the observations around the function, in (0, inf) and in squared units of the y given to ``fit``:
        what ``predict(X, return_std=True)`` adds to the spread of the passes, 1 / τ of [20]_. None estimates it, see
        ``noise_variance_``; the log predictive density is a score to tune it by.

    scoring : str or callable, default=None
        What early stopping watches on rows held out: None for R² (for minus the loss, if that is the absolute, Huber's
        or the pinball one), 'loss' for minus the loss, a scorer
        name, or a callable ``scorer(estimator, X, y)``. Sample and class weights go to scorers that take
        ``sample_weight``.

    dtype : {'float32', 'float64', numpy.float32, numpy.float64}, default=None
        Floating-point type of the computation: one of the two names, or anything that ``numpy.dtype`` converts to one
        of them, such as ``X.dtype``; None follows X, as scikit-learn does. float32 is about twice as fast. Training
        that continues from earlier weights keeps their dtype.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer.

    intercepts_ : list of ndarray of shape (n_out,)
        Biases of each layer.

    dropout_ : tuple of float
        Rate on the input of each layer, ``(input_dropout, *dropout)``, at the end of training: that of the last epoch,
        or, with early stopping, of the one whose weights were kept.

    dropout_curve_ : list of tuple of float
        The same at the end of each epoch. Not with 'lbfgs'.

    batch_norm_scale_, batch_norm_shift_ : list of ndarray of shape (n_units,)
        Scale and shift of each hidden layer; only with `batch_norm`. They are folded into ``coefs_`` and
        ``intercepts_``.

    batch_norm_mean_, batch_norm_var_ : list of ndarray of shape (n_units,)
        Running mean and variance of each hidden layer; only with `batch_norm`.

    noise_variance_ : float or ndarray of shape (n_outputs,)
        `noise_variance`, or else its estimate: the mean squared residual of the noise-free prediction on the
        validation rows, or, if there are none, on the training rows of the last call. Validation rows count the
        network's own error as noise, so that intervals tend to be too wide; training rows the network has adapted to,
        so that they tend to be too narrow, the more so the more it overfits. Whatever the loss, it is the constant
        variance of normal noise around the prediction: sensible around a mean or a median, rough for counts, and
        around other quantiles no description of y.

    loss_ : float
        Training loss at the end: the mean over the last epoch, penalty included, with dropout on.

    loss_curve_ : list of float
        Training loss of each epoch. Not with 'lbfgs'.

    best_loss_ : float or None
        Least of `loss_curve_`; None with early stopping.

    validation_scores_ : list of float or None
        Score of each epoch on the rows held out, dropout off; None without such rows.

    validation_loss_curve_ : list of float or None
        Loss of each epoch on the rows held out, without penalty, dropout off.

    best_validation_score_ : float or None
        Largest of `validation_scores_`; with early stopping, the score of the epoch whose weights were kept.

    n_iter_ : int
        Epochs, or iterations of 'lbfgs', of the last call.

    t_ : int
        Training rows seen by a stochastic solver, copies and rows of weight 0 included.

    n_layers_ : int
        Number of layers, the input among them.

    n_outputs_ : int
        Number of outputs.

    out_activation_ : str
        Activation of the output.

    n_features_in_ : int
        Number of features seen during ``fit``.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had names that are all strings.

    See Also
    --------
    DropoutMLPClassifier : The same for classification.
    sklearn.neural_network.MLPRegressor : The same without dropout.

    Notes
    -----
    In training, the input x of a layer becomes, with standard dropout, ``x * m / (1 - p)``, with a fresh
    ``m ~ Bernoulli(1 - p)`` for each unit of each row, so that its mean is x; prediction uses the whole network
    unchanged. Masks are drawn with p rounded to a multiple of 2⁻¹⁶.

    In training with dropout, columns of X whose root mean square is large compared with the targets are divided by
    powers of two inside the network. Their weights in ``coefs_`` are divided by the same powers. Both are exact.

    **In full-batch training a weight of k equals k copies.** When all rows fit in one batch, equal rows (same
    features, same target) share one mask, rows of weight 0 are left out first, and the order of the rows does not
    matter. (Without noise this holds up to rounding. It does not hold for what counts rows: 'invscaling', and a
    split by `validation_fraction`, in place of which `X_val` can be given.) With mini-batches a weight multiplies its
    row in the mean over the batch, and each copy has a mask of its own: alike, but not equal.

    Custom activations, dropout kinds, optimizers, schedules and regression losses can be registered by name: the user
    guide has an example of each.

    Where this class differs from scikit-learn's on purpose: ``partial_fit`` with an integer seed goes on with its
    random stream instead of replaying the first permutation; a mini-batch of zero weights is skipped; a loss or
    score that is not finite is an error at once; with ``warm_start`` patience starts afresh; 'lbfgs' warns that it
    ignores `early_stopping`, and with several outputs minimises the squared error summed over them, so that its
    loss and gradient agree; ``set_params`` between calls of ``partial_fit`` also changes the settings of the
    optimizer; pickles after ``fit`` leave out the optimizer's moments (its learning rate is kept); prediction runs in
    blocks of rows; a negative y is an error under the Poisson loss, and so is a y that is not numeric.

    References
    ----------
    .. [1] G. E. Hinton, N. Srivastava, A. Krizhevsky, I. Sutskever and R. Salakhutdinov (2012). Improving neural
       networks by preventing co-adaptation of feature detectors. arXiv:1207.0580.
    .. [2] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov (2014). Dropout: A Simple Way
       to Prevent Neural Networks from Overfitting. Journal of Machine Learning Research 15.
    .. [3] G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter (2017). Self-Normalizing Neural Networks.
       NeurIPS 30.
    .. [4] J. Tompson, R. Goroshin, A. Jain, Y. LeCun and C. Bregler (2015). Efficient Object Localization Using
       Convolutional Networks. CVPR.
    .. [5] Z. Liu, Z. Xu, J. Jin, Z. Shen and T. Darrell (2023). Dropout Reduces Underfitting. ICML.
    .. [6] P. Morerio, J. Cavazza, R. Volpi, R. Vidal and V. Murino (2017). Curriculum Dropout. ICCV.
    .. [7] X. Li, S. Chen, X. Hu and J. Yang (2019). Understanding the Disharmony Between Dropout and Batch
       Normalization by Variance Shift. CVPR.
    .. [8] D. Hendrycks and K. Gimpel (2016). Gaussian Error Linear Units (GELUs). arXiv:1606.08415.
    .. [9] I. Loshchilov and F. Hutter (2019). Decoupled Weight Decay Regularization. ICLR.
    .. [10] I. Loshchilov and F. Hutter (2017). SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR.
    .. [11] L. N. Smith (2018). A disciplined approach to neural network hyper-parameters. arXiv:1803.09820.
    .. [12] D. Holzmüller, L. Grinsztajn and I. Steinwart (2024). Better by Default: Strong Pre-Tuned MLPs and Boosted
       Trees on Tabular Data. NeurIPS 37.
    .. [13] S. J. Rennie, V. Goel and S. Thomas (2014). Annealed dropout training of deep networks. SLT.
    .. [14] S. Ioffe and C. Szegedy (2015). Batch Normalization. ICML.
    .. [15] R. Pascanu, T. Mikolov and Y. Bengio (2013). On the difficulty of training recurrent neural networks. ICML.
    .. [16] P. Goyal et al. (2017). Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour. arXiv:1706.02677.
    .. [17] B. Graham, J. Reizenstein and L. Robinson (2015). Efficient batchwise dropout training using submatrices.
       arXiv:1502.02478.
    .. [18] P. J. Huber (1964). Robust Estimation of a Location Parameter. Annals of Mathematical Statistics 35.
    .. [19] R. Koenker and G. Bassett (1978). Regression Quantiles. Econometrica 46.
    .. [20] Y. Gal and Z. Ghahramani (2016). Dropout as a Bayesian Approximation: Representing Model Uncertainty in
       Deep Learning. ICML.

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
    >>> reg = DropoutMLPRegressor(hidden_layer_sizes=50, dropout=0.1, early_stopping=True, random_state=0)
    >>> model = make_pipeline(StandardScaler(), TransformedTargetRegressor(reg, transformer=StandardScaler()))
    >>> model.fit(X_train, y_train).score(X_test, y_test) > 0.25
    True
    >>> model.predict(X_test[:3]).shape
    (3,)
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
        """Train for one epoch on the given rows, from the weights as they are.

        Each call goes on where the last one ended: masks, permutations, moments of the optimizer and of batch
        normalisation. With ``shuffle=False``, a constant learning rate and constant dropout rates, calls on consecutive
        parts of a multiple of `batch_size` rows equal one call on the whole, bit for bit, and N calls on the same rows,
        more of them than `batch_size`, equal an epoch each of ``fit(max_iter=N)``. With ``shuffle=True`` rows are
        permuted within a call. With dropout, the rows of the first call determine the powers of two that large columns
        of X are divided by; parts equal the whole only if the first part gives the same powers. Start a stream with
        typical rows. Schedules count a call as an epoch of `max_iter`, and ``loss_curve_`` gets one entry.
        A copy or a pickle made after a call continues identically. A pickle made after ``fit`` starts with the moments
        of the optimizer at zero. Changes by ``set_params`` take effect at the next call, also for parameters of the
        optimizer. A learning rate that 'adaptive' has lowered is kept until `solver`, `learning_rate` or
        `learning_rate_init` changes. Training continues from weights assigned to ``coefs_`` and ``intercepts_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.

        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The estimator, trained. If the call fails, as it was.
        """
        return self._attempt(X, y, sample_weight, incremental=True)

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
        """Predict the targets of X, without noise, or by Monte-Carlo dropout with a standard deviation.

        With ``return_std=True``, T noisy passes f_t with mean f̄ give the total standard deviation::

            σ² = noise_variance_ + 1/T Σ_t (f_t(x) - f̄(x))².

        The mean µ depends on the rates at the end of training:

        - Above 0, as with ``dropout_schedule='constant'``: µ is f̄, often the more accurate prediction, above all in
          networks with more than one hidden layer, where the noise-free pass is biased. The same holds with early
          stopping if the rates of the best epoch were above 0, and whenever all rates are given.
        - At 0 (or below 1 % of `dropout`), as with the default schedule 'flat_cos': the passes use the rates that the
          schedule started from, `dropout` and `input_dropout` of the training, and µ is the noise-free prediction,
          ``predict(X)``. The network was not trained at those rates in the end, so f̄ is less accurate, but the spread
          of the passes is still informative.
        - Without dropout all passes are the same, and σ² is ``noise_variance_``, one number for all rows. A warning
          says so, once for each training.

        The other parameters apply only to ``return_std=True``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            The rows to predict.

        return_std : bool, default=False
            Whether to sample, and to return a standard deviation beside the mean.

        n_samples : int, default=100
            Number of noisy passes T, at least 1. Memory does not grow with it.

        random_state : int, RandomState instance or None, default=0
            Seeds the masks.

        dropout : float or array-like of shape (n_hidden,), default=None
            Rate of the hidden layers while sampling, in [0, 1). None for the rates at the end of training, or, if a
            schedule ended at 0, the rates that it started from. 0 for no noise.

        input_dropout : float, default=None
            The same for the inputs.

        mask_sharing : {'sample', 'batch'}, default='sample'
            Whether each row has masks of its own in each pass, or all rows of X share them: then each pass is
            one function.

        n_jobs : int, default=None
            Threads of joblib; the numbers do not depend on it.

        Returns
        -------
        y_mean : ndarray of shape (n_samples_X,) or (n_samples_X, n_outputs)
            The prediction: without noise, or µ.

        y_std : ndarray of shape (n_samples_X,) or (n_samples_X, n_outputs)
            Standard deviation σ, in the units of the y given to ``fit``. Only with ``return_std=True``.

        Warns
        -----
        UserWarning
            If the network was trained without dropout and no rate is given: once for each training.
        """
        if not return_std:
            warn_without_std(n_samples, random_state, dropout, input_dropout, mask_sharing)
            return super().predict(X)
        X = self._validate_predict(X)
        mean, std = (np.empty((X.shape[0], self.n_outputs_), self._network().coefs[0].dtype) for _ in range(2))

        def gather(blocks):
            for rows, (_, mean[rows], variance) in over_passes(blocks, add_moments):
                std[rows] = np.sqrt(variance + self.noise_variance_)

        noisy_passes(
            self,
            X,
            pass_moments,
            gather,
            n_samples=n_samples,
            random_state=random_state,
            dropout=dropout,
            input_dropout=input_dropout,
            mask_sharing=mask_sharing,
            n_jobs=n_jobs,
            recenter=False,  # the mean of the passes is replaced as a whole
        )
        if ended_at_0(self, dropout, input_dropout):
            mean = self._output(X)
        elif dropout is None and input_dropout is None and not any(self._noise[2]):
            warn_of_one_std(self.coefs_[0])
        return self._decode(mean), self._decode(self._finite(std, X))

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
        """Noisy passes through the network, f_t(x): samples of its function, without observation noise.

        Their mean and spread are those of ``predict(X, return_std=True)``. After a schedule that ended at 0, and with
        no rates given, the passes therefore use the rates that the schedule started from and are centered on the
        noise-free prediction f(x): ``f_t(x) - f̄(x) + f(x)``. f̄ is the mean of at least 100 passes, even if
        `n_samples` is smaller. With ``loss='poisson'`` the centered passes are clipped at 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            The rows to predict.

        n_samples : int, default=1
            Number of passes, at least 1.

        random_state : int, RandomState instance or None, default=0
            Seeds the masks.

        dropout : float or array-like of shape (n_hidden,), default=None
            Rate of the hidden layers while sampling, in [0, 1). None for the rates at the end of training, or, if a
            schedule ended at 0, the rates that it started from. 0 for no noise.

        input_dropout : float, default=None
            The same for the inputs.

        mask_sharing : {'sample', 'batch'}, default='sample'
            Whether each row has masks of its own in each pass, or all rows of X share them: then each pass is
            one function, the same for any X.

        n_jobs : int, default=None
            Threads of joblib; the numbers do not depend on it.

        Returns
        -------
        y_samples : ndarray of shape (n_samples_X, n_samples) or (n_samples_X, n_outputs, n_samples)
            One pass in each column. It is all in memory: ``predict(X, return_std=True)`` is not.
        """
        X = self._validate_predict(X)
        samples = self._sample(
            X,
            self.n_outputs_,
            n_samples=n_samples,
            random_state=random_state,
            dropout=dropout,
            input_dropout=input_dropout,
            mask_sharing=mask_sharing,
            n_jobs=n_jobs,
        )
        return samples[:, 0] if self.n_outputs_ == 1 else samples

    def _recenter(self, outputs, shift):
        outputs = (outputs + shift).astype(outputs.dtype, copy=False)
        return np.maximum(outputs, 0) if self.out_activation_ == "exp" else outputs

    def _log_likelihood(self, outputs, Y):
        variance = np.broadcast_to(self.noise_variance_, Y.shape[1])
        return -((outputs - Y) ** 2 / variance + np.log(2 * np.pi * variance)).sum(axis=2) / 2

    def _estimate_noise(self, rows):
        if self.noise_variance is None:
            squares = np.square(rows.Y - self._network().predict(rows.X), dtype=float)
            mean = np.average(squares, axis=0, weights=rows.sample_weight)
            limits = np.finfo(float)  # of a network that fits its rows exactly, or whose squares overflow
            noise = np.clip(mean, limits.tiny, limits.max)
        else:
            noise = np.full(self.n_outputs_, self.noise_variance, dtype=float)
        self.noise_variance_ = float(noise[0]) if self.n_outputs_ == 1 else noise

    def _learn_labels(self, y, fresh, incremental, classes):
        """A regressor has no labels; the noise of its targets may be known."""
        if self.noise_variance is None:
            return
        noise, n_outputs = np.asarray(self.noise_variance, dtype=object), y.shape[1] if y.ndim == 2 else 1
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
        assert_all_finite(y, input_name=name)  # scikit-learn's check came before None was a float
        loss: Any = self.loss
        known = isinstance(loss, str) and loss in LOSSES  # after set_params it may be anything
        if known and (y < LOSSES[loss].min_target).any():
            values = "negative values" if LOSSES[loss].min_target == 0 else f"values below {LOSSES[loss].min_target:g}"
            raise ValueError(f"`{name}` has {values}, but loss={loss!r} needs {name} >= {LOSSES[loss].min_target:g}.")
        return y.reshape(len(y), -1).astype(float, copy=False)

    def _decode(self, P):
        return P.ravel() if P.shape[1] == 1 else P

    def _loss_name(self):
        return self.loss

    def _loss_options(self):
        return {keyword: float(getattr(self, name)) for keyword, name in LOSSES[self.loss].options.items()}

    def _watched(self):
        """R² speaks of the mean: the loss is what tells quantiles and medians."""
        return LOSSES[self.loss].monitor if self.scoring is None else self.scoring

    def _default_score(self, y, y_pred, sample_weight):
        return r2_score(y, y_pred, sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

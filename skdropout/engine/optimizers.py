"""Stochastic optimizers over the flat parameter vector, in place.

``step(params, gradient, penalise)`` updates `params` chunk by chunk. First on each chunk, while it is in cache, comes
``penalise(part, scratch)``, which may add to the gradient; the sum of what it returns is returned, or NaN if the step
overflows. (A maximum or dot product of a chunk in cache takes 4 or 5 µs, under 1 % of a step of 784-256-256-10.)

An optimizer is created by ``Optimizer(size, dtype, learning_rate, *settings)``; the class attribute ``settings`` names
the estimator parameters whose values it gets. The attributes ``learning_rate`` and ``factor`` (initially 1.0) are
changed between steps: the step size is their product. The ``vars`` of an optimizer are its state.

``resume(last)`` copies the state of an earlier optimizer of the same class, whose settings may differ. Without this
method the settings of the earlier one are kept.
"""

import copy
from math import isfinite, nan, sqrt
from typing import final

import numpy as np

from .buffers import in_chunks
from .registry import Registry


def no_penalty(part, scratch):
    return 0.0


@final
class SGD:
    """Gradient descent with momentum:  v <- µ v - η g;  w <- w + v,  or with Nesterov  w <- w + µ v - η g.

    Parameters
    ----------
    size : int
        Number of parameters.
    dtype : numpy dtype
    learning_rate : float
        η; may be changed between steps, and so may ``factor``, which multiplies it.
    momentum : float
        µ, in [0, 1].
    nesterov : bool
    """

    settings = "momentum", "nesterovs_momentum"

    def __init__(self, size, dtype, learning_rate, momentum, nesterov):
        self.learning_rate, self.momentum, self.nesterov = float(learning_rate), float(momentum), bool(nesterov)
        self.factor = 1.0
        self.velocity = np.zeros(size if momentum > 0 else 0, dtype)

    def step(self, params, gradient, penalise=no_penalty):
        """Update `params`; `gradient` is used as scratch."""
        step_size = self.learning_rate * self.factor

        def update(part, scratch):
            penalty = penalise(part, scratch)
            w, g = params[part], gradient[part]
            g *= step_size
            if self.momentum > 0:
                v = self.velocity[part]
                v *= self.momentum
                v -= g
                if self.nesterov:
                    w += np.multiply(v, self.momentum, out=scratch)
                    w -= g
                else:
                    w += v
            else:
                w -= g
            return penalty if isfinite(np.dot(w, w)) else nan

        return in_chunks(update, params.size, params.dtype)

    def resume(self, last):
        """Copy the velocity. It contains the learning rate, so a lower rate scales it down."""
        if self.velocity.size == last.velocity.size:
            self.velocity[:] = last.velocity
            if self.learning_rate < last.learning_rate:
                self.velocity *= self.learning_rate / last.learning_rate


@final
class Adam:
    """Adam (Kingma and Ba, 2015), bias correction folded into the step size:

        m <- β₁ m + (1 - β₁) g;   v <- β₂ v + (1 - β₂) g²
        w <- w - η √(1 - β₂ᵗ) / (1 - β₁ᵗ) · m / (√v + ε)

    Parameters
    ----------
    size : int
        Number of parameters.
    dtype : numpy dtype
    learning_rate : float
        η; may be changed between steps, and so may ``factor``, which multiplies it.
    beta_1, beta_2 : float
        Decay of the moments, in [0, 1).
    epsilon : float
    decay : float, default=0.0
        λ of AdamW (Loshchilov and Hutter, 2019): before each step the weights shrink by η λ of themselves.
    n_decayed : int, default=0
        How many parameters, the first, are weights that shrink.
    """

    settings = "beta_1", "beta_2", "epsilon"

    def __init__(self, size, dtype, learning_rate, beta_1, beta_2, epsilon, decay=0.0, n_decayed=0):
        self.learning_rate, self.factor = float(learning_rate), 1.0
        self.decay, self.n_decayed = float(decay), n_decayed
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)
        self.t = 0
        self.mean, self.square = np.zeros(size, dtype), np.zeros(size, dtype)

    def step(self, params, gradient, penalise=no_penalty):
        """Update `params`; `gradient` is used as scratch."""
        self.t += 1
        rate = self.learning_rate * self.factor
        # `mean` and `square` are kept as m / (1 - β₁) and v / (1 - β₂): a pass less each. The rest makes up for it.
        to_square = sqrt(1 - self.beta_2)
        step_size = rate * sqrt(1 - self.beta_2**self.t) / (1 - self.beta_1**self.t) * (1 - self.beta_1) / to_square
        epsilon = self.epsilon / to_square

        def update(part, scratch):
            penalty = penalise(part, scratch)
            w, g, m, v = params[part], gradient[part], self.mean[part], self.square[part]
            if self.decay > 0:
                params[part.start : min(part.stop, self.n_decayed)] *= 1 - rate * self.decay
            m *= self.beta_1
            m += g
            v *= self.beta_2
            g *= g
            v += g
            np.sqrt(v, out=g)
            finite = isfinite(g.max())  # or the parameter turns NaN, or, where g is finite and v not, stops for ever
            g += epsilon
            np.divide(m, g, out=g)
            g *= step_size
            w -= g
            return penalty if finite else nan

        return in_chunks(update, params.size, params.dtype)

    def resume(self, last):
        """Copy the moments; if β changed, rescale them to keep the bias-corrected estimates."""
        self.t = last.t
        if self.t > 0:
            for name, now, then in (("mean", self.beta_1, last.beta_1), ("square", self.beta_2, last.beta_2)):
                moment = getattr(self, name)
                moment[:] = getattr(last, name)
                moment *= _sum_of_powers(now, self.t) / _sum_of_powers(then, self.t)


def _sum_of_powers(beta, n):
    """1 + β + ... + βⁿ⁻¹, the ratio of a moment as ``Adam`` stores it to its bias-corrected estimate."""
    return (1 - beta**n) / (1 - beta)


def resume(optimizer, last):
    """Let an optimizer continue from the state of an earlier one of its class."""
    if hasattr(optimizer, "resume"):
        optimizer.resume(last)
    else:  # a custom optimizer
        now = {"learning_rate": optimizer.learning_rate, "factor": 1.0}
        vars(optimizer).update(copy.deepcopy(vars(last)) | now)


OPTIMIZERS = Registry("optimizer", "skdropout.engine.optimizers.OPTIMIZERS", {"sgd": SGD, "adam": Adam, "adamw": Adam})

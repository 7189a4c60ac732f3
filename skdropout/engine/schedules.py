"""Schedules of the learning rate and of the dropout rate.

Progress t runs from 0 at the first step of a fit to 1 at its last, were it to use all of `max_iter` epochs.
"""

from math import cos, exp, pi
from typing import final

from .registry import Registry


class Constant:
    """The learning rate stays; a plateau ends the training."""

    moves = False  # whether `factor` is not 1 throughout
    of_rows = False  # whether `after_epoch` depends on the rows seen and not on the current rate
    sgd_only = False  # whether other solvers ignore it, as in scikit-learn

    def __init__(self, learning_rate_init, power_t=0.5):
        self.initial, self.power_t = float(learning_rate_init), float(power_t)

    def after_epoch(self, learning_rate, t):
        """The rate of the next epoch, `t` training rows after the start."""
        return learning_rate

    def on_plateau(self, learning_rate):
        """The rate to go on with when the training has stopped improving; None to end it."""
        return None

    def factor(self, t):
        """What the rate is multiplied by at progress t."""
        return 1.0


@final
class InverseScaling(Constant):
    """learning_rate_init / (t + 1) ** power_t after t training rows."""

    of_rows = sgd_only = True

    def after_epoch(self, learning_rate, t):
        return self.initial / (t + 1) ** self.power_t


@final
class Adaptive(Constant):
    """A fifth of the rate at each plateau, to the end at 1e-6."""

    sgd_only = True

    def on_plateau(self, learning_rate):
        return learning_rate / 5 if learning_rate > 1e-6 else None


@final
class Cosine(Constant):
    """From the initial rate to 0 along half a cosine (Loshchilov and Hutter, 2017)."""

    moves = True

    def factor(self, t):
        return (1 + cos(pi * t)) / 2


@final
class OneCycle(Constant):
    """From 1/25 of the rate up to it over 0.3 of the training, then down to 4e-6 of it, along cosines (Smith, 2018)."""

    moves = True
    START, PEAK, END = 1 / 25, 0.3, 1e-4 / 25

    def factor(self, t):
        if t < self.PEAK:
            return self.START + (1 - self.START) * (1 - cos(pi * t / self.PEAK)) / 2
        return self.END + (1 - self.END) * (1 + cos(pi * (t - self.PEAK) / (1 - self.PEAK))) / 2


LEARNING_RATES = Registry(
    "learning rate",
    "skdropout.engine.schedules.LEARNING_RATES",
    {
        "constant": Constant,
        "invscaling": InverseScaling,
        "adaptive": Adaptive,
        "cosine": Cosine,
        "onecycle": OneCycle,
    },
)


def warm_up(t, fraction):
    """Linear from 0 to 1 over the first `fraction` of the training (Goyal et al., 2017)."""
    return min(1.0, t / float(fraction)) if fraction > 0 else 1.0


# Factor of the dropout rates at progress t
FACTORS = {
    "constant": lambda t: 1.0,
    "early": lambda t: max(0.0, 1 - 6 * t),  # linear to 0 over the first sixth, 50 of 300 epochs (Liu et al., 2023)
    "late": lambda t: float(t >= 1 / 6),  # from then on (Liu et al., 2023)
    "curriculum": lambda t: 1 - exp(-10 * t),  # the probability to keep falls from 1 (Morerio et al., 2017)
    "annealed": lambda t: 1 - t,  # linear to 0 (Rennie et al., 2014)
    "flat_cos": lambda t: (1 + cos(pi * (max(1.0, 2 * t) - 1))) / 2,  # flat, then a cosine (RealMLP, 2024)
}
DROPOUT_SCHEDULES = Registry("dropout schedule", "skdropout.engine.schedules.DROPOUT_SCHEDULES", FACTORS)

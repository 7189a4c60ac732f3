"""Schedules of the learning rate and of the dropout rates.

Progress t is 0 at the first step of a fit and 1 at the last step of `max_iter` epochs.
"""

from math import cos, exp, pi
from typing import final

from .registry import Registry


class Constant:
    """Constant learning rate; a plateau ends training."""

    is_schedule = False  # whether `factor` depends on the progress
    uses_n_rows = False  # whether `after_epoch` depends on the number of rows instead of the current rate
    sgd_only = False  # whether other solvers ignore it, as in scikit-learn

    def __init__(self, learning_rate_init, power_t=0.5):
        self.initial, self.power_t = float(learning_rate_init), float(power_t)

    def after_epoch(self, learning_rate, n_rows):
        """Return the learning rate of the next epoch, after a total of `n_rows` training rows."""
        return learning_rate

    def on_plateau(self, learning_rate):
        """Return the learning rate to continue with when training has stopped improving, or None to end training."""
        return None

    def factor(self, t):
        """Return the factor of the learning rate at progress t."""
        return 1.0


@final
class InverseScaling(Constant):
    """learning_rate_init / (n_rows + 1) ** power_t after n_rows training rows."""

    uses_n_rows = sgd_only = True

    def after_epoch(self, learning_rate, n_rows):
        return self.initial / (n_rows + 1) ** self.power_t


@final
class Adaptive(Constant):
    """Divide the learning rate by 5 at each plateau; training ends at 1e-6."""

    sgd_only = True

    def on_plateau(self, learning_rate):
        return learning_rate / 5 if learning_rate > 1e-6 else None


@final
class Cosine(Constant):
    """Decay from the initial learning rate to 0 along half a cosine (Loshchilov and Hutter, 2017)."""

    is_schedule = True

    def factor(self, t):
        return (1 + cos(pi * t)) / 2


@final
class OneCycle(Constant):
    """Rise from 1/25 of the initial rate to all of it in 0.3 of training, then decay to 4e-6 of it (Smith, 2018)."""

    is_schedule = True
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
    """Rise linearly from 0 to 1 in the first `fraction` of training (Goyal et al., 2017)."""
    return min(1.0, t / float(fraction)) if fraction > 0 else 1.0


# Factor of all dropout rates at progress t
FACTORS = {
    "constant": lambda t: 1.0,
    "early": lambda t: max(0.0, 1 - 6 * t),  # linear to 0 over the first sixth, 50 of 300 epochs (Liu et al., 2023)
    "late": lambda t: float(t >= 1 / 6),  # 0 for the first sixth (Liu et al., 2023)
    "curriculum": lambda t: 1 - exp(-10 * t),  # rises from 0 (Morerio et al., 2017)
    "annealed": lambda t: 1 - t,  # linear to 0 (Rennie et al., 2014)
    "flat_cos": lambda t: (1 + cos(pi * (max(1.0, 2 * t) - 1))) / 2,  # flat, then a cosine (RealMLP, 2024)
}
DROPOUT_SCHEDULES = Registry("dropout schedule", "skdropout.engine.schedules.DROPOUT_SCHEDULES", FACTORS)

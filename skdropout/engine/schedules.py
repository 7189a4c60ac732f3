"""Learning-rate policies, asked once an epoch."""

from typing import final


class Constant:
    """The learning rate stays; a plateau ends the training."""

    def __init__(self, learning_rate_init, power_t=0.5):
        self.initial, self.power_t = float(learning_rate_init), power_t

    def after_epoch(self, learning_rate, t):
        """The rate of the next epoch, `t` training rows after the start."""
        return learning_rate

    def on_plateau(self, learning_rate):
        """The rate to go on with when the training has stopped improving; None to end it."""
        return None


@final
class InverseScaling(Constant):
    """learning_rate_init / (t + 1) ** power_t after t training rows."""

    def after_epoch(self, learning_rate, t):
        return self.initial / (t + 1) ** self.power_t


@final
class Adaptive(Constant):
    """A fifth of the rate at each plateau, to the end at 1e-6."""

    def on_plateau(self, learning_rate):
        return learning_rate / 5 if learning_rate > 1e-6 else None


LEARNING_RATES = {"constant": Constant, "invscaling": InverseScaling, "adaptive": Adaptive}

"""Kinds of dropout, one final class per file.

To add a kind, implement the contract of :mod:`.base` and add a line to `DROPOUTS`. The contract tests run for every
kind in this table.
"""

from ..registry import Registry
from .alpha import Alpha
from .bernoulli import Bernoulli
from .gaussian import Gaussian
from .spatial import Spatial

DROPOUTS = Registry(
    "dropout kind",
    "skdropout.engine.dropout.DROPOUTS",
    {"bernoulli": Bernoulli, "gaussian": Gaussian, "alpha": Alpha, "spatial": Spatial},
)

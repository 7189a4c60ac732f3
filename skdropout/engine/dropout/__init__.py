"""The kinds of dropout: one kind, one file, one final class, one line in `DROPOUTS`.

To add a kind, write its class on the contract in :mod:`.base` and add its line here;
the contract test puts every line of the table through the same questions.
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

"""The kinds of dropout: one kind, one file, one final class, one line in `DROPOUTS`.

To add a kind, write its class on the contract in :mod:`.base` and add its line here;
the contract test puts every line of the table through the same questions.
"""

from .bernoulli import Bernoulli

DROPOUTS = {
    "bernoulli": Bernoulli,
}

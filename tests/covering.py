"""Covering designs: a few rows of a product that contain all value combinations of any two or three options."""

from itertools import combinations, product


def covering(*options, strength=3):
    """Return rows of `product(*options)`, chosen greedily, with all value combinations of any `strength` options."""
    rows, bits = list(product(*options)), {}
    covered = [
        sum(
            1 << bits.setdefault((columns, tuple(row[i] for i in columns)), len(bits))
            for columns in combinations(range(len(options)), strength)
        )
        for row in rows
    ]
    chosen, missing = [], (1 << len(bits)) - 1
    while missing:
        best = max(range(len(rows)), key=lambda i: (covered[i] & missing).bit_count())
        chosen.append(rows[best])
        missing &= ~covered[best]
    return chosen

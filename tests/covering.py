"""Covering designs: a few rows of a product that contain all value combinations of any two or three options."""

from itertools import combinations, product


def covering(*options, strength=3):
    """Return rows of `product(*options)`, chosen greedily, with all value combinations of any `strength` options."""
    rows, numbers = list(product(*options)), {}
    met = [
        sum(
            1 << numbers.setdefault((which, tuple(row[i] for i in which)), len(numbers))
            for which in combinations(range(len(options)), strength)
        )
        for row in rows
    ]
    chosen, missing = [], (1 << len(numbers)) - 1
    while missing:
        best = max(range(len(rows)), key=lambda i: (met[i] & missing).bit_count())
        chosen.append(rows[best])
        missing &= ~met[best]
    return chosen

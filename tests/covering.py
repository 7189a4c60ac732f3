"""Covering designs: few rows of a product in which any two or three options still meet in all their values."""

from itertools import combinations, product


def covering(*options, strength=3):
    """Rows of `product(*options)`, chosen greedily, until any `strength` options have taken all values together."""
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

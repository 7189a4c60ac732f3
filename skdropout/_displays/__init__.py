"""Displays with scikit-learn's interface: ``from_estimator``, ``plot``, ``ax_`` and ``figure_``.

matplotlib is imported only inside functions, so that it stays optional.
"""

"""Displays in scikit-learn's manner: ``from_estimator``, ``plot``, ``ax_``, ``figure_``; matplotlib only inside."""

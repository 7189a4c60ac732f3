"""Fitting: preparation, training by stochastic solvers or L-BFGS, and history.

``prepare`` turns an estimator, its arguments and the data into a ``Plan``. ``Training`` and ``LBFGS`` train the model
of the plan in place and record a ``History``. They call ``tasks`` at the beginning and the end of each epoch, and do
not access the estimator.
"""

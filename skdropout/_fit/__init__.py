"""A fit: its preparation, its history, and the runs of the stochastic solvers and of L-BFGS.

``prepare`` turns an estimator, its arguments and the data into a ``Plan``. A run reads the plan, trains its model in
place and records a ``History``. It calls ``tasks`` at the beginning and the end of each epoch, and knows nothing of the
estimator.
"""

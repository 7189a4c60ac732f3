"""The NumPy backprop engine: numpy, scipy and the standard library, nothing of scikit-learn.

Training and prediction are different objects. :class:`~.network.Network` predicts: it is small,
pickles, and serves many threads at once. :class:`~.backprop.Backprop` trains: it owns every buffer
and lives for one fit. Both see the same parameters, one contiguous vector (:class:`~.params.Params`).
"""

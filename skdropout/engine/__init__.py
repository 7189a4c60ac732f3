"""The NumPy engine: networks, training and prediction. It depends only on NumPy, SciPy and the standard library.

Training and prediction are separate. A :class:`~.network.Network` predicts: it is small, can be pickled, and is safe to
share between threads. A :class:`~.backprop.Backprop` trains: it owns all buffers and is created for each fit. Both use
the same parameters, views into one contiguous vector (:class:`~.params.Params`).

The estimators use these names of the engine:

* tables of components, in which users can register their own: ``activations.ACTIVATIONS``, ``activations.OUTPUTS``,
  ``dropout.DROPOUTS``, ``losses.LOSSES``, ``optimizers.OPTIMIZERS``, ``schedules.LEARNING_RATES``,
  ``schedules.DROPOUT_SCHEDULES``;
* models: ``layers.LayerSpec``, ``params.Params``, ``initializers.initialize``, ``network.Network``;
* training: ``backprop.Backprop``, ``training.Batches``, ``training.epochs``, ``training.lbfgs``, ``optimizers.SGD``,
  ``optimizers.Adam``, ``optimizers.resume``, ``schedules.warm_up``, ``dropout.base.is_multiplicative``;
* batch normalization at prediction: ``layers.fold``, ``layers.unfold``, ``layers.inference_scale_shift``;
* Monte Carlo dropout: ``sampling.Sampler``;
* random streams: ``rng.mask_stream``, ``rng.resume_stream``;
* outputs: ``activations.REAL_OUTPUTS``, ``activations.columns_per_output``;
* constants: ``losses.PROBABILITY_LIMITS``, ``activations.ALPHA``, ``activations.LAMBDA``, ``activations.LEAK``.
"""

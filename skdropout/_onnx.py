"""Conversion to ONNX. Only functions import skl2onnx, so that it stays optional."""

from __future__ import annotations

import math

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import RandomizedSearchCV

from ._classifier import DropoutMLPClassifier
from ._regressor import DropoutMLPRegressor
from ._sklearn import HalvingGridSearchCV, HalvingRandomSearchCV
from .engine import activations
from .engine.activations import ACTIVATIONS, ALPHA, LAMBDA, LEAK, OUTPUTS

# Containers converted as the fitted estimator in this attribute; skl2onnx itself supports GridSearchCV
CONTAINERS = {
    FrozenEstimator: "estimator",
    HalvingGridSearchCV: "best_estimator_",
    HalvingRandomSearchCV: "best_estimator_",
    RandomizedSearchCV: "best_estimator_",
}


def register_onnx() -> None:
    """Register converters so that skl2onnx can convert fitted networks, also inside pipelines and searches.

    After one call in a process, ``skl2onnx.to_onnx`` and ``skl2onnx.convert_sklearn`` accept
    :class:`DropoutMLPClassifier` and :class:`DropoutMLPRegressor` like scikit-learn's own networks, with the same
    options (`zipmap`, `output_class_labels`, `nocl`). The converted network computes in float64 if its inputs are
    declared as float64, and in float32 otherwise.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    DropoutMLPClassifier.to_sklearn : Conversion to a network of scikit-learn, which needs no registration.

    Notes
    -----
    :class:`~sklearn.model_selection.RandomizedSearchCV`, successive halving and
    :class:`~sklearn.frozen.FrozenEstimator`, which skl2onnx (1.20) does not support, are converted as the estimator
    that they contain. A :class:`~sklearn.compose.TransformedTargetRegressor` can be converted if its inverse transform
    scales and shifts each target separately, as with StandardScaler, or if ``inverse_func`` is numpy.exp or
    numpy.expm1. Custom activations have no counterpart in ONNX; converting one raises a ``ValueError``. With float64
    inputs 'gelu' has float32 precision, because onnxruntime computes the error function in float32 only.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdropout import DropoutMLPClassifier, register_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = DropoutMLPClassifier(
    ...     hidden_layer_sizes=20, learning_rate_init=0.02, early_stopping=True, scoring="loss", random_state=0
    ... )
    >>> model = make_pipeline(StandardScaler(), clf).fit(X, y)
    >>> register_onnx()  # doctest: +SKIP
    >>> from skl2onnx import to_onnx  # doctest: +SKIP
    >>> onnx = to_onnx(model, X[:1].astype("float32"))  # doctest: +SKIP
    """
    try:
        from skl2onnx import update_registered_converter, update_registered_parser
    except ImportError as error:
        raise ImportError(f"register_onnx needs skl2onnx; install it: {error}") from error
    options = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [True, False]}
    update_registered_converter(
        DropoutMLPClassifier, "SkdropoutMLPClassifier", _classifier_shapes, _convert_classifier, options=options
    )
    update_registered_converter(DropoutMLPRegressor, "SkdropoutMLPRegressor", _regressor_shapes, _convert_regressor)
    update_registered_converter(TransformedTargetRegressor, "SkdropoutTarget", _target_shapes, _convert_target)
    for container in CONTAINERS:
        update_registered_parser(container, _parse_inner)


def _parse_inner(scope, model, inputs, custom_parsers=None):
    """Parse the fitted estimator of a container instead of the container."""
    from skl2onnx._parse import _parse_sklearn

    inner = getattr(model, CONTAINERS[type(model)])
    for key in (id(model), type(model)):
        if options := (scope.options or {}).get(key):
            scope.add_options(id(inner), options)
    return _parse_sklearn(scope, inner, inputs, custom_parsers=custom_parsers)


def _classifier_shapes(operator):
    from skl2onnx.common.data_types import Int64TensorType
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    calculate_linear_classifier_output_shapes(operator)
    if operator.raw_operator._is_multilabel():
        n_rows = operator.inputs[0].get_first_dimension()
        operator.outputs[0].set_type(Int64TensorType([n_rows, len(operator.raw_operator.classes_)]))


def _regressor_shapes(operator):
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes

    calculate_linear_regressor_output_shapes(operator)
    n_rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [n_rows, operator.raw_operator.n_outputs_]


def _target_shapes(operator):
    operator.outputs[0].type.shape = [operator.inputs[0].get_first_dimension(), _n_targets(operator.raw_operator)]


def _n_targets(model):
    return model.transformer_.n_features_in_


class GraphBuilder:
    """Builder that adds nodes and constants to an ONNX graph. Each method returns the name of its result."""

    def __init__(self, scope, operator, container):
        from skl2onnx.common.data_types import guess_proto_type
        from skl2onnx.proto import TensorProto

        self.scope, self.container, self.types = scope, container, TensorProto
        double = guess_proto_type(operator.inputs[0].type) == TensorProto.DOUBLE
        self.dtype = TensorProto.DOUBLE if double else TensorProto.FLOAT

    def __call__(self, op_type, *inputs, out=None, **attributes):
        out = out or self.scope.get_unique_variable_name(op_type.lower())
        name = self.scope.get_unique_operator_name(op_type)
        self.container.add_node(op_type, list(inputs), out, name=name, **attributes)
        return out

    def constant(self, value, dtype=None):
        name, array = self.scope.get_unique_variable_name("constant"), np.asarray(value)
        self.container.add_initializer(name, dtype or self.dtype, list(array.shape), array.ravel().tolist())
        return name

    def cast(self, x, dtype):
        return self("Cast", x, to=dtype)


def _leaky_relu(graph, z):
    return graph("Max", z, graph("Mul", z, graph.constant([LEAK])))


def _exponential_linear(graph, z, scale, saturation):
    zero = graph.constant([0.0])
    below = graph("Sub", graph("Exp", graph("Min", z, zero)), graph.constant([1.0]))
    above = graph("Mul", graph("Max", z, zero), graph.constant([scale]))
    return graph("Add", above, graph("Mul", below, graph.constant([saturation])))


def _gelu(graph, z):
    x = graph("Mul", z, graph.constant([math.sqrt(0.5)]))
    x = graph("Erf", graph.cast(x, graph.types.FLOAT))  # float32 only in onnxruntime
    x = graph("Add", graph.cast(x, graph.dtype), graph.constant([1.0]))
    return graph("Mul", graph("Mul", z, graph.constant([0.5])), x)


# Keyed by function, not by name, so that a built-in name redefined by a user is not converted as the original.
# ONNX has Elu, Selu and LeakyRelu, but onnxruntime computes them in float32 only.
OPERATORS = {
    activations.identity: lambda graph, z: z,
    activations.logistic: lambda graph, z: graph("Sigmoid", z),
    activations.tanh: lambda graph, z: graph("Tanh", z),
    activations.relu: lambda graph, z: graph("Relu", z),
    activations.leaky_relu: _leaky_relu,
    activations.elu: lambda graph, z: _exponential_linear(graph, z, 1.0, 1.0),
    activations.selu: lambda graph, z: _exponential_linear(graph, z, LAMBDA, LAMBDA * ALPHA),
    activations.gelu: _gelu,
    activations.silu: lambda graph, z: graph("Mul", z, graph("Sigmoid", z)),
    activations.softmax: lambda graph, z: graph("Softmax", z, axis=1),
    activations.exp: lambda graph, z: graph("Exp", z),
}


def _forward(graph, network, x):
    """Add the forward pass of `network` on the variable `x`, and return the name of the output."""
    names = [*network.activations, network.output]
    functions = [*(ACTIVATIONS[name].forward for name in network.activations), OUTPUTS[network.output]]
    x = graph.cast(x, graph.dtype)
    for W, b, function, name in zip(network.coefs, network.intercepts, functions, names, strict=True):
        if function not in OPERATORS:
            raise ValueError(f"Cannot convert the custom activation {name!r}: it has no ONNX operators.")
        x = graph("Add", graph("MatMul", x, graph.constant(W)), graph.constant(b))
        x = OPERATORS[function](graph, x)
    return x


def _convert_regressor(scope, operator, container):
    graph = GraphBuilder(scope, operator, container)
    y = _forward(graph, operator.raw_operator._network(), operator.inputs[0].full_name)
    graph("Identity", y, out=operator.outputs[0].full_name)


def _convert_target(scope, operator, container):
    from skl2onnx._parse import _parse_sklearn

    graph, model = GraphBuilder(scope, operator, container), operator.raw_operator
    (y,) = _parse_sklearn(scope, model.regressor_, operator.inputs)
    y = graph.cast(y.full_name, graph.dtype)
    function = getattr(model.transformer_, "inverse_func", None)
    if function in (np.exp, np.expm1):
        y = graph("Exp", y)
        scale, shift = 1.0, -float(function is np.expm1)
    else:
        scale, shift = _scale_and_shift(model)
    y = graph("Add", graph("Mul", y, graph.constant(scale)), graph.constant(shift))
    graph("Identity", y, out=operator.outputs[0].full_name)


def _scale_and_shift(model):
    """Return the scale and shift of each target in the inverse transform of the predictions."""
    n, inverse = _n_targets(model), model.transformer_.inverse_transform
    shift = np.asarray(inverse(np.zeros((1, n))))
    scale = np.asarray(inverse(np.ones((1, n)))) - shift
    T = np.random.RandomState(0).normal(scale=3, size=(5, n))
    if not np.allclose(inverse(T), T * scale + shift):
        raise ValueError(
            f"{model.transformer_!r} does not scale and shift each target separately: convert regressor_ instead, and "
            "apply inverse_transform to the predictions of the runtime."
        )
    return scale, shift


def _convert_classifier(scope, operator, container):
    from skl2onnx.common.utils_classifier import get_label_classes

    graph, network = GraphBuilder(scope, operator, container), operator.raw_operator
    label, proba = (output.full_name for output in operator.outputs)
    P = _forward(graph, network._network(), operator.inputs[0].full_name)
    if len(network.classes_) == 1:
        P = graph("Add", graph("Sub", P, P), graph.constant([1.0]))
    elif network.n_outputs_ == 1:
        P = graph("Concat", graph("Sub", graph.constant([1.0]), P), P, axis=1)
    graph("Identity", P, out=proba)
    if network._is_multilabel():
        graph("Cast", graph("Greater", P, graph.constant([0.5])), out=label, to=graph.types.INT64)
        return
    classes = get_label_classes(scope, network)
    if isinstance(classes[0], str):
        classes = graph.constant([text.encode() for text in classes], graph.types.STRING)
    else:  # integers, possibly stored as floats; scikit-learn allows no other numeric classes
        classes = graph.constant(classes.astype(np.int64), graph.types.INT64)
    graph("Gather", classes, graph("ArgMax", P, axis=1, keepdims=0), out=label, axis=0)

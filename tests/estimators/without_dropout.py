"""Subclasses without dropout by default, on which scikit-learn's own tests run."""

import types

import skdropout


def _without_dropout(base, name):
    init = base.__init__
    fixed_init = types.FunctionType(init.__code__, init.__globals__, "__init__", init.__defaults__, init.__closure__)
    fixed_init.__kwdefaults__ = {**init.__kwdefaults__, "dropout": 0.0}
    return type(name, (base,), {"__init__": fixed_init, "__module__": __name__})


MLPClassifier = _without_dropout(skdropout.DropoutMLPClassifier, "MLPClassifier")
MLPRegressor = _without_dropout(skdropout.DropoutMLPRegressor, "MLPRegressor")

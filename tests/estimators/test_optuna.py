"""A study of Optuna over depth, widths and a rate per layer, pruned through partial_fit."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skdropout import DropoutMLPClassifier

optuna = pytest.importorskip("optuna")


def test_a_study_of_variable_depth_is_pruned():
    X, y = load_iris(return_X_y=True)

    def objective(trial):
        layers = range(trial.suggest_int("depth", 1, 2))
        clf = DropoutMLPClassifier(
            hidden_layer_sizes=tuple(trial.suggest_int(f"units_{i}", 4, 16) for i in layers),
            dropout=tuple(trial.suggest_float(f"dropout_{i}", 0, 0.9) for i in layers),
            random_state=0,
        )
        for epoch in range(8):
            clf.partial_fit(X[::2], y[::2], classes=np.unique(y))
            trial.report(clf.score(X[1::2], y[1::2]), epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        assert clf.dropout_ == (0.0, *clf.dropout)
        return clf.score(X[1::2], y[1::2])

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=2)
        sampler = optuna.samplers.TPESampler(seed=0)
        study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
        study.optimize(objective, n_trials=12)
    finally:
        optuna.logging.set_verbosity(verbosity)
    states = [trial.state.name for trial in study.trials]
    assert set(states) == {"COMPLETE", "PRUNED"}
    assert {trial.params["depth"] for trial in study.trials} == {1, 2}

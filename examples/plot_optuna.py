"""
=============================================
Depth, widths and rates tuned with Optuna
=============================================

A grid cannot search over the number of layers and a width and a rate for each. Optuna can, since what it asks for
next may depend on what it has drawn before. ``partial_fit`` trains one epoch a call, so that a trial whose validation
loss lags behind is *pruned* before it has cost much. Successive halving, the heart of Hyperband, lets only the better
third of the trials pass 4 and 12 epochs of 36; the tree-structured Parzen estimator (TPE) chooses where to look. Needs
Optuna: ``pip install optuna``.
"""

# %%
# The objective
# -------------
# A depth, then a width and a rate for each layer; after each epoch the log loss on rows held out.
import matplotlib.pyplot as plt
import numpy as np
import optuna
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skdropout import DropoutMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, train_size=800, stratify=y, random_state=0)
X_fit, X_val, y_fit, y_val = train_test_split(X_train, y_train, train_size=400, stratify=y_train, random_state=0)
n_trials, n_epochs = 30, 36


def network(params, random_state=0):
    """The network of a trial's parameters: sizes and rates as tuples, one entry per layer."""
    layers = range(params["depth"])
    return DropoutMLPClassifier(
        hidden_layer_sizes=tuple(params[f"units_{i}"] for i in layers),
        dropout=tuple(params[f"dropout_{i}"] for i in layers),
        learning_rate_init=params["learning_rate_init"],
        batch_size=32,
        dtype="float32",
        random_state=random_state,
    )


def objective(trial):
    for i in range(trial.suggest_int("depth", 1, 3)):
        trial.suggest_int(f"units_{i}", 16, 128, log=True)
        trial.suggest_float(f"dropout_{i}", 0.0, 0.7)
    trial.suggest_float("learning_rate_init", 5e-4, 2e-2, log=True)
    mlp = network(trial.params)
    for epoch in range(1, n_epochs + 1):
        mlp.partial_fit(X_fit, y_fit, classes=np.unique(y))
        loss = log_loss(y_val, mlp.predict_proba(X_val))
        trial.report(loss, epoch)
        if epoch < n_epochs and trial.should_prune():
            raise optuna.TrialPruned
    return loss


# %%
# The study
# ---------
# How many trials were pruned, and how many epochs that has saved.
optuna.logging.set_verbosity(optuna.logging.WARNING)
pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=4, reduction_factor=3)
study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner)
study.optimize(objective, n_trials=n_trials)
trials = {state: study.get_trials(states=[optuna.trial.TrialState[state]]) for state in ("PRUNED", "COMPLETE")}
spent = sum(max(trial.intermediate_values) for trial in study.trials)
print(f"{len(trials['PRUNED'])} of {len(study.trials)} trials pruned: {spent} epochs, not {n_trials * n_epochs}")
best = network(study.best_params)
print(f"best, validation log loss {study.best_value:.3f}: {best}")

# %%
# The least of many validation losses is lucky. Images held out have the last word, on the network trained anew on all
# 800 images with five seeds, and without dropout.
losses = {"tuned": [], "tuned, no dropout": []}
for seed in range(5):
    for name, params in zip(losses, ({}, {"dropout": 0.0}), strict=True):
        mlp = network(study.best_params, random_state=seed).set_params(**params)
        for _ in range(n_epochs):
            mlp.partial_fit(X_train, y_train, classes=np.unique(y))
        losses[name].append(log_loss(y_test, mlp.predict_proba(X_test)))
for name, values in losses.items():
    print(f"{name:17} test log loss {np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(5):.3f}")

# %%
fig, ax = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
for state, color, width in (("PRUNED", "C7", 0.8), ("COMPLETE", "C0", 1.5)):
    for i, trial in enumerate(trials[state]):
        curve = trial.intermediate_values
        label = f"{state.lower()} ({len(trials[state])})" if i == 0 else None
        ax.plot(curve.keys(), curve.values(), color=color, linewidth=width, label=label)
        ax.plot(max(curve), curve[max(curve)], "x" if state == "PRUNED" else ".", color=color)
curve = study.best_trial.intermediate_values
ax.plot(curve.keys(), curve.values(), color="C3", linewidth=2.5, label="best")
ax.set(xlabel="epoch", ylabel="validation log loss", yscale="log", title="Trials that lag behind are pruned")
ax.set_yticks(ticks := [0.2, 0.3, 0.5, 1, 2], ticks, minor=False)
ax.minorticks_off()
ax.legend()
plt.show()

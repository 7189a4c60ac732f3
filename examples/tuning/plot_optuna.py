"""
=========================================
Tune depth, widths and rates with Optuna
=========================================

A single grid cannot search over the number of layers and a width and a rate for each layer. Optuna can, because a
parameter may depend on parameters sampled before it. ``partial_fit`` trains one epoch per call, so that a trial with a
high validation loss can be *pruned* early. Successive halving continues only the best third of the trials after 4 and
12 of 36 epochs. The candidates are sampled by the tree-structured Parzen estimator (TPE). The example needs Optuna:
``pip install optuna``.
"""

# %%
# The objective: a depth, then a width and a rate for each layer, and the validation log loss after each epoch.
import matplotlib.pyplot as plt
import optuna
from scipy.stats import sem
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skdropout import DropoutMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, train_size=800, stratify=y, random_state=0)
X_fit, X_val, y_fit, y_val = train_test_split(X_train, y_train, train_size=400, stratify=y_train, random_state=0)
n_trials, n_epochs = 30, 36


def network(params):
    layers = range(params["depth"])
    sizes = tuple(params[f"units_{i}"] for i in layers)
    rates = tuple(params[f"dropout_{i}"] for i in layers)
    mlp = DropoutMLPClassifier(hidden_layer_sizes=sizes, dropout=rates, batch_size=32, dtype="float32", random_state=0)
    return mlp.set_params(learning_rate_init=params["learning_rate_init"])


def objective(trial):
    for i in range(trial.suggest_int("depth", 1, 3)):
        trial.suggest_int(f"units_{i}", 16, 128, log=True)
        trial.suggest_float(f"dropout_{i}", 0.0, 0.7)
    trial.suggest_float("learning_rate_init", 5e-4, 2e-2, log=True)
    mlp = network(trial.params)
    for epoch in range(1, n_epochs + 1):
        mlp.partial_fit(X_fit, y_fit, classes=range(10))
        loss = log_loss(y_val, mlp.predict_proba(X_val))
        trial.report(loss, epoch)
        if epoch < n_epochs and trial.should_prune():
            raise optuna.TrialPruned
    return loss


# %%
# The study: the number of pruned trials, and of epochs saved.
optuna.logging.set_verbosity(optuna.logging.WARNING)
pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=4, reduction_factor=3)
study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner)
study.optimize(objective, n_trials=n_trials)
n_pruned = len(study.get_trials(states=[optuna.trial.TrialState.PRUNED]))
print(f"{n_pruned} of {n_trials} pruned: {sum(t.last_step for t in study.trials)} epochs, not {n_trials * n_epochs}")
print(f"best, validation log loss {study.best_value:.3f}: {network(study.best_params)}")

# %%
# The lowest of many losses is optimistic. Test images evaluate the network, retrained five times, and without dropout.
for name, params in {"tuned": {}, "tuned, no dropout": {"dropout": 0.0}}.items():
    losses = []
    for seed in range(5):
        mlp = network(study.best_params).set_params(random_state=seed, **params)
        for _ in range(n_epochs):
            mlp.partial_fit(X_train, y_train, classes=range(10))
        losses.append(log_loss(y_test, mlp.predict_proba(X_test)))
    print(f"{name:17} test log loss {sum(losses) / 5:.3f} ± {sem(losses):.3f}")

# %%
# Pruned trials are gray, completed trials blue, and the best trial red.
fig, ax = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
for trial in study.trials:
    color = "C7" if trial.state.name == "PRUNED" else "C3" if trial == study.best_trial else "C0"
    ax.plot(trial.intermediate_values.keys(), trial.intermediate_values.values(), ".-", color=color)
ax.set(xlabel="epoch", ylabel="validation loss", ylim=(0.1, 1.2), title="Pruned trials in gray, best trial in red")
plt.show()

"""
========================================
Active learning with Monte Carlo dropout
========================================

Active learning chooses which images to label. Starting from twenty labeled digits, a network repeatedly selects the ten
images of the pool to label next. Monte Carlo dropout selects images for which each pass is confident but the passes
disagree. Their labels are the most informative about the weights (*mutual information*; Gal, Islam and Ghahramani,
2017, after Houlsby et al., 2011). This selection is compared with a random choice, and with the entropy of the mean
prediction, which also selects images that are merely ambiguous.
"""

# %%
# Half of the digits are the pool, half the test. ``predict_uncertainty`` gives both measures from the same passes.
import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdropout import DropoutMLPClassifier

X, y = load_digits(return_X_y=True)
n_seeds, n_labels = 5, np.arange(20, 181, 10)


def learn(rule, seed):
    """Return the test accuracies in % with 20, 30, ... labels."""
    pool, test, y_pool, y_test = train_test_split(X / 16, y, test_size=0.5, stratify=y, random_state=seed)
    mlp = DropoutMLPClassifier(hidden_layer_sizes=128, dropout=0.5, batch_size=20, learning_rate="cosine")
    mlp.set_params(learning_rate_init=0.005, max_iter=30, dtype="float32", random_state=seed)
    rng = np.random.RandomState(seed)
    labeled, accuracies = list(rng.permutation(len(pool))[:20]), []
    for _ in n_labels:
        accuracies.append(100 * mlp.fit(pool[labeled], y_pool[labeled]).score(test, y_test))
        if rule == "random":
            score = rng.uniform(size=len(pool))
        else:
            score = getattr(mlp.predict_uncertainty(pool, n_samples=20), rule)
        score[labeled] = -np.inf
        labeled += list(np.argsort(score)[-10:])
    return accuracies


# %%
# Five seeds, each with a different split, initial labels and network.
rules = {"random": "random", "predictive_entropy": "entropy", "mutual_information": "mutual information"}
runs = Parallel(n_jobs=2)(delayed(learn)(rule, seed) for rule in rules for seed in range(n_seeds))
accuracy = np.array(runs).reshape(len(rules), n_seeds, len(n_labels))
print("test accuracy in %, and paired gain over the random choice, mean ± standard error")
for name, values in zip(rules.values(), accuracy, strict=True):
    for i in (4, 10, 16):
        gain = (values - accuracy[0])[:, i]
        error = gain.std(ddof=1) / np.sqrt(n_seeds)
        print(f"{name:18} {n_labels[i]:3} labels: {values[:, i].mean():.1f}, gain {gain.mean():+.1f} ± {error:.1f}")
for name, mean in zip(rules.values(), accuracy.mean(axis=1), strict=True):
    print(f"{name:18} labels until 90 %: {n_labels[mean >= 90][0] if (mean >= 90).any() else 'more than 180'}")

# %%
# In the first two rounds both are worse than random: with two images per digit, the uncertainty is not informative yet.
# Later, 90 % accuracy takes about 120 labels instead of 150. Digits are rarely ambiguous, so the entropy works as well
# here.
fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for name, values, color in zip(rules.values(), accuracy, ("C7", "C0", "C3"), strict=True):
    mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(n_seeds)
    ax.fill_between(n_labels, mean - error, mean + error, color=color, alpha=0.2, linewidth=0)
    ax.plot(n_labels, mean, color=color, marker="o", markersize=4, label=name)
ax.set(
    xlabel="labeled images",
    ylabel="test accuracy, % (band: standard error)",
    title="Active learning: fewer labels for the same accuracy",
)
ax.legend(title="images selected by", loc="lower right")
plt.show()

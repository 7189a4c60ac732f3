"""
=====================================================
What dropout does to hidden units: sparse activations
=====================================================

With dropout, fewer hidden units are active at a time, and their activations are smaller (Srivastava et al., 2014,
section 7.2). A unit that cannot rely on other units must be useful on its own. Here the same network learns handwritten
digits with and without dropout, and ``ActivationSparsityDisplay`` shows the activations of its 200 hidden units at
prediction.
"""

# %%
# One hidden layer, half of the images.
import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skdropout import ActivationSparsityDisplay, DropoutMLPClassifier

# sphinx_gallery_thumbnail_number = 2
warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")  # intended
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.5, stratify=y, random_state=0)
training = {"hidden_layer_sizes": 200, "batch_size": 50, "dtype": "float32", "random_state": 0}
training |= {"max_iter": 200, "n_iter_no_change": 200}
nets = {f"dropout {rate:g}": DropoutMLPClassifier(dropout=rate, **training).fit(X_train, y_train) for rate in (0, 0.5)}

# %%
# Activations on test images: with dropout almost half of them are exactly 0, without dropout a quarter. With dropout
# their mean is half as large. The accuracy is the same.
ax = None
for name, net in nets.items():
    disp = ActivationSparsityDisplay.from_estimator(net, X_test, name=name, ax=ax)
    ax = disp.ax_
    print(f"{name:12} zeros {disp.share_of_zeros:.2f}, mean {disp.activations.mean():.2f}, ", end="")
    print(f"test accuracy {net.score(X_test, y_test):.3f}")
ax.set_title("Activations of 200 hidden units on test digits")
plt.show()

# %%
# The mean of each unit over the images: with dropout most means are smaller. In both networks about a tenth of the
# units is almost never active.
ax = None
for name, net in nets.items():
    ax = ActivationSparsityDisplay.from_estimator(net, X_test, kind="means", name=name, ax=ax).ax_
ax.set_title("Mean activation of each hidden unit on test digits")
plt.show()

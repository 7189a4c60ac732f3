"""Smoke test of an installed wheel, run outside the repository and without test tools."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris

import skdropout

package = Path(skdropout.__file__).parent
assert "site-packages" in package.parts, package
assert (package / "py.typed").exists()
X, y = load_iris(return_X_y=True)
clf = skdropout.DropoutMLPClassifier(dropout=0.1, max_iter=1000, random_state=0).fit(X, y)
assert clf.score(X, y) > 0.95, clf.score(X, y)
reg = skdropout.DropoutMLPRegressor(dropout=0.05, max_iter=500, random_state=0).fit(X, y)
assert reg.score(X, y) > 0.9, reg.score(X, y)
assert np.isfinite(clf.predict_log_proba(X)).all()
assert (reg.predict(X, return_std=True, dropout=0.05)[1] > 0).all()
assert clf.predict_uncertainty(X).proba.shape == (150, 3)
print(f"skdropout {skdropout.__version__} from {package} works")

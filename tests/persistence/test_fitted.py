"""The table of fitted attributes: one row is all that a new attribute needs."""

import copy
import pickle
import pickletools
import re
from numbers import Real

import numpy as np
import pytest
from helpers import HAVE_CALLBACKS, by_skops, classifier, regressor
from sklearn.base import clone

import skdropout
from skdropout import Checkpoint, EarlyStopping
from skdropout._base import BaseDropoutMLP
from skdropout._fit.history import History
from skdropout._fitted import FITTED, Attribute, having, required

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
rng = np.random.RandomState(0)
X = rng.normal(size=(40, 4))
LABELS = np.array(["a", "b"])[(X[:, 0] > 0).astype(int)]


@pytest.fixture
def add(monkeypatch):
    """Add a row for the private attribute ``_depth``, which fit then sets to the number of coefs_."""

    def add(**facts):
        finalize = BaseDropoutMLP._finalize

        def set_depth(self, plan):
            finalize(self, plan)
            self._depth = float(len(self.coefs_))

        monkeypatch.setitem(FITTED, "_depth", Attribute("_depth", **facts))
        monkeypatch.setattr(BaseDropoutMLP, "_finalize", set_depth)

    return add


COPIES = {
    "pickle": lambda clf: pickle.loads(pickle.dumps(clf)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "skops": by_skops,
}


@pytest.mark.parametrize("name", COPIES)
def test_a_new_attribute_is_copied(add, name):
    add()
    assert COPIES[name](classifier().fit(X, LABELS))._depth == 3


def test_a_new_attribute_is_forgotten_by_the_next_fit(add, monkeypatch):
    add()
    clf = classifier().fit(X, LABELS)
    assert "_depth" in clf._fitted()
    assert not hasattr(clone(clf), "_depth")
    monkeypatch.undo()
    monkeypatch.setitem(FITTED, "_depth", Attribute("_depth"))
    assert not hasattr(clf.fit(X, LABELS), "_depth")


def test_a_new_attribute_is_saved_with_the_weights(add, tmp_path):
    add(npz=True)
    clf = classifier().fit(X, LABELS)
    clf.save_weights(tmp_path / "weights.npz")
    assert classifier().load_weights(tmp_path / "weights.npz")._depth == 3


@pytest.mark.skipif(not HAVE_CALLBACKS, reason="callbacks need scikit-learn 1.9")
def test_a_new_attribute_is_in_checkpoints_and_is_checked(add, tmp_path, monkeypatch):
    add(schema=Real)
    classifier().set_callbacks(Checkpoint(tmp_path / "a.ckpt")).fit(X, LABELS)
    assert Checkpoint.load(tmp_path / "a.ckpt")._depth == 3
    monkeypatch.setitem(FITTED, "_depth", Attribute("_depth", schema=str))
    with pytest.raises(ValueError, match="_depth is not as expected"):
        Checkpoint.load(tmp_path / "a.ckpt")


def test_a_new_attribute_that_scikit_learn_has_is_converted(add):
    add(sklearn=True)
    assert classifier().fit(X, LABELS).to_sklearn()._depth == 3


def test_a_pickle_without_a_required_attribute_is_refused(add, monkeypatch):
    data = pickle.dumps(classifier().fit(X, LABELS))
    add(required="classifier")
    monkeypatch.setattr(skdropout._persistence.pickling, "__version__", "0.2.0")
    with pytest.raises(ValueError, match=r"fitted by skdropout .*, without _depth, which 0\.2\.0 needs"):
        pickle.loads(data)


def test_a_new_attribute_of_streams_is_pickled_after_partial_fit_only(add):
    add(stream=True)
    clf = classifier().fit(X, LABELS)
    assert not hasattr(COPIES["pickle"](clf), "_depth")
    assert COPIES["pickle"](clf.partial_fit(X, LABELS))._depth == 3


def test_a_new_stochastic_attribute_is_not_kept_by_lbfgs(add, monkeypatch):
    add(stochastic=True)
    clf = classifier(warm_start=True, dropout=0).fit(X, LABELS)
    monkeypatch.undo()
    monkeypatch.setitem(FITTED, "_depth", Attribute("_depth", stochastic=True))
    assert not hasattr(clf.set_params(solver="lbfgs").fit(X, LABELS), "_depth")


def test_a_new_curve_is_published_and_resumed(monkeypatch, tmp_path):
    add_epoch, init = History.add_epoch, History.__init__

    def start(self, plan, *args, **kwargs):
        init(self, plan, *args, **kwargs)
        self.square_curve_ = []

    def square(self, loss):
        add_epoch(self, loss)
        self.square_curve_.append(loss**2)

    monkeypatch.setattr(History, "__init__", start)
    monkeypatch.setattr(History, "add_epoch", square)
    monkeypatch.setitem(FITTED, "square_curve_", Attribute("square_curve_", list, history=True, npz=True))
    reg = regressor().fit(X, X[:, 0])
    assert reg.square_curve_ == [loss**2 for loss in reg.loss_curve_]
    reg.save_weights(tmp_path / "weights.npz")
    assert regressor().load_weights(tmp_path / "weights.npz").square_curve_ == reg.square_curve_


def test_every_attribute_that_fit_leaves_is_in_the_table():
    """Public names count as fitted by scikit-learn's convention, but the table must have them too."""
    left = set()
    for clf in (
        classifier(batch_norm="before_activation", early_stopping=True, class_weight="balanced").fit(X, LABELS),
        regressor().fit(X, X[:, 0]).partial_fit(X, X[:, 0]),
    ):
        left |= clf._fitted()
        assert not {name for name in vars(clf) if name.startswith("_")} - left - {"_skl_callbacks"}
    assert left <= FITTED.keys()
    assert FITTED.keys() - left == {"_learning_rate", "feature_names_in_"}


def test_facts_of_the_table():
    assert set(having("history")) >= {"loss_curve_", "n_iter_", "dropout_"}
    assert set(required("regressor")) - set(required("classifier")) == {"noise_variance_"}


FITS = {
    "classifier": lambda: classifier(batch_norm="before_activation", early_stopping=True).fit(X, LABELS),
    "regressor": lambda: regressor(noise_variance=1.0).fit(X, X[:, 0]),
    "stream": lambda: regressor().partial_fit(X, X[:, 0]).partial_fit(X, X[:, 0]),
    "lbfgs": lambda: classifier(solver="lbfgs", dropout=0).fit(X, LABELS),
}


@pytest.mark.parametrize("name", FITS)
def test_pickles_name_only_public_modules(name):
    model = FITS[name]()
    if HAVE_CALLBACKS:
        model.set_callbacks(EarlyStopping(X, X[:, 0]), Checkpoint("a.ckpt"))
    strings = [arg for _, arg, _ in pickletools.genops(pickle.dumps(model)) if isinstance(arg, str)]
    assert {text for text in strings if re.match(r"skdropout\b", text)} == {"skdropout"}


@pytest.mark.parametrize("name", FITS)
def test_skops_files_name_only_public_classes(name):
    skops_io = pytest.importorskip("skops.io")
    types = skops_io.get_untrusted_types(data=skops_io.dumps(FITS[name]()))
    assert [t for t in types if t.startswith("skdropout")] in (
        ["skdropout.DropoutMLPClassifier"],
        ["skdropout.DropoutMLPRegressor"],
    )

"""The table of fitted attributes: a new attribute needs only one row."""

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
from skdropout._fitted import FITTED, Attribute, attributes_with, required_attributes

rng = np.random.RandomState(0)
X = rng.normal(size=(40, 4))
LABELS = np.array(["a", "b"])[(X[:, 0] > 0).astype(int)]


@pytest.fixture
def add_attribute(monkeypatch):
    """Add a row for the private attribute ``_depth``, which fit sets to the number of weight matrices."""

    def add_row(**fields):
        finalize = BaseDropoutMLP._finalize

        def set_depth(self, plan):
            finalize(self, plan)
            self._depth = float(len(self.coefs_))

        monkeypatch.setitem(FITTED, "_depth", Attribute("_depth", **fields))
        monkeypatch.setattr(BaseDropoutMLP, "_finalize", set_depth)

    return add_row


COPIES = {
    "pickle": lambda clf: pickle.loads(pickle.dumps(clf)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "skops": by_skops,
}


@pytest.mark.parametrize("name", COPIES)
def test_new_attribute_is_copied(add_attribute, name):
    add_attribute()
    assert COPIES[name](classifier().fit(X, LABELS))._depth == 3


def test_new_attribute_is_reset_by_next_fit(add_attribute, monkeypatch):
    add_attribute()
    clf = classifier().fit(X, LABELS)
    assert "_depth" in clf._fitted_names()
    assert not hasattr(clone(clf), "_depth")
    monkeypatch.undo()
    monkeypatch.setitem(FITTED, "_depth", Attribute("_depth"))
    assert not hasattr(clf.fit(X, LABELS), "_depth")


def test_new_attribute_is_saved_with_weights(add_attribute, tmp_path):
    add_attribute(npz=True)
    clf = classifier().fit(X, LABELS)
    clf.save_weights(tmp_path / "weights.npz")
    assert classifier().load_weights(tmp_path / "weights.npz")._depth == 3


@pytest.mark.skipif(not HAVE_CALLBACKS, reason="callbacks need scikit-learn 1.9")
def test_new_attribute_is_in_checkpoints_and_checked(add_attribute, tmp_path, monkeypatch):
    add_attribute(schema=Real)
    classifier().set_callbacks(Checkpoint(tmp_path / "a.ckpt")).fit(X, LABELS)
    assert Checkpoint.load(tmp_path / "a.ckpt")._depth == 3
    monkeypatch.setitem(FITTED, "_depth", Attribute("_depth", schema=str))
    with pytest.raises(ValueError, match="_depth is not as expected"):
        Checkpoint.load(tmp_path / "a.ckpt")


def test_new_attribute_is_converted_to_sklearn(add_attribute):
    add_attribute(sklearn=True)
    assert classifier().fit(X, LABELS).to_sklearn()._depth == 3


def test_pickle_without_required_attribute_raises(add_attribute, monkeypatch):
    data = pickle.dumps(classifier().fit(X, LABELS))
    add_attribute(required="classifier")
    monkeypatch.setattr(skdropout._persistence.pickling, "__version__", "0.2.0")
    with pytest.raises(ValueError, match=r"fitted by skdropout .*, without _depth, which 0\.2\.0 needs"):
        pickle.loads(data)


def test_new_stream_attribute_is_pickled_only_after_partial_fit(add_attribute):
    add_attribute(partial_fit_only=True)
    clf = classifier().fit(X, LABELS)
    assert not hasattr(COPIES["pickle"](clf), "_depth")
    assert COPIES["pickle"](clf.partial_fit(X, LABELS))._depth == 3


def test_new_stochastic_attribute_is_not_kept_by_lbfgs(add_attribute, monkeypatch):
    add_attribute(stochastic=True)
    clf = classifier(warm_start=True, dropout=0).fit(X, LABELS)
    monkeypatch.undo()
    monkeypatch.setitem(FITTED, "_depth", Attribute("_depth", stochastic=True))
    assert not hasattr(clf.set_params(solver="lbfgs").fit(X, LABELS), "_depth")


def test_new_curve_is_published_and_saved(monkeypatch, tmp_path):
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


def test_all_fitted_attributes_are_in_table():
    """Public attributes count as fitted by scikit-learn's convention, but the table must have them, too."""
    names = set()
    for clf in (
        classifier(batch_norm="before_activation", early_stopping=True, class_weight="balanced").fit(X, LABELS),
        regressor().fit(X, X[:, 0]).partial_fit(X, X[:, 0]),
    ):
        names |= clf._fitted_names()
        assert not {name for name in vars(clf) if name.startswith("_")} - names - {"_skl_callbacks"}
    assert names <= FITTED.keys()
    assert FITTED.keys() - names == {"_learning_rate", "feature_names_in_"}


def test_table_columns():
    assert set(attributes_with("history")) >= {"loss_curve_", "n_iter_", "dropout_"}
    assert set(required_attributes("regressor")) - set(required_attributes("classifier")) == {"noise_variance_"}


FITS = {
    "classifier": lambda: classifier(batch_norm="before_activation", early_stopping=True).fit(X, LABELS),
    "regressor": lambda: regressor(noise_variance=1.0).fit(X, X[:, 0]),
    "calibrated": lambda: regressor(early_stopping=True).fit(X, X[:, :2], np.arange(40) % 3),
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

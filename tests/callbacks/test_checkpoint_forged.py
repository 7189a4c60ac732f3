"""A checkpoint holds plain data: reading it runs no code, even if the file was forged."""

import json
import math
import os
import pickle
import random
import re
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from forgery import body, content, fingerprint_hash, item_paths, replaced, sealed, write
from helpers import needs_callbacks
from resumable import FITS, digit_names, digits, fitted_state, images, make, patients, progression
from sklearn.metrics import accuracy_score, make_scorer
from test_checkpoint import FailAfter, Other, PowerFailure, mlp

from skdropout import Checkpoint, DropoutMLPClassifier, DropoutMLPRegressor, EarlyStopping
from skdropout._codec import LENGTH

pytestmark = needs_callbacks
OLD = b"skdropout checkpoint 1\n"


class Payload:
    """Create a file when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (Path(self.trace),)


@pytest.fixture
def path(tmp_path):
    """Return the path of the checkpoint of an interrupted fit."""
    fit(tmp_path / "mlp.ckpt", FailAfter(3))
    return tmp_path / "mlp.ckpt"


@pytest.fixture
def trace(tmp_path):
    return tmp_path / "trace"


@pytest.fixture
def payload(trace):
    """Return a pickle that runs code when it is loaded, and verify that it does."""
    payload = pickle.dumps(Payload(trace))
    pickle.loads(payload)
    assert trace.exists()
    trace.unlink()
    return payload


def fit(path, *callbacks, estimator=None):
    """Fit a few rows, with a callback that has its own state."""
    estimator = mlp(early_stopping=True, n_iter_no_change=9) if estimator is None else estimator
    stopping = EarlyStopping(images[:60], digits[:60], n_iter_no_change=9)
    try:
        return estimator.set_callbacks(stopping, Checkpoint(path), *callbacks).fit(images[:100], digits[:100])
    except PowerFailure:
        return None


def assert_rejected(path, match=None):
    """Check that all readers reject a file."""
    for read in Checkpoint.load, fit, lambda path: Checkpoint.load(path, mlp()):
        with pytest.raises(ValueError, match=match):
            read(path)


def read_or_value_error(path):
    """Run both readers, which may raise only ValueError; return how many of them succeed."""
    n_read = 0
    for read in Checkpoint.load, fit:
        try:
            read(path)
            n_read += 1
        except ValueError:
            pass
    return n_read


# Pickles


def test_pickle_instead_of_a_checkpoint_is_rejected_and_not_executed(path, payload, trace):
    estimator_and_payload = pickle.dumps((mlp(), Payload(trace)))
    for data in payload, estimator_and_payload, b"".join([b"\x80\x05", path.read_bytes()]):
        path.write_bytes(data)
        assert_rejected(path, r"mlp\.ckpt' is not a checkpoint of this release of skdropout: it begins with ")
    joblib.dump(Payload(trace), path)
    assert_rejected(path, "is not a checkpoint of this release")
    assert not trace.exists()


def test_previous_format_is_rejected_and_not_executed(path, payload, trace):
    path.write_bytes(sealed(payload, fingerprint_hash(path), OLD))
    text = r"mlp\.ckpt' is not a checkpoint of this release .*, but of an older one: a pickle, .* and is not read\."
    with pytest.raises(ValueError, match=rf"{text} Delete it to start from scratch, or pass Checkpoint another"):
        fit(path)
    with pytest.raises(ValueError, match=rf"{text} Load it with that release, and call save_weights there\."):
        Checkpoint.load(path)
    assert not trace.exists()


def test_pickle_with_a_correct_checksum_is_rejected_and_not_executed(path, payload, trace):
    for forged in payload, body(path) + payload, LENGTH.pack(len(payload)) + payload, payload + body(path):
        path.write_bytes(sealed(forged, fingerprint_hash(path)))
        assert_rejected(path, r"The checkpoint '.*mlp\.ckpt' is damaged")
    assert not trace.exists()


def test_pickle_at_any_position_is_not_executed(path, payload, trace):
    """Overwrite bytes of the JSON, of the arrays, and at the boundary between them."""
    whole = body(path)
    (length,) = LENGTH.unpack(whole[: LENGTH.size])
    rng = random.Random(0)
    for at in [*range(LENGTH.size + 1), length, length + LENGTH.size, *rng.choices(range(len(whole)), k=20)]:
        path.write_bytes(sealed(whole[:at] + payload + whole[at + len(payload) :], fingerprint_hash(path)))
        read_or_value_error(path)
    path.write_bytes(payload + path.read_bytes()[len(payload) :])
    assert_rejected(path)
    assert not trace.exists()


def test_pickle_in_place_of_any_array_is_not_executed(path, payload, trace):
    """Put the pickle at the start of the data, with dtype object, which NumPy writes as a pickle, or bytes."""
    whole = body(path)
    (length,) = LENGTH.unpack(whole[: LENGTH.size])
    text, data = whole[LENGTH.size : LENGTH.size + length].decode(), whole[LENGTH.size + length :]
    places, at = list(re.finditer(r'\["([<|]\w+)",(\[[\d,]*\]),"[CF]"\]', text)), 0
    for place in places:
        planted = data[:at] + payload + data[at + len(payload) :]
        for dtype, shape in ("|O", [1]), ("|V8", [1]), (f"|S{len(payload)}", []):
            forged = f'{text[: place.start()]}["{dtype}",{shape},"C"]{text[place.end() :]}'.encode()
            path.write_bytes(sealed(LENGTH.pack(len(forged)) + forged + planted, fingerprint_hash(path)))
            read_or_value_error(path)
        path.write_bytes(sealed(whole[: LENGTH.size + length] + planted, fingerprint_hash(path)))
        read_or_value_error(path)
        at += np.dtype(place[1]).itemsize * math.prod(json.loads(place[2]))
    assert at == len(data)
    assert len(places) > 10
    assert not trace.exists()


def test_pickle_in_place_of_any_value_is_not_executed(path, payload, trace):
    whole = content(path)
    places = list(item_paths(whole))
    rng = random.Random(0)
    for place in rng.sample(places, 20):
        for value in payload, np.array(payload), payload.decode("latin1"):
            write(path, replaced(whole, place, value))
            read_or_value_error(path)
    assert not trace.exists()


AUDITED = """
import sys
from pathlib import Path
from test_checkpoint_forged import Checkpoint, fit, pickle

events = []
audited = {"pickle.find_class", "exec", "os.system", "subprocess.Popen"}
fit(Path(sys.argv[1]).with_name("first.ckpt"))  # all imports happen here
sys.addaudithook(lambda event, args: events.append(event) if event in audited else None)
Checkpoint.load(sys.argv[1])
for _ in "interrupted", "finished":
    fit(sys.argv[1])
assert not events, events
pickle.loads(pickle.dumps(Path.touch))
print(events)
"""


def test_nothing_is_unpickled_or_executed(path):
    """Audit hooks report every class and function that an unpickler looks up."""
    command = [sys.executable, "-W", "ignore", "-c", AUDITED, str(path)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert "pickle.find_class" in result.stdout


# Names


@pytest.mark.parametrize("name", ["os.system", "system", "Checkpoint", "EarlyStopping", "builtins.eval", "object", ""])
def test_only_the_two_estimators_are_created_from_a_class_name(path, name):
    write(path, content(path) | {"class": name})
    with pytest.raises(
        ValueError, match=r"is of an estimator with the class .*: Checkpoint\.load\(path, estimator\)\."
    ):
        Checkpoint.load(path)
    assert isinstance(Checkpoint.load(path, mlp()), DropoutMLPClassifier)


def test_fit_takes_class_and_parameters_from_the_estimator(path):
    """The class and the parameters in the file are ignored."""
    whole = content(path)
    write(path, whole | {"class": "Nonsense", "params": {"hidden_layer_sizes": 7}, "texts": {"solver": "\x1b[2J"}})
    assert fitted_state(fit(path)) == fitted_state(fit(path.with_name("new.ckpt")))


@pytest.mark.parametrize("name", ["predict", "_skl_callbacks", "_optimizer", "__class__", "alpha", "__reduce__", 1])
def test_file_sets_only_fitted_attributes(path, name):
    whole = content(path)
    write(path, replaced(whole, ("state",), whole["state"] | {name: 1}))
    assert_rejected(path, "is damaged")


@pytest.mark.parametrize("name", ["system", "__init__", "self"])
def test_unknown_parameters_are_rejected(path, name):
    whole = content(path)
    write(path, replaced(whole, ("params",), whole["params"] | {name: 1}))
    with pytest.raises(
        ValueError, match=rf"with parameters that this release does not have: {name}\. Install that rel"
    ):
        Checkpoint.load(path)


def test_messages_escape_text_from_the_file(path):
    forged = content(path) | {"texts": {"alpha": "\x1b[2J", "beta_1": "\u202e"}, "class": "\x1b[2J"}
    write(path, replaced(forged, ("training", "fingerprint"), forged["training"]["fingerprint"] | {"\x1b[2J": ""}))
    for read in Checkpoint.load, lambda path: fit(path, estimator=mlp(alpha=0.5, beta_1=0.5)):
        with pytest.raises(ValueError, match="alpha") as error:
            read(path)
        assert str(error.value).isprintable()


# Damage


@pytest.mark.parametrize("name", ["batch norm before, early stopping", "lbfgs", "sparse, two labels", "a RandomState"])
@pytest.mark.parametrize("n_epochs", [3, None])
def test_random_changes_raise_only_value_errors(tmp_path, name, n_epochs):
    path, rng = tmp_path / "mlp.ckpt", random.Random(name)

    def fit(*callbacks):
        estimator, X, y, kwargs = make(name)
        return estimator.set_params(max_iter=5).set_callbacks(Checkpoint(path), *callbacks).fit(X, y, **kwargs)

    if n_epochs:
        with pytest.raises(PowerFailure):
            fit(FailAfter(n_epochs))
    else:
        fit()
    whole, plain, hash_of_fit = body(path), content(path), fingerprint_hash(path)
    (length,) = LENGTH.unpack(whole[: LENGTH.size])
    junk = [None, True, "x", -1, 10**30, float("nan"), 0.5, [], (), {}, np.zeros(3), np.array("a"), b"x", [(1, "a")]]
    places, n_read = list(item_paths(plain)), 0
    for i in range(24):
        if i % 2:
            at = rng.randrange(LENGTH.size + length)
            damaged = sealed(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :], hash_of_fit)
        else:
            write(path, replaced(plain, rng.choice(places), rng.choice(junk)))
            damaged = path.read_bytes()
        for read in lambda: Checkpoint.load(path), fit:
            path.write_bytes(damaged)
            try:
                read()
                n_read += 1
            except ValueError:
                pass
    assert n_read < 48


def test_forged_number_of_epochs_is_rejected(path):
    write(path, replaced(content(path), ("state", "n_iter_"), 10**12))
    with pytest.raises(ValueError, match=r"is damaged .*1000000000000 epochs of 6"):
        fit(path)


def test_curve_that_is_not_a_list_is_rejected(path):
    whole = content(path)
    for name in "loss_curve_", "validation_scores_", "dropout_curve_":
        write(path, replaced(whole, ("state", name), tuple(whole["state"][name])))
        assert_rejected(path, rf"is damaged \(ValueError: {name} is not as expected")


def test_invalid_position_of_the_random_state_is_rejected(path):
    whole = content(path)
    for name in "initial_random_state", "random_state":
        state = whole["training"][name]
        write(path, replaced(whole, ("training", name), (*state[:2], 10**6, *state[3:])))
        assert_rejected(path, r"is damaged .*not the state of a random stream: 'MT19937' at position 1000000")


def test_hash_in_the_header_must_match_the_fingerprint(path):
    path.write_bytes(sealed(body(path), b"0" * 32))
    assert_rejected(path, "is damaged .*the hash of the fingerprint")


# Loading


def half(t):
    return 0.5 + 0.5 * t


def assert_same_state(loaded, estimator):
    expected, state = fitted_state(estimator), fitted_state(loaded)
    assert {name: state[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"dropout_schedule": half}, r"dropout_schedule=<function half at \w+>"),
        (
            {"scoring": make_scorer(accuracy_score), "early_stopping": True},
            r"scoring=make_scorer\(accuracy_score, .*\)",
        ),
    ],
    ids=["function", "scorer"],
)
def test_parameters_that_are_not_plain_data_come_from_the_estimator(tmp_path, params, text):
    path, estimator = tmp_path / "mlp.ckpt", mlp(**params)
    estimator.set_callbacks(Checkpoint(path)).fit(images, digits)
    with pytest.raises(
        ValueError,
        match=rf"mlp\.ckpt' is of an estimator with {text}, but the file .*: Checkpoint\.load\(path, estimator\)",
    ):
        Checkpoint.load(path)
    given = mlp(**params)
    loaded = Checkpoint.load(path, given)
    assert_same_state(loaded, estimator)
    assert not given._fitted_names()
    with pytest.raises(ValueError, match=r"differs in dropout_schedule \(.* there, .* here\)"):
        mlp(**params | {"dropout_schedule": "curriculum"}).set_callbacks(Checkpoint(path)).fit(images, digits)


def test_subclass_comes_from_the_estimator(tmp_path):
    path = tmp_path / "mlp.ckpt"
    estimator = Other(12, max_iter=3, random_state=0).set_callbacks(Checkpoint(path)).fit(images, digits)
    with pytest.raises(ValueError, match=r"the class test_checkpoint\.Other, but the file contains"):
        Checkpoint.load(path)
    loaded = Checkpoint.load(path, Other(12, random_state=0))
    assert type(loaded) is Other
    assert_same_state(loaded, estimator)


def test_estimator_must_match_the_file(path):
    with pytest.raises(
        ValueError, match=r"does not match this DropoutMLPClassifier with hidden_layer_sizes=\(7,\): call "
    ):
        Checkpoint.load(path, DropoutMLPClassifier(7))
    with pytest.raises(ValueError, match="with activation='tanh'"):
        Checkpoint.load(path, mlp(activation="tanh"))
    with pytest.raises(
        ValueError, match=r"is of the class DropoutMLPClassifier: pass such an estimator, got DropoutMLPR"
    ):
        Checkpoint.load(path, DropoutMLPRegressor(hidden_layer_sizes=12))
    with pytest.raises(TypeError, match="must be a DropoutMLPClassifier or a DropoutMLPRegressor, got <class"):
        Checkpoint.load(path, DropoutMLPClassifier)
    with pytest.raises(ValueError, match="'alpha' parameter"):
        Checkpoint.load(path, mlp(alpha=-1))


def test_optimizer_is_loaded_only_for_a_compatible_solver(tmp_path):
    path = tmp_path / "mlp.ckpt"
    stream = mlp().set_callbacks(Checkpoint(path)).partial_fit(images, digits, classes=range(10))
    stream.partial_fit(images, digits)
    loaded = Checkpoint.load(path, mlp(max_iter=9, verbose=True))
    assert loaded.max_iter == 9
    stream.set_callbacks().partial_fit(images, digits)
    loaded.set_params(verbose=False).partial_fit(images, digits)
    assert fitted_state(loaded) == fitted_state(stream)
    assert Checkpoint.load(path, mlp(solver="adamw"))._optimizer.t > 0
    for solver in "sgd", "lbfgs":
        assert not hasattr(Checkpoint.load(path, mlp(solver=solver)), "_optimizer")


def test_random_state_of_a_given_estimator_continues(tmp_path):
    path, stream = tmp_path / "mlp.ckpt", mlp(random_state=np.random.RandomState(4))
    stream.set_callbacks(Checkpoint(path)).partial_fit(images, digits, classes=range(10))
    given = mlp(random_state=np.random.RandomState(4))
    loaded = [Checkpoint.load(path), Checkpoint.load(path, given)]
    stream.set_callbacks().partial_fit(images, digits)
    for estimator in loaded:
        assert fitted_state(estimator.partial_fit(images, digits)) == fitted_state(stream)
    assert given.random_state.randint(1000) == np.random.RandomState(4).randint(1000)


PARAMS = {
    "dtype class": {"dtype": np.float32},
    "names": {"dtype": "float32", "activation": ["tanh"], "dropout_kind": ("gaussian",)},
    "scalars": {"hidden_layer_sizes": np.int64(12), "alpha": np.float32(1e-4), "max_iter": np.int16(3)},
    "arrays": {
        "hidden_layer_sizes": np.array([12]),
        "dropout": [np.float64(0.1)],
        "input_dropout": 0.1,
        "input_groups": np.arange(64) // 8,
    },
    "dict": {"class_weight": {i: np.float64(1 + i / 10) for i in np.arange(10)}},
}


@pytest.mark.parametrize("name", PARAMS)
def test_plain_parameters_round_trip(tmp_path, name):
    estimator = mlp(max_iter=3).set_params(**PARAMS[name])
    estimator.set_callbacks(Checkpoint(tmp_path / "mlp.ckpt")).fit(images, digits)
    loaded = Checkpoint.load(tmp_path / "mlp.ckpt")
    for key, value in estimator.get_params().items():
        assert type(loaded.get_params()[key]) is type(value)
        np.testing.assert_equal(loaded.get_params()[key], value)
    assert_same_state(loaded, estimator)


LABELS = {
    "text": digit_names,
    "objects": digit_names.astype(object),
    "bool": digits > 4,
    "float": digits / 1.0,
    "uint8": digits.astype(np.uint8),
    "big-endian": digits.astype(">i4"),
    "one class": np.ones(300, int),
    "dates": np.datetime64("2026-01-01") + digits,
    "multilabel": np.column_stack([digits > 2, digits > 5, digits % 2]).astype(int),
}


@pytest.mark.parametrize("name", LABELS)
def test_all_types_of_labels_round_trip(tmp_path, name):
    y, path = LABELS[name], tmp_path / "mlp.ckpt"
    whole = mlp(max_iter=4).fit(images, y)
    with pytest.raises(PowerFailure):
        mlp(max_iter=4).set_callbacks(Checkpoint(path), FailAfter(2)).fit(images, y)
    assert fitted_state(mlp(max_iter=4).set_callbacks(Checkpoint(path)).fit(images, y)) == fitted_state(whole)
    loaded = Checkpoint.load(path)
    assert_same_state(loaded, whole)
    assert vars(loaded._label_binarizer).keys() == vars(whole._label_binarizer).keys()
    assert loaded.predict(images).dtype == whole.predict(images).dtype
    np.testing.assert_array_equal(loaded.predict(images), whole.predict(images))


def test_fitted_attributes_that_are_not_plain_data_fail_before_training(tmp_path):
    estimator = mlp(max_iter=1, warm_start=True).fit(images, digits)
    estimator.scaler_, before = [object()], fitted_state(estimator)["coefs_"]
    estimator.set_callbacks(FailAfter(1), Checkpoint(tmp_path / "mlp.ckpt"))
    with pytest.raises(
        ValueError, match=r"^Checkpoint cannot save scaler_\[0\]=<object .*>, which is of type object and not "
    ):
        estimator.fit(images, digits)
    assert fitted_state(estimator)["coefs_"] == before


def test_column_names_round_trip(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(patients).add_prefix("x")
    mlp = DropoutMLPRegressor(hidden_layer_sizes=5, max_iter=2, random_state=0)
    mlp.set_callbacks(Checkpoint(tmp_path / "mlp.ckpt")).fit(frame, progression)
    loaded = Checkpoint.load(tmp_path / "mlp.ckpt")
    assert loaded.feature_names_in_.dtype == object
    assert loaded.feature_names_in_.tolist() == frame.columns.tolist()


def test_file_of_a_newer_release_warns(path):
    write(path, content(path) | {"skdropout": "99.0"})
    with pytest.warns(UserWarning, match=r"was saved by skdropout 99\.0, but"):
        Checkpoint.load(path)


def test_every_fit_is_written_as_plain_data(tmp_path):
    """Reading a file and writing it again gives the same bytes."""
    for name in FITS:
        path = tmp_path / "mlp.ckpt"
        estimator, X, y, kwargs = make(name)
        np.random.seed(7)
        estimator.set_params(max_iter=2).set_callbacks(Checkpoint(path)).fit(X, y, **kwargs)
        before = path.read_bytes()
        write(path, content(path))
        assert path.read_bytes() == before
        path.unlink()

"""Encoding without pickle restores types and bits and raises for other values."""

import json
import math
import struct
from collections import OrderedDict
from decimal import Decimal
from enum import IntEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.preprocessing import LabelBinarizer

from skdropout._codec import LENGTH, NotSerializable, SequenceOf, check, check_stream_state, decode, encode


def roundtrip(value):
    return decode(b"".join(map(bytes, encode(value))))


def identical(a, b):
    """Return whether nested values have the same types and bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        same = (a.shape, a.dtype, a.flags.f_contiguous) == (b.shape, b.dtype, b.flags.f_contiguous)
        return same and (identical(a.tolist(), b.tolist()) if a.dtype == object else a.tobytes() == b.tobytes())
    if isinstance(a, float) and not isinstance(a, np.generic):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, dict):
        return identical(list(a.items()), list(b.items()))
    if isinstance(a, np.random.RandomState):
        return identical(a.get_state(legacy=False), b.get_state(legacy=False))
    if isinstance(a, LabelBinarizer):
        return identical(vars(a), vars(b))
    return a == b


NAN_WITH_SIGN_AND_PAYLOAD = struct.unpack("<d", bytes.fromhex("efbeadde0000f8ff"))[0]
VALUES = {
    "numbers": [None, True, False, 0, -1, 2**63, -(2**100), 0.1, -0.0, 5e-324, 1e308],
    "floats without JSON": [math.inf, -math.inf, math.nan, NAN_WITH_SIGN_AND_PAYLOAD, "not only floats"],
    "curve": [0.1, -0.0, math.inf, NAN_WITH_SIGN_AND_PAYLOAD],
    "curve of tuples": [(0.1, -0.0), (math.nan, 1e-320)],
    "tuples of different lengths": [(0.1,), (0.1, 0.2)],
    "float and int": [0.5, 1],
    "text": ["", "ä\0\n\x1b", "\ud800", "float", b"", b"\x80\x04."],
    "containers": ([], (), {}, [[]], ([1], (2, [()])), {"a": {"b": []}}),
    "keys": {1: 1, "1": 2, 1.5: 3, (1, "x"): 4, None: 5, np.int64(7): 6, np.str_("s"): 7, b"b": 8},
    "types in JSON": {"float": "0", "array": ["<f8", [1], "C"], "tuple": []},
    "scalars": [np.float32(0.1), np.float64(-0.0), np.int8(-1), np.uint64(2**64 - 1), np.bool_(True), np.complex64(1j)],
    "more scalars": [
        np.str_(""),
        np.str_("a\0"),
        np.bytes_(b""),
        np.datetime64("2026-01-01"),
        np.timedelta64(3, "25s"),
    ],
    "arrays": [np.arange(6.0).reshape(2, 3), np.zeros((0, 3), np.float32), np.array(2.5), np.zeros((2, 0, 2), bool)],
    "memory orders": [np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(12.0)[::3].copy()],
    "other byte order": np.arange(3, dtype=">i2"),
    "text in arrays": [np.array(["a", "äöü"]), np.array([b"a", b""]), np.array([], dtype=str)],
    "dates": np.array(["2026-01-01", "NaT"], dtype="datetime64[ns]"),
    "objects": [np.array(["a", 1, 1.5, None, True], dtype=object), np.empty((2, 0), dtype=object)],
    "dtypes": [np.float32, np.float64, np.dtype("float32"), float],
    "random states": [np.random.RandomState(1), np.random.RandomState(np.random.PCG64(1))],
    "more random states": [np.random.RandomState(getattr(np.random, name)(3)) for name in ("Philox", "SFC64")],
    "stream states": (np.random.RandomState(1).get_state(), np.random.SFC64(1).state),
    "binarizers": [LabelBinarizer().fit(y) for y in ([2, 0, 1], ["a", "b"], np.eye(3, dtype=int))],
}


@pytest.mark.parametrize("name", VALUES)
def test_roundtrip_restores_types_and_bits(name):
    assert identical(roundtrip(VALUES[name]), VALUES[name])


def test_decoded_arrays_are_writable_and_own_memory():
    a = roundtrip({"a": np.arange(3.0)})["a"]
    a += 1
    assert a.flags.owndata
    assert a.tolist() == [1, 2, 3]
    transposed = roundtrip(np.arange(12.0).reshape(3, 4)[:, ::2])
    np.testing.assert_array_equal(transposed, [[0, 2], [4, 6], [8, 10]])


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | npst.arrays(float, (2, 3))
    | npst.from_dtype(np.dtype("f4")) | npst.arrays(npst.integer_dtypes(endianness="?"), npst.array_shapes(min_side=0))
)  # fmt: skip
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers() | st.floats(), inner)
    ),
    max_leaves=8,
)


@given(trees)
def test_roundtrip_of_random_trees(value):
    assert identical(roundtrip(value), value)


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    "value",
    [
        object(),
        lambda t: t,
        len,
        int,
        np.floating,
        {1},
        Decimal(1),
        Number.ONE,
        1j,
        OrderedDict(),
        np.array([Decimal(1)], dtype=object),
        np.zeros(2, dtype="i4,f8"),
        np.zeros(1, dtype="i4,f8")[0],
        np.random.default_rng(0),
        np.ma.masked_array([1.0]),
        range(3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_error_locates_unsupported_value(value):
    with pytest.raises(
        NotSerializable, match=r"(?s)^content\['a'\]\[1\](\[0\])?=.*, which is of type \w+ and not plain"
    ):
        encode({"a": [0, value]})


def encoded_file(tree, data=b""):
    """Return an encoded file from its JSON header and data."""
    text = json.dumps(tree).encode()
    return LENGTH.pack(len(text)) + text + data


@pytest.mark.parametrize(
    "tree",
    [
        {"array": ["<f8", [2**60], "C"]},  # exceeds the memory
        {"array": ["<f8", [2**31, 2**31, 2], "C"]},
        {"array": ["<f8", [-1], "C"]},
        {"array": ["<f8", [1.0], "C"]},
        {"array": ["<f8", [True], "C"]},
        {"array": ["<f8", [1], "K"]},
        {"array": ["|O", [1], "C"]},
        {"array": ["O8", [1], "C"]},
        {"array": ["<U0", [2**60], "C"]},
        {"array": ["i4,f8", [0], "C"]},
        {"array": ["(2**30,)f8", [0], "C"]},
        {"array": ["<U2", [1], "C"]},  # not characters
        {"array": ["|b1", [8], "C"]},  # neither 0 nor 1
        {"array": ["<f8", [1], "C"], "float": "00"},
        {},
        {"pickle": "gASVCAAAAAAAAACMBG9zLnM="},
        {"__reduce__": ["os.system", "true"]},
        {"value": {}},
        {"type": "os.system"},
        {"type": "|O"},
        {"dtype": "O"},
        {"RandomState": {"dict": [["bit_generator", "default_rng"], ["state", {"dict": []}]]}},
        {"RandomState": {"dict": [["bit_generator", "seed"]]}},
        {"LabelBinarizer": [0, 1, False, "binary", False]},
        {"LabelBinarizer": [0, 1, False, "binary", False, [0, 1]]},
        {"objects": [[2], [1]]},
        {"scalar": ["<f8", "00"]},
        {"dict": [[[], 1]]},
        {"floats": ["<f4", [2], "C"]},
        {"str_": ["a"]},
        1,  # unused bytes
    ],
    ids=str,
)
def test_invalid_content_raises(tree):
    with pytest.raises((ValueError, TypeError, AttributeError, KeyError)):
        decode(encoded_file(tree, b"\xff" * 8))


def test_deeply_nested_or_truncated_json_raises():
    with pytest.raises(RecursionError):
        decode(LENGTH.pack(200_000) + b"[" * 200_000)
    for data in (b"", b"\0" * 7, LENGTH.pack(2**63), LENGTH.pack(3) + b"[1"):
        with pytest.raises((ValueError, struct.error)):
            decode(data)


@pytest.mark.parametrize("position", [-1, 625, 2**31 - 1, 1.0, None])
def test_invalid_stream_position_raises(position):
    """NumPy accepts them and then reads out of bounds."""
    name, key, _, *rest = np.random.RandomState(0).get_state()
    with pytest.raises(ValueError, match="not the state of a random stream"):
        check_stream_state((name, key, position, *rest))
    state = np.random.RandomState(0).get_state(legacy=False)
    state["state"]["pos"] = position
    with pytest.raises(ValueError, match="not the state of a random stream"):
        check_stream_state(state)
    with pytest.raises(ValueError, match="not the state of a random stream"):
        check_stream_state(np.random.Philox(0).state | {"buffer_pos": position})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, str),
        ("1", 0.5),
        ([1, "a"], SequenceOf(int)),
        ({1: 2}, SequenceOf(int)),
        ((1, 2), SequenceOf(int)),
        ([1], (1,)),
        ([1], [1, 2]),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": None}, {"a": 1}),
        (np.zeros(2), np.zeros(3)),
        (np.zeros(2, "f4"), np.zeros(2)),
        ([0.0, 0.0], np.zeros(2)),
        (0, None),
    ],
    ids=str,
)
def test_check_raises(value, expected):
    with pytest.raises(ValueError, match=r"^it is not as expected"):
        check(value, expected, "it")


def test_check_accepts():
    check({"a": (1, [np.ones(2)])}, {"a": (0.5, [np.zeros(2)])}, "it")
    check([1.0, np.float32(2)], SequenceOf(float | np.floating), "it")
    check(None, int | None, "it")

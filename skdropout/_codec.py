"""Serialization of plain data as JSON and raw arrays. Unlike with pickle, reading runs no code.

A value is a tree of dict, list, tuple, str, bytes, bool, int, float, None, NumPy scalars, arrays, dtypes and
``RandomState``, and scikit-learn's ``LabelBinarizer``. Decoding restores the same types and the same bits.

The encoding consists of the length of the JSON in 8 bytes, the JSON, and the data of each array, in the order of the
JSON. Lists are JSON arrays. A type that JSON does not have is an object whose only key is the name of the type.
"""

import json
import math
import re
import struct
import sys
from contextlib import contextmanager
from itertools import chain
from numbers import Real
from types import UnionType
from typing import NamedTuple

import numpy as np
from sklearn.preprocessing import LabelBinarizer

LENGTH = struct.Struct("<Q")
SAFE_DTYPE = re.compile(r"[<>|](?:b1|[iu][1248]|f(?:2|4|8|12|16)|c(?:8|16|24|32)|[SU][1-9]\d*|[Mm]8(?:\[\w+\])?)")
NUMPY_SCALARS = set(np.sctypeDict.values())
BIT_GENERATORS = {"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"}
BINARIZER_STATE = ("neg_label", "pos_label", "sparse_output", "y_type_", "sparse_input_", "classes_")


class NotSerializable(ValueError):
    """Error for a value that is not plain data."""


def encode(value, name="content"):
    """Encode a value as a list of bytes-like parts; errors refer to it as `name`.

    Raises
    ------
    NotSerializable
        If it contains anything other than plain data. The message contains the location and the value.
    """
    arrays: list[np.ndarray] = []
    text = json.dumps(_to_json(value, arrays, name), separators=(",", ":"), allow_nan=False).encode()
    return [LENGTH.pack(len(text)) + text, *arrays]


def decode(data):
    """Decode a value. Invalid bytes may raise an exception of any type."""
    data = memoryview(data)
    (length,) = LENGTH.unpack(data[: LENGTH.size])
    decoder = _Decoder(data[LENGTH.size + length :])
    value = decoder.value(json.loads(bytes(data[LENGTH.size : LENGTH.size + length])))
    if len(decoder.data):
        raise ValueError(f"{len(decoder.data)} bytes are left over")
    return value


def _to_json(value, arrays, where):
    """Convert a value to a tree for ``json.dumps``, and append the data of its arrays to `arrays`."""

    def array(a):
        fortran = a.flags.f_contiguous and not a.flags.c_contiguous
        arrays.append(np.asarray(a.T if fortran else a, order="C").reshape(-1).view(np.uint8))
        return [a.dtype.str, list(a.shape), "F" if fortran else "C"]

    def items(values):
        return [_to_json(item, arrays, f"{where}[{i}]") for i, item in enumerate(values)]

    kind = type(value)
    if value is None or kind in {bool, int, str} or (kind is float and math.isfinite(value)):
        return value
    if kind is float:
        return {"float": struct.pack("<d", value).hex()}
    if kind is bytes:
        return {"bytes": value.hex()}
    if kind is list:
        return {"floats": array(np.array(value))} if _is_curve(value) else items(value)
    if kind is tuple:
        return {"tuple": items(value)}
    if kind is dict:
        return {"dict": [[_to_json(part, arrays, f"{where}[{key!r}]") for part in (key, value[key])] for key in value]}
    if kind in {np.str_, np.bytes_}:
        return {kind.__name__: _to_json(value[:], arrays, where)}  # ``item()`` drops trailing null characters
    if kind in NUMPY_SCALARS and SAFE_DTYPE.fullmatch(value.dtype.str):
        return {"scalar": [value.dtype.str, value.tobytes().hex()]}
    if kind in {np.ndarray, np.memmap}:
        if SAFE_DTYPE.fullmatch(value.dtype.str):
            return {"array": array(value)}
        if value.dtype == object:
            return {"objects": [list(value.shape), items(value.ravel().tolist())]}
    if isinstance(value, np.dtype) and SAFE_DTYPE.fullmatch(value.str):
        return {"dtype": value.str}
    if value is float:
        return {"type": "float"}
    if isinstance(value, type) and value in NUMPY_SCALARS and SAFE_DTYPE.fullmatch(np.dtype(value).str):
        return {"type": np.dtype(value).str}
    if kind is np.random.RandomState:
        return {"RandomState": _to_json(value.get_state(legacy=False), arrays, where)}
    if kind is LabelBinarizer:
        return {"LabelBinarizer": items(getattr(value, name) for name in BINARIZER_STATE)}
    raise NotSerializable(f"{where}={value!r:.200}, which is of type {kind.__name__} and not plain data")


def _is_curve(values):
    """Return whether a list consists of floats, or of tuples of floats of equal length."""
    if set(map(type, values)) == {tuple}:
        return len(set(map(len, values))) == 1 and set(map(type, chain(*values))) == {float}
    return set(map(type, values)) == {float}


class _Decoder:
    """Decoder of values from JSON. Reads the data of their arrays in order."""

    def __init__(self, data):
        self.data = data

    def value(self, tree):
        if isinstance(tree, list):
            return [self.value(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        ((kind, content),) = tree.items()
        if kind not in DECODERS:
            raise ValueError(f"{kind!r} is not a type of plain data")
        return DECODERS[kind](self, content)

    def array(self, content):
        dtype, shape, order = _dtype(content[0]), tuple(content[1]), content[2]
        if not all(type(n) is int and n >= 0 for n in shape) or order not in {"C", "F"}:
            raise ValueError(f"{content} does not describe an array")
        size = math.prod(shape) * dtype.itemsize
        if size > len(self.data):  # never allocate more memory than the size of the file
            raise ValueError(f"{content} describes an array of more than the {len(self.data)} remaining bytes")
        a = np.ndarray(shape, dtype, self.data[:size], order=order).copy("K")
        self.data = self.data[size:]
        if dtype.kind == "b" and a.view(np.uint8).max(initial=0) > 1:
            raise ValueError("an array of bool contains bytes other than 0 and 1")
        if dtype.kind == "U" and a.ravel("K").view(dtype.str[0] + "u4").max(initial=0) > sys.maxunicode:
            raise ValueError("an array of text contains numbers that are not characters")
        return a

    def floats(self, content):
        a = self.array(content)
        if a.dtype != np.float64 or a.ndim not in {1, 2}:
            raise ValueError(f"{content} does not describe a list of floats")
        return a.tolist() if a.ndim == 1 else list(map(tuple, a.tolist()))

    def dict(self, content):
        pairs = ((self.value(key), self.value(item)) for key, item in content)
        return {
            sys.intern(key) if type(key) is str else key: item for key, item in pairs
        }  # interned like attribute names

    def objects(self, content):
        shape, items = content
        a = np.empty(len(items), object)
        for i, item in enumerate(items):
            a[i] = self.value(item)
        return a.reshape(shape)

    def scalar(self, content):
        dtype, data = _dtype(content[0]), bytes.fromhex(content[1])
        if len(data) != dtype.itemsize or dtype.kind in "SU" or (dtype.kind == "b" and data[0] > 1):
            raise ValueError(f"{content} does not describe a scalar")
        return np.frombuffer(data, dtype)[0]

    def random_state(self, content):
        state = self.value(content)
        check_stream_state(state)
        stream = np.random.RandomState(getattr(np.random, state["bit_generator"])(0))
        stream.set_state(state)
        return stream

    def binarizer(self, content):
        state = dict(zip(BINARIZER_STATE, map(self.value, content), strict=True))
        check(state, {**dict.fromkeys(BINARIZER_STATE, int), "y_type_": str, "classes_": np.ndarray}, "LabelBinarizer")
        binarizer = LabelBinarizer()
        vars(binarizer).update(state)
        return binarizer


DECODERS = {
    "float": lambda decoder, content: struct.unpack("<d", bytes.fromhex(content))[0],
    "bytes": lambda decoder, content: bytes.fromhex(content),
    "floats": _Decoder.floats,
    "tuple": lambda decoder, content: tuple(map(decoder.value, content)),
    "dict": _Decoder.dict,
    "str_": lambda decoder, content: np.str_(_typed(content, str)),
    "bytes_": lambda decoder, content: np.bytes_(_typed(decoder.value(content), bytes)),
    "scalar": _Decoder.scalar,
    "array": _Decoder.array,
    "objects": _Decoder.objects,
    "dtype": lambda decoder, content: _dtype(content),
    "type": lambda decoder, content: float if content == "float" else _dtype(content).type,
    "RandomState": _Decoder.random_state,
    "LabelBinarizer": _Decoder.binarizer,
}


def _typed(value, kind):
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not a {kind.__name__}")
    return value


def _dtype(text):
    if not SAFE_DTYPE.fullmatch(text):
        raise ValueError(f"{text!r} is not a dtype of plain data")
    return np.dtype(text)


def check_stream_state(state):
    """Raise an error for an invalid state that would make NumPy read out of bounds."""
    if isinstance(state, tuple):  # RandomState.get_state()
        name, position, end = state[0], state[2], 624
    else:
        name, end = state["bit_generator"], {"MT19937": 624}.get(state["bit_generator"], 4)
        position = state["state"]["pos"] if name == "MT19937" else state.get("buffer_pos", 0)
    if name not in BIT_GENERATORS or type(position) is not int or not 0 <= position <= end:
        raise ValueError(f"not the state of a random stream: {name!r} at position {position!r}")


class SequenceOf(NamedTuple):
    """Schema for ``check``: a list (or `kind`) of any length whose items match `item`."""

    item: object
    kind: type = list


def check(value, expected, name):
    """Raise a ValueError if a value from a file does not match a schema.

    Parameters
    ----------
    value : object
    expected : object
        A type or a union of types; an array, which matches arrays of its shape and dtype; a number, which matches any
        number; a list, tuple or dict of these, which match those with as many items; ``SequenceOf``; or any other
        object, which matches objects of its type.
    name : str
        Name of the value in the message.
    """
    if isinstance(expected, SequenceOf):
        fits = type(value) is expected.kind
        items = ((item, expected.item) for item in value) if fits else ()
    elif isinstance(expected, dict):
        fits = isinstance(value, dict) and value.keys() == expected.keys()
        items = ((value[key], expected[key]) for key in expected) if fits else ()
    elif isinstance(expected, list | tuple):
        fits = type(value) is type(expected) and len(value) == len(expected)
        items = zip(value, expected, strict=True) if fits else ()
    elif isinstance(expected, np.ndarray):
        fits, items = isinstance(value, np.ndarray), ()
        fits = fits and (value.shape, value.dtype) == (expected.shape, expected.dtype)
    elif isinstance(expected, type | UnionType):
        fits, items = isinstance(value, expected), ()
    else:
        fits, items = isinstance(value, Real if isinstance(expected, Real) else type(expected)), ()
    if not fits:
        raise ValueError(f"{name} is not as expected: {value!r:.100}")
    for item, expected_item in items:
        check(item, expected_item, name)


@contextmanager
def report_damage(path, fix="Delete it to start from scratch."):
    """Convert any error while reading a checkpoint to a ValueError that names the file and suggests a fix."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"The checkpoint {str(path)!r} is damaged ({type(error).__name__}: {error}). {fix}".rstrip()
        ) from error

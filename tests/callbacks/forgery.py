"""Forged checkpoints: changed content with a correct checksum."""

import hashlib

import joblib

from skdropout._callbacks import checkpoint_file
from skdropout._codec import encode

HEAD = len(checkpoint_file.MAGIC) + 32  # including the hash of the fingerprint


def sealed(body, label=None, magic=checkpoint_file.MAGIC):
    """The bytes of a file with this body."""
    data = magic + (label or joblib.hash({}).encode()) + body
    return data + hashlib.sha256(data).digest()


def body(path):
    return path.read_bytes()[HEAD:-32]


def label(path):
    return path.read_bytes()[HEAD - 32 : HEAD]


def content(path):
    """The content of a file, as plain data."""
    return checkpoint_file.read(path, "")


def write(path, content):
    """A whole file that holds `content`."""
    training = content.get("training")
    fingerprint = training.get("fingerprint") if isinstance(training, dict) else None
    path.write_bytes(sealed(b"".join(map(bytes, encode(content))), joblib.hash(fingerprint).encode()))


def leaves(tree, path=()):
    """The places in a tree of dict, list and tuple, inner ones included."""
    if path:
        yield path
    if isinstance(tree, dict | list | tuple):
        pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, item in pairs:
            yield from leaves(item, (*path, key))


def replaced(tree, path, value):
    """A copy of a tree with another value in one place."""
    if not path:
        return value
    key, *rest = path
    if isinstance(tree, dict):
        return {k: replaced(item, rest, value) if k == key else item for k, item in tree.items()}
    return type(tree)(replaced(item, rest, value) if i == key else item for i, item in enumerate(tree))

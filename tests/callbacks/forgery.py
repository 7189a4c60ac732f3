"""Forged checkpoints: changed content with a correct checksum."""

import hashlib

import joblib

from skdropout._callbacks import checkpoint_file
from skdropout._codec import encode

HEAD = len(checkpoint_file.MAGIC) + 32  # including the hash of the fingerprint


def sealed(body, fingerprint_hash=None, magic=checkpoint_file.MAGIC):
    """Return the bytes of a checkpoint file with this body and a correct checksum."""
    data = magic + (fingerprint_hash or joblib.hash({}).encode()) + body
    return data + hashlib.sha256(data).digest()


def body(path):
    return path.read_bytes()[HEAD:-32]


def fingerprint_hash(path):
    return path.read_bytes()[HEAD - 32 : HEAD]


def content(path):
    """Return the content of a checkpoint file as plain data."""
    return checkpoint_file.read_checkpoint(path, "")


def write(path, content):
    """Write a valid checkpoint file that holds `content`."""
    training = content.get("training")
    fingerprint = training.get("fingerprint") if isinstance(training, dict) else None
    path.write_bytes(sealed(b"".join(map(bytes, encode(content))), joblib.hash(fingerprint).encode()))


def item_paths(tree, path=()):
    """Yield the paths of all items in a tree of dict, list and tuple, including inner nodes."""
    if path:
        yield path
    if isinstance(tree, dict | list | tuple):
        pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, item in pairs:
            yield from item_paths(item, (*path, key))


def replaced(tree, path, value):
    """Return a copy of a tree with the value at one path replaced."""
    if not path:
        return value
    key, *rest = path
    if isinstance(tree, dict):
        return {k: replaced(item, rest, value) if k == key else item for k, item in tree.items()}
    return type(tree)(replaced(item, rest, value) if i == key else item for i, item in enumerate(tree))

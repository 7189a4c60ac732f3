"""The former module of ``Checkpoint``, which pickles of skdropout 0.1.0 name."""

from ._callbacks import Checkpoint as Checkpoint

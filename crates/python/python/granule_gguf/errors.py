"""The exceptions of this package.

Failures of the operating system are the ``OSError`` that Python itself raises, such as
``FileNotFoundError``; arguments of the wrong type or shape are ``TypeError``, ``ValueError`` or
``IndexError``. Everything else is a ``GranuleError``::

    GranuleError
    +-- FormatError          the bytes are not those of a GGUF file
    +-- MetadataError        a metadata entry has the wrong type or value
    +-- SplitError           the files of a split set do not fit together
    +-- UnsupportedError     a tensor that this version or platform cannot handle
    +-- UnknownTypeError     no type of blocks or of files has this name
    +-- EncodeError          values that no block can hold, or rows that are not whole blocks
    +-- ImportanceError      not an importance matrix
    +-- CheckpointError      a checkpoint that cannot be read
    +-- ModelError           a model that cannot be run, or texts that cannot be cut
    +-- EditError            a change that cannot be made to this file
    +-- ManifestError        a list of hashes that says nothing about the model
    +-- PlanError            options that cannot be carried out on this model
    +-- OutputError          a file that cannot be written there
    +-- WriteError           a header that cannot be laid out
    +-- VerifyError          a file that does not match its source
"""

from __future__ import annotations

import os

__all__ = [
    "CheckpointError",
    "EditError",
    "EncodeError",
    "FormatError",
    "GranuleError",
    "ImportanceError",
    "ManifestError",
    "MetadataError",
    "ModelError",
    "OutputError",
    "PlanError",
    "SplitError",
    "UnknownTypeError",
    "UnsupportedError",
    "VerifyError",
    "WriteError",
]


class GranuleError(Exception):
    """An error of this package. The message says what is wrong, where, and what to do."""

    path: os.PathLike[str] | None
    """The file that it is about, if it is about one."""
    tensor: str | None
    """The tensor that it is about, if it is about one."""
    offset: int | None
    """The place in the file in bytes, if it is known."""

    def __init__(
        self,
        message: str = "",
        *,
        path: os.PathLike[str] | None = None,
        tensor: str | None = None,
        offset: int | None = None,
    ) -> None:
        super().__init__(message)
        self.path = path
        self.tensor = tensor
        self.offset = offset


class FormatError(GranuleError, ValueError):
    """The bytes are not those of a GGUF file."""


class MetadataError(GranuleError, ValueError):
    """A metadata entry that is needed has the wrong type or value."""


class SplitError(GranuleError, ValueError):
    """The files of a split set do not fit together, or some are missing."""


class UnsupportedError(GranuleError, NotImplementedError):
    """The file may be valid, but this version or platform cannot handle a tensor in it."""


class UnknownTypeError(GranuleError, ValueError):
    """No type of blocks or of files has this name or number."""


class EncodeError(GranuleError, ValueError):
    """Values that no block can hold, weights that do not fit, or rows that are not whole blocks."""


class ImportanceError(GranuleError, ValueError):
    """Not an importance matrix."""


class CheckpointError(GranuleError, ValueError):
    """A checkpoint that cannot be read."""


class ModelError(GranuleError, ValueError):
    """A model that cannot be run, or texts that cannot be cut into chunks."""


class EditError(GranuleError, ValueError):
    """A change that cannot be made to this file, or would make it invalid."""


class ManifestError(GranuleError, ValueError):
    """A list of hashes that says nothing about the model."""


class PlanError(GranuleError, ValueError):
    """Options that cannot be parsed, or cannot be carried out on this model."""


class OutputError(GranuleError):
    """A file that cannot be written there: a folder, an input, a file that another run writes."""


class WriteError(GranuleError, ValueError):
    """A header that cannot be laid out, such as one with two tensors of one name."""


class VerifyError(GranuleError):
    """A finished file that does not match its source."""

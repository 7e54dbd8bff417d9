"""Read, encode, check and convert GGUF files.

>>> import granule_gguf as granule
>>> model = granule.open("model-Q4_K_M.gguf")  # doctest: +SKIP
>>> model["token_embd.weight"].decode(slice(42, 43))  # doctest: +SKIP

Arrays have numpy's order of dimensions: the length of a row, which GGUF files name first, is the
last number of a shape. Long calls release the GIL, use all cores, and end at Ctrl-C.

A file that is open must not be cut short by another program, as with ``numpy.memmap``; where that
cannot be promised, open it with ``mmap=False``.
"""

from __future__ import annotations

from collections.abc import Mapping as _Mapping

from . import errors
from ._granule import (
    VERSION as __version__,
)
from ._granule import (
    BlockType,
    Finding,
    Importance,
    Metadata,
    Model,
    PackedMatrix,
    Progress,
    Report,
    Source,
    Summary,
    Tensor,
    block_type,
    block_types,
    check,
    check_bytes,
    check_hashes,
    convert,
    decode,
    diff,
    edit,
    encode,
    explain,
    hash,
    imatrix,
    measure,
    open,
    open_bytes,
    plan,
    save_file,
)
from .errors import GranuleError
from .loader import load_file, safe_open

_Mapping.register(Model)
_Mapping.register(Metadata)
_Mapping.register(Importance)

__all__ = [
    "BlockType",
    "Finding",
    "GranuleError",
    "Importance",
    "Metadata",
    "Model",
    "PackedMatrix",
    "Progress",
    "Report",
    "Source",
    "Summary",
    "Tensor",
    "__version__",
    "block_type",
    "block_types",
    "check",
    "check_bytes",
    "check_hashes",
    "convert",
    "decode",
    "diff",
    "edit",
    "encode",
    "errors",
    "explain",
    "hash",
    "imatrix",
    "load_file",
    "measure",
    "open",
    "open_bytes",
    "plan",
    "safe_open",
    "save_file",
]

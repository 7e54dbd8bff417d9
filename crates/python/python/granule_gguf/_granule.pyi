"""The types of the compiled part of the package; its names are exported by ``granule_gguf``."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, final, overload

import numpy as np
import numpy.typing as npt

_T = TypeVar("_T")
_Path = Union[str, os.PathLike[str]]
_Type = Union[str, int, BlockType]
_Rows = Union[slice, range, int, None]
_Source = Union[_Path, Source, Model]
_Array = np.ndarray[Any, np.dtype[Any]]

VERSION: str

@final
class BlockType:
    """A type of block: how values are stored."""

    @property
    def name(self) -> str: ...
    @property
    def id(self) -> int: ...
    @property
    def block_values(self) -> int: ...
    @property
    def block_bytes(self) -> int: ...
    @property
    def bits_per_value(self) -> float: ...
    @property
    def is_quantized(self) -> bool: ...
    @property
    def importance(self) -> Literal["ignored", "optional", "required"] | None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Metadata(Mapping[str, Any]):
    """Metadata entries, in the order of the file: a mapping from keys to Python values."""

    def keys(self) -> list[str]: ...  # type: ignore[override]
    def values(self) -> list[Any]: ...  # type: ignore[override]
    def items(self) -> list[tuple[str, Any]]: ...  # type: ignore[override]
    @overload
    def get(self, key: str, default: None = None) -> Any | None: ...
    @overload
    def get(self, key: str, default: _T) -> Any | _T: ...
    def type_of(self, key: str) -> str: ...
    def to_dict(self) -> dict[str, Any]: ...
    def __getitem__(self, key: str, /) -> Any: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self, /) -> Iterator[str]: ...
    def __len__(self, /) -> int: ...

@final
class Model(Mapping[str, Tensor]):
    """An open GGUF file, or all files of a split set: a mapping from names to tensors."""

    @property
    def metadata(self) -> Metadata: ...
    @property
    def tensors(self) -> list[Tensor]: ...
    @property
    def paths(self) -> list[os.PathLike[str]]: ...
    @property
    def version(self) -> int: ...
    @property
    def alignment(self) -> int: ...
    @property
    def byteorder(self) -> Literal["little", "big"]: ...
    def keys(self) -> list[str]: ...  # type: ignore[override]
    def values(self) -> list[Tensor]: ...  # type: ignore[override]
    def items(self) -> list[tuple[str, Tensor]]: ...  # type: ignore[override]
    @overload
    def get(self, name: str, default: None = None) -> Tensor | None: ...
    @overload
    def get(self, name: str, default: _T) -> Tensor | _T: ...
    def __getitem__(self, name: str, /) -> Tensor: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __iter__(self, /) -> Iterator[str]: ...
    def __len__(self, /) -> int: ...

@final
class Tensor:
    """A tensor of an open file. It keeps the file open."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str | int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def rows(self) -> int: ...
    @property
    def row_values(self) -> int: ...
    @property
    def matrices(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int | None: ...
    @property
    def offset(self) -> int: ...
    def matrix(self, index: int) -> Tensor: ...
    def blocks(self, rows: _Rows = None) -> npt.NDArray[np.uint8]: ...
    def array(self) -> _Array: ...
    def decode(
        self,
        rows: _Rows = None,
        *,
        dtype: npt.DTypeLike | None = None,
        out: _Array | None = None,
        threads: int | None = None,
    ) -> _Array: ...
    def gather(self, rows: Sequence[int]) -> npt.NDArray[np.float32]: ...
    def matmul(
        self, x: npt.ArrayLike, *, threads: int | None = None
    ) -> npt.NDArray[np.float32]: ...
    def pack(self, *, threads: int | None = None) -> PackedMatrix: ...
    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> _Array: ...
    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __len__(self, /) -> int: ...

@final
class PackedMatrix:
    """Weights packed for products: see ``Tensor.pack``."""

    @property
    def rows(self) -> int: ...
    @property
    def row_values(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def matmul(
        self, x: npt.ArrayLike, *, threads: int | None = None
    ) -> npt.NDArray[np.float32]: ...

@final
class Importance(Mapping[str, npt.NDArray[np.float32]]):
    """An importance matrix: a mapping from names of tensors to a weight for each column."""

    def __new__(
        cls,
        weights: Mapping[str, npt.ArrayLike],
        *,
        name: str = "made in Python",
        datasets: Sequence[str] | None = None,
    ) -> Importance: ...
    @staticmethod
    def read(path: _Path) -> Importance: ...
    def write(self, path: _Path) -> None: ...
    @property
    def datasets(self) -> list[str]: ...
    def keys(self) -> list[str]: ...  # type: ignore[override]
    def __getitem__(self, name: str, /) -> npt.NDArray[np.float32]: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __iter__(self, /) -> Iterator[str]: ...
    def __len__(self, /) -> int: ...

@final
class Source:
    """A model that can be converted: a checkpoint, seen as the GGUF file that it becomes, or a
    GGUF file."""

    def __new__(
        cls,
        path: _Path,
        *,
        outtype: str = "auto",
        model_name: str | None = None,
        metadata: _Path | None = None,
        arch: _Path | None = None,
        lora: Sequence[_Path] | None = None,
        base: _Path | None = None,
        mmproj: bool = False,
        vocab_only: bool = False,
        mtp: bool | None = None,
        fuse_qkv: bool = False,
        fuse_gate_up_experts: bool = False,
        fp8_as_q8: bool = False,
    ) -> Source: ...
    @property
    def metadata(self) -> Metadata: ...
    @property
    def tensors(self) -> list[dict[str, Any]]: ...
    @property
    def warnings(self) -> list[str]: ...
    def decode(self, name: str, rows: _Rows = None) -> npt.NDArray[np.float32]: ...

@final
class Report:
    """What a check has found."""

    @property
    def findings(self) -> list[Finding]: ...
    @property
    def errors(self) -> int: ...
    @property
    def warnings(self) -> int: ...
    @property
    def valid(self) -> bool: ...
    @property
    def file_bytes(self) -> int: ...
    @property
    def blocks_checked(self) -> bool: ...
    @property
    def advice(self) -> str | None: ...
    def is_valid(self, *, strict: bool = False) -> bool: ...
    def to_dict(self) -> dict[str, Any]: ...
    def __bool__(self, /) -> bool: ...

@final
class Finding:
    """A violation of a rule, and its place in the file."""

    @property
    def rule(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def severity(self) -> Literal["error", "warning"]: ...
    @property
    def offset(self) -> int: ...
    @property
    def place(self) -> str: ...
    @property
    def tensor(self) -> str | None: ...
    @property
    def found(self) -> str: ...
    @property
    def expected(self) -> str: ...
    @property
    def times(self) -> int: ...
    def to_dict(self) -> dict[str, Any]: ...

@final
class Progress:
    """How far a conversion is."""

    @property
    def stage(self) -> Literal["opening", "encoding", "finishing", "verifying"]: ...
    @property
    def values(self) -> int: ...
    @property
    def total_values(self) -> int: ...
    @property
    def tensor(self) -> str | None: ...
    @property
    def tensors(self) -> int: ...
    @property
    def resumed(self) -> int: ...
    @property
    def fraction(self) -> float: ...

@final
class Summary:
    """The result of a conversion."""

    @property
    def files(self) -> list[tuple[os.PathLike[str], int]]: ...
    @property
    def values(self) -> int: ...
    @property
    def data_bytes(self) -> int: ...
    @property
    def resumed(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def verified(self) -> tuple[int, int] | None: ...
    @property
    def warnings(self) -> list[str]: ...

def open(path: _Path, *, mmap: bool = True, alone: bool = False) -> Model: ...
def open_bytes(data: bytes | bytearray, *, alone: bool = False) -> Model: ...
def block_types() -> tuple[BlockType, ...]: ...
def block_type(type: _Type) -> BlockType: ...
def encode(
    array: npt.ArrayLike,
    type: _Type,
    *,
    importance: npt.ArrayLike | None = None,
    effort: int = 0,
    threads: int | None = None,
) -> npt.NDArray[np.uint8]: ...
def decode(
    blocks: npt.NDArray[np.uint8] | bytes,
    type: _Type,
    *,
    dtype: npt.DTypeLike | None = None,
    threads: int | None = None,
) -> _Array: ...
def save_file(
    path: _Path,
    tensors: Mapping[str, npt.ArrayLike | tuple[_Type, npt.NDArray[np.uint8]] | Tensor],
    metadata: Mapping[str, Any] | None = None,
) -> None: ...
def check(path: _Path, *, structure_only: bool = False, threads: int | None = None) -> Report: ...
def check_bytes(
    data: bytes | bytearray,
    *,
    name: str | None = None,
    structure_only: bool = False,
    threads: int | None = None,
) -> Report: ...
def explain(rule: str) -> str: ...
def plan(
    source: _Source,
    type: str,
    *,
    imatrix: _Path | Importance | None = None,
    effort: int = 0,
    **options: Any,
) -> dict[str, Any]: ...
def convert(
    source: _Source,
    output: _Path,
    type: str | None = None,
    *,
    plan: dict[str, Any] | str | None = None,
    imatrix: _Path | Importance | None = None,
    effort: int = 0,
    calibrate: Sequence[str] | bool | None = None,
    calibration_chunks: int | None = None,
    statistics: _Path | None = None,
    save_statistics: _Path | None = None,
    threads: int | None = None,
    verify: bool = False,
    restart: bool = False,
    part: str | None = None,
    progress: Callable[[Progress], object] | None = None,
    **options: Any,
) -> Summary: ...
def imatrix(
    model: _Source,
    texts: Sequence[str] | None = None,
    *,
    chunk_tokens: int | None = None,
    chunks: int | None = None,
    threads: int | None = None,
) -> Importance: ...
def measure(
    model: _Source,
    texts: Sequence[str] | None = None,
    *,
    against: _Source | None = None,
    chunk_tokens: int | None = None,
    chunks: int | None = None,
    threads: int | None = None,
) -> dict[str, Any]: ...
def diff(
    before: _Source,
    after: _Source,
    *,
    metadata: bool = True,
    tensors: bool = True,
    filter: str | Callable[[str], object] | None = None,
    threads: int | None = None,
) -> dict[str, Any]: ...
def hash(
    model: _Source,
    algorithms: Sequence[str] | None = None,
    *,
    tensors: bool = True,
    threads: int | None = None,
) -> dict[str, dict[str, Any]]: ...
def check_hashes(
    model: _Source,
    manifest: _Path,
    *,
    name: str | None = None,
    algorithms: Sequence[str] | None = None,
    threads: int | None = None,
) -> list[dict[str, Any]]: ...
def edit(
    path: _Path,
    *,
    set: Mapping[str, Any] | None = None,
    remove: Sequence[str] | None = None,
    rename: Mapping[str, str] | None = None,
    rename_tensors: Mapping[str, str] | Callable[[str], str] | None = None,
    chat_template: str | Mapping[str, str] | None = None,
    special_tokens: Mapping[str, str] | None = None,
    output: _Path | None = None,
    copy: bool = False,
    reserve: int | None = None,
    dry_run: bool = False,
) -> dict[str, Any]: ...
def run_program(arguments: Sequence[str]) -> int: ...

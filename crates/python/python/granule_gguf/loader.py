"""All tensors of a file at once, or one by one, in the manner of the package safetensors."""

from __future__ import annotations

import os
from typing import Any

from . import _granule

__all__ = ["load_file", "safe_open"]

_FRAMEWORKS = ("np", "numpy", "pt", "torch", "pytorch")


def _is_torch(framework: str) -> bool:
    if framework not in _FRAMEWORKS:
        raise ValueError(f"framework {framework!r} is unknown: use 'np' or 'pt'")
    return framework not in ("np", "numpy")


def _tensor(tensor: _granule.Tensor, dtype: Any, torch: bool) -> Any:
    kind = tensor.type
    quantized = isinstance(kind, str) and _granule.block_type(kind).is_quantized
    if not torch:
        if quantized or dtype is not None:
            return tensor.decode(dtype=dtype)
        return tensor.array()
    from torch import from_dlpack

    if quantized or dtype is not None:
        if str(dtype).rsplit(".", 1)[-1] == "bfloat16":
            return from_dlpack(tensor.decode()).bfloat16()
        return from_dlpack(
            tensor.decode(dtype=None if dtype is None else str(dtype).rsplit(".", 1)[-1])
        )
    # what the file holds must not be written to: PyTorch does not know that, so it gets a copy
    return from_dlpack(tensor).clone()


def load_file(
    path: str | os.PathLike[str],
    *,
    framework: str = "np",
    dtype: Any = None,
) -> dict[str, Any]:
    """Return all tensors of a file, or of a split set, as a dict of arrays.

    Tensors of blocks are decoded to ``dtype`` (float32 if it is None). Tensors of plain numbers
    keep their type if ``dtype`` is None; with ``framework="np"`` they are then views of the file,
    which cannot be written to. With ``framework="pt"`` the tensors are PyTorch's.
    """
    torch = _is_torch(framework)
    model = _granule.open(path)
    return {tensor.name: _tensor(tensor, dtype, torch) for tensor in model.tensors}


class safe_open:
    """Open a file to get tensors one by one, as ``safetensors.safe_open`` does.

    >>> with safe_open("model.gguf") as file:  # doctest: +SKIP
    ...     weights = file.get_tensor("output.weight")
    """

    def __init__(
        self, path: str | os.PathLike[str], framework: str = "np", *, dtype: Any = None
    ) -> None:
        self._torch = _is_torch(framework)
        self._dtype = dtype
        self._model: _granule.Model | None = _granule.open(path)

    def _open(self) -> _granule.Model:
        if self._model is None:
            raise ValueError("the file is closed")
        return self._model

    def keys(self) -> list[str]:
        """Return the names of the tensors."""
        return self._open().keys()

    def metadata(self) -> dict[str, Any]:
        """Return the metadata as a dict."""
        return self._open().metadata.to_dict()

    def get_tensor(self, name: str) -> Any:
        """Return the tensor with this name: see ``load_file``."""
        return _tensor(self._open()[name], self._dtype, self._torch)

    def get_slice(self, name: str) -> _granule.Tensor:
        """Return the tensor itself, of which rows can be decoded."""
        return self._open()[name]

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, *_: object) -> None:
        # arrays that were taken from the file keep it open
        self._model = None

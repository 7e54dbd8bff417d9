"""What the tests share: files of the repository's fixtures, and a small model."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import granule_gguf as granule
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "fixtures"
CHECKPOINT = FIXTURES / "checkpoints" / "llama2-spm-256"

#: The reference's blocks of these types differ from row to row; all other types have none.
QUANTIZED = [ty.name for ty in granule.block_types() if ty.is_quantized]


def safetensors(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a safetensors file."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    dtypes = {"F32": "<f4", "U8": "u1", "F16": "<f2"}
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            values = np.frombuffer(
                data[8 + length + start : 8 + length + end], dtypes[entry["dtype"]]
            )
            tensors[name] = values.reshape(entry["shape"])
    return tensors


@pytest.fixture(scope="session")
def inputs() -> dict[str, np.ndarray]:
    """Rows of every awkward kind, and importance weights."""
    return safetensors(FIXTURES / "blocks" / "inputs.safetensors")


@pytest.fixture(scope="session")
def vectors():
    """A function that returns the reference's blocks of a type."""
    return lambda name: safetensors(FIXTURES / "blocks" / name.lower() / "vectors.safetensors")


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of all-in-all 100,000 weights, in Q4_K_M."""
    path = tmp_path_factory.mktemp("model") / "model-Q4_K_M.gguf"
    granule.convert(CHECKPOINT, path, "Q4_K_M")
    return path


@pytest.fixture
def model(model_path: Path) -> granule.Model:
    """That model, open."""
    return granule.open(model_path)

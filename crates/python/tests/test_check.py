"""The validator, and files that are damaged in every way."""

from __future__ import annotations

import json
import random

import granule_gguf as granule
import pytest
from conftest import FIXTURES

FILES = FIXTURES / "files"
MANIFEST = json.loads((FILES / "manifest.json").read_text())
PATHS = sorted(
    path for folder in ["invalid", "valid", "warned"] for path in (FILES / folder).iterdir()
)


def test_a_good_file_is_valid(model_path):
    report = granule.check(model_path)
    assert report and report.valid and report.errors == 0 and report.blocks_checked
    assert report.file_bytes == model_path.stat().st_size and report.advice is None
    assert report.to_dict()["valid"] is True
    assert not granule.check(model_path, structure_only=True).blocks_checked


def test_findings_are_objects(tmp_path, model_path):
    data = bytearray(model_path.read_bytes())
    data[4] = 9
    (tmp_path / "bad.gguf").write_bytes(data)
    report = granule.check(tmp_path / "bad.gguf")
    assert not report and report.errors == 1 and not report.is_valid(strict=True)
    finding = report.findings[0]
    assert (finding.rule, finding.severity, finding.offset) == ("H003", "error", 4)
    assert "9" in finding.found and "3" in finding.expected and finding.place == "header"
    assert (
        finding.tensor is None
        and finding.times == 1
        and finding.name in repr(finding) + finding.name
    )
    assert str(finding).startswith("error H003: header")
    assert finding.to_dict()["rule"] == "H003"
    assert report.to_dict()["findings"] == [finding.to_dict()]
    assert "version" in granule.explain("h003")
    with pytest.raises(KeyError):
        granule.explain("Z999")
    assert "LFS" in granule.check_bytes(b"version https://git-lfs").advice
    with pytest.raises(FileNotFoundError):
        granule.check(tmp_path / "none.gguf")


def test_every_file_of_the_fixtures():
    assert len(PATHS) > 200
    for path in PATHS:
        report = granule.check(path)
        assert report.valid == (path.parent.name != "invalid"), path
        assert report.is_valid(strict=True) == (path.parent.name == "valid"), path
        assert (
            granule.check_bytes(path.read_bytes(), name=str(path)).file_bytes == report.file_bytes
        )
        read_all(path.read_bytes())


def test_a_thousand_damaged_files(model_path):
    """Each is opened or refused; whatever is read from it, only exceptions may come."""
    chance = random.Random(20260101)
    good = [path.read_bytes() for path in PATHS if path.parent.name == "valid"]
    opened = 0
    for _ in range(1000):
        data = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(max(1, len(data)))
            what = chance.randrange(4)
            if what == 0 and data:
                data[at] = chance.randrange(256)
            elif what == 1:
                del data[at:]
            elif what == 2:
                data[at : at + 8] = chance.choice([0, 2**63, 2**64 - 1, 2**32]).to_bytes(
                    8, "little"
                )
            else:
                data[at:at] = (
                    chance.randbytes(chance.randint(1, 40))
                    if hasattr(chance, "randbytes")
                    else b"x"
                )
        opened += read_all(bytes(data))
        assert isinstance(granule.check_bytes(bytes(data)).valid, bool)
    assert 0 < opened < 1000


def read_all(data: bytes) -> bool:
    """Read everything from a file that may be damaged; tell whether it could be opened."""
    try:
        model = granule.open_bytes(data, alone=True)
    except granule.GranuleError:
        return False
    model.metadata.to_dict()
    for tensor in model.tensors:
        assert len(tensor.shape) >= 0 and tensor.offset >= 0
        try:
            values = tensor.decode()
            assert values.size == tensor.size
            tensor.blocks()
            if tensor.size and len(tensor.shape) > 1:
                tensor.matmul([0.0] * tensor.row_values)
        except granule.GranuleError:
            pass
    return True

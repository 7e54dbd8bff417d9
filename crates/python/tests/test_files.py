"""What is done to files as they are: compared, hashed, edited."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys

import granule_gguf as granule
import numpy as np
import pytest

from conftest import CHECKPOINT

X = np.random.default_rng(7).standard_normal((4, 256)).astype(np.float32)


@pytest.fixture
def small(tmp_path):
    """A file with two tensors and an entry of each kind."""
    metadata = {
        "general.architecture": "test",
        "a.number": 7,
        "a.byte": np.uint8(1),
        "a.flag": True,
        "a.half": 0.5,
        "a.numbers": [1, 2, 3],
        "tokenizer.ggml.tokens": ["<s>", "</s>", "x"],
        "tokenizer.chat_template": "old",
    }
    path = tmp_path / "small.gguf"
    granule.save_file(path, {"blk.0.a": X, "blk.1.a": X + 1}, metadata)
    return path


def test_models_are_compared(model_path, tmp_path):
    same = granule.diff(model_path, granule.open(model_path))
    assert same["same"] and same["metadata"] == [] and same["tensors"]["differences"] == []
    assert same["tensors"]["same"] == len(granule.open(model_path))
    other = tmp_path / "other.gguf"
    granule.convert(CHECKPOINT, other, "Q8_0")
    found = granule.diff(CHECKPOINT, other, threads=1)
    assert not found["same"]
    errors = [it["errors"]["relative"] for it in found["tensors"]["differences"]]
    assert errors == sorted(errors, reverse=True) and 0 < errors[-1] < errors[0] < 0.02
    file_type = [it for it in found["metadata"] if it["key"] == "general.file_type"][0]
    assert file_type["before"] == 32 and file_type["after"] == 7  # BF16, Q8_0
    assert file_type["after_type"] == "U32"
    some = granule.diff(CHECKPOINT, other, filter=r"^blk\.0\.ffn", metadata=False)
    assert "metadata" not in some and len(some["tensors"]["differences"]) == 3
    function = granule.diff(CHECKPOINT, other, filter=lambda name: "ffn" in name, metadata=False)
    assert len(function["tensors"]["differences"]) > 3
    assert granule.diff(CHECKPOINT, other, filter="general.name")["same"]
    with pytest.raises(FileNotFoundError):
        granule.diff(other, tmp_path / "none")
    with pytest.raises(re.error):
        granule.diff(other, other, filter="(")


def test_every_kind_of_difference(small, tmp_path):
    other = tmp_path / "other.gguf"
    tensors = {"blk.0.a": X.reshape(8, 128), "renamed": X + 1, "new": X[0]}
    granule.save_file(other, tensors, {"a.numbers": [1, 5, 3, 4], "a.number": np.int32(7)})
    found = granule.diff(small, other)
    changes = {it["key"]: it for it in found["metadata"]}
    assert changes["a.flag"]["before"] is True and changes["a.flag"]["after"] is None
    types = [changes["a.number"][side] for side in ["before_type", "after_type"]]
    assert types == ["U32", "I32"]
    assert changes["a.numbers"]["first_differing"] == [1, 3]
    kinds = {it["name"]: it for it in found["tensors"]["differences"]}
    assert kinds["blk.0.a"]["kind"] == "shape" and kinds["blk.0.a"]["after"]["shape"] == (8, 128)
    assert kinds["blk.1.a"] == {
        "kind": "renamed",
        "name": "blk.1.a",
        "after_name": "renamed",
        "before": {"type": "F32", "shape": (4, 256)},
    }
    assert kinds["new"]["kind"] == "added" and kinds["new"]["after"]["shape"] == (256,)


def test_tensors_are_hashed(small, tmp_path):
    data = [X.tobytes(), (X + 1).tobytes()]
    found = granule.hash(small)
    assert found == {
        "sha256": {
            "whole": hashlib.sha256(b"".join(data)).hexdigest(),
            "tensors": {
                f"blk.{i}.a": hashlib.sha256(part).hexdigest() for i, part in enumerate(data)
            },
        }
    }
    several = granule.hash(small, ["sha1", "uuid", "xxh64"], tensors=False, threads=1)
    assert several["sha1"] == {"whole": hashlib.sha1(b"".join(data)).hexdigest()}
    assert len(several["uuid"]["whole"]) == 36 and len(several["xxh64"]["whole"]) == 16
    with pytest.raises(ValueError, match="blake3"):
        granule.hash(small, ["md5"])
    manifest = tmp_path / "manifest"
    run = [sys.executable, "-m", "granule_gguf", "hash", str(small), "-q", "-o", str(manifest)]
    subprocess.run(run, check=True)
    compared = granule.check_hashes(small, manifest)
    assert len(compared) == 3 and {it["outcome"] for it in compared} == {"same"}
    assert compared[-1]["tensor"] is None and compared[-1]["algorithm"] == "sha256"
    granule.save_file(tmp_path / "other.gguf", {"blk.0.a": X, "new": X})
    compared = granule.check_hashes(tmp_path / "other.gguf", manifest, name=str(small))
    outcomes = {it["tensor"]: it["outcome"] for it in compared}
    assert outcomes == {
        "blk.0.a": "same",
        "new": "not_listed",
        "blk.1.a": "missing",
        None: "differs",
    }
    manifest.write_text("nothing")
    with pytest.raises(granule.errors.ManifestError):
        granule.check_hashes(small, manifest)


def test_metadata_is_edited_in_place(small):
    inode = small.stat().st_ino
    done = granule.edit(small, set={"a.number": 8, "a.half": 2}, special_tokens={"eos": "</s>"})
    changes = {it["key"]: it for it in done["metadata"]}
    assert changes["a.number"]["after"] == 8 and changes["a.half"]["after_type"] == "F32"
    metadata = granule.open(small).metadata
    assert metadata["a.number"] == 8 and metadata["tokenizer.ggml.eos_token_id"] == 1
    granule.edit(small, reserve=4096)
    inode = small.stat().st_ino
    done = granule.edit(small, chat_template="{{ new }}", set={"a.numbers": (4, 5)})
    assert done["way"] == "in_place" and 0 < done["bytes_written"] < 4096 and done["room"] > 0
    assert small.stat().st_ino == inode
    metadata = granule.open(small).metadata
    assert metadata["tokenizer.chat_template"] == "{{ new }}" and metadata["a.numbers"] == [4, 5]
    assert np.array_equal(granule.open(small)["blk.1.a"].array(), X + 1)
    assert granule.edit(small, set={"a.number": 8})["way"] == "nothing"


def test_keys_and_tensors_are_renamed(small, tmp_path):
    before = small.read_bytes()
    out = tmp_path / "out.gguf"
    done = granule.edit(
        small,
        rename={"a.number": "b.number"},
        remove=["a.flag", "a.byte"],
        rename_tensors=lambda name: re.sub(r"^blk\.(\d)", r"layer.\1", name),
        set={"b.number": 9, "a.byte": "now a text", "a.new": np.int16(-1)},
        chat_template={"default": "d", "tools": "t"},
        output=out,
    )
    assert done["way"] == "copy" and small.read_bytes() == before
    assert done["renamed_tensors"] == {"blk.0.a": "layer.0.a", "blk.1.a": "layer.1.a"}
    model = granule.open(out)
    assert model.keys() == ["layer.0.a", "layer.1.a"]
    assert model.metadata["b.number"] == 9 and model.metadata.type_of("b.number") == "U32"
    assert model.metadata["a.byte"] == "now a text" and "a.flag" not in model.metadata
    assert model.metadata.type_of("a.new") == "I16"
    assert model.metadata["tokenizer.chat_template.tools"] == "t"
    granule.edit(small, rename_tensors={"blk.0.a": "blk.1.a", "blk.1.a": "blk.0.a"})
    assert np.array_equal(granule.open(small)["blk.0.a"].array(), X + 1)


def test_edits_that_are_refused(small, model_path, tmp_path):
    before = small.read_bytes()
    wrong = [
        {"remove": ["none"]},
        {"rename": {"a.number": "a.flag"}},
        {"rename_tensors": {"blk.0.a": "blk.1.a"}},
        {"rename_tensors": {"none": "x"}},
        {"special_tokens": {"eos": "none"}},
        {"special_tokens": {"none": "x"}},
    ]
    for arguments in wrong:
        with pytest.raises(granule.errors.EditError):
            granule.edit(small, **arguments)
    with pytest.raises(granule.errors.WriteError, match="alignment"):
        granule.edit(small, set={"general.alignment": 3})
    for value in ["7", True, 1.5, [7], None]:
        with pytest.raises(TypeError, match="a.number"):
            granule.edit(small, set={"a.number": value})
    with pytest.raises(OverflowError, match="a.byte"):
        granule.edit(small, set={"a.byte": 256})
    for arguments in [{"set": 5}, {"rename": {1: 2}}, {"rename_tensors": lambda name: 5}]:
        with pytest.raises(TypeError):
            granule.edit(small, **arguments)
    assert small.read_bytes() == before
    assert granule.edit(small, set={"a.number": 1}, dry_run=True)["metadata"][0]["after"] == 1
    assert small.read_bytes() == before
    copy = tmp_path / "copy.gguf"
    shutil.copy(model_path, copy)
    with pytest.raises(granule.errors.EditError, match="invalid"):
        granule.edit(copy, set={"llama.block_count": 5})
    with pytest.raises(FileNotFoundError):
        granule.edit(tmp_path / "none.gguf")
    (tmp_path / "bad.gguf").write_text("no model")
    with pytest.raises(granule.errors.FormatError):
        granule.edit(tmp_path / "bad.gguf", remove=["x"])

"""Plans, conversions, files that are written."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap

import granule_gguf as granule
import numpy as np
import pytest
from conftest import CHECKPOINT


def test_a_checkpoint_becomes_the_file_of_the_program(tmp_path):
    summary = granule.convert(CHECKPOINT, tmp_path / "a.gguf", "Q4_K_M", verify=True, threads=2)
    assert [(str(path), size) for path, size in summary.files] == [
        (str(tmp_path / "a.gguf"), (tmp_path / "a.gguf").stat().st_size)
    ]
    assert summary.values > 0 and summary.data_bytes > 0 and summary.seconds >= 0
    assert summary.verified[0] > 0 and summary.resumed == 0 and summary.warnings == []
    run = [sys.executable, "-m", "granule_gguf", "convert", str(CHECKPOINT), "-t", "Q4_K_M", "-q"]
    subprocess.run([*run, "-o", str(tmp_path / "b.gguf")], check=True)
    assert digest(tmp_path / "a.gguf") == digest(tmp_path / "b.gguf")


def test_a_plan_is_a_dict(tmp_path):
    plan = granule.plan(CHECKPOINT, "Q4_K_M", tensor_types=["attn_v=Q6_K"])
    types = {tensor["name"]: tensor["target"] for tensor in plan["tensors"]}
    assert types["blk.0.attn_v.weight"] == "Q6_K"
    for tensor in plan["tensors"]:
        if tensor["name"] == "blk.1.ffn_up.weight":
            tensor["target"] = "Q8_0"
    plan = json.loads(json.dumps(plan))
    granule.convert(CHECKPOINT, tmp_path / "a.gguf", plan=plan)
    model = granule.open(tmp_path / "a.gguf")
    assert model["blk.1.ffn_up.weight"].type == "Q8_0"
    for faulty in [{**plan, "granule_plan": 99}, {}, "{", {**plan, "tensors": [{}]}]:
        with pytest.raises(granule.errors.PlanError):
            granule.convert(CHECKPOINT, tmp_path / "b.gguf", plan=faulty)


def test_sources_have_options(tmp_path):
    source = granule.Source(CHECKPOINT, outtype="f32", model_name="Another Name")
    assert source.metadata["general.name"] == "Another Name"
    tensor = source.tensors[0]
    assert tensor["type"] == "F32" or tensor["type"] == "F16"
    values = source.decode(tensor["name"])
    assert values.shape == tensor["shape"]
    assert np.array_equal(source.decode(tensor["name"], slice(1, 3)), values[1:3])
    granule.convert(source, tmp_path / "a.gguf")
    model = granule.open(tmp_path / "a.gguf")
    assert model.metadata["general.name"] == "Another Name"
    assert np.array_equal(model[tensor["name"]].decode(), values)
    assert granule.convert(model, tmp_path / "b.gguf", "Q8_0").files
    with pytest.raises(ValueError, match="outtype"):
        granule.Source(CHECKPOINT, outtype="Q4_K_M")
    with pytest.raises(KeyError):
        source.decode("no such")
    with pytest.raises(TypeError, match="file type"):
        granule.convert(model, tmp_path / "c.gguf")
    (tmp_path / "empty").mkdir()
    with pytest.raises(granule.errors.CheckpointError):
        granule.Source(tmp_path / "empty")


def test_progress_is_reported(tmp_path):
    seen = []
    granule.convert(CHECKPOINT, tmp_path / "a.gguf", "Q4_K_M", progress=seen.append)
    last = seen[-1]
    assert last.stage == "finishing" and last.fraction == 1.0
    assert last.values == last.total_values > 0 and last.tensors > 0 and last.tensor

    class Enough(Exception):
        pass

    def stop(_):
        raise Enough("no more")

    with pytest.raises(Enough, match="no more"):
        granule.convert(CHECKPOINT, tmp_path / "b.gguf", "Q4_K_M", progress=stop)


def test_importance_and_effort(tmp_path):
    path = tmp_path / "f32.gguf"
    granule.convert(granule.Source(CHECKPOINT, outtype="f32"), path)
    weights = {
        tensor.name: np.linspace(1, 2, tensor.row_values, dtype=np.float32)
        for tensor in granule.open(path).tensors
        if len(tensor.shape) == 2
    }
    matrix = granule.Importance(weights)
    granule.convert(path, tmp_path / "a.gguf", "Q4_K", imatrix=matrix)
    matrix.write(tmp_path / "imatrix.gguf")
    granule.convert(path, tmp_path / "b.gguf", "Q4_K", imatrix=tmp_path / "imatrix.gguf")
    granule.convert(path, tmp_path / "c.gguf", "Q4_K")
    granule.convert(path, tmp_path / "d.gguf", "Q4_K", effort=1)
    name = "blk.0.ffn_up.weight"
    blocks = [granule.open(tmp_path / f"{x}.gguf")[name].blocks().tobytes() for x in "abcd"]
    assert blocks[0] == blocks[1] and len(set(blocks)) == 3


def test_the_model_runs_while_it_is_quantized(tmp_path):
    source = granule.Source(CHECKPOINT)
    texts = ["The quick brown fox jumps over the lazy dog. " * 100]
    # one small tensor only: this takes long without optimization
    options = {"effort": 2, "allow_missing": True, "tensor_types": ["blk.0.attn_v=Q4_0"]}
    run = functools.partial(granule.convert, source, type="Q8_0", **options)
    few = {"calibrate": texts, "calibration_chunks": 1}
    saved = tmp_path / "statistics"
    summary = run(tmp_path / "a.gguf", **few, save_statistics=saved)
    assert summary.files and summary.warnings == []
    run(tmp_path / "b.gguf", statistics=saved)
    plan = granule.plan(source, "Q8_0", **options)
    granule.convert(source, tmp_path / "c.gguf", plan=plan, **few)
    assert digest(tmp_path / "a.gguf") == digest(tmp_path / "c.gguf")
    run(tmp_path / "plain.gguf", effort=0)
    assert digest(tmp_path / "a.gguf") != digest(tmp_path / "plain.gguf")
    out = tmp_path / "none.gguf"
    for arguments in [
        {},
        {"calibrate": False},
        {"calibrate": "a text that is no list"},
        {"calibrate": texts, "statistics": saved},
        {"statistics": saved, "calibration_chunks": 1},
        {"calibrate": texts, "effort": 1},
        {"statistics": saved, "effort": 0},
    ]:
        with pytest.raises(TypeError):
            run(out, **arguments)
    for few in [["short"], texts[:1]]:
        with pytest.raises(granule.errors.ModelError):
            run(out, calibrate=few, calibration_chunks=1, allow_missing=False)
    with pytest.raises(granule.errors.ModelError):
        run(out, statistics=tmp_path / "a.gguf")
    with pytest.raises(ValueError, match="effort"):
        granule.plan(source, "Q4_K", effort=3)
    assert not out.exists()


def test_outputs_that_cannot_be(tmp_path, model_path):
    for output, error in [
        (tmp_path, granule.errors.OutputError),
        (tmp_path / "none" / "a.gguf", granule.errors.OutputError),
        (model_path, granule.errors.OutputError),
    ]:
        with pytest.raises(error):
            granule.convert(model_path, output, "COPY")
    for options in [{"no_such_option": 1}, {"tensor_types": ["nonsense"]}, {"pure": "yes"}]:
        with pytest.raises(granule.errors.PlanError):
            granule.plan(model_path, "COPY", **options)
    with pytest.raises(granule.errors.UnknownTypeError):
        granule.plan(model_path, "Q4_K_X")
    with pytest.raises(granule.errors.PlanError):
        granule.plan(model_path, "Q8_0")  # it is quantized already
    with pytest.raises(TypeError, match="not both"):
        granule.convert(model_path, tmp_path / "a.gguf", "COPY", plan={})
    with pytest.raises(FileNotFoundError):
        granule.plan(tmp_path / "none", "COPY")


def test_files_are_written(tmp_path, model):
    x = np.random.default_rng(3).standard_normal((4, 256)).astype(np.float32)
    metadata = {
        "general.architecture": "test",
        "a.int": 7,
        "a.negative": -7,
        "a.large": 2**40,
        "a.float": 0.5,
        "a.bool": False,
        "a.byte": np.uint8(200),
        "a.double": np.float64(0.1),
        "a.list": [1, 2, 3],
        "a.floats": [1, 2.5],
        "a.strings": ["one", "zwei"],
        "tokenizer.ggml.tokens": ["<s>", "\udcff"],  # a token that is no UTF-8
        "a.bools": [True, False],
        "a.array": np.array([1, 2], np.int16),
        "a.nested": [[1], [2, 3]],
    }
    tensors = {
        "plain": x,
        "row": x[0],
        "quantized": ("Q4_K", granule.encode(x, "Q4_K")),
        "copied": model["token_embd.weight"],
        "big": x.astype(">f4"),
    }
    path = tmp_path / "a.gguf"
    granule.save_file(path, tensors, metadata)
    again = granule.open(path)
    assert again.metadata.to_dict() == {**metadata, "a.array": [1, 2]}
    types = {key: again.metadata.type_of(key) for key in metadata}
    assert types["a.int"] == "U32" and types["a.negative"] == "I32" and types["a.large"] == "U64"
    assert (
        types["a.byte"] == "U8" and types["a.double"] == "F64" and types["a.array"] == "Array[I16]"
    )
    assert types["a.floats"] == "Array[F32]" and types["a.nested"] == "Array[Array]"
    assert np.array_equal(again["plain"].array(), x) and np.array_equal(again["row"].array(), x[0])
    assert np.array_equal(again["big"].array(), x)
    assert np.array_equal(
        again["quantized"].decode(), granule.decode(tensors["quantized"][1], "Q4_K")
    )
    assert np.array_equal(again["copied"].blocks(), model["token_embd.weight"].blocks())
    granule.save_file(tmp_path / "b.gguf", again, again.metadata)
    assert digest(tmp_path / "b.gguf") == digest(path)
    with pytest.raises(granule.errors.OutputError):
        granule.save_file(path, again)
    for wrong in [{"x": x.astype("c8")}, {"x": ("Q4_K", x)}]:
        with pytest.raises(TypeError, match='"x"'):
            granule.save_file(tmp_path / "c.gguf", wrong)
    for wrong in [
        {"x": np.zeros((1, 1, 1, 1, 1), "f4")},
        {"": x},
        {"x": ("Q4_K", np.zeros(3, "u1"))},
    ]:
        with pytest.raises(ValueError):
            granule.save_file(tmp_path / "c.gguf", wrong)
    for wrong in [{"k": []}, {"k": None}, {"k": [1, "a"]}, {"k": b"x"}, {"k": {}}]:
        with pytest.raises(TypeError):
            granule.save_file(tmp_path / "c.gguf", {}, wrong)
    with pytest.raises(OverflowError):
        granule.save_file(tmp_path / "c.gguf", {}, {"k": 2**64})
    assert not (tmp_path / "c.gguf").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_a_conversion(tmp_path):
    """The conversion stops, KeyboardInterrupt is raised, and no output appears."""
    x = np.random.default_rng(5).standard_normal((4096, 2048)).astype(np.float32)
    tensors = {f"blk.{i}.ffn_up.weight": x for i in range(2)}
    granule.save_file(tmp_path / "large.gguf", tensors, {"general.architecture": "llama"})
    script = """
        import os, signal, sys
        import granule_gguf as granule
        # a shell that starts the tests in its background has it ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
        def hit(progress):
            if progress.stage == "encoding":
                os.kill(os.getpid(), signal.SIGINT)
        try:
            granule.convert(sys.argv[1], sys.argv[2], "IQ2_XS", progress=hit, threads=1,
                            imatrix=granule.Importance({f"blk.{i}.ffn_up.weight": [1.0] * 2048
                                                        for i in range(2)}))
        except KeyboardInterrupt:
            print("interrupted")
    """
    out = tmp_path / "out.gguf"
    run = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "large.gguf"), str(out)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60)
    assert done.stdout == "interrupted\n", done.stderr
    assert not out.exists()
    assert signal.getsignal(signal.SIGINT) is not None


def digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""Opening files, metadata, tensors."""

from __future__ import annotations

import gc
import threading
from collections.abc import Mapping

import granule_gguf as granule
import numpy as np
import pytest


def test_a_model_is_a_mapping(model):
    assert isinstance(model, Mapping)
    assert list(model) == model.keys() == [tensor.name for tensor in model.tensors]
    assert len(model) == len(model.values()) == len(model.items())
    name = model.keys()[0]
    assert name in model and "no such" not in model and 5 not in model
    assert model[name].name == name == model.get(name).name
    assert model.get("no such") is None and model.get("no such", 7) == 7
    with pytest.raises(KeyError, match="no such"):
        model["no such"]
    assert (model.version, model.alignment, model.byteorder) == (3, 32, "little")
    assert "model-Q4_K_M.gguf" in repr(model) and str(model.paths[0]).endswith(".gguf")


def test_metadata_are_python_values(model):
    metadata = model.metadata
    assert isinstance(metadata, Mapping)
    assert metadata["general.architecture"] == "llama"
    assert metadata["llama.block_count"] == 2
    assert metadata["tokenizer.ggml.add_bos_token"] is True
    assert isinstance(metadata["llama.attention.layer_norm_rms_epsilon"], float)
    tokens = metadata["tokenizer.ggml.tokens"]
    assert tokens[:3] == ["<unk>", "<s>", "</s>"] and len(tokens) == len(
        metadata["tokenizer.ggml.scores"]
    )
    assert metadata.type_of("llama.block_count") == "U32"
    assert metadata.type_of("tokenizer.ggml.tokens") == "Array[String]"
    assert metadata.to_dict() == dict(metadata.items())
    assert metadata.get("no such") is None and "no such" not in metadata
    with pytest.raises(KeyError):
        metadata["no such"]


def test_blocks_are_views_of_the_file(model, model_path):
    tensor = model["token_embd.weight"]
    blocks = tensor.blocks()
    assert blocks.dtype == np.uint8 and blocks.size == tensor.nbytes
    assert not blocks.flags.writeable and not blocks.flags.owndata
    with pytest.raises(ValueError):
        blocks[0] = 1
    data = model_path.read_bytes()
    assert blocks.tobytes() in data
    again = tensor.blocks(slice(1, 3))
    assert np.shares_memory(blocks, again) and np.array_equal(again, blocks[1:3])


def test_a_view_keeps_the_file_open(model_path):
    model = granule.open(model_path)
    blocks = model["token_embd.weight"].blocks()
    expected = blocks.tobytes()
    del model
    gc.collect()
    assert blocks.tobytes() == expected


def test_files_need_not_be_mapped(model, model_path):
    for other in [
        granule.open(model_path, mmap=False),
        granule.open_bytes(model_path.read_bytes()),
    ]:
        assert other.keys() == model.keys()
        for name, tensor in other.items():
            assert np.array_equal(tensor.blocks(), model[name].blocks())
            assert np.array_equal(tensor.decode(), model[name].decode())
    assert granule.open_bytes(bytearray(model_path.read_bytes())).paths == []


def test_rows_are_decoded(model):
    for tensor in model.tensors:
        values = tensor.decode()
        assert values.dtype == np.float32 and values.shape == tensor.shape
        assert values.size == tensor.size == tensor.rows * tensor.row_values
        flat = values.reshape(tensor.rows, tensor.row_values)
        assert np.array_equal(tensor.decode(slice(None)), flat)
        assert np.array_equal(tensor.decode(0), flat[:1])
        assert np.array_equal(tensor.decode(-1), flat[-1:])
        assert np.array_equal(tensor.decode(range(0, 1)), flat[:1])
        assert np.array_equal(np.asarray(tensor, dtype=np.float32), values)
        assert np.array_equal(tensor.decode(dtype="float16"), values.astype(np.float16))
        assert np.array_equal(granule.decode(tensor.blocks(), tensor.type), values)


def test_bfloat16(model):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    tensor = model["token_embd.weight"]
    values = tensor.decode(dtype="bfloat16")
    assert values.dtype == ml_dtypes.bfloat16
    assert np.array_equal(values, tensor.decode().astype(ml_dtypes.bfloat16))
    assert np.array_equal(tensor.decode(dtype=ml_dtypes.bfloat16), values)
    assert np.array_equal(granule.decode(tensor.blocks(), tensor.type, dtype="bf16"), values)


def test_an_array_of_the_caller_is_filled(model):
    tensor = model["token_embd.weight"]
    for dtype in [np.float32, np.float16]:
        out = np.full(tensor.shape, 7, dtype)
        assert tensor.decode(out=out) is out
        assert np.array_equal(out, tensor.decode(dtype=dtype))
    locked = np.zeros(tensor.shape, np.float32)
    locked.setflags(write=False)
    transposed = np.zeros(tensor.shape[::-1], np.float32).T
    swapped = np.zeros(tensor.shape, np.dtype("f4").newbyteorder())
    for wrong in [np.zeros(3, np.float32), locked, transposed, swapped]:
        with pytest.raises(ValueError, match="out"):
            tensor.decode(out=wrong)
    for wrong in [np.zeros(tensor.shape, np.int64), [1.0]]:
        with pytest.raises((TypeError, AttributeError)):
            tensor.decode(out=wrong)


def test_rows_that_are_not_there(model):
    tensor = model["token_embd.weight"]
    assert tensor.decode(slice(tensor.rows, None)).shape == (0, tensor.row_values)
    assert tensor.gather([5, 0, 5]).tolist() == tensor.decode()[[5, 0, 5]].tolist()
    for rows in [tensor.rows, -tensor.rows - 1, range(0, tensor.rows + 1)]:
        with pytest.raises(IndexError):
            tensor.decode(rows)
    with pytest.raises(IndexError):
        tensor.gather([tensor.rows])
    with pytest.raises(ValueError, match="step"):
        tensor.decode(slice(0, 4, 2))
    with pytest.raises(TypeError):
        tensor.decode("all")
    with pytest.raises(TypeError, match="int8"):
        tensor.decode(dtype="int8")
    with pytest.raises(IndexError):
        tensor.matrix(1)
    assert np.array_equal(tensor.matrix(0).decode(), tensor.decode())


def test_matrices_of_experts(tmp_path):
    experts = np.arange(3 * 4 * 32, dtype=np.float32).reshape(3, 4, 32)
    granule.save_file(
        tmp_path / "experts.gguf", {"experts": ("Q8_0", granule.encode(experts, "Q8_0"))}
    )
    tensor = granule.open(tmp_path / "experts.gguf")["experts"]
    assert (tensor.shape, tensor.matrices, tensor.rows) == ((3, 4, 32), 3, 12)
    second = tensor.matrix(1)
    assert second.shape == (4, 32) and second.matrices == 1
    assert np.array_equal(second.decode(), tensor.decode()[1])
    assert np.array_equal(second.blocks(), tensor.blocks()[1])


def test_plain_numbers_are_views(model, tmp_path):
    norm = model["output_norm.weight"]
    assert norm.type == "F32"
    array = norm.array()
    assert array.dtype == np.float32 and not array.flags.owndata
    assert np.array_equal(array, norm.decode()) and np.array_equal(np.asarray(norm), array)
    with pytest.raises(TypeError, match="decode"):
        model["token_embd.weight"].array()
    arrays = {
        str(dtype): np.arange(6).reshape(2, 3).astype(dtype)
        for dtype in ["f4", "f2", "f8", "i1", "i2", "i4", "i8"]
    }
    granule.save_file(tmp_path / "plain.gguf", arrays)
    for name, tensor in granule.open(tmp_path / "plain.gguf").items():
        assert tensor.array().dtype == arrays[name].dtype
        assert np.array_equal(tensor.array(), arrays[name])


def test_products(model):
    tensor = model["blk.0.ffn_up.weight"]
    x = np.random.default_rng(1).standard_normal((2, 3, tensor.row_values)).astype(np.float32)
    expected = x @ tensor.decode().T
    for found in [tensor.matmul(x), tensor.pack().matmul(x), tensor.matmul(x, threads=2)]:
        assert found.shape == expected.shape
        assert np.linalg.norm(found - expected) < 0.02 * np.linalg.norm(expected)
    assert tensor.matmul(x[0, 0].tolist()).shape == (tensor.rows,)
    assert (tensor.pack().rows, tensor.pack().row_values) == (tensor.rows, tensor.row_values)
    for wrong in [x[..., 1:], np.float32(1), "x"]:
        with pytest.raises(ValueError):
            tensor.matmul(wrong)


def test_many_threads_read_one_model(model):
    tensor = model["token_embd.weight"]
    expected = tensor.decode()
    wrong = []

    def work():
        for _ in range(20):
            if not np.array_equal(tensor.decode(threads=2), expected):
                wrong.append(True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_errors_have_classes(tmp_path, model_path):
    with pytest.raises(FileNotFoundError) as raised:
        granule.open(tmp_path / "none.gguf")
    assert raised.value.filename.endswith("none.gguf")
    with pytest.raises(IsADirectoryError):
        granule.open(tmp_path)
    (tmp_path / "text.gguf").write_text("not a model")
    with pytest.raises(granule.errors.FormatError, match="not a GGUF file") as raised:
        granule.open(tmp_path / "text.gguf")
    assert raised.value.path == tmp_path / "text.gguf" and raised.value.offset == 0
    assert isinstance(raised.value, (granule.GranuleError, ValueError))
    data = model_path.read_bytes()
    with pytest.raises(granule.errors.FormatError):
        granule.open_bytes(data[:1000])
    with pytest.raises(TypeError):
        granule.open(5)


def test_split_sets(tmp_path, model_path, model):
    granule.convert(model_path, tmp_path / "part.gguf", plan=split_plan(model_path))
    paths = sorted(tmp_path.glob("part-*.gguf"))
    assert len(paths) > 1
    whole = granule.open(paths[1])
    assert [str(path) for path in whole.paths] == [str(path) for path in paths]
    assert sorted(whole) == sorted(model)
    assert len(granule.open(paths[1], alone=True)) < len(model)
    paths[0].unlink()
    with pytest.raises(FileNotFoundError):
        granule.open(paths[1])
    with pytest.raises(granule.errors.SplitError):
        granule.open_bytes(paths[1].read_bytes())


def split_plan(path):
    return granule.plan(path, "COPY", split={"max_tensors": 8})

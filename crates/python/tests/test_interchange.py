"""Other libraries: gguf, PyTorch, and processes that are forked."""

from __future__ import annotations

import os

import granule_gguf as granule
import numpy as np
import pytest


def test_all_tensors_at_once(model_path, model):
    tensors = granule.load_file(model_path)
    assert list(tensors) == list(model)
    for name, array in tensors.items():
        assert np.array_equal(array, model[name].decode())
    assert not tensors["output_norm.weight"].flags.writeable
    halves = granule.load_file(model_path, dtype="float16")
    assert {array.dtype for array in halves.values()} == {np.dtype(np.float16)}
    with pytest.raises(ValueError, match="framework"):
        granule.load_file(model_path, framework="jax")


def test_tensors_one_by_one(model_path, model):
    with granule.safe_open(model_path, "np") as file:
        assert file.keys() == model.keys()
        assert file.metadata()["general.architecture"] == "llama"
        array = file.get_tensor("output_norm.weight")
        assert file.get_slice("token_embd.weight").decode(3).shape[0] == 1
    assert array.sum() == model["output_norm.weight"].decode().sum()
    with pytest.raises(ValueError, match="closed"):
        file.keys()


def test_dlpack(model):
    norm = model["output_norm.weight"]
    assert norm.__dlpack_device__() == (1, 0)
    assert "dltensor" in repr(norm.__dlpack__())
    assert "dltensor_versioned" in repr(norm.__dlpack__(max_version=(1, 0)))
    with pytest.raises(BufferError):
        norm.__dlpack__(dl_device=(2, 0))
    if tuple(int(n) for n in np.__version__.split(".")[:2]) >= (2, 1):
        array = np.from_dlpack(norm)
        assert np.array_equal(array, norm.decode())
        assert np.shares_memory(array, norm.array()) and not array.flags.writeable
        embedding = model["token_embd.weight"]
        assert np.array_equal(np.from_dlpack(embedding), embedding.blocks())


def test_pytorch(model_path, model, tmp_path):
    torch = pytest.importorskip("torch")
    norm = model["output_norm.weight"]
    tensor = torch.from_dlpack(norm)
    assert tensor.dtype == torch.float32
    assert tensor.data_ptr() == norm.array().__array_interface__["data"][0]
    assert torch.equal(tensor, torch.from_numpy(norm.decode()))
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    blocks = granule.encode(x, "BF16")
    granule.save_file(tmp_path / "bf16.gguf", {"x": ("BF16", blocks)})
    lent = torch.from_dlpack(granule.open(tmp_path / "bf16.gguf")["x"])
    assert lent.dtype == torch.bfloat16 and lent.float().tolist() == x.tolist()
    tensors = granule.load_file(model_path, framework="pt")
    assert all(torch.is_tensor(it) for it in tensors.values())
    tensors["output_norm.weight"] += 1  # a copy, which can be written to
    assert granule.load_file(model_path, framework="pt", dtype="bfloat16")


def test_gguf_reads_what_is_written(tmp_path, model_path, model):
    gguf = pytest.importorskip("gguf")
    reader = gguf.GGUFReader(str(model_path))
    assert [it.name for it in reader.tensors] == model.keys()
    for theirs in reader.tensors:
        ours = model[theirs.name]
        assert theirs.tensor_type.name == ours.type
        assert np.array_equal(theirs.data.view(np.uint8).reshape(-1), ours.blocks().reshape(-1))
        values = gguf.quants.dequantize(theirs.data, theirs.tensor_type)
        assert np.array_equal(values, ours.decode())
    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    assert tokens == model.metadata["tokenizer.ggml.tokens"]


def test_what_gguf_writes_is_read(tmp_path):
    gguf = pytest.importorskip("gguf")
    x = np.random.default_rng(9).standard_normal((8, 64)).astype(np.float32)
    writer = gguf.GGUFWriter(str(tmp_path / "theirs.gguf"), "llama")
    writer.add_string("general.name", "Name")
    writer.add_array("some.list", [1, 2, 3])
    writer.add_uint8("some.byte", 200)
    writer.add_tensor("plain", x)
    q8_0 = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor("quantized", gguf.quants.quantize(x, q8_0), raw_dtype=q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model = granule.open(tmp_path / "theirs.gguf")
    assert model.metadata["general.name"] == "Name" and model.metadata["some.list"] == [1, 2, 3]
    assert model.metadata.type_of("some.byte") == "U8"
    assert np.array_equal(model["plain"].array(), x)
    assert np.array_equal(model["quantized"].blocks(), granule.encode(x, "Q8_0"))
    assert granule.check(tmp_path / "theirs.gguf").findings is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    x = np.zeros((4096, 256), np.float32)
    granule.encode(x, "Q4_K")  # starts the threads of this process
    child = os.fork()
    if child == 0:
        granule.encode(x, "Q4_K")
        os._exit(7)
    _, status = os.waitpid(child, 0)
    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 7

#!/usr/bin/env python3
"""Make fixtures/sources: small weight files of every kind, and the values that the reference reads from them.

    python3 tools/reference/sources.py LLAMA_CPP fixtures/sources

LLAMA_CPP is the folder of the reference's sources (its `conversion` package is imported). Needs torch, numpy,
safetensors and transformers in the versions that fixtures/sources/README.md names. Writes a folder for each case:
the weights, `config.json` where it matters, and `expected.json`, a list of the tensors in the reference's order with
type, shape and bytes (f32 unless the type says otherwise), or in `refused.json` texts that an error must have.
"""

import json
import os
import shutil
import sys
import types
import zipfile
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file

LLAMA_CPP, OUT = Path(sys.argv[1]), Path(sys.argv[2])
sys.path[:0] = [str(LLAMA_CPP), str(LLAMA_CPP / "gguf-py")]

TYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.float8_e8m0fnu: "F8_E8M0",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint64: "U64", torch.uint32: "U32", torch.uint16: "U16", torch.uint8: "U8", torch.bool: "BOOL",
}


def values(*shape):
    """Numbers that tell every place apart."""
    count = int(numpy.prod(shape, dtype=int))
    return torch.arange(count, dtype=torch.float64).mul(1.37).sub(count / 3).reshape(shape)


def described(name, tensor, ty=None):
    return {
        "name": name,
        "type": ty or TYPES[tensor.dtype],
        "shape": list(tensor.shape),
        "f32": tensor.detach().to(torch.float32).contiguous().numpy().tobytes().hex(),
    }


def case(name, config=None):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    return folder


def expect(folder, tensors):
    lines = ",\n".join(json.dumps(tensor) for tensor in tensors)
    (folder / "expected.json").write_text(f"[\n{lines}\n]\n")


def refuse(folder, *texts):
    (folder / "refused.json").write_text(json.dumps(texts, indent=1) + "\n")


def state():
    """A state dictionary as modules give it, with whatever torch can save in one."""
    tied = values(6, 4).to(torch.float16)
    whole = values(8, 6).to(torch.float32)
    parameter = torch.nn.Parameter(values(3).to(torch.bfloat16), requires_grad=False)
    marked = torch.nn.Parameter(values(2, 2).to(torch.float32))
    marked.note = "kept beside"
    noted = values(2).to(torch.float32)
    noted.note = 1.5
    tensors = torch.nn.Linear(2, 3).state_dict()  # an OrderedDict with a _metadata attribute
    tensors["weight"].copy_(values(3, 2))
    tensors["bias"].copy_(values(3))
    tensors |= {
        "z.first": tied,
        "a.tied": tied,
        "view.transposed": whole.t(),
        "view.columns": whole[:, 1:4],
        "view.steps": whole[1::3, ::2],
        "view.rows": whole[2:5],
        "view.turned": values(2, 3, 4).to(torch.bfloat16).permute(2, 0, 1),
        "parameter": parameter,
        "parameter.marked": marked,
        "tensor.noted": noted,
        "scalar": torch.tensor(-3.25, dtype=torch.float64),
        "empty": torch.empty(0, 4),
        "f64": values(3).to(torch.float64),
        "bf16": values(2, 2).to(torch.bfloat16),
        "i64": torch.tensor([-(2**53) - 3, 2**31]),
        "i32": torch.tensor([-16777219, 7], dtype=torch.int32),
        "i16": torch.tensor([-5, 300], dtype=torch.int16),
        "i8": torch.tensor([-128, 127], dtype=torch.int8),
        "u8": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "f8": values(4).to(torch.float8_e4m3fn),
        "u16": torch.tensor([1, 65535], dtype=torch.uint16),
    }
    return tensors


def rewrite(source, target, change, compression=zipfile.ZIP_STORED):
    """Copy an archive; `change` gets name and bytes of every entry and gives them back."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for entry in old.infolist():
            name, data = change(entry.filename, old.read(entry))
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            new.writestr(info, data)


def torch_files():
    tensors = state()
    folder = case("torch")
    little = folder / "pytorch_model.bin"
    torch.save(tensors, little)
    loaded = torch.load(little, weights_only=True, mmap=True)
    expected = [described(name, tensor) for name, tensor in loaded.items()]
    expect(folder, expected)

    # As a big-endian machine writes it: the numbers of each storage the other way round.
    folder = case("torch-big-endian")
    sizes = {}
    for tensor in tensors.values():
        sizes[tensor.untyped_storage().data_ptr()] = tensor.dtype.itemsize
    keys = list(dict.fromkeys(t.untyped_storage().data_ptr() for t in tensors.values() if t.numel()))

    def swap(name, data):
        if name.endswith("/byteorder"):
            data = b"big"
        elif "/data/" in name and data:
            size = sizes[keys[storage_index[name]]]
            data = numpy.frombuffer(data, f"u{size}").byteswap().tobytes()
        return name, data

    with zipfile.ZipFile(little) as archive:
        names = [i.filename for i in archive.infolist() if "/data/" in i.filename and i.file_size]
        storage_index = {name: index for index, name in enumerate(names)}
        assert len(names) == len(keys)
        for name, key in zip(names, keys):
            assert archive.getinfo(name).file_size % sizes[key] == 0
    big = folder / "pytorch_model.bin"
    rewrite(little, big, swap)
    loaded = torch.load(big, weights_only=True)
    for entry in expected:
        # PyTorch forgets to turn numbers of types that have no storage class.
        if entry["type"] != "U16":
            assert described(entry["name"], loaded[entry["name"]]) == entry, entry["name"]
    expect(folder, expected)

    folder = case("torch-compressed")
    rewrite(little, folder / "pytorch_model.bin", lambda *entry: entry, zipfile.ZIP_DEFLATED)
    refuse(folder, "pytorch_model.bin", "data.pkl", "compressed")

    folder = case("torch-old")
    torch.save(
        {"a": torch.ones(2)}, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False
    )
    refuse(folder, "pytorch_model.bin", "before version 1.6", "0x1950a86a20f9469cfc6c")

    class Foreign:
        def __reduce__(self):
            return os.system, ("echo this must not run",)

    folder = case("torch-foreign-global")
    torch.save({"a": torch.ones(2), "b": Foreign()}, folder / "pytorch_model.bin")
    refuse(folder, "pytorch_model.bin", "posix.system", "nothing was run")

    folder = case("torch-nested")
    torch.save({"epoch": 3, "model": {"a": torch.ones(2)}}, folder / "pytorch_model.bin")
    refuse(folder, "pytorch_model.bin", "epoch", "state_dict")

    folder = case("torch-repeated")
    torch.save({"a": torch.ones(3).expand(1000, 3)}, folder / "pytorch_model.bin")
    refuse(folder, "pytorch_model.bin", '"a"', "3000 values", "contiguous")

    folder = case("torch-protocol-4")
    torch.save({"a": torch.ones(2)}, folder / "pytorch_model.bin", pickle_protocol=4)
    refuse(folder, "pytorch_model.bin", "FRAME", "byte 2 ")


def all_types():
    folder = case("types")
    every = torch.arange(256, dtype=torch.uint8)
    tensors = {TYPES[ty].lower(): every.clone().view(ty) for ty in (
        torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu, torch.int8, torch.uint8)}
    wide = every[:40].mul(171).add(every[:40].flip(0))
    tensors |= {TYPES[ty].lower(): wide.clone().view(ty) for ty in (
        torch.int64, torch.int32, torch.int16, torch.uint64, torch.uint32, torch.uint16)}
    tensors |= {TYPES[ty].lower(): values(7).to(ty) for ty in (
        torch.float64, torch.float32, torch.float16, torch.bfloat16)}
    tensors["bool"] = torch.tensor([False, True, True])
    save_file(tensors, folder / "model.safetensors")
    expect(folder, [described(name, tensors[name]) for name in sorted(tensors)])


def dequantized(tensors, config):
    """What the reference makes of quantized tensors, in its order."""
    from conversion.base import ModelBase

    model = types.SimpleNamespace(
        hparams=config, lazy=False, _is_nvfp4=False, _fp8_as_q8=False, _fp8_dequantized=set(),
        model_tensors={name: lambda t=tensors[name]: t for name in sorted(tensors)},
    )
    ModelBase.dequant_model(model)
    return [described(name, load()) for name, load in model.model_tensors.items()]


def scaled():
    def fp8(*shape):
        return values(*shape).mul(0.7).to(torch.float8_e4m3fn)

    def scales(ty, *shape):
        return values(*shape).add(9.123).mul(0.0137).to(ty)

    f32, bf16 = torch.float32, torch.bfloat16
    norm = {"model.norm.weight": values(5).to(bf16)}
    cases = {
        "fp8-blocks": (
            {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [8, 16]},
            norm | {
                "model.a.weight": fp8(20, 40), "model.a.weight_scale_inv": scales(f32, 3, 3),
                "model.b.weight": fp8(8, 16), "model.b.weight_scale_inv": scales(bf16, 1, 1),
                "model.c.weight": fp8(8, 9), "model.c.weight_scale_inv": scales(f32, 1, 1),
                "model.experts": fp8(3, 9, 17), "model.experts_scale_inv": scales(f32, 3, 2, 2),
                "model.a.activation_scale": scales(f32, 1),
                "model.plain.weight": values(3, 3).to(bf16),
            },
        ),
        "fp8-tensors": (
            {"quant_method": "fp8", "activation_scheme": "static", "weight_block_size": None},
            norm | {
                "layers.0.a.weight": fp8(5, 7), "layers.0.a.qscale_weight": scales(f32),
                "layers.0.a.qscale_act": scales(f32),
                "layers.0.b.weight": fp8(5, 7), "layers.0.b.weight_scale_inv": scales(bf16, 1),
                "layers.0.raw.weight": fp8(5, 7),
            },
        ),
        "fp8-channels": (
            {
                "quant_method": "compressed-tensors", "format": "float-quantized",
                "config_groups": {"group_0": {"weights": {
                    "num_bits": 8, "type": "float", "strategy": "channel", "group_size": None,
                    "block_structure": None}}},
            },
            norm | {"model.a.weight": fp8(6, 10), "model.a.weight_scale": scales(bf16, 6, 1)},
        ),
        "int8-channels": (
            {
                "quant_method": "compressed-tensors", "format": "int-quantized",
                "config_groups": {"group_0": {"weights": {
                    "num_bits": 8, "type": "int", "strategy": "channel"}}},
            },
            norm | {
                "model.a.weight": values(6, 10).to(torch.int8), "model.a.weight_scale": scales(f32, 6, 1),
            },
        ),
        "fp8-modelopt": (
            {"quant_method": "modelopt", "quant_algo": "FP8"},
            norm | {
                "model.a.weight": fp8(6, 10), "model.a.weight_scale": scales(f32),
                "model.a.input_scale": scales(f32), "model.a.k_scale": scales(f32),
                "model.b.weight": fp8(6, 10), "model.b.weight_scale": scales(f32, 6),
            },
        ),
    }
    def words(*shape):
        generator = torch.Generator().manual_seed(len(shape) + shape[0])
        return torch.randint(-(2**31), 2**31, shape, generator=generator).to(torch.int32)

    def gptq(prefix, bits, rows, columns, groups):
        per_word = 32 // bits
        return {
            f"{prefix}.qweight": words(columns // per_word, rows),
            f"{prefix}.qzeros": words(groups, rows // per_word),
            f"{prefix}.scales": scales(torch.float16, groups, rows),
            f"{prefix}.g_idx": torch.arange(columns).mul(7).remainder(groups).to(torch.int32),
        }

    def packed(prefix, bits, rows, columns, group, zeros):
        per_word = 32 // bits
        tensors = {
            f"{prefix}.weight_packed": words(rows, -(-columns // per_word)),
            f"{prefix}.weight_scale": scales(bf16, rows, columns // group),
            f"{prefix}.weight_shape": torch.tensor([rows, columns]),
        }
        if zeros:
            tensors[f"{prefix}.weight_zero_point"] = words(-(-rows // per_word), columns // group)
        return tensors

    def pack_quantized(bits, group):
        weights = {"num_bits": bits, "type": "int", "strategy": "group", "group_size": group}
        return {
            "quant_method": "compressed-tensors", "format": "pack-quantized",
            "config_groups": {"group_0": {"weights": weights}},
        }

    for bits, version in ((4, "gptq"), (8, "gptq_v2"), (2, "gptq")):
        cases[f"gptq-{bits}"] = (
            {"quant_method": "gptq", "bits": bits, "checkpoint_format": version},
            norm | gptq("layers.0.a", bits, 16, 32, 3) | {"layers.0.b.weight": values(2, 3).to(bf16)},
        )
    cases["packed-4"] = (
        pack_quantized(4, 8),
        norm | packed("layers.0.a", 4, 10, 16, 8, False) | packed("layers.0.b", 4, 10, 24, 8, True),
    )
    cases["packed-3"] = (pack_quantized(3, 6), norm | packed("layers.0.a", 3, 5, 18, 6, False))
    cases["bitnet"] = (
        {"quant_method": "bitnet"},
        norm | {
            "model.a.weight": words(3, 2).view(torch.uint8), "model.a.weight_scale": scales(bf16, 1),
        },
    )
    for name, (quantization, tensors) in cases.items():
        config = {"quantization_config": quantization}
        folder = case(name, config)
        save_file(tensors, folder / "model.safetensors")
        expect(folder, dequantized(tensors, config))


def mxfp4():
    import gguf
    from conversion.gpt_oss import GptOssModel

    folder = case("mxfp4", {"quantization_config": {"quant_method": "mxfp4"}})
    generator = torch.Generator().manual_seed(1)

    def some(*shape):
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)

    name = "model.layers.0.mlp.experts.{}_proj_{}"
    tensors = {
        name.format("down", "blocks"): some(2, 5, 3, 16), name.format("down", "scales"): some(2, 5, 3),
        name.format("gate_up", "blocks"): some(2, 6, 1, 16), name.format("gate_up", "scales"): some(2, 6, 1),
        "model.norm.weight": values(4).to(torch.bfloat16),
    }
    save_file(tensors, folder / "model.safetensors")

    written = []
    writer = types.SimpleNamespace(add_tensor=lambda name, data, raw_dtype: written.append((name, data)))
    model = types.SimpleNamespace(
        gguf_writer=writer,
        transform_nibble_layout=lambda blocks: GptOssModel.transform_nibble_layout(None, blocks),
        get_tensors=lambda: ((name, tensors[name]) for name in sorted(tensors)),
        map_tensor_name=lambda name: name,
    )
    model.repack_mxfp4 = lambda *args: GptOssModel.repack_mxfp4(model, *args)
    GptOssModel.generate_extra_tensors(model)
    blocks = {name.split(".")[-2]: data for name, data in written}
    # The reference takes the rows of two tensors in turn out of one: put them back.
    both = numpy.stack([blocks["gate_proj"], blocks["up_proj"]], axis=2)
    joined = {"down": blocks["down_proj"], "gate_up": both.reshape(2, 6, -1)}
    del gguf
    expect(folder, [
        {
            "name": name.format(part, "blocks"), "type": "MXFP4",
            "shape": [*data.shape[:-1], data.shape[-1] // 17 * 32], "bytes": data.tobytes().hex(),
        }
        for part, data in joined.items()
    ] + [described("model.norm.weight", tensors["model.norm.weight"])])


if __name__ == "__main__":
    torch_files()
    all_types()
    scaled()
    mxfp4()

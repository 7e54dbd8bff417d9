#!/usr/bin/env python3
"""Make cases of fixtures/sources that the reference cannot read: weights as quantization libraries write them, and the
values that the same libraries read from them.

    python3 tools/reference/quantized_sources.py AUTOAWQ GPTQMODEL fixtures/sources

AUTOAWQ and GPTQMODEL are the folders of the source packages autoawq and gptqmodel, whose modules are loaded one by one
because the packages need a GPU. Needs the other libraries in the versions that fixtures/sources/README.md names.
`expected.json` is that of sources.py, with a type in `rounded` where the library computes in 16 bits: Granule's values
in f32 must become the library's when they are rounded to it.
"""

import ast
import importlib.util
import json
import shutil
import sys
import types
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file

AWQ, GPTQ, OUT = (Path(argument) for argument in sys.argv[1:4])
NAMES = {torch.float32: None, torch.float16: "F16", torch.bfloat16: "BF16"}
torch.manual_seed(7)


def f32(tensor):
    return tensor.detach().to(torch.float32).contiguous().numpy().tobytes().hex()


def value(name, tensor, rounded=None):
    entry = {"name": name, "type": "F32", "shape": list(tensor.shape), "f32": f32(tensor)}
    if rounded := rounded or NAMES[tensor.dtype]:
        entry["rounded"] = rounded
    return entry


def blocks(name, ty, shape, data):
    return {"name": name, "type": ty, "shape": list(shape), "bytes": bytes(data).hex()}


def case(name, tensors, expected, config=None):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / "model.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    lines = ",\n".join(json.dumps(tensor) for tensor in expected)
    (folder / "expected.json").write_text(f"[\n{lines}\n]\n")


def entry(method, **values):
    return {"quantization_config": {"quant_method": method, **values}}


def load(path, name, **stubs):
    """Load one module of a package, with stand-ins for what it imports."""
    for stub, members in stubs.items():
        module = types.ModuleType(stub.replace("__", "."))
        module.__dict__.update(members)
        sys.modules[module.__name__] = module
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def awq():
    for package in ("awq", "awq.utils", "awq.modules"):
        sys.modules[package] = types.ModuleType(package)
    packing = load(AWQ / "awq/utils/packing_utils.py", "awq.utils.packing_utils")
    stubs = {
        "awq__utils__module": {"try_import": lambda name: (None, "")},
        "awq__utils__utils": {"get_best_device": lambda: "cpu"},
        "awq__modules__triton__gemm": {"awq_gemm_triton": None, "awq_dequantize_triton": None},
    }
    rows, columns, group = 32, 64, 32
    codes = torch.randint(0, 16, (rows, columns))
    zeros = torch.randint(0, 16, (rows, columns // group))
    scales = (torch.rand(rows, columns // group) * 0.02 + 0.001).half()
    linear = torch.nn.Linear(columns, rows, bias=False)
    per_column = [each.repeat_interleave(group, 1) for each in (scales.float(), zeros)]
    linear.weight.data = ((codes - per_column[1]) * per_column[0]).float()
    for layout in ("gemm", "gemv"):
        module = load(AWQ / f"awq/modules/linear/{layout}.py", f"awq_{layout}", **stubs)
        layer = getattr(module, f"WQLinear_{layout.upper()}")
        parts = (scales, zeros) if layout == "gemv" else (scales.t().contiguous(), zeros.t().contiguous())
        made = layer.from_linear(linear, 4, group, scales=parts[0], zeros=parts[1])
        state = {f"model.a.{key}": tensor for key, tensor in made.state_dict().items()}
        if layout == "gemm":
            weight = packing.dequantize_gemm(made.qweight, made.qzeros, made.scales, 4, group).t()
        else:  # the library has kernels alone, for a GPU
            weight = ((codes - per_column[1]) * per_column[0]).half()
        config = entry("awq", bits=4, group_size=group, zero_point=True, version=layout)
        case(f"awq-{layout}", state, [value("model.a.weight", weight)], config)
    # Other libraries look for the whole package.
    for name in [name for name in sys.modules if name.split(".")[0] == "awq"]:
        del sys.modules[name]


def gptq():
    source = (GPTQ / "gptqmodel/nn_modules/qlinear/__init__.py").read_text()
    wanted = {"dequantize_weight", "_dequantize_from_codes", "_torch_right_shift", "_torch_left_shift"}
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef) and node.name in wanted]
    space = {"t": torch, "torch": torch}
    for function in found:
        function.decorator_list = []
        exec(compile(ast.Module([function], []), "qlinear", "exec"), space)

    def pack(codes, bits):
        """Pack along the first dimension, without gaps."""
        total = codes.shape[0] * bits // 32
        words = numpy.zeros((total, codes.shape[1]), dtype=numpy.uint64)
        for index, row in enumerate(codes.numpy().astype(numpy.uint64)):
            word, bit = divmod(index * bits, 32)
            words[word] |= row << numpy.uint64(bit)
            if bit + bits > 32:
                words[word + 1] |= row >> numpy.uint64(32 - bit)
        return torch.from_numpy((words & 0xFFFFFFFF).astype(numpy.uint32).view(numpy.int32))

    for name, bits, version, order in (
        ("gptq-3", 3, "gptq", False), ("gptq-3-order", 3, "gptq_v2", True), ("gptq-4-order", 4, "gptq_v2", True),
        ("gptq-4-no-list", 4, "gptq", False),
    ):
        columns, rows, group = 64, 32, 32
        codes = torch.randint(0, 2**bits, (columns, rows))
        zeros = torch.randint(1, 2**bits, (columns // group, rows))
        index = torch.arange(columns, dtype=torch.int32) // group
        if order:
            index = index[torch.randperm(columns)]
        stored = zeros - 1 if version == "gptq" else zeros
        state = {
            "qweight": pack(codes, bits), "qzeros": pack(stored.t().contiguous(), bits).t().contiguous(),
            "scales": (torch.rand(columns // group, rows) * 0.02 + 0.001).half(), "g_idx": index,
        }
        layer = types.SimpleNamespace(
            bits=bits, planar=False, maxq=2**bits - 1, in_features=columns, pack_factor=32 // bits,
            dequant_dtype=torch.int8, scales=state["scales"], g_idx=index, qweight=state["qweight"],
            qzeros=pack(zeros.t().contiguous(), bits).t(),
            _init_wf_unsqueeze_buffers=lambda: None,
        )
        if bits == 3:
            shifts = torch.tensor([
                [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 0], [0, 1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31],
                [0, 2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 0],
            ], dtype=torch.int32).reshape(1, 3, 12)
        else:
            shifts = torch.arange(0, 32, bits, dtype=torch.int32).unsqueeze(0)
        layer.wf_unsqueeze_zero, layer.wf_unsqueeze_neg_one = shifts.unsqueeze(0), shifts.unsqueeze(-1)
        layer._dequantize_from_codes = (
            lambda codes, zeros, num_itr, of=layer: space["_dequantize_from_codes"](of, codes, zeros, num_itr))
        weight = space["dequantize_weight"](layer).t()
        if name.endswith("no-list"):
            del state["g_idx"]
        tensors = {f"model.a.{key}": tensor for key, tensor in state.items()}
        case(name, tensors, [value("model.a.weight", weight)], entry("gptq", bits=bits, checkpoint_format=version))


def bitsandbytes():
    import bitsandbytes.functional as bnb

    weight = torch.randn(3, 256)  # the library is wrong on CPUs where blocks of more than 64 end inside of rows
    for name, kind, nested, block, dtype in (
        ("bnb-nf4", "nf4", False, 64, torch.bfloat16), ("bnb-nf4-nested", "nf4", True, 64, torch.float16),
        ("bnb-fp4-nested", "fp4", True, 128, torch.float32),
    ):
        packed, state = bnb.quantize_4bit(
            weight.to(dtype), blocksize=block, compress_statistics=nested, quant_type=kind)
        tensors = {"model.a.weight": packed}
        tensors |= {f"model.a.weight.{key}": part for key, part in state.as_dict(packed=True).items()}
        expected = value("model.a.weight", bnb.dequantize_4bit(packed, state))
        case(name, tensors, [expected], entry("bitsandbytes", load_in_4bit=True, bnb_4bit_quant_type=kind))
    codes, scales, _ = bnb.int8_vectorwise_quant(weight.half())
    tensors = {"model.a.weight": codes, "model.a.SCB": scales}
    tensors["model.a.weight_format"] = torch.tensor(0, dtype=torch.uint8)
    expected = [value("model.a.weight", bnb.int8_vectorwise_dequant(codes, scales))]
    case("bnb-int8", tensors, expected, entry("bitsandbytes", load_in_8bit=True))


def hqq():
    sys.modules["termcolor"] = types.ModuleType("termcolor")
    sys.modules["termcolor"].colored = lambda text, *_: text
    from hqq.core.quantize import BaseQuantizeConfig, HQQLinear

    for bits, axis, dtype in ((8, 1, torch.float16), (4, 0, torch.bfloat16), (4, 1, torch.float16),
                              (3, 1, torch.float32), (3, 0, torch.bfloat16), (2, 1, torch.bfloat16),
                              (1, 0, torch.float16)):
        linear = torch.nn.Linear(64, 16, bias=False)
        config = BaseQuantizeConfig(nbits=bits, group_size=32, axis=axis)
        layer = HQQLinear(linear, config, compute_dtype=dtype, device="cpu")
        layer.encoded_state_dict = True
        tensors = {f"model.a.{key}": tensor for key, tensor in layer.state_dict().items()}
        tensors = {key: tensor.detach().clone() for key, tensor in tensors.items()}
        expected = value("model.a.weight", layer.dequantize())
        case(f"hqq-{bits}-axis-{axis}", tensors, [expected], entry("hqq"))


def mlx():
    import mlx.core as mx

    weight = mx.random.normal((4, 128), key=mx.random.key(3))

    def torched(array):
        if array.dtype == mx.bfloat16:
            return torch.from_numpy(numpy.array(array.view(mx.uint16)).view(numpy.int16)).view(torch.bfloat16)
        return torch.from_numpy(numpy.array(array))

    for bits, group, dtype in ((2, 64, mx.bfloat16), (3, 32, mx.float16), (4, 64, mx.bfloat16), (5, 32, mx.float32),
                               (6, 128, mx.bfloat16), (8, 64, mx.float16)):
        parts = mx.quantize(weight.astype(dtype), group_size=group, bits=bits)
        tensors = {f"model.a.{key}": torched(part) for key, part in zip(("weight", "scales", "biases"), parts)}
        expected = torched(mx.dequantize(*parts, group_size=group, bits=bits))
        own = {"group_size": 16, "bits": 7, "model.a": {"group_size": group, "bits": bits}}
        said = own if bits == 3 else {"group_size": group, "bits": bits}
        case(f"mlx-{bits}", tensors, [value("model.a.weight", expected)], {"quantization": said})
    for mode in ("mxfp4", "nvfp4", "mxfp8"):
        codes, scales = mx.quantize(weight.astype(mx.bfloat16), mode=mode)
        tensors = {"model.a.weight": torched(codes), "model.a.scales": torched(scales)}
        plain = torched(mx.dequantize(codes, scales, mode=mode).astype(mx.float32))
        if mode == "mxfp8":
            expected = value("model.a.weight", plain)
        else:
            pairs = torched(codes).view(torch.uint8)
            data = (mxfp4_blocks if mode == "mxfp4" else nvfp4_blocks)(pairs, torched(scales))
            expected = blocks("model.a.weight", mode.upper(), plain.shape, data) | {"f32": f32(plain)}
        case(f"mlx-{mode}", tensors, [expected], {"quantization": {"group_size": 32, "bits": 4, "mode": mode}})


def nibbles(pairs, group):
    """The codes of each group, as a GGUF block has them: value i and value i + half in a byte."""
    codes = torch.stack([pairs & 15, pairs >> 4], -1).reshape(-1, group)
    return codes[:, : group // 2] | codes[:, group // 2:] << 4


def mxfp4_blocks(pairs, scales):
    return torch.cat([scales.view(torch.uint8).reshape(-1, 1), nibbles(pairs, 32)], 1).numpy().tobytes()


def nvfp4_blocks(pairs, scales):
    scales, codes = scales.view(torch.uint8).reshape(-1, 4), nibbles(pairs, 16).reshape(-1, 32)
    return torch.cat([scales, codes], 1).numpy().tobytes()


def compressed():
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    def scheme(**arguments):
        return QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**arguments))

    def written(name, form, arguments, state, exact=None):
        of = scheme(**arguments)
        compressor = BaseCompressor.get_value_from_registry(form)
        stored = compressor.compress(dict(state), of)
        stored = {key: part.detach().clone() for key, part in stored.items() if part is not None}
        back = compressor.decompress(dict(stored), of)["weight"]
        tensors = {f"model.a.{key}": part for key, part in stored.items()}
        config = entry("compressed-tensors", format=form, config_groups={"group_0": {"weights": arguments}})
        expected = value("model.a.weight", back)
        if exact:
            pairs, scales = stored["weight_packed"], stored["weight_scale"]
            ty, data = exact
            expected = blocks("model.a.weight", ty, back.shape, data(pairs, scales))
        case(name, tensors, [expected], config)

    rows, columns = 16, 128
    weight = torch.randn(rows, columns)

    def state(groups, bits, dtype, zeros=False, rows=rows):
        scales = (torch.rand(rows, groups) * 4 / 2**bits + 0.01).to(dtype)
        made = {"weight": weight, "weight_scale": scales}
        if zeros:
            half = 2 ** (bits - 1)
            made["weight_zero_point"] = torch.randint(-half, half, (rows, groups)).to(torch.int8)
        return made

    for name, bits, strategy, size, dtype, zeros in (
        ("packed-4-zeros", 4, "group", 32, torch.bfloat16, True),
        ("packed-3-dense", 3, "group", 64, torch.float16, False),
        ("packed-5-zeros", 5, "group", 32, torch.float16, True),
        ("packed-8-channel", 8, "channel", None, torch.bfloat16, False),
        ("packed-4-channel-zeros", 4, "channel", None, torch.float32, True),
        ("packed-7", 7, "group", 128, torch.float16, False),
    ):
        arguments = {"num_bits": bits, "type": "int", "symmetric": not zeros, "strategy": strategy, "group_size": size}
        arguments = {key: each for key, each in arguments.items() if each is not None}
        written(name, "pack-quantized", arguments, state(columns // (size or columns), bits, dtype, zeros))
    for name, form, arguments, groups, dtype, zeros in (
        ("int8-group", "naive-quantized",
         {"num_bits": 8, "type": "int", "strategy": "group", "group_size": 32}, 4, torch.bfloat16, False),
        ("int8-channel-zeros", "int-quantized",
         {"num_bits": 8, "type": "int", "symmetric": False, "strategy": "channel"}, 1, torch.float16, True),
        ("fp8-compressed-channel", "float-quantized", {"num_bits": 8, "type": "float", "strategy": "channel"}, 1,
         torch.bfloat16, False),
    ):
        written(name, form, arguments, state(groups, 8, dtype, zeros))
    arguments = {"num_bits": 8, "type": "float", "strategy": "block", "block_structure": [8, 64]}
    block = {"weight": weight, "weight_scale": (torch.rand(2, 2) + 0.1).float()}
    written("fp8-compressed-block", "float-quantized", arguments, block)
    arguments = {"num_bits": 8, "type": "int", "strategy": "tensor"}
    written("int8-tensor", "int-quantized", arguments, {"weight": weight, "weight_scale": torch.tensor([0.03])})

    powers = torch.exp2(torch.randint(-6, 3, (rows, columns // 32)).float())
    arguments = {"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32}
    written("mxfp4-compressed", "mxfp4-pack-quantized", arguments, {"weight": weight, "weight_scale": powers},
            ("MXFP4", mxfp4_blocks))
    arguments = {"num_bits": 8, "type": "float", "strategy": "group", "group_size": 32, "scale_dtype": torch.uint8}
    of = scheme(**arguments)
    compressor = BaseCompressor.get_value_from_registry("mxfp8-quantized")
    stored = compressor.compress({"weight": weight, "weight_scale": powers / 64}, of)
    back = compressor.decompress(dict(stored), of)["weight"]
    arguments["scale_dtype"] = "torch.uint8"
    config = entry("compressed-tensors", format="mxfp8-quantized", config_groups={"group_0": {"weights": arguments}})
    tensors = {f"model.a.{key}": part for key, part in stored.items()}
    case("mxfp8-compressed", tensors, [value("model.a.weight", back)], config)

    arguments = {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}
    scales = (torch.rand(rows, columns // 16) * 100 + 1).to(torch.float8_e4m3fn)
    nv = {"weight": weight, "weight_scale": scales.float(), "weight_global_scale": torch.tensor([320.0])}
    written("nvfp4-compressed", "nvfp4-pack-quantized", arguments, nv, ("NVFP4", nvfp4_blocks))


def modelopt():
    pairs = torch.randint(0, 256, (8, 64), dtype=torch.uint8)
    scales = (torch.rand(8, 8) * 100 + 1).to(torch.float8_e4m3fn)
    numbers = torch.randn(8, 32).to(torch.float8_e4m3fn)
    tensors = {
        "model.a.weight": pairs, "model.a.weight_scale": scales, "model.a.weight_scale_2": torch.tensor(0.0031),
        "model.a.input_scale": torch.tensor(0.5), "model.b.weight": numbers, "model.b.weight_scale": torch.tensor(0.25),
        "model.b.input_scale": torch.tensor(0.5),
    }
    expected = [blocks("model.a.weight", "NVFP4", (8, 128), nvfp4_blocks(pairs, scales)),
                value("model.b.weight", numbers.float() * 0.25)]
    case("nvfp4-modelopt", tensors, expected, entry("modelopt", quant_algo="MIXED_PRECISION"))


def powers_of_two():
    """Scales of 8 exponent bits, for blocks of FP8 numbers and for pairs of 4-bit codes, as DeepSeek V4 has them."""
    numbers = torch.randn(20, 24).to(torch.float8_e4m3fn)
    scales = torch.exp2(torch.randint(-9, 4, (3, 3)).float()).to(torch.float8_e8m0fnu)
    pairs = torch.randint(-128, 128, (8, 32), dtype=torch.int8)
    exponents = torch.randint(100, 140, (8, 2), dtype=torch.uint8).view(torch.float8_e8m0fnu)
    tensors = {"layers.0.a.weight": numbers, "layers.0.a.scale": scales, "layers.0.experts.0.w1.weight": pairs,
               "layers.0.experts.0.w1.scale": exponents}
    spread = scales.float().repeat_interleave(8, 0).repeat_interleave(8, 1)[:20, :24]
    data = mxfp4_blocks(pairs.view(torch.uint8), exponents)
    expected = [value("layers.0.a.weight", numbers.float() * spread),
                blocks("layers.0.experts.0.w1.weight", "MXFP4", (8, 64), data)]
    case("fp8-powers", tensors, expected, entry("fp8", weight_block_size=[8, 8], scale_fmt="ue8m0"))


for make in (awq, gptq, bitsandbytes, hqq, mlx, compressed, modelopt, powers_of_two):
    make()

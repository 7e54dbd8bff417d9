#!/usr/bin/env python3
"""Compare Granule with the reference's converter on tiny checkpoints with random weights.

Each row of a table in `tiny` is a class of transformers with a small config. The checkpoint is made with a fixed seed,
gets a tokenizer from a folder, and is converted in every type by both programs; the files must be the same.

    tiny_checkpoints.py --converter llama.cpp/convert_hf_to_gguf.py --granule target/debug/granule \\
        --tokenizers FOLDER [--arch FILE.toml] [--work FOLDER] [--types f32,f16] [NAME ...]

FOLDER has a folder for each name in the third column (a tokenizer as transformers saves it, with fewer than VOCABULARY
tokens). With --arch the description is taken from a file, before it is built in. Needs torch and transformers 4.57.6,
which also decide what the reference makes of a checkpoint. Exit code 1 if anything differs.
"""
import argparse
import filecmp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tiny import MODELS, corrections

SEED = 20_260_101
TYPES = ["f32", "f16", "bf16", "q8_0", "auto"]

# Tensors that are multiplied with each other while they are converted. PyTorch's sums depend on the processor, so that
# these have values whose sums are exact.
FOLDED = ("flow_lm.bos_emb", "flow_lm.input_linear", "talker.model.text_embedding", "talker.text_projection")


def make(row, tokenizers, folder):
    """Save the checkpoint of a row."""
    import torch

    _, architecture, tokenizer, dtype, config = row
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = dict(config)
    extra = config.pop("files", {})
    patch = config.pop("patch", None)
    tokens = config.pop("tokens", [])
    quantize = config.pop("quantize", None)
    tensors = config.pop("tensors", None)
    modules = config.pop("modules", {})
    config.pop("options", None)
    config.pop("case", None)
    layout = config.pop("layout", None)
    configured = config.pop("configured", True)
    target = config.pop("target", None)
    if target:
        make_target(tokenizer, target, tokenizers, target_of(folder))
        config.setdefault("vocab_size", vocabulary(target_of(folder)))
    elif tokenizer:
        for path in sorted((tokenizers / tokenizer).iterdir()):
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
        if tokens:
            add_tokens(folder / "tokenizer.json", tokens)
        if "text_config" not in config:
            config.setdefault("vocab_size", vocabulary(folder))
    torch.manual_seed(SEED)
    if tensors:
        from safetensors.torch import save_file
        values = {name: tensor_of(shape, getattr(torch, dtype)) for name, shape in tensors(config).items()}
        for name in values:
            if name.endswith("running_var"):
                values[name] = values[name].abs()
            if any(part in name for part in FOLDED):
                values[name] = (values[name] * 40).round() / 8
        save_file(values, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(config))
    else:
        save_model(architecture, config, getattr(torch, dtype), folder)
    if quantize:
        quantize_tensors(quantize, folder / "model.safetensors")
    if patch:
        patch_config(folder, patch)
    if layout == "mistral":
        (folder / "config.json").rename(folder / "params.json")
        (folder / "model.safetensors").rename(folder / "consolidated.safetensors")
    if not configured:
        (folder / "config.json").unlink()
    for module, shapes in modules.items():
        from safetensors.torch import save_file
        (folder / module).mkdir(exist_ok=True)
        save_file({name: torch.randn(shape).mul(0.05) for name, shape in shapes.items()}, folder / module / "model.safetensors")
    for name, content in extra.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def tensor_of(shape, dtype):
    """Random values, or for ("int64", shape) and ("bool", shape) values that rise slowly, and alternate."""
    import torch

    if shape and isinstance(shape[0], str):
        steps = torch.arange(shape[1][0])
        return steps // 4 if shape[0] == "int64" else steps % 2 == 0
    return torch.randn(shape).mul(0.05).to(dtype)


def target_of(folder):
    """The folder of the model that a draft model is for."""
    return folder.with_name(f"{folder.name}-target")


def make_target(tokenizer, config, tokenizers, folder):
    """The folder of a draft model's target: its tokenizer and config alone."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tokenizers / tokenizer, folder)
    (folder / "config.json").write_text(json.dumps({"vocab_size": vocabulary(folder), **config}))


def save_model(architecture, config, dtype, folder):
    """Save a model with random weights."""
    import torch
    import transformers

    model_class = getattr(transformers, architecture)
    with transformers.modeling_utils.no_init_weights():
        model = model_class(model_class.config_class(**config))
    model.tie_weights()
    with torch.no_grad():
        for name, value in sorted(model.state_dict().items()):
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape) * 0.05 + (1.0 if value.dim() == 1 and "norm" in name else 0.0))
    model.to(dtype).save_pretrained(folder, safe_serialization=True)


def quantize_tensors(scheme, path):
    """Store the matrices of layers as FP8 with a scale for each 16 rows and 32 columns, experts as MXFP4, or matrices
    as NVFP4 in the manner of ModelOpt or compressed-tensors, as two bits in that of BitNet, or as MiMo does."""
    import torch
    from safetensors.torch import load_file, save_file

    tensors = {}
    for name, value in load_file(path).items():
        if scheme == "fp8" and ".layers." in name and value.dim() == 2 and not name.endswith("gate.weight"):
            rows, columns = value.shape
            padded = torch.zeros(-(-rows // 16) * 16, -(-columns // 32) * 32)
            padded[:rows, :columns] = value
            blocks = padded.view(padded.shape[0] // 16, 16, padded.shape[1] // 32, 32)
            scales = blocks.abs().amax(dim=(1, 3)) / 448.0
            scaled = (blocks / scales[:, None, :, None]).view(padded.shape)
            tensors[name] = scaled[:rows, :columns].to(torch.float8_e4m3fn).contiguous()
            tensors[f"{name}_scale_inv"] = scales
        elif scheme == "mxfp4" and name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            experts, columns, rows = value.shape
            tensors[f"{name}_blocks"] = torch.randint(256, (experts, rows, columns // 32, 16)).to(torch.uint8)
            tensors[f"{name}_scales"] = torch.randint(110, 130, (experts, rows, columns // 32)).to(torch.uint8)
        elif scheme == "untrained" and name.endswith("embed_tokens.weight"):
            value[-200:-190] = 0
            value[5] = 0
            tensors[name] = value
        elif scheme == "mxfp4-packed" and ".experts." in name:
            rows, columns = value.shape
            tensors[f"{name}_packed"] = torch.randint(256, (rows, columns // 2)).to(torch.uint8)
            tensors[f"{name}_scale"] = torch.randint(110, 130, (rows, columns // 32)).to(torch.uint8)
        elif scheme.startswith("mimo") and ".experts." in name and "mxfp4" in scheme:
            rows, columns = value.shape
            tensors[name] = torch.randint(256, (rows, columns // 2)).to(torch.uint8)
            tensors[f"{name}_scale"] = torch.randint(110, 130, (rows, columns // 32)).to(torch.uint8)
        elif scheme.startswith("mimo") and name.endswith("_proj.weight") and "eh_proj" not in name:
            # rows of four processors, each with blocks of its own
            rows, columns = value.shape
            shards = 4 if "qkv_proj" in name else 1
            tensors[name] = (value * 100).to(torch.float8_e4m3fn)
            blocks = shards * -(-rows // shards // 128)
            tensors[f"{name}_scale_inv"] = torch.rand(blocks, -(-columns // 128)) * 0.01
        elif scheme == "mistral-fp8" and ".layers." in f".{name}" and value.dim() == 2:
            scale = value.abs().max().float() / 448.0
            tensors[name] = (value / scale).to(torch.float8_e4m3fn)
            base = name.removesuffix("weight")
            tensors |= {f"{base}qscale_weight": scale, f"{base}qscale_act": torch.rand(())}
        elif scheme == "deepseek4":
            tensors |= as_deepseek4(name, value)
        elif scheme == "bitnet" and name.endswith("_proj.weight"):
            codes = torch.randint(3, (4, value.shape[0] // 4, value.shape[1])).to(torch.uint8)
            tensors[name] = codes[0] | codes[1] << 2 | codes[2] << 4 | codes[3] << 6
            tensors[f"{name}_scale"] = (torch.rand(1) * 20 + 5).to(value.dtype)
        elif scheme.startswith("nvfp4") and name.endswith("_proj.weight"):
            rows, columns = value.shape
            codes = torch.randint(256, (rows, columns // 2)).to(torch.uint8)
            scales = (torch.rand(rows, columns // 16) * 100 + 1).to(torch.float8_e4m3fn)
            factors = [torch.rand(()) * 0.001, torch.rand(()) + 0.1]
            base = name.removesuffix(".weight")
            if scheme == "nvfp4-compressed":
                names = ("weight_packed", "weight_scale", "weight_global_scale", "input_global_scale")
                factors = [(1 / factor).reshape(1) for factor in factors]
            else:
                names = ("weight", "weight_scale", "weight_scale_2", "input_scale")
            tensors |= {f"{base}.{end}": part for end, part in zip(names, (codes, scales, *factors))}
        else:
            tensors[name] = value
    save_file(tensors, path, metadata={"format": "pt"})


def as_deepseek4(name, value):
    """A tensor as DeepSeek 4 stores it: experts in MXFP4, most matrices in FP8 with powers of two as scales."""
    import torch

    def powers(*shape):
        return torch.randint(118, 124, shape).to(torch.uint8).view(torch.float8_e8m0fnu)

    scale = name.removesuffix(".weight") + ".scale"
    if name.endswith("tid2eid"):
        return {name: torch.randint(4, value.shape)}
    if ".experts." in name:
        rows, columns = value.shape
        return {name: torch.randint(-128, 128, (rows, columns // 2)).to(torch.int8), scale: powers(rows, columns // 32)}
    if any(part in name for part in (".wq_", ".wkv.", ".wo_", ".shared_experts.")) and "compressor" not in name:
        rows, columns = value.shape
        return {name: (value * 100).to(torch.float8_e4m3fn), scale: powers(-(-rows // 128), -(-columns // 128))}
    exact = any(part in name for part in ("hc_", "sink", ".bias", ".ape", "compressor"))
    return {name: value.float() if exact else value}


def vocabulary(folder):
    """The number of tokens, rounded up to 16."""
    count = 0
    path = folder / "tokenizer.json"
    if path.is_file():
        tokenizer = json.loads(path.read_text(encoding="utf-8"))
        tokens = tokenizer["model"]["vocab"]
        ids = tokens.values() if isinstance(tokens, dict) else range(len(tokens))
        count = max([*ids, *(token["id"] for token in tokenizer["added_tokens"])]) + 1
    for name in ("tokenizer.model", "spiece.model"):
        if not count and (folder / name).is_file():
            from sentencepiece import SentencePieceProcessor
            count = SentencePieceProcessor(model_file=str(folder / name)).vocab_size()
    return -(-count // 16) * 16


def add_tokens(path, texts):
    """Add special tokens to a tokenizer.json."""
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    token = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    first = max(token["id"] for token in tokenizer["added_tokens"]) + 1
    tokenizer["added_tokens"] += [dict(token, id=first + index, content=text) for index, text in enumerate(texts)]
    path.write_text(json.dumps(tokenizer), encoding="utf-8")


def patch_config(folder, changes):
    """Change keys of config.json after it was saved; None removes one."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for key, value in changes.items():
        if value is None:
            config.pop(key, None)
        else:
            config[key] = value
    path.write_text(json.dumps(config, indent=2))


def run(command, what):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        print(f"  {what} failed: {done.stderr.strip()[-600:]}")
    return done.returncode == 0


def in_child(work, log, what):
    """Do something in a copy of this process: importing libraries takes longest, and threads do not survive a fork, so
    that this process itself does nothing with them."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with open(log, "w") as out:
                os.dup2(out.fileno(), 1)
                os.dup2(out.fileno(), 2)
            work()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status:
        print(f"  {what} failed: {log.read_text().strip()[-600:]}")
    return status == 0


def run_converter(converter, arguments, what):
    """Run the reference's converter."""
    if not hasattr(os, "fork"):
        return run([sys.executable, converter, *arguments], what)
    sys.path.insert(0, str(converter.parent))
    module = __import__(converter.stem)
    corrections.apply()
    import exponential
    exponential.install()
    sys.argv = [str(converter), *map(str, arguments)]
    return in_child(module.main, Path(arguments[-1]).with_suffix(".log"), what)


def compare(row, options):
    """Convert with both programs; the number of files that differ."""
    name = row[0]
    # The folder's name is part of the input.
    folder = options.work / f"Tiny-{name}"
    if options.again or not any(folder.glob("*.safetensors")):
        import transformers  # once for all rows

        def work():
            make(row, options.tokenizers, folder)

        if not hasattr(os, "fork"):
            work()
        elif not in_child(work, options.work / f"{name}-make.log", transformers.__name__):
            shutil.rmtree(folder, ignore_errors=True)
            return len(options.types)
        for stale in options.work.glob(f"{name}-*-reference.gguf"):
            stale.unlink()
    wrong = []
    more = [*row[4].get("options", []), *(["--target-model-dir", target_of(folder)] if "target" in row[4] else [])]
    for kind in options.types:
        expected = options.work / f"{name}-{kind}-reference.gguf"
        found = options.work / f"{name}-{kind}-granule.gguf"
        if options.again or not expected.is_file():
            arguments = [folder, *more, "--outtype", kind, "--outfile", expected]
            if not run_converter(options.converter, arguments, f"reference, {kind}"):
                wrong.append(kind)
                break
        found.unlink(missing_ok=True)
        arch = ["--arch", options.arch] if options.arch else []
        if not run([options.granule, "convert", folder, "--outtype", kind, "-o", found, *arch, *more], f"granule, {kind}"):
            wrong.append(kind)
            continue
        if not filecmp.cmp(expected, found, shallow=False):
            wrong.append(kind)
    print(f"{name:24} {'same' if not wrong else 'differs: ' + ' '.join(wrong)}", flush=True)
    return len(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--converter", type=Path, required=True)
    parser.add_argument("--granule", type=Path, required=True)
    parser.add_argument("--tokenizers", type=Path, required=True)
    parser.add_argument("--arch", type=Path)
    parser.add_argument("--work", type=Path, default=Path("tiny-checkpoints"))
    parser.add_argument("--types", type=lambda text: text.split(","), default=TYPES)
    parser.add_argument("--again", action="store_true", help="make checkpoints and expected files anew")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    # The copies of this process would wait for threads that only the original has.
    os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    unknown = set(options.names) - {row[0] for row in MODELS}
    if unknown:
        sys.exit(f"not in the table: {', '.join(sorted(unknown))}")
    wrong = [compare(row, options) for row in MODELS if not options.names or row[0] in options.names]
    sys.exit(1 if any(wrong) else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Compare Granule with the reference's converter on tiny checkpoints with random weights.

Each row of the table MODELS is a class of transformers with a small config. The checkpoint is made with a fixed seed,
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

SEED = 20_260_101
TYPES = ["f32", "f16", "bf16", "q8_0", "auto"]

# What most models are given.
SIZES = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256)

# The table: name, class, tokenizer, stored type, config. "vocab_size" is that of the tokenizer unless it is given.
MODELS = [
    ("llama", "LlamaForCausalLM", "spm", "bfloat16", SIZES),
]


def make(row, tokenizers, folder):
    """Save the checkpoint of a row."""
    import torch
    import transformers

    _, architecture, tokenizer, dtype, config = row
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = dict(config)
    extra = config.pop("files", {})
    rename = config.pop("rename", None)
    if tokenizer:
        for path in sorted((tokenizers / tokenizer).iterdir()):
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
        config.setdefault("vocab_size", vocabulary(folder))
    torch.manual_seed(SEED)
    model_class = getattr(transformers, architecture)
    model = model_class(model_class.config_class(**config))
    with torch.no_grad():
        for name, value in sorted(model.state_dict().items()):
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape) * 0.05 + (1.0 if value.dim() == 1 and "norm" in name else 0.0))
    model.to(getattr(torch, dtype)).save_pretrained(folder, safe_serialization=True)
    if rename:
        patch_config(folder, rename)
    for name, content in extra.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))


def vocabulary(folder):
    """The number of tokens, rounded up to 16."""
    count = 0
    path = folder / "tokenizer.json"
    if path.is_file():
        tokenizer = json.loads(path.read_text(encoding="utf-8"))
        tokens = tokenizer["model"]["vocab"]
        ids = tokens.values() if isinstance(tokens, dict) else range(len(tokens))
        count = max([*ids, *(token["id"] for token in tokenizer["added_tokens"])]) + 1
    elif (folder / "tokenizer.model").is_file():
        from sentencepiece import SentencePieceProcessor
        count = SentencePieceProcessor(model_file=str(folder / "tokenizer.model")).vocab_size()
    return -(-count // 16) * 16


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


def compare(row, options):
    """Convert with both programs; the number of files that differ."""
    name = row[0]
    # The folder's name is part of the input.
    folder = options.work / f"Tiny-{name}"
    if options.again or not (folder / "config.json").is_file():
        make(row, options.tokenizers, folder)
    wrong = []
    for kind in options.types:
        expected = options.work / f"{name}-{kind}-reference.gguf"
        found = options.work / f"{name}-{kind}-granule.gguf"
        if options.again or not expected.is_file():
            command = [sys.executable, options.converter, folder, "--outtype", kind, "--outfile", expected]
            if not run(command, f"reference, {kind}"):
                wrong.append(kind)
                break
        found.unlink(missing_ok=True)
        arch = ["--arch", options.arch] if options.arch else []
        if not run([options.granule, "convert", folder, "--outtype", kind, "-o", found, *arch], f"granule, {kind}"):
            wrong.append(kind)
            break
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
    unknown = set(options.names) - {row[0] for row in MODELS}
    if unknown:
        sys.exit(f"not in the table: {', '.join(sorted(unknown))}")
    wrong = [compare(row, options) for row in MODELS if not options.names or row[0] in options.names]
    sys.exit(1 if any(wrong) else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Make the cases of `fixtures/descriptions`: what the reference's converter writes for each row of tiny_checkpoints.py.

A case is a JSON file with the checkpoint's config, its tensors (name, type, shape), the folder of the repository whose
tokenizer it has, and the SHA-256 of the reference's result in every type. Weights are not stored: they follow from a
tensor's name, as `values()` says, and the test makes them the same way.

    descriptions.py --converter llama.cpp/convert_hf_to_gguf.py [NAME ...]

Needs torch and transformers 4.57.6. The tokenizers are small, and the reference knows no pre-tokenizer for them; it is
told to write the hash that it looks up as the name. The case has that name as "pre".
"""
import argparse
import hashlib
import json
import os
import shutil
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np

import tiny_checkpoints as tiny

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "fixtures" / "descriptions"

# Tokenizers of tiny_checkpoints.py, and the folders that stand for them.
TOKENIZERS = {
    "spm": "checkpoints/llama2-spm-256",
    "dscoder": "descriptions/tokenizers/bpe",
    "dscoder_chat": "descriptions/tokenizers/bpe-chat",
    "dscoder_bos": "descriptions/tokenizers/bpe-bos",
    "dscoder_glm": "descriptions/tokenizers/bpe-glm",
    "dscoder_dots": "descriptions/tokenizers/bpe-dots",
    "gpt2": "descriptions/tokenizers/bpe",
    "starcoder": "descriptions/tokenizers/bpe",
    "bert": "tokenizers/bert-json",
    "unigram": "tokenizers/xlm-roberta",
    "unigram-json": "tokenizers/xlm-roberta-json",
    "t5": "tokenizers/t5",
    None: "descriptions",  # the row has the files, and this folder none of them
    "spm_gemma4": "descriptions/tokenizers/gemma4",
    "rwkv": "descriptions/tokenizers/rwkv",
    "plamo": "descriptions/tokenizers/plamo",
    "unigram-model": "descriptions/tokenizers/unigram",
}

# Numbers of tokens that cannot be read from a tokenizer.json.
SIZES = {"unigram": 100, "t5": 128}

# Rows that need a tokenizer with a SentencePiece model and tokenizer.json.
SKIPPED = ["nomic-bert-moe-mask", "jamba-single"]

# What belongs to a tokenizer. The other files of a folder are not part of a case.
TOKENIZER_FILES = ["tokenizer.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                   "added_tokens.json", "sentencepiece.bpe.model", "spiece.model", "vocab.txt", "vocab.json",
                   "merges.txt", "rwkv_vocab_v20230424.txt", "tokenizer.jsonl"]

MASK = (1 << 64) - 1
BYTES = {"F64": 8, "I64": 8, "BOOL": 1, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E8M0": 1, "I8": 1, "U8": 1}


def bits(name, count):
    """64 bits for each value: SplitMix64 from the FNV-1a hash of the tensor's name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 & MASK
    with np.errstate(over="ignore"):
        x = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def values(name, dtype, count):
    """The bytes of a tensor: 24 bits a value, from -1/8 to 1/8; of codes the lowest byte, without those that are no number."""
    if name == "d2t" or dtype == "BOOL":
        steps = np.arange(count)
        return ((steps // 4).astype(np.int64) if dtype == "I64" else steps % 2 == 0).tobytes()
    x = bits(name, count)
    if dtype == "U8":
        codes = (x & np.uint64(0xFF)).astype(np.uint8)
        return (110 + codes % 20 if name.endswith(("_scale", "_scales")) else codes).astype(np.uint8).tobytes()
    if dtype in ("I8", "F8_E8M0", "I64"):
        codes = (x & np.uint64(0xFF)).astype(np.uint8)
        return {"I8": codes, "F8_E8M0": 118 + codes % 6, "I64": (codes % 4).astype(np.int64)}[dtype].tobytes()
    if dtype == "F8_E4M3":
        codes = (x & np.uint64(0xFF)).astype(np.uint8)
        return np.where(codes & 0x7F == 0x7F, codes & 0xFE, codes).astype(np.uint8).tobytes()
    numbers = ((x >> np.uint64(40)).astype(np.int64) - (1 << 23)).astype(np.float32) * np.float32(2.0 ** -26)
    if any(part in name for part in tiny.FOLDED):
        # eighths from -4 to 3, whose products have exact sums
        numbers = ((x >> np.uint64(61)).astype(np.int64) - 4).astype(np.float32) * np.float32(2.0 ** -3)
    if name.endswith("running_var"):
        # torch's square root is not always the nearest number; that of a quarter is
        numbers = np.full(count, 0.25, dtype=np.float32)
    if dtype == "BF16":
        word = numbers.view(np.uint32)
        return ((word + 0x7FFF + ((word >> 16) & 1)) >> 16).astype(np.uint16).tobytes()
    return numbers.astype({"F32": np.float32, "F16": np.float16}[dtype]).tobytes()


def tensors_of(folder):
    """Name, type and shape of the tensors of a checkpoint."""
    tensors = []
    for path in sorted(folder.glob("*.safetensors")):
        with open(path, "rb") as file:
            length, = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        tensors += [[name, entry["dtype"], entry["shape"]] for name, entry in sorted(header.items())]
    return tensors


def write_weights(path, tensors):
    header, start = {}, 0
    for name, dtype, shape in tensors:
        end = start + int(np.prod(shape, dtype=np.int64)) * BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, dtype, shape in tensors:
            file.write(values(name, dtype, int(np.prod(shape, dtype=np.int64))))


def make(row, work):
    """The checkpoint's folder, and what is to be stored of it."""
    name, architecture, tokenizer, dtype, config = row
    config = {**config, **config.get("case", {})}
    source = ROOT / "fixtures" / TOKENIZERS[tokenizer]
    own, tokenizer = tokenizer is None, tokenizer or "none"
    tokenizers = work / "tokenizers"
    shutil.rmtree(tokenizers, ignore_errors=True)
    (tokenizers / (tokenizer or "")).mkdir(parents=True)
    for file in TOKENIZER_FILES:
        if (source / file).is_file():
            shutil.copyfile(source / file, tokenizers / (tokenizer or "") / file)
    # larger vocabularies are those of published tokenizers
    config = {key: value for key, value in config.items() if key != "tokens"}
    if tokenizer in SIZES:
        config["vocab_size"] = SIZES[tokenizer]
    text = config.get("text_config", config)
    if text.get("vocab_size", 0) > 1000:
        # the reference drops the rows beyond the tokens of Gemma 3, but pads the tokens
        size = vocabulary(tokenizers / tokenizer) if "text_config" not in config else tokens(tokenizers / tokenizer)
        spare = 2 if name == "mamba-old-keys" else 0
        config = json.loads(json.dumps({**config, "tensors": None}), parse_int=int)
        config = {key: value for key, value in config.items() if key != "tensors"}
        if "tensors" in row[4]:
            config["tensors"] = row[4]["tensors"]
        text = config.get("text_config", config)
        text["vocab_size"] = size
        if spare:
            config["patch"]["vocab_size"] = size - spare
    folder = work / f"Tiny-{name}"
    tiny.make((name, architecture, None if own else tokenizer, dtype, config), tokenizers, folder)
    tensors = tensors_of(folder)
    for path in folder.glob("*.safetensors"):
        path.unlink()
    own_layout = row[4].get("layout") == "mistral"
    config_file = folder / ("params.json" if own_layout else "config.json")
    write_weights(folder / ("consolidated.safetensors" if own_layout else "model.safetensors"), tensors)
    modules = {}
    for path in sorted(folder.glob("*/model.safetensors")):
        modules[path.parent.name] = tensors_of(path.parent)
        write_weights(path, modules[path.parent.name])
    files = {str(path.relative_to(folder)): json.loads(path.read_text()) if path.suffix == ".json" else path.read_text()
             for path in sorted(folder.rglob("*.*"))
             if path.suffix in (".json", ".tiktoken", ".txt", ".jinja")
             and (path.name not in TOKENIZER_FILES or path.name in row[4].get("files", ())) and path != config_file}
    target = tiny.target_of(folder) if "target" in row[4] else None
    found = {"target": json.loads((target / "config.json").read_text())} if target else {}
    return folder, found | {"folder": folder.name, "tokenizer": TOKENIZERS[row[2]],
                    "config": json.loads(config_file.read_text()) if config_file.is_file() else None, "files": files, "tensors": tensors,
                    **({"modules": modules} if modules else {}),
                    **({"options": row[4]["options"]} if "options" in row[4] else {})}


def vocabulary(folder):
    return tiny.vocabulary(folder) if any(folder.iterdir()) else 0


def tokens(folder):
    """The number of tokens of tokenizer.json."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return max([*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])]) + 1


def convert(converter, folder, options, kind, out, pre):
    """Run the reference's converter in a copy of this process, with the hash as the name of the pre-tokenizer."""
    import conversion.base as base
    import exponential
    exponential.install()
    sys.argv = [str(converter), str(folder), *options, "--outtype", kind, "--outfile", str(out)]

    def named_by_hash(self, tokenizer):
        text = json.loads(json.dumps(CHECK_TEXT))
        name = hashlib.sha256(str(tokenizer.encode(text)).encode()).hexdigest()
        pre.write_text(name)
        return name

    base.TextModel.get_vocab_base_pre = named_by_hash
    tiny.corrections.apply()
    sys.modules[converter.stem].main()


def check_text(converter):
    """The text whose tokens the reference hashes; taken from its source, where it is a literal."""
    import ast
    tree = ast.parse((converter.parent / "conversion" / "base.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "get_vocab_base_pre":
            for part in ast.walk(node):
                if isinstance(part, ast.Assign) and getattr(part.targets[0], "id", "") == "chktxt":
                    return ast.literal_eval(part.value)
    raise SystemExit("the reference's text was not found")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--converter", type=Path, required=True)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    os.environ.update(CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    global CHECK_TEXT
    CHECK_TEXT = check_text(options.converter)
    # once for all: the copies of this process would each do it again
    from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast  # noqa: F401
    sys.path.insert(0, str(options.converter.parent))
    __import__(options.converter.stem)
    __import__("conversion").load_all_models()
    __import__("conversion.base")
    CASES.mkdir(exist_ok=True)
    failed = []
    for row in tiny.MODELS:
        if row[0] in SKIPPED or options.names and row[0] not in options.names:
            continue
        with tempfile.TemporaryDirectory() as work:
            work = Path(work)
            log = work / "log"
            case = work / "case.json"

            def store():
                folder, found = make(row, work)
                case.write_text(json.dumps(found))

            if not tiny.in_child(store, log, f"{row[0]}: making it"):
                failed.append(row[0])
                continue
            found = json.loads(case.read_text())
            expected = {}
            pre = work / "pre"

            def convert_all():
                folder = work / found["folder"]
                more = ["--target-model-dir", str(tiny.target_of(folder))] if "target" in found else []
                for kind in tiny.TYPES:
                    convert(options.converter, folder, found.get("options", []) + more, kind, work / f"{kind}.gguf", pre)

            if tiny.in_child(convert_all, log, row[0]):
                expected = {kind: hashlib.sha256((work / f"{kind}.gguf").read_bytes()).hexdigest() for kind in tiny.TYPES}
            if len(expected) < len(tiny.TYPES):
                failed.append(row[0])
                continue
            if pre.is_file():
                found["pre"] = pre.read_text()
            found["expected"] = expected
            write_case(CASES / f"{row[0]}.json", found)
            print(f"{row[0]}: {len(expected)} results", flush=True)
    if failed:
        sys.exit(f"failed: {' '.join(failed)}")


def write_case(path, found):
    """A line for each part and each tensor."""
    # JSON has no infinities; a text can hold them as Python writes them
    text = json.dumps(found["config"])
    if "Infinity" in text or "NaN" in text:
        found["config"] = text
    parts = []
    for key, value in found.items():
        if key == "tensors":
            lines = ",\n  ".join(json.dumps(tensor) for tensor in value)
            parts.append(f'"tensors": [\n  {lines}\n ]')
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    path.write_text("{\n " + ",\n ".join(parts) + "\n}\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Compare `granule convert DIR --lora ADAPTER` with PEFT's merge_and_unload on tiny models with random adapters.

    merged_adapters.py --granule target/debug/granule --tokenizers FOLDER [--work FOLDER] [NAME ...]

FOLDER has the tokenizers `spm` and `gpt2`. PEFT merges once in double and once in single precision, and Granule converts
all three to F32. Every value must be that of double precision, to one unit in the last place (the order of PEFT's sums is
not defined); how far single precision is from it is printed beside that. Needs torch, transformers 4.57.6 and peft 0.17.
Exit code 1 if anything differs.
"""
import argparse
import subprocess
import sys
from pathlib import Path

import numpy
import peft
import torch
import transformers
from gguf import GGUFReader

from tiny_checkpoints import make

SEED = 20_261_130
LLAMA = ("llama", "LlamaForCausalLM", "spm", "bfloat16", dict(
    hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    tie_word_embeddings=False))
GPT2 = ("gpt2", "GPT2LMHeadModel", "gpt2", "float16", dict(n_embd=64, n_layer=2, n_head=4, n_positions=64))
MIXTRAL = ("mixtral", "MixtralForCausalLM", "spm", "bfloat16", dict(
    hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    num_local_experts=4, head_dim=16))
GEMMA = ("gemma", "Gemma2ForCausalLM", "spm_gemma", "bfloat16", dict(
    hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16))

# name, base model, what LoraConfig is given, scale of the adapter
CASES = [
    ("queries-values", LLAMA, dict(target_modules=["q_proj", "v_proj"]), 1.0),
    ("all-linear", LLAMA, dict(target_modules="all-linear", r=16, lora_alpha=7), 1.0),
    ("half", LLAMA, dict(target_modules=["q_proj", "down_proj"]), 0.5),
    ("rslora", LLAMA, dict(target_modules=["k_proj", "up_proj"], use_rslora=True), 1.0),
    ("patterns", LLAMA, dict(target_modules=["q_proj", "up_proj"], rank_pattern={"layers.0.mlp.up_proj": 3},
                             alpha_pattern={"up_proj": 20, r"^model.layers.1.*q_proj": 2}), 1.0),
    ("dora", LLAMA, dict(target_modules=["q_proj", "gate_proj"], use_dora=True), 1.0),
    ("dora-half", LLAMA, dict(target_modules=["v_proj", "down_proj"], use_dora=True), 0.5),
    ("embeddings", LLAMA, dict(target_modules=["embed_tokens", "lm_head", "o_proj"]), 1.0),
    ("saved-modules", LLAMA, dict(target_modules=["q_proj"], modules_to_save=["lm_head", "norm"]), 1.0),
    ("conv1d", GPT2, dict(target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True), 1.0),
    ("conv1d-dora", GPT2, dict(target_modules=["c_attn", "c_proj"], fan_in_fan_out=True, use_dora=True), 1.0),
    ("biases", GPT2, dict(target_modules=["c_attn"], fan_in_fan_out=True, bias="lora_only"), 1.0),
    ("added-biases", GPT2, dict(target_modules=["c_fc"], fan_in_fan_out=True, lora_bias=True), 1.0),
    ("experts", MIXTRAL, dict(target_modules=["w1", "w2", "gate"]), 1.0),
    ("one-expert", MIXTRAL, dict(target_modules=r".*experts\.2\.w[123]"), 1.0),
    ("changed-norms", GEMMA, dict(target_modules=["q_proj"], modules_to_save=["input_layernorm"]), 1.0),
]


def merge(base, adapter, scale, dtype):
    """The model that PEFT makes, in a type."""
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(model, adapter).to(dtype)
    for module in model.modules():
        if isinstance(module, peft.tuners.lora.LoraLayer):
            module.scaling["default"] *= scale
    return model.merge_and_unload()


def tensors(granule, folder, out, *more):
    command = [granule, "convert", folder, "--outtype", "f32", "-o", out, "--quiet", *more]
    subprocess.run([str(word) for word in command], check=True)
    return {tensor.name: tensor.data for tensor in GGUFReader(out).tensors}


def distance(values, expected):
    """The largest difference in units in the last place of the expected value."""
    return max(float((numpy.abs(value - expected[name]) / numpy.spacing(numpy.abs(expected[name]))).max())
               for name, value in values.items())


def compare(case, options):
    name, base, config, scale = case
    folder, adapter = options.work / base[0], options.work / f"adapter-{name}"
    make((*base[:4], dict(base[4])), options.tokenizers, folder)
    torch.manual_seed(SEED)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = peft.get_peft_model(model, peft.LoraConfig(**config))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(adapter)
    found = tensors(options.granule, folder, options.work / "merged.gguf", "--lora", f"{adapter}={scale}")
    results = []
    for dtype in (torch.float64, torch.float32):
        merged = options.work / f"merged-{name}"
        merge(folder, adapter, scale, dtype).save_pretrained(merged)
        for path in options.tokenizers.joinpath(base[2]).iterdir():
            merged.joinpath(path.name).write_bytes(path.read_bytes())
        expected = tensors(options.granule, merged, options.work / "expected.gguf")
        if found.keys() != expected.keys():
            print(f"{name:16} other tensors: {sorted(found.keys() ^ expected.keys())}")
            return False
        results.append(distance(found, expected) if dtype == torch.float64 else distance(expected, found))
    print(f"{name:16} {results[0]:g} ulp from double precision, PEFT's single precision is {results[1]:g}", flush=True)
    return results[0] <= 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--granule", type=Path, required=True)
    parser.add_argument("--tokenizers", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("merged-adapters"))
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    cases = [case for case in CASES if not options.names or case[0] in options.names]
    sys.exit(0 if all([compare(case, options) for case in cases]) else 1)


if __name__ == "__main__":
    main()

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

LLAMA3_ROPE = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=64)
GPT2 = dict(n_embd=64, n_layer=2, n_head=4, n_positions=128, n_inner=96)
PHI3_FACTORS = dict(type="longrope", short_factor=[1.0 + 0.1 * i for i in range(8)],
                    long_factor=[1.5 + 0.3 * i for i in range(8)])
NEOX = {key: value for key, value in SIZES.items() if key != "num_key_value_heads"}
FALCON = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4)
LFM2 = dict(SIZES, num_hidden_layers=4, layer_types=["conv", "conv", "full_attention", "conv"])
# In single precision ssm_a may differ by one unit in the last place, as torch rounds its exponential function.
MAMBA = dict(hidden_size=64, num_hidden_layers=2, state_size=16)
MAMBA2 = dict(hidden_size=64, num_hidden_layers=2, state_size=16, num_heads=8, head_dim=16, n_groups=2)
GLM = dict(SIZES, pad_token_id=0, tokens=["<|endoftext|>", "<|user|>"])
# The tokenizers' own ids of special tokens, where those of the class lie beyond the vocabulary.
SPECIAL = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)

ENCODER = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
               max_position_embeddings=66)
T5 = dict(d_model=64, d_kv=16, d_ff=96, num_layers=2, num_heads=4, decoder_start_token_id=0)
LATENT = dict(SIZES, num_key_value_heads=4, q_lora_rank=48, kv_lora_rank=32, qk_nope_head_dim=32, qk_rope_head_dim=16,
              v_head_dim=24, n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, n_shared_experts=2,
              first_k_dense_replace=1, num_hidden_layers=3)
GPT_OSS = dict(SIZES, **SPECIAL, head_dim=16, num_local_experts=4, num_experts_per_tok=2, sliding_window=64)
NOMIC = dict(architectures=["NomicBertModel"], model_type="nomic_bert", n_embd=64, n_inner=96, n_layer=2, n_head=4,
             n_positions=8192, max_trained_positions=2048, type_vocab_size=2, layer_norm_epsilon=1e-12, causal=False,
             prenorm=False, rotary_emb_base=1000, rotary_emb_fraction=1.0, rotary_emb_interleaved=False,
             rotary_emb_scale_base=None, activation_function="swiglu", qkv_proj_bias=False, mlp_fc1_bias=False,
             mlp_fc2_bias=False)
NOMIC_MOE = dict(NOMIC, n_positions=2048, max_position_embeddings=2048, type_vocab_size=1, pad_token_id=1,
                 rotary_emb_base=10000, activation_function="gelu", qkv_proj_bias=True, mlp_fc1_bias=True,
                 mlp_fc2_bias=True, moe_every_n_layers=2, moe_top_k=2, num_experts=4)


def pooling(mode):
    """Files by which sentence-transformers says how the vectors of tokens become one."""
    return {"modules.json": [{"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}],
            "1_Pooling/config.json": {mode: True}}


def nomic_tensors(config):
    """Names and shapes of the tensors of Nomic Embed, which transformers has no class for."""
    width, inner = config["n_embd"], config["n_inner"]
    tensors = {"embeddings.word_embeddings.weight": [config["vocab_size"], width],
               "embeddings.token_type_embeddings.weight": [config["type_vocab_size"], width],
               "emb_ln.weight": [width], "emb_ln.bias": [width]}
    for layer in range(config["n_layer"]):
        here = {"attn.Wqkv": [3 * width, width], "attn.out_proj": [width, width]}
        experts = config.get("num_experts", 0) if layer % 2 else 0
        if not config.get("num_experts"):
            here |= {"mlp.fc11": [inner, width], "mlp.fc12": [inner, width], "mlp.fc2": [width, inner]}
        elif not experts:
            here |= {"mlp.fc1": [inner, width], "mlp.fc2": [width, inner]}
        biases = {} if not config.get("num_experts") else {f"{name}.bias": shape[:1] for name, shape in here.items()}
        here = {f"{name}.weight": shape for name, shape in here.items()} | biases
        if experts:
            stack = [experts * inner, width]
            here |= {"mlp.experts.mlp.w1": stack, "mlp.experts.mlp.w2": stack, "mlp.experts.bias": [width],
                     "mlp.router.layer.weight": [experts, width]}
        here |= {f"{norm}.{what}": [width] for norm in ("norm1", "norm2") for what in ("weight", "bias")}
        tensors |= {f"encoder.layers.{layer}.{name}": shape for name, shape in here.items()}
    return tensors


# The table: name, class, tokenizer, stored type, config. "vocab_size" is that of the tokenizer unless it is given.
# More keys of the config: "tokens" are added to tokenizer.json, "patch" changes config.json after it was saved (None
# removes a key), "files" are further JSON files of the folder, "tensors" gives names and shapes where there is no class,
# "quantize" changes the tensors.
MODELS = [
    ("llama", "LlamaForCausalLM", "spm", "bfloat16", SIZES),
    ("llama-headless", "LlamaModel", "spm", "float16", SIZES),
    ("llama-biases", "LlamaForCausalLM", "spm", "float32",
     dict(SIZES, attention_bias=True, mlp_bias=True, head_dim=24, rope_scaling=LLAMA3_ROPE)),
    ("mistral", "MistralForCausalLM", "spm", "bfloat16", dict(SIZES, head_dim=32)),
    ("mixtral", "MixtralForCausalLM", "spm", "float16", dict(SIZES, num_local_experts=4)),
    ("qwen2", "Qwen2ForCausalLM", "dscoder", "float16", SIZES),
    ("qwen2-headless", "Qwen2Model", "dscoder", "bfloat16",
     dict(SIZES, files={"modules.json": [{"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}],
                        "1_Pooling/config.json": {"pooling_mode_lasttoken": True}})),
    ("qwen2-moe", "Qwen2MoeForCausalLM", "dscoder", "float16",
     dict(SIZES, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=96)),
    ("qwen3", "Qwen3ForCausalLM", "dscoder", "bfloat16",
     dict(SIZES, head_dim=32, rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64))),
    ("qwen3-moe", "Qwen3MoeForCausalLM", "dscoder", "float32",
     dict(SIZES, head_dim=32, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=64)),
    ("gemma", "GemmaForCausalLM", "spm", "float16", dict(SIZES, **SPECIAL, head_dim=32)),
    ("gemma2", "Gemma2ForCausalLM", "spm", "bfloat16", dict(SIZES, **SPECIAL, head_dim=32)),
    ("gemma3", "Gemma3ForCausalLM", "spm", "float16", dict(SIZES, **SPECIAL, head_dim=32, final_logit_softcapping=30.0)),
    ("gemma3-nested", "Gemma3ForConditionalGeneration", "dscoder", "bfloat16",
     dict(text_config=dict(SIZES, **SPECIAL, head_dim=32, vocab_size=32256, rope_scaling=dict(rope_type="linear", factor=8.0)),
          vision_config=dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
                             image_size=28, patch_size=14),
          image_token_index=5, boi_token_index=6, eoi_token_index=7)),
    ("gpt2", "GPT2LMHeadModel", "gpt2", "float32", dict(GPT2, patch=dict(n_ctx=128))),
    ("phi2", "PhiForCausalLM", "gpt2", "float16", dict(SIZES, num_key_value_heads=4, partial_rotary_factor=0.4)),
    ("phi3", "Phi3ForCausalLM", "spm", "bfloat16", dict(SIZES, sliding_window=64, **SPECIAL)),
    ("phi3-long", "Phi3ForCausalLM", "spm", "float16",
     dict(SIZES, **SPECIAL, original_max_position_embeddings=64, rope_scaling=PHI3_FACTORS)),
    ("starcoder2", "Starcoder2ForCausalLM", "starcoder", "bfloat16", dict(SIZES, sliding_window=64)),
    ("stablelm", "StableLmForCausalLM", "dscoder", "float16",
     dict(SIZES, use_qkv_bias=True, use_parallel_residual=True, partial_rotary_factor=0.5)),
    ("granite", "GraniteForCausalLM", "dscoder", "bfloat16",
     dict(SIZES, embedding_multiplier=12.0, logits_scaling=8.0, residual_multiplier=0.22, attention_multiplier=0.0078125)),
    ("granite-moe", "GraniteMoeForCausalLM", "dscoder", "float16", dict(SIZES, num_local_experts=4)),
    ("granite-shared", "GraniteMoeSharedForCausalLM", "dscoder", "bfloat16",
     dict(SIZES, num_local_experts=4, shared_intermediate_size=48)),
    ("gptneox", "GPTNeoXForCausalLM", "dscoder", "float16", NEOX),
    ("gptneox-tied", "GPTNeoXForCausalLM", "dscoder", "bfloat16",
     dict(NEOX, attention_bias=False, use_parallel_residual=False, tie_word_embeddings=True)),
    ("falcon-7b", "FalconForCausalLM", "dscoder", "bfloat16", dict(FALCON, patch=dict(num_kv_heads=1))),
    ("falcon-40b", "FalconForCausalLM", "dscoder", "float16",
     dict(FALCON, num_kv_heads=2, new_decoder_architecture=True, tie_word_embeddings=False)),
    ("falcon-11b", "FalconForCausalLM", "dscoder", "bfloat16",
     dict(FALCON, num_kv_heads=2, new_decoder_architecture=True, num_ln_in_parallel_attn=1,
          ffn_hidden_size=96)),
    ("falcon-all-heads", "FalconForCausalLM", "dscoder", "float32", dict(FALCON, multi_query=False)),
    ("falcon-old-keys", "FalconForCausalLM", "dscoder", "bfloat16",
     dict(FALCON, num_kv_heads=2, new_decoder_architecture=True,
          patch=dict(architectures=["RWForCausalLM"], model_type="RefinedWeb", n_head=4, n_layer=2, n_head_kv=2,
                     num_attention_heads=None, num_hidden_layers=None, num_kv_heads=None,
                     new_decoder_architecture=None, ffn_hidden_size=None))),
    ("olmo", "OlmoForCausalLM", "dscoder", "bfloat16", dict(SIZES, clip_qkv=8.0)),
    ("olmo-biases", "OlmoForCausalLM", "dscoder", "float16",
     dict(SIZES, attention_bias=True, tie_word_embeddings=True)),
    ("olmo2", "Olmo2ForCausalLM", "dscoder", "float16", SIZES),
    ("olmo3", "Olmo3ForCausalLM", "dscoder", "bfloat16",
     dict(SIZES, num_hidden_layers=5, attention_bias=True, sliding_window=64, tie_word_embeddings=True,
          rope_scaling=dict(rope_type="yarn", factor=8.0, original_max_position_embeddings=64, attention_factor=1.2,
                            beta_fast=32.0, beta_slow=1.0))),
    ("command-r", "CohereForCausalLM", "dscoder", "float16", dict(SIZES, patch=dict(model_max_length=1024))),
    ("command-r-norms", "CohereForCausalLM", "dscoder", "bfloat16", dict(SIZES, use_qk_norm=True, attention_bias=True)),
    ("cohere2", "Cohere2ForCausalLM", "dscoder", "bfloat16",
     dict(SIZES, sliding_window=64, patch=dict(rotary_pct=1.0))),
    ("glm4", "Glm4ForCausalLM", "dscoder", "bfloat16", dict(GLM, head_dim=32)),
    ("glm4-tied", "Glm4ForCausalLM", "dscoder", "float16",
     dict(GLM, attention_bias=False, partial_rotary_factor=0.25, tie_word_embeddings=True)),
    ("glm", "GlmForCausalLM", "dscoder", "float16", dict(GLM, head_dim=16)),
    ("glm-tied", "GlmForCausalLM", "dscoder", "bfloat16",
     dict(GLM, head_dim=16, attention_bias=False, tie_word_embeddings=True)),
    ("smollm3", "SmolLM3ForCausalLM", "dscoder", "bfloat16",
     dict(SIZES, num_hidden_layers=5, pad_token_id=0, tie_word_embeddings=True)),
    ("smollm3-biases", "SmolLM3ForCausalLM", "dscoder", "float16",
     dict(SIZES, attention_bias=True, mlp_bias=True, pad_token_id=0, tie_word_embeddings=False,
          rope_scaling=dict(rope_type="yarn", factor=2.0, original_max_position_embeddings=64))),
    ("lfm2", "Lfm2ForCausalLM", "dscoder", "bfloat16", LFM2),
    ("lfm2-untied", "Lfm2ForCausalLM", "dscoder", "float16",
     dict(LFM2, block_auto_adjust_ff_dim=False, conv_L_cache=4, tie_word_embeddings=False)),
    ("lfm2-old-keys", "Lfm2ForCausalLM", "dscoder", "float32",
     dict(SIZES, num_hidden_layers=3, full_attn_idxs=[1], block_multiple_of=32, block_ffn_dim_multiplier=1.3,
          patch=dict(layer_types=None, full_attn_idxs=[1], intermediate_size=None, block_ff_dim=96, theta=5000.0,
                     rope_theta=None))),
    ("mamba", "MambaForCausalLM", "dscoder", "float16", MAMBA),
    ("mamba-untied", "MambaForCausalLM", "spm", "float16",
     dict(MAMBA, use_bias=True, tie_word_embeddings=False)),
    ("mamba-old-keys", "MambaForCausalLM", "dscoder", "float16",
     dict(MAMBA, vocab_size=32024, patch=dict(vocab_size=32022, pad_vocab_size_multiple=8, d_model=64, n_layer=2, hidden_size=None,
                            num_hidden_layers=None, intermediate_size=None, state_size=None, conv_kernel=None,
                            time_step_rank=None, layer_norm_epsilon=None))),
    ("falcon-mamba", "FalconMambaForCausalLM", "dscoder", "float16", dict(MAMBA, use_conv_bias=False)),
    ("mamba2", "Mamba2ForCausalLM", "spm", "float16", MAMBA2),
    ("mamba2-biases", "Mamba2ForCausalLM", "dscoder", "float16",
     dict(MAMBA2, use_bias=True, use_conv_bias=False, n_groups=1)),
    ("bert", "BertModel", "bert", "float32", dict(ENCODER, files=pooling("pooling_mode_cls_token"))),
    ("bert-masked", "BertForMaskedLM", "bert", "float16", ENCODER),
    ("bert-labels", "BertForSequenceClassification", "bert", "bfloat16", dict(ENCODER, num_labels=12)),
    ("bert-two-labels", "BertForSequenceClassification", "bert", "float16", dict(ENCODER, num_labels=2)),
    ("distilbert", "DistilBertModel", "bert", "float32",
     dict(dim=64, hidden_dim=96, n_layers=2, n_heads=4, max_position_embeddings=64)),
    ("distilbert-labels", "DistilBertForSequenceClassification", "bert", "float32",
     dict(dim=64, hidden_dim=96, n_layers=2, n_heads=4, max_position_embeddings=64, num_labels=3)),
    ("roberta", "RobertaModel", "gpt2", "float16", ENCODER),
    ("roberta-labels", "RobertaForSequenceClassification", "gpt2", "float32",
     dict(ENCODER, id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1})),
    # "unigram" is a tokenizer with the ids of fairseq, "unigram-json" the same without SentencePiece model, whose normalizer
    # is "Precompiled" alone.
    ("xlm-roberta", "XLMRobertaModel", "unigram-json", "bfloat16",
     dict(ENCODER, files=pooling("pooling_mode_mean_tokens"))),
    ("xlm-roberta-labels", "XLMRobertaForSequenceClassification", "unigram", "float32", dict(ENCODER, num_labels=1)),
    ("nomic-bert", None, "bert", "float32",
     dict(NOMIC, tensors=nomic_tensors, files=pooling("pooling_mode_mean_tokens"))),
    ("nomic-bert-moe", None, "unigram-json", "bfloat16", dict(NOMIC_MOE, tensors=nomic_tensors)),
    ("nomic-bert-moe-mask", None, "unigram", "float16", dict(NOMIC_MOE, tensors=nomic_tensors, vocab_size=250048)),
    ("t5", "T5ForConditionalGeneration", "t5", "float32", T5),
    ("flan-t5", "T5ForConditionalGeneration", "t5", "bfloat16",
     dict(T5, num_decoder_layers=1, feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
    ("mt5", "MT5ForConditionalGeneration", "t5", "float16", T5),
    ("umt5", "UMT5ForConditionalGeneration", "t5", "bfloat16", T5),
    ("t5-encoder", "T5EncoderModel", "t5", "float16", dict(T5, feed_forward_proj="gated-gelu")),
    ("deepseek-v2", "DeepseekV2ForCausalLM", "dscoder", "bfloat16", dict(LATENT, attention_bias=True)),
    ("deepseek-v2-lite", "DeepseekV2ForCausalLM", "dscoder", "float16",
     dict(LATENT, q_lora_rank=None, tie_word_embeddings=True,
          rope_scaling=dict(type="yarn", factor=40, beta_fast=32, beta_slow=1, mscale=0.707, mscale_all_dim=0.707,
                            original_max_position_embeddings=64))),
    ("deepseek-v3", "DeepseekV3ForCausalLM", "dscoder", "float32",
     dict(LATENT, n_group=2, topk_group=1, patch=dict(scoring_func="sigmoid", topk_method="noaux_tc"))),
    # The last layer is beyond those of the model.
    ("deepseek-v3-fp8", "DeepseekV3ForCausalLM", "dscoder", "bfloat16",
     dict(LATENT, n_group=2, topk_group=1, num_hidden_layers=4, quantize="fp8",
          patch=dict(num_hidden_layers=3,
                     quantization_config=dict(quant_method="fp8", fmt="e4m3", weight_block_size=[16, 32],
                                              activation_scheme="dynamic")))),
    ("gpt-oss", "GptOssForCausalLM", "dscoder", "bfloat16", GPT_OSS),
    ("gpt-oss-mxfp4", "GptOssForCausalLM", "dscoder", "bfloat16",
     dict(GPT_OSS, quantize="mxfp4", patch=dict(rope_scaling=None, quantization_config=dict(quant_method="mxfp4")))),
]


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
    if tokenizer:
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
        values = {name: torch.randn(shape).mul(0.05).to(getattr(torch, dtype)) for name, shape in tensors(config).items()}
        save_file(values, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(config))
    else:
        save_model(architecture, config, getattr(torch, dtype), folder)
    if quantize:
        quantize_tensors(quantize, folder / "model.safetensors")
    if patch:
        patch_config(folder, patch)
    for name, content in extra.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))


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
    """Store the matrices of layers as FP8 with a scale for each 16 rows and 32 columns, or experts as MXFP4."""
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
        else:
            tensors[name] = value
    save_file(tensors, path, metadata={"format": "pt"})


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
    sys.argv = [str(converter), *map(str, arguments)]
    return in_child(module.main, Path(arguments[-1]).with_suffix(".log"), what)


def compare(row, options):
    """Convert with both programs; the number of files that differ."""
    name = row[0]
    # The folder's name is part of the input.
    folder = options.work / f"Tiny-{name}"
    if options.again or not (folder / "config.json").is_file():
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
    for kind in options.types:
        expected = options.work / f"{name}-{kind}-reference.gguf"
        found = options.work / f"{name}-{kind}-granule.gguf"
        if options.again or not expected.is_file():
            arguments = [folder, "--outtype", kind, "--outfile", expected]
            if not run_converter(options.converter, arguments, f"reference, {kind}"):
                wrong.append(kind)
                break
        found.unlink(missing_ok=True)
        arch = ["--arch", options.arch] if options.arch else []
        if not run([options.granule, "convert", folder, "--outtype", kind, "-o", found, *arch], f"granule, {kind}"):
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

"""DeepSeek's line (latent attention), its wrappers, and MiniMax."""
from .common import SIZES
from .decoders import LATENT
from .llamas import attention, gated, text

RAW = dict(LATENT, rms_norm_eps=1e-6, rope_theta=10000.0, tie_word_embeddings=False)
YARN = dict(type="yarn", factor=64.0, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0,
            original_max_position_embeddings=64)
MLA = dict(scoring_func="sigmoid", topk_method="noaux_tc", norm_topk_prob=True, routed_scaling_factor=2.5, n_group=1,
           topk_group=1)
INDEX = dict(index_head_dim=32, index_n_heads=2, index_topk=16)


def mla(config, prefix, layer):
    """Latent attention of a layer."""
    width, heads = config["hidden_size"], config["num_attention_heads"]
    rope, latent, queries = config["qk_rope_head_dim"], config["kv_lora_rank"], config["q_lora_rank"]
    here = f"{prefix}self_attn."
    key = config["qk_nope_head_dim"] + rope
    tensors = {f"{here}kv_a_proj_with_mqa.weight": [latent + rope, width], f"{here}kv_a_layernorm.weight": [latent],
               f"{here}kv_b_proj.weight": [heads * (config["qk_nope_head_dim"] + config["v_head_dim"]), latent],
               f"{here}o_proj.weight": [width, heads * config["v_head_dim"]]}
    if queries:
        tensors |= {f"{here}q_a_proj.weight": [queries, width], f"{here}q_a_layernorm.weight": [queries],
                    f"{here}q_b_proj.weight": [heads * key, queries]}
    else:
        tensors[f"{here}q_proj.weight"] = [heads * key, width]
    kinds = config.get("indexer_types")
    if "index_n_heads" in config and (kinds is None or layer >= len(kinds) or kinds[layer] == "full"):
        head = config["index_head_dim"]
        tensors |= {f"{here}indexer.wq_b.weight": [config["index_n_heads"] * head, queries],
                    f"{here}indexer.wk.weight": [head, width], f"{here}indexer.k_norm.weight": [head],
                    f"{here}indexer.k_norm.bias": [head], f"{here}indexer.weights_proj.weight": [config["index_n_heads"], width]}
    return tensors


def deepseek(config, heads=mla):
    """Names and shapes of the tensors of DeepSeek's text models, with what predicts further tokens."""
    config = text(config)
    width, size = config["hidden_size"], config["vocab_size"]
    tensors = {"model.embed_tokens.weight": [size, width], "model.norm.weight": [width]}
    if not config.get("tie_word_embeddings"):
        tensors["lm_head.weight"] = [size, width]
    experts, inner = config.get("n_routed_experts"), config.get("moe_intermediate_size")
    layers, more = config["num_hidden_layers"], config.get("num_nextn_predict_layers", 0)
    for layer in range(layers + more):
        here = f"model.layers.{layer}."
        tensors |= heads(config, here, layer)
        tensors |= {f"{here}{norm}.weight": [width] for norm in ("input_layernorm", "post_attention_layernorm")}
        if not experts or layer < config["first_k_dense_replace"]:
            tensors |= gated(f"{here}mlp.", width, config["intermediate_size"])
        else:
            tensors[f"{here}mlp.gate.weight"] = [experts, width]
            if config.get("topk_method") == "noaux_tc":
                tensors[f"{here}mlp.gate.e_score_correction_bias"] = [experts]
            for expert in range(experts):
                tensors |= gated(f"{here}mlp.experts.{expert}.", width, inner)
            tensors |= gated(f"{here}mlp.shared_experts.", width, inner * config["n_shared_experts"])
        if layer >= layers:
            tensors |= {f"{here}eh_proj.weight": [width, 2 * width], f"{here}enorm.weight": [width],
                        f"{here}hnorm.weight": [width], f"{here}shared_head.norm.weight": [width]}
            if layer % 2:
                tensors |= {f"{here}embed_tokens.weight": [size, width], f"{here}shared_head.head.weight": [size, width]}
    return tensors


def wrapped(parts):
    def named(config):
        return {f"language_model.{name}": shape for name, shape in deepseek(config).items()} | parts
    return named


def ocr(config):
    return deepseek(config, lambda config, prefix, layer: attention(config, f"{prefix}self_attn.")) | {
        "model.sam_model.blocks.0.norm1.weight": [8], "model.vision_model.post_layrnorm.weight": [8],
        "model.projector.layers.weight": [64, 8], "model.image_newline": [64], "model.view_seperator": [64]}


def hunyuan4(config):
    """DeepSeek's tensors with stacked experts, hyper-connections, gates and sinks."""
    width, streams, heads = config["hidden_size"], config["hc_mult"], config["num_attention_heads"]
    tensors = {name: shape for name, shape in deepseek(config).items() if ".experts." not in name}
    tensors |= {"model.hc_head.hc_head_fn": [streams, streams * width], "model.hc_head.hc_head_base": [streams],
                "model.hc_head.hc_head_scale": [1], "model.mtp_layers.0.norm.weight": [width]}
    for layer in range(config["num_hidden_layers"]):
        here = f"model.layers.{layer}."
        tensors |= {f"{here}self_attn.linear_gate.weight": [heads * config["v_head_dim"], width],
                    f"{here}self_attn.learnable_sink_param": [heads]}
        for part in ("attn", "mlp"):
            pre = f"{here}hc_{part}_layer.hc_pre."
            tensors |= {f"{pre}hc_fn": [2 * streams, streams * width], f"{pre}hc_base": [2 * streams], f"{pre}hc_scale": [2]}
        if layer >= 1:
            experts, inner = config["n_routed_experts"], config["moe_intermediate_size"]
            tensors |= {f"{here}mlp.experts.gate_up_proj": [experts, 2 * inner, width],
                        f"{here}mlp.experts.down_proj": [experts, width, inner],
                        f"{here}mlp.gate.e_score_correction_bias": [experts]}
    return tensors


def minimax(config):
    """Names and shapes of MiniMax M2 and M3."""
    config = text(config)
    width, inner, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    tensors = {"model.embed_tokens.weight": [config["vocab_size"], width], "model.norm.weight": [width],
               "lm_head.weight": [config["vocab_size"], width]}
    third = "moe_layer_freq" in config
    for layer in range(config["num_hidden_layers"]):
        here = f"model.layers.{layer}."
        tensors |= attention(config, f"{here}self_attn.")
        for kind, heads in (("q", config["num_attention_heads"]), ("k", config["num_key_value_heads"])):
            tensors[f"{here}self_attn.{kind}_norm.weight"] = [head if third else heads * head]
        tensors |= {f"{here}{norm}.weight": [width] for norm in ("input_layernorm", "post_attention_layernorm")}
        if third and not config["moe_layer_freq"][layer]:
            tensors |= gated(f"{here}mlp.", width, config["dense_intermediate_size"])
            continue
        moe = f"{here}block_sparse_moe."
        tensors |= {f"{moe}gate.weight": [config["num_local_experts"], width],
                    f"{moe}e_score_correction_bias": [config["num_local_experts"]]}
        for expert in range(config["num_local_experts"]):
            tensors |= {f"{moe}experts.{expert}.w1.weight": [inner, width], f"{moe}experts.{expert}.w2.weight": [width, inner],
                        f"{moe}experts.{expert}.w3.weight": [inner, width]}
        if third:
            sparse = config["sparse_attention_config"]
            size = sparse["sparse_index_dim"]
            tensors |= gated(f"{moe}shared_experts.", width, inner * config["n_shared_experts"])
            tensors |= {f"{here}self_attn.index_q_proj.weight": [size * sparse["sparse_num_index_heads"], width],
                        f"{here}self_attn.index_k_proj.weight": [size, width],
                        f"{here}self_attn.index_q_norm.weight": [size], f"{here}self_attn.index_k_norm.weight": [size]}
    return tensors


def deepseek4(config):
    width, size, head = config["hidden_size"], config["vocab_size"], config["head_dim"]
    queries, lora, streams = config["num_attention_heads"] * head, config["q_lora_rank"], config["hc_mult"]
    inner, experts, groups = config["moe_intermediate_size"], config["n_routed_experts"], config["o_groups"]
    mixes, wide, index = streams * (streams + 2), streams * width, config["index_head_dim"]
    tensors = {"embed.weight": [size, width], "norm.weight": [width], "head.weight": [size, width], "hc_head_fn": [streams, wide],
               "hc_head_base": [streams], "hc_head_scale": [1], "mtp.0.enorm.weight": [width]}
    for layer in range(config["num_hidden_layers"]):
        here, ratio = f"layers.{layer}.", config["compress_ratios"][layer]
        tensors |= {f"{here}attn_norm.weight": [width], f"{here}ffn_norm.weight": [width]}
        for part in ("attn", "ffn"):
            tensors |= {f"{here}hc_{part}_fn": [mixes, wide], f"{here}hc_{part}_base": [mixes], f"{here}hc_{part}_scale": [3]}
        attn = f"{here}attn."
        tensors |= {f"{attn}attn_sink": [config["num_attention_heads"]], f"{attn}wq_a.weight": [lora, width],
                    f"{attn}q_norm.weight": [lora], f"{attn}wq_b.weight": [queries, lora], f"{attn}wkv.weight": [head, width],
                    f"{attn}kv_norm.weight": [head], f"{attn}wo_a.weight": [groups * config["o_lora_rank"], queries // groups],
                    f"{attn}wo_b.weight": [width, groups * config["o_lora_rank"]]}
        parts = [(f"{attn}compressor.", head, 2 if ratio == 4 else 1)] if ratio else []
        if ratio == 4:
            parts.append((f"{attn}indexer.compressor.", index, 2))
            tensors |= {f"{attn}indexer.wq_b.weight": [config["index_n_heads"] * index, lora],
                        f"{attn}indexer.weights_proj.weight": [config["index_n_heads"], width]}
        for part, one, times in parts:
            tensors |= {f"{part}ape": [ratio, times * one], f"{part}wkv.weight": [times * one, width],
                        f"{part}wgate.weight": [times * one, width], f"{part}norm.weight": [one]}
        ffn = f"{here}ffn."
        tensors |= {f"{ffn}gate.weight": [experts, width], f"{ffn}gate.bias": [experts]}
        if layer < config["num_hash_layers"]:
            tensors[f"{ffn}gate.tid2eid"] = [size, config["num_experts_per_tok"]]
        for name, count in [(f"experts.{expert}.", 1) for expert in range(experts)] + [("shared_experts.", config["n_shared_experts"])]:
            tensors |= {f"{ffn}{name}w1.weight": [inner * count, width], f"{ffn}{name}w2.weight": [width, inner * count],
                        f"{ffn}{name}w3.weight": [inner * count, width]}
    return tensors


V4 = dict(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=1, head_dim=32, qk_rope_head_dim=16,
          q_lora_rank=64, o_lora_rank=32, o_groups=2, max_position_embeddings=256, sliding_window=16, n_routed_experts=4,
          num_experts_per_tok=2, n_shared_experts=1, moe_intermediate_size=64, routed_scaling_factor=1.5, norm_topk_prob=True,
          swiglu_limit=10.0, scoring_func="sqrtsoftplus", index_n_heads=2, index_head_dim=32, index_topk=8, compress_ratios=[0, 4, 8],
          compress_rope_theta=160000, hc_mult=4, hc_eps=1e-6, hc_sinkhorn_iters=20, num_hash_layers=1, rms_norm_eps=1e-6,
          rope_theta=10000, rope_scaling=YARN, num_nextn_predict_layers=1, tie_word_embeddings=False,
          quantization_config=dict(quant_method="fp8", fmt="e4m3", scale_fmt="ue8m0", weight_block_size=[128, 128]))
MINIMAX = dict(SIZES, head_dim=16, num_local_experts=4, num_experts_per_tok=2, rotary_dim=8, rms_norm_eps=1e-6,
               rope_theta=5000000, scoring_func="sigmoid", use_routing_bias=True, tie_word_embeddings=False)
M3 = dict(MINIMAX, num_hidden_layers=3, dense_intermediate_size=128, moe_layer_freq=[0, 1, 1], n_shared_experts=1,
          routed_scaling_factor=2.0, sparse_attention_config=dict(sparse_num_index_heads=2, sparse_index_dim=16, sparse_topk_blocks=4,
                                                                  sparse_block_size=32, sparse_local_block=1))

MODELS = [
    ("kimi-vl", "KimiVLForConditionalGeneration", "dscoder", "bfloat16",
     dict(architectures=["KimiVLForConditionalGeneration"], model_type="kimi_vl", vocab_size=32256,
          text_config=dict(RAW, **MLA, model_type="deepseek_v3", vocab_size=32256, q_lora_rank=None, n_shared_experts=1),
          tensors=wrapped({"vision_tower.patch_embed.proj.weight": [8, 3, 2, 2], "multi_modal_projector.pre_norm.weight": [8]}))),
    ("kimi-k25", "KimiK25ForConditionalGeneration", "dscoder", "float16",
     dict(architectures=["KimiK25ForConditionalGeneration"], model_type="kimi_k25", vocab_size=32256,
          text_config=dict(RAW, **MLA, model_type="kimi_k2", vocab_size=32256, rope_scaling=YARN),
          tensors=wrapped({"vision_tower.patch_embed.proj.weight": [8, 3, 2, 2], "mm_projector.pre_norm.weight": [8]}))),
    ("youtu", "YoutuForCausalLM", "dscoder", "bfloat16",
     dict({key: value for key, value in RAW.items() if not key.startswith(("n_", "moe", "first", "num_experts"))},
          architectures=["YoutuForCausalLM"], model_type="youtu_llm", tie_word_embeddings=True, tensors=deepseek)),
    ("youtu-vl", "YoutuVLForConditionalGeneration", "dscoder", "float16",
     dict({key: value for key, value in RAW.items() if not key.startswith(("n_", "moe", "first", "num_experts", "rms"))},
          architectures=["YoutuVLForConditionalGeneration"], model_type="youtu_vl", vision_config=dict(hidden_size=8),
          tensors=lambda config: deepseek(config) | {"siglip2.vision_model.post_layernorm.weight": [8], "merger.mlp.0.weight": [8, 8]})),
    ("deepseek-ocr", "DeepseekOCRForCausalLM", "dscoder", "bfloat16",
     dict(architectures=["DeepseekOCRForCausalLM"], model_type="DeepseekOCR", vocab_size=32256,
          language_config=dict(SIZES, architectures=["DeepseekV2ForCausalLM"], model_type="deepseek_v2", vocab_size=32256,
                               num_key_value_heads=4, n_routed_experts=4, n_shared_experts=2, num_experts_per_tok=2,
                               moe_intermediate_size=32, first_k_dense_replace=1, topk_method="greedy", use_mla=False, q_lora_rank=None,
                               kv_lora_rank=None, qk_nope_head_dim=0, qk_rope_head_dim=0, v_head_dim=0),
          vision_config=dict(width=dict()), tensors=lambda config: ocr({**config, **config["language_config"]}))),
    ("unlimited-ocr", "UnlimitedOCRForCausalLM", "dscoder_chat", "float16",
     dict(SIZES, architectures=["UnlimitedOCRForCausalLM"], model_type="unlimited-ocr", n_routed_experts=4, n_shared_experts=2,
          num_experts_per_tok=2, moe_intermediate_size=32, first_k_dense_replace=1, rms_norm_eps=1e-5, rope_theta=10000.0,
          qk_rope_head_dim=0, sliding_window_size=128, tie_word_embeddings=True, tensors=ocr)),
    ("minimax-m2", "MiniMaxM2ForCausalLM", "dscoder", "bfloat16",
     dict(MINIMAX, architectures=["MiniMaxM2ForCausalLM"], model_type="minimax_m2", tensors=minimax)),
    ("minimax-m2-f16", "MiniMaxM2ForCausalLM", "dscoder_chat", "float16",
     dict(MINIMAX, architectures=["MiniMaxM2ForCausalLM"], model_type="minimax_m2", num_local_experts=2, tensors=minimax)),
    ("minimax-m3", "MiniMaxM3SparseForCausalLM", "dscoder", "bfloat16",
     dict(M3, architectures=["MiniMaxM3SparseForCausalLM"], model_type="minimax_m3", tensors=minimax)),
    ("minimax-m3-vl", "MiniMaxM3SparseForConditionalGeneration", "dscoder", "float16",
     dict(architectures=["MiniMaxM3SparseForConditionalGeneration"], model_type="minimax_m3_vl", vocab_size=32256,
          text_config=dict(M3, vocab_size=32256, model_type="minimax_m3"),
          tensors=lambda config: {f"language_model.{name}": shape for name, shape in minimax(config).items()}
          | {"vision_tower.vision_model.pre_layrnorm.weight": [8], "multi_modal_projector.linear_1.weight": [8, 8]})),
    # Without a template of its own the reference writes one that comes with llama.cpp.
    ("deepseek-v4", "DeepseekV4ForCausalLM", "dscoder", "bfloat16",
     dict(V4, files={"chat_template.json": {"chat_template": "{{ messages }}"}}, architectures=["DeepseekV4ForCausalLM"], model_type="deepseek_v4", tensors=deepseek4, quantize="deepseek4")),
    ("deepseek-v4-layers", "DeepseekV4ForCausalLM", "dscoder_chat", "bfloat16",
     dict(V4, architectures=["DeepseekV4ForCausalLM"], model_type="deepseek_v4", num_hidden_layers=11, num_hash_layers=2, q_lora_rank=48,
          compress_ratios=[0] * 11, n_routed_experts=2, tensors=deepseek4, quantize="deepseek4")),
    ("hunyuan4", "HYV4ForCausalLM", "dscoder", "bfloat16",
     dict(RAW, **INDEX, architectures=["HYV4ForCausalLM"], model_type="hy_v4", hc_mult=2, hc_eps=1e-6, hc_magnitude=2.0,
          indexer_types=["full", "shared", "full"], n_group=1, topk_group=1, norm_topk_prob=True, routed_scaling_factor=2.5,
          swiglu_limit=7.0, enable_lm_head_fp32=True, mlp_layer_types=["dense", "sparse", "sparse"], tensors=hunyuan4)),
    ("hunyuan4-dense", "HYV4ForCausalLM", "dscoder", "float16",
     dict({key: value for key, value in RAW.items() if key != "first_k_dense_replace"}, architectures=["HYV4ForCausalLM"],
          model_type="hy_v4", hc_mult=4, hc_eps=1e-6, hc_magnitude=2.0, num_key_value_heads=2,
          mlp_layer_types=["dense", "sparse", "sparse"],
          tensors=lambda config: hunyuan4(dict(config, first_k_dense_replace=1)))),
    ("glm4-moe-lite", "Glm4MoeLiteForCausalLM", "dscoder_glm", "bfloat16",
     dict(RAW, architectures=["Glm4MoeLiteForCausalLM"], model_type="glm4_moe_lite", topk_method="noaux_tc", norm_topk_prob=True,
          routed_scaling_factor=1.8, num_nextn_predict_layers=1, tensors=deepseek)),
    ("glm4-moe-lite-trunk", "Glm4MoeLiteForCausalLM", "dscoder_glm", "float16",
     dict(RAW, architectures=["Glm4MoeLiteForCausalLM"], model_type="glm4_moe_lite", topk_method="noaux_tc", tensors=deepseek)),
    ("glm5", "GlmMoeDsaForCausalLM", "dscoder_glm", "bfloat16",
     dict(RAW, **MLA, **INDEX, architectures=["GlmMoeDsaForCausalLM"], model_type="glm_moe_dsa", num_nextn_predict_layers=1,
          partial_rotary_factor=0.5, indexer_types=["full", "shared", "full"], tensors=deepseek)),
    ("glm5-trunk", "GlmMoeDsaForCausalLM", "dscoder_glm", "float16",
     dict(RAW, **MLA, **INDEX, architectures=["GlmMoeDsaForCausalLM"], model_type="glm_moe_dsa", tensors=deepseek)),
    ("deepseek-v32", "DeepseekV32ForCausalLM", "dscoder_bos", "bfloat16",
     dict(RAW, **MLA, **INDEX, architectures=["DeepseekV32ForCausalLM"], model_type="deepseek_v32", num_nextn_predict_layers=1,
          rope_scaling=YARN, tensors=deepseek)),
    ("deepseek-v32-trunk", "DeepseekV32ForCausalLM", "dscoder_bos", "float16",
     dict(RAW, **MLA, **INDEX, architectures=["DeepseekV32ForCausalLM"], model_type="deepseek_v32", num_nextn_predict_layers=0,
          tensors=deepseek)),
]

"""Models of 2025 and 2026 that the library lacks: Kimi K3, Laguna, MiniMax 01, Qwen 3.8, Sarvam, Step 3.5."""
from .common import SIZES
from .qwen import HYBRID, MOE, hybrid_tensors
from .shapes import attention, experts, gated
from .sparse import BAILING2, bailing, raw


def minimax01(c):
    hidden, inner, queries = c["hidden_size"], c["intermediate_size"], c["num_attention_heads"] * c["head_dim"]
    shapes = {"model.embed_tokens.weight": (c["vocab_size"], hidden), "model.norm.weight": (hidden,),
              "lm_head.weight": (c["vocab_size"], hidden)}
    for layer, full in enumerate(c["attn_type_list"]):
        at = f"model.layers.{layer}."
        if full:
            shapes |= attention(c, layer)
        else:
            shapes |= {f"{at}self_attn.qkv_proj.weight": (3 * queries, hidden),
                       f"{at}self_attn.out_proj.weight": (hidden, queries),
                       f"{at}self_attn.output_gate.weight": (queries, hidden), f"{at}self_attn.norm.weight": (queries,)}
        moe = f"{at}block_sparse_moe."
        shapes |= {f"{at}{norm}.weight": (hidden,) for norm in ("input_layernorm", "post_attention_layernorm")}
        shapes[f"{moe}gate.weight"] = (c["num_local_experts"], hidden)
        for expert in range(c["num_local_experts"]):
            here = f"{moe}experts.{expert}."
            shapes |= {f"{here}w1.weight": (inner, hidden), f"{here}w2.weight": (hidden, inner),
                       f"{here}w3.weight": (inner, hidden)}
    return shapes


MINIMAX = dict(SIZES, head_dim=16, num_local_experts=2, num_experts_per_tok=2, rotary_dim=8, rms_norm_eps=1e-5,
               rope_theta=10000,
               attn_type_list=[0, 1], layernorm_full_attention_alpha=3.5, layernorm_full_attention_beta=1.0,
               layernorm_linear_attention_alpha=3.5, layernorm_linear_attention_beta=1.0, layernorm_mlp_alpha=3.5,
               layernorm_mlp_beta=1.0, tie_word_embeddings=False, tensors=minimax01)


def with_index(template):
    """Files of the folder: an index of the tensors, and a chat template."""
    names = minimax01(dict(MINIMAX, vocab_size=1))
    return {"model.safetensors.index.json": {"weight_map": dict.fromkeys(names, "model.safetensors")},
            "chat_template.jinja": template}


STEP = dict(SIZES, num_hidden_layers=3, head_dim=32, num_attention_groups=2, rms_norm_eps=1e-5, sliding_window=64,
            layer_types=["full_attention", "sliding_attention", "sliding_attention"],
            partial_rotary_factors=[0.5, 1.0, 1.0], attention_other_setting=dict(num_attention_heads=6,
                                                                                 num_attention_groups=1),
            rope_theta=[5000000.0, 10000.0, 10000.0], moe_num_experts=4, moe_top_k=2, moe_intermediate_size=32,
            share_expert_dim=48, moe_router_scaling_factor=3.0, norm_expert_weight=True, moe_layers_enum="1,2",
            moe_every_n_layer=1, use_head_wise_attn_gate=True, use_moe_router_bias=True, tie_word_embeddings=False,
            swiglu_limits=[None, 7.0, 0.0], swiglu_limits_shared=[0.0, 0.0, 16.0])
del STEP["num_key_value_heads"]


def step(c):
    c = dict(c, **c.get("text_config", {}))
    prefix = "model.language_model." if "vision_config" in c else "model."
    hidden, head, more = c["hidden_size"], c["head_dim"], c.get("num_nextn_predict_layers", 0)
    shapes = {f"{prefix}embed_tokens.weight": (c["vocab_size"], hidden), f"{prefix}norm.weight": (hidden,),
              "lm_head.weight": (c["vocab_size"], hidden)}
    sparse = {int(layer) for layer in c["moe_layers_enum"].split(",")}
    for layer in range(c["num_hidden_layers"] + more):
        at = f"{prefix}layers.{layer}."
        slides = layer < len(c["layer_types"]) and c["layer_types"][layer] == "sliding_attention"
        of = c["attention_other_setting"] if slides else c
        heads, keys = of["num_attention_heads"], of["num_attention_groups"]
        shapes |= {f"{at}{norm}.weight": (hidden,) for norm in ("input_layernorm", "post_attention_layernorm")}
        shapes |= {f"{at}self_attn.{name}_proj.weight": (count * head, hidden) for name,
                   count in (("q", heads), ("k", keys), ("v", keys))}
        shapes |= {f"{at}self_attn.o_proj.weight": (hidden, heads * head),
                   f"{at}self_attn.g_proj.weight": (heads, hidden),
                   f"{at}self_attn.q_norm.weight": (head,), f"{at}self_attn.k_norm.weight": (head,)}
        if layer in sparse:
            count, inner = c["moe_num_experts"], c["moe_intermediate_size"]
            shapes |= {f"{at}moe.gate.weight": (count, hidden), f"{at}moe.router_bias": (count,),
                       f"{at}moe.gate_proj.weight": (count, inner, hidden), f"{at}moe.up_proj.weight": (count, inner,
                                                                                                        hidden),
                       f"{at}moe.down_proj.weight": (count, hidden, inner), **gated(f"{at}share_expert.", hidden,
                                                                                    c["share_expert_dim"])}
        else:
            shapes |= gated(f"{at}mlp.", hidden, c["intermediate_size"])
        if layer >= c["num_hidden_layers"]:
            shapes |= {f"{at}eh_proj.weight": (hidden, 2 * hidden), f"{at}enorm.weight": (hidden,),
                       f"{at}hnorm.weight": (hidden,),
                       f"{at}transformer.shared_head.norm.weight": (hidden,),
                       f"{at}transformer.shared_head.output.weight": (c["vocab_size"], hidden)}
    if "vision_config" in c:
        shapes |= {"vit_large_projector.weight": (hidden, 32), "vision_model.conv1.weight": (32, 3, 2, 2)}
    return shapes


LAGUNA = dict(SIZES, num_hidden_layers=3, head_dim=16, rms_norm_eps=1e-6, num_experts=4, num_experts_per_tok=2,
              moe_intermediate_size=32, shared_expert_intermediate_size=48, moe_routed_scaling_factor=2.5,
              mlp_layer_types=["dense", "sparse", "sparse"], gating=True, bos_token_id=2, eos_token_id=[2, 24])


def laguna(c):
    hidden, head, keys = c["hidden_size"], c["head_dim"], c["num_key_value_heads"]
    shapes = {"model.embed_tokens.weight": (c["vocab_size"], hidden), "model.norm.weight": (hidden,)}
    if not c.get("tie_word_embeddings"):
        shapes["lm_head.weight"] = (c["vocab_size"], hidden)
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        heads = c.get("num_attention_heads_per_layer", [c["num_attention_heads"]] * 3)[layer]
        gate = heads * head if c["gating"] == "per-element" else heads
        shapes |= {f"{at}{norm}.weight": (hidden,) for norm in ("input_layernorm", "post_attention_layernorm")}
        shapes |= {f"{at}self_attn.q_proj.weight": (heads * head, hidden),
                   f"{at}self_attn.k_proj.weight": (keys * head, hidden),
                   f"{at}self_attn.v_proj.weight": (keys * head, hidden),
                   f"{at}self_attn.o_proj.weight": (hidden, heads * head),
                   f"{at}self_attn.g_proj.weight": (gate, hidden), f"{at}self_attn.q_norm.weight": (head,),
                   f"{at}self_attn.k_norm.weight": (head,)}
        if c["mlp_layer_types"][layer] == "dense":
            shapes |= gated(f"{at}mlp.", hidden, c["intermediate_size"])
        else:
            shapes |= {f"{at}mlp.gate.weight": (c["num_experts"], hidden),
                       f"{at}mlp.experts.e_score_correction_bias": (c["num_experts"],),
                       **experts(f"{at}mlp.experts.", c["num_experts"], hidden, c["moe_intermediate_size"]),
                       **gated(f"{at}mlp.shared_expert.", hidden, c["shared_expert_intermediate_size"])}
    return shapes


QWEN4 = dict(HYBRID, **MOE, hc_count=2, hc_lowrank=4, indexer_n_heads=2, indexer_head_dim=8, indexer_budget=16,
             indexer_compress_ratio=4, ple_layer_ids=[2], ngram_size=3, heads_per_ngram=2, ple_conv_kernel_size=4,
             split_ngram_parts=3, eos_token_id=[5, 7], image_token_id=9)


def qwen4exp(c):
    text = dict(c, **c.get("text_config", {}))
    prefix = "model.language_model." if "text_config" in c else "model."
    hidden, wide, low = text["hidden_size"], text["hidden_size"] * text["hc_count"], text["hc_lowrank"]
    shapes = {name: shape for name, shape in hybrid_tensors(dict(c, mtp_num_hidden_layers=0)).items()
              if "layernorm" not in name and name != f"{prefix}norm.weight"}

    def mixer(at):
        return {f"{at}hc_norm.weight": (wide,), f"{at}input_mix_weight_down.weight": (low, wide),
                f"{at}input_mix_weight_up.weight": (wide, low)}

    shapes |= mixer(f"{prefix}hyper_connection_mixer.") | {"mtp.fc.weight": (hidden, 2 * hidden)}
    for layer, kind in enumerate(text["layer_types"]):
        at = f"{prefix}layers.{layer}."
        for part in ("attn", "mlp"):
            here = f"{at}{part}_hyper_connection."
            shapes |= mixer(here) | {f"{here}block_inject_weight.weight": (text["hc_count"], wide)}
        if kind == "full_attention":
            index, size = f"{at}self_attn.indexer.", text["indexer_head_dim"]
            shapes |= {f"{index}index_qk_proj.weight": ((text["indexer_n_heads"] + 1) * size, hidden),
                       f"{index}q_layernorm.weight": (size,), f"{index}k_layernorm.weight": (size,)}
        if layer + 1 in text["ple_layer_ids"]:
            here = f"{at}ple."
            shapes |= {f"{here}key_proj.weight": (wide, hidden), f"{here}value_proj.weight": (hidden, hidden),
                       f"{here}conv1d.weight": (wide, 1, text["ple_conv_kernel_size"]),
                       **{f"{here}norm_{norm}.weight": (wide,) for norm in ("key", "query", "conv")}}
            table = f"{here}ple_embedding."
            shapes |= {f"{table}layer_multipliers": ("int64", [3]), f"{table}ngram_heads_offsets": ("int64", [4]),
                       f"{table}ngram_heads_vocab_sizes": ("int64", [4])}
            shapes |= {f"{table}ngram_embedding.shard_{part}.weight": (40 + part,
                                                                       32) for part in range(text["split_ngram_parts"])}
    return shapes


KIMI = dict(SIZES, num_hidden_layers=3, num_key_value_heads=4, kv_lora_rank=32, q_lora_rank=24, qk_nope_head_dim=16,
            qk_rope_head_dim=8, v_head_dim=16, rms_norm_eps=1e-5, rope_theta=10000.0, mla_use_nope=True,
            hidden_act="situ",
            linear_attn_config=dict(full_attn_layers=[2], kda_layers=[1, 3], head_dim=16, num_heads=4,
                                    short_conv_kernel_size=4, gate_lower_bound=-5.0),
            num_experts=4, num_experts_per_token=2, moe_intermediate_size=32, num_shared_experts=1,
            first_k_dense_replace=1, routed_scaling_factor=2.5, moe_renormalize=True,
            moe_router_activation_func="sigmoid", routed_expert_hidden_size=32,
            activation_situ_beta=1.5, activation_situ_linear_beta=0.5, attn_res_block_size=2, tie_word_embeddings=False)


def kimi_k3(c):
    text = dict(c, **c.get("text_config", {}))
    prefix = "language_model." if "text_config" in c else ""
    hidden, heads = text["hidden_size"], text["num_attention_heads"]
    linear = text["linear_attn_config"]["num_heads"] * text["linear_attn_config"]["head_dim"]
    head, taps = text["linear_attn_config"]["head_dim"], text["linear_attn_config"]["short_conv_kernel_size"]
    key, value, latent = text["qk_nope_head_dim"] + text["qk_rope_head_dim"], text["v_head_dim"], text["kv_lora_rank"]
    shapes = {"model.embed_tokens.weight": (text["vocab_size"], hidden), "model.norm.weight": (hidden,),
              "lm_head.weight": (text["vocab_size"], hidden), "model.output_attn_res_norm.weight": (hidden,),
              "model.output_attn_res_proj.weight": (1, hidden)}
    for layer in range(text["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        shapes |= {f"{at}{norm}.weight": (hidden,) for norm in ("input_layernorm", "post_attention_layernorm")}
        for res in ("self_attention_res", "mlp_res"):
            shapes |= {f"{at}{res}_norm.weight": (hidden,), f"{at}{res}_proj.weight": (1, hidden)}
        mix = f"{at}self_attn."
        if layer + 1 in text["linear_attn_config"]["full_attn_layers"]:
            shapes |= {f"{mix}q_a_proj.weight": (text["q_lora_rank"], hidden),
                       f"{mix}q_a_layernorm.weight": (text["q_lora_rank"],),
                       f"{mix}q_b_proj.weight": (heads * key, text["q_lora_rank"]),
                       f"{mix}kv_a_proj_with_mqa.weight": (latent + text["qk_rope_head_dim"], hidden),
                       f"{mix}kv_a_layernorm.weight": (latent,),
                       f"{mix}kv_b_proj.weight": (heads * (text["qk_nope_head_dim"] + value), latent),
                       f"{mix}g_proj.weight": (heads * value, hidden), f"{mix}o_proj.weight": (hidden, heads * value)}
        else:
            shapes |= {f"{mix}{name}_proj.weight": (linear, hidden) for name in "qkvg"}
            shapes |= {f"{mix}{name}_conv1d.weight": (linear, 1, taps) for name in "qkv"}
            shapes |= {f"{mix}A_log": (heads,), f"{mix}dt_bias": (linear,), f"{mix}f_a_proj.weight": (head, hidden),
                       f"{mix}f_b_proj.weight": (linear, head), f"{mix}b_proj.weight": (heads, hidden),
                       f"{mix}o_norm.weight": (head,), f"{mix}o_proj.weight": (hidden, linear)}
        if layer < text["first_k_dense_replace"]:
            shapes |= gated(f"{at}mlp.", hidden, text["intermediate_size"])
            continue
        moe, inner, small = f"{at}block_sparse_moe.", text["moe_intermediate_size"], text["routed_expert_hidden_size"]
        shapes |= {f"{moe}gate.weight": (text["num_experts"], hidden),
                   f"{moe}gate.e_score_correction_bias": (text["num_experts"],),
                   f"{moe}routed_expert_down_proj.weight": (small,
                                                            hidden), f"{moe}routed_expert_up_proj.weight": (hidden,
                                                                                                            small),
                   f"{moe}routed_expert_norm.weight": (small,), **gated(f"{moe}shared_experts.", hidden, inner)}
        for expert in range(text["num_experts"]):
            here = f"{moe}experts.{expert}."
            shapes |= {f"{here}w1.weight": (inner, small), f"{here}w2.weight": (small, inner),
                       f"{here}w3.weight": (inner, small)}
    return {prefix + name: shape for name, shape in shapes.items()}


PACKED = dict(num_bits=4, group_size=32, type="float")
LLAMA3 = dict(rope_type="llama3", factor=2.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
MODELS = [
    ("minimax-text01", "MiniMaxText01ForCausalLM", "dscoder", "bfloat16",
     raw("MiniMaxText01ForCausalLM", "minimax_text_01", MINIMAX, files=with_index("{{ messages }}"),
         quantize="untrained")),
    ("minimax-m1", "MiniMaxM1ForCausalLM", "dscoder", "float16",
     raw("MiniMaxM1ForCausalLM", "minimax_m1", MINIMAX, files=with_index("{{ messages[0] }}"))),
    ("step35", "Step3p5ForCausalLM", "dscoder", "bfloat16",
     raw("Step3p5ForCausalLM", "step3p5", STEP, tensors=step, num_nextn_predict_layers=1, rope_scaling=LLAMA3)),
    ("step35-no-mtp", "Step3p5ForCausalLM", "dscoder", "bfloat16",
     raw("Step3p5ForCausalLM", "step3p5", STEP, tensors=step, num_nextn_predict_layers=1, options=["--no-mtp"])),
    ("step35-mtp", "Step3p5ForCausalLM", "dscoder", "bfloat16",
     raw("Step3p5ForCausalLM", "step3p5", STEP, tensors=step, num_nextn_predict_layers=1, options=["--mtp"])),
    ("step37", "Step3p7ForConditionalGeneration", "dscoder", "float16",
     dict(architectures=["Step3p7ForConditionalGeneration"], model_type="step3p7", vision_config=dict(hidden_size=32),
          tensors=step, text_config=raw("Step3p5ForCausalLM", "step3p5", STEP, vocab_size=32048))),
    ("laguna", "LagunaForCausalLM", "dscoder", "bfloat16",
     raw("LagunaForCausalLM", "laguna", LAGUNA, tensors=laguna, num_attention_heads_per_layer=[4, 2, 6],
         sliding_window=64,
         tokens=["</assistant>"], files={"chat_template.jinja": "{{ messages }}"},
         rope_parameters=dict(full_attention=dict(rope_type="yarn", factor=8.0, original_max_position_embeddings=64,
                                                  rope_theta=500000.0,
                                                  partial_rotary_factor=0.5, beta_fast=64.0, beta_slow=1.0),
                              sliding_attention=dict(rope_type="default", rope_theta=10000.0)))),
    ("laguna-elements", "LagunaForCausalLM", "dscoder", "float16",
     raw("LagunaForCausalLM", "laguna", dict(LAGUNA, gating="per-element"), tensors=laguna, tie_word_embeddings=True,
         rope_parameters=dict(full_attention=dict(rope_type="default", rope_theta=10000.0)))),
    ("minicpmv46", "MiniCPMV4_6ForConditionalGeneration", "dscoder", "bfloat16",
     dict(architectures=["MiniCPMV4_6ForConditionalGeneration"], model_type="minicpmv4_6",
          vision_config=dict(hidden_size=32),
          tensors=lambda c: hybrid_tensors(c) | {"model.merger.mlp.0.linear_1.weight": (64, 32)},
          text_config=dict(HYBRID, model_type="qwen3_5_text", mtp_num_hidden_layers=1, vocab_size=32048))),
    ("qwen4exp", "Qwen4ExpForCausalLM", "dscoder", "bfloat16",
     raw("Qwen4ExpForCausalLM", "qwen4_exp", QWEN4, tensors=qwen4exp)),
    ("qwen4exp-vision", "Qwen4ExpForConditionalGeneration", "dscoder", "float16",
     dict(architectures=["Qwen4ExpForConditionalGeneration"], model_type="qwen4_exp", image_token_id=11,
          tensors=qwen4exp,
          text_config=dict(QWEN4, model_type="qwen4_exp_text", ple_layer_ids=[], vocab_size=32048,
                           rope_parameters=dict(rope_type="default", rope_theta=1e7, mrope_section=[2, 1, 1])))),
    ("kimi-k3", "KimiK3ForConditionalGeneration", "dscoder", "bfloat16",
     dict(architectures=["KimiK3ForConditionalGeneration"], model_type="kimi_k3", tensors=kimi_k3, eos_token_id=7,
          files={"chat_template.jinja": "{{ messages }}"},
          text_config=raw("KimiLinearForCausalLM", "kimi_linear", KIMI, vocab_size=32048))),
    ("kimi-k3-mxfp4", "KimiK3ForConditionalGeneration", "dscoder", "bfloat16",
     dict(architectures=["KimiK3ForConditionalGeneration"], model_type="kimi_k3", tensors=kimi_k3,
          quantize="mxfp4-packed",
          files={"chat_template.jinja": "{{ messages }}"},
          text_config=raw("KimiLinearForCausalLM", "kimi_linear", KIMI, vocab_size=32048,
                          quantization_config=dict(quant_method="compressed-tensors", format="mxfp4-pack-quantized",
                                                   config_groups=dict(group_0=dict(weights=PACKED)))))),
    ("sarvam", "SarvamMoEForCausalLM", "dscoder", "bfloat16",
     raw("SarvamMoEForCausalLM", "sarvam_moe", BAILING2, tensors=bailing)),
    ("sarvam-module", "modeling_sarvam_moe.SarvamMoEForCausalLM", "dscoder", "float32",
     raw("modeling_sarvam_moe.SarvamMoEForCausalLM", "sarvam_moe", dict(BAILING2, num_experts=24), tensors=bailing,
         tie_word_embeddings=True)),
]

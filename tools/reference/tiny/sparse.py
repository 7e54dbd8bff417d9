"""Large sparse models of other houses: Bailing, dots.llm1, GroveMoE, Mellum, Phi, SmallThinker, Step and others."""
from .common import SIZES
from .shapes import attention, experts, gated, layers

MOE = dict(SIZES, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, rms_norm_eps=1e-6, rope_theta=10000.0)
DOTS = dict(SIZES, n_routed_experts=4, n_shared_experts=2, num_experts_per_tok=2, moe_intermediate_size=32, n_group=2,
            topk_group=1, first_k_dense_replace=1, routed_scaling_factor=2.5, norm_topk_prob=True)
PHIMOE = dict(SIZES, patch=dict(architectures=["PhiMoEForCausalLM"]), num_local_experts=4, num_experts_per_tok=2, bos_token_id=1, eos_token_id=2, pad_token_id=0,
              original_max_position_embeddings=64,
              rope_scaling=dict(type="longrope", short_factor=[1.0 + 0.1 * i for i in range(8)],
                                long_factor=[1.5 + 0.3 * i for i in range(8)], short_mscale=1.2, long_mscale=1.2,
                                original_max_position_embeddings=64))


def raw(name, model_type, base=MOE, **keys):
    """The config of a class that the library lacks."""
    return dict(base, architectures=[name], model_type=model_type, **keys)


def mellum(c, layer):
    at = f"model.layers.{layer}.mlp."
    hidden = c["hidden_size"]
    return {**attention(c, layer, head_norms=True), f"{at}gate.weight": (c["num_experts"], hidden),
            **experts(f"{at}experts.", c["num_experts"], hidden, c["moe_intermediate_size"])}


def grove(c, layer):
    at = f"model.layers.{layer}.mlp."
    return {**mellum(c, layer), **experts(f"{at}chunk_experts.", c["num_experts"] // 2, c["hidden_size"],
                                          c.get("head_dim") or 128),
            f"{at}expert_bias": (c["num_experts"],)}


def small_thinker(c, layer):
    at = f"model.layers.{layer}.block_sparse_moe."
    count, hidden = c["moe_num_primary_experts"], c["hidden_size"]
    return {**attention(c, layer), f"{at}primary_router.weight": (count, hidden),
            **experts(f"{at}experts.", count, hidden, c["moe_ffn_hidden_size"], ("gate", "up", "down"))}


def of(*parts):
    return lambda c: layers(c, *parts)


SMALLTHINKER = dict(SIZES, rms_norm_eps=1e-6, rope_theta=10000.0, moe_num_primary_experts=4, moe_ffn_hidden_size=32,
                    moe_num_active_primary_experts=2, head_dim=32, tensors=of(small_thinker))
GROVE = dict(MOE, tensors=of(grove))
MELLUM = dict(MOE, tensors=of(mellum), head_dim=32, layer_types=["full_attention", "sliding_attention"])

BAILING = dict(SIZES, rms_norm_eps=1e-6, rope_theta=10000.0, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32,
               num_shared_experts=2, first_k_dense_replace=0, norm_topk_prob=True)
BAILING2 = dict(BAILING, num_hidden_layers=3, first_k_dense_replace=1, routed_scaling_factor=2.5, n_group=2, topk_group=1,
                score_function="sigmoid", head_dim=32)


def bailing(c):
    """Both generations of Bailing MoE."""
    hidden, inner, heads = c["hidden_size"], c["moe_intermediate_size"], c["num_attention_heads"]
    head = c.get("head_dim") or hidden // heads
    more = c.get("num_nextn_predict_layers", 0)
    shapes = {"model.word_embeddings.weight": (c["vocab_size"], hidden), "model.norm.weight": (hidden,)}
    if not c.get("tie_word_embeddings"):
        shapes["lm_head.weight"] = (c["vocab_size"], hidden)
    for layer in range(c["num_hidden_layers"] + more):
        at = f"model.layers.{layer}."
        shapes.update({f"{at}input_layernorm.weight": (hidden,), f"{at}post_attention_layernorm.weight": (hidden,),
                       f"{at}attention.query_key_value.weight": ((heads + 2 * c["num_key_value_heads"]) * head, hidden),
                       f"{at}attention.dense.weight": (hidden, heads * head)})
        if "head_dim" in c:
            shapes.update({f"{at}attention.{part}_layernorm.weight": (head,) for part in ("query", "key")})
        if layer < c["first_k_dense_replace"]:
            shapes.update(gated(f"{at}mlp.", hidden, c["intermediate_size"]))
        else:
            shapes.update({f"{at}mlp.gate.weight": (c["num_experts"], hidden),
                           **experts(f"{at}mlp.experts.", c["num_experts"], hidden, inner),
                           **gated(f"{at}mlp.shared_experts.", hidden, inner * c["num_shared_experts"])})
            if "head_dim" in c:
                shapes[f"{at}mlp.gate.expert_bias"] = (c["num_experts"],)
        if layer >= c["num_hidden_layers"]:
            shapes.update({f"{at}eh_proj.weight": (hidden, 2 * hidden),
                           **{f"{at}{norm}.weight": (hidden,) for norm in ("enorm", "hnorm", "final_layernorm")}})
    return shapes


def phi4_vision(c):
    hidden, heads, keys = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
    head, inner = hidden // heads, c["intermediate_size"]
    shapes = {"model.embed_tokens.weight": (c["vocab_size"], hidden), "model.norm.weight": (hidden,),
              "lm_head.weight": (c["vocab_size"], hidden), "model.mm_projector.0.weight": (hidden, 32),
              "model.vision_tower.vision_tower.vision_model.embeddings.patch_embedding.weight": (32, 48)}
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        shapes.update({f"{at}input_layernorm.weight": (hidden,), f"{at}post_attention_layernorm.weight": (hidden,),
                       f"{at}self_attn.qkv_proj.weight": ((heads + 2 * keys) * head, hidden),
                       f"{at}self_attn.o_proj.weight": (hidden, hidden), f"{at}mlp.gate_up_proj.weight": (2 * inner, hidden),
                       f"{at}mlp.down_proj.weight": (hidden, inner)})
    return shapes


MIMO = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1,
            max_position_embeddings=256, head_dim=32, v_head_dim=16, swa_head_dim=32, swa_v_head_dim=16,
            swa_num_attention_heads=4, swa_num_key_value_heads=2, hybrid_layer_pattern=[0, 1], moe_layer_freq=[0, 1],
            sliding_window=64, rope_theta=5e6, swa_rope_theta=10000, partial_rotary_factor=0.334, layernorm_epsilon=1e-5,
            n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, n_group=1, topk_group=1,
            topk_method="noaux_tc", scoring_func="sigmoid")

FP8 = dict(quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=[128, 128])
MIMO_FP8 = dict(MIMO, fused=True, hidden_size=160, head_dim=64, swa_head_dim=64, num_attention_heads=8,
                swa_num_attention_heads=8, num_key_value_heads=8, swa_num_key_value_heads=12, quantization_config=FP8)
MIMO_MXFP4 = dict(MIMO_FP8, hidden_size=64, num_hidden_layers=3, hybrid_layer_pattern=[0, 1, 1], moe_layer_freq=[0, 1, 1],
                  quantization_config=dict(FP8, store_dtype="mxfp4", mxfp4_block_size=32))


def mimo(c):
    hidden, heads, head, value = (c[key] for key in ("hidden_size", "num_attention_heads", "head_dim", "v_head_dim"))
    shapes = {"model.embed_tokens.weight": (c["vocab_size"], hidden), "model.norm.weight": (hidden,),
              "lm_head.weight": (c["vocab_size"], hidden)}
    for layer in range(c["num_hidden_layers"] + 3):
        further = layer >= c["num_hidden_layers"]
        at = f"model.mtp.layers.{layer - c['num_hidden_layers']}." if further else f"model.layers.{layer}."
        slides = further or c["hybrid_layer_pattern"][layer]
        keys = c["swa_num_key_value_heads" if slides else "num_key_value_heads"]
        shapes.update({f"{at}input_layernorm.weight": (hidden,), f"{at}post_attention_layernorm.weight": (hidden,),
                       f"{at}self_attn.o_proj.weight": (hidden, heads * value)})
        if c.get("fused"):
            shapes[f"{at}self_attn.qkv_proj.weight"] = ((heads + keys) * head + keys * value, hidden)
        else:
            shapes.update({f"{at}self_attn.q_proj.weight": (heads * head, hidden),
                           f"{at}self_attn.k_proj.weight": (keys * head, hidden),
                           f"{at}self_attn.v_proj.weight": (keys * value, hidden)})
        if slides:
            shapes[f"{at}self_attn.attention_sink_bias"] = (heads,)
        if further or not c["moe_layer_freq"][layer]:
            shapes.update(gated(f"{at}mlp.", hidden, c["intermediate_size"]))
        else:
            shapes.update({f"{at}mlp.gate.weight": (c["n_routed_experts"], hidden),
                           f"{at}mlp.gate.e_score_correction_bias": (c["n_routed_experts"],),
                           **experts(f"{at}mlp.experts.", c["n_routed_experts"], hidden, c["moe_intermediate_size"])})
        if further:
            shapes.update({f"{at}eh_proj.weight": (hidden, 2 * hidden),
                           **{f"{at}{norm}.weight": (hidden,) for norm in ("enorm", "hnorm", "final_layernorm")}})
    return shapes


MODELS = [
    ("olmoe", "OlmoeForCausalLM", "dscoder", "bfloat16",
     dict(SIZES, num_key_value_heads=4, num_experts=4, num_experts_per_tok=2, pad_token_id=0)),
    ("olmoe-biases", "OlmoeForCausalLM", "dscoder", "float16",
     dict(SIZES, num_experts=4, num_experts_per_tok=2, attention_bias=True, tie_word_embeddings=True, pad_token_id=0)),
    ("dots1", "Dots1ForCausalLM", "dscoder", "bfloat16", dict(DOTS, head_dim=32)),
    ("dots1-tied", "Dots1ForCausalLM", "dscoder", "float16",
     dict(DOTS, num_hidden_layers=3, first_k_dense_replace=2, attention_bias=True, tie_word_embeddings=True)),
    ("seed-oss", "SeedOssForCausalLM", "dscoder", "bfloat16", dict(SIZES, head_dim=32)),
    ("seed-oss-biases", "SeedOssForCausalLM", "dscoder", "float16",
     dict(SIZES, attention_bias=True, attention_out_bias=True, mlp_bias=True, tie_word_embeddings=True)),
    ("phimoe", "PhimoeForCausalLM", "spm", "bfloat16", PHIMOE),
    ("phimoe-biases", "PhimoeForCausalLM", "spm", "float16", dict(PHIMOE, attention_bias=True, lm_head_bias=True)),
    ("smallthinker", "SmallThinkerForCausalLM", "dscoder", "bfloat16",
     raw("SmallThinkerForCausalLM", "smallthinker", SMALLTHINKER, sliding_window_size=64, sliding_window_layout=[0, 1],
         moe_primary_router_apply_softmax=True)),
    ("smallthinker-tied", "SmallThinkerForCausalLM", "dscoder", "float32",
     raw("SmallThinkerForCausalLM", "smallthinker", SMALLTHINKER, sliding_window_size=64, sliding_window_layout=[0, 0],
         tie_word_embeddings=True)),
    ("grovemoe", "GroveMoeForCausalLM", "dscoder", "bfloat16", raw("GroveMoeForCausalLM", "grove_moe", GROVE, head_dim=32)),
    ("grovemoe-module", "modeling_grove_moe.GroveMoeForCausalLM", "dscoder", "float16",
     raw("modeling_grove_moe.GroveMoeForCausalLM", "grove_moe", GROVE, head_dim=16, tie_word_embeddings=True)),
    ("mellum", "MellumForCausalLM", "dscoder", "bfloat16", raw("MellumForCausalLM", "mellum", MELLUM, sliding_window=64)),
    ("mellum-whole", "MellumForCausalLM", "dscoder", "float16",
     raw("MellumForCausalLM", "mellum", MELLUM, sliding_window=64, use_sliding_window=False, tie_word_embeddings=True)),
    ("maple", "MapleForCausalLM", "dscoder", "bfloat16",
     raw("MapleForCausalLM", "maple", MELLUM, sliding_window=64, hidden_act="silu", nope_on_global_attention=True)),
    ("maple-partial", "MapleForCausalLM", "dscoder", "float16",
     raw("MapleForCausalLM", "maple", MELLUM, sliding_window=64, hidden_act="silu", nope_on_global_attention=True,
         norm_topk_prob=True, partial_rotary_factor=0.5, tie_word_embeddings=True)),
    ("bailingmoe", "BailingMoeForCausalLM", "dscoder", "bfloat16",
     raw("BailingMoeForCausalLM", "bailing_moe", BAILING, tensors=bailing)),
    ("bailingmoe-tied", "BailingMoeForCausalLM", "dscoder", "float16",
     raw("BailingMoeForCausalLM", "bailing_moe", BAILING, tensors=bailing, tie_word_embeddings=True)),
    ("bailingmoe2", "BailingMoeV2ForCausalLM", "dscoder", "bfloat16",
     raw("BailingMoeV2ForCausalLM", "bailing_moe", BAILING2, tensors=bailing, num_nextn_predict_layers=1)),
    ("bailingmoe2-partial", "BailingMoeV2ForCausalLM", "dscoder", "float16",
     raw("BailingMoeV2ForCausalLM", "bailing_moe", BAILING2, tensors=bailing, num_nextn_predict_layers=0,
         partial_rotary_factor=0.25, moe_shared_expert_intermediate_size=64, tie_word_embeddings=True)),
    ("phi4-vision", "Phi4ForCausalLMV", "spm", "bfloat16",
     raw("Phi4ForCausalLMV", "phi4-siglip", dict(SIZES), rms_norm_eps=1e-5, rope_theta=10000.0, tensors=phi4_vision,
         original_max_position_embeddings=256)),
    ("phi4-vision-window", "Phi4ForCausalLMV", "spm", "float16",
     raw("Phi4ForCausalLMV", "phi4-siglip", dict(SIZES), rms_norm_eps=1e-5, rope_theta=10000.0, tensors=phi4_vision,
         original_max_position_embeddings=256, sliding_window=64, partial_rotary_factor=0.5)),
    ("mimo2", "MiMoV2FlashForCausalLM", "dscoder", "bfloat16",
     raw("MiMoV2FlashForCausalLM", "mimo_v2_flash", MIMO, tensors=mimo)),
    ("mimo2-fused", "MiMoV2ForCausalLM", "dscoder", "float16",
     raw("MiMoV2ForCausalLM", "mimo_v2", MIMO, tensors=mimo, fused=True, attention_value_scale=0.707)),
    # The rows of queries, keys and values are those of four processors.
    ("mimo2-fp8", "MiMoV2ForCausalLM", "dscoder", "bfloat16",
     raw("MiMoV2ForCausalLM", "mimo_v2", MIMO_FP8, tensors=mimo, quantize="mimo-fp8")),
    ("mimo2-mxfp4", "MiMoV2ForCausalLM", "dscoder", "bfloat16",
     raw("MiMoV2ForCausalLM", "mimo_v2", MIMO_MXFP4, tensors=mimo, quantize="mimo-mxfp4")),
]

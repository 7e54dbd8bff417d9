"""Hybrids of latent attention and Kimi delta attention."""
from .common import SIZES

LATENT = dict(SIZES, kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=24,
              moe_intermediate_size=32, first_k_dense_replace=1, routed_scaling_factor=2.5, rms_norm_eps=1e-5,
              tie_word_embeddings=False, num_hidden_layers=4, num_key_value_heads=4)
KIMI = dict(LATENT, model_type="kimi_linear", architectures=["KimiLinearForCausalLM"], head_dim=16, q_lora_rank=None,
            num_experts=4, num_experts_per_token=2, num_shared_experts=1, moe_router_activation_func="sigmoid",
            moe_renormalize=True, rope_theta=10000.0,
            linear_attn_config=dict(full_attn_layers=[3], kda_layers=[1, 2, 4], head_dim=16, num_heads=4,
                                    short_conv_kernel_size=4))
LING = dict(LATENT, model_type="bailing_moe_v3", architectures=["BailingMoeV3ForCausalLM"], head_dim=16,
            q_lora_rank=48, num_experts=4, num_experts_per_tok=2, num_shared_experts=1, n_group=2, topk_group=1,
            moe_shared_expert_intermediate_size=32, layer_group_size=3, short_conv_kernel_size=4, no_kda_lora=True,
            kda_safe_gate=True, kda_lower_bound=-5.0, gated_attention_proj_granularity_type="head_wise",
            norm_topk_prob=True, score_function="sigmoid", num_nextn_predict_layers=0)

GLM5_NEXT = dict(LATENT, qk_rope_head_dim=0, q_lora_rank=48, vocab_size=32256, n_routed_experts=4, num_experts_per_tok=2,
                 n_shared_experts=1, head_dim=32, scoring_func="sigmoid", norm_topk_prob=True, hc_mult=4, hc_eps=1e-6,
                 hc_sinkhorn_iters=20, index_n_heads=2, index_head_dim=32, index_topk=16, index_kpool=4, mla_use_nope=True,
                 layer_types=["linear_attention", "linear_attention", "full_attention", "linear_attention"],
                 num_nextn_predict_layers=0,
                 linear_attn_config=dict(head_dim=16, num_heads=4, short_conv_kernel_size=4, gate_lower_bound=-5.0))


def attention(start, config, full, linear):
    """The tensors of a layer's attention, without its gates."""
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    nope, rope, value = config["qk_nope_head_dim"], config["qk_rope_head_dim"], config["v_head_dim"]
    latent, queries = config["kv_lora_rank"], config["q_lora_rank"]
    if full:
        tensors = {"kv_a_proj_with_mqa.weight": [latent + rope, hidden], "kv_a_layernorm.weight": [latent],
                   "kv_b_proj.weight": [heads * (nope + value), latent], "o_proj.weight": [hidden, heads * value]}
        if queries:
            tensors |= {"q_a_proj.weight": [queries, hidden], "q_a_layernorm.weight": [queries],
                        "q_b_proj.weight": [heads * (nope + rope), queries]}
        else:
            tensors["q_proj.weight"] = [heads * (nope + rope), hidden]
    else:
        tensors = {f"{part}_proj.weight": [linear, hidden] for part in "qkv"}
        tensors |= {f"{part}_conv1d.weight": [linear, 1, 4] for part in "qkv"}
        tensors |= {"o_proj.weight": [hidden, linear], "b_proj.weight": [4, hidden], "dt_bias": [linear],
                    "o_norm.weight": [linear // 4]}
    return {start + name: shape for name, shape in tensors.items()}


def network(start, inner, hidden):
    return {start + "gate_proj.weight": [inner, hidden], start + "up_proj.weight": [inner, hidden],
            start + "down_proj.weight": [hidden, inner]}


def kimi(config):
    size, hidden = config["vocab_size"], 64
    tensors = {"model.embed_tokens.weight": [size, hidden], "model.norm.weight": [hidden],
               "lm_head.weight": [size, hidden]}
    for layer in range(config["num_hidden_layers"]):
        start = f"model.layers.{layer}."
        full = layer + 1 in config["linear_attn_config"]["full_attn_layers"]
        tensors |= attention(start + "self_attn.", config, full, 64)
        if not full:
            tensors |= {start + "self_attn.A_log": [1, 1, 4, 1], start + "self_attn.f_a_proj.weight": [16, hidden],
                        start + "self_attn.f_b_proj.weight": [64, 16], start + "self_attn.g_a_proj.weight": [16, hidden],
                        start + "self_attn.g_b_proj.weight": [64, 16]}
        tensors |= {start + "input_layernorm.weight": [hidden], start + "post_attention_layernorm.weight": [hidden]}
        if layer < config["first_k_dense_replace"]:
            tensors |= network(start + "mlp.", 96, hidden)
            continue
        moe = start + "block_sparse_moe."
        tensors |= {moe + "gate.weight": [4, hidden], moe + "gate.e_score_correction_bias": [4]}
        tensors |= network(moe + "shared_experts.", 32, hidden)
        for expert in range(4):
            tensors |= {f"{moe}experts.{expert}.w1.weight": [32, hidden], f"{moe}experts.{expert}.w2.weight": [hidden, 32],
                        f"{moe}experts.{expert}.w3.weight": [32, hidden]}
    return tensors


def ling(config, prefix="model."):
    config = config.get("text_config", config)
    size, hidden, main = config["vocab_size"], 64, config["num_hidden_layers"]
    tensors = {prefix + "word_embeddings.weight": [size, hidden], prefix + "norm.weight": [hidden],
               "lm_head.weight": [size, hidden]}
    for layer in range(main + config["num_nextn_predict_layers"]):
        start = f"{prefix}layers.{layer}."
        full = layer >= main or (layer + 1) % 3 == 0 or layer >= main // 3 * 3
        tensors |= attention(start + "attention.", config, full, 64)
        tensors[start + "attention.g_proj.weight"] = [4 if full else 64, hidden]
        if not full:
            tensors |= {start + "attention.A_log": [4], start + "attention.f_proj.weight": [64, hidden]}
        tensors |= {start + "input_layernorm.weight": [hidden], start + "post_attention_layernorm.weight": [hidden]}
        if layer >= main:
            tensors |= {start + "eh_proj.weight": [hidden, 2 * hidden], start + "enorm.weight": [hidden],
                        start + "hnorm.weight": [hidden], start + "final_layernorm.weight": [hidden]}
        mlp = start + "mlp."
        if layer < config["first_k_dense_replace"]:
            tensors |= network(mlp, 96, hidden)
            continue
        tensors |= {mlp + "gate.weight": [4, hidden], mlp + "gate.expert_bias": [4]}
        tensors |= network(mlp + "shared_experts.", 32, hidden)
        for expert in range(4):
            tensors |= network(f"{mlp}experts.{expert}.", 32, hidden)
    return tensors


def ling_vl(config):
    return ling(config, "model.language_model.") | {"linear_proj.0.weight": [64, 64], "model.visual.blocks.0.norm1.weight": [32]}



def glm5_next(config):
    text = config["text_config"]
    hidden, main, streams, dim = 64, text["num_hidden_layers"], text["hc_mult"], text["index_head_dim"]
    tensors = {"model.language_model.embed_tokens.weight": [text["vocab_size"], hidden], "lm_head.weight": [text["vocab_size"], hidden],
               "model.language_model.norm.weight": [hidden], "model.visual.patch_embed.proj.weight": [32, 3]}
    for layer in range(main + text["num_nextn_predict_layers"]):
        start = f"model.language_model.layers.{layer}."
        full = layer >= main or text["layer_types"][layer] != "linear_attention"
        own = attention(start + "self_attn.", text, full, 64)
        if full:
            own |= {start + "self_attn.indexer." + name: shape for name, shape in {
                "k_norm.weight": [dim], "k_norm.bias": [dim], "weights_proj.weight": [2, hidden], "wk.weight": [dim, hidden],
                "wq_b.weight": [2 * dim, 48], "index_kpool_compress_gate": [dim, hidden],
                "index_kpool_compress_ape": [text["index_kpool"], dim]}.items()}
        else:
            own |= {start + "self_attn.A_log": [1, 1, 4, 1], start + "self_attn.f_a_proj.weight": [16, hidden],
                    start + "self_attn.f_b_proj.weight": [64, 16], start + "self_attn.g_a_proj.weight": [16, hidden],
                    start + "self_attn.g_b_proj.weight": [64, 16]}
        tensors |= own | {start + "input_layernorm.weight": [hidden], start + "post_attention_layernorm.weight": [hidden]}
        if layer >= main:
            tensors |= {start + "eh_proj.weight": [hidden, 2 * hidden], start + "enorm.weight": [hidden],
                        start + "hnorm.weight": [hidden], start + "shared_head.norm.weight": [hidden]}
        else:
            mix = (2 + streams) * streams
            for part in "attn", "ffn":
                tensors |= {f"{start}hc_{part}_fn": [mix, streams * hidden], f"{start}hc_{part}_base": [mix],
                            f"{start}hc_{part}_scale": [3]}
        mlp = start + "mlp."
        if layer < text["first_k_dense_replace"]:
            tensors |= network(mlp, 96, hidden)
            continue
        tensors |= {mlp + "gate.weight": [4, hidden], mlp + "gate.e_score_correction_bias": [4]}
        tensors |= network(mlp + "shared_experts.", 32, hidden)
        for expert in range(4):
            tensors |= network(f"{mlp}experts.{expert}.", 32, hidden)
    return tensors


MODELS = [
    ("kimi-linear", None, "dscoder", "bfloat16", dict(KIMI, tensors=kimi)),
    ("kimi-linear-ranks", None, "dscoder", "float16",
     dict(KIMI, q_lora_rank=48, num_hidden_layers=3, first_k_dense_replace=2, tensors=kimi)),
    ("ling3", None, "dscoder", "bfloat16", dict(LING, tensors=ling)),
    ("ling3-further", None, "dscoder", "float16",
     dict(LING, q_lora_rank=None, num_nextn_predict_layers=1, expert_swiglu_limit_list=[None, 7, 6.5],
          share_expert_swiglu_limit_list=[1.5], tensors=ling)),
    ("glm5-next", None, "dscoder_glm", "bfloat16",
     dict(architectures=["Glm5NextForConditionalGeneration"], model_type="glm5_next", text_config=GLM5_NEXT,
          tensors=glm5_next)),
    ("glm5-next-half", None, "dscoder_glm", "float16",
     dict(architectures=["Glm5NextForConditionalGeneration"], model_type="glm5_next", tensors=glm5_next,
          text_config=dict(GLM5_NEXT, num_nextn_predict_layers=1, swiglu_limit=7.0,
                           indexer_types=["full", "full", "full", "shared", "full"]))),
    ("ling3-vl", None, "dscoder", "bfloat16",
     dict(architectures=["BailingMoeV3VLForConditionalGeneration"], model_type="bailing_moe_v3_vl",
          vision_config=dict(hidden_size=32, num_hidden_layers=1), tensors=ling_vl,
          text_config={**{key: value for key, value in LING.items() if key != "architectures"}, "vocab_size": 32256,
                       "mrope_section": [3, 3, 2]})),
]

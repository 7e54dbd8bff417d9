"""Models of 2025 and 2026 that are like no other: Cohere 2 with experts, dots3-note, HRM Text, KORMo, Talkie."""
from .common import SIZES
from .latent import INDEX, RAW as LATENT, deepseek
from .shapes import attention, embedding, experts, gated, layers

RAW = dict(SIZES, rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=False)
SLIDING = ["sliding_attention", "full_attention", "sliding_attention"]
COHERE = dict(SIZES, num_hidden_layers=3, head_dim=16, layer_norm_eps=1e-5, rope_theta=50000.0, logit_scale=0.25,
              sliding_window=64, layer_types=SLIDING, num_experts=4, num_experts_per_tok=2, intermediate_size=32,
              prefix_dense_intermediate_size=96, expert_selection_fn="sigmoid", tie_word_embeddings=True)
DOTS = {**LATENT, "layer_types": SLIDING, "scoring_func": "sigmoid", "topk_method": "noaux_tc", "norm_topk_prob": True,
        "routed_scaling_factor": 2.5, "sliding_window_size": 64, "swa_kv_lora_rank": 24, "swa_q_lora_rank": 48,
        "q_lora_rank": 48,
        "swa_num_attention_heads": 2, "swa_qk_nope_head_dim": 24, "swa_v_head_dim": 20, "swa_rope_theta": 20000.0,
        "head_dim": 64, **INDEX}


def raw(name, model_type, tensors, base=RAW, **keys):
    """The config of a class that the library lacks."""
    return {**base, "architectures": [name], "model_type": model_type, "tensors": tensors, **keys}


def cohere(c):
    shapes, width, inner = embedding(c), c["hidden_size"], c["intermediate_size"]
    trunk, shared = c["num_hidden_layers"], c.get("num_shared_experts", 0)
    dense = c.get("first_k_dense_replace", 0)
    if "mlp_layer_types" in c:
        dense = c["mlp_layer_types"].count("dense")
    for layer in range(trunk + c.get("num_nextn_predict_layers", 0)):
        at = f"model.layers.{layer}."
        shapes.update(attention(c, layer))
        del shapes[f"{at}post_attention_layernorm.weight"]
        if layer < dense:
            shapes.update(gated(f"{at}mlp.", width, c["prefix_dense_intermediate_size"]))
        else:
            shapes[f"{at}mlp.gate.weight"] = (c["num_experts"], width)
            shapes.update(experts(f"{at}mlp.experts.", c["num_experts"], width, inner))
            if shared:
                shapes.update(gated(f"{at}mlp.shared_experts.", width, inner * shared))
        if layer >= trunk:
            shapes.update({f"{at}eh_proj.weight": (width, 2 * width), f"{at}enorm.weight": (width,),
                           f"{at}hnorm.weight": (width,), f"{at}shared_head.norm.weight": (width,)})
    return shapes


def dots(c):
    """The tensors of DeepSeek with two kinds of layers."""
    trunk = c["num_hidden_layers"]
    further = c.pop("further", 0)

    def heads(c, at, layer):
        slides = layer >= trunk or c["layer_types"][layer] == "sliding_attention"
        kind = "swa_" if slides else ""
        width, count, rank = c["hidden_size"], c[f"{kind}num_attention_heads"], c[f"{kind}kv_lora_rank"]
        fixed, turning, value = c[f"{kind}qk_nope_head_dim"], c["qk_rope_head_dim"], c[f"{kind}v_head_dim"]
        queries = c["q_lora_rank"]
        here = {"q_a_proj.weight": (queries, width), "q_a_layernorm.weight": (queries,),
                "q_b_proj.weight": (count * (fixed + turning), queries),
                "kv_a_proj_with_mqa.weight": (rank + turning, width),
                "kv_a_layernorm.weight": (rank,), "kv_b_proj.weight": (count * (fixed + value), rank),
                "o_proj.weight": (width, count * value), "g_proj.weight": (count, width),
                "k_rope_only_layernorm.weight": (turning,)}
        if not slides:
            head = c["index_head_dim"]
            here |= {"indexer.wq_b.weight": (c["index_n_heads"] * head, queries), "indexer.wk.weight": (head, width),
                     "indexer.k_norm.weight": (head,), "indexer.k_norm.bias": (head,),
                     "indexer.weights_proj.weight": (c["index_n_heads"], width)}
        return {f"{at}self_attn.{name}": shape for name, shape in here.items()}

    shapes = deepseek(dict(c, num_nextn_predict_layers=further), heads)
    absent = (f".{trunk}.embed_tokens", "shared_head.head")
    shapes = {name: shape for name, shape in shapes.items() if not any(part in name for part in absent)}
    if further:
        shapes["model.mtp.embed_tokens.weight"] = (c["vocab_size"], c["hidden_size"])
    return shapes | {"vision_encoder.blocks.0.norm_1.weight": (8,), "audio_encoder.audio_adapter.proj.0.weight": (8,)}


def dots_further(c):
    return dots(dict(c, further=1))


def hrm(c):
    width, inner = c["hidden_size"], c["intermediate_size"]
    queries = c["num_attention_heads"] * (c.get("head_dim") or width // c["num_attention_heads"])
    shapes = {"model.embed_tokens.weight": (c["vocab_size"], width), "model.z_L_init": (width,)}
    if not c["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (c["vocab_size"], width)
    for stack in "LH":
        for layer in range(c.get("num_layers_per_stack", c["num_hidden_layers"])):
            at = f"model.{stack}_module.layers.{layer}."
            shapes.update({f"{at}attn.gqkv_proj.weight": (4 * queries, width),
                           f"{at}attn.o_proj.weight": (width, queries),
                           f"{at}mlp.gate_up_proj.weight": (2 * inner, width),
                           f"{at}mlp.down_proj.weight": (width, inner)})
    return shapes


def kormo(c):
    shapes = layers(c, lambda c, layer: attention(c, layer),
                    lambda c, layer: gated(f"model.layers.{layer}.mlp.", c["hidden_size"], c["intermediate_size"]))
    names = {".input_layernorm": ".pre_attention_layernorm", ".post_attention_layernorm": ".pre_mlp_layernorm"}
    for old, new in names.items():
        shapes = {name.replace(old, new): shape for name, shape in shapes.items()}
    return shapes


def talkie(c):
    width, inner, heads = c["hidden_size"], c["intermediate_size"], c["num_attention_heads"]
    queries = heads * c["head_dim"]
    shapes = {"model.embed.weight": (c["vocab_size"], width), "lm_head": (c["vocab_size"], width),
              "lm_head_gain.w_g": (1,)}
    for layer in range(c["num_hidden_layers"]):
        at = f"model.blocks.{layer}."
        shapes.update({f"{at}attn.attn_{part}.weight": (queries, width) for part in ("query", "key", "value")})
        shapes.update({f"{at}attn.attn_resid.weight": (width, queries), f"{at}attn.head_gain.head_g": (heads,),
                       f"{at}attn_gain.a_g": (1,), f"{at}mlp_gain.a_g": (1,), f"{at}embed_skip.a_g": (1,)})
        shapes.update(gated(f"{at}mlp.", width, inner, ("mlp_gate", "mlp_linear", "mlp_resid")))
    return shapes


MODELS = [
    ("cohere2moe", "Cohere2MoeForCausalLM", "dscoder", "bfloat16",
     raw("Cohere2MoeForCausalLM", "cohere2_moe", cohere, COHERE, mlp_layer_types=["dense", "sparse", "sparse"],
         num_shared_experts=2, norm_topk_prob=True)),
    ("cohere2moe-mtp", "Cohere2MoeForCausalLM", "dscoder", "float16",
     raw("Cohere2MoeForCausalLM", "cohere2_moe", cohere, COHERE, first_k_dense_replace=1, num_nextn_predict_layers=1,
         tie_word_embeddings=False)),
    ("dots3", "Dots3NoteForConditionalGeneration", "dscoder_dots", "bfloat16",
     raw("Dots3NoteForConditionalGeneration", "dots3_note", dots_further, DOTS, apply_mla_qkv_lora_rescale=True,
         swa_qk_rope_head_dim=LATENT["qk_rope_head_dim"], swa_head_dim=24 + LATENT["qk_rope_head_dim"])),
    ("dots3-trunk", "Dots3NoteTextForCausalLM", "dscoder_dots", "float16",
     raw("Dots3NoteTextForCausalLM", "dots3_note", dots, DOTS,
         swa_qk_rope_head_dim=LATENT["qk_rope_head_dim"], swa_head_dim=24 + LATENT["qk_rope_head_dim"])),
    ("hrm-text", "HrmTextForCausalLM", "dscoder", "bfloat16",
     raw("HrmTextForCausalLM", "hrm_text", hrm, num_layers_per_stack=2, num_hidden_layers=12, H_cycles=2, L_cycles=2,
         embedding_scale=8.0,
         prefix_lm=True, tie_word_embeddings=True)),
    ("hrm-text-heads", "HrmTextForCausalLM", "dscoder", "float16",
     raw("HrmTextForCausalLM", "hrm_text", hrm, H_cycles=1, L_cycles=3, head_dim=32, embedding_scale=1.5)),
    ("kormo", "KORMoForCausalLM", "dscoder", "bfloat16", raw("KORMoForCausalLM", "kormo", kormo)),
    ("kormo-tied", "KORMoForCausalLM", "dscoder", "float16",
     raw("KORMoForCausalLM", "kormo", kormo, head_dim=32, tie_word_embeddings=True)),
    ("talkie", "TalkieForCausalLM", "dscoder", "bfloat16",
     raw("TalkieForCausalLM", "talkie", talkie, head_dim=16, num_key_value_heads=4)),
    ("talkie-heads", "TalkieForCausalLM", "dscoder", "float16",
     raw("TalkieForCausalLM", "talkie", talkie, head_dim=32, num_key_value_heads=4)),
]

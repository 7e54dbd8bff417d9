"""GLM 4.5 and what is like it."""
from .common import SIZES

GLM_MOE = dict(SIZES, num_hidden_layers=2, head_dim=16, n_routed_experts=4, num_experts_per_tok=2,
               moe_intermediate_size=32, n_shared_experts=1, first_k_dense_replace=1, num_nextn_predict_layers=1,
               routed_scaling_factor=1.5, norm_topk_prob=True, n_group=1, topk_group=1, partial_rotary_factor=0.5,
               rope_theta=10000.0, rms_norm_eps=1e-5, pad_token_id=0)


def moe_tensors(config):
    """Names and shapes of the tensors, with those of the layer that predicts a further token."""
    width, inner, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    queries, keys = (config[f"num_{kind}_heads"] * head for kind in ("attention", "key_value"))
    part, experts = config["moe_intermediate_size"], config["n_routed_experts"]

    def gated(prefix, inner):
        return {f"{prefix}.gate_proj.weight": [inner, width], f"{prefix}.up_proj.weight": [inner, width],
                f"{prefix}.down_proj.weight": [width, inner]}

    tensors = {"model.embed_tokens.weight": [config["vocab_size"], width], "model.norm.weight": [width],
               "lm_head.weight": [config["vocab_size"], width]}
    layers = config["num_hidden_layers"]
    for number in range(layers + config.get("num_nextn_predict_layers", 0)):
        here = {"self_attn.q_proj.weight": [queries, width], "self_attn.k_proj.weight": [keys, width],
                "self_attn.v_proj.weight": [keys, width], "self_attn.o_proj.weight": [width, queries],
                "input_layernorm.weight": [width], "post_attention_layernorm.weight": [width]}
        if config.get("attention_bias"):
            here |= {"self_attn.q_proj.bias": [queries], "self_attn.k_proj.bias": [keys],
                     "self_attn.v_proj.bias": [keys]}
        if config.get("use_qk_norm"):
            here |= {"self_attn.q_norm.weight": [head], "self_attn.k_norm.weight": [head]}
        if number < config["first_k_dense_replace"]:
            here |= gated("mlp", inner)
        else:
            here |= {"mlp.gate.weight": [experts, width], "mlp.gate.e_score_correction_bias": [experts]}
            here |= gated("mlp.shared_experts", part * config["n_shared_experts"])
            for expert in range(experts):
                here |= gated(f"mlp.experts.{expert}", part)
        if number >= layers:
            here |= {"eh_proj.weight": [width, 2 * width], "enorm.weight": [width], "hnorm.weight": [width],
                     "shared_head.norm.weight": [width]}
        tensors |= {f"model.layers.{number}.{name}": shape for name, shape in here.items()}
    return tensors


def moe(name, architecture, model_type, dtype, **config):
    return name, architecture, "dscoder_glm", dtype, dict(
        GLM_MOE, architectures=[architecture], model_type=model_type, tensors=moe_tensors, **config)


def vision_tensors(config):
    """Names and shapes of the text part of GLM 4.1V and GLM-OCR, and a tensor of the part that sees."""
    text = config["text_config"]
    width, inner, head = text["hidden_size"], text["intermediate_size"], text.get("head_dim", 16)
    queries, keys = (text[f"num_{kind}_heads"] * head for kind in ("attention", "key_value"))
    tensors = {"model.embed_tokens.weight": [text["vocab_size"], width], "model.norm.weight": [width]}
    for number in range(text["num_hidden_layers"] + text.get("num_nextn_predict_layers", 0)):
        here = {"self_attn.q_proj.weight": [queries, width], "self_attn.k_proj.weight": [keys, width],
                "self_attn.v_proj.weight": [keys, width], "self_attn.o_proj.weight": [width, queries],
                "mlp.gate_up_proj.weight": [2 * inner, width], "mlp.down_proj.weight": [width, inner]}
        if text.get("attention_bias"):
            here |= {f"self_attn.{part}_proj.bias": [queries if part == "q" else keys] for part in "qkv"}
        here |= {f"{norm}layernorm.weight": [width] for norm in ("input_", "post_attention_", "post_self_attn_",
                                                                 "post_mlp_")}
        if number >= text["num_hidden_layers"]:
            here |= {"eh_proj.weight": [width, 2 * width], "enorm.weight": [width], "hnorm.weight": [width],
                     "shared_head.norm.weight": [width]}
        tensors |= {f"model.layers.{number}.{name}": shape for name, shape in here.items()}
    tensors = {name.replace("model.", "model.language_model."): shape for name, shape in tensors.items()}
    return tensors | {"lm_head.weight": [text["vocab_size"], width], "model.visual.merger.proj.weight": [8, 8]}


def seeing(name, architecture, model_type, dtype, rope, **config):
    text = dict(SIZES, model_type=f"{model_type}_text", vocab_size=32256, rms_norm_eps=1e-5, rope_parameters=rope,
                tie_word_embeddings=False, **config)
    return name, architecture, "dscoder_glm", dtype, dict(
        architectures=[architecture], model_type=model_type, text_config=text, tensors=vision_tensors, pad_token_id=0)


THREE = dict(rope_type="default", mrope_section=[2, 1, 1], rope_theta=10000.0)
MODELS = [
    seeing("glm4v", "Glm4vForConditionalGeneration", "glm4v", "bfloat16", dict(THREE, partial_rotary_factor=0.5),
           attention_bias=True),
    seeing("glm4v-whole", "Glm4vForConditionalGeneration", "glm4v_later", "float16",
           dict(THREE, partial_rotary_factor=1.0), head_dim=32),
    seeing("glm4v-one-position", "Glm4vForConditionalGeneration", "glm4v_later", "float16",
           dict(rope_type="default", rope_theta=10000.0)),
    seeing("glm-ocr", "GlmOcrForConditionalGeneration", "glm_ocr", "bfloat16", dict(THREE, partial_rotary_factor=0.5),
           num_nextn_predict_layers=1),
    seeing("glm-ocr-trunk", "GlmOcrForConditionalGeneration", "glm_ocr", "float16", THREE, head_dim=32),
    moe("glm4-moe", "Glm4MoeForCausalLM", "glm4_moe", "bfloat16", use_qk_norm=True, attention_bias=True),
    moe("glm4v-moe", "Glm4vMoeForConditionalGeneration", "glm4v_moe_old", "float16"),
    moe("solar-open", "SolarOpenForCausalLM", "solar_open", "bfloat16", tokens=["<|startoftext|>", "<unk>"]),
]

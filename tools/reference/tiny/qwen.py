"""Qwen's models with linear attention (3 Next, 3.5, 3.6), and those that see and hear."""
from .common import SIZES

# Two linear layers around a full one, and one layer that predicts a further token.
HYBRID = dict(SIZES, num_hidden_layers=3, head_dim=16, full_attention_interval=2, rms_norm_eps=1e-6,
              layer_types=["linear_attention", "full_attention", "linear_attention"], linear_conv_kernel_dim=4,
              linear_key_head_dim=8, linear_num_key_heads=2, linear_num_value_heads=4, linear_value_head_dim=16,
              tie_word_embeddings=False)
ROPE = dict(rope_type="default", rope_theta=10000000, partial_rotary_factor=0.25, mrope_interleaved=True)
MOE = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=48)


def hybrid_tensors(config):
    """Names and shapes of the tensors of Qwen 3.5, and of Qwen 3 Next ("next"), from which its class leaves out the
    last layer."""
    config = dict(config, **config.get("text_config", {}))
    prefix = "model.language_model." if "text_config" in config else "model."
    width, inner, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    keys = config["linear_num_key_heads"] * config["linear_key_head_dim"]
    values = config["linear_num_value_heads"] * config["linear_value_head_dim"]
    count, groups = config["linear_num_value_heads"], config["num_key_value_heads"] * head
    both = 2 * keys + values
    linear = {"conv1d.weight": [both, 1, config["linear_conv_kernel_dim"]], "A_log": [count], "dt_bias": [count],
              "norm.weight": [config["linear_value_head_dim"]], "out_proj.weight": [width, values]}
    if config["model_type"] == "qwen3_next":
        linear |= {"in_proj_qkvz.weight": [both + values, width], "in_proj_ba.weight": [2 * count, width]}
    else:
        linear |= {"in_proj_qkv.weight": [both, width], "in_proj_z.weight": [values, width],
                   "in_proj_a.weight": [count, width], "in_proj_b.weight": [count, width]}
    queries = config["num_attention_heads"] * head
    full = {"q_proj.weight": [2 * queries, width], "k_proj.weight": [groups, width], "v_proj.weight": [groups, width],
            "o_proj.weight": [width, queries], "q_norm.weight": [head], "k_norm.weight": [head]}
    gated = {"gate_proj.weight": [inner, width], "up_proj.weight": [inner, width], "down_proj.weight": [width, inner]}
    if "num_experts" in config:
        experts, inner = config["num_experts"], config["moe_intermediate_size"]
        shared = config["shared_expert_intermediate_size"]
        gated = {"gate.weight": [experts, width], "shared_expert_gate.weight": [1, width],
                 "shared_expert.gate_proj.weight": [shared, width], "shared_expert.up_proj.weight": [shared, width],
                 "shared_expert.down_proj.weight": [width, shared]}
        if config["model_type"] == "qwen3_next":
            for expert in range(experts):
                gated |= {f"experts.{expert}.{name}_proj.weight": [inner, width] for name in ("gate", "up")}
                gated |= {f"experts.{expert}.down_proj.weight": [width, inner]}
        else:
            gated |= {"experts.gate_up_proj": [experts, 2 * inner, width], "experts.down_proj": [experts, width, inner]}

    def layer(name, kind):
        here = {f"linear_attn.{part}": shape for part, shape in linear.items()}
        if kind == "full_attention":
            here = {f"self_attn.{part}": shape for part, shape in full.items()}
        here |= {f"mlp.{part}": shape for part, shape in gated.items()}
        here |= {"input_layernorm.weight": [width], "post_attention_layernorm.weight": [width]}
        return {f"{name}.{part}": shape for part, shape in here.items()}

    tensors = {f"{prefix}embed_tokens.weight": [config["vocab_size"], width], f"{prefix}norm.weight": [width]}
    if not config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = [config["vocab_size"], width]
    for number, kind in enumerate(config["layer_types"]):
        tensors |= layer(f"{prefix}layers.{number}", kind)
    for number in range(config.get("mtp_num_hidden_layers", 1)):
        tensors |= layer(f"mtp.layers.{number}", "full_attention")
        tensors |= {"mtp.fc.weight": [width, 2 * width], "mtp.norm.weight": [width],
                    "mtp.pre_fc_norm_embedding.weight": [width], "mtp.pre_fc_norm_hidden.weight": [width]}
    if prefix == "model.language_model.":
        tensors |= {"model.visual.patch_embed.proj.weight": [8, 3, 2, 4, 4]}
    return tensors


def hybrid(name, architecture, model_type, dtype, **config):
    return name, architecture, "dscoder", dtype, dict(
        HYBRID, architectures=[architecture], model_type=model_type, tensors=hybrid_tensors, **config)


def nested(name, architecture, model_type, dtype, **config):
    text = dict(HYBRID, model_type=f"{model_type}_text", vocab_size=32256, **config)
    return name, architecture, "dscoder", dtype, dict(
        architectures=[architecture], model_type=model_type, tie_word_embeddings=False, text_config=text,
        vision_config=dict(model_type=model_type, depth=1, hidden_size=8), tensors=hybrid_tensors)


def dense_tensors(config):
    """Names and shapes of the tensors of the text parts of Qwen VL; experts are stacked, rows after columns."""
    width, inner, vocabulary = (config[key] for key in ("hidden_size", "intermediate_size", "vocab_size"))
    head = config.get("head_dim", width // config["num_attention_heads"])
    queries, keys = (config[f"num_{kind}_heads"] * head for kind in ("attention", "key_value"))
    tensors = {"model.embed_tokens.weight": [vocabulary, width], "model.norm.weight": [width],
               "lm_head.weight": [vocabulary, width], "visual.patch_embed.proj.weight": [8, 3, 2, 4, 4]}
    for number in range(config["num_hidden_layers"]):
        here = {"self_attn.q_proj.weight": [queries, width], "self_attn.k_proj.weight": [keys, width],
                "self_attn.v_proj.weight": [keys, width], "self_attn.o_proj.weight": [width, queries],
                "input_layernorm.weight": [width], "post_attention_layernorm.weight": [width]}
        if "qwen3" in config["model_type"]:
            here |= {"self_attn.q_norm.weight": [head], "self_attn.k_norm.weight": [head]}
        else:
            here |= {"self_attn.q_proj.bias": [queries], "self_attn.k_proj.bias": [keys], "self_attn.v_proj.bias": [keys]}
        if "num_experts" in config:
            experts, part = config["num_experts"], config["moe_intermediate_size"]
            here |= {"mlp.gate.weight": [experts, width], "mlp.experts.gate_up_proj": [experts, width, 2 * part],
                     "mlp.experts.down_proj": [experts, part, width]}
        else:
            here |= {"mlp.gate_proj.weight": [inner, width], "mlp.up_proj.weight": [inner, width],
                     "mlp.down_proj.weight": [width, inner]}
        tensors |= {f"model.layers.{number}.{name}": shape for name, shape in here.items()}
    return tensors


def seeing(name, architecture, model_type, dtype, **config):
    sections = dict(rope_scaling=dict(type="mrope", mrope_section=[2, 3, 3]), rope_theta=1000000.0)
    return name, architecture, "dscoder", dtype, dict(
        SIZES, architectures=[architecture], model_type=model_type, tensors=dense_tensors, tie_word_embeddings=False,
        vision_config=dict(deepstack_visual_indexes=[0, 1]), **sections, **config)


def heard(name, architecture, model_type, text_type, **config):
    """A model whose text part has a config and a class of its own."""
    text = dict(SIZES, model_type=text_type, vocab_size=32256, head_dim=16, attention_bias=False, rms_norm_eps=1e-6,
                architectures=[{"qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}[text_type]],
                tie_word_embeddings=False, **config)
    return name, architecture, "dscoder", "bfloat16", dict(
        architectures=[architecture], model_type=model_type, text_config=text,
        tensors=lambda config: {f"language_model.{name}": shape
                                for name, shape in dense_tensors(config["text_config"]).items()})


# The id is that of the first token that is added to the tokenizer.
IM_END = {"tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": {
    "32022": dict(content="<|im_end|>", lstrip=False, normalized=False, rstrip=False, single_word=False, special=True)}}}
MODELS = [
    hybrid("qwen3-next", "Qwen3NextForCausalLM", "qwen3_next", "bfloat16", rope_theta=10000000.0, **MOE),
    hybrid("qwen3-next-equal-heads", "Qwen3NextForCausalLM", "qwen3_next", "float16",
           **{**MOE, "patch": dict(linear_num_value_heads=4, layer_types=None)}),
    hybrid("qwen35", "Qwen3_5ForCausalLM", "qwen3_5_text", "bfloat16", mtp_num_hidden_layers=1, rope_parameters=ROPE),
    nested("qwen35-nested", "Qwen3_5ForConditionalGeneration", "qwen3_5", "float32", mtp_num_hidden_layers=1,
           rope_parameters=dict(ROPE, mrope_section=[1, 1, 0])),
    hybrid("qwen35-moe", "Qwen3_5MoeForCausalLM", "qwen3_5_moe_text", "float16", mtp_num_hidden_layers=1,
           rope_parameters=ROPE, **MOE),
    nested("qwen35-moe-nested", "Qwen3_5MoeForConditionalGeneration", "qwen3_5_moe", "bfloat16",
           mtp_num_hidden_layers=2, rope_parameters=ROPE, **MOE),
    seeing("qwen2-vl", "Qwen2VLForConditionalGeneration", "qwen2_vl", "bfloat16"),
    seeing("qwen25-vl", "Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl", "float16"),
    seeing("qwen3-vl", "Qwen3VLForConditionalGeneration", "qwen3_vl_old", "bfloat16", head_dim=32),
    seeing("qwen3-vl-moe", "Qwen3VLMoeForConditionalGeneration", "qwen3_vl_moe_old", "float16", head_dim=32,
           num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32),
    seeing("qwen3-omni-moe", "Qwen3OmniMoeForConditionalGeneration", "qwen3_omni_old", "bfloat16", head_dim=32,
           num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32),
    seeing("qwen3-omni-ends", "Qwen3OmniMoeForConditionalGeneration", "qwen3_omni_old", "float16", head_dim=32,
           num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, files=IM_END, tokens=["<|im_end|>"]),
    seeing("qwen3-asr", "Qwen3ASRForConditionalGeneration", "qwen3_asr_old", "bfloat16", head_dim=32, files=IM_END,
           tokens=["<|im_end|>"]),
    heard("qwen2-audio", "Qwen2AudioForConditionalGeneration", "qwen2_audio", "qwen2"),
    heard("audio-flamingo3", "AudioFlamingo3ForConditionalGeneration", "audioflamingo3", "qwen2"),
    heard("dots-ocr", "DotsOCRForCausalLM", "dots_ocr", "qwen2"),
    heard("step-vl", "StepVLForConditionalGeneration", "step_robotics", "qwen3"),
]

"""Llama's relatives: Mistral 3, Llama 4, and models with Llama's layers under other names or in other models."""
from .common import SIZES, SPECIAL
from .decoders import LATENT, LLAMA3_ROPE

VISION = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14)
YARN = dict(rope_type="yarn", factor=16.0, original_max_position_embeddings=64, beta_fast=32.0, beta_slow=1.0,
            mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.1, rope_theta=1000000.0)
LLAMA4 = dict(SIZES, head_dim=16, intermediate_size_mlp=128, intermediate_size=32, num_local_experts=4,
              num_hidden_layers=4, interleave_moe_layer_step=2, pad_token_id=0)
# The configs of classes that transformers lacks.
RAW = dict(SIZES, rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=False)


def raw(architecture, model_type, **more):
    return dict(RAW, architectures=[architecture], model_type=model_type, **more)


def text(config):
    return {**config, **config.get("text_config", {})}


def attention(config, prefix):
    width, heads = config["hidden_size"], config["num_attention_heads"]
    head = config.get("head_dim") or width // heads
    queries, keys = heads * head, config["num_key_value_heads"] * head
    return {f"{prefix}q_proj.weight": [queries, width], f"{prefix}k_proj.weight": [keys, width],
            f"{prefix}v_proj.weight": [keys, width], f"{prefix}o_proj.weight": [width, queries]}


def gated(prefix, width, inner):
    return {f"{prefix}gate_proj.weight": [inner, width], f"{prefix}up_proj.weight": [inner, width],
            f"{prefix}down_proj.weight": [width, inner]}


def outside(config):
    width, size = config["hidden_size"], config["vocab_size"]
    names = {"model.embed_tokens.weight": [size, width], "model.norm.weight": [width]}
    return names if config.get("tie_word_embeddings") else {**names, "lm_head.weight": [size, width]}


def llama(config, head_norms=False):
    """Names and shapes of Llama's tensors."""
    config = text(config)
    width = config["hidden_size"]
    tensors = outside(config)
    for layer in range(config["num_hidden_layers"]):
        here = f"model.layers.{layer}."
        tensors |= attention(config, f"{here}self_attn.") | gated(f"{here}mlp.", width, config["intermediate_size"])
        tensors |= {f"{here}{norm}.weight": [width] for norm in ("input_layernorm", "post_attention_layernorm")}
        if head_norms:
            head = config.get("head_dim") or width // config["num_attention_heads"]
            tensors |= {f"{here}self_attn.{norm}.weight": [head] for norm in ("q_norm", "k_norm")}
    return tensors


def renamed(tensors, start, more=None):
    """The same in a larger model, and tensors of its other parts."""
    def named(config):
        return {start(name): shape for name, shape in tensors(config).items()} | (more or {})
    return named


def afmoe(config):
    width, inner = config["hidden_size"], config["moe_intermediate_size"]
    tensors = outside(config)
    for layer in range(config["num_hidden_layers"]):
        here = f"model.layers.{layer}."
        tensors |= attention(config, f"{here}self_attn.")
        tensors |= {f"{here}self_attn.{norm}.weight": [config["head_dim"]] for norm in ("q_norm", "k_norm")}
        tensors[f"{here}self_attn.gate_proj.weight"] = [config["num_attention_heads"] * config["head_dim"], width]
        tensors |= {f"{here}{norm}_layernorm.weight": [width] for norm in ("input", "post_attention", "pre_mlp", "post_mlp")}
        if layer < config["num_dense_layers"]:
            tensors |= gated(f"{here}mlp.", width, config["intermediate_size"])
            continue
        tensors |= {f"{here}mlp.router.gate.weight": [config["num_experts"], width],
                    f"{here}mlp.expert_bias": [config["num_experts"]]}
        for expert in range(config["num_experts"]):
            tensors |= gated(f"{here}mlp.experts.{expert}.", width, inner)
        if config["num_shared_experts"]:
            tensors |= gated(f"{here}mlp.shared_experts.", width, inner * config["num_shared_experts"])
    return tensors


def cogvlm(config):
    width, inner = config["hidden_size"], config["intermediate_size"]
    tensors = outside(config) | {"model.vision.boi": [1, 1, width], "model.vision.patch_embedding.proj.weight": [width, 3, 2, 2]}
    for layer in range(config["num_hidden_layers"]):
        here = f"model.layers.{layer}."
        keys = width // config["num_attention_heads"] * config["num_key_value_heads"]
        for kind in ("language", "vision"):
            tensors |= gated(f"{here}mlp.{kind}_mlp.", width, inner)
            tensors |= {f"{here}self_attn.{kind}_expert_query_key_value.weight": [width + 2 * keys, width],
                        f"{here}self_attn.{kind}_expert_dense.weight": [width, width]}
        tensors |= {f"{here}{norm}.weight": [width] for norm in ("input_layernorm", "post_attention_layernorm")}
    return tensors


def mistral4(config):
    config = text(config)
    width, heads = config["hidden_size"], config["num_attention_heads"]
    key, latent = config["qk_nope_head_dim"] + config["qk_rope_head_dim"], config["kv_lora_rank"]
    tensors = {"model.embed_tokens.weight": [config["vocab_size"], width], "model.norm.weight": [width],
               "lm_head.weight": [config["vocab_size"], width]}
    for layer in range(config["num_hidden_layers"]):
        here = f"model.layers.{layer}."
        experts, inner = config["n_routed_experts"], config["moe_intermediate_size"]
        tensors |= {
            f"{here}self_attn.q_a_proj.weight": [config["q_lora_rank"], width],
            f"{here}self_attn.q_a_layernorm.weight": [config["q_lora_rank"]],
            f"{here}self_attn.q_b_proj.weight": [heads * key, config["q_lora_rank"]],
            f"{here}self_attn.kv_a_proj_with_mqa.weight": [latent + config["qk_rope_head_dim"], width],
            f"{here}self_attn.kv_a_layernorm.weight": [latent],
            f"{here}self_attn.kv_b_proj.weight": [heads * (config["qk_nope_head_dim"] + config["v_head_dim"]), latent],
            f"{here}self_attn.o_proj.weight": [width, heads * config["v_head_dim"]],
            f"{here}input_layernorm.weight": [width], f"{here}post_attention_layernorm.weight": [width]}
        if layer < config["first_k_dense_replace"]:
            tensors |= gated(f"{here}mlp.", width, config["intermediate_size"])
            continue
        tensors |= {f"{here}mlp.gate.weight": [experts, width],
                    f"{here}mlp.experts.gate_up_proj": [experts, 2 * inner, width],
                    f"{here}mlp.experts.down_proj": [experts, width, inner]}
        tensors |= gated(f"{here}mlp.shared_experts.", width, inner * config["n_shared_experts"])
    return {f"language_model.{name}": shape for name, shape in tensors.items()}


IMAGES = {"vision_tower.patch_conv.weight": [8, 3, 2, 2], "multi_modal_projector.linear_1.weight": [8, 8]}

MODELS = [
    ("mistral3", "Mistral3ForConditionalGeneration", "spm", "bfloat16",
     dict(text_config=dict(SIZES, model_type="mistral", vocab_size=512, head_dim=32), vision_config=dict(VISION, model_type="pixtral"),
          spatial_merge_size=2)),
    ("mistral3-tied", "Mistral3ForConditionalGeneration", "dscoder", "float16",
     dict(text_config=dict(SIZES, model_type="mistral", vocab_size=32256, head_dim=16, tie_word_embeddings=True),
          vision_config=dict(VISION, model_type="pixtral"))),
    ("ministral3", "Mistral3ForConditionalGeneration", "spm", "bfloat16",
     dict(architectures=["Mistral3ForConditionalGeneration"], model_type="mistral3", vocab_size=512,
          text_config=dict(SIZES, model_type="ministral3", head_dim=32, rms_norm_eps=1e-5, vocab_size=512,
                           rope_parameters=YARN, tie_word_embeddings=False),
          tensors=renamed(llama, lambda name: f"language_model.{name}", IMAGES))),
    ("ministral3-alone", "Ministral3ForCausalLM", "dscoder", "float16",
     raw("Ministral3ForCausalLM", "ministral3", rope_parameters=YARN, tensors=llama) | dict(tie_word_embeddings=True)),
    ("mistral4", "Mistral3ForConditionalGeneration", "dscoder", "bfloat16",
     dict(architectures=["Mistral3ForConditionalGeneration"], model_type="mistral3", vocab_size=32256,
          text_config=dict(LATENT, model_type="mistral4", rms_norm_eps=1e-6, vocab_size=32256, first_k_dense_replace=0,
                           norm_topk_prob=True, routed_scaling_factor=1.0, n_group=1, topk_group=1, head_dim=48,
                           tie_word_embeddings=False, rope_parameters=dict(YARN, rope_type="yarn")),
          tensors=mistral4)),
    ("mistral4-dense", "Mistral3ForConditionalGeneration", "dscoder", "float16",
     dict(architectures=["Mistral3ForConditionalGeneration"], model_type="mistral3", vocab_size=32256,
          text_config=dict(LATENT, model_type="mistral4", rms_norm_eps=1e-6, vocab_size=32256,
                           tie_word_embeddings=False, rope_parameters=YARN),
          tensors=mistral4)),
    ("llama4", "Llama4ForConditionalGeneration", "dscoder", "bfloat16",
     dict(text_config=dict(LLAMA4, vocab_size=32256, rope_scaling=dict(LLAMA3_ROPE, low_freq_factor=1.0, high_freq_factor=1.0)),
          vision_config=dict(VISION, vision_output_dim=32, projector_input_dim=32, projector_output_dim=32,
                             pixel_shuffle_ratio=0.5))),
    ("llama4-text", "Llama4ForCausalLM", "dscoder", "float16",
     dict(LLAMA4, attention_bias=True, interleave_moe_layer_step=1, rope_scaling=LLAMA3_ROPE)),
    ("llama4-full", "Llama4ForCausalLM", "dscoder", "float32",
     dict(LLAMA4, no_rope_layer_interval=1, moe_layers=[0, 2], tie_word_embeddings=True)),
    ("apertus", "ApertusForCausalLM", "spm", "bfloat16", dict(SIZES, num_hidden_layers=12, pad_token_id=0)),
    ("apertus-biases", "ApertusForCausalLM", "dscoder", "float16",
     dict(SIZES, attention_bias=True, tie_word_embeddings=True, pad_token_id=0, rope_scaling=None)),
    ("arcee", "ArceeForCausalLM", "spm", "bfloat16", dict(SIZES, head_dim=24)),
    ("arcee-biases", "ArceeForCausalLM", "dscoder", "float16",
     dict(SIZES, mlp_bias=True, attention_bias=True, tie_word_embeddings=True,
          rope_scaling=dict(rope_type="yarn", factor=20.0, original_max_position_embeddings=64, beta_fast=32.0, beta_slow=1.0, mscale=1.0))),
    ("afmoe", "AfmoeForCausalLM", "spm", "bfloat16",
     raw("AfmoeForCausalLM", "afmoe", head_dim=16, num_dense_layers=1, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32,
         num_shared_experts=1, route_norm=True, route_scale=2.448, score_func="sigmoid", sliding_window=64, n_group=1,
         topk_group=1, rope_scaling=None, tensors=afmoe)),
    ("afmoe-unshared", "AfmoeForCausalLM", "dscoder", "float16",
     raw("AfmoeForCausalLM", "afmoe", head_dim=24, num_dense_layers=0, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32,
         num_shared_experts=0, route_norm=False, route_scale=1.0, score_func="softmax", tensors=afmoe)
     | dict(tie_word_embeddings=True)),
    ("internlm3", "InternLM3ForCausalLM", "spm_im", "bfloat16",
     raw("InternLM3ForCausalLM", "internlm3", head_dim=16, bias=False, qkv_bias=False, rope_scaling=dict(rope_type="dynamic", factor=6.0),
         tensors=llama)),
    ("internlm3-tied", "InternLM3ForCausalLM", "spm", "float16",
     raw("InternLM3ForCausalLM", "internlm3", bias=False, qkv_bias=False, tensors=llama) | dict(tie_word_embeddings=True)),
    ("nanbeige", "NanbeigeForCausalLM", "spm", "bfloat16",
     raw("NanbeigeForCausalLM", "nanbeige", num_loops=2, skip_loop_final_norm=True, head_dim=16, tensors=llama)),
    ("nanbeige-once", "NanbeigeForCausalLM", "dscoder", "float16",
     raw("NanbeigeForCausalLM", "nanbeige", tensors=llama) | dict(tie_word_embeddings=True)),
    ("llava", "LlavaForConditionalGeneration", "spm", "float16",
     dict(text_config=dict(SIZES, model_type="llama", vocab_size=512),
          vision_config=dict(VISION, model_type="clip_vision_model", projection_dim=32))),
    ("llava-mistral", "LlavaForConditionalGeneration", "dscoder", "bfloat16",
     dict(text_config=dict(SIZES, model_type="mistral", vocab_size=32256, head_dim=32),
          vision_config=dict(VISION, model_type="pixtral"))),
    ("voxtral", "VoxtralForConditionalGeneration", "spm", "bfloat16",
     dict(text_config=dict(SIZES, model_type="llama", vocab_size=512, head_dim=16),
          audio_config=dict(hidden_size=32, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2, num_mel_bins=16,
                            max_source_positions=16))),
    ("smolvlm", "VLlama3ForCausalLM", "dscoder", "bfloat16",
     dict(architectures=["SmolVLMForConditionalGeneration"], model_type="smolvlm", vocab_size=32256,
          text_config=dict(architectures=["VLlama3ForCausalLM"], model_type="llama", vocab_size=32256, hidden_size=64,
                           intermediate_size=96, num_hidden_layers=2, num_key_value_heads=2, num_attention_heads=4,
                           max_position_embeddings=256),
          tensors=renamed(llama, lambda name: name.replace("model.", "model.text_model."),
                          {"model.connector.modality_projection.proj.weight": [64, 64]}))),
    # the reference knows these two by the class of their text part alone
    ("granite-speech", None, "dscoder", "bfloat16",
     dict(architectures=["GraniteSpeechForConditionalGeneration"], model_type="granite_speech", vocab_size=32256,
          text_config=dict(RAW, architectures=["GraniteForCausalLM"], model_type="granite", vocab_size=32256,
                           embedding_multiplier=12.0, logits_scaling=8.0),
          tensors=renamed(llama, lambda name: f"language_model.{name}",
                          {"encoder.input_linear.bias": [32], "projector.query": [1, 3, 32]}))),
    ("granite-vision", None, "dscoder", "bfloat16",
     dict(architectures=["Granite4VisionForConditionalGeneration"], model_type="granite4_vision", vocab_size=32256,
          text_config=dict(RAW, architectures=["GraniteForCausalLM"], model_type="granite", vocab_size=32256,
                           num_hidden_layers=6), vision_config=dict(num_hidden_layers=4),
          deepstack_layer_map=[[3, 0], [-2, 5], [1, -4]], spatial_target_layers=[3],
          tensors=renamed(llama, lambda name: name.replace("model.", "model.language_model."),
                          {"model.image_newline": [64], "model.layerwise_projectors.0.query": [1, 3, 32]}))),
    ("iquest", "IQuestCoderForCausalLM", "dscoder", "bfloat16",
     raw("IQuestCoderForCausalLM", "iquestcoder", head_dim=16, tensors=llama)),
    ("iquest-tied", "IQuestCoderForCausalLM", "dscoder", "float16",
     raw("IQuestCoderForCausalLM", "iquestcoder", rope_scaling=dict(type="linear", factor=2.0), tensors=llama)
     | dict(tie_word_embeddings=True)),
    ("llama-embed", "LlamaBidirectionalModel", "dscoder", "bfloat16",
     raw("LlamaBidirectionalModel", "llama_bidirec", head_dim=16, pooling="avg", rope_scaling=LLAMA3_ROPE, tensors=llama)
     | dict(tie_word_embeddings=True)),
    ("janus", "JanusForConditionalGeneration", "dscoder", "bfloat16",
     dict(architectures=["JanusForConditionalGeneration"], model_type="janus", vocab_size=32256,
          text_config=dict(SIZES, model_type="llama", vocab_size=32256),
          vision_config=dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14),
          tensors=renamed(llama, lambda name: name.replace("model.", "model.language_model."),
                          {"model.aligner.fc1.weight": [64, 32], "model.vision_model.post_layernorm.weight": [32],
                           "model.generation_head.proj_out.weight": [8, 8], "model.vqmodel.quant_conv.weight": [8, 8],
                           "model.generation_embeddings.weight": [8, 8], "model.generation_aligner.fc1.weight": [8, 8]}))),
    ("sarashina2", "Sarashina2VisionForCausalLM", "spm", "bfloat16",
     dict(architectures=["Sarashina2VisionForCausalLM"], model_type="sarashina2_vision", vocab_size=512,
          text_config=dict(RAW, architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=512, head_dim=16),
          vision_config=dict(hidden_size=32),
          tensors=renamed(llama, lambda name: f"llm.{name}", {"norm.weight": [64], "visual.merger.mlp.0.weight": [8, 8]}))),
    ("cogvlm", "CogVLMForCausalLM", "dscoder", "bfloat16",
     raw("CogVLMForCausalLM", "cogvlm", vision_config=dict(hidden_size=32), tensors=cogvlm)),
    ("cogvlm-all-heads", "CogVLMForCausalLM", "spm", "float16",
     raw("CogVLMForCausalLM", "cogvlm", vision_config=dict(hidden_size=32), tensors=cogvlm) | dict(num_key_value_heads=4)),
    ("maincoder", "MaincoderForCausalLM", "dscoder", "bfloat16",
     raw("MaincoderForCausalLM", "maincoder", head_dim=32, tensors=lambda config: llama(config, True))),
    ("maincoder-tied", "MaincoderForCausalLM", "dscoder", "float16",
     raw("MaincoderForCausalLM", "maincoder", tensors=lambda config: llama(config, True)) | dict(tie_word_embeddings=True)),
]

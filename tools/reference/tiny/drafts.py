"""Draft models, which guess the next tokens of a larger model, their target: EAGLE-3, DFlash, DSpark."""
from .common import SIZES
from .latent import V4, deepseek4

TARGET = dict(SIZES, architectures=["Qwen3ForCausalLM"], model_type="qwen3", head_dim=16, num_hidden_layers=8)
EAGLE = dict(SIZES, num_hidden_layers=1, rms_norm_eps=1e-5, draft_vocab_size=64)
DFLASH = dict(SIZES, architectures=["DFlashDraftModel"], model_type="qwen3", head_dim=16, rms_norm_eps=1e-6,
              rope_theta=1000000.0, block_size=16, attention_bias=False)


def eagle_tensors(config):
    """Names and shapes of EAGLE-3; `speculators` saves other names."""
    speculator = "transformer_layer_config" in config
    layer = "layers.0." if speculator else "midlayer."
    here = config | config.get("transformer_layer_config", {})
    width, inner, rows = here["hidden_size"], here["intermediate_size"], here["draft_vocab_size"]
    head = width // here["num_attention_heads"]
    queries, keys = width, here["num_key_value_heads"] * head
    tensors = {"fc.weight": [width, 3 * (config.get("target_hidden_size") or 64)], "norm.weight": [width],
               "lm_head.weight": [rows, width], "d2t": ("int64", [rows]), "t2d": ("bool", [here["vocab_size"]])}
    if speculator:
        tensors["embed_tokens.weight"] = [here["vocab_size"], width]
    if config.get("norm_before_fc"):
        tensors["input_norm.weight"] = tensors["fc.weight"][1:]
    layers = {"hidden_norm": [width], "input_layernorm": [width], "post_attention_layernorm": [width],
              "self_attn.q_proj": [queries, 2 * width], "self_attn.k_proj": [keys, 2 * width],
              "self_attn.v_proj": [keys, 2 * width], "self_attn.o_proj": [width, queries],
              "mlp.gate_proj": [inner, width], "mlp.up_proj": [inner, width], "mlp.down_proj": [width, inner]}
    return tensors | {f"{layer}{name}.weight": shape for name, shape in layers.items()}


def dflash_tensors(config):
    """Names and shapes of DFlash, DFlash 2 and DSpark."""
    here = config | config.get("transformer_layer_config", {})
    own = here.get("dflash_config", {})
    width, inner, tokens = here["hidden_size"], here["intermediate_size"], here["vocab_size"]
    head = here.get("head_dim") or width // here["num_attention_heads"]
    heads, keys = here["num_attention_heads"], here["num_key_value_heads"] * head
    read = own.get("target_layer_ids") or here.get("aux_hidden_state_layer_ids") or here["target_layer_ids"]
    rows = here.get("draft_vocab_size") or tokens
    tensors = {"fc.weight": [width, len(read) * width], "hidden_norm.weight": [width], "norm.weight": [width]}
    tensors |= {"encoder.fc.weight": tensors.pop("fc.weight"), "encoder.output_norm_enc.weight":
                tensors.pop("hidden_norm.weight")} if here.get("_encoder") else {}
    if here.get("_head"):
        tensors |= {"embed_tokens.weight": [tokens, width], "lm_head.weight": [rows, width]}
    if rows < tokens:
        tensors |= {"d2t": ("int64", [rows]), "t2d": ("bool", [tokens])}
    if here.get("_markov"):
        rank = here["_markov"]
        tensors |= {"markov_head.markov_w1.weight": [tokens, rank], "markov_head.markov_w2.weight": [rows, rank]}
        if here.get("_confidence"):
            tensors |= {"confidence_head.proj.weight": [1, width + rank], "confidence_head.proj.bias": [1]}
    kernel, taps = own.get("conv_kernel_size"), 0
    if kernel:
        taps, rank = 2 * kernel * width // own["conv_group_size"], own["selector_rank"]
        tensors |= {"candidate_selector.predecessor_codebook": [tokens, rank],
                    "candidate_selector.successor_codebook": [tokens, rank],
                    "candidate_selector.hidden_projection.weight": [rank, width]}
    for layer in range(here["num_hidden_layers"]):
        layers = {"input_layernorm": [width], "post_attention_layernorm": [width],
                  "self_attn.q_proj": [heads * head, width], "self_attn.k_proj": [keys, width],
                  "self_attn.v_proj": [keys, width], "self_attn.o_proj": [width, heads * head],
                  "self_attn.q_norm": [head], "self_attn.k_norm": [head],
                  "mlp.gate_proj": [inner, width], "mlp.up_proj": [inner, width], "mlp.down_proj": [width, inner]}
        tensors |= {f"layers.{layer}.{name}.weight": shape for name, shape in layers.items()}
        if here.get("_sinks"):
            tensors[f"layers.{layer}.self_attn.{here['_sinks']}"] = [heads]
        for part in ("attention_conv", "mlp_conv") if kernel else ():
            tensors |= {f"layers.{layer}.{part}.base_kernel": [2, kernel, width],
                        f"layers.{layer}.{part}.kernel_projection.weight": [taps, width]}
    return tensors


def deepseek4_tensors(config):
    """Names and shapes of DSpark for DeepSeek 4: two blocks, and tensors of the target."""
    width, size, read = config["hidden_size"], config["vocab_size"], config["dspark_target_layer_ids"]
    blocks = deepseek4(config | dict(num_hidden_layers=2, compress_ratios=[0, 0], num_hash_layers=0))
    tensors = {name.replace("layers.", "mtp.", 1): shape for name,
               shape in blocks.items() if name.startswith("layers.")}
    tensors |= {f"mtp.1.{name}": shape for name, shape in blocks.items() if name.startswith(("hc_head", "norm"))}
    return tensors | {"embed.weight": [size, width], "norm.weight": [width], "mtp.0.main_norm.weight": [width],
                      "mtp.0.main_proj.weight": [width,
                                                 len(read) * width], "mtp.1.markov_head.markov_w1.weight": [size, 8],
                      "mtp.1.markov_head.markov_w2.weight": [size, 8], "mtp.1.confidence_head.proj.weight": [1,
                                                                                                             width + 8]}


def gemma4_tensors(config):
    """Names and shapes of DSpark for Gemma 4."""
    width, inner, size, head = (config[key] for key in ("hidden_size", "intermediate_size", "vocab_size",
                                                        "global_head_dim"))
    queries, keys = config["num_attention_heads"] * head, config["num_global_key_value_heads"] * head
    read = config.get("target_layer_ids") or config["dflash_config"]["target_layer_ids"]
    tensors = {"fc.weight": [width, len(read) * width], "hidden_norm.weight": [width], "norm.weight": [width],
               "embed_tokens.weight": [size, width], "markov_head.markov_w1.weight": [size, 8],
               "markov_head.markov_w2.weight": [size, 8]}
    if not config.get("tie_word_embeddings"):
        tensors |= {"lm_head.weight": [size, width], "confidence_proj.weight": [1, width + 8]}
    for layer in range(config["num_hidden_layers"]):
        layers = {**{f"{norm}_layernorm": [width] for norm in ("input", "post_attention", "pre_feedforward",
                                                               "post_feedforward")},
                  "self_attn.q_proj": [queries, width], "self_attn.k_proj": [keys, width],
                  "self_attn.o_proj": [width, queries], "self_attn.q_norm": [head], "self_attn.k_norm": [head],
                  "mlp.gate_proj": [inner, width], "mlp.up_proj": [inner, width], "mlp.down_proj": [width, inner]}
        tensors |= {f"layers.{layer}.{name}.weight": shape for name, shape in layers.items()}
        tensors[f"layers.{layer}.layer_scalar"] = [1]
    return tensors


GEMMA4 = dict(SIZES, architectures=["Gemma4DSparkModel"], model_type="gemma4_text", attention_k_eq_v=True,
              global_head_dim=32,
              num_global_key_value_heads=1, layer_types=["full_attention"] * 2, rms_norm_eps=1e-6,
              tensors=gemma4_tensors,
              target=dict(TARGET, architectures=["Gemma3ForCausalLM"], model_type="gemma3_text"))
DSPARK4 = dict(V4, model_type="deepseek_v4", dspark_block_size=6, dspark_noise_token_id=9,
               dspark_target_layer_ids=[0, 2],
               tensors=deepseek4_tensors, quantize="deepseek4",
               target=dict(TARGET, architectures=["DeepseekV4ForCausalLM"], model_type="deepseek_v4"))
MODELS = [
    ("dspark-deepseek4", "DeepseekV4DSparkModel", "dscoder_chat", "bfloat16",
     dict(DSPARK4, architectures=["DeepseekV4DSparkModel"])),
    ("dspark-option", "DeepseekV4ForCausalLM", "dscoder_chat", "bfloat16",
     dict(DSPARK4, architectures=["DeepseekV4ForCausalLM"], options=["--dspark"])),
    ("dspark-gemma4", "Gemma4DSparkModel", "spm_gemma", "bfloat16",
     dict(GEMMA4, target_layer_ids=[1, 4], mask_token_id=5)),
    ("dspark-gemma4-tied", "Gemma4DSparkModel", "dscoder", "float16",
     dict(GEMMA4, dflash_config=dict(mask_token_id=7, target_layer_ids=[0, 2, 5], block_size=8),
          tie_word_embeddings=True,
          rope_parameters=dict(full_attention=dict(rope_type="proportional", partial_rotary_factor=0.5,
                                                   rope_theta=1e6)),
          target=TARGET)),
    ("eagle3", "LlamaForCausalLMEagle3", "dscoder", "bfloat16",
     dict(EAGLE, architectures=["LlamaForCausalLMEagle3"], model_type="llama", tensors=eagle_tensors, target=TARGET)),
    ("eagle3-llama", "LlamaForCausalLM", "spm", "float16",
     dict(EAGLE, architectures=["LlamaForCausalLM"], model_type="llama", norm_before_fc=True, target_hidden_size=32,
          eagle_aux_hidden_state_layer_ids=[1, 3, 6], tensors=eagle_tensors, target=TARGET,
          rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                            original_max_position_embeddings=64))),
    ("eagle3-speculator", "Eagle3Speculator", "dscoder", "bfloat16",
     dict(architectures=["Eagle3Speculator"], draft_vocab_size=64, norm_before_residual=True, target_hidden_size=None,
          transformer_layer_config=dict(EAGLE, model_type="llama", vocab_size=32022, head_dim=16, rope_theta=500000.0),
          speculators_model_type="eagle3", tensors=eagle_tensors,
          target=dict(architectures=["Qwen3VLForConditionalGeneration"], text_config=dict(TARGET, vocab_size=32022)))),
    ("dflash", "DFlashDraftModel", "dscoder", "bfloat16",
     dict(DFLASH, dflash_config=dict(mask_token_id=7, target_layer_ids=[1, 3, 5]), tensors=dflash_tensors,
          target=TARGET)),
    ("dflash-swa", "DFlashDraftModel", "spm_gemma", "float16",
     dict(DFLASH, dflash_config=dict(mask_token_id=9, target_layer_ids=[0, 2], use_swa=True, swa_window_size=32,
                                     attention_value_scale=0.5, causal=False, final_logit_softcapping=30.0),
          input_embedding_scale=8.0, output_multiplier=0.25, rope_is_neox_style=False, partial_rotary_factor=0.5,
          _sinks="sinks", tensors=dflash_tensors,
          target=dict(TARGET, architectures=["Gemma3ForCausalLM"], model_type="gemma3_text"))),
    ("dflash2", "DFlash2DraftModel", "dscoder", "float32",
     dict(DFLASH, architectures=["DFlash2DraftModel"], model_type="dflash2", target_layer_ids=[2, 4],
          layer_types=["sliding_attention",
                       "full_attention"], use_sliding_window=True, sliding_window=64, is_causal=False,
          dflash_config=dict(mask_token_id=3, block_size=8, conv_kernel_size=3, conv_group_size=16, selector_rank=8,
                             selector_top_k=4), _sinks="attention_sink_bias", tensors=dflash_tensors,
          target=dict(TARGET, rope_scaling=dict(type="mrope", mrope_section=[4, 2, 2])))),
    ("dspark", "Qwen3DSparkModel", "dscoder", "bfloat16",
     dict(DFLASH, architectures=["Qwen3DSparkModel"], target_layer_ids=[1, 4], mask_token_id=5, _markov=8, _head=True,
          _confidence=True, tensors=dflash_tensors, target=TARGET)),
    ("dspark-small", "DSparkDraftModel", "dscoder", "float16",
     dict(DFLASH, architectures=["DSparkDraftModel"], aux_hidden_state_layer_ids=[2, 4, 7], mask_token_id=5,
          draft_vocab_size=64, _markov=4, _head=True, tensors=dflash_tensors, target=TARGET)),
    ("dspark-speculator", "DSparkSpeculator", "dscoder", "bfloat16",
     dict(architectures=["DSparkSpeculator"], aux_hidden_state_layer_ids=[2, 5], mask_token_id=5, block_size=8,
          draft_vocab_size=48, speculators_model_type="dspark", sample_from_anchor=False, _markov=4,
          transformer_layer_config=dict(DFLASH, vocab_size=32032), tensors=dflash_tensors,
          target=dict(TARGET, vocab_size=32032))),
    ("dspark-lfm2", "Lfm2DSparkDraftModel", "dscoder", "float16",
     dict(DFLASH, architectures=["Lfm2DSparkDraftModel"], model_type="lfm2_dspark", target_layer_ids=[1],
          mask_token_id=5,
          _markov=4, tensors=dflash_tensors, target=dict(TARGET, architectures=["Lfm2ForCausalLM"],
                                                         model_type="lfm2"))),
    ("dspark-ling", "LingDSparkModel", "dscoder", "float16",
     dict(DFLASH, architectures=["LingDSparkModel"], model_type="ling_dspark", partial_rotary_factor=0.5,
          dflash_config=dict(target_layer_ids=[1, 2],
                             mask_token_id=6), _markov=4, _sinks="sinks", tensors=dflash_tensors,
          target=TARGET)),
    ("dflash-muse", "MuseGlimmerAssistantModel", "dscoder", "bfloat16",
     dict(DFLASH, architectures=["MuseGlimmerAssistantModel"], model_type="muse_glimmer_assistant", mask_token_id=4,
          target_layer_ids=[0, 3], sliding_window=32, layer_types=["sliding_attention",
                                                                   "full_attention"], _encoder=True,
          tensors=dflash_tensors, target=dict(TARGET, architectures=["Qwen2ForCausalLM"], model_type="qwen2"))),
]

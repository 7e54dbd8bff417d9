"""Gemma 3n, Gemma 4 and its relatives, EmbeddingGemma."""
from .common import SIZES, SPECIAL, pooling

EMBEDDING = dict(SIZES, **SPECIAL, head_dim=32, sliding_window=64, num_hidden_layers=3,
                 layer_types=["sliding_attention", "sliding_attention", "full_attention"])
GEMMA3N = dict(SIZES, **SPECIAL, num_hidden_layers=4, head_dim=32, hidden_size_per_layer_input=16, laurel_rank=16,
               num_kv_shared_layers=2, intermediate_size=[96, 96, 128, 128], sliding_window=64,
               activation_sparsity_pattern=[0.95, 0.9, 0.5, 0.0],
               layer_types=["sliding_attention", "full_attention", "sliding_attention", "full_attention"])
ROPE4 = dict(full_attention=dict(partial_rotary_factor=0.25, rope_theta=1e6, rope_type="proportional"),
             sliding_attention=dict(rope_theta=1e4, rope_type="default"))
GEMMA4 = dict(SIZES, bos_token_id=2, eos_token_id=1, pad_token_id=0, vocab_size=647, num_hidden_layers=4,
              head_dim=32, global_head_dim=64, hidden_size_per_layer_input=16, vocab_size_per_layer_input=647,
              num_kv_shared_layers=2, use_double_wide_mlp=True, attention_k_eq_v=False, enable_moe_block=False,
              expert_intermediate_size=None, moe_intermediate_size=None, num_experts=None, top_k_experts=None,
              num_global_key_value_heads=None, final_logit_softcapping=30.0, rms_norm_eps=1e-6,
              rope_parameters=ROPE4, sliding_window=64, tie_word_embeddings=True, model_type="gemma4_text",
              layer_types=["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"])
WIDE = dict(GEMMA4, hidden_size_per_layer_input=0, num_kv_shared_layers=0, use_double_wide_mlp=False,
            attention_k_eq_v=True, num_global_key_value_heads=1, num_hidden_layers=2,
            layer_types=["sliding_attention", "full_attention"])


def norms(width, *more):
    names = ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"]
    return {f"{name}.weight": [width] for name in [*names, *more]}


def gemma3n(prefix):
    """The names of the published checkpoints, which are not those that transformers 4.57 saves."""
    def tensors(config):
        text = config.get("text_config", config)
        width, layers, inner = text["hidden_size"], text["num_hidden_layers"], text["hidden_size_per_layer_input"]
        head, vocabulary = text["head_dim"], text["vocab_size"]
        queries, keys = text["num_attention_heads"] * head, text["num_key_value_heads"] * head
        found = {"embed_tokens.weight": [vocabulary, width], "norm.weight": [width],
                 "embed_tokens_per_layer.weight": [text["vocab_size_per_layer_input"], layers * inner],
                 "per_layer_model_projection.weight": [layers * inner, width],
                 "per_layer_projection_norm.weight": [inner]}
        for number in range(3):
            found[f"altup_projections.{number}.weight"] = [width, width]
            found[f"altup_unembed_projections.{number}.weight"] = [width, width]
        for layer in range(layers):
            ffn = text["intermediate_size"]
            ffn = ffn[layer] if isinstance(ffn, list) else ffn
            own = {"self_attn.q_proj.weight": [queries, width], "self_attn.k_proj.weight": [keys, width],
                   "self_attn.v_proj.weight": [keys, width], "self_attn.o_proj.weight": [width, queries],
                   "self_attn.q_norm.weight": [head], "self_attn.k_norm.weight": [head],
                   "mlp.gate_proj.weight": [ffn, width], "mlp.up_proj.weight": [ffn, width],
                   "mlp.down_proj.weight": [width, ffn], "altup.correct_output_scale": [width],
                   "altup.correction_coefs.weight": [4, 4], "altup.prediction_coefs.weight": [16, 4],
                   "altup.modality_router.weight": [4, width], "altup.router_norm.weight": [width],
                   "laurel.linear_left.weight": [text["laurel_rank"], width],
                   "laurel.linear_right.weight": [width, text["laurel_rank"]],
                   "laurel.post_laurel_norm.weight": [width], "per_layer_input_gate.weight": [inner, width],
                   "per_layer_projection.weight": [width, inner], "post_per_layer_input_norm.weight": [width],
                   **norms(width)}
            found.update({f"layers.{layer}.{name}": shape for name, shape in own.items()})
        found = {f"model.{prefix}{name}": shape for name, shape in found.items()}
        return {**found, **({"model.vision_tower.stem.weight": [8, 8]} if prefix else {})}
    return tensors


def gemma4(prefix):
    """The published names, and tensors of vision if there is a prefix."""
    def tensors(config):
        text = config.get("text_config", config)
        width, layers, inner = text["hidden_size"], text["num_hidden_layers"], text["hidden_size_per_layer_input"]
        vocabulary, drafts = text["vocab_size"], "backbone_hidden_size" in config
        found = {"embed_tokens.weight": [vocabulary, width], "norm.weight": [width]}
        if inner:
            found.update({"embed_tokens_per_layer.weight": [vocabulary, layers * inner],
                          "per_layer_model_projection.weight": [layers * inner, width],
                          "per_layer_projection_norm.weight": [inner]})
        for layer in range(layers):
            full = text["layer_types"][layer] == "full_attention"
            more = text.get("per_layer_config", {}).get(str(layer), {})
            head = (text.get("global_head_dim") or more.get("head_dim")) if full else text["head_dim"]
            key_heads = text["num_key_value_heads"]
            if full:
                key_heads = text.get("num_global_key_value_heads") or more.get("num_key_value_heads") or key_heads
            shared = layer >= layers - text["num_kv_shared_layers"]
            ffn = text["intermediate_size"] * (2 if shared and text["use_double_wide_mlp"] else 1)
            queries = text["num_attention_heads"] * head
            own = {"self_attn.q_proj.weight": [queries, width], "self_attn.o_proj.weight": [width, queries],
                   "self_attn.q_norm.weight": [head], "mlp.gate_proj.weight": [ffn, width],
                   "mlp.up_proj.weight": [ffn, width], "mlp.down_proj.weight": [width, ffn],
                   "layer_scalar": [1], **norms(width)}
            if not shared:
                own["self_attn.k_proj.weight"] = [key_heads * head, width]
                own["self_attn.k_norm.weight"] = [head]
                if not (full and text["attention_k_eq_v"]):
                    own["self_attn.v_proj.weight"] = [key_heads * head, width]
            if inner:
                own.update({"per_layer_input_gate.weight": [inner, width], "per_layer_projection.weight": [width, inner],
                            "post_per_layer_input_norm.weight": [width]})
            if text["enable_moe_block"]:
                experts, size = text["num_experts"], text["moe_intermediate_size"]
                own.update({"router.proj.weight": [experts, width], "router.scale": [width],
                            "router.per_expert_scale": [experts], "experts.gate_up_proj": [experts, 2 * size, width],
                            "experts.down_proj": [experts, width, size]})
                own.update({f"{name}.weight": [width] for name in
                            ["pre_feedforward_layernorm_2", "post_feedforward_layernorm_1", "post_feedforward_layernorm_2"]})
            found.update({f"layers.{layer}.{name}": shape for name, shape in own.items()})
        found = {f"model.{prefix}{name}": shape for name, shape in found.items()}
        if drafts:
            backbone = config["backbone_hidden_size"]
            found.update({"pre_projection.weight": [width, 2 * backbone], "post_projection.weight": [backbone, width],
                          "masked_embedding.centroids.weight": [8, width]})
        return {**found, **({"model.vision_tower.stem.weight": [8, 8]} if prefix else {})}
    return tensors


def nested(text, architecture, model_type, **more):
    return dict(architectures=[architecture], model_type=model_type, text_config=text,
                vision_config=dict(model_type="gemma4_vision", hidden_size=32), eos_token_id=[1], **more)


DENSE = {"2_Dense": {"linear.weight": [96, 64]}, "3_Dense": {"linear.weight": [64, 96]}}
DRAFTS = dict(WIDE, num_kv_shared_layers=2)
MODELS = [
    ("embedding-gemma", "Gemma3TextModel", "spm", "float32",
     dict(EMBEDDING, use_bidirectional_attention=True, files=pooling("pooling_mode_mean_tokens"))),
    ("embedding-gemma-plain", "Gemma3TextModel", "spm", "bfloat16", EMBEDDING),
    ("embedding-gemma-dense", "Gemma3TextModel", "spm", "bfloat16",
     dict(EMBEDDING, options=["--sentence-transformers-dense-modules"], modules=DENSE,
          files={"modules.json": [dict(idx=number, path=path, type=f"sentence_transformers.models.{path[2:]}")
                                  for number, path in enumerate(["1_Pooling", "2_Dense", "3_Dense"])],
                 "1_Pooling/config.json": dict(pooling_mode_mean_tokens=True),
                 "2_Dense/config.json": dict(in_features=64, out_features=96, bias=False),
                 "3_Dense/config.json": dict(in_features=96, out_features=64, bias=False)})),
    ("gemma3n", "Gemma3nForCausalLM", "spm", "bfloat16",
     dict(GEMMA3N, vocab_size=528, vocab_size_per_layer_input=500, architectures=["Gemma3nForCausalLM"],
          model_type="gemma3n_text", tensors=gemma3n(""))),
    ("gemma3n-sizes", "Gemma3nForCausalLM", "spm", "float16",
     dict({key: value for key, value in GEMMA3N.items() if key not in ("layer_types", "activation_sparsity_pattern")},
          num_hidden_layers=12, intermediate_size=96, vocab_size=528, vocab_size_per_layer_input=528,
          architectures=["Gemma3nForCausalLM"], model_type="gemma3n_text", tensors=gemma3n(""))),
    ("gemma3n-nested", "Gemma3nForConditionalGeneration", "spm", "bfloat16",
     dict(architectures=["Gemma3nForConditionalGeneration"], model_type="gemma3n", vision_config={}, audio_config={},
          text_config=dict(GEMMA3N, vocab_size=528, vocab_size_per_layer_input=512, model_type="gemma3n_text"),
          tensors=gemma3n("language_model."))),
    ("gemma4", "Gemma4ForCausalLM", "spm_gemma4", "bfloat16",
     dict(GEMMA4, architectures=["Gemma4ForCausalLM"], tensors=gemma4(""))),
    ("gemma4-wide", "Gemma4ForCausalLM", "spm_gemma4", "float16",
     dict(WIDE, architectures=["Gemma4ForCausalLM"], tensors=gemma4(""))),
    ("gemma4-layers", "Gemma4ForCausalLM", "spm_gemma4", "bfloat16",
     dict({key: value for key, value in WIDE.items() if key != "global_head_dim"}, num_global_key_value_heads=None,
          per_layer_config={"1": dict(head_dim=64, num_key_value_heads=1)}, architectures=["Gemma4ForCausalLM"],
          tensors=gemma4(""))),
    ("gemma4-moe", "Gemma4ForConditionalGeneration", "spm_gemma4", "bfloat16",
     nested(dict({key: value for key, value in WIDE.items() if key != "expert_intermediate_size"},
                 enable_moe_block=True, moe_intermediate_size=32, num_experts=4, top_k_experts=2),
            "Gemma4ForConditionalGeneration", "gemma4", tensors=gemma4("language_model."))),
    ("gemma4-unified", "Gemma4UnifiedForConditionalGeneration", "spm_gemma4", "bfloat16",
     nested(GEMMA4, "Gemma4UnifiedForConditionalGeneration", "gemma4_unified", tensors=gemma4("language_model."),
            files={"generation_config.json": dict(suppress_tokens=[3, 5, 640])})),
    ("gemma4-unified-plain", "Gemma4UnifiedForConditionalGeneration", "spm_gemma4", "float32",
     nested(WIDE, "Gemma4UnifiedForConditionalGeneration", "gemma4_unified", tensors=gemma4("language_model."))),
    ("gemma4-assistant", "Gemma4AssistantForCausalLM", "spm_gemma4", "bfloat16",
     nested(DRAFTS, "Gemma4AssistantForCausalLM", "gemma4_assistant", backbone_hidden_size=96, tensors=gemma4(""))),
    ("gemma4-assistant-unified", "Gemma4UnifiedAssistantForCausalLM", "spm_gemma4", "float16",
     nested(dict(DRAFTS, num_global_key_value_heads=None), "Gemma4UnifiedAssistantForCausalLM", "gemma4_unified_assistant",
            backbone_hidden_size=96, tensors=gemma4(""))),
]

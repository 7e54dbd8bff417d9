"""EXAONE: 3, 4, 4.5 and K-EXAONE."""
from .common import SIZES
from .shapes import attention, embedding, experts, gated, layers

OLD = dict(hidden_size=64, intermediate_size=96, num_layers=2, num_attention_heads=4, num_key_value_heads=2,
           max_position_embeddings=256, layer_norm_epsilon=1e-5, activation_function="silu", rope_theta=1000000.0)
LLAMA3 = dict(rope_type="llama3", factor=16.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
RAW = dict(SIZES, rms_norm_eps=1e-5, rope_theta=1000000.0, head_dim=16, tie_word_embeddings=False)
KINDS = ["sliding_attention", "full_attention"]
MOE = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, num_shared_experts=1,
           routed_scaling_factor=2.5,
           norm_topk_prob=True, scoring_func="sigmoid", n_group=1, topk_group=1, sliding_window=32)


def raw(name, model_type, tensors, base=RAW, **keys):
    """The config of a class that the library lacks."""
    return dict(base, architectures=[name], model_type=model_type, tensors=tensors, **keys)


def exaone3(c):
    width, inner = c["hidden_size"], c["intermediate_size"]
    keys = c["num_key_value_heads"] * width // c["num_attention_heads"]
    shapes = {"transformer.wte.weight": (c["vocab_size"], width), "transformer.ln_f.weight": (width,)}
    if not c.get("tie_word_embeddings"):
        shapes["lm_head.weight"] = (c["vocab_size"], width)
    for layer in range(c["num_layers"]):
        at = f"transformer.h.{layer}."
        shapes.update({f"{at}ln_1.weight": (width,), f"{at}ln_2.weight": (width,),
                       f"{at}attn.attention.q_proj.weight": (width, width),
                       f"{at}attn.attention.k_proj.weight": (keys, width),
                       f"{at}attn.attention.v_proj.weight": (keys, width),
                       f"{at}attn.attention.out_proj.weight": (width, width)})
        shapes.update(gated(f"{at}mlp.", width, inner, ("c_fc_0", "c_fc_1", "c_proj")))
    return shapes


def four(c, at, layer):
    """A layer of EXAONE 4, whose norms come after its parts."""
    shapes = attention(c, layer, head_norms=True)
    at_first = f"model.layers.{layer}."
    shapes[f"{at_first}post_feedforward_layernorm.weight"] = shapes.pop(f"{at_first}input_layernorm.weight")
    shapes.update(gated(f"model.layers.{layer}.mlp.", c["hidden_size"], c["intermediate_size"]))
    return {name.replace(f"model.layers.{layer}.", at): shape for name, shape in shapes.items()}


def further(c, layer_of, count):
    """Layers that predict further tokens, with the parts that they share."""
    width = c["hidden_size"]
    shapes = {"mtp.fc.weight": (width, 2 * width), "mtp.norm.weight": (width,),
              "mtp.pre_fc_norm_embedding.weight": (width,),
              "mtp.pre_fc_norm_hidden.weight": (width,)}
    for layer in range(count):
        shapes.update(layer_of(c, f"mtp.layers.{layer}.", layer))
    return shapes


def exaone45(c):
    shapes = layers(c["text_config"], lambda c, layer: four(c, f"model.layers.{layer}.", layer))
    shapes = {name.replace("model.", "model.language_model."): shape for name, shape in shapes.items()}
    count = c["text_config"].get("num_nextn_predict_layers", 1)
    shared = c["text_config"].get("mtp_share_layers")
    return shapes | further(c["text_config"], four,
                            1 if shared else count) | {"model.visual.blocks.0.norm1.weight": (8,)}


def mixed(c, at, layer):
    """A layer of K-EXAONE."""
    shapes = attention(c, layer, head_norms=True)
    width, mlp = c["hidden_size"], f"model.layers.{layer}.mlp."
    if at.startswith("mtp") or layer < c.get("first_k_dense_replace", c.get("first_last_k_dense_replace", 0)):
        shapes.update(gated(mlp, width, c["intermediate_size"]))
    else:
        shapes.update({f"{mlp}gate.weight": (c["num_experts"], width),
                       f"{mlp}e_score_correction_bias": (c["num_experts"],)})
        shapes.update(gated(f"{mlp}shared_experts.", width, c["moe_intermediate_size"] * c["num_shared_experts"]))
        shapes.update(experts(f"{mlp}experts.", c["num_experts"], width, c["moe_intermediate_size"]))
    return {name.replace(f"model.layers.{layer}.", at): shape for name, shape in shapes.items()}


def exaone_moe(c):
    shapes = embedding(c)
    for layer in range(c["num_hidden_layers"]):
        shapes.update(mixed(c, f"model.layers.{layer}.", layer))
    count = c.get("num_nextn_predict_layers", 0)
    return shapes | (further(c, mixed, count) if count else {})


def nested(**keys):
    text = dict(RAW, model_type="exaone4_5_text", vocab_size=32256, layer_types=KINDS, sliding_window=64, **keys)
    return dict(architectures=["Exaone4_5_ForConditionalGeneration"], model_type="exaone4_5", text_config=text,
                tensors=exaone45)


MODELS = [
    ("exaone", "ExaoneForCausalLM", "dscoder", "bfloat16", raw("ExaoneForCausalLM", "exaone", exaone3, OLD)),
    ("exaone-llama3", "ExaoneForCausalLM", "dscoder", "float16",
     raw("ExaoneForCausalLM", "exaone", exaone3, OLD, rope_scaling=LLAMA3, tie_word_embeddings=True)),
    ("exaone4", "Exaone4ForCausalLM", "dscoder", "bfloat16", dict(SIZES, num_hidden_layers=5, rope_scaling=LLAMA3)),
    ("exaone4-whole", "Exaone4ForCausalLM", "dscoder", "float16",
     dict(SIZES, head_dim=32, sliding_window=None, layer_types=["full_attention"] * 2, tie_word_embeddings=True)),
    ("exaone4-absent", "Exaone4ForCausalLM", "dscoder", "float16",
     dict(SIZES, num_hidden_layers=3, patch=dict(layer_types=None, sliding_window=None, sliding_window_pattern=None))),
    ("exaone45", "Exaone4_5_ForConditionalGeneration", "dscoder", "bfloat16", nested(num_nextn_predict_layers=1)),
    ("exaone45-shared", "Exaone4_5_ForConditionalGeneration", "dscoder", "float16",
     nested(num_nextn_predict_layers=2, mtp_share_layers=True, sliding_window_pattern="LG")),
    ("exaone45-trunk", "Exaone4_5_ForConditionalGeneration", "dscoder", "float16", nested(num_nextn_predict_layers=0)),
    ("exaone-moe", "ExaoneMoEForCausalLM", "dscoder", "bfloat16",
     raw("ExaoneMoEForCausalLM", "exaone_moe", exaone_moe, {**RAW, **MOE, "num_hidden_layers": 3},
         first_last_k_dense_replace=1, sliding_window_pattern="LLG", num_nextn_predict_layers=2)),
    ("exaone-moe-trunk", "ExaoneMoeForCausalLM", "dscoder", "float16",
     raw("ExaoneMoeForCausalLM", "exaone_moe", exaone_moe, {**RAW, **MOE, "num_hidden_layers": 3},
         first_k_dense_replace=0,
         layer_types=["sliding_attention", "full_attention", "sliding_attention"])),
]

"""Older decoders: BLOOM, MPT, StarCoder, Grok, Arctic, OpenELM, Nemotron and others."""
from .common import SIZES
from .shapes import attention, embedding, experts, gated, layers

BIGCODE = dict(n_embd=64, n_layer=2, n_head=4, n_positions=128, n_inner=256)
BLOOM = dict(hidden_size=64, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2, pad_token_id=0)
MPT = dict(d_model=64, n_heads=4, n_layers=2, max_seq_len=128, patch=dict(architectures=["MPTForCausalLM"]))
RAW = dict(SIZES, rms_norm_eps=1e-5, rope_theta=10000.0)


def raw(name, model_type, tensors, base=RAW, **keys):
    """The config of a class that the library lacks."""
    return dict(base, architectures=[name], model_type=model_type, tensors=tensors, **keys)


def biases(shapes, ends):
    """The biases of these weights."""
    return {name.replace(".weight", ".bias"): shape[:1] for name, shape in shapes.items() if name.endswith(ends)}


def gpt(c, c_attn, inner, positions=False, prefix="transformer."):
    """The names of GPT-2 with all biases."""
    width = c["n_embd"]
    shapes = {f"{prefix}wte.weight": (c["vocab_size"], width), f"{prefix}ln_f.weight": (width,)}
    if positions:
        shapes[f"{prefix}wpe.weight"] = (c["n_positions"], width)
    for layer in range(c["n_layer"]):
        at = f"{prefix}h.{layer}."
        shapes.update({f"{at}ln_1.weight": (width,), f"{at}ln_2.weight": (width,),
                       f"{at}attn.c_attn.weight": (c_attn, width),
                       f"{at}attn.c_proj.weight": (width, width), f"{at}mlp.c_fc.weight": (inner, width),
                       f"{at}mlp.c_proj.weight": (width, inner)})
    shapes.update(biases(shapes, ("ln_f.weight", "ln_1.weight", "ln_2.weight", "c_attn.weight", "c_proj.weight",
                                  "c_fc.weight")))
    return shapes


def codeshell(c):
    head = c["n_embd"] // c["n_head"]
    shapes = gpt(c, c["n_embd"] + 2 * c["num_query_groups"] * head, c["n_inner"])
    if not c.get("tie_word_embeddings", True):
        shapes["lm_head.weight"] = (c["vocab_size"], c["n_embd"])
    return shapes


def refact(c):
    width = c["n_embd"]
    head, inner = width // c["n_head"], (int(8 * width / 3) + 255) // 256 * 256
    shapes = {"transformer.wte.weight": (c["vocab_size"], width), "transformer.ln_f.weight": (width,),
              "lm_head.weight": (c["vocab_size"], width)}
    for layer in range(c["n_layer"]):
        at = f"transformer.h.{layer}."
        shapes.update({f"{at}ln_1.weight": (width,), f"{at}ln_2.weight": (width,), f"{at}attn.q.weight": (width, width),
                       f"{at}attn.kv.weight": (2 * head, width), f"{at}attn.c_proj.weight": (width, width),
                       f"{at}mlp.gate_up_proj.weight": (2 * inner, width), f"{at}mlp.c_proj.weight": (width, inner)})
    return shapes


def plain(c):
    """A network without gate, with all biases: Jais 2, ruGPT-3 XL."""
    hidden, inner = c["hidden_size"], c["intermediate_size"]
    shapes = layers(c, attention, lambda c, layer: {f"model.layers.{layer}.mlp.up_proj.weight": (inner, hidden),
                                                    f"model.layers.{layer}.mlp.down_proj.weight": (hidden, inner)})
    shapes.update(biases(shapes, ("norm.weight", "proj.weight")))
    if c["model_type"] == "rugpt3xl":
        shapes["model.embed_positions.weight"] = (c["max_position_embeddings"], hidden)
    return shapes


def openelm(c):
    width, head, shapes = c["model_dim"], c["head_dim"], {}
    for layer in range(c["num_transformer_layers"]):
        at = f"transformer.layers.{layer}."
        queries, keys, inner = c["num_query_heads"][layer], c["num_kv_heads"][layer], c["inner"][layer]
        shapes.update({f"{at}attn_norm.weight": (width,), f"{at}ffn_norm.weight": (width,),
                       f"{at}attn.qkv_proj.weight": ((queries + 2 * keys) * head, width),
                       f"{at}attn.q_norm.weight": (head,),
                       f"{at}attn.k_norm.weight": (head,), f"{at}attn.out_proj.weight": (width, queries * head),
                       f"{at}ffn.proj_1.weight": (2 * inner, width), f"{at}ffn.proj_2.weight": (width, inner)})
    shapes.update({"transformer.token_embeddings.weight": (c["vocab_size"], width),
                   "transformer.norm.weight": (width,)})
    return shapes


def deci(c):
    shapes, hidden = embedding(c), c["hidden_size"]
    head = hidden // c["num_attention_heads"]
    for layer, block in enumerate(c["block_configs"]):
        at, group, factor = f"model.layers.{layer}.", block["attention"]["n_heads_in_group"], block["ffn"]["ffn_mult"]
        if group:
            shapes.update(attention(dict(c, num_key_value_heads=c["num_attention_heads"] // group), layer))
            del shapes[f"{at}post_attention_layernorm.weight"]
        elif block["attention"]["replace_with_linear"]:
            shapes.update({f"{at}input_layernorm.weight": (hidden,),
                           f"{at}self_attn.linear_attn.weight": (hidden, hidden)})
        if factor:
            inner = (int(2 * factor * hidden / 3) + 255) // 256 * 256
            shapes.update({f"{at}post_attention_layernorm.weight": (hidden,), **gated(f"{at}mlp.", hidden, inner)})
    return shapes


def decilm(c):
    def layer_of(c, layer):
        keys = c.get("num_key_value_heads_per_layer", [c.get("num_key_value_heads")] * 9)[layer]
        return {**attention(dict(c, num_key_value_heads=keys), layer),
                **gated(f"model.layers.{layer}.mlp.", c["hidden_size"], c["intermediate_size"])}
    return layers(c, layer_of)


def block(group, factor, linear=False):
    return dict(attention=dict(n_heads_in_group=group, replace_with_linear=linear, no_op=not group and not linear),
                ffn=dict(ffn_mult=factor, no_op=factor is None))


def arctic(c):
    def layer_of(c, layer):
        at, hidden = f"model.layers.{layer}.", c["hidden_size"]
        return {**attention(c, layer), f"{at}residual_layernorm.weight": (hidden,),
                **gated(f"{at}residual_mlp.", hidden, hidden, ("w1", "w3", "w2")),
                f"{at}block_sparse_moe.gate.weight": (c["num_local_experts"], hidden),
                **experts(f"{at}block_sparse_moe.experts.", c["num_local_experts"], hidden, c["intermediate_size"],
                          ("w1", "w3", "w2"))}
    return layers(c, layer_of)


def grok(c):
    shapes, hidden = embedding(c), c["hidden_size"]
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        of_layer = {name: shape for name, shape in attention(c, layer).items() if "layernorm" not in name}
        of_layer.update({f"{at}{norm}_norm.weight": (hidden,) for norm in ("pre_attn", "post_attn", "pre_moe",
                                                                           "post_moe")})
        of_layer[f"{at}block_sparse_moe.gate.weight"] = (c["num_local_experts"], hidden)
        of_layer.update(experts(f"{at}block_sparse_moe.experts.", c["num_local_experts"], hidden,
                                c["moe_intermediate_size"],
                                ("w1", "w3", "w2")))
        if c["residual_moe"]:
            of_layer.update(gated(f"{at}mlp.", hidden, c["intermediate_size"]))
        shapes.update(of_layer)
    return shapes


def grok1(c):
    hidden, heads, keys = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
    head = hidden // heads
    shapes = {"transformer.in_out_embed.weight": (c["vocab_size"], hidden), "transformer.rms_norm.weight": (hidden,),
              "lm_head.weight": (c["vocab_size"], hidden)}
    for layer in range(c["num_hidden_layers"]):
        at = f"transformer.decoder_layer.{layer}."
        shapes.update({f"{at}rms_norm{end}.weight": (hidden,) for end in ("", "_1", "_2", "_3")})
        sizes = dict(query=(heads * head, hidden), key=(keys * head, hidden), value=(keys * head, hidden),
                     linear=(hidden, heads * head))
        shapes.update({f"{at}multi_head_attention.{part}.weight": shape for part, shape in sizes.items()})
        shapes[f"{at}router.weight"] = (c["num_local_experts"], hidden)
        shapes.update(experts(f"{at}moe.", c["num_local_experts"], hidden, c["intermediate_size"],
                              ("linear", "linear_v", "linear_1")))
    return shapes


def stablelm(c):
    def layer_of(c, layer):
        return {**attention(c, layer, bias=c.get("use_qkv_bias")),
                **gated(f"model.layers.{layer}.mlp.", c["hidden_size"], c["intermediate_size"])}
    shapes = layers(c, layer_of)
    shapes.update(biases(shapes, "norm.weight"))
    shapes["model.mm_projector.0.weight"] = (c["hidden_size"], 32)
    return shapes


VQ = dict(embed_dim=16, num_embeddings=16, latent_channels=16, resolution=32, base_channels=32, channel_multiplier=[1],
          num_res_blocks=1)
GPT = dict(n_embd=64, n_layer=2, n_head=4, n_positions=128, n_inner=256, layer_norm_epsilon=1e-5)
OPENELM = dict(model_dim=64, head_dim=16, num_transformer_layers=2, num_query_heads=[4, 6], num_kv_heads=[1, 2],
               ffn_multipliers=[1.0, 2.3], ffn_dim_divisor=32, inner=[64, 160], max_context_length=256,
               rope_freq_constant=10000, bos_token_id=1, eos_token_id=2)
DECI = dict(hidden_size=64, num_hidden_layers=4, num_attention_heads=4, max_position_embeddings=256, rms_norm_eps=1e-5,
            rope_theta=500000.0, block_configs=[block(2, 5.25), block(None, 1.0, True), block(4, None),
                                                block(None, 0.5)])
DECILM = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
              max_position_embeddings=256,
              rms_norm_eps=1e-5, rope_theta=10000.0)
LLAMA3_ROPE = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=64)
DBRX = dict(d_model=64, n_heads=4, n_layers=2, max_seq_len=128,
            attn_config=dict(kv_n_heads=2, clip_qkv=8.0, rope_theta=500000.0),
            ffn_config=dict(ffn_hidden_size=32, moe_num_experts=4, moe_top_k=2))
MOE = dict(RAW, num_local_experts=4, num_experts_per_tok=2)
GROK = dict(MOE, embedding_multiplier_scale=78.38, output_multiplier_scale=0.577)

def bitnet(c):
    """The names of the first models; the sizes of Llama."""
    shapes = layers(c, attention, lambda c, layer: gated(f"model.layers.{layer}.mlp.", c["hidden_size"],
                                                         c["intermediate_size"]))
    for layer in range(c["num_hidden_layers"]):
        shapes.update({f"model.layers.{layer}.self_attn.inner_attn_ln.weight": (c["hidden_size"],),
                       f"model.layers.{layer}.mlp.ffn_layernorm.weight": (c["intermediate_size"],)})
    return shapes


def jais(c):
    """The names of GPT-2 with a gate, transposed; the mask is saved too."""
    width, inner = c["n_embd"], c["n_inner"]
    shapes = gpt(c, 3 * width, inner)
    for layer in range(c["n_layer"]):
        at = f"transformer.h.{layer}."
        shapes.update({f"{at}mlp.c_fc2.weight": (inner, width), f"{at}mlp.c_fc2.bias": (inner,),
                       f"{at}attn.bias": (1, 1, c["n_positions"], c["n_positions"])})
    ends = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight", ".c_fc2.weight")
    shapes = {name: shape[::-1] if name.endswith(ends) else shape for name, shape in shapes.items()}
    if c.get("slopes"):
        shapes["transformer.relative_pe.slopes"] = (c["n_head"],)
    if not c["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (c["vocab_size"], width)
    return shapes


JAIS = dict(n_embd=64, n_layer=2, n_head=4, n_positions=32, n_inner=96, layer_norm_epsilon=1e-5,
            activation_function="swiglu",
            position_embedding_type="alibi", tie_word_embeddings=True)

MODELS = [
    ("starcoder", "GPTBigCodeForCausalLM", "starcoder", "bfloat16", BIGCODE),
    ("starcoder-untied", "GPTBigCodeForCausalLM", "starcoder", "float16", dict(BIGCODE, tie_word_embeddings=False)),
    ("bloom", "BloomForCausalLM", "dscoder", "bfloat16", BLOOM),
    ("bloom-headless", "BloomModel", "dscoder", "float16", dict(BLOOM, patch=dict(seq_length=128))),
    ("mpt", "MptForCausalLM", "dscoder", "bfloat16", MPT),
    ("mpt-clipped", "MptForCausalLM", "spm", "float16",
     dict(MPT, attn_config=dict(clip_qkv=8.0, alibi_bias_max=4), tie_word_embeddings=False)),
    ("nemotron", "NemotronForCausalLM", "spm", "bfloat16", SIZES),
    ("nemotron-biases", "NemotronForCausalLM", "spm", "float16",
     dict(SIZES, attention_bias=True, mlp_bias=True, partial_rotary_factor=0.25, tie_word_embeddings=True)),
    ("codeshell", "CodeShellForCausalLM", "dscoder", "bfloat16",
     raw("CodeShellForCausalLM", "kclgpt", codeshell, GPT, num_query_groups=2)),
    ("codeshell-untied", "CodeShellForCausalLM", "dscoder", "float16",
     raw("CodeShellForCausalLM", "kclgpt", codeshell, GPT, num_query_groups=1, tie_word_embeddings=False)),
    ("refact", "GPTRefactForCausalLM", "starcoder", "bfloat16", raw("GPTRefactForCausalLM", "gpt_refact", refact, GPT)),
    ("refact-wide", "GPTRefactForCausalLM", "starcoder", "float16",
     raw("GPTRefactForCausalLM", "gpt_refact", refact, dict(GPT, n_embd=128, n_head=2))),
    ("jais2", "Jais2ForCausalLM", "dscoder", "bfloat16",
     raw("Jais2ForCausalLM", "jais2", plain, layer_norm_eps=1e-5, attention_bias=True, mlp_bias=True)),
    ("jais2-tied", "Jais2ForCausalLM", "dscoder", "float16",
     raw("Jais2ForCausalLM", "jais2", plain, head_dim=32, layer_norm_eps=1e-5, attention_bias=True, mlp_bias=True,
         tie_word_embeddings=True)),
    ("openelm", "OpenELMForCausalLM", "spm", "bfloat16",
     raw("OpenELMForCausalLM", "openelm", openelm, OPENELM, share_input_output_layers=True)),
    ("openelm-rounded", "OpenELMForCausalLM", "spm", "float16",
     raw("OpenELMForCausalLM", "openelm", openelm,
         dict(OPENELM, ffn_multipliers=[0.5, 1.69], ffn_dim_divisor=48, inner=[48, 144], num_query_heads=[2, 2]),
         share_input_output_layers=True)),
    ("rugpt3xl", "RuGPT3XLForCausalLM", "gpt2", "bfloat16",
     raw("RuGPT3XLForCausalLM", "rugpt3xl", plain, dict(SIZES, num_key_value_heads=4), layer_norm_eps=1e-5,
         tie_word_embeddings=True)),
    ("rugpt3xl-untied", "RuGPT3XLForCausalLM", "gpt2", "float16",
     raw("RuGPT3XLForCausalLM", "rugpt3xl", plain, dict(SIZES, num_key_value_heads=4), layer_norm_eps=1e-5)),
    ("deci", "DeciLMForCausalLM", "spm", "bfloat16",
     raw("DeciLMForCausalLM", "nemotron-nas", deci, DECI, rope_scaling=LLAMA3_ROPE)),
    ("deci-tied", "DeciLMForCausalLM", "spm", "float16",
     raw("DeciLMForCausalLM", "nemotron-nas", deci, DECI, tie_word_embeddings=True)),
    ("decilm", "DeciLMForCausalLM", "spm", "bfloat16",
     raw("DeciLMForCausalLM", "deci", decilm, DECILM, num_key_value_heads_per_layer=[1, 4])),
    ("decilm-heads", "DeciLMForCausalLM", "spm", "float16",
     raw("DeciLMForCausalLM", "deci", decilm, DECILM, num_key_value_heads=2, tie_word_embeddings=True)),
    ("dbrx", "DbrxForCausalLM", "dscoder", "bfloat16", DBRX),
    ("dbrx-f16", "DbrxForCausalLM", "dscoder", "float16", dict(DBRX, tie_word_embeddings=False)),
    ("arctic", "ArcticForCausalLM", "spm", "bfloat16", raw("ArcticForCausalLM", "arctic", arctic, MOE)),
    ("arctic-tied", "ArcticForCausalLM", "spm", "float16",
     raw("ArcticForCausalLM", "arctic", arctic, MOE, tie_word_embeddings=True)),
    ("grok2", "Grok1ForCausalLM", "spm", "bfloat16",
     raw("Grok1ForCausalLM", "grok-1", grok, GROK, head_dim=32, moe_intermediate_size=48, residual_moe=True,
         rope_type="original", scaling_factor=16.0, original_max_position_embeddings=64, extrapolation_factor=1.0,
         attn_factor=1.0, beta_fast=8, beta_slow=1, attn_temperature_len=1024, final_logit_softcapping=50)),
    ("grok1", "GrokForCausalLM", "spm", "float16", raw("GrokForCausalLM", "grok-1", grok1, GROK)),
    ("chameleon", "ChameleonForConditionalGeneration", "dscoder", "bfloat16",
     dict(SIZES, num_key_value_heads=4, vq_config=VQ, vocabulary_map={"<image>": 5})),
    ("chameleon-biases", "ChameleonForConditionalGeneration", "dscoder", "float16",
     dict(SIZES, num_key_value_heads=4, vq_config=VQ, vocabulary_map={"<image>": 5}, attention_bias=True, mlp_bias=True,
          swin_norm=True, tie_word_embeddings=True,
          patch=dict(architectures=["ChameleonForCausalLM"]))),
    ("stablelm-llava", "LlavaStableLMEpochForCausalLM", "dscoder", "bfloat16",
     raw("LlavaStableLMEpochForCausalLM", "llava_stablelm_epoch", stablelm, dict(SIZES), norm_eps=1e-5, rope_pct=0.25,
         rope_theta=10000)),
    ("stablelm-llava-biases", "LlavaStableLMEpochForCausalLM", "dscoder", "float16",
     raw("LlavaStableLMEpochForCausalLM", "llava_stablelm_epoch", stablelm, dict(SIZES), norm_eps=1e-5, rope_pct=0.5,
         rope_theta=10000, use_qkv_bias=True)),
    ("bitnet", "BitnetForCausalLM", "spm", "bfloat16",
     raw("BitnetForCausalLM", "llama", bitnet, weight_bits=1, input_bits=8, tie_word_embeddings=True)),
    ("bitnet-library", "BitNetForCausalLM", "spm", "float16",
     raw("BitNetForCausalLM", "bitnet", bitnet, dict(SIZES, num_attention_heads=4, hidden_size=72), rope_theta=500000.0,
         tie_word_embeddings=True)),
    ("bitnet-packed", "BitNetForCausalLM", "spm", "bfloat16",
     raw("BitNetForCausalLM", "bitnet", bitnet, rope_theta=500000.0, tie_word_embeddings=True, quantize="bitnet",
         options=["--no-lazy"], quantization_config=dict(quant_method="bitnet", quantization_mode="offline"))),
    ("jais", "JAISLMHeadModel", "gpt2", "bfloat16",
     raw("JAISLMHeadModel", "jais", jais, JAIS, embeddings_scale=14.6, width_scale=0.11)),
    ("jais-slopes", "JAISLMHeadModel", "gpt2", "float16",
     raw("JAISLMHeadModel", "jais", jais, {**JAIS, "tie_word_embeddings": False}, mup_embeddings_scale=9.1,
         mup_output_alpha=2.2,
         mup_width_scale=0.125, slopes=True, options=["--no-lazy"])),
]

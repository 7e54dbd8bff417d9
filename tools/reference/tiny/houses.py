"""LFM2 with experts and as an embedding model, ERNIE 4.5, HunYuan, and recent small models of other houses."""
from .common import SIZES, SPECIAL, pooling

CONV = dict(SIZES, num_hidden_layers=3, layer_types=["conv", "conv", "full_attention"], conv_L_cache=3, norm_eps=1e-5)
LFM2_MOE = dict(CONV, moe_intermediate_size=32, num_dense_layers=1, num_experts=4, num_experts_per_tok=2,
                rope_theta=1e6, use_expert_bias=True, architectures=["Lfm2MoeForCausalLM"], model_type="lfm2_moe",
                intermediate_size=96)
ERNIE = dict(SIZES, **SPECIAL, head_dim=32)
ERNIE_MOE = dict(SIZES, **SPECIAL, num_hidden_layers=4, moe_intermediate_size=32, moe_k=2, moe_num_experts=4,
                 moe_num_shared_experts=2, moe_layer_start_index=1)
DYNAMIC = dict(type="dynamic", alpha=1000.0, beta_fast=32, beta_slow=1, factor=1.0, mscale=1.0, mscale_all_dim=0.0)
HUNYUAN = dict(SIZES, head_dim=32, pad_token_id=0)
HUNYUAN_VL = dict(HUNYUAN, architectures=["HunYuanVLForConditionalGeneration"], model_type="hunyuan_vl", rms_norm_eps=1e-5,
                  rope_theta=10000.0, tie_word_embeddings=True, use_qk_norm=True, attention_bias=False, mlp_bias=False,
                  vision_config=dict(hidden_size=32), num_experts=1)
SECTIONS = [4, 4, 4, 4]
SPARK = dict(SIZES, head_dim=32, architectures=["Spark2_5ForCausalLM"], model_type="spark2_5", rms_norm_eps=1e-6,
             layer_types=["sliding_attention", "full_attention"], gate_attn_act_mode="sigmoid", hidden_act="gelu",
             headwise_attn_output_gate=True, sliding_window=64,
             rope_parameters=dict(full_attention=dict(partial_rotary_factor=0.25, rope_theta=1e6, rope_type="default"),
                                  sliding_attention=dict(partial_rotary_factor=1.0, rope_theta=1e4, rope_type="default")))
GLIMMER = dict(SIZES, head_dim=32, rms_norm_eps=1e-6, rope_theta=5e5, tie_word_embeddings=False, qk_scale_factor=2.5,
               final_logit_softcapping=20.0, output_multiplier=0.125, sliding_window=64,
               layer_types=["sliding_attention", "full_attention"])
GRANITE = dict(SIZES, embedding_multiplier=12.0, logits_scaling=8.0, residual_multiplier=0.22, rms_norm_eps=1e-5,
               attention_multiplier=0.0078125, rope_theta=1e4, tie_word_embeddings=True, num_hidden_layers=3)
SWA = dict(GRANITE, architectures=["GraniteSWAForCausalLM"], model_type="granite_swa", head_dim=16)
SWA_MOE = dict(GRANITE, architectures=["GraniteMoeSWAForCausalLM"], model_type="granitemoe_swa", num_local_experts=4,
               num_experts_per_tok=2, shared_intermediate_size=48, sliding_window=64,
               layer_types=["full_attention", "sliding_attention", "sliding_attention"], no_rope_layers=[0, 1, 1])
SWITCH = dict(GRANITE, architectures=["GraniteSwitchForCausalLM"], model_type="granite_switch", num_adapters=2,
              max_lora_rank=32, adapter_token_ids=[5, 6], adapter_substitute_token_ids=[7, 8], num_local_experts=0,
              num_experts_per_tok=2, shared_intermediate_size=96)


def attention(config, width, queries="self_attn.q_proj", more=()):
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    rows, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    return {"self_attn.q_proj.weight": [rows, width], "self_attn.k_proj.weight": [keys, width],
            "self_attn.v_proj.weight": [keys, width], "self_attn.o_proj.weight": [width, rows]}


def gated(width, inner, prefix="mlp."):
    return {f"{prefix}gate_proj.weight": [inner, width], f"{prefix}up_proj.weight": [inner, width],
            f"{prefix}down_proj.weight": [width, inner]}


def model(config, layers, prefix="model.", output=None):
    """The tensors of a whole model; `layers` gives those of a layer."""
    text = config.get("text_config", config)
    width = text["hidden_size"]
    found = {f"{prefix}embed_tokens.weight": [text["vocab_size"], width], f"{prefix}norm.weight": [width]}
    if output if output is not None else not text.get("tie_word_embeddings", True):
        found["lm_head.weight"] = [text["vocab_size"], width]
    for layer in range(text["num_hidden_layers"]):
        found.update({f"{prefix}layers.{layer}.{name}": shape for name, shape in layers(text, layer).items()})
    return found


def two_norms(width):
    return {"input_layernorm.weight": [width], "post_attention_layernorm.weight": [width]}


def lfm2_moe(config):
    width, inner, small = config["hidden_size"], config["intermediate_size"], config["moe_intermediate_size"]

    def layers(config, layer):
        found = {"operator_norm.weight": [width], "ffn_norm.weight": [width]}
        if config["layer_types"][layer] == "conv":
            found.update({"conv.conv.weight": [width, 1, 3], "conv.in_proj.weight": [3 * width, width],
                          "conv.out_proj.weight": [width, width]})
        else:
            found.update({name.replace("o_proj", "out_proj"): shape for name, shape in attention(config, width).items()})
            found.update({"self_attn.q_layernorm.weight": [16], "self_attn.k_layernorm.weight": [16]})
        names = [("w1", [inner, width]), ("w2", [width, inner]), ("w3", [inner, width])]
        if layer < config["num_dense_layers"]:
            found.update({f"feed_forward.{name}.weight": shape for name, shape in names})
            return found
        found["feed_forward.gate.weight"] = [config["num_experts"], width]
        if config["use_expert_bias"]:
            found["feed_forward.expert_bias"] = [config["num_experts"]]
        for expert in range(config["num_experts"]):
            found.update({f"feed_forward.experts.{expert}.{name}.weight":
                          [small if size == inner else size for size in shape] for name, shape in names})
        return found

    found = {name: shape for name, shape in model(config, layers).items() if name != "model.norm.weight"}
    return {**found, "model.embedding_norm.weight": [width]}


def ernie_joined(config):
    """The names of Baidu's own library."""
    def layers(config, layer):
        width, head = config["hidden_size"], config["head_dim"]
        return {"self_attn.qkv_proj.weight": [(config["num_attention_heads"] + 2 * config["num_key_value_heads"]) * head, width],
                "self_attn.o_proj.weight": [width, config["num_attention_heads"] * head],
                "mlp.up_gate_proj.weight": [2 * config["intermediate_size"], width],
                "mlp.down_proj.weight": [width, config["intermediate_size"]], **two_norms(width)}
    return model(config, layers, "ernie.")


def paddle(config):
    def layers(config, layer):
        width = config["hidden_size"]
        return {**attention(config, width), **gated(width, config["intermediate_size"]), **two_norms(width)}
    return {**model(config, layers), "visual.vision_model.post_layernorm.weight": [8], "mlp_AR.pre_norm.weight": [8]}


def hunyuan_vl(config):
    def layers(config, layer):
        width = config["hidden_size"]
        return {**attention(config, width), **gated(width, config["intermediate_size"]), **two_norms(width),
                "self_attn.query_layernorm.weight": [32], "self_attn.key_layernorm.weight": [32]}
    return {**model(config, layers), "vit.perceive.mlp.weight": [8, 8]}


def spark(config):
    def layers(config, layer):
        width, head, heads = config["hidden_size"], config["head_dim"], config["num_attention_heads"]
        return {"self_attn.q_k_v_proj.weight": [(heads + 2 * config["num_key_value_heads"]) * head, width],
                "self_attn.g_proj.weight": [heads, width], "self_attn.o_proj.weight": [width, heads * head],
                **gated(width, config["intermediate_size"]), **two_norms(width)}
    return model(config, layers)


def glimmer(config):
    def layers(config, layer):
        width = config["hidden_size"]
        return {**attention(config, width), **gated(width, config["intermediate_size"]), **two_norms(width),
                "self_attn.gate_proj.weight": [config["num_attention_heads"] * config["head_dim"], width],
                "pre_feedforward_layernorm.weight": [width], "post_feedforward_layernorm.weight": [width]}
    found = model(config, layers, "model.language_model.", True)
    return {**found, "model.vision_tower.stem.weight": [8, 8], "model.multi_modal_projector.linear.weight": [8, 8]}


def swa(config):
    def layers(config, layer):
        width, inner = config["hidden_size"], config["intermediate_size"]
        found = {**attention(config, width), **two_norms(width), "self_attn.sinks": [config["num_attention_heads"]]}
        if not config.get("num_local_experts"):
            return {**found, **gated(width, inner)}
        experts, shared = config["num_local_experts"], config.get("shared_intermediate_size")
        stacked = {"block_sparse_moe.router.layer.weight": [experts, width],
                   "block_sparse_moe.input_linear.weight": [experts, 2 * inner, width],
                   "block_sparse_moe.output_linear.weight": [experts, width, inner]}
        if not shared:
            stacked = {"block_sparse_moe.router.weight": [experts, width],
                       "block_sparse_moe.experts.gate_up_proj": [experts, 2 * inner, width],
                       "block_sparse_moe.experts.down_proj": [experts, width, inner]}
        else:
            found.update({"shared_mlp.input_linear.weight": [2 * shared, width],
                          "shared_mlp.output_linear.weight": [width, shared]})
        return {**found, **stacked}
    return model(config, layers)


def switch(config):
    adapters, rank = config["num_adapters"], config["max_lora_rank"]

    def layers(config, layer):
        width, inner = config["hidden_size"], config["shared_intermediate_size"]
        head = config.get("projection_head_dim") or width // config["num_attention_heads"]
        rows, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
        found = {"self_attn.qkv_proj.base_layer.weight": [rows + 2 * keys, width],
                 "self_attn.o_proj.base_layer.weight": [width, rows],
                 "self_attn.o_proj.lora_A": [adapters, 1, rank, rows], "self_attn.o_proj.lora_B": [adapters, 1, width, rank],
                 "shared_mlp.input_linear.base_layer.weight": [2 * inner, width],
                 "shared_mlp.output_linear.base_layer.weight": [width, inner],
                 "shared_mlp.output_linear.lora_A": [adapters, 1, rank, inner],
                 "shared_mlp.output_linear.lora_B": [adapters, 1, width, rank], **two_norms(width)}
        for slot, size in enumerate([rows, keys, keys]):
            found[f"self_attn.qkv_proj.lora_A_slices.{slot}"] = [adapters, 1, rank, width]
            found[f"self_attn.qkv_proj.lora_B_slices.{slot}"] = [adapters, 1, size, rank]
        for slot in range(2):
            found[f"shared_mlp.input_linear.lora_A_slices.{slot}"] = [adapters, 1, rank, width]
            found[f"shared_mlp.input_linear.lora_B_slices.{slot}"] = [adapters, 1, inner, rank]
        return found

    found = model(dict(config, num_hidden_layers=config["num_hidden_layers"] - 1), layers)
    return {**found, "model.switch.adapter_token_ids": [adapters]}


MODELS = [
    ("lfm2-bare", "Lfm2Model", "dscoder", "bfloat16", dict(CONV, files=pooling("pooling_mode_cls_token"))),
    ("lfm2-dense", "Lfm2Model", "dscoder", "bfloat16",
     dict(CONV, modules={"1_Dense": {"linear.weight": [32, 64]}}, files=pooling("pooling_mode_mean_tokens"))),
    ("lfm2-both-ways", "Lfm2Model", "dscoder", "float16", dict(CONV, patch=dict(architectures=["Lfm2BidirectionalModel"]))),
    ("lfm2-moe", "Lfm2MoeForCausalLM", "dscoder", "bfloat16", dict(LFM2_MOE, tensors=lfm2_moe)),
    ("lfm2-moe-plain", "Lfm2MoeForCausalLM", "dscoder", "float16",
     dict(LFM2_MOE, use_expert_bias=False, num_dense_layers=2, tensors=lfm2_moe)),
    ("ernie", "Ernie4_5ForCausalLM", "spm", "bfloat16", ERNIE),
    ("ernie-biases", "Ernie4_5ForCausalLM", "spm", "float16", dict(ERNIE, use_bias=True, tie_word_embeddings=False)),
    ("ernie-joined", "Ernie4_5_ForCausalLM", "spm", "bfloat16",
     dict(ERNIE, architectures=["Ernie4_5_ForCausalLM"], model_type="ernie4_5", tensors=ernie_joined)),
    ("ernie-moe", "Ernie4_5_MoeForCausalLM", "spm", "bfloat16", ERNIE_MOE),
    ("ernie-moe-every-second", "Ernie4_5_MoeForCausalLM", "spm", "float32",
     dict(ERNIE_MOE, moe_layer_interval=2, moe_num_shared_experts=0, tie_word_embeddings=False)),
    ("paddleocr", "PaddleOCRVLForConditionalGeneration", "spm", "bfloat16",
     dict(ERNIE, architectures=["PaddleOCRVLForConditionalGeneration"], model_type="paddleocr_vl", rms_norm_eps=1e-5,
          rope_theta=5e5, rope_scaling=dict(type="default", mrope_section=[4, 6, 6]), use_bias=False, tensors=paddle)),
    ("hunyuan", "HunYuanDenseV1ForCausalLM", "dscoder", "bfloat16",
     dict(HUNYUAN, max_position_embeddings=32768, rope_scaling=DYNAMIC, tie_word_embeddings=True,
          files={"generation_config.json": dict(eos_token_id=[7, 9])})),
    ("hunyuan-plain", "HunYuanDenseV1ForCausalLM", "dscoder", "float16",
     dict(HUNYUAN, attention_bias=True, patch=dict(pad_token_id=-1), files={"generation_config.json": dict(eos_token_id=7)})),
    ("hunyuan-vl", "HunYuanVLForConditionalGeneration", "dscoder", "bfloat16",
     dict(HUNYUAN_VL, eod_token_id=11, rope_scaling=dict(type="xdrope", alpha=1000.0, factor=1.0, xdrope_section=SECTIONS),
          tensors=hunyuan_vl)),
    ("hunyuan-vl-new", "HunYuanVLForConditionalGeneration", "dscoder", "float16",
     dict(HUNYUAN_VL, pad_token_id=-1, rope_parameters=dict(rope_type="dynamic", alpha=1000.0, rope_theta=10000.0,
                                                            mrope_section=SECTIONS), tensors=hunyuan_vl)),
    ("spark", "Spark2_5ForCausalLM", "dscoder", "bfloat16", dict(SPARK, tie_word_embeddings=True, tensors=spark)),
    ("spark-untied", "Spark2_5ForCausalLM", "dscoder", "float16", dict(SPARK, tie_word_embeddings=False, tensors=spark)),
    ("muse-glimmer", "MuseGlimmerForConditionalGeneration", "dscoder", "bfloat16",
     dict(architectures=["MuseGlimmerForConditionalGeneration"], model_type="muse_glimmer",
          text_config=dict(GLIMMER, vocab_size=32064, model_type="muse_glimmer_text"), vision_config=dict(hidden_size=8),
          tensors=glimmer)),
    ("muse-glimmer-eot", "MuseGlimmerForConditionalGeneration", "dscoder", "float16",
     dict(architectures=["MuseGlimmerForConditionalGeneration"], model_type="muse_glimmer", tokens=["<|eot|>"],
          text_config=dict(GLIMMER, vocab_size=32064, model_type="muse_glimmer_text"), tensors=glimmer)),
    ("granite-swa", "GraniteSWAForCausalLM", "dscoder", "bfloat16", dict(SWA, tensors=swa)),
    ("granite-swa-untied", "GraniteSWAForCausalLM", "spm", "float16",
     dict(SWA, tie_word_embeddings=False, sliding_window=32, no_rope_layers=[1, 0, 1], tensors=swa)),
    ("granite-swa-moe", "GraniteMoeSWAForCausalLM", "dscoder", "bfloat16", dict(SWA_MOE, tensors=swa)),
    ("granite-swa-experts", "GraniteMoeSWAForCausalLM", "dscoder", "float16",
     dict(SWA_MOE, shared_intermediate_size=0, tensors=swa)),
    ("granite-switch", "GraniteSwitchForCausalLM", "dscoder", "bfloat16", dict(SWITCH, tensors=switch)),
    ("granite-switch-heads", "GraniteSwitchForCausalLM", "dscoder", "float16",
     dict(SWITCH, projection_head_dim=32, control_token_gain=10.0, tensors=switch)),
]

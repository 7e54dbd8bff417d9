"""Models that mix attention with state spaces, and RWKV."""
from .common import SIZES, SPECIAL

FALCON_H1 = dict(SIZES, **SPECIAL, head_dim=16, mamba_d_ssm=64, mamba_n_heads=4, mamba_d_head=16, mamba_n_groups=2,
                 mamba_d_state=16, mamba_d_conv=4, mamba_expand=2, attention_in_multiplier=0.9,
                 attention_out_multiplier=0.3, key_multiplier=0.7, ssm_in_multiplier=1.7, ssm_out_multiplier=0.6,
                 mlp_multipliers=[0.8, 0.4], ssm_multipliers=[0.35, 0.25, 0.18, 0.5, 0.31], embedding_multiplier=5.6,
                 lm_head_multiplier=0.04, rope_theta=1e11)
GRANITE = dict(SIZES, num_hidden_layers=4, mamba_n_heads=8, mamba_d_head=16, mamba_n_groups=2, mamba_d_state=16,
               layer_types=["mamba", "attention", "mamba", "mamba"], shared_intermediate_size=48,
               embedding_multiplier=12.0, logits_scaling=8.0, residual_multiplier=0.22, attention_multiplier=0.0078125)
BAMBA = dict(SIZES, **SPECIAL, num_hidden_layers=3, attn_layer_indices=[1], mamba_n_heads=8, mamba_d_head=16,
             mamba_n_groups=2, mamba_d_state=16, mamba_expand=2)
JAMBA = dict(SIZES, **SPECIAL, num_hidden_layers=4, attn_layer_period=2, attn_layer_offset=1, expert_layer_period=2,
             expert_layer_offset=1, num_experts=4, num_experts_per_tok=2, mamba_d_state=16, use_mamba_kernels=False)
NEMOTRON = dict(SIZES, model_type="nemotron_h", architectures=["NemotronHForCausalLM"], attention_bias=False,
                head_dim=16, mamba_head_dim=16, mamba_num_heads=4, n_groups=2, ssm_state_size=16, conv_kernel=4,
                expand=2, layer_norm_epsilon=1e-5, rms_norm_eps=1e-5, tie_word_embeddings=False, hidden_size=64,
                hybrid_override_pattern="M-M*-", num_hidden_layers=5)
NEMOTRON_MOE = dict(NEMOTRON, hybrid_override_pattern="ME*E", num_hidden_layers=4, n_routed_experts=4, n_group=1,
                    topk_group=1, num_experts_per_tok=2, moe_intermediate_size=32, n_shared_experts=1,
                    moe_shared_expert_intermediate_size=64, norm_topk_prob=True, routed_scaling_factor=2.5)
PUZZLE = dict({key: value for key, value in NEMOTRON_MOE.items()
               if key not in ("hybrid_override_pattern", "num_experts_per_tok", "moe_intermediate_size")},
              architectures=["NemotronHPuzzleForCausalLM"], model_type="nemotron_h_puzzle", moe_latent_size=32,
              block_configs=[dict(block_type="mamba"),
                             dict(block_type="moe", moe_intermediate_size=32, num_experts_per_tok=2),
                             dict(block_type="attention"),
                             dict(block_type="moe", moe_intermediate_size=64, num_experts_per_tok=3)])
NEMOTRON_MTP = dict(NEMOTRON_MOE, num_nextn_predict_layers=1)
PLAMO = dict(SIZES, model_type="plamo", architectures=["PlamoForCausalLM"], hidden_size=5120, num_attention_heads=40,
             n_shared_head=8, num_hidden_layers=1, intermediate_size=32, rms_norm_eps=1e-6, tie_word_embeddings=False)
PLAMO2 = dict(model_type="plamo2", architectures=["Plamo2ForCausalLM"], vocab_size=272, hidden_size=64,
              hidden_size_per_head=16, num_attention_heads=4, num_key_value_heads=1, intermediate_size=96,
              num_hidden_layers=4, mamba_num_heads=8, mamba_d_state=16, mamba_d_conv=4, mamba_step=2,
              mamba_enabled=True, rms_norm_eps=1e-6, max_position_embeddings=256, tie_word_embeddings=True)
PLAMO3 = dict(SIZES, model_type="plamo3", architectures=["Plamo3ForCausalLM"], vocab_size=272, head_dim=32,
              rms_norm_eps=1e-6, window_size=64, sliding_window_pattern=8, rope_theta=1000000, rope_local_theta=10000,
              tie_word_embeddings=True)
RWKV6 = dict(model_type="rwkv6", architectures=["Rwkv6ForCausalLM"], vocab_size=280, hidden_size=64, head_size=32,
             attention_hidden_size=64, intermediate_size=None, layer_norm_epsilon=1e-5, num_hidden_layers=3,
             rescale_every=2, tie_word_embeddings=False)
RWKV6_QWEN2 = dict(SIZES, model_type="rwkv6qwen2", architectures=["RWKV6Qwen2ForCausalLM"], rms_norm_eps=1e-6,
                   tie_word_embeddings=False)
RWKV7 = dict(model_type="rwkv7", architectures=["RWKV7ForCausalLM"], vocab_size=288, hidden_size=64, head_dim=32,
             intermediate_size=256, norm_eps=1e-5, norm_bias=True, num_hidden_layers=2, a_low_rank_dim=32,
             decay_low_rank_dim=32, gate_low_rank_dim=64, v_low_rank_dim=32, tie_word_embeddings=False)
RWKV7_NATIVE = dict(model_type="rwkv7", architectures=["Rwkv7ForCausalLM"], vocab_size=288, hidden_size=64,
                    head_size=32, intermediate_size=None, layer_norm_epsilon=1e-5, num_hidden_layers=2,
                    lora_rank_iclr=None, lora_rank_decay=None, lora_rank_value_residual_mix=None, lora_rank_gate=None,
                    tie_word_embeddings=False)
ARWKV = dict(SIZES, model_type="rwkv_hybrid", architectures=["RwkvHybridForCausalLM"], head_size=16, wkv_version=7,
             wkv_has_gate=False, rms_norm_eps=1e-6, tie_word_embeddings=False)


def mamba2(start, config, heads, head, hidden, state=16, groups=2, bias=False):
    """The tensors of a Mamba 2 mixer."""
    inner = heads * head
    channels = inner + 2 * groups * state
    tensors = {"A_log": [heads], "D": [heads], "dt_bias": [heads], "conv1d.weight": [channels, 1, 4],
               "conv1d.bias": [channels], "in_proj.weight": [inner + channels + heads, hidden], "norm.weight": [inner],
               "out_proj.weight": [hidden, inner]}
    if bias:
        tensors |= {"in_proj.bias": [inner + channels + heads], "out_proj.bias": [hidden]}
    return {start + name: shape for name, shape in tensors.items()}


def nemotron(config, start="backbone."):
    """Nemotron-H, with experts if the config has them."""
    hidden, size = config["hidden_size"], config["vocab_size"]
    heads, keys = 4 * config["head_dim"], 2 * config["head_dim"]
    blocks = config.get("block_configs")
    kinds = [block["block_type"] for block in blocks] if blocks else \
        config.get("hybrid_override_pattern") or config["layers_block_type"]
    tensors = {start + "embeddings.weight": [size, hidden], start + "norm_f.weight": [hidden],
               "lm_head.weight": [size, hidden]}
    latent = config.get("moe_latent_size")
    for layer, kind in enumerate(kinds):
        mixer = f"{start}layers.{layer}.mixer."
        tensors[f"{start}layers.{layer}.norm.weight"] = [hidden]
        if kind in ("M", "mamba"):
            tensors |= mamba2(mixer, config, 4, 16, hidden, bias=config.get("use_bias", False))
        elif kind in ("*", "attention"):
            tensors |= {mixer + "q_proj.weight": [heads, hidden], mixer + "k_proj.weight": [keys, hidden],
                        mixer + "v_proj.weight": [keys, hidden], mixer + "o_proj.weight": [hidden, heads]}
            if config["attention_bias"]:
                tensors |= {mixer + "q_proj.bias": [heads], mixer + "k_proj.bias": [keys], mixer + "v_proj.bias": [keys],
                            mixer + "o_proj.bias": [hidden]}
        elif kind in ("-", "mlp"):
            inner = config["intermediate_size"]
            tensors |= {mixer + "up_proj.weight": [inner, hidden], mixer + "down_proj.weight": [hidden, inner]}
            if config.get("mlp_bias"):
                tensors |= {mixer + "up_proj.bias": [inner], mixer + "down_proj.bias": [hidden]}
        else:
            inner = blocks[layer]["moe_intermediate_size"] if blocks else config["moe_intermediate_size"]
            width, shared = latent or hidden, config["moe_shared_expert_intermediate_size"]
            tensors |= {mixer + "gate.weight": [4, hidden], mixer + "gate.e_score_correction_bias": [4],
                        mixer + "shared_experts.up_proj.weight": [shared, hidden],
                        mixer + "shared_experts.down_proj.weight": [hidden, shared]}
            for expert in range(4):
                tensors |= {f"{mixer}experts.{expert}.up_proj.weight": [inner, width],
                            f"{mixer}experts.{expert}.down_proj.weight": [width, inner]}
            if latent:
                tensors |= {mixer + "fc1_latent_proj.weight": [latent, hidden],
                            mixer + "fc2_latent_proj.weight": [hidden, latent]}
    return tensors


def nemotron_mtp(config):
    """With a layer that predicts a further token, under the names of two: one of attention and one of experts."""
    inner = nemotron(dict(config, hybrid_override_pattern="*E"))
    start = "backbone.layers."
    inner = {f"mtp.layers.{name.removeprefix(start)}": shape for name, shape in inner.items() if name.startswith(start)}
    hidden = config["hidden_size"]
    return {**nemotron(config), **inner, "mtp.layers.0.enorm.weight": [hidden], "mtp.layers.0.hnorm.weight": [hidden],
            "mtp.layers.0.eh_proj.weight": [hidden, 2 * hidden], "mtp.layers.1.final_layernorm.weight": [hidden]}


def puzzle(config):
    """Under the names of the later release, with a layer that nothing uses."""
    return nemotron(config, "model.") | {"mtp.layers.0.norm.weight": [64]}


def plamo(config):
    size, hidden = config["vocab_size"], 5120
    layer = "model.layers.layers.0."
    return {"model.embed_tokens.weight": [size, hidden], "model.norm.weight": [hidden], "lm_head.weight": [size, hidden],
            layer + "norm.weight": [hidden], layer + "self_attn.q_proj.weight": [hidden, hidden],
            layer + "self_attn.k_proj.weight": [640, hidden], layer + "self_attn.v_proj.weight": [640, hidden],
            layer + "self_attn.o_proj.weight": [hidden, hidden], layer + "mlp.gate_proj.weight": [32, hidden],
            layer + "mlp.up_proj.weight": [32, hidden], layer + "mlp.down_proj.weight": [hidden, 32],
            layer + "self_attn.rotary_emb.inv_freq": [64]}


def plamo2(config):
    tensors = {"model.embed_tokens.weight": [272, 64], "model.norm.weight": [64]}
    for layer in range(config["num_hidden_layers"]):
        start = f"model.layers.layers.{layer}."
        tensors |= {start + name: shape for name, shape in {
            "pre_mixer_norm.weight": [64], "post_mixer_norm.weight": [64], "pre_mlp_norm.weight": [64],
            "post_mlp_norm.weight": [64], "mlp.gate_up_proj.weight": [192, 64], "mlp.down_proj.weight": [64, 96]}.items()}
        step = config["mamba_step"]
        few = config["num_hidden_layers"] <= step // 2
        mixes = layer != config["num_hidden_layers"] - 1 if few else layer % step != step // 2
        mixer = {"in_proj.weight": [256, 64], "conv1d.weight": [128, 1, 4], "bcdt_proj.weight": [96, 128],
                 "dt_proj.weight": [8, 64], "dt_bias": [8], "A_log": [8], "D": [8], "dt_norm_weight": [64],
                 "B_norm_weight": [16], "C_norm_weight": [16], "out_proj.weight": [64, 128]} if mixes else \
                {"qkv_proj.weight": [96, 64], "o_proj.weight": [64, 64], "q_weight": [4, 16], "k_weight": [1, 16]}
        tensors |= {f"{start}mixer.{name}": shape for name, shape in mixer.items()}
    return tensors


def plamo3(config):
    tensors = {"model.embed_tokens.weight": [272, 64], "model.norm.weight": [64]}
    for layer in range(config["num_hidden_layers"]):
        start = f"model.layers.layers.{layer}."
        tensors |= {start + name: shape for name, shape in {
            "pre_mixer_norm.weight": [64], "post_mixer_norm.weight": [64], "pre_mlp_norm.weight": [64],
            "post_mlp_norm.weight": [64], "mlp.gate_up_proj.weight": [192, 64], "mlp.down_proj.weight": [64, 96],
            "mixer.qkv_proj.weight": [256, 64], "mixer.o_proj.weight": [64, 128], "mixer.q_norm.weight": [32],
            "mixer.k_norm.weight": [32]}.items()}
    return tensors


def rwkv6(config):
    inner = config["intermediate_size"] or 224
    tensors = {"rwkv.embeddings.weight": [280, 64], "rwkv.ln_out.weight": [64], "rwkv.ln_out.bias": [64],
               "rwkv.blocks.0.pre_ln.weight": [64], "rwkv.blocks.0.pre_ln.bias": [64], "head.weight": [280, 64]}
    for layer in range(3):
        start = f"rwkv.blocks.{layer}."
        tensors |= {f"{start}{norm}.{end}": [64] for norm in ("ln1", "ln2", "attention.ln_x") for end in ("weight", "bias")}
        tensors |= {f"{start}attention.time_maa_{part}": [1, 1, 64] for part in "xwkvrg"}
        tensors |= {f"{start}attention.{part}.weight": [64, 64] for part in ("gate", "key", "value", "receptance", "output")}
        tensors |= {start + "attention.time_maa_w1": [64, 160], start + "attention.time_maa_w2": [5, 32, 64],
                    start + "attention.time_faaaa": [2, 32], start + "attention.time_decay": [1, 1, 64],
                    start + "attention.time_decay_w1": [64, 64], start + "attention.time_decay_w2": [64, 64],
                    start + "feed_forward.time_maa_k": [1, 1, 64], start + "feed_forward.time_maa_r": [1, 1, 64],
                    start + "feed_forward.key.weight": [inner, 64], start + "feed_forward.receptance.weight": [64, 64],
                    start + "feed_forward.value.weight": [64, inner]}
    return tensors


def rwkv6_qwen2(config):
    size = config["vocab_size"]
    tensors = {"model.embed_tokens.weight": [size, 64], "model.norm.weight": [64], "lm_head.weight": [size, 64]}
    mix, decay = config.get("lora_rank_tokenshift", 32), config.get("lora_rank_decay", 64)
    for layer in range(2):
        start = f"model.layers.{layer}."
        tensors |= {f"{start}self_attn.time_maa_{part}": [1, 1, 64] for part in "xwkvrg"}
        tensors |= {start + "input_layernorm.weight": [64], start + "post_attention_layernorm.weight": [64],
                    start + "mlp.gate_proj.weight": [96, 64], start + "mlp.up_proj.weight": [96, 64],
                    start + "mlp.down_proj.weight": [64, 96], start + "self_attn.time_maa_w1": [64, 5 * mix],
                    start + "self_attn.time_maa_w2": [5, mix, 64], start + "self_attn.time_decay": [1, 1, 64],
                    start + "self_attn.time_decay_w1": [64, decay], start + "self_attn.time_decay_w2": [decay, 64],
                    start + "self_attn.gate.weight": [64, 64], start + "self_attn.o_proj.weight": [64, 64]}
        for part, rows in ("q", 64), ("k", 32), ("v", 32):
            tensors |= {f"{start}self_attn.{part}_proj.weight": [rows, 64], f"{start}self_attn.{part}_proj.bias": [rows]}
    return tensors


def rwkv7(config):
    tensors = {"model.embeddings.weight": [288, 64], "lm_head.weight": [288, 64]}
    norms = ["model.norm", "model.layers.0.pre_norm"]
    for layer in range(2):
        start = f"model.layers.{layer}."
        norms += [start + "attn_norm", start + "ffn_norm", start + "attn.g_norm"]
        tensors |= {f"{start}attn.x_{part}": [1, 1, 64] for part in "rwkvag"}
        tensors |= {f"{start}attn.{part}_proj.weight": [64, 64] for part in "rkvo"}
        for part, rank in ("w", 32), ("a", 32), ("v", 32), ("g", 64):
            if part == "v" and layer == 0:
                continue
            lora = f"{start}attn.{part}_lora.lora."
            tensors |= {lora + "0.weight": [rank, 64], lora + "2.weight": [64, rank]}
            if part != "g":
                tensors[lora + "2.bias"] = [64]
        tensors |= {start + "attn.k_k": [64], start + "attn.k_a": [64], start + "attn.r_k": [2, 32],
                    start + "ffn.x_k": [64], start + "ffn.key.weight": [256, 64], start + "ffn.value.weight": [64, 256]}
    return tensors | {f"{norm}.{end}": [64] for norm in norms for end in ("weight", "bias")}


def own_mixer(start, hidden, ranks, layers_with_values):
    """The mixer of RWKV 7 under the names of its own code."""
    tensors = {f"{start}x_{part}": [1, 1, hidden] for part in "rwkva"}
    tensors |= {f"{start}{part}.weight": [hidden, hidden] for part in ("receptance", "key", "value", "output")}
    for part, rank in ranks.items():
        if rank and (part != "v" or layers_with_values):
            tensors |= {f"{start}{part}1": [hidden, rank], f"{start}{part}2": [rank, hidden]}
            if part != "g":
                tensors[f"{start}{part}0"] = [1, 1, hidden]
    if ranks["g"]:
        tensors[start + "x_g"] = [1, 1, hidden]
    return tensors | {start + "k_k": [1, 1, hidden], start + "k_a": [1, 1, hidden], start + "r_k": [hidden // 32, 32]}


def rwkv7_native(config):
    """With values to mix in the first layer too, which are dropped."""
    tensors = {"model.embeddings.weight": [288, 64], "head.weight": [288, 64]}
    norms = ["model.ln_out", "model.pre_ln"]
    for layer in range(2):
        start = f"model.blocks.{layer}."
        norms += [start + "ln1", start + "ln2", start + "attention.ln_x"]
        tensors |= own_mixer(start + "attention.", 64, dict(w=32, a=32, v=32, g=32), True)
        tensors |= {start + "feed_forward.x_k": [1, 1, 64], start + "feed_forward.key.weight": [256, 64],
                    start + "feed_forward.value.weight": [64, 256]}
    return tensors | {f"{norm}.{end}": [64] for norm in norms for end in ("weight", "bias")}


def arwkv(config):
    size = config["vocab_size"]
    gate = 128 if config["wkv_has_gate"] else 0
    tensors = {"model.embed_tokens.weight": [size, 64], "model.norm.weight": [64], "lm_head.weight": [size, 64]}
    for layer in range(2):
        start = f"model.layers.{layer}."
        tensors |= own_mixer(start + "self_attn.time_mixer.", 64, dict(w=64, a=64, v=32, g=gate), layer > 0)
        tensors |= {start + "input_layernorm.weight": [64], start + "post_attention_layernorm.weight": [64],
                    start + "mlp.gate_proj.weight": [96, 64], start + "mlp.up_proj.weight": [96, 64],
                    start + "mlp.down_proj.weight": [64, 96]}
    return tensors


MODELS = [
    ("falcon-h1", "FalconH1ForCausalLM", "dscoder", "bfloat16", FALCON_H1),
    ("falcon-h1-half", "FalconH1ForCausalLM", "dscoder", "float16",
     dict(FALCON_H1, attention_bias=True, mlp_bias=True, mamba_rms_norm=True, tie_word_embeddings=True)),
    ("falcon-h1-single", "FalconH1ForCausalLM", "dscoder", "float32", FALCON_H1),
    ("granite-hybrid", "GraniteMoeHybridForCausalLM", "dscoder", "bfloat16", dict(GRANITE, num_local_experts=4)),
    ("granite-hybrid-dense", "GraniteMoeHybridForCausalLM", "spm", "float16",
     dict(GRANITE, num_local_experts=0, num_experts_per_tok=0, attention_bias=True, mamba_proj_bias=True,
          tie_word_embeddings=False)),
    ("granite-attention", "GraniteMoeHybridForCausalLM", "dscoder", "bfloat16",
     dict(GRANITE, layer_types=["attention"] * 4, num_local_experts=0, num_experts_per_tok=0)),
    ("granite-attention-moe", "GraniteMoeHybridForCausalLM", "dscoder", "float16",
     dict(GRANITE, layer_types=["attention"] * 4, num_local_experts=4)),
    ("bamba", "BambaForCausalLM", "dscoder", "float16", dict(BAMBA, patch=dict(attn_rotary_emb=8))),
    ("bamba-biases", "BambaForCausalLM", "spm", "bfloat16",
     dict(BAMBA, attention_bias=True, mamba_proj_bias=True, mlp_bias=True, tie_word_embeddings=True)),
    ("jamba", "JambaForCausalLM", "spm", "bfloat16", JAMBA),
    ("jamba-single", "JambaForCausalLM", "spm_json", "float32",
     dict(JAMBA, mamba_proj_bias=True, mamba_conv_bias=False, tie_word_embeddings=True)),
    ("nemotron-h", None, "dscoder", "bfloat16", dict(NEMOTRON, tensors=nemotron)),
    ("nemotron-h-biases", None, "dscoder", "float16",
     dict(NEMOTRON, use_bias=True, mamba_proj_bias=True, mlp_bias=True, attention_bias=True, tensors=nemotron)),
    ("nemotron-h-moe", None, "dscoder", "bfloat16", dict(NEMOTRON_MOE, tensors=nemotron)),
    ("nemotron-h-latent", None, "dscoder", "float16",
     dict({key: value for key, value in NEMOTRON_MOE.items() if key != "hybrid_override_pattern"},
          layers_block_type=["mamba", "moe", "attention", "moe", "moe"], moe_latent_size=32, tensors=nemotron)),
    ("nemotron-h-mtp", None, "dscoder", "bfloat16", dict(NEMOTRON_MTP, tensors=nemotron_mtp)),
    ("nemotron-h-mtp-alone", None, "dscoder", "float16",
     dict(NEMOTRON_MTP, tensors=nemotron_mtp, moe_latent_size=32, attention_bias=True, options=["--mtp"])),
    ("nemotron-h-mtp-without", None, "dscoder", "float32", dict(NEMOTRON_MTP, tensors=nemotron_mtp, options=["--no-mtp"])),
    ("nemotron-puzzle", None, "dscoder", "bfloat16", dict(PUZZLE, tensors=puzzle)),
    ("plamo", None, "spm", "float16", dict(PLAMO, tensors=plamo)),
    ("plamo2", None, "plamo", "bfloat16", dict(PLAMO2, tensors=plamo2)),
    ("plamo2-half", None, "plamo", "float16",
     dict(PLAMO2, architectures=["PLaMo2ForCausalLM"], num_hidden_layers=2, mamba_step=4, vocab_size=272,
          tensors=plamo2)),
    ("plamo3", None, "plamo", "bfloat16", dict(PLAMO3, tensors=plamo3)),
    ("plamo3-long", None, "plamo", "float16",
     dict(PLAMO3, architectures=["PLaMo3ForCausalLM"], rope_scaling_factor=4, initial_context_length=64,
          window_size=None, tensors=plamo3)),
    ("rwkv6", None, "rwkv", "bfloat16", dict(RWKV6, tensors=rwkv6)),
    ("rwkv6-half", None, "rwkv", "float16", dict(RWKV6, intermediate_size=96, rescale_every=1, tensors=rwkv6)),
    ("rwkv6-qwen2", None, "dscoder", "bfloat16", dict(RWKV6_QWEN2, tensors=rwkv6_qwen2)),
    ("rwkv6-qwen2-ranks", None, "spm", "float16",
     dict(RWKV6_QWEN2, lora_rank_tokenshift=16, lora_rank_decay=32, rescale_every=1, tensors=rwkv6_qwen2)),
    ("rwkv7", None, "rwkv", "bfloat16", dict(RWKV7, tensors=rwkv7)),
    ("rwkv7-native", None, "rwkv", "float16", dict(RWKV7_NATIVE, tensors=rwkv7_native)),
    ("arwkv", None, "dscoder", "bfloat16", dict(ARWKV, tensors=arwkv)),
    ("arwkv-gate", None, "spm", "float16", dict(ARWKV, wkv_has_gate=True, tensors=arwkv)),
]

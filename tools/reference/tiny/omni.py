"""Projectors of models that see and hear, and further encoders of images."""
from .mmproj import LIMITS, PIXELS, QWEN25, QWEN3, SIGLIP, TEXT, WHISPER, row
from .towers import layers, matrix, norm, qwen, qwen3, siglip, whisper


def omni_audio(prefix):
    """The encoder of sound of Qwen3-Omni."""
    stem = {"conv2d1.weight": [8, 1, 3, 3], "conv2d2.weight": [8, 8, 3, 3], "conv2d3.weight": [8, 8, 3, 3],
            **{f"conv2d{number}.bias": [8] for number in (1, 2, 3)}, **matrix("conv_out", 32, 16, False),
            **norm("ln_post", 32), **matrix("proj1", 32, 32), **matrix("proj2", 32, 32)}
    block = {**norm("self_attn_layer_norm", 32), **norm("final_layer_norm", 32), **matrix("fc1", 64, 32), **matrix("fc2", 32, 64)}
    for part in ["q_proj", "k_proj", "v_proj", "out_proj"]:
        block |= matrix(f"self_attn.{part}", 32, 32)
    return {f"{prefix}.{name}": shape for name, shape in {**stem, **layers("layers", 4, block)}.items()}


def qwen25_omni():
    hears = whisper("thinker.audio_tower", 32, 64, 4)
    hears = {name: shape for name, shape in hears.items() if "embed_positions" not in name and ".audio_tower.layer_norm" not in name}
    return {**qwen(64, 4, 96, 4, 256, 32, True, prefix="thinker.visual"), **hears, **norm("thinker.audio_tower.ln_post", 32),
            **matrix("thinker.audio_tower.proj", 32, 32), "thinker.audio_tower.audio_bos_eos_token.weight": [2, 32],
            "talker.thinker_to_talker_proj.weight": [8, 32]}


def qwen3_omni():
    sees = qwen3("thinker.visual", 64, 96, 3, 32, 16, range(2))
    for old, new in [("deepstack_merger_list", "merger_list"), (".norm.", ".ln_q."), ("linear_fc1", "mlp.0"), ("linear_fc2", "mlp.2")]:
        sees = {name.replace(old, new) if "merger" in name else name: shape for name, shape in sees.items()}
    return {**sees, **omni_audio("thinker.audio_tower"), "thinker.model.norm.weight": [32]}


def minimax_m3():
    """SigLIP's names without positions, with heads of 80 values, and a convolution over two frames."""
    tensors = siglip("vision_tower.vision_model", 160, 96, 3, 14, 16, last=False)
    del tensors["vision_tower.vision_model.embeddings.position_embedding.weight"]
    del tensors["vision_tower.vision_model.embeddings.patch_embedding.bias"]
    return {**tensors, "vision_tower.vision_model.embeddings.patch_embedding.weight": [160, 3, 2, 14, 14],
            **norm("vision_tower.vision_model.pre_layrnorm", 160), **matrix("multi_modal_projector.linear_1", 48, 160),
            **matrix("multi_modal_projector.linear_2", 32, 48), **matrix("patch_merge_mlp.linear_1", 48, 128),
            **matrix("patch_merge_mlp.linear_2", 32, 48)}


def dots3(experts):
    """dots3-note, whose layers have these numbers of experts."""
    tensors = {"vision_encoder.patch_embed.proj.weight": [64, 3, 14, 14], **norm("vision_encoder.patch_embed.norm", 64, False),
               **norm("vision_encoder.post_trunk_norm", 64, False), **norm("vision_encoder.adapter.ln_q", 64, False),
               **matrix("vision_encoder.adapter.mlp.0", 256, 256), **matrix("vision_encoder.adapter.mlp.2", 32, 256)}
    for layer, count in enumerate(experts):
        prefix = f"vision_encoder.blocks.{layer}"
        for name in [""] if count <= 0 else [f".experts.{expert}" for expert in range(count)]:
            for part, rows, columns in [("fc1", 96, 64), ("fc2", 64, 96), ("fc3", 96, 64)]:
                tensors |= matrix(f"{prefix}.mlp{name}.{part}", rows, columns, False)
        if count > 0:
            tensors |= {f"{prefix}.mlp.gate_weight": [count, 64], f"{prefix}.mlp.router_bias": [count]}
        tensors |= {**norm(f"{prefix}.norm_1", 64, False), **norm(f"{prefix}.norm_2", 64, False),
                    **matrix(f"{prefix}.attn.qkv", 192, 64, False), **matrix(f"{prefix}.attn.proj", 64, 64, False),
                    **norm(f"{prefix}.attn.q_norm", 16, False), **norm(f"{prefix}.attn.k_norm", 16, False)}
    prefix = "audio_encoder.dots_encoder.speech_encoder"
    for number, inputs in [(1, 1), (2, 8), (3, 8)]:
        tensors |= {f"{prefix}.conv2d{number}.weight": [8, inputs, 3, 3], f"{prefix}.conv2d{number}.bias": [8]}
    block = {**norm("self_attn_layer_norm", 32, False), **norm("final_layer_norm", 32, False), **matrix("fc1", 128, 32, False),
             **matrix("fc2", 32, 64, False)}
    for part in ["q_proj", "k_proj", "v_proj", "out_proj"]:
        block |= matrix(f"self_attn.{part}", 32, 32, False)
    adapter = "audio_encoder.audio_adapter.proj"
    return {**tensors, **matrix(f"{prefix}.conv_out", 32, 16, False), **norm(f"{prefix}.layer_norm", 32, False),
            **layers(f"{prefix}.layers", 2, block), **norm(f"{adapter}.0", 32), **matrix(f"{adapter}.1", 48, 32),
            **matrix(f"{adapter}.3", 32, 48)}


def dots3_config(experts):
    return {"model_type": "dots3_note", **TEXT,
            "vision_config": {"embed_dim": 64, "hidden_size": 32, "intermediate_size": 96, "num_attention_heads": 4, "patch_size": 14,
                              "num_hidden_layers": len(experts), "pyramid_num_routed": experts, "capacity_factor": 2.0,
                              "adapter_type": "patch_merger", "pre_pixel_shuffle": True, "use_qk_norm": True, "use_bias": False,
                              "rms_norm_eps": 1e-6, "spatial_merge_size": 2},
            "audio_config": {"use_conv2d_stem": True, "use_rope": True, "use_rms_norm": True, "use_causal": False,
                             "chunk_seconds": 60, "rope_parameters": {"partial_rotary_factor": 0.5, "rope_theta": 10000.0},
                             "whisper_config": {**WHISPER, "encoder_layers": 2, "activation_function": "swiglu"}}}


def granite4_vision(deep, spatial, depth=4):
    """SigLIP, and projectors for layers of text."""
    tensors = {**siglip("model.vision_tower.vision_model", 64, 96, depth, 14, 16), "model.image_newline": [32],
               "model.vision_tower.vision_model.head.probe": [1, 1, 64]}
    block = {**norm("norm", 64), **matrix("out_linear", 32, 64), **norm("qformer.layernorm", 64)}
    for part in ["attention", "crossattention"]:
        for name in ["attention.query", "attention.key", "attention.value", "output.dense"]:
            block |= matrix(f"qformer.encoder.layer.0.{part}.{name}", 64, 64)
        block |= norm(f"qformer.encoder.layer.0.{part}.output.LayerNorm", 64)
    block |= {**matrix("qformer.encoder.layer.0.intermediate_query.dense", 96, 64), "query": [1, 4, 64], "image_positions": [1, 16, 64],
              **matrix("qformer.encoder.layer.0.output_query.dense", 64, 96), **norm("qformer.encoder.layer.0.output_query.LayerNorm", 64)}
    return {**tensors, **layers("model.layerwise_projectors", deep, block), **layers("model.spatial_projectors", spatial, block)}


def muse_glimmer():
    block = {**norm("norm1", 64), **norm("norm2", 64), **matrix("mlp.fc1", 96, 64), **matrix("mlp.fc2", 64, 96)}
    for part in ["q_proj", "k_proj", "v_proj", "proj"]:
        block |= matrix(f"attn.{part}", 64, 64)
    return {"model.vision_tower.patch_embedder.patch_embedding.weight": [64, 2 * 3 * 14 * 14], **norm("model.vision_tower.ln_pre", 64),
            **norm("model.vision_tower.ln_post", 64), **layers("model.vision_tower.layers", 2, block),
            **matrix("model.vision_adapter.fc1", 48, 256, False), **matrix("model.vision_adapter.fc2", 48, 48, False),
            **matrix("model.vision_projection", 32, 48, False)}


def radio(places):
    """RADIO, with heads of 80 values, and a projector."""
    block = {**norm("norm1", 160), **norm("norm2", 160), **matrix("attn.qkv", 480, 160), **matrix("attn.proj", 160, 160),
             **matrix("mlp.fc1", 320, 160), **matrix("mlp.fc2", 160, 320)}
    tensors = {"patch_generator.embedder.weight": [160, 768], "patch_generator.pos_embed": [1, places, 160],
               "patch_generator.cls_token.token": [10, 160], "patch_generator.video_embedder.weight": [160, 1536],
               **layers("blocks", 7, block)}
    return {**{f"vision_model.radio_model.model.{name}": shape for name, shape in tensors.items()},
            "vision_model.radio_model.input_conditioner.norm_mean": [3, 1, 1], **norm("mlp1.0", 640, False),
            **matrix("mlp1.1", 96, 640, False), **matrix("mlp1.3", 32, 96, False)}


def parakeet():
    block = {"conv.pointwise_conv1.weight": [64, 32, 1], "conv.pointwise_conv1.bias": [64], "conv.pointwise_conv2.weight": [32, 32, 1],
             "conv.depthwise_conv.weight": [32, 1, 9], **norm("conv.norm", 32), "conv.norm.running_mean": [32],
             "conv.norm.running_var": [32], "self_attn.bias_u": [4, 8], "self_attn.bias_v": [4, 8],
             **matrix("self_attn.relative_k_proj", 32, 32, False)}
    for name in ["feed_forward1", "feed_forward2", "self_att", "conv", "out"]:
        block |= norm(f"norm_{name}", 32)
    for number in (1, 2):
        block |= {**matrix(f"feed_forward{number}.linear1", 64, 32, False), **matrix(f"feed_forward{number}.linear2", 32, 64, False)}
    for name in "qkvo":
        block |= matrix(f"self_attn.{name}_proj", 32, 32, False)
    tensors = {"subsampling.layers.0.weight": [8, 1, 3, 3], **matrix("subsampling.linear", 32, 16),
               "feature_extractor.featurizer.fb": [1, 16, 33], "feature_extractor.featurizer.window": [40]}
    for number in (2, 3, 5, 6):
        tensors |= {f"subsampling.layers.{number}.weight": [8, 1, 3, 3] if number in (2, 5) else [8, 8, 1, 1]}
    tensors |= {f"subsampling.layers.{number}.bias": [8] for number in (0, 2, 3, 5, 6)}
    tensors |= layers("layers", 2, block)
    return {**{f"sound_encoder.encoder.{name}": shape for name, shape in tensors.items()}, **norm("sound_projection.norm", 32, False),
            **matrix("sound_projection.linear1", 48, 32, False), **matrix("sound_projection.linear2", 32, 48, False)}


def mimo():
    """Qwen2.5-VL's blocks with attention sinks and fewer heads of keys; what joins codes of sound."""
    sees = qwen(64, 4, 96, 2, 256, 32, True, key_heads=2)
    sees |= {f"visual.blocks.{layer}.attn.sinks": [4] for layer in range(2)}
    block = {**norm("input_layernorm", 32, False), **norm("post_attention_layernorm", 32, False),
             **matrix("self_attn.o_proj", 32, 32, False), **matrix("mlp.gate_proj", 48, 32, False),
             **matrix("mlp.up_proj", 48, 32, False), **matrix("mlp.down_proj", 32, 48, False)}
    for part in ["q_proj", "k_proj", "v_proj"]:
        block |= matrix(f"self_attn.{part}", 32, 32)
    local = "audio_encoder.input_local_transformer"
    return {**sees, **layers(f"{local}.layers", 2, block), **norm(f"{local}.norm", 32, False),
            "audio_encoder.projection.mlp.0.weight": [64, 64], "audio_encoder.projection.mlp.2.weight": [32, 64],
            **{f"speech_embeddings.{channel}.weight": [20, 32] for channel in range(3)}, "model.norm.weight": [32]}


def mimo_sound():
    """The encoder of sound in its own folder, with codebooks of several sizes."""
    block = {**norm("self_attn_layer_norm", 32), **norm("final_layer_norm", 32), **matrix("fc1", 64, 32), **matrix("fc2", 32, 64),
             **matrix("self_attn.k_proj", 32, 32, False)}
    for part in ["q_proj", "v_proj", "out_proj"]:
        block |= matrix(f"self_attn.{part}", 32, 32)
    tensors = {"conv1.weight": [32, 16, 3], "conv1.bias": [32], "conv2.weight": [32, 32, 3], "conv2.bias": [32],
               "down_sample_layer.0.weight": [32, 32, 2], **norm("down_sample_norm", 32), **norm("layer_norm", 32),
               **layers("layers", 4, block)}
    for number, size in enumerate([24, 16, 8]):
        book = f"quantizer.vq.layers.{number}._codebook"
        tensors |= {f"{book}.embed": [size, 32], f"{book}.embed_avg": [size, 32], f"{book}.cluster_size": [size]}
    return {**{f"encoder.{name}": shape for name, shape in tensors.items()}, "decoder.conv1.weight": [32, 32, 3]}


MIMO = {"model_type": "mimo_v2", **TEXT, "audio_config": {"audio_channels": 3, "group_size": 4, "input_local_layers": 2},
        "vision_config": {"depth": 2, "hidden_size": 64, "intermediate_size": 96, "num_heads": 4, "num_key_value_heads": 2,
                          "patch_size": 14, "spatial_merge_size": 2, "vit_window_attn_types": [-1, 0],
                          "visual_token_window_size": 8, "use_sink": True}}
MIMO_SOUND = {"d_model": 32, "encoder_ffn_dim": 64, "encoder_attention_heads": 4, "encoder_layers": 4, "n_mels": 16,
              "hybrid_attention": True, "swa_per_block": 2, "encoder_attn_window_size": [16, 0]}
RADIO = {"model_type": "NemotronH_Nano_VL_V2", "llm_config": TEXT, "force_image_size": 64, "downsample_ratio": 0.5,
         "vision_config": {"patch_size": 16, "architectures": ["RADIOModel"]}}
SOUND = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_mel_bins": 16,
         "subsampling_factor": 8, "conv_kernel_size": 9}
MUSE = {"model_type": "muse_glimmer", "text_config": TEXT, "vision_config": {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "patch_size": 14,
    "patch_temporal": 2, "merge_size": 2, "pos_emb_height": 4, "layer_norm_eps": 1e-5}}
OMNI_AUDIO = {**WHISPER, "output_dim": 32, "downsample_hidden_size": 8}

MODELS = [
    row("mm-qwen25-omni", "Qwen2_5OmniModel",
        {"model_type": "qwen2_5_omni", "thinker_config": {
            "model_type": "qwen2_5_omni_thinker", "text_config": {"model_type": "qwen2_5_omni_text", **TEXT},
            "audio_config": {"model_type": "qwen2_5_omni_audio_encoder", **WHISPER, "output_dim": 32},
            "vision_config": {"model_type": "qwen2_5_omni_vision_encoder", **QWEN25}}},
        qwen25_omni()),
    row("mm-qwen3-omni", "Qwen3OmniMoeForConditionalGeneration",
        {"model_type": "qwen3_omni_moe", "thinker_config": {
            "model_type": "qwen3_omni_moe_thinker", "text_config": {"model_type": "qwen3_omni_moe_text", "rms_norm_eps": 1e-5, **TEXT},
            "audio_config": {"model_type": "qwen3_omni_moe_audio_encoder", **OMNI_AUDIO},
            "vision_config": {"model_type": "qwen3_omni_moe_vision_encoder", **QWEN3}}},
        qwen3_omni()),
    row("mm-qwen3-asr", "Qwen3ASRForConditionalGeneration",
        {"model_type": "qwen3_asr", "thinker_config": {
            "model_type": "qwen3_asr_thinker", "text_config": TEXT, "audio_config": OMNI_AUDIO}},
        omni_audio("thinker.audio_tower"), "float16", preprocessor={}),
    row("mm-granite4-vision", "Granite4VisionForConditionalGeneration",
        {"model_type": "granite4_vision", "text_config": {**TEXT, "num_hidden_layers": 8}, "vision_config": {**SIGLIP, "num_hidden_layers": 6},
         "downsample_rate": "2/4", "deepstack_layer_map": [[3, 0], [-2, 6], [1, -4]], "spatial_target_layers": [3, 5],
         "image_grid_pinpoints": [[56, 112], [112, 56]]}, granite4_vision(3, 2, 6)),
    row("mm-granite4-vision-deep", "Granite4VisionForConditionalGeneration",
        {"model_type": "granite4_vision", "text_config": TEXT, "vision_config": {**SIGLIP, "layer_norm_eps": 1e-5},
         "downsample_rate": "4/8", "deepstack_layer_map": [[1, 1]]}, granite4_vision(1, 0), "float16"),
    row("mm-minimax-m3", "MiniMaxM3SparseForConditionalGeneration",
        {"model_type": "minimax_m3", "text_config": TEXT, "vision_config": {
            "hidden_size": 160, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 14,
            "image_size": 56, "img_token_compression_config": {"spatial_merge_size": 2}}}, minimax_m3()),
    row("mm-dots3", "Dots3NoteForConditionalGeneration", dots3_config([-1, 2, 3]), dots3([-1, 2, 3]),
        preprocessor={"preprocessor_config.json": {"vision_config": {**PIXELS, "min_pixels": 3136, "max_pixels": 2408448}}}),
    row("mm-dots3-causal", "Dots3NoteForCausalLM", dots3_config([0, 4]), dots3([0, 4]), "float32", preprocessor=LIMITS),
    row("mm-muse-glimmer", "MuseGlimmerForConditionalGeneration", MUSE, muse_glimmer()),
    row("mm-muse-glimmer-f16", "MuseGlimmerForConditionalGeneration", MUSE, muse_glimmer(), "float16"),
    row("mm-mimo2", "MiMoV2ForCausalLM", MIMO, mimo(), preprocessor=LIMITS, modules={"audio_tokenizer": mimo_sound()},
        files={"audio_tokenizer/config.json": MIMO_SOUND}),
    row("mm-mimo2-whole", "MiMoV2ForCausalLM", {**MIMO, "vision_config": {**MIMO["vision_config"], "rms_norm_eps": 1e-5}}, mimo(),
        "float16", preprocessor=LIMITS, modules={"audio_tokenizer": mimo_sound()},
        files={"audio_tokenizer/config.json": {**MIMO_SOUND, "hybrid_attention": False, "layer_norm_eps": 1e-6}}),
    row("mm-nemotron-vl", "NemotronH_Nano_VL_V2", RADIO, radio(49)),
    row("mm-nemotron-vl-sound", "NemotronH_Nano_VL_V2", {**RADIO, "vision_config": {"patch_size": 16}, "sound_config": SOUND},
        {**radio(16), **parakeet()}, "float16", preprocessor={"preprocessor_config.json": {}}),
]

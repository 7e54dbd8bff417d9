"""Projectors: what turns images or sound into vectors for a model of text."""

PIXELS = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.25, 0.2]}
PREPROCESSOR = {"preprocessor_config.json": PIXELS}


def matrix(name, rows, columns, bias=True):
    """A matrix and its bias."""
    return {f"{name}.weight": [rows, columns], **({f"{name}.bias": [rows]} if bias else {})}


def norm(name, width, bias=True):
    return {f"{name}.weight": [width], **({f"{name}.bias": [width]} if bias else {})}


def layers(prefix, count, of_layer):
    """The tensors of all layers."""
    return {f"{prefix}.{layer}.{name}": shape for layer in range(count) for name, shape in of_layer.items()}


def text():
    """A tensor of the model of text, which is left out."""
    return {"model.language_model.layers.0.mlp.up_proj.weight": [8, 32]}


def row(name, architecture, config, tensors, dtype="bfloat16", preprocessor=PREPROCESSOR, **extra):
    config = {"architectures": [architecture], **config, "options": ["--mmproj"], "files": {**preprocessor, **extra.pop("files", {})},
              "tensors": lambda _: {**tensors, **text()}, **extra}
    return (name, architecture, None, dtype, config)


def qwen(width, heads, ffn, depth, joined, out, gated, split=True, prefix="visual", norms=False, key_heads=None):
    """Qwen2-VL's encoder (gated: Qwen2.5-VL's)."""
    qkv = 3 * width if key_heads is None else width + 2 * key_heads * (width // heads)
    block = {**norm("norm1", width, not gated), **norm("norm2", width, not gated),
             **matrix("attn.qkv", qkv, width), **matrix("attn.proj", width, width)}
    if gated:
        for part, rows, columns in [("gate", ffn, width), ("up", ffn, width), ("down", width, ffn)]:
            block |= matrix(f"mlp.{part}_proj", rows, columns)
    else:
        block |= {**matrix("mlp.fc1", ffn, width), **matrix("mlp.fc2", width, ffn)}
    return {f"{prefix}.patch_embed.proj.weight": [width, 3, 2, 14, 14], **layers(f"{prefix}.blocks", depth, block),
            **norm(f"{prefix}.merger.ln_q", width, not gated), **matrix(f"{prefix}.merger.mlp.0", joined, joined),
            **matrix(f"{prefix}.merger.mlp.2", out, joined)}


def qwen3(prefix, width, inner, depth, out, positions, stages=()):
    block = {**norm("norm1", width), **norm("norm2", width), **matrix("attn.qkv", 3 * width, width),
             **matrix("attn.proj", width, width), **matrix("mlp.linear_fc1", inner, width),
             **matrix("mlp.linear_fc2", width, inner)}
    joined = 4 * width
    tensors = {f"{prefix}.patch_embed.proj.weight": [width, 3, 2, 16, 16], f"{prefix}.patch_embed.proj.bias": [width],
               f"{prefix}.pos_embed.weight": [positions, width], **layers(f"{prefix}.blocks", depth, block)}
    for name, size in [("merger", width), *((f"deepstack_merger_list.{stage}", joined) for stage in stages)]:
        tensors |= {**norm(f"{prefix}.{name}.norm", size), **matrix(f"{prefix}.{name}.linear_fc1", joined, joined),
                    **matrix(f"{prefix}.{name}.linear_fc2", out, joined)}
    return tensors


def glm(prefix, width, heads, ffn, merged, out, depth, positions, first, bias=False, norms=False):
    block = {**norm("norm1", width, False), **norm("norm2", width, False), **matrix("attn.qkv", 3 * width, width, bias),
             **matrix("attn.proj", width, width, bias), **matrix("mlp.gate_proj", ffn, width, bias),
             **matrix("mlp.up_proj", ffn, width, bias), **matrix("mlp.down_proj", width, ffn, bias)}
    if norms:
        block |= {**norm("attn.q_norm", width // heads, False), **norm("attn.k_norm", width // heads, False)}
    tensors = {"patch_embed.proj.weight": [width, 3, 2, 14, 14], "patch_embed.proj.bias": [width],
               **layers("blocks", depth, block), **norm("post_layernorm", width, False),
               "downsample.weight": [out, width, 2, 2], "downsample.bias": [out], **matrix("merger.proj", out, out, False),
               **norm("merger.post_projection_norm", out), **matrix("merger.gate_proj", merged, out, False),
               **matrix("merger.up_proj", merged, out, False), **matrix("merger.down_proj", out, merged, False)}
    if positions:
        tensors |= {"embeddings.position_embedding.weight": [positions, width]}
    if first:
        tensors |= norm("post_conv_layernorm", width, False)
    return {f"{prefix}.{name}": shape for name, shape in tensors.items()}


def siglip(prefix, width, inner, depth, patch, positions, flat=False, last=True, embeddings=None):
    """SigLIP; `flat` stores the convolution as a matrix."""
    block = {**norm("layer_norm1", width), **norm("layer_norm2", width)}
    for part in ["q_proj", "k_proj", "v_proj", "out_proj"]:
        block |= matrix(f"self_attn.{part}", width, width)
    block |= {**matrix("mlp.fc1", inner, width), **matrix("mlp.fc2", width, inner)}
    kernel = [width, 3 * patch * patch] if flat else [width, 3, patch, patch]
    return {f"{prefix}.embeddings.patch_embedding.weight": kernel, f"{prefix}.embeddings.patch_embedding.bias": [width],
            f"{prefix}.embeddings.position_embedding.weight": [positions, width],
            **layers(f"{prefix}.encoder.layers", depth, block),
            **(norm(f"{prefix}.post_layernorm", width) if last else {})}


def pixtral(prefix, width, inner, depth, patch):
    block = {**norm("attention_norm", width, False), **norm("ffn_norm", width, False)}
    for part in ["q_proj", "k_proj", "v_proj", "o_proj"]:
        block |= matrix(f"attention.{part}", width, width, False)
    block |= {**matrix("feed_forward.gate_proj", inner, width, False), **matrix("feed_forward.up_proj", inner, width, False),
              **matrix("feed_forward.down_proj", width, inner, False)}
    return {f"{prefix}.patch_conv.weight": [width, 3, patch, patch], **norm(f"{prefix}.ln_pre", width, False),
            **layers(f"{prefix}.transformer.layers", depth, block)}


def whisper(prefix, width, inner, depth, bins=16, positions=24):
    block = {**norm("self_attn_layer_norm", width), **norm("final_layer_norm", width)}
    for part in ["q_proj", "k_proj", "v_proj", "out_proj"]:
        block |= matrix(f"self_attn.{part}", width, width, part != "k_proj")
    block |= {**matrix("fc1", inner, width), **matrix("fc2", width, inner)}
    return {f"{prefix}.conv1.weight": [width, bins, 3], f"{prefix}.conv1.bias": [width],
            f"{prefix}.conv2.weight": [width, width, 3], f"{prefix}.conv2.bias": [width],
            f"{prefix}.embed_positions.weight": [positions, width], **norm(f"{prefix}.layer_norm", width),
            **layers(f"{prefix}.layers", depth, block)}


def llama4():
    block = {**norm("input_layernorm", 64), **norm("post_attention_layernorm", 64), **matrix("mlp.fc1", 256, 64),
             **matrix("mlp.fc2", 64, 256)}
    for part in ["q_proj", "k_proj", "v_proj", "o_proj"]:
        block |= matrix(f"self_attn.{part}", 64, 64)
    return {"vision_model.class_embedding": [64], "vision_model.positional_embedding_vlm": [17, 64],
            "vision_model.patch_embedding.linear.weight": [64, 588], **norm("vision_model.layernorm_pre", 64),
            **norm("vision_model.layernorm_post", 64), **layers("vision_model.model.layers", 4, block),
            **matrix("vision_model.vision_adapter.mlp.fc1", 96, 256, False),
            **matrix("vision_model.vision_adapter.mlp.fc2", 96, 96, False),
            **matrix("multi_modal_projector.linear_1", 32, 96, False)}


def internvl(bias, norms):
    block = {**norm("norm1", 64, not norms), **norm("norm2", 64, not norms), "ls1": [64], "ls2": [64],
             **matrix("attn.qkv", 192, 64, bias), **matrix("attn.proj", 64, 64), **matrix("mlp.fc1", 96, 64),
             **matrix("mlp.fc2", 64, 96)}
    if norms:
        block |= {**norm("attn.q_norm", 64, False), **norm("attn.k_norm", 64, False)}
    return {"vision_model.embeddings.class_embedding": [1, 1, 64], "vision_model.embeddings.patch_embedding.weight": [64, 3, 14, 14],
            "vision_model.embeddings.patch_embedding.bias": [64], "vision_model.embeddings.position_embedding": [1, 17, 64],
            **layers("vision_model.encoder.layers", 4, block), **norm("mlp1.0", 256), **matrix("mlp1.1", 32, 256),
            **matrix("mlp1.3", 32, 32)}


def moonvit(projector, linears):
    block = {**norm("norm0", 64), **norm("norm1", 64), **matrix("wqkv", 192, 64), **matrix("wo", 64, 64),
             **matrix("mlp.fc0", 128, 64), **matrix("mlp.fc1", 64, 128)}
    return {"vision_tower.patch_embed.proj.weight": [64, 3, 14, 14], "vision_tower.patch_embed.proj.bias": [64],
            "vision_tower.patch_embed.pos_emb.weight": [4, 4, 64], **layers("vision_tower.encoder.blocks", 4, block),
            **norm("vision_tower.encoder.final_layernorm", 64), **norm(f"{projector}.pre_norm", 64),
            **matrix(f"{projector}.{linears[0]}", 256, 256), **matrix(f"{projector}.{linears[1]}", 32, 256)}


def minicpm():
    tower = siglip("model.vision_tower", 64, 96, 4, 14, 16)
    merger = {**norm("layer_norm1", 64), **norm("pre_norm", 256), **matrix("linear_1", 96, 256), **matrix("linear_2", 64, 96)}
    for part in ["q_proj", "k_proj", "v_proj", "out_proj"]:
        merger |= matrix(f"self_attn.{part}", 64, 64)
    return {**tower, **{f"model.vision_tower.vit_merger.{name}": shape for name, shape in merger.items()},
            **norm("model.merger.mlp.0.pre_norm", 256), **matrix("model.merger.mlp.0.linear_1", 256, 256),
            **matrix("model.merger.mlp.0.linear_2", 32, 256)}


def dots():
    block = {**norm("norm1", 64, False), **norm("norm2", 64, False), **matrix("attn.qkv", 192, 64, False),
             **matrix("attn.proj", 64, 64, False), **matrix("mlp.fc1", 96, 64, False), **matrix("mlp.fc2", 64, 96, False),
             **matrix("mlp.fc3", 96, 64, False)}
    return {"vision_tower.patch_embed.patchifier.proj.weight": [64, 3, 14, 14], "vision_tower.patch_embed.patchifier.proj.bias": [64],
            **norm("vision_tower.patch_embed.patchifier.norm", 64, False), **norm("vision_tower.post_trunk_norm", 64, False),
            **layers("vision_tower.blocks", 4, block), **norm("vision_tower.merger.ln_q", 64),
            **matrix("vision_tower.merger.mlp.0", 256, 256), **matrix("vision_tower.merger.mlp.2", 32, 256)}


def hunyuan():
    block = {**norm("input_layernorm", 64), **norm("post_attention_layernorm", 64), **matrix("mlp.dense_h_to_4h", 96, 64),
             **matrix("mlp.dense_4h_to_h", 64, 96)}
    for part in ["q_proj", "k_proj", "v_proj", "o_proj"]:
        block |= matrix(f"self_attn.{part}", 64, 64)
    return {"vit.embeddings.patch_embedding.weight": [64, 3, 14, 14], "vit.embeddings.patch_embedding.bias": [64],
            "vit.embeddings.position_embedding.weight": [17, 64], **layers("vit.layers", 4, block),
            **norm("vit.perceive.before_rms", 64, False), **norm("vit.perceive.after_rms", 32, False),
            "vit.perceive.proj.0.weight": [128, 64, 2, 2], "vit.perceive.proj.0.bias": [128],
            "vit.perceive.proj.2.weight": [256, 128, 1, 1], "vit.perceive.proj.2.bias": [256],
            **matrix("vit.perceive.mlp", 32, 256), "vit.perceive.image_newline": [256], "vit.perceive.image_begin": [32],
            "vit.perceive.image_end": [32], "vit.perceive.image_sep": [32]}


def cogvlm():
    block = {**norm("input_layernorm", 64), **norm("post_attention_layernorm", 64), **matrix("attention.query_key_value", 192, 64),
             **matrix("attention.dense", 64, 64), **matrix("mlp.fc1", 96, 64), **matrix("mlp.fc2", 64, 96)}
    tensors = {"boi": [1, 1, 32], "eoi": [1, 1, 32], "patch_embedding.cls_embedding": [1, 64],
               "patch_embedding.position_embedding.weight": [17, 64], "patch_embedding.proj.weight": [64, 3, 14, 14],
               "patch_embedding.proj.bias": [64], **matrix("linear_proj.linear_proj", 32, 64, False),
               **norm("linear_proj.norm1", 32), **matrix("linear_proj.dense_h_to_4h", 96, 32, False),
               **matrix("linear_proj.gate_proj", 96, 32, False), **matrix("linear_proj.dense_4h_to_h", 32, 96, False),
               **layers("transformer.layers", 4, block)}
    return {f"model.vision.{name}": shape for name, shape in tensors.items()}


def janus():
    tower = siglip("model.vision_model", 64, 256, 4, 14, 16)
    return {**{name.replace("out_proj", "projection_layer"): shape for name, shape in tower.items()},
            **matrix("model.aligner.fc1", 32, 64), **matrix("model.aligner.hidden_layers.0", 32, 32),
            "model.vqmodel.quant_conv.weight": [8, 8], "model.generation_embeddings.weight": [8, 8]}


def sam():
    block = {**norm("norm1", 48), **norm("norm2", 48), "attn.rel_pos_h": [7, 12], "attn.rel_pos_w": [7, 12],
             **matrix("attn.qkv", 144, 48), **matrix("attn.proj", 48, 48), **matrix("mlp.lin1", 192, 48), **matrix("mlp.lin2", 48, 192)}
    tensors = {"pos_embed": [1, 4, 4, 48], "patch_embed.proj.weight": [48, 3, 16, 16], "patch_embed.proj.bias": [48],
               **layers("blocks", 3, block), "neck.0.weight": [32, 48, 1, 1], **norm("neck.1", 32), "neck.2.weight": [32, 32, 3, 3],
               **norm("neck.3", 32), "net_2.weight": [40, 32, 3, 3], "net_3.weight": [64, 40, 3, 3]}
    return {**{f"model.sam_model.{name}": shape for name, shape in tensors.items()}, **matrix("model.projector.layers", 32, 128),
            "model.view_seperator": [32]}


def deepseek_ocr():
    block = {**norm("layer_norm1", 64), **norm("layer_norm2", 64), **matrix("self_attn.qkv_proj", 192, 64),
             **matrix("self_attn.out_proj", 64, 64), **matrix("mlp.fc1", 256, 64), **matrix("mlp.fc2", 64, 256)}
    vision = {"embeddings.class_embedding": [64], "embeddings.patch_embedding.weight": [64, 3, 14, 14],
              "embeddings.position_embedding.weight": [17, 64], **norm("pre_layrnorm", 64), **layers("transformer.layers", 4, block)}
    return {**sam(), **{f"model.vision_model.{name}": shape for name, shape in vision.items()}, "model.image_newline": [32],
            "lm_head.weight": [64, 32], "model.embed_tokens.weight": [64, 32], "model.norm.weight": [32]}


def deepseek_ocr2():
    block = {**norm("input_layernorm", 112, False), **norm("post_attention_layernorm", 112, False),
             **matrix("self_attn.q_proj", 112, 112), **matrix("self_attn.k_proj", 16, 112), **matrix("self_attn.v_proj", 16, 112),
             **matrix("self_attn.o_proj", 112, 112, False), **matrix("mlp.gate_proj", 96, 112, False),
             **matrix("mlp.up_proj", 96, 112, False), **matrix("mlp.down_proj", 112, 96, False)}
    tensors = {**layers("model.model.layers", 4, block), **norm("model.model.norm", 112, False), "query_768.weight": [12, 112],
               "query_1024.weight": [16, 112]}
    return {**sam(), **{f"model.qwen2_model.{name}": shape for name, shape in tensors.items()}, "model.norm.weight": [32]}


def deepseek4v():
    block = {**norm("norm1", 64, False), **norm("norm2", 64, False), **matrix("attn.wqkv", 192, 64, False),
             **matrix("attn.wo", 64, 64, False), **matrix("mlp.w1", 192, 64, False), **matrix("mlp.w2", 64, 96, False)}
    return {**matrix("vision.patch_embed.proj", 64, 588, False), **norm("vision.norm", 64, False), **layers("vision.blocks", 4, block),
            **matrix("aligner.w1", 48, 576, False), **matrix("aligner.w2", 32, 48, False), "image_newline": [32],
            "image_start": [32], "image_end": [32], "image_pad": [32]}


def youtu():
    tower = siglip("siglip2.vision_model", 64, 96, 4, 14, 16, True)
    return {**{name: shape for name, shape in tower.items() if "position" not in name}, **norm("merger.ln_q", 64, False),
            **matrix("merger.mlp.0", 256, 256), **matrix("merger.mlp.2", 32, 256)}


def phi4v():
    tower = siglip("model.vision_tower.vision_tower.vision_model", 64, 96, 5, 14, 16, True)
    return {**tower, **matrix("model.mm_projector.0", 32, 64), **matrix("model.mm_projector.2", 32, 32),
            **matrix("model.vision_tower.vision_tower.vision_model.head.mlp.fc1", 96, 64)}


def gemma4(hears):
    block = {**norm("input_layernorm", 64, False), **norm("post_attention_layernorm", 64, False),
             **norm("pre_feedforward_layernorm", 64, False), **norm("post_feedforward_layernorm", 64, False),
             **norm("self_attn.q_norm", 16, False), **norm("self_attn.k_norm", 16, False)}
    for part, rows, columns in [("self_attn.q_proj", 64, 64), ("self_attn.k_proj", 64, 64), ("self_attn.v_proj", 64, 64),
                                ("self_attn.o_proj", 64, 64), ("mlp.gate_proj", 96, 64), ("mlp.up_proj", 96, 64),
                                ("mlp.down_proj", 64, 96)]:
        block |= matrix(f"{part}.linear", rows, columns, False)
        if hears:
            block |= {f"{part}.{bound}": [] for bound in ["input_max", "input_min", "output_max", "output_min"]}
    tensors = {"vision_tower.patch_embedder.input_proj.weight": [64, 588],
               "vision_tower.patch_embedder.position_embedding_table": [2, 16, 64], **layers("vision_tower.encoder.layers", 4, block),
               **matrix("embed_vision.embedding_projection", 32, 64, False)}
    if not hears:
        tensors |= {"vision_tower.std_bias": [64], "vision_tower.std_scale": [64]}
    else:
        # torch calculates the rest of 32 values in another way
        layer = {"self_attn.per_dim_scale": [32], "lconv1d.depthwise_conv1d.weight": [32, 1, 5],
                 **matrix("self_attn.relative_k_proj", 32, 32, False)}
        for name in ["feed_forward1.pre_layer_norm", "feed_forward1.post_layer_norm", "feed_forward2.pre_layer_norm",
                     "feed_forward2.post_layer_norm", "norm_pre_attn", "norm_post_attn", "norm_out", "lconv1d.pre_layer_norm",
                     "lconv1d.conv_norm"]:
            layer |= norm(name, 32, False)
        for part, rows, columns in [("self_attn.q_proj", 32, 32), ("self_attn.k_proj", 32, 32), ("self_attn.v_proj", 32, 32),
                                    ("self_attn.post", 32, 32), ("feed_forward1.ffw_layer_1", 128, 32),
                                    ("feed_forward1.ffw_layer_2", 32, 128), ("feed_forward2.ffw_layer_1", 128, 32),
                                    ("feed_forward2.ffw_layer_2", 32, 128), ("lconv1d.linear_start", 64, 32),
                                    ("lconv1d.linear_end", 32, 32)]:
            layer |= {**matrix(f"{part}.linear", rows, columns, False),
                      **{f"{part}.{bound}": [] for bound in ["input_max", "input_min", "output_max", "output_min"]}}
        first = "audio_tower.subsample_conv_projection"
        tensors |= {**layers("audio_tower.layers", 4, layer), f"{first}.layer0.conv.weight": [16, 1, 3, 3],
                    f"{first}.layer1.conv.weight": [8, 16, 3, 3], **norm(f"{first}.layer0.norm", 16, False),
                    **norm(f"{first}.layer1.norm", 8, False), **matrix(f"{first}.input_proj_linear", 32, 64, False),
                    **matrix("audio_tower.output_proj", 48, 32), **matrix("embed_audio.embedding_projection", 32, 48, False)}
    return {f"model.{name}": shape for name, shape in tensors.items()}


def normalization(name, width):
    return {**norm(name, width), f"{name}.running_mean": [width], f"{name}.running_var": [width], f"{name}.num_batches_tracked": []}


def granite_speech():
    layer = {**norm("attn.pre_norm", 32), **matrix("attn.to_q", 32, 32, False), **matrix("attn.to_kv", 64, 32, False),
             **matrix("attn.to_out", 32, 32), **matrix("attn.rel_pos_emb", 33, 8, False), **norm("conv.norm", 32),
             "conv.up_conv.weight": [128, 32, 1], "conv.up_conv.bias": [128], "conv.depth_conv.conv.weight": [64, 1, 15],
             "conv.down_conv.weight": [32, 64, 1], "conv.down_conv.bias": [32], **normalization("conv.batch_norm", 64),
             **norm("post_norm", 32), "attn.attention_dists": [4, 4]}
    for part in ["ff1", "ff2"]:
        layer |= {**norm(f"{part}.pre_norm", 32), **matrix(f"{part}.up_proj", 64, 32), **matrix(f"{part}.down_proj", 32, 64)}
    block = {**matrix("intermediate_query.dense", 96, 48), **matrix("output_query.dense", 48, 96), **norm("output_query.LayerNorm", 48)}
    for part, inner in [("attention", 48), ("crossattention", 32)]:
        block |= {**matrix(f"{part}.attention.query", 48, 48), **matrix(f"{part}.attention.key", 48, inner),
                  **matrix(f"{part}.attention.value", 48, inner), **matrix(f"{part}.output.dense", 48, 48),
                  **norm(f"{part}.output.LayerNorm", 48)}
    return {**matrix("encoder.input_linear", 32, 16), **matrix("encoder.out", 24, 32), **matrix("encoder.out_mid", 32, 24),
            **layers("encoder.layers", 4, layer), "projector.query": [1, 3, 48], **matrix("projector.linear", 32, 48),
            **norm("projector.qformer.layernorm", 48), **layers("projector.qformer.encoder.layer", 2, block)}


def lfm2_audio():
    layer = {"self_attn.pos_bias_u": [4, 8], "self_attn.pos_bias_v": [4, 8], **matrix("self_attn.linear_pos", 32, 32, False),
             "conv.pointwise_conv1.weight": [64, 32, 1], "conv.pointwise_conv1.bias": [64], "conv.depthwise_conv.weight": [32, 1, 9],
             "conv.depthwise_conv.bias": [32], "conv.pointwise_conv2.weight": [32, 32, 1], "conv.pointwise_conv2.bias": [32],
             **normalization("conv.batch_norm", 32)}
    for name in ["norm_feed_forward1", "norm_feed_forward2", "norm_self_att", "norm_conv", "norm_out"]:
        layer |= norm(name, 32)
    for part in ["feed_forward1", "feed_forward2"]:
        layer |= {**matrix(f"{part}.linear1", 128, 32), **matrix(f"{part}.linear2", 32, 128)}
    for part in ["q", "k", "v", "out"]:
        layer |= matrix(f"self_attn.linear_{part}", 32, 32)
    tensors = {**layers("conformer.layers", 7, layer), **matrix("conformer.pre_encode.out", 32, 64),
               **norm("audio_adapter.model.0", 32), **matrix("audio_adapter.model.1", 48, 32), **matrix("audio_adapter.model.3", 32, 48),
               "audio_embedding.embedding.weight": [24, 32], "audio_embedding.embedding_norm.weight": [32],
               "audio_embedding.to_logits.weight": [24, 32], "depthformer.layers.0.w.weight": [8, 8], "lfm.norm.weight": [32],
               "codebook_offsets": [8]}
    for number, shape in [(0, [8, 1, 3, 3]), (2, [8, 1, 3, 3]), (3, [8, 8, 1, 1]), (5, [8, 1, 3, 3]), (6, [8, 8, 1, 1])]:
        tensors |= {f"conformer.pre_encode.conv.{number}.weight": shape, f"conformer.pre_encode.conv.{number}.bias": [8]}
    return tensors


def gemma3n():
    layer = {"attention.attn.per_dim_scale": [8], "lconv1d.depthwise_conv1d.weight": [32, 1, 5]}
    for name in ["norm", "attention.pre_attn_norm", "attention.post_norm", "ffw_layer_start.pre_layer_norm",
                 "ffw_layer_start.post_layer_norm", "ffw_layer_end.pre_layer_norm", "ffw_layer_end.post_layer_norm",
                 "lconv1d.pre_layer_norm", "lconv1d.conv_norm"]:
        layer |= norm(name, 32, False)
    for name, rows, columns in [("attention.post", 32, 32), ("attention.attn.q_proj", 32, 32), ("attention.attn.k_proj", 32, 32),
                                ("attention.attn.v_proj", 32, 32), ("attention.attn.relative_position_embedding.pos_proj", 32, 32),
                                ("ffw_layer_start.ffw_layer_1", 128, 32), ("ffw_layer_start.ffw_layer_2", 32, 128),
                                ("ffw_layer_end.ffw_layer_1", 128, 32), ("ffw_layer_end.ffw_layer_2", 32, 128),
                                ("lconv1d.linear_start", 64, 32), ("lconv1d.linear_end", 32, 32)]:
        layer |= matrix(name, rows, columns, False)
    tensors = layers("audio_tower.conformer", 2, layer)
    for part, width in [("embed_vision", 64), ("embed_audio", 32)]:
        tensors |= {f"{part}.embedding.weight": [16, width], f"{part}.embedding_projection.weight": [32, width],
                    f"{part}.hard_embedding_norm.weight": [width], f"{part}.soft_embedding_norm.weight": [width]}
    first = "audio_tower.subsample_conv_projection"
    tensors |= {f"{first}.conv_0.conv.weight": [8, 1, 3, 3], f"{first}.conv_1.conv.weight": [4, 8, 3, 3],
                f"{first}.input_proj_linear.weight": [32, 64]}
    network = {"conv_stem.conv.weight": [8, 3, 3, 3], "conv_stem.conv.bias": [8], "conv_stem.bn.weight": [8],
               "msfa.ffn.pw_exp.conv.weight": [32, 16, 1, 1], "msfa.ffn.pw_exp.bn.weight": [32],
               "msfa.ffn.pw_proj.conv.weight": [64, 32, 1, 1], "msfa.ffn.pw_proj.bn.weight": [64], "msfa.norm.weight": [64],
               "blocks.0.0.conv_exp.weight": [16, 8, 3, 3], "blocks.0.0.bn1.weight": [16], "blocks.0.0.conv_pwl.weight": [8, 16, 1, 1],
               "blocks.0.0.bn2.weight": [8], "blocks.1.0.dw_start.conv.weight": [8, 1, 3, 3], "blocks.1.0.dw_start.bn.weight": [8],
               "blocks.1.0.layer_scale.gamma": [8], "blocks.2.11.attn.query.proj.weight": [32, 8, 1, 1],
               "blocks.2.11.attn.key.down_conv.weight": [8, 1, 3, 3], "blocks.2.11.attn.key.norm.weight": [8],
               "blocks.2.11.norm.weight": [8]}
    tensors |= {f"vision_tower.timm_model.{name}": shape for name, shape in network.items()}
    return {f"model.{name}": shape for name, shape in tensors.items()}


TEXT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 64}
QWEN2 = {"depth": 4, "embed_dim": 64, "hidden_size": 32, "num_heads": 4, "mlp_ratio": 2, "patch_size": 14}
QWEN25 = {"depth": 4, "hidden_size": 64, "intermediate_size": 96, "num_heads": 4, "patch_size": 14, "out_hidden_size": 32,
          "fullatt_block_indexes": [1, 3]}
QWEN3 = {"depth": 3, "hidden_size": 64, "intermediate_size": 96, "num_heads": 4, "patch_size": 16, "out_hidden_size": 32,
         "num_position_embeddings": 16, "deepstack_visual_indexes": [0, 2]}
GLM = {"depth": 2, "hidden_size": 64, "intermediate_size": 96, "num_heads": 4, "patch_size": 14, "out_hidden_size": 32,
       "image_size": 56}
SIGLIP = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4, "patch_size": 14,
          "image_size": 56}
PIXTRAL = {"model_type": "pixtral", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4,
           "num_attention_heads": 4, "patch_size": 14, "image_size": 56, "hidden_act": "silu"}
BREAK = {"tokenizer_config.json": {"added_tokens_decoder": {"12": {"content": "[IMG_BREAK]"}}}}
PROJECTOR = {**matrix("multi_modal_projector.linear_1", 32, 64), **matrix("multi_modal_projector.linear_2", 32, 32)}
MERGING = {**matrix("multi_modal_projector.linear_1", 32, 64, False), **matrix("multi_modal_projector.linear_2", 32, 32, False),
           **norm("multi_modal_projector.norm", 64, False),
           **matrix("multi_modal_projector.patch_merger.merging_layer", 64, 256, False)}
WHISPER = {"d_model": 32, "encoder_layers": 4, "encoder_attention_heads": 4, "encoder_ffn_dim": 64, "num_mel_bins": 16}
LIMITS = {"preprocessor_config.json": {**PIXELS, "min_pixels": 3136, "max_pixels": 2408448}}
CONFORMER = {"hidden_dim": 32, "feedforward_mult": 2, "num_heads": 4, "num_layers": 4, "input_dim": 16, "context_size": 20,
             "conv_kernel_size": 15, "max_pos_emb": 16}

MODELS = [
    row("mm-qwen2vl", "Qwen2VLForConditionalGeneration",
        {"model_type": "qwen2_vl", **TEXT, "rms_norm_eps": 1e-5, "vision_config": QWEN2},
        qwen(64, 4, 128, 4, 256, 32, False)),
    row("mm-qwen2vl-model", "Qwen2VLModel", {"model_type": "qwen2_vl", "text_config": TEXT, "vision_config": QWEN2},
        qwen(64, 4, 128, 4, 256, 32, False), "float32"),
    row("mm-qwen25vl", "Qwen2_5_VLForConditionalGeneration",
        {"model_type": "qwen2_5_vl", **TEXT, "vision_config": {**QWEN25, "fullatt_block_indexes": [1, 3]}},
        qwen(64, 4, 96, 4, 256, 32, True)),
    row("mm-sarashina2", "Sarashina2VisionForCausalLM",
        {"model_type": "sarashina2_vision", "text_config": TEXT, "vision_config": QWEN2}, qwen(64, 4, 128, 4, 256, 32, False)),
    row("mm-exaone45", "Exaone4_5_ForConditionalGeneration",
        {"model_type": "exaone4_5", "text_config": TEXT, "vision_config": {**QWEN25, "num_key_value_heads": 2, "window_size": 112}},
        qwen(64, 4, 96, 4, 256, 32, True, prefix="model.visual", key_heads=2),
        preprocessor={"preprocessor_config.json": {**PIXELS, "min_pixels": 3136, "max_pixels": 12845056}}),
    row("mm-qwen3vl", "Qwen3VLForConditionalGeneration",
        {"model_type": "qwen3_vl", "text_config": {**TEXT, "rms_norm_eps": 1e-5}, "vision_config": QWEN3},
        qwen3("model.visual", 64, 96, 3, 32, 16, range(2))),
    row("mm-qwen3vl-moe", "Qwen3VLMoeForConditionalGeneration",
        {"model_type": "qwen3_vl_moe", "text_config": TEXT, "vision_config": QWEN3},
        qwen3("visual", 64, 96, 3, 32, 16, range(2)), "float16"),
    row("mm-qwen35", "Qwen3_5ForConditionalGeneration",
        {"model_type": "qwen3_5", "text_config": TEXT, "vision_config": {**QWEN3, "deepstack_visual_indexes": [],
                                                                          "spatial_merge_size": 2}},
        qwen3("model.visual", 64, 96, 3, 32, 16)),
    row("mm-qwen35-moe", "Qwen3_5MoeForConditionalGeneration",
        {"model_type": "qwen3_5_moe", "text_config": TEXT, "vision_config": {**QWEN3, "deepstack_visual_indexes": []}},
        qwen3("model.visual", 64, 96, 3, 32, 16)),
    row("mm-qwen4exp", "Qwen4ExpForConditionalGeneration",
        {"model_type": "qwen4_exp", "text_config": TEXT, "vision_config": QWEN3},
        qwen3("model.visual", 64, 96, 3, 32, 16, range(2))),
    row("mm-glm4v", "Glm4vForConditionalGeneration", {"model_type": "glm4v", "text_config": TEXT, "vision_config": GLM},
        glm("model.visual", 64, 4, 32, 96, 32, 2, 16, True)),
    row("mm-glm4v-moe", "Glm4vMoeForConditionalGeneration",
        {"model_type": "glm4v_moe", "text_config": TEXT, "vision_config": {**GLM, "hidden_act": "gelu"}},
        glm("model.visual", 64, 4, 32, 96, 32, 2, 16, True)),
    row("mm-glm-ocr", "GlmOcrForConditionalGeneration",
        {"model_type": "glm_ocr", "text_config": TEXT, "vision_config": {**GLM, "hidden_act": "silu"}},
        glm("model.visual", 64, 4, 96, 96, 32, 2, 0, False, True, True)),
    row("mm-glm5next", "Glm5NextForConditionalGeneration",
        {"model_type": "glm5_next", "text_config": TEXT, "vision_config": {**GLM, "hidden_act": "silu", "swiglu_limit": 7.0}},
        glm("model.visual", 64, 4, 96, 96, 32, 2, 0, False, False, True),
        preprocessor={"preprocessor_config.json": {**PIXELS, "min_image_tokens": 4, "max_image_tokens": 1024}}),
    row("mm-ling3vl", "BailingMoeV3VLForConditionalGeneration",
        {"model_type": "bailing_moe_v3_vl", "text_config": TEXT,
         "vision_config": {**QWEN3, "out_hidden_size": 256, "disable_merger_proj": True, "spatial_merge_size": 2}},
        {**{name: shape for name, shape in qwen3("model.visual", 64, 96, 3, 32, 16).items()
            if ".merger.linear" not in name and name != "model.visual.patch_embed.proj.bias"},
         **matrix("linear_proj.0", 32, 256), **matrix("linear_proj.2", 32, 32)}),
    row("mm-pixtral", "LlavaForConditionalGeneration",
        {"model_type": "llava", "text_config": {"model_type": "mistral", **TEXT}, "vision_config": PIXTRAL},
        {**pixtral("vision_tower", 64, 96, 4, 14), **PROJECTOR}, files=BREAK),
    row("mm-mistral3", "Mistral3ForConditionalGeneration",
        {"model_type": "mistral3", "text_config": {"model_type": "mistral", **TEXT},
         "vision_config": {**PIXTRAL, "hidden_act": "gelu"}},
        {**pixtral("vision_tower", 64, 96, 4, 14), **MERGING}, files=BREAK),
    row("mm-ministral3", "Mistral3ForConditionalGeneration",
        {"model_type": "mistral3", "spatial_merge_size": 2, "text_config": {"model_type": "ministral3", **TEXT},
         "vision_config": PIXTRAL},
        {**pixtral("vision_tower", 64, 96, 4, 14), **MERGING}, files=BREAK),
    row("mm-lighton-ocr", "LightOnOCRForConditionalGeneration",
        {"model_type": "mistral3", "text_config": {"model_type": "qwen3", **TEXT}, "vision_config": PIXTRAL},
        {**pixtral("model.vision_encoder", 64, 96, 4, 14),
         **{name.replace("multi_modal_projector", "model.vision_projection"): shape for name, shape in MERGING.items()}}),
    row("mm-gemma3", "Gemma3ForConditionalGeneration",
        {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", **TEXT}, "vision_config": SIGLIP},
        {**siglip("vision_tower.vision_model", 64, 96, 4, 14, 16), "multi_modal_projector.mm_input_projection_weight": [64, 32],
         "multi_modal_projector.mm_soft_emb_norm.weight": [64]}),
    row("mm-gemma3-scale", "Gemma3ForConditionalGeneration",
        {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", **TEXT},
         "vision_config": {**SIGLIP, "layer_norm_eps": 1e-5}},
        {**siglip("vision_tower.vision_model", 64, 96, 4, 14, 16), "multi_modal_projector.mm_input_projection_weight": [64, 32],
         "multi_modal_projector.mm_soft_emb_norm.weight": [64]}, "float32",
        preprocessor={"preprocessor_config.json": PIXELS, "processor_config.json": {"image_seq_length": 4}}),
    row("mm-idefics3", "Idefics3ForConditionalGeneration",
        {"model_type": "idefics3", "text_config": {"model_type": "llama", **TEXT}, "vision_config": SIGLIP},
        {**siglip("model.vision_model", 64, 96, 4, 14, 16),
         **matrix("model.connector.modality_projection.proj", 32, 256, False)}),
    row("mm-smolvlm", "SmolVLMForConditionalGeneration",
        {"model_type": "smolvlm", "scale_factor": 4, "text_config": {"model_type": "llama", **TEXT},
         "vision_config": {"model_type": "smolvlm_vision", **SIGLIP}},
        {**siglip("model.vision_model", 64, 96, 4, 14, 16),
         **matrix("model.connector.modality_projection.proj", 32, 1024, False)},
        preprocessor={"preprocessor_config.json": {**PIXELS, "size": {"longest_edge": 2048}}}),
    row("mm-llama4", "Llama4ForConditionalGeneration",
        {"model_type": "llama4", "text_config": TEXT,
         "vision_config": {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 256,
                           "vision_output_dim": 96, "image_size": 56, "projector_input_dim": 96, "projector_output_dim": 96}},
        llama4()),
    row("mm-internvl", "InternVLChatModel",
        {"model_type": "internvl_chat", "llm_config": {"model_type": "qwen2", **TEXT}, "downsample_ratio": 0.5,
         "min_dynamic_patch": 1, "max_dynamic_patch": 12,
         "vision_config": {"architectures": ["InternVisionModel"], **SIGLIP, "hidden_act": "gelu", "layer_norm_eps": 1e-6,
                           "qkv_bias": True}}, internvl(True, False)),
    row("mm-internvl-norms", "InternVLChatModel",
        {"model_type": "internvl_chat", "llm_config": {"model_type": "qwen2", **TEXT}, "downsample_ratio": 0.5,
         "vision_config": {"architectures": ["InternVisionModel"], **SIGLIP, "hidden_act": "silu", "layer_norm_eps": 1e-6,
                           "qkv_bias": False, "qk_normalization": True, "image_size": [56, 56], "patch_size": [14, 14]}},
        internvl(False, True)),
    row("mm-kimi-vl", "KimiVLForConditionalGeneration",
        {"model_type": "kimi_vl", "text_config": TEXT, "vision_config": {**SIGLIP, "intermediate_size": 128}},
        moonvit("multi_modal_projector", ["linear_1", "linear_2"])),
    row("mm-kimi-k25", "KimiK25ForConditionalGeneration",
        {"model_type": "kimi_k25", "text_config": TEXT,
         "vision_config": {"vt_hidden_size": 64, "vt_intermediate_size": 128, "vt_num_hidden_layers": 4,
                           "vt_num_attention_heads": 16, "patch_size": 14, "init_pos_emb_height": 4, "init_pos_emb_width": 4,
                           "merge_kernel_size": [2, 2]}},
        moonvit("mm_projector", ["proj.0", "proj.2"]),
        preprocessor={"preprocessor_config.json": {"media_proc_cfg": {**PIXELS, "in_patch_limit": 4096}}}),
    row("mm-glm5v", "Glm5vForConditionalGeneration",
        {"model_type": "glm5v", "text_config": TEXT,
         "vision_config": {"vt_hidden_size": 64, "vt_intermediate_size": 128, "vt_num_hidden_layers": 4,
                           "vt_num_attention_heads": 16, "projector_hidden_act": "silu", "patch_size": 14}},
        moonvit("mm_projector", ["linear_1", "linear_2"])),
    row("mm-lfm2-vl", "Lfm2VlForConditionalGeneration",
        {"model_type": "lfm2_vl", "projector_hidden_size": 48, "text_config": {"model_type": "lfm2", **TEXT},
         "vision_config": {"model_type": "siglip2_vision_model", **{**SIGLIP, "patch_size": 16}}},
        {**siglip("model.vision_tower.vision_model", 64, 96, 4, 16, 16, True),
         **norm("model.multi_modal_projector.layer_norm", 256), **matrix("model.multi_modal_projector.linear_1", 48, 256),
         **matrix("model.multi_modal_projector.linear_2", 32, 48)}),
    row("mm-qwen2-audio", "Qwen2AudioForConditionalGeneration",
        {"model_type": "qwen2_audio", "text_config": {"model_type": "qwen2", **TEXT},
         "audio_config": {"model_type": "qwen2_audio_encoder", **WHISPER}},
        {**whisper("audio_tower", 32, 64, 4), **matrix("multi_modal_projector.linear", 32, 32)}, preprocessor={}),
    row("mm-ultravox", "UltravoxModel",
        {"model_type": "ultravox", "text_config": TEXT, "stack_factor": 4, "projector_ln_mid": True, "hidden_size": 48,
         "audio_config": {"model_type": "whisper", **WHISPER}},
        {**whisper("audio_tower", 32, 64, 4), **norm("multi_modal_projector.ln_pre", 128, False),
         **matrix("multi_modal_projector.linear_1", 48, 128, False), **norm("multi_modal_projector.ln_mid", 24, False),
         **matrix("multi_modal_projector.linear_2", 32, 24, False)}, preprocessor={}),
    row("mm-voxtral", "VoxtralForConditionalGeneration",
        {"model_type": "voxtral", "text_config": {"model_type": "llama", **TEXT},
         "audio_config": {"model_type": "voxtral_encoder", "hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 4,
                          "num_attention_heads": 4, "num_mel_bins": 16}},
        {**whisper("audio_tower", 32, 128, 4), **matrix("multi_modal_projector.linear_1", 32, 128, False),
         **matrix("multi_modal_projector.linear_2", 32, 32, False)}, preprocessor={}),
    row("mm-audio-flamingo3", "AudioFlamingo3ForConditionalGeneration",
        {"model_type": "audioflamingo3", "text_config": TEXT, "audio_config": WHISPER},
        {**whisper("audio_tower", 32, 64, 4), **matrix("multi_modal_projector.linear_1", 32, 32),
         **matrix("multi_modal_projector.linear_2", 32, 32)}, preprocessor={}),
    row("mm-meralion2", "MERaLiON2ForConditionalGeneration",
        {"model_type": "meralion2", "text_config": TEXT, "speech_config": WHISPER, "speech_mlp_scale_factor": 3},
        {**whisper("speech_encoder", 32, 64, 4), **norm("ln_speech", 32), **matrix("speech_audio_adapter.mlp_adapter.0", 32, 96),
         **matrix("speech_audio_adapter.gate_proj", 128, 32), **matrix("speech_audio_adapter.pool_proj", 128, 32),
         **matrix("speech_audio_adapter.out_proj", 32, 128), "text_decoder.model.norm.weight": [32]}, preprocessor={}),
    row("mm-glmasr", "GlmasrModel",
        {"model_type": "Glmasr", "lm_config": TEXT, "merge_factor": 4, "whisper_config": WHISPER},
        {**whisper("audio_encoder.whisper", 32, 64, 4), **norm("audio_encoder.layer_norm", 32),
         **matrix("audio_encoder.adapting.0", 64, 128), **matrix("audio_encoder.adapting.2", 32, 64),
         "audio_encoder.audio_bos_eos_token.weight": [2, 32], "lm_head.weight": [64, 32]}, preprocessor={}),
    row("mm-minicpmv", "MiniCPMV4_6ForConditionalGeneration",
        {"model_type": "minicpmv4_6", "text_config": TEXT, "insert_layer_id": 2, "vision_config": SIGLIP}, minicpm(),
        preprocessor={"preprocessor_config.json": {**PIXELS, "scale_resolution": 448}}),
    row("mm-minicpmv-4x", "MiniCPMV4_6ForConditionalGeneration",
        {"model_type": "minicpmv4_6", "text_config": TEXT, "vision_config": SIGLIP}, minicpm(),
        preprocessor={"preprocessor_config.json": {**PIXELS, "downsample_mode": "4x"}}),
    row("mm-dots-ocr", "DotsOCRForCausalLM",
        {"model_type": "dots_ocr", **TEXT, "vision_config": {**SIGLIP, "embed_dim": 64, "spatial_merge_size": 2, "rms_norm_eps": 1e-5}},
        dots(), preprocessor=LIMITS),
    row("mm-paddleocr", "PaddleOCRVLForConditionalGeneration",
        {"model_type": "paddleocr_vl", **TEXT, "vision_config": {"architectures": ["PaddleOCRVisionModel"], **SIGLIP}},
        {**siglip("visual.vision_model", 64, 96, 4, 14, 16), **norm("mlp_AR.pre_norm", 64), **matrix("mlp_AR.linear_1", 256, 256),
         **matrix("mlp_AR.linear_2", 32, 256), "visual.vision_model.embeddings.packing_position_embedding.weight": [16, 64],
         "visual.vision_model.head.probe": [1, 1, 64]}, preprocessor=LIMITS),
    row("mm-hunyuan-vl", "HunYuanVLForConditionalGeneration",
        {"model_type": "hunyuan_vl", **TEXT, "vision_config": {**{key: value for key, value in SIGLIP.items() if key != "image_size"},
                                                              "max_image_size": 1024}},
        hunyuan(), preprocessor=LIMITS),
    row("mm-janus", "JanusForConditionalGeneration",
        {"model_type": "janus", "text_config": {"model_type": "llama", **TEXT},
         "vision_config": {"model_type": "janus_vision_model", **{key: value for key, value in SIGLIP.items()
                                                                 if key != "intermediate_size"}, "projection_dim": 32}}, janus()),
    row("mm-cogvlm", "CogVLMForCausalLM",
        {"model_type": "cogvlm", **TEXT, "vision_config": {**SIGLIP, "num_heads": 4}}, cogvlm()),
    row("mm-deepseek-ocr", "DeepseekOCRForCausalLM",
        {"model_type": "deepseek_vl_v2", "language_config": TEXT,
         "vision_config": {"image_size": 1024, "width": {
             "clip-l-14-224": {"heads": 4, "image_size": 224, "layers": 4, "patch_size": 14, "width": 64},
             "sam_vit_b": {"heads": 4, "layers": 3, "width": 48}}}}, deepseek_ocr()),
    row("mm-unlimited-ocr", "UnlimitedOCRForCausalLM",
        {"model_type": "unlimited_ocr", "language_config": TEXT,
         "vision_config": {"image_size": 1024, "width": {
             "clip-l-14-224": {"heads": 4, "image_size": 224, "layers": 4, "patch_size": 14, "width": 64},
             "sam_vit_b": {"heads": 4, "layers": 3, "width": 48}}}}, deepseek_ocr(), "float16"),
    row("mm-deepseek-ocr2", "DeepseekOCR2ForCausalLM",
        {"model_type": "deepseek_vl_v2", "language_config": TEXT,
         "vision_config": {"image_size": 1024, "layers": 4, "intermediate_size": 96, "width": {
             "qwen2-0-5b": {"dim": 112}, "sam_vit_b": {"heads": 4, "layers": 3, "width": 48}}}}, deepseek_ocr2()),
    row("mm-deepseek4v", "DeepseekV4ForCausalLM",
        {"model_type": "deepseek_v4", **TEXT, "vision_n_layers": 4, "vision_dim": 64, "vision_n_heads": 4, "vision_inter_dim": 96,
         "vision_patch_size": 14, "vision_downsample_ratio": 3, "vision_min_pixels": 784, "vision_max_n_token": 384,
         "vision_max_wh_ratio": 8}, deepseek4v(), preprocessor={}),
    row("mm-youtu-vl", "YoutuVLForConditionalGeneration",
        {"model_type": "youtu_vl", **TEXT, "vision_config": {**SIGLIP, "window_size": 224, "fullatt_block_indexes": [1, 3]}}, youtu()),
    row("mm-phi4v", "Phi4ForCausalLMV",
        {"model_type": "phi4v", **TEXT, "min_num_patches": 256, "vision_config": {**SIGLIP, "num_hidden_layers": 5, "num_patches": 16}},
        phi4v(), preprocessor={"preprocessor_config.json": {**PIXELS, "patch_size": 14, "max_num_patches": 3600}}),
    row("mm-gemma4", "Gemma4ForConditionalGeneration",
        {"model_type": "gemma4", "text_config": TEXT, "audio_config": None, "vision_config": SIGLIP}, gemma4(False)),
    row("mm-gemma4-audio", "Gemma4ForConditionalGeneration",
        {"model_type": "gemma4", "text_config": TEXT, "vision_config": SIGLIP,
         "audio_config": {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4}}, gemma4(True),
        preprocessor={"processor_config.json": {"image_processor": PIXELS}}),
    row("mm-granite-speech", "GraniteSpeechForConditionalGeneration",
        {"model_type": "granite_speech", "text_config": {"model_type": "granite", **TEXT}, "window_size": 9, "downsample_rate": 3,
         "encoder_config": CONFORMER, "projector_config": {"model_type": "blip_2_qformer", "num_attention_heads": 4,
                                                           "num_hidden_layers": 2}}, granite_speech(), preprocessor={}),
    row("mm-granite-speech-plus", "GraniteSpeechPlusForConditionalGeneration",
        {"model_type": "granite_speech_plus", "text_config": TEXT, "window_size": 15, "downsample_rate": 5,
         "encoder_config": {**CONFORMER, "cat_hidden_layers": [1]},
         "projector_config": {"num_attention_heads": 4, "num_hidden_layers": 2, "encoder_hidden_size": 64}}, granite_speech(),
        "float32", preprocessor={}),
    row("mm-lfm2-audio", "Lfm2AudioForConditionalGeneration",
        {"model_type": "lfm2_audio", "lfm": TEXT, "encoder": {"feat_in": 16, "d_model": 32, "n_heads": 4, "n_layers": 7}},
        lfm2_audio(), preprocessor={}),
    row("mm-gemma4-unified", "Gemma4UnifiedForConditionalGeneration",
        {"model_type": "gemma4_unified", "text_config": TEXT, "audio_config": {"audio_embed_dim": 48},
         "vision_config": {"mm_embed_dim": 64, "patch_size": 4, "pooling_kernel_size": 2}},
        {"model.vision_embedder.patch_dense.weight": [64, 192], "model.vision_embedder.patch_dense.bias": [64],
         **norm("model.vision_embedder.patch_ln1", 192), **norm("model.vision_embedder.patch_ln2", 64),
         **norm("model.vision_embedder.pos_norm", 64), "model.vision_embedder.pos_embedding": [10, 2, 64],
         **matrix("model.embed_vision.embedding_projection", 32, 64, False),
         **matrix("model.embed_audio.embedding_projection", 32, 48, False)}),
    row("mm-gemma3n", "Gemma3nForConditionalGeneration",
        {"model_type": "gemma3n", "text_config": {"model_type": "gemma3n_text", **TEXT, "num_hidden_layers": 4},
         "vision_config": {"model_type": "gemma3n_vision", "hidden_size": 64},
         "audio_config": {"model_type": "gemma3n_audio", "hidden_size": 32, "conf_num_hidden_layers": 2,
                          "conf_num_attention_heads": 4, "input_feat_size": 16}}, gemma3n(),
        preprocessor={"preprocessor_config.json": {"size": {"height": 512, "width": 512}}}),
]

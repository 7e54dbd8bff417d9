"""Names and shapes of the tensors of projectors, as the classes save them."""


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

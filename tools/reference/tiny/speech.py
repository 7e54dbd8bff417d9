"""Models of speech: the decoder of WavTokenizer, that of LFM 2.5 Audio, Pocket TTS and Qwen 3 TTS."""
from .common import SIZES
from .towers import layers, matrix, norm

WAV = dict(architectures=["WavTokenizerDec"], hidden_size=66, n_embd_features=32, n_ff=96, vocab_size=128, n_head=1,
           layer_norm_epsilon=1e-6, group_norm_epsilon=1e-6, group_norm_groups=8, max_position_embeddings=256, n_layer=6,
           posnet=dict(n_embd=64, n_layer=6), convnext=dict(n_embd=64, n_layer=2))


def wav_tensors(config):
    """Names and shapes of the decoder of WavTokenizer, as llama.cpp's script names them."""
    width, inner, features = config["posnet"]["n_embd"], config["n_ff"], config["n_embd_features"]
    tensors = {"backbone.embedding.weight": [config["vocab_size"], features],
               "backbone.embed.weight": [width, features, 7], "backbone.embed.bias": [width, 1],
               "head.out.weight": [config["hidden_size"], width], "head.out.bias": [config["hidden_size"]],
               "feature_extractor.encodec.quantizer.vq.layers.0._codebook.embed_avg": [config["vocab_size"], features]}
    tensors |= {f"backbone.{norm}.{what}": [width] for norm in ("norm", "final_layer_norm") for what in ("weight", "bias")}
    residual = {"norm1": [width, 1], "conv1": [width, width, 3], "norm2": [width, 1], "conv2": [width, width, 3]}
    attention = {"norm": [width, 1]} | {name: [width, width, 1] for name in ("q", "k", "v", "proj_out")}
    for block in range(config["posnet"]["n_layer"]):
        here = {2: attention, 5: {"norm": [width, 1]}}.get(block, residual)
        for name, shape in here.items():
            tensors |= {f"backbone.posnet.{block}.{name}.weight": shape, f"backbone.posnet.{block}.{name}.bias": [width, 1]}
    for block in range(config["convnext"]["n_layer"]):
        here = {"dwconv.weight": [width, 1, 7], "dwconv.bias": [width, 1], "norm.weight": [width], "norm.bias": [width],
                "pwconv1.weight": [inner, width], "pwconv1.bias": [inner], "pwconv2.weight": [width, inner],
                "pwconv2.bias": [width], "gamma.weight": [width]}
        tensors |= {f"backbone.convnext.{block}.{name}": shape for name, shape in here.items()}
    return tensors


def lfm_audio(config):
    """LFM 2 with a dense layer, and what is left out."""
    hidden, inner, size, head = config["hidden_size"], config["intermediate_size"], config["vocab_size"], 16
    tensors = {"lfm.embed_tokens.weight": [size, hidden], "lfm.embedding_norm.weight": [hidden], "istft.window": [32],
               "emb.emb.weight": [64, hidden], "lin.weight": [config["output_size"], hidden],
               "lin.bias": [config["output_size"]]}
    for layer, kind in enumerate(config["layer_types"]):
        if kind == "conv":
            here = {"conv.conv.weight": [hidden, 1, config["conv_L_cache"]], "conv.in_proj.weight": [3 * hidden, hidden],
                    "conv.out_proj.weight": [hidden, hidden]}
        else:
            here = {"self_attn.q_proj.weight": [4 * head, hidden], "self_attn.k_proj.weight": [2 * head, hidden],
                    "self_attn.v_proj.weight": [2 * head, hidden], "self_attn.out_proj.weight": [hidden, 4 * head],
                    "self_attn.q_layernorm.weight": [head], "self_attn.k_layernorm.weight": [head]}
        here |= {"operator_norm.weight": [hidden], "ffn_norm.weight": [hidden], "feed_forward.w1.weight": [inner, hidden],
                 "feed_forward.w2.weight": [hidden, inner], "feed_forward.w3.weight": [inner, hidden]}
        tensors |= {f"lfm.layers.{layer}.{name}": shape for name, shape in here.items()}
    return tensors


def sound(config):
    """Pocket TTS: a model of text, and the parts of the projector."""
    hidden, size, wide = 128, config["vocab_size"], 64
    tensors = {"flow_lm.conditioner.embed.weight": [size, hidden], "flow_lm.bos_emb": [32], "flow_lm.emb_mean": [32],
               "flow_lm.emb_std": [32], "flow_lm.input_linear.weight": [hidden, 32], "flow_lm.speaker_proj_weight": [hidden, 512],
               **matrix("flow_lm.out_eos", 1, hidden), **norm("flow_lm.out_norm", hidden),
               "mimi.downsample.conv.conv.weight": [wide, wide, 4], "mimi.upsample.convtr.convtr.weight": [wide, 1, 4],
               "mimi.quantizer.output_proj.weight": [wide, 32, 1]}
    if config["voice"]:
        tensors["flow_lm.bos_before_voice"] = [1, 1, hidden]

    def transformer(start, count, width, inner, scales):
        block = {**norm("norm1", width), **norm("norm2", width), "self_attn.in_proj.weight": [3 * width, width],
                 "self_attn.out_proj.weight": [width, width], "linear1.weight": [inner, width], "linear2.weight": [width, inner]}
        if scales:
            block |= {"layer_scale_1.scale": [width], "layer_scale_2.scale": [width]}
        return layers(f"{start}transformer.layers", count, block)

    tensors |= transformer("flow_lm.", 2, hidden, 192, False)
    for part in ("encoder", "decoder"):
        tensors |= transformer(f"mimi.{part}_transformer.", 2, wide, 96, True)
        starts = {"encoder": [0, 3, 6, 9, 11], "decoder": [0, 2, 5, 8, 11]}[part]
        for place in starts:
            tensors |= {f"mimi.{part}.model.{place}.conv.weight": [16, 8, 3], f"mimi.{part}.model.{place}.conv.bias": [16]}
        for place in {"encoder": (1, 4, 7), "decoder": (3, 6, 9)}[part]:
            for inner in (1, 3):
                start = f"mimi.{part}.model.{place}.block.{inner}.conv"
                tensors |= {f"{start}.weight": [8, 16, 3], f"{start}.bias": [8]}
    net = {**matrix("input_proj", 64, 32), **matrix("cond_embed", 64, hidden), **matrix("final_layer.linear", 32, 64),
           **matrix("final_layer.adaLN_modulation.1", 128, 64)}
    net |= layers("time_embed", 2, {"freqs": [16], **matrix("mlp.0", 64, 32), **matrix("mlp.2", 64, 64), "mlp.3.alpha": [64]})
    net |= layers("res_blocks", 2, {**norm("in_ln", 64), **matrix("mlp.0", 64, 64), **matrix("mlp.2", 64, 64),
                                    **matrix("adaLN_modulation.1", 192, 64)})
    return {**tensors, **{f"flow_lm.flow_net.{name}": shape for name, shape in net.items()}}


def pocket(voice=True, **more):
    return dict(tensors=sound, voice=voice, configured=False, **more)


def talker(config):
    """Qwen 3 TTS: the model of text and codes, with the predictor of the other codes and the encoder of a voice."""
    part = config["talker_config"]
    part["text_vocab_size"] = config["vocab_size"]
    hidden, inner, narrow = part["hidden_size"], part["intermediate_size"], 32
    block = {**norm("input_layernorm", hidden, False), **norm("post_attention_layernorm", hidden, False),
             **norm("self_attn.q_norm", 16, False), **norm("self_attn.k_norm", 16, False),
             **matrix("mlp.gate_proj", inner, hidden, False), **matrix("mlp.up_proj", inner, hidden, False),
             **matrix("mlp.down_proj", hidden, inner, False), **matrix("self_attn.q_proj", 64, hidden, False),
             **matrix("self_attn.o_proj", hidden, 64, False)}
    for name in ("k_proj", "v_proj"):
        block |= matrix(f"self_attn.{name}", 32, hidden, False)
    tensors = {"codec_head.weight": [part["vocab_size"], hidden], "model.codec_embedding.weight": [part["vocab_size"], hidden],
               "model.text_embedding.weight": [config["vocab_size"], narrow], **norm("model.norm", hidden, False),
               **matrix("text_projection.linear_fc1", 48, narrow), **matrix("text_projection.linear_fc2", hidden, 48),
               **layers("model.layers", part["num_hidden_layers"], block)}
    predictor = {**layers("model.layers", 2, block), **norm("model.norm", hidden, False),
                 **matrix("small_to_mtp_projection", hidden, hidden)}
    for book in range(15):
        predictor |= {f"model.codec_embedding.{book}.weight": [32, hidden], f"lm_head.{book}.weight": [32, hidden]}
    tensors |= {f"code_predictor.{name}": shape for name, shape in predictor.items()}
    voice = {}
    for name, shape in [("blocks.0.conv", [64, 128, 5]), ("mfa.conv", [96, 192, 1]), ("asp.conv", [96, 16, 1]),
                        ("asp.tdnn.conv", [16, 288, 1]), ("fc", [64, 192, 1])]:
        voice |= {f"{name}.weight": shape, f"{name}.bias": [shape[0]]}
    for number in (1, 2, 3):
        for name, shape in [("tdnn1.conv", [64, 64, 1]), ("tdnn2.conv", [64, 64, 1]), ("se_block.conv1", [16, 64, 1]),
                            ("se_block.conv2", [64, 16, 1]), ("res2net_block.blocks.0.conv", [32, 32, 3]),
                            ("res2net_block.blocks.1.conv", [32, 32, 3])]:
            voice |= {f"blocks.{number}.{name}.weight": shape, f"blocks.{number}.{name}.bias": [shape[0]]}
    return {**{f"talker.{name}": shape for name, shape in tensors.items()},
            **{f"speaker_encoder.{name}": shape for name, shape in voice.items()}}


def waves():
    """What makes sound of codes, with what is left out."""
    tensors = {"encoder.conv.weight": [8, 8, 3], "decoder.pre_conv.conv.weight": [64, 32, 3], "decoder.pre_conv.conv.bias": [64],
               **matrix("decoder.pre_transformer.input_proj", 32, 64), **matrix("decoder.pre_transformer.output_proj", 64, 32),
               **norm("decoder.pre_transformer.norm", 32, False)}
    for part, count in ("rvq_first", 1), ("rvq_rest", 15):
        start = f"decoder.quantizer.{part}"
        tensors |= {f"{start}.input_proj.weight": [16, 32, 1], f"{start}.output_proj.weight": [32, 16, 1]}
        for book in range(count):
            tensors |= {f"{start}.vq.layers.{book}._codebook.embedding_sum": [20, 16],
                        f"{start}.vq.layers.{book}._codebook.cluster_usage": [20]}
    block = {**norm("input_layernorm", 32, False), **norm("post_attention_layernorm", 32, False), "self_attn_layer_scale.scale": [32],
             "mlp_layer_scale.scale": [32], **matrix("mlp.gate_proj", 48, 32, False), **matrix("mlp.up_proj", 48, 32, False),
             **matrix("mlp.down_proj", 32, 48, False)}
    for name in "qkvo":
        block |= matrix(f"self_attn.{name}_proj", 32, 32, False)
    tensors |= layers("decoder.pre_transformer.layers", 3, block)
    up = {"0.conv.weight": [64, 64, 4], "0.conv.bias": [64], "1.dwconv.conv.weight": [64, 1, 7], "1.dwconv.conv.bias": [64],
          **norm("1.norm", 64), **matrix("1.pwconv1", 96, 64), **matrix("1.pwconv2", 64, 96), "1.gamma": [64]}
    tensors |= layers("decoder.upsample", 2, up)
    tensors |= {"decoder.decoder.0.conv.weight": [32, 64, 7], "decoder.decoder.0.conv.bias": [32],
                "decoder.decoder.5.alpha": [8], "decoder.decoder.5.beta": [8], "decoder.decoder.6.conv.weight": [1, 8, 7],
                "decoder.decoder.6.conv.bias": [1]}
    rise = {"0.alpha": [32], "0.beta": [32], "1.conv.weight": [32, 16, 4], "1.conv.bias": [16]}
    for unit in (2, 3, 4):
        for number in (1, 2):
            rise |= {f"{unit}.act{number}.alpha": [16], f"{unit}.act{number}.beta": [16], f"{unit}.conv{number}.conv.weight": [16, 16, 3],
                     f"{unit}.conv{number}.conv.bias": [16]}
    for number in (1, 2, 3, 4):
        tensors |= {f"decoder.decoder.{number}.block.{name}": shape for name, shape in rise.items()}
    return tensors


def qwen(act="relu", **more):
    part = dict(SIZES, head_dim=16, hidden_act=act, rms_norm_eps=1e-6, rope_theta=1e6, vocab_size=1100, codec_eos_token_id=1090,
                codec_bos_id=1089, codec_pad_id=1088, codec_language_id=dict(chinese=1055, english=1050), spk_id={},
                rope_scaling=dict(interleaved=True, mrope_section=[4, 2, 2], rope_type="default"), model_type="qwen3_tts_talker",
                code_predictor_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                           num_key_value_heads=2, rms_norm_eps=1e-6))
    return dict(architectures=["Qwen3TTSForConditionalGeneration"], model_type="qwen3_tts", talker_config=part,
                speaker_encoder_config=dict(enc_dim=64), tensors=talker, **more)


def qwen_sound():
    config = dict(decoder_config=dict(num_hidden_layers=3, upsampling_ratios=[2, 2], upsample_rates=[8, 5, 4, 3]))
    return qwen(options=["--mmproj"], vocab_size=64, modules={"speech_tokenizer": waves()},
                files={"speech_tokenizer/config.json": config})


LFM_AUDIO = dict(SIZES, architectures=["Lfm25AudioTokenizer"], model_type="lfm2", vocab_size=64, conv_L_cache=3, norm_eps=1e-5,
                 num_hidden_layers=3, layer_types=["conv", "sliding_attention", "conv"], block_auto_adjust_ff_dim=False,
                 sliding_window=30, output_size=66, tensors=lfm_audio)

MODELS = [
    ("wavtokenizer", "WavTokenizerDec", None, "float16", dict(WAV, tensors=wav_tensors)),
    ("lfm25-audio", "Lfm25AudioTokenizer", None, "bfloat16", LFM_AUDIO),
    ("lfm25-audio-f32", "Lfm25AudioTokenizer", None, "float32", dict(LFM_AUDIO, output_size=34)),
    ("pockettts", None, "unigram-model", "float32", pocket(case=dict(vocab_size=82))),
    ("pockettts-plain", None, "unigram-model", "bfloat16", pocket(False, case=dict(vocab_size=82))),
    ("mm-pockettts", None, None, "float32", pocket(vocab_size=40, options=["--mmproj"])),
    ("mm-pockettts-bf16", None, None, "bfloat16", pocket(False, vocab_size=40, options=["--mmproj"])),
    ("qwen3tts", "Qwen3TTSForConditionalGeneration", "dscoder", "bfloat16", qwen()),
    ("qwen3tts-f16", "Qwen3TTSForConditionalGeneration", "dscoder_chat", "float16", qwen()),
    ("mm-qwen3tts", "Qwen3TTSForConditionalGeneration", None, "bfloat16", qwen_sound()),
    ("mm-qwen3tts-f32", "Qwen3TTSForConditionalGeneration", None, "float32", qwen_sound()),
    ("wavtokenizer-f32", "WavTokenizerDec", None, "float32", dict(WAV, n_embd_features=64, tensors=wav_tensors)),
]

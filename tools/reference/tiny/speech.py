"""Models of speech: the decoder of WavTokenizer."""

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


MODELS = [
    ("wavtokenizer", "WavTokenizerDec", None, "float16", dict(WAV, tensors=wav_tensors)),
    ("wavtokenizer-f32", "WavTokenizerDec", None, "float32", dict(WAV, n_embd_features=64, tensors=wav_tensors)),
]

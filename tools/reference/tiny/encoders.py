"""BERT and its relatives, Nomic Embed, T5."""
from .common import pooling

ENCODER = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
               max_position_embeddings=66)
T5 = dict(d_model=64, d_kv=16, d_ff=96, num_layers=2, num_heads=4, decoder_start_token_id=0)
NOMIC = dict(architectures=["NomicBertModel"], model_type="nomic_bert", n_embd=64, n_inner=96, n_layer=2, n_head=4,
             n_positions=8192, max_trained_positions=2048, type_vocab_size=2, layer_norm_epsilon=1e-12, causal=False,
             prenorm=False, rotary_emb_base=1000, rotary_emb_fraction=1.0, rotary_emb_interleaved=False,
             rotary_emb_scale_base=None, activation_function="swiglu", qkv_proj_bias=False, mlp_fc1_bias=False,
             mlp_fc2_bias=False)
NOMIC_MOE = dict(NOMIC, n_positions=2048, max_position_embeddings=2048, type_vocab_size=1, pad_token_id=1,
                 rotary_emb_base=10000, activation_function="gelu", qkv_proj_bias=True, mlp_fc1_bias=True,
                 mlp_fc2_bias=True, moe_every_n_layers=2, moe_top_k=2, num_experts=4)


def nomic_tensors(config):
    """Names and shapes of the tensors of Nomic Embed, which transformers has no class for."""
    width, inner = config["n_embd"], config["n_inner"]
    tensors = {"embeddings.word_embeddings.weight": [config["vocab_size"], width],
               "embeddings.token_type_embeddings.weight": [config["type_vocab_size"], width],
               "emb_ln.weight": [width], "emb_ln.bias": [width]}
    for layer in range(config["n_layer"]):
        here = {"attn.Wqkv": [3 * width, width], "attn.out_proj": [width, width]}
        experts = config.get("num_experts", 0) if layer % 2 else 0
        if not config.get("num_experts"):
            here |= {"mlp.fc11": [inner, width], "mlp.fc12": [inner, width], "mlp.fc2": [width, inner]}
        elif not experts:
            here |= {"mlp.fc1": [inner, width], "mlp.fc2": [width, inner]}
        biases = {} if not config.get("num_experts") else {f"{name}.bias": shape[:1] for name, shape in here.items()}
        here = {f"{name}.weight": shape for name, shape in here.items()} | biases
        if experts:
            stack = [experts * inner, width]
            here |= {"mlp.experts.mlp.w1": stack, "mlp.experts.mlp.w2": stack, "mlp.experts.bias": [width],
                     "mlp.router.layer.weight": [experts, width]}
        here |= {f"{norm}.{what}": [width] for norm in ("norm1", "norm2") for what in ("weight", "bias")}
        tensors |= {f"encoder.layers.{layer}.{name}": shape for name, shape in here.items()}
    return tensors


MODELS = [
    ("bert", "BertModel", "bert", "float32", dict(ENCODER, files=pooling("pooling_mode_cls_token"))),
    ("bert-masked", "BertForMaskedLM", "bert", "float16", ENCODER),
    ("bert-labels", "BertForSequenceClassification", "bert", "bfloat16", dict(ENCODER, num_labels=12)),
    ("bert-two-labels", "BertForSequenceClassification", "bert", "float16", dict(ENCODER, num_labels=2)),
    ("distilbert", "DistilBertModel", "bert", "float32",
     dict(dim=64, hidden_dim=96, n_layers=2, n_heads=4, max_position_embeddings=64)),
    ("distilbert-labels", "DistilBertForSequenceClassification", "bert", "float32",
     dict(dim=64, hidden_dim=96, n_layers=2, n_heads=4, max_position_embeddings=64, num_labels=3)),
    ("roberta", "RobertaModel", "gpt2", "float16", ENCODER),
    ("roberta-labels", "RobertaForSequenceClassification", "gpt2", "float32",
     dict(ENCODER, id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1})),
    # "unigram" is a tokenizer with the ids of fairseq, "unigram-json" the same without SentencePiece model, whose normalizer
    # is "Precompiled" alone.
    ("xlm-roberta", "XLMRobertaModel", "unigram-json", "bfloat16",
     dict(ENCODER, files=pooling("pooling_mode_mean_tokens"))),
    ("xlm-roberta-labels", "XLMRobertaForSequenceClassification", "unigram", "float32", dict(ENCODER, num_labels=1)),
    ("nomic-bert", None, "bert", "float32",
     dict(NOMIC, tensors=nomic_tensors, files=pooling("pooling_mode_mean_tokens"))),
    ("nomic-bert-moe", None, "unigram-json", "bfloat16", dict(NOMIC_MOE, tensors=nomic_tensors)),
    ("nomic-bert-moe-mask", None, "unigram", "float16", dict(NOMIC_MOE, tensors=nomic_tensors, vocab_size=250048)),
    ("t5", "T5ForConditionalGeneration", "t5", "float32", T5),
    ("flan-t5", "T5ForConditionalGeneration", "t5", "bfloat16",
     dict(T5, num_decoder_layers=1, feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
    ("mt5", "MT5ForConditionalGeneration", "t5", "float16", T5),
    ("umt5", "UMT5ForConditionalGeneration", "t5", "bfloat16", T5),
    ("t5-encoder", "T5EncoderModel", "t5", "float16", dict(T5, feed_forward_proj="gated-gelu")),
]

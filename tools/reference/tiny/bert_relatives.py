"""Relatives of BERT: ModernBERT, NeoBERT, EuroBERT, Jina Embeddings 2 and 5, CamemBERT."""
from .common import SIZES, pooling

MODERN = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
              max_position_embeddings=256, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1,
              sep_token_id=2, local_attention=32)
NEO = dict(architectures=["NeoBERT"], model_type="neobert", hidden_size=64, intermediate_size=96, num_hidden_layers=2,
           num_attention_heads=4, max_length=256, norm_eps=1e-5, pad_token_id=0)
EURO = dict(SIZES, architectures=["EuroBertModel"], model_type="eurobert", hidden_act="silu", rms_norm_eps=1e-5,
            rope_theta=250000.0, rope_scaling=None, head_dim=16, attention_bias=False, mlp_bias=False, is_decoder=False)
ROBERTA = {key: value for key, value in SIZES.items() if key != "num_key_value_heads"}
WORD_PIECE = {"tokenizer_config.json": {"tokenizer_class": "BertTokenizer"}}
JINA = dict(architectures=["JinaBertForMaskedLM"], model_type="bert", hidden_size=64, intermediate_size=96,
            num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=8192, type_vocab_size=2,
            layer_norm_eps=1e-12, position_embedding_type="alibi", feed_forward_type="geglu", emb_pooler="mean")


def neo_tensors(config):
    """Names and shapes of NeoBERT, with the prefix that classes around the bare model add."""
    width, inner = config["hidden_size"], 2 * config["intermediate_size"] // 3
    prefix = "" if config["architectures"] == ["NeoBERT"] else "model."
    tensors = {"encoder.weight": [config["vocab_size"], width], "layer_norm.weight": [width]}
    for layer in range(config["num_hidden_layers"]):
        here = {"qkv": [3 * width, width], "wo": [width, width], "attention_norm": [width], "ffn_norm": [width],
                "ffn.w12": [2 * inner, width], "ffn.w3": [width, inner]}
        tensors |= {f"transformer_encoder.{layer}.{name}.weight": shape for name, shape in here.items()}
    tensors = {prefix + name: shape for name, shape in tensors.items()}
    if "NeoBERTLMHead" in config["architectures"]:
        tensors |= {"decoder.weight": [config["vocab_size"], width], "decoder.bias": [config["vocab_size"]]}
    if "NeoBERTForSequenceClassification" in config["architectures"]:
        labels = len(config["id2label"])
        tensors |= {"dense.weight": [width, width], "dense.bias": [width], "classifier.weight": [labels, width],
                    "classifier.bias": [labels]}
    return tensors


def euro_tensors(config):
    """Names and shapes of EuroBERT."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or width // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    tensors = {"embed_tokens.weight": [config["vocab_size"], width], "norm.weight": [width]}
    for layer in range(config["num_hidden_layers"]):
        attention = {"q_proj": [queries, width], "k_proj": [keys, width], "v_proj": [keys, width],
                     "o_proj": [width, queries]}
        here = {f"self_attn.{name}.weight": shape for name, shape in attention.items()}
        if config["attention_bias"]:
            here |= {f"self_attn.{name}.bias": shape[:1] for name, shape in attention.items()}
        here |= {"mlp.gate_proj.weight": [inner, width], "mlp.up_proj.weight": [inner, width],
                 "mlp.down_proj.weight": [width, inner], "input_layernorm.weight": [width],
                 "post_attention_layernorm.weight": [width]}
        tensors |= {f"layers.{layer}.{name}": shape for name, shape in here.items()}
    return tensors


def jina_tensors(config):
    """Names and shapes of Jina Embeddings 2: the first releases, and those for code."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    code = config.get("_code")
    prefix = "" if config["architectures"] == ["JinaBertModel"] else "bert."
    norms, matrices, tensors = ["embeddings.LayerNorm"], {}, {}
    tensors["embeddings.word_embeddings.weight"] = [config["vocab_size"], width]
    tensors["embeddings.token_type_embeddings.weight"] = [config["type_vocab_size"], width]
    for layer in range(config["num_hidden_layers"]):
        start = f"encoder.layer.{layer}."
        matrices |= {f"{start}attention.{name}": [width, width]
                     for name in ("self.query", "self.key", "self.value", "output.dense")}
        matrices[start + ("mlp.down_layer" if code else "mlp.wo")] = [width, inner]
        tensors[start + ("mlp.up_gated_layer" if code else "mlp.gated_layers") + ".weight"] = [2 * inner, width]
        own = ["layer_norm_1", "layer_norm_2", "attention.self.layer_norm_q", "attention.self.layer_norm_k"]
        norms += [start + name for name in (own if code else ["attention.output.LayerNorm", "mlp.layernorm"])]
    for name, shape in [*matrices.items(), *((name, [width]) for name in norms)]:
        tensors |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    tensors |= {"pooler.dense.weight": [width, width], "pooler.dense.bias": [width]}
    tensors = {prefix + name: shape for name, shape in tensors.items()}
    return tensors | ({} if not prefix else {"cls.predictions.decoder.weight": [config["vocab_size"], width]})


MODELS = [
    ("modern-bert", "ModernBertModel", "dscoder", "float16", dict(MODERN, files=pooling("pooling_mode_cls_token"))),
    ("modern-bert-masked", "ModernBertForMaskedLM", "dscoder", "bfloat16",
     dict(MODERN, decoder_bias=False, classifier_bias=True, hidden_activation="silu", classifier_pooling="mean")),
    ("modern-bert-labels", "ModernBertForSequenceClassification", "dscoder", "float32",
     dict(MODERN, num_labels=3, attention_bias=True, mlp_bias=True, norm_bias=True, global_attn_every_n_layers=2)),
    ("neo-bert", "NeoBERT", "bert", "float32", dict(NEO, tensors=neo_tensors, files=WORD_PIECE)),
    ("neo-bert-masked", "NeoBERTLMHead", "bert", "float16",
     dict(NEO, architectures=["NeoBERTLMHead"], type_vocab_size=2, tensors=neo_tensors,
          files=WORD_PIECE)),
    ("neo-bert-labels", "NeoBERTForSequenceClassification", "bert", "bfloat16",
     dict(NEO, architectures=["NeoBERTForSequenceClassification"], tensors=neo_tensors,
          id2label={"0": "no", "1": "yes", "2": "perhaps"}, files=WORD_PIECE)),
    ("eurobert", "EuroBertModel", "dscoder", "float32",
     dict(EURO, files=pooling("pooling_mode_mean_tokens"), tensors=euro_tensors)),
    ("jina-v5", "JinaEmbeddingsV5Model", "dscoder", "bfloat16",
     dict(EURO, architectures=["JinaEmbeddingsV5Model"], attention_bias=True, tensors=euro_tensors,
          files=pooling("pooling_mode_lasttoken"))),
    ("jina-v2", "JinaBertForMaskedLM", "bert", "float16",
     dict(JINA, tensors=jina_tensors, files=pooling("pooling_mode_mean_tokens") | WORD_PIECE)),
    ("jina-v2-bare", "JinaBertModel", "bert", "bfloat16",
     dict(JINA, architectures=["JinaBertModel"], type_vocab_size=4, tensors=jina_tensors,
          files=WORD_PIECE)),
    ("jina-v2-code", "JinaBertForMaskedLM", "gpt2", "float32",
     dict(JINA, tensors=jina_tensors, _code=True,
          files={"tokenizer_config.json": {"tokenizer_class": "RobertaTokenizer"}})),
    # CamembertTokenizer adds eight tokens.
    ("camembert", "CamembertModel", "bert", "float32", dict(ROBERTA, vocab_size=30544)),
]

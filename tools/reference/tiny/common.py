"""What the tables share."""

# What most models are given.
SIZES = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256)

# The tokenizers' own ids of special tokens, where those of the class lie beyond the vocabulary.
SPECIAL = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)


def pooling(mode):
    """Files by which sentence-transformers says how the vectors of tokens become one."""
    return {"modules.json": [{"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}],
            "1_Pooling/config.json": {mode: True}}

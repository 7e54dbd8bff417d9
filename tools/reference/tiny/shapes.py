"""Names and shapes of tensors for classes that the library lacks."""


def embedding(c, prefix="model.", output="lm_head.weight"):
    """Embedding, last norm and output."""
    shapes = {f"{prefix}embed_tokens.weight": (c["vocab_size"], c["hidden_size"]), f"{prefix}norm.weight": (c["hidden_size"],)}
    if not c.get("tie_word_embeddings"):
        shapes[output] = (c["vocab_size"], c["hidden_size"])
    return shapes


def attention(c, layer, bias=False, head_norms=False, prefix="model."):
    """Norms and separate projections of a layer."""
    hidden, heads = c["hidden_size"], c["num_attention_heads"]
    head = c.get("head_dim") or hidden // heads
    keys = (c.get("num_key_value_heads") or heads) * head
    at = f"{prefix}layers.{layer}."
    shapes = {f"{at}input_layernorm.weight": (hidden,), f"{at}post_attention_layernorm.weight": (hidden,),
              f"{at}self_attn.q_proj.weight": (heads * head, hidden), f"{at}self_attn.k_proj.weight": (keys, hidden),
              f"{at}self_attn.v_proj.weight": (keys, hidden), f"{at}self_attn.o_proj.weight": (hidden, heads * head)}
    if bias:
        shapes.update({f"{at}self_attn.{part}_proj.bias": (heads * head if part == "q" else keys,) for part in "qkv"})
    if head_norms:
        shapes.update({f"{at}self_attn.{part}_norm.weight": (head,) for part in "qk"})
    return shapes


def gated(at, hidden, inner, names=("gate_proj", "up_proj", "down_proj")):
    """A gated feed-forward network."""
    gate, up, down = names
    return {f"{at}{gate}.weight": (inner, hidden), f"{at}{up}.weight": (inner, hidden), f"{at}{down}.weight": (hidden, inner)}


def experts(at, count, hidden, inner, names=("gate_proj", "up_proj", "down_proj")):
    """Separate experts."""
    shapes = {}
    for expert in range(count):
        shapes.update(gated(f"{at}{expert}.", hidden, inner, names))
    return shapes


def layers(c, *parts):
    """The embedding, and what each of the parts gives for each layer."""
    shapes = embedding(c)
    for layer in range(c["num_hidden_layers"]):
        for part in parts:
            shapes.update(part(c, layer))
    return shapes

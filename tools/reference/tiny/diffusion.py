"""Models of text that fill in masked tokens: Dream, LLaDA, RND1."""
from .common import SIZES
from .shapes import attention, embedding, experts, gated, layers

RAW = dict(SIZES, rms_norm_eps=1e-6, rope_theta=1000000.0)
MOE = dict(num_experts=4, num_experts_per_tok=2, tie_word_embeddings=False)
# The token for masks is the same in all published models.
LARGE = dict(RAW, hidden_size=32, vocab_size=156_928)
LLADA = dict(d_model=64, n_heads=4, n_layers=2, mlp_hidden_size=96, max_sequence_length=128, rms_norm_eps=1e-5,
             rope_theta=500000.0, mask_token_id=5)


def raw(name, model_type, tensors, base=RAW, **keys):
    """The config of a class that the library lacks."""
    return dict(base, architectures=[name], model_type=model_type, tensors=tensors, **keys)


def dream(c):
    return layers(c, lambda c, layer: attention(c, layer, bias=True),
                  lambda c, layer: gated(f"model.layers.{layer}.mlp.", c["hidden_size"], c["intermediate_size"]))


def sparse(c):
    """Norms of heads, and experts."""
    inner = c.get("moe_intermediate_size") or c["expert_intermediate_size"]
    shapes = embedding(c)
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}.mlp."
        shapes.update(attention(c, layer, head_norms=True))
        shapes[f"{at}gate.weight"] = (c["num_experts"], c["hidden_size"])
        shapes.update(experts(f"{at}experts.", c["num_experts"], c["hidden_size"], inner))
    return shapes


def stacked(c):
    """The same with stacked experts."""
    shapes = {name: shape for name, shape in sparse(c).items() if ".experts." not in name}
    count, width, inner = c["num_experts"], c["hidden_size"], c["moe_intermediate_size"]
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}.mlp.experts."
        shapes.update({f"{at}gate_up_proj": (count, 2 * inner, width), f"{at}down_proj": (count, width, inner)})
    return shapes


def llada(c):
    width, inner, head = c["d_model"], c["mlp_hidden_size"], c["d_model"] // c["n_heads"]
    keys = c.get("n_kv_heads", c["n_heads"]) * head
    at = "model.transformer."
    shapes = {f"{at}wte.weight": (c["vocab_size"], width), f"{at}ln_f.weight": (width,)}
    if not c.get("weight_tying"):
        shapes[f"{at}ff_out.weight"] = (c["vocab_size"], width)
    for layer in range(c["n_layers"]):
        here = f"{at}blocks.{layer}."
        shapes.update({f"{here}attn_norm.weight": (width,), f"{here}ff_norm.weight": (width,),
                       f"{here}q_proj.weight": (width, width), f"{here}k_proj.weight": (keys, width),
                       f"{here}v_proj.weight": (keys, width), f"{here}attn_out.weight": (width, width),
                       f"{here}ff_proj.weight": (inner, width), f"{here}up_proj.weight": (inner, width),
                       f"{here}ff_out.weight": (width, inner)})
        if c.get("include_qkv_bias"):
            shapes.update({f"{here}{part}_proj.bias": (width if part == "q" else keys,) for part in "qkv"})
    return shapes


MODELS = [
    ("dream", "DreamModel", "dscoder", "bfloat16",
     raw("DreamModel", "Dream", dream, mask_token_id=7, tie_word_embeddings=False)),
    ("dream-spm", "DreamModel", "spm", "float16", raw("DreamModel", "Dream", dream, tie_word_embeddings=True)),
    ("llada", "LLaDAModelLM", "dscoder", "bfloat16", raw("LLaDAModelLM", "llada", llada, LLADA, n_kv_heads=4)),
    ("llada-groups", "LLaDAModelLM", "dscoder", "float16",
     raw("LLaDAModelLM", "llada", llada, LLADA, n_kv_heads=2, weight_tying=True, include_qkv_bias=True)),
    ("llada-moe", "LLaDAMoEModelLM", "dscoder", "bfloat16",
     raw("LLaDAMoEModelLM", "llada", sparse, LARGE, **MOE, expert_intermediate_size=48)),
    ("llada-moe-old", "LLaDAMoEModel", "dscoder", "float16",
     raw("LLaDAMoEModel", "llada", sparse, LARGE, **dict(MOE, num_experts=2), expert_intermediate_size=32,
         head_dim=16)),
    ("rnd1", "RND1", "dscoder", "bfloat16",
     raw("RND1", "rnd1", sparse, **MOE, moe_intermediate_size=48, head_dim=32, mask_token_id=7)),
    ("rnd1-stacked", "RND1", "dscoder", "float16", raw("RND1", "rnd1", stacked, **MOE, moe_intermediate_size=48)),
]

"""HunYuan with experts, and HunYuan 3."""
from .common import SIZES
from .shapes import attention, embedding, experts, gated
from .tiktoken import TOKENS, files, more

HASH = "7e57df22b1fe23a7b1e1c7f3dc4e3f96d43a4eb0836d0c6bdc3436d7b2f1c664"
SPECIALS = ["<|endoftext|>", "<|startoftext|>", "<|bos|>", "<|eos|>", "<|pad|>",
            *(f"<|extra_{n}|>" for n in range(205))]
MOE = dict(SIZES, rms_norm_eps=1e-5, rope_theta=10000.0, num_experts=4, moe_topk=[2, 2], moe_intermediate_size=[32, 32],
           num_shared_expert=[1, 1], vocab_size=128_167, attention_bias=False, eos_token_id=127_960,
           files=files("hy.tiktoken", HASH, SPECIALS, more(127_957)),
           case=dict(vocab_size=len(TOKENS) + len(SPECIALS), eos_token_id=len(TOKENS) + 3,
                     files=files("hy.tiktoken", HASH, SPECIALS)))
THREE = dict(SIZES, rms_norm_eps=1e-5, rope_theta=10000.0, num_hidden_layers=3, head_dim=16, num_experts=4,
             num_experts_per_tok=2, moe_intermediate_size=32, num_shared_experts=1, first_k_dense_replace=1,
             route_norm=True, router_scaling_factor=2.5, tie_word_embeddings=False)


def moe(c):
    c = dict(c, head_dim=c.get("head_dim", c["hidden_size"] // c["num_attention_heads"]))
    shapes, width, count = embedding(c), c["hidden_size"], c["num_experts"]
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        shapes.update(attention(c, layer))
        if c.get("use_qk_norm", True):
            shapes.update({f"{at}self_attn.{part}_layernorm.weight": (c["head_dim"],) for part in ("query", "key")})
        shapes[f"{at}mlp.gate.wg.weight"] = (count, width)
        shapes.update(gated(f"{at}mlp.shared_mlp.", width, c["intermediate_size"] * c["num_shared_expert"][0]))
        shapes.update(experts(f"{at}mlp.experts.", count, width, c["moe_intermediate_size"][0]))
    return shapes


def third(c):
    shapes, width, count = embedding(c), c["hidden_size"], c["num_experts"]
    trunk = c["num_hidden_layers"]
    for layer in range(trunk + c.get("num_nextn_predict_layers", 0)):
        at = f"model.layers.{layer}."
        shapes.update(attention(c, layer, head_norms=True))
        if layer < c["first_k_dense_replace"]:
            shapes.update(gated(f"{at}mlp.", width, c["intermediate_size"]))
        else:
            shapes.update({f"{at}mlp.router.gate.weight": (count, width), f"{at}mlp.expert_bias": (count,)})
            shapes.update(gated(f"{at}mlp.shared_mlp.", width,
                                c["moe_intermediate_size"] * c.get("num_shared_experts", 1)))
            shapes.update(experts(f"{at}mlp.experts.", count, width, c["moe_intermediate_size"]))
        if layer >= trunk:
            shapes.update({f"{at}eh_proj.weight": (width, 2 * width), f"{at}enorm.weight": (width,),
                           f"{at}hnorm.weight": (width,), f"{at}final_layernorm.weight": (width,)})
    return shapes


def three(**keys):
    return {**THREE, "architectures": ["HYV3ForCausalLM"], "model_type": "hy_v3", "tensors": third, **keys}


MODELS = [
    ("hunyuan-moe", "HunYuanMoEV1ForCausalLM", None, "bfloat16",
     dict(MOE, architectures=["HunYuanMoEV1ForCausalLM"], model_type="hunyuan", tensors=moe, use_qk_norm=True,
          tie_word_embeddings=True)),
    ("hunyuan-moe-long", "HunYuanMoEV1ForCausalLM", None, "float16",
     {**MOE, "architectures": ["HunYuanMoEV1ForCausalLM"], "model_type": "hunyuan", "tensors": moe,
      "use_qk_norm": False,
      "hidden_size": 256, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32768,
      "num_shared_expert": [2, 2], "rope_scaling": dict(type="dynamic", alpha=1000.0, factor=1.0),
      "tie_word_embeddings": False}),
    ("hunyuan3", "HYV3ForCausalLM", "dscoder", "bfloat16", three(num_nextn_predict_layers=1)),
    ("hunyuan3-trunk", "HYV3ForCausalLM", "dscoder", "float16",
     three(num_shared_experts=2, route_norm=False, tie_word_embeddings=True)),
    ("hunyuan3-no-mtp", "HYV3ForCausalLM", "dscoder", "float16",
     three(num_nextn_predict_layers=1, options=["--no-mtp"])),
    ("hunyuan3-mtp", "HYV3ForCausalLM", "dscoder", "float16", three(num_nextn_predict_layers=1, options=["--mtp"])),
]

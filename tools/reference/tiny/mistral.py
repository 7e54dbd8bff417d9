"""Models in the layout of Mistral's own library: params.json, consolidated.safetensors, tekken.json.

The reference reads their tokenizers with the package mistral-common."""
import base64

NAMES = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
         "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
         "[SUFFIX]",
         "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]", "[CALL_ID]", "[ARGS]", "[THINK]", "[/THINK]"]
PIECES = [b"in", b"er", b" t", b"he", b" the", b"\xc3\xa9", b" a", b"ing"]


def tekken(version):
    """A tokenizer of single bytes and a few pieces."""
    tokens = [bytes([byte]) for byte in range(256)] + PIECES
    vocabulary = [{"rank": rank, "token_bytes": base64.b64encode(token).decode(), "token_str": None}
                  for rank, token in enumerate(tokens)]
    special = [{"rank": rank, "token_str": name, "is_control": True} for rank, name in enumerate(NAMES)]
    count = len(special) + 2
    return {"config": {"pattern": ".+", "num_vocab_tokens": len(tokens), "default_vocab_size": len(tokens) + count,
                       "default_num_special_tokens": count, "version": version},
            "vocab": vocabulary, "special_tokens": special}


SIZES = dict(dim=64, n_layers=2, head_dim=32, hidden_dim=96, n_heads=4, n_kv_heads=2, norm_eps=1e-5, rope_theta=1e6,
             max_position_embeddings=256, vocab_size=len(NAMES) + 2 + 256 + len(PIECES))


def text(c):
    dim, inner = c["dim"], c["hidden_dim"]
    queries, keys = c["n_heads"] * c["head_dim"], c["n_kv_heads"] * c["head_dim"]
    shapes = {"tok_embeddings.weight": [c["vocab_size"], dim], "norm.weight": [dim]}
    if not c.get("tied_embeddings"):
        shapes["output.weight"] = [c["vocab_size"], dim]
    for layer in range(c["n_layers"]):
        at = f"layers.{layer}."
        shapes |= {f"{at}attention_norm.weight": [dim], f"{at}ffn_norm.weight": [dim],
                   f"{at}attention.wq.weight": [queries, dim], f"{at}attention.wk.weight": [keys, dim],
                   f"{at}attention.wv.weight": [keys, dim], f"{at}attention.wo.weight": [dim, queries],
                   f"{at}feed_forward.w1.weight": [inner, dim], f"{at}feed_forward.w2.weight": [dim, inner],
                   f"{at}feed_forward.w3.weight": [inner, dim]}
    return shapes


def with_images(c):
    vision = c["vision_encoder"]
    width, inner, dim = vision["hidden_size"], vision["intermediate_size"], c["dim"]
    shapes = text(c) | {"vision_encoder.patch_conv.weight": [width, 3, 4, 4], "vision_encoder.ln_pre.weight": [width],
                        "vision_language_adapter.w_in.weight": [dim, width],
                        "vision_language_adapter.w_out.weight": [dim, dim]}
    if vision["adapter_bias"]:
        shapes |= {"vision_language_adapter.w_in.bias": [dim], "vision_language_adapter.w_out.bias": [dim]}
    if vision.get("mm_projector_id"):
        shapes |= {"pre_mm_projector_norm.weight": [width], "patch_merger.merging_layer.weight": [width, 4 * width]}
    for layer in range(vision["num_hidden_layers"]):
        at = f"vision_encoder.transformer.layers.{layer}."
        shapes |= {f"{at}attention_norm.weight": [width], f"{at}ffn_norm.weight": [width],
                   **{f"{at}attention.w{part}.weight": [width, width] for part in "qkvo"},
                   f"{at}feed_forward.w1.weight": [inner, width], f"{at}feed_forward.w2.weight": [width, inner],
                   f"{at}feed_forward.w3.weight": [inner, width]}
    return shapes


MOE = dict(SIZES, n_kv_heads=4, num_hidden_layers=None, kv_lora_rank=32, q_lora_rank=24, qk_nope_head_dim=16,
           qk_rope_head_dim=8, v_head_dim=16,
           moe=dict(num_experts=4, num_experts_per_tok=2, num_shared_experts=1, expert_hidden_dim=32,
                    first_k_dense_replace=1,
                    route_every_n=1, routed_scale=1.5, num_expert_groups=1, num_expert_groups_per_tok=1))
del MOE["head_dim"], MOE["num_hidden_layers"]


def sparse(c):
    dim, heads, latent, moe = c["dim"], c["n_heads"], c["kv_lora_rank"], c["moe"]
    key, value, rank = c["qk_nope_head_dim"] + c["qk_rope_head_dim"], c["v_head_dim"], c["q_lora_rank"]

    def gated(at, inner):
        return {f"{at}w1.weight": [inner, dim], f"{at}w2.weight": [dim, inner], f"{at}w3.weight": [inner, dim]}

    shapes = {"tok_embeddings.weight": [c["vocab_size"], dim], "norm.weight": [dim],
              "output.weight": [c["vocab_size"], dim]}
    for layer in range(c["n_layers"]):
        at = f"layers.{layer}."
        mix = f"{at}attention."
        shapes |= {f"{at}attention_norm.weight": [dim], f"{at}ffn_norm.weight": [dim], f"{mix}wq_a.weight": [rank, dim],
                   f"{mix}q_a_norm.weight": [rank], f"{mix}wq_b.weight": [heads * key, rank],
                   f"{mix}wkv_a_with_mqa.weight": [latent + c["qk_rope_head_dim"],
                                                   dim], f"{mix}kv_a_norm.weight": [latent],
                   f"{mix}wkv_b.weight": [heads * (c["qk_nope_head_dim"] + value), latent],
                   f"{mix}wo.weight": [dim, heads * value]}
        if layer < moe["first_k_dense_replace"]:
            shapes |= gated(f"{at}feed_forward.", c["hidden_dim"])
            continue
        shapes |= {f"{at}gate.weight": [moe["num_experts"], dim],
                   **gated(f"{at}shared_experts.", moe["expert_hidden_dim"])}
        for expert in range(moe["num_experts"]):
            shapes |= gated(f"{at}experts.{expert}.", moe["expert_hidden_dim"])
    return shapes


YARN = dict(original_max_position_embeddings=64, factor=4.0, apply_scale=False, beta=32.0, alpha=1.0)
VISION = dict(hidden_size=32, num_channels=3, image_size=32, patch_size=4, rope_theta=10000.0, intermediate_size=64,
              num_hidden_layers=2, num_attention_heads=2, adapter_bias=False, image_break_token_id=12)


def own(version, *options, tensors=text, **more):
    """A row's config in this layout."""
    files = more.pop("files", {}) | ({"tekken.json": tekken(version)} if version else {})
    return dict(more.pop("base", SIZES), layout="mistral", options=["--mistral-format", *options], tensors=tensors,
                files=files, **more)


MODELS = [
    ("params", "params.json", None, "bfloat16", own("v3")),
    ("params-bare", "params.json", None, "float16",
     own("v7", "--disable-mistral-community-chat-template", tied_embeddings=True)),
    ("params-fp8", "params.json", None, "bfloat16",
     own("v11", files={"chat_template.jinja": "{{ messages }}\n"}, quantization=dict(qformat_weight="fp8_e4m3"),
         quantize="mistral-fp8")),
    ("params-pieces", "params.json", "spm", "bfloat16", own(None, vocab_size=32000)),
    ("params3", "params.json", None, "bfloat16",
     own("v13", files={"chat_template.jinja": "{{ messages[0] }}"}, yarn=YARN,
         llama_4_scaling=dict(original_max_position_embeddings=64, beta=0.1))),
    ("params-moe", "params.json", None, "bfloat16",
     own("v3", base=MOE, tensors=sparse, files={"config.json": {"architectures": ["MistralLarge3ForCausalLM"]}},
         yarn=YARN, llama_4_scaling=dict(beta=0.1))),
    ("params-images", "params.json", None, "bfloat16",
     own("v3", tensors=with_images, yarn=dict(YARN, apply_scale=True), vision_encoder=VISION)),
    ("mm-params", "params.json", None, "bfloat16",
     own(None, "--mmproj", tensors=with_images,
         files={"tekken.json": {"special_tokens": tekken("v3")["special_tokens"]}},
         vision_encoder=dict(VISION, mm_projector_id="patch_merge", spatial_merge_size=2, image_break_token_id=-1))),
    ("mm-params-biases", "params.json", None, "float16",
     own(None, "--mmproj", tensors=with_images, vision_encoder=dict(VISION, adapter_bias=True))),
]

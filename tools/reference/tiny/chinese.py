"""DeepSeek 1 and dense models of Chinese houses."""
from .common import SIZES
from .shapes import attention, embedding, experts, gated, layers
from .tiktoken import TOKENS, files

QWEN2_HASH = "e636dc30a262dcc0d8c323492e32ae2b70728f4df7dfe9737d9f920a282b8aea"
QWEN_SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{number}|>" for number in range(205))]
QWEN = dict(hidden_size=64, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4, seq_length=256,
            max_position_embeddings=512, kv_channels=16, layer_norm_epsilon=1e-6, rotary_emb_base=10000, no_bias=True,
            model_type="qwen", architectures=["QWenLMHeadModel"], tie_word_embeddings=False,
            vocab_size=len(TOKENS) + len(QWEN_SPECIALS) + 16)


def qwen(c):
    hidden, inner = c["hidden_size"], c["intermediate_size"] // 2
    shapes = {"transformer.wte.weight": (c["vocab_size"], hidden), "transformer.ln_f.weight": (hidden,),
              "lm_head.weight": (c["vocab_size"], hidden)}
    for layer in range(c["num_hidden_layers"]):
        at = f"transformer.h.{layer}."
        shapes.update({f"{at}ln_1.weight": (hidden,), f"{at}ln_2.weight": (hidden,),
                       f"{at}attn.c_attn.weight": (3 * hidden, hidden), f"{at}attn.c_attn.bias": (3 * hidden,),
                       f"{at}attn.c_proj.weight": (hidden, hidden), f"{at}mlp.w1.weight": (inner, hidden),
                       f"{at}mlp.w2.weight": (inner, hidden), f"{at}mlp.c_proj.weight": (hidden, inner)})
    return shapes


def raw(name, model_type, tensors, base=None, **keys):
    """The config of a class that the library lacks."""
    base = base or dict(SIZES, rms_norm_eps=1e-5, rope_theta=10000.0)
    return dict(base, architectures=[name], model_type=model_type, tensors=tensors, **keys)


def dense(c):
    bias = c.get("bias") or c.get("attention_bias")
    shapes = layers(c, lambda c, layer: {**attention(c, layer, bias=bias), **gated(f"model.layers.{layer}.mlp.",
                                                                                   c["hidden_size"], c["intermediate_size"])})
    if c.get("bias"):
        shapes.update({f"model.layers.{layer}.self_attn.o_proj.bias": (c["hidden_size"],)
                       for layer in range(c["num_hidden_layers"])})
    return shapes


def deepseek(c):
    hidden, inner = c["hidden_size"], c["moe_intermediate_size"]

    def layer_of(c, layer):
        at = f"model.layers.{layer}.mlp."
        shapes = attention(c, layer)
        if layer < c["first_k_dense_replace"]:
            shapes.update(gated(at, hidden, c["intermediate_size"]))
        else:
            shapes.update({f"{at}gate.weight": (c["n_routed_experts"], hidden),
                           **experts(f"{at}experts.", c["n_routed_experts"], hidden, inner),
                           **gated(f"{at}shared_experts.", hidden, inner * c["n_shared_experts"])})
        return shapes
    return layers(c, layer_of)


def internlm2(c):
    hidden, inner, heads, keys = (c[key] for key in ("hidden_size", "intermediate_size", "num_attention_heads",
                                                     "num_key_value_heads"))
    head = hidden // heads
    shapes = {"model.tok_embeddings.weight": (c["vocab_size"], hidden), "model.norm.weight": (hidden,),
              "output.weight": (c["vocab_size"], hidden)}
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        shapes.update({f"{at}attention_norm.weight": (hidden,), f"{at}ffn_norm.weight": (hidden,),
                       f"{at}attention.wqkv.weight": ((heads + 2 * keys) * head, hidden),
                       f"{at}attention.wo.weight": (hidden, hidden), f"{at}feed_forward.w1.weight": (inner, hidden),
                       f"{at}feed_forward.w2.weight": (hidden, inner), f"{at}feed_forward.w3.weight": (inner, hidden)})
    return shapes


def latent(c):
    """MiniCPM 3 and PLM, which has no gate and whole queries."""
    hidden, heads, inner = c["hidden_size"], c["num_attention_heads"], c["intermediate_size"]
    rope, rest, value, rank = (c[key] for key in ("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "kv_lora_rank"))
    shapes = embedding(c)
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        shapes.update({f"{at}input_layernorm.weight": (hidden,), f"{at}post_attention_layernorm.weight": (hidden,),
                       f"{at}self_attn.kv_a_proj_with_mqa.weight": (rank + rope, hidden),
                       f"{at}self_attn.kv_a_layernorm.weight": (rank,),
                       f"{at}self_attn.kv_b_proj.weight": (heads * (rest + value), rank),
                       f"{at}self_attn.o_proj.weight": (hidden, heads * value)})
        if "q_lora_rank" in c:
            shapes.update({f"{at}self_attn.q_a_proj.weight": (c["q_lora_rank"], hidden),
                           f"{at}self_attn.q_a_layernorm.weight": (c["q_lora_rank"],),
                           f"{at}self_attn.q_b_proj.weight": (heads * (rest + rope), c["q_lora_rank"]),
                           **gated(f"{at}mlp.", hidden, inner)})
        else:
            shapes.update({f"{at}self_attn.q_proj.weight": (heads * (rest + rope), hidden),
                           f"{at}mlp.up_proj.weight": (inner, hidden), f"{at}mlp.down_proj.weight": (hidden, inner)})
    return shapes


def orion(c):
    shapes = dense(c)
    norms = {name.replace(".weight", ".bias"): shape for name, shape in shapes.items() if len(shape) == 1}
    return {**shapes, **norms}


DEEPSEEK = dict(SIZES, num_hidden_layers=3, rms_norm_eps=1e-6, rope_theta=10000.0, n_routed_experts=4, n_shared_experts=2,
                num_experts_per_tok=2, moe_intermediate_size=32, first_k_dense_replace=1, scoring_func="softmax")
BAICHUAN = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, rms_norm_eps=1e-6)
SCALES = dict(SIZES, rms_norm_eps=1e-5, rope_theta=10000.0, scale_emb=12, scale_depth=1.4, dim_model_base=16)
LATENT = dict(SIZES, num_key_value_heads=4, rms_norm_eps=1e-5, rope_theta=10000.0, kv_lora_rank=32, qk_nope_head_dim=32,
              qk_rope_head_dim=16, v_head_dim=24)
LONG = dict(type="longrope", short_factor=[1.0 + 0.1 * i for i in range(8)], long_factor=[1.5 + 0.3 * i for i in range(8)],
            original_max_position_embeddings=64)

def chatglm(c):
    hidden, inner = c["hidden_size"], c["ffn_hidden_size"]
    rows = c.get("padded_vocab_size", c["vocab_size"])
    keys = c["multi_query_group_num"] * c["kv_channels"]
    shapes = {"transformer.embedding.word_embeddings.weight": (rows, hidden),
              "transformer.encoder.final_layernorm.weight": (hidden,), "transformer.rotary_pos_emb.inv_freq": (8,),
              "transformer.output_layer.weight": (rows, hidden)}
    for layer in range(c["num_layers"]):
        at = f"transformer.encoder.layers.{layer}."
        shapes.update({f"{at}input_layernorm.weight": (hidden,), f"{at}post_attention_layernorm.weight": (hidden,),
                       f"{at}self_attention.query_key_value.weight": (hidden + 2 * keys, hidden),
                       f"{at}self_attention.query_key_value.bias": (hidden + 2 * keys,),
                       f"{at}self_attention.dense.weight": (hidden, hidden),
                       f"{at}mlp.dense_h_to_4h.weight": (2 * inner, hidden),
                       f"{at}mlp.dense_4h_to_h.weight": (hidden, inner)})
    return shapes


def baichuan(c):
    hidden, inner = c["hidden_size"], c["intermediate_size"]
    shapes = embedding(c)
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        shapes.update({f"{at}input_layernorm.weight": (hidden,), f"{at}post_attention_layernorm.weight": (hidden,),
                       f"{at}self_attn.W_pack.weight": (3 * hidden, hidden), f"{at}self_attn.o_proj.weight": (hidden, hidden),
                       **gated(f"{at}mlp.", hidden, inner)})
    return shapes


CHATGLM = dict(hidden_size=64, ffn_hidden_size=96, num_layers=2, num_attention_heads=4, kv_channels=16, seq_length=256,
               multi_query_attention=True, multi_query_group_num=2, layernorm_epsilon=1.5625e-7, add_qkv_bias=True,
               add_bias_linear=False, model_type="chatglm",
               tokens=["<|endoftext|>", "<|user|>"])
# Stands in for the code of ChatGLM 3.
CHATGLM3 = """
from types import SimpleNamespace

from sentencepiece import SentencePieceProcessor
from transformers import PreTrainedTokenizer

AFTER = ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"]


class TinyTokenizer(PreTrainedTokenizer):
    vocab_files_names = {"vocab_file": "tokenizer.model"}

    def __init__(self, vocab_file, **kwargs):
        model = SentencePieceProcessor(model_file=vocab_file)
        self.tokenizer = SimpleNamespace(sp_model=model)
        super().__init__(**kwargs)

    @property
    def vocab_size(self):
        return self.tokenizer.sp_model.vocab_size() + len(AFTER)

    def get_vocab(self):
        return {self._convert_id_to_token(index): index for index in range(self.vocab_size)}

    def _convert_id_to_token(self, index):
        count = self.tokenizer.sp_model.vocab_size()
        if index < count:
            return self.tokenizer.sp_model.IdToPiece(index)
        return AFTER[index - count] if index < self.vocab_size else ""

    def _convert_token_to_id(self, token):
        return self.get_vocab().get(token)
"""

MODELS = [
    ("qwen", "QWenLMHeadModel", None, "bfloat16",
     dict(QWEN, tensors=qwen, files=files("qwen.tiktoken", QWEN2_HASH, QWEN_SPECIALS))),
    ("qwen-special", "QWenLMHeadModel", None, "float16",
     dict(QWEN, tensors=qwen, bos_token_id=5, files=files("qwen.tiktoken", QWEN2_HASH, QWEN_SPECIALS))),
    ("deepseek", "DeepseekForCausalLM", "dscoder", "bfloat16", raw("DeepseekForCausalLM", "deepseek", deepseek, DEEPSEEK)),
    ("deepseek-tied", "DeepseekForCausalLM", "spm", "float16",
     raw("DeepseekForCausalLM", "deepseek", deepseek, DEEPSEEK, tie_word_embeddings=True)),
    ("internlm2", "InternLM2ForCausalLM", "spm", "bfloat16",
     raw("InternLM2ForCausalLM", "internlm2", internlm2, bos_token_id=1, eos_token_id=2)),
    ("internlm2-groups", "InternLM2ForCausalLM", "spm", "float16",
     raw("InternLM2ForCausalLM", "internlm2", internlm2, dict(SIZES, num_key_value_heads=1, rms_norm_eps=1e-5,
                                                              rope_theta=1e6), eos_token_id=2)),
    ("minicpm", "MiniCPMForCausalLM", "spm", "bfloat16",
     raw("MiniCPMForCausalLM", "minicpm", dense, SCALES, tie_word_embeddings=True)),
    ("minicpm-long", "MiniCPMForCausalLM", "spm", "float16", raw("MiniCPMForCausalLM", "minicpm", dense, SCALES,
                                                                 rope_scaling=LONG)),
    ("minicpm3", "MiniCPM3ForCausalLM", "spm", "bfloat16", raw("MiniCPM3ForCausalLM", "minicpm3", latent, LATENT,
                                                               q_lora_rank=48)),
    ("minicpm3-long", "MiniCPM3ForCausalLM", "spm", "float16",
     raw("MiniCPM3ForCausalLM", "minicpm3", latent, LATENT, q_lora_rank=48, rope_scaling=LONG, tie_word_embeddings=True)),
    ("plm", "PLMForCausalLM", "dscoder", "bfloat16", raw("PLMForCausalLM", "plm", latent, LATENT, tie_word_embeddings=True)),
    ("plm-untied", "PLMForCausalLM", "dscoder", "float16", raw("PLMForCausalLM", "plm", latent, LATENT)),
    ("pangu", "PanguEmbeddedForCausalLM", "spm", "bfloat16", raw("PanguEmbeddedForCausalLM", "PanguEmbedded", dense)),
    ("pangu-biases", "PanguEmbeddedForCausalLM", "spm", "float16",
     raw("PanguEmbeddedForCausalLM", "PanguEmbedded", dense, bias=True)),
    ("xverse", "XverseForCausalLM", "spm", "bfloat16", raw("XverseForCausalLM", "xverse", dense)),
    ("xverse-heads", "XverseForCausalLM", "spm", "float16",
     raw("XverseForCausalLM", "xverse", dense, dict(SIZES, num_key_value_heads=4, rms_norm_eps=1e-5, rope_theta=1e4))),
    ("orion", "OrionForCausalLM", "spm", "bfloat16", raw("OrionForCausalLM", "orion", orion)),
    ("orion-length", "OrionForCausalLM", "spm", "float16",
     raw("OrionForCausalLM", "orion", orion, max_sequence_length=512, tie_word_embeddings=True)),
    ("chatglm-original", "ChatGLMModel", "dscoder", "bfloat16",
     dict(CHATGLM, architectures=["ChatGLMModel"], tensors=chatglm, rope_ratio=50)),
    ("chatglm-generation", "ChatGLMForConditionalGeneration", "dscoder", "float16",
     dict(CHATGLM, architectures=["ChatGLMForConditionalGeneration"], tensors=chatglm)),
    ("chatglm3", "ChatGLMModel", "spm", "float16",
     dict(CHATGLM, architectures=["ChatGLMModel"], tensors=chatglm, padded_vocab_size=544, vocab_size=544, tokens=[],
          _name_or_path="THUDM/chatglm3-6b",
          files={"tokenization_tiny.py": CHATGLM3,
                 "tokenizer_config.json": dict(tokenizer_class="TinyTokenizer",
                                               auto_map={"AutoTokenizer": ["tokenization_tiny.TinyTokenizer", None]})})),
    ("baichuan", "BaichuanForCausalLM", "spm", "bfloat16",
     raw("BaichuanForCausalLM", "baichuan", baichuan, dict(BAICHUAN, model_max_length=256))),
    ("baichuan-old", "BaiChuanForCausalLM", "spm", "float16",
     raw("BaiChuanForCausalLM", "baichuan", baichuan, BAICHUAN)),
]

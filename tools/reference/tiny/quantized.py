"""Checkpoints whose blocks the reference keeps: NVFP4 of ModelOpt and of compressed-tensors."""
from .common import SIZES

LARGE = dict(SIZES, hidden_size=128, intermediate_size=192)
MOE = dict(LARGE, head_dim=32, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=64)
WEIGHTS = dict(num_bits=4, type="float", strategy="tensor_group", group_size=16)


def modelopt(quantize="nvfp4"):
    return dict(quantize=quantize, patch=dict(quantization_config=dict(quant_method="modelopt", quant_algo="NVFP4")))


def compressed():
    config = dict(quant_method="compressed-tensors", format="nvfp4-pack-quantized",
                  config_groups=dict(group_0=dict(weights=WEIGHTS)))
    return dict(quantize="nvfp4-compressed", patch=dict(quantization_config=config))


MODELS = [
    ("llama-nvfp4", "LlamaForCausalLM", "spm", "bfloat16", dict(LARGE, **modelopt())),
    ("qwen3-nvfp4-compressed", "Qwen3ForCausalLM", "dscoder", "bfloat16", dict(LARGE, head_dim=32, **compressed())),
    ("qwen3-moe-nvfp4", "Qwen3MoeForCausalLM", "dscoder", "float16", dict(MOE, **modelopt())),
]

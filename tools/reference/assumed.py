"""What programs assume where a GGUF file says nothing, for `logits.py compare`: transformers is told the same.

`config` changes a configuration before the model is made, `model` the model afterwards. Every change is of a class of
models whose file, which is the reference's, lacks a number that transformers reads.
"""
import math


def text(config):
    return config.get_text_config()


def gemma3(config):
    # of six layers one sees all tokens, the last of each six
    part = text(config)
    part.layer_types = ["full_attention" if (layer + 1) % 6 == 0 else "sliding_attention"
                        for layer in range(part.num_hidden_layers)]


def llama4(config):
    # models with fewer than 128 experts normalize queries and keys
    text(config).use_qk_norm = text(config).num_local_experts < 128


def deepseek2(model):
    # YaRN makes scores larger, twice: the class for version 3 does, that for version 2 forgets it
    scaling = model.config.rope_scaling or {}
    if scaling.get("mscale_all_dim"):
        factor = (0.1 * scaling["mscale_all_dim"] * math.log(scaling["factor"]) + 1) ** 2
        for layer in model.model.layers:
            layer.self_attn.scaling *= factor


def granite_hybrid(model):
    # norms before the output of Mamba 2 are of each group
    import torch
    groups = model.config.mamba_n_groups

    def forward(self, rows, gate=None):
        if gate is not None:
            rows = rows * torch.nn.functional.silu(gate)
        parts = rows.reshape(*rows.shape[:-1], groups, -1)
        parts = parts * torch.rsqrt(parts.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * parts.reshape(rows.shape)

    for module in model.modules():
        if type(module).__name__.endswith("RMSNormGated"):
            module.forward = forward.__get__(module)


CONFIGS = {
    "Gemma3ForCausalLM": gemma3,
    "Gemma3ForConditionalGeneration": gemma3,
    "Gemma3TextModel": gemma3,
    "Llama4ForCausalLM": llama4,
    "Llama4ForConditionalGeneration": llama4,
}
MODELS = {"DeepseekV2ForCausalLM": deepseek2, "GraniteMoeHybridForCausalLM": granite_hybrid}

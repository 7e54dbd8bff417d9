"""Further names of classes, which the reference reads like a class that has a row: with the tensors of that row, or
with those that the class of this name saves."""

# The row, the class that is written into config.json, and more of the config.
SAME = [
    ("deepseek-ocr", "DeepseekOCR2ForCausalLM", dict(model_type="deepseek_vl_v2")),
    ("dots3", "Dots3NoteForCausalLM", {}),
    ("eagle3", "Eagle3DraftModel", {}),
    ("eagle3", "Eagle3LlamaForCausalLM", {}),
    ("granite-speech", "GraniteSpeechPlusForConditionalGeneration", dict(model_type="granite_speech_plus")),
    ("kimi-linear", "KimiLinearModel", {}),
    ("lfm2", "LFM2ForCausalLM", {}),
    ("llama", "LLaMAForCausalLM", {}),
    ("llama", "VLlama3ForCausalLM", dict(model_type="vllama3")),
    ("mamba", "MambaLMHeadModel", {}),
    ("olmo", "OLMoForCausalLM", {}),
    ("qwen2-vl", "Qwen2VLModel", {}),
    ("stablelm", "StableLMEpochForCausalLM", dict(model_type="stablelm_epoch")),
    ("t5", "T5WithLMHeadModel", {}),
]

# The row, a class of the library whose config is the same, and more of the config.
SAVED = [
    ("distilbert", "DistilBertForMaskedLM", {}),
    ("qwen3", "Qwen3Model", {}),
    ("umt5", "UMT5Model", {}),
]


def rows(models):
    """A row for each of the names."""
    known = {row[0]: row for row in models}
    for name, architecture, more in SAME:
        _, own, tokenizer, dtype, config = known[name]
        patch = dict(config.get("patch", {}), architectures=[architecture], **more)
        yield f"{name}-as-{architecture}", own, tokenizer, dtype, dict(config, patch=patch)
    for name, architecture, more in SAVED:
        _, _, tokenizer, dtype, config = known[name]
        yield f"{name}-as-{architecture}", architecture, tokenizer, dtype, dict(config, **more)
    # the part for text of Qwen 2.5 Omni is a part of its thinker
    _, own, tokenizer, dtype, config = known["qwen2-vl"]
    text = {key: value for key, value in config.items() if key not in ("architectures", "tensors", "vision_config")}
    text |= dict(model_type="qwen2_5_omni_text", vocab_size=32256)
    thinker = dict(model_type="qwen2_5_omni_thinker", text_config=text)
    tensors = {f"thinker.{name}": shape for name, shape in config["tensors"](text).items()}
    yield "qwen25-omni", own, tokenizer, dtype, dict(
        architectures=["Qwen2_5OmniModel"], model_type="qwen2_5_omni", vocab_size=32256, thinker_config=thinker,
        tensors=lambda _: tensors)

//! The files that describe architectures, as text.

/// The table of architectures: file name and text.
#[rustfmt::skip]
pub(super) const FILES: &[(&str, &str)] = &[
    ("bert.toml", include_str!("models/bert.toml")),
    ("chatglm.toml", include_str!("models/chatglm.toml")),
    ("cohere2.toml", include_str!("models/cohere2.toml")),
    ("command-r.toml", include_str!("models/command-r.toml")),
    ("deepseek2.toml", include_str!("models/deepseek2.toml")),
    ("distilbert.toml", include_str!("models/distilbert.toml")),
    ("falcon.toml", include_str!("models/falcon.toml")),
    ("gemma.toml", include_str!("models/gemma.toml")),
    ("gemma2.toml", include_str!("models/gemma2.toml")),
    ("gemma3.toml", include_str!("models/gemma3.toml")),
    ("glm4.toml", include_str!("models/glm4.toml")),
    ("gpt-oss.toml", include_str!("models/gpt-oss.toml")),
    ("gpt2.toml", include_str!("models/gpt2.toml")),
    ("gptneox.toml", include_str!("models/gptneox.toml")),
    ("granite.toml", include_str!("models/granite.toml")),
    ("granitemoe.toml", include_str!("models/granitemoe.toml")),
    ("lfm2.toml", include_str!("models/lfm2.toml")),
    ("llama.toml", include_str!("models/llama.toml")),
    ("mamba.toml", include_str!("models/mamba.toml")),
    ("mamba2.toml", include_str!("models/mamba2.toml")),
    ("nomic-bert-moe.toml", include_str!("models/nomic-bert-moe.toml")),
    ("nomic-bert.toml", include_str!("models/nomic-bert.toml")),
    ("olmo.toml", include_str!("models/olmo.toml")),
    ("olmo2.toml", include_str!("models/olmo2.toml")),
    ("phi2.toml", include_str!("models/phi2.toml")),
    ("phi3.toml", include_str!("models/phi3.toml")),
    ("qwen2.toml", include_str!("models/qwen2.toml")),
    ("qwen2moe.toml", include_str!("models/qwen2moe.toml")),
    ("qwen3.toml", include_str!("models/qwen3.toml")),
    ("qwen3moe.toml", include_str!("models/qwen3moe.toml")),
    ("roberta.toml", include_str!("models/roberta.toml")),
    ("smollm3.toml", include_str!("models/smollm3.toml")),
    ("stablelm.toml", include_str!("models/stablelm.toml")),
    ("starcoder2.toml", include_str!("models/starcoder2.toml")),
    ("t5.toml", include_str!("models/t5.toml")),
    ("t5encoder.toml", include_str!("models/t5encoder.toml")),
    ("xlm-roberta.toml", include_str!("models/xlm-roberta.toml")),
];

/// What several architectures have in common.
pub(super) const GROUPS: (&str, &str) = ("groups.toml", include_str!("models/groups.toml"));

/// What the configuration classes of the reference's library fill in.
pub(super) const DEFAULTS: (&str, &str) = ("defaults.toml", include_str!("models/defaults.toml"));

//! The two layouts of a checkpoint's folder.

/// The names of a checkpoint's files, its tensors and its config's keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// That of Hugging Face's libraries: `config.json`, `model*.safetensors` and the tokenizer's
    /// files.
    #[default]
    HuggingFace,
    /// That of Mistral's own library: `params.json`, `consolidated*.safetensors`, and `tekken.json`
    /// or `tokenizer.model.v*`.
    Mistral {
        /// Whether the chat template may be one that llama.cpp knows by a name.
        named_template: bool,
    },
}

impl Layout {
    /// The config.
    pub(crate) const fn config(self) -> &'static str {
        match self {
            Self::HuggingFace => "config.json",
            Self::Mistral { .. } => "params.json",
        }
    }
}

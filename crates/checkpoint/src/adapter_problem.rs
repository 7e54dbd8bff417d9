/// A problem of an adapter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterProblem {
    /// The folder holds no adapter.
    #[error(
        "there is no adapter_config.json: --base is for converting the folder of an adapter (LoRA)"
    )]
    Absent,
    /// The kind is one that no file can hold.
    #[error("this is an adapter of the kind {0}, but GGUF files can hold LORA only")]
    Kind(String),
    /// The folder has no weights.
    #[error("the folder of the adapter has no {0}")]
    NoWeights(String),
    /// It changes nothing.
    #[error("the adapter has no matrices for the base model")]
    Empty,
    /// A tensor is not a part of a pair.
    #[error(
        "an adapter has lora_A, lora_B and norms, and nothing else: merge whatever was trained in \
         full into the base model"
    )]
    Tensor,
    /// One of the two matrices is missing, or is no matrix.
    #[error("lora_A and lora_B of a matrix must both be there, with two dimensions each")]
    HalfPair,
    /// The conversion of the base model's tensor cannot be applied to a product.
    #[error(
        "the base model's tensor changes in a way that its difference cannot: merge the adapter \
         into the base model"
    )]
    Moves,
}

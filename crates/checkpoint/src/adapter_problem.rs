/// A problem of an adapter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterProblem {
    /// The folder holds no adapter.
    #[error(
        "there is no adapter_config.json: --base is for converting the folder of an adapter (LoRA)"
    )]
    Absent,
    /// The kind is another than LoRA.
    #[error("this is an adapter of the kind {0}: only LORA can be merged or converted")]
    Kind(String),
    /// The folder to merge holds no adapter.
    #[error("there is no adapter_config.json: --lora is for the folder of an adapter (LoRA)")]
    NoAdapter,
    /// The adapter changes the model in a way that cannot be merged.
    #[error(
        "with {key:?} the adapter {does}, which cannot be merged while converting: load it with \
         PEFT, call merge_and_unload(), save the result and convert that"
    )]
    Unmergeable {
        /// The key of the adapter's config.
        key: &'static str,
        /// What it does.
        does: &'static str,
    },
    /// The training began by changing the base model.
    #[error(
        "with \"init_lora_weights\" {0:?}, training changed the base model first, so the adapter \
         does not fit the original: convert it with PEFT to one that does (save_pretrained with \
         path_initial_model_for_weight_conversion)"
    )]
    ChangedBase(String),
    /// The base model has no such tensor.
    #[error("the base model has no tensor {name:?}: the adapter is for another model")]
    OtherBase {
        /// The name of the base model's tensor.
        name: String,
    },
    /// A matrix of the base model has other dimensions.
    #[error(
        "it changes {rows} rows of {columns} values, but {name:?} of the base model has the shape \
         {base:?}: the adapter is for another model"
    )]
    OtherShape {
        /// Rows of the difference.
        rows: u64,
        /// Columns of the difference.
        columns: u64,
        /// The name of the base model's tensor.
        name: String,
        /// Its shape, outermost dimension first.
        base: Vec<u64>,
    },
    /// A tensor has another shape than that of the base model.
    #[error(
        "its shape is {found:?}, but {name:?} of the base model has the shape {base:?}: the \
         adapter is for another model, or for one with another number of tokens"
    )]
    OtherSize {
        /// The shape, outermost dimension first.
        found: Vec<u64>,
        /// The name of the base model's tensor.
        name: String,
        /// Its shape.
        base: Vec<u64>,
    },
    /// The base model's tensor is copied as blocks.
    #[error("{name:?} of the base model consists of {ty} blocks, to which nothing can be added")]
    Blocks {
        /// The name of the base model's tensor.
        name: String,
        /// The type of its blocks.
        ty: &'static str,
    },
    /// A value is infinite or NaN.
    #[error("value {index} is {value}: the adapter is damaged, or its training failed")]
    NotFinite {
        /// The index of the value.
        index: u64,
        /// The value.
        value: f32,
    },
    /// The number of lengths is wrong.
    #[error("there are {found} magnitudes but expected {expected}, one for each output")]
    Magnitudes {
        /// The number of lengths.
        found: u64,
        /// The number of outputs.
        expected: u64,
    },
    /// The weights of an output have no length that could be changed.
    #[error("the weights of output {output} of {base:?} are all zero, so they cannot get a length")]
    NoLength {
        /// The output.
        output: usize,
        /// The name of the base model's tensor.
        base: String,
    },
    /// A tensor is of an unknown kind.
    #[error("no such tensor is known of adapters that can be merged")]
    Unknown,
    /// Two tensors are the same part.
    #[error("another tensor is the same part of the same module")]
    Twice,
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

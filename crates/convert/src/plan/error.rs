use granule_format::{BlockType, Shape, TensorType};

use super::Invalid;

/// The reason why a plan cannot be made or run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// No type fits the rows of a tensor.
    #[error(
        "tensor {tensor:?} ({shape}): rows of {} values are not whole blocks of {wanted}, \
         and there is no fallback type; choose another type for it with --tensor-type",
        shape.row()
    )]
    NoFallback {
        /// The tensor.
        tensor: String,
        /// Its dimensions.
        shape: Shape,
        /// The type that was chosen.
        wanted: BlockType,
    },
    /// A fallback type would be needed, but the recipe forbids it.
    #[error(
        "tensor {tensor:?}: rows of {row} values are not whole blocks of {wanted}; \
         without --no-fallback it would become {instead}"
    )]
    FallbackForbidden {
        /// The tensor.
        tensor: String,
        /// Values in a row.
        row: u64,
        /// The type that was chosen.
        wanted: BlockType,
        /// The fallback type.
        instead: BlockType,
    },
    /// A type that an option requests for one tensor does not fit its rows.
    #[error(
        "tensor {tensor:?}: rows of {row} values are not whole blocks of {ty}, \
         which {option} asks for"
    )]
    DoesNotFit {
        /// The tensor.
        tensor: String,
        /// Values in a row.
        row: u64,
        /// The type.
        ty: BlockType,
        /// The option.
        option: &'static str,
    },
    /// A tensor's size cannot be computed.
    #[error(
        "tensor {tensor:?} ({shape}) has type {ty}, which is unknown or does not fit its rows: \
         its size cannot be computed"
    )]
    Size {
        /// The tensor.
        tensor: String,
        /// Its dimensions.
        shape: Shape,
        /// Its type.
        ty: TensorType,
    },
    /// The plan has no tensor of this name.
    #[error("the plan has no tensor {tensor:?}")]
    NoSuchTensor {
        /// The name.
        tensor: String,
    },
    /// Tensors cannot be converted to the type.
    #[error("tensor {tensor:?} cannot be converted to {ty}")]
    NoEncoder {
        /// The tensor.
        tensor: String,
        /// The type.
        ty: BlockType,
    },
    /// The tensor is already quantized.
    #[error(
        "tensor {tensor:?} is already quantized to {stored} and would become {target}; \
         start from a 16- or 32-bit file, or accept the loss with --allow-requantize"
    )]
    Requantize {
        /// The first such tensor.
        tensor: String,
        /// Its current type.
        stored: BlockType,
        /// The type it would get.
        target: BlockType,
    },
    /// A type is useless without importance weights.
    #[error(
        "{tensor:?} needs importance weights to become {ty} (tensors affected: {tensors}); \
         give a matrix with --imatrix, or choose a larger type"
    )]
    NeedsImportance {
        /// The first such tensor.
        tensor: String,
        /// The type it would get.
        ty: BlockType,
        /// The number of such tensors.
        tensors: usize,
    },
    /// The importance matrix has no entry for tensors whose types need one.
    #[error(
        "the importance matrix has no entry for {tensor:?}, which needs one to become {ty} \
         (tensors affected: {tensors})"
    )]
    NeedsEntry {
        /// The first such tensor.
        tensor: String,
        /// The type it would get.
        ty: BlockType,
        /// The number of such tensors.
        tensors: usize,
    },
    /// The importance matrix has no entry for tensors that should have one.
    #[error(
        "the importance matrix has no entry for {tensor:?} (tensors affected: {tensors}); \
         is it for this model? --allow-missing encodes them without weights"
    )]
    NoEntry {
        /// The first such tensor.
        tensor: String,
        /// The number of such tensors.
        tensors: usize,
    },
    /// The weights of a tensor, or of one of its experts, are zero, so nothing of it would be
    /// preserved.
    #[error(
        "the importance matrix has only zeros for {tensor:?} or one of its experts \
         (tensors affected: {tensors}): the sample text never reached it; \
         --allow-missing uses equal weights instead"
    )]
    ZeroEntry {
        /// The first such tensor.
        tensor: String,
        /// The number of such tensors.
        tensors: usize,
    },
    /// An entry of the importance matrix has the wrong size.
    #[error(
        "the importance matrix has {found} weights for tensor {tensor:?}, expected {expected}; \
         is it for this model?"
    )]
    EntrySize {
        /// The tensor.
        tensor: String,
        /// The tensor's columns times its matrices.
        expected: u64,
        /// Number of weights in the entry.
        found: u64,
    },
    /// A pattern matches no tensor name.
    #[error(
        "--tensor-type {pattern:?} matches no tensor name (case counts); --allow-missing ignores it"
    )]
    Unmatched {
        /// The pattern.
        pattern: String,
    },
    /// An option changes nothing.
    #[error("{option} has no effect: {why}; --allow-missing ignores it")]
    NoEffect {
        /// The option, as given.
        option: String,
        /// The reason why it has no effect.
        why: &'static str,
    },
    /// The result would not be a valid GGUF file, or programs could not load it.
    #[error("the result would not be valid: {0}; --allow-invalid writes it")]
    Invalid(Invalid),
    /// The type of a tensor depends on its place in the model, which is unknown.
    #[error("tensor {tensor:?} belongs to block {number}, but the block count is {blocks}")]
    NoSuchBlock {
        /// The tensor.
        tensor: String,
        /// The number in its name.
        number: i64,
        /// The number of blocks according to the metadata.
        blocks: u32,
    },
    /// `general.alignment` was set to an invalid value.
    #[error("general.alignment = {0} is not a power of two")]
    Alignment(String),
    /// A split set would have more files than its keys can count.
    #[error(
        "the result would have {files} files, but a split set has at most {most}; raise the limits"
    )]
    TooManyFiles {
        /// The number of files.
        files: u64,
        /// The largest possible number.
        most: u32,
    },
    /// The model cannot be run.
    #[error(
        "effort 2 runs the model, and this one cannot be run: {problem}; efforts 0 and 1 need no \
         run"
    )]
    NoRun {
        /// Why not.
        problem: String,
    },
    /// Layers are to be dropped from a model that is to be run.
    #[error("effort 2 runs the whole model: drop layers first (-t COPY), then convert that file")]
    PrunedRun,
    /// The input is not a saved plan.
    #[error("not a saved plan: {0}")]
    Format(String),
    /// A saved plan was made for other tensors than those of the source.
    #[error("the plan was made for another source: {0}")]
    OtherSource(String),
}

use granule_format::{BlockType, Shape, TensorType};

use super::Invalid;

/// Why a plan cannot be made or run.
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
    /// Another type would have to be taken, which was forbidden.
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
        /// The type that would be taken.
        instead: BlockType,
    },
    /// A type that was asked for by an option for one tensor does not fit its rows.
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
    /// Nothing is converted to the type.
    #[error("tensor {tensor:?} cannot be converted to {ty}")]
    NoEncoder {
        /// The tensor.
        tensor: String,
        /// The type.
        ty: BlockType,
    },
    /// The tensor is quantized already.
    #[error(
        "tensor {tensor:?} is already quantized to {stored} and would become {target}; \
         start from a 16- or 32-bit file, or accept the loss with --allow-requantize"
    )]
    Requantize {
        /// The first such tensor.
        tensor: String,
        /// The type it has.
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
        /// How many there are.
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
        /// How many there are.
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
        /// How many there are.
        tensors: usize,
    },
    /// The weights of a tensor, or of one of its experts, are zero: nothing would be kept of it.
    #[error(
        "the importance matrix has only zeros for {tensor:?} or one of its experts \
         (tensors affected: {tensors}): the sample text never reached it; \
         --allow-missing uses equal weights instead"
    )]
    ZeroEntry {
        /// The first such tensor.
        tensor: String,
        /// How many there are.
        tensors: usize,
    },
    /// An entry of the importance matrix has another size.
    #[error(
        "the importance matrix has {found} weights for tensor {tensor:?}, expected {expected}; \
         is it for this model?"
    )]
    EntrySize {
        /// The tensor.
        tensor: String,
        /// Columns times matrices of the tensor.
        expected: u64,
        /// Weights in the entry.
        found: u64,
    },
    /// A pattern is found in no tensor name.
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
        /// The option, as it was given.
        option: String,
        /// Why it has none.
        why: &'static str,
    },
    /// What would be written is no valid GGUF file, or none that programs can load.
    #[error("the result would not be valid: {0}")]
    Invalid(Invalid),
    /// A tensor's place in the model, which its type depends on, is not known.
    #[error("tensor {tensor:?} belongs to block {number}, but the block count is {blocks}")]
    NoSuchBlock {
        /// The tensor.
        tensor: String,
        /// The number in its name.
        number: i64,
        /// How many blocks the metadata says there are.
        blocks: u32,
    },
    /// `general.alignment` was set to something that no file can have.
    #[error("general.alignment = {0} is not a power of two")]
    Alignment(String),
    /// A split set would have more files than its keys can count.
    #[error(
        "the result would have {files} files, but a split set has at most {most}; raise the limits"
    )]
    TooManyFiles {
        /// How many there would be.
        files: u64,
        /// How many there can be.
        most: u32,
    },
    /// A saved plan is not one.
    #[error("not a saved plan: {0}")]
    Format(String),
    /// A saved plan is for other tensors than the source has.
    #[error("the plan was made for another source: {0}")]
    OtherSource(String),
}

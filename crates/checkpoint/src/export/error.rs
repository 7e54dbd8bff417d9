use std::path::PathBuf;

use granule_format::{BlockType, Shape};

/// An error that prevents a GGUF file from becoming a checkpoint.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// No rule of the architecture makes this tensor, or its only rule needs tensors that are
    /// missing.
    #[error(
        "tensor {tensor:?}: no rule of architecture {arch:?} makes it{}; use --plain to write the \
         file's own names and layout",
        lacks.as_ref().map_or(String::new(), |(rule, lacks)| format!(
            " except that of {rule:?}, which also makes {lacks:?}, and the file lacks that"
        ))
    )]
    NoRule {
        /// The tensor of the file.
        tensor: String,
        /// The architecture.
        arch: String,
        /// The tensor of the checkpoint whose rule makes it, and a missing tensor that the rule
        /// also makes.
        lacks: Option<(String, String)>,
    },
    /// The shape of a tensor differs from the one in its rule.
    #[error(
        "tensor {tensor:?}: its shape is {found}, but from {rule:?} ({by}) the config makes it \
         {expected:?} (length of a row first): give the file's own config, or use --plain"
    )]
    Shape {
        /// The tensor of the file.
        tensor: String,
        /// The tensor of the checkpoint.
        rule: String,
        /// The checkpoint tensor's shape as written in the description.
        by: String,
        /// The shape in the file.
        found: Shape,
        /// The shape that follows from the config.
        expected: Vec<u64>,
    },
    /// The rule of a tensor has no inverse.
    #[error(
        "tensor {tensor:?}: the rule for {rule:?} cannot be inverted ({why}); use --plain to write \
         the file's own names and layout"
    )]
    NoInverse {
        /// The tensor of the file.
        tensor: String,
        /// The tensor of the checkpoint.
        rule: String,
        /// The reason.
        why: &'static str,
    },
    /// Two tensors would have the same name.
    #[error("two tensors of the checkpoint would have the name {name:?}")]
    SameName {
        /// The name.
        name: String,
    },
    /// The config belongs to another architecture.
    #[error(
        "{}: this config is for architecture {config:?} but the file has {file:?}",
        path.display()
    )]
    OtherArchitecture {
        /// The config file.
        path: PathBuf,
        /// The architecture of the config.
        config: String,
        /// The architecture of the file.
        file: String,
    },
    /// The file has no tensors to write.
    #[error("{}: the file has no tensors", path.display())]
    NoTensors {
        /// The file.
        path: PathBuf,
    },
    /// The folder already has weights.
    #[error(
        "{}: the folder already has weights; remove them or choose another folder",
        path.display()
    )]
    HasWeights {
        /// The file with weights.
        path: PathBuf,
    },
    /// A value exceeds the range of the type.
    #[error("tensor {tensor:?}: the value {value} does not fit {ty}; choose --type BF16 or F32")]
    OutOfRange {
        /// The tensor of the checkpoint.
        tensor: String,
        /// The value.
        value: f32,
        /// The type.
        ty: BlockType,
    },
}

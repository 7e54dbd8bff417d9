use std::path::PathBuf;

use granule_format::{BlockType, Shape};

/// Why a GGUF file cannot become a checkpoint.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// No rule of the architecture makes this tensor, or only together with others that are not there.
    #[error(
        "tensor {tensor:?}: no rule of architecture {arch:?} makes it{}; --plain writes the file's own names and layout",
        lacks.as_ref().map_or(String::new(), |(rule, lacks)| format!(" but that of {rule:?}, which also makes {lacks:?}, and that is not in the file"))
    )]
    NoRule {
        /// The tensor of the file.
        tensor: String,
        /// The architecture.
        arch: String,
        /// The tensor of the checkpoint whose rule makes it, and another tensor of that rule that is missing.
        lacks: Option<(String, String)>,
    },
    /// A tensor has not the shape that the rule says.
    #[error(
        "tensor {tensor:?}: its shape is {found}, from {rule:?} ({by}) by the config it would be {expected:?} (length of a row first); the config is of another model, or --plain"
    )]
    Shape {
        /// The tensor of the file.
        tensor: String,
        /// The tensor of the checkpoint.
        rule: String,
        /// The shape of that one, as the description says it.
        by: String,
        /// The shape in the file.
        found: Shape,
        /// The shape that the config says.
        expected: Vec<u64>,
    },
    /// What the rule does to a tensor cannot be undone.
    #[error(
        "tensor {tensor:?}: the rule for {rule:?} cannot be inverted ({why}); --plain writes the file's own names and layout"
    )]
    NoInverse {
        /// The tensor of the file.
        tensor: String,
        /// The tensor of the checkpoint.
        rule: String,
        /// Why.
        why: &'static str,
    },
    /// Two tensors would have the same name.
    #[error("two tensors of the checkpoint would be called {name:?}")]
    SameName {
        /// The name.
        name: String,
    },
    /// The config is one of another architecture.
    #[error("{}: this is the config of architecture {config:?}, the file has {file:?}", path.display())]
    OtherArchitecture {
        /// The config.
        path: PathBuf,
        /// Its architecture.
        config: String,
        /// That of the file.
        file: String,
    },
    /// The file's tensors have no values to write.
    #[error("{}: there are no tensors in it", path.display())]
    NoTensors {
        /// The file.
        path: PathBuf,
    },
    /// The folder has weights already.
    #[error("{}: the folder has weights already; remove them or give another folder", path.display())]
    HasWeights {
        /// The file with weights.
        path: PathBuf,
    },
    /// A value is beyond the range of the type.
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

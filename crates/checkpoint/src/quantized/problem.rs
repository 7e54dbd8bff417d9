use granule_format::BlockType;

/// A problem with the tensors that form a quantized weight.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizedProblem {
    /// The tensors are packed by another method than the config says.
    #[error("the tensors are packed as by {found}, but the quantization_config says {said:?}")]
    OtherMethod {
        /// The method of the tensors.
        found: &'static str,
        /// The method of the config.
        said: String,
    },
    /// The zero points of numbers do not match their scales.
    #[error("zero points {other:?} of shape {found:?} do not fit scales of shape {scales:?}")]
    ZeroShape {
        /// The shape of the zero points.
        found: Vec<u64>,
        /// The shape of the scales.
        scales: Vec<u64>,
        /// The tensor of the zero points.
        other: String,
    },
    /// A list with the groups of columns has the wrong type or length.
    #[error("{tensors}: expected a list of I32 with the group of each of {columns} columns")]
    GroupList {
        /// Name, type and shape.
        tensors: String,
        /// Number of columns.
        columns: u64,
    },
    /// A column belongs to a group that does not exist.
    #[error("column {column} is in group {found}, but there are {groups} groups")]
    Group {
        /// The column.
        column: u64,
        /// Its group.
        found: i32,
        /// Number of groups.
        groups: u64,
    },
    /// The description of a weight of bitsandbytes is not JSON, or lacks something.
    #[error(
        "not a valid description of a weight (JSON with \"shape\", \"blocksize\" and, for \
         quantized scales, \"nested_blocksize\" and \"nested_offset\"): {state}"
    )]
    QuantState {
        /// The description.
        state: serde_json::Value,
    },
    /// The list of the values of codes has the wrong type or length.
    #[error("{tensors}: expected {count} floating-point numbers, the values of the codes")]
    Levels {
        /// Name, type and shape.
        tensors: String,
        /// Number of codes.
        count: u64,
    },
    /// The numbers of a weight are stored in the order of a matrix unit.
    #[error(
        "the numbers are in the order of a matrix unit: save the model with a newer release of \
         bitsandbytes"
    )]
    TileOrder,
    /// The factor of a whole tensor is not a number.
    #[error("{tensors}: expected one floating-point number")]
    Factor {
        /// Name, type and shape.
        tensors: String,
    },
    /// Parts of one tensor have different factors.
    #[error("its factors differ from those of the other parts of {name}, which has room for one")]
    OtherFactors {
        /// The tensor of the file.
        name: String,
    },
    /// The shapes of floating-point codes of 4 bits and their scales do not match.
    #[error(
        "codes of shape {codes:?} (two in a byte) do not fit scales {other:?} of shape {scales:?}: \
         expected one for {group} values, and rows of a multiple of {multiple} values"
    )]
    FloatShapes {
        /// The shape of the codes.
        codes: Vec<u64>,
        /// The shape of the scales.
        scales: Vec<u64>,
        /// The tensor of the scales.
        other: String,
        /// Values that share a scale.
        group: u64,
        /// Values of a block of the file.
        multiple: u64,
    },
    /// Values that were on the grid of a type no longer are.
    #[error(
        "the values in row {row} from column {column} of the file's tensor are not on the grid of \
         {ty}: the file has changed since it was opened"
    )]
    NotExact {
        /// The row in the file, counted over all dimensions but the first.
        row: u64,
        /// The column.
        column: u64,
        /// The type.
        ty: BlockType,
    },
}

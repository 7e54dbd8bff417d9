//! The container: header, metadata, tensor table, data layout, writing, split sets.
//!
//! See `spec/container.md` for the bytes.

mod header;
mod layout;
mod metadata;
mod parser;
mod shard;
mod strings;
mod survey;
mod tensor;
mod value;
mod walk;
mod writer;

pub use header::{EntrySpan, Header};
pub use layout::Draft;
pub use metadata::{Entry, Metadata, MetadataError};
pub use parser::HeaderParser;
pub use shard::{SHARD_COUNT, SHARD_NUMBER, SHARD_TENSORS, ShardName};
pub use strings::StringArray;
pub use survey::{Fault, Survey};
pub use tensor::{Shape, TensorInfo, TensorType};
#[cfg(test)]
pub(crate) use value::put_value;
pub use value::{Array, Value, ValueType};
pub use writer::{TensorWriter, WriteError, Writer};

/// The first four bytes of a file.
pub const MAGIC: [u8; 4] = *b"GGUF";

/// The version that is written.
pub const VERSION: u32 = 3;

/// The metadata key that sets the alignment of tensor data.
pub const ALIGNMENT_KEY: &str = "general.alignment";

/// The alignment of tensor data where `general.alignment` is absent, in bytes.
pub const DEFAULT_ALIGNMENT: u32 = 32;

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Least significant byte first.
    #[default]
    Little,
    /// Most significant byte first.
    Big,
}

impl Endian {
    /// The byte order of the machine that this runs on.
    pub const NATIVE: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };
}

impl std::fmt::Display for Endian {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Little => "little-endian",
            Self::Big => "big-endian",
        })
    }
}

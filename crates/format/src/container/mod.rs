//! The container: header, metadata, tensor table, data layout, writing, split sets.
//!
//! See `spec/container.md` for the bytes.

mod constants;
mod counts;
mod cursor;
mod endian;
mod entries;
mod faults;
mod header;
mod layout;
mod metadata;
mod name;
mod parser;
mod read_value;
mod shard;
mod sink;
mod strings;
mod survey;
mod table;
mod tensor;
mod value;
mod walk;
mod write_error;
mod writer;

pub use constants::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, VERSION};
pub use endian::Endian;
pub use faults::Fault;
pub use header::{EntrySpan, Header};
pub use layout::Draft;
pub use metadata::{Entry, Metadata, MetadataError};
pub use parser::HeaderParser;
pub use shard::{SHARD_COUNT, SHARD_NUMBER, SHARD_TENSORS, ShardName};
#[cfg(test)]
pub(crate) use sink::put_value;
pub use strings::StringArray;
pub use survey::Survey;
pub use tensor::{Shape, TensorInfo, TensorType};
pub use value::{Array, Value, ValueType};
pub use write_error::WriteError;
pub use writer::{TensorWriter, Writer};

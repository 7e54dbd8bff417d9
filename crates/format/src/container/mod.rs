//! The container: header, metadata, tensor table, data layout, writing, split sets.
//!
//! See `spec/container.md` for the bytes.

mod constants;
mod counts;
mod cursor;
pub(crate) mod endian;
mod entries;
mod faults;
pub(crate) mod from_value;
pub(crate) mod header;
pub(crate) mod layout;
pub(crate) mod metadata;
mod name;
pub(crate) mod parser;
mod read_value;
mod shard;
mod sink;
pub(crate) mod strings;
mod survey;
mod table;
pub(crate) mod tensor;
pub(crate) mod value;
mod walk;
pub(crate) mod write_error;
#[cfg(feature = "std")]
pub(crate) mod writer;

// What every program needs is exported once, at the root of the crate; the rest is exported here.
pub use constants::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, VERSION};
pub use faults::Fault;
pub use from_value::{Expected, FromValue};
pub use header::EntrySpan;
pub use metadata::Entry;
pub use shard::{SHARD_COUNT, SHARD_NUMBER, SHARD_TENSORS, ShardName};
pub use survey::Survey;
#[cfg(feature = "std")]
pub use writer::TensorWriter;

pub(crate) use endian::Endian;
pub(crate) use header::Header;
pub(crate) use layout::Draft;
pub(crate) use metadata::Metadata;
#[cfg(test)]
pub(crate) use sink::put_value;
pub(crate) use strings::StringArray;
pub(crate) use tensor::{Shape, TensorInfo, TensorType};
pub(crate) use value::{Array, Value, ValueType};
pub(crate) use write_error::WriteError;

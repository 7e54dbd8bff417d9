//! What the bytes of a GGUF file mean.
//!
//! | module | holds |
//! |---|---|
//! | [`container`] | header, metadata, tensor table, layout, streaming writer, split sets |
//! | [`block`] | the block types: layout, pack and unpack, scalar decode, defects |
//! | [`check`](mod@check) | the validator and its rules |
//! | [`file_type`] | the values of `general.file_type` |
//! | [`num`] | little-endian numbers without alignment, for block fields |
//!
//! This crate opens no files, starts no threads and holds no `unsafe` code: it maps bytes that
//! somebody else read. `granule-reader` opens files with it, `granule-convert` writes them.
#![forbid(unsafe_code)]

#[macro_use]
pub mod block;
pub mod check;
pub mod container;
mod error;
pub mod file_type;
mod limits;
pub mod num;

pub use block::{Block, BlockType, Defect};
pub use check::check;
pub use container::{
    Array, Draft, Endian, Header, HeaderParser, Metadata, MetadataError, Shape, StringArray,
    TensorInfo, TensorType, Value, ValueType, WriteError, Writer,
};
pub use error::{Counted, Error, ErrorKind, Place};
pub use file_type::{FileType, UnknownFileType};
pub use limits::Limits;

/// The version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

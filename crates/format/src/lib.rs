//! Reads, writes and validates GGUF files: what their bytes mean.
//!
//! This example builds a header, writes a tensor, and reads both back:
//!
#![cfg_attr(feature = "std", doc = "```")]
#![cfg_attr(not(feature = "std"), doc = "```ignore")]
//! use std::io::Write;
//!
//! # use granule_format::block::blocks_of;
//! use granule_format::block::q8_0::{Codes, Q8_0};
//! use granule_format::num::F16;
//! use granule_format::{
//!     Block, BlockType, Draft, Endian, Header, Metadata, Shape, Writer, zerocopy::IntoBytes,
//! };
//!
//! // the header is complete, with every offset, before any data is written
//! let mut metadata = Metadata::new();
//! metadata.set("general.architecture", "llama");
//! let mut draft = Draft::new(metadata, Endian::Little)?;
//! let shape = Shape::new(&[64, 1]).expect("at most four dimensions");
//! draft.add("output.weight", shape, BlockType::Q8_0.into())?;
//!
//! // a row of 64 values is two blocks of 32
//! let codes = Codes { scale: F16::from_f32(0.5), codes: std::array::from_fn(|i| i as i8 - 16) };
//! let row = [Q8_0::pack(&codes), Q8_0::pack(&codes)];
//! let mut writer = Writer::start(Vec::new(), draft)?;
//! let mut tensor = writer.tensor("output.weight")?;
//! tensor.write_all(row.as_bytes())?;
//! tensor.finish()?;
//! let file = writer.finish()?;
//!
//! let header = Header::parse(&file)?;
//! assert_eq!(header.metadata().require::<&str>("general.architecture")?, "llama");
//! let tensor = header.tensor("output.weight").expect("it was written");
//! let data = &file[(header.data_offset() + tensor.offset) as usize..];
//! let mut values = [0.0; 64];
//! BlockType::Q8_0.decode_row(&data[..row.as_bytes().len()], &mut values);
//! assert_eq!(values[..3], [-8.0, -7.5, -7.0]);
//! # assert_eq!(blocks_of::<Q8_0>(&data[..68])[1].unpack(), codes);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`container`] | header, metadata, tensor table, layout, streaming writer, split sets |
//! | [`block`] | the block types: layout, pack and unpack, scalar decode, defects |
//! | [`check`](mod@check) | the validator and its rules |
//! | [`nearest`] | known names that a misspelt one was probably meant to be |
//! | [`num`] | little-endian numbers without alignment, for block fields |
//!
//! Everyday types are exported at the root, the others by these modules.
//!
//! This crate opens no files, starts no threads and holds no `unsafe` code: it interprets bytes
//! that the caller has read. `granule-reader` opens files with it, `granule-convert` writes them.
//!
//! # Features
//!
//! - `std` (default): [`Writer`]. Without it the crate needs only `alloc`.
//! - `serde`: `Serialize` for the [`Report`](check::Report) of a check.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

#[macro_use]
pub mod block;
pub mod check;
pub mod container;
mod error;
mod file_type;
mod limits;
pub mod nearest;
pub mod num;
mod prelude;

pub use block::block_type::BlockType;
pub use block::defect::Defect;
pub use block::layout::Block;
pub use check::checker::check;
pub use container::endian::Endian;
pub use container::from_value::MetadataError;
pub use container::header::Header;
pub use container::layout::Draft;
pub use container::metadata::Metadata;
pub use container::parser::HeaderParser;
pub use container::strings::StringArray;
pub use container::tensor::{Shape, TensorInfo, TensorType};
pub use container::value::{Array, Value, ValueType};
pub use container::write_error::WriteError;
#[cfg(feature = "std")]
pub use container::writer::Writer;
pub use error::{Counted, Error, ErrorKind, Place};
pub use file_type::{FileType, UnknownFileType};
pub use limits::Limits;
/// The crate of the traits that [`Block`] requires and of the numbers in some blocks' fields.
#[doc(no_inline)]
pub use zerocopy;

/// The version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

//! Open GGUF files, decode quantized tensors and multiply with them.
//!
//! ```
//! use granule_reader::Model;
//! # use granule_reader::format::{BlockType, Draft, Metadata, Shape};
//! # let mut metadata = Metadata::new();
//! # metadata.set("general.architecture", "llama");
//! # let mut draft = Draft::new(metadata, Default::default())?;
//! # draft.add("output.weight", Shape::new(&[256, 3]).ok_or("shape")?, BlockType::Q4_K.into())?;
//! # let mut file = draft.header();
//! # file.resize(file.len() + 3 * 144, 0);
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("model.gguf");
//! # std::fs::write(&path, file)?;
//!
//! // reads the header; the data of a tensor is read when it is needed
//! let model = Model::open(&path)?;
//! assert_eq!(model.metadata().text("general.architecture")?, Some("llama"));
//! for tensor in &model {
//!     println!("{}: {}, {}", tensor.name(), tensor.ty(), tensor.shape());
//! }
//!
//! let output = model.tensor("output.weight").ok_or("no such tensor")?;
//! // one row at a time, in a buffer that is reused
//! let mut rows = output.row_reader(..);
//! while let Some(row) = rows.next_row()? {
//!     assert_eq!(row.len(), output.row_values());
//! }
//!
//! // matrix times vector, in the quantized form
//! let (x, mut y) = (vec![1.0; output.row_values()], vec![0.0; output.rows()]);
//! output.matvec(&x, &mut y)?;
//! # assert_eq!(y, [0.0; 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | to | use |
//! |---|---|
//! | open a file or a split set | [`Model`], [`OpenOptions`] |
//! | open from memory or a store of your own | [`Model::from_bytes`], [`ReadAt`] |
//! | decode rows | [`Tensor::decode_rows`], [`Tensor::row_reader`], [`Tensor::to_vec`] |
//! | multiply with vectors and batches | [`Tensor::matvec`], [`Tensor::matmul`], [`Activations`] |
//! | multiply often with the same weights | [`Tensor::pack`], [`PackedMatrix`] |
//! | accept a tensor or packed weights | [`Matrix`] |
//! | multiply with the same bits on every CPU | [`exact`] |
//! | compute with bytes that you hold yourself | [`decode_blocks`], [`dot_rows`] |
//! | accept anything that has tensors | [`Source`], [`GgufSource`] |
//! | choose or detect an instruction set | [`isa`] |
//!
//! Decoding gives the same bits on every CPU. Products do not depend on the number of threads or on
//! how the file was opened, but may differ in the last bits between instruction sets.
//!
//! # Features
//!
//! Both are on by default. Without them the crate builds for targets without threads and files,
//! such as `wasm32-unknown-unknown`, and opens models from bytes.
//!
//! - `mmap`: map files into memory (`Model::map`).
//! - `rayon`: share large products among threads.
//!
//! The types of [`granule_format`] are re-exported as [`mod@format`], the 16-bit numbers of the
//! crate `half` as [`f16`](struct@f16) and [`bf16`].
#![deny(unsafe_code)]
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "panels and packing need lanes, which only x86-64 has so far")
)]

mod activations;
mod error;
pub mod exact;
pub mod file;
#[allow(unsafe_code, reason = "entering code that is compiled for a detected instruction set")]
pub mod isa;
mod kernel;
#[cfg(feature = "mmap")]
mod map;
mod matmul;
mod matrix;
mod model;
mod open;
mod packed;
mod parallel;
mod read_at;
mod rounding;
mod rows;
mod source;
mod storage;
mod strip;
mod tensor;
mod tile;
mod vector;

pub use activations::{Activations, Form};
pub use error::{Error, SetFault, Unsupported};
pub use granule_format as format;
pub use half::{bf16, f16};
pub use kernel::{decode_blocks, dot_rows};
#[cfg(feature = "mmap")]
pub use map::FileMap;
pub use matrix::Matrix;
pub use model::{Model, Shard, Tensors};
pub use open::OpenOptions;
pub use packed::PackedMatrix;
pub use read_at::ReadAt;
pub use rows::RowReader;
pub use source::{GgufSource, Source, SourceTensor};
pub use tensor::Tensor;

/// The version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

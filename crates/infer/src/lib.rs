//! Runs models from any [`Source`](granule_reader::Source): a GGUF file, a checkpoint, or whatever
//! else has metadata and tensors.
//!
//! ```no_run
//! use granule_infer::{Mode, Model, Session};
//! use granule_reader::GgufSource;
//!
//! let source = GgufSource::open("model.gguf")?;
//! let model = Model::open(&source)?;
//! let tokenizer = model.tokenizer()?;
//! let mut session = Session::new(&model, Mode::Fast)?;
//! let logits = session.forward(&tokenizer.encode("Once upon a time")?)?;
//! let (token, _) = granule_infer::best(&logits, 1)[0];
//! println!("{}", String::from_utf8_lossy(&tokenizer.decode(token)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | to | use |
//! |---|---|
//! | open a model | [`Model`] |
//! | turn text into tokens and back | [`Tokenizer`] |
//! | continue a text, embed a text | [`Session`], [`Sampler`] |
//! | run many tokens in the memory of one layer, and see the input of every product | [`stream`] |
//! | measure a model, or what it loses against another | [`measure`], [`Chunks`] |
//! | sum what goes into every product, for an importance matrix | [`statistics`] |
//! | see what a tensor with other values changes in its layer | [`sensitivity`] |
//!
//! A model is a graph that is read from the metadata and the names of the tensors; architectures
//! without a graph are an [`Error::Architecture`].
//!
//! With [`Mode::Exact`], and in [`stream`], results have the same bits on every machine and for
//! every number of threads. Work is shared among the threads of the rayon pool that the caller runs
//! in.
#![forbid(unsafe_code)]

mod chunks;
mod compute;
mod error;
mod graph;
pub mod measure;
mod model;
mod sample;
mod saved;
pub mod sensitivity;
mod session;
mod state;
pub mod statistics;
pub mod stream;
mod tokenizer;

pub use chunks::{Chunks, ChunksError};
pub use compute::Mode;
pub use error::{Error, TokenizerError};
pub use model::Model;
pub use sample::{Sampler, best};
pub use session::Session;
pub use state::LayerState;
pub use stream::Place;
pub use tokenizer::Tokenizer;

/// The architectures that can be run, as `general.architecture` names them.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    graph::names()
}

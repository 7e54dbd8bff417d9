//! Checkpoints and GGUF files that are on no disk of this machine: on web servers, in object
//! stores, on the Hugging Face hub.
//!
//! ```no_run
//! use granule_reader::Model;
//! use granule_remote::{Address, Client};
//!
//! let client = Client::new(Default::default())?;
//! let address = Address::parse("hf://Qwen/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf")?;
//! let model = client.open_model(&address, Model::options())?; // reads the header only
//! println!("{} tensors", model.tensors().len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | task | here |
//! |---|---|
//! | say what to read | [`Address`] |
//! | open a GGUF file, or a split set by any of its files | [`Client::open_model`] |
//! | open a checkpoint | [`Client::open_folder`], for `Checkpoint::open_folder` |
//! | read any bytes of an object | [`Client::open_file`] |
//! | upload the results of a conversion | [`RemoteUploads`] |
//!
//! **What is moved.** Only the ranges that are read, and those that a
//! [`Source`](granule_reader::Source) has [announced](granule_reader::ReadAt::will_read): these are
//! fetched ahead, several at a time. What is fetched stays in memory until it is read or the
//! [bound](Settings::memory) is reached.
//!
//! **What is checked.** Each response has to be the range that was asked for, of an object of the
//! same length and the same ETag (or time of change) as when it was opened. What was cut short, and
//! what failed in a way that may pass, is asked for again, later each time.
//!
//! **Secrets.** No message and no value that is shown has the user, the password, the query or the
//! fragment of a URL, or a token. Tokens and passwords go to the host that they are for, never to
//! one that it redirects to.
//!
//! All asynchronous code is in one module, on one small runtime of its own; everything that is
//! public blocks the calling thread.

#![forbid(unsafe_code)]

mod address;
mod aws_profile;
mod cache;
mod client;
mod credentials;
mod fault;
mod file;
mod folder;
mod hub;
mod transport;
mod upload;

pub use address::{Address, AddressError};
pub use client::{Client, Kind, Settings};
pub use fault::Fault;
pub use file::RemoteFile;
pub use folder::RemoteFolder;
pub use upload::RemoteUploads;

//! Tests of checkpoints, as modules of one binary: linking each on its own takes longer than
//! running it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod adapters;
mod bad_checkpoints;
mod checkpoint;
mod common;
mod drafts;
mod elsewhere;
mod exact;
mod found_checkpoints;
mod own_layout;
mod projectors;
mod quantized_checkpoints;
mod situations;

//! Tests of the format, as modules of one binary: linking each on its own takes longer than
//! running it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod block_roundtrip;
mod container;
mod corpus;
mod fixtures_page;
mod mutations;
mod rules_page;
mod spec_codebooks;
mod spec_container;
mod spec_pages;
mod writer;

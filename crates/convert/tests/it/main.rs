//! Tests of conversion, as modules of one binary: linking each on its own takes longer than
//! running it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod build_id;
mod common;
mod continued;
mod error_chains;
mod mixtures_page;
mod plan;
mod resume;
mod run;
mod type_choice;
mod validity;
mod verify;

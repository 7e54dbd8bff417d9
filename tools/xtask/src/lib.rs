//! What tasks and experiments share.
#![allow(clippy::print_stdout, reason = "for programs of the terminal")]

pub mod run;

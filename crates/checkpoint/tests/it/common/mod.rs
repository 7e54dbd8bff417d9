#![allow(dead_code, reason = "each test uses its part")]
//! What several tests share.

pub(crate) mod encoding;
pub(crate) mod folder;

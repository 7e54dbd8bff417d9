//! Granule for C: a small, stable set of functions over the libraries.
//!
//! `include/granule.h` is generated from this crate by cbindgen; a test compares them.
//! `examples/rows.c` shows most of it.
#![allow(non_camel_case_types, reason = "the names are those of C")]
#![allow(unsafe_code, reason = "pointers of C; each use says what the caller promises")]

mod blocks;
mod metadata;
mod model;
mod report;
mod status;
mod strings;

pub use blocks::{
    granule_decode_blocks, granule_encode, granule_row_bytes, granule_type_from_name,
    granule_type_name,
};
pub use metadata::{
    granule_metadata_array_float, granule_metadata_array_integer, granule_metadata_array_length,
    granule_metadata_array_string, granule_metadata_bool, granule_metadata_count,
    granule_metadata_float, granule_metadata_integer, granule_metadata_key,
    granule_metadata_string,
};
pub use model::{
    granule_close, granule_decode_rows, granule_matmul, granule_model, granule_open,
    granule_open_bytes, granule_tensor, granule_tensor_at, granule_tensor_count,
    granule_tensor_find,
};
pub use report::{
    granule_check, granule_finding, granule_report, granule_report_count, granule_report_finding,
    granule_report_free, granule_report_valid,
};
pub use status::{granule_error_message, granule_status, granule_version};
pub use strings::granule_string;

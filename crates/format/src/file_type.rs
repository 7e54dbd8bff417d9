//! The values of `general.file_type`.

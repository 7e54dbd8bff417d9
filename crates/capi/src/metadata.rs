//! Metadata.

use std::ffi::c_char;

use granule_format::{Array, Value};

use crate::model::granule_model;
use crate::status::{Result, attempt, fail, granule_status};
use crate::strings::{give, granule_string, shared, text};

/// Returns the number of metadata entries; 0 if `model` is null.
///
/// # Safety
/// `model` must be null or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_metadata_count(model: *const granule_model) -> usize {
    // SAFETY: the caller promises that it is null or open.
    unsafe { model.as_ref() }.map_or(0, |model| model.0.metadata().len())
}

/// Gives the key of the entry at `index`, in the order of the file.
///
/// # Safety
/// `model` must be open, `key` lead to room for a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_metadata_key(
    model: *const granule_model,
    index: usize,
    key: *mut granule_string,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises that it is open.
        let metadata = unsafe { shared("model", model) }?.0.metadata();
        match metadata.iter().nth(index) {
            // SAFETY: the caller promises room.
            Some(entry) => unsafe { give("key", key, granule_string::of(entry.key.as_bytes())) },
            None => fail(granule_status::Argument, format!("entry {index} of {}", metadata.len())),
        }
    })
}

/// The value of a key.
///
/// # Safety
/// `model` must be open for `'a`, `key` a string that ends with NUL.
unsafe fn value<'a>(
    model: *const granule_model,
    key: *const c_char,
) -> Result<(&'a str, &'a Value)> {
    // SAFETY: the caller promises an open model and a string.
    let (model, key) = unsafe { (shared("model", model)?, text("key", key)?) };
    match model.0.metadata().get(key) {
        Some(value) => Ok((key, value)),
        None => fail(granule_status::NotFound, format!("there is no key {key:?}")),
    }
}

fn wrong<T>(key: &str, found: impl std::fmt::Display, expected: &str) -> Result<T> {
    fail(granule_status::Type, format!("key {key:?} has type {found}, expected {expected}"))
}

/// Gives the string of a key.
///
/// # Safety
/// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_metadata_string(
    model: *const granule_model,
    key: *const c_char,
    out: *mut granule_string,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises an open model and a string.
        let (key, value) = unsafe { value(model, key) }?;
        match value.as_str() {
            // SAFETY: the caller promises room.
            Some(text) => unsafe { give("out", out, granule_string::of(text.as_bytes())) },
            None => wrong(key, value.value_type(), "String"),
        }
    })
}

/// Gives the integer of a key, whatever integer type it is stored with.
///
/// # Safety
/// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_metadata_integer(
    model: *const granule_model,
    key: *const c_char,
    out: *mut i64,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises an open model and a string.
        let (key, value) = unsafe { value(model, key) }?;
        match value.as_integer() {
            // SAFETY: the caller promises room.
            Some(number) => unsafe { give("out", out, narrow(key, number)?) },
            None => wrong(key, value.value_type(), "an integer"),
        }
    })
}

fn narrow(key: &str, number: i128) -> Result<i64> {
    match i64::try_from(number) {
        Ok(number) => Ok(number),
        Err(_) => {
            fail(granule_status::Type, format!("key {key:?}: {number} needs 64 bits unsigned"))
        }
    }
}

/// Gives the floating-point number of a key.
///
/// # Safety
/// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_metadata_float(
    model: *const granule_model,
    key: *const c_char,
    out: *mut f64,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises an open model and a string.
        let (key, value) = unsafe { value(model, key) }?;
        let number = match value {
            Value::F32(number) => f64::from(*number),
            Value::F64(number) => *number,
            _ => return wrong(key, value.value_type(), "F32 or F64"),
        };
        // SAFETY: the caller promises room.
        unsafe { give("out", out, number) }
    })
}

/// Gives the boolean of a key.
///
/// # Safety
/// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a boolean.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_metadata_bool(
    model: *const granule_model,
    key: *const c_char,
    out: *mut bool,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises an open model and a string.
        let (key, value) = unsafe { value(model, key) }?;
        match value.as_bool() {
            // SAFETY: the caller promises room.
            Some(truth) => unsafe { give("out", out, truth) },
            None => wrong(key, value.value_type(), "Bool"),
        }
    })
}

/// The array of a key.
///
/// # Safety
/// As [`value`].
unsafe fn array<'a>(
    model: *const granule_model,
    key: *const c_char,
) -> Result<(&'a str, &'a Array)> {
    // SAFETY: the caller promises an open model and a string.
    let (key, value) = unsafe { value(model, key) }?;
    match value.as_array() {
        Some(array) => Ok((key, array)),
        None => wrong(key, value.value_type(), "Array"),
    }
}

fn missing<T>(key: &str, index: usize, length: usize) -> Result<T> {
    fail(granule_status::Argument, format!("key {key:?}: element {index} of {length}"))
}

/// Gives the number of elements of the array of a key.
///
/// # Safety
/// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_metadata_array_length(
    model: *const granule_model,
    key: *const c_char,
    out: *mut usize,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises an open model, a string and room.
        unsafe { give("out", out, array(model, key)?.1.len()) }
    })
}

/// Gives the string at `index` in the array of a key. It need not be UTF-8.
///
/// # Safety
/// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_metadata_array_string(
    model: *const granule_model,
    key: *const c_char,
    index: usize,
    out: *mut granule_string,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises an open model and a string.
        let (key, array) = unsafe { array(model, key) }?;
        let Array::String(strings) = array else {
            return wrong(key, array.element_type(), "an array of String");
        };
        match strings.get(index) {
            // SAFETY: the caller promises room.
            Some(bytes) => unsafe { give("out", out, granule_string::of(bytes)) },
            None => missing(key, index, strings.len()),
        }
    })
}

/// Gives the integer at `index` in the array of a key.
///
/// # Safety
/// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_metadata_array_integer(
    model: *const granule_model,
    key: *const c_char,
    index: usize,
    out: *mut i64,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises an open model and a string.
        let (key, array) = unsafe { array(model, key) }?;
        if matches!(array, Array::String(_) | Array::Array(_)) {
            return wrong(key, array.element_type(), "an array of integers");
        }
        let Some(element) = array.get(index) else { return missing(key, index, array.len()) };
        match element.as_integer() {
            // SAFETY: the caller promises room.
            Some(number) => unsafe { give("out", out, narrow(key, number)?) },
            None => wrong(key, array.element_type(), "an array of integers"),
        }
    })
}

/// Gives the floating-point number at `index` in the array of a key.
///
/// # Safety
/// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_metadata_array_float(
    model: *const granule_model,
    key: *const c_char,
    index: usize,
    out: *mut f64,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises an open model and a string.
        let (key, array) = unsafe { array(model, key) }?;
        let element = match array {
            Array::F32(items) => items.get(index).map(|number| f64::from(*number)),
            Array::F64(items) => items.get(index).copied(),
            _ => return wrong(key, array.element_type(), "an array of F32 or F64"),
        };
        match element {
            // SAFETY: the caller promises room.
            Some(number) => unsafe { give("out", out, number) },
            None => missing(key, index, array.len()),
        }
    })
}

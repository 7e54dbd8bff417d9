//! Strings and buffers of callers, and strings for them.

use std::ffi::{CStr, c_char};
use std::{ptr, slice};

use crate::status::{Result, fail, granule_status};

/// A string that is returned: UTF-8 unless the function says otherwise, not ended by NUL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct granule_string {
    /// The first byte.
    pub data: *const c_char,
    /// Its length in bytes.
    pub length: usize,
}

impl granule_string {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr().cast(), length: bytes.len() }
    }
}

/// The string of an argument.
///
/// # Safety
/// `text` must be null or a string that ends with NUL and stays for `'a`.
pub(crate) unsafe fn text<'a>(name: &str, text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return fail(granule_status::Argument, format!("{name} is null"));
    }
    // SAFETY: the caller promises a string that ends with NUL.
    let text = unsafe { CStr::from_ptr(text) };
    match text.to_str() {
        Ok(text) => Ok(text),
        Err(_) => fail(granule_status::Argument, format!("{name} is not UTF-8")),
    }
}

/// What a pointer of an argument leads to.
///
/// # Safety
/// `pointer` must be null or lead to a value that stays unchanged for `'a`.
pub(crate) unsafe fn shared<'a, T>(name: &str, pointer: *const T) -> Result<&'a T> {
    // SAFETY: the caller promises that it is null or valid.
    match unsafe { pointer.as_ref() } {
        Some(value) => Ok(value),
        None => fail(granule_status::Argument, format!("{name} is null")),
    }
}

/// The items of an argument; null is allowed where there are none.
///
/// # Safety
/// `data` must lead to `length` items that stay unchanged for `'a`, unless `length` is 0.
pub(crate) unsafe fn items<'a, T>(name: &str, data: *const T, length: usize) -> Result<&'a [T]> {
    check(name, data, length)?;
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: not null, and the caller promises that many items.
    let items = unsafe { slice::from_raw_parts(data, length) };
    Ok(items)
}

/// The room of an argument.
///
/// # Safety
/// `data` must lead to `length` items that nobody else uses for `'a`, unless `length` is 0.
pub(crate) unsafe fn room<'a, T>(name: &str, data: *mut T, length: usize) -> Result<&'a mut [T]> {
    check(name, data, length)?;
    if length == 0 {
        return Ok(&mut []);
    }
    // SAFETY: not null, and the caller promises room for that many items.
    let items = unsafe { slice::from_raw_parts_mut(data, length) };
    Ok(items)
}

fn check<T>(name: &str, data: *const T, length: usize) -> Result<()> {
    if length == 0 {
        return Ok(());
    }
    if data.is_null() {
        return fail(granule_status::Argument, format!("{name} is null"));
    }
    if !data.is_aligned() {
        return fail(granule_status::Argument, format!("{name} is not aligned"));
    }
    let bytes = length.checked_mul(size_of::<T>());
    if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        return fail(granule_status::Argument, format!("{name} is too long: {length} items"));
    }
    Ok(())
}

/// Writes a result to where the caller wants it.
///
/// # Safety
/// `to` must be null or lead to room for a value.
pub(crate) unsafe fn give<T>(name: &str, to: *mut T, value: T) -> Result<()> {
    if to.is_null() {
        return fail(granule_status::Argument, format!("{name} is null"));
    }
    // SAFETY: not null, and the caller promises room; what was there needs no drop.
    unsafe { ptr::write(to, value) };
    Ok(())
}

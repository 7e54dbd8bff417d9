//! Numbers to blocks and back.

use std::ffi::c_char;

use granule_encode::{Effort, EncodeOptions, encode_rows};
use granule_format::BlockType;
use granule_reader::decode_blocks;
use granule_reader::isa::Isa;

use crate::model::exact;
use crate::status::{Result, attempt, fail, granule_status};
use crate::strings::{give, granule_string, items, room, text};

/// Finds the number of the type with this name, such as "Q4_K", in any case.
///
/// # Safety
/// `name` must be a string that ends with NUL, `block_type` lead to room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_type_from_name(
    name: *const c_char,
    block_type: *mut u32,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises a string.
        let name = unsafe { text("name", name) }?;
        match name.parse::<BlockType>() {
            // SAFETY: the caller promises room.
            Ok(ty) => unsafe { give("block_type", block_type, ty.id()) },
            Err(error) => fail(granule_status::NotFound, error.to_string()),
        }
    })
}

/// Returns the name of a type, such as "Q4_K"; its data is null if this version does not know it.
#[unsafe(no_mangle)]
pub extern "C" fn granule_type_name(block_type: u32) -> granule_string {
    match BlockType::from_id(block_type) {
        Some(ty) => granule_string::of(ty.name().as_bytes()),
        None => granule_string { data: std::ptr::null(), length: 0 },
    }
}

/// Calculates the bytes of a row of `columns` values.
///
/// # Safety
/// `bytes` must lead to room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_row_bytes(
    block_type: u32,
    columns: usize,
    bytes: *mut usize,
) -> granule_status {
    attempt(|| {
        let found = row_bytes(known(block_type)?, columns)?;
        // SAFETY: the caller promises room.
        unsafe { give("bytes", bytes, found) }
    })
}

/// Encodes rows of `columns` values each to blocks, with the bytes of llama.cpp. `importance` has
/// a weight for each column, or is null. `effort` is 0; 1 searches longer for better blocks.
///
/// The calling thread does the work: call it for runs of rows from several threads.
///
/// # Safety
/// `values` must lead to `rows * columns` numbers, `importance` to `columns` unless it is null,
/// `out` to room for `bytes` bytes: `rows` times those of `granule_row_bytes`.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "C has no other way to give an array")]
pub unsafe extern "C" fn granule_encode(
    block_type: u32,
    values: *const f32,
    rows: usize,
    columns: usize,
    importance: *const f32,
    effort: u8,
    out: *mut u8,
    bytes: usize,
) -> granule_status {
    attempt(|| {
        let ty = known(block_type)?;
        let Some(effort) = Effort::from_number(effort) else {
            return fail(granule_status::Argument, format!("effort is {effort}, expected 0 or 1"));
        };
        exact("out", bytes, rows.checked_mul(row_bytes(ty, columns)?))?;
        let Some(count) = rows.checked_mul(columns) else {
            return fail(granule_status::Argument, "the rows are too many");
        };
        // SAFETY: the caller promises that many numbers and that much room.
        let (values, out) = unsafe { (items("values", values, count)?, room("out", out, bytes)?) };
        let weights = match importance.is_null() {
            true => None,
            // SAFETY: the caller promises a weight for each column.
            false => Some(unsafe { items("importance", importance, columns) }?),
        };
        if rows > 0 {
            let options = EncodeOptions::default().with_effort(effort);
            encode_rows(options, ty, values, columns, weights, out)?;
        }
        Ok(())
    })
}

/// Decodes blocks to `values` numbers.
///
/// # Safety
/// `blocks` must lead to `bytes` bytes, `out` to room for `values` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_decode_blocks(
    block_type: u32,
    blocks: *const u8,
    bytes: usize,
    out: *mut f32,
    values: usize,
) -> granule_status {
    attempt(|| {
        let ty = known(block_type)?;
        if !bytes.is_multiple_of(ty.block_bytes()) {
            let message = format!("{bytes} bytes are not whole blocks of {ty}");
            return fail(granule_status::Argument, message);
        }
        let count = (bytes / ty.block_bytes()).checked_mul(ty.block_values());
        exact("out", values, count)?;
        // SAFETY: the caller promises that many bytes and that much room.
        let (blocks, out) = unsafe { (items("blocks", blocks, bytes)?, room("out", out, values)?) };
        decode_blocks(Isa::detect(), ty, blocks, out);
        Ok(())
    })
}

fn known(id: u32) -> Result<BlockType> {
    match BlockType::try_from(id) {
        Ok(ty) => Ok(ty),
        Err(error) => fail(granule_status::Unsupported, error.to_string()),
    }
}

fn row_bytes(ty: BlockType, columns: usize) -> Result<usize> {
    match ty.row_bytes(columns as u64).and_then(|bytes| usize::try_from(bytes).ok()) {
        Some(bytes) => Ok(bytes),
        None => {
            let message = format!(
                "rows of {columns} values are not whole blocks of {ty}, which hold {} values each",
                ty.block_values()
            );
            fail(granule_status::Argument, message)
        }
    }
}

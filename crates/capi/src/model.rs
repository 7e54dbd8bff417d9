//! Open files and their tensors.

use std::ffi::c_char;

use granule_format::BlockType;
use granule_reader::{Model, Tensor};

use crate::status::{Result, attempt, fail, granule_status};
use crate::strings::{give, granule_string, items, room, shared, text};

/// An open GGUF file, or all files of a split set.
#[derive(Debug)]
pub struct granule_model(pub(crate) Model);

/// A tensor of a model.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct granule_tensor {
    /// Its name.
    pub name: granule_string,
    /// The number of its type, for `granule_type_name`.
    pub block_type: u32,
    /// The number of its dimensions.
    pub dimensions: u32,
    /// The dimensions, the length of a row first; 1 beyond their number.
    pub shape: [u64; 8],
    /// Number of rows: the product of all dimensions but the first.
    pub rows: usize,
    /// Number of values in a row.
    pub row_values: usize,
    /// Bytes of the data in the file; 0 if the type is unknown.
    pub bytes: u64,
    /// The data as it lies in the file, if the file is mapped or in memory; otherwise null.
    pub data: *const u8,
}

/// Opens a file; if it is one of a split set, all its files. `mapped` maps them into memory: they
/// must not be cut short while the model is open, or a read may end the process.
///
/// # Safety
/// `path` must be a string that ends with NUL, `model` lead to room for a pointer. The model has to
/// be freed with `granule_close`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_open(
    path: *const c_char,
    mapped: bool,
    model: *mut *mut granule_model,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises a string.
        let path = unsafe { text("path", path) }?;
        let opened = match mapped {
            // SAFETY: the caller promises that the files are not cut short.
            true => unsafe { Model::map(path) },
            false => Model::open(path),
        };
        // SAFETY: the caller promises room.
        unsafe { hand_over(model, opened?) }
    })
}

/// Opens a file in memory. The bytes are copied.
///
/// # Safety
/// `data` must lead to `length` bytes, `model` to room for a pointer. The model has to be freed
/// with `granule_close`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_open_bytes(
    data: *const u8,
    length: usize,
    model: *mut *mut granule_model,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises that many bytes.
        let bytes = unsafe { items("data", data, length) }?.to_vec();
        // SAFETY: the caller promises room.
        unsafe { hand_over(model, Model::from_bytes(bytes)?) }
    })
}

/// Gives a model to the caller.
///
/// # Safety
/// `to` must be null or lead to room for a pointer.
unsafe fn hand_over(to: *mut *mut granule_model, model: Model) -> Result<()> {
    if to.is_null() {
        return fail(granule_status::Argument, "model is null");
    }
    let model = Box::into_raw(Box::new(granule_model(model)));
    // SAFETY: not null, and the caller promises room.
    unsafe { give("model", to, model) }
}

/// Closes a model. Null is allowed.
///
/// # Safety
/// `model` must come from this library, and must not be used again, nor what was taken from it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_close(model: *mut granule_model) {
    if !model.is_null() {
        // SAFETY: it was made by `Box::into_raw`, and the caller frees it once.
        drop(unsafe { Box::from_raw(model) });
    }
}

/// Returns the number of tensors; 0 if `model` is null.
///
/// # Safety
/// `model` must be null or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_tensor_count(model: *const granule_model) -> usize {
    // SAFETY: the caller promises that it is null or open.
    unsafe { model.as_ref() }.map_or(0, |model| model.0.tensors().len())
}

/// Describes the tensor at `index`, in the order of the files.
///
/// # Safety
/// `model` must be open, `tensor` lead to room for a tensor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_tensor_at(
    model: *const granule_model,
    index: usize,
    tensor: *mut granule_tensor,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises that it is open.
        let found = unsafe { at(model, index) }?;
        let shape = found.shape();
        let mut dimensions = [1; 8];
        dimensions[..shape.dimensions().len()].copy_from_slice(shape.dimensions());
        let description = granule_tensor {
            name: granule_string::of(found.name().as_bytes()),
            block_type: found.ty().id(),
            dimensions: shape.dimensions().len() as u32,
            shape: dimensions,
            rows: found.rows(),
            row_values: found.row_values(),
            bytes: found.info().bytes().unwrap_or(0),
            data: found.bytes().map_or(std::ptr::null(), <[u8]>::as_ptr),
        };
        // SAFETY: the caller promises room.
        unsafe { give("tensor", tensor, description) }
    })
}

/// Finds the index of the tensor with this name.
///
/// # Safety
/// `model` must be open, `name` a string that ends with NUL, `index` lead to room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_tensor_find(
    model: *const granule_model,
    name: *const c_char,
    index: *mut usize,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises an open model and a string.
        let (model, name) = unsafe { (shared("model", model)?, text("name", name)?) };
        match model.0.tensor_index(name) {
            // SAFETY: the caller promises room.
            Some(found) => unsafe { give("index", index, found) },
            None => fail(granule_status::NotFound, format!("there is no tensor {name:?}")),
        }
    })
}

/// Decodes the rows from `first` on into `out`, which has room for `count` rows: `values` numbers.
///
/// # Safety
/// `model` must be open, `out` lead to room for `values` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_decode_rows(
    model: *const granule_model,
    index: usize,
    first: usize,
    count: usize,
    out: *mut f32,
    values: usize,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises an open model and room.
        let (tensor, out) = unsafe { (at(model, index)?, room("out", out, values)?) };
        known(tensor)?;
        let end = first.checked_add(count).filter(|end| *end <= tensor.rows());
        let Some(end) = end else {
            let message = format!("{count} rows from {first} on, of {}", tensor.rows());
            return fail(granule_status::Argument, message);
        };
        exact("out", values, count.checked_mul(tensor.row_values()))?;
        tensor.decode_rows(first..end, out)?;
        Ok(())
    })
}

/// Multiplies `vectors` vectors, one after another in `x`, with the matrix:
/// `y[vector * rows + row]` is the product of a row and a vector.
///
/// # Safety
/// `model` must be open, `x` lead to `vectors * row_values` numbers, `y` to room for
/// `vectors * rows` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_matmul(
    model: *const granule_model,
    index: usize,
    x: *const f32,
    vectors: usize,
    y: *mut f32,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises that it is open.
        let tensor = unsafe { at(model, index) }?;
        known(tensor)?;
        let sizes =
            vectors.checked_mul(tensor.row_values()).zip(vectors.checked_mul(tensor.rows()));
        let Some((inputs, outputs)) = sizes else {
            return fail(granule_status::Argument, format!("{vectors} vectors are too many"));
        };
        // SAFETY: the caller promises that many numbers and that much room.
        let (x, y) = unsafe { (items("x", x, inputs)?, room("y", y, outputs)?) };
        if x.is_empty() || y.is_empty() {
            y.fill(0.0);
            return Ok(());
        }
        tensor.matmul(x, y)?;
        Ok(())
    })
}

/// The tensor at an index.
///
/// # Safety
/// `model` must be null or open for `'a`.
unsafe fn at<'a>(model: *const granule_model, index: usize) -> Result<Tensor<'a>> {
    // SAFETY: the caller promises that it is null or open.
    let model = unsafe { shared("model", model) }?;
    let count = model.0.tensors().len();
    if index >= count {
        return fail(granule_status::Argument, format!("tensor {index} of {count}"));
    }
    Ok(model.0.tensor_at(index))
}

/// The type of a tensor, unless this version does not know it.
fn known(tensor: Tensor<'_>) -> Result<BlockType> {
    match tensor.ty().known() {
        Some(ty) => Ok(ty),
        None => {
            let message = format!("tensor {:?}: type {} is unknown", tensor.name(), tensor.ty());
            fail(granule_status::Unsupported, message)
        }
    }
}

/// Whether a buffer has the length that is needed.
pub(crate) fn exact(name: &str, found: usize, expected: Option<usize>) -> Result<()> {
    if expected == Some(found) {
        return Ok(());
    }
    let expected = expected.map_or("more than fit".to_owned(), |expected| expected.to_string());
    fail(granule_status::Argument, format!("{name} has {found} items, expected {expected}"))
}

//! Numbers for other libraries by DLPack, an interface for tensors of any library.
//!
//! The structures are those of the specification (version 1.0, and the form before it, which could
//! not say that numbers must not be written to).
#![allow(unsafe_code, reason = "the interface is one of C: structures that own what they point to")]

use std::ffi::{CStr, c_void};
use std::ptr;

use granule_format::BlockType;
use numpy::{PyArrayDyn, PyArrayMethods};
use pyo3::exceptions::{PyBufferError, PyMemoryError};
use pyo3::ffi;
use pyo3::prelude::*;

/// The device of all numbers: its type and its number.
pub(crate) const CPU: (i32, i32) = (1, 0);

const READ_ONLY: u64 = 1;
const COPIED: u64 = 2;

/// Codes of types of numbers.
const INT: u8 = 0;
const UNSIGNED: u8 = 1;
const FLOAT: u8 = 2;
const BFLOAT: u8 = 4;

#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device: (i32, i32),
    dimensions: i32,
    dtype: Numbers,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

/// `DLDataType`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Numbers {
    code: u8,
    bits: u8,
    lanes: u16,
}

/// The form before version 1.0.
#[repr(C)]
struct Managed {
    tensor: Tensor,
    context: *mut c_void,
    delete: Option<unsafe extern "C" fn(*mut Managed)>,
}

#[repr(C)]
struct Versioned {
    version: [u32; 2],
    context: *mut c_void,
    delete: Option<unsafe extern "C" fn(*mut Versioned)>,
    flags: u64,
    tensor: Tensor,
}

/// What a lent tensor keeps.
struct Owner {
    /// The array, whose bytes are lent.
    _array: Py<PyAny>,
    /// Dimensions, then strides.
    extents: Vec<i64>,
}

/// Refuses any device but the CPU.
pub(crate) fn check_device(device: Option<(i32, i32)>) -> PyResult<()> {
    match device {
        None | Some(CPU) => Ok(()),
        Some((kind, _)) => {
            let message =
                format!("tensors of files are on the CPU, not on a device of type {kind}");
            Err(PyBufferError::new_err(message))
        }
    }
}

/// Lends the bytes of an array as numbers of a type. Consumers that cannot tell whether they may
/// write get a copy, if the array must not be written to.
pub(crate) fn lend<'py>(
    bytes: &Bound<'py, PyAny>,
    ty: BlockType,
    shape: Vec<usize>,
    version: Option<(u32, u32)>,
    copy: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let py = bytes.py();
    let versioned = version.is_some_and(|(major, _)| major >= 1);
    let writeable: bool = bytes.getattr("flags")?.getattr("writeable")?.extract()?;
    let copies = copy || !(versioned || writeable);
    let array = if copies { bytes.call_method0("copy")? } else { bytes.clone() };
    let flags = match (copies, writeable) {
        (true, _) => COPIED,
        (false, true) => 0,
        (false, false) => READ_ONLY,
    };
    let data = array.cast::<PyArrayDyn<u8>>()?.data().cast();
    let mut extents: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
    extents.extend((0..shape.len()).map(|i| shape[i + 1..].iter().product::<usize>() as i64));
    let mut owner = Box::new(Owner { _array: array.unbind(), extents });
    let shape_at = owner.extents.as_mut_ptr();
    let tensor = Tensor {
        data,
        device: CPU,
        dimensions: shape.len() as i32,
        dtype: numbers(ty),
        shape: shape_at,
        // the strides are the second half of the vector
        strides: shape_at.wrapping_add(shape.len()),
        byte_offset: 0,
    };
    let context = Box::into_raw(owner).cast();
    if versioned {
        let lent = Versioned {
            version: [1, 0],
            context,
            delete: Some(delete::<Versioned>),
            flags,
            tensor,
        };
        capsule(py, lent)
    } else {
        capsule(py, Managed { tensor, context, delete: Some(delete::<Managed>) })
    }
}

fn numbers(ty: BlockType) -> Numbers {
    let (code, bits) = match ty {
        BlockType::F64 => (FLOAT, 64),
        BlockType::F32 => (FLOAT, 32),
        BlockType::F16 => (FLOAT, 16),
        BlockType::BF16 => (BFLOAT, 16),
        BlockType::I8 => (INT, 8),
        BlockType::I16 => (INT, 16),
        BlockType::I32 => (INT, 32),
        BlockType::I64 => (INT, 64),
        _ => (UNSIGNED, 8),
    };
    Numbers { code, bits, lanes: 1 }
}

/// A form of a lent tensor, and the name of its capsule until somebody takes it.
trait Lent: Sized {
    const NAME: &'static CStr;
    fn context(&self) -> *mut c_void;
}

impl Lent for Managed {
    const NAME: &'static CStr = c"dltensor";

    fn context(&self) -> *mut c_void {
        self.context
    }
}

impl Lent for Versioned {
    const NAME: &'static CStr = c"dltensor_versioned";

    fn context(&self) -> *mut c_void {
        self.context
    }
}

fn capsule<T: Lent>(py: Python<'_>, lent: T) -> PyResult<Bound<'_, PyAny>> {
    let lent = Box::into_raw(Box::new(lent));
    // SAFETY: the pointer is not null, the name lives as long as the program, and the destructor
    // is for this type.
    let object = unsafe { ffi::PyCapsule_New(lent.cast(), T::NAME.as_ptr(), Some(destroy::<T>)) };
    if object.is_null() {
        // SAFETY: nobody else has got the pointer.
        unsafe { delete(lent) };
        return Err(PyMemoryError::new_err("no memory for a capsule"));
    }
    // SAFETY: the object is new, and this is its only reference.
    Ok(unsafe { Bound::from_owned_ptr(py, object) })
}

/// The destructor of a capsule: a consumer that has taken the tensor has renamed it.
///
/// # Safety
/// The object must be a capsule that [`capsule`] made for `T`.
unsafe extern "C" fn destroy<T: Lent>(object: *mut ffi::PyObject) {
    // SAFETY: Python calls this with the capsule, once.
    unsafe {
        if ffi::PyCapsule_IsValid(object, T::NAME.as_ptr()) == 1 {
            let lent = ffi::PyCapsule_GetPointer(object, T::NAME.as_ptr()).cast::<T>();
            delete(lent);
        }
    }
}

/// Gives back a tensor.
///
/// # Safety
/// `lent` must come from [`capsule`], and must not be used again.
unsafe extern "C" fn delete<T: Lent>(lent: *mut T) {
    if ptr::eq(lent, ptr::null()) {
        return;
    }
    // SAFETY: both were made by `Box::into_raw`, and this is called once.
    let owner = unsafe {
        let lent = Box::from_raw(lent);
        Box::from_raw(lent.context().cast::<Owner>())
    };
    // consumers may call this from any thread, and even after Python has ended
    Python::try_attach(|_| drop(owner));
}

//! Arrays of numpy: values that are returned, and values that are given.

use std::ops::Range;

use granule_format::BlockType;
use half::slice::HalfBitsSliceExt;
use half::{bf16, f16};
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::{PyImportError, PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySlice, PyTuple};

/// The module `numpy`.
pub(crate) fn numpy(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("numpy")
}

/// The type of decoded values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DType {
    F32,
    F16,
    BF16,
}

impl DType {
    /// Returns the type that `dtype` names: its name, or anything that numpy takes for a dtype.
    pub(crate) fn of(dtype: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(dtype) = dtype else { return Ok(Self::F32) };
        let py = dtype.py();
        let name = match dtype.extract::<String>() {
            Ok(name) => name,
            Err(_) => numpy(py)?.call_method1("dtype", (dtype,))?.getattr("name")?.extract()?,
        };
        match name.as_str() {
            "float32" | "f32" => Ok(Self::F32),
            "float16" | "f16" => Ok(Self::F16),
            "bfloat16" | "bf16" => Ok(Self::BF16),
            _ => Err(PyTypeError::new_err(format!(
                "values cannot be decoded to {name}: use float32, float16 or bfloat16"
            ))),
        }
    }

    pub(crate) fn dtype(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let name = match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::BF16 => {
                return match py.import("ml_dtypes") {
                    Ok(module) => module.getattr("bfloat16"),
                    Err(_) => Err(PyImportError::new_err(
                        "numpy has no bfloat16 of its own: pip install ml_dtypes",
                    )),
                };
            }
        };
        numpy(py)?.getattr(name)
    }
}

/// A new array of values that are not set yet, or one that the caller has given.
pub(crate) struct Output<'py> {
    array: Bound<'py, PyAny>,
    dtype: DType,
}

/// The values of an [`Output`].
pub(crate) enum Values<'a> {
    F32(&'a mut [f32]),
    F16(&'a mut [f16]),
    BF16(&'a mut [bf16]),
}

impl<'py> Output<'py> {
    /// Returns a new array.
    pub(crate) fn new(py: Python<'py>, shape: &[usize], dtype: DType) -> PyResult<Self> {
        let shape = PyTuple::new(py, shape)?;
        let array = numpy(py)?.call_method1("empty", (shape, dtype.dtype(py)?))?;
        Ok(Self { array, dtype })
    }

    /// Takes an array of the caller's, which has to have this number of values.
    pub(crate) fn given(array: &Bound<'py, PyAny>, values: usize) -> PyResult<Self> {
        let py = array.py();
        let dtype = DType::of(Some(&array.getattr("dtype")?))?;
        let flags = array.getattr("flags")?;
        let flag = |name| flags.getattr(name)?.extract::<bool>();
        if !(flag("c_contiguous")? && flag("writeable")? && flag("aligned")?) {
            return Err(PyValueError::new_err("out must be contiguous, aligned and writeable"));
        }
        if !array.getattr("dtype")?.getattr("isnative")?.extract::<bool>()? {
            return Err(PyValueError::new_err("out must have the byte order of this machine"));
        }
        let found: usize = array.getattr("size")?.extract()?;
        if found != values {
            let message = format!("out has {found} values, expected {values}");
            return Err(PyValueError::new_err(message));
        }
        debug_assert!(array.is_instance(&numpy(py)?.getattr("ndarray")?)?);
        Ok(Self { array: array.clone(), dtype })
    }

    /// Calls `fill` with the values, and returns the array.
    pub(crate) fn fill(
        self,
        fill: impl FnOnce(Python<'py>, Values<'_>) -> PyResult<()>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = self.array.py();
        if self.dtype == DType::F32 {
            let array = self.array.cast::<PyArrayDyn<f32>>()?;
            let mut values = array.try_readwrite()?;
            fill(py, Values::F32(values.as_slice_mut()?))?;
        } else {
            // both are 16 bits wide, and numpy itself knows only one of them
            let bits = self.array.call_method1("view", (numpy(py)?.getattr("uint16")?,))?;
            let array = bits.cast::<PyArrayDyn<u16>>()?;
            let mut bits = array.try_readwrite()?;
            let bits = bits.as_slice_mut()?;
            fill(
                py,
                match self.dtype {
                    DType::BF16 => Values::BF16(bits.reinterpret_cast_mut()),
                    _ => Values::F16(bits.reinterpret_cast_mut()),
                },
            )?;
        }
        Ok(self.array)
    }
}

/// Numbers of the caller's as an array of `float32`: itself if possible, otherwise a copy.
pub(crate) fn floats<'py>(value: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArrayDyn<'py, f32>> {
    let module = numpy(value.py())?;
    let array = module.call_method1("ascontiguousarray", (value, module.getattr("float32")?))?;
    Ok(array.cast::<PyArrayDyn<f32>>()?.try_readonly()?)
}

/// Blocks of the caller's as an array of bytes: itself if possible, otherwise a copy.
pub(crate) fn bytes<'py>(value: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArrayDyn<'py, u8>> {
    let module = numpy(value.py())?;
    let array = match value.is_instance_of::<PyBytes>() {
        true => module.call_method1("frombuffer", (value, module.getattr("uint8")?))?,
        false => module.call_method1("ascontiguousarray", (value,))?,
    };
    let Ok(array) = array.cast::<PyArrayDyn<u8>>() else {
        let found = array.getattr("dtype")?;
        return Err(PyTypeError::new_err(format!("blocks are uint8, not {found}")));
    };
    Ok(array.try_readonly()?)
}

/// Returns a view of bytes that `owner` keeps alive. It cannot be written to.
///
/// # Safety
/// The bytes must stay where they are, unchanged, as long as `owner` exists.
#[allow(unsafe_code, reason = "the caller promises that the owner keeps the bytes")]
pub(crate) unsafe fn view<'py>(
    bytes: &[u8],
    owner: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let lent = numpy::ndarray::ArrayView1::from(bytes);
    // SAFETY: the array holds a reference to the owner, which keeps the bytes.
    let array = unsafe { PyArray1::borrow_from_array(&lent, owner) }.into_any();
    let flags = pyo3::types::PyDict::new(array.py());
    flags.set_item("write", false)?;
    array.call_method("setflags", (), Some(&flags))?;
    Ok(array)
}

/// Bytes that a new array takes over.
pub(crate) fn owned<'py>(py: Python<'py>, bytes: Vec<u8>) -> Bound<'py, PyAny> {
    PyArray1::from_vec(py, bytes).into_any()
}

/// Returns the array with another shape.
pub(crate) fn reshaped<'py>(
    array: Bound<'py, PyAny>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let shape = PyTuple::new(array.py(), shape)?;
    array.call_method1("reshape", (shape,))
}

/// The shape of an array, split into rows: all dimensions but the last, and the last.
pub(crate) fn rows_of<'a, T: numpy::Element>(
    array: &'a PyReadonlyArrayDyn<'_, T>,
) -> PyResult<(&'a [usize], usize)> {
    match array.shape() {
        [above @ .., row] => Ok((above, *row)),
        [] => Err(PyValueError::new_err("the array has no dimension, so it has no rows")),
    }
}

/// The rows that are meant: all, those of a `slice` or `range` with step 1, or one.
pub(crate) fn range(rows: Option<&Bound<'_, PyAny>>, count: usize) -> PyResult<Range<usize>> {
    let Some(rows) = rows else { return Ok(0..count) };
    let py = rows.py();
    if rows.is_instance_of::<PySlice>() {
        let (start, stop, step) = rows.call_method1("indices", (count,))?.extract()?;
        return checked(start, stop, step, count);
    }
    if rows.is_instance(&py.get_type::<pyo3::types::PyRange>())? {
        let bound = |name| rows.getattr(name)?.extract::<i64>();
        return checked(bound("start")?, bound("stop")?, bound("step")?, count);
    }
    let Ok(row) = rows.extract::<i64>() else {
        return Err(PyTypeError::new_err("rows can be None, an int, a slice or a range"));
    };
    let row = if row < 0 { row + count as i64 } else { row };
    checked(row, row + 1, 1, count)
}

fn checked(start: i64, stop: i64, step: i64, count: usize) -> PyResult<Range<usize>> {
    if step != 1 {
        return Err(PyValueError::new_err("rows are read in their order: the step must be 1"));
    }
    let (first, end) = (usize::try_from(start), usize::try_from(stop.max(start)));
    match (first, end) {
        (Ok(first), Ok(end)) if end <= count => Ok(first..end),
        _ => Err(PyIndexError::new_err(format!("rows {start} to {stop} of {count}"))),
    }
}

/// Returns the type that is meant: its name in any case, or its number.
pub(crate) fn block_type(value: &Bound<'_, PyAny>) -> PyResult<BlockType> {
    use crate::error::Raise;
    if let Ok(id) = value.extract::<u32>() {
        return BlockType::try_from(id).map_err(Raise::raise);
    }
    if let Ok(ty) = value.cast::<crate::types::PyBlockType>() {
        return Ok(ty.get().0);
    }
    let Ok(name) = value.extract::<String>() else {
        return Err(PyTypeError::new_err("a type is its name, its number or a BlockType"));
    };
    name.parse().map_err(Raise::raise)
}

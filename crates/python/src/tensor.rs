//! Tensors of open files.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use granule_format::{BlockType, Endian, TensorType};
use granule_reader::{Model, PackedMatrix, Tensor};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use rayon::prelude::*;

use crate::array::{self, DType, Output, Values};
use crate::error::{Raise, exception};
use crate::watch::{SHORT, pool, watch};

/// Values that are decoded between two looks at the flag that stops.
const STEP: usize = 1 << 24;

/// Values that a thread decodes at a time to 16-bit numbers.
const PIECE: usize = 1 << 18;

/// A tensor of an open file. It keeps the file open.
///
/// Rows are the vectors along the last dimension, counted through all others.
#[pyclass(frozen, module = "granule_gguf", name = "Tensor")]
pub(crate) struct PyTensor {
    model: Arc<Model>,
    index: usize,
    /// One matrix of it, if it is a view.
    matrix: Option<usize>,
}

impl PyTensor {
    pub(crate) fn new(model: Arc<Model>, index: usize) -> Self {
        Self { model, index, matrix: None }
    }

    pub(crate) fn tensor(&self) -> Tensor<'_> {
        let tensor = self.model.tensor_at(self.index);
        match self.matrix {
            Some(matrix) => tensor.matrix(matrix),
            None => tensor,
        }
    }

    /// The type, unless this version does not know it.
    pub(crate) fn block_type(&self) -> PyResult<BlockType> {
        match self.tensor().ty() {
            TensorType::Known(ty) => Ok(ty),
            // asking for rows says what is wrong
            TensorType::Unknown(_) => match self.tensor().read_rows(0..0) {
                Err(error) => Err(error.raise()),
                Ok(_) => Err(exception("UnsupportedError", "the type is unknown")),
            },
        }
    }

    /// The dimensions in numpy's order: the length of a row last.
    fn dimensions(&self) -> Vec<usize> {
        let tensor = self.tensor();
        if self.matrix.is_some() {
            return vec![tensor.rows(), tensor.row_values()];
        }
        // opening has checked that rows and their number fit
        tensor.shape().dimensions().iter().rev().map(|n| *n as usize).collect()
    }

    /// The shape of some rows, each with `last` items: that of the tensor if they are all.
    fn shape_of(&self, rows: &Range<usize>, all: bool, last: usize) -> Vec<usize> {
        if !all {
            return vec![rows.len(), last];
        }
        let mut shape = self.dimensions();
        match shape.last_mut() {
            Some(row) => *row = last,
            None => shape.push(last), // a single number
        }
        shape
    }

    /// The bytes in the file, if they are in memory and in this byte order.
    fn lent(&self) -> Option<&[u8]> {
        let tensor = self.tensor();
        let little = tensor.shard().header().endian() == Endian::Little;
        tensor.bytes().filter(|_| little)
    }
}

#[pymethods]
impl PyTensor {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.tensor().name()
    }

    /// Its type, such as "Q4_K"; of a type that is unknown to this version, its number.
    #[getter]
    fn r#type<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self.tensor().ty() {
            TensorType::Known(ty) => ty.name().into_pyobject(py)?.into_any(),
            TensorType::Unknown(id) => id.into_pyobject(py)?.into_any(),
        })
    }

    /// Its shape in numpy's order: the length of a row is the last number.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.dimensions())
    }

    /// Number of rows: the product of all dimensions but the last.
    #[getter]
    fn rows(&self) -> usize {
        self.tensor().rows()
    }

    /// Number of values in a row.
    #[getter]
    fn row_values(&self) -> usize {
        self.tensor().row_values()
    }

    /// Number of matrices: the product of all dimensions but the last two.
    #[getter]
    fn matrices(&self) -> usize {
        self.tensor().matrices()
    }

    /// Number of values.
    #[getter]
    fn size(&self) -> usize {
        self.tensor().rows().saturating_mul(self.tensor().row_values())
    }

    /// Bytes of its data in the file; None if the type is unknown.
    #[getter]
    fn nbytes(&self) -> Option<u64> {
        let rows = self.tensor().rows() as u64;
        self.tensor().info().row_bytes()?.checked_mul(rows)
    }

    /// First byte of its data, counted from the start of the data section.
    #[getter]
    fn offset(&self) -> u64 {
        self.tensor().info().offset
    }

    /// Return a view of one matrix, such as the weights of one expert.
    fn matrix(&self, index: usize) -> PyResult<Self> {
        let matrices = self.tensor().matrices();
        if index >= matrices {
            let message = format!("matrix {index} of {matrices}");
            return Err(PyIndexError::new_err(message));
        }
        let matrix = Some(self.matrix.unwrap_or(index));
        Ok(Self { model: Arc::clone(&self.model), index: self.index, matrix })
    }

    /// Return the blocks of the rows as they are stored: an array of bytes.
    ///
    /// It is a view of the file without a copy, unless the file is big-endian or not in memory. A
    /// view cannot be written to.
    #[pyo3(signature = (rows = None))]
    fn blocks<'py>(
        slf: &Bound<'py, Self>,
        rows: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let tensor = this.tensor();
        let ty = this.block_type()?;
        let range = array::range(rows, tensor.rows())?;
        // opening has checked that rows are whole blocks
        let row_bytes = tensor.row_values() / ty.block_values() * ty.block_bytes();
        let shape = this.shape_of(&range, rows.is_none(), row_bytes);
        let found = match this.lent() {
            Some(bytes) => {
                let bytes = &bytes[range.start * row_bytes..range.end * row_bytes];
                // SAFETY: the tensor keeps the model, which keeps the bytes and does not write.
                #[allow(unsafe_code, reason = "a view without a copy")]
                unsafe {
                    array::view(bytes, slf.clone().into_any())?
                }
            }
            None => {
                let read = py.detach(|| tensor.read_rows(range).map(|bytes| bytes.into_owned()));
                array::owned(py, read.map_err(Raise::raise)?)
            }
        };
        array::reshaped(found, &shape)
    }

    /// Return the numbers of a tensor of plain numbers as they are stored, without a copy if
    /// `blocks` makes none. BF16 needs the package ml_dtypes.
    fn array<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let ty = this.block_type()?;
        let name = match ty {
            BlockType::F32 => "<f4",
            BlockType::F16 => "<f2",
            BlockType::F64 => "<f8",
            BlockType::I8 => "i1",
            BlockType::I16 => "<i2",
            BlockType::I32 => "<i4",
            BlockType::I64 => "<i8",
            BlockType::BF16 => "bfloat16",
            _ => {
                let message =
                    format!("{ty} is made of blocks: decode() returns values, blocks() the blocks");
                return Err(PyTypeError::new_err(message));
            }
        };
        let bytes = Self::blocks(slf, None)?;
        let dtype = match name {
            "bfloat16" => DType::BF16.dtype(py)?,
            name => array::numpy(py)?.call_method1("dtype", (name,))?,
        };
        array::reshaped(bytes.call_method1("view", (dtype,))?, &this.dimensions())
    }

    /// Decode rows to an array of numbers.
    ///
    /// `rows` is a slice, a range or one number; None means all. `out` is an array to write to.
    #[pyo3(signature = (rows = None, *, dtype = None, out = None, threads = None))]
    fn decode<'py>(
        &self,
        py: Python<'py>,
        rows: Option<&Bound<'py, PyAny>>,
        dtype: Option<&Bound<'py, PyAny>>,
        out: Option<&Bound<'py, PyAny>>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.block_type()?;
        let tensor = self.tensor();
        let range = array::range(rows, tensor.rows())?;
        let shape = self.shape_of(&range, rows.is_none(), tensor.row_values());
        let values = range.len().saturating_mul(tensor.row_values());
        let output = match out {
            Some(_) if dtype.is_some() => {
                return Err(PyValueError::new_err("give dtype or out, not both: out has a dtype"));
            }
            Some(out) => Output::given(out, values)?,
            None => Output::new(py, &shape, DType::of(dtype)?)?,
        };
        output.fill(|py, out| {
            if values <= SHORT / 16 {
                return py.detach(|| decode_alone(tensor, range, out)).map_err(Raise::raise);
            }
            let pool = pool(threads)?;
            let work = move |stop: &Arc<AtomicBool>| {
                pool.install(|| decode_shared(tensor, range, out, stop))
            };
            match values {
                ..=SHORT => py.detach(|| work(&Arc::default())).map_err(Raise::raise),
                _ => watch(py, work)?.map_err(Raise::raise),
            }
        })
    }

    /// Decode the rows with these numbers, in the order asked for: an embedding look-up.
    fn gather<'py>(&self, py: Python<'py>, rows: Vec<usize>) -> PyResult<Bound<'py, PyAny>> {
        self.block_type()?;
        let tensor = self.tensor();
        if let Some(row) = rows.iter().find(|row| **row >= tensor.rows()) {
            let message = format!("row {row} of {}", tensor.rows());
            return Err(PyIndexError::new_err(message));
        }
        let output = Output::new(py, &[rows.len(), tensor.row_values()], DType::F32)?;
        output.fill(|py, out| match out {
            Values::F32(out) => py.detach(|| tensor.gather_rows(&rows, out)).map_err(Raise::raise),
            _ => unreachable!("the array was made for float32"),
        })
    }

    /// Multiply vectors with the matrix in its stored form: `x` of shape (..., row_values) gives
    /// an array of shape (..., rows).
    #[pyo3(signature = (x, *, threads = None))]
    fn matmul<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.block_type()?;
        let tensor = self.tensor();
        let sizes = (tensor.rows(), tensor.row_values());
        product(py, sizes, x, threads, |x, y| tensor.matmul(x, y).map_err(Raise::raise))
    }

    /// Return the weights packed in memory: products are faster, most of all for types with
    /// codebooks.
    #[pyo3(signature = (*, threads = None))]
    fn pack(&self, py: Python<'_>, threads: Option<usize>) -> PyResult<PyPacked> {
        self.block_type()?;
        let (tensor, pool) = (self.tensor(), pool(threads)?);
        let packed = watch(py, |_| pool.install(|| tensor.pack()))?;
        packed.map(PyPacked).map_err(Raise::raise)
    }

    /// Return the numbers for numpy: those of a tensor of plain numbers as they are, others
    /// decoded to float32.
    #[pyo3(signature = (dtype = None, copy = None))]
    fn __array__<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let quantized = this.block_type()?.is_quantized();
        if quantized && copy == Some(false) {
            return Err(PyValueError::new_err("decoding makes a copy"));
        }
        let array = match quantized {
            true => this.decode(py, None, None, None, None)?,
            false => Self::array(slf)?,
        };
        let array = match dtype {
            Some(dtype) => {
                let named = PyDict::new(py);
                named.set_item("copy", false)?;
                array.call_method("astype", (dtype,), Some(&named))?
            }
            None => array,
        };
        if copy == Some(true) && !quantized { array.call_method0("copy") } else { Ok(array) }
    }

    /// Lend the numbers, or the bytes of the blocks, to another library, without a copy.
    #[pyo3(signature = (*, stream = None, max_version = None, dl_device = None, copy = None))]
    fn __dlpack__<'py>(
        slf: &Bound<'py, Self>,
        stream: Option<&Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = stream; // there is none on a CPU
        let this = slf.get();
        crate::dlpack::check_device(dl_device)?;
        let ty = this.block_type()?;
        let mut shape = this.dimensions();
        if ty.is_quantized()
            && let Some(row) = shape.last_mut()
        {
            *row = *row / ty.block_values() * ty.block_bytes();
        }
        let bytes = Self::blocks(slf, None)?;
        crate::dlpack::lend(&bytes, ty, shape, max_version, copy == Some(true))
    }

    /// The device of the numbers: the CPU.
    fn __dlpack_device__(&self) -> (i32, i32) {
        crate::dlpack::CPU
    }

    fn __len__(&self) -> usize {
        self.dimensions().first().copied().unwrap_or(0)
    }

    fn __repr__(&self) -> String {
        let tensor = self.tensor();
        format!("<Tensor {:?}: {} {:?}>", tensor.name(), tensor.ty(), self.dimensions())
    }
}

/// Weights packed for products: see `Tensor.pack`.
#[pyclass(frozen, module = "granule_gguf", name = "PackedMatrix")]
pub(crate) struct PyPacked(PackedMatrix);

#[pymethods]
impl PyPacked {
    /// Number of rows: values of a result.
    #[getter]
    fn rows(&self) -> usize {
        self.0.rows()
    }

    /// Values in a row: values of a vector.
    #[getter]
    fn row_values(&self) -> usize {
        self.0.row_values()
    }

    /// Bytes of the packed weights.
    #[getter]
    fn nbytes(&self) -> usize {
        self.0.bytes()
    }

    /// Multiply vectors with the matrix: see `Tensor.matmul`.
    #[pyo3(signature = (x, *, threads = None))]
    fn matmul<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let sizes = (self.0.rows(), self.0.row_values());
        product(py, sizes, x, threads, |x, y| {
            self.0.matmul(x, y);
            Ok(())
        })
    }

    fn __repr__(&self) -> String {
        format!("<PackedMatrix {:?}: {} x {}>", self.0.name(), self.0.rows(), self.0.row_values())
    }
}

/// Multiplies vectors with a matrix of `rows` rows of `columns` values.
fn product<'py>(
    py: Python<'py>,
    (rows, columns): (usize, usize),
    x: &Bound<'py, PyAny>,
    threads: Option<usize>,
    multiply: impl FnOnce(&[f32], &mut [f32]) -> PyResult<()> + Send,
) -> PyResult<Bound<'py, PyAny>> {
    let x = array::floats(x)?;
    let (above, found) = array::rows_of(&x)?;
    if found != columns {
        let message = format!("vectors of {found} values for rows of {columns}");
        return Err(PyValueError::new_err(message));
    }
    let shape = [above, &[rows]].concat();
    let x = x.as_slice()?;
    Output::new(py, &shape, DType::F32)?.fill(|py, out| {
        let Values::F32(y) = out else { unreachable!("the array was made for float32") };
        if y.is_empty() || columns == 0 {
            y.fill(0.0);
            return Ok(());
        }
        if x.len().saturating_mul(rows) <= SHORT && threads.is_none() {
            return py.detach(|| multiply(x, y));
        }
        let pool = pool(threads)?;
        py.detach(|| pool.install(|| multiply(x, y)))
    })
}

fn decode_alone(
    tensor: Tensor<'_>,
    rows: Range<usize>,
    out: Values<'_>,
) -> Result<(), granule_reader::Error> {
    match out {
        Values::F32(out) => tensor.decode_rows(rows, out),
        Values::F16(out) => tensor.decode_rows_f16(rows, out),
        Values::BF16(out) => tensor.decode_rows_bf16(rows, out),
    }
}

/// Decodes with all threads of the pool, until `stop` is set.
fn decode_shared(
    tensor: Tensor<'_>,
    rows: Range<usize>,
    out: Values<'_>,
    stop: &AtomicBool,
) -> Result<(), granule_reader::Error> {
    match out {
        Values::F32(out) => {
            let columns = tensor.row_values().max(1);
            let step = (STEP / columns).max(1);
            for (i, out) in out.chunks_mut(step * columns).enumerate() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let start = rows.start + i * step;
                tensor.par_decode_rows(start..start + out.len() / columns, out)?;
            }
            Ok(())
        }
        Values::F16(out) => {
            in_pieces(tensor, rows, out, stop, |rows, out| tensor.decode_rows_f16(rows, out))
        }
        Values::BF16(out) => {
            in_pieces(tensor, rows, out, stop, |rows, out| tensor.decode_rows_bf16(rows, out))
        }
    }
}

fn in_pieces<T: Send>(
    tensor: Tensor<'_>,
    rows: Range<usize>,
    out: &mut [T],
    stop: &AtomicBool,
    decode: impl Fn(Range<usize>, &mut [T]) -> Result<(), granule_reader::Error> + Sync,
) -> Result<(), granule_reader::Error> {
    let columns = tensor.row_values().max(1);
    let step = (PIECE / columns).max(1);
    out.par_chunks_mut(step * columns).enumerate().try_for_each(|(i, out)| {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let start = rows.start + i * step;
        decode(start..start + out.len() / columns, out)
    })
}

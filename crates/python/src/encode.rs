//! Numbers to blocks and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use granule_encode::{Effort, EncodeError, EncodeOptions, Weighting, encode_rows, encoder_at};
use granule_format::BlockType;
use granule_reader::decode_blocks;
use granule_reader::isa::Isa;
use half::slice::HalfFloatSliceExt;
use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use rayon::prelude::*;

use crate::array::{self, DType, Output, Values};
use crate::error::{Raise, exception};
use crate::watch::{SHORT, pool, watch};

/// Values that a thread encodes or decodes at a time.
const PIECE: usize = 1 << 17;

/// Quantize an array to blocks of a type: the same bytes as llama.cpp's.
///
/// The rows are the vectors along the last dimension. Returns an array of bytes whose last
/// dimension is the bytes of a row. `importance` has a weight for each column, or for each column
/// of each matrix of a three-dimensional array. `effort=1` searches longer for better blocks.
#[pyfunction]
#[pyo3(signature = (array, r#type, *, importance = None, effort = 0, threads = None))]
pub(crate) fn encode<'py>(
    py: Python<'py>,
    array: &Bound<'py, PyAny>,
    r#type: &Bound<'py, PyAny>,
    importance: Option<&Bound<'py, PyAny>>,
    effort: u8,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let ty = array::block_type(r#type)?;
    let effort = self::effort(effort)?;
    let values = array::floats(array)?;
    let (above, columns) = array::rows_of(&values)?;
    let Some(encoder) = encoder_at(ty, effort) else {
        return Err(EncodeError::NoEncoder(ty).raise());
    };
    if columns == 0 || !columns.is_multiple_of(ty.block_values()) {
        return Err(EncodeError::RowLength { ty, columns }.raise());
    }
    let weights = importance.map(array::floats).transpose()?;
    let weights = match (encoder.weighting(), &weights) {
        (Weighting::Ignored, _) | (_, None) => None,
        (_, Some(weights)) => Some(weights.as_slice()?),
    };
    let rows: usize = above.iter().product();
    let (per_matrix, matrices) = matrices(above, columns, weights)?;
    let row_bytes = columns / ty.block_values() * ty.block_bytes();
    let shape = [above, &[row_bytes]].concat();
    let values = values.as_slice()?;
    let options = EncodeOptions::default().with_effort(effort);
    let out = array::numpy(py)?.call_method1("empty", (PyTuple::new(py, &shape)?, "uint8"))?;
    let bytes = out.cast::<numpy::PyArrayDyn<u8>>()?;
    {
        use numpy::PyArrayMethods;
        let mut bytes = bytes.try_readwrite()?;
        let bytes = bytes.as_slice_mut()?;
        let job = Job { options, ty, columns, row_bytes, per_matrix, matrices, weights };
        if values.len() <= PIECE {
            py.detach(|| job.run(0..rows, values, bytes)).map_err(Raise::raise)?;
        } else {
            let pool = pool(threads)?;
            let mut work =
                move |stop: &Arc<AtomicBool>| pool.install(|| job.share(values, bytes, stop));
            match values.len() {
                ..=SHORT => py.detach(|| work(&Arc::default())).map_err(Raise::raise)?,
                _ => watch(py, work)?.map_err(Raise::raise)?,
            }
        }
    }
    Ok(out)
}

fn effort(number: u8) -> PyResult<Effort> {
    // effort 2 needs inputs of the model
    let known = Effort::from_number(number).filter(|effort| *effort != Effort::Feedback);
    known.ok_or_else(|| PyValueError::new_err("effort can be 0 or 1; `convert` has effort 2"))
}

/// Rows that the same weights are for, and the number of weights for all columns.
fn matrices(above: &[usize], columns: usize, weights: Option<&[f32]>) -> PyResult<(usize, usize)> {
    let all: usize = above.iter().product();
    let Some(weights) = weights else { return Ok((all.max(1), 1)) };
    if weights.len() == columns {
        return Ok((all.max(1), 1));
    }
    let (matrices, rows) = match above {
        [.., matrices, rows] => (*matrices, *rows),
        _ => (1, all),
    };
    if weights.len() != matrices * columns {
        return Err(EncodeError::WeightsLength { columns, found: weights.len() }.raise());
    }
    Ok((rows.max(1), matrices.max(1)))
}

/// Rows to encode.
struct Job<'a> {
    options: EncodeOptions,
    ty: BlockType,
    columns: usize,
    row_bytes: usize,
    /// Rows of a matrix: they have the same weights.
    per_matrix: usize,
    matrices: usize,
    weights: Option<&'a [f32]>,
}

impl Job<'_> {
    /// Encodes with all threads of the pool, until `stop` is set.
    fn share(&self, values: &[f32], out: &mut [u8], stop: &AtomicBool) -> Result<(), EncodeError> {
        let step = (PIECE / self.columns).max(1);
        let out = out.par_chunks_mut(step * self.row_bytes);
        let values = values.par_chunks(step * self.columns);
        let pieces = values.zip(out).enumerate();
        pieces.try_for_each(|(i, (values, out))| match stop.load(Ordering::Relaxed) {
            true => Ok(()),
            false => {
                let first = i * step;
                self.run(first..first + values.len() / self.columns, values, out)
            }
        })
    }

    /// Encodes some rows. An index in an error is that in the whole array.
    fn run(
        &self,
        rows: std::ops::Range<usize>,
        values: &[f32],
        out: &mut [u8],
    ) -> Result<(), EncodeError> {
        let mut row = rows.start;
        while row < rows.end {
            let matrix = row / self.per_matrix;
            let end = rows.end.min((matrix + 1) * self.per_matrix);
            let (from, to) = (row - rows.start, end - rows.start);
            let weights = self
                .weights
                .map(|weights| &weights[matrix % self.matrices * self.columns..][..self.columns]);
            let values = &values[from * self.columns..to * self.columns];
            let out = &mut out[from * self.row_bytes..to * self.row_bytes];
            encode_rows(self.options, self.ty, values, self.columns, weights, out)
                .map_err(|error| further_on(error, row * self.columns))?;
            row = end;
        }
        Ok(())
    }
}

/// The error, with its index counted from the start of the array.
fn further_on(mut error: EncodeError, by: usize) -> EncodeError {
    if let EncodeError::NotFinite { index, .. } | EncodeError::OutOfRange { index, .. } = &mut error
    {
        *index += by;
    }
    error
}

/// Decode blocks of a type to an array of numbers. The last dimension of `blocks` is the bytes of
/// a row.
#[pyfunction]
#[pyo3(signature = (blocks, r#type, *, dtype = None, threads = None))]
pub(crate) fn decode<'py>(
    py: Python<'py>,
    blocks: &Bound<'py, PyAny>,
    r#type: &Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let ty = array::block_type(r#type)?;
    let blocks = array::bytes(blocks)?;
    let (above, row_bytes) = array::rows_of(&blocks)?;
    if !row_bytes.is_multiple_of(ty.block_bytes()) {
        let message = format!(
            "rows of {row_bytes} bytes are not whole blocks of {ty}, which have {} bytes each",
            ty.block_bytes()
        );
        return Err(exception("EncodeError", message));
    }
    let columns = row_bytes / ty.block_bytes() * ty.block_values();
    let shape = [above, &[columns]].concat();
    debug_assert_eq!(blocks.shape().len(), shape.len());
    let bytes = blocks.as_slice()?;
    Output::new(py, &shape, DType::of(dtype)?)?.fill(|py, out| {
        let count = bytes.len() / ty.block_bytes() * ty.block_values();
        let pool = (count > SHORT / 16).then(|| pool(threads)).transpose()?;
        let work = move |stop: &AtomicBool| match out {
            Values::F32(out) => shared(ty, bytes, out, stop, |blocks, out| {
                decode_blocks(Isa::detect(), ty, blocks, out);
            }),
            Values::F16(out) => shared(ty, bytes, out, stop, |blocks, out| {
                rounded(ty, blocks, out, |values, out| out.convert_from_f32_slice(values));
            }),
            Values::BF16(out) => shared(ty, bytes, out, stop, |blocks, out| {
                rounded(ty, blocks, out, |values, out| out.convert_from_f32_slice(values));
            }),
        };
        match pool {
            None => py.detach(|| work(&AtomicBool::new(false))),
            Some(pool) => watch(py, |stop| pool.install(|| work(stop)))?,
        }
        Ok(())
    })
}

/// Decodes blocks with the threads of the pool, until `stop` is set.
fn shared<T: Send>(
    ty: BlockType,
    blocks: &[u8],
    out: &mut [T],
    stop: &AtomicBool,
    decode: impl Fn(&[u8], &mut [T]) + Sync,
) {
    if out.len() <= PIECE {
        return decode(blocks, out);
    }
    let bytes = PIECE / ty.block_values() * ty.block_bytes();
    let pieces = blocks.par_chunks(bytes).zip(out.par_chunks_mut(PIECE));
    pieces.for_each(|(blocks, out)| {
        if !stop.load(Ordering::Relaxed) {
            decode(blocks, out);
        }
    });
}

/// Decodes blocks and rounds the values, few enough at a time to stay in a core's cache.
fn rounded<T>(ty: BlockType, blocks: &[u8], out: &mut [T], round: impl Fn(&[f32], &mut [T])) {
    const AT_ONCE: usize = 1 << 12;
    let mut values = [0.0; AT_ONCE];
    let bytes = AT_ONCE / ty.block_values() * ty.block_bytes();
    for (blocks, out) in blocks.chunks(bytes).zip(out.chunks_mut(AT_ONCE)) {
        let values = &mut values[..out.len()];
        decode_blocks(Isa::detect(), ty, blocks, values);
        round(values, out);
    }
}

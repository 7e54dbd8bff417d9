//! Writing files.

use std::io::Write;
use std::path::PathBuf;

use granule_convert::WholeFile;
use granule_format::{BlockType, Draft, Endian, Shape, Writer};
use numpy::{PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::array;
use crate::error::{Raise, noted};
use crate::model::metadata;
use crate::tensor::PyTensor;

/// Write a GGUF file. It appears under its name only when it is complete.
///
/// `tensors` maps names to arrays, which are stored as they are (float32, float16, bfloat16,
/// float64, int8 to int64), to pairs of a type and blocks from `encode`, or to tensors of an open
/// file. `metadata` maps keys to values.
#[pyfunction]
#[pyo3(signature = (path, tensors, metadata = None))]
pub(crate) fn save_file(
    py: Python<'_>,
    path: PathBuf,
    tensors: &Bound<'_, PyAny>,
    metadata: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    granule_convert::run::check_output(&path).map_err(Raise::raise)?;
    let mut draft = Draft::new(self::metadata(metadata)?, Endian::Little).map_err(Raise::raise)?;
    let mut data = Vec::new();
    let mut inputs = Vec::new();
    for item in tensors.call_method0("items")?.try_iter()? {
        let item = item?;
        let pair = item.cast::<PyTuple>()?;
        let name: String = pair.get_item(0)?.extract()?;
        let given = pair.get_item(1)?;
        let one = part(&given, &mut inputs)
            .map_err(|error| noted(py, error, &format!("tensor {name:?}")))?;
        let dimensions: Vec<u64> = one.shape.iter().rev().map(|n| *n as u64).collect();
        let shape = Shape::new(&dimensions).ok_or_else(|| {
            PyValueError::new_err(format!("tensor {name:?} has more than four dimensions"))
        })?;
        draft.add(&name, shape, one.ty.into()).map_err(Raise::raise)?;
        data.push((name, one.bytes));
    }
    // the arrays are borrowed until the end, so nobody writes to them through this interface
    let pieces: Vec<(&str, &[u8])> = data
        .iter()
        .map(|(name, bytes)| Ok((name.as_str(), bytes.as_slice()?)))
        .collect::<PyResult<_>>()?;
    py.detach(|| {
        let inputs: Vec<_> = inputs.iter().map(PathBuf::as_path).collect();
        let file = WholeFile::create(&path, &inputs).map_err(Raise::raise)?;
        let mut writer = Writer::start(file, draft).map_err(Raise::raise)?;
        for (name, bytes) in pieces {
            let mut tensor = writer.tensor(name).map_err(Raise::raise)?;
            tensor.write_all(bytes)?;
            tensor.finish().map_err(Raise::raise)?;
        }
        writer.finish().map_err(Raise::raise)?.finish().map_err(Raise::raise)
    })
}

/// A tensor to write.
struct Part<'py> {
    ty: BlockType,
    /// In numpy's order.
    shape: Vec<usize>,
    bytes: PyReadonlyArrayDyn<'py, u8>,
}

fn part<'py>(given: &Bound<'py, PyAny>, inputs: &mut Vec<PathBuf>) -> PyResult<Part<'py>> {
    let py = given.py();
    if let Ok(tensor) = given.cast::<PyTensor>() {
        let path = tensor.get().tensor().shard().path();
        inputs.extend(path.map(ToOwned::to_owned));
        let ty = tensor.get().block_type()?;
        let shape = given.getattr("shape")?.extract()?;
        return Ok(Part { ty, shape, bytes: array::bytes(&given.call_method0("blocks")?)? });
    }
    if let Ok(pair) = given.cast::<PyTuple>() {
        let (ty, blocks) = (array::block_type(&pair.get_item(0)?)?, pair.get_item(1)?);
        let bytes = array::bytes(&blocks)?;
        let (above, row_bytes) = array::rows_of(&bytes)?;
        if !row_bytes.is_multiple_of(ty.block_bytes()) {
            let message = format!("rows of {row_bytes} bytes are not whole blocks of {ty}");
            return Err(PyValueError::new_err(message));
        }
        let shape = [above, &[row_bytes / ty.block_bytes() * ty.block_values()]].concat();
        return Ok(Part { ty, shape, bytes });
    }
    let module = array::numpy(py)?;
    let values = module.call_method1("asarray", (given,))?;
    let name: String = values.getattr("dtype")?.getattr("name")?.extract()?;
    let ty = match name.as_str() {
        "float32" => BlockType::F32,
        "float16" => BlockType::F16,
        "bfloat16" => BlockType::BF16,
        "float64" => BlockType::F64,
        "int8" => BlockType::I8,
        "int16" => BlockType::I16,
        "int32" => BlockType::I32,
        "int64" => BlockType::I64,
        name => {
            let message = format!(
                "an array of {name} cannot be stored: convert it with astype, or give a pair of a \
                 type and blocks"
            );
            return Err(PyTypeError::new_err(message));
        }
    };
    let shape: Vec<usize> = values.getattr("shape")?.extract()?;
    let flat =
        module.call_method1("ascontiguousarray", (values,))?.call_method1("reshape", (-1,))?;
    // the file is little-endian, as is nearly every machine
    let little = match cfg!(target_endian = "little") {
        true => native(&flat)?,
        false => flat.call_method0("byteswap")?,
    };
    let bytes = little.call_method1("view", (module.getattr("uint8")?,))?;
    Ok(Part { ty, shape, bytes: bytes.cast::<PyArrayDyn<u8>>()?.try_readonly()? })
}

/// The array in the byte order of this machine.
fn native<'py>(array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let dtype = array.getattr("dtype")?;
    if dtype.getattr("isnative")?.extract()? {
        return Ok(array.clone());
    }
    array.call_method1("astype", (dtype.call_method1("newbyteorder", ("=",))?,))
}

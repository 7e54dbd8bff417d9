//! Metadata as Python values, and Python values as metadata.

use granule_format::{Array, StringArray, Value, ValueType};
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyList, PyString};

/// Levels of lists in lists: more than any file has a use for.
const DEEPEST: usize = 16;

/// Returns a metadata value as `int`, `float`, `bool`, `str` or `list`.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::U8(n) => n.into_pyobject(py)?.into_any(),
        Value::I8(n) => n.into_pyobject(py)?.into_any(),
        Value::U16(n) => n.into_pyobject(py)?.into_any(),
        Value::I16(n) => n.into_pyobject(py)?.into_any(),
        Value::U32(n) => n.into_pyobject(py)?.into_any(),
        Value::I32(n) => n.into_pyobject(py)?.into_any(),
        Value::U64(n) => n.into_pyobject(py)?.into_any(),
        Value::I64(n) => n.into_pyobject(py)?.into_any(),
        Value::F32(n) => n.into_pyobject(py)?.into_any(),
        Value::F64(n) => n.into_pyobject(py)?.into_any(),
        Value::Bool(b) => PyBool::new(py, *b).to_owned().into_any(),
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(array) => list(py, array)?.into_any(),
    })
}

fn list<'py>(py: Python<'py>, array: &Array) -> PyResult<Bound<'py, PyList>> {
    match array {
        Array::U8(items) => PyList::new(py, items),
        Array::I8(items) => PyList::new(py, items),
        Array::U16(items) => PyList::new(py, items),
        Array::I16(items) => PyList::new(py, items),
        Array::U32(items) => PyList::new(py, items),
        Array::I32(items) => PyList::new(py, items),
        Array::U64(items) => PyList::new(py, items),
        Array::I64(items) => PyList::new(py, items),
        Array::F32(items) => PyList::new(py, items),
        Array::F64(items) => PyList::new(py, items),
        Array::Bool(items) => PyList::new(py, items),
        Array::String(items) => {
            let texts: PyResult<Vec<_>> = items.iter().map(|bytes| text(py, bytes)).collect();
            PyList::new(py, texts?)
        }
        Array::Array(items) => {
            let lists: PyResult<Vec<_>> = items.iter().map(|item| list(py, item)).collect();
            PyList::new(py, lists?)
        }
    }
}

/// Strings in arrays need not be UTF-8; other bytes become surrogates, as in names of files.
fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text).into_any()),
        Err(_) => PyBytes::new(py, bytes).call_method1("decode", ("utf-8", "surrogateescape")),
    }
}

/// Returns the name of the type that a value is stored with, such as "U32" or "Array[F32]".
pub(crate) fn type_name(value: &Value) -> String {
    match value.as_array() {
        Some(array) => format!("Array[{}]", array.element_type()),
        None => value.value_type().to_string(),
    }
}

/// Returns a Python value as metadata, of the type that `present` has, unless numpy says another.
pub(crate) fn like<'py>(value: &Bound<'py, PyAny>, present: &Value) -> PyResult<Value> {
    if dtype(value)?.is_some() {
        return from_python(value);
    }
    let other = || {
        let (held, ty) = (type_name(present), value.get_type());
        let name = ty.name().map(|name| name.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!(
            "its value is {held}, not {name}: give that, or a value of numpy for another type, or \
             remove the key first"
        ))
    };
    let is_truth = value.is_instance_of::<PyBool>();
    let found = match present {
        Value::Array(array) => {
            let is_text = value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>();
            let items: Vec<_> = match value.try_iter() {
                Ok(items) if !is_text => items.collect::<PyResult<_>>()?,
                _ => return Err(other()),
            };
            match (array, dtype_of(array.element_type())) {
                (Array::String(_), _) if items.is_empty() => Array::String(StringArray::default()),
                (_, Some(name)) => typed_array(name, &PyList::new(value.py(), items)?)?,
                (_, None) => self::array(&items, 0)?,
            }
            .into()
        }
        scalar => match dtype_of(scalar.value_type()) {
            Some(_) if is_truth != matches!(scalar, Value::Bool(_)) => return Err(other()),
            Some(name) => typed(name, value)?,
            None => from_python(value)?,
        },
    };
    if type_name(&found) == type_name(present) { Ok(found) } else { Err(other()) }
}

/// Returns a Python value as metadata.
///
/// A `bool` becomes Bool, a `str` String, a `float` F32, an `int` the first of U32, I32, U64 and
/// I64 that holds it; scalars and arrays of numpy keep their type. The items of a list get the
/// first of these types that holds all.
pub(crate) fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    of_depth(value, 0)
}

fn of_depth(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    if let Some(name) = dtype(value)? {
        let items = value.call_method0("tolist")?;
        return match items.cast::<PyList>() {
            Ok(items) => typed_array(&name, items).map(Value::Array),
            Err(_) => typed(&name, &items),
        };
    }
    if let Ok(truth) = value.cast::<PyBool>() {
        return Ok(Value::Bool(truth.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        return Width::of([value.clone()].iter())?.scalar(value);
    }
    if value.is_instance_of::<PyFloat>() {
        return Ok(Value::F32(value.extract::<f64>()? as f32));
    }
    if value.is_instance_of::<PyString>() {
        return Ok(Value::String(value.extract()?));
    }
    if value.is_instance_of::<PyBytes>() {
        return Err(unfit(value, "give a str, or numpy.frombuffer(value, numpy.uint8)"));
    }
    let items: Vec<_> = value
        .try_iter()
        .map_err(|_| unfit(value, "it can be bool, int, float, str, or a list of one of them"))?
        .collect::<PyResult<_>>()?;
    if depth >= DEEPEST {
        return Err(PyTypeError::new_err("the lists are nested too deeply"));
    }
    array(&items, depth).map(Value::Array)
}

fn unfit(value: &Bound<'_, PyAny>, advice: &str) -> PyErr {
    let ty = value.get_type();
    let name = ty.name().map(|name| name.to_string()).unwrap_or_default();
    PyTypeError::new_err(format!("metadata cannot hold a {name}: {advice}"))
}

fn array(items: &[Bound<'_, PyAny>], depth: usize) -> PyResult<Array> {
    let Some(first) = items.first() else {
        return Err(PyTypeError::new_err(
            "an empty list has no type: give an empty numpy array, such as \
             numpy.array([], numpy.int32)",
        ));
    };
    let all = |is: fn(&Bound<'_, PyAny>) -> bool| items.iter().all(is);
    if all(|item| item.is_instance_of::<PyBool>()) {
        return Ok(Array::Bool(extract(items)?));
    }
    if all(|item| item.is_instance_of::<PyInt>()) && !first.is_instance_of::<PyBool>() {
        return Width::of(items.iter())?.array(items);
    }
    let is_number = |item: &Bound<'_, PyAny>| {
        (item.is_instance_of::<PyInt>() || item.is_instance_of::<PyFloat>())
            && !item.is_instance_of::<PyBool>()
    };
    if all(is_number) {
        return Ok(Array::F32(extract::<f64>(items)?.into_iter().map(|n| n as f32).collect()));
    }
    if all(|item| item.is_instance_of::<PyString>()) {
        let mut strings = StringArray::default();
        for item in items {
            let bytes = item.call_method1("encode", ("utf-8", "surrogateescape"))?;
            strings.push(bytes.extract::<Vec<u8>>()?);
        }
        return Ok(Array::String(strings));
    }
    let nested: Vec<_> = items
        .iter()
        .map(|item| match of_depth(item, depth + 1)? {
            Value::Array(array) => Ok(array),
            _ => Err(PyTypeError::new_err("the items of a list must be of one type")),
        })
        .collect::<PyResult<_>>()?;
    Ok(Array::Array(nested))
}

fn extract<'py, T: for<'a> FromPyObject<'a, 'py, Error = PyErr>>(
    items: &[Bound<'py, PyAny>],
) -> PyResult<Vec<T>> {
    items.iter().map(|item| item.extract()).collect()
}

/// The first integer type that holds some numbers.
#[derive(Clone, Copy)]
enum Width {
    U32,
    I32,
    U64,
    I64,
}

impl Width {
    fn of<'a, 'py: 'a>(numbers: impl Iterator<Item = &'a Bound<'py, PyAny>>) -> PyResult<Self> {
        let (mut least, mut most) = (0_i128, 0_i128);
        for number in numbers {
            let number: i128 = number
                .extract::<i64>()
                .map(i128::from)
                .or_else(|_| number.extract::<u64>().map(i128::from))?;
            (least, most) = (least.min(number), most.max(number));
        }
        Ok(match (least, most) {
            (0, 0..=0xffff_ffff) => Self::U32,
            (-0x8000_0000.., ..=0x7fff_ffff) => Self::I32,
            (0, _) => Self::U64,
            (_, ..=0x7fff_ffff_ffff_ffff) => Self::I64,
            _ => {
                let message = format!("no integer type holds both {least} and {most}");
                return Err(PyOverflowError::new_err(message));
            }
        })
    }

    fn scalar(self, value: &Bound<'_, PyAny>) -> PyResult<Value> {
        Ok(match self {
            Self::U32 => Value::U32(value.extract()?),
            Self::I32 => Value::I32(value.extract()?),
            Self::U64 => Value::U64(value.extract()?),
            Self::I64 => Value::I64(value.extract()?),
        })
    }

    fn array(self, items: &[Bound<'_, PyAny>]) -> PyResult<Array> {
        Ok(match self {
            Self::U32 => Array::U32(extract(items)?),
            Self::I32 => Array::I32(extract(items)?),
            Self::U64 => Array::U64(extract(items)?),
            Self::I64 => Array::I64(extract(items)?),
        })
    }
}

/// The name of the dtype of a scalar or an array of numpy.
fn dtype(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if value.get_type().module()?.to_cow()?.split('.').next() != Some("numpy") {
        return Ok(None);
    }
    match value.getattr_opt("dtype")? {
        Some(dtype) => dtype.getattr("name")?.extract().map(Some),
        None => Ok(None),
    }
}

/// Names of dtypes, and what they become: scalars and arrays.
macro_rules! dtypes {
    ($($name:literal: $variant:ident,)*) => {
        fn dtype_of(ty: ValueType) -> Option<&'static str> {
            match ty {
                $( ValueType::$variant => Some($name), )*
                _ => None,
            }
        }

        fn typed(dtype: &str, value: &Bound<'_, PyAny>) -> PyResult<Value> {
            match dtype {
                $( $name => Ok(Value::$variant(value.extract()?)), )*
                name if name.starts_with("str") => Ok(Value::String(value.extract()?)),
                name => Err(PyTypeError::new_err(format!("metadata cannot hold a {name}"))),
            }
        }

        fn typed_array(dtype: &str, items: &Bound<'_, PyList>) -> PyResult<Array> {
            match dtype {
                $( $name => Ok(Array::$variant(items.extract()?)), )*
                _ => array(&items.iter().collect::<Vec<_>>(), 0),
            }
        }
    };
}

dtypes! {
    "uint8": U8,
    "int8": I8,
    "uint16": U16,
    "int16": I16,
    "uint32": U32,
    "int32": I32,
    "uint64": U64,
    "int64": I64,
    "float32": F32,
    "float64": F64,
    "bool": Bool,
}

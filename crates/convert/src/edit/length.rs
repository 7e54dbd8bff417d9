//! The length of a header, without writing it.

use granule_format::{Array, Draft, Value, ValueType};

/// Where the tensor table of a file will end: the length of its header without padding.
pub(super) fn table_end(draft: &Draft) -> u64 {
    let entries = draft.metadata().iter().map(|entry| {
        // the length of the key, the key, the type, the value
        8 + entry.key.len() as u64 + 4 + value_bytes(&entry.value)
    });
    let tensors = draft.tensors().iter().map(|tensor| {
        // the length of the name, the name, dimensions, type, offset
        let dimensions = 4 + 8 * tensor.shape.dimensions().len() as u64;
        8 + tensor.name.len() as u64 + dimensions + 4 + 8
    });
    // magic, version, both counts
    24 + entries.sum::<u64>() + tensors.sum::<u64>()
}

/// Bytes of a value, without its type.
fn value_bytes(value: &Value) -> u64 {
    match value {
        Value::String(text) => 8 + text.len() as u64,
        Value::Array(array) => array_bytes(array),
        value => scalar_bytes(value.value_type()),
    }
}

/// Bytes of an array: the type of its elements, their number, and they.
fn array_bytes(array: &Array) -> u64 {
    12 + match array {
        Array::String(strings) => strings.iter().map(|string| 8 + string.len() as u64).sum(),
        Array::Array(arrays) => arrays.iter().map(array_bytes).sum(),
        array => scalar_bytes(array.element_type()) * array.len() as u64,
    }
}

/// Bytes of a value that has always the same number.
const fn scalar_bytes(ty: ValueType) -> u64 {
    match ty {
        ValueType::U8 | ValueType::I8 | ValueType::Bool => 1,
        ValueType::U16 | ValueType::I16 => 2,
        ValueType::U32 | ValueType::I32 | ValueType::F32 => 4,
        ValueType::U64 | ValueType::I64 | ValueType::F64 => 8,
        ValueType::String | ValueType::Array => 0,
    }
}

#[cfg(test)]
mod tests {
    use granule_format::{BlockType, Endian, Header, Limits, Metadata, Shape};

    use super::*;

    #[test]
    fn the_end_of_the_table_is_known_before_it_is_written() {
        let mut metadata = Metadata::new();
        metadata.set("a.u8", 1_u8);
        metadata.set("a.i16", 1_i16);
        metadata.set("a.f32", 1.0_f32);
        metadata.set("a.f64", 1.0_f64);
        metadata.set("a.flag", true);
        metadata.set("a.text", "text");
        metadata.set("a.numbers", Array::I32(vec![1, 2, 3]));
        metadata.set("a.strings", Array::String(["", "b", "cd"].iter().collect()));
        metadata.set("a.nested", Array::Array(vec![Array::U64(vec![1]), Array::Bool(vec![true])]));
        let mut draft = Draft::new(metadata, Endian::Big).unwrap();
        let end = |draft: &Draft| {
            let header = draft.header();
            let bytes = header.len() as u64 + draft.data_bytes();
            Header::parse_prefix(&header, bytes, &Limits::DEFAULT).unwrap().table_end()
        };
        assert_eq!(table_end(&draft), end(&draft));
        for dimensions in [&[3, 4][..], &[5], &[1, 1, 1, 1]] {
            let name = format!("tensor of {} dimensions", dimensions.len());
            draft.add(&name, Shape::new(dimensions).unwrap(), BlockType::F32.into()).unwrap();
            assert_eq!(table_end(&draft), end(&draft));
        }
    }
}

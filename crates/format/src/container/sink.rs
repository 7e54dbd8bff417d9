//! Writing metadata values.

use byteorder::{BigEndian, ByteOrder, LittleEndian};

use super::{Array, Endian, Value};
use crate::prelude::*;

/// Appends numbers in one byte order.
pub(crate) struct Sink<'o> {
    pub(crate) out: &'o mut Vec<u8>,
    pub(crate) endian: Endian,
}

/// Appends a value without its type.
#[cfg(test)]
pub(crate) fn put_value(out: &mut Vec<u8>, endian: Endian, value: &Value) {
    Sink { out, endian }.value(value);
}

/// A method for each width.
macro_rules! put {
    ($( $name:ident: $ty:ty, $write:ident; )*) => {
        $( pub(crate) fn $name(&mut self, value: $ty) {
            let mut bytes = [0; size_of::<$ty>()];
            match self.endian {
                Endian::Little => LittleEndian::$write(&mut bytes, value),
                Endian::Big => BigEndian::$write(&mut bytes, value),
            }
            self.out.extend_from_slice(&bytes);
        } )*
    };
}

/// A method for many numbers of each type.
macro_rules! put_all {
    ($( $name:ident: $ty:ty, $write:ident; )*) => {
        $( fn $name(&mut self, items: &[$ty]) {
            let start = self.out.len();
            self.out.resize(start + size_of_val(items), 0);
            match self.endian {
                Endian::Little => LittleEndian::$write(items, &mut self.out[start..]),
                Endian::Big => BigEndian::$write(items, &mut self.out[start..]),
            }
        } )*
    };
}

impl Sink<'_> {
    put! {
        u16: u16, write_u16;
        u32: u32, write_u32;
        u64: u64, write_u64;
    }

    put_all! {
        all_u16: u16, write_u16_into;
        all_i16: i16, write_i16_into;
        all_u32: u32, write_u32_into;
        all_i32: i32, write_i32_into;
        all_f32: f32, write_f32_into;
        all_u64: u64, write_u64_into;
        all_i64: i64, write_i64_into;
        all_f64: f64, write_f64_into;
    }

    pub(crate) fn string(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    /// The value without its type.
    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::U8(n) => self.out.push(*n),
            Value::I8(n) => self.out.push(n.cast_unsigned()),
            Value::Bool(b) => self.out.push((*b).into()),
            Value::U16(n) => self.u16(*n),
            Value::I16(n) => self.u16(n.cast_unsigned()),
            Value::U32(n) => self.u32(*n),
            Value::I32(n) => self.u32(n.cast_unsigned()),
            Value::F32(n) => self.u32(n.to_bits()),
            Value::U64(n) => self.u64(*n),
            Value::I64(n) => self.u64(n.cast_unsigned()),
            Value::F64(n) => self.u64(n.to_bits()),
            Value::String(text) => self.string(text.as_bytes()),
            Value::Array(array) => self.array(array),
        }
    }

    fn array(&mut self, array: &Array) {
        self.u32(array.element_type() as u32);
        self.u64(array.len() as u64);
        match array {
            Array::U8(items) => self.out.extend_from_slice(items),
            Array::I8(items) => self.out.extend(items.iter().map(|n| n.cast_unsigned())),
            Array::Bool(items) => self.out.extend(items.iter().map(|b| u8::from(*b))),
            Array::U16(items) => self.all_u16(items),
            Array::I16(items) => self.all_i16(items),
            Array::U32(items) => self.all_u32(items),
            Array::I32(items) => self.all_i32(items),
            Array::F32(items) => self.all_f32(items),
            Array::U64(items) => self.all_u64(items),
            Array::I64(items) => self.all_i64(items),
            Array::F64(items) => self.all_f64(items),
            Array::String(items) => items.iter().for_each(|s| self.string(s)),
            Array::Array(items) => items.iter().for_each(|a| self.array(a)),
        }
    }
}

use std::fmt;

use byteorder::{BigEndian, LittleEndian, WriteBytesExt};

use super::walk::Walk;
use super::{Endian, StringArray};
use crate::{Counted, Error, ErrorKind};

/// Builds the value types from one table: name, number in the file, Rust type.
macro_rules! values {
    ($( $(#[$doc:meta])* $name:ident = $id:literal: $ty:ty; )*) => {
        /// The type of a metadata value. The discriminant is the number in the file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum ValueType {
            $( $(#[$doc])* $name = $id, )*
            /// Text.
            String = 8,
            /// Values of one type, possibly arrays again.
            Array = 9,
        }

        impl ValueType {
            /// The type with this number in the file.
            pub const fn from_id(id: u32) -> Option<Self> {
                Some(match id {
                    $( $id => Self::$name, )*
                    8 => Self::String,
                    9 => Self::Array,
                    _ => return None,
                })
            }

            /// The type's name: `U32`, `String`.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$name => stringify!($name), )*
                    Self::String => "String",
                    Self::Array => "Array",
                }
            }

            /// The fewest bytes that a value of the type takes in a file with 32-bit (`narrow`)
            /// or 64-bit lengths.
            pub(crate) const fn least_bytes(self, narrow: bool) -> u64 {
                match self {
                    $( Self::$name => size_of::<$ty>() as u64, )*
                    Self::String => if narrow { 4 } else { 8 },
                    Self::Array => if narrow { 8 } else { 12 },
                }
            }
        }

        /// A metadata value.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Value {
            $( $(#[$doc])* $name($ty), )*
            /// Text.
            String(String),
            /// Values of one type.
            Array(Array),
        }

        impl Value {
            /// The type that the value is stored with.
            pub const fn value_type(&self) -> ValueType {
                match self {
                    $( Self::$name(_) => ValueType::$name, )*
                    Self::String(_) => ValueType::String,
                    Self::Array(_) => ValueType::Array,
                }
            }
        }

        $( impl From<$ty> for Value {
            fn from(value: $ty) -> Self {
                Self::$name(value)
            }
        } )*

        /// An array of metadata values of one type.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Array {
            $( $(#[$doc])* $name(Vec<$ty>), )*
            /// Text.
            String(StringArray),
            /// Arrays, whose element types may differ.
            Array(Vec<Array>),
        }

        impl Array {
            /// The type of the elements.
            pub const fn element_type(&self) -> ValueType {
                match self {
                    $( Self::$name(_) => ValueType::$name, )*
                    Self::String(_) => ValueType::String,
                    Self::Array(_) => ValueType::Array,
                }
            }

            /// Number of elements.
            pub fn len(&self) -> usize {
                match self {
                    $( Self::$name(items) => items.len(), )*
                    Self::String(items) => items.len(),
                    Self::Array(items) => items.len(),
                }
            }

            /// The element at `index` as a value of its own (text that is not UTF-8 with
            /// replacement characters).
            pub fn get(&self, index: usize) -> Option<Value> {
                Some(match self {
                    $( Self::$name(items) => Value::$name(*items.get(index)?), )*
                    Self::String(items) => {
                        Value::String(String::from_utf8_lossy(items.get(index)?).into_owned())
                    }
                    Self::Array(items) => Value::Array(items.get(index)?.clone()),
                })
            }
        }

        impl Value {
            pub(crate) fn read(walk: &mut Walk<'_, '_>, ty: ValueType) -> Result<Self, Error> {
                Ok(match ty {
                    $( ValueType::$name => Self::$name(walk.number()?), )*
                    ValueType::String => Self::String(walk.text()?),
                    ValueType::Array => Self::Array(Array::read(walk, 1)?),
                })
            }
        }

        impl Array {
            /// No elements of this type yet.
            fn new(ty: ValueType) -> Self {
                match ty {
                    $( ValueType::$name => Self::$name(Vec::new()), )*
                    ValueType::String => Self::String(StringArray::default()),
                    ValueType::Array => Self::Array(Vec::new()),
                }
            }

            /// Read and append `left` elements; it becomes how many are missing.
            fn extend(
                &mut self,
                walk: &mut Walk<'_, '_>,
                left: &mut u64,
                depth: u32,
            ) -> Result<(), Error> {
                match self {
                    $( Self::$name(items) => walk.numbers(items, left), )*
                    Self::String(strings) => walk.strings(strings, left),
                    Self::Array(items) => walk.arrays(items, left, depth + 1),
                }
            }
        }
    };
}

values! {
    /// An unsigned 8-bit integer.
    U8 = 0: u8;
    /// A signed 8-bit integer.
    I8 = 1: i8;
    /// An unsigned 16-bit integer.
    U16 = 2: u16;
    /// A signed 16-bit integer.
    I16 = 3: i16;
    /// An unsigned 32-bit integer.
    U32 = 4: u32;
    /// A signed 32-bit integer.
    I32 = 5: i32;
    /// A 32-bit floating point number.
    F32 = 6: f32;
    /// A truth value, one byte.
    Bool = 7: bool;
    /// An unsigned 64-bit integer.
    U64 = 10: u64;
    /// A signed 64-bit integer.
    I64 = 11: i64;
    /// A 64-bit floating point number.
    F64 = 12: f64;
}

impl Array {
    pub(super) fn read(walk: &mut Walk<'_, '_>, depth: u32) -> Result<Self, Error> {
        walk.depth = depth;
        let (mut array, mut left) = match walk.partial.take() {
            Some(partial) => partial,
            None => Self::start(walk, depth)?,
        };
        if let Err(error) = array.extend(walk, &mut left, depth) {
            if depth == 1 && matches!(error.kind, ErrorKind::PrefixTooShort { .. }) {
                walk.partial = Some((array, left));
            }
            return Err(error);
        }
        walk.depth = depth - 1;
        Ok(array)
    }

    /// The array without its elements, and how many there are.
    fn start(walk: &mut Walk<'_, '_>, depth: u32) -> Result<(Self, u64), Error> {
        if depth > walk.limits.depth() {
            return Err(walk.cursor.error(ErrorKind::Nesting(walk.limits.depth())));
        }
        let at = walk.cursor.position();
        let id = walk.cursor.u32()?;
        let Some(ty) = ValueType::from_id(id) else {
            return Err(Error::new(ErrorKind::ValueType(id), at));
        };
        let count = walk.cursor.count()?;
        walk.cursor.check_count(Counted::Elements, count, ty.least_bytes(walk.cursor.narrow))?;
        Ok((Self::new(ty), count))
    }
}

impl Array {
    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<Array> for Value {
    fn from(value: Array) -> Self {
        Self::Array(value)
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Appends numbers in one byte order.
pub(crate) struct Sink<'o> {
    pub(crate) out: &'o mut Vec<u8>,
    pub(crate) endian: Endian,
}

/// Append a value without its type.
#[cfg(test)]
pub(crate) fn put_value(out: &mut Vec<u8>, endian: Endian, value: &Value) {
    Sink { out, endian }.value(value);
}

/// One method for each width; writing to a `Vec` cannot fail.
macro_rules! put {
    ($( $name:ident: $ty:ty, $write:ident; )*) => {
        $( pub(crate) fn $name(&mut self, value: $ty) {
            match self.endian {
                Endian::Little => self.out.$write::<LittleEndian>(value),
                Endian::Big => self.out.$write::<BigEndian>(value),
            }
            .expect("a Vec takes every byte");
        } )*
    };
}

impl Sink<'_> {
    put! {
        u16: u16, write_u16;
        u32: u32, write_u32;
        u64: u64, write_u64;
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
            Array::U16(items) => items.iter().for_each(|n| self.u16(*n)),
            Array::I16(items) => items.iter().for_each(|n| self.u16(n.cast_unsigned())),
            Array::U32(items) => items.iter().for_each(|n| self.u32(*n)),
            Array::I32(items) => items.iter().for_each(|n| self.u32(n.cast_unsigned())),
            Array::F32(items) => items.iter().for_each(|n| self.u32(n.to_bits())),
            Array::U64(items) => items.iter().for_each(|n| self.u64(*n)),
            Array::I64(items) => items.iter().for_each(|n| self.u64(n.cast_unsigned())),
            Array::F64(items) => items.iter().for_each(|n| self.u64(n.to_bits())),
            Array::String(items) => items.iter().for_each(|s| self.string(s)),
            Array::Array(items) => items.iter().for_each(|a| self.array(a)),
        }
    }
}

use std::fmt;

use byteorder::{BigEndian, LittleEndian, WriteBytesExt};

use super::survey::Faults;
use super::{Endian, StringArray};
use crate::cursor::{Cursor, Number};
use crate::error::Place;
use crate::{Error, ErrorKind, Limits};

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
            fn read(walk: &mut Walk<'_, '_>, depth: u32) -> Result<Self, Error> {
                walk.depth = depth;
                if depth > walk.limits.array_depth {
                    return Err(walk.cursor.error(ErrorKind::Nesting(walk.limits.array_depth)));
                }
                let at = walk.cursor.position();
                let id = walk.cursor.u32()?;
                let Some(ty) = ValueType::from_id(id) else {
                    return Err(Error::new(ErrorKind::ValueType(id), at));
                };
                let count = walk.cursor.count()?;
                let least = ty.least_bytes(walk.cursor.narrow);
                walk.cursor.check_count("array elements", count, least)?;
                let array = match ty {
                    $( ValueType::$name => Self::$name(walk.numbers(count)?), )*
                    ValueType::String => Self::String(walk.strings(count)?),
                    ValueType::Array => {
                        let mut items = Vec::new();
                        for _ in 0..count {
                            if items.len() == items.capacity() {
                                // doubling takes much for arrays of 12 bytes each
                                items.reserve_exact(items.len() / 2 + 1);
                            }
                            items.push(Self::read(walk, depth + 1)?);
                        }
                        Self::Array(items)
                    }
                };
                walk.depth = depth - 1;
                Ok(array)
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

/// What reading a header needs: the position, the caps, and where to put faults that do not stop the
/// reading.
pub(crate) struct Walk<'a, 'f> {
    pub(crate) cursor: Cursor<'a>,
    pub(crate) limits: Limits,
    /// With a list, faults that leave the rest readable are noted; without, they are errors.
    faults: Option<&'f mut Faults>,
    /// The part of the file that is being read.
    pub(crate) place: Place,
    /// How many arrays the value that is being read lies in.
    depth: u32,
    /// Whether strings in arrays may be anything but UTF-8: token texts are bytes.
    pub(crate) raw_strings: bool,
}

impl<'a, 'f> Walk<'a, 'f> {
    pub(crate) fn new(cursor: Cursor<'a>, limits: &Limits, faults: Option<&'f mut Faults>) -> Self {
        let (limits, place) = (*limits, Place::Header);
        Self { cursor, limits, faults, place, depth: 0, raw_strings: false }
    }

    /// Whether the first fault ends the reading.
    pub(crate) const fn is_strict(&self) -> bool {
        self.faults.is_none()
    }
}

impl<'a> Walk<'a, '_> {
    /// Note a fault and go on, or stop with it.
    pub(crate) fn fault(&mut self, error: Error) -> Result<(), Error> {
        let error = self.placed(error);
        match &mut self.faults {
            Some(faults) => {
                faults.note(error);
                Ok(())
            }
            None => Err(error),
        }
    }

    /// The error, said to be in the part that is being read unless it names a part itself.
    pub(crate) fn placed(&self, error: Error) -> Error {
        match (&error.place, &self.place) {
            (Place::Header, Place::Value(key)) if self.depth == 1 => {
                error.within(Place::Element(key.clone()))
            }
            (Place::Header, Place::Value(key)) if self.depth > 1 => {
                error.within(Place::NestedValue(key.clone()))
            }
            (Place::Header, place) => error.within(place.clone()),
            _ => error,
        }
    }

    fn number<N: Number>(&mut self) -> Result<N, Error> {
        let bytes = self.checked::<N>(1)?;
        Ok(match self.cursor.endian {
            Endian::Little => N::from_little(bytes),
            Endian::Big => N::from_big(bytes),
        })
    }

    /// So many numbers, which the rest of the file has room for.
    fn numbers<N: Number>(&mut self, count: u64) -> Result<Vec<N>, Error> {
        let bytes = self.checked::<N>(count)?.chunks_exact(N::BYTES);
        Ok(match self.cursor.endian {
            Endian::Little => bytes.map(N::from_little).collect(),
            Endian::Big => bytes.map(N::from_big).collect(),
        })
    }

    /// The bytes of `count` numbers.
    fn checked<N: Number>(&mut self, count: u64) -> Result<&'a [u8], Error> {
        let at = self.cursor.position();
        let bytes = self.cursor.take(count.saturating_mul(N::BYTES as u64))?;
        if N::IS_BOOL {
            for (byte, at) in bytes.iter().zip(at..).filter(|(byte, _)| **byte > 1) {
                self.fault(Error::new(ErrorKind::Bool(*byte), at))?;
            }
        }
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String, Error> {
        let at = self.cursor.position();
        let bytes = self.cursor.string()?;
        match str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => {
                self.fault(Error::new(ErrorKind::NotUtf8, at))?;
                Ok(String::from_utf8_lossy(bytes).into_owned())
            }
        }
    }

    /// `count` strings, kept as they lie in the file.
    fn strings(&mut self, count: u64) -> Result<StringArray, Error> {
        let least = ValueType::String.least_bytes(self.cursor.narrow);
        let mut ends = Vec::new();
        ends.reserve_exact(self.cursor.room_for(count, least));
        let mut all = self.cursor.clone();
        let start = all.position();
        for before in 0..count {
            let at = self.cursor.position();
            let bytes = self.cursor.string().map_err(|error| {
                let rest = (count - before - 1).saturating_mul(least);
                error.needing_more(rest, self.cursor.file_bytes())
            })?;
            if !self.raw_strings && str::from_utf8(bytes).is_err() {
                self.fault(Error::new(ErrorKind::NotUtf8, at))?;
            }
            // no farther than the bytes that are there
            ends.push((self.cursor.position() - start) as usize);
        }
        let bytes = all.take(self.cursor.position() - start)?;
        Ok(StringArray::as_stored(bytes, least as usize, ends))
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

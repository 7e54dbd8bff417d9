use core::fmt;

use super::StringArray;
use crate::prelude::*;

/// The table of value types that hold one value: name, number in the file, Rust type. Expands the
/// macro that is given, which builds something from the table.
macro_rules! values {
    ($build:ident) => {
        $build! {
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
            /// A 32-bit floating-point number.
            F32 = 6: f32;
            /// A boolean, one byte.
            Bool = 7: bool;
            /// An unsigned 64-bit integer.
            U64 = 10: u64;
            /// A signed 64-bit integer.
            I64 = 11: i64;
            /// A 64-bit floating-point number.
            F64 = 12: f64;
        }
    };
}
pub(super) use values;

/// Builds the types from the table.
macro_rules! types {
    ($( $(#[$doc:meta])* $name:ident = $id:literal: $ty:ty; )*) => {
        /// The type of a metadata value. The discriminant is the number in the file.
        ///
        /// Exhaustive: the format has exactly these types, and code that shows or copies values
        /// handles each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum ValueType {
            $( $(#[$doc])* $name = $id, )*
            /// Text.
            String = 8,
            /// Values of one type, which may be arrays.
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

            /// Returns the fewest bytes of a value of this type in a file with 32-bit (`narrow`) or
            /// 64-bit lengths.
            pub(crate) const fn least_bytes(self, narrow: bool) -> u64 {
                match self {
                    $( Self::$name => size_of::<$ty>() as u64, )*
                    Self::String => if narrow { 4 } else { 8 },
                    Self::Array => if narrow { 8 } else { 12 },
                }
            }
        }

        /// A metadata value.
        ///
        /// Exhaustive, as [`ValueType`] is.
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
        ///
        /// Exhaustive, as [`ValueType`] is.
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

            /// Returns the element at `index` as a value. Strings that are not UTF-8 get
            /// replacement characters.
            pub fn get(&self, index: usize) -> Option<Value> {
                Some(match self {
                    $( Self::$name(items) => Value::$name(*items.get(index)?), )*
                    Self::String(items) => {
                        Value::String(String::from_utf8_lossy(items.get(index)?).into_owned())
                    }
                    Self::Array(items) => Value::Array(items.get(index)?.clone()),
                })
            }

            /// No elements of this type yet.
            pub(super) fn new(ty: ValueType) -> Self {
                match ty {
                    $( ValueType::$name => Self::$name(Vec::new()), )*
                    ValueType::String => Self::String(StringArray::default()),
                    ValueType::Array => Self::Array(Vec::new()),
                }
            }
        }

    };
}

values!(types);

impl Value {
    /// The string, if the value is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(string) => Some(string),
            _ => None,
        }
    }

    /// The boolean, if the value is one.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if the value is an F32, or an F64, which is rounded.
    pub const fn as_f32(&self) -> Option<f32> {
        match self {
            Self::F32(number) => Some(*number),
            Self::F64(number) => Some(*number as f32),
            _ => None,
        }
    }

    /// The number, if the value has one of the integer types and is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_integer()?.try_into().ok()
    }

    /// The number, if the value has one of the integer types.
    pub const fn as_integer(&self) -> Option<i128> {
        Some(match self {
            Self::U8(n) => *n as i128,
            Self::I8(n) => *n as i128,
            Self::U16(n) => *n as i128,
            Self::I16(n) => *n as i128,
            Self::U32(n) => *n as i128,
            Self::I32(n) => *n as i128,
            Self::U64(n) => *n as i128,
            Self::I64(n) => *n as i128,
            _ => return None,
        })
    }

    /// The array, if the value is one.
    pub const fn as_array(&self) -> Option<&Array> {
        match self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The strings, if the value is an array of strings.
    pub const fn as_strings(&self) -> Option<&StringArray> {
        match self {
            Self::Array(Array::String(strings)) => Some(strings),
            _ => None,
        }
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

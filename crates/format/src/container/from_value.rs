//! Metadata values as Rust types.

use core::fmt;

use super::{Array, StringArray, Value, ValueType};
use crate::prelude::*;

/// A metadata entry is missing or is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive] // new ways to ask bring new errors
pub enum MetadataError {
    /// The key is absent.
    #[error("the metadata has no key {key:?}")]
    Missing {
        /// The key.
        key: String,
    },
    /// The value has another type.
    #[error("the metadata value of {key:?} has type {found}, expected {expected}")]
    Type {
        /// The key.
        key: String,
        /// The type it has.
        found: ValueType,
        /// The kind of value that was asked for.
        expected: Expected,
    },
    /// The integer does not fit the type that was asked for.
    #[error("the metadata value of {key:?} is {value}, which is out of range")]
    Range {
        /// The key.
        key: String,
        /// The value.
        value: i128,
    },
}

/// A kind of value that was asked for, in [`MetadataError::Type`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive] // more types may be asked for
pub enum Expected {
    /// A string.
    String,
    /// A number of one of the integer types.
    Integer,
    /// A number of one of the floating-point types.
    Float,
    /// A boolean.
    Bool,
    /// An array of strings.
    Strings,
    /// An array of any type.
    Array,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::String => "String",
            Self::Integer => "an integer",
            Self::Float => "F32 or F64",
            Self::Bool => "Bool",
            Self::Strings => "an array of String",
            Self::Array => "an array",
        })
    }
}

/// A type that [`Metadata::find`](crate::Metadata::find) and
/// [`Metadata::require`](crate::Metadata::require) return values as.
///
/// Integers are accepted from every integer type of the file if they fit, floating-point numbers
/// from F32 and F64; strings and arrays are borrowed.
pub trait FromValue<'v>: Sized {
    /// The value of `key` as this type.
    ///
    /// # Errors
    /// If the value has a type that is not accepted, or is an integer out of range.
    fn from_value(key: &str, value: &'v Value) -> Result<Self, MetadataError>;
}

/// Types that a method of [`Value`] returns.
macro_rules! from_value {
    ($( $ty:ty: $method:ident, $expected:ident; )*) => {
        $( impl<'v> FromValue<'v> for $ty {
            fn from_value(key: &str, value: &'v Value) -> Result<Self, MetadataError> {
                value.$method().ok_or_else(|| wrong_type(key, value, Expected::$expected))
            }
        } )*
    };
}

from_value! {
    &'v str: as_str, String;
    f32: as_f32, Float;
    bool: as_bool, Bool;
    &'v StringArray: as_strings, Strings;
    &'v Array: as_array, Array;
}

macro_rules! integers {
    ($( $ty:ty )*) => {
        $( impl<'v> FromValue<'v> for $ty {
            fn from_value(key: &str, value: &'v Value) -> Result<Self, MetadataError> {
                integer(key, value)
            }
        } )*
    };
}

integers! { u8 i8 u16 i16 u32 i32 u64 i64 usize }

/// The value of `key` as an integer of type `T`.
pub(super) fn integer<T: TryFrom<i128>>(key: &str, value: &Value) -> Result<T, MetadataError> {
    let number = value.as_integer().ok_or_else(|| wrong_type(key, value, Expected::Integer))?;
    T::try_from(number).map_err(|_| MetadataError::Range { key: key.to_owned(), value: number })
}

fn wrong_type(key: &str, value: &Value, expected: Expected) -> MetadataError {
    MetadataError::Type { key: key.to_owned(), found: value.value_type(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metadata;

    #[test]
    fn values_are_returned_as_what_they_are_asked_for() {
        let mut metadata = Metadata::new();
        metadata.set("integer", -7_i8);
        metadata.set("large", u64::MAX);
        metadata.set("float", 0.5_f64);
        metadata.set("flag", true);
        metadata.set("string", "x");
        metadata.set("strings", Array::String(["a", "b"].into_iter().collect()));
        assert_eq!(metadata.require("integer"), Ok(-7_i64));
        assert_eq!(metadata.require("large"), Ok(u64::MAX));
        assert_eq!(metadata.require("float"), Ok(0.5_f32));
        assert_eq!(metadata.require("flag"), Ok(true));
        assert_eq!(metadata.require("string"), Ok("x"));
        assert_eq!(metadata.require::<&StringArray>("strings").map(StringArray::len), Ok(2));
        assert_eq!(metadata.require::<&Array>("strings").map(Array::len), Ok(2));
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let mut metadata = Metadata::new();
        metadata.set("n", -1_i32);
        let key = || "n".to_owned();
        let range = MetadataError::Range { key: key(), value: -1 };
        assert_eq!(metadata.require::<u32>("n"), Err(range));
        let (found, expected) = (ValueType::I32, Expected::String);
        let wrong = MetadataError::Type { key: key(), found, expected };
        assert_eq!(wrong.to_string(), "the metadata value of \"n\" has type I32, expected String");
        assert_eq!(metadata.find::<&str>("n"), Err(wrong));
        let missing = MetadataError::Missing { key: "m".to_owned() };
        assert_eq!(metadata.require::<u32>("m"), Err(missing));
        assert_eq!(metadata.find::<u32>("m"), Ok(None));
    }
}

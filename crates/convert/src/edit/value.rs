//! Metadata values from text.

use std::fmt;
use std::str::FromStr;

use granule_format::{Array, StringArray, Value, ValueType};
use serde_json::Value as Json;

/// The type of a value: `u32`, `str`, or `str[]` for an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One value.
    Scalar(ValueType),
    /// Values of one type.
    Array(ValueType),
}

/// The types of single values, as they are written in options.
const NAMES: &[(&str, ValueType)] = &[
    ("u8", ValueType::U8),
    ("i8", ValueType::I8),
    ("u16", ValueType::U16),
    ("i16", ValueType::I16),
    ("u32", ValueType::U32),
    ("i32", ValueType::I32),
    ("u64", ValueType::U64),
    ("i64", ValueType::I64),
    ("f32", ValueType::F32),
    ("f64", ValueType::F64),
    ("bool", ValueType::Bool),
    ("str", ValueType::String),
];

impl Kind {
    /// The type with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let scalar = |name: &str| NAMES.iter().find(|(known, _)| *known == name).map(|row| row.1);
        match name.strip_suffix("[]") {
            Some(element) => scalar(element).map(Self::Array),
            None => scalar(name).map(Self::Scalar),
        }
    }

    /// The type of a value; `None` for an array of arrays.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Array(Array::Array(_)) => None,
            Value::Array(array) => Some(Self::Array(array.element_type())),
            value => Some(Self::Scalar(value.value_type())),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ty, suffix) = match self {
            Self::Scalar(ty) => (ty, ""),
            Self::Array(ty) => (ty, "[]"),
        };
        let name = NAMES.iter().find(|(_, known)| known == ty).map_or("array", |row| row.0);
        f.pad(&format!("{name}{suffix}"))
    }
}

/// Where the text of a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// An argument.
    Argument(String),
    /// The content of a file: an array can be JSON or have an element in each line.
    File(String),
}

/// Parses the text of a value.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(kind: Kind, text: &Text) -> Result<Value, String> {
    match (kind, text) {
        (Kind::Scalar(ValueType::String), Text::Argument(text) | Text::File(text)) => {
            Ok(Value::String(text.clone()))
        }
        (Kind::Scalar(ty), Text::Argument(text) | Text::File(text)) => scalar(ty, text.trim()),
        (Kind::Array(ty), Text::Argument(text)) => array(ty, json(text)?),
        (Kind::Array(ty), Text::File(text)) => match text.trim_start().starts_with('[') {
            true => array(ty, json(text)?),
            false => array(ty, text.lines().map(str::to_owned).collect()),
        },
    }
}

/// Parses one value that is no array.
pub(super) fn scalar(ty: ValueType, text: &str) -> Result<Value, String> {
    fn number<T: FromStr + Into<Value>>(ty: ValueType, text: &str) -> Result<Value, String> {
        let range = if matches!(ty, ValueType::F32 | ValueType::F64) {
            "a number".to_owned()
        } else {
            format!("an integer of {} bits{}", bits(ty), sign(ty))
        };
        text.parse::<T>().map(Into::into).map_err(|_| format!("{text:?} is not {range}"))
    }
    match ty {
        ValueType::U8 => number::<u8>(ty, text),
        ValueType::I8 => number::<i8>(ty, text),
        ValueType::U16 => number::<u16>(ty, text),
        ValueType::I16 => number::<i16>(ty, text),
        ValueType::U32 => number::<u32>(ty, text),
        ValueType::I32 => number::<i32>(ty, text),
        ValueType::U64 => number::<u64>(ty, text),
        ValueType::I64 => number::<i64>(ty, text),
        ValueType::F32 => number::<f32>(ty, text),
        ValueType::F64 => number::<f64>(ty, text),
        ValueType::Bool => match text {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            _ => Err(format!("{text:?} is neither true nor false")),
        },
        ValueType::String => Ok(text.into()),
        ValueType::Array => Err("arrays of arrays cannot be set".to_owned()),
    }
}

const fn bits(ty: ValueType) -> u32 {
    match ty {
        ValueType::U8 | ValueType::I8 => 8,
        ValueType::U16 | ValueType::I16 => 16,
        ValueType::U64 | ValueType::I64 => 64,
        _ => 32,
    }
}

const fn sign(ty: ValueType) -> &'static str {
    match ty {
        ValueType::U8 | ValueType::U16 | ValueType::U32 | ValueType::U64 => " without a sign",
        _ => "",
    }
}

/// The elements of a JSON array as text.
fn json(text: &str) -> Result<Vec<String>, String> {
    let parsed: Json = serde_json::from_str(text)
        .map_err(|error| format!("expected a JSON array such as [1, 2] or [\"a\"]: {error}"))?;
    let Json::Array(elements) = parsed else {
        return Err("expected a JSON array such as [1, 2] or [\"a\"]".to_owned());
    };
    let text = |element| match element {
        Json::String(text) => Ok(text),
        Json::Number(number) => Ok(number.to_string()),
        Json::Bool(value) => Ok(value.to_string()),
        other => Err(format!("{other} cannot be an element of an array")),
    };
    elements.into_iter().map(text).collect()
}

fn array(ty: ValueType, elements: Vec<String>) -> Result<Value, String> {
    /// Builds the arrays of all types but strings.
    macro_rules! arrays {
        ($($name:ident),*) => {
            match ty {
                $(ValueType::$name => {
                    let parsed = elements.iter().enumerate().map(|(index, text)| {
                        match scalar(ty, text.trim()) {
                            Ok(Value::$name(value)) => Ok(value),
                            Ok(_) => unreachable!("the type that was asked for"),
                            Err(problem) => Err(format!("element {index}: {problem}")),
                        }
                    });
                    Array::$name(parsed.collect::<Result<_, String>>()?)
                })*
                ValueType::String => Array::String(StringArray::from_iter(elements)),
                ValueType::Array => return Err("arrays of arrays cannot be set".to_owned()),
            }
        };
    }
    Ok(arrays!(U8, I8, U16, I16, U32, I32, U64, I64, F32, F64, Bool).into())
}

/// Sets one element of an array.
///
/// # Errors
/// What is wrong with the text, or that there is no such element.
pub(super) fn set_element(array: &mut Array, index: usize, text: &str) -> Result<(), String> {
    let length = array.len();
    if index >= length {
        return Err(format!("there is no element {index}: the array has {length}, from 0"));
    }
    macro_rules! elements {
        ($($name:ident),*) => {
            match array {
                $(Array::$name(elements) => match scalar(ValueType::$name, text.trim())? {
                    Value::$name(value) => elements[index] = value,
                    _ => unreachable!("the type that was asked for"),
                },)*
                Array::String(strings) => {
                    let with = |(at, old)| if at == index { text.as_bytes() } else { old };
                    *strings = strings.iter().enumerate().map(with).collect();
                }
                Array::Array(_) => return Err("arrays of arrays cannot be set".to_owned()),
            }
        };
    }
    elements!(U8, I8, U16, I16, U32, I32, U64, I64, F32, F64, Bool);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(text: &str) -> Text {
        Text::Argument(text.to_owned())
    }

    fn kind(name: &str) -> Kind {
        Kind::from_name(name).unwrap()
    }

    #[test]
    fn names_and_types() {
        for (name, ty) in NAMES {
            assert_eq!(kind(name), Kind::Scalar(*ty));
            assert_eq!(kind(&format!("{name}[]")).to_string(), format!("{name}[]"));
        }
        assert_eq!(Kind::from_name("string"), None);
        assert_eq!(Kind::of(&Array::Array(Vec::new()).into()), None);
    }

    #[test]
    fn values() {
        for (name, text, expected) in [
            ("u8", "255", Value::U8(255)),
            ("i64", "-5", Value::I64(-5)),
            ("f32", "1e-5", Value::F32(1e-5)),
            ("bool", "true", Value::Bool(true)),
            ("str", " a ", Value::String(" a ".to_owned())),
            ("i32[]", "[1, -2]", Array::I32(vec![1, -2]).into()),
            ("f32[]", "[0.1]", Array::F32(vec![0.1]).into()),
            ("str[]", "[\"a\", \"1\"]", Array::String(["a", "1"].iter().collect()).into()),
        ] {
            assert_eq!(parse(kind(name), &argument(text)), Ok(expected), "{name} {text}");
        }
        for (name, text, part) in [
            ("u8", "256", "an integer of 8 bits without a sign"),
            ("i32", "1.5", "an integer of 32 bits"),
            ("bool", "1", "neither true nor false"),
            ("u32[]", "1,2", "expected a JSON array"),
            ("u32[]", "{}", "expected a JSON array"),
            ("u32[]", "[1, null]", "null cannot be an element"),
            ("u32[]", "[1, -1]", "element 1: \"-1\" is not"),
        ] {
            let found = parse(kind(name), &argument(text)).unwrap_err();
            assert!(found.contains(part), "{name} {text}: {found}");
        }
        let lines = Text::File("a\n b\n".to_owned());
        assert_eq!(
            parse(kind("str[]"), &lines),
            Ok(Array::String(["a", " b"].iter().collect()).into())
        );
        let text = Text::File("{{ template }}\n".to_owned());
        assert_eq!(parse(kind("str"), &text), Ok(Value::String("{{ template }}\n".to_owned())));
    }

    #[test]
    fn elements() {
        let mut array = Array::String(["a", "b"].iter().collect());
        set_element(&mut array, 1, "c").unwrap();
        assert_eq!(array, Array::String(["a", "c"].iter().collect()));
        let mut array = Array::I32(vec![1, 2]);
        set_element(&mut array, 0, "-7").unwrap();
        assert_eq!(array, Array::I32(vec![-7, 2]));
        assert!(set_element(&mut array, 2, "1").unwrap_err().contains("the array has 2"));
        assert!(set_element(&mut array, 0, "x").is_err());
    }
}

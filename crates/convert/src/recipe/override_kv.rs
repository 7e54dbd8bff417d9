//! Metadata entries set by the user.

use std::fmt;
use std::str::FromStr;

use granule_format::Value;
use granule_format::nearest::{did_you_mean, nearest};
use serde::{Deserialize, Serialize};

use super::RecipeError;

/// `KEY=TYPE:VALUE`: a metadata entry to set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MetadataOverride {
    /// The key.
    pub key: String,
    /// The new value, whatever type the old one had.
    pub value: OverrideValue,
}

/// A value that metadata can be set to.
#[derive(Clone, Debug, PartialEq)]
pub enum OverrideValue {
    /// `int`: stored as U32.
    Integer(u32),
    /// `float`: stored as F32.
    Float(f32),
    /// `bool`.
    Bool(bool),
    /// `str`.
    Text(String),
}

/// Returns the override types that a name from another program, or a misspelled one, may mean.
fn near_override_types(ty: &str) -> Vec<&'static str> {
    const OTHER_NAMES: &[(&str, &[&str])] = &[
        ("int", &["integer", "i32", "u32", "int32", "uint32", "i64", "u64", "u8", "u16"]),
        ("float", &["f32", "f64", "float32", "double", "number"]),
        ("bool", &["boolean", "flag"]),
        ("str", &["string", "text"]),
    ];
    let lower = ty.to_lowercase();
    match OTHER_NAMES.iter().find(|(_, others)| others.contains(&lower.as_str())) {
        Some((name, _)) => vec![*name],
        None => nearest(ty, OTHER_NAMES.iter().map(|(name, _)| *name)),
    }
}

/// Longest key and longest string of a metadata override, in bytes: the limit of `llama-quantize`.
const LONGEST_OVERRIDE: usize = 127;

impl FromStr for MetadataOverride {
    type Err = RecipeError;

    fn from_str(text: &str) -> Result<Self, RecipeError> {
        let fail = |problem: &str| RecipeError::Metadata {
            text: text.to_owned(),
            problem: problem.to_owned(),
        };
        let (key, rest) = text.split_once('=').ok_or_else(|| fail("there is no `=`"))?;
        if key.is_empty() || key.len() > LONGEST_OVERRIDE {
            return Err(fail("the key must have 1 to 127 bytes"));
        }
        let (ty, value) = rest.split_once(':').ok_or_else(|| {
            fail(
                "the value has no type: write KEY=int:VALUE, or float, bool or str in place of int",
            )
        })?;
        let value = match ty {
            // the sign is dropped, as llama-quantize does
            "int" => value
                .parse::<i64>()
                .ok()
                .and_then(|number| u32::try_from(number.unsigned_abs()).ok())
                .map(OverrideValue::Integer)
                .ok_or_else(|| fail("the number is not an integer of at most 32 bits"))?,
            "float" => value
                .parse::<f64>()
                .ok()
                .map(|number| number as f32)
                .filter(|number| number.is_finite())
                .map(OverrideValue::Float)
                .ok_or_else(|| fail("the number is not finite"))?,
            "bool" => value
                .parse()
                .map(OverrideValue::Bool)
                .map_err(|_| fail("a bool must be true or false"))?,
            "str" if value.len() > LONGEST_OVERRIDE => {
                return Err(fail("the string must have at most 127 bytes"));
            }
            "str" => OverrideValue::Text(value.to_owned()),
            _ => {
                let near = did_you_mean(&near_override_types(ty));
                return Err(fail(&format!("{ty:?} is not int, float, bool or str{near}")));
            }
        };
        Ok(Self { key: key.to_owned(), value })
    }
}

impl fmt::Display for MetadataOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            OverrideValue::Integer(number) => write!(f, "{}=int:{number}", self.key),
            OverrideValue::Float(number) => write!(f, "{}=float:{number}", self.key),
            OverrideValue::Bool(value) => write!(f, "{}=bool:{value}", self.key),
            OverrideValue::Text(text) => write!(f, "{}=str:{text}", self.key),
        }
    }
}

impl From<&OverrideValue> for Value {
    fn from(value: &OverrideValue) -> Self {
        match value {
            OverrideValue::Integer(number) => Self::U32(*number),
            OverrideValue::Float(number) => Self::F32(*number),
            OverrideValue::Bool(value) => Self::Bool(*value),
            OverrideValue::Text(text) => Self::String(text.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_of_metadata() {
        use OverrideValue::*;
        for (text, key, value) in [
            ("a.b=int:70000", "a.b", Integer(70000)),
            ("a.b=int:-70000", "a.b", Integer(70000)),
            ("a=float:1e-5", "a", Float(1e-5)),
            ("a=bool:true", "a", Bool(true)),
            ("a=str:x=y:z", "a", Text("x=y:z".into())),
            ("a=str:", "a", Text(String::new())),
        ] {
            let parsed: MetadataOverride = text.parse().unwrap();
            assert_eq!((parsed.key.as_str(), &parsed.value), (key, &value));
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
        let long = format!("a=str:{}", "x".repeat(128));
        for text in [
            "a",
            "=int:1",
            "a=1",
            "a=int:",
            "a=int:5000000000",
            "a=int:1.5",
            "a=float:nan",
            "a=bool:1",
            "a=u8:1",
            &long,
        ] {
            assert!(text.parse::<MetadataOverride>().is_err(), "{text}");
        }
        for (text, part) in [
            ("a=u32:1", "\"u32\" is not int, float, bool or str; did you mean int?"),
            ("a=string:x", "did you mean str?"),
            ("a=flaot:1", "did you mean float?"),
            ("a=json:{}", "\"json\" is not int, float, bool or str"),
            ("a=7", "write KEY=int:VALUE"),
        ] {
            let error = text.parse::<MetadataOverride>().unwrap_err().to_string();
            assert!(error.ends_with(part) || error.contains(part), "{error}");
        }
    }
}

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{ARCHS, Default, Number};
use crate::Error;
use crate::json::read_object;
use crate::source::Problem;

/// `config.json`, and the same with everything filled in that the model's class would fill in.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    path: PathBuf,
    /// As it stands in the file.
    pub(crate) raw: Map<String, Value>,
    /// With defaults, and with what is nested for the text part of a larger model at the top.
    full: Map<String, Value>,
}

impl Config {
    /// Read the config of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("config.json");
        let raw = read_object(&path)?;
        let mut full = raw.clone();
        fill(&mut full);
        if let Some(Value::Object(text)) = raw.get("text_config") {
            let mut text = text.clone();
            fill(&mut text);
            full.extend(text);
        }
        Ok(Self { path, raw, full })
    }

    /// A config without file.
    #[cfg(test)]
    pub(crate) fn of(json: Value) -> Self {
        let raw = json.as_object().cloned().unwrap_or_default();
        let mut full = raw.clone();
        fill(&mut full);
        Self { path: "config.json".into(), raw, full }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the model's class.
    pub(crate) fn class(&self) -> Result<&str, Error> {
        let named = |map: &'_ Map<String, Value>| {
            map.get("architectures").and_then(|list| list.get(0)).is_some()
        };
        let map = match self.raw.get("text_config") {
            Some(Value::Object(text)) if named(text) => text,
            _ => &self.raw,
        };
        map.get("architectures")
            .and_then(|list| list.get(0))
            .and_then(Value::as_str)
            .ok_or_else(|| Error::in_file(&self.path, Problem::NoArchitecture))
    }

    /// The value of a key, defaults included; null counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.full.get(key).filter(|value| !value.is_null())
    }

    /// The first of these keys that is there. As in the reference, a key whose value is null ends
    /// the search.
    pub(crate) fn first(&self, keys: &[&'static str]) -> Option<(&'static str, &Value)> {
        let key = keys.iter().find(|key| self.full.contains_key(**key))?;
        Some((key, self.get(key)?))
    }

    /// A number that follows from the config.
    pub(crate) fn number(&self, number: &Number) -> Result<u64, Error> {
        match number {
            Number::Key(keys) => {
                let (key, value) = self
                    .first(keys)
                    .ok_or_else(|| Error::in_file(&self.path, Problem::MissingKey(keys)))?;
                self.unsigned(key, value)
            }
            Number::Or(first, second) => match first {
                Number::Key(keys) if self.first(keys).is_none() => self.number(second),
                _ => self.number(first),
            },
            Number::Product(a, b) => {
                let product = self.number(a)?.checked_mul(self.number(b)?);
                Ok(product.unwrap_or(u64::MAX))
            }
            Number::Quotient(a, b) => {
                let divisor = self.number(b)?;
                self.number(a)?
                    .checked_div(divisor)
                    .ok_or_else(|| self.wrong(&b.to_string(), &Value::from(0), "a number above 0"))
            }
        }
    }

    /// A value as a number without sign.
    pub(crate) fn unsigned(&self, key: &str, value: &Value) -> Result<u64, Error> {
        value.as_u64().ok_or_else(|| self.wrong(key, value, "an integer that is not negative"))
    }

    /// A value as a 32-bit number without sign, as metadata hold them.
    pub(crate) fn unsigned_32(&self, key: &str, value: &Value) -> Result<u32, Error> {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| self.wrong(key, value, "an integer from 0 to 4294967295"))
    }

    /// A value as a number.
    pub(crate) fn float(&self, key: &str, value: &Value) -> Result<f64, Error> {
        value.as_f64().ok_or_else(|| self.wrong(key, value, "a number"))
    }

    /// The error for a value of another type than is needed.
    pub(crate) fn wrong(&self, key: &str, value: &Value, expected: &'static str) -> Error {
        let problem = Problem::KeyType { key: key.to_owned(), found: value.to_string(), expected };
        Error::in_file(&self.path, problem)
    }
}

/// Fill in what the class of `model_type` has as defaults.
fn fill(map: &mut Map<String, Value>) {
    let Some(model_type) = map.get("model_type").and_then(Value::as_str) else { return };
    let classes = ARCHS.iter().flat_map(|arch| arch.defaults);
    let Some(class) = classes.into_iter().find(|class| class.name == model_type) else { return };
    for (key, default) in class.values {
        let there = map.get(*key);
        let value = match default {
            _ if there.is_some_and(|value| !value.is_null()) => continue,
            Default::Same(other) => map.get(*other).cloned(),
            Default::Quotient(a, b) => {
                let of = |key: &str| map.get(key).and_then(Value::as_u64);
                of(a).zip(of(b)).and_then(|(a, b)| a.checked_div(b)).map(Value::from)
            }
            _ if there.is_some() => continue,
            Default::Integer(n) => Some(Value::from(*n)),
            Default::Float(x) => Some(Value::from(*x)),
            Default::Null => Some(Value::Null),
        };
        if let Some(value) = value {
            map.insert((*key).to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nine_keys_are_enough_for_llama() {
        let config = Config::of(json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 512, "hidden_size": 64,
            "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "rms_norm_eps": 1e-5,
            "tie_word_embeddings": true,
        }));
        for (key, value) in [
            ("max_position_embeddings", json!(2048)),
            ("num_key_value_heads", json!(4)),
            ("head_dim", json!(16)),
            ("rope_theta", json!(10000.0)),
            ("hidden_size", json!(64)),
        ] {
            assert_eq!(config.get(key), Some(&value), "{key}");
        }
    }

    #[test]
    fn null_counts_as_absent_only_where_the_class_says_so() {
        let of = |model_type: &str| {
            Config::of(json!({
                "model_type": model_type, "num_attention_heads": 6, "num_key_value_heads": null,
                "max_position_embeddings": null
            }))
        };
        for model_type in ["llama", "mistral", "mixtral"] {
            assert_eq!(of(model_type).get("num_key_value_heads"), Some(&json!(6)), "{model_type}");
            assert_eq!(of(model_type).first(&["max_position_embeddings", "n_ctx"]), None);
        }
        assert_eq!(of("unheard-of").get("num_key_value_heads"), None);
    }

    #[test]
    fn a_missing_number_is_named() {
        let config = Config::of(json!({"hidden_size": 1}));
        assert_eq!(config.number(&Number::Key(&["hidden_size"])).ok(), Some(1));
        let missing = config.number(&Number::Key(&["n_embd"])).unwrap_err().to_string();
        assert!(missing.contains("config.json") && missing.contains("n_embd"), "{missing}");
    }
}

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::expression::Scope;
use super::{Arch, ModelType, Rope, built_in};
use crate::folder::Nowhere;
use crate::json::read_object;
use crate::{Error, Folder, Problem};

/// `config.json`, as it is and with the defaults of the model's class.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    path: PathBuf,
    /// The folder as it was given.
    given: PathBuf,
    /// The content of the file.
    pub(crate) raw: Map<String, Value>,
    /// The content with defaults. The keys of a nested text part are at the top level.
    full: Map<String, Value>,
}

/// Keys under which multimodal models nest the config of their text part.
const TEXT_CONFIGS: &[&str] = &["text_config", "llm_config", "lm_config", "language_config"];

impl Config {
    /// Reads the config of a folder. Defaults in `file` take precedence over built-in ones.
    pub(crate) fn read(folder: &dyn Folder, file: Option<&Arc<Arch>>) -> Result<Self, Error> {
        let path = folder.at("config.json");
        let raw = read_object(&path)?;
        Self::filled(path.path().to_owned(), raw, file)
    }

    /// A config with this content and the defaults of its class; errors name `path`.
    pub(crate) fn filled(
        path: PathBuf,
        raw: Map<String, Value>,
        file: Option<&Arc<Arch>>,
    ) -> Result<Self, Error> {
        let mut full = raw.clone();
        fill(&mut full, &path, file)?;
        if let Some(mut text) = text_config(&raw).cloned() {
            fill(&mut text, &path, file)?;
            full.extend(text);
        }
        Ok(Self { path, given: PathBuf::new(), raw, full })
    }

    /// The same config with the folder's path as it was given, which may contain the model's name.
    pub(crate) fn given_as(self, folder: &Path) -> Self {
        Self { given: folder.to_owned(), ..self }
    }

    /// A config with this content and no defaults.
    pub(super) fn bare(path: PathBuf, raw: Map<String, Value>) -> Self {
        Self { path, given: PathBuf::new(), full: raw.clone(), raw }
    }

    /// The same config without defaults.
    pub(crate) fn without_defaults(self) -> Self {
        let mut full = self.raw.clone();
        full.extend(text_config(&self.raw).cloned().unwrap_or_default());
        Self { full, ..self }
    }

    /// A config without a file.
    #[cfg(test)]
    pub(crate) fn of(json: Value) -> Self {
        let raw = json.as_object().cloned().unwrap_or_default();
        Self::filled("config.json".into(), raw, None).expect("the defaults are good")
    }

    /// The scope of an architecture's expressions.
    pub(crate) fn scope<'a>(
        &'a self,
        folder: &'a dyn Folder,
        arch: &'a Arch,
        rope: Option<&'a Rope<'a>>,
    ) -> Scope<'a> {
        Scope {
            folder,
            given: &self.given,
            path: &self.path,
            raw: &self.raw,
            config: &self.full,
            numbers: &arch.numbers,
            rope,
            layer: None,
            tokens: None,
            depth: 0,
            inside: None,
        }
    }

    /// A scope with these definitions alone.
    #[cfg(test)]
    pub(super) fn bare_scope<'a>(&'a self, numbers: &'a super::Numbers) -> Scope<'a> {
        Scope {
            folder: &Nowhere,
            given: &self.given,
            path: &self.path,
            raw: &self.raw,
            config: &self.full,
            numbers,
            rope: None,
            layer: None,
            tokens: None,
            depth: 0,
            inside: None,
        }
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
        let map = match text_config(&self.raw) {
            Some(text) if named(text) => text,
            _ => &self.raw,
        };
        map.get("architectures")
            .and_then(|list| list.get(0))
            .and_then(Value::as_str)
            .ok_or_else(|| Error::in_file(&self.path, Problem::NoArchitecture))
    }

    /// The value of a key, defaults included. Null counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.full.get(key).filter(|value| !value.is_null())
    }

    /// The first of these keys that is present. As in the reference, a null value ends the search.
    pub(crate) fn first(&self, keys: &[&'static str]) -> Option<(&'static str, &Value)> {
        let key = keys.iter().find(|key| self.full.contains_key(**key))?;
        Some((key, self.get(key)?))
    }

    /// A value as an unsigned integer.
    pub(crate) fn unsigned(&self, key: &str, value: &Value) -> Result<u64, Error> {
        value.as_u64().ok_or_else(|| self.wrong(key, value, "an integer that is not negative"))
    }

    /// A value as an unsigned 32-bit integer, the type of metadata.
    pub(crate) fn unsigned_32(&self, key: &str, value: &Value) -> Result<u32, Error> {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| self.wrong(key, value, "an integer from 0 to 4294967295"))
    }

    /// A value as a number.
    pub(crate) fn float(&self, key: &str, value: &Value) -> Result<f64, Error> {
        value.as_f64().ok_or_else(|| self.wrong(key, value, "a number"))
    }

    /// The error for a value of the wrong type.
    pub(crate) fn wrong(&self, key: &str, value: &Value, expected: &'static str) -> Error {
        let problem = Problem::KeyType { key: key.to_owned(), found: value.to_string(), expected };
        Error::in_file(&self.path, problem)
    }
}

/// Finds the architecture that describes a checkpoint: `file`, or a built-in one.
///
/// # Errors
/// If none does.
pub(crate) fn find(
    file: Option<&Arc<Arch>>,
    config: &Config,
    folder: &dyn Folder,
) -> Result<Arc<Arch>, Error> {
    let class = config.class()?;
    for arch in file.into_iter().chain(built_in::all()) {
        let known = arch.classes.iter().any(|name| name == class);
        let here = match &arch.when {
            Some(when) if known => config.scope(folder, arch, None).holds(when)?,
            _ => known,
        };
        if here {
            return Ok(arch.clone());
        }
    }
    Err(Error::in_file(config.path(), Problem::UnknownArchitecture(class.to_owned())))
}

/// The config of the text part.
fn text_config(raw: &Map<String, Value>) -> Option<&Map<String, Value>> {
    TEXT_CONFIGS.iter().find_map(|key| raw.get(*key)?.as_object())
}

/// Fills in the defaults of the class of `model_type`.
fn fill(map: &mut Map<String, Value>, path: &Path, file: Option<&Arc<Arch>>) -> Result<(), Error> {
    let Some(model_type) = map.get("model_type").and_then(Value::as_str) else { return Ok(()) };
    let mut types = file.into_iter().chain(built_in::all()).flat_map(|arch| &arch.defaults);
    let Some(ModelType { aliases, values, .. }) = types.find(|ty| ty.name == model_type) else {
        return Ok(());
    };
    for (alias, key) in aliases {
        if let Some(value) = map.remove(alias) {
            map.insert(key.clone(), value);
        }
    }
    for (key, default) in values {
        let null = match map.get(key) {
            Some(Value::Null) => true,
            None => false,
            Some(_) => continue,
        };
        if null && default.is_literal() {
            continue;
        }
        let scope = Scope {
            folder: &Nowhere,
            given: Path::new(""),
            path,
            raw: map,
            config: map,
            numbers: const { &Vec::new() },
            rope: None,
            layer: None,
            tokens: None,
            depth: 0,
            inside: None,
        };
        if let Some(value) = scope.value(default)? {
            map.insert(key.clone(), value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nine_keys_are_enough_for_llama() {
        let config = Config::of(json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 512,
            "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
            "num_attention_heads": 4, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
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
        let absent = Config::of(json!({"model_type": "mistral", "num_attention_heads": 6}));
        assert_eq!(absent.get("num_key_value_heads"), Some(&json!(8)));
    }
}

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::expression::{Rotary, Scope, Stored, path};
use super::{Arch, Kind, ModelType, built_in};
use crate::folder::Nowhere;
use crate::json::read_object;
use crate::weights::{StoredTensor, Weights};
use crate::{DraftProblem, Error, Folder, Layout, Problem};

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
    /// The name of the model's class.
    class: Option<String>,
}

/// Paths under which larger models nest the config of their text part. A later one hides the
/// others, as in the reference.
const TEXT_PARTS: &[&str] = &[
    "text_config",
    "llm_config",
    "lm_config",
    "thinker_config.text_config",
    "language_config",
    "lfm",
];

/// The key under which expressions find the config of the target of a draft model.
const TARGET: &str = "target";

/// The default by which a model type says which type its text part has.
const TEXT_TYPE: &str = "text_config.model_type";

impl Config {
    /// Reads the config of a folder. Defaults in `file` take precedence over built-in ones.
    pub(crate) fn read(folder: &dyn Folder, file: Option<&Arc<Arch>>) -> Result<Self, Error> {
        Self::read_as(folder, Layout::HuggingFace, file)
    }

    /// The same for a folder of any layout. Where the config names no class, the name of its file
    /// stands for one.
    pub(crate) fn read_as(
        folder: &dyn Folder,
        layout: Layout,
        file: Option<&Arc<Arch>>,
    ) -> Result<Self, Error> {
        let path = folder.at(layout.config());
        let unnamed = if layout == Layout::HuggingFace { unnamed(folder) } else { None };
        let mut raw = match unnamed {
            Some(class) => Map::from_iter([("architectures".to_owned(), vec![class].into())]),
            None => read_object(&path)?,
        };
        if layout != Layout::HuggingFace {
            raw.insert("architectures".to_owned(), Value::from(vec![layout.config()]));
        }
        Self::filled(path.path().to_owned(), raw, file)
    }

    /// A config with this content and the defaults of its class; errors name `path`.
    pub(crate) fn filled(
        path: PathBuf,
        raw: Map<String, Value>,
        file: Option<&Arc<Arch>>,
    ) -> Result<Self, Error> {
        let class = class_of(&raw, file);
        let full = match of_types(&raw, &path, file)? {
            Some(full) => full,
            None => merged(&raw),
        };
        Ok(Self { path, given: PathBuf::new(), raw, full, class })
    }

    /// The same config with the folder's path as it was given, which may contain the model's name.
    pub(crate) fn given_as(self, folder: &Path) -> Self {
        Self { given: folder.to_owned(), ..self }
    }

    /// Adds the config of a further part of the model under a key.
    pub(crate) fn add(&mut self, key: &str, value: Value) {
        self.full.insert(key.to_owned(), value);
    }

    /// The same config as the description of a model reads it. If it names no class, it is the
    /// first of the description.
    pub(crate) fn of_model(self, arch: &Arch) -> Self {
        let mut config = if arch.raw_config { self.without_defaults() } else { self };
        config.class = config.class.or_else(|| arch.classes.first().cloned());
        if let Some(part) = &arch.text_part {
            let part = path(&config.raw, part).and_then(Value::as_object).cloned();
            config.full.extend(part.unwrap_or_default());
        }
        config
    }

    /// Sets the keys whose values the description says. Null sets none.
    pub(crate) fn set_keys(
        &mut self,
        arch: &Arch,
        folder: &dyn Folder,
        tensors: &[StoredTensor],
    ) -> Result<(), Error> {
        let names: Vec<String> = tensors.iter().map(|tensor| tensor.name.clone()).collect();
        for (key, value) in &arch.config {
            let stored = Stored { names: &names, tensors, ..Stored::default() };
            let scope = self.scope(folder, arch, None).with_stored(stored);
            let value = scope.value(value)?.filter(|value| !value.is_null());
            if let Some(value) = value {
                self.add(key, value);
            }
        }
        Ok(())
    }

    /// A config with this content and no defaults.
    pub(super) fn bare(path: PathBuf, raw: Map<String, Value>) -> Self {
        Self { path, given: PathBuf::new(), full: raw.clone(), raw, class: None }
    }

    /// The same config without defaults.
    pub(crate) fn without_defaults(self) -> Self {
        Self { full: self.merged(), ..self }
    }

    /// The content of the file, with the keys of a nested text part at the top level.
    pub(crate) fn merged(&self) -> Map<String, Value> {
        merged(&self.raw)
    }

    /// Replaces the content with defaults.
    pub(super) fn replace(&mut self, full: Map<String, Value>) {
        self.full = full;
    }

    /// The same config with that of the model that a draft is for, as the key `target`: as it is,
    /// without defaults.
    pub(crate) fn with_target(mut self, target: &Self) -> Self {
        self.full.insert(TARGET.to_owned(), target.merged().into());
        self
    }

    /// This config, except for what other files of the folder are read by: the tokenizer of a draft
    /// model is that of the target, with the size of the draft's vocabulary.
    pub(crate) fn for_tokenizer_of(&self, target: &Self) -> Self {
        Self { full: self.full.clone(), ..target.clone() }
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
        rope: Option<&'a dyn Rotary>,
    ) -> Scope<'a> {
        Scope {
            folder,
            given: &self.given,
            path: &self.path,
            raw: &self.raw,
            config: &self.full,
            numbers: &arch.numbers,
            of_tensors: None,
            rope,
            layer: None,
            tokens: None,
            stored: Stored::default(),
            item: None,
            depth: 0,
            inside: None,
        }
    }

    /// A scope with these definitions alone.
    #[cfg(test)]
    pub(super) fn bare_scope<'a>(&'a self, numbers: &'a super::Numbers) -> Scope<'a> {
        Scope {
            given: &self.given,
            config: &self.full,
            numbers,
            ..bare_scope(&self.raw, &self.path)
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the model's class.
    pub(crate) fn class(&self) -> Result<&str, Error> {
        let class = self.class.as_deref();
        class.ok_or_else(|| Error::in_file(&self.path, Problem::NoArchitecture { relative: None }))
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

/// The class of a checkpoint without `config.json`, if a description recognizes it by a tensor.
pub(crate) fn unnamed(folder: &dyn Folder) -> Option<String> {
    if folder.exists(Layout::HuggingFace.config()) {
        return None;
    }
    let weights = Weights::open(folder, &mut Vec::new()).ok()?;
    let has = |name: &String| weights.tensors().iter().any(|tensor| tensor.name == *name);
    let mut known = built_in::mentioning(Kind::Model, "unnamed");
    let found = known.find(|arch| arch.unnamed.as_ref().is_some_and(has))?;
    found.classes.first().cloned()
}

/// Finds the architecture that describes a checkpoint: `file`, or a built-in one. The error for an
/// unknown class has no relative yet.
///
/// # Errors
/// If none does.
pub(crate) fn find(
    file: Option<&Arc<Arch>>,
    config: &Config,
    folder: &dyn Folder,
) -> Result<Arc<Arch>, Error> {
    let file = file.filter(|arch| arch.kind == Kind::Model);
    if let (None, Some(file)) = (&config.class, file) {
        return Ok(file.clone());
    }
    let class = config.class()?;
    for arch in file.into_iter().chain(built_in::mentioning(Kind::Model, class)) {
        let known = arch.classes.iter().any(|name| name == class);
        let here = match &arch.when {
            Some(when) if known => config.scope(folder, arch, None).holds(when)?,
            _ => known,
        };
        if here {
            return Ok(arch.clone());
        }
    }
    Err(Error::in_file(
        config.path(),
        Problem::UnknownArchitecture { class: class.to_owned(), relative: None },
    ))
}

/// Finds the description of the draft model that a checkpoint holds next to its target.
///
/// # Errors
/// If there is none for its class.
pub(crate) fn draft_of(config: &Config) -> Result<Arc<Arch>, Error> {
    let class = config.class()?;
    let mut known = built_in::mentioning(Kind::Model, class);
    let found = known.find(|arch| arch.draft_of.iter().any(|known| known == class));
    let none = || DraftProblem::NoDraft(class.to_owned());
    found.cloned().ok_or_else(|| Error::in_file(config.path(), none()))
}

/// The config of the text part.
fn text_config(raw: &Map<String, Value>) -> Option<&Map<String, Value>> {
    TEXT_PARTS.iter().rev().find_map(|part| path(raw, part)?.as_object())
}

/// The config of the layers, as `speculators` saves draft models.
fn layer_config(raw: &Map<String, Value>) -> Option<&Map<String, Value>> {
    raw.get("transformer_layer_config")?.as_object()
}

/// The keys of the text part over those around it.
fn merged(raw: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = raw.clone();
    merged.extend(layer_config(raw).cloned().unwrap_or_default());
    merged.extend(text_config(raw).cloned().unwrap_or_default());
    merged
}

/// The class that a config names: that of the text part, unless a description has the outer one in
/// `outermost`.
fn class_of(raw: &Map<String, Value>, file: Option<&Arc<Arch>>) -> Option<String> {
    let first =
        |map: &Map<String, Value>| map.get("architectures")?.get(0)?.as_str().map(str::to_owned);
    let outer = first(raw);
    let stays = |class: &String| {
        file.into_iter()
            .chain(built_in::mentioning(Kind::Model, class))
            .any(|arch| arch.outermost.contains(class))
    };
    if outer.as_ref().is_some_and(stays) {
        return outer;
    }
    text_config(raw).and_then(first).or(outer)
}

/// The config with the defaults of its model type and that of its text part; `None` if one of them
/// is unknown. As in the reference, such a config has no defaults anywhere.
fn of_types(
    raw: &Map<String, Value>,
    at: &Path,
    file: Option<&Arc<Arch>>,
) -> Result<Option<Map<String, Value>>, Error> {
    let of_type = |name: &str| {
        let known = file.into_iter().chain(built_in::mentioning(Kind::Model, name));
        known.flat_map(|arch| &arch.defaults).find(|ty| ty.name == name)
    };
    let type_of = |map: &Map<String, Value>| Some(map.get("model_type")?.as_str()?.to_owned());
    let Some(outer) = type_of(raw).as_deref().and_then(of_type) else { return Ok(None) };
    // What the outer type says about the type of the text part.
    let says = outer.values.iter().find(|(key, _)| key == TEXT_TYPE).map(|(_, ty)| ty);
    let mut full = raw.clone();
    fill(&mut full, outer, at)?;
    full.extend(layer_config(raw).cloned().unwrap_or_default());
    // Some wrappers have the keys of the text part at their own level.
    let Some(mut text) = text_config(raw).or(says.map(|_| raw)).cloned() else {
        return Ok(Some(full));
    };
    let named = match says {
        Some(says) => {
            let part = text_config(raw).map(|text| ("text_config".to_owned(), text.clone().into()));
            let part = part.into_iter().collect();
            bare_scope(&part, at).value(says)?.and_then(|ty| ty.as_str().map(str::to_owned))
        }
        None => type_of(&text),
    };
    match named.as_deref().and_then(of_type) {
        Some(ty) => fill(&mut text, ty, at)?,
        None if says.is_some() => return Ok(None),
        None => {}
    }
    full.extend(text);
    Ok(Some(full))
}

/// Fills in the defaults of a model type.
fn fill(map: &mut Map<String, Value>, of: &ModelType, path: &Path) -> Result<(), Error> {
    let ModelType { aliases, values, .. } = of;
    for (alias, key) in aliases {
        if let Some(value) = map.remove(alias) {
            map.insert(key.clone(), value);
        }
    }
    for (key, default) in values.iter().filter(|(key, _)| key != TEXT_TYPE) {
        let null = match map.get(key) {
            Some(Value::Null) => true,
            None => false,
            Some(_) => continue,
        };
        if null && default.is_literal() {
            continue;
        }
        if let Some(value) = bare_scope(map, path).value(default)? {
            map.insert(key.clone(), value);
        }
    }
    Ok(())
}

/// The scope of a default: the keys of the config alone.
pub(super) fn bare_scope<'a>(map: &'a Map<String, Value>, path: &'a Path) -> Scope<'a> {
    Scope {
        folder: &Nowhere,
        given: Path::new(""),
        path,
        raw: map,
        config: map,
        numbers: const { &Vec::new() },
        of_tensors: None,
        rope: None,
        layer: None,
        tokens: None,
        stored: Stored::default(),
        item: None,
        depth: 0,
        inside: None,
    }
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
    fn the_last_text_part_is_merged() {
        let config = Config::of(json!({
            "architectures": ["Outer"], "model_type": "unheard-of", "hidden_size": 1, "a": 1,
            "text_config": {"hidden_size": 2, "b": 2},
            "thinker_config": {"text_config": {
                "architectures": ["Inner"], "model_type": "llama", "hidden_size": 3
            }},
        }));
        assert_eq!(config.get("hidden_size"), Some(&json!(3)));
        assert_eq!((config.get("a"), config.get("b")), (Some(&json!(1)), None));
        assert_eq!(config.class().ok(), Some("Inner"));
        // The outer type is unknown, so that nothing has defaults.
        assert_eq!(config.get("rms_norm_eps"), None);
    }

    #[test]
    fn the_type_of_the_text_part_may_follow_from_that_around_it() {
        let of = |text: Value| {
            let config = Config::of(json!({"model_type": "gemma3", "text_config": text}));
            config.get("sliding_window").cloned()
        };
        assert_eq!(of(json!({})), Some(json!(4096)));
        assert_eq!(of(json!({"model_type": "unheard-of"})), Some(json!(4096)));
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

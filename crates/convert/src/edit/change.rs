//! The changes to a file, and what they make of its metadata.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use granule_format::nearest::nearest;
use granule_format::{Array, Metadata, StringArray, Value};
use regex::Regex;

use super::EditError;
use super::value::{self, Kind, Text};

/// A change to the metadata or to the names of tensors.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// Sets a key, or an element of its array.
    Set(Target, Text),
    /// Sets a key to a value.
    SetValue {
        /// The key.
        key: String,
        /// Its value.
        value: Value,
    },
    /// Removes a key.
    Remove(String),
    /// Gives a key another name.
    Rename {
        /// The present name.
        from: String,
        /// The new name.
        to: String,
    },
    /// Replaces what matches in the names of tensors.
    RenameTensors {
        /// What is searched.
        pattern: Regex,
        /// What it is replaced with; `$1` stands for the first group.
        to: String,
    },
    /// Gives some tensors other names, all at once: pairs of the present name and the new one.
    NameTensors(Vec<(String, String)>),
    /// Sets the key of a special token to the number of the token with this text.
    SpecialToken {
        /// The kind of the token: `bos`, `eos`, `eot`, ...
        kind: String,
        /// Its text.
        token: String,
    },
    /// Replaces all chat templates by named ones.
    ChatTemplates(Vec<(String, String)>),
}

/// A key that is set: `KEY`, `KEY[5]`, and the type if that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The key.
    pub key: String,
    /// The element of its array.
    pub index: Option<usize>,
    /// The type; `None` for that of the present value.
    pub kind: Option<Kind>,
}

/// The key of the chat template that is used by default.
const TEMPLATE: &str = "tokenizer.chat_template";

/// Special tokens by the names that `gguf_new_metadata` has for them.
const SPECIAL: &[&str] = &[
    "bos",
    "eos",
    "eot",
    "eom",
    "unknown",
    "seperator",
    "padding",
    "mask",
    "fim_pre",
    "fim_suf",
    "fim_mid",
    "fim_pad",
    "fim_rep",
    "fim_sep",
    "prefix",
    "suffix",
    "middle",
];

impl Change {
    /// Parses `KEY=VALUE` or `KEY=TYPE:VALUE`.
    ///
    /// # Errors
    /// If it has another form.
    pub fn set(text: &str) -> Result<Self, EditError> {
        let (target, value) = Target::parse(text)?;
        Ok(Self::Set(target, Text::Argument(value)))
    }

    /// Parses the content of a `tokenizer_config.json`, or of a chat template as it is.
    ///
    /// # Errors
    /// If a JSON file has no chat template.
    pub fn chat_template(content: &str, is_json: bool) -> Result<Self, EditError> {
        if !is_json {
            return Ok(Self::ChatTemplates(vec![("default".to_owned(), content.to_owned())]));
        }
        let config: serde_json::Value =
            serde_json::from_str(content).map_err(|error| EditError::Json(error.to_string()))?;
        let templates = match config.get("chat_template").unwrap_or(&config) {
            serde_json::Value::String(text) => vec![("default".to_owned(), text.clone())],
            serde_json::Value::Array(choices) => choices.iter().filter_map(named).collect(),
            _ => Vec::new(),
        };
        if templates.is_empty() {
            Err(EditError::NoTemplate)
        } else {
            Ok(Self::ChatTemplates(templates))
        }
    }
}

/// One of several templates of a `tokenizer_config.json`.
fn named(choice: &serde_json::Value) -> Option<(String, String)> {
    let text = |key| choice.get(key).and_then(serde_json::Value::as_str);
    Some((text("name")?.to_owned(), text("template")?.to_owned()))
}

impl Target {
    /// Parses what is before and after the first `=`, and the type in front of the rest if there
    /// is one. Returns the rest.
    ///
    /// # Errors
    /// If there is no `=` or no key, or the index is no number.
    pub fn parse(text: &str) -> Result<(Self, String), EditError> {
        let form = || EditError::Form(text.to_owned());
        let (key, value) = text.split_once('=').ok_or_else(form)?;
        let (key, index) = match key.strip_suffix(']').and_then(|key| key.split_once('[')) {
            Some((key, index)) => (key, Some(index.parse().map_err(|_| form())?)),
            None => (key, None),
        };
        if key.is_empty() {
            return Err(form());
        }
        let typed = value.split_once(':');
        let typed = typed.and_then(|(name, rest)| Some((Kind::from_name(name)?, rest)));
        let (kind, value) = match typed.filter(|_| index.is_none()) {
            Some((kind, rest)) => (Some(kind), rest),
            None => (None, value),
        };
        Ok((Self { key: key.to_owned(), index, kind }, value.to_owned()))
    }
}

impl FromStr for Change {
    type Err = EditError;

    fn from_str(text: &str) -> Result<Self, EditError> {
        Self::set(text)
    }
}

/// Applies a change to the metadata and the names of the tensors.
pub(super) fn apply(
    change: &Change,
    metadata: &mut Metadata,
    tensors: &mut [String],
) -> Result<(), EditError> {
    match change {
        Change::Set(target, text) => set(target, text, metadata),
        Change::SetValue { key, value } => {
            metadata.set(key, value.clone());
            Ok(())
        }
        Change::Remove(key) => match metadata.remove(key) {
            Some(_) => Ok(()),
            None => Err(no_key(key, metadata)),
        },
        Change::Rename { from, to } => {
            if metadata.get(from).is_none() {
                return Err(no_key(from, metadata));
            }
            if metadata.get(to).is_some() {
                return Err(EditError::KeyExists { key: to.clone() });
            }
            // in its place
            let mut renamed = Metadata::new();
            for entry in &*metadata {
                let key = if entry.key == *from { to } else { &entry.key };
                renamed.set(key, entry.value.clone());
            }
            *metadata = renamed;
            Ok(())
        }
        Change::RenameTensors { pattern, to } => rename_tensors(pattern, to, tensors),
        Change::NameTensors(pairs) => name_tensors(pairs, tensors),
        Change::SpecialToken { kind, token } => special_token(kind, token, metadata),
        Change::ChatTemplates(templates) => {
            set_templates(templates, metadata);
            Ok(())
        }
    }
}

fn set(target: &Target, text: &Text, metadata: &mut Metadata) -> Result<(), EditError> {
    let key = &target.key;
    let fault = |problem| EditError::Value { key: key.clone(), problem };
    if let Some(index) = target.index {
        let Some(Value::Array(array)) = metadata.get(key) else {
            return match metadata.get(key) {
                Some(_) => Err(fault("its value is no array".to_owned())),
                None => Err(no_key(key, metadata)),
            };
        };
        let mut array = array.clone();
        let (Text::Argument(text) | Text::File(text)) = text;
        value::set_element(&mut array, index, text).map_err(fault)?;
        metadata.set(key, array);
        return Ok(());
    }
    let kind = match (target.kind, metadata.get(key)) {
        (Some(kind), _) => kind,
        (None, Some(value)) => {
            Kind::of(value).ok_or_else(|| fault("arrays of arrays cannot be set".to_owned()))?
        }
        (None, None) => {
            return Err(EditError::NeedsType { key: key.clone(), near: near(key, metadata) });
        }
    };
    metadata.set(key, value::parse(kind, text).map_err(fault)?);
    Ok(())
}

fn rename_tensors(pattern: &Regex, to: &str, tensors: &mut [String]) -> Result<(), EditError> {
    let mut matched = false;
    for name in tensors.iter_mut().filter(|name| pattern.is_match(name)) {
        *name = pattern.replace_all(name, to).into_owned();
        matched = true;
    }
    if !matched {
        return Err(EditError::NoTensor { pattern: pattern.as_str().to_owned() });
    }
    different(tensors)
}

fn name_tensors(pairs: &[(String, String)], tensors: &mut [String]) -> Result<(), EditError> {
    let names = tensors.iter().enumerate().map(|(place, name)| (name.as_str(), place));
    let names: HashMap<&str, usize> = names.collect();
    let mut places = Vec::new();
    for (from, to) in pairs {
        let missing = || EditError::NoTensor { pattern: from.clone() };
        places.push((*names.get(from.as_str()).ok_or_else(missing)?, to));
    }
    places.into_iter().for_each(|(place, to)| tensors[place].clone_from(to));
    different(tensors)
}

/// Checks that no two tensors have one name.
fn different(tensors: &[String]) -> Result<(), EditError> {
    let mut names = HashSet::new();
    match tensors.iter().find(|name| !names.insert(name.as_str())) {
        Some(name) => Err(EditError::SameTensor { name: name.clone() }),
        None => Ok(()),
    }
}

fn special_token(kind: &str, token: &str, metadata: &mut Metadata) -> Result<(), EditError> {
    if !SPECIAL.contains(&kind) {
        return Err(EditError::SpecialToken { kind: kind.to_owned(), known: SPECIAL });
    }
    let tokens = metadata.strings("tokenizer.ggml.tokens").ok().flatten();
    let tokens = tokens.into_iter().flat_map(|tokens| tokens.iter().enumerate());
    let mut found = tokens.filter(|(_, text)| *text == token.as_bytes()).map(|(id, _)| id);
    let missing = || EditError::NoToken { token: token.to_owned() };
    let (first, second) = (found.next(), found.next());
    drop(found);
    let id = first.ok_or_else(missing)?;
    if let Some(other) = second {
        let (token, ids) = (token.to_owned(), [id, other]);
        return Err(EditError::SameToken { token, kind: kind.to_owned(), ids });
    }
    let id = u32::try_from(id).map_err(|_| missing())?;
    metadata.set(&format!("tokenizer.ggml.{kind}_token_id"), id);
    Ok(())
}

fn set_templates(templates: &[(String, String)], metadata: &mut Metadata) {
    let old: Vec<String> = metadata.iter().map(|entry| entry.key.clone()).collect();
    for key in old.iter().filter(|key| *key != TEMPLATE && key.starts_with(TEMPLATE)) {
        metadata.remove(key);
    }
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let (mut names, mut default) = (StringArray::default(), None);
    for (name, template) in templates {
        let name: String = name.chars().map(plain).collect();
        if name == "default" {
            default = Some(template);
        } else if !name.is_empty() {
            metadata.set(&format!("{TEMPLATE}.{name}"), template.as_str());
            if !names.iter().any(|known| known == name.as_bytes()) {
                names.push(name);
            }
        }
    }
    if !names.is_empty() {
        metadata.set("tokenizer.chat_templates", Array::String(names));
    }
    match default {
        Some(template) => metadata.set(TEMPLATE, template.as_str()),
        None => _ = metadata.remove(TEMPLATE),
    }
}

fn no_key(key: &str, metadata: &Metadata) -> EditError {
    EditError::NoKey { key: key.to_owned(), near: near(key, metadata) }
}

/// Keys that a misspelt one was probably meant to be.
fn near(key: &str, metadata: &Metadata) -> Vec<String> {
    let keys = metadata.iter().map(|entry| entry.key.as_str());
    nearest(key, keys).into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let mut metadata = Metadata::new();
        metadata.set("general.name", "a");
        metadata.set("llama.block_count", 1_u32);
        metadata.set("tokenizer.ggml.tokens", Array::String(["a", "b", "b"].iter().collect()));
        metadata.set("tokenizer.chat_template.tool", "old");
        metadata.set("tokenizer.chat_template", "old");
        metadata
    }

    fn applied(change: Change) -> Result<Metadata, String> {
        let mut metadata = metadata();
        apply(&change, &mut metadata, &mut []).map_err(|error| error.to_string())?;
        Ok(metadata)
    }

    #[test]
    fn assignments() {
        for (text, key, expected) in [
            ("general.name=b=c", "general.name", Value::from("b=c")),
            ("general.name=str:u8:5", "general.name", "u8:5".into()),
            ("general.name=http://x", "general.name", "http://x".into()),
            ("llama.block_count=7", "llama.block_count", 7_u32.into()),
            ("llama.block_count=i8:7", "llama.block_count", 7_i8.into()),
            ("new.key=f32:0.5", "new.key", 0.5_f32.into()),
        ] {
            let metadata = applied(Change::set(text).unwrap()).unwrap();
            assert_eq!(metadata.get(key), Some(&expected), "{text}");
        }
        let metadata = applied(Change::set("tokenizer.ggml.tokens[1]=str:x").unwrap()).unwrap();
        let tokens = metadata.strings("tokenizer.ggml.tokens").unwrap().unwrap();
        assert_eq!(tokens.get_str(1), Some("str:x"));
        for text in ["", "a", "=b", "a[x]=1"] {
            assert!(matches!(Change::set(text), Err(EditError::Form(_))), "{text}");
        }
        for (text, part) in [
            ("llama.block_cont=7", "give its type: llama.block_cont=TYPE:VALUE"),
            ("llama.block_cont=7", "did you mean llama.block_count?"),
            ("llama.block_count=-7", "is not an integer of 32 bits without a sign"),
            ("llama.block_count[0]=7", "its value is no array"),
            ("tokens[0]=7", "has no key \"tokens\""),
        ] {
            let message = applied(Change::set(text).unwrap()).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn keys_are_removed_and_renamed() {
        let found = applied(Change::Remove("general.name".to_owned())).unwrap();
        assert_eq!(found.get("general.name"), None);
        assert!(
            applied(Change::Remove("general.nam".to_owned()))
                .unwrap_err()
                .contains("general.name?")
        );
        let rename = |from: &str, to: &str| {
            applied(Change::Rename { from: from.to_owned(), to: to.to_owned() })
        };
        let found = rename("general.name", "general.title").unwrap();
        assert_eq!(found.iter().next().unwrap().key, "general.title");
        assert!(rename("no", "x").is_err());
        assert!(rename("general.name", "llama.block_count").unwrap_err().contains("already"));
    }

    #[test]
    fn tensors_are_renamed_by_patterns() {
        let mut names = ["blk.0.a", "blk.1.a", "output"].map(str::to_owned);
        let rename = |names: &mut [String], pattern: &str, to: &str| {
            let pattern = Regex::new(pattern).unwrap();
            rename_tensors(&pattern, to, names).map_err(|error| error.to_string())
        };
        rename(&mut names, r"^blk\.(\d+)\.a$", "layer.$1.b").unwrap();
        assert_eq!(names, ["layer.0.b", "layer.1.b", "output"]);
        assert!(rename(&mut names, "nosuch", "x").unwrap_err().contains("nosuch"));
        assert!(rename(&mut names, r"\d", "9").unwrap_err().contains("layer.9.b"));
    }

    #[test]
    fn tensors_change_names_at_once() {
        let mut names = ["a", "b", "c"].map(str::to_owned);
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
        };
        name_tensors(&pairs(&[("a", "b"), ("b", "a")]), &mut names).unwrap();
        assert_eq!(names, ["b", "a", "c"]);
        let wrong = |from, to, names: &mut [String]| name_tensors(&pairs(&[(from, to)]), names);
        assert!(matches!(wrong("x", "y", &mut names), Err(EditError::NoTensor { .. })));
        assert!(matches!(wrong("a", "c", &mut names), Err(EditError::SameTensor { .. })));
    }

    #[test]
    fn templates_and_tokens() {
        let found = applied(Change::chat_template("new", false).unwrap()).unwrap();
        assert_eq!(found.text("tokenizer.chat_template").unwrap(), Some("new"));
        assert_eq!(found.get("tokenizer.chat_template.tool"), None);
        let config = r#"{"chat_template": [{"name": "default", "template": "d"},
                                           {"name": "rag-1", "template": "r"}]}"#;
        let found = applied(Change::chat_template(config, true).unwrap()).unwrap();
        assert_eq!(found.text("tokenizer.chat_template.rag_1").unwrap(), Some("r"));
        assert_eq!(found.text("tokenizer.chat_template").unwrap(), Some("d"));
        assert!(matches!(Change::chat_template("{}", true), Err(EditError::NoTemplate)));
        let token = |kind: &str, token: &str| {
            applied(Change::SpecialToken { kind: kind.to_owned(), token: token.to_owned() })
        };
        let found = token("eos", "a").unwrap();
        assert_eq!(found.get("tokenizer.ggml.eos_token_id"), Some(&0_u32.into()));
        assert!(token("eos", "b").unwrap_err().contains("1 and 2"));
        assert!(token("eos", "c").unwrap_err().contains("no token"));
        assert!(token("end", "a").unwrap_err().contains("bos"));
    }
}

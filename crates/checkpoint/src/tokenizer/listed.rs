//! The added tokens that the files of a folder list, and the notation of tokens in these files.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::Input;
use crate::json::{read_object, read_object_if_there};
use crate::{Error, Folder};

/// The keys of special tokens, in the order of the library.
pub(super) const SPECIAL_KEYS: &[&str] =
    &["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The key of additional special tokens.
pub(super) const ADDITIONAL_KEY: &str = "additional_special_tokens";

/// The added tokens listed by files.
#[derive(Default)]
pub(super) struct Listed {
    /// The tokens, ordered by their ids.
    pub(super) tokens: Vec<AddedToken>,
    /// The texts of tokens whose flags are ignored if they are special.
    flagless: Vec<String>,
}

impl Listed {
    /// Reads the added tokens. Copies settings that only older files have into the config.
    pub(super) fn read(input: &Input<'_>, config: &mut Map<String, Value>) -> Result<Self, Error> {
        let mut tokens: BTreeMap<u64, AddedToken> = BTreeMap::new();
        if let Some(decoder) = config.get("added_tokens_decoder").and_then(Value::as_object) {
            tokens.extend(
                decoder.iter().filter_map(|(id, it)| Some((id.parse().ok()?, added_token(it)?))),
            );
            return Ok(Self { tokens: tokens.into_values().collect(), flagless: Vec::new() });
        }
        take_special_tokens_map(input.folder, config)?;
        let mut flagless = Vec::new();
        let file = input.folder.at("added_tokens.json");
        if file.exists() {
            let specials = special_texts(config);
            for (text, id) in read_object(&file)? {
                if let Some(id) = id.as_u64() {
                    let special = specials.contains(&text);
                    flagless.push(text.clone());
                    tokens.insert(id, AddedToken::from(text, special));
                }
            }
        }
        let list =
            input.json.as_ref().and_then(|json| Some((json, json.object.get("added_tokens")?)));
        if let Some((json, Value::Array(list))) = list {
            for token in list {
                let id = token.get("id").and_then(Value::as_u64);
                let (Some(id), Some(added)) = (id, added_token(token)) else {
                    return Err(json.fail("an entry of \"added_tokens\" has no id or no content"));
                };
                flagless.retain(|text| *text != added.content);
                tokens.insert(id, added);
            }
        }
        Ok(Self { tokens: tokens.into_values().collect(), flagless })
    }

    /// Returns the token with a text, if its flags count.
    pub(super) fn same(&self, text: &str) -> Option<AddedToken> {
        let counts = !self.flagless.iter().any(|known| known == text);
        let mut tokens = self.tokens.iter().rev();
        tokens.find(|token| counts && token.content == text).cloned()
    }
}

/// Overrides the config with `special_tokens_map.json`, and appends the additional tokens of that
/// file to the config's.
fn take_special_tokens_map(
    folder: &dyn Folder,
    config: &mut Map<String, Value>,
) -> Result<(), Error> {
    let map = read_object_if_there(&folder.at("special_tokens_map.json"))?;
    for (key, mut value) in map.unwrap_or_default() {
        mark_special(&mut value);
        if key == ADDITIONAL_KEY
            && let (Value::Array(more), Some(Value::Array(list))) = (&value, config.get_mut(&key))
        {
            let new: Vec<_> = more.iter().filter(|item| !list.contains(item)).cloned().collect();
            list.extend(new);
        } else {
            config.insert(key, value);
        }
    }
    Ok(())
}

/// Returns the texts of the special tokens in the config.
fn special_texts(config: &Map<String, Value>) -> Vec<String> {
    let text = |value: &Value| {
        value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
    };
    let mut texts: Vec<String> =
        SPECIAL_KEYS.iter().filter_map(|key| text(config.get(*key)?)).collect();
    let additional = config.get(ADDITIONAL_KEY).and_then(Value::as_array);
    texts.extend(additional.into_iter().flatten().filter_map(text));
    texts
}

/// Marks the tokens of `special_tokens_map.json` as special.
fn mark_special(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.insert("special".to_owned(), true.into());
        }
        Value::Array(items) => items.iter_mut().for_each(mark_special),
        _ => {}
    }
}

/// Reads a token with all its flags. By default, special tokens are not normalized.
pub(super) fn added_token(value: &Value) -> Option<AddedToken> {
    let flag = |key| value.get(key).and_then(Value::as_bool);
    let on = |key| flag(key).unwrap_or(false);
    let special = on("special");
    let token = AddedToken::from(value.get("content")?.as_str()?, special)
        .normalized(flag("normalized").unwrap_or(!special))
        .lstrip(on("lstrip"))
        .rstrip(on("rstrip"))
        .single_word(on("single_word"));
    Some(token)
}

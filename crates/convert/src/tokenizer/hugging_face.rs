//! `tokenizer.json`, and what the reference's library makes of it when `tokenizer_config.json` and the
//! tokenizer's class have had their say.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::Error;
use crate::arch::Config;
use crate::json::{read_object, read_object_if_there};
use crate::source::Problem;

/// A tokenizer of the `tokenizers` library.
pub(super) struct HuggingFace {
    path: PathBuf,
    /// `tokenizer.json`, changed as the class changes it.
    pub(super) json: Map<String, Value>,
    /// `tokenizer_config.json`; empty if there is none.
    pub(super) config: Map<String, Value>,
    class: String,
}

/// A token that is matched in the text before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddedToken {
    pub(super) text: String,
    pub(super) special: bool,
    pub(super) normalized: bool,
}

/// Text by id, and which ids are added tokens.
pub(super) struct Vocabulary {
    pub(super) texts: BTreeMap<u64, String>,
    pub(super) added: BTreeMap<u64, AddedToken>,
    /// Number of tokens of the model itself.
    pub(super) base: u64,
}

/// The keys of special tokens, in the order of the library.
const SPECIAL_KEYS: &[&str] = &[
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
    "additional_special_tokens",
];

/// Classes whose special tokens have defaults. From transformers 4.57.6.
const CLASS_SPECIALS: &[(&str, &[(&str, &str)])] = &[
    ("LlamaTokenizer", &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")]),
    (
        "GPT2Tokenizer",
        &[
            ("bos_token", "<|endoftext|>"),
            ("eos_token", "<|endoftext|>"),
            ("unk_token", "<|endoftext|>"),
        ],
    ),
    (
        "Qwen2Tokenizer",
        &[
            ("eos_token", "<|endoftext|>"),
            ("unk_token", "<|endoftext|>"),
            ("pad_token", "<|endoftext|>"),
        ],
    ),
];

/// The class that replaces the file's post-processor with its own.
const LLAMA: &str = "LlamaTokenizer";

/// The classes of tokenizer for a config that does not name one, by its `model_type`.
const DEFAULT_CLASSES: &[(&str, &str)] =
    &[("llama", LLAMA), ("mistral", LLAMA), ("mixtral", LLAMA)];

impl HuggingFace {
    /// Read the files of a folder; `None` if there is no `tokenizer.json`.
    pub(super) fn read(folder: &Path, config: &Config) -> Result<Option<Self>, Error> {
        let path = folder.join("tokenizer.json");
        if !path.is_file() {
            return Ok(None);
        }
        let json = read_object(&path)?;
        let mut tokenizer_config =
            read_object_if_there(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        if !tokenizer_config.contains_key("added_tokens_decoder") {
            let special = read_object_if_there(&folder.join("special_tokens_map.json"))?;
            tokenizer_config.extend(special.unwrap_or_default());
        }
        let named = |map: &Map<String, Value>| {
            map.get("tokenizer_class").and_then(Value::as_str).map(str::to_owned)
        };
        let by_type = || {
            let model_type = config.raw.get("model_type")?.as_str()?;
            let (_, class) = DEFAULT_CLASSES.iter().find(|(name, _)| *name == model_type)?;
            Some((*class).to_owned())
        };
        let class = named(&tokenizer_config).or_else(|| named(&config.raw)).or_else(by_type);
        let class = class.unwrap_or_default().trim_end_matches("Fast").to_owned();
        Ok(Some(Self { path, json, config: tokenizer_config, class }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// An error about the file.
    pub(super) fn fail(&self, text: impl Into<String>) -> Error {
        Error::in_file(&self.path, Problem::Tokenizer(text.into()))
    }

    /// A value inside the model.
    pub(super) fn model(&self, key: &str) -> Option<&Value> {
        self.json.get("model")?.get(key)
    }

    /// The kind of model: `BPE`, `Unigram`, `WordPiece`.
    pub(super) fn model_type(&self) -> &str {
        self.model("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// The texts of the special tokens, with those that are the class's defaults.
    pub(super) fn special_texts(&self) -> Vec<String> {
        let defaults = CLASS_SPECIALS.iter().find(|(class, _)| *class == self.class);
        let defaults = defaults.map_or(&[][..], |(_, defaults)| defaults);
        let mut texts: Vec<String> = Vec::new();
        let mut add = |value: &Value| {
            let text = value.as_str().or_else(|| value.get("content")?.as_str());
            if let Some(text) = text
                && !texts.iter().any(|known| known == text)
            {
                texts.push(text.to_owned());
            }
        };
        for key in SPECIAL_KEYS {
            match self.config.get(*key) {
                Some(Value::Array(items)) => items.iter().for_each(&mut add),
                Some(value) => add(value),
                None => {
                    if let Some((_, text)) = defaults.iter().find(|(name, _)| name == key) {
                        add(&Value::from(*text));
                    }
                }
            }
        }
        texts
    }

    /// All tokens: of the model, of the list of added tokens, and those that only
    /// `tokenizer_config.json` has.
    pub(super) fn vocabulary(&self) -> Result<Vocabulary, Error> {
        let map = self.model("vocab").and_then(Value::as_object);
        let map =
            map.ok_or_else(|| self.fail("the model's \"vocab\" is no map from text to id"))?;
        let mut texts = BTreeMap::new();
        let mut ids: HashMap<&str, u64> = HashMap::with_capacity(map.len());
        for (text, id) in map {
            let id = id.as_u64().ok_or_else(|| self.fail(format!("token {text:?} has no id")))?;
            texts.insert(id, text.clone());
            ids.insert(text, id);
        }
        let mut vocabulary = Vocabulary { texts, added: BTreeMap::new(), base: map.len() as u64 };
        let list = self.json.get("added_tokens").and_then(Value::as_array);
        for token in list.map_or(&[][..], Vec::as_slice) {
            let id = token.get("id").and_then(Value::as_u64);
            let (Some(id), Some(added)) = (id, AddedToken::from_json(token)) else {
                return Err(self.fail("an entry of \"added_tokens\" has no id or no content"));
            };
            vocabulary.put(id, added);
        }
        // What the config adds comes behind everything else, unless the text is known.
        for mut added in self.config_tokens() {
            let known = vocabulary.added.iter().find(|(_, token)| token.text == added.text);
            let known = known.map(|(id, _)| *id).or_else(|| ids.get(added.text.as_str()).copied());
            if added.text.is_empty() {
                continue;
            }
            added.special |= self.special_texts().contains(&added.text);
            let next = vocabulary.added.keys().last().map_or(0, |id| id + 1).max(vocabulary.base);
            vocabulary.put(known.unwrap_or(next), added);
        }
        Ok(vocabulary)
    }

    /// The tokens that `tokenizer_config.json` adds or describes anew.
    fn config_tokens(&self) -> Vec<AddedToken> {
        let decoder = self.config.get("added_tokens_decoder").and_then(Value::as_object);
        let mut tokens: Vec<(u64, AddedToken)> = decoder
            .into_iter()
            .flatten()
            .filter_map(|(id, token)| Some((id.parse().ok()?, AddedToken::from_json(token)?)))
            .collect();
        tokens.sort_by_key(|(id, _)| *id);
        let mut tokens: Vec<AddedToken> = tokens.into_iter().map(|(_, token)| token).collect();
        let listed = self.json.get("added_tokens").and_then(Value::as_array);
        let listed: Vec<&str> = listed
            .into_iter()
            .flatten()
            .filter_map(|token| token.get("content")?.as_str())
            .collect();
        for text in self.special_texts() {
            if !listed.contains(&text.as_str()) && !tokens.iter().any(|token| token.text == text) {
                tokens.push(AddedToken { text, special: true, normalized: false });
            }
        }
        tokens
    }

    /// The library's own tokenizer, for encoding and decoding.
    pub(super) fn tokenizer(&self) -> Result<tokenizers::Tokenizer, Error> {
        let mut json = self.json.clone();
        json.insert("truncation".to_owned(), Value::Null);
        json.insert("padding".to_owned(), Value::Null);
        let wanted = self.config.get("add_prefix_space").and_then(Value::as_bool);
        let wanted = wanted.or((self.class != LLAMA).then_some(false));
        if let Some(wanted) = wanted
            && let Some(prefix) =
                json.get_mut("pre_tokenizer").and_then(|pre| pre.get_mut("add_prefix_space"))
        {
            *prefix = wanted.into();
        }
        if self.class == LLAMA {
            json.insert("post_processor".to_owned(), self.llama_template()?);
        }
        let text = Value::Object(json).to_string();
        let mut tokenizer: tokenizers::Tokenizer =
            text.parse().map_err(|error: tokenizers::Error| self.fail(error.to_string()))?;
        let specials = self.special_texts();
        let added: Vec<_> = self
            .config_tokens()
            .into_iter()
            .map(|token| {
                let special = token.special || specials.contains(&token.text);
                tokenizers::AddedToken::from(token.text, special).normalized(token.normalized)
            })
            .filter(|token| !listed_alike(tokenizer.get_added_tokens_decoder().values(), token))
            .collect();
        tokenizer.add_tokens(&added);
        Ok(tokenizer)
    }

    /// What the class puts around a text: the first and last token, as the config wants them.
    fn llama_template(&self) -> Result<Value, Error> {
        let wanted =
            |key, default| self.config.get(key).and_then(Value::as_bool).unwrap_or(default);
        let mut single = vec![serde_json::json!({"Sequence": {"id": "A", "type_id": 0}})];
        let mut tokens = Map::new();
        let mut around = |key: &str, default: &str, index: usize| {
            let text = match self.config.get(key) {
                Some(Value::Null) => {
                    return Err(self.fail(format!("{key} is null but is to be added")));
                }
                Some(value) => value.as_str().or_else(|| value.get("content")?.as_str()),
                None => Some(default),
            };
            let text = text.unwrap_or(default);
            let id = self
                .vocabulary()?
                .texts
                .iter()
                .find(|(_, known)| *known == text)
                .map(|(id, _)| *id);
            let id = id.ok_or_else(|| self.fail(format!("{key} {text:?} is no token")))?;
            single.insert(
                index.min(single.len()),
                serde_json::json!({"SpecialToken": {"id": text, "type_id": 0}}),
            );
            tokens.insert(
                text.to_owned(),
                serde_json::json!({"id": text, "ids": [id], "tokens": [text]}),
            );
            Ok(())
        };
        if wanted("add_bos_token", true) {
            around("bos_token", "<s>", 0)?;
        }
        if wanted("add_eos_token", false) {
            around("eos_token", "</s>", usize::MAX)?;
        }
        let pair = serde_json::json!([
            {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}
        ]);
        Ok(serde_json::json!({
            "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens
        }))
    }
}

fn listed_alike<'t>(
    mut listed: impl Iterator<Item = &'t tokenizers::AddedToken>,
    token: &tokenizers::AddedToken,
) -> bool {
    listed.any(|known| known.content == token.content && known.normalized == token.normalized)
}

impl AddedToken {
    fn from_json(token: &Value) -> Option<Self> {
        let flag = |key| token.get(key).and_then(Value::as_bool);
        let special = flag("special").unwrap_or(false);
        Some(Self {
            text: token.get("content")?.as_str()?.to_owned(),
            special,
            normalized: flag("normalized").unwrap_or(!special),
        })
    }
}

impl Vocabulary {
    fn put(&mut self, id: u64, added: AddedToken) {
        self.texts.insert(id, added.text.clone());
        self.added.insert(id, added);
    }
}

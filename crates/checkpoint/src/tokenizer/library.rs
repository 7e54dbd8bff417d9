//! Reproduces how the transformers library reads the tokenizer files of a folder: the tokenizer
//! itself, the changes by `tokenizer_config.json` and the class, and the list of special tokens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokenizers::{AddedToken, Tokenizer};

use super::bare;
use super::class::{self, Chinese, Class, Prefix};
use super::listed::{ADDITIONAL_KEY, Listed, SPECIAL_KEYS, added_token};
use super::python::truth;
use super::{Input, MOST_TOKENS};
use crate::Error;
use crate::Problem;

/// A tokenizer as the library loads it.
pub(super) struct Library {
    path: PathBuf,
    class: &'static Class,
    /// The content of `tokenizer_config.json`, supplemented by older files.
    config: Map<String, Value>,
    tokenizer: Tokenizer,
    /// The texts of the special tokens without duplicates.
    specials: Vec<String>,
    clean_up: bool,
}

/// A special token before it is added: only its text, or all of it.
#[derive(Clone, Debug)]
enum Special {
    Text(String),
    Token(AddedToken),
}

/// Replacements that remove spaces from decoded text, if the config asks for it.
const CLEAN_UP: &[(&str, &str)] = &[
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
];

impl Library {
    /// Loads `tokenizer.json`, or the tokenizer that the class makes from a bare vocabulary.
    ///
    /// # Errors
    /// If the files do not describe a tokenizer.
    pub(super) fn open(input: &Input<'_>, warnings: &mut Vec<String>) -> Result<Self, Error> {
        let mut config = input.tokenizer_config.clone();
        let class = class_of(&config, &input.config.raw, warnings);
        let bare = input.json.is_none();
        let listed = Listed::read(input, &mut config)?;
        let (path, text) = match &input.json {
            Some(json) => (json.path.clone(), json.bytes.clone()),
            None => bare::tokenizer(input.folder, class, &config)?,
        };
        let tokenizer = guarded(&path, || Tokenizer::from_bytes(&text))?;
        drop(text);
        warn_of_numbers(input, &tokenizer, warnings);
        let clean_up = config.get("clean_up_tokenization_spaces").map(truth);
        let clean_up = clean_up.unwrap_or(bare && class.bare == class::Bare::Bert);
        let mut library = Self { path, class, config, tokenizer, specials: Vec::new(), clean_up };
        library.no_limits()?;
        library.add(listed, bare)?;
        if bare {
            library.number_around()?;
        }
        library.change_steps()?;
        Ok(library)
    }

    /// Returns the file that the tokenizer was read from.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of tokens of the model itself, without the added ones.
    pub(super) fn base(&self) -> usize {
        self.tokenizer.get_vocab_size(false)
    }

    /// Returns the text of every id.
    pub(super) fn texts(&self) -> BTreeMap<u64, String> {
        let mut texts = BTreeMap::new();
        let mut pairs: Vec<_> = self.tokenizer.get_vocab(true).into_iter().collect();
        pairs.sort_unstable();
        texts.extend(pairs.into_iter().map(|(text, id)| (u64::from(id), text)));
        texts
    }

    /// Returns the added tokens by id.
    pub(super) fn added(&self) -> BTreeMap<u64, AddedToken> {
        let decoder = self.tokenizer.get_added_tokens_decoder();
        decoder.into_iter().map(|(id, token)| (u64::from(id), token)).collect()
    }

    /// Returns the texts of the special tokens.
    pub(super) fn specials(&self) -> &[String] {
        &self.specials
    }

    /// Returns the id of a token.
    pub(super) fn id(&self, text: &str) -> Option<u64> {
        self.tokenizer.token_to_id(text).map(u64::from)
    }

    /// Returns a boolean of `tokenizer_config.json`; false if it is missing.
    pub(super) fn flag(&self, key: &str) -> bool {
        self.config.get(key).is_some_and(truth)
    }

    /// Returns whether decoding removes spaces.
    pub(super) const fn clean_up(&self) -> bool {
        self.clean_up
    }

    /// Returns the pre-tokenizer as `tokenizer.json` represents it.
    pub(super) fn pre_tokenizer(&self) -> Value {
        let step = self.tokenizer.get_pre_tokenizer();
        step.and_then(|step| serde_json::to_value(step).ok()).unwrap_or_default()
    }

    /// Encodes a text, with the tokens around it.
    pub(super) fn ids(&self, text: &str) -> Result<Vec<u32>, Error> {
        guarded(&self.path, || Ok(self.tokenizer.encode(text, true)?.get_ids().to_vec()))
    }

    /// Encodes and decodes a text.
    pub(super) fn round_trip(&self, text: &str) -> Result<String, Error> {
        let mut text = guarded(&self.path, || {
            let ids = self.tokenizer.encode(text, false)?;
            self.tokenizer.decode(ids.get_ids(), false)
        })?;
        if self.clean_up {
            CLEAN_UP.iter().for_each(|(from, to)| text = text.replace(from, to));
        }
        Ok(text)
    }

    /// Makes an error about the file.
    pub(super) fn fail(&self, text: impl Into<String>) -> Error {
        Error::in_file(&self.path, Problem::Tokenizer(text.into()))
    }

    /// Turns off truncation and padding, but keeps the padding token as a special one.
    fn no_limits(&mut self) -> Result<(), Error> {
        if let Some(padding) = self.tokenizer.get_padding()
            && !self.config.contains_key("pad_token")
            && !self.class.specials.iter().any(|(key, _)| *key == "pad_token")
        {
            self.config.insert("pad_token".to_owned(), padding.pad_token.clone().into());
        }
        self.tokenizer.with_padding(None);
        let result = self.tokenizer.with_truncation(None).map(|_| ());
        result.map_err(|error| self.fail(error.to_string()))
    }

    /// Adds the listed tokens, then the special ones that are not among them.
    fn add(&mut self, listed: Listed, bare: bool) -> Result<(), Error> {
        let specials = self.special_tokens(&listed, bare);
        for special in &specials {
            let text = special.text();
            if !self.specials.iter().any(|known| known == text) {
                self.specials.push(text.to_owned());
            }
        }
        let mut tokens = listed.tokens;
        let known = |tokens: &[AddedToken], tokenizer: &Tokenizer, text: &str| {
            let there = tokenizer.get_added_vocabulary().get_vocab().contains_key(text);
            there || tokens.iter().any(|token| token.content == text)
        };
        let mut behind: Vec<Special> = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for special in &specials {
            if seen.contains(&special.text()) {
                continue;
            }
            seen.push(special.text());
            let there = match special {
                Special::Text(text) => known(&tokens, &self.tokenizer, text),
                Special::Token(token) => tokens.contains(token),
            };
            if !there {
                behind.push(special.clone());
            }
        }
        for token in &mut tokens {
            token.special |= self.specials.contains(&token.content);
        }
        tokens.extend(behind.into_iter().map(|special| match special {
            Special::Text(text) => AddedToken::from(text, true),
            Special::Token(token) => token.special(true),
        }));
        if tokens.len() as u64 > MOST_TOKENS {
            return Err(self.fail(format!("more than {MOST_TOKENS} added tokens")));
        }
        let tokenizer = &mut self.tokenizer;
        guarded(&self.path, move || Ok(tokenizer.add_tokens(&tokens))).map(|_| ())
    }

    /// Returns the special tokens of the config, or else those of the class.
    fn special_tokens(&self, listed: &Listed, bare: bool) -> Vec<Special> {
        let form = |key: &str, text: &str| {
            let forms = if bare && !self.class.bare_forms.is_empty() {
                self.class.bare_forms
            } else {
                self.class.forms
            };
            match forms.iter().find(|form| form.keys.contains(&key)) {
                None => Special::Text(text.to_owned()),
                Some(form) => Special::Token(
                    AddedToken::from(text, false).lstrip(form.lstrip).normalized(form.normalized),
                ),
            }
        };
        let of = |value: &Value| match value {
            Value::String(text) => Some(Special::Text(text.clone())),
            value => added_token(value).map(Special::Token),
        };
        let mut specials = Vec::new();
        for key in SPECIAL_KEYS {
            let from_config = self.config.get(*key);
            let special = match from_config {
                Some(value) => of(value)
                    .map(|special| listed.same(special.text()).map_or(special, Special::Token)),
                None => {
                    let default = self.class.specials.iter().find(|(known, _)| known == key);
                    default.map(|(_, text)| Special::Text((*text).to_owned()))
                }
            };
            specials.extend(special.map(|special| match special {
                Special::Text(text) => form(key, &text),
                token => token,
            }));
        }
        let additional = self.config.get(ADDITIONAL_KEY).and_then(Value::as_array);
        specials.extend(additional.into_iter().flatten().filter_map(of));
        specials.extend(self.class.additional.iter().map(|text| Special::Text((*text).to_owned())));
        match self.config.get("extra_special_tokens") {
            Some(Value::Object(map)) => specials.extend(map.values().filter_map(of)),
            Some(Value::Array(list)) => specials.extend(list.iter().filter_map(of)),
            _ => {}
        }
        specials.retain(|special| !special.text().is_empty());
        specials
    }

    /// Sets the ids of the tokens around a text. For a bare vocabulary they are known only now.
    fn number_around(&mut self) -> Result<(), Error> {
        let Some(step) = self.tokenizer.get_post_processor() else { return Ok(()) };
        let mut step = self.to_json(step)?;
        for (text, token) in
            step.get_mut("special_tokens").and_then(Value::as_object_mut).into_iter().flatten()
        {
            if let Some(id) = self.id(text) {
                token["ids"] = json!([id]);
            }
        }
        for key in ["sep", "cls"] {
            let Some(pair) = step.get_mut(key).and_then(Value::as_array_mut) else { continue };
            if let [Value::String(text), id] = pair.as_mut_slice()
                && let Some(known) = self.id(text)
            {
                *id = known.into();
            }
        }
        let step: tokenizers::PostProcessorWrapper = self.step_of(step)?;
        self.tokenizer.with_post_processor(Some(step));
        Ok(())
    }

    /// Applies the changes of the class to the steps of the tokenizer.
    fn change_steps(&mut self) -> Result<(), Error> {
        let wanted = match self.config.get("add_prefix_space") {
            Some(Value::Bool(wanted)) => Some(*wanted),
            Some(_) => None,
            None => (self.class.prefix != Prefix::File).then_some(false),
        };
        let everywhere = self.class.prefix == Prefix::Everywhere && wanted == Some(true);
        if let (Some(wanted), Some(step)) = (wanted, self.tokenizer.get_pre_tokenizer()) {
            let mut step = self.to_json(step)?;
            let top = step.get_mut("add_prefix_space").map(|prefix| *prefix = wanted.into());
            if everywhere {
                set_deep(&mut step, "add_prefix_space", true);
            }
            if everywhere || top.is_some() {
                let step: tokenizers::PreTokenizerWrapper = self.step_of(step)?;
                self.tokenizer.with_pre_tokenizer(Some(step));
            }
        }
        if let (Some(chinese), Some(step)) =
            (self.class.normalizer, self.tokenizer.get_normalizer())
        {
            let mut step = self.to_json(step)?;
            if self.change_normalizer(chinese, &mut step) {
                let step: tokenizers::NormalizerWrapper = self.step_of(step)?;
                self.tokenizer.with_normalizer(Some(step));
            }
        }
        if let Some(around) = self.class.around {
            let wanted = |key, default| self.config.get(key).map_or(default, truth);
            let bos = wanted("add_bos_token", around.bos);
            let eos = wanted("add_eos_token", around.eos);
            let step = self.template(bos, eos)?;
            let step: tokenizers::PostProcessorWrapper = self.step_of(step)?;
            self.tokenizer.with_post_processor(Some(step));
        }
        Ok(())
    }

    /// Sets the flags of BERT's normalizer if one differs from the config. Returns whether one did.
    fn change_normalizer(&self, chinese: Chinese, step: &mut Value) -> bool {
        let flag = |key, default| self.config.get(key).cloned().unwrap_or(default);
        let mut wanted = vec![
            ("lowercase", flag("do_lower_case", Value::Bool(true))),
            ("strip_accents", flag("strip_accents", Value::Null)),
        ];
        if chinese == Chinese::Flag {
            wanted
                .push(("handle_chinese_chars", flag("tokenize_chinese_chars", Value::Bool(true))));
        }
        let differs =
            wanted.iter().any(|(key, value)| step.get(*key).is_some_and(|is| is != value));
        if differs && let Some(step) = step.as_object_mut() {
            step.extend(wanted.into_iter().map(|(key, value)| (key.to_owned(), value)));
        }
        differs
    }

    /// Makes the template with the first and last token around a text.
    fn template(&self, bos: bool, eos: bool) -> Result<Value, Error> {
        let mut single = vec![json!({"Sequence": {"id": "A", "type_id": 0}})];
        let mut tokens = Map::new();
        let mut around = |key: &str, at_end: bool| -> Result<(), Error> {
            let text = match self.config.get(key) {
                Some(value) => value.as_str().or_else(|| value.get("content")?.as_str()),
                None => self.class.specials.iter().find(|(name, _)| *name == key).map(|it| it.1),
            };
            let text =
                text.ok_or_else(|| self.fail(format!("{key} has to be added but is not set")))?;
            let id = self.id(text).or_else(|| self.id(&self.unknown()?));
            let id = id.ok_or_else(|| self.fail(format!("{key} {text:?} is not a token")))?;
            let item = json!({"SpecialToken": {"id": text, "type_id": 0}});
            single.insert(if at_end { single.len() } else { 0 }, item);
            tokens.insert(text.to_owned(), json!({"id": text, "ids": [id], "tokens": [text]}));
            Ok(())
        };
        if bos {
            around("bos_token", false)?;
        }
        if eos {
            around("eos_token", true)?;
        }
        let pair = json!([
            {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}
        ]);
        Ok(json!({
            "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens
        }))
    }

    /// Returns the token for unknown text.
    fn unknown(&self) -> Option<String> {
        let text = match self.config.get("unk_token") {
            Some(value) => value.as_str().or_else(|| value.get("content")?.as_str())?,
            None => self.class.specials.iter().find(|(name, _)| *name == "unk_token")?.1,
        };
        Some(text.to_owned())
    }

    fn to_json(&self, step: &impl serde::Serialize) -> Result<Value, Error> {
        serde_json::to_value(step).map_err(|error| self.fail(error.to_string()))
    }

    fn step_of<T: serde::de::DeserializeOwned>(&self, step: Value) -> Result<T, Error> {
        serde_json::from_value(step).map_err(|error| self.fail(error.to_string()))
    }
}

impl Special {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Token(token) => &token.content,
        }
    }
}

/// Warns if the ids of added tokens in a file are ignored, because the library numbers them itself.
fn warn_of_numbers(input: &Input<'_>, tokenizer: &Tokenizer, warnings: &mut Vec<String>) {
    let list = input.json.as_ref().and_then(|json| json.object.get("added_tokens")?.as_array());
    for token in list.into_iter().flatten() {
        let text = token.get("content").and_then(Value::as_str).unwrap_or_default();
        let listed = token.get("id").and_then(Value::as_u64);
        if let (Some(listed), Some(id)) = (listed, tokenizer.token_to_id(text))
            && listed != u64::from(id)
        {
            warnings.push(format!(
                "tokenizer.json gives the added token {text:?} the id {listed}, but its id \
                 is {id}"
            ));
        }
    }
}

/// Returns the class, named by the tokenizer's config, the model's config or else the model's type.
fn class_of(
    config: &Map<String, Value>,
    model: &Map<String, Value>,
    warnings: &mut Vec<String>,
) -> &'static Class {
    let named = |map: &Map<String, Value>| {
        map.get("tokenizer_class").and_then(Value::as_str).map(str::to_owned)
    };
    if let Some(name) = named(config).or_else(|| named(model)) {
        return class::by_name(&name).unwrap_or_else(|| {
            warnings.push(format!(
                "the tokenizer class {name:?} is unknown: its files are used unchanged"
            ));
            &class::PLAIN
        });
    }
    let model_type = model.get("model_type").and_then(Value::as_str).unwrap_or_default();
    class::by_model_type(model_type).unwrap_or(&class::PLAIN)
}

/// Calls the tokenizers library. Its checks of input are incomplete, so a panic counts as an error
/// in the file.
fn guarded<T>(path: &Path, run: impl FnOnce() -> Result<T, tokenizers::Error>) -> Result<T, Error> {
    let fail = |text: String| Error::in_file(path, Problem::Tokenizer(text));
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|error| fail(error.to_string())),
        Err(_) => Err(fail("the tokenizers library crashed on it".to_owned())),
    }
}

/// Sets a key wherever it occurs.
fn set_deep(value: &mut Value, key: &str, to: bool) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(name, value)| {
            if name == key {
                *value = to.into();
            }
            set_deep(value, key, to);
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| set_deep(item, key, to)),
        _ => {}
    }
}

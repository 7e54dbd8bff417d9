//! Special tokens: their ids, which of them surround a text, and chat templates.

use std::collections::HashSet;
use std::path::Path;

use granule_format::{Array, Metadata, StringArray};
use serde_json::{Map, Value};

use super::Input;
use super::chat::template;
use super::file::TokenizerFile;
use super::file::read_lines;
use super::python::truth;
use crate::arch::Quirk;
use crate::{Error, Folder, Problem};

/// The kinds of special tokens, in search order.
pub(super) const KINDS: &[&str] = &["bos", "eos", "unk", "sep", "pad", "cls", "mask"];

/// The kinds of fill-in-the-middle models.
pub(super) const FILLING_KINDS: &[&str] = &["prefix", "suffix", "middle", "fsep", "eot"];

/// The metadata keys of ids. Other kinds have none.
const ID_KEYS: &[(&str, &str)] = &[
    ("bos", "tokenizer.ggml.bos_token_id"),
    ("eos", "tokenizer.ggml.eos_token_id"),
    ("unk", "tokenizer.ggml.unknown_token_id"),
    ("sep", "tokenizer.ggml.seperator_token_id"),
    ("pad", "tokenizer.ggml.padding_token_id"),
    ("mask", "tokenizer.ggml.mask_token_id"),
    ("eot", "tokenizer.ggml.eot_token_id"),
    ("eom", "tokenizer.ggml.eom_token_id"),
];

/// The kinds for which a key says whether they are added around a text.
const ADD_KINDS: &[&str] = &["bos", "eos", "sep"];

/// The entries found, each in the order of discovery, which is also the output order.
#[derive(Debug, Default)]
pub(super) struct Special {
    kinds: Vec<&'static str>,
    ids: Vec<(&'static str, u32)>,
    add: Vec<(&'static str, bool)>,
    merges: Option<StringArray>,
    template: Value,
    lowercase: Option<bool>,
    strip_accents: Option<bool>,
    /// The first id to ignore.
    limit: Option<u64>,
}

impl Special {
    /// Collects the special tokens. `limit` is the size of the vocabulary if larger ids are to be
    /// ignored.
    pub(super) fn read(
        input: &Input<'_>,
        kinds: &[&'static str],
        limit: Option<u64>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Error> {
        let mut special = Self { kinds: kinds.to_vec(), limit, ..Self::default() };
        let padding = input.config.get("pad_token_id").and_then(Value::as_i64);
        if padding.is_some_and(|id| id < 0) {
            special.kinds.retain(|kind| *kind != "pad");
        }
        let mut config = Some(input.tokenizer_config.clone()).filter(|config| !config.is_empty());
        if let Some(json) = &input.json {
            if let Some(normalizer) = json.object.get("normalizer") {
                special.take_normalizer(normalizer);
            }
            let mut around = Around::new(config);
            special.take_post_processor(&json.object, &mut around);
            config = around.config;
        }
        special.template = template(input.folder, config.as_ref(), warnings)?;
        if let Some(config) = &config {
            special.take_config(config, input.json.as_ref())?;
        }
        special.take_model_config(input)?;
        Ok(special)
    }

    /// Sets the id of a kind that no file has set.
    pub(super) fn set_default(&mut self, kind: &str, id: u32) {
        let known = ID_KEYS.iter().find(|(known, _)| *known == kind).map(|(known, _)| *known);
        if let Some(kind) = known
            && !self.ids.iter().any(|(known, _)| *known == kind)
        {
            self.ids.push((kind, id));
        }
    }

    /// Sets the id of a kind, whatever the files say.
    pub(super) fn set(&mut self, kind: &str, id: u32) {
        self.set_default(kind, id);
        for (_, other) in self.ids.iter_mut().filter(|(known, _)| *known == kind) {
            *other = id;
        }
    }

    /// Replaces the ids of kinds for which quirks name another token.
    pub(super) fn replace(&mut self, input: &Input<'_>) {
        let added = input.tokenizer_config.get("added_tokens_decoder").and_then(Value::as_object);
        for quirk in input.quirks {
            let Quirk::ReplacedToken { kind, text } = quirk else { continue };
            for (id, token) in added.into_iter().flatten() {
                let fits = token["content"] == text.as_ref() && truth(&token["special"]);
                let Some(id) = id.parse().ok().filter(|_| fits) else { continue };
                let set = self.ids.iter_mut().filter(|(known, _)| known == kind);
                set.for_each(|(_, old)| *old = id);
            }
        }
    }

    /// Returns whether no id is known.
    pub(super) const fn has_none(&self) -> bool {
        self.ids.is_empty()
    }

    /// Takes the merges, except those with tokens `beyond` the vocabulary.
    pub(super) fn take_merges(&mut self, merges: Option<StringArray>, beyond: &[String]) {
        self.merges = merges;
        if !beyond.is_empty() {
            let beyond: HashSet<&str> = beyond.iter().map(String::as_str).collect();
            let left = |merge: &&[u8]| {
                let merge = String::from_utf8_lossy(merge);
                let (a, b) = merge.split_once(' ').unwrap_or((&*merge, ""));
                let whole = format!("{a}{b}");
                ![a, b, &*whole].iter().any(|text| beyond.contains(text))
            };
            let merges = self.merges.take();
            self.merges = merges.map(|merges| merges.iter().filter(left).collect());
        }
    }

    /// Writes all entries.
    pub(super) fn write(&self, out: &mut Metadata) {
        if let Some(merges) = &self.merges
            && !merges.is_empty()
        {
            out.set("tokenizer.ggml.merges", Array::String(merges.clone()));
        }
        for (kind, id) in &self.ids {
            if let Some((_, key)) = ID_KEYS.iter().find(|(known, _)| known == kind) {
                out.set(key, *id);
            }
        }
        for (kind, add) in &self.add {
            if ADD_KINDS.contains(kind) {
                out.set(&format!("tokenizer.ggml.add_{kind}_token"), *add);
            }
        }
        self.write_template(out);
        if let Some(lowercase) = self.lowercase {
            out.set("tokenizer.ggml.normalizer.lowercase", lowercase);
        }
        if let Some(strip) = self.strip_accents {
            out.set("tokenizer.ggml.normalizer.strip_accents", strip);
        }
    }

    fn write_template(&self, out: &mut Metadata) {
        let mut default = self.template.as_str();
        let mut names = StringArray::default();
        for choice in self.template.as_array().into_iter().flatten() {
            let text = |key| choice.get(key).and_then(Value::as_str);
            let (Some(name), Some(template)) = (text("name"), text("template")) else { continue };
            let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
            let name: String = name.chars().map(plain).collect();
            if name == "default" {
                default = Some(template);
            } else if !name.is_empty() {
                if !template.is_empty() {
                    out.set(&format!("tokenizer.chat_template.{name}"), template);
                }
                if !names.iter().any(|known| known == name.as_bytes()) {
                    names.push(name);
                }
            }
        }
        if !names.is_empty() {
            out.set("tokenizer.chat_templates", Array::String(names));
        }
        if let Some(template) = default.filter(|template| !template.is_empty()) {
            out.set("tokenizer.chat_template", template);
        }
    }

    fn take_normalizer(&mut self, normalizer: &Value) {
        match normalizer.get("type").and_then(Value::as_str) {
            Some("Lowercase") => self.lowercase = Some(true),
            Some("StripAccents") => self.strip_accents = Some(true),
            Some("BertNormalizer") => {
                if let Some(flag) = normalizer.get("lowercase") {
                    self.lowercase = flag.as_bool();
                }
                if let Some(flag) = normalizer.get("strip_accents") {
                    self.strip_accents = flag.as_bool();
                }
            }
            Some("Sequence") => {
                let steps = normalizer.get("normalizers").and_then(Value::as_array);
                steps.into_iter().flatten().for_each(|step| self.take_normalizer(step));
            }
            _ => {}
        }
    }

    /// Reads which tokens the post-processor of `tokenizer.json` adds around a text.
    fn take_post_processor(&mut self, json: &Map<String, Value>, around: &mut Around) {
        let Some(post) = json.get("post_processor").filter(|post| post.is_object()) else { return };
        let steps = match post.get("processors") {
            Some(Value::Array(steps)) => steps.as_slice(),
            _ => std::slice::from_ref(post),
        };
        for step in steps {
            match step.get("type").and_then(Value::as_str) {
                Some("ByteLevel") => {
                    for kind in ["bos", "eos"] {
                        if !self.add.iter().any(|(known, _)| *known == kind) {
                            self.add.push((kind, false));
                        }
                    }
                }
                Some("RobertaProcessing") => {
                    ADD_KINDS.iter().for_each(|kind| self.set_add(kind, true));
                    for kind in ["cls", "sep"] {
                        if around.config.is_some()
                            && around.get(kind).is_none()
                            && let Some(text) = step.get(kind).and_then(|pair| pair.get(0))
                        {
                            around.set(kind, text.clone());
                        }
                    }
                }
                Some("TemplateProcessing") => self.take_template(step, around),
                _ => {}
            }
        }
    }

    /// Reads a template. It also determines special tokens that the config lacks, and its last
    /// token overrides the config's.
    fn take_template(&mut self, step: &Value, around: &mut Around) {
        let list = |key| step.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let token = |item: &Value| {
            let id = item.get("SpecialToken").and_then(|token| token.get("id"));
            id.filter(|id| truth(id)).cloned()
        };
        let (mut first, mut last) = (None, None);
        if let [start, .., end] = list("single") {
            first = token(start);
            last = token(end);
        }
        if let Some(first) = &first {
            if around.config.is_none() {
                around.set("bos", first.clone());
            } else if !around.is(first, &["bos", "cls"]) {
                for kind in ["bos", "cls"] {
                    if around.get(kind).is_none() {
                        around.set(kind, first.clone());
                    }
                }
            }
            self.set_add("bos", around.is(first, &["bos", "cls"]));
        }
        if let Some(last) = &last {
            let free = ["eot", "eom"].into_iter().find(|kind| !self.kinds.contains(kind));
            if let Some(kind) = free
                && around.config.is_some()
                && !around.is(last, &["eos"])
            {
                self.kinds.push(kind);
                let old = around.get("eos").cloned().unwrap_or(Value::Null);
                around.set(kind, old);
            }
            around.set("eos", last.clone());
            self.set_add("eos", true);
        }

        let mut pair = list("pair");
        if let ([start, rest @ ..], Some(first)) = (pair, &first)
            && token(start).as_ref() == Some(first)
        {
            pair = rest;
        }
        if let ([rest @ .., end], Some(last)) = (pair, &last)
            && token(end).as_ref() == Some(last)
        {
            pair = rest;
        }
        let sequence = |item: &Value, id: &str| {
            item.get("Sequence").and_then(|sequence| sequence.get("id")).and_then(Value::as_str)
                == Some(id)
        };
        if let [a, between @ .., b] = pair
            && sequence(a, "A")
            && sequence(b, "B")
            && !between.is_empty()
        {
            let separates =
                |item: &Value| token(item).is_some_and(|token| around.is(&token, &["sep", "eos"]));
            let add = separates(&between[0]) && last.is_none()
                || between.len() == 2 && separates(&between[1]);
            self.set_add("sep", add);
            if add && around.get("sep").is_none() && around.config.is_some() {
                let eos = around.get("eos").cloned().unwrap_or(Value::Null);
                around.set("sep", eos);
            }
        }
    }

    fn set_add(&mut self, kind: &'static str, add: bool) {
        match self.add.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, old)) => *old = add,
            None => self.add.push((kind, add)),
        }
    }

    /// Reads the texts of special tokens in `tokenizer_config.json`, and finds their ids in
    /// `tokenizer.json`.
    fn take_config(
        &mut self,
        config: &Map<String, Value>,
        json: Option<&TokenizerFile>,
    ) -> Result<(), Error> {
        let added = json.and_then(|json| json.object.get("added_tokens")?.as_array());
        let id_of = |kind: &str| {
            let entry = config.get(&format!("{kind}_token"))?;
            let text = entry.as_str().or_else(|| entry.get("content")?.as_str())?;
            let is = |token: &&Value| token.get("content").and_then(Value::as_str) == Some(text);
            added?.iter().find(is)?.get("id").cloned()
        };
        for kind in self.kinds.clone() {
            let add = config.get(&format!("add_{kind}_token")).and_then(Value::as_bool);
            if let Some(add) = add
                && !self.add.iter().any(|(known, _)| *known == kind)
            {
                self.add.push((kind, add));
            }
            if let (Some(id), Some(json)) = (id_of(kind), json) {
                self.set_id(kind, &id, &json.path)?;
            }
        }
        Ok(())
    }

    /// Reads the ids in `config.json` of kinds that are still missing.
    fn take_model_config(&mut self, input: &Input<'_>) -> Result<(), Error> {
        let config = &input.config.raw;
        for kind in self.kinds.clone() {
            let key = format!("{kind}_token_id");
            let nested = config.get("text_config").and_then(|text| text.get(&key));
            if let Some(id) = config.get(&key).filter(|id| !id.is_null()).or(nested) {
                self.set_id(kind, id, input.config.path())?;
            }
        }
        Ok(())
    }

    /// Sets an id unless it is already set. Skips values that are not integers, such as lists, and
    /// ids outside the vocabulary.
    fn set_id(&mut self, kind: &'static str, id: &Value, path: &Path) -> Result<(), Error> {
        if !id.is_u64() && !id.is_i64() {
            return Ok(());
        }
        let found = id.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| {
            let (key, expected) = (format!("{kind}_token_id"), "an id from 0 to 4294967295");
            Error::in_file(path, Problem::KeyType { key, found: id.to_string(), expected })
        })?;
        let within = self.limit.is_none_or(|limit| u64::from(found) < limit);
        if within && !self.ids.iter().any(|(known, _)| *known == kind) {
            self.ids.push((kind, found));
        }
        Ok(())
    }
}

/// The special tokens of `tokenizer_config.json`, updated while reading the post-processor. Without
/// that file, `alone` holds them.
struct Around {
    config: Option<Map<String, Value>>,
    alone: Map<String, Value>,
}

impl Around {
    fn new(config: Option<Map<String, Value>>) -> Self {
        let mut around =
            Self { config: config.filter(|config| !config.is_empty()), alone: Map::new() };
        for (kind, other) in [("bos", "cls"), ("eos", "sep")] {
            if around.get(kind).is_none()
                && let Some(other) = around.get(other).cloned()
            {
                around.set(kind, other);
            }
        }
        around
    }

    fn get(&self, kind: &str) -> Option<&Value> {
        let map = self.config.as_ref().unwrap_or(&self.alone);
        map.get(&format!("{kind}_token")).filter(|value| truth(value))
    }

    fn set(&mut self, kind: &str, value: Value) {
        self.config.as_mut().unwrap_or(&mut self.alone).insert(format!("{kind}_token"), value);
    }

    fn is(&self, token: &Value, kinds: &[&str]) -> bool {
        kinds.iter().any(|kind| self.get(kind) == Some(token))
    }
}

/// Writes the id of a special token in place of one that is already there.
pub(super) fn write_id(kind: &str, id: u32, out: &mut Metadata) {
    if let Some((_, key)) = ID_KEYS.iter().find(|(known, _)| *known == kind) {
        out.set(key, id);
    }
}

/// Reads the merges of `tokenizer.json` or `merges.txt`.
pub(super) fn all_merges(input: &Input<'_>) -> Result<Option<StringArray>, Error> {
    let list = input.json.as_ref().and_then(|json| Some((json, json.model("merges")?)));
    let list = list.and_then(|(json, list)| Some((json, list.as_array()?)));
    let Some((json, list)) = list.filter(|(_, list)| !list.is_empty()) else {
        return merges_file(input.folder);
    };
    // In the newer form (pairs), a part may contain a space. It is encoded as in byte-level text.
    let merge = |merge: &Value| match merge {
        Value::String(text) => Some(text.clone()),
        Value::Array(pair) => match pair.as_slice() {
            [Value::String(a), Value::String(b)] => {
                Some(format!("{} {}", a.replace(' ', "\u{120}"), b.replace(' ', "\u{120}")))
            }
            _ => None,
        },
        _ => None,
    };
    let mut merges = StringArray::default();
    for item in list {
        let text = merge(item);
        let fail = || json.fail("\"merges\" is not a list of pairs of strings");
        merges.push(text.ok_or_else(fail)?);
    }
    Ok(Some(merges))
}

/// Reads the merges of `merges.txt`, if it exists.
fn merges_file(folder: &dyn Folder) -> Result<Option<StringArray>, Error> {
    let file = folder.at("merges.txt");
    if !file.exists() {
        return Ok(None);
    }
    let text = read_lines(&file)?;
    let lines = text.lines().enumerate().filter(|(i, line)| *i > 0 || !line.starts_with('#'));
    let pairs = lines.filter_map(|(_, line)| {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(a), Some(b), None) => Some(format!("{a} {b}")),
            _ => None,
        }
    });
    Ok(Some(pairs.collect()))
}

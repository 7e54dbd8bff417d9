//! Collects the values of `general.*`.

use std::path::Path;

use serde_json::{Map, Value};

use super::name::{NameParts, title};
use super::{Authorship, FIELDS, Parameters, card};
use crate::json::{read_named, read_object_if_there};
use crate::{Error, Folder};
use granule_format::nearest::{did_you_mean, nearest};

/// Fields from the model card: the field and the keys of the card that may hold it; the first key
/// wins.
const CARD_FIELDS: &[(&str, &[&str])] = &[
    ("name", &["name", "model_name"]),
    ("author", &["author", "model_author", "model_creator"]),
    ("version", &["version", "model_version"]),
    ("organization", &["organization", "model_organization"]),
    ("description", &["description", "model_description"]),
    ("finetune", &["finetune", "model_finetune"]),
    ("basename", &["basename", "model_basename", "model_type"]),
    ("size_label", &["size_label", "model_size_label"]),
    ("source.url", &["url", "model_url"]),
    ("source.doi", &["doi", "model_doi"]),
    ("source.uuid", &["uuid", "model_uuid"]),
    ("source.repo_url", &["repo_url", "model_repo_url"]),
    ("license", &["license"]),
    ("license.name", &["license_name"]),
    ("license.link", &["license_link"]),
];

/// Lists from the model card: the field and the keys of the card whose values are combined.
const CARD_LISTS: &[(&str, &[&str])] =
    &[("tags", &["tags", "pipeline_tag"]), ("languages", &["languages", "language"])];

/// Sources from the model card: the field and the keys of the card that may hold it; the first key
/// wins.
const CARD_SOURCES: &[(&str, &[&str])] = &[
    ("base_model", &["base_model", "base_models", "base_model_sources"]),
    ("dataset", &["datasets", "dataset", "dataset_sources"]),
];

/// Fields from `generation_config.json`: the field and its keys; the first key wins.
const GENERATION_FIELDS: &[(&str, &[&str])] = &[
    ("sampling.sequence", &["sequence"]),
    ("sampling.top_k", &["top_k"]),
    ("sampling.top_p", &["top_p"]),
    ("sampling.min_p", &["min_p"]),
    ("sampling.xtc_probability", &["xtc_probability"]),
    ("sampling.xtc_threshold", &["xtc_threshold"]),
    ("sampling.temp", &["temperature"]),
    ("sampling.penalty_last_n", &["penalty_last_n"]),
    ("sampling.penalty_repeat", &["penalty_repeat", "repetition_penalty"]),
    ("sampling.mirostat", &["mirostat"]),
    ("sampling.mirostat_tau", &["mirostat_tau"]),
    ("sampling.mirostat_eta", &["mirostat_eta"]),
];

impl Authorship {
    /// Collects the fields from a folder; `config` is the unchanged content of `config.json`.
    /// Ignores a model card or generation config that is invalid and adds a warning.
    pub(crate) fn gather(
        folder: &dyn Folder,
        config: &Map<String, Value>,
        name: Option<&str>,
        overrides: Option<&Path>,
        parameters: &Parameters,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Error> {
        let mut about = Self::default();
        about.take_card(&card::read(folder, warnings), parameters.signed());
        let path = config.get("_name_or_path").and_then(Value::as_str);
        if let Some(id) = path.filter(|path| path.matches('/').count() <= 1) {
            about.take_name(id, parameters.signed());
        }
        let folder_name = folder.name().map_err(Error::io(folder.path()))?;
        if !folder_name.is_empty() {
            about.take_name(&folder_name, parameters.signed());
        }
        // As in the reference, an invalid generation config is not an error.
        let generation = read_object_if_there(&folder.at("generation_config.json"));
        let generation = generation.unwrap_or_else(|error| {
            warnings.push(format!("{error}; the file is ignored"));
            None
        });
        about.take_first(&generation.unwrap_or_default(), GENERATION_FIELDS);
        if let Some(path) = overrides {
            about.take_overrides(&read_named(path)?, path, warnings);
        }
        if let Some(name) = name {
            about.fields.insert("name".to_owned(), name.into());
        }
        if about.text("name").is_none() {
            about.fields.insert("name".to_owned(), folder_name.into());
        }
        if about.text("size_label").is_none() && parameters.signed() > 0 {
            about.fields.insert("size_label".to_owned(), parameters.label().into());
        }
        Ok(about)
    }

    /// Sets a field that is still empty.
    fn fill(&mut self, field: &str, value: Option<Value>) {
        if let Some(value) = value.filter(|value| !value.is_null())
            && !self.fields.contains_key(field)
        {
            self.fields.insert(field.to_owned(), value);
        }
    }

    fn take_first(&mut self, from: &Map<String, Value>, table: &[(&str, &[&str])]) {
        for (field, keys) in table {
            for key in *keys {
                self.fill(field, from.get(*key).cloned());
            }
        }
    }

    fn take_card(&mut self, card: &Map<String, Value>, parameters: i64) {
        self.take_first(card, CARD_FIELDS);
        for (field, keys) in CARD_LISTS {
            let values: Vec<Value> =
                keys.iter().filter_map(|key| card.get(*key)).flat_map(items).collect();
            if !values.is_empty() {
                self.fill(field, Some(values.into()));
            }
        }
        for (field, keys) in CARD_SOURCES {
            if let Some(value) = keys.iter().find_map(|key| card.get(*key)) {
                let sources: Vec<Value> =
                    items(value).iter().map(|item| source(item, parameters)).collect();
                self.fill(field, Some(sources.into()));
            }
        }
    }

    fn take_name(&mut self, id: &str, parameters: i64) {
        let parts = NameParts::parse(id, parameters);
        let text = |text: Option<String>| text.map(Value::from);
        self.fill("name", text(parts.full.map(|name| title(&name))));
        self.fill("organization", text(parts.organization.map(|name| title(&name))));
        self.fill("basename", text(parts.base));
        self.fill("finetune", text(parts.finetune));
        self.fill("version", text(parts.version));
        self.fill("size_label", text(parts.size));
    }

    /// Replaces fields by those of a file. Warns of keys that no field has.
    fn take_overrides(
        &mut self,
        overrides: &Map<String, Value>,
        path: &Path,
        warnings: &mut Vec<String>,
    ) {
        let fields = FIELDS.iter().filter_map(|(field, _)| Some((*field, override_key(field)?)));
        let fields: Vec<(&str, String)> = fields.collect();
        let names = || fields.iter().map(|(_, key)| key.as_str());
        for key in overrides.keys().filter(|key| !names().any(|known| known == *key)) {
            warnings.push(format!(
                "{}: {key:?} is not a key that can be set, and is ignored{}",
                path.display(),
                did_you_mean(&nearest(key, names()))
            ));
        }
        for (field, key) in &fields {
            match overrides.get(key) {
                Some(Value::Null) => drop(self.fields.remove(*field)),
                Some(value) => drop(self.fields.insert((*field).to_owned(), value.clone())),
                None => {}
            }
        }
    }
}

/// Returns the key of a field in a file of overrides; `None` if the reference does not read it.
fn override_key(field: &str) -> Option<String> {
    match field {
        "license" => None,
        "base_model" => Some("general.base_models".to_owned()),
        "dataset" => Some("general.datasets".to_owned()),
        _ => Some(format!("general.{field}")),
    }
}

/// Returns the items of a list, or a single string as a list.
fn items(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::String(_) => vec![value.clone()],
        _ => Vec::new(),
    }
}

/// Collects the information in an item of a list of models or datasets.
fn source(item: &Value, parameters: i64) -> Value {
    let Some(id) = item.as_str() else {
        return if item.is_object() { item.clone() } else { Map::new().into() };
    };
    let mut about = Map::new();
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            about.insert(key.to_owned(), value.into());
        }
    };
    let is_url = ["http://", "https://", "ssh://"].iter().any(|scheme| id.starts_with(scheme));
    let name = if is_url { hub_name(id) } else { Some(id) };
    if is_url {
        set("repo_url", Some(id.to_owned()));
    }
    if let Some(name) = name {
        let parts = NameParts::parse(name, parameters);
        if let (false, Some(organization), Some(full)) = (is_url, &parts.organization, &parts.full)
        {
            set("repo_url", Some(format!("https://huggingface.co/{organization}/{full}")));
        }
        set("name", parts.full.map(|name| title(&name)));
        set("organization", parts.organization.map(|name| title(&name)));
        set("version", parts.version);
    }
    about.into()
}

/// Extracts `org/name` from the URL of a model on the Hugging Face hub.
fn hub_name(url: &str) -> Option<&str> {
    let path = url.strip_prefix("https://").or(url.strip_prefix("http://"))?;
    let name = path.strip_prefix("huggingface.co/")?;
    let (organization, rest) = name.split_once('/')?;
    (!organization.is_empty() && !rest.is_empty() && !rest.contains('/')).then_some(name)
}

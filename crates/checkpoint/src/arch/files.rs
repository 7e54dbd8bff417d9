//! Facts about a model from the other files of its checkpoint.

use std::path::Path;

use serde_json::Value;

use super::{Arch, Scope};
use crate::Problem;
use crate::json::{read_json, read_object, read_object_if_there};
use crate::{Error, Folder};

/// Kinds of pooling: key of the module's config, name in its newer form, number in the metadata.
const POOLING: &[(&str, &str, u32)] = &[
    ("pooling_mode_mean_tokens", "mean", 1),
    ("pooling_mode_cls_token", "cls", 2),
    ("pooling_mode_lasttoken", "lasttoken", 3),
];

/// The number of `classifier.pooling_type` for a name in the config.
pub(super) fn classifier_pooling(name: &str) -> Option<u32> {
    let row = POOLING.iter().find(|(_, known, _)| *known == name && *known != "lasttoken");
    row.map(|(.., number)| *number)
}

/// The number for `pooling_type`, by way of `modules.json`; `None` if it has no pooling module.
pub(super) fn pooling(folder: &dyn Folder) -> Result<Option<u32>, Error> {
    let modules = folder.at("modules.json");
    if !modules.exists() {
        return Ok(None);
    }
    let (modules_path, modules) = (&modules.path().to_owned(), read_json(&modules)?);
    let text = |module: &Value, key: &str| module.get(key)?.as_str().map(str::to_owned);
    let mut modules = modules.as_array().into_iter().flatten();
    let module = modules
        .find(|module| text(module, "type").is_some_and(|kind| kind.ends_with("Pooling")))
        .and_then(|module| text(module, "path"));
    let Some(module) = module else { return Ok(None) };
    if module.contains("..") || Path::new(&module).is_absolute() {
        return Err(Error::in_file(modules_path, Problem::ShardPath(module)));
    }
    let path = folder.at(format!("{}/config.json", module.trim_end_matches('/')));
    let config = read_object(&path)?;
    let set = |key: &str| config.get(key).is_some_and(|value| *value == Value::Bool(true));
    let mode = config.get("pooling_mode").and_then(Value::as_str);
    let found = POOLING.iter().find(|(key, ..)| set(key));
    let found = found.or_else(|| POOLING.iter().find(|(_, name, _)| mode == Some(name)));
    match found {
        Some((.., number)) => Ok(Some(*number)),
        None => {
            let found = Value::Object(config).to_string();
            let expected = "mean, cls or lasttoken";
            let problem = Problem::KeyType { key: "pooling_mode".to_owned(), found, expected };
            Err(Error::in_file(path.path(), problem))
        }
    }
}

/// The number of tokens in the file: that of the config, whatever the tokenizer's files hold, or
/// else one for each id of `tokenizer.json`.
pub(super) fn token_count(scope: &Scope<'_>) -> Result<Option<u64>, Error> {
    let size = scope.config.get("vocab_size").and_then(Value::as_u64).filter(|size| *size > 0);
    let path = scope.folder.at("tokenizer.json");
    if size.is_some() || !path.exists() {
        return Ok(size);
    }
    let json = read_object(&path)?;
    let ids = match json.get("model").and_then(|model| model.get("vocab")) {
        Some(Value::Object(tokens)) => tokens.values().filter_map(Value::as_u64).max(),
        Some(Value::Array(tokens)) => (tokens.len() as u64).checked_sub(1),
        _ => return Ok(None),
    };
    let added = json.get("added_tokens").and_then(Value::as_array);
    let added = added.into_iter().flatten().filter_map(|token| token.get("id")?.as_u64());
    Ok(added.chain(ids).max().map(|last| last.saturating_add(1)))
}

/// The number of tokens in the model of `tokenizer.json`, or in `vocab.json`.
pub(super) fn own_token_count(scope: &Scope<'_>) -> Result<Option<u64>, Error> {
    let json = read_object_if_there(&scope.folder.at("tokenizer.json"))?.unwrap_or_default();
    match json.get("model").and_then(|model| model.get("vocab")) {
        Some(Value::Object(tokens)) => Ok(Some(tokens.len() as u64)),
        Some(Value::Array(tokens)) => Ok(Some(tokens.len() as u64)),
        _ => {
            let tokens = read_object_if_there(&scope.folder.at("vocab.json"))?;
            Ok(tokens.map(|tokens| tokens.len() as u64))
        }
    }
}

/// The id of the token with this text.
pub(super) fn token_id(scope: &Scope<'_>, text: &str) -> Result<Option<u64>, Error> {
    let json = read_object_if_there(&scope.folder.at("tokenizer.json"))?.unwrap_or_default();
    let added = json.get("added_tokens").and_then(Value::as_array).into_iter().flatten();
    let is = |token: &&Value| token.get("content").and_then(Value::as_str) == Some(text);
    let added = added.into_iter().find(is).and_then(|token| token.get("id")?.as_u64());
    if added.is_some() {
        return Ok(added);
    }
    // Mistral's own library lists its special tokens in a file of its own.
    let tekken = read_object_if_there(&scope.folder.at("tekken.json"))?.unwrap_or_default();
    let special = tekken.get("special_tokens").and_then(Value::as_array).into_iter().flatten();
    let is_it = |token: &&Value| token.get("token_str").and_then(Value::as_str) == Some(text);
    if let Some(token) = special.into_iter().find(is_it) {
        return Ok(token.get("rank").and_then(Value::as_u64));
    }
    match json.get("model").and_then(|model| model.get("vocab")) {
        Some(Value::Object(tokens)) => Ok(tokens.get(text).and_then(Value::as_u64)),
        Some(Value::Array(tokens)) => {
            let is = |token: &Value| token.get(0).and_then(Value::as_str) == Some(text);
            Ok(tokens.iter().position(is).map(|index| index as u64))
        }
        _ => {
            let tokens = read_object_if_there(&scope.folder.at("vocab.json"))?;
            Ok(tokens.unwrap_or_default().get(text).and_then(Value::as_u64))
        }
    }
}

/// Whether the model's name contains one of these. Its name is the folder's path as it was given,
/// `model_type` or the class in its config, or a heading of its model card. `_name_or_path` does
/// not count, as in the reference: its library replaces that key by the path.
pub(super) fn is_named(scope: &Scope<'_>, names: &[&str]) -> bool {
    let class = scope.raw.get("architectures").and_then(|list| list.get(0));
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    // the folder may have been given as `.`
    let folder = scope.folder.real_name();
    let given = scope.given.to_string_lossy().into_owned();
    let hints = [folder, given, text(scope.raw.get("model_type")), text(class)];
    let hints = hints.map(|hint| hint.to_lowercase());
    // A card that cannot be read has no heading.
    let card = scope.folder.at("README.md").read().unwrap_or_default();
    let card = String::from_utf8_lossy(&card).to_lowercase();
    names.iter().any(|name| {
        hints.iter().any(|hint| hint.contains(name)) || card.contains(&format!("# {name}"))
    })
}

/// Warnings about modules of `sentence-transformers` that the file does not hold.
pub(super) fn lost_modules(scope: &Scope<'_>, arch: &Arch, pools: bool) -> Vec<String> {
    let held = arch.modules.iter().any(|module| scope.config.contains_key(&module.name));
    let by_option = arch.modules.iter().any(|module| module.by_option);
    let modules = read_json(&scope.folder.at("modules.json")).unwrap_or_default();
    let modules = modules.as_array().into_iter().flatten();
    let kinds = modules.filter_map(|module| module.get("type")?.as_str()?.rsplit('.').next());
    let advice = |kind: &str| match kind {
        "Pooling" if !pools => Some(
            "files of this architecture do not say how the vectors of a text's tokens become one: \
             tell the program that runs the model, for example by `--pooling`",
        ),
        "Dense" if held => None,
        "Dense" if by_option => {
            Some("its matrix is left out; --sentence-transformers-dense-modules includes it")
        }
        "Dense" => Some("its matrix is left out, and the vectors of the model will differ"),
        _ => None,
    };
    let warning = |kind| Some(format!("modules.json: the module {kind}: {}", advice(kind)?));
    kinds.filter_map(warning).collect()
}

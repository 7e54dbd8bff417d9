//! What other files of a checkpoint say about the model.

use std::path::Path;

use serde_json::Value;

use super::Scope;
use crate::Error;
use crate::json::{read_json, read_object};
use crate::source::Problem;

/// The ways to make one vector of those of all tokens: key of the module's config, name in its newer form, number.
const POOLING: &[(&str, &str, u32)] = &[
    ("pooling_mode_mean_tokens", "mean", 1),
    ("pooling_mode_cls_token", "cls", 2),
    ("pooling_mode_lasttoken", "lasttoken", 3),
];

/// The number of `pooling_type` that `modules.json` leads to; `None` if there is no such module.
pub(super) fn pooling(folder: &Path) -> Result<Option<u32>, Error> {
    let modules = folder.join("modules.json");
    if !modules.exists() {
        return Ok(None);
    }
    let modules = read_json(&modules)?;
    let text = |module: &Value, key: &str| module.get(key)?.as_str().map(str::to_owned);
    let mut modules = modules.as_array().into_iter().flatten();
    let module = modules
        .find(|module| text(module, "type").is_some_and(|kind| kind.ends_with("Pooling")))
        .and_then(|module| text(module, "path"));
    let Some(module) = module else { return Ok(None) };
    if module.contains("..") || Path::new(&module).is_absolute() {
        return Err(Error::in_file(&folder.join("modules.json"), Problem::ShardPath(module)));
    }
    let path = folder.join(module).join("config.json");
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
            Err(Error::in_file(&path, problem))
        }
    }
}

/// How many tokens the files of the tokenizer have: those of the config with a `tokenizer.model`, which is filled up
/// to them, else those of `tokenizer.json` with the added ones.
pub(super) fn token_count(scope: &Scope<'_>) -> Result<Option<u64>, Error> {
    let path = scope.folder.join("tokenizer.json");
    if scope.folder.join("tokenizer.model").exists() || !path.exists() {
        return Ok(scope.config.get("vocab_size").and_then(Value::as_u64));
    }
    let json = read_object(&path)?;
    let model = json.get("model").and_then(|model| model.get("vocab"));
    let count = match model {
        Some(Value::Object(tokens)) => Some(tokens.len()),
        Some(Value::Array(tokens)) => Some(tokens.len()),
        _ => None,
    };
    let added = json.get("added_tokens").and_then(Value::as_array).map_or(0, Vec::len);
    Ok(count.map(|count| (count + added) as u64))
}

//! Chat templates: chooses among several files.

use granule_format::Metadata;
use serde_json::{Map, Value};

use super::file::read_lines;
use crate::json::read_object;
use crate::{Error, Folder};

/// Returns the chat template: a string, a list of named ones, or null.
///
/// As in the reference, the template of `tokenizer_config.json` wins, even if it is null, and
/// without that file there is none. Programs that read the checkpoint itself prefer the separate
/// file, so a warning names a template that is ignored.
pub(super) fn template(
    folder: &dyn Folder,
    config: Option<&Map<String, Value>>,
    warnings: &mut Vec<String>,
) -> Result<Value, Error> {
    let Some(config) = config else {
        if let Ok(Some((name, _))) = file(folder) {
            warnings.push(format!(
                "the chat template in {name} is ignored because tokenizer_config.json is missing \
                 or empty"
            ));
        }
        return Ok(Value::Null);
    };
    let Some(template) = config.get("chat_template") else {
        return Ok(file(folder)?.map_or(Value::Null, |(_, template)| template));
    };
    if !matches!(template, Value::Null | Value::String(_) | Value::Array(_)) {
        warnings.push(format!(
            "tokenizer_config.json: \"chat_template\" is {} but expected a string or a list of \
             named ones; the output has no chat template",
            kind(template)
        ));
        return Ok(Value::Null);
    }
    // Other content of that file does not matter.
    if let Ok(Some((name, other))) = file(folder)
        && let Some(other) = default(&other)
    {
        match default(template) {
            Some(own) if own == other => {}
            Some(_) => warnings.push(format!(
                "the chat templates in tokenizer_config.json and {name} differ: using that of \
                 tokenizer_config.json. To use the other, remove \"chat_template\" from \
                 tokenizer_config.json"
            )),
            None => warnings.push(format!(
                "tokenizer_config.json has an empty \"chat_template\", which wins: the output has \
                 no chat template. To use that of {name}, remove the key"
            )),
        }
    }
    Ok(template.clone())
}

/// Writes the template in `chat_template.jinja`, if the folder has that file.
pub(super) fn write_file(folder: &dyn Folder, out: &mut Metadata) -> Result<(), Error> {
    let file = folder.at("chat_template.jinja");
    if file.exists() {
        out.set(super::TEMPLATE, read_lines(&file)?);
    }
    Ok(())
}

/// Returns the template that is used unless the user names another one.
fn default(template: &Value) -> Option<&str> {
    let named = |choice: &&Value| choice.get("name").is_some_and(|name| name == "default");
    let text = match template {
        Value::Array(list) => list.iter().find(named)?.get("template")?.as_str(),
        _ => template.as_str(),
    };
    text.filter(|text| !text.is_empty())
}

/// Reads the separate template file. Returns the template and the file's name.
fn file(folder: &dyn Folder) -> Result<Option<(&'static str, Value)>, Error> {
    let name = "chat_template.jinja";
    let template = folder.at(name);
    if template.exists() {
        let default = read_lines(&template)?;
        let mut others = folder.list(ADDITIONAL).unwrap_or_default();
        others.retain(|name| name.strip_suffix(".jinja").is_some_and(|stem| !stem.is_empty()));
        others.sort();
        if others.is_empty() {
            return Ok(Some((name, default.into())));
        }
        let mut list = vec![serde_json::json!({"name": "default", "template": default})];
        for file in others {
            let template = read_lines(&folder.at(format!("{ADDITIONAL}/{file}")))?;
            let name = file.strip_suffix(".jinja").unwrap_or(&file);
            list.push(serde_json::json!({"name": name, "template": template}));
        }
        return Ok(Some((name, list.into())));
    }
    let name = "chat_template.json";
    let template = folder.at(name);
    if !template.exists() {
        return Ok(None);
    }
    Ok(read_object(&template)?.remove("chat_template").map(|template| (name, template)))
}

/// The folder of templates besides the default one.
const ADDITIONAL: &str = "additional_chat_templates";

/// Describes a JSON value.
const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use std::fs;

    use super::*;
    use crate::Directory;

    /// Returns the chosen template and the warnings for these contents of `tokenizer_config.json`
    /// and `chat_template.jinja`.
    fn taken(config: Option<Value>, jinja: Option<&str>) -> (Value, String) {
        let folder = tempfile::tempdir().unwrap();
        if let Some(jinja) = jinja {
            fs::write(folder.path().join("chat_template.jinja"), jinja).unwrap();
        }
        let mut warnings = Vec::new();
        let config = config.as_ref().and_then(Value::as_object);
        let template = template(&Directory::new(folder.path()), config, &mut warnings).unwrap();
        (template, warnings.join("\n"))
    }

    #[test]
    fn a_file_replaces_the_template() {
        let folder = tempfile::tempdir().unwrap();
        let mut out = Metadata::new();
        out.set(super::super::TEMPLATE, "{% include 'chat_template.jinja' %}");
        write_file(&Directory::new(folder.path()), &mut out).unwrap();
        let template = |out: &Metadata| out.get(super::super::TEMPLATE).cloned();
        assert_ne!(template(&out), None);
        fs::write(folder.path().join("chat_template.jinja"), "{{ x }}").unwrap();
        write_file(&Directory::new(folder.path()), &mut out).unwrap();
        assert_eq!(template(&out), Some("{{ x }}".into()));
    }

    #[test]
    fn a_template_that_is_passed_over_is_told() {
        let named = json!([{"name": "default", "template": "x"}]);
        for (config, jinja, expected, warning) in [
            (Some(json!({})), Some("NEW"), json!("NEW"), ""),
            (Some(json!({})), None, Value::Null, ""),
            (Some(json!({"chat_template": "OLD"})), None, json!("OLD"), ""),
            (Some(json!({"chat_template": "OLD"})), Some("OLD"), json!("OLD"), ""),
            (Some(json!({"chat_template": "OLD"})), Some("NEW"), json!("OLD"), "differ"),
            (Some(json!({"chat_template": ""})), Some("NEW"), json!(""), "empty"),
            (Some(json!({"chat_template": null})), Some("NEW"), Value::Null, "empty"),
            (Some(json!({"chat_template": ""})), None, json!(""), ""),
            (Some(json!({"chat_template": named.clone()})), Some("x"), named.clone(), ""),
            (Some(json!({"chat_template": named.clone()})), Some("y"), named.clone(), "differ"),
            (Some(json!({"chat_template": {"a": 1}})), None, Value::Null, "an object"),
            (Some(json!({"chat_template": 3})), Some("NEW"), Value::Null, "a number"),
            (None, Some("NEW"), Value::Null, "missing"),
            (Some(json!({"chat_template": "OLD"})), Some(""), json!("OLD"), ""),
            (None, None, Value::Null, ""),
        ] {
            let (found, warnings) = taken(config.clone(), jinja);
            assert_eq!(found, expected, "{config:?} {jinja:?}");
            assert_eq!(warnings.is_empty(), warning.is_empty(), "{config:?} {jinja:?}: {warnings}");
            assert!(warnings.contains(warning), "{config:?} {jinja:?}: {warnings}");
        }
    }
}

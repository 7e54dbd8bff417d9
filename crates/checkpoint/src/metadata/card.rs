//! The front matter of a model card: YAML between `---` lines at the top of `README.md`.

use serde_json::{Map, Value};
use yaml_rust2::{Yaml, YamlLoader};

use crate::Folder;

/// Reads the front matter of the folder's model card. Returns an empty map if there is no card. If
/// the card is invalid, adds a warning, so that the conversion continues without a description.
pub(super) fn read(folder: &dyn Folder, warnings: &mut Vec<String>) -> Map<String, Value> {
    let file = folder.at("README.md");
    if !file.exists() {
        return Map::new();
    }
    let parsed = match file.read() {
        Ok(text) => parse(&String::from_utf8_lossy(&text)),
        Err(error) => Err(error.to_string()),
    };
    parsed.unwrap_or_else(|problem| {
        warnings.push(format!("{}: {problem}; the model card is ignored", file.path().display()));
        Map::new()
    })
}

fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let mut lines = text.lines();
    if lines.next() != Some("---") {
        return Ok(Map::new());
    }
    let mut matter = String::new();
    for line in lines.take_while(|line| *line != "---") {
        // This is the language code `no`, not a boolean.
        let line = if line.trim_start() == "- no" {
            line.replace("- no", "- \"no\"")
        } else {
            line.to_owned()
        };
        matter.push_str(&line.replace('\t', "  "));
        matter.push('\n');
    }
    let documents = YamlLoader::load_from_str(&matter).map_err(|error| {
        // The first line of the file is `---`.
        let (line, column) = (error.marker().line() + 1, error.marker().col() + 1);
        let what = error.info();
        format!("line {line}, column {column}: the front matter is not YAML: {what}")
    })?;
    match documents.into_iter().next().map(to_json) {
        Some(Value::Object(map)) => Ok(map),
        _ => Ok(Map::new()),
    }
}

/// Converts YAML to JSON. Numbers become strings, because metadata from a model card are strings.
fn to_json(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Real(text) | Yaml::String(text) => plain(text),
        Yaml::Integer(number) => number.to_string().into(),
        Yaml::Boolean(value) => value.into(),
        Yaml::Array(items) => items.into_iter().map(to_json).collect(),
        Yaml::Hash(entries) => {
            let entry = |(key, value): (Yaml, Yaml)| {
                Some((to_json(key).as_str()?.to_owned(), to_json(value)))
            };
            Value::Object(entries.into_iter().filter_map(entry).collect())
        }
        Yaml::Alias(_) | Yaml::Null | Yaml::BadValue => Value::Null,
    }
}

fn plain(text: String) -> Value {
    Value::String(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_begins_with_the_first_line_is_front_matter() {
        assert!(parse("").unwrap().is_empty());
        assert!(parse("\n---\na: b\n---\n").unwrap().is_empty());
        assert!(parse("---\n---\na: b\n").unwrap().is_empty());
        assert!(parse("---\n- a\n---\n").unwrap().is_empty());
        let problem = parse("---\na: b\n\tc: d\n---\n").unwrap_err();
        assert!(problem.starts_with("line 3, column 4: "), "{problem}");
    }

    #[test]
    fn languages_and_numbers_are_text() {
        let card =
            parse("---\nlanguage:\n- en\n- no\nversion: 1.50\nsize: 7\n---\nx: y\n").unwrap();
        assert_eq!(card["language"], serde_json::json!(["en", "no"]));
        assert_eq!(card["version"], "1.50");
        assert_eq!(card["size"], "7");
        assert!(!card.contains_key("x"));
    }
}

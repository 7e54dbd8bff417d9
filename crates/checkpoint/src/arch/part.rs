//! The config of a projector, and the projector of a checkpoint.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::config::bare_scope;
use super::expression::path;
use super::{Arch, Config, Kind, built_in};
use crate::json::read_object_if_there;
use crate::{Error, Folder, Problem, ProjectorProblem};

/// The paths under which larger models nest the config of their text part. The first one that is
/// there decides.
const TEXT_PARTS: &[&str] = &[
    "lfm",
    "language_config",
    "thinker_config.text_config",
    "lm_config",
    "llm_config",
    "text_config",
];

/// The files that say how images and sound are prepared, each with a key whose content counts as
/// that of the file. Later ones win.
const PREPROCESSORS: &[(&str, &str)] =
    &[("preprocessor_config.json", "media_proc_cfg"), ("processor_config.json", "image_processor")];

impl Config {
    /// The same config for the description of a projector: every key keeps its place, and some
    /// parts have names of their own. `text` is the text part over all other keys, `preprocessor`
    /// the files that say how images and sound are prepared; the description names further ones.
    pub(crate) fn of_projector(
        mut self,
        arch: &Arch,
        file: Option<&Arc<Arch>>,
        folder: &dyn Folder,
    ) -> Result<Self, Error> {
        let mut full = self.raw.clone();
        if !arch.raw_config && fill(&mut full, self.path(), file)? {
            let outer = full.get("model_type").cloned();
            for part in full.values_mut().filter_map(Value::as_object_mut) {
                // A part of the outer type is not described by the outer type's defaults.
                if part.get("model_type") != outer.as_ref() {
                    fill(part, self.path(), file)?;
                }
            }
        }
        let mut text = full.clone();
        let part = TEXT_PARTS.iter().find_map(|part| path(&full, part)?.as_object());
        text.extend(part.cloned().unwrap_or_default());
        let mut parts = vec![("text", text.into()), ("preprocessor", preprocessor(folder)?.into())];
        for (name, paths) in &arch.parts {
            let mut paths = paths.split(',').map(str::trim);
            let part = paths.find_map(|part| path(&full, part)).cloned();
            parts.extend(part.map(|part| (name.as_str(), part)));
        }
        full.extend(parts.into_iter().map(|(name, part)| (name.to_owned(), part)));
        self.replace(full);
        Ok(self)
    }

    /// The name of the class that decides the projector.
    pub(crate) fn projector_class(&self) -> Option<&str> {
        let class = |list: Option<&'_ Value>| list?.get(0)?.as_str().map(str::len);
        let vision = self.raw.get("vision_config").and_then(|vision| vision.get("architectures"));
        let outer = self.raw.get("architectures");
        let list = if class(vision).is_some() { vision } else { outer };
        list?.get(0)?.as_str()
    }
}

/// Finds the projector of a checkpoint: `file`, or a built-in one. `None` if there is none.
pub(crate) fn find_projector(
    file: Option<&Arc<Arch>>,
    config: &Config,
    folder: &dyn Folder,
) -> Result<Option<Arc<Arch>>, Error> {
    let Some(class) = config.projector_class() else { return Ok(None) };
    for arch in of_projectors(file, class) {
        let known = arch.classes.iter().any(|name| name == class);
        let here = match &arch.when {
            Some(when) if known => config.scope(folder, arch, None).holds(when)?,
            _ => known,
        };
        if here {
            return Ok(Some(arch.clone()));
        }
    }
    Ok(None)
}

/// The projectors whose descriptions contain a word: `file`, and the built-in ones.
fn of_projectors<'a>(
    file: Option<&'a Arc<Arch>>,
    word: &str,
) -> impl Iterator<Item = &'a Arc<Arch>> + use<'a> {
    let file = file.filter(|arch| arch.kind == Kind::Projector);
    file.into_iter().chain(built_in::mentioning(Kind::Projector, word))
}

/// The error that keys of a config are missing. Those of the files that say how images and sound
/// are prepared are missing there.
pub(super) fn lacks(keys: Vec<String>, folder: &dyn Folder, config: &Path) -> Error {
    let of_files = keys.iter().map(|key| key.strip_prefix("preprocessor.").map(str::to_owned));
    let Some(keys) = of_files.collect::<Option<Vec<_>>>() else {
        return Error::in_file(config, Problem::MissingKey(keys));
    };
    let present = PREPROCESSORS.iter().find(|(name, _)| folder.exists(name));
    let problem = match present {
        Some(_) => Problem::MissingKey(keys),
        None => ProjectorProblem::MissingFile { keys }.into(),
    };
    let (name, _) = present.unwrap_or(&PREPROCESSORS[0]);
    Error::in_file(&folder.path().join(name), problem)
}

/// The content of the files that say how images and sound are prepared.
fn preprocessor(folder: &dyn Folder) -> Result<Map<String, Value>, Error> {
    let mut all = Map::new();
    for (name, inner) in PREPROCESSORS {
        let Some(config) = read_object_if_there(&folder.at(*name))? else { continue };
        let nested = config.get(*inner).and_then(Value::as_object).cloned();
        all.extend(config);
        all.extend(nested.unwrap_or_default());
    }
    Ok(all)
}

/// Fills in the defaults of the class of `model_type`, in nested objects as well. Returns whether
/// any are known.
fn fill(
    map: &mut Map<String, Value>,
    file_path: &Path,
    file: Option<&Arc<Arch>>,
) -> Result<bool, Error> {
    let Some(model_type) = map.get("model_type").and_then(Value::as_str) else { return Ok(false) };
    let mut types = of_projectors(file, model_type).flat_map(|arch| &arch.defaults);
    let Some(ty) = types.find(|ty| ty.name == model_type) else { return Ok(false) };
    for (alias, key) in &ty.aliases {
        if let Some(value) = map.remove(alias) {
            map.insert(key.clone(), value);
        }
    }
    for (key, default) in &ty.values {
        let null = match path(map, key) {
            Some(Value::Null) => true,
            None => false,
            Some(_) => continue,
        };
        if null && default.is_literal() {
            continue;
        }
        if let Some(value) = bare_scope(map, file_path).value(default)? {
            insert(map, key, value);
        }
    }
    Ok(true)
}

/// Sets the value at a path such as `a.b`, unless something else than an object is in the way.
fn insert(map: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        map.insert(path.to_owned(), value);
        return;
    };
    let inner = map.entry(first).or_insert_with(|| Map::new().into());
    if let Some(inner) = inner.as_object_mut() {
        insert(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_part_of_images_may_name_the_class() {
        let of = |config| Config::of(config).projector_class().map(str::to_owned);
        let outer = json!({"architectures": ["A"], "vision_config": {"architectures": []}});
        assert_eq!(of(outer).as_deref(), Some("A"));
        let inner = json!({"architectures": ["A"], "vision_config": {"architectures": ["B"]}});
        assert_eq!(of(inner).as_deref(), Some("B"));
        assert_eq!(of(json!({"vision_config": 1})), None);
    }

    #[test]
    fn defaults_reach_into_objects() {
        let mut map = json!({"a": {"b": 1}, "c": 2}).as_object().cloned().unwrap_or_default();
        for path in ["a.d", "e.f", "c.g"] {
            insert(&mut map, path, 3.into());
        }
        assert_eq!(Value::from(map), json!({"a": {"b": 1, "d": 3}, "c": 2, "e": {"f": 3}}));
    }
}

//! Weights in folders of their own: the dense layers that `sentence-transformers` puts after a
//! model.

use serde_json::{Map, Value};

use crate::arch::{Arch, Config};
use crate::json::{read_json, read_object_if_there};
use crate::weights::Weights;
use crate::{Error, Folder, Problem};

/// The file of a module's weights.
const WEIGHTS: &str = "model.safetensors";

/// Keys of a module's config that follow from its matrix, outermost dimension first.
const SIZES: [&str; 2] = ["out_features", "in_features"];

/// Opens the modules that the description of the architecture names and the folder has, and puts
/// the config of each under its name into `config`. `wanted` says whether the user wants those that
/// are read by option. Returns whether any was opened.
///
/// # Errors
/// If a file is damaged, or a path leads out of the folder.
pub(super) fn open(
    arch: &Arch,
    folder: &dyn Folder,
    wanted: bool,
    weights: &mut Weights,
    config: &mut Config,
) -> Result<bool, Error> {
    let listed = if wanted { listed(folder)? } else { Vec::new() };
    let always = arch.modules.iter().filter(|module| !module.by_option);
    let always = always.map(|module| (module, module.folder.clone()));
    let by_option = listed.into_iter().filter_map(|path| {
        let of = |name: &str| arch.modules.iter().find(|it| it.by_option && it.folder == name);
        Some((of(&path).or_else(|| of("*"))?, path))
    });
    let mut opened = false;
    for (module, path) in always.chain(by_option).collect::<Vec<_>>() {
        let name = format!("{path}/{WEIGHTS}");
        if !folder.exists(&name) {
            continue;
        }
        let matrix = weights.add(folder, &name, &module.name)?;
        let keys = read_object_if_there(&folder.at(format!("{path}/config.json")))?;
        config.add(&module.name, sized(keys.unwrap_or_default(), matrix));
        opened = true;
    }
    // An export puts the tensors of modules into the model's own files.
    for module in &arch.modules {
        let start = format!("{}.", module.name);
        let inside = weights.tensors().iter().filter(|tensor| tensor.name.starts_with(&start));
        let matrix = inside.map(|tensor| &tensor.shape).find(|shape| shape.len() == 2).cloned();
        if matrix.is_some() && config.get(&module.name).is_none() {
            config.add(&module.name, sized(Map::new(), matrix));
            opened = true;
        }
    }
    Ok(opened)
}

/// A module's config. Sizes that it lacks are those of the first matrix.
fn sized(mut keys: Map<String, Value>, matrix: Option<Vec<u64>>) -> Value {
    for (key, size) in SIZES.iter().zip(matrix.into_iter().flatten()) {
        if keys.get(*key).is_none_or(Value::is_null) {
            keys.insert((*key).to_owned(), size.into());
        }
    }
    keys.into()
}

/// The folders of dense layers that `modules.json` lists.
fn listed(folder: &dyn Folder) -> Result<Vec<String>, Error> {
    let file = folder.at("modules.json");
    if !file.exists() {
        return Ok(Vec::new());
    }
    let modules = read_json(&file)?;
    let mut paths = Vec::new();
    for module in modules.as_array().into_iter().flatten() {
        let text = |key: &str| module.get(key).and_then(Value::as_str);
        if !text("type").is_some_and(|kind| kind.ends_with("Dense")) {
            continue;
        }
        let path = text("path").unwrap_or_default().trim_end_matches('/');
        if path.contains("..") || std::path::Path::new(path).is_absolute() {
            return Err(Error::in_file(file.path(), Problem::ShardPath(path.to_owned())));
        }
        if !path.is_empty() {
            paths.push(path.to_owned());
        }
    }
    Ok(paths)
}

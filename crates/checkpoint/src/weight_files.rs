//! The files of a folder that hold the weights.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Component, Path};

use serde_json::Value;

use super::Problem;
use super::file::DataFile;
use super::stored::Entry;
use super::survey::survey;
use super::{safetensors, torch};
use crate::folder::Named;
use crate::json::read_json;
use crate::{Error, Folder, Layout};

/// A kind of weight file.
#[derive(Debug)]
pub(super) struct Kind {
    prefix: &'static str,
    suffix: &'static str,
    /// The index, which assigns each tensor to a file.
    pub(super) index: &'static str,
    /// Reads the tensors of a file in their defined order.
    pub(super) read: fn(&DataFile) -> Result<Vec<Entry>, Error>,
}

/// The table of kinds. The first kind that has files in the folder is read.
const KINDS: &[Kind] = &[
    Kind {
        prefix: "model",
        suffix: ".safetensors",
        index: "model.safetensors.index.json",
        read: safetensors::read,
    },
    torch_kind("pytorch_model", ".bin", "pytorch_model.bin.index.json"),
    torch_kind("pytorch_model", ".pth", "pytorch_model.pth.index.json"),
    torch_kind("pytorch_model", ".pt", "pytorch_model.pt.index.json"),
    torch_kind("model", ".pth", "model.pth.index.json"),
    torch_kind("model", ".pt", "model.pt.index.json"),
];

/// The kind in the layout of Mistral's own library.
const CONSOLIDATED: &[Kind] = &[Kind {
    prefix: "consolidated",
    suffix: ".safetensors",
    index: "consolidated.safetensors.index.json",
    read: safetensors::read,
}];

const fn torch_kind(prefix: &'static str, suffix: &'static str, index: &'static str) -> Kind {
    Kind { prefix, suffix, index, read: torch::read }
}

/// The weight files.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) kind: &'static Kind,
    /// The file names, sorted.
    pub(super) names: Vec<String>,
    /// The file of each tensor according to the index; `None` if there is no index.
    pub(super) map: Option<HashMap<String, String>>,
}

/// Finds the weight files. Adds a warning for each other file with weights that is not read.
pub(super) fn find(
    folder: &dyn Folder,
    layout: Layout,
    warnings: &mut Vec<String>,
) -> Result<Files, Error> {
    let kinds = match layout {
        Layout::HuggingFace => KINDS,
        Layout::Mistral { .. } => CONSOLIDATED,
    };
    let fail = |problem| Error::in_file(folder.path(), problem);
    let present: BTreeSet<String> =
        folder.list("").map_err(Error::io(folder.path()))?.into_iter().collect();
    let is_index = |kind: &Kind| folder.exists(kind.index);
    let Some(place) =
        kinds.iter().position(|kind| kind.names(&present).next().is_some() || is_index(kind))
    else {
        return Err(fail(match layout {
            Layout::HuggingFace => Problem::NoWeights { kind: folder.on_disk().and_then(survey) },
            Layout::Mistral { .. } => Problem::NoConsolidated,
        }));
    };
    let kind = &kinds[place];
    for other in &kinds[place + 1..] {
        if let Some(name) = other.names(&present).next() {
            warnings.push(format!(
                "{name:?} is not read: {}*{} in the same folder come first",
                kind.prefix, kind.suffix
            ));
        }
    }
    let map = if is_index(kind) { Some(weight_map(&folder.at(kind.index))?) } else { None };
    let names: Vec<String> = match &map {
        Some(map) => map.values().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
        None => kind.names(&present).cloned().collect(),
    };
    names.iter().try_for_each(|name| not_broken(folder, name))?;
    if let (Some(map), [_, ..]) = (&map, &names[..]) {
        for name in kind.names(&present).filter(|name| !names.contains(name)) {
            if *name == kind.single() {
                let (first, second) = (kind.index.to_owned(), name.clone());
                return Err(fail(Problem::TwoCheckpoints { first, second }));
            }
            let set =
                |name: &str| kind.numbered(name).map(|(stem, _, count)| (stem.to_owned(), count));
            if set(name).is_some() && names.iter().any(|other| set(other) == set(name)) {
                let problem = Problem::ShardNotInIndex { index: kind.index };
                return Err(Error::in_file(&folder.path().join(name), problem));
            }
            warnings.push(format!("{name:?} is not read: {:?} does not list it", kind.index));
        }
        for name in &names {
            if !folder.exists(name) {
                let tensors = map.iter().filter(|(_, file)| *file == name);
                let tensor = tensors.map(|(tensor, _)| tensor.as_str()).min().unwrap_or_default();
                let problem = Problem::MissingShard { shard: name.clone() };
                return Err(Error::of_tensor(&folder.path().join(kind.index), tensor, problem));
            }
        }
    } else {
        kind.check_sets(folder.path(), &names)?;
    }
    if names.is_empty() {
        return Err(fail(Problem::NoWeights { kind: None }));
    }
    if let Some(file) = present.iter().find(|name| name.starts_with("adapter_model.")) {
        warnings.push(format!(
            "{file:?} is an adapter: --lora DIR merges that of a folder into the model"
        ));
    }
    Ok(Files { kind, names, map })
}

impl Kind {
    /// Returns the names that are of this kind.
    fn names<'n>(&self, names: &'n BTreeSet<String>) -> impl Iterator<Item = &'n String> {
        names.iter().filter(|name| name.starts_with(self.prefix) && name.ends_with(self.suffix))
    }

    /// Returns the name of the file when there is only one.
    fn single(&self) -> String {
        format!("{}{}", self.prefix, self.suffix)
    }

    /// Checks that numbered names form one complete set, without an unnumbered file next to them.
    fn check_sets(&self, folder: &Path, names: &[String]) -> Result<(), Error> {
        let mut sets: BTreeMap<(&str, u64), Vec<&String>> = BTreeMap::new();
        for name in names {
            if let Some((stem, _, count)) = self.numbered(name) {
                sets.entry((stem, count)).or_default().push(name);
            }
        }
        let single = names.iter().find(|name| **name == self.single());
        let mut firsts = sets.values().map(|set| set[0]).chain(single);
        let numbered = !sets.is_empty();
        if let (true, Some(first), Some(second)) = (numbered, firsts.next(), firsts.next()) {
            let (first, second) = (first.clone(), second.clone());
            return Err(Error::in_file(folder, Problem::TwoCheckpoints { first, second }));
        }
        for ((stem, count), set) in sets {
            let numbers: BTreeSet<u64> =
                set.iter().filter_map(|name| self.numbered(name)).map(|found| found.1).collect();
            // The first missing number is at most one past the count of numbers present, so the
            // search is short.
            let missing = (1..=count).find(|number| !numbers.contains(number));
            if let Some(number) = missing {
                let shard = format!("{stem}-{number:05}-of-{count:05}{}", self.suffix);
                let problem = Problem::IncompleteSet { count, shard };
                return Err(Error::in_file(&folder.join(set[0]), problem));
            }
        }
        Ok(())
    }

    /// Splits a name such as `model-00002-of-00003.safetensors` into stem, number and count.
    fn numbered<'n>(&self, name: &'n str) -> Option<(&'n str, u64, u64)> {
        let (rest, count) = name.strip_suffix(self.suffix)?.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let parse = |text: &str| text.parse().ok().filter(|_| text.len() == 5 && digits(text));
        Some((stem, parse(number)?, parse(count)?))
    }
}

/// Checks that a link has a target.
///
/// # Errors
/// If it has none. The error names the target.
pub(super) fn not_broken(folder: &dyn Folder, name: &str) -> Result<(), Error> {
    match folder.broken_link(name) {
        Some(target) => {
            Err(Error::in_file(&folder.path().join(name), Problem::BrokenLink { target }))
        }
        None => Ok(()),
    }
}

/// Reads the index: the file of each tensor.
fn weight_map(index: &Named<'_>) -> Result<HashMap<String, String>, Error> {
    let json = read_json(index)?;
    let map = json.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| Error::in_file(index.path(), Problem::NoWeightMap))?;
    map.iter()
        .map(|(tensor, file)| match file.as_str() {
            Some(file) if is_plain_name(file) => Ok((tensor.clone(), file.to_owned())),
            Some(file) => {
                Err(Error::of_tensor(index.path(), tensor, Problem::ShardPath(file.to_owned())))
            }
            None => Err(Error::in_file(index.path(), Problem::NoWeightMap)),
        })
        .collect()
}

/// Returns whether a name stays inside the folder on every system.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
        && !name.contains(['/', '\\', ':', '\0'])
}

//! The default name of the output.

use std::path::{Path, PathBuf};

use granule_format::FileType;
use granule_format::container::ShardName;

use crate::source::{Place, is_folder};

/// Where to write: `wanted`; in the folder `wanted`; in the folder `source`; next to the file
/// `source`. If that is a URL or in the [cache of the hub](Hub), only what was asked for is written
/// there: the current folder takes the place of the last two. A name of its own is `model` (what
/// the model is called) with the file type in place of the one that it ends in; as it is without a
/// file type.
pub(super) fn output(
    wanted: Option<&Path>,
    source: &Place,
    model: &str,
    file_type: Option<&str>,
) -> PathBuf {
    let name = || match file_type {
        Some(file_type) => format!("{}-{file_type}.gguf", without_type(model)),
        None => format!("{model}.gguf"),
    };
    match wanted {
        Some(folder) if is_folder(folder) => folder.join(name()),
        Some(file) => file.to_owned(),
        None if source.is_url() || Hub::holds(source).is_some() => name().into(),
        None if source.is_dir() => source.join(name()),
        None => source.with_file_name(name()),
    }
}

/// The cache of the Hugging Face hub, which other programs manage:
/// `models--ORG--NAME/snapshots/COMMIT` has links into `models--ORG--NAME/blobs`.
#[derive(Debug)]
pub(super) struct Hub {
    /// NAME, if the folder's name tells it.
    pub(super) model: Option<String>,
    /// Whether the path is one of the files that links lead to: its name is a hash.
    pub(super) is_blob: bool,
}

impl Hub {
    /// The cache, if a source is in one.
    pub(super) fn holds(source: &Path) -> Option<Self> {
        let folder = match source.is_dir() {
            true => source,
            // a file, which may itself be a link into a cache
            false => match source.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            },
        };
        let folder = folder.canonicalize().ok()?;
        folder.ancestors().find_map(|inner| {
            let is_blob = match inner.file_name()?.to_str()? {
                "snapshots" => false,
                "blobs" => true,
                _ => return None,
            };
            let repository = inner.parent()?;
            let name = repository.file_name()?.to_str()?;
            let model = name.strip_prefix("models--").and_then(|name| name.rsplit("--").next());
            let is_cache = ["blobs", "snapshots"].iter().all(|name| repository.join(name).is_dir());
            (is_cache || model.is_some()).then(|| Self { model: model.map(str::to_owned), is_blob })
        })
    }
}

/// The model's name according to a GGUF file's name, without `.gguf` and the numbers of a split
/// set.
pub(super) fn model_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match ShardName::parse(&name) {
        Some(shard) => shard.stem,
        None => name.strip_suffix(".gguf").unwrap_or(&name).to_owned(),
    }
}

/// `SmolLM2-135M-F16` without `-F16`.
fn without_type(model: &str) -> &str {
    match model.rsplit_once(['-', '.']) {
        Some((rest, last)) if !rest.is_empty() && FileType::from_name(last).is_some() => rest,
        _ => model,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_of_outputs() {
        for (source, name) in [
            ("a/SmolLM2-135M-F16.gguf", "a/SmolLM2-135M-Q4_K_M.gguf"),
            ("model.bf16.gguf", "model-Q4_K_M.gguf"),
            ("model-f32-00002-of-00003.gguf", "model-Q4_K_M.gguf"),
            ("F16.gguf", "F16-Q4_K_M.gguf"),
            ("model-7.gguf", "model-7-Q4_K_M.gguf"),
            ("model", "model-Q4_K_M.gguf"),
            ("https://example.org/a/model-F16.gguf?key=1", "model-Q4_K_M.gguf"),
        ] {
            let source = Place::from(source);
            let found = output(None, &source, &model_of(&source), Some("Q4_K_M"));
            assert_eq!(found, Path::new(name));
        }
    }

    #[test]
    fn folders() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, file) = (folder.path(), Path::new("x.gguf"));
        let of = |wanted, source: &Path, ty| {
            output(wanted, &source.to_owned().into(), "Model-1B-BF16", ty)
        };
        let quantized = folder.join("Model-1B-Q8_0.gguf");
        assert_eq!(of(Some(folder), file, Some("Q8_0")), quantized);
        assert_eq!(of(None, folder, Some("Q8_0")), quantized);
        assert_eq!(of(None, folder, None), folder.join("Model-1B-BF16.gguf"));
        assert_eq!(of(Some(file), folder, Some("Q8_0")), file);
    }

    #[test]
    fn the_cache_of_the_hub_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let commit = "models--org--Model-1B/snapshots/0123abcd";
        for name in [
            commit,
            "models--org--Model-1B/blobs",
            "own/snapshots/x",
            "mirror/snapshots/1",
            "mirror/blobs",
        ] {
            fs::create_dir_all(path(name)).unwrap();
        }
        for (source, model, is_blob) in [
            (commit.to_owned(), Some("Model-1B"), false),
            (format!("{commit}/model.gguf"), Some("Model-1B"), false),
            (format!("{commit}/../0123abcd"), Some("Model-1B"), false),
            ("models--org--Model-1B/blobs/ab12".to_owned(), Some("Model-1B"), true),
            ("mirror/snapshots/1".to_owned(), None, false),
        ] {
            let source = path(&source);
            let hub = Hub::holds(&source).unwrap();
            assert_eq!((hub.model.as_deref(), hub.is_blob), (model, is_blob), "{source:?}");
            let source = Place::from(source);
            let found = output(None, &source, "Model-1B-BF16", Some("Q8_0"));
            assert_eq!(found, Path::new("Model-1B-Q8_0.gguf"));
            let found = output(Some(folder.path()), &source, "Model-1B-BF16", None);
            assert_eq!(found, path("Model-1B-BF16.gguf"));
        }
        for source in ["own/snapshots/x", "own", "model.gguf", "models--org--Model-1B"] {
            assert!(Hub::holds(&path(source)).is_none(), "{source}");
        }
    }
}

//! The name of the output where none was given.

use std::path::{Path, PathBuf};

use granule_format::FileType;
use granule_format::container::ShardName;

/// Where to write: `wanted`; in the folder `wanted`; in the folder `source`, beside the file `source`.
/// A name of its own is `model` (what the model is called) with the file type in place of the one that it ends in; as it is
/// without a file type.
pub(super) fn output(
    wanted: Option<&Path>,
    source: &Path,
    model: &str,
    file_type: Option<FileType>,
) -> PathBuf {
    let name = || match file_type {
        Some(file_type) => format!("{}-{file_type}.gguf", without_type(model)),
        None => format!("{model}.gguf"),
    };
    match wanted {
        Some(folder) if folder.is_dir() => folder.join(name()),
        Some(file) => file.to_owned(),
        None if source.is_dir() => source.join(name()),
        None => source.with_file_name(name()),
    }
}

/// What a GGUF file's name calls the model: without `.gguf` and the numbers of a split set.
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
mod tests {
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
        ] {
            let source = Path::new(source);
            let found = output(None, source, &model_of(source), Some(FileType::Q4_K_M));
            assert_eq!(found, Path::new(name));
        }
    }

    #[test]
    fn folders() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, file) = (folder.path(), Path::new("x.gguf"));
        let of = |wanted, source, ty| output(wanted, source, "Model-1B-BF16", ty);
        let quantized = folder.join("Model-1B-Q8_0.gguf");
        assert_eq!(of(Some(folder), file, Some(FileType::Q8_0)), quantized);
        assert_eq!(of(None, folder, Some(FileType::Q8_0)), quantized);
        assert_eq!(of(None, folder, None), folder.join("Model-1B-BF16.gguf"));
        assert_eq!(of(Some(file), folder, Some(FileType::Q8_0)), file);
    }
}

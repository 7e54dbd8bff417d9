//! Finds the checkpoint that the user names by its folder or by one of its files.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use granule_format::check::FileKind;

use super::Problem;
use super::survey::{adapter, survey};
use super::weight_files::not_broken;
use crate::arch::unnamed;
use crate::{Directory, Error, Layout};

/// The folder of a checkpoint.
#[derive(Debug, PartialEq)]
pub(super) struct Located {
    pub(super) folder: PathBuf,
    /// The file in it that the user named.
    pub(super) file: Option<PathBuf>,
}

/// Locates the checkpoint at a path, which names its folder or a file in it.
///
/// # Errors
/// If the folder has no config. The error says what the path is and what to do.
pub(super) fn locate(path: &Path, layout: Layout) -> Result<Located, Error> {
    let about = fs::metadata(path).map_err(Error::io(path))?;
    let (folder, file) = if about.is_dir() {
        (path, None)
    } else {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        (folder.unwrap_or(Path::new(".")), Some(path.to_owned()))
    };
    if file.is_some() && name(path).starts_with("adapter_") {
        let kind = Some(adapter(folder));
        return Err(Error::in_file(path, Problem::NoWeights { kind }));
    }
    let config = folder.join(layout.config());
    not_broken(&Directory::new(folder), layout.config())?;
    // If anything else is there, reading it reports the problem.
    if !config.is_dir() && config.exists() {
        return Ok(Located { folder: folder.to_owned(), file });
    }
    if layout == Layout::HuggingFace && unnamed(&Directory::new(folder)).is_some() {
        return Ok(Located { folder: folder.to_owned(), file });
    }
    Err(match checkpoint_file(path) {
        Some(what) => Error::in_file(path, Problem::Alone { what }),
        None if layout != Layout::HuggingFace => Error::in_file(folder, Problem::NoParams),
        None => Error::in_file(folder, Problem::NoConfig { kind: survey(folder) }),
    })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Located {
    /// Warns that more than the named file is read. `read` lists the files to read.
    ///
    /// # Errors
    /// If the named file holds weights and is not among `read`.
    pub(super) fn announce<'p>(
        &self,
        mut read: impl Iterator<Item = &'p Path>,
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        let Some(file) = &self.file else { return Ok(()) };
        let weights = WEIGHTS.iter().any(|end| name(file).ends_with(end));
        let first = read.next();
        if let Some(first) = first.filter(|_| weights)
            && name(first) != name(file)
            && !read.any(|path| name(path) == name(file))
        {
            return Err(Error::in_file(file, Problem::NotRead { first: name(first) }));
        }
        warnings.push(format!(
            "{} is one file of the checkpoint in {}: the whole checkpoint is read",
            file.display(),
            self.folder.display()
        ));
        Ok(())
    }
}

/// Endings of the names of weight files.
const WEIGHTS: &[&str] = &[".safetensors", ".bin", ".pt", ".pth"];

/// Files of checkpoints by the endings of their names.
const NAMES: &[(&str, &str)] = &[
    (".safetensors", "a safetensors file, which holds only weights"),
    (".safetensors.index.json", "the index of a checkpoint's files"),
    (".bin.index.json", "the index of a checkpoint's files"),
    ("config.json", "the config of a checkpoint"),
    ("tokenizer.json", "the tokenizer of a checkpoint"),
    ("tokenizer.model", "the tokenizer of a checkpoint"),
    ("special_tokens_map.json", "a part of a checkpoint's tokenizer"),
    ("added_tokens.json", "a part of a checkpoint's tokenizer"),
    ("vocab.json", "a part of a checkpoint's tokenizer"),
    ("merges.txt", "a part of a checkpoint's tokenizer"),
    ("chat_template.jinja", "the chat template of a checkpoint"),
];

/// Kinds of weight files by their first bytes.
const KINDS: &[(FileKind, &[&str], &str)] = &[
    (FileKind::Safetensors, &[], "a safetensors file, which holds only weights"),
    (FileKind::Zip, &[".bin", ".pt", ".pth", ".ckpt"], "a PyTorch file, which holds only weights"),
    (FileKind::Pickle, &[".bin", ".pt", ".pth", ".ckpt"], "an old PyTorch file"),
    (FileKind::LfsPointer, &[".bin", ".pt", ".pth"], "a Git LFS pointer in place of weights"),
];

/// Describes a file of a checkpoint; `None` if the path is not a file or not part of a checkpoint.
pub(super) fn checkpoint_file(path: &Path) -> Option<&'static str> {
    if !fs::metadata(path).is_ok_and(|about| about.is_file()) {
        return None;
    }
    let mut first = Vec::new();
    File::open(path).ok()?.take(4096).read_to_end(&mut first).ok()?;
    let kind = FileKind::of(&first);
    if kind == FileKind::Gguf {
        return None;
    }
    let name = name(path);
    let ends = |ends: &str| name.ends_with(ends);
    let by_name = NAMES.iter().find(|(end, _)| ends(end)).map(|(_, what)| *what);
    by_name.or_else(|| {
        let fits = |(of, names, _): &&(FileKind, &[&str], _)| {
            *of == kind && (names.is_empty() || names.iter().any(|name| ends(name)))
        };
        KINDS.iter().find(fits).map(|(.., what)| *what)
    })
}

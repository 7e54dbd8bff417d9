//! Reading the headers of a file, or of all files of the split set that it belongs to.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use granule_format::container::{SHARD_COUNT, ShardName};
use granule_format::{ErrorKind, Header, Limits};

/// A file and what its header says.
#[derive(Debug)]
pub(crate) struct HeaderFile {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
}

/// The headers of the split set that `path` belongs to, in the order of the shards; of `path`
/// only if it belongs to none or is wanted `alone`.
///
/// # Errors
/// If a file is missing, cannot be read or is not a GGUF file.
pub(crate) fn read_headers(path: &Path, alone: bool) -> anyhow::Result<Vec<HeaderFile>> {
    let header = read_header(path)?;
    let Some(set) = split_set(path, &header).filter(|_| !alone) else {
        return Ok(vec![HeaderFile { path: path.to_owned(), header }]);
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    set.all()
        .map(|name| {
            let shard = folder.join(name);
            let header = read_header(&shard).with_context(|| {
                format!(
                    "{} is one of {} files of a split set (--alone looks at this file only)",
                    path.display(),
                    set.count
                )
            })?;
            Ok(HeaderFile { path: shard, header })
        })
        .collect()
}

/// The header of one file; no more of the file is read than that.
///
/// # Errors
/// If the file cannot be read or is not a GGUF file.
pub(crate) fn read_header(path: &Path) -> anyhow::Result<Header> {
    let name = || path.display().to_string();
    let kind = fs::metadata(path).with_context(name)?.file_type();
    if !kind.is_file() {
        let kind = if kind.is_dir() { "a folder" } else { "no regular file" };
        bail!("{}: this is {kind}, expected a GGUF file", path.display());
    }
    let file = File::open(path).with_context(name)?;
    let file_bytes = file.metadata().with_context(name)?.len();
    let mut prefix = Vec::new();
    let mut wanted = 1 << 20;
    loop {
        (&file).take(wanted - prefix.len() as u64).read_to_end(&mut prefix).with_context(name)?;
        match Header::parse_prefix(&prefix, file_bytes, &Limits::DEFAULT) {
            Ok(header) => return Ok(header),
            Err(error) => match error.kind {
                ErrorKind::PrefixTooShort { .. } if (prefix.len() as u64) < wanted => {
                    bail!("{}: the file was cut short while it was read", path.display())
                }
                ErrorKind::PrefixTooShort { need } => {
                    wanted = need.max(2 * prefix.len() as u64);
                }
                ErrorKind::Magic(magic) => match other_kind(magic) {
                    Some(kind) => bail!("{}: not a GGUF file but {kind}", path.display()),
                    None => return Err(error).with_context(name),
                },
                _ => return Err(error).with_context(name),
            },
        }
    }
}

/// The split set of a file: its metadata say that there are several files, and its name has the form of
/// their names.
fn split_set(path: &Path, header: &Header) -> Option<ShardName> {
    let count = header.metadata().integer::<u32>(SHARD_COUNT).ok()??;
    let name = ShardName::parse(path.file_name()?.to_str()?)?;
    (count > 1 && name.count == count).then_some(name)
}

/// What people take for GGUF files by mistake.
fn other_kind(magic: [u8; 4]) -> Option<&'static str> {
    Some(match &magic {
        b"vers" => "a Git LFS pointer: fetch the file itself with `git lfs pull`",
        b"<!DO" | b"<!do" | b"<htm" | b"<HTM" => "a web page: the download went wrong",
        b"PK\x03\x04" => "a ZIP archive (PyTorch checkpoints are such)",
        b"lmgg" | b"fmgg" | b"tjgg" => {
            "a file of the older GGML formats: convert the original again"
        }
        _ => return None,
    })
}

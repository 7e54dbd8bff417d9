//! Models that are on no disk of this machine.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, bail};
use granule_checkpoint::{Checkpoint, CheckpointOptions};
use granule_convert::run::Uploads;
use granule_format::Limits;
use granule_format::container::ShardName;
use granule_reader::{Model, OpenOptions, ReadAt};
use granule_remote::{Address, Client, Kind, RemoteUploads, Settings};
use tempfile::NamedTempFile;

use super::Place;

/// Bytes that are copied at a time.
const PIECE: usize = 1 << 20;

/// The client of this process.
fn client() -> anyhow::Result<&'static Client> {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    let client = Client::new(Settings::default())?;
    Ok(CLIENT.get_or_init(|| client))
}

pub(super) fn is_folder(place: &Place, address: &Address) -> anyhow::Result<bool> {
    let kind = client()?.kind(address);
    Ok(kind.with_context(|| place.display().to_string())? == Kind::Folder)
}

pub(super) fn checkpoint(
    place: &Place,
    address: &Address,
    options: &CheckpointOptions,
) -> anyhow::Result<Checkpoint> {
    let folder = client()?.open_folder(address);
    let folder = folder.with_context(|| place.display().to_string())?;
    Ok(Checkpoint::open_folder(&folder, options)?)
}

pub(super) fn model(address: &Address, options: OpenOptions) -> anyhow::Result<Model> {
    Ok(client()?.open_model(address, options)?)
}

pub(super) fn gguf_files(place: &Place, address: &Address) -> anyhow::Result<Vec<Place>> {
    if !is_folder(place, address)? {
        return Ok(vec![place.clone()]);
    }
    let names = client()?.names(address).with_context(|| place.display().to_string())?;
    let names = names.iter().filter(|name| name.ends_with(".gguf") && !name.contains('/'));
    let mut found: Vec<Place> = names.map(|name| Place::at(address.join(name))).collect();
    if found.is_empty() {
        bail!("{}: this folder has no GGUF files", place.display());
    }
    found.sort_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    Ok(found)
}

/// A copy of a file in the folder for temporary files.
pub(super) fn spooled(address: &Address, structure: bool) -> anyhow::Result<NamedTempFile> {
    let context = || address.to_string();
    let remote = client()?.open_file(address).with_context(context)?;
    let bytes = remote.len()?;
    let header = || {
        let options = Model::options().limits(Limits::INSPECT).alone(true);
        client()?.open_model(address, options).map_err(anyhow::Error::from)
    };
    // a header that cannot be read ends anywhere
    let end = match structure {
        true => header().map_or(bytes, |model| model.header().data_offset().min(bytes)),
        false => bytes,
    };
    let folder = std::env::temp_dir();
    // a file system that cannot tell its free space is no reason to refuse
    let free = fs4::available_space(&folder).unwrap_or(u64::MAX);
    if free < end {
        bail!(
            "{address}: a copy of {end} bytes is made in {}, where {free} are free; free some \
             space, name another folder in TMPDIR, or pass --structure-only",
            folder.display()
        );
    }
    let mut file = NamedTempFile::new().context("cannot make a temporary file")?;
    remote.will_read(0..end);
    copy(&remote, end, &mut file).with_context(context)?;
    file.as_file().set_len(bytes).context("cannot write a temporary file")?;
    Ok(file)
}

fn copy(from: &dyn ReadAt, end: u64, to: &mut impl Write) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < end {
        let length = PIECE.min(usize::try_from(end - at).unwrap_or(PIECE));
        from.read_exact_at(&mut piece[..length], at)?;
        to.write_all(&piece[..length])?;
        at += length as u64;
    }
    Ok(())
}

pub(super) fn check_result(place: &Place, address: &Address) -> anyhow::Result<()> {
    RemoteUploads::check(address).with_context(|| place.display().to_string())
}

pub(super) fn uploads() -> anyhow::Result<Arc<dyn Uploads>> {
    Ok(Arc::new(RemoteUploads::new(client()?.clone())))
}

pub(super) fn names_beside(address: &Address) -> Vec<String> {
    let listed = || client().ok()?.names(&address.folder()).ok();
    let set = || ShardName::parse(&address.file_name());
    listed().or_else(|| Some(set()?.all().collect())).unwrap_or_default()
}

//! What models are read from: GGUF files and checkpoints, on a disk or far away.

mod place;
#[cfg(feature = "remote")]
mod remote;

use std::path::Path;
use std::sync::Arc;

use granule_checkpoint::{Checkpoint, CheckpointOptions, OutType};
use granule_convert::encode_blocks;
use granule_convert::run::Uploads;
use granule_reader::{GgufSource, Model, OpenOptions, Source};

pub(crate) use place::Place;
pub(crate) use place::secrets::hidden;

/// Whether a place is a checkpoint: a folder, or a file that is part of one.
pub(crate) fn is_checkpoint(place: &Place) -> anyhow::Result<bool> {
    #[cfg(feature = "remote")]
    if let Some(address) = place.address()? {
        return remote::is_folder(place, address);
    }
    place.local()?;
    Ok(place.is_dir() || Checkpoint::has_file(place))
}

/// Open a checkpoint.
pub(crate) fn checkpoint(place: &Place, options: &CheckpointOptions) -> anyhow::Result<Checkpoint> {
    #[cfg(feature = "remote")]
    if let Some(address) = place.address()? {
        return remote::checkpoint(place, address, options);
    }
    Ok(Checkpoint::open(place.local()?, options)?)
}

/// Open a GGUF file, and the others if it is one of a split set.
pub(crate) fn gguf(place: &Place) -> anyhow::Result<GgufSource> {
    model(place, Model::options()).map(GgufSource::from)
}

/// Open a GGUF file with these options.
pub(crate) fn model(place: &Place, options: OpenOptions) -> anyhow::Result<Model> {
    #[cfg(feature = "remote")]
    if let Some(address) = place.address()? {
        return remote::model(address, options);
    }
    Ok(options.open(place.local()?)?)
}

/// The name of a file without its folder.
pub(crate) fn file_name(place: &Place) -> String {
    place.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The URL of a GGUF file, or those of the GGUF files in the folder at a URL.
pub(crate) fn gguf_files(place: &Place) -> anyhow::Result<Vec<Place>> {
    #[cfg(feature = "remote")]
    if let Some(address) = place.address()? {
        return remote::gguf_files(place, address);
    }
    place.local()?;
    Ok(vec![place.clone()])
}

/// A copy of the file at a URL, which is removed when it is dropped. For its `structure` only the
/// header is fetched; the rest is zeros.
pub(crate) fn spooled(place: &Place, structure: bool) -> anyhow::Result<tempfile::NamedTempFile> {
    #[cfg(feature = "remote")]
    if let Some(address) = place.address()? {
        return remote::spooled(address, structure);
    }
    let _ = structure;
    place.local()?;
    anyhow::bail!("{}: this is no URL", place.display())
}

/// The names of the files of a split set at a URL, as far as they are known without a listing, or
/// of all files there.
pub(crate) fn names_beside(place: &Place) -> Vec<String> {
    #[cfg(feature = "remote")]
    if let Ok(Some(address)) = place.address() {
        return remote::names_beside(address);
    }
    let _ = place;
    Vec::new()
}

/// Whether a path is a URL.
pub(crate) fn is_url(path: &Path) -> bool {
    place::is_url(path)
}

/// Whether a result gets a name of its own in what a path or URL names.
pub(crate) fn is_folder(path: &Path) -> bool {
    path.is_dir() || is_url(path) && path.to_string_lossy().ends_with('/')
}

/// Check that a result can be uploaded to a URL.
pub(crate) fn check_result(path: &Path) -> anyhow::Result<()> {
    let place = Place::from(path.as_os_str().to_owned());
    #[cfg(feature = "remote")]
    if let Some(address) = place.address()? {
        return remote::check_result(&place, address);
    }
    place.local().map(|_| ())
}

/// Where results at URLs go.
pub(crate) fn uploads() -> anyhow::Result<Arc<dyn Uploads>> {
    #[cfg(feature = "remote")]
    return remote::uploads();
    #[cfg(not(feature = "remote"))]
    anyhow::bail!("this program was built without the feature `remote`");
}

/// Open a model as a file: a checkpoint is the one that it would be converted to.
pub(crate) fn open_as_file(place: &Place) -> anyhow::Result<Box<dyn Source>> {
    open_with(place, CheckpointOptions::default())
}

/// Open a model to compute with: the values of a checkpoint are not rounded.
pub(crate) fn open(place: &Place) -> anyhow::Result<Box<dyn Source>> {
    let out_type = OutType::from_name("f32").expect("a type of checkpoints");
    open_with(place, CheckpointOptions { out_type, ..CheckpointOptions::default() })
}

fn open_with(place: &Place, options: CheckpointOptions) -> anyhow::Result<Box<dyn Source>> {
    if !is_checkpoint(place)? {
        return Ok(Box::new(gguf(place)?));
    }
    let options = CheckpointOptions { encoder: Some(encode_blocks), ..options };
    Ok(Box::new(checkpoint(place, &options)?))
}

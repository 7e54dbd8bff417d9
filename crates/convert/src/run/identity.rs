use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use granule_format::{Endian, TensorType};
use sha2::{Digest, Sha256};

use super::{OutputFile, Target};
use crate::{Error, Source};

/// What tells the runs apart that make different files at the same path: a hash of the version, the header, the
/// source's files (names, sizes, times of change), the tensors that are read and their weights.
pub(super) fn identities(
    source: &dyn Source,
    files: &[OutputFile],
    targets: &[Target<'_>],
) -> Result<Vec<String>, Error> {
    let mut start = Sha256::new();
    start.update(env!("CARGO_PKG_VERSION"));
    for path in source.files() {
        add_file(&mut start, path)?;
    }
    let mut hashes: Vec<Sha256> = vec![start; files.len()];
    for (hash, file) in hashes.iter_mut().zip(files) {
        hash.update([u8::from(file.draft.endian() == Endian::Big)]);
        add_bytes(hash, &file.draft.header());
    }
    for target in targets {
        let hash = &mut hashes[target.file];
        let tensor = &source.tensors()[target.source];
        add_number(hash, target.tensor as u64);
        add_bytes(hash, tensor.name.as_bytes());
        if let TensorType::Known(ty) = tensor.ty {
            add_number(hash, ty.id().into());
        }
        tensor.shape.dimensions().iter().for_each(|length| add_number(hash, *length));
        let weights = target.weights.unwrap_or_default();
        add_number(hash, weights.len() as u64);
        weights.iter().for_each(|weight| hash.update(weight.to_le_bytes()));
    }
    let hex = |hash: Sha256| hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(hashes.into_iter().map(hex).collect())
}

fn add_file(hash: &mut Sha256, path: &Path) -> Result<(), Error> {
    let about = path.metadata().map_err(Error::io(path))?;
    // without times, sizes have to do
    let changed = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
    add_bytes(hash, path.file_name().unwrap_or_default().as_encoded_bytes());
    add_number(hash, about.len());
    hash.update(changed.as_nanos().to_le_bytes());
    Ok(())
}

fn add_bytes(hash: &mut Sha256, bytes: &[u8]) {
    add_number(hash, bytes.len() as u64);
    hash.update(bytes);
}

fn add_number(hash: &mut Sha256, number: u64) {
    hash.update(number.to_le_bytes());
}

//! Joining parts that are deleted one by one, so that the disk never holds more than the result and
//! one part.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use granule_format::container::SHARD_COUNT;
use granule_format::{Header, Limits, TensorInfo};
use granule_reader::{Model, ReadAt, file};
use sha2::{Digest, Sha256};

use super::{Join, JoinOptions, header_bytes, shard_name};
use crate::Error;
use crate::output::{Copying, Joining, PartRecord, Place, Record, check_space, places};
use crate::split::SplitError;

/// What a join that deletes its parts has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumed {
    /// Bytes of the result.
    pub bytes: u64,
    /// The number of tensors.
    pub tensors: usize,
    /// The number of parts.
    pub parts: usize,
    /// How many of them an interrupted run had moved.
    pub continued: usize,
}

/// Joins the set that a file is named as one of, and deletes each part once its bytes are on the
/// disk. An interrupted run is continued, if the file names any part, deleted or not.
///
/// `progress` is called with the number of bytes copied.
///
/// # Errors
/// As [`Join::plan`] and [`Join::write`]; if the parts are not those that an interrupted run has
/// recorded. Parts that were deleted are then in the hidden file, and the next run continues.
pub fn consume(
    part: &Path,
    output: &Path,
    options: &JoinOptions,
    stop: Option<&AtomicBool>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Consumed, Error> {
    let name = shard_name(part)?;
    let paths: Vec<PathBuf> = name.all().map(|name| part.with_file_name(name)).collect();
    let inputs: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let place = places(&[output], &inputs)?.pop().expect("a place for the path");
    let copying = Copying::new(stop, progress);
    match Joining::leftover(&place)? {
        Some((record, done)) if done.contains(&true) => {
            resume(place, &paths, (&record, done), options, &copying)
        }
        // what holds no part is written again
        _ => begin(place, part, options, &copying),
    }
}

fn begin(
    place: Place,
    part: &Path,
    options: &JoinOptions,
    copying: &Copying<'_>,
) -> Result<Consumed, Error> {
    let join = Join::plan(part, options)?;
    // the result grows as the parts disappear, so room for one part is enough; the temporary file
    // has its full length at once, but no blocks
    let largest = join.parts.iter().map(|part| part.bytes).max().unwrap_or(0);
    check_space([(&place, largest.min(join.bytes()) + join.header.len() as u64)].into_iter())?;
    let mut parts = Vec::new();
    for part in &join.parts {
        parts.push(PartRecord {
            name: part.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            bytes: part.bytes,
            header: header_hash(&part.path)?,
            tensors: part.tensors.len(),
        });
    }
    let data_offset = join.header.len() as u64;
    let record = Record { header: hex(&join.header), data_offset, parts };
    let joining = Joining::create(place, &join.header, join.bytes(), &record)?;
    let paths: Vec<PathBuf> = join.parts.iter().map(|part| part.path.clone()).collect();
    move_parts(joining, &paths, &record, join.draft.tensors(), copying)?;
    let (bytes, tensors) = (join.bytes(), join.tensors());
    Ok(Consumed { bytes, tensors, parts: paths.len(), continued: 0 })
}

fn resume(
    place: Place,
    paths: &[PathBuf],
    (record, done): (&Record, Vec<bool>),
    options: &JoinOptions,
    copying: &Copying<'_>,
) -> Result<Consumed, Error> {
    let is_of = |(path, part): (&PathBuf, &PartRecord)| path.ends_with(&part.name);
    let same_count = paths.len() == record.parts.len();
    if !(same_count && paths.iter().zip(&record.parts).all(is_of)) {
        return Err(Joining::unfinished(&place));
    }
    let continued = done.iter().filter(|done| **done).count();
    let (output, parts) = (place.path().to_owned(), record.parts.len());
    let is_header = |file: &File| {
        let mut header = vec![0; usize::try_from(record.data_offset).unwrap_or(0)];
        // a length that no header has is not read
        ReadAt::len(file).is_ok_and(|bytes| bytes >= record.data_offset)
            && file.read_exact_at(&mut header, 0).is_ok()
            && hex(&header) == record.header
    };
    let Some(joining) = Joining::resume(place, record, done, &is_header)? else {
        let model = Model::open_alone(&output)?;
        let (bytes, tensors) = (model.header().file_bytes(), model.tensors().len());
        return Ok(Consumed { bytes, tensors, parts, continued });
    };
    let mut header = vec![0; record.data_offset as usize];
    let io = |source| Error::io(&output)(source);
    joining.file().read_exact_at(&mut header, 0).map_err(io)?;
    let bytes = ReadAt::len(joining.file()).map_err(io)?;
    let header = Header::parse_prefix(&header, bytes, &Limits::DEFAULT);
    let header = header.map_err(|source| granule_reader::Error::Format {
        path: Some(output.clone()),
        source: Box::new(source),
    })?;
    let without = header.metadata().get(SHARD_COUNT).is_none();
    if without != options.without_split_keys {
        return Err(SplitError::OtherKeys { path: output, without }.into());
    }
    move_parts(joining, paths, record, header.tensors(), copying)?;
    Ok(Consumed { bytes, tensors: header.tensors().len(), parts, continued })
}

/// Copies the parts that are left, deletes them, and names the result.
fn move_parts(
    mut joining: Joining,
    paths: &[PathBuf],
    record: &Record,
    targets: &[TensorInfo],
    copying: &Copying<'_>,
) -> Result<(), Error> {
    match each_part(&mut joining, paths, record, targets, copying) {
        Ok(()) => joining.publish(),
        Err(Error::Interrupted { .. }) => Err(Error::Interrupted { kept: joining.leave() }),
        Err(error) => {
            joining.leave();
            Err(error)
        }
    }
}

fn each_part(
    joining: &mut Joining,
    paths: &[PathBuf],
    record: &Record,
    targets: &[TensorInfo],
    copying: &Copying<'_>,
) -> Result<(), Error> {
    let mut rest = targets;
    for (index, (path, part)) in paths.iter().zip(&record.parts).enumerate() {
        let Some((own, behind)) = rest.split_at_checked(part.tensors) else {
            return Err(SplitError::PartChanged { path: path.clone() }.into());
        };
        rest = behind;
        if joining.is_done(index) {
            // the run was interrupted before it deleted the part
            if path.exists() && is_recorded(path, part)? {
                joining.remove(path)?;
            }
            continue;
        }
        if !is_recorded(path, part)? {
            return Err(SplitError::PartChanged { path: path.clone() }.into());
        }
        let model = Model::open_alone(path)?;
        let source = file::open(path).map_err(Error::io(path))?;
        for (tensor, target) in model.tensors().zip(own) {
            let bytes = tensor.info().bytes().filter(|_| tensor.name() == target.name);
            let bytes = bytes.ok_or_else(|| SplitError::PartChanged { path: path.clone() })?;
            let from = model.header().data_offset() + tensor.info().offset;
            let to = record.data_offset + target.offset;
            copying.range((&source, path, from), (joining.file(), joining.path(), to), bytes)?;
        }
        joining.note(index)?;
        joining.remove(path)?;
    }
    Ok(())
}

/// Whether a part is the one that the journal has recorded.
fn is_recorded(path: &Path, part: &PartRecord) -> Result<bool, Error> {
    let file = file::open(path).map_err(Error::io(path))?;
    let bytes = ReadAt::len(&file).map_err(Error::io(path))?;
    Ok(bytes == part.bytes && header_hash(path)? == part.header)
}

/// SHA-256 of the header of a part.
fn header_hash(path: &Path) -> Result<String, Error> {
    let data_offset = Model::open_alone(path)?.header().data_offset();
    Ok(hex(&header_bytes(path, data_offset)?))
}

fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::sync::atomic::Ordering;

    use granule_format::container::{SHARD_NUMBER, SHARD_TENSORS};
    use granule_format::{BlockType, Draft, Endian, Metadata, Shape, Writer};

    use super::*;

    /// Three parts with two tensors of 64 bytes each.
    fn parts(folder: &Path) -> Vec<PathBuf> {
        let part = |number: u16| {
            let mut metadata = Metadata::new();
            metadata.set(SHARD_NUMBER, number);
            metadata.set(SHARD_COUNT, 3_u16);
            metadata.set(SHARD_TENSORS, 6_i32);
            let mut draft = Draft::new(metadata, Endian::Little).unwrap();
            for name in ["a", "b"] {
                let (name, shape) = (format!("{name}{number}"), Shape::new(&[16]).unwrap());
                draft.add(&name, shape, BlockType::F32.into()).unwrap();
            }
            let names: Vec<_> = draft.tensors().iter().map(|it| it.name.clone()).collect();
            let mut writer = Writer::start(Vec::new(), draft).unwrap();
            for (index, name) in names.iter().enumerate() {
                let mut tensor = writer.tensor(name).unwrap();
                tensor.write_all(&[number as u8 * 2 + index as u8; 64]).unwrap();
                tensor.finish().unwrap();
            }
            let path = folder.join(format!("x-{:05}-of-00003.gguf", number + 1));
            fs::write(&path, writer.finish().unwrap()).unwrap();
            path
        };
        (0..3).map(part).collect()
    }

    #[test]
    fn an_interrupted_join_is_continued() {
        let folder = tempfile::tempdir().unwrap();
        let (path, options) = (|name: &str| folder.path().join(name), JoinOptions::default());
        let expected = {
            let parts = parts(folder.path());
            Join::plan(&parts[1], &options).unwrap().write(&path("y"), None, &|_| {}).unwrap();
            fs::read(path("y")).unwrap()
        };
        // stopped after `limit` bytes: in the first part, after it, in the second, at the end
        for (limit, left, kept) in [(64, 3, false), (128, 2, true), (192, 2, true), (384, 0, true)]
        {
            let parts = parts(folder.path());
            let stop = AtomicBool::new(false);
            let on = |bytes: u64| stop.store(bytes > limit, Ordering::Relaxed);
            let error = consume(&parts[0], &path("x"), &options, Some(&stop), &on);
            if limit == 384 {
                assert_eq!(error.unwrap().continued, 0);
            } else {
                let is_kept = matches!(error, Err(Error::Interrupted { kept: it }) if it == kept);
                assert!(is_kept, "{limit}: {error:?}");
            }
            let there = parts.iter().filter(|part| part.exists()).count();
            assert_eq!(there, left, "{limit}");
            assert!(!kept || limit == 384 || path(".x.joining").exists());
            if kept && limit < 384 {
                // nothing else writes there, and other parts are not taken
                let other = JoinOptions { without_split_keys: true };
                let error = consume(&parts[0], &path("x"), &other, None, &|_| {}).unwrap_err();
                assert!(matches!(error, Error::Split(SplitError::OtherKeys { .. })), "{error}");
                let bytes = fs::read(&parts[2]).unwrap();
                fs::write(&parts[2], [&bytes[..], b"x"].concat()).unwrap();
                let error = consume(&parts[0], &path("x"), &options, None, &|_| {}).unwrap_err();
                assert!(matches!(error, Error::Split(SplitError::PartChanged { .. })), "{error}");
                fs::write(&parts[2], bytes).unwrap();
                let done = consume(&parts[0], &path("x"), &options, None, &|_| {}).unwrap();
                assert_eq!((done.continued > 0, done.parts, done.tensors), (true, 3, 6));
            }
            if kept {
                assert!(fs::read(path("x")).unwrap() == expected, "{limit}");
                fs::remove_file(path("x")).unwrap();
            }
            let names = fs::read_dir(folder.path()).unwrap();
            let hidden = names.filter(|name| {
                name.as_ref().unwrap().file_name().to_string_lossy().starts_with('.')
            });
            assert_eq!(hidden.count(), 0, "{limit}");
        }
    }

    /// The file has its name, but the journal is still there.
    #[test]
    fn what_was_complete_is_only_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        let (path, options) = (|name: &str| folder.path().join(name), JoinOptions::default());
        let parts = parts(folder.path());
        let join = Join::plan(&parts[0], &options).unwrap();
        join.write(&path("x"), None, &|_| {}).unwrap();
        let record = Record {
            header: hex(&join.header),
            data_offset: join.header.len() as u64,
            parts: join
                .parts
                .iter()
                .map(|part| PartRecord {
                    name: part.path.file_name().unwrap().to_str().unwrap().to_owned(),
                    bytes: part.bytes,
                    header: header_hash(&part.path).unwrap(),
                    tensors: 2,
                })
                .collect(),
        };
        let place = || Place::of(&path("x")).unwrap();
        let header = join.header.clone();
        let mut joining = Joining::create(place(), &header, join.bytes(), &record).unwrap();
        (0..3).for_each(|part| joining.note(part).unwrap());
        drop(joining);
        fs::remove_file(path(".x.joining")).unwrap();
        let error = join.write(&path("x"), None, &|_| {}).unwrap_err();
        assert!(matches!(error, Error::JoinUnfinished { .. }), "{error}");
        let done = consume(&parts[0], &path("x"), &options, None, &|_| {}).unwrap();
        assert_eq!((done.continued, done.bytes), (3, join.bytes()));
        assert!(!path(".x.join").exists());
        // neither the hidden file nor the result
        let joining = Joining::create(place(), &header, join.bytes(), &record);
        let mut joining = joining.unwrap();
        joining.note(0).unwrap();
        drop(joining);
        fs::remove_file(path(".x.joining")).unwrap();
        let error = consume(&parts[0], &path("x"), &options, None, &|_| {}).unwrap_err();
        assert!(matches!(error, Error::JoinLost { .. }), "{error}");
    }
}

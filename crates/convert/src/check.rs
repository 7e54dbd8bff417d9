//! Checking a file with all that is known here: its blocks by all threads, the other files of its
//! split set, and the tensors that its architecture needs.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use granule_format::check::{Checker, Options, Report, Sibling, is_sibling};
use granule_reader::Model;
use rayon::prelude::*;

/// Checks the content of the file at `path`.
///
/// The file is `bytes`, so that the caller decides whether it is mapped or read. With
/// `structure_only`, the contents of the tensors are skipped. Returns `None` if `stop` was set
/// before everything was looked at. The work is shared by the threads of the rayon pool that the
/// caller runs in.
pub fn check_file(
    path: &Path,
    bytes: &[u8],
    structure_only: bool,
    stop: Option<&AtomicBool>,
) -> Option<Report> {
    let name = path.file_name().and_then(|name| name.to_str());
    let others = name.map(|name| siblings(path, name)).unwrap_or_default();
    check_among(name, &others, bytes, structure_only, stop)
}

/// Checks the content of a file as [`check_file`] does, if it need not be on a disk: `others` are
/// the other files of its split set by their names, each with its header if it can be opened.
pub fn check_among(
    name: Option<&str>,
    others: &[(String, Option<Model>)],
    bytes: &[u8],
    structure_only: bool,
    stop: Option<&AtomicBool>,
) -> Option<Report> {
    let siblings: Vec<Sibling<'_>> = others
        .iter()
        .map(|(name, model)| Sibling { name, header: model.as_ref().map(Model::header) })
        .collect();
    let options = Options::default()
        .with_structure_only(structure_only)
        .with_siblings(&siblings)
        .with_needed(granule_checkpoint::arch::needed);
    let options = name.map_or(options, |name| options.with_name(name));
    check_bytes(bytes, &options, stop)
}

/// Checks the bytes of a file with these options, as [`check_file`] does.
pub fn check_bytes(
    bytes: &[u8],
    options: &Options<'_>,
    stop: Option<&AtomicBool>,
) -> Option<Report> {
    let is_stopped = || stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
    let mut checker = Checker::new(bytes, options);
    let scan = |piece: &granule_format::check::Piece<'_>| (!is_stopped()).then(|| piece.scan());
    let found: Vec<_> = checker.pieces().par_iter().map(scan).collect::<Option<_>>()?;
    found.into_iter().for_each(|findings| checker.add(findings));
    Some(checker.finish())
}

/// The other files of the split set in the same folder, each opened if it can be.
fn siblings(path: &Path, name: &str) -> Vec<(String, Option<Model>)> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Ok(other) = entry.file_name().into_string()
            && is_sibling(name, &other)
        {
            let model = Model::open_alone(entry.path()).ok();
            found.push((other, model));
        }
    }
    // the order of a folder is arbitrary
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found
}

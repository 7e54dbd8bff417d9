//! What the fuzz targets do with an input.
//!
//! A [`Target`] is a function that takes any bytes and panics if something is wrong. `fuzz/` feeds
//! it with libFuzzer, `tests/replay.rs` with the corpora in `fixtures/fuzz/`; both under
//! [`bounded`], so that an input that makes the program ask for too much memory is a finding, too.
#![allow(clippy::missing_panics_doc, reason = "panicking is how findings are told")]

pub mod big;
pub mod memory;
mod naive;
mod parts;
mod seeds;
mod target;

use std::path::Path;
use std::sync::Once;

use tempfile::TempDir;

pub use seeds::seeds;

/// A way to break the program.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its file here and in `fuzz/fuzz_targets`, and of its corpus in
    /// `fixtures/fuzz`.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
    /// The longest input that is worth trying, in bytes.
    pub max_bytes: usize,
    /// Bytes of heap that each byte of input may take at the peak.
    pub factor: usize,
    /// Bytes of heap that may be taken whatever the input is.
    pub base: usize,
    /// Whether it reaches the `unsafe` code of the reader, so that a sanitizer can find something.
    pub reaches_unsafe: bool,
    /// Whether the fuzzer learns from the operands of comparisons. Where most of these are of loops
    /// over numbers, tracing them only doubles the time.
    pub traces_comparisons: bool,
    /// The dictionary of `fuzz/`, if one helps.
    pub dictionary: Option<&'static str>,
}

/// All targets.
pub const TARGETS: &[Target] = target::TARGETS;

/// The target of this name.
pub fn by_name(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Run a target on an input within its bounds of memory.
pub fn bounded(target: &Target, input: &[u8]) {
    let bound = target.factor * input.len() + target.base;
    let (usage, ()) = memory::measure(|| (target.run)(input));
    assert!(
        usage.peak <= bound && usage.largest <= bound,
        "{}: {usage:?} for {} bytes, at most {bound} are allowed",
        target.name,
        input.len(),
    );
}

/// Run the target on a few seeds, once: what it makes once is no input's doing.
pub fn warm_up(target: &Target) {
    static DONE: Once = Once::new();
    DONE.call_once(|| seeds(target).iter().take(8).for_each(|seed| (target.run)(seed)));
}

/// A folder of its own for one input, in memory if the system has a place for that.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a temporary folder can be made")
}

/// Write a file of the folder.
pub(crate) fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a temporary file can be written");
    path
}

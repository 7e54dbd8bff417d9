//! Changing the metadata and the names of tensors of a GGUF file.
//!
//! The data of the tensors stays where it is if the new header fits in front of it: the header is
//! then changed [in place](Way::InPlace). Otherwise a new file is written next to it and replaces
//! it. Either way an interruption leaves the old or the new file: `docs/program.md` says what
//! is promised and why it holds.

mod change;
mod error;
mod layout;
mod length;
mod value;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use granule_format::{Draft, Header, Metadata};
use granule_reader::{Model, file};

use crate::Error;
use crate::output::{Copying, InPlace, Part, Place, Replaced, check_space, places};
use crate::plan::{Same, new_faults};

pub use change::{Change, Target};
pub use error::EditError;
use layout::Layout;
pub use layout::ROOM;
pub use value::{Kind, Text};

/// Where the new file goes, and how.
#[derive(Clone, Debug, Default)]
pub struct EditOptions {
    /// The path of the new file; `None` to change the file itself.
    pub output: Option<PathBuf>,
    /// Whether a new file is written even if the header fits in place.
    pub copy: bool,
    /// Bytes of room for later edits, which are kept in the key [`ROOM`].
    pub reserve: Option<u64>,
}

/// How a file is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is what it is to become.
    Nothing,
    /// Parts of the header are written over.
    InPlace {
        /// The bytes of these parts.
        bytes: u64,
    },
    /// A new file is written.
    Copy {
        /// Its length.
        bytes: u64,
    },
}

/// What putting right an interrupted edit has made of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// No edit was interrupted.
    Nothing,
    /// The file before the edit.
    Old,
    /// The file after the edit, which was complete.
    New,
}

/// What an edit makes of a file: decided before anything is written.
#[derive(Debug)]
pub struct Edit {
    path: PathBuf,
    model: Model,
    /// The bytes of the present header.
    old: Vec<u8>,
    layout: Layout,
    output: Option<PathBuf>,
    way: Way,
}

/// Puts the old bytes back if an edit of this file was interrupted.
///
/// # Errors
/// If another edit is going on, the record of the edit is damaged or of another file, or the file
/// cannot be read or written.
pub fn recover(path: &Path) -> Result<Recovered, Error> {
    if !file::has_unfinished_edit(path) {
        return Ok(Recovered::Nothing);
    }
    InPlace::open(Place::of(path)?)?.recover()
}

impl Edit {
    /// Plans the changes to a file, in their order. Of a split set, only the file itself is edited.
    ///
    /// # Errors
    /// If the file cannot be read, a change cannot be applied, or the new file would break rules of
    /// the validator that the present one does not.
    pub fn plan(path: &Path, changes: &[Change], options: &EditOptions) -> Result<Self, Error> {
        let model = Model::open_alone(path)?;
        let header = model.header();
        let mut metadata = header.metadata().clone();
        let mut names: Vec<String> =
            header.tensors().iter().map(|tensor| tensor.name.clone()).collect();
        for change in changes {
            change::apply(change, &mut metadata, &mut names)?;
        }
        let same = same(header, &metadata, &names);
        metadata.remove(ROOM);
        let bare = draft(header, metadata, names.iter())?;
        // room that earlier edits have left is given up in a new file only
        let new_file = options.copy || options.output.is_some();
        let layout = Layout::new(header, bare, options.reserve, new_file)?;
        let stored = || {
            let names = header.tensors().iter().map(|tensor| &tensor.name);
            draft(header, header.metadata().clone(), names).ok()
        };
        let faults = new_faults(stored, &layout.header, layout.draft.data_bytes(), same);
        if !faults.is_empty() {
            return Err(EditError::Invalid(faults).into());
        }
        let old = first_bytes(path, header)?;
        let way = if new_file || !layout.fits {
            Way::Copy { bytes: layout.file_bytes(header) }
        } else {
            match layout.differing(&old).iter().map(|range| range.len() as u64).sum() {
                0 => Way::Nothing,
                bytes => Way::InPlace { bytes },
            }
        };
        Ok(Self { path: path.to_owned(), model, old, layout, output: options.output.clone(), way })
    }

    /// How the file is changed.
    pub const fn way(&self) -> Way {
        self.way
    }

    /// The metadata before.
    pub fn before(&self) -> &Metadata {
        self.model.metadata()
    }

    /// The metadata after.
    pub fn after(&self) -> &Metadata {
        self.layout.draft.metadata()
    }

    /// The tensors that get another name: the name before and the one after.
    pub fn renamed(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.model.header().tensors().iter().zip(self.layout.draft.tensors());
        pairs
            .map(|(before, after)| (before.name.as_str(), after.name.as_str()))
            .filter(|(before, after)| before != after)
    }

    /// Bytes of room for later edits that the file then has.
    pub fn room(&self) -> u64 {
        layout::room(self.layout.draft.metadata())
    }

    /// Whether the file is one of several of a split set.
    pub fn is_shard(&self) -> bool {
        let count = self.before().integer::<u64>(granule_format::container::SHARD_COUNT);
        count.is_ok_and(|count| count.is_some_and(|count| count > 1))
    }

    /// Changes the file, or writes the new one. `progress` is called with the number of bytes
    /// copied.
    ///
    /// # Errors
    /// If the file has changed since it was planned, another edit is going on, the output cannot be
    /// written, the disk has too little space, or the caller stops the work. The file is then as it
    /// was.
    pub fn run(
        &self,
        stop: Option<&AtomicBool>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        if let Some(output) = &self.output {
            let inputs: Vec<&Path> =
                self.model.shards().iter().filter_map(|it| it.path()).collect();
            let place = places(&[output], &inputs)?.pop().expect("a place for the path");
            return self.copy(place, stop, progress);
        }
        if self.way == Way::Nothing {
            return Ok(());
        }
        let file = InPlace::open(Place::of(&self.path)?)?;
        if file.bytes() != self.model.header().file_bytes() || !file.begins_with(&self.old)? {
            return Err(EditError::Changed { path: self.path.clone() }.into());
        }
        if let Way::Copy { .. } = self.way {
            return self.copy(file.place().clone(), stop, progress);
        }
        let replaced = self.layout.differing(&self.old).into_iter().map(|range| Replaced {
            start: range.start as u64,
            old: &self.old[range.clone()],
            new: &self.layout.header[range],
        });
        file.replace(replaced.collect())
    }

    /// Writes a new file.
    fn copy(
        &self,
        place: Place,
        stop: Option<&AtomicBool>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let old = self.model.header();
        let bytes = self.layout.file_bytes(old);
        check_space([(&place, bytes)].into_iter())?;
        let part = Part::create(place)?;
        part.write(0, &self.layout.header)?;
        part.set_bytes(bytes)?;
        let source = file::open(&self.path).map_err(Error::io(&self.path))?;
        let copying = Copying::new(stop, progress);
        for (from, to, bytes) in self.layout.ranges(old) {
            let (from, to) = ((&source, self.path.as_path(), from), (part.file(), part.path(), to));
            copying.range(from, to, bytes)?;
        }
        part.flush()?;
        part.publish()
    }
}

/// The header of a file with other metadata and names of tensors.
fn draft<'n>(
    header: &Header,
    metadata: Metadata,
    names: impl Iterator<Item = &'n String>,
) -> Result<Draft, Error> {
    let mut draft = Draft::new(metadata, header.endian())?;
    for (tensor, name) in header.tensors().iter().zip(names) {
        if tensor.ty.known().is_none() {
            let (tensor, id) = (tensor.name.clone(), tensor.ty.id());
            return Err(Error::UnknownType { tensor, id });
        }
        draft.add(name, tensor.shape, tensor.ty)?;
    }
    Ok(draft)
}

/// What the edited header has in common with the present one. Searching the strings of a vocabulary
/// takes longer than all else, and so does finding out which tensors a model needs, if the header
/// is short: both are done only if the edit can change what is found.
fn same(header: &Header, metadata: &Metadata, names: &[String]) -> Same {
    let present = header.metadata();
    let unchanged = |key: &str| present.get(key) == metadata.get(key);
    // what describes the layers is under the name of the architecture
    let describes =
        |key: &str| MODEL.contains(&key) || !OTHERS.iter().any(|it| key.starts_with(it));
    let keys = present.iter().chain(metadata).map(|entry| entry.key.as_str());
    let model = names.iter().eq(header.tensors().iter().map(|tensor| &tensor.name))
        && keys.filter(|key| describes(key)).all(unchanged);
    Same { vocabulary: VOCABULARY.iter().all(|key| unchanged(key)), model }
}

/// The general keys that decide which tensors the model needs.
const MODEL: &[&str] = &["general.architecture", "general.type"];

/// How keys begin that do not decide it, but for those.
const OTHERS: &[&str] = &["general.", "tokenizer.", "quantize.", "granule."];

/// The keys that decide what the rules about the strings of tokens and merges find.
const VOCABULARY: &[&str] =
    &["tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.merges"];

/// The bytes of a file in front of its tensor data.
fn first_bytes(path: &Path, header: &Header) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    // a file may end before the padding of its header
    let length = header.data_offset().min(header.file_bytes());
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    let file = file::open(path).map_err(Error::io(path))?;
    file.take(header.data_offset()).read_to_end(&mut bytes).map_err(Error::io(path))?;
    Ok(bytes)
}

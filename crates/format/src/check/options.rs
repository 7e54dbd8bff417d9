use super::sibling::Sibling;
use crate::{Limits, Metadata};

/// How to check a file, and what is known about it apart from its bytes.
///
/// ```
/// use granule_format::check::{FileKind, Options};
///
/// let options = Options::default().with_structure_only(true).with_name("model.gguf");
/// let report = granule_format::check(b"version https://git-lfs", &options);
/// assert_eq!(report.kind, FileKind::LfsPointer);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive] // checks may need more options
pub struct Options<'a> {
    /// Skip the contents of blocks.
    pub structure_only: bool,
    /// Skip the rules that search the strings of tokens and merges, which take longer than all
    /// others: for a vocabulary that was checked before.
    pub known_vocabulary: bool,
    /// Limits on what the file may ask for.
    pub limits: Limits,
    /// The file's name without folders.
    pub name: Option<&'a str>,
    /// The other files of the split set, if they were searched for: all files for which
    /// [`is_sibling`](super::is_sibling) holds. Missing shards are reported only if this is set.
    pub siblings: Option<&'a [Sibling<'a>]>,
    /// Names the tensors that a model needs. Missing ones are reported only if this is set.
    pub needed: Option<Needed>,
}

impl<'a> Options<'a> {
    /// Sets whether to skip the contents of blocks.
    #[must_use]
    pub const fn with_structure_only(self, structure_only: bool) -> Self {
        Self { structure_only, ..self }
    }

    /// Sets whether to skip the rules that search the strings of tokens and merges.
    #[must_use]
    pub const fn with_known_vocabulary(self, known_vocabulary: bool) -> Self {
        Self { known_vocabulary, ..self }
    }

    /// Sets the limits on what the file may ask for.
    #[must_use]
    pub const fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets the file's name, without folders.
    #[must_use]
    pub const fn with_name(self, name: &'a str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// Sets the other files of the split set: all that were found.
    #[must_use]
    pub const fn with_siblings(self, siblings: &'a [Sibling<'a>]) -> Self {
        Self { siblings: Some(siblings), ..self }
    }

    /// Sets the function that names the tensors a model needs.
    #[must_use]
    pub const fn with_needed(self, needed: Needed) -> Self {
        Self { needed: Some(needed), ..self }
    }
}

/// A function that calls back with the name of every tensor that readers need to load a model with
/// this metadata: tensors outside blocks, and tensors of the blocks with the given numbers. It
/// names none for an architecture that it does not know.
pub type Needed = fn(&Metadata, &[u64], &mut dyn FnMut(&str));

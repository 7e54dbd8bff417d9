use super::sibling::Sibling;
use crate::{Limits, Metadata};

/// How to check, and what is known about the file besides its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Leave the contents of blocks alone.
    pub structure_only: bool,
    /// Caps on what the file may ask for.
    pub limits: Limits,
    /// The file's name without folders.
    pub name: Option<&'a str>,
    /// The other files of the split set, if somebody looked for them: those for which
    /// [`is_sibling`](super::is_sibling) holds. Whether shards are missing is only said when this is given.
    pub siblings: Option<&'a [Sibling<'a>]>,
    /// Tells which tensors a model cannot do without. Nothing of the kind is said without it.
    pub needed: Option<Needed>,
}

/// Calls back with the name of each tensor that readers need to load a model with this metadata, of
/// those outside of blocks and of those in the blocks with these numbers. Of an architecture that it
/// does not know it names none.
pub type Needed = fn(&Metadata, &[u64], &mut dyn FnMut(&str));

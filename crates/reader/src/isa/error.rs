use super::NAMES;

/// Why an instruction set cannot be used.
// there may be other reasons
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IsaError {
    /// No instruction set has this name.
    #[error(
        "{name:?} is not an instruction set (these are {}); this CPU has {}",
        NAMES.join(", "),
        available.join(", ")
    )]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names of those that the CPU has.
        available: Vec<&'static str>,
    },
    /// This CPU does not have the instruction set.
    #[error("this CPU does not have the instruction set {name}; it has {}", available.join(", "))]
    Absent {
        /// Its name.
        name: &'static str,
        /// The names of those that the CPU has.
        available: Vec<&'static str>,
    },
}

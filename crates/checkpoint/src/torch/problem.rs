/// Why a file of PyTorch cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TorchProblem {
    /// PyTorch before version 1.6 saved the file.
    #[error(
        "PyTorch saved this file before version 1.6, as a stream of pickles (magic number \
         0x1950a86a20f9469cfc6c), which is not supported: load it with `torch.load` and save it \
         again"
    )]
    OldTorch,
    /// The file is not a zip archive.
    #[error("not a zip archive, so PyTorch did not save it: it begins with \"{start}\"")]
    NoZip {
        /// The first bytes.
        start: String,
    },
    /// The directory of the archive does not parse.
    #[error("the zip archive is truncated or damaged: {0}")]
    Zip(String),
    /// An entry of the archive differs from those that PyTorch writes.
    #[error("entry {entry:?} of the zip archive: {what}")]
    ZipEntry {
        /// Its name.
        entry: String,
        /// The problem with it.
        what: &'static str,
    },
    /// The archive has no `data.pkl`.
    #[error("the zip archive has no entry \"<folder>/data.pkl\": PyTorch did not save it")]
    NoPickle,
    /// The pickle has an unsupported opcode.
    #[error(
        "the pickle's opcode {name} at byte {offset} of data.pkl is not among those that PyTorch \
         writes"
    )]
    PickleOpcode {
        /// Offset of the opcode in bytes.
        offset: usize,
        /// Its name, or the byte if it has none.
        name: String,
    },
    /// The pickle refers to a name that is unrelated to tensors.
    #[error(
        "the pickle refers to {name} at byte {offset} of data.pkl, which is not among the names \
         that checkpoints need; nothing was run. If you trust the file, load it and save its \
         tensors as safetensors"
    )]
    PickleGlobal {
        /// Offset of the reference in bytes.
        offset: usize,
        /// Module and name.
        name: String,
    },
    /// The pickle is malformed.
    #[error(
        "the pickle is damaged or PyTorch did not write it: {what} (byte {offset} of data.pkl)"
    )]
    Pickle {
        /// Offset of the opcode in bytes.
        offset: usize,
        /// The problem with it.
        what: String,
    },
    /// The pickle is not a dictionary from names to tensors.
    #[error(
        "{} {found} but expected a tensor for each name: save only the model's `state_dict()`",
        .key.as_ref().map_or_else(|| "the pickle is".to_owned(), |key| format!("under {key} is"))
    )]
    NotTensors {
        /// The key, if the pickle is a dictionary.
        key: Option<String>,
        /// The value that was found.
        found: String,
    },
    /// The archive lacks the data of a tensor.
    #[error("its data is in {record:?}, which the zip archive lacks")]
    NoRecord {
        /// The entry.
        record: String,
    },
    /// The length of an entry differs from the pickle's.
    #[error("{record:?} has {found} bytes but the pickle says {need}")]
    RecordLength {
        /// The entry.
        record: String,
        /// Its length in bytes.
        found: u64,
        /// The length that the pickle says, in bytes.
        need: u64,
    },
    /// A tensor extends past the end of its entry.
    #[error(
        "it begins at number {first} and has the lengths and strides {dimensions:?}: it extends \
         past the end of {record:?}, which has {numbers} numbers"
    )]
    BeyondRecord {
        /// The entry.
        record: String,
        /// Length of the entry in numbers.
        numbers: u64,
        /// Index of the tensor's first number.
        first: u64,
        /// Length and stride of each dimension.
        dimensions: Vec<(u64, u64)>,
    },
    /// A tensor repeats the same stored numbers.
    #[error("its {values} values repeat {numbers} stored numbers: save it with `.contiguous()`")]
    Repeats {
        /// Values of the tensor.
        values: u64,
        /// Numbers stored in the file.
        numbers: u64,
    },
}

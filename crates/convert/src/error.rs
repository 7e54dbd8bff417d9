use std::io;
use std::path::{Path, PathBuf};

use granule_checkpoint::range;
use granule_encode::{EncodeError, ImportanceFileError};
use granule_format::{BlockType, Defect};
use granule_reader::file::SpecialFile;

use crate::edit::EditError;
use crate::plan::PlanError;
use crate::recipe::RecipeError;
use crate::run::Part;
use crate::split::SplitError;
use crate::verify::Cause;

/// The reason why something cannot be converted.
///
/// Messages do not repeat the cause, which is the [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system reported an error for a file.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A GGUF file cannot be read.
    #[error(transparent)]
    Read(#[from] granule_reader::Error),
    /// An output has no path.
    #[error("the output path is empty: give a file name")]
    NoPath,
    /// An output would be standard output.
    #[error(
        "-: cannot write to standard output, because tensors are written at their own offsets; \
         give a file name (./- for a file named -)"
    )]
    StandardOutput,
    /// The folder for an output does not exist.
    #[error("{}: the folder {} does not exist; create it first", path.display(), folder.display())]
    NoFolder {
        /// The output.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// The folder of an output is not a folder.
    #[error("{}: {} is {}", path.display(), folder.display(), no_folder(*kind))]
    NotAFolder {
        /// The output, or the folder for outputs.
        path: PathBuf,
        /// The path used as its folder.
        folder: PathBuf,
        /// The kind of file at that path: `None` for a file, `Link` for a symbolic link that leads
        /// nowhere.
        kind: Option<SpecialFile>,
    },
    /// The folder of an output cannot be written to.
    #[error(
        "{}: cannot write to the folder {}; give another output with -o",
        path.display(), folder.display()
    )]
    NotWritable {
        /// The output.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// An output would replace a folder, a device, a FIFO or a socket.
    #[error("{}: {}", path.display(), special(link.as_deref(), *kind))]
    OutputIsSpecial {
        /// The output.
        path: PathBuf,
        /// The target, if the output is a symbolic link.
        link: Option<PathBuf>,
        /// The kind of file that exists there.
        kind: SpecialFile,
    },
    /// The symbolic links at the path of an output form a loop.
    #[error("{}: the symbolic links form a loop", path.display())]
    LinkLoop {
        /// The output.
        path: PathBuf,
    },
    /// The path of an output leads to a different file than when the run began.
    #[error(
        "{}: this path leads to a different file than when the run began; convert again",
        path.display()
    )]
    OutputMoved {
        /// The output.
        path: PathBuf,
    },
    /// An output would replace one of its inputs.
    #[error("{}: the output is also an input; give another name", path.display())]
    OutputIsInput {
        /// The output.
        path: PathBuf,
    },
    /// Two outputs are the same file.
    #[error("{}: two outputs would be this file", path.display())]
    OutputTwice {
        /// The output.
        path: PathBuf,
    },
    /// Another run is writing the output.
    #[error("{}: another run is writing this file", path.display())]
    Busy {
        /// The output.
        path: PathBuf,
    },
    /// An unrelated file has the temporary name of an output.
    #[error(
        "{}: {} has the name of a temporary file; rename or remove it",
        path.display(), part.display()
    )]
    InTheWay {
        /// The output.
        path: PathBuf,
        /// The file with its temporary name.
        part: PathBuf,
    },
    /// An interrupted run has left files that this run cannot continue.
    #[error(
        "{}: an interrupted run has left {}, which this run cannot continue, \
         because {} changed since; --restart discards it",
        path.display(), part.display(), differs.join(" and ")
    )]
    OtherRun {
        /// The output.
        path: PathBuf,
        /// Its temporary name.
        part: PathBuf,
        /// The inputs that affect the bytes and differ.
        differs: Vec<&'static str>,
    },
    /// An upload cannot be read before it is complete, and its bytes have to come in their order.
    #[error(
        "{}: a result that is uploaded can be neither verified nor calibrated; write it to a disk, \
         and copy it", path.display()
    )]
    NotOnDisk {
        /// The output.
        path: PathBuf,
    },
    /// An interrupted join has deleted parts, whose bytes are in a hidden file.
    #[error(
        "{}: an interrupted join has left {}, which may hold the only copy of some parts; \
         repeat it with --consume to continue",
        path.display(), file.display()
    )]
    JoinUnfinished {
        /// The output.
        path: PathBuf,
        /// The hidden file.
        file: PathBuf,
    },
    /// What an interrupted join has recorded does not fit the files that are there.
    #[error(
        "{}: an interrupted join has recorded that it was moving parts to {}, which is missing or \
         was changed; put the parts back in place, remove its journal, and begin again",
        path.display(), file.display()
    )]
    JoinLost {
        /// The output.
        path: PathBuf,
        /// The hidden file.
        file: PathBuf,
    },
    /// A file cannot be edited.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// Something cannot be split or joined.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The run was told to stop.
    #[error("interrupted; {}", if *kept {
        "run the same command again to continue after the completed tensors"
    } else {
        "no tensor was complete, so nothing was kept"
    })]
    Interrupted {
        /// Whether anything was kept for another run.
        kept: bool,
    },
    /// The disk does not have enough space for the outputs.
    #[error(
        "{}: {needed} bytes are needed, but {free} are free; free some space or write elsewhere",
        folder.display()
    )]
    Space {
        /// The folder of the outputs.
        folder: PathBuf,
        /// Bytes that they need.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// A file does not match its source.
    #[error(
        "{}: tensor {tensor:?}{} does not match the source; {cause}",
        path.display(), row.map_or(String::new(), |row| format!(", row {row},"))
    )]
    Differs {
        /// The file.
        path: PathBuf,
        /// The tensor; empty if it is the header.
        tensor: String,
        /// The row, counted over all dimensions except the first; `None` if the tensor is missing
        /// or has another shape or type.
        row: Option<u64>,
        /// The likely cause.
        cause: Cause,
    },
    /// A part of the result has no files.
    #[error(
        "part {part}: the result has {files} file{}, so there are no more parts than that; \
         --split-max-size makes more files",
        if *files == 1 { "" } else { "s" }
    )]
    EmptyPart {
        /// The part.
        part: Part,
        /// The number of files of the whole result.
        files: usize,
    },
    /// A part of a result whose codes are chosen while the model runs.
    #[error(
        "part {part}: with --effort 2 the codes of a tensor depend on those of all before it, so a \
         part has no run of its own; run once with --save-statistics, then pass --statistics to \
         every part"
    )]
    PartOfRun {
        /// The part.
        part: Part,
    },
    /// A text has too few chunks for its parts.
    #[error(
        "part {part}: the text has {units} times {chunks} chunks, so it has at most as many parts"
    )]
    TooManyParts {
        /// The part.
        part: Part,
        /// Groups of chunks.
        units: usize,
        /// Chunks of a group.
        chunks: usize,
    },
    /// The results of parts cannot be put together.
    #[error(transparent)]
    TextPart(#[from] crate::text_part::TextPartError),
    /// The threads cannot be started.
    #[error("cannot start the threads: {0}")]
    Threads(rayon::ThreadPoolBuildError),
    /// The model cannot be run.
    #[error("cannot run the model over the calibration text")]
    Run(#[source] granule_infer::Error),
    /// Targets are calibrated, but nothing says with what.
    #[error("effort 2 needs a text to run the model over: pass --calibrate")]
    NoCalibration,
    /// A file of moments cannot be used.
    #[error("{} cannot be used", path.display())]
    Saved {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: crate::tune::feedback::SavedError,
    },
    /// The text is too short to choose codes by.
    #[error(
        "the calibration text has {found} tokens, so every matrix sees {found} inputs; codes that \
         are chosen by fewer than {least} suit that text alone: give a longer text, or accept it \
         with --allow-missing"
    )]
    FewTokens {
        /// Tokens of the text.
        found: usize,
        /// The least number.
        least: usize,
    },
    /// Every chunk of the text was left.
    #[error("no chunk of the calibration text is left")]
    NoChunk(#[source] granule_infer::statistics::Lost),
    /// A tensor has an unknown type, so not even its size in bytes is known.
    #[error("tensor {tensor:?} has type {id}, which this version does not know")]
    UnknownType {
        /// The tensor.
        tensor: String,
        /// The number of its type.
        id: u32,
    },
    /// A value of a tensor is NaN or infinite.
    #[error(
        "tensor {tensor:?}, row {row}, column {column}: the value is {value}; \
         only finite values can be encoded"
    )]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// The row, counted over all dimensions except the first.
        row: u64,
        /// The column.
        column: u64,
        /// The value.
        value: f32,
    },
    /// A finite value of a tensor is beyond the range of a scalar type.
    #[error(
        "tensor {tensor:?}, row {row}, column {column}: {value} is beyond the range of {ty} \
         (up to {}); {}, or give this tensor another type with `--tensor-type`",
        range::largest(*ty), range::advice(*ty)
    )]
    Range {
        /// The tensor.
        tensor: String,
        /// The row, counted over all dimensions except the first.
        row: u64,
        /// The column.
        column: u64,
        /// The value.
        value: f32,
        /// The type to convert to.
        ty: BlockType,
    },
    /// Values of a tensor are beyond the range of the type.
    #[error(
        "tensor {tensor:?}, row {row}, columns from {column} on: the values do not fit {ty} \
         ({defect}); choose another type for this tensor"
    )]
    OutOfRange {
        /// The tensor.
        tensor: String,
        /// The row, counted over all dimensions except the first.
        row: u64,
        /// The first column of the block that would be invalid.
        column: u64,
        /// The type to encode to.
        ty: BlockType,
        /// The defect that the block would have.
        defect: Defect,
    },
    /// A tensor cannot be encoded.
    #[error("tensor {tensor:?} cannot be encoded")]
    Encode {
        /// The tensor.
        tensor: String,
        /// The reason why it cannot be encoded.
        source: EncodeError,
    },
    /// A copied tensor has an invalid block in the source.
    #[error("tensor {tensor:?}, row {row}, block {block} ({ty}): {defect}; the source is damaged")]
    Defect {
        /// The tensor.
        tensor: String,
        /// Its type.
        ty: BlockType,
        /// The row, counted over all dimensions except the first.
        row: u64,
        /// The block in the row.
        block: u64,
        /// Its defect.
        defect: Defect,
    },
    /// A checkpoint cannot be read, or a GGUF file cannot become one.
    #[error(transparent)]
    Checkpoint(granule_checkpoint::Error),
    /// The header of the output cannot be laid out.
    #[error(transparent)]
    Write(#[from] granule_format::WriteError),
    /// An importance matrix cannot be read.
    #[error(transparent)]
    Importance(#[from] ImportanceFileError),
    /// An option cannot be parsed.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The recipe cannot be carried out on this source.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl From<granule_checkpoint::Error> for Error {
    fn from(error: granule_checkpoint::Error) -> Self {
        match error {
            granule_checkpoint::Error::Read(error) => Self::Read(error),
            granule_checkpoint::Error::Stopped => Self::Interrupted { kept: false },
            error => Self::Checkpoint(error),
        }
    }
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

fn special(link: Option<&Path>, kind: SpecialFile) -> String {
    let leads =
        link.map_or("this is".to_owned(), |link| format!("this leads to {},", link.display()));
    let advice = match kind {
        SpecialFile::Directory => "; give the name of a file",
        _ => ", which a file cannot replace; give another name",
    };
    format!("{leads} {kind}{advice}")
}

fn no_folder(kind: Option<SpecialFile>) -> String {
    match kind {
        None => "a file, not a folder".to_owned(),
        Some(SpecialFile::Link) => "a symbolic link that leads nowhere".to_owned(),
        Some(kind) => format!("{kind}, not a folder"),
    }
}

use std::path::PathBuf;

use granule_format::BlockType;

use crate::FolderKind;
use crate::arch::Mistake;
use crate::range;

/// What is wrong with a file of a checkpoint.
///
/// A message tells the causes too, so they are not told again as the
/// [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The text is not JSON, or not of the expected form.
    #[error("not the JSON that is expected here: {0}")]
    Json(serde_json::Error),
    /// The file is too short for its own header.
    #[error(
        "the header of a safetensors file would take {need} bytes, the file has {file}: it is \
         truncated or no safetensors file"
    )]
    HeaderLength {
        /// The 8 bytes of the length and the header that they announce.
        need: u64,
        /// Length of the file in bytes.
        file: u64,
    },
    /// The header is larger than any real one.
    #[error("the header would take {length} bytes, at most {most} are read")]
    HeaderLimit {
        /// Length of the header in bytes.
        length: u64,
        /// The most that is allowed.
        most: u64,
    },
    /// The header is no JSON object.
    #[error(
        "the header of a safetensors file begins with {{, this one with \"{start}\": it is damaged or no \
         safetensors file"
    )]
    HeaderStart {
        /// The first characters.
        start: String,
    },
    /// The file is a pointer of Git LFS, not the data.
    #[error("this is a pointer of Git LFS, not the file itself: run `git lfs pull` in the folder")]
    LfsPointer,
    /// Two entries have this name.
    #[error("the name appears twice in the header")]
    Duplicate,
    /// A type of number that is not known.
    #[error("the data type {0:?} is unknown")]
    DataType(String),
    /// Experts of a layer have different types.
    #[error("its type is {found}, that of the first expert is {first}")]
    MixedTypes {
        /// The type of this tensor.
        found: &'static str,
        /// The type of the first expert's.
        first: &'static str,
    },
    /// The checkpoint is quantized in a way that is not read.
    #[error(
        "the checkpoint is quantized by {method}{}, which is not read; of quantized checkpoints \
         those of fp8, mxfp4, modelopt (FP8), compressed-tensors (FP8, integers), gptq (2, 4 or 8 \
         bits) and bitnet are. Take the model's unquantized checkpoint",
        .tensor.as_ref().map(|name| format!(" (tensor {name:?})")).unwrap_or_default()
    )]
    Quantization {
        /// How it is quantized.
        method: String,
        /// A tensor that shows it, if the error is not about this tensor.
        tensor: Option<String>,
    },
    /// How a tensor is quantized can be seen, but not what it needs to be read.
    #[error("the checkpoint is quantized by {method}, but nothing says {lacks}")]
    QuantizationUnsaid {
        /// How it is quantized.
        method: &'static str,
        /// What is missing, and where it is to be.
        lacks: &'static str,
    },
    /// The weights of an adapter stand next to those of the model.
    #[error(
        "a LoRA, or another adapter of PEFT, is not merged into the weights: load the model with \
         PEFT, call merge_and_unload(), save the result and convert that"
    )]
    Unmerged,
    /// A scale is no number to multiply with.
    #[error(
        "scale {index} is {value}: the file is damaged, or no number was written; download it again"
    )]
    Scale {
        /// Which of them, counted from 0.
        index: u64,
        /// What it is.
        value: f32,
    },
    /// Of two tensors that belong together one is missing.
    #[error("the tensor {other:?}, which belongs to it, is missing")]
    NoPartner {
        /// The other tensor.
        other: String,
    },
    /// Scales do not belong to the numbers.
    #[error("{found:?} scales do not fit numbers of shape {numbers:?}{}", blocks(block))]
    ScaleShape {
        /// The shape of the scales.
        found: Vec<u64>,
        /// The shape of the numbers.
        numbers: Vec<u64>,
        /// How many numbers share a scale by the config, if it says so.
        block: Vec<u64>,
    },
    /// Codes in words and what belongs to them have other types or shapes than they must.
    #[error("codes of {bits} bits and what belongs to them do not fit together: {tensors}")]
    Packed {
        /// Names, types and shapes.
        tensors: String,
        /// Bits of a code.
        bits: u32,
    },
    /// Codes and scales of MXFP4 do not belong together.
    #[error(
        "its shape is {codes:?}, that of the scales {other:?} is {scales:?}: expected the same and \
         16 bytes of codes for each scale (U8)"
    )]
    MxShapes {
        /// The shape of the codes.
        codes: Vec<u64>,
        /// The shape of the scales.
        scales: Vec<u64>,
        /// The tensor with the scales.
        other: String,
    },
    /// The product of the dimensions does not fit.
    #[error("the dimensions {0:?} are too large, or too many")]
    TooLarge(Vec<u64>),
    /// The bytes of a tensor are not as many as shape and type need.
    #[error("the data lies at bytes {start} to {end}; shape and type need {need} bytes")]
    DataLength {
        /// First byte, counted from the end of the header.
        start: u64,
        /// Behind the last byte.
        end: u64,
        /// Bytes by shape and type.
        need: u64,
    },
    /// Tensors overlap, or there are bytes that belong to none.
    #[error(
        "the data begins at byte {found}, expected {expected}, where the tensor before it ends"
    )]
    NotContiguous {
        /// Where the data before it ends, counted from the end of the header.
        expected: u64,
        /// Where the data begins.
        found: u64,
    },
    /// The data of all tensors is not the rest of the file.
    #[error(
        "the tensors take {expected} bytes behind the header, the file has {found}: it is truncated or damaged"
    )]
    FileLength {
        /// Bytes of all tensors.
        expected: u64,
        /// Bytes behind the header.
        found: u64,
    },
    /// The folder has no config.
    #[error("no config.json: not the folder of a checkpoint{}", hint(.kind.as_ref()))]
    NoConfig {
        /// What it is, if that is known.
        kind: Option<FolderKind>,
    },
    /// A file is a link, and there is nothing where it leads.
    #[error("this is a link to {}, which is not there: download the file again", target.display())]
    BrokenLink {
        /// Where it leads.
        target: PathBuf,
    },
    /// A file of a checkpoint was named, and the folder that holds it is none of a checkpoint.
    #[error(
        "this is {what}, and its folder has no config.json: put the model's config.json and the \
         tokenizer's files (tokenizer.json, tokenizer_config.json, ...) next to it"
    )]
    Alone {
        /// What the file is.
        what: &'static str,
    },
    /// A file with weights was named that is not one of those that are read.
    #[error(
        "the checkpoint in its folder has its weights in {first:?}, not in this file: name the \
         folder to convert that checkpoint"
    )]
    NotRead {
        /// The first of the files that are read.
        first: String,
    },
    /// The folder has no weights.
    #[error("no model*.safetensors and no pytorch_model*.bin{}", hint(.kind.as_ref()))]
    NoWeights {
        /// What it is, if that is known.
        kind: Option<FolderKind>,
    },
    /// The folder has weights of two models, or of one twice.
    #[error("two checkpoints are here, {first:?} and {second:?}: move one of them away")]
    TwoCheckpoints {
        /// A file of one.
        first: String,
        /// A file of the other.
        second: String,
    },
    /// By its name a file is one of several that are not all there.
    #[error("by its name it is one of {count} files; {shard:?} is missing: download it")]
    IncompleteSet {
        /// How many there must be.
        count: u64,
        /// The file that is missing.
        shard: String,
    },
    /// A file that PyTorch saved before its version 1.6.
    #[error(
        "PyTorch saved it before version 1.6, as a stream of pickles (magic number \
         0x1950a86a20f9469cfc6c), which is not read: load it with `torch.load` and save it again"
    )]
    OldTorch,
    /// Not a zip archive at all.
    #[error("no zip archive, and so no file of PyTorch: it begins with \"{start}\"")]
    NoZip {
        /// The first bytes.
        start: String,
    },
    /// The archive's directory does not parse.
    #[error("the zip archive is truncated or damaged: {0}")]
    Zip(String),
    /// An entry of the archive is not as PyTorch writes it.
    #[error("entry {entry:?} of the zip archive: {what}")]
    ZipEntry {
        /// Its name.
        entry: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The archive has no pickle.
    #[error("the zip archive has no entry \"<folder>/data.pkl\": PyTorch did not save it")]
    NoPickle,
    /// The pickle has an opcode that is not run.
    #[error(
        "the pickle's opcode {name} at byte {offset} of data.pkl is not among those that PyTorch writes"
    )]
    PickleOpcode {
        /// Where it is.
        offset: usize,
        /// Its name, or the byte.
        name: String,
    },
    /// The pickle refers to a name that has nothing to do with tensors.
    #[error(
        "the pickle refers to {name} at byte {offset} of data.pkl, which is not among the names that \
         checkpoints need; nothing was run. If the file is trusted, load it and save its tensors as \
         safetensors"
    )]
    PickleGlobal {
        /// Where it does.
        offset: usize,
        /// The module and the name.
        name: String,
    },
    /// The pickle makes no sense.
    #[error(
        "the pickle is damaged, or PyTorch did not write it: {what} (byte {offset} of data.pkl)"
    )]
    Pickle {
        /// Where the opcode is.
        offset: usize,
        /// What is wrong.
        what: String,
    },
    /// The pickle holds something else than tensors by their names.
    #[error(
        "{} {found}, expected a tensor for each name: save the model's `state_dict()` alone",
        .key.as_ref().map_or_else(|| "the pickle is".to_owned(), |key| format!("under {key} is"))
    )]
    NotTensors {
        /// The key, if it is a dictionary at all.
        key: Option<String>,
        /// What is there.
        found: String,
    },
    /// The archive lacks the numbers of a tensor.
    #[error("its numbers are in {record:?}, which the zip archive lacks")]
    NoRecord {
        /// The entry.
        record: String,
    },
    /// An entry of the archive is not as long as the pickle says.
    #[error("{record:?} has {found} bytes, by the pickle it must have {need}")]
    RecordLength {
        /// The entry.
        record: String,
        /// Its length in bytes.
        found: u64,
        /// The length by the pickle.
        need: u64,
    },
    /// A tensor reaches beyond the numbers of its entry.
    #[error(
        "it begins at number {first} and has the lengths and strides {dimensions:?}: that is beyond the \
         {numbers} numbers of {record:?}"
    )]
    BeyondRecord {
        /// The entry.
        record: String,
        /// How many numbers it has.
        numbers: u64,
        /// The first that the tensor has.
        first: u64,
        /// Length and stride of each dimension.
        dimensions: Vec<(u64, u64)>,
    },
    /// A tensor shows the same numbers again and again.
    #[error("it shows {numbers} numbers as {values} values: save it with `.contiguous()`")]
    Repeats {
        /// Values of the tensor.
        values: u64,
        /// Numbers in the file.
        numbers: u64,
    },
    /// There is no list of tensors in the index.
    #[error("there is no \"weight_map\" that maps tensor names to file names")]
    NoWeightMap,
    /// The index names a file outside the folder.
    #[error("the file name {0:?} leads out of the folder")]
    ShardPath(String),
    /// The index names a file that is not there.
    #[error("the index names the file {shard:?}, which the folder lacks: download it")]
    MissingShard {
        /// The file.
        shard: String,
    },
    /// The index says that the tensor is in a file that does not hold it.
    #[error("by the index it is in {shard:?}, which does not hold it")]
    NotInShard {
        /// The file.
        shard: String,
    },
    /// A file has a tensor that the index does not list.
    #[error("the file holds it, {index:?} does not list it for this file")]
    NotInIndex {
        /// The index.
        index: &'static str,
    },
    /// The index lists no tensor for a file that is one of the set.
    #[error(
        "by its name this file is one of the set, but {index:?} lists nothing for it: download the index again"
    )]
    ShardNotInIndex {
        /// The index.
        index: &'static str,
    },
    /// Two files hold a tensor of this name.
    #[error("{other:?} holds a tensor of this name too")]
    TwoShards {
        /// The other file.
        other: String,
    },
    /// The config does not say which architecture it is.
    #[error("there is no \"architectures\" that names the model's class")]
    NoArchitecture,
    /// The architecture has no description.
    #[error(
        "the architecture {0:?} is not known; `granule convert --print-supported-models` lists those that \
         are, `--arch FILE` takes a description of another"
    )]
    UnknownArchitecture(String),
    /// The model is one that the description of its architecture does not describe.
    #[error(
        "the architecture is known with {0} alone; `--arch FILE` takes a description of another"
    )]
    Requirement(String),
    /// The config lacks a number.
    #[error("the key {} is missing", .0.join(" or "))]
    MissingKey(Vec<String>),
    /// The config has something else where a number is needed.
    #[error("{key:?} is {found}, expected {expected}")]
    KeyType {
        /// The key.
        key: String,
        /// What it is.
        found: String,
        /// What is expected.
        expected: &'static str,
    },
    /// No rule of the architecture says what the tensor becomes.
    #[error("the architecture {arch} has no such tensor{}", limit(*.beyond))]
    Unmapped {
        /// The architecture.
        arch: String,
        /// How many layers or experts the config says there are, if the tensor is beyond them.
        beyond: Option<(u64, &'static str)>,
    },
    /// The architecture has no such tensor, which would not matter if it were zero.
    #[error("the architecture {arch} has no such tensor, and not all its values are zero")]
    NotZero {
        /// The architecture.
        arch: String,
    },
    /// Two tensors of the checkpoint would become one.
    #[error("{other:?} becomes the same tensor of the file")]
    SameTarget {
        /// The other tensor.
        other: String,
    },
    /// The architecture needs a tensor that the checkpoint lacks.
    #[error("the architecture {arch} needs this tensor, the checkpoint lacks it")]
    MissingTensor {
        /// The architecture.
        arch: String,
    },
    /// The shape is not what the config says.
    #[error("its shape is {found:?}; by config.json ({by}) it must be {expected:?}")]
    Shape {
        /// The shape in the checkpoint, outermost dimension first.
        found: Vec<u64>,
        /// The shape that follows from the config.
        expected: Vec<u64>,
        /// Which keys decide.
        by: String,
    },
    /// The dimensions cannot be taken apart as the architecture wants it.
    #[error("its shape {shape:?} does not fit the pattern {pattern:?}")]
    Rearrange {
        /// The pattern.
        pattern: String,
        /// The shape in the checkpoint, outermost dimension first.
        shape: Vec<u64>,
    },
    /// The parts of a tensor differ in more than their first dimension.
    #[error(
        "its dimensions in the file, {found:?}, do not go with {first:?}, those of the first part"
    )]
    Parts {
        /// Dimensions of this part, outermost first.
        found: Vec<u64>,
        /// Dimensions of the first one.
        first: Vec<u64>,
    },
    /// A tensor that follows from the config has another number of values.
    #[error("{name} would have {found} values, expected {expected}")]
    ComputedLength {
        /// The tensor of the file.
        name: String,
        /// Its values.
        found: u64,
        /// How many there must be.
        expected: u64,
    },
    /// The architecture would tear blocks.
    #[error("blocks of {0} cannot be rearranged as the architecture wants it")]
    Blocks(&'static str),
    /// The description of an architecture is wrong.
    #[error("the description of the architecture: {}", mistakes(.0))]
    Description(Vec<Mistake>),
    /// A finite value is beyond the range of the type that it is to become.
    #[error(
        "{value}, in row {row} and column {column} of the file's tensor, is beyond the range of {ty} \
         (up to {}); {}",
        range::largest(*ty), range::advice(*ty)
    )]
    Range {
        /// The row in the file, over all dimensions but the first.
        row: u64,
        /// The column.
        column: u64,
        /// The value.
        value: f32,
        /// The type.
        ty: BlockType,
    },
    /// Rows cannot be encoded.
    #[error("from row {row} on: {error}")]
    Encode {
        /// The first of the rows.
        row: u64,
        /// What is wrong.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Tensors are to be quantized, and the options have no encoder.
    #[error("no encoder was given for {0}")]
    NoEncoder(BlockType),
    /// The folder has none of the tokenizer files that are read.
    #[error("no tokenizer: one of these is needed: {0}")]
    NoTokenizer(String),
    /// The tokenizer has another structure.
    #[error("the tokenizer cannot be converted: {0}")]
    Tokenizer(String),
    /// The bytes of `tokenizer.model` do not parse.
    #[error("not a SentencePiece model: damaged at byte {0}")]
    SentencePiece(usize),
    /// Two tokens have the same text.
    #[error(
        "the tokens {first} and {second} have the same text, {text:?}: llama.cpp does not load such a \
         file. Give one of them another text or id in the tokenizer's files (added tokens are in \
         tokenizer_config.json, added_tokens.json and tokenizer.json)"
    )]
    TokenTwice {
        /// The text.
        text: String,
        /// The smaller id.
        first: usize,
        /// The larger id.
        second: usize,
    },
    /// A token has an id beyond the vocabulary.
    #[error(
        "token {token:?} has the id {id}, but config.json says that the vocabulary has {vocabulary} \
         tokens"
    )]
    TokenId {
        /// The token.
        token: String,
        /// Its id.
        id: u64,
        /// Size of the vocabulary.
        vocabulary: u64,
    },
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

/// Returns the first mistake, and how to see the others.
fn mistakes(all: &[Mistake]) -> String {
    match all {
        [] => "no mistakes".to_owned(),
        [only] => only.to_string(),
        [first, more @ ..] => {
            format!("{first}; and {} more, which `granule arch check FILE` lists", more.len())
        }
    }
}

fn blocks(block: &[u64]) -> String {
    if block.is_empty() { String::new() } else { format!(", {block:?} numbers a scale") }
}

fn limit(beyond: Option<(u64, &str)>) -> String {
    let limit = |(n, what): (u64, &str)| match n {
        1 => format!("; by config.json there is 1 {}", what.trim_end_matches('s')),
        n => format!("; by config.json there are {n} {what}"),
    };
    beyond.map(limit).unwrap_or_default()
}

fn hint(kind: Option<&FolderKind>) -> String {
    kind.map(|kind| format!("; {kind}")).unwrap_or_default()
}

use std::path::PathBuf;

use granule_format::BlockType;

use crate::AdapterProblem;
use crate::DraftProblem;
use crate::FolderKind;
use crate::ProjectorProblem;
use crate::QuantizedProblem;
use crate::SafetensorsProblem;
use crate::TorchProblem;
use crate::VocabularyProblem;
use crate::arch::Mistake;
use crate::range;

/// A problem in a file of a checkpoint.
///
/// The messages include the causes, so [`source`](std::error::Error::source) does not repeat them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file is not JSON, or its structure is not the expected one.
    #[error("not valid JSON, or not of the expected structure: {0}")]
    Json(serde_json::Error),
    /// The header of a safetensors file and its data do not fit.
    #[error(transparent)]
    Safetensors(#[from] SafetensorsProblem),
    /// The file is a Git LFS pointer, not the data.
    #[error("this is a Git LFS pointer, not the file itself: run `git lfs pull` in the folder")]
    LfsPointer,
    /// Two entries have the same name.
    #[error("the name appears twice in the header")]
    Duplicate,
    /// The data type is unknown.
    #[error("the data type {0:?} is unknown")]
    DataType(String),
    /// The checkpoint of a draft model and its target do not fit.
    #[error(transparent)]
    Draft(#[from] DraftProblem),
    /// The adapter is not one that can be converted.
    #[error(transparent)]
    Adapter(#[from] AdapterProblem),
    /// The experts of a layer have different types.
    #[error("its type is {found} but the first expert has {first}")]
    MixedTypes {
        /// The type of this tensor.
        found: &'static str,
        /// The type of the first expert.
        first: &'static str,
    },
    /// The checkpoint uses an unsupported quantization method.
    #[error(
        "the checkpoint is quantized by {method}{}, which is not supported. Supported methods are \
         awq, bitnet, bitsandbytes, compressed-tensors, fp8, gptq, hqq, MLX, modelopt and mxfp4. \
         Convert the model's unquantized checkpoint instead",
        .tensor.as_ref().map(|name| format!(" (tensor {name:?})")).unwrap_or_default()
    )]
    Quantization {
        /// The quantization method.
        method: String,
        /// A tensor that shows the method, if the error is not already about a tensor.
        tensor: Option<String>,
    },
    /// The tensors show the quantization method, but information needed to read them is missing.
    #[error("the checkpoint is quantized by {method}, but no file says {lacks}")]
    QuantizationUnsaid {
        /// The quantization method.
        method: &'static str,
        /// The missing information, and where it belongs.
        lacks: &'static str,
    },
    /// Adapter weights are stored next to the model's weights.
    #[error(
        "a LoRA or another PEFT adapter is not merged into the weights: load the model with PEFT, \
         call merge_and_unload(), save the result and convert that"
    )]
    Unmerged,
    /// A scale is not a usable factor.
    #[error(
        "scale {index} is {value}: the file is damaged or was written wrongly; download it again"
    )]
    Scale {
        /// Index of the scale, counted from 0.
        index: u64,
        /// Its value.
        value: f32,
    },
    /// One of two tensors that belong together is missing.
    #[error("its companion tensor {other:?} is missing")]
    NoPartner {
        /// The other tensor.
        other: String,
    },
    /// The shape of the scales does not match that of the numbers.
    #[error("scales of shape {found:?} do not fit numbers of shape {numbers:?}{}", blocks(block))]
    ScaleShape {
        /// The shape of the scales.
        found: Vec<u64>,
        /// The shape of the numbers.
        numbers: Vec<u64>,
        /// Numbers that share a scale according to the config, in each dimension; empty if it does
        /// not say.
        block: Vec<u64>,
    },
    /// Packed codes and their companion tensors have types or shapes that do not match.
    #[error("the {bits}-bit codes and their companion tensors do not match: {tensors}")]
    Packed {
        /// Names, types and shapes.
        tensors: String,
        /// Bits of a code.
        bits: u32,
    },
    /// The parts of a quantized weight do not match.
    #[error(transparent)]
    Quantized(#[from] QuantizedProblem),
    /// The shapes of MXFP4 codes and scales do not match.
    #[error(
        "its shape is {codes:?} and that of the scales {other:?} is {scales:?}: expected the same \
         shape, followed by 16 bytes of codes (U8) for each scale"
    )]
    MxShapes {
        /// The shape of the codes.
        codes: Vec<u64>,
        /// The shape of the scales.
        scales: Vec<u64>,
        /// The tensor of the scales.
        other: String,
    },
    /// The product of the dimensions overflows.
    #[error("the dimensions {0:?} are too large or too many")]
    TooLarge(Vec<u64>),
    /// The folder has no `config.json`.
    #[error("no config.json: not the folder of a checkpoint{}", hint(.kind.as_ref()))]
    NoConfig {
        /// The kind of folder, if it was recognised.
        kind: Option<FolderKind>,
    },
    /// The folder has no `params.json`, as one in the layout of Mistral's own library would.
    #[error(
        "no params.json: --mistral-format is for folders in the layout of Mistral's own library"
    )]
    NoParams,
    /// Such a folder has no weights.
    #[error("no consolidated*.safetensors, which --mistral-format reads")]
    NoConsolidated,
    /// A file is a link whose target does not exist.
    #[error(
        "this is a link to {}, which does not exist: download the file again",
        target.display()
    )]
    BrokenLink {
        /// The target of the link.
        target: PathBuf,
    },
    /// The user named a single file of a checkpoint, and its folder has no config.
    #[error(
        "this is {what}, and its folder has no config.json: put the model's config.json and the \
         tokenizer's files (tokenizer.json, tokenizer_config.json, ...) next to it"
    )]
    Alone {
        /// A description of the file.
        what: &'static str,
    },
    /// The user named a file with weights that is not among the files to read.
    #[error(
        "the checkpoint in this folder has its weights in {first:?}, not in this file: name the \
         folder to convert that checkpoint"
    )]
    NotRead {
        /// The first of the files to read.
        first: String,
    },
    /// The folder has no weights.
    #[error("no model*.safetensors and no pytorch_model*.bin{}", hint(.kind.as_ref()))]
    NoWeights {
        /// The kind of folder, if it was recognised.
        kind: Option<FolderKind>,
    },
    /// The folder has weights of two models, or the same weights twice.
    #[error("the folder has two checkpoints, {first:?} and {second:?}: move one of them away")]
    TwoCheckpoints {
        /// A file of the first.
        first: String,
        /// A file of the second.
        second: String,
    },
    /// A file is part of a numbered set, and another file of the set is missing.
    #[error("its name says that it is one of {count} files, but {shard:?} is missing: download it")]
    IncompleteSet {
        /// Number of files in the set.
        count: u64,
        /// The missing file.
        shard: String,
    },
    /// A file of PyTorch cannot be read.
    #[error(transparent)]
    Torch(#[from] TorchProblem),
    /// The index has no list of tensors.
    #[error("no \"weight_map\" from tensor names to file names")]
    NoWeightMap,
    /// The index names a file outside the folder.
    #[error("the file name {0:?} leads out of the folder")]
    ShardPath(String),
    /// The index names a file that does not exist.
    #[error("the index names the file {shard:?}, which is missing from the folder: download it")]
    MissingShard {
        /// The file.
        shard: String,
    },
    /// The index assigns the tensor to a file that does not hold it.
    #[error("the index says that it is in {shard:?}, which does not hold it")]
    NotInShard {
        /// The file.
        shard: String,
    },
    /// A file holds a tensor that the index does not list for it.
    #[error("the file holds it, but {index:?} does not list it for this file")]
    NotInIndex {
        /// The index.
        index: &'static str,
    },
    /// The index lists no tensor for a file of the set.
    #[error(
        "its name says that this file is one of the set, but {index:?} lists no tensor for it: \
         download the index again"
    )]
    ShardNotInIndex {
        /// The index.
        index: &'static str,
    },
    /// Two files hold a tensor of the same name.
    #[error("{other:?} also holds a tensor of this name")]
    TwoShards {
        /// The other file.
        other: String,
    },
    /// The config does not name the architecture.
    #[error(
        "no \"architectures\" with the model's class{}",
        .relative.as_ref().map_or(
            ": add it, or name a description with `--arch NAME` (`granule convert \
             --print-supported-models` lists classes and names)".to_owned(),
            |relative| format!(", but {relative}"),
        )
    )]
    NoArchitecture {
        /// The known architecture that the tensors resemble, and how it differs.
        relative: Option<String>,
    },
    /// No description has the checkpoint's class.
    #[error(
        "the class {class:?} is unknown{}; `granule convert --print-supported-models` lists those \
         that are known, `--arch FILE` adds a description of another",
        .relative.as_ref().map(|relative| format!(", but {relative}")).unwrap_or_default()
    )]
    UnknownArchitecture {
        /// The class.
        class: String,
        /// The known architecture that it resembles, and how it differs.
        relative: Option<String>,
    },
    /// There is no built-in description of this name.
    #[error("there is neither a file nor a built-in description {name:?}{suggestion}")]
    NoDescription {
        /// The name.
        name: String,
        /// The names that may have been meant, as the end of the message.
        suggestion: String,
    },
    /// There is no projector that could be made.
    #[error(transparent)]
    Projector(#[from] ProjectorProblem),
    /// The description of the architecture does not cover this model.
    #[error(
        "the architecture is supported only with {0}; `--arch FILE` adds a description of another"
    )]
    Requirement(String),
    /// The config lacks a key.
    #[error("the key {} is missing", .0.join(" or "))]
    MissingKey(Vec<String>),
    /// Values of the config do not belong together.
    #[error("no value follows from {values}: {expression}")]
    Contradiction {
        /// The keys with their values.
        values: String,
        /// The expression of the description.
        expression: String,
    },
    /// A value of the config has the wrong type.
    #[error("{key:?} is {found} but expected {expected}")]
    KeyType {
        /// The key.
        key: String,
        /// The value that was found.
        found: String,
        /// A description of the expected value.
        expected: &'static str,
    },
    /// No rule of the architecture covers the tensor.
    #[error("the architecture {arch} has no such tensor{}", limit(*.beyond))]
    Unmapped {
        /// The architecture.
        arch: String,
        /// Number of layers or experts in the config, if the tensor is past them.
        beyond: Option<(u64, &'static str)>,
    },
    /// The architecture has no such tensor, and some of its values are not zero.
    #[error("the architecture {arch} has no such tensor, and not all its values are zero")]
    NotZero {
        /// The architecture.
        arch: String,
    },
    /// Two tensors of the checkpoint map to the same tensor of the file.
    #[error("{other:?} maps to the same tensor of the file")]
    SameTarget {
        /// The other tensor.
        other: String,
    },
    /// The class has no layers that predict further tokens, or none that are converted.
    #[error("{class} has no layers that predict further tokens: leave out --mtp and --no-mtp")]
    NoFurtherTokens {
        /// The class.
        class: String,
    },
    /// Only layers that predict further tokens are wanted, and there are none.
    #[error("--mtp: the checkpoint has no layers that predict further tokens")]
    NoFurtherLayers,
    /// The architecture needs a tensor that the checkpoint lacks.
    #[error("the architecture {arch} needs this tensor but the checkpoint lacks it")]
    MissingTensor {
        /// The architecture.
        arch: String,
    },
    /// The shape differs from the one in the config.
    #[error("its shape is {found:?} but the config ({by}) says {expected:?}")]
    Shape {
        /// The shape in the checkpoint, outermost dimension first.
        found: Vec<u64>,
        /// The shape that follows from the config.
        expected: Vec<u64>,
        /// The keys that determine the shape.
        by: String,
    },
    /// The pattern of the architecture does not fit the dimensions.
    #[error("its shape {shape:?} does not fit the pattern {pattern:?}")]
    Rearrange {
        /// The pattern.
        pattern: String,
        /// The shape in the checkpoint, outermost dimension first.
        shape: Vec<u64>,
    },
    /// The parts of a tensor differ in other dimensions than the first.
    #[error(
        "its dimensions in the file, {found:?}, do not match those of the first part, {first:?}"
    )]
    Parts {
        /// Dimensions of this part, outermost first.
        found: Vec<u64>,
        /// Dimensions of the first part.
        first: Vec<u64>,
    },
    /// A tensor computed from the config has the wrong number of values.
    #[error("{name} would have {found} values but expected {expected}")]
    ComputedLength {
        /// The tensor of the file.
        name: String,
        /// Its number of values.
        found: u64,
        /// The expected number of values.
        expected: u64,
    },
    /// The architecture would split blocks.
    #[error("the architecture rearranges values inside the blocks of {0}, which cannot be done")]
    Blocks(&'static str),
    /// The description of an architecture has mistakes.
    #[error("mistake in the description of the architecture: {}", mistakes(.0))]
    Description(Vec<Mistake>),
    /// A finite value exceeds the range of its target type.
    #[error(
        "{value}, in row {row} and column {column} of the file's tensor, is beyond the range of \
         {ty} (up to {}); {}",
        range::largest(*ty), range::advice(*ty)
    )]
    Range {
        /// The row in the file, counted over all dimensions but the first.
        row: u64,
        /// The column.
        column: u64,
        /// The value.
        value: f32,
        /// The target type.
        ty: BlockType,
    },
    /// A value of a tensor that becomes a number is infinite or NaN.
    #[error("value {index} is {value}, which the metadata cannot hold")]
    NotFinite {
        /// The index of the value.
        index: u64,
        /// The value.
        value: f32,
    },
    /// A table of integers has other numbers.
    #[error("the numbers are {0} but expected integers of 32 or 64 bits")]
    NotIntegers(&'static str),
    /// Encoding rows failed.
    #[error("starting at row {row}: {error}")]
    Encode {
        /// The first row.
        row: u64,
        /// The encoder's error.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Tensors need quantization, but the options have no encoder.
    #[error("no encoder given for {0}")]
    NoEncoder(BlockType),
    /// The tokens of a file do not go together.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyProblem),
    /// The folder has no supported tokenizer file.
    #[error("no tokenizer found: add one of {0}")]
    NoTokenizer(String),
    /// The tokenizer's structure is not supported.
    #[error("the tokenizer cannot be converted: {0}")]
    Tokenizer(String),
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

/// Returns the first mistake and a hint how to see the others.
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
    if block.is_empty() { String::new() } else { format!(", with one scale for {block:?} numbers") }
}

fn limit(beyond: Option<(u64, &str)>) -> String {
    let limit = |(n, what): (u64, &str)| match n {
        1 => format!("; config.json says that there is 1 {}", what.trim_end_matches('s')),
        n => format!("; config.json says that there are {n} {what}"),
    };
    beyond.map(limit).unwrap_or_default()
}

fn hint(kind: Option<&FolderKind>) -> String {
    kind.map(|kind| format!("; {kind}")).unwrap_or_default()
}

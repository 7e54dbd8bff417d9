//! The command line of `convert`, and what it means.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use granule_checkpoint::{Adapter, OutType};
use granule_convert::Recipe;
use granule_convert::recipe::{
    MetadataOverride, Split, parse_layers, parse_size, parse_tensor_type,
};
use granule_encode::Effort;
use granule_format::nearest::{did_you_mean, nearest};
use granule_format::{BlockType, FileType};

use super::calibrate::CalibrateArgs;
use super::parts::Parts;
use super::size::SizeArgs;
use super::tensor_types::TensorTypes;
use crate::source::Place;
use crate::threads;

/// The default source, for runs that need none.
pub(super) const NO_SOURCE: &str = ".";

/// Convert a checkpoint or a GGUF file to a (quantized) GGUF file
///
/// A checkpoint is a folder as Hugging Face's libraries save it. Without a type it is converted as
/// convert_hf_to_gguf.py does it: to its own 16-bit type. Of a split set of GGUF files, name any.
/// Options have the names that llama-quantize and convert_hf_to_gguf.py give them, and the order of
/// llama-quantize is understood: `IN [OUT] TYPE [THREADS]`.
#[derive(Debug, clap::Args)]
#[command(after_help = file_types())]
#[command(override_usage = "granule convert [OPTIONS] SOURCE [OUTPUT] [TYPE] [THREADS]")]
pub(crate) struct Args {
    /// The folder of a checkpoint, or a GGUF file; a path or a URL
    #[arg(required = false, required_unless_present = "print_supported_models")]
    #[arg(default_value_if("print_supported_models", "true", Some(NO_SOURCE)))]
    pub(crate) source: Place,
    /// In the order of llama-quantize: OUTPUT, TYPE, THREADS
    #[arg(value_name = "[OUTPUT] TYPE [THREADS]", num_args = 0..=3, hide = true)]
    pub(super) rest: Vec<OsString>,
    /// Write to this file or folder (e.g. model-{ftype}.gguf)
    ///
    /// The default is a name made from the model's and the type, next to the source, or in the
    /// current folder if the source is in the cache of the Hugging Face hub. {ftype} in the name of
    /// a file stands for the type in lower case, {FTYPE} for upper case (e.g. model-{FTYPE}.gguf);
    /// write {{ and }} for braces.
    #[arg(short, long, visible_alias = "outfile", value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Quantize to this file type (e.g. Q4_K_M); repeat it for several results
    ///
    /// The source is read once for all of them.
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = file_type)]
    pub(super) file_types: Vec<FileType>,
    /// Convert a checkpoint to this type first (e.g. f16) [default: auto]
    ///
    /// One of auto, exact, f32, f16, bf16, q8_0, tq1_0, tq2_0; auto is the checkpoint's own 16-bit
    /// type. exact gives each tensor the smallest type that holds its values exactly: a checkpoint
    /// that is quantized, or was trained to be, keeps its bits. Without -t this is the type of the
    /// file, as with convert_hf_to_gguf.py; with -t the tensors have it before they are quantized.
    #[arg(long, value_name = "TYPE", value_parser = out_type)]
    pub(super) outtype: Option<OutType>,
    /// Work with COUNT threads [default, and 0: one for each core]
    #[arg(short = 'j', long, value_name = "COUNT", value_parser = threads::parse)]
    pub(super) threads: Option<usize>,

    /// Weight the error of each column by this importance matrix (.gguf or .dat)
    #[arg(long, value_name = "FILE", help_heading = "Quantization")]
    pub(crate) imatrix: Option<PathBuf>,
    /// Use the importance matrix only for tensors whose name contains TEXT
    #[arg(long, value_name = "TEXT", conflicts_with = "exclude_weights")]
    #[arg(help_heading = "Quantization")]
    pub(super) include_weights: Vec<String>,
    /// Do not use the importance matrix for tensors whose name contains TEXT
    #[arg(long, value_name = "TEXT", help_heading = "Quantization")]
    pub(super) exclude_weights: Vec<String>,
    /// Search longer for scales and codes (1), or run the model to choose them (2)
    ///
    /// 1 gives better files of the same size and types. 2 gives better ones still: the model runs
    /// over the texts of --calibrate, and the codes of each matrix make up for each other's errors
    /// in the products with what it computes.
    #[arg(long, value_name = "NUMBER", value_parser = effort, default_value = "0")]
    #[arg(hide_default_value = true, help_heading = "Quantization")]
    pub(super) effort: Effort,
    #[command(flatten)]
    pub(super) calibrate: CalibrateArgs,
    /// Give every tensor that can be quantized the same type
    #[arg(long, help_heading = "Quantization")]
    pub(super) pure: bool,
    /// Keep the type of output.weight
    #[arg(long, help_heading = "Quantization")]
    pub(super) leave_output_tensor: bool,
    /// Set the type of output.weight, or of the token embedding that serves as output
    #[arg(long, value_name = "TYPE", value_parser = parse_tensor_type)]
    #[arg(help_heading = "Quantization")]
    pub(super) output_tensor_type: Option<BlockType>,
    /// Set the type of the token embedding
    #[arg(long, value_name = "TYPE", value_parser = parse_tensor_type)]
    #[arg(help_heading = "Quantization")]
    pub(super) token_embedding_type: Option<BlockType>,
    #[command(flatten)]
    pub(super) tensor_types: TensorTypes,
    #[command(flatten)]
    pub(super) size: SizeArgs,
    /// Quantize tensors that are quantized already (the losses add up)
    #[arg(long, help_heading = "Quantization")]
    pub(super) allow_requantize: bool,
    /// Fail where rows are not whole blocks of the type; else another type is chosen
    #[arg(long, help_heading = "Quantization")]
    pub(super) no_fallback: bool,
    /// Continue where an option matches nothing, or the matrix lacks a tensor
    #[arg(long, help_heading = "Quantization")]
    pub(super) allow_missing: bool,

    /// Accepted from llama-quantize: memory is bounded without it
    #[arg(long, value_name = "MIB", hide = true)]
    pub(super) max_buffer_size: Option<u64>,
    /// Accepted from convert_hf_to_gguf.py, like the next two
    #[arg(long, hide = true)]
    pub(super) use_temp_file: bool,
    #[arg(long, hide = true)]
    pub(super) no_lazy: bool,
    #[arg(long, hide = true)]
    pub(super) verbose: bool,

    /// Drop these layers (e.g. 1,3,4) and renumber the rest
    #[arg(long, value_name = "LAYERS", value_parser = parse_layers, help_heading = "Model")]
    pub(super) prune_layers: Option<BTreeSet<u64>>,
    /// Set metadata (e.g. general.name=str:Tiny); TYPE is int, float, bool or str
    #[arg(long, value_name = "KEY=TYPE:VALUE", help_heading = "Model")]
    pub(super) override_kv: Vec<MetadataOverride>,
    /// Write as many files as the source has
    #[arg(long, help_heading = "Model")]
    pub(super) keep_split: bool,
    /// Write several files, each with at most SIZE bytes of tensors (e.g. 5G)
    ///
    /// K, M and G are powers of 1000.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    #[arg(help_heading = "Model", conflicts_with = "keep_split")]
    pub(super) split_max_size: Option<NonZeroU64>,
    /// Write several files, each with at most COUNT tensors
    #[arg(long, value_name = "COUNT", value_parser = count)]
    #[arg(help_heading = "Model", conflicts_with = "keep_split")]
    pub(super) split_max_tensors: Option<NonZeroU64>,
    /// Write the metadata to a first file without tensors
    #[arg(long, help_heading = "Model", conflicts_with = "keep_split")]
    pub(super) no_tensor_first_split: bool,

    /// Write only a part of the files: the first of 16 is 1/16, `list` shows what there is
    ///
    /// Each part can be written by a machine of its own, in any order: the files are those of a run
    /// that writes all. There are as many parts as files, or fewer.
    #[arg(long, value_name = "NUMBER/COUNT|list", conflicts_with = "dry_run")]
    #[arg(help_heading = "Model")]
    pub(super) part: Option<Parts>,
    /// Write the result even where it breaks rules of `check`, and llama.cpp may not load it
    #[arg(long, help_heading = "Model")]
    pub(super) allow_invalid: bool,
    /// Write numbers with their most significant byte first, for big-endian machines
    #[arg(long, help_heading = "Model")]
    pub(crate) bigendian: bool,

    /// Set the model's name
    #[arg(long, value_name = "NAME", help_heading = "Checkpoint")]
    pub(crate) model_name: Option<String>,
    /// Replace metadata of the checkpoint (general.*) by those of a JSON file
    #[arg(long, value_name = "FILE", help_heading = "Checkpoint")]
    pub(crate) metadata: Option<PathBuf>,
    /// Try this description of an architecture first (format: spec/architectures.md), or use the
    /// built-in description of this name, whatever the class
    #[arg(long, value_name = "FILE|NAME", help_heading = "Checkpoint")]
    pub(crate) arch: Option<PathBuf>,
    /// Set the name of the pre-tokenizer where it is not recognised (e.g. llama-bpe)
    #[arg(long, value_name = "NAME", help_heading = "Checkpoint")]
    pub(crate) pre: Option<String>,
    /// Convert an adapter (LoRA) for the base model in this folder
    #[arg(long, value_name = "DIR", help_heading = "Checkpoint")]
    pub(crate) base: Option<PathBuf>,
    /// Merge an adapter (LoRA) into the model's weights (e.g. ./adapter=0.5); repeat it for several
    ///
    /// SCALE is what the adapter's changes are multiplied by; without it they are as they were
    /// trained. Several adapters are merged one after the other.
    #[arg(long, value_name = "DIR[=SCALE]", value_parser = adapter, conflicts_with = "base")]
    #[arg(help_heading = "Checkpoint")]
    pub(crate) lora: Vec<Adapter>,
    /// Read params.json and consolidated*.safetensors, as Mistral's own library has them
    #[arg(long, help_heading = "Checkpoint")]
    pub(crate) mistral_format: bool,
    /// With --mistral-format: use no chat template but the model's own
    #[arg(long, help_heading = "Checkpoint")]
    pub(crate) disable_mistral_community_chat_template: bool,
    /// Convert only the draft model inside the checkpoint (DeepSeek 4)
    #[arg(long, help_heading = "Checkpoint")]
    pub(crate) dspark: bool,
    /// Take tokenizer and sizes for a draft model from the folder of the model that it is for
    #[arg(long, value_name = "DIR", help_heading = "Checkpoint")]
    pub(crate) target_model_dir: Option<PathBuf>,
    /// Join queries, keys and values of each layer to one tensor
    #[arg(long, help_heading = "Checkpoint")]
    pub(crate) fuse_qkv: bool,
    /// Join the gate and up matrices of each expert
    #[arg(long, help_heading = "Checkpoint")]
    pub(crate) fuse_gate_up_exps: bool,
    /// Make Q8_0 of weights that the checkpoint has in FP8, whatever the type of the others
    #[arg(long, help_heading = "Checkpoint")]
    pub(crate) fp8_as_q8: bool,
    /// Convert only the layers that predict further tokens (MTP), as a model for drafts
    #[arg(long, help_heading = "Checkpoint", conflicts_with = "no_mtp")]
    pub(crate) mtp: bool,
    /// Leave out the layers that predict further tokens (MTP, NextN)
    ///
    /// The option is also called --no-nextn.
    #[arg(long, alias = "no-nextn", help_heading = "Checkpoint")]
    pub(crate) no_mtp: bool,
    /// Include the dense layers that sentence-transformers applies after the model
    #[arg(long, help_heading = "Checkpoint")]
    pub(crate) sentence_transformers_dense_modules: bool,
    /// List the classes of models that can be converted, and exit
    #[arg(long, help_heading = "Checkpoint")]
    pub(crate) print_supported_models: bool,
    /// Convert the part that turns images or sound into vectors for the model of text
    ///
    /// The result is a second file, which llama.cpp loads together with that of the model of text.
    #[arg(long, conflicts_with_all = ["vocab_only", "pre", "fuse_qkv", "fuse_gate_up_exps"])]
    #[arg(help_heading = "Checkpoint")]
    pub(crate) mmproj: bool,
    /// Convert metadata and tokenizer only, without tensors
    #[arg(long, conflicts_with = "file_types", help_heading = "Checkpoint")]
    pub(crate) vocab_only: bool,

    /// Show what would become of every tensor, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Continue an interrupted run of the same command: this is the default
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) resume: bool,
    /// Discard what an interrupted run has left, and begin anew
    #[arg(long, conflicts_with_all = ["dry_run", "resume"])]
    pub(crate) restart: bool,
    /// Compare rows of every tensor with the source before the files get their names
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) verify: bool,
    /// Write a page about the result: types, errors, choices, memory (HTML)
    #[arg(long, value_name = "PAGE", conflicts_with_all = ["dry_run", "part"])]
    pub(super) report: Option<PathBuf>,
    /// Run a plan that --dry-run --json has printed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file_types", "vocab_only"])]
    pub(crate) plan: Option<PathBuf>,
    /// Show nothing but errors (and with --json the JSON)
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print JSON: the summary, with --dry-run the plan
    #[arg(long)]
    pub(crate) json: bool,
}

impl Args {
    /// The limits at which a new file starts.
    pub(crate) const fn split(&self) -> Split {
        Split {
            max_bytes: self.split_max_size,
            max_tensors: self.split_max_tensors,
            no_tensor_first: self.no_tensor_first_split,
        }
    }

    /// Files that are read in addition to the source.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        let arch = self.arch.as_ref().filter(|path| built_in_arch(path).is_none());
        let files = [self.imatrix.as_ref(), self.plan.as_ref(), arch, self.metadata.as_ref()];
        let files = files.into_iter().flatten().chain(&self.tensor_types.files);
        files.chain(self.calibrate.files()).cloned().collect()
    }
}

/// The name of a built-in description that `--arch` gives instead of a file: a word that no file
/// has as its path.
pub(super) fn built_in_arch(path: &Path) -> Option<String> {
    let name = path.to_str()?;
    let word = !name.contains(['/', '\\']) && !name.ends_with(".toml");
    // a link that leads nowhere is a file that cannot be read
    (word && path.symlink_metadata().is_err()).then(|| name.to_owned())
}

/// The end of the help: what TYPE can be.
fn file_types() -> String {
    let names: Vec<&str> = FileType::ALL.iter().map(|file_type| file_type.name()).collect();
    format!("File types: {}", names.join(" "))
}

fn file_type(name: &str) -> Result<FileType, String> {
    name.parse().map_err(|_| {
        if ["keep", "exact"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
            return format!(
                "{name:?} is not a file type; to keep the values of a quantized checkpoint \
                 exactly, pass --outtype exact"
            );
        }
        let known = |ty: &FileType| std::iter::once(ty.name()).chain(ty.aliases().iter().copied());
        let near = match nearest(name, FileType::ALL.iter().flat_map(known)).as_slice() {
            [] => "; `granule convert --help` lists them".to_owned(),
            names => did_you_mean(names),
        };
        format!("{name:?} is not a file type{near}")
    })
}

/// Reads the folder of an adapter and its scale. A folder with an equals sign in its name is one.
fn adapter(text: &str) -> Result<Adapter, String> {
    let whole = || Adapter { folder: text.into(), scale: 1.0 };
    let Some((folder, scale)) = text.rsplit_once('=').filter(|_| !Path::new(text).exists()) else {
        return Ok(whole());
    };
    match scale.parse::<f32>() {
        Ok(scale) if scale.is_finite() => Ok(Adapter { folder: folder.into(), scale }),
        _ => Err(format!("{scale:?} is not a number; the form is DIR or DIR=SCALE")),
    }
}

fn effort(text: &str) -> Result<Effort, String> {
    text.parse().ok().and_then(Effort::from_number).ok_or_else(|| {
        format!(
            "{text:?} is not an effort: 0 gives the bytes of llama-quantize, 1 better ones, 2 the \
             best, with --calibrate"
        )
    })
}

fn count(text: &str) -> Result<NonZeroU64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number of at least 1"))
}

fn out_type(name: &str) -> Result<OutType, String> {
    OutType::from_name(name).ok_or_else(|| {
        let names: Vec<String> = OutType::names().collect();
        let hint = match nearest(name, names.iter().map(String::as_str)).as_slice() {
            // the types of -t are often meant
            _ if FileType::from_name(name).is_some() => format!("; to quantize, pass -t {name}"),
            [] => format!("; it can be {}", names.join(", ")),
            near => did_you_mean(near),
        };
        format!("{name:?} is not a type that a checkpoint is converted to{hint}")
    })
}

/// What options and positional arguments together ask for.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) output: Option<PathBuf>,
    pub(crate) file_types: Vec<FileType>,
    /// The type that a checkpoint is converted to, before it is quantized if it is.
    pub(crate) out_type: OutType,
    pub(crate) threads: Option<usize>,
}

impl Wanted {
    pub(crate) fn of(args: &Args) -> anyhow::Result<Self> {
        let mut wanted = Self {
            output: args.output.clone(),
            file_types: args.file_types.clone(),
            out_type: args.outtype.unwrap_or_default(),
            threads: args.threads,
        };
        let words = args.rest.iter().map(OsString::as_os_str);
        let converts = args.outtype.is_some() || args.vocab_only || args.source.is_dir();
        let decided = args.plan.is_some() || args.size.is_given();
        wanted.take_positions(words, decided, converts)?;
        // a result of 32 or 16 bits needs no detour through another 16-bit type
        if let (None, [only]) = (args.outtype, wanted.file_types.as_slice())
            && let Some(BlockType::F32 | BlockType::F16 | BlockType::BF16) = only.default_type()
        {
            wanted.out_type = OutType::from_name(only.name()).unwrap_or_default();
        }
        wanted.threads = threads::bounded(wanted.threads, args.quiet);
        Ok(wanted)
    }

    /// Read `[OUTPUT] [TYPE] [THREADS]`, as far as no option has given them. The name of a type is
    /// a type. A number is one of threads, unless a type is missing. The first other word is the
    /// output. `plan` tells whether a plan has the type, `converts` whether the source needs none.
    fn take_positions<'w>(
        &mut self,
        words: impl Iterator<Item = &'w OsStr>,
        plan: bool,
        converts: bool,
    ) -> anyhow::Result<()> {
        let mut words = words.peekable();
        let by_option = !self.file_types.is_empty();
        let type_of = |word: &OsStr| word.to_str()?.parse::<FileType>().ok();
        let is_number = |word: &OsStr| {
            word.to_str().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let starts_later = |word: &OsStr| match is_number(word) {
            // 15 is a type, too
            true => by_option || plan || type_of(word).is_some(),
            false => type_of(word).is_some(),
        };
        if let Some(word) = words.next_if(|word| !starts_later(word)) {
            // a misspelt type must not become the name of a file
            if words.peek().is_none() && !by_option && !plan && !is_path(word) {
                let text = word.to_string_lossy();
                file_type(&text).map_err(|problem| {
                    let or = if converts { " (as an output it needs -o)" } else { "" };
                    anyhow!("{problem}{or}")
                })?;
            }
            if let Some(output) = self.output.replace(word.into()) {
                bail!("two outputs: {} and {}", output.display(), word.to_string_lossy());
            }
        }
        let has_type = by_option || plan;
        if let Some(word) = words.next_if(|word| !has_type || !is_number(word)) {
            let text = word.to_string_lossy();
            let ty = file_type(&text).map_err(|problem| match has_type {
                true => anyhow!("one word too many: {text:?}"),
                false => anyhow!(problem),
            })?;
            match self.file_types.first() {
                Some(first) => bail!("two file types: {first} and {ty}; pass each with -t"),
                None if plan => bail!("two file types: that of the plan or size, and {ty}"),
                None => self.file_types.push(ty),
            }
        }
        if let Some(word) = words.next() {
            let threads = threads::parse(&word.to_string_lossy()).map_err(|why| anyhow!(why))?;
            if self.threads.replace(threads).is_some() {
                bail!("the number of threads is given twice");
            }
        }
        match words.next() {
            Some(word) => bail!("one word too many: {:?}", word.to_string_lossy()),
            None => Ok(()),
        }
    }

    /// A recipe for each type to quantize to.
    pub(crate) fn recipes<'a>(&'a self, args: &'a Args) -> impl Iterator<Item = Recipe> + 'a {
        self.file_types.iter().map(|file_type| recipe(*file_type, args))
    }
}

/// Whether a word can only be a path: a folder, or a name with a separator or the extension of GGUF
/// files.
fn is_path(word: &OsStr) -> bool {
    let path = Path::new(word);
    let ending = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
    ending || path.components().count() > 1 || path.is_dir()
}

/// The recipe whose file type a size decides.
pub(super) fn template(args: &Args) -> Recipe {
    recipe(FileType::Q4_K_M, args)
}

fn recipe(file_type: FileType, args: &Args) -> Recipe {
    let mut recipe = Recipe::new(file_type);
    recipe.pure = args.pure;
    recipe.leave_output_tensor = args.leave_output_tensor;
    recipe.output_tensor_type = args.output_tensor_type;
    recipe.token_embedding_type = args.token_embedding_type;
    recipe.tensor_types = args.tensor_types.patterns.clone();
    recipe.prune_layers = args.prune_layers.clone().unwrap_or_default();
    recipe.keep_split = args.keep_split;
    recipe.split = args.split();
    recipe.override_kv = args.override_kv.clone();
    recipe.allow_requantize = args.allow_requantize;
    recipe.allow_missing = args.allow_missing;
    recipe.allow_invalid = args.allow_invalid;
    recipe.no_fallback = args.no_fallback;
    recipe.effort = args.effort;
    recipe.include_weights = args.include_weights.clone();
    recipe.exclude_weights = args.exclude_weights.clone();
    recipe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_is_a_folder_and_a_scale() {
        let of = |text| adapter(text).map(|it| (it.folder.display().to_string(), it.scale));
        assert_eq!(of("a/b"), Ok(("a/b".to_owned(), 1.0)));
        assert_eq!(of("a/b=0.5"), Ok(("a/b".to_owned(), 0.5)));
        assert_eq!(of("a=b=-2"), Ok(("a=b".to_owned(), -2.0)));
        for text in ["a=", "a=b", "a=NaN", "a=inf"] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}

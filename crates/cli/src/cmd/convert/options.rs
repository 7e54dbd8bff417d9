//! The command line of `convert`, and what it asks for.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;

use anyhow::{Context, bail};
use granule_convert::recipe::{
    MetadataOverride, Split, parse_layers, parse_size, parse_tensor_type,
};
use granule_convert::{OutType, Recipe};
use granule_format::{BlockType, FileType};

use super::tensor_types::TensorTypes;

/// Convert a checkpoint or a GGUF file to a (quantized) GGUF file
///
/// A checkpoint is a folder as Hugging Face libraries save it; of a split set of GGUF files any may be named. Options have
/// the names that llama-quantize and convert_hf_to_gguf.py give them, and `granule quantize IN [OUT] TYPE [THREADS]` is understood.
#[derive(Debug, clap::Args)]
#[command(after_help = file_types())]
pub(crate) struct Args {
    /// The folder of a checkpoint, or a GGUF file
    #[arg(required = false, required_unless_present = "print_supported_models")]
    #[arg(default_value_if("print_supported_models", "true", Some(".")))]
    pub(crate) source: PathBuf,
    /// As llama-quantize takes them: OUTPUT, TYPE, THREADS
    #[arg(value_name = "[OUTPUT] TYPE [THREADS]", num_args = 0..=3, hide = true)]
    rest: Vec<OsString>,
    /// The file to write, or a folder to write it to [default: a name of its own next to the source, or in the current
    /// folder if the source is in the cache of the Hugging Face hub]
    #[arg(short, long, visible_alias = "outfile", value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// The file type: what most tensors are quantized to. Given several times, the source is read once for all
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    file_types: Vec<FileType>,
    /// The type that a checkpoint is converted to, as convert_hf_to_gguf.py does it; with -t, before it is quantized
    /// [default: its own 16-bit type]
    #[arg(long, value_name = "TYPE", value_parser = out_type)]
    outtype: Option<OutType>,
    /// Threads to work with [default: one for each core]
    #[arg(short = 'j', long, value_name = "COUNT")]
    threads: Option<usize>,

    /// Importance matrix (.gguf or .dat): weights for the error of each column
    #[arg(long, value_name = "FILE", help_heading = "Quantization")]
    pub(crate) imatrix: Option<PathBuf>,
    /// Use the importance matrix only for tensors whose name contains TEXT
    #[arg(long, value_name = "TEXT", conflicts_with = "exclude_weights")]
    #[arg(help_heading = "Quantization")]
    include_weights: Vec<String>,
    /// Do not use the importance matrix for tensors whose name contains TEXT
    #[arg(long, value_name = "TEXT", help_heading = "Quantization")]
    exclude_weights: Vec<String>,
    /// No mixture: every tensor that can be quantized gets the default type
    #[arg(long, help_heading = "Quantization")]
    pure: bool,
    /// Leave output.weight as it is
    #[arg(long, help_heading = "Quantization")]
    leave_output_tensor: bool,
    /// The type of output.weight, or of the token embedding that takes its place
    #[arg(long, value_name = "TYPE", value_parser = parse_tensor_type)]
    #[arg(help_heading = "Quantization")]
    output_tensor_type: Option<BlockType>,
    /// The type of the token embedding
    #[arg(long, value_name = "TYPE", value_parser = parse_tensor_type)]
    #[arg(help_heading = "Quantization")]
    token_embedding_type: Option<BlockType>,
    #[command(flatten)]
    tensor_types: TensorTypes,
    /// Quantize tensors that are quantized already (the loss adds up)
    #[arg(long, help_heading = "Quantization")]
    allow_requantize: bool,
    /// Fail where rows are not whole blocks of the type, instead of taking another type
    #[arg(long, help_heading = "Quantization")]
    no_fallback: bool,
    /// Go on where an option matches nothing, or the importance matrix lacks a tensor
    #[arg(long, help_heading = "Quantization")]
    allow_missing: bool,

    /// As llama-quantize takes it: without effect, since memory is bounded anyway
    #[arg(long, value_name = "MIB", hide = true)]
    max_buffer_size: Option<u64>,
    /// As convert_hf_to_gguf.py takes them: without effect, for the same reason
    #[arg(long, hide = true)]
    use_temp_file: bool,
    #[arg(long, hide = true)]
    no_lazy: bool,
    #[arg(long, hide = true)]
    verbose: bool,

    /// Leave out these blocks, such as 1,3,4; the others close ranks
    #[arg(long, value_name = "BLOCKS", value_parser = parse_layers, help_heading = "Model")]
    prune_layers: Option<BTreeSet<u64>>,
    /// Set a metadata entry; TYPE is int, float, bool or str
    #[arg(long, value_name = "KEY=TYPE:VALUE", help_heading = "Model")]
    override_kv: Vec<MetadataOverride>,
    /// Write as many files as the source has
    #[arg(long, help_heading = "Model")]
    keep_split: bool,
    /// Write several files, each with at most so many bytes of tensors; K, M and G are powers of 1000
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    #[arg(help_heading = "Model", conflicts_with = "keep_split")]
    split_max_size: Option<NonZeroU64>,
    /// Write several files, each with at most so many tensors
    #[arg(long, value_name = "COUNT", help_heading = "Model", conflicts_with = "keep_split")]
    split_max_tensors: Option<NonZeroU64>,
    /// Write the metadata to a first file without tensors
    #[arg(long, help_heading = "Model", conflicts_with = "keep_split")]
    no_tensor_first_split: bool,

    /// Write numbers with their most significant byte first, for big-endian machines
    #[arg(long, help_heading = "Model")]
    pub(crate) bigendian: bool,

    /// The model's name, for a checkpoint
    #[arg(long, value_name = "NAME", help_heading = "Checkpoint")]
    pub(crate) model_name: Option<String>,
    /// A JSON file with metadata that replace those of a checkpoint
    #[arg(long, value_name = "FILE", help_heading = "Checkpoint")]
    pub(crate) metadata: Option<PathBuf>,
    /// The description of an architecture that is not built in, as the file spec/architectures.md has it
    #[arg(long, value_name = "FILE", help_heading = "Checkpoint")]
    pub(crate) arch: Option<PathBuf>,
    /// The name of the pre-tokenizer, where that of a checkpoint is not recognised
    #[arg(long, value_name = "NAME", help_heading = "Checkpoint")]
    pub(crate) pre: Option<String>,
    /// Join queries, keys and values of a layer to one tensor
    #[arg(long, help_heading = "Checkpoint")]
    pub(crate) fuse_qkv: bool,
    /// Join the two inner matrices of every expert
    #[arg(long, help_heading = "Checkpoint")]
    pub(crate) fuse_gate_up_exps: bool,
    /// List the classes of models that can be converted
    #[arg(long, help_heading = "Checkpoint")]
    pub(crate) print_supported_models: bool,
    /// Convert metadata and tokenizer of a checkpoint, no tensors
    #[arg(long, conflicts_with = "file_types", help_heading = "Checkpoint")]
    pub(crate) vocab_only: bool,

    /// Show what would become of every tensor, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Continue an interrupted run of the same command: this is the default
    #[arg(long, conflicts_with = "dry_run")]
    resume: bool,
    /// Discard what an interrupted run has left, and begin anew
    #[arg(long, conflicts_with_all = ["dry_run", "resume"])]
    pub(crate) restart: bool,
    /// Compare rows of every tensor with the source before the files get their names
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) verify: bool,
    /// Run a plan that `--dry-run --json` has printed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file_types", "outtype", "vocab_only"])]
    pub(crate) plan: Option<PathBuf>,
    /// Show nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print the summary (with --dry-run the plan) as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl Args {
    /// When a new file begins.
    pub(crate) const fn split(&self) -> Split {
        Split {
            max_bytes: self.split_max_size,
            max_tensors: self.split_max_tensors,
            no_tensor_first: self.no_tensor_first_split,
        }
    }

    /// Files that are read besides the source.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        let files = [&self.imatrix, &self.plan, &self.arch, &self.metadata];
        files.into_iter().flatten().chain(&self.tensor_types.files).cloned().collect()
    }

    /// An option that was given and says nothing about GGUF files.
    pub(crate) fn checkpoint_option(&self) -> Option<&'static str> {
        let given = [
            ("--outtype", self.outtype.is_some()),
            ("--model-name", self.model_name.is_some()),
            ("--metadata", self.metadata.is_some()),
            ("--arch", self.arch.is_some()),
            ("--pre", self.pre.is_some()),
            ("--fuse-qkv", self.fuse_qkv),
            ("--fuse-gate-up-exps", self.fuse_gate_up_exps),
            ("--vocab-only", self.vocab_only),
        ];
        given.into_iter().find_map(|(option, given)| given.then_some(option))
    }
}

/// The end of the help: what TYPE can be.
fn file_types() -> String {
    let names: Vec<&str> = FileType::ALL.iter().map(|file_type| file_type.name()).collect();
    format!("File types: {}", names.join(" "))
}

fn out_type(name: &str) -> Result<OutType, String> {
    OutType::from_name(name).ok_or_else(|| {
        format!("expected one of {}", OutType::names().collect::<Vec<_>>().join(", "))
    })
}

/// What options and positions together ask for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) output: Option<PathBuf>,
    pub(crate) file_types: Vec<FileType>,
    /// What a checkpoint is converted to, before it is quantized or at all.
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
        let converts = args.plan.is_some() || args.outtype.is_some() || args.vocab_only;
        wanted.take_positions(&args.rest, converts)?;
        // what becomes 32 or 16 bits needs no other 16 bits on the way
        if let (None, [only]) = (args.outtype, wanted.file_types.as_slice())
            && let Some(BlockType::F32 | BlockType::F16 | BlockType::BF16) = only.default_type()
        {
            wanted.out_type = OutType::from_name(only.name()).unwrap_or_default();
        }
        if wanted.file_types.is_empty() && !converts {
            bail!("to which type? Give one with -t TYPE, such as -t Q4_K_M (--help lists them)");
        }
        Ok(wanted)
    }

    /// `[OUTPUT] [TYPE [THREADS]]`: what no option has given. A word that is the name of a type is one.
    fn take_positions(&mut self, rest: &[OsString], converts: bool) -> anyhow::Result<()> {
        let mut rest = rest.iter();
        let mut next = rest.next();
        let has_type = converts || !self.file_types.is_empty();
        let type_of =
            |word: &OsString| word.to_str().and_then(|text| text.parse::<FileType>().ok());
        if let Some(word) = next
            && (has_type || type_of(word).is_none())
        {
            // one word alone can only be a type
            if !has_type && rest.len() == 0 {
                word.to_string_lossy().parse::<FileType>()?;
            }
            if let Some(output) = &self.output {
                bail!("two outputs: {} and {}", output.display(), word.to_string_lossy());
            }
            self.output = Some(word.into());
            next = rest.next();
        }
        if let Some(word) = next.filter(|_| !has_type) {
            self.file_types.push(word.to_string_lossy().parse()?);
            next = rest.next();
        }
        if let Some(word) = next {
            let threads = word.to_string_lossy();
            let threads = threads
                .parse()
                .with_context(|| format!("{threads:?} is not a number of threads"))?;
            if self.threads.replace(threads).is_some() {
                bail!("the number of threads is given twice");
            }
            next = rest.next();
        }
        match next {
            Some(word) => bail!("one word too many: {:?}", word.to_string_lossy()),
            None => Ok(()),
        }
    }

    /// What to quantize to: a recipe for each type.
    pub(crate) fn recipes<'a>(&'a self, args: &'a Args) -> impl Iterator<Item = Recipe> + 'a {
        self.file_types.iter().map(|file_type| recipe(*file_type, args))
    }
}

fn recipe(file_type: FileType, args: &Args) -> Recipe {
    let mut recipe = Recipe::new(file_type);
    recipe.pure = args.pure;
    recipe.leave_output_tensor = args.leave_output_tensor;
    recipe.output_tensor_type = args.output_tensor_type;
    recipe.token_embedding_type = args.token_embedding_type;
    recipe.tensor_types = args.tensor_types.entries.clone();
    recipe.prune_layers = args.prune_layers.clone().unwrap_or_default();
    recipe.keep_split = args.keep_split;
    recipe.split = args.split();
    recipe.override_kv = args.override_kv.clone();
    recipe.allow_requantize = args.allow_requantize;
    recipe.allow_missing = args.allow_missing;
    recipe.no_fallback = args.no_fallback;
    recipe.include_weights = args.include_weights.clone();
    recipe.exclude_weights = args.exclude_weights.clone();
    recipe
}

//! A folder with a checkpoint, as Hugging Face libraries save it.

mod fuse;
mod left_out;
mod mapping;
mod out_type;
mod rows;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use granule_format::{Metadata, TensorType, Value};

use super::weights::Weights;
use super::{Problem, Source, SourceTensor};
use crate::Error;
use crate::arch::{self, Arch, Config, Position, Rope};
use crate::metadata::{self, Authorship, Parameters};
use crate::tokenizer;
use mapping::Assembled;

pub use out_type::OutType;

/// What to make of a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct CheckpointOptions {
    /// The type of the tensors. Those that every program wants in full stay F32.
    pub out_type: OutType,
    /// `general.name`, in place of what the folder says.
    pub model_name: Option<String>,
    /// A JSON file whose keys (`general.author`, ...) replace what the folder says.
    pub metadata: Option<PathBuf>,
    /// A description of an architecture, which is tried before those that are built in.
    pub arch_file: Option<PathBuf>,
    /// The name of the pre-tokenizer, in place of what is recognised.
    pub pre_tokenizer: Option<String>,
    /// Join queries, keys and values of a layer to one tensor.
    pub fuse_qkv: bool,
    /// Join the two inner matrices of every expert.
    pub fuse_gate_up_experts: bool,
    /// Metadata and tokenizer alone.
    pub vocabulary_only: bool,
}

/// A checkpoint that looks like the GGUF file that the reference's converter would make of it.
///
/// Opening reads the small files and the headers of the large ones, and checks everything that can be
/// checked: see `spec/checkpoints.md`. Rows are read, rearranged and converted when they are asked for.
#[derive(Debug)]
pub struct Checkpoint {
    arch: Arc<Arch>,
    weights: Weights,
    metadata: Metadata,
    tensors: Vec<SourceTensor>,
    assembled: Vec<Assembled>,
    warnings: Vec<String>,
    file_stem: String,
}

impl Checkpoint {
    /// Open the checkpoint in a folder.
    ///
    /// # Errors
    /// If a file is missing or damaged, the architecture is unknown, or config, weights and tokenizer do
    /// not fit together; the error names the file and the tensor.
    pub fn open(folder: &Path, options: &CheckpointOptions) -> Result<Self, Error> {
        let folder = &folder.canonicalize().map_err(Error::io(folder))?;
        let file = options.arch_file.as_deref().map(Arch::read).transpose()?.map(Arc::new);
        let config = Config::read(folder, file.as_ref())?;
        let found = arch::find(file.as_ref(), &config, folder)?;
        let arch = &*found;
        let config = if arch.raw_config { config.without_defaults() } else { config };
        let mut warnings = Vec::new();
        let mut weights = match Weights::open(folder, &mut warnings) {
            Err(Error::Checkpoint { problem, .. })
                if options.vocabulary_only && matches!(*problem, Problem::NoWeights { .. }) =>
            {
                Weights::default()
            }
            opened => opened?,
        };
        weights.join_quantized(&config.raw, config.path())?;
        let out_type = options.out_type.resolve(&weights);
        let quantization =
            config.get("quantization_config").and_then(|how| how.get("quant_method"));
        let mxfp4 = quantization.is_some_and(|method| method == "mxfp4");
        let (mixture, file_type) = out_type.mixture(mxfp4);
        let rope = Rope::new(&config);
        let scope = config.scope(folder, arch, Some(&rope));
        for requirement in &arch.requires {
            if !scope.holds(requirement)? {
                let problem = Problem::Requirement(requirement.to_string());
                return Err(Error::in_file(config.path(), problem));
            }
        }
        let mut mapped = Vec::new();
        if !options.vocabulary_only {
            mapped = mapping::map(arch, config.class()?, scope, &weights, out_type, &mut warnings)?;
            let of = fuse::Context { weights: &weights, out_type };
            if options.fuse_qkv {
                mapped = fuse::queries_keys_values(mapped, of);
            }
            if options.fuse_gate_up_experts {
                mapped = fuse::gates_and_ups(mapped, of);
            }
        }

        let vocabulary = tokenizer::read(arch, &config, folder, options, &mut warnings)?;

        let parameters = Parameters::count(mapped.iter().map(|(tensor, _)| tensor));
        let author = Authorship::gather(
            folder,
            &config.raw,
            options.model_name.as_deref(),
            options.metadata.as_deref(),
            &parameters,
        )?;
        let mut metadata = Metadata::new();
        let mut write = |position, metadata: &mut Metadata| {
            let context = (&scope, &rope);
            arch::write_entries(
                (arch, position),
                &config,
                context,
                file_type,
                metadata,
                &mut warnings,
            )
        };
        metadata.set("general.architecture", arch.name.as_str());
        write(Position::Early, &mut metadata)?;
        metadata.set("general.type", "model");
        author.write(&mut metadata);
        write(Position::Main, &mut metadata)?;
        metadata.set("general.quantization_version", Value::U32(metadata::QUANTIZATION_VERSION));
        write(Position::Late, &mut metadata)?;
        vocabulary.iter().for_each(|entry| metadata.set(&entry.key, entry.value.clone()));

        let file_stem = author.file_stem((!options.vocabulary_only).then_some(mixture));
        let (tensors, assembled) = mapped.into_iter().unzip();
        Ok(Self { arch: found, weights, metadata, tensors, assembled, warnings, file_stem })
    }

    /// The architecture.
    pub fn arch(&self) -> &Arch {
        &self.arch
    }

    /// What is odd but no error: a guessed pre-tokenizer, tensors that are left out.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The name of the file without `.gguf` that the reference would choose.
    pub fn file_stem(&self) -> &str {
        &self.file_stem
    }
}

impl Source for Checkpoint {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn tensors(&self) -> &[SourceTensor] {
        &self.tensors
    }

    fn is_new(&self) -> bool {
        true
    }

    fn files(&self) -> Vec<&Path> {
        self.weights.files().collect()
    }

    fn read_rows(&self, index: usize, rows: Range<u64>, out: &mut Vec<u8>) -> Result<(), Error> {
        let tensor = &self.tensors[index];
        let TensorType::Known(ty) = tensor.ty else {
            unreachable!("checkpoints only become known types");
        };
        rows::read(&self.weights, &self.assembled[index], tensor.shape, ty, rows, out)
    }
}

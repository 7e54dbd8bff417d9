//! A folder with a checkpoint in the layout of the Hugging Face libraries.

mod adapter;
mod describing;
mod exact;
mod factors;
mod further;
mod fuse;
mod ids;
mod left_out;
mod mapping;
mod modules;
mod options;
mod out_type;
mod resampled;
mod rows;
mod target;

use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use granule_format::{Metadata, TensorType, Value};
use granule_reader::{Source, SourceTensor};

use crate::arch::{self, Arch, Config, Kind, Position, Quirk, Rope, Stored};
use crate::data_type::DataType;
use crate::located::{Located, checkpoint_file, locate};
use crate::lora;
use crate::metadata::{self, Authorship, Parameters};
use crate::weights::{StoredTensor, Weights};
use crate::{Directory, Error, Folder, Problem, ProjectorProblem, tokenizer};
use describing::describing;
use mapping::{Assembled, Piece};
use target::Target;

pub use exact::Exactness;
pub use further::FurtherTokens;
pub use options::{BlockEncoder, CheckpointOptions};
pub use out_type::OutType;

/// A checkpoint presented as the GGUF file that the reference's converter would write.
///
/// Opening reads the small files and the headers of the large ones, and checks everything that can
/// be checked (see `spec/checkpoints.md`). Rows are read, rearranged and converted on demand.
#[derive(Debug)]
pub struct Checkpoint {
    arch: Arc<Arch>,
    weights: Weights,
    metadata: Metadata,
    tensors: Vec<SourceTensor>,
    assembled: Vec<Assembled>,
    /// The folder, and that of the target of a draft model, as far as they are on a disk.
    folders: Vec<PathBuf>,
    warnings: Vec<String>,
    file_stem: String,
    mixture: &'static str,
    encoder: Option<BlockEncoder>,
    /// Whether there is a token for each embedding.
    complete: bool,
    /// The results of the search for exact types, if there was one.
    exact: Option<Vec<Exactness>>,
}

impl Checkpoint {
    /// Opens the checkpoint at a path, which names its folder or one of its files.
    ///
    /// # Errors
    /// If a file is missing or damaged, the architecture is unknown, or config, weights and
    /// tokenizer do not match. The error names the file and the tensor.
    pub fn open(path: &Path, options: &CheckpointOptions) -> Result<Self, Error> {
        if let Some(base) = &options.base {
            return adapter::open(&Directory::new(path), base, options);
        }
        let located = locate(path, options.layout)?;
        let folder = Directory::new(&located.folder);
        Self::assemble(&folder, path, Some(&located), options)
    }

    /// Open the checkpoint in a folder that need not be on a disk.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_folder(folder: &dyn Folder, options: &CheckpointOptions) -> Result<Self, Error> {
        Self::assemble(folder, folder.path(), None, options)
    }

    /// Open it; `path` is what the user has named.
    fn assemble(
        folder: &dyn Folder,
        path: &Path,
        located: Option<&Located>,
        options: &CheckpointOptions,
    ) -> Result<Self, Error> {
        let file = options.arch_file.as_deref().map(Arch::read).transpose()?.map(Arc::new);
        let config = Config::read_as(folder, options.layout, file.as_ref())?.given_as(path);
        let projector = arch::find_projector(file.as_ref(), &config, folder)?;
        let kind = if options.projector { Kind::Projector } else { Kind::Model };
        let found = match &options.arch_name {
            Some(name) => {
                arch::by_name(kind, name).map_err(|problem| Error::in_file(path, problem))?
            }
            None if options.projector => {
                let class = || config.projector_class().unwrap_or_default().to_owned();
                let problem = || Error::in_file(config.path(), ProjectorProblem::Unknown(class()));
                projector.clone().ok_or_else(problem)?
            }
            None if options.draft => arch::draft_of(&config)?,
            None => arch::find(file.as_ref(), &config, folder)
                .map_err(|error| with_relative(error, folder))?,
        };
        let arch = &*found;
        let config = match arch.kind {
            Kind::Projector => config.of_projector(arch, file.as_ref(), folder)?,
            Kind::Model => config,
        };
        let is_raw = arch.raw_config && arch.kind == Kind::Model;
        let mut config = if is_raw { config.without_defaults() } else { config };
        let mut warnings = Vec::new();
        let target = Target::of(arch, &config, options, &mut warnings)?;
        if let Some(target) = &target {
            config = config.with_target(&target.config);
        }
        if let (Some(path), Some(file)) = (&options.arch_file, &file)
            && !Arc::ptr_eq(file, &found)
        {
            warnings.push(format!(
                "--arch {} has no effect: it does not describe {}",
                path.display(),
                config.class()?
            ));
        }
        let exact = options.out_type == OutType::Exact;
        let mut weights = match Weights::open_as(folder, options.layout, &mut warnings) {
            Err(Error::Invalid { problem, .. })
                if options.vocabulary_only && matches!(*problem, Problem::NoWeights { .. }) =>
            {
                Weights::default()
            }
            opened => opened?,
        };
        if let Some(projector) = projector.filter(|_| !options.projector) {
            let own = |tensor: &StoredTensor| projector.has_part(&tensor.name);
            if weights.tensors().iter().any(own) {
                warnings.push(
                    "the model also takes images or sound: `granule convert --mmproj` makes the \
                     file for them"
                        .to_owned(),
                );
            }
        }
        if let Some(located) = located {
            located.announce(weights.files(), &mut warnings)?;
        }
        if !options.vocabulary_only {
            let merged = (&config.merged(), config.path());
            weights.join_quantized(merged, folder, exact, &mut warnings)?;
            let dense = options.dense_modules;
            let opened = modules::open(arch, folder, dense, &mut weights, &mut config)?;
            if dense && !opened {
                warnings.push(
                    "--sentence-transformers-dense-modules has no effect: the checkpoint has no \
                     dense modules that files of this architecture hold"
                        .to_owned(),
                );
            }
        }
        let merges = lora::merge(&options.adapters, arch, &mut weights)?;
        if options.float8_as_q8 {
            weights.set_float8_as_q8();
            if !weights.tensors().iter().any(|tensor| tensor.is_float8()) {
                warnings.push("--fp8-as-q8 has no effect: no tensor is FP8 with scales".to_owned());
            }
        }
        let out_type = options.out_type.resolve(&weights);
        if let (Some(ty), None) = (out_type.quantized(), options.encoder) {
            return Err(Error::in_file(folder.path(), Problem::NoEncoder(ty)));
        }
        let quantization =
            config.get("quantization_config").and_then(|how| how.get("quant_method"));
        let mxfp4 = quantization.is_some_and(|method| method == "mxfp4");
        let nvfp4 = weights.tensors().iter().any(|tensor| tensor.ty == DataType::Nvfp4);
        let rope = Rope::new(&config);
        let names: Vec<String> =
            weights.tensors().iter().map(|tensor| arch.rule_name(&tensor.name)).collect();
        let without = options.further_tokens == FurtherTokens::LeaveOut;
        let stored = Stored { names: &names, tensors: weights.tensors(), further: None, without };
        let scope = config.scope(folder, arch, Some(rope.keys())).with_stored(stored);
        let kept = match &arch.mxfp4_experts {
            Some(experts) => scope.holds(experts)?,
            None => arch.stored_types,
        };
        let (mut mixture, mut file_type) = match kept {
            true => out_type::MXFP4_EXPERTS,
            false => out_type.mixture(mxfp4, nvfp4),
        };
        options.further_tokens.check(arch, &scope, config.class()?)?;
        for requirement in &arch.requires {
            if !scope.holds(requirement)? {
                let problem = Problem::Requirement(requirement.to_string());
                return Err(Error::in_file(config.path(), problem));
            }
        }
        for doubt in &arch.doubts {
            if scope.holds(&doubt.when)? {
                warnings.push(doubt.text.clone());
            }
        }
        let mut mapped = Vec::new();
        let mut numbers = Default::default();
        if !options.vocabulary_only {
            let types = (out_type, options.further_tokens);
            let map = mapping::map(arch, scope, &weights, types, &mut warnings)?;
            (mapped, numbers) = (map.tensors, map.numbers);
            let of = fuse::Context { weights: &weights, out_type };
            let mut fuse = |wanted: bool, option, join: fn(Vec<_>, _) -> Vec<_>| {
                let tensors = mapped.len();
                if wanted {
                    mapped = join(std::mem::take(&mut mapped), of);
                }
                if wanted && mapped.len() == tensors {
                    warnings.push(format!("{option} has no effect: no layer has tensors to join"));
                }
            };
            fuse(options.fuse_qkv, "--fuse-qkv", fuse::queries_keys_values);
            fuse(options.fuse_gate_up_experts, "--fuse-gate-up-exps", fuse::gates_and_ups);
            let uses = |index: usize| mapped.iter().any(|(_, from)| from.uses(index));
            warnings.extend(merges.iter().filter_map(|merge| merge.idle(uses)));
        }

        let exact = exact.then(|| exact::choose(&weights, &mut mapped)).transpose()?;
        if exact.is_some() {
            (mixture, file_type) = exact::file_type(&mapped);
        }
        let scope = scope.with_tensors(&numbers);
        let embedding = mapped.iter().find(|(tensor, _)| tensor.name == "token_embd.weight");
        let rows = embedding.and_then(|(tensor, _)| tensor.shape.rows());
        let vocabulary = match &target {
            _ if arch.kind == Kind::Projector => Metadata::new(),
            None => tokenizer::read(arch, &config, folder, options, rows, &mut warnings)?,
            Some(target) => {
                let config = config.for_tokenizer_of(&target.config);
                let reader = target.arch.as_deref().unwrap_or(arch);
                tokenizer::read(reader, &config, &target.folder, options, rows, &mut warnings)?
            }
        };

        let parameters = Parameters::count(mapped.iter().map(|(tensor, _)| tensor));
        let author = Authorship::gather(
            folder,
            &config.raw,
            options.model_name.as_deref(),
            options.metadata.as_deref(),
            &parameters,
            &mut warnings,
        )?;
        let mut metadata = Metadata::new();
        let early = arch.quirks.contains(&Quirk::EarlyTemplate);
        let template = vocabulary.get(tokenizer::TEMPLATE);
        let expected = early || arch.quirks.contains(&Quirk::OwnTemplate);
        if expected && template.is_none() {
            warnings.push(NO_TEMPLATE.to_owned());
        }
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
        if let Some(template) = template.filter(|_| early) {
            metadata.set(tokenizer::TEMPLATE, template.clone());
        }
        write(Position::Early, &mut metadata)?;
        let kind = if options.projector { "mmproj" } else { "model" };
        metadata.set("general.type", kind);
        author.write(&mut metadata);
        write(Position::Main, &mut metadata)?;
        metadata.set("general.quantization_version", Value::U32(metadata::QUANTIZATION_VERSION));
        write(Position::Late, &mut metadata)?;
        vocabulary.iter().for_each(|entry| metadata.set(&entry.key, entry.value.clone()));
        write(Position::Last, &mut metadata)?;
        warn_of_missing_keys(arch, &metadata, &mut warnings);

        let tokens = metadata.strings("tokenizer.ggml.tokens").ok().flatten();
        let tokens = tokens.map(|tokens| tokens.len() as u64);
        let complete = tokens.is_none() || rows.is_none() || tokens == rows;
        if let (false, Some(tokens), Some(rows)) = (complete, tokens, rows) {
            warnings.push(format!(
                "the tokenizer has {tokens} tokens and the model {rows} embeddings: as in the \
                 reference, the list of tokens is not filled up, and llama.cpp does not load the \
                 file; add the missing tokens to tokenizer.json"
            ));
        }
        let ty = (!options.vocabulary_only).then_some(mixture);
        let file_stem = match options.further_tokens {
            _ if options.projector => {
                format!("mmproj-{}", author.file_stem(Some(mixture), false))
            }
            FurtherTokens::Only => format!("mtp-{}", author.file_stem(Some(mixture), false)),
            _ => author.file_stem(ty, ty.is_some()),
        };
        let (tensors, assembled) = mapped.into_iter().unzip();
        let mut folders: Vec<PathBuf> = folder.on_disk().map(Path::to_owned).into_iter().collect();
        folders.extend(target.map(|target| target.folder.path().to_owned()));
        folders.extend(options.adapters.iter().map(|adapter| adapter.folder.clone()));
        Ok(Self {
            arch: found,
            weights,
            metadata,
            tensors,
            assembled,
            folders,
            warnings,
            file_stem,
            mixture,
            encoder: options.encoder,
            complete,
            exact,
        })
    }

    /// Returns whether a file that is not a GGUF file is part of a checkpoint.
    pub fn has_file(path: &Path) -> bool {
        checkpoint_file(path).is_some()
    }

    /// Returns the architecture.
    pub fn arch(&self) -> &Arch {
        &self.arch
    }

    /// Returns warnings about oddities that are not errors, such as a guessed pre-tokenizer or
    /// omitted tensors.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns what [`OutType::Exact`] found out about each tensor whose type it chose; empty for
    /// the other types.
    pub fn exactness(&self) -> &[Exactness] {
        self.exact.as_deref().unwrap_or_default()
    }

    /// Returns the file name that the reference would choose, without `.gguf`.
    pub fn file_stem(&self) -> &str {
        &self.file_stem
    }

    /// Returns the type that the reference would use in the file name and for `{FTYPE}`: `BF16`,
    /// `MXFP4_MOE`.
    pub const fn mixture(&self) -> &'static str {
        self.mixture
    }
}

/// Adds to the error for an unknown class what the tensors resemble.
fn with_relative(mut error: Error, folder: &dyn Folder) -> Error {
    if let Error::Invalid { problem, .. } = &mut error
        && let Problem::UnknownArchitecture { relative, .. } = &mut **problem
        && let Ok(weights) = Weights::open(folder, &mut Vec::new())
    {
        let names = weights.tensors().iter().map(|tensor| tensor.name.as_str());
        *relative = arch::relative(names).map(|found| found.to_string());
    }
    error
}

/// The warning that a checkpoint has no chat template, where the reference has one at hand.
const NO_TEMPLATE: &str = "the checkpoint has no chat template, and so has the output: the \
    reference would write one of its own; put the model's into chat_template.jinja";

/// Warns of keys that programs need but that the config lacks.
fn warn_of_missing_keys(arch: &Arch, metadata: &Metadata, warnings: &mut Vec<String>) {
    for key in &arch.loader_needs {
        let key = format!("{}.{key}", arch.name);
        if metadata.get(&key).is_none() {
            warnings.push(format!(
                "config.json does not determine {key:?}, without which llama.cpp does not load the \
                 file: add the value from the model's training to config.json"
            ));
        }
    }
}

impl Source for Checkpoint {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn tensors(&self) -> &[SourceTensor] {
        &self.tensors
    }

    /// The one fault that the reference writes too is the checkpoint's own.
    fn is_new(&self) -> bool {
        self.complete
    }

    fn files(&self) -> Vec<&Path> {
        self.weights.files().collect()
    }

    fn read_rows(
        &self,
        index: usize,
        rows: Range<u64>,
        out: &mut Vec<u8>,
    ) -> Result<(), granule_reader::Error> {
        let tensor = &self.tensors[index];
        let TensorType::Known(ty) = tensor.ty else {
            unreachable!("checkpoints only become known types");
        };
        let from = &self.assembled[index];
        let to = rows::To { ty, encoder: self.encoder, exact: self.exact.is_some() };
        Ok(rows::read(&self.weights, from, tensor.shape, to, rows, out)?)
    }

    fn fingerprint(&self, index: usize, mut into: &mut dyn Hasher) {
        match &self.assembled[index] {
            Assembled::Stored { pieces, changes, zeros } => {
                (changes, zeros).hash(&mut into);
                pieces.len().hash(&mut into);
                for Piece { tensor, view } in pieces {
                    (&self.weights.tensors()[*tensor], view).hash(&mut into);
                }
            }
            Assembled::Sum(terms) => {
                ("sum", terms.len()).hash(&mut into);
                for Piece { tensor, view } in terms {
                    (&self.weights.tensors()[*tensor], view).hash(&mut into);
                }
            }
            Assembled::Resampled(table) => {
                (table, &self.weights.tensors()[table.tensor]).hash(&mut into);
            }
            Assembled::Ids(tensor) => self.weights.tensors()[*tensor].hash(&mut into),
            Assembled::Computed(values) => {
                values.iter().for_each(|value| value.to_bits().hash(&mut into));
            }
        }
    }

    fn inputs(&self) -> Vec<PathBuf> {
        let mut inputs: Vec<PathBuf> = self.weights.files().map(Path::to_owned).collect();
        self.folders.iter().for_each(|folder| describing(folder, true, &mut inputs));
        inputs
    }
}

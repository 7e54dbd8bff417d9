//! The steps from the files of a checkpoint to the file that the reference would write.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use granule_format::{Metadata, Value};
use serde_json::Map;

use super::mapping::{self, Mapped};
use super::out_type::{self, Writable};
use super::target::Target;
use super::{Checkpoint, CheckpointOptions, FurtherTokens, OutType, exact, folded, fuse, modules};
use crate::arch::{self, Arch, Config, Kind, Position, Quirk, Rope, Scope, Stored};
use crate::data_type::DataType;
use crate::located::Located;
use crate::lora::{self, Merge};
use crate::metadata::{self, Authorship, Parameters};
use crate::weights::{StoredTensor, Weights};
use crate::{Error, Folder, Problem, ProjectorProblem, tokenizer};

/// What a checkpoint is.
struct Identity {
    arch: Arc<Arch>,
    config: Config,
    /// The model that it is a draft for.
    target: Option<Target>,
    /// Its part for images or sound.
    projector: Option<Arc<Arch>>,
}

/// Opens a checkpoint; `path` is what the user has named.
pub(super) fn assemble(
    folder: &dyn Folder,
    path: &Path,
    located: Option<&Located>,
    options: &CheckpointOptions,
) -> Result<Checkpoint, Error> {
    let mut warnings = Vec::new();
    let identity = identify(folder, path, options, &mut warnings)?;
    let Identity { arch: found, mut config, target, projector } = identity;
    let arch = &*found;
    let mut weights = open_weights(folder, options, &mut warnings)?;
    config.set_keys(arch, folder, weights.tensors())?;
    if !options.projector && projector.is_some_and(|projector| has_part(&projector, &weights)) {
        warnings.push(
            "the model also takes images or sound: `granule convert --mmproj` makes the file for \
             them"
                .to_owned(),
        );
    }
    if let Some(located) = located {
        located.announce(weights.files(), &mut warnings)?;
    }
    if !options.vocabulary_only {
        join_files(folder, arch, &mut config, &mut weights, options, &mut warnings)?;
    }
    let merges = lora::merge(&options.adapters, arch, &mut weights)?;
    folded::fold(arch, &config.scope(folder, arch, None), &mut weights)?;
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
    let rope = Rope::new(&config);
    let names: Vec<String> =
        weights.tensors().iter().map(|tensor| arch.rule_name(&tensor.name)).collect();
    let without = options.further_tokens == FurtherTokens::LeaveOut;
    let shards = weights.shards();
    let stored =
        Stored { names: &names, tensors: weights.tensors(), shards, further: None, without };
    let scope = config.scope(folder, arch, Some(&rope)).with_stored(stored);
    let (mut mixture, mut file_type) = mixture(arch, &scope, &config, &weights, out_type)?;
    check_demands(arch, &scope, &config, options, &mut warnings)?;
    let (mut mapped, numbers) = match options.vocabulary_only {
        true => Default::default(),
        false => map(arch, scope, &weights, out_type, options, &merges, &mut warnings)?,
    };
    let exact = options.out_type == OutType::Exact;
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
    let texts = Texts { vocabulary: &vocabulary, author: &author };
    let context = (&scope, &rope);
    let metadata = describe(arch, &config, context, file_type, texts, &mut warnings)?;
    let complete = has_all_tokens(&metadata, rows, &mut warnings);
    let ty = (!options.vocabulary_only).then_some(mixture);
    let file_stem = match options.further_tokens {
        _ if options.projector => format!("mmproj-{}", author.file_stem(Some(mixture), false)),
        FurtherTokens::Only => format!("mtp-{}", author.file_stem(Some(mixture), false)),
        _ => author.file_stem(ty, ty.is_some()),
    };
    let (tensors, assembled) = mapped.into_iter().unzip();
    let mut folders: Vec<PathBuf> = folder.on_disk().map(Path::to_owned).into_iter().collect();
    folders.extend(target.map(|target| target.folder.path().to_owned()));
    folders.extend(options.adapters.iter().map(|adapter| adapter.folder.clone()));
    Ok(Checkpoint {
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

/// Reads the config, and finds the description of what is to be converted.
fn identify(
    folder: &dyn Folder,
    path: &Path,
    options: &CheckpointOptions,
    warnings: &mut Vec<String>,
) -> Result<Identity, Error> {
    let file = options.arch_file.as_deref().map(Arch::read).transpose()?.map(Arc::new);
    let config = Config::read_as(folder, options.layout, file.as_ref())?.given_as(path);
    let projector = arch::find_projector(file.as_ref(), &config, folder)?;
    let kind = if options.projector { Kind::Projector } else { Kind::Model };
    let arch = match &options.arch_name {
        Some(name) => arch::by_name(kind, name).map_err(|problem| Error::in_file(path, problem))?,
        None if options.projector => {
            let class = || config.projector_class().unwrap_or_default().to_owned();
            let problem = || Error::in_file(config.path(), ProjectorProblem::Unknown(class()));
            projector.clone().ok_or_else(problem)?
        }
        None if options.draft => arch::draft_of(&config)?,
        None => arch::find(file.as_ref(), &config, folder)
            .map_err(|error| with_relative(error, folder, path, options))?,
    };
    let mut config = match arch.kind {
        Kind::Projector => config.of_projector(&arch, file.as_ref(), folder)?,
        Kind::Model => config.of_model(&arch),
    };
    let target = Target::of(&arch, &config, options, warnings)?;
    if let Some(target) = &target {
        config = config.with_target(&target.config);
    }
    if let (Some(path), Some(file)) = (&options.arch_file, &file)
        && !Arc::ptr_eq(file, &arch)
    {
        warnings.push(format!(
            "--arch {} has no effect: it does not describe {}",
            path.display(),
            config.class()?
        ));
    }
    Ok(Identity { arch, config, target, projector })
}

/// Adds to the error for an unknown class what the tensors resemble.
fn with_relative(
    mut error: Error,
    folder: &dyn Folder,
    path: &Path,
    options: &CheckpointOptions,
) -> Error {
    let Error::Invalid { problem, .. } = &mut error else { return error };
    let (Problem::UnknownArchitecture { relative, .. } | Problem::NoArchitecture { relative }) =
        &mut **problem
    else {
        return error;
    };
    if let Ok(weights) = Weights::open(folder, &mut Vec::new()) {
        let names = weights.tensors().iter().map(|tensor| tensor.name.as_str());
        let works = |name: &str| {
            let name = Some(name.to_owned());
            let options = CheckpointOptions { arch_file: None, arch_name: name, ..options.clone() };
            assemble(folder, path, None, &options).is_ok()
        };
        *relative = arch::relative(names, works).map(|found| found.to_string());
    }
    error
}

/// Opens the weights; a vocabulary alone needs none.
fn open_weights(
    folder: &dyn Folder,
    options: &CheckpointOptions,
    warnings: &mut Vec<String>,
) -> Result<Weights, Error> {
    match Weights::open_as(folder, options.layout, warnings) {
        Err(Error::Invalid { problem, .. })
            if options.vocabulary_only && matches!(*problem, Problem::NoWeights { .. }) =>
        {
            Ok(Weights::default())
        }
        opened => opened,
    }
}

/// Whether the checkpoint has tensors of its part for images or sound.
fn has_part(projector: &Arch, weights: &Weights) -> bool {
    let own = |tensor: &StoredTensor| projector.has_part(&tensor.name);
    weights.tensors().iter().any(own)
}

/// Adds to the weights what other tensors and folders say about them.
fn join_files(
    folder: &dyn Folder,
    arch: &Arch,
    config: &mut Config,
    weights: &mut Weights,
    options: &CheckpointOptions,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let exact = options.out_type == OutType::Exact;
    let merged = (&config.merged(), config.path());
    weights.join_quantized(merged, folder, (exact, &|name| arch.is_sharded(name)), warnings)?;
    let dense = options.dense_modules;
    let opened = modules::open(arch, folder, dense, weights, config)?;
    if dense && !opened {
        warnings.push(
            "--sentence-transformers-dense-modules has no effect: the checkpoint has no dense \
             modules that files of this architecture hold"
                .to_owned(),
        );
    }
    Ok(())
}

/// The name of the mixture of types, and the number of the file type.
fn mixture(
    arch: &Arch,
    scope: &Scope<'_>,
    config: &Config,
    weights: &Weights,
    out_type: Writable,
) -> Result<(&'static str, u32), Error> {
    let kept = match &arch.mxfp4_experts {
        Some(experts) => scope.holds(experts)?,
        None => arch.stored_types,
    };
    if kept {
        return Ok(out_type::MXFP4_EXPERTS);
    }
    let quantization = config.get("quantization_config").and_then(|how| how.get("quant_method"));
    let mxfp4 = quantization.is_some_and(|method| method == "mxfp4");
    let nvfp4 = weights.tensors().iter().any(|tensor| tensor.ty == DataType::Nvfp4);
    Ok(out_type.mixture(mxfp4, nvfp4))
}

/// Checks what the description demands of the config, and warns of what it doubts.
fn check_demands(
    arch: &Arch,
    scope: &Scope<'_>,
    config: &Config,
    options: &CheckpointOptions,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    options.further_tokens.check(arch, scope, config.class()?)?;
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
    Ok(())
}

/// Maps the tensors, and joins those that options ask for. Returns them with the values of tensors
/// that become numbers.
fn map(
    arch: &Arch,
    scope: Scope<'_>,
    weights: &Weights,
    out_type: Writable,
    options: &CheckpointOptions,
    merges: &[Merge],
    warnings: &mut Vec<String>,
) -> Result<(Vec<Mapped>, Map<String, serde_json::Value>), Error> {
    let types = (out_type, options.further_tokens);
    let map = mapping::map(arch, scope, weights, types, warnings)?;
    let mut mapped = map.tensors;
    let of = fuse::Context { weights, out_type };
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
    Ok((mapped, map.numbers))
}

/// What the metadata hold that is not of the config.
#[derive(Clone, Copy)]
struct Texts<'a> {
    vocabulary: &'a Metadata,
    author: &'a Authorship,
}

/// The metadata of the file, in the reference's order.
fn describe(
    arch: &Arch,
    config: &Config,
    context: (&Scope<'_>, &Rope<'_>),
    file_type: u32,
    texts: Texts<'_>,
    warnings: &mut Vec<String>,
) -> Result<Metadata, Error> {
    let early = arch.quirks.contains(&Quirk::EarlyTemplate);
    let template = texts.vocabulary.get(tokenizer::TEMPLATE);
    let expected = early || arch.quirks.contains(&Quirk::OwnTemplate);
    if expected && template.is_none() {
        warnings.push(NO_TEMPLATE.to_owned());
    }
    let mut write = |position, metadata: &mut Metadata| {
        arch::write_entries((arch, position), config, context, file_type, metadata, warnings)
    };
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", arch.name.as_str());
    if let Some(template) = template.filter(|_| early) {
        metadata.set(tokenizer::TEMPLATE, template.clone());
    }
    write(Position::Early, &mut metadata)?;
    let kind = if arch.kind == Kind::Projector { "mmproj" } else { "model" };
    metadata.set("general.type", kind);
    texts.author.write(&mut metadata);
    write(Position::Main, &mut metadata)?;
    metadata.set("general.quantization_version", Value::U32(metadata::QUANTIZATION_VERSION));
    write(Position::Late, &mut metadata)?;
    texts.vocabulary.iter().for_each(|entry| metadata.set(&entry.key, entry.value.clone()));
    write(Position::Last, &mut metadata)?;
    warn_of_missing_keys(arch, &metadata, warnings);
    Ok(metadata)
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

/// Whether there is a token for each row of the embedding.
fn has_all_tokens(metadata: &Metadata, rows: Option<u64>, warnings: &mut Vec<String>) -> bool {
    let tokens = metadata.strings("tokenizer.ggml.tokens").ok().flatten();
    let (Some(tokens), Some(rows)) = (tokens.map(|tokens| tokens.len() as u64), rows) else {
        return true;
    };
    if tokens != rows {
        warnings.push(format!(
            "the tokenizer has {tokens} tokens and the model {rows} embeddings: as in the \
             reference, the list of tokens is not filled up, and llama.cpp does not load the file; \
             add the missing tokens to tokenizer.json"
        ));
    }
    tokens == rows
}

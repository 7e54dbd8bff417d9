//! Exports a GGUF file as a checkpoint.
//!
//! Inverts the rules by which an [architecture](crate::arch) maps a checkpoint: names, the order of
//! values, stacks of experts, changed values. The result converts to the same GGUF file again as
//! far as its types allow; `spec/architectures.md` lists the limits.
//!
//! | file | holds |
//! |---|---|
//! | `invert` | the inverted rules |
//! | `config` | `config.json` from the metadata |
//! | `types` | the type of every tensor, and the inverse of changed values |
//! | `shards` | files and their headers |
//! | `write` | streaming the values |

mod config;
mod error;
mod invert;
mod shards;
mod types;
mod write;

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use granule_format::BlockType;
use granule_reader::{Model, Unsupported};
use serde_json::{Map, Value};

use crate::arch::{self, Arch, Config, Rope, Stored};
use crate::json::read_named;
use crate::{Directory, Error};
use invert::Saved;
use shards::Shard;

pub use error::ExportError;
pub use types::ExportType;

/// Options for exporting a GGUF file.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    /// The type of the tensors.
    pub ty: ExportType,
    /// The maximum size of the tensors in a file, in bytes; 5 GB if `None`.
    pub max_shard_bytes: Option<NonZeroU64>,
    /// The model's `config.json`. Without it, the one in the folder is used; if there is none, it
    /// is rebuilt from the metadata.
    pub config: Option<PathBuf>,
    /// A description of an architecture, tried before the built-in ones.
    pub arch_file: Option<PathBuf>,
    /// Whether to keep the file's own names and layout.
    pub plain: bool,
}

/// The default maximum size of the tensors in a file, in bytes.
pub const MAX_SHARD_BYTES: u64 = 5_000_000_000;

/// A plan of the files to write. Everything that can be checked beforehand has been checked.
#[derive(Debug)]
pub struct Export {
    model: Model,
    folder: PathBuf,
    saved: Vec<Saved>,
    types: Vec<BlockType>,
    main: BlockType,
    shards: Vec<Shard>,
    /// The text of `config.json`, if it is to be written.
    config: Option<String>,
    arch: Option<Arc<Arch>>,
    notes: Vec<String>,
    /// Files that are read in addition to the model.
    inputs: Vec<PathBuf>,
}

/// A tensor of the checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportedTensor<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its dimensions, outermost first.
    pub shape: &'a [u64],
    /// Its type.
    pub ty: BlockType,
    /// The tensors of the file that it comes from.
    pub from: Vec<&'a str>,
}

impl Export {
    /// Plans the export of a GGUF file, or of the split set that it belongs to. Reads only small
    /// tensors.
    ///
    /// # Errors
    /// If the file cannot be read, the config does not match it, a tensor has no inverse, or the
    /// folder already has weights.
    pub fn plan(file: &Path, folder: &Path, options: &ExportOptions) -> Result<Self, Error> {
        Self::plan_model(Model::open(file)?, folder, options)
    }

    /// Plans the export of a file that is open, which need not be on a disk.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn plan_model(model: Model, folder: &Path, options: &ExportOptions) -> Result<Self, Error> {
        if model.tensors().len() == 0 {
            let path = model.shards()[0].path().unwrap_or(Path::new("")).to_owned();
            return Err(ExportError::NoTensors { path }.into());
        }
        for tensor in model.tensors() {
            if tensor.ty().known().is_none() {
                let (tensor, id) = (tensor.name().to_owned(), tensor.ty().id());
                return Err(granule_reader::Error::Unsupported {
                    name: tensor,
                    reason: Unsupported::Type(id),
                }
                .into());
            }
        }
        no_weights(folder)?;
        let mut notes = Vec::new();
        let mut found = None;
        if !options.plain {
            found = arranged(&model, folder, options, &mut notes)?;
        }
        let (arch, saved, raw) = match found {
            Some((arch, saved, raw)) => (Some(arch), saved, raw),
            None => {
                let plain = model.tensors().enumerate();
                let plain = plain.map(|(i, t)| Saved::plain(t.name(), t.shape(), i));
                (None, plain.collect(), None)
            }
        };
        let types = types::choose(&model, &saved, options.ty)?;
        for (name, count) in &types.inexact {
            notes.push(format!(
                "{name}: not exactly invertible: a conversion changes the bits of {count} of its \
                 values"
            ));
        }
        for tensor in saved.iter().filter(|saved| saved.lost() > 0) {
            notes.push(format!(
                "{}: the file lacks {} of its {} values, which become 0",
                tensor.name,
                tensor.lost(),
                tensor.values()
            ));
        }
        let most = options.max_shard_bytes.map_or(MAX_SHARD_BYTES, NonZeroU64::get);
        // A quantizer ordered the tensors in its own way.
        let ordered =
            !model.tensors().any(|tensor| tensor.ty().known().is_some_and(|ty| ty.is_quantized()));
        let (shards, in_order) = shards::cut((&saved, &types.types), most, ordered);
        if ordered && !in_order {
            notes.push(
                "the tensors of the file are not in the order of safetensors files: converting the \
                 checkpoint gives another order"
                    .to_owned(),
            );
        }
        let config = raw.map(|raw| format!("{:#}\n", Value::Object(raw)));
        let folder = folder.to_owned();
        let (types, main) = (types.types, types.main);
        let inputs = options.config.iter().chain(&options.arch_file).cloned().collect();
        Ok(Self { model, folder, saved, types, main, shards, config, arch, notes, inputs })
    }

    /// Returns the architecture whose rules are inverted; `None` if the tensors keep the names of
    /// the file.
    pub fn arch(&self) -> Option<&Arch> {
        self.arch.as_deref()
    }

    /// Returns the type of most tensors.
    pub const fn ty(&self) -> BlockType {
        self.main
    }

    /// Returns the tensors, file by file.
    pub fn tensors(&self) -> impl Iterator<Item = ExportedTensor<'_>> {
        let all = self.shards.iter().flat_map(|shard| &shard.tensors);
        all.map(|(index, _)| {
            let saved = &self.saved[*index];
            let from = saved.pieces.iter().map(|piece| self.model.tensor_at(piece.tensor).name());
            let mut from: Vec<_> = from.collect();
            from.dedup();
            ExportedTensor { name: &saved.name, shape: &saved.shape, ty: self.types[*index], from }
        })
    }

    /// Returns the paths of the files with tensors, and their sizes in bytes.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (PathBuf, u64)> {
        self.shards.iter().map(|shard| {
            (self.folder.join(&shard.name), shard.header.len() as u64 + shard.data_bytes)
        })
    }

    /// Returns whether `config.json` will be written.
    pub const fn writes_config(&self) -> bool {
        self.config.is_some()
    }

    /// Returns notes about everything that is not restored, or not exactly.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns the total number of values.
    pub fn values(&self) -> u64 {
        self.saved.iter().map(Saved::values).sum()
    }

    /// Returns the folder for the checkpoint.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Checks again that the folder has no weights, because they could not be told apart from the
    /// new ones.
    ///
    /// # Errors
    /// If it has some, or cannot be read.
    pub fn check_folder(&self) -> Result<(), Error> {
        no_weights(&self.folder)
    }

    /// Writes the file at `index` of [`files`](Self::files) with all threads of the current pool.
    /// `write` writes bytes at a position of the file; many threads call it at once. `done` counts
    /// the values written so far over all files, and `progress` receives that count.
    ///
    /// # Errors
    /// If a value does not fit its type, or if reading or writing fails.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn write_file(
        &self,
        index: usize,
        write: &WriteAt<'_>,
        (done, stop): (&AtomicU64, Option<&AtomicBool>),
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let shard = &self.shards[index];
        let path = self.folder.join(&shard.name);
        let write = |start, bytes: &[u8]| write(start, bytes).map_err(Error::io(&path));
        write(0, &shard.header)?;
        for (index, start) in &shard.tensors {
            let start = shard.header.len() as u64 + start;
            let tensor = (&self.saved[*index], self.types[*index]);
            write::write(&self.model, tensor, (&write, start), (done, stop), progress)?;
        }
        Ok(())
    }

    /// Returns the names and contents of the files without tensors.
    pub fn texts(&self) -> Vec<(&'static str, String)> {
        let config = self.config.as_deref().map(|text| (CONFIG, text.to_owned()));
        let index = shards::index(&self.shards, &self.saved).map(|text| (shards::INDEX, text));
        config.into_iter().chain(index).collect()
    }

    /// Returns the paths of the input files, which no output may replace.
    pub fn inputs(&self) -> Vec<&Path> {
        let shards = self.model.shards().iter().filter_map(|shard| shard.path());
        shards.chain(self.inputs.iter().map(PathBuf::as_path)).collect()
    }
}

/// A function that writes bytes at a position of a file.
pub type WriteAt<'a> = dyn Fn(u64, &[u8]) -> std::io::Result<()> + Sync + 'a;

/// The file that describes the model of a checkpoint.
const CONFIG: &str = "config.json";

/// The result of inverting the rules: the architecture, the tensors, and the config if it has to be
/// written.
type Arranged = (Arc<Arch>, Vec<Saved>, Option<Map<String, Value>>);

/// Arranges the tensors as the checkpoint has them; `None` if the architecture is unknown.
fn arranged(
    model: &Model,
    folder: &Path,
    options: &ExportOptions,
    notes: &mut Vec<String>,
) -> Result<Option<Arranged>, Error> {
    let file = options.arch_file.as_deref().map(Arch::read).transpose()?.map(Arc::new);
    let name = model.metadata().text("general.architecture").ok().flatten().unwrap_or_default();
    let there = folder.join(CONFIG);
    let given = options.config.clone().or_else(|| there.exists().then(|| there.clone()));
    if let Some(path) = given {
        let raw = read_named(&path)?;
        let config = Config::filled(path.clone(), raw.clone(), file.as_ref())?;
        let arch = arch::find(file.as_ref(), &config, &Directory::new(folder))?;
        if arch.name != name {
            let (config, file) = (arch.name.clone(), name.to_owned());
            return Err(ExportError::OtherArchitecture { path, config, file }.into());
        }
        let saved = inverted(&arch, config, folder, model, notes)?;
        notes.extend(unused(options, file.as_ref(), Some(&arch)));
        return Ok(Some((arch, saved, (!there.exists()).then_some(raw))));
    }
    // Several descriptions may have this name; the first that fits all tensors wins.
    let given = file.iter().filter(|arch| arch.name == name);
    let all = given.chain(arch::of_name(name));
    let mut problem = None;
    for arch in all {
        let dtype = match types::main(model, options.ty) {
            BlockType::BF16 => "bfloat16",
            BlockType::F16 => "float16",
            _ => "float32",
        };
        let raw = config::rebuild((file.as_ref(), arch), &there, model, dtype)?;
        let mut own = Vec::new();
        let config = Config::filled(there.clone(), raw.clone(), file.as_ref())?;
        match inverted(arch, config, folder, model, &mut own) {
            Ok(saved) => {
                notes.push(
                    "config.json is rebuilt from the metadata; keys that they lack are left to the \
                     defaults of the model's class. Use --config FILE for the original config"
                        .to_owned(),
                );
                notes.append(&mut own);
                notes.extend(unused(options, file.as_ref(), Some(arch)));
                return Ok(Some((arch.clone(), saved, Some(raw))));
            }
            Err(why) => _ = problem.get_or_insert(why),
        }
    }
    match problem {
        Some(problem) => Err(problem),
        None => {
            notes.extend(unused(options, file.as_ref(), None));
            notes.push(format!(
                "architecture {name:?} is unknown: the tensors keep the file's names and layout"
            ));
            Ok(None)
        }
    }
}

/// Returns a note if the description that the user gave is not the one in use.
fn unused(
    options: &ExportOptions,
    file: Option<&Arc<Arch>>,
    used: Option<&Arc<Arch>>,
) -> Option<String> {
    let (path, file) = options.arch_file.as_ref().zip(file)?;
    let other = used.is_none_or(|used| !Arc::ptr_eq(file, used));
    other.then(|| format!("--arch {} has no effect: it does not fit the file", path.display()))
}

fn inverted(
    arch: &Arc<Arch>,
    config: Config,
    folder: &Path,
    model: &Model,
    notes: &mut Vec<String>,
) -> Result<Vec<Saved>, Error> {
    let class = config.class()?.to_owned();
    let mut config = config.of_model(arch);
    let folder = Directory::new(folder);
    config.set_keys(arch, &folder, &[])?;
    let rope = Rope::new(&config);
    let tokens = config::tokens(model);
    let key = format!("{}.nextn_predict_layers", arch.name);
    let further = Some(model.metadata().integer(&key).ok().flatten().unwrap_or(0_u64));
    let stored = Stored { further, ..Stored::default() };
    let scope = config.scope(&folder, arch, Some(&rope)).with_tokens(tokens).with_stored(stored);
    let inverse = invert::invert(arch, &class, scope, model)?;
    for name in inverse.computed {
        notes.push(format!("{name} is omitted: a conversion computes it from the model's config"));
    }
    for name in inverse.missing {
        notes.push(format!(
            "{name} is not in the file, although the config says that the model has it"
        ));
    }
    Ok(inverse.saved)
}

/// Checks that the folder has no weights, because they could not be told apart from the new ones.
fn no_weights(folder: &Path) -> Result<(), Error> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let weights = [".safetensors", ".safetensors.index.json", ".bin.index.json", ".pth"];
        if !name.starts_with('.') && weights.iter().any(|end| name.ends_with(end))
            || name.starts_with("pytorch_model") && name.ends_with(".bin")
        {
            return Err(ExportError::HasWeights { path }.into());
        }
    }
    Ok(())
}

//! Merges adapters (LoRA, as PEFT saves them) into the weights of a checkpoint, row by row.
//!
//! An adapter changes some tensors of a base model. Each of these becomes a tensor whose rows are
//! calculated when they are read, so a merge takes no more memory than a conversion and two thin
//! matrices. `spec/checkpoints.md` says how the values are calculated.

mod merged;
mod parts;
mod settings;
mod thin;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use crate::arch::Arch;
use crate::quantized;
use crate::stored::StoredTensor;
use crate::weights::Weights;
use crate::{AdapterProblem, Directory, Error, Folder, Problem};
use merged::{Change, Merged};
use parts::Part;
pub(crate) use settings::CONFIG;
use settings::Settings;
use thin::{Cache, Product};

/// The names of an adapter's weights; the first that is there is read.
const WEIGHTS: &[&str] = &["adapter_model.safetensors", "adapter_model.bin"];

/// An adapter to merge into a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// Its folder.
    pub folder: PathBuf,
    /// What its changes are multiplied by; 1 is the adapter as it was trained.
    pub scale: f32,
}

/// The tensors that an adapter changes, by their indices in the weights.
#[derive(Debug)]
pub(crate) struct Merge {
    folder: PathBuf,
    tensors: Vec<usize>,
}

impl Merge {
    /// Returns the warning that none of the changed tensors is among those that are used.
    pub(crate) fn idle(&self, is_used: impl Fn(usize) -> bool) -> Option<String> {
        let idle = !self.tensors.iter().any(|index| is_used(*index));
        let folder = self.folder.display();
        idle.then(|| format!("--lora {folder} has no effect: it changes no tensor of this file"))
    }
}

/// Opens the weights of an adapter. Their names stay as they are.
///
/// # Errors
/// If there are none, or if they are damaged.
pub(crate) fn open_weights(folder: &dyn Folder) -> Result<Weights, Error> {
    let name = WEIGHTS.iter().find(|name| folder.exists(name));
    let name = name.ok_or_else(|| {
        Error::in_file(folder.path(), AdapterProblem::NoWeights(WEIGHTS.join(" or ")))
    })?;
    Weights::open_file(folder, name)
}

/// Merges adapters, one after the other, and returns what each of them changes.
///
/// # Errors
/// If an adapter is damaged, is for another model, or does what cannot be merged. All of it is
/// checked here, the values of the adapter included.
pub(crate) fn merge(
    adapters: &[Adapter],
    arch: &Arch,
    weights: &mut Weights,
) -> Result<Vec<Merge>, Error> {
    let cache = Arc::new(Cache::default());
    let base = Base::new(arch, weights);
    let mut all: BTreeMap<usize, Merged> = BTreeMap::new();
    let mut merges = Vec::new();
    for Adapter { folder, scale } in adapters {
        let folder = Directory::new(folder);
        let settings = Settings::read(&folder, f64::from(*scale))?;
        let opened = open_weights(&folder)?;
        let parts = parts::sort(&opened)?;
        let tensors = weights.adopt(opened);
        let mut touched = Vec::new();
        for part in parts {
            let part = part.map(|index| tensors[index].clone());
            for tensor in part.tensors() {
                check_values(weights, tensor)?;
            }
            let (index, change) = base.change(weights, &settings, part, &cache)?;
            let merged =
                all.entry(index).or_insert_with(|| Merged::new(weights.tensors()[index].clone()));
            merged.add(change);
            touched.push(index);
        }
        if touched.is_empty() {
            return Err(Error::in_file(folder.path(), AdapterProblem::Empty));
        }
        merges.push(Merge { folder: folder.path().to_owned(), tensors: touched });
    }
    for (index, merged) in all {
        weights.replace(index, merged.into_tensor());
    }
    Ok(merges)
}

/// Checks that the values of an adapter's tensor are finite.
fn check_values(weights: &Weights, tensor: &StoredTensor) -> Result<(), Error> {
    let found = quantized::first(tensor, weights.data_files(), |value| !value.is_finite())?;
    match found {
        Some((index, value)) => {
            let problem = AdapterProblem::NotFinite { index, value }.into();
            Err(Error::of_tensor(weights.path(tensor), &tensor.name, problem))
        }
        None => Ok(()),
    }
}

/// Finds the tensors of the base model.
struct Base<'a> {
    arch: &'a Arch,
    exact: HashMap<String, usize>,
    /// By the names that the rules of the architecture use, without `model.`: adapters have the
    /// names of the modules, which may differ from those in files.
    known: HashMap<String, Option<usize>>,
}

impl<'a> Base<'a> {
    fn new(arch: &'a Arch, weights: &Weights) -> Self {
        let mut base = Self { arch, exact: HashMap::new(), known: HashMap::new() };
        for (index, tensor) in weights.tensors().iter().enumerate() {
            base.exact.insert(tensor.name.clone(), index);
            let of_two = |one: &mut Option<usize>| *one = None;
            base.known
                .entry(base.known_name(&tensor.name))
                .and_modify(of_two)
                .or_insert(Some(index));
        }
        base
    }

    fn known_name(&self, name: &str) -> String {
        let name = self.arch.rule_name(name);
        let start = |start: &str| name.strip_prefix(start).map(str::to_owned);
        let prefix = self.arch.prefixed("").unwrap_or_default();
        start("model.").or_else(|| start(&prefix)).unwrap_or(name)
    }

    /// Returns the index of a tensor by its name in an adapter.
    fn find(&self, name: &str) -> Option<usize> {
        let exact = self.exact.get(name).copied();
        exact.or_else(|| *self.known.get(&self.known_name(name))?)
    }

    /// Returns the change that a part of an adapter makes, and to which tensor.
    fn change(
        &self,
        weights: &Weights,
        settings: &Settings,
        part: Part<StoredTensor>,
        cache: &Arc<Cache>,
    ) -> Result<(usize, Change), Error> {
        let named = part.first();
        let fail = |problem: Problem| Error::of_tensor(weights.path(named), &named.name, problem);
        let name = part.base_name();
        let index = self
            .find(&name)
            .ok_or_else(|| fail(AdapterProblem::OtherBase { name: name.clone() }.into()))?;
        let base = &weights.tensors()[index];
        if base.ty.values() > 1 {
            return Err(fail(AdapterProblem::Blocks { name, ty: base.ty.name() }.into()));
        }
        let change = match &part {
            Part::Whole { with, .. } => Change::whole(base, with.clone(), settings.factor),
            Part::Bias { with, module, a } => {
                let scale = settings.scale(module, a.shape.first().copied().unwrap_or(1));
                Change::sum(base, with.clone(), scale)
            }
            Part::Pair(pair) => Product::new(base, pair, settings, cache)
                .map(|product| Change::Product(Box::new(product))),
        };
        Ok((index, change.map_err(fail)?))
    }
}

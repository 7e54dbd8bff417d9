use std::borrow::Cow;
use std::collections::HashSet;

use granule_encode::{Effort, Importance, Weighting, encoder_at};
use granule_format::{BlockType, Endian, FileType, Shape, TensorType, Value};
use granule_reader::{Source, SourceTensor};

use super::idle::{
    OUTPUT_TENSOR_TYPE, Pattern, TOKEN_EMBEDDING_TYPE, Used, absent_layers, idle_filters,
};
use super::metadata::{Facts, apply, edits, guess};
use super::prune::Prune;
use super::{Plan, PlanError, PlannedTensor, Reason, Warning, importance_values, tensor_bytes};
use super::{split, validity};
use crate::Error;
use crate::mixture::category::{Category, LAYER_EMBEDDING, OUTPUT};
use crate::mixture::eligible::{kept, without_trailing_ones};
use crate::mixture::fallback::{
    cannot_do_without, fit, is_embedding, needs_importance, outside_importance,
};
use crate::mixture::{Assumed, Mixture, Model, block_number};
use crate::recipe::Recipe;

/// Decides for [`Plan::preview`].
pub(super) fn decide(
    source: &dyn Source,
    recipe: &Recipe,
    importance: Option<&Importance>,
) -> Result<(Plan, Vec<PlanError>), Error> {
    let names = source.tensors().iter().map(|tensor| tensor.name.as_str());
    let prune =
        (!recipe.prune_layers.is_empty()).then(|| Prune::new(&recipe.prune_layers, names.clone()));
    let tensors = in_order(source, recipe, prune.as_ref());

    let matrix = importance;
    let used =
        |importance: &Importance| importance.names().filter(|name| recipe.weighs(name)).count();
    let importance = importance.map(|matrix| (matrix, used(matrix))).filter(|(_, used)| *used > 0);
    let overrides: Vec<(&str, Value)> = recipe
        .override_kv
        .iter()
        .map(|wanted| (wanted.key.as_str(), Value::from(&wanted.value)))
        .collect();
    let products = products(source, recipe)?;
    let (model, assumed) = Model::new(
        source.metadata(),
        &overrides,
        tensors.iter().map(|tensor| tensor.name.as_ref()),
        importance.is_some() || !products.is_empty(),
    );

    let mut decider = Decider::new(recipe, &model, importance.map(|(matrix, _)| matrix))?;
    decider.unknown = assumed.unknown_architecture;
    decider.products = products;
    let mut planned = Vec::with_capacity(tensors.len());
    for tensor in &tensors {
        planned.push(decider.decide(tensor)?);
    }
    let shards = if recipe.keep_split {
        planned.iter_mut().for_each(|tensor| tensor.shard = source.shard(tensor.source));
        source.shards()
    } else {
        split::assign(&mut planned, &recipe.split)?
    };
    let idle = absent_layers(recipe, prune.as_ref()).chain(idle_filters(recipe, matrix));
    let (mut problems, allowed) = decider.problems(idle.collect());

    let facts = Facts {
        recipe,
        source: source.metadata(),
        architecture: &model.architecture,
        guessed: guess(tensors.iter().map(|tensor| tensor.source.ty)),
        importance: importance
            .map(|(matrix, used)| (matrix, u32::try_from(used).unwrap_or(u32::MAX))),
        blocks_left: prune.as_ref().map(|prune| prune.left),
        shards,
        tensors: planned.len(),
    };
    let edits = match edits(&facts) {
        Ok(edits) => edits,
        Err(problem) => {
            problems.insert(0, problem);
            Vec::new()
        }
    };
    let metadata = apply(&edits, source.metadata().clone());
    let warnings = warnings(recipe, &model, &assumed)
        .chain(allowed.iter().map(|problem| Warning::Allowed(problem.to_string())))
        .collect();
    let recipe = recipe.clone();
    let endian = Endian::Little;
    let mut plan = Plan { recipe, edits, metadata, tensors: planned, shards, endian, warnings };
    problems.extend(validity::check(&mut plan, source));
    Ok((plan, problems))
}

/// Returns the tensors for which the model is run.
fn products(source: &dyn Source, recipe: &Recipe) -> Result<HashSet<usize>, PlanError> {
    if recipe.effort != Effort::Feedback || recipe.file_type == FileType::COPY {
        return Ok(HashSet::new());
    }
    if !recipe.prune_layers.is_empty() {
        return Err(PlanError::PrunedRun);
    }
    let model = granule_infer::Model::open(source);
    let model = model.map_err(|error| PlanError::NoRun { problem: error.to_string() })?;
    Ok(model.products().into_iter().flatten().collect())
}

/// A tensor of the source under its new name.
struct Named<'s> {
    index: usize,
    name: Cow<'s, str>,
    source: &'s SourceTensor,
}

/// Returns the tensors in the order of the result: by block number, then by name, both as in the
/// source.
fn in_order<'s>(source: &'s dyn Source, recipe: &Recipe, prune: Option<&Prune>) -> Vec<Named<'s>> {
    let mut tensors: Vec<(usize, &SourceTensor)> = source.tensors().iter().enumerate().collect();
    if !recipe.keep_split {
        tensors.sort_by_cached_key(|(_, tensor)| {
            (block_number::leading(&tensor.name).unwrap_or(-1), tensor.name.as_bytes())
        });
    }
    let named = |(index, source): (usize, &'s SourceTensor)| {
        let name = match prune {
            None => Cow::Borrowed(source.name.as_str()),
            Some(prune) => Cow::Owned(prune.rename(&source.name)?),
        };
        Some(Named { index, name, source })
    };
    tensors.into_iter().filter_map(named).collect()
}

fn warnings(recipe: &Recipe, model: &Model, assumed: &Assumed) -> impl Iterator<Item = Warning> {
    let converts = recipe.file_type != FileType::COPY;
    let unknown = (assumed.unknown_architecture && converts)
        .then(|| Warning::UnknownArchitecture(model.architecture.clone()));
    let counted =
        (assumed.counted_blocks && converts).then_some(Warning::CountedBlocks(model.blocks));
    unknown.into_iter().chain(counted)
}

/// Chooses the types of one tensor after another, and collects problems.
struct Decider<'m> {
    recipe: &'m Recipe,
    model: &'m Model,
    /// Whether the architecture is not known.
    unknown: bool,
    /// The tensors whose inputs a run of the model tells, by their places in the source.
    products: HashSet<usize>,
    importance: Option<&'m Importance>,
    mixture: Option<Mixture<'m>>,
    patterns: Vec<Pattern<'m>>,
    output_type_used: bool,
    embedding_type_used: bool,
    /// For each problem the first tensor, its type, and the number of tensors: those that need a
    /// matrix, need an entry, should have an entry, or have an entry of zeros only.
    needs_matrix: Option<(String, BlockType, usize)>,
    needs_entry: Option<(String, BlockType, usize)>,
    lacks_entry: Option<(String, BlockType, usize)>,
    zero_entry: Option<(String, BlockType, usize)>,
    requantized: Option<PlanError>,
    problems: Vec<PlanError>,
}

impl<'m> Decider<'m> {
    fn new(
        recipe: &'m Recipe,
        model: &'m Model,
        importance: Option<&'m Importance>,
    ) -> Result<Self, Error> {
        let patterns = recipe
            .tensor_types
            .iter()
            .map(|wanted| {
                let regex = wanted.regex()?;
                let (text, ty) = (wanted.pattern.as_str(), wanted.ty);
                Ok(Pattern { text, regex, ty, found: false, convertible: false, used: false })
            })
            .collect::<Result<_, crate::RecipeError>>()?;
        let default = recipe.file_type.default_type();
        Ok(Self {
            recipe,
            model,
            unknown: false,
            products: HashSet::new(),
            importance,
            mixture: default.map(|default| Mixture::new(model, recipe.file_type, default)),
            patterns,
            output_type_used: false,
            embedding_type_used: false,
            needs_matrix: None,
            needs_entry: None,
            lacks_entry: None,
            zero_entry: None,
            requantized: None,
            problems: Vec::new(),
        })
    }

    fn decide(&mut self, tensor: &Named<'_>) -> Result<PlannedTensor, PlanError> {
        let name = tensor.name.as_ref();
        let shape = self.written_shape(&tensor.source.shape);
        let stored = tensor.source.ty;
        let reason = self.keeps(name, &shape, stored);
        let convertible = reason.is_none();
        for pattern in &mut self.patterns {
            if pattern.regex.is_match(name) {
                pattern.found = true;
                pattern.convertible |= convertible;
            }
        }
        let mut wanted = None;
        let (reason, target) = match reason {
            Some(reason) => (reason, stored),
            None => {
                let (reason, chosen, must_fit) = self.choose(name, &shape)?;
                let target = match must_fit {
                    Some(option) => self.as_asked(name, &shape, chosen, option),
                    None => self.fitting(name, &shape, chosen)?,
                };
                wanted = (target != chosen).then_some(chosen);
                (reason, target.into())
            }
        };
        let copied = target == stored;
        if !copied {
            self.check_requantizing(name, stored, target);
        }
        let calibrated = !copied
            && self.products.contains(&tensor.index)
            && target.known().is_some_and(BlockType::is_quantized);
        let weighted =
            !(copied || calibrated) && self.weigh(&tensor.source.name, name, &shape, target);
        let bytes =
            |shape: &Shape, ty| tensor_bytes(shape, ty).ok_or_else(|| no_size(name, shape, ty));
        let stored_bytes = bytes(&tensor.source.shape, stored)?;
        // a requested type that does not fit has already been recorded as a problem
        let target_bytes = bytes(&shape, target)
            .or_else(|error| if self.problems.is_empty() { Err(error) } else { Ok(0) })?;
        Ok(PlannedTensor {
            name: name.to_owned(),
            source: tensor.index,
            source_name: tensor.source.name.clone(),
            shape,
            stored,
            target,
            reason,
            wanted,
            weighted,
            calibrated,
            stored_bytes,
            target_bytes,
            shard: 0,
        })
    }

    /// Returns the dimensions in the result. The reference drops trailing dimensions of 1. It
    /// refuses architectures that it does not know, and programs for those often compare shapes.
    fn written_shape(&self, shape: &Shape) -> Shape {
        if self.unknown { *shape } else { without_trailing_ones(shape) }
    }

    /// Returns why the tensor keeps its type, if it does.
    fn keeps(&self, name: &str, shape: &Shape, stored: TensorType) -> Option<Reason> {
        if self.mixture.is_none() {
            return Some(Reason::Copied);
        }
        let leave_output = self.recipe.leave_output_tensor;
        kept(name, shape, stored, &self.model.architecture, leave_output).map(Reason::Kept)
    }

    /// Returns the type that the tensor should get, the reason, and the option that requires it, if
    /// one does.
    fn choose(
        &mut self,
        name: &str,
        shape: &Shape,
    ) -> Result<(Reason, BlockType, Option<&'static str>), PlanError> {
        let first = self.patterns.iter().position(|pattern| pattern.regex.is_match(name));
        if let Some(ty) = self.recipe.token_embedding_type
            && is_embedding(name)
            && !(name == LAYER_EMBEDDING && first.is_some())
        {
            self.embedding_type_used = true;
            return Ok((Reason::TokenEmbeddingType, ty, Some(TOKEN_EMBEDDING_TYPE)));
        }
        if let Some(ty) = self.recipe.output_tensor_type
            && name == OUTPUT
        {
            self.output_type_used = true;
            return Ok((Reason::OutputTensorType, ty, Some(OUTPUT_TENSOR_TYPE)));
        }
        let default = self.recipe.file_type.default_type();
        let default = default.expect("nothing is chosen where everything is copied");
        if !default.is_quantized() {
            return Ok((Reason::Default, default, None));
        }
        if let Some(first) = first {
            let pattern = &mut self.patterns[first];
            pattern.used = true;
            return Ok((Reason::Pattern(pattern.text.to_owned()), pattern.ty, None));
        }
        if self.recipe.pure {
            return Ok((Reason::Default, default, None));
        }
        if let Some(ty) = self.recipe.output_tensor_type
            && self.model.tied
            && Category::of(name) == Category::Embedding
        {
            self.output_type_used = true;
            return Ok((Reason::OutputTensorType, ty, None));
        }
        let mixture = self.mixture.as_mut().expect("there is one for every default type");
        let choice = mixture.choose(name, shape).map_err(|error| PlanError::NoSuchBlock {
            tensor: name.to_owned(),
            number: error.number,
            blocks: error.blocks,
        })?;
        Ok((choice.rule.map_or(Reason::Default, Reason::Rule), choice.ty, None))
    }

    /// Returns the type that an option requires.
    fn as_asked(
        &mut self,
        name: &str,
        shape: &Shape,
        ty: BlockType,
        option: &'static str,
    ) -> BlockType {
        if ty.row_bytes(shape.row()).is_none() {
            let (tensor, row) = (name.to_owned(), shape.row());
            self.problems.push(PlanError::DoesNotFit { tensor, row, ty, option });
        }
        ty
    }

    /// Returns the type, or its fallback if rows are not whole blocks of it.
    fn fitting(
        &mut self,
        name: &str,
        shape: &Shape,
        wanted: BlockType,
    ) -> Result<BlockType, PlanError> {
        let row = shape.row();
        let tensor = || name.to_owned();
        let instead = fit(wanted, row).ok_or_else(|| PlanError::NoFallback {
            tensor: tensor(),
            shape: *shape,
            wanted,
        })?;
        if instead != wanted && self.recipe.no_fallback {
            let tensor = tensor();
            self.problems.push(PlanError::FallbackForbidden { tensor, row, wanted, instead });
        }
        Ok(instead)
    }

    fn check_requantizing(&mut self, name: &str, stored: TensorType, target: TensorType) {
        if let (Some(stored), Some(target)) = (stored.known(), target.known())
            && stored.is_quantized()
            && !self.recipe.allow_requantize
            && self.requantized.is_none()
        {
            let tensor = name.to_owned();
            self.requantized = Some(PlanError::Requantize { tensor, stored, target });
        }
    }

    /// Returns whether the tensor is encoded with weights.
    fn weigh(&mut self, source_name: &str, name: &str, shape: &Shape, target: TensorType) -> bool {
        let Some(ty) = target.known().filter(|ty| ty.is_quantized()) else { return false };
        let needs = needs_importance(name, ty, self.recipe.file_type);
        let count = |slot: &mut Option<(String, BlockType, usize)>| {
            slot.get_or_insert_with(|| (name.to_owned(), ty, 0)).2 += 1;
        };
        let Some(importance) = self.importance else {
            if needs || cannot_do_without(ty) {
                count(&mut self.needs_matrix);
            }
            return false;
        };
        let weighs = self.recipe.weighs(source_name);
        if let Some(weights) = importance.get(source_name).filter(|_| weighs) {
            let expected = importance_values(shape);
            let found = weights.len() as u64;
            if found == expected {
                let columns = shape.row().max(1) as usize;
                if uses_weights(ty, self.recipe.effort)
                    && weights
                        .chunks(columns)
                        .any(|columns| columns.iter().all(|weight| *weight == 0.0))
                {
                    count(&mut self.zero_entry);
                }
                return true;
            }
            if !is_embedding(name) {
                let tensor = name.to_owned();
                self.problems.push(PlanError::EntrySize { tensor, expected, found });
                return false;
            }
        }
        if needs || cannot_do_without(ty) {
            count(&mut self.needs_entry);
        } else if weighs && !outside_importance(name) && uses_weights(ty, self.recipe.effort) {
            count(&mut self.lacks_entry);
        }
        false
    }

    /// Returns the problems that prevent the plan from running, and those that the recipe allows.
    /// `idle` lists the options without effect that are detected independently of the tensors.
    fn problems(self, idle: Vec<PlanError>) -> (Vec<PlanError>, Vec<PlanError>) {
        let allow_missing = self.recipe.allow_missing;
        let used = Used {
            patterns: &self.patterns,
            output_type: self.output_type_used,
            embedding_type: self.embedding_type_used,
        };
        let mut missing = used.without_effect(self.recipe, self.model.tied);
        missing.extend(idle);
        let mut problems = self.problems;
        problems.extend(self.requantized);
        let needs = self.needs_matrix.map(|(tensor, ty, tensors)| PlanError::NeedsImportance {
            tensor,
            ty,
            tensors,
        });
        problems.extend(needs);
        let needs = self.needs_entry.map(|(tensor, ty, tensors)| PlanError::NeedsEntry {
            tensor,
            ty,
            tensors,
        });
        problems.extend(needs);
        let lacks =
            self.lacks_entry.map(|(tensor, _, tensors)| PlanError::NoEntry { tensor, tensors });
        missing.extend(lacks);
        let zero =
            self.zero_entry.map(|(tensor, _, tensors)| PlanError::ZeroEntry { tensor, tensors });
        missing.extend(zero);
        if !allow_missing {
            problems.append(&mut missing);
        }
        (problems, missing)
    }
}

/// Returns whether weights change what the encoder does.
fn uses_weights(ty: BlockType, effort: Effort) -> bool {
    encoder_at(ty, effort).is_some_and(|encoder| encoder.weighting() != Weighting::Ignored)
}

pub(super) fn no_size(name: &str, shape: &Shape, ty: TensorType) -> PlanError {
    PlanError::Size { tensor: name.to_owned(), shape: *shape, ty }
}

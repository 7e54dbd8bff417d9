//! What is fixed and what can be chosen: the tensors of a plan with the types that each can have.

use granule_encode::{Effort, Importance};
use granule_format::{BlockType, FileType, TensorType};
use granule_reader::Source;

use super::choose::{Choice, choose};
use super::{SizeError, SizeRequest, TargetSize};
use crate::mixture::category::{Category, EMBEDDING, OUTPUT};
use crate::mixture::fallback::{can_be_chosen, cannot_do_without, needs_importance};
use crate::plan::{Plan, PlanError, PlannedTensor, Reason, tensor_bytes};
use crate::recipe::Recipe;

/// The types that are tried, the smallest first. Those with blocks of 32 values are for rows that
/// are not whole super-blocks.
const TYPES: &[BlockType] = {
    use BlockType::*;
    &[
        IQ2_XXS, IQ2_XS, IQ2_S, Q2_K, IQ3_XXS, IQ3_S, Q3_K, IQ4_XS, Q4_K, Q5_K, Q6_K, IQ4_NL, Q4_0,
        Q4_1, Q5_0, Q5_1, Q8_0,
    ]
};

/// The file types whose rules are scaled, if no model is run. Those from a codebook need an
/// importance matrix.
const NAMED: &[FileType] = {
    use FileType::*;
    &[Q2_K, Q3_K_S, Q3_K_M, Q3_K_L, IQ4_XS, Q4_K_S, Q4_K_M, Q5_K_S, Q5_K_M, Q6_K, Q8_0]
};
const NAMED_WITH_IMPORTANCE: &[FileType] = {
    use FileType::*;
    &[IQ2_XXS, IQ2_XS, IQ2_S, IQ2_M, IQ3_XXS]
};

/// A tensor whose type can be chosen.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Its place in the plan.
    pub(super) place: usize,
    /// Its place in the source.
    pub(super) source: usize,
    /// Its name without the number of the block and the ending.
    pub(super) role: String,
    pub(super) options: Vec<Candidate>,
}

/// A type that a tensor can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) ty: BlockType,
    /// Bytes that count: with padding if the size is that of a file.
    pub(super) bytes: u64,
}

/// A plan with open types.
pub(super) struct Frame<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) importance: Option<&'a Importance>,
    pub(super) request: SizeRequest,
    /// The largest named mixture that is no larger than the target, or the smallest of all.
    pub(super) plan: Plan,
    pub(super) problems: Vec<PlanError>,
    pub(super) items: Vec<Item>,
    /// The plan of the next larger named mixture; `None` if the base is the largest, or itself too
    /// large.
    larger: Option<Plan>,
    /// Whether the user allows quantizing again.
    requantize: bool,
}

impl<'a> Frame<'a> {
    pub(super) fn new(
        source: &'a dyn Source,
        recipe: &Recipe,
        importance: Option<&'a Importance>,
        request: SizeRequest,
    ) -> Result<Self, SizeError> {
        if let (Some(least), Some(most)) = (request.least, request.most)
            && bits(least) > bits(most)
        {
            return Err(SizeError::Bounds { least, most });
        }
        let codebooks: &[FileType] = if importance.is_some() { NAMED_WITH_IMPORTANCE } else { &[] };
        let mut named = Vec::new();
        for file_type in codebooks.iter().chain(NAMED) {
            let mut recipe = recipe.clone();
            recipe.file_type = *file_type;
            // a tensor that is quantized keeps its type, unless the user wants another
            recipe.allow_requantize = true;
            let (plan, problems) = Plan::preview(source, &recipe, importance)?;
            named.push((plan, problems));
        }
        let mut frame = Self {
            source,
            importance,
            request,
            plan: named[0].0.clone(),
            problems: Vec::new(),
            items: Vec::new(),
            larger: None,
            requantize: recipe.allow_requantize,
        };
        frame.items = frame.find_items();
        if frame.items.is_empty() {
            return Err(SizeError::NothingToChoose);
        }
        for (plan, _) in &mut named {
            frame.bound(plan)?;
        }
        let mut sized = Vec::new();
        for (plan, problems) in named {
            sized.push((frame.measure(&plan)?, plan, problems));
        }
        sized.sort_by_key(|(size, ..)| *size);
        let limit = frame.limit();
        let base = sized.iter().rposition(|(size, ..)| *size <= limit);
        frame.larger = base.and_then(|base| Some(sized.get(base + 1)?.1.clone()));
        let (_, plan, problems) = sized.swap_remove(base.unwrap_or(0));
        (frame.plan, frame.problems) = (plan, problems);
        // which tensors need importance is seen with the types that they get
        frame.problems.retain(|problem| {
            !matches!(problem, PlanError::NeedsImportance { .. } | PlanError::NeedsEntry { .. })
        });
        Ok(frame)
    }

    /// The tensors whose types can be chosen, with the types that they can have.
    fn find_items(&self) -> Vec<Item> {
        let items = self.plan.tensors().iter().enumerate().filter_map(|(place, tensor)| {
            let is_open = matches!(tensor.reason, Reason::Default | Reason::Rule(_));
            let options = if is_open { self.options(tensor) } else { Vec::new() };
            let role = role(&tensor.name);
            (!options.is_empty()).then_some(Item { place, source: tensor.source, role, options })
        });
        items.collect()
    }

    fn options(&self, tensor: &PlannedTensor) -> Vec<Candidate> {
        let Some(stored) = tensor.stored.known() else { return Vec::new() };
        let candidate = |ty: BlockType| {
            let bytes = self.counted(tensor_bytes(&tensor.shape, ty.into())?);
            Some(Candidate { ty, bytes })
        };
        let keep = candidate(stored);
        if stored.is_quantized() && !self.requantize {
            return keep.into_iter().collect();
        }
        let super_blocks = tensor.shape.row().is_multiple_of(256);
        let weights = self.importance.and_then(|matrix| matrix.get(&tensor.source_name));
        let weighted = weights.is_some() && self.plan.recipe().weighs(&tensor.source_name);
        let allowed = |ty: BlockType| {
            let small = matches!(ty, BlockType::IQ4_NL | BlockType::Q4_0 | BlockType::Q4_1)
                || matches!(ty, BlockType::Q5_0 | BlockType::Q5_1);
            let needs = cannot_do_without(ty)
                || needs_importance("blk.0.ffn_up.weight", ty, FileType::Q4_K_M);
            !(small && super_blocks) && (weighted || !needs)
        };
        let mut types: Vec<BlockType> =
            TYPES.iter().copied().filter(|ty| allowed(*ty) && self.is_within(*ty)).collect();
        if self.is_within(stored) && can_be_chosen(stored) && bits(stored) <= 16.0 {
            types.push(stored);
        } else if let Some(BlockType::F16 | BlockType::BF16) = self.request.most {
            types.extend(self.request.most);
        }
        types.dedup();
        let found: Vec<Candidate> = types.into_iter().filter_map(candidate).collect();
        if found.is_empty() { keep.into_iter().collect() } else { found }
    }

    /// Adds a type to the options of an item: one on whose grid its weights lie.
    pub(super) fn offer(&mut self, item: usize, ty: BlockType) {
        if !self.is_within(ty) || self.items[item].options.iter().any(|option| option.ty == ty) {
            return;
        }
        let shape = self.plan.tensors()[self.items[item].place].shape;
        if let Some(bytes) = tensor_bytes(&shape, ty.into()) {
            let bytes = self.counted(bytes);
            self.items[item].options.push(Candidate { ty, bytes });
        }
    }

    fn is_within(&self, ty: BlockType) -> bool {
        let SizeRequest { least, most, .. } = self.request;
        least.is_none_or(|least| bits(ty) >= bits(least))
            && most.is_none_or(|most| bits(ty) <= bits(most))
    }

    /// Brings the types of a named mixture between floor and ceiling.
    fn bound(&self, plan: &mut Plan) -> Result<(), PlanError> {
        let mut changes = Vec::new();
        for item in &self.items {
            let target = plan.tensors()[item.place].target;
            let Some(ty) = target.known() else { continue };
            if item.options.iter().any(|option| option.ty == ty) {
                continue;
            }
            let distance = |option: &&Candidate| (bits(option.ty) - bits(ty)).abs();
            let nearest = item
                .options
                .iter()
                .min_by(|one, other| distance(one).total_cmp(&distance(other)))
                .expect("an item has options");
            let why = if target == nearest.ty.into() { "kept" } else { "the nearest type allowed" };
            changes.push((item.place, nearest.ty, why.to_owned()));
        }
        plan.set_types(changes, self.importance)
    }

    /// The bytes of a tensor as they count.
    fn counted(&self, bytes: u64) -> u64 {
        match self.request.target {
            TargetSize::Bytes(_) => bytes.next_multiple_of(self.alignment()),
            TargetSize::BitsPerWeight(_) => bytes,
        }
    }

    fn alignment(&self) -> u64 {
        let key = granule_format::container::ALIGNMENT_KEY;
        let alignment = match self.plan.metadata().get(key) {
            Some(granule_format::Value::U32(alignment)) => u64::from(*alignment),
            _ => 32,
        };
        alignment.max(1)
    }

    /// What the size of a plan is compared with.
    pub(super) fn limit(&self) -> u64 {
        match self.request.target {
            TargetSize::Bytes(bytes) => bytes,
            TargetSize::BitsPerWeight(bits) => (bits * weights(&self.plan) as f64 / 8.0) as u64,
        }
    }

    /// The size of a plan: of its files, or of its data.
    pub(super) fn measure(&self, plan: &Plan) -> Result<u64, SizeError> {
        match self.request.target {
            TargetSize::Bytes(_) => Ok(plan.file_bytes()?),
            TargetSize::BitsPerWeight(_) => Ok(plan.target_bytes()),
        }
    }

    /// The plan in which the items have the types that cost least, where `costs` has a cost for
    /// each option of each item.
    pub(super) fn plan_for(
        &self,
        costs: &[Vec<f64>],
        reason: &dyn Fn(usize, usize) -> String,
    ) -> Result<(Plan, Vec<usize>), SizeError> {
        let choices: Vec<Vec<Choice>> = self
            .items
            .iter()
            .zip(costs)
            .map(|(item, costs)| {
                let pairs = item.options.iter().zip(costs);
                pairs.map(|(option, cost)| Choice { bytes: option.bytes, cost: *cost }).collect()
            })
            .collect();
        let own: u64 = self
            .items
            .iter()
            .map(|item| self.counted(self.plan.tensors()[item.place].target_bytes))
            .sum();
        let fixed = self.measure(&self.plan)?.saturating_sub(own);
        let mut budget = self.limit().checked_sub(fixed);
        // the files of a split set have headers whose number depends on the types
        for _ in 0..8 {
            let chosen = budget.and_then(|budget| choose(&choices, budget));
            let Some(chosen) = chosen else { break };
            let mut plan = self.plan.clone();
            let types = self.items.iter().zip(&chosen).enumerate().map(|(i, (item, option))| {
                (item.place, item.options[*option].ty, reason(i, *option))
            });
            plan.set_types(types.collect::<Vec<_>>(), self.importance)?;
            plan.allow_requantize(self.requantize);
            let over = self.measure(&plan)?.saturating_sub(self.limit());
            if over == 0 {
                return Ok((plan, chosen));
            }
            budget = budget.and_then(|budget| budget.checked_sub(over));
        }
        Err(self.too_small()?)
    }

    /// Checks that some choice is small enough.
    pub(super) fn least(&self) -> Result<(), SizeError> {
        let costs: Vec<Vec<f64>> =
            self.items.iter().map(|item| vec![0.0; item.options.len()]).collect();
        self.plan_for(&costs, &|_, _| String::new()).map(|_| ())
    }

    /// The plan in which every item has its smallest type.
    fn smallest(&self) -> Result<Plan, SizeError> {
        let mut plan = self.plan.clone();
        let types: Vec<_> = self
            .items
            .iter()
            .map(|item| {
                let least = item.options.iter().min_by_key(|option| option.bytes);
                let ty = least.expect("an item has options").ty;
                (item.place, ty, "the smallest type allowed".to_owned())
            })
            .collect();
        plan.set_types(types, self.importance)?;
        Ok(plan)
    }

    fn too_small(&self) -> Result<SizeError, SizeError> {
        let plan = self.smallest()?;
        let hint = match (self.request.least, self.importance) {
            (Some(_), _) => "; a lower --min-type allows for less",
            (None, None) => "; with --imatrix smaller types are possible",
            (None, Some(_)) => "",
        };
        Ok(SizeError::TooSmall {
            target: self.request.target,
            least: plan.file_bytes()?,
            bits: plan.target_bytes() as f64 * 8.0 / weights(&plan).max(1) as f64,
            hint,
        })
    }

    /// The rules of the named mixtures, scaled: the base, with as many tensors in the type of the
    /// next larger mixture as there is room for, the smallest tensors first. Below the smallest
    /// mixture, the base has the smallest types.
    pub(super) fn scaled(&self) -> Result<Plan, SizeError> {
        let smallest;
        let (base, larger) = if self.measure(&self.plan)? <= self.limit() {
            (&self.plan, self.larger.as_ref())
        } else {
            smallest = self.smallest()?;
            (&smallest, Some(&self.plan))
        };
        let Some(left) = self.limit().checked_sub(self.measure(base)?) else {
            return Err(self.too_small()?);
        };
        let changes = larger.map_or(Vec::new(), |larger| self.upgrades(base, larger, left));
        // a split set may have more files, and so more bytes, with larger tensors
        for spent in (0..=changes.len()).rev() {
            let mut plan = base.clone();
            plan.set_types(changes[..spent].to_vec(), self.importance)?;
            plan.allow_requantize(self.requantize);
            if self.measure(&plan)? <= self.limit() {
                return Ok(plan);
            }
        }
        Err(self.too_small()?)
    }

    /// The items that can have the type of a larger plan within a number of bytes more.
    fn upgrades(
        &self,
        base: &Plan,
        larger: &Plan,
        mut left: u64,
    ) -> Vec<(usize, BlockType, String)> {
        let mut places: Vec<usize> = self.items.iter().map(|item| item.place).collect();
        places.sort_by_key(|place| base.tensors()[*place].target_bytes);
        let mut changes = Vec::new();
        for place in places {
            let (from, to) = (&base.tensors()[place], &larger.tensors()[place]);
            let [from, bytes] = [from, to].map(|tensor| self.counted(tensor.target_bytes));
            if let (Some(ty), Some(more)) = (to.target.known(), bytes.checked_sub(from))
                && (1..=left).contains(&more)
            {
                left -= more;
                changes.push((place, ty, format!("as in {}, there is room", larger.file_type())));
            }
        }
        changes
    }

    /// The effort that tensors are encoded with.
    pub(super) fn effort(&self) -> Effort {
        self.plan.recipe().effort
    }

    /// The importance of an item's columns, if it is encoded with it.
    pub(super) fn weights(&self, item: &Item) -> Option<&'a [f32]> {
        let tensor = &self.plan.tensors()[item.place];
        let matrix = self.importance.filter(|_| self.plan.recipe().weighs(&tensor.source_name))?;
        let matrices = tensor.shape.dimensions().get(2).copied().unwrap_or(1);
        let expected = tensor.shape.row() * matrices;
        matrix.get(&tensor.source_name).filter(|weights| weights.len() as u64 == expected)
    }

    /// Mean bits of the items' values at the target.
    pub(super) fn mean_bits(&self) -> f64 {
        self.limit() as f64 * 8.0 / weights(&self.plan).max(1) as f64
    }

    pub(super) fn stored(&self, item: &Item) -> TensorType {
        self.plan.tensors()[item.place].stored
    }
}

/// Bits for each value of a type.
pub(super) fn bits(ty: BlockType) -> f64 {
    ty.block_bytes() as f64 * 8.0 / ty.block_values() as f64
}

/// The values of all tensors.
pub(super) fn weights(plan: &Plan) -> u64 {
    plan.tensors()
        .iter()
        .fold(0, |sum, tensor| sum.saturating_add(tensor.shape.values().unwrap_or_default()))
}

/// What tensors of all layers have in common: `attn_q` for `blk.3.attn_q.weight`.
fn role(name: &str) -> String {
    let short = name.strip_suffix(".weight").unwrap_or(name);
    if name == OUTPUT || name == EMBEDDING || Category::of(name) == Category::Embedding {
        return short.to_owned();
    }
    let parts: Vec<&str> = short.split('.').filter(|part| part.parse::<u64>().is_err()).collect();
    let start = usize::from(parts.len() > 1 && parts[0] == "blk");
    parts[start..].join(".")
}

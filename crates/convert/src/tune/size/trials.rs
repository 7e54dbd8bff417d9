//! Candidates for the choice of all types, compared by their real divergence.

use granule_infer::stream::Observed;
use granule_infer::{Chunks, Model};

use super::costs::{Costs, Role, Scale};
use super::frame::{Frame, weights};
use super::{Progress, RoleCost, SizeError, Sized, Trial};
use crate::plan::Plan;
use crate::tune::Quantized;

/// How much a role counts in a proposal: its name, what was measured, and the place of the item.
type Weight<'w> = dyn Fn(&str, &Role, usize) -> f64 + 'w;

/// The best of a few choices, each made from other weights of the roles. `chunks` are not those
/// that the costs were measured with.
pub(super) fn best(
    frame: &Frame<'_>,
    costs: &Costs,
    model: &Model<'_>,
    chunks: &Chunks,
    on: &mut dyn FnMut(Progress<'_>) -> Observed,
) -> Result<Sized, SizeError> {
    let uniform = costs.uniform;
    let by_role = |_: &str, role: &Role, _: usize| {
        if role.change > 0.0 { role.divergence.max(0.0) / role.change } else { uniform }
    };
    let alike = |name: &str, role: &Role, place: usize| {
        if role.is_layered { uniform } else { by_role(name, role, place) }
    };
    let between = |name: &str, role: &Role, place: usize| {
        (by_role(name, role, place) * alike(name, role, place)).sqrt()
    };
    let proposals: [(&str, &Weight<'_>); 3] = [
        ("costs of roles as measured", &by_role),
        ("costs of roles alike", &alike),
        ("costs of roles between both", &between),
    ];
    let scale = Scale::new(model, chunks)?;
    let mut trials = Trials { frame, costs, scale, tried: Vec::new(), best: None, on };
    if let Ok(plan) = frame.scaled() {
        trials.run("rules of the named mixtures", plan)?;
    }
    let rules = trials.tried.len();
    for (name, weight) in proposals {
        trials.propose(name, weight)?;
    }
    // what follows changes the best of these
    let first = &trials.tried[rules..];
    let least = (0..first.len())
        .min_by(|one, other| first[*one].divergence.total_cmp(&first[*other].divergence));
    let base = proposals[least.unwrap_or(0)].1;
    let layers = model.layers().max(1) as f64;
    let depth = |place: usize| layer(frame, place).map_or(0.5, |layer| layer as f64 / layers);
    let early = |name: &str, role: &Role, place: usize| {
        base(name, role, place) * (0.5 - depth(place)).exp2()
    };
    let late = |name: &str, role: &Role, place: usize| {
        base(name, role, place) * (depth(place) - 0.5).exp2()
    };
    let inner = |name: &str, role: &Role, place: usize| {
        base(name, role, place) * if role.is_layered { 1.5 } else { 1.0 }
    };
    let outer = |name: &str, role: &Role, place: usize| {
        base(name, role, place) / if role.is_layered { 1.5 } else { 1.0 }
    };
    let changes: [(&str, &Weight<'_>); 4] = [
        ("early layers cost more", &early),
        ("late layers cost more", &late),
        ("layers cost more", &inner),
        ("embedding and output cost more", &outer),
    ];
    for (name, weight) in changes {
        trials.propose(name, weight)?;
    }
    let Trials { tried, best, .. } = trials;
    let (plan, _) = best.ok_or(SizeError::NotFinite)?;
    let roles = costs.roles.iter().map(|(name, role)| RoleCost {
        name: name.clone(),
        change: role.is_layered.then_some(role.change),
        divergence: role.divergence,
    });
    Ok(Sized {
        bits_per_weight: plan.target_bytes() as f64 * 8.0 / weights(&plan).max(1) as f64,
        plan,
        problems: frame.problems.clone(),
        trials: tried,
        roles: roles.collect(),
    })
}

fn layer(frame: &Frame<'_>, place: usize) -> Option<u64> {
    let name = &frame.plan.tensors()[frame.items[place].place].name;
    name.strip_prefix("blk.")?.split('.').next()?.parse().ok()
}

struct Trials<'t, 'f> {
    frame: &'t Frame<'f>,
    costs: &'t Costs,
    scale: Scale<'t>,
    tried: Vec<Trial>,
    best: Option<(Plan, f64)>,
    on: &'t mut dyn FnMut(Progress<'_>) -> Observed,
}

impl Trials<'_, '_> {
    fn propose(&mut self, name: &str, weight: &Weight<'_>) -> Result<(), SizeError> {
        let table = self.costs.table(self.frame, weight);
        let reason = |item: usize, option: usize| self.reason(item, option);
        let (plan, _) = self.frame.plan_for(&table, &reason)?;
        self.run(name, plan)
    }

    /// Why an item has this type, as far as a number can say it.
    fn reason(&self, item: usize, option: usize) -> String {
        let (of, changes) = (&self.frame.items[item], &self.costs.changes[item]);
        let own = of.options[option].bytes;
        let smaller = (0..of.options.len()).filter(|other| of.options[*other].bytes < own);
        let next = smaller.max_by_key(|other| of.options[*other].bytes);
        let amount = |option: usize| match self.costs.roles[&of.role].is_layered {
            true => format!("{:.3} %", 100.0 * changes[option]),
            false => format!("{:.2}", changes[option]),
        };
        let next = next
            .map_or(String::new(), |next| format!(" ({}: {})", of.options[next].ty, amount(next)));
        match self.costs.roles[&of.role].is_layered {
            true => format!("changes its layer by {}{next}", amount(option)),
            false => format!("error by that of the reference type {}{next}", amount(option)),
        }
    }

    fn run(&mut self, name: &str, plan: Plan) -> Result<(), SizeError> {
        if let Some((best, divergence)) = &self.best
            && best
                .tensors()
                .iter()
                .map(|tensor| tensor.target)
                .eq(plan.tensors().iter().map(|tensor| tensor.target))
        {
            let divergence = *divergence;
            self.tried.push(Trial { name: name.to_owned(), bytes: plan.file_bytes()?, divergence });
            return Ok(());
        }
        (self.on)(Progress::Trial { name, number: self.tried.len() })
            .map_err(granule_infer::Error::Observer)?;
        let quantized = Quantized::of_plan(&plan, self.frame.source, self.frame.importance);
        let divergence = match self.scale.divergence(&quantized, self.on) {
            // a model that is too coarse to compute with loses against any other
            Err(SizeError::NotFinite) => f64::INFINITY,
            other => other?,
        };
        self.tried.push(Trial { name: name.to_owned(), bytes: plan.file_bytes()?, divergence });
        if self.best.as_ref().is_none_or(|(_, least)| divergence < *least) {
            self.best = Some((plan, divergence));
        }
        Ok(())
    }
}

//! Which tensors of the checkpoint become which tensors of the file, with everything checked.

use std::collections::HashMap;

use granule_format::{BlockType, Shape};

use super::out_type::Writable;
use crate::Error;
use crate::arch::{Arch, Computed, Config, LAYERS, Number, Presence, Rope, TensorRule};
use crate::source::data_type::DataType;
use crate::source::weights::{StoredTensor, Weights};
use crate::source::{Problem, SourceTensor};
use crate::transform::{RowOrder, Transform};

/// Where the rows of a tensor come from.
#[derive(Clone, Debug)]
pub(super) enum Assembled {
    /// From tensors of the checkpoint, by their indices: one, or one for each expert.
    Stored { parts: Vec<usize>, order: RowOrder },
    /// From the config.
    Computed(Vec<f32>),
}

/// The numbers in a tensor's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Place {
    layer: Option<u64>,
    expert: Option<u64>,
}

/// Tensors that are no part of the model: what they hold follows from the config.
const LEFT_OUT_SUFFIXES: &[&str] =
    &[".attention.masked_bias", ".attention.bias", ".rotary_emb.inv_freq"];

/// Parts of larger models that are no part of the text model, by the start of the name.
const OTHER_PREFIXES: &[&str] = &[
    "mlp",
    "vit.",
    "vpm.",
    "siglip2.",
    "conformer.",
    "merger.",
    "resampler.",
    "sound_encoder.",
    "sound_projection.",
    "speech_embeddings.",
];

/// The same, by any part of the name.
const OTHER_PARTS: &[&str] = &[
    "audio.",
    "audio_",
    "code2wav.",
    "image_newline",
    "model.connector.",
    "patch_embed",
    "patch_merge_mlp.",
    "patch_merger.",
    "pre_mm_projector_norm",
    "projector.",
    "talker.",
    "token2wav.",
    "view_seperator",
    "vision.",
    "vision_",
    "visual.",
];

/// Map all tensors, in the order of the file.
pub(super) fn map(
    arch: &'static Arch,
    config: &Config,
    rope: &Rope<'_>,
    weights: &Weights,
    out_type: Writable,
    warnings: &mut Vec<String>,
) -> Result<Vec<(SourceTensor, Assembled)>, Error> {
    let numbers = Numbers::read(arch, config)?;
    let mut mapper = Mapper { arch, config, weights, out_type, numbers, done: Vec::new() };
    for computed in arch.computed {
        mapper.compute(computed, rope)?;
    }
    let headless = arch.headless.contains(&config.class()?);
    let mut found = HashMap::new();
    let mut stacked: HashMap<u64, u64> = HashMap::new();
    for (index, tensor) in weights.tensors().iter().enumerate() {
        match left_out(&tensor.name) {
            LeftOut::No => {}
            LeftOut::Redundant => continue,
            LeftOut::OtherPart => {
                warnings
                    .push(format!("tensor {:?} is not of the text model: left out", tensor.name));
                continue;
            }
        }
        let (rule, place) = mapper.rule_for(tensor, headless)?;
        mapper.check_shape(&arch.tensors[rule], tensor)?;
        if let Some(other) = found.insert((rule, place), index) {
            let other = weights.tensors()[other].name.clone();
            return Err(mapper.fail(tensor, Problem::SameTarget { other }));
        }
        if place.expert.is_none() {
            mapper.add(&arch.tensors[rule], place.layer, vec![index])?;
            continue;
        }
        // The stacks of a layer take their place where the last of its experts was.
        let layer = place.layer.unwrap_or_default();
        let seen = stacked.entry(layer).or_default();
        *seen += 1;
        let rules = arch.tensors.iter().enumerate().filter(|(_, rule)| is_stacked(rule));
        if *seen == mapper.numbers.experts.saturating_mul(rules.clone().count() as u64) {
            for (number, rule) in rules {
                let part = |expert| found[&(number, Place { expert: Some(expert), ..place })];
                mapper.add(rule, place.layer, (0..mapper.numbers.experts).map(part).collect())?;
            }
        }
    }
    mapper.check_presence(&found, headless, warnings)?;
    Ok(mapper.done)
}

/// How often the rules repeat.
#[derive(Clone, Copy)]
struct Numbers {
    layers: u64,
    experts: u64,
}

impl Numbers {
    fn read(arch: &Arch, config: &Config) -> Result<Self, Error> {
        let experts = match config.first(arch.experts) {
            Some((key, value)) => config.unsigned(key, value)?,
            None => 0,
        };
        Ok(Self { layers: config.number(&Number::Key(LAYERS))?, experts })
    }
}

struct Mapper<'a> {
    arch: &'static Arch,
    config: &'a Config,
    weights: &'a Weights,
    out_type: Writable,
    numbers: Numbers,
    done: Vec<(SourceTensor, Assembled)>,
}

impl Mapper<'_> {
    fn fail(&self, tensor: &StoredTensor, problem: Problem) -> Error {
        Error::of_tensor(self.weights.path(tensor), &tensor.name, problem)
    }

    /// The rule for a tensor and the numbers in its name.
    fn rule_for(&self, tensor: &StoredTensor, headless: bool) -> Result<(usize, Place), Error> {
        let mut name = tensor.name.replace("language_model.", "");
        if headless {
            name.insert_str(0, "model.");
        }
        let mut rules = self.arch.tensors.iter().enumerate();
        let fit = rules.find_map(|(number, rule)| Some((number, fit(rule.source, &name)?)));
        let arch = self.arch.name;
        let (rule, place) =
            fit.ok_or_else(|| self.fail(tensor, Problem::Unmapped { arch, beyond: None }))?;
        let limits = [
            (place.layer, self.numbers.layers, "layers"),
            (place.expert, self.numbers.experts, "experts"),
        ];
        for (number, count, what) in limits {
            if number.is_some_and(|number| number >= count) {
                let beyond = Some((count, what));
                return Err(self.fail(tensor, Problem::Unmapped { arch, beyond }));
            }
        }
        Ok((rule, place))
    }

    fn check_shape(&self, rule: &TensorRule, tensor: &StoredTensor) -> Result<(), Error> {
        let numbers = rule.shape.iter().map(|number| self.config.number(number));
        let expected = numbers.collect::<Result<Vec<_>, _>>()?;
        if tensor.shape != expected {
            let by = rule.shape.iter().map(Number::to_string).collect::<Vec<_>>().join(", ");
            let found = tensor.shape.clone();
            return Err(self.fail(tensor, Problem::Shape { found, expected, by }));
        }
        Ok(())
    }

    /// Append a tensor of the file.
    fn add(
        &mut self,
        rule: &TensorRule,
        layer: Option<u64>,
        parts: Vec<usize>,
    ) -> Result<(), Error> {
        let tensor = &self.weights.tensors()[parts[0]];
        let others = parts.iter().map(|part| &self.weights.tensors()[*part]);
        if let Some(other) = others.clone().find(|other| other.ty != tensor.ty) {
            let problem = Problem::MixedTypes { found: other.ty.name(), first: tensor.ty.name() };
            return Err(self.fail(other, problem));
        }
        let mut dimensions: Vec<u64> = tensor.shape.iter().rev().copied().collect();
        if is_stacked(rule) {
            dimensions.push(parts.len() as u64);
        }
        let shape = Shape::new(&dimensions)
            .filter(|shape| shape.values().is_some())
            .ok_or_else(|| self.fail(tensor, Problem::TooLarge(tensor.shape.clone())))?;
        let order = match rule.transform {
            Transform::Keep => RowOrder::Same,
            Transform::PairRows { heads } => {
                let heads = self.config.number(heads)?;
                let rows = tensor.shape.first().copied().unwrap_or_default();
                match rows.checked_div(heads) {
                    Some(head) if head.is_multiple_of(2) && head * heads == rows => {
                        RowOrder::Pairs { head }
                    }
                    _ => return Err(self.fail(tensor, Problem::Heads { rows, heads })),
                }
            }
        };
        let name = numbered(rule.target, Place { layer, expert: None });
        self.push(name, shape, Assembled::Stored { parts, order });
        Ok(())
    }

    fn compute(&mut self, computed: &Computed, rope: &Rope<'_>) -> Result<(), Error> {
        match computed {
            Computed::RopeFrequencies { head } => {
                let head = self.config.number(head)?;
                if head > MOST_COMPUTED {
                    let head = serde_json::Value::from(head);
                    return Err(self.config.wrong("head_dim", &head, "at most 65536"));
                }
                if let Some(factors) = rope.llama3_factors(head)? {
                    let shape = Shape::new(&[factors.len() as u64]).expect("one dimension");
                    self.push("rope_freqs.weight".to_owned(), shape, Assembled::Computed(factors));
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, name: String, shape: Shape, from: Assembled) {
        let encoded = |parts: &[usize]| self.weights.tensors()[parts[0]].ty == DataType::Mxfp4;
        let ty = match &from {
            Assembled::Computed(_) => BlockType::F32,
            Assembled::Stored { parts, .. } if encoded(parts) => BlockType::MXFP4,
            Assembled::Stored { .. } => self.out_type.of_tensor(&name, &shape),
        };
        self.done.push((SourceTensor { name, shape, ty: ty.into() }, from));
    }

    /// Every tensor that the architecture needs must have been found.
    fn check_presence(
        &self,
        found: &HashMap<(usize, Place), usize>,
        headless: bool,
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        let set = |key: &str| match self.config.get(key) {
            None | Some(serde_json::Value::Bool(false)) => false,
            Some(value) => value.as_u64() != Some(0),
        };
        let all = |there: bool, count: u64| {
            (0..if there { count } else { 1 }).map(move |number| there.then_some(number))
        };
        for layer in all(true, self.numbers.layers) {
            for (number, rule) in self.arch.tensors.iter().enumerate() {
                let needed = match rule.presence {
                    Presence::Needed => true,
                    Presence::Optional => false,
                    Presence::If(key) => set(key),
                    Presence::Unless(key) | Presence::Advised(key) => !set(key),
                };
                let layered = rule.source.contains("{layer}");
                if !needed || (!layered && layer != Some(0)) {
                    continue;
                }
                for expert in all(is_stacked(rule), self.numbers.experts) {
                    let place = Place { layer: layer.filter(|_| layered), expert };
                    if found.contains_key(&(number, place)) {
                        continue;
                    }
                    let name = numbered(rule.source, place);
                    let name = if headless { name.trim_start_matches("model.") } else { &name };
                    if let Presence::Advised(key) = rule.presence {
                        warnings.push(format!(
                            "tensor {name:?} is missing although config.json does not set {key:?}: \
                             programs will use another in its place"
                        ));
                        continue;
                    }
                    let problem = Problem::MissingTensor { arch: self.arch.name };
                    return Err(Error::of_tensor(self.weights.folder(), name, problem));
                }
            }
        }
        Ok(())
    }
}

/// More numbers are never computed from the config for one tensor.
const MOST_COMPUTED: u64 = 65_536;

fn is_stacked(rule: &TensorRule) -> bool {
    rule.source.contains("{expert}")
}

enum LeftOut {
    No,
    Redundant,
    OtherPart,
}

fn left_out(name: &str) -> LeftOut {
    let any = |parts: &[&str], of: fn(&str, &str) -> bool| parts.iter().any(|part| of(name, part));
    if any(LEFT_OUT_SUFFIXES, |name, part| name.ends_with(part)) {
        LeftOut::Redundant
    } else if any(OTHER_PREFIXES, |name, part| name.starts_with(part))
        || any(OTHER_PARTS, |name, part| name.contains(part))
    {
        LeftOut::OtherPart
    } else {
        LeftOut::No
    }
}

/// The numbers in `name` if it has the form of `pattern`.
fn fit(pattern: &str, name: &str) -> Option<Place> {
    let mut place = Place::default();
    let mut words = name.split('.');
    for part in pattern.split('.') {
        let word = words.next()?;
        let number = || word.parse().ok().filter(|number: &u64| number.to_string() == word);
        match part {
            "{layer}" => place.layer = Some(number()?),
            "{expert}" => place.expert = Some(number()?),
            _ if part == word => {}
            _ => return None,
        }
    }
    words.next().is_none().then_some(place)
}

/// A pattern with its numbers filled in.
fn numbered(pattern: &str, place: Place) -> String {
    let fill = |name: &str, key: &str, number: Option<u64>| match number {
        Some(number) => name.replace(key, &number.to_string()),
        None => name.to_owned(),
    };
    fill(&fill(pattern, "{layer}", place.layer), "{expert}", place.expert)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns_as_a_whole() {
        let pattern = "model.layers.{layer}.experts.{expert}.w1.weight";
        let place = Place { layer: Some(12), expert: Some(3) };
        let name = "model.layers.12.experts.3.w1.weight";
        assert_eq!(fit(pattern, name), Some(place));
        assert_eq!(numbered(pattern, place), name);
        for other in [
            "model.layers.12.experts.3.w1",
            "model.layers.12.experts.3.w1.weight.x",
            "model.layers.012.experts.3.w1.weight",
            "model.layers.+12.experts.3.w1.weight",
            "model.layers..experts.3.w1.weight",
        ] {
            assert_eq!(fit(pattern, other), None, "{other}");
        }
    }
}

//! Rules: what the tensors of a checkpoint become.

use regex::Regex;

use super::{Calculation, Change, Expression, Pattern, Scope};
use crate::transform::View;
use crate::{Error, Problem};

/// A rule: what a tensor of the checkpoint becomes.
#[derive(Clone, Debug)]
pub struct TensorRule {
    /// Its name in the checkpoint, or the names of several tensors that are concatenated.
    pub sources: Vec<NamePattern>,
    /// Its dimensions in the checkpoint, outermost first; the same for each source.
    pub shape: Vec<Expression>,
    /// Whether other dimensions with as many values are as good.
    pub any_shape: bool,
    /// What it becomes: one tensor, or several.
    pub outputs: Vec<Output>,
    /// Whether the results of the patterns are added, not concatenated.
    pub sum: bool,
    /// The places on a side of the square in the file, if the rows are for the places of a square.
    pub resample: Option<Expression>,
    /// How its values are changed.
    pub change: Change,
    /// The number of ids, if the values are ids less their position: they are written as ids of 64
    /// bits, after all other tensors.
    pub ids_below: Option<Expression>,
    /// Whether the rule applies; evaluated without a layer.
    pub when: Option<Expression>,
    /// Whether the architecture needs the tensor; evaluated for each layer.
    pub needed: Expression,
    /// Whether a missing tensor is only a warning, because programs that run the model use another
    /// tensor instead.
    pub advised: bool,
    /// Whether its outputs precede those of all other rules.
    pub early: bool,
    /// Whether early outputs stand in the order of rules and layers, not where they were read.
    pub by_layer: bool,
    /// Whether the tensor is dropped; evaluated for each layer.
    pub drop: Option<Expression>,
    /// The type of its outputs, whatever the file's is.
    pub ty: Option<RuleType>,
    /// Whether it is dropped if another tensor has already become the same one of the file.
    pub spare: bool,
    /// A tensor of the file; if it has the same values, this one is dropped.
    pub unless_equal: Option<String>,
    /// The name under which expressions find the values, of all layers in order. The tensor becomes
    /// no tensor of the file then.
    pub number: Option<String>,
    /// Rows that hold only zeros, whose indices become a number.
    pub zero_rows: Option<ZeroRows>,
    /// Whether the tensors of a stack are concatenated, whatever their lengths.
    pub joined: bool,
    /// Whether rows of zeros make the tensors of a stack as long as the longest.
    pub padded: bool,
    /// The number of rows in the file, if rows of zeros are appended.
    pub rows: Option<Expression>,
    /// The number of zeros before the first along the outermost dimension.
    pub zeros_before: Option<Expression>,
}

/// A tensor of the file.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its name, with `{layer}` for a number.
    pub target: String,
    /// Whether it is written; evaluated for each layer.
    pub when: Option<Expression>,
    /// Whether it repeats values that another result of the rule has, so that an export ignores it.
    pub again: bool,
    /// The number, if it is not that of the layer in the checkpoint.
    pub number: Option<Expression>,
    /// How its values are calculated, if they are not those of the sources.
    pub calculation: Option<Calculation>,
    /// How the values of the source are rearranged. The results of several patterns are
    /// concatenated; without a pattern, nothing moves.
    pub patterns: Vec<Pattern>,
    /// How many equal parts of the outermost dimension are rearranged, each on its own.
    pub parts: Option<Expression>,
    /// The layers that the name is for, if the source is for none.
    pub(crate) place: Option<LayerRange>,
}

/// The dimensions of a piece of a tensor, outermost first, and where its values come from.
pub(crate) type Shaped = (Vec<u64>, View);

/// Layers that a name stands for: one, or those up to another.
#[derive(Clone, Debug)]
pub(crate) struct LayerRange {
    /// Its place in the name, braces included.
    pub(crate) text: String,
    pub(crate) first: Expression,
    pub(crate) end: Option<Expression>,
}

/// The indices of a tensor's rows that hold only zeros, as a number of the description.
#[derive(Clone, Debug)]
pub struct ZeroRows {
    /// The name of the number.
    pub number: String,
    /// The first row that counts.
    pub from: Expression,
}

/// A type that a rule gives its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleType {
    /// Single precision.
    F32,
    /// Half precision, unless the tensor has one dimension.
    F16,
    /// Half precision in files of that type, single precision in all others.
    F16OrF32,
    /// 32-bit integers.
    I32,
    /// That of the file, although others of the name are F32.
    File,
}

/// A replacement in names.
#[derive(Clone, Debug)]
pub struct Rename {
    /// What is replaced.
    pub pattern: Regex,
    /// The replacement; `$1` is what the first group matched.
    pub with: String,
}

/// Tensors that are dropped.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Matches whole names. With `beyond`, the first group is the number of a layer.
    pub pattern: Regex,
    /// The first layer whose tensors are dropped.
    pub beyond: Option<Expression>,
    /// Whether they are dropped at all; evaluated without a layer.
    pub when: Option<Expression>,
    /// Whether all their values must be zero.
    pub zeros: bool,
}

/// A name with placeholders for numbers: `{layer}` and `{expert}`, or `{layer:decoder_layers}` with
/// an expression for their count. In `{layer-layers}` the name has the number of the layer less
/// that of the first one.
#[derive(Clone, Debug)]
pub struct NamePattern {
    text: String,
    words: Vec<Word>,
    /// The number of layers; `None` if the name has no layer.
    pub layers: Option<Expression>,
    /// The first layer, if not 0; the name counts from there.
    pub first: Option<Expression>,
    /// The number of experts; `None` if the name has no expert.
    pub experts: Option<Expression>,
}

#[derive(Clone, Debug)]
enum Word {
    Text(String),
    Layer,
    Expert,
    Number,
}

/// The numbers in a tensor's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) layer: Option<u64>,
    pub(crate) expert: Option<u64>,
    /// A number that is kept and not counted.
    pub(crate) number: Option<u64>,
}

impl TensorRule {
    /// The dimensions in the checkpoint as text.
    pub(crate) fn shape_text(&self) -> String {
        self.shape.iter().map(Expression::to_string).collect::<Vec<_>>().join(", ")
    }

    /// The key by which rules with experts are stacked together.
    pub(crate) fn stack(&self) -> Option<String> {
        self.sources.first()?.experts.as_ref().map(Expression::to_string)
    }
}

impl LeftOut {
    /// Parses a name, in which `*` matches anything and `{beyond}` the number of a layer past the
    /// last.
    pub(super) fn new(name: &str, when: Option<Expression>, zeros: bool) -> Result<Self, String> {
        let parts = name.split("{beyond}").map(|part| regex::escape(part).replace(r"\*", ".*"));
        let parts: Vec<_> = parts.collect();
        let beyond = match parts.len() {
            1 => None,
            2 => Some(Expression::parse("blocks")?),
            _ => return Err(format!("left-out {name:?}: {{beyond}} stands there twice")),
        };
        let whole = format!("^{}$", parts.join("([0-9]+)"));
        let pattern = Regex::new(&whole).map_err(|why| format!("left-out {name:?}: {why}"))?;
        Ok(Self { pattern, beyond, when, zeros })
    }

    /// Whether a tensor of this name is dropped from a model with that many layers.
    pub(crate) fn fits(&self, name: &str, layers: Option<u64>) -> bool {
        let Some(found) = self.pattern.captures(name) else { return false };
        let layer = found.get(1).and_then(|layer| layer.as_str().parse::<u64>().ok());
        self.beyond.is_none() || layer.zip(layers).is_none_or(|(layer, layers)| layer >= layers)
    }
}

impl NamePattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pattern = Self {
            text: text.to_owned(),
            words: Vec::new(),
            layers: None,
            first: None,
            experts: None,
        };
        for word in text.split('.') {
            let place = word.strip_prefix('{').and_then(|word| word.strip_suffix('}'));
            let Some(place) = place else {
                if word.is_empty() || word.contains(['{', '}', ' ']) {
                    return Err(format!("{text:?} is no name of a tensor: {word:?}"));
                }
                pattern.words.push(Word::Text(word.to_owned()));
                continue;
            };
            if place == "number" {
                pattern.words.push(Word::Number);
                continue;
            }
            let (kind, count) = place.split_once(':').unwrap_or((place, ""));
            let (kind, first) = kind.split_once('-').unwrap_or((kind, ""));
            if kind == "layer" && !first.is_empty() {
                pattern.first = Some(Expression::parse(first)?);
            }
            let (word, slot, usual) = match kind {
                "layer" => (Word::Layer, &mut pattern.layers, "blocks"),
                "expert" => (Word::Expert, &mut pattern.experts, "experts"),
                _ => return Err(format!("{text:?}: {{{place}}} is no place for a number")),
            };
            *slot = Some(Expression::parse(if count.is_empty() { usual } else { count })?);
            pattern.words.push(word);
        }
        Ok(pattern)
    }

    /// The numbers in `name`, if it has this form.
    pub(crate) fn fit(&self, name: &str) -> Option<Place> {
        let mut place = Place::default();
        let mut words = name.split('.');
        for part in &self.words {
            let word = words.next()?;
            let number = || word.parse().ok().filter(|number: &u64| number.to_string() == word);
            match part {
                Word::Layer => place.layer = Some(number()?),
                Word::Expert => place.expert = Some(number()?),
                Word::Number => place.number = Some(number()?),
                Word::Text(text) if text == word => {}
                Word::Text(_) => return None,
            }
        }
        words.next().is_none().then_some(place)
    }

    /// The name with numbers filled in.
    pub(crate) fn fill(&self, place: Place) -> String {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let words = self.words.iter().map(|word| match word {
            Word::Text(text) => text.clone(),
            Word::Layer => number(place.layer).unwrap_or_default(),
            Word::Expert => number(place.expert).unwrap_or_default(),
            Word::Number => number(place.number).unwrap_or_default(),
        });
        words.collect::<Vec<_>>().join(".")
    }

    /// The same pattern with another prefix.
    pub(super) fn with_start(&self, from: &str, to: &str) -> Option<Result<Self, String>> {
        Some(Self::parse(&format!("{to}{}", self.text.strip_prefix(from)?)))
    }

    /// The same pattern with another suffix.
    pub(super) fn with_end(&self, from: &str, to: &str) -> Option<Self> {
        let text = self.text.strip_suffix(from)?.to_owned() + to;
        Self::parse(&text).ok()
    }

    /// Whether it has a number that is not counted.
    pub(super) fn has_number(&self) -> bool {
        self.words.iter().any(|word| matches!(word, Word::Number))
    }

    /// The text that it was parsed from.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl Output {
    /// A tensor of this name. A place in the name other than `{layer}` says for which layers it is.
    pub(super) fn new(target: String, patterns: Vec<Pattern>) -> Result<Self, String> {
        let place = target.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
        let place = match place {
            Some((place, _)) if !matches!(place, "layer" | "number") => {
                let (first, end) = match place.split_once("..") {
                    Some((first, end)) => (first, Some(Expression::parse(end)?)),
                    None => (place, None),
                };
                let first = Expression::parse(first)?;
                Some(LayerRange { text: format!("{{{place}}}"), first, end })
            }
            _ => None,
        };
        Ok(Self {
            target,
            when: None,
            again: false,
            patterns,
            parts: None,
            place,
            number: None,
            calculation: None,
        })
    }

    /// Whether a layer has it; `scope` is that of the layer.
    pub(crate) fn applies<'a>(&'a self, scope: &Scope<'a>) -> Result<bool, Error> {
        self.when.as_ref().map_or(Ok(true), |when| scope.holds(when))
    }

    /// What it uses of a tensor with these dimensions: the dimensions of each piece, outermost
    /// first, and where its values come from.
    pub(crate) fn views<'a>(
        &'a self,
        scope: &Scope<'a>,
        shape: &[u64],
    ) -> Result<Result<Vec<Shaped>, Problem>, Error> {
        if self.patterns.is_empty() {
            return Ok(Ok(vec![(shape.to_vec(), View::whole(shape.iter().product()))]));
        }
        let parts = self.parts.as_ref().map_or(Ok(1), |parts| scope.count(parts))?;
        let mut part = shape.to_vec();
        match part.first_mut() {
            Some(first) if parts > 0 && first.is_multiple_of(parts) => *first /= parts,
            _ if parts == 1 => {}
            _ => {
                let pattern = format!("{parts} parts");
                return Ok(Err(Problem::Rearrange { pattern, shape: shape.to_vec() }));
            }
        }
        let values: u64 = part.iter().product();
        let mut views = Vec::new();
        for number in 0..parts {
            for pattern in &self.patterns {
                match pattern.apply(scope, &part)? {
                    Ok((shape, view)) => views.push((shape, view.moved_by(number * values))),
                    Err(problem) => return Ok(Err(problem)),
                }
            }
        }
        Ok(Ok(views))
    }

    /// The name with the number of the layer filled in.
    pub(crate) fn name(&self, layer: Option<u64>) -> String {
        match layer {
            Some(layer) => self.target.replace("{layer}", &layer.to_string()),
            None => self.target.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Config;

    #[test]
    fn parts_are_rearranged_one_by_one() {
        let patterns = ["row[1::2] -> row", "row[::2] -> row"];
        let patterns = patterns.map(|text| Pattern::parse(text).unwrap()).to_vec();
        let mut output = Output::new("a".to_owned(), patterns).unwrap();
        output.parts = Some(Expression::parse("heads").unwrap());
        let sources = |heads: u64, rows: u64| {
            let config = Config::of(serde_json::json!({"heads": heads}));
            let numbers = Vec::new();
            let views = output.views(&config.bare_scope(&numbers), &[rows]).unwrap().ok()?;
            let sources = views.iter().flat_map(|(_, view)| {
                (0..view.values()).map(|value| view.source(value)).collect::<Vec<_>>()
            });
            Some(sources.collect::<Vec<_>>())
        };
        assert_eq!(sources(1, 4).unwrap(), [1, 3, 0, 2]);
        assert_eq!(sources(2, 8).unwrap(), [1, 3, 0, 2, 5, 7, 4, 6]);
        assert_eq!(sources(0, 8), None);
        assert_eq!(sources(3, 8), None);
        assert_eq!(sources(8, 8), None); // the parts have no second row
    }

    #[test]
    fn names_fit_patterns_as_a_whole() {
        let pattern =
            NamePattern::parse("model.layers.{layer}.experts.{expert:heads}.w1.weight").unwrap();
        let place = Place { layer: Some(12), expert: Some(3), number: None };
        let name = "model.layers.12.experts.3.w1.weight";
        assert_eq!(pattern.fit(name), Some(place));
        assert_eq!(pattern.fill(place), name);
        assert_eq!(pattern.experts.as_ref().map(Expression::to_string).as_deref(), Some("heads"));
        for other in [
            "model.layers.12.experts.3.w1",
            "model.layers.12.experts.3.w1.weight.x",
            "model.layers.012.experts.3.w1.weight",
            "model.layers.+12.experts.3.w1.weight",
            "model.layers..experts.3.w1.weight",
        ] {
            assert_eq!(pattern.fit(other), None, "{other}");
        }
        let twice = NamePattern::parse("blocks.{layer}.{number}.weight").unwrap();
        let place = Place { layer: Some(1), expert: None, number: Some(7) };
        assert_eq!(twice.fit("blocks.1.7.weight"), Some(place));
        assert_eq!(twice.fill(place), "blocks.1.7.weight");
        for wrong in ["a..b", "a.{layers}", "a.{x", ""] {
            assert!(NamePattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_left_out() {
        let fits = |pattern: &str, name: &str| {
            LeftOut::new(pattern, None, false).map(|left_out| left_out.fits(name, Some(10)))
        };
        for (pattern, name, expected) in [
            ("pooler.*", "pooler.dense.weight", true),
            ("pooler.*", "a.pooler.dense.weight", false),
            ("*.pooler", "pooler.x", false),
            ("a.{beyond}.*", "a.10.b", true),
            ("a.{beyond}.*", "a.9.b", false),
            ("a.{beyond}.*", "a.x.b", false),
            ("a.{beyond}.*", "a.99999999999999999999.b", true),
        ] {
            assert_eq!(fits(pattern, name), Ok(expected), "{pattern} {name}");
        }
        assert!(fits("{beyond}.{beyond}", "").is_err());
    }
}

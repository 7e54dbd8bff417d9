//! Patterns, which say how the values of a tensor are rearranged.
//!
//! In `(head=heads half=2 row) column -> (head row half) column`, the first dimension consists of
//! heads, and each head has two halves of rows. In the file the halves are interleaved.
//!
//! - On the left, parentheses split a dimension. `=` gives a size; one size in each pair of
//!   parentheses may be omitted. `[start:end:step]` after a name keeps a part of that dimension;
//!   before parentheses, only that part is split.
//! - On the right, every name occurs once, and parentheses join dimensions. A new name with a size
//!   repeats the values.
//! - `1` is a dimension of size 1. It may be on one side alone.

use std::fmt;

use super::expression::{Expression, Scope};
use crate::Error;
use crate::Problem;
use crate::transform::{Axis, View};

/// A pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    /// Dimensions in the checkpoint, outermost first.
    left: Vec<Vec<Name>>,
    /// Of each of them, the part that is split.
    parts: Vec<Option<Part>>,
    /// Dimensions in the file, outermost first.
    right: Vec<Vec<Word>>,
}

/// A word on the right.
#[derive(Clone, Debug)]
enum Word {
    One,
    /// The index of a name on the left.
    Of(usize),
    /// The same values this many times.
    Repeated(Expression),
}

/// A name on the left.
#[derive(Clone, Debug)]
struct Name {
    name: String,
    size: Option<Expression>,
    /// Start, end and step.
    part: Option<Part>,
}

/// Start, end and step of a part of a dimension.
type Part = [Option<Expression>; 3];

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// If `text` is no pattern; the error quotes it and says why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fail = |why: &str| format!("pattern {text:?}: {why}");
        let (left, right) = text.split_once("->").ok_or_else(|| fail("there is no \"->\""))?;
        let (mut parts, mut names) = (Vec::new(), Vec::new());
        for (part, group) in groups(left).map_err(|why| fail(&why))? {
            parts.push(part.map(self::part).transpose()?);
            names.push(group.into_iter().map(Name::parse).collect::<Result<Vec<_>, _>>()?);
        }
        let left = names;
        let names: Vec<&Name> = left.iter().flatten().collect();
        for (index, name) in names.iter().enumerate() {
            if name.name != "1" && names[..index].iter().any(|other| other.name == name.name) {
                return Err(fail(&format!("{} stands twice on the left", name.name)));
            }
        }
        let mut seen = vec![false; names.len()];
        let mut place = |word: &str| {
            if word == "1" {
                return Ok(Word::One);
            }
            if let Some((name, size)) = word.split_once('=') {
                if names.iter().any(|other| other.name == name) {
                    return Err(fail(&format!("{name} has a size on the right")));
                }
                return Ok(Word::Repeated(Expression::parse(size)?));
            }
            let index = names.iter().position(|name| name.name == word);
            let index = index.ok_or_else(|| fail(&format!("{word} is not on the left")))?;
            if std::mem::replace(&mut seen[index], true) {
                return Err(fail(&format!("{word} stands twice on the right")));
            }
            Ok(Word::Of(index))
        };
        let right = groups(right)
            .map_err(|why| fail(&why))?
            .into_iter()
            .map(|(part, group)| match part {
                None => group.into_iter().map(&mut place).collect(),
                Some(_) => Err(fail("a part stands on the right")),
            })
            .collect::<Result<Vec<Vec<_>>, _>>()?;
        let lost = names.iter().zip(&seen).find(|(name, seen)| !**seen && name.name != "1");
        if let Some((lost, _)) = lost {
            return Err(fail(&format!("{} is not on the right", lost.name)));
        }
        Ok(Self { text: text.trim().to_owned(), left, parts, right })
    }

    /// The expressions in it: sizes, and bounds of parts.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let names = self.left.iter().flatten();
        let parts = self.parts.iter().flatten().flatten().flatten();
        let repeated = self.right.iter().flatten().filter_map(|word| match word {
            Word::Repeated(size) => Some(size),
            _ => None,
        });
        names
            .flat_map(|name| name.size.iter().chain(name.part.iter().flatten().flatten()))
            .chain(parts)
            .chain(repeated)
    }

    /// Applies the pattern to a tensor with these dimensions, outermost first. Gives the dimensions
    /// in the file, outermost first, and where its values come from.
    pub(crate) fn apply<'a>(
        &'a self,
        scope: &Scope<'a>,
        shape: &[u64],
    ) -> Result<Result<(Vec<u64>, View), Problem>, Error> {
        let unfit = || Problem::Rearrange { pattern: self.text.clone(), shape: shape.to_vec() };
        if shape.len() != self.left.len() {
            return Ok(Err(unfit()));
        }
        let mut axes = Vec::new();
        let mut offset = 0;
        let mut outer: u64 = shape.iter().product();
        for ((group, part), size) in self.left.iter().zip(&self.parts).zip(shape) {
            outer = outer.checked_div(*size).unwrap_or_default();
            // What is split: the dimension, or a part of it.
            let (start, size, between) = match part {
                None => (0, *size, 1),
                Some(part) => match range(scope, part, *size)? {
                    Some(range) => range,
                    None => return Ok(Err(unfit())),
                },
            };
            offset += start * outer;
            let mut sizes = Vec::new();
            for name in group {
                sizes.push(match &name.size {
                    Some(size) => Some(scope.unsigned(size)?),
                    None => None,
                });
            }
            let known = sizes.iter().flatten().try_fold(1_u64, |all, size| all.checked_mul(*size));
            let rest = known.and_then(|known| size.checked_div(known)).unwrap_or_default();
            let sizes = sizes.into_iter().map(|size| size.unwrap_or(rest));
            let sizes: Vec<u64> = sizes.collect();
            if sizes.iter().try_fold(1_u64, |all, size| all.checked_mul(*size)) != Some(size) {
                return Ok(Err(unfit()));
            }
            let mut stride = outer * between * size;
            for (name, size) in group.iter().zip(sizes) {
                stride = stride.checked_div(size).unwrap_or_default();
                let (start, count, step) = match &name.part {
                    None => (0, size, 1),
                    Some(part) => match range(scope, part, size)? {
                        Some(range) => range,
                        None => return Ok(Err(unfit())),
                    },
                };
                offset += start * stride;
                axes.push(Axis { count, stride: stride * step });
            }
        }
        let axis = |word: &'a Word| {
            Ok(match word {
                Word::One => Axis { count: 1, stride: 0 },
                Word::Of(index) => axes[*index],
                Word::Repeated(size) => Axis { count: scope.unsigned(size)?, stride: 0 },
            })
        };
        let right = self.right.iter().map(|group| group.iter().map(axis).collect());
        let right = right.collect::<Result<Vec<Vec<Axis>>, Error>>()?;
        let dimensions =
            right.iter().map(|group| group.iter().map(|axis| axis.count).product()).collect();
        Ok(Ok((dimensions, View::new(offset, right.concat()))))
    }

    /// The pattern for a bias: without the last dimension, which must not move.
    pub(crate) fn of_bias(&self) -> Result<Self, String> {
        let mut bias = self.clone();
        let index = self.left.iter().flatten().count().wrapping_sub(1);
        let whole = bias.parts.pop().is_some_and(|part| part.is_none());
        let column = bias
            .left
            .pop()
            .filter(|_| whole)
            .filter(|group| group.len() == 1 && group[0].part.is_none());
        let last = bias.right.pop();
        if column.is_none() || !matches!(last.as_deref(), Some([Word::Of(last)]) if *last == index)
        {
            return Err(format!("pattern {:?} cannot be applied to a bias", self.text));
        }
        bias.text += " (bias)";
        Ok(bias)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Name {
    fn parse(word: &str) -> Result<Self, String> {
        let (word, part) = match word.strip_suffix(']').and_then(|word| word.split_once('[')) {
            Some((word, part)) => (word, Some(part)),
            None => (word, None),
        };
        let (name, size) = match word.split_once('=') {
            Some((name, size)) => (name, Some(Expression::parse(size)?)),
            None if word == "1" => (word, Some(Expression::parse("1")?)),
            None => (word, None),
        };
        if name.is_empty()
            || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        {
            return Err(format!("{name:?} is no name in a pattern"));
        }
        Ok(Self { name: name.to_owned(), size, part: part.map(self::part).transpose()? })
    }
}

/// Parses a part: `start:end:step`.
fn part(text: &str) -> Result<Part, String> {
    let mut texts = text.split(':');
    let mut next = || match texts.next().map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => Expression::parse(text).map(Some),
    };
    let part = [next()?, next()?, next()?];
    match texts.next() {
        None => Ok(part),
        Some(_) => Err(format!("{text:?}: start, end and step are all there is")),
    }
}

/// Start, count and step of a part of `size`.
fn range<'a>(
    scope: &Scope<'a>,
    part: &'a Part,
    size: u64,
) -> Result<Option<(u64, u64, u64)>, Error> {
    let value = |at: usize| part[at].as_ref().map(|part| scope.signed(part)).transpose();
    // As in Python, negative numbers count from the end, and larger ones mean the end.
    let bound = |value: i64| match value {
        0.. => Some(size.min(value as u64)),
        _ => size.checked_sub(value.unsigned_abs()),
    };
    let start = bound(value(0)?.unwrap_or(0));
    let end = value(1)?.map_or(Some(size), bound);
    let step = value(2)?.unwrap_or(1);
    Ok(match (start, end, step) {
        (Some(start), Some(end), 1..) if start < end => {
            Some((start, (end - start).div_ceil(step as u64), step as u64))
        }
        _ => None,
    })
}

/// Words in parentheses, or one alone, with the part that stands before them.
type Group<'t> = (Option<&'t str>, Vec<&'t str>);

/// The words of one side, grouped by parentheses, each with the part that stands before it.
fn groups(text: &str) -> Result<Vec<Group<'_>>, String> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut inside = false;
    for word in text.split_whitespace() {
        let before = word.strip_prefix('[').and_then(|word| word.split_once("]("));
        let (part, word) = match before {
            Some((part, rest)) => (Some(part), &word[word.len() - rest.len() - 1..]),
            None => (None, word),
        };
        let (opens, word) = word.strip_prefix('(').map_or((false, word), |word| (true, word));
        let (closes, word) = word.strip_suffix(')').map_or((false, word), |word| (true, word));
        if opens && inside || closes && !inside && !opens || word.is_empty() {
            return Err("parentheses do not match".to_owned());
        }
        match groups.last_mut() {
            Some((_, group)) if inside => group.push(word),
            _ => groups.push((part, vec![word])),
        }
        inside = (inside || opens) && !closes;
    }
    if inside { Err("a parenthesis is not closed".to_owned()) } else { Ok(groups) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::arch::Config;

    /// The dimensions, and the indices of the values in the source.
    fn apply(pattern: &str, shape: &[u64]) -> Option<(Vec<u64>, Vec<u64>)> {
        let config = Config::of(json!({"heads": 2, "part": 1}));
        let numbers = Vec::new();
        let scope = config.bare_scope(&numbers);
        let pattern = Pattern::parse(pattern).unwrap();
        let (dimensions, view) = pattern.apply(&scope, shape).unwrap().ok()?;
        let values = dimensions.iter().product();
        Some((dimensions, (0..values).map(|value| view.source(value)).collect()))
    }

    #[test]
    fn patterns_say_where_values_come_from() {
        /// Pattern, dimensions before and after, values in their new order.
        type Case = (&'static str, &'static [u64], &'static [u64], &'static [u64]);
        let cases: &[Case] = &[
            ("a b -> b a", &[2, 3], &[3, 2], &[0, 3, 1, 4, 2, 5]),
            (
                "(head=heads half=2 row) -> (head row half)",
                &[12],
                &[12],
                &[0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11],
            ),
            ("(a[part:] b=2) -> (a b)", &[6], &[4], &[2, 3, 4, 5]),
            ("[part:](head=heads row) 1 -> (row head)", &[5, 1], &[4], &[1, 3, 2, 4]),
            ("[::2](a=heads b) c -> b (a c)", &[8, 1], &[2, 2], &[0, 4, 2, 6]),
            ("a[:-1] b -> a b", &[2, 2], &[1, 2], &[0, 1]),
            ("a b[1::2] -> a b", &[2, 4], &[2, 2], &[1, 3, 5, 7]),
            ("a 1 b -> a b 1", &[2, 1, 2], &[2, 2, 1], &[0, 1, 2, 3]),
            ("a[:1] (b=2 c) -> (again=heads a) (c b)", &[3, 4], &[2, 4], &[0, 2, 1, 3, 0, 2, 1, 3]),
            ("a b c -> (a c) b", &[2, 2, 2], &[4, 2], &[0, 2, 1, 3, 4, 6, 5, 7]),
        ];
        for (pattern, shape, dimensions, sources) in cases {
            let (found, values) = apply(pattern, shape).unwrap_or_else(|| panic!("{pattern}"));
            assert_eq!((&found[..], &values[..]), (*dimensions, *sources), "{pattern}");
        }
        for (pattern, shape) in [
            ("a b -> b a", &[2_u64][..]),
            ("(head=heads row) -> (head row)", &[7]),
            ("a[3:] -> a", &[3]),
            ("a[:-4] -> a", &[3]),
        ] {
            assert_eq!(apply(pattern, shape), None, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        for (text, why) in [
            ("a b", "->"),
            ("a -> b", "not on the left"),
            ("a b -> a", "not on the right"),
            ("(a b) -> [1:](a b)", "part stands on the right"),
            ("a a -> a", "twice on the left"),
            ("a -> (a a)", "twice on the right"),
            ("a -> a=2", "size on the right"),
            ("(a -> a", "not closed"),
            ("a) -> a", "do not match"),
            ("a[1:2:3:4] -> a", "start, end and step"),
            ("a=( -> a", "no value"),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}

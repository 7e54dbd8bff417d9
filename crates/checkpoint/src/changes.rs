//! Changes of values, with their numbers: what a conversion calculates, and the way back.

use std::hash::{Hash, Hasher};
use std::ops::Range;

use half::f16;

use crate::exponential::exp;
use crate::softplus::softplus;

/// Steps by which the values of a tensor are changed, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changes {
    steps: Vec<Step>,
}

/// A step, and the values that it concerns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) what: What,
    /// The values that it concerns; all of them if `None`.
    pub(crate) rows: Option<Rows>,
}

/// Indices in the outermost dimension of a tensor in the file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rows {
    pub(crate) range: Range<u64>,
    /// The number of indices after which the range repeats, if it does.
    pub(crate) every: Option<u64>,
}

impl Rows {
    /// Returns whether an index is among them.
    fn contains(&self, index: u64) -> bool {
        let index = self.every.map_or(index, |every| index.checked_rem(every).unwrap_or(index));
        self.range.contains(&index)
    }
}

/// What a step does with a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    /// Adds a number.
    Add(f32),
    /// Multiplies by a number.
    Multiply(f32),
    /// Takes the exponential function.
    Exponential,
    /// Takes the negative of the exponential function.
    NegativeExponential,
    /// Takes the reciprocal.
    Reciprocal,
    /// Takes the logarithm of one plus the exponential function.
    Softplus,
    /// Rounds to one of three values: zero, and the mean magnitude of the tensor with both signs.
    /// The number is the reciprocal of the mean.
    Ternary(f32),
    /// Nothing; the steps after it are calculated in single precision.
    SinglePrecision,
}

impl What {
    fn of(self, value: f32) -> f32 {
        match self {
            Self::Add(number) => value + number,
            Self::Multiply(number) => value * number,
            Self::Exponential => exp(value),
            Self::NegativeExponential => -exp(value),
            Self::Reciprocal => 1.0 / value,
            Self::Softplus => softplus(value),
            Self::Ternary(reciprocal) => {
                (value * reciprocal).round_ties_even().clamp(-1.0, 1.0) / reciprocal
            }
            Self::SinglePrecision => value,
        }
    }

    /// The same for values in half precision if `half`. As in torch, a number to be added has the
    /// type of the values, but not a factor.
    fn in_precision(self, half: bool) -> Self {
        match self {
            Self::Add(number) => Self::Add(rounded(number, half)),
            other => other,
        }
    }

    /// The argument that gives a value, approximately.
    fn undo(self, value: f64) -> f64 {
        match self {
            Self::Add(number) => value - f64::from(number),
            Self::Multiply(number) => value / f64::from(number),
            Self::Exponential => value.ln(),
            Self::NegativeExponential => (-value).ln(),
            Self::Reciprocal => value.recip(),
            Self::Softplus => value.exp_m1().ln(),
            Self::SinglePrecision | Self::Ternary(_) => value,
        }
    }
}

impl Changes {
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        Self { steps }
    }

    /// Returns whether all values stay as they are.
    pub(crate) fn is_none(&self) -> bool {
        self.steps.is_empty()
    }

    /// Returns whether some values are changed otherwise than others.
    pub(crate) fn depend_on_place(&self) -> bool {
        self.steps.iter().any(|step| step.rows.is_some())
    }

    /// Changes consecutive values of a tensor. `first` is the index of the first of them, `row` the
    /// number of values for each index of the outermost dimension. With `half`, every result is
    /// rounded to half precision.
    pub(crate) fn apply(&self, values: &mut [f32], (first, row): (u64, u64), half: bool) {
        let mut half = half;
        for Step { what, rows } in &self.steps {
            half &= *what != What::SinglePrecision;
            let what = what.in_precision(half);
            let mut rest = &mut *values;
            let mut at = first;
            // The values for one index after the other.
            while let Some(rows) = rows
                && !rest.is_empty()
            {
                let index = at.checked_div(row).unwrap_or_default();
                let left = row.saturating_sub(at - index * row).max(1);
                let left = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let (here, after) = rest.split_at_mut(left);
                if rows.contains(index) {
                    here.iter_mut().for_each(|value| *value = rounded(what.of(*value), half));
                }
                rest = after;
                at += left as u64;
            }
            if rows.is_none() {
                values.iter_mut().for_each(|value| *value = rounded(what.of(*value), half));
            }
        }
    }

    /// Returns what the steps make of one value at `index` of the outermost dimension.
    pub(crate) fn of(&self, value: f32, index: u64, half: bool) -> f32 {
        let mut one = [value];
        self.apply(&mut one, (index, 1), half);
        one[0]
    }

    /// Returns the number that becomes `value`, approximately; `value` is at `index` of the
    /// outermost dimension, and `half` says whether the number is one of half precision.
    pub(crate) fn undo(&self, value: f32, index: u64, half: bool) -> f64 {
        let steps = self.steps.iter().rev();
        let here = steps.filter(|step| step.rows.as_ref().is_none_or(|rows| rows.contains(index)));
        here.fold(f64::from(value), |value, step| step.what.in_precision(half).undo(value))
    }
}

fn rounded(value: f32, half: bool) -> f32 {
    if half { f16::from_f32(value).to_f32() } else { value }
}

impl Hash for Changes {
    fn hash<H: Hasher>(&self, to: &mut H) {
        self.steps.len().hash(to);
        for Step { what, rows } in &self.steps {
            std::mem::discriminant(what).hash(to);
            if let What::Add(number) | What::Multiply(number) | What::Ternary(number) = what {
                number.to_bits().hash(to);
            }
            rows.hash(to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(steps: &[(What, Option<Range<u64>>)]) -> Changes {
        let step =
            |(what, rows): &(What, Option<Range<u64>>)| Step { what: *what, rows: rows_of(rows) };
        Changes::new(steps.iter().map(step).collect())
    }

    fn rows_of(range: &Option<Range<u64>>) -> Option<Rows> {
        Some(Rows { range: range.clone()?, every: None })
    }

    #[test]
    fn rows_can_repeat() {
        let rows = Some(Rows { range: 1..2, every: Some(3) });
        let changes = Changes::new(vec![Step { what: What::Multiply(-1.0), rows }]);
        for first in 0..14_usize {
            for end in first..=14 {
                let mut values = [1.0_f32; 14];
                changes.apply(&mut values[first..end], (first as u64, 2), false);
                for (place, value) in values.iter().enumerate() {
                    let negative = (first..end).contains(&place) && place / 2 % 3 == 1;
                    assert_eq!(*value, if negative { -1.0 } else { 1.0 }, "{first}..{end}");
                }
            }
        }
        assert_eq!(changes.undo(-5.0, 7, false), 5.0);
        assert_eq!(changes.undo(-5.0, 6, false), -5.0);
    }

    #[test]
    fn three_values_are_left() {
        let changes = steps(&[(What::Ternary(4.0), None)]);
        let mut values = [0.0, -0.125, 0.126, 0.3, -0.9, f32::NAN];
        changes.apply(&mut values, (0, 6), false);
        assert_eq!(values[..5], [0.0, 0.0, 0.25, 0.25, -0.25]);
        assert!(values[5].is_nan());
    }

    #[test]
    fn reciprocals_come_back() {
        let changes = steps(&[(What::Add(1.0), None), (What::Reciprocal, None)]);
        assert_eq!(changes.of(3.0, 0, false), 0.25);
        assert_eq!(changes.undo(0.25, 0, false), 3.0);
    }

    #[test]
    fn steps_concern_their_rows() {
        let changes = steps(&[
            (What::Multiply(2.0), None),
            (What::Multiply(10.0), Some(1..2)),
            (What::Add(1.0), Some(2..9)),
        ]);
        for first in 0..6_usize {
            for end in first..=6 {
                let mut values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
                changes.apply(&mut values[first..end], (first as u64, 2), false);
                let expected = [2.0, 4.0, 60.0, 80.0, 11.0, 13.0];
                assert_eq!(values[first..end], expected[first..end]);
            }
        }
        assert_eq!(changes.of(3.0, 1, false), 60.0);
        assert_eq!(changes.undo(60.0, 1, false), 3.0);
        assert_eq!(changes.undo(11.0, 2, false), 5.0);
    }

    #[test]
    fn half_precision_rounds_after_every_step() {
        let third = 1.0 / 3.0;
        let both = steps(&[(What::Multiply(third), None), (What::Multiply(3.0), None)]);
        let value = f16::from_f32(0.1).to_f32();
        let once = f16::from_f32(value * third).to_f32();
        assert_eq!(both.of(value, 0, true), f16::from_f32(once * 3.0).to_f32());
        let fifth = steps(&[(What::Add(0.2), None)]);
        let sum = value + f16::from_f32(0.2).to_f32();
        assert_eq!(fifth.of(value, 0, true), f16::from_f32(sum).to_f32());
        let wide = steps(&[(What::SinglePrecision, None), (What::NegativeExponential, None)]);
        assert_eq!(wide.of(value, 0, true), -exp(value));
    }
}

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
    /// Indices in the outermost dimension of the tensor in the file; all of them if `None`.
    pub(crate) rows: Option<Range<u64>>,
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
    /// Takes the logarithm of one plus the exponential function.
    Softplus,
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
            Self::Softplus => softplus(value),
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
            Self::Softplus => value.exp_m1().ln(),
            Self::SinglePrecision => value,
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
            let range = match rows {
                None => 0..values.len(),
                Some(rows) => {
                    let place = |index: u64| {
                        let place = index.saturating_mul(row).saturating_sub(first);
                        values.len().min(usize::try_from(place).unwrap_or(usize::MAX))
                    };
                    place(rows.start)..place(rows.end)
                }
            };
            for value in values.get_mut(range).into_iter().flatten() {
                *value = rounded(what.of(*value), half);
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
        let here = steps.filter(|step| step.rows.as_ref().is_none_or(|rows| rows.contains(&index)));
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
            if let What::Add(number) | What::Multiply(number) = what {
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
            |(what, rows): &(What, Option<Range<u64>>)| Step { what: *what, rows: rows.clone() };
        Changes::new(steps.iter().map(step).collect())
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

//! How a description changes the values of a tensor.

use super::{Expression, Scope};
use crate::Error;
use crate::changes::{Changes, Rows, Step, What};

/// Steps by which values are changed, in this order.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub(super) steps: Vec<ChangeStep>,
}

/// A step, and the rows that it concerns.
#[derive(Clone, Debug)]
pub(super) struct ChangeStep {
    pub(super) kind: ChangeKind,
    pub(super) rows: Option<RowsOf>,
}

/// Indices in the outermost dimension of the tensor in the file.
#[derive(Clone, Debug)]
pub(super) struct RowsOf {
    /// Start and end.
    pub(super) range: [Option<Expression>; 2],
    /// The number of indices after which the range repeats.
    pub(super) every: Option<Expression>,
}

/// What a step does with a value. It is calculated in half precision for F16, and in single
/// precision otherwise.
#[derive(Clone, Debug)]
pub(super) enum ChangeKind {
    /// Adds the value of an expression.
    Add(Expression),
    /// Multiplies by it.
    Multiply(Expression),
    /// Takes the exponential function, or its negative.
    Exponential,
    NegativeExponential,
    /// Takes the reciprocal.
    Reciprocal,
    /// Takes the logarithm of one plus the exponential function.
    Softplus,
    /// Rounds to zero or the mean magnitude of the tensor with a sign.
    Ternary,
    /// Nothing; the steps after it are calculated in single precision.
    SinglePrecision,
}

/// The steps without a number, by their names.
const NAMED: &[(&str, ChangeKind)] = &[
    ("exponential", ChangeKind::Exponential),
    ("negative-exponential", ChangeKind::NegativeExponential),
    ("reciprocal", ChangeKind::Reciprocal),
    ("single-precision", ChangeKind::SinglePrecision),
    ("softplus", ChangeKind::Softplus),
    ("ternary", ChangeKind::Ternary),
];

impl ChangeStep {
    /// The step with a name.
    ///
    /// # Errors
    /// If there is none; the error lists all.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        let kind = match NAMED.iter().find(|(known, _)| *known == name) {
            Some((_, kind)) => kind.clone(),
            None if name == "add-one" => ChangeKind::Add(Expression::literal(1.into())),
            None => {
                let names: Vec<_> = NAMED.iter().map(|(name, _)| format!("`{name}`")).collect();
                let names = names.join(", ");
                return Err(format!("unknown change `{name}`, expected one of `add-one`, {names}"));
            }
        };
        Ok(Self { kind, rows: None })
    }

    /// The expressions in it.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let number = match &self.kind {
            ChangeKind::Add(number) | ChangeKind::Multiply(number) => Some(number),
            _ => None,
        };
        let rows = self.rows.iter();
        number
            .into_iter()
            .chain(rows.flat_map(|rows| rows.range.iter().flatten().chain(rows.every.as_ref())))
    }
}

impl Change {
    /// Whether all values stay as they are.
    pub(crate) fn is_none(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether a step depends on all values of a tensor, and loses what they were.
    pub(crate) fn rounds(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.kind, ChangeKind::Ternary))
    }

    /// The steps with their numbers. `mean` is the mean magnitude of the tensor; it matters only if
    /// the change [`rounds`](Self::rounds).
    pub(crate) fn resolve<'a>(&'a self, scope: &Scope<'a>, mean: f32) -> Result<Changes, Error> {
        let step = |step: &'a ChangeStep| {
            let what = match &step.kind {
                ChangeKind::Add(number) => What::Add(scope.float(number)? as f32),
                ChangeKind::Multiply(number) => What::Multiply(scope.float(number)? as f32),
                ChangeKind::Exponential => What::Exponential,
                ChangeKind::NegativeExponential => What::NegativeExponential,
                ChangeKind::Reciprocal => What::Reciprocal,
                ChangeKind::SinglePrecision => What::SinglePrecision,
                ChangeKind::Softplus => What::Softplus,
                ChangeKind::Ternary => What::Ternary(1.0 / mean),
            };
            let rows = match &step.rows {
                None => None,
                Some(RowsOf { range: [start, end], every }) => {
                    let place = |place: &'a Option<Expression>, else_: u64| match place {
                        Some(place) => scope.unsigned(place),
                        None => Ok(else_),
                    };
                    let every = every.as_ref().map(|every| scope.unsigned(every)).transpose()?;
                    Some(Rows { range: place(start, 0)?..place(end, u64::MAX)?, every })
                }
            };
            Ok(Step { what, rows })
        };
        let steps = self.steps.iter().map(step).collect::<Result<_, Error>>()?;
        Ok(Changes::new(steps))
    }
}

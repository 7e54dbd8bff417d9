use granule_format::BlockType;
use granule_infer::measure::MeasureError;

use super::TargetSize;
use crate::PlanError;

/// The reason why the types for a size cannot be chosen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SizeError {
    /// No choice of types is so small.
    #[error(
        "{target} is too small: with the smallest types that are allowed, the result has {least} \
         bytes ({bits:.2}bpw){hint}"
    )]
    TooSmall {
        /// The size that was asked for.
        target: TargetSize,
        /// The least possible size in bytes.
        least: u64,
        /// The same in bits of data per weight.
        bits: f64,
        /// What would allow for less.
        hint: &'static str,
    },
    /// The floor of types is above their ceiling.
    #[error("--min-type {least} has more bits than --max-type {most}: no type is between them")]
    Bounds {
        /// The floor.
        least: BlockType,
        /// The ceiling.
        most: BlockType,
    },
    /// No tensor is left whose type could be chosen.
    #[error("the type of every tensor is fixed by its kind or by an option: nothing can be chosen")]
    NothingToChoose,
    /// The model gives no numbers that could be compared.
    #[error("the model gives no finite logits for the calibration text")]
    NotFinite,
    /// A plan cannot be made.
    #[error(transparent)]
    Convert(#[from] Box<crate::Error>),
    /// The model cannot be run.
    #[error("cannot run the model over the calibration text")]
    Run(#[from] granule_infer::Error),
    /// The divergence cannot be measured.
    #[error("cannot measure what quantizing costs")]
    Measure(#[from] MeasureError),
}

impl From<crate::Error> for SizeError {
    fn from(error: crate::Error) -> Self {
        Self::Convert(Box::new(error))
    }
}

impl From<PlanError> for SizeError {
    fn from(error: PlanError) -> Self {
        crate::Error::from(error).into()
    }
}

impl From<granule_reader::Error> for SizeError {
    fn from(error: granule_reader::Error) -> Self {
        crate::Error::from(error).into()
    }
}

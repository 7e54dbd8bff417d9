//! The levels that codes stand for, in units of the scale.

use granule_format::block::codebook::iq4_nl::LEVELS;

use crate::iq4_search::MIDPOINTS;
use crate::super_block::lanes::{clamp, round};

/// Levels, some below and some above zero.
pub(super) trait Levels {
    /// The levels farthest from zero.
    const LOWEST: f32;
    const HIGHEST: f32;

    /// Returns the level nearest to a number, in one of `L` lanes.
    fn nearest<const L: usize>(number: f32) -> f32;

    /// Returns the code of a level.
    fn code(level: f32) -> i8;
}

/// The whole numbers from `LOW` to `HIGH`; the code is the number less `ZERO`.
pub(super) struct Whole<const LOW: i32, const HIGH: i32, const ZERO: i32>;

impl<const LOW: i32, const HIGH: i32, const ZERO: i32> Levels for Whole<LOW, HIGH, ZERO> {
    const LOWEST: f32 = LOW as f32;
    const HIGHEST: f32 = HIGH as f32;

    #[inline(always)]
    fn nearest<const L: usize>(number: f32) -> f32 {
        // clamped first: numbers beyond what `round` takes are clamped to the ends anyway
        round::<L>(clamp(number, Self::LOWEST, Self::HIGHEST))
    }

    #[inline(always)]
    fn code(level: f32) -> i8 {
        (level as i32 - ZERO) as i8
    }
}

/// The 16 levels of IQ4_NL and IQ4_XS.
pub(super) struct Codebook;

impl Levels for Codebook {
    const LOWEST: f32 = LEVELS[0] as f32;
    const HIGHEST: f32 = LEVELS[15] as f32;

    #[inline(always)]
    fn nearest<const L: usize>(number: f32) -> f32 {
        let mut level = Self::LOWEST;
        for (i, midpoint) in MIDPOINTS.iter().enumerate() {
            let step = f32::from(LEVELS[i + 1]) - f32::from(LEVELS[i]);
            level += if number >= *midpoint { step } else { 0.0 };
        }
        level
    }

    #[inline(always)]
    fn code(level: f32) -> i8 {
        LEVELS.iter().position(|known| f32::from(*known) == level).unwrap_or(0) as i8
    }
}

//! Blocks in lanes, with the weights of their values.

use crate::super_block::VALUES;
use crate::super_block::lanes::Rows;

/// What counts for the error of a value where there is no importance matrix. `x` is the value and
/// `mean_square` that of its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    /// The root of the mean square, and the magnitude.
    Magnitude,
    /// The square.
    Square,
}

/// The weight that a column has at least, where the mean is 1. Text that never reaches a column
/// says little about other text, and a block whose weights are all zero would have no best scale.
const LEAST_WEIGHT: f32 = 1e-4;

/// Blocks whose largest magnitude is below this become zeros: so does anything that half precision
/// can multiply.
const NOTHING: f32 = 1e-30;

/// Returns the weights of a row's columns, such that their mean is 1.
pub(super) fn weights_of(importance: &[f32]) -> Vec<f32> {
    let sum: f64 = importance.iter().map(|weight| f64::from(*weight)).sum();
    let mean = sum / importance.len() as f64;
    importance.iter().map(|weight| (f64::from(*weight) / mean) as f32 + LEAST_WEIGHT).collect()
}

/// `L` blocks of `V` values, one in each lane.
pub(super) struct Tile<const V: usize, const L: usize> {
    /// The values, divided by [`Self::unit`].
    pub(super) values: Box<Rows<V, L>>,
    pub(super) weights: Box<Rows<V, L>>,
    /// A power of two for each block, such that its largest magnitude is from 1 to 2; 0 for blocks
    /// that become zeros.
    pub(super) unit: [f32; L],
}

impl<const V: usize, const L: usize> Tile<V, L> {
    pub(super) fn new() -> Self {
        debug_assert!(V <= VALUES);
        Self { values: Box::new(Rows::ZERO), weights: Box::new(Rows::ZERO), unit: [0.0; L] }
    }

    /// Loads blocks, at most `L`; `weights` gives those of a block's columns. The remaining lanes
    /// are zeros.
    #[inline(always)]
    pub(super) fn load<'a>(
        &mut self,
        blocks: &'a [[f32; V]],
        weights: impl Fn(usize) -> Option<&'a [f32; V]>,
        plain: Plain,
    ) {
        transpose(blocks, &mut self.values.0);
        self.normalize();
        if weights(0).is_some() {
            let mut all = [[0.0; V]; L];
            for (k, all) in all[..blocks.len()].iter_mut().enumerate() {
                *all = *weights(k).unwrap_or(&[0.0; V]);
            }
            transpose(&all[..blocks.len()], &mut self.weights.0);
        } else {
            self.weigh(plain);
        }
    }

    /// Loads blocks that are in lanes already, with the same weights for all.
    #[inline(always)]
    pub(super) fn load_lanes(&mut self, values: &[[f32; L]; V], weights: &[f32]) {
        self.values.0 = *values;
        self.normalize();
        for (lanes, weight) in self.weights.0.iter_mut().zip(weights) {
            *lanes = [*weight; L];
        }
    }

    /// Divides the values by their units.
    #[inline(always)]
    fn normalize(&mut self) {
        let mut largest = [0.0_f32; L];
        for values in &self.values.0 {
            for k in 0..L {
                let magnitude = values[k].abs();
                largest[k] = if magnitude > largest[k] { magnitude } else { largest[k] };
            }
        }
        let mut inverse = [0.0; L];
        for k in 0..L {
            let unit = f32::from_bits(largest[k].to_bits() & 0x7f80_0000);
            self.unit[k] = if largest[k] < NOTHING { 0.0 } else { unit };
            inverse[k] = if self.unit[k] == 0.0 { 0.0 } else { 1.0 / self.unit[k] };
        }
        for values in &mut self.values.0 {
            for k in 0..L {
                values[k] *= inverse[k];
            }
        }
    }

    #[inline(always)]
    fn weigh(&mut self, plain: Plain) {
        let mut root = [0.0; L];
        for values in &self.values.0 {
            for k in 0..L {
                root[k] += values[k] * values[k];
            }
        }
        for root in &mut root {
            *root = (*root / V as f32).sqrt();
        }
        for (weights, values) in self.weights.0.iter_mut().zip(&self.values.0) {
            for k in 0..L {
                weights[k] = match plain {
                    Plain::Magnitude => root[k] + values[k].abs(),
                    Plain::Square => values[k] * values[k] + LEAST_WEIGHT,
                };
            }
        }
    }
}

/// Transposes blocks, so that value `i` of all is contiguous. Not compiled for the instruction set
/// of the lanes: it would become scatters.
#[inline(never)]
fn transpose<const V: usize, const L: usize>(blocks: &[[f32; V]], to: &mut [[f32; L]; V]) {
    for (i, to) in to.iter_mut().enumerate() {
        *to = [0.0; L];
        for (to, block) in to.iter_mut().zip(blocks) {
            *to = block[i];
        }
    }
}

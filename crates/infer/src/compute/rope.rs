use std::ops::Range;
use std::sync::Arc;

use granule_reader::isa::Isa;
use rayon::prelude::*;

use super::{ALONE, Segment, Weights};
use crate::graph::{Rope, Style};

/// Sine and cosine of every pair, for some positions one after another.
#[derive(Debug)]
pub(crate) struct Turns {
    style: Style,
    magnitude: f32,
    /// The angle between two positions, for each pair.
    steps: Vec<f64>,
    positions: Range<usize>,
    sines: Vec<f32>,
    cosines: Vec<f32>,
}

/// The turns of the layers before: most layers turn alike.
#[derive(Debug, Default)]
pub(crate) struct KnownTurns(Vec<Arc<Turns>>);

impl KnownTurns {
    /// For the rows of a text.
    pub(crate) fn of(
        &mut self,
        weights: &Weights,
        rope: &Rope,
        segment: &Segment<'_>,
    ) -> Arc<Turns> {
        let steps = Turns::steps(weights, rope, segment);
        let positions = segment.first..segment.first + segment.rows.len();
        self.0.retain(|turns| turns.positions == positions);
        let alike = |turns: &&Arc<Turns>| {
            (turns.style, turns.magnitude) == (rope.style, rope.magnitude) && turns.steps == steps
        };
        if let Some(turns) = self.0.iter().find(alike) {
            return Arc::clone(turns);
        }
        let turns = Arc::new(Turns::new(rope, steps, positions));
        self.0.push(Arc::clone(&turns));
        turns
    }
}

impl Turns {
    fn steps(weights: &Weights, rope: &Rope, segment: &Segment<'_>) -> Vec<f64> {
        let factors = match rope.long {
            Some((short, long)) if segment.length > short => Some(long),
            _ => rope.factors,
        };
        let mut steps = rope.steps.clone();
        if let Some(factors) = factors {
            let factors = weights.vector(factors);
            steps.iter_mut().zip(factors.iter()).for_each(|(s, factor)| *s /= f64::from(*factor));
        }
        steps
    }

    fn new(rope: &Rope, steps: Vec<f64>, positions: Range<usize>) -> Self {
        let magnitude = f64::from(rope.magnitude);
        let turns = positions.clone().into_par_iter().with_min_len(16).flat_map_iter(|position| {
            let position = position as f64;
            steps.iter().map(move |step| {
                let (sine, cosine) = libm::sincos(position * step);
                ((sine * magnitude) as f32, (cosine * magnitude) as f32)
            })
        });
        let (sines, cosines) = turns.unzip();
        Self { style: rope.style, magnitude: rope.magnitude, steps, positions, sines, cosines }
    }

    /// Turns all heads of `length` values of all rows of the text, each of `row_values` values.
    pub(crate) fn apply_all(&self, x: &mut [f32], row_values: usize, length: usize) {
        if x.len() < ALONE {
            let rows = x.chunks_exact_mut(row_values).enumerate();
            return rows.for_each(|(row, x)| self.apply(row, x, length));
        }
        let rows = x.par_chunks_exact_mut(row_values).with_min_len(16).enumerate();
        rows.for_each(|(row, x)| self.apply(row, x, length));
    }

    /// Turns the heads of `length` values of the row at `row` of the text.
    pub(crate) fn apply(&self, row: usize, x: &mut [f32], length: usize) {
        let pairs = self.steps.len();
        let sines = &self.sines[row * pairs..][..pairs];
        let cosines = &self.cosines[row * pairs..][..pairs];
        let style = self.style;
        Isa::detect().run(
            #[inline(always)]
            || {
                for head in x.chunks_exact_mut(length) {
                    let turns = sines.iter().zip(cosines);
                    match style {
                        Style::Pairs => {
                            for ([a, b], by) in head.as_chunks_mut().0.iter_mut().zip(turns) {
                                turn(a, b, by);
                            }
                        }
                        Style::Halves => {
                            let (a, b) = head.split_at_mut(pairs);
                            for ((a, b), by) in a.iter_mut().zip(b).zip(turns) {
                                turn(a, b, by);
                            }
                        }
                    }
                }
            },
        );
    }
}

#[inline(always)]
fn turn(a: &mut f32, b: &mut f32, (sine, cosine): (&f32, &f32)) {
    (*a, *b) = (*a * cosine - *b * sine, *a * sine + *b * cosine);
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use super::super::State;
    use super::*;

    #[test]
    fn pairs_turn_with_the_position() {
        // quarter turns for the first pair, none for the second; the last two values are left alone
        for style in [Style::Pairs, Style::Halves] {
            let steps = vec![FRAC_PI_2, 0.0];
            let rope = Rope { style, steps, factors: None, long: None, magnitude: 1.0 };
            let mut state = State::default();
            let segment = Segment { rows: 0..2, first: 1, length: 3, state: &mut state };
            let turns = KnownTurns::default().of(&Weights::default(), &rope, &segment);
            let expected = match style {
                Style::Pairs => [[-2.0, 1.0, 3.0, 4.0], [-1.0, -2.0, 3.0, 4.0]],
                Style::Halves => [[-3.0, 2.0, 1.0, 4.0], [-1.0, 2.0, -3.0, 4.0]],
            };
            for (row, expected) in expected.iter().enumerate() {
                let mut x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0].repeat(2);
                turns.apply(row, &mut x, 6);
                for head in x.chunks(6) {
                    let close = head.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-5);
                    assert!(close && head[4..] == [5.0, 6.0], "{style:?} {head:?}");
                }
            }
        }
    }
}

use super::{Segment, Weights};
use crate::graph::{Rope, Style};

/// Sine and cosine of every pair, for some positions one after another.
pub(crate) struct Turns {
    style: Style,
    pairs: usize,
    turns: Vec<(f32, f32)>,
}

impl Turns {
    /// For the rows of a text.
    pub(crate) fn of(weights: &Weights, rope: &Rope, segment: &Segment<'_>) -> Self {
        let factors = match rope.long {
            Some((short, long)) if segment.length > short => Some(long),
            _ => rope.factors,
        };
        let mut steps = rope.steps.clone();
        if let Some(factors) = factors {
            let factors = weights.vector(factors);
            steps.iter_mut().zip(factors.iter()).for_each(|(s, factor)| *s /= f64::from(*factor));
        }
        let magnitude = f64::from(rope.magnitude);
        let positions = segment.first..segment.first + segment.rows.len();
        let turns = positions.flat_map(|position| {
            let position = position as f64;
            steps.iter().map(move |step| {
                let (sine, cosine) = libm::sincos(position * step);
                ((sine * magnitude) as f32, (cosine * magnitude) as f32)
            })
        });
        Self { style: rope.style, pairs: rope.steps.len(), turns: turns.collect() }
    }

    /// Turns the heads of `length` values of the row at `row` of the text.
    pub(crate) fn apply(&self, row: usize, x: &mut [f32], length: usize) {
        let turns = &self.turns[row * self.pairs..][..self.pairs];
        for head in x.chunks_exact_mut(length) {
            for (pair, (sine, cosine)) in turns.iter().enumerate() {
                let (i, j) = match self.style {
                    Style::Pairs => (2 * pair, 2 * pair + 1),
                    Style::Halves => (pair, pair + self.pairs),
                };
                let (a, b) = (head[i], head[j]);
                head[i] = a * cosine - b * sine;
                head[j] = a * sine + b * cosine;
            }
        }
    }
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
            let turns = Turns::of(&Weights::default(), &rope, &segment);
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

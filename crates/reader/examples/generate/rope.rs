//! Rotary position embedding, which tells attention how far apart two positions are.

use anyhow::{Result, bail, ensure};
use granule_reader::Model;

use crate::common::Settings;
use crate::common::layers::vector;

/// The base where the file names none.
const BASE: f32 = 10_000.0;

/// Turns pairs of neighbouring values by angles that grow with the position.
pub(crate) struct Rope {
    /// Values of a head.
    head: usize,
    /// The angle of each pair from one position to the next.
    steps: Vec<f32>,
}

impl Rope {
    /// As a model's metadata say, for heads of `head` values.
    pub(crate) fn load(model: &Model, settings: &Settings<'_>, head: usize) -> Result<Self> {
        let values = settings.integer("rope.dimension_count")?.unwrap_or(head);
        ensure!(values <= head && values.is_multiple_of(2), "rope turns {values} of {head} values");
        let base = settings.float("rope.freq_base")?.unwrap_or(BASE);
        let slower = match settings.text("rope.scaling.type")?.unwrap_or("none") {
            "none" => 1.0,
            "linear" => settings.float("rope.scaling.factor")?.unwrap_or(1.0),
            other => bail!("rope scaling {other:?} is not supported"),
        };
        // Llama 3.1 and later slow some pairs down more than others
        let name = "rope_freqs.weight";
        let factors = match model.tensor(name) {
            Some(_) => vector(model, name, values / 2)?,
            None => vec![1.0; values / 2],
        };
        let step = |(pair, factor): (usize, &f32)| {
            base.powf(-((2 * pair) as f32) / values as f32) / factor / slower
        };
        Ok(Self { head, steps: factors.iter().enumerate().map(step).collect() })
    }

    /// Turn the heads of vectors at positions from `first` on.
    pub(crate) fn rotate(&self, x: &mut [f32], heads: usize, first: usize) {
        for (position, x) in (first..).zip(x.chunks_exact_mut(heads * self.head)) {
            let turns: Vec<(f32, f32)> =
                self.steps.iter().map(|step| (position as f32 * step).sin_cos()).collect();
            for head in x.chunks_exact_mut(self.head) {
                for ([a, b], (sine, cosine)) in head.as_chunks_mut().0.iter_mut().zip(&turns) {
                    (*a, *b) = (*a * cosine - *b * sine, *a * sine + *b * cosine);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::FRAC_PI_2;

    use super::*;

    #[test]
    fn pairs_turn_with_the_position() {
        // quarter turns for the first pair, none for the second; the last two values are left alone
        let rope = Rope { head: 6, steps: vec![FRAC_PI_2, 0.0] };
        let mut x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0].repeat(4);
        rope.rotate(&mut x, 2, 1); // two heads at positions 1 and 2
        for (head, expected) in
            x.chunks(6).zip([[-2.0, 1.0], [-2.0, 1.0], [-1.0, -2.0], [-1.0, -2.0]])
        {
            assert!((head[0] - expected[0]).abs() < 1e-5, "{head:?}");
            assert!((head[1] - expected[1]).abs() < 1e-5, "{head:?}");
            assert_eq!(head[2..], [3.0, 4.0, 5.0, 6.0]);
        }
    }
}

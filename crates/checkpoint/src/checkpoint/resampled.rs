//! Tables for the places of a square, brought to another size.

use std::ops::Range;

use crate::Error;
use crate::weights::{StoredTensor, Weights};

/// A table with a row for each place of a square, line by line, for a square of another size.
/// Corners stay corners, and between places the values are those of the nearest four in proportion.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Resampled {
    /// The index of the tensor.
    pub(super) tensor: usize,
    /// Places on a side of the square in the checkpoint.
    pub(super) from: u64,
    /// Places on a side in the file.
    pub(super) to: u64,
}

impl Resampled {
    /// Reads the values of rows. Positions and proportions are in single precision, as in PyTorch;
    /// the sum of four products is in double precision and rounded once. PyTorch's own sums differ
    /// between processors in the last places.
    pub(super) fn read(
        self,
        weights: &Weights,
        columns: u64,
        rows: Range<u64>,
    ) -> Result<Vec<f32>, Error> {
        let stored = &weights.tensors()[self.tensor];
        let mut out = Vec::with_capacity(((rows.end - rows.start) * columns) as usize);
        for row in rows {
            let lines = self.between(row / self.to);
            let places = self.between(row % self.to);
            let mut sums = vec![0.0_f64; columns as usize];
            for (line, by_line) in lines {
                for (place, by_place) in places {
                    let values = row_of(weights, stored, line * self.from + place, columns)?;
                    let factor = f64::from(by_line) * f64::from(by_place);
                    sums.iter_mut()
                        .zip(values)
                        .for_each(|(sum, it)| *sum += factor * f64::from(it));
                }
            }
            out.extend(sums.into_iter().map(|sum| sum as f32));
        }
        Ok(out)
    }

    /// Returns the two places of the checkpoint next to one of the file, and their proportions.
    fn between(self, at: u64) -> [(u64, f32); 2] {
        let last = self.from - 1;
        let step = if self.to > 1 { last as f32 / (self.to - 1) as f32 } else { 0.0 };
        let position = step * at as f32;
        let first = (position as u64).min(last);
        let rest = (position - first as f32).clamp(0.0, 1.0);
        [(first, 1.0 - rest), ((first + 1).min(last), rest)]
    }
}

fn row_of(
    weights: &Weights,
    stored: &StoredTensor,
    row: u64,
    columns: u64,
) -> Result<Vec<f32>, Error> {
    let size = stored.ty.bytes();
    let mut bytes = Vec::new();
    weights.read(stored, row * columns * size, (columns * size) as usize, &mut bytes)?;
    Ok(stored.ty.widen(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_stay_and_places_between_are_in_proportion() {
        let square = Resampled { tensor: 0, from: 5, to: 3 };
        assert_eq!(square.between(0), [(0, 1.0), (1, 0.0)]);
        assert_eq!(square.between(1), [(2, 1.0), (3, 0.0)]);
        assert_eq!(square.between(2), [(4, 1.0), (4, 0.0)]);
        let larger = Resampled { tensor: 0, from: 2, to: 5 };
        assert_eq!(larger.between(1), [(0, 0.75), (1, 0.25)]);
        assert_eq!(Resampled { tensor: 0, from: 4, to: 1 }.between(0), [(0, 1.0), (1, 0.0)]);
    }
}

//! The bytes of scores, for the result of a part of the chunks.

use super::{Measured, Score, Versus};
use crate::saved::{Rest, lost, number};

/// Bytes of a position: what is known, and four numbers.
const POSITION: usize = 1 + 4 * 8;

/// What the first byte of a position says.
const ALONE: u8 = 0;
const OTHER_TOP: u8 = 1;
const SAME_TOP: u8 = 2;

pub(super) fn write(all: &[&Measured]) -> Vec<u8> {
    let mut out = Vec::new();
    number(&mut out, all.len());
    for Measured { scores, lost: left } in all {
        number(&mut out, scores.chunks().len());
        for chunk in scores.chunks() {
            number(&mut out, chunk.len());
            for Score { surprise, versus } in chunk {
                let (known, of_base) = match versus {
                    None => (ALONE, [0.0; 3]),
                    Some(Versus { surprise, divergence, same_top, change }) => {
                        let known = if *same_top { SAME_TOP } else { OTHER_TOP };
                        (known, [*surprise, *divergence, *change])
                    }
                };
                out.push(known);
                [*surprise].iter().chain(&of_base).for_each(|it| out.extend(it.to_le_bytes()));
            }
        }
        lost(&mut out, left);
    }
    out
}

pub(super) fn read(bytes: &[u8]) -> Option<Vec<Measured>> {
    let mut rest = Rest(bytes);
    let mut all = Vec::new();
    for _ in 0..rest.number()? {
        let mut measured = Measured::default();
        for _ in 0..rest.number()? {
            let length = rest.number()?.checked_mul(POSITION)?;
            let positions = rest.take(length)?.chunks_exact(POSITION);
            measured.scores.push(positions.map(score).collect::<Option<_>>()?);
        }
        measured.lost = rest.lost()?;
        all.push(measured);
    }
    rest.0.is_empty().then_some(all)
}

fn score(bytes: &[u8]) -> Option<Score> {
    let (known, numbers) = bytes.split_first()?;
    let numbers: Vec<f64> =
        numbers.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    let &[own, surprise, divergence, change] = &numbers[..] else { return None };
    let versus = match *known {
        ALONE => None,
        OTHER_TOP | SAME_TOP => {
            Some(Versus { surprise, divergence, same_top: *known == SAME_TOP, change })
        }
        _ => return None,
    };
    Some(Score { surprise: own, versus })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;
    use crate::statistics::Lost;

    #[test]
    fn scores_come_back_and_cut_ones_do_not() {
        let versus = Versus { surprise: 0.5, divergence: 1e-9, same_top: true, change: -0.25 };
        let other = Versus { same_top: false, ..versus };
        let score = |versus| Score { surprise: 1.0 / 3.0, versus };
        let mut one = Measured::default();
        one.scores.push(vec![score(Some(versus)), score(Some(other))]);
        one.scores.push(vec![score(None)]);
        let place = Place { chunk: 1, position: 2 };
        let lost = Lost { place, layer: None, tensor: None, column: 3, value: f32::INFINITY };
        let two = Measured { lost: vec![lost], ..Measured::default() };
        let bytes = write(&[&one, &two]);
        assert_eq!(read(&bytes), Some(vec![one.clone(), two.clone()]));
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), None, "{end} bytes");
        }
        one.append(two);
        assert_eq!((one.scores.len(), one.lost.len()), (3, 1));
    }
}

//! The bytes of sums: in the journal of a run, and in the result of a part of the chunks.

use super::{Collected, ExactSums, Sums};
use crate::saved::{Rest, lost, number, text};

/// Appends what was collected.
pub(super) fn write(found: &Collected, out: &mut Vec<u8>) {
    number(out, found.statistics.tensors.len());
    for (name, sums) in &found.statistics.tensors {
        text(out, name);
        number(out, sums.columns);
        number(out, sums.rows.len());
        sums.rows.iter().for_each(|rows| out.extend(rows.to_le_bytes()));
        for sums in [&sums.sums, &sums.squares] {
            let (first, words) = sums.words();
            number(out, first);
            number(out, words.len());
            words.iter().for_each(|word| out.extend(word.to_le_bytes()));
        }
    }
    lost(out, &found.lost);
}

/// What [`write`] wrote, if it is that.
pub(super) fn read(bytes: &[u8]) -> Option<Collected> {
    let mut rest = Rest(bytes);
    let mut found = Collected::default();
    for _ in 0..rest.number()? {
        let name = rest.text()?;
        let (columns, matrices) = (rest.number()?, rest.number()?);
        let rows = rest.numbers(matrices, u64::from_le_bytes)?;
        let count = columns.checked_mul(matrices)?;
        let mut sums = || {
            let (first, words) = (rest.number()?, rest.number()?);
            ExactSums::of_words(count, first, rest.numbers(words, u64::from_le_bytes)?)
        };
        let (sums, squares) = (sums()?, sums()?);
        found.statistics.tensors.insert(name, Sums { columns, sums, squares, rows });
    }
    found.lost = rest.lost()?;
    rest.0.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::super::{Lost, Statistics};
    use super::*;
    use crate::Place;

    #[test]
    fn sums_come_back_and_cut_ones_do_not() {
        let mut statistics = Statistics::default();
        statistics.add("blk.0.a", (3, 2), 1, &[1.0, -2.5, 1e-3]);
        statistics.add("blk.1.b", (2, 1), 0, &[0.1, 0.2, 0.3, 0.4]);
        let place = Place { chunk: 4, position: 5 };
        let tensor = Some("blk.1.b".to_owned());
        let lost = Lost { place, layer: Some(1), tensor, column: 1, value: f32::INFINITY };
        let other = Lost { layer: None, tensor: None, ..lost.clone() };
        let found = Collected { statistics, lost: vec![lost, other] };
        let mut bytes = Vec::new();
        write(&found, &mut bytes);
        assert_eq!(read(&bytes), Some(found));
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), None, "{end} bytes");
        }
    }
}

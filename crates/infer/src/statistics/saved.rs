//! The bytes of sums in the journal of a run.

use super::{Collected, Lost, Sums};
use crate::Place;

/// Appends what was collected.
pub(super) fn write(found: &Collected, out: &mut Vec<u8>) {
    number(out, found.statistics.tensors.len());
    for (name, sums) in &found.statistics.tensors {
        text(out, name);
        number(out, sums.columns);
        number(out, sums.rows.len());
        sums.rows.iter().for_each(|rows| out.extend(rows.to_le_bytes()));
        sums.sums.iter().chain(&sums.squares).for_each(|sum| out.extend(sum.to_le_bytes()));
    }
    number(out, found.lost.len());
    for lost in &found.lost {
        number(out, lost.place.chunk);
        number(out, lost.place.position);
        number(out, lost.layer.unwrap_or(usize::MAX));
        out.push(u8::from(lost.tensor.is_some()));
        text(out, lost.tensor.as_deref().unwrap_or_default());
        number(out, lost.column);
        out.extend(lost.value.to_bits().to_le_bytes());
    }
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
        let sums = rest.numbers(count, f64::from_le_bytes)?;
        let squares = rest.numbers(count, f64::from_le_bytes)?;
        found.statistics.tensors.insert(name, Sums { columns, sums, squares, rows });
    }
    for _ in 0..rest.number()? {
        let place = Place { chunk: rest.number()?, position: rest.number()? };
        let layer = Some(rest.number()?).filter(|layer| *layer != usize::MAX);
        let has_tensor = rest.take(1)? == [1];
        let tensor = Some(rest.text()?).filter(|_| has_tensor);
        let column = rest.number()?;
        let value = f32::from_bits(u32::from_le_bytes(rest.take(4)?.try_into().ok()?));
        found.lost.push(Lost { place, layer, tensor, column, value });
    }
    rest.0.is_empty().then_some(found)
}

fn number(out: &mut Vec<u8>, number: usize) {
    out.extend((number as u64).to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len());
    out.extend(text.as_bytes());
}

/// The bytes that are left.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.take(8)?.try_into().ok()?)).ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    fn numbers<T>(&mut self, count: usize, of: fn([u8; 8]) -> T) -> Option<Vec<T>> {
        let bytes = self.take(count.checked_mul(8)?)?;
        Some(bytes.as_chunks().0.iter().map(|bytes| of(*bytes)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Statistics;
    use super::*;

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

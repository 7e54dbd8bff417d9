use super::Moments;
use crate::saved::{Rest, number};
use crate::statistics::ExactSums;

/// Second moments whose parts are added without rounding, in any order.
#[derive(Clone, Debug, PartialEq)]
pub struct ExactMoments {
    columns: usize,
    width: usize,
    /// Of each span, the rows of its matrix from the diagonal on.
    spans: Vec<ExactSums>,
    rows: u64,
}

impl ExactMoments {
    /// Returns sums of no rows. `width` is the number of columns of a span; the last may have
    /// fewer.
    ///
    /// # Panics
    /// If it is 0.
    pub fn new(columns: usize, width: usize) -> Self {
        assert!(width > 0, "columns of a span");
        let spans = (0..columns).step_by(width).map(|start| width.min(columns - start));
        let spans = spans.map(|count| ExactSums::new(count * (count + 1) / 2)).collect();
        Self { columns, width, spans, rows: 0 }
    }

    /// Adds sums over input rows. Returns `false` and adds nothing if they have another shape, or
    /// sums that are not finite.
    #[must_use]
    pub fn add(&mut self, moments: &Moments) -> bool {
        let fits = (self.columns, self.width) == (moments.columns, moments.width);
        if !fits || !moments.sums.iter().all(|sum| sum.is_finite()) {
            return false;
        }
        let mut rest = &moments.sums[..];
        for (span, start) in self.spans.iter_mut().zip((0..self.columns).step_by(self.width)) {
            let count = self.width.min(self.columns - start);
            let (own, others) = rest.split_at(count * count);
            rest = others;
            let mut place = 0;
            for (i, row) in own.chunks_exact(count).enumerate() {
                span.add(place, &row[i..]);
                place += count - i;
            }
        }
        self.rows += moments.rows;
        true
    }

    /// Adds other sums. Returns `false` if they have another shape.
    #[must_use]
    pub fn merge(&mut self, other: &Self) -> bool {
        if (self.columns, self.width) != (other.columns, other.width) {
            return false;
        }
        self.rows = self.rows.saturating_add(other.rows);
        self.spans.iter_mut().zip(&other.spans).all(|(own, other)| own.merge(other))
    }

    /// Returns the sums, each rounded once.
    pub fn moments(&self) -> Moments {
        let mut moments = Moments::new(self.columns, self.width);
        moments.rows = self.rows;
        let mut rest = &mut moments.sums[..];
        for (span, start) in self.spans.iter().zip((0..self.columns).step_by(self.width)) {
            let count = self.width.min(self.columns - start);
            let (own, others) = rest.split_at_mut(count * count);
            rest = others;
            let values = span.values();
            let mut values = &values[..];
            for (i, row) in own.chunks_exact_mut(count).enumerate() {
                let (of_row, others) = values.split_at(count - i);
                row[i..].copy_from_slice(of_row);
                values = others;
            }
        }
        moments
    }

    /// Appends the bytes that [`all_from_bytes`](Self::all_from_bytes) reads.
    pub fn to_bytes(&self, out: &mut Vec<u8>) {
        number(out, self.columns);
        number(out, self.width);
        out.extend(self.rows.to_le_bytes());
        for span in &self.spans {
            let (first, words) = span.words();
            number(out, first);
            number(out, words.len());
            words.iter().for_each(|word| out.extend(word.to_le_bytes()));
        }
    }

    /// Returns what [`to_bytes`](Self::to_bytes) wrote for several moments, one after another;
    /// `None` if the bytes are damaged.
    pub fn all_from_bytes(bytes: &[u8]) -> Option<Vec<Self>> {
        let mut rest = Rest(bytes);
        let mut all = Vec::new();
        while !rest.0.is_empty() {
            all.push(Self::read(&mut rest)?);
        }
        Some(all)
    }

    fn read(rest: &mut Rest<'_>) -> Option<Self> {
        let (columns, width) = (rest.number()?, rest.number()?);
        let rows = u64::from_le_bytes(rest.take(8)?.try_into().ok()?);
        let mut spans = Vec::new();
        let mut start = 0;
        while start < columns {
            let count = width.min(columns - start);
            let (first, words) = (rest.number()?, rest.number()?);
            let words = rest.numbers(words, u64::from_le_bytes)?;
            let count_of_sums = count.checked_mul(count.checked_add(1)?)? / 2;
            spans.push(ExactSums::of_words(count_of_sums, first, words)?);
            start = start.checked_add(width).filter(|_| width > 0)?;
        }
        Some(Self { columns, width, spans, rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_in_any_order() {
        let (columns, width) = (40, 16);
        let x: Vec<f32> = (0..30 * columns).map(|i| (i as f32 * 0.37).sin() * 1e3).collect();
        let part = |rows: std::ops::Range<usize>| {
            let mut moments = Moments::new(columns, width);
            moments.add(&x[rows.start * columns..rows.end * columns]);
            moments
        };
        let parts = [part(0..7), part(7..12), part(12..30)];
        let of = |order: [usize; 3]| {
            let mut exact = ExactMoments::new(columns, width);
            assert!(order.iter().all(|i| exact.add(&parts[*i])));
            exact
        };
        let whole = of([0, 1, 2]);
        assert_eq!(of([2, 0, 1]), whole);
        let mut merged = ExactMoments::new(columns, width);
        assert!(merged.add(&parts[2]));
        let mut others = ExactMoments::new(columns, width);
        assert!(others.add(&parts[1]) && others.add(&parts[0]));
        let mut large = Moments::new(columns, width);
        large.add(&vec![3e38; columns]);
        assert!(!others.add(&large), "a sum is infinite");
        let mut bytes = Vec::new();
        others.to_bytes(&mut bytes);
        merged.to_bytes(&mut bytes);
        let read = ExactMoments::all_from_bytes(&bytes).unwrap();
        assert_eq!(read, [others.clone(), merged.clone()]);
        assert!(merged.merge(&others) && merged == whole);
        assert!(!merged.merge(&ExactMoments::new(columns, 32)));
        let single = part(0..30);
        let moments = whole.moments();
        assert_eq!(moments.rows(), 30);
        for (a, b) in moments.means().iter().zip(single.means()) {
            assert!((a - b).abs() <= 1e-6 * 1e6, "{a} {b}");
        }
        for end in 1..bytes.len() {
            let read = ExactMoments::all_from_bytes(&bytes[..end]);
            assert!(read.is_none_or(|read| read.len() == 1), "{end}");
        }
    }
}

//! What heads see: scores of queries with keys, and means of values by them.

use std::ops::Range;

use granule_reader::exact::{self, PanelColumn, ROWS, SPAN, TileColumn, VECTORS};
use granule_reader::isa::Isa;
use rayon::prelude::*;

use super::math::{soft_cap, softmax};
use super::{Pass, Segment, buffers};
use crate::graph::{Heads, Window};

/// Multiplications below which starting threads costs more than it gains.
const ALONE: usize = 1 << 16;

/// Keys and values of the positions of a text, in the order in which they are multiplied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    positions: usize,
    /// For each group panels of 32 positions, each with a column for every value of a key.
    keys: Vec<Vec<PanelColumn>>,
    /// For each 32 values of each group a panel with a column for every position.
    values: Vec<Vec<PanelColumn>>,
}

impl Seen {
    /// Adds rows of keys and values.
    fn extend(&mut self, heads: &Heads, keys: &[f32], values: &[f32]) {
        let Heads { groups, key_length, value_length, .. } = *heads;
        let strips = value_length.div_ceil(ROWS);
        self.keys.resize(groups, Vec::new());
        self.values.resize(groups * strips, Vec::new());
        let rows = keys.len() / heads.key_row();
        for (group, panels) in self.keys.iter_mut().enumerate() {
            let blocks = (self.positions + rows).div_ceil(ROWS);
            panels.resize(blocks * key_length, [0.0; ROWS]);
            for (position, row) in (self.positions..).zip(keys.chunks_exact(heads.key_row())) {
                let panel = &mut panels[position / ROWS * key_length..][..key_length];
                let key = &row[group * key_length..][..key_length];
                panel.iter_mut().zip(key).for_each(|(panel, key)| panel[position % ROWS] = *key);
            }
        }
        for (group, strips) in self.values.chunks_mut(strips.max(1)).enumerate() {
            for row in values.chunks_exact(heads.value_row()) {
                let value = &row[group * value_length..][..value_length];
                for (strip, value) in strips.iter_mut().zip(value.chunks(ROWS)) {
                    let mut column = [0.0; ROWS];
                    column[..value.len()].copy_from_slice(value);
                    strip.push(column);
                }
            }
        }
        self.positions += rows;
    }
}

impl Pass<'_> {
    /// The means of the values that the heads of every row see.
    pub(super) fn mix(
        &self,
        heads: &Heads,
        segments: &mut [Segment<'_>],
        queries: &[f32],
        keys: &[f32],
        values: &[f32],
    ) -> Vec<f32> {
        let (query_row, key_row) = (heads.query_row(), heads.key_row());
        let (value_row, mixed_row) = (heads.value_row(), heads.count * heads.value_length);
        let sinks = heads.sinks.map(|sinks| self.weights.vector(sinks));
        let distances = heads.distances.map(|distances| self.weights.vector(distances));
        let mut mixed = buffers::take(self.rows.len() * mixed_row);
        for segment in segments.iter_mut() {
            let rows = segment.rows.clone();
            let of = |x: &'_ [f32], row: usize| rows.start * row..(rows.end * row).min(x.len());
            let seen = &mut segment.state.seen;
            seen.extend(heads, &keys[of(keys, key_row)], &values[of(values, value_row)]);
            let sight = Sight {
                heads,
                seen,
                first: segment.first,
                queries: &queries[of(queries, query_row)],
                sinks: sinks.as_deref(),
                distances: distances.as_deref(),
                causal: self.causal,
            };
            let mixed = &mut mixed[rows.start * mixed_row..rows.end * mixed_row];
            sight.mix(mixed);
        }
        mixed
    }
}

/// What the heads of a text look at.
struct Sight<'a> {
    heads: &'a Heads,
    seen: &'a Seen,
    /// The position of the first row of queries.
    first: usize,
    queries: &'a [f32],
    sinks: Option<&'a [f32]>,
    distances: Option<&'a [f32]>,
    causal: bool,
}

/// A row of queries, and a head.
type Place = (usize, usize);

impl Sight<'_> {
    /// Writes the means of all heads of every row.
    fn mix(&self, mixed: &mut [f32]) {
        let Heads { count, groups, value_length, .. } = *self.heads;
        let shared = count / groups;
        let mixed_row = count * value_length;
        // the number of rows whose heads of a group fill tiles
        let together = VECTORS / divisor(VECTORS, shared);
        let rows = mixed.len() / mixed_row.max(1);
        let means = |task: usize| {
            let (start, group) = (task / groups * together, task % groups);
            let rows = start..rows.min(start + together);
            self.means(&rows, group)
        };
        let tasks = rows.div_ceil(together) * groups;
        let work = rows * count * self.seen.positions * (self.heads.key_length + value_length);
        let means: Vec<Vec<f32>> = match work < ALONE {
            true => (0..tasks).map(means).collect(),
            false => (0..tasks).into_par_iter().map(means).collect(),
        };
        let length = shared * value_length;
        for (task, means) in means.iter().enumerate() {
            let (start, group) = (task / groups * together, task % groups);
            for (row, means) in means.chunks_exact(length.max(1)).enumerate() {
                let at = (start + row) * mixed_row + group * length;
                mixed[at..at + length].copy_from_slice(means);
            }
        }
    }

    /// The means of the heads of a group of some rows.
    fn means(&self, rows: &Range<usize>, group: usize) -> Vec<f32> {
        let Heads { count, groups, value_length, .. } = *self.heads;
        let shared = count / groups;
        let places: Vec<Place> = rows
            .clone()
            .flat_map(|row| (0..shared).map(move |head| (row, group * shared + head)))
            .collect();
        let mut out = vec![0.0; places.len() * value_length];
        for (places, out) in places.chunks(VECTORS).zip(out.chunks_mut(VECTORS * value_length)) {
            self.tile(places, group, out);
        }
        out
    }

    /// The means of up to twelve heads that see keys and values of one group.
    fn tile(&self, places: &[Place], group: usize, out: &mut [f32]) {
        let Heads { key_length, value_length, count, .. } = *self.heads;
        let isa = Isa::detect();
        let mut queries = vec![[0.0; VECTORS]; key_length];
        for (vector, (row, head)) in places.iter().enumerate() {
            let query = &self.queries[(row * count + head) * key_length..][..key_length];
            queries.iter_mut().zip(query).for_each(|(tile, x)| tile[vector] = *x);
        }
        let ranges: Vec<Range<usize>> =
            places.iter().map(|(row, _)| self.range(self.first + row)).collect();
        let start = ranges.iter().map(|range| range.start).min().unwrap_or(0);
        let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
        // sums have the same order wherever they begin
        let start = start / SPAN * SPAN;

        let length = (end - start).next_multiple_of(ROWS);
        let mut scores = vec![0.0; places.len() * length];
        let mut products = [[0.0; ROWS]; VECTORS];
        for at in (0..length).step_by(ROWS) {
            let panel = &self.seen.keys[group][(start + at) / ROWS * key_length..][..key_length];
            exact::multiply_panel(isa, panel, &queries, places.len(), &mut products);
            for (scores, products) in scores.chunks_exact_mut(length).zip(&products) {
                scores[at..at + ROWS].copy_from_slice(products);
            }
        }
        for (vector, scores) in scores.chunks_exact_mut(length).enumerate() {
            let (row, head) = places[vector];
            let range = ranges[vector].clone();
            let own = range.start - start..range.end - start;
            self.weigh(self.first + row, head, range.start, &mut scores[own.clone()]);
            let sink = self.sinks.map(|sinks| sinks[head]);
            isa.run(
                #[inline(always)]
                || {
                    scores[..own.start].fill(0.0);
                    scores[own.end..].fill(0.0);
                    softmax(&mut scores[own], sink);
                },
            );
        }
        let mut shares: Vec<TileColumn> = vec![[0.0; VECTORS]; end - start];
        turn(&scores, length, &mut shares);
        let strips = value_length.div_ceil(ROWS);
        for (strip, values) in self.seen.values[group * strips..][..strips].iter().enumerate() {
            exact::multiply_panel(isa, &values[start..end], &shares, places.len(), &mut products);
            for (out, products) in out.chunks_exact_mut(value_length).zip(&products) {
                let out = &mut out[strip * ROWS..];
                let out = &mut out[..value_length.min((strip + 1) * ROWS) - strip * ROWS];
                out.copy_from_slice(&products[..out.len()]);
            }
        }
    }

    /// The positions that a token at `position` sees.
    fn range(&self, position: usize) -> Range<usize> {
        let all = self.seen.positions;
        let end = if self.causal { position + 1 } else { all };
        let length = match self.heads.window {
            None => return 0..end,
            Some(Window::Near(length)) => length,
            Some(Window::Part(length)) => {
                let start = position / length * length;
                return start..end.min(start + length);
            }
        };
        // an encoder's window lies on both sides
        let back = if self.causal { length } else { length / 2 + 1 };
        let start = (position + 1).saturating_sub(back);
        start..if self.causal { end } else { end.min(position + back) }
    }

    /// Makes scores of products with the keys at positions from `start` on.
    fn weigh(&self, position: usize, head: usize, start: usize, scores: &mut [f32]) {
        let Heads { count, scale, cap, .. } = *self.heads;
        scores.iter_mut().for_each(|score| *score *= scale);
        if cap > 0.0 {
            scores.iter_mut().for_each(|score| *score = soft_cap(*score, cap));
        }
        if let Some(slopes) = &self.heads.slopes {
            for (seen, score) in (start..).zip(&mut *scores) {
                *score -= slopes[head] * position.abs_diff(seen) as f32;
            }
        }
        if let Some(rows) = self.distances {
            for (seen, score) in (start..).zip(scores) {
                *score += rows[bucket(position, seen, rows.len() / count) * count + head];
            }
        }
    }
}

/// Transposes rows of `length` values. Compiled for the plain target: with longer registers, the
/// compiler scatters numbers, which takes several times as long.
fn turn(rows: &[f32], length: usize, columns: &mut [TileColumn]) {
    let count = columns.len();
    let row = |index: usize| &rows[index * length..][..count];
    if rows.len() < VECTORS * length {
        for index in 0..rows.len() / length.max(1) {
            let row = row(index);
            columns.iter_mut().zip(row).for_each(|(column, value)| column[index] = *value);
        }
        return;
    }
    let rows: [&[f32]; VECTORS] = std::array::from_fn(row);
    for (position, column) in columns.iter_mut().enumerate() {
        for index in 0..VECTORS {
            column[index] = rows[index][position];
        }
    }
}

/// The greatest common divisor.
fn divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { divisor(b, a % b) }
}

/// The bucket of the distance between two positions: half of them for tokens that come later; half
/// of these for single distances, the others for distances that grow by a factor up to 128.
fn bucket(position: usize, seen: usize, buckets: usize) -> usize {
    const LARGEST: f64 = 128.0;
    let half = buckets / 2;
    let (single, distance) = ((half / 2).max(1), position.abs_diff(seen));
    let offset = if seen > position { half } else { 0 };
    if distance < single {
        return offset + distance.min(half.saturating_sub(1));
    }
    let grown = libm::log(distance as f64 / single as f64) / libm::log(LARGEST / single as f64);
    let more = (grown * (half - single) as f64) as usize;
    offset + (single + more).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_of_distances() {
        let cases = [(5, 5, 0), (5, 4, 1), (5, 6, 17), (20, 12, 8), (100, 84, 10), (300, 0, 15)];
        for (position, seen, expected) in cases {
            assert_eq!(bucket(position, seen, 32), expected, "{position} {seen}");
        }
        assert_eq!(bucket(0, 1000, 32), 31);
    }
}

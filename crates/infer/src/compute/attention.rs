use granule_reader::isa::Isa;
use rayon::prelude::*;

use super::math::{dot, soft_cap, softmax};
use super::rope::Turns;
use super::{Pass, Segment, normalize};
use crate::Error;
use crate::graph::{Attention, Heads, Latent, Projections};

impl Pass<'_> {
    pub(super) fn attention(
        &mut self,
        part: &Attention,
        segments: &mut [Segment<'_>],
        x: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let [mut queries, mut keys, values] = self.project(part, x)?;
        let heads = &part.heads;
        if !part.norm_after_rope {
            self.head_norms(part, &mut queries, &mut keys);
        }
        if let Some(rope) = &part.rope {
            for segment in segments.iter() {
                let turns = Turns::of(self.weights, rope, segment);
                for (row, place) in segment.rows.clone().enumerate() {
                    let queries = &mut queries[place * heads.query_row()..][..heads.query_row()];
                    turns.apply(row, queries, heads.key_length);
                    let keys = &mut keys[place * heads.key_row()..][..heads.key_row()];
                    turns.apply(row, keys, heads.key_length);
                }
            }
        }
        if part.norm_after_rope {
            self.head_norms(part, &mut queries, &mut keys);
        }
        let mixed = self.mix(heads, segments, &queries, &keys, &values);
        self.linear(&part.output, &mixed)
    }

    /// Queries, keys and values of all rows.
    fn project(&mut self, part: &Attention, x: &[f32]) -> Result<[Vec<f32>; 3], Error> {
        let mut all = match &part.projections {
            Projections::Joined(linear) => {
                let heads = &part.heads;
                let [queries, keys, values] =
                    [heads.query_row(), heads.key_row(), heads.value_row()];
                let joined = self.linear(linear, x)?;
                let rows = joined.chunks_exact(queries + keys + values);
                let cut = |start: usize, length: usize| -> Vec<f32> {
                    rows.clone().flat_map(|row| &row[start..][..length]).copied().collect()
                };
                [cut(0, queries), cut(queries, keys), cut(queries + keys, values)]
            }
            Projections::Separate(linears) => {
                let [query, key, value] = &**linears;
                [self.linear(query, x)?, self.linear(key, x)?, self.linear(value, x)?]
            }
        };
        if part.clamp > 0.0 {
            let limit = part.clamp;
            all.iter_mut().flatten().for_each(|x| *x = x.clamp(-limit, limit));
        }
        Ok(all)
    }

    fn head_norms(&self, part: &Attention, queries: &mut [f32], keys: &mut [f32]) {
        if let Some(norm) = &part.query_norm {
            normalize(self.weights, norm, queries);
        }
        if let Some(norm) = &part.key_norm {
            normalize(self.weights, norm, keys);
        }
    }

    pub(super) fn latent(
        &mut self,
        part: &Latent,
        segments: &mut [Segment<'_>],
        x: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let Heads { count, key_length, value_length: short, .. } = part.heads;
        // a query's values that are not turned, those that are, and all
        let (plain, turned) = (part.key.weight.columns, key_length - short);
        let length = plain + turned;
        let places = self.rows;
        let mut queries = match &part.query_short {
            None => self.linear(&part.query, x)?,
            Some((linear, norm)) => {
                let mut shorter = self.linear(linear, x)?;
                normalize(self.weights, norm, &mut shorter);
                self.linear(&part.query, &shorter)?
            }
        };
        let mut keys = self.linear(&part.short, x)?;
        for segment in segments.iter() {
            let turns = Turns::of(self.weights, &part.rope, segment);
            for (row, place) in segment.rows.clone().enumerate() {
                let queries = &mut queries[place * count * length..][..count * length];
                for query in queries.chunks_exact_mut(length) {
                    turns.apply(row, &mut query[plain..], turned);
                }
                turns.apply(row, &mut keys[place * key_length + short..][..turned], turned);
            }
        }
        let mut values = Vec::new();
        for key in keys.chunks_exact_mut(key_length) {
            normalize(self.weights, &part.short_norm, &mut key[..short]);
            values.extend_from_slice(&key[..short]);
        }

        let row = part.heads.query_row();
        let mut compared = vec![0.0; places.len() * row];
        for head in 0..count {
            let start = head * length;
            let own = take(&queries, count * length, start, plain);
            let own = self.linear_of(&part.key, Some(head), places, &own)?;
            for (place, own) in own.chunks_exact(short).enumerate() {
                let compared = &mut compared[place * row + head * key_length..][..key_length];
                compared[..short].copy_from_slice(own);
                let query = &queries[place * count * length + start..][..length];
                compared[short..].copy_from_slice(&query[plain..]);
            }
        }
        let mixed = self.mix(&part.heads, segments, &compared, &keys, &values);
        let value_length = part.value.weight.rows;
        let mut out = vec![0.0; places.len() * count * value_length];
        for head in 0..count {
            let own = take(&mixed, count * short, head * short, short);
            let own = self.linear_of(&part.value, Some(head), places, &own)?;
            for (place, own) in own.chunks_exact(value_length).enumerate() {
                let start = (place * count + head) * value_length;
                out[start..][..value_length].copy_from_slice(own);
            }
        }
        self.linear(&part.output, &out)
    }

    /// The means of the values that the heads of every row see.
    fn mix(
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
        let mut mixed = vec![0.0; self.rows.len() * mixed_row];
        for segment in segments.iter_mut() {
            let rows = segment.rows.clone();
            let state = &mut *segment.state;
            state.keys.extend(&keys[rows.start * key_row..rows.end * key_row]);
            state.values.extend(&values[rows.start * value_row..rows.end * value_row]);
            let sight = Sight {
                heads,
                keys: &state.keys,
                values: &state.values,
                sinks: sinks.as_deref(),
                distances: distances.as_deref(),
                positions: segment.first + rows.len(),
                causal: self.causal,
            };
            let mixed = &mut mixed[rows.start * mixed_row..rows.end * mixed_row];
            let queries = &queries[rows.start * query_row..rows.end * query_row];
            mixed.par_chunks_mut(heads.value_length).enumerate().for_each(|(i, out)| {
                let query = &queries[i * heads.key_length..][..heads.key_length];
                let (row, head) = (i / heads.count, i % heads.count);
                Isa::detect().run(
                    #[inline(always)]
                    || sight.attend(segment.first + row, head, query, out),
                );
            });
        }
        mixed
    }
}

/// Some columns of a matrix.
fn take(x: &[f32], row: usize, start: usize, length: usize) -> Vec<f32> {
    x.chunks_exact(row).flat_map(|row| &row[start..][..length]).copied().collect()
}

/// What the heads of a text look at.
struct Sight<'a> {
    heads: &'a Heads,
    keys: &'a [f32],
    values: &'a [f32],
    sinks: Option<&'a [f32]>,
    distances: Option<&'a [f32]>,
    /// Number of positions that there are keys of.
    positions: usize,
    causal: bool,
}

impl Sight<'_> {
    /// The mean of the values that a head sees from a position, weighted by how well their keys
    /// match the query.
    #[inline(always)]
    fn attend(&self, position: usize, head: usize, query: &[f32], out: &mut [f32]) {
        let Heads { count, groups, key_length, value_length, scale, cap, .. } = *self.heads;
        let group = head / (count / groups);
        let mut end = if self.causal { position + 1 } else { self.positions };
        let mut start = 0;
        if let Some(window) = self.heads.window {
            // an encoder's window lies on both sides
            let back = if self.causal { window.0 } else { window.0 / 2 + 1 };
            start = (position + 1).saturating_sub(back);
            end = if self.causal { end } else { end.min(position + back) };
        }
        let mut shares: Vec<f32> = (start..end)
            .map(|seen| {
                let key = &self.keys[(seen * groups + group) * key_length..][..key_length];
                let score = dot(query, key) * scale;
                let score = if cap > 0.0 { soft_cap(score, cap) } else { score };
                match self.distances {
                    Some(rows) => {
                        score + rows[bucket(position, seen, rows.len() / count) * count + head]
                    }
                    None => score,
                }
            })
            .collect();
        softmax(&mut shares, self.sinks.map(|sinks| sinks[head]));
        out.fill(0.0);
        for (seen, share) in (start..end).zip(&shares) {
            let value = &self.values[(seen * groups + group) * value_length..];
            for (out, value) in out.iter_mut().zip(value) {
                *out += share * value;
            }
        }
    }
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

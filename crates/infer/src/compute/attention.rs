use granule_reader::isa::Isa;
use rayon::prelude::*;

use super::math::{dot, soft_cap, softmax};
use super::rope::Turns;
use super::{Pass, Segment, normalize};
use crate::Error;
use crate::graph::{Attention, Projections};

impl Pass<'_> {
    pub(super) fn attention(
        &mut self,
        part: &Attention,
        segments: &mut [Segment<'_>],
        x: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let [mut queries, mut keys, values] = self.project(part, x)?;
        let [query_row, key_row, value_row] = lengths(part);
        if !part.norm_after_rope {
            self.head_norms(part, &mut queries, &mut keys);
        }
        if let Some(rope) = &part.rope {
            for segment in segments.iter() {
                let turns = Turns::of(self.weights, rope, segment);
                for (row, place) in segment.rows.clone().enumerate() {
                    let queries = &mut queries[place * query_row..][..query_row];
                    turns.apply(row, queries, part.key_length);
                    let keys = &mut keys[place * key_row..][..key_row];
                    turns.apply(row, keys, part.key_length);
                }
            }
        }
        if part.norm_after_rope {
            self.head_norms(part, &mut queries, &mut keys);
        }
        let sinks = part.sinks.map(|sinks| self.weights.vector(sinks));
        let mut mixed = vec![0.0; x.len() / self.width(part) * part.heads * part.value_length];
        let mixed_row = part.heads * part.value_length;
        for segment in segments.iter_mut() {
            let rows = segment.rows.clone();
            let state = &mut *segment.state;
            state.keys.extend(&keys[rows.start * key_row..rows.end * key_row]);
            state.values.extend(&values[rows.start * value_row..rows.end * value_row]);
            let heads = Heads {
                part,
                keys: &state.keys,
                values: &state.values,
                sinks: sinks.as_deref(),
                positions: segment.first + rows.len(),
                causal: self.causal,
            };
            let mixed = &mut mixed[rows.start * mixed_row..rows.end * mixed_row];
            let queries = &queries[rows.start * query_row..rows.end * query_row];
            mixed.par_chunks_mut(part.value_length).enumerate().for_each(|(i, out)| {
                let query = &queries[i * part.key_length..][..part.key_length];
                let (row, head) = (i / part.heads, i % part.heads);
                Isa::detect().run(
                    #[inline(always)]
                    || heads.attend(segment.first + row, head, query, out),
                );
            });
        }
        self.linear(&part.output, &mixed)
    }

    fn width(&self, part: &Attention) -> usize {
        match &part.projections {
            Projections::Joined(linear) => linear.weight.columns,
            Projections::Separate(linears) => linears[0].weight.columns,
        }
    }

    /// Queries, keys and values of all rows.
    fn project(&mut self, part: &Attention, x: &[f32]) -> Result<[Vec<f32>; 3], Error> {
        let mut all = match &part.projections {
            Projections::Joined(linear) => {
                let [queries, keys, values] = lengths(part);
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
}

/// Values of a row of queries, keys and values.
fn lengths(part: &Attention) -> [usize; 3] {
    let Attention { heads, groups, key_length, value_length, .. } = *part;
    [heads * key_length, groups * key_length, groups * value_length]
}

/// What the heads of a text look at.
struct Heads<'a> {
    part: &'a Attention,
    keys: &'a [f32],
    values: &'a [f32],
    sinks: Option<&'a [f32]>,
    /// Number of positions that there are keys of.
    positions: usize,
    causal: bool,
}

impl Heads<'_> {
    /// The mean of the values that a head sees from a position, weighted by how well their keys
    /// match the query.
    #[inline(always)]
    fn attend(&self, position: usize, head: usize, query: &[f32], out: &mut [f32]) {
        let part = self.part;
        let group = head / (part.heads / part.groups);
        let end = if self.causal { position + 1 } else { self.positions };
        let start = match part.window {
            Some(window) => (position + 1).saturating_sub(window.0),
            None => 0,
        };
        let [_, key_row, value_row] = lengths(part);
        let mut shares: Vec<f32> = (start..end)
            .map(|seen| {
                let key = &self.keys[seen * key_row + group * part.key_length..];
                let score = dot(query, &key[..part.key_length]) * part.scale;
                if part.cap > 0.0 { soft_cap(score, part.cap) } else { score }
            })
            .collect();
        softmax(&mut shares, self.sinks.map(|sinks| sinks[head]));
        out.fill(0.0);
        for (seen, share) in (start..end).zip(&shares) {
            let value = &self.values[seen * value_row + group * part.value_length..];
            for (out, value) in out.iter_mut().zip(value) {
                *out += share * value;
            }
        }
    }
}

use super::math::sigmoid;
use super::recurrent::Columns;
use super::{Inputs, Pass, Segment, buffers, each_pair, normalize};
use crate::Error;
use crate::graph::{Attention, Growth, Heads, Latent, Projections};

impl Pass<'_> {
    pub(super) fn attention(
        &mut self,
        part: &Attention,
        segments: &mut [Segment<'_>],
        x: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let [mut queries, mut keys, values] = self.project(part, x)?;
        let heads = &part.heads;
        let mut gate = Vec::new();
        if part.gated {
            let both = Columns { all: &queries, row: 2 * heads.key_length };
            gate = both.take(heads.key_length, heads.key_length);
            queries = both.take(0, heads.key_length);
        }
        if !part.norm_after_rope {
            self.head_norms(part, &mut queries, &mut keys);
        }
        if let Some(rope) = &part.rope {
            for segment in segments.iter() {
                let turns = self.turns.of(self.weights, rope, segment);
                let rows = segment.rows.clone();
                let (query_row, key_row) = (heads.query_row(), heads.key_row());
                let queries = &mut queries[rows.start * query_row..rows.end * query_row];
                turns.apply_all(queries, query_row, heads.key_length);
                let keys = &mut keys[rows.start * key_row..rows.end * key_row];
                turns.apply_all(keys, key_row, heads.key_length);
            }
        }
        if part.norm_after_rope {
            self.head_norms(part, &mut queries, &mut keys);
        }
        if let Some(growth) = &part.growth {
            growth.apply(segments, heads.query_row(), &mut queries);
        }
        let mut mixed = self.mix(heads, segments, &queries, &keys, &values);
        if part.gated {
            each_pair(
                &mut mixed,
                &gate,
                #[inline(always)]
                |x, gate| x.iter_mut().zip(gate).for_each(|(x, gate)| *x *= sigmoid(*gate)),
            );
        }
        let out = self.linear(&part.output, &mixed)?;
        [queries, keys, values, mixed].into_iter().for_each(buffers::give);
        Ok(out)
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
                let x = &mut Inputs::new(x);
                [
                    self.linear_with(query, x)?,
                    self.linear_with(key, x)?,
                    self.linear_with(value, x)?,
                ]
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
            let turns = self.turns.of(self.weights, &part.rope, segment);
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
            let own = self.linear_of(&part.key, Some(head), places, &mut Inputs::new(&own))?;
            for (place, own) in own.chunks_exact(short).enumerate() {
                let compared = &mut compared[place * row + head * key_length..][..key_length];
                compared[..short].copy_from_slice(own);
                let query = &queries[place * count * length + start..][..length];
                compared[short..].copy_from_slice(&query[plain..]);
            }
        }
        if let Some(growth) = &part.growth {
            growth.apply(segments, row, &mut compared);
        }
        let mixed = self.mix(&part.heads, segments, &compared, &keys, &values);
        let value_length = part.value.weight.rows;
        let mut out = vec![0.0; places.len() * count * value_length];
        for head in 0..count {
            let own = take(&mixed, count * short, head * short, short);
            let own = self.linear_of(&part.value, Some(head), places, &mut Inputs::new(&own))?;
            for (place, own) in own.chunks_exact(value_length).enumerate() {
                let start = (place * count + head) * value_length;
                out[start..][..value_length].copy_from_slice(own);
            }
        }
        self.linear(&part.output, &out)
    }
}

impl Growth {
    /// Multiplies queries of `length` values, of all heads of a token, with their factors.
    fn apply(&self, segments: &[Segment<'_>], length: usize, queries: &mut [f32]) {
        for segment in segments {
            let rows = segment.rows.start * length..segment.rows.end * length;
            for (row, query) in queries[rows].chunks_exact_mut(length).enumerate() {
                let factor = self.at(segment.first + row);
                query.iter_mut().for_each(|x| *x *= factor);
            }
        }
    }

    /// The factor of queries at a position.
    fn at(&self, position: usize) -> f32 {
        let steps = (position + self.offset) / self.every;
        (1.0 + f64::from(self.scale) * libm::log1p(steps as f64)) as f32
    }
}

/// Some columns of a matrix.
fn take(x: &[f32], row: usize, start: usize, length: usize) -> Vec<f32> {
    x.chunks_exact(row).flat_map(|row| &row[start..][..length]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn queries_grow_with_their_position() {
        let growth = Growth { every: 4, offset: 1, scale: 0.5 };
        let mut states = [State::default(), State::default()];
        let [first, second] = &mut states;
        let segments = [
            Segment { rows: 0..2, first: 2, length: 9, state: first },
            Segment { rows: 2..3, first: 7, length: 9, state: second },
        ];
        let mut queries = [1.0; 6];
        growth.apply(&segments, 2, &mut queries);
        let grown = |steps: f64| (1.0 + 0.5 * (1.0 + steps).ln()) as f32;
        let expected = [1.0, 1.0, grown(1.0), grown(1.0), grown(2.0), grown(2.0)];
        assert!(queries.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-6), "{queries:?}");
    }
}

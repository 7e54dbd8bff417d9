//! Models of the architecture `llama`: Llama, SmolLM, Mistral, TinyLlama and others.

use anyhow::{Context, Result, ensure};
use granule_reader::{Model, Tensor};
use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use crate::common::Settings;
use crate::common::layers::{Linear, add, attend, matrix, rms_norm, silu, vector};
use crate::rope::Rope;

/// A model. Its tensors stay in the file unless they are packed.
pub(crate) struct Llama<'m> {
    dimensions: Dimensions,
    embedding: Tensor<'m>,
    layers: Vec<Layer<'m>>,
    norm: Vec<f32>,
    output: Linear<'m>,
    rope: Rope,
}

/// The sizes of a model.
struct Dimensions {
    /// Values of a token between layers.
    width: usize,
    /// Heads of the queries, and of the keys and values: several of the first share one of the
    /// second.
    heads: usize,
    groups: usize,
    /// Values of a head.
    head: usize,
    /// Positions that the model was trained for.
    context: usize,
    epsilon: f32,
}

struct Layer<'m> {
    attention_norm: Vec<f32>,
    query: Linear<'m>,
    key: Linear<'m>,
    value: Linear<'m>,
    attention_output: Linear<'m>,
    feed_forward_norm: Vec<f32>,
    gate: Linear<'m>,
    up: Linear<'m>,
    down: Linear<'m>,
}

/// Keys and values of all positions so far, so that each token is computed only once.
#[derive(Default)]
pub(crate) struct Cache {
    positions: usize,
    /// For each layer, in half precision.
    keys: Vec<Vec<f16>>,
    values: Vec<Vec<f16>>,
}

impl<'m> Llama<'m> {
    /// Finds and checks the tensors of a model with `tokens` tokens, and packs them if asked to.
    pub(crate) fn load(model: &'m Model, tokens: usize, pack: bool) -> Result<Self> {
        let settings = Settings::of(model, "llama")?;
        ensure!(settings.integer("expert_count")?.unwrap_or(0) == 0, "experts are not supported");
        let width = settings.count("embedding_length")?;
        let hidden = settings.count("feed_forward_length")?;
        let heads = settings.count("attention.head_count")?;
        let groups = settings.integer("attention.head_count_kv")?.unwrap_or(heads);
        let head = settings.integer("attention.key_length")?.unwrap_or(width / heads);
        ensure!((1..=width).contains(&head) && heads <= width, "{heads} heads of {head} values");
        ensure!(groups > 0 && heads.is_multiple_of(groups), "{heads} heads in {groups} groups");
        let epsilon = settings.float("attention.layer_norm_rms_epsilon")?;
        let dimensions = Dimensions {
            width,
            heads,
            groups,
            head,
            context: settings.count("context_length")?,
            epsilon: epsilon.context("the metadata has no epsilon for the norms")?,
        };

        let linear = |name: &str, inputs, outputs| {
            let load = if pack { Linear::load_packed } else { Linear::load };
            load(model, name, inputs, outputs)
        };
        let layer = |layer: usize| {
            let name = |part: &str| format!("blk.{layer}.{part}");
            let linear = |part, inputs, outputs| linear(&name(part), inputs, outputs);
            Ok(Layer {
                attention_norm: vector(model, &name("attn_norm.weight"), width)?,
                query: linear("attn_q", width, heads * head)?,
                key: linear("attn_k", width, groups * head)?,
                value: linear("attn_v", width, groups * head)?,
                attention_output: linear("attn_output", heads * head, width)?,
                feed_forward_norm: vector(model, &name("ffn_norm.weight"), width)?,
                gate: linear("ffn_gate", width, hidden)?,
                up: linear("ffn_up", width, hidden)?,
                down: linear("ffn_down", hidden, width)?,
            })
        };
        // many small models use the embedding for the output too
        let tied = model.tensor("output.weight").is_none();
        let output = if tied { "token_embd" } else { "output" };
        Ok(Self {
            embedding: matrix(model, "token_embd.weight", width, tokens)?,
            layers: (0..settings.count("block_count")?).map(layer).collect::<Result<_>>()?,
            norm: vector(model, "output_norm.weight", width)?,
            output: linear(output, width, tokens)?,
            rope: Rope::load(model, &settings, head)?,
            dimensions,
        })
    }

    /// Number of positions that fit.
    pub(crate) fn context(&self) -> usize {
        self.dimensions.context
    }

    /// Appends tokens to the text, and returns the logit of every token of the vocabulary to come
    /// next.
    pub(crate) fn forward(&self, tokens: &[u32], cache: &mut Cache) -> Result<Vec<f32>> {
        let Dimensions { width, epsilon, .. } = self.dimensions;
        cache.keys.resize(self.layers.len(), Vec::new());
        cache.values.resize(self.layers.len(), Vec::new());
        let rows: Vec<usize> = tokens.iter().map(|token| *token as usize).collect();
        let known = self.embedding.rows();
        ensure!(rows.iter().all(|row| *row < known), "a token is beyond the {known} embeddings");
        let mut x = vec![0.0; rows.len() * width];
        self.embedding.gather_rows(&rows, &mut x)?;

        for (index, layer) in self.layers.iter().enumerate() {
            let normed = rms_norm(&x, &layer.attention_norm, epsilon);
            let mixed = self.attention(layer, &normed, cache, index)?;
            add(&mut x, &layer.attention_output.apply(&mixed)?);

            let normed = rms_norm(&x, &layer.feed_forward_norm, epsilon);
            let mut hidden = layer.gate.apply(&normed)?;
            let up = layer.up.apply(&normed)?;
            hidden.iter_mut().zip(up).for_each(|(gate, up)| *gate = silu(*gate) * up);
            add(&mut x, &layer.down.apply(&hidden)?);
        }
        cache.positions += tokens.len();
        let last = x.len().saturating_sub(width);
        self.output.apply(&rms_norm(&x[last..], &self.norm, epsilon))
    }

    fn attention(
        &self,
        layer: &Layer<'_>,
        x: &[f32],
        cache: &mut Cache,
        index: usize,
    ) -> Result<Vec<f32>> {
        let Dimensions { heads, groups, head, .. } = self.dimensions;
        let (mut queries, mut keys) = (layer.query.apply(x)?, layer.key.apply(x)?);
        self.rope.rotate(&mut queries, heads, cache.positions);
        self.rope.rotate(&mut keys, groups, cache.positions);
        let keys = remember(&mut cache.keys[index], &keys);
        let values = remember(&mut cache.values[index], &layer.value.apply(x)?);

        let (first, stride) = (cache.positions, groups * head);
        let mut mixed = vec![0.0; queries.len()];
        let tokens = mixed.par_chunks_mut(heads * head).zip(queries.par_chunks(heads * head));
        tokens.enumerate().for_each(|(token, (mixed, queries))| {
            // a token attends to itself and what precedes it
            let seen = (first + token + 1) * stride;
            let both = mixed.chunks_mut(head).zip(queries.chunks(head)).enumerate();
            for (i, (mixed, query)) in both {
                let start = i / (heads / groups) * head;
                attend(query, &keys[start..seen], &values[start..seen], stride, mixed);
            }
        });
        Ok(mixed)
    }
}

/// Appends vectors in half precision, and returns all in single precision.
fn remember(cache: &mut Vec<f16>, new: &[f32]) -> Vec<f32> {
    let start = cache.len();
    cache.resize(start + new.len(), f16::ZERO);
    cache[start..].convert_from_f32_slice(new);
    cache.to_f32_vec()
}

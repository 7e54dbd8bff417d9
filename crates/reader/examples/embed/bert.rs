//! Models of the architecture `bert`: MiniLM, BGE and others.

use anyhow::{Context, Result, bail, ensure};
use granule_reader::{Model, Tensor};

use crate::common::Settings;
use crate::common::layers::{LayerNorm, Linear, add, attend, gelu, matrix};

/// A model, whose tensors stay in the file.
pub(crate) struct Bert<'m> {
    width: usize,
    heads: usize,
    context: usize,
    pooling: Pooling,
    embedding: Tensor<'m>,
    positions: Tensor<'m>,
    /// What says that a text is the first of a pair, or the only one.
    kind: Vec<f32>,
    norm: LayerNorm,
    layers: Vec<Layer<'m>>,
}

struct Layer<'m> {
    query: Linear<'m>,
    key: Linear<'m>,
    value: Linear<'m>,
    attention_output: Linear<'m>,
    attention_norm: LayerNorm,
    up: Linear<'m>,
    down: Linear<'m>,
    norm: LayerNorm,
}

/// How the vectors of the tokens become one.
enum Pooling {
    Mean,
    First,
}

impl<'m> Bert<'m> {
    /// Find and check the tensors of a model with a vocabulary of `tokens` tokens.
    pub(crate) fn load(model: &'m Model, tokens: usize) -> Result<Self> {
        let settings = Settings::of(model, "bert")?;
        let width = settings.count("embedding_length")?;
        let hidden = settings.count("feed_forward_length")?;
        let heads = settings.count("attention.head_count")?;
        ensure!(width.is_multiple_of(heads), "{width} values in {heads} heads");
        let context = settings.count("context_length")?;
        let epsilon = settings.float("attention.layer_norm_epsilon")?;
        let epsilon = epsilon.context("the metadata has no epsilon for the norms")?;
        let pooling = match settings.integer("pooling_type")? {
            None | Some(1) => Pooling::Mean,
            Some(2) => Pooling::First,
            Some(other) => bail!("pooling {other} is not supported"),
        };

        let layer = |layer: usize| {
            let name = |part: &str| format!("blk.{layer}.{part}");
            let linear = |part, inputs, outputs| Linear::load(model, &name(part), inputs, outputs);
            let norm = |part| LayerNorm::load(model, &name(part), width, epsilon);
            Ok(Layer {
                query: linear("attn_q", width, width)?,
                key: linear("attn_k", width, width)?,
                value: linear("attn_v", width, width)?,
                attention_output: linear("attn_output", width, width)?,
                attention_norm: norm("attn_output_norm")?,
                up: linear("ffn_up", width, hidden)?,
                down: linear("ffn_down", hidden, width)?,
                norm: norm("layer_output_norm")?,
            })
        };
        let mut kind = vec![0.0; width];
        if let Some(kinds) = model.tensor("token_types.weight") {
            let fits = kinds.row_values() == width && kinds.rows() > 0;
            ensure!(fits, "token_types.weight has the shape {}", kinds.shape());
            kinds.decode_rows(0..1, &mut kind)?;
        }
        Ok(Self {
            embedding: matrix(model, "token_embd.weight", width, tokens)?,
            positions: matrix(model, "position_embd.weight", width, context)?,
            kind,
            norm: LayerNorm::load(model, "token_embd_norm", width, epsilon)?,
            layers: (0..settings.count("block_count")?).map(layer).collect::<Result<_>>()?,
            width,
            heads,
            context,
            pooling,
        })
    }

    /// The embedding of a text, a vector of length one.
    pub(crate) fn embed(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        let (count, context) = (tokens.len(), self.context);
        ensure!(count > 0, "a text without tokens");
        ensure!(count <= context, "a text has {count} tokens, the model takes {context}");
        let rows: Vec<usize> = tokens.iter().map(|token| *token as usize).collect();
        let known = self.embedding.rows();
        ensure!(rows.iter().all(|row| *row < known), "a token is beyond the {known} embeddings");
        let mut x = vec![0.0; count * self.width];
        self.embedding.gather_rows(&rows, &mut x)?;
        let mut positions = vec![0.0; x.len()];
        self.positions.decode_rows(..count, &mut positions)?;
        add(&mut x, &positions);
        x.chunks_exact_mut(self.width).for_each(|x| add(x, &self.kind));
        self.norm.apply(&mut x);

        for layer in &self.layers {
            let mixed = self.attention(layer, &x)?;
            add(&mut x, &layer.attention_output.apply(&mixed)?);
            layer.attention_norm.apply(&mut x);
            let mut hidden = layer.up.apply(&x)?;
            hidden.iter_mut().for_each(|x| *x = gelu(*x));
            add(&mut x, &layer.down.apply(&hidden)?);
            layer.norm.apply(&mut x);
        }
        Ok(normalize(self.pool(&x)))
    }

    /// Every token sees every other.
    fn attention(&self, layer: &Layer<'_>, x: &[f32]) -> Result<Vec<f32>> {
        let (queries, keys) = (layer.query.apply(x)?, layer.key.apply(x)?);
        let values = layer.value.apply(x)?;
        let (stride, head) = (self.width, self.width / self.heads);
        let mut mixed = vec![0.0; x.len()];
        for (i, mixed) in mixed.chunks_exact_mut(head).enumerate() {
            let (query, start) = (&queries[i * head..][..head], i % self.heads * head);
            attend(query, &keys[start..], &values[start..], stride, mixed);
        }
        Ok(mixed)
    }

    fn pool(&self, x: &[f32]) -> Vec<f32> {
        match self.pooling {
            Pooling::First => x[..self.width].to_vec(),
            // the length is brought to one afterwards, so the sum does
            Pooling::Mean => {
                let mut sum = vec![0.0; self.width];
                x.chunks_exact(self.width).for_each(|x| add(&mut sum, x));
                sum
            }
        }
    }
}

fn normalize(mut x: Vec<f32>) -> Vec<f32> {
    let length = x.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt() as f32;
    x.iter_mut().for_each(|x| *x /= length);
    x
}

//! From metadata and tensors to a graph.

use granule_reader::Source;

use super::families::{Family, Parallel, Turned, family, names};
use super::rope::Reading;
use super::settings::Settings;
use super::tensors::{Norm, NormKind, Tensors};
use super::{
    Attention, Embedding, Experts, FeedForward, Graph, Layer, Output, Part, Pooling, Projections,
    Rope, Step, Window,
};
use crate::Error;

/// The graph of a source.
pub(crate) fn build(source: &dyn Source) -> Result<Graph, Error> {
    let name: &str = source.metadata().require("general.architecture")?;
    let family = family(name).ok_or_else(|| Error::Architecture {
        name: name.to_owned(),
        known: names().collect::<Vec<_>>().join(", "),
    })?;
    let settings = Settings::new(source.metadata(), family.name);
    let layers = settings.count("block_count")?;
    // the last layers of some models only predict further tokens
    let extra = settings.integer("nextn_predict_layers")?.unwrap_or(0);
    let layers = layers.checked_sub(extra).filter(|layers| *layers > 0).ok_or_else(|| {
        settings.contradiction("nextn_predict_layers", extra, "fewer than block_count")
    })?;
    let key = match family.norm {
        NormKind::Rms => "attention.layer_norm_rms_epsilon",
        NormKind::Layer => "attention.layer_norm_epsilon",
    };
    let epsilon = source.metadata().require(&settings.key(key))?;
    let tensors = Tensors::new(source, family.name);
    let width = settings.count("embedding_length")?;
    Builder { family, settings, tensors, layers, width, epsilon }.graph()
}

/// What the parts of a graph are made of.
pub(super) struct Builder<'s> {
    pub(super) family: &'static Family,
    pub(super) settings: Settings<'s>,
    pub(super) tensors: Tensors<'s>,
    pub(super) layers: usize,
    pub(super) width: usize,
    pub(super) epsilon: f32,
}

impl Builder<'_> {
    fn graph(mut self) -> Result<Graph, Error> {
        let (family, width) = (self.family, self.width);
        let embedding = self.embedding()?;
        let output = self.output(&embedding)?;
        self.tensors.take_used();
        let layers = (0..self.layers).map(|layer| self.layer(layer)).collect::<Result<_, _>>()?;
        let pooling = match self.settings.integer("pooling_type")? {
            Some(2) => Pooling::First,
            Some(3) => Pooling::Last,
            None | Some(0 | 1) => Pooling::Mean,
            Some(other) => {
                let expected = "1 (mean), 2 (first token) or 3 (last token)";
                return Err(self.settings.contradiction("pooling_type", other, expected));
            }
        };
        Ok(Graph {
            architecture: family.name,
            width,
            vocabulary: embedding.tokens.rows,
            context: self.settings.count("context_length")?,
            embedding,
            layers,
            output,
            causal: self.settings.flag("attention.causal")?.unwrap_or(!family.encoder),
            pooling,
        })
    }

    fn embedding(&mut self) -> Result<Embedding, Error> {
        let width = self.width;
        let name = "token_embd.weight";
        let [_, rows, _] = self.tensors.shape(name).ok_or_else(|| self.tensors.missing(name))?;
        let tokens = self.tensors.need(name, [width, rows, 1])?;
        let scale = if self.family.root_scale {
            (width as f32).sqrt()
        } else {
            match self.settings.float("embedding_scale")? {
                Some(scale) if scale != 0.0 => scale,
                _ => 1.0,
            }
        };
        Ok(Embedding {
            tokens,
            scale,
            positions: self.rows_of_width("position_embd.weight")?,
            kinds: self.rows_of_width("token_types.weight")?,
            norm: self.norm("token_embd_norm", width)?,
        })
    }

    /// A tensor that may be missing, of any number of rows.
    fn rows_of_width(&mut self, name: &str) -> Result<Option<super::TensorRef>, Error> {
        let rows = self.tensors.shape(name).map_or(0, |shape| shape[1]);
        self.tensors.find(name, [self.width, rows, 1])
    }

    fn output(&mut self, embedding: &Embedding) -> Result<Output, Error> {
        let (width, vocabulary) = (self.width, embedding.tokens.rows);
        let name = format!("{}output_norm", self.family.prefix);
        let norm = match self.norm(&name, width)? {
            None if self.family.plain_norms => Some(self.plain_norm(width)),
            None if !self.family.encoder => {
                return Err(self.tensors.missing("output_norm.weight"));
            }
            norm => norm,
        };
        // many small models use the embedding for the output too
        let tied = !self.tensors.has("output.weight");
        let linear = match (self.family.encoder, tied) {
            (true, _) => None,
            (false, true) => Some(self.tensors.linear("token_embd", width, vocabulary)?),
            (false, false) => Some(self.tensors.linear("output", width, vocabulary)?),
        };
        let linear = match linear {
            Some(linear) if tied => {
                let bias = self.tensors.vector("output.bias", vocabulary)?;
                Some(super::Linear { bias: linear.bias.or(bias), ..linear })
            }
            linear => linear,
        };
        let scale = match self.settings.float("logit_scale")? {
            None | Some(0.0) => 1.0,
            Some(scale) if self.family.divided_logits => 1.0 / scale,
            Some(scale) => scale,
        };
        let cap = self.settings.float("final_logit_softcapping")?.unwrap_or(0.0);
        Ok(Output { norm, linear, scale, cap })
    }

    fn layer(&mut self, layer: usize) -> Result<Layer, Error> {
        let (family, width) = (self.family, self.width);
        let name = |part: &str| format!("{}blk.{layer}.{part}", family.prefix);
        let scale = match self.settings.float("residual_scale")? {
            None | Some(0.0) => 1.0,
            Some(scale) => scale,
        };
        let first = self.norm_before(&name("attn_norm"))?;
        let has_norm = self.tensors.has(&name(&format!("{}.weight", family.feed_forward_norm)));
        let parallel = match family.parallel {
            Parallel::Never => false,
            Parallel::Always => true,
            Parallel::Setting => self.settings.flag("use_parallel_residual")?.unwrap_or(true),
            Parallel::WithoutNorm => !has_norm,
        };
        let second = match self.norm_before(&name(family.feed_forward_norm))? {
            None if parallel => first.clone(),
            norm => norm,
        };
        // the larger models of Falcon have a norm for attention alone
        let other = self.norm(&name("attn_norm_2"), width)?;
        let mut after = None;
        if family.feed_forward_norm != "post_attention_norm" {
            after = self.norm(&name("post_attention_norm"), width)?;
        }
        let attention = Step {
            before: if family.encoder { first } else { other.or(first) },
            part: Part::Attention(Box::new(self.attention(layer, &name)?)),
            after,
            scale,
            sum: self.norm(&name("attn_output_norm"), width)?,
        };
        let feed_forward = Step {
            before: second,
            part: self.feed_forward(layer, &name)?,
            after: self.norm(&name("post_ffw_norm"), width)?,
            scale,
            sum: self.norm(&name("layer_output_norm"), width)?,
        };
        let steps = vec![attention, feed_forward];
        Ok(Layer { steps, parallel, tensors: self.tensors.take_used() })
    }

    fn attention(
        &mut self,
        layer: usize,
        name: &dyn Fn(&str) -> String,
    ) -> Result<Attention, Error> {
        let (family, width, layers) = (self.family, self.width, self.layers);
        let heads = self.settings.per_layer("attention.head_count", layers)?;
        let heads = heads.map_or(0, |heads| heads[layer]);
        if heads == 0 {
            return Err(self.settings.contradiction("attention.head_count", heads, "at least 1"));
        }
        let groups = self.settings.per_layer("attention.head_count_kv", layers)?;
        let groups = groups.map_or(heads, |groups| groups[layer]);
        if groups == 0 || !heads.is_multiple_of(groups) {
            let expected = format!("a divisor of the {heads} heads");
            return Err(self.settings.contradiction("attention.head_count_kv", groups, expected));
        }
        let length = |settings: &Settings<'_>, key: &str| match settings.integer(key)? {
            None => Ok(width / heads),
            Some(length) if (1..=1 << 20).contains(&length) => Ok(length),
            Some(length) => Err(settings.contradiction(key, length, "a number from 1 to 2^20")),
        };
        let key_length = length(&self.settings, "attention.key_length")?;
        let value_length = length(&self.settings, "attention.value_length")?;

        let [queries, keys, values] =
            [heads * key_length, groups * key_length, groups * value_length];
        let projections = if self.tensors.has(&name("attn_qkv.weight")) {
            let outputs = queries + keys + values;
            Projections::Joined(self.tensors.linear(&name("attn_qkv"), width, outputs)?)
        } else {
            Projections::Separate(Box::new([
                self.tensors.linear(&name("attn_q"), width, queries)?,
                self.tensors.linear(&name("attn_k"), width, keys)?,
                self.tensors.linear(&name("attn_v"), width, values)?,
            ]))
        };
        let window = self.window(layer)?;
        let output =
            if self.tensors.has(&name("attn_o.weight")) { "attn_o" } else { "attn_output" };
        let scale = match self.settings.float("attention.scale")? {
            Some(scale) if scale != 0.0 => scale,
            _ if family.unscaled => 1.0,
            _ => self.scale(key_length, heads),
        };
        Ok(Attention {
            heads,
            groups,
            key_length,
            value_length,
            projections,
            clamp: self.settings.float("attention.clamp_kqv")?.unwrap_or(0.0),
            query_norm: self.head_norm(&name("attn_q_norm"), key_length, heads)?,
            key_norm: self.head_norm(&name("attn_k_norm"), key_length, groups)?,
            norm_after_rope: false,
            rope: self.rope(layer, key_length, window.is_some())?,
            scale,
            window,
            cap: self.settings.float("attn_logit_softcapping")?.unwrap_or(0.0),
            sinks: self.tensors.vector(&name("attn_sinks.weight"), heads)?,
            output: self.tensors.linear(&name(output), heads * value_length, width)?,
        })
    }

    /// The factor of scores. The largest models of Gemma have another.
    fn scale(&self, key_length: usize, heads: usize) -> f32 {
        let largest = match self.family.name {
            "gemma2" => self.layers == 46,
            "gemma3" => self.layers == 62,
            _ => false,
        };
        let length = if largest { self.width / heads } else { key_length };
        1.0 / (length as f32).sqrt()
    }

    /// The window of a layer; `None` if it sees all tokens.
    fn window(&self, layer: usize) -> Result<Option<Window>, Error> {
        let Some(windows) = self.family.windows else { return Ok(None) };
        let length = self.settings.integer("attention.sliding_window")?.or(windows.length);
        let Some(length) = length.filter(|length| *length > 0) else { return Ok(None) };
        let key = "attention.sliding_window_pattern";
        let is_array =
            matches!(self.settings.value(key), Some(granule_reader::format::Value::Array(_)));
        let windowed = if is_array {
            let pattern = self.settings.per_layer(key, self.layers)?;
            pattern.is_some_and(|pattern| pattern[layer] != 0)
        } else {
            let every = self.settings.integer(key)?.unwrap_or(windows.full_every);
            every == 0 || layer % every + 1 < every
        };
        Ok(windowed.then_some(Window(length)))
    }

    fn rope(
        &mut self,
        layer: usize,
        key_length: usize,
        windowed: bool,
    ) -> Result<Option<Rope>, Error> {
        let Some(style) = self.family.rope else { return Ok(None) };
        let turns = match self.family.turned {
            Turned::All => true,
            Turned::ThreeOfFour => !(layer + 1).is_multiple_of(4),
            Turned::Windowed => windowed,
            Turned::Finetuned => self.settings.flag("rope.scaling.finetuned")?.unwrap_or(true),
        };
        if !turns {
            return Ok(None);
        }
        let key = "rope.dimension_count";
        let dimensions = self.settings.integer(key)?.unwrap_or(key_length);
        if dimensions > key_length {
            let expected = format!("at most the {key_length} values of a head");
            return Err(self.settings.contradiction(key, dimensions, expected));
        }
        let mut reading = Reading { style, dimensions, base: None, scaled: true, factors: true };
        if let (true, Some(windows)) = (windowed, self.family.windows) {
            reading.base = self.settings.float("rope.freq_base_swa")?.or(windows.base);
            reading.scaled = windows.scaled;
            reading.factors = windows.scaled;
        }
        Rope::read(&self.settings, &mut self.tensors, reading)
    }

    /// The norm before a part, which may be one without weights.
    fn norm_before(&mut self, name: &str) -> Result<Option<Norm>, Error> {
        match self.norm(name, self.width)? {
            None if self.family.plain_norms => Ok(Some(self.plain_norm(self.width))),
            norm => Ok(norm),
        }
    }

    fn plain_norm(&self, length: usize) -> Norm {
        Norm { kind: self.family.norm, length, weight: None, bias: None, epsilon: self.epsilon }
    }

    /// A norm of vectors of `length` values, if its weight is in the file.
    pub(super) fn norm(&mut self, name: &str, length: usize) -> Result<Option<Norm>, Error> {
        let weight = self.tensors.vector(&format!("{name}.weight"), length)?;
        let bias = self.tensors.vector(&format!("{name}.bias"), length)?;
        Ok(weight.map(|_| Norm { weight, bias, ..self.plain_norm(length) }))
    }

    /// A norm of each head, with one weight for all or one for each, or of all heads together.
    fn head_norm(
        &mut self,
        name: &str,
        length: usize,
        heads: usize,
    ) -> Result<Option<Norm>, Error> {
        let weight = format!("{name}.weight");
        let Some([row, rows, _]) = self.tensors.shape(&weight) else { return Ok(None) };
        if [row, rows] == [length, heads] && heads > 1 {
            let weight = Some(self.tensors.need(&weight, [length, heads, 1])?);
            return Ok(Some(Norm { weight, ..self.plain_norm(length) }));
        }
        let all = if row == length { length } else { length * heads };
        self.norm(name, all)
    }

    fn feed_forward(&mut self, layer: usize, name: &dyn Fn(&str) -> String) -> Result<Part, Error> {
        if self.tensors.has(&name("ffn_gate_inp.weight")) {
            return Ok(Part::Experts(Box::new(self.experts(layer, name)?)));
        }
        let hidden = self.settings.per_layer("feed_forward_length", self.layers)?;
        let hidden = hidden.map_or(0, |hidden| hidden[layer]);
        Ok(Part::FeedForward(Box::new(self.dense(hidden, "", name)?)))
    }

    /// The tensors `ffn_up`, `ffn_down` and, if it is there, `ffn_gate`, with a suffix.
    fn dense(
        &mut self,
        hidden: usize,
        suffix: &str,
        name: &dyn Fn(&str) -> String,
    ) -> Result<FeedForward, Error> {
        let width = self.width;
        let [up, gate, down] =
            ["up", "gate", "down"].map(|part| name(&format!("ffn_{part}{suffix}")));
        // without a gate of its own, a matrix that is twice as high has both
        let rows = self.tensors.shape(&format!("{up}.weight")).map_or(0, |shape| shape[1]);
        let gate = self.tensors.find_linear(&gate, width, hidden)?;
        let joined = gate.is_none() && rows == 2 * hidden;
        Ok(FeedForward {
            gate,
            up: self.tensors.linear(&up, width, if joined { rows } else { hidden })?,
            joined,
            norm: None,
            down: self.tensors.linear(&down, hidden, width)?,
            activation: self.family.activation,
        })
    }

    fn experts(&mut self, layer: usize, name: &dyn Fn(&str) -> String) -> Result<Experts, Error> {
        let (family, width) = (self.family, self.width);
        let count = self.settings.count("expert_count")?;
        let used = self.settings.per_layer("expert_used_count", self.layers)?;
        let used = used.map_or(0, |used| used[layer]);
        if !(1..=count).contains(&used) {
            let expected = format!("a number from 1 to {count}");
            return Err(self.settings.contradiction("expert_used_count", used, expected));
        }
        let hidden = match self.settings.per_layer("expert_feed_forward_length", self.layers)? {
            Some(hidden) => Some(hidden),
            None => self.settings.per_layer("feed_forward_length", self.layers)?,
        };
        let hidden = hidden.map_or(0, |hidden| hidden[layer]);
        let [up, gate, down] = ["up", "gate", "down"].map(|part| name(&format!("ffn_{part}_exps")));
        let both = name("ffn_gate_up_exps");
        let joined = self.tensors.has(&format!("{both}.weight"));
        let gate = match self.tensors.has(&format!("{gate}.weight")) {
            true => Some(self.tensors.linears(&gate, width, hidden, count)?),
            false => None,
        };
        let up = match joined {
            true => self.tensors.linears(&both, width, 2 * hidden, count)?,
            false => self.tensors.linears(&up, width, hidden, count)?,
        };
        let gating = match self.settings.integer("expert_gating_func")? {
            None | Some(0) => family.gating,
            Some(1) => super::Gating::Softmax,
            Some(2) => super::Gating::Sigmoid,
            Some(3) => super::Gating::SoftmaxOfChosen,
            Some(other) => {
                let expected = "1 (softmax), 2 (sigmoid) or 3 (softmax of the chosen)";
                return Err(self.settings.contradiction("expert_gating_func", other, expected));
            }
        };
        let groups = self.settings.integer("expert_group_count")?.filter(|groups| *groups > 1);
        let groups = match groups {
            None => None,
            Some(groups) => {
                let used = self.settings.integer("expert_group_used_count")?.unwrap_or(groups);
                if !count.is_multiple_of(groups) || !(1..=groups).contains(&used) {
                    let expected =
                        format!("a divisor of the {count} experts, of which some are used");
                    return Err(self.settings.contradiction(
                        "expert_group_count",
                        groups,
                        expected,
                    ));
                }
                Some((groups, used))
            }
        };
        let scale = match self.settings.float("expert_weights_scale")? {
            None | Some(0.0) => 1.0,
            Some(scale) => scale,
        };
        Ok(Experts {
            count,
            used,
            router: self.tensors.linear(&name("ffn_gate_inp"), width, count)?,
            gating,
            correction: self.tensors.vector(&name("exp_probs_b.bias"), count)?,
            groups,
            normalized: self.settings.flag("expert_weights_norm")?.unwrap_or(family.normalized),
            scale,
            gate,
            up,
            joined,
            down: self.tensors.linears(&down, hidden, width, count)?,
            activation: family.activation,
            shared: self.shared(name)?,
        })
    }

    /// The expert that all tokens use.
    fn shared(
        &mut self,
        name: &dyn Fn(&str) -> String,
    ) -> Result<Option<(FeedForward, Option<super::Linear>)>, Error> {
        let up = name("ffn_up_shexp.weight");
        // its length is not always in the metadata
        let Some([_, hidden, _]) = self.tensors.shape(&up) else { return Ok(None) };
        let part = self.dense(hidden, "_shexp", name)?;
        let gate = self.tensors.find_linear(&name("ffn_gate_inp_shexp"), self.width, 1)?;
        Ok(Some((part, gate)))
    }
}

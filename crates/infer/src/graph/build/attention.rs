use granule_reader::format::Value;

use super::Builder;
use crate::Error;
use crate::graph::families::Turned;
use crate::graph::rope::Reading;
use crate::graph::settings::Settings;
use crate::graph::{Attention, Growth, Heads, Latent, Norm, Projections, Rope, TensorRef, Window};

impl Builder<'_> {
    pub(super) fn attention(
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
        let joined = self.tensors.has(&name("attn_qkv.weight"));
        let rows = self.tensors.shape(&name("attn_q.weight")).map_or(0, |shape| shape[1]);
        let gated = rows == 2 * queries && key_length == value_length;
        let projections = if joined {
            let outputs = queries + keys + values;
            Projections::Joined(self.tensors.linear(&name("attn_qkv"), width, outputs)?)
        } else {
            let outputs = if gated { 2 * queries } else { queries };
            Projections::Separate(Box::new([
                self.tensors.linear(&name("attn_q"), width, outputs)?,
                self.tensors.linear(&name("attn_k"), width, keys)?,
                self.tensors.linear(&name("attn_v"), width, values)?,
            ]))
        };
        let growth = self.growth()?;
        let window = self.window(layer)?;
        let output =
            if self.tensors.has(&name("attn_o.weight")) { "attn_o" } else { "attn_output" };
        let scale = match self.settings.float("attention.scale")? {
            Some(scale) if scale != 0.0 => scale,
            _ if family.unscaled => 1.0,
            _ => self.scale(key_length, heads),
        };
        let rope = self.rope(layer, key_length, window.is_some())?;
        let mut query_norm = self.head_norm(&name("attn_q_norm"), key_length, heads)?;
        let mut key_norm = self.head_norm(&name("attn_k_norm"), key_length, groups)?;
        // the largest models do without
        let largest = self.settings.integer("expert_count")?.is_some_and(|count| count >= 128);
        if family.plain_head_norms && rope.is_some() && !largest {
            query_norm = Some(self.plain_norm(key_length));
            key_norm = Some(self.plain_norm(key_length));
        }
        let mut distances = self.distances(&name("attn_rel_b.weight"), heads)?;
        if distances.is_none() {
            // those of the first layer are for all
            let first = format!("{}blk.0.attn_rel_b.weight", family.prefix);
            distances = self.distances(&first, heads)?;
        }
        Ok(Attention {
            heads: Heads {
                count: heads,
                groups,
                key_length,
                value_length,
                scale,
                window,
                cap: self.settings.float("attn_logit_softcapping")?.unwrap_or(0.0),
                sinks: self.tensors.vector(&name("attn_sinks.weight"), heads)?,
                slopes: self.slopes(heads)?,
                distances,
            },
            projections,
            clamp: self.settings.float("attention.clamp_kqv")?.unwrap_or(0.0),
            query_norm,
            key_norm,
            norm_after_rope: family.norm_after_rope,
            growth: growth.or(family.growth.filter(|_| rope.is_none())),
            rope,
            gated,
            output: self.tensors.linear(&name(output), heads * value_length, width)?,
        })
    }

    /// How queries grow with their position, if the file says that they do.
    fn growth(&self) -> Result<Option<Growth>, Error> {
        let scale = self.settings.float("attention.temperature_scale")?.unwrap_or(0.0);
        if scale == 0.0 {
            return Ok(None);
        }
        let length = "attention.temperature_length";
        let every = match self.settings.integer(length)? {
            Some(_) => self.settings.count(length)?,
            None => self.settings.count("rope.scaling.original_context_length")?,
        };
        Ok(Some(Growth { every, offset: 0, scale }))
    }

    /// What scores lose with the distance (ALiBi): a geometric series over the heads.
    fn slopes(&self, heads: usize) -> Result<Option<Vec<f32>>, Error> {
        let most = self.settings.float("attention.max_alibi_bias")?.or(self.family.most_slope);
        let Some(most) = most.filter(|most| *most > 0.0) else { return Ok(None) };
        let most = f64::from(most);
        // heads beyond a power of two have those of twice as many heads that are missing
        let whole = 1_usize << heads.ilog2();
        let slope = |head: usize| match head.checked_sub(whole) {
            None => libm::exp2(-most * (head + 1) as f64 / whole as f64),
            Some(head) => libm::exp2(-most * (2 * head + 1) as f64 / (2 * whole) as f64),
        };
        Ok(Some((0..heads).map(|head| slope(head) as f32).collect()))
    }

    /// A tensor that may be missing, with a row of any number of buckets.
    fn distances(&mut self, name: &str, heads: usize) -> Result<Option<TensorRef>, Error> {
        // half of the buckets are for later tokens, half of these for single distances
        let buckets = self.tensors.shape(name).map_or(0, |shape| shape[1].max(4));
        self.tensors.find(name, [heads, buckets, 1])
    }

    pub(super) fn latent(
        &mut self,
        layer: usize,
        name: &dyn Fn(&str) -> String,
    ) -> Result<Latent, Error> {
        let width = self.width;
        let heads = self.settings.count("attention.head_count")?;
        let short = self.settings.count("attention.kv_lora_rank")?;
        let turned = self.settings.count("rope.dimension_count")?;
        let length = self.settings.count("attention.key_length_mla")?;
        let value_length = self.settings.count("attention.value_length_mla")?;
        let Some(plain) = length.checked_sub(turned).filter(|plain| *plain > 0) else {
            let expected = format!("more than the {turned} values that are turned");
            return Err(self.settings.contradiction("attention.key_length_mla", length, expected));
        };
        // its shape bounds the sizes that follow
        let short_linear = self.tensors.linear(&name("attn_kv_a_mqa"), width, short + turned)?;
        let Some(rope) = self.rope(layer, short + turned, false)? else {
            let key = "rope.dimension_count";
            return Err(self.settings.contradiction(key, turned, "values that are turned"));
        };
        let query_name = name("attn_q_a");
        let (query_short, inputs) = match self.tensors.shape(&format!("{query_name}.weight")) {
            None => (None, width),
            Some([_, rank, _]) => {
                let linear = self.tensors.linear(&query_name, width, rank)?;
                let norm = self.needed_norm(&name("attn_q_a_norm"), rank)?;
                (Some((linear, norm)), rank)
            }
        };
        let query = if query_short.is_some() { "attn_q_b" } else { "attn_q" };
        // long contexts make scores larger too, twice
        let larger = self.settings.float("rope.scaling.yarn_log_multiplier")?.unwrap_or(0.0);
        let factor = match self.settings.text("rope.scaling.type")? {
            Some("yarn") => self.settings.float("rope.scaling.factor")?.unwrap_or(1.0),
            _ => 1.0,
        };
        let larger = 1.0 + f64::from(larger) * libm::log(f64::from(factor).max(1.0));
        let larger = larger * f64::from(rope.magnitude);
        let scale = (larger * larger / (length as f64).sqrt()) as f32;
        Ok(Latent {
            heads: Heads {
                count: heads,
                groups: 1,
                key_length: short + turned,
                value_length: short,
                scale,
                window: None,
                cap: 0.0,
                sinks: None,
                slopes: None,
                distances: None,
            },
            query_short,
            query: self.tensors.linear(&name(query), inputs, heads * length)?,
            short: short_linear,
            short_norm: self.needed_norm(&name("attn_kv_a_norm"), short)?,
            key: self.tensors.linears(&name("attn_k_b"), plain, short, heads)?,
            value: self.tensors.linears(&name("attn_v_b"), short, value_length, heads)?,
            rope,
            growth: self.growth()?,
            output: self.tensors.linear(&name("attn_output"), heads * value_length, width)?,
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
        let is_array = matches!(self.settings.value(key), Some(Value::Array(_)));
        let windowed = if is_array {
            let pattern = self.settings.per_layer(key, self.layers)?;
            pattern.is_some_and(|pattern| pattern[layer] != 0)
        } else {
            let every = self.settings.integer(key)?.unwrap_or(windows.full_every);
            every == 0 || layer % every + 1 < every
        };
        let window = if windows.parts { Window::Part(length) } else { Window::Near(length) };
        Ok(windowed.then_some(window))
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
}

//! From metadata and tensors to a graph.

mod attention;
mod feed_forward;
mod recurrent;

use granule_reader::Source;

use super::families::{Family, Parallel, family, names};
use super::settings::Settings;
use super::tensors::{Norm, NormKind, Tensors};
use super::{Embedding, Graph, Layer, Output, Part, Pooling, Step};
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
    if layers > source.tensors().len() {
        let expected = format!("fewer, as there are {} tensors", source.tensors().len());
        return Err(settings.contradiction("block_count", layers, expected));
    }
    // the last layers of some models only predict further tokens
    let extra = settings.integer("nextn_predict_layers")?.unwrap_or(0);
    let layers = layers.checked_sub(extra).filter(|layers| *layers > 0).ok_or_else(|| {
        settings.contradiction("nextn_predict_layers", extra, "fewer than block_count")
    })?;
    // a few models have layer norms, and their epsilon under the other key
    let mut keys = ["attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"];
    if family.norm == NormKind::Layer {
        keys.reverse();
    }
    let epsilon = match settings.float(keys[0])? {
        Some(epsilon) => epsilon,
        None => match settings.float(keys[1])? {
            Some(epsilon) => epsilon,
            None => source.metadata().require(&settings.key(keys[0]))?,
        },
    };
    let tensors = Tensors::new(source, family.name);
    let width = settings.count("embedding_length")?;
    Builder { family, settings, tensors, layers, width, epsilon }.graph()
}

/// What the parts of a graph are made of.
struct Builder<'s> {
    family: &'static Family,
    settings: Settings<'s>,
    tensors: Tensors<'s>,
    layers: usize,
    width: usize,
    epsilon: f32,
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
        let (family, width) = (self.family, self.width);
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
            norm: match family.output_norm {
                // some files have the last norm under this name
                "token_embd_norm" => None,
                _ => self.norm("token_embd_norm", width)?,
            },
        })
    }

    /// A tensor that may be missing, of any number of rows.
    fn rows_of_width(&mut self, name: &str) -> Result<Option<super::TensorRef>, Error> {
        let rows = self.tensors.shape(name).map_or(0, |shape| shape[1]);
        self.tensors.find(name, [self.width, rows, 1])
    }

    fn output(&mut self, embedding: &Embedding) -> Result<Output, Error> {
        let (width, vocabulary) = (self.width, embedding.tokens.rows);
        let name = format!("{}{}", self.family.prefix, self.family.output_norm);
        let norm = match self.norm(&name, width)? {
            None if self.family.plain_norms => Some(self.plain_norm(width)),
            None if !self.family.encoder => {
                return Err(self.tensors.missing(&format!("{name}.weight")));
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
        let mut steps = vec![Step {
            before: if family.encoder { first } else { other.or(first) },
            part: self.mixer(layer, &name)?,
            after,
            scale,
            sum: self.norm(&name("attn_output_norm"), width)?,
        }];
        // layers of a recurrent model have nothing else
        if let Some(part) = self.feed_forward(layer, &name)? {
            steps.push(Step {
                before: second,
                part,
                after: self.norm(&name("post_ffw_norm"), width)?,
                scale,
                sum: self.norm(&name("layer_output_norm"), width)?,
            });
        }
        Ok(Layer { steps, parallel, tensors: self.tensors.take_used() })
    }

    /// What mixes tokens: the tensors tell.
    fn mixer(&mut self, layer: usize, name: &dyn Fn(&str) -> String) -> Result<Part, Error> {
        Ok(if self.tensors.has(&name("attn_kv_a_mqa.weight")) {
            Part::Latent(Box::new(self.latent(layer, name)?))
        } else if ["ssm_ba.weight", "ssm_beta.weight"].iter().any(|of| self.tensors.has(&name(of)))
        {
            Part::DeltaNet(Box::new(self.delta_net(name)?))
        } else if self.tensors.has(&name("ssm_in.weight")) {
            Part::Mamba(Box::new(self.mamba(name)?))
        } else if self.tensors.has(&name("shortconv.in_proj.weight")) {
            Part::ShortConvolution(Box::new(self.short_convolution(name)?))
        } else {
            Part::Attention(Box::new(self.attention(layer, name)?))
        })
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

    /// A norm that must be there.
    fn needed_norm(&mut self, name: &str, length: usize) -> Result<Norm, Error> {
        let norm = self.norm(name, length)?;
        norm.ok_or_else(|| self.tensors.missing(&format!("{name}.weight")))
    }

    /// A norm of vectors of `length` values, if its weight is in the file.
    fn norm(&mut self, name: &str, length: usize) -> Result<Option<Norm>, Error> {
        let weight = self.tensors.vector(&format!("{name}.weight"), length)?;
        let bias = self.tensors.vector(&format!("{name}.bias"), length)?;
        Ok(weight.map(|_| Norm { weight, bias, ..self.plain_norm(length) }))
    }
}

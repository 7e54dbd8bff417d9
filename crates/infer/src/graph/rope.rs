//! Rotary position embeddings: pairs of values turn by angles that grow with the position.

use std::f64::consts::TAU;

use super::settings::Settings;
use super::tensors::{TensorRef, Tensors};
use crate::Error;

/// Which values of a head are a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Neighbours.
    Pairs,
    /// Value `i` and the value half of the turned values later (NeoX).
    Halves,
}

/// A rotary embedding with all scalings resolved.
#[derive(Clone, Debug)]
pub(crate) struct Rope {
    pub(crate) style: Style,
    /// The angle of each pair from one position to the next.
    pub(crate) steps: Vec<f64>,
    /// What each angle is divided by, if the file has factors.
    pub(crate) factors: Option<TensorRef>,
    /// Other factors for texts that are longer than this number of positions.
    pub(crate) long: Option<(usize, TensorRef)>,
    /// A factor for all turned values.
    pub(crate) magnitude: f32,
}

/// How the metadata's base and scaling are to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) style: Style,
    /// Turned values of a head if the metadata do not say.
    pub(crate) dimensions: usize,
    /// The base, if it is not that of `rope.freq_base`.
    pub(crate) base: Option<f32>,
    /// Whether `rope.scaling` holds.
    pub(crate) scaled: bool,
    /// Whether the factors in the file hold.
    pub(crate) factors: bool,
}

/// YaRN's limits if the metadata name none: turns in the original context above which a pair is
/// not slowed down, and below which it is slowed down by the whole factor.
const YARN_TURNS: (f32, f32) = (32.0, 1.0);

impl Rope {
    pub(crate) fn read(
        settings: &Settings<'_>,
        tensors: &mut Tensors<'_>,
        reading: Reading,
    ) -> Result<Option<Self>, Error> {
        let Reading { style, dimensions, scaled, .. } = reading;
        if dimensions == 0 {
            return Ok(None);
        }
        if !dimensions.is_multiple_of(2) {
            let key = "rope.dimension_count";
            return Err(settings.contradiction(key, dimensions, "an even number"));
        }
        let base = match reading.base {
            Some(base) => base,
            None => settings.float("rope.freq_base")?.unwrap_or(10_000.0),
        };
        if !(base.is_finite() && base > 0.0) {
            return Err(settings.contradiction("rope.freq_base", base, "a number above zero"));
        }
        let kind =
            if scaled { settings.text("rope.scaling.type")?.unwrap_or("linear") } else { "none" };
        let factor = match settings.float("rope.scaling.factor")? {
            Some(factor) => factor,
            None => settings.float("rope.scale_linear")?.unwrap_or(1.0),
        };
        let slower = if factor == 0.0 || kind == "none" { 1.0 } else { f64::from(factor) };
        let pairs = dimensions / 2;
        let plain = |pair: usize| {
            let share = (2 * pair) as f64 / dimensions as f64;
            libm::exp(-share * libm::log(f64::from(base)))
        };
        let mut magnitude = f64::from(settings.float("rope.scaling.attn_factor")?.unwrap_or(1.0));
        let context = match settings.integer("rope.scaling.original_context_length")? {
            Some(length) => length,
            None => settings.count("context_length")?,
        };
        let mut steps: Vec<f64> = (0..pairs).map(plain).collect();
        match kind {
            "none" | "longrope" => {}
            "linear" => steps.iter_mut().for_each(|step| *step /= slower),
            "yarn" => {
                let fast = settings.float("rope.scaling.yarn_beta_fast")?.unwrap_or(YARN_TURNS.0);
                let slow = settings.float("rope.scaling.yarn_beta_slow")?.unwrap_or(YARN_TURNS.1);
                // the pair that turns this number of times in the original context
                let pair = |turns: f32| {
                    let length = context as f64 / (f64::from(turns) * TAU);
                    dimensions as f64 * libm::log(length) / (2.0 * libm::log(f64::from(base)))
                };
                let low = libm::floor(pair(fast)).max(0.0);
                let high = libm::ceil(pair(slow)).min(dimensions as f64 - 1.0);
                for (pair, step) in steps.iter_mut().enumerate() {
                    let ramp = (pair as f64 - low) / (high - low).max(0.001);
                    let kept = 1.0 - ramp.clamp(0.0, 1.0);
                    *step = *step / slower * (1.0 - kept) + *step * kept;
                }
                magnitude *= yarn_magnitude(settings, slower)?;
            }
            other => {
                let expected = "none, linear, yarn or longrope";
                return Err(settings.contradiction("rope.scaling.type", other, expected));
            }
        }
        let mut tensor = |name: &str| match reading.factors {
            true => tensors.vector(&format!("{name}.weight"), pairs),
            false => Ok(None),
        };
        let short = tensor("rope_factors_short")?;
        let factors = if short.is_some() { short } else { tensor("rope_freqs")? };
        let long = tensor("rope_factors_long")?.map(|factors| (context, factors));
        Ok(Some(Self { style, steps, factors, long, magnitude: magnitude as f32 }))
    }
}

/// The factor by which YaRN enlarges queries and keys.
fn yarn_magnitude(settings: &Settings<'_>, slower: f64) -> Result<f64, Error> {
    let grown = |by: f64| if slower > 1.0 { 0.1 * by * libm::log(slower) + 1.0 } else { 1.0 };
    // models whose attention has this factor in its own scale
    let all = f64::from(settings.float("rope.scaling.yarn_log_multiplier")?.unwrap_or(0.0));
    if all == 0.0 { Ok(grown(1.0)) } else { Ok(1.0) }
}

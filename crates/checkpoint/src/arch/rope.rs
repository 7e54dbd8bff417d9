//! Rotary embedding: keys of the config, keys of the metadata, and the tensor of frequency factors.

use granule_format::{Array, Metadata};
use serde_json::{Map, Value};

use super::Config;
use super::expression::Rotary;
use crate::Error;
use crate::Problem;

/// The keys of the objects that describe it.
const SCALING_KEYS: &[&str] = &["rope_parameters", "rope_scaling"];

/// The keys for the context length.
const CONTEXT_KEYS: &[&str] = &["max_position_embeddings", "n_ctx", "n_positions", "max_length"];

/// The parameters of rope type `llama3`, with the reference's defaults.
const LLAMA3_DEFAULTS: &[(&str, f64)] = &[
    ("factor", 8.0),
    ("low_freq_factor", 1.0),
    ("high_freq_factor", 4.0),
    ("original_max_position_embeddings", 8192.0),
];

const BASE_KEYS: &[&str] = &[
    "global_rope_theta",
    "rope_global_theta",
    "rope_theta_global",
    "rope_theta",
    "rotary_emb_base",
];
const LOCAL_BASE_KEYS: &[&str] = &[
    "local_rope_theta",
    "rope_local_theta",
    "rope_theta_local",
    "swa_rope_theta",
    "rope_local_base_freq",
];

/// The config's rotary embedding, in whichever form the config has it.
#[derive(Debug)]
pub(crate) struct Rope<'c> {
    config: &'c Config,
    /// `rope_parameters` or `rope_scaling`, with keys from elsewhere added.
    all: Map<String, Value>,
}

impl<'c> Rope<'c> {
    /// Collects the keys.
    pub(crate) fn new(config: &'c Config) -> Self {
        let (_, found) = config.first(SCALING_KEYS).unzip();
        let mut all = found.and_then(Value::as_object).cloned().unwrap_or_default();
        if !all.contains_key("full_attention") && !all.contains_key("sliding_attention") {
            if let Some((_, base)) = config.first(LOCAL_BASE_KEYS) {
                let local = Map::from_iter([("rope_theta".to_owned(), base.clone())]);
                all.insert("sliding_attention".to_owned(), local.into());
            }
            // A list has the base of every layer; it begins with one for full attention and one for
            // a window.
            let base = config.first(BASE_KEYS).map(|(_, value)| value);
            if let Some(local) = base.and_then(|base| base.get(1)) {
                let local = Map::from_iter([("rope_theta".to_owned(), local.clone())]);
                all.insert("sliding_attention".to_owned(), local.into());
            }
            let mut mirror = |key: &str, value: Option<&Value>| {
                if let Some(value) = value {
                    all.entry(key).or_insert_with(|| value.clone());
                }
            };
            mirror("rope_theta", base.map(|base| base.get(0).unwrap_or(base)));
            let partial = config.first(&["partial_rotary_factor", "rope_pct", "rope_percent"]);
            mirror("partial_rotary_factor", partial.map(|(_, value)| value));
            let original = "original_max_position_embeddings";
            mirror(original, config.get(original));
            if let Some(kind) = all.get("type").filter(|kind| !kind.is_null()).cloned() {
                all.entry("rope_type").or_insert(kind);
            }
        }
        Self { config, all }
    }

    /// The keys for layers with full attention.
    fn full(&self) -> &Map<String, Value> {
        self.all.get("full_attention").and_then(Value::as_object).unwrap_or(&self.all)
    }

    /// The type of scaling.
    pub(super) fn kind(&self) -> Option<&str> {
        self.full().get("rope_type").and_then(Value::as_str)
    }

    /// The key of the config that describes the scaling.
    pub(super) fn source(&self) -> &'static str {
        self.config.first(SCALING_KEYS).map_or(SCALING_KEYS[1], |(key, _)| key)
    }

    /// Warns about parameters of rope type `llama3` that are defaults.
    fn warn_of_defaults(&self, warnings: &mut Vec<String>) -> Result<(), Error> {
        for (key, default) in LLAMA3_DEFAULTS {
            if self.float(key)?.is_none() {
                warnings.push(format!(
                    "config.json: {} of type \"llama3\" has no {key:?}: {default} is taken for it, \
                     the number of Llama 3.1",
                    self.source()
                ));
            }
        }
        Ok(())
    }

    /// A parameter of rope type `llama3`.
    fn llama3(&self, key: &str) -> Result<f64, Error> {
        let default = LLAMA3_DEFAULTS.iter().find(|(known, _)| *known == key);
        let default = default.expect("a row of the table").1;
        Ok(self.float(key)?.unwrap_or(default))
    }

    fn float(&self, key: &str) -> Result<Option<f64>, Error> {
        let value = self.full().get(key).filter(|value| !value.is_null());
        value.map(|value| self.config.float(key, value)).transpose()
    }

    /// Writes the scaling.
    pub(super) fn write_scaling(
        &self,
        config: &Config,
        name: &impl Fn(&str) -> String,
        out: &mut Metadata,
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        let kind = self.kind().unwrap_or_default();
        match (kind, self.float("factor")?) {
            ("linear" | "yarn", Some(factor)) => {
                out.set(&name("rope.scaling.type"), kind);
                out.set(&name("rope.scaling.factor"), factor as f32);
                if kind == "yarn" {
                    self.write_yarn(config, name, out, warnings)?;
                }
            }
            ("linear" | "yarn", None) => warnings.push(format!(
                "config.json: {} of type {kind:?} has no \"factor\"; nothing is written for it",
                self.source()
            )),
            ("su" | "longrope", _) => out.set(&name("rope.scaling.type"), "longrope"),
            ("" | "default", _) => {}
            ("dynamic", _) => warnings.push(format!(
                "config.json: nothing is written for {} of type \"dynamic\", which GGUF files \
                 cannot say; texts beyond the length in the file need options of the program that \
                 runs the model",
                self.source()
            )),
            // A tensor holds it.
            _ if kind.eq_ignore_ascii_case("llama3") => self.warn_of_defaults(warnings)?,
            _ => warnings.push(format!(
                "config.json: the rope_type {kind:?} is unknown; nothing is written for it"
            )),
        }
        if let Some(Value::Array(sections)) = self.all.get("mrope_section") {
            let key = "mrope_section";
            let number = |value: &Value| {
                let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
                number.ok_or_else(|| config.wrong(key, value, "an integer"))
            };
            let mut sections = sections.iter().map(number).collect::<Result<Vec<_>, _>>()?;
            sections.resize(4, 0);
            out.set(&name("rope.dimension_sections"), Array::I32(sections));
        }
        Ok(())
    }

    fn write_yarn(
        &self,
        config: &Config,
        name: &impl Fn(&str) -> String,
        out: &mut Metadata,
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        let key = "original_max_position_embeddings";
        let original = match self.full().get(key).filter(|value| !value.is_null()) {
            Some(original) => config.unsigned_32(key, original)?,
            // What the model's library does.
            None => {
                let Some((context, length)) = config.first(CONTEXT_KEYS) else {
                    let keys = vec![key.to_owned(), CONTEXT_KEYS[0].to_owned()];
                    return Err(Error::in_file(config.path(), Problem::MissingKey(keys)));
                };
                let length = config.unsigned_32(context, length)?;
                warnings.push(format!(
                    "config.json: {} of type \"yarn\" has no {key:?}: {context:?} ({length}) is \
                     taken for it, as the model's library does",
                    self.source()
                ));
                length
            }
        };
        out.set(&name("rope.scaling.original_context_length"), original);
        let attention = match self.float("attention_factor")? {
            None if !self.full().contains_key("attention_factor") => self.float("attn_factor")?,
            factor => factor,
        };
        for (key, value) in [
            ("rope.scaling.yarn_ext_factor", self.float("extrapolation_factor")?),
            ("rope.scaling.yarn_attn_factor", attention),
            ("rope.scaling.yarn_beta_fast", self.float("beta_fast")?),
            ("rope.scaling.yarn_beta_slow", self.float("beta_slow")?),
        ] {
            if let Some(value) = value {
                out.set(&name(key), value as f32);
            }
        }
        Ok(())
    }

    /// Writes the bases.
    pub(super) fn write_bases(
        &self,
        config: &Config,
        name: &impl Fn(&str) -> String,
        out: &mut Metadata,
    ) -> Result<(), Error> {
        if let Some(base) = self.float("rope_theta")? {
            out.set(&name("rope.freq_base"), base as f32);
        }
        let local = self.all.get("sliding_attention").and_then(|local| local.get("rope_theta"));
        if let Some(base) = local.filter(|base| !base.is_null()) {
            out.set(&name("rope.freq_base_swa"), config.float("rope_theta", base)? as f32);
        }
        Ok(())
    }
}

impl Rotary for Rope<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.full().get(key)
    }

    /// The divisors of the frequencies for heads of `head` values; `None` unless the type is
    /// `llama3`.
    ///
    /// Low frequencies are divided by `factor` and high ones are kept; in between, the divisor is
    /// interpolated by wavelength. The order of operations in single precision is the reference's,
    /// which divides a number by a tensor as a multiplication by the reciprocal. Its power function
    /// is not always correctly rounded; this one is.
    /// With `precise`, what follows the frequencies is calculated in double precision.
    fn llama3_factors(&self, head: u64, precise: bool) -> Result<Option<Vec<f32>>, Error> {
        if !self.kind().is_some_and(|kind| kind.eq_ignore_ascii_case("llama3")) {
            return Ok(None);
        }
        let base = self.float("rope_theta")?.unwrap_or(10_000.0) as f32;
        let factor = self.llama3("factor")?;
        let low = self.llama3("low_freq_factor")?;
        let high = self.llama3("high_freq_factor")?;
        let context = self.llama3("original_max_position_embeddings")?;
        let (longest, shortest) = (context / low, context / high);
        let frequencies = (0..head).step_by(2).map(|i| {
            let exponent = i as f32 / head as f32;
            1.0 / f64::from(base).powf(f64::from(exponent)) as f32
        });
        let circle = 2.0 * std::f64::consts::PI;
        let in_double_precision = |frequency: f32| {
            let wavelength = circle / f64::from(frequency);
            if wavelength < shortest {
                1.0
            } else if wavelength > longest {
                factor as f32
            } else {
                let smooth = (context / wavelength - low) / (high - low);
                (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
            }
        };
        let in_single_precision = |frequency: f32| {
            let wavelength = 1.0 / frequency * circle as f32;
            if wavelength < shortest as f32 {
                1.0
            } else if wavelength > longest as f32 {
                factor as f32
            } else {
                let smooth = (1.0 / wavelength * context as f32 - low as f32) / (high - low) as f32;
                1.0 / ((1.0 - smooth) / factor as f32 + smooth)
            }
        };
        Ok(Some(match precise {
            true => frequencies.map(in_double_precision).collect(),
            false => frequencies.map(in_single_precision).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The factors between 1 and the largest, as torch 2.11.0 computes them.
    #[test]
    fn llama3_factors_have_the_bits_of_the_reference() {
        type Case = (u64, f64, f64, f64, f64, u64, usize, &'static [u32]);
        let cases: &[Case] = &[
            (
                128,
                500_000.0,
                8.0,
                1.0,
                4.0,
                8192,
                29,
                &[0x3f9a8ed5, 0x3fc6d64a, 0x4001af1d, 0x402c732e, 0x406bcace, 0x40a83c06],
            ),
            (64, 500_000.0, 32.0, 1.0, 4.0, 8192, 15, &[0x3fd35ec2, 0x4052b46f, 0x411aaaee]),
            (80, 1_000_000.0, 4.0, 1.0, 3.0, 4096, 16, &[0x3f96e774, 0x3fe2f497, 0x40306c1e]),
            (
                128,
                10_000.0,
                5.5,
                1.3,
                7.7,
                2048,
                27,
                &[
                    0x3f92e739, 0x3fa92bf0, 0x3fc2bbe2, 0x3fe00d06, 0x4000d1d3, 0x401409b8,
                    0x402a0025, 0x40430f7c, 0x405f9aa7, 0x40800676, 0x40926cab, 0x40a73cd6,
                ],
            ),
        ];
        for (head, base, factor, low, high, context, first, between) in cases {
            let config = Config::of(json!({
                "rope_theta": base,
                "rope_scaling": {
                    "rope_type": "llama3", "factor": factor,
                    "low_freq_factor": low, "high_freq_factor": high,
                    "original_max_position_embeddings": context,
                },
            }));
            let factors = Rope::new(&config).llama3_factors(*head, false).unwrap().unwrap();
            let last = first + between.len();
            let bits: Vec<_> =
                factors[*first..last].iter().map(|factor| factor.to_bits()).collect();
            assert_eq!(&bits, between, "head {head}");
            assert!(factors[..*first].iter().all(|factor| *factor == 1.0));
            assert!(factors[last..].iter().all(|found| *found == *factor as f32));
            assert_eq!(factors.len() as u64, head / 2);
        }
    }

    #[test]
    fn lists_of_bases_begin_with_that_of_full_attention() {
        let config = Config::of(json!({
            "rope_theta": [5_000_000.0, 10_000.0, 10_000.0],
            "rope_scaling": {
                "type": "llama3", "factor": 2.0, "low_freq_factor": 1.0, "high_freq_factor": 32.0,
                "original_max_position_embeddings": 131_072,
            },
        }));
        let rope = Rope::new(&config);
        let mut out = Metadata::new();
        rope.write_bases(&config, &str::to_owned, &mut out).unwrap();
        assert_eq!(out.get("rope.freq_base"), Some(&5_000_000.0_f32.into()));
        assert_eq!(out.get("rope.freq_base_swa"), Some(&10_000.0_f32.into()));
        // In double precision, some factors have another last bit.
        let of = |precise| rope.llama3_factors(64, precise).unwrap().unwrap();
        let differ = of(true).iter().zip(of(false)).filter(|(a, b)| **a != *b).count();
        assert!(differ > 0 && differ < 10, "{differ}");
        assert_eq!(of(true)[17].to_bits(), 0x3fddead9);
    }

    #[test]
    fn scaling_is_written_by_its_kind() {
        let write = |rope: Value| {
            let config = Config::of(json!({"rope_theta": 10000, "rope_scaling": rope}));
            let (mut out, mut warnings) = (Metadata::new(), Vec::new());
            let rope = Rope::new(&config);
            rope.write_scaling(&config, &str::to_owned, &mut out, &mut warnings).unwrap();
            rope.write_bases(&config, &str::to_owned, &mut out).unwrap();
            let text: Vec<_> =
                out.iter().map(|entry| format!("{}={:?}", entry.key, entry.value)).collect();
            (text.join(" "), warnings.len())
        };
        let base = "rope.freq_base=F32(10000.0)";
        assert_eq!(write(Value::Null), (base.to_owned(), 0));
        assert_eq!(
            write(json!({"type": "linear", "factor": 2.5})),
            (
                format!("rope.scaling.type=String(\"linear\") rope.scaling.factor=F32(2.5) {base}"),
                0
            )
        );
        let yarn = json!({
            "rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 32768,
            "beta_fast": 32
        });
        assert_eq!(
            write(yarn).0,
            format!(
                "rope.scaling.type=String(\"yarn\") rope.scaling.factor=F32(4.0) \
                 rope.scaling.original_context_length=U32(32768) \
                 rope.scaling.yarn_beta_fast=F32(32.0) {base}"
            )
        );
        for odd in [
            json!({"rope_type": "spiral", "factor": 2}),
            json!({"rope_type": "yarn"}),
            json!({"rope_type": "linear", "factor": null}),
            json!({"rope_type": "dynamic", "factor": 2}),
        ] {
            assert_eq!(write(odd), (base.to_owned(), 1));
        }
        let partial = json!({"rope_type": "llama3", "factor": 8, "high_freq_factor": 4});
        assert_eq!(write(partial), (base.to_owned(), 2));
    }

    #[test]
    fn yarn_without_original_length_means_the_length_of_the_model() {
        let write = |config: Value| {
            let config = Config::of(config);
            let (mut out, mut warnings) = (Metadata::new(), Vec::new());
            let rope = Rope::new(&config);
            rope.write_scaling(&config, &str::to_owned, &mut out, &mut warnings)?;
            let key = "rope.scaling.original_context_length";
            Ok::<_, Error>((out.get(key).cloned(), warnings.join("\n")))
        };
        for rope in [
            json!({"rope_type": "yarn", "factor": 4}),
            json!({"type": "yarn", "factor": 4, "original_max_position_embeddings": null}),
        ] {
            let config = json!({"rope_scaling": rope, "max_position_embeddings": 4096});
            let (original, warnings) = write(config).unwrap();
            assert_eq!(original, Some(4096_u32.into()));
            assert!(warnings.contains("no \"original_max_position_embeddings\""), "{warnings}");
        }
        let rope = json!({"rope_type": "yarn", "factor": 4});
        let error = write(json!({ "rope_scaling": rope })).unwrap_err().to_string();
        assert!(error.contains("max_position_embeddings is missing"), "{error}");
        let rope = json!({"type": "yarn", "factor": 4, "original_max_position_embeddings": "4k"});
        let error = write(json!({ "rope_scaling": rope })).unwrap_err().to_string();
        assert!(error.contains("is \"4k\" but expected an integer"), "{error}");
    }
}

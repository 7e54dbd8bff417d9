//! The adapter's description of itself, `adapter_config.json`.

use regex::Regex;
use serde_json::{Map, Value};

use crate::json::read_object;
use crate::{AdapterProblem, Error, Folder, Problem};

/// The name of the file.
pub(crate) const CONFIG: &str = "adapter_config.json";

/// Keys that change a model in a way that no sum of two matrices does, and how.
const UNMERGED: &[(&str, &str)] = &[
    ("layer_replication", "repeats layers of the base model"),
    ("target_parameters", "changes parameters that are no modules of their own"),
    ("trainable_token_indices", "trains the embeddings of some tokens alone"),
    ("use_qalora", "averages groups of inputs"),
];

/// Values of `init_lora_weights` with which training begins by changing the base model.
const OTHER_BASES: &[&str] = &["corda", "loftq", "lora_ga", "olora", "pissa"];

/// How the changes of an adapter are scaled and laid out.
#[derive(Debug)]
pub(super) struct Settings {
    alpha: f64,
    /// Other values of alpha for modules whose names match.
    patterns: Vec<(Regex, f64)>,
    /// Whether alpha is divided by the root of the rank, not by the rank.
    by_root: bool,
    /// Whether the matrices of the base model have their inputs as rows. A shape that fits only the
    /// other layout decides.
    pub(super) transposed: bool,
    /// The user's factor.
    pub(super) factor: f64,
}

impl Settings {
    /// Reads the settings in a folder; `factor` is the user's.
    ///
    /// # Errors
    /// If the folder holds no adapter, or one that cannot be merged.
    pub(super) fn read(folder: &dyn Folder, factor: f64) -> Result<Self, Error> {
        let file = folder.at(CONFIG);
        if !file.exists() {
            folder.list("").map_err(Error::io(folder.path()))?;
            return Err(Error::in_file(folder.path(), AdapterProblem::NoAdapter));
        }
        let keys = read_object(&file)?;
        Self::of(&keys, factor).map_err(|problem| Error::in_file(file.path(), problem))
    }

    fn of(keys: &Map<String, Value>, factor: f64) -> Result<Self, Problem> {
        let kind = keys.get("peft_type").and_then(Value::as_str).unwrap_or("LORA");
        if kind != "LORA" {
            return Err(AdapterProblem::Kind(kind.to_owned()).into());
        }
        for (key, does) in UNMERGED {
            if keys.get(*key).is_some_and(is_set) {
                return Err(AdapterProblem::Unmergeable { key, does }.into());
            }
        }
        let start = keys.get("init_lora_weights").and_then(Value::as_str).unwrap_or_default();
        if OTHER_BASES.iter().any(|other| start.starts_with(other)) {
            return Err(AdapterProblem::ChangedBase(start.to_owned()).into());
        }
        let alpha = keys.get("lora_alpha").and_then(Value::as_f64);
        let alpha = alpha.ok_or_else(|| Problem::MissingKey(vec!["lora_alpha".into()]))?;
        let mut patterns = Vec::new();
        let listed = keys.get("alpha_pattern").and_then(Value::as_object);
        for (pattern, alpha) in listed.into_iter().flatten() {
            let regex = Regex::new(&format!(r"^(?:.*\.)?(?:{pattern})$"));
            let bad = || Problem::KeyType {
                key: "alpha_pattern".into(),
                found: format!("{pattern:?}: {alpha}"),
                expected: "regular expressions for names of modules, each with a number",
            };
            let entry = regex.ok().zip(alpha.as_f64()).ok_or_else(bad)?;
            patterns.push(entry);
        }
        Ok(Self {
            alpha,
            patterns,
            by_root: keys.get("use_rslora") == Some(&Value::Bool(true)),
            transposed: keys.get("fan_in_fan_out") == Some(&Value::Bool(true)),
            factor,
        })
    }

    /// Returns what the difference of a module is multiplied by, given the rank of its matrices.
    pub(super) fn scale(&self, module: &str, rank: u64) -> f64 {
        let own = self.patterns.iter().find(|(pattern, _)| pattern.is_match(module));
        let alpha = own.map_or(self.alpha, |(_, alpha)| *alpha);
        let rank = rank.max(1) as f64;
        self.factor * (alpha / if self.by_root { rank.sqrt() } else { rank })
    }
}

/// Returns whether a value says something: neither null, false, zero nor empty.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(items) => !items.is_empty(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(keys: Value) -> Result<Settings, Problem> {
        Settings::of(keys.as_object().unwrap(), 2.0)
    }

    #[test]
    fn the_scale_follows_alpha_the_rank_and_the_module() {
        let keys = json!({
            "lora_alpha": 16,
            "alpha_pattern": {"q_proj": 4, "^model.layers.0.mlp.*": 2, r"layers\.1\.up_proj": 1},
        });
        let settings = of(keys).unwrap();
        for (module, rank, scale) in [
            ("model.layers.0.self_attn.k_proj", 4, 8.0),
            ("model.layers.0.self_attn.k_proj", 8, 4.0),
            ("model.layers.0.self_attn.q_proj", 4, 2.0),
            ("model.layers.0.self_attn.xq_proj", 4, 8.0),
            ("model.layers.1.up_proj", 4, 0.5),
        ] {
            assert_eq!(settings.scale(module, rank), scale, "{module}");
        }
        let root = of(json!({"lora_alpha": 16, "use_rslora": true})).unwrap();
        assert_eq!(root.scale("q_proj", 16), 8.0);
    }

    #[test]
    fn what_no_product_does_is_refused() {
        for (keys, text) in [
            (json!({"peft_type": "LOHA", "lora_alpha": 1}), "LOHA"),
            (json!({"lora_alpha": 1, "layer_replication": [[0, 4]]}), "repeats layers"),
            (json!({"lora_alpha": 1, "target_parameters": ["w"]}), "target_parameters"),
            (json!({"lora_alpha": 1, "init_lora_weights": "pissa_niter_16"}), "pissa_niter_16"),
            (json!({"lora_alpha": 1, "alpha_pattern": {"(": 1}}), "alpha_pattern"),
            (json!({}), "lora_alpha"),
        ] {
            let problem = of(keys).unwrap_err().to_string();
            assert!(problem.contains(text), "{problem:?} lacks {text:?}");
        }
        of(json!({"lora_alpha": 1, "layer_replication": null, "target_parameters": []})).unwrap();
        of(json!({"lora_alpha": 1, "init_lora_weights": "gaussian"})).unwrap();
    }
}

//! The information in a checkpoint about how its tensors are quantized.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::json::read_json;
use crate::{Error, Folder, Problem};

/// A quantization entry and the file that holds it. The entry says how tensors are quantized; the
/// tensors show whether they are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    value: Value,
    path: PathBuf,
}

/// Values that share a scale and bits per code, as far as the entry says.
type GroupAndBits = (Option<u64>, Option<u64>);

/// The layout of GPTQ codes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gptq {
    /// Bits per code, if the entry says so.
    pub(super) bits: Option<u32>,
    /// The number added to zero points.
    pub(super) raise: i32,
}

impl Entry {
    /// Finds the entry. The first of these wins:
    ///
    /// - `quantization_config` of the config's text part, then of the config itself (`config` is
    ///   the whole `config.json`, at `path`)
    /// - `quantization` of the config, as MLX writes it
    /// - `hf_quant_config.json`, whose producer names the method
    /// - `quantize_config.json` of GPTQ's own programs, which counts only if there are GPTQ tensors
    ///   (`gptq`)
    pub(crate) fn find(
        config: &Map<String, Value>,
        path: &Path,
        folder: &dyn Folder,
        gptq: bool,
    ) -> Result<Option<Self>, Error> {
        let of = |config: &Map<String, Value>| {
            config.get("quantization_config").filter(|value| value.is_object()).cloned()
        };
        // MLX writes an entry of its own, with neither a method nor another name for it.
        let of_mlx = || {
            let entry = config.get("quantization")?;
            entry.get("group_size").map(|_| entry.clone())
        };
        let of_text = config.get("text_config").and_then(Value::as_object);
        if let Some(value) = of_text.and_then(of).or_else(|| of(config)).or_else(of_mlx) {
            return Ok(Some(Self { value, path: path.to_owned() }));
        }
        let file = folder.at("hf_quant_config.json");
        if file.exists() {
            let json = read_json(&file)?;
            let name = json["producer"]["name"].as_str().filter(|name| !name.is_empty());
            if let Some(name) = name {
                let value = json!({ "quant_method": name.to_lowercase() });
                return Ok(Some(Self { value, path: file.path().to_owned() }));
            }
        }
        let file = folder.at("quantize_config.json");
        if gptq && file.exists() {
            let mut value = read_json(&file)?;
            if let Some(object) = value.as_object_mut().filter(|object| object.contains_key("bits"))
            {
                object.entry("quant_method").or_insert_with(|| "gptq".into());
                return Ok(Some(Self { value, path: file.path().to_owned() }));
            }
        }
        Ok(None)
    }

    /// Returns the file that holds the entry.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn method(&self) -> Option<&str> {
        self.text("quant_method")
    }

    /// Formats the method and its format for messages.
    pub(super) fn named(&self) -> String {
        let method = self.method().unwrap_or_default();
        self.text("format").map_or(method.to_owned(), |format| format!("{method}, {format}"))
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.value.get(key).and_then(Value::as_str)
    }

    /// Returns how many numbers share a scale in each of the last dimensions, if the entry says so.
    pub(super) fn block(&self) -> Result<Option<Vec<u64>>, Problem> {
        match self.method() {
            Some("fp8") => block("weight_block_size", &self.value),
            Some("compressed-tensors") => {
                let mut blocks = self.groups().map(|weights| block("block_structure", weights));
                blocks.find(|block| !matches!(block, Ok(None))).unwrap_or(Ok(None))
            }
            _ => Ok(None),
        }
    }

    /// Iterates over the weight settings of the compressed-tensors groups.
    fn groups(&self) -> impl Iterator<Item = &Value> {
        let groups = self.value.get("config_groups").and_then(Value::as_object);
        groups.into_iter().flatten().map(|(_, group)| &group["weights"])
    }

    /// Reads how GPTQ packs its codes.
    pub(super) fn gptq(&self) -> Result<Gptq, Problem> {
        let found = self.value.get("bits").filter(|bits| !bits.is_null());
        let bits = found.and_then(Value::as_u64).and_then(|bits| u32::try_from(bits).ok());
        if let Some(found) = found
            && !matches!(bits, Some(2 | 3 | 4 | 8))
        {
            return Err(unread(format!("gptq, {found} bits")));
        }
        let first_version = self.text("checkpoint_format").is_none_or(|format| format == "gptq");
        Ok(Gptq { bits, raise: i32::from(first_version) })
    }

    /// Returns the layout of AWQ codes, if the entry names it.
    pub(super) fn awq_layout(&self) -> Option<&str> {
        self.text("version").or_else(|| self.text("checkpoint_format"))
    }

    /// Returns how many columns share a scale; -1 stands for all.
    pub(super) fn group_size(&self) -> Option<i64> {
        let of = |key: &str| self.value.get(key).and_then(Value::as_i64);
        of("group_size").or_else(|| of("q_group_size"))
    }

    /// Returns what MLX says of a module: the entry holds the usual numbers, and others under the
    /// names of modules.
    pub(super) fn mlx(&self, module: &str) -> GroupAndBits {
        let own = self.value.get(module).filter(|own| own.is_object());
        let of = |key: &str| {
            own.and_then(|own| own.get(key)).or_else(|| self.value.get(key)).and_then(Value::as_u64)
        };
        (of("group_size").filter(|size| *size > 0), of("bits"))
    }

    /// Returns each number of bits that integers of the groups have, once.
    pub(super) fn compressed_bits(&self) -> Vec<u32> {
        let bits = self.groups().filter_map(|weights| weights["num_bits"].as_u64());
        let known = bits.filter(|bits| (1..=8).contains(bits)).map(|bits| bits as u32);
        known.collect::<BTreeSet<u32>>().into_iter().collect()
    }

    /// Returns how many columns share a scale, if all groups say the same.
    pub(super) fn compressed_group(&self) -> Option<u64> {
        let mut sizes = self.groups().map(|weights| weights["group_size"].as_u64());
        let first = sizes.next()??;
        sizes.all(|size| size == Some(first)).then_some(first)
    }

    /// Returns the format of all weights that compressed-tensors has packed, if it is not that of
    /// integers in words.
    pub(super) fn other_packing(&self) -> Option<&str> {
        let packings = ["pack-quantized", "mixed-precision"];
        self.text("format").filter(|format| !packings.contains(format))
    }
}

/// Makes the problem of an unsupported method.
pub(super) const fn unread(method: String) -> Problem {
    Problem::Quantization { method, tensor: None }
}

fn block(key: &'static str, config: &Value) -> Result<Option<Vec<u64>>, Problem> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let lengths = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let block: Option<Vec<u64>> = lengths.iter().map(Value::as_u64).collect();
            match block {
                Some(block) if !block.is_empty() && !block.contains(&0) => Ok(Some(block)),
                _ => Err(Problem::KeyType {
                    key: format!("quantization_config.{key}"),
                    found: value.to_string(),
                    expected: "a list of lengths",
                }),
            }
        }
    }
}

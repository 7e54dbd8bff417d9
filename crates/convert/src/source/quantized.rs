//! Checkpoints whose tensors are quantized: which tensors belong together, and what they stand for.

use std::collections::HashMap;

use serde_json::Value;

use super::Problem;
use super::data_type::DataType;
use super::file::DataFile;
use super::packed::Packed;
use super::stored::StoredTensor;
use super::{mxfp4, scaled};
use crate::Error;

/// How tensors and their scales are named: the number that a name with this suffix is the scale of has the
/// other one in its place.
type Suffixes = &'static [(&'static str, &'static str)];

/// What `quantization_config` of `config.json` says.
#[derive(Debug, Default, PartialEq)]
struct Scheme {
    /// Suffixes of scales.
    scales: Suffixes,
    /// Suffixes of tensors that only programs need which also quantize activations.
    unused: &'static [&'static str],
    /// Numbers that share a scale, in the last dimensions.
    block: Option<Vec<u64>>,
    /// A scale whose tensor is not there is of no use, rather than an error.
    lone_scales: bool,
    /// How several codes lie in a word.
    packing: Option<Packing>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Packing {
    /// GPTQ; what is added to zero points.
    Gptq {
        bits: u32,
        raise: i32,
    },
    /// compressed-tensors.
    Groups {
        bits: u32,
        group: u64,
    },
    BitNet,
}

/// What does not fit.
#[derive(Debug)]
pub(super) enum Fault {
    /// The config.
    Config(Problem),
    /// A tensor, in the file with this index.
    Tensor(usize, String, Problem),
    /// Something that is complete already.
    Other(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Join the tensors that stand for one: numbers with their scales, and codes of blocks with theirs. The tensors
/// keep their order; each result stands where the numbers did, but as in the reference those with codes in words
/// come last.
///
/// `config` is `quantization_config` of `config.json`.
pub(super) fn join(
    tensors: Vec<StoredTensor>,
    config: Option<&Value>,
    files: &[DataFile],
) -> Result<Vec<StoredTensor>, Fault> {
    let scheme = config.map_or_else(|| Ok(Scheme::default()), Scheme::read);
    let scheme = scheme.map_err(Fault::Config)?;
    let names = tensors.iter().enumerate().map(|(index, tensor)| (tensor.name.clone(), index));
    let names = names.collect();
    let slots = tensors.into_iter().map(Some).collect();
    let mut joiner = Joiner { scheme, names, slots, last: Vec::new(), files };
    for index in 0..joiner.slots.len() {
        joiner.visit(index)?;
    }
    Ok(joiner.slots.into_iter().flatten().chain(joiner.last).collect())
}

struct Joiner<'f> {
    scheme: Scheme,
    names: HashMap<String, usize>,
    /// The tensors that have not become part of another one.
    slots: Vec<Option<StoredTensor>>,
    /// Those that come behind all others.
    last: Vec<StoredTensor>,
    files: &'f [DataFile],
}

impl Joiner<'_> {
    /// Take the tensor with this name, which belongs to `owner`.
    fn partner(&mut self, owner: &StoredTensor, other: String) -> Result<StoredTensor, Fault> {
        self.take(&other).ok_or_else(|| fault(owner, Problem::NoPartner { other }))
    }

    fn take(&mut self, name: &str) -> Option<StoredTensor> {
        self.slots[*self.names.get(name)?].take()
    }

    fn visit(&mut self, index: usize) -> Result<(), Fault> {
        let Some(tensor) = self.slots[index].take() else { return Ok(()) };
        let name = tensor.name.clone();
        if self.scheme.unused.iter().any(|suffix| name.ends_with(suffix)) {
            return Ok(());
        }
        if let Some(base) = name.strip_suffix("_blocks")
            && tensor.ty == DataType::U8
        {
            let scales = self.partner(&tensor, format!("{base}_scales"))?;
            let (file, codes) = (tensor.file, tensor);
            let joined = mxfp4::join(codes, scales);
            self.slots[index] = Some(joined.map_err(|p| Fault::Tensor(file, name, p))?);
            return Ok(());
        }
        let suffixes = self.scheme.scales.iter();
        let mut bases = suffixes.filter_map(|(suffix, of)| Some((name.strip_suffix(suffix)?, *of)));
        if let Some((base, of)) = bases.next() {
            return self.scale(tensor, format!("{base}{of}"));
        }
        match self.scheme.packing {
            Some(Packing::Gptq { bits, raise }) => {
                if let Some(base) = name.strip_suffix(".qweight") {
                    let scales = self.partner(&tensor, format!("{base}.scales"))?;
                    let zeros = self.partner(&tensor, format!("{base}.qzeros"))?;
                    let groups = self.partner(&tensor, format!("{base}.g_idx"))?;
                    let of = [tensor, scales, zeros, groups];
                    let name = format!("{base}.weight");
                    self.last.push(Packed::columns(name, bits, raise, of, self.files)?);
                    return Ok(());
                }
            }
            Some(Packing::Groups { bits, group }) => {
                if let Some(base) = name.strip_suffix("_packed") {
                    let scales = self.partner(&tensor, format!("{base}_scale"))?;
                    let shape = self.partner(&tensor, format!("{base}_shape"))?;
                    let zeros = self.take(&format!("{base}_zero_point"));
                    let of = [tensor, scales, shape];
                    let name = base.to_owned();
                    self.last.push(Packed::groups(name, bits, group, of, zeros, self.files)?);
                    return Ok(());
                }
            }
            Some(Packing::BitNet) | None => {}
        }
        self.slots[index] = Some(tensor);
        Ok(())
    }

    /// Join scales with their numbers.
    fn scale(&mut self, scales: StoredTensor, of: String) -> Result<(), Fault> {
        let (file, name) = (scales.file, scales.name.clone());
        let Some(numbers) = self.take(&of) else {
            let lone = self.scheme.lone_scales;
            return if lone {
                Ok(())
            } else {
                Err(fault(&scales, Problem::NoPartner { other: of }))
            };
        };
        // Two numbers in a byte.
        if numbers.ty == DataType::U8 && scales.ty == DataType::F8E4M3 {
            return Err(fault(&numbers, Problem::Quantization("NVFP4".to_owned())));
        }
        let joined = match self.scheme.packing {
            Some(Packing::BitNet) => Packed::ternary(numbers, scales),
            _ => scaled::scale(numbers, scales, self.scheme.block.as_deref()),
        };
        let place = self.names[&of];
        self.slots[place] = Some(joined.map_err(|problem| Fault::Tensor(file, name, problem))?);
        Ok(())
    }
}

fn fault(tensor: &StoredTensor, problem: Problem) -> Fault {
    Fault::Tensor(tensor.file, tensor.name.clone(), problem)
}

impl Scheme {
    fn read(config: &Value) -> Result<Self, Problem> {
        let text = |key: &str| config.get(key).and_then(Value::as_str);
        match text("quant_method") {
            None | Some("mxfp4") => Ok(Self::default()),
            Some("fp8") => Ok(Self {
                scales: &[("_scale_inv", ""), (".qscale_weight", ".weight")],
                unused: &[".activation_scale", "_activation_scale", ".qscale_act"],
                block: block("weight_block_size", config)?,
                ..Self::default()
            }),
            Some("modelopt") => Ok(Self {
                scales: &[(".weight_scale", ".weight")],
                unused: &[".input_scale", ".k_scale", ".v_scale"],
                lone_scales: true,
                ..Self::default()
            }),
            Some("bitnet") => Ok(Self {
                scales: &[(".weight_scale", ".weight")],
                packing: Some(Packing::BitNet),
                ..Self::default()
            }),
            Some(method @ "gptq") => {
                let bits = config.get("bits").and_then(Value::as_u64);
                let bits = bits.and_then(|bits| u32::try_from(bits).ok());
                let Some(bits @ (2 | 4 | 8)) = bits else {
                    return Err(Problem::Quantization(format!(
                        "{method}, {} bits",
                        config["bits"]
                    )));
                };
                let first_version = text("checkpoint_format").is_none_or(|format| format == "gptq");
                let packing = Some(Packing::Gptq { bits, raise: i32::from(first_version) });
                Ok(Self { packing, ..Self::default() })
            }
            Some(method @ "compressed-tensors") => {
                let groups = config.get("config_groups").and_then(Value::as_object);
                let mut weights = groups.into_iter().flatten().map(|(_, group)| &group["weights"]);
                let (Some(weights), None) = (weights.next(), weights.next()) else {
                    let groups = "config_groups with another number of groups than one";
                    return Err(Problem::Quantization(format!("{method}, {groups}")));
                };
                let group = &weights["group_size"];
                let packing = match text("format").unwrap_or_default() {
                    "float-quantized" | "int-quantized" | "naive-quantized" if group.is_null() => {
                        return Ok(Self {
                            scales: &[(".weight_scale", ".weight")],
                            block: block("block_structure", weights)?,
                            ..Self::default()
                        });
                    }
                    "pack-quantized" => {
                        let bits =
                            weights["num_bits"].as_u64().filter(|bits| (1..=8).contains(bits));
                        let group = group.as_u64().filter(|group| *group > 0);
                        let integers = ["null", "\"int\""].contains(&&*weights["type"].to_string());
                        let bits = bits.filter(|_| integers && weights["strategy"] == "group");
                        bits.zip(group)
                            .map(|(bits, group)| Packing::Groups { bits: bits as u32, group })
                    }
                    _ => None,
                };
                let unknown = || {
                    Problem::Quantization(format!("{method}, {} of {weights}", config["format"]))
                };
                Ok(Self { packing: Some(packing.ok_or_else(unknown)?), ..Self::default() })
            }
            Some(method) => Err(Problem::Quantization(method.to_owned())),
        }
    }
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

//! Checkpoints whose tensors are quantized: which tensors belong together, and what they stand for.

use std::collections::HashMap;

use serde_json::Value;

use super::Problem;
use super::data_type::DataType;
use super::stored::StoredTensor;
use super::{mxfp4, scaled};

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
}

/// What does not fit.
#[derive(Debug)]
pub(super) struct Fault {
    /// The tensor at fault and the index of its file; `None` if it is the config.
    pub(super) tensor: Option<(usize, String)>,
    pub(super) problem: Problem,
}

/// Join the tensors that stand for one: numbers with their scales, and codes of blocks with theirs. The tensors
/// keep their order; each result stands where the numbers did.
///
/// `config` is `quantization_config` of `config.json`.
pub(super) fn join(
    tensors: Vec<StoredTensor>,
    config: Option<&Value>,
) -> Result<Vec<StoredTensor>, Fault> {
    let scheme = config.map_or_else(|| Ok(Scheme::default()), Scheme::read);
    let scheme = scheme.map_err(|problem| Fault { tensor: None, problem })?;
    let mut slots: Vec<Option<StoredTensor>> = tensors.into_iter().map(Some).collect();
    let names: HashMap<String, usize> = slots
        .iter()
        .enumerate()
        .filter_map(|(index, tensor)| Some((tensor.as_ref()?.name.clone(), index)))
        .collect();

    for index in 0..slots.len() {
        let Some(tensor) = &slots[index] else { continue };
        let (name, file) = (tensor.name.clone(), tensor.file);
        let fail = |problem| Fault { tensor: Some((file, name.clone())), problem };
        if scheme.unused.iter().any(|suffix| name.ends_with(suffix)) {
            slots[index] = None;
        } else if let Some(base) = name.strip_suffix("_blocks")
            && tensor.ty == DataType::U8
        {
            let other = format!("{base}_scales");
            let scales = names.get(&other).and_then(|index| slots[*index].take());
            let scales = scales.ok_or_else(|| fail(Problem::NoPartner { other }))?;
            let codes = slots[index].take().expect("it is there");
            slots[index] = Some(mxfp4::join(codes, scales).map_err(fail)?);
        } else if let Some((base, numbers)) = scheme
            .scales
            .iter()
            .find_map(|(suffix, numbers)| Some((name.strip_suffix(suffix)?, *numbers)))
        {
            let other = format!("{base}{numbers}");
            let scales = slots[index].take().expect("it is there");
            let Some(place) = names.get(&other).copied().filter(|place| slots[*place].is_some())
            else {
                if scheme.lone_scales {
                    continue;
                }
                return Err(fail(Problem::NoPartner { other }));
            };
            let numbers = slots[place].take().expect("it is there");
            // Two numbers in a byte.
            if numbers.ty == DataType::U8 && scales.ty == DataType::F8E4M3 {
                return Err(fail(Problem::Quantization("NVFP4".to_owned())));
            }
            let joined = scaled::scale(numbers, scales, scheme.block.as_deref());
            slots[place] = Some(joined.map_err(fail)?);
        }
    }
    Ok(slots.into_iter().flatten().collect())
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
                lone_scales: false,
            }),
            Some("modelopt") => Ok(Self {
                scales: &[(".weight_scale", ".weight")],
                unused: &[".input_scale", ".k_scale", ".v_scale"],
                block: None,
                lone_scales: true,
            }),
            Some(method @ "compressed-tensors") => {
                let format = text("format").unwrap_or_default();
                if !["float-quantized", "int-quantized", "naive-quantized"].contains(&format) {
                    return Err(Problem::Quantization(format!("{method}, {format:?}")));
                }
                let groups = config.get("config_groups").and_then(Value::as_object);
                let mut weights = groups.into_iter().flatten().map(|(_, group)| &group["weights"]);
                let (Some(weights), None) = (weights.next(), weights.next()) else {
                    let groups = "config_groups with another number of groups than one";
                    return Err(Problem::Quantization(format!("{method}, {groups}")));
                };
                if !weights["group_size"].is_null() {
                    return Err(Problem::Quantization(format!("{method} with a group_size")));
                }
                Ok(Self {
                    scales: &[(".weight_scale", ".weight")],
                    unused: &[],
                    block: block("block_structure", weights)?,
                    lone_scales: false,
                })
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

//! What a file says about itself.

use std::collections::BTreeMap;

use granule_format::check;
use granule_format::{Metadata, TensorType, Value};
use granule_reader::isa::Isa;
use granule_reader::{Error, GgufSource, Source, decode_blocks};
use rayon::prelude::*;

use super::{
    FindingFacts, MemoryFacts, MemoryOptions, Report, Scales, TensorFacts, TokenizerFacts, memory,
};
use crate::mixture::block_number;

/// Rows of a tensor whose blocks are looked at.
const ROWS: u64 = 16;
/// Powers of two that a histogram spans at most, down from the largest.
const BINS: usize = 24;

/// Keys of metadata that a report shows, with their labels. `{}` stands for the architecture.
const FACTS: &[(&str, &str)] = &[
    ("general.architecture", "Architecture"),
    ("general.size_label", "Size"),
    ("general.organization", "Organization"),
    ("general.author", "Author"),
    ("general.version", "Version"),
    ("general.finetune", "Fine-tune"),
    ("general.license", "Licence"),
    ("general.license.name", "Licence name"),
    ("general.license.link", "Licence text"),
    ("general.languages", "Languages"),
    ("general.base_model.0.name", "Base model"),
    ("general.repo_url", "Repository"),
    ("general.url", "Address"),
    ("general.quantized_by", "Quantized by"),
    ("{}.block_count", "Layers"),
    ("{}.embedding_length", "Width"),
    ("{}.attention.head_count", "Heads"),
    ("{}.attention.head_count_kv", "Heads of keys and values"),
    ("{}.expert_count", "Experts"),
    ("{}.expert_used_count", "Experts for a token"),
    ("{}.context_length", "Context of training"),
    ("quantize.imatrix.dataset", "Importance from"),
];

impl Report {
    /// Gathers what is in a file or split set. `contexts` are the lengths of texts for which the
    /// memory is estimated, `checked` the results of checks.
    ///
    /// # Errors
    /// If tensors cannot be read.
    pub fn of(
        source: &GgufSource,
        checked: &[check::Report],
        contexts: &[u64],
    ) -> Result<Self, Error> {
        let metadata = source.metadata();
        let shards = source.model().shards().iter();
        let files: Vec<(String, u64)> = shards
            .map(|shard| {
                let name = shard.path().and_then(|path| path.file_name());
                let name = name.map(|name| name.to_string_lossy().into_owned());
                (name.unwrap_or_default(), shard.header().file_bytes())
            })
            .collect();
        let own_name = metadata.text("general.name").ok().flatten().map(str::to_owned);
        let title = own_name.filter(|name| !name.trim().is_empty());
        let tensors: Vec<TensorFacts> = source.tensors().iter().map(tensor).collect();
        let mut report = Self {
            title: title
                .unwrap_or_else(|| files.first().map_or(String::new(), |file| file.0.clone())),
            facts: facts(metadata),
            weights: tensors.iter().fold(0, |sum, it| sum.saturating_add(it.values)),
            data_bytes: tensors.iter().fold(0, |sum, it| sum.saturating_add(it.bytes)),
            scales: scales(source)?,
            tokenizer: tokenizer(metadata),
            files,
            tensors,
            ..Self::default()
        };
        for context in contexts {
            match memory(source, &MemoryOptions::new(*context)) {
                Ok(found) => report.memory.push(MemoryFacts {
                    context: *context,
                    weights: found.weights,
                    cache: found.cache.saturating_add(found.states),
                    compute: found.compute.saturating_add(found.output),
                    total: found.total(),
                }),
                Err(error) => report.no_memory = Some(error.to_string()),
            }
        }
        for finding in checked.iter().flat_map(|report| &report.findings) {
            report.findings.push(FindingFacts {
                rule: finding.rule.id.to_owned(),
                is_error: finding.rule.severity == check::Severity::Error,
                text: finding.to_string(),
            });
        }
        Ok(report)
    }
}

fn tensor(tensor: &granule_reader::SourceTensor) -> TensorFacts {
    let number = block_number::leading(&tensor.name).and_then(|number| u64::try_from(number).ok());
    let layer = number.filter(|_| tensor.name.starts_with("blk."));
    let values = tensor.shape.values().unwrap_or(0);
    let bytes = crate::plan::tensor_bytes(&tensor.shape, tensor.ty);
    let short = tensor.name.strip_suffix(".weight").unwrap_or(&tensor.name);
    let role = match layer {
        Some(_) => short.splitn(3, '.').nth(2).unwrap_or(short),
        None => short,
    };
    TensorFacts {
        name: tensor.name.clone(),
        layer,
        role: role.to_owned(),
        shape: tensor.shape.to_string(),
        ty: tensor.ty.to_string(),
        values,
        bytes: bytes.unwrap_or(0),
        bits: bytes.filter(|_| values > 0).map(|bytes| bytes as f64 * 8.0 / values as f64),
        error: None,
        reason: None,
        wanted: None,
    }
}

fn facts(metadata: &Metadata) -> Vec<(String, String)> {
    let architecture = metadata.text("general.architecture").ok().flatten().unwrap_or_default();
    let fact = |(key, label): &(&str, &str)| {
        let value = metadata.get(&key.replace("{}", architecture))?;
        let text = plain(value)?;
        (!text.trim().is_empty()).then(|| ((*label).to_owned(), text))
    };
    FACTS.iter().filter_map(fact).collect()
}

/// A value in a few words.
fn plain(value: &Value) -> Option<String> {
    Some(match value {
        Value::U8(n) => n.to_string(),
        Value::U16(n) => n.to_string(),
        Value::U32(n) => n.to_string(),
        Value::U64(n) => n.to_string(),
        Value::I32(n) => n.to_string(),
        Value::I64(n) => n.to_string(),
        Value::F32(n) => n.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::String(text) => text.chars().take(200).collect(),
        Value::Array(array) => {
            let items = (0..array.len().min(8)).filter_map(|i| plain(&array.get(i)?));
            let mut items: Vec<String> = items.collect();
            items.dedup();
            if array.len() > 8 { items.join(", ") + ", ..." } else { items.join(", ") }
        }
        _ => return None,
    })
}

fn tokenizer(metadata: &Metadata) -> Option<TokenizerFacts> {
    let text = |key: &str| metadata.text(key).ok().flatten().map(str::to_owned);
    let list = match metadata.get("tokenizer.ggml.tokens") {
        Some(Value::Array(array)) => Some(array),
        _ => None,
    };
    let special = metadata.iter().filter_map(|entry| {
        let key = entry.key.strip_prefix("tokenizer.ggml.")?.strip_suffix("_token_id")?;
        let Value::U32(id) = entry.value else { return None };
        let text = list.and_then(|list| plain(&list.get(id as usize)?)).unwrap_or_default();
        Some((key.to_owned(), u64::from(id), text))
    });
    Some(TokenizerFacts {
        model: text("tokenizer.ggml.model")?,
        pre: text("tokenizer.ggml.pre"),
        tokens: list.map_or(0, |list| list.len()),
        special: special.collect(),
        template: text("tokenizer.chat_template"),
    })
}

/// The largest values of sampled blocks, for each quantized type.
fn scales(source: &GgufSource) -> Result<Vec<Scales>, Error> {
    let tensors = source.tensors().par_iter().enumerate();
    let found = tensors.map(|(index, tensor)| {
        let mut bins: BTreeMap<i32, u64> = BTreeMap::new();
        let mut zeros = 0_u64;
        let TensorType::Known(ty) = tensor.ty else { return Ok((tensor.ty, bins, zeros)) };
        let (columns, rows) = (tensor.shape.row(), tensor.shape.rows().unwrap_or(0));
        if !ty.is_quantized() || columns == 0 || ty.row_bytes(columns).is_none() {
            return Ok((tensor.ty, bins, zeros));
        }
        let count = rows.min(ROWS);
        let (mut blocks, mut values) = (Vec::new(), Vec::new());
        for sample in 0..count {
            let row = sample * rows / count;
            source.read_rows(index, row..row + 1, &mut blocks)?;
            values.resize(columns as usize, 0.0);
            decode_blocks(Isa::detect(), ty, &blocks, &mut values);
            for block in values.chunks_exact(ty.block_values()) {
                let largest = block.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
                if largest > 0.0 && largest.is_finite() {
                    *bins.entry(power(largest)).or_default() += 1;
                } else {
                    zeros += 1;
                }
            }
        }
        Ok((tensor.ty, bins, zeros))
    });
    let found: Vec<_> = found.collect::<Result<_, Error>>()?;
    let mut by_type: BTreeMap<u32, (TensorType, BTreeMap<i32, u64>, u64)> = BTreeMap::new();
    for (ty, bins, zeros) in found {
        let entry = by_type.entry(ty.id()).or_insert((ty, BTreeMap::new(), 0));
        entry.2 += zeros;
        for (power, count) in bins {
            *entry.1.entry(power).or_default() += count;
        }
    }
    let histograms = by_type.into_values().filter(|(_, bins, _)| !bins.is_empty());
    Ok(histograms.map(|(ty, bins, zeros)| histogram(ty.to_string(), &bins, zeros)).collect())
}

fn histogram(ty: String, bins: &BTreeMap<i32, u64>, zeros: u64) -> Scales {
    let last = bins.keys().next_back().copied().unwrap_or_default();
    let least = bins.keys().next().copied().unwrap_or_default();
    // what is smaller counts in the first bin
    let first = least.max(last - (BINS as i32 - 1));
    let mut counts = vec![0; (last - first + 1) as usize];
    for (power, count) in bins {
        counts[(power - first).max(0) as usize] += count;
    }
    Scales { ty, first, counts, zeros }
}

/// The largest power of two that is no larger than a positive number, as its exponent.
fn power(value: f32) -> i32 {
    // of 32-bit floats, those without an exponent are of no interest here
    (value.to_bits() >> 23) as i32 - 127
}

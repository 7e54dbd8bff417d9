//! Rebuilds the config of a checkpoint from the metadata of a GGUF file, as far as possible.
//!
//! Restores a key if an entry of the metadata passes it on without a calculation, or if it is a
//! dimension of a tensor. Leaves everything else to the defaults of the model's class.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use granule_format::{Array, Value as Meta};
use granule_reader::Model;
use serde_json::{Map, Value, json};

use crate::Error;
use crate::arch::{Arch, Config, Entry, EntryKind, Item, ModelType, Rope, Rotary};
use crate::folder::Nowhere;

/// Rebuilds the config as far as the file determines it.
pub(super) fn rebuild(
    (file, arch): (Option<&Arc<Arch>>, &Arch),
    path: &Path,
    model: &Model,
    dtype: &str,
) -> Result<Map<String, Value>, Error> {
    let metadata = model.metadata();
    let of_arch = |key: &str| metadata.get(&format!("{}.{key}", arch.name));
    let model_type = model_type(arch, of_arch("expert_count").is_some_and(|count| !is_zero(count)));
    let mut config = Map::new();
    config.insert("architectures".to_owned(), json!([class(arch, model_type)]));
    if let Some(model_type) = model_type {
        config.insert("model_type".to_owned(), model_type.name.as_str().into());
    }
    let value = |entry: &Entry| {
        metadata.get(&arch.key(&entry.key)).and_then(|value| json_of(value, entry.kind))
    };
    let (calculated, plain): (Vec<&Entry>, Vec<&Entry>) =
        entries(arch).partition(|entry| entry.value.calculates(&arch.numbers));
    for entry in plain {
        if let Some(value) = value(entry)
            && let Some(key) = best(&entry.value.keys(&arch.numbers), model_type)
        {
            config.entry(key).or_insert(value);
        }
    }
    further_tokens(arch, &of_arch, &mut config);
    rope(&of_arch, &mut config);
    dimensions(arch, model, model_type, &mut config);
    // Set an optional key only if its absence would change the result.
    for entry in calculated {
        let Some(value) = value(entry) else { continue };
        let full = Config::filled(path.to_owned(), config.clone(), file)?;
        let rope = Rope::new(&full);
        let found = full.scope(&Nowhere, arch, Some(&rope)).value(&entry.value).ok().flatten();
        if found.is_some_and(|found| found.as_f64() == value.as_f64() && !found.is_null()) {
            continue;
        }
        if let Some(key) = best(&entry.value.keys(&arch.numbers), model_type) {
            config.entry(key).or_insert(value);
        }
    }
    llama3(file, path, model, &mut config)?;
    for (key, token) in TOKENS {
        if let Ok(Some(id)) = metadata.integer::<u32>(&format!("tokenizer.ggml.{token}_token_id")) {
            config.entry(*key).or_insert(id.into());
        }
    }
    let tied = model.tensor("output.weight").is_none();
    config.insert("tie_word_embeddings".to_owned(), tied.into());
    config.insert("torch_dtype".to_owned(), dtype.into());
    Ok(config)
}

/// Restores the number of layers of a model whose last ones predict further tokens: the file counts
/// both together.
fn further_tokens<'m>(
    arch: &Arch,
    of_arch: &impl Fn(&str) -> Option<&'m Meta>,
    config: &mut Map<String, Value>,
) {
    let number = |key| of_arch(key).and_then(|value| json_of(value, EntryKind::Integer)?.as_u64());
    let Some(further) = number("nextn_predict_layers") else { return };
    let layers = number("block_count").and_then(|blocks| blocks.checked_sub(further));
    let names = arch.numbers.iter().find(|(name, _)| name == "layers");
    if let (Some(layers), Some((_, names))) = (layers, names)
        && let Some(key) = names.keys(&arch.numbers).into_iter().find(|key| *key != "layers")
    {
        let usual = "num_hidden_layers";
        let key = if names.keys(&arch.numbers).contains(&usual) { usual } else { key };
        config.insert(key.to_owned(), layers.into());
    }
}

/// Restores the Llama 3 frequency scaling from the tensor that a conversion makes of it, if it has
/// the parameters of all published models.
fn llama3(
    file: Option<&Arc<Arch>>,
    path: &Path,
    model: &Model,
    config: &mut Map<String, Value>,
) -> Result<(), Error> {
    let Some(factors) = model.tensor("rope_freqs.weight").filter(|_| !config.contains_key(SCALING))
    else {
        return Ok(());
    };
    let head = 2 * factors.row_values() as u64;
    if factors.rows() != 1 || head > MOST_HEAD {
        return Ok(());
    }
    let mut values = vec![0.0; factors.row_values()];
    factors.decode_rows(0..1, &mut values)?;
    let factor = values.iter().copied().fold(1.0, f32::max);
    let mut with = config.clone();
    with.insert(
        SCALING.to_owned(),
        json!({
            "rope_type": "llama3", "factor": f64::from(factor), "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
        }),
    );
    let full = Config::filled(path.to_owned(), with.clone(), file)?;
    if Rope::new(&full).llama3_factors(head, false)?.is_some_and(|found| found == values) {
        *config = with;
    }
    Ok(())
}

/// The key for scaled rotary embeddings.
const SCALING: &str = "rope_scaling";

/// The largest plausible head size; larger heads mean a damaged file.
const MOST_HEAD: u64 = 65_536;

/// Returns the number of tokens in the file. The list may be padded past the rows of the embedding.
pub(super) fn tokens(model: &Model) -> Option<u64> {
    let tokens = model.metadata().strings("tokenizer.ggml.tokens").ok().flatten()?;
    let rows = model.tensor("token_embd.weight").map(|embedding| embedding.rows());
    Some(rows.unwrap_or(usize::MAX).min(tokens.len()) as u64)
}

/// Special tokens: the key of the config and the name in the metadata.
const TOKENS: &[(&str, &str)] =
    &[("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")];

/// Keys with the number of experts.
const EXPERTS: &[&str] = &["num_local_experts", "num_experts", "n_routed_experts"];

/// Returns the values of the metadata that are this number of the description and nothing else, or
/// its only value.
pub(super) fn numbers(arch: &Arch, name: &str, model: &Model) -> Option<Vec<f32>> {
    let is = |entry: &&Entry| {
        let value = entry.value.to_string();
        let value = value.strip_suffix(" ?? skip").unwrap_or(&value);
        value.strip_suffix("[0]").unwrap_or(value) == name
    };
    let entry = entries(arch).find(is)?;
    match model.metadata().get(&arch.key(&entry.key))? {
        Meta::Array(Array::F32(values)) => Some(values.clone()),
        Meta::F32(value) => Some(vec![*value]),
        _ => None,
    }
}

fn entries(arch: &Arch) -> impl Iterator<Item = &Entry> {
    arch.items().filter_map(|item| match item {
        Item::Entry(entry) => Some(entry),
        _ => None,
    })
}

/// Returns the model type: the first of the description whose class has experts if and only if the
/// file has.
fn model_type(arch: &Arch, experts: bool) -> Option<&ModelType> {
    let has = |ty: &&ModelType| {
        ty.values.iter().any(|(key, _)| EXPERTS.contains(&key.as_str())) == experts
    };
    arch.defaults.iter().find(has).or_else(|| arch.defaults.first())
}

/// Returns the class that saves models of this type, preferring the one with a similar name.
fn class<'a>(arch: &'a Arch, model_type: Option<&ModelType>) -> &'a str {
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let like =
        |class: &&String| model_type.is_some_and(|ty| plain(class).starts_with(&plain(&ty.name)));
    let full = |class: &&String| like(class) && !arch.headless.contains(class);
    let mut classes = arch.classes.iter();
    // Of two spellings of a class name, the later one is the library's.
    let found = classes.rfind(|class| full(class) && class.ends_with("ForCausalLM"));
    let found = found.or_else(|| arch.classes.iter().find(full));
    found.or_else(|| arch.classes.iter().find(like)).unwrap_or(&arch.classes[0])
}

/// Picks one of several names for the same key: the one that the class knows, or else the most
/// usual.
fn best(keys: &[&str], model_type: Option<&ModelType>) -> Option<String> {
    let known =
        |key: &&&str| model_type.is_some_and(|ty| ty.values.iter().any(|(name, _)| name == **key));
    let usual = |key: &&&str| USUAL.contains(*key);
    let found = keys.iter().find(known).or_else(|| keys.iter().find(usual));
    found.or(keys.first()).map(|key| (*key).to_owned())
}

/// The names that most classes use for keys with several names.
const USUAL: &[&str] = &[
    "hidden_size",
    "intermediate_size",
    "layer_norm_eps",
    "max_position_embeddings",
    "num_attention_heads",
    "num_experts",
    "num_experts_per_tok",
    "num_hidden_layers",
    "num_key_value_heads",
    "rms_norm_eps",
];

/// Restores the keys about rotary embeddings.
fn rope<'m>(of_arch: &impl Fn(&str) -> Option<&'m Meta>, config: &mut Map<String, Value>) {
    let float = |key: &str| of_arch(key).and_then(|value| json_of(value, EntryKind::Float));
    if let Some(base) = float("rope.freq_base") {
        config.entry("rope_theta").or_insert(base);
    }
    if let Some(base) = float("rope.freq_base_swa") {
        config.entry("rope_local_base_freq").or_insert(base);
    }
    let Some(Meta::String(kind)) = of_arch("rope.scaling.type") else { return };
    let mut scaling = Map::new();
    scaling.insert("rope_type".to_owned(), kind.as_str().into());
    for (name, key, kind) in [
        ("factor", "rope.scaling.factor", EntryKind::Float),
        (
            "original_max_position_embeddings",
            "rope.scaling.original_context_length",
            EntryKind::Integer,
        ),
    ] {
        if let Some(value) = of_arch(key).and_then(|value| json_of(value, kind)) {
            scaling.insert(name.to_owned(), value);
        }
    }
    config.entry(SCALING).or_insert(scaling.into());
}

/// Restores keys that are dimensions of tensors, and keys that say whether a tensor exists.
fn dimensions(
    arch: &Arch,
    model: &Model,
    model_type: Option<&ModelType>,
    config: &mut Map<String, Value>,
) {
    if let Some(embedding) = model.tensor("token_embd.weight")
        && let Some(rows) = embedding.shape().dimensions().get(1)
    {
        config.entry("vocab_size").or_insert((*rows).into());
    }
    let layers = (0..MOST_LAYERS).map(Some);
    let names: HashSet<&str> = model.tensors().map(|tensor| tensor.name()).collect();
    let mut flags = BTreeMap::new();
    for rule in &arch.tensors {
        let [output] = &rule.outputs[..] else { continue };
        let layered = rule.sources[0].layers.is_some();
        let mut places =
            if layered { layers.clone().collect::<Vec<_>>() } else { vec![None] }.into_iter();
        let found = places.find_map(|layer| model.tensor(&output.name(layer)));
        // A plain key that says whether the tensor is needed.
        if let [key] = &rule.needed.keys(&arch.numbers)[..]
            && rule.needed.is_key(&arch.numbers)
            && !EXPERTS.contains(key)
        {
            *flags.entry(*key).or_insert(true) &= found.is_some();
        }
        let Some(found) = found.filter(|found| names.contains(found.name())) else { continue };
        if !output.patterns.is_empty() || rule.sources.len() != 1 {
            continue;
        }
        let mut dimensions = found.shape().dimensions().to_vec();
        dimensions.reverse();
        if rule.sources[0].experts.is_some() {
            dimensions.remove(0);
        }
        if dimensions.len() != rule.shape.len() {
            continue;
        }
        for (size, expression) in dimensions.iter().zip(&rule.shape) {
            if expression.is_key(&arch.numbers)
                && let Some(key) = best(&expression.keys(&arch.numbers), model_type)
            {
                config.entry(key).or_insert((*size).into());
            }
        }
    }
    for (key, all) in flags {
        config.entry(key).or_insert(all.into());
    }
}

/// The most layers to search for a tensor that only some layers have.
const MOST_LAYERS: u64 = 256;

fn is_zero(value: &Meta) -> bool {
    matches!(value, Meta::U32(0) | Meta::I32(0) | Meta::U64(0))
}

/// Converts a metadata value to JSON if it has the kind that the description says.
fn json_of(value: &Meta, kind: EntryKind) -> Option<Value> {
    match (kind, value) {
        (EntryKind::Integer, Meta::U32(number)) => Some((*number).into()),
        (EntryKind::Integer, Meta::I32(number)) => Some((*number).into()),
        (EntryKind::Integer, Meta::U64(number)) => Some((*number).into()),
        (EntryKind::Integer, Meta::Array(Array::I32(numbers))) => Some(numbers.clone().into()),
        (EntryKind::Integer, Meta::Array(Array::U32(numbers))) => Some(numbers.clone().into()),
        (EntryKind::Wide, Meta::U64(number)) => Some((*number).into()),
        (EntryKind::Wide, Meta::Array(Array::U64(numbers))) => Some(numbers.clone().into()),
        // The shortest decimal that parses to the same number.
        (EntryKind::Float, Meta::F32(number)) => {
            number.to_string().parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from)
        }
        (EntryKind::Bool, Meta::Bool(truth)) => Some((*truth).into()),
        (EntryKind::Bool, Meta::Array(Array::Bool(truths))) => Some(truths.clone().into()),
        (EntryKind::Text, Meta::String(text)) => Some(text.as_str().into()),
        _ => None,
    }
}

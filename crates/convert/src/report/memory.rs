//! What a model needs in memory when llama.cpp runs it on a processor.
//!
//! Weights and what is remembered of a text follow from the tensors and the metadata. What is
//! needed for computing is estimated: the largest set of intermediate results that exist at one
//! time, for one batch of tokens. `spec/memory.md` has the formulas, and how near they come.

use granule_format::{BlockType, Metadata, Value};
use granule_infer::{LayerState, Model};
use granule_reader::Source;

/// Cells of a cache come in multiples of this.
const CELLS: u64 = 256;

/// How a model is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryOptions {
    /// Tokens of the longest text, or of all texts together.
    pub context: u64,
    /// Tokens that are computed together (`--ubatch-size`).
    pub batch: u64,
    /// Texts at the same time.
    pub sequences: u64,
    /// The type of the keys in the cache.
    pub keys: BlockType,
    /// The type of the values in the cache.
    pub values: BlockType,
    /// Whether layers with a window keep all tokens too (`--swa-full`).
    pub whole_windows: bool,
}

impl MemoryOptions {
    /// The options that llama.cpp's programs have, for texts of this length.
    pub const fn new(context: u64) -> Self {
        let (keys, values) = (BlockType::F16, BlockType::F16);
        Self { context, batch: 512, sequences: 1, keys, values, whole_windows: false }
    }
}

/// Bytes by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// The tensors.
    pub weights: u64,
    /// Keys and values of all tokens.
    pub cache: u64,
    /// Recurrent states.
    pub states: u64,
    /// Intermediate results.
    pub compute: u64,
    /// Results of a batch: logits.
    pub output: u64,
    /// Whether the graph of the model is known. Otherwise all layers count as plain attention.
    pub is_known: bool,
}

impl Memory {
    /// All together.
    pub const fn total(&self) -> u64 {
        self.weights
            .saturating_add(self.cache)
            .saturating_add(self.states)
            .saturating_add(self.compute)
            .saturating_add(self.output)
    }
}

/// Why there is no estimate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// It is not a model that could be run.
    #[error("the metadata lack {0:?}: this is no file of a language model")]
    Missing(String),
    /// A type has larger blocks than a head.
    #[error("{what} of {values} values a token are not whole blocks of {ty}: choose another type")]
    CacheType {
        /// Keys or values.
        what: &'static str,
        /// Values of a token in a layer.
        values: u64,
        /// The type.
        ty: BlockType,
    },
}

/// Estimates the memory that a model needs.
///
/// # Errors
/// If the metadata say too little, or the types of the cache do not fit.
pub fn memory(source: &dyn Source, options: &MemoryOptions) -> Result<Memory, MemoryError> {
    let shape = Shape::of(source)?;
    let sequences = options.sequences.max(1);
    let context = options.context.max(1).next_multiple_of(CELLS);
    let batch = options.batch.clamp(1, context);
    let (mut cache, mut states) = (0_u64, 0_u64);
    let (mut masks, mut windowed, mut whole) = (0_u64, 0_u64, false);
    for layer in &shape.layers {
        let mut cells = context;
        if let Some(window) = layer.window.filter(|_| !options.whole_windows) {
            let needed = (window as u64).saturating_mul(sequences).saturating_add(batch);
            cells = needed.min(context).next_multiple_of(CELLS);
            windowed = windowed.max(cells);
        } else if layer.keys > 0 {
            whole = true;
        }
        for (what, values, ty) in
            [("keys", layer.keys, options.keys), ("values", layer.values, options.values)]
        {
            let values = values as u64;
            let row = ty.row_bytes(values).ok_or(MemoryError::CacheType { what, values, ty })?;
            cache = cache.saturating_add(row.saturating_mul(cells));
        }
        let state = (layer.convolution + layer.recurrent) as u64;
        states = states.saturating_add(state.saturating_mul(4).saturating_mul(sequences));
    }
    // which tokens each token sees, in half precision
    masks += windowed + if whole { context } else { 0 };
    let is_encoder = shape.layers.iter().all(|layer| *layer == LayerState::default());
    if is_encoder {
        masks = batch;
    }
    let masks = masks.saturating_mul(batch).saturating_mul(2);
    let row = |values: u64| values.saturating_mul(batch).saturating_mul(4);
    let layer = masks.saturating_add(row(shape.widest));
    let logits =
        if shape.predicts { row(shape.vocabulary.saturating_add(2 * shape.width)) } else { 0 };
    let last = if shape.predicts { shape.vocabulary } else { shape.width };
    let tensors = source.tensors().iter();
    let weights = tensors.filter_map(|tensor| crate::plan::tensor_bytes(&tensor.shape, tensor.ty));
    Ok(Memory {
        weights: weights.fold(0, u64::saturating_add),
        cache,
        states,
        compute: layer.max(logits),
        output: last.saturating_mul(4).saturating_mul(sequences),
        is_known: shape.is_known,
    })
}

/// The sizes of a model that decide about memory.
struct Shape {
    layers: Vec<LayerState>,
    width: u64,
    vocabulary: u64,
    predicts: bool,
    /// Values of a token that exist at the same time in the widest part of a layer.
    widest: u64,
    is_known: bool,
}

impl Shape {
    fn of(source: &dyn Source) -> Result<Self, MemoryError> {
        let metadata = source.metadata();
        let name = "general.architecture";
        let architecture = metadata.text(name).ok().flatten();
        let architecture = architecture.ok_or_else(|| MemoryError::Missing(name.to_owned()))?;
        let number = |key: &str| integer(metadata, &format!("{architecture}.{key}"));
        let needed = |key: &str| {
            number(key).ok_or_else(|| MemoryError::Missing(format!("{architecture}.{key}")))
        };
        let width = needed("embedding_length")?;
        let widest = widest(source, width, number("expert_used_count").unwrap_or(1));
        if let Ok(model) = Model::open(source) {
            return Ok(Self {
                layers: model.states(),
                width,
                vocabulary: model.vocabulary() as u64,
                predicts: model.predicts(),
                widest,
                is_known: true,
            });
        }
        let blocks = needed("block_count")?.min(source.tensors().len() as u64);
        let heads = number("attention.head_count").unwrap_or(1).max(1);
        let key = number("attention.key_length").unwrap_or(width / heads);
        let value = number("attention.value_length").unwrap_or(width / heads);
        let groups_key = format!("{architecture}.attention.head_count_kv");
        let layers = (0..blocks).map(|layer| {
            let has = |part: &str| {
                let start = format!("blk.{layer}.{part}");
                source.tensors().iter().any(|tensor| tensor.name.starts_with(&start))
            };
            if !(has("attn_k") || has("attn_qkv")) {
                return LayerState::default();
            }
            let groups = element(metadata, &groups_key, layer).unwrap_or(heads);
            let mut state = LayerState::default();
            (state.keys, state.values) = ((groups * key) as usize, (groups * value) as usize);
            state
        });
        let embedding = source.tensors().iter().find(|tensor| tensor.name == "token_embd.weight");
        Ok(Self {
            layers: layers.collect(),
            width,
            vocabulary: embedding.and_then(|tensor| tensor.shape.rows()).unwrap_or(0),
            predicts: true,
            widest,
            is_known: false,
        })
    }
}

/// The values of a token that exist at the same time in the widest part of a layer: what goes in,
/// and the results of a feed-forward part, or queries, keys, values and what attention makes of
/// them.
fn widest(source: &dyn Source, width: u64, experts: u64) -> u64 {
    let (mut widest, mut gated) = (0, false);
    let (mut queries, mut shared) = (0, 0);
    for tensor in source.tensors() {
        let rows = tensor.shape.dimensions().get(1).copied().unwrap_or(1);
        let name = tensor.name.as_str();
        let is = |part: &str| name.ends_with(part);
        gated |= name.contains("ffn_gate.") || name.contains("ffn_gate_exps.");
        if is("ffn_up.weight") {
            widest = widest.max(rows);
        } else if is("ffn_up_exps.weight") || is("ffn_gate_up_exps.weight") {
            widest = widest.max(rows.saturating_mul(experts));
        } else if is("attn_q.weight") || is("attn_q_b.weight") || is("attn_qkv.weight") {
            queries = queries.max(rows);
        } else if is("attn_k.weight") || is("attn_v.weight") {
            shared = shared.max(rows);
        }
    }
    let results = if gated { 3 } else { 1 };
    let feed_forward = widest.saturating_mul(results).saturating_add(3 * width);
    let attention = queries.saturating_add(shared).saturating_mul(2).saturating_add(2 * width);
    feed_forward.max(attention)
}

fn integer(metadata: &Metadata, key: &str) -> Option<u64> {
    match metadata.get(key)? {
        Value::Array(_) => element(metadata, key, 0),
        value => number(value),
    }
}

/// The number of a layer, which may be one for all.
fn element(metadata: &Metadata, key: &str, layer: u64) -> Option<u64> {
    match metadata.get(key)? {
        Value::Array(array) => number(&array.get(usize::try_from(layer).ok()?)?),
        value => number(value),
    }
}

/// A number that no model exceeds: products of two of them do not overflow.
fn number(value: &Value) -> Option<u64> {
    let number = match value {
        Value::U8(n) => u64::from(*n),
        Value::U16(n) => u64::from(*n),
        Value::U32(n) => u64::from(*n),
        Value::U64(n) => *n,
        Value::I8(n) => u64::try_from(*n).ok()?,
        Value::I16(n) => u64::try_from(*n).ok()?,
        Value::I32(n) => u64::try_from(*n).ok()?,
        Value::I64(n) => u64::try_from(*n).ok()?,
        _ => return None,
    };
    (number < 1 << 31).then_some(number)
}

use granule_format::{Metadata, Value};

use super::architectures::ARCHITECTURES;
use super::block_number;
use super::category::{Category, OUTPUT};

/// The properties of the whole model that affect the choice of types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    /// `general.architecture`; empty if the file does not say.
    pub(crate) architecture: String,
    /// `block_count`: the blocks of the source model, including next-token blocks.
    pub(crate) blocks: u32,
    /// Query heads that share a key and value head, in the first block; 0 if the file does not say.
    pub(crate) heads_in_group: u64,
    /// `expert_count`, 0 without experts.
    pub(crate) experts: u64,
    /// Whether the model is one of those whose attention values get a better type.
    pub(crate) counts_as_70b: bool,
    /// Whether the token embedding serves as the output matrix.
    pub(crate) tied: bool,
    /// Number of tensors that make attention values, converted or not.
    pub(crate) value_tensors: u64,
    /// Whether an importance matrix with entries is given.
    pub(crate) with_importance: bool,
}

/// The assumptions made because the metadata lacks information.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Assumed {
    /// The architecture is not one of those known.
    pub(crate) unknown_architecture: bool,
    /// The number of blocks was counted from the tensor names.
    pub(crate) counted_blocks: bool,
}

/// The models that count as 70B: the architecture, the number of blocks without those that predict
/// further tokens, and whether the first block must have fewer key heads than query heads (in which
/// case the model must also not have 8 experts).
const COUNTS_AS_70B: &[(&str, u32, bool)] = &[
    ("llama", 80, true),
    ("llama-embed", 80, true),
    ("qwen2", 80, false),
    ("deci", 80, false),
    ("olmo", 80, false),
    ("jais2", 68, false),
];

impl Model {
    /// Reads the metadata. `overrides` take precedence over `metadata`; the last override of a key
    /// wins. `names` are those of the tensors to be written.
    pub(crate) fn new<'n>(
        metadata: &Metadata,
        overrides: &[(&str, Value)],
        names: impl Iterator<Item = &'n str> + Clone,
        with_importance: bool,
    ) -> (Self, Assumed) {
        let keys = Keys { metadata, overrides };
        let architecture = match keys.get("general.architecture") {
            Some(Value::String(text)) => text.clone(),
            _ => String::new(),
        };
        let number = |key: &str| keys.first_integer(&format!("{architecture}.{key}"));
        let mut assumed = Assumed {
            unknown_architecture: !ARCHITECTURES.contains(&architecture.as_str()),
            counted_blocks: false,
        };
        let named = number("block_count").and_then(|blocks| u32::try_from(blocks).ok());
        let blocks = named.unwrap_or_else(|| {
            let last = names.clone().filter_map(block_number::leading).max();
            let counted = last.map_or(0, |last| u32::try_from(last + 1).unwrap_or(0));
            assumed.counted_blocks = counted > 0;
            counted
        });
        let heads = number("attention.head_count").unwrap_or(0);
        let key_heads = number("attention.head_count_kv").unwrap_or(heads);
        let experts = number("expert_count").unwrap_or(0);
        let next_token = number("nextn_predict_layers").unwrap_or(0);
        let main_blocks = u64::from(blocks).saturating_sub(next_token);
        let counts_as_70b = COUNTS_AS_70B.iter().any(|(name, blocks, grouped)| {
            *name == architecture
                && u64::from(*blocks) == main_blocks
                && (!grouped || heads != key_heads && experts != 8)
        });
        let model = Self {
            blocks,
            heads_in_group: heads.checked_div(key_heads).unwrap_or(0),
            experts,
            counts_as_70b,
            tied: !names.clone().any(|name| name == OUTPUT),
            value_tensors: names.filter(|name| Category::of(name).makes_values()).count() as u64,
            with_importance,
            architecture,
        };
        (model, assumed)
    }
}

/// Metadata with overrides applied.
struct Keys<'a> {
    metadata: &'a Metadata,
    overrides: &'a [(&'a str, Value)],
}

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a Value> {
        let overridden = self.overrides.iter().rev().find(|(other, _)| *other == key);
        overridden.map(|(_, value)| value).or_else(|| self.metadata.get(key))
    }

    /// Returns the integer of a key, or the first of its array; `None` if there is none or it is
    /// negative.
    fn first_integer(&self, key: &str) -> Option<u64> {
        let number = match self.get(key)? {
            Value::Array(array) => array.get(0)?.as_integer()?,
            value => value.as_integer()?,
        };
        number.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use granule_format::Array;

    use super::*;

    fn read(entries: &[(&str, Value)], names: &[&str]) -> (Model, Assumed) {
        let mut metadata = Metadata::new();
        entries.iter().for_each(|(key, value)| metadata.set(key, value.clone()));
        Model::new(&metadata, &[], names.iter().copied(), false)
    }

    #[test]
    fn a_file_that_says_nothing() {
        let (model, assumed) = read(&[], &["blk.0.attn_v.weight", "blk.11.ffn_down.weight"]);
        assert!(assumed.unknown_architecture && assumed.counted_blocks);
        assert_eq!((model.blocks, model.heads_in_group, model.experts), (12, 0, 0));
        assert!(model.tied);
        assert_eq!(model.value_tensors, 1);
    }

    #[test]
    fn counts_as_70b() {
        let model = |architecture: &str, blocks: u32, key_heads: u32, experts: u32| {
            let key = |name: &str| format!("{architecture}.{name}");
            let entries = [
                ("general.architecture".to_owned(), Value::from(architecture)),
                (key("block_count"), Value::from(blocks)),
                (key("attention.head_count"), Value::from(Array::U32(vec![64, 1]))),
                (key("attention.head_count_kv"), Value::from(key_heads)),
                (key("expert_count"), Value::from(experts)),
            ];
            let entries: Vec<_> = entries.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
            read(&entries, &["output.weight"]).0
        };
        assert!(model("llama", 80, 8, 0).counts_as_70b);
        assert!(!model("llama", 80, 64, 0).counts_as_70b);
        assert!(!model("llama", 80, 8, 8).counts_as_70b);
        assert!(!model("llama", 79, 8, 0).counts_as_70b);
        assert!(model("qwen2", 80, 64, 0).counts_as_70b);
        assert!(model("jais2", 68, 64, 0).counts_as_70b);
        assert!(!model("qwen3", 80, 8, 0).counts_as_70b);
        assert_eq!(model("llama", 80, 8, 0).heads_in_group, 8);
        assert_eq!(model("llama", 80, 0, 0).heads_in_group, 0);
    }
}

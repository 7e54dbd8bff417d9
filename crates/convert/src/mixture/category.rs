use std::fmt;

/// The role of a tensor in the model, as far as it affects the choice of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    /// The matrix that turns the last hidden state into token scores.
    Output,
    /// The token embedding.
    Embedding,
    /// Attention: query, key and value in one matrix.
    QueryKeyValue,
    /// Attention: the shared up-projection of keys and values.
    KeyValue,
    /// Attention: value.
    Value,
    /// Attention: key.
    Key,
    /// Attention: query.
    Query,
    /// Attention: output.
    AttentionOutput,
    /// Feed-forward: up, experts included.
    Up,
    /// Feed-forward: gate, experts included.
    Gate,
    /// Feed-forward: down, experts included.
    Down,
    /// Everything else.
    Other,
}

/// The part of a name that determines the category. The first row that is found in the name
/// applies.
const PARTS: &[(&str, Category)] = &[
    ("attn_qkv.weight", Category::QueryKeyValue),
    ("attn_kv_b.weight", Category::KeyValue),
    ("attn_v.weight", Category::Value),
    ("attn_k.weight", Category::Key),
    ("attn_q.weight", Category::Query),
    ("attn_output.weight", Category::AttentionOutput),
    ("ffn_up", Category::Up),
    ("ffn_gate", Category::Gate),
    ("ffn_down", Category::Down),
];

/// The name of the output matrix.
pub(crate) const OUTPUT: &str = "output.weight";
/// The name of the token embedding.
pub(crate) const EMBEDDING: &str = "token_embd.weight";
/// The name of the per-layer token embedding that some models have.
pub(crate) const LAYER_EMBEDDING: &str = "per_layer_token_embd.weight";

/// Returns how a name determines each category, for the mixtures page.
pub(super) fn signs() -> impl Iterator<Item = (Category, String)> {
    let whole = |name: &str| format!("is `{name}`");
    let names = [
        (Category::Output, whole(OUTPUT)),
        (Category::Embedding, format!("{} or {}", whole(EMBEDDING), whole(LAYER_EMBEDDING))),
    ];
    let parts = PARTS.iter().map(|(part, category)| (*category, format!("contains `{part}`")));
    let other = (Category::Other, "anything else".to_owned());
    names.into_iter().chain(parts).chain([other])
}

impl Category {
    /// Returns the category of the tensor with this name.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            OUTPUT => Self::Output,
            EMBEDDING | LAYER_EMBEDDING => Self::Embedding,
            _ => PARTS
                .iter()
                .find(|(part, _)| name.contains(part))
                .map_or(Self::Other, |(_, category)| *category),
        }
    }

    /// Returns whether the tensor makes attention values, alone or with others.
    pub(crate) const fn makes_values(self) -> bool {
        matches!(self, Self::Value | Self::QueryKeyValue | Self::KeyValue)
    }
}

/// Writes the name that users know from tensor names.
impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Output => "output",
            Self::Embedding => "token_embd",
            Self::QueryKeyValue => "attn_qkv",
            Self::KeyValue => "attn_kv_b",
            Self::Value => "attn_v",
            Self::Key => "attn_k",
            Self::Query => "attn_q",
            Self::AttentionOutput => "attn_output",
            Self::Up => "ffn_up",
            Self::Gate => "ffn_gate",
            Self::Down => "ffn_down",
            Self::Other => "other",
        })
    }
}

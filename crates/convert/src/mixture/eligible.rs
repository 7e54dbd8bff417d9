use granule_format::{Shape, TensorType};
use serde::{Deserialize, Serialize};

use super::category::OUTPUT;

/// The reason why a tensor is never converted, whatever the file type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kept {
    /// It has one dimension: norms, biases.
    OneDimension,
    /// Its name does not end in `weight`.
    NotAWeight,
    /// Its name contains this part: such tensors are small, sensitive, or not used in products.
    Exception(String),
    /// It is the output matrix, which an option keeps unchanged.
    Output,
    /// It holds integers, which cannot be quantized.
    Integers,
}

/// Parts of names of tensors that are never converted. A part may end in `weight` without the name
/// ending there.
const PARTS: &[&str] = &[
    // norms, routers and other small tensors
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    // convolutions
    "ssm_conv1d",
    "shortconv.conv.weight",
    // positions
    "attn_rel_b.weight",
    ".position_embd",
    ".rel_pos",
    // vision and sound
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
    // RWKV
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
];

/// Whole names of tensors that are never converted.
const NAMES: &[&str] = &["position_embd.weight", "token_types.weight"];

/// Parts of names that are exceptions in one architecture only.
const PARTS_OF_ARCHITECTURES: &[(&str, &[&str])] = &[(
    "glm5-next",
    &[
        "hc_",
        "indexer.attn_q_b",
        "indexer.attn_k",
        "indexer.proj",
        "indexer_compressor_gate",
        "indexer_compressor_ape",
        "ssm_f_a.weight",
        "ssm_f_b.weight",
        "ssm_g_a.weight",
        "ssm_g_b.weight",
        "ssm_beta.weight",
        "attn_kv_a_mqa.weight",
        "attn_k_b.weight",
        "attn_v_b.weight",
    ],
)];

/// Returns why the tensor keeps its type; `None` if it may be converted.
pub(crate) fn kept(
    name: &str,
    shape: &Shape,
    stored: TensorType,
    architecture: &str,
    leave_output: bool,
) -> Option<Kept> {
    if without_trailing_ones(shape).dimensions().len() < 2 {
        return Some(Kept::OneDimension);
    }
    // the reference also accepts every name of five bytes; see spec/mixtures.md
    if !name.ends_with("weight") && name.len() != 5 {
        return Some(Kept::NotAWeight);
    }
    let of_architecture = PARTS_OF_ARCHITECTURES
        .iter()
        .filter(|(other, _)| *other == architecture)
        .flat_map(|(_, parts)| *parts);
    let mut exceptions = PARTS
        .iter()
        .chain(of_architecture)
        .filter(|part| name.contains(**part))
        .chain(NAMES.iter().filter(|whole| name == **whole));
    if let Some(exception) = exceptions.next() {
        return Some(Kept::Exception((*exception).to_owned()));
    }
    if leave_output && name == OUTPUT {
        return Some(Kept::Output);
    }
    is_integer(stored).then_some(Kept::Integers)
}

/// Returns the exceptions by name, for the mixtures page: the part of the name, and the
/// architecture (empty: all).
pub(super) fn exceptions() -> impl Iterator<Item = (String, &'static str)> {
    let contained = |part: &&'static str| format!("contains `{part}`");
    let everywhere = PARTS.iter().map(contained);
    let whole = NAMES.iter().map(|name| format!("is `{name}`"));
    let of_architectures = PARTS_OF_ARCHITECTURES
        .iter()
        .flat_map(move |(name, parts)| parts.iter().map(move |part| (contained(part), *name)));
    everywhere.chain(whole).map(|text| (text, "")).chain(of_architectures)
}

/// Returns the shape as it is written to a quantized file: trailing dimensions of 1 are dropped,
/// except the first dimension.
pub(crate) fn without_trailing_ones(shape: &Shape) -> Shape {
    let dimensions = shape.dimensions();
    let used = dimensions.iter().rposition(|dimension| *dimension != 1).map_or(1, |last| last + 1);
    // a tensor without dimensions has one value
    Shape::new(dimensions.get(..used).unwrap_or(&[1])).unwrap_or(*shape)
}

fn is_integer(ty: TensorType) -> bool {
    use granule_format::BlockType::{I8, I16, I32, I64};
    matches!(ty.known(), Some(I8 | I16 | I32 | I64))
}

#[cfg(test)]
mod tests {
    use granule_format::BlockType;

    use super::*;

    #[test]
    fn trailing_ones_are_dropped() {
        let written = |dimensions: &[u64]| {
            without_trailing_ones(&Shape::new(dimensions).unwrap()).dimensions().to_vec()
        };
        assert_eq!(written(&[256, 1]), [256]);
        assert_eq!(written(&[256, 1, 3, 1]), [256, 1, 3]);
        assert_eq!(written(&[1, 1]), [1]);
        assert_eq!(written(&[]), [1]);
        assert_eq!(written(&[4, 0]), [4, 0]);
    }

    #[test]
    fn integers_are_kept() {
        let shape = Shape::new(&[32, 2]).unwrap();
        let of = |ty: BlockType| kept("x.weight", &shape, ty.into(), "llama", false);
        assert_eq!(of(BlockType::I32), Some(Kept::Integers));
        assert_eq!(of(BlockType::F64), None);
    }
}

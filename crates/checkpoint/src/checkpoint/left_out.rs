//! Finds the tensors of a checkpoint that the file omits.

use crate::arch::{Kind, LeftOut};

/// The part of a model that a tensor belongs to.
pub(super) enum Part {
    /// The part that is converted.
    Text,
    /// None: the file does not need the tensor.
    Redundant,
    /// None if all its values are zero.
    RedundantZeros,
    /// Another part of a larger model.
    Other,
}

/// Redundant tensors: their values follow from the config.
const REDUNDANT_SUFFIXES: &[&str] =
    &[".attention.masked_bias", ".attention.bias", ".rotary_emb.inv_freq"];

/// Parts of larger models outside the text model, by the start of the name.
const OTHER_PREFIXES: &[&str] = &[
    "mlp",
    "vit.",
    "vpm.",
    "siglip2.",
    "conformer.",
    "merger.",
    "resampler.",
    "sound_encoder.",
    "sound_projection.",
    "speech_embeddings.",
];

/// The same, by any part of the name.
const OTHER_PARTS: &[&str] = &[
    "audio.",
    "audio_",
    "code2wav.",
    "image_newline",
    "model.connector.",
    "patch_embed",
    "patch_merge_mlp.",
    "patch_merger.",
    "pre_mm_projector_norm",
    "projector.",
    "talker.",
    "token2wav.",
    "view_seperator",
    "vision.",
    "vision_",
    "visual.",
];

/// Returns the part that a tensor belongs to, by its name in the checkpoint (`stored`) and that by
/// which rules know it.
///
/// `by_arch` holds the tensors that the architecture omits, with the number of layers if it
/// matters.
pub(super) fn part(
    kind: Kind,
    by_arch: &[(&LeftOut, Option<u64>)],
    stored: &str,
    name: &str,
) -> Part {
    let any = |parts: &[&str], of: fn(&str, &str) -> bool| parts.iter().any(|part| of(name, part));
    if any(REDUNDANT_SUFFIXES, |name, part| name.ends_with(part))
        || by_arch.iter().any(|(left_out, layers)| !left_out.zeros && left_out.fits(name, *layers))
    {
        Part::Redundant
    } else if by_arch.iter().any(|(left_out, layers)| left_out.fits(name, *layers)) {
        Part::RedundantZeros
    } else if kind == Kind::Projector {
        Part::Text
    } else if OTHER_PREFIXES.iter().any(|part| stored.starts_with(part))
        || OTHER_PARTS.iter().any(|part| stored.contains(part))
    {
        Part::Other
    } else {
        Part::Text
    }
}

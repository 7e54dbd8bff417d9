//! Tensors that are no part of the file.

use crate::arch::Arch;

/// Whether a tensor is left out.
pub(super) enum LeftOut {
    No,
    /// It holds nothing that the file needs.
    Redundant,
    /// The same, if all its values are zero.
    RedundantZeros,
    /// It is of another part of a larger model.
    OtherPart,
}

/// Tensors that are no part of the model: what they hold follows from the config.
const REDUNDANT_SUFFIXES: &[&str] =
    &[".attention.masked_bias", ".attention.bias", ".rotary_emb.inv_freq"];

/// Parts of larger models that are no part of the text model, by the start of the name.
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

/// Whether a tensor is left out, by its name.
pub(super) fn left_out(arch: &Arch, name: &str) -> LeftOut {
    let any = |parts: &[&str], of: fn(&str, &str) -> bool| parts.iter().any(|part| of(name, part));
    if any(REDUNDANT_SUFFIXES, |name, part| name.ends_with(part))
        || arch.left_out.iter().any(|pattern| pattern.is_match(name))
    {
        LeftOut::Redundant
    } else if arch.left_out_zeros.iter().any(|pattern| pattern.is_match(name)) {
        LeftOut::RedundantZeros
    } else if any(OTHER_PREFIXES, |name, part| name.starts_with(part))
        || any(OTHER_PARTS, |name, part| name.contains(part))
    {
        LeftOut::OtherPart
    } else {
        LeftOut::No
    }
}

//! What kinds of models there are, for lists of them.

use granule_checkpoint::arch::{Arch, Item, Kind};

/// What a class of models reads, as `--print-supported-models` says it.
pub(crate) fn kind(arch: &Arch) -> &'static str {
    let writes = |key: &str| {
        let mut items = arch.early_metadata.iter().chain(&arch.metadata);
        items.any(|item| matches!(item, Item::Entry(entry) if entry.key == key))
    };
    if arch.kind == Kind::Model {
        let drafts = arch.target.is_some() || arch.models.contains("drafts");
        return if drafts { "draft" } else { "text" };
    }
    match (writes("has_vision_encoder"), writes("has_audio_encoder")) {
        (true, true) => "vision, audio",
        (_, true) => "audio",
        _ => "vision",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use granule_checkpoint::arch;

    use super::kind;

    #[test]
    fn kinds_follow_from_descriptions() {
        let all = arch::all().iter().chain(arch::projectors());
        let kinds: BTreeMap<&str, &str> = all.map(|arch| (&*arch.models, kind(arch))).collect();
        for (models, expected) in [
            ("Llama 1 to 3, Mistral, Mixtral", "text"),
            ("EAGLE-3 drafts", "draft"),
            ("drafts of Gemma 4", "draft"),
            ("Pixtral, Mistral 3", "vision"),
            ("Ultravox", "audio"),
        ] {
            assert_eq!(kinds.get(models), Some(&expected), "{models}");
        }
        let both = kinds.values().filter(|kind| **kind == "vision, audio").count();
        assert!(both > 0 && !kinds.values().any(|kind| kind.is_empty()));
    }
}

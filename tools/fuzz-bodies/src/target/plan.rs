//! Saved plans and recipes: JSON that people edit.

use granule_convert::{Plan, Recipe};
use granule_format::{BlockType, FileType, Metadata, Shape};
use granule_reader::{Source, SourceTensor};
use std::hash::Hasher;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

pub(super) fn run(input: &[u8]) {
    let Ok(json) = str::from_utf8(input) else { return };
    if let Ok(recipe) = serde_json::from_str::<Recipe>(json) {
        let text = serde_json::to_string(&recipe).expect("a recipe can be written");
        let again: Recipe = serde_json::from_str(&text).expect("what was written can be read");
        let same = |recipe: &Recipe| serde_json::to_string(recipe).ok();
        assert_eq!(same(&again), same(&recipe));
        let _ = Plan::new(source(), &recipe, None);
    }
    let Ok(plan) = Plan::from_json(json, source(), None) else { return };
    let text = plan.to_json();
    let again = Plan::from_json(&text, source(), None);
    let again = again.unwrap_or_else(|error| panic!("what was written cannot be read: {error}"));
    assert_eq!(again.to_json(), text);
    if let Ok(drafts) = plan.drafts() {
        assert_eq!(drafts.len(), plan.shards() as usize);
        let tensors: usize = drafts.iter().map(|draft| draft.tensors().len()).sum();
        assert_eq!((tensors, plan.targets(0, None).len()), (plan.tensors().len(), tensors));
    }
}

/// Two blocks and an embedding.
pub(crate) fn source() -> &'static Paper {
    static PAPER: OnceLock<Paper> = OnceLock::new();
    PAPER.get_or_init(|| {
        let mut metadata = Metadata::new();
        metadata.set("general.architecture", "llama");
        metadata.set("llama.block_count", 2_u32);
        let shapes: [(&str, &[u64]); 4] = [
            ("token_embd.weight", &[256, 16]),
            ("blk.0.attn_v.weight", &[256, 256]),
            ("blk.1.ffn_down.weight", &[256, 64]),
            ("output_norm.weight", &[256]),
        ];
        let tensors = shapes.iter().map(|(name, dimensions)| SourceTensor {
            name: (*name).to_owned(),
            shape: Shape::new(dimensions).expect("at most four dimensions"),
            ty: BlockType::F16.into(),
        });
        let paper = Paper { metadata, tensors: tensors.collect() };
        debug_assert!(Plan::new(&paper, &Recipe::new(FileType::COPY), None).is_ok());
        paper
    })
}

/// A source of names and shapes alone.
#[derive(Debug)]
pub(crate) struct Paper {
    metadata: Metadata,
    tensors: Vec<SourceTensor>,
}

impl Source for Paper {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn tensors(&self) -> &[SourceTensor] {
        &self.tensors
    }

    fn files(&self) -> Vec<&Path> {
        Vec::new()
    }

    fn fingerprint(&self, _: usize, _: &mut dyn Hasher) {}

    fn read_rows(
        &self,
        _: usize,
        _: Range<u64>,
        _: &mut Vec<u8>,
    ) -> Result<(), granule_reader::Error> {
        unreachable!("a plan reads no data")
    }
}

//! Tests of plans except for the types: metadata, sizes, reasons, problems, and saving and loading.

use std::num::NonZeroU64;

use crate::common::{Paper, matrix, matrix_of};
use granule_convert::plan::{Reason, Warning};
use granule_convert::recipe::{Recipe, Split};
use granule_convert::{Error, Plan, PlanError};
use granule_encode::Importance;
use granule_format::{BlockType, FileType, Metadata, Value};

/// Returns two blocks of a small llama with rows of 576, which are not whole super-blocks.
fn llama() -> Paper {
    let mut paper = Paper::default();
    for (key, value) in [
        ("general.architecture", Value::from("llama")),
        ("llama.block_count", Value::from(2_u32)),
        ("general.file_type", Value::from(1_u32)),
        ("split.count", Value::from(2_u16)),
        ("general.name", Value::from("small")),
    ] {
        paper.metadata.set(key, value);
    }
    for block in [1, 0] {
        let name = |part: &str| format!("blk.{block}.{part}");
        paper = paper
            .with(&name("ffn_down.weight"), &[512, 576], BlockType::F16)
            .with(&name("attn_q.weight"), &[576, 576], BlockType::F16)
            .with(&name("attn_norm.weight"), &[576], BlockType::F32);
    }
    paper.with("token_embd.weight", &[576, 1000, 1], BlockType::F16)
}

fn recipe(file_type: FileType, change: impl FnOnce(&mut Recipe)) -> Recipe {
    let mut recipe = Recipe::new(file_type);
    change(&mut recipe);
    recipe
}

fn plan(source: &Paper, recipe: &Recipe) -> Plan {
    Plan::new(source, recipe, None).unwrap()
}

fn problem(source: &Paper, recipe: &Recipe, importance: Option<&Importance>) -> PlanError {
    match Plan::new(source, recipe, importance) {
        Err(Error::Plan(problem)) => problem,
        other => panic!("expected a problem, found {other:?}"),
    }
}

fn keys(metadata: &Metadata) -> Vec<&str> {
    metadata.iter().map(|entry| entry.key.as_str()).collect()
}

#[test]
fn order_types_reasons_and_sizes() {
    let plan = plan(&llama(), &Recipe::new(FileType::Q4_K_M));
    let names: Vec<_> = plan.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    let expected = [
        "token_embd.weight",
        "blk.0.attn_norm.weight",
        "blk.0.attn_q.weight",
        "blk.0.ffn_down.weight",
        "blk.1.attn_norm.weight",
        "blk.1.attn_q.weight",
        "blk.1.ffn_down.weight",
    ];
    assert_eq!(names, expected);
    let embedding = &plan.tensors()[0];
    assert_eq!(embedding.target, BlockType::Q8_0.into());
    assert_eq!(embedding.shape.dimensions(), [576, 1000]);
    assert_eq!(embedding.stored_bytes, 576 * 1000 * 2);
    assert_eq!(embedding.target_bytes, 576 * 1000 / 32 * 34);
    assert!(matches!(&embedding.reason, Reason::Rule(rule) if rule.contains("not whole blocks")));
    let query = &plan.tensors()[2];
    assert_eq!((query.wanted, query.target), (Some(BlockType::Q4_K), BlockType::Q5_0.into()));
    assert_eq!(query.reason, Reason::Default);
    let cost = 576 * 576 / 32 * 22 - 576 * 576 / 256 * 144;
    assert_eq!(plan.fallbacks().map(|(_, bytes)| bytes).collect::<Vec<_>>(), [cost, cost]);
    assert!(matches!(plan.tensors()[1].reason, Reason::Kept(_)) && plan.tensors()[1].is_copied());
    let sum: u64 = plan.tensors().iter().map(|tensor| tensor.target_bytes).sum();
    assert_eq!(plan.target_bytes(), sum);
    assert_eq!(plan.drafts().unwrap()[0].tensors().len(), 7);
    assert_eq!(plan.targets(3, None)[6].tensor, 6);
    assert!(plan.warnings().is_empty());
}

#[test]
fn metadata_in_the_order_of_the_reference() {
    let source = llama();
    let recipe = recipe(FileType::Q4_K_M, |recipe| {
        recipe.override_kv.push("general.name=str:other".parse().unwrap());
        recipe.prune_layers.insert(0);
    });
    let importance = matrix_of(&source);
    let plan = Plan::new(&source, &recipe, Some(&importance)).unwrap();
    let expected = [
        "general.architecture",
        "general.quantization_version",
        "general.file_type",
        "general.name",
        "quantize.imatrix.file",
        "quantize.imatrix.dataset",
        "quantize.imatrix.entries_count",
        "quantize.imatrix.chunks_count",
        "llama.block_count",
    ];
    assert_eq!(keys(plan.metadata()), expected);
    assert_eq!(plan.metadata().get("general.file_type"), Some(&Value::U32(15)));
    assert_eq!(plan.metadata().get("llama.block_count"), Some(&Value::U32(1)));
    assert_eq!(plan.metadata().get("quantize.imatrix.entries_count"), Some(&Value::U32(5)));
    let down = plan.tensors().last().unwrap();
    assert_eq!((down.name.as_str(), down.weighted), ("blk.0.ffn_down.weight", true));
    assert_eq!(down.source_name, "blk.1.ffn_down.weight");
    assert!(plan.targets(0, Some(&importance)).last().unwrap().weights.is_some());
}

#[test]
fn copies_keep_or_guess_the_file_type() {
    let mut source = llama();
    let copy = Recipe::new(FileType::COPY);
    assert_eq!(plan(&source, &copy).metadata().get("general.file_type"), Some(&Value::U32(1)));
    source.metadata.remove("general.file_type");
    let guessed = plan(&source, &copy);
    assert_eq!(guessed.metadata().get("general.file_type"), Some(&Value::U32(1025)));
    assert!(guessed.tensors().iter().all(|tensor| tensor.is_copied()));
    let as_is = Plan::as_is(&source, &Split::NONE, false).unwrap();
    assert_eq!(as_is.metadata(), &source.metadata);
    assert_eq!(as_is.tensors()[0].name, "blk.1.ffn_down.weight");
    assert_eq!(as_is.tensors()[6].shape.dimensions(), [576, 1000, 1]);
}

#[test]
fn importance_that_is_needed_or_missed() {
    let source = llama().with("output.weight", &[512, 32], BlockType::F16);
    let smallest = Recipe::new(FileType::IQ2_XXS);
    let needs = problem(&source, &smallest, None);
    assert!(
        matches!(&needs, PlanError::NeedsImportance { tensor, tensors: 2, .. }
        if tensor == "blk.0.ffn_down.weight"),
        "{needs:?}"
    );

    let one = matrix(&[("blk.0.ffn_down.weight", 512)]);
    assert!(matches!(problem(&source, &smallest, Some(&one)), PlanError::NeedsEntry { .. }));
    let usual = |change: fn(&mut Recipe)| recipe(FileType::Q4_K_M, change);
    let lacks = problem(&source, &usual(|_| {}), Some(&one));
    assert!(matches!(lacks, PlanError::NoEntry { tensors: 3, .. }), "{lacks:?}");
    let allowed = Plan::new(&source, &usual(|recipe| recipe.allow_missing = true), Some(&one));
    assert!(matches!(allowed.unwrap().warnings(), [Warning::Allowed(_)]));
    let filtered = usual(|recipe| recipe.include_weights.push("blk.0.ffn".into()));
    let filtered = Plan::new(&source, &filtered, Some(&one)).unwrap();
    let weighted = filtered.tensors().iter().filter(|tensor| tensor.weighted);
    assert_eq!(weighted.map(|tensor| &tensor.name).collect::<Vec<_>>(), ["blk.0.ffn_down.weight"]);

    let wrong = matrix(&[("blk.0.ffn_down.weight", 511)]);
    let error = problem(&source, &usual(|recipe| recipe.allow_missing = true), Some(&wrong));
    assert!(matches!(error, PlanError::EntrySize { expected: 512, found: 511, .. }), "{error:?}");
}

#[test]
fn options_without_effect() {
    let source = llama();
    for (file_type, pattern, expected) in [
        (FileType::Q4_K_M, "ATTN_Q=q8_0", "no tensor name"),
        (FileType::Q4_K_M, "norm=q8_0", "never converted"),
        (FileType::F16, "attn_q=q8_0", "F32, F16 and BF16"),
        (FileType::COPY, "attn_q=q8_0", "COPY"),
    ] {
        let mut recipe = recipe(file_type, |recipe| {
            recipe.tensor_types.push(pattern.parse().unwrap());
        });
        let message = problem(&source, &recipe, None).to_string();
        assert!(message.contains(expected), "{message}");
        recipe.allow_missing = true;
        assert_eq!(plan(&source, &recipe).warnings().len(), 1);
    }
    let tied = recipe(FileType::Q4_K_M, |recipe| {
        recipe.pure = true;
        recipe.output_tensor_type = Some(BlockType::Q8_0);
    });
    assert!(problem(&source, &tied, None).to_string().contains("--pure"));
}

#[test]
fn what_cannot_be_done() {
    let mut source = llama();
    let strict = recipe(FileType::Q4_K_M, |recipe| recipe.no_fallback = true);
    let found = problem(&source, &strict, None);
    assert!(matches!(found, PlanError::FallbackForbidden { row: 576, .. }), "{found:?}");
    let embedding = recipe(FileType::Q4_K_M, |recipe| {
        recipe.token_embedding_type = Some(BlockType::Q6_K);
    });
    assert!(matches!(problem(&source, &embedding, None), PlanError::DoesNotFit { row: 576, .. }));
    let alignment = recipe(FileType::Q4_K_M, |recipe| {
        recipe.override_kv.push("general.alignment=int:48".parse().unwrap());
    });
    assert!(matches!(problem(&source, &alignment, None), PlanError::Alignment(_)));

    source.tensors[0].ty = BlockType::Q5_0.into();
    let found = problem(&source, &Recipe::new(FileType::Q4_K_M), None);
    assert!(matches!(found, PlanError::Requantize { stored: BlockType::Q5_0, .. }), "{found:?}");
    source.tensors[0].ty = granule_format::TensorType::Unknown(99);
    assert!(matches!(problem(&source, &Recipe::new(FileType::COPY), None), PlanError::Size { .. }));
}

#[test]
fn split_sets_keep_their_files() {
    let source = Paper { shards: 2, ..llama() };
    let keep = recipe(FileType::Q8_0, |recipe| recipe.keep_split = true);
    let plan = plan(&source, &keep);
    assert_eq!(plan.tensors()[0].name, "blk.1.ffn_down.weight");
    let drafts = plan.drafts().unwrap();
    assert_eq!(drafts.iter().map(|draft| draft.tensors().len()).collect::<Vec<_>>(), [4, 3]);
    let split = ["split.no", "split.count", "split.tensors.count"];
    assert_eq!(keys(drafts[1].metadata()), split);
    assert!(keys(drafts[0].metadata()).ends_with(&split));
    assert_eq!(drafts[1].metadata().get("split.no"), Some(&Value::U16(1)));
    assert_eq!(drafts[0].metadata().get("split.tensors.count"), Some(&Value::I32(7)));
    let last = plan.targets(1, None)[6];
    assert_eq!((last.file, last.tensor), (2, 2));
    let one = Plan::new(&source, &Recipe::new(FileType::Q8_0), None).unwrap();
    assert_eq!((one.shards(), one.metadata().get("split.count")), (1, None));
}

#[test]
fn types_can_be_changed() {
    let down = "blk.0.ffn_down.weight";
    let mut plan = plan(&llama(), &Recipe::new(FileType::Q8_0));
    let before = plan.clone();
    let bytes = plan.target_bytes();
    plan.set_type(down, BlockType::Q4_K, "a test", None).unwrap();
    let tensor = plan.tensors().iter().find(|tensor| tensor.name == down).unwrap();
    assert_eq!(tensor.target, BlockType::Q4_K.into());
    assert_eq!(tensor.reason, Reason::Edited("a test".into()));
    assert_eq!(tensor.target_bytes, 576 * 2 * 144);
    assert_eq!(plan.target_bytes(), bytes - 576 * 512 / 32 * 34 + 576 * 2 * 144);
    let draft = &plan.drafts().unwrap()[0];
    let written = draft.tensors().iter().find(|tensor| tensor.name == down).unwrap();
    assert_eq!(written.ty, BlockType::Q4_K.into());
    let loaded = Plan::from_json(&plan.to_json(), &llama(), None).unwrap();
    assert_eq!(loaded, plan);
    // its own type: copied
    plan.set_type(down, BlockType::F16, "as it was", None).unwrap();
    assert!(plan.tensors().iter().find(|tensor| tensor.name == down).unwrap().is_copied());

    let mut plan = before.clone();
    let error = |name: &str, ty, plan: &mut Plan| plan.set_type(name, ty, "", None).unwrap_err();
    let none = error("blk.9.attn_q.weight", BlockType::Q8_0, &mut plan);
    assert_eq!(none, PlanError::NoSuchTensor { tensor: "blk.9.attn_q.weight".into() });
    let rows = error("blk.0.attn_q.weight", BlockType::Q4_K, &mut plan);
    assert!(matches!(rows, PlanError::Size { .. }), "{rows}");
    let weights = error(down, BlockType::IQ1_S, &mut plan);
    assert!(matches!(weights, PlanError::NeedsImportance { .. }), "{weights}");
    let kept = error(down, BlockType::Q8_1, &mut plan);
    assert!(matches!(kept, PlanError::NoEncoder { .. }), "{kept}");
    assert_eq!(plan, before, "what fails changes nothing");
}

#[test]
fn weights_and_files_follow_a_changed_type() {
    let source = llama();
    let matrix = matrix_of(&source);
    let limit = NonZeroU64::new(700_000);
    let split = Split { max_bytes: limit, ..Split::NONE };
    let split = recipe(FileType::Q8_0, |recipe| recipe.split = split);
    let mut plan = Plan::new(&source, &split, Some(&matrix)).unwrap();
    let files = plan.shards();
    for block in [0, 1] {
        let name = format!("blk.{block}.ffn_down.weight");
        plan.set_type(&name, BlockType::IQ1_S, "small", Some(&matrix)).unwrap();
        assert!(plan.tensors().iter().find(|tensor| tensor.name == name).unwrap().weighted);
        plan.set_type(&format!("blk.{block}.attn_q.weight"), BlockType::Q4_0, "", Some(&matrix))
            .unwrap();
    }
    plan.set_type("token_embd.weight", BlockType::Q4_0, "", Some(&matrix)).unwrap();
    assert!(plan.shards() < files, "{} of {files}", plan.shards());
    let count = u16::try_from(plan.shards()).unwrap();
    let expected = (count > 1).then_some(Value::U16(count));
    assert_eq!(plan.metadata().get("split.count").cloned(), expected);
    assert_eq!(plan.drafts().unwrap().len(), usize::from(count));
    assert_eq!(plan.targets(0, Some(&matrix)).len(), plan.tensors().len());
    // and back
    let names: Vec<String> = plan.tensors().iter().map(|tensor| tensor.name.clone()).collect();
    for name in names.iter().filter(|name| !name.contains("norm")) {
        plan.set_type(name, BlockType::Q8_0, "", Some(&matrix)).unwrap();
    }
    assert_eq!(plan.shards(), files);
    let first = plan.drafts().unwrap().remove(0);
    assert!(keys(first.metadata()).ends_with(&["split.no", "split.count", "split.tensors.count"]));
}

#[test]
fn a_model_that_nobody_has_heard_of() {
    let source = Paper::default()
        .with("double_blocks.0.img_attn.proj.weight", &[3072, 3072], BlockType::BF16)
        .with("double_blocks.0.img_attn.norm.key_norm.scale", &[128], BlockType::F32);
    let plan = plan(&source, &Recipe::new(FileType::Q4_K_M));
    assert_eq!(plan.tensors()[1].target, BlockType::Q4_K.into());
    assert_eq!(plan.warnings(), [Warning::UnknownArchitecture(String::new())]);
}

#[test]
fn saved_plans_are_loaded_again() {
    let source = llama();
    let recipe = recipe(FileType::Q4_K_M, |recipe| recipe.allow_missing = true);
    let importance = matrix(&[("blk.0.ffn_down.weight", 512)]);
    let plan = Plan::new(&source, &recipe, Some(&importance)).unwrap();
    let json = plan.to_json();
    assert_eq!(Plan::from_json(&json, &source, Some(&importance)).unwrap(), plan);

    let edited = json.replacen("\"target\": \"Q5_0\"", "\"target\": \"IQ4_NL\"", 1);
    let edited = Plan::from_json(&edited, &source, Some(&importance)).unwrap();
    assert_eq!(edited.tensors()[2].target_bytes, 576 * 576 / 32 * 18);

    let load = |json: &str, source: &Paper, importance| {
        Plan::from_json(json, source, importance).unwrap_err().to_string()
    };
    assert!(load(&json, &source, None).contains("importance"));
    let misfit = json.replace("\"target\": \"Q5_0\"", "\"target\": \"Q4_K\"");
    assert!(load(&misfit, &source, Some(&importance)).contains("does not fit"));
    let shards = json.replace("\"shards\": 1", "\"shards\": 4294967295");
    assert!(load(&shards, &source, Some(&importance)).contains("4294967295 files"));
    assert!(load("{}", &source, None).contains("not a saved plan"));
    let mut other = llama();
    other.tensors.swap(0, 1);
    assert!(load(&json, &other, Some(&importance)).contains("another source"));
}

//! Plans are checked by the validator's rules before anything is written.

use crate::common::Paper;
use granule_convert::plan::Warning;
use granule_convert::recipe::{Recipe, Split};
use granule_convert::{Error, Plan, PlanError};
use granule_format::{Array, BlockType, FileType};

/// Returns a complete llama of two blocks.
fn llama() -> Paper {
    llama_of(2)
}

fn llama_of(blocks: u32) -> Paper {
    let mut paper = Paper::default();
    paper.metadata.set("general.architecture", "llama");
    for (key, value) in [
        ("block_count", blocks),
        ("embedding_length", 256),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
    ] {
        paper.metadata.set(&format!("llama.{key}"), value);
    }
    paper.metadata.set("tokenizer.ggml.model", "llama");
    let tokens = (0..40).map(|token| format!("token {token}")).collect();
    paper.metadata.set("tokenizer.ggml.tokens", Array::String(tokens));
    paper = paper.with("token_embd.weight", &[256, 40], BlockType::F16).with(
        "output_norm.weight",
        &[256],
        BlockType::F32,
    );
    for block in 0..blocks {
        for (name, dimensions) in [
            ("attn_norm", &[256][..]),
            ("attn_q", &[256, 256]),
            ("attn_k", &[256, 128]),
            ("attn_v", &[256, 128]),
            ("attn_output", &[256, 256]),
            ("ffn_norm", &[256]),
            ("ffn_gate", &[256, 512]),
            ("ffn_up", &[256, 512]),
            ("ffn_down", &[512, 256]),
        ] {
            let name = format!("blk.{block}.{name}.weight");
            paper = paper.with(&name, dimensions, BlockType::F16);
        }
    }
    paper
}

/// Returns faulty sources, and the rule that each violates.
fn faults() -> Vec<(&'static str, Paper)> {
    let change = |change: fn(&mut Paper)| {
        let mut paper = llama();
        change(&mut paper);
        paper
    };
    vec![
        ("S012", change(|paper| paper.metadata.set("tokenizer.ggml.bos_token_id", 40_u32))),
        (
            "S014",
            change(|paper| {
                paper.tensors[0] = Paper::default()
                    .with("token_embd.weight", &[256, 41], BlockType::F16)
                    .tensors
                    .remove(0)
            }),
        ),
        (
            "S019",
            change(|paper| {
                paper.metadata.set(
                    "tokenizer.ggml.tokens",
                    Array::String((0..40).map(|token| format!("{}", token / 2)).collect()),
                )
            }),
        ),
        ("S020", change(|paper| paper.metadata.set("tokenizer.ggml.model", "gpt2"))),
        (
            "S023",
            change(|paper| paper.tensors.retain(|tensor| tensor.name != "blk.1.ffn_up.weight")),
        ),
        ("S024", change(|paper| paper.metadata.set("llama.block_count", 3_u32))),
        ("S025", change(|paper| paper.metadata.set("llama.attention.head_count_kv", 4_u32))),
    ]
}

fn problem(result: Result<Plan, Error>) -> String {
    match result {
        Err(Error::Plan(problem @ PlanError::Invalid(_))) => problem.to_string(),
        other => panic!("expected a file that is not valid, found {other:?}"),
    }
}

fn recipes() -> [Recipe; 3] {
    let split = Split { max_tensors: std::num::NonZeroU64::new(3), ..Split::NONE };
    let recipe = |file_type| Recipe::new(file_type);
    [recipe(FileType::Q8_0), recipe(FileType::COPY), Recipe { split, ..recipe(FileType::Q4_K_M) }]
}

#[test]
fn a_good_model_is_planned_without_a_word() {
    for recipe in recipes() {
        assert_eq!(Plan::new(&llama().unwritten(), &recipe, None).unwrap().warnings(), []);
        assert_eq!(Plan::new(&llama(), &recipe, None).unwrap().warnings(), []);
    }
    Plan::as_is(&llama().unwritten(), &Split::NONE, false).unwrap();
}

#[test]
fn a_new_file_must_be_valid() {
    for (rule, paper) in faults() {
        let source = paper.unwritten();
        for recipe in recipes() {
            let problem = problem(Plan::new(&source, &recipe, None));
            assert!(problem.contains(rule) && problem.contains("expected"), "{rule}: {problem}");
            assert!(problem.contains(&format!("granule explain {rule}")), "{rule}: {problem}");
            assert!(problem.contains("--allow-invalid"), "{rule}: {problem}");
            let allowed = Recipe { allow_invalid: true, ..recipe };
            let plan = Plan::new(&source, &allowed, None).unwrap();
            assert_eq!(plan.warnings(), [Warning::Allowed(problem)], "{rule}");
            assert_eq!(Plan::from_json(&plan.to_json(), &source, None).unwrap(), plan);
        }
        problem(Plan::as_is(&source, &Split::NONE, false));
        let plan = Plan::as_is(&source, &Split::NONE, true).unwrap();
        assert!(matches!(plan.warnings(), [Warning::Allowed(_)]), "{rule}: {:?}", plan.warnings());
    }
}

#[test]
fn a_fault_of_a_file_is_a_warning() {
    for (rule, paper) in faults() {
        for recipe in recipes() {
            let plan = Plan::new(&paper, &recipe, None).unwrap();
            let [Warning::SourceInvalid(what)] = plan.warnings() else {
                panic!("{rule}: {:?}", plan.warnings())
            };
            assert!(what.contains(rule), "{rule}: {what}");
            // the fault is also found when the plan is loaded again
            assert_eq!(Plan::from_json(&plan.to_json(), &paper, None).unwrap(), plan);
        }
        assert_eq!(Plan::as_is(&paper, &Split::NONE, false).unwrap().warnings().len(), 1, "{rule}");
    }
    // a source of an unknown architecture
    let mut other = llama();
    other.metadata.set("general.architecture", "example");
    other.tensors.retain(|tensor| tensor.name != "blk.1.ffn_up.weight");
    let plan = Plan::new(&other, &Recipe::new(FileType::Q8_0), None).unwrap();
    let lost = |warning: &Warning| {
        matches!(
            warning,
            Warning::SourceInvalid(what) if what.contains("blk.1.ffn_up.weight")
        )
    };
    assert!(plan.warnings().iter().any(lost), "{:?}", plan.warnings());
}

#[test]
fn a_file_may_have_more_faults_than_are_listed() {
    // the file's order of the blocks is not that of their names
    let mut paper = llama_of(120);
    paper.tensors.reverse();
    paper.metadata.set("llama.attention.head_count_kv", 4_u32);
    let plan = Plan::new(&paper, &Recipe::new(FileType::Q8_0), None).unwrap();
    let [Warning::SourceInvalid(what)] = plan.warnings() else { panic!("{:?}", plan.warnings()) };
    assert!(what.contains("S025"), "{what}");
    assert!(
        problem(Plan::new(&paper.unwritten(), &Recipe::new(FileType::Q8_0), None)).contains("S025")
    );
}

#[test]
fn what_an_option_breaks_is_an_error_of_the_plan() {
    let mut recipe = Recipe::new(FileType::Q8_0);
    recipe.override_kv.push("llama.block_count=int:5".parse().unwrap());
    let text = problem(Plan::new(&llama(), &recipe, None));
    assert!(text.contains("S024") && text.contains("llama.block_count"), "{text}");
    // the same holds for an edited plan
    let plan = Plan::new(&llama(), &Recipe::new(FileType::Q8_0), None).unwrap();
    let edited = plan
        .to_json()
        .replace("\"name\": \"blk.1.ffn_up.weight\"", "\"name\": \"blk.1.ffn.weight\"");
    assert!(problem(Plan::from_json(&edited, &llama(), None)).contains("S023"));
}

#[test]
fn faults_are_counted_not_listed() {
    let mut paper = llama();
    paper.tensors.retain(|tensor| !tensor.name.ends_with("ffn_up.weight"));
    let text = problem(Plan::new(&paper.unwritten(), &Recipe::new(FileType::Q8_0), None));
    assert!(text.contains("blk.0.ffn_up.weight") && text.contains("and 1 more"), "{text}");
}

#[test]
fn pruned_blocks_are_not_missed() {
    let mut recipe = Recipe::new(FileType::Q8_0);
    recipe.prune_layers = [0].into();
    assert_eq!(Plan::new(&llama().unwritten(), &recipe, None).unwrap().warnings(), []);
    let mut paper = llama();
    paper.tensors.retain(|tensor| tensor.name != "blk.1.ffn_up.weight");
    // the missing tensor now has another name, which is not a new fault
    assert_eq!(Plan::new(&paper, &recipe, None).unwrap().warnings().len(), 1);
}

#[test]
fn dimensions_of_one_stay_where_the_architecture_is_unknown() {
    let shapes = |architecture: &str, file_type| {
        let mut paper = Paper::default();
        paper.metadata.set("general.architecture", architecture);
        let paper = paper.with("pos_embed", &[64, 128, 1], BlockType::F16).with(
            "x.weight",
            &[256, 4, 1, 1],
            BlockType::F16,
        );
        let plan = Plan::new(&paper, &Recipe::new(file_type), None).unwrap();
        let shapes = plan.tensors().iter().map(|tensor| tensor.shape.to_string());
        shapes.collect::<Vec<_>>()
    };
    for file_type in [FileType::Q4_K_M, FileType::F16, FileType::COPY] {
        assert_eq!(shapes("sd3", file_type), ["64 x 128 x 1", "256 x 4 x 1 x 1"]);
        // for architectures of the reference they are dropped, to get the same bytes
        assert_eq!(shapes("llama", file_type), ["64 x 128", "256 x 4"]);
    }
}

use std::io::Write;

use granule_format::{BlockType, Draft, Endian, FileType, Metadata, Shape, Writer};
use granule_reader::GgufSource;

use super::*;

/// A model whose weights are random numbers, but for one tensor on the grid of Q4_0.
fn source(folder: &tempfile::TempDir) -> GgufSource {
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "llama");
    metadata.set("llama.block_count", 2_u32);
    let mut draft = Draft::new(metadata, Endian::Little).unwrap();
    for (name, dimensions) in [
        ("token_embd.weight", &[256, 16][..]),
        ("output.weight", &[256, 16]),
        ("output_norm.weight", &[256]),
        ("blk.0.attn_v.weight", &[256, 8]),
        ("blk.0.ffn_down.weight", &[288, 16]),
        ("blk.1.attn_v.weight", &[256, 8]),
        ("blk.1.ffn_down.weight", &[288, 16]),
    ] {
        draft.add(name, Shape::new(dimensions).unwrap(), BlockType::F32.into()).unwrap();
    }
    let mut bytes = Vec::new();
    let mut writer = Writer::start(&mut bytes, draft).unwrap();
    let mut state = 1_u64;
    for tensor in writer.tensors().to_vec() {
        let mut out = writer.tensor(&tensor.name).unwrap();
        for i in 0..tensor.shape.values().unwrap() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = (state >> 40) as f32 / (1 << 23) as f32 - 1.0;
            let code = if i % 32 == 0 { -8.0 } else { (number * 7.9).trunc() };
            let value = if tensor.name == "blk.0.attn_v.weight" { code * 0.01 } else { number };
            out.write_all(&value.to_le_bytes()).unwrap();
        }
        out.finish().unwrap();
    }
    writer.finish().unwrap();
    let path = folder.path().join("m.gguf");
    std::fs::write(&path, bytes).unwrap();
    GgufSource::open(&path).unwrap()
}

fn request(target: TargetSize) -> SizeRequest {
    SizeRequest { target, least: None, most: None }
}

#[test]
fn rules_are_scaled_to_every_size_and_never_beyond() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(&folder);
    let recipe = Recipe::new(FileType::Q4_K_M);
    let least = match by_rules(&source, &recipe, None, request(TargetSize::Bytes(1))) {
        Err(SizeError::TooSmall { least, .. }) => least,
        other => panic!("{other:?}"),
    };
    let mut before = 0;
    for bytes in (least..least + 20_000).step_by(701) {
        let found = by_rules(&source, &recipe, None, request(TargetSize::Bytes(bytes))).unwrap();
        let size = found.plan.file_bytes().unwrap();
        assert!(size <= bytes && size >= before, "{size} {bytes} {before}");
        before = size;
    }
    assert!(before > least);
}

/// With more room no tensor costs more, and what lies on a grid costs nothing in its type.
#[test]
fn the_choice_follows_the_costs() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(&folder);
    let recipe = Recipe::new(FileType::Q4_K_M);
    let mut frame =
        Frame::new(&source, &recipe, None, request(TargetSize::BitsPerWeight(5.0))).unwrap();
    let place = |frame: &Frame<'_>, name: &str| {
        let is = |item: &frame::Item| frame.plan.tensors()[item.place].name == name;
        frame.items.iter().position(is).unwrap()
    };
    let item = place(&frame, "blk.0.attn_v.weight");
    let sample = errors::Sample::new(&frame, &frame.items[item]).unwrap().unwrap();
    assert_eq!(sample.grid(), Some(BlockType::Q4_0));
    frame.offer(item, BlockType::Q4_0);
    let offered = frame.items[item].options.last().unwrap();
    assert_eq!(offered.ty, BlockType::Q4_0);
    assert_eq!(sample.error(&frame, BlockType::Q4_0, &[]), 0.0);
    assert!(sample.error(&frame, BlockType::Q3_K, &[]) > 1e-3);

    let costs: Vec<Vec<f64>> = frame
        .items
        .iter()
        .map(|item| {
            let sample = errors::Sample::new(&frame, item).unwrap().unwrap();
            sample.errors(&frame, &item.options, &[])
        })
        .collect();
    let (plan, chosen) = frame.plan_for(&costs, &|_, _| "a reason".to_owned()).unwrap();
    assert!(plan.target_bytes() <= frame.limit());
    assert_eq!(frame.items[item].options[chosen[item]].ty, BlockType::Q4_0);
    // rows of 288 values are no super-blocks
    let down = &frame.items[place(&frame, "blk.1.ffn_down.weight")];
    assert!(down.options.iter().all(|option| option.ty.block_values() <= 32), "{down:?}");
    assert_eq!(down.role, "ffn_down");
    // the plan is loaded again as it is
    let loaded = Plan::from_json(&plan.to_json(), &source, None).unwrap();
    assert_eq!(loaded, plan);
}

#[test]
fn bounds_and_patterns_win() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(&folder);
    let mut recipe = Recipe::new(FileType::Q4_K_M);
    recipe.tensor_types.push("attn_v=Q8_0".parse().unwrap());
    let mut wanted = request(TargetSize::BitsPerWeight(5.6));
    (wanted.least, wanted.most) = (Some(BlockType::Q4_0), Some(BlockType::Q5_K));
    let found = by_rules(&source, &recipe, None, wanted).unwrap();
    for tensor in found.plan.tensors().iter().filter(|tensor| tensor.shape.dimensions().len() > 1) {
        let bits = frame::bits(tensor.target.known().unwrap());
        match tensor.name.contains("attn_v") {
            true => assert_eq!(tensor.target, BlockType::Q8_0.into()),
            false => assert!((4.5..=5.5).contains(&bits), "{tensor:?}"),
        }
    }
    wanted.most = Some(BlockType::Q2_K);
    assert!(matches!(
        by_rules(&source, &recipe, None, wanted),
        Err(SizeError::Bounds { least: BlockType::Q4_0, most: BlockType::Q2_K })
    ));
    recipe.tensor_types.push(".=Q8_0".parse().unwrap());
    let nothing = by_rules(&source, &recipe, None, request(TargetSize::BitsPerWeight(9.0)));
    assert!(matches!(nothing, Err(SizeError::NothingToChoose)));
}

/// Choices by running a model: within the size, no worse than the rules, the same for any number of
/// threads.
#[test]
fn a_model_is_run_for_the_choice() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/checkpoints/llama2-spm-256");
    let options = granule_checkpoint::CheckpointOptions {
        out_type: granule_checkpoint::OutType::from_name("f32").unwrap(),
        ..granule_checkpoint::CheckpointOptions::default()
    };
    let source = granule_checkpoint::Checkpoint::open(path.as_ref(), &options).unwrap();
    let model = Model::open(&source).unwrap();
    let tokens = (0..24).map(|token| token * 7 % 200 + 3).collect();
    let chunks = Chunks::of_tokens(tokens, 8, None).unwrap();
    let recipe = Recipe::new(FileType::Q4_K_M);
    let wanted = request(TargetSize::BitsPerWeight(4.75));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut steps = 0;
        let found = pool.install(|| {
            by_runs(&model, &chunks, &recipe, None, wanted, &mut |_| {
                steps += 1;
                Ok(())
            })
        });
        (found.unwrap(), steps)
    };
    let (found, steps) = run(1);
    assert!(found.bits_per_weight <= 4.75 && found.bits_per_weight > 4.5, "{found:?}");
    assert_eq!(found.trials.len(), 8);
    let divergence = |trial: &Trial| trial.divergence;
    let best = found.trials.iter().map(divergence).fold(f64::INFINITY, f64::min);
    assert!(best > 0.0 && best <= found.trials[0].divergence, "{:?}", found.trials);
    assert!(found.roles.iter().any(|role| role.name == "ffn_down" && role.change > Some(0.0)));
    assert!(steps > 30, "{steps}");
    let (again, _) = run(3);
    assert_eq!((&found.plan, &found.trials), (&again.plan, &again.trials));
    // an error of the caller ends the run
    let stopped = by_runs(&model, &chunks, &recipe, None, wanted, &mut |_| Err("stop".into()));
    assert!(matches!(stopped, Err(SizeError::Run(granule_infer::Error::Observer(_)))));
}

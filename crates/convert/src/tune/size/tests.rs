use std::io::Write;

use granule_format::{BlockType, Draft, Endian, FileType, Metadata, Shape, Writer};
use granule_reader::GgufSource;

use super::*;

/// A model whose weights are random numbers, but for one tensor on the grid of Q4_0.
fn source(folder: &tempfile::TempDir) -> GgufSource {
    let tensors = [
        ("token_embd.weight", &[256, 16][..]),
        ("output.weight", &[256, 16]),
        ("output_norm.weight", &[256]),
        ("blk.0.attn_v.weight", &[256, 8]),
        ("blk.0.ffn_down.weight", &[288, 16]),
        ("blk.1.attn_v.weight", &[256, 8]),
        ("blk.1.ffn_down.weight", &[288, 16]),
    ];
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "llama");
    metadata.set("llama.block_count", 2_u32);
    write(folder, metadata, &tensors.map(|(name, shape)| (name.to_owned(), shape.to_vec())))
}

/// A model that runs.
fn small_model(folder: &tempfile::TempDir) -> GgufSource {
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "llama");
    for (key, value) in [
        ("block_count", 2_u32),
        ("context_length", 64),
        ("embedding_length", 32),
        ("feed_forward_length", 64),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 2),
        ("rope.dimension_count", 16),
    ] {
        metadata.set(&format!("llama.{key}"), value);
    }
    metadata.set("llama.attention.layer_norm_rms_epsilon", 1e-5_f32);
    let whole = [("token_embd", &[32, 48][..]), ("output_norm", &[32]), ("output", &[32, 48])];
    let layer = [
        ("attn_norm", &[32][..]),
        ("attn_q", &[32, 32]),
        ("attn_k", &[32, 32]),
        ("attn_v", &[32, 32]),
        ("attn_output", &[32, 32]),
        ("ffn_norm", &[32]),
        ("ffn_gate", &[32, 64]),
        ("ffn_up", &[32, 64]),
        ("ffn_down", &[64, 32]),
    ];
    let mut tensors: Vec<(String, Vec<u64>)> =
        whole.map(|(name, shape)| (format!("{name}.weight"), shape.to_vec())).to_vec();
    for number in 0..2 {
        tensors.extend(
            layer.map(|(name, shape)| (format!("blk.{number}.{name}.weight"), shape.to_vec())),
        );
    }
    write(folder, metadata, &tensors)
}

fn write(
    folder: &tempfile::TempDir,
    metadata: Metadata,
    tensors: &[(String, Vec<u64>)],
) -> GgufSource {
    let mut draft = Draft::new(metadata, Endian::Little).unwrap();
    for (name, dimensions) in tensors {
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
            let is_on_grid = tensor.name == "blk.0.attn_v.weight" && tensor.shape.row() == 256;
            let value = if is_on_grid { code * 0.01 } else { number };
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
    let folder = tempfile::tempdir().unwrap();
    let source = small_model(&folder);
    let model = Model::open(&source).unwrap();
    let tokens = (0..24).map(|token| token * 7 % 48).collect();
    let chunks = Chunks::of_tokens(tokens, 8, None).unwrap();
    let recipe = Recipe::new(FileType::Q4_K_M);
    let wanted = request(TargetSize::BitsPerWeight(6.0));
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
    assert!(found.bits_per_weight <= 6.0 && found.bits_per_weight > 5.7, "{found:?}");
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

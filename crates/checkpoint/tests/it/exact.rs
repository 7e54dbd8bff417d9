//! Types that hold the values of a checkpoint exactly, and the reasons where there is none.

use crate::common::folder::{Copy, SINGLE, Stored};
use granule_checkpoint::{Checkpoint, CheckpointOptions, Exactness, OutType};
use granule_format::{BlockType, Value as Metadata};
use granule_reader::Source;
use half::{bf16, f16};
use serde_json::json;

const UP: &str = "model.layers.1.mlp.up_proj.weight";
const UP_IN_FILE: &str = "blk.1.ffn_up.weight";

fn open(copy: &Copy, out_type: &str) -> Checkpoint {
    let out_type = OutType::from_name(out_type).unwrap();
    let options = CheckpointOptions { out_type, ..CheckpointOptions::default() };
    Checkpoint::open(&copy.folder, &options).unwrap_or_else(|error| panic!("{error}"))
}

/// Reads the values of a tensor of the file, and its type.
fn values(checkpoint: &Checkpoint, name: &str) -> (BlockType, Vec<f32>) {
    let index = checkpoint.tensors().iter().position(|tensor| tensor.name == name).unwrap();
    let tensor = &checkpoint.tensors()[index];
    let (ty, rows) = (tensor.ty.known().unwrap(), tensor.shape.rows().unwrap());
    let mut bytes = Vec::new();
    checkpoint.read_rows(index, 0..rows, &mut bytes).unwrap();
    let mut values = vec![0.0; tensor.shape.values().unwrap() as usize];
    ty.decode_row(&bytes, &mut values);
    (ty, values)
}

/// Opens a checkpoint in exact types, checks that no value of any tensor differs from that in F32,
/// and returns what was found out about one tensor.
fn exact(copy: &Copy, name: &str) -> Exactness {
    let [exact, plain] = ["exact", "f32"].map(|ty| open(copy, ty));
    for tensor in plain.tensors() {
        let ((_, one), (_, other)) = (values(&exact, &tensor.name), values(&plain, &tensor.name));
        assert_eq!(one, other, "{}", tensor.name);
    }
    exact.exactness().iter().find(|found| found.tensor == name).unwrap().clone()
}

/// Makes a checkpoint with one weight of 256 rows and columns as BF16.
fn with(value: impl Fn(usize) -> f32) -> Copy {
    let copy = Copy::of(SINGLE);
    copy.tensors(|tensors| {
        let bytes = (0..256 * 256).flat_map(|at| bf16::from_f32(value(at)).to_le_bytes());
        tensors.insert(UP.to_owned(), Stored::new("BF16", &[256, 256], bytes.collect()));
    });
    copy
}

#[test]
fn values_in_16_bits_that_were_trained_for_a_grid_are_recognised() {
    let scale = |at: usize| 2_f32.powi((at / 32 % 7) as i32 - 9);
    type Code = fn(usize) -> f32;
    let cases: [(Code, BlockType); 3] = [
        (|at| ((at * 7 % 3) as f32 - 1.0) * 0.011_962_891, BlockType::TQ1_0),
        (|at| (at * 7 % 16) as f32 - 8.0, BlockType::Q4_0),
        (|at| (at * 7 % 251) as f32 - 125.0, BlockType::Q8_0),
    ];
    for (code, ty) in cases {
        let copy = with(|at| if ty == BlockType::TQ1_0 { code(at) } else { code(at) * scale(at) });
        let found = exact(&copy, UP_IN_FILE);
        assert_eq!((found.ty, found.why_plain), (ty, None));
    }
    // A config that says something else, or nothing, changes nothing.
    let copy = with(|at| ((at * 7 % 16) as f32 - 8.0) * scale(at));
    copy.quantization(json!({"quant_method": "bitnet"}));
    assert_eq!(exact(&copy, UP_IN_FILE).ty, BlockType::Q4_0);
}

#[test]
fn the_reason_is_told_where_no_type_of_blocks_is_exact() {
    let found = exact(&with(|at| (at as f32).sin()), UP_IN_FILE);
    assert_eq!(found.ty, BlockType::BF16);
    let why = found.why_plain.unwrap();
    assert!(why.contains("row 0, from column 0") && why.contains("one step"), "{why}");
    // One value in the last row.
    let found = exact(&with(|at| if at == 65535 { 0.3 } else { 1.0 }), UP_IN_FILE);
    assert_eq!(found.ty, BlockType::Q1_0.min(found.ty), "{found:?}");
    let found = exact(&with(|at| (at % 16) as f32 * 2_f32.powi(-40)), UP_IN_FILE);
    let why = found.why_plain.unwrap();
    assert!(why.contains("not a number of 16 bits"), "{why}");
}

/// Makes a checkpoint with a weight that compressed-tensors has packed, in groups of this size.
fn packed(group: u64, scale: impl Fn(u64) -> f16, zeros: bool) -> Copy {
    let copy = Copy::of(SINGLE);
    let groups = 256 / group;
    copy.tensors(|tensors| {
        tensors.remove(UP);
        let mut put = |end: &str, ty: &str, shape: &[u64], data: Vec<u8>| {
            tensors.insert(format!("{UP}_{end}"), Stored::new(ty, shape, data));
        };
        let words = |count: u64, seed: u32| {
            let word = move |at: u64| (at as u32).wrapping_mul(seed) ^ seed;
            (0..count).flat_map(|at| word(at).to_le_bytes()).collect::<Vec<u8>>()
        };
        put("packed", "I32", &[256, 32], words(256 * 32, 0x9e37_79b9));
        let scales = (0..256 * groups).flat_map(|at| scale(at).to_le_bytes()).collect();
        put("scale", "F16", &[256, groups], scales);
        put("shape", "I64", &[2], [256_u64.to_le_bytes(); 2].concat());
        if zeros {
            put("zero_point", "I32", &[32, groups], words(32 * groups, 0x7f4a_7c15));
        }
    });
    let weights = json!({"num_bits": 4, "type": "int", "strategy": "group", "group_size": group});
    let groups = json!({"group_0": {"weights": weights}});
    copy.quantization(json!({"quant_method": "compressed-tensors", "format": "pack-quantized",
        "config_groups": groups}));
    copy
}

#[test]
fn codes_of_4_bits_become_blocks() {
    let scale = |at: u64| f16::from_f32(0.011 + at as f32 / 3000.0);
    for group in [32, 128] {
        let found = exact(&packed(group, scale, false), UP_IN_FILE);
        assert_eq!((found.ty, found.why_plain), (BlockType::Q4_0, None), "{group}");
        // With zero points of 4 bits, codes need 5.
        let found = exact(&packed(group, scale, true), UP_IN_FILE);
        assert_eq!((found.ty, found.why_plain), (BlockType::Q5_0, None), "{group}");
    }
    // Where scale times zero point has 16 bits, too, 4 bits are enough.
    let power = |at: u64| f16::from_f32(2_f32.powi(-(at as i32 % 9)));
    let found = exact(&packed(32, power, true), UP_IN_FILE);
    assert_eq!((found.ty, found.why_plain), (BlockType::Q4_1, None));
}

#[test]
fn the_file_type_is_that_of_most_values() {
    let copy = Copy::of(SINGLE);
    copy.tensors(|tensors| {
        for tensor in tensors.values_mut().filter(|tensor| tensor.shape.len() == 2) {
            let count = tensor.shape.iter().product::<u64>() as usize;
            let value = |at: usize| f16::from_f32((at % 16) as f32 * 0.25 - 2.0);
            let bytes = (0..count).flat_map(|at| value(at).to_le_bytes()).collect();
            *tensor = Stored::new("F16", &tensor.shape, bytes);
        }
    });
    let checkpoint = open(&copy, "exact");
    assert_eq!(checkpoint.metadata().get("general.file_type"), Some(&Metadata::U32(2)));
    assert!(checkpoint.file_stem().ends_with("Q4_0"), "{}", checkpoint.file_stem());
    assert!(checkpoint.exactness().iter().all(|found| found.why_plain.is_none()));
    assert!(open(&copy, "auto").exactness().is_empty());
}

//! The tensors of a checkpoint decide whether it is quantized, and its config adds details that
//! they leave open.

use crate::common::folder::{Copy, FILE, SINGLE, Stored, Tensors};
use granule_checkpoint::{Checkpoint, CheckpointOptions};
use serde_json::{Value, json};

/// Returns the names of the weights to quantize.
fn weights(tensors: &Tensors) -> Vec<String> {
    tensors.keys().filter(|name| name.ends_with("_proj.weight")).cloned().collect()
}

const UP: &str = "model.layers.1.mlp.up_proj.weight";

#[test]
fn an_entry_without_quantized_tensors_is_ignored() {
    let plain = Copy::of(SINGLE).content();
    assert_eq!(plain.1, [""; 0]);
    let weights = json!({"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32});
    let groups = json!({"a": {"weights": weights}, "b": {"weights": weights}});
    for entry in [
        json!({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"}),
        json!({"quant_method": "bitsandbytes", "load_in_8bit": true}),
        json!({"quant_method": "awq", "bits": 4}),
        json!({"quant_method": "hqq"}),
        json!({"quant_method": "never heard of"}),
        json!({"quant_method": "gptq", "bits": 3}),
        json!({"quant_method": "fp8", "weight_block_size": "wrong"}),
        json!({"quant_method": "modelopt", "quant_algo": "NVFP4"}),
        json!({"quant_method": "bitnet"}),
        json!({"quant_method": "compressed-tensors", "format": "x", "config_groups": groups}),
    ] {
        let copy = Copy::of(SINGLE);
        copy.quantization(entry.clone());
        let (content, warnings) = copy.content();
        assert_eq!(content, plain.0, "{entry}");
        let method = entry["quant_method"].as_str().unwrap();
        let said = warnings.len() == 1 && warnings[0].contains("config.json");
        assert!(said && warnings[0].contains(method), "{warnings:?}");
    }
    let copy = Copy::of(SINGLE);
    copy.write("hf_quant_config.json", r#"{"producer": {"name": "modelopt"}}"#);
    let (content, warnings) = copy.content();
    assert_eq!(content, plain.0);
    assert!(warnings.len() == 1 && warnings[0].contains("hf_quant_config.json"), "{warnings:?}");

    // Only the cache is quantized, and the config says so.
    copy.tensors(|tensors| {
        let scale = Stored::f32(&[1], &[0.5]);
        tensors.insert("model.layers.0.self_attn.k_scale".to_owned(), scale);
    });
    assert_eq!(copy.content(), (plain.0, vec![]));
}

/// Makes a matrix of 8-bit numbers. Returns the value of each.
fn small(ty: &str, shape: &[u64]) -> (Stored, Vec<f32>) {
    let count = shape.iter().product::<u64>() as usize;
    let code = |index: usize| (index * 37 % 251) as u8;
    let value = |code: u8| match ty {
        "I8" => f32::from(code as i8),
        _ => {
            let (exponent, fraction) = (i32::from(code >> 3 & 15), f32::from(code & 7));
            let size = match exponent {
                0 => fraction / 8.0 * 2_f32.powi(-6),
                _ => (1.0 + fraction / 8.0) * 2_f32.powi(exponent - 7),
            };
            if code & 128 == 0 { size } else { -size }
        }
    };
    // Codes 127 and 255 are NaN.
    let codes = (0..count).map(code).map(|code| if code & 127 == 127 { 0 } else { code });
    let codes: Vec<u8> = codes.collect();
    let values = codes.iter().map(|code| value(*code)).collect();
    (Stored::new(ty, shape, codes), values)
}

/// The layout of scales: their shape for a matrix, and the scale of a value.
type Layout = (fn(u64, u64) -> Vec<u64>, fn(u64, u64) -> u64);

const TENSOR: Layout = (|_, _| vec![], |_, _| 0);
const TENSOR_1: Layout = (|_, _| vec![1], |_, _| 0);
const ROWS: Layout = (|rows, _| vec![rows], |row, _| row);
const ROWS_1: Layout = (|rows, _| vec![rows, 1], |row, _| row);
const BLOCKS: Layout =
    (|rows, columns| vec![rows / 128, columns / 128], |row, column| row / 128 * 2 + column / 128);

/// Makes two checkpoints: one with quantized weights and scales named `{weight}{end}`, and one with
/// the products.
fn pair(ty: &str, end: &str, (shape, index): Layout) -> [Copy; 2] {
    let [quantized, plain] = [Copy::of(SINGLE), Copy::of(SINGLE)];
    let change = |tensors: &mut Tensors, product: bool| {
        for name in weights(tensors) {
            let [rows, columns] = tensors[&name].shape[..] else { panic!("{name}") };
            assert!(columns == 256, "see BLOCKS");
            let (codes, values) = small(ty, &[rows, columns]);
            let shape = shape(rows, columns);
            let scale = |index: u64| 0.25 + index as f32 / 64.0;
            if product {
                let place = |at: usize| index(at as u64 / columns, at as u64 % columns);
                let values = values.iter().enumerate().map(|(at, value)| value * scale(place(at)));
                let values: Vec<f32> = values.collect();
                tensors.insert(name, Stored::f32(&[rows, columns], &values));
            } else {
                let scales: Vec<f32> = (0..shape.iter().product()).map(scale).collect();
                let of = name.strip_suffix("weight").unwrap();
                tensors.insert(format!("{of}{end}"), Stored::f32(&shape, &scales));
                tensors.insert(name, codes);
            }
        }
    };
    quantized.tensors(|tensors| change(tensors, false));
    plain.tensors(|tensors| change(tensors, true));
    [quantized, plain]
}

/// Returns config entries that are possible for 8-bit weights with scales for tensors or rows.
fn entries() -> Vec<Value> {
    let weights = json!({"num_bits": 8, "type": "float", "strategy": "tensor"});
    let group = json!({"weights": weights});
    let groups = [json!({"a": group}), json!({"a": group, "b": group})];
    let [one, two] = groups.map(|groups| {
        let format = "float-quantized";
        json!({"quant_method": "compressed-tensors", "format": format, "config_groups": groups})
    });
    vec![
        Value::Null,
        one,
        two,
        json!({"quant_method": "fp8", "activation_scheme": "static"}),
        json!({"quant_method": "modelopt"}),
        json!({"quant_method": "fbgemm_fp8"}),
        json!({"quant_method": "bitsandbytes"}),
        json!({"quant_method": "gptq", "bits": 4}),
    ]
}

#[test]
fn numbers_of_8_bits_are_multiplied_with_their_scales() {
    for (ty, end, layout) in [
        ("F8_E4M3", "weight_scale", TENSOR),
        ("F8_E4M3", "weight_scale", TENSOR_1),
        ("F8_E4M3", "weight_scale", ROWS),
        ("F8_E4M3", "weight_scale", ROWS_1),
        ("F8_E4M3", "weight_scale_inv", TENSOR),
        ("F8_E4M3", "weight_scale_inv", ROWS_1),
        ("F8_E4M3", "scale", TENSOR_1),
        ("F8_E4M3", "weight_scale_inv", BLOCKS),
        ("F8_E4M3", "weight_scale", BLOCKS),
        ("I8", "weight_scale", ROWS_1),
    ] {
        let [quantized, plain] = pair(ty, end, layout);
        let plain = plain.content();
        // Tries all entries with one layout, and some with the others.
        let step = if end == "weight_scale" && layout.0(1, 1).is_empty() { 1 } else { 3 };
        for entry in entries().into_iter().step_by(step) {
            quantized.quantization(entry.clone());
            assert_eq!(quantized.content(), plain, "{ty} {end} {entry}");
        }
    }
}

#[test]
fn scales_of_activations_and_caches_are_left_out() {
    let [quantized, plain] = pair("F8_E4M3", "weight_scale", TENSOR_1);
    let attention = "model.layers.0.self_attn";
    quantized.tensors(|tensors| {
        for name in weights(tensors) {
            let of = name.strip_suffix("weight").unwrap();
            for end in ["input_scale", "input_global_scale", "activation_scale", "input_scale_ub"] {
                tensors.insert(format!("{of}{end}"), Stored::f32(&[], &[f32::NAN]));
            }
        }
        for end in [
            "k_scale",
            "v_scale",
            "q_scale",
            "k_proj.output_scale",
            "v_proj.k_scale",
            "kv_cache_scaling_factor",
            "prob_output_scale",
            "attn.k_zero_point",
        ] {
            // One number, and one number per head.
            tensors.insert(format!("{attention}.{end}"), Stored::f32(&[1], &[1.0]));
            let heads = format!("model.layers.1.self_attn.{end}");
            tensors.insert(heads, Stored::f32(&[4], &[1.0; 4]));
        }
    });
    let plain = plain.content();
    for entry in entries() {
        quantized.quantization(entry.clone());
        assert_eq!(quantized.content(), plain, "{entry}");
    }
    // An unquantized model may have a vector of such a name.
    let copy = Copy::of(SINGLE);
    copy.tensors(|tensors| {
        tensors.insert(format!("{attention}.q_scale"), Stored::f32(&[64], &[1.0; 64]));
    });
    copy.refused(&[FILE, "self_attn.q_scale", "no such tensor"]);
}

#[test]
fn scales_that_are_no_numbers_or_fit_nothing_are_named() {
    let scale = &UP.replace("weight", "weight_scale");
    for (shape, values, text) in [
        (&[][..], vec![f32::NAN], "scale 0 is NaN"),
        (&[256, 1], [vec![1.0; 7], vec![f32::INFINITY; 249]].concat(), "scale 7 is inf"),
        (&[255], vec![1.0; 255], "[255]"),
        (&[0], vec![], "[0]"),
        (&[1, 256, 1], vec![1.0; 256], "[1, 256, 1]"),
    ] {
        let [quantized, _] = pair("F8_E4M3", "weight_scale", TENSOR_1);
        quantized.tensors(|tensors| {
            tensors.insert(scale.clone(), Stored::f32(shape, &values));
        });
        for entry in entries() {
            quantized.quantization(entry);
            quantized.refused(&[FILE, scale, text]);
        }
    }
}

/// Makes a checkpoint with one weight replaced by these tensors, named after it without `weight`.
fn with(parts: &[(&str, Stored)]) -> Copy {
    let copy = Copy::of(SINGLE);
    copy.tensors(|tensors| {
        tensors.remove(UP);
        for (end, part) in parts {
            tensors.insert(UP.replace("weight", end), part.clone());
        }
    });
    copy
}

#[test]
fn quantized_weights_are_never_read_as_plain() {
    let ints = |ty: &str, shape: &[u64]| {
        let width = ty.trim_start_matches(['U', 'I']).parse::<u64>().unwrap() / 8;
        Stored::new(ty, shape, vec![1; (shape.iter().product::<u64>() * width) as usize])
    };
    let floats = |count: u64| Stored::f32(&[count], &vec![1.0; count as usize]);
    let whole = ints("I8", &[256, 256]);
    for (parts, method, example) in [
        (
            vec![("weight", ints("U8", &[32768, 1])), ("weight.absmax", floats(1024))],
            "bitsandbytes",
            "absmax",
        ),
        (vec![("weight", whole.clone())], "unknown method, to I8", "weight"),
        (vec![("weight", ints("U8", &[256, 256]))], "unknown method, to U8", "weight"),
        (
            vec![("weight", ints("U8", &[64, 256])), ("weight_scale", floats(1))],
            "scales",
            "weight_scale",
        ),
        (
            vec![
                ("weight", ints("U32", &[256, 32])),
                ("scales", floats(256)),
                ("biases", floats(256)),
            ],
            "MLX",
            "weight",
        ),
        (
            vec![
                ("qweight", ints("I32", &[32, 256])),
                ("qzeros", ints("I32", &[2, 32])),
                ("scales", floats(512)),
                ("g_idx", ints("I32", &[256])),
            ],
            "gptq",
            "qweight",
        ),
        (vec![("weight_packed", ints("I32", &[256, 32]))], "compressed-tensors", "weight_packed"),
        (
            vec![("weight", ints("U8", &[256, 128])), ("weight_scale_2", floats(1))],
            "NVFP4",
            "weight_scale_2",
        ),
    ] {
        let copy = with(&parts);
        copy.refused(&[FILE, "layers.1.mlp.up_proj", example, "quantized by", method]);
        // Regardless of the config, the error names the method; if the config's is unsupported too,
        // that one.
        copy.quantization(json!({"quant_method": "fp8"}));
        copy.refused(&[FILE, "layers.1.mlp.up_proj"]);
        copy.quantization(json!({"quant_method": "other"}));
        copy.refused(&["config.json", "quantized by other", "layers.1.mlp.up_proj"]);
    }
    // Neither matters when only the vocabulary is read.
    let vocabulary = CheckpointOptions { vocabulary_only: true, ..CheckpointOptions::default() };
    let copy = with(&[("vectors", ints("I16", &[256, 32])), ("weight", floats(65536))]);
    copy.quantization(json!({"quant_method": "other"}));
    copy.refused(&["config.json", "quantized by other", "up_proj.vectors"]);
    assert!(Checkpoint::open(&copy.folder, &vocabulary).is_ok());
}

#[test]
fn parts_of_quantized_weights_that_do_not_match_are_named() {
    let ints = |ty: &str, shape: &[u64], byte: u8| {
        let width = ty.trim_start_matches(['U', 'I']).parse::<u64>().unwrap() / 8;
        Stored::new(ty, shape, vec![byte; (shape.iter().product::<u64>() * width) as usize])
    };
    let floats = |shape: &[u64], value: f32| {
        Stored::f32(shape, &vec![value; shape.iter().product::<u64>() as usize])
    };
    let state = |text: &str| Stored::new("U8", &[text.len() as u64], text.as_bytes().to_vec());
    let nf4 = "weight.quant_state.bitsandbytes__nf4";
    let awq = json!({"quant_method": "awq", "group_size": 64, "version": "gemv"});
    let bnb = |absmax: Stored, map: u64, about: &str| {
        vec![
            ("weight", ints("U8", &[32768, 1], 1)),
            ("weight.absmax", absmax),
            ("weight.quant_map", floats(&[map], 1.0)),
            (nf4, state(about)),
        ]
    };
    let about = r#"{"shape": [256, 256], "blocksize": 64}"#;
    let gptq = |groups: u64, index: Stored| {
        vec![
            ("qweight", ints("I32", &[32, 256], 1)),
            ("qzeros", ints("I32", &[groups, 32], 1)),
            ("scales", floats(&[groups, 256], 1.0)),
            ("g_idx", index),
        ]
    };
    let gptq_entry = json!({"quant_method": "gptq", "bits": 4});
    let mlx = json!({"group_size": 64, "bits": 4});
    let fp4 = |second: f32, scale: u8| {
        vec![
            ("weight", ints("U8", &[256, 128], 1)),
            ("weight_scale", Stored::new("F8_E4M3", &[256, 16], vec![scale; 4096])),
            ("weight_scale_2", floats(&[], second)),
        ]
    };
    type Case<'a> = (Value, Vec<(&'a str, Stored)>, Vec<&'a str>);
    let cases: Vec<Case<'_>> = vec![
        (Value::Null, vec![("weight", ints("U8", &[32768, 1], 1)), (nf4, state("{"))], vec![nf4]),
        (Value::Null, bnb(floats(&[1023], 1.0), 16, about), vec!["[1023]", "4-bit"]),
        (Value::Null, bnb(floats(&[1024], f32::NAN), 16, about), vec!["weight.absmax", "NaN"]),
        (Value::Null, bnb(floats(&[1024], 1.0), 15, about), vec!["weight.quant_map", "16"]),
        (Value::Null, bnb(floats(&[1024], 1.0), 16, r#"{"shape": [9]}"#), vec![nf4, "blocksize"]),
        (Value::Null, bnb(ints("U8", &[1024], 1), 16, about), vec!["4-bit"]),
        (
            Value::Null,
            vec![("weight", ints("I8", &[256, 256], 1)), ("SCB", floats(&[255], 1.0))],
            vec!["SCB", "[255]"],
        ),
        (awq.clone(), vec![("qweight", ints("I32", &[256, 32], 1))], vec!["qweight", "scales"]),
        (
            awq,
            vec![
                ("qweight", ints("I32", &[256, 32], 1)),
                ("qzeros", ints("I32", &[2, 31], 1)),
                ("scales", floats(&[2, 256], 1.0)),
            ],
            vec!["qzeros", "[2, 31]", "4-bit"],
        ),
        (gptq_entry.clone(), gptq(2, ints("I32", &[255], 0)), vec!["qweight", "[255]"]),
        (
            gptq_entry.clone(),
            gptq(2, ints("I32", &[256], 1)),
            vec!["g_idx", "column 0", "2 groups"],
        ),
        (gptq_entry, gptq(0, ints("I32", &[256], 0)), vec!["qweight", "[0, 256]"]),
        (Value::Null, vec![("W_q", ints("U8", &[128, 256], 1))], vec!["W_q", "scale"]),
        (
            mlx,
            vec![
                ("weight", ints("U32", &[256, 32], 1)),
                ("scales", floats(&[256, 4], 1.0)),
                ("biases", floats(&[256, 3], 1.0)),
            ],
            vec!["up_proj.weight", "[256, 3]"],
        ),
        (Value::Null, fp4(f32::NAN, 1), vec!["weight_scale_2", "NaN"]),
        (Value::Null, fp4(1.0, 0x81), vec!["weight_scale", "scale 0 is -0.00"]),
        (
            Value::Null,
            vec![
                ("weight", ints("U8", &[256, 128], 1)),
                ("weight_scale", Stored::new("F8_E4M3", &[256, 8], vec![1; 2048])),
            ],
            vec!["weight_scale", "[256, 8]", "16 values"],
        ),
        (
            Value::Null,
            vec![
                ("weight_packed", ints("U8", &[256, 128], 1)),
                ("weight_scale", ints("U8", &[256, 8], 255)),
            ],
            vec!["weight_scale", "scale 0 is NaN"],
        ),
    ];
    for (entry, parts, texts) in cases {
        let copy = with(&parts);
        copy.quantization(entry);
        copy.refused(&[&[FILE, "layers.1.mlp.up_proj"], &texts[..]].concat());
    }
}

#[test]
fn a_lone_number_without_scale_is_told() {
    let [quantized, _] = pair("F8_E4M3", "weight_scale", TENSOR_1);
    quantized.tensors(|tensors| drop(tensors.remove(&UP.replace("weight", "weight_scale"))));
    let (_, warnings) = quantized.content();
    assert!(warnings.len() == 1 && warnings[0].contains(UP), "{warnings:?}");
    // Without any scales, the numbers are the weights.
    quantized.tensors(|tensors| tensors.retain(|name, _| !name.ends_with("_scale")));
    assert_eq!(quantized.content().1, [""; 0]);
}

#[test]
fn the_file_of_gptq_programs_is_an_entry() {
    let copy = Copy::of(SINGLE);
    copy.tensors(|tensors| {
        for name in weights(tensors) {
            let [rows, columns] = tensors.remove(&name).unwrap().shape[..] else { panic!() };
            let words = |shape: [u64; 2], bits: u32| {
                let data = (0..shape[0] * shape[1])
                    .flat_map(|at| (at as u32).wrapping_mul(bits).to_le_bytes());
                Stored::new("I32", &shape, data.collect())
            };
            let of = |end: &str| name.replace("weight", end);
            tensors.insert(of("qweight"), words([columns / 8, rows], 0x9e37_79b9));
            tensors.insert(of("qzeros"), words([1, rows / 8], 0x7f4a_7c15));
            tensors.insert(of("scales"), Stored::f32(&[1, rows], &vec![0.5; rows as usize]));
            let zeros = Stored::new("I32", &[columns], vec![0; columns as usize * 4]);
            tensors.insert(of("g_idx"), zeros);
        }
    });
    copy.refused(&[FILE, "qweight", "gptq", "quantization_config"]);
    let entry = json!({"quant_method": "gptq", "bits": 4, "checkpoint_format": "gptq"});
    copy.quantization(entry);
    let (expected, warnings) = copy.content();
    assert_eq!(warnings, [""; 0]);
    // The number of bits also follows from the shapes.
    copy.quantization(json!({"quant_method": "gptq"}));
    assert_eq!(copy.content().0, expected);
    copy.quantization(Value::Null);
    copy.write("quantize_config.json", r#"{"bits": 4, "group_size": 128, "desc_act": false}"#);
    assert_eq!(copy.content(), (expected, vec![]));
    copy.write("quantize_config.json", r#"{"bits": 5}"#);
    copy.refused(&["quantize_config.json", "gptq, 5 bits", "qweight"]);
}

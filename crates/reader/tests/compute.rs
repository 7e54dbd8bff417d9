//! Products, gathered rows and views of matrices are the same from every kind of file and with any
//! number of threads; what does not fit panics.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write;
use std::ops::Range;

use granule_reader::format::{BlockType, Draft, Endian, Metadata, Shape, Writer};
use granule_reader::{Activations, Matrix, Model, PackedMatrix, Tensor, bf16, f16};

const TYPES: &[BlockType] = &[
    BlockType::F32,
    BlockType::F16,
    BlockType::Q4_0,
    BlockType::Q5_1,
    BlockType::Q8_0,
    BlockType::Q4_K,
    BlockType::Q6_K,
    BlockType::IQ2_XS,
];
const COLUMNS: usize = 512;
/// Rows of a matrix; two matrices. Enough for several tiles and for threads.
const ROWS: usize = 700;

/// A file with a tensor of each type, named after it.
fn file(endian: Endian) -> Vec<u8> {
    let mut draft = Draft::new(Metadata::new(), endian).unwrap();
    for ty in TYPES {
        let shape = Shape::new(&[COLUMNS as u64, ROWS as u64, 2]).unwrap();
        draft.add(ty.name(), shape, (*ty).into()).unwrap();
    }
    let infos = draft.tensors().to_vec();
    let mut writer = Writer::start(Vec::new(), draft).unwrap();
    for info in infos {
        let hash = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        // below 0x40: scales and numbers of ordinary size
        let bytes = 0..info.bytes().unwrap();
        let mut bytes: Vec<u8> = bytes.map(|i| (hash(i + 1) & 0x3f) as u8).collect();
        if endian == Endian::Big {
            info.ty.known().unwrap().swap_bytes(&mut bytes);
        }
        let mut data = writer.tensor(&info.name).unwrap();
        data.write_all(&bytes).unwrap();
        data.finish().unwrap();
    }
    writer.finish().unwrap()
}

fn x(count: usize) -> Vec<f32> {
    (0..COLUMNS * count).map(|i| ((i * 7919 % 1013) as f32 - 500.0) * 0.01).collect()
}

fn product(tensor: Tensor<'_>, count: usize) -> Vec<u32> {
    let mut y = vec![f32::NAN; tensor.rows() * count];
    tensor.matmul(&x(count), &mut y).unwrap();
    y.into_iter().map(f32::to_bits).collect()
}

#[test]
fn products_do_not_depend_on_the_file_or_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, file(Endian::Little)).unwrap();
    let models = [
        Model::from_bytes(file(Endian::Little)).unwrap(),
        Model::from_bytes(file(Endian::Big)).unwrap(),
        Model::open(&path).unwrap(),
    ];
    for ty in TYPES {
        for count in [1, 3, 18] {
            let expected = product(models[0].tensor(ty.name()).unwrap(), count);
            for model in &models {
                let tensor = model.tensor(ty.name()).unwrap();
                for threads in [1, 2, 5] {
                    let pool =
                        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    let found = pool.install(|| product(tensor, count));
                    assert!(found == expected, "{ty} {count} vectors, {threads} threads");
                }
            }
        }
    }
}

#[test]
fn a_product_is_the_sum_over_decoded_values() {
    let model = Model::from_bytes(file(Endian::Little)).unwrap();
    for ty in TYPES {
        let tensor = model.tensor(ty.name()).unwrap();
        let mut weights = vec![0.0; COLUMNS * ROWS * 2];
        tensor.decode_rows(.., &mut weights).unwrap();
        for count in [1, 7] {
            let (x, mut y) = (x(count), vec![0.0; 2 * ROWS * count]);
            tensor.matmul(&x, &mut y).unwrap();
            for (vector, x) in x.chunks(COLUMNS).enumerate() {
                for (row, weights) in weights.chunks(COLUMNS).enumerate() {
                    let terms =
                        || weights.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x));
                    let exact: f64 = terms().sum();
                    // activations of 8 bits
                    let bound = 0.01 * terms().map(f64::abs).sum::<f64>();
                    let found = f64::from(y[vector * 2 * ROWS + row]);
                    assert!((found - exact).abs() <= bound, "{ty} row {row}: {found}, {exact}");
                }
            }
        }
    }
}

fn packed_product(matrix: &PackedMatrix, count: usize) -> Vec<f32> {
    let mut y = vec![f32::NAN; matrix.rows() * count];
    matrix.matmul(&x(count), &mut y);
    y
}

#[test]
fn packed_weights_have_the_same_products() {
    let little = Model::from_bytes(file(Endian::Little)).unwrap();
    let big = Model::from_bytes(file(Endian::Big)).unwrap();
    for ty in TYPES {
        // the second matrix, whose 700 rows are no multiple of 16
        let tensor = little.tensor(ty.name()).unwrap().matrix(1);
        let packed = tensor.pack().unwrap();
        assert_eq!((packed.name(), packed.ty()), (tensor.name(), *ty));
        assert_eq!((packed.row_values(), packed.rows()), (COLUMNS, ROWS));
        let from_big = big.tensor(ty.name()).unwrap().matrix(1).pack().unwrap();
        for count in [1, 3, 18] {
            let mut expected = vec![f32::NAN; ROWS * count];
            tensor.matmul(&x(count), &mut expected).unwrap();
            let found = packed_product(&packed, count);
            let largest = expected.iter().fold(0.0_f32, |largest, y| largest.max(y.abs()));
            for (found, expected) in found.iter().zip(&expected) {
                // sums of blocks may be rounded differently
                let error = (found - expected).abs();
                assert!(error <= 1e-5 * largest, "{ty} {count}: {found}, {expected}");
            }
            assert!(packed_product(&from_big, count) == found, "{ty} {count}");
            for threads in [1, 2, 5] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let again = pool.install(|| packed_product(&tensor.pack().unwrap(), count));
                assert!(again == found, "{ty} {count} vectors, {threads} threads");
            }
        }
        let (x, mut y) = (x(2), vec![0.0; ROWS]);
        let name = tensor.name();
        let message = panics(|| packed.matvec(&x, &mut y));
        let expected = format!("1024 values do not fit tensor {name:?}, which has rows of 512");
        assert_eq!(message, expected);
        let message = panics(|| packed.matvec(&x[..COLUMNS], &mut y[1..]));
        assert_eq!(
            message,
            format!("a buffer of 699 values for 700 products with tensor {name:?}")
        );
        let form = if ty.is_quantized() { BlockType::F32 } else { BlockType::Q4_0 };
        let other = Activations::quantize(form, &x[..COLUMNS]);
        let message = panics(|| packed.matvec_with(&other, &mut y));
        assert!(message.starts_with("the activations are in the form"), "{ty}: {message}");
    }
}

#[test]
fn a_matrix_is_a_part_of_the_tensor() {
    let model = Model::from_bytes(file(Endian::Little)).unwrap();
    let tensor = model.tensor("Q4_K").unwrap();
    assert_eq!((tensor.matrices(), tensor.rows()), (2, 2 * ROWS));
    let all = product(tensor, 1);
    for index in 0..2 {
        let matrix = tensor.matrix(index);
        assert_eq!((matrix.matrices(), matrix.rows()), (1, ROWS));
        assert_eq!(product(matrix, 1), all[ROWS * index..][..ROWS]);
        let bytes = tensor.bytes().unwrap();
        let half = bytes.len() / 2;
        assert_eq!(matrix.bytes().unwrap(), &bytes[half * index..][..half]);
        let activations = Activations::quantize(BlockType::Q4_K, &x(1));
        let last = matrix.dot(ROWS - 1, &activations).unwrap();
        assert_eq!(last.to_bits(), all[ROWS * (index + 1) - 1]);
        let message = panics(|| _ = matrix.matrix(1));
        assert_eq!(message, "matrix 1 of tensor \"Q4_K\", which has 1");
        // a row of the tensor, but not of this matrix
        let row = ROWS..ROWS + 1;
        let message = panics(|| matrix.decode_rows(row, &mut [0.0; COLUMNS]).unwrap());
        assert_eq!(message, "rows 700..701 of tensor \"Q4_K\", which has 700");
    }
    let message = panics(|| _ = tensor.matrix(2));
    assert_eq!(message, "matrix 2 of tensor \"Q4_K\", which has 2");
}

#[test]
fn rows_can_be_gathered_rounded_and_decoded_by_threads() {
    let model = Model::from_bytes(file(Endian::Little)).unwrap();
    for ty in TYPES {
        let tensor = model.tensor(ty.name()).unwrap();
        let mut all = vec![0.0; COLUMNS * ROWS * 2];
        tensor.decode_rows(.., &mut all).unwrap();
        let mut by_threads = vec![0.0; COLUMNS * (ROWS + 3)];
        tensor.par_decode_rows(5..ROWS + 8, &mut by_threads).unwrap();
        assert!(by_threads == all[COLUMNS * 5..][..by_threads.len()], "{ty}");
        let rows = [1399, 0, 7, 7];
        let mut gathered = vec![0.0; 4 * COLUMNS];
        tensor.gather_rows(&rows, &mut gathered).unwrap();
        let (mut halves, mut brain) = (vec![f16::ZERO; COLUMNS], vec![bf16::ZERO; COLUMNS]);
        for (row, gathered) in rows.into_iter().zip(gathered.chunks(COLUMNS)) {
            assert!(gathered == &all[row * COLUMNS..][..COLUMNS], "{ty} row {row}");
            tensor.decode_rows_f16(row..row + 1, &mut halves).unwrap();
            tensor.decode_rows_bf16(row..row + 1, &mut brain).unwrap();
            assert!(gathered.iter().zip(&halves).all(|(v, h)| f16::from_f32(*v) == *h), "{ty}");
            assert!(gathered.iter().zip(&brain).all(|(v, b)| bf16::from_f32(*v) == *b), "{ty}");
        }
    }
}

#[test]
fn all_values_and_single_rows_are_those_of_a_range() {
    let file = file(Endian::Little);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, &file).unwrap();
    // read at positions, and lent
    for model in [Model::open(&path).unwrap(), Model::from_bytes(file).unwrap()] {
        for tensor in &model {
            let mut all = vec![0.0; COLUMNS * 2 * ROWS];
            tensor.decode_rows(0..2 * ROWS, &mut all).unwrap();
            assert!(tensor.to_vec().unwrap() == all, "{}", tensor.name());
            assert!(tensor.matrix(1).to_vec().unwrap() == all[COLUMNS * ROWS..]);
            let mut reader = tensor.row_reader(3..=2 * ROWS - 2);
            let mut expected = all.chunks(COLUMNS).skip(3).take(2 * ROWS - 4);
            assert_eq!(reader.remaining(), 2 * ROWS - 4);
            while let Some(row) = reader.next_row().unwrap() {
                assert!(Some(row) == expected.next(), "{}", tensor.name());
            }
            assert!(expected.next().is_none() && reader.remaining() == 0);
            assert!(reader.next_row().unwrap().is_none());
        }
    }
}

#[test]
fn tensors_and_packed_weights_are_matrices() {
    let model = Model::from_bytes(file(Endian::Little)).unwrap();
    for ty in TYPES {
        let tensor = model.tensor(ty.name()).unwrap().matrix(0);
        let packed = tensor.pack().unwrap();
        let both: [&dyn Matrix; 2] = [&tensor, &packed];
        for matrix in both {
            assert_eq!((matrix.name(), matrix.rows()), (ty.name(), ROWS));
            for count in [1, 6] {
                let x = x(count);
                let (mut one, mut two) = (vec![0.0; ROWS * count], vec![0.0; ROWS * count]);
                let prepared = matrix.prepare(&x).unwrap();
                assert_eq!((prepared.columns(), prepared.count()), (matrix.row_values(), count));
                matrix.matmul(&x, &mut one).unwrap();
                matrix.matmul_with(&prepared, &mut two).unwrap();
                assert!(one == two && one.iter().any(|y| *y != 0.0), "{ty}");
                if count == 1 {
                    matrix.matvec(&x, &mut two).unwrap();
                    assert!(one == two, "{ty}");
                    matrix.matvec_with(&prepared, &mut two).unwrap();
                    assert!(one == two, "{ty}");
                }
            }
        }
    }
}

/// The message of the panic that `misuse` must end in.
fn panics(misuse: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(misuse)).unwrap_err();
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn misuse_panics_and_says_what_does_not_fit() {
    let model = Model::from_bytes(file(Endian::Little)).unwrap();
    let tensor = model.tensor("Q4_K").unwrap();
    let rows = tensor.rows();
    let (x, mut y) = (x(2), vec![0.0; 2 * rows]);
    for length in [0, 1, COLUMNS - 1, COLUMNS + 1, 2 * COLUMNS] {
        let message = panics(|| tensor.matvec(&x[..length], &mut y[..rows]).unwrap());
        let expected = format!("{length} values do not fit tensor \"Q4_K\", which has rows of 512");
        assert_eq!(message, expected);
    }
    let message = panics(|| tensor.matmul(&x[..COLUMNS + 1], &mut y).unwrap());
    assert_eq!(message, "513 values do not fit tensor \"Q4_K\", which has rows of 512");
    for length in [0, rows - 1, rows + 1, 2 * rows] {
        let message = panics(|| tensor.matvec(&x[..COLUMNS], &mut y[..length]).unwrap());
        let expected =
            format!("a buffer of {length} values for 1400 products with tensor \"Q4_K\"");
        assert_eq!(message, expected);
    }
    let other = Activations::quantize(BlockType::Q4_0, &x[..COLUMNS]);
    let message = panics(|| tensor.matvec_with(&other, &mut y[..rows]).unwrap());
    assert_eq!(message, "the activations are in the form Q8_0, tensor \"Q4_K\" needs Mixed");
    let two = Activations::quantize_batch(BlockType::Q4_K, &x, COLUMNS);
    let expected = "one vector is multiplied with tensor \"Q4_K\", the activations have 2";
    assert_eq!(panics(|| tensor.matvec_with(&two, &mut y).unwrap()), expected);
    assert_eq!(panics(|| drop(tensor.dot(0, &two))), expected);
    let one = Activations::quantize(BlockType::Q4_K, &x[..COLUMNS]);
    for row in [tensor.rows(), usize::MAX] {
        let expected =
            format!("rows {row}..{} of tensor \"Q4_K\", which has 1400", row.saturating_add(1));
        assert_eq!(panics(|| drop(tensor.dot(row, &one))), expected);
        // before anything is written
        let mut out = [7.0; 2 * COLUMNS];
        assert_eq!(panics(|| tensor.gather_rows(&[0, row], &mut out).unwrap()), expected);
        assert!(out.iter().all(|value| *value == 7.0));
    }
    let expected = "a buffer of 7 values for 1 rows of 512 of tensor \"Q4_K\"";
    assert_eq!(panics(|| tensor.gather_rows(&[0], &mut y[..7]).unwrap()), expected);
    assert_eq!(panics(|| tensor.par_decode_rows(0..1, &mut y[..7]).unwrap()), expected);
    assert_eq!(panics(|| tensor.decode_rows_f16(0..1, &mut [f16::ZERO; 7]).unwrap()), expected);
    assert_eq!(panics(|| tensor.decode_rows_bf16(0..1, &mut [bf16::ZERO; 7]).unwrap()), expected);
    for rows in [Range { start: 1, end: 0 }, 1399..1401, 1400..1401, usize::MAX - 1..usize::MAX] {
        let message = format!("rows {rows:?} of tensor \"Q4_K\", which has 1400");
        assert_eq!(panics(|| drop(tensor.read_rows(rows.clone()))), message);
        assert_eq!(panics(|| tensor.read_rows_into(rows, &mut Vec::new()).unwrap()), message);
    }
    tensor.matmul(&[], &mut []).unwrap();
    tensor.gather_rows(&[], &mut []).unwrap();
}

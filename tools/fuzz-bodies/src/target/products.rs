//! Products: any bytes as rows of blocks of every type, multiplied on every instruction set, as
//! they lie in the file and packed, and compared with sums in double precision.

use std::ops::Range;

use granule_format::{BlockType, Draft, Endian, Metadata, Shape};
use granule_reader::isa::Isa;
use granule_reader::{Activations, Model, dot_rows};

use crate::parts::number;

/// Products of single numbers that are formed at most, for one seed in sixteen and for the others.
const MOST_WORK: [usize; 2] = [1 << 14, 1 << 11];

pub(super) fn run(input: &[u8]) {
    let ([choice, width, height, batch, seed], input) = number(input);
    let ty = BlockType::ALL[usize::from(choice) % BlockType::ALL.len()];
    if input.len() < ty.block_bytes() {
        return;
    }
    let most_blocks = if ty.block_values() == 1 { 160 } else { 6 };
    let row_blocks = 1 + usize::from(width) % most_blocks;
    let columns = row_blocks * ty.block_values();
    // a panel has sixteen rows, a batch five vectors and more
    let most = MOST_WORK[usize::from(seed >> 4 != 0)];
    let rows = (1 + usize::from(height) % 35).min(most / columns).max(1);
    let count = (1 + usize::from(batch) % 20).min(most / columns / rows).max(1);

    // the blocks again and again: exactly as many bytes, so that a sanitizer sees a read beyond
    // them
    let whole = &input[..input.len() / ty.block_bytes() * ty.block_bytes()];
    let bytes = rows * row_blocks * ty.block_bytes();
    let weights: Vec<u8> = whole.iter().copied().cycle().take(bytes).collect();
    let x = vectors(seed, columns, count);
    let activations = Activations::quantize_batch(ty, &x, columns);
    let expected = Expected::new(ty, &weights, columns, &x);

    let model = model(ty, &weights, columns, rows);
    let tensor = model.tensor("w").expect("the only tensor");
    for isa in Isa::available() {
        let mut y = vec![f32::NAN; rows * count];
        dot_rows(isa, ty, &weights, &activations, &mut y);
        expected.check(&y, |row, vector| row * count + vector, &format_args!("{ty} {isa}"));
        let packed = tensor.pack_for(isa).expect("the file is in memory");
        packed.matmul(&x, &mut y);
        expected.check(&y, |row, vector| vector * rows + row, &format_args!("{ty} packed {isa}"));
    }
}

/// Vectors that lose nothing when they are quantized: whole numbers up to 127, which each 32 of
/// them reach, times a power of two.
fn vectors(seed: u8, columns: usize, count: usize) -> Vec<f32> {
    let scale = f32::from(1_u16 << (seed % 9)) / 32.0;
    let code = |i: usize| {
        let hash = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ u64::from(seed) << 7) >> 40;
        let code = if i % 32 == usize::from(seed) % 32 { 127 } else { (hash % 128) as i16 };
        f32::from(if hash & 1 << 16 == 0 { code } else { -code })
    };
    (0..columns * count).map(|i| code(i) * scale).collect()
}

/// A file with the rows in it.
fn model(ty: BlockType, weights: &[u8], columns: usize, rows: usize) -> Model {
    let mut draft = Draft::new(Metadata::new(), Endian::Little).expect("no odd alignment");
    let shape = Shape::new(&[columns as u64, rows as u64]).expect("two dimensions");
    draft.add("w", shape, ty.into()).expect("rows are whole blocks");
    let mut file = draft.header();
    file.extend_from_slice(weights);
    // the last padding may be missing
    Model::from_bytes(file).expect("a valid file")
}

/// The products, and what single precision may lose.
struct Expected {
    /// For each row, for each vector; nothing for rows that cannot be compared.
    rows: Vec<Option<Vec<(f64, f64)>>>,
}

impl Expected {
    fn new(ty: BlockType, weights: &[u8], columns: usize, x: &[f32]) -> Self {
        let block = ty.block_values();
        let row = |bytes: &[u8]| {
            let mut row = vec![0.0_f32; columns];
            ty.decode_row(bytes, &mut row);
            // neither NaN nor near the end of the range, where single precision overflows
            if ty.first_defect(bytes).is_some() || !row.iter().all(|value| value.abs() < 1e30) {
                return None;
            }
            let reaches: Vec<f64> =
                bytes.chunks(ty.block_bytes()).map(|block| reach(ty, block)).collect();
            let product = |x: &[f32]| {
                let exact = row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                let sums = |x: &[f32]| x.iter().map(|x| f64::from(x.abs())).sum::<f64>();
                let terms = reaches.iter().zip(x.chunks(block));
                let terms: f64 = terms.map(|(reach, x)| reach * sums(x)).sum();
                // each scale, product with a scale, and sum is rounded once; tiny numbers lose more
                let steps = (columns / block.max(16) + 16) as f64;
                (exact, 2.0 * terms * steps * f64::from(f32::EPSILON) + 1e-30 * sums(x))
            };
            Some(x.chunks(columns).map(product).collect())
        };
        Self { rows: weights.chunks(columns / block * ty.block_bytes()).map(row).collect() }
    }

    fn check(&self, y: &[f32], at: impl Fn(usize, usize) -> usize, what: &dyn std::fmt::Display) {
        for (row, products) in self.rows.iter().enumerate() {
            for (vector, (exact, bound)) in products.iter().flatten().enumerate() {
                let found = y[at(row, vector)];
                let error = (f64::from(found) - exact).abs();
                assert!(
                    error <= *bound,
                    "{what}: row {row}, vector {vector}: {found}, {exact}; {error} > {bound}"
                );
            }
        }
    }
}

/// The largest magnitude that a block can hold with its scales. Kernels raise codes, and subtract
/// what that adds later; minimums likewise. So the scales decide what rounding loses, even where
/// all values are zero.
fn reach(ty: BlockType, block: &[u8]) -> f64 {
    let mut values = vec![0.0; ty.block_values()];
    let mut largest = |block: &[u8]| {
        ty.decode_row(block, &mut values);
        values.iter().fold(0.0_f32, |most, w| most.max(w.abs()))
    };
    let mut most = largest(block);
    let mut other = block.to_vec();
    for fill in [0x00, 0xff, 0x7f, 0x80] {
        other[codes(ty)].fill(fill);
        most = most.max(largest(&other));
    }
    f64::from(most)
}

/// The bytes of a block that are codes; none for types whose blocks always have values near the
/// largest.
const fn codes(ty: BlockType) -> Range<usize> {
    match ty {
        BlockType::Q4_0 | BlockType::Q2_0 | BlockType::IQ4_NL => 2..18,
        BlockType::Q4_1 => 4..20,
        BlockType::Q5_0 => 2..22,
        BlockType::Q5_1 => 4..24,
        BlockType::Q8_0 => 2..34,
        BlockType::Q8_1 | BlockType::NVFP4 => 4..36,
        BlockType::MXFP4 => 1..17,
        BlockType::Q2_K => 16..80,
        BlockType::Q3_K => 0..96,
        BlockType::Q4_K => 16..144,
        BlockType::Q5_K => 16..176,
        BlockType::Q6_K => 0..192,
        BlockType::Q8_K => 4..260,
        BlockType::TQ1_0 => 0..52,
        BlockType::TQ2_0 => 0..64,
        _ => 0..0,
    }
}

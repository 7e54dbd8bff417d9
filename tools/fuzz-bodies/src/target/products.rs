//! Products: any bytes as rows of blocks of every type, multiplied on every instruction set, as
//! they lie in the file and packed, and compared with sums in double precision.

use granule_format::{BlockType, Draft, Endian, Metadata, Shape};
use granule_reader::isa::Isa;
use granule_reader::{Activations, Model, dot_rows};

use crate::parts::number;

/// Products of single numbers that are formed at most.
const MOST_WORK: usize = 1 << 16;

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
    let rows = (1 + usize::from(height) % 35).min(MOST_WORK / columns);
    let count = (1 + usize::from(batch) % 20).min(MOST_WORK / columns / rows).max(1);

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
            let largest = |row: &[f32]| row.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
            let product = |x: &[f32]| {
                let exact = row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                let sums = |x: &[f32]| x.iter().map(|x| f64::from(x.abs())).sum::<f64>();
                let terms = row.chunks(block).zip(x.chunks(block));
                let terms: f64 = terms.map(|(w, x)| f64::from(largest(w)) * sums(x)).sum();
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

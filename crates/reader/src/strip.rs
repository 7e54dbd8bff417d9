//! Strips of a batch of activations: eight vectors in the order in which panels are multiplied.

use crate::vector::Vector;

/// Vectors of a strip.
pub(crate) const WIDTH: usize = 8;

/// Columns of a segment, of a strip and of a panel.
pub(crate) const COLUMNS: usize = 256;

/// What is added to integers up to this in magnitude becomes the bits of this number plus them.
pub(crate) const RAISED: f32 = 12_582_912.0;

/// Vectors whose strips a thread makes at a time.
pub(crate) const TOGETHER: usize = 8 * WIDTH;

/// 256 columns of several vectors.
#[derive(Clone, Debug)]
pub(crate) struct Strips {
    /// The groups of 32 columns: all of them for their codes, then those with remainders again.
    numbers: Vec<usize>,
    /// The groups of all strips, one strip after another: they are read in this order.
    groups: Vec<StripGroup>,
    /// The sum of the values of each group and of each half of one.
    sums: Vec<[[f32; WIDTH]; 8]>,
    fine_sums: Vec<[[f32; WIDTH]; 16]>,
}

/// 256 columns of eight vectors; missing vectors are zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strip<'a> {
    pub(crate) numbers: &'a [usize],
    /// Codes or remainders of each of these groups.
    pub(crate) groups: &'a [StripGroup],
    pub(crate) sums: &'a [[f32; WIDTH]; 8],
    /// In the mixed form.
    pub(crate) fine_sums: &'a [[f32; WIDTH]; 16],
}

/// Codes of a group of 32 columns of eight vectors.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct StripGroup {
    /// Codes of each vector, four in a number.
    pub(crate) codes: [[u32; WIDTH]; 8],
    /// The bits of [`RAISED`], plus -128 times the sums of 16 codes and of 32: corrects products
    /// with codes raised by 128.
    pub(crate) offsets: [[i32; WIDTH]; 2],
    pub(crate) wide_offsets: [i32; WIDTH],
    /// The scale, and what remains to be subtracted after multiplying raised integers with it.
    pub(crate) scales: [f32; WIDTH],
    pub(crate) raised: [f32; WIDTH],
}

impl Strips {
    /// Segment `index` of vectors of codes.
    pub(crate) fn new(vectors: &[Vector<'_>], index: usize) -> Self {
        let Vector { codes, wide, .. } = vectors.first().copied().unwrap_or(Vector::EMPTY);
        let count = (codes.len() / 32 - 8 * index).min(8);
        let remainders = wide.get(index).map_or(0, |wide| *wide);
        let remainders = (0..8).filter(|group| remainders >> group & 1 == 1);
        let numbers: Vec<usize> = (0..count).chain(remainders).collect();
        // parts of 256 columns without remainders have no slot
        let slot = wide.iter().take(index).filter(|wide| **wide != 0).count();
        let strips = vectors.len().div_ceil(WIDTH);
        let mut this = Self {
            groups: vec![StripGroup::ZERO; strips * numbers.len()],
            sums: vec![[[0.0; WIDTH]; 8]; strips],
            fine_sums: vec![[[0.0; WIDTH]; 16]; strips],
            numbers,
        };
        for (strip, vectors) in vectors.chunks(WIDTH).enumerate() {
            let groups = &mut this.groups[strip * this.numbers.len()..];
            for (place, (group, out)) in this.numbers.iter().zip(groups).enumerate() {
                for (lane, vector) in vectors.iter().enumerate() {
                    if place < count {
                        out.fill(lane, vector.codes, vector.sums, vector.scales, 8 * index + group);
                    } else {
                        let (codes, sums) = (vector.remainders, vector.remainder_sums);
                        out.fill(lane, codes, sums, vector.remainder_scales, 8 * slot + group);
                    }
                }
            }
            for (lane, vector) in vectors.iter().enumerate() {
                let sums = vector.scaled_sums.iter().skip(8 * index);
                this.sums[strip].iter_mut().zip(sums).for_each(|(out, sum)| out[lane] = *sum);
                let sums = vector.fine_sums.iter().skip(16 * index);
                this.fine_sums[strip].iter_mut().zip(sums).for_each(|(out, sum)| out[lane] = *sum);
            }
        }
        this
    }

    /// The strips, one after another.
    #[inline(always)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = Strip<'_>> {
        let Self { numbers, groups, sums, fine_sums } = self;
        let strips = groups.chunks_exact(numbers.len().max(1)).zip(sums).zip(fine_sums);
        strips.map(
            #[inline(always)]
            |((groups, sums), fine_sums)| Strip { numbers, groups, sums, fine_sums },
        )
    }
}

impl StripGroup {
    const ZERO: Self = Self {
        codes: [[0; WIDTH]; 8],
        offsets: [[RAISED.to_bits().cast_signed(); WIDTH]; 2],
        wide_offsets: [RAISED.to_bits().cast_signed(); WIDTH],
        scales: [0.0; WIDTH],
        raised: [0.0; WIDTH],
    };

    /// Sets the codes of a vector to those of its group `at`.
    fn fill(&mut self, lane: usize, codes: &[i8], sums: &[i16], scales: &[f32], at: usize) {
        let codes = codes.as_chunks::<4>().0[8 * at..8 * at + 8].iter();
        for (four, codes) in self.codes.iter_mut().zip(codes) {
            four[lane] = u32::from_le_bytes(codes.map(i8::cast_unsigned));
        }
        let sums = [sums[2 * at], sums[2 * at + 1]].map(|sum| -128 * i32::from(sum));
        self.offsets[0][lane] += sums[0];
        self.offsets[1][lane] += sums[1];
        self.wide_offsets[lane] += sums[0] + sums[1];
        self.scales[lane] = scales[at];
        self.raised[lane] = -RAISED * scales[at];
    }
}

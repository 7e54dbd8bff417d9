//! Strips of a batch of activations: eight vectors in the order in which panels are multiplied.

use crate::activations::Vector;

/// Vectors of a strip.
pub(crate) const WIDTH: usize = 8;

/// Columns of a segment, of a strip and of a panel.
pub(crate) const COLUMNS: usize = 256;

/// Eight vectors, 256 columns at a time.
#[derive(Clone, Debug)]
pub(crate) struct Strip {
    pub(crate) segments: Vec<StripSegment>,
}

/// 256 columns of eight vectors, padded with zeros.
#[derive(Clone, Debug, Default)]
pub(crate) struct StripSegment {
    /// Codes of each vector by group of 32, four in a number.
    pub(crate) codes: [[[u32; WIDTH]; 8]; 8],
    /// -128 times the sums of 16 codes, and of 32: corrects products with codes raised by 128.
    pub(crate) offsets: [[i32; WIDTH]; 16],
    pub(crate) wide_offsets: [[i32; WIDTH]; 8],
    /// Sums of 16 codes, and of 32, two in a number.
    pub(crate) sums: [[u32; WIDTH]; 8],
    pub(crate) wide_sums: [[u32; WIDTH]; 4],
    /// The scale of each group.
    pub(crate) scales: [[f32; WIDTH]; 8],
    /// The sum of each group times its scale, in the form Q8_0.
    pub(crate) scaled_sums: [[f32; WIDTH]; 8],
}

impl Strip {
    /// Up to eight vectors of codes.
    pub(crate) fn new(vectors: &[Vector<'_>]) -> Self {
        let columns = vectors.first().map_or(0, |vector| vector.codes.len());
        let mut segments = vec![StripSegment::default(); columns.div_ceil(COLUMNS)];
        for (index, segment) in segments.iter_mut().enumerate() {
            for (lane, vector) in vectors.iter().enumerate() {
                segment.fill(lane, vector, index);
            }
        }
        Self { segments }
    }
}

impl StripSegment {
    fn fill(&mut self, lane: usize, vector: &Vector<'_>, index: usize) {
        let groups = vector.codes.as_chunks::<32>().0;
        let groups = &groups[(8 * index).min(groups.len())..];
        let sums = vector.sums.as_chunks::<2>().0;
        let sums = &sums[(8 * index).min(sums.len())..];
        // one scale for each group, or for all of them
        let scales = vector.scales;
        let one = vector.scaled_sums.is_empty();
        for (group, (codes, sums)) in groups.iter().zip(sums).take(8).enumerate() {
            for (four, codes) in self.codes[group].iter_mut().zip(codes.as_chunks::<4>().0) {
                four[lane] = u32::from_le_bytes(codes.map(i8::cast_unsigned));
            }
            let [first, second] = *sums;
            let both = first + second;
            self.offsets[2 * group][lane] = -128 * i32::from(first);
            self.offsets[2 * group + 1][lane] = -128 * i32::from(second);
            self.wide_offsets[group][lane] = -128 * i32::from(both);
            self.sums[group][lane] = pair(first, 0) | pair(second, 1);
            self.wide_sums[group / 2][lane] |= pair(both, group % 2);
            self.scales[group][lane] = scales[if one { index } else { 8 * index + group }];
            if !one {
                self.scaled_sums[group][lane] = vector.scaled_sums[8 * index + group];
            }
        }
    }
}

/// A word in the lower (0) or upper (1) half of a number.
fn pair(word: i16, half: usize) -> u32 {
    u32::from(word.cast_unsigned()) << (16 * half)
}

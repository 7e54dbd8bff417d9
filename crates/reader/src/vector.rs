//! One vector of activations, as kernels see it.

/// One vector of [`Activations`](crate::Activations).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vector<'a> {
    /// The values, in the form of floats.
    pub(crate) values: &'a [f32],
    /// Codes of 8 bits, -127 to 127.
    pub(crate) codes: &'a [i8],
    /// A scale for each 32 codes.
    pub(crate) scales: &'a [f32],
    /// The sum of each 16 codes.
    pub(crate) sums: &'a [i16],
    /// The sum of each 32 values, as they are rounded.
    pub(crate) scaled_sums: &'a [f32],
    /// The sum of each 16 values, as they are rounded, in the mixed form.
    pub(crate) fine_sums: &'a [f32],
    /// The codes of each two blocks again, in the form Q8_0: their first halves, then their second
    /// halves. An odd block at the end is left out.
    pub(crate) paired_codes: &'a [i8],
    /// For each 256 values a bit for every group that has remainders.
    pub(crate) wide: &'a [u8],
    /// For each 256 values with remainders, what their codes leave, as codes with scales of their
    /// own.
    pub(crate) remainders: &'a [i8],
    pub(crate) remainder_sums: &'a [i16],
    pub(crate) remainder_scales: &'a [f32],
}

/// Codes of 256 values.
#[derive(Clone, Copy)]
pub(crate) struct Codes<'a> {
    pub(crate) codes: &'a [i8; 256],
    /// The sum of each 16 codes.
    pub(crate) sums: &'a [i16; 16],
    /// The scale of each 32 codes.
    pub(crate) scales: &'a [f32; 8],
}

/// 256 values in the mixed form.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) codes: Codes<'a>,
    pub(crate) scaled_sums: &'a [f32; 8],
    pub(crate) fine_sums: &'a [f32; 16],
    /// A bit for every group that has remainders.
    pub(crate) wide: u8,
}

impl<'a> Vector<'a> {
    pub(crate) const EMPTY: Self = Self {
        values: &[],
        codes: &[],
        scales: &[],
        sums: &[],
        scaled_sums: &[],
        fine_sums: &[],
        paired_codes: &[],
        wide: &[],
        remainders: &[],
        remainder_sums: &[],
        remainder_scales: &[],
    };

    /// Each 256 values of the mixed form.
    #[inline(always)]
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'a>> {
        let codes = self.codes.as_chunks().0.iter().zip(self.sums.as_chunks().0);
        let codes = codes.zip(self.scales.as_chunks().0);
        let sums = self.scaled_sums.as_chunks().0.iter().zip(self.fine_sums.as_chunks().0);
        codes.zip(sums).zip(self.wide).map(
            #[inline(always)]
            |((((codes, sums), scales), (scaled_sums, fine_sums)), wide)| Part {
                codes: Codes { codes, sums, scales },
                scaled_sums,
                fine_sums,
                wide: *wide,
            },
        )
    }

    /// The codes of part `index` of the mixed form.
    pub(crate) fn codes_of(&self, index: usize) -> Codes<'a> {
        Codes {
            codes: &self.codes.as_chunks().0[index],
            sums: &self.sums.as_chunks().0[index],
            scales: &self.scales.as_chunks().0[index],
        }
    }

    /// The remainders of the part with remainders of number `slot`.
    #[inline(always)]
    pub(crate) fn remainders(&self, slot: usize) -> Codes<'a> {
        Codes {
            codes: &self.remainders.as_chunks().0[slot],
            sums: &self.remainder_sums.as_chunks().0[slot],
            scales: &self.remainder_scales.as_chunks().0[slot],
        }
    }
}

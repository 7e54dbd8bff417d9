//! The codes of packed weights: the turned lines of a panel with 2 to 8 bits a code.
//!
//! A group of a panel is 32 columns of sixteen rows: eight lines, each with four codes of each row.
//! Unpacked, a code is a byte. Packed, one line of 64 bytes holds the codes of several, those of
//! the first in the lowest bits:
//!
//! ```text
//! unpacked, 8 lines of 8-bit codes      packed to 4 bits, 4 lines
//! line 0  [row 0: c0  c1  c2  c3 ]...   line 0  low nibbles: line 0, high nibbles: line 4
//! line 1  [row 0: c4  c5  c6  c7 ]...   line 1  low nibbles: line 1, high nibbles: line 5
//!   :                                     :
//! line 7  [row 0: c28 c29 c30 c31]...   line 3  low nibbles: line 3, high nibbles: line 7
//! ```
//!
//! That is the order for consecutive values, which are multiplied where they lie. Levels of a
//! codebook are looked up first, so their lines are packed in their order.

use super::codes::eight_of;
use crate::isa::Lanes;

/// 64 bytes in one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct CodeLine(pub(crate) [u8; 64]);

/// How the codes of a type are packed.
#[derive(Clone, Copy)]
pub(crate) struct Packing {
    /// Bits of a code: 2, 4, 5, 6 or 8.
    bits: u32,
    /// The values of the codes raised by 128, in ascending order: repeated every 16, or
    /// consecutive.
    levels: [u8; 64],
    /// The same values, not raised.
    signed_levels: [u8; 64],
    consecutive: bool,
}

/// The levels of codes that are multiplied themselves: 0 to 63.
static NUMBERS: [u8; 64] = {
    let mut numbers = [0; 64];
    let mut index = 0;
    while index < 64 {
        numbers[index] = index as u8;
        index += 1;
    }
    numbers
};

/// The packed codes of a group.
#[derive(Clone, Copy)]
pub(super) struct PackedCodes<'a> {
    pub(super) lines: &'a [CodeLine],
    /// The fifth bits of the eight lines, if codes have 5 bits.
    pub(super) fifths: &'a [u64; 8],
}

impl Packing {
    /// Codes of 4 bits for sixteen values.
    pub(crate) const fn nibbles(levels: [i8; 16]) -> Self {
        Self::new(4, raised(levels), false)
    }

    /// Codes of 4 bits for up to eight magnitudes and their negatives.
    pub(crate) const fn signed(magnitudes: &[u8]) -> Self {
        let mut levels = [0; 16];
        let mut index = 0;
        while index < 8 {
            // repeat the last where there are fewer than eight
            let last = if index < magnitudes.len() { index } else { magnitudes.len() - 1 };
            levels[index] = magnitudes[last].cast_signed();
            levels[15 - index] = -levels[index];
            index += 1;
        }
        Self::nibbles(levels)
    }

    /// Codes of 2, 4, 5, 6 or 8 bits for consecutive values.
    pub(crate) const fn consecutive(bits: u32, least: i8) -> Self {
        let mut levels = [0; 64];
        let mut index = 0;
        while index < 64 {
            levels[index] = (least.cast_unsigned() ^ 128).wrapping_add(index as u8);
            index += 1;
        }
        Self::new(bits, levels, true)
    }

    const fn new(bits: u32, levels: [u8; 64], consecutive: bool) -> Self {
        let mut signed_levels = levels;
        let mut index = 0;
        while index < 64 {
            signed_levels[index] ^= 128;
            index += 1;
        }
        Self { bits, levels, signed_levels, consecutive }
    }

    /// Lines of a group, not counting fifth bits.
    pub(crate) const fn lines(&self) -> usize {
        match self.bits {
            2 => 2,
            6 => 6,
            8 => 8,
            _ => 4,
        }
    }

    /// Whether codes have a fifth bit, which is stored separately.
    pub(crate) const fn fifths(&self) -> bool {
        self.bits == 5
    }

    /// Appends a group of values raised by 128.
    #[inline(always)]
    pub(super) fn pack(
        &self,
        group: &[[u8; 64]; 8],
        lines: &mut Vec<CodeLine>,
        fifths: &mut Vec<[u64; 8]>,
    ) {
        let codes = eight_of(
            #[inline(always)]
            |i| self.codes(&group[i]),
        );
        match self.bits {
            2 => lines.extend(self.join::<2>(&codes, 0)),
            8 => lines.extend(codes.map(CodeLine)),
            _ => lines.extend(self.join::<4>(&codes, 0)),
        }
        if self.bits == 6 {
            lines.extend(self.join::<2>(&codes, 4));
        }
        if self.fifths() {
            fifths.push(eight_of(
                #[inline(always)]
                |i| codes[i].iter().rev().fold(0, |bits, code| bits << 1 | u64::from(code >> 4)),
            ));
        }
    }

    /// Packs `WIDTH` bits of all codes, from bit `from` on, into `WIDTH` lines.
    #[inline(always)]
    fn join<const WIDTH: usize>(&self, codes: &[[u8; 64]; 8], from: u32) -> [CodeLine; WIDTH] {
        let mut lines = [CodeLine([0; 64]); WIDTH];
        for (i, codes) in codes.iter().enumerate() {
            let (line, shift) = self.place(WIDTH, i);
            for (packed, code) in lines[line].0.iter_mut().zip(codes) {
                *packed |= (code >> from & ((1 << WIDTH) - 1)) << shift;
            }
        }
        lines
    }

    /// The packed line of unpacked line `i` at `width` bits a code, and the lowest of these bits.
    #[inline(always)]
    const fn place(&self, width: usize, i: usize) -> (usize, u32) {
        let (line, part) = if self.in_place() {
            // the same columns in the same bits, so that their sums can be added
            (i % width, i / width)
        } else {
            (i * width / 8, i % (8 / width))
        };
        (line, (width * part) as u32)
    }

    /// The codes of values raised by 128.
    #[inline(always)]
    fn codes(&self, values: &[u8; 64]) -> [u8; 64] {
        let mut codes = [0; 64];
        if self.consecutive {
            for (code, value) in codes.iter_mut().zip(values) {
                *code = value.wrapping_sub(self.levels[0]);
            }
            return codes;
        }
        for level in &self.levels[1..1 << self.bits] {
            for (code, value) in codes.iter_mut().zip(values) {
                *code += u8::from(value >= level);
            }
        }
        codes
    }

    /// Unpacks a group: to values as [`Lanes`] has them, or to codes.
    #[inline(always)]
    pub(super) fn unpack<V: Lanes>(
        &self,
        v: V,
        codes: PackedCodes<'_>,
        as_codes: bool,
    ) -> [V::Wide; 8] {
        let levels = v.load_lanes(match (as_codes, V::ALL_UNSIGNED) {
            (true, _) => &NUMBERS,
            (false, true) => &self.levels,
            (false, false) => &self.signed_levels,
        });
        let PackedCodes { lines, fifths } = codes;
        eight_of(
            #[inline(always)]
            |i| {
                match self.bits {
                    2 => v.add_base(v.mask_lanes(self.bits_of(v, lines, 2, i), 3), levels),
                    4 if self.consecutive => {
                        v.add_base(v.mask_lanes(self.bits_of(v, lines, 4, i), 15), levels)
                    }
                    4 => v.look_up_lanes(levels, self.bits_of(v, lines, 4, i)),
                    5 => v.look_up_fives(levels, self.bits_of(v, lines, 4, i), fifths[i]),
                    6 => {
                        let (index, shift) = self.place(2, i);
                        // move the upper two bits to bits 4 and 5 of each byte
                        let high = v.rotate_lanes(line(v, lines, 4 + index), (28 + shift) % 32);
                        v.look_up_sixes(levels, self.bits_of(v, lines, 4, i), high)
                    }
                    _ => v.add_base(line(v, lines, i), levels),
                }
            },
        )
    }

    /// The packed line of unpacked line `i`, rotated so that its codes are in the lowest bits.
    #[inline(always)]
    fn bits_of<V: Lanes>(&self, v: V, lines: &[CodeLine], width: usize, i: usize) -> V::Wide {
        let (index, shift) = self.place(width, i);
        v.rotate_lanes(line(v, lines, index), shift)
    }

    /// The correction of a product with one vector for each unit of the sum of activations: minus
    /// what the multiplied bytes are raised by.
    pub(super) const fn raised_by<V: Lanes>(&self) -> i32 {
        match (self.multiplied_as_codes(), V::ALL_UNSIGNED) {
            (true, _) => self.levels[0] as i32 - 128,
            (false, true) => -128,
            (false, false) => 0,
        }
    }

    /// Whether products with one vector multiply codes rather than values.
    const fn multiplied_as_codes(&self) -> bool {
        self.consecutive && self.bits < 8
    }

    /// Whether codes are multiplied where they lie in their bytes, given unsigned multiplication.
    const fn in_place(&self) -> bool {
        self.consecutive && self.bits <= 4
    }

    /// Whether products of sixteen columns fit into 16 bits.
    pub(super) const fn fits_words(&self) -> bool {
        self.consecutive && self.bits == 2
    }

    /// Returns the integer dot products of a group with 32 activations, plus `offsets`: of the
    /// first sixteen columns, and of the others.
    #[inline(always)]
    pub(super) fn dot<V: Lanes>(
        &self,
        v: V,
        codes: PackedCodes<'_>,
        activations: &[[i8; 4]; 8],
        offsets: [i32; 2],
    ) -> [V::Wide; 2] {
        if !V::ALL_UNSIGNED || !self.in_place() {
            let as_codes = self.multiplied_as_codes();
            let values = self.unpack(v, codes, as_codes);
            let mut sums = [v.splat_lanes(offsets[0]), v.splat_lanes(offsets[1])];
            for i in 0..8 {
                let sum = sums[i / 4];
                sums[i / 4] = if as_codes {
                    v.dot_codes(sum, values[i], number(activations, i))
                } else {
                    v.dot_values(sum, values[i], number(activations, i))
                };
            }
            return sums;
        }
        let lines = codes.lines;
        let mut sums = [v.splat_lanes(offsets[0]), v.splat_lanes(offsets[1])];
        if self.bits == 4 {
            let mut high = v.splat_lanes(0);
            for i in 0..4 {
                sums[0] = v.dot_codes(
                    sums[0],
                    v.mask_lanes(line(v, lines, i), 15),
                    number(activations, i),
                );
                high = v.dot_codes(
                    high,
                    v.mask_lanes(line(v, lines, i), 15 << 4),
                    number(activations, 4 + i),
                );
            }
            sums[1] = v.add_lanes(sums[1], v.shift_lanes(high, 4));
            return sums;
        }
        let zero = v.splat_lanes(0);
        let mut parts = [sums[0], zero, zero, zero];
        for i in 0..2 {
            parts[0] =
                v.dot_codes(parts[0], v.mask_lanes(line(v, lines, i), 3), number(activations, i));
            parts[1] = v.dot_codes(
                parts[1],
                v.mask_lanes(line(v, lines, i), 3 << 2),
                number(activations, 2 + i),
            );
            parts[2] = v.dot_codes(
                parts[2],
                v.mask_lanes(line(v, lines, i), 3 << 4),
                number(activations, 4 + i),
            );
            parts[3] = v.dot_codes(
                parts[3],
                v.mask_lanes(line(v, lines, i), 3 << 6),
                number(activations, 6 + i),
            );
        }
        let low = v.add_lanes(parts[0], v.shift_lanes(parts[1], 2));
        let high = v.add_lanes(v.shift_lanes(parts[2], 4), v.shift_lanes(parts[3], 6));
        [low, v.add_lanes(sums[1], high)]
    }
}

#[inline(always)]
fn line<V: Lanes>(v: V, lines: &[CodeLine], index: usize) -> V::Wide {
    v.load_lanes(&lines[index].0)
}

/// Four activations as a little-endian number.
#[inline(always)]
fn number(activations: &[[i8; 4]; 8], index: usize) -> u32 {
    u32::from_le_bytes(activations[index].map(i8::cast_unsigned))
}

/// Levels raised by 128, sorted, and repeated four times.
const fn raised(levels: [i8; 16]) -> [u8; 64] {
    let mut raised = [0; 64];
    let mut index = 0;
    while index < 16 {
        let level = levels[index].cast_unsigned() ^ 128;
        let mut place = index;
        while place > 0 && raised[place - 1] > level {
            raised[place] = raised[place - 1];
            place -= 1;
        }
        raised[place] = level;
        index += 1;
    }
    while index < 64 {
        raised[index] = raised[index - 16];
        index += 1;
    }
    raised
}

//! Codes of packed weights: few bits for each, in the order in which panels of sixteen rows are multiplied.
//!
//! A group is 32 columns of sixteen rows: eight lines of four codes of each row. Packed, a line of 64 bytes holds the
//! codes of as many lines as fit, the first in the lowest bits.

use super::codes::eight_of;
use crate::isa::Lanes;

/// 64 bytes that do not lie across two lines of the cache.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Line(pub(crate) [u8; 64]);

/// How the codes of a type are packed.
#[derive(Clone, Copy)]
pub(crate) struct Packing {
    /// Bits of a code: 2, 4 or 5.
    bits: u32,
    /// The values of the codes raised by 128, in order, repeated; the first of 32 consecutive ones if a code has 5 bits.
    levels: [u8; 64],
}

impl Packing {
    /// Codes of 2 bits for four values.
    pub(crate) const fn pairs(levels: [i8; 4]) -> Self {
        Self { bits: 2, levels: raised(levels) }
    }

    /// Codes of 4 bits for sixteen values.
    pub(crate) const fn nibbles(levels: [i8; 16]) -> Self {
        Self { bits: 4, levels: raised(levels) }
    }

    /// Codes of 4 bits for up to eight magnitudes and their negatives.
    pub(crate) const fn signed(magnitudes: &[u8]) -> Self {
        let mut levels = [0; 16];
        let mut index = 0;
        while index < 8 {
            // those that are missing are the last once more
            let last = if index < magnitudes.len() { index } else { magnitudes.len() - 1 };
            levels[index] = magnitudes[last].cast_signed();
            levels[15 - index] = -levels[index];
            index += 1;
        }
        Self::nibbles(levels)
    }

    /// Codes of 5 bits for 32 consecutive values.
    pub(crate) const fn fives(least: i8) -> Self {
        Self { bits: 5, levels: raised([least]) }
    }

    /// Lines of a group.
    pub(crate) const fn lines(&self) -> usize {
        if self.bits == 2 { 2 } else { 4 }
    }

    /// Whether fifth bits are kept apart.
    pub(crate) const fn fifths(&self) -> bool {
        self.bits == 5
    }

    /// Append a group of values raised by 128.
    #[inline(always)]
    pub(super) fn pack(
        &self,
        group: &[[u8; 64]; 8],
        lines: &mut Vec<Line>,
        bits: &mut Vec<[u64; 8]>,
    ) {
        let codes = eight_of(
            #[inline(always)]
            |i| self.codes(&group[i]),
        );
        let (each, width) = if self.bits == 2 { (4, 2) } else { (2, 4) };
        for codes in codes.chunks_exact(each) {
            let mut line = [0; 64];
            for (part, codes) in codes.iter().enumerate() {
                for (packed, code) in line.iter_mut().zip(codes) {
                    *packed |= (code & 15) << (width * part);
                }
            }
            lines.push(Line(line));
        }
        if self.fifths() {
            bits.push(eight_of(
                #[inline(always)]
                |i| codes[i].iter().rev().fold(0, |bits, code| bits << 1 | u64::from(code >> 4)),
            ));
        }
    }

    /// The codes of values raised by 128.
    #[inline(always)]
    fn codes(&self, values: &[u8; 64]) -> [u8; 64] {
        let mut codes = [0; 64];
        if self.bits == 5 {
            for (code, value) in codes.iter_mut().zip(values) {
                *code = value.wrapping_sub(self.levels[0]) & 31;
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

    /// The values of a group, raised by 128.
    #[inline(always)]
    pub(super) fn unpack<V: Lanes>(&self, v: V, lines: &[Line], bits: &[u64; 8]) -> [V::Wide; 8] {
        let levels = v.load_lanes(&self.levels);
        eight_of(
            #[inline(always)]
            |i| match self.bits {
                2 => v.look_up_lanes(
                    levels,
                    v.shift_lanes(v.load_lanes(&lines[i / 4].0), 2 * (i as u32 % 4)),
                ),
                4 => v.look_up_lanes(
                    levels,
                    v.shift_lanes(v.load_lanes(&lines[i / 2].0), 4 * (i as u32 % 2)),
                ),
                _ => v.add_fifths(
                    v.shift_lanes(v.load_lanes(&lines[i / 2].0), 4 * (i as u32 % 2)),
                    levels,
                    bits[i],
                ),
            },
        )
    }
}

/// Levels in order, raised by 128 and repeated.
const fn raised<const LEVELS: usize>(levels: [i8; LEVELS]) -> [u8; 64] {
    let mut raised = [0; 64];
    let mut index = 0;
    while index < LEVELS {
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
        raised[index] = raised[index - LEVELS];
        index += 1;
    }
    raised
}

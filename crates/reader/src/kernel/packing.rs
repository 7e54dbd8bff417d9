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
    /// Bits of a code: 2, 4, 5, 6 or 8.
    bits: u32,
    /// The values of the codes raised by 128, in order, repeated; from 5 bits on they are consecutive.
    levels: [u8; 64],
}

/// Where the codes of a group lie.
#[derive(Clone, Copy)]
pub(super) struct Codes<'a> {
    pub(super) lines: &'a [Line],
    /// The fifth bits of the eight lines, if codes have 5.
    pub(super) fifths: &'a [u64; 8],
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

    /// Codes of 5, 6 or 8 bits for consecutive values.
    pub(crate) const fn consecutive(bits: u32, least: i8) -> Self {
        let mut levels = [0; 64];
        let mut index = 0;
        while index < 64 {
            levels[index] = (least.cast_unsigned() ^ 128).wrapping_add(index as u8);
            index += 1;
        }
        Self { bits, levels }
    }

    /// Lines of a group, without fifth bits.
    pub(crate) const fn lines(&self) -> usize {
        match self.bits {
            2 => 2,
            6 => 6,
            8 => 8,
            _ => 4,
        }
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
        fifths: &mut Vec<[u64; 8]>,
    ) {
        let codes = eight_of(
            #[inline(always)]
            |i| self.codes(&group[i]),
        );
        match self.bits {
            2 => lines.extend(codes.chunks(4).map(|codes| join(codes, 0, 2))),
            8 => lines.extend(codes.map(Line)),
            _ => lines.extend(codes.chunks(2).map(|codes| join(codes, 0, 4))),
        }
        if self.bits == 6 {
            lines.extend(codes.chunks(4).map(|codes| join(codes, 4, 2)));
        }
        if self.fifths() {
            fifths.push(eight_of(
                #[inline(always)]
                |i| codes[i].iter().rev().fold(0, |bits, code| bits << 1 | u64::from(code >> 4)),
            ));
        }
    }

    /// The codes of values raised by 128.
    #[inline(always)]
    fn codes(&self, values: &[u8; 64]) -> [u8; 64] {
        let mut codes = [0; 64];
        if self.bits > 4 {
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

    /// The values of a group, raised by 128.
    #[inline(always)]
    pub(super) fn unpack<V: Lanes>(&self, v: V, codes: Codes<'_>) -> [V::Wide; 8] {
        let levels = v.load_lanes(&self.levels);
        let Codes { lines, fifths } = codes;
        eight_of(
            #[inline(always)]
            |i| {
                let (pair, quarter) = (i as u32 % 2, i as u32 % 4);
                let line = |index: usize| v.load_lanes(&lines[index].0);
                match self.bits {
                    2 => v.look_up_lanes(levels, v.rotate_lanes(line(i / 4), 2 * quarter)),
                    4 => v.look_up_lanes(levels, v.rotate_lanes(line(i / 2), 4 * pair)),
                    5 => v.look_up_fives(levels, v.rotate_lanes(line(i / 2), 4 * pair), fifths[i]),
                    6 => {
                        // bits 4 and 5 of each byte
                        let high = v.rotate_lanes(line(4 + i / 4), (28 + 2 * quarter) % 32);
                        v.look_up_sixes(levels, v.rotate_lanes(line(i / 2), 4 * pair), high)
                    }
                    _ => line(i),
                }
            },
        )
    }
}

/// Bits of codes from `from` on in one line, those of the first code lowest.
#[inline(always)]
fn join(codes: &[[u8; 64]], from: u32, width: usize) -> Line {
    let mut line = [0; 64];
    for (part, codes) in codes.iter().enumerate() {
        for (packed, code) in line.iter_mut().zip(codes) {
            *packed |= (code >> from & ((1 << width) - 1)) << (width * part);
        }
    }
    Line(line)
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

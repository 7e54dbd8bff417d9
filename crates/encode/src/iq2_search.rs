//! The search for the codes of sub-blocks of 16 values, shared by IQ2_XS and IQ2_S.
//!
//! A sub-block is two groups of 8 magnitudes with weights. The search tries 19 scales around the
//! one that maps the largest magnitude to the largest level. Each trial rounds the magnitudes to
//! levels and moves groups that are not codebook entries to the best nearby entry. The codes with
//! the largest `(sum w q x)^2 / (sum w q^2)` win: with the scale `(sum w q x) / (sum w q^2)` they
//! have the least weighted squared error. Groups that were moved to an entry are then rounded once
//! more with that scale.

use super::neighbours::{Neighbours, level, pack};
use super::round::to_even;
use super::super_block::tile;

/// Sub-blocks of a super-block, which are searched together, one in each lane.
pub(super) const LANES: usize = 16;
/// Values of a sub-block.
pub(super) const LEN: usize = 16;
/// The levels' values, in units of the scale.
pub(super) const LEVELS: [f32; 3] = [1.0, 3.0, 5.0];
/// The trial scales: the largest magnitude becomes `5 + step / 10`.
const STEPS: std::ops::RangeInclusive<i8> = -9..=9;

/// The input of the search: the sub-blocks of a super-block.
#[derive(Clone, Copy, Debug)]
pub(super) struct SubBlocks {
    /// The values without their signs. A magnitude is negative where parity forced the wrong sign.
    magnitudes: [[f32; LEN]; LANES],
    /// Their weights.
    weights: [[f32; LEN]; LANES],
}

/// The codes of a sub-block.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// The scale, not negative (NaN only for values beyond any range).
    pub(super) scale: f32,
    /// A packed entry of the codebook for each group.
    pub(super) entries: [u16; 2],
    /// Whether the scale came out negative and was negated: all signs must then be inverted as
    /// well.
    pub(super) negated: bool,
}

/// Searches each sub-block, in plain scalar code; `None` where no magnitude reaches `smallest`.
pub(super) fn search_by_definition<const TILE: usize>(
    codebook: &Neighbours<TILE>,
    sub_blocks: &SubBlocks,
    smallest: f32,
) -> [Option<Found>; LANES] {
    let SubBlocks { magnitudes, weights } = sub_blocks;
    std::array::from_fn(|i| search_one(codebook, &magnitudes[i], &weights[i], smallest))
}

fn search_one<const TILE: usize>(
    codebook: &Neighbours<TILE>,
    x: &[f32; LEN],
    w: &[f32; LEN],
    smallest: f32,
) -> Option<Found> {
    let roots = w.map(f32::sqrt);
    let max = x.iter().fold(x[0], |max, x| if max > *x { max } else { *x });
    if max < smallest {
        return None;
    }
    let nearest = |k: usize, point, scale| {
        let group = 8 * k..8 * k + 8;
        codebook.nearest_by_definition(point, scale, &LEVELS, &x[group.clone()], &roots[group])
    };

    let (mut best, mut scale) = (0.0, max / 5.0);
    let (mut entries, mut moved) = ([0; 2], [false; 2]);
    for step in STEPS {
        let inverse = (5.0 + f32::from(step) * 0.1) / max;
        let mut trial = [0; 2];
        let mut trial_moved = [false; 2];
        for k in 0..2 {
            trial[k] = round(&x[8 * k..], inverse);
            if !codebook.is_entry(trial[k]) {
                trial[k] = nearest(k, trial[k], 1.0 / inverse);
                trial_moved[k] = true;
            }
        }
        let (sum_qx, sum_q2) = sums(x, w, &trial);
        if sum_q2 > 0.0 && sum_qx * sum_qx > best * sum_q2 {
            scale = sum_qx / sum_q2;
            best = scale * sum_qx;
            (entries, moved) = (trial, trial_moved);
        }
    }

    if moved.contains(&true) && scale > 0.0 {
        let inverse = 1.0 / scale;
        for k in 0..2 {
            if moved[k] {
                entries[k] = round(&x[8 * k..], inverse);
                if !codebook.is_entry(entries[k]) {
                    entries[k] = nearest(k, entries[k], scale);
                }
            }
        }
        let (sum_qx, sum_q2) = sums(x, w, &entries);
        if sum_q2 > 0.0 {
            scale = sum_qx / sum_q2;
        }
    }
    Some(Found { scale: scale.abs(), entries, negated: scale < 0.0 })
}

/// Rounds 8 magnitudes to levels.
pub(super) fn round(magnitudes: &[f32], inverse: f32) -> u16 {
    (0..8).fold(0, |packed, i| {
        let level = to_even(0.5 * (inverse * magnitudes[i] - 1.0)).clamp(0, 2);
        packed | (level as u16) << (2 * i)
    })
}

/// Returns the weighted sums of `q * x` and `q * q` over a sub-block.
pub(super) fn sums(x: &[f32], w: &[f32], entries: &[u16]) -> (f32, f32) {
    let (mut sum_qx, mut sum_q2) = (0.0, 0.0);
    for i in 0..x.len() {
        let q = LEVELS[level(entries[i / 8], i % 8)];
        sum_qx += w[i] * x[i] * q;
        sum_q2 += w[i] * q * q;
    }
    (sum_qx, sum_q2)
}

/// Builds the codebook with lists of `shells` shells. The values of an entry are about 8 times
/// those of the levels.
pub(super) fn neighbours<const TILE: usize>(grid: &[[u8; 8]], shells: usize) -> Neighbours<TILE> {
    let entries: Vec<u16> = grid.iter().map(|entry| pack(entry.map(|value| value / 16))).collect();
    Neighbours::new(&entries, shells)
}

/// Splits a super-block into sub-blocks. `split` returns the signs and magnitudes of a group of
/// values with their weights.
#[inline(always)]
pub(super) fn sub_blocks(
    values: &[f32; 256],
    weights: &[f32; 256],
    split: impl Fn(&[f32; 8], &[f32; 8]) -> (u8, [f32; 8]),
) -> ([u8; 32], SubBlocks) {
    let mut signs = [0; 32];
    let (mut magnitudes, mut weight_rows) = ([[0.0; LEN]; LANES], [[0.0; LEN]; LANES]);
    let (value_groups, weight_groups) = (values.as_chunks::<8>().0, weights.as_chunks::<8>().0);
    for group in 0..32 {
        let (sub_block, start) = (group / 2, 8 * (group % 2));
        let split = split(&value_groups[group], &weight_groups[group]);
        signs[group] = split.0;
        magnitudes[sub_block][start..][..8].copy_from_slice(&split.1);
        weight_rows[sub_block][start..][..8].copy_from_slice(&weight_groups[group]);
    }
    (signs, SubBlocks { magnitudes, weights: weight_rows })
}

/// Returns the groups' indices and signs as they are stored; zeros for sub-blocks without codes.
#[inline(always)]
pub(super) fn groups<const TILE: usize>(
    codebook: &Neighbours<TILE>,
    signs: [u8; 32],
    found: &[Option<Found>; LANES],
) -> ([u16; 32], [u8; 32]) {
    let index = |i: usize| found[i / 2].map_or(0, |found| codebook.index(found.entries[i % 2]));
    let sign = |i: usize| match found[i / 2] {
        Some(Found { negated: true, .. }) => !signs[i],
        Some(_) => signs[i],
        None => 0,
    };
    (std::array::from_fn(index), std::array::from_fn(sign))
}

/// Flag in a word with a packed point: the group was moved to this entry.
const MOVED: u32 = 1 << 16;

/// A number for each sub-block.
pub(super) type Lanes = [f32; LANES];

/// Finds the same codes as [`search_by_definition`], for the 16 sub-blocks of a super-block at
/// once.
#[inline(always)]
pub(super) fn search<const TILE: usize>(
    codebook: &Neighbours<TILE>,
    sub_blocks: &SubBlocks,
    smallest: f32,
) -> [Option<Found>; LANES] {
    let SubBlocks { magnitudes, weights } = sub_blocks;
    let roots = weights.map(|weights| weights.map(f32::sqrt));
    let (x, w) = (transpose(magnitudes), transpose(weights));
    let mut wx = [[0.0; LANES]; LEN];
    for i in 0..LEN {
        for lane in 0..LANES {
            wx[i][lane] = w[i][lane] * x[i][lane];
        }
    }
    let max = max_lanes(&x);
    let mut empty = 0_u16;
    for (lane, max) in max.iter().enumerate() {
        empty |= u16::from(*max < smallest) << lane;
    }
    let mut best = [0.0; LANES];
    let mut scale: Lanes = max.map(|max| max / 5.0);
    let mut entries = [[0_u32; LANES]; 2];
    for step in STEPS {
        let factor = 5.0 + f32::from(step) * 0.1;
        let inverse: Lanes = max.map(|max| factor / max);
        let trial_scale: Lanes = inverse.map(|inverse| 1.0 / inverse);
        let mut trial: [_; 2] = round_lanes(&x, &inverse);
        for (k, points) in trial.iter_mut().enumerate() {
            settle(codebook, k, magnitudes, &roots, &trial_scale, !empty, points);
        }
        let (sum_qx, sum_q2) = sum_lanes(&wx, &w, &trial);
        accept(&sum_qx, &sum_q2, &trial, &mut scale, &mut best, &mut entries);
    }

    let mut again = [0; 2];
    for lane in 0..LANES {
        for k in 0..2 {
            let moved = (scale[lane] > 0.0) & (entries[k][lane] & MOVED != 0);
            again[k] |= u16::from(moved) << lane;
        }
    }
    if again != [0; 2] {
        let inverse: Lanes = scale.map(|scale| 1.0 / scale);
        let mut points: [_; 2] = round_lanes(&x, &inverse);
        for k in 0..2 {
            settle(codebook, k, magnitudes, &roots, &scale, again[k], &mut points[k]);
            for lane in 0..LANES {
                if again[k] >> lane & 1 == 1 {
                    entries[k][lane] = points[k][lane];
                }
            }
        }
        let (sum_qx, sum_q2) = sum_lanes(&wx, &w, &entries);
        for lane in 0..LANES {
            let again = (again[0] | again[1]) >> lane & 1 == 1;
            if again && sum_q2[lane] > 0.0 {
                scale[lane] = sum_qx[lane] / sum_q2[lane];
            }
        }
    }
    std::array::from_fn(|lane| {
        (empty >> lane & 1 == 0).then(|| Found {
            scale: scale[lane].abs(),
            entries: [entries[0][lane] as u16, entries[1][lane] as u16],
            negated: scale[lane] < 0.0,
        })
    })
}

/// Moves group `k` of the sub-blocks in `lanes` (a bit for each) to a codebook entry unless it is
/// one, and marks moved groups with [`MOVED`]. `values` and `roots` are the sub-blocks' magnitudes
/// and the square roots of their weights.
#[inline(always)]
pub(super) fn settle<const N: usize, const TILE: usize>(
    codebook: &Neighbours<TILE>,
    k: usize,
    values: &[[f32; N]; LANES],
    roots: &[[f32; N]; LANES],
    scale: &Lanes,
    lanes: u16,
    points: &mut [u32; LANES],
) {
    // First collects the lanes, without branches, which no processor could predict; then does the
    // work.
    let (mut which, mut count) = ([0; LANES], 0);
    for (lane, point) in points.iter().enumerate() {
        which[count % LANES] = lane;
        let moves = (lanes >> lane & 1 == 1) & !codebook.is_entry(*point as u16);
        count += usize::from(moves);
    }
    for &lane in &which[..count] {
        let values = values[lane][8 * k..].first_chunk().expect("a group of 8");
        let roots = roots[lane][8 * k..].first_chunk().expect("a group of 8");
        let point = points[lane] as u16;
        let entry = codebook.nearest(point, scale[lane], &LEVELS, values, roots);
        points[lane] = u32::from(entry) | MOVED;
    }
}

/// Stores the trial codes of the sub-blocks where they are better than the best.
#[inline(always)]
pub(super) fn accept<const GROUPS: usize>(
    sum_qx: &Lanes,
    sum_q2: &Lanes,
    trial: &[[u32; LANES]; GROUPS],
    scale: &mut Lanes,
    best: &mut Lanes,
    entries: &mut [[u32; LANES]; GROUPS],
) {
    // All bits are set where the trial is better: selecting whole words vectorizes.
    let mut better = [0_u32; LANES];
    for lane in 0..LANES {
        let accept =
            (sum_q2[lane] > 0.0) & (sum_qx[lane] * sum_qx[lane] > best[lane] * sum_q2[lane]);
        better[lane] = if accept { u32::MAX } else { 0 };
    }
    for lane in 0..LANES {
        let new = sum_qx[lane] / sum_q2[lane];
        let score = new * sum_qx[lane];
        scale[lane] = if better[lane] != 0 { new } else { scale[lane] };
        best[lane] = if better[lane] != 0 { score } else { best[lane] };
    }
    for (entries, trial) in entries.iter_mut().zip(trial) {
        for lane in 0..LANES {
            entries[lane] = trial[lane] & better[lane] | entries[lane] & !better[lane];
        }
    }
}

/// Transposes values so that each sub-block is a lane.
#[inline(always)]
pub(super) fn transpose<const N: usize>(values: &[[f32; N]; LANES]) -> [Lanes; N] {
    let mut lanes = [[0.0; LANES]; N];
    tile::transpose(&values.each_ref(), &mut lanes);
    lanes
}

/// Returns the largest value in each lane.
#[inline(always)]
pub(super) fn max_lanes(x: &[Lanes]) -> Lanes {
    let mut max = x[0];
    for row in &x[1..] {
        for lane in 0..LANES {
            max[lane] = if max[lane] > row[lane] { max[lane] } else { row[lane] };
        }
    }
    max
}

/// Like [`round`], for the `GROUPS` groups of all sub-blocks.
#[inline(always)]
pub(super) fn round_lanes<const GROUPS: usize>(
    x: &[Lanes],
    inverse: &Lanes,
) -> [[u32; LANES]; GROUPS] {
    let mut packed = [[0; LANES]; GROUPS];
    for (i, x) in x.iter().enumerate() {
        for lane in 0..LANES {
            let level = to_even(0.5 * (inverse[lane] * x[lane] - 1.0)).clamp(0, 2);
            packed[i / 8][lane] |= (level as u32) << (2 * (i % 8));
        }
    }
    packed
}

/// Like [`sums`], for all sub-blocks. `wx` is weight times magnitude.
#[inline(always)]
pub(super) fn sum_lanes(wx: &[Lanes], w: &[Lanes], entries: &[[u32; LANES]]) -> (Lanes, Lanes) {
    let (mut sum_qx, mut sum_q2) = ([0.0; LANES], [0.0; LANES]);
    for (i, (wx, w)) in wx.iter().zip(w).enumerate() {
        for lane in 0..LANES {
            let level = entries[i / 8][lane] >> (2 * (i % 8)) & 3;
            let q = (2 * level as i32 + 1) as f32;
            sum_qx[lane] += wx[lane] * q;
            sum_q2[lane] += w[lane] * q * q;
        }
    }
    (sum_qx, sum_q2)
}

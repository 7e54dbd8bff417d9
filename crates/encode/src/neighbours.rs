//! Search structures for the codebooks with groups of 8 values (IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS,
//! IQ2_S).
//!
//! A group of 8 values has one of 3 levels for each value: 6561 points in all, and few of them are
//! in a codebook. The encoders first round a group to a point. If the point is not an entry, they
//! choose among the entries around it: those in the nearest *shells*, where a shell is all entries
//! at the same (squared) distance from the point, counted in levels. These lists depend only on the
//! codebook. They are built in a few milliseconds when an encoder is first used, which keeps about
//! 2 MB out of the program. In most lists only a part, the *rivals*, can win while the values of
//! the group are nearest to the levels of the point.
//!
//! Points and entries are *packed*: level `i` is bits `2 * i` and `2 * i + 1` of 16.

use super::grid_search::CLEAR;
use super::super_block::lanes::select;

/// One more than the largest packed point, eight times level 2.
const POINTS: usize = 0b10_10_10_10_10_10_10_10 + 1;

/// Marks points without a list: the entries themselves, and patterns that are not points.
const NO_LIST: List = List { first: 0, tiles: 0, rivals: 0 };

/// A codebook and the entries around every point. `TILE` candidates are compared at once: 16 is
/// best for long lists, 8 for short ones.
#[derive(Debug)]
pub(super) struct Neighbours<const TILE: usize> {
    /// The location of the list of each point.
    lists: Box<[List]>,
    /// The lists. Each is sorted by distance, then by index, and is followed by its rivals in the
    /// same order. A list is padded to whole tiles with its first entry, which cannot win a
    /// comparison that it has not already won.
    tiles: Vec<[u16; TILE]>,
    /// The index of each point that is an entry.
    indices: Box<[u16]>,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    /// Number of tiles of all entries.
    tiles: u16,
    /// Number of tiles of the rivals, which follow.
    rivals: u16,
}

/// The cost of each of a group's 8 values at each of the 3 levels.
type Costs = [[f32; 8]; 3];

impl<const TILE: usize> Neighbours<TILE> {
    /// Builds the lists of the nearest `shells` shells for a codebook of packed entries.
    pub(super) fn new(entries: &[u16], shells: usize) -> Self {
        let mut indices = vec![u16::MAX; POINTS].into_boxed_slice();
        for (index, entry) in (0..).zip(entries) {
            indices[usize::from(*entry)] = index;
        }
        let mut lists = vec![NO_LIST; POINTS].into_boxed_slice();
        let mut tiles = Vec::new();
        let halves = half_distances();
        let ways = half_ways();
        let mut list = Vec::with_capacity(entries.len());
        let mut rivals = Vec::with_capacity(entries.len());
        let mut distances = vec![0_u8; entries.len()];
        for point in (0..3_usize.pow(8)).map(point) {
            if indices[usize::from(point)] != u16::MAX {
                continue;
            }
            list.clear();
            nearest_shells(point, entries, shells, &halves, &mut distances, &mut list);
            choose_rivals(point, &list, &ways, &mut rivals);
            let first = u32::try_from(tiles.len()).expect("fewer tiles than points times entries");
            let mut push = |list: &[u16]| {
                for candidates in list.chunks(TILE) {
                    let mut tile = [list[0]; TILE];
                    tile[..candidates.len()].copy_from_slice(candidates);
                    tiles.push(tile);
                }
                u16::try_from(list.len().div_ceil(TILE)).expect("at most all 2048 entries")
            };
            let all = push(&list);
            let rivals = push(&rivals);
            lists[usize::from(point)] = List { first, tiles: all, rivals };
        }
        Self { lists, tiles, indices }
    }

    /// Returns whether a point is an entry of the codebook.
    #[inline(always)]
    pub(super) fn is_entry(&self, point: u16) -> bool {
        self.lists[usize::from(point)].tiles == 0
    }

    /// Returns the index of a point that is an entry.
    #[inline(always)]
    pub(super) fn index(&self, entry: u16) -> u16 {
        self.indices[usize::from(entry)]
    }

    /// Returns the entry around a point with the least cost, the first of several: the definition.
    /// If no cost is below the largest number (values beyond any range), returns the first in the
    /// list.
    ///
    /// A cost is the sum over the values, from the first to the last, of
    /// `weight * (scale * level - value)^2`.
    pub(super) fn nearest_by_definition(
        &self,
        point: u16,
        scale: f32,
        levels: &[f32; 3],
        values: &[f32],
        weights: &[f32],
    ) -> u16 {
        let list = self.list(point);
        let (mut best, mut least) = (list[0][0], f32::MAX);
        for entry in list.as_flattened() {
            let mut sum = 0.0;
            for i in 0..8 {
                let difference = scale * levels[level(*entry, i)] - values[i];
                sum += weights[i] * difference * difference;
            }
            if sum < least {
                (best, least) = (*entry, sum);
            }
        }
        best
    }

    /// Returns the entries around a point.
    #[inline(always)]
    fn list(&self, point: u16) -> &[[u16; TILE]] {
        let List { first, tiles, .. } = self.lists[usize::from(point)];
        &self.tiles[first as usize..][..usize::from(tiles)]
    }

    /// Returns whether a point has fewer tiles of rivals than of entries around it.
    #[inline(always)]
    fn has_fewer_rivals(&self, point: u16) -> bool {
        let List { tiles, rivals, .. } = self.lists[usize::from(point)];
        rivals < tiles
    }

    /// Returns the entries that can win where [`is_clear`]. Each of the others is never better than
    /// some entry before it; see [`Grid::rivals`](super::grid_search::Grid::rivals).
    #[inline(always)]
    fn rivals(&self, point: u16) -> &[[u16; TILE]] {
        let List { first, tiles, rivals } = self.lists[usize::from(point)];
        &self.tiles[first as usize + usize::from(tiles)..][..usize::from(rivals)]
    }

    /// Returns the same entry as [`nearest_by_definition`](Self::nearest_by_definition), comparing
    /// a tile of candidates at a time, one in each lane.
    ///
    /// Costs are not negative, so their bits have the same order. Within a lane a later candidate
    /// replaces an earlier one only if it costs less. Among the lanes with the least cost, the one
    /// with the earliest candidate wins: the first in the list.
    #[inline(always)]
    pub(super) fn nearest(
        &self,
        point: u16,
        scale: f32,
        levels: &[f32; 3],
        values: &[f32; 8],
        weights: &[f32; 8],
    ) -> u16 {
        let fewer = self.has_fewer_rivals(point) && is_clear(point, scale, levels, values);
        let list = if fewer { self.rivals(point) } else { self.list(point) };
        let costs = &costs(scale, levels, values, weights);
        let mut least = [f32::MAX.to_bits(); TILE];
        let mut places: [u32; TILE] = [0; TILE];
        for (start, tile) in (0..).step_by(TILE).zip(list) {
            let bits = tile_costs(tile, costs);
            for lane in 0..TILE {
                let better = bits[lane] < least[lane];
                least[lane] = if better { bits[lane] } else { least[lane] };
                places[lane] = if better { start + lane as u32 } else { places[lane] };
            }
        }
        let minimum = minimum(least);
        for lane in 0..TILE {
            places[lane] = if least[lane] == minimum { places[lane] } else { u32::MAX };
        }
        let place = self::minimum(places);
        list.as_flattened()[place as usize]
    }
}

/// Returns the bits of the candidates' costs.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "zipped, it becomes a slow loop of scalar code")]
fn tile_costs<const TILE: usize>(tile: &[u16; TILE], costs: &Costs) -> [u32; TILE] {
    let mut levels = [0_u32; TILE];
    for lane in 0..TILE {
        levels[lane] = tile[lane].into();
    }
    let mut sums = [0.0_f32; TILE];
    for i in 0..8 {
        let (zero, one, two) = (costs[0][i], costs[1][i], costs[2][i]);
        for lane in 0..TILE {
            let low = if levels[lane] & 1 == 0 { zero } else { one };
            sums[lane] += if levels[lane] & 2 == 0 { low } else { two };
            levels[lane] >>= 2;
        }
    }
    sums.map(f32::to_bits)
}

/// Returns the smallest number, reducing by halves so that it vectorizes.
#[inline(always)]
fn minimum<const TILE: usize>(mut numbers: [u32; TILE]) -> u32 {
    let mut half = TILE / 2;
    while half > 0 {
        for i in 0..half {
            numbers[i] = numbers[i].min(numbers[i + half]);
        }
        half /= 2;
    }
    numbers[0]
}

/// Returns whether each value is clearly nearest to the level of the point, or beyond it if that is
/// the first or last level.
///
/// Returns false if the scale is so small that its products with the levels lose precision.
#[inline(always)]
fn is_clear(point: u16, scale: f32, levels: &[f32; 3], values: &[f32; 8]) -> bool {
    let reach = CLEAR * (levels[1] - levels[0]) * scale;
    let [zero, one, two] = levels.map(|level| scale * level);
    let lowest = [f32::NEG_INFINITY, one - reach, two - reach];
    let highest = [zero + reach, one + reach, f32::INFINITY];
    let mut outside = 0;
    for i in 0..8 {
        let point = u32::from(point) >> (2 * i);
        let choose = |of: &[f32; 3]| {
            let low = select(point & 1 == 0, of[0], of[1]);
            select(point & 2 == 0, low, of[2])
        };
        // NaN is outside too
        let inside = (values[i] >= choose(&lowest)) & (values[i] <= choose(&highest));
        outside |= u32::from(!inside);
    }
    (outside == 0) & (scale > 1e-30)
}

/// Computes the [`Costs`] of a group: `weight * (scale * level - value)^2`.
#[inline(always)]
fn costs(scale: f32, levels: &[f32; 3], values: &[f32; 8], weights: &[f32; 8]) -> Costs {
    std::array::from_fn(|level| {
        let level = scale * levels[level];
        std::array::from_fn(|i| {
            let difference = level - values[i];
            weights[i] * difference * difference
        })
    })
}

/// Packs 8 levels.
pub(super) fn pack(levels: [u8; 8]) -> u16 {
    (0..8).fold(0, |packed, i| packed | u16::from(levels[i]) << (2 * i))
}

/// Returns level `i` of a packed point.
#[inline(always)]
pub(super) fn level(packed: u16, i: usize) -> usize {
    usize::from(packed >> (2 * i) & 3)
}

/// Returns the packed point with this number in base 3.
fn point(mut number: usize) -> u16 {
    pack(std::array::from_fn(|_| {
        let level = number % 3;
        number /= 3;
        level as u8
    }))
}

/// Computes the squared distances between two halves of packed points, 4 levels of 2 bits each.
fn half_distances() -> Box<[[u8; 256]; 256]> {
    let mut table = Box::new([[0; 256]; 256]);
    for (a, row) in (0_u16..).zip(table.iter_mut()) {
        for (b, distance) in (0_u16..).zip(row) {
            let square = |i: usize| level(a, i).abs_diff(level(b, i)).pow(2);
            *distance = (0..4).map(square).sum::<usize>() as u8;
        }
    }
    table
}

/// Computes the path from each half of a packed point to each half of an entry, `[point][entry]`,
/// as a set of bits. A nearer entry on the same path has a subset of the bits: none for the level
/// of the point, one for the adjacent level, two for the level after that.
fn half_ways() -> Box<[[u8; 256]; 256]> {
    let mut table = Box::new([[0; 256]; 256]);
    for (point, row) in (0_u16..).zip(table.iter_mut()) {
        for (entry, way) in (0_u16..).zip(row) {
            *way = (0..4).fold(0, |way, i| {
                let bits = match (level(point, i), level(entry, i)) {
                    (a, b) if a == b => 0b00,
                    (0, 2) | (2, 0) => 0b11,
                    (1, 2) => 0b10,
                    _ => 0b01,
                };
                way | bits << (2 * i)
            });
        }
    }
    table
}

/// Collects the rivals: the entries of `list` for which no earlier entry is at least as near to the
/// values of a group in all places.
fn choose_rivals(point: u16, list: &[u16], ways: &[[u8; 256]; 256], rivals: &mut Vec<u16>) {
    let [low, high] = point.to_le_bytes().map(|half| &ways[usize::from(half)]);
    let way = |entry: u16| {
        let [entry_low, entry_high] = entry.to_le_bytes().map(usize::from);
        u16::from_le_bytes([low[entry_low], high[entry_high]])
    };
    rivals.clear();
    let mut chosen = Vec::with_capacity(list.len());
    for &entry in list {
        let own = way(entry);
        if !chosen.iter().fold(false, |any, other| any | (other & !own == 0)) {
            chosen.push(own);
            rivals.push(entry);
        }
    }
}

/// Appends the entries in the nearest shells around a point to `list`, sorted by distance, then by
/// index.
fn nearest_shells(
    point: u16,
    entries: &[u16],
    shells: usize,
    halves: &[[u8; 256]; 256],
    distances: &mut [u8],
    list: &mut Vec<u16>,
) {
    let [low, high] = point.to_le_bytes().map(|half| &halves[usize::from(half)]);
    let mut seen = [false; 33];
    for (entry, distance) in entries.iter().zip(distances.iter_mut()) {
        let [entry_low, entry_high] = entry.to_le_bytes().map(usize::from);
        *distance = low[entry_low] + high[entry_high];
        seen[usize::from(*distance)] = true;
    }
    let nearest = (0_u8..).zip(seen).filter(|(_, seen)| *seen).take(shells);
    for (shell, _) in nearest {
        let members =
            entries.iter().zip(distances.iter()).filter(|(_, distance)| **distance == shell);
        list.extend(members.map(|(entry, _)| *entry));
    }
}

#[cfg(test)]
mod tests {
    use granule_format::block::codebook::iq2_xxs::GRID;

    use super::*;

    fn entries() -> Vec<u16> {
        GRID.iter().map(|entry| pack(entry.map(|value| value / 16))).collect()
    }

    #[test]
    fn lists_hold_the_nearest_shells() {
        let entries = entries();
        let codebook = Neighbours::<16>::new(&entries, 2);
        for point in (0..6561).step_by(7).map(point) {
            let distance = |entry: u16| {
                (0..8).map(|i| level(point, i).abs_diff(level(entry, i)).pow(2)).sum::<usize>()
            };
            let mut shells: Vec<usize> = entries.iter().map(|entry| distance(*entry)).collect();
            shells.sort_unstable();
            shells.dedup();
            assert_eq!(codebook.is_entry(point), shells[0] == 0);
            if shells[0] == 0 {
                assert_eq!(entries[usize::from(codebook.index(point))], point);
                continue;
            }
            let mut expected: Vec<u16> =
                entries.iter().copied().filter(|entry| distance(*entry) <= shells[1]).collect();
            expected.sort_by_key(|entry| distance(*entry));
            let list = codebook.list(point).as_flattened();
            assert_eq!(list[..expected.len()], expected);
            assert!(list[expected.len()..].iter().all(|entry| *entry == expected[0]));
        }
    }

    #[test]
    fn the_nearest_is_that_of_the_definition() {
        let levels = [1.0, 3.0, 5.0];
        let (short, long) =
            (Neighbours::<8>::new(&entries(), 1), Neighbours::<16>::new(&entries(), 3));
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 24
        };
        for point in (0..6561).map(point).filter(|point| !long.is_entry(*point)) {
            // Few distinct values, so that costs are often equal.
            let values: [f32; 8] = std::array::from_fn(|_| random() as f32 / 64.0 - 0.25);
            let weights: [f32; 8] = std::array::from_fn(|_| (random() % 3) as f32);
            for scale in [0.5, 1.0, 1e30, f32::INFINITY, f32::NAN] {
                let expected =
                    short.nearest_by_definition(point, scale, &levels, &values, &weights);
                assert_eq!(short.nearest(point, scale, &levels, &values, &weights), expected);
                let expected = long.nearest_by_definition(point, scale, &levels, &values, &weights);
                assert_eq!(long.nearest(point, scale, &levels, &values, &weights), expected);
            }
        }
    }

    #[test]
    fn rivals_give_the_same_entry_as_all() {
        let codebook = Neighbours::<16>::new(&entries(), 3);
        let mut state = 1_u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        let (mut clear, mut fewer) = (0, 0);
        for levels in [[1.0, 3.0, 5.0], [-0.875, 0.125, 1.125]] {
            for point in (0..6561).map(point).filter(|point| !codebook.is_entry(*point)) {
                let scale = (random(1 << 20) + 1) as f32 * 1e-5;
                let half = 0.5 * (levels[1] - levels[0]);
                // at the edge of the level, near it, or anywhere; sometimes beyond the first or
                // last level
                let values: [f32; 8] = std::array::from_fn(|i| {
                    let off = match random(4) {
                        0 => 0.99998,
                        1 => -0.99998,
                        _ => random(2000) as f32 / 1000.0 - 1.0,
                    };
                    let far = match (level(point, i), random(4)) {
                        (0, 0) if off < 0.0 => 3.0,
                        (2, 0) if off > 0.0 => 3.0,
                        _ => 1.0,
                    };
                    scale * (levels[level(point, i)] + half * off * far)
                });
                let weights: [f32; 8] = std::array::from_fn(|_| (random(8) * random(256)) as f32);
                clear += u32::from(is_clear(point, scale, &levels, &values));
                fewer += codebook.list(point).len() - codebook.rivals(point).len();
                let expected =
                    codebook.nearest_by_definition(point, scale, &levels, &values, &weights);
                assert_eq!(codebook.nearest(point, scale, &levels, &values, &weights), expected);
            }
        }
        assert!(clear > 6000 && fewer > 6000, "{clear} clear, {fewer} tiles fewer");
    }
}

//! The search for the codebook entry nearest to a group of values, shared by the encoders with a
//! codebook of levels.
//!
//! Level `l` stands for the number `2 l + 1`. To encode `N` values with a scale, each value is
//! first rounded to a level on its own. Together the levels name a *cell* around one point. If the
//! codebook has that point, it is the result. Otherwise the result is the best of the cell's
//! *neighbours*: the entries at the few smallest distances from the point, sorted by distance, then
//! by index. The best neighbour has the smallest weighted squared error; among equals the first
//! wins.

/// A codebook with the neighbours of each cell.
#[derive(Debug)]
pub(super) struct Grid<const N: usize> {
    /// Bits of a key per level.
    bits: u32,
    entries: Vec<Entry<N>>,
    /// The cells, indexed by key.
    cells: Vec<Cell>,
    /// The neighbours of all cells.
    lists: Vec<u16>,
}

/// An entry of the codebook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<const N: usize> {
    /// The numbers `2 l + 1` of its levels.
    pub(super) point: [f32; N],
    /// The same numbers as bytes.
    pub(super) numbers: [u8; N],
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    /// The entry at the cell's point, if there is one.
    entry: Option<u16>,
    /// Where its neighbours start in `lists`.
    start: u32,
    /// Number of neighbours.
    neighbours: u16,
    /// Number of [`rivals`](Grid::rivals), which are stored again directly after all neighbours.
    rivals: u16,
}

/// The largest rounding error of a level for which [`Grid::rivals`] suffice.
pub(super) const CLEAR: f32 = 0.499_99;

impl<const N: usize> Grid<N> {
    /// Builds the grid of a codebook whose numbers stand for these levels. The neighbours of a cell
    /// are all entries at the `shells` smallest distances.
    pub(super) fn new(entries: &[[u8; N]], level_values: &[u8], shells: usize) -> Self {
        let level = |value: &u8| {
            let level = level_values.iter().position(|v| v == value).expect("a level's value");
            level as u8
        };
        let bits = level_values.len().next_power_of_two().ilog2();
        let levels: Vec<[u8; N]> =
            entries.iter().map(|entry| std::array::from_fn(|i| level(&entry[i]))).collect();
        let entries = levels
            .iter()
            .map(|levels| levels.map(|level| 2 * level + 1))
            .map(|numbers| Entry { point: numbers.map(f32::from), numbers })
            .collect();
        let no_cell = Cell { entry: None, start: 0, neighbours: 0, rivals: 0 };
        let cells = vec![no_cell; 1 << (bits * N as u32)];
        let mut grid = Self { bits, entries, cells, lists: Vec::new() };
        for (i, levels) in levels.iter().enumerate() {
            let key = grid.key(levels);
            grid.cells[key].entry = Some(i as u16);
        }
        for key in 0..grid.cells.len() {
            let cell: [u8; N] =
                std::array::from_fn(|i| (key >> (bits as usize * i) & ((1 << bits) - 1)) as u8);
            let possible = cell.iter().all(|level| usize::from(*level) < level_values.len());
            if possible && grid.cells[key].entry.is_none() {
                grid.add_neighbours(&levels, key, &cell, shells);
            }
        }
        grid
    }

    fn add_neighbours(&mut self, levels: &[[u8; N]], key: usize, cell: &[u8; N], shells: usize) {
        let distance = |levels: &[u8; N]| -> u32 {
            levels.iter().zip(cell).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
        };
        let distances: Vec<u32> = levels.iter().map(distance).collect();
        let mut nearest = distances.clone();
        nearest.sort_unstable();
        nearest.dedup();
        let limit = nearest[shells.min(nearest.len()) - 1];
        let mut neighbours: Vec<u16> =
            (0..levels.len() as u16).filter(|i| distances[usize::from(*i)] <= limit).collect();
        neighbours.sort_by_key(|i| distances[usize::from(*i)]);

        let mut rivals: Vec<u16> = Vec::new();
        for &i in &neighbours {
            let worse =
                |r: &u16| never_worse(&levels[usize::from(*r)], &levels[usize::from(i)], cell);
            if !rivals.iter().any(worse) {
                rivals.push(i);
            }
        }
        self.cells[key].start = self.lists.len() as u32;
        self.cells[key].neighbours = neighbours.len() as u16;
        self.cells[key].rivals = rivals.len() as u16;
        self.lists.extend(neighbours);
        self.lists.extend(rivals);
    }

    /// Returns the key of the cell with these levels.
    #[inline(always)]
    pub(super) fn key(&self, levels: &[u8; N]) -> usize {
        (0..N).fold(0, |key, i| key | usize::from(levels[i]) << (self.bits as usize * i))
    }

    /// Returns the entry at a cell's point, if there is one.
    #[inline(always)]
    pub(super) fn entry(&self, key: usize) -> Option<u16> {
        self.cells[key].entry
    }

    /// Returns the candidates of a cell that has no entry at its point.
    #[inline(always)]
    pub(super) fn neighbours(&self, key: usize) -> &[u16] {
        let cell = &self.cells[key];
        &self.lists[cell.start as usize..][..usize::from(cell.neighbours)]
    }

    /// Returns the neighbours that can win while no value lies at the edge of its level. Whatever
    /// the weights, each of the others is never better than some neighbour before it.
    ///
    /// Entry A is never worse than entry B if it is not farther from the value in any of the `N`
    /// places. The value is within half a step of the cell's level. So the condition holds in a
    /// place if A has the cell's level, if both are on the same side of it and A is not farther
    /// out, or if they are on different sides and B is farther out by at least a step. Rounding
    /// preserves the order of distances, and so of their weighted squares and sums, but it may move
    /// a value over the edge of its level. The result therefore holds only for values whose
    /// rounding error is at most [`CLEAR`]. That margin is several times what `f32` rounding needs,
    /// except for subnormal numbers. Values beyond the first or last level are always clear.
    #[inline(always)]
    pub(super) fn rivals(&self, key: usize) -> &[u16] {
        let cell = &self.cells[key];
        let start = cell.start as usize + usize::from(cell.neighbours);
        &self.lists[start..][..usize::from(cell.rivals)]
    }

    /// Returns the entry with this index.
    #[inline(always)]
    pub(super) fn at(&self, entry: u16) -> &Entry<N> {
        &self.entries[usize::from(entry)]
    }

    /// Returns the best of some entries for these values: the first with the smallest weighted
    /// squared error. If every error is NaN, returns the first entry.
    ///
    /// # Panics
    /// If there are none.
    #[inline(always)]
    pub(super) fn nearest(
        &self,
        entries: &[u16],
        scale: f32,
        values: &[f32; N],
        weights: &[f32; N],
    ) -> u16 {
        let (mut best, mut least) = (entries[0], f32::MAX);
        for &entry in entries {
            let point = &self.at(entry).point;
            let mut error = 0.0;
            for i in 0..N {
                let difference = scale * point[i] - values[i];
                error += weights[i] * difference * difference;
            }
            if error < least {
                (best, least) = (entry, error);
            }
        }
        best
    }
}

/// Returns whether entry `a` is at least as near as entry `b`, in each place, to all values of a
/// cell.
fn never_worse<const N: usize>(a: &[u8; N], b: &[u8; N], cell: &[u8; N]) -> bool {
    (0..N).all(|i| {
        let (a_off, b_off) = (a[i].abs_diff(cell[i]), b[i].abs_diff(cell[i]));
        let same_side = (a[i] < cell[i]) == (b[i] < cell[i]);
        a_off == 0 || (same_side && a_off <= b_off && b_off > 0) || (!same_side && b_off > a_off)
    })
}

#[cfg(test)]
mod tests {
    use granule_format::block::codebook::{iq3_s, iq3_xxs};

    use super::super::round;
    use super::*;

    #[test]
    fn rivals_give_the_same_entry_as_all_neighbours() {
        agree(&Grid::new(&iq3_xxs::GRID, &iq3_xxs::LEVELS, 2));
        agree(&Grid::new(&iq3_s::GRID, &iq3_s::LEVELS, 3));
    }

    /// Compares the two for values in every cell, with rounding errors up to [`CLEAR`] and some
    /// zero weights.
    fn agree(grid: &Grid<4>) {
        let mut state = 1_u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8 & 0xff_ffff & (below - 1)
        };
        let mut fewer = 0;
        for cell in (0..4096).filter(|cell| grid.entry(*cell).is_none()) {
            for try_number in 0..50 {
                let scale = (random(1 << 20) + 1) as f32 * 1e-5;
                let values = std::array::from_fn(|i| {
                    let level = (cell >> (3 * i) & 7) as f32;
                    let off = match (try_number + random(4)) % 4 {
                        0 => CLEAR,
                        1 => -CLEAR,
                        _ => (random(1 << 20) as f32 / (1 << 19) as f32 - 1.0) * CLEAR,
                    };
                    // Beyond the first and the last level the error is unlimited.
                    let far = if random(4) == 0 { 3.0 } else { 1.0 };
                    let off = match level {
                        0.0 if off < 0.0 => off * far,
                        7.0 if off > 0.0 => off * far,
                        _ => off,
                    };
                    (2.0 * (level + off) + 1.0) * scale
                });
                let key = grid.key(&values.map(|v: f32| {
                    round::to_even(0.5 * (v * (1.0 / scale) - 1.0)).clamp(0, 7) as u8
                }));
                assert_eq!(key, cell);
                let weights = std::array::from_fn(|_| random(8) as f32 * random(256) as f32);
                let (all, rivals) = (grid.neighbours(key), grid.rivals(key));
                fewer += all.len() - rivals.len();
                assert_eq!(
                    grid.nearest(rivals, scale, &values, &weights),
                    grid.nearest(all, scale, &values, &weights),
                    "cell {cell}, scale {scale}, {values:?}, {weights:?}"
                );
            }
        }
        assert!(fewer > 0);
    }

    #[test]
    fn neighbours_are_whole_shells_in_order() {
        let grid = Grid::new(&iq3_xxs::GRID, &iq3_xxs::LEVELS, 2);
        let distance = |key: usize, entry: u16| -> i32 {
            let numbers = grid.at(entry).numbers;
            (0..4).map(|i| ((key >> (3 * i) & 7) as i32 - i32::from(numbers[i] / 2)).pow(2)).sum()
        };
        for key in (0..4096).filter(|key| grid.entry(*key).is_none()) {
            let order: Vec<_> =
                grid.neighbours(key).iter().map(|entry| (distance(key, *entry), *entry)).collect();
            assert!(order.is_sorted());
            let last = order[order.len() - 1].0;
            assert_eq!((0..256).filter(|entry| distance(key, *entry) <= last).count(), order.len());
            let mut shells: Vec<_> = order.iter().map(|(distance, _)| distance).collect();
            shells.dedup();
            assert_eq!(shells.len(), 2);
        }
    }
}

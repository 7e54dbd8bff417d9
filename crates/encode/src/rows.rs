//! Rows as runs of blocks, and blocks as lanes.

use granule_format::Block;
use zerocopy::FromBytes;

/// Checks the arguments of an encoder and returns the blocks to fill.
///
/// # Panics
/// Same as [`Encoder::encode`](super::Encoder::encode).
pub(super) fn blocks_for<'a, B: Block>(
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    out: &'a mut [u8],
) -> &'a mut [B] {
    assert!(columns > 0 && columns.is_multiple_of(B::LEN), "rows of {columns} {} values", B::TYPE);
    assert!(rows.len().is_multiple_of(columns), "{} values in rows of {columns}", rows.len());
    assert!(weights.is_none_or(|w| w.len() == columns), "an importance weight for each column");
    let blocks = <[B]>::mut_from_bytes(out).expect("room for whole blocks");
    assert_eq!(blocks.len(), rows.len() / B::LEN, "room for all blocks");
    blocks
}

/// Transposes `N` values of each of `L` runs, so that value `i` of all runs is contiguous. Missing
/// runs give zeros.
///
/// # Panics
/// If a run is shorter than `N` but not empty.
#[inline(always)]
pub(super) fn transpose<'a, const L: usize, const N: usize>(
    run: impl Fn(usize) -> Option<&'a [f32]>,
) -> [[f32; L]; N] {
    let mut lanes = [[0.0; L]; N];
    for lane in 0..L {
        if let Some(run) = run(lane).filter(|run| !run.is_empty()) {
            for (lanes, value) in lanes.iter_mut().zip(&run[..N]) {
                lanes[lane] = *value;
            }
        }
    }
    lanes
}

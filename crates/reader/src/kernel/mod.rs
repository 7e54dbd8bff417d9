//! Decoding and dot products: one file for each block type, one algorithm for each family of types.
//!
//! # The idea
//!
//! A block is `scale * code` (in some types plus a minimum). If the vector is quantized too, the
//! dot product of a block with its part of the vector is
//!
//! ```text
//! scale_w * scale_x * sum(code_w * code_x)
//! ```
//!
//! and the sum is one of small integers, which a CPU multiplies and adds 16 to 64 at a time. So
//! activations are quantized to 8 bits once ([`Activations`]), and weights are never turned into
//! floats. Where activations are largest, they have 16 bits: what their codes leave is a second
//! code, the *remainder*, and the group is multiplied a second time. What differs between the block
//! types is only how codes and scales come out of their bits. That is all a type's file says; the
//! rest is written once for each [`Family`], against [`Simd`] and [`Lanes`], and compiled for every
//! instruction set:
//!
//! ```text
//! dot_each    for row { for block { codes = unpack(block); sum += dot(codes, x) * scales } }
//! batch       for row { for block { codes = unpack(block); for x in tile  { the same } } }
//! panels      for 16 rows { for segment { panel = unpack and turn; for x in strip { 16 sums } } }
//! dot_packed  for 16 rows { for segment { the panel is already turned, and packed: 16 sums } }
//! ```
//!
//! `dot_each` serves up to four vectors; `batch` and `panels` serve more: `panels` where a
//! register has 16 lanes of 32 bits, `batch` elsewhere. `dot_packed` needs weights from
//! [`Tensor::pack`](crate::Tensor::pack).
//!
//! # From stored blocks to a product
//!
//! ```text
//! stored: 16 rows of blocks       staged: 256 codes a row       turned: 64 lines of 64 bytes
//!
//! row  0 [block][block]...        row  0  c0 c1 c2 ... c255     line  0  r0:c0-3   r1:c0-3  ...
//! row  1 [block][block]...        row  1  c0 c1 c2 ... c255     line  1  r0:c4-7   r1:c4-7  ...
//!   :         fill_panel -------->  :            turn --------->  :
//! row 15 [block][block]...        row 15  c0 c1 c2 ... c255     line 63  r0:c252-  r1:c252- ...
//!                                                                  ^           |
//! packed: the turned lines with 2 to 8 bits a code                 |           | multiply_panel
//!             unpack_panel ----------------------------------------+           v
//!             dot_packed ------------------------------->  16 sums, one lane for each row
//!                                                          += line * x[4 codes], broadcast
//! ```
//!
//! # Words
//!
//! | name | meaning | size | made by |
//! |---|---|---|---|
//! | block | what the file stores | 1 to 256 values | the file |
//! | group | consecutive columns that are unpacked together | 32 values | a type's kernel |
//! | sub-block | the values of a super-block that share a sub-scale | 16 or 32 values | the file |
//! | code | the integer that stands for a value in a block | 1 to 8 bits | the encoder |
//! | raised code | code plus a constant, so that none is negative | 8 bits | a type's kernel |
//! | vector | one vector of activations, quantized | 8 bits a value | [`Activations`] |
//! | part | values of a vector for a super-block, with their remainders | 256 values | `Part` |
//! | wide | of a group: its activations have remainders | 32 values | `Rounded` |
//! | tile | vectors that a row is multiplied with at a time | 16 vectors | [`ActivationTile`] |
//! | strip | vectors that a panel is multiplied with at a time | 8 vectors | `Strip` |
//! | segment | columns of a panel or strip that are multiplied at a time | 256 | `COLUMNS` |
//! | panel | a segment of rows side by side | 16 rows, 256 columns | [`Family::fill_panel`] |
//! | line | four codes of each row of a panel: one register | 64 bytes | [`packing`] |
//! | packed | all panels of a matrix, in few bits | 2 to 8 bits a code | [`pack`] |
//! | chunk | rows that a thread reads and multiplies at a time | about 128 KiB | `matmul`, `rows` |
//! | operands | codes, magnitudes or raised codes, as products need them | | [`super_block`] |
//!
//! # Tricks, and what each gained
//!
//! Figures are for 4096 x 4096 weights on one thread of an AMD EPYC with AVX-512, in billions of
//! weights a second (`cargo xtask bench reader --products`), unless they say otherwise.
//! `docs/performance.md` says what was tried without gain.
//!
//! 1. **Integers up to the last step.** Sub-scales are integers too, so a group is one integer sum;
//!    only then do floats begin, because each group of activations has a scale of its own. Keeping
//!    what codes are raised by in the integers, picking a sub-scale with one shuffle and
//!    alternating two sums: 8 to 24 % (Q4_K 40.6 to 46.1).
//! 2. **Eight groups at a time** in small blocks: their integers are added up first, so that one
//!    instruction converts and one scales all eight. Pairing the halves of two blocks drops one
//!    more step of adding: 11 to 14 % (Q4_0 41 to 45-48).
//! 3. **Unsigned codes.** One instruction multiplies unsigned with signed bytes. Levels with a sign
//!    are looked up already raised, and what they are raised by is taken off once for the sum of
//!    the activations: IQ4_XS 32.8 to 40.4. Magnitudes keep their form and give their signs to the
//!    activations.
//! 4. **Codebooks in registers.** The entries of IQ2_XXS to IQ3_S have at most 8 different levels,
//!    so 64 entries fit into two registers: IQ3_XXS and IQ3_S about 1.5 times as fast. Codebooks of
//!    more than 512 entries are faster in memory.
//! 5. **Digits without comparisons.** A digit of TQ1_0 comes out of two averages of bytes instead
//!    of two comparisons: 22.2 to 35.4.
//! 6. **Panels.** A batch unpacks every block once instead of once for each tile, and the scales of
//!    all rows are one register: with 64 vectors Q4_K reaches 134 billion multiply-adds a second. A
//!    panel that does not begin on a cache line costs a tenth.
//! 7. **Packing.** Turning is done once for all products, and the sub-scales of sixteen rows lie in
//!    one register: Q4_K 45.1 to 92.6. With signs included, every codebook has at most 16 levels,
//!    so one look-up in a register replaces it: IQ2_XXS 15.6 to 87.6.
//! 8. **Codes where they lie.** Packed codes of 2 and 4 bits are masked, multiplied at their place
//!    in the byte, and the sums are shifted instead: Q4_0 89 to 100, Q2_K 79 to 92.
//! 9. **Prefetching plain numbers.** F16 and BF16 wait for memory, and the CPU prefetches only to
//!    the end of a page. Eight rows at a time, each 64 KiB ahead into the second-level cache: F16
//!    15.0, instead of 11.0 with four rows into the first-level cache.
//! 10. **Scales through memory when decoding.** Taking them out of a register one by one took as
//!     long as the values: Q2_K decodes 47 % faster, Q3_K and Q6_K 20 %.
//!
//! 11. **Floats without conversion.** In panels, integer sums begin with the bits of a large float,
//!     so that they are floats already: converting them and multiplying them with the scale of a
//!     vector is one instruction.
//!
//! Everything between a kernel and an operation has `#[inline(always)]`, closures included: without
//! it, code is compiled for the plain target.

mod codes;
mod packed;
mod packing;
mod panel;
mod plain;
mod small_block;
mod small_packed;
mod small_panel;
mod super_block;
mod super_packed;
mod super_panel;

mod iq1_m;
mod iq1_s;
mod iq2_s;
mod iq2_xs;
mod iq2_xxs;
mod iq3_s;
mod iq3_xxs;
mod iq4_nl;
mod iq4_xs;
mod mxfp4;
mod nvfp4;
mod q1_0;
mod q2_0;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;
mod q8_1;
mod q8_k;
mod tq1_0;
mod tq2_0;

#[cfg(test)]
mod tests;

use std::slice::ChunksExact;

use granule_format::block::blocks_of;
use granule_format::{Block, BlockType, with_block};

pub(crate) use packed::{Packed, dot_packed, pack, packs};
use packed::{PackedPanel, Prepared};
use packing::Packing;
use panel::{Panel, Panels, Sums};
pub(crate) use panel::{ROWS as PANEL_ROWS, copy_rows};

use crate::activations::{Activations, Form};
use crate::isa::{Isa, Lanes, Simd, WithSimd};
use crate::strip::Strip;
use crate::tile::{ActivationTile, TILE};
use crate::vector::Vector;

/// What a type of block says about computing with it. Nothing has a default: a type that forgets
/// something does not compile.
pub(crate) trait Kernel: Block {
    /// The algorithms that the type shares with others of its kind.
    type Family: Family<Self>;
    /// How codes are packed for [`Tensor::pack`](crate::Tensor::pack); `None` if products do not
    /// gain by it, and blocks are copied.
    const PACKING: Option<Packing>;
}

/// The algorithms for one kind of block, written once for all types and instruction sets.
///
/// `decode`, `dot_each` and `batch` work on blocks as they lie in the file. The others work on
/// panels; they are only called for families whose weights are multiplied with codes.
pub(crate) trait Family<B: Kernel> {
    /// The form of the activations that weights are multiplied with.
    const FORM: Form;

    /// Decodes whole blocks to the same bits as [`Block::decode`].
    fn decode<V: Simd>(v: V, blocks: &[B], out: &mut [f32]);

    /// Writes the dot products of rows with one vector, each to the first of `step` values of
    /// `out`.
    fn dot_each<V: Simd>(
        v: V,
        rows: ChunksExact<'_, B>,
        vector: &Vector<'_>,
        out: &mut [f32],
        step: usize,
    );

    /// Writes the dot products of rows with all vectors of a batch, those of a row together.
    fn batch<V: Simd>(v: V, rows: ChunksExact<'_, B>, activations: &Activations, out: &mut [f32]);

    /// Unpacks one segment of up to sixteen rows.
    fn fill_panel<V: Lanes>(v: V, rows: &[B], row_blocks: usize, segment: usize, panel: &mut Panel);

    /// Adds the dot products of a panel with eight vectors to their sums.
    fn multiply_panel<V: Lanes>(v: V, panel: &Panel, strip: Strip<'_>, sums: &mut Sums);

    /// Appends the scales of one segment of up to sixteen rows.
    fn pack_scales<V: Lanes>(
        v: V,
        rows: &[B],
        row_blocks: usize,
        segment: usize,
        packed: &mut Packed,
    );

    /// Returns the dot products of sixteen packed rows with one vector.
    fn dot_packed<V: Lanes>(
        v: V,
        packing: &Packing,
        panel: &PackedPanel<'_>,
        prepared: Prepared<'_>,
    ) -> V::Floats;

    /// Unpacks one segment of sixteen packed rows.
    fn unpack_panel<V: Lanes>(
        v: V,
        packing: &Packing,
        packed: &PackedPanel<'_>,
        segment: usize,
        panel: &mut Panel,
    );
}

/// The form of the activations that weights of a type are multiplied with.
pub(crate) const fn form_of(ty: BlockType) -> Form {
    with_block!(ty, B => <<B as Kernel>::Family as Family<B>>::FORM)
}

/// Decodes whole blocks on one instruction set, to the same bits as [`Block::decode`].
///
/// # Panics
/// If `blocks` is not whole blocks of the type, or `out` does not have exactly their number of
/// values.
pub fn decode_blocks(isa: Isa, ty: BlockType, blocks: &[u8], out: &mut [f32]) {
    with_block!(ty, B => {
        let blocks = blocks_of::<B>(blocks);
        assert_eq!(out.len(), blocks.len() * B::LEN, "values for {} {ty} blocks", blocks.len());
        isa.with_simd(Decode { blocks, out });
    });
}

struct Decode<'a, B> {
    blocks: &'a [B],
    out: &'a mut [f32],
}

impl<B: Kernel> WithSimd for Decode<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<V: Simd>(self, v: V) {
        if V::WIDE || B::LEN == 1 {
            return B::Family::decode(v, self.blocks, self.out);
        }
        for (block, out) in self.blocks.iter().zip(self.out.chunks_exact_mut(B::LEN)) {
            block.decode(out);
        }
    }
}

/// Computes the dot products of rows with every vector: `out[row * count + vector]`.
///
/// For programs that hold the bytes of rows themselves; with a [`Tensor`](crate::Tensor), use
/// [`matvec`](crate::Tensor::matvec). Integer parts of a product are exact. The sums over blocks
/// are in single precision; their order depends on the instruction set, and on whether there are
/// enough vectors for a batch.
///
/// ```
/// use granule_reader::{Activations, dot_rows, format::BlockType, isa::Isa};
/// let rows = [1.0_f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes);
/// let x = Activations::quantize(BlockType::F32, &[10.0, 1.0]);
/// let mut y = [0.0; 2];
/// dot_rows(Isa::detect(), BlockType::F32, rows.as_flattened(), &x, &mut y);
/// assert_eq!(y, [12.0, 34.0]);
/// ```
///
/// # Panics
/// If `blocks` is not whole rows of [`Activations::columns`] values, if `out` does not have the
/// number of rows times the number of vectors, or if `ty` needs activations in another form.
pub fn dot_rows(
    isa: Isa,
    ty: BlockType,
    blocks: &[u8],
    activations: &Activations,
    out: &mut [f32],
) {
    dot_blocks(isa, ty, blocks, activations, out);
    if by_panels(isa, activations, false) {
        let count = activations.count();
        for out in out.chunks_mut(PANEL_ROWS * count) {
            let (panel, rows) = (out.to_vec(), out.len() / count);
            for (row, out) in out.chunks_exact_mut(count).enumerate() {
                for (vector, out) in out.iter_mut().enumerate() {
                    *out = panel[vector * rows + row];
                }
            }
        }
    }
}

/// Whether products with these activations are written panel by panel: [`PANEL_ROWS`] rows after
/// [`PANEL_ROWS`] rows, within a panel vector by vector. Otherwise they are written row by row.
pub(crate) fn by_panels(isa: Isa, activations: &Activations, packed: bool) -> bool {
    // making panels only pays with enough lanes; packed weights have them already
    let lanes = if packed { isa.has_lanes() } else { isa.has_many_lanes() };
    lanes && activations.is_batch() && activations.form() != Form::Float
}

/// Like [`dot_rows`], in the order that [`by_panels`] tells.
pub(crate) fn dot_blocks(
    isa: Isa,
    ty: BlockType,
    blocks: &[u8],
    activations: &Activations,
    out: &mut [f32],
) {
    assert_eq!(activations.form(), form_of(ty));
    with_block!(ty, B => {
        assert!(activations.columns().is_multiple_of(B::LEN), "whole blocks");
        let row_blocks = activations.columns() / B::LEN;
        if row_blocks == 0 || activations.count() == 0 {
            return out.fill(0.0);
        }
        let blocks = blocks_of::<B>(blocks);
        assert!(blocks.len().is_multiple_of(row_blocks), "whole rows");
        assert_eq!(blocks.len() / row_blocks * activations.count(), out.len());
        if by_panels(isa, activations, false) {
            return isa.with_lanes(Panels { blocks, row_blocks, activations, out });
        }
        isa.with_simd(Dots { blocks, row_blocks, activations, out });
    });
}

struct Dots<'a, B> {
    blocks: &'a [B],
    row_blocks: usize,
    activations: &'a Activations,
    out: &'a mut [f32],
}

impl<B: Kernel> WithSimd for Dots<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<V: Simd>(self, v: V) {
        let count = self.activations.count();
        let rows = self.blocks.chunks_exact(self.row_blocks);
        if !V::WIDE || !self.activations.is_batch() {
            for vector in 0..count {
                let values = self.activations.vector(vector);
                B::Family::dot_each(v, rows.clone(), &values, &mut self.out[vector..], count);
            }
            return;
        }
        B::Family::batch(v, rows, self.activations, self.out);
    }
}

/// [`Family::dot_each`] by `dot`, which multiplies one row.
#[inline(always)]
fn row_by_row<B>(
    rows: ChunksExact<'_, B>,
    out: &mut [f32],
    step: usize,
    dot: impl Fn(&[B]) -> f32,
) {
    for (row, out) in rows.zip(out.chunks_mut(step)) {
        out[0] = dot(row);
    }
}

/// [`Family::batch`] by `dots`, which multiplies one row with a tile of sixteen vectors.
#[inline(always)]
fn by_tiles<B>(
    rows: ChunksExact<'_, B>,
    activations: &Activations,
    out: &mut [f32],
    dots: impl Fn(&[B], &ActivationTile) -> [f32; TILE],
) {
    for (index, tile) in activations.tiles().iter().enumerate() {
        for (row, out) in rows.clone().zip(out.chunks_exact_mut(activations.count())) {
            let dots = dots(row, tile);
            out[TILE * index..][..tile.count].copy_from_slice(&dots[..tile.count]);
        }
    }
}

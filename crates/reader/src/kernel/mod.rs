//! Dot products of rows with activations.

use granule_format::{Block, BlockType, with_block};

use crate::activations::{Activations, Form};
use crate::decode::decode;
use crate::isa::Isa;

/// The dot products of some rows with every vector: `out[row * count + vector]`.
///
/// # Panics
/// If `blocks` and `out` do not fit together, or the activations are for another form.
pub(crate) fn dot_rows(
    isa: Isa,
    ty: BlockType,
    blocks: &[u8],
    activations: &Activations,
    out: &mut [f32],
) {
    assert_eq!(activations.form(), Form::of(ty));
    let row_bytes = with_block!(ty, B => activations.columns() / B::LEN * size_of::<B>());
    if row_bytes == 0 || activations.count() == 0 {
        return out.fill(0.0);
    }
    assert_eq!(blocks.len() / row_bytes * activations.count(), out.len());
    let mut row = vec![0.0; activations.columns()];
    for (blocks, out) in
        blocks.chunks_exact(row_bytes).zip(out.chunks_exact_mut(activations.count()))
    {
        decode(isa, ty, blocks, &mut row);
        for (index, out) in out.iter_mut().enumerate() {
            let vector = activations.vector(index);
            let block = activations.form().block_values();
            *out = match activations.form() {
                Form::Float => row.iter().zip(vector.values).map(|(w, x)| w * x).sum(),
                _ => row
                    .chunks_exact(block)
                    .zip(vector.codes.chunks_exact(block))
                    .zip(vector.scales)
                    .map(|((w, x), scale)| {
                        scale * w.iter().zip(x).map(|(w, x)| w * f32::from(*x)).sum::<f32>()
                    })
                    .sum(),
            };
        }
    }
}

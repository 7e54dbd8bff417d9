//! Rows on demand: read from their places, put in order, converted.

use std::ops::Range;

use granule_format::{BlockType, Shape};
use granule_reader::isa::Isa;

use super::mapping::Assembled;
use crate::Error;
use crate::encode::encode_rows;
use crate::source::Problem;
use crate::source::data_type::narrow;
use crate::source::weights::{StoredTensor, Weights};
use crate::transform::RowOrder;

/// Read rows of a tensor of this shape as blocks of type `ty`.
///
/// # Panics
/// If there are no such rows.
pub(super) fn read(
    weights: &Weights,
    from: &Assembled,
    shape: Shape,
    ty: BlockType,
    rows: Range<u64>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let all = shape.rows().expect("checked when it was mapped");
    assert!(rows.start <= rows.end && rows.end <= all, "rows {rows:?} of {all}");
    out.clear();
    if rows.is_empty() || shape.row() == 0 {
        return Ok(());
    }
    let (parts, order) = match from {
        Assembled::Computed(values) => {
            narrow(values, ty, out);
            return Ok(());
        }
        Assembled::Stored { parts, order } => (parts, *order),
    };

    let stored = &weights.tensors()[parts[0]];
    let mut bytes = Vec::new();
    if shape.dimensions().len() <= 1 {
        read_values(weights, stored, order, &mut bytes)?;
    } else {
        let row_bytes = stored.ty.row_bytes(shape.row()).expect("checked when it was mapped");
        let rows_of_part = all / parts.len() as u64;
        let source = |row: u64| {
            let part = (row / rows_of_part) as usize;
            (part, order.source(row % rows_of_part))
        };
        let mut row = rows.start;
        while row < rows.end {
            let (part, first) = source(row);
            let run =
                (row..rows.end).take_while(|next| source(*next) == (part, first + next - row));
            let count = run.count() as u64;
            let length = (count * row_bytes) as usize;
            weights.read(&weights.tensors()[parts[part]], first * row_bytes, length, &mut bytes)?;
            row += count;
        }
    }
    convert(weights, stored, &bytes, &shape, ty, rows.start, out)
}

/// All values of a tensor with one dimension; what else is done to rows is done to them.
fn read_values(
    weights: &Weights,
    stored: &StoredTensor,
    order: RowOrder,
    bytes: &mut Vec<u8>,
) -> Result<(), Error> {
    let size = stored.ty.bytes() as usize;
    let values: u64 = stored.shape.iter().product();
    weights.read(stored, 0, values as usize * size, bytes)?;
    if order != RowOrder::Same {
        let from = bytes.clone();
        for (value, to) in bytes.chunks_exact_mut(size).enumerate() {
            let source = order.source(value as u64) as usize;
            to.copy_from_slice(&from[source * size..][..size]);
        }
    }
    Ok(())
}

fn convert(
    weights: &Weights,
    stored: &StoredTensor,
    bytes: &[u8],
    shape: &Shape,
    ty: BlockType,
    first_row: u64,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let fail = |problem| Error::of_tensor(weights.path(stored), &stored.name, problem);
    // BF16 goes through F32 even where it stays BF16: NaN becomes quiet.
    if stored.ty.block() == Some(ty) && ty != BlockType::BF16 {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    let values = stored.ty.widen(bytes);
    if !ty.is_quantized() {
        narrow(&values, ty, out);
        return Ok(());
    }
    let columns = shape.row() as usize;
    let row_bytes = ty.row_bytes(shape.row()).expect("the type was chosen for the row") as usize;
    out.resize(values.len() / columns * row_bytes, 0);
    encode_rows(Isa::detect(), ty, &values, columns, None, out)
        .map_err(|source| fail(Problem::Encode { row: first_row, source }))
}

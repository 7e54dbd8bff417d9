//! Reads rows on demand: finds, orders and converts their values.

use std::cell::Cell;
use std::ops::Range;

use granule_format::{BlockType, Shape};

use super::BlockEncoder;
use super::ids;
use super::mapping::{Assembled, Piece};
use crate::Error;
use crate::Problem;
use crate::QuantizedProblem;
use crate::changes::Changes;
use crate::data_type::{DataType, narrow};
use crate::lattice;
use crate::range;
use crate::weights::{StoredTensor, Weights};

/// What rows become.
#[derive(Clone, Copy)]
pub(super) struct To {
    /// The type of the result.
    pub(super) ty: BlockType,
    pub(super) encoder: Option<BlockEncoder>,
    /// Whether quantized types hold the values exactly.
    pub(super) exact: bool,
}

/// Reads rows of a tensor of this shape as blocks of a type.
///
/// # Panics
/// If the rows are out of bounds.
pub(super) fn read(
    weights: &Weights,
    from: &Assembled,
    shape: Shape,
    to: To,
    rows: Range<u64>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let all = shape.rows().expect("checked when it was mapped");
    assert!(rows.start <= rows.end && rows.end <= all, "rows {rows:?} of {all}");
    out.clear();
    if rows.is_empty() || shape.row() == 0 {
        return Ok(());
    }
    let (pieces, changes, zeros) = match from {
        Assembled::Computed(values) => {
            let [start, end] = [rows.start, rows.end].map(|row| (row * shape.row()) as usize);
            narrow(&values[start..end], to.ty, out);
            return Ok(());
        }
        Assembled::Ids(index) => {
            let stored = &weights.tensors()[*index];
            let size = stored.ty.bytes();
            let (first, end) = (rows.start * shape.row(), rows.end * shape.row());
            let mut bytes = Vec::new();
            weights.read(stored, first * size, ((end - first) * size) as usize, &mut bytes)?;
            ids::write(stored.ty, &bytes, first, out);
            return Ok(());
        }
        Assembled::Resampled(table) => {
            let values = table.read(weights, shape.row(), rows)?;
            narrow(&values, to.ty, out);
            return Ok(());
        }
        Assembled::Sum(terms) => {
            let stored = &weights.tensors()[terms[0].tensor];
            let range = rows.start * shape.row()..rows.end * shape.row();
            let mut values = Vec::new();
            let bytes = add(weights, terms, range)?;
            let stored = (stored, DataType::F32, &Changes::default());
            return convert(weights, stored, (&bytes, &mut values), &shape, to, rows.start, out);
        }
        Assembled::Stored { pieces, changes, zeros } => (pieces, changes, *zeros),
    };
    let stored = &weights.tensors()[pieces[0].tensor];
    // Where adapters change only some of the parts, these are wider than the others.
    let mixed = pieces.iter().any(|piece| weights.tensors()[piece.tensor].ty != stored.ty);
    let ty = if mixed { DataType::F32 } else { stored.ty };
    let units = shape.row() / ty.values();
    let before = zeros[0] / ty.values();
    let range = rows.start * units..rows.end * units;
    if is_same(ty, to.ty) && changes.is_none() {
        return gather(weights, pieces, (ty, before), range, out);
    }
    let Buffers { mut bytes, mut values } = BUFFERS.take();
    bytes.clear();
    let done = gather(weights, pieces, (ty, before), range, &mut bytes).and_then(|()| {
        let stored = (stored, ty, changes);
        convert(weights, stored, (&bytes, &mut values), &shape, to, rows.start, out)
    });
    if bytes.capacity().max(4 * values.capacity()) <= KEPT {
        BUFFERS.set(Buffers { bytes, values });
    }
    done
}

/// Rows as they are stored, and their values.
#[derive(Default)]
struct Buffers {
    bytes: Vec<u8>,
    values: Vec<f32>,
}

thread_local! {
    /// Memory for the next rows that the thread reads. Some allocators ask the system for every
    /// buffer of this size, and clearing its pages takes as long as converting what is in them.
    static BUFFERS: Cell<Buffers> =
        const { Cell::new(Buffers { bytes: Vec::new(), values: Vec::new() }) };
}

/// Bytes of a buffer that is kept at most: rows of a conversion have fewer.
const KEPT: usize = 16 << 20;

/// Whether numbers become what they are. BF16 always goes through F32, so that NaN becomes quiet.
fn is_same(from: DataType, to: BlockType) -> bool {
    from.block() == Some(to) && to != BlockType::BF16
}

/// Appends the values in `range` over all pieces as the checkpoint has them; for types with blocks,
/// the blocks. There are `zeros` before the pieces, and as many after them as the range needs; a
/// piece can have zeros of its own after its values. The values of pieces with another type than
/// `ty` are widened to it; it is F32 then.
fn gather(
    weights: &Weights,
    pieces: &[Piece],
    (ty, zeros): (DataType, u64),
    range: Range<u64>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let size = ty.bytes();
    let add_zeros = |first: u64, count: u64, out: &mut Vec<u8>| {
        let within = |at: u64| at.clamp(range.start, range.end);
        let count = within(first + count) - within(first);
        out.resize(out.len() + (count * size) as usize, 0);
    };
    add_zeros(0, zeros, out);
    let mut next = zeros;
    for Piece { tensor, view, zeros } in pieces {
        let (before, values) = (next, view.values());
        let start = range.start.clamp(before, before + values) - before;
        let end = range.end.clamp(before, before + values) - before;
        let zeros = zeros / ty.values();
        next = before + values + zeros;
        if start == end {
            add_zeros(before + values, zeros, out);
            continue;
        }
        let stored = &weights.tensors()[*tensor];
        let size = stored.ty.bytes();
        let mut read = |first: u64, count: u64, out: &mut Vec<u8>| {
            weights.read(stored, first * size, (count * size) as usize, out)
        };
        if stored.ty == ty {
            view.gather((start, end), size as usize, &mut read, out)?;
        } else {
            let mut narrower = Vec::new();
            view.gather((start, end), size as usize, &mut read, &mut narrower)?;
            narrow(&stored.ty.widen(&narrower), BlockType::F32, out);
        }
        add_zeros(before + values, zeros, out);
    }
    out.resize(((range.end - range.start) * size) as usize, 0);
    Ok(())
}

/// Returns the sums of the terms' values in `range`, in single precision and in the order of the
/// terms. Sums of F16 are rounded to that once.
fn add(weights: &Weights, terms: &[Piece], range: Range<u64>) -> Result<Vec<u8>, Error> {
    let ty = weights.tensors()[terms[0].tensor].ty;
    let mut sums = vec![0.0; (range.end - range.start) as usize];
    let mut bytes = Vec::new();
    for (number, term) in terms.iter().enumerate() {
        bytes.clear();
        gather(weights, std::slice::from_ref(term), (ty, 0), range.clone(), &mut bytes)?;
        for (sum, value) in sums.iter_mut().zip(ty.widen(&bytes)) {
            *sum = if number == 0 { value } else { *sum + value };
        }
    }
    if ty == DataType::F16 {
        sums.iter_mut().for_each(|sum| *sum = half::f16::from_f32(*sum).to_f32());
    }
    bytes.clear();
    narrow(&sums, BlockType::F32, &mut bytes);
    Ok(bytes)
}

fn convert(
    weights: &Weights,
    (stored, from, changes): (&StoredTensor, DataType, &Changes),
    (bytes, values): (&[u8], &mut Vec<f32>),
    shape: &Shape,
    To { ty, encoder, exact }: To,
    first_row: u64,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let fail = |problem| Error::of_tensor(weights.path(stored), &stored.name, problem);
    if is_same(from, ty) && changes.is_none() {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    from.widen_into(bytes, values);
    if !changes.is_none() {
        let outermost = shape.dimensions().last().copied().unwrap_or(1).max(1);
        let row = shape.values().unwrap_or_default() / outermost;
        let place = (first_row * shape.row(), row);
        changes.apply(values, place, from == DataType::F16);
    }
    let columns = shape.row() as usize;
    if ty == BlockType::I32 && from == DataType::I64 {
        for (index, word) in bytes.as_chunks().0.iter().enumerate() {
            let word = i64::from_le_bytes(*word);
            let narrow = i32::try_from(word).map_err(|_| {
                let (row, column) =
                    (first_row + (index / columns) as u64, (index % columns) as u64);
                fail(Problem::Range { row, column, value: word as f32, ty })
            })?;
            out.extend_from_slice(&narrow.to_le_bytes());
        }
        return Ok(());
    }
    if !ty.is_quantized() {
        if let Some(index) = range::first_beyond(ty, values) {
            let (row, column) = (first_row + (index / columns) as u64, (index % columns) as u64);
            return Err(fail(Problem::Range { row, column, value: values[index], ty }));
        }
        narrow(values, ty, out);
        return Ok(());
    }
    let row_bytes = ty.row_bytes(shape.row()).expect("the type was chosen for the row") as usize;
    out.resize(values.len() / columns * row_bytes, 0);
    if exact {
        return lattice::write(ty, values, out).map_err(|index| {
            let (row, column) = (first_row + (index / columns) as u64, (index % columns) as u64);
            fail(QuantizedProblem::NotExact { row, column, ty }.into())
        });
    }
    let encoder = encoder.ok_or_else(|| fail(Problem::NoEncoder(ty)))?;
    encoder(ty, values, columns, out)
        .map_err(|error| fail(Problem::Encode { row: first_row, error }))
}

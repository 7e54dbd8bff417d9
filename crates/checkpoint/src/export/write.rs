//! Streams the values to their places.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use granule_format::BlockType;
use granule_reader::Model;
use rayon::prelude::*;

use super::ExportError;
use super::invert::{Piece, Saved};
use super::types::Undo;
use crate::Error;
use crate::data_type::narrow;
use crate::transform::Run;

/// Values of a checkpoint tensor to assemble at a time.
const STRIP: u64 = 1 << 20;

/// The same for transposed tensors, where every strip reads all rows of the file.
const TRANSPOSED_STRIP: u64 = 1 << 23;

/// Writes bytes at a position of the file.
type Out<'o> = dyn Fn(u64, &[u8]) -> Result<(), Error> + Sync + 'o;

/// Values of the file to decode at a time, in whole rows.
const WINDOW: u64 = 1 << 18;

/// Writes a tensor at `start` of a file.
///
/// Memory use is bounded by one strip per thread and one row.
pub(super) fn write(
    model: &Model,
    (saved, ty): (&Saved, BlockType),
    (out, start): (&Out<'_>, u64),
    (done, stop): (&AtomicU64, Option<&AtomicBool>),
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), Error> {
    let values = saved.values();
    let rows = saved.pieces.iter().all(|piece| piece.view.keeps_rows());
    let step = if rows { STRIP } else { TRANSPOSED_STRIP };
    (0..values.div_ceil(step)).into_par_iter().try_for_each(|strip| {
        if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(Error::Stopped);
        }
        let (first, end) = (strip * step, values.min((strip + 1) * step));
        let mut numbers = vec![if saved.lost() > 0 { 0.0 } else { UNSET }; (end - first) as usize];
        let mut window = Window::default();
        if let Some(given) = &saved.given {
            numbers.copy_from_slice(&given[first as usize..end as usize]);
        }
        for piece in &saved.pieces {
            let undo = Undo::new(&saved.changes, ty, model.tensor_at(piece.tensor));
            gather(model, (piece, &undo), (first, end), &mut window, &mut numbers)?;
        }
        if numbers.iter().any(|number| number.to_bits() == UNSET.to_bits()) {
            let tensor = model.tensor_at(saved.pieces[0].tensor).name().to_owned();
            let (rule, why) = (saved.name.clone(), "values are left over");
            return Err(ExportError::NoInverse { tensor, rule, why }.into());
        }
        if saved.ids {
            let differences = numbers.iter().zip(first..).map(|(id, at)| *id as i64 - at as i64);
            let bytes: Vec<u8> = differences.flat_map(i64::to_le_bytes).collect();
            out(start + first * ty.block_bytes() as u64, &bytes)?;
            progress(done.fetch_add(end - first, Ordering::Relaxed) + end - first);
            return Ok(());
        }
        let mut bytes = Vec::new();
        narrow(&numbers, ty, &mut bytes);
        if ty == BlockType::F16
            && let Some(value) =
                numbers.iter().find(|value| value.is_finite() && value.abs() >= F16_LIMIT)
        {
            let (tensor, value) = (saved.name.clone(), *value);
            return Err(ExportError::OutOfRange { tensor, value, ty }.into());
        }
        out(start + first * ty.block_bytes() as u64, &bytes)?;
        progress(done.fetch_add(end - first, Ordering::Relaxed) + end - first);
        Ok(())
    })
}

/// Marks places without a value: a NaN that no block decodes to.
const UNSET: f32 = f32::from_bits(0x7fc5_a9e3);

/// The smallest value that rounds to infinity in half precision.
const F16_LIMIT: f32 = 65520.0;

/// Copies the values of a piece to their places in a range of the checkpoint tensor.
fn gather(
    model: &Model,
    (piece, undo): (&Piece, &Undo<'_>),
    (first, end): (u64, u64),
    window: &mut Window,
    numbers: &mut [f32],
) -> Result<(), Error> {
    piece.view.within(&(first..end), &mut |run: Run| {
        let mut moved = 0;
        while moved < run.count {
            let at = piece.base + run.value + moved;
            let values = window.from(model, piece.tensor, at)?;
            let count = (values.len() as u64).min(run.count - moved) as usize;
            let place = (run.source - first + moved * run.stride) as usize;
            if run.stride == 1 {
                let places = &mut numbers[place..place + count];
                places.copy_from_slice(&values[..count]);
                undo.all(at, places.iter_mut());
            } else {
                let places = numbers[place..].iter_mut().step_by(run.stride as usize);
                places.zip(&values[..count]).for_each(|(number, value)| *number = *value);
                let places = numbers[place..].iter_mut().step_by(run.stride as usize);
                undo.all(at, places.take(count));
            }
            moved += count as u64;
        }
        Ok(())
    })
}

/// Decoded rows of a tensor of the file.
#[derive(Default)]
struct Window {
    tensor: Option<usize>,
    /// Index of the first value.
    first: u64,
    values: Vec<f32>,
}

impl Window {
    /// Returns the values from index `value` on, at least one.
    fn from(&mut self, model: &Model, tensor: usize, value: u64) -> Result<&[f32], Error> {
        let end = self.first + self.values.len() as u64;
        if self.tensor != Some(tensor) || !(self.first..end).contains(&value) {
            let source = model.tensor_at(tensor);
            let columns = source.row_values() as u64;
            let row = value / columns;
            let rows = (WINDOW / columns).clamp(1, source.rows() as u64 - row);
            self.tensor = None;
            self.values.resize((rows * columns) as usize, 0.0);
            source.decode_rows(row as usize..(row + rows) as usize, &mut self.values)?;
            (self.tensor, self.first) = (Some(tensor), row * columns);
        }
        Ok(&self.values[(value - self.first) as usize..])
    }
}

//! The blocks of one matrix.

use granule_encode::{EncodeOptions, Feedback, encode_rows, encode_with_feedback, matrix_weights};
use granule_format::Endian;
use granule_reader::decode_blocks;
use rayon::prelude::*;

use super::Setting;
use super::pass::Job;
use crate::Error;
use crate::run::encode_error;

/// Rows that are encoded together.
const ROWS: usize = 64;

/// What the codes are chosen by.
pub(super) enum Guide<'g> {
    Feedback(&'g Feedback),
    Weights(Vec<f32>),
    Nothing,
}

/// Encodes a matrix.
pub(super) fn encode_matrix(
    setting: &Setting<'_>,
    job: &Job<'_>,
    matrix: usize,
    guide: &Guide<'_>,
    out: &mut [u8],
) -> Result<(), Error> {
    let columns = job.columns;
    let row_bytes = (out.len() / job.rows.max(1)).max(1);
    let options = EncodeOptions::from(setting.isa).with_effort(job.target.effort);
    let name = || setting.source.tensors()[job.target.source].name.clone();
    let parts = out.par_chunks_mut(ROWS * row_bytes).enumerate();
    let results = parts.map(|(part, out)| {
        let first = (matrix * job.rows + part * ROWS) as u64;
        let rows = out.len() / row_bytes;
        let (mut stored, mut values) = (Vec::new(), vec![0.0; rows * columns]);
        setting.source.read_rows(job.target.source, first..first + rows as u64, &mut stored)?;
        decode_blocks(setting.isa, job.stored, &stored, &mut values);
        let result = match guide {
            Guide::Feedback(feedback) => {
                encode_with_feedback(options, job.ty, &values, columns, feedback, out)
            }
            Guide::Weights(weights) => {
                encode_rows(options, job.ty, &values, columns, Some(weights), out)
            }
            Guide::Nothing => {
                let weights = job.target.weights;
                let weights = weights.map(|w| matrix_weights(w, matrix as u64, columns));
                encode_rows(options, job.ty, &values, columns, weights.as_deref(), out)
            }
        };
        result.map_err(|error| encode_error(name(), &values, first, columns as u64, error))
    });
    // the first error in the order of the rows
    results.collect::<Vec<_>>().into_iter().collect()
}

/// Writes the blocks of a matrix.
pub(super) fn write(
    setting: &Setting<'_>,
    job: &Job<'_>,
    matrix: usize,
    out: &[u8],
) -> Result<(), Error> {
    let output = &setting.outputs[job.target.file];
    let start = (matrix * out.len()) as u64;
    if output.draft().endian() == Endian::Big {
        let mut swapped = out.to_vec();
        job.ty.swap_bytes(&mut swapped);
        return output.write(job.target.tensor, start, &swapped);
    }
    output.write(job.target.tensor, start, out)
}

//! Executing a conversion: rows stream from the source through the encoders to their places.
//!
//! The work is cut into runs of rows of about [`CHUNK_VALUES`] values. Every thread takes the next one, reads it, decodes
//! it, encodes it for each output and writes it where it belongs; all offsets are known from the start,
//! so nothing waits for anything else: reading, encoding and writing overlap, and neither many small tensors nor one huge
//! tensor leaves a core idle. A thread holds one chunk (or one row, if that is longer) in
//! the source's type, in `f32` and in the output's type: memory does not depend on the size of the model.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use granule_format::{BlockType, Draft, Endian, TensorType};
use granule_reader::decode::decode;
use granule_reader::isa::Isa;

use crate::encode::{EncodeError, encode_rows};
use crate::output::{self, Output};
use crate::{Error, Source};

/// Values that a thread works on at a time, unless one row is longer.
pub const CHUNK_VALUES: u64 = 1 << 17;

/// A file to write.
#[derive(Clone, Debug)]
pub struct OutputFile {
    /// Where it appears when it is complete.
    pub path: PathBuf,
    /// Its header.
    pub draft: Draft,
}

/// Where the rows of a source tensor go.
#[derive(Clone, Copy, Debug)]
pub struct Target<'w> {
    /// Index of the tensor in [`Source::tensors`].
    pub source: usize,
    /// Index of the file.
    pub file: usize,
    /// Index of the tensor in the file's draft; its type there is what is encoded to.
    pub tensor: usize,
    /// Importance of each column, for each matrix of the tensor: `row length * matrices` values.
    pub weights: Option<&'w [f32]>,
}

/// How to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// Number of threads; `None` takes one for each core. The bytes do not depend on it.
    pub threads: Option<usize>,
    /// The instruction set; `None` takes the best. The bytes do not depend on it.
    pub isa: Option<Isa>,
}

/// What happens during a run. Events come from all threads.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The outputs exist under temporary names and the work begins.
    Started {
        /// Values to read.
        values: u64,
        /// Tensors to read.
        tensors: usize,
    },
    /// The first rows of a tensor are about to be read.
    Tensor {
        /// Its name in the source.
        name: &'a str,
    },
    /// Rows are written.
    Progress {
        /// Values that are done, of all tensors together.
        values: u64,
    },
    /// All rows are written; the files are flushed and renamed.
    Finishing,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Values that were read.
    pub values: u64,
    /// Bytes of the source's tensors.
    pub source_bytes: u64,
    /// The files that were written, in order, with their sizes in bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// Bytes of tensor data written, without padding.
    pub data_bytes: u64,
    /// Time that it took.
    pub elapsed: Duration,
}

/// Read every source tensor that has a target once, in the order of `targets`, and write the files.
///
/// # Errors
/// If an output cannot be written, a source cannot be read, a tensor has values that cannot be
/// encoded. None of the files exists then; what was under their names before still is.
///
/// # Panics
/// If a target names a tensor or file that does not exist, or one with another shape.
pub fn run(
    source: &dyn Source,
    files: Vec<OutputFile>,
    targets: &[Target<'_>],
    options: &RunOptions,
    on: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Summary, Error> {
    let begin = Instant::now();
    let sizes: Vec<_> = files
        .iter()
        .map(|file| {
            (file.path.as_path(), file.draft.data_bytes() + file.draft.header().len() as u64)
        })
        .collect();
    output::check(&sizes, &source.files())?;
    let outputs = files
        .into_iter()
        .map(|file| Output::create(&file.path, file.draft).map(|output| (file.path, output)))
        .collect::<Result<Vec<_>, _>>()?;

    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads.unwrap_or(0))
        .build()
        .map_err(Error::Threads)?;
    let steps = steps(source, targets)?;
    let work = Work {
        source,
        outputs: outputs.iter().map(|(_, output)| output).collect(),
        chunks: steps.last().map_or(0, |step| step.first_chunk + step.chunks),
        steps,
        isa: options.isa.unwrap_or_else(Isa::detect),
        next: AtomicU64::new(0),
        values: AtomicU64::new(0),
        failed: Mutex::new(None),
        on,
    };
    on(Event::Started {
        values: work.steps.iter().map(|step| step.rows() * step.row).sum(),
        tensors: work.steps.len(),
    });
    pool.broadcast(|_| work.work());
    let summary_values = work.values.load(Ordering::Relaxed);
    let source_bytes = work.steps.iter().map(|step| step.rows() * step.source_row_bytes).sum();
    if let Some((_, error)) = work.failed.into_inner().unwrap_or_else(|poison| poison.into_inner())
    {
        return Err(error);
    }

    on(Event::Finishing);
    let data_bytes = outputs
        .iter()
        .flat_map(|(_, output)| output.draft().tensors())
        .filter_map(|tensor| tensor.bytes())
        .sum();
    let mut written = Vec::new();
    for (path, output) in outputs {
        let bytes = output.bytes();
        output.finish()?;
        written.push((path, bytes));
    }
    Ok(Summary {
        values: summary_values,
        source_bytes,
        files: written,
        data_bytes,
        elapsed: begin.elapsed(),
    })
}

/// A source tensor and where it goes.
#[derive(Debug)]
struct Step<'t> {
    source: usize,
    ty: BlockType,
    targets: Vec<&'t Target<'t>>,
    /// Values in a row.
    row: u64,
    source_row_bytes: u64,
    rows_per_matrix: u64,
    matrices: u64,
    /// Rows in a chunk; chunks end with a matrix, because each matrix has weights of its own.
    rows_per_chunk: u64,
    /// Number of the first of the tensor's chunks among those of all tensors.
    first_chunk: u64,
    chunks: u64,
}

impl Step<'_> {
    fn rows(&self) -> u64 {
        self.rows_per_matrix * self.matrices
    }

    /// The matrix and the rows (over all matrices) of the tensor's chunk at `index`.
    fn chunk(&self, index: u64) -> (u64, Range<u64>) {
        let per_matrix = self.rows_per_matrix.div_ceil(self.rows_per_chunk);
        let (matrix, part) = (index / per_matrix, index % per_matrix);
        let start = part * self.rows_per_chunk;
        let end = (start + self.rows_per_chunk).min(self.rows_per_matrix);
        let first = matrix * self.rows_per_matrix;
        (matrix, first + start..first + end)
    }
}

/// Group the targets by source tensor, in the order in which the tensors first appear.
fn steps<'t>(source: &dyn Source, targets: &'t [Target<'t>]) -> Result<Vec<Step<'t>>, Error> {
    let mut step_of = vec![None; source.tensors().len()];
    let mut steps: Vec<Step<'t>> = Vec::new();
    let mut chunks = 0;
    for target in targets {
        if let Some(step) = step_of[target.source] {
            let step: &mut Step<'t> = &mut steps[step];
            step.targets.push(target);
            continue;
        }
        step_of[target.source] = Some(steps.len());
        let tensor = &source.tensors()[target.source];
        let TensorType::Known(ty) = tensor.ty else {
            return Err(Error::UnknownType { tensor: tensor.name.clone(), id: tensor.ty.id() });
        };
        let row = tensor.shape.row();
        let rows_per_matrix = tensor.shape.dimensions().get(1).copied().unwrap_or(1);
        // sources have checked that rows are whole blocks and that the sizes fit
        let matrices = tensor.shape.dimensions().iter().skip(2).product();
        let rows_per_chunk = (CHUNK_VALUES / row.max(1)).clamp(1, rows_per_matrix.max(1));
        let step = Step {
            source: target.source,
            ty,
            targets: vec![target],
            row,
            source_row_bytes: ty.row_bytes(row).unwrap_or(0),
            rows_per_matrix,
            matrices,
            rows_per_chunk,
            first_chunk: chunks,
            // rows of no values have no data
            chunks: if row == 0 { 0 } else { rows_per_matrix.div_ceil(rows_per_chunk) * matrices },
        };
        chunks += step.chunks;
        steps.push(step);
    }
    Ok(steps)
}

/// What the threads share.
struct Work<'w> {
    source: &'w dyn Source,
    outputs: Vec<&'w Output>,
    steps: Vec<Step<'w>>,
    chunks: u64,
    isa: Isa,
    /// The next chunk to be taken. Chunks are taken in order, so the files are read nearly front to back.
    next: AtomicU64,
    values: AtomicU64,
    /// The error of the earliest chunk that failed, so that the same fault is reported on every run.
    failed: Mutex<Option<(u64, Error)>>,
    on: &'w (dyn Fn(Event<'_>) + Sync),
}

/// What a thread keeps between chunks.
#[derive(Default)]
struct Buffers {
    source: Vec<u8>,
    values: Vec<f32>,
    out: Vec<u8>,
}

impl Work<'_> {
    fn work(&self) {
        let mut buffers = Buffers::default();
        loop {
            let chunk = self.next.fetch_add(1, Ordering::Relaxed);
            if chunk >= self.chunks || self.has_failed() {
                return;
            }
            if let Err(error) = self.do_chunk(chunk, &mut buffers) {
                let mut failed = self.failed.lock().unwrap_or_else(|poison| poison.into_inner());
                if failed.as_ref().is_none_or(|(earlier, _)| chunk < *earlier) {
                    *failed = Some((chunk, error));
                }
                return;
            }
        }
    }

    fn has_failed(&self) -> bool {
        self.failed.lock().unwrap_or_else(|poison| poison.into_inner()).is_some()
    }

    fn do_chunk(&self, chunk: u64, buffers: &mut Buffers) -> Result<(), Error> {
        let step = &self.steps[self.steps.partition_point(|step| step.first_chunk <= chunk) - 1];
        let (matrix, rows) = step.chunk(chunk - step.first_chunk);
        if rows.start == 0 {
            (self.on)(Event::Tensor { name: &self.source.tensors()[step.source].name });
        }
        self.source.read_rows(step.source, rows.clone(), &mut buffers.source)?;
        let count = (rows.end - rows.start) * step.row;
        buffers.values.clear();
        for target in &step.targets {
            self.do_target(step, target, matrix, &rows, count as usize, buffers)?;
        }
        let values = self.values.fetch_add(count, Ordering::Relaxed) + count;
        (self.on)(Event::Progress { values });
        Ok(())
    }

    fn do_target(
        &self,
        step: &Step<'_>,
        target: &Target<'_>,
        matrix: u64,
        rows: &Range<u64>,
        count: usize,
        buffers: &mut Buffers,
    ) -> Result<(), Error> {
        let output = self.outputs[target.file];
        let TensorType::Known(ty) = output.tensor(target.tensor).ty else {
            unreachable!("a draft has known types")
        };
        let name = || self.source.tensors()[step.source].name.clone();
        let Buffers { source, values, out } = buffers;
        let blocks = if ty == step.ty {
            // encoding finds out about bad values, copying has to look
            if let Some((block, defect)) = ty.first_defect(source) {
                let in_row = (step.row / ty.block_values() as u64).max(1);
                let (row, block) = (rows.start + block as u64 / in_row, block as u64 % in_row);
                return Err(Error::Defect { tensor: name(), ty, row, block, defect });
            }
            source
        } else {
            if values.is_empty() {
                values.resize(count, 0.0);
                decode(self.isa, step.ty, source, values);
            }
            let row = step.row as usize;
            out.resize(count / ty.block_values() * ty.block_bytes(), 0);
            let weights = target.weights.map(|weights| &weights[matrix as usize * row..][..row]);
            encode_rows(self.isa, ty, values, row, weights, out)
                .map_err(|error| encode_error(name(), rows.start, step.row, error))?;
            out
        };
        let start = rows.start * ty.row_bytes(step.row).unwrap_or(0);
        if output.draft().endian() == Endian::Big {
            let mut swapped = blocks.clone();
            ty.swap_bytes(&mut swapped);
            return output.write(target.tensor, start, &swapped);
        }
        output.write(target.tensor, start, blocks)
    }
}

/// The error with places counted in the tensor, not in the rows that were encoded together.
fn encode_error(tensor: String, first_row: u64, row_values: u64, error: EncodeError) -> Error {
    let place = |index: usize| (first_row + index as u64 / row_values, index as u64 % row_values);
    match error {
        EncodeError::NotFinite { index, value } => {
            let (row, column) = place(index);
            Error::NotFinite { tensor, row, column, value }
        }
        EncodeError::OutOfRange { index, ty, defect } => {
            let (row, column) = place(index);
            Error::OutOfRange { tensor, row, column, ty, defect }
        }
        source => Error::Encode { tensor, source },
    }
}

//! Execution of a conversion: rows stream from the source through the encoders to their files.
//!
//! The work is split into chunks: runs of rows with about [`CHUNK_VALUES`] values. Each thread
//! takes the next chunk, reads it, decodes it, encodes it for each output and writes it at its
//! offset. All offsets are known from the start, so threads do not wait for each other. Reading,
//! encoding and writing overlap, and neither many small tensors nor one huge tensor leaves a core
//! idle. A thread holds one chunk (or one row, if that is longer) in the source's type, in `f32`
//! and in the output's type, so memory use does not depend on the size of the model.

mod event;
mod identity;
mod open;
mod part;
mod progress;
mod step;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use granule_encode::{Effort, EncodeError, EncodeOptions, encode_rows, matrix_weights};
use granule_format::{Draft, Endian, TensorType};
use granule_reader::isa::Isa;
use granule_reader::{Source, decode_blocks};

use crate::Error;
use crate::output::{self, Output};
use crate::tune::feedback::{self, Calibration, Setting};
use crate::verify::{self, Cause, Rows, Verified};
pub use event::Event;
use identity::Stamps;
use open::open;
use progress::Progress;
use step::{Step, steps};

pub(crate) use identity::Identity;
pub use identity::{of_chunks, of_chunks_anywhere};
pub use output::{Upload, Uploads, check_output};
pub use part::{Part, PartError};

/// Number of values that a thread processes at a time, unless one row is longer.
pub const CHUNK_VALUES: u64 = 1 << 17;

/// The default interval at which complete tensors are recorded.
pub const NOTE_EVERY: Duration = Duration::from_millis(200);

/// A file to write.
#[derive(Clone, Debug)]
pub struct OutputFile {
    /// The path that it gets when it is complete.
    pub path: PathBuf,
    /// Its header.
    pub draft: Draft,
}

/// The destination of the rows of a source tensor.
#[derive(Clone, Copy, Debug)]
pub struct Target<'w> {
    /// Index of the tensor in [`Source::tensors`].
    pub source: usize,
    /// Index of the file.
    pub file: usize,
    /// Index of the tensor in the file's draft, which has the type to encode to.
    pub tensor: usize,
    /// The importance of each column of each matrix of the third dimension: `row length * matrices`
    /// values.
    pub weights: Option<&'w [f32]>,
    /// The effort to encode with.
    pub effort: Effort,
    /// Whether the model is run for it: [`RunOptions::calibration`].
    pub calibrated: bool,
}

/// Options of a run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Number of threads; `None` is one per core. The bytes do not depend on it.
    pub threads: Option<usize>,
    /// The instruction set; `None` is the best available. The bytes do not depend on it.
    pub isa: Option<Isa>,
    /// The part of the files to write; `None` is all of them. The bytes of a file do not depend on
    /// it, so several machines can write the parts of one result. Codes that are chosen while the
    /// model runs depend on all tensors: a part of them is an error.
    pub part: Option<Part>,
    /// Whether to discard the files of an interrupted run. Otherwise, a run continues an
    /// interrupted one with the same source, files and targets: completed tensors are not encoded
    /// again. Files of a different run are then an error.
    pub restart: bool,
    /// Whether to compare rows of every tensor with the source before the files get their final
    /// names.
    pub verify: bool,
    /// Files that no output may replace, in addition to those of the source.
    pub inputs: Vec<PathBuf>,
    /// The interval at which complete tensors are flushed to the disk and recorded, so that another
    /// run can continue this one if it is killed. `None` is [`NOTE_EVERY`], or longer if the disk
    /// is slow.
    pub note_every: Option<Duration>,
    /// A flag that stops the run soon after it is set, with [`Error::Interrupted`]. Complete
    /// tensors are kept for another run.
    pub stop: Option<Arc<AtomicBool>>,
    /// Where outputs go whose paths are no paths of this machine. They are complete or absent, and
    /// can be continued. They cannot be [verified](Self::verify), or
    /// [calibrated](Target::calibrated).
    pub uploads: Option<Arc<dyn Uploads>>,
    /// What to choose the codes of [`calibrated`](Target::calibrated) targets with.
    pub calibration: Option<Arc<Calibration>>,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Number of values that were read.
    pub values: u64,
    /// Bytes of the tensors that were read.
    pub source_bytes: u64,
    /// The files that were written, in order, with their sizes in bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// Bytes of tensor data in the files, without padding.
    pub data_bytes: u64,
    /// Tensors of the files that an interrupted run had completed.
    pub resumed: usize,
    /// The result of the comparison with the source, if it was requested.
    pub verified: Option<Verified>,
    /// Duration of the run.
    pub elapsed: Duration,
}

/// Reads every source tensor that has a target once, in the order of `targets`, and writes the
/// files.
///
/// # Errors
/// If an output cannot be written, a source cannot be read, a tensor has values that cannot be
/// encoded, a file does not match the source ([`RunOptions::verify`]), its part has no files, or
/// the run is stopped. None of the new files exists then; existing files of the same names are
/// unchanged.
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
    let own;
    let (files, targets) = match options.part {
        Some(part) => {
            let (files, only) = part.only(files, targets, options)?;
            own = only;
            (files, own.as_slice())
        }
        None => (files, targets),
    };
    let stamps = Stamps::of(source.files())?;
    let mut outputs = open(source, &stamps, files, targets, options, on)?;
    let on_disk = outputs.iter().filter_map(|it| Some((it.place()?, it.missing_bytes())));
    output::check_space(on_disk)?;
    outputs.iter().try_for_each(Output::begin)?;

    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads.unwrap_or(0))
        .build()
        .map_err(Error::Threads)?;
    let is_done = |target: &Target<'_>| outputs[target.file].is_done(target.tensor);
    let is_left = |target: &&Target<'_>| !(target.calibrated || is_done(target));
    let steps = steps(source, targets.iter().filter(is_left))?;
    let resumed = targets.iter().filter(|target| is_done(target)).count();
    if outputs.iter().any(Output::is_continued) {
        on(Event::Continued { complete: resumed, tensors: targets.len() });
    }
    let isa = options.isa.unwrap_or_else(Isa::detect);
    let values_of =
        |target: &&Target<'_>| source.tensors()[target.source].shape.values().unwrap_or(0);
    let to_tune = targets.iter().filter(|target| target.calibrated && !is_done(target));
    on(Event::Started {
        values: to_tune.clone().map(|target| values_of(&target)).sum::<u64>()
            + steps.iter().map(|step| step.rows() * step.row).sum::<u64>(),
        tensors: to_tune.count() + steps.len(),
        resumed,
    });
    let tuned = match tune(source, &outputs, targets, options, isa, &pool, on) {
        Ok(tuned) => tuned,
        Err(Error::Interrupted { .. }) => return Err(interrupted(&mut outputs)),
        Err(error) => return Err(error),
    };
    let work = Work {
        source,
        outputs: outputs.iter().collect(),
        chunks: steps.last().map_or(0, |step| step.first_chunk + step.chunks),
        progress: Progress::new(&steps, options.note_every),
        steps,
        isa,
        next: AtomicU64::new(0),
        values: AtomicU64::new(tuned),
        failed: Mutex::new(None),
        stop: options.stop.as_deref(),
        stopped: AtomicBool::new(false),
        on,
    };
    work.steps.iter().for_each(|step| source.will_read(step.source));
    pool.broadcast(|_| work.work());
    let values = work.values.load(Ordering::Relaxed);
    let source_bytes = work.steps.iter().map(|step| step.rows() * step.source_row_bytes).sum();
    let kept = outputs.iter().any(Output::is_continued);
    match work.end(kept, options.verify) {
        Some(Error::Interrupted { .. }) => return Err(interrupted(&mut outputs)),
        Some(error) => return Err(error),
        None => {}
    }

    on(Event::Finishing);
    outputs.iter().try_for_each(Output::flush)?;
    let mut verified = None;
    if options.verify {
        on(Event::Verifying);
        let found = pool.install(|| verify_outputs(source, &outputs, targets, options));
        match found {
            Ok(found) => verified = Some(found),
            Err(Error::Interrupted { .. }) => return Err(interrupted(&mut outputs)),
            Err(mut error) => {
                if let Error::Differs { cause: Cause::Written { changed, .. }, .. } = &mut error {
                    *changed = stamps.changed().map(Path::to_owned);
                    outputs.iter_mut().for_each(Output::discard);
                }
                return Err(error);
            }
        }
    }
    let tensors = outputs.iter().flat_map(|output| output.draft().tensors());
    let data_bytes = tensors.filter_map(|tensor| tensor.bytes()).sum();
    let files = publish(outputs)?;
    let elapsed = begin.elapsed();
    Ok(Summary { values, source_bytes, files, data_bytes, resumed, verified, elapsed })
}

/// Writes the targets for which the model is run.
fn tune(
    source: &dyn Source,
    outputs: &[Output],
    targets: &[Target<'_>],
    options: &RunOptions,
    isa: Isa,
    pool: &rayon::ThreadPool,
    on: &(dyn Fn(Event<'_>) + Sync),
) -> Result<u64, Error> {
    if !targets.iter().any(|target| target.calibrated) {
        return Ok(0);
    }
    let calibration = options.calibration.as_deref().ok_or(Error::NoCalibration)?;
    let stop = options.stop.as_deref();
    let setting = Setting { source, outputs, calibration, isa, stop, on };
    pool.install(|| feedback::run(&setting, targets))
}

/// Keeps the complete tensors for another run.
fn interrupted(outputs: &mut [Output]) -> Error {
    // keeps each of them, whatever the others return
    let kept = outputs.iter_mut().map(Output::keep).fold(false, |any, kept| any | kept);
    Error::Interrupted { kept }
}

/// Compares the files with the source.
fn verify_outputs(
    source: &dyn Source,
    outputs: &[Output],
    targets: &[Target<'_>],
    options: &RunOptions,
) -> Result<Verified, Error> {
    let cause = |continued| Cause::Written { continued, changed: None };
    if let Some(output) = outputs.iter().find(|output| !output.has_header()) {
        let (path, tensor) = (output.path().to_owned(), String::new());
        return Err(Error::Differs { path, tensor, row: None, cause: cause(false) });
    }
    let rows = targets.iter().map(|target| {
        let output = &outputs[target.file];
        let tensor = output.tensor(target.tensor);
        Rows {
            path: output.path(),
            name: &tensor.name,
            shape: tensor.shape,
            ty: tensor.ty,
            source: target.source,
            weights: target.weights,
            effort: target.effort,
            calibrated: target.calibrated,
            cause: cause(output.is_done(target.tensor)),
            read: Box::new(|row, out| output.read_row(target.tensor, row, out)),
        }
    });
    verify::compare(source, &rows.collect::<Vec<_>>(), options.stop.as_deref())
}

/// Gives all files their final names. A set of files is incomplete only for a moment; if renaming
/// fails, another run completes the set.
fn publish(mut outputs: Vec<Output>) -> Result<Vec<(PathBuf, u64)>, Error> {
    let several = outputs.len() > 1;
    if several {
        outputs.iter().try_for_each(Output::note_complete)?;
    }
    if let Err(error) = outputs.iter_mut().try_for_each(Output::publish) {
        if several {
            outputs.iter_mut().for_each(|output| _ = output.keep());
        }
        return Err(error);
    }
    let mut files = Vec::with_capacity(outputs.len());
    for output in outputs {
        files.push((output.path().to_owned(), output.bytes()));
        output.finish()?;
    }
    Ok(files)
}

/// The state shared by the threads.
struct Work<'w> {
    source: &'w dyn Source,
    outputs: Vec<&'w Output>,
    steps: Vec<Step<'w>>,
    chunks: u64,
    isa: Isa,
    /// The next chunk to process. Chunks are processed in order, so the files are read almost
    /// sequentially.
    next: AtomicU64,
    values: AtomicU64,
    /// The error of the earliest chunk that failed, so that the same fault is reported on every
    /// run.
    failed: Mutex<Option<(u64, Error)>>,
    progress: Progress,
    /// Set by the caller to stop the run.
    stop: Option<&'w AtomicBool>,
    /// Whether the run stopped early for that reason.
    stopped: AtomicBool,
    on: &'w (dyn Fn(Event<'_>) + Sync),
}

/// The buffers that a thread keeps between chunks.
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
            if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                self.stopped.store(true, Ordering::Relaxed);
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

    /// Returns why the run is incomplete, if it is. Complete tensors are recorded if the run was
    /// stopped, if the files are `kept` although it failed, or if it can still be stopped because
    /// the files are going to be `verified`.
    fn end(self, kept: bool, verified: bool) -> Option<Error> {
        let stopped = self.stopped.into_inner();
        let failed = self.failed.into_inner().unwrap_or_else(|poison| poison.into_inner());
        let error = failed.map(|(_, error)| error);
        if stopped || verified || kept && error.is_some() {
            let noted = self.progress.note(&self.steps, &self.outputs);
            return error.or(noted.err()).or(stopped.then_some(Error::Interrupted { kept: true }));
        }
        error
    }

    fn has_failed(&self) -> bool {
        self.failed.lock().unwrap_or_else(|poison| poison.into_inner()).is_some()
    }

    fn do_chunk(&self, chunk: u64, buffers: &mut Buffers) -> Result<(), Error> {
        let index = self.steps.partition_point(|step| step.first_chunk <= chunk) - 1;
        let step = &self.steps[index];
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
        self.progress.chunk_written(index, &self.steps, &self.outputs)?;
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
            // encoding detects invalid values, copying must check for them
            if let Some((block, defect)) = ty.first_defect(source) {
                let in_row = (step.row / ty.block_values() as u64).max(1);
                let (row, block) = (rows.start + block as u64 / in_row, block as u64 % in_row);
                return Err(Error::Defect { tensor: name(), ty, row, block, defect });
            }
            source
        } else {
            if values.is_empty() {
                values.resize(count, 0.0);
                decode_blocks(self.isa, step.ty, source, values);
            }
            let row = step.row as usize;
            out.resize(count / ty.block_values() * ty.block_bytes(), 0);
            let weights = target.weights.map(|weights| matrix_weights(weights, matrix, row));
            let options = EncodeOptions::from(self.isa).with_effort(target.effort);
            encode_rows(options, ty, values, row, weights.as_deref(), out)
                .map_err(|error| encode_error(name(), values, rows.start, step.row, error))?;
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

/// Converts the error to positions in the tensor instead of in the rows that were encoded together.
pub(crate) fn encode_error(
    tensor: String,
    values: &[f32],
    first_row: u64,
    row_values: u64,
    error: EncodeError,
) -> Error {
    let place = |index: usize| (first_row + index as u64 / row_values, index as u64 % row_values);
    match error {
        EncodeError::NotFinite { index, value } => {
            let (row, column) = place(index);
            Error::NotFinite { tensor, row, column, value }
        }
        EncodeError::OutOfRange { index, ty, .. } if ty.block_values() == 1 => {
            let (row, column) = place(index);
            Error::Range { tensor, row, column, value: values[index], ty }
        }
        EncodeError::OutOfRange { index, ty, defect } => {
            let (row, column) = place(index);
            Error::OutOfRange { tensor, row, column, ty, defect }
        }
        source => Error::Encode { tensor, source },
    }
}

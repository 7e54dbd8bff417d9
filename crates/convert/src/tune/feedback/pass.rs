use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use granule_encode::{Feedback, takes_feedback};
use granule_format::BlockType;
use granule_infer::Place;
use granule_infer::statistics::{Lost, Moments};
use granule_infer::stream::{Fault, Observed, Observer, Product};

use super::encode::{Guide, encode_matrix, write};
use super::inputs::Inputs;
use super::saved::{Entry, Saved, Saver, architecture};
use super::{PRIOR, Setting, known};
use crate::Error;
use crate::run::{Event, Target};

/// Rows before the output whose moments are summed together.
const LAST_ROWS: usize = 256;

/// A tensor to encode.
pub(super) struct Job<'t> {
    pub(super) target: &'t Target<'t>,
    pub(super) stored: BlockType,
    pub(super) ty: BlockType,
    pub(super) columns: usize,
    /// Rows of a matrix.
    pub(super) rows: usize,
    matrices: usize,
    /// Whether its blocks are in the file.
    written: bool,
}

impl<'t> Job<'t> {
    pub(super) fn new(setting: &Setting<'_>, target: &'t Target<'t>) -> Self {
        let tensor = &setting.source.tensors()[target.source];
        let length = |i: usize| tensor.shape.dimensions().get(i).map_or(1, |n| *n as usize);
        let matrices = (2..tensor.shape.dimensions().len()).map(length).product();
        let output = &setting.outputs[target.file];
        Self {
            target,
            stored: known(tensor.ty),
            ty: known(output.tensor(target.tensor).ty),
            columns: length(0),
            rows: length(1),
            matrices,
            written: output.is_done(target.tensor),
        }
    }

    /// Returns whether its blocks are in the file.
    pub(super) const fn is_complete(&self) -> bool {
        self.written
    }

    /// Bytes of a matrix.
    fn bytes(&self) -> usize {
        self.columns * self.rows / self.ty.block_values() * self.ty.block_bytes()
    }
}

/// Nothing is left to be encoded.
#[derive(Debug)]
pub(super) struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all matrices are encoded")
    }
}

impl std::error::Error for Stop {}

/// The blocks of a tensor of the current layer.
struct Encoded {
    ty: BlockType,
    /// Bytes of a matrix.
    bytes: usize,
    blocks: Vec<u8>,
    /// The matrices that are encoded.
    ready: Vec<bool>,
}

/// The inputs of an expert that few tokens have met.
struct Few {
    index: usize,
    matrix: usize,
    moments: Moments,
}

/// The inputs of the output.
struct Last {
    index: usize,
    moments: Moments,
    /// Those that are not in the moments yet.
    rows: Vec<f32>,
}

/// A run of the model that encodes tensors on the way.
pub(super) struct Pass<'p> {
    setting: &'p Setting<'p>,
    jobs: BTreeMap<usize, Job<'p>>,
    /// The tensors of each layer.
    layers: Vec<Vec<usize>>,
    /// Layers that have begun.
    begun: usize,
    inputs: Inputs,
    encoded: BTreeMap<usize, Encoded>,
    few: Vec<Few>,
    /// The moments of all experts of a tensor, or of the output's inputs.
    all: BTreeMap<usize, Moments>,
    last: Option<Last>,
    /// Chunks of the text, and those that were left.
    chunks: usize,
    lost: HashSet<usize>,
    /// The file for moments, and those of the layer by tensor.
    saver: Option<Saver>,
    to_save: BTreeMap<usize, Vec<Moments>>,
    /// The number of matrices of experts that few inputs met, and that with the fewest.
    scarce: usize,
    scarcest: Option<(u64, usize, usize)>,
    /// Values that were encoded, in earlier passes too.
    values: u64,
}

impl<'p> Pass<'p> {
    pub(super) fn new(
        setting: &'p Setting<'p>,
        jobs: BTreeMap<usize, Job<'p>>,
        layers: Vec<Vec<usize>>,
        chunks: usize,
        values: u64,
    ) -> Self {
        Self {
            setting,
            jobs,
            layers,
            begun: 0,
            inputs: Inputs::default(),
            encoded: BTreeMap::new(),
            few: Vec::new(),
            all: BTreeMap::new(),
            last: None,
            chunks,
            lost: HashSet::new(),
            saver: None,
            to_save: BTreeMap::new(),
            scarce: 0,
            scarcest: None,
            values,
        }
    }

    /// Ends the last layer. Returns the number of values that all passes have encoded.
    pub(super) fn finish(mut self) -> Result<u64, Error> {
        self.end_layer()?;
        if let Some(saver) = self.saver.take() {
            saver.finish()?;
        }
        if let Some((inputs, index, expert)) = self.scarcest {
            let tensor = &self.setting.source.tensors()[index].name;
            let matrices = self.scarce;
            (self.setting.on)(Event::FewInputs { tensor, expert, inputs, matrices });
        }
        Ok(self.values)
    }

    /// Encodes what is left of the layer, and records its tensors as complete.
    fn end_layer(&mut self) -> Result<(), Error> {
        let Some(layer) = self.begun.checked_sub(1) else { return Ok(()) };
        self.end_last();
        for few in std::mem::take(&mut self.few) {
            let mut moments = few.moments;
            self.count(few.index, few.matrix, moments.rows());
            if let Some(all) = self.all.get(&few.index) {
                moments.add_part(all, PRIOR as f64 / all.rows().max(1) as f64);
            }
            self.encode(few.index, few.matrix, Known::Moments(moments))?;
        }
        for index in self.layers.get(layer).cloned().unwrap_or_default() {
            let Some(job) = self.jobs.get(&index).filter(|job| !job.written) else { continue };
            let matrices = job.matrices;
            for matrix in 0..matrices {
                if !self.is_ready(index, matrix) {
                    let all = self.all.get(&index).cloned();
                    let known = all.map_or(Known::Nothing, Known::Moments);
                    if matrices > 1 {
                        self.count(index, matrix, 0);
                    }
                    self.encode(index, matrix, known)?;
                }
            }
        }
        let mut complete: Vec<Vec<usize>> = vec![Vec::new(); self.setting.outputs.len()];
        for index in self.encoded.keys() {
            let job = self.jobs.get_mut(index).expect("only jobs are encoded");
            if !job.written {
                job.written = true;
                complete[job.target.file].push(job.target.tensor);
            }
        }
        for (output, mut tensors) in self.setting.outputs.iter().zip(complete) {
            if !tensors.is_empty() {
                tensors.sort_unstable();
                output.note(&tensors)?;
            }
        }
        self.encoded.clear();
        self.all.clear();
        self.save(layer)
    }

    /// Adds an input of the output, if that is to be encoded or its moments are to be saved.
    fn see_last(&mut self, x: &[f32]) {
        if self.last.is_none() {
            let outputs = self.layers.get(self.begun - 1).into_iter().flatten();
            let Some(index) = outputs.copied().next() else { return };
            let Some(job) = self.jobs.get(&index) else { return };
            let (columns, written) = (job.columns, job.written);
            if columns != x.len() || (written && !self.is_to_be_saved(index)) {
                return;
            }
            let moments = Moments::new(columns, self.setting.calibration.span(columns));
            self.last = Some(Last { index, moments, rows: Vec::new() });
        }
        if let Some(last) = &mut self.last {
            last.rows.extend_from_slice(x);
            if last.rows.len() >= LAST_ROWS * x.len() {
                last.moments.add(&last.rows);
                last.rows.clear();
            }
        }
    }

    /// Completes the moments of the output's inputs.
    fn end_last(&mut self) {
        let Some(Last { index, mut moments, rows }) = self.last.take() else { return };
        moments.add(&rows);
        let moments = moments.rounded(); // as they would be saved
        if self.is_to_be_saved(index) {
            self.to_save.insert(index, vec![moments.clone()]);
        }
        self.all.insert(index, moments);
    }

    /// Whether the moments of a tensor are to be written at the end of the layer: those of a tensor
    /// in several layers are, in the first.
    fn is_to_be_saved(&self, index: usize) -> bool {
        let first = self.layers.iter().position(|layer| layer.contains(&index));
        self.saver.is_some() && first.is_some_and(|first| first + 1 == self.begun)
    }

    /// Writes the moments of a layer.
    fn save(&mut self, layer: usize) -> Result<(), Error> {
        for index in self.layers.get(layer).cloned().unwrap_or_default() {
            let Some(job) = self.jobs.get(&index).filter(|_| self.is_to_be_saved(index)) else {
                continue;
            };
            let (columns, matrices) = (job.columns, job.matrices);
            let width = self.setting.calibration.span(columns);
            let none = || vec![Moments::new(columns, width); matrices];
            let moments = self.to_save.remove(&index).unwrap_or_else(none);
            let name = &self.setting.source.tensors()[index].name;
            if let Some(saver) = &mut self.saver {
                saver.add(name, &moments)?;
            }
        }
        self.to_save.clear();
        Ok(())
    }

    /// Writes moments to a file on the way.
    pub(super) fn save_to(&mut self, path: &Path, tokens: usize) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let mut entries = Vec::new();
        for index in self.layers.iter().flatten().filter(|index| seen.insert(**index)) {
            let Some(job) = self.jobs.get(index) else { continue };
            let width = self.setting.calibration.span(job.columns);
            entries.push(Entry {
                name: &self.setting.source.tensors()[*index].name,
                values: Moments::values(job.columns, width),
                matrices: job.matrices,
            });
        }
        let (source, width) = (self.setting.source, self.setting.calibration.width);
        let (inputs, architecture) = (source.inputs(), architecture(source));
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        let architecture = architecture.as_deref();
        self.saver = Some(Saver::create(path, &inputs, architecture, width, tokens, &entries)?);
        Ok(())
    }

    /// Encodes everything by moments in a file.
    pub(super) fn by_saved(&mut self, saved: &Saved) -> Result<(), Error> {
        for layer in 0..self.layers.len() {
            self.end_layer()?;
            self.begun = layer + 1;
            (self.setting.on)(Event::Layer { layer, layers: self.layers.len() });
            for index in self.layers[layer].clone() {
                let Some(job) = self.jobs.get(&index).filter(|job| !job.written) else { continue };
                if self.setting.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                    return Err(Error::Interrupted { kept: true });
                }
                let (columns, matrices) = (job.columns, job.matrices);
                let width = self.setting.calibration.span(columns);
                let name = &self.setting.source.tensors()[index].name;
                let moments = saved.read(name, columns, width, matrices)?.unwrap_or_default();
                for (matrix, moments) in moments.into_iter().enumerate() {
                    if moments.rows() == 0 {
                        continue;
                    }
                    if matrices > 1 && self.is_few(index, matrix, &moments) {
                        continue;
                    }
                    self.encode(index, matrix, Known::Moments(moments))?;
                }
            }
        }
        Ok(())
    }

    /// Counts a matrix that few inputs met.
    fn count(&mut self, index: usize, matrix: usize, inputs: u64) {
        self.scarce += 1;
        let this = (inputs, index, matrix);
        self.scarcest = Some(self.scarcest.map_or(this, |least| least.min(this)));
    }

    fn is_ready(&self, index: usize, matrix: usize) -> bool {
        self.encoded.get(&index).is_some_and(|encoded| encoded.ready[matrix])
    }

    /// Encodes and writes a matrix.
    fn encode(&mut self, index: usize, matrix: usize, known: Known) -> Result<(), Error> {
        let job = &self.jobs[&index];
        let (columns, calibration) = (job.columns, self.setting.calibration);
        let (width, damping) = (calibration.span(columns), calibration.damping);
        let own;
        let guide = match known {
            Known::Moments(moments) if takes_feedback(job.ty) => {
                own = Feedback::new(columns, width, &moments.means(), damping, job.ty);
                Guide::Feedback(&own)
            }
            Known::Moments(moments) => Guide::Weights(moments.mean_squares()),
            Known::Inputs => match takes_feedback(job.ty) {
                true => Guide::Feedback(self.inputs.feedback(columns, width, damping, job.ty)),
                false => Guide::Weights(self.inputs.moments().mean_squares()),
            },
            Known::Nothing => Guide::Nothing,
        };
        let encoded = self.encoded.entry(index).or_insert_with(|| Encoded::new(job));
        let out = &mut encoded.blocks[matrix * job.bytes()..][..job.bytes()];
        encode_matrix(self.setting, job, matrix, &guide, out)?;
        write(self.setting, job, matrix, out)?;
        encoded.ready[matrix] = true;
        self.values += (job.columns * job.rows) as u64;
        let values = self.values;
        (self.setting.on)(Event::Progress { values });
        Ok(())
    }

    /// Reads a tensor back that an earlier run has written.
    fn read_back(&mut self, index: usize) -> Result<(), Error> {
        if self.encoded.contains_key(&index) {
            return Ok(());
        }
        let job = &self.jobs[&index];
        let mut encoded = Encoded::new(job);
        encoded.ready.fill(true);
        let output = &self.setting.outputs[job.target.file];
        let mut row = Vec::new();
        let row_bytes = job.bytes() / job.rows.max(1);
        for (number, to) in (0..).zip(encoded.blocks.chunks_exact_mut(row_bytes.max(1))) {
            output.read_row(job.target.tensor, number, &mut row)?;
            to.copy_from_slice(&row);
        }
        self.encoded.insert(index, encoded);
        Ok(())
    }

    /// Adds the moments of an expert to those of all. If they are of few inputs, keeps them for the
    /// end of the layer.
    fn is_few(&mut self, index: usize, matrix: usize, moments: &Moments) -> bool {
        let columns = self.jobs[&index].columns;
        let width = self.setting.calibration.span(columns);
        let all = self.all.entry(index).or_insert_with(|| Moments::new(columns, width));
        all.add_part(moments, 1.0);
        let is_few = moments.rows() < PRIOR;
        if is_few {
            self.few.push(Few { index, matrix, moments: moments.clone() });
        }
        is_few
    }

    fn see(&mut self, product: &Product<'_>) -> Result<(), Error> {
        let (index, matrix) = (product.index, product.expert.unwrap_or(0));
        let Some(job) = self.jobs.get(&index) else { return Ok(()) };
        if self.setting.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(Error::Interrupted { kept: true });
        }
        let (columns, matrices, is_written) = (job.columns, job.matrices, job.written);
        let width = self.setting.calibration.span(columns);
        if self.is_to_be_saved(index) {
            self.inputs.see(product.x, columns, width);
            let none = || vec![Moments::new(columns, width); matrices];
            self.to_save.entry(index).or_insert_with(none)[matrix] = self.inputs.moments().clone();
        }
        if is_written {
            return self.read_back(index);
        }
        if self.is_ready(index, matrix) {
            return Ok(());
        }
        self.inputs.see(product.x, columns, width);
        if matrices > 1 {
            let moments = self.inputs.moments().clone();
            if self.is_few(index, matrix, &moments) {
                return Ok(());
            }
        }
        self.encode(index, matrix, Known::Inputs)
    }
}

impl Observer for Pass<'_> {
    fn layer(&mut self, layer: usize) -> Observed {
        self.end_layer()?;
        self.begun = layer + 1;
        let is_left = |index: &usize| self.jobs.get(index).is_some_and(|job| !job.written);
        if self.saver.is_none() && !self.layers.iter().skip(layer).flatten().any(is_left) {
            return Err(Box::new(Stop));
        }
        (self.setting.on)(Event::Layer { layer, layers: self.layers.len() });
        Ok(())
    }

    fn product(&mut self, product: &Product<'_>) -> Observed {
        Ok(self.see(product)?)
    }

    fn hidden(&mut self, _: Place, x: &[f32]) -> Observed {
        self.see_last(x);
        Ok(())
    }

    fn instead(&self, index: usize, matrix: usize) -> Option<(BlockType, &[u8])> {
        let encoded = self.encoded.get(&index).filter(|encoded| encoded.ready[matrix])?;
        Some((encoded.ty, &encoded.blocks[matrix * encoded.bytes..][..encoded.bytes]))
    }

    fn fault(&mut self, fault: &Fault<'_>) -> Observed {
        self.lost.insert(fault.place.chunk);
        let lost = Lost::from(fault);
        if self.lost.len() == self.chunks {
            return Err(Box::new(Error::NoChunk(lost)));
        }
        (self.setting.on)(Event::ChunkLost { lost: &lost });
        Ok(())
    }
}

impl Encoded {
    fn new(job: &Job<'_>) -> Self {
        let (bytes, matrices) = (job.bytes(), job.matrices);
        let blocks = vec![0; bytes * matrices];
        Self { ty: job.ty, bytes, blocks, ready: vec![false; matrices] }
    }
}

/// What is known about the inputs of a matrix.
enum Known {
    /// They are those that were seen last.
    Inputs,
    Moments(Moments),
    /// No product was announced.
    Nothing,
}

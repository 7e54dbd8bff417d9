use std::path::Path;

use granule_infer::statistics::Lost;

/// An event of a run. Events come from all threads.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The files of an interrupted run for this output were removed, because they cannot be
    /// continued or were to be discarded.
    LeftoverRemoved {
        /// The output.
        path: &'a Path,
    },
    /// The run continues an interrupted one.
    Continued {
        /// Number of complete tensors of all outputs.
        complete: usize,
        /// Number of tensors of all outputs.
        tensors: usize,
    },
    /// The outputs exist under temporary names, and encoding begins.
    Started {
        /// Number of values to read.
        values: u64,
        /// Number of tensors to read.
        tensors: usize,
        /// Number of tensors of the outputs that an interrupted run has completed.
        resumed: usize,
    },
    /// The first rows of a tensor are about to be read.
    Tensor {
        /// Its name in the source.
        name: &'a str,
    },
    /// The model is run to choose codes, and a layer begins.
    Layer {
        /// The layer, from 0.
        layer: usize,
        /// The number of layers.
        layers: usize,
    },
    /// The model computed a number that is not finite from a part of the calibration text, which
    /// takes no further part.
    ChunkLost {
        /// The place.
        lost: &'a Lost,
    },
    /// Few inputs met some experts, which are encoded with the mean moments of all of their tensor.
    FewInputs {
        /// The tensor of the expert with the fewest.
        tensor: &'a str,
        /// The expert.
        expert: usize,
        /// Its inputs.
        inputs: u64,
        /// The number of matrices of experts that few inputs met.
        matrices: usize,
    },
    /// Rows were written.
    Progress {
        /// Number of values written so far, over all tensors.
        values: u64,
    },
    /// All rows are written; the files are flushed, perhaps verified, and renamed.
    Finishing,
    /// Rows of the files, which still have their temporary names, are compared with the source.
    Verifying,
}

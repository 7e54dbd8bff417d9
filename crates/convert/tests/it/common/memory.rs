#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "tests")]
//! A source with computed values.

use std::hash::Hasher;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use granule_format::{BlockType, Metadata, Shape};
use granule_reader::{Source, SourceTensor};

/// Tensors of `f32` in memory; one value may be replaced.
pub(crate) struct Memory {
    metadata: Metadata,
    pub(crate) tensors: Vec<SourceTensor>,
    pub(crate) bad: Option<(usize, usize, f32)>,
    /// Its reported files, and the way it is read.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) reading: u32,
    /// Number of values that were read.
    pub(crate) read: AtomicU64,
}

impl Memory {
    pub(crate) fn new(shapes: &[&[u64]]) -> Self {
        let tensors = shapes.iter().enumerate().map(|(i, dimensions)| SourceTensor {
            name: format!("tensor {i}"),
            shape: Shape::new(dimensions).unwrap(),
            ty: BlockType::F32.into(),
        });
        Self {
            metadata: Metadata::new(),
            tensors: tensors.collect(),
            bad: None,
            files: Vec::new(),
            reading: 0,
            read: AtomicU64::new(0),
        }
    }

    pub(crate) fn values(&self, index: usize, rows: Range<u64>) -> Vec<f32> {
        let row = self.tensors[index].shape.row();
        let value = |i: u64| {
            let hash = (i + 977 * index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            match self.bad {
                Some((tensor, at, value)) if (tensor, at as u64) == (index, i) => value,
                _ => hash as f32 / 8e6 - 1.0,
            }
        };
        (rows.start * row..rows.end * row).map(value).collect()
    }
}

impl Source for Memory {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn tensors(&self) -> &[SourceTensor] {
        &self.tensors
    }

    fn files(&self) -> Vec<&Path> {
        self.files.iter().map(PathBuf::as_path).collect()
    }

    fn fingerprint(&self, _: usize, into: &mut dyn Hasher) {
        into.write_u32(self.reading);
    }

    fn read_rows(
        &self,
        index: usize,
        rows: Range<u64>,
        out: &mut Vec<u8>,
    ) -> Result<(), granule_reader::Error> {
        let row = self.tensors[index].shape.row();
        self.read.fetch_add((rows.end - rows.start) * row, Ordering::Relaxed);
        out.clear();
        out.extend(self.values(index, rows).iter().flat_map(|value| value.to_le_bytes()));
        Ok(())
    }
}

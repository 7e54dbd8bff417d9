//! A tensor of a checkpoint, whatever its kind of file: rows of values that can be read at any
//! position.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::Error;
use crate::data_type::DataType;
use crate::file::DataFile;
use crate::view::View;

/// A tensor of a checkpoint. Its data looks contiguous: little-endian values, with the last
/// dimension varying fastest.
#[derive(Clone, Debug, Hash)]
pub(crate) struct StoredTensor {
    /// Its name in the checkpoint.
    pub(crate) name: String,
    /// The type of the values as they are read. For quantized tensors it differs from the type in
    /// the file.
    pub(crate) ty: DataType,
    /// Dimensions in values, outermost first.
    pub(crate) shape: Vec<u64>,
    /// Index of the file.
    pub(super) file: usize,
    pub(super) data: Data,
}

/// A tensor as described by a single file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) ty: DataType,
    /// Dimensions in values, outermost first.
    pub(super) shape: Vec<u64>,
    pub(super) data: Data,
}

/// Source of the data.
#[derive(Clone, Debug, Hash)]
pub(super) enum Data {
    /// Bytes of a file as they are, from this offset on.
    Range(u64),
    /// A file read with gaps, in another order of dimensions or in the other byte order.
    View(Box<View>),
    /// Several tensors that together form one.
    Joined(Arc<dyn Joined>),
}

/// Several stored tensors that together form one, such as codes and scales.
pub(super) trait Joined: Debug + Send + Sync {
    /// Fills `out` with the data at byte `start`. Both ends lie on boundaries of numbers, or of
    /// blocks.
    fn read(&self, files: &[DataFile], start: u64, out: &mut [u8]) -> Result<(), Error>;

    /// Returns the tensors that are read.
    fn parts(&self) -> Vec<&StoredTensor>;

    /// Returns whether the data are 8-bit floating point numbers with scales.
    fn is_float8(&self) -> bool {
        false
    }

    /// Returns whether the data may be joined with those of another type, which are widened.
    fn joins_any(&self) -> bool {
        self.merged().is_some()
    }

    /// Returns the tensor of the base model, if adapters are merged into it.
    fn merged(&self) -> Option<&StoredTensor> {
        None
    }

    /// Feeds `into` everything that determines the data, except the content of the files. The kind
    /// comes first.
    fn fingerprint(&self, into: &mut dyn Hasher);

    /// Returns the factors of a tensor of blocks that lack them.
    fn factors(&self) -> Option<Factors> {
        None
    }
}

/// Factors of a whole tensor, as the bits of an `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Factors {
    /// The factor of the weights.
    pub(super) scale: u32,
    /// The factor of the activations that the weights are multiplied with.
    pub(super) input: u32,
}

impl Factors {
    /// No factors.
    pub(super) const ONE: Self = Self { scale: 0x3f80_0000, input: 0x3f80_0000 };

    /// Returns the ends of the names of the factors' tensors, and their values.
    pub(crate) fn named(self) -> [(&'static str, f32); 2] {
        [(".scale", self.scale), (".input_scale", self.input)]
            .map(|(end, bits)| (end, f32::from_bits(bits)))
    }
}

impl Hash for dyn Joined {
    fn hash<H: Hasher>(&self, into: &mut H) {
        self.fingerprint(into);
    }
}

impl StoredTensor {
    /// Returns the number of values. Opening checked that neither it nor the number of bytes
    /// overflows.
    pub(crate) fn values(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Returns whether the file has 8-bit floating point numbers with scales.
    pub(crate) fn is_float8(&self) -> bool {
        matches!(&self.data, Data::Joined(joined) if joined.is_float8())
    }

    /// Returns whether adapters are merged into the tensor.
    pub(crate) fn is_merged(&self) -> bool {
        matches!(&self.data, Data::Joined(joined) if joined.merged().is_some())
    }

    /// Returns whether the tensor may be joined with one of another type, which is widened.
    pub(crate) fn joins_any(&self) -> bool {
        matches!(&self.data, Data::Joined(joined) if joined.joins_any())
    }

    /// Returns the type of the values before adapters were merged.
    pub(crate) fn own_type(&self) -> DataType {
        let base = match &self.data {
            Data::Joined(joined) => joined.merged(),
            _ => None,
        };
        base.map_or(self.ty, Self::own_type)
    }

    /// Returns the length of the data in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.values() / self.ty.values() * self.ty.bytes()
    }

    /// Returns the length of a row (the last dimension) in values.
    pub(crate) fn columns(&self) -> u64 {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Returns the factors that a tensor of blocks needs besides its data.
    pub(crate) fn factors(&self) -> Option<Factors> {
        match &self.data {
            Data::Joined(joined) => joined.factors(),
            _ => None,
        }
    }

    /// Returns the same data as bytes, which are the last dimension; `None` if they are not stored
    /// in this order.
    pub(super) fn as_bytes(&self) -> Option<Self> {
        let Data::Range(_) = self.data else { return None };
        let mut shape = self.shape.clone();
        let last = shape.last_mut()?;
        *last = last.checked_mul(self.ty.bytes())?;
        Some(Self { ty: DataType::U8, shape, ..self.clone() })
    }

    /// Says that the data are going to be read soon.
    pub(super) fn will_read(&self, files: &[DataFile]) {
        match &self.data {
            Data::Range(offset) => files[self.file].will_read(*offset..offset + self.bytes()),
            Data::View(view) => files[self.file].will_read(view.range()),
            Data::Joined(joined) => joined.parts().iter().for_each(|part| part.will_read(files)),
        }
    }

    /// Fills `out` with the data at byte `start`. Both ends lie on boundaries of numbers, or of
    /// blocks.
    ///
    /// # Panics
    /// If they do not, or if the range extends past the end of the data.
    pub(super) fn read(&self, files: &[DataFile], start: u64, out: &mut [u8]) -> Result<(), Error> {
        let end = start.checked_add(out.len() as u64);
        assert!(end.is_some_and(|end| end <= self.bytes()), "there are no such rows");
        assert!(
            start.is_multiple_of(self.ty.bytes())
                && (out.len() as u64).is_multiple_of(self.ty.bytes())
        );
        match &self.data {
            Data::Range(offset) => files[self.file].read_at(offset + start, out),
            Data::View(view) => view.read(&files[self.file], start, out),
            Data::Joined(joined) => joined.read(files, start, out),
        }
    }
}

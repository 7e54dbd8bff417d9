//! Weights that are decoded in whole rows, to `f32`.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use crate::data_type::DataType;
use crate::file::DataFile;
use crate::stored::{Data, Joined, StoredTensor};
use crate::{Error, Problem};

/// Rows to decode together if their codes run across words. Bounds the memory use.
const BATCH: u64 = 64;

/// A weight whose rows are decoded from the tensors of a quantized checkpoint.
pub(crate) trait Rows: Debug + Send + Sync {
    /// Returns the numbers of rows and columns.
    fn size(&self) -> [u64; 2];

    /// Returns the tensors that are read.
    fn parts(&self) -> Vec<&StoredTensor>;

    /// Returns whether the weight may be joined with others that have their stored type.
    fn joins_any(&self) -> bool {
        false
    }

    /// Decodes rows.
    fn decode(&self, files: &[DataFile], rows: Range<u64>) -> Result<Vec<f32>, Error>;
}

/// Such a weight as the data of a tensor.
#[derive(Debug)]
struct ByRows<T>(T);

/// Makes the tensor `name`, at the place of `codes`.
pub(crate) fn tensor(
    name: String,
    codes: &StoredTensor,
    weight: impl Rows + Hash + 'static,
) -> Result<StoredTensor, Problem> {
    let shape = weight.size().to_vec();
    let values = weight.size()[0].checked_mul(weight.size()[1]);
    if values.and_then(|values| values.checked_mul(DataType::F32.bytes())).is_none() {
        return Err(Problem::TooLarge(shape));
    }
    let data = Data::Joined(Arc::new(ByRows(weight)));
    Ok(StoredTensor { name, ty: DataType::F32, shape, file: codes.file, data })
}

impl<T: Rows + Hash> Joined for ByRows<T> {
    fn read(&self, files: &[DataFile], start: u64, out: &mut [u8]) -> Result<(), Error> {
        let [_, columns] = self.0.size();
        let mut at = start / DataType::F32.bytes();
        let mut rest = out;
        while !rest.is_empty() {
            let (row, skip) = (at / columns, at % columns);
            let wanted = rest.len() as u64 / DataType::F32.bytes();
            let rows = (skip + wanted).div_ceil(columns).min(BATCH);
            let values = self.0.decode(files, row..row + rows)?;
            let count = wanted.min(rows * columns - skip);
            let (here, after) = rest.split_at_mut((count * DataType::F32.bytes()) as usize);
            let values = &values[skip as usize..][..count as usize];
            for (to, value) in here.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                *to = value.to_le_bytes();
            }
            rest = after;
            at += count;
        }
        Ok(())
    }

    fn parts(&self) -> Vec<&StoredTensor> {
        self.0.parts()
    }

    fn joins_any(&self) -> bool {
        self.0.joins_any()
    }

    fn fingerprint(&self, mut into: &mut dyn Hasher) {
        (std::any::type_name::<T>(), &self.0).hash(&mut into);
    }
}

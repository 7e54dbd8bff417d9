//! BitNet: bits `2 i` and `2 i + 1` of all bytes hold quarter `i` of the rows. One inverse scale.

use std::ops::Range;

use super::rows::{self, Rows};
use super::summary;
use crate::data_type::DataType;
use crate::file::DataFile;
use crate::stored::StoredTensor;
use crate::{Error, Problem};

/// Codes of 2 bits and the scale.
#[derive(Clone, Debug, Hash)]
struct Ternary {
    codes: StoredTensor,
    scale: StoredTensor,
}

/// Makes the tensor with these codes.
pub(super) fn join(codes: StoredTensor, scale: StoredTensor) -> Result<StoredTensor, Problem> {
    if codes.shape.len() != 2 || codes.ty != DataType::U8 || scale.values() != 1 {
        return Err(Problem::Packed { tensors: summary(&[&codes, &scale]), bits: 2 });
    }
    let (name, place) = (codes.name.clone(), codes.clone());
    rows::tensor(name, &place, Ternary { codes, scale })
}

impl Rows for Ternary {
    fn size(&self) -> [u64; 2] {
        [self.codes.shape[0].saturating_mul(4), self.codes.shape[1]]
    }

    fn parts(&self) -> Vec<&StoredTensor> {
        vec![&self.scale, &self.codes]
    }

    fn decode(&self, files: &[DataFile], rows: Range<u64>) -> Result<Vec<f32>, Error> {
        let (quarter, columns) = (self.codes.shape[0], self.codes.shape[1]);
        let mut bytes = vec![0; self.scale.ty.bytes() as usize];
        self.scale.read(files, 0, &mut bytes)?;
        let scale = self.scale.ty.widen(&bytes)[0];
        let mut out = Vec::with_capacity(((rows.end - rows.start) * columns) as usize);
        for row in rows {
            let mut bytes = vec![0; columns as usize];
            self.codes.read(files, row % quarter * columns, &mut bytes)?;
            let code = |byte: u8| byte >> (row / quarter * 2) & 3;
            out.extend(bytes.into_iter().map(|byte| (f32::from(code(byte)) - 1.0) / scale));
        }
        Ok(out)
    }
}

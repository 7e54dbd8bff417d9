//! MXFP4 tensors: codes and scales are two tensors in a checkpoint and one in a GGUF file.
//!
//! Codes and scales have the same values on both sides; only their bits move. In the checkpoint,
//! byte `i` of a block holds the codes of values `2 i` (low nibble) and `2 i + 1`. In a GGUF file
//! it holds those of values `i` and `i + 16`.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::float4::pair_halves;
use crate::data_type::DataType;
use crate::file::DataFile;
use crate::stored::{Data, Joined, StoredTensor};
use crate::{Error, Problem};

/// Values per block.
pub(super) const VALUES: u64 = 32;
/// Bytes of codes per block.
pub(super) const CODES: usize = 16;
/// Bytes per block of a GGUF file: the scale, then the codes.
const BLOCK: usize = 17;

/// The two tensors of the checkpoint.
#[derive(Clone, Debug, Hash)]
pub(super) struct Blocks {
    /// The codes, with those of one block in the last dimension.
    codes: StoredTensor,
    /// The scales, one per block.
    scales: StoredTensor,
}

/// Joins codes of shape `[.., blocks of a row, 16]` and scales of shape `[.., blocks of a row]` to
/// a tensor of blocks. The result has the name of the codes, type [`DataType::Mxfp4`] and shape
/// `[.., values of a row]`.
pub(super) fn join(codes: StoredTensor, scales: StoredTensor) -> Result<StoredTensor, Problem> {
    let shapes = || Problem::MxShapes {
        codes: codes.shape.clone(),
        scales: scales.shape.clone(),
        other: scales.name.clone(),
    };
    let [rows @ .., CODES_LENGTH] = &codes.shape[..] else { return Err(shapes()) };
    if rows.is_empty() || *rows != scales.shape[..] || scales.ty != DataType::U8 {
        return Err(shapes());
    }
    let mut shape = rows.to_vec();
    let last = shape.last_mut().expect("it is not empty");
    *last = last.checked_mul(VALUES).ok_or_else(shapes)?;
    let fits = shape.iter().try_fold(1_u64, |values, dimension| values.checked_mul(*dimension));
    fits.ok_or_else(shapes)?;
    Ok(StoredTensor {
        name: codes.name.clone(),
        ty: DataType::Mxfp4,
        shape,
        file: codes.file,
        data: Data::Joined(Arc::new(Blocks { codes, scales })),
    })
}

/// [`CODES`] as a dimension.
const CODES_LENGTH: u64 = CODES as u64;

impl Joined for Blocks {
    fn read(&self, files: &[DataFile], start: u64, out: &mut [u8]) -> Result<(), Error> {
        let first = start / BLOCK as u64;
        let count = out.len() / BLOCK;
        let mut codes = vec![0; count * CODES];
        self.codes.read(files, first * CODES_LENGTH, &mut codes)?;
        let mut scales = vec![0; count];
        self.scales.read(files, first, &mut scales)?;
        let blocks = out.as_chunks_mut::<BLOCK>().0.iter_mut();
        for ((block, codes), scale) in blocks.zip(codes.as_chunks::<CODES>().0).zip(scales) {
            *block = pack(scale, codes);
        }
        Ok(())
    }

    fn parts(&self) -> Vec<&StoredTensor> {
        vec![&self.scales, &self.codes]
    }

    fn fingerprint(&self, mut into: &mut dyn Hasher) {
        ("mxfp4", self).hash(&mut into);
    }
}

/// Packs a block of a GGUF file.
fn pack(scale: u8, pairs: &[u8; CODES]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[0] = scale;
    pair_halves(pairs, &mut block[1..]);
    block
}

#[cfg(test)]
mod tests {
    use granule_format::Block;
    use granule_format::block::types::MXFP4;
    use zerocopy::FromBytes;

    use super::*;

    #[test]
    fn every_code_keeps_its_place() {
        let pairs: [u8; CODES] = std::array::from_fn(|i| (i * 37 + 11) as u8);
        let block = pack(123, &pairs);
        let codes = MXFP4::read_from_bytes(&block).expect("the length of a block").unpack();
        assert_eq!(codes.exponent, 123);
        for (i, code) in codes.codes.iter().enumerate() {
            assert_eq!(*code, pairs[i / 2] >> (i % 2 * 4) & 0xf, "value {i}");
        }
    }
}

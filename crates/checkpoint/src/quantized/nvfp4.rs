//! NVFP4 tensors: floating-point codes of 4 bits, a scale of 8 bits for each 16 of them, and one
//! factor for the whole tensor. The codes and scales become blocks of a GGUF file without a change
//! to any number; the factors become tensors of their own.
//!
//! In the checkpoint, byte `i` of a group holds the codes of values `2 i` (low nibble) and
//! `2 i + 1`. In a GGUF file it holds those of values `i` and `i + 8`.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::float4::pair_halves;
use super::scaled::Bad;
use crate::data_type::DataType;
use crate::file::DataFile;
use crate::stored::{Data, Factors, Joined, StoredTensor};
use crate::{Error, Problem, QuantizedProblem};

/// Values that share a scale.
const GROUP: u64 = 16;
/// Values, bytes of codes, and scales of a block.
const VALUES: u64 = 64;
const CODES: usize = 32;
const SCALES: usize = 4;
/// Bytes per block of a GGUF file: the scales, then the codes.
const BLOCK: usize = SCALES + CODES;

/// The two large tensors of the checkpoint, and the factors.
#[derive(Clone, Debug, Hash)]
struct Blocks {
    codes: StoredTensor,
    scales: StoredTensor,
    factors: Factors,
}

/// Joins codes of shape `[.., values of a row / 2]` and scales of shape
/// `[.., values of a row / 16]` to the tensor `name`, of type [`DataType::Nvfp4`].
pub(super) fn join(
    name: String,
    codes: StoredTensor,
    scales: StoredTensor,
    factors: Factors,
    files: &[DataFile],
) -> Result<StoredTensor, Bad> {
    let shapes = || {
        let problem = QuantizedProblem::FloatShapes {
            codes: codes.shape.clone(),
            scales: scales.shape.clone(),
            other: scales.name.clone(),
            group: GROUP,
            multiple: VALUES,
        };
        Bad::Scale(problem.into())
    };
    let mut shape = codes.shape.clone();
    let Some(columns) = shape.last_mut() else { return Err(shapes()) };
    *columns = columns.checked_mul(2).ok_or_else(shapes)?;
    let mut groups = shape.clone();
    *groups.last_mut().expect("it is as long") /= GROUP;
    let row = shape[shape.len() - 1];
    if shape.len() < 2 || !row.is_multiple_of(VALUES) || groups != scales.shape {
        return Err(shapes());
    }
    check(&scales, files)?;
    Ok(StoredTensor {
        name,
        ty: DataType::Nvfp4,
        shape,
        file: codes.file,
        data: Data::Joined(Arc::new(Blocks { codes, scales, factors })),
    })
}

/// Checks that every scale is a number without a sign.
fn check(scales: &StoredTensor, files: &[DataFile]) -> Result<(), Bad> {
    let scale = |value: f32| !value.is_finite() || value < 0.0;
    match super::scaled::first(scales, files, scale).map_err(Bad::File)? {
        Some((index, value)) => Err(Bad::Scale(Problem::Scale { index, value })),
        None => Ok(()),
    }
}

impl Joined for Blocks {
    fn read(&self, files: &[DataFile], start: u64, out: &mut [u8]) -> Result<(), Error> {
        let first = start / BLOCK as u64;
        let count = out.len() / BLOCK;
        let mut codes = vec![0; count * CODES];
        self.codes.read(files, first * CODES as u64, &mut codes)?;
        let mut scales = vec![0; count * SCALES];
        self.scales.read(files, first * SCALES as u64, &mut scales)?;
        let blocks = out.as_chunks_mut::<BLOCK>().0.iter_mut();
        let parts = scales.as_chunks::<SCALES>().0.iter().zip(codes.as_chunks::<CODES>().0);
        for (block, (scales, codes)) in blocks.zip(parts) {
            *block = pack(*scales, codes);
        }
        Ok(())
    }

    fn parts(&self) -> Vec<&StoredTensor> {
        vec![&self.scales, &self.codes]
    }

    fn fingerprint(&self, mut into: &mut dyn Hasher) {
        ("nvfp4", self).hash(&mut into);
    }

    fn factors(&self) -> Option<Factors> {
        Some(self.factors)
    }
}

/// Packs a block of a GGUF file.
fn pack(scales: [u8; SCALES], pairs: &[u8; CODES]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    // Negative zero is the only number with a sign.
    block[..SCALES].copy_from_slice(&scales.map(|scale| scale & 0x7f));
    let groups = block[SCALES..].as_chunks_mut::<8>().0.iter_mut();
    for (to, pairs) in groups.zip(pairs.as_chunks::<8>().0) {
        pair_halves(pairs, to);
    }
    block
}

#[cfg(test)]
mod tests {
    use granule_format::Block;
    use granule_format::block::types::NVFP4;
    use zerocopy::FromBytes;

    use super::*;

    #[test]
    fn every_code_keeps_its_place() {
        let pairs: [u8; CODES] = std::array::from_fn(|i| (i * 37 + 11) as u8);
        let block = pack([0x38, 0x01, 0x80, 0x7e], &pairs);
        let codes = NVFP4::read_from_bytes(&block).expect("the length of a block").unpack();
        assert_eq!(codes.scales, [0x38, 0x01, 0, 0x7e]);
        for (i, code) in codes.codes.iter().enumerate() {
            assert_eq!(*code, pairs[i / 2] >> (i % 2 * 4) & 0xf, "value {i}");
        }
    }
}

//! Reading the table of tensors.

use super::counts::Counts;
use super::name::checked_name;
use super::walk::Walk;
use super::{Header, Shape, TensorInfo, TensorType};
use crate::block::REMOVED;
use crate::error::Place;
use crate::prelude::*;
use crate::{Error, ErrorKind};

impl Header {
    /// Reads the table of tensors and checks that their data lies in the file.
    pub(super) fn read_table(
        &mut self,
        walk: &mut Walk<'_, '_>,
        tensors: u64,
    ) -> Result<(), Error> {
        self.reserve_tensors(walk, tensors);
        let stop = (0..tensors).try_for_each(|index| self.read_tensor(walk, index));
        if stop.is_err() && walk.is_strict() {
            return stop;
        }
        self.finish_table(walk, stop.is_ok())?;
        stop
    }

    pub(super) fn reserve_tensors(&mut self, walk: &Walk<'_, '_>, tensors: u64) {
        let room = walk.cursor.room_for(tensors, Counts::least_tensor_bytes(walk.cursor.narrow));
        self.tensors.reserve_exact(room);
        self.tensor_offsets.reserve_exact(room);
    }

    /// Checks the tensors against each other, and where their data lies if the table is `complete`.
    pub(super) fn finish_table(
        &mut self,
        walk: &mut Walk<'_, '_>,
        complete: bool,
    ) -> Result<(), Error> {
        let place = core::mem::take(&mut walk.place);
        self.index_names(walk)?;
        self.table_end = walk.cursor.position();
        self.data_offset = self.table_end.next_multiple_of(u64::from(self.alignment));
        if complete {
            self.check_spans(walk)?;
        }
        walk.place = place;
        Ok(())
    }

    pub(super) fn read_tensor(&mut self, walk: &mut Walk<'_, '_>, index: u64) -> Result<(), Error> {
        walk.place = Place::TensorEntry(index);
        let at = walk.cursor.position();
        let bytes = walk.cursor.string()?;
        let name = checked_tensor_name(walk, bytes, at)?;
        walk.place = Place::Tensor(name.clone());
        let Some((shape, ty, offset)) = read_shape(walk)? else { return Ok(()) };
        let tensor = TensorInfo { name, shape, ty, offset };
        self.check_size(walk, &tensor, at)?;
        self.tensors.push(tensor);
        self.tensor_offsets.push(at);
        Ok(())
    }

    /// Reports sizes that no reader can handle and types that were removed.
    fn check_size(
        &self,
        walk: &mut Walk<'_, '_>,
        tensor: &TensorInfo,
        at: u64,
    ) -> Result<(), Error> {
        let dimensions = tensor.shape.dimensions();
        let too_large = || Some(ErrorKind::TensorTooLarge(dimensions.to_vec()));
        if dimensions.iter().any(|dimension| *dimension > i64::MAX as u64)
            || tensor.shape.values().is_none()
        {
            walk.fault(Error::new(ErrorKind::TensorTooLarge(dimensions.to_vec()), at))?;
            return Ok(());
        }
        let kind = match tensor.ty {
            TensorType::Unknown(id) => {
                let removed = REMOVED.iter().find(|removed| removed.0 == id);
                removed.map(|&(id, name, instead)| ErrorKind::RemovedType { id, name, instead })
            }
            TensorType::Known(ty)
                if !tensor.shape.row().is_multiple_of(ty.block_values() as u64) =>
            {
                let (row, block) = (tensor.shape.row(), ty.block_values() as u64);
                Some(ErrorKind::PartialBlock { row, block, ty: tensor.ty })
            }
            TensorType::Known(_) => match tensor.bytes() {
                Some(bytes) if self.padded(bytes).is_some() => None,
                _ => too_large(),
            },
        };
        kind.map_or(Ok(()), |kind| walk.fault(Error::new(kind, at)))
    }

    fn index_names(&mut self, walk: &mut Walk<'_, '_>) -> Result<(), Error> {
        let tensors = &self.tensors;
        // a table of 2^32 tensors would take 100 GB
        self.by_name = (0..tensors.len() as u32).collect();
        self.by_name.sort_by_key(|i| (&tensors[*i as usize].name, *i));
        let mut twice: Vec<usize> = self
            .by_name
            .windows(2)
            .filter(|pair| tensors[pair[0] as usize].name == tensors[pair[1] as usize].name)
            .map(|pair| pair[1] as usize)
            .collect();
        twice.sort_unstable();
        for i in twice {
            let kind = ErrorKind::DuplicateTensor(tensors[i].name.clone());
            let place = Place::TensorEntry(i as u64);
            walk.fault(Error::new(kind, self.tensor_offsets[i]).within(place))?;
        }
        Ok(())
    }

    fn check_spans(&self, walk: &mut Walk<'_, '_>) -> Result<(), Error> {
        for (tensor, at) in self.tensors.iter().zip(&self.tensor_offsets) {
            // sizes that do not fit are faults already
            let Some(bytes) = tensor.bytes().filter(|bytes| self.padded(*bytes).is_some()) else {
                continue;
            };
            let start = self.data_offset.checked_add(tensor.offset);
            let end = start.and_then(|start| start.checked_add(bytes));
            if end.is_none_or(|end| end > self.file_bytes) {
                let kind = ErrorKind::OutsideFile {
                    start: start.unwrap_or(u64::MAX),
                    end: end.unwrap_or(u64::MAX),
                    file: self.file_bytes,
                };
                walk.fault(Error::new(kind, *at).within(Place::Tensor(tensor.name.clone())))?;
            }
        }
        Ok(())
    }
}

/// Reads what follows a tensor's name in the table; `None` if the tensor has too many dimensions to
/// represent.
fn read_shape(walk: &mut Walk<'_, '_>) -> Result<Option<(Shape, TensorType, u64)>, Error> {
    /// With more dimensions than this, the number itself is taken to be wrong.
    const MOST_SKIPPED: u32 = 64;
    let at = walk.cursor.position();
    let count = walk.cursor.u32()?;
    let most = walk.limits.dimensions.min(Shape::MOST as u32);
    if count > most {
        let error = Error::new(ErrorKind::Dimensions { dimensions: count, most }, at);
        if count > MOST_SKIPPED {
            return Err(error);
        }
        walk.fault(error)?;
    }
    let mut dimensions = Vec::with_capacity(Shape::LEGAL);
    for _ in 0..count {
        dimensions.push(walk.cursor.count()?);
    }
    let ty = TensorType::from_id(walk.cursor.u32()?);
    let offset = walk.cursor.u64()?;
    Ok(Shape::as_stored(&dimensions).map(|shape| (shape, ty, offset)))
}

/// The name that these bytes are: UTF-8 without control characters.
fn checked_tensor_name(walk: &mut Walk<'_, '_>, bytes: &[u8], at: u64) -> Result<String, Error> {
    let name = checked_name(walk, bytes, at, walk.limits.tensor_name_bytes)?;
    if str::from_utf8(bytes).is_err() {
        walk.fault(Error::new(ErrorKind::NotUtf8, at))?;
    } else if let Some(byte) = bytes.iter().copied().find(u8::is_ascii_control) {
        walk.fault(Error::new(ErrorKind::NameByte { name: name.clone(), byte }, at))?;
    }
    Ok(name)
}

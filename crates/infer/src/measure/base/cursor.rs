use super::BaseFileError;

/// Numbers out of bytes, little-endian.
#[derive(Debug)]
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], BaseFileError> {
        let split = self.0.split_at_checked(length);
        let (taken, rest) = split.ok_or(BaseFileError::End)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u32(&mut self) -> Result<u32, BaseFileError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn f32(&mut self) -> Result<f32, BaseFileError> {
        self.u32().map(f32::from_bits)
    }

    /// A number of seven bits a byte, the lowest first; the high bit says that more follow.
    pub(super) fn varint(&mut self) -> Result<u32, BaseFileError> {
        let mut number = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(number).map_err(|_| BaseFileError::End);
            }
        }
        Err(BaseFileError::End)
    }
}

/// Appends what [`Cursor::varint`] reads.
pub(super) fn put_varint(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

use super::walk::Walk;
use crate::{Error, ErrorKind};

/// What keys and tensor names have in common: their length. What is not UTF-8 is replaced.
pub(super) fn checked_name(
    walk: &mut Walk<'_, '_>,
    bytes: &[u8],
    at: u64,
    most: u64,
) -> Result<String, Error> {
    if bytes.is_empty() {
        walk.fault(Error::new(ErrorKind::EmptyName, at))?;
    }
    if bytes.len() as u64 > most {
        let kind = ErrorKind::LongName { bytes: bytes.len() as u64, most };
        walk.fault(Error::new(kind, at))?;
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

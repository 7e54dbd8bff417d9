use super::walk::Walk;
use crate::prelude::*;
use crate::{Error, ErrorKind};

/// Checks the length of a key or tensor name. Replaces what is not UTF-8.
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

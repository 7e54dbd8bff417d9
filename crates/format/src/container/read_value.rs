//! Reading metadata values.

use super::cursor::Number;
use super::value::values;
use super::walk::Walk;
use super::{Array, Endian, StringArray, Value, ValueType};
use crate::prelude::*;
use crate::{Counted, Error, ErrorKind};

/// Builds the reading of values from the table of types.
macro_rules! readers {
    ($( $(#[$doc:meta])* $name:ident = $id:literal: $ty:ty; )*) => {
        impl Value {
            pub(super) fn read(walk: &mut Walk<'_, '_>, ty: ValueType) -> Result<Self, Error> {
                Ok(match ty {
                    $( ValueType::$name => Self::$name(walk.number()?), )*
                    ValueType::String => Self::String(walk.text()?),
                    ValueType::Array => Self::Array(Array::read(walk, 1)?),
                })
            }
        }

        impl Array {
            /// Reads and appends `left` elements, and counts `left` down to those that are missing.
            fn extend(
                &mut self,
                walk: &mut Walk<'_, '_>,
                left: &mut u64,
                depth: u32,
            ) -> Result<(), Error> {
                match self {
                    $( Self::$name(items) => walk.numbers(items, left), )*
                    Self::String(strings) => walk.strings(strings, left),
                    Self::Array(items) => walk.arrays(items, left, depth + 1),
                }
            }
        }
    };
}

values!(readers);

impl Array {
    pub(super) fn read(walk: &mut Walk<'_, '_>, depth: u32) -> Result<Self, Error> {
        walk.depth = depth;
        let (mut array, mut left) = match walk.partial.take() {
            Some(partial) => partial,
            None => Self::start(walk, depth)?,
        };
        if let Err(error) = array.extend(walk, &mut left, depth) {
            if depth == 1 && matches!(error.kind, ErrorKind::PrefixTooShort { .. }) {
                walk.partial = Some((array, left));
            }
            return Err(error);
        }
        walk.depth = depth - 1;
        Ok(array)
    }

    /// The array without its elements, and how many there are.
    fn start(walk: &mut Walk<'_, '_>, depth: u32) -> Result<(Self, u64), Error> {
        if depth > walk.limits.depth() {
            return Err(walk.cursor.error(ErrorKind::Nesting(walk.limits.depth())));
        }
        let at = walk.cursor.position();
        let id = walk.cursor.u32()?;
        let Some(ty) = ValueType::from_id(id) else {
            return Err(Error::new(ErrorKind::ValueType(id), at));
        };
        let count = walk.cursor.count()?;
        walk.cursor.check_count(Counted::Elements, count, ty.least_bytes(walk.cursor.narrow))?;
        Ok((Self::new(ty), count))
    }
}

impl<'a> Walk<'a, '_> {
    pub(super) fn number<N: Number>(&mut self) -> Result<N, Error> {
        let bytes = self.checked::<N>(1)?;
        Ok(match self.cursor.endian {
            Endian::Little => N::from_little(bytes),
            Endian::Big => N::from_big(bytes),
        })
    }

    /// The bytes of `count` numbers.
    fn checked<N: Number>(&mut self, count: u64) -> Result<&'a [u8], Error> {
        let at = self.cursor.position();
        let bytes = self.cursor.take(count.saturating_mul(N::BYTES as u64))?;
        if N::IS_BOOL {
            for (byte, at) in bytes.iter().zip(at..).filter(|(byte, _)| **byte > 1) {
                self.fault(Error::new(ErrorKind::Bool(*byte), at))?;
            }
        }
        Ok(bytes)
    }

    /// Appends numbers: as many of `left` as are available.
    pub(super) fn numbers<N: Number>(
        &mut self,
        items: &mut Vec<N>,
        left: &mut u64,
    ) -> Result<(), Error> {
        let there = self.cursor.room_for(*left, N::BYTES as u64);
        reserve(items, there, *left);
        let bytes = self.checked::<N>(there as u64)?.chunks_exact(N::BYTES);
        match self.cursor.endian {
            Endian::Little => items.extend(bytes.map(N::from_little)),
            Endian::Big => items.extend(bytes.map(N::from_big)),
        }
        *left -= there as u64;
        self.checked::<N>(*left).map(|_none| ())
    }

    /// Appends arrays.
    pub(super) fn arrays(
        &mut self,
        items: &mut Vec<Array>,
        left: &mut u64,
        depth: u32,
    ) -> Result<(), Error> {
        while *left > 0 {
            if items.len() == items.capacity() {
                // doubling wastes memory on elements that take only 12 bytes in the file
                items.reserve_exact(items.len() / 2 + 1);
            }
            let before = self.cursor.clone();
            match Array::read(self, depth) {
                Ok(array) => items.push(array),
                Err(error) => {
                    if matches!(error.kind, ErrorKind::PrefixTooShort { .. }) {
                        self.cursor = before;
                    }
                    return Err(error);
                }
            }
            *left -= 1;
        }
        Ok(())
    }

    pub(super) fn text(&mut self) -> Result<String, Error> {
        let at = self.cursor.position();
        let bytes = self.cursor.string()?;
        match str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => {
                self.fault(Error::new(ErrorKind::NotUtf8, at))?;
                Ok(String::from_utf8_lossy(bytes).into_owned())
            }
        }
    }

    /// Appends strings: as many of `left` as are available.
    pub(super) fn strings(
        &mut self,
        strings: &mut StringArray,
        left: &mut u64,
    ) -> Result<(), Error> {
        /// Enough strings to estimate the length of the others.
        const MOST_AT_ONCE: u64 = 4096;
        let least = ValueType::String.least_bytes(self.cursor.narrow);
        while *left > 0 {
            strings.expect(*left, self.cursor.left());
            let (stored, known) = (self.cursor.rest(), strings.len());
            let most = MOST_AT_ONCE.min(*left) as usize;
            let bytes = match (self.cursor.narrow, self.cursor.endian) {
                (false, Endian::Little) => strings.append_stored(stored, u64::from_le_bytes, most),
                (false, Endian::Big) => strings.append_stored(stored, u64::from_be_bytes, most),
                (true, Endian::Little) => strings.append_stored(stored, u32::from_le_bytes, most),
                (true, Endian::Big) => strings.append_stored(stored, u32::from_be_bytes, most),
            };
            let appended = strings.len() - known;
            *left -= appended as u64;
            if !self.raw_strings {
                self.check_texts(strings, known, least)?;
            }
            self.cursor.skip(bytes);
            if appended < most {
                // the next string is incomplete: say how much is missing
                let rest = (*left - 1).saturating_mul(least);
                let file_bytes = self.cursor.file_bytes();
                self.cursor.string().map_err(|error| error.needing_more(rest, file_bytes))?;
            }
        }
        strings.shrink();
        Ok(())
    }

    /// Notes the strings from `known` on that are not UTF-8. The first of them begins at the
    /// position.
    fn check_texts(&mut self, strings: &StringArray, known: usize, gap: u64) -> Result<(), Error> {
        let mut at = self.cursor.position();
        for string in strings.iter_from(known) {
            if str::from_utf8(string).is_err() {
                self.fault(Error::new(ErrorKind::NotUtf8, at))?;
            }
            at += gap + string.len() as u64;
        }
        Ok(())
    }
}

/// Reserves memory for the elements that are `there`, and for all that are `left` if that is not
/// much. Otherwise at least doubles the capacity, so that pieces are not copied over and over.
fn reserve<T>(items: &mut Vec<T>, there: usize, left: u64) {
    /// Enough for the arrays of the largest vocabularies.
    const MOST_BYTES: usize = 4 << 20;
    if items.capacity() - items.len() < there {
        let more = left.min(items.len().max(MOST_BYTES / size_of::<T>()) as u64);
        items.reserve_exact(there.max(more as usize));
    }
}

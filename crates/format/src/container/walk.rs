use super::Array;
use super::cursor::Cursor;
use super::faults::Faults;
use crate::error::Place;
use crate::{Error, Limits};

/// The state of reading a header: the position, the limits, and a list for faults that do not stop
/// the reading.
pub(crate) struct Walk<'a, 'f> {
    pub(crate) cursor: Cursor<'a>,
    pub(crate) limits: Limits,
    /// If there is a list, faults that leave the rest readable are added to it; otherwise they are
    /// errors.
    faults: Option<&'f mut Faults>,
    /// The part of the file that is being read.
    pub(crate) place: Place,
    /// How many arrays enclose the value that is being read.
    pub(super) depth: u32,
    /// An array that is only partly in the available bytes, and the number of missing elements.
    pub(crate) partial: Option<(Array, u64)>,
    /// Whether strings in arrays may be any bytes, as those of tokens may.
    pub(crate) raw_strings: bool,
}

impl<'a, 'f> Walk<'a, 'f> {
    pub(crate) fn new(cursor: Cursor<'a>, limits: &Limits, faults: Option<&'f mut Faults>) -> Self {
        let (limits, place) = (*limits, Place::Header);
        Self { cursor, limits, faults, place, depth: 0, partial: None, raw_strings: false }
    }

    /// Returns whether the first fault stops the reading.
    pub(crate) const fn is_strict(&self) -> bool {
        self.faults.is_none()
    }
}

impl<'a> Walk<'a, '_> {
    /// Notes a fault and continues, or stops with it.
    pub(crate) fn fault(&mut self, error: Error) -> Result<(), Error> {
        let error = self.placed(error);
        match &mut self.faults {
            Some(faults) => {
                faults.note(error);
                Ok(())
            }
            None => Err(error),
        }
    }

    /// Returns the error with the part of the file that is being read, unless it already names one.
    pub(crate) fn placed(&self, error: Error) -> Error {
        match (&error.place, &self.place) {
            (Place::Header, Place::Value(key)) if self.depth == 1 => {
                error.within(Place::Element(key.clone()))
            }
            (Place::Header, Place::Value(key)) if self.depth > 1 => {
                error.within(Place::NestedValue(key.clone()))
            }
            (Place::Header, place) => error.within(place.clone()),
            _ => error,
        }
    }
}

use super::Array;
use super::cursor::Cursor;
use super::faults::Faults;
use crate::error::Place;
use crate::{Error, Limits};

/// What reading a header needs: the position, the caps, and where to put faults that do not stop the
/// reading.
pub(crate) struct Walk<'a, 'f> {
    pub(crate) cursor: Cursor<'a>,
    pub(crate) limits: Limits,
    /// With a list, faults that leave the rest readable are noted; without, they are errors.
    faults: Option<&'f mut Faults>,
    /// The part of the file that is being read.
    pub(crate) place: Place,
    /// How many arrays the value that is being read lies in.
    pub(super) depth: u32,
    /// An array of which elements are missing in the bytes that are there, and how many.
    pub(crate) partial: Option<(Array, u64)>,
    /// Whether strings in arrays may be anything but UTF-8: token texts are bytes.
    pub(crate) raw_strings: bool,
}

impl<'a, 'f> Walk<'a, 'f> {
    pub(crate) fn new(cursor: Cursor<'a>, limits: &Limits, faults: Option<&'f mut Faults>) -> Self {
        let (limits, place) = (*limits, Place::Header);
        Self { cursor, limits, faults, place, depth: 0, partial: None, raw_strings: false }
    }

    /// Whether the first fault ends the reading.
    pub(crate) const fn is_strict(&self) -> bool {
        self.faults.is_none()
    }
}

impl<'a> Walk<'a, '_> {
    /// Note a fault and go on, or stop with it.
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

    /// The error, said to be in the part that is being read unless it names a part itself.
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

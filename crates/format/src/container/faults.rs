use core::mem::discriminant;

use crate::Error;
use crate::error::Place;
use crate::prelude::*;

/// A fault of a header.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive] // more may be told of a fault
pub struct Fault {
    /// The fault where it was first met.
    pub error: Error,
    /// How many faults of this kind were met in the same metadata entry or tensor; beyond some
    /// hundred entries with the same kind, in all of them.
    pub times: u64,
}

/// Collects faults in bounded space.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(super) list: Vec<Fault>,
}

impl Faults {
    /// The most faults of one kind that are listed separately.
    const MOST: usize = 256;

    pub(crate) fn note(&mut self, error: Error) {
        let alike = |fault: &&mut Fault| {
            discriminant(&fault.error.kind) == discriminant(&error.kind)
                && discriminant(&fault.error.place) == discriminant(&error.place)
        };
        let kept = self.list.iter_mut().filter(alike).count();
        match self.list.iter_mut().rfind(alike) {
            Some(fault) if kept >= Self::MOST || same_entry(&fault.error, &error) => {
                fault.times += 1;
            }
            _ => self.list.push(Fault { error, times: 1 }),
        }
    }
}

fn same_entry(one: &Error, other: &Error) -> bool {
    let keyed = matches!(one.place, Place::Value(_) | Place::Element(_) | Place::NestedValue(_));
    keyed && one.place == other.place
}

//! The reader of headers against a second, plain one: both accept the same files and read the same
//! from them.

use granule_format::Header;

use crate::naive::{self, Seen};

pub(super) fn run(input: &[u8]) {
    let found = Header::parse(input);
    let expected = naive::read(input);
    let seen = found.as_ref().ok().map(|header| Seen {
        keys: header.metadata().iter().map(|entry| entry.key.clone()).collect(),
        tensors: header
            .tensors()
            .iter()
            .map(|tensor| {
                let dimensions = tensor.shape.dimensions().to_vec();
                (tensor.name.clone(), dimensions, tensor.ty.id(), tensor.offset)
            })
            .collect(),
        data_offset: header.data_offset().into(),
    });
    assert_eq!(seen, expected, "{:?}", found.err());
}
